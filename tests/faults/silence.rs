//! Somebody connects and says nothing, at every door, with every deadline as it is by default.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::support::{GATE_NAME, Gate, Mail, PROTOCOLS, trusting};
use crate::world::People;

/// `tls_deadline` and `auth_deadline`.
const TLS: u64 = 10;
const LOGIN: u64 = 60;

/// Of the portal: for the handshake as at any door, then for the head of a request. Of who watches: for a request.
const REQUEST: u64 = 15;
const QUESTION: u64 = 5;

/// How far the silent one gets before he is silent.
#[derive(Clone, Copy, Debug)]
enum Word {
    None,
    /// The first bytes of a handshake.
    HalfAHandshake,
    Handshake,
    /// And the first bytes of a command or a request.
    HalfALine(&'static str),
}

/// What he hears after that, and when it is over.
fn is_silent(gate: &Gate, port: u16, word: Word) -> (String, Duration) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a door");
    stream.set_read_timeout(Some(Duration::from_secs(100))).expect("a deadline");
    let begun = Instant::now();
    let mut heard = Vec::new();
    match word {
        Word::None => drop(stream.read_to_end(&mut heard)),
        Word::HalfAHandshake => {
            stream.write_all(&[0x16, 3, 1, 2, 0, 1]).expect("he is heard");
            drop(stream.read_to_end(&mut heard));
        }
        Word::Handshake | Word::HalfALine(_) => {
            let name = ServerName::try_from(GATE_NAME).expect("a name");
            let client =
                ClientConnection::new(Arc::clone(&trusting(&gate.ca_file())), name).expect("a client");
            let mut tls = StreamOwned::new(client, stream);
            if let Word::HalfALine(half) = word {
                tls.write_all(half.as_bytes()).expect("he is heard");
            }
            drop(tls.read_to_end(&mut heard));
        }
    }
    (String::from_utf8_lossy(&heard).into_owned(), begun.elapsed())
}

#[test]
fn whoever_says_nothing_is_shown_out_in_time_at_every_door_and_is_in_nobodys_way() {
    let (mut people, watch, ()) = People::arrive_watched(|config| config.portal_at("127.0.0.1"), |_| ());
    let gate = &people.gate;
    let portal = gate.portal().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let mut silent = Vec::new();
    for mail in PROTOCOLS {
        let (tls, clear) = (gate.port(mail.name(), true), gate.port(mail.name(), false));
        let half = match mail {
            Mail::Imap => "a LOGIN ada",
            Mail::Pop3 => "USER ada",
            Mail::Smtp => "AUTH PLA",
        };
        silent.push((tls, Word::None, TLS));
        silent.push((tls, Word::HalfAHandshake, TLS));
        silent.push((tls, Word::Handshake, LOGIN));
        silent.push((tls, Word::HalfALine(half), LOGIN));
        silent.push((clear, Word::None, LOGIN));
    }
    silent.push((portal, Word::None, TLS));
    silent.push((portal, Word::HalfAHandshake, TLS));
    silent.push((portal, Word::Handshake, REQUEST));
    silent.push((portal, Word::HalfALine("GET / HT"), REQUEST));
    silent.push((watch.connect().peer_addr().expect("its address").port(), Word::None, QUESTION));
    thread::scope(|scope| {
        for (port, word, deadline) in silent {
            scope.spawn(move || {
                let (heard, lasted) = is_silent(gate, port, word);
                let (least, most) = (Duration::from_secs(deadline - 1), Duration::from_secs(deadline + 20));
                assert!(
                    (least..most).contains(&lasted),
                    "{word:?} at {port}: {lasted:?} instead of {deadline} s; heard `{heard}`"
                );
            });
        }
        scope.spawn(|| {
            for _ in 0..10 {
                people.are_let_in_again();
                thread::sleep(Duration::from_secs(5));
            }
        });
    });
    people.sessions_go_on();
    people.gate.cli(&["audit", "verify"]).success();
}
