//! The two sides of a dialogue behind one face: what the replay drives, whatever the protocol.

use std::sync::Arc;

use mailward::base::{Access, LoginName, Password};
use mailward::protocol::{
    Attempt, Channel, ClientDialogue, ClientOrigin, ClientSetup, Dialogue, Ends, Forwarding, Language,
    MailProtocol, Purpose, Refusal, ServerDialogue, ServerSetup, Shown, Step, UpstreamLogin, UpstreamReply,
    Wording,
};

use crate::script::{Header, Side};

/// How a protocol writes what its transcripts are about. `show_…` gives what brackets hold.
pub(crate) trait Written: MailProtocol {
    /// From `offer:` lines; at least one.
    fn offer(lines: &[String]) -> Self::Offer;
    /// Inside `[learned …]`.
    fn show_offer(offer: &Self::Offer) -> String;
    /// From `intro:` lines; perhaps none.
    fn introduction(lines: &[String]) -> Self::Introduction;
    /// Inside `[introduces …]`.
    fn show_introduction(introduction: &Self::Introduction) -> String;
    /// From `[admit …]`.
    fn welcome(text: &str) -> Self::Welcome;
    /// Inside `[logged-in …]`.
    fn show_welcome(welcome: &Self::Welcome) -> String;
    /// `offer:` and `intro:` lines worth trying, one set each.
    fn offers() -> &'static [&'static str];
    fn introductions() -> &'static [&'static str];
    /// What an upstream that lets everybody in, and offers what clients were told, says to `line`, which is the `turn`th
    /// of the gate's; the greeting to no line. `kind` chooses among the ways to log in.
    fn upstream_says(kind: u8, turn: usize, line: &str, told: &[String]) -> String;
}

/// A dialogue at work.
pub(crate) trait Player {
    fn receive(&mut self, bytes: &[u8]);
    fn end_of_input(&mut self);
    fn secured(&mut self);
    fn step(&mut self) -> Seen;
    fn answer(&mut self, text: &str);
    /// Whether a byte of the password was handed out.
    fn credential_sent(&self) -> bool {
        false
    }
    /// Logs in with what the last attempt told, at an upstream of this kind.
    fn log_in(&mut self, _kind: u8) -> Option<LoggedIn> {
        None
    }
    fn unread(self: Box<Self>) -> Vec<u8>;
}

/// What one step showed.
#[derive(Debug)]
pub(crate) enum Seen {
    Nothing,
    Sent(Vec<u8>),
    StartTls,
    /// The bracket's text, the facts that may be asked for, and whether the driver waits from here on.
    Event {
        text: String,
        facts: Vec<String>,
        suspends: bool,
    },
    Close,
}

/// What an attempt led to upstream.
pub(crate) struct LoggedIn {
    /// As typed.
    pub(crate) user: String,
    pub(crate) password: Vec<u8>,
    /// What went upstream, step by step.
    pub(crate) sent: Vec<Vec<u8>>,
    /// How it ended.
    pub(crate) end: Option<String>,
}

/// Makes a fresh player for each replay of a script.
pub(crate) type Factory = fn(&Header) -> Box<dyn Player>;

pub(crate) fn server<P: Written>() -> (Side, Factory) {
    (Side::Server, |header| {
        let offer = match header.all("offer") {
            [] => P::Offer::default(),
            lines => P::offer(lines),
        };
        let wording = Wording {
            hostname: header.one("hostname").unwrap_or("gate.example.org").to_owned(),
            portal: header.one("portal").map(str::to_owned),
            language: match header.one("language") {
                Some("zh") => Language::Chinese,
                _ => Language::English,
            },
        };
        let channel = match header.one("channel") {
            Some("plain") => Channel::Plain,
            _ => Channel::Secured,
        };
        let setup = ServerSetup { wording: Arc::new(wording), offer: Arc::new(offer), channel };
        let told = header.all("offer").to_vec();
        Box::new(Facing::<P> { server: P::Server::new(setup), told, attempt: None })
    })
}

pub(crate) fn client<P: Written>() -> (Side, Factory) {
    (Side::Client, |header| {
        let purpose = match header.one("login") {
            None => Purpose::Learn,
            Some(login) => Purpose::LogIn {
                login: upstream_login(login),
                introduction: P::introduction(header.all("intro")),
                client: header.one("client").map(client_origin),
            },
        };
        let setup = ClientSetup {
            starttls: header.one("starttls") == Some("yes"),
            purpose,
            own_name: header.one("own-name").unwrap_or("gate.example.org").to_owned(),
        };
        Box::new(Speaking::<P>(P::Client::new(setup)))
    })
}

/// `192.0.2.7:51234 to 192.0.2.1:993`
fn client_origin(text: &str) -> ClientOrigin {
    let (client, gate) = text.split_once(" to ").unwrap();
    let ends = Ends::new(client.parse().unwrap(), gate.parse().unwrap());
    ClientOrigin { ends, session: 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef }
}

fn upstream_login(text: &str) -> UpstreamLogin {
    let words: Vec<&str> = text.split(' ').collect();
    let (user, authorize_as, password) = match words[..] {
        [user, "as", authzid, password] => (user, Some(authzid), password),
        [user, password] => (user, None, password),
        _ => panic!("not `user [as authzid] password`: {text}"),
    };
    let name = |text: &str| LoginName::from_bytes(&crate::text::bytes(text)).unwrap();
    UpstreamLogin {
        user: name(user),
        authorize_as: authorize_as.map(name),
        password: Password::new(crate::text::bytes(password)).unwrap(),
    }
}

/// Faces the client.
struct Facing<P: MailProtocol> {
    server: P::Server,
    told: Vec<String>,
    attempt: Option<Attempt<P::Introduction>>,
}

