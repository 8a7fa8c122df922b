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

const LOCAL: &str = "{local}";
const DOMAIN: &str = "{domain}";

impl LoginRewrite {
    /// Whether the domain is part of the login name.
    #[must_use]
    pub fn carries_domain(&self) -> bool {
        match self {
            Self::Address => true,
            Self::LocalPart => false,
            Self::Template(template) => template.contains(DOMAIN),
        }
    }

    /// The login name of `local` in `domain`.
    #[must_use]
    pub fn apply(&self, local: &str, domain: &str) -> String {
        match self {
            Self::Address => format!("{local}@{domain}"),
            Self::LocalPart => local.to_owned(),
            Self::Template(template) => {
                pieces(template).map(|piece| piece.fill(local, domain)).collect::<String>()
            }
        }
    }

    /// Whether addresses of different domains always get different login names, where the domain is part of them at
    /// all: between the two there must be a sign that tells where the domain begins or ends.
    pub(super) fn keeps_domains_apart(&self) -> bool {
        let Self::Template(template) = self else { return true };
        let mut before = None;
        let mut apart = false;
        for piece in pieces(template) {
            match piece {
                Piece::Text(text) => apart |= text.chars().any(is_in_no_domain),
                Piece::Local | Piece::Domain if before.is_some_and(|before| before != piece) && !apart => {
                    return false;
                }
                Piece::Local | Piece::Domain => (before, apart) = (Some(piece), false),
            }
        }
        true
    }
}

/// A template, taken apart in one pass, so that a name that reads like a placeholder stays as it is.
fn pieces(template: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = template;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        for (placeholder, piece) in [(LOCAL, Piece::Local), (DOMAIN, Piece::Domain)] {
            if let Some(after) = rest.strip_prefix(placeholder) {
                rest = after;
                return Some(piece);
            }
        }
        // Behind the first character, so that a brace that begins no placeholder is passed.
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let end = rest.match_indices('{').map(|(at, _)| at).find(|at| *at >= first).unwrap_or(rest.len());
        let (text, after) = rest.split_at_checked(end)?;
        rest = after;
        Some(Piece::Text(text))
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece<'t> {
    Text(&'t str),
    Local,
    Domain,
}

impl<'t> Piece<'t> {
    fn fill(self, local: &'t str, domain: &'t str) -> &'t str {
        match self {
            Self::Text(text) => text,
            Self::Local => local,
            Self::Domain => domain,
        }
    }
}

/// Others than ASCII may stand in a domain that the server knows in Unicode.
fn is_in_no_domain(sign: char) -> bool {
    sign.is_ascii_punctuation() && !"-_.".contains(sign)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> LoginRewrite {
        LoginRewrite::Template(text.into())
    }

    #[test]
    fn a_template_is_filled_in_one_pass() {
        for (text, filled) in [
            ("{local}%{domain}", "{domain}%example.org"),
            ("x-{domain}/{local}-{", "x-example.org/{domain}-{"),
            ("{{local}}", "{{domain}}"),
        ] {
            assert_eq!(template(text).apply("{domain}", "example.org"), filled, "{text}");
        }
    }

    #[test]
    fn a_template_keeps_domains_apart_by_a_sign_that_none_of_them_holds() {
        for (text, apart) in [
            ("{local}@{domain}", true),
            ("{domain}/{local}", true),
            ("x{local}-%-{domain}y", true),
            ("{local}", true),
            ("{local}.{domain}", false),
            ("{local}{domain}", false),
            ("@{domain}_{local}@", false),
            ("{domain}@{local}-{domain}", false),
        ] {
            assert_eq!(template(text).keeps_domains_apart(), apart, "{text}");
        }
    }
}
