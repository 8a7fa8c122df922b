//! Accounts that an administrator bound to another upstream than their domain leads to.

use super::*;

const OTHER: &str = "bob@example.org";
/// How Alice is called at the new upstream.
const ALICE_THERE: &str = "alice%example.org";

fn name(text: &str) -> UpstreamName {
    UpstreamName(text.to_owned())
}

/// Its name, whether it takes the mailbox passwords of `legacy`.
fn new_upstream(same_passwords: bool) -> config::Upstream {
    config::Upstream {
        name: name("new"),
        domains: vec![],
        default_domain: None,
        aliases: None,
        login: LoginRewrite::Template("{local}%{domain}".to_owned()),
        same_passwords_as: if same_passwords { vec![name("legacy")] } else { vec![] },
        ..upstream(&Settings::default())
    }
}

/// Where a listener leads, with the flag that says that `down` is down.
fn led(down: Option<&str>) -> Origin {
    let led = ["legacy", "new"].map(|upstream| {
        let led = Led::to(name(upstream));
        led.down.set(down == Some(upstream));
        led
    });
    Origin { reach: Reach::new(led), ..origin(Protocol::Imap, 1) }
}

impl Site {
    /// Alice was moved and has a mailbox there; Bob is where the domain leads.
    async fn with_moved(settings: Settings) -> (Self, AccountRecord) {
        let site = Self::with(settings).await;
        let alice = site.account(ALICE).await;
        site.account(OTHER).await;
        site.move_to(&alice, Some("new")).await;
        site.mailboxes.lock().unwrap().insert(ALICE_THERE.to_owned(), MAILBOX.to_owned());
        site.mailboxes.lock().unwrap().insert(OTHER.to_owned(), MAILBOX.to_owned());
        (site, alice)
    }

    async fn move_to(&self, account: &AccountRecord, upstream: Option<&str>) {
        let upstream = upstream.map(name);
        assert!(self.store.set_bound_upstream(account.id, upstream.as_ref()).await.unwrap());
        self.gate.hear_changes().await;
    }

    async fn from(&self, origin: &Origin, name: &str, password: &str) -> Ended {
        self.attempt(origin, name, password, |login| self.upstream_says(&login)).await
    }

    fn heard_last(&self) -> String {
        self.heard.lock().unwrap().last().unwrap().0.clone()
    }
}

fn refused(ended: &Ended) -> Refused {
    match ended {
        Ended::Out(refused) => *refused,
        Ended::In(_) => panic!("let in"),
    }
}

fn settings(same_passwords: bool) -> Settings {
    Settings { others: vec![new_upstream(same_passwords)], ..Settings::default() }
}

#[tokio::test]
async fn a_moved_account_logs_in_where_it_is_and_nobody_else_does() {
    let (site, alice) = Site::with_moved(settings(false)).await;
    let everywhere = led(None);
    assert!(site.from(&everywhere, "Alice@example.org", MAILBOX).await.is_in());
    assert_eq!(site.heard_last(), ALICE_THERE);
    assert_eq!(site.only_login()["upstream"], "new");
    assert!(site.from(&everywhere, OTHER, MAILBOX).await.is_in());
    assert_eq!(site.heard_last(), OTHER);
    site.move_to(&alice, None).await;
    assert!(site.from(&everywhere, ALICE, MAILBOX).await.is_in());
    assert_eq!(site.heard_last(), ALICE, "back where the domain leads");
}

/// The same wrong password is answered from memory; but the new server may take it.
#[tokio::test]
async fn what_the_old_upstream_refused_is_asked_about_at_the_new_one() {
    let site = Site::with(settings(false)).await;
    let alice = site.account(ALICE).await;
    let refused = site.from(&led(None), ALICE, "another password").await;
    assert_eq!(refused.refusal(), Some(Refusal::NotLetIn));
    site.mailboxes.lock().unwrap().insert(ALICE_THERE.to_owned(), "another password".to_owned());
    site.move_to(&alice, Some("new")).await;
    assert!(site.from(&led(None), ALICE, "another password").await.is_in());
}

#[tokio::test]
async fn a_session_ends_when_its_account_is_moved_and_not_when_it_is_bound_to_where_it_is() {
    let site = Site::with(settings(false)).await;
    let alice = site.account(ALICE).await;
    let Ended::In(mut passage) = site.from(&led(None), ALICE, MAILBOX).await else { panic!("not let in") };
    site.move_to(&alice, Some("legacy")).await;
    let still = tokio::time::timeout(Duration::from_millis(100), passage.ended()).await;
    assert!(still.is_err(), "it stays where it is");
    site.move_to(&alice, Some("new")).await;
    let cause = tokio::time::timeout(Duration::from_secs(5), passage.ended()).await.unwrap();
    assert_eq!(cause, Cause::UpstreamWithdrawn);
}

