//! `[upstream.master]`: logging in upstream as a master user.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::paths;

/// `[upstream.master]`
#[derive(Clone, Debug)]
pub struct Master {
    /// The master user's name.
    pub user: String,
    /// The file that holds its password (first line).
    pub password_file: PathBuf,
    /// How the account is named beside it.
    pub style: MasterStyle,
}

/// How a master login names the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MasterStyle {
    /// `account<separator>master`, e.g. `separator:*`; names that hold the separator are refused.
    Separator(char),
    /// SASL PLAIN with the account as authorisation identity.
    Authzid,
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMaster {
    #[serde(deserialize_with = "user")]
    user: String,
    #[serde(deserialize_with = "paths::some_path")]
    password_file: PathBuf,
    style: MasterStyle,
}

impl RawMaster {
    pub(super) fn check(self, base: &Path) -> Master {
        let password_file = paths::resolve(base, &self.password_file);
        Master { user: self.user, password_file, style: self.style }
    }
}

impl From<&Master> for RawMaster {
    fn from(master: &Master) -> Self {
        Self { user: master.user.clone(), password_file: master.password_file.clone(), style: master.style }
    }
}

fn user<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(D::Error::custom("is no user name\nhint: write the master user's name"));
    }
    Ok(text)
}

impl<'de> Deserialize<'de> for MasterStyle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut separator = text.strip_prefix("separator:").unwrap_or_default().chars();
        match (text.as_str(), separator.next(), separator.next()) {
            ("authzid", _, _) => Ok(Self::Authzid),
            (_, Some(one), None) if one.is_ascii_punctuation() && !"@.-_\"\\".contains(one) => {
                Ok(Self::Separator(one))
            }
            _ => Err(D::Error::custom(format!(
                "`{text}` is no style\nhint: write `separator:*`, with the sign that your server was told (no letter, digit or `@ . - _ \" \\`), or `authzid`"
            ))),
        }
    }
}

impl Serialize for MasterStyle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Separator(sign) => serializer.collect_str(&format_args!("separator:{sign}")),
            Self::Authzid => serializer.serialize_str("authzid"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_style_is_a_separator_that_no_name_holds_or_authzid() {
        let read = |style: &str| {
            toml::from_str::<RawMaster>(&format!("user = 'p'\npassword_file = 'f'\nstyle = '{style}'"))
                .map(|master| master.style)
        };
        assert_eq!(read("separator:*").unwrap(), MasterStyle::Separator('*'));
        assert_eq!(read("authzid").unwrap(), MasterStyle::Authzid);
        for bad in ["separator:", "separator:**", "separator:@", "separator:a", "separator:é", "*", ""] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
