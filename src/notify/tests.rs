//! What users read, and how it gets to them; the relay is a few lines of SMTP.

use std::sync::Mutex;
use std::sync::atomic::AtomicU16;

use lettre::message::Mailbox;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use super::postman::pause;
use super::*;
use crate::base::{Address, ManualClock, UpstreamName};
use crate::config::{Database, EndpointTls, HostPort, Mail};

fn sender() -> Sender {
    Sender { hostname: "mail.example.org".to_owned(), portal: Some("https://mail.example.org".to_owned()) }
}

fn told(notice: Notice) -> Told {
    Told { at: Timestamp::from_unix_seconds(1_800_000_000), notice }
}

fn place(browser: &str) -> Place {
    Place { address: "192.0.2.7".to_owned(), browser: Some(browser.to_owned()) }
}

fn created(name: &str) -> Notice {
    let by = Doer::Owner(place("Firefox"));
    Notice::AppPasswordCreated { name: name.to_owned(), label: "k7mq".to_owned(), by }
}

fn bytes_of(letter: &Letter) -> String {
    let from: Mailbox = "邮件系统 <postmaster@example.org>".parse().unwrap();
    let at = Timestamp::from_unix_seconds(1_800_000_000);
    let message = message(letter, &from, "alice@example.org", "1@mail.example.org", at).unwrap();
    String::from_utf8(message.formatted()).expect("ASCII")
}

#[test]
fn a_notice_reads_well_in_both_languages() {
    let letter = sender().letter("alice@example.org", &told(created("我的手机")));
    assert_eq!(letter.subject, "已生成客户端专用密码 / New app password");
    let expected = "\
您的邮箱生成了一个新的客户端专用密码。

    帐号: alice@example.org
    时间: 2027-01-15 16:00（北京时间）
    名称: 我的手机 (k7mq)
    IP 地址: 192.0.2.7
    浏览器: Firefox

如果是您本人的操作，无需理会本邮件。

如果不是您本人的操作，请立即修改邮箱密码，再到 https://mail.example.org 检查您的安全设置，并联系邮件系统管理员。

本邮件由 mail.example.org 自动发出，请勿回复。我们不会在邮件中向您索取密码或验证码。

----------------------------------------

A new app password was made for your mailbox.

    Account: alice@example.org
    Time: 2027-01-15 08:00 UTC
    Name: 我的手机 (k7mq)
    IP address: 192.0.2.7
    Browser: Firefox

If this was you, there is nothing to do.

If it was not you, change your mailbox password now, look through your security settings at https://mail.example.org, and tell the administrator of your mail system.

This message was sent by mail.example.org automatically; nobody reads replies. No message of ours ever asks for a password or a code.
";
    assert_eq!(letter.text, expected);
    for fact in ["<h1", "lang=\"zh-CN\"", "lang=\"en\"", "<bdi>我的手机 (k7mq)</bdi>"] {
        assert!(letter.html.contains(fact), "{fact}");
    }
}

#[test]
fn each_kind_has_words_and_comes_back_from_the_outbox_as_it_went() {
    let by = || Doer::Owner(place("Firefox"));
    let all = [
        Notice::FactorBound { factor: "totp".to_owned(), by: by() },
        Notice::FactorUnbound {
            factors: vec!["totp".to_owned()],
            app_passwords_revoked: 2,
            reason: Some("手机丢了 lost phone".to_owned()),
            by: Doer::Administrator,
        },
        created("Phone"),
        Notice::AppPasswordsRevoked { which: vec![("Phone".to_owned(), "k7mq".to_owned())], by: by() },
        Notice::RecoveryCodesMade { by: by() },
        Notice::NewBrowser { place: place("Firefox") },
        Notice::SecondFactorNotCompleted { place: place("Firefox") },
    ];
    for notice in all {
        let told = told(notice);
        let json = serde_json::to_string(&told).unwrap();
        assert_eq!(serde_json::from_str::<Told>(&json).unwrap(), told);
        assert!(json.contains(&format!("\"kind\":\"{}\"", told.notice.kind())), "{json}");
        let letter = sender().letter("alice@example.org", &told);
        assert!(letter.subject.contains(" / ") && letter.text.contains("Time: 2027-01-15 08:00 UTC"));
        let by_administrator = matches!(told.notice, Notice::FactorUnbound { .. });
        assert_eq!(letter.text.contains("操作者: 管理员"), by_administrator, "{}", letter.text);
        assert_eq!(letter.text.contains("Reason: 手机丢了 lost phone"), by_administrator);
    }
}

