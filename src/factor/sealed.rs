//! Factor secrets at rest: ChaCha20-Poly1305 (RFC 8439) under the site's key file.
//!
//! The ciphertext is bound to factor, account and kind: moved to another row it does not decrypt.

use crate::base::key::Purpose;
use crate::base::{Secret, SiteKey, aead};
use crate::store::FactorRecord;

/// Encrypts `secret` for `factor`.
pub(super) fn seal(key: &SiteKey, factor: &FactorRecord, secret: &Secret) -> Vec<u8> {
    aead::seal(&key.derive(Purpose::FactorSecret), &binding(factor), secret)
}

/// The secret of `factor`; `None` if it was changed, moved, or encrypted under another key.
pub(super) fn open(key: &SiteKey, factor: &FactorRecord) -> Option<Secret> {
    aead::open(&key.derive(Purpose::FactorSecret), &binding(factor), &factor.secret)
}

/// Fixed lengths first, so that no two factors read the same.
fn binding(factor: &FactorRecord) -> Vec<u8> {
    [&factor.id.0.as_bytes()[..], factor.account.0.as_bytes(), factor.kind.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::base::aead::NONCE_LEN;
    use crate::base::{AccountId, FactorId, Timestamp};

    fn factor(id: u128, account: u128, kind: &str) -> FactorRecord {
        FactorRecord {
            id: FactorId(Uuid::from_u128(id)),
            account: AccountId(Uuid::from_u128(account)),
            kind: kind.into(),
            name: String::new(),
            detail: None,
            secret: Vec::new(),
            bound_at: Timestamp::from_unix_seconds(0),
            last_step: None,
            last_used_at: None,
        }
    }

    #[test]
    fn a_secret_opens_in_its_own_row_and_nowhere_else() {
        let key = SiteKey::from_bytes([7; 32]);
        let secret = Secret::new(b"12345678901234567890".to_vec());
        let own = factor(1, 2, "totp");
        let sealed = seal(&key, &own, &secret);
        assert!(!sealed.windows(4).any(|window| window == b"1234"));
        assert_ne!(sealed, seal(&key, &own, &secret), "never the same twice");

        let with = |row: FactorRecord| FactorRecord { secret: sealed.clone(), ..row };
        assert_eq!(open(&key, &with(own.clone())), Some(secret));
        for (what, moved) in [
            ("another factor", factor(9, 2, "totp")),
            ("another account", factor(1, 9, "totp")),
            ("another kind", factor(1, 2, "token")),
        ] {
            assert_eq!(open(&key, &with(moved)), None, "{what}");
        }
        assert_eq!(open(&SiteKey::from_bytes([8; 32]), &with(own.clone())), None, "another site");
        for place in [0, NONCE_LEN, sealed.len() - 1] {
            let mut changed = with(own.clone());
            changed.secret[place] ^= 1;
            assert_eq!(open(&key, &changed), None, "byte {place}");
        }
        assert_eq!(open(&key, &FactorRecord { secret: vec![0; NONCE_LEN - 1], ..own }), None);
    }
}
