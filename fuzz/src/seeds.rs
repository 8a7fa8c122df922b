//! Where fuzzing starts: the conversations of the transcripts, and those that the relay guards have been through.

use std::path::Path;

use crate::dialogue::{ANSWERS, CANARY, CLIENT_SETUPS, TELLS_ORIGIN, UPSTREAM_SETUPS};
use crate::input::write;
use crate::script::{Act, Script, Side};

/// The seeds of a target, by name.
pub(crate) fn of(target: &str) -> Vec<(String, Vec<u8>)> {
    let numbered = |seeds: Vec<Vec<u8>>| {
        seeds.into_iter().enumerate().map(|(number, seed)| (format!("seed-{number}"), seed)).collect()
    };
    match target.split_once('_') {
        Some((protocol, "server")) => transcripts(protocol, Side::Server),
        Some((protocol, "client")) => transcripts(protocol, Side::Client),
        Some(("imap", "framing")) => transcripts("imap", Side::Server),
        Some(("imap", _)) => numbered(imap_guard()),
        Some(("pop3", _)) => numbered(pop3_guard()),
        Some(("smtp", _)) => numbered(smtp_guard()),
        Some(("proxy", _)) => numbered(proxy_headers()),
        _ => numbered(sasl()),
    }
}

fn transcripts(protocol: &str, side: Side) -> Vec<(String, Vec<u8>)> {
    let folder = if side == Side::Server { "server" } else { "client" };
    let directory =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts").join(protocol).join(folder);
    let mut files: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
        .iter()
        .map(|file| {
            (file.file_stem().unwrap().to_str().unwrap().to_owned(), seed(&Script::read(file, side), side))
        })
        .collect()
}

/// What the peer sends in a transcript, from the setup that is most like its own.
fn seed(script: &Script, side: Side) -> Vec<u8> {
    let header = |key| script.header.one(key);
    let setup = match side {
        Side::Server => CLIENT_SETUPS.iter().position(|setup| {
            setup.contains("plain") == (header("channel") == Some("plain"))
                && setup.contains("zh") == (header("language") == Some("zh"))
        }),
        Side::Client => UPSTREAM_SETUPS.iter().position(|setup| {
            setup.contains("starttls") == (header("starttls") == Some("yes"))
                && setup.contains("login") == header("login").is_some()
                && setup.contains(" as ") == header("login").is_some_and(|login| login.contains(" as "))
        }),
    };
    let answer = script.acts.iter().find_map(|(_, act)| match act {
        Act::Answer(answer) => ANSWERS.iter().position(|known| answer.starts_with(known)),
        _ => None,
    });
    // With an offer, or an introduction, if the transcript has one.
    let offered = usize::from(!script.header.all("offer").is_empty()) * CLIENT_SETUPS.len();
    let introduced = usize::from(!script.header.all("intro").is_empty());
    let told = header("client").map_or(0, |_| usize::from(TELLS_ORIGIN));
    let (setup, kind) = match side {
        Side::Server => (setup.unwrap_or_default() + offered, 0),
        Side::Client => (setup.unwrap_or_default(), introduced | told),
    };
    let mut flights: Vec<Vec<u8>> = Vec::new();
    for (_, act) in &script.acts {
        if let Act::Receive { run, .. } = act {
            flights.push(run.clone());
        }
    }
    write([setup as u8, answer.unwrap_or_default() as u8, kind as u8, 5], &flights)
}

