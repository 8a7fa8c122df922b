//! `login` of an `[[upstream]]`: how it wants the login name.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How the login name is spelled upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LoginRewrite {
    /// `local@domain`.
    #[default]
    Address,
    /// `local`.
    LocalPart,
    /// Text with `{local}` and `{domain}`; holds at least `{local}`.
    Template(String),
}

impl<'de> Deserialize<'de> for LoginRewrite {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let rest = text.replace("{local}", "").replace("{domain}", "");
        match text.as_str() {
            "address" => Ok(Self::Address),
            "local-part" => Ok(Self::LocalPart),
            _ if text.contains("{local}")
                && !rest.contains(['{', '}'])
                && !rest.chars().any(char::is_control) =>
            {
                Ok(Self::Template(text))
            }
            _ if text.contains(['{', '}']) => Err(D::Error::custom(format!(
                "the template `{text}` must hold `{{local}}`, may hold `{{domain}}`, and nothing else in braces\nhint: write `{{local}}%{{domain}}` or the like"
            ))),
            _ => Err(D::Error::custom(format!(
                "`{text}` is no login name\nhint: write `address`, `local-part` or a template such as `{{local}}%{{domain}}`"
            ))),
        }
    }
}

impl Serialize for LoginRewrite {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Address => "address",
            Self::LocalPart => "local-part",
            Self::Template(template) => template,
        })
    }
}
