//! The side of the gate that an IMAP upstream talks to.
//!
//! ```text
//!   Greeting ──▶ StartingTls ──▶ Handshaking ──▶ Beginning ──▶ Asking ──▶ Told(Learned) ──▶ Leaving ──▶ Closed
//!      │                                             ▲           │
//!      └── no STARTTLS demanded ─────────────────────┘           ▼
//!      Over ◀── Told(LoggedIn) ◀── IntroducingAgain ◀── AskingAgain ◀── LoggingIn ◀── Proposing ◀── Introducing
//! ```
//!
//! The upstream may be anybody until its certificate was verified, and odd after that. No byte of a
//! credential leaves unless the secured leg is really secured, and never twice. What is said before TLS is
//! forgotten. Only a definite refusal of the credential itself is a refusal; everything else is trouble with
//! the upstream.

use std::collections::VecDeque;
use std::mem;

use zeroize::Zeroizing;

use super::framing::{Framed, Framer};
use super::login::{self, Piece, Ways};
use super::offer::Capabilities;
use super::response::{self, Kind, Response, Status};
use super::{Imap, Introduction, Offer, Welcome};
use crate::protocol::{
    ClientDialogue, ClientSetup, Dialogue, Forwarding, Output, Purpose, Shown, Step, Trouble, UpstreamLogin,
    UpstreamReply,
};

/// The most bytes that an upstream may say before the client is handed over: a long message of the day fits
/// many times.
const HEARD_MAX: usize = 64 * 1024;

const STARTTLS: &str = "g1";
const CAPABILITY: &str = "g2";
const ID: &str = "g3";
const LOGIN: &str = "g4";
const CAPABILITY_AGAIN: &str = "g5";
const ID_AGAIN: &str = "g6";
const LOGOUT: &str = "g7";
const LOGIN_INSTEAD: &str = "g8";

/// The dialogue.
pub struct Client {
    starttls: bool,
    framer: Framer,
    ended: bool,
    /// Bytes of whole messages so far.
    heard: usize,
    /// The last list of capabilities since it was last forgotten.
    capabilities: Option<Capabilities>,
    /// The list by which the login was chosen.
    before_login: Capabilities,
    /// Untagged lines for the client, since the login began.
    untagged: Vec<u8>,
    shown: Shown,
    forwarding: Forwarding,
    state: State,
}

enum State {
    Greeting(Purpose<Introduction>),
    StartingTls(Purpose<Introduction>),
    Handshaking(Purpose<Introduction>),
    /// The leg is as it will be; nothing was said on it yet.
    Beginning(Purpose<Introduction>),
    Asking(Purpose<Introduction>),
    Introducing(UpstreamLogin, Introduction),
    /// The first piece of the login was sent, which holds nothing of the credential: it may be declined.
    Proposing(Ways, Introduction),
    /// Some pieces of the login are still to be asked for.
    LoggingIn(&'static str, VecDeque<Piece>, Introduction),
    /// Logged in, with this text.
    AskingAgain(String, Introduction),
    IntroducingAgain(String),
    Told(Box<UpstreamReply<Imap>>),
    Leaving,
    /// Logged in: whatever comes now is the client's.
    Over,
    Closed,
}

/// The next state, and the step if the driver has something to do first.
type Turn = (State, Option<Step<UpstreamReply<Imap>>>);

/// What the upstream said, as far as a command that awaits its answer cares.
enum Heard {
    Nothing,
    Continue,
    Answer(Status),
    Trouble(Trouble),
}

impl Dialogue for Client {
    type Event = UpstreamReply<Imap>;

    fn receive(&mut self, bytes: &[u8]) {
        if !matches!(self.state, State::Closed) {
            self.framer.receive(bytes);
        }
    }

    fn end_of_input(&mut self) {
        self.ended = true;
    }

