//! Sends what waits, again and again, on every node: of many, one takes a notice.
//!
//! A relay that cannot be reached is no message's fault: then nothing is taken at all. What it does not take for now is put off
//! with growing pauses; what it refuses, or what is too old, is given up, with a record. A node that dies between the relay's
//! *yes* and the end of the row leaves a notice that is sent twice, under the same Message-ID.

use std::error::Error;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::relay::Conversation;
use super::{Relay, RelayError, Sender, give_up, message, read, with_parts};
use crate::audit::Audit;
use crate::base::key::Purpose;
use crate::base::{Clock, SiteKey, Timestamp};
use crate::store::{NoticeRecord, Store, StoreError};

/// How often there is a round.
pub const ROUND_EVERY: Duration = Duration::from_secs(5);

/// How many are looked for in a round.
const IN_A_ROUND: u32 = 50;

/// For how long one is its taker's: longer than sending may take.
const TAKEN_FOR: Duration = Duration::from_secs(180);

/// The first pause; each is twice the one before.
const PAUSE: Duration = Duration::from_secs(60);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(3600);

/// When nobody needs to be told any more.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(3 * 24 * 3600);

/// How many may wait in all.
const WAITING_MAX: u32 = 10_000;

/// Sends notices.
pub struct Postman {
    store: Store,
    key: Arc<SiteKey>,
    clock: Arc<dyn Clock>,
    audit: Audit,
    by: RwLock<Option<Arc<Means>>>,
}

/// Of one reading of the configuration.
pub(super) struct Means {
    pub(super) relay: Relay,
    pub(super) sender: Sender,
}

/// What became of those that were looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// The relay took them.
    pub sent: u64,
    /// They are tried again later.
    pub put_off: u64,
    /// Nobody will be told.
    pub given_up: u64,
}

/// What became of one.
enum End {
    Sent,
    Later(String),
    Never(String),
    /// The relay is gone: the rest has to wait.
    Broken(String),
}

impl Postman {
    /// Sends what waits in `store`; `None` in `by`: nothing.
    #[must_use]
    pub fn new(
        store: Store,
        key: Arc<SiteKey>,
        clock: Arc<dyn Clock>,
        audit: Audit,
        by: Option<(Relay, Sender)>,
    ) -> Self {
        let postman = Self { store, key, clock, audit, by: RwLock::new(None) };
        postman.adopt(by);
        postman
    }

    /// From now on in this way.
    pub fn adopt(&self, by: Option<(Relay, Sender)>) {
        let means = by.map(|(relay, sender)| Arc::new(Means { relay, sender }));
        *self.by.write().unwrap_or_else(PoisonError::into_inner) = means;
    }

