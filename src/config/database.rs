//! `[database]`

use std::path::PathBuf;

/// Where accounts, app passwords and the audit index are kept.
#[derive(Clone)]
pub enum Database {
    /// `sqlite:///path`; created where there is none.
    Sqlite(PathBuf),
    /// `postgres://…`; may hold a password, which `Debug` and `config show` mask.
    Postgres(String),
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "Sqlite({})", path.display()),
            Self::Postgres(_) => f.write_str("Postgres(…)"),
        }
    }
}
