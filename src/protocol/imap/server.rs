//! The side of the gate that an IMAP client talks to before login.
//!
//! ```text
//!   Greeting ──▶ Listening ◀──────── refuse ────────┐
//!                 │  │  ▲                           │
//!        STARTTLS │  │  └── Exchanging ──▶ Judging ─┴─ admit ──▶ Admitted
//!                 ▼  └────── LOGIN ──────────▲
//!   TlsPromised ──▶ Handshaking ──▶ Listening            any ──▶ Closed
//! ```
//!
//! Input is hostile: what is held stays within the bounds of `framing` and `PIPELINE_MAX`; no byte
//! of the client's is repeated to it other than a valid tag; before TLS no secret is asked for; and what
//! follows a login is not looked at until the login is answered.

use std::mem;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::command::{self, Head, Login, Verb};
use super::framing::{Framed, Framer};
use super::introduction::Introduction;
use super::{Imap, Offer, Welcome, reply};
use crate::base::{Access, LoginName, Password};
use crate::protocol::sasl::{Exchange, Progress};
use crate::protocol::stranger;
use crate::protocol::{
    Attempt, Channel, Credentials, Dialogue, Dismissal, Language, Mechanism, Output, Refusal, ServerDialogue,
    ServerSetup, Step,
};

/// The most bytes that are held behind a login before it is answered, but for the end of the last read: a
/// driver that reads on would let a client fill the memory.
const PIPELINE_MAX: usize = 8192;

/// Commands that were not understood before the client is sent away: a person at a terminal gets by with
/// fewer, and a fuzzer does not deserve more.
const BAD_MAX: u32 = 10;

/// Refused logins on one connection before it is closed. Clients try `LOGIN` after a failed `AUTHENTICATE`,
/// and several passwords before they ask their user, so at least three.
const REFUSED_MAX: u32 = 10;

/// Logins that were refused unseen, for too many failures, before the connection is closed.
const THROTTLED_MAX: u32 = 3;

/// The dialogue.
pub struct Server {
    setup: ServerSetup<Offer>,
    language: Language,
    introduction: Introduction,
    framer: Framer,
    /// Replies not sent yet; they hold nothing secret.
    replies: Vec<u8>,
    ended: bool,
    bad: u32,
    refused: u32,
    throttled: u32,
    state: State,
}

enum State {
    Greeting,
    Listening,
    Exchanging {
        tag: String,
        mechanism: Mechanism,
        exchange: Exchange,
    },
    /// STARTTLS was answered; the handshake begins if the client sent nothing behind it.
    TlsPromised,
    Handshaking,
    Judging {
        tag: String,
    },
    Admitted,
    Closed,
}

/// The next state, and the step if the driver has something to do before the replies are sent.
type Turn = (State, Option<Step<Attempt<Introduction>>>);

impl Dialogue for Server {
    type Event = Attempt<Introduction>;

    fn receive(&mut self, bytes: &[u8]) {
        match self.state {
            State::Closed => {}
            State::Judging { .. } if self.framer.unread().len() >= PIPELINE_MAX && !bytes.is_empty() => {
                self.state = State::Closed;
            }
            State::Greeting
            | State::Listening
            | State::Exchanging { .. }
            | State::TlsPromised
            | State::Handshaking
            | State::Judging { .. }
            | State::Admitted => self.framer.receive(bytes),
        }
    }

    fn end_of_input(&mut self) {
        self.ended = true;
    }

