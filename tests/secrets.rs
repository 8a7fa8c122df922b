//! App passwords, factors and accounts on a real database and a real trail, and against whoever can write
//! the database.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test says what is wrong by panicking")]

#[path = "../src/base/scratch.rs"]
mod scratch;

use std::sync::Arc;
use std::time::Duration;

use mailward::account::{AccountError, Accounts, Located};
use mailward::app_password::{
    AppPasswords, Candidate, CreateError, Created, ProvenMailbox, ResealError, RevokeError, Scope, Tampered,
    Undecided, WhyLeftAlone,
};
use mailward::audit::event::Actor;
use mailward::audit::{Audit, Author};
use mailward::base::{
    Access, Address, AppPasswordId, Clock, LoginName, ManualClock, NetworkList, Password, Protocol,
    ProtocolSet, SiteKey, UpstreamName,
};
use mailward::config::{self, AfterUnbind, Database, FactorKind, TotpParameters, WhenFull};
use mailward::factor::{FactorError, Factors, TotpEnrolment};
use mailward::store::{AccountRecord, Added, AppPasswordRecord, Store};
use scratch::Scratch;
use sqlx::AssertSqlSafe;

const MAILBOX: &str = "canary-mailbox-password";

/// A site with a database and a trail of its own.
struct Site {
    directory: Scratch,
    store: Store,
    key: Arc<SiteKey>,
    clock: Arc<ManualClock>,
    audit: Audit,
    app_passwords: AppPasswords,
    factors: Factors,
    accounts: Accounts,
}

impl Site {
    async fn open() -> Self {
        let directory = Scratch::new();
        let store = Store::open(&Database::Sqlite(directory.path().join("mailward.db"))).await.unwrap();
        let key = Arc::new(SiteKey::from_bytes([7; 32]));
        let clock = Arc::new(ManualClock::default());
        let audit = audit(&directory, &store, &key, &clock).await;
        Self {
            app_passwords: AppPasswords::new(store.clone(), key.clone(), clock.clone()),
            factors: Factors::new(store.clone(), key.clone(), clock.clone()),
            accounts: Accounts::new(store.clone(), clock.clone()),
            directory,
            store,
            key,
            clock,
            audit,
        }
    }

    fn author(&self) -> Author<'_> {
        Author::new(&self.audit, Actor::CommandLine { user: "root".into() })
    }

    /// A trail to which nothing can be written.
    async fn closed_audit(&self) -> Audit {
        let audit = audit(&self.directory, &self.store, &self.key, &self.clock).await;
        audit.close().await;
        audit
    }

    async fn account(&self, name: &str) -> AccountRecord {
        self.accounts.add(&located(name), &self.author()).await.unwrap().0
    }

    async fn create(&self, account: &AccountRecord, mailbox: Option<&str>) -> Created {
        let (mailbox, scope, by) = (mailbox.map(password), anywhere(), self.author());
        let mailbox = mailbox.as_ref().map(|mailbox| self.proven(mailbox, &account.upstream));
        self.app_passwords.create(account, "Foxmail", &scope, mailbox, 20, &by).await.unwrap()
    }

    /// As if the upstream had just taken it.
    fn proven<'a>(&self, password: &'a Password, upstream: &'a UpstreamName) -> ProvenMailbox<'a> {
        ProvenMailbox { password, upstream, at: self.clock.now() }
    }

    /// Returns which were left alone, all for having been changed.
    async fn reseal(&self, account: &AccountRecord, mailbox: &str) -> Vec<AppPasswordId> {
        let (mailbox, by) = (password(mailbox), self.author());
        let mailbox = self.proven(&mailbox, &account.upstream);
        let resealed = self.app_passwords.reseal(account.id, &account.address, mailbox, &by).await.unwrap();
        assert!(resealed.left_alone.iter().all(|left| left.why == WhyLeftAlone::Tampered(Tampered::Mac)));
        resealed.left_alone.iter().map(|left| left.row.id).collect()
    }

    async fn row(&self, account: &AccountRecord, created: &Created) -> AppPasswordRecord {
        self.store.app_password_by_label(account.id, &created.label).await.unwrap().unwrap()
    }

    /// What the app password opens now; `Err` names what is wrong with its row.
    async fn opened(&self, account: &AccountRecord, created: &Created) -> Result<Password, Tampered> {
        let row = self.row(account, created).await;
        self.app_passwords.scope(&row)?;
        let proven = self.app_passwords.prove(&row, &candidate(created)).await.unwrap();
        self.app_passwords.open(&row, &proven.expect("a row whose MAC is right is proven"))
    }

    /// Does to the database what its thief would do.
    async fn sql(&self, statement: &str) {
        let Store::Sqlite(pool, _) = &self.store else { unreachable!("these tests run on SQLite") };
        let done = sqlx::query(AssertSqlSafe(statement.to_owned())).execute(pool).await.unwrap();
        // For a table that is made, the connection says what it had changed before.
        assert!(done.rows_affected() > 0 || statement.starts_with("CREATE"), "{statement}");
    }

    /// How often `event` stands in the trail.
    fn recorded(&self, event: &str) -> usize {
        let needle = format!("\"event\":\"{event}\"");
        self.files("audit").iter().map(|(_, content)| content.matches(&needle).count()).sum()
    }

    /// Every file whose path holds `part`, bytes as Latin-1.
    fn files(&self, part: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut pending = vec![self.directory.path().to_owned()];
        while let Some(path) = pending.pop() {
            if path.is_dir() {
                pending.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            } else if path.display().to_string().contains(part) {
                let content = std::fs::read(&path).unwrap().into_iter().map(char::from).collect();
                found.push((path.display().to_string(), content));
            }
        }
        found
    }
}

