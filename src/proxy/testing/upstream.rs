//! A scripted upstream.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Port, eventually};
use crate::base::{LoginName, Password, UpstreamName};
use crate::config::{
    DomainPattern, Endpoint, EndpointTls, HostPort, LoginRewrite, SubAddressDelimiter, Upstream,
    UpstreamCredential,
};
use crate::protocol::{ClientOrigin, Ends, UpstreamLogin};
use crate::proxy::tls::{Acceptor, Stream};

/// What the fake upstream does when a client connects.
#[derive(Clone)]
pub(in crate::proxy) enum Play {
    /// Sends this.
    Say(&'static str),
    /// Awaits a line.
    Hear,
    /// Answers each line with what this makes of it, until the end.
    Converse(fn(&str) -> String),
    Handshake(Acceptor),
    /// Echoes until the end.
    Echo,
    /// Does nothing until this is true.
    Until(watch::Receiver<bool>),
    /// Says nothing more and keeps the connection.
    Wait,
}

/// Listens on loopback, plays the same for every connection, and remembers all it heard in clear.
pub(in crate::proxy) struct FakeUpstream {
    pub(in crate::proxy) port: u16,
    pub(in crate::proxy) heard: Arc<Mutex<Vec<u8>>>,
    place: Arc<Port>,
    task: JoinHandle<()>,
}

impl FakeUpstream {
    pub(in crate::proxy) async fn play(script: Vec<Play>) -> Self {
        let place = Arc::new(Port::take());
        let (port, listener) = (place.number, place.listen().await);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let memory = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                tokio::spawn(perform(tcp, script.clone(), Arc::clone(&memory)));
            }
        });
        Self { port, heard, place, task }
    }

    /// Goes away; who comes is refused as long as what this returns lives.
    pub(in crate::proxy) async fn leave(mut self) -> Arc<Port> {
        self.task.abort();
        // With the task ends the listener.
        let _ = (&mut self.task).await;
        Arc::clone(&self.place)
    }

    pub(in crate::proxy) fn heard(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().unwrap()).into_owned()
    }

    /// Waits until it has heard `words`.
    pub(in crate::proxy) async fn hears(&self, words: &str) {
        eventually(|| self.heard().contains(words)).await;
    }
}

impl Drop for FakeUpstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn perform(tcp: TcpStream, script: Vec<Play>, memory: Arc<Mutex<Vec<u8>>>) -> std::io::Result<()> {
    let mut stream = Stream::plain(tcp);
    for act in script {
        match act {
            Play::Say(line) => {
                stream.write_all(line.as_bytes()).await?;
                stream.flush().await?;
            }
            Play::Hear => {
                hear(&mut stream, &memory).await?;
            }
            Play::Converse(answer) => loop {
                let line = hear(&mut stream, &memory).await?;
                stream.write_all(answer(&line).as_bytes()).await?;
                stream.flush().await?;
            },
            Play::Handshake(acceptor) => stream = acceptor.accept(stream).await?,
            Play::Echo => {
                let mut bytes = [0; 4096];
                loop {
                    let count = stream.read(&mut bytes).await?;
                    if count == 0 {
                        break;
                    }
                    memory.lock().unwrap().extend_from_slice(&bytes[..count]);
                    stream.write_all(&bytes[..count]).await?;
                    stream.flush().await?;
                }
            }
            Play::Until(mut told) => {
                let _ = told.wait_for(|told| *told).await;
            }
            Play::Wait => {
                let mut bytes = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut bytes).await {
                    memory.lock().unwrap().extend_from_slice(&bytes[..count]);
                }
            }
        }
    }
    stream.shutdown().await
}

async fn hear(stream: &mut Stream, memory: &Mutex<Vec<u8>>) -> std::io::Result<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        line.push(stream.read_u8().await?);
    }
    memory.lock().unwrap().extend_from_slice(&line);
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

pub(in crate::proxy) fn endpoint(port: u16, tls: EndpointTls) -> Endpoint {
    let addresses = vec![HostPort { host: "127.0.0.1".to_owned(), port }];
    let server_name = Some("legacy.example.org".to_owned());
    Endpoint { addresses, tls, server_name, ca_file: None, pin_sha256: Vec::new() }
}

/// Enough of a server that is silent: for tests of silence alone, because a machine that pauses is silent as well.
pub(in crate::proxy) const SILENCE: Duration = Duration::from_millis(500);

/// An upstream that speaks the fake protocol at `endpoint`, with deadlines that nothing but silence misses.
pub(in crate::proxy) fn upstream(endpoint: Endpoint) -> Upstream {
    Upstream {
        name: UpstreamName("legacy".into()),
        domains: vec![DomainPattern::Any],
        default_domain: None,
        domain_aliases: Vec::new(),
        unicode_domains: Vec::new(),
        aliases: None,
        sub_address_delimiter: SubAddressDelimiter::default(),
        hostnames: Vec::new(),
        accounts: None,
        login: LoginRewrite::Address,
        credential: UpstreamCredential::Sealed,
        imap: None,
        pop3: Some(endpoint),
        smtp: None,
        forward_client: Default::default(),
        connect_deadline: Duration::from_secs(30),
        login_deadline: Duration::from_secs(30),
        refresh: Duration::from_secs(600),
        max_connections: 0,
        same_passwords_as: Vec::new(),
        failures_in_all: crate::config::Rate { burst: 1000, per: Duration::from_secs(60) },
        failures_per_account: crate::config::Rate { burst: 1000, per: Duration::from_secs(60) },
    }
}

pub(in crate::proxy) fn login() -> UpstreamLogin {
    UpstreamLogin {
        user: LoginName::from_bytes(b"ann").unwrap(),
        authorize_as: None,
        password: Password::new(b"canary-secret".to_vec()).unwrap(),
    }
}

/// For whom a login may be.
pub(in crate::proxy) fn client() -> ClientOrigin {
    let ends = Ends::new("192.0.2.7:51234".parse().unwrap(), "192.0.2.1:993".parse().unwrap());
    ClientOrigin { ends, session: 1 }
}
