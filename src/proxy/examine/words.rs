//! What a mail server says before login, in its own words: for a person to read.
//!
//! The dialogues drop what no client may hear of (`XCLIENT` among it), and that is what is looked for here. So this asks for
//! the list by itself, on the leg as it is configured, and leaves.

use std::io;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::time::{Instant, timeout_at};

use super::super::tls::{Connector, Stream};
use super::super::upstream::{Failure, dial};
use crate::base::Protocol;
use crate::config::{Endpoint, EndpointTls, ForwardClient, HostPort, Upstream};
use crate::protocol::{Trouble, proxy_header};

/// The longest line, and the most of them, that is listened to.
const LINE_MAX: u64 = 8192;
const LINES_MAX: usize = 100;

/// What was heard.
#[derive(Clone, Debug)]
pub struct Words {
    /// The first line, on whichever leg.
    pub greeting: String,
    /// Capabilities or keywords as last listed, on the protected leg.
    pub offer: Vec<String>,
    /// The certificate that was taken, where there is TLS.
    pub certificate: Option<CertificateDer<'static>>,
    /// From the dial to the last word.
    pub took: Duration,
}

impl Words {
    /// Whether `XCLIENT` is taken from the gate's address: it stands in the list, or in the greeting of Dovecot's POP3.
    #[must_use]
    pub fn offers_xclient(&self) -> bool {
        self.offers("XCLIENT") || self.greeting.to_ascii_uppercase().contains("[XCLIENT]")
    }

    /// Whether `word` is in the list, in any case, whatever follows it.
    #[must_use]
    pub fn offers(&self, word: &str) -> bool {
        let first = |line: &String| line.split(' ').next().unwrap_or_default().eq_ignore_ascii_case(word);
        self.offer.iter().any(first)
    }
}

/// Listens to the server of `upstream` at `address`, as `own_name`, for `at_most` that long.
///
/// # Errors
/// [`Failure`]
pub async fn words(
    upstream: &Upstream,
    protocol: Protocol,
    address: &HostPort,
    own_name: &str,
    at_most: Duration,
) -> Result<Words, Failure> {
    let begun = Instant::now();
    let by = begun + at_most;
    let endpoint = upstream.endpoint(protocol).ok_or(Failure::NotServed)?;
    let mut tcp = dial(address, by).await?;
    let listening = async {
        if upstream.forward_client == ForwardClient::ProxyV2 {
            // For nobody: it is the gate itself that asks.
            tcp.write_all(&proxy_header::v2(None)).await.map_err(Failure::Broken)?;
        }
        listen(protocol, endpoint, address, own_name, Stream::plain(tcp)).await
    };
    let mut words = timeout_at(by, listening).await.map_err(|_| Failure::Silent("answer"))??;
    words.took = begun.elapsed();
    Ok(words)
}

async fn listen(
    protocol: Protocol,
    endpoint: &Endpoint,
    address: &HostPort,
    own_name: &str,
    mut stream: Stream,
) -> Result<Words, Failure> {
    let connector = || Connector::new(endpoint, endpoint.name_of(address)).map_err(io::Error::other);
    if endpoint.tls == EndpointTls::Implicit {
        stream = secure(&connector().map_err(Failure::Handshake)?, stream).await?;
    }
    let mut talk = Talk { stream: BufReader::new(stream), protocol };
    let greeting = talk.reply("").await?.lines.into_iter().next().unwrap_or_default();
    if endpoint.tls == EndpointTls::Starttls {
        if protocol == Protocol::Smtp {
            talk.ask(&format!("EHLO {own_name}")).await?;
        }
        let reply = talk.ask(if protocol == Protocol::Pop3 { "STLS" } else { "STARTTLS" }).await?;
        if !reply.is_yes || !talk.stream.buffer().is_empty() {
            return Err(Failure::Said(Trouble::StartTls));
        }
        let stream = secure(&connector().map_err(Failure::Handshake)?, talk.stream.into_inner()).await?;
        talk = Talk { stream: BufReader::new(stream), protocol };
    }
    let reply = match protocol {
        Protocol::Imap => talk.ask("CAPABILITY").await?,
        Protocol::Pop3 => talk.ask("CAPA").await?,
        Protocol::Smtp => talk.ask(&format!("EHLO {own_name}")).await?,
    };
    let certificate = talk.stream.get_ref().peer_certificate();
    // It is told goodbye, whether or not it hears that.
    let goodbye = if protocol == Protocol::Imap { "bye LOGOUT\r\n" } else { "QUIT\r\n" };
    let _ = talk.stream.write_all(goodbye.as_bytes()).await;
    let _ = talk.stream.flush().await;
    Ok(Words { greeting, offer: offered(protocol, &reply.lines), certificate, took: Duration::ZERO })
}

