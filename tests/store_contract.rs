//! What every `Store` must do, run on both databases. It starts a PostgreSQL of its own; without one it fails.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking")]

use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use mailward::audit;
use mailward::base::{
    AccountId, Address, AppPasswordId, ClientAddress, DeviceId, FactorId, MailCodeId, NoticeId,
    PortalSessionId, Protocol, SessionId, SiteKey, SystemClock, Timestamp, UpstreamName, random,
};
use mailward::config::{Audit, Database, WhenFull};
use mailward::store::{
    AccountRecord, AccountState, Added, Among, AppPasswordRecord, AuditHead, AuditMark, AuditQuery, AuditRow,
    EnrolmentLinkRecord, FactorInserted, FactorRecord, Inserted, Instead, KeptFor, KnownBrowserRecord,
    LinkKept, LiveSession, MailSends, NodeId, NoticeRecord, PortalSessionRecord, Posted, ProfileRecord,
    SentSeal, Store, StoreError, TrustedDeviceRecord, Use, statements,
};
use sqlx::{AssertSqlSafe, Connection, Executor, Row};
use tempfile::TempDir;

/// More factors than any case binds, but the one that is about that.
const MOST: u32 = 16;

/// Each case is an async function of the database to use. On SQLite each is a test of its own; on PostgreSQL
/// one test runs them all, because starting a server takes longer than all of them.
macro_rules! contract {
    ($($case:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $case() {
                let directory = tempfile::tempdir().unwrap();
                let database = super::Database::Sqlite(directory.path().join("mailward.db"));
                super::block_on(super::$case(database));
            })+
        }

        #[test]
        fn postgres_keeps_the_whole_contract() {
            let server = PostgresServer::start();
            $(
                eprintln!("on PostgreSQL: {}", stringify!($case));
                block_on(async { $case(server.fresh_database(stringify!($case)).await).await });
            )+
        }
    };
}

contract! {
    every_statement_is_understood,
    of_many_who_add_an_account_one_does,
    accounts_are_listed_by_address_without_tombstones,
    an_account_is_bound_to_an_upstream_until_it_is_unbound_or_removed,
    suspending_and_resuming_touch_living_accounts_only,
    a_removed_account_that_had_a_factor_comes_back_as_must_bind,
    a_removed_account_without_a_factor_comes_back_free,
    a_factor_bound_while_its_account_is_removed_is_never_forgotten,
    a_factor_taken_back_was_never_bound,
    nothing_is_added_to_a_removed_account,
    of_many_who_claim_a_step_one_does,
    factors_bound_at_once_never_exceed_the_limit,
    a_factor_is_renamed_and_used_while_it_is_bound,
    app_passwords_made_at_once_never_exceed_the_limit,
    of_many_who_take_a_label_one_does,
    an_app_password_is_read_as_it_was_written,
    of_many_who_reseal_a_version_one_does,
    a_refused_seal_marks_those_of_its_account_that_are_no_younger,
    a_seal_that_was_replaced_is_never_marked,
    of_many_on_two_nodes_one_claims_a_probe,
    a_probe_given_back_is_due_again_and_does_not_count,
    a_taken_probe_clears_what_was_sealed_with_it_and_lets_the_rest_be_tried,
    re_sealing_forgets_that_a_seal_was_stale,
    rows_of_the_version_before_were_sealed_when_they_were_made,
    app_passwords_go_one_by_one_or_all,
    unbinding_the_last_factor_takes_the_app_passwords_if_asked,
    last_uses_never_go_back,
    clients_with_the_mailbox_password_are_known_until_they_have_an_app_password,
    of_an_accounts_clients_the_fifty_that_were_seen_last_are_known,
    an_audit_head_only_moves_forward,
    searches_find_what_was_indexed,
    of_many_records_the_newest_are_found_whatever_chain_and_block_they_are_in,
    a_chain_goes_from_the_index_whole_and_leaves_nothing_behind,
    an_index_that_is_being_taken_away_is_added_to_by_nobody,
    a_record_that_stands_twice_in_a_file_stops_no_index,
    the_index_of_the_version_before_is_made_anew,
    an_index_mark_moves_from_where_it_is_only,
    what_was_confirmed_is_there_after_reopening,
    many_processes_may_open_a_new_database_at_once,
    a_chain_without_its_file_is_anothers_only_where_the_database_is_shared,
    of_many_who_claim_the_key_check_one_does,
    no_statement_reads_a_whole_table_but_those_that_list_one,
    a_change_under_a_live_session_leaves_a_row_and_nothing_else_does,
    a_change_that_is_undone_leaves_no_row,
    changes_become_visible_out_of_order_in_postgres_only,
    a_list_of_sessions_is_kept_by_nodes_that_live,
    changes_to_rows_of_an_account_wait_for_the_account_first,
    a_database_of_a_newer_version_is_left_alone_and_told,
    of_many_who_use_a_recovery_code_one_does,
    recovery_codes_end_with_the_last_factor,
    a_portal_session_is_replaced_only_while_it_lives,
    of_many_who_take_what_a_portal_session_keeps_one_does,
    of_many_who_use_a_challenge_one_does,
    a_change_of_factors_ends_the_browsers_of_its_account_and_no_others,
    whoever_is_suspended_or_removed_is_signed_in_nowhere,
    a_browser_is_trusted_once_for_each_account,
    of_many_who_take_a_notice_one_does_until_its_time_is_over,
    the_oldest_notices_go_when_there_are_too_many_or_they_are_too_old,
    what_a_stranger_can_cause_is_told_seldom,
    a_sign_in_that_ends_with_a_notice_ends_once,
    a_browser_is_new_once,
    of_many_who_fetch_a_profile_one_gets_it,
    a_profile_goes_with_its_app_password_or_its_account_and_the_oldest_make_room,
    of_many_who_use_an_enrolment_link_one_does,
    an_enrolment_link_ends_with_the_first_factor_and_with_the_account,
    of_many_who_send_a_form_one_is_the_first,
    codes_by_mail_are_counted_when_they_are_sent_and_when_they_are_tried,
}

async fn every_statement_is_understood(database: Database) {
    let store = Store::open(&database).await.unwrap();
    assert!(statements().count() > 30);
    for statement in statements() {
        let prepared = match &store {
            Store::Sqlite(pool, _) => {
                pool.acquire().await.unwrap().prepare(statement_text(statement)).await.err()
            }
            Store::Postgres(pool) => {
                pool.acquire().await.unwrap().prepare(statement_text(statement)).await.err()
            }
        };
        assert!(prepared.is_none(), "{statement}: {prepared:?}");
    }
}

async fn of_many_who_add_an_account_one_does(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let added = all_at_once(20, |_| {
        let store = store.clone();
        async move { store.add_account(&address("ada"), &upstream(), at(1)).await.unwrap() }
    })
    .await;
    assert_eq!(added.iter().filter(|(_, how)| *how == Added::New).count(), 1);
    assert_eq!(added.iter().filter(|(_, how)| *how == Added::Existing).count(), 19);
    let (first, _) = &added[0];
    assert!(added.iter().all(|(account, _)| account == first));
    assert_eq!(
        *first,
        AccountRecord {
            id: first.id,
            address: address("ada"),
            upstream: upstream(),
            bound_upstream: None,
            state: AccountState::Active,
            must_bind: false,
            created_at: at(1),
            last_login_at: None,
        }
    );
}

async fn accounts_are_listed_by_address_without_tombstones(database: Database) {
    let store = Store::open(&database).await.unwrap();
    for name in ["zoe", "ada", "élise", "b-ob", "bob", "gone"] {
        add(&store, name).await;
    }
    let gone = store.standing(&address("gone")).await.unwrap().unwrap();
    assert!(store.remove_account(gone.account.id).await.unwrap());
    let zoe = store.standing(&address("zoe")).await.unwrap().unwrap();
    store.insert_factor(&factor(zoe.account.id, 1), MOST).await.unwrap();
    let listed = store.accounts().await.unwrap();
    let listed: Vec<_> = listed.iter().map(|s| (s.account.address.local(), s.bound_factors)).collect();
    assert_eq!(listed, [("ada", 0), ("b-ob", 0), ("bob", 0), ("zoe", 1), ("élise", 0)]);
    assert_eq!(store.standing(&address("nobody")).await.unwrap(), None);
}

async fn an_account_is_bound_to_an_upstream_until_it_is_unbound_or_removed(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let (ada, bob) = (add(&store, "ada").await, add(&store, "bob").await);
    let elsewhere = UpstreamName("elsewhere".into());
    let bound = async |name| store.standing(&address(name)).await.unwrap().unwrap().account.bound_upstream;
    assert_eq!((bound("ada").await, store.bound_upstreams().await.unwrap()), (None, vec![]));
    for account in [ada, bob] {
        assert!(store.set_bound_upstream(account, Some(&elsewhere)).await.unwrap());
    }
    assert_eq!(bound("ada").await, Some(elsewhere.clone()));
    assert_eq!(store.bound_upstreams().await.unwrap(), std::slice::from_ref(&elsewhere));
    assert!(store.set_bound_upstream(ada, None).await.unwrap());
    assert_eq!((bound("ada").await, bound("bob").await), (None, Some(elsewhere.clone())));
    store.remove_account(bob).await.unwrap();
    assert_eq!(bound("bob").await, None, "whoever comes back is where the domain leads");
    assert!(!store.set_bound_upstream(bob, Some(&elsewhere)).await.unwrap());
    assert_eq!(store.bound_upstreams().await.unwrap(), []);
}

async fn suspending_and_resuming_touch_living_accounts_only(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    for state in [AccountState::Suspended, AccountState::Active] {
        assert!(store.set_account_state(ada, state).await.unwrap());
        assert_eq!(standing(&store, "ada").await.account.state, state);
    }
    assert!(!store.set_account_state(ada, AccountState::Removed).await.unwrap());
    assert!(!store.set_account_state(AccountId(random::uuid(at(1))), AccountState::Active).await.unwrap());
    assert!(store.remove_account(ada).await.unwrap());
    assert!(!store.set_account_state(ada, AccountState::Active).await.unwrap());
    assert_eq!(standing(&store, "ada").await.account.state, AccountState::Removed);
}

async fn a_removed_account_that_had_a_factor_comes_back_as_must_bind(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    assert_eq!(store.insert_factor(&factor(ada, 1), MOST).await.unwrap(), FactorInserted::Done);
    store.insert_app_password(&app_password(ada, "abcd"), 5).await.unwrap();

    assert!(store.remove_account(ada).await.unwrap());
    assert!(!store.remove_account(ada).await.unwrap(), "it is gone already");
    let tombstone = standing(&store, "ada").await;
    assert_eq!(tombstone.account.state, AccountState::Removed);
    assert!(tombstone.account.must_bind);
    assert_eq!(tombstone.bound_factors, 0);
    assert_eq!(store.app_passwords(ada).await.unwrap(), []);

    let elsewhere = UpstreamName("elsewhere".to_owned());
    let (revived, how) = store.add_account(&address("ada"), &elsewhere, at(9)).await.unwrap();
    assert_eq!(how, Added::Revived);
    assert_eq!((revived.id, revived.created_at), (ada, at(1)), "it is the same account");
    assert_eq!((&revived.upstream, revived.state), (&elsewhere, AccountState::Active));
    assert!(revived.must_bind);

    assert!(store.remove_account(ada).await.unwrap());
    assert!(standing(&store, "ada").await.account.must_bind, "removed once more, without a factor");
    store.add_account(&address("ada"), &elsewhere, at(10)).await.unwrap();
    assert_eq!(store.insert_factor(&factor(ada, 2), MOST).await.unwrap(), FactorInserted::Done);
    assert!(!standing(&store, "ada").await.account.must_bind, "binding redeems it");
}

async fn a_removed_account_without_a_factor_comes_back_free(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    store.record_uses(&[used(ada, None, at(2))]).await.unwrap();
    assert!(store.remove_account(ada).await.unwrap());
    store.record_uses(&[used(ada, None, at(3))]).await.unwrap(); // written down late
    let (revived, how) = store.add_account(&address("ada"), &upstream(), at(3)).await.unwrap();
    assert_eq!((how, revived.must_bind, revived.last_login_at), (Added::Revived, false, None));
}

async fn a_factor_bound_while_its_account_is_removed_is_never_forgotten(database: Database) {
    let store = Store::open(&database).await.unwrap();
    for round in 0..10 {
        let name = format!("ada{round}");
        let account = add(&store, &name).await;
        let (factor, password) = (factor(account, 1), app_password(account, "abcd"));
        let (bound, made, removed) = tokio::join!(
            store.insert_factor(&factor, MOST),
            store.insert_app_password(&password, 5),
            store.remove_account(account),
        );
        made.unwrap();
        assert!(removed.unwrap());
        let left = standing(&store, &name).await;
        assert_eq!((left.account.state, left.bound_factors), (AccountState::Removed, 0));
        assert_eq!(
            left.account.must_bind,
            bound.unwrap() == FactorInserted::Done,
            "bound before the removal, or not at all"
        );
        assert_eq!(store.app_passwords(account).await.unwrap(), []);
    }
}

async fn a_factor_taken_back_was_never_bound(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    let (first, second) = (factor(ada, 1), factor(ada, 2));
    assert_eq!(store.insert_factor(&first, MOST).await.unwrap(), FactorInserted::Done);
    store.take_back_factor(&first, true).await.unwrap();
    let standing_now = standing(&store, "ada").await;
    assert_eq!((standing_now.bound_factors, standing_now.account.must_bind), (0, true));

    assert_eq!(store.insert_factor(&first, MOST).await.unwrap(), FactorInserted::Done);
    assert_eq!(store.insert_factor(&second, MOST).await.unwrap(), FactorInserted::Done);
    store.take_back_factor(&second, true).await.unwrap();
    assert_eq!(store.factors(ada).await.unwrap(), [first], "the other one stays,");
    assert!(!standing(&store, "ada").await.account.must_bind, "and the account has what it must");
}

