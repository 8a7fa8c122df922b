//! Pre-authentication dialogues as pure state machines: bytes in, [`Step`]s out.
//!
//! Input is hostile on both sides: a client before login, and an upstream that may be anybody until its
//! certificate was verified. Nothing here does I/O, reads a clock, draws randomness, knows a database, or
//! logs content. Each dialogue bounds what it holds, and one driver (`proxy::driver`) carries out the steps
//! of all six.
//!
//! ```text
//!   bytes ──receive──▶ Dialogue ──step──▶ NeedInput | Send | StartTls | Event | Close
//! ```

pub mod clean;
pub mod course;
pub mod guard;
pub mod imap;
pub mod input;
pub mod lines;
pub mod origin;
pub mod output;
pub mod pop3;
pub mod proxy_header;
pub mod sasl;
pub mod smtp;
pub mod stranger;
pub mod wording;

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

pub use crate::base::Language;
use crate::base::{Access, LoginName, Password, Protocol};
pub use course::{Course, Rest};
pub use guard::{Forward, RelayGuard, Violation};
pub use origin::{ClientOrigin, Ends, Forwarding};
pub use sasl::Mechanism;
pub use wording::Wording;

/// Bytes on their way out; they may hold a credential, so they are wiped when sent.
pub type Output = Zeroizing<Vec<u8>>;

/// What a dialogue wants done next. The driver asks until it hears [`Step::NeedInput`], [`Step::Event`] or
/// [`Step::Close`].
pub enum Step<E> {
    /// Nothing to do until more bytes arrive.
    NeedInput,
    /// Write these bytes to the peer.
    Send(Output),
    /// Flush, then handshake: as server towards a client, as client towards an upstream. Then call
    /// [`Dialogue::secured`]. Bytes read before the handshake are never used after it.
    StartTls,
    /// The dialogue is suspended until somebody answers this event.
    Event(E),
    /// Flush and close. Every later step is `Close` too.
    Close,
}

/// One side of a pre-authentication conversation.
pub trait Dialogue {
    /// What suspends the dialogue.
    type Event;

    /// Takes bytes from the peer, in pieces of any size: every split of the same bytes leads to the same steps.
    fn receive(&mut self, bytes: &[u8]);

    /// The peer closed its sending side.
    fn end_of_input(&mut self);

    /// What to do next.
    fn step(&mut self) -> Step<Self::Event>;

    /// The handshake that [`Step::StartTls`] asked for is complete.
    fn secured(&mut self);

    /// Dissolves into the bytes received and not used, in order: at most 8 KiB plus one read.
    fn into_unread(self) -> Zeroizing<Vec<u8>>;
}

/// A mail protocol: its two dialogues and what passes between them.
pub trait MailProtocol: Sized + Send + Sync + 'static {
    /// Which one.
    const PROTOCOL: Protocol;
    /// What an upstream offers before login, on the secured leg.
    type Offer: Offered;
    /// What the client said about itself before login that the upstream must hear as well.
    type Introduction: Clone + Send + 'static;
    /// What the upstream said when it let us in, for the client to hear.
    type Welcome: Send + 'static;
    /// The dialogue that faces the client.
    type Server: ServerDialogue<Self> + Send + 'static;
    /// The dialogue that faces the upstream.
    type Client: ClientDialogue<Self> + Send + 'static;

    /// What must read along once the session is a relay to an upstream that said `welcome`, and the client may do
    /// whatever the upstream lets it. `None` where bytes may pass as they are.
    #[must_use]
    fn guard(welcome: &Self::Welcome) -> Option<Box<dyn RelayGuard>> {
        let _ = welcome;
        None
    }

    /// The same where the client may only read: nothing passes it that changes the mailbox or sends anything.
    #[must_use]
    fn read_only_guard(welcome: &Self::Welcome) -> Box<dyn RelayGuard>;

    /// What follows the session once it is a relay, where that takes more than to see it pass.
    #[must_use]
    fn course() -> Option<Box<dyn Course>> {
        None
    }

    /// What a client that is logged in hears when the gate stops, at a place where it awaits nothing; a whole line. `None`
    /// where the protocol has no words for it.
    #[must_use]
    fn farewell(wording: &Wording) -> Option<String> {
        let _ = wording;
        None
    }
}

