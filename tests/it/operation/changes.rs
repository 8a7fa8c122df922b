//! Settings that change while the gate serves: for each an edit, by an editor and a signal or of a file alone, and what is
//! seen of it from outside. `src/config/tests/reload.rs` knows which there are.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use toml::toml;

use super::enter;
use crate::support::table::{PORTAL, UNAVAILABLE};
use crate::support::{
    Answer, Fake, Gate, GateConfig, Guest, LegacyOptions, LegacyServer, Mail, Manner, Script, UpstreamTls,
    Visitor, Wire, b64, eventually, log_in, plain,
};
use Change::{File, Lines, LinesAlone};

const ANNA: &str = "anna@example.test";
const PASSWORD: &str = "password";
const MASTER: &str = "proxy";

/// A relay that takes every message.
const RELAY: Script = |line, before| {
    let last = |wanted: &str| before.iter().rposition(|line| line == wanted);
    let answer = match line {
        "." => "250 2.0.0 taken\r\n",
        _ if last("DATA") > last(".") => "",
        "" => "220 relay.test ESMTP\r\n",
        "DATA" => "354 go on\r\n",
        "QUIT" => "221 2.0.0 bye\r\n",
        _ => "250 2.0.0 done\r\n",
    };
    Some(answer.into())
};

/// Lets everybody in, and never answers NOOP.
const SLOW: Script = |line, _| {
    let answer = match line.split_once(' ').unwrap_or((line, "")) {
        ("", _) => "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready\r\n",
        (_, "NOOP") => "",
        _ => "TAG OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] done\r\n",
    };
    Some(answer.into())
};

/// One setting.
struct Row {
    key: &'static str,
    /// What a gate needs to have it, in front of these.
    with: fn(GateConfig, &Servers) -> GateConfig,
    change: Change,
    look: fn(&Scene) -> String,
    /// What is not seen any more, or matters no more.
    before: String,
    /// What is seen from the change on, and was not before.
    after: String,
}

/// What an administrator does.
enum Change {
    /// Puts the second in the place of the first in the configuration, and sends a signal.
    Lines(&'static str, &'static str),
    /// The same, and leaves it to the gate to notice.
    LinesAlone(&'static str, &'static str),
    /// Writes a file anew that the configuration names, and leaves the rest to the gate.
    File(&'static str, &'static str),
}

/// What stands behind the gate.
struct Servers {
    imap: Fake,
    relay: Fake,
}

struct Scene {
    servers: Servers,
    gate: Gate,
}

fn row(
    key: &'static str,
    with: fn(GateConfig, &Servers) -> GateConfig,
    change: Change,
    look: fn(&Scene) -> String,
    (before, after): (impl Into<String>, impl Into<String>),
) -> Row {
    Row { key, with, change, look, before: before.into(), after: after.into() }
}

