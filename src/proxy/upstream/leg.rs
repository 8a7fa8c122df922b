//! One protocol of one upstream: how to reach it, what it offers, and logging in there.
//!
//! An upstream may be anybody until its certificate was verified, and is old and odd afterwards. Nothing is
//! sent before the leg is as protected as the administrator asked for, and a conversation is never tried
//! again once a credential went out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::dial::dial;
use super::forwarding::Forwarder;
use super::{Answer, Entered, Failure};
use crate::base::UpstreamName;
use crate::config::{self, Endpoint, EndpointTls};
use crate::protocol::{
    ClientDialogue, ClientOrigin, ClientSetup, Dialogue, MailProtocol, Purpose, Trouble, UpstreamLogin,
    UpstreamReply,
};
use crate::proxy::driver::{Turn, drive, hear, settle};
use crate::proxy::tls::{Connector, Stream, TlsError};

/// How soon an upstream that did not answer is asked again what it offers.
const RETRY: Duration = Duration::from_secs(15);

/// One protocol of one upstream.
pub(super) struct Leg<P: MailProtocol> {
    reach: Reach,
    refresh: Duration,
    /// Under which its clients connect; lower case.
    pub(super) hostnames: Vec<String>,
    /// The last good answer; none yet is told apart, because nothing was learned then.
    offer: RwLock<Option<Arc<P::Offer>>>,
    relearn: Notify,
    /// Whether the last connection came about; for saying once that it changed.
    up: AtomicBool,
}

/// How an upstream is reached, and with what patience.
pub(super) struct Reach {
    pub(super) upstream: UpstreamName,
    pub(super) endpoint: Endpoint,
    /// Where the leg is protected.
    pub(super) connector: Option<Connector>,
    pub(super) connect_deadline: Duration,
    pub(super) login_deadline: Duration,
    /// What the gate calls itself.
    pub(super) own_name: String,
    /// How it hears where a client comes from.
    pub(super) forwarder: Forwarder,
}

impl<P: MailProtocol> Leg<P> {
    /// The leg of `upstream` that speaks `P`, if it has one.
    pub(super) fn new(upstream: &config::Upstream, own_name: &str) -> Result<Option<Self>, TlsError> {
        let Some(endpoint) = upstream.endpoint(P::PROTOCOL) else { return Ok(None) };
        let connector = match endpoint.tls {
            EndpointTls::None => None,
            EndpointTls::Starttls | EndpointTls::Implicit => Some(Connector::new(endpoint)?),
        };
        let reach = Reach {
            upstream: upstream.name.clone(),
            endpoint: endpoint.clone(),
            connector,
            connect_deadline: upstream.connect_deadline,
            login_deadline: upstream.login_deadline,
            own_name: own_name.to_owned(),
            forwarder: Forwarder::new(upstream.forward_client),
        };
        Ok(Some(Self {
            reach,
            refresh: upstream.refresh,
            hostnames: upstream.hostnames.clone(),
            offer: RwLock::default(),
            relearn: Notify::new(),
            up: AtomicBool::new(true),
        }))
    }

    /// Whose it is.
    pub(super) fn upstream(&self) -> &UpstreamName {
        &self.reach.upstream
    }

