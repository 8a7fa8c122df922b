//! What `mailward doctor` sees of limits, firewalls and name servers, and whether the page on the first day closes what it
//! says it closes.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;

use serde_json::Value;

use crate::support::gate::BINARY;
use crate::support::{Gate, GateConfig, Mail, UpstreamTls, eventually, in_repository, run};
use crate::world::{apart, black_hole, mend_the_network};

/// A gate before an old server whose IMAP port is here.
fn gate(change: impl FnOnce(GateConfig) -> GateConfig) -> Gate {
    Gate::prepare(change(GateConfig::in_front_of_ports(&[(Mail::Imap, 143)], UpstreamTls::None)))
}

/// All that it finds, by a command that begins with those words.
fn findings(gate: &Gate, words: &[&str]) -> Vec<Value> {
    let config = gate.config_file().display().to_string();
    let all = [words, &[BINARY, "--config", &config, "doctor", "--json"]].concat();
    let said = run(all[0], &all[1..], "").stdout;
    let report: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("no JSON: {said}"));
    report["findings"].as_array().expect("findings").clone()
}

/// The mark of the finding that is about that and says that.
#[track_caller]
fn mark<'f>(findings: &'f [Value], subject: &str, found: &str) -> &'f str {
    let says = |finding: &&Value| {
        finding["subject"].as_str().is_some_and(|text| text.contains(subject))
            && finding["found"].as_str().is_some_and(|text| text.contains(found))
    };
    let finding = findings.iter().find(says);
    let finding = finding.unwrap_or_else(|| panic!("nothing says `{found}` of `{subject}`: {findings:#?}"));
    let mark = finding["mark"].as_str().expect("a mark");
    assert!(mark == "good" || finding["hint"].is_string(), "how to mend it: {finding}");
    mark
}

#[test]
fn a_limit_of_open_files_that_is_too_low_is_told_with_what_the_unit_should_say() {
    let gate = gate(|config| config.set(&["limits", "connections"], 100));
    let needed = 256 + 2 * 100;
    let enough = findings(&gate, &["prlimit", &format!("--nofile={needed}:{needed}")]);
    assert_eq!(mark(&enough, "open files", "may be as many as 100 connections need (456)"), "good");
    let few = findings(&gate, &["prlimit", &format!("--nofile={0}:{0}", needed - 1)]);
    assert_eq!(mark(&few, "open files", "100 connections need 456, and this shell may have 455"), "doubtful");
    assert!(few.iter().any(|finding| finding["hint"].to_string().contains("`LimitNOFILE=456` or more")));
    // What counts is what it may raise by itself.
    let raised = findings(&gate, &["prlimit", &format!("--nofile=64:{needed}")]);
    assert_eq!(mark(&raised, "open files", "may be as many as"), "good");
}

#[test]
fn doors_are_told_as_a_firewall_leaves_them_and_a_name_server_that_is_lost_holds_nothing_up() {
    apart(|| {
        let doors = [143, 993, 110, 25].map(|port| TcpListener::bind(("127.0.0.1", port)).expect("its port"));
        let names = UdpSocket::bind("127.0.0.1:53").expect("a name server");
        let resolver = Path::new("/etc/resolv.conf");
        let here = tempfile::NamedTempFile::new().expect("a file");
        fs::write(here.path(), "nameserver 127.0.0.1\n").expect("the name server");
        let resolver = fs::canonicalize(resolver).expect("where name servers are");
        run("mount", &["--bind", &here.path().display().to_string(), &resolver.display().to_string()], "")
            .success();
        let gate = gate(|config| config.set(&["upstream", "0", "connect_deadline"], "1s"));
        let open = findings(&gate, &["env"]);
        assert_eq!(
            mark(
                &open,
                "127.0.0.1",
                "143 (IMAP, which the gate uses), 993 (IMAP in TLS), 110 (POP3), 25 (SMTP)."
            ),
            "doubtful"
        );
        assert_eq!(mark(&open, "legacy/imap", "it did not answer in time"), "wrong");
        // Somebody listens there who says nothing.
        assert_eq!(mark(&open, "mail.example.test", "DNS does not say where it leads"), "doubtful");
        // To this machine itself it looks as a firewall before another one does.
        for port in [143, 993, 110, 25, 53] {
            black_hole(port);
        }
        let none = findings(&gate, &["env"]);
        assert_eq!(mark(&none, "127.0.0.1", "no door of it is open from here"), "good");
        assert_eq!(mark(&none, "legacy/imap", ""), "wrong");
        let hint = |finding: &Value| {
            finding["hint"].to_string().contains("does every firewall between let the gate through?")
        };
        assert!(none.iter().any(hint), "{none:#?}");
        assert_eq!(mark(&none, "mail.example.test", "DNS does not say where it leads"), "doubtful");
        mend_the_network();
        assert!(TcpStream::connect(("127.0.0.1", 993)).is_ok(), "the firewall kept it closed");
        drop((doors, names));
    });
}