async fn nothing_is_added_to_a_removed_account(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    store.remove_account(ada).await.unwrap();
    for account in [ada, AccountId(random::uuid(at(1)))] {
        assert_eq!(store.insert_factor(&factor(account, 1), MOST).await.unwrap(), FactorInserted::NoAccount);
        let made = store.insert_app_password(&app_password(account, "abcd"), 5).await.unwrap();
        assert_eq!(made, Inserted::NoAccount);
        assert!(store.factors(account).await.unwrap().is_empty());
        assert!(store.app_passwords(account).await.unwrap().is_empty());
    }
}

async fn of_many_who_claim_a_step_one_does(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    let bound = factor(ada, 1);
    store.insert_factor(&bound, MOST).await.unwrap();
    for step in [58_000_000, 58_000_001] {
        let claims = all_at_once(50, |_| {
            let (store, id) = (store.clone(), bound.id);
            async move { store.claim_factor_step(id, step, at(7)).await.unwrap() }
        })
        .await;
        assert_eq!(claims.into_iter().filter(|claimed| *claimed).count(), 1);
    }
    assert!(
        !store.claim_factor_step(bound.id, 58_000_000, at(8)).await.unwrap(),
        "an earlier step is spent too"
    );
    assert!(!store.claim_factor_step(FactorId(random::uuid(at(1))), 1, at(8)).await.unwrap());
    let read = store.factors(ada).await.unwrap();
    assert_eq!(read, [FactorRecord { last_step: Some(58_000_001), last_used_at: Some(at(7)), ..bound }]);
}

async fn app_passwords_made_at_once_never_exceed_the_limit(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let (ada, bob) = (add(&store, "ada").await, add(&store, "bob").await);
    let made = all_at_once(24, |n| {
        let store = store.clone();
        let row = app_password(if n % 4 == 0 { bob } else { ada }, &format!("a{n:03}"));
        async move { store.insert_app_password(&row, 5).await.unwrap() }
    })
    .await;
    let count = |wanted| made.iter().filter(|one| **one == wanted).count();
    assert_eq!((count(Inserted::Done), count(Inserted::LimitReached)), (10, 14));
    for account in [ada, bob] {
        assert_eq!(store.app_passwords(account).await.unwrap().len(), 5);
    }
    let one_more = app_password(ada, "zzzz");
    assert_eq!(store.insert_app_password(&one_more, 6).await.unwrap(), Inserted::Done);
    assert_eq!(
        store.insert_app_password(&app_password(bob, "zzzz"), 0).await.unwrap(),
        Inserted::LimitReached
    );
}

async fn of_many_who_take_a_label_one_does(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let (ada, bob) = (add(&store, "ada").await, add(&store, "bob").await);
    let made = all_at_once(12, |_| {
        let (store, row) = (store.clone(), app_password(ada, "abcd"));
        async move { (row.id, store.insert_app_password(&row, 20).await.unwrap()) }
    })
    .await;
    let done: Vec<_> = made.iter().filter(|(_, how)| *how == Inserted::Done).collect();
    assert_eq!(done.len(), 1);
    assert_eq!(made.iter().filter(|(_, how)| *how == Inserted::LabelTaken).count(), 11);
    assert_eq!(store.app_password_by_label(ada, "abcd").await.unwrap().unwrap().id, done[0].0);
    assert_eq!(store.app_password_by_label(bob, "abcd").await.unwrap(), None, "a label is its account's");
    assert_eq!(store.insert_app_password(&app_password(bob, "abcd"), 20).await.unwrap(), Inserted::Done);
}

async fn an_app_password_is_read_as_it_was_written(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    let full = AppPasswordRecord {
        name: "Füchsin 客户端 'quoted' \"twice\" \\".to_owned(),
        proof: (0..=255).collect(),
        sealed: Some((0..=255).rev().collect()),
        sealed_version: i64::MAX - 1,
        expires_at: Some(at(999_999_999_999_999)),
        created_at: at(123_456),
        last_used_at: Some(at(-1)),
        last_used_address: Some("2001:db8::1".to_owned()),
        last_used_program: Some("Foxmail 7.2".to_owned()),
        ..app_password(ada, "abcd")
    };
    let sparse = AppPasswordRecord {
        sealed: None,
        sealed_at: None,
        expires_at: None,
        networks: String::new(),
        created_at: at(123_457),
        mac: vec![],
        ..app_password(ada, "bcde")
    };
    for row in [&sparse, &full] {
        assert_eq!(store.insert_app_password(row, 20).await.unwrap(), Inserted::Done);
        assert_eq!(store.app_password_by_label(ada, &row.label).await.unwrap().as_ref(), Some(row));
        let found = store.find(&address("ada"), &row.label).await.unwrap().unwrap();
        assert_eq!(found.app_password.as_ref(), Some(row), "also where the account is read with it");
        assert_eq!(Some(found.standing), store.standing(&address("ada")).await.unwrap());
    }
    let found = store.find(&address("ada"), "zzzz").await.unwrap().unwrap();
    assert_eq!((found.standing.account.id, found.app_password), (ada, None));
    assert_eq!(store.find(&address("nobody"), "abcd").await.unwrap(), None);
    let bob = add(&store, "bob").await;
    let found = store.find(&address("bob"), "abcd").await.unwrap().unwrap();
    assert_eq!((found.standing.account.id, found.app_password), (bob, None), "a label is its account's");
    assert_eq!(store.app_passwords(ada).await.unwrap(), [full, sparse], "oldest first, to the microsecond");
}

async fn of_many_who_reseal_a_version_one_does(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    let row = app_password(ada, "abcd");
    store.insert_app_password(&row, 20).await.unwrap();
    let resealed = all_at_once(10, |n| {
        let (store, n) = (store.clone(), n as u8);
        let next = AppPasswordRecord {
            sealed: Some(vec![n]),
            mac: vec![n, 1],
            sealed_version: row.sealed_version + 1,
            sealed_at: Some(at(5)),
            upstream: UpstreamName("moved".to_owned()),
            ..row.clone()
        };
        async move { store.reseal_app_password(&next).await.unwrap() }
    })
    .await;
    let winners: Vec<_> = (0u8..).zip(resealed).filter(|(_, won)| *won).collect();
    assert_eq!(winners.len(), 1);
    let (winner, _) = winners[0];
    let read = store.app_password_by_label(ada, "abcd").await.unwrap().unwrap();
    let expected = AppPasswordRecord {
        sealed: Some(vec![winner]),
        mac: vec![winner, 1],
        sealed_version: row.sealed_version + 1,
        sealed_at: Some(at(5)),
        upstream: UpstreamName("moved".to_owned()),
        ..row
    };
    assert_eq!(read, expected);
}

/// What was sent of a row.
fn sent(row: &AppPasswordRecord) -> SentSeal {
    SentSeal {
        account: row.account,
        app_password: row.id,
        upstream: row.upstream.clone(),
        version: row.sealed_version,
    }
}

/// Labels, times of marks, probes and the times of the next ones of an account, in the order of the labels.
async fn staleness(
    store: &Store,
    account: AccountId,
) -> Vec<(String, Option<Timestamp>, i64, Option<Timestamp>)> {
    let mut rows = store.app_passwords(account).await.unwrap();
    rows.sort_by(|a, b| a.label.cmp(&b.label));
    rows.into_iter().map(|row| (row.label, row.stale_since, row.probes, row.next_probe_at)).collect()
}

/// An account with app passwords that were sealed at these moments, labelled `a`, `b`, …
async fn sealed_at(store: &Store, local: &str, moments: &[i64]) -> Vec<AppPasswordRecord> {
    let account = add(store, local).await;
    let rows = moments.iter().zip('a'..).map(|(moment, label)| AppPasswordRecord {
        sealed_at: Some(at(*moment)),
        ..app_password(account, &label.to_string())
    });
    let rows: Vec<_> = rows.collect();
    for row in &rows {
        assert_eq!(store.insert_app_password(row, 20).await.unwrap(), Inserted::Done);
    }
    rows
}

async fn a_refused_seal_marks_those_of_its_account_that_are_no_younger(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let rows = sealed_at(&store, "ada", &[10, 20, 20, 21]).await;
    let (ada, refused) = (rows[0].account, sent(&rows[1]));
    let nothing = AppPasswordRecord { sealed: None, sealed_at: None, ..app_password(ada, "x") };
    let elsewhere =
        AppPasswordRecord { upstream: UpstreamName("other".to_owned()), ..app_password(ada, "y") };
    for row in [&nothing, &elsewhere] {
        store.insert_app_password(row, 20).await.unwrap();
    }
    let bobs = sealed_at(&store, "bob", &[10]).await;

    let mut marked = store.mark_stale(&refused, at(50), at(60)).await.unwrap();
    marked.sort();
    assert_eq!(marked, ["a", "b", "c"]);
    let (mark, next) = (Some(at(50)), Some(at(60)));
    let expected = [
        ("a", mark, next),
        ("b", mark, next),
        ("c", mark, next),
        ("d", None, None),
        ("x", None, None),
        ("y", None, None),
    ];
    let expected = expected.map(|(label, mark, next)| (label.to_owned(), mark, 0, next));
    assert_eq!(staleness(&store, ada).await, expected);
    assert_eq!(staleness(&store, bobs[0].account).await, [("a".to_owned(), None, 0, None)]);

    assert!(store.mark_stale(&refused, at(51), at(61)).await.unwrap().is_empty(), "the first one stands");
    assert_eq!(staleness(&store, ada).await, expected);
    assert_eq!(store.mark_stale(&sent(&rows[3]), at(52), at(62)).await.unwrap(), ["d"]);
}

async fn a_seal_that_was_replaced_is_never_marked(database: Database) {
    let store = Store::open(&database).await.unwrap();
    for round in 0..10 {
        let rows = sealed_at(&store, &format!("ada{round}"), &[10, 20]).await;
        let next = AppPasswordRecord {
            sealed: Some(vec![9]),
            sealed_version: rows[1].sealed_version + 1,
            sealed_at: Some(at(30)),
            ..rows[1].clone()
        };
        let refused = sent(&rows[1]);
        let (resealed, marked) =
            tokio::join!(store.reseal_app_password(&next), store.mark_stale(&refused, at(40), at(50)));
        assert!(resealed.unwrap());
        let read = store.app_password_by_label(next.account, "b").await.unwrap().unwrap();
        assert_eq!(read, next, "after {marked:?}");
        assert!(store.mark_stale(&refused, at(41), at(51)).await.unwrap().is_empty(), "nor a late one");
        assert!(store.clear_stale(&refused, at(42)).await.unwrap().is_empty());
    }
}

async fn of_many_on_two_nodes_one_claims_a_probe(database: Database) {
    let stores = [Store::open(&database).await.unwrap(), Store::open(&database).await.unwrap()];
    let rows = sealed_at(&stores[0], "ada", &[10, 10]).await;
    let seals: Vec<_> = rows.iter().map(sent).collect();
    stores[0].mark_stale(&seals[0], at(50), at(60)).await.unwrap();
    assert!(!stores[0].claim_probe(&seals[0], at(59), at(100)).await.unwrap(), "not due yet");
    for (number, now) in [(1, 60), (2, 160)] {
        let claims = all_at_once(50, |n| {
            // Two nodes, and two phones of one account.
            let (store, seal) = (stores[n % 2].clone(), seals[n / 2 % 2].clone());
            async move { store.claim_probe(&seal, at(now), at(now + 100)).await.unwrap() }
        })
        .await;
        assert_eq!(claims.into_iter().filter(|claimed| *claimed).count(), 1);
        let expected = ["a", "b"].map(|label| (label.to_owned(), Some(at(50)), number, Some(at(now + 100))));
        assert_eq!(staleness(&stores[0], rows[0].account).await, expected);
    }
    let fresh = sealed_at(&stores[0], "bob", &[10]).await;
    assert!(!stores[0].claim_probe(&sent(&fresh[0]), at(99), at(100)).await.unwrap(), "it needs none");
    let replaced = SentSeal { version: 9, ..seals[0].clone() };
    assert!(!stores[0].claim_probe(&replaced, at(999), at(1_000)).await.unwrap());
}

async fn a_probe_given_back_is_due_again_and_does_not_count(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let rows = sealed_at(&store, "ada", &[10, 10]).await;
    let (ada, seal) = (rows[0].account, sent(&rows[0]));
    store.mark_stale(&seal, at(50), at(60)).await.unwrap();
    assert!(store.claim_probe(&seal, at(60), at(100)).await.unwrap());
    store.give_probe_back(&seal, at(100), at(80)).await.unwrap();
    let due = |probes, next| ["a", "b"].map(|label| (label.to_owned(), Some(at(50)), probes, Some(at(next))));
    assert_eq!(staleness(&store, ada).await, due(0, 80));
    assert!(store.claim_probe(&sent(&rows[1]), at(80), at(120)).await.unwrap());
    store.give_probe_back(&seal, at(100), at(90)).await.unwrap();
    assert_eq!(staleness(&store, ada).await, due(1, 120), "somebody else's claim stands");
}

async fn a_taken_probe_clears_what_was_sealed_with_it_and_lets_the_rest_be_tried(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let rows = sealed_at(&store, "ada", &[10, 20, 20, 30]).await;
    let ada = rows[0].account;
    store.mark_stale(&sent(&rows[3]), at(50), at(60)).await.unwrap();
    assert!(store.claim_probe(&sent(&rows[1]), at(60), at(100)).await.unwrap());
    let mut cleared = store.clear_stale(&sent(&rows[1]), at(61)).await.unwrap();
    cleared.sort();
    assert_eq!(cleared, ["b", "c"], "an older or a younger seal may hold another password");
    let stale = |label: &str| (label.to_owned(), Some(at(50)), 0, Some(at(61)));
    let fresh = |label: &str| (label.to_owned(), None, 0, None);
    assert_eq!(staleness(&store, ada).await, [stale("a"), fresh("b"), fresh("c"), stale("d")]);
    assert!(store.clear_stale(&sent(&rows[1]), at(70)).await.unwrap().is_empty(), "nothing is left to clear");
    assert_eq!(staleness(&store, ada).await[0], stale("a"));
}

