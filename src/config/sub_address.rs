//! `sub_address_delimiter` of an `[[upstream]]`: the signs behind which a server sees no more of a name.
//!
//! Where `anna+lists@example.org` reaches the mailbox of `anna@example.org`, many a server lets it log in as well. It
//! would be another account here, whose second factor nobody bound: so names that hold the sign are refused.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

/// Signs that no local part may hold; none, where the server has no sub-addresses. Several mean any of them, as in
/// the `recipient_delimiter` of Postfix and Dovecot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct SubAddressDelimiter(String);

impl SubAddressDelimiter {
    /// Whether `local` is a sub-address.
    #[must_use]
    pub fn is_in(&self, local: &str) -> bool {
        local.contains(|sign| self.0.contains(sign))
    }
}

/// `+`, which nearly all servers use that use any.
impl Default for SubAddressDelimiter {
    fn default() -> Self {
        Self("+".into())
    }
}

impl<'de> Deserialize<'de> for SubAddressDelimiter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // Without letters, digits and dots hardly anybody could log in; `@` is in every address.
        if text.chars().all(|sign| sign.is_ascii_punctuation() && !".@".contains(sign)) {
            return Ok(Self(text));
        }
        Err(D::Error::custom(format!(
            "`{text}` is no delimiter\nhint: write the sign behind which your server ignores the rest of a name, such as `+` (no letter, digit, blank, `.` or `@`), several signs where each of them does, or `\"\"` where none does"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Line {
        key: SubAddressDelimiter,
    }

    fn read(text: &str) -> Result<SubAddressDelimiter, toml::de::Error> {
        toml::from_str::<Line>(&format!("key = '{text}'")).map(|line| line.key)
    }

    #[test]
    fn each_sign_makes_a_sub_address_and_none_makes_none() {
        for (signs, local, is_in) in [
            ("+", "anna+lists", true),
            ("+", "anna-lists", false),
            ("+-", "anna-lists", true),
            ("+-", "+", true),
            ("", "anna+lists", false),
        ] {
            assert_eq!(read(signs).unwrap().is_in(local), is_in, "{signs} {local}");
        }
        assert!(SubAddressDelimiter::default().is_in("anna+lists"));
    }

    #[test]
    fn a_sign_that_all_names_need_is_no_delimiter() {
        for bad in [".", "@", "a", "7", " ", "+.", "+ ", "＋", "é"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
