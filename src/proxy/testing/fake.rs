//! A mail protocol of a few lines.
//!
//! ```text
//!   S: hello <offer>      C: STARTTLS / FROM <address>, if the offer has FROM / LOGIN <user> <password> / OFFER / QUIT
//!   S: welcome / no / busy / changed
//! ```

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::base::{Access, LoginName, Password, Protocol};
use crate::protocol::guard::NothingPasses;
use crate::protocol::input::{Input, Line};
use crate::protocol::{
    Attempt, Channel, ClientDialogue, ClientSetup, Credentials, Dialogue, Dismissal, Forwarding,
    MailProtocol, Mechanism, Offered, Output, Purpose, Refusal, RelayGuard, ServerDialogue, ServerSetup,
    Shown, Step, Trouble, UpstreamReply,
};

pub(in crate::proxy) struct Fake;

impl MailProtocol for Fake {
    const PROTOCOL: Protocol = Protocol::Pop3;
    type Offer = String;
    type Introduction = ();
    type Welcome = String;
    type Server = Server;
    type Client = Client;

    fn read_only_guard(_: &String) -> Box<dyn RelayGuard> {
        Box::new(NothingPasses)
    }
}

/// Words; one that begins with `!` must not be missed.
impl Offered for String {
    fn intersect(&self, other: &Self) -> Self {
        let theirs: Vec<_> = other.split(' ').collect();
        self.split(' ').filter(|word| theirs.contains(word)).collect::<Vec<_>>().join(" ")
    }

    fn keeps(&self, told: &Self) -> bool {
        told.split(' ')
            .filter(|word| word.starts_with('!'))
            .all(|word| self.split(' ').any(|own| own == word))
    }
}

/// Faces the client.
pub(in crate::proxy) struct Server {
    input: Input,
    sends: Vec<Vec<u8>>,
    offer: Arc<String>,
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
        let ServerSetup { offer, channel, .. } = setup;
        Self { input: Input::default(), sends, offer, channel, handshake, closed, suspended }
    }

    fn offer(&mut self, offer: Arc<String>) {
        self.offer = offer;
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.suspended = false;
        self.sends.push(format!("refused {refusal:?}\r\n").into_bytes());
    }

    fn dismiss(&mut self, why: Dismissal) {
        self.sends.push(match why {
            Dismissal::Stopping => b"stopping\r\n".to_vec(),
            Dismissal::TimeIsUp => b"too late\r\n".to_vec(),
        });
        self.closed = true;
    }

    fn admit(&mut self, welcome: String, _: Access) {
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
                ["OFFER"] => self.sends.push(format!("offer {}\r\n", self.offer).into_bytes()),
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
pub(in crate::proxy) struct Client {
    input: Input,
    starttls: bool,
    purpose: Option<Purpose<()>>,
    sends: Vec<Vec<u8>>,
    state: State,
    shown: Shown,
    forwarding: Forwarding,
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
        let (shown, forwarding) = (Shown::Nothing, Forwarding::NotTried);
        Self { input, starttls: setup.starttls, purpose, sends, state, shown, forwarding }
    }

    fn shown(&self) -> Shown {
        self.shown
    }

    fn forwarding(&self) -> Forwarding {
        self.forwarding.clone()
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
            Purpose::LogIn { login, client, .. } => {
                if let Some(client) = client.filter(|_| offer.contains("FROM")) {
                    self.sends.push(format!("FROM {}\r\n", client.ends.client()).into_bytes());
                    self.forwarding = Forwarding::Told;
                }
                let password = String::from_utf8_lossy(login.password.expose()).into_owned();
                self.sends.push(format!("LOGIN {} {password}\r\n", login.user.as_str()).into_bytes());
                self.shown = Shown::Credential;
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
                (_, ("sorry", text)) => {
                    return Step::Event(UpstreamReply::Unavailable(Trouble::Said(text.to_owned())));
                }
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
