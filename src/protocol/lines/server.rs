//! The side that faces a client, up to login.
//!
//! ```text
//!   Listening ── Attempt ──▶ Judged ── refuse ─▶ Listening or Closed
//!    │  │   ▲                  └────── admit ──▶ Admitted
//!    │  │   └─ secured ─ Handshake
//!    │  └── StartTls ────────▲
//!    └─ Close, end of input, too many bad commands ─▶ Closed
//! ```

use std::borrow::Cow;
use std::mem;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::base::Access;
use crate::protocol::input::{Input, Line};
use crate::protocol::stranger::is_tls;
use crate::protocol::{
    Attempt, Dialogue, Dismissal, MailProtocol, Output, Refusal, ServerDialogue, ServerSetup, Step,
};

/// Bad commands before the connection ends: a client that gropes for what works needs a few, a program that
/// was not made for the protocol gets no more.
const BAD_MAX: u32 = 10;

/// What a protocol says to a client's lines.
pub trait ServerScript: Sized {
    /// Whose words these are.
    type Protocol: MailProtocol;
    /// What the client's next line is; a command by default.
    type Awaited: Default;
    /// The longest line, in bytes with its line end.
    const LINE_MAX: usize;
    /// The answer to a longer one.
    const LINE_TOO_LONG: &'static str;
    /// The last words to a client that sent too many bad commands.
    const TOO_MANY_BAD: &'static str;

    /// Begins a conversation.
    fn new(setup: ServerSetup<<Self::Protocol as MailProtocol>::Offer>) -> Self;

    /// From now on this is offered.
    fn offer(&mut self, offer: Arc<<Self::Protocol as MailProtocol>::Offer>);

    /// The first words.
    fn greeting(&self) -> String;

    /// Answers a line, which comes without its line end.
    fn take_line(&mut self, awaited: Self::Awaited, line: &[u8]) -> Answer<Self>;

    /// The reply to a login that is refused, and whether the connection ends with it.
    fn refusal(&self, refusal: Refusal) -> (String, bool);

    /// What a client hears when the gate ends the conversation; nothing where no words are foreseen for that.
    fn farewell(&self, why: Dismissal) -> String;

    /// The reply to a login that succeeded.
    fn welcome(&self, welcome: <Self::Protocol as MailProtocol>::Welcome) -> String;

    /// The leg is inside TLS from now on, and what was said before may have been said by anybody.
    fn secured(&mut self);
}

