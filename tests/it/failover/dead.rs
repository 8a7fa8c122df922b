//! Servers that stop, drop packets, or take a password and hang up.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use toml::{Table, Value};

use super::{Pair, entered, said};
use crate::support::table::UNAVAILABLE;
use crate::support::{
    Answer, Fake, Gate, GateConfig, LegacyOptions, LegacyServer, Mail, Manner, PROTOCOLS, UpstreamTls,
    eventually, log_in, on_each_protocol,
};

#[test]
fn a_stopped_server_costs_nobody_a_login_and_comes_back_by_itself() {
    let mut pair = Pair::start();
    let gate = Gate::start(pair.config());
    let (user, password) = pair.first.user(0);
    let (user, password) = (user.to_owned(), password.to_owned());
    let (bound, mailbox) = pair.first.user(1);
    let bound = bound.to_owned();
    let made = gate.app_password(&bound, mailbox, &[]);
    gate.bind_totp(&bound);
    let all_get_in = || {
        on_each_protocol(|mail| {
            for (user, password) in [(&user, &password), (&bound, &made.password)] {
                let reply = log_in(&gate, mail, user, password);
                assert!(mail.is_yes(&reply), "{user} over {mail:?}: {reply}");
            }
        });
    };
    all_get_in();
    assert_eq!(entered(&pair.second), 0, "the second is for when the first is not there");

    pair.first.stop();
    for _ in 0..3 {
        all_get_in();
    }
    assert!(entered(&pair.second) > 0);
    eventually("the first is left alone", || said(&gate, "a server of the upstream is down") == 3);

    pair.second.stop();
    eventually("nobody is asked", || said(&gate, "upstream is down") == 3);
    let began = Instant::now();
    on_each_protocol(|mail| {
        for (user, password) in [
            (user.as_str(), password.as_str()),
            (&user, "wrong"),
            (&bound, &made.password),
            (&bound, "wrong"),
            ("nobody@example.test", "wrong"),
        ] {
            UNAVAILABLE.check(mail, &log_in(&gate, mail, user, password));
        }
    });
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}: nobody waits for what is known",
        began.elapsed()
    );

    pair.first.start_again();
    let back = Instant::now();
    eventually("the first is asked again", || said(&gate, "upstream is up again") == 3);
    assert!(back.elapsed() < Duration::from_secs(10), "{:?}", back.elapsed());
    let before = entered(&pair.first);
    all_get_in();
    assert!(entered(&pair.first) > before);
}

/// A listener that never accepts: once its queue is full the kernel drops what comes, as a firewall would.
struct Hole {
    _socket: Socket,
    _queue: Vec<TcpStream>,
    port: u16,
}

impl Hole {
    fn dig() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a port");
        socket.listen(0).expect("a queue");
        let address = socket.local_addr().ok().and_then(|address| address.as_socket()).expect("its address");
        let connect = |_| TcpStream::connect_timeout(&address, Duration::from_millis(300)).ok();
        Self { _queue: (0..4).filter_map(connect).collect(), _socket: socket, port: address.port() }
    }
}

fn endpoint(addresses: &[String]) -> Table {
    let mut endpoint = Table::new();
    let addresses = addresses.iter().map(|address| Value::from(address.as_str())).collect();
    endpoint.insert("address".into(), Value::Array(addresses));
    endpoint.insert("tls".into(), "none".into());
    endpoint
}

#[test]
fn a_server_that_drops_packets_holds_up_the_first_who_come_and_then_nobody() {
    let (hole, legacy) = (Hole::dig(), LegacyServer::start(LegacyOptions::default().fast_auth()));
    let config =
        GateConfig::in_front_of(&legacy).uncounted().set(&["upstream", "0", "connect_deadline"], "10s");
    let gate = Gate::start(PROTOCOLS.iter().fold(config, |config, mail| {
        let real = format!("{}:{}", legacy.host(), legacy.port(mail.name()));
        let endpoint = endpoint(&[format!("127.0.0.1:{}", hole.port), real]);
        config.set(&["upstream", "0", mail.name()], endpoint)
    }));
    let (user, password) = legacy.user(0);
    // Half of the ten seconds are the hole's, as long as nobody knows it.
    on_each_protocol(|mail| assert!(mail.is_yes(&log_in(&gate, mail, user, password))));
    on_each_protocol(|mail| {
        for _ in 0..5 {
            let began = Instant::now();
            assert!(mail.is_yes(&log_in(&gate, mail, user, password)));
            assert!(began.elapsed() < Duration::from_secs(4), "{mail:?}: {:?}", began.elapsed());
        }
    });
}

#[test]
fn where_all_drop_packets_clients_hear_so_within_the_deadline_and_then_at_once() {
    let hole = Hole::dig();
    let config = GateConfig::in_front_of_ports(&[(Mail::Imap, hole.port)], UpstreamTls::None).uncounted();
    let gate = Gate::start(config.set(&["upstream", "0", "connect_deadline"], "2s"));
    let took = || {
        let began = Instant::now();
        UNAVAILABLE.check(Mail::Imap, &log_in(&gate, Mail::Imap, "a@example.test", "password"));
        began.elapsed()
    };
    assert!(took() < Duration::from_secs(6));
    eventually("it is left alone", || said(&gate, "upstream is down") == 1);
    let at_once = took();
    assert!(at_once < Duration::from_millis(1500), "{at_once:?}");
}

#[test]
fn a_server_that_takes_the_password_and_hangs_up_hears_it_once_and_no_other_does() {
    for mail in PROTOCOLS {
        let (taker, other) = (Fake::start(mail), Fake::start(mail));
        let config = GateConfig::in_front_of_fakes(&[&taker], UpstreamTls::None).uncounted();
        let addresses = [&taker, &other].map(|fake| format!("127.0.0.1:{}", fake.port()));
        let gate = Gate::start(config.set(&["upstream", "0", mail.name()], endpoint(&addresses)));
        taker.behave(Manner { login: Answer::Ends(""), ..Manner::friendly(mail) });
        let logins = |fake: &Fake| {
            let heard = fake.heard();
            let verbs = if mail == Mail::Pop3 { ["PASS ", "AUTH "] } else { ["LOGIN ", "PLAIN "] };
            verbs.iter().map(|verb| heard.matches(verb).count()).sum::<usize>()
        };
        for number in 1..=3 {
            UNAVAILABLE.check(mail, &log_in(&gate, mail, "a@example.test", &format!("password {number}")));
            assert_eq!((logins(&taker), logins(&other)), (number, 0), "{}", taker.heard());
        }
    }
}
