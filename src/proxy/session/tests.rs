mod origin;

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::config::{Endpoint, EndpointTls, Upstream};
use crate::proxy::drain::PAUSE;
use crate::proxy::listener::{accept_all, bind};
use crate::proxy::testing::{
    self, Authority, Fake, FakeUpstream, IN_TIME, Play, SILENCE, Site, endpoint, eventually, limits, wording,
};
use crate::proxy::tls::Connector;

const NAME: &str = "mail.example.org";
const LOGIN: &[u8] = b"LOGIN ann@example.org canary\r\n";

/// A listener, the gate and a fake upstream.
struct Stage {
    address: SocketAddr,
    site: Site,
    upstream: FakeUpstream,
    connector: Connector,
    close: watch::Sender<bool>,
}

/// An upstream that lets everybody in and echoes.
fn welcoming() -> Vec<Play> {
    vec![Play::Say("hello \r\n"), Play::Hear, Play::Say("welcome ann\r\n"), Play::Echo]
}

impl Stage {
    async fn open(tls: ListenerTls, limits: Limits, script: Vec<Play>) -> Self {
        Self::behind("", tls, limits, script).await
    }

    /// The same, where `balancers` must say whom they pass on.
    async fn behind(balancers: &str, tls: ListenerTls, limits: Limits, script: Vec<Play>) -> Self {
        let upstream = FakeUpstream::play(script).await;
        let settings = testing::upstream(endpoint(upstream.port, EndpointTls::None));
        Self::before(upstream, settings, balancers, tls, limits).await
    }

    /// The same, before an upstream that is approached as `settings` say.
    async fn before(
        upstream: FakeUpstream,
        settings: Upstream,
        balancers: &str,
        tls: ListenerTls,
        limits: Limits,
    ) -> Self {
        let site = Site::open(&settings, limits.clone()).await;
        let authority = Authority::new();
        let (close, closing) = watch::channel(false);
        let permits = Permits::new(limits.connections, limits.preauth_per_network);
        let legs = Legs::alone(&[settings]);
        let door = Arc::new(Door::<Fake> {
            acceptor: authority.acceptor(&[NAME]),
            arrivals: Arrivals::new(balancers.parse().unwrap()),
            tls,
            wording: wording(),
            limits: Arc::new(limits),
            gate: Arc::clone(&site.gate),
            reading: site.gate.reading(),
            ways: legs.ways(&[]),
            legs,
            permits: permits.clone(),
            buffers: Buffers::default(),
            clock: Arc::clone(&site.clock),
            drain: IN_TIME * 2,
            closing: closing.clone(),
        });
        let listener: TcpListener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let serve = move |tcp, peer, place| {
            tokio::spawn(serve(Arc::clone(&door), tcp, peer, place));
        };
        tokio::spawn(accept_all(listener, permits, closing, serve));
        let trusted = Endpoint {
            ca_file: Some(authority.ca_file()),
            server_name: Some(NAME.to_owned()),
            ..endpoint(address.port(), EndpointTls::Implicit)
        };
        let connector = Connector::new(&trusted, NAME).unwrap();
        Self { address, site, upstream, connector, close }
    }

    async fn implicit(script: Vec<Play>) -> Self {
        Self::open(ListenerTls::Implicit, limits(), script).await
    }

    async fn plain(&self) -> Stream {
        Stream::plain(TcpStream::connect(self.address).await.unwrap())
    }

    /// In TLS and greeted.
    async fn secured(&self) -> Stream {
        let mut stream = self.connector.connect(self.plain().await).await.unwrap();
        expect(&mut stream, b"hello \r\n").await;
        stream
    }

    async fn records(&self, event: &str, field: &str, wanted: &[&str]) {
        eventually(|| self.site.recorded(event, field) == wanted).await;
    }
}

async fn say(stream: &mut Stream, bytes: &[u8]) {
    stream.write_all(bytes).await.unwrap();
    stream.flush().await.unwrap();
}

async fn expect(stream: &mut Stream, wanted: &[u8]) {
    let mut found = vec![0; wanted.len()];
    timeout(IN_TIME, stream.read_exact(&mut found)).await.unwrap().unwrap();
    assert_eq!(String::from_utf8_lossy(&found), String::from_utf8_lossy(wanted));
}

/// What comes until the gate closes, which it must in time, and how long that took.
async fn rest(stream: &mut Stream) -> (Vec<u8>, Duration) {
    let began = Instant::now();
    let mut bytes = Vec::new();
    // A gate that closes on unread bytes resets the connection.
    let _ = timeout(IN_TIME, stream.read_to_end(&mut bytes)).await.unwrap();
    (bytes, began.elapsed())
}

