//! Files that are there whole or not at all, and that replace nothing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::random;

/// Writes `content` to a new file at `path`, durably. It is made aside, given to whom `give` gives it, and linked
/// into place: of two who do this at once one succeeds, and a crash leaves no half of it under its name.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] where there is something at `path`, and whatever else the system says.
pub fn create(
    path: &Path,
    content: &[u8],
    mode: u32,
    give: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    // Not the process's number: what is left of one that was killed must not be in the way of the next with it.
    aside.push(format!(".new-{:016x}", u64::from_ne_bytes(random::bytes())));
    let aside = Path::new(&aside);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(aside)?;
    let linked = file
        .write_all(content)
        .and_then(|()| give(aside))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::hard_link(aside, path));
    fs::remove_file(aside)?;
    linked?;
    File::open(directory_of(path))?.sync_all()
}

/// The directory that `path` stands in.
#[must_use]
pub fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_replaced_and_nothing_is_left_aside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        create(&path, b"first", 0o600, |_| Ok(())).unwrap();
        let again = create(&path, b"second", 0o600, |_| Ok(())).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert!(create(&path.with_extension("2"), b"", 0o600, |_| Err(io::Error::other("no"))).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_bare_name_stands_in_the_current_directory() {
        assert_eq!(directory_of(Path::new("a")), Path::new("."));
        assert_eq!(directory_of(Path::new("/a")), Path::new("/"));
    }
}
