//! The three protocols through the whole proxy, to upstreams that know a few words of each.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::testing::{Authority, FakeUpstream, Play, Site, endpoint, limits};
use super::tls::{Acceptor, Connector, Stream};
use super::upstream::{KnownBy, Probe, ProbeError, probe};
use super::*;
use crate::account::{Directory, MailboxCheck, MailboxVerdict};
use crate::base::{LoginName, Password, UpstreamName};
use crate::config::{
    Audit, Database, Endpoint, EndpointTls, ListenerTls, Policies, Policy, Requirement, Server, WhenFull,
};
use crate::gate::{Rules, UpstreamRules};
use crate::protocol::Language;

const NAME: &str = "mail.example.org";

fn imap(line: &str) -> String {
    let (tag, command) = line.split_once(' ').unwrap_or((line, ""));
    match command.split(' ').collect::<Vec<_>>()[..] {
        ["CAPABILITY"] => format!("* CAPABILITY IMAP4rev1 IDLE\r\n{tag} OK done\r\n"),
        ["LOGIN", _, r#""right""#] => format!("{tag} OK [CAPABILITY IMAP4rev1 IDLE] in\r\n"),
        ["LOGIN", ..] => format!("{tag} NO no\r\n"),
        ["NOOP"] => format!("{tag} OK upstream says so\r\n"),
        _ => format!("{tag} BAD what\r\n"),
    }
}

fn pop3(line: &str) -> String {
    match line.split(' ').collect::<Vec<_>>()[..] {
        ["CAPA"] => "+OK\r\nUSER\r\nUIDL\r\n.\r\n".to_owned(),
        ["USER", _] => "+OK\r\n".to_owned(),
        ["PASS", "right"] => "+OK in\r\n".to_owned(),
        ["PASS", _] => "-ERR [AUTH] no\r\n".to_owned(),
        ["STAT"] => "+OK 0 0\r\n".to_owned(),
        _ => "-ERR what\r\n".to_owned(),
    }
}

fn smtp(line: &str) -> String {
    match line.split(' ').collect::<Vec<_>>()[..] {
        ["EHLO", _] => "250-legacy\r\n250-SIZE 1000\r\n250 AUTH PLAIN\r\n".to_owned(),
        // NUL, the name, NUL, `right`.
        ["AUTH", "PLAIN", "AGFubkBleGFtcGxlLm9yZwByaWdodA=="] => "235 2.7.0 in\r\n".to_owned(),
        ["AUTH", ..] => "535 5.7.8 no\r\n".to_owned(),
        ["NOOP"] => "250 2.0.0 upstream says so\r\n".to_owned(),
        ["XCLIENT", ..] => "220 whoever you are\r\n".to_owned(),
        _ => "500 5.5.1 what\r\n".to_owned(),
    }
}

/// One upstream of three protocols.
struct Legacy {
    imap: FakeUpstream,
    pop3: FakeUpstream,
    smtp: FakeUpstream,
}

impl Legacy {
    async fn open() -> Self {
        let greet = |greeting, answer| vec![Play::Say(greeting), Play::Converse(answer)];
        Self {
            imap: FakeUpstream::play(greet("* OK hello\r\n", imap)).await,
            pop3: FakeUpstream::play(greet("+OK hello\r\n", pop3)).await,
            smtp: FakeUpstream::play(greet("220 legacy hello\r\n", smtp)).await,
        }
    }

    fn settings(&self) -> config::Upstream {
        let plain = |server: &FakeUpstream| Some(endpoint(server.port, EndpointTls::None));
        config::Upstream {
            imap: plain(&self.imap),
            pop3: plain(&self.pop3),
            smtp: plain(&self.smtp),
            ..testing::upstream(endpoint(1, EndpointTls::None))
        }
    }
}

fn configuration(legacy: &Legacy, authority: &Authority, doors: &[(Protocol, ListenerTls)]) -> Config {
    let policy = Policy {
        second_factor: Requirement::Optional,
        factors: vec![config::FactorKind::Totp],
        app_passwords_after_unbind: config::AfterUnbind::Stop,
        app_passwords_per_account: 20,
        trusted_device: Duration::from_secs(7 * 86_400),
        ..Policy::default()
    };
    let address = "127.0.0.1:0".parse().unwrap();
    let listener = |&(protocol, tls): &(Protocol, ListenerTls)| config::Listener {
        protocol,
        address,
        tls,
        upstreams: Vec::new(),
        proxy_protocol_from: Default::default(),
    };
    Config {
        server: Server {
            hostname: NAME.to_owned(),
            data_dir: "/nowhere".into(),
            refusal_text: Language::English,
            drain: Duration::from_secs(10),
        },
        database: Database::Sqlite("/nowhere".into()),
        certificates: vec![authority.issue(&[NAME]).0],
        listeners: doors.iter().map(listener).collect(),
        upstreams: vec![legacy.settings()],
        policies: Policies { default: policy, domains: Default::default() },
        limits: limits(),
        portal: None,
        mail: None,
        metrics: None,
        audit: Audit {
            directory: "/nowhere".into(),
            when_full: WhenFull::Refuse,
            retention: None,
            reserve: 0,
        },
    }
}

/// A client that reads and says lines.
struct Client(Stream);

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        Self(Stream::plain(TcpStream::connect(address).await.unwrap()))
    }

    async fn secure(self, authority: &Authority, port: u16) -> Self {
        let trusted = Endpoint {
            ca_file: Some(authority.ca_file()),
            server_name: Some(NAME.to_owned()),
            ..endpoint(port, EndpointTls::Implicit)
        };
        Self(Connector::new(&trusted, NAME).unwrap().connect(self.0).await.unwrap())
    }

    async fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// Lines up to the one that begins with `start`.
    async fn until(&mut self, start: &str) -> String {
        let mut text = String::new();
        while !text.lines().last().is_some_and(|line| line.starts_with(start)) || !text.ends_with('\n') {
            text.push(char::from(self.0.read_u8().await.unwrap()));
        }
        text
    }
}

