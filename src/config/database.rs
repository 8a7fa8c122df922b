//! `[database]`

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnectOptions;

use super::document::Raw;

/// Where accounts, app passwords and the audit index are kept.
#[derive(Clone, PartialEq, Eq)]
pub enum Database {
    /// `sqlite:///path`; created where there is none.
    Sqlite(PathBuf),
    /// `postgres://…`; may hold a password, which `Debug` and `config show` mask.
    Postgres(String),
}

/// The URL, without its password.
impl std::fmt::Display for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(url) => f.write_str(&masked(url)),
        }
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "Sqlite({})", path.display()),
            Self::Postgres(_) => f.write_str("Postgres(…)"),
        }
    }
}

#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDatabase {
    #[serde(default, deserialize_with = "url", skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

impl Raw for RawDatabase {}

impl RawDatabase {
    pub(super) fn check(self, base: &Path, data_dir: &Path) -> Database {
        match self.url {
            None => Database::Sqlite(data_dir.join("mailward.db")),
            Some(url) => match sqlite_path(&url) {
                Some(path) => Database::Sqlite(base.join(path)),
                None => Database::Postgres(url),
            },
        }
    }
}

impl From<&Database> for RawDatabase {
    fn from(database: &Database) -> Self {
        Self { url: Some(database.to_string()) }
    }
}

fn sqlite_path(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("sqlite:")?;
    Some(rest.strip_prefix("//").unwrap_or(rest))
}

/// The text is never repeated in an error: it may hold a password.
fn url<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let error = serde::de::Error::custom::<&str>;
    let url = String::deserialize(deserializer)?;
    if let Some(path) = sqlite_path(&url) {
        return match path {
            "" | ":memory:" => {
                Err(error("names no file\nhint: write `sqlite:///var/lib/mailward/mailward.db`"))
            }
            path if path.contains('?') => Err(error("takes no parameters behind `?`\nhint: remove them")),
            _ => Ok(Some(url)),
        };
    }
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(error(
            "is no database URL\nhint: write `sqlite:///var/lib/mailward/mailward.db` or `postgres://user@host/database`",
        ));
    }
    postgres_options(&url).map_err(serde::de::Error::custom).map(|_| Some(url))
}

/// What a PostgreSQL URL may say behind its `?`. Others are refused, because sqlx would log them with their value,
/// and a misspelt `password=` must not end up in a log.
const URL_PARAMETERS: [&str; 12] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// How to reach the PostgreSQL of `url`.
///
/// # Errors
/// What is wrong with it, and a hint on a line of its own. The URL is not repeated: it may hold a password.
pub fn postgres_options(url: &str) -> Result<PgConnectOptions, String> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let mut keys = query.split('&').filter_map(|parameter| parameter.split('=').next());
    if keys.any(|key| !key.is_empty() && !URL_PARAMETERS.contains(&key)) {
        // Which one is not said: in a URL with an unescaped `?` it may be half of the password.
        let known = URL_PARAMETERS.join("`, `");
        return Err(format!(
            "has an unknown parameter behind `?`\nhint: known are `{known}`; in a password, write `%3F` for `?`"
        ));
    }
    url.parse().map_err(|_| {
        "is no PostgreSQL URL\nhint: write `postgres://user:password@host:5432/database`, with `%40` for `@` and `%2F` for `/` in the password".to_owned()
    })
}

/// The URL without its password, wherever it stands in it.
fn masked(url: &str) -> String {
    let (authority_and_path, query) =
        url.split_once('?').map_or((url, None), |(head, tail)| (head, Some(tail)));
    let mut text = match authority_and_path.split_once("://").and_then(|(scheme, rest)| {
        let (user_info, host) = rest.rsplit_once('@')?;
        let (user, _) = user_info.split_once(':')?;
        Some(format!("{scheme}://{user}:***@{host}"))
    }) {
        Some(masked) => masked,
        None => authority_and_path.to_owned(),
    };
    if let Some(query) = query {
        let parameters: Vec<_> = query
            .split('&')
            .map(|parameter| match parameter.split_once('=') {
                Some((name, _)) if name.eq_ignore_ascii_case("password") => "password=***",
                _ => parameter,
            })
            .collect();
        text = format!("{text}?{}", parameters.join("&"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_postgres_url_is_shown_without_its_password() {
        assert_eq!(masked("postgres://mailward:s3cret@db:5432/mail"), "postgres://mailward:***@db:5432/mail");
        assert_eq!(masked("postgres://u:a@b@db/mail"), "postgres://u:***@db/mail");
        assert_eq!(
            masked("postgres://db/mail?user=u&password=s3cret"),
            "postgres://db/mail?user=u&password=***"
        );
        assert_eq!(masked("postgres://u@db/mail"), "postgres://u@db/mail");
    }
}
