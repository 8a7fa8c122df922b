//! The one source of randomness. Tests pass a seeded generator to code that takes `&mut impl CryptoRng`;
//! everything else asks here.

use uuid::Uuid;

use super::clock::Timestamp;

pub use rand::CryptoRng;

/// The operating system's generator, reseeded per thread.
#[expect(clippy::disallowed_methods, reason = "the one place that reads ambient randomness")]
pub fn generator() -> impl CryptoRng {
    rand::rng()
}

/// `N` random bytes.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    rand::Rng::fill_bytes(&mut generator(), &mut out);
    out
}

/// A UUID version 7 (RFC 9562 section 5.7) whose time part is `at`: sorts by creation.
#[must_use]
pub fn uuid(at: Timestamp) -> Uuid {
    let millis = u64::try_from(at.date_time().unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes()).into_uuid()
}