#[tokio::test]
async fn each_protocol_logs_in_through_starttls_and_through_implicit_tls() {
    let (legacy, authority) = (Legacy::open().await, Authority::new());
    let doors: Vec<_> = Protocol::ALL
        .into_iter()
        .flat_map(|protocol| [(protocol, ListenerTls::Implicit), (protocol, ListenerTls::Starttls)])
        .collect();
    let config = configuration(&legacy, &authority, &doors);
    let site = Site::open(&config.upstreams[0], limits()).await;
    let prepared = Prepared::first(&config, Inherited::default()).unwrap();
    let addresses = prepared.addresses();
    let (close, closing) = watch::channel(false);
    let lanes = Lanes::start().unwrap();
    let proxy = Proxy::open(prepared, &lanes, Arc::clone(&site.gate), Arc::clone(&site.clock), closing).await;
    assert!(proxy.is_attended());
    for ((protocol, address), (_, tls)) in addresses.into_iter().zip(doors) {
        let port = address.port();
        let mut client = Client::connect(address).await;
        if tls == ListenerTls::Implicit {
            client = client.secure(&authority, port).await;
        }
        let (greeting, upgrade, go) = match protocol {
            Protocol::Imap => ("* OK", "s STARTTLS\r\n", "s OK"),
            Protocol::Pop3 => ("+OK", "STLS\r\n", "+OK"),
            Protocol::Smtp => ("220 ", "EHLO me\r\nSTARTTLS\r\n", "220 "),
        };
        client.until(greeting).await;
        if tls == ListenerTls::Starttls {
            client.say(upgrade).await;
            client.until(go).await;
            client = client.secure(&authority, port).await;
        }
        match protocol {
            Protocol::Imap => {
                client.say("a CAPABILITY\r\nb LOGIN ann@example.org \"right\"\r\nc NOOP\r\n").await;
                assert!(client.until("a OK").await.contains("IDLE"), "learned from the upstream");
                assert!(client.until("b OK").await.contains("[CAPABILITY IMAP4rev1 IDLE]"));
                assert_eq!(client.until("c ").await, "c OK upstream says so\r\n");
            }
            Protocol::Pop3 => {
                client.say("CAPA\r\n").await;
                assert!(client.until(".").await.contains("UIDL"));
                client.say("USER ann@example.org\r\nPASS right\r\nSTAT\r\n").await;
                client.until("+OK").await;
                client.until("+OK").await;
                assert_eq!(client.until("+OK").await, "+OK 0 0\r\n");
            }
            Protocol::Smtp => {
                client.say("EHLO [192.0.2.1]\r\n").await;
                assert!(client.until("250 ").await.contains("SIZE 1000"));
                client.say("AUTH PLAIN AGFubkBleGFtcGxlLm9yZwByaWdodA==\r\n").await;
                client.until("235 ").await;
                client.say("XCLIENT LOGIN=root\r\nNOOP\r\n").await;
                assert!(client.until("5").await.starts_with('5'), "the gate answers that itself");
                assert_eq!(client.until("250").await, "250 2.0.0 upstream says so\r\n");
            }
        }
    }
    assert!(legacy.smtp.heard().contains("EHLO [192.0.2.1]\r\n"), "the client's own name");
    assert!(!legacy.smtp.heard().contains("XCLIENT"));
    close.send(true).unwrap();
    proxy.drained().await;
    assert_eq!(site.recorded("login", "outcome"), ["admitted"; 6]);
    // At leisure.
    testing::eventually(|| site.recorded("session_end", "reason").len() == 6).await;
}

