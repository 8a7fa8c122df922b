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
    pub(super) fn new(line: usize, text: &str) -> Self {
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
    if error.kind() == io::ErrorKind::NotFound {
        "\nhint: `mailward init` writes one; `--config FILE` names another"
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        "\nhint: run this with `sudo`, or as the user who runs the gate"
    } else {
        ""
    }
}

fn listed(path: &Path, problems: &[Problem]) -> String {
    let path = path.display();
    match problems {
        [only] => format!("{path}, {only}"),
        many => many.iter().fold(format!("{path} has {} problems", many.len()), |text, problem| {
            let indented = problem.to_string().replace('\n', "\n    ");
            text + "\n  " + &indented
        }),
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
    fn several_problems_are_listed_together() {
        let problems = vec![Problem::new(1, "this\nhint: mend it"), Problem::new(2, "that")];
        let error = ConfigError::Invalid { path: "m.toml".into(), problems };
        assert_eq!(
            error.to_string(),
            "m.toml has 2 problems\n  line 1: this\n    hint: mend it\n  line 2: that"
        );
    }
}
