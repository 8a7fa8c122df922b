//! Live sessions: what ends them and what does not, in whatever order things happen, and how they are listed. Changes
//! are made through other connections than the gate's, as by another process.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, Executor};

use super::*;
use crate::app_password::ProvenMailbox;
use crate::base::AppPasswordId;
use crate::store::LiveSessionRecord;

const BOB: &str = "bob@example.org";

impl Site {
    async fn enter(&self, name: &str, password: &str) -> Box<Passage> {
        self.mailboxes.lock().unwrap().insert(name.to_owned(), MAILBOX.to_owned());
        match self.try_in(1, name, password).await {
            Ended::In(passage) => passage,
            Ended::Out(refused) => panic!("{refused:?}"),
        }
    }

    async fn sql(&self, statement: &str) {
        let Store::Sqlite(pool, _) = &self.store else { unreachable!() };
        pool.execute(AssertSqlSafe(statement)).await.unwrap();
    }

    async fn only_app_password(&self, account: &AccountRecord) -> AppPasswordId {
        let rows = self.store.app_passwords(account.id).await.unwrap();
        assert_eq!(rows.len(), 1);
        rows[0].id
    }

    async fn rescope(&self, account: &AccountRecord, scope: Scope) {
        let row = self.store.app_passwords(account.id).await.unwrap().remove(0);
        let row = self.app_passwords.rescoped(&row, &scope);
        let Store::Sqlite(pool, _) = &self.store else { unreachable!() };
        let change = "UPDATE app_passwords SET protocols = $2, networks = $3, expires_at = $4, mac = $5, access = $6 WHERE id = $1";
        let change = sqlx::query(change).bind(row.id).bind(row.protocols).bind(row.networks);
        change.bind(row.expires_at).bind(row.mac).bind(row.access).execute(pool).await.unwrap();
    }

    async fn listed(&self) -> Vec<LiveSessionRecord> {
        self.store.live_sessions(None).await.unwrap()
    }
}

/// Why it must end, if it was told to.
async fn told(passage: &mut Passage) -> Option<Cause> {
    tokio::time::timeout(Duration::ZERO, passage.ended()).await.ok()
}

/// What one change does to three sessions: Alice's by mailbox password, Alice's by app password, Bob's. A factor is
/// bound only where the change is that.
async fn after(change: impl AsyncFn(&Site, &AccountRecord)) -> [Option<Cause>; 3] {
    let site = Site::open().await;
    let (alice, bob) = (site.account(ALICE).await, site.account(BOB).await);
    let (hers, his) =
        (site.app_password(&alice, anywhere()).await, site.app_password(&bob, anywhere()).await);
    let mut sessions =
        [site.enter(ALICE, MAILBOX).await, site.enter(ALICE, &hers).await, site.enter(BOB, &his).await];
    site.gate.hear_changes().await;
    for session in &mut sessions {
        assert_eq!(told(session).await, None, "nothing has happened yet");
    }
    change(&site, &alice).await;
    site.gate.hear_changes().await;
    let [mailbox, app_password, other] = &mut sessions;
    let causes = [told(mailbox).await, told(app_password).await, told(other).await];
    site.gate.hear_changes().await;
    causes
}

#[tokio::test]
async fn a_session_ends_with_what_it_rests_on_and_others_go_on() {
    let revoked = after(async |site, alice| {
        let id = site.only_app_password(alice).await;
        assert!(site.store.delete_app_password(alice.id, id).await.unwrap());
    });
    assert_eq!(revoked.await, [None, Some(Cause::Revoked), None]);
    let all_revoked = after(async |site, alice| {
        assert_eq!(site.store.delete_app_passwords(alice.id).await.unwrap(), 1);
    });
    assert_eq!(all_revoked.await, [None, Some(Cause::Revoked), None]);
    let bound = after(async |site, alice| site.bind_factor(alice).await);
    assert_eq!(bound.await, [Some(Cause::FactorBound), None, None]);
    let suspended = after(async |site, alice| site.suspend(alice).await);
    assert_eq!(suspended.await, [Some(Cause::Suspended), Some(Cause::Suspended), None]);
    let removed = after(async |site, alice| assert!(site.store.remove_account(alice.id).await.unwrap()));
    assert_eq!(removed.await, [Some(Cause::Removed), Some(Cause::Removed), None]);
}