/// What the gate is told of it.
fn rules(config: &Config) -> Rules {
    let upstreams = config.upstreams.iter().map(|upstream| UpstreamRules::new(upstream, None).unwrap());
    Rules {
        directory: Arc::new(Directory::new(&config.upstreams).unwrap()),
        policies: config.policies.clone(),
        limits: config.limits.clone(),
        when_full: config.audit.when_full,
        upstreams: upstreams.collect(),
    }
}

#[tokio::test]
async fn who_was_connected_when_the_upstream_moved_is_sent_neither_to_the_old_server_nor_to_the_new() {
    let (old, new, authority) = (Legacy::open().await, Legacy::open().await, Authority::new());
    let mut config = configuration(&old, &authority, &[(Protocol::Imap, ListenerTls::Implicit)]);
    let site = Site::open(&config.upstreams[0], limits()).await;
    let prepared = Prepared::first(&config, Inherited::default()).unwrap();
    let address = prepared.addresses()[0].1;
    let (_close, closing) = watch::channel(false);
    let lanes = Lanes::start().unwrap();
    let mut proxy =
        Proxy::open(prepared, &lanes, Arc::clone(&site.gate), Arc::clone(&site.clock), closing).await;
    let connect = async || {
        let mut client = Client::connect(address).await.secure(&authority, address.port()).await;
        client.until("* OK").await;
        client
    };
    let mut early = connect().await;

    let login = config::LoginRewrite::Template("{local}%{domain}".to_owned());
    config.upstreams[0] = config::Upstream { login, ..new.settings() };
    let prepared = proxy.prepare(&config).await.unwrap();
    site.gate.adopt(rules(&config));
    proxy.adopt(prepared);

    early.say("a LOGIN ann@example.org \"right\"\r\n").await;
    assert!(early.until("a ").await.contains("a NO [UNAVAILABLE]"));
    early.until("* BYE").await;
    for server in [&old, &new] {
        assert!(!server.imap.heard().contains("LOGIN"), "{}", server.imap.heard());
    }
    let mut late = connect().await;
    late.say("a LOGIN ann@example.org \"right\"\r\n").await;
    assert!(late.until("a ").await.contains("a OK"));
    assert!(new.imap.heard().contains("LOGIN \"ann%example.org\" "), "{}", new.imap.heard());
    assert_eq!(site.recorded("login", "outcome"), ["unavailable", "admitted"]);
}

#[tokio::test]
async fn another_max_connections_counts_who_is_there() {
    let (legacy, authority) = (Legacy::open().await, Authority::new());
    let mut config = configuration(&legacy, &authority, &[(Protocol::Imap, ListenerTls::Implicit)]);
    config.upstreams[0].max_connections = 3;
    let site = Site::open(&config.upstreams[0], limits()).await;
    let prepared = Prepared::first(&config, Inherited::default()).unwrap();
    let address = prepared.addresses()[0].1;
    let (_close, closing) = watch::channel(false);
    let lanes = Lanes::start().unwrap();
    let mut proxy =
        Proxy::open(prepared, &lanes, Arc::clone(&site.gate), Arc::clone(&site.clock), closing).await;
    let log_in = async |answer| {
        let mut client = Client::connect(address).await.secure(&authority, address.port()).await;
        client.until("* OK").await;
        client.say("a LOGIN ann@example.org \"right\"\r\n").await;
        assert!(client.until("a ").await.contains(answer));
        client
    };
    let load = |proxy: &Proxy| {
        let load = proxy.upstreams().borrow().load().remove(0);
        (load.connections, load.max_connections)
    };
    let first = log_in("a OK").await;
    let _second = log_in("a OK").await;
    for (most, answer) in [(2, "a NO [UNAVAILABLE]"), (1, "a NO [UNAVAILABLE]")] {
        config.upstreams[0].max_connections = most;
        let prepared = proxy.prepare(&config).await.unwrap();
        assert_ne!(load(&proxy).1, Some(most), "not before it is in force");
        site.gate.adopt(rules(&config));
        proxy.adopt(prepared);
        assert_eq!(load(&proxy), (2, Some(most)));
        log_in(answer).await;
    }
    drop(first);
    testing::eventually(|| load(&proxy).0 == 1).await;
    log_in("a NO [UNAVAILABLE]").await;
}