    fn step(&mut self) -> Step<Self::Event> {
        loop {
            if !self.replies.is_empty() {
                return Step::Send(Output::new(mem::take(&mut self.replies)));
            }
            let (state, step) = match mem::replace(&mut self.state, State::Closed) {
                State::Greeting => (self.greet(), None),
                State::Listening => self.listen(),
                State::Exchanging { tag, mechanism, exchange } => self.hear(tag, mechanism, exchange),
                // Bytes behind STARTTLS would be believed as if they had come inside TLS (RFC 9051 section
                // 11.3).
                State::TlsPromised | State::Handshaking if !self.framer.unread().is_empty() => {
                    (State::Closed, None)
                }
                State::TlsPromised => (State::Handshaking, Some(Step::StartTls)),
                state @ (State::Handshaking | State::Judging { .. } | State::Admitted) => {
                    (state, Some(Step::NeedInput))
                }
                State::Closed => (State::Closed, Some(Step::Close)),
            };
            self.state = state;
            if let Some(step) = step {
                return step;
            }
        }
    }

    fn secured(&mut self) {
        if let State::Handshaking = self.state {
            let clean = self.framer.unread().is_empty();
            // What was said in the clear may have been said by anybody.
            self.introduction = Introduction::default();
            self.language = self.setup.wording.language;
            self.setup.channel = Channel::Secured;
            self.state = if clean { State::Listening } else { State::Closed };
        }
    }

    fn into_unread(self) -> Zeroizing<Vec<u8>> {
        self.framer.into_unread()
    }
}

impl ServerDialogue<Imap> for Server {
    fn new(setup: ServerSetup<Offer>) -> Self {
        Self {
            language: setup.wording.language,
            setup,
            introduction: Introduction::default(),
            framer: Framer::default(),
            replies: Vec::new(),
            ended: false,
            bad: 0,
            refused: 0,
            throttled: 0,
            state: State::Greeting,
        }
    }

    fn offer(&mut self, offer: Arc<Offer>) {
        self.setup.offer = offer;
    }

    fn refuse(&mut self, refusal: Refusal) {
        if let State::Judging { tag } = &self.state {
            let tag = tag.clone();
            self.state = self.refused(&tag, refusal);
        }
    }

    fn dismiss(&mut self, why: Dismissal) {
        self.state = match &self.state {
            State::Greeting | State::Listening | State::Exchanging { .. } => {
                self.goodbye(reply::parting(why))
            }
            State::TlsPromised
            | State::Handshaking
            | State::Judging { .. }
            | State::Admitted
            | State::Closed => State::Closed,
        };
    }

    fn admit(&mut self, welcome: Welcome, access: Access) {
        if let State::Judging { tag } = &self.state {
            let tag = tag.clone();
            let guarded = welcome.is_guarded(access);
            let Welcome { capabilities, untagged, text, .. } = welcome;
            let code = match capabilities.is_empty() {
                true => String::new(),
                false => format!("[CAPABILITY {}] ", capabilities.told(guarded)),
            };
            let text = if text.is_empty() { "Logged in" } else { &text };
            self.replies.extend_from_slice(&untagged);
            self.say(&format!("{tag} OK {code}{text}"));
            self.state = State::Admitted;
        }
    }
}

impl Server {
    /// The capabilities stand in the greeting, because some clients never ask.
    fn greet(&mut self) -> State {
        let told = self.setup.offer.told(self.setup.channel);
        self.say(&format!("* OK [CAPABILITY {told}] {} ready", self.setup.wording.hostname));
        State::Listening
    }

    fn listen(&mut self) -> Turn {
        if self.framer.between() && stranger::is_tls(self.framer.unread()) {
            return (State::Closed, None);
        }
        match self.framer.next(|_| true) {
            Framed::Incomplete if self.ended => (State::Closed, None),
            Framed::Incomplete => (State::Listening, Some(Step::NeedInput)),
            Framed::Skipped => (State::Listening, None),
            Framed::Announced { fits } => (self.announced(fits), None),
            Framed::Message(message) if command::is_foreign(&message) => (State::Closed, None),
            Framed::Message(message) => self.obey(&message),
            Framed::TooLong(head) if command::is_foreign(&head) => (State::Closed, None),
            Framed::TooLong(head) => (self.bad(Head::read(&head).tag, "Line too long"), None),
            Framed::Flood(head) => {
                self.say(&format!("{} BAD Literal too long", Head::read(&head).tag.unwrap_or("*")));
                (self.goodbye("Cannot tell where the next command begins"), None)
            }
        }
    }

