//! Passkeys: bound, asked for, and signing in with nothing else.

use super::*;
use crate::base::FactorId;
use crate::config::{Master, MasterStyle, UpstreamCredential};
use crate::factor::testing::SoftKey;
use crate::store::AccountState;

const HERE: &str = "https://mail.example.org";
const PASSKEY: Question = Question::Factor(FactorKind::Passkey);

impl Site {
    /// Binds a passkey whose counter begins there: the visit that goes on, and the recovery codes.
    pub(super) async fn bind_passkey(
        &self,
        visit: &Visit,
        counter: u32,
    ) -> (Visit, SoftKey, Option<Vec<String>>) {
        let options =
            self.portal.offer_passkey(visit.inside().unwrap().fresh().unwrap(), None).await.unwrap();
        let (key, answer) = SoftKey::made(&options, HERE, counter);
        let visit = self.again(visit).await;
        let fresh = visit.inside().unwrap().fresh().unwrap();
        let bound = self.portal.bind(fresh, FactorKind::Passkey, "Key", &answer).await.unwrap();
        let codes = bound.recovery_codes.map(|codes| codes.iter().map(text).collect());
        (self.visit(bound.token).await.unwrap(), key, codes)
    }

    /// Whoever knows the mailbox password, asked for a passkey: the visit, and what is asked.
    async fn asked(&self) -> (Visit, String) {
        let entered = self.sign_in(ALICE, MAILBOX, None).await.unwrap();
        assert_eq!(entered.step, Step::SecondFactor);
        let visit = self.visit(entered.token).await.unwrap();
        let options = self.portal.ask_passkey(&visit).await.unwrap();
        (self.again(&visit).await, options)
    }
}

#[tokio::test]
async fn a_passkey_is_bound_and_answers_once_for_what_was_asked() {
    let site = Site::open().await;
    let visit = site.inside(ALICE).await;
    assert_eq!(site.told(&visit).await, ["new_browser"]);
    let (visit, mut key, codes) = site.bind_passkey(&visit, 0).await;
    assert_eq!(codes.unwrap().len(), 10, "it is the first factor");
    let overview = site.portal.overview(visit.inside().unwrap()).await.unwrap();
    assert_eq!((overview.factors[0].kind, &*overview.factors[0].name), (FactorKind::Passkey, "Key"));
    assert_eq!(site.records("factor_bound").await[0]["kind"], "passkey");
    assert_eq!(site.told(&visit).await, ["factor_bound"]);

    let (asked, options) = site.asked().await;
    assert!(options.contains(&key.id()) && options.contains("\"preferred\""), "{options}");
    let answer = key.used(&options);
    let (elsewhere, _) = site.asked().await;
    let refused = site.portal.answer(&elsewhere, PASSKEY, &answer).await;
    assert_eq!(refused.unwrap_err(), NoAnswer::Wrong, "another session was asked something else");
    let entered = site.portal.answer(&asked, PASSKEY, &answer).await.unwrap();
    assert_eq!(entered.step, Step::TrustDevice);
    let refused = site.portal.answer(&asked, PASSKEY, &answer).await;
    assert_eq!(refused.unwrap_err(), NoAnswer::Wrong, "it was answered");
    let again = site.visit(entered.token).await.unwrap();
    assert_eq!(site.portal.answer(&again, PASSKEY, &answer).await.unwrap_err(), NoAnswer::Wrong);

    let (late, options) = site.asked().await;
    site.clock.advance(Duration::from_secs(300));
    let refused = site.portal.answer(&late, PASSKEY, &key.used(&options)).await;
    assert_eq!(refused.unwrap_err(), NoAnswer::Wrong, "after five minutes");
    let questions = site.portal.questions(&late).await.unwrap();
    assert_eq!(questions[0].question, PASSKEY);
}

