//! How much of a mailbox somebody may touch.

use std::fmt;
use std::str::FromStr;

/// How much of a mailbox a session may touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// All that the mail server lets its owner do.
    Full,
    /// Nothing but reading: nothing in the mailbox is changed, and nothing is sent.
    ReadOnly,
}

impl Access {
    /// Both, the larger first.
    pub const ALL: [Self; 2] = [Self::Full, Self::ReadOnly];

    /// The name used in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::ReadOnly => "read-only",
        }
    }

    /// Whether whoever may do this may do all of `other`.
    #[must_use]
    pub fn includes(self, other: Self) -> bool {
        match (self, other) {
            (Self::Full, _) | (Self::ReadOnly, Self::ReadOnly) => true,
            (Self::ReadOnly, Self::Full) => false,
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is neither `full` nor `read-only`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not `full` or `read-only`")]
pub struct UnknownAccess(pub String);

impl FromStr for Access {
    type Err = UnknownAccess;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or_else(|| UnknownAccess(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_is_written() {
        for access in Access::ALL {
            assert_eq!(access.as_str().parse(), Ok(access));
        }
        for other in ["", "Full", "read_only", "read-only "] {
            assert_eq!(other.parse::<Access>(), Err(UnknownAccess(other.to_owned())));
        }
    }

    #[test]
    fn who_may_only_read_may_not_do_everything() {
        let [full, read_only] = Access::ALL;
        assert!(full.includes(full) && full.includes(read_only) && read_only.includes(read_only));
        assert!(!read_only.includes(full));
    }
}