async fn re_sealing_forgets_that_a_seal_was_stale(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let rows = sealed_at(&store, "ada", &[10]).await;
    store.mark_stale(&sent(&rows[0]), at(50), at(60)).await.unwrap();
    assert!(store.claim_probe(&sent(&rows[0]), at(60), at(100)).await.unwrap());
    let next = AppPasswordRecord {
        sealed_version: rows[0].sealed_version + 1,
        sealed_at: Some(at(70)),
        ..rows[0].clone()
    };
    assert!(store.reseal_app_password(&next).await.unwrap());
    assert_eq!(store.app_password_by_label(next.account, "a").await.unwrap().as_ref(), Some(&next));
}

/// Runs the migration once more on rows as the version before left them.
async fn rows_of_the_version_before_were_sealed_when_they_were_made(database: Database) {
    const UNDO: &str = "ALTER TABLE app_passwords DROP COLUMN sealed_at;
                        ALTER TABLE app_passwords DROP COLUMN stale_since;
                        ALTER TABLE app_passwords DROP COLUMN probes;
                        ALTER TABLE app_passwords DROP COLUMN next_probe_at;
                        DELETE FROM _sqlx_migrations WHERE version IN (2, 5)";
    // What came later stands on the columns.
    const UNDO_SQLITE: &str = "DROP TRIGGER app_passwords_stale; DROP TRIGGER factors_unbound";
    const UNDO_POSTGRES: &str =
        "DROP TRIGGER app_passwords_stale ON app_passwords; DROP TRIGGER factors_unbound ON factors";
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    let sealed = AppPasswordRecord { created_at: at(7), sealed_at: Some(at(9)), ..app_password(ada, "a") };
    let bare =
        AppPasswordRecord { sealed: None, sealed_at: None, created_at: at(8), ..app_password(ada, "b") };
    for row in [&sealed, &bare] {
        store.insert_app_password(row, 20).await.unwrap();
    }
    match &store {
        Store::Sqlite(pool, _) => {
            for text in [UNDO_SQLITE, UNDO] {
                pool.execute(sqlx::raw_sql(text)).await.unwrap();
            }
        }
        Store::Postgres(pool) => {
            for text in [UNDO_POSTGRES, UNDO] {
                pool.execute(sqlx::raw_sql(text)).await.unwrap();
            }
        }
    }
    store.close().await;
    let store = Store::open(&database).await.unwrap();
    let migrated = AppPasswordRecord { sealed_at: Some(at(7)), ..sealed };
    assert_eq!(store.app_passwords(ada).await.unwrap(), [migrated, bare]);
}

async fn app_passwords_go_one_by_one_or_all(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let (ada, bob) = (add(&store, "ada").await, add(&store, "bob").await);
    let rows: Vec<_> = ["a", "b", "c"].map(|label| app_password(ada, label)).into();
    for row in &rows {
        store.insert_app_password(row, 20).await.unwrap();
    }
    assert!(!store.delete_app_password(bob, rows[0].id).await.unwrap(), "not another account's");
    assert!(store.delete_app_password(ada, rows[0].id).await.unwrap());
    assert!(!store.delete_app_password(ada, rows[0].id).await.unwrap());
    assert_eq!(store.delete_app_passwords(bob).await.unwrap(), 0);
    assert_eq!(store.delete_app_passwords(ada).await.unwrap(), 2);
    assert_eq!(store.app_passwords(ada).await.unwrap(), []);
}

async fn unbinding_the_last_factor_takes_the_app_passwords_if_asked(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    store.insert_app_password(&app_password(ada, "abcd"), 20).await.unwrap();
    assert_eq!(store.unbind_factors(ada, (None, None), (true, false)).await.unwrap(), Default::default());
    assert_eq!(store.app_passwords(ada).await.unwrap().len(), 1, "nothing was unbound, so nothing goes");

    let (older, newer) = (factor(ada, 1), FactorRecord { kind: "token".to_owned(), ..factor(ada, 2) });
    for bound in [&newer, &older] {
        store.insert_factor(bound, MOST).await.unwrap();
    }
    assert_eq!(store.factors(ada).await.unwrap(), [older.clone(), newer.clone()]);
    assert_eq!(standing(&store, "ada").await.bound_factors, 2);
    let gone = store.unbind_factors(ada, (Some("token"), None), (true, false)).await.unwrap();
    assert_eq!((gone.factors, gone.app_passwords), (vec![newer.clone()], 0), "another factor is left");
    store.insert_factor(&newer, MOST).await.unwrap();
    let kept = all_at_once(2, |n| {
        let (store, id) = (store.clone(), [older.id, newer.id][n]);
        async move { store.unbind_factors(ada, (None, Some(id)), (true, true)).await.unwrap().factors.len() }
    })
    .await;
    assert_eq!(kept.iter().sum::<usize>(), 1, "one of the two stays");
    let left = store.factors(ada).await.unwrap();
    assert_eq!(left.len(), 1);
    let missing = if left[0].id == older.id { &newer } else { &older };
    store.insert_factor(missing, MOST).await.unwrap();
    let gone = store.unbind_factors(ada, (None, None), (true, false)).await.unwrap();
    assert_eq!((gone.factors, gone.app_passwords), (vec![older.clone(), newer], 1));
    assert_eq!(standing(&store, "ada").await.bound_factors, 0);

    store.insert_factor(&older, MOST).await.unwrap();
    store.insert_app_password(&app_password(ada, "abcd"), 20).await.unwrap();
    let gone = store.unbind_factors(ada, (None, None), (false, false)).await.unwrap();
    assert_eq!((gone.factors, gone.app_passwords), (vec![older], 0));
    assert_eq!(store.app_passwords(ada).await.unwrap().len(), 1, "they are kept where policy says so");
}

async fn factors_bound_at_once_never_exceed_the_limit(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    let bound = all_at_once(20, |n| {
        let store = store.clone();
        async move { store.insert_factor(&factor(ada, i64::try_from(n).unwrap()), 5).await.unwrap() }
    })
    .await;
    let count = |what| bound.iter().filter(|one| **one == what).count();
    assert_eq!((count(FactorInserted::Done), count(FactorInserted::LimitReached)), (5, 15));
    assert_eq!(store.factors(ada).await.unwrap().len(), 5);
}

async fn a_factor_is_renamed_and_used_while_it_is_bound(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let (ada, bob) = (add(&store, "ada").await, add(&store, "bob").await);
    let bound = FactorRecord { detail: Some("c***@example.com".to_owned()), ..factor(ada, 1) };
    let other = factor(ada, 2);
    for factor in [&bound, &other] {
        store.insert_factor(factor, MOST).await.unwrap();
    }
    assert_eq!(store.rename_factor(bob, bound.id, "Bob's").await.unwrap(), None, "it is another account's");
    assert_eq!(store.rename_factor(ada, bound.id, "钥匙").await.unwrap().as_deref(), Some("totp"));
    assert!(store.factor_used(bound.id, at(7)).await.unwrap());
    let renamed = FactorRecord { name: "钥匙".to_owned(), last_used_at: Some(at(7)), ..bound };
    let counted = factor(bob, 3);
    store.insert_factor(&counted, MOST).await.unwrap();
    assert!(store.claim_factor_step(counted.id, 5, at(7)).await.unwrap());
    assert!(!store.factor_used(counted.id, at(8)).await.unwrap(), "a counter does not end");
    assert_eq!(store.factors(ada).await.unwrap(), [renamed.clone(), other]);
    store.unbind_factors(ada, (None, Some(renamed.id)), (false, false)).await.unwrap();
    assert_eq!(store.rename_factor(ada, renamed.id, "x").await.unwrap(), None);
    assert!(!store.factor_used(renamed.id, at(8)).await.unwrap());
}

async fn of_many_who_use_a_challenge_one_does(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let used = all_at_once(50, |_| {
        let store = store.clone();
        async move { store.use_challenge(&[7; 32], at(300)).await.unwrap() }
    })
    .await;
    assert_eq!(used.into_iter().filter(|used| *used).count(), 1);
    assert!(store.use_challenge(&[8; 32], at(301)).await.unwrap());
    assert_eq!(store.prune_used_challenges(at(300)).await.unwrap(), 1, "the one that nobody can answer now");
    assert!(!store.use_challenge(&[8; 32], at(301)).await.unwrap());
}

async fn of_many_who_take_what_a_portal_session_keeps_one_does(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    assert!(begin(&store, ada, 1).await);
    let token = portal_session(ada, 1).token;
    let id = store.portal_session(&token).await.unwrap().unwrap().id;
    let place = KeptFor { purpose: "challenge", kind: "passkey" };
    let others = [KeptFor { purpose: "offer", ..place }, KeptFor { kind: "totp", ..place }];
    assert_eq!(store.kept_in_portal(id, place).await.unwrap(), None);
    assert!(!store.take_from_portal((id, &token), place, b"none").await.unwrap(), "nothing was asked");
    for kept in [b"first", b"other"] {
        assert!(store.keep_in_portal(&token, place, kept).await.unwrap());
    }
    for other in others {
        assert!(store.keep_in_portal(&token, other, b"stays").await.unwrap());
    }
    assert_eq!(store.kept_in_portal(id, place).await.unwrap().as_deref(), Some(&b"other"[..]));
    assert!(
        !store.take_from_portal((id, &token), place, b"first").await.unwrap(),
        "another came in its place"
    );
    let taken = all_at_once(50, |_| {
        let (store, token) = (store.clone(), token.clone());
        async move { store.take_from_portal((id, &token), place, b"other").await.unwrap() }
    })
    .await;
    assert_eq!(taken.into_iter().filter(|taken| *taken).count(), 1);
    assert_eq!(store.kept_in_portal(id, place).await.unwrap(), None);
    for other in others {
        assert_eq!(store.kept_in_portal(id, other).await.unwrap().as_deref(), Some(&b"stays"[..]));
    }

    // Under another token it is another session, though it has the same name in lists.
    let next = PortalSessionRecord { id, token: vec![9; 32], ..portal_session(ada, 1) };
    assert!(store.replace_portal_session(&token, &next).await.unwrap());
    assert!(!store.keep_in_portal(&token, place, b"late").await.unwrap());
    for place in others.into_iter().chain([place]) {
        assert_eq!(store.kept_in_portal(id, place).await.unwrap(), None, "it ended with its session");
        assert!(!store.take_from_portal((id, &next.token), place, b"stays").await.unwrap());
    }
    assert!(store.keep_in_portal(&next.token, place, b"third").await.unwrap());
    assert!(!store.take_from_portal((id, &token), place, b"third").await.unwrap(), "the token is void");
    // What ends a session, as a new factor does, ends what it keeps.
    store.insert_factor(&factor(ada, 1), MOST).await.unwrap();
    assert!(!store.take_from_portal((id, &next.token), place, b"third").await.unwrap());
}

/// A browser of the account, with this as its token.
fn portal_session(account: AccountId, token: u8) -> PortalSessionRecord {
    PortalSessionRecord {
        id: PortalSessionId(random::uuid(at(1))),
        token: vec![token; 32],
        account,
        step: "in".to_owned(),
        began_at: at(1),
        seen_at: at(i64::from(token)),
        expires_at: at(100 + i64::from(token)),
        verified_at: None,
        address: "192.0.2.1".to_owned(),
        browser: Some("Firefox 客户端".to_owned()),
        mailbox: Some(vec![1, 2, 3]),
        mailbox_upstream: Some(upstream()),
        mailbox_at: Some(at(1)),
        mac: vec![7; 32],
    }
}

/// Begins such a session, of whoever has counted the account's factors just now.
async fn begin(store: &Store, account: AccountId, token: u8) -> bool {
    let bound = store.factors(account).await.unwrap().len() as u32;
    store.begin_portal_session(&portal_session(account, token), bound).await.unwrap()
}

fn trusted_device(account: AccountId, token: u8) -> TrustedDeviceRecord {
    TrustedDeviceRecord {
        id: DeviceId(random::uuid(at(1))),
        account,
        token: vec![token; 32],
        browser: None,
        address: "2001:db8::1".to_owned(),
        trusted_at: at(1),
        expires_at: at(100 + i64::from(token)),
        last_used_at: at(i64::from(token)),
        mac: vec![9; 32],
    }
}

async fn of_many_who_use_a_recovery_code_one_does(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let (ada, bob) = (add(&store, "ada").await, add(&store, "bob").await);
    let codes: Vec<[u8; 32]> = (0..10).map(|n| [n; 32]).collect();
    assert!(store.replace_recovery_codes(ada, &codes, at(1)).await.unwrap());
    let used = all_at_once(50, |_| {
        let store = store.clone();
        async move { store.use_recovery_code(ada, &[3; 32], at(2)).await.unwrap() }
    })
    .await;
    assert_eq!(used.into_iter().filter(|used| *used).count(), 1);
    assert_eq!(store.recovery_codes_left(ada).await.unwrap(), 9);
    assert!(!store.use_recovery_code(bob, &[4; 32], at(2)).await.unwrap(), "it is another account's");
    assert!(!store.use_recovery_code(ada, &[77; 32], at(2)).await.unwrap());
    assert!(store.replace_recovery_codes(ada, &[[77; 32]], at(3)).await.unwrap());
    assert_eq!(store.recovery_codes_left(ada).await.unwrap(), 1);
    assert!(!store.use_recovery_code(ada, &[4; 32], at(4)).await.unwrap(), "the old ones are void");
    store.remove_account(ada).await.unwrap();
    assert_eq!(store.recovery_codes_left(ada).await.unwrap(), 0);
    assert!(!store.replace_recovery_codes(ada, &codes, at(5)).await.unwrap());
}

async fn recovery_codes_end_with_the_last_factor(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    for bound in [factor(ada, 1), FactorRecord { kind: "token".to_owned(), ..factor(ada, 2) }] {
        store.insert_factor(&bound, MOST).await.unwrap();
    }
    store.replace_recovery_codes(ada, &[[1; 32]], at(1)).await.unwrap();
    store.unbind_factors(ada, (Some("token"), None), (true, false)).await.unwrap();
    assert_eq!(store.recovery_codes_left(ada).await.unwrap(), 1);
    store.unbind_factors(ada, (None, None), (false, false)).await.unwrap();
    assert_eq!(store.recovery_codes_left(ada).await.unwrap(), 0);
}