    /// Those of the configuration that holds now.
    pub(super) fn means(&self) -> Option<Arc<Means>> {
        self.by.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The time.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Sends what is due, as far as the relay takes it.
    pub async fn round(&self) -> Round {
        let mut round = Round::default();
        let Some(means) = self.means() else { return round };
        if let Err(error) = self.try_round(&means, &mut round).await {
            tracing::warn!(error = &error as &dyn Error, "notices wait for the database");
        }
        if round.sent > 0 {
            tracing::info!(sent = round.sent, "users were told by mail");
        }
        round
    }

    async fn try_round(&self, means: &Means, round: &mut Round) -> Result<(), StoreError> {
        let now = self.clock.now();
        let (old, many) = self.store.give_up_notices(now.minus(GIVEN_UP_AFTER), WAITING_MAX).await?;
        for row in old {
            round.given_up += 1;
            give_up(&self.audit, &row, "nobody took it for three days").await;
        }
        for row in many {
            round.given_up += 1;
            give_up(&self.audit, &row, "more notices wait than may").await;
        }
        let due = self.store.due_notices(now, IN_A_ROUND).await?;
        let mut open = None;
        for id in due {
            // Before anything is taken: a relay that is away is no message's fault.
            let mut conversation = match open.take() {
                Some(conversation) => conversation,
                None => match means.relay.connect().await {
                    Ok(conversation) => conversation,
                    Err(error) => {
                        tracing::warn!(
                            error = &error as &dyn Error,
                            "the relay cannot be reached: notices wait"
                        );
                        break;
                    }
                },
            };
            let now = self.clock.now();
            let Some(row) = self.store.take_notice(id, now, now.plus(TAKEN_FOR)).await? else {
                open = Some(conversation);
                continue;
            };
            // What was not taken has ended the conversation, too.
            match self.send(means, &mut conversation, &row).await {
                End::Sent => {
                    self.store.forget_notice(id).await?;
                    round.sent += 1;
                    open = Some(conversation);
                }
                End::Never(why) => {
                    self.store.forget_notice(id).await?;
                    round.given_up += 1;
                    give_up(&self.audit, &row, &why).await;
                }
                End::Later(why) => {
                    round.put_off += 1;
                    self.put_off(&row, &why).await?;
                }
                End::Broken(why) => {
                    round.put_off += 1;
                    self.put_off(&row, &why).await?;
                    break;
                }
            }
        }
        if let Some(conversation) = open {
            conversation.end().await;
        }
        Ok(())
    }

    async fn send(&self, means: &Means, conversation: &mut Conversation, row: &NoticeRecord) -> End {
        if !with_parts(row, |parts| self.key.verify(Purpose::Notice, parts, &row.mac)) {
            return End::Never("somebody else changed it in the database".to_owned());
        }
        // A gate of a later version wrote it, and may send it.
        let Some(told) = read(row) else { return End::Later("this version cannot read it".to_owned()) };
        let letter = means.sender.letter(&row.address, &told);
        let id = format!("{}@{}", row.id, means.sender.hostname);
        let message = match message(&letter, &means.relay.from, &row.address, &id, row.made_at) {
            Ok(message) => message,
            Err(error) => return End::Never(chain(&error)),
        };
        match conversation.send(&message).await {
            Ok(()) => End::Sent,
            Err(error) if error.is_final() => End::Never(chain(&error)),
            Err(RelayError::Smtp(said)) if said.is_transient() => End::Later(chain(&said)),
            Err(error) => End::Broken(chain(&error)),
        }
    }

    async fn put_off(&self, row: &NoticeRecord, why: &str) -> Result<(), StoreError> {
        let pause = pause(row.attempts);
        tracing::warn!(account = row.address, seconds = pause.as_secs(), "a notice is sent later: {why}");
        self.store.put_off_notice(row, self.clock.now().plus(pause)).await
    }
}

/// After so many attempts.
fn pause(attempts: i64) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1).max(0)).unwrap_or(u32::MAX).min(16);
    PAUSE.saturating_mul(1 << doublings).min(PAUSE_MAX)
}

/// On one line, without what could steer a terminal.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    super::letter::visible(&text)
}

