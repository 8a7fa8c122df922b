//! Buffers for relays, taken when bytes wait and given back when none do: an idle session holds none.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes moved at once: one TLS record's worth (RFC 8446 section 5.1).
pub(super) const BUFFER_SIZE: usize = 16 * 1024;

/// The same where a peer sends more than fits: as much as is encrypted and written in one go.
const LARGE_SIZE: usize = 4 * BUFFER_SIZE;

/// Empty buffers kept for the next taker, 4 MiB in all. More may be in use; they are freed when given back.
const SPARE_MAX: usize = 192;
const SPARE_LARGE_MAX: usize = 16;

/// Where buffers come from. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Buffers(Arc<Shared>);

#[derive(Default)]
struct Shared {
    spare: Mutex<Vec<Vec<u8>>>,
    spare_large: Mutex<Vec<Vec<u8>>>,
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
        self.take_from(&self.0.spare, BUFFER_SIZE)
    }

    /// An empty buffer with room for [`LARGE_SIZE`] bytes.
    pub(super) fn take_large(&self) -> Buffer {
        self.take_from(&self.0.spare_large, LARGE_SIZE)
    }

    fn take_from(&self, spare: &Mutex<Vec<Vec<u8>>>, size: usize) -> Buffer {
        let spare = spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        self.0.in_use.fetch_add(1, Ordering::Relaxed);
        Buffer { bytes: spare.unwrap_or_else(|| Vec::with_capacity(size)), home: self.clone() }
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
        // A guard may have made it grow: keep only what is of a usual size.
        let (spare, most) = match bytes.capacity() {
            BUFFER_SIZE => (&self.home.0.spare, SPARE_MAX),
            LARGE_SIZE => (&self.home.0.spare_large, SPARE_LARGE_MAX),
            _ => return,
        };
        let mut spare = spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < most {
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
        let mut large = buffers.take_large();
        large.extend_from_slice(b"of a busy one");
        drop((first, second, large));
        assert_eq!(buffers.in_use(), 0);
        assert_eq!(buffers.0.spare.lock().unwrap().len(), 1);
        assert_eq!(buffers.0.spare_large.lock().unwrap().len(), 1);
        assert!(buffers.take().is_empty());
        assert!(buffers.take_large().is_empty());
    }
}
