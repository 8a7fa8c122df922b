//! ChaCha20-Poly1305 (RFC 8439) for what is kept: a random nonce, then the ciphertext.
//!
//! Random nonces are safe for what one site ever keeps under one key (RFC 8439 section 4 wants them distinct; at 2^32 of
//! them a repetition has a chance of 2^-33).

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};

use super::{Secret, random};

/// Bytes of a nonce, in front of the ciphertext.
pub const NONCE_LEN: usize = 12;

/// Encrypts `secret` under `key`, 32 bytes; `binding` has to be there again when it is opened.
#[must_use]
pub fn seal(key: &Secret, binding: &[u8], secret: &Secret) -> Vec<u8> {
    let nonce = random::bytes::<NONCE_LEN>();
    let payload = Payload { msg: secret.expose(), aad: binding };
    #[expect(clippy::expect_used, reason = "fails only beyond 256 GiB (RFC 8439 section 2.8)")]
    let ciphertext = cipher(key).encrypt(&Nonce::from(nonce), payload).expect("a secret is short");
    [&nonce[..], &ciphertext].concat()
}

/// What was sealed; `None` if it was changed, belongs to another `binding`, or was encrypted under another key.
#[must_use]
pub fn open(key: &Secret, binding: &[u8], sealed: &[u8]) -> Option<Secret> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let payload = Payload { msg: ciphertext, aad: binding };
    cipher(key).decrypt(&Nonce::from(*nonce), payload).ok().map(Secret::new)
}

fn cipher(key: &Secret) -> ChaCha20Poly1305 {
    #[expect(clippy::expect_used, reason = "derived keys have 32 bytes, which is what the cipher takes")]
    ChaCha20Poly1305::new_from_slice(key.expose()).expect("32 bytes")
}
