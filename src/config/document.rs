//! The file as a tree whose every node knows its line, and its sections as typed raw forms.
//!
//! `serde` stops at the first thing it dislikes. Here the key at fault is noted, left out, and the section
//! read again, so that an administrator hears of all mistakes at once. A raw form is handed on only when
//! nothing in its section was wrong.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::planned::Planned;
use super::problem::{ConfigError, Problem};

/// What stands in one section, keys and value types checked, not yet looked at as a whole.
pub(super) trait Raw: DeserializeOwned {
    /// Keys of the contract that this section will have once their features are built.
    const PLANNED: &'static [Planned] = &[];
}

/// A table of the file and the name by which its administrator knows it.
#[derive(Clone)]
pub(super) struct Section<'t> {
    /// `[server]`, `[[listener]]`, …
    pub(super) name: String,
    /// Where it begins.
    pub(super) span: Range<usize>,
    /// What it holds.
    pub(super) table: DeTable<'t>,
}

/// The text and what was found wrong with it.
pub(super) struct Document<'t> {
    text: &'t str,
    problems: Vec<Problem>,
    /// The first file named in this one in which something is wrong, and what.
    elsewhere: Option<(PathBuf, Vec<Problem>)>,
}

impl<'t> Document<'t> {
    /// Parses the text as TOML; the first section is the file itself.
    pub(super) fn parse(text: &'t str) -> (Self, Section<'t>) {
        let (tree, errors) = DeTable::parse_recoverable(text);
        let mut document = Self { text, problems: vec![], elsewhere: None };
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            let mut said = lower_first(error.message());
            if said == "duplicate key" {
                said = format!("{said} `{}`", text.get(span.clone()).unwrap_or_default());
            }
            document.problem(&span, &format!("not TOML: {said}"));
        }
        let root = Section { name: "the file".into(), span: tree.span(), table: tree.into_inner() };
        (document, root)
    }

    /// Notes a problem at a place; a hint follows its message on a line of its own.
    pub(super) fn problem(&mut self, span: &Range<usize>, text: &str) {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        self.problems.push(Problem::new(1 + before.matches('\n').count(), text));
    }

    /// Notes problems in a file that this one names.
    pub(super) fn problems_in(&mut self, file: &Path, problems: Vec<Problem>) {
        self.elsewhere.get_or_insert_with(|| (file.to_owned(), problems));
    }

    /// Whether nothing was found wrong so far.
    pub(super) fn is_clean(&self) -> bool {
        self.problems.is_empty() && self.elsewhere.is_none()
    }

    /// What was found wrong in this file, which is at `path`, in its order; else what was found wrong elsewhere.
    pub(super) fn into_error(mut self, path: &Path) -> ConfigError {
        match self.elsewhere {
            Some((path, problems)) if self.problems.is_empty() => ConfigError::Invalid { path, problems },
            Some(_) | None => {
                self.problems.sort_by_key(|problem| problem.line);
                ConfigError::Invalid { path: path.to_owned(), problems: self.problems }
            }
        }
    }

    /// Takes `[key]` out of `parent` and reads it; a section that is not there reads as an empty one.
    pub(super) fn section<R: Raw>(&mut self, parent: &mut Section<'t>, key: &str) -> Option<R> {
        self.spanned_section(parent, key).map(|(_, raw)| raw)
    }

    /// The same, and where it stands.
    pub(super) fn spanned_section<R: Raw>(
        &mut self,
        parent: &mut Section<'t>,
        key: &str,
    ) -> Option<(Range<usize>, R)> {
        let section = self.take_table(parent, key)?;
        self.read(&section).map(|raw| (section.span, raw))
    }

    /// Takes every `[[key]]` out of `parent`, called `name`, and reads them; with where they stand.
    pub(super) fn sections<R: Raw>(
        &mut self,
        parent: &mut Section<'t>,
        key: &str,
        name: &str,
    ) -> Vec<(Range<usize>, R)> {
        let sections = self.take_tables(parent, key, name);
        sections.into_iter().filter_map(|s| self.read(&s).map(|raw| (s.span, raw))).collect()
    }

    /// Takes `[key]` out of `parent`; one that is not there is empty.
    pub(super) fn take_table(&mut self, parent: &mut Section<'t>, key: &str) -> Option<Section<'t>> {
        let name = format!("[{key}]");
        match parent.table.remove(key) {
            Some(value) => self.as_section(value, name),
            None => Some(Section { name, span: 0..0, table: DeTable::new() }),
        }
    }

    fn take_tables(&mut self, parent: &mut Section<'t>, key: &str, name: &str) -> Vec<Section<'t>> {
        let Some(value) = parent.table.remove(key) else { return vec![] };
        let span = value.span();
        match value.into_inner() {
            DeValue::Array(items) => {
                items.into_iter().filter_map(|item| self.as_section(item, name.to_owned())).collect()
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => {
                self.problem(&span, &format!("`{key}` is a list of sections\nhint: write `{name}`"));
                vec![]
            }
        }
    }

    /// Takes every `[key."name"]` out of the section `[key]`.
    pub(super) fn take_named_tables(
        &mut self,
        section: &mut Section<'t>,
        key: &str,
    ) -> Vec<(String, Section<'t>)> {
        let names: Vec<String> = section
            .table
            .iter()
            .filter(|(_, value)| value.get_ref().is_table())
            .map(|(name, _)| name.get_ref().to_string())
            .collect();
        let take = |name: String| {
            let value = section.table.remove(name.as_str())?;
            let taken = self.as_section(value, format!("[{key}.\"{name}\"]"))?;
            Some((name, taken))
        };
        names.into_iter().filter_map(take).collect()
    }

    /// Notes what is left in a section whose every known key was taken out.
    pub(super) fn refuse_rest(&mut self, section: &Section<'t>, known: &[&str], planned: &[Planned]) {
        for key in section.table.keys() {
            match planned.iter().find(|planned| planned.key == key.get_ref()) {
                Some(planned) => self.problem(&key.span(), &planned.refusal(&section.name)),
                None => self.problem(&key.span(), &unknown_key(key.get_ref(), &section.name, known)),
            }
        }
    }

    /// Reads a section as `R`. `None`: something in it was wrong, and is noted.
    pub(super) fn read<R: Raw>(&mut self, section: &Section<'t>) -> Option<R> {
        let mut table = section.table.clone();
        let before = self.problems.len();
        for planned in R::PLANNED {
            if let Some((key, _)) = table.remove_entry(planned.key) {
                self.problem(&key.span(), &planned.refusal(&section.name));
            }
        }
        let mut left_out: Vec<String> = vec![];
        loop {
            let value = Spanned::new(section.span.clone(), DeValue::Table(table.clone()));
            let error = match R::deserialize(ValueDeserializer::from(value)) {
                Ok(raw) => return (self.problems.len() == before).then_some(raw),
                Err(error) => error,
            };
            let span = error.span().unwrap_or_else(|| section.span.clone());
            let path = path_at(&table, span.start).unwrap_or_default();
            let complaint = Complaint::read(error.message());
            if !matches!(complaint, Complaint::Missing(key) if left_out.iter().any(|left| left == key)) {
                self.problem(&span, &complaint.explain(&path, &section.name));
            }
            if let Complaint::Unknown { key, known } = &complaint {
                // the key that was meant is not missing too
                left_out.extend(nearest(key, known).map(str::to_owned));
            }
            match path.into_iter().next() {
                Some(key) if table.remove(key.as_str()).is_some() => left_out.push(key),
                _ => return None,
            }
        }
    }

    fn as_section(&mut self, value: Spanned<DeValue<'t>>, name: String) -> Option<Section<'t>> {
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(table) => Some(Section { name, span, table }),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => {
                let key = name.trim_matches(['[', ']']);
                self.problem(&span, &format!("`{key}` is a section, not a value\nhint: write `{name}`"));
                None
            }
        }
    }
}

/// The keys that lead to what stands at `offset`, outermost first.
fn path_at(table: &DeTable<'_>, offset: usize) -> Option<Vec<String>> {
    table.iter().find_map(|(key, value)| {
        let inner = match value.get_ref() {
            DeValue::Table(table) => path_at(table, offset),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => None,
        };
        let here = || (key.span().contains(&offset) || value.span().contains(&offset)).then(Vec::new);
        inner.or_else(here).map(|mut path| {
            path.insert(0, key.get_ref().to_string());
            path
        })
    })
}

/// What `serde` complains of. Its texts are part of its interface in all but name; the tests below fail if
/// they change.
enum Complaint<'m> {
    Unknown { key: &'m str, known: Vec<&'m str> },
    Missing(&'m str),
    Variant { found: &'m str, known: Vec<&'m str> },
    Type { found: &'m str, expected: &'m str },
    Other(&'m str),
}

impl<'m> Complaint<'m> {
    fn read(message: &'m str) -> Self {
        let quoted = || message.split('`').skip(1).step_by(2);
        let first = || quoted().next().unwrap_or_default();
        if message.starts_with("unknown field") {
            Self::Unknown { key: first(), known: quoted().skip(1).collect() }
        } else if message.starts_with("missing field") {
            Self::Missing(first())
        } else if message.starts_with("unknown variant") {
            Self::Variant { found: first(), known: quoted().skip(1).collect() }
        } else if let Some((found, expected)) =
            message.strip_prefix("invalid type: ").and_then(|rest| rest.rsplit_once(", expected "))
        {
            Self::Type { found, expected }
        } else {
            Self::Other(message)
        }
    }

    fn explain(&self, path: &[String], section: &str) -> String {
        let dotted = path.join(".");
        match self {
            Self::Unknown { key, known } => match path {
                [outer @ .., _] if !outer.is_empty() => {
                    unknown_key(key, &format!("{section} `{}`", outer.join(".")), known)
                }
                _ => unknown_key(key, section, known),
            },
            Self::Missing(key) => {
                let place =
                    if path.is_empty() { tick(section) } else { format!("`{dotted}` of `{section}`") };
                format!(
                    "key `{key}` is missing in {place}\nhint: add it; `config/mailward.toml` describes it"
                )
            }
            Self::Variant { found, known } => {
                let hint = nearest(found, known)
                    .map_or_else(String::new, |near| format!("\nhint: did you mean `{near}`?"));
                format!(
                    "`{found}` is no value for `{dotted}` in `{section}`; expected {}{hint}",
                    alternatives(known)
                )
            }
            Self::Type { found, expected } => {
                format!("`{dotted}` in `{section}` is {}; expected {}", noun(found), noun(expected))
            }
            Self::Other(message) => format!("`{dotted}` in `{section}`: {message}"),
        }
    }
}

fn unknown_key(key: &str, section: &str, known: &[&str]) -> String {
    let hint = match nearest(key, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", alternatives(known)),
    };
    format!("unknown key `{key}` in {}\nhint: {hint}", tick(section))
}

/// `[[upstream]] `imap`` has its ticks already.
fn tick(section: &str) -> String {
    match section.split_once(' ') {
        Some((section, rest)) if section.starts_with('[') => format!("{rest} of `{section}`"),
        Some(_) => section.to_owned(),
        None => format!("`{section}`"),
    }
}

/// The one of `known` that was meant, if any is like it.
pub(super) fn nearest<'k>(found: &str, known: &[&'k str]) -> Option<&'k str> {
    known
        .iter()
        .map(|known| (strsim::jaro_winkler(found, known), *known))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

/// A list of names.
pub(super) fn alternatives(known: &[&str]) -> String {
    known.iter().map(|known| format!("`{known}`")).collect::<Vec<_>>().join(", ")
}

/// `serde` names types as programmers do.
fn noun(kind: &str) -> String {
    match kind {
        "sequence" | "a sequence" => "a list".into(),
        "map" | "a map" => "a table".into(),
        "path string" => "a path".into(),
        "i64" | "u32" | "a nonzero u32" => "a whole number".into(),
        other if other.starts_with("struct ") => "a table".into(),
        other => match other.split_once(' ') {
            Some(("integer", value)) => format!("the number {value}"),
            Some(("string", value)) => format!("the text {value}"),
            Some(("boolean", value)) => value.to_owned(),
            Some(("floating", _)) => "a fraction".into(),
            _ => other.to_owned(),
        },
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

/// The keys that a raw form has, asked of itself.
#[cfg(test)]
pub(super) fn keys_of<R: Raw>() -> Vec<String> {
    let probe = "a-key-that-nobody-has = 0";
    let (_, section) = Document::parse(probe);
    let value = Spanned::new(section.span.clone(), DeValue::Table(section.table));
    match R::deserialize(ValueDeserializer::from(value)) {
        Ok(_) => panic!("a raw form takes unknown keys"),
        Err(error) => match Complaint::read(error.message()) {
            Complaint::Unknown { known, .. } => known.into_iter().map(str::to_owned).collect(),
            Complaint::Missing(_)
            | Complaint::Variant { .. }
            | Complaint::Type { .. }
            | Complaint::Other(_) => panic!("{error}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Door {
        address: String,
        tls: Tls,
        count: Option<u32>,
        inner: Option<Inner>,
    }

    #[derive(serde::Deserialize, Debug)]
    #[serde(rename_all = "lowercase")]
    enum Tls {
        Implicit,
        Starttls,
    }

    #[derive(serde::Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Inner {
        address: Vec<String>,
    }

    impl Raw for Door {}

    fn problems(text: &str) -> Vec<String> {
        let (mut document, mut root) = Document::parse(text);
        for section in document.take_tables(&mut root, "door", "[[door]]") {
            document.read::<Door>(&section);
        }
        document.refuse_rest(&root, &["door"], &[]);
        match document.into_error(Path::new("m.toml")) {
            ConfigError::Invalid { problems, .. } => problems.iter().map(ToString::to_string).collect(),
            ConfigError::Read { .. } => vec![],
        }
    }

    #[test]
    fn every_mistake_of_a_section_is_told_with_its_line() {
        let text = "[[door]]\nadress = 'a'\naddress = 993\ntls = 'implict'\ninner = { addres = [] }\n";
        assert_eq!(
            problems(text),
            [
                "line 2: unknown key `adress` in `[[door]]`\nhint: did you mean `address`?",
                "line 3: `address` in `[[door]]` is the number `993`; expected a string",
                "line 4: `implict` is no value for `tls` in `[[door]]`; expected `implicit`, `starttls`\nhint: did you mean `implicit`?",
                "line 5: unknown key `addres` in `inner` of `[[door]]`\nhint: did you mean `address`?",
            ]
        );
    }

    #[test]
    fn a_missing_key_and_a_section_of_the_wrong_shape_are_told() {
        assert_eq!(
            problems("[[door]]\ntls = 'implicit'\n"),
            [
                "line 1: key `address` is missing in `[[door]]`\nhint: add it; `config/mailward.toml` describes it"
            ]
        );
        assert_eq!(problems("[door]\n"), ["line 1: `door` is a list of sections\nhint: write `[[door]]`"]);
        assert_eq!(
            problems("\n[dor]\n"),
            ["line 2: unknown key `dor` in the file\nhint: did you mean `door`?"]
        );
        assert!(problems("a = \n")[0].starts_with("line 1: not TOML: "), "{:?}", problems("a = \n"));
    }

    #[test]
    fn a_misspelled_key_is_one_mistake() {
        assert_eq!(
            problems("[[door]]\nadress = 'a'\ntls = 'implicit'\n"),
            ["line 2: unknown key `adress` in `[[door]]`\nhint: did you mean `address`?"]
        );
    }

    #[test]
    fn a_raw_form_knows_its_keys() {
        assert_eq!(keys_of::<Door>(), ["address", "tls", "count", "inner"]);
    }
}
