//! After login: bytes go both ways until somebody closes, falls silent, or the gate drains.
//!
//! Both peers are trusted as far as each other: what one sends, the other gets, byte for byte and once,
//! unless the protocol has a guard that must read along. Nothing is held for an idle session; where one peer
//! does not read, the other is not read either. Content is never looked at here and never logged.
//!
//! ```text
//!            read ┌────────┐ outgoing
//!   client ──────▶│        ├─────────▶ upstream     one side is read only while nothing waits for the other
//!          ◀──────┤ guard? │◀──────
//!        outgoing └────────┘ read
//! ```

mod readers;
mod side;

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::Instant;

pub(super) use self::readers::Readers;
use self::side::Side;
use super::buffers::{BUFFER_SIZE, Buffer, Buffers};
use super::drain::{self, Drain, Leaving};
use super::reason::Reason;
use super::tls::Stream;
use crate::gate::{Cause, Traffic};
use crate::protocol::{Course, Forward, Output, RelayGuard, Rest, Violation};

/// For the last words (TLS's own goodbye) to a peer that may not read.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// For a client that was stopped by a guard to finish what it is sending.
const LINGER_MAX: Duration = Duration::from_secs(10);

/// The same two for a session that the gate ends, which must be over within a second of its cause, the time to hear
/// of it included.
const ENDED_GOODBYE_MAX: Duration = Duration::from_millis(300);
const ENDED_LINGER_MAX: Duration = Duration::from_millis(200);

/// What a guard may make wait for the side that is being read, before reading pauses.
const ANSWERS_MAX: usize = 64 * 1024;

/// For a session that lasts so long the system is asked to notice when its server is dead. Clients that look for mail and go
/// need not pay for it; they themselves are asked after from the beginning.
const LASTING: Duration = Duration::from_secs(60);

/// How long silence may last.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// In both directions.
    idle: Duration,
    /// When one side has closed: the other has nothing to wait for, but may still be receiving.
    half_closed: Duration,
    /// While the gate drains: longer than the pauses within a message.
    draining: Duration,
    /// Not silence: how old a session grows before its server is looked after.
    lasting: Duration,
    /// Not silence: all the time that is left once the gate drains.
    drain: Duration,
}

impl Patience {
    pub(super) fn new(idle: Duration, drain: Duration) -> Self {
        let half_closed = idle.min(Duration::from_secs(60));
        Self { idle, half_closed, draining: drain::PAUSE, lasting: LASTING, drain }
    }
}

/// A guard of any protocol.
type Guard = Box<dyn RelayGuard>;

/// One session's two connections.
pub(super) struct Relay {
    client: Side,
    upstream: Side,
    guard: Option<Guard>,
    course: Option<Box<dyn Course>>,
    /// From the client, not taken by the guard yet.
    held: Option<Buffer>,
    buffers: Buffers,
    traffic: Arc<Traffic>,
    active: Instant,
    first_closed: Option<Reason>,
    /// The gate has drained for a while: it is over as soon as nothing is under way.
    leaving: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Peer {
    Client,
    Upstream,
}

/// What a poll of the copying found.
enum Copied {
    /// One side closed for the first time: a shorter silence is allowed from now on.
    HalfClosed,
    Over(Reason),
}

impl Relay {
    /// `from_client` and `from_upstream` were received before the hand-over and come first.
    pub(super) fn new(
        (client, from_client): (Stream, Output),
        (upstream, from_upstream): (Stream, Output),
        Readers { guard, course }: Readers,
        buffers: Buffers,
        traffic: Arc<Traffic>,
    ) -> Self {
        let (client, upstream) = (Side::new(client), Side::new(upstream));
        let (held, active, leaving) = (None, Instant::now(), false);
        let mut relay = Self {
            client,
            upstream,
            guard,
            course,
            held,
            buffers,
            traffic,
            active,
            first_closed: None,
            leaving,
        };
        for (from, bytes) in [(Peer::Upstream, from_upstream), (Peer::Client, from_client)] {
            if !bytes.is_empty() {
                let mut buffer = relay.buffers.take();
                buffer.extend_from_slice(&bytes);
                relay.deliver(from, buffer);
            }
        }
        relay
    }