    /// The client waits for leave to send a literal: it is given only to what can use one, and never to a
    /// password in the clear.
    fn announced(&mut self, fits: bool) -> State {
        let message = self.framer.message();
        if command::is_foreign(message) {
            return State::Closed;
        }
        let head = Head::read(message);
        let (tag, verb) = (head.tag.map(str::to_owned), head.verb);
        let wanted = match verb {
            Verb::Login => self.setup.channel == Channel::Secured,
            Verb::Id => true,
            Verb::Capability
            | Verb::Noop
            | Verb::Logout
            | Verb::StartTls
            | Verb::Language
            | Verb::Authenticate
            | Verb::Other => false,
        };
        if wanted && fits && tag.is_some() {
            self.framer.accept();
            self.say("+ Go ahead");
            return State::Listening;
        }
        self.framer.abandon();
        match (tag, verb) {
            (Some(tag), Verb::Login) if !wanted => self.not_in_the_clear(&tag),
            (tag, _) if wanted && !fits => self.bad(tag.as_deref(), "Literal too long"),
            (tag, _) => self.bad(tag.as_deref(), NOT_HERE),
        }
    }

    fn obey(&mut self, message: &[u8]) -> Turn {
        let head = Head::read(message);
        let Some(tag) = head.tag else { return (self.bad(None, "Invalid tag"), None) };
        let plain = self.setup.channel == Channel::Plain;
        let state = match head.verb {
            Verb::Capability if head.is_bare() => {
                let told = self.setup.offer.told(self.setup.channel);
                self.say(&format!("* CAPABILITY {told}"));
                self.done(tag, "Capability completed")
            }
            Verb::Noop if head.is_bare() => self.done(tag, "Noop completed"),
            Verb::Logout if head.is_bare() => {
                self.goodbye("Goodbye");
                self.done(tag, "Logout completed");
                State::Closed
            }
            Verb::StartTls if head.is_bare() && plain => {
                self.done(tag, "Begin TLS negotiation now");
                State::TlsPromised
            }
            Verb::StartTls if head.is_bare() => self.bad(Some(tag), "TLS is active already"),
            Verb::Id => match command::introduction(message) {
                Some(introduction) => {
                    self.introduction = introduction;
                    self.say("* ID NIL");
                    self.done(tag, "Id completed")
                }
                None => self.bad(Some(tag), MALFORMED),
            },
            Verb::Language => self.speak(tag, head.rest),
            Verb::Login | Verb::Authenticate if plain => self.not_in_the_clear(tag),
            Verb::Login => match Login::decode(message) {
                Some(login) => {
                    let name = LoginName::from_bytes(&login.user).ok();
                    let password = Password::new(login.password.to_vec()).ok();
                    return self.attempt(tag.to_owned(), name, password, Mechanism::Command);
                }
                None => self.bad(Some(tag), MALFORMED),
            },
            Verb::Authenticate => return self.authenticate(tag, head.rest),
            Verb::Capability | Verb::Noop | Verb::Logout | Verb::StartTls => self.bad(Some(tag), MALFORMED),
            Verb::Other => self.bad(Some(tag), NOT_HERE),
        };
        (state, None)
    }