async fn audit(directory: &Scratch, store: &Store, key: &Arc<SiteKey>, clock: &Arc<ManualClock>) -> Audit {
    let settings = config::Audit {
        directory: directory.path().join("audit"),
        when_full: WhenFull::Refuse,
        retention: None,
        reserve: 0,
    };
    Audit::open(&settings, store.clone(), key.clone(), clock.clone()).await.unwrap()
}

fn located(name: &str) -> Located {
    Located {
        address: Address::parse(&format!("{name}@example.org")).unwrap(),
        upstream: UpstreamName("legacy".into()),
        upstream_user: LoginName::from_bytes(name.as_bytes()).unwrap(),
    }
}

fn anywhere() -> Scope {
    Scope {
        protocols: ProtocolSet::ALL,
        networks: NetworkList::default(),
        access: Access::Full,
        expires_at: None,
    }
}

fn password(text: &str) -> Password {
    Password::new(text.as_bytes().to_vec()).unwrap()
}

fn printed(created: &Created) -> &str {
    std::str::from_utf8(created.printed.expose()).unwrap()
}

fn candidate(created: &Created) -> Candidate {
    Candidate::parse(&password(printed(created))).unwrap()
}

// --- app passwords

#[tokio::test]
async fn an_app_password_proves_itself_however_it_is_typed_and_opens_what_was_sealed_to_it() {
    let site = Site::open().await;
    let alice = site.account("alice").await;
    let created = site.create(&alice, Some(MAILBOX)).await;
    let row = site.row(&alice, &created).await;
    for typed in [
        printed(&created).to_owned(),
        printed(&created).to_uppercase().replace(' ', "-"),
        printed(&created).replace(' ', ""),
    ] {
        let candidate = Candidate::parse(&password(&typed)).unwrap();
        assert_eq!(candidate.label(), created.label);
        let proven = site.app_passwords.prove(&row, &candidate).await.unwrap().unwrap();
        assert_eq!(site.app_passwords.open(&row, &proven), Ok(password(MAILBOX)));
    }
}

#[tokio::test]
async fn the_stored_parameters_are_no_weaker_than_the_house_demands() {
    let site = Site::open().await;
    let alice = site.account("alice").await;
    let row = site.row(&alice, &site.create(&alice, None).await).await;
    let parameters = row.kdf.strip_prefix("$argon2id$v=19$").unwrap().split('$').next().unwrap();
    let number = |name| {
        let value = parameters.split(',').find_map(|item: &str| item.strip_prefix(name)).unwrap();
        value.parse::<u32>().unwrap()
    };
    assert!(number("m=") >= 19 * 1024 && number("t=") >= 2 && number("p=") == 1, "{}", row.kdf);
}

#[tokio::test]
async fn another_password_with_the_same_label_is_not_proven() {
    let site = Site::open().await;
    let alice = site.account("alice").await;
    let created = site.create(&alice, Some(MAILBOX)).await;
    let row = site.row(&alice, &created).await;
    let last = if printed(&created).ends_with('a') { "b" } else { "a" };
    let near = Candidate::parse(&password(&format!("{}{last}", &printed(&created)[..18]))).unwrap();
    assert_eq!(near.label(), created.label);
    assert!(site.app_passwords.prove(&row, &near).await.unwrap().is_none());
}

