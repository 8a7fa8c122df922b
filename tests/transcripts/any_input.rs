//! Whatever arrives, however it is cut: the same steps, no panic, and no more held than the bounds allow.

use proptest::prelude::*;

use crate::script::{Header, Script, Side};
use crate::side::{Factory, Player, Seen};

/// The longest line that any dialogue takes (SMTP AUTH, RFC 4954 section 4).
const LONGEST_LINE: usize = 12_288;

/// What a dialogue did, from the first byte to where the driver would stop.
#[derive(Debug, PartialEq)]
struct Trace {
    steps: Vec<String>,
    /// Once logged in: everything that was not used.
    left: Option<Vec<u8>>,
}

/// Feeds `pieces` as the driver would: two attempts in three are refused, handshakes succeed.
fn trace(mut player: Box<dyn Player>, pieces: &[&[u8]]) -> Trace {
    let mut steps: Vec<String> = Vec::new();
    let mut sent = Vec::new();
    let mut attempts = 0;
    let mut pieces = pieces.iter();
    let mut held_max = 0;
    let left = loop {
        match player.step() {
            Seen::Sent(bytes) => {
                assert!(bytes.len() <= 2 * LONGEST_LINE, "{} bytes in one step", bytes.len());
                sent.extend_from_slice(&bytes);
                continue;
            }
            Seen::Nothing => match pieces.next() {
                Some(piece) => {
                    held_max = held_max.max(piece.len());
                    player.receive(piece);
                }
                None if steps.last().is_some_and(|step| step == "eof") => break None,
                None => {
                    player.end_of_input();
                    flush(&mut steps, &mut sent);
                    steps.push("eof".to_owned());
                }
            },
            // As if it had all come in one piece: bytes from before the handshake end everything.
            Seen::StartTls if pieces.len() > 0 => {
                pieces.by_ref().for_each(|piece| player.receive(piece));
                player.secured();
            }
            Seen::StartTls => {
                flush(&mut steps, &mut sent);
                steps.push("starttls".to_owned());
                player.secured();
            }
            Seen::Event { text, facts, suspends } => {
                flush(&mut steps, &mut sent);
                steps.push(format!("{text} {facts:?}"));
                attempts += 1;
                if text.starts_with("attempt") && attempts % 3 != 0 {
                    player.answer("refuse not-let-in");
                } else if text.starts_with("attempt") {
                    player.answer("admit");
                    while let Seen::Sent(bytes) = player.step() {
                        sent.extend_from_slice(&bytes);
                    }
                    break Some(player.unread());
                } else if suspends {
                    break text.starts_with("logged-in").then(|| player.unread());
                }
            }
            Seen::Close => {
                flush(&mut steps, &mut sent);
                steps.push("closed".to_owned());
                return Trace { steps, left: None };
            }
        }
    };
    flush(&mut steps, &mut sent);
    let left = left.map(|held| {
        assert!(held.len() <= LONGEST_LINE + held_max, "{} bytes held", held.len());
        [held, pieces.copied().flatten().copied().collect()].concat()
    });
    Trace { steps, left }
}

fn flush(steps: &mut Vec<String>, sent: &mut Vec<u8>) {
    if !sent.is_empty() {
        steps.push(String::from_utf8_lossy(&std::mem::take(sent)).into_owned());
    }
}

