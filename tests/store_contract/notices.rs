//! Notices that wait to be mailed, and browsers that are new once.

use mailward::base::{AccountId, NoticeId, random};
use mailward::config::Database;
use mailward::store::{Instead, KnownBrowserRecord, NoticeRecord, Posted, Store};

use super::portal::portal_session;
use super::world::{add, all_at_once, at};

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

pub(super) async fn of_many_who_take_a_notice_one_does_until_its_time_is_over(database: Database) {
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

pub(super) async fn the_oldest_notices_go_when_there_are_too_many_or_they_are_too_old(database: Database) {
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

pub(super) async fn what_a_stranger_can_cause_is_told_seldom(database: Database) {
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

pub(super) async fn a_sign_in_that_ends_with_a_notice_ends_once(database: Database) {
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

pub(super) async fn a_browser_is_new_once(database: Database) {
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

pub(super) fn browser(mark: u8, seen_at: i64) -> KnownBrowserRecord {
    KnownBrowserRecord {
        mark: vec![mark; 32],
        seen_at: at(seen_at),
        browser: Some("Firefox".to_owned()),
        address: "192.0.2.1".to_owned(),
    }
}
