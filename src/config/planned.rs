//! Keys that the documentation of the whole product names and whose features are not built yet. Taking them
//! silently would let an administrator believe in a protection that is not there.

/// A key that is an error until its feature is built.
pub(super) struct Planned {
    /// The key.
    pub(super) key: &'static str,
}

impl Planned {
    /// Named `key`.
    pub(super) const fn key(key: &'static str) -> Self {
        Self { key }
    }

    /// What to tell.
    pub(super) fn refusal(&self, section: &str) -> String {
        let key = self.key;
        let place = if section.starts_with('[') { format!(" in `{section}`") } else { String::new() };
        format!("`{key}`{place} is not built yet\nhint: remove it")
    }
}
