//! Floods of refusals: the trail stays readable, guessing is told once, and the good are recorded as ever.

use super::*;

fn from(number: u16) -> Origin {
    let [high, low] = number.to_be_bytes();
    Origin { client: ClientAddress::new([10, 0, high, low].into()), ..origin(Protocol::Imap, 1) }
}

fn trail_size(site: &Site) -> u64 {
    let files = std::fs::read_dir(site.directory.path().join("audit")).unwrap();
    files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

#[tokio::test]
async fn a_minute_of_refusals_by_the_thousand_leaves_less_than_a_mebibyte_and_a_good_login() {
    let site = Site::open().await;
    for number in 0..20 {
        site.try_in(1, ALICE, &format!("guess {number}")).await;
        site.try_in(1, "bob@example.org", &format!("guess {number}")).await;
    }
    let before = trail_size(&site);
    // What is turned away costs the trail nothing more after the first thousand, so ten thousand are as good as all.
    for number in 0..10_000_u32 {
        let name = format!("user{}@example.org", if number % 2 == 0 { number } else { 1 });
        let ended = site.try_in(1, &name, &format!("guess {number}")).await;
        assert_eq!(ended.refusal(), Some(Refusal::TooManyFailures));
        if number == 5_000 {
            assert!(site.try_in(2, "carol@example.org", "wrong").await.refusal().is_some());
            site.mailboxes.lock().unwrap().insert("carol@example.org".to_owned(), MAILBOX.to_owned());
            assert!(site.try_in(2, "carol@example.org", MAILBOX).await.is_in());
        }
    }
    site.clock.advance(Duration::from_secs(60));
    site.gate.record_refusals(true).await;
    assert!(trail_size(&site) - before < 1 << 20, "{} bytes", trail_size(&site) - before);
    let logins = site.records("login");
    let good = logins.iter().filter(|login| login["outcome"] == "admitted").count();
    let first = logins.iter().filter(|login| login["outcome"] == "limited").count() as u64;
    let sums = site.records("refused_logins");
    let counted: u64 = sums.iter().map(|sum| sum["count"].as_u64().unwrap()).sum();
    assert_eq!(good, 1);
    // The first attempts at two accounts used the network up.
    assert_eq!(first + counted, 10_000 + 20, "{sums:?}");
    assert!(sums.iter().all(|sum| sum["outcome"] == "limited" && sum["network"] == "192.0.2.1/32"));
    assert!(sums.iter().all(|sum| !sum.to_string().contains("user")), "names of no account are hashed");
}

#[tokio::test]
async fn a_client_that_repeats_itself_all_day_leaves_a_few_records_a_minute() {
    let site = Site::open().await;
    for _ in 0..600 {
        site.try_in(1, ALICE, "old").await;
        site.clock.advance(Duration::from_secs(1));
        site.gate.record_refusals(true).await;
    }
    let (logins, sums) = (site.records("login"), site.records("refused_logins"));
    let counted: u64 = sums.iter().map(|sum| sum["count"].as_u64().unwrap()).sum();
    assert_eq!(logins.len() as u64 + counted, 600 - sums_open(&site), "nothing is lost");
    assert!(logins.len() + sums.len() <= 30, "{} and {}", logins.len(), sums.len());
}

/// Nobody looks at a password without a database, and nobody is limited for it; nor if the client leaves before
/// anything is sent.
#[tokio::test]
async fn a_minute_of_attempts_that_come_to_nothing_leaves_less_than_a_mebibyte_and_all_are_counted() {
    let site = Site::open().await;
    site.account(ALICE).await;
    let before = trail_size(&site);
    for number in 0..3_000_u32 {
        let name = format!("user{}@example.org", number % 100);
        let judged = site.gate.judge(&origin(Protocol::Imap, 1), credentials(&name, "any")).await;
        assert!(matches!(judged, Decision::Admit(_)), "it leaves before it is sent");
    }
    site.gates_store.close().await;
    for number in 0..3_000_u32 {
        let name = if number % 2 == 0 { ALICE.to_owned() } else { format!("user{number}@example.org") };
        assert_eq!(site.try_in(2, &name, "any").await.refusal(), Some(Refusal::Unavailable));
    }
    site.clock.advance(Duration::from_secs(60));
    site.gate.record_refusals(true).await;
    let counted: u64 = site.records("refused_logins").iter().map(|sum| sum["count"].as_u64().unwrap()).sum();
    // Records of those who left are written behind their backs.
    for _ in 0..6_000 {
        if site.records("login").len() as u64 + counted >= 6_000 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(site.records("login").len() as u64 + counted, 6_000);
    assert!(trail_size(&site) - before < 1 << 20, "{} bytes", trail_size(&site) - before);
    let reasons: HashSet<_> =
        site.records("login").iter().map(|login| login["reason"].as_str().unwrap().to_owned()).collect();
    assert_eq!(reasons.len(), 2, "the first of each kind say why: {reasons:?}");
}

#[tokio::test]
async fn proven_passwords_are_recorded_one_by_one_whatever_becomes_of_them() {
    let site = Site::open().await;
    let (_, printed) = site.bound_with_app_password(ALICE).await;
    for _ in 0..20 {
        site.attempt(&origin(Protocol::Imap, 1), ALICE, &printed, |_| unavailable(false)).await;
    }
    assert_eq!(site.records("login").len(), 20);
}

/// What is counted and not yet recorded.
fn sums_open(site: &Site) -> u64 {
    let sums = site.gate.gate.desk.tally.take(false, &*site.clock);
    sums.iter().map(|sum| sum.count).sum()
}

#[tokio::test]
async fn five_hundred_networks_with_one_try_each_are_noticed_once() {
    let site = Site::open().await;
    site.account(ALICE).await;
    for number in 0..500 {
        site.attempt(&from(number), ALICE, &format!("guess {number}"), |login| site.upstream_says(&login))
            .await;
    }
    let noticed = site.records("guessing_noticed");
    let patterns: Vec<_> = noticed.iter().map(|record| record["pattern"].as_str().unwrap()).collect();
    assert_eq!(patterns, ["many_networks", "many_passwords"]);
    assert_eq!((&noticed[0]["account"], &noticed[0]["count"]), (&ALICE.into(), &20.into()));
}

#[tokio::test]
async fn one_network_that_tries_many_accounts_is_noticed_once() {
    let site = Site::open().await;
    for number in 0..200 {
        site.try_in(7, &format!("user{number}@example.org"), "Password1").await;
    }
    let noticed = site.records("guessing_noticed");
    assert_eq!(noticed.len(), 1, "{noticed:?}");
    assert_eq!((&noticed[0]["pattern"], &noticed[0]["ip"]), (&"many_accounts".into(), &"192.0.2.7".into()));
    assert!(noticed[0]["account"].is_null());
}
