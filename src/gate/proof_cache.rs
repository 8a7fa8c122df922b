//! Proofs that are still in memory: a client that reconnects passes without argon2 and HPKE, and goes on passing
//! for a minute while the database does not answer.
//!
//! ```text
//!   HMAC(process key, account ‖ presented password) ──▶ whose, which row (its MAC), scope,
//!                                mailbox password encrypted under HKDF(process key ‖ presented password)
//! ```
//!
//! An entry opens for the password that made it and for no other; a memory image without that password opens
//! nothing. It spares work and decides nothing: with every login the row is read anew, and a row that
//! is gone or differs in any byte that matters ends the entry. So a revocation by any process counts at once; and
//! because it is heard of within a second (`live`), it counts too if the database is gone right after it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::app_password::Scope;
use crate::base::key::keyed_hash;
use crate::base::{AccountId, AppPasswordId, Monotonic, Password, Secret, UpstreamName, random};
use crate::store::AppPasswordRecord;

/// Entries: enough for the clients of a campus; with some 400 bytes each they take 25 MB.
const ENTRIES_MAX: usize = 65_536;

/// No proof lasts longer, however busy its client is.
const LIFETIME_MAX: Duration = Duration::from_secs(24 * 3600);

/// How long a proof stands without the database, counted from when its row was last read.
const ALONE_MAX: Duration = Duration::from_secs(60);

/// A proven app password, as far as logging in needs it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Proof {
    /// Whose.
    pub(super) account: AccountId,
    /// Which.
    pub(super) app_password: AppPasswordId,
    /// Its label.
    pub(super) label: String,
    /// What it may do.
    pub(super) scope: Scope,
    /// Where its mailbox was.
    pub(super) at: UpstreamName,
    /// Where its mailbox password belongs.
    pub(super) upstream: UpstreamName,
    /// Which of its seals that is.
    pub(super) sealed_version: i64,
    /// The mailbox password, where the upstream wants it.
    pub(super) mailbox: Option<Password>,
}

/// What was presented: the folded address of the account, and the password byte for byte.
#[derive(Clone, Copy)]
pub(super) struct Presented<'a> {
    /// Folded.
    pub(super) account: &'a str,
    /// As sent.
    pub(super) password: &'a Password,
}

/// The proofs of this process.
pub(super) struct ProofCache {
    key: Secret,
    idle_max: Duration,
    entries: HashMap<[u8; 32], Entry>,
    /// Keys by the number of their last use.
    by_use: BTreeMap<u64, [u8; 32]>,
    uses: u64,
}

struct Entry {
    account: AccountId,
    app_password: AppPasswordId,
    label: String,
    scope: Scope,
    at: UpstreamName,
    upstream: UpstreamName,
    sealed_version: i64,
    mailbox: Option<Encrypted>,
    row_mac: Vec<u8>,
    proven_at: Monotonic,
    used_at: Monotonic,
    row_read_at: Monotonic,
    last_use: u64,
}

struct Encrypted {
    nonce: [u8; 12],
    ciphertext: Vec<u8>,
}

impl ProofCache {
    /// An empty cache. `key` is this process's own; `idle_max` is `limits.proof_cache`, zero keeps nothing.
    pub(super) fn new(key: Secret, idle_max: Duration) -> Self {
        Self { key, idle_max, entries: HashMap::new(), by_use: BTreeMap::new(), uses: 0 }
    }

    /// Remembers that `presented` proved `row`, whose MAC was found right.
    pub(super) fn remember(
        &mut self,
        presented: Presented<'_>,
        row: &AppPasswordRecord,
        proof: &Proof,
        now: Monotonic,
    ) {
        if self.idle_max.is_zero() {
            return;
        }
        let key = self.entry_key(presented);
        let mailbox = match &proof.mailbox {
            None => None,
            Some(mailbox) => match self.encrypt(&key, presented, mailbox) {
                Some(encrypted) => Some(encrypted),
                None => return,
            },
        };
        self.remove(&key);
        self.make_room(now);
        self.uses += 1;
        self.by_use.insert(self.uses, key);
        let entry = Entry {
            account: proof.account,
            app_password: proof.app_password,
            label: proof.label.clone(),
            scope: proof.scope.clone(),
            at: proof.at.clone(),
            upstream: proof.upstream.clone(),
            sealed_version: proof.sealed_version,
            mailbox,
            row_mac: row.mac.clone(),
            proven_at: now,
            used_at: now,
            row_read_at: now,
            last_use: self.uses,
        };
        self.entries.insert(key, entry);
    }

