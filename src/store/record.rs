//! Rows as the floors above see them.

use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};

use crate::base::{
    AccountId, Address, AppPasswordId, ClientAddress, FactorId, InvalidName, Protocol, SessionId, Timestamp,
    UpstreamName,
};

/// Where an account stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountState {
    /// It may log in.
    Active,
    /// An administrator keeps it out.
    Suspended,
    /// A tombstone: the address is free, but not forgotten.
    Removed,
}

impl AccountState {
    /// The word in the database, and for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Removed => "removed",
        }
    }
}

/// A word that is no [`AccountState`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the state of an account")]
pub struct UnknownState(pub String);

impl TryFrom<String> for AccountState {
    type Error = UnknownState;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        let all = [Self::Active, Self::Suspended, Self::Removed];
        all.into_iter().find(|state| state.as_str() == word).ok_or(UnknownState(word))
    }
}

/// How an address comes back from the database.
impl TryFrom<String> for Address {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

/// A row of `accounts`.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct AccountRecord {
    /// Key.
    pub id: AccountId,
    /// Folded address, unique.
    #[sqlx(try_from = "String")]
    pub address: Address,
    /// The upstream that its domain led to when it appeared.
    pub upstream: UpstreamName,
    /// The upstream that it was bound to, wherever its domain leads.
    pub bound_upstream: Option<UpstreamName>,
    /// Where it stands.
    #[sqlx(try_from = "String")]
    pub state: AccountState,
    /// It had a factor when it was removed: it must bind one before its mailbox password counts again.
    pub must_bind: bool,
    /// When it first appeared.
    pub created_at: Timestamp,
    /// Last successful login, at most a few seconds late.
    pub last_login_at: Option<Timestamp>,
}

/// An account and how many factors it has bound.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Standing {
    /// The account.
    #[sqlx(flatten)]
    pub account: AccountRecord,
    /// Zero: unbound.
    #[sqlx(try_from = "i64")]
    pub bound_factors: u32,
}

/// What one look at an address and a label finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The account of the address.
    pub standing: Standing,
    /// Its app password with the label.
    pub app_password: Option<AppPasswordRecord>,
}

/// A [`Standing`] in a row that holds another record, too.
#[derive(FromRow)]
struct Prefixed {
    account_id: AccountId,
    #[sqlx(try_from = "String")]
    account_address: Address,
    account_upstream: UpstreamName,
    account_bound_upstream: Option<UpstreamName>,
    #[sqlx(try_from = "String")]
    account_state: AccountState,
    account_must_bind: bool,
    account_created_at: Timestamp,
    account_last_login_at: Option<Timestamp>,
    #[sqlx(try_from = "i64")]
    bound_factors: u32,
}

impl<'r, R: Row> FromRow<'r, R> for Found
where
    Prefixed: FromRow<'r, R>,
    AppPasswordRecord: FromRow<'r, R>,
    &'static str: ColumnIndex<R>,
    Option<AppPasswordId>: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        let found = Prefixed::from_row(row)?;
        let account = AccountRecord {
            id: found.account_id,
            address: found.account_address,
            upstream: found.account_upstream,
            bound_upstream: found.account_bound_upstream,
            state: found.account_state,
            must_bind: found.account_must_bind,
            created_at: found.account_created_at,
            last_login_at: found.account_last_login_at,
        };
        let standing = Standing { account, bound_factors: found.bound_factors };
        let has_one: Option<AppPasswordId> = row.try_get("id")?;
        let app_password = has_one.map(|_| AppPasswordRecord::from_row(row)).transpose()?;
        Ok(Self { standing, app_password })
    }
}

/// What `add_account` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is new.
    New,
    /// It was a tombstone.
    Revived,
    /// It was there.
    Existing,
}