#[tokio::test]
async fn what_was_taken_back_before_anybody_looked_has_happened_all_the_same() {
    let suspended_and_resumed = after(async |site, alice| {
        site.suspend(alice).await;
        assert!(site.store.set_account_state(alice.id, AccountState::Active).await.unwrap());
    });
    assert_eq!(suspended_and_resumed.await, [Some(Cause::Suspended), Some(Cause::Suspended), None]);
    let bound_and_unbound = after(async |site, alice| {
        site.bind_factor(alice).await;
        site.store.unbind_factors(alice.id, (None, None), (false, false)).await.unwrap();
    });
    assert_eq!(bound_and_unbound.await, [Some(Cause::FactorBound), None, None]);
}

#[tokio::test]
async fn a_session_ends_when_its_app_password_no_longer_covers_it() {
    let from = |networks: &str| Scope { networks: networks.parse().unwrap(), ..anywhere() };
    for (scope, expected) in [
        (from("192.0.2.1"), None),
        (from("198.51.100.0/24"), Some(Cause::OutOfScope)),
        (
            Scope { protocols: ProtocolSet::from_iter([Protocol::Pop3]), ..anywhere() },
            Some(Cause::OutOfScope),
        ),
        (Scope { access: Access::ReadOnly, ..anywhere() }, Some(Cause::OutOfScope)),
    ] {
        let causes = after(async |site, alice| site.rescope(alice, scope.clone()).await).await;
        assert_eq!(causes, [None, expected, None], "{scope:?}");
    }
    let tampered = after(async |site, _| {
        site.sql("UPDATE app_passwords SET mac = x'00' WHERE account = (SELECT id FROM accounts WHERE address LIKE 'alice%')")
            .await;
    });
    assert_eq!(tampered.await, [None, Some(Cause::Revoked), None]);
}

#[tokio::test]
async fn what_changes_nothing_that_a_session_rests_on_ends_none() {
    let harmless = after(async |site, alice| {
        site.app_password(alice, anywhere()).await;
        let sealed = Password::new(b"another mailbox password".to_vec()).unwrap();
        let mailbox = ProvenMailbox { password: &sealed, upstream: &alice.upstream, at: site.clock.now() };
        let by = Author::new(&site.audit, Actor::Gate);
        let resealed = site.app_passwords.reseal(alice.id, &alice.address, mailbox, &by).await.unwrap();
        assert_eq!(resealed.sealed.len(), 2);
        site.gate.flush_uses().await;
        assert!(site.store.set_account_state(alice.id, AccountState::Active).await.unwrap());
    });
    assert_eq!(harmless.await, [None, None, None]);
}

#[tokio::test]
async fn a_session_ends_when_its_app_password_expires() {
    let site = Site::open().await;
    let account = site.account(ALICE).await;
    let until = |seconds| Scope {
        expires_at: Some(site.clock.now().plus(Duration::from_secs(seconds))),
        ..anywhere()
    };
    let printed = site.app_password(&account, until(60)).await;
    let mut session = site.enter(ALICE, &printed).await;
    let mut mailbox = site.enter(ALICE, MAILBOX).await;
    site.clock.advance(Duration::from_secs(59));
    site.gate.end_expired();
    assert_eq!(told(&mut session).await, None);
    site.rescope(&account, until(60)).await;
    site.gate.hear_changes().await;
    site.clock.advance(Duration::from_secs(59));
    site.gate.end_expired();
    assert_eq!(told(&mut session).await, None, "it was given more time");
    site.clock.advance(Duration::from_secs(1));
    site.gate.end_expired();
    assert_eq!(told(&mut session).await, Some(Cause::Expired));
    assert_eq!(told(&mut mailbox).await, None);
}

/// What is changed while the upstream is asked, and heard of before it has answered.
async fn meanwhile(password: &str, change: impl AsyncFn(&Site, &AccountRecord)) -> (Ended, Site) {
    let site = Site::open().await;
    let alice = site.account(ALICE).await;
    let printed = site.app_password(&alice, anywhere()).await;
    let password = if password.is_empty() { &printed } else { password };
    site.gate.hear_changes().await;
    let ended = site
        .attempt_slowly(&origin(Protocol::Imap, 1), ALICE, password, async |_| {
            change(&site, &alice).await;
            site.gate.hear_changes().await;
            UpstreamSaid::Yes
        })
        .await;
    (ended, site)
}

