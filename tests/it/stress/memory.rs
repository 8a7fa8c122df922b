//! What a stranger can make the gate hold: the most that each kind of input is known to cost, a thousand times.

use std::thread;
use std::time::Duration;

use crate::support::{
    Answer, Fake, GATE_NAME, Gate, GateConfig, Mail, Manner, PROTOCOLS, UpstreamTls, Wire, plain, trusting,
};

const CONNECTIONS: u32 = 1000;

/// What each of them may make the process grow by.
const GROWTH_MAX_KIB: f64 = 64.0;

/// The longest command line, without its end: one byte more and it is refused.
const LINE: usize = 8 * 1024;
/// The same for what answers an SMTP challenge (RFC 4954 section 4).
const AUTH_LINE: usize = 12_288;

/// Where a connection begins.
#[derive(Clone, Copy)]
enum Door {
    /// The STARTTLS door, in clear.
    Clear(Mail),
    /// The implicit-TLS door, inside TLS.
    Tls(Mail),
    /// The implicit-TLS door, before the handshake.
    Handshake,
}

#[test]
fn a_thousand_of_the_worst_connections_take_64_kib_each_at_most() {
    let fakes = PROTOCOLS.map(Fake::start);
    let config = || {
        let fakes = [&fakes[0], &fakes[1], &fakes[2]];
        GateConfig::in_front_of_fakes(&fakes, UpstreamTls::None)
            .uncounted()
            .set(&["limits", "preauth_per_network"], i64::from(CONNECTIONS) * 2)
    };
    // Those who log in wait for an upstream that says nothing.
    for fake in &fakes {
        fake.behave(Manner { login: Answer::Silence, ..Manner::friendly(fake.mail()) });
    }
    let inputs: [(&str, Door, Vec<u8>); 12] = [
        ("nothing", Door::Tls(Mail::Imap), Vec::new()),
        ("an unfinished line", Door::Tls(Mail::Imap), filled(b"a NOOP ", LINE - 1)),
        ("an unfinished line in clear", Door::Clear(Mail::Imap), filled(b"a NOOP ", LINE - 1)),
        ("unfinished literals", Door::Tls(Mail::Imap), literals()),
        ("a long ID", Door::Tls(Mail::Imap), long_id()),
        ("a long SASL answer", Door::Tls(Mail::Imap), filled(b"a AUTHENTICATE PLAIN\r\n", LINE)),
        ("an unfinished POP3 line", Door::Tls(Mail::Pop3), filled(b"USER ", LINE - 1)),
        ("a long AUTH line", Door::Tls(Mail::Smtp), filled(b"EHLO x\r\nAUTH PLAIN\r\n", AUTH_LINE - 1)),
        ("commands behind a pending login", Door::Tls(Mail::Imap), behind_a_login()),
        ("questions whose answers nobody reads", Door::Tls(Mail::Imap), b"a CAPABILITY\r\n".repeat(4000)),
        ("a ClientHello without end", Door::Handshake, endless_hello()),
        ("an unfinished record", Door::Handshake, filled(&[22, 3, 1, 0x3f, 0xff, 1, 0, 0x3f, 0xf0], 16_000)),
    ];
    let mut grown = Vec::new();
    for (what, door, input) in &inputs {
        // A process of its own for each: what an allocator keeps from one would hide the next.
        let gate = Gate::start(config());
        let before = gate.memory_kib();
        let held = crowd(&gate, *door, input);
        let each = (at_rest(&gate) - before) / f64::from(CONNECTIONS);
        drop(held);
        println!("{each:>6.1} KiB each: {what}");
        grown.push((what, each));
    }
    let too_large = grown.iter().filter(|(_, each)| *each > GROWTH_MAX_KIB).collect::<Vec<_>>();
    assert!(too_large.is_empty(), "KiB each: {too_large:?}");
}

/// What the gate holds once it has read all that it will read.
fn at_rest(gate: &Gate) -> f64 {
    let mut before = gate.memory_kib();
    loop {
        thread::sleep(Duration::from_millis(300));
        let now = gate.memory_kib();
        if now <= before * 1.001 {
            return now;
        }
        before = now;
    }
}

/// Opens the connections, each having sent `input`.
fn crowd(gate: &Gate, door: Door, input: &[u8]) -> Vec<Wire> {
    let tls = trusting(&gate.ca_file());
    let open = || {
        let mut wire = match door {
            Door::Clear(mail) => Wire::open("127.0.0.1", gate.port(mail.name(), false)),
            Door::Tls(mail) => Wire::open("127.0.0.1", gate.port(mail.name(), true))
                .secure_as(&tls, GATE_NAME)
                .expect("a handshake"),
            Door::Handshake => Wire::open("127.0.0.1", gate.port("imap", true)),
        };
        // A gate that closes on it holds nothing: that is an answer too.
        wire.try_send_what_fits(input);
        wire
    };
    thread::scope(|scope| {
        let openers =
            [(); 8].map(|()| scope.spawn(|| (0..CONNECTIONS / 8).map(|_| open()).collect::<Vec<_>>()));
        openers.into_iter().flat_map(|opener| opener.join().expect("an opener")).collect()
    })
}

fn filled(start: &[u8], length: usize) -> Vec<u8> {
    let line = start.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let mut bytes = start.to_vec();
    bytes.resize(line + length, b'a');
    bytes
}

/// User name and password as literals, as long as they may be together, and not quite all of them.
fn literals() -> Vec<u8> {
    let mut bytes = b"a LOGIN {4000+}\r\n".to_vec();
    bytes.extend([b'u'; 4000]);
    bytes.extend(b" {4000+}\r\n");
    bytes.extend([b'p'; 3999]);
    bytes
}

/// RFC 2971 section 3.3: thirty fields.
fn long_id() -> Vec<u8> {
    let fields = (0..30).map(|number| format!("\"{number:030}\" \"{}\"", "v".repeat(180)));
    format!("a ID ({})\r\n", fields.collect::<Vec<_>>().join(" ")).into_bytes()
}

fn behind_a_login() -> Vec<u8> {
    let mut bytes =
        format!("a AUTHENTICATE PLAIN {}\r\n", plain("user@example.test", "password")).into_bytes();
    bytes.extend(b"b NOOP\r\n".repeat(8000));
    bytes
}

/// A handshake message in four records, without its last byte; rustls closes on one that is much longer.
fn endless_hello() -> Vec<u8> {
    let mut message = vec![1, 0, 0xf0, 0, 3, 3];
    message.resize(4 + 0xf000 - 1, 0);
    let mut bytes = Vec::new();
    for part in message.chunks(16_384) {
        bytes.extend([22, 3, 1]);
        bytes.extend(u16::try_from(part.len()).expect("a record").to_be_bytes());
        bytes.extend(part);
    }
    bytes
}