#[tokio::test]
async fn what_one_app_password_proves_opens_no_other() {
    let site = Site::open().await;
    let alice = site.account("alice").await;
    let (one, two) = (site.create(&alice, Some(MAILBOX)).await, site.create(&alice, Some(MAILBOX)).await);
    let (row_one, row_two) = (site.row(&alice, &one).await, site.row(&alice, &two).await);
    let proven = site.app_passwords.prove(&row_one, &candidate(&one)).await.unwrap().unwrap();
    assert_eq!(site.app_passwords.open(&row_two, &proven), Err(Tampered::Seal));
    assert!(site.app_passwords.prove(&row_two, &candidate(&one)).await.unwrap().is_none());
}

#[tokio::test]
async fn an_app_password_carries_its_scope() {
    let site = Site::open().await;
    let alice = site.account("alice").await;
    let scope = Scope {
        protocols: [Protocol::Imap, Protocol::Smtp].into_iter().collect(),
        networks: "192.0.2.0/24,2001:db8::/32".parse().unwrap(),
        access: Access::Full,
        expires_at: Some(site.clock.now().plus(Duration::from_secs(90 * 86_400))),
    };
    let created =
        site.app_passwords.create(&alice, " iPhone ", &scope, None, 20, &site.author()).await.unwrap();
    let row = site.row(&alice, &created).await;
    assert_eq!(site.app_passwords.scope(&row), Ok(scope.clone()));
    assert_eq!(row.name, "iPhone");
    let proven = site.app_passwords.prove(&row, &candidate(&created)).await.unwrap().unwrap();
    assert_eq!(site.app_passwords.open(&row, &proven), Err(Tampered::NothingSealed));
    let reads = Scope { access: Access::ReadOnly, ..scope };
    let created =
        site.app_passwords.create(&alice, "Scanner", &reads, None, 20, &site.author()).await.unwrap();
    let reads = Scope { protocols: [Protocol::Imap].into_iter().collect(), ..reads };
    assert_eq!(site.app_passwords.scope(&site.row(&alice, &created).await), Ok(reads), "it sends nothing");
}

#[tokio::test]
async fn what_makes_no_sense_is_not_made() {
    let site = Site::open().await;
    let alice = site.account("alice").await;
    let no_protocol = Scope { protocols: [].into_iter().collect(), ..anywhere() };
    let only_sends =
        Scope { protocols: [Protocol::Smtp].into_iter().collect(), access: Access::ReadOnly, ..anywhere() };
    let expired = Scope { expires_at: Some(site.clock.now()), ..anywhere() };
    let long = "x".repeat(65);
    for (name, scope) in [
        (" ", anywhere()),
        ("a\nb", anywhere()),
        ("\u{1b}[2J", anywhere()),
        (long.as_str(), anywhere()),
        ("Foxmail", no_protocol),
        ("Foxmail", only_sends),
        ("Foxmail", expired),
    ] {
        let refused = site.app_passwords.create(&alice, name, &scope, None, 20, &site.author()).await;
        assert!(matches!(refused, Err(CreateError::Invalid(_))), "{name:?} {scope:?}");
    }
    for _ in 0..2 {
        site.app_passwords.create(&alice, "Foxmail", &anywhere(), None, 2, &site.author()).await.unwrap();
    }
    let refused = site.app_passwords.create(&alice, "Foxmail", &anywhere(), None, 2, &site.author()).await;
    assert!(matches!(refused, Err(CreateError::LimitReached(2))));
    site.accounts.remove(&alice.address, &site.author()).await.unwrap();
    let refused = site.app_passwords.create(&alice, "Foxmail", &anywhere(), None, 2, &site.author()).await;
    assert!(matches!(refused, Err(CreateError::NoAccount)));
}

#[tokio::test]
async fn no_file_holds_a_mailbox_password_an_app_password_or_a_factor_secret() {
    let site = Site::open().await;
    let alice = site.account("alice").await;
    let created = site.create(&alice, Some(MAILBOX)).await;
    let enrolment = site.factors.enrol_totp("mail.example.org", &alice.address, TotpParameters::USUAL);
    site.factors.bind_totp(&alice, &enrolment, None, &site.author()).await.unwrap();
    let twelve = &printed(&created)[5..];
    let key = std::str::from_utf8(enrolment.secret.expose()).unwrap();
    let raw: String =
        totp_rs::Secret::try_from_base32(key).unwrap().as_bytes().iter().copied().map(char::from).collect();
    let files = site.files("");
    assert!(
        files.iter().any(|(_, content)| content.contains(&created.label)),
        "the label is searched for too"
    );
    for (path, content) in files {
        for secret in [MAILBOX, twelve, &twelve.replace(' ', ""), key, &raw] {
            assert!(!content.contains(secret), "{path}");
        }
    }
}