    /// The proof, if `row`, read just now for the same account and label, is the one that was proven. The caller
    /// has found the row's MAC right.
    pub(super) fn look_up(
        &mut self,
        presented: Presented<'_>,
        row: &AppPasswordRecord,
        now: Monotonic,
    ) -> Option<Proof> {
        let key = self.entry_key(presented);
        let entry = self.entries.get_mut(&key)?;
        if entry.app_password != row.id || entry.row_mac != row.mac {
            self.remove(&key);
            return None;
        }
        entry.row_read_at = now;
        self.take(&key, presented, now)
    }

    /// The proof, while nobody can say whether its row still stands: for [`ALONE_MAX`] since it was last read.
    pub(super) fn look_up_alone(&mut self, presented: Presented<'_>, now: Monotonic) -> Option<Proof> {
        let key = self.entry_key(presented);
        let entry = self.entries.get(&key)?;
        if now.since(entry.row_read_at) > ALONE_MAX {
            return None;
        }
        self.take(&key, presented, now)
    }

    /// Where the mailbox was when this was proven, if it was.
    pub(super) fn at(&self, presented: Presented<'_>) -> Option<UpstreamName> {
        self.entries.get(&self.entry_key(presented)).map(|entry| entry.at.clone())
    }

    /// Ends the proof: its row is gone, its account suspended, or it expired.
    pub(super) fn forget(&mut self, presented: Presented<'_>) {
        let key = self.entry_key(presented);
        self.remove(&key);
    }

