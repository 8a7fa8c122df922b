//! What a browser calls itself, in two words: enough for its owner to know it again, and nothing to rely on.

use super::shown::Shown;
use super::words::Words;

/// What is kept of a `User-Agent` header, in characters.
const KEPT_MAX: usize = 256;

/// The first that is found names it: everybody claims to be Safari, most to be Chrome.
const PROGRAMS: [(&str, &str); 15] = [
    ("MicroMessenger/", "WeChat"),
    ("wxwork/", "WeCom"),
    ("DingTalk/", "DingTalk"),
    ("QQBrowser/", "QQ Browser"),
    ("HuaweiBrowser/", "Huawei Browser"),
    ("ArkWeb/", "Huawei Browser"),
    ("MiuiBrowser/", "Mi Browser"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("EdgA/", "Edge"),
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
];

const SYSTEMS: [(&str, &str); 9] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("OpenHarmony", "HarmonyOS"),
    ("HarmonyOS", "HarmonyOS"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Macintosh", "Mac"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
];

/// What is kept of a `User-Agent` header: text without control characters.
pub(super) fn kept(header: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(header);
    let text: String = text.chars().filter(|c| !c.is_control()).take(KEPT_MAX).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Program and system, where they are known; the whole text otherwise.
pub(super) fn named(text: Option<&str>, words: Words) -> Shown {
    let Some(text) = text else { return Shown::new(&words.say("unknown-browser")) };
    let find = |known: &'static [(&'static str, &'static str)]| {
        known.iter().copied().find(|(mark, _)| text.contains(mark))
    };
    let program = find(&PROGRAMS).map(|(mark, name)| match major(text, mark) {
        Some(version) => format!("{name} {version}"),
        None => name.to_owned(),
    });
    let safari = || {
        text.contains("Safari/").then(|| match major(text, "Version/") {
            Some(version) => format!("Safari {version}"),
            None => "Safari".to_owned(),
        })
    };
    match (program.or_else(safari), find(&SYSTEMS)) {
        (Some(program), Some((_, system))) => Shown::new(&format!("{program} · {system}")),
        (Some(program), None) => Shown::new(&program),
        (None, _) => Shown::new(text),
    }
}

/// The digits behind `mark`.
fn major<'t>(text: &'t str, mark: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(mark)?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..digits).filter(|digits| !digits.is_empty() && digits.len() <= 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_called_what_their_owners_call_them() {
        for (text, name) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
                "Chrome 142 · Windows",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
                "Edge 142 · Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1",
                "Safari 26 · iPhone",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 MicroMessenger/8.0.60(0x18003c2f) NetType/WIFI",
                "WeChat 8 · iPhone",
            ),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox 145 · Linux"),
            ("curl/8.14.1", "curl/8.14.1"),
            ("Chrome/\u{202e}", "Chrome"),
        ] {
            assert_eq!(named(Some(text), Words::ALL[1]).as_str(), name);
        }
        assert_eq!(kept(b" a\r\n\tb\xff ").as_deref(), Some("ab\u{fffd}"));
        assert_eq!(kept(b" "), None);
    }
}
