//! Buffers for relays, taken when bytes wait and given back when none do: an idle session holds none.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes moved at once: one TLS record's worth (RFC 8446 section 5.1).
pub(super) const BUFFER_SIZE: usize = 16 * 1024;

/// Empty buffers kept for the next taker, 4 MiB in all. More may be in use; they are freed when given back.
const SPARE_MAX: usize = 256;

/// Where buffers come from. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Buffers(Arc<Shared>);

#[derive(Default)]
struct Shared {
    spare: Mutex<Vec<Vec<u8>>>,
    in_use: AtomicUsize,
}

/// Bytes on their way, in a buffer that goes back when dropped.
pub(super) struct Buffer {
    bytes: Vec<u8>,
    home: Buffers,
}

impl Buffers {
    /// An empty buffer with room for [`BUFFER_SIZE`] bytes.
    pub(super) fn take(&self) -> Buffer {
        let spare = self.0.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        self.0.in_use.fetch_add(1, Ordering::Relaxed);
        Buffer { bytes: spare.unwrap_or_else(|| Vec::with_capacity(BUFFER_SIZE)), home: self.clone() }
    }

    /// How many are taken.
    #[cfg(test)]
    pub(super) fn in_use(&self) -> usize {
        self.0.in_use.load(Ordering::Relaxed)
    }
}

impl Deref for Buffer {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.home.0.in_use.fetch_sub(1, Ordering::Relaxed);
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let mut spare = self.home.0.spare.lock().unwrap_or_else(PoisonError::into_inner);
        // A guard may have made it grow: keep only what is of the usual size.
        if spare.len() < SPARE_MAX && bytes.capacity() == BUFFER_SIZE {
            spare.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_goes_back_empty_and_a_grown_one_is_freed() {
        let buffers = Buffers::default();
        let (mut first, mut second) = (buffers.take(), buffers.take());
        first.extend_from_slice(b"of another session");
        second.resize(BUFFER_SIZE + 1, 0);
        assert_eq!(buffers.in_use(), 2);
        drop((first, second));
        assert_eq!(buffers.in_use(), 0);
        assert_eq!(buffers.0.spare.lock().unwrap().len(), 1);
        assert!(buffers.take().is_empty());
    }
}