fn rows() -> Vec<Row> {
    let as_master = |secret: &str| b64(format!("{ANNA}\0{MASTER}\0{secret}"));
    vec![
        row(
            "server.refusal_text",
            |config, _| config.set(&["server", "refusal_text"], "en"),
            Lines("refusal_text = \"en\"", "refusal_text = \"zh\""),
            refused,
            ("Wrong user name or password", "用户名或密码错误"),
        ),
        row(
            "server.refusal_text, in the portal",
            |config, _| config.set(&["server", "refusal_text"], "en").portal_at("127.0.0.1"),
            Lines("refusal_text = \"en\"", "refusal_text = \"zh\""),
            page,
            ("<html lang=\"en\"", "<html lang=\"zh-Hans\""),
        ),
        row(
            "listener.proxy_protocol_from",
            |config, _| config.behind(&["127.0.0.78"]),
            Lines("\"127.0.0.78\"", "\"127.0.0.77\""),
            passed_on,
            ("", "c OK"),
        ),
        row(
            "upstream.default_domain",
            |config, _| config,
            Lines("default_domain = \"example.test\"\n", ""),
            |scene| log_in(&scene.gate, Mail::Imap, "anna", PASSWORD),
            ("TAG OK", "[AUTHENTICATIONFAILED]"),
        ),
        row(
            "upstream.domain_aliases",
            |config, _| config.set(&["upstream", "0", "domain_aliases"], vec!["old.test"]),
            LinesAlone("\"old.test\"", "\"new.test\""),
            |scene| log_in(&scene.gate, Mail::Imap, "anna@new.test", PASSWORD),
            ("[AUTHENTICATIONFAILED]", "TAG OK"),
        ),
        row(
            "upstream.sub_address_delimiter",
            |config, _| config.set(&["upstream", "0", "sub_address_delimiter"], "+"),
            Lines("delimiter = \"+\"", "delimiter = \"-\""),
            |scene| log_in(&scene.gate, Mail::Imap, "anna+lists@example.test", PASSWORD),
            ("[AUTHENTICATIONFAILED]", "TAG OK"),
        ),
        row(
            "upstream.accounts",
            |config, _| config.set(&["upstream", "0", "accounts"], "first-login"),
            Lines("\"first-login\"", "\"listed\""),
            somebody_new,
            ("TAG OK", "[AUTHENTICATIONFAILED]"),
        ),
        row(
            "upstream.login",
            |config, _| config,
            Lines("login = \"address\"", "login = \"local-part\""),
            heard,
            (plain(ANNA, PASSWORD), plain("anna", PASSWORD)),
        ),
        row(
            "upstream.forward_client",
            |config, _| config.set(&["upstream", "0", "forward_client"], "none"),
            Lines("forward_client = \"none\"", "forward_client = \"id\""),
            heard,
            ("AUTHENTICATE", "\"x-originating-ip\" \"127.0.0.1\""),
        ),
        row(
            "upstream.login_deadline",
            |config, _| config.set(&["upstream", "0", "login_deadline"], "4s"),
            LinesAlone("login_deadline = \"4s\"", "login_deadline = \"200ms\""),
            unanswered,
            ("ended late", "ended early"),
        ),
        row(
            "upstream.max_connections",
            |config, _| config.set(&["upstream", "0", "max_connections"], 1),
            Lines("max_connections = 1", "max_connections = 2"),
            two_at_once,
            ("[true, false]", "[true, true]"),
        ),
        row(
            "upstream.master.password_file",
            |config, _| config.master(MASTER, "the old secret", "authzid"),
            File("master.secret", "the new secret"),
            heard_of_an_app_password,
            (as_master("the old secret"), as_master("the new secret")),
        ),
        row(
            "policy.help_en",
            |config, _| config.set(&["policy", "help_en"], "Ask Ann.").portal_at("127.0.0.1"),
            LinesAlone("Ask Ann.", "Ask Bert."),
            page,
            ("Ask Ann.", "Ask Bert."),
        ),
        row(
            "limits.tls_deadline",
            |config, _| config.set(&["limits", "tls_deadline"], "4s"),
            Lines("tls_deadline = \"4s\"", "tls_deadline = \"200ms\""),
            silent,
            ("ended late", "ended early"),
        ),
        row(
            "portal.public_url",
            |config, _| config.with_portal(),
            Lines("https://portal.example.test", "https://elsewhere.example.test"),
            refused,
            (PORTAL, "https://elsewhere.example.test Wrong"),
        ),
        row(
            "portal.proxy_protocol_from",
            |config, _| {
                config.portal_at("127.0.0.1").set(&["portal", "proxy_protocol_from"], vec!["127.0.0.78"])
            },
            Lines("\"127.0.0.78\"", "\"127.0.0.77\""),
            page_passed_on,
            ("", "<html"),
        ),
        row(
            "mail.from",
            |config, servers| {
                let mail = toml! {
                    relay = (format!("127.0.0.1:{}", servers.relay.port()))
                    tls = "none"
                    from = "before@example.test"
                };
                config.set(&["mail"], mail)
            },
            Lines("before@example.test", "after@example.test"),
            mailed,
            ("MAIL FROM:<before@example.test>", "MAIL FROM:<after@example.test>"),
        ),
        row(
            "audit.when_full",
            |config, _| config.set(&["audit", "when_full"], "refuse"),
            Lines("when_full = \"refuse\"", "when_full = \"continue\""),
            without_a_trail,
            ("[UNAVAILABLE]", "TAG OK"),
        ),
    ]
}

#[test]
fn whatever_can_change_without_a_restart_does() {
    let mut failed = Vec::new();
    for rows in rows().chunks(4) {
        thread::scope(|scope| {
            let running = rows.iter().map(|row| (row.key, scope.spawn(move || row.check())));
            let running = running.collect::<Vec<_>>();
            failed.extend(running.into_iter().filter_map(|(key, row)| row.join().err().map(|_| key)));
        });
    }
    assert!(failed.is_empty(), "see above what became of {failed:?}");
}