#[tokio::test]
async fn a_login_becomes_a_session_and_what_was_pipelined_arrives_once() {
    let stage = Stage::implicit(welcoming()).await;
    let mut client = stage.secured().await;
    say(&mut client, b"LOGIN ann@example.org canary\r\nSELECT inbox\r\n").await;
    expect(&mut client, b"welcome ann\r\nSELECT inbox\r\n").await;
    say(&mut client, b"more\r\n").await;
    expect(&mut client, b"more\r\n").await;
    stage.records("login", "outcome", &["admitted"]).await;
    client.shutdown().await.unwrap();
    assert_eq!(rest(&mut client).await.0, b"");
    stage.records("session_end", "reason", &["client_closed"]).await;
    assert_eq!(stage.upstream.heard(), "LOGIN ann@example.org canary\r\nSELECT inbox\r\nmore\r\n");
}

#[tokio::test]
async fn starttls_leads_to_the_same_and_before_it_nothing_secret_is_taken() {
    let stage = Stage::open(ListenerTls::Starttls, limits(), welcoming()).await;
    let mut client = stage.plain().await;
    expect(&mut client, b"hello \r\n").await;
    say(&mut client, LOGIN).await;
    expect(&mut client, b"what\r\n").await;
    say(&mut client, b"STARTTLS\r\n").await;
    expect(&mut client, b"go\r\n").await;
    let mut client = stage.connector.connect(client).await.unwrap();
    say(&mut client, LOGIN).await;
    expect(&mut client, b"welcome ann\r\n").await;
}

#[tokio::test]
async fn bytes_injected_behind_starttls_in_a_segment_of_their_own_end_the_connection() {
    let stage = Stage::open(ListenerTls::Starttls, limits(), welcoming()).await;
    let mut client = stage.plain().await;
    say(&mut client, b"STARTTLS\r\n").await;
    expect(&mut client, b"hello \r\ngo\r\n").await;
    say(&mut client, b"NOOP\r\n").await;
    let (said, _) = rest(&mut client).await;
    assert!(!said.windows(4).any(|part| part == b"what"), "{said:?}");
}

#[tokio::test]
async fn after_an_upstreams_no_the_client_stays_with_the_gate() {
    let stage =
        Stage::implicit(vec![Play::Say("hello \r\n"), Play::Hear, Play::Say("no\r\n"), Play::Echo]).await;
    let mut client = stage.secured().await;
    say(&mut client, LOGIN).await;
    expect(&mut client, b"refused NotLetIn\r\n").await;
    say(&mut client, b"SELECT inbox\r\n").await;
    expect(&mut client, b"what\r\n").await;
    assert!(!stage.upstream.heard().contains("SELECT"));
    stage.records("login", "outcome", &["refused"]).await;
}

#[tokio::test]
async fn an_upstream_that_fails_is_no_wrong_password() {
    for script in [
        vec![],
        vec![Play::Wait],
        vec![Play::Say("hello \r\n"), Play::Hear],
        // Whoever has proven nothing is not told why.
        vec![Play::Say("hello \r\n"), Play::Hear, Play::Say("busy\r\n")],
    ] {
        let upstream = FakeUpstream::play(script).await;
        let settings = Upstream {
            connect_deadline: SILENCE,
            ..testing::upstream(endpoint(upstream.port, EndpointTls::None))
        };
        let stage = Stage::before(upstream, settings, "", ListenerTls::Implicit, limits()).await;
        let mut client = stage.secured().await;
        say(&mut client, LOGIN).await;
        expect(&mut client, b"refused Unavailable\r\n").await;
        stage.records("login", "outcome", &["unavailable"]).await;
    }
}

/// For a client that is to be late: the handshake is over before, on a machine that pauses as well.
const SHORT: Duration = Duration::from_secs(3);

/// What may come on top of it.
const SLACK: Duration = Duration::from_millis(500);

#[tokio::test]
async fn no_byte_extends_the_deadline() {
    let short = Limits { auth_deadline: SHORT, ..limits() };
    let stage = Stage::open(ListenerTls::Implicit, short, welcoming()).await;
    let (mut reader, mut writer) = tokio::io::split(stage.secured().await);
    let drip = tokio::spawn(async move {
        while writer.write_all(b"x").await.is_ok() && writer.flush().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    });
    let mut said = Vec::new();
    let began = Instant::now();
    let _ = timeout(IN_TIME, reader.read_to_end(&mut said)).await.unwrap();
    assert!(began.elapsed() < SHORT + SLACK, "{:?}", began.elapsed());
    assert_eq!(String::from_utf8_lossy(&said), "too late\r\n");
    drip.abort();
}

#[tokio::test]
async fn whoever_says_nothing_hears_that_his_time_is_up() {
    let short = Limits { auth_deadline: SHORT, ..limits() };
    let secured = async {
        let stage = Stage::open(ListenerTls::Implicit, short.clone(), welcoming()).await;
        let (said, took) = rest(&mut stage.secured().await).await;
        assert_eq!(String::from_utf8_lossy(&said), "too late\r\n");
        assert!(took < SHORT + SLACK, "{took:?}");
    };
    let plain = async {
        let stage = Stage::open(ListenerTls::Starttls, short.clone(), welcoming()).await;
        let began = Instant::now();
        let (said, _) = rest(&mut stage.plain().await).await;
        assert_eq!(String::from_utf8_lossy(&said), "hello \r\ntoo late\r\n");
        assert!((SHORT - LAST_WORD..SHORT + SLACK).contains(&began.elapsed()), "{:?}", began.elapsed());
    };
    tokio::join!(secured, plain);
}

