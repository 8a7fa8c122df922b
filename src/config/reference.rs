//! `config/mailward.toml`, the one place where settings are described, as data: for the JSON schema and the page that
//! is generated from it. It is part of the program and trusted; a test holds it and the types together.

/// The file.
pub const REFERENCE: &str = include_str!("../../config/mailward.toml");

/// The headline of the part that is no description any more.
const EXAMPLE: &str = "The shortest file";

/// What the file says, in its order.
#[derive(Clone, Debug, Default)]
pub struct Reference {
    /// Every section once, and every key once, behind its section.
    pub entries: Vec<Entry>,
}

/// A section or a key.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The headline under which it stands.
    pub chapter: String,
    /// `server`, `tls.certificate`, `policy."example.org"`, …
    pub section: String,
    /// None: the section itself.
    pub key: Option<String>,
    /// The line of the file: `[server]`, or `idle = "35m"`.
    pub line: String,
    /// What is said about it.
    pub text: Vec<Piece>,
}

/// A part of a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A paragraph on one line.
    Paragraph(String),
    /// One of several values or keys, and what it means.
    Choice {
        /// As it is written in the file, quotes included.
        name: String,
        /// On one line.
        meaning: String,
    },
}

impl Reference {
    /// Reads the file that is part of this program.
    #[must_use]
    pub fn read() -> Self {
        Self::parse(REFERENCE)
    }

    /// What is said about a key, be it with the key itself or in the list that stands over its section or table.
    #[must_use]
    pub fn describe(&self, section: &str, key: &str) -> Option<String> {
        let of = |key: Option<&str>| {
            self.entries.iter().find(|entry| entry.section == section && entry.key.as_deref() == key)
        };
        let own = of(Some(key)).map(|entry| plain(&entry.text)).filter(|text| !text.is_empty());
        own.or_else(|| of(None)?.choice(key))
    }

    /// What is said about `inner`, a key of the table that is the value of `key`.
    #[must_use]
    pub fn describe_within(&self, section: &str, key: &str, inner: &str) -> Option<String> {
        let found = |entry: &&Entry| entry.section == section && entry.key.as_deref() == Some(key);
        self.entries.iter().find(found)?.choice(inner)
    }

    fn parse(file: &str) -> Self {
        let mut reference = Self::default();
        let (mut chapter, mut section) = (String::new(), String::new());
        let mut comment: Vec<&str> = vec![];
        // What stands over several keys in a row is said of each.
        let mut shared: Vec<Piece> = vec![];
        for line in file.lines() {
            if let Some(headline) = line.strip_prefix("# ──") {
                headline.trim_matches(['─', ' ']).clone_into(&mut chapter);
                comment.clear();
                if chapter == EXAMPLE {
                    break;
                }
            } else if let Some(text) = line.strip_prefix('#') {
                comment.push(text.strip_prefix(' ').unwrap_or(text));
            } else if line.is_empty() {
                shared.clear();
            } else {
                if !comment.is_empty() {
                    shared = pieces(&std::mem::take(&mut comment));
                }
                let is_section = line.starts_with('[');
                let key = match line.split_once('=') {
                    Some((key, _)) if !is_section => Some(key.trim().to_owned()),
                    Some(_) | None => None,
                };
                if is_section {
                    line.trim_matches(['[', ']']).clone_into(&mut section);
                }
                let (chapter, section, line) = (chapter.clone(), section.clone(), line.to_owned());
                let text = shared.clone();
                reference.add(Entry { chapter, section, key, line, text });
                if is_section {
                    shared.clear();
                }
            }
        }
        reference
    }

    /// Sections and keys that were there before are examples.
    fn add(&mut self, entry: Entry) {
        let same = |other: &Entry| other.section == entry.section && other.key == entry.key;
        if !self.entries.iter().any(same) {
            self.entries.push(entry);
        }
    }
}

impl Entry {
    fn choice(&self, wanted: &str) -> Option<String> {
        self.text.iter().find_map(|piece| match piece {
            Piece::Choice { name, meaning } if name == wanted => Some(meaning.clone()),
            Piece::Choice { .. } | Piece::Paragraph(_) => None,
        })
    }
}

/// The description as text: paragraphs and choices on lines of their own; what describes the keys of a table is
/// left to those.
fn plain(text: &[Piece]) -> String {
    let line = |piece: &Piece| match piece {
        Piece::Paragraph(text) => Some(text.clone()),
        Piece::Choice { name, meaning } if name.starts_with('"') => Some(format!("{name}: {meaning}")),
        Piece::Choice { .. } => None,
    };
    text.iter().filter_map(line).collect::<Vec<_>>().join("\n")
}

/// A comment whose lines were broken to fit: a line that is moved to the right begins a choice, one that is moved
/// further goes on with it.
fn pieces(comment: &[&str]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = vec![];
    for line in comment {
        let text = line.trim_start();
        match (line.len() - text.len(), pieces.last_mut()) {
            (_, _) if text.is_empty() => {}
            (0, Some(Piece::Paragraph(before))) => *before = format!("{before} {text}"),
            (0, _) => pieces.push(Piece::Paragraph(text.to_owned())),
            (3.., Some(Piece::Choice { meaning, .. })) => *meaning = format!("{meaning} {text}"),
            (_, _) => {
                let (name, meaning) = text.split_once("  ").unwrap_or((text, ""));
                let (name, meaning) = (name.to_owned(), meaning.trim_start().to_owned());
                pieces.push(Piece::Choice { name, meaning });
            }
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_found_with_their_keys() {
        let text = "# The head\n\n# ── Doors ──\n#\n# Over the\n# section.\n#   tls  \"a\": one,\n#        two\n\n\
                    [[door]]\ntls = 1\n\n# Both.\n#   \"x\"  means x\nfirst = 1\nsecond = 2\n\nthird = 3\n[[door]]\ntls = 2\n";
        let reference = Reference::parse(text);
        let keys: Vec<_> = reference.entries.iter().map(|entry| entry.key.as_deref()).collect();
        assert_eq!(keys, [None, Some("tls"), Some("first"), Some("second"), Some("third")]);
        assert_eq!(reference.entries[0].chapter, "Doors");
        assert_eq!(reference.entries[0].text[0], Piece::Paragraph("Over the section.".into()));
        assert_eq!(reference.describe("door", "tls").unwrap(), "\"a\": one, two");
        assert_eq!(reference.describe("door", "first").unwrap(), "Both.\n\"x\": means x");
        assert_eq!(reference.describe("door", "second"), reference.describe("door", "first"));
        assert_eq!(reference.describe("door", "third"), None);
    }
}
