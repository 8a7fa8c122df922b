//! Proofs that are still in memory: a client that reconnects passes without argon2 and HPKE, and goes on passing
//! for a minute while the database does not answer.
//!
//! ```text
//!   HMAC(process key, account ‖ sixteen symbols) ──▶ whose, which row (its MAC), scope,
//!                                mailbox password encrypted under HKDF(process key ‖ sixteen symbols)
//! ```
//!
//! An entry opens for the password that made it, however it is written, and for no other; a memory image without that
//! password opens nothing. It spares work and decides nothing: with every login the account and the row are judged anew,
//! and a row that is gone or differs in any byte that matters ends the entry. They are read from the database, or they
//! are as they were read last, where the gate has just heard that nothing about the account was changed since
//! (`live::Hearing`). What is changed is heard of within a second, so it counts too if the database is gone right after.
//!
//! An app password that lets nobody in, because it has expired or its account is suspended, is remembered as *barred*:
//! without the mailbox password, and not for the time without a database. Else whoever has one could make the gate pay
//! for argon2 as often as he likes, and nothing would count.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::known::Known;
use super::live::Moment;
use super::upstream_login::Style;
use crate::app_password::{Candidate, Scope};
use crate::base::key::HashKey;
use crate::base::{AccountId, AppPasswordId, Monotonic, Password, Secret, UpstreamName, random};
use crate::store::AppPasswordRecord;

/// Entries: enough for the clients of a campus; with some 1,500 bytes each they take 100 MB.
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
    /// It lets nobody in, and says no more than that it is right.
    pub(super) barred: bool,
}

impl Proof {
    /// Whether it is of use where accounts are logged in by `style`. One from when the administrator had the gate log in as a
    /// master user holds no mailbox password, whether or not one `is_sealed`: it says nothing about that.
    pub(super) fn serves(&self, style: &Style, is_sealed: bool) -> bool {
        match style {
            Style::Master(_) => true,
            Style::Sealed => self.barred || self.mailbox.is_some() || !is_sealed,
        }
    }
}

/// What was presented: the folded address of the account, and the symbols of the app password.
#[derive(Clone, Copy)]
pub(super) struct Presented<'a> {
    /// Folded.
    pub(super) account: &'a str,
    /// Folded.
    pub(super) candidate: &'a Candidate,
}

/// The proofs of this process.
pub(super) struct ProofCache {
    key: Secret,
    hash_key: HashKey,
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
    barred: bool,
    row_mac: Vec<u8>,
    last_read: Option<LastRead>,
    proven_at: Monotonic,
    used_at: Monotonic,
    row_read_at: Monotonic,
    last_use: u64,
}

/// What the database said when it was last asked.
#[derive(Clone)]
pub(super) struct LastRead {
    pub(super) known: Arc<Known>,
    /// What had been heard of before it was asked.
    pub(super) before: Moment,
}

struct Encrypted {
    nonce: [u8; 12],
    ciphertext: Vec<u8>,
}

impl ProofCache {
    /// An empty cache. `key` is this process's own; `idle_max` is `limits.proof_cache`, zero keeps nothing.
    pub(super) fn new(key: Secret, idle_max: Duration) -> Self {
        let hash_key = HashKey::new(&key);
        Self { key, hash_key, idle_max, entries: HashMap::new(), by_use: BTreeMap::new(), uses: 0 }
    }

    /// From now on a proof lasts so long without use; zero keeps nothing.
    pub(super) fn keep_for(&mut self, idle_max: Duration) {
        self.idle_max = idle_max;
        if idle_max.is_zero() {
            self.forget_all();
        }
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
            barred: proof.barred,
            row_mac: row.mac.clone(),
            last_read: None,
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
        if entry.barred || now.since(entry.row_read_at) > ALONE_MAX {
            return None;
        }
        self.take(&key, presented, now)
    }

