//! The one driver that turns the steps of every dialogue into reads and writes.
//!
//! What passes here is hostile and may hold passwords: it is never logged, read buffers are wiped, and what is
//! written is wiped by its own type. The driver knows no protocol, sets no time limit and starts no handshake:
//! those are its caller's.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Poll, ready};

use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use zeroize::Zeroize;

use super::tls::Stream;
use crate::protocol::{Dialogue, Output, Step};

/// Bytes of one read; a dialogue's input is bounded by its own limits plus this.
const READ_MAX: usize = 4096;

/// Replies gathered before they are written even though the dialogue has more to say.
const GATHER_MAX: usize = 4096;

/// What a dialogue waits for after its steps were carried out.
pub(super) enum Turn<E> {
    /// Bytes from the peer. `spoke` tells whether anything was written since the last turn.
    Input {
        /// Whether the dialogue sent anything.
        spoke: bool,
    },
    /// A handshake, then [`Dialogue::secured`].
    StartTls,
    /// An answer to this event.
    Event(E),
    /// Nothing: the connection was closed in order.
    Closed,
}

/// Drives `dialogue` until it waits for something that is not input.
///
/// # Errors
/// The stream's.
pub(super) async fn drive<D: Dialogue>(stream: &mut Stream, dialogue: &mut D) -> io::Result<Turn<D::Event>> {
    let Ok(turn) = drive_until(stream, dialogue, std::future::pending::<Infallible>()).await?;
    Ok(turn)
}

/// The same until `stop` happens while the dialogue has nothing to say: what that says, then. Nothing is lost of what was
/// heard or said.
///
/// # Errors
/// The stream's.
pub(super) async fn drive_until<D: Dialogue, S>(
    stream: &mut Stream,
    dialogue: &mut D,
    stop: impl Future<Output = S>,
) -> io::Result<Result<Turn<D::Event>, S>> {
    let mut stop = pin!(stop);
    let mut open = true;
    loop {
        match settle(stream, dialogue).await? {
            Turn::Input { .. } if open => tokio::select! {
                biased;
                heard = hear(stream, dialogue) => open = heard?,
                why = &mut stop => return Ok(Err(why)),
            },
            // It heard of the end and still wants more.
            Turn::Input { .. } => return Ok(Ok(Turn::Closed)),
            turn @ (Turn::StartTls | Turn::Event(_) | Turn::Closed) => return Ok(Ok(turn)),
        }
    }
}

/// Carries out steps without reading, until the dialogue waits; what it sent is on its way then.
///
/// # Errors
/// The stream's.
pub(super) async fn settle<D: Dialogue>(stream: &mut Stream, dialogue: &mut D) -> io::Result<Turn<D::Event>> {
    let mut gathered = Output::default();
    let mut spoke = false;
    let turn = loop {
        match dialogue.step() {
            Step::Send(bytes) => {
                spoke = true;
                gather(&mut gathered, bytes);
                if gathered.len() >= GATHER_MAX {
                    stream.write_all(&gathered).await?;
                    gathered = Output::default();
                }
            }
            Step::NeedInput => break Turn::Input { spoke },
            Step::StartTls => break Turn::StartTls,
            Step::Event(event) => break Turn::Event(event),
            Step::Close => break Turn::Closed,
        }
    };
    if spoke {
        stream.write_all(&gathered).await?;
        stream.flush().await?;
    }
    if matches!(turn, Turn::Closed) {
        stream.shutdown().await?;
    }
    Ok(turn)
}

/// Reads once and lets `dialogue` hear it; `false` when the peer closed its sending side.
///
/// # Errors
/// The stream's.
pub(super) async fn hear<D: Dialogue>(stream: &mut Stream, dialogue: &mut D) -> io::Result<bool> {
    poll_fn(|cx| {
        // Lives only inside a poll, so that a connection that waits holds no buffer.
        let mut bytes = [0; READ_MAX];
        let mut buffer = ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer))?;
        let open = !buffer.filled().is_empty();
        if open {
            dialogue.receive(buffer.filled());
        } else {
            dialogue.end_of_input();
        }
        buffer.filled_mut().zeroize();
        Poll::Ready(Ok(open))
    })
    .await
}

