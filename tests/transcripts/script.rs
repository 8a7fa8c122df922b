//! Reads a transcript file into what is to be done and what must be seen.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use crate::text;

/// Which side is tested: it decides whose lines come in and whose go out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Server,
    Client,
}

/// One transcript.
pub(crate) struct Script {
    pub(crate) name: String,
    pub(crate) header: Header,
    pub(crate) acts: Vec<(usize, Act)>,
}

/// `key: value` lines; a key may be repeated.
#[derive(Default)]
pub(crate) struct Header(HashMap<String, Vec<String>>);

/// One thing that happens, in order; it stands beside its line number.
pub(crate) enum Act {
    /// The peer sends a run of bytes, which may be cut anywhere but at the `glued` places.
    Receive { run: Vec<u8>, glued: Vec<usize> },
    /// The dialogue must send this.
    Send(Vec<u8>),
    /// The dialogue must ask for the handshake; then it is done.
    StartTls,
    /// The dialogue must tell this event, as the side writes it.
    Event(String),
    /// A fact of the event before.
    Fact(String),
    /// The gate answers the event: the bracket's text.
    Answer(String),
    /// The peer closes its sending side.
    EndOfInput,
    /// The dialogue must close.
    Close,
    /// What is left unread at the end.
    Unread(Vec<u8>),
}

impl Header {
    pub(crate) fn all(&self, key: &str) -> &[String] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn one(&self, key: &str) -> Option<&str> {
        self.all(key).first().map(String::as_str)
    }
}

impl Script {
    pub(crate) fn read(path: &Path, side: Side) -> Self {
        let name = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap_or(path).display().to_string();
        Self::parse(name, &fs::read_to_string(path).unwrap(), side)
    }

    pub(crate) fn parse(name: String, content: &str, side: Side) -> Self {
        let mut header = Header::default();
        let mut acts = Vec::new();
        // Where the run being collected stands in `acts`, so that the next incoming line joins it.
        let mut glue_next = false;
        for (number, line) in content.lines().enumerate().map(|(at, line)| (at + 1, line)) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some((incoming, glued, rest)) = spoken(line, side) {
                let bytes = text::line(rest);
                match acts.last_mut() {
                    _ if !incoming => acts.push((number, Act::Send(bytes))),
                    Some((_, Act::Receive { run, glued })) => {
                        if glue_next {
                            glued.push(run.len());
                        }
                        run.extend_from_slice(&bytes);
                    }
                    _ => acts.push((number, Act::Receive { run: bytes, glued: Vec::new() })),
                }
                glue_next = glued;
            } else if let Some(event) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                acts.push((number, bracketed(event)));
            } else if let (true, Some((key, value))) = (acts.is_empty(), line.split_once(':')) {
                header.0.entry(key.trim().to_owned()).or_default().push(value.trim().to_owned());
            } else {
                panic!("{name}:{number}: not a line of a transcript: {line}");
            }
        }
        Self { name, header, acts }
    }
}

/// `(incoming, glued to the next, text)` of a line that somebody says.
fn spoken(line: &str, side: Side) -> Option<(bool, bool, &str)> {
    let (speaker, rest) = line.split_at_checked(1)?;
    let incoming = match speaker {
        "C" => side == Side::Server,
        "S" => side == Side::Client,
        _ => return None,
    };
    let (mark, rest) = rest.split_at_checked(1)?;
    let glued = match mark {
        ":" => false,
        "+" => true,
        _ => return None,
    };
    Some((incoming, glued, rest.strip_prefix(' ').unwrap_or(rest)))
}

fn bracketed(event: &str) -> Act {
    let (word, rest) = event.split_once(' ').unwrap_or((event, ""));
    match word {
        "starttls" => Act::StartTls,
        "eof" => Act::EndOfInput,
        "close" => Act::Close,
        "unread" => Act::Unread(text::bytes(rest)),
        "refuse" | "admit" => Act::Answer(event.to_owned()),
        "introduces" | "program" | "forwarding" | "shown" => Act::Fact(event.to_owned()),
        _ => Act::Event(String::from_utf8_lossy(&text::bytes(event)).into_owned()),
    }
}
