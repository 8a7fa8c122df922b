//! What somebody who reads the wire before TLS ever sees: no secret, and no question for one.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::support::{
    Fake, GATE_NAME, Gate, GateConfig, Guest, LegacyOptions, LegacyServer, Mail, PROTOCOLS, UpstreamTls,
    Wire, b64, plain,
};

/// Stands between a client and a port, and keeps all that passes.
struct Tap {
    port: u16,
    kept: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    fn before(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let kept = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&kept);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(("127.0.0.1", target)).expect("the target");
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to) = (from.try_clone().expect("a socket"), to.try_clone().expect("a socket"));
                    let all = Arc::clone(&all);
                    thread::spawn(move || copy(from, to, &all));
                }
            }
        });
        Self { port, kept }
    }

    fn kept(&self) -> Vec<u8> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, all: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        all.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

fn holds(all: &[u8], part: &str) -> bool {
    all.windows(part.len()).any(|window| window == part.as_bytes())
}

#[test]
fn a_good_login_leaves_no_secret_on_either_plain_leg() {
    let legacy = LegacyServer::start(LegacyOptions::default());
    let (user, password) = legacy.user(0);
    let taps = PROTOCOLS.map(|mail| Tap::before(legacy.port(mail.name())));
    let config = PROTOCOLS.iter().zip(&taps).fold(GateConfig::in_front_of(&legacy), |config, (mail, tap)| {
        config.set(&["upstream", "0", mail.name(), "address"], vec![format!("127.0.0.1:{}", tap.port)])
    });
    let gate = Gate::start(config);
    for (mail, upstream) in PROTOCOLS.into_iter().zip(&taps) {
        let tap = Tap::before(gate.port(mail.name(), false));
        for command in [false, true] {
            let mut wire = Wire::open("127.0.0.1", tap.port);
            wire.line();
            let starttls = match mail.name() {
                "imap" => "a STARTTLS",
                "pop3" => "STLS",
                _ => "STARTTLS",
            };
            wire.ask(starttls);
            let mut guest = Guest::inside(wire.secure(&gate.ca_file(), GATE_NAME), mail);
            let reply = if command {
                guest.log_in_with_command(user, password)
            } else {
                guest.log_in(user, password)
            };
            assert!(mail.is_yes(&reply), "{reply}");
        }
        for (leg, kept) in [("client", tap.kept()), ("upstream", upstream.kept())] {
            assert!(holds(&kept, if mail.name() == "pop3" { "STLS" } else { "STARTTLS" }), "{mail:?} {leg}");
            for secret in [password.to_owned(), b64(password), plain(user, password), user.to_owned()] {
                assert!(!holds(&kept, &secret), "{mail:?}: the {leg}'s plain leg holds `{secret}`");
            }
        }
    }
}

/// A client that sends its secret at once has sent it; but nobody asks for one, and none goes further.
#[test]
fn nobody_asks_for_a_secret_in_the_clear() {
    let fakes = PROTOCOLS.map(Fake::start);
    let [imap, pop3, smtp] = &fakes;
    let gate = Gate::start(GateConfig::in_front_of_fakes(&[imap, pop3, smtp], UpstreamTls::None));
    let (user, password) = ("user0@example.test", "never to be sent in clear");
    let (n, message) = (password.len(), plain(user, password));
    let tries = [
        vec![
            format!("a LOGIN {user} {{{n}}}"),
            format!("a LOGIN {{{}}}", user.len()),
            format!("a LOGIN {user} \"{password}\""),
            "a AUTHENTICATE PLAIN".to_owned(),
            "a AUTHENTICATE LOGIN".to_owned(),
            message.clone(),
            format!("a AUTHENTICATE PLAIN {message}"),
        ],
        vec![
            format!("USER {user}"),
            format!("PASS {password}"),
            "AUTH PLAIN".to_owned(),
            "AUTH LOGIN".to_owned(),
            message.clone(),
            format!("AUTH PLAIN {message}"),
        ],
        vec![
            "EHLO client.test".to_owned(),
            "AUTH PLAIN".to_owned(),
            "AUTH LOGIN".to_owned(),
            format!("AUTH LOGIN {}", b64(user)),
            message.clone(),
            format!("AUTH PLAIN {message}"),
        ],
    ];
    for ((mail, lines), fake) in PROTOCOLS.into_iter().zip(tries).zip(&fakes) {
        let mut wire = Wire::open("127.0.0.1", gate.port(mail.name(), false));
        wire.line();
        for line in lines {
            let reply = if mail == Mail::Smtp { wire.command(&line) } else { wire.ask(&line) };
            let asks = reply.lines().any(|line| {
                line.starts_with("+ ") || line == "+" || line.starts_with("334") || line.starts_with("+OK")
            });
            assert!(!asks, "`{line}` was answered with `{reply}`");
            for secret in [password, message.as_str()] {
                assert!(!reply.contains(secret), "`{line}` was repeated: `{reply}`");
            }
        }
        let heard = fake.heard();
        assert!(!heard.contains(password) && !heard.contains(&message), "{heard}");
    }
}
