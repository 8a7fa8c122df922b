//! `aliases_file` of an `[[upstream]]`: other names of single mailboxes, one `alias primary` to a line.
//!
//! The administrator writes it, or a script of theirs exports it; it is trusted, but never silently misread. Here it is
//! taken apart into names as somebody would type them; which account each one means, and whether the lines agree, is
//! for `account::Directory` to say.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::problem::Problem;
use crate::base::LoginName;

/// A hundred thousand aliases of a usual length take 5 MB; what is larger is no list of aliases.
const FILE_MAX: u64 = 16 << 20;

/// The file, read.
#[derive(Clone, Debug)]
pub struct AliasesFile {
    /// Where it is.
    pub path: PathBuf,
    /// In its order.
    pub lines: Vec<AliasLine>,
}

/// One line.
#[derive(Clone, Debug)]
pub struct AliasLine {
    /// From 1.
    pub number: usize,
    /// The other name.
    pub alias: LoginName,
    /// The name that the account has.
    pub primary: LoginName,
}

/// Why there is no list.
pub(super) enum AliasesError {
    /// It cannot be read at all: the problem of the key that names it.
    File(String),
    /// What is wrong in it.
    Lines(Vec<Problem>),
}

impl AliasesFile {
    pub(super) fn read(path: &Path) -> Result<Self, AliasesError> {
        let bytes = bytes(path).map_err(|error| {
            AliasesError::File(format!(
                "cannot read `aliases_file` `{}`: {error}\nhint: see that it is there and that the user who runs the gate may read it",
                path.display()
            ))
        })?;
        if bytes.len() as u64 > FILE_MAX {
            return Err(AliasesError::File(format!(
                "`aliases_file` `{}` is larger than {} MiB\nhint: it holds lines of the form `alias primary` and nothing else",
                path.display(),
                FILE_MAX >> 20
            )));
        }
        Ok(Self { path: path.to_owned(), lines: parse(&bytes).map_err(AliasesError::Lines)? })
    }
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    // Before it is opened: a pipe would wait for somebody to write.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = vec![];
    File::open(path)?.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> Result<Vec<AliasLine>, Vec<Problem>> {
    // Editors on Windows put a byte-order mark before UTF-8.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let (mut lines, mut problems) = (vec![], vec![]);
    for (line, number) in bytes.split(|byte| *byte == b'\n').zip(1..) {
        match parse_line(line, number) {
            Ok(line) => lines.extend(line),
            Err(text) => problems.push(Problem::new(number, &text)),
        }
    }
    if problems.is_empty() { Ok(lines) } else { Err(problems) }
}

/// `None`: nothing but blanks and a comment.
fn parse_line(line: &[u8], number: usize) -> Result<Option<AliasLine>, String> {
    let line = std::str::from_utf8(line)
        .map_err(|_| "it is not UTF-8\nhint: save the file in that encoding".to_owned())?;
    // A comment begins where a word does: `#` may stand within a name.
    let mut words = line.split_whitespace().take_while(|word| !word.starts_with('#'));
    match (words.next(), words.next(), words.next()) {
        (None, ..) => Ok(None),
        (Some(alias), Some(primary), None) => {
            Ok(Some(AliasLine { number, alias: name(alias)?, primary: name(primary)? }))
        }
        (Some(_), ..) => Err(
            "expected two names\nhint: write `alias primary`, such as `sales@example.org anna@example.org`"
                .into(),
        ),
    }
}

fn name(word: &str) -> Result<LoginName, String> {
    LoginName::from_bytes(word.as_bytes())
        .map_err(|error| format!("`{}` is no name: {error}\nhint: write a mail address", word.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_an_alias_and_its_primary_whatever_stands_around_them() {
        let text = "\u{feff}# aliases\r\n\r\n  sales@example.org\tanna@example.org  # since 2019\r\n#a b\nBob#1 bob\u{3000}#\n张三@例子.中国 zhang@example.org";
        let lines = parse(text.as_bytes()).unwrap();
        let read: Vec<_> = lines.iter().map(|l| (l.number, l.alias.as_str(), l.primary.as_str())).collect();
        assert_eq!(
            read,
            [
                (3, "sales@example.org", "anna@example.org"),
                (5, "Bob#1", "bob"),
                (6, "张三@例子.中国", "zhang@example.org")
            ]
        );
    }

    #[test]
    fn every_line_that_is_wrong_is_told() {
        let text = b"a@example.org\nfine@example.org b@example.org\na@example.org, b@example.org c@example.org\n\n\xe9t\xe9@example.org b@example.org\na\x07 b\na #b\n";
        let problems = parse(text).unwrap_err();
        let told: Vec<_> = problems.iter().map(|p| (p.line, p.message.as_str())).collect();
        assert_eq!(
            told,
            [
                (1, "expected two names"),
                (3, "expected two names"),
                (5, "it is not UTF-8"),
                (6, "`a\\u{7}` is no name: the name holds a control character"),
                (7, "expected two names")
            ]
        );
        assert!(problems.iter().all(|problem| problem.hint.is_some()));
    }

    #[test]
    fn what_is_no_file_or_too_large_is_not_read() {
        let told = |path: &Path| match AliasesFile::read(path) {
            Err(AliasesError::File(text)) => text,
            Err(AliasesError::Lines(_)) | Ok(_) => panic!("{}", path.display()),
        };
        let folder = tempfile::tempdir().unwrap();
        assert!(told(&folder.path().join("absent")).contains("No such file"));
        assert!(told(folder.path()).contains("no regular file"));
        assert!(told(Path::new("/dev/zero")).contains("no regular file"));
        let large = folder.path().join("large");
        File::create(&large).unwrap().set_len(FILE_MAX + 1).unwrap();
        assert!(told(&large).contains("larger than 16 MiB"));
    }
}
