//! Keys that the documentation of the whole product names and whose features are not built yet. Taking them
//! silently would let an administrator believe in a protection that is not there.

use toml::de::DeValue;

/// A key that is an error until its feature is built.
pub(super) struct Planned {
    /// The key.
    pub(super) key: &'static str,
    /// The value that asks for nothing, if there is one: it may stand in the file.
    pub(super) off: Off,
}

/// The value by which a feature is not asked for.
pub(super) enum Off {
    /// There is none.
    Never,
    /// `[]` or `""`
    Empty,
}

impl Planned {
    /// A key without a value that asks for nothing.
    pub(super) const fn key(key: &'static str) -> Self {
        Self { key, off: Off::Never }
    }

    /// Whether `value` asks for nothing.
    pub(super) fn is_off(&self, value: &DeValue<'_>) -> bool {
        match self.off {
            Off::Never => false,
            Off::Empty => {
                value.as_str().is_some_and(str::is_empty)
                    || value.as_array().is_some_and(|list| list.is_empty())
            }
        }
    }

    /// What to tell.
    pub(super) fn refusal(&self, section: &str) -> String {
        let key = self.key;
        let place = if section.starts_with('[') { format!(" in `{section}`") } else { String::new() };
        let hint = match self.off {
            Off::Never => "remove it",
            Off::Empty => "remove it or leave it empty",
        };
        format!("`{key}`{place} is not built yet\nhint: {hint}")
    }
}
