//! What people call things of theirs: an app password, a second factor.
//!
//! Hostile, as everything typed: whoever shows a name escapes it.

/// The longest name, in characters: it has to fit a line of a list.
pub const GIVEN_NAME_MAX: usize = 64;

/// Why text is no name for anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// Nothing but blanks.
    #[error("the name is empty")]
    Empty,
    /// Too long, or not for a line.
    #[error("the name is longer than {GIVEN_NAME_MAX} characters or holds control characters")]
    Unfit,
}

/// `typed` without blanks around it, if it can be a name.
///
/// # Errors
/// [`BadName`]
pub fn given_name(typed: &str) -> Result<&str, BadName> {
    let name = typed.trim();
    if name.is_empty() {
        return Err(BadName::Empty);
    }
    if name.chars().count() > GIVEN_NAME_MAX || name.chars().any(char::is_control) {
        return Err(BadName::Unfit);
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_line_of_64_characters_at_most() {
        assert_eq!(given_name(" 办公室的 Foxmail "), Ok("办公室的 Foxmail"));
        assert_eq!(given_name(&"名".repeat(GIVEN_NAME_MAX)).map(str::len), Ok(3 * GIVEN_NAME_MAX));
        assert_eq!(given_name(&"n".repeat(GIVEN_NAME_MAX + 1)), Err(BadName::Unfit));
        assert_eq!(given_name("two\nlines"), Err(BadName::Unfit));
        for empty in ["", " \t"] {
            assert_eq!(given_name(empty), Err(BadName::Empty));
        }
    }
}
