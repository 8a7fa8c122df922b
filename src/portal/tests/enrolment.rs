//! Who may bind a first factor, and by what: networks, links; and what app passwords are worth before.

use super::*;
use crate::portal::{Enrolment, NewAppPassword, NoAppPassword, Refused};

const OFFICE: &str = "[policy]\nenrol_from = [\"192.0.2.0/28\"]\n";
const BY_LINK: &str = "[policy]\nenrol_by = \"link\"\n";

fn outside() -> Browser {
    Browser { address: ClientAddress::new([198, 51, 100, 9].into()), name: Some("Edge".to_owned()) }
}

/// The next request of the same browser, which is elsewhere and shows `link`.
async fn outside_with(site: &Site, visit: &Visit, link: Option<&Token>) -> Visit {
    let token = Token::parse(&visit.token.text()).unwrap();
    let visit = site.portal.visit(token, outside()).await.unwrap().unwrap();
    visit.with_link(link.and_then(|link| Token::parse(&link.text())))
}

async fn invite(site: &Site, visit: &Visit) -> Token {
    let by = site.portal.owner(&visit.from);
    site.portal.on.factors.invite(&visit.account, Duration::from_secs(3600), &by).await.unwrap().0
}

async fn enrolment(site: &Site, visit: &Visit) -> Enrolment {
    site.portal.enrolment(visit.inside().unwrap()).await.unwrap()
}

/// Tries to bind; the token of the session that goes on.
async fn bind_by(site: &Site, visit: &Visit, link: Option<&Token>) -> Result<Token, Refused> {
    let fresh = visit.inside().unwrap().fresh().unwrap();
    let offer = site.portal.offer_totp(fresh, None).await?;
    let again = outside_with(site, visit, link).await;
    let fresh = again.inside().unwrap().fresh().unwrap();
    site.portal.bind(fresh, FactorKind::Totp, "", &site.code(&raw(&offer))).await.map(|bound| bound.token)
}

#[tokio::test]
async fn a_link_lets_its_account_bind_from_anywhere_and_only_once() {
    for (rules, closed) in [(OFFICE, Enrolment::Elsewhere), (BY_LINK, Enrolment::NeedsLink)] {
        let site = Site::with(rules, |_| ()).await;
        let (alice, bob) = (site.inside(ALICE).await, site.inside(BOB).await);
        assert_eq!(site.told(&alice).await, ["new_browser"]);
        let link = invite(&site, &alice).await;
        let of_alice = outside_with(&site, &alice, None).await;
        assert_eq!(enrolment(&site, &of_alice).await, closed);
        assert_eq!(bind_by(&site, &of_alice, None).await.err(), Some(Refused::Elsewhere));
        let of_bob = outside_with(&site, &bob, Some(&link)).await;
        assert_eq!(enrolment(&site, &of_bob).await, Enrolment::LinkVoid, "it is another account's");
        assert_eq!(bind_by(&site, &of_bob, Some(&link)).await.err(), Some(Refused::Elsewhere));

        let of_alice = outside_with(&site, &alice, Some(&link)).await;
        assert_eq!(enrolment(&site, &of_alice).await, Enrolment::Open);
        let token = bind_by(&site, &of_alice, Some(&link)).await.unwrap();
        assert!(site.visit(token).await.unwrap().is_bound());
        assert_eq!(site.told(&alice).await, ["factor_bound"]);
        let [made, used] =
            [site.records("enrolment_link_made").await, site.records("enrolment_link_used").await];
        assert_eq!((made.len(), used.len()), (1, 1));
        assert_eq!((&made[0]["account"], &used[0]["by"]["kind"]), (&ALICE.into(), &"owner".into()));
        let hash = link.hash();
        assert_eq!(site.store().enrolment_link(alice.account.id, &hash).await.unwrap(), None);
        let by = site.portal.owner(&alice.from);
        let another = site.portal.on.factors.invite(&alice.account, Duration::from_secs(60), &by).await;
        assert!(matches!(another, Err(crate::factor::LinkError::Bound)), "a link is for the first one");
    }
}

