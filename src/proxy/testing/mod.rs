//! What the tests of the proxy stand on: a mail protocol of a few lines, scripted upstreams, certificates, and a
//! real gate.

mod authority;
mod fake;
mod port;
mod site;
mod upstream;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::base::NetworkList;
use crate::config::{Limits, Rate};
use crate::protocol::{Language, Wording};

pub(super) use authority::Authority;
pub(super) use fake::{Fake, Server};
pub(super) use port::Port;
pub(super) use site::Site;
pub(super) use upstream::{FakeUpstream, Play, SILENCE, client, endpoint, login, upstream};

/// Both ends of one TCP connection.
pub(super) async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (near.unwrap(), far.unwrap().0)
}

/// For what must come about: so long no machine pauses.
pub(super) const IN_TIME: Duration = Duration::from_secs(30);

/// Waits until `holds`.
pub(super) async fn eventually(holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(IN_TIME, waiting).await.expect("it never came true");
}

pub(super) fn limits() -> Limits {
    let rate = Rate { burst: 10, per: Duration::from_secs(600) };
    Limits {
        per_network: rate,
        per_account: rate,
        preauth_per_network: 200,
        sessions_per_account: 100,
        connections: 1000,
        exempt: NetworkList::default(),
        auth_deadline: Duration::from_secs(60),
        failure_delay: Duration::ZERO,
        idle: Duration::from_secs(2100),
        tls_deadline: Duration::from_secs(10),
        proof_cache: Duration::from_secs(3600),
    }
}

pub(super) fn wording() -> Arc<Wording> {
    let hostname = "gate.example.org".to_owned();
    Arc::new(Wording { hostname, portal: None, language: Language::English })
}
