//! What is wrong with a configuration file, in words that its administrator can act on.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file `{path}`{}", read_hint(.source))]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It was read and is wrong.
    #[error("{}", listed(.path, .problems))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// In the order of the file; never empty.
        problems: Vec<Problem>,
    },
}

/// More of them tell an administrator nothing new.
const SHOWN: usize = 20;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// From 1.
    pub line: usize,
    /// What failed on which key: lower case, no full stop, names in backticks.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    /// Takes a message whose hint, if it has one, follows on a line of its own.
    pub(crate) fn new(line: usize, text: &str) -> Self {
        let (message, hint) = match text.split_once("\nhint: ") {
            Some((message, hint)) => (message, Some(hint.to_owned())),
            None => (text, None),
        };
        Self { line, message: message.to_owned(), hint }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\nhint: {hint}"))
    }
}

fn read_hint(error: &io::Error) -> &'static str {
    let hints = [
        (io::ErrorKind::NotFound, "\nhint: `mailward init` writes one; `--config FILE` names another"),
        (io::ErrorKind::PermissionDenied, "\nhint: run this with `sudo`, or as the user who runs the gate"),
    ];
    hints.iter().find(|(kind, _)| *kind == error.kind()).map_or("", |(_, hint)| hint)
}

fn listed(path: &Path, problems: &[Problem]) -> String {
    let path = path.display();
    match problems {
        [only] => format!("{path}, {only}"),
        many => {
            let all = format!("{path} has {} problems", many.len());
            let listed = many.iter().take(SHOWN).fold(all, |text, problem| {
                let indented = problem.to_string().replace('\n', "\n    ");
                text + "\n  " + &indented
            });
            match many.len().saturating_sub(SHOWN) {
                0 => listed,
                more => format!("{listed}\n  … and {more} more"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_problem_reads_as_one_line_and_its_hint() {
        let problem =
            Problem::new(12, "unknown key `adress` in `[[listener]]`\nhint: did you mean `address`?");
        let error = ConfigError::Invalid { path: "/etc/m.toml".into(), problems: vec![problem] };
        assert_eq!(
            error.to_string(),
            "/etc/m.toml, line 12: unknown key `adress` in `[[listener]]`\nhint: did you mean `address`?"
        );
    }

    #[test]
    fn of_very_many_problems_the_first_are_listed() {
        let problems = (1..=23).map(|line| Problem::new(line, "this")).collect();
        let told = ConfigError::Invalid { path: "m.toml".into(), problems }.to_string();
        assert!(told.starts_with("m.toml has 23 problems\n  line 1: this\n"), "{told}");
        assert!(told.ends_with("  line 20: this\n  … and 3 more"), "{told}");
    }

    #[test]
    fn several_problems_are_listed_together() {
        let problems = vec![Problem::new(1, "this\nhint: mend it"), Problem::new(2, "that")];
        let error = ConfigError::Invalid { path: "m.toml".into(), problems };
        assert_eq!(
            error.to_string(),
            "m.toml has 2 problems\n  line 1: this\n    hint: mend it\n  line 2: that"
        );
    }
}