#[tokio::test]
async fn nobody_enters_on_what_was_changed_while_the_upstream_was_asked() {
    let revoke = async |site: &Site, alice: &AccountRecord| {
        site.store.delete_app_passwords(alice.id).await.unwrap();
    };
    let (ended, site) = meanwhile("", revoke).await;
    assert_eq!(ended.refusal(), Some(Refusal::NotLetIn));
    assert_eq!(site.only_login()["outcome"], "refused");
    let (ended, _) = meanwhile("", async |site, alice| site.suspend(alice).await).await;
    assert_eq!(ended.refusal(), Some(Refusal::Suspended));
    let (ended, _) = meanwhile(MAILBOX, async |site, alice| site.bind_factor(alice).await).await;
    assert_eq!(ended.refusal(), Some(Refusal::NotLetIn));
    let (ended, _) = meanwhile("", async |site, alice| site.bind_factor(alice).await).await;
    assert!(ended.is_in(), "an app password needs no more than itself");
    let (ended, _) = meanwhile(MAILBOX, revoke).await;
    assert!(ended.is_in(), "it is another credential's change");
    let (ended, _) = meanwhile("", async |site, alice| {
        revoke(site, alice).await;
        site.gate.hear_changes().await;
        site.gates_store.close().await;
    })
    .await;
    assert_eq!(ended.refusal(), Some(Refusal::Unavailable), "nobody can say what holds now");
}

#[tokio::test]
async fn what_is_changed_while_the_upstream_is_asked_and_heard_of_later_ends_the_session() {
    let site = Site::open().await;
    let alice = site.account(ALICE).await;
    let printed = site.app_password(&alice, anywhere()).await;
    let ended = site
        .attempt_slowly(&origin(Protocol::Imap, 1), ALICE, &printed, async |_| {
            site.store.delete_app_passwords(alice.id).await.unwrap();
            UpstreamSaid::Yes
        })
        .await;
    let Ended::In(mut session) = ended else { panic!("nobody knew yet") };
    site.gate.hear_changes().await;
    assert_eq!(told(&mut session).await, Some(Cause::Revoked));
}

#[tokio::test]
async fn a_login_without_a_change_reads_the_store_no_oftener_than_before() {
    let site = Site::open().await;
    let (_, printed) = site.bound_with_app_password(ALICE).await;
    site.gate.hear_changes().await;
    let ended = site
        .attempt_slowly(&origin(Protocol::Imap, 1), ALICE, &printed, async |_| {
            site.gate.hear_changes().await;
            site.gates_store.close().await;
            UpstreamSaid::Yes
        })
        .await;
    assert!(ended.is_in(), "nothing is read after the upstream's answer");
}