/// A row of `factors`.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct FactorRecord {
    /// Key.
    pub id: FactorId,
    /// Whose.
    pub account: AccountId,
    /// `totp`, …
    pub kind: String,
    /// What its owner calls it; empty where he gave it no name. Hostile.
    pub name: String,
    /// What tells it from others of its kind, as lists show it: masked where it is somebody's.
    pub detail: Option<String>,
    /// The secret, encrypted under the site key.
    pub secret: Vec<u8>,
    /// When it was bound.
    pub bound_at: Timestamp,
    /// The last TOTP step that was used, or whatever else of the kind only grows.
    pub last_step: Option<i64>,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
}

/// What `insert_factor` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactorInserted {
    /// It is bound, durably.
    Done,
    /// The account has as many as it may have.
    LimitReached,
    /// The account is gone.
    NoAccount,
}

/// What `unbind_factors` took away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unbound {
    /// The factors that are gone.
    pub factors: Vec<FactorRecord>,
    /// How many app passwords went with the last factor.
    pub app_passwords: u64,
}

/// A row of `app_passwords`.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct AppPasswordRecord {
    /// Key.
    pub id: AppPasswordId,
    /// Whose; unique together with `label`.
    pub account: AccountId,
    /// The visible first group, lower case.
    pub label: String,
    /// What the user called it.
    pub name: String,
    /// Argon2 parameters and salt, PHC-like text without the hash (`$argon2id$v=19$m=…,t=…,p=…$salt`).
    pub kdf: String,
    /// SHA-256 of the proving half of the argon2 output.
    pub proof: Vec<u8>,
    /// X25519 public key made from the other half.
    pub public_key: Vec<u8>,
    /// The mailbox password, HPKE-sealed to `public_key`; none under `master`.
    pub sealed: Option<Vec<u8>>,
    /// Counts re-sealings; bound into the seal.
    pub sealed_version: i64,
    /// When the upstream was asked whether the mailbox password is right; none where nothing is sealed.
    pub sealed_at: Option<Timestamp>,
    /// The upstream the seal is bound to.
    pub upstream: UpstreamName,
    /// `imap,pop3,smtp` or fewer.
    pub protocols: String,
    /// Comma-separated CIDRs; empty: anywhere.
    pub networks: String,
    /// `full` or `read-only`.
    pub access: String,
    /// When it ends, if it does.
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Last use, at most a few seconds late; likewise the next two.
    pub last_used_at: Option<Timestamp>,
    /// From where.
    pub last_used_address: Option<String>,
    /// With which program.
    pub last_used_program: Option<String>,
    /// When the upstream refused what is sealed, if it did and has not taken it since.
    pub stale_since: Option<Timestamp>,
    /// How often it was tried again since then.
    pub probes: i64,
    /// When it may be tried again; none unless it is stale.
    pub next_probe_at: Option<Timestamp>,
    /// MAC under the site key over everything that opens a door in this row (not the last uses, nor what is known
    /// of the seal's freshness).
    pub mac: Vec<u8>,
}

/// A seal that was, or is about to be, sent upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentSeal {
    /// Whose.
    pub account: AccountId,
    /// Which.
    pub app_password: AppPasswordId,
    /// To which upstream.
    pub upstream: UpstreamName,
    /// The seal's version.
    pub version: i64,
}

/// What `insert_app_password` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It is there, durably.
    Done,
    /// The account has one with this label: draw another.
    LabelTaken,
    /// The account has as many as policy allows.
    LimitReached,
    /// The account is gone.
    NoAccount,
}

/// The head of one audit chain.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct AuditHead {
    /// Which chain (the file's name without its ending).
    pub chain: String,
    /// Where its file is: machine and directory.
    pub place: String,
    /// Sequence number of the last record.
    pub sequence: i64,
    /// Hash of the last record, 32 bytes.
    pub hash: Vec<u8>,
    /// MAC under the site key over the four above.
    pub mac: Vec<u8>,
}

/// An audit record in the search index.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct AuditRow {
    /// Chain and sequence are the key.
    pub chain: String,
    /// From 1.
    pub sequence: i64,
    /// When it happened.
    pub at: Timestamp,
    /// `login`, `session_end`, …
    pub event: String,
    /// The account's address, or the form an unknown name is recorded in.
    pub account: Option<String>,
    /// Client address.
    pub ip: Option<String>,
    /// `admitted`, `refused`, …
    pub outcome: Option<String>,
    /// The whole record, JSON.
    pub json: String,
}