    /// RFC 5255 section 3.2; not advertised unless the upstream does.
    fn speak(&mut self, tag: &str, rest: &[u8]) -> State {
        let mut ranges = command::languages(rest).peekable();
        if ranges.peek().is_none() {
            self.say("* LANGUAGE (\"en\" \"zh\")");
            return self.done(tag, "Language completed");
        }
        let choice = ranges.find_map(|range| {
            let primary = range.split(|b| *b == b'-').next().unwrap_or(range);
            match primary.to_ascii_lowercase().as_slice() {
                b"en" | b"i" => Some((Language::English, "en")),
                b"zh" => Some((Language::Chinese, "zh")),
                b"default" => Some(match self.setup.wording.language {
                    Language::English => (Language::English, "en"),
                    Language::Chinese => (Language::Chinese, "zh"),
                }),
                _ => None,
            }
        });
        match choice {
            Some((language, name)) => {
                self.language = language;
                self.say(&format!("* LANGUAGE (\"{name}\")"));
                self.done(tag, "Language completed")
            }
            None => {
                self.say(&format!("{tag} NO No such language here"));
                State::Listening
            }
        }
    }

    fn authenticate(&mut self, tag: &str, rest: &[u8]) -> Turn {
        let Some((name, initial)) = command::authenticate(rest) else {
            return (self.bad(Some(tag), MALFORMED), None);
        };
        let Some(mechanism) = Mechanism::sasl(name) else {
            self.say(&format!("{tag} NO Unsupported authentication mechanism"));
            return (State::Listening, None);
        };
        self.exchanged(tag.to_owned(), mechanism, Exchange::begin(mechanism, initial))
    }

    /// The client's answer to a challenge: a line, whatever it ends in.
    fn hear(&mut self, tag: String, mechanism: Mechanism, exchange: Exchange) -> Turn {
        match self.framer.next(|_| false) {
            Framed::Incomplete if self.ended => (State::Closed, None),
            Framed::Incomplete => (State::Exchanging { tag, mechanism, exchange }, Some(Step::NeedInput)),
            Framed::Message(line) => {
                let line = line.strip_suffix(b"\r\n").unwrap_or(&line);
                self.exchanged(tag, mechanism, exchange.answer(line))
            }
            Framed::Skipped => (State::Exchanging { tag, mechanism, exchange }, None),
            Framed::TooLong(_) => (self.bad(Some(&tag), "Line too long"), None),
            Framed::Announced { .. } | Framed::Flood(_) => (State::Closed, None),
        }
    }

    fn exchanged(&mut self, tag: String, mechanism: Mechanism, progress: Progress) -> Turn {
        match progress {
            Progress::Challenge(challenge, exchange) => {
                self.say(&format!("+ {challenge}"));
                (State::Exchanging { tag, mechanism, exchange }, None)
            }
            Progress::Complete(name, password) => self.attempt(tag, Some(name), Some(password), mechanism),
            Progress::Malformed => (self.bad(Some(&tag), "Invalid authentication data"), None),
            Progress::Cancelled => (self.bad(Some(&tag), "Authentication cancelled"), None),
        }
    }

    /// Asks for judgement. What can be neither a name nor a password of anybody (empty, too long, with
    /// control characters) is answered as a wrong one is.
    fn attempt(
        &mut self,
        tag: String,
        name: Option<LoginName>,
        password: Option<Password>,
        mechanism: Mechanism,
    ) -> Turn {
        let (Some(login), Some(password)) = (name, password) else {
            return (self.refused(&tag, Refusal::NotLetIn), None);
        };
        let program = self.introduction.program().map(str::to_owned);
        let credentials = Credentials { login, password, mechanism, program };
        let attempt = Attempt { credentials, introduction: self.introduction.clone() };
        (State::Judging { tag }, Some(Step::Event(attempt)))
    }

    fn refused(&mut self, tag: &str, refusal: Refusal) -> State {
        let text = self.setup.wording.refusal(refusal, self.language);
        self.replies.extend_from_slice(reply::lines(refusal, tag, &text).as_bytes());
        self.refused += 1;
        self.throttled += u32::from(refusal == Refusal::TooManyFailures);
        if self.throttled >= THROTTLED_MAX || self.refused >= REFUSED_MAX {
            return self.goodbye("Too many failed logins");
        }
        State::Listening
    }

    fn not_in_the_clear(&mut self, tag: &str) -> State {
        self.say(&format!("{tag} NO [PRIVACYREQUIRED] Start TLS first"));
        State::Listening
    }

