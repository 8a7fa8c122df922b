//! What waits behind a device's link.

use super::*;
use crate::app_password::Created;
use crate::base::AccountId;
use crate::store::{AccountState, Store};

struct Offered {
    created: Created,
    link: Token,
}

async fn make(site: &Site, visit: &Visit, scope: Scope) -> (Created, Option<Token>) {
    let fresh = visit.inside().unwrap().fresh().unwrap();
    let wanted = NewAppPassword { name: "iPhone", scope };
    let created = site.portal.create_app_password(fresh, &wanted).await.unwrap();
    let link = site.portal.offer_profile(fresh, &created, &wanted.scope).await.unwrap();
    (created, link)
}

async fn offer(site: &Site, visit: &Visit) -> Offered {
    let (created, link) = make(site, visit, anything()).await;
    Offered { created, link: link.unwrap() }
}

async fn waits(site: &Site, link: &Token) -> bool {
    site.portal.profile_waits(link).await.unwrap().is_some()
}

async fn fetched(site: &Site, link: &Token) -> Option<Profile> {
    site.portal.fetch_profile(link, &browser(9)).await.unwrap()
}

async fn sql(site: &Site, statement: &str) {
    let Store::Sqlite(pool, _) = site.store() else { unreachable!("these tests run on SQLite") };
    let done = sqlx::query(sqlx::AssertSqlSafe(statement.to_owned())).execute(pool).await.unwrap();
    assert!(done.rows_affected() > 0, "{statement}");
}

#[tokio::test]
async fn a_device_gets_the_app_password_once_and_the_trail_says_so() {
    let site = Site::open().await;
    let visit = site.inside(ALICE).await;
    let Offered { created, link } = offer(&site, &visit).await;
    for _ in 0..3 {
        assert_eq!(
            site.portal.profile_waits(&link).await.unwrap().as_deref(),
            Some(ALICE),
            "looking takes nothing"
        );
    }
    let devices = (0..50).map(|_| fetched(&site, &link));
    let got: Vec<_> = join_all(devices).await.into_iter().flatten().collect();
    let [profile] = &got[..] else { panic!("{} of 50 got it", got.len()) };
    assert_eq!((profile.address.as_str(), profile.app_password), (ALICE, created.id));
    assert_eq!(text(&profile.password), text(&created.printed));
    assert!(!waits(&site, &link).await && fetched(&site, &link).await.is_none());

    let (made, fetched) = (site.records("profile_made").await, site.records("profile_fetched").await);
    assert_eq!((made.len(), fetched.len()), (1, 1));
    for record in [&made[0], &fetched[0]] {
        assert_eq!((&record["account"], &record["id"]), (&ALICE.into(), &created.id.to_string().into()));
        assert_eq!(record["label"], created.label);
    }
    assert_eq!(made[0]["by"]["ip"], "192.0.2.1");
    assert_eq!((&fetched[0]["ip"], &fetched[0]["browser"]), (&"192.0.2.9".into(), &"Firefox".into()));
}

#[tokio::test]
async fn it_waits_for_five_minutes_and_nothing_is_left_of_it() {
    let site = Site::open().await;
    let visit = site.inside(ALICE).await;
    let Offered { link, .. } = offer(&site, &visit).await;
    site.clock.advance(WAITS - Duration::from_secs(1));
    assert!(waits(&site, &link).await);
    site.clock.advance(Duration::from_secs(1));
    assert!(!waits(&site, &link).await && fetched(&site, &link).await.is_none());
    site.portal.tidy_up().await;
    assert_eq!(site.store().prune_profiles(Timestamp::from_unix_seconds(9_999_999_999)).await.unwrap(), 0);
    assert_eq!(site.records("profile_fetched").await.len(), 0);
}

#[tokio::test]
async fn only_what_receives_and_sends_is_offered() {
    let site = Site::open().await;
    let visit = site.inside(ALICE).await;
    for (protocols, offered) in
        [("imap,smtp", true), ("imap,pop3", false), ("smtp", false), ("imap,pop3,smtp", true)]
    {
        let scope = Scope { protocols: protocols.parse().unwrap(), ..anything() };
        assert_eq!(make(&site, &visit, scope).await.1.is_some(), offered, "{protocols}");
    }
    let reads = Scope { access: Access::ReadOnly, ..anything() };
    assert!(make(&site, &visit, reads).await.1.is_none(), "Apple's Mail wants to send, too");
    let without_sending = Site::with("", |config| {
        config.listeners.retain(|listener| listener.protocol != Protocol::Smtp);
    })
    .await;
    let visit = without_sending.inside(ALICE).await;
    assert!(make(&without_sending, &visit, anything()).await.1.is_none());
}

