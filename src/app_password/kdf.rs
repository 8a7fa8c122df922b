//! Stretching an app password with Argon2id (RFC 9106), and the text in which a row keeps how.
//!
//! The text comes from the database. Its MAC is checked before it is used; even so no text can ask for less
//! than the house's minimum, nor for more memory or time than the limits here.

use argon2::password_hash::phc::{Ident, ParamsString, PasswordHash, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::vault::{self, PrivateKey};
use crate::base::random;
use sha2::{Digest, Sha256};

/// Argon2 memory of a new row in KiB: 19 MiB with two passes and one lane is the least that OWASP's
/// password storage guidance names, and 60 random bits need no more.
const MEMORY: u32 = 19 * 1024;
/// Argon2 passes of a new row.
const PASSES: u32 = 2;
/// Argon2 lanes of a new row.
const LANES: u32 = 1;

/// The most a row may ask for, in KiB: a later version has room to raise [`MEMORY`] by an order of magnitude.
const MEMORY_MAX: u32 = 256 * 1024;
/// The most passes a row may ask for.
const PASSES_MAX: u32 = 8;
/// The most lanes a row may ask for.
const LANES_MAX: u32 = 4;

/// Bytes of a new row's salt (RFC 9106 section 3.1 recommends 16).
const SALT_LEN: usize = 16;

/// Bytes of each half of what argon2 gives.
const HALF: usize = 32;

/// Separates the proof from any other use of SHA-256 over the same bytes.
const PROOF_DOMAIN: &[u8] = b"mailward 1 app-password proof";

/// How one app password is stretched: parameters and salt.
#[derive(Clone)]
pub(super) struct Kdf {
    params: Params,
    salt: Salt,
}

/// The 64 bytes that an app password stretches to; both halves are as secret as the password.
pub(super) struct Stretched(Zeroizing<[u8; 2 * HALF]>);

/// The memory that argon2 fills, kept by a worker from one password to the next; wiped in between.
#[derive(Default)]
pub(super) struct Memory(Vec<Block>);

impl Kdf {
    /// The parameters of today with a fresh salt.
    pub(super) fn fresh() -> Self {
        #[expect(
            clippy::expect_used,
            reason = "16 bytes are within a salt's 8 to 48, and the parameters are constants"
        )]
        let (params, salt) = (
            Params::new(MEMORY, PASSES, LANES, None).expect("within argon2's range"),
            Salt::new(&random::bytes::<SALT_LEN>()).expect("a salt may have 16 bytes"),
        );
        Self { params, salt }
    }

    /// Reads `$argon2id$v=19$m=…,t=…,p=…$salt`; `None` for anything else, weaker than the minimum or beyond
    /// the limits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let parsed = PasswordHash::new(text).ok()?;
        let known = parsed.algorithm == ARGON2ID_IDENT
            && parsed.version == Some(Version::V0x13.into())
            && parsed.hash.is_none()
            && parsed.params.iter().map(|(name, _)| name).eq(["m", "t", "p"].map(Ident::new_unwrap));
        let params = Params::try_from(&parsed.params).ok()?;
        let bounded = (MEMORY..=MEMORY_MAX).contains(&params.m_cost())
            && (PASSES..=PASSES_MAX).contains(&params.t_cost())
            && (LANES..=LANES_MAX).contains(&params.p_cost());
        let salt = parsed.salt.filter(|salt| salt.len() >= SALT_LEN)?;
        (known && bounded).then_some(Self { params, salt })
    }

    /// Stretches `symbols`; takes tens of milliseconds and megabytes, so only the workers call it.
    pub(super) fn stretch(&self, symbols: &[u8], memory: &mut Memory) -> Result<Stretched, argon2::Error> {
        let mut out = Zeroizing::new([0; 2 * HALF]);
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params.clone());
        let result =
            argon2.hash_password_into_with_memory(symbols, &self.salt, &mut *out, memory.of(&self.params));
        memory.wipe();
        result.map(|()| Stretched(out))
    }
}

impl std::fmt::Display for Kdf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let params = ParamsString::try_from(&self.params).map_err(|_| std::fmt::Error)?;
        let version = Some(Version::V0x13.into());
        PasswordHash { algorithm: ARGON2ID_IDENT, version, params, salt: Some(self.salt), hash: None }.fmt(f)
    }
}

impl Stretched {
    /// What a row stores to recognise the app password: a hash of the first half.
    pub(super) fn proof(&self) -> [u8; 32] {
        let (proving, _) = self.0.split_at(HALF);
        Sha256::new().chain_update(PROOF_DOMAIN).chain_update(proving).finalize().into()
    }

    /// Whether `proof` is this password's, in constant time.
    pub(super) fn proves(&self, proof: &[u8]) -> bool {
        self.proof().ct_eq(proof).into()
    }

    /// The key pair that the second half seeds.
    pub(super) fn key_pair(&self) -> (PrivateKey, [u8; vault::PUBLIC_KEY_LEN]) {
        let (_, seed) = self.0.split_at(HALF);
        vault::key_pair(seed)
    }
}

