//! The stylesheet, the scripts and the icon: compiled in, kept by browsers for as long as they are the same.

use sha2::{Digest as _, Sha256};
use std::sync::LazyLock;

/// One file.
pub(super) struct Asset {
    /// Its name below `/assets/`.
    pub(super) name: &'static str,
    /// Its media type.
    pub(super) kind: &'static str,
    /// Its bytes.
    pub(super) content: &'static [u8],
}

/// All of them.
pub(super) const ALL: [Asset; 4] = [
    Asset { name: "style.css", kind: "text/css; charset=utf-8", content: include_bytes!("assets/style.css") },
    Asset {
        name: "pages.js",
        kind: "text/javascript; charset=utf-8",
        content: include_bytes!("assets/pages.js"),
    },
    Asset {
        name: "passkey.js",
        kind: "text/javascript; charset=utf-8",
        content: include_bytes!("assets/passkey.js"),
    },
    Asset {
        name: "icon.svg",
        kind: "image/svg+xml; charset=utf-8",
        content: include_bytes!("assets/icon.svg"),
    },
];

/// Changes with what is in any of them.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let digest =
        ALL.iter().fold(Sha256::new(), |digest, asset| digest.chain_update(asset.content)).finalize();
    digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
});

/// Where `name` is now, so that an old copy is never taken for it.
pub(super) fn path(name: &str) -> String {
    format!("/assets/{name}?v={}", *VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_says_how_it_is_written() {
        for asset in ALL {
            assert!(asset.kind.ends_with("; charset=utf-8"), "{}", asset.name);
            assert!(std::str::from_utf8(asset.content).is_ok(), "{}", asset.name);
        }
    }

    #[test]
    fn scripts_put_text_as_text_and_run_none_of_it() {
        // The last: a name out of data that something is assigned to could be that of a prototype.
        let markup =
            "(inner|outer)HTML|insertAdjacent|document\\.write|createContextualFragment|srcdoc|DOMParser";
        let code = "eval\\(|Function\\(|import\\(|setAttribute\\(\"on|set(Timeout|Interval)\\([^(]";
        let names = "__proto__|\\.prototype|[A-Za-z)]\\[[^\\]]*\\] *=[^=]|Object\\.assign";
        let never = regex::Regex::new(&[markup, code, names].join("|")).unwrap();
        for text in ["a.innerHTML = b", "setTimeout(\"x\")", "options[name] = x", "new Function(\"x\")"] {
            assert!(never.is_match(text), "{text}");
        }
        for asset in ALL.iter().filter(|asset| asset.name.ends_with(".js")) {
            let text = std::str::from_utf8(asset.content).unwrap();
            assert_eq!(never.find(text).map(|found| found.as_str()), None, "{}", asset.name);
        }
    }
}