    /// Copies until the session is over, or the gate stops and nothing is under way any more.
    ///
    /// Whatever waits to be passed on when the gate ends the session is not; nothing is put into what has passed
    /// already, save a farewell where it is known to be understood.
    pub(super) async fn run(
        &mut self,
        patience: Patience,
        drain: Drain<'_>,
        ended: impl Future<Output = Cause>,
    ) -> Reason {
        let mut ended = pin!(ended);
        let mut draining = None;
        let first_look = self.due(patience, draining).min(Instant::now() + patience.lasting);
        let mut silence = pin!(tokio::time::sleep_until(first_look));
        let reason = loop {
            tokio::select! {
                biased;
                // First, for bytes that never cease must not keep it from being seen.
                cause = &mut ended => break Reason::Ended(cause),
                copied = poll_fn(|cx| self.poll_copy(cx)) => match copied {
                    Copied::Over(reason) => break reason,
                    Copied::HalfClosed => silence.as_mut().reset(self.due(patience, draining)),
                },
                _ = drain.told.wait_for(|told| *told), if draining.is_none() => {
                    draining = Some(Instant::now());
                    let due = self.due(patience, draining).min(Instant::now() + patience.draining);
                    silence.as_mut().reset(due);
                }
                // Not set again with every byte: when it fires, it looks how long the silence really is.
                () = &mut silence => {
                    let due = self.due(patience, draining);
                    self.leaving = draining.is_some_and(|since| since.elapsed() >= patience.draining);
                    if due <= Instant::now() {
                        let silent = if draining.is_some() { Reason::Drained } else { Reason::Idle };
                        break self.first_closed.unwrap_or(silent);
                    }
                    if draining.is_none() {
                        // Where the system cannot, silence ends it all the same.
                        let _ = self.upstream.stream.keep_alive();
                    }
                    // While it drains, what was under way may have ended long before.
                    let soon = draining.map_or(due, |_| due.min(Instant::now() + patience.draining));
                    silence.as_mut().reset(soon);
                }
            }
        };
        if let Reason::Ended(_) = reason {
            self.say_goodbye(ENDED_GOODBYE_MAX).await;
            self.hear_out(ENDED_LINGER_MAX).await;
            return reason;
        }
        if reason == Reason::Drained && matches!(self.rest(), Rest::Quiet | Rest::Done) {
            drain.say_farewell(&mut self.client.stream, GOODBYE_MAX).await;
        }
        self.say_goodbye(GOODBYE_MAX).await;
        if self.first_closed == Some(Reason::Error) {
            let leaving = Leaving::new(drain.told.clone()).time_to_leave();
            // In a place of its own: hardly any session comes here. When the gate stops, a pause is what it has.
            Box::pin(async {
                tokio::select! {
                    () = self.hear_out(LINGER_MAX) => {}
                    () = leaving => {}
                }
            })
            .await;
        }
        reason
    }

    /// When the session ends unless bytes move before.
    fn due(&self, patience: Patience, draining: Option<Instant>) -> Instant {
        let allowed = match self.first_closed {
            None => patience.idle,
            Some(_) => patience.half_closed,
        };
        match draining {
            None => self.active + allowed,
            // What is under way is given the time that there is.
            Some(since) if self.rest() == Rest::Busy => (self.active + allowed).min(since + patience.drain),
            Some(since) => (self.active + allowed.min(patience.draining)).min(since + patience.drain),
        }
    }

    /// Whether anything is under way.
    fn rest(&self) -> Rest {
        if self.held.is_some() || self.client.is_behind() || self.upstream.is_behind() {
            return Rest::Busy;
        }
        self.rest_of_course().unwrap_or(Rest::Unclear)
    }

    /// The same by what was said, if anybody follows it.
    fn rest_of_course(&self) -> Option<Rest> {
        let known_by_guard = self.guard.as_ref().and_then(|guard| guard.rest());
        known_by_guard.or_else(|| self.course.as_ref().map(|course| course.rest()))
    }

    /// Whether the upstream has closed after the last word that the client waited for, as after `LOGOUT` and `QUIT`: there is
    /// nothing left to say, and nobody to hear what the client may say.
    fn is_over(&self) -> bool {
        self.upstream.heard_all
            && self.held.is_none()
            // Who broke a rule is heard out, on sockets that were shut down in order.
            && self.first_closed != Some(Reason::Error)
            && self.rest_of_course().is_some_and(|rest| rest != Rest::Busy)
    }

    fn poll_copy(&mut self, cx: &mut Context<'_>) -> Poll<Copied> {
        loop {
            let closed_before = self.first_closed;
            match self.advance(cx) {
                Err(reason) => return Poll::Ready(Copied::Over(self.first_closed.unwrap_or(reason))),
                Ok(moved) => {
                    if self.client.told_end && self.upstream.told_end {
                        return Poll::Ready(Copied::Over(self.first_closed.unwrap_or(Reason::Error)));
                    }
                    if !moved {
                        return Poll::Pending;
                    }
                }
            }
            self.active = Instant::now();
            if self.leaving && self.first_closed.is_none() && self.rest() == Rest::Done {
                return Poll::Ready(Copied::Over(Reason::Drained));
            }
            if self.first_closed != closed_before {
                return Poll::Ready(Copied::HalfClosed);
            }
        }
    }

    /// One round: write what waits, read what may be read, pass on what ended. `false` when every part waits.
    fn advance(&mut self, cx: &mut Context<'_>) -> Result<bool, Reason> {
        if self.is_over() {
            return self.end(cx).map_err(|error| broken(Peer::Client, &error));
        }
        let mut moved = false;
        for peer in [Peer::Client, Peer::Upstream] {
            moved |= self.write(peer, cx).map_err(|error| broken(peer, &error))?;
            moved |= self.read(peer, cx).map_err(|error| broken(peer, &error))?;
        }
        if moved {
            return Ok(true);
        }
        for (peer, other) in [(Peer::Client, Peer::Upstream), (Peer::Upstream, Peer::Client)] {
            let ended = self.side(other).heard_all;
            moved |= self.side(peer).finish(ended, cx).map_err(|error| broken(peer, &error))?;
        }
        Ok(moved)
    }

