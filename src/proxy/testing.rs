//! A mail protocol of a few lines, a scripted upstream and certificates, for the tests of the proxy.
//!
//! ```text
//!   S: hello <offer>      C: STARTTLS / LOGIN <user> <password> / QUIT
//!   S: welcome / no / busy
//! ```

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use super::tls::{Acceptor, Certificates, Stream};
use crate::base::{LoginName, NetworkList, Password, Protocol, UpstreamName};
use crate::config::{
    CertificateFiles, DomainPattern, Endpoint, EndpointTls, Limits, LoginRewrite, Rate, Upstream,
    UpstreamCredential,
};
use crate::protocol::input::{Input, Line};
use crate::protocol::{
    Attempt, Channel, ClientDialogue, ClientSetup, Credentials, Dialogue, Language, MailProtocol, Mechanism,
    Output, Purpose, Refusal, ServerDialogue, ServerSetup, Step, Trouble, UpstreamLogin, UpstreamReply,
    Wording,
};

pub(super) struct Fake;

impl MailProtocol for Fake {
    const PROTOCOL: Protocol = Protocol::Pop3;
    type Offer = String;
    type Introduction = ();
    type Welcome = String;
    type Server = Server;
    type Client = Client;
}

/// Faces the client.
pub(super) struct Server {
    input: Input,
    sends: Vec<Vec<u8>>,
    channel: Channel,
    handshake: bool,
    closed: bool,
    /// An attempt is pending, or the client was admitted.
    suspended: bool,
}

impl ServerDialogue<Fake> for Server {
    fn new(setup: ServerSetup<String>) -> Self {
        let sends = vec![format!("hello {}\r\n", setup.offer).into_bytes()];
        let (handshake, closed, suspended) = (false, false, false);
        Self { input: Input::default(), sends, channel: setup.channel, handshake, closed, suspended }
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.suspended = false;
        self.sends.push(format!("refused {refusal:?}\r\n").into_bytes());
    }

    fn admit(&mut self, welcome: String) {
        self.sends.push(format!("{welcome}\r\n").into_bytes());
    }
}

impl Dialogue for Server {
    type Event = Attempt<()>;

    fn receive(&mut self, bytes: &[u8]) {
        self.input.extend(bytes);
    }

    fn end_of_input(&mut self) {
        self.closed = true;
    }

    fn step(&mut self) -> Step<Attempt<()>> {
        loop {
            if !self.sends.is_empty() {
                return Step::Send(Zeroizing::new(self.sends.remove(0)));
            }
            if self.closed {
                return Step::Close;
            }
            if self.suspended {
                return Step::NeedInput;
            }
            if std::mem::take(&mut self.handshake) {
                self.closed = !self.input.is_empty();
                if self.closed {
                    continue;
                }
                return Step::StartTls;
            }
            let Line::Complete(line) = self.input.line(100) else { return Step::NeedInput };
            let line = String::from_utf8_lossy(&line).into_owned();
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["STARTTLS"] if self.channel == Channel::Plain => {
                    self.sends.push(b"go\r\n".to_vec());
                    self.handshake = true;
                }
                ["LOGIN", user, password] if self.channel == Channel::Secured => {
                    self.suspended = true;
                    let credentials = Credentials {
                        login: LoginName::from_bytes(user.as_bytes()).unwrap(),
                        password: Password::new(password.as_bytes().to_vec()).unwrap(),
                        mechanism: Mechanism::Command,
                        program: None,
                    };
                    return Step::Event(Attempt { credentials, introduction: () });
                }
                ["QUIT"] => self.closed = true,
                _ => self.sends.push(b"what\r\n".to_vec()),
            }
        }
    }

    fn secured(&mut self) {
        self.channel = Channel::Secured;
    }

    fn into_unread(self) -> Output {
        self.input.into_bytes()
    }
}

/// Faces the upstream.
pub(super) struct Client {
    input: Input,
    starttls: bool,
    purpose: Option<Purpose<()>>,
    sends: Vec<Vec<u8>>,
    state: State,
    credential_sent: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Greeting,
    StartingTls,
    LoggingIn,
    Over,
    Gone,
}

impl ClientDialogue<Fake> for Client {
    fn new(setup: ClientSetup<()>) -> Self {
        let (input, sends, state) = (Input::default(), Vec::new(), State::Greeting);
        let purpose = Some(setup.purpose);
        Self { input, starttls: setup.starttls, purpose, sends, state, credential_sent: false }
    }

    fn credential_sent(&self) -> bool {
        self.credential_sent
    }
}

impl Client {
    fn greeted(&mut self, offer: &str) -> Option<Step<UpstreamReply<Fake>>> {
        match self.purpose.take()? {
            Purpose::Learn => {
                self.state = State::Over;
                self.sends.push(b"QUIT\r\n".to_vec());
                Some(Step::Event(UpstreamReply::Learned(offer.to_owned())))
            }
            Purpose::LogIn { login, .. } => {
                let password = String::from_utf8_lossy(login.password.expose()).into_owned();
                self.sends.push(format!("LOGIN {} {password}\r\n", login.user.as_str()).into_bytes());
                self.credential_sent = true;
                self.state = State::LoggingIn;
                None
            }
        }
    }
}

impl Dialogue for Client {
    type Event = UpstreamReply<Fake>;

    fn receive(&mut self, bytes: &[u8]) {
        self.input.extend(bytes);
    }

    fn end_of_input(&mut self) {
        self.state = State::Gone;
    }