#[tokio::test]
async fn few_wait_at_a_time_and_each_goes_with_its_app_password() {
    let site = Site::open().await;
    let visit = site.inside(ALICE).await;
    let mut offered = Vec::new();
    for _ in 0..5 {
        offered.push(offer(&site, &visit).await);
        site.clock.advance(Duration::from_secs(1));
    }
    let mut waiting = Vec::new();
    for one in &offered {
        waiting.push(waits(&site, &one.link).await);
    }
    assert_eq!(waiting, [false, false, true, true, true]);
    let fresh = visit.inside().unwrap().fresh().unwrap();
    site.portal.revoke_app_password(fresh, offered[4].created.id).await.unwrap();
    assert!(!waits(&site, &offered[4].link).await && fetched(&site, &offered[4].link).await.is_none());
    assert!(waits(&site, &offered[3].link).await);
    site.portal.lock_everything(fresh).await.unwrap();
    for one in &offered {
        assert!(fetched(&site, &one.link).await.is_none());
    }
}

#[tokio::test]
async fn nothing_is_given_out_for_an_account_that_is_stopped() {
    let site = Site::open().await;
    let visit = site.inside(ALICE).await;
    let Offered { link, .. } = offer(&site, &visit).await;
    site.store().set_account_state(visit.account.id, AccountState::Suspended).await.unwrap();
    site.store().set_account_state(visit.account.id, AccountState::Active).await.unwrap();
    assert!(fetched(&site, &link).await.is_none());
}

#[tokio::test]
async fn whoever_can_write_the_database_opens_nothing_and_makes_nothing() {
    let site = Site::open().await;
    let visit = site.inside(ALICE).await;
    let (mine, other) = (offer(&site, &visit).await, offer(&site, &visit).await);
    // Another link, for which the thief has the token.
    let thief = Token::fresh();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let id = format!("id = x'{}'", hex(&thief.hash()));
    sql(&site, &format!("UPDATE profiles SET {id} WHERE id = x'{}'", hex(&mine.link.hash()))).await;
    assert!(fetched(&site, &thief).await.is_none());

    // A longer life, and another account.
    let bob = site.inside(BOB).await;
    let bobs: AccountId = bob.account.id;
    let at = format!("WHERE id = x'{}'", hex(&other.link.hash()));
    for change in [
        "expires_at = '2999' || substr(expires_at, 5)".to_owned(),
        format!("app_password = x'{}'", hex(mine.created.id.0.as_bytes())),
        format!("account = x'{}'", hex(bobs.0.as_bytes())),
    ] {
        let before = site.store().profile(&other.link.hash(), site.clock.now()).await.unwrap().unwrap();
        sql(&site, &format!("UPDATE profiles SET {change} {at}")).await;
        assert!(fetched(&site, &other.link).await.is_none(), "{change}");
        sql(&site, &format!("DELETE FROM profiles {at}")).await;
        assert!(site.store().keep_profile(&before, 9).await.unwrap());
    }
    assert!(fetched(&site, &other.link).await.is_some(), "as it was it is given out");
}

fn in_hand(site: &mut Site) -> &mut Dependencies {
    &mut Arc::get_mut(&mut site.portal).unwrap().on
}

#[tokio::test]
async fn without_the_key_of_the_site_the_link_opens_nothing() {
    let mut site = Site::open().await;
    let visit = site.inside(ALICE).await;
    let Offered { link, .. } = offer(&site, &visit).await;
    let key = std::mem::replace(&mut in_hand(&mut site).key, Arc::new(SiteKey::from_bytes([8; 32])));
    assert!(fetched(&site, &link).await.is_none());
    in_hand(&mut site).key = key;
    assert!(fetched(&site, &link).await.is_some(), "with it it does");
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_given_out() {
    let site = Site::open().await;
    let visit = site.inside(ALICE).await;
    let Offered { link, .. } = offer(&site, &visit).await;
    site.portal.on.audit.close().await;
    assert_eq!(site.portal.fetch_profile(&link, &browser(9)).await.err(), Some(Broken));
    assert!(!waits(&site, &link).await, "nor a second time");
}
