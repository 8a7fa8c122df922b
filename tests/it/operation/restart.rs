//! One gate follows another while clients keep coming. Whoever holds the listening sockets (here the test, elsewhere
//! systemd) keeps those waiting who connect in between.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::{enter, goes_on};
use crate::support::{Fake, GATE_NAME, Gate, GateConfig, Mail, Port, UpstreamTls, Wire, eventually, plain};

const ANNA: &str = "anna@example.test";

/// How one visit ended.
#[derive(Debug, PartialEq, Eq)]
enum Visit {
    In,
    /// Connected, and asked to come back, or closed before it had said who it is.
    ComeBack,
    Failed(String),
}

/// How somebody comes, and to which port.
type Way = (fn(u16, &Path) -> Visit, u16);

/// Connects, logs in, asks something, leaves.
fn visit(port: u16, ca: &Path) -> Visit {
    // Refused connections are met here.
    if let Err(error) = TcpStream::connect(("127.0.0.1", port)) {
        return Visit::Failed(format!("connecting: {error}"));
    }
    let wire = Wire::open("127.0.0.1", port);
    let Ok(mut wire) = wire.try_secure(ca, GATE_NAME) else { return Visit::ComeBack };
    match wire.next_line() {
        Some(line) if line.starts_with("* OK") => {}
        Some(line) if line.starts_with("* BYE") => return Visit::ComeBack,
        None => return Visit::ComeBack,
        Some(line) => return Visit::Failed(line),
    }
    if wire.try_send(format!("a AUTHENTICATE PLAIN {}\r\n", plain(ANNA, "password"))).is_err() {
        return Visit::ComeBack;
    }
    let reply = wire.tagged("a");
    match reply.lines().last() {
        Some(line) if line.starts_with("a OK") => {}
        Some(line) if line.starts_with("* BYE") => return Visit::ComeBack,
        None => return Visit::ComeBack,
        Some(_) => return Visit::Failed(reply),
    }
    let _ = wire.try_send("b LOGOUT\r\n");
    wire.rest();
    Visit::In
}

/// Looks at the portal's first page.
fn look(port: u16, ca: &Path) -> Visit {
    if let Err(error) = TcpStream::connect(("127.0.0.1", port)) {
        return Visit::Failed(format!("connecting: {error}"));
    }
    let Ok(mut wire) = Wire::open("127.0.0.1", port).try_secure(ca, GATE_NAME) else {
        return Visit::ComeBack;
    };
    let request = format!("GET /sign-in HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    if wire.try_send(request).is_err() {
        return Visit::ComeBack;
    }
    match wire.next_line() {
        Some(line) if line.starts_with("HTTP/1.1 200") => Visit::In,
        None => Visit::ComeBack,
        Some(line) => Visit::Failed(line),
    }
}

#[test]
fn clients_keep_logging_in_through_restarts_and_nobody_is_refused() {
    let upstream = Fake::start(Mail::Imap);
    let config = GateConfig::in_front_of_fakes(&[&upstream], UpstreamTls::None).portal_at("127.0.0.1");
    let mut gate = Gate::prepare(config);
    let (_, browsers) = gate.portal().rsplit_once(':').expect("a port");
    let browsers = browsers.parse().expect("a port");
    let ports = [gate.port("imap", true), gate.port("imap", false), browsers];
    let sockets = ports.map(|port| TcpListener::bind(("127.0.0.1", port)).expect("a socket"));
    gate.start_with_sockets(&sockets);
    let mut session = enter(&gate, Mail::Imap, ANNA, "password");

    let over = Arc::new(AtomicBool::new(false));
    let mail: Way = (visit, ports[0]);
    let visitors: Vec<_> = [mail, mail, mail, (look, browsers)]
        .into_iter()
        .map(|(come, port)| {
            let (over, ca) = (Arc::clone(&over), gate.ca_file());
            thread::spawn(move || {
                let mut visits = Vec::new();
                while !over.load(Ordering::SeqCst) {
                    visits.push(come(port, &ca));
                    thread::sleep(Duration::from_millis(20));
                }
                visits
            })
        })
        .collect();
    for _ in 0..2 {
        thread::sleep(Duration::from_millis(700));
        gate.signal("TERM");
        assert_eq!(gate.ended(), Some(0));
        gate.start_with_sockets(&sockets);
        enter(&gate, Mail::Imap, ANNA, "password");
    }
    thread::sleep(Duration::from_millis(500));
    over.store(true, Ordering::SeqCst);
    let visits: Vec<_> = visitors.into_iter().flat_map(|one| one.join().expect("a visitor")).collect();
    let failed: Vec<_> = visits.iter().filter(|visit| matches!(visit, Visit::Failed(_))).collect();
    assert!(failed.is_empty(), "{failed:?}");
    let came_back = visits.iter().filter(|visit| **visit == Visit::ComeBack).count();
    assert!(visits.len() >= 12 && came_back <= 8, "{came_back} of {} had to come back", visits.len());
    let (heard, in_order) = session.wire.end();
    assert!(heard.starts_with("* BYE ") && in_order, "{heard}");
}

#[test]
fn sockets_that_no_listener_wants_and_listeners_without_a_socket() {
    let upstream = Fake::start(Mail::Imap);
    let mut gate = Gate::prepare(GateConfig::in_front_of_fakes(&[&upstream], UpstreamTls::None));
    let other = Port::choose();
    let sockets = [TcpListener::bind(("127.0.0.1", other.number)).expect("a socket")];
    gate.start_with_sockets(&sockets);
    assert_eq!(gate.ended(), Some(1));
    let log = gate.log();
    assert!(
        log.contains(&format!("a socket came with the process for `127.0.0.1:{}`", other.number)),
        "{log}"
    );
    assert!(log.contains("hint: the lines `ListenStream=`"), "{log}");

    // One came, the other is bound.
    let sockets = [TcpListener::bind(("127.0.0.1", gate.port("imap", true))).expect("a socket")];
    gate.start_with_sockets(&sockets);
    let mut session = enter(&gate, Mail::Imap, ANNA, "password");
    eventually("it binds the other", || TcpStream::connect(("127.0.0.1", gate.port("imap", false))).is_ok());
    gate.edit("failure_delay = \"100ms\"", "failure_delay = \"200ms\"");
    assert!(!gate.reload().contains("nothing was reloaded"), "its doors stay open");
    enter(&gate, Mail::Imap, ANNA, "password");
    goes_on(&mut session, Mail::Imap);
}