impl Row {
    fn check(&self) {
        let Self { key, with, change, look, before, after } = self;
        let servers = Servers { imap: Fake::start(Mail::Imap), relay: Fake::start(Mail::Smtp) };
        let mut offering_id = Manner::friendly(Mail::Imap);
        offering_id.offer.push("ID");
        servers.imap.behave(offering_id);
        servers.relay.behave(Manner::scripted(Mail::Smtp, RELAY));
        let config = GateConfig::in_front_of_fakes(&[&servers.imap], UpstreamTls::None).uncounted();
        let gate = Gate::start(with(config, &servers));
        let scene = Scene { servers, gate };
        let seen = look(&scene);
        assert!(seen.contains(before) && !seen.contains(after), "{key}, before: {seen}");
        let log = scene.change(change);
        assert!(!log.contains("nothing was reloaded") && !log.contains("restart"), "{key}: {log}");
        // What was there before may take a moment to be gone.
        let begun = Instant::now();
        let mut seen = look(&scene);
        while !seen.contains(after) && begun.elapsed() < Duration::from_secs(5) {
            seen = look(&scene);
        }
        assert!(seen.contains(after), "{key}, after: {seen}");
    }
}

impl Scene {
    /// What the gate logs of it.
    fn change(&self, change: &Change) -> String {
        let before = self.gate.log().len();
        match change {
            Lines(from, to) => {
                self.gate.edit(from, to);
                return self.gate.reload();
            }
            LinesAlone(from, to) => self.gate.edit(from, to),
            File(name, content) => {
                fs::write(self.gate.directory().join(name), content).expect("a file");
            }
        }
        self.gate.reloads_from(before)
    }

    fn visitor(&self) -> Visitor {
        Visitor::before(self.gate.portal())
    }
}

fn refused(scene: &Scene) -> String {
    let login = Answer::Says("TAG NO [AUTHENTICATIONFAILED] no");
    scene.servers.imap.behave(Manner { login, ..Manner::friendly(Mail::Imap) });
    log_in(&scene.gate, Mail::Imap, ANNA, "wrong")
}

/// What the upstream hears.
fn heard(scene: &Scene) -> String {
    log_in(&scene.gate, Mail::Imap, ANNA, PASSWORD);
    scene.servers.imap.heard()
}

fn heard_of_an_app_password(scene: &Scene) -> String {
    let made = scene.gate.cli(&["app-password", "create", ANNA, "--name", "Test", "--json"]).json();
    log_in(&scene.gate, Mail::Imap, ANNA, made["password"].as_str().expect("a password"));
    scene.servers.imap.heard()
}

fn somebody_new(scene: &Scene) -> String {
    let name = format!("user{}@example.test", scene.servers.imap.conversations());
    log_in(&scene.gate, Mail::Imap, &name, PASSWORD)
}

/// Which of two are let in that stay.
fn two_at_once(scene: &Scene) -> String {
    let mut guests = [(); 2].map(|()| Guest::at(&scene.gate, Mail::Imap));
    let replies = guests.each_mut().map(|guest| guest.log_in(ANNA, PASSWORD));
    format!("{:?}", replies.map(|reply| Mail::Imap.is_yes(&reply)))
}

/// Somebody comes by a balancer.
fn passed_on(scene: &Scene) -> String {
    let mut wire = Wire::open_from([127, 0, 0, 77].into(), "127.0.0.1", scene.gate.port("imap", false));
    wire.send("PROXY TCP4 192.0.2.66 127.0.0.1 666 143\r\nc CAPABILITY\r\n");
    wire.tagged("c")
}

/// How soon the gate loses patience with who shakes no hands.
fn silent(scene: &Scene) -> String {
    let mut wire = Wire::open("127.0.0.1", scene.gate.port("imap", true));
    timed(|| drop(wire.rest()))
}

/// The same with a server that does not answer a login.
fn unanswered(scene: &Scene) -> String {
    scene.servers.imap.behave(Manner { login: Answer::Silence, ..Manner::friendly(Mail::Imap) });
    let mut guest = Guest::at(&scene.gate, Mail::Imap);
    timed(|| drop(guest.log_in(ANNA, PASSWORD)))
}