/// What an upstream offers before login. `Default` is what every server of the protocol offers, used until an
/// upstream was heard for the first time.
pub trait Offered: Clone + Default + PartialEq + fmt::Debug + Send + Sync + 'static {
    /// What a client may be told whose account may be at either upstream: a feature that both have, and a
    /// restriction of either.
    #[must_use]
    fn intersect(&self, other: &Self) -> Self;

    /// Whether a client that was told of `told` can be led here: nothing is missing that it would use without
    /// asking again, and be misunderstood.
    #[must_use]
    fn keeps(&self, told: &Self) -> bool;
}

/// Whether the leg to the client is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// No TLS yet; STARTTLS/STLS is possible and nothing secret is taken.
    Plain,
    /// Inside TLS.
    Secured,
}

/// What a client-facing dialogue starts from.
#[derive(Clone)]
pub struct ServerSetup<O> {
    /// Names and texts of this site.
    pub wording: Arc<Wording>,
    /// What the upstreams behind this listener offer.
    pub offer: Arc<O>,
    /// The channel at the start: plain for STARTTLS listeners.
    pub channel: Channel,
}

/// The side of the gate that a mail client talks to.
pub trait ServerDialogue<P: MailProtocol>: Dialogue<Event = Attempt<P::Introduction>> {
    /// Begins with the greeting, which the first `step` sends.
    fn new(setup: ServerSetup<P::Offer>) -> Self;

    /// From now on this is offered. The handshake may tell which upstreams the client is here for: to be called
    /// before [`Dialogue::secured`].
    fn offer(&mut self, offer: Arc<P::Offer>);

    /// Answers the pending attempt with a refusal; the dialogue goes on (or closes, where its table says so).
    fn refuse(&mut self, refusal: Refusal);

    /// The gate ends the conversation: a client that has the word is told why, as far as the protocol has words for it,
    /// and the connection ends.
    fn dismiss(&mut self, why: Dismissal);

    /// Answers the pending attempt with success: after the following `Send`s the dialogue is over, and
    /// `step` returns [`Step::NeedInput`]; the session becomes a relay, in which the client may do so much.
    fn admit(&mut self, welcome: P::Welcome, access: Access);
}

/// Why the gate ends a conversation in which nobody has made a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dismissal {
    /// It is about to stop.
    Stopping,
    /// The client has not logged in within the time that it has for that.
    TimeIsUp,
}

/// One try to authenticate, as the gate judges it.
pub struct Credentials {
    /// The name as typed.
    pub login: LoginName,
    /// The password as presented, byte for byte.
    pub password: Password,
    /// How it was presented.
    pub mechanism: Mechanism,
    /// What the client said it is (IMAP `ID`, EHLO name), cleaned: printable, at most 128 characters.
    pub program: Option<String>,
}

/// One try to authenticate: the event of every client-facing dialogue.
pub struct Attempt<I> {
    /// For the gate.
    pub credentials: Credentials,
    /// For the upstream, if the gate admits.
    pub introduction: I,
}

/// Why a client is not let in. One table per protocol (`reply.rs`) says it in the protocol's own codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Unknown account, wrong password, or anything but an app password where a second factor is bound:
    /// the same bytes for all.
    NotLetIn,
    /// The mailbox password is right, but a second factor must be bound first.
    BindFirst,
    /// The app password is right, but not for this protocol or network.
    OutOfScope,
    /// The app password is right, but expired.
    Expired,
    /// The app password is right, but the mailbox password sealed to it is no longer.
    Stale,
    /// The password is right, the account is suspended.
    Suspended,
    /// Too many failures; the password was not looked at.
    TooManyFailures,
    /// The upstream cannot be reached, is overloaded or silent, or the gate itself is broken.
    Unavailable,
    /// The upstream says that the mailbox is in use (RFC 2449 `[IN-USE]`, RFC 5530 `[INUSE]`): passed on.
    InUse,
    /// The upstream says that the last login was too recent (RFC 2449 `[LOGIN-DELAY]`): passed on.
    LoginDelay,
}