    /// Keeps what the database said, for an entry that is there. A stale seal is not kept: its next probe is anybody's.
    pub(super) fn keep_read(&mut self, presented: Presented<'_>, read: LastRead) {
        let is_stale = read.known.row.as_ref().is_none_or(|row| row.record.stale_since.is_some());
        let key = self.entry_key(presented);
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.last_read = Some(read).filter(|_| !is_stale && !entry.barred);
        }
    }

    /// What the database said of a proof that is good.
    pub(super) fn last_read(&self, presented: Presented<'_>, now: Monotonic) -> Option<LastRead> {
        let entry = self.entries.get(&self.entry_key(presented))?;
        entry.last_read.clone().filter(|_| !self.is_over(entry, now))
    }

    /// Where the mailbox was when this was proven, if it was.
    pub(super) fn at(&self, presented: Presented<'_>) -> Option<UpstreamName> {
        self.entries.get(&self.entry_key(presented)).map(|entry| entry.at.clone())
    }

    /// The proof lets nobody in: nothing is kept of it but that the password is right.
    pub(super) fn bar(&mut self, presented: Presented<'_>) {
        let key = self.entry_key(presented);
        if let Some(entry) = self.entries.get_mut(&key) {
            (entry.mailbox, entry.last_read, entry.barred) = (None, None, true);
        }
    }

    /// Ends the proof: its row is gone.
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
            barred: entry.barred,
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
        self.hash_key.hash(&[presented.account.as_bytes(), presented.candidate.symbols()])
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
        let symbols = presented.candidate.symbols();
        let mut input = Zeroizing::new(Vec::with_capacity(self.key.expose().len() + symbols.len()));
        input.extend_from_slice(self.key.expose());
        input.extend_from_slice(symbols);
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
    use crate::base::{Access, ProtocolSet, Timestamp};

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(seconds: u64) -> Monotonic {
        Monotonic(Duration::from_secs(seconds))
    }

    fn password(text: &str) -> Password {
        Password::new(text.as_bytes().to_vec()).unwrap()
    }

    fn candidate(text: &str) -> Candidate {
        Candidate::parse(&password(text)).unwrap()
    }

    /// One that was proven, and one with the same label.
    const RIGHT: &str = "abcd efgh ijkm npqr";
    const WRONG: &str = "abcd efgh ijkm npqs";

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
            access: "full".to_owned(),
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
            scope: Scope {
                protocols: ProtocolSet::ALL,
                networks: "".parse().unwrap(),
                access: Access::Full,
                expires_at: None,
            },
            at: row.upstream.clone(),
            upstream: row.upstream.clone(),
            sealed_version: row.sealed_version,
            mailbox: Some(password("hunter2")),
            barred: false,
        }
    }

    fn cache_with(row: &AppPasswordRecord, presented: Presented<'_>) -> ProofCache {
        let mut cache = ProofCache::new(Secret::new(vec![7; 32]), HOUR);
        cache.remember(presented, row, &proof(row), at(0));
        cache
    }

    #[test]
    fn a_proof_opens_for_the_password_and_account_that_made_it() {
        let (right, wrong, row) = (candidate(RIGHT), candidate(WRONG), row(1));
        let presented = Presented { account: "a@example.org", candidate: &right };
        let mut cache = cache_with(&row, presented);
        assert_eq!(cache.look_up(presented, &row, at(1)), Some(proof(&row)));
        assert_eq!(cache.look_up(Presented { candidate: &wrong, ..presented }, &row, at(1)), None);
        assert_eq!(cache.look_up(Presented { account: "b@example.org", ..presented }, &row, at(1)), None);
    }

    #[test]
    fn however_it_is_written_it_is_one_password() {
        let (right, row) = (candidate(RIGHT), row(1));
        let mut cache = cache_with(&row, Presented { account: "a@example.org", candidate: &right });
        for spelling in ["abcdefghijkmnpqr", "ABCD-EFGH-IJKM-NPQR", "a b c d e f g h i j k m n p q r"] {
            let again = candidate(spelling);
            let presented = Presented { account: "a@example.org", candidate: &again };
            assert_eq!(cache.look_up(presented, &row, at(1)), Some(proof(&row)), "{spelling}");
        }
        assert_eq!(cache.entries.len(), 1);
    }

    #[test]
    fn a_barred_proof_says_that_the_password_is_right_and_opens_nothing() {
        let (right, row) = (candidate(RIGHT), row(1));
        let presented = Presented { account: "a@example.org", candidate: &right };
        let mut cache = cache_with(&row, presented);
        cache.bar(presented);
        let barred = Proof { mailbox: None, barred: true, ..proof(&row) };
        assert_eq!(cache.look_up(presented, &row, at(1)), Some(barred));
        assert!(cache.entries.values().all(|entry| entry.mailbox.is_none()));
        assert_eq!(cache.look_up_alone(presented, at(1)), None);
        cache.remember(presented, &row, &proof(&row), at(2));
        assert_eq!(cache.look_up(presented, &row, at(3)), Some(proof(&row)), "it was proven anew");
    }

    #[test]
    fn any_change_of_the_row_ends_the_proof() {
        let (right, row) = (candidate(RIGHT), row(1));
        let presented = Presented { account: "a@example.org", candidate: &right };
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
        let (right, row) = (candidate(RIGHT), row(1));
        let presented = Presented { account: "a@example.org", candidate: &right };
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
        let (right, row) = (candidate(RIGHT), row(1));
        let presented = Presented { account: "a@example.org", candidate: &right };
        let mut cache = cache_with(&row, presented);
        assert!(cache.look_up(presented, &row, at(100)).is_some());
        assert!(cache.look_up_alone(presented, at(130)).is_some());
        assert!(cache.look_up_alone(presented, at(160)).is_some());
        assert!(cache.look_up_alone(presented, at(161)).is_none(), "its own uses do not prolong that");
        assert!(cache.look_up(presented, &row, at(200)).is_some(), "the database is back");
    }

    #[test]
    fn the_cache_drops_what_was_used_longest_ago() {
        let (right, row) = (candidate(RIGHT), row(1));
        let mut cache = ProofCache::new(Secret::new(vec![7; 32]), HOUR);
        let bare = Proof { mailbox: None, ..proof(&row) };
        let name = |number: usize| format!("{number}@example.org");
        for number in 0..ENTRIES_MAX {
            let account = name(number);
            cache.remember(Presented { account: &account, candidate: &right }, &row, &bare, at(0));
        }
        let first = Presented { account: "0@example.org", candidate: &right };
        assert!(cache.look_up(first, &row, at(1)).is_some());
        cache.remember(Presented { account: "new@example.org", candidate: &right }, &row, &bare, at(1));
        assert_eq!((cache.entries.len(), cache.by_use.len()), (ENTRIES_MAX, ENTRIES_MAX));
        assert!(cache.look_up(first, &row, at(1)).is_some());
        assert!(
            cache.look_up(Presented { account: "1@example.org", candidate: &right }, &row, at(1)).is_none()
        );
    }

    #[test]
    fn the_mailbox_password_is_not_held_in_clear() {
        let (right, row) = (candidate(RIGHT), row(1));
        let presented = Presented { account: "a@example.org", candidate: &right };
        let cache = cache_with(&row, presented);
        let entry = cache.entries.values().next().unwrap();
        let held = &entry.mailbox.as_ref().unwrap().ciphertext;
        assert!(!held.windows(7).any(|window| window == b"hunter2"));
        let wrong = candidate(WRONG);
        let other = Presented { candidate: &wrong, ..presented };
        let key = cache.entry_key(presented);
        assert!(cache.decrypt(&key, other, entry.mailbox.as_ref().unwrap()).is_none());
    }

    #[test]
    fn zero_turns_the_cache_off() {
        let (right, row) = (candidate(RIGHT), row(1));
        let presented = Presented { account: "a@example.org", candidate: &right };
        let mut cache = ProofCache::new(Secret::new(vec![7; 32]), Duration::ZERO);
        cache.remember(presented, &row, &proof(&row), at(0));
        assert!(cache.look_up(presented, &row, at(0)).is_none());
    }
}
