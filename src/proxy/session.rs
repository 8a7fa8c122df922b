//! One connection's life: handshake, dialogue, the gate's judgement, the upstream's, and then the relay.
//!
//! The client is a stranger until the gate admits it. This module carries messages between the dialogues, the
//! gate and the upstream; it decides nothing, understands no protocol, and never answers an attempt that the
//! gate has not concluded.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::arrival::Arrivals;
use super::buffers::Buffers;
use super::drain::{Drain, Leaving};
use super::driver::{Turn, drive_until, settle};
use super::lanes::Judging;
use super::permits::{ConnectionPermit, Permits, StrangerPermit};
use super::reason::Reason;
use super::relay::{Patience, Readers, Relay};
use super::tls::{Acceptor, Stream};
use super::upstream::{Answer, Entered, Failure, Legs, Seat, Told, Ways};
use crate::base::{ClientAddress, Clock, SessionId, random};
use crate::config::{Limits, ListenerTls};
use crate::gate::{
    Authenticator, Conclusion, Decision, Origin, Passage, Reading, Refused, SessionSummary, UpstreamSaid,
};
use crate::meters::{Handshake, UpstreamLogin};
use crate::protocol::{
    Attempt, Channel, ClientOrigin, Dialogue, Dismissal, Ends, MailProtocol, Output, Refusal, ServerDialogue,
    ServerSetup, Shown, Step, Wording,
};

/// How long before the deadline a client that has the word hears that its time is up: so that nobody stays longer for the
/// sake of it, and long enough for a few bytes to a client that reads.
const LAST_WORD: Duration = Duration::from_millis(100);

/// What the connections of one listener share.
pub(super) struct Door<P: MailProtocol> {
    pub(super) acceptor: Acceptor,
    pub(super) arrivals: Arrivals,
    pub(super) tls: ListenerTls,
    pub(super) wording: Arc<Wording>,
    pub(super) limits: Arc<Limits>,
    /// `server.drain`
    pub(super) drain: Duration,
    pub(super) gate: Arc<Authenticator>,
    /// Of which reading of the configuration all of this is.
    pub(super) reading: Reading,
    pub(super) legs: Legs<P>,
    /// Which of them this listener leads to, and what clients are told of them.
    pub(super) ways: Ways<P>,
    pub(super) permits: Permits,
    pub(super) buffers: Buffers,
    pub(super) clock: Arc<dyn Clock>,
    /// Turns true when the gate is about to stop.
    pub(super) closing: watch::Receiver<bool>,
}

/// Serves one connection to its end. What precedes login is dropped as a whole at the hand-over, so that a
/// relayed session is no larger than its relay.
pub(super) async fn serve<P: MailProtocol>(
    door: Arc<Door<P>>,
    tcp: TcpStream,
    peer: SocketAddr,
    _place: ConnectionPermit,
) {
    let _counted = door.gate.meters().connected(P::PROTOCOL);
    let admitted = Box::pin(until_admitted(&door, tcp, peer)).await;
    let Some(Admitted { mut passage, mut relay, seat }) = admitted else { return };
    let since = Instant::now();
    let mut closing = door.closing.clone();
    let patience = Patience::new(door.limits.idle, door.drain);
    let drain = Drain { told: &mut closing, farewell: &|| P::farewell(&door.wording) };
    let reason = relay.run(patience, drain, passage.ended()).await;
    let summary = SessionSummary { duration: since.elapsed(), reason: reason.as_str() };
    // The trail takes its time, and others may have need of the room.
    drop(relay);
    drop(seat);
    door.gate.session_ended(passage, summary).await;
}

/// All that precedes a session, of which there may be none.
async fn until_admitted<P: MailProtocol>(
    door: &Door<P>,
    mut tcp: TcpStream,
    peer: SocketAddr,
) -> Option<Admitted> {
    // Nobody's time begins anew because a balancer took its own.
    let deadline = Instant::now() + door.limits.auth_deadline;
    let ends = arrive(door, &mut tcp, peer).await?;
    // A network that holds too many connections already is not worth a word.
    let permit = door.permits.stranger(ClientAddress::new(ends.client().ip()))?;
    Stranger::new(door, ends, permit, deadline).until_admitted(tcp).await
}

/// Where it comes from; `None` if it is of no use, or the gate stops.
async fn arrive<P: MailProtocol>(door: &Door<P>, tcp: &mut TcpStream, peer: SocketAddr) -> Option<Ends> {
    let leaving = Leaving::new(door.closing.clone());
    let patience = door.limits.tls_deadline.min(door.limits.auth_deadline);
    tokio::select! {
        biased;
        ends = door.arrivals.arrive(tcp, peer, patience) => ends,
        () = leaving.time_to_leave() => None,
    }
}

/// A session that may begin.
struct Admitted {
    passage: Box<Passage>,
    relay: Relay,
    /// Held for its drop.
    seat: Seat,
}

