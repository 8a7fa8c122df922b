//! Browsers, trusted devices, links and codes of the portal.

use mailward::base::{AccountId, DeviceId, MailCodeId, PortalSessionId, random};
use mailward::config::Database;
use mailward::store::{
    AccountState, EnrolmentLinkRecord, KeptFor, LinkKept, MailSends, PortalSessionRecord, Store,
    TrustedDeviceRecord,
};

use super::world::{MOST, add, address, all_at_once, at, factor, upstream};

pub(super) async fn of_many_who_take_what_a_portal_session_keeps_one_does(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    assert!(begin(&store, ada, 1).await);
    let token = portal_session(ada, 1).token;
    let id = store.portal_session(&token).await.unwrap().unwrap().id;
    let place = KeptFor { purpose: "challenge", kind: "passkey" };
    let typed = KeptFor { purpose: "typed", kind: "" };
    let others = [KeptFor { purpose: "offer", ..place }, KeptFor { kind: "totp", ..place }, typed];
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
pub(super) fn portal_session(account: AccountId, token: u8) -> PortalSessionRecord {
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
pub(super) async fn begin(store: &Store, account: AccountId, token: u8) -> bool {
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

fn enrolment_link(account: AccountId, token: u8) -> EnrolmentLinkRecord {
    EnrolmentLinkRecord {
        account,
        token: vec![token; 32],
        made_at: at(1),
        expires_at: at(100 + i64::from(token)),
        mac: vec![9; 32],
    }
}

pub(super) async fn of_many_who_use_an_enrolment_link_one_does(database: Database) {
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

pub(super) async fn an_enrolment_link_ends_with_the_first_factor_and_with_the_account(database: Database) {
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

pub(super) async fn codes_by_mail_are_counted_when_they_are_sent_and_when_they_are_tried(database: Database) {
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

pub(super) async fn of_many_who_send_a_form_one_is_the_first(database: Database) {
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

pub(super) async fn a_portal_session_is_replaced_only_while_it_lives(database: Database) {
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
    let beyond = async |account| {
        let beyond = store.portal_sessions_beyond(account, "in", 3).await.unwrap();
        beyond.iter().map(|beyond| beyond.token[0]).collect::<Vec<_>>()
    };
    assert_eq!(beyond(ada).await, [11, 10, 20], "who stands at the door is the last");
    assert!(beyond(elsewhere.account).await.is_empty(), "another account's");
    assert!(!begin(&store, AccountId(random::uuid(at(1))), 4).await);
}

pub(super) async fn a_change_of_factors_ends_the_browsers_of_its_account_and_no_others(database: Database) {
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

pub(super) async fn whoever_is_suspended_or_removed_is_signed_in_nowhere(database: Database) {
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

pub(super) async fn a_browser_is_trusted_once_for_each_account(database: Database) {
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
