//! Whether the SQLite file that was opened is still the one that stands there.
//!
//! Somebody may take it away, or put another in its place, while it is used. SQLite goes on with the one that it has open
//! and does not notice: what is written to it then is lost with the last connection. So that counts as a database that is
//! away, until the file is back; and another in its place is not believed, for it may know nobody's second factor.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;

use super::StoreError;

/// The file that was opened; none for a database in memory. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Opened(Option<Arc<Original>>);

#[derive(Debug)]
struct Original {
    path: PathBuf,
    device: u64,
    inode: u64,
    /// Keeps the system from giving the number to another file. It names the file and does not open it: closing that would
    /// drop SQLite's locks.
    #[expect(dead_code, reason = "held for its drop")]
    named: File,
}

/// What stands there is not what was opened.
#[derive(Debug, thiserror::Error)]
#[error(
    "the database file `{0}` was removed or replaced while it is in use\nhint: put it back; or restore a backup, and restart the gate"
)]
struct Gone(PathBuf);

impl Opened {
    /// The file at `path`, which is there.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        let by_name = i32::try_from(OFlags::PATH.bits()).map_err(io::Error::other)?;
        let named = OpenOptions::new().read(true).custom_flags(by_name).open(path)?;
        let metadata = named.metadata()?;
        let original =
            Original { path: path.to_owned(), device: metadata.dev(), inode: metadata.ino(), named };
        Ok(Self(Some(Arc::new(original))))
    }

    /// Does `work` in it. Where the file is somewhere else by the end, nobody is told that it was done, though it is in that
    /// file.
    pub(super) async fn work<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.stands()?;
        let done = work.await;
        self.stands()?;
        done
    }

    /// Whether it is where it was.
    pub(super) fn stands(&self) -> Result<(), sqlx::Error> {
        let Some(original) = &self.0 else { return Ok(()) };
        match fs::metadata(&original.path) {
            Ok(there) if original.is(&there) => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            Ok(_) | Err(_) => Err(io::Error::other(Gone(original.path.clone())).into()),
        }
    }
}

impl Original {
    fn is(&self, there: &Metadata) -> bool {
        (self.device, self.inode) == (there.dev(), there.ino())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_done_while_the_file_goes_counts_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (path, away) = (folder.path().join("mailward.db"), folder.path().join("away.db"));
        fs::write(&path, "one").unwrap();
        let opened = Opened::at(&path).unwrap();
        opened.work(async { Ok(()) }).await.unwrap();
        let goes = async {
            fs::rename(&path, &away).unwrap();
            Ok(())
        };
        let error = opened.work(goes).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        let never = async { unreachable!("it is not there") };
        opened.work::<()>(never).await.unwrap_err();

        fs::remove_file(&away).unwrap();
        fs::write(&path, "another").unwrap();
        opened.stands().unwrap_err();
        Opened::default().stands().unwrap();
    }
}