/// A connection before login.
struct Stranger<'a, P: MailProtocol> {
    door: &'a Door<P>,
    origin: Origin,
    /// For the upstream.
    client: ClientOrigin,
    /// What all upstreams offer that it may be here for.
    offer: Arc<P::Offer>,
    permit: StrangerPermit,
    /// For everything before login; what the client sends does not move it.
    deadline: Instant,
    leaving: Leaving,
}

/// How an attempt ended.
enum Verdict<P: MailProtocol> {
    Passed(Box<Passage>, Entered<P>),
    Refused(Refused),
}

impl<'a, P: MailProtocol> Stranger<'a, P> {
    fn new(door: &'a Door<P>, ends: Ends, permit: StrangerPermit, deadline: Instant) -> Self {
        let session = SessionId(random::uuid(door.clock.now()));
        let Told { offer, reach } = door.ways.told(None);
        let address = ClientAddress::new(ends.client().ip());
        let origin = Origin { session, protocol: P::PROTOCOL, client: address, reach, reading: door.reading };
        let client = ClientOrigin { ends, session: session.0.as_u128() };
        Self { door, origin, client, offer, permit, deadline, leaving: Leaving::new(door.closing.clone()) }
    }

    /// `None` when the connection ended without a session: by the client, a deadline, for want of room, or
    /// because the gate stops. Whoever has the word hears so when his time is up and when the gate stops; all others are
    /// closed without one.
    async fn until_admitted(mut self, tcp: TcpStream) -> Option<Admitted> {
        let mut stream = Stream::plain(tcp);
        let wording = Arc::clone(&self.door.wording);
        let mut dialogue = match self.door.tls {
            ListenerTls::Starttls => {
                let offer = Arc::clone(&self.offer);
                P::Server::new(ServerSetup { wording, offer, channel: Channel::Plain })
            }
            ListenerTls::Implicit => {
                let mut dialogue = None;
                let greet = |offer| {
                    let channel = Channel::Secured;
                    greeting(dialogue.insert(P::Server::new(ServerSetup { wording, offer, channel })))
                };
                stream = self.shake_hands(stream, greet).await?;
                dialogue?
            }
        };
        loop {
            let stop = self.dismissed();
            let turn = self.patiently(pin!(drive_until(&mut stream, &mut dialogue, stop))).await?.ok()?;
            let turn = match turn {
                Ok(turn) => turn,
                Err(why) => {
                    dialogue.dismiss(why);
                    self.patiently(pin!(settle(&mut stream, &mut dialogue))).await?.ok()?;
                    return None;
                }
            };
            match turn {
                Turn::Input { .. } | Turn::Closed => return None,
                Turn::StartTls => {
                    // The client has the word.
                    stream = self.shake_hands(stream, |_| Output::default()).await?;
                    dialogue.offer(Arc::clone(&self.offer));
                    dialogue.secured();
                }
                Turn::Event(attempt) => {
                    let arrived = Instant::now();
                    // In a place of its own: it is by far the largest of what a connection waits for.
                    let judging =
                        Box::pin(judge(self.door, self.origin.clone(), self.client, self.deadline, attempt));
                    match self.patiently(judging).await? {
                        Verdict::Passed(passage, entered) => {
                            return self.hand_over(stream, dialogue, passage, entered).await;
                        }
                        Verdict::Refused(refused) => {
                            // A delay that would outlast the deadline ends with it, unanswered.
                            self.patiently(pin!(sleep_until(arrived + refused.not_before))).await?;
                            dialogue.refuse(refused.refusal);
                            if self.door.gate.reading() != self.door.reading {
                                // Whatever it tries next, nobody judges it here.
                                dialogue.dismiss(Dismissal::Stopping);
                                self.patiently(pin!(settle(&mut stream, &mut dialogue))).await?.ok()?;
                                return None;
                            }
                        }
                    }
                }
            }
        }
    }

    /// Happens when a client that has said nothing for now should be told to go. One that never stops talking keeps this from
    /// being asked; it goes at the deadline, without a word.
    fn dismissed(&self) -> impl Future<Output = Dismissal> + use<P> {
        let stopping = self.leaving.time_to_leave();
        let late = self.deadline.checked_sub(LAST_WORD).unwrap_or(self.deadline);
        async move {
            tokio::select! {
                biased;
                () = sleep_until(late) => Dismissal::TimeIsUp,
                () = stopping => Dismissal::Stopping,
            }
        }
    }

    /// Runs `work` as long as this connection may stay. What is not small stays where it is: it would be copied.
    async fn patiently<T>(&mut self, work: impl Future<Output = T> + Unpin) -> Option<T> {
        tokio::select! {
            biased;
            done = timeout_at(self.deadline, work) => done.ok(),
            () = self.permit.evicted() => None,
        }
    }

