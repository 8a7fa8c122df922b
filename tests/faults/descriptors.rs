//! The process may open no more files.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::table::UNAVAILABLE;
use crate::support::{GateConfig, Guest, Mail, PROTOCOLS, eventually, log_in, run};
use crate::world::{ADA, Cluster, MAILBOX_PASSWORD, People, apart};

fn limit_descriptors(people: &People, limit: u64) {
    let pid = people.gate.pid().to_string();
    let outcome = run("prlimit", &["--pid", &pid, &format!("--nofile={limit}:")], "");
    outcome.success();
}

fn open_descriptors(people: &People) -> u64 {
    let files = fs::read_dir(format!("/proc/{}/fd", people.gate.pid())).expect("its descriptors");
    u64::try_from(files.count()).expect("few")
}

/// The number that whatever it opens next gets, and that the limit is about.
fn lowest_free_descriptor(people: &People) -> u64 {
    let files = fs::read_dir(format!("/proc/{}/fd", people.gate.pid())).expect("its descriptors");
    let numbers =
        files.filter_map(|file| file.ok()?.file_name().to_str()?.parse().ok()).collect::<Vec<u64>>();
    (0..).find(|number| !numbers.contains(number)).expect("one is free")
}

/// What the gate has computed since it began.
fn computed(people: &People) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/stat", people.gate.pid())).expect("its figures");
    let figures = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect::<Vec<_>>();
    let ticks = |index: usize| figures[index].parse::<u64>().expect("a number");
    // Hundredths of a second, after the name and the state: user is the 12th, system the 13th.
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

#[test]
fn without_descriptors_the_gate_rests_tells_nobody_that_he_is_wrong_and_recovers() {
    let (mut people, ()) = People::arrive(|config| config, |_| ());
    let mut under_way = PROTOCOLS.map(|mail| (mail, Guest::at(&people.gate, mail)));
    limit_descriptors(&people, open_descriptors(&people));
    // The kernel takes them; the gate cannot.
    let waiting = [(); 20].map(|()| {
        TcpStream::connect((Ipv4Addr::LOCALHOST, people.gate.port("imap", true)))
            .expect("a place in the queue")
    });
    eventually("it is said", || people.gate.log().contains("cannot accept connections"));

    let before = computed(&people);
    std::thread::sleep(Duration::from_secs(3));
    let spent = computed(&people).saturating_sub(before);
    assert!(spent < Duration::from_millis(600), "{spent:?} of three seconds for nothing");
    assert_eq!(people.gate.log().matches("cannot accept connections").count(), 1, "it is said once");

    // Nobody can be asked upstream now; and whoever is in is not concerned.
    for (mail, guest) in &mut under_way {
        UNAVAILABLE.check(*mail, &guest.log_in(ADA, &people.known.password));
        UNAVAILABLE.check(*mail, &guest.log_in("newcomer@example.test", MAILBOX_PASSWORD));
    }
    people.sessions_go_on();
    assert_eq!(people.records(&["--event", "login", "--outcome", "unavailable"]), 6, "the trail has its own");

    limit_descriptors(&people, 4096);
    drop(waiting);
    let begun = Instant::now();
    people.are_let_in_again();
    assert!(begun.elapsed() < Duration::from_secs(5), "it takes {:?} to recover", begun.elapsed());
    people.newcomers_are_let_in("newcomer");
    people.sessions_go_on();
    people.gate.cli(&["audit", "verify"]).success();
}