#[cfg(test)]
mod tests {
    //! The relay is a few lines of SMTP.

    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU16, Ordering};

    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    use tokio::net::TcpListener;

    use super::*;
    use crate::base::{Address, ManualClock, Scratch, UpstreamName};
    use crate::config::{Database, EndpointTls, HostPort, Mail};
    use crate::meters::Meters;
    use crate::notify::{Courier, Doer, NotSent, Notice, Notices, WAITING_PER_ACCOUNT};
    use crate::store::AccountRecord;

    const NONE: Round = Round { sent: 0, put_off: 0, given_up: 0 };
    const ONE_SENT: Round = Round { sent: 1, ..NONE };
    const ONE_PUT_OFF: Round = Round { put_off: 1, ..NONE };
    const ONE_GIVEN_UP: Round = Round { given_up: 1, ..NONE };

    fn sender() -> Sender {
        Sender { hostname: "mail.example.org".to_owned(), portal: None }
    }

    fn created(name: &str) -> Notice {
        Notice::AppPasswordCreated {
            name: name.to_owned(),
            label: "k7mq".to_owned(),
            read_only: false,
            by: Doer::Administrator,
        }
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
        store: Store,
        clock: Arc<ManualClock>,
        audit: Audit,
        meters: Arc<Meters>,
        notices: Notices,
        account: AccountRecord,
        directory: Scratch,
    }

    impl World {
        async fn open() -> Self {
            let directory = Scratch::new();
            let store = Store::open(&Database::Sqlite(directory.path().join("mailward.db"))).await.unwrap();
            let clock = Arc::new(ManualClock::default());
            clock.advance(Duration::from_secs(1_800_000_000));
            let config = crate::config::Audit {
                directory: directory.path().join("audit"),
                when_full: crate::config::WhenFull::Refuse,
                retention: None,
                reserve: 0,
            };
            let key = Arc::new(SiteKey::from_bytes([7; 32]));
            let audit = Audit::open(&config, store.clone(), Arc::clone(&key), clock.clone()).await.unwrap();
            let meters = Meters::new([]);
            let watched = (audit.clone(), Arc::clone(&meters));
            let notices = Notices::new(store.clone(), key, clock.clone(), watched, true);
            let address = Address::parse("alice@example.org").unwrap();
            let upstream = UpstreamName("legacy".to_owned());
            let (account, _) = store.add_account(&address, &upstream, clock.now()).await.unwrap();
            Self { store, clock, audit, meters, notices, account, directory }
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
            sent += round.await.unwrap().sent;
        }
        assert_eq!((sent, relay.taken(), world.waiting().await), (10, 10, 0));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_code_is_sent_at_once_or_not_at_all() {
        let (world, relay) = (World::open().await, FakeRelay::start().await);
        let postman = world.postman(&relay);
        let code = crate::base::Secret::new(b"012345".to_vec());
        let bring = async || postman.bring("b@163.com", "alice@example.org", &code).await;
        assert_eq!(bring().await, Ok(()));
        assert_eq!((relay.taken(), world.waiting().await), (1, 0));
        assert!(relay.taken.lock().unwrap()[0].contains("To: b@163.com"));
        relay.answer.store(451, Ordering::Relaxed);
        assert_eq!(bring().await, Err(NotSent));
        postman.adopt(Some(FakeRelay { port: 1, taken: Arc::default(), answer: Arc::default() }.relay()));
        assert_eq!(bring().await, Err(NotSent));
        postman.adopt(None);
        assert_eq!(bring().await, Err(NotSent));
        assert_eq!((relay.taken(), world.waiting().await), (1, 0));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_the_relay_does_not_take_for_now_is_sent_later() {
        let (world, relay) = (World::open().await, FakeRelay::start().await);
        let postman = world.postman(&relay);
        world.notices.tell(&world.account, created("Phone")).await;
        relay.answer.store(451, Ordering::Relaxed);
        assert_eq!((postman.round().await, world.waiting().await), (ONE_PUT_OFF, 1));
        relay.answer.store(250, Ordering::Relaxed);
        assert_eq!(postman.round().await, NONE, "not yet");
        world.clock.advance(Duration::from_secs(61));
        assert_eq!((postman.round().await, relay.taken(), world.waiting().await), (ONE_SENT, 1, 0));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_relay_that_is_away_costs_no_attempt() {
        let (world, relay) = (World::open().await, FakeRelay::start().await);
        let gone = FakeRelay { port: 1, taken: Arc::default(), answer: Arc::default() };
        let postman = world.postman(&gone);
        world.notices.tell(&world.account, created("Phone")).await;
        assert_eq!(postman.round().await, NONE);
        assert_eq!(world.store.waiting_notices(world.account.id).await.unwrap()[0].attempts, 0);
        postman.adopt(Some(relay.relay()));
        assert_eq!((postman.round().await, relay.taken()), (ONE_SENT, 1));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_a_later_version_wrote_is_left_to_it() {
        let (world, relay) = (World::open().await, FakeRelay::start().await);
        world.notices.tell(&world.account, created("Phone")).await;
        let mut row = world.store.waiting_notices(world.account.id).await.unwrap().remove(0);
        world.store.forget_notice(row.id).await.unwrap();
        row.notice = row.notice.replace("app_password_created", "not_known_yet");
        row.mac = with_parts(&row, |parts| SiteKey::from_bytes([7; 32]).mac(Purpose::Notice, parts)).to_vec();
        world.store.post_notice(&row, WAITING_PER_ACCOUNT, None, None).await.unwrap();
        assert_eq!(world.postman(&relay).round().await, ONE_PUT_OFF);
        assert_eq!((relay.taken(), world.waiting().await), (0, 1));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_refused_too_old_or_changed_is_given_up_on_record() {
        let (world, relay) = (World::open().await, FakeRelay::start().await);
        let postman = world.postman(&relay);
        world.notices.tell(&world.account, created("Phone")).await;
        relay.answer.store(550, Ordering::Relaxed);
        assert_eq!((postman.round().await, world.waiting().await), (ONE_GIVEN_UP, 0));
        relay.answer.store(250, Ordering::Relaxed);
        world.notices.tell(&world.account, created("Phone")).await;
        world.clock.advance(Duration::from_secs(3 * 24 * 3600));
        assert_eq!((postman.round().await, world.waiting().await), (ONE_GIVEN_UP, 0));
        world.notices.tell(&world.account, created("Phone")).await;
        let mut forged = world.store.waiting_notices(world.account.id).await.unwrap().remove(0);
        world.store.forget_notice(forged.id).await.unwrap();
        forged.address = "eve@example.net".to_owned();
        world.store.post_notice(&forged, 9, None, None).await.unwrap();
        assert_eq!((postman.round().await, world.waiting().await, relay.taken()), (ONE_GIVEN_UP, 0, 0));
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
        assert_eq!((world.given_up().await.len(), world.meters.notices.given_up.so_far()), (2, 2));
        world.notices.turn(false);
        world.notices.tell(&world.account, created("Tablet")).await;
        assert_eq!(world.waiting().await, 50);
    }
}