    /// The handshake, in which the client may say whom it wants, and with which it is greeted.
    async fn shake_hands(
        &mut self,
        stream: Stream,
        greet: impl FnOnce(Arc<P::Offer>) -> Output,
    ) -> Option<Stream> {
        let door = self.door;
        let greet = |name: Option<&str>| greet(door.ways.told(name).offer);
        let handshake = timeout(door.limits.tls_deadline, door.acceptor.accept_and_greet(stream, greet));
        let stop = self.leaving.time_to_leave();
        let handshake = pin!(async {
            tokio::select! {
                biased;
                shaken = handshake => Some(shaken),
                () = stop => None,
            }
        });
        let shaken = self.patiently(handshake).await??;
        let how = match &shaken {
            Ok(Ok(stream)) if stream.is_tls12() => Handshake::Tls12,
            Ok(Ok(_)) => Handshake::Tls13,
            Ok(Err(_)) => Handshake::Failed,
            Err(_) => Handshake::TimedOut,
        };
        self.door.gate.meters().handshake(P::PROTOCOL, how);
        let stream = shaken.ok()?.ok()?;
        let Told { offer, reach } = self.door.ways.told(stream.server_name());
        self.offer = offer;
        self.origin.reach = reach;
        Some(stream)
    }

    /// Says welcome and dissolves both dialogues into a relay.
    async fn hand_over(
        mut self,
        mut stream: Stream,
        mut dialogue: P::Server,
        mut passage: Box<Passage>,
        entered: Entered<P>,
    ) -> Option<Admitted> {
        let readers = Readers::of::<P>(&passage, &entered.welcome);
        dialogue.admit(entered.welcome, passage.access());
        let not_begun = tokio::select! {
            biased;
            told = async { self.patiently(pin!(settle(&mut stream, &mut dialogue))).await } => {
                let told = matches!(told, Some(Ok(Turn::Input { .. })));
                (!told).then_some(Reason::ClientClosed)
            }
            // A client that does not read its welcome.
            cause = passage.ended() => Some(Reason::Ended(cause)),
        };
        if let Some(reason) = not_begun {
            let nothing = SessionSummary { duration: Duration::ZERO, reason: reason.as_str() };
            self.door.gate.session_ended(passage, nothing).await;
            return None;
        }
        let client = (stream, dialogue.into_unread());
        let upstream = (entered.stream, entered.unread);
        let relay = Relay::new(client, upstream, readers, self.door.buffers.clone(), passage.traffic());
        Some(Admitted { passage, relay, seat: entered.seat })
    }
}

/// What a new dialogue begins with.
fn greeting(dialogue: &mut impl Dialogue) -> Output {
    match dialogue.step() {
        Step::Send(words) => words,
        Step::NeedInput | Step::StartTls | Step::Event(_) | Step::Close => Output::default(),
    }
}

/// The gate's judgement, and where it admits, the upstream's. May be dropped at any point: the gate records the
/// attempt all the same.
async fn judge<P: MailProtocol>(
    door: &Door<P>,
    origin: Origin,
    client: ClientOrigin,
    deadline: Instant,
    attempt: Attempt<P::Introduction>,
) -> Verdict<P> {
    let _counted = Judging::begin();
    let mut grant = match door.gate.judge(&origin, attempt.credentials).await {
        Decision::Refuse(refused) => return Verdict::Refused(refused),
        Decision::Admit(grant) => grant,
    };
    let login = grant.take_login();
    let asked = Instant::now();
    let answer = tokio::select! {
        biased;
        answer = door.legs.log_in(grant.upstream(), login, attempt.introduction, Some(client), deadline) => answer,
        // How far it came nobody knows.
        () = Leaving::new(door.closing.clone()).after(door.drain) => {
            Answer::Unavailable { failure: Failure::Stopping, shown: Shown::Credential }
        }
    };
    let how = match &answer {
        Answer::Yes(_) => UpstreamLogin::Accepted,
        Answer::No => UpstreamLogin::Refused,
        Answer::Unavailable { .. } => UpstreamLogin::Unavailable,
    };
    door.gate.meters().upstream_login(grant.upstream(), P::PROTOCOL, how, asked.elapsed());
    let (said, entered) = match answer {
        Answer::Yes(entered) => (UpstreamSaid::Yes, Some(entered)),
        Answer::No => (UpstreamSaid::No, None),
        Answer::Unavailable { failure, shown } => {
            let said = UpstreamSaid::Unavailable {
                refusal: failure.refusal(),
                reason: failure.to_string(),
                credential_sent: shown == Shown::Credential,
                concerns: failure.concerns(shown),
            };
            (said, None)
        }
    };
    match (door.gate.conclude(grant, said).await, entered) {
        (Conclusion::Pass(passage), Some(entered)) => Verdict::Passed(passage, entered),
        (Conclusion::Refuse(refused), _) => Verdict::Refused(refused),
        // The gate passes nobody whom the upstream did not let in, and without a connection nothing is relayed.
        (Conclusion::Pass(_), None) => {
            let not_before = door.limits.failure_delay;
            Verdict::Refused(Refused { refusal: Refusal::Unavailable, not_before })
        }
    }
}

#[cfg(test)]
mod tests;
