//! Sealing a mailbox password to an app password: HPKE (RFC 9180), base mode, DHKEM(X25519, HKDF-SHA256),
//! HKDF-SHA256, ChaCha20Poly1305.
//!
//! Sealing needs the public key only, so that a changed mailbox password is sealed again without any app
//! password; opening needs the private key, which only the app password can derive again. Base mode does not
//! say who sealed: that is what the row's MAC is for. A seal opens for the account, app password, upstream
//! and version it was made for and for nothing else.

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use zeroize::Zeroizing;

use crate::base::secret::PASSWORD_MAX;
use crate::base::{AccountId, AppPasswordId, Password, UpstreamName, random};

/// An X25519 private key; wiped on drop.
pub(super) type PrivateKey = <X25519HkdfSha256 as Kem>::PrivateKey;

/// Bytes of an X25519 public key.
pub(super) const PUBLIC_KEY_LEN: usize = 32;
/// Bytes of the encapsulated key in front of the ciphertext.
const ENCAPSULATED_LEN: usize = 32;
/// Every mailbox password is padded to this many bytes behind its length, so that a seal does not tell how
/// long it is.
const PADDED_LEN: usize = size_of::<u16>() + PASSWORD_MAX;

/// Separates these seals from any other use of the same key.
const INFO: &[u8] = b"mailward 1 sealed mailbox password";

/// What a seal is bound to.
#[derive(Clone, Copy)]
pub(super) struct Binding<'a> {
    pub(super) account: AccountId,
    pub(super) app_password: AppPasswordId,
    pub(super) upstream: &'a UpstreamName,
    pub(super) version: i64,
}

impl Binding<'_> {
    /// Fixed lengths first, so that no two bindings read the same.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(self.account.0.as_bytes());
        bytes.extend_from_slice(self.app_password.0.as_bytes());
        bytes.extend_from_slice(&self.version.to_be_bytes());
        bytes.extend_from_slice(self.upstream.0.as_bytes());
        bytes
    }
}

/// The key pair that `seed` determines (DeriveKeyPair, RFC 9180 section 7.1.3).
pub(super) fn key_pair(seed: &[u8]) -> (PrivateKey, [u8; PUBLIC_KEY_LEN]) {
    let (private, public) = X25519HkdfSha256::derive_keypair(seed);
    (private, public.to_bytes().into())
}

/// Seals `mailbox` to `public_key`; `None` where that is no usable public key.
///
/// Gives the encapsulated key followed by the ciphertext.
pub(super) fn seal(public_key: &[u8], mailbox: &Password, binding: Binding<'_>) -> Option<Vec<u8>> {
    let public_key = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(public_key).ok()?;
    let (encapsulated, ciphertext) =
        hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeS::Base,
            &public_key,
            INFO,
            &pad(mailbox)?,
            &binding.bytes(),
            &mut random::generator(),
        )
        .ok()?;
    Some([&encapsulated.to_bytes()[..], &ciphertext].concat())
}

/// Opens what [`seal`] made; `None` if it was made to another key, for another binding, or changed.
pub(super) fn open(private_key: &PrivateKey, sealed: &[u8], binding: Binding<'_>) -> Option<Password> {
    let (encapsulated, ciphertext) = sealed.split_at_checked(ENCAPSULATED_LEN)?;
    let encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(encapsulated).ok()?;
    let padded = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        private_key,
        &encapsulated,
        INFO,
        ciphertext,
        &binding.bytes(),
    )
    .ok()?;
    unpad(&Zeroizing::new(padded))
}

fn pad(mailbox: &Password) -> Option<Zeroizing<Vec<u8>>> {
    let content = mailbox.expose();
    let length = u16::try_from(content.len()).ok()?;
    let mut padded = Zeroizing::new(Vec::with_capacity(PADDED_LEN));
    padded.extend_from_slice(&length.to_be_bytes());
    padded.extend_from_slice(content);
    padded.resize(PADDED_LEN, 0);
    Some(padded)
}

fn unpad(padded: &[u8]) -> Option<Password> {
    let (length, content) = padded.split_first_chunk()?;
    let content = content.get(..usize::from(u16::from_be_bytes(*length)))?;
    Password::new(content.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn password(text: &[u8]) -> Password {
        Password::new(text.to_vec()).unwrap()
    }

    #[test]
    fn what_is_sealed_to_a_key_opens_with_it_and_only_for_what_it_was_bound_to() {
        let (private, public) = key_pair(&[1; 32]);
        let (upstream, other) = (UpstreamName("legacy".into()), UpstreamName("legacz".into()));
        let binding = Binding {
            account: AccountId(Uuid::from_u128(1)),
            app_password: AppPasswordId(Uuid::from_u128(2)),
            upstream: &upstream,
            version: 3,
        };
        let sealed = seal(&public, &password(b"hunter2"), binding).unwrap();
        assert_eq!(open(&private, &sealed, binding), Some(password(b"hunter2")));

        let elsewhere = [
            Binding { account: AccountId(Uuid::from_u128(9)), ..binding },
            Binding { app_password: AppPasswordId(Uuid::from_u128(9)), ..binding },
            Binding { upstream: &other, ..binding },
            Binding { version: 2, ..binding },
        ];
        for (case, binding) in elsewhere.into_iter().enumerate() {
            assert_eq!(open(&private, &sealed, binding), None, "binding {case}");
        }
        assert_eq!(open(&key_pair(&[2; 32]).0, &sealed, binding), None, "another key");
        for place in [0, ENCAPSULATED_LEN, sealed.len() - 1] {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert_eq!(open(&private, &changed, binding), None, "byte {place}");
        }
        for len in [0, ENCAPSULATED_LEN - 1, ENCAPSULATED_LEN, sealed.len() - 1] {
            assert_eq!(open(&private, &sealed[..len], binding), None, "cut to {len}");
        }
    }

    #[test]
    fn a_seal_does_not_tell_how_long_the_password_is() {
        let (private, public) = key_pair(&[1; 32]);
        let upstream = UpstreamName("legacy".into());
        let binding = Binding {
            account: AccountId(Uuid::nil()),
            app_password: AppPasswordId(Uuid::nil()),
            upstream: &upstream,
            version: 0,
        };
        let seals = [1, 7, 64, PASSWORD_MAX].map(|len| {
            let sealed = seal(&public, &password(&vec![b'x'; len]), binding).unwrap();
            assert_eq!(open(&private, &sealed, binding).unwrap().expose().len(), len);
            sealed
        });
        assert!(seals.iter().all(|sealed| sealed.len() == seals[0].len()));
        assert_ne!(seals[0], seal(&public, &password(b"x"), binding).unwrap(), "never the same twice");
    }

    #[test]
    fn a_public_key_of_wrong_length_or_low_order_seals_nothing() {
        let upstream = UpstreamName("legacy".into());
        let binding = Binding {
            account: AccountId(Uuid::nil()),
            app_password: AppPasswordId(Uuid::nil()),
            upstream: &upstream,
            version: 0,
        };
        for bad in [&[][..], &[7; 31], &[0; 32]] {
            assert!(seal(bad, &password(b"x"), binding).is_none());
        }
    }
}