    fn step(&mut self) -> Step<Self::Event> {
        loop {
            let (state, step) = match mem::replace(&mut self.state, State::Closed) {
                State::Greeting(purpose) => self.greeting(purpose),
                State::StartingTls(purpose) => self.starting_tls(purpose),
                State::Beginning(purpose) => self.begin(purpose),
                State::Asking(purpose) => self.asking(purpose),
                State::Introducing(login, introduction) => self.introducing(login, introduction),
                State::Proposing(ways, introduction) => self.proposing(ways, introduction),
                State::LoggingIn(tag, pieces, introduction) => self.logging_in(tag, pieces, introduction),
                State::AskingAgain(text, introduction) => self.asking_again(text, introduction),
                State::IntroducingAgain(text) => self.introducing_again(text),
                State::Told(reply) => {
                    let state = match *reply {
                        UpstreamReply::Learned(_) => State::Leaving,
                        UpstreamReply::LoggedIn(_) => State::Over,
                        UpstreamReply::Refused | UpstreamReply::Unavailable(_) => State::Closed,
                    };
                    (state, Some(Step::Event(*reply)))
                }
                State::Leaving => (State::Closed, say(LOGOUT, "LOGOUT")),
                waiting @ (State::Handshaking(_) | State::Over) => (waiting, Some(Step::NeedInput)),
                State::Closed => (State::Closed, Some(Step::Close)),
            };
            self.state = state;
            if let Some(step) = step {
                return step;
            }
        }
    }

    fn secured(&mut self) {
        if !matches!(self.state, State::Handshaking(_)) {
            return;
        }
        if let State::Handshaking(purpose) = mem::replace(&mut self.state, State::Closed) {
            self.capabilities = None;
            // Bytes before the handshake would be believed as if they had come inside TLS.
            self.state = match self.framer.unread().is_empty() {
                true => State::Beginning(purpose),
                false => trouble(Trouble::StartTls).0,
            };
        }
    }

    /// Only what follows a login is anybody's.
    fn into_unread(self) -> Zeroizing<Vec<u8>> {
        match self.state {
            State::Over => self.framer.into_unread(),
            State::Greeting(_)
            | State::StartingTls(_)
            | State::Handshaking(_)
            | State::Beginning(_)
            | State::Asking(_)
            | State::Introducing(..)
            | State::Proposing(..)
            | State::LoggingIn(..)
            | State::AskingAgain(..)
            | State::IntroducingAgain(_)
            | State::Told(_)
            | State::Leaving
            | State::Closed => Zeroizing::default(),
        }
    }
}

impl ClientDialogue<Imap> for Client {
    fn new(setup: ClientSetup<Introduction>) -> Self {
        Self {
            starttls: setup.starttls,
            framer: Framer::default(),
            ended: false,
            heard: 0,
            capabilities: None,
            before_login: Capabilities::default(),
            untagged: Vec::new(),
            shown: Shown::Nothing,
            forwarding: Forwarding::NotTried,
            state: State::Greeting(setup.purpose),
        }
    }

    fn shown(&self) -> Shown {
        self.shown
    }

    fn forwarding(&self) -> Forwarding {
        self.forwarding.clone()
    }
}

impl Client {
    /// RFC 9051 section 7.1.5; some servers say something else before.
    fn greeting(&mut self, purpose: Purpose<Introduction>) -> Turn {
        loop {
            let message = match self.message() {
                Ok(Some(message)) => message,
                Ok(None) => return (State::Greeting(purpose), Some(Step::NeedInput)),
                Err(fault) => return trouble(fault),
            };
            match Response::read(&message) {
                Response::Untagged(status) => match status.kind {
                    Kind::Ok => self.capabilities = status.capabilities.or(self.capabilities.take()),
                    Kind::Bye => return trouble(Trouble::Said(status.text)),
                    // Whoever it is logged in as, it is not who asked (RFC 9051 section 11.3).
                    Kind::PreAuth => return trouble(Trouble::PreAuthenticated),
                    Kind::No | Kind::Bad => return trouble(Trouble::Garbage("no greeting")),
                },
                Response::Capability(listed) => {
                    self.capabilities = Some(listed);
                    continue;
                }
                Response::Data | Response::Id => continue,
                Response::Continue | Response::Tagged(..) | Response::Garbage => {
                    return trouble(Trouble::Garbage("no greeting"));
                }
            }
            // Whether STARTTLS was offered is not asked: what is said in the clear may be anybody's word.
            return match self.starttls {
                true => (State::StartingTls(purpose), say(STARTTLS, "STARTTLS")),
                false => (State::Beginning(purpose), None),
            };
        }
    }