/// On the machine behind the wire.
const ELSEWHERE: [&str; 4] = ["ip", "netns", "exec", "elsewhere"];

/// Whether a client of that address gets through to a server's; it is started by those words, where they lead.
fn gets_through(place: &[&str], from: &str, to: SocketAddr) -> bool {
    let connect =
        "import socket, sys; socket.create_connection((sys.argv[2], int(sys.argv[3])), 1, (sys.argv[1], 0))";
    let (host, port) = (to.ip().to_string(), to.port().to_string());
    let words = [place, &["/usr/bin/python3", "-c", connect, from, &host, &port]].concat();
    run(words[0], &words[1..], "").status == 0
}

/// The block of `docs/admin/first-day.md`, loaded as it stands there, on an old server of that address: the gate and a stranger
/// come to it by a wire, and its own webmail over loopback.
#[test]
fn what_the_page_has_for_nftables_closes_the_old_doors_to_everybody_but_the_gate_and_the_server_itself() {
    const CLOSED: [u16; 6] = [110, 143, 465, 587, 993, 995];
    let page = fs::read_to_string(in_repository("docs/admin/first-day.md")).expect("the page");
    let begin = page.find("table inet mailward {").expect("the block");
    let block = page[begin..].split("```").next().expect("its end").to_owned();
    apart(|| {
        let (gate, stranger, stranger6) = ("10.0.0.10", "10.0.0.9", "fd00::9");
        let (server, server6) = ("10.0.0.1", "fd00::1");
        // Where `ip` keeps names of networks: of this world's own.
        run("mount", &["-t", "tmpfs", "none", "/run"], "").success();
        let ip = |words: &str| run("ip", &words.split(' ').collect::<Vec<_>>(), "").success();
        ip("netns add elsewhere");
        ip("link add wire type veth peer name wire netns elsewhere");
        for (at, own) in [
            ("", server),
            ("", server6),
            ("-n elsewhere ", gate),
            ("-n elsewhere ", stranger),
            ("-n elsewhere ", stranger6),
        ] {
            ip(&format!("{at}link set wire up"));
            let (length, nodad) = if own.contains(':') { (64, " nodad") } else { (24, "") };
            ip(&format!("{at}address add {own}/{length} dev wire{nodad}"));
        }
        let doors = CLOSED.into_iter().chain([25, 22]).flat_map(|port| {
            [server, server6].map(|at| TcpListener::bind((at, port)).expect("a port of the old server"))
        });
        let doors = doors.collect::<Vec<_>>();
        for door in &doors {
            let at = door.local_addr().expect("its address");
            let client = if at.is_ipv4() { stranger } else { stranger6 };
            eventually(&format!("{at} is open to everybody before"), || gets_through(&ELSEWHERE, client, at));
        }
        run("nft", &["-f", "-"], &block).success();
        for door in &doors {
            let at = door.local_addr().expect("its address");
            let stays_open = !CLOSED.contains(&at.port());
            let (client, itself) = if at.is_ipv4() { (stranger, server) } else { (stranger6, server6) };
            assert_eq!(gets_through(&ELSEWHERE, client, at), stays_open, "{at} for strangers");
            assert!(gets_through(&["env"], itself, at), "{at} for the server itself");
            if at.is_ipv4() {
                eventually(&format!("{at} is open to the gate"), || gets_through(&ELSEWHERE, gate, at));
            }
        }
    });
}
