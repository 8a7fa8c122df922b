//! Failures as the shell and its user see them: an exit code, one clear line, the causes below it, then what
//! to do about it.

use std::fmt::Write as _;
use std::process::ExitCode;

use crate::account::AccountError;
use crate::app_password::{CreateError, RevokeError};
use crate::gate::EndError;

/// A failure that has an exit code of its own. Every other one exits with 1.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The command was not called as it must be: 2.
    #[error("{0}")]
    Usage(String),
    /// What it is about does not exist: 3.
    #[error("{0}")]
    NotFound(String),
    /// The rules say no: 4.
    #[error("{0}")]
    Refused(String),
    /// Nobody reads what is printed (`| head`): nothing to say, and no failure of ours.
    #[error("nobody reads the output")]
    PipeClosed,
}

impl Failure {
    /// A wrong call; a hint follows on a line of its own.
    pub(super) fn usage(text: impl Into<String>) -> anyhow::Error {
        Self::Usage(text.into()).into()
    }

    /// Something that the rules do not allow; a hint follows on a line of its own.
    pub(super) fn refused(text: impl Into<String>) -> anyhow::Error {
        Self::Refused(text.into()).into()
    }

    /// Something that is not there; a hint follows on a line of its own.
    pub(super) fn not_found(text: impl Into<String>) -> anyhow::Error {
        Self::NotFound(text.into()).into()
    }
}

/// Prints what went wrong, and says how to exit.
pub(super) fn report(error: &anyhow::Error) -> ExitCode {
    let code = code(error);
    if code != 0 {
        complain(&describe(error));
    }
    ExitCode::from(code)
}

/// Writes to stderr, where whoever pipes the output still sees it.
pub(super) fn complain(text: &str) {
    use std::io::Write as _;
    // a closed stderr leaves nobody to tell
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

fn code(error: &anyhow::Error) -> u8 {
    let of = |cause: &(dyn std::error::Error + 'static)| {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return Some(match failure {
                Failure::Usage(_) => 2,
                Failure::NotFound(_) => 3,
                Failure::Refused(_) => 4,
                Failure::PipeClosed => 0,
            });
        }
        if let Some(EndError::NotFound(_)) = cause.downcast_ref::<EndError>() {
            return Some(3);
        }
        match (
            cause.downcast_ref::<AccountError>(),
            cause.downcast_ref::<RevokeError>(),
            cause.downcast_ref::<CreateError>(),
        ) {
            (Some(AccountError::NotFound(_)), _, _) | (_, Some(RevokeError::NotFound), _) => Some(3),
            (_, _, Some(CreateError::Invalid(_))) => Some(2),
            (_, _, Some(CreateError::LimitReached(_))) => Some(4),
            _ => None,
        }
    };
    error.chain().find_map(of).unwrap_or(1)
}

/// The failure, its causes, and every hint on the way, hints last.
fn describe(error: &anyhow::Error) -> String {
    let mut hints = vec![];
    let mut text = String::new();
    let mut last = String::new();
    for cause in error.chain() {
        let said = cause.to_string();
        if said == last {
            continue; // a transparent wrapper
        }
        let (message, hint) = split_hint(&said);
        let label = if text.is_empty() { "error: " } else { "  caused by: " };
        let _ = writeln!(text, "{label}{message}");
        hints.extend(hint.map(str::to_owned));
        last = said;
    }
    for hint in hints {
        let _ = writeln!(text, "hint: {hint}");
    }
    text.trim_end().to_owned()
}

/// A text with one hint at its end; lists with a hint for each item stay as they are.
fn split_hint(text: &str) -> (&str, Option<&str>) {
    match text.split_once("\nhint: ") {
        Some((message, hint)) => (message, Some(hint)),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_stand_below_the_failure_and_hints_below_the_causes() {
        let error = Failure::not_found("there is no `a`\nhint: make one");
        let error = error.context("cannot show `a`");
        assert_eq!(describe(&error), "error: cannot show `a`\n  caused by: there is no `a`\nhint: make one");
    }

    #[test]
    fn exit_codes_are_found_below_added_context() {
        assert_eq!(code(&Failure::not_found("x").context("y")), 3);
        assert_eq!(code(&Failure::usage("x")), 2);
        assert_eq!(code(&CreateError::LimitReached(20).into()), 4);
        assert_eq!(code(&anyhow::anyhow!("x")), 1);
    }
}