    fn starting_tls(&mut self, purpose: Purpose<Introduction>) -> Turn {
        match self.hear(STARTTLS) {
            Heard::Nothing => (State::StartingTls(purpose), Some(Step::NeedInput)),
            Heard::Answer(Status { kind: Kind::Ok, .. }) if self.framer.unread().is_empty() => {
                (State::Handshaking(purpose), Some(Step::StartTls))
            }
            Heard::Answer(_) | Heard::Continue => trouble(Trouble::StartTls),
            Heard::Trouble(fault) => trouble(fault),
        }
    }

    fn begin(&mut self, purpose: Purpose<Introduction>) -> Turn {
        match self.capabilities.take() {
            Some(capabilities) => self.use_offer(purpose, capabilities),
            None => (State::Asking(purpose), say(CAPABILITY, "CAPABILITY")),
        }
    }

    fn asking(&mut self, purpose: Purpose<Introduction>) -> Turn {
        match self.hear(CAPABILITY) {
            Heard::Nothing => (State::Asking(purpose), Some(Step::NeedInput)),
            Heard::Answer(Status { kind: Kind::Ok, .. }) => match self.capabilities.take() {
                Some(capabilities) => self.use_offer(purpose, capabilities),
                None => trouble(Trouble::Garbage("no capabilities")),
            },
            Heard::Answer(_) => trouble(Trouble::Garbage("no capabilities")),
            Heard::Continue => trouble(UNASKED),
            Heard::Trouble(fault) => trouble(fault),
        }
    }

    fn use_offer(&mut self, purpose: Purpose<Introduction>, capabilities: Capabilities) -> Turn {
        match purpose {
            Purpose::Learn => told(UpstreamReply::Learned(Offer::new(capabilities))),
            Purpose::LogIn { login, introduction, client } => {
                let offered = capabilities.has("ID");
                // What it answers may still take this back.
                self.forwarding = match client {
                    None => Forwarding::NotTried,
                    Some(_) if offered => Forwarding::Told,
                    Some(_) => Forwarding::NotOffered,
                };
                let command = introduction.command(ID, client.as_ref()).filter(|_| offered);
                self.capabilities = Some(capabilities);
                match command {
                    Some(command) => {
                        self.shown = Shown::Client;
                        (State::Introducing(login, introduction), Some(Step::Send(Output::new(command))))
                    }
                    None => self.log_in(&login, introduction),
                }
            }
        }
    }

    /// Whatever it makes of the introduction, the login follows.
    fn introducing(&mut self, login: UpstreamLogin, introduction: Introduction) -> Turn {
        match self.hear(ID) {
            Heard::Nothing => (State::Introducing(login, introduction), Some(Step::NeedInput)),
            Heard::Answer(status) => {
                if self.forwarding == Forwarding::Told && status.kind != Kind::Ok {
                    self.forwarding = Forwarding::Declined(status.text);
                }
                self.log_in(&login, introduction)
            }
            Heard::Continue => trouble(UNASKED),
            Heard::Trouble(fault) => trouble(fault),
        }
    }

