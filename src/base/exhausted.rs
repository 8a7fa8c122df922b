//! What the system says when it has nothing left to give.

use std::io;

/// No descriptor (of the process, of the system) or no memory: EMFILE, ENFILE, ENOBUFS, ENOMEM of Linux,
/// which have no stable kind.
#[must_use]
pub fn is_exhausted(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(24 | 23 | 105 | 12))
}
