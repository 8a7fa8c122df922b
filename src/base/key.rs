//! The site's key file: 32 random bytes on the gate's disk, from which keys for single purposes are derived.
//!
//! It authenticates what the database holds (rows, audit heads) and encrypts second-factor secrets. It opens
//! no mailbox password: those are sealed to app passwords.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::{new_file, owner, random, secret::Secret};

/// Bytes in the key file and in every derived key.
pub const KEY_LEN: usize = 32;

/// What a derived key is for; each purpose has a key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// MAC over app-password rows.
    AppPasswordRow,
    /// Encryption of second-factor secrets.
    FactorSecret,
    /// MAC over the heads of audit chains.
    AuditHead,
    /// What shows that a database was used with this key file.
    KeyCheck,
    /// Keyed hash of names that belong to no account, in the audit trail.
    UnknownName,
    /// What is kept of a recovery code.
    RecoveryCode,
    /// MAC over portal sessions.
    PortalSession,
    /// MAC over trusted devices.
    TrustedDevice,
    /// What shows that a form is one that the portal gave to this browser.
    PortalForm,
    /// MAC over enrolment links.
    EnrolmentLink,
    /// MAC over notices that wait to be sent.
    Notice,
    /// What is kept of a browser that somebody signed in with.
    KnownBrowser,
    /// The site's part in the key of what a phone fetches to set itself up.
    Profile,
    /// Encryption of what a browser keeps that is asked for any passkey.
    PasskeyChallenge,
}

impl Purpose {
    fn info(self) -> &'static [u8] {
        match self {
            Self::AppPasswordRow => b"mailward 1 app-password row",
            Self::FactorSecret => b"mailward 1 factor secret",
            Self::AuditHead => b"mailward 1 audit head",
            Self::KeyCheck => b"mailward 1 key check",
            Self::UnknownName => b"mailward 1 unknown name",
            Self::RecoveryCode => b"mailward 1 recovery code",
            Self::PortalSession => b"mailward 1 portal session",
            Self::TrustedDevice => b"mailward 1 trusted device",
            Self::PortalForm => b"mailward 1 portal form",
            Self::EnrolmentLink => b"mailward 1 enrolment link",
            Self::Notice => b"mailward 1 notice",
            Self::KnownBrowser => b"mailward 1 known browser",
            Self::Profile => b"mailward 1 profile",
            Self::PasskeyChallenge => b"mailward 1 passkey challenge",
        }
    }
}

/// The content of the key file.
#[derive(Debug)]
pub struct SiteKey(Secret);

/// Why the key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// Reading or creating failed.
    #[error("cannot use the key file `{path}`")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Not [`KEY_LEN`] bytes.
    #[error(
        "the key file `{path}` holds {len} bytes instead of {KEY_LEN}\nhint: restore it from a backup; without it bound second factors cannot be read"
    )]
    WrongLength {
        /// The file.
        path: PathBuf,
        /// Its length.
        len: usize,
    },
    /// Group or others may read it.
    #[error("the key file `{path}` can be read by others (mode {mode:03o})\nhint: chmod 600 {path}")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