#[tokio::test]
async fn a_row_that_was_changed_in_the_database_proves_opens_and_gets_nothing() {
    let site = Site::open().await;
    let alice = site.account("alice").await;
    let (one, other) = (site.create(&alice, Some(MAILBOX)).await, site.create(&alice, Some(MAILBOX)).await);
    let good = site.row(&alice, &one).await;
    let proven = site.app_passwords.prove(&good, &candidate(&one)).await.unwrap().unwrap();
    site.sql("CREATE TABLE good AS SELECT * FROM app_passwords").await;
    let others = |column| {
        format!(
            "UPDATE app_passwords SET {column} = (SELECT {column} FROM good WHERE label = '{}') ",
            other.label
        )
    };
    let attacks = [
        others("sealed"),
        others("sealed, mac").replace("SET sealed, mac = (", "SET (sealed, mac) = ("),
        others("public_key"),
        others("proof"),
        others("kdf"),
        others("mac"),
        "UPDATE app_passwords SET sealed = NULL ".to_owned(),
        "UPDATE app_passwords SET sealed_version = sealed_version - 1 ".to_owned(),
        "UPDATE app_passwords SET public_key = zeroblob(32) ".to_owned(),
        "UPDATE app_passwords SET upstream = 'evil' ".to_owned(),
        "UPDATE app_passwords SET protocols = 'imap' ".to_owned(),
        "UPDATE app_passwords SET access = 'read-only' ".to_owned(),
        "UPDATE app_passwords SET networks = '192.0.2.0/24' ".to_owned(),
        "UPDATE app_passwords SET expires_at = '2099-01-01T00:00:00.000000Z' ".to_owned(),
        "UPDATE app_passwords SET created_at = '2025-01-01T00:00:00.000000Z' ".to_owned(),
        "UPDATE app_passwords SET name = 'iPhone' ".to_owned(),
        "UPDATE app_passwords SET kdf = replace(kdf, 'm=19456', 'm=4194304') ".to_owned(),
    ];
    for attack in attacks {
        site.sql(&format!("{attack} WHERE label = '{}'", one.label)).await;
        let changed = site.row(&alice, &one).await;
        assert_ne!(changed, good, "{attack}");
        assert_eq!(site.app_passwords.scope(&changed), Err(Tampered::Mac), "{attack}");
        let refused = site.app_passwords.prove(&changed, &candidate(&one)).await.err();
        assert_eq!(refused, Some(Undecided::Tampered(Tampered::Mac)), "{attack}");
        assert_eq!(site.app_passwords.open(&changed, &proven), Err(Tampered::Mac), "{attack}");

        assert_eq!(site.reseal(&alice, "changed").await, [one.id], "{attack}");
        assert_eq!(site.row(&alice, &one).await, changed, "nothing was sealed to it: {attack}");
        site.sql("DELETE FROM app_passwords").await;
        site.sql("INSERT INTO app_passwords SELECT * FROM good").await;
    }
    assert_eq!(site.opened(&alice, &one).await, Ok(password(MAILBOX)), "as it was, it opens");
}

#[tokio::test]
async fn a_row_moved_to_another_account_proves_nothing_there() {
    let site = Site::open().await;
    let (alice, mallory) = (site.account("alice").await, site.account("mallory").await);
    let (hers, theirs) = (site.create(&alice, Some(MAILBOX)).await, site.create(&mallory, Some("m")).await);
    // Mallory's own app password, moved into alice's account, to wait for her next mailbox password.
    site.sql(&format!(
        "UPDATE app_passwords SET account = (SELECT account FROM app_passwords WHERE label = '{}') WHERE label = '{}'",
        hers.label, theirs.label
    ))
    .await;
    assert_eq!(site.opened(&alice, &theirs).await, Err(Tampered::Mac));
    assert_eq!(site.reseal(&alice, "changed").await, [theirs.id]);
    assert_eq!(site.opened(&alice, &hers).await, Ok(password("changed")));
}

#[tokio::test]
async fn a_changed_mailbox_password_is_sealed_again_without_any_app_password() {
    let site = Site::open().await;
    let (alice, bob) = (site.account("alice").await, site.account("bob").await);
    let (one, two) = (site.create(&alice, Some(MAILBOX)).await, site.create(&alice, None).await);
    let bobs = site.create(&bob, Some("bob's")).await;
    for changed in ["second", "third"] {
        assert!(site.reseal(&alice, changed).await.is_empty());
        assert_eq!(site.opened(&alice, &one).await, Ok(password(changed)));
        assert_eq!(
            site.opened(&alice, &two).await,
            Ok(password(changed)),
            "made without one, under `master`"
        );
    }
    assert_eq!(site.row(&alice, &one).await.sealed_version, 2);
    assert_eq!(site.opened(&bob, &bobs).await, Ok(password("bob's")));

    assert_eq!(site.recorded("mailbox_password_resealed"), 2, "one for all that were re-sealed together");
}

