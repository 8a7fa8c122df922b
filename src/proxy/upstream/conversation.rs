//! One conversation with one server, from the dial to the answer.
//!
//! A server may be anybody until its certificate was verified, and is old and odd afterwards. Nothing is sent before
//! the leg is as protected as the administrator asked for.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout_at};

use super::Failure;
use super::breaker::Asked;
use super::dial::dial;
use super::forwarding::Forwarder;
use super::server::Server;
use crate::base::UpstreamName;
use crate::config::EndpointTls;
use crate::protocol::{ClientDialogue, ClientSetup, Dialogue, MailProtocol, Purpose, Trouble, UpstreamReply};
use crate::proxy::driver::{Turn, drive, hear, settle};
use crate::proxy::tls::{Connector, Stream};

/// How the servers of a leg are reached, and with what patience.
pub(super) struct Reach {
    pub(super) upstream: UpstreamName,
    pub(super) tls: EndpointTls,
    pub(super) connect_deadline: Duration,
    pub(super) login_deadline: Duration,
    /// What the gate calls itself.
    pub(super) own_name: String,
    /// How they hear where a client comes from.
    pub(super) forwarder: Forwarder,
}

/// Until when.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// It has greeted on a protected leg.
    pub(super) connect_by: Instant,
    /// It has answered.
    pub(super) answer_by: Instant,
}

/// What came of it.
pub(super) struct Answered<P: MailProtocol> {
    pub(super) stream: Stream,
    pub(super) reply: UpstreamReply<P>,
    /// From the dial to the greeting.
    pub(super) connected_in: Duration,
}

/// A look at a server.
pub(super) struct Look<P: MailProtocol> {
    /// What it offers before login, on the leg as it is configured.
    pub(super) offer: P::Offer,
    pub(super) connected_in: Duration,
}

impl Reach {
    /// Looks at `server`, with nobody's credential.
    pub(super) async fn look<P: MailProtocol>(&self, server: &Server) -> Result<Look<P>, Failure> {
        let now = Instant::now();
        let answer_by = now + self.connect_deadline + self.login_deadline;
        let patience = Patience { connect_by: now + self.connect_deadline, answer_by };
        let mut dialogue = self.dialogue::<P>(Purpose::Learn);
        let header = self.forwarder.header(None);
        let Answered { mut stream, reply, connected_in } =
            self.converse::<P>(server, &mut dialogue, Asked::ToSee, header.as_deref(), patience).await?;
        match reply {
            UpstreamReply::Learned(offer) => {
                // It leaves politely; what was learned stands, whatever comes of that.
                let _ = timeout_at(answer_by, drive(&mut stream, &mut dialogue)).await;
                Ok(Look { offer, connected_in })
            }
            UpstreamReply::Unavailable(trouble) => Err(Failure::Said(trouble)),
            UpstreamReply::LoggedIn(_) | UpstreamReply::Refused => {
                Err(Failure::Said(Trouble::Garbage("an answer to no login")))
            }
        }
    }

    /// The gate's side of a conversation.
    pub(super) fn dialogue<P: MailProtocol>(&self, purpose: Purpose<P::Introduction>) -> P::Client {
        let starttls = self.tls == EndpointTls::Starttls;
        P::Client::new(ClientSetup { starttls, purpose, own_name: self.own_name.clone() })
    }

    /// Connects, says `header` and talks until the server has answered what the dialogue is for.
    pub(super) async fn converse<P: MailProtocol>(
        &self,
        server: &Server,
        dialogue: &mut P::Client,
        asked: Asked,
        header: Option<&[u8]>,
        patience: Patience,
    ) -> Result<Answered<P>, Failure> {
        let begun = Instant::now();
        let connect_by = patience.connect_by.min(patience.answer_by);
        let connection = self.connect(server, header, connect_by);
        let opening = async { self.open::<P>(connection.await?, server, dialogue, asked).await };
        let opening = timeout_at(connect_by, opening).await;
        let (mut stream, early) = opening.map_err(|_| Failure::Silent("greet"))??;
        let connected_in = begun.elapsed();
        if let Some(reply) = early {
            return Ok(Answered { stream, reply, connected_in });
        }
        let answer_by = patience.answer_by.min(Instant::now() + self.login_deadline);
        let talking = timeout_at(answer_by, drive(&mut stream, dialogue)).await;
        match talking.map_err(|_| Failure::Slow)?.map_err(Failure::Broken)? {
            Turn::Event(reply) => Ok(Answered { stream, reply, connected_in }),
            Turn::StartTls => Err(Failure::Said(Trouble::StartTls)),
            Turn::Input { .. } | Turn::Closed => Err(Failure::Said(Trouble::Closed)),
        }
    }

    /// A connection to `server`, on which nothing was said but what stands in front of everything.
    async fn connect(&self, server: &Server, header: Option<&[u8]>, by: Instant) -> Result<Stream, Failure> {
        let mut stream = Stream::plain(dial(&server.address, by).await?);
        if let Some(header) = header {
            stream.write_all(header).await.map_err(Failure::Broken)?;
        }
        Ok(stream)
    }

    /// Shakes hands, up to the point where the server has greeted and the leg is as protected as
    /// it must be. Some servers answer everything with their greeting: then that is the reply.
    async fn open<P: MailProtocol>(
        &self,
        mut stream: Stream,
        server: &Server,
        dialogue: &mut P::Client,
        asked: Asked,
    ) -> Result<(Stream, Option<UpstreamReply<P>>), Failure> {
        let mut protected = match (self.tls, &server.connector) {
            (EndpointTls::Implicit, Some(connector)) => {
                stream = secure(connector, stream, asked).await?;
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
                    let connector = server.connector.as_ref().filter(|_| !protected);
                    let connector = connector.ok_or(Failure::Said(Trouble::StartTls))?;
                    stream = secure(connector, stream, asked).await?;
                    dialogue.secured();
                    protected = true;
                }
                Turn::Event(reply) => return Ok((stream, Some(reply))),
                Turn::Input { .. } | Turn::Closed => return Err(Failure::Said(Trouble::Closed)),
            }
        }
    }
}

/// A look wants to see the certificate each time; a login may go on with a session that began with a good one.
async fn secure(connector: &Connector, stream: Stream, asked: Asked) -> Result<Stream, Failure> {
    let secured = match asked {
        Asked::ForAClient => connector.connect(stream).await,
        Asked::ToSee => connector.connect_anew(stream).await,
    };
    secured.map_err(|error| match connector.refused(&error) {
        Some(refused) => Failure::Certificate { refused, expected: connector.expects().to_owned() },
        None => Failure::Handshake(error),
    })
}
