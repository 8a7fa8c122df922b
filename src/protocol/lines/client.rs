//! The side that faces an upstream, up to login or to what there was to learn.
//!
//! ```text
//!   Listening ─┬─ StartTls ─▶ Handshake ─ secured ─▶ Listening
//!              └─ Tell ─▶ Told ─▶ Leaving, if there was only something to learn; else Over
//! ```

use std::mem;

use zeroize::Zeroizing;

use crate::protocol::input::{Input, LINE_MAX, Line};
use crate::protocol::{
    ClientDialogue, ClientSetup, Dialogue, Forwarding, MailProtocol, Output, Shown, Step, Trouble,
    UpstreamReply,
};

/// What a protocol says to an upstream's lines.
pub trait ClientScript: Sized {
    /// Whose words these are.
    type Protocol: MailProtocol;
    /// What the upstream's next line is; its greeting by default.
    type Awaited: Default;

    /// Begins a conversation.
    fn new(setup: ClientSetup<<Self::Protocol as MailProtocol>::Introduction>) -> Self;

    /// Reacts to a line, which comes without its line end.
    fn take_line(&mut self, awaited: Self::Awaited, line: &[u8]) -> Reaction<Self>;

    /// The leg is inside TLS from now on.
    fn secured(&mut self) -> Reaction<Self>;

    /// What became so far of telling the upstream where the client comes from.
    fn forwarding(&self) -> Forwarding;
}

/// What follows a line of the upstream.
pub enum Reaction<S: ClientScript> {
    /// Another line, this.
    Listen(S::Awaited),
    /// These words, which show so much of the client, and then this is awaited.
    Say(Output, Shown, S::Awaited),
    /// A handshake.
    StartTls,
    /// The conversation ended like this.
    Tell(UpstreamReply<S::Protocol>),
}

impl<S: ClientScript> Reaction<S> {
    /// A command without secrets.
    #[must_use]
    pub fn ask(command: &[&[u8]], shown: Shown, awaited: S::Awaited) -> Self {
        Self::Say(Output::new([&command.concat()[..], b"\r\n"].concat()), shown, awaited)
    }

    /// Nobody may be told that a password is wrong.
    #[must_use]
    pub fn fail(trouble: Trouble) -> Self {
        Self::Tell(UpstreamReply::Unavailable(trouble))
    }
}

/// The upstream-facing side.
pub struct Client<S: ClientScript> {
    script: S,
    input: Input,
    input_ended: bool,
    output: Output,
    /// What `output` shows.
    shows: Shown,
    shown: Shown,
    state: State<S>,
}

enum State<S: ClientScript> {
    /// The upstream has the word.
    Listening(S::Awaited),
    /// TLS was granted; the handshake is to be asked for.
    StartTls,
    Handshake,
    /// This is to be told.
    Told(UpstreamReply<S::Protocol>),
    /// QUIT was sent.
    Leaving,
    /// Over: nothing is looked at any more.
    Over,
}

impl<P: MailProtocol, S: ClientScript<Protocol = P>> ClientDialogue<P> for Client<S> {
    fn new(setup: ClientSetup<P::Introduction>) -> Self {
        Self {
            script: S::new(setup),
            input: Input::default(),
            input_ended: false,
            output: Output::default(),
            shows: Shown::Nothing,
            shown: Shown::Nothing,
            state: State::Listening(S::Awaited::default()),
        }
    }

    fn shown(&self) -> Shown {
        self.shown
    }

    fn forwarding(&self) -> Forwarding {
        self.script.forwarding()
    }
}

impl<S: ClientScript> Dialogue for Client<S> {
    type Event = UpstreamReply<S::Protocol>;

    fn receive(&mut self, bytes: &[u8]) {
        self.input.extend(bytes);
    }

    fn end_of_input(&mut self) {
        self.input_ended = true;
    }

    fn step(&mut self) -> Step<Self::Event> {
        loop {
            if !self.output.is_empty() {
                self.shown = self.shown.max(mem::take(&mut self.shows));
                return Step::Send(mem::take(&mut self.output));
            }
            self.state = match mem::replace(&mut self.state, State::Over) {
                State::Told(reply) => {
                    if matches!(reply, UpstreamReply::Learned(_)) {
                        self.output = Output::new(b"QUIT\r\n".to_vec());
                        self.state = State::Leaving;
                    }
                    return Step::Event(reply);
                }
                State::Leaving => {
                    self.state = State::Leaving;
                    return Step::Close;
                }
                waiting @ (State::Over | State::Handshake) => {
                    self.state = waiting;
                    return Step::NeedInput;
                }
                // Bytes from before the handshake are anybody's (RFC 3207 section 4.2, RFC 2595 section 4).
                State::StartTls if !self.input.is_empty() => self.react(Reaction::fail(Trouble::StartTls)),
                State::StartTls => {
                    self.state = State::Handshake;
                    return Step::StartTls;
                }
                State::Listening(awaited) => {
                    let reaction = match self.input.line(LINE_MAX) {
                        Line::Incomplete if self.input_ended => Reaction::fail(Trouble::Closed),
                        Line::Incomplete => {
                            self.state = State::Listening(awaited);
                            return Step::NeedInput;
                        }
                        Line::TooLong => Reaction::fail(Trouble::Garbage("a line that is too long")),
                        Line::Complete(line) => self.script.take_line(awaited, &line),
                    };
                    self.react(reaction)
                }
            };
        }
    }

    fn secured(&mut self) {
        let reaction =
            if self.input.is_empty() { self.script.secured() } else { Reaction::fail(Trouble::StartTls) };
        self.state = self.react(reaction);
    }

    fn into_unread(self) -> Zeroizing<Vec<u8>> {
        self.input.into_bytes()
    }
}

impl<S: ClientScript> Client<S> {
    fn react(&mut self, reaction: Reaction<S>) -> State<S> {
        match reaction {
            Reaction::Listen(awaited) => State::Listening(awaited),
            Reaction::Say(words, shows, awaited) => {
                self.output = words;
                self.shows = shows;
                State::Listening(awaited)
            }
            Reaction::StartTls => State::StartTls,
            Reaction::Tell(reply) => State::Told(reply),
        }
    }
}