#[tokio::test]
async fn a_seal_follows_its_account_to_another_upstream_and_is_for_that_one_alone() {
    let site = Site::open().await;
    let alice = site.account("alice").await;
    let (one, tampered) =
        (site.create(&alice, Some(MAILBOX)).await, site.create(&alice, Some(MAILBOX)).await);
    site.sql(&format!("UPDATE app_passwords SET name = 'x' WHERE label = '{}'", tampered.label)).await;
    let moved = AccountRecord { upstream: UpstreamName("other".into()), ..alice.clone() };
    assert_eq!(site.reseal(&moved, "theirs").await, [tampered.id]);
    assert_eq!(site.row(&alice, &one).await.upstream, moved.upstream);
    assert_eq!(site.opened(&alice, &one).await, Ok(password("theirs")));
    // Nobody makes it one of the old upstream's again but by proving a password there.
    site.sql(&format!("UPDATE app_passwords SET upstream = 'legacy' WHERE label = '{}'", one.label)).await;
    assert_eq!(site.opened(&alice, &one).await, Err(Tampered::Mac));
}

#[tokio::test]
async fn what_was_re_sealed_stands_even_where_it_could_not_be_recorded_and_says_so() {
    let site = Site::open().await;
    let alice = site.account("alice").await;
    let one = site.create(&alice, Some(MAILBOX)).await;
    let (closed, changed) = (site.closed_audit().await, password("changed"));
    let by = Author::new(&closed, Actor::Gate);
    let mailbox = site.proven(&changed, &alice.upstream);
    let told = site.app_passwords.reseal(alice.id, &alice.address, mailbox, &by).await;
    assert!(matches!(told, Err(ResealError::Unrecorded(_))), "{told:?}");
    assert_eq!(site.opened(&alice, &one).await, Ok(changed));
}

#[tokio::test]
async fn of_two_who_seal_again_at_once_both_leave_rows_that_open() {
    let site = Site::open().await;
    let alice = site.account("alice").await;
    let mut made = Vec::new();
    for _ in 0..4 {
        made.push(site.create(&alice, Some(MAILBOX)).await);
    }
    let (left, right) = (password("left"), password("right"));
    let (one, two) = tokio::join!(site.reseal(&alice, "left"), site.reseal(&alice, "right"));
    assert!(one.is_empty() && two.is_empty());
    for created in &made {
        let opened = site.opened(&alice, created).await.unwrap();
        assert!(opened == left || opened == right);
        assert_eq!(site.row(&alice, created).await.sealed_version, 2);
    }
}

#[tokio::test]
async fn an_app_password_that_cannot_be_recorded_is_not_made() {
    let site = Site::open().await;
    let alice = site.account("alice").await;
    let closed = site.closed_audit().await;
    let by = Author::new(&closed, Actor::Gate);
    let refused = site.app_passwords.create(&alice, "Foxmail", &anywhere(), None, 20, &by).await;
    assert!(matches!(refused, Err(CreateError::Unrecorded(_))), "{refused:?}");
    assert!(site.app_passwords.list(alice.id).await.unwrap().is_empty());
    assert_eq!(site.recorded("app_password_created"), 0);
}

#[tokio::test]
async fn making_and_revoking_is_recorded_one_by_one() {
    let site = Site::open().await;
    let (alice, bob) = (site.account("alice").await, site.account("bob").await);
    let one = site.create(&alice, None).await;
    site.create(&alice, None).await;
    site.create(&alice, None).await;
    assert_eq!(site.recorded("app_password_created"), 3);

    let foreign = site.app_passwords.revoke(&bob, one.id, &site.author()).await;
    assert!(matches!(foreign, Err(RevokeError::NotFound)), "bob cannot revoke what is alice's");
    assert_eq!(site.app_passwords.revoke(&alice, one.id, &site.author()).await.unwrap().id, one.id);
    let again = site.app_passwords.revoke(&alice, one.id, &site.author()).await;
    assert!(matches!(again, Err(RevokeError::NotFound)));
    assert_eq!(site.recorded("app_password_revoked"), 1);
    assert_eq!(site.app_passwords.revoke_all(&alice, &site.author()).await.unwrap().len(), 2);
    assert_eq!(site.recorded("app_password_revoked"), 3);
    assert!(site.app_passwords.list(alice.id).await.unwrap().is_empty());
}

