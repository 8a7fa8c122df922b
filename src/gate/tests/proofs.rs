//! Proofs in memory: what they spare, and what ends them.

use super::*;
use crate::app_password::Candidate;
use crate::store::SentSeal;

#[tokio::test]
async fn a_remembered_proof_spares_argon2_and_opens_the_same_mailbox() {
    let site = Site::open().await;
    let (_, printed) = site.bound_with_app_password(ALICE).await;
    for _ in 0..5 {
        assert!(site.try_in(1, ALICE, &printed).await.is_in());
    }
    assert_eq!(site.argon2_runs(), 1);
    assert!(site.heard.lock().unwrap().iter().all(|(_, _, password)| password == MAILBOX));
    site.clock.advance(Duration::from_secs(3600));
    assert!(site.try_in(1, ALICE, &printed).await.is_in());
    assert_eq!(site.argon2_runs(), 2, "not used for an hour");
}

/// Nobody has to change a password because it is old.
#[tokio::test]
async fn an_app_password_without_an_end_is_good_for_as_long_as_it_is_there() {
    let site = Site::open().await;
    let (_, printed) = site.bound_with_app_password(ALICE).await;
    site.clock.advance(Duration::from_secs(40 * 365 * 86_400));
    assert!(site.try_in(1, ALICE, &printed).await.is_in(), "forty years later");
}

#[tokio::test]
async fn revoking_from_another_process_takes_effect_at_once() {
    let site = Site::open().await;
    let (account, printed) = site.bound_with_app_password(ALICE).await;
    assert!(site.try_in(1, ALICE, &printed).await.is_in());
    assert_eq!(site.store.delete_app_passwords(account.id).await.unwrap(), 1);
    assert_eq!(site.try_in(1, ALICE, &printed).await.refusal(), Some(Refusal::NotLetIn));
    site.gates_store.close().await;
    assert_eq!(
        site.try_in(1, ALICE, &printed).await.refusal(),
        Some(Refusal::Unavailable),
        "nor does the proof come back when the database goes"
    );
}

#[tokio::test]
async fn what_was_read_is_not_read_again_while_all_changes_have_been_heard_of() {
    let site = Site::open().await;
    let (account, printed) = site.bound_with_app_password(ALICE).await;
    site.gate.hear_changes().await;
    assert!(site.try_in(1, ALICE, &printed).await.is_in());
    // Nobody hears of a row that a trigger does not see: it shows what was read.
    let Store::Sqlite(pool, _) = &site.store else { panic!("not SQLite") };
    sqlx::query("DROP TRIGGER app_passwords_revoked").execute(pool).await.unwrap();
    assert_eq!(site.store.delete_app_passwords(account.id).await.unwrap(), 1);
    site.clock.advance(HEARD_WITHIN);
    assert!(site.try_in(1, ALICE, &printed).await.is_in(), "not read");
    site.clock.advance(Duration::from_micros(1));
    let refused = site.try_in(1, ALICE, &printed).await.refusal();
    assert_eq!(refused, Some(Refusal::NotLetIn), "nothing was heard for too long");
    site.gate.hear_changes().await;
    let refused = site.try_in(1, ALICE, &printed).await.refusal();
    assert_eq!(refused, Some(Refusal::NotLetIn), "nor is it remembered again");
}

#[tokio::test]
async fn whatever_a_login_rests_on_is_read_again_once_its_change_was_heard_of() {
    for change in ["revoked", "suspended", "unbound", "moved", "stale elsewhere", "resealed"] {
        let site = Site::open().await;
        let (account, printed) = site.bound_with_app_password(ALICE).await;
        site.gate.hear_changes().await;
        assert!(site.try_in(1, ALICE, &printed).await.is_in());
        let id = site.store.app_passwords(account.id).await.unwrap()[0].id;
        let asked = site.asked();
        match change {
            "revoked" => drop(site.store.delete_app_passwords(account.id).await.unwrap()),
            "suspended" => site.suspend(&account).await,
            "unbound" => site.unbind_factors().await,
            "moved" => {
                let elsewhere = UpstreamName("nowhere".to_owned());
                assert!(site.store.set_bound_upstream(account.id, Some(&elsewhere)).await.unwrap());
            }
            "stale elsewhere" => {
                let upstream = UpstreamName("legacy".to_owned());
                let seal = SentSeal { account: account.id, app_password: id, upstream, version: 0 };
                let (now, later) = (site.clock.now(), site.clock.now().plus(Duration::from_secs(600)));
                assert_eq!(site.store.mark_stale(&seal, now, later).await.unwrap().len(), 1);
            }
            _ => site.reseal(&account, MAILBOX).await,
        }
        site.gate.hear_changes().await;
        let candidate = Candidate::parse(&Password::new(printed.clone().into_bytes()).unwrap()).unwrap();
        assert!(site.gate.gate.recall(&account.address, &candidate).is_none(), "{change}");
        let ended = site.try_in(1, ALICE, &printed).await.refusal();
        let expected = match change {
            "revoked" => Some(Refusal::NotLetIn),
            "suspended" => Some(Refusal::Suspended),
            "moved" => Some(Refusal::Unavailable),
            "stale elsewhere" => Some(Refusal::Stale),
            _ => None,
        };
        assert_eq!(ended, expected, "{change}");
        assert_eq!(site.asked() - asked, usize::from(expected.is_none()), "{change}");
    }
}

