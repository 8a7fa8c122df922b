//! A backup mailbox: bound, asked for, guessed at, used up.

use super::*;
use crate::portal::{NotSent, Refused};

const OFFERED: &str = "[policy]\nfactors = [\"totp\", \"mailbox\"]\n\
                       [mail]\nrelay = \"127.0.0.1:25\"\ntls = \"none\"\nfrom = \"gate@example.org\"\n";
const MAIL: Question = Question::Factor(FactorKind::Mailbox);
const BACKUP: &str = "CaoShuai@163.com";

/// What was sent last.
fn sent(site: &Site) -> (String, String) {
    site.mails.sent.lock().unwrap().last().unwrap().clone()
}

async fn offered(site: &Site, visit: &Visit) -> Visit {
    let fresh = visit.inside().unwrap().fresh().unwrap();
    site.portal.offer_mailbox(fresh, None, &format!(" {BACKUP} ")).await.unwrap();
    site.again(visit).await
}

async fn confirm(site: &Site, visit: &Visit, code: &str) -> Result<Token, Refused> {
    let fresh = visit.inside().unwrap().fresh().unwrap();
    site.portal.bind(fresh, FactorKind::Mailbox, "", code).await.map(|bound| bound.token)
}

/// Alice, who has a backup mailbox.
async fn bound(site: &Site) -> Visit {
    let visit = offered(site, &site.inside(ALICE).await).await;
    site.visit(confirm(site, &visit, &sent(site).1).await.unwrap()).await.unwrap()
}

/// Alice at the second step, in a browser of her own, with a code on its way.
async fn asked(site: &Site) -> Visit {
    let entered = site.sign_in(ALICE, MAILBOX, None).await.unwrap();
    assert_eq!(entered.step, Step::SecondFactor);
    let visit = site.visit(entered.token).await.unwrap();
    site.portal.send_mail_code(&visit).await.unwrap();
    site.again(&visit).await
}