    /// Ends the proofs of these accounts: something about them was changed.
    pub(super) fn forget_accounts(&mut self, accounts: &HashSet<AccountId>) {
        let theirs = self.entries.iter().filter(|(_, entry)| accounts.contains(&entry.account));
        for key in theirs.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.remove(&key);
        }
    }

    /// Ends all proofs: nobody knows what was changed.
    pub(super) fn forget_all(&mut self) {
        self.entries.clear();
        self.by_use.clear();
    }

    fn take(&mut self, key: &[u8; 32], presented: Presented<'_>, now: Monotonic) -> Option<Proof> {
        let entry = self.entries.get(key)?;
        if self.is_over(entry, now) {
            self.remove(key);
            return None;
        }
        let mailbox = match &entry.mailbox {
            None => None,
            Some(encrypted) => Some(self.decrypt(key, presented, encrypted)?),
        };
        let entry = self.entries.get_mut(key)?;
        self.uses += 1;
        self.by_use.remove(&entry.last_use);
        self.by_use.insert(self.uses, *key);
        entry.last_use = self.uses;
        entry.used_at = now;
        Some(Proof {
            account: entry.account,
            app_password: entry.app_password,
            label: entry.label.clone(),
            scope: entry.scope.clone(),
            at: entry.at.clone(),
            upstream: entry.upstream.clone(),
            sealed_version: entry.sealed_version,
            mailbox,
        })
    }

    fn is_over(&self, entry: &Entry, now: Monotonic) -> bool {
        now.since(entry.used_at) >= self.idle_max || now.since(entry.proven_at) >= LIFETIME_MAX
    }

    fn remove(&mut self, key: &[u8; 32]) {
        if let Some(entry) = self.entries.remove(key) {
            self.by_use.remove(&entry.last_use);
        }
    }

    /// Drops what is over anyway, as far as it was used longest ago, and whatever else the cap demands.
    fn make_room(&mut self, now: Monotonic) {
        while let Some((_, key)) = self.by_use.first_key_value().map(|(use_, key)| (*use_, *key)) {
            let over = self.entries.get(&key).is_none_or(|entry| self.is_over(entry, now));
            if !over && self.entries.len() < ENTRIES_MAX {
                break;
            }
            self.remove(&key);
        }
    }

    fn entry_key(&self, presented: Presented<'_>) -> [u8; 32] {
        keyed_hash(&self.key, &[presented.account.as_bytes(), presented.password.expose()])
    }

    /// The entry's key is authenticated with the ciphertext: it opens in its own entry only.
    fn encrypt(&self, entry: &[u8; 32], presented: Presented<'_>, mailbox: &Password) -> Option<Encrypted> {
        let nonce = random::bytes();
        let payload = Payload { msg: mailbox.expose(), aad: entry };
        let ciphertext = self.cipher(presented).encrypt(&Nonce::from(nonce), payload).ok()?;
        Some(Encrypted { nonce, ciphertext })
    }

    fn decrypt(&self, entry: &[u8; 32], presented: Presented<'_>, sealed: &Encrypted) -> Option<Password> {
        let payload = Payload { msg: &sealed.ciphertext, aad: entry };
        let mailbox = self.cipher(presented).decrypt(&Nonce::from(sealed.nonce), payload).ok()?;
        Password::new(mailbox).ok()
    }

    fn cipher(&self, presented: Presented<'_>) -> ChaCha20Poly1305 {
        let mut input =
            Zeroizing::new(Vec::with_capacity(self.key.expose().len() + presented.password.expose().len()));
        input.extend_from_slice(self.key.expose());
        input.extend_from_slice(presented.password.expose());
        let mut key = Zeroizing::new([0; 32]);
        #[expect(
            clippy::expect_used,
            reason = "HKDF-SHA-256 gives up to 8,160 bytes, 32 always fit (RFC 5869 section 2.3)"
        )]
        Hkdf::<Sha256>::new(None, &input).expand(b"mailward 1 proof cache", &mut *key).expect("32 bytes fit");
        ChaCha20Poly1305::new((&*key).into())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::base::{ProtocolSet, Timestamp};

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(seconds: u64) -> Monotonic {
        Monotonic(Duration::from_secs(seconds))
    }

    fn password(text: &str) -> Password {
        Password::new(text.as_bytes().to_vec()).unwrap()
    }

    fn row(number: u128) -> AppPasswordRecord {
        AppPasswordRecord {
            id: AppPasswordId(Uuid::from_u128(number)),
            account: AccountId(Uuid::from_u128(1)),
            label: "abcd".to_owned(),
            name: "Foxmail".to_owned(),
            kdf: String::new(),
            proof: vec![],
            public_key: vec![],
            sealed: None,
            sealed_version: 1,
            upstream: UpstreamName("legacy".to_owned()),
            protocols: "imap".to_owned(),
            networks: String::new(),
            expires_at: None,
            created_at: Timestamp::from_unix_seconds(0),
            last_used_at: None,
            last_used_address: None,
            last_used_program: None,
            mac: vec![1; 32],
            sealed_at: None,
            stale_since: None,
            probes: 0,
            next_probe_at: None,
        }
    }

    fn proof(row: &AppPasswordRecord) -> Proof {
        Proof {
            account: row.account,
            app_password: row.id,
            label: row.label.clone(),
            scope: Scope { protocols: ProtocolSet::ALL, networks: "".parse().unwrap(), expires_at: None },
            at: row.upstream.clone(),
            upstream: row.upstream.clone(),
            sealed_version: row.sealed_version,
            mailbox: Some(password("hunter2")),
        }
    }

    fn cache_with(row: &AppPasswordRecord, presented: Presented<'_>) -> ProofCache {
        let mut cache = ProofCache::new(Secret::new(vec![7; 32]), HOUR);
        cache.remember(presented, row, &proof(row), at(0));
        cache
    }

    #[test]
    fn a_proof_opens_for_the_password_and_account_that_made_it() {
        let (right, wrong, row) = (password("abcd-right"), password("abcd-wrong"), row(1));
        let presented = Presented { account: "a@example.org", password: &right };
        let mut cache = cache_with(&row, presented);
        assert_eq!(cache.look_up(presented, &row, at(1)), Some(proof(&row)));
        assert_eq!(cache.look_up(Presented { password: &wrong, ..presented }, &row, at(1)), None);
        assert_eq!(cache.look_up(Presented { account: "b@example.org", ..presented }, &row, at(1)), None);
    }

    #[test]
    fn any_change_of_the_row_ends_the_proof() {
        let (right, row) = (password("abcd-right"), row(1));
        let presented = Presented { account: "a@example.org", password: &right };
        let changed = AppPasswordRecord { mac: vec![2; 32], ..row.clone() };
        let mut cache = cache_with(&row, presented);
        assert_eq!(cache.look_up(presented, &changed, at(1)), None);
        assert_eq!(cache.look_up(presented, &row, at(1)), None, "and it stays ended");
        assert!(cache.entries.is_empty() && cache.by_use.is_empty());
        let successor = AppPasswordRecord { id: AppPasswordId(Uuid::from_u128(2)), ..row.clone() };
        let mut cache = cache_with(&row, presented);
        assert_eq!(cache.look_up(presented, &successor, at(1)), None);
    }

    #[test]
    fn a_proof_slides_with_its_uses_but_ends_after_a_day() {
        let (right, row) = (password("abcd-right"), row(1));
        let presented = Presented { account: "a@example.org", password: &right };
        let mut cache = cache_with(&row, presented);
        for half_hours in 1..48 {
            assert!(cache.look_up(presented, &row, at(half_hours * 1800)).is_some(), "{half_hours}");
        }
        assert!(cache.look_up(presented, &row, at(48 * 1800)).is_none());

        let mut cache = cache_with(&row, presented);
        assert!(cache.look_up(presented, &row, at(3600)).is_none(), "not used for an hour");
    }

    #[test]
    fn without_the_database_a_proof_stands_for_a_minute_since_its_row_was_read() {
        let (right, row) = (password("abcd-right"), row(1));
        let presented = Presented { account: "a@example.org", password: &right };
        let mut cache = cache_with(&row, presented);
        assert!(cache.look_up(presented, &row, at(100)).is_some());
        assert!(cache.look_up_alone(presented, at(130)).is_some());
        assert!(cache.look_up_alone(presented, at(160)).is_some());
        assert!(cache.look_up_alone(presented, at(161)).is_none(), "its own uses do not prolong that");
        assert!(cache.look_up(presented, &row, at(200)).is_some(), "the database is back");
    }

    #[test]
    fn the_cache_drops_what_was_used_longest_ago() {
        let (right, row) = (password("abcd-right"), row(1));
        let mut cache = ProofCache::new(Secret::new(vec![7; 32]), HOUR);
        let bare = Proof { mailbox: None, ..proof(&row) };
        let name = |number: usize| format!("{number}@example.org");
        for number in 0..ENTRIES_MAX {
            let account = name(number);
            cache.remember(Presented { account: &account, password: &right }, &row, &bare, at(0));
        }
        let first = Presented { account: "0@example.org", password: &right };
        assert!(cache.look_up(first, &row, at(1)).is_some());
        cache.remember(Presented { account: "new@example.org", password: &right }, &row, &bare, at(1));
        assert_eq!((cache.entries.len(), cache.by_use.len()), (ENTRIES_MAX, ENTRIES_MAX));
        assert!(cache.look_up(first, &row, at(1)).is_some());
        assert!(
            cache.look_up(Presented { account: "1@example.org", password: &right }, &row, at(1)).is_none()
        );
    }

    #[test]
    fn the_mailbox_password_is_not_held_in_clear() {
        let (right, row) = (password("abcd-right"), row(1));
        let presented = Presented { account: "a@example.org", password: &right };
        let cache = cache_with(&row, presented);
        let entry = cache.entries.values().next().unwrap();
        let held = &entry.mailbox.as_ref().unwrap().ciphertext;
        assert!(!held.windows(7).any(|window| window == b"hunter2"));
        let wrong = password("abcd-wrong");
        let other = Presented { password: &wrong, ..presented };
        let key = cache.entry_key(presented);
        assert!(cache.decrypt(&key, other, entry.mailbox.as_ref().unwrap()).is_none());
    }

    #[test]
    fn zero_turns_the_cache_off() {
        let (right, row) = (password("abcd-right"), row(1));
        let presented = Presented { account: "a@example.org", password: &right };
        let mut cache = ProofCache::new(Secret::new(vec![7; 32]), Duration::ZERO);
        cache.remember(presented, &row, &proof(&row), at(0));
        assert!(cache.look_up(presented, &row, at(0)).is_none());
    }
}