impl<P: Written> Player for Facing<P> {
    fn receive(&mut self, bytes: &[u8]) {
        self.server.receive(bytes);
    }

    fn end_of_input(&mut self) {
        self.server.end_of_input();
    }

    fn secured(&mut self) {
        self.server.secured();
    }

    fn step(&mut self) -> Seen {
        match self.server.step() {
            Step::NeedInput => Seen::Nothing,
            Step::Send(bytes) => Seen::Sent(bytes.to_vec()),
            Step::StartTls => Seen::StartTls,
            Step::Close => Seen::Close,
            Step::Event(attempt) => {
                let credentials = &attempt.credentials;
                let password = String::from_utf8_lossy(credentials.password.expose()).into_owned();
                let seen = Seen::Event {
                    text: format!(
                        "attempt {} {password} {}",
                        credentials.login.as_str(),
                        credentials.mechanism
                    ),
                    facts: vec![
                        format!("introduces {}", P::show_introduction(&attempt.introduction)),
                        format!("program {}", credentials.program.as_deref().unwrap_or_default()),
                    ],
                    suspends: true,
                };
                self.attempt = Some(attempt);
                seen
            }
        }
    }

    fn answer(&mut self, text: &str) {
        match text.split_once(' ').unwrap_or((text, "")) {
            ("refuse", kind) => self.server.refuse(refusal(kind)),
            (_, welcome) => self.server.admit(P::welcome(welcome), Access::Full),
        }
    }

    fn log_in(&mut self, kind: u8) -> Option<LoggedIn> {
        let Attempt { credentials, introduction } = self.attempt.take()?;
        let user = credentials.login.as_str().to_owned();
        let password = credentials.password.expose().to_vec();
        let login =
            UpstreamLogin { user: credentials.login, authorize_as: None, password: credentials.password };
        let purpose = Purpose::LogIn { login, introduction, client: None };
        let setup = ClientSetup { starttls: false, purpose, own_name: "gate.example.org".to_owned() };
        let mut upstream = Speaking::<P>(P::Client::new(setup));
        let mut sent: Vec<Vec<u8>> = Vec::new();
        let mut line = String::new();
        let end = loop {
            upstream.receive(P::upstream_says(kind, sent.len(), line.trim_end(), &self.told).as_bytes());
            match upstream.step() {
                Seen::Sent(bytes) => {
                    line = String::from_utf8_lossy(&bytes).into_owned();
                    sent.push(bytes);
                }
                Seen::Event { text, .. } => break Some(text),
                Seen::Nothing | Seen::StartTls | Seen::Close => break None,
            }
        };
        Some(LoggedIn { user, password, sent, end })
    }

    fn unread(self: Box<Self>) -> Vec<u8> {
        self.server.into_unread().to_vec()
    }
}

fn refusal(kind: &str) -> Refusal {
    match kind {
        "not-let-in" => Refusal::NotLetIn,
        "bind-first" => Refusal::BindFirst,
        "out-of-scope" => Refusal::OutOfScope,
        "expired" => Refusal::Expired,
        "stale" => Refusal::Stale,
        "suspended" => Refusal::Suspended,
        "too-many-failures" => Refusal::TooManyFailures,
        "unavailable" => Refusal::Unavailable,
        "in-use" => Refusal::InUse,
        "login-delay" => Refusal::LoginDelay,
        _ => panic!("no such refusal: {kind}"),
    }
}

/// Speaks to the upstream.
struct Speaking<P: MailProtocol>(P::Client);

impl<P: Written> Player for Speaking<P> {
    fn receive(&mut self, bytes: &[u8]) {
        self.0.receive(bytes);
    }

    fn end_of_input(&mut self) {
        self.0.end_of_input();
    }

    fn secured(&mut self) {
        self.0.secured();
    }

    fn step(&mut self) -> Seen {
        let mut facts = Vec::new();
        let (text, suspends) = match self.0.step() {
            Step::NeedInput => return Seen::Nothing,
            Step::Send(bytes) => return Seen::Sent(bytes.to_vec()),
            Step::StartTls => return Seen::StartTls,
            Step::Close => return Seen::Close,
            // Only after learning does the dialogue go on: it says goodbye.
            Step::Event(UpstreamReply::Learned(offer)) => {
                (format!("learned {}", P::show_offer(&offer)), false)
            }
            Step::Event(UpstreamReply::LoggedIn(welcome)) => {
                facts.push(match self.0.forwarding() {
                    Forwarding::NotTried => "forwarding not tried".to_owned(),
                    Forwarding::NotOffered => "forwarding not offered".to_owned(),
                    Forwarding::Told => "forwarding told".to_owned(),
                    Forwarding::Declined(text) => format!("forwarding declined: {text}"),
                });
                (format!("logged-in {}", P::show_welcome(&welcome)), true)
            }
            Step::Event(UpstreamReply::Refused) => ("refused".to_owned(), true),
            Step::Event(UpstreamReply::Unavailable(trouble)) => {
                facts.push(format!("{trouble:?}"));
                facts.push(match self.0.shown() {
                    Shown::Nothing => "shown nothing".to_owned(),
                    Shown::Client => "shown the client".to_owned(),
                    Shown::Credential => "shown the credential".to_owned(),
                });
                (format!("unavailable {trouble}"), true)
            }
        };
        Seen::Event { text: text.trim_end().to_owned(), facts, suspends }
    }

    fn credential_sent(&self) -> bool {
        self.0.shown() == Shown::Credential
    }

    fn answer(&mut self, text: &str) {
        panic!("an upstream dialogue takes no answer: [{text}]");
    }

    fn unread(self: Box<Self>) -> Vec<u8> {
        self.0.into_unread().to_vec()
    }
}