    fn log_in(&mut self, login: &UpstreamLogin, introduction: Introduction) -> Turn {
        // What was offered before login says nothing about afterwards.
        self.before_login = self.capabilities.take().unwrap_or_default();
        self.untagged.clear();
        match login::ways(LOGIN, LOGIN_INSTEAD, login, &self.before_login) {
            Some(Ways { mut first, instead: Some(instead) }) => match first.pop_front() {
                Some(piece) => {
                    let ways = Ways { first, instead: Some(instead) };
                    (State::Proposing(ways, introduction), Some(Step::Send(piece.bytes)))
                }
                None => trouble(UNASKED),
            },
            Some(Ways { first, instead: None }) => self.hand_out(LOGIN, first, introduction),
            None => trouble(Trouble::NoMechanism),
        }
    }

    fn hand_out(
        &mut self,
        tag: &'static str,
        mut pieces: VecDeque<Piece>,
        introduction: Introduction,
    ) -> Turn {
        match pieces.pop_front() {
            Some(piece) => {
                self.shown = self.shown.max(piece.shown);
                (State::LoggingIn(tag, pieces, introduction), Some(Step::Send(piece.bytes)))
            }
            None => trouble(UNASKED),
        }
    }

    fn proposing(&mut self, ways: Ways, introduction: Introduction) -> Turn {
        match self.hear(LOGIN) {
            Heard::Nothing => (State::Proposing(ways, introduction), Some(Step::NeedInput)),
            Heard::Continue => self.hand_out(LOGIN, ways.first, introduction),
            // Without a code it speaks of the mechanism, and so does BAD.
            Heard::Answer(Status { kind: Kind::No, code: None, .. } | Status { kind: Kind::Bad, .. }) => {
                self.hand_out(LOGIN_INSTEAD, ways.instead.unwrap_or_default(), introduction)
            }
            Heard::Answer(status) => declined(status),
            Heard::Trouble(fault) => trouble(fault),
        }
    }

    fn logging_in(&mut self, tag: &'static str, pieces: VecDeque<Piece>, introduction: Introduction) -> Turn {
        match self.hear(tag) {
            Heard::Nothing => (State::LoggingIn(tag, pieces, introduction), Some(Step::NeedInput)),
            Heard::Continue => self.hand_out(tag, pieces, introduction),
            Heard::Answer(status) if pieces.is_empty() => self.answered(status, introduction),
            Heard::Answer(status) => declined(status),
            Heard::Trouble(fault) => trouble(fault),
        }
    }

    fn answered(&mut self, status: Status, introduction: Introduction) -> Turn {
        match status.kind {
            Kind::Ok if self.capabilities.is_some() => self.introduce_again(status.text, &introduction),
            Kind::Ok => (State::AskingAgain(status.text, introduction), say(CAPABILITY_AGAIN, "CAPABILITY")),
            Kind::No => told(verdict(status)),
            Kind::Bad | Kind::Bye | Kind::PreAuth => trouble(Trouble::Garbage("BAD for a login")),
        }
    }

    /// The client must hear what the upstream offers after login: many never ask again.
    fn asking_again(&mut self, text: String, introduction: Introduction) -> Turn {
        match self.hear(CAPABILITY_AGAIN) {
            Heard::Nothing => (State::AskingAgain(text, introduction), Some(Step::NeedInput)),
            Heard::Answer(_) => self.introduce_again(text, &introduction),
            Heard::Continue => trouble(UNASKED),
            Heard::Trouble(fault) => trouble(fault),
        }
    }

    /// Some servers refuse to open a mailbox unless they heard an `ID` after login.
    fn introduce_again(&mut self, text: String, introduction: &Introduction) -> Turn {
        let offered = self.capabilities.as_ref().is_some_and(|capabilities| capabilities.has("ID"));
        match introduction.command(ID_AGAIN, None).filter(|_| offered) {
            Some(command) => (State::IntroducingAgain(text), Some(Step::Send(Output::new(command)))),
            None => self.welcome(text),
        }
    }