fn imap_guard() -> Vec<Vec<u8>> {
    let conversations = [
        "a NOOP\r\nb UnAuthenticate\r\nc NOOP\r\n",
        "a APPEND x {20}\r\nb UNAUTHENTICATE\r\nc \r\nd UNAUTHENTICATE\r\n",
        "a APPEND x {20+}\r\nb UNAUTHENTICATE\r\nc \r\n {0+}\r\n\r\nd COMPRESS DEFLATE\r\n",
        "a IDLE\r\nDONE\r\nb APPEND x {18}\r\nc UNAUTHENTICATE\r\n\r\n",
        "a SEARCH \"x {30+}\r\n",
        "b COMPRESS DEFLATE {3+}\r\nabc\r\ne SEARCH \"q\\\" {3}\" x\r\n",
        "a NOOP\r\na APPEND x {18}\r\nb APPEND y {30+}\r\n\r\nc UNAUTHENTICATE\r\n123456789\r\n",
        " b AUTHENTICATE PLAIN\r\n",
        "+ NOOP\r\na APPEND x {24}\r\nb UNAUTHENTICATE\r\nc NOOP\r\n",
    ];
    let mut seeds = Vec::new();
    for (number, said) in conversations.iter().enumerate() {
        for setup in 0..4 {
            seeds.push(write(
                [setup, 0, 2 + setup % 2 + 4 * (number as u8 / 2 % 2), 5],
                &[said.as_bytes().to_vec()],
            ));
        }
    }
    let any = [
        "a APPEND x {18}\r\n",
        "* 1 EXISTS\r\n+ go\r\n",
        "b UNAUTHENTICATE\r\n\r\n",
        "a NO [OVERQUOTA] full\r\n",
    ];
    seeds.push(write([0, 0, 8, 5], &any.map(|said| said.as_bytes().to_vec())));
    let fetch = [
        "b UNAUTHENTICATE\r\n",
        "* 1 FETCH (BODY[] {29}\r\nb OK this is only content\r\n+ UID 7)\r\n* CAPABILITY UNAUTHENTICATE IDLE\r\n",
    ];
    seeds.push(write([1, 0, 8, 5], &fetch.map(|said| said.as_bytes().to_vec())));
    let reading = [
        "a SELECT INBOX (CONDSTORE)\r\nb STORE 1 +FLAGS x\r\nc UID STORE 1 FLAGS ()\r\nd FETCH 1 BODY[]\r\n",
        "a APPEND x {20}\r\nb EXPUNGE\r\nc SELECT {5}\r\nINBOX\r\nd UID FETCH 1 x\r\n",
        "a APPEND x ~{20+}\r\nb STORE 1 FLAGS ()\r\n \r\nc SEARCH TEXT {12+}\r\nd EXPUNGE\r\n\r\n",
        "a IDLE\r\nDONE\r\nb MOVE 1 x\r\nc SEARCH TEXT {5-}\r\n",
        "a NOOP {22+}\r\nb STORE 1 +FLAGS x\r\n\r\n\r\nc NOOP\r\n",
        "a UID  STORE 1 x\r\na  UID STORE 1 x\r\nUID STORE 1 x\r\na uid fetch 1 x\r\na CANCELUPDATE \"x\"\r\n",
    ];
    for said in reading {
        for setup in 0..4 {
            for kind in [3, 3 + 4] {
                seeds.push(write([setup, 0, 16 + kind, 5], &[said.as_bytes().to_vec()]));
            }
        }
    }
    let stores = "b STORE 1 x\r\n".repeat(300);
    let flood = ["a FETCH 1 x\r\n", "* 1 FETCH (BODY[] {9}\r\ntext", stores.as_str(), "text))\r\n"];
    seeds.push(write([0, 0, 16 + 8, 5], &flood.map(|said| said.as_bytes().to_vec())));
    seeds
}

fn pop3_guard() -> Vec<Vec<u8>> {
    let long = format!("NOOP {}DELE 1\r\n", "x".repeat(250));
    let conversations = [
        "STAT\r\nRETR 1\r\nDELE 1\r\nUIDL\r\nDELE 2\r\nQUIT\r\n",
        "LIST\r\nlist 1\nTOP 1 0\r\ndele 1\nCAPA\r\nLANG\r\nLANG en\r\n",
        "NOOP\rDELE 1\r\n DELE 1\r\n\tDELE 1\r\nNOOP\0DELE 1\r\nSTAT x\rDELE 1\r\nSTAT x\0DELE 1\r\nXTND XMIT\r\n\r\nLIST  \r\n",
        long.as_str(),
    ];
    let mut seeds = Vec::new();
    for said in conversations {
        for kind in [0, 1] {
            seeds.push(write([0, 0, kind, 5], &[said.as_bytes().to_vec()]));
        }
    }
    seeds.push(write([0, 0, 0, 5], &["NOOP\r\nDELE 1\r\n".repeat(1100).into_bytes()]));
    // More answers than the gate gives at once.
    let flood = "\n".repeat(16 * 1024);
    for kind in [0, 8] {
        seeds.push(write([0, 0, kind, 5], &[flood.clone().into_bytes(), b"+OK\r\n".to_vec()]));
    }
    seeds.push(write([0, 0, 0, 5], &[format!("NOOP\r\n{flood}").into_bytes()]));
    let any = ["RETR 1\r\nDELE 1\r\n", "-ERR discon", "NOOP\r\n", "nected\r\n+OK\r\n..\r\n.\r\n+OK"];
    seeds.push(write([0, 0, 8, 5], &any.map(|said| said.as_bytes().to_vec())));
    seeds
}

