//! Secrets that stand in files of their own, named by `*_file` keys: never in the configuration itself.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::base::secret::PASSWORD_MAX;
use crate::base::{InvalidPassword, Password};

/// Why a secret file cannot be used. Says nothing about its content.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// Reading failed.
    #[error("cannot read the secret file `{path}`")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Everybody on the machine may read it.
    #[error(
        "the secret file `{path}` can be read by everybody (mode {mode:03o})\nhint: chmod 600 {path}, or 640 with the service's group"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Its first line is no password.
    #[error("the first line of the secret file `{path}` cannot be used")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: InvalidPassword,
    },
}

/// The first line of the file, without its line end.
///
/// Others must not read the file; its group may, because secrets are commonly laid down by root for a
/// service's group.
///
/// # Errors
/// [`SecretFileError`]
pub fn read(path: &Path) -> Result<Password, SecretFileError> {
    let io_error = |source| SecretFileError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(io_error)?;
    let mode = file.metadata().map_err(io_error)?.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        return Err(SecretFileError::Exposed { path: path.to_owned(), mode });
    }
    // room for the longest password and its line end, so that the buffer is never moved and leaves no copy
    let room = PASSWORD_MAX + 2;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(room as u64).read_to_end(&mut bytes).map_err(io_error)?;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Password::new(line.to_vec()).map_err(|source| SecretFileError::Invalid { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8], mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        file
    }

    #[test]
    fn the_secret_is_the_first_line_blanks_and_all() {
        for content in [&b" s3cret "[..], b" s3cret \n", b" s3cret \r\nmore\n"] {
            assert_eq!(read(file(content, 0o640).path()).unwrap().expose(), b" s3cret ");
        }
    }

    #[test]
    fn a_file_that_everybody_can_read_is_refused() {
        let error = read(file(b"s3cret\n", 0o644).path()).unwrap_err();
        assert!(matches!(error, SecretFileError::Exposed { mode: 0o644, .. }), "{error}");
    }

    #[test]
    fn an_empty_or_endless_line_is_refused() {
        let reason = |content: &[u8]| match read(file(content, 0o600).path()) {
            Err(SecretFileError::Invalid { source, .. }) => source,
            other => panic!("{other:?}"),
        };
        assert_eq!(reason(b""), InvalidPassword::Empty);
        assert_eq!(reason(b"\nx"), InvalidPassword::Empty);
        assert_eq!(reason(&[b'x'; 5000]), InvalidPassword::TooLong);
    }
}
