//! The system's users, as `/etc/passwd` has them: name, password, number, group, …

use std::fs;
use std::os::unix::fs::MetadataExt;

/// A user of the system.
pub(super) struct User {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl User {
    /// The one called `name`.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::find(|user| user.name == name)
    }

    /// The first one that `wanted` is true of.
    fn find(wanted: impl Fn(&Self) -> bool) -> Option<Self> {
        let users = fs::read_to_string("/etc/passwd").ok()?;
        users.lines().filter_map(Self::read).find(wanted)
    }

    fn read(line: &str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        Some(Self { name, uid: fields.nth(1)?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    }
}

/// The number of the user whose process this is.
pub(super) fn own_uid() -> Option<u32> {
    fs::metadata("/proc/self").ok().map(|process| process.uid())
}

/// Who is responsible: the person behind `sudo`, else the user whose process this is.
pub(super) fn responsible() -> String {
    let Some(uid) = own_uid() else { return "unknown".into() };
    let sudo = std::env::var("SUDO_USER").ok().filter(|name| uid == 0 && !name.is_empty());
    let own = || User::find(|user| user.uid == uid).map(|user| user.name);
    sudo.or_else(own).unwrap_or_else(|| format!("user {uid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_read_as_the_system_writes_them() {
        let root = User::named("root").unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        let user = User::read("mailward:x:997:995::/var/lib/mailward:/usr/sbin/nologin").unwrap();
        assert_eq!((user.name.as_str(), user.uid, user.gid), ("mailward", 997, 995));
        for odd in ["", "+", "x:x:y:1::", "#"] {
            assert!(User::read(odd).is_none(), "{odd}");
        }
    }
}