fn timed(what: impl FnOnce()) -> String {
    let begun = Instant::now();
    what();
    if begun.elapsed() < Duration::from_secs(2) { "ended early" } else { "ended late" }.to_owned()
}

/// The portal's first page, for who prefers no language.
fn page(scene: &Scene) -> String {
    scene.visitor().ask("/sign-in", &[]).stdout
}

/// The same by a balancer.
fn page_passed_on(scene: &Scene) -> String {
    scene.visitor().ask("/sign-in", &["--haproxy-protocol", "--interface", "127.0.0.77"]).stdout
}

/// What the relay hears, once something has happened that users are told of.
fn mailed(scene: &Scene) -> String {
    let messages = || scene.servers.relay.heard().matches("MAIL FROM:").count();
    let before = messages();
    scene.gate.app_password(ANNA, PASSWORD, &[]);
    eventually("a message goes out", || messages() > before);
    scene.servers.relay.heard()
}

/// What somebody hears whose login cannot be recorded: where the trail was is no folder any more.
fn without_a_trail(scene: &Scene) -> String {
    let trail = scene.gate.directory().join("data/audit");
    if trail.is_dir() {
        fs::rename(&trail, trail.with_extension("away")).expect("no trail");
        fs::write(&trail, "").expect("a file in its place");
    }
    // The first finds out.
    log_in(&scene.gate, Mail::Imap, ANNA, PASSWORD);
    log_in(&scene.gate, Mail::Imap, ANNA, PASSWORD)
}

#[test]
fn a_stop_takes_no_longer_than_was_said_last() {
    let upstream = Fake::start(Mail::Imap);
    upstream.behave(Manner::scripted(Mail::Imap, SLOW));
    let config = GateConfig::in_front_of_fakes(&[&upstream], UpstreamTls::None);
    let mut gate = Gate::start(config.set(&["server", "drain"], "1m"));
    gate.edit("drain = \"1m\"", "drain = \"1s\"");
    gate.reload();
    let mut waiting = enter(&gate, Mail::Imap, ANNA, PASSWORD);
    waiting.wire.send("n NOOP\r\n");
    eventually("the server has it", || upstream.heard().contains("n NOOP"));
    assert_eq!(gate.stop(), Some(0), "in time");
}

#[test]
fn a_server_is_known_by_the_roots_and_pins_that_were_given_last() {
    let mut legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let roots = legacy.directory().join("trusted.pem");
    let trust = |legacy: &LegacyServer| fs::copy(legacy.ca_file(), &roots).expect("its authority");
    trust(&legacy);
    let set = |config: GateConfig, name| {
        config.set(&["upstream", "0", name, "ca_file"], roots.display().to_string())
    };
    let config = GateConfig::in_front_of(&legacy).uncounted();
    let gate = Gate::start(["imap", "pop3", "smtp"].into_iter().fold(config, set));
    let (user, password) = (legacy.user(0).0.to_owned(), legacy.user(0).1.to_owned());
    let try_it = || log_in(&gate, Mail::Imap, &user, &password);
    let is_in = || Mail::Imap.is_yes(&try_it());
    assert!(is_in());

    // `ca_file` says the same, and has other roots.
    legacy.renew_certificate();
    UNAVAILABLE.check(Mail::Imap, &try_it());
    let before = gate.log().len();
    trust(&legacy);
    let log = gate.reloads_from(before);
    assert!(!log.contains("nothing was reloaded"), "{log}");
    assert!(is_in(), "at once: {}", gate.log());

    legacy.renew_certificate();
    UNAVAILABLE.check(Mail::Imap, &try_it());
    let refused = ["audit", "search", "--event", "upstream_certificate_refused", "--json"];
    let mut records = Vec::new();
    eventually("the second is on record", || {
        records = gate.cli(&refused).json().as_array().expect("records").clone();
        records.len() == 2
    });
    records.sort_by_key(|record| record["at"].to_string());
    let found = records.last().and_then(|record| record["found"].as_str()).expect("what to pin").to_owned();
    let ca_file = format!("ca_file = \"{}\"", roots.display());
    gate.edit(&ca_file, &format!("pin_sha256 = \"{found}\""));
    gate.reload();
    assert!(is_in(), "at once: {}", gate.log());
    gate.edit(&found, "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=");
    gate.reload();
    UNAVAILABLE.check(Mail::Imap, &try_it());
}
