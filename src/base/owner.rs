//! Who files belong to. A command that root runs beside `serve`, which runs as somebody else, must leave nothing
//! that `serve` cannot open: what is made in a directory belongs to whom the directory belongs.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;

/// Gives what was just `made` in `directory` to the directory's owner and group.
///
/// Only root may give files away; for everybody else this does nothing, and need not. It never follows a symbolic
/// link: whoever owns the directory could have put one there, and would be given what it leads to.
pub fn follow(directory: &Path, made: &Path) {
    let owner = |metadata: fs::Metadata| (metadata.uid(), metadata.gid());
    let wanted = fs::metadata(directory).map(owner);
    let has: io::Result<_> = fs::symlink_metadata(made).map(owner);
    // Asked first: the service's sandbox may forbid even to try.
    if let (Ok(wanted), Ok(has)) = (wanted, has)
        && wanted != has
    {
        let _ = lchown(made, Some(wanted.0), Some(wanted.1));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_a_link_leads_to_is_never_given_away() {
        let (directory, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        if lchown(directory.path(), Some(65534), Some(65534)).is_err() {
            return; // only root can give anything away
        }
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        let secret = elsewhere.path().join("secret");
        fs::write(&file, "").unwrap();
        fs::write(&secret, "").unwrap();
        symlink(&secret, &link).unwrap();
        for made in [&file, &link] {
            follow(directory.path(), made);
        }
        let owner = |path: &Path| fs::metadata(path).unwrap().uid();
        assert_eq!((owner(&file), owner(&secret)), (65534, 0));
    }
}