#[tokio::test]
async fn revoking_stands_even_if_it_cannot_be_recorded() {
    let site = Site::open().await;
    let alice = site.account("alice").await;
    let one = site.create(&alice, None).await;
    site.create(&alice, None).await;
    let closed = site.closed_audit().await;
    let by = Author::new(&closed, Actor::Gate);
    let revoked = site.app_passwords.revoke(&alice, one.id, &by).await;
    assert!(matches!(revoked, Err(RevokeError::Unrecorded(_))));
    assert_eq!(site.app_passwords.list(alice.id).await.unwrap().len(), 1);
    assert!(matches!(site.app_passwords.revoke_all(&alice, &by).await, Err(RevokeError::Unrecorded(_))));
    assert!(site.app_passwords.list(alice.id).await.unwrap().is_empty());
}

// --- second factors

/// What the user's authenticator shows `steps` after now.
fn code(site: &Site, enrolment: &TotpEnrolment, steps: i64) -> String {
    let key = std::str::from_utf8(enrolment.secret.expose()).unwrap();
    let secret = totp_rs::Secret::try_from_base32(key).unwrap();
    let seconds = site.clock.now().unix_seconds() + 30 * steps;
    totp_rs::Builder::new()
        .with_secret(secret)
        .build()
        .unwrap()
        .generate(u64::try_from(seconds).unwrap())
        .to_string()
}

async fn bind(site: &Site, account: &AccountRecord) -> TotpEnrolment {
    let enrolment = site.factors.enrol_totp("mail.example.org", &account.address, TotpParameters::USUAL);
    site.factors.bind_totp(account, &enrolment, None, &site.author()).await.unwrap();
    enrolment
}

#[tokio::test]
async fn a_code_is_good_once_and_no_earlier_one_after_it() {
    let site = Site::open().await;
    let alice = site.account("alice").await;
    let enrolment = bind(&site, &alice).await;
    let verify = async |steps| site.factors.verify_totp(alice.id, &code(&site, &enrolment, steps)).await;
    assert!(matches!(verify(2).await, Err(FactorError::WrongCode)), "two steps ahead");
    verify(0).await.unwrap();
    assert!(matches!(verify(0).await, Err(FactorError::WrongCode)), "used");
    assert!(matches!(verify(-1).await, Err(FactorError::WrongCode)), "before the one that was used");
    verify(1).await.unwrap();
    site.clock.advance(Duration::from_secs(30));
    assert!(matches!(verify(0).await, Err(FactorError::WrongCode)), "used a step ago, as the one ahead");
    site.clock.advance(Duration::from_secs(30));
    verify(0).await.unwrap();
}

#[tokio::test]
async fn a_clock_that_is_set_back_makes_no_code_good_again() {
    let site = Site::open().await;
    let alice = site.account("alice").await;
    let enrolment = bind(&site, &alice).await;
    let before = code(&site, &enrolment, 0);
    site.clock.advance(Duration::from_secs(600));
    let now = code(&site, &enrolment, 0);
    site.factors.verify_totp(alice.id, &now).await.unwrap();
    // Ten minutes earlier, by another clock: `before` is the code of that moment, and nobody ever used it.
    let earlier = Factors::new(site.store.clone(), site.key.clone(), Arc::new(ManualClock::default()));
    for code in [&before, &now] {
        assert!(matches!(earlier.verify_totp(alice.id, code).await, Err(FactorError::WrongCode)));
    }
    site.clock.advance(Duration::from_secs(30));
    site.factors.verify_totp(alice.id, &code(&site, &enrolment, 0)).await.unwrap();
}

#[tokio::test]
async fn of_fifty_uses_of_one_code_at_once_one_succeeds() {
    let site = Arc::new(Site::open().await);
    let alice = site.account("alice").await;
    let code = code(&site, &bind(&site, &alice).await, 0);
    let uses = (0..50).map(|_| {
        let (site, code) = (site.clone(), code.clone());
        tokio::spawn(async move { site.factors.verify_totp(alice.id, &code).await.is_ok() })
    });
    let mut good = 0;
    for verified in uses.collect::<Vec<_>>() {
        good += usize::from(verified.await.unwrap());
    }
    assert_eq!(good, 1);
}

#[tokio::test]
async fn a_confirmed_binding_takes_the_right_code_only_and_uses_it_up() {
    let site = Site::open().await;
    let alice = site.account("alice").await;
    let enrolment = site.factors.enrol_totp("mail.example.org", &alice.address, TotpParameters::USUAL);
    let current = code(&site, &enrolment, 0);
    let wrong = code(&site, &enrolment, 7);
    let refused = site.factors.bind_totp(&alice, &enrolment, Some(&wrong), &site.author()).await;
    assert!(matches!(refused, Err(FactorError::WrongCode)));
    assert!(site.factors.list(alice.id).await.unwrap().is_empty());
    assert_eq!(site.recorded("factor_bound"), 0);

    site.factors.bind_totp(&alice, &enrolment, Some(&current), &site.author()).await.unwrap();
    assert_eq!(site.recorded("factor_bound"), 1);
    assert_eq!(site.accounts.show(&alice.address).await.unwrap().bound_factors, 1);
    assert!(matches!(site.factors.verify_totp(alice.id, &current).await, Err(FactorError::WrongCode)));
}