#[tokio::test]
async fn a_handshake_that_does_not_come_ends_early() {
    let short = Limits { tls_deadline: Duration::from_millis(200), ..limits() };
    let stage = Stage::open(ListenerTls::Implicit, short, welcoming()).await;
    let mut client = stage.plain().await;
    let (said, took) = rest(&mut client).await;
    assert!(said.is_empty() && took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test]
async fn a_refusal_whose_time_lies_behind_the_deadline_is_not_told() {
    let short = Limits { auth_deadline: SHORT, failure_delay: IN_TIME * 2, ..limits() };
    let script = vec![Play::Say("hello \r\n"), Play::Hear, Play::Say("no\r\n")];
    let stage = Stage::open(ListenerTls::Implicit, short, script).await;
    let mut client = stage.secured().await;
    say(&mut client, LOGIN).await;
    let (said, took) = rest(&mut client).await;
    assert!(said.is_empty() && took < SHORT + Duration::from_secs(2), "{said:?} {took:?}");
    stage.records("login", "outcome", &["refused"]).await;
}

#[tokio::test]
async fn a_network_has_its_places_before_login_and_a_session_needs_none() {
    let stage =
        Stage::open(ListenerTls::Implicit, Limits { preauth_per_network: 1, ..limits() }, welcoming()).await;
    let mut first = stage.secured().await;
    let mut second = stage.plain().await;
    assert_eq!(rest(&mut second).await.0, b"");
    say(&mut first, LOGIN).await;
    expect(&mut first, b"welcome ann\r\n").await;
    let mut third = stage.secured().await;
    say(&mut third, LOGIN).await;
    expect(&mut third, b"welcome ann\r\n").await;
    say(&mut first, b"still here\r\n").await;
    expect(&mut first, b"still here\r\n").await;
}

#[tokio::test]
async fn a_full_gate_lets_a_good_login_in_at_the_cost_of_a_stranger_and_never_of_a_session() {
    let stage = Stage::open(ListenerTls::Implicit, Limits { connections: 3, ..limits() }, welcoming()).await;
    let mut session = stage.secured().await;
    say(&mut session, LOGIN).await;
    expect(&mut session, b"welcome ann\r\n").await;
    let mut oldest = stage.plain().await;
    let _younger = stage.plain().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut good = timeout(Duration::from_secs(2), stage.secured()).await.unwrap();
    say(&mut good, LOGIN).await;
    expect(&mut good, b"welcome ann\r\n").await;
    assert_eq!(rest(&mut oldest).await.0, b"");
    say(&mut session, b"still here\r\n").await;
    expect(&mut session, b"still here\r\n").await;
}

#[tokio::test]
async fn a_stopping_gate_tells_strangers_and_ends_silent_sessions() {
    let stage = Stage::implicit(welcoming()).await;
    let mut session = stage.secured().await;
    say(&mut session, LOGIN).await;
    expect(&mut session, b"welcome ann\r\n").await;
    let mut stranger = stage.secured().await;
    stage.close.send(true).unwrap();
    let (said, took) = rest(&mut stranger).await;
    assert_eq!(said, b"stopping\r\n");
    assert!((900..3000).contains(&took.as_millis()), "{took:?}");
    assert_eq!(rest(&mut session).await.0, b"");
    stage.records("session_end", "reason", &["drained"]).await;
}

#[tokio::test]
async fn a_login_under_way_is_answered_by_a_gate_that_stops() {
    let (answer, answers) = watch::channel(false);
    let mut script = welcoming();
    script.insert(2, Play::Until(answers));
    let stage = Stage::implicit(script).await;
    let (mut early, mut late) = (stage.secured().await, stage.secured().await);
    // In one go with the login: a session that is silent for a second is over.
    let words = [LOGIN, b"one more\r\n"].concat();
    say(&mut early, &words).await;
    stage.upstream.hears("LOGIN").await;
    stage.close.send(true).unwrap();
    // Within the pause that all have.
    say(&mut late, &words).await;
    tokio::time::sleep(PAUSE + Duration::from_millis(200)).await;
    answer.send(true).unwrap();
    for client in [&mut early, &mut late] {
        expect(client, b"welcome ann\r\none more\r\n").await;
        assert_eq!(rest(client).await.0, b"");
    }
    stage.records("session_end", "reason", &["drained", "drained"]).await;
}

#[test]
fn a_relayed_session_is_small() {
    fn size_of<T, R>(_: impl FnOnce(T) -> R) -> usize {
        std::mem::size_of::<R>()
    }
    type Arguments = (Arc<Door<Fake>>, TcpStream, SocketAddr, ConnectionPermit);
    let size = size_of(|(door, tcp, peer, place): Arguments| serve(door, tcp, peer, place));
    assert!(size <= 1536, "{size} bytes");
}