/// A code that is not `code`.
fn other(code: &str) -> &'static str {
    if code == "000000" { "000001" } else { "000000" }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_mailbox_is_bound_by_its_code_and_then_asked_for() {
    let site = Site::with(OFFERED, |_| ()).await;
    let visit = offered(&site, &site.inside(ALICE).await).await;
    assert_eq!(site.told(&visit).await, ["new_browser"]);
    let (to, code) = sent(&site);
    assert_eq!((to.as_str(), code.len()), (BACKUP, 6));
    assert_eq!(site.portal.offered_mailbox(&visit).await.unwrap().as_deref(), Some("CaoS****@163.com"));
    assert_eq!(confirm(&site, &visit, other(&code)).await.err(), Some(Refused::WrongCode));
    let token = confirm(&site, &visit, &format!("{} {}", &code[..3], &code[3..])).await.unwrap();
    assert_eq!(site.told(&visit).await, ["factor_bound"]);
    let visit = site.visit(token).await.unwrap();
    let factor = site.portal.overview(visit.inside().unwrap()).await.unwrap().factors.remove(0);
    assert_eq!((factor.kind, factor.detail.as_deref()), (FactorKind::Mailbox, Some("CaoS****@163.com")));
    let row = site.store().factors(visit.account.id).await.unwrap().remove(0);
    assert!(!row.secret.windows(3).any(|window| window == b"163"), "the address is sealed");
    let record = site.records("mail_code_sent").await.remove(0);
    assert_eq!((&record["to"], &record["by"]["ip"]), (&"CaoS****@163.com".into(), &"192.0.2.1".into()));
    assert_eq!(site.records("factor_bound").await[0]["kind"], "mailbox");

    let visit = asked(&site).await;
    assert_eq!(site.portal.asked_mailbox(&visit).await.unwrap().as_deref(), Some("CaoS****@163.com"));
    let (to, code) = sent(&site);
    assert_eq!(to, BACKUP);
    assert_eq!(site.portal.questions(&visit).await.unwrap()[0].question, MAIL);
    let entered = site.portal.answer(&visit, MAIL, &code).await.unwrap();
    assert_eq!(entered.step, Step::TrustDevice);
    assert_eq!(site.portal.answer(&visit, MAIL, &code).await.unwrap_err(), NoAnswer::Wrong, "it was used");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_answers_with_the_same_code_one_is_right() {
    let site = Site::with(OFFERED, |config| config.limits.per_account.burst = 1_000).await;
    bound(&site).await;
    let visit = asked(&site).await;
    let code = sent(&site).1;
    let answers = join_all((0..50).map(|_| site.portal.answer(&visit, MAIL, &code))).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    let heard = |answer: &Result<Entered, NoAnswer>| {
        matches!(answer, Ok(_) | Err(NoAnswer::Wrong | NoAnswer::TooMany { .. }))
    };
    assert!(answers.iter().all(heard), "the others hear no, and nothing broke: {answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_has_five_tries_and_five_minutes_and_is_good_where_it_was_asked_for() {
    let site = Site::with(OFFERED, |config| config.limits.per_account.burst = 1_000).await;
    bound(&site).await;
    let (one, code_of_one) = (asked(&site).await, sent(&site).1);
    let (another, code) = (asked(&site).await, sent(&site).1);
    if code != code_of_one {
        let crossed = site.portal.answer(&one, MAIL, &code).await.unwrap_err();
        assert_eq!(crossed, NoAnswer::Wrong, "it is another browser's");
    }
    for _ in 0..4 {
        let wrong = site.portal.answer(&another, MAIL, other(&code)).await.unwrap_err();
        assert_eq!(wrong, NoAnswer::Wrong);
    }
    site.portal.answer(&another, MAIL, &code).await.unwrap();

    let (visit, code) = (asked(&site).await, sent(&site).1);
    for _ in 0..5 {
        site.portal.answer(&visit, MAIL, other(&code)).await.unwrap_err();
    }
    let used_up = site.portal.answer(&visit, MAIL, &code).await.unwrap_err();
    assert_eq!(used_up, NoAnswer::Wrong, "five were wrong");

    site.clock.advance(Duration::from_secs(3600));
    let (visit, code) = (asked(&site).await, sent(&site).1);
    site.clock.advance(Duration::from_secs(300));
    assert_eq!(site.portal.asked_mailbox(&visit).await.unwrap(), None);
    assert_eq!(site.portal.answer(&visit, MAIL, &code).await.unwrap_err(), NoAnswer::Wrong, "it is too old");

    let visit = site.visit(site.sign_in(ALICE, MAILBOX, None).await.unwrap().token).await.unwrap();
    let unasked = site.portal.answer(&visit, MAIL, &code).await.unwrap_err();
    assert_eq!(unasked, NoAnswer::Wrong, "nothing was asked here");
    let bob = site.inside(BOB).await;
    assert!(matches!(site.portal.send_mail_code(&bob).await, Err(NotSent::Refused(Refused::NotFound))));
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_of_an_offer_are_counted_like_others() {
    let site = Site::with(OFFERED, |config| config.limits.per_account.burst = 1_000).await;
    let visit = offered(&site, &site.inside(ALICE).await).await;
    let code = sent(&site).1;
    for _ in 0..5 {
        assert_eq!(confirm(&site, &visit, other(&code)).await.err(), Some(Refused::WrongCode));
    }
    assert_eq!(confirm(&site, &visit, &code).await.err(), Some(Refused::WrongCode));
    assert!(!site.again(&visit).await.is_bound());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_mailbox_behind_the_gate_is_a_backup_and_none_where_it_is_not_offered() {
    let site = Site::with(OFFERED, |_| ()).await;
    let visit = site.inside(ALICE).await;
    let fresh = visit.inside().unwrap().fresh().unwrap();
    for ours in [ALICE, "BOB@Example.ORG", "nobody@example.org", "bob+x@example.org"] {
        assert_eq!(site.portal.offer_mailbox(fresh, None, ours).await, Err(NotSent::Ours), "{ours}");
    }
    for bad in ["", "bob", "b ob@163.com", "a@163.com\r\nbob@example.org", "a@163.com,b@163.com"] {
        assert_eq!(site.portal.offer_mailbox(fresh, None, bad).await, Err(NotSent::BadAddress), "{bad}");
    }
    assert!(site.mails.sent.lock().unwrap().is_empty());
    let site = Site::open().await;
    let visit = site.inside(ALICE).await;
    let refused = site.portal.offer_mailbox(visit.inside().unwrap().fresh().unwrap(), None, BACKUP).await;
    assert_eq!(refused, Err(NotSent::Refused(Refused::NotOffered)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_gets_five_codes_an_hour_for_an_account_and_a_relay_that_is_away_is_told() {
    let site = Site::with(OFFERED, |_| ()).await;
    let visit = site.inside(ALICE).await;
    let fresh = visit.inside().unwrap().fresh().unwrap();
    let sends = join_all((0..20).map(|_| site.portal.offer_mailbox(fresh, None, BACKUP))).await;
    assert_eq!(sends.iter().filter(|sent| sent.is_ok()).count(), 5);
    assert!(sends.iter().all(|sent| sent.is_ok() || *sent == Err(NotSent::TooMany)), "{sends:?}");
    assert_eq!(site.mails.sent.lock().unwrap().len(), 5);
    site.clock.advance(Duration::from_secs(1_500));
    let visit = site.inside(ALICE).await;
    let again = site.portal.offer_mailbox(visit.inside().unwrap().fresh().unwrap(), None, BACKUP).await;
    assert_eq!(again, Err(NotSent::TooMany));
    // Whoever has used them up has not used up those of the owner, who is elsewhere.
    for host in [77, 78, 79] {
        let token = Token::parse(&visit.token.text()).unwrap();
        let elsewhere = site.portal.visit(token, browser(host)).await.unwrap().unwrap();
        let fresh = elsewhere.inside().unwrap().fresh().unwrap();
        let sends = join_all((0..6).map(|_| site.portal.offer_mailbox(fresh, None, BACKUP))).await;
        let sent = sends.iter().filter(|sent| sent.is_ok()).count();
        assert_eq!(sent, if host < 79 { 5 } else { 0 }, "fifteen in all");
    }
    let bob = site.inside(BOB).await;
    let of_bob = bob.inside().unwrap().fresh().unwrap();
    site.portal.offer_mailbox(of_bob, None, BACKUP).await.unwrap();
    site.mails.down.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(site.portal.offer_mailbox(of_bob, None, BACKUP).await, Err(NotSent::Failed));
    site.mails.down.store(false, std::sync::atomic::Ordering::SeqCst);
    site.clock.advance(Duration::from_secs(2_200));
    site.portal.tidy_up().await;
    let alice = site.inside(ALICE).await;
    site.portal.offer_mailbox(alice.inside().unwrap().fresh().unwrap(), None, BACKUP).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_was_not_sent_takes_no_place_of_one_that_was() {
    let site = Site::with(OFFERED, |_| ()).await;
    let relay_is_down = |down| site.mails.down.store(down, std::sync::atomic::Ordering::SeqCst);
    let visit = offered(&site, &site.inside(ALICE).await).await;
    let fresh = visit.inside().unwrap().fresh().unwrap();
    relay_is_down(true);
    assert_eq!(site.portal.offer_mailbox(fresh, None, "other@163.com").await, Err(NotSent::Failed));
    let waiting = site.portal.offered_mailbox(&visit).await.unwrap();
    assert_eq!(waiting.as_deref(), Some("CaoS****@163.com"), "the one that has a code");
    confirm(&site, &visit, &sent(&site).1).await.unwrap();

    let visit = site.visit(site.sign_in(ALICE, MAILBOX, None).await.unwrap().token).await.unwrap();
    assert_eq!(site.portal.send_mail_code(&visit).await, Err(NotSent::Failed));
    assert_eq!(site.portal.asked_mailbox(&visit).await.unwrap(), None, "there is nothing to type");
    relay_is_down(false);
    site.portal.send_mail_code(&visit).await.unwrap();
    relay_is_down(true);
    assert_eq!(site.portal.send_mail_code(&visit).await, Err(NotSent::Failed));
    site.portal.answer(&visit, MAIL, &sent(&site).1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_session_that_has_ended_no_code_is_sent() {
    let site = Site::with(OFFERED, |_| ()).await;
    let visit = site.inside(ALICE).await;
    site.portal.sign_out(&visit).await.unwrap();
    let refused = site.portal.offer_mailbox(visit.inside().unwrap().fresh().unwrap(), None, BACKUP).await;
    assert!(matches!(refused, Err(NotSent::Refused(Refused::Broken(_)))), "{refused:?}");
    assert!(site.mails.sent.lock().unwrap().is_empty());
}
