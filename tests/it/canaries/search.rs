//! Looks for secrets in files, in every form that a careless program would write them in.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use memchr::memmem;

/// One form of a secret, and what form that is.
struct Form {
    how: String,
    bytes: Vec<u8>,
}

/// What must not be found.
#[derive(Default)]
pub(super) struct Canaries {
    forms: Vec<Form>,
}

impl Canaries {
    /// Looks for `secret`, called `name` in messages: as it is, in hexadecimal, in base64 wherever in a longer text
    /// it was encoded, and as the list of numbers that Rust's `{:?}` makes of bytes.
    pub(super) fn add(&mut self, name: &str, secret: impl AsRef<[u8]>) {
        let secret = secret.as_ref();
        assert!(secret.len() >= 8, "`{name}` is too short not to be found by chance");
        let hex = secret.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let numbers = secret.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
        let escaped = secret.iter().flat_map(|byte| std::ascii::escape_default(*byte)).collect::<Vec<_>>();
        let mut forms = vec![
            ("as it is", secret.to_vec()),
            ("escaped", escaped),
            ("in hexadecimal", hex.clone().into_bytes()),
            ("in upper-case hexadecimal", hex.to_ascii_uppercase().into_bytes()),
            ("as a list of numbers", numbers.into_bytes()),
        ];
        for before in 0..3 {
            let text = aligned_base64(secret, before);
            forms.push(("in URL-safe base64", text.replace('+', "-").replace('/', "_").into_bytes()));
            forms.push(("in base64", text.into_bytes()));
        }
        self.forms.extend(forms.into_iter().map(|(how, bytes)| Form { how: format!("{name} {how}"), bytes }));
    }

    /// Where any of them stands, below `directory`; files called as in `except` are not looked into.
    pub(super) fn find(&self, directory: &Path, except: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        for file in files_below(directory) {
            if except.iter().any(|name| file.ends_with(name)) {
                continue;
            }
            let content = fs::read(&file).expect("a readable file");
            found.extend(self.find_in(&content).into_iter().map(|how| format!("{}: {how}", file.display())));
        }
        found
    }

    /// Which of them stand in `content`, and in what form.
    pub(super) fn find_in(&self, content: &[u8]) -> Vec<&str> {
        let stands = |form: &&Form| memmem::find(content, &form.bytes).is_some();
        self.forms.iter().filter(stands).map(|form| form.how.as_str()).collect()
    }
}

/// The part of the base64 of a longer text, `before` bytes in front, that only the secret decides.
fn aligned_base64(secret: &[u8], before: usize) -> String {
    let padded = [&vec![0; before], secret].concat();
    let text = STANDARD_NO_PAD.encode(&padded);
    // A symbol holds six bits: leave out those that the neighbours have a part in.
    let (first, last) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
    text[first..last].to_owned()
}

/// Every regular file below.
pub(super) fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// The search must be able to find: a silent one would prove nothing.
#[test]
fn every_form_is_found_wherever_it_stands() {
    let secret = "Canary-\u{e9} 4711";
    let mut canaries = Canaries::default();
    canaries.add("the secret", secret);
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let hidden = [
        format!("password={secret}\n"),
        format!("{:?}", format!("x{secret}x").as_bytes()),
        format!("{}", secret.as_bytes().escape_ascii()),
        hex(secret),
        hex(secret).to_uppercase(),
        STANDARD_NO_PAD.encode(secret),
        STANDARD_NO_PAD.encode(format!("a{secret}bc")),
        STANDARD_NO_PAD.encode(format!("\0a{secret}b")),
        STANDARD_NO_PAD.encode(format!("\0user\0{secret}")).replace('+', "-").replace('/', "_"),
    ];
    for content in hidden {
        let directory = tempfile::TempDir::new().expect("a directory");
        let deep = directory.path().join("deep/er");
        fs::create_dir_all(&deep).expect("a directory");
        let bytes = [&[0xff; 100][..], content.as_bytes(), &[0; 5000]].concat();
        fs::write(deep.join("file"), bytes).expect("a file");
        assert!(!canaries.find(directory.path(), &[]).is_empty(), "not found: {content}");
        assert!(canaries.find(directory.path(), &["deep/er/file"]).is_empty());
        fs::write(deep.join("file"), content.replace(['4', 'N', 'n', '5'], "?")).expect("a file");
        assert!(canaries.find(directory.path(), &[]).is_empty(), "found in something else: {content}");
    }
}