#[tokio::test]
async fn a_factor_moved_to_another_account_is_tampered_with() {
    let site = Site::open().await;
    let (alice, mallory) = (site.account("alice").await, site.account("mallory").await);
    bind(&site, &alice).await;
    let theirs = bind(&site, &mallory).await;
    let hers = site.factors.list(alice.id).await.unwrap().remove(0);
    site.sql(
        "UPDATE factors SET secret = (SELECT f.secret FROM factors f JOIN accounts a ON a.id = f.account \
         WHERE a.address LIKE 'mallory@%')",
    )
    .await;
    let verified = site.factors.verify_totp(alice.id, &code(&site, &theirs, 0)).await;
    assert!(matches!(verified, Err(FactorError::Tampered(id)) if id == hers.id), "{verified:?}");
    site.factors.verify_totp(mallory.id, &code(&site, &theirs, 0)).await.unwrap();
}

#[tokio::test]
async fn unbinding_the_last_factor_stops_or_keeps_app_passwords_as_told_and_is_recorded_with_its_reason() {
    let site = Site::open().await;
    for (name, after, left) in [("alice", AfterUnbind::Stop, 0), ("bob", AfterUnbind::Keep, 1)] {
        let account = site.account(name).await;
        bind(&site, &account).await;
        bind(&site, &account).await;
        site.create(&account, None).await;
        let unbound = site
            .factors
            .unbind(&account, Some(FactorKind::Totp), after, "lost phone", &site.author())
            .await
            .unwrap();
        assert_eq!((unbound.factors.len(), unbound.app_passwords), (2, 1 - left));
        assert_eq!(site.app_passwords.list(account.id).await.unwrap().len() as u64, left);
        let nothing = site.factors.unbind(&account, None, after, "again", &site.author()).await.unwrap();
        assert!(nothing.factors.is_empty());
    }
    assert_eq!(site.recorded("factor_unbound"), 4);
    let trail: String = site.files("audit").into_iter().map(|(_, content)| content).collect();
    assert_eq!(trail.matches("lost phone").count(), 4);
    assert_eq!(trail.matches("\"app_passwords_revoked\":1").count(), 1);
}

#[tokio::test]
async fn binding_that_cannot_be_recorded_is_taken_back_and_the_account_must_still_bind() {
    let site = Site::open().await;
    let alice = site.account("alice").await;
    bind(&site, &alice).await;
    site.accounts.remove(&alice.address, &site.author()).await.unwrap();
    let (alice, added) = site.accounts.add(&located("alice"), &site.author()).await.unwrap();
    assert_eq!((added, alice.must_bind), (Added::Revived, true));

    let closed = site.closed_audit().await;
    let by = Author::new(&closed, Actor::Gate);
    let enrolment = site.factors.enrol_totp("mail.example.org", &alice.address, TotpParameters::USUAL);
    let refused = site.factors.bind_totp(&alice, &enrolment, None, &by).await;
    assert!(matches!(refused, Err(FactorError::Undone(_))), "{refused:?}");
    let standing = site.accounts.show(&alice.address).await.unwrap();
    assert_eq!((standing.bound_factors, standing.account.must_bind), (0, true));
}

#[tokio::test]
async fn unbinding_that_cannot_be_recorded_binds_again() {
    let site = Site::open().await;
    let alice = site.account("alice").await;
    let enrolment = bind(&site, &alice).await;
    let used = code(&site, &enrolment, 0);
    site.factors.verify_totp(alice.id, &used).await.unwrap();
    let closed = site.closed_audit().await;
    let by = Author::new(&closed, Actor::Gate);
    let refused = site.factors.unbind(&alice, None, AfterUnbind::Keep, "lost phone", &by).await;
    assert!(matches!(refused, Err(FactorError::Undone(_))), "{refused:?}");
    assert!(
        matches!(site.factors.verify_totp(alice.id, &used).await, Err(FactorError::WrongCode)),
        "still used"
    );
    site.factors.verify_totp(alice.id, &code(&site, &enrolment, 1)).await.unwrap();
}