#[tokio::test]
async fn an_answer_made_elsewhere_or_with_another_key_is_wrong() {
    let site = Site::open().await;
    let (_, mut key, _) = site.bind_passkey(&site.inside(ALICE).await, 0).await;
    let (_, mut of_bob, _) = site.bind_passkey(&site.inside(BOB).await, 0).await;
    let (asked, options) = site.asked().await;
    assert!(site.portal.answer(&asked, PASSKEY, &of_bob.used(&options)).await.is_err(), "another key");
    for origin in ["https://mail.example.org.evil.example", "https://evil.example", "http://mail.example.org"]
    {
        let (asked, options) = site.asked().await;
        key.origin = origin.to_owned();
        assert!(site.portal.answer(&asked, PASSKEY, &key.used(&options)).await.is_err(), "{origin}");
    }
    key.origin = HERE.to_owned();
    let (asked, options) = site.asked().await;
    assert!(site.portal.answer(&asked, PASSKEY, &key.used(&options)).await.is_ok());
    for garbage in ["", "{}", "null", "[]"] {
        let (asked, _) = site.asked().await;
        assert_eq!(
            site.portal.answer(&asked, PASSKEY, garbage).await.unwrap_err(),
            NoAnswer::Wrong,
            "{garbage}"
        );
    }
}

#[tokio::test]
async fn a_counter_that_goes_back_is_refused_and_told_in_the_trail() {
    let site = Site::open().await;
    let (_, mut key, _) = site.bind_passkey(&site.inside(ALICE).await, 7).await;
    for _ in 0..2 {
        let (asked, options) = site.asked().await;
        site.portal.answer(&asked, PASSKEY, &key.used(&options)).await.unwrap();
    }
    for counter in [8, 3, 0] {
        let (asked, options) = site.asked().await;
        key.counter = counter;
        assert_eq!(
            site.portal.answer(&asked, PASSKEY, &key.used(&options)).await.unwrap_err(),
            NoAnswer::Wrong
        );
        let reason = site.records("second_factor").await.pop().unwrap()["reason"].to_string();
        assert!(reason.contains("the counter of the security key went back"), "{counter}: {reason}");
    }
}

#[tokio::test]
async fn of_fifty_answers_to_one_question_one_is_right() {
    let site = Site::open().await;
    let (_, mut key, _) = site.bind_passkey(&site.inside(ALICE).await, 0).await;
    let (visit, options) = site.asked().await;
    let answer = key.used(&options);
    let mut visits = Vec::new();
    for _ in 0..50 {
        visits.push(site.again(&visit).await);
    }
    let answered = join_all(visits.iter().map(|visit| site.portal.answer(visit, PASSKEY, &answer))).await;
    assert_eq!(answered.iter().filter(|answered| answered.is_ok()).count(), 1);
    let judged = site.records("second_factor").await;
    assert_eq!(judged.iter().filter(|record| record["outcome"] == "admitted").count(), 1);
}

#[tokio::test]
async fn of_fifty_sign_ins_with_one_answer_one_is_let_in() {
    let site = Site::open().await;
    let (_, mut key, _) = site.bind_passkey(&site.inside(ALICE).await, 0).await;
    let asked = site.portal.ask_anybody().unwrap();
    let answer = key.used(&asked.options);
    let from = browser(1);
    let entered =
        join_all((0..50).map(|_| site.portal.sign_in_with_passkey(&from, &asked.kept, &answer))).await;
    assert_eq!(entered.iter().filter(|entered| entered.is_ok()).count(), 1);
}