/// The name and password to log in upstream with.
pub struct UpstreamLogin {
    /// The authentication identity, in the upstream's spelling; checked, no control characters.
    pub user: LoginName,
    /// SASL PLAIN authorisation identity (RFC 4616), for a master user that acts for the account.
    pub authorize_as: Option<LoginName>,
    /// The password that belongs to `user`.
    pub password: Password,
}

impl UpstreamLogin {
    /// The same again, for another server: the password of both is wiped on drop.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self {
            user: self.user.clone(),
            authorize_as: self.authorize_as.clone(),
            password: self.password.duplicate(),
        }
    }
}

/// Why we talk to an upstream.
pub enum Purpose<I> {
    /// To learn what it offers before login, on the secured leg; then leave politely.
    Learn,
    /// To log in for a client.
    LogIn {
        /// As whom.
        login: UpstreamLogin,
        /// What the client said about itself.
        introduction: I,
        /// Where it comes from, if this dialogue is to say so where the upstream offers a way.
        client: Option<ClientOrigin>,
    },
}

/// What an upstream-facing dialogue starts from.
pub struct ClientSetup<I> {
    /// Demand STARTTLS/STLS before anything else; a refusal means that no credential leaves. `false` on
    /// implicit TLS and where the administrator configured a plain leg.
    pub starttls: bool,
    /// What for.
    pub purpose: Purpose<I>,
    /// The name the gate greets with where it speaks for itself (SMTP `EHLO` when learning).
    pub own_name: String,
}

/// How much an upstream was shown of the client that a login is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shown {
    /// What it hears from anybody.
    #[default]
    Nothing,
    /// Something of the client's own: its name, where it comes from, what it asks for, whose mailbox it wants. A refusal may be
    /// about that.
    Client,
    /// Also some of the password. From then on silence is no longer free.
    Credential,
}

/// The side of the gate that an upstream talks to.
pub trait ClientDialogue<P: MailProtocol>: Dialogue<Event = UpstreamReply<P>> {
    /// Begins by awaiting the upstream's greeting.
    fn new(setup: ClientSetup<P::Introduction>) -> Self;

    /// The most that was handed out by `step` of what concerns the client.
    fn shown(&self) -> Shown;

    /// What became so far of telling the upstream where the client comes from.
    fn forwarding(&self) -> Forwarding;
}

/// How a conversation with an upstream ended.
pub enum UpstreamReply<P: MailProtocol> {
    /// What it offers. Further steps say goodbye, then `Close`.
    Learned(P::Offer),
    /// It let us in.
    LoggedIn(P::Welcome),
    /// It said no, definitely, to this name and password.
    Refused,
    /// Anything else: nobody may be told that a password is wrong.
    Unavailable(Trouble),
}

/// What went wrong with an upstream; for logs and audit, and `InUse`/`LoginDelay` for the client as well.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The mailbox is in use.
    #[error("the mailbox is in use")]
    InUse,
    /// The last login was too recent.
    #[error("the last login was too recent")]
    LoginDelay,
    /// Its reply lacks what the client was told that it offers; nothing secret was sent.
    #[error("it no longer offers what the client was told")]
    OfferChanged,
    /// It offers no way to log in that the gate can use with this credential.
    #[error("it offers no usable login mechanism")]
    NoMechanism,
    /// STARTTLS/STLS was refused or not offered, or bytes came before the handshake.
    #[error("it did not start TLS")]
    StartTls,
    /// It greeted with PREAUTH, or injected bytes.
    #[error("it claims to be logged in already")]
    PreAuthenticated,
    /// It closed the connection.
    #[error("it closed the connection")]
    Closed,
    /// It sent what the protocol does not allow, or more than the gate holds.
    #[error("it sent {0}")]
    Garbage(&'static str),
    /// It said that it is temporarily unable; the text is its own, cleaned, at most 200 characters.
    #[error("it said `{0}`")]
    Said(String),
}

#[cfg(test)]
mod tests;