fn enrolment_link(account: AccountId, token: u8) -> EnrolmentLinkRecord {
    EnrolmentLinkRecord {
        account,
        token: vec![token; 32],
        made_at: at(1),
        expires_at: at(100 + i64::from(token)),
        mac: vec![9; 32],
    }
}

async fn of_many_who_use_an_enrolment_link_one_does(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let (ada, bob) = (add(&store, "ada").await, add(&store, "bob").await);
    for link in [enrolment_link(ada, 1), enrolment_link(ada, 2), enrolment_link(bob, 3)] {
        assert_eq!(store.put_enrolment_link(&link).await.unwrap(), LinkKept::Kept);
    }
    assert_eq!(store.enrolment_link(ada, &[1; 32]).await.unwrap(), None, "the next one took its place");
    assert_eq!(store.enrolment_link(bob, &[2; 32]).await.unwrap(), None, "it is another account's");
    assert_eq!(store.enrolment_link(ada, &[2; 32]).await.unwrap(), Some(enrolment_link(ada, 2)));
    assert!(!store.take_enrolment_link(bob, &[2; 32]).await.unwrap());
    let used = all_at_once(50, |_| {
        let store = store.clone();
        async move { store.take_enrolment_link(ada, &[2; 32]).await.unwrap() }
    })
    .await;
    assert_eq!(used.into_iter().filter(|used| *used).count(), 1);
    assert_eq!(store.prune_enrolment_links(at(102)).await.unwrap(), 0);
    assert_eq!(store.prune_enrolment_links(at(103)).await.unwrap(), 1);
}

async fn an_enrolment_link_ends_with_the_first_factor_and_with_the_account(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let (ada, bob) = (add(&store, "ada").await, add(&store, "bob").await);
    for link in [enrolment_link(ada, 1), enrolment_link(bob, 2)] {
        store.put_enrolment_link(&link).await.unwrap();
    }
    store.insert_factor(&factor(ada, 1), 9).await.unwrap();
    assert_eq!(store.enrolment_link(ada, &[1; 32]).await.unwrap(), None);
    assert_eq!(store.put_enrolment_link(&enrolment_link(ada, 1)).await.unwrap(), LinkKept::Bound);
    assert!(store.enrolment_link(bob, &[2; 32]).await.unwrap().is_some());
    assert!(store.set_account_state(bob, AccountState::Suspended).await.unwrap());
    assert_eq!(store.enrolment_link(bob, &[2; 32]).await.unwrap(), None);
    store.remove_account(bob).await.unwrap();
    assert_eq!(store.put_enrolment_link(&enrolment_link(bob, 2)).await.unwrap(), LinkKept::NoAccount);
}

async fn codes_by_mail_are_counted_when_they_are_sent_and_when_they_are_tried(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let (ada, bob) = (add(&store, "ada").await, add(&store, "bob").await);
    let id = |number: u128| MailCodeId(uuid::Uuid::from_u128(number));
    let most = MailSends { since: at(10), pair: 3, account: 3, network: 4, all: 6 };
    let sent = all_at_once(20, |number| {
        let store = store.clone();
        let id = id(number as u128);
        async move { store.count_mail_code(id, ada, "one", at(11), most).await.unwrap() }
    })
    .await;
    assert_eq!(sent.iter().filter(|sent| **sent).count(), 3, "of one account");
    let send = async |number, network: &str| {
        store.count_mail_code(id(number), bob, network, at(12), most).await.unwrap()
    };
    assert!(send(100, "one").await && !send(101, "one").await, "four to one network");
    assert!(send(102, "two").await && send(103, "three").await && !send(104, "four").await, "three of Bob's");
    let cid = add(&store, "cid").await;
    assert!(!store.count_mail_code(id(200), cid, "five", at(12), most).await.unwrap(), "six in all");
    let later = MailSends { since: at(12), ..most };
    assert!(
        store.count_mail_code(id(201), cid, "five", at(13), later).await.unwrap(),
        "those before count no more"
    );

    let few = MailSends { since: at(13), pair: 1, account: 2, network: 9, all: 9 };
    let send = async |number, network: &str| {
        store.count_mail_code(id(number), ada, network, at(14), few).await.unwrap()
    };
    assert!(send(300, "one").await && !send(301, "one").await, "one of hers in one network");
    assert!(send(302, "two").await && !send(303, "three").await, "two of hers");

    let tried = all_at_once(50, |_| {
        let store = store.clone();
        async move { store.try_mail_code(id(100), 5).await.unwrap() }
    })
    .await;
    assert_eq!(tried.into_iter().filter(|tried| *tried).count(), 5);
    assert!(!store.try_mail_code(id(101), 5).await.unwrap(), "it was not sent");
    assert_eq!(store.prune_mail_codes(at(12)).await.unwrap(), 6);
    store.remove_account(cid).await.unwrap();
    assert!(!store.count_mail_code(id(202), cid, "six", at(20), later).await.unwrap());
}

async fn of_many_who_send_a_form_one_is_the_first(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let first = all_at_once(50, |_| {
        let store = store.clone();
        async move { store.use_form(&[1; 32], at(1)).await.unwrap() }
    })
    .await;
    assert_eq!(first.into_iter().filter(|first| *first).count(), 1);
    assert!(store.use_form(&[2; 32], at(5)).await.unwrap());
    assert_eq!(store.prune_used_forms(at(4)).await.unwrap(), 1);
    assert!(
        store.use_form(&[1; 32], at(6)).await.unwrap() && !store.use_form(&[2; 32], at(6)).await.unwrap()
    );
}

async fn a_portal_session_is_replaced_only_while_it_lives(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    let (first, second) = (portal_session(ada, 1), portal_session(ada, 2));
    assert!(!store.begin_portal_session(&first, 1).await.unwrap(), "it has another number of factors");
    assert!(store.begin_portal_session(&first, 0).await.unwrap());
    assert_eq!(store.portal_session(&first.token).await.unwrap(), Some(first.clone()));
    let next = PortalSessionRecord { token: vec![3; 32], verified_at: Some(at(3)), ..first.clone() };
    let replaced = all_at_once(8, |_| {
        let (store, old, next) = (store.clone(), first.token.clone(), next.clone());
        async move { store.replace_portal_session(&old, &next).await.unwrap_or(false) }
    })
    .await;
    assert_eq!(replaced.into_iter().filter(|replaced| *replaced).count(), 1);
    assert_eq!(store.portal_session(&first.token).await.unwrap(), None);
    store.portal_session_seen(&next.token, at(50)).await.unwrap();
    let kept = PortalSessionRecord { seen_at: at(50), ..next.clone() };
    store.begin_portal_session(&second, 0).await.unwrap();
    assert_eq!(store.portal_sessions(ada).await.unwrap(), [kept, second.clone()], "the latest first");
    let bob = add(&store, "bob").await;
    let signed_in = store.accounts_with_portal_sessions().await.unwrap();
    assert_eq!(
        signed_in.iter().map(|account| account.id).collect::<Vec<_>>(),
        [ada],
        "once, and nobody else"
    );
    assert!(!store.end_portal_session_of(bob, second.id).await.unwrap());
    assert!(store.end_portal_session_of(ada, second.id).await.unwrap());
    store.begin_portal_session(&second, 0).await.unwrap();
    assert!(store.end_portal_session(&next.token).await.unwrap());
    assert_eq!(store.prune_portal_sessions(at(101), "in", at(1)).await.unwrap(), 0);
    assert_eq!(store.prune_portal_sessions(at(1), "other", at(2)).await.unwrap(), 0, "another step");
    assert_eq!(store.prune_portal_sessions(at(1), "in", at(2)).await.unwrap(), 1, "left alone since then");
    store.begin_portal_session(&second, 0).await.unwrap();
    assert_eq!(store.prune_portal_sessions(at(102), "in", at(1)).await.unwrap(), 1);
    assert!(!store.end_portal_session(&second.token).await.unwrap());

    let elsewhere = portal_session(add(&store, "eve").await, 9);
    assert!(store.begin_portal_session(&elsewhere, 0).await.unwrap());
    for token in 10..15 {
        assert!(begin(&store, ada, token).await);
    }
    let at_the_door = PortalSessionRecord { step: "second_factor".to_owned(), ..portal_session(ada, 20) };
    assert!(store.begin_portal_session(&at_the_door, 0).await.unwrap());
    assert_eq!(store.keep_portal_sessions(ada, "in", 3).await.unwrap(), 3);
    let kept = store.portal_sessions(ada).await.unwrap();
    assert_eq!(kept.iter().map(|kept| kept.token[0]).collect::<Vec<_>>(), [14, 13, 12]);
    assert!(store.portal_session(&elsewhere.token).await.unwrap().is_some(), "another account's");
    assert!(!begin(&store, AccountId(random::uuid(at(1))), 4).await);
}

async fn a_change_of_factors_ends_the_browsers_of_its_account_and_no_others(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let (ada, bob) = (add(&store, "ada").await, add(&store, "bob").await);
    let begin_all = async || {
        for (account, token) in [(ada, 1), (bob, 2)] {
            let _ = store.end_portal_session(&[token; 32]).await.unwrap();
            assert!(begin(&store, account, token).await);
            assert!(store.trust_device(&trusted_device(account, token)).await.unwrap());
        }
    };
    let browsers = async |account| {
        let trusted = store.trusted_devices(account).await.unwrap().len();
        (store.portal_sessions(account).await.unwrap().len(), trusted)
    };
    begin_all().await;
    let bound = factor(ada, 1);
    store.insert_factor(&bound, MOST).await.unwrap();
    assert_eq!((browsers(ada).await, browsers(bob).await), ((0, 0), (1, 1)), "bound");
    begin_all().await;
    assert!(store.claim_factor_step(bound.id, 1, at(2)).await.unwrap());
    assert_eq!(browsers(ada).await, (1, 1), "a code changes no factor");
    store.unbind_factors(ada, (None, None), (false, false)).await.unwrap();
    assert_eq!((browsers(ada).await, browsers(bob).await), ((0, 0), (1, 1)), "unbound");
}

async fn whoever_is_suspended_or_removed_is_signed_in_nowhere(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    let begin_both = async || {
        begin(&store, ada, 1).await;
        store.trust_device(&trusted_device(ada, 1)).await.unwrap();
    };
    begin_both().await;
    assert_eq!(store.standing_of(ada).await.unwrap(), store.standing(&address("ada")).await.unwrap());
    store.set_account_state(ada, AccountState::Suspended).await.unwrap();
    assert_eq!(store.portal_sessions(ada).await.unwrap(), []);
    assert_eq!(store.trusted_devices(ada).await.unwrap(), []);
    store.set_account_state(ada, AccountState::Active).await.unwrap();
    begin_both().await;
    store.remove_account(ada).await.unwrap();
    assert_eq!(store.portal_sessions(ada).await.unwrap(), []);
    assert_eq!(store.trusted_devices(ada).await.unwrap(), []);
    assert!(!begin(&store, ada, 1).await);
    assert!(!store.trust_device(&trusted_device(ada, 1)).await.unwrap());
}

async fn a_browser_is_trusted_once_for_each_account(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let (ada, bob) = (add(&store, "ada").await, add(&store, "bob").await);
    for account in [ada, bob, ada] {
        assert!(store.trust_device(&trusted_device(account, 1)).await.unwrap());
    }
    let [of_ada] = <[_; 1]>::try_from(store.trusted_devices(ada).await.unwrap()).unwrap();
    assert_eq!(store.trusted_device(ada, &[1; 32]).await.unwrap(), Some(of_ada.clone()));
    assert_eq!(store.trusted_device(ada, &[2; 32]).await.unwrap(), None);
    store.trusted_device_used(ada, of_ada.id, at(9)).await.unwrap();
    assert_eq!(store.trusted_device(ada, &[1; 32]).await.unwrap().unwrap().last_used_at, at(9));
    assert!(!store.withdraw_device(bob, of_ada.id).await.unwrap(), "it is another account's");
    assert!(store.withdraw_device(ada, of_ada.id).await.unwrap());
    store.trust_device(&of_ada).await.unwrap();
    assert_eq!(store.withdraw_devices(ada).await.unwrap(), 1);
    assert_eq!(store.trusted_devices(bob).await.unwrap().len(), 1);
    assert_eq!(store.prune_trusted_devices(at(101)).await.unwrap(), 1);
}

fn notice(account: AccountId, made: i64) -> NoticeRecord {
    NoticeRecord {
        id: NoticeId(random::uuid(at(made))),
        account,
        address: "ada@example.org".to_owned(),
        notice: "{\"名\":1}".to_owned(),
        made_at: at(made),
        due_at: at(made),
        attempts: 0,
        mac: vec![5; 32],
    }
}

async fn of_many_who_take_a_notice_one_does_until_its_time_is_over(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    let posted = notice(ada, 1);
    let id = posted.id;
    assert_eq!(store.post_notice(&posted, 9, None, None).await.unwrap(), Posted::Waiting(vec![]));
    assert_eq!(store.waiting_notices(ada).await.unwrap(), std::slice::from_ref(&posted));
    assert!(store.due_notices(at(0), 9).await.unwrap().is_empty(), "not yet");
    assert_eq!(store.due_notices(at(1), 9).await.unwrap(), [id]);
    let taken = all_at_once(20, |_| {
        let store = store.clone();
        async move { store.take_notice(id, at(1), at(10)).await.unwrap() }
    })
    .await;
    let taken: Vec<_> = taken.into_iter().flatten().collect();
    let expected = NoticeRecord { due_at: at(10), attempts: 1, ..posted };
    assert_eq!(taken, [expected]);
    assert!(store.due_notices(at(9), 9).await.unwrap().is_empty());
    // Its taker died.
    let again = store.take_notice(id, at(10), at(20)).await.unwrap().unwrap();
    assert_eq!(again.attempts, 2);
    store.put_off_notice(&taken[0], at(11)).await.unwrap();
    assert!(store.due_notices(at(19), 9).await.unwrap().is_empty(), "it is somebody else's");
    store.put_off_notice(&again, at(12)).await.unwrap();
    assert_eq!(store.due_notices(at(12), 9).await.unwrap(), [id]);
    store.forget_notice(id).await.unwrap();
    assert!(store.waiting_notices(ada).await.unwrap().is_empty());
    store.remove_account(ada).await.unwrap();
    assert_eq!(store.post_notice(&notice(ada, 2), 9, None, None).await.unwrap(), Posted::Gone);
}