impl Memory {
    fn of(&mut self, params: &Params) -> &mut [Block] {
        self.0.resize(params.block_count(), Block::new());
        &mut self.0
    }

    /// Wipes the blocks, and gives back what only a row with larger parameters needed.
    fn wipe(&mut self) {
        self.0.iter_mut().for_each(Zeroize::zeroize);
        self.0.truncate(MEMORY as usize);
        self.0.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_row_says_parameters_no_weaker_than_the_house_demands() {
        let text = Kdf::fresh().to_string();
        let (parameters, salt) = text.strip_prefix("$argon2id$v=19$").unwrap().split_once('$').unwrap();
        let number = |name: &str| {
            let value = parameters.split(',').find_map(|item| item.strip_prefix(name)).unwrap();
            value.parse::<u32>().unwrap()
        };
        assert!(number("m=") >= 19 * 1024, "{text}");
        assert!(number("t=") >= 2, "{text}");
        assert_eq!(number("p="), 1, "{text}");
        assert_eq!(salt.len(), 22, "16 bytes in base64 without padding");
        assert_ne!(Kdf::fresh().to_string(), text, "each row has a salt of its own");
    }

    #[test]
    fn what_is_written_is_read_and_stretches_the_same() {
        let kdf = Kdf::fresh();
        let read = Kdf::parse(&kdf.to_string()).unwrap();
        let mut memory = Memory::default();
        let (one, two) =
            (kdf.stretch(b"abcd", &mut memory).unwrap(), read.stretch(b"abcd", &mut memory).unwrap());
        assert!(one.proves(&two.proof()));
        assert_eq!(one.key_pair().1, two.key_pair().1);
        assert!(!one.proves(&kdf.stretch(b"abce", &mut memory).unwrap().proof()));
        assert!(!one.proves(&Kdf::fresh().stretch(b"abcd", &mut memory).unwrap().proof()));
    }

    #[test]
    fn rows_of_today_and_of_a_stronger_later_version_give_what_other_implementations_give() {
        // Computed with libargon2, SHA-256 and X25519 of other makers, RFC 9180 section 7.1.3 in between.
        for (parameters, proof, public_key) in [
            (
                "m=19456,t=2,p=1",
                "0185bf502193c0dc320fac2d4042b9bd478d6b38bc0135d392ba43236f445d50",
                "9c35f9d2109abe97ac4b1b572c31bb29ced55e8fca35e9512172bd7998052847",
            ),
            (
                "m=20480,t=3,p=2",
                "3cacadb1855011623d5569550d625e2993bde9541a20d3e77da45f01b84e8c86",
                "b088d7586ae17626d79607d2cdc62ff7c909c70cf07ffa7e0641c4e013c9e14e",
            ),
        ] {
            let kdf = Kdf::parse(&format!("$argon2id$v=19${parameters}$c2FsdHNhbHRzYWx0c2FsdA")).unwrap();
            let stretched = kdf.stretch(b"abcdefghijkmnpqr", &mut Memory::default()).unwrap();
            assert_eq!(hex(&stretched.proof()), proof, "{parameters}");
            assert_eq!(hex(&stretched.key_pair().1), public_key, "{parameters}");
        }
    }

    #[test]
    fn memory_is_wiped_and_what_only_a_larger_row_needed_is_given_back() {
        let mut memory = Memory::default();
        Kdf::fresh().stretch(b"abcd", &mut memory).unwrap();
        let larger = Kdf::parse("$argon2id$v=19$m=20480,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA").unwrap();
        larger.stretch(b"abcd", &mut memory).unwrap();
        assert_eq!(memory.0.len(), MEMORY as usize);
        assert!(memory.0.iter().all(|block| block.as_ref().iter().all(|word| *word == 0)));
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn text_that_asks_for_too_little_or_too_much_is_refused() {
        let salt = "c2FsdHNhbHRzYWx0c2FsdA";
        for bad in [
            format!("$argon2id$v=19$m=19455,t=2,p=1${salt}"),
            format!("$argon2id$v=19$m=19456,t=1,p=1${salt}"),
            format!("$argon2id$v=19$m=4194304,t=2,p=1${salt}"),
            format!("$argon2id$v=19$m=19456,t=4000000000,p=1${salt}"),
            format!("$argon2id$v=19$m=19456,t=2,p=16${salt}"),
            format!("$argon2i$v=19$m=19456,t=2,p=1${salt}"),
            format!("$argon2id$v=16$m=19456,t=2,p=1${salt}"),
            format!("$argon2id$m=19456,t=2,p=1${salt}"),
            format!("$argon2id$v=19$t=2,p=1${salt}"),
            format!("$argon2id$v=19$m=19456,t=2,p=1,keyid=AAAA${salt}"),
            format!("$argon2id$v=19$m=19456,t=2,p=1${salt}$aGFzaGhhc2hoYXNoaGFzaA"),
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ".to_owned(),
            "$argon2id$v=19$m=19456,t=2,p=1".to_owned(),
            String::new(),
        ] {
            assert!(Kdf::parse(&bad).is_none(), "{bad}");
        }
    }
}