#[tokio::test]
async fn a_session_that_is_over_leaves_its_seat_before_the_trail_has_it() {
    let (legacy, authority) = (Legacy::open().await, Authority::new());
    let config = configuration(&legacy, &authority, &[(Protocol::Imap, ListenerTls::Implicit)]);
    let site = Site::open(&config.upstreams[0], limits()).await;
    let prepared = Prepared::first(&config, Inherited::default()).unwrap();
    let address = prepared.addresses()[0].1;
    let (_close, closing) = watch::channel(false);
    let lanes = Lanes::start().unwrap();
    let proxy = Proxy::open(prepared, &lanes, Arc::clone(&site.gate), Arc::clone(&site.clock), closing).await;
    let taken = || proxy.upstreams().borrow().load()[0].connections;
    let mut client = Client::connect(address).await.secure(&authority, address.port()).await;
    client.until("* OK").await;
    client.say("a LOGIN ann@example.org \"right\"\r\n").await;
    assert!(client.until("a ").await.contains("a OK"));
    assert_eq!(taken(), 1);
    let held = site.audit.hold().await;
    drop(client);
    testing::eventually(|| taken() == 0).await;
    assert!(site.recorded("session_end", "reason").is_empty());
    drop(held);
    testing::eventually(|| site.recorded("session_end", "reason") == ["client_closed"]).await;
}

#[tokio::test]
async fn a_mailbox_password_is_checked_over_whichever_protocol_there_is() {
    let legacy = Legacy::open().await;
    let authority = Authority::new();
    let user = LoginName::from_bytes(b"ann@example.org").unwrap();
    let name = UpstreamName("legacy".to_owned());
    let mut config = configuration(&legacy, &authority, &[]);
    let check = async |config: &Config, password: &str| {
        let password = Password::new(password.as_bytes().to_vec()).unwrap();
        Upstreams::new(config).unwrap().check(&name, &user, &password).await
    };
    assert_eq!(check(&config, "right").await, MailboxVerdict::Right);
    assert_eq!(check(&config, "wrong").await, MailboxVerdict::Wrong);
    legacy.imap.hears(" LOGOUT\r\n").await;
    config.upstreams[0].imap = None;
    assert_eq!(check(&config, "right").await, MailboxVerdict::Right);
    assert_eq!(check(&config, "wrong").await, MailboxVerdict::Wrong);
    legacy.pop3.hears("PASS wrong\r\n").await;
    config.upstreams[0].pop3 = None;
    assert_eq!(check(&config, "right").await, MailboxVerdict::Right);
    assert_eq!(check(&config, "wrong").await, MailboxVerdict::Wrong);
    let _refuses = legacy.smtp.leave().await;
    assert!(matches!(check(&config, "right").await, MailboxVerdict::Unavailable { sent: false, .. }));
}

#[tokio::test]
async fn a_look_at_a_server_finds_the_best_protection_and_the_key_to_pin() {
    let authority = Authority::new();
    let (files, pin) = authority.issue(&[NAME]);
    let certificates = Arc::new(Certificates::load(&[files]).unwrap());
    let acceptor = Acceptor::new(certificates, Protocol::Pop3).unwrap();
    let look = async |script| {
        let server = FakeUpstream::play(script).await;
        probe(Protocol::Pop3, "127.0.0.1", server.port).await
    };
    let talk = [Play::Say("+OK hello\r\n"), Play::Converse(pop3)];
    let found = look(talk.to_vec()).await.unwrap();
    assert_eq!(found, Probe { tls: EndpointTls::None, known_by: None });

    let mut script = vec![Play::Handshake(acceptor.clone())];
    script.extend(talk.clone());
    let found = look(script).await.unwrap();
    assert_eq!(found, Probe { tls: EndpointTls::Implicit, known_by: Some(KnownBy::Key(pin)) });

    let error = look(vec![Play::Say("SSH-2.0-OpenSSH\r\n"), Play::Wait]).await.unwrap_err();
    assert!(matches!(error, ProbeError::Failed { .. }), "{error}");
}
