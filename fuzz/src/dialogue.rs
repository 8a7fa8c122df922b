//! The six dialogues: every cut of the input leads to the same steps, one command of a client leads to at most one
//! attempt and that to one command upstream at a time, what is held is bounded, and no secret is said to whom it does
//! not belong.

use std::sync::atomic::Ordering::Relaxed;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use mailward::base::Protocol;

use crate::HEAP;
use crate::drive::drive;
use crate::input::{Cut, Input};
use crate::script::{Header, Script};
use crate::side::{Factory, LoggedIn, Player, Seen, Written, client as upstream_side, server as client_side};
use crate::trace::trace;

/// Part of the passwords in the seeds, and of that which is sent upstream. No tag may hold a parenthesis, so no reply
/// may hold it.
pub(crate) const CANARY: &str = "c4n(ary";

/// From where conversations with clients start, in the words of the transcripts; each is told of the same offer.
pub(crate) const CLIENT_SETUPS: [&str; 4] = [
    "",
    "channel: plain",
    "language: zh\nportal: https://mail.example.org/security",
    "channel: plain\nlanguage: zh",
];

/// From where conversations with upstreams start.
pub(crate) const UPSTREAM_SETUPS: [&str; 8] = [
    "",
    "login: tim c4n(ary\"pass\\word",
    "login: tim as boss c4n(ary",
    "login: jos\u{e9} \u{5bc6}c4n(ary",
    "starttls: yes",
    "starttls: yes\nlogin: tim c4n(ary",
    "starttls: yes\nlogin: tim as boss c4n(ary",
    "login: \u{e9} c4n(ary\u{7801}",
];

/// In an input's `kind`: the upstream is to hear where the client comes from. The rest of it chooses how the client
/// introduced itself.
pub(crate) const TELLS_ORIGIN: u8 = 0x80;

/// How attempts may be answered.
pub(crate) const ANSWERS: [&str; 11] = [
    "refuse not-let-in",
    "admit",
    "refuse bind-first",
    "refuse out-of-scope",
    "refuse expired",
    "refuse stale",
    "refuse suspended",
    "refuse too-many-failures",
    "refuse unavailable",
    "refuse in-use",
    "refuse login-delay",
];

/// What a connection before login may hold: it is what ten thousand of them must not exhaust.
const CLIENT_HELD_MAX: usize = 64 * 1024;

/// An upstream may say more before the client is handed over, and there are as many of them as logins under way.
const UPSTREAM_HELD_MAX: usize = 256 * 1024;

/// The largest read of the driver.
const READ: usize = 4096;

/// The side that faces clients.
pub(crate) fn server<P: Written>(bytes: &[u8]) {
    let Some(input) = Input::read(bytes) else { return };
    let (side, factory) = client_side::<P>();
    let setup = CLIENT_SETUPS[usize::from(input.setup) % CLIENT_SETUPS.len()];
    let offer = P::offers()[usize::from(input.setup) / CLIENT_SETUPS.len() % P::offers().len()];
    let header = Script::parse("setup".to_owned(), &format!("{setup}\n{offer}"), side).header;
    let lines = lines(&input);
    let mut attempts = 0;
    same_for_all_cuts(&input, factory, &header, |cut, seen, player| match seen {
        Seen::Sent(sent) => {
            assert!(sent.ends_with(b"\r\n"), "a reply that does not end: {}", sent.escape_ascii());
            assert!(whole_lines(sent), "a bare line end in {}", sent.escape_ascii());
            // In base64 it is a valid tag, which IMAP repeats.
            let repeated = match P::PROTOCOL {
                Protocol::Imap => holds(sent, CANARY),
                Protocol::Pop3 | Protocol::Smtp => shows_canary(sent),
            };
            assert!(!repeated, "a password was repeated: {}", sent.escape_ascii());
        }
        Seen::Event { .. } if matches!(cut, Cut::Whole) => {
            attempts += 1;
            assert!(attempts <= lines, "{attempts} attempts from {lines} lines");
            leads_to_one_command(player.log_in(input.kind).unwrap());
        }
        _ => {}
    });
    weigh(&input, factory(&header), CLIENT_HELD_MAX);
}

/// The side that faces upstreams.
pub(crate) fn client<P: Written>(bytes: &[u8]) {
    let Some(input) = Input::read(bytes) else { return };
    let (side, factory) = upstream_side::<P>();
    let setup = UPSTREAM_SETUPS[usize::from(input.setup) % UPSTREAM_SETUPS.len()];
    let introduction = usize::from(input.kind & !TELLS_ORIGIN) % P::introductions().len();
    let introduction = P::introductions()[introduction];
    let tells = input.kind & TELLS_ORIGIN != 0;
    let origin = if tells { "client: 192.0.2.7:51234 to [2001:db8::1]:993" } else { "" };
    let header =
        Script::parse("setup".to_owned(), &format!("{setup}\n{introduction}\n{origin}"), side).header;
    // An upstream that says a password knows it.
    let knows = shows_canary(&input.all());
    let lines = lines(&input);
    let mut commands = 0;
    same_for_all_cuts(&input, factory, &header, |cut, seen, player| match seen {
        Seen::Sent(sent) => {
            assert!(one_line(sent), "not one line: {}", sent.escape_ascii());
            assert!(
                player.credential_sent() || !shows_canary(sent),
                "a password that does not count as sent"
            );
            commands += usize::from(matches!(cut, Cut::Whole));
            // A handshake is no line, and a goodbye answers none.
            assert!(commands <= lines + 2, "{commands} commands for {lines} lines");
        }
        Seen::Event { text, facts, .. } => {
            let told = format!("{text} {facts:?}");
            assert!(knows || !shows_canary(told.as_bytes()), "a password in {told}");
        }
        _ => {}
    });
    weigh(&input, factory(&header), UPSTREAM_HELD_MAX);
}