/// How far into the file of one chain the search index has come.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct AuditMark {
    /// Which chain.
    pub chain: String,
    /// Bytes of its file that are indexed.
    pub position: i64,
    /// The last of them: where the file has others at that place, it is not the file that was indexed.
    pub tail: Vec<u8>,
}

/// What to search for; all given conditions hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Exact account.
    pub account: Option<String>,
    /// At or after.
    pub from: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// Exact event.
    pub event: Option<String>,
    /// Exact outcome.
    pub outcome: Option<String>,
    /// Exact address.
    pub ip: Option<String>,
    /// Without what the trail records about itself, the beginnings and ends of chains.
    pub without_chains: bool,
    /// Which kinds of records.
    pub among: Among,
    /// At most so many, the newest ones; 0 means 1,000.
    pub limit: u32,
}

/// Kinds of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Among {
    /// All.
    #[default]
    All,
    /// Attempts to get in, of mail clients and of browsers, also those that were only counted; but not mail clients that were let
    /// in. An account has few of them, and they are found quickly.
    RareAttempts,
}

/// One use of an account; see [`Store::record_uses`](super::Store::record_uses).
#[derive(Clone, Debug)]
pub struct Use {
    /// Whose.
    pub account: AccountId,
    /// With which app password, if it was one.
    pub app_password: Option<AppPasswordId>,
    /// When.
    pub at: Timestamp,
    /// From where (address as text).
    pub address: String,
    /// With which client program, as it announced itself.
    pub program: Option<String>,
}

impl Use {
    /// What tells the client from the account's others: what it calls itself, or else where it is.
    #[must_use]
    pub fn client(&self) -> &str {
        self.program.as_deref().unwrap_or(&self.address)
    }
}

/// A row of `changes`: something happened to what the sessions of an account rest on.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Change {
    /// Rising numbers, not without gaps.
    pub seq: i64,
    /// Whose.
    pub account: AccountId,
    /// The one session that must end.
    pub session: Option<SessionId>,
    /// Why sessions must end whatever holds now: `suspended`, `removed`, `factor_bound`, `ended_by_admin`,
    /// `ended_by_owner`. None: read what holds now.
    pub reason: Option<String>,
}

/// A serving process, from its start to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(transparent)]
pub struct NodeId(pub uuid::Uuid);

/// A live session as its node writes it down.
#[derive(Clone, Debug)]
pub struct LiveSession {
    /// Key.
    pub id: SessionId,
    /// Whose.
    pub account: AccountId,
    /// What is spoken.
    pub protocol: Protocol,
    /// From where.
    pub client: ClientAddress,
    /// What the client says it is.
    pub program: Option<String>,
    /// With which app password; none: with the mailbox password.
    pub app_password: Option<AppPasswordId>,
    /// To which upstream.
    pub upstream: UpstreamName,
    /// When it was let in.
    pub since: Timestamp,
    /// So far.
    pub bytes_from_client: u64,
    /// So far.
    pub bytes_to_client: u64,
}

/// A live session as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct LiveSessionRecord {
    /// Key.
    pub id: SessionId,
    /// Whose.
    pub account: AccountId,
    /// The account's address.
    pub address: String,
    /// `imap`, `pop3` or `smtp`.
    pub protocol: String,
    /// From where.
    pub client: String,
    /// What the client says it is.
    pub program: Option<String>,
    /// With which app password; none: with the mailbox password.
    pub app_password: Option<AppPasswordId>,
    /// Its label; none if it is gone already.
    pub label: Option<String>,
    /// Its name; likewise.
    pub name: Option<String>,
    /// To which upstream.
    pub upstream: UpstreamName,
    /// When it was let in.
    pub since: Timestamp,
    /// Some seconds ago.
    pub bytes_from_client: i64,
    /// Some seconds ago.
    pub bytes_to_client: i64,
}