/// How a line is answered.
pub enum Answer<S: ServerScript> {
    /// With this, and then this is awaited.
    Say(Cow<'static, str>, S::Awaited),
    /// The same, to what a client that knows the protocol does not send; some of it is tolerated.
    Bad(&'static str, S::Awaited),
    /// It completes an attempt.
    Attempt(Attempt<<S::Protocol as MailProtocol>::Introduction>),
    /// With this, and a handshake.
    StartTls(&'static str),
    /// With this, and the end.
    Close(&'static str),
    /// With the end: this is no client of the protocol, and nothing it sent is echoed.
    HangUp,
}

/// The client-facing side.
pub struct Server<S: ServerScript> {
    script: S,
    bad: u32,
    input: Input,
    /// Whether any byte has come.
    input_began: bool,
    input_ended: bool,
    output: Output,
    state: State<S>,
}

enum State<S: ServerScript> {
    /// The client has the word.
    Listening(S::Awaited),
    /// An attempt is ready to be told.
    Attempting(Attempt<<S::Protocol as MailProtocol>::Introduction>),
    /// An attempt was told and is being judged.
    Judged,
    /// STARTTLS was answered; the handshake is to be asked for.
    StartTls,
    /// The handshake is under way.
    Handshake,
    /// Let in: no byte is looked at any more.
    Admitted,
    Closed,
}

impl<P: MailProtocol, S: ServerScript<Protocol = P>> ServerDialogue<P> for Server<S> {
    fn new(setup: ServerSetup<P::Offer>) -> Self {
        let script = S::new(setup);
        Self {
            output: Zeroizing::new(script.greeting().into_bytes()),
            script,
            bad: 0,
            input: Input::default(),
            input_began: false,
            input_ended: false,
            state: State::command(),
        }
    }

    fn offer(&mut self, offer: Arc<P::Offer>) {
        self.script.offer(offer);
    }

    fn refuse(&mut self, refusal: Refusal) {
        let (text, ends) = self.script.refusal(refusal);
        self.state = self.say(&text, if ends { State::Closed } else { State::command() });
    }

    fn dismiss(&mut self, why: Dismissal) {
        self.state = match self.state {
            State::Listening(_) => self.say(&self.script.farewell(why), State::Closed),
            State::Attempting(_)
            | State::Judged
            | State::StartTls
            | State::Handshake
            | State::Admitted
            | State::Closed => State::Closed,
        };
    }

    fn admit(&mut self, welcome: P::Welcome, _: Access) {
        let text = self.script.welcome(welcome);
        self.state = self.say(&text, State::Admitted);
    }
}

impl<S: ServerScript> Dialogue for Server<S> {
    type Event = Attempt<<S::Protocol as MailProtocol>::Introduction>;

    fn receive(&mut self, bytes: &[u8]) {
        if !self.input_began && is_tls(bytes) {
            self.state = State::Closed;
        }
        self.input_began |= !bytes.is_empty();
        self.input.extend(bytes);
    }

    fn end_of_input(&mut self) {
        self.input_ended = true;
    }

    fn step(&mut self) -> Step<Self::Event> {
        loop {
            if !self.output.is_empty() {
                return Step::Send(mem::take(&mut self.output));
            }
            self.state = match mem::replace(&mut self.state, State::Closed) {
                State::Closed => return Step::Close,
                waiting @ (State::Judged | State::Handshake | State::Admitted) => {
                    self.state = waiting;
                    return Step::NeedInput;
                }
                State::Attempting(attempt) => {
                    self.state = State::Judged;
                    return Step::Event(attempt);
                }
                // What came behind STARTTLS was sent in the clear, perhaps by somebody else (RFC 3207
                // section 4.2, RFC 2595 section 4).
                State::StartTls if !self.input.is_empty() => State::Closed,
                State::StartTls => {
                    self.state = State::Handshake;
                    return Step::StartTls;
                }
                State::Listening(awaited) => match self.input.line(S::LINE_MAX) {
                    Line::Incomplete if self.input_ended => State::Closed,
                    Line::Incomplete => {
                        self.state = State::Listening(awaited);
                        return Step::NeedInput;
                    }
                    Line::TooLong => self.answer(Answer::Bad(S::LINE_TOO_LONG, S::Awaited::default())),
                    Line::Complete(line) => {
                        let answer = self.script.take_line(awaited, &line);
                        self.answer(answer)
                    }
                },
            };
        }
    }

    fn secured(&mut self) {
        self.script.secured();
        self.state = if self.input.is_empty() { State::command() } else { State::Closed };
    }

    fn into_unread(self) -> Zeroizing<Vec<u8>> {
        self.input.into_bytes()
    }
}

impl<S: ServerScript> Server<S> {
    fn answer(&mut self, answer: Answer<S>) -> State<S> {
        match answer {
            Answer::Say(text, awaited) => self.say(&text, State::Listening(awaited)),
            Answer::Bad(text, awaited) => {
                self.bad += 1;
                if self.bad < BAD_MAX {
                    self.say(text, State::Listening(awaited))
                } else {
                    self.say(S::TOO_MANY_BAD, State::Closed)
                }
            }
            Answer::Attempt(attempt) => State::Attempting(attempt),
            Answer::StartTls(text) => self.say(text, State::StartTls),
            Answer::Close(text) => self.say(text, State::Closed),
            Answer::HangUp => State::Closed,
        }
    }

    fn say(&mut self, text: &str, next: State<S>) -> State<S> {
        self.output.extend_from_slice(text.as_bytes());
        next
    }
}

impl<S: ServerScript> State<S> {
    fn command() -> Self {
        Self::Listening(S::Awaited::default())
    }
}