async fn the_oldest_notices_go_when_there_are_too_many_or_they_are_too_old(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let (ada, bob) = (add(&store, "ada").await, add(&store, "bob").await);
    let posted: Vec<_> = (0..4).map(|made| notice(ada, made)).collect();
    for (number, one) in posted.iter().enumerate() {
        let dropped = if number < 3 { vec![] } else { vec![posted[0].clone()] };
        assert_eq!(store.post_notice(one, 3, None, None).await.unwrap(), Posted::Waiting(dropped));
    }
    store.post_notice(&notice(bob, 3), 3, None, None).await.unwrap();
    assert_eq!(store.give_up_notices(at(1), 100).await.unwrap(), (vec![posted[1].clone()], vec![]));
    let (old, many) = store.give_up_notices(at(1), 2).await.unwrap();
    assert_eq!((old, many), (vec![], vec![posted[2].clone()]));
    assert_eq!(store.waiting_notices(ada).await.unwrap(), posted[3..]);
    assert_eq!(store.waiting_notices(bob).await.unwrap().len(), 1);
}

async fn what_a_stranger_can_cause_is_told_seldom(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    let told = all_at_once(20, |_| {
        let store = store.clone();
        async move { store.post_notice(&notice(ada, 100), 99, Some(("kind", at(50))), None).await.unwrap() }
    })
    .await;
    assert_eq!(told.iter().filter(|posted| **posted == Posted::Waiting(vec![])).count(), 1);
    assert_eq!(told.iter().filter(|posted| **posted == Posted::Lately).count(), 19);
    let post = async |made: i64, kind, since| {
        store.post_notice(&notice(ada, made), 99, Some((kind, at(since))), None).await.unwrap()
    };
    assert_eq!(post(101, "other", 51).await, Posted::Waiting(vec![]));
    assert_eq!(post(149, "kind", 99).await, Posted::Lately);
    assert_eq!(post(150, "kind", 100).await, Posted::Waiting(vec![]));
    assert_eq!(store.waiting_notices(ada).await.unwrap().len(), 3);
}

async fn a_sign_in_that_ends_with_a_notice_ends_once(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    let (mut waiting, inside) = (portal_session(ada, 1), portal_session(ada, 2));
    "second_factor".clone_into(&mut waiting.step);
    for session in [&waiting, &inside] {
        assert!(store.begin_portal_session(session, 0).await.unwrap());
    }
    assert!(store.unfinished_sign_ins("second_factor", at(0), 9).await.unwrap().is_empty());
    assert_eq!(store.unfinished_sign_ins("second_factor", at(1), 9).await.unwrap(), [waiting.clone()]);
    let posted = all_at_once(20, |_| {
        let (store, token) = (store.clone(), waiting.token.clone());
        async move {
            let instead = Instead { token: &token, step: "second_factor" };
            store.post_notice(&notice(ada, 5), 99, None, Some(instead)).await.unwrap()
        }
    })
    .await;
    assert_eq!(posted.iter().filter(|posted| **posted == Posted::Waiting(vec![])).count(), 1);
    let instead = Instead { token: &inside.token, step: "second_factor" };
    let posted = store.post_notice(&notice(ada, 5), 99, None, Some(instead)).await.unwrap();
    assert_eq!(posted, Posted::Gone, "it came further");
    assert_eq!(store.portal_sessions(ada).await.unwrap(), [inside]);
    assert_eq!(store.waiting_notices(ada).await.unwrap().len(), 1);
}

async fn a_browser_is_new_once(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let (ada, bob) = (add(&store, "ada").await, add(&store, "bob").await);
    let new = all_at_once(20, |_| {
        let store = store.clone();
        async move { store.browser_seen(ada, &browser(1, 1)).await.unwrap() }
    })
    .await;
    assert_eq!(new.into_iter().filter(|new| *new).count(), 1);
    assert!(store.browser_seen(bob, &browser(1, 1)).await.unwrap(), "it is another account's");
    assert!(store.browser_seen(ada, &browser(2, 1)).await.unwrap());
    let again = KnownBrowserRecord { browser: None, address: "192.0.2.9".to_owned(), ..browser(2, 9) };
    assert!(!store.browser_seen(ada, &again).await.unwrap());
    assert_eq!(store.known_browsers(ada, at(1), 9).await.unwrap(), [again.clone(), browser(1, 1)]);
    assert_eq!(store.known_browsers(ada, at(2), 9).await.unwrap(), std::slice::from_ref(&again));
    assert_eq!(store.known_browsers(ada, at(1), 1).await.unwrap(), [again]);
    assert_eq!(store.forget_browsers(at(8)).await.unwrap(), 2);
    assert!(!store.browser_seen(ada, &browser(2, 9)).await.unwrap(), "it was used since");
    assert!(store.browser_seen(ada, &browser(1, 9)).await.unwrap());
    assert!(store.remove_account(ada).await.unwrap());
    assert_eq!(store.known_browsers(ada, at(0), 9).await.unwrap(), []);
}

fn browser(mark: u8, seen_at: i64) -> KnownBrowserRecord {
    KnownBrowserRecord {
        mark: vec![mark; 32],
        seen_at: at(seen_at),
        browser: Some("Firefox".to_owned()),
        address: "192.0.2.1".to_owned(),
    }
}

fn profile(of: &AppPasswordRecord, id: u8, made_at: i64) -> ProfileRecord {
    ProfileRecord {
        id: vec![id; 32],
        account: of.account,
        app_password: of.id,
        made_at: at(made_at),
        expires_at: at(made_at + 100),
        sealed: vec![id; 60],
    }
}

async fn of_many_who_fetch_a_profile_one_gets_it(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let row = app_password(add(&store, "ada").await, "abcd");
    store.insert_app_password(&row, 20).await.unwrap();
    let (first, second) = (profile(&row, 1, 1), profile(&row, 2, 2));
    for profile in [&first, &second] {
        assert!(store.keep_profile(profile, 3).await.unwrap());
    }
    assert_eq!(
        store.profile(&first.id, at(100)).await.unwrap(),
        Some(first.clone()),
        "looking takes nothing"
    );
    let taken = all_at_once(50, |_| {
        let (store, id) = (store.clone(), first.id.clone());
        async move { store.take_profile(&id, at(100)).await.unwrap() }
    })
    .await;
    assert_eq!(taken.into_iter().flatten().collect::<Vec<_>>(), std::slice::from_ref(&first));
    assert_eq!(store.profile(&first.id, at(1)).await.unwrap(), None);
    assert_eq!(store.profile(&second.id, at(102)).await.unwrap(), None, "its time is over");
    assert_eq!(store.take_profile(&second.id, at(102)).await.unwrap(), None);
    assert_eq!(store.prune_profiles(at(101)).await.unwrap(), 0);
    assert_eq!(store.prune_profiles(at(102)).await.unwrap(), 1);
    assert_eq!(store.profile(&second.id, at(2)).await.unwrap(), None);
}

async fn a_profile_goes_with_its_app_password_or_its_account_and_the_oldest_make_room(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let (ada, bob) = (add(&store, "ada").await, add(&store, "bob").await);
    let (row, other, bobs) =
        (app_password(ada, "abcd"), app_password(ada, "efgh"), app_password(bob, "abcd"));
    for row in [&row, &other, &bobs] {
        store.insert_app_password(row, 20).await.unwrap();
    }
    let kept = async |ids: &[u8]| {
        let mut kept = Vec::new();
        for id in ids {
            kept.extend(store.profile(&[*id; 32], at(50)).await.unwrap().map(|_| *id));
        }
        kept
    };
    for profile in [profile(&other, 2, 2), profile(&row, 1, 1), profile(&bobs, 9, 0), profile(&row, 3, 3)] {
        assert!(store.keep_profile(&profile, 2).await.unwrap());
    }
    assert_eq!(kept(&[1, 2, 3, 9]).await, [2, 3, 9], "of each account the youngest");

    assert!(store.delete_app_password(ada, other.id).await.unwrap());
    assert_eq!(kept(&[2, 3, 9]).await, [3, 9]);
    assert!(!store.keep_profile(&profile(&other, 4, 4), 2).await.unwrap(), "it is gone");
    let anothers = ProfileRecord { account: bob, ..profile(&row, 5, 5) };
    assert!(!store.keep_profile(&anothers, 2).await.unwrap(), "it is another's");

    store.set_account_state(ada, AccountState::Suspended).await.unwrap();
    assert_eq!(kept(&[3, 9]).await, [9]);
    store.remove_account(bob).await.unwrap();
    assert_eq!(kept(&[9]).await, [0_u8; 0]);
    assert!(!store.keep_profile(&profile(&bobs, 9, 9), 2).await.unwrap());
}

async fn last_uses_never_go_back(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let (ada, bob) = (add(&store, "ada").await, add(&store, "bob").await);
    let row = app_password(ada, "abcd");
    store.insert_app_password(&row, 20).await.unwrap();
    store.record_uses(&[]).await.unwrap();
    let program = Some("a\0b".to_owned());
    let later = Use { program, address: "192.0.2.2".to_owned(), ..used(ada, Some(row.id), at(5_000_001)) };
    store
        .record_uses(&[later, used(ada, Some(row.id), at(5_000_000)), used(bob, None, at(3))])
        .await
        .unwrap();
    // Somebody else's clock, and a row that is gone meanwhile.
    let unknown = AppPasswordId(random::uuid(at(1)));
    store.record_uses(&[used(ada, Some(row.id), at(4)), used(bob, Some(unknown), at(2))]).await.unwrap();

    assert_eq!(standing(&store, "ada").await.account.last_login_at, Some(at(5_000_001)));
    assert_eq!(standing(&store, "bob").await.account.last_login_at, Some(at(3)));
    let read = store.app_password_by_label(ada, "abcd").await.unwrap().unwrap();
    assert_eq!(
        (read.last_used_at, read.last_used_address.as_deref(), read.last_used_program.as_deref()),
        (Some(at(5_000_001)), Some("192.0.2.2"), Some("a\u{fffd}b"))
    );

    // Two nodes that write the same rows the other way round do not wait for each other for ever.
    let uses: Vec<_> = [ada, bob].map(|account| used(account, None, at(9_000_000))).into();
    all_at_once(16, |n| {
        let (store, mut uses) = (store.clone(), uses.clone());
        if n % 2 == 0 {
            uses.reverse();
        }
        async move { store.record_uses(&uses).await.unwrap() }
    })
    .await;
}

fn seen(account: AccountId, program: &str, at: Timestamp) -> Use {
    Use { program: Some(program.to_owned()), ..used(account, None, at) }
}

async fn clients_with_the_mailbox_password_are_known_until_they_have_an_app_password(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let (ada, bob) = (add(&store, "ada").await, add(&store, "bob").await);
    let row = app_password(ada, "abcd");
    store.insert_app_password(&row, 20).await.unwrap();
    let clients =
        async |account, since| store.clients_without_app_password(account, at(since)).await.unwrap();
    let with_app_password = |program: Option<&str>, at| Use {
        program: program.map(str::to_owned),
        ..used(ada, Some(row.id), at)
    };
    let uses = [
        seen(ada, "华为邮箱", at(5)),
        seen(ada, "a\0b", at(5)),
        seen(ada, "Z", at(5)),
        seen(ada, "Z", at(7)),
        seen(ada, "Z", at(6)),
        used(ada, None, at(5)),
        seen(bob, "Z", at(5)),
        with_app_password(Some("Evolution"), at(5)),
    ];
    store.record_uses(&uses).await.unwrap();
    assert_eq!(clients(ada, 5).await, ["192.0.2.1", "Z", "a\u{fffd}b", "华为邮箱"], "by their bytes");
    assert_eq!(clients(ada, 7).await, ["Z"]);
    assert_eq!(clients(ada, 8).await, [""; 0]);
    assert_eq!(clients(bob, 0).await, ["Z"]);
    store.record_uses(&[seen(ada, "Z", at(4))]).await.unwrap();
    assert_eq!(clients(ada, 7).await, ["Z"], "somebody else's clock");

    // The latest says how it gets in now.
    for (with, left) in [
        (with_app_password(Some("Z"), at(8)), &["192.0.2.1", "a\u{fffd}b", "华为邮箱"][..]),
        (with_app_password(None, at(9)), &["Z", "a\u{fffd}b", "华为邮箱"]),
        (with_app_password(Some("a\0b"), at(10)), &["192.0.2.1", "Z", "华为邮箱"]),
        (seen(ada, "a\0b", at(11)), &["192.0.2.1", "Z", "a\u{fffd}b", "华为邮箱"]),
    ] {
        store.record_uses(&[with]).await.unwrap();
        assert_eq!(clients(ada, 0).await, left);
    }
    assert_eq!(clients(bob, 0).await, ["Z"], "not his app password");

    assert_eq!(store.prune_clients_seen(at(7)).await.unwrap(), 3);
    assert_eq!(clients(ada, 0).await, ["Z", "a\u{fffd}b"]);
    assert!(store.remove_account(ada).await.unwrap());
    store
        .record_uses(&[seen(ada, "Z", at(20)), seen(AccountId(random::uuid(at(1))), "Z", at(20))])
        .await
        .unwrap();
    assert_eq!(add(&store, "ada").await, ada);
    assert_eq!(clients(ada, 0).await, [""; 0], "whoever comes back is nobody's heir");
}

async fn of_an_accounts_clients_the_fifty_that_were_seen_last_are_known(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let (ada, bob) = (add(&store, "ada").await, add(&store, "bob").await);
    store.record_uses(&[seen(bob, "Z", at(1))]).await.unwrap();
    let named = |n| format!("client {n:02}");
    let many: Vec<_> = (0..60).map(|n| seen(ada, &named(n), at(n))).collect();
    let (first, rest) = many.split_at(50);
    store.record_uses(first).await.unwrap();
    assert_eq!(store.clients_without_app_password(ada, at(0)).await.unwrap().len(), 50);
    // One that comes again makes nobody go, and is among the latest.
    store.record_uses(&[seen(ada, &named(3), at(70))]).await.unwrap();
    store.record_uses(rest).await.unwrap();
    let expected: Vec<_> = [3].into_iter().chain(11..60).map(named).collect();
    assert_eq!(store.clients_without_app_password(ada, at(0)).await.unwrap(), expected);
    // Nor do many of one moment stay.
    let many: Vec<_> = (0..99).map(|n| seen(ada, &format!("other {n}"), at(80))).collect();
    store.record_uses(&many).await.unwrap();
    assert_eq!(store.clients_without_app_password(ada, at(0)).await.unwrap().len(), 50);
    assert_eq!(store.clients_without_app_password(bob, at(0)).await.unwrap(), ["Z"]);
}

