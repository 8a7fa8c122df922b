//! Whatever arrives, however it is cut: the same steps, no panic, and no more held than the bounds allow.

use proptest::prelude::*;

use crate::script::{Header, Script, Side};
use crate::side::{Factory, Player};
use crate::trace::{Trace, trace};

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

/// Two attempts in three are refused.
fn refusing(player: Box<dyn Player>, pieces: &[&[u8]]) -> Trace {
    trace(player, &[pieces.to_vec()], &["refuse not-let-in", "refuse not-let-in", "admit"], |_, _| {})
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
        let whole = refusing(factory(&header), if bytes.is_empty() { &[] } else { &one_piece });
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
        prop_assert_eq!(&refusing(factory(&header), &pieces), &whole);
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