    /// Writes what waits for `to`, and counts it.
    fn write(&mut self, to: Peer, cx: &mut Context<'_>) -> io::Result<bool> {
        let written = self.side(to).write(cx)?;
        match to {
            _ if written == 0 => {}
            Peer::Client => self.traffic.moved_to_client(written),
            Peer::Upstream => self.traffic.moved_from_client(written),
        }
        let side = self.side(to);
        let flushed = side.unflushed && side.flush(cx)?;
        Ok(written > 0 || flushed)
    }

    /// The last words and TLS's goodbye for the client, in one go. Both sockets are closed behind it.
    fn end(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        self.client.stream.hold();
        let written = self.client.write(cx)?;
        self.traffic.moved_to_client(written);
        let told = self.client.outgoing.is_none() && self.client.say_last(cx)?;
        if told {
            self.upstream.outgoing = None;
            // It has closed: that it cannot be told is no matter.
            let _ = self.upstream.say_last(cx);
            self.upstream.told_end = true;
        }
        Ok(written > 0 || told)
    }

    /// Reads from `from`, if nothing waits for the other side or at the guard. A server mostly has closed when its last words are
    /// read: that is heard at once, so that the goodbye can go out with them.
    fn read(&mut self, from: Peer, cx: &mut Context<'_>) -> io::Result<bool> {
        let answers = self.side(from).outgoing.as_ref().map_or(0, |(bytes, written)| bytes.len() - written);
        let waits = self.side(from.other()).outgoing.is_some()
            || self.side(from.other()).unflushed
            || answers > ANSWERS_MAX
            || (from == Peer::Client && self.held.is_some());
        if waits || self.side(from).heard_all {
            return Ok(false);
        }
        let Poll::Ready(read) = self.read_once(from, cx) else { return Ok(false) };
        let read = read?;
        self.side(from).busy = read >= BUFFER_SIZE;
        // Unless a guard has heard enough.
        let more = from == Peer::Upstream && !self.upstream.heard_all;
        if more
            && (1..BUFFER_SIZE / 2).contains(&read)
            && let Poll::Ready(Err(_)) = self.read_once(from, cx)
        {
            // What came before it is told first; then it is gone.
            self.upstream.heard_all = true;
            self.first_closed.get_or_insert(from.closed());
        }
        Ok(true)
    }

    /// How much there was; nothing at the end.
    fn read_once(&mut self, from: Peer, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut buffer = if self.side(from).busy { self.buffers.take_large() } else { self.buffers.take() };
        let read = ready!(pin!(self.side(from).stream.read_buf(&mut *buffer)).poll(cx))?;
        if read == 0 {
            self.side(from).heard_all = true;
            self.first_closed.get_or_insert(from.closed());
        } else {
            self.deliver(from, buffer);
        }
        Poll::Ready(Ok(read))
    }

    /// Hands what `from` sent to the other side, past the guard where there is one.
    fn deliver(&mut self, from: Peer, bytes: Buffer) {
        if let (Some(course), Peer::Upstream) = (&mut self.course, from) {
            course.upstream_sent(&bytes);
        }
        let Some(guard) = &mut self.guard else {
            if let (Some(course), Peer::Client) = (&mut self.course, from) {
                course.client_sent();
            }
            match &mut self.side(from.other()).outgoing {
                Some((waiting, _)) => waiting.extend_from_slice(&bytes),
                nothing => *nothing = Some((bytes, 0)),
            }
            return;
        };
        let mut out = Forward {
            to_upstream: self.upstream.lend_outgoing(&self.buffers),
            to_client: self.client.lend_outgoing(&self.buffers),
        };
        let before = out.to_upstream.len();
        let result = match from {
            Peer::Client => offer(guard, bytes, &mut out),
            Peer::Upstream => guard.upstream_sent(&bytes, &mut out).and_then(|()| match self.held.take() {
                Some(held) => offer(guard, held, &mut out),
                None => Ok(None),
            }),
        };
        // What the guard answers by itself nobody awaits.
        if let Some(course) = self.course.as_mut().filter(|_| out.to_upstream.len() > before) {
            course.client_sent();
        }
        self.upstream.return_outgoing(out.to_upstream);
        self.client.return_outgoing(out.to_client);
        match result {
            // From the upstream this is what was held before, or the rest of it.
            Ok(held) => self.held = held,
            Err(violation) => self.end_for(violation),
        }
    }

    /// The client hears what it was answered; nothing more goes to the upstream, and nobody is read.
    fn end_for(&mut self, violation: Violation) {
        tracing::debug!(reason = %violation, "a guard ended the session");
        (self.upstream.outgoing, self.held) = (None, None);
        (self.client.heard_all, self.upstream.heard_all) = (true, true);
        self.first_closed = Some(Reason::Error);
    }

    fn side(&mut self, peer: Peer) -> &mut Side {
        match peer {
            Peer::Client => &mut self.client,
            Peer::Upstream => &mut self.upstream,
        }
    }

    async fn say_goodbye(&mut self, patience: Duration) {
        let both = async { tokio::join!(self.client.say_goodbye(), self.upstream.say_goodbye()) };
        // A peer that is gone or does not read misses the goodbye: nothing is lost by it.
        let _ = tokio::time::timeout(patience, both).await;
    }