async fn an_audit_head_only_moves_forward(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let head = |chain: &str, sequence| AuditHead {
        chain: chain.to_owned(),
        place: format!("node-{sequence}:/var"),
        sequence,
        hash: vec![sequence as u8; 32],
        mac: vec![!(sequence as u8); 32],
    };
    for (chain, sequence) in [("b", 7), ("a", 1), ("b", 9), ("b", 8), ("b", 9)] {
        store.put_audit_head(&head(chain, sequence)).await.unwrap();
    }
    assert_eq!(store.audit_heads().await.unwrap(), [head("a", 1), head("b", 9)]);
}

/// A record with these fields: account, address, outcome.
fn audit_row(
    chain: &str,
    sequence: i64,
    at: Timestamp,
    event: &str,
    [account, ip, outcome]: [Option<&str>; 3],
) -> AuditRow {
    let json = serde_json::json!({
        "seq": sequence, "at": at.to_string(), "event": event, "account": account, "ip": ip, "outcome": outcome,
    });
    let text = |text: Option<&str>| text.map(str::to_owned);
    AuditRow {
        chain: chain.to_owned(),
        sequence,
        at,
        event: event.to_owned(),
        account: text(account),
        ip: text(ip),
        outcome: text(outcome),
        json: json.to_string(),
    }
}

async fn searches_find_what_was_indexed(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let row = |sequence, at, event: &str, account: Option<&str>, ip: Option<&str>, outcome: Option<&str>| {
        audit_row("one", sequence, at, event, [account, ip, outcome])
    };
    // Half a second after a whole one: as text of varying width it would sort before it.
    let rows = [
        row(1, at(0), "chain_started", None, None, None),
        row(2, at(1_000_000), "login", Some("ada@example.org"), Some("192.0.2.1"), Some("admitted")),
        row(3, at(1_500_000), "login", Some("ada@example.org"), Some("192.0.2.2"), Some("refused")),
        row(4, at(1_500_000), "login", Some("bob@example.org"), Some("192.0.2.1"), Some("refused")),
        row(5, at(2_000_000), "session_end", Some("ada@example.org"), Some("192.0.2.1"), None),
        row(6, at(2_500_000), "sign_in", Some("bob@example.org"), Some("192.0.2.3"), Some("admitted")),
        row(7, at(2_500_000), "second_factor", Some("ada@example.org"), Some("192.0.2.3"), Some("limited")),
    ];
    assert!(store.index_audit(0, &mark("one", 500), &rows).await.unwrap());
    let found = |query: AuditQuery| {
        let store = store.clone();
        async move {
            let found = store.search_audit(&query).await.unwrap();
            found.into_iter().map(|row| row.sequence).collect::<Vec<_>>()
        }
    };
    let some = |text: &str| Some(text.to_owned());
    let all = AuditQuery::default();
    assert_eq!(store.search_audit(&all).await.unwrap(), rows);
    assert_eq!(found(AuditQuery { limit: 2, ..all.clone() }).await, [6, 7], "the newest");
    let without_chains = AuditQuery { without_chains: true, ..all.clone() };
    assert_eq!(found(without_chains).await, [2, 3, 4, 5, 6, 7]);
    let rare = AuditQuery { among: Among::RareAttempts, ..all.clone() };
    assert_eq!(found(rare.clone()).await, [3, 4, 6, 7]);
    assert_eq!(found(AuditQuery { limit: 3, ..rare.clone() }).await, [4, 6, 7], "the newest of all kinds");
    assert_eq!(found(AuditQuery { account: some("ada@example.org"), ..rare }).await, [3, 7]);
    assert_eq!(found(AuditQuery { account: some("ada@example.org"), ..all.clone() }).await, [2, 3, 5, 7]);
    assert_eq!(found(AuditQuery { ip: some("192.0.2.1"), ..all.clone() }).await, [2, 4, 5]);
    assert_eq!(found(AuditQuery { event: some("login"), ..all.clone() }).await, [2, 3, 4]);
    assert_eq!(found(AuditQuery { outcome: some("refused"), ..all.clone() }).await, [3, 4]);
    assert_eq!(found(AuditQuery { from: Some(at(1_500_000)), ..all.clone() }).await, [3, 4, 5, 6, 7]);
    assert_eq!(found(AuditQuery { until: Some(at(1_500_000)), ..all.clone() }).await, [1, 2]);
    let narrow = AuditQuery {
        account: some("ada@example.org"),
        from: Some(at(1)),
        until: Some(at(1_999_999)),
        event: some("login"),
        outcome: some("refused"),
        ip: some("192.0.2.2"),
        without_chains: true,
        among: Among::RareAttempts,
        limit: 10,
    };
    assert_eq!(found(narrow).await, [3]);
    assert_eq!(found(AuditQuery { account: some("ada"), ..all }).await, [] as [i64; 0], "exactly");
}

async fn of_many_records_the_newest_are_found_whatever_chain_and_block_they_are_in(database: Database) {
    let store = Store::open(&database).await.unwrap();
    // Three gates, one of them an hour and a half behind, one with a clock that was set back; many at one time.
    let user = |n: i64| format!("user{}@example.org", n % 40);
    let row = |chain, n: i64, moment| {
        let (account, ip) = (user(n * 7), format!("192.0.2.{}", n % 5));
        let event = ["login", "session_end", "login", "sign_in", "chain_started"][n as usize % 5];
        let outcome = ["refused", "admitted", "limited"][n as usize % 3];
        audit_row(chain, n, at(moment), event, [Some(&account), Some(&ip), Some(outcome)])
    };
    let seconds = |n: i64| n * 1_000_000;
    let mut rows = Vec::new();
    rows.extend((1..=1500).map(|n| row("a", n, seconds(6_000) + n / 3 * 1_000)));
    rows.extend((1..=700).map(|n| row("b", n, seconds(n * 11))));
    rows.extend((1..=300).map(|n| row("c", n, if n < 150 { seconds(9_000 + n) } else { seconds(n) })));
    for chain in ["a", "b", "c"] {
        let mine: Vec<_> = rows.iter().filter(|row| row.chain == chain).cloned().collect();
        let mut position = 0;
        for part in mine.chunks(210) {
            let next = position + 1_000;
            assert!(store.index_audit(position, &mark(chain, next), part).await.unwrap());
            position = next;
        }
    }
    rows.sort_by_key(|row| (row.at, row.chain.clone(), row.sequence));

    let newest = |query: &AuditQuery| {
        let fits = |row: &&AuditRow| {
            query.account.is_none_or_is(&row.account)
                && query.ip.is_none_or_is(&row.ip)
                && query.outcome.is_none_or_is(&row.outcome)
                && query.event.is_none_or_is(&Some(row.event.clone()))
                && !(query.without_chains && row.event == "chain_started")
                && match (query.among, row.event.as_str()) {
                    (Among::All, _) | (Among::RareAttempts, "sign_in") => true,
                    (Among::RareAttempts, "login") => row.outcome.as_deref() != Some("admitted"),
                    (Among::RareAttempts, _) => false,
                }
                && query.from.is_none_or(|from| from <= row.at)
                && query.until.is_none_or(|until| row.at < until)
        };
        let fit: Vec<_> = rows.iter().filter(fits).cloned().collect();
        let limit = if query.limit == 0 { 1_000 } else { query.limit as usize };
        fit[fit.len().saturating_sub(limit)..].to_vec()
    };
    let moments =
        [None, Some(at(seconds(200))), Some(at(seconds(6_000) + 250_000)), Some(at(seconds(7_000)))];
    for from in moments {
        for until in moments {
            let all = AuditQuery { from, until, ..AuditQuery::default() };
            let some = |text: &str| Some(text.to_owned());
            for what in [
                all.clone(),
                AuditQuery { account: Some(user(7)), ..all.clone() },
                AuditQuery { account: Some(user(14)), among: Among::RareAttempts, ..all.clone() },
                AuditQuery { among: Among::RareAttempts, ..all.clone() },
                AuditQuery { ip: some("192.0.2.3"), outcome: some("limited"), ..all.clone() },
                AuditQuery { event: some("sign_in"), ..all.clone() },
                AuditQuery { outcome: some("admitted"), without_chains: true, ..all.clone() },
            ] {
                for limit in [0, 1, 40, 5_000] {
                    let query = AuditQuery { limit, ..what.clone() };
                    let found = store.search_audit(&query).await.unwrap();
                    let wanted = newest(&query);
                    assert_eq!(found.len(), wanted.len(), "{query:?}");
                    assert!(found == wanted, "{query:?}");
                }
            }
        }
    }
}

/// What is asked for, if anything is.
trait Asked {
    fn is_none_or_is(&self, said: &Self) -> bool;
}

impl Asked for Option<String> {
    fn is_none_or_is(&self, said: &Self) -> bool {
        self.is_none() || self == said
    }
}

async fn a_chain_goes_from_the_index_whole_and_leaves_nothing_behind(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let rows = |chain: &str| -> Vec<AuditRow> {
        let row = |n: i64| {
            let account = format!("user{n}\u{0}@example.org");
            let mut row =
                audit_row(chain, n, at(n * 1_000), "login", [Some(&account), Some("192.0.2.1"), None]);
            row = AuditRow::read(chain, &row.json).unwrap();
            assert_eq!(
                row.account,
                Some(format!("user{n}\u{fffd}@example.org")),
                "as PostgreSQL can keep it"
            );
            row
        };
        (1..=2_500).map(row).collect()
    };
    for expire in [false, true] {
        for chain in ["gone", "stays"] {
            let added = store.index_audit(0, &mark(chain, 9), &rows(chain)).await.unwrap();
            assert!(added || chain == "stays");
        }
        if expire {
            store.expire_audit_chain("gone").await.unwrap();
        } else {
            store.forget_audit_index("gone").await.unwrap();
        }
        assert_eq!(store.audit_marks().await.unwrap(), [mark("stays", 9)]);
        let all = AuditQuery { limit: 10_000, ..AuditQuery::default() };
        assert!(store.search_audit(&all).await.unwrap() == rows("stays"));
        let left = "SELECT COUNT(*) FROM audit_keys WHERE block NOT IN (SELECT number FROM audit_blocks)";
        let left: i64 = match &store {
            Store::Sqlite(pool, _) => sqlx::query_scalar(left).fetch_one(pool).await.unwrap(),
            Store::Postgres(pool) => sqlx::query_scalar(left).fetch_one(pool).await.unwrap(),
        };
        assert_eq!(left, 0, "keys of blocks that are gone");
    }
}

async fn an_index_that_is_being_taken_away_is_added_to_by_nobody(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let rows: Vec<_> =
        (1..=9_000).map(|n| audit_row("one", n, at(n * 1_000), "login", [Some("ada"), None, None])).collect();
    let found = async || {
        store.search_audit(&AuditQuery { limit: 10_000, ..AuditQuery::default() }).await.unwrap().len()
    };
    let mut patience = Duration::from_millis(1);
    loop {
        assert!(store.index_audit(0, &mark("one", 900), &rows).await.unwrap());
        // It takes several transactions. Whoever does it may be gone before the last.
        while found().await == rows.len() {
            let _ = tokio::time::timeout(patience, store.forget_audit_index("one")).await;
            patience += patience / 4;
        }
        if found().await > 0 {
            break;
        }
        patience /= 2;
    }
    let there = store.audit_marks().await.unwrap();
    let [void] = &there[..] else { panic!("{there:?}") };
    assert_eq!(void.position, 0);
    assert!(!void.tail.starts_with(b"{"), "whoever reads the file sees that this is not what was indexed");
    assert!(!store.index_audit(900, &mark("one", 901), &rows[..1]).await.unwrap(), "who had begun before");
    store.forget_audit_index("one").await.unwrap();
    assert_eq!(store.audit_marks().await.unwrap(), []);
    assert_eq!(found().await, 0);
}

async fn a_record_that_stands_twice_in_a_file_stops_no_index(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let row = |n: i64| audit_row("one", n, at(n), "stopped", [None; 3]);
    let rows: Vec<_> = (1..=32).chain([32, 32]).chain(1..=32).chain([33]).map(row).collect();
    assert!(store.index_audit(0, &mark("one", 100), &rows).await.unwrap());
    assert_eq!(store.search_audit(&AuditQuery::default()).await.unwrap().len(), rows.len());
    store.expire_audit_chain("one").await.unwrap();
    assert_eq!(store.search_audit(&AuditQuery::default()).await.unwrap(), []);
}

async fn the_index_of_the_version_before_is_made_anew(database: Database) {
    const UNDO: &str = "DROP TABLE audit_blocks; DROP TABLE audit_keys;
                        CREATE TABLE audit_records (chain TEXT, sequence INTEGER, json TEXT);
                        INSERT INTO audit_records VALUES ('one', 1, '{}');
                        DELETE FROM _sqlx_migrations WHERE version = 15";
    let store = Store::open(&database).await.unwrap();
    assert!(store.index_audit(0, &mark("one", 100), &[]).await.unwrap());
    match &store {
        Store::Sqlite(pool, _) => drop(pool.execute(sqlx::raw_sql(UNDO)).await.unwrap()),
        Store::Postgres(pool) => drop(pool.execute(sqlx::raw_sql(UNDO)).await.unwrap()),
    }
    store.close().await;
    let store = Store::open(&database).await.unwrap();
    assert_eq!(store.audit_marks().await.unwrap(), [], "all is read again from the files");
    assert_eq!(store.search_audit(&AuditQuery::default()).await.unwrap(), []);
}

