//! One protocol of one upstream: its servers, which of them is asked, what they offer, and logging in there.
//!
//! Servers are asked in the order of the configuration: the first that is well, then the next. Once a byte of a
//! credential went out nothing is tried again, anywhere.

use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::breaker::{Asked, Change, Standing};
use super::conversation::{Answered, Patience, Reach};
use super::forwarding::Forwarder;
use super::health::Health;
use super::seats::Seats;
use super::server::{News, Server};
use super::{Answer, Entered, Failure, Fault};
use crate::audit::Event;
use crate::base::UpstreamName;
use crate::config::{self, show_pin};
use crate::gate::Flag;
use crate::protocol::{
    ClientDialogue, ClientOrigin, Dialogue, MailProtocol, Offered, Purpose, Shown, Trouble, UpstreamLogin,
    UpstreamReply,
};
use crate::proxy::seldom::Seldom;
use crate::proxy::tls::{RefusedCertificate, TlsError};

/// One protocol of one upstream.
pub(super) struct Leg<P: MailProtocol> {
    reach: Reach,
    /// In the order in which they are asked.
    servers: Vec<Server>,
    /// Of each server the last good answer; none yet is told apart, because nothing was learned then.
    offers: RwLock<Vec<Option<Arc<P::Offer>>>>,
    refresh: Duration,
    /// Under which its clients connect; lower case.
    pub(super) hostnames: Vec<String>,
    /// Set while no server may be asked.
    pub(super) down: Flag,
    /// Held while that is judged.
    judging: Mutex<()>,
    pub(super) seats: Arc<Seats>,
    trail: Trail,
    /// That it may want nothing of some clients.
    unclear: Seldom,
}

/// Where to say what the audit trail must know.
pub(super) type Trail = mpsc::UnboundedSender<Event>;

impl<P: MailProtocol> Leg<P> {
    /// The leg of `upstream` that speaks `P`, if it has one.
    pub(super) fn new(
        upstream: &config::Upstream,
        seats: &Arc<Seats>,
        own_name: &str,
        trail: &Trail,
    ) -> Result<Option<Self>, TlsError> {
        let Some(endpoint) = upstream.endpoint(P::PROTOCOL) else { return Ok(None) };
        let servers: Vec<Server> = endpoint
            .addresses
            .iter()
            .map(|address| Server::new(endpoint, address))
            .collect::<Result<_, TlsError>>()?;
        let reach = Reach {
            upstream: upstream.name.clone(),
            tls: endpoint.tls,
            connect_deadline: upstream.connect_deadline,
            login_deadline: upstream.login_deadline,
            own_name: own_name.to_owned(),
            forwarder: Forwarder::new(upstream.forward_client),
        };
        Ok(Some(Self {
            reach,
            offers: RwLock::new(vec![None; servers.len()]),
            servers,
            refresh: upstream.refresh,
            hostnames: upstream.hostnames.clone(),
            down: Flag::default(),
            judging: Mutex::default(),
            seats: Arc::clone(seats),
            trail: trail.clone(),
            unclear: Seldom::default(),
        }))
    }

    /// Whose it is.
    pub(super) fn upstream(&self) -> &UpstreamName {
        &self.reach.upstream
    }

    /// How many servers it has.
    pub(super) fn servers(&self) -> usize {
        self.servers.len()
    }

    /// What all of its servers offered when they last answered, however long ago; those that never did do not count.
    pub(super) fn offer(&self) -> Option<Arc<P::Offer>> {
        let offers = self.offers.read().unwrap_or_else(PoisonError::into_inner);
        let known = offers.iter().flatten().cloned();
        known.reduce(|one, two| if one == two { one } else { Arc::new(one.intersect(&two)) })
    }

    /// Until its servers are heard, they are taken to offer what they did in `before`; where all are new, what all of
    /// those offered.
    pub(super) fn inherit(&self, before: &Self) {
        let theirs = before.offers.read().unwrap_or_else(PoisonError::into_inner).clone();
        let same = |server: &Server| before.servers.iter().position(|one| one.address == server.address);
        let known = |server| theirs.get(same(server)?).cloned().flatten();
        let mut offers: Vec<_> = self.servers.iter().map(known).collect();
        if offers.iter().all(Option::is_none) {
            offers.fill(before.offer());
        }
        *self.offers.write().unwrap_or_else(PoisonError::into_inner) = offers;
    }

    /// Both deadlines together: what a login takes at most.
    pub(super) fn patience(&self) -> Duration {
        self.reach.connect_deadline + self.reach.login_deadline
    }