async fn secure(connector: &Connector, stream: Stream) -> Result<Stream, Failure> {
    connector.connect_anew(stream).await.map_err(|error| match connector.refused(&error) {
        Some(refused) => Failure::Certificate { refused, expected: connector.expects().to_owned() },
        None => Failure::Handshake(error),
    })
}

struct Talk {
    stream: BufReader<Stream>,
    protocol: Protocol,
}

struct Reply {
    lines: Vec<String>,
    is_yes: bool,
}

impl Talk {
    async fn ask(&mut self, command: &str) -> Result<Reply, Failure> {
        const TAG: &str = "look";
        let tagged = self.protocol == Protocol::Imap;
        let line = if tagged { format!("{TAG} {command}\r\n") } else { format!("{command}\r\n") };
        self.stream.write_all(line.as_bytes()).await.map_err(Failure::Broken)?;
        self.stream.flush().await.map_err(Failure::Broken)?;
        self.reply(if tagged { TAG } else { command }).await
    }

    /// Up to its last line: the tagged one, the one without a hyphen, the one with a dot alone.
    async fn reply(&mut self, to: &str) -> Result<Reply, Failure> {
        let mut lines = Vec::new();
        let mut is_yes = false;
        while lines.len() < LINES_MAX {
            let line = self.line().await?;
            let first = lines.is_empty();
            let last = match self.protocol {
                Protocol::Imap => {
                    is_yes =
                        line.to_ascii_uppercase().starts_with(&format!("{} OK", to.to_ascii_uppercase()));
                    to.is_empty() || line.split(' ').next() == Some(to)
                }
                Protocol::Smtp => {
                    is_yes = line.starts_with('2');
                    line.as_bytes().get(3) != Some(&b'-')
                }
                Protocol::Pop3 => {
                    is_yes |= first && line.starts_with("+OK");
                    !(is_yes && to == "CAPA") || line == "."
                }
            };
            lines.push(line);
            if last {
                return Ok(Reply { lines, is_yes });
            }
        }
        Err(Failure::Said(Trouble::Garbage("lines without end")))
    }

    async fn line(&mut self) -> Result<String, Failure> {
        let mut line = Vec::new();
        let mut bounded = (&mut self.stream).take(LINE_MAX);
        bounded.read_until(b'\n', &mut line).await.map_err(Failure::Broken)?;
        if line.pop() != Some(b'\n') {
            return Err(Failure::Said(Trouble::Closed));
        }
        let text = String::from_utf8_lossy(&line);
        Ok(text.trim_end().chars().filter(|sign| !sign.is_control()).collect())
    }
}

fn offered(protocol: Protocol, lines: &[String]) -> Vec<String> {
    match protocol {
        Protocol::Imap => {
            let list = lines.iter().find_map(|line| line.strip_prefix("* CAPABILITY "));
            list.unwrap_or_default().split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
        }
        Protocol::Pop3 => lines.iter().skip(1).filter(|line| *line != ".").cloned().collect(),
        Protocol::Smtp => lines.iter().skip(1).filter_map(|line| line.get(4..)).map(str::to_owned).collect(),
    }
}