#[tokio::test]
async fn a_passkey_that_verifies_its_owner_signs_in_without_the_mailbox_password() {
    let site = Site::open().await;
    let (_, mut key, _) = site.bind_passkey(&site.inside(ALICE).await, 0).await;
    let asked = site.portal.ask_anybody().unwrap();
    assert!(asked.options.contains("\"required\"") && !asked.options.contains(&key.id()));
    let enter = async |kept: &str, answer: &str| {
        site.portal.sign_in_with_passkey(&browser(1), kept, answer).await.map(|entered| entered.step)
    };
    key.verifies = false;
    assert_eq!(
        enter(&asked.kept, &key.used(&asked.options)).await,
        Err(NoPasskey::Wrong),
        "it does not verify"
    );
    key.verifies = true;
    let answer = key.used(&asked.options);
    assert_eq!(enter(&asked.kept, &answer).await, Err(NoPasskey::Wrong), "any answer takes the question");
    for kept in ["", "x", &"A".repeat(400)] {
        assert_eq!(enter(kept, &answer).await, Err(NoPasskey::Expired));
    }
    let asked = site.portal.ask_anybody().unwrap();
    site.clock.advance(Duration::from_secs(300));
    assert_eq!(enter(&asked.kept, &key.used(&asked.options)).await, Err(NoPasskey::Expired));

    let asked = site.portal.ask_anybody().unwrap();
    let answer = key.used(&asked.options);
    let entered = site.portal.sign_in_with_passkey(&browser(1), &asked.kept, &answer).await.unwrap();
    let visit = site.visit(entered.token).await.unwrap();
    assert_eq!((visit.address(), visit.step()), (ALICE, Step::In));
    assert!(session::mailbox(&visit).is_none());
    let record = site.records("second_factor").await.pop().unwrap();
    assert_eq!((&record["kind"], &record["outcome"]), (&"passkey_sign_in".into(), &"admitted".into()));

    // Something is to be sealed: the mailbox password is asked for, once, and judged as at sign-in.
    let fresh = visit.inside().unwrap().fresh().unwrap();
    let wanted = NewAppPassword { name: "Foxmail", scope: anything() };
    assert!(site.portal.needs_mailbox_password(fresh));
    let refused = site.portal.create_app_password(fresh, &wanted).await.err();
    assert_eq!(refused, Some(NoAppPassword::NeedsMailboxPassword));
    let refused = site.portal.give_mailbox_password(fresh.inside(), secret("guess")).await.err();
    assert_eq!(refused, Some(NoSignIn::Wrong));
    assert_eq!(site.records("sign_in").await.pop().unwrap()["outcome"], "refused");
    let token = site.portal.give_mailbox_password(fresh.inside(), secret(MAILBOX)).await.unwrap();
    let visit = site.visit(token).await.unwrap();
    let fresh = visit.inside().unwrap().fresh().unwrap();
    assert!(!site.portal.needs_mailbox_password(fresh));
    site.portal.create_app_password(fresh, &wanted).await.unwrap();
    assert!(site.portal.app_passwords(fresh.inside()).await.unwrap()[0].sealed.is_some());
}

#[tokio::test]
async fn whoever_is_suspended_unknown_or_unbound_hears_the_same() {
    let site = Site::open().await;
    let (visit, mut key, _) = site.bind_passkey(&site.inside(ALICE).await, 0).await;
    let enter = async |key: &mut SoftKey| {
        let asked = site.portal.ask_anybody().unwrap();
        let answer = key.used(&asked.options);
        site.portal.sign_in_with_passkey(&browser(1), &asked.kept, &answer).await.err()
    };
    let account = visit.account.id;
    site.portal.on.store.set_account_state(account, AccountState::Suspended).await.unwrap();
    assert_eq!(enter(&mut key).await, Some(NoPasskey::Wrong));
    let record = site.records("second_factor").await.pop().unwrap();
    assert_eq!(record["reason"], "the account is suspended or removed");
    site.portal.on.store.set_account_state(account, AccountState::Active).await.unwrap();
    assert_eq!(enter(&mut key).await, None);
    let mut config = site.config.clone();
    config.policies.default.factors = vec![FactorKind::Totp];
    site.portal.adopt(Settings::of(&config).unwrap());
    assert_eq!(enter(&mut key).await, Some(NoPasskey::Wrong), "its domain offers none any more");
    site.portal.adopt(Settings::of(&site.config).unwrap());
    let bob = site.inside(BOB).await;
    let mut claiming = key.claiming(bob.account.id.0);
    assert_eq!(enter(&mut claiming).await, Some(NoPasskey::Wrong), "it is not Bob's");
    let mut nobodys = claiming.claiming(random::uuid(Timestamp::from_unix_seconds(1)));
    assert_eq!(enter(&mut nobodys).await, Some(NoPasskey::Wrong));
}