    /// How its servers are.
    pub(super) fn health(&self) -> impl Iterator<Item = Health> + '_ {
        self.servers.iter().map(|server| {
            let seen = server.seen();
            Health {
                upstream: self.reach.upstream.clone(),
                protocol: P::PROTOCOL,
                address: server.address.clone(),
                state: seen.state,
                lasting: seen.lasting,
                heard: seen.heard,
                connected_in: seen.connected_in,
                last_failure: seen.last_failure,
                refused_certificate: seen.refused,
            }
        })
    }

    /// Logs in, for `client` if there is one, by `by` at the latest.
    ///
    /// All servers together have `connect_deadline`: each gets its share of what the ones before it left.
    pub(super) async fn log_in(
        &self,
        login: UpstreamLogin,
        introduction: P::Introduction,
        client: Option<ClientOrigin>,
        by: Instant,
    ) -> Answer<P> {
        let unasked = |failure| Answer::Unavailable { failure, shown: Shown::Nothing };
        let Some(seat) = self.seats.take() else { return unasked(Failure::Full) };
        let forwarder = &self.reach.forwarder;
        let header = forwarder.header(client);
        let by_header = if client.is_some() && header.is_some() { Shown::Client } else { Shown::Nothing };
        let client = forwarder.in_dialogue(P::PROTOCOL, client);
        let connect_by = Instant::now() + self.reach.connect_deadline;
        // Its share of what the client has left may be less than a server that is well needs to greet.
        let hurried = by < connect_by;
        let connect_by = by.min(connect_by);
        let servers = self.in_order();
        let mut left = u32::try_from(servers.len()).unwrap_or(u32::MAX);
        let mut last = (Failure::Down(self.why_down()), Shown::Nothing);
        for server in servers {
            let now = Instant::now();
            let share = connect_by.saturating_duration_since(now) / left.max(1);
            left = left.saturating_sub(1);
            let (login, introduction) = (login.duplicate(), introduction.clone());
            let purpose = Purpose::LogIn { login, introduction, client };
            let mut dialogue = self.reach.dialogue::<P>(purpose);
            let patience = Patience { connect_by: now + share, answer_by: by };
            let conversation = self.reach.converse::<P>(
                server,
                &mut dialogue,
                Asked::ForAClient,
                header.as_deref(),
                patience,
            );
            let answered = conversation.await;
            forwarder.note(&self.reach.upstream, P::PROTOCOL, dialogue.forwarding());
            let shown = by_header.max(dialogue.shown());
            let failure = match answered {
                Ok(Answered { stream, reply: UpstreamReply::LoggedIn(welcome), connected_in }) => {
                    self.note(server, server.succeeded(Asked::ForAClient, connected_in));
                    let unread = dialogue.into_unread();
                    return Answer::Yes(Entered { stream, unread, welcome, seat });
                }
                Ok(Answered { reply: UpstreamReply::Refused, connected_in, .. }) => {
                    self.note(server, server.succeeded(Asked::ForAClient, connected_in));
                    return Answer::No;
                }
                Ok(Answered { reply: UpstreamReply::Unavailable(trouble), connected_in, .. }) => {
                    if trouble == Trouble::OfferChanged {
                        server.look_now();
                    }
                    let failure = Failure::Said(trouble);
                    if failure.fault(shown) == Fault::NotTheServers {
                        self.note(server, server.succeeded(Asked::ForAClient, connected_in));
                    }
                    failure
                }
                Ok(Answered { reply: UpstreamReply::Learned(_), .. }) => {
                    Failure::Said(Trouble::Garbage("an answer to no question"))
                }
                Err(Failure::Silent(_)) if hurried => Failure::ClientsTime,
                Err(Failure::Resolve(error)) if hurried && error.kind() == ErrorKind::TimedOut => {
                    Failure::ClientsTime
                }
                Err(Failure::Slow) if Instant::now() >= by => Failure::ClientsTime,
                Err(failure) => failure,
            };
            let fault = failure.fault(shown);
            match fault {
                Fault::TheServers => self.note(server, server.failed(Asked::ForAClient, &failure)),
                Fault::Unclear => {
                    server.failed_perhaps(&failure);
                    self.tell_of_unclear(server, &failure);
                }
                Fault::NotTheServers => {}
            }
            // It has answered in words, and another server may be a copy that is behind.
            let answered = matches!(failure, Failure::Said(Trouble::Said(_))) && fault == Fault::Unclear;
            let over = fault == Fault::NotTheServers || shown == Shown::Credential || answered;
            last = (failure, shown);
            if over || Instant::now() >= connect_by {
                break;
            }
        }
        let (failure, shown) = last;
        Answer::Unavailable { failure, shown }
    }

    /// Those that may be asked, the best first.
    fn in_order(&self) -> Vec<&Server> {
        let that = |wanted: Standing| move |server: &&Server| server.standing() == wanted;
        let well = self.servers.iter().filter(that(Standing::Well));
        // Of one that changes between the two looks at it a second try does no harm, and none neither.
        well.chain(self.servers.iter().filter(that(Standing::InDoubt))).collect()
    }

    fn why_down(&self) -> String {
        let reasons = self.servers.iter().filter_map(Server::last_failure);
        reasons.last().unwrap_or_else(|| "no server answers".to_owned())
    }

    /// Looks at server number `index`; whether it answered. The last good answer stays good while it does not.
    pub(super) async fn look(&self, index: usize) -> bool {
        let Some(server) = self.servers.get(index) else { return false };
        server.look_begins();
        let looked = self.reach.look::<P>(server).await;
        match looked {
            Ok(look) => {
                let mut offers = self.offers.write().unwrap_or_else(PoisonError::into_inner);
                if let Some(offer) = offers.get_mut(index) {
                    *offer = Some(Arc::new(look.offer));
                }
                drop(offers);
                self.note(server, server.succeeded(Asked::ToSee, look.connected_in));
                true
            }
            Err(failure) => {
                self.note(server, server.failed(Asked::ToSee, &failure));
                false
            }
        }
    }

    /// Returns when server number `index` should be looked at.
    pub(super) async fn due(&self, index: usize) {
        if let Some(server) = self.servers.get(index) {
            server.due(self.refresh).await;
        }
    }

    /// Says once when a server goes and comes, and when it shows a certificate that is refused.
    fn note(&self, server: &Server, news: News) {
        let (upstream, protocol, address) = (&self.reach.upstream, P::PROTOCOL, &server.address);
        let others = {
            let _judging = self.judging.lock().unwrap_or_else(PoisonError::into_inner);
            let up = self.servers.iter().filter(|server| server.standing() != Standing::Down).count();
            self.down.set(up == 0);
            up
        };
        if let Some(refused) = news.refused {
            self.tell_of(server, refused);
        }
        match news.change {
            Some(Change::Fell) => {
                let (reason, hint) = (server.last_failure(), self.reach.forwarder.hint());
                if others == 0 {
                    tracing::warn!(%upstream, %protocol, %address, reason, hint, "upstream is down");
                } else {
                    tracing::warn!(%upstream, %protocol, %address, reason, hint, others, "a server of the upstream is down, the others are asked");
                }
            }
            Some(Change::Rose) => {
                tracing::info!(%upstream, %protocol, %address, "upstream is up again");
            }
            None => {}
        }
    }

    /// Says now and then that logins come to nothing there though it is up: to whom, the trail says.
    fn tell_of_unclear(&self, server: &Server, failure: &Failure) {
        if self.unclear.is_due(Instant::now()) {
            let (upstream, protocol, address) = (&self.reach.upstream, P::PROTOCOL, &server.address);
            let hint = self.reach.forwarder.hint();
            let reason = failure.to_string();
            tracing::warn!(%upstream, %protocol, %address, reason, hint, "a login came to nothing once the server had heard for whom it is: it may want nothing of that client");
        }
    }

    /// Loud: the server is another one than it was, or somebody stands between.
    fn tell_of(&self, server: &Server, RefusedCertificate { key, why }: RefusedCertificate) {
        let (upstream, protocol, address) = (&self.reach.upstream, P::PROTOCOL, &server.address);
        let expected = server.connector.as_ref().map(|connector| connector.expects().to_owned());
        let expected = expected.unwrap_or_default();
        let found = key.as_ref().map(show_pin);
        tracing::error!(
            %upstream,
            %protocol,
            %address,
            expected,
            found,
            reason = why,
            hint = "if you changed it, correct `ca_file`, `server_name` or `pin_sha256` (`found` is what to pin); if not, find out who answers at this address",
            "upstream shows a certificate that is refused, and no password is sent there"
        );
        let event = Event::UpstreamCertificateRefused {
            upstream: upstream.clone(),
            protocol,
            address: address.to_string(),
            expected,
            found,
            reason: why,
        };
        // Nobody listens where no gate runs: then the command says it.
        let _ = self.trail.send(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Endpoint, EndpointTls, HostPort};
    use crate::gate::Concerns;
    use crate::proxy::testing::{
        self, Authority, Fake, FakeUpstream, IN_TIME, Play, Port, SILENCE, endpoint, eventually, upstream,
    };
    use crate::proxy::upstream::health::HealthState;

    const NAME: &str = "legacy.example.org";

    fn leg(endpoint: Endpoint) -> Leg<Fake> {
        leg_and_trail(&upstream(endpoint)).0
    }

    /// One that soon has enough of a server that does not greet.
    fn ungreeted(endpoint: Endpoint) -> Leg<Fake> {
        leg_and_trail(&config::Upstream { connect_deadline: SILENCE, ..upstream(endpoint) }).0
    }

    /// One that soon has enough of a server that does not answer a login.
    fn unanswered(endpoint: Endpoint) -> Leg<Fake> {
        leg_and_trail(&config::Upstream { login_deadline: SILENCE, ..upstream(endpoint) }).0
    }

    fn leg_and_trail(upstream: &config::Upstream) -> (Leg<Fake>, mpsc::UnboundedReceiver<Event>) {
        let (trail, events) = mpsc::unbounded_channel();
        let seats = Seats::new(&upstream.name, upstream.max_connections);
        (Leg::new(upstream, &seats, "gate.example.org", &trail).unwrap().unwrap(), events)
    }

    /// Servers on these ports, in this order.
    fn several(ports: &[u16]) -> Endpoint {
        let address = |port: &u16| HostPort { host: "127.0.0.1".to_owned(), port: *port };
        Endpoint { addresses: ports.iter().map(address).collect(), ..endpoint(1, EndpointTls::None) }
    }

    fn welcoming() -> Vec<Play> {
        vec![Play::Say("hello \r\n"), Play::Hear, Play::Say("welcome ann\r\n"), Play::Wait]
    }

    async fn enters(leg: &Leg<Fake>) -> bool {
        matches!(log_in(leg).await, Answer::Yes(_))
    }

    async fn log_in(leg: &Leg<Fake>) -> Answer<Fake> {
        let by = Instant::now() + IN_TIME * 2;
        leg.log_in(testing::login(), (), Some(testing::client()), by).await
    }

    /// The failure, which must come within both deadlines as they are for who is soon out of patience (and a little for
    /// the machine); nothing of it is the client's.
    async fn failure(leg: &Leg<Fake>) -> (Failure, Shown) {
        let began = Instant::now();
        let Answer::Unavailable { failure, shown } = log_in(leg).await else {
            panic!("the upstream answered");
        };
        let in_time = began.elapsed() < 2 * SILENCE + Duration::from_millis(300);
        assert!(in_time && !matches!(failure, Failure::ClientsTime), "{failure} after {:?}", began.elapsed());
        (failure, shown)
    }

    fn trusting(authority: &Authority, port: u16, tls: EndpointTls) -> Endpoint {
        Endpoint { ca_file: Some(authority.ca_file()), ..endpoint(port, tls) }
    }

    #[tokio::test]
    async fn a_login_succeeds_over_each_kind_of_leg() {
        let authority = Authority::new();
        let acceptor = authority.acceptor(&[NAME]);
        let last = [Play::Say("hello X\r\n"), Play::Hear, Play::Say("welcome ann\r\nunread")];
        let starttls =
            [Play::Say("hello \r\n"), Play::Hear, Play::Say("go\r\n"), Play::Handshake(acceptor.clone())];
        let plays: [(EndpointTls, Vec<Play>); 3] = [
            (EndpointTls::None, last.to_vec()),
            (EndpointTls::Implicit, [Play::Handshake(acceptor)].into_iter().chain(last.clone()).collect()),
            (EndpointTls::Starttls, starttls.into_iter().chain(last).collect()),
        ];
        for (tls, script) in plays {
            let server = FakeUpstream::play(script).await;
            let Answer::Yes(entered) = log_in(&leg(trusting(&authority, server.port, tls))).await else {
                panic!("{tls:?} failed");
            };
            assert_eq!(
                (entered.welcome.as_str(), &**entered.unread),
                ("welcome ann", &b"unread"[..]),
                "{tls:?}"
            );
            assert!(server.heard().ends_with("LOGIN ann canary-secret\r\n"));
        }
    }

    #[tokio::test]
    async fn a_pinned_key_is_taken_whatever_the_name_and_another_is_not() {
        let authority = Authority::new();
        let (files, pin) = authority.issue(&["another.name"]);
        let certificates = crate::proxy::tls::Certificates::load(&[files]).unwrap();
        let acceptor = crate::proxy::tls::Acceptor::new(Arc::new(certificates), Fake::PROTOCOL).unwrap();
        let script = vec![
            Play::Handshake(acceptor),
            Play::Say("hello \r\n"),
            Play::Hear,
            Play::Say("welcome ann\r\n"),
        ];
        let server = FakeUpstream::play(script).await;
        let pinned = |pins: &[_]| Endpoint {
            pin_sha256: pins.to_vec(),
            ..endpoint(server.port, EndpointTls::Implicit)
        };
        for pins in [&[pin][..], &[[7; 32], pin]] {
            assert!(matches!(log_in(&leg(pinned(pins))).await, Answer::Yes(_)));
        }
        let before = server.heard();
        let (found, sent) = failure(&leg(pinned(&[[7; 32]]))).await;
        assert!(matches!(found, Failure::Certificate { .. }) && sent == Shown::Nothing, "{found}");
        assert_eq!(server.heard(), before);
    }

    #[tokio::test]
    async fn whatever_is_wrong_before_the_login_no_credential_leaves() {
        let authority = Authority::new();
        let acceptor = authority.acceptor(&["another.name"]);
        let good = authority.acceptor(&[NAME]);
        let inject = [Play::Say("hello \r\n"), Play::Hear, Play::Say("go\r\nhello \r\n"), Play::Wait];
        let cases: [(&str, EndpointTls, Vec<Play>); 10] = [
            ("silent", EndpointTls::None, vec![Play::Wait]),
            ("half a greeting", EndpointTls::None, vec![Play::Say("hel"), Play::Wait]),
            ("garbage", EndpointTls::None, vec![Play::Say("SSH-2.0-OpenSSH\r\n"), Play::Wait]),
            ("closes", EndpointTls::None, vec![]),
            ("no TLS", EndpointTls::Implicit, vec![Play::Say("hello \r\n"), Play::Wait]),
            ("silent handshake", EndpointTls::Implicit, vec![Play::Wait]),
            ("wrong certificate", EndpointTls::Implicit, vec![Play::Handshake(acceptor), Play::Wait]),
            ("silent in TLS", EndpointTls::Implicit, vec![Play::Handshake(good), Play::Wait]),
            ("injects before TLS", EndpointTls::Starttls, inject.to_vec()),
            (
                "refuses STARTTLS",
                EndpointTls::Starttls,
                vec![Play::Say("hello \r\n"), Play::Hear, Play::Say("no\r\n"), Play::Wait],
            ),
        ];
        let silent = ["silent", "half a greeting", "silent handshake", "silent in TLS"];
        for (case, tls, script) in cases {
            let server = FakeUpstream::play(script).await;
            let endpoint = trusting(&authority, server.port, tls);
            let leg = if silent.contains(&case) { ungreeted(endpoint) } else { leg(endpoint) };
            let (found, sent) = failure(&leg).await;
            assert_eq!(sent, Shown::Nothing, "{case}: {found}");
            assert!(!server.heard().contains("canary"), "{case}");
        }
        let unused = Port::take();
        let (found, sent) = failure(&leg(endpoint(unused.number, EndpointTls::None))).await;
        assert!(matches!(found, Failure::Connect(_)) && sent == Shown::Nothing, "{found}");
    }

    #[tokio::test]
    async fn only_a_definite_no_is_a_no_and_what_was_sent_is_told() {
        let answer = async |says: &[Play]| {
            let mut script = vec![Play::Say("hello \r\n"), Play::Hear];
            script.extend_from_slice(says);
            let server = FakeUpstream::play(script).await;
            let endpoint = endpoint(server.port, EndpointTls::None);
            let waits = matches!(says, [Play::Wait]);
            log_in(&if waits { unanswered(endpoint) } else { leg(endpoint) }).await
        };
        assert!(matches!(answer(&[Play::Say("no\r\n")]).await, Answer::No));
        for says in [vec![Play::Say("busy\r\n")], vec![Play::Say("???\r\n")], vec![], vec![Play::Wait]] {
            let Answer::Unavailable { shown, failure } = answer(&says).await else {
                panic!("taken for an answer");
            };
            assert!(shown == Shown::Credential && !matches!(failure, Failure::ClientsTime), "{failure}");
        }
    }

    /// Else anybody could make it look as if the server were away.
    #[tokio::test]
    async fn a_client_without_time_says_nothing_about_the_server() {
        for script in [vec![Play::Wait], vec![Play::Say("hello \r\n"), Play::Hear, Play::Wait]] {
            let server = FakeUpstream::play(script).await;
            let nobody = Port::take();
            let leg = leg(several(&[server.port, nobody.number]));
            let by = Instant::now() + Duration::from_millis(100);
            assert!(leg.patience() > Duration::from_millis(200));
            for _ in 0..5 {
                let answer = leg.log_in(testing::login(), (), None, by).await;
                let Answer::Unavailable { failure, shown } = answer else { panic!("it answered") };
                assert!(matches!(failure, Failure::ClientsTime), "{failure}");
                assert_eq!(failure.concerns(shown), Concerns::Client);
            }
            assert_eq!(leg.health().next().unwrap().last_failure, None);
        }
    }

    /// Else anybody whom the server does not like could make it look as if it were down for everybody.
    #[tokio::test]
    async fn what_may_be_about_the_client_is_asked_for_nobody_and_at_the_next_server() {
        for refuses in [vec![], vec![Play::Say("go away\r\n")], vec![Play::Wait]] {
            let (picky, other) = (FakeUpstream::play(refuses).await, FakeUpstream::play(welcoming()).await);
            let endpoint = several(&[picky.port, other.port]);
            // Of which half is for the first server, where it is silent, and the rest for the other.
            let connect_deadline = Duration::from_secs(6);
            let forward_client = config::ForwardClient::ProxyV2;
            let upstream = config::Upstream { forward_client, connect_deadline, ..upstream(endpoint) };
            let mut leg = leg_and_trail(&upstream).0;
            leg.servers[0].succeeded(Asked::ToSee, Duration::ZERO);
            assert_eq!(tokio::join!(enters(&leg), enters(&leg), enters(&leg)), (true, true, true));
            let health = leg.health().next().unwrap();
            assert_eq!(health.state, HealthState::Up);
            assert!(health.last_failure.is_some(), "whoever asks hears of it");
            // Else the usual time, which is ten minutes.
            tokio::time::timeout(IN_TIME, leg.due(0)).await.unwrap();
            // Who asks for nobody hears the same here, so that it is down.
            leg.reach.connect_deadline = SILENCE;
            for _ in 0..3 {
                assert!(!leg.look(0).await);
            }
            assert_eq!(leg.health().next().unwrap().state, HealthState::Down);
            // However often clients ask for it, two seconds pass; unless they have passed, on a machine that pauses.
            let is_due_early = loop {
                let looked = Instant::now();
                assert!(!leg.look(0).await);
                leg.servers[0].look_now();
                let is_due = tokio::time::timeout(Duration::from_millis(50), leg.due(0)).await.is_ok();
                if looked.elapsed() < Duration::from_secs(2) {
                    break is_due;
                }
            };
            assert!(!is_due_early);
        }
    }

    /// The primary has said what it thinks of this one: a copy that may be behind is not for him alone.
    #[tokio::test]
    async fn who_is_declined_in_words_is_not_sent_to_the_next_server() {
        let primary = FakeUpstream::play(vec![Play::Say("sorry too many connections\r\n"), Play::Wait]).await;
        let other = FakeUpstream::play(welcoming()).await;
        let endpoint = several(&[primary.port, other.port]);
        let upstream =
            config::Upstream { forward_client: config::ForwardClient::ProxyV2, ..upstream(endpoint) };
        let leg = leg_and_trail(&upstream).0;
        for _ in 0..4 {
            let (failure, shown) = failure(&leg).await;
            assert_eq!(
                (failure.to_string(), shown),
                ("it said `too many connections`".to_owned(), Shown::Client)
            );
        }
        assert_eq!(leg.health().next().unwrap().state, HealthState::Up);
        assert_eq!(other.heard(), "");
    }

    /// It is for whoever may be meant; a second account makes an outage of it.
    #[test]
    fn what_may_be_about_the_client_concerns_one_mailbox() {
        for failure in [
            Failure::Slow,
            Failure::Silent("greet"),
            Failure::Handshake(ErrorKind::UnexpectedEof.into()),
            Failure::Broken(ErrorKind::ConnectionReset.into()),
            Failure::Said(Trouble::Closed),
            Failure::Said(Trouble::Garbage("what is no answer")),
            Failure::Said(Trouble::Said("421 4.7.0 too many connections".to_owned())),
        ] {
            assert_eq!(failure.fault(Shown::Nothing), Fault::TheServers, "{failure}");
            assert_eq!(failure.concerns(Shown::Nothing), Concerns::Everybody, "{failure}");
            assert_eq!(failure.fault(Shown::Client), Fault::Unclear, "{failure}");
            assert_eq!(failure.concerns(Shown::Client), Concerns::Mailbox, "{failure}");
            assert_eq!(failure.fault(Shown::Credential), Fault::NotTheServers, "{failure}");
        }
        for failure in [
            Failure::Connect(ErrorKind::ConnectionRefused.into()),
            Failure::Resolve(ErrorKind::NotFound.into()),
            Failure::Said(Trouble::StartTls),
            Failure::Said(Trouble::PreAuthenticated),
        ] {
            assert_eq!(failure.fault(Shown::Client), Fault::TheServers, "{failure}");
            assert_eq!(failure.concerns(Shown::Client), Concerns::Everybody, "{failure}");
        }
    }

    #[test]
    fn a_temporary_answer_to_a_password_is_about_its_mailbox_and_all_else_about_the_server() {
        let said = || Failure::Said(Trouble::Said("454 4.7.0 later".to_owned()));
        assert_eq!(said().concerns(Shown::Credential), Concerns::Mailbox);
        assert_eq!(said().concerns(Shown::Nothing), Concerns::Everybody);
        for failure in [Failure::Slow, Failure::Silent("greet"), Failure::Said(Trouble::Closed)] {
            assert_eq!(failure.concerns(Shown::Credential), Concerns::Everybody, "{failure}");
        }
    }

    #[tokio::test]
    async fn what_was_learned_is_kept_while_the_upstream_is_down_and_learned_again_when_it_changed() {
        let server = FakeUpstream::play(vec![Play::Say("hello SIZE\r\n"), Play::Hear]).await;
        let leg = leg(endpoint(server.port, EndpointTls::None));
        assert_eq!(leg.offer(), None);
        leg.due(0).await;
        assert!(leg.look(0).await);
        server.hears("QUIT\r\n").await;
        let _refuses = server.leave().await;
        for _ in 0..3 {
            assert!(!leg.down.is_set());
            assert!(!leg.look(0).await);
        }
        assert!(leg.down.is_set());
        assert_eq!(leg.offer().unwrap().as_str(), "SIZE");

        let changed = vec![Play::Say("hello NEW\r\n"), Play::Hear, Play::Say("changed\r\n")];
        let server = FakeUpstream::play(changed).await;
        let leg = Arc::new(self::leg(endpoint(server.port, EndpointTls::None)));
        leg.servers[0].succeeded(Asked::ToSee, Duration::ZERO);
        let learner = tokio::spawn({
            let leg = Arc::clone(&leg);
            async move {
                leg.due(0).await;
                leg.look(0).await
            }
        });
        assert!(matches!(
            log_in(&leg).await,
            Answer::Unavailable { failure: Failure::Said(Trouble::OfferChanged), .. }
        ));
        assert!(learner.await.unwrap());
        assert_eq!(leg.offer().unwrap().as_str(), "NEW");
    }

    #[tokio::test]
    async fn the_first_that_is_well_is_asked_and_a_dead_one_costs_nobody_a_wait() {
        let (first, second) = (FakeUpstream::play(welcoming()).await, FakeUpstream::play(welcoming()).await);
        let leg = leg(several(&[first.port, second.port]));
        assert!(enters(&leg).await && enters(&leg).await);
        assert_eq!(second.heard(), "", "the second is for when the first is not there");
        let _refuses = first.leave().await;
        for _ in 0..5 {
            assert!(enters(&leg).await);
        }
        let failures = leg.servers[0].seen();
        assert_eq!(failures.state, HealthState::InDoubt, "it was asked once, and then its turn was the last");
        assert_eq!(second.heard().matches("LOGIN").count(), 5);
        assert!(!leg.down.is_set());
    }

    /// A listener whose queue of connections is full answers nobody: the kernel drops what comes.
    #[tokio::test]
    async fn a_server_that_drops_packets_costs_one_login_its_share_of_the_time() {
        let hole = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        hole.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
        hole.listen(0).unwrap();
        let port = hole.local_addr().unwrap().as_socket().unwrap().port();
        let mut queue = Vec::new();
        for _ in 0..4 {
            let connecting = tokio::net::TcpStream::connect(("127.0.0.1", port));
            queue.extend(tokio::time::timeout(Duration::from_millis(100), connecting).await);
        }
        let server = FakeUpstream::play(welcoming()).await;
        let mut leg = leg(several(&[port, server.port]));
        // The second half is for the other server, and for the machine to pause in.
        leg.reach.connect_deadline = Duration::from_secs(6);
        let began = Instant::now();
        assert!(enters(&leg).await);
        let waited = began.elapsed();
        assert!(
            waited >= leg.reach.connect_deadline / 2 && waited < leg.reach.connect_deadline,
            "{waited:?}"
        );
        leg.reach.connect_deadline = IN_TIME;
        let began = Instant::now();
        assert!(enters(&leg).await);
        assert!(began.elapsed() < leg.reach.connect_deadline / 2, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn nothing_is_tried_again_once_a_credential_was_sent() {
        for end in [vec![], vec![Play::Say("busy\r\n")], vec![Play::Say("???\r\n")], vec![Play::Wait]] {
            let waits = matches!(end[..], [Play::Wait]);
            let taker = [vec![Play::Say("hello \r\n"), Play::Hear], end].concat();
            let (first, second) = (FakeUpstream::play(taker).await, FakeUpstream::play(welcoming()).await);
            let endpoint = several(&[first.port, second.port]);
            let (found, sent) = failure(&if waits { unanswered(endpoint) } else { leg(endpoint) }).await;
            assert_eq!(sent, Shown::Credential, "{found}");
            first.hears("canary").await;
            assert_eq!(first.heard().matches("canary").count(), 1);
            assert_eq!(second.heard(), "", "{found}");
        }
    }

    #[tokio::test]
    async fn a_server_that_fails_before_it_heard_a_credential_hands_on_to_the_next() {
        let authority = Authority::new();
        let acceptor = authority.acceptor(&["another.name"]);
        let good = authority.acceptor(&[NAME]);
        let good: Vec<Play> = [Play::Handshake(good)].into_iter().chain(welcoming()).collect();
        for (case, script) in [
            ("closes", vec![]),
            ("garbage", vec![Play::Say("SSH-2.0-OpenSSH\r\n")]),
            ("silent", vec![Play::Wait]),
            ("wrong certificate", vec![Play::Handshake(acceptor), Play::Wait]),
        ] {
            let (first, second) = (FakeUpstream::play(script).await, FakeUpstream::play(good.clone()).await);
            let endpoint = Endpoint {
                addresses: several(&[first.port, second.port]).addresses,
                ..trusting(&authority, 1, EndpointTls::Implicit)
            };
            let mut leg = leg(endpoint);
            // Of which half is for the first server, where it is silent, and the rest for the other.
            leg.reach.connect_deadline = Duration::from_secs(6);
            assert!(enters(&leg).await, "{case}");
            assert!(!first.heard().contains("canary"), "{case}");
        }
    }

    #[tokio::test]
    async fn while_none_answers_logins_are_refused_at_once_and_a_look_ends_that() {
        let (first, second) = (Port::take(), Port::take());
        let leg = Arc::new(leg(several(&[first.number, second.number])));
        for _ in 0..3 {
            assert!(!leg.down.is_set());
            let (found, _) = failure(&leg).await;
            assert!(matches!(found, Failure::Connect(_)), "{found}");
        }
        assert!(leg.down.is_set());
        let (found, sent) = failure(&leg).await;
        assert!(matches!(found, Failure::Down(_)) && sent == Shown::Nothing, "{found}");
        assert!(found.to_string().contains("refused"), "and says why: {found}");
        for health in leg.health() {
            assert_eq!((health.state, health.heard), (HealthState::Down, false));
            assert!(health.last_failure.unwrap().reason.contains("refused"));
        }
        let listener = second.listen().await;
        let looker = tokio::spawn({
            let leg = Arc::clone(&leg);
            async move {
                leg.due(1).await;
                leg.look(1).await
            }
        });
        let (mut tcp, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut tcp, b"hello \r\n").await.unwrap();
        assert!(looker.await.unwrap());
        assert!(!leg.down.is_set());
        let seen: Vec<Health> = leg.health().collect();
        assert_eq!((seen[0].state, seen[1].state), (HealthState::Down, HealthState::Up));
        assert!(seen[1].heard && seen[1].connected_in.is_some());
    }

    #[tokio::test]
    async fn clients_are_told_what_all_servers_of_an_upstream_have() {
        let offering = |offer: &'static str| vec![Play::Say(offer), Play::Hear];
        let first = FakeUpstream::play(offering("hello A B !C\r\n")).await;
        let second = FakeUpstream::play(offering("hello D B A\r\n")).await;
        let leg = leg(several(&[first.port, second.port]));
        assert!(leg.look(0).await);
        assert_eq!(leg.offer().unwrap().as_str(), "A B !C", "who never answered does not count");
        assert!(leg.look(1).await);
        assert_eq!(leg.offer().unwrap().as_str(), "A B");
    }

    #[tokio::test]
    async fn a_certificate_that_is_refused_is_told_once_and_stays_refused_for_resumed_sessions_too() {
        let authority = Authority::new();
        let (bad, pin) = authority.issue(&["another.name"]);
        let bad = crate::proxy::tls::Certificates::load(&[bad]).unwrap();
        let bad = crate::proxy::tls::Acceptor::new(Arc::new(bad), Fake::PROTOCOL).unwrap();
        let server = FakeUpstream::play(vec![Play::Handshake(bad), Play::Wait]).await;
        let settings = upstream(trusting(&authority, server.port, EndpointTls::Implicit));
        let (leg, mut events) = leg_and_trail(&settings);
        for _ in 0..3 {
            let (found, sent) = failure(&leg).await;
            assert_eq!(sent, Shown::Nothing, "{found}");
            assert!(leg.down.is_set(), "at once");
        }
        assert!(!leg.look(0).await);
        let Ok(Event::UpstreamCertificateRefused { address, expected, found, reason, .. }) =
            events.try_recv()
        else {
            panic!("nothing was told");
        };
        assert_eq!(address, format!("127.0.0.1:{}", server.port));
        assert!(expected.contains(NAME) && expected.contains("ca.pem"), "{expected}");
        assert_eq!(found, Some(show_pin(&pin)));
        assert_eq!(reason, "it is for another name");
        assert!(events.try_recv().is_err(), "once");
        let health = leg.health().next().unwrap();
        assert_eq!(health.refused_certificate.unwrap().key, Some(pin));
        assert!(!server.heard().contains("canary"));
        // A login that a remembered session let in proves nothing.
        leg.servers[0].succeeded(Asked::ForAClient, Duration::ZERO);
        assert_eq!(leg.servers[0].standing(), Standing::Down);
    }

    #[tokio::test]
    async fn as_many_as_may_be_connected_are_and_a_place_comes_back_with_its_stream() {
        let server = FakeUpstream::play(welcoming()).await;
        let settings = config::Upstream { max_connections: 1, ..upstream(several(&[server.port])) };
        let (leg, _) = leg_and_trail(&settings);
        let Answer::Yes(entered) = log_in(&leg).await else { panic!("not let in") };
        let (found, sent) = failure(&leg).await;
        assert!(matches!(found, Failure::Full) && sent == Shown::Nothing, "{found}");
        drop(entered);
        assert!(enters(&leg).await);
        assert_eq!(server.heard().matches("LOGIN").count(), 2);
    }

    #[tokio::test]
    async fn a_header_stands_in_front_of_everything_and_says_for_whom() {
        let proxied = |port| {
            let how = config::ForwardClient::ProxyV2;
            let settings = config::Upstream {
                forward_client: how,
                login_deadline: SILENCE,
                ..upstream(endpoint(port, EndpointTls::None))
            };
            leg_and_trail(&settings).0
        };
        // What it takes for a line ends within the signature; the rest is before the login.
        let script = vec![Play::Hear, Play::Say("hello FROM\r\n"), Play::Wait];
        let server = FakeUpstream::play(script).await;
        let leg = proxied(server.port);
        assert!(leg.look(0).await);
        server.hears("QUIT\r\n").await;
        let local = crate::protocol::proxy_header::v2(None);
        assert!(server.heard.lock().unwrap().starts_with(&local), "no client's");
        server.heard.lock().unwrap().clear();
        assert!(matches!(log_in(&leg).await, Answer::Unavailable { failure: Failure::Slow, .. }));
        let header = crate::protocol::proxy_header::v2(Some(testing::client().ends));
        let expected = [&header[..], b"LOGIN ann canary-secret\r\n"].concat();
        server.hears("LOGIN ann canary-secret\r\n").await;
        assert_eq!(*server.heard.lock().unwrap(), expected, "and nothing in the dialogue");
    }

    #[tokio::test]
    async fn the_dialogue_says_for_whom_only_where_it_is_to() {
        for (how, expected) in [
            (config::ForwardClient::Auto, "FROM 192.0.2.7:51234\r\nLOGIN ann canary-secret\r\n"),
            (config::ForwardClient::None, "LOGIN ann canary-secret\r\n"),
        ] {
            let server = FakeUpstream::play(vec![Play::Say("hello FROM\r\n"), Play::Wait]).await;
            let settings = config::Upstream {
                forward_client: how,
                login_deadline: SILENCE,
                ..upstream(endpoint(server.port, EndpointTls::None))
            };
            let leg = leg_and_trail(&settings).0;
            assert!(matches!(log_in(&leg).await, Answer::Unavailable { .. }));
            server.hears("LOGIN").await;
            eventually(|| server.heard().ends_with("\r\n")).await;
            assert_eq!(server.heard(), expected, "{how:?}");
        }
    }
}