async fn an_index_mark_moves_from_where_it_is_only(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let row = |sequence| audit_row("one", sequence, at(sequence), "stopped", [None; 3]);
    let indexed = all_at_once(8, |_| {
        let (store, rows) = (store.clone(), [row(1), row(2)]);
        async move { store.index_audit(0, &mark("one", 100), &rows).await.unwrap() }
    })
    .await;
    assert_eq!(indexed.into_iter().filter(|done| *done).count(), 1);
    assert!(!store.index_audit(50, &mark("one", 200), &[row(3)]).await.unwrap());
    assert!(store.index_audit(100, &mark("one", 200), &[row(2), row(3)]).await.unwrap(), "2 is left alone");
    assert_eq!(store.audit_marks().await.unwrap(), [mark("one", 200)]);
    assert_eq!(store.search_audit(&AuditQuery::default()).await.unwrap(), [row(1), row(2), row(3)]);

    store.forget_audit_index("one").await.unwrap();
    assert_eq!(store.audit_marks().await.unwrap(), []);
    assert_eq!(store.search_audit(&AuditQuery::default()).await.unwrap(), []);
    assert!(store.index_audit(0, &mark("one", 100), &[row(1)]).await.unwrap());
}

async fn what_was_confirmed_is_there_after_reopening(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    let row = app_password(ada, "abcd");
    store.insert_app_password(&row, 20).await.unwrap();
    // Another one that sees what this one wrote while both are open, as a command beside `serve` does.
    let beside = Store::open(&database).await.unwrap();
    assert_eq!(beside.app_passwords(ada).await.unwrap(), std::slice::from_ref(&row));
    assert!(beside.delete_app_password(ada, row.id).await.unwrap());
    assert_eq!(store.app_passwords(ada).await.unwrap(), []);
    store.close().await;
    assert!(matches!(store.accounts().await, Err(StoreError::Unavailable(_))), "closed");
    beside.close().await;
    let again = Store::open(&database).await.unwrap();
    assert_eq!(standing(&again, "ada").await.account.id, ada);
}

async fn many_processes_may_open_a_new_database_at_once(database: Database) {
    all_at_once(8, |n| {
        let database = database.clone();
        async move {
            let store = Store::open(&database).await.unwrap();
            add(&store, &format!("ada{n}")).await;
        }
    })
    .await;
    assert_eq!(Store::open(&database).await.unwrap().accounts().await.unwrap().len(), 8);
}

async fn a_chain_without_its_file_is_anothers_only_where_the_database_is_shared(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let key = Arc::new(SiteKey::from_bytes([7; 32]));
    let gates = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    for gate in &gates {
        let settings = Audit {
            directory: gate.path().to_owned(),
            when_full: WhenFull::Refuse,
            retention: None,
            reserve: 0,
        };
        let clock = Arc::new(SystemClock::start());
        let trail = audit::Audit::open(&settings, store.clone(), Arc::clone(&key), clock).await.unwrap();
        trail.close().await;
    }
    let [here, there] = &gates;
    let report = audit::verify(here.path(), &store, &key).await.unwrap();
    assert_eq!(report.is_sound(), store.is_shared(), "{report:?}");
    if store.is_shared() {
        let notes: Vec<_> = report.chains.iter().flat_map(|chain| &chain.notes).collect();
        let [audit::Note::Elsewhere { place }] = notes[..] else { panic!("{notes:?}") };
        assert!(place.ends_with(there.path().to_str().unwrap()), "{place}");
    }
    // Its own file that is gone is missed on either, and so is a place that somebody made up.
    let file = std::fs::read_dir(here.path()).unwrap().next().unwrap().unwrap().path();
    std::fs::remove_file(file).unwrap();
    let missed = || async {
        let report = audit::verify(here.path(), &store, &key).await.unwrap();
        let problems: Vec<_> = report.chains.into_iter().flat_map(|chain| chain.problems).collect();
        problems.iter().filter(|problem| **problem == audit::Problem::FileMissing { head: 2 }).count()
    };
    assert_eq!(missed().await, if store.is_shared() { 1 } else { 2 });
    const MOVE_AWAY: &str = "UPDATE audit_heads SET place = 'nowhere:/'";
    match &store {
        Store::Sqlite(pool, _) => drop(pool.execute(MOVE_AWAY).await.unwrap()),
        Store::Postgres(pool) => drop(pool.execute(MOVE_AWAY).await.unwrap()),
    }
    assert_eq!(missed().await, 2);
}

async fn of_many_who_claim_the_key_check_one_does(database: Database) {
    let store = Store::open(&database).await.unwrap();
    assert_eq!(store.key_check().await.unwrap(), None);
    let claimed = all_at_once(8, |n| {
        let store = store.clone();
        async move { store.claim_key_check(&[n as u8; 32]).await.unwrap() }
    })
    .await;
    assert!(claimed.iter().all(|check| *check == claimed[0]));
    assert_eq!(store.key_check().await.unwrap().as_ref(), claimed.first());
}

/// Where PostgreSQL has few rows it reads them all whatever indexes there are; SQLite plans alike for any number.
const MANY_ROWS: &str = "
    INSERT INTO accounts (id, address, upstream, state, must_bind, created_at)
        SELECT gen_random_uuid(), 'user' || n || '@example.org', 'legacy', 'active', FALSE, now()
        FROM generate_series(1, 10000) AS n;
    INSERT INTO factors (id, account, kind, secret, bound_at) SELECT id, id, 'totp', '', now() FROM accounts;
    INSERT INTO app_passwords (id, account, label, name, kdf, proof, public_key, sealed_version, upstream,
                               protocols, networks, created_at, mac)
        SELECT id, id, 'abcd', '', '', '', '', 1, 'legacy', '', '', now(), '' FROM accounts;
    INSERT INTO audit_blocks SELECT n, 'chain' || n % 100, n, '' FROM generate_series(1, 20000) AS n;
    INSERT INTO audit_keys SELECT hashint8(n / 3), n FROM generate_series(1, 20000) AS n;
    INSERT INTO audit_heads SELECT 'chain' || n, '', 1, '', '' FROM generate_series(1, 10000) AS n;
    INSERT INTO audit_marks SELECT 'chain' || n, 1, '' FROM generate_series(1, 10000) AS n;
    INSERT INTO nodes SELECT id, 0 FROM accounts;
    INSERT INTO portal_sessions (id, token, account, step, began_at, seen_at, expires_at, address, mac)
        SELECT id, id::text::bytea, id, 'in', now(), now(), now() + random() * interval '1 day', '', '' FROM accounts;
    INSERT INTO portal_kept SELECT id, 'offer', 'totp', '' FROM portal_sessions;
    INSERT INTO trusted_devices (id, account, token, address, trusted_at, expires_at, last_used_at, mac)
        SELECT id, id, id::text::bytea, '', now(), now() + random() * interval '1 day', now(), '' FROM accounts;
    INSERT INTO profiles
        SELECT id::text::bytea, id, id, now(), now() + random() * interval '1 day', '' FROM accounts;
    INSERT INTO recovery_codes SELECT id, id::text::bytea, now(), NULL FROM accounts;
    INSERT INTO outbox
        -- In the order in which they were made, as they are: what the planner thinks of anything else is a toss-up.
        SELECT id, id, '', '', now() - row_number() OVER () * interval '8 seconds',
               now() + row_number() OVER () * interval '8 seconds', 1, ''
        FROM accounts;
    INSERT INTO told SELECT id, 'kind', now() FROM accounts;
    INSERT INTO known_browsers SELECT id, id::text::bytea, now() - random() * interval '1 day' FROM accounts;
    INSERT INTO enrolment_links
        SELECT id, id::text::bytea, now(), now() + random() * interval '1 day', '' FROM accounts;
    INSERT INTO mail_codes
        SELECT id, id, id::text, now() - random() * interval '1 day', 0 FROM accounts;
    INSERT INTO clients_seen SELECT id, 'Foxmail', now() - random() * interval '1 day' FROM accounts;
    INSERT INTO used_forms SELECT id::text::bytea, now() - random() * interval '1 day' FROM accounts;
    INSERT INTO used_challenges SELECT id::text::bytea, now() + random() * interval '5 minutes' FROM accounts;
    INSERT INTO live_sessions SELECT id, id, id, 'imap', '', '', id, 'legacy', now(), 0, 0 FROM accounts;
    ANALYZE;
    SET plan_cache_mode = force_generic_plan";

async fn no_statement_reads_a_whole_table_but_those_that_list_one(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let lists = [
        "SELECT key_check FROM site",
        " FROM accounts WHERE state <> 'removed' ORDER BY address",
        " FROM accounts WHERE id IN (SELECT account FROM portal_sessions) ORDER BY address",
    ];
    let lists = |statement: &str| {
        lists.iter().any(|end| statement.ends_with(end))
            || statement.ends_with(" ORDER BY chain")
            || statement.ends_with(" = app_password ORDER BY since, live_sessions.id")
            // as many rows as there are gates
            || statement.starts_with("DELETE FROM nodes WHERE beat <")
            || statement.starts_with("SELECT COUNT(*) FROM nodes WHERE beat >=")
            // ten thousand at most, and those who are beyond are counted from the youngest
            || statement.starts_with("DELETE FROM outbox WHERE id IN (SELECT id FROM outbox ORDER BY")
    };
    let mut postgres = match &store {
        Store::Sqlite(..) => None,
        Store::Postgres(pool) => Some(pool.acquire().await.unwrap()),
    };
    if let Some(connection) = &mut postgres {
        connection.execute(sqlx::raw_sql(MANY_ROWS)).await.unwrap();
    }
    for (number, statement) in statements().enumerate() {
        let plan: Vec<String> = match (&store, &mut postgres) {
            (Store::Sqlite(pool, _), _) => {
                let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
                sqlx::query(explain)
                    .fetch_all(pool)
                    .await
                    .unwrap()
                    .iter()
                    .map(|row| row.get("detail"))
                    .collect()
            }
            (Store::Postgres(_), Some(connection)) => {
                let parameters = (1..40).filter(|n| statement.contains(&format!("${n}"))).count();
                let nulls = vec!["NULL"; parameters].join(", ");
                let call = if nulls.is_empty() { String::new() } else { format!("({nulls})") };
                let prepare = AssertSqlSafe(format!("PREPARE s{number} AS {statement}"));
                connection.execute(sqlx::raw_sql(prepare)).await.unwrap();
                let explain = AssertSqlSafe(format!("EXPLAIN EXECUTE s{number}{call}"));
                let rows = connection.fetch_all(sqlx::raw_sql(explain)).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
            (Store::Postgres(_), None) => unreachable!(),
        };
        let whole = plan.iter().any(|step| step.contains("SCAN ") || step.contains("Seq Scan"));
        assert!(lists(statement) || !whole, "{statement}\n{}", plan.join("\n"));
    }
}

async fn a_change_under_a_live_session_leaves_a_row_and_nothing_else_does(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let (ada, bob) = (add(&store, "ada").await, add(&store, "bob").await);
    let (first, second) = (app_password(ada, "abcd"), app_password(ada, "efgh"));
    for row in [&first, &second] {
        store.insert_app_password(row, 20).await.unwrap();
    }
    store.record_uses(&[used(ada, Some(first.id), at(9))]).await.unwrap();
    store.set_account_state(ada, AccountState::Active).await.unwrap();
    add(&store, "ada").await;
    assert_eq!(store.changes_from(0).await.unwrap(), [], "nothing happened that ends a session");

    let mut heard = 0;
    let mut news = async || {
        let rows = store.changes_from(heard + 1).await.unwrap();
        heard = rows.last().map_or(heard, |row| row.seq);
        assert!(rows.iter().all(|row| row.account == ada && row.session.is_none()), "{rows:?}");
        rows.into_iter().map(|row| row.reason).collect::<Vec<_>>()
    };
    let because = |word: &str| Some(word.to_owned());
    store.set_account_state(ada, AccountState::Suspended).await.unwrap();
    assert_eq!(news().await, [because("suspended")]);
    store.set_account_state(ada, AccountState::Active).await.unwrap();
    assert_eq!(news().await, [None]);
    let one = factor(ada, 1);
    store.insert_factor(&one, MOST).await.unwrap();
    assert_eq!(news().await, [because("factor_bound")]);
    store.take_back_factor(&one, true).await.unwrap();
    assert_eq!(news().await, [None, None], "it is gone, and one must bind again");
    let next = AppPasswordRecord { sealed_version: 2, mac: vec![5; 32], ..first.clone() };
    assert!(store.reseal_app_password(&next).await.unwrap());
    assert_eq!(news().await, [None]);
    assert!(store.delete_app_password(ada, first.id).await.unwrap());
    assert_eq!(news().await, [None]);
    store.insert_factor(&one, MOST).await.unwrap();
    store.unbind_factors(ada, (None, None), (true, false)).await.unwrap();
    let gone = [because("factor_bound"), None, None, None];
    assert_eq!(news().await, gone, "bound, not bound any more, and its last app password gone");
    let last = AppPasswordRecord { sealed_at: Some(at(1)), ..app_password(ada, "ijkm") };
    store.insert_app_password(&last, 20).await.unwrap();
    let upstream = last.upstream.clone();
    let sent = SentSeal { account: ada, app_password: last.id, upstream, version: last.sealed_version };
    assert_eq!(store.mark_stale(&sent, at(2), at(3)).await.unwrap().len(), 1);
    assert_eq!(news().await, [None], "what is sealed is not sent any more");
    assert_eq!(store.clear_stale(&sent, at(4)).await.unwrap().len(), 1);
    assert_eq!(news().await, [None], "and is again");
    let elsewhere = UpstreamName("elsewhere".into());
    for bound in [Some(&elsewhere), None] {
        assert!(store.set_bound_upstream(ada, bound).await.unwrap());
        assert_eq!(news().await, [None], "it is somewhere else now");
        assert!(store.set_bound_upstream(ada, bound).await.unwrap());
        assert_eq!(news().await, [], "where it was already");
    }
    store.remove_account(ada).await.unwrap();
    assert_eq!(news().await, [because("removed"), None], "and its app password");
    assert_eq!(store.standing(&address("bob")).await.unwrap().unwrap().account.id, bob);
}

async fn a_change_that_is_undone_leaves_no_row(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    let suspend = "UPDATE accounts SET state = 'suspended'";
    match &store {
        Store::Sqlite(pool, _) => {
            let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
            transaction.execute(suspend).await.unwrap();
        }
        Store::Postgres(pool) => {
            let mut transaction = pool.begin().await.unwrap();
            transaction.execute(suspend).await.unwrap();
        }
    }
    assert_eq!(store.changes_from(0).await.unwrap(), []);
    let session = SessionId(random::uuid(at(1)));
    store.ask_to_end_session(ada, session, "ended_by_admin").await.unwrap();
    let asked = &store.changes_from(0).await.unwrap()[0];
    assert_eq!((asked.session, asked.reason.as_deref()), (Some(session), Some("ended_by_admin")));
}

/// Why whoever reads them looks back.
async fn changes_become_visible_out_of_order_in_postgres_only(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let (ada, bob) = (add(&store, "ada").await, add(&store, "bob").await);
    let Store::Postgres(pool) = &store else { return };
    let mut slow = pool.begin().await.unwrap();
    slow.execute("UPDATE accounts SET state = 'suspended' WHERE address LIKE 'ada%'").await.unwrap();
    store.set_account_state(bob, AccountState::Suspended).await.unwrap();
    let [later] = &store.changes_from(0).await.unwrap()[..] else { panic!("one is not committed") };
    assert_eq!(later.account, bob);
    slow.commit().await.unwrap();
    let [earlier, _] = &store.changes_from(0).await.unwrap()[..] else { panic!("both are") };
    assert!(earlier.account == ada && earlier.seq < later.seq);
}

async fn a_list_of_sessions_is_kept_by_nodes_that_live(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    let row = app_password(ada, "abcd");
    store.insert_app_password(&row, 20).await.unwrap();
    let [here, there] = [1, 2].map(|n| NodeId(uuid::Uuid::from_u128(n)));
    let session = |n: u128, app_password: Option<AppPasswordId>| LiveSession {
        id: SessionId(uuid::Uuid::from_u128(n)),
        account: ada,
        protocol: Protocol::Imap,
        client: ClientAddress::new([192, 0, 2, 1].into()),
        program: Some("Fox\0mail".to_owned()),
        app_password,
        upstream: upstream(),
        since: at(n as i64),
        bytes_from_client: 1,
        bytes_to_client: u64::MAX,
    };
    let (first, second) = (session(1, Some(row.id)), session(2, None));
    let one = std::slice::from_ref::<LiveSession>;
    assert!(!store.write_sessions(here, one(&first), &[], &[]).await.unwrap(), "unknown node");
    for node in [here, there] {
        store.enlist_node(node).await.unwrap();
    }
    for _ in 0..2 {
        assert!(store.write_sessions(here, one(&first), &[], &[]).await.unwrap(), "twice is once");
    }
    assert!(store.write_sessions(there, one(&second), &[], &[]).await.unwrap());
    let listed = store.live_sessions(None).await.unwrap();
    assert_eq!(
        listed.iter().map(|one| one.id).collect::<Vec<_>>(),
        [first.id, second.id],
        "the longest first"
    );
    assert_eq!((listed[0].label.as_deref(), listed[0].name.as_deref()), (Some("abcd"), Some("Foxmail")));
    assert_eq!((listed[0].address.as_str(), listed[0].bytes_to_client), ("ada@example.org", i64::MAX));
    assert_eq!(store.live_sessions(Some(ada)).await.unwrap(), listed);
    assert_eq!(store.live_sessions(Some(AccountId(random::uuid(at(1))))).await.unwrap(), []);

    let moved = LiveSession { bytes_to_client: 5, ..first.clone() };
    assert!(store.write_sessions(here, &[], &[moved], &[]).await.unwrap());
    assert_eq!(store.live_session(first.id).await.unwrap().unwrap().bytes_to_client, 5);
    assert!(store.write_sessions(here, &[], &[], &[first.id]).await.unwrap());
    assert_eq!(store.live_session(first.id).await.unwrap(), None);

    let run = async |statement: &'static str| match &store {
        Store::Sqlite(pool, _) => drop(pool.execute(statement).await.unwrap()),
        Store::Postgres(pool) => drop(pool.execute(statement).await.unwrap()),
    };
    run("UPDATE nodes SET beat = beat - 19").await;
    assert!(store.write_sessions(here, &[first], &[], &[]).await.unwrap());
    store.forget_dead_nodes().await.unwrap();
    assert_eq!(store.live_sessions(None).await.unwrap().len(), 2);
    run("UPDATE nodes SET beat = beat - 50 WHERE beat < unixepoch() - 10").await;
    assert_eq!(store.live_sessions(None).await.unwrap().len(), 1, "the other node is dead");
    store.forget_dead_nodes().await.unwrap();
    assert!(!store.write_sessions(there, &[], &[], &[]).await.unwrap());
    store.forget_node(here).await.unwrap();
    assert_eq!(store.live_sessions(None).await.unwrap(), []);
}

