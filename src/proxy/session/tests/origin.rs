//! Where a connection comes from, once a balancer has said it.

use super::*;

const HEADER: &[u8] = b"PROXY TCP4 192.0.2.7 192.0.2.1 51234 993\r\n";

/// An upstream that is told where clients come from, lets everybody in, and echoes.
fn curious() -> Vec<Play> {
    let mut script = welcoming();
    script[0] = Play::Say("hello FROM\r\n");
    script.insert(1, Play::Hear);
    script
}

impl Stage {
    /// In front of which a balancer stands, on loopback as everybody here.
    async fn balanced(tls: ListenerTls, limits: Limits) -> Self {
        Self::behind("127.0.0.1", tls, limits, curious()).await
    }

    /// In TLS and greeted, passed on by a balancer that says `header`.
    async fn passed_on(&self, header: &[u8]) -> Option<Stream> {
        let mut stream = self.plain().await;
        say(&mut stream, header).await;
        let mut stream = self.connector.connect(stream).await.ok()?;
        expect(&mut stream, b"hello \r\n").await;
        Some(stream)
    }
}

#[tokio::test]
async fn what_the_balancer_says_is_recorded_and_told_upstream() {
    let stage = Stage::balanced(ListenerTls::Implicit, limits()).await;
    let mut client = stage.passed_on(HEADER).await.unwrap();
    say(&mut client, LOGIN).await;
    expect(&mut client, b"welcome ann\r\n").await;
    stage.records("login", "ip", &["192.0.2.7"]).await;
    let heard = "FROM 192.0.2.7:51234\r\nLOGIN ann@example.org canary\r\n";
    eventually(|| stage.upstream.heard() == heard).await;
}

#[tokio::test]
async fn without_a_balancer_the_peer_is_the_client() {
    let stage = Stage::open(ListenerTls::Implicit, limits(), curious()).await;
    let mut client = stage.secured().await;
    say(&mut client, LOGIN).await;
    expect(&mut client, b"welcome ann\r\n").await;
    stage.records("login", "ip", &["127.0.0.1"]).await;
    eventually(|| stage.upstream.heard().starts_with("FROM 127.0.0.1:")).await;
}

#[tokio::test]
async fn places_before_login_are_counted_for_the_client_and_not_for_the_balancer() {
    let limits = Limits { preauth_per_network: 1, ..limits() };
    let stage = Stage::balanced(ListenerTls::Implicit, limits).await;
    let first = stage.passed_on(HEADER).await;
    assert!(first.is_some());
    assert!(stage.passed_on(HEADER).await.is_none(), "its network holds its place");
    let other = b"PROXY TCP6 2001:db8::7 2001:db8::1 51234 993\r\n";
    assert!(stage.passed_on(other).await.is_some());
    let mapped = b"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:192.0.2.1 1 993\r\n";
    assert!(stage.passed_on(mapped).await.is_none(), "the same network");
    drop(first);
    eventually_passed_on(&stage).await;
}

async fn eventually_passed_on(stage: &Stage) {
    let passing = async {
        while stage.passed_on(HEADER).await.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(IN_TIME, passing).await.expect("the place was not given back");
}

#[tokio::test]
async fn a_second_header_is_no_handshake() {
    let stage = Stage::balanced(ListenerTls::Implicit, limits()).await;
    assert!(stage.passed_on(&[HEADER, HEADER].concat()).await.is_none());
}

#[tokio::test]
async fn a_balancer_that_says_nothing_gets_no_word() {
    let stage = Stage::balanced(ListenerTls::Starttls, limits()).await;
    let mut client = stage.plain().await;
    say(&mut client, b"STARTTLS\r\n").await;
    let (said, after) = rest(&mut client).await;
    assert!(said.is_empty() && after < Duration::from_secs(5), "{after:?}");
}

#[tokio::test]
async fn waiting_for_a_balancer_ends_with_the_handshakes_deadline_and_with_the_gate() {
    let short = Limits { tls_deadline: Duration::from_millis(100), ..limits() };
    let stage = Stage::balanced(ListenerTls::Starttls, short).await;
    let mut client = stage.plain().await;
    let (said, after) = rest(&mut client).await;
    assert!(said.is_empty() && after < Duration::from_secs(5), "{after:?}");
    let long = Limits { tls_deadline: IN_TIME * 2, ..limits() };
    let stage = Stage::balanced(ListenerTls::Starttls, long).await;
    let mut client = stage.plain().await;
    // It is being served, and not just queued.
    tokio::time::sleep(Duration::from_millis(100)).await;
    stage.close.send(true).unwrap();
    let (said, after) = rest(&mut client).await;
    assert!(said.is_empty() && after < Duration::from_secs(5), "{after:?}");
}