#[tokio::test]
async fn the_mailbox_password_is_asked_for_where_the_mailbox_is_now() {
    let other = r#"
[[upstream]]
name = "other"
domains = ["other.example"]
imap = { address = ["127.0.0.1:143"], tls = "none" }
"#;
    let site = Site::with(other, |_| ()).await;
    let mut config = site.config.clone();
    let (user, password_file) = ("proxy".to_owned(), "/nowhere".into());
    let master = Master { user, password_file, style: MasterStyle::Authzid };
    config.upstreams[1].credential = UpstreamCredential::Master(master);
    site.portal.adopt(Settings::of(&config).unwrap());
    let (visit, mut key, _) = site.bind_passkey(&site.inside(ALICE).await, 0).await;
    for (bound, needed) in [(None, true), (Some(UpstreamName("other".to_owned())), false), (None, true)] {
        site.store().set_bound_upstream(visit.account.id, bound.as_ref()).await.unwrap();
        let asked = site.portal.ask_anybody().unwrap();
        let answer = key.used(&asked.options);
        let entered = site.portal.sign_in_with_passkey(&browser(1), &asked.kept, &answer).await.unwrap();
        let visit = site.visit(entered.token).await.unwrap();
        let fresh = visit.inside().unwrap().fresh().unwrap();
        assert_eq!(site.portal.needs_mailbox_password(fresh), needed, "{bound:?}");
    }
}

#[tokio::test]
async fn wrong_passkeys_use_up_the_same_limits_as_codes() {
    let site = Site::open().await;
    let (_, mut key, _) = site.bind_passkey(&site.inside(ALICE).await, 0).await;
    for _ in 0..12 {
        let (asked, _) = site.asked().await;
        let _ = site.portal.answer(&asked, PASSKEY, "{}").await;
    }
    let (asked, options) = site.asked().await;
    let refused = site.portal.answer(&asked, PASSKEY, &key.used(&options)).await.unwrap_err();
    assert!(matches!(refused, NoAnswer::TooMany { .. }), "{refused:?}");
    let asked = site.portal.ask_anybody().unwrap();
    let answer = key.used(&asked.options);
    let refused = site.portal.sign_in_with_passkey(&browser(1), &asked.kept, &answer).await.err();
    assert_eq!(refused, Some(NoPasskey::TooMany));
}

#[tokio::test]
async fn a_device_is_bound_once_but_may_replace_what_it_has() {
    let site = Site::open().await;
    let (visit, key, _) = site.bind_passkey(&site.inside(ALICE).await, 0).await;
    let fresh = visit.inside().unwrap().fresh().unwrap();
    let bound: FactorId = site.portal.overview(fresh.inside()).await.unwrap().factors[0].id;
    let offered = site.portal.offer_passkey(fresh, None).await.unwrap();
    assert!(offered.contains(&key.id()), "excluded");
    let visit = site.again(&visit).await;
    let fresh = visit.inside().unwrap().fresh().unwrap();
    let refused = site.portal.bind(fresh, FactorKind::Passkey, "x", "{}").await.err();
    assert_eq!(refused, Some(Refused::WrongCode));
    assert!(!site.portal.offer_passkey(fresh, Some(bound)).await.unwrap().contains(&key.id()));
}

#[tokio::test]
async fn passkeys_are_offered_where_the_site_has_a_name_and_its_policy_wants_them() {
    let nameless = |config: &mut crate::config::Config| {
        config.portal.as_mut().unwrap().public_url = "https://192.0.2.1".to_owned();
    };
    let totp_only = |config: &mut crate::config::Config| {
        config.policies.default.factors = vec![FactorKind::Totp];
    };
    for site in [Site::with("", nameless).await, Site::with("", totp_only).await] {
        let visit = site.inside(ALICE).await;
        let fresh = visit.inside().unwrap().fresh().unwrap();
        assert_eq!(site.portal.offer_passkey(fresh, None).await.err(), Some(Refused::NotOffered));
        assert_eq!(site.portal.overview(fresh.inside()).await.unwrap().offered, [(FactorKind::Totp, false)]);
        assert!(!site.portal.offers_passkeys());
    }
}

#[tokio::test]
async fn whoever_has_a_passkey_of_a_name_that_the_site_had_is_asked_for_something_else() {
    let site = Site::open().await;
    let (visit, _, codes) = site.bind_passkey(&site.inside(ALICE).await, 0).await;
    let mut config = site.config.clone();
    config.portal.as_mut().unwrap().public_url = "https://192.0.2.1".to_owned();
    site.portal.adopt(Settings::of(&config).unwrap());
    let asked: Vec<_> = site.portal.questions(&visit).await.unwrap().iter().map(|one| one.question).collect();
    assert_eq!(asked, [Question::RecoveryCode]);
    let entered = site.portal.answer(&visit, Question::RecoveryCode, &codes.unwrap()[0]).await;
    assert!(entered.is_ok());
}