#[test]
fn a_hostile_name_is_a_name_and_nothing_else() {
    let name = "x\r\nBcc: eve@example.net\r\n\r\n<script>alert(1)</script>\u{202e}gpj.exe\u{200b}&\"'";
    let letter = sender().letter("alice@example.org", &told(created(name)));
    let shown = "Name: x\\u{d}\\u{a}Bcc: eve@example.net\\u{d}\\u{a}\\u{d}\\u{a}<script>alert(1)</script>\\u{202e}gpj.exe\\u{200b}&\"' (k7mq)";
    assert!(letter.text.contains(shown), "{}", letter.text);
    assert!(
        !letter.html.contains("<script") && letter.html.contains("&lt;script&gt;alert(1)&lt;/script&gt;")
    );
    let bytes = bytes_of(&letter);
    let (head, _) = bytes.split_once("\r\n\r\n").unwrap();
    let names = head.split("\r\n").filter(|line| !line.starts_with([' ', '\t']));
    let names: Vec<_> = names.filter_map(|line| Some(line.split_once(':')?.0)).collect();
    let expected = [
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "Auto-Submitted",
        "X-Auto-Response-Suppress",
        "MIME-Version",
        "Content-Type",
    ];
    assert_eq!(names, expected, "{head}");
    let long = sender().letter("alice@example.org", &told(created(&"长".repeat(5000))));
    assert!(long.text.contains(&format!("Name: {}… (k7mq)", "长".repeat(120))));
}

#[test]
fn a_message_is_what_the_standards_want() {
    let bytes = bytes_of(&sender().letter("alice@example.org", &told(created("我的手机"))));
    assert!(bytes.is_ascii() && bytes.split("\r\n").all(|line| line.len() <= 998 && !line.contains('\n')));
    for held in [
        "Auto-Submitted: auto-generated\r\n",
        "Message-ID: <1@mail.example.org>\r\n",
        "Date: Fri, 15 Jan 2027 08:00:00 +0000\r\n",
        "To: alice@example.org\r\n",
        "Subject: =?utf-8?b?",
        "Content-Type: multipart/alternative;",
        "Content-Type: text/plain; charset=utf-8\r\n",
        "Content-Type: text/html; charset=utf-8\r\n",
    ] {
        assert!(bytes.contains(held), "{held}\n{bytes}");
    }
    assert!(bytes.find("text/plain").unwrap() < bytes.find("text/html").unwrap());
}

#[test]
fn pauses_grow_to_an_hour() {
    let minutes = |attempts| pause(attempts).as_secs() / 60;
    assert_eq!([0, 1, 2, 3, 6, 7, i64::MAX].map(minutes), [1, 1, 2, 4, 32, 60, 60]);
}

/// Takes mail, and says `answer` to every recipient.
struct FakeRelay {
    port: u16,
    taken: Arc<Mutex<Vec<String>>>,
    answer: Arc<AtomicU16>,
}

