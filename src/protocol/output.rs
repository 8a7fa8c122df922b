//! Lines on their way to a peer that hold a secret.

use zeroize::Zeroizing;

use super::Output;

/// The `parts` and CRLF, in one allocation that is wiped: growing one would leave a copy in freed memory.
#[must_use]
pub fn secret_line(parts: &[&[u8]]) -> Output {
    let mut line = Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum::<usize>() + 2));
    for part in parts {
        line.extend_from_slice(part);
    }
    line.extend_from_slice(b"\r\n");
    line
}