    fn introducing_again(&mut self, text: String) -> Turn {
        match self.hear(ID_AGAIN) {
            Heard::Nothing => (State::IntroducingAgain(text), Some(Step::NeedInput)),
            Heard::Answer(_) => self.welcome(text),
            Heard::Continue => trouble(UNASKED),
            Heard::Trouble(fault) => trouble(fault),
        }
    }

    fn welcome(&mut self, text: String) -> Turn {
        told(UpstreamReply::LoggedIn(Welcome {
            before: mem::take(&mut self.before_login),
            capabilities: self.capabilities.take().unwrap_or_default(),
            untagged: mem::take(&mut self.untagged),
            text,
        }))
    }

    /// Listens until the command called `tag` is answered or the upstream wants more.
    fn hear(&mut self, tag: &str) -> Heard {
        loop {
            let message = match self.message() {
                Ok(Some(message)) => message,
                Ok(None) => return Heard::Nothing,
                Err(fault) => return Heard::Trouble(fault),
            };
            match Response::read(&message) {
                Response::Continue => return Heard::Continue,
                Response::Capability(listed) => self.capabilities = Some(listed),
                Response::Id => {}
                Response::Data => self.untagged.extend_from_slice(&message),
                Response::Untagged(status) => match (status.kind, status.capabilities) {
                    (Kind::Bye, _) => return Heard::Trouble(Trouble::Said(status.text)),
                    (Kind::PreAuth, _) => return Heard::Trouble(Trouble::PreAuthenticated),
                    (Kind::Ok | Kind::No | Kind::Bad, Some(listed)) => self.capabilities = Some(listed),
                    (Kind::Ok | Kind::No | Kind::Bad, None) => self.untagged.extend_from_slice(&message),
                },
                Response::Tagged(answered, mut status) if answered == tag.as_bytes() => {
                    self.capabilities = status.capabilities.take().or(self.capabilities.take());
                    return Heard::Answer(status);
                }
                Response::Tagged(..) | Response::Garbage => return Heard::Trouble(UNASKED),
            }
        }
    }