/// The start of a good conversation, or all of it; then words of the protocols and bytes of nobody.
fn input(opening: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    const WORDS: [&str; 52] = [
        "\r\n",
        "\r\n",
        "\r\n",
        "\r\n",
        "\n",
        "\r",
        "\0",
        " ",
        "USER tim",
        "PASS secret",
        "CAPA",
        "AUTH PLAIN",
        "AUTH LOGIN",
        "AUTH PLAIN AHRpbQBzZWNyZXQ=",
        "AHRpbQBzZWNyZXQ=",
        "dGlt",
        "*",
        "=",
        "STLS",
        "STARTTLS",
        "UTF8",
        "LANG zh",
        "QUIT",
        "NOOP",
        "EHLO x",
        "HELO x",
        "RSET",
        "MAIL FROM:<a@b>",
        "DATA",
        "GET / HTTP/1.1",
        "\x16\x03",
        "+OK ready",
        "+OK",
        "+ ",
        "+",
        "-ERR no",
        "-ERR [AUTH] no",
        "-ERR [IN-USE]",
        ".",
        "SASL PLAIN",
        "220 x",
        "250-x",
        "250 AUTH PLAIN",
        "250 AUTH LOGIN",
        "250 STARTTLS",
        "220-x",
        "334 ",
        "235 ok",
        "535 no",
        "421 bye",
        "454 later",
        "..",
    ];
    let word = prop_oneof![
        3 => prop::sample::select(&WORDS[..]).prop_map(|word| word.as_bytes().to_vec()),
        9 => prop::sample::select(&WORDS[..]).prop_map(|word| format!("{word}\r\n").into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
        1 => (1usize..20_000).prop_map(|count| vec![b'x'; count]),
    ];
    let lines = prop_oneof![Just(opening.len()), 0..=opening.len()];
    (lines, prop::collection::vec(word, 0..30)).prop_map(|(lines, words)| {
        let opening = opening[..lines].iter().map(|line| format!("{line}\r\n").into_bytes());
        opening.chain(words).flatten().collect()
    })
}

fn holds(side: fn() -> (Side, Factory), header: &str, opening: &'static [&'static str]) {
    let (side, factory) = side();
    let header: Header = Script::parse("any input".to_owned(), header, side).header;
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(400)
    });
    let cases = (input(opening), prop::collection::vec(1usize..200, 1..20));
    let result = runner.run(&cases, |(bytes, sizes)| {
        let one_piece = [&bytes[..]];
        let whole = trace(factory(&header), if bytes.is_empty() { &[] } else { &one_piece });
        let mut pieces = Vec::new();
        let mut rest = &bytes[..];
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, behind) = rest.split_at((*size).min(rest.len()));
            pieces.push(piece);
            rest = behind;
        }
        prop_assert_eq!(&trace(factory(&header), &pieces), &whole);
        Ok(())
    });
    if let Err(fault) = result {
        panic!("{fault}");
    }
}

/// Makes the tests of one protocol, from how a login goes on each side.
macro_rules! any_input {
    ($name:ident, $protocol:ty, client: $client:expr, upstream: $upstream:expr) => {
        mod $name {
            #[test]
            fn any_input_of_a_client_leads_to_the_same_steps_however_it_is_cut() {
                super::holds(crate::side::server::<$protocol>, "", &$client);
                super::holds(crate::side::server::<$protocol>, "channel: plain", &$client);
            }

            #[test]
            fn any_input_of_an_upstream_leads_to_the_same_steps_however_it_is_cut() {
                super::holds(crate::side::client::<$protocol>, "", &$upstream);
                super::holds(crate::side::client::<$protocol>, "login: tim secret", &$upstream);
                super::holds(
                    crate::side::client::<$protocol>,
                    "starttls: yes\nlogin: tim as boss secret",
                    &$upstream,
                );
            }
        }
    };
}

any_input!(
    pop3,
    mailward::protocol::pop3::Pop3,
    client: ["USER tim", "PASS secret", "AUTH LOGIN dGlt", "c2VjcmV0", "AUTH PLAIN AHRpbQBzZWNyZXQ="],
    upstream: ["+OK ready", "+OK", "SASL PLAIN", ".", "+", "+OK in"]
);
any_input!(
    smtp,
    mailward::protocol::smtp::Smtp,
    client: ["EHLO x", "AUTH PLAIN AHRpbQBzZWNyZXQ=", "AUTH LOGIN", "dGlt", "c2VjcmV0", "AUTH PLAIN AHRpbQBzZWNyZXQ="],
    upstream: ["220 x", "250-x", "250 AUTH PLAIN", "235 in"]
);
any_input!(
    imap,
    mailward::protocol::imap::Imap,
    client: ["a ID NIL", "a LOGIN tim secret", "a LOGIN tim {6}", "secret", "a AUTHENTICATE LOGIN dGlt", "c2VjcmV0"],
    upstream: ["* OK ready", "* CAPABILITY IMAP4rev1 AUTH=PLAIN", "g2 OK", "+", "g4 OK [CAPABILITY IMAP4rev1] in"]
);