impl FakeRelay {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (taken, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU16::new(250)));
        let (mails, code) = (Arc::clone(&taken), Arc::clone(&answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (mails, code) = (Arc::clone(&mails), Arc::clone(&code));
                tokio::spawn(async move {
                    let (read, mut write) = stream.into_split();
                    let mut lines = BufReader::new(read).lines();
                    write.write_all(b"220 fake\r\n").await.unwrap();
                    let mut mail: Option<String> = None;
                    while let Ok(Some(line)) = lines.next_line().await {
                        let said = match &mut mail {
                            Some(text) if line == "." => {
                                mails.lock().unwrap().push(std::mem::take(text));
                                mail = None;
                                "250 taken".to_owned()
                            }
                            Some(text) => {
                                *text += &format!("{line}\n");
                                continue;
                            }
                            None if line.starts_with("RCPT") => {
                                format!("{} well", code.load(Ordering::Relaxed))
                            }
                            None if line == "DATA" => {
                                mail = Some(String::new());
                                "354 go on".to_owned()
                            }
                            None => "250 well".to_owned(),
                        };
                        if write.write_all(format!("{said}\r\n").as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { port, taken, answer }
    }

    fn relay(&self) -> (Relay, Sender) {
        let mail = Mail {
            relay: HostPort { host: "127.0.0.1".to_owned(), port: self.port },
            tls: EndpointTls::None,
            server_name: None,
            ca_file: None,
            login: None,
            from: "postmaster@example.org".parse().unwrap(),
        };
        (Relay::open(&mail, "mail.example.org").unwrap(), sender())
    }

    fn taken(&self) -> usize {
        self.taken.lock().unwrap().len()
    }
}

struct World {
    directory: tempfile::TempDir,
    store: Store,
    clock: Arc<ManualClock>,
    audit: Audit,
    notices: Notices,
    account: AccountRecord,
}

impl World {
    async fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&Database::Sqlite(directory.path().join("mailward.db"))).await.unwrap();
        let clock = Arc::new(ManualClock::default());
        clock.advance(Duration::from_secs(1_800_000_000));
        let config = crate::config::Audit {
            directory: directory.path().join("audit"),
            when_full: crate::config::WhenFull::Refuse,
            reserve: 0,
        };
        let key = Arc::new(SiteKey::from_bytes([7; 32]));
        let audit = Audit::open(&config, store.clone(), Arc::clone(&key), clock.clone()).await.unwrap();
        let notices = Notices::new(store.clone(), key, clock.clone(), audit.clone(), true);
        let address = Address::parse("alice@example.org").unwrap();
        let upstream = UpstreamName("legacy".to_owned());
        let (account, _) = store.add_account(&address, &upstream, clock.now()).await.unwrap();
        Self { directory, store, clock, audit, notices, account }
    }

    fn postman(&self, relay: &FakeRelay) -> Arc<Postman> {
        let key = Arc::new(SiteKey::from_bytes([7; 32]));
        let by = Some(relay.relay());
        Arc::new(Postman::new(self.store.clone(), key, self.clock.clone(), self.audit.clone(), by))
    }

    async fn waiting(&self) -> usize {
        self.store.waiting_notices(self.account.id).await.unwrap().len()
    }

    async fn given_up(&self) -> Vec<String> {
        let query = crate::store::AuditQuery {
            event: Some("notice_given_up".to_owned()),
            ..crate::store::AuditQuery::default()
        };
        let directory = self.directory.path().join("audit");
        let found = crate::audit::search(&directory, &self.store, &query).await.unwrap();
        found.into_iter().map(|row| row.json).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_nodes_one_sends_a_notice() {
    let (world, relay) = (World::open().await, FakeRelay::start().await);
    for number in 0..10 {
        world.notices.tell(&world.account, created(&format!("Phone {number}"))).await;
    }
    let nodes = [world.postman(&relay), world.postman(&relay), world.postman(&relay)];
    let rounds = nodes.map(|node| tokio::spawn(async move { node.round().await }));
    let mut sent = 0;
    for round in rounds {
        sent += round.await.unwrap();
    }
    assert_eq!((sent, relay.taken(), world.waiting().await), (10, 10, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_relay_does_not_take_for_now_is_sent_later() {
    let (world, relay) = (World::open().await, FakeRelay::start().await);
    let postman = world.postman(&relay);
    world.notices.tell(&world.account, created("Phone")).await;
    relay.answer.store(451, Ordering::Relaxed);
    assert_eq!((postman.round().await, world.waiting().await), (0, 1));
    relay.answer.store(250, Ordering::Relaxed);
    assert_eq!(postman.round().await, 0, "not yet");
    world.clock.advance(Duration::from_secs(61));
    assert_eq!((postman.round().await, relay.taken(), world.waiting().await), (1, 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_away_costs_no_attempt() {
    let (world, relay) = (World::open().await, FakeRelay::start().await);
    let gone = FakeRelay { port: 1, taken: Arc::default(), answer: Arc::default() };
    let postman = world.postman(&gone);
    world.notices.tell(&world.account, created("Phone")).await;
    assert_eq!(postman.round().await, 0);
    assert_eq!(world.store.waiting_notices(world.account.id).await.unwrap()[0].attempts, 0);
    postman.adopt(Some(relay.relay()));
    assert_eq!((postman.round().await, relay.taken()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_too_old_or_changed_is_given_up_on_record() {
    let (world, relay) = (World::open().await, FakeRelay::start().await);
    let postman = world.postman(&relay);
    world.notices.tell(&world.account, created("Phone")).await;
    relay.answer.store(550, Ordering::Relaxed);
    assert_eq!((postman.round().await, world.waiting().await), (0, 0));
    relay.answer.store(250, Ordering::Relaxed);
    world.notices.tell(&world.account, created("Phone")).await;
    world.clock.advance(Duration::from_secs(3 * 24 * 3600));
    assert_eq!((postman.round().await, world.waiting().await), (0, 0));
    world.notices.tell(&world.account, created("Phone")).await;
    let mut forged = world.store.waiting_notices(world.account.id).await.unwrap().remove(0);
    world.store.forget_notice(forged.id).await.unwrap();
    forged.address = "eve@example.net".to_owned();
    world.store.post_notice(&forged, 9, None, None).await.unwrap();
    assert_eq!((postman.round().await, world.waiting().await, relay.taken()), (0, 0, 0));
    let given_up = world.given_up().await.join("\n");
    for why in ["550", "three days", "somebody else changed it"] {
        assert!(given_up.contains(why), "{why}: {given_up}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_of_too_many_are_dropped_on_record_and_nothing_waits_without_a_relay() {
    let world = World::open().await;
    for number in 0..WAITING_PER_ACCOUNT + 2 {
        world.clock.advance(Duration::from_secs(1));
        world.notices.tell(&world.account, created(&format!("Phone {number}"))).await;
    }
    let waiting = world.store.waiting_notices(world.account.id).await.unwrap();
    assert_eq!(waiting.len(), 50);
    assert!(waiting[0].notice.contains("\"Phone 2\""), "{}", waiting[0].notice);
    assert_eq!(world.given_up().await.len(), 2);
    world.notices.turn(false);
    world.notices.tell(&world.account, created("Tablet")).await;
    assert_eq!(world.waiting().await, 50);
}