    /// What it offered when it last answered, however long ago.
    pub(super) fn offer(&self) -> Option<Arc<P::Offer>> {
        self.offer.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Both deadlines together: what a login takes at most.
    pub(super) fn patience(&self) -> Duration {
        self.reach.connect_deadline + self.reach.login_deadline
    }

    /// Logs in, for `client` if there is one, by `by` at the latest.
    pub(super) async fn log_in(
        &self,
        login: UpstreamLogin,
        introduction: P::Introduction,
        client: Option<ClientOrigin>,
        by: Instant,
    ) -> Answer<P> {
        let forwarder = &self.reach.forwarder;
        let header = forwarder.header(client);
        let client = forwarder.in_dialogue(P::PROTOCOL, client);
        let mut dialogue = self.reach.dialogue::<P>(Purpose::LogIn { login, introduction, client });
        let conversation = self.reach.converse::<P>(&mut dialogue, header, by).await;
        self.note(conversation.as_ref().err());
        forwarder.note(&self.reach.upstream, P::PROTOCOL, dialogue.forwarding());
        let failure = match conversation {
            Ok((stream, UpstreamReply::LoggedIn(welcome))) => {
                return Answer::Yes(Entered { stream, unread: dialogue.into_unread(), welcome });
            }
            Ok((_, UpstreamReply::Refused)) => return Answer::No,
            Ok((_, UpstreamReply::Unavailable(trouble))) => {
                if trouble == Trouble::OfferChanged {
                    self.relearn.notify_one();
                }
                Failure::Said(trouble)
            }
            Ok((_, UpstreamReply::Learned(_))) => Failure::Said(Trouble::Garbage("an answer to no question")),
            Err(failure) => failure,
        };
        Answer::Unavailable { failure, credential_sent: dialogue.credential_sent() }
    }

    /// Learns what it offers, now. The last good answer stays good while it does not answer; the log says so.
    pub(super) async fn learn(&self) -> Result<(), Failure> {
        let learned = self.reach.learn::<P>().await;
        self.note(learned.as_ref().err());
        let offer = learned?;
        *self.offer.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(offer));
        Ok(())
    }

    /// Returns when it should be asked again: when it is time, soon when it did not answer, and at once when a login
    /// found that it changed.
    pub(super) async fn stale(&self) {
        let pause = if self.up.load(Ordering::Relaxed) { self.refresh } else { self.refresh.min(RETRY) };
        // Either way it is time to ask.
        let _ = tokio::time::timeout(pause, self.relearn.notified()).await;
    }

    /// Says once when the upstream goes and comes. What it says about one mailbox says nothing about itself.
    fn note(&self, failure: Option<&Failure>) {
        let (upstream, protocol) = (&self.reach.upstream, P::PROTOCOL);
        match failure {
            Some(failure) if failure.is_outage() => {
                if self.up.swap(false, Ordering::Relaxed) {
                    let (host, port) = (&self.reach.endpoint.host, self.reach.endpoint.port);
                    let hint = matches!(failure, Failure::Handshake(_))
                        .then_some("check `server_name`, `ca_file` and `pin_sha256` of this upstream");
                    let hint = self.reach.forwarder.hint().or(hint);
                    tracing::warn!(%upstream, %protocol, host, port, reason = %failure, hint, "upstream is down");
                }
            }
            _ => {
                if !self.up.swap(true, Ordering::Relaxed) {
                    tracing::info!(%upstream, %protocol, "upstream is up again");
                }
            }
        }
    }
}

impl Reach {
    /// What it offers before login, on the leg as it is configured.
    pub(super) async fn learn<P: MailProtocol>(&self) -> Result<P::Offer, Failure> {
        let by = Instant::now() + self.connect_deadline + self.login_deadline;
        let mut dialogue = self.dialogue::<P>(Purpose::Learn);
        match self.converse::<P>(&mut dialogue, self.forwarder.header(None), by).await? {
            (mut stream, UpstreamReply::Learned(offer)) => {
                // It leaves politely; what was learned stands, whatever comes of that.
                let _ = timeout_at(by, drive(&mut stream, &mut dialogue)).await;
                Ok(offer)
            }
            (_, UpstreamReply::Unavailable(trouble)) => Err(Failure::Said(trouble)),
            (_, UpstreamReply::LoggedIn(_) | UpstreamReply::Refused) => {
                Err(Failure::Said(Trouble::Garbage("an answer to no login")))
            }
        }
    }

    fn dialogue<P: MailProtocol>(&self, purpose: Purpose<P::Introduction>) -> P::Client {
        let starttls = self.endpoint.tls == EndpointTls::Starttls;
        P::Client::new(ClientSetup { starttls, purpose, own_name: self.own_name.clone() })
    }