    /// A client that is stopped in the middle of sending is answered while its bytes still come. Were the
    /// connection gone by then, they would be met with a reset, which on some systems takes back the answer.
    async fn hear_out(&mut self, patience: Duration) {
        let mut unheard = self.buffers.take();
        let client = &mut self.client.stream;
        let all = async {
            while client.read_buf(&mut *unheard).await.is_ok_and(|read| read > 0) {
                unheard.clear();
            }
        };
        // Who goes on for longer has had time to look.
        let _ = tokio::time::timeout(patience, all).await;
    }
}

impl Peer {
    fn other(self) -> Self {
        match self {
            Self::Client => Self::Upstream,
            Self::Upstream => Self::Client,
        }
    }

    fn closed(self) -> Reason {
        match self {
            Self::Client => Reason::ClientClosed,
            Self::Upstream => Reason::UpstreamClosed,
        }
    }
}

/// Offers `bytes` to the guard; what it does not take yet is given back.
fn offer(guard: &mut Guard, mut bytes: Buffer, out: &mut Forward) -> Result<Option<Buffer>, Violation> {
    let taken = guard.client_sent(&bytes, out)?.min(bytes.len());
    bytes.drain(..taken);
    Ok(Some(bytes).filter(|rest| !rest.is_empty()))
}

/// A peer that drops its connection has closed it; anything else is an error.
fn broken(peer: Peer, error: &io::Error) -> Reason {
    let dropped = [
        io::ErrorKind::ConnectionReset,
        io::ErrorKind::ConnectionAborted,
        io::ErrorKind::BrokenPipe,
        io::ErrorKind::NotConnected,
    ];
    if dropped.contains(&error.kind()) { peer.closed() } else { Reason::Error }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpStream;
    use tokio::sync::{oneshot, watch};
    use tokio::task::JoinHandle;

    use super::*;
    use crate::proxy::testing::{eventually, tcp_pair};

    const LONG: Patience = patience(60_000);

    /// Twice what a test waits for: who ends with this ends too late.
    const TOO_LATE: Duration = Duration::from_secs(60);

    const fn patience(idle_millis: u64) -> Patience {
        let millis = Duration::from_millis;
        Patience {
            idle: millis(idle_millis),
            half_closed: millis(300),
            draining: millis(200),
            lasting: LASTING,
            drain: millis(900),
        }
    }

    /// A running relay and what stands at its ends.
    struct Stage {
        client: TcpStream,
        upstream: TcpStream,
        buffers: Buffers,
        traffic: Arc<Traffic>,
        drain: watch::Sender<bool>,
        revoke: oneshot::Sender<Cause>,
        end: JoinHandle<Reason>,
    }

    async fn stage(patience: Patience, unread: (&[u8], &[u8]), guard: Option<Guard>) -> Stage {
        stage_with(patience, unread, (guard, None)).await
    }

    async fn stage_following(patience: Patience, course: Option<Box<dyn Course>>) -> Stage {
        stage_with(patience, (b"", b""), (None, course)).await
    }

    async fn stage_with(
        patience: Patience,
        unread: (&[u8], &[u8]),
        readers: (Option<Guard>, Option<Box<dyn Course>>),
    ) -> Stage {
        stage_after(Duration::ZERO, patience, unread, readers).await
    }

    /// One that has been silent for so long.
    async fn stage_after(
        silence: Duration,
        patience: Patience,
        unread: (&[u8], &[u8]),
        (guard, course): (Option<Guard>, Option<Box<dyn Course>>),
    ) -> Stage {
        let ((client, near), (upstream, far)) = (tcp_pair().await, tcp_pair().await);
        let buffers = Buffers::default();
        let output = |bytes: &[u8]| Output::new(bytes.to_vec());
        let client_leg = (Stream::plain(near), output(unread.0));
        let upstream_leg = (Stream::plain(far), output(unread.1));
        let traffic = Arc::new(Traffic::default());
        let readers = Readers { guard, course };
        let mut relay = Relay::new(client_leg, upstream_leg, readers, buffers.clone(), Arc::clone(&traffic));
        relay.active -= silence;
        let (drain, mut draining) = watch::channel(false);
        let (revoke, revoked) = oneshot::channel();
        let ended = async { revoked.await.unwrap_or(Cause::Revoked) };
        let end = tokio::spawn(async move {
            let drain = Drain { told: &mut draining, farewell: &|| Some("bye\r\n".to_owned()) };
            relay.run(patience, drain, ended).await
        });
        Stage { client, upstream, buffers, traffic, drain, revoke, end }
    }

    async fn expect(from: &mut TcpStream, wanted: &[u8]) {
        let mut found = vec![0; wanted.len()];
        let reading = tokio::time::timeout(Duration::from_secs(10), from.read_exact(&mut found));
        reading.await.unwrap().unwrap();
        assert_eq!(found, wanted);
    }

    async fn rest(from: &mut TcpStream) -> Vec<u8> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).await.unwrap();
        bytes
    }

    /// A relay whose server is looked after when it is 100 ms old, and the upstream's socket once more.
    async fn run_for_long(
        idle_millis: u64,
    ) -> (impl Future<Output = Reason>, socket2::Socket, [TcpStream; 2]) {
        let ((client, near), (upstream, far)) = (tcp_pair().await, tcp_pair().await);
        let far_too = socket2::SockRef::from(&far).try_clone().unwrap();
        let [near, far] = [near, far].map(|tcp| (Stream::plain(tcp), Output::default()));
        let readers = Readers { guard: None, course: None };
        let running = async move {
            let mut relay = Relay::new(near, far, readers, Buffers::default(), Arc::default());
            let (_drain, mut told) = watch::channel(false);
            let drain = Drain { told: &mut told, farewell: &|| None };
            let patience = Patience { lasting: Duration::from_millis(100), ..patience(idle_millis) };
            relay.run(patience, drain, std::future::pending()).await
        };
        (running, far_too, [client, upstream])
    }

    #[tokio::test]
    async fn once_a_session_has_lasted_the_system_asks_whether_its_server_still_stands() {
        let (running, upstream, _peers) = run_for_long(60_000).await;
        let begun = Instant::now();
        let mut running = pin!(running);
        while !upstream.keepalive().unwrap() {
            assert!(tokio::time::timeout(Duration::from_millis(1), &mut running).await.is_err());
        }
        assert!(begun.elapsed() >= Duration::from_millis(100));
    }

    #[tokio::test]
    async fn that_is_no_reason_to_end_it_sooner() {
        let begun = Instant::now();
        let (running, _, _peers) = run_for_long(400).await;
        assert_eq!(running.await, Reason::Idle);
        assert!(begun.elapsed() >= Duration::from_millis(400));
    }

    #[tokio::test]
    async fn what_was_received_before_the_hand_over_arrives_once_and_first() {
        let mut stage = stage(LONG, (b"a1 SELECT INBOX\r\n", b"* 1 EXISTS\r\n"), None).await;
        stage.client.write_all(b"a2 NOOP\r\n").await.unwrap();
        stage.upstream.write_all(b"a1 OK\r\n").await.unwrap();
        stage.client.shutdown().await.unwrap();
        stage.upstream.shutdown().await.unwrap();
        assert_eq!(rest(&mut stage.upstream).await, b"a1 SELECT INBOX\r\na2 NOOP\r\n");
        assert_eq!(rest(&mut stage.client).await, b"* 1 EXISTS\r\na1 OK\r\n");
        stage.end.await.unwrap();
        assert_eq!(stage.traffic.so_far(), (26, 19));
    }

    #[tokio::test]
    async fn one_side_may_close_and_still_receive() {
        let mut stage = stage(LONG, (b"", b""), None).await;
        stage.client.write_all(b"QUIT\r\n").await.unwrap();
        stage.client.shutdown().await.unwrap();
        assert_eq!(rest(&mut stage.upstream).await, b"QUIT\r\n");
        stage.upstream.write_all(b"the rest").await.unwrap();
        expect(&mut stage.client, b"the rest").await;
        drop(stage.upstream);
        assert_eq!(rest(&mut stage.client).await, b"");
        assert_eq!(stage.end.await.unwrap(), Reason::ClientClosed);
    }

    #[tokio::test]
    async fn an_upstream_that_goes_away_ends_the_session() {
        let mut stage = stage(LONG, (b"", b""), None).await;
        stage.upstream.write_all(b"* BYE\r\n").await.unwrap();
        drop(stage.upstream);
        assert_eq!(rest(&mut stage.client).await, b"* BYE\r\n");
        drop(stage.client);
        assert_eq!(stage.end.await.unwrap(), Reason::UpstreamClosed);
    }

    /// 24 MiB each way at once, with readers that pause, so that every kind of waiting is met.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn much_goes_both_ways_byte_for_byte_and_no_buffer_stays() {
        let mut stage = stage(LONG, (b"", b""), None).await;
        let pattern = |seed: u32| -> Vec<u8> {
            (0..24 << 18)
                .flat_map(|n: u32| n.wrapping_mul(2_654_435_761).wrapping_add(seed).to_le_bytes())
                .collect()
        };
        let (up, down) = (Arc::new(pattern(1)), Arc::new(pattern(2)));
        let exchange = |mut tcp: TcpStream, sends: Arc<Vec<u8>>, awaits: Arc<Vec<u8>>| async move {
            let (mut reader, mut writer) = tcp.split();
            let write = async { writer.write_all(&sends).await.unwrap() };
            let read = async {
                let mut found = vec![0; awaits.len()];
                for chunk in found.chunks_mut(1 << 20) {
                    tokio::time::sleep(Duration::from_millis(3)).await;
                    reader.read_exact(chunk).await.unwrap();
                }
                assert!(found == *awaits);
            };
            tokio::join!(write, read);
            tcp
        };
        let client = tokio::spawn(exchange(stage.client, Arc::clone(&up), Arc::clone(&down)));
        let upstream = tokio::spawn(exchange(stage.upstream, Arc::clone(&down), Arc::clone(&up)));
        (stage.client, stage.upstream) = (client.await.unwrap(), upstream.await.unwrap());
        // An idle session holds none.
        eventually(|| stage.buffers.in_use() == 0).await;
        drop((stage.client, stage.upstream));
        stage.end.await.unwrap();
        assert_eq!(stage.traffic.so_far(), (24 << 20, 24 << 20));
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_stops_the_other_from_being_read() {
        let stage = stage(LONG, (b"", b""), None).await;
        let bytes = vec![0; 1 << 20];
        let flood = async {
            let mut upstream = &stage.upstream;
            let mut sent = 0;
            loop {
                upstream.writable().await.unwrap();
                sent += upstream.try_write(&bytes).unwrap_or(0);
                upstream = &stage.upstream;
                if sent > 64 << 20 {
                    return;
                }
            }
        };
        let flooded = tokio::time::timeout(Duration::from_secs(1), flood).await;
        assert!(flooded.is_err(), "the gate swallowed it all");
        assert_eq!(stage.buffers.in_use(), 1);
    }

    #[tokio::test]
    async fn silence_in_both_directions_ends_a_session_and_any_byte_starts_it_anew() {
        // Longer than a machine pauses.
        let mut stage = stage(patience(3500), (b"", b""), None).await;
        let began = Instant::now();
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            stage.upstream.write_all(b"* OK still here\r\n").await.unwrap();
            expect(&mut stage.client, b"* OK still here\r\n").await;
        }
        assert_eq!(stage.end.await.unwrap(), Reason::Idle);
        // Longer than one silence from the start, by the pauses before the last byte.
        let lasted = began.elapsed().as_millis();
        assert!(lasted >= 3 * 200 + 3500, "{lasted}");
    }

    #[tokio::test]
    async fn a_half_closed_session_does_not_wait_for_the_whole_idle_limit() {
        let mut stage = stage(LONG, (b"", b""), None).await;
        let began = Instant::now();
        stage.upstream.shutdown().await.unwrap();
        assert_eq!(rest(&mut stage.client).await, b"");
        assert_eq!(stage.end.await.unwrap(), Reason::UpstreamClosed);
        assert!(began.elapsed() < Duration::from_secs(5));
    }

    #[tokio::test]
    async fn the_upstreams_last_word_ends_the_session_though_the_client_stays() {
        let patience = Patience { half_closed: Duration::from_secs(3600), ..LONG };
        for last in ["quiet", "done", "unclear"] {
            let mut stage = stage_following(patience, Some(Box::new(Says::default()))).await;
            stage.upstream.write_all(last.as_bytes()).await.unwrap();
            stage.upstream.shutdown().await.unwrap();
            assert_eq!(rest(&mut stage.client).await, last.as_bytes());
            let end = tokio::time::timeout(Duration::from_secs(10), stage.end).await;
            assert_eq!(end.unwrap().unwrap(), Reason::UpstreamClosed);
            assert_eq!(stage.traffic.so_far(), (0, last.len() as u64));
        }
    }

    #[tokio::test]
    async fn where_the_client_awaits_more_a_half_closed_upstream_still_hears_it() {
        let patience = Patience { half_closed: Duration::from_secs(3600), ..LONG };
        let mut stage = stage_following(patience, Some(Box::new(Says::default()))).await;
        stage.upstream.write_all(b"busy").await.unwrap();
        stage.upstream.shutdown().await.unwrap();
        assert_eq!(rest(&mut stage.client).await, b"busy");
        stage.client.write_all(b"the rest of a message").await.unwrap();
        stage.client.shutdown().await.unwrap();
        assert_eq!(rest(&mut stage.upstream).await, b"the rest of a message");
        assert_eq!(stage.end.await.unwrap(), Reason::UpstreamClosed);
    }

    #[tokio::test]
    async fn a_draining_gate_lets_bytes_in_flight_pass_and_ends_the_silent() {
        let patience = Patience { draining: TOO_LATE, drain: TOO_LATE * 2, ..patience(3_600_000) };
        let silent = stage_after(TOO_LATE, patience, (b"", b""), (None, None)).await;
        let began = Instant::now();
        silent.drain.send(true).unwrap();
        assert_eq!(silent.end.await.unwrap(), Reason::Drained);
        assert!(began.elapsed() < Duration::from_millis(900), "it was silent long enough");

        let (lasted, pause) = loop {
            let found = busy_while_it_drains().await;
            // Whoever pauses for so long is silent: it is the machine, for it does not do so each time.
            if found.1 < LONG.draining {
                break found;
            }
        };
        assert!(lasted >= Duration::from_millis(450), "{lasted:?}, pauses of {pause:?}");
    }

    /// How long a draining gate lets a session be that never is silent, and the longest silence that there may have been.
    async fn busy_while_it_drains() -> (Duration, Duration) {
        // Not much more than two silences, so that machines find the time that pause often.
        let patience = Patience { drain: Duration::from_millis(500), ..LONG };
        let mut busy = stage(patience, (b"", b""), None).await;
        busy.client.write_all(b"a").await.unwrap();
        expect(&mut busy.upstream, b"a").await;
        let began = Instant::now();
        busy.drain.send(true).unwrap();
        let (mut last, mut pause, mut goes_on) = (began, Duration::ZERO, true);
        while goes_on {
            let now = Instant::now();
            goes_on =
                busy.client.write_all(b"a").await.is_ok() && busy.upstream.read_exact(&mut [0]).await.is_ok();
            pause = pause.max(last.elapsed());
            last = now;
            assert!(began.elapsed() < Duration::from_secs(2), "bytes that never cease do not keep it");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(busy.end.await.unwrap(), Reason::Drained);
        (began.elapsed(), pause)
    }

    /// A course that is what the last line from the upstream says.
    #[derive(Default)]
    struct Says(Option<Rest>);

    impl Course for Says {
        fn client_sent(&mut self) {}

        fn upstream_sent(&mut self, bytes: &[u8]) {
            self.0 = match bytes {
                b"busy" => Some(Rest::Busy),
                b"quiet" => Some(Rest::Quiet),
                b"done" => Some(Rest::Done),
                _ => Some(Rest::Unclear),
            };
        }

        fn rest(&self) -> Rest {
            self.0.unwrap_or(Rest::Unclear)
        }
    }

    #[tokio::test]
    async fn a_draining_gate_waits_for_what_is_under_way_and_says_a_word_where_it_is_understood() {
        // What the upstream says, what it says once the gate drains, what the client hears behind it, all the time that
        // is left then, and how long the session lasts at least, in milliseconds.
        for (before, then, heard, drain, at_least) in [
            ("quiet", None, "bye\r\n", TOO_LATE, 0),
            ("unclear", None, "", TOO_LATE, 0),
            ("busy", None, "", LONG.drain, 850),
            ("busy", Some("quiet"), "quietbye\r\n", TOO_LATE, 450),
            ("busy", Some("done"), "donebye\r\n", TOO_LATE, 250),
        ] {
            let patience = Patience { drain, ..LONG };
            let mut stage = stage_following(patience, Some(Box::new(Says::default()))).await;
            stage.upstream.write_all(before.as_bytes()).await.unwrap();
            expect(&mut stage.client, before.as_bytes()).await;
            let began = Instant::now();
            stage.drain.send(true).unwrap();
            if let Some(then) = then {
                tokio::time::sleep(Duration::from_millis(300)).await;
                stage.upstream.write_all(then.as_bytes()).await.unwrap();
            }
            assert_eq!(rest(&mut stage.client).await, heard.as_bytes());
            assert_eq!(stage.end.await.unwrap(), Reason::Drained);
            let lasted = began.elapsed();
            let in_time = (at_least..at_least + 700).contains(&lasted.as_millis());
            assert!(in_time, "{before} {then:?}: {lasted:?}");
        }
    }

    #[tokio::test]
    async fn a_session_that_the_gate_ends_closes_both_sides_in_order_and_adds_nothing() {
        let end = async || {
            let mut stage = stage(LONG, (b"", b""), None).await;
            stage.upstream.write_all(b"* 1 EX").await.unwrap();
            expect(&mut stage.client, b"* 1 EX").await;
            let began = Instant::now();
            stage.revoke.send(Cause::Revoked).unwrap();
            assert_eq!(rest(&mut stage.client).await, b"");
            assert_eq!(rest(&mut stage.upstream).await, b"");
            drop(stage.client);
            assert_eq!(stage.end.await.unwrap(), Reason::Ended(Cause::Revoked));
            began.elapsed()
        };
        assert!(end().await < Duration::from_millis(500));
    }

    #[tokio::test]
    async fn nothing_passes_once_the_gate_has_ended_the_session() {
        let mut stage = stage(LONG, (b"a1 SELECT INBOX\r\n", b"* 1 EXISTS\r\n"), None).await;
        // The relay is a task that has not run yet, with bytes in its hands.
        stage.revoke.send(Cause::Revoked).unwrap();
        assert_eq!(rest(&mut stage.upstream).await, b"");
        assert_eq!(rest(&mut stage.client).await, b"");
        assert_eq!(stage.traffic.so_far(), (0, 0));
    }

    /// Both sides flood, so that there is always something to copy.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_gate_ends_a_session_in_the_middle_of_a_flood() {
        let end = async || {
            let stage = stage(LONG, (b"", b""), None).await;
            for side in [stage.client, stage.upstream] {
                let (mut reader, mut writer) = side.into_split();
                tokio::spawn(async move { while writer.write_all(&[b'x'; 1 << 16]).await.is_ok() {} });
                tokio::spawn(async move {
                    let mut bytes = vec![0; 1 << 16];
                    while reader.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
                });
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
            let began = Instant::now();
            stage.revoke.send(Cause::Suspended).unwrap();
            assert_eq!(stage.end.await.unwrap(), Reason::Ended(Cause::Suspended));
            let took = began.elapsed();
            assert_eq!(stage.buffers.in_use(), 0);
            took
        };
        assert!(end().await < Duration::from_millis(900));
    }

    #[tokio::test]
    async fn the_gate_ends_a_session_whose_peers_do_not_read() {
        let end = async || {
            let stage = stage(LONG, (b"", b""), None).await;
            let flood = async {
                loop {
                    for side in [&stage.client, &stage.upstream] {
                        let _ = side.try_write(&[b'x'; 1 << 16]);
                    }
                    tokio::task::yield_now().await;
                }
            };
            let _ = tokio::time::timeout(Duration::from_millis(500), flood).await;
            let began = Instant::now();
            stage.revoke.send(Cause::EndedByAdmin).unwrap();
            assert_eq!(stage.end.await.unwrap(), Reason::Ended(Cause::EndedByAdmin));
            began.elapsed()
        };
        assert!(end().await < Duration::from_millis(900));
    }

    /// Answers `XCLIENT` itself, ends the session at `bad`, takes no more behind `wait` until the upstream
    /// has spoken, passes the rest; by the line.
    #[derive(Default)]
    struct Censor {
        waiting: bool,
    }

    impl RelayGuard for Censor {
        fn client_sent(&mut self, bytes: &[u8], out: &mut Forward) -> Result<usize, Violation> {
            let mut taken = 0;
            for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                if self.waiting {
                    break;
                }
                taken += line.len();
                self.waiting = line.starts_with(b"wait");
                if line.starts_with(b"XCLIENT") {
                    out.to_client.extend_from_slice(b"550 no\r\n");
                } else {
                    out.to_upstream.extend_from_slice(line);
                }
                if line.starts_with(b"bad") {
                    out.to_client.extend_from_slice(b"421 bye\r\n");
                    return Err(Violation::UnclearChunk);
                }
            }
            Ok(taken)
        }

        fn upstream_sent(&mut self, bytes: &[u8], out: &mut Forward) -> Result<(), Violation> {
            self.waiting = false;
            out.to_client.extend_from_slice(bytes);
            Ok(())
        }

        fn rest(&self) -> Option<Rest> {
            Some(Rest::Done)
        }
    }

    fn censor() -> Option<Guard> {
        Some(Box::new(Censor::default()))
    }

    #[tokio::test]
    async fn a_guard_reads_everything_the_unread_bytes_included() {
        let mut stage = stage(LONG, (b"XCLIENT LOGIN=root\r\n", b""), censor()).await;
        expect(&mut stage.client, b"550 no\r\n").await;
        stage.client.write_all(b"NOOP\r\n").await.unwrap();
        expect(&mut stage.upstream, b"NOOP\r\n").await;
        stage.upstream.write_all(b"250 ok\r\n").await.unwrap();
        expect(&mut stage.client, b"250 ok\r\n").await;
        assert_eq!(stage.buffers.in_use(), 0);
    }

    #[tokio::test]
    async fn what_a_guard_does_not_take_yet_is_kept_and_offered_again() {
        let mut stage = stage(LONG, (b"wait\r\nnext\r\nwait\r\nlast\r\n", b""), censor()).await;
        expect(&mut stage.upstream, b"wait\r\n").await;
        stage.client.write_all(b"much later\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(stage.buffers.in_use(), 1);
        stage.upstream.write_all(b"ok\r\n").await.unwrap();
        expect(&mut stage.upstream, b"next\r\nwait\r\n").await;
        stage.upstream.write_all(b"ok\r\n").await.unwrap();
        expect(&mut stage.upstream, b"last\r\nmuch later\r\n").await;
        expect(&mut stage.client, b"ok\r\nok\r\n").await;
    }

    #[tokio::test]
    async fn a_violation_is_answered_and_ends_the_session_on_both_sides() {
        let mut stage = stage(LONG, (b"", b""), censor()).await;
        stage.client.write_all(b"bad\r\nworse\r\n").await.unwrap();
        assert_eq!(rest(&mut stage.upstream).await, b"");
        // It looks for the answer only when it has sent all, as clients do that send a message.
        for _ in 0..20 {
            stage.client.write_all(&[b'x'; 1 << 18]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(rest(&mut stage.client).await, b"421 bye\r\n");
        drop(stage.client);
        assert_eq!(stage.end.await.unwrap(), Reason::Error);
    }

    /// The same, which knows nothing of how the session stands.
    #[derive(Default)]
    struct Unsure(Censor);

    impl RelayGuard for Unsure {
        fn client_sent(&mut self, bytes: &[u8], out: &mut Forward) -> Result<usize, Violation> {
            self.0.client_sent(bytes, out)
        }

        fn upstream_sent(&mut self, bytes: &[u8], out: &mut Forward) -> Result<(), Violation> {
            self.0.upstream_sent(bytes, out)
        }
    }

    /// A course for which whoever spoke last awaits an answer.
    #[derive(Default)]
    struct Awaits(bool);

    impl Course for Awaits {
        fn client_sent(&mut self) {
            self.0 = true;
        }

        fn upstream_sent(&mut self, _: &[u8]) {
            self.0 = false;
        }

        fn rest(&self) -> Rest {
            if self.0 { Rest::Busy } else { Rest::Quiet }
        }
    }

    #[tokio::test]
    async fn what_a_guard_has_answered_by_itself_nobody_awaits() {
        for (said, passed, heard, drain, at_least) in [
            ("XCLIENT LOGIN=root\r\n", "", "bye\r\n", TOO_LATE, 0),
            ("XCLIENT LOGIN=root\r\nNOOP\r\n", "NOOP\r\n", "", LONG.drain, 850),
        ] {
            let readers: (Option<Guard>, Option<Box<dyn Course>>) =
                (Some(Box::<Unsure>::default()), Some(Box::<Awaits>::default()));
            let mut stage = stage_with(Patience { drain, ..LONG }, (b"", b""), readers).await;
            stage.client.write_all(said.as_bytes()).await.unwrap();
            expect(&mut stage.client, b"550 no\r\n").await;
            expect(&mut stage.upstream, passed.as_bytes()).await;
            let began = Instant::now();
            stage.drain.send(true).unwrap();
            assert_eq!(rest(&mut stage.client).await, heard.as_bytes());
            assert_eq!(stage.end.await.unwrap(), Reason::Drained);
            let lasted = began.elapsed();
            let in_time = (at_least..at_least + 700).contains(&lasted.as_millis());
            assert!(in_time, "{said:?}: {lasted:?}");
        }
    }
}