/// Appends, moving instead of copying where nothing was gathered yet; growing leaves no copy behind.
fn gather(gathered: &mut Output, mut bytes: Output) {
    if gathered.is_empty() {
        std::mem::swap(gathered, &mut bytes);
        return;
    }
    let mut joined = Output::new(Vec::with_capacity(gathered.len() + bytes.len()));
    joined.extend_from_slice(gathered);
    joined.extend_from_slice(&bytes);
    *gathered = joined;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::io::AsyncReadExt;
    use tokio::net::TcpStream;

    use super::*;
    use crate::protocol::{Attempt, Channel, ServerDialogue, ServerSetup, Wording};
    use crate::proxy::testing::{Server, tcp_pair, wording};

    async fn conversation(channel: Channel) -> (TcpStream, Stream, Server) {
        let (client, server) = tcp_pair().await;
        let wording: Arc<Wording> = wording();
        let dialogue = Server::new(ServerSetup { wording, offer: Arc::default(), channel });
        (client, Stream::plain(server), dialogue)
    }

    async fn all(mut client: TcpStream) -> String {
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn what_is_pipelined_is_answered_in_order_up_to_the_event() {
        let (mut client, mut stream, mut dialogue) = conversation(Channel::Secured).await;
        client.write_all(b"a\r\nb\r\nLOGIN ann x\r\nQUIT\r\n").await.unwrap();
        let Turn::Event(Attempt { credentials, .. }) = drive(&mut stream, &mut dialogue).await.unwrap()
        else {
            panic!("no attempt");
        };
        assert_eq!(credentials.login.as_str(), "ann");
        dialogue.refuse(crate::protocol::Refusal::NotLetIn);
        assert!(matches!(drive(&mut stream, &mut dialogue).await.unwrap(), Turn::Closed));
        assert_eq!(all(client).await, "hello \r\nwhat\r\nwhat\r\nrefused NotLetIn\r\n");
    }

    #[tokio::test]
    async fn what_comes_behind_starttls_in_one_segment_is_never_answered() {
        let (mut client, mut stream, mut dialogue) = conversation(Channel::Plain).await;
        client.write_all(b"STARTTLS\r\nnoop\r\n").await.unwrap();
        assert!(matches!(drive(&mut stream, &mut dialogue).await.unwrap(), Turn::Closed));
        assert_eq!(all(client).await, "hello \r\ngo\r\n");
    }

    #[tokio::test]
    async fn a_handshake_is_left_to_the_caller() {
        let (mut client, mut stream, mut dialogue) = conversation(Channel::Plain).await;
        client.write_all(b"STARTTLS\r\n").await.unwrap();
        assert!(matches!(drive(&mut stream, &mut dialogue).await.unwrap(), Turn::StartTls));
    }

    #[tokio::test]
    async fn the_end_of_input_closes_and_does_not_spin() {
        let (client, mut stream, mut dialogue) = conversation(Channel::Plain).await;
        drop(client);
        assert!(matches!(drive(&mut stream, &mut dialogue).await, Ok(Turn::Closed) | Err(_)));

        /// Never has enough.
        struct Deaf;
        impl Dialogue for Deaf {
            type Event = ();
            fn receive(&mut self, _: &[u8]) {}
            fn end_of_input(&mut self) {}
            fn step(&mut self) -> Step<()> {
                Step::NeedInput
            }
            fn secured(&mut self) {}
            fn into_unread(self) -> Output {
                Output::default()
            }
        }
        let (client, server) = tcp_pair().await;
        drop(client);
        let (mut stream, mut deaf) = (Stream::plain(server), Deaf);
        let driving = tokio::time::timeout(Duration::from_secs(5), drive(&mut stream, &mut deaf));
        assert!(matches!(driving.await.unwrap(), Ok(Turn::Closed)));
    }
}