    /// Connects, says `header` and talks until the upstream has answered what the dialogue is for.
    async fn converse<P: MailProtocol>(
        &self,
        dialogue: &mut P::Client,
        header: Option<Vec<u8>>,
        by: Instant,
    ) -> Result<(Stream, UpstreamReply<P>), Failure> {
        let connect_by = by.min(Instant::now() + self.connect_deadline);
        let opening = timeout_at(connect_by, self.open::<P>(dialogue, header)).await;
        let (mut stream, early) = opening.map_err(|_| Failure::Silent("greet"))??;
        if let Some(reply) = early {
            return Ok((stream, reply));
        }
        let login_by = by.min(Instant::now() + self.login_deadline);
        let talking = timeout_at(login_by, drive(&mut stream, dialogue)).await;
        match talking.map_err(|_| Failure::Slow)?.map_err(Failure::Broken)? {
            Turn::Event(reply) => Ok((stream, reply)),
            Turn::StartTls => Err(Failure::Said(Trouble::StartTls)),
            Turn::Input { .. } | Turn::Closed => Err(Failure::Said(Trouble::Closed)),
        }
    }

    /// Dials and shakes hands, up to the point where the upstream has greeted and the leg is as protected as
    /// it must be. Some upstreams answer everything with their greeting: then that is the reply.
    async fn open<P: MailProtocol>(
        &self,
        dialogue: &mut P::Client,
        header: Option<Vec<u8>>,
    ) -> Result<(Stream, Option<UpstreamReply<P>>), Failure> {
        let mut stream = Stream::plain(dial(&self.endpoint, self.connect_deadline).await?);
        if let Some(header) = header {
            stream.write_all(&header).await.map_err(Failure::Broken)?;
        }
        let mut protected = match (self.endpoint.tls, &self.connector) {
            (EndpointTls::Implicit, Some(connector)) => {
                stream = connector.connect(stream).await.map_err(Failure::Handshake)?;
                true
            }
            (EndpointTls::None, None) => true,
            (EndpointTls::Starttls, Some(_)) => false,
            (EndpointTls::Implicit | EndpointTls::Starttls, None) | (EndpointTls::None, Some(_)) => {
                return Err(Failure::Said(Trouble::StartTls));
            }
        };
        let mut open = true;
        loop {
            match settle(&mut stream, dialogue).await.map_err(Failure::Broken)? {
                Turn::Input { spoke: true } if protected => return Ok((stream, None)),
                Turn::Input { .. } if open => {
                    open = hear(&mut stream, dialogue).await.map_err(Failure::Broken)?;
                }
                Turn::StartTls => {
                    let connector = self.connector.as_ref().filter(|_| !protected);
                    let connector = connector.ok_or(Failure::Said(Trouble::StartTls))?;
                    stream = connector.connect(stream).await.map_err(Failure::Handshake)?;
                    dialogue.secured();
                    protected = true;
                }
                Turn::Event(reply) => return Ok((stream, Some(reply))),
                Turn::Input { .. } | Turn::Closed => return Err(Failure::Said(Trouble::Closed)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::testing::{self, Authority, Fake, FakeUpstream, Play, endpoint, upstream};

    const NAME: &str = "legacy.example.org";

    fn leg(endpoint: Endpoint) -> Leg<Fake> {
        Leg::new(&upstream(endpoint), "gate.example.org").unwrap().unwrap()
    }

    async fn log_in(leg: &Leg<Fake>) -> Answer<Fake> {
        leg.log_in(testing::login(), (), Some(testing::client()), Instant::now() + Duration::from_secs(5))
            .await
    }

    /// The failure, which must come within both deadlines (and a little for the machine).
    async fn failure(leg: &Leg<Fake>) -> (Failure, bool) {
        let began = Instant::now();
        let Answer::Unavailable { failure, credential_sent } = log_in(leg).await else {
            panic!("the upstream answered");
        };
        assert!(began.elapsed() < leg.patience() + Duration::from_millis(300), "{failure}");
        (failure, credential_sent)
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
        let pinned = |pin| Endpoint { pin_sha256: Some(pin), ..endpoint(server.port, EndpointTls::Implicit) };
        assert!(matches!(log_in(&leg(pinned(pin))).await, Answer::Yes(_)));
        let before = server.heard();
        let (found, sent) = failure(&leg(pinned([7; 32]))).await;
        assert!(matches!(found, Failure::Handshake(_)) && !sent, "{found}");
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
        for (case, tls, script) in cases {
            let server = FakeUpstream::play(script).await;
            let (found, sent) = failure(&leg(trusting(&authority, server.port, tls))).await;
            assert!(!sent, "{case}: {found}");
            assert!(!server.heard().contains("canary"), "{case}");
        }
        let unused = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let (found, sent) = failure(&leg(endpoint(unused, EndpointTls::None))).await;
        assert!(matches!(found, Failure::Connect(_)) && !sent, "{found}");
    }

    #[tokio::test]
    async fn only_a_definite_no_is_a_no_and_what_was_sent_is_told() {
        let answer = async |says: &[Play]| {
            let mut script = vec![Play::Say("hello \r\n"), Play::Hear];
            script.extend_from_slice(says);
            let server = FakeUpstream::play(script).await;
            log_in(&leg(endpoint(server.port, EndpointTls::None))).await
        };
        assert!(matches!(answer(&[Play::Say("no\r\n")]).await, Answer::No));
        for says in [vec![Play::Say("busy\r\n")], vec![Play::Say("???\r\n")], vec![], vec![Play::Wait]] {
            let Answer::Unavailable { credential_sent, .. } = answer(&says).await else {
                panic!("taken for an answer");
            };
            assert!(credential_sent);
        }
    }

    #[tokio::test]
    async fn what_was_learned_is_kept_while_the_upstream_is_down_and_learned_again_when_it_changed() {
        let server = FakeUpstream::play(vec![Play::Say("hello SIZE\r\n"), Play::Hear]).await;
        let leg = leg(endpoint(server.port, EndpointTls::None));
        assert_eq!(leg.offer(), None);
        leg.learn().await.unwrap();
        server.hears("QUIT\r\n").await;
        drop(server);
        tokio::task::yield_now().await;
        assert!(leg.learn().await.is_err());
        assert!(!leg.up.load(Ordering::Relaxed));
        assert_eq!(leg.offer().unwrap().as_str(), "SIZE");

        let changed = vec![Play::Say("hello NEW\r\n"), Play::Hear, Play::Say("changed\r\n")];
        let server = FakeUpstream::play(changed).await;
        let leg = Arc::new(self::leg(endpoint(server.port, EndpointTls::None)));
        let learner = tokio::spawn({
            let leg = Arc::clone(&leg);
            async move {
                leg.stale().await;
                leg.learn().await
            }
        });
        assert!(matches!(
            log_in(&leg).await,
            Answer::Unavailable { failure: Failure::Said(Trouble::OfferChanged), .. }
        ));
        learner.await.unwrap().unwrap();
        assert_eq!(leg.offer().unwrap().as_str(), "NEW");
    }

    #[tokio::test]
    async fn a_header_stands_in_front_of_everything_and_says_for_whom() {
        let proxied = |port| {
            let how = config::ForwardClient::ProxyV2;
            let settings =
                config::Upstream { forward_client: how, ..upstream(endpoint(port, EndpointTls::None)) };
            Leg::<Fake>::new(&settings, "gate.example.org").unwrap().unwrap()
        };
        // What it takes for a line ends within the signature; the rest is before the login.
        let script = vec![Play::Hear, Play::Say("hello FROM\r\n"), Play::Wait];
        let server = FakeUpstream::play(script).await;
        let leg = proxied(server.port);
        leg.learn().await.unwrap();
        server.hears("QUIT\r\n").await;
        let local = crate::protocol::proxy_header::v2(None);
        assert!(server.heard.lock().unwrap().starts_with(&local), "no client's");
        server.heard.lock().unwrap().clear();
        assert!(matches!(log_in(&leg).await, Answer::Unavailable { failure: Failure::Slow, .. }));
        let header = crate::protocol::proxy_header::v2(Some(testing::client().ends));
        let expected = [&header[..], b"LOGIN ann canary-secret\r\n"].concat();
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
                ..upstream(endpoint(server.port, EndpointTls::None))
            };
            let leg = Leg::<Fake>::new(&settings, "gate.example.org").unwrap().unwrap();
            assert!(matches!(log_in(&leg).await, Answer::Unavailable { .. }));
            assert_eq!(server.heard(), expected, "{how:?}");
        }
    }
}