#[tokio::test]
async fn a_change_of_factors_that_cannot_be_recorded_leaves_all_as_it_was() {
    let site = Site::open().await;
    let alice = site.account("alice").await;
    let old = bind(&site, &alice).await;
    let bound = site.factors.list(alice.id).await.unwrap();
    let new = site.factors.enrol_totp("mail.example.org", &alice.address, TotpParameters::USUAL);
    let change = async |by: &Author<'_>| {
        let confirmed = site.factors.confirm(FactorKind::Totp, new.raw(), &code(&site, &new, 0)).unwrap();
        site.factors.replace(&alice, (FactorKind::Totp, bound[0].id), "New phone", confirmed, by).await
    };
    let closed = site.closed_audit().await;
    let refused = change(&Author::new(&closed, Actor::Gate)).await;
    assert!(matches!(refused, Err(FactorError::Undone(_))), "{refused:?}");
    assert_eq!(site.factors.list(alice.id).await.unwrap(), bound);
    site.factors.verify_totp(alice.id, &code(&site, &old, 0)).await.unwrap();

    change(&site.author()).await.unwrap();
    assert_eq!(site.recorded("factor_replaced"), 1);
    let of_the_old_one = site.factors.verify_totp(alice.id, &code(&site, &old, 1)).await;
    assert!(matches!(of_the_old_one, Err(FactorError::WrongCode)));
    site.factors.verify_totp(alice.id, &code(&site, &new, 1)).await.unwrap();
    let gone = change(&site.author()).await;
    assert!(matches!(gone, Err(FactorError::NotFound)), "there is nothing in its place: {gone:?}");
    assert_eq!(site.factors.list(alice.id).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_removed_account_binds_nothing() {
    let site = Site::open().await;
    let alice = site.account("alice").await;
    site.accounts.remove(&alice.address, &site.author()).await.unwrap();
    let enrolment = site.factors.enrol_totp("mail.example.org", &alice.address, TotpParameters::USUAL);
    let refused = site.factors.bind_totp(&alice, &enrolment, None, &site.author()).await;
    assert!(matches!(refused, Err(FactorError::NoAccount)));
}

// --- accounts

#[tokio::test]
async fn the_life_of_an_account_is_recorded_step_by_step_and_once_each() {
    let site = Site::open().await;
    let by = site.author();
    let alice = located("alice").address;
    assert!(matches!(site.accounts.show(&alice).await, Err(AccountError::NotFound(_))));
    assert!(matches!(site.accounts.suspend(&alice, &by).await, Err(AccountError::NotFound(_))));

    assert_eq!(site.accounts.add(&located("alice"), &by).await.unwrap().1, Added::New);
    assert_eq!(site.accounts.add(&located("alice"), &by).await.unwrap().1, Added::Existing);
    assert_eq!(site.accounts.list().await.unwrap().len(), 1);
    assert!(!site.accounts.resume(&alice, &by).await.unwrap(), "it was not suspended");
    assert!(site.accounts.suspend(&alice, &by).await.unwrap());
    assert!(!site.accounts.suspend(&alice, &by).await.unwrap(), "it was suspended already");
    assert!(site.accounts.resume(&alice, &by).await.unwrap());
    site.accounts.remove(&alice, &by).await.unwrap();
    for gone in [site.accounts.remove(&alice, &by).await.err(), site.accounts.show(&alice).await.err()] {
        assert!(matches!(gone, Some(AccountError::NotFound(_))));
    }
    assert!(site.accounts.list().await.unwrap().is_empty());
    for event in ["account_added", "account_suspended", "account_resumed", "account_removed"] {
        assert_eq!(site.recorded(event), 1, "{event}");
    }
}

#[tokio::test]
async fn what_opens_a_door_is_taken_back_if_it_cannot_be_recorded_and_what_closes_one_stands() {
    let site = Site::open().await;
    let alice = site.account("alice").await.address;
    let closed = site.closed_audit().await;
    let by = Author::new(&closed, Actor::Gate);

    let added = site.accounts.add(&located("bob"), &by).await;
    assert!(matches!(added, Err(AccountError::Undone(_))), "{added:?}");
    assert!(matches!(site.accounts.show(&located("bob").address).await, Err(AccountError::NotFound(_))));

    assert!(matches!(site.accounts.suspend(&alice, &by).await, Err(AccountError::Unrecorded(_))));
    assert!(matches!(site.accounts.resume(&alice, &by).await, Err(AccountError::Undone(_))));
    assert!(!site.accounts.suspend(&alice, &site.author()).await.unwrap(), "suspended it is");
    assert!(matches!(site.accounts.remove(&alice, &by).await, Err(AccountError::Unrecorded(_))));
    assert!(matches!(site.accounts.show(&alice).await, Err(AccountError::NotFound(_))));
}