#[tokio::test]
async fn a_seal_that_was_refused_here_is_not_sent_again_although_its_row_was_just_read() {
    let site = Site::open().await;
    let (_, printed) = site.bound_with_app_password(ALICE).await;
    site.gate.hear_changes().await;
    assert!(site.try_in(1, ALICE, &printed).await.is_in());
    site.mailboxes.lock().unwrap().insert(ALICE.to_owned(), "changed".to_owned());
    assert_eq!(site.try_in(1, ALICE, &printed).await.refusal(), Some(Refusal::Stale));
    let asked = site.asked();
    assert_eq!(site.try_in(1, ALICE, &printed).await.refusal(), Some(Refusal::Stale));
    assert_eq!(site.asked(), asked);
}

#[tokio::test]
async fn a_re_sealed_row_is_opened_anew() {
    let site = Site::open().await;
    let (account, printed) = site.bound_with_app_password(ALICE).await;
    assert!(site.try_in(1, ALICE, &printed).await.is_in());
    site.mailboxes.lock().unwrap().insert(ALICE.to_owned(), "changed".to_owned());
    site.reseal(&account, "changed").await;
    assert!(site.try_in(1, ALICE, &printed).await.is_in());
    assert_eq!(site.heard.lock().unwrap().last().unwrap().2, "changed");
}

#[tokio::test]
async fn without_the_database_a_proof_stands_for_a_minute() {
    let site = Site::open().await;
    let (_, printed) = site.bound_with_app_password(ALICE).await;
    assert!(site.try_in(1, ALICE, &printed).await.is_in());
    site.gates_store.close().await;
    site.clock.advance(Duration::from_secs(60));
    assert!(site.try_in(1, ALICE, &printed).await.is_in());
    assert_eq!(
        site.try_in(1, ALICE, &with_same_label(&printed)).await.refusal(),
        Some(Refusal::Unavailable),
        "nobody is told that a password is wrong"
    );
    site.clock.advance(Duration::from_secs(1));
    assert_eq!(site.try_in(1, ALICE, &printed).await.refusal(), Some(Refusal::Unavailable));
    assert_eq!(site.argon2_runs(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_stands_for_those_who_waited_while_the_database_went_away() {
    let mut settings = Settings::default();
    settings.limits.per_account = Rate { burst: 1, per: Duration::from_secs(600) };
    let site = Arc::new(Site::with(settings).await);
    let (_, printed) = site.bound_with_app_password(ALICE).await;
    let Decision::Admit(first) =
        site.gate.judge(&origin(Protocol::Imap, 1), credentials(ALICE, &printed)).await
    else {
        panic!("refused")
    };
    let second = {
        let (site, printed) = (Arc::clone(&site), printed.clone());
        tokio::spawn(async move { site.try_in(1, ALICE, &printed).await.refusal() })
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    site.gates_store.close().await;
    drop(first);
    assert_eq!(second.await.unwrap(), None);
}

#[tokio::test]
async fn without_the_database_a_proof_keeps_its_scope() {
    let site = Site::open().await;
    let account = site.account(ALICE).await;
    let imap_only = Scope { protocols: ProtocolSet::from_iter([Protocol::Imap]), ..anywhere() };
    let printed = site.app_password(&account, imap_only).await;
    assert!(site.try_in(1, ALICE, &printed).await.is_in());
    site.gates_store.close().await;
    let ended = site.attempt(&origin(Protocol::Smtp, 1), ALICE, &printed, |_| UpstreamSaid::Yes).await;
    assert_eq!(ended.refusal(), Some(Refusal::OutOfScope));
    let other = site.try_in(1, "bob@example.org", &printed).await;
    assert_eq!(other.refusal(), Some(Refusal::Unavailable), "it is nobody else's proof");
}

#[tokio::test]
async fn a_suspended_account_has_no_proof_left_when_the_database_goes() {
    let site = Site::open().await;
    let (account, printed) = site.bound_with_app_password(ALICE).await;
    assert!(site.try_in(1, ALICE, &printed).await.is_in());
    site.suspend(&account).await;
    assert_eq!(site.try_in(1, ALICE, &printed).await.refusal(), Some(Refusal::Suspended));
    site.gates_store.close().await;
    assert_eq!(site.try_in(1, ALICE, &printed).await.refusal(), Some(Refusal::Unavailable));
}