/// The number of lines in an input.
fn lines(input: &Input) -> usize {
    input.flights.iter().flatten().filter(|b| **b == b'\n').count()
}

fn same_for_all_cuts(
    input: &Input,
    factory: Factory,
    header: &Header,
    mut watch: impl FnMut(Cut, &Seen, &mut dyn Player),
) {
    let steps_max = 64 + 4 * input.all().len();
    let mut first = None;
    for cut in input.cuts() {
        let flights: Vec<_> = input.flights.iter().map(|flight| cut.pieces(flight)).collect();
        let mut steps = 0;
        let trace = trace(factory(header), &flights, &answers(input.answers), |seen, player| {
            steps += 1;
            assert!(steps <= steps_max, "more than {steps_max} steps");
            watch(cut, seen, player);
        });
        match &first {
            None => first = Some(trace),
            Some(first) => assert_eq!(&trace, first, "under {cut:?}"),
        }
    }
}

/// All of them, from one on.
fn answers(first: u8) -> Vec<&'static str> {
    let (first, stride) = (usize::from(first), 1 + usize::from(first) / ANSWERS.len() % 10);
    (0..ANSWERS.len()).map(|nth| ANSWERS[(first + nth * stride) % ANSWERS.len()]).collect()
}

/// Each step upstream is one line, and what the upstream reads is what was typed.
fn leads_to_one_command(LoggedIn { user, password, sent, end }: LoggedIn) {
    let shown = || sent.iter().map(|line| line.escape_ascii().to_string()).collect::<Vec<_>>();
    assert!(sent.iter().all(|line| one_line(line)), "not one line each: {:?}", shown());
    assert!(end.is_some(), "no end of {:?}", shown());
    let quoted = |bytes: &[u8]| {
        let escape = |byte: &u8| if b"\"\\".contains(byte) { vec![b'\\', *byte] } else { vec![*byte] };
        [b"\"".to_vec(), bytes.iter().flat_map(escape).collect(), b"\"".to_vec()].concat()
    };
    let base64 = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes).into_bytes();
    let both = base64(&[b"\0", user.as_bytes(), b"\0", &password].concat());
    let told = |text: &[u8], command: &[u8]| {
        let ways = [[command, text].concat(), text.to_vec(), base64(text), quoted(text), both.clone()];
        sent.iter().any(|line| {
            let line = line.strip_suffix(b"\r\n").unwrap();
            ways.iter().any(|way| line == way || line.windows(way.len()).any(|part| part == way))
        })
    };
    assert!(told(user.as_bytes(), b"USER "), "{user:?} became {:?}", shown());
    assert!(told(&password, b"PASS "), "{} became {:?}", password.escape_ascii(), shown());
}

/// Whether `bytes` are one line, with nothing in it that could be taken for the end of another.
fn one_line(bytes: &[u8]) -> bool {
    bytes.strip_suffix(b"\r\n").is_some_and(|line| !line.iter().any(|b| b"\r\n\0".contains(b)))
}

/// Whether every CR stands before an LF and every LF behind a CR.
fn whole_lines(bytes: &[u8]) -> bool {
    bytes.split_inclusive(|b| *b == b'\n').all(one_line)
}

/// Whether `bytes` hold the canary, as it is or in base64.
fn shows_canary(bytes: &[u8]) -> bool {
    // Of each three ways to stand in base64, what does not depend on what stands around it.
    let ways = [0, 1, 2].map(|shift| {
        let text = STANDARD_NO_PAD.encode([&[0; 3][..shift], CANARY.as_bytes()].concat());
        let certain = (shift + CANARY.len()) * 8 / 6;
        text.get((shift * 8).div_ceil(6)..certain).unwrap().to_owned()
    });
    holds(bytes, CANARY) || ways.iter().any(|way| holds(bytes, way))
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

/// What the dialogue holds while it waits is bounded, whatever it was sent.
fn weigh(input: &Input, player: Box<dyn Player>, most: usize) {
    let flights: Vec<_> = input.flights.iter().map(|flight| flight.chunks(READ).collect()).collect();
    let before = HEAP.load(Relaxed);
    drive(player, &flights, &answers(input.answers), |_, _| {
        let held = HEAP.load(Relaxed).saturating_sub(before);
        assert!(held <= most, "{held} bytes held");
    });
}