    fn step(&mut self) -> Step<UpstreamReply<Fake>> {
        loop {
            if !self.sends.is_empty() {
                return Step::Send(Zeroizing::new(self.sends.remove(0)));
            }
            if matches!(self.state, State::Over | State::Gone) {
                return Step::Close;
            }
            let Line::Complete(line) = self.input.line(100) else { return Step::NeedInput };
            let line = String::from_utf8_lossy(&line).into_owned();
            match (self.state, line.split_once(' ').unwrap_or((&line, ""))) {
                (State::Greeting, ("hello", _)) if self.starttls => {
                    self.starttls = false;
                    self.state = State::StartingTls;
                    self.sends.push(b"STARTTLS\r\n".to_vec());
                }
                (State::Greeting, ("hello", offer)) => {
                    if let Some(step) = self.greeted(offer) {
                        return step;
                    }
                }
                (State::StartingTls, ("go", "")) if self.input.is_empty() => return Step::StartTls,
                (State::LoggingIn, ("welcome", _)) => {
                    return Step::Event(UpstreamReply::LoggedIn(line));
                }
                (State::LoggingIn, ("no", _)) => return Step::Event(UpstreamReply::Refused),
                (State::LoggingIn, ("busy", _)) => {
                    return Step::Event(UpstreamReply::Unavailable(Trouble::InUse));
                }
                (State::LoggingIn, ("changed", _)) => {
                    return Step::Event(UpstreamReply::Unavailable(Trouble::OfferChanged));
                }
                (State::StartingTls, _) => {
                    return Step::Event(UpstreamReply::Unavailable(Trouble::StartTls));
                }
                _ => return Step::Event(UpstreamReply::Unavailable(Trouble::Garbage("no known word"))),
            }
        }
    }

    fn secured(&mut self) {
        self.state = State::Greeting;
    }

    fn into_unread(self) -> Output {
        self.input.into_bytes()
    }
}

/// A certificate authority and what it signed, in PEM files of a directory that vanishes.
pub(super) struct Authority {
    directory: tempfile::TempDir,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "a test's authority");
        std::fs::write(directory.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { directory, issuer: rcgen::Issuer::new(params, key) }
    }

    pub(super) fn ca_file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// A certificate for `names`, and SHA-256 of its public key.
    pub(super) fn issue(&self, names: &[&str]) -> (CertificateFiles, [u8; 32]) {
        use rcgen::PublicKeyData;
        use sha2::Digest;
        let key = rcgen::KeyPair::generate().unwrap();
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let file = names.join("+").replace('*', "any");
        let certificate =
            rcgen::CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        let files = CertificateFiles {
            cert: self.directory.path().join(format!("{file}.pem")),
            key: self.directory.path().join(format!("{file}.key")),
        };
        std::fs::write(&files.cert, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        (files, sha2::Sha256::digest(key.subject_public_key_info()).into())
    }

    pub(super) fn acceptor(&self, names: &[&str]) -> Acceptor {
        let certificates = Certificates::load(&[self.issue(names).0]).unwrap();
        Acceptor::new(Arc::new(certificates), Fake::PROTOCOL).unwrap()
    }
}

/// What the fake upstream does when a client connects.
#[derive(Clone)]
pub(super) enum Play {
    /// Sends a line, or awaits one; `None` in an awaited line stands for any.
    Say(&'static str),
    Hear,
    Handshake(Acceptor),
    /// Echoes until the end.
    Echo,
    /// Says nothing more and keeps the connection.
    Wait,
}

/// Listens on loopback, plays the same for every connection, and remembers all it heard in clear.
pub(super) struct FakeUpstream {
    pub(super) port: u16,
    pub(super) heard: Arc<Mutex<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl FakeUpstream {
    pub(super) async fn play(script: Vec<Play>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let memory = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                tokio::spawn(perform(tcp, script.clone(), Arc::clone(&memory)));
            }
        });
        Self { port, heard, task }
    }

    pub(super) fn heard(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().unwrap()).into_owned()
    }

    /// Waits until it has heard `ending` last.
    pub(super) async fn hears(&self, ending: &str) {
        eventually(|| self.heard().ends_with(ending)).await;
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
                let mut byte = [0];
                loop {
                    stream.read_exact(&mut byte).await?;
                    memory.lock().unwrap().extend_from_slice(&byte);
                    if byte == *b"\n" {
                        break;
                    }
                }
            }
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

pub(super) fn endpoint(port: u16, tls: EndpointTls) -> Endpoint {
    let (host, server_name) = ("127.0.0.1".to_owned(), "legacy.example.org".to_owned());
    Endpoint { host, port, tls, server_name, ca_file: None, pin_sha256: None }
}

/// An upstream that speaks the fake protocol at `endpoint`, with short deadlines.
pub(super) fn upstream(endpoint: Endpoint) -> Upstream {
    Upstream {
        name: UpstreamName("legacy".into()),
        domains: vec![DomainPattern::Any],
        default_domain: None,
        domain_aliases: Vec::new(),
        accounts: None,
        login: LoginRewrite::Address,
        credential: UpstreamCredential::Sealed,
        imap: None,
        pop3: Some(endpoint),
        smtp: None,
        connect_deadline: Duration::from_millis(500),
        login_deadline: Duration::from_millis(500),
        refresh: Duration::from_secs(600),
    }
}

pub(super) fn login() -> UpstreamLogin {
    UpstreamLogin {
        user: LoginName::from_bytes(b"ann").unwrap(),
        authorize_as: None,
        password: Password::new(b"canary-secret".to_vec()).unwrap(),
    }
}

/// Both ends of one TCP connection.
pub(super) async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (near.unwrap(), far.unwrap().0)
}

/// Waits until `holds`, for five seconds at most.
pub(super) async fn eventually(holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), waiting).await.expect("it never came true");
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