#[tokio::test]
async fn an_account_that_is_moved_while_its_upstream_is_asked_does_not_enter_there() {
    let site = Site::with(settings(false)).await;
    let alice = site.account(ALICE).await;
    let slowly = async |login: UpstreamLogin| {
        site.move_to(&alice, Some("new")).await;
        site.upstream_says(&login)
    };
    let ended = site.attempt_slowly(&led(None), ALICE, MAILBOX, slowly).await;
    assert_eq!(ended.refusal(), Some(Refusal::Unavailable), "the password is right all the same");
}

#[tokio::test]
async fn a_sealed_password_goes_to_another_upstream_only_if_the_administrator_says_that_it_is_good_there() {
    for same in [false, true] {
        let site = Site::with(settings(same)).await;
        let (alice, printed) = site.bound_with_app_password(ALICE).await;
        site.mailboxes.lock().unwrap().insert(ALICE_THERE.to_owned(), MAILBOX.to_owned());
        site.move_to(&alice, Some("new")).await;
        let ended = site.from(&led(None), ALICE, &printed).await;
        if same {
            assert!(ended.is_in());
            assert_eq!(site.heard_last(), ALICE_THERE);
            continue;
        }
        assert_eq!((ended.refusal(), site.asked()), (Some(Refusal::Stale), 0));
        let there = AccountRecord { upstream: name("new"), ..alice };
        site.reseal(&there, MAILBOX).await;
        assert!(site.from(&led(None), ALICE, &printed).await.is_in());
        assert_eq!(site.heard_last(), ALICE_THERE);
    }
}

#[tokio::test]
async fn what_a_refusal_says_does_not_depend_on_who_was_moved() {
    let (site, _) = Site::with_moved(settings(false)).await;
    let bound = site.bound_with_app_password("bound@example.org").await.0;
    site.move_to(&bound, Some("new")).await;
    let everybody = [ALICE, OTHER, "nobody@example.org", "bound@example.org"];
    // The new one is slow to refuse: that must not show either.
    site.gate.gate.refused_after(&name("new"), Duration::from_secs(7));
    for (down, heard) in [
        (None, Refusal::NotLetIn),
        (Some("legacy"), Refusal::Unavailable),
        (Some("new"), Refusal::Unavailable),
    ] {
        let origin = led(down);
        let mut all = Vec::new();
        for (number, name) in everybody.iter().enumerate() {
            let wrong = format!("wrong {number} {down:?}");
            all.push(refused(&site.from(&origin, name, &wrong).await));
        }
        assert!(all.iter().all(|one| *one == all[0]), "{down:?}: {all:?}");
        assert_eq!(all[0].refusal, heard, "{down:?}");
        assert!(all[0].not_before > Duration::from_secs(7), "{down:?}: {all:?}");
        assert_eq!(site.from(&origin, ALICE, MAILBOX).await.is_in(), down != Some("new"), "{down:?}");
        assert_eq!(site.from(&origin, OTHER, MAILBOX).await.is_in(), down != Some("legacy"), "{down:?}");
    }
}

#[tokio::test]
async fn behind_a_listener_that_does_not_lead_there_a_moved_account_is_none() {
    let (site, _) = Site::with_moved(settings(false)).await;
    let only = |upstream: &str| Origin { reach: Reach::new([Led::to(name(upstream))]), ..led(None) };
    let nowhere = refused(&site.from(&only("legacy"), "alice@nowhere.example", MAILBOX).await);
    assert_eq!(refused(&site.from(&only("legacy"), ALICE, MAILBOX).await), nowhere);
    assert_eq!(refused(&site.from(&only("new"), OTHER, MAILBOX).await), nowhere);
    assert!(site.from(&only("new"), ALICE, MAILBOX).await.is_in());
}

#[tokio::test]
async fn while_the_database_is_gone_a_proof_leads_to_where_the_account_was() {
    let site = Site::with(settings(true)).await;
    let (alice, printed) = site.bound_with_app_password(ALICE).await;
    site.mailboxes.lock().unwrap().insert(ALICE_THERE.to_owned(), MAILBOX.to_owned());
    site.move_to(&alice, Some("new")).await;
    assert!(site.from(&led(None), ALICE, &printed).await.is_in());
    site.gates_store.close().await;
    assert!(site.from(&led(None), ALICE, &printed).await.is_in());
    assert_eq!(site.heard_last(), ALICE_THERE);
}

#[tokio::test]
async fn under_other_rules_a_moved_session_goes_on_until_its_upstream_is_gone() {
    let (site, _) = Site::with_moved(settings(false)).await;
    let Ended::In(mut passage) = site.from(&led(None), ALICE, MAILBOX).await else { panic!("not let in") };
    let mut both = rules(settings(false));
    both.upstreams.iter_mut().for_each(|upstream| upstream.protocols = vec![Protocol::Imap]);
    assert_eq!(site.gate.adopt(both), 0);
    assert!(tokio::time::timeout(Duration::ZERO, passage.ended()).await.is_err());
    assert_eq!(site.gate.adopt(rules(Settings::default())), 1);
    assert_eq!(passage.ended().await, Cause::UpstreamWithdrawn);
}