impl SiteKey {
    /// A key from memory, for tests and `init`.
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
        Self(Secret::new(bytes.to_vec()))
    }

    /// Reads the key file, or creates it with mode 0600 where there is none.
    ///
    /// Creation is exclusive: of two processes that start at once, the second reads what the first wrote.
    ///
    /// # Errors
    /// [`KeyFileError`] when it cannot be read or written, has another length, or others may read it.
    pub fn open_or_create(path: &Path) -> Result<Self, KeyFileError> {
        let io_error = |source| KeyFileError::Io { path: path.to_owned(), source };
        match Self::create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other.map_err(io_error),
        }
        let file = File::open(path).map_err(io_error)?;
        let mode = file.metadata().map_err(io_error)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyFileError::Exposed { path: path.to_owned(), mode });
        }
        let mut bytes = Vec::with_capacity(KEY_LEN + 1);
        file.take(KEY_LEN as u64 + 1).read_to_end(&mut bytes).map_err(io_error)?;
        let len = bytes.len();
        let secret = Secret::new(bytes);
        if len == KEY_LEN {
            Ok(Self(secret))
        } else {
            Err(KeyFileError::WrongLength { path: path.to_owned(), len })
        }
    }

    fn create(path: &Path) -> io::Result<Self> {
        if path.exists() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let key = Self::from_bytes(random::bytes());
        new_file::create(path, key.0.expose(), 0o600, |made| {
            owner::follow(new_file::directory_of(path), made);
            Ok(())
        })?;
        Ok(key)
    }

    /// The key for one purpose, [`KEY_LEN`] bytes (HKDF-SHA-256, RFC 5869).
    #[must_use]
    pub fn derive(&self, purpose: Purpose) -> Secret {
        let mut out = vec![0; KEY_LEN];
        #[expect(
            clippy::expect_used,
            reason = "HKDF-SHA-256 gives up to 8,160 bytes, 32 always fit (RFC 5869 section 2.3)"
        )]
        Hkdf::<Sha256>::new(None, self.0.expose()).expand(purpose.info(), &mut out).expect("32 bytes fit");
        Secret::new(out)
    }

    /// [`HashKey::hash`] of `parts` under the key of `purpose`.
    #[must_use]
    pub fn mac(&self, purpose: Purpose, parts: &[&[u8]]) -> [u8; 32] {
        HashKey::new(&self.derive(purpose)).hash(parts)
    }

    /// Whether `tag` is [`SiteKey::mac`] of `parts`, in constant time.
    #[must_use]
    pub fn verify(&self, purpose: Purpose, parts: &[&[u8]], tag: &[u8]) -> bool {
        self.mac(purpose, parts).ct_eq(tag).into()
    }
}

/// A key for many hashes: half of the work that each would take is done once (RFC 2104 section 4). Wiped when it is
/// dropped.
pub struct HashKey(Hmac<Sha256>);

impl HashKey {
    /// Of a key of any length.
    #[must_use]
    pub fn new(key: &Secret) -> Self {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104 section 2)")]
        Self(Hmac::new_from_slice(key.expose()).expect("any length"))
    }

    /// HMAC-SHA-256 over `parts`, each preceded by its length, so that no two lists of parts read the same.
    #[must_use]
    pub fn hash(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_file_is_made_once_and_read_after() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("site.key");
        let made = SiteKey::open_or_create(&path).unwrap();
        let read = SiteKey::open_or_create(&path).unwrap();
        assert_eq!(made.derive(Purpose::AuditHead), read.derive(Purpose::AuditHead));
        assert_ne!(made.derive(Purpose::AuditHead), made.derive(Purpose::FactorSecret));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left aside");

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(SiteKey::open_or_create(&path), Err(KeyFileError::Exposed { mode: 0o640, .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, b"short").unwrap();
        assert!(matches!(SiteKey::open_or_create(&path), Err(KeyFileError::WrongLength { len: 5, .. })));
    }

    #[test]
    fn moving_a_byte_from_one_part_to_the_next_changes_the_mac() {
        let key = SiteKey::from_bytes([7; KEY_LEN]);
        let tag = key.mac(Purpose::AppPasswordRow, &[b"ab", b"c"]);
        assert!(key.verify(Purpose::AppPasswordRow, &[b"ab", b"c"], &tag));
        assert!(!key.verify(Purpose::AppPasswordRow, &[b"a", b"bc"], &tag));
        assert!(!key.verify(Purpose::AuditHead, &[b"ab", b"c"], &tag));
        assert!(!key.verify(Purpose::AppPasswordRow, &[b"ab", b"c"], &tag[..31]), "cut");
        assert!(!key.verify(Purpose::AppPasswordRow, &[b"ab", b"c"], &[]));
    }
}