#[tokio::test]
async fn a_link_ends_with_its_time_with_the_next_one_with_any_binding_and_with_the_account() {
    let site = Site::with(BY_LINK, |_| ()).await;
    let alice = site.inside(ALICE).await;
    let opens = async |link: &Token| {
        let visit = outside_with(&site, &alice, Some(link)).await;
        enrolment(&site, &visit).await
    };
    let first = invite(&site, &alice).await;
    let second = invite(&site, &alice).await;
    assert_eq!((opens(&first).await, opens(&second).await), (Enrolment::LinkVoid, Enrolment::Open));
    assert_eq!(opens(&Token::fresh()).await, Enrolment::LinkVoid);
    // Whoever can write the database alone makes no link.
    let row = site.store().enrolment_link(alice.account.id, &second.hash()).await.unwrap().unwrap();
    let forged = crate::store::EnrolmentLinkRecord { token: first.hash().to_vec(), ..row.clone() };
    site.store().put_enrolment_link(&forged).await.unwrap();
    assert_eq!(opens(&first).await, Enrolment::LinkVoid);
    site.store().put_enrolment_link(&row).await.unwrap();
    // A wrong code uses nothing up.
    let visit = outside_with(&site, &alice, Some(&second)).await;
    site.portal.offer_totp(visit.inside().unwrap().fresh().unwrap(), None).await.unwrap();
    let visit = outside_with(&site, &alice, Some(&second)).await;
    let fresh = visit.inside().unwrap().fresh().unwrap();
    assert_eq!(site.portal.bind(fresh, FactorKind::Totp, "", "000000").await.err(), Some(Refused::WrongCode));
    assert_eq!(opens(&second).await, Enrolment::Open);
    site.clock.advance(Duration::from_secs(1_500));
    assert_eq!(opens(&second).await, Enrolment::Open);
    site.clock.advance(Duration::from_secs(1_500));
    assert_eq!(opens(&second).await, Enrolment::Open);
    site.clock.advance(Duration::from_secs(600));
    assert_eq!(opens(&second).await, Enrolment::LinkVoid, "its hour is over");
    site.portal.tidy_up().await;
    assert_eq!(site.store().enrolment_link(alice.account.id, &second.hash()).await.unwrap(), None);

    let third = invite(&site, &alice).await;
    let by = site.portal.owner(&alice.from);
    let enrolment =
        site.portal.on.factors.enrol_totp("x", &alice.account.address, crate::config::TotpParameters::USUAL);
    site.portal.on.factors.bind_totp(&alice.account, &enrolment, None, &by).await.unwrap();
    assert_eq!(site.store().enrolment_link(alice.account.id, &third.hash()).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_browsers_with_the_same_link_one_binds() {
    let site = Site::with(BY_LINK, |_| ()).await;
    let link = invite(&site, &site.inside(ALICE).await).await;
    let mut visits = Vec::new();
    for _ in 0..50 {
        let visit = outside_with(&site, &site.inside(ALICE).await, Some(&link)).await;
        let offer = site.portal.offer_totp(visit.inside().unwrap().fresh().unwrap(), None).await.unwrap();
        visits.push((outside_with(&site, &visit, Some(&link)).await, site.code(&raw(&offer))));
    }
    let bound = join_all(visits.iter().map(|(visit, code)| {
        let fresh = visit.inside().unwrap().fresh().unwrap();
        site.portal.bind(fresh, FactorKind::Totp, "", code)
    }))
    .await;
    assert_eq!(bound.iter().filter(|bound| bound.is_ok()).count(), 1);
    let account = visits[0].0.account.id;
    assert_eq!(site.store().factors(account).await.unwrap().len(), 1);
}

#[tokio::test]
async fn who_may_not_bind_here_makes_no_app_password_here_before_it_is_done() {
    let site = Site::with(OFFICE, |_| ()).await;
    let alice = site.inside(ALICE).await;
    let wanted = NewAppPassword { name: "Foxmail", scope: anything() };
    let away = outside_with(&site, &alice, None).await;
    let fresh = |visit: &Visit| visit.inside().unwrap().fresh().is_some();
    assert!(fresh(&away));
    let refused = site.portal.create_app_password(away.inside().unwrap().fresh().unwrap(), &wanted).await;
    assert_eq!(refused.err(), Some(NoAppPassword::Elsewhere));
    let here = alice.inside().unwrap().fresh().unwrap();
    site.portal.create_app_password(here, &wanted).await.unwrap();
    let link = invite(&site, &alice).await;
    let away = outside_with(&site, &alice, Some(&link)).await;
    let fresh = away.inside().unwrap().fresh().unwrap();
    site.portal.create_app_password(fresh, &wanted).await.unwrap();
    let (bound, _, _) = site.bind(&alice).await;
    let away = outside_with(&site, &bound, None).await;
    let fresh = away.inside().unwrap().fresh().unwrap();
    site.portal.create_app_password(fresh, &wanted).await.unwrap();
}

#[tokio::test]
async fn an_authenticator_is_offered_as_the_policy_says_and_stays_so() {
    let site = Site::with("[policy]\ntotp_period = \"60s\"\ntotp_digits = 8\n", |_| ()).await;
    let visit = site.inside(ALICE).await;
    let offer = site.portal.offer_totp(visit.inside().unwrap().fresh().unwrap(), None).await.unwrap();
    assert_eq!((offer.parameters.period, offer.parameters.digits), (60, 8));
    let totp = totp_rs::Totp::from_url(text(&offer.uri)).unwrap();
    let code = |ahead: u64| {
        let seconds = u64::try_from(site.clock.now().unix_seconds()).unwrap();
        totp.generate(seconds + ahead).to_string()
    };
    assert_eq!(code(0).len(), 8);
    let visit = site.again(&visit).await;
    let fresh = visit.inside().unwrap().fresh().unwrap();
    let bound = site.portal.bind(fresh, FactorKind::Totp, "", &code(0)).await.unwrap();
    // Another rule from now on; what is bound goes on.
    let mut config = site.config.clone();
    config.policies.default.totp = crate::config::TotpParameters::USUAL;
    site.portal.adopt(Settings::of(&config).unwrap());
    let visit = site.visit(bound.token).await.unwrap();
    assert_eq!(site.portal.answer(&visit, TOTP, &code(0)).await.unwrap_err(), NoAnswer::Wrong, "it was used");
    let answered = site.portal.answer(&visit, TOTP, &code(60)).await.unwrap();
    let visit = site.visit(answered.token).await.unwrap();
    let again = site.portal.offer_totp(visit.inside().unwrap().fresh().unwrap(), None).await.unwrap();
    assert_eq!((again.parameters.period, again.parameters.digits), (30, 6));
}

#[tokio::test]
async fn a_form_is_sent_for_the_first_time_once_in_each_session() {
    let site = Site::open().await;
    let (alice, bob) = (site.inside(ALICE).await, site.inside(BOB).await);
    let first = join_all((0..50).map(|_| site.portal.is_first_time(&alice, "once"))).await;
    assert_eq!(first.into_iter().filter(|first| *first == Ok(true)).count(), 1);
    assert_eq!(site.portal.is_first_time(&alice, "another").await, Ok(true));
    assert_eq!(site.portal.is_first_time(&bob, "once").await, Ok(true));
    site.clock.advance(Duration::from_secs(11 * 3600));
    site.portal.tidy_up().await;
    assert_eq!(site.portal.is_first_time(&alice, "once").await, Ok(false), "the session may live still");
    site.clock.advance(Duration::from_secs(2 * 3600));
    site.portal.tidy_up().await;
    assert_eq!(site.portal.is_first_time(&alice, "once").await, Ok(true), "it does not any more");
}