#[tokio::test]
async fn a_revoked_app_password_does_not_pass_alone_when_the_database_goes() {
    let site = Site::open().await;
    let (alice, hers) = site.bound_with_app_password(ALICE).await;
    let (_, his) = site.bound_with_app_password(BOB).await;
    let _sessions = [site.enter(ALICE, &hers).await, site.enter(BOB, &his).await];
    site.gate.hear_changes().await;
    let _sessions = [site.enter(ALICE, &hers).await, site.enter(BOB, &his).await];
    site.store.delete_app_passwords(alice.id).await.unwrap();
    site.gate.hear_changes().await;
    site.gates_store.close().await;
    assert_eq!(site.try_in(1, ALICE, &hers).await.refusal(), Some(Refusal::Unavailable));
    assert!(site.try_in(1, BOB, &his).await.is_in(), "his proof stands");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_that_was_made_while_it_was_revoked_is_not_kept() {
    // Where the database outruns nobody, the proof is made first, and whoever brought it may be in.
    for _ in 0..50 {
        if proven_and_revoked_at_once().await == Some(Refusal::Unavailable) {
            return;
        }
    }
    panic!("the proof was made first each time");
}

/// What becomes of a client whose app password is revoked while it is proven; its proof is in force no more either way.
async fn proven_and_revoked_at_once() -> Option<Refusal> {
    let site = Arc::new(Site::open().await);
    let (alice, printed) = site.bound_with_app_password(ALICE).await;
    site.gate.hear_changes().await;
    let proving = {
        let (site, printed) = (Arc::clone(&site), printed.clone());
        tokio::spawn(async move { site.try_in(1, ALICE, &printed).await.refusal() })
    };
    while site.argon2_runs() == 0 {
        tokio::task::yield_now().await;
    }
    site.store.delete_app_passwords(alice.id).await.unwrap();
    site.gate.hear_changes().await;
    site.gates_store.close().await;
    let became = proving.await.unwrap();
    assert_eq!(site.try_in(1, ALICE, &printed).await.refusal(), Some(Refusal::Unavailable));
    became
}

#[tokio::test]
async fn sessions_go_on_while_the_database_says_nothing_and_end_when_it_does() {
    let site = Site::open().await;
    let (alice, printed) = site.bound_with_app_password(ALICE).await;
    let mut session = site.enter(ALICE, &printed).await;
    site.gate.hear_changes().await;
    site.store.delete_app_passwords(alice.id).await.unwrap();
    // Heard, but what follows cannot be read; then nothing at all.
    site.sql("ALTER TABLE app_passwords RENAME TO away").await;
    site.gate.hear_changes().await;
    site.sql("ALTER TABLE changes RENAME TO changes_away").await;
    site.gate.hear_changes().await;
    assert_eq!(told(&mut session).await, None);
    site.sql("ALTER TABLE changes_away RENAME TO changes").await;
    site.gate.hear_changes().await;
    assert_eq!(told(&mut session).await, None);
    site.sql("ALTER TABLE away RENAME TO app_passwords").await;
    site.gate.hear_changes().await;
    assert_eq!(told(&mut session).await, Some(Cause::Revoked));
}

#[tokio::test]
async fn an_account_that_cannot_be_read_keeps_no_other_session_alive() {
    let site = Site::open().await;
    let mut sessions = Vec::new();
    for n in 0..8 {
        let (account, printed) = site.bound_with_app_password(&format!("a{n}@example.org")).await;
        sessions.push((site.enter(account.address.as_str(), &printed).await, account));
    }
    site.gate.hear_changes().await;
    site.sql("UPDATE app_passwords SET created_at = 'x', mac = x'00' WHERE rowid = 1").await;
    for (_, account) in sessions.iter().skip(1) {
        site.store.delete_app_passwords(account.id).await.unwrap();
    }
    site.gate.hear_changes().await;
    let mut ended = 0;
    for (session, _) in &mut sessions {
        ended += usize::from(told(session).await == Some(Cause::Revoked));
    }
    assert_eq!(ended, 7);
}

#[tokio::test]
async fn whoever_missed_changes_judges_everything_anew() {
    let site = Site::open().await;
    let (alice, hers) = site.bound_with_app_password(ALICE).await;
    let (_, his) = site.bound_with_app_password(BOB).await;
    site.gate.hear_changes().await;
    site.clock.advance(Duration::from_secs(30));
    site.gate.hear_changes().await;
    let (mut revoked, mut other) = (site.enter(ALICE, &hers).await, site.enter(BOB, &his).await);
    site.store.delete_app_passwords(alice.id).await.unwrap();
    site.sql("DELETE FROM changes").await;
    site.gate.hear_changes().await;
    assert_eq!((told(&mut revoked).await, told(&mut other).await), (Some(Cause::Revoked), None));
    site.gates_store.close().await;
    assert_eq!(site.try_in(1, BOB, &his).await.refusal(), Some(Refusal::Unavailable), "no proof is left");
}

#[tokio::test]
async fn old_changes_are_deleted_and_the_latest_kept() {
    let site = Site::open().await;
    let (_, printed) = site.bound_with_app_password(ALICE).await;
    let mut session = site.enter(ALICE, &printed).await;
    site.sql("INSERT INTO changes (account) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000) SELECT x'00112233445566778899aabbccddeeff' FROM n").await;
    site.clock.advance(Duration::from_secs(60));
    site.gate.hear_changes().await;
    assert_eq!(site.store.changes_from(0).await.unwrap().len(), 4096);
    site.clock.advance(Duration::from_secs(60));
    site.gate.hear_changes().await;
    assert_eq!(told(&mut session).await, None);
}

#[tokio::test]
async fn an_administrator_ends_one_session_and_no_other() {
    let site = Site::open().await;
    let origins = [1, 2].map(|host| origin(Protocol::Imap, host));
    let enter = async |origin| match site.attempt(origin, ALICE, MAILBOX, |_| UpstreamSaid::Yes).await {
        Ended::In(passage) => passage,
        Ended::Out(refused) => panic!("{refused:?}"),
    };
    let [mut one, mut other] = [enter(&origins[0]).await, enter(&origins[1]).await];
    site.gate.list_sessions().await;
    let sessions = LiveSessions::new(site.store.clone());
    let by = Author::new(&site.audit, Actor::CommandLine { user: "eve".to_owned() });
    assert_eq!(sessions.list(None).await.unwrap().len(), 2);
    let id = origins[0].session;
    assert!(sessions.is_live(id).await.unwrap());
    sessions.end(id, &by).await.unwrap();
    site.gate.hear_changes().await;
    let causes = [told(&mut one).await, told(&mut other).await];
    assert_eq!(causes, [Some(Cause::EndedByAdmin), None]);
    let record = &site.records("session_end_asked")[0];
    assert_eq!((&record["account"], &record["session"]), (&ALICE.into(), &id.to_string().into()));
    assert_eq!(record["by"]["user"], "eve");
    let unknown = SessionId(uuid::Uuid::from_u128(1));
    assert!(!sessions.is_live(unknown).await.unwrap());
    assert!(matches!(sessions.end(unknown, &by).await, Err(EndError::NotFound(_))));

    let owner = Actor::Owner { ip: origins[0].client, browser: None };
    sessions.end(origins[1].session, &Author::new(&site.audit, owner)).await.unwrap();
    site.gate.hear_changes().await;
    assert_eq!(told(&mut other).await, Some(Cause::EndedByOwner), "the trail says who it was");
}

#[tokio::test]
async fn a_list_shows_who_is_in_and_with_what() {
    let site = Site::open().await;
    let alice = site.account(ALICE).await;
    let printed = site.app_password(&alice, anywhere()).await;
    let (mailbox, app_password) = (site.enter(BOB, MAILBOX).await, site.enter(ALICE, &printed).await);
    drop(site.enter(BOB, MAILBOX).await);
    assert_eq!(site.listed().await, [], "a login writes nothing");
    site.gate.list_sessions().await;
    let listed = site.listed().await;
    let by_address: BTreeMap<&str, &LiveSessionRecord> =
        listed.iter().map(|one| (one.address.as_str(), one)).collect();
    assert_eq!((listed.len(), by_address.len()), (2, 2));
    let hers = by_address[ALICE];
    assert_eq!((hers.account, hers.protocol.as_str(), hers.client.as_str()), (alice.id, "imap", "192.0.2.1"));
    assert_eq!(hers.program.as_deref(), Some("Foxmail 7.2"));
    assert_eq!((hers.label.as_deref(), hers.name.as_deref()), (printed.get(..4), Some("Foxmail")));
    assert_eq!((hers.upstream.0.as_str(), hers.since), ("legacy", site.clock.now()));
    assert_eq!((by_address[BOB].app_password, &by_address[BOB].label), (None, &None));
    assert_eq!(site.store.live_sessions(Some(alice.id)).await.unwrap(), std::slice::from_ref(hers));

    app_password.traffic().moved_to_client(7);
    site.clock.advance(Duration::from_secs(15));
    drop(mailbox);
    site.gate.list_sessions().await;
    let listed = site.listed().await;
    assert_eq!((listed.len(), listed[0].bytes_to_client), (1, 7));
    site.gate.unlist_sessions().await;
    assert_eq!(site.listed().await, []);
}

#[tokio::test]
async fn a_node_that_was_forgotten_lists_itself_again_and_a_dead_one_vanishes() {
    let site = Site::open().await;
    let _session = site.enter(ALICE, MAILBOX).await;
    site.gate.list_sessions().await;
    site.sql("UPDATE nodes SET beat = beat - 21").await;
    assert_eq!(site.listed().await, [], "it has not said for twenty seconds that it lives");
    site.sql("UPDATE nodes SET beat = beat - 40").await;
    let other = crate::store::NodeId(uuid::Uuid::from_u128(1));
    site.store.enlist_node(other).await.unwrap();
    site.store.forget_dead_nodes().await.unwrap();
    site.clock.advance(Duration::from_secs(5));
    site.gate.list_sessions().await;
    assert_eq!(site.listed().await, [], "it finds itself forgotten");
    site.gate.list_sessions().await;
    assert_eq!(site.listed().await.len(), 1);
    assert!(site.store.write_sessions(other, &[], &[], &[]).await.unwrap());
}

#[tokio::test]
async fn a_list_that_could_not_be_written_is_written_whole_afterwards() {
    let site = Site::open().await;
    let first = site.enter(ALICE, MAILBOX).await;
    site.gate.list_sessions().await;
    site.sql("ALTER TABLE nodes RENAME TO away").await;
    let _second = site.enter(BOB, MAILBOX).await;
    drop(first);
    site.gate.list_sessions().await;
    site.sql("ALTER TABLE away RENAME TO nodes").await;
    let _third = site.enter(BOB, MAILBOX).await;
    site.gate.list_sessions().await;
    let addresses: Vec<String> = site.listed().await.into_iter().map(|one| one.address).collect();
    assert_eq!(addresses, [BOB, BOB]);
}

#[tokio::test]
async fn whoever_was_removed_appears_again_at_the_next_login() {
    let site = Site::open().await;
    let account = site.account(ALICE).await;
    site.store.remove_account(account.id).await.unwrap();
    assert!(site.try_in(1, ALICE, MAILBOX).await.is_in());
    let standing = site.store.standing(&account.address).await.unwrap().unwrap();
    assert_eq!(standing.account.state, AccountState::Active);
    assert!(site.try_in(1, ALICE, MAILBOX).await.is_in());
    assert_eq!(site.records("account_added").len(), 1, "once");
}
