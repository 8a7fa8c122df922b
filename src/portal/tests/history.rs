//! What its owner sees of an account's past.

use super::*;
use crate::audit::event::{Event, Ground, RefusedLogins};
use crate::portal::{Attempt, Way};

impl Site {
    async fn attempts(&self, visit: &Visit) -> Vec<Attempt> {
        self.portal.attempts(visit.inside().unwrap()).await.unwrap()
    }

    /// Browsers, where they were, and whether they are in.
    async fn browsers(&self, visit: &Visit) -> Vec<(Option<String>, String, bool)> {
        let overview = self.portal.overview(visit.inside().unwrap()).await.unwrap();
        let told = overview.browsers.into_iter();
        told.map(|one| (one.browser, one.address, one.session.is_some())).collect()
    }
}

fn imap() -> Way {
    Way::Mail { protocol: Protocol::Imap, app_password: None }
}

#[tokio::test]
async fn what_was_tried_is_told_once_for_each_way_with_its_ground_and_how_often() {
    let site = Site::open().await;
    let visit = site.inside(ALICE).await;
    site.clock.advance(Duration::from_secs(1));
    assert!(site.sign_in(ALICE, "guess", None).await.is_err());
    for ended in [Err(Ground::AppPasswordNeeded), Ok(()), Err(Ground::SameAgain), Ok(())] {
        site.mail_login("Foxmail 7.2", ended).await;
    }
    let counted = RefusedLogins {
        ip: None,
        network: Some("192.0.2.9/32".to_owned()),
        account: Some(ALICE.to_owned()),
        outcome: Outcome::Limited,
        count: 41,
        since: site.clock.now(),
    };
    site.record(Event::RefusedLogins(counted)).await;
    let attempts = site.attempts(&visit).await;
    let told: Vec<_> =
        attempts.iter().map(|one| (one.way.clone(), one.outcome, one.ground, one.count)).collect();
    assert_eq!(
        told,
        [
            (Way::Counted, Outcome::Limited, None, 41),
            (imap(), Outcome::Admitted, None, 2),
            (imap(), Outcome::Refused, Some(Ground::SameAgain), 1),
            (imap(), Outcome::Refused, Some(Ground::AppPasswordNeeded), 1),
            (Way::Portal, Outcome::Refused, Some(Ground::WrongPassword), 1),
            (Way::Portal, Outcome::Admitted, None, 1),
        ]
    );
    assert_eq!(attempts[0].from.as_deref(), Some("192.0.2.9/32"));
    assert_eq!(
        (attempts[1].from.as_deref(), attempts[1].program.as_deref()),
        (Some("192.0.2.9"), Some("Foxmail 7.2"))
    );
    let others = site.inside(BOB).await;
    assert_eq!(site.attempts(&others).await.len(), 1, "his own sign-in");
}

#[tokio::test]
async fn a_client_that_comes_all_day_hides_no_refusal_and_neither_do_many_clients() {
    let site = Site::open().await;
    let visit = site.inside(ALICE).await;
    site.mail_login("Outlook", Err(Ground::WrongPassword)).await;
    for n in 0..300 {
        site.mail_login(&format!("client {}", n % 30), Ok(())).await;
    }
    let attempts = site.attempts(&visit).await;
    let let_in = attempts.iter().filter(|one| one.way == imap() && one.outcome == Outcome::Admitted);
    assert_eq!(let_in.count(), 10);
    let refused: Vec<_> = attempts.iter().filter_map(|one| one.ground).collect();
    assert_eq!(refused, [Ground::WrongPassword]);
    assert!(attempts.is_sorted_by_key(|one| std::cmp::Reverse(one.at)), "the latest first");
}

#[tokio::test]
async fn a_flood_of_wrong_passwords_hides_neither_who_signed_in_nor_which_clients_did() {
    let site = Site::open().await;
    let visit = site.inside(ALICE).await;
    site.mail_login("Foxmail 7.2", Ok(())).await;
    for n in 0..200 {
        site.mail_login(&format!("guesser {n}"), Err(Ground::WrongPassword)).await;
    }
    let attempts = site.attempts(&visit).await;
    let told =
        |way: Way| attempts.iter().filter(|one| one.way == way && one.outcome == Outcome::Admitted).count();
    assert_eq!((told(Way::Portal), told(imap())), (1, 1));
    assert_eq!(attempts.len(), 22, "and twenty of the others");
}

#[tokio::test]
async fn browsers_of_the_last_month_are_told_whether_they_are_in_or_not() {
    let site = Site::open().await;
    let visit = site.inside(ALICE).await;
    let login = || LoginName::from_bytes(ALICE.as_bytes()).unwrap();
    let elsewhere = Browser { name: Some("Edge".to_owned()), ..browser(200) };
    site.clock.advance(Duration::from_secs(1));
    let entered = site.portal.sign_in(&elsewhere, login(), secret(MAILBOX), None).await.unwrap();
    let firefox = |host: u8, is_in| (Some("Firefox".to_owned()), format!("192.0.2.{host}"), is_in);
    let edge = |is_in| (Some("Edge".to_owned()), "192.0.2.200".to_owned(), is_in);
    assert_eq!(site.browsers(&visit).await, [edge(true), firefox(1, true)]);
    let other = site.portal.visit(entered.token, elsewhere).await.unwrap().unwrap();
    site.portal.sign_out(&other).await.unwrap();
    assert_eq!(site.browsers(&visit).await, [firefox(1, true), edge(false)]);

    // Signed out by time. It came again from another place in its network.
    let mut visit = visit;
    for days in [29, 2] {
        site.clock.advance(Duration::from_secs(86_400 * days));
        let entered = site.portal.sign_in(&browser(7), login(), secret(MAILBOX), None).await.unwrap();
        visit = site.visit(entered.token).await.unwrap();
        let expected = if days == 29 { vec![firefox(7, true), edge(false)] } else { vec![firefox(7, true)] };
        assert_eq!(site.browsers(&visit).await, expected);
    }
    assert!(site.browsers(&site.inside(BOB).await).await.len() == 1, "others see their own");
    drop(visit);
}

#[tokio::test]
async fn clients_that_used_the_mailbox_password_in_the_last_month_are_told_to_their_owner() {
    let site = Site::open().await;
    let (alice, bob) = (site.inside(ALICE).await, site.inside(BOB).await);
    site.used_mailbox_password(ALICE, &["Thunderbird", "Foxmail 7.2"]).await;
    let told = async |visit: &Visit| {
        site.portal.clients_without_app_password(visit.inside().unwrap()).await.unwrap()
    };
    assert_eq!(told(&alice).await, ["Foxmail 7.2", "Thunderbird"]);
    assert_eq!(told(&bob).await, [""; 0]);
    site.clock.advance(Duration::from_secs(30 * 86_400));
    assert_eq!(told(&alice).await.len(), 2);
    site.clock.advance(Duration::from_secs(1));
    assert_eq!(told(&alice).await, [""; 0]);
}