fn smtp_guard() -> Vec<Vec<u8>> {
    let conversations = [
        "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nXCLIENT in the message\r\n..\r\n.\r\nQUIT\r\n",
        "MAIL FROM:<a@b>\r\nAUTH LOGIN\r\nRCPT TO:<c@d>\r\nSTARTTLS\r\nXFORWARD ADDR=1\r\nNOOP\r\n",
        "EHLO other.example.org\r\nBDAT 3\r\nabcBDAT 007 last\r\n\r\n.\r\n\n\nXCLIENT\r\n",
        "HELO x\r\nBDAT 6\r\nQUIT\r\nRSET\r\nBDAT five\r\n",
        "DATA\r\ntext\n.\nMAIL FROM:<evil@b>\r\nXCLIENT LOGIN=evil\r\n\r\n.\r\n",
        "DATA\r\ntext\r\n\0.\r\nQUIT\r\n",
        "DATA\n.\r\r\n",
        "DATA\r\ntext\r\n.\rXCLIENT\r\n.\r\n",
        "NOOP\nRSET\r\n XCLIENT\r\nNOOP\rXCLIENT\r\nFOO bar\r\n",
        "BDAT 2147483648 LAST\r\nhello\r\n",
    ];
    let mut seeds = Vec::new();
    for said in conversations {
        for setup in [0, 1, 2, 1 + 4 + 8 + 16] {
            seeds.push(write([setup, 0, 0, 5], &[said.as_bytes().to_vec()]));
        }
    }
    seeds.push(write([0, 0, 0, 5], &["NOOP\r\n".repeat(1100).into_bytes()]));
    seeds.push(write([0, 0, 0, 5], &["\n".repeat(120).into_bytes()]));
    let any = [
        "DATA\r\ntext",
        "354 go\r\n",
        "more\r\n",
        "552 5.3.4 too big\r\n",
        "EHLO x\r\n",
        "250-x\r\n250-XCLIENT\r\n250 CHUNKING\r\n",
    ];
    seeds.push(write([32, 0, 0, 5], &any.map(|said| said.as_bytes().to_vec())));
    seeds.push(write(
        [33, 0, 0, 5],
        &["BDAT 30\r\nabc", "503 5.5.1", "\r\nXCLIENT\r\n", " what?\r\n"]
            .map(|said| said.as_bytes().to_vec()),
    ));
    seeds
}

fn proxy_headers() -> Vec<Vec<u8>> {
    let v2 = |rest: &[u8]| [b"\r\n\r\n\0\r\nQUIT\n", rest].concat();
    let addresses = b"\xc0\0\x02\x07\xc0\0\x02\x01\xc8\x22\x03\xe1";
    vec![
        b"PROXY TCP4 192.0.2.7 192.0.2.1 51234 993\r\n\x16\x03\x01".to_vec(),
        b"PROXY TCP6 2001:db8::7 ::ffff:192.0.2.1 51234 0\r\na NOOP\r\n".to_vec(),
        b"PROXY UNKNOWN ffff::ffff ffff::ffff 65535 65535\r\n".to_vec(),
        b"PROXY UNKNOWN\r\nPROXY UNKNOWN\r\n".to_vec(),
        v2(b"\x20\0\0\0\x16\x03\x01"),
        v2(&[b"\x21\x11\0\x0c", &addresses[..], b"a NOOP\r\n"].concat()),
        v2(&[b"\x21\x11\0\x10", &addresses[..], b"\x04\0\x01x"].concat()),
        v2(&[b"\x21\x21\0\x24", &[0x20; 32][..], b"\xc8\x22\x03\xe1"].concat()),
        v2(b"\x21\x31\0\x01x"),
        v2(b"\x21\x12\x02\x09"),
    ]
}

fn sasl() -> Vec<Vec<u8>> {
    use mailward::protocol::sasl::base64;
    let plain = |text: &str| base64(text.as_bytes()).to_vec();
    let both = [plain("tim"), plain(CANARY)].join(&b'\n');
    let texts = [
        (2, plain(&format!("\0tim\0{CANARY}"))),
        (2, plain("tim\0tim\0secret")),
        (2, plain("ursel\0kurt\0x")),
        (2, b"=".to_vec()),
        (0, plain("\0jos\u{e9}\0\u{5bc6}\u{7801}")),
        (0, b"AHQAcA".to_vec()),
        (0, b"*".to_vec()),
        (1, both.clone()),
        (3, both),
        (1, b"dGlt\n*".to_vec()),
        (1, b"!!!!".to_vec()),
    ];
    texts.into_iter().map(|(setup, text)| write([setup, 0, 0, 0], &[text])).collect()
}