#[test]
fn without_descriptors_the_portal_and_who_watches_wait_and_are_served_again() {
    let (mut people, watch, ()) = People::arrive_watched(|config| config.portal_at("127.0.0.1"), |_| ());
    let (browser, form) = people.sign_in();
    // What is open for a moment is not open each time.
    let limit = (0..10).map(|_| {
        std::thread::sleep(Duration::from_millis(100));
        lowest_free_descriptor(&people)
    });
    limit_descriptors(&people, limit.min().expect("a number"));
    let portal = people.gate.portal().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let connect = |port: u16| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a place in the queue");
    let at_the_portal = [(); 20].map(|()| connect(portal));
    let mut watching = [(); 20].map(|()| watch.connect());
    for stream in &mut watching {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: gate\r\n\r\n").expect("the kernel takes it");
    }
    eventually("it is said", || people.gate.log().contains("cannot accept connections"));

    let before = computed(&people);
    std::thread::sleep(Duration::from_secs(3));
    let spent = computed(&people).saturating_sub(before);
    assert!(spent < Duration::from_millis(600), "{spent:?} of three seconds for nothing");
    let last = &mut watching[19];
    last.set_read_timeout(Some(Duration::from_millis(10))).expect("a deadline");
    assert!(last.read(&mut [0]).is_err(), "nobody accepted the last");
    people.sessions_go_on();

    limit_descriptors(&people, 4096);
    let begun = Instant::now();
    for stream in &mut watching {
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a deadline");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("ok\n"), "{answer}");
    }
    drop(at_the_portal);
    assert_eq!(browser.status("/app-passwords"), 200);
    assert!(begun.elapsed() < Duration::from_secs(10), "it takes {:?} to recover", begun.elapsed());
    people.are_let_in(&browser.gets_one(&form));
    people.are_let_in_again();
    people.sessions_go_on();
    people.gate.cli(&["audit", "verify"]).success();
}

/// Many who connect and say nothing, in a process of their own.
struct Flood {
    child: Child,
}

impl Flood {
    /// They wait until they are told where to go.
    fn gather() -> Self {
        // From a few networks: where all is full, the oldest stranger of the fullest network makes room.
        let script = "import socket\n\
                      port = int(input())\n\
                      all = [socket.create_connection(('127.0.0.1', port), 5, ('127.0.2.%d' % (n % 8 + 1), 0)) \
                      for n in range(600)]\n\
                      print(len(all), flush=True)\n\
                      input()";
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        Self { child: command.spawn().expect("a flood") }
    }

    /// They are all connected when this returns.
    fn come(&mut self, port: u16) {
        let input = self.child.stdin.as_mut().expect("a pipe");
        input.write_all(format!("{port}\n").as_bytes()).expect("they hear");
        let mut line = String::new();
        let said = BufReader::new(self.child.stdout.as_mut().expect("a pipe")).read_line(&mut line);
        assert!(said.is_ok() && line == "600\n", "only {line} came");
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A system that gives few descriptors: connections are bounded by them, and the rest is for database and trail.
#[test]
fn a_flood_of_connections_leaves_database_and_trail_their_own() {
    apart(|| keeps_their_own(|config| config, || ()));
}

/// The same where the database takes a descriptor for each connection, and has to be connected to anew in the middle of it.
#[test]
fn a_flood_of_connections_leaves_room_for_new_connections_to_postgresql() {
    apart(|| {
        let cluster = Cluster::start();
        let end_all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                       WHERE datname = current_database() AND pid <> pg_backend_pid()";
        keeps_their_own(
            |config| config.database(cluster.url()),
            || assert!(cluster.sql(&[end_all]).contains('t'), "there were some"),
        );
    });
}

/// While many strangers are connected, everybody is judged, and again after each `blow`.
fn keeps_their_own(change: impl FnOnce(GateConfig) -> GateConfig, blow: impl Fn()) {
    // Before anybody else is limited.
    let mut flood = Flood::gather();
    let (mut people, ()) = People::arrive(
        |config| change(config.set(&["limits", "preauth_per_network"], 10_000)),
        |_| {
            // The gate inherits it; and this world ends with the test.
            let ourselves = std::process::id().to_string();
            run("prlimit", &["--pid", &ourselves, "--nofile=400:400"], "").success();
        },
    );
    assert!(people.gate.log().contains("fewer descriptors than"), "{}", people.gate.log());
    flood.come(people.gate.port("imap", true));
    for round in 0..5 {
        blow();
        people.newcomers_are_let_in(&format!("newcomer{round}"));
        for mail in PROTOCOLS {
            let reply = log_in(&people.gate, mail, ADA, &people.known.password);
            assert!(mail.is_yes(&reply), "{mail:?}: {reply}");
        }
    }
    people.sessions_go_on();
    assert!(open_descriptors(&people) < 300, "{} of 400", open_descriptors(&people));
    assert!(!people.gate.log().contains("cannot accept connections"), "{}", people.gate.log());
    drop(flood);
    assert!(Mail::Imap.is_yes(&log_in(&people.gate, Mail::Imap, ADA, &people.known.password)));
    people.gate.cli(&["audit", "verify"]).success();
}