    fn done(&mut self, tag: &str, text: &str) -> State {
        self.say(&format!("{tag} OK {text}"));
        State::Listening
    }

    /// A command that was not understood; without a tag to name it, it is answered untagged (RFC 9051 section
    /// 7.1.3).
    fn bad(&mut self, tag: Option<&str>, text: &str) -> State {
        self.say(&format!("{} BAD {text}", tag.unwrap_or("*")));
        self.bad += 1;
        if self.bad >= BAD_MAX { self.goodbye("Too many bad commands") } else { State::Listening }
    }

    fn goodbye(&mut self, text: &str) -> State {
        self.say(&format!("* BYE {text}"));
        State::Closed
    }

    fn say(&mut self, line: &str) {
        self.replies.extend_from_slice(line.as_bytes());
        self.replies.extend_from_slice(b"\r\n");
    }
}

const NOT_HERE: &str = "Unknown command, or not before login";
const MALFORMED: &str = "Malformed command";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::Wording;
    use crate::protocol::input::LINE_MAX;

    fn server(channel: Channel) -> Server {
        let wording =
            Wording { hostname: "gate.example.org".to_owned(), portal: None, language: Language::English };
        let mut server = Server::new(ServerSetup {
            wording: Arc::new(wording),
            offer: Arc::new(Offer::default()),
            channel,
        });
        assert!(matches!(server.step(), Step::Send(_)));
        server
    }

    /// Steps until the dialogue waits, answering each attempt with a refusal; what was seen, in words.
    fn drain(server: &mut Server, seen: &mut String) -> bool {
        loop {
            match server.step() {
                Step::NeedInput => return false,
                Step::Send(bytes) => seen.push_str(std::str::from_utf8(&bytes).unwrap()),
                Step::StartTls => {
                    seen.push_str("[starttls]");
                    server.secured();
                }
                Step::Event(attempt) => {
                    seen.push_str(&format!("[{}]", attempt.credentials.login.as_str()));
                    server.refuse(Refusal::Unavailable);
                }
                Step::Close => {
                    seen.push_str("[close]");
                    return true;
                }
            }
        }
    }

    fn answer(channel: Channel, chunks: &[&[u8]]) -> String {
        let mut server = server(channel);
        let mut seen = String::new();
        for chunk in chunks {
            server.receive(chunk);
            if drain(&mut server, &mut seen) {
                break;
            }
        }
        seen
    }

    #[test]
    fn what_a_client_sends_behind_its_login_is_kept_and_bounded() {
        for split in [1, 100, PIPELINE_MAX] {
            let mut server = server(Channel::Secured);
            server.receive(b"a LOGIN tim secret\r\n");
            assert!(matches!(server.step(), Step::Event(_)));
            let bytes = [b'x'; PIPELINE_MAX];
            bytes.chunks(split).for_each(|part| server.receive(part));
            assert!(matches!(server.step(), Step::NeedInput));
            let welcome = Welcome {
                before: super::super::Capabilities::default(),
                capabilities: super::super::Capabilities::default(),
                untagged: Vec::new(),
                text: String::new(),
            };
            server.admit(welcome, Access::Full);
            assert!(matches!(server.step(), Step::Send(_)) && matches!(server.step(), Step::NeedInput));
            assert_eq!(&**server.into_unread(), &bytes);
        }
        let mut server = server(Channel::Secured);
        server.receive(b"a LOGIN tim secret\r\n");
        assert!(matches!(server.step(), Step::Event(_)));
        for _ in 0..100 {
            server.receive(&[b'x'; 4096]);
        }
        assert!(server.framer.unread().len() < PIPELINE_MAX + 4096);
        server.refuse(Refusal::NotLetIn);
        assert!(matches!(server.step(), Step::Close));
    }

    #[test]
    fn a_line_without_end_is_answered_once_and_skipped() {
        let endless = vec![b'x'; LINE_MAX];
        assert_eq!(
            answer(Channel::Secured, &[b"a ", &endless, &endless, b"\r\nb NOOP\r\n"]),
            "a BAD Line too long\r\nb OK Noop completed\r\n"
        );
        assert_eq!(
            answer(Channel::Secured, &[b"a AUTHENTICATE PLAIN\r\n", &endless, b"\r\nb NOOP\r\n"]),
            "+ \r\na BAD Line too long\r\nb OK Noop completed\r\n"
        );
        let noise = [&endless[..], b"\r\n\x16\x03"].concat();
        assert_eq!(answer(Channel::Plain, &[&noise]), "* BAD Line too long\r\n[close]");
        assert_eq!(answer(Channel::Plain, &[b"POST /", &endless]), "[close]");
        assert_eq!(
            answer(Channel::Plain, &[b"a ", &endless, b"{3+}\r\nb NOOP\r\n"]),
            "a BAD Line too long\r\n* BAD Literal too long\r\n* BYE Cannot tell where the next command begins\r\n[close]"
        );
    }

    /// Bytes that reach the dialogue's corners more often than noise does.
    fn client_like() -> impl Strategy<Value = Vec<u8>> {
        const WORDS: &[&[u8]] = &[
            b"a ",
            b"LOGIN ",
            b"tim ",
            b"secret",
            b"\r\n",
            b"\r\n",
            b"\n",
            b"{3}\r\n",
            b"{3+}\r\n",
            b"\"q\"",
            b"ID (",
            b")",
            b"AUTHENTICATE PLAIN",
            b" AHRpbQB4",
            b"*",
            b"AUTHENTICATE LOGIN\r\n",
            b"dGlt\r\n",
            b"STARTTLS\r\n",
            b"NOOP\r\n",
            b"GET / HTTP/1.1\r\n",
            b"{9000+}\r\n",
            b"\x16",
            b"\x80",
            b"LANGUAGE zh\r\n",
            b"CAPABILITY\r\n",
        ];
        let part = prop_oneof![
            8 => prop::sample::select(WORDS).prop_map(<[u8]>::to_vec),
            1 => prop::collection::vec(any::<u8>(), 0..30),
            1 => (8000usize..8400).prop_map(|n| vec![b'x'; n]),
        ];
        prop::collection::vec(part, 0..25).prop_map(|parts| parts.concat())
    }

    proptest! {
        /// Without STARTTLS, where how bytes arrive is what matters.
        #[test]
        fn every_split_leads_to_the_same_steps_and_little_is_held(bytes in client_like(), cuts in prop::collection::vec(1usize..200, 1..8)) {
            let whole = answer(Channel::Secured, &[&bytes]);
            let mut server = server(Channel::Secured);
            let mut seen = String::new();
            let mut rest = &bytes[..];
            for cut in cuts.iter().cycle() {
                let (part, after) = rest.split_at(rest.len().min(*cut));
                server.receive(part);
                let closed = drain(&mut server, &mut seen);
                prop_assert!(server.framer.message().len() + server.framer.unread().len() <= 17_000);
                rest = after;
                if rest.is_empty() || closed {
                    break;
                }
            }
            prop_assert_eq!(seen, whole);
        }

        #[test]
        fn no_byte_in_the_clear_makes_an_attempt_or_asks_for_a_secret(bytes in client_like()) {
            let mut server = server(Channel::Plain);
            server.receive(&bytes);
            loop {
                match server.step() {
                    Step::Event(_) => prop_assert!(false, "an attempt"),
                    // Only an introduction may come as a literal.
                    Step::Send(reply) if reply.starts_with(b"+") => {
                        prop_assert_eq!(Head::read(server.framer.message()).verb, Verb::Id);
                    }
                    Step::Send(_) => {}
                    Step::NeedInput | Step::StartTls | Step::Close => break,
                }
            }
        }
    }
}