    /// The next whole message, within the bounds.
    fn message(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, Trouble> {
        const TOO_MUCH: Trouble = Trouble::Garbage("more than the gate holds");
        loop {
            match self.framer.next(response::announces) {
                Framed::Incomplete if self.ended => return Err(Trouble::Closed),
                Framed::Incomplete => return Ok(None),
                Framed::Announced { fits: true } => self.framer.accept(),
                Framed::Announced { fits: false }
                | Framed::TooLong(_)
                | Framed::Skipped
                | Framed::Flood(_) => {
                    return Err(TOO_MUCH);
                }
                Framed::Message(message) => {
                    self.heard += message.len();
                    return if self.heard > HEARD_MAX { Err(TOO_MUCH) } else { Ok(Some(message)) };
                }
            }
        }
    }
}

const UNASKED: Trouble = Trouble::Garbage("what nobody asked for");

/// It decided without having seen the password: that says nothing about the password.
fn declined(status: Status) -> Turn {
    match status.kind {
        Kind::No => trouble(Trouble::Said(status.text)),
        Kind::Ok | Kind::Bad | Kind::Bye | Kind::PreAuth => {
            trouble(Trouble::Garbage("an answer to half a login"))
        }
    }
}

/// What a `NO` to a whole login means: without a code, or with one that speaks of the credential, it is a
/// refusal; whatever else was wrong, the client must not be told that its password is.
fn verdict(status: Status) -> UpstreamReply<Imap> {
    match status.code.as_deref() {
        None | Some("AUTHENTICATIONFAILED" | "AUTH") => UpstreamReply::Refused,
        Some("INUSE" | "IN-USE") => UpstreamReply::Unavailable(Trouble::InUse),
        Some("LOGIN-DELAY") => UpstreamReply::Unavailable(Trouble::LoginDelay),
        Some(_) => UpstreamReply::Unavailable(Trouble::Said(status.text)),
    }
}

fn told(reply: UpstreamReply<Imap>) -> Turn {
    (State::Told(Box::new(reply)), None)
}

fn trouble(fault: Trouble) -> Turn {
    told(UpstreamReply::Unavailable(fault))
}

fn say(tag: &str, command: &str) -> Option<Step<UpstreamReply<Imap>>> {
    Some(Step::Send(Output::new(format!("{tag} {command}\r\n").into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{LoginName, Password};

    /// A client that logs in, stepped until it waits; what it sent and how it ended.
    fn play(chunks: &[&[u8]]) -> (String, Option<UpstreamReply<Imap>>, Shown) {
        let login = UpstreamLogin {
            user: LoginName::from_bytes(b"tim").unwrap(),
            authorize_as: None,
            password: Password::new(b"secret".to_vec()).unwrap(),
        };
        let purpose = Purpose::LogIn { login, introduction: Introduction::default(), client: None };
        let mut client = Client::new(ClientSetup { starttls: false, purpose, own_name: String::new() });
        let mut sent = String::new();
        let mut reply = None;
        for chunk in chunks {
            client.receive(chunk);
            loop {
                match client.step() {
                    Step::NeedInput | Step::Close => break,
                    Step::Send(bytes) => sent.push_str(std::str::from_utf8(&bytes).unwrap()),
                    Step::Event(event) => reply = Some(event),
                    Step::StartTls => unreachable!("nobody demanded it"),
                }
            }
        }
        (sent, reply, client.shown())
    }

    const GREETING: &[u8] = b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready\r\n";

    #[test]
    fn a_credential_counts_as_sent_from_the_step_that_hands_it_out() {
        assert_eq!(play(&[GREETING]).2, Shown::Nothing);
        assert_eq!(play(&[GREETING, b"+\r\n"]).2, Shown::Credential);
        let (sent, _, shown) = play(&[GREETING, b"g4 NO [UNAVAILABLE]\r\n"]);
        assert_eq!((sent.as_str(), shown), ("g4 AUTHENTICATE PLAIN\r\n", Shown::Nothing));
        let (sent, _, shown) = play(&[GREETING, b"g4 NO\r\n"]);
        assert!(sent.ends_with("\r\ng8 LOGIN \"tim\" \"secret\"\r\n"), "{sent}");
        assert_eq!(shown, Shown::Credential);
    }

    #[test]
    fn an_upstream_may_not_talk_without_end() {
        let too_much = |reply| {
            matches!(reply, Some(UpstreamReply::Unavailable(Trouble::Garbage("more than the gate holds"))))
        };
        assert!(too_much(play(&[b"* OK ", &[b'x'; 9000]]).1));
        let line = [b"* OK ", &[b'x'; 8000][..], b"\r\n"].concat();
        let mut chunks: Vec<&[u8]> = vec![GREETING];
        chunks.resize(9, &line);
        assert!(play(&chunks).1.is_none());
        chunks.push(&line);
        assert!(too_much(play(&chunks).1));
        assert!(too_much(play(&[GREETING, b"* X {8193}\r\n"]).1));
    }

    #[test]
    fn a_client_that_was_told_how_it_ended_closes() {
        for end in [&b"g4 NO no\r\n"[..], b"* BYE\r\n"] {
            let login = UpstreamLogin {
                user: LoginName::from_bytes(b"tim").unwrap(),
                authorize_as: None,
                password: Password::new(b"secret".to_vec()).unwrap(),
            };
            let purpose = Purpose::LogIn { login, introduction: Introduction::default(), client: None };
            let mut client = Client::new(ClientSetup { starttls: false, purpose, own_name: String::new() });
            client.receive(&[GREETING, b"+\r\n", end].concat());
            while !matches!(client.step(), Step::Event(_)) {}
            assert!(matches!(client.step(), Step::Close) && matches!(client.step(), Step::Close));
        }
    }
}