/// Else two that change the same rows in another order would wait for each other.
async fn changes_to_rows_of_an_account_wait_for_the_account_first(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    let row = app_password(ada, "abcd");
    store.insert_app_password(&row, 20).await.unwrap();
    store.record_uses(&[used(ada, Some(row.id), at(9))]).await.unwrap();
    let Store::Postgres(pool) = &store else { return }; // SQLite has one lock for all

    let mut holder = pool.begin().await.unwrap();
    holder.execute("SELECT id FROM accounts FOR UPDATE").await.unwrap();
    let earlier = [used(ada, Some(row.id), at(5)), used(ada, Some(row.id), at(9))];
    let (uses, mark, revoke, refused) = (store.clone(), store.clone(), store.clone(), sent(&row));
    let waiting = [
        tokio::spawn(async move { uses.record_uses(&earlier).await.map(drop) }),
        tokio::spawn(async move { mark.mark_stale(&refused, at(50), at(60)).await.map(drop) }),
        tokio::spawn(async move { revoke.delete_app_passwords(ada).await.map(drop) }),
    ];
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(waiting.iter().all(|task| !task.is_finished()));
    holder.execute("SELECT id FROM app_passwords FOR UPDATE NOWAIT").await.unwrap();
    holder.rollback().await.unwrap();
    for task in waiting {
        task.await.unwrap().unwrap();
    }
    assert_eq!(store.app_passwords(ada).await.unwrap(), []);
}

async fn a_database_of_a_newer_version_is_left_alone_and_told(database: Database) {
    const NEWER: &str =
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                         SELECT 9999, 'newer', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
    let store = Store::open(&database).await.unwrap();
    match &store {
        Store::Sqlite(pool, _) => drop(pool.execute(NEWER).await.unwrap()),
        Store::Postgres(pool) => drop(pool.execute(NEWER).await.unwrap()),
    }
    store.close().await;
    let error = Store::open(&database).await.err().unwrap();
    assert!(error.to_string().contains("hint: another version of Mailward made it"), "{error}");
}

#[test]
fn the_sqlite_files_are_nobody_elses() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("made/here/mailward.db");
    let mode =
        |name: &str| std::fs::metadata(path.with_file_name(name)).unwrap().permissions().mode() & 0o777;
    block_on(async {
        let store = Store::open(&Database::Sqlite(path.clone())).await.unwrap();
        add(&store, "ada").await;
        for name in ["mailward.db", "mailward.db-wal", "mailward.db-shm"] {
            assert_eq!(mode(name), 0o600, "{name}");
        }
        assert_eq!(mode("."), 0o700);
        store.close().await;
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        Store::open(&Database::Sqlite(path.clone())).await.unwrap();
        assert_eq!(mode("mailward.db"), 0o600, "a copy that was restored carelessly");
    });
}

#[test]
fn what_root_makes_belongs_to_whom_the_directory_belongs() {
    let directory = tempfile::tempdir().unwrap();
    if chown(directory.path(), Some(65534), Some(65534)).is_err() {
        return; // only root can make things that are not its own
    }
    let path = directory.path().join("mailward.db");
    block_on(async {
        let store = Store::open(&Database::Sqlite(path.clone())).await.unwrap();
        add(&store, "ada").await;
        for name in ["mailward.db", "mailward.db-wal", "mailward.db-shm"] {
            assert_eq!(std::fs::metadata(path.with_file_name(name)).unwrap().uid(), 65534, "{name}");
        }
    });
}

#[test]
fn a_sqlite_file_that_cannot_be_used_says_which_and_why() {
    let directory = tempfile::tempdir().unwrap();
    let garbage = directory.path().join("garbage.db");
    std::fs::write(&garbage, [b'x'; 8192]).unwrap();
    let below_a_file = garbage.join("mailward.db");
    block_on(async {
        let error = Store::open(&Database::Sqlite(garbage)).await.err().unwrap();
        assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
        let error = Store::open(&Database::Sqlite(below_a_file)).await.err().unwrap();
        assert!(matches!(error, StoreError::Open { .. }), "{error:?}");
        assert!(error.to_string().contains("garbage.db/mailward.db"), "{error}");
    });
}

#[test]
fn a_locked_sqlite_file_is_unavailable_for_writing_and_still_read() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::Sqlite(directory.path().join("mailward.db"));
    block_on(async {
        let store = Store::open(&database).await.unwrap();
        add(&store, "ada").await;
        let Store::Sqlite(pool, _) = Store::open(&database).await.unwrap() else { unreachable!() };
        let lock = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
        let refused = store.add_account(&address("bob"), &upstream(), at(1)).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        assert_eq!(store.accounts().await.unwrap().len(), 1);
        drop(lock);
        add(&store, "bob").await;
    });
}

#[test]
fn a_postgres_that_is_not_there_is_unavailable_soon_and_its_password_is_not_told() {
    let canary = "s3cr3t-canary";
    let nobody_listens = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    for url in [
        format!("postgres://mailward:{canary}@127.0.0.1:{nobody_listens}/mailward"),
        format!("postgres://mailward:{canary}@127.0.0.1:{silent_port}/mailward"),
        format!("postgres://mailward:{canary}@127.0.0.1:port/mailward"),
        format!("postgres://mailward:x?{canary}@127.0.0.1/mailward"),
        format!("postgres://mailward@127.0.0.1/mailward?passwort={canary}"),
    ] {
        let begun = std::time::Instant::now();
        let error = block_on(Store::open(&Database::Postgres(url))).err().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(8));
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        let mut told = format!("{error:?}");
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = cause {
            told += &error.to_string();
            cause = error.source();
        }
        assert!(!told.contains(canary), "{told}");
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(work)
}

/// Starts `work(0..n)` as tasks of their own, and returns what they returned.
async fn all_at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    n: usize,
    work: impl Fn(usize) -> F,
) -> Vec<T> {
    let tasks: Vec<_> = (0..n).map(|i| tokio::spawn(work(i))).collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

fn statement_text(statement: &'static str) -> sqlx::SqlStr {
    sqlx::SqlSafeStr::into_sql_str(statement)
}

/// The moment `micros` microseconds after the beginning of 2026.
fn at(micros: i64) -> Timestamp {
    let start = Timestamp::from_unix_seconds(1_767_225_600).date_time();
    Timestamp::new(start + time::Duration::microseconds(micros))
}

fn address(local: &str) -> Address {
    Address::parse(&format!("{local}@example.org")).unwrap()
}

fn upstream() -> UpstreamName {
    UpstreamName("legacy".to_owned())
}

async fn add(store: &Store, local: &str) -> AccountId {
    store.add_account(&address(local), &upstream(), at(1)).await.unwrap().0.id
}

async fn standing(store: &Store, local: &str) -> mailward::store::Standing {
    store.standing(&address(local)).await.unwrap().unwrap()
}

fn factor(account: AccountId, bound: i64) -> FactorRecord {
    FactorRecord {
        id: FactorId(random::uuid(at(bound))),
        account,
        kind: "totp".to_owned(),
        name: String::new(),
        detail: None,
        secret: (0..=255).collect(),
        bound_at: at(bound),
        last_step: None,
        last_used_at: None,
    }
}

fn app_password(account: AccountId, label: &str) -> AppPasswordRecord {
    AppPasswordRecord {
        id: AppPasswordId(random::uuid(at(1))),
        account,
        label: label.to_owned(),
        name: "Foxmail".to_owned(),
        kdf: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA".to_owned(),
        proof: vec![1; 32],
        public_key: vec![2; 32],
        sealed: Some(vec![3; 64]),
        sealed_version: 1,
        upstream: upstream(),
        protocols: "imap,smtp".to_owned(),
        networks: "192.0.2.0/24".to_owned(),
        expires_at: Some(at(1_000_000)),
        created_at: at(1),
        last_used_at: None,
        last_used_address: None,
        last_used_program: None,
        mac: vec![4; 32],
        sealed_at: Some(at(1)),
        stale_since: None,
        probes: 0,
        next_probe_at: None,
    }
}

fn used(account: AccountId, app_password: Option<AppPasswordId>, at: Timestamp) -> Use {
    Use { account, app_password, at, address: "192.0.2.1".to_owned(), program: None }
}

fn mark(chain: &str, position: i64) -> AuditMark {
    AuditMark { chain: chain.to_owned(), position, tail: vec![0, 10, 255] }
}

/// A server of this test's own; it ends when its standard input does.
struct PostgresServer {
    process: Child,
    url: String,
    _directory: TempDir,
}

impl PostgresServer {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/servers/postgres");
        let mut process = Command::new(script)
            .arg("--dir")
            .arg(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{script}: {error}"));
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told: serde_json::Value =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("PostgreSQL did not start; see above"));
        Self { process, url: told["url"].as_str().unwrap().to_owned(), _directory: directory }
    }

    async fn fresh_database(&self, name: &str) -> Database {
        let name = name.get(..60).unwrap_or(name); // PostgreSQL's names have 63 bytes
        let mut connection = sqlx::PgConnection::connect(&self.url).await.unwrap();
        connection.execute(AssertSqlSafe(format!("CREATE DATABASE \"{name}\""))).await.unwrap();
        connection.close().await.unwrap();
        let (server, _) = self.url.rsplit_once('/').unwrap();
        Database::Postgres(format!("{server}/{name}"))
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
