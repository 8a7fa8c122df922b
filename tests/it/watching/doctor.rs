//! `mailward doctor`, in front of real servers.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::thread;

use serde_json::Value;
use toml::toml;

use super::dns::Zone;
use crate::support::{
    Fake, GATE_NAME, Gate, GateConfig, LegacyOptions, LegacyServer, Mail, Manner, Outcome, UpstreamTls, run,
};

/// What it found, and how it ended.
struct Examined {
    status: i32,
    findings: Vec<Value>,
}

fn here() -> SocketAddr {
    Zone::default().address(GATE_NAME, Ipv4Addr::LOCALHOST).serve()
}

fn doctor(gate: &Gate, name_server: SocketAddr, more: &[&str]) -> Outcome {
    gate.cli(&[&["doctor", "--name-server", &name_server.to_string()], more].concat())
}

impl Examined {
    fn of(gate: &Gate, name_server: SocketAddr) -> Self {
        let outcome = doctor(gate, name_server, &["--json"]);
        let report: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
        let findings = report["findings"].as_array().expect("findings").clone();
        let wrong = findings.iter().filter(|finding| finding["mark"] == "wrong").count();
        assert_eq!(report["wrong"], wrong);
        assert_eq!(outcome.status, i32::from(wrong > 0), "{}", outcome.stderr);
        Self { status: outcome.status, findings }
    }

    /// Whether anything that was found has `text` in it.
    fn mentions(&self, text: &str) -> bool {
        self.findings.iter().any(|finding| finding.to_string().contains(text))
    }

    /// The mark of the finding that is about that and says that.
    #[track_caller]
    fn says(&self, subject: &str, found: &str) -> &str {
        let says = |finding: &&Value| {
            finding["subject"].as_str().is_some_and(|text| text.contains(subject))
                && finding["found"].as_str().is_some_and(|text| text.contains(found))
        };
        let finding = self.findings.iter().find(says);
        let finding =
            finding.unwrap_or_else(|| panic!("nothing says `{found}` of `{subject}`: {:#?}", self.findings));
        let mark = finding["mark"].as_str().expect("a mark");
        assert!(mark == "good" || finding["hint"].is_string(), "how to mend it: {finding}");
        mark
    }
}

#[test]
fn a_sound_gate_has_nothing_wrong_and_is_told_of_the_other_doors() {
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth().trusting_the_gate());
    let gate = Gate::start(GateConfig::in_front_of(&legacy));
    let private = |path: &str| {
        let path = gate.directory().join(path);
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).expect("its mode");
    };
    private("data");
    let examined = Examined::of(&gate, here());
    assert_eq!(examined.status, 0, "{:#?}", examined.findings);

    let server = |protocol: &str| format!("legacy/{protocol} at {}:{}", legacy.host(), legacy.port(protocol));
    for (protocol, word) in [("imap", "IDLE"), ("pop3", "UIDL"), ("smtp", "SIZE")] {
        assert_eq!(examined.says(&server(protocol), "answers over STARTTLS in "), "good");
        assert_eq!(examined.says(&server(protocol), word), "good");
        assert_eq!(examined.says(&server(protocol), "its certificate is good for "), "good");
    }
    assert_eq!(examined.says(&server("smtp"), "trusts the gate's address"), "good");
    assert_eq!(examined.says(&server("pop3"), "trusts the gate's address"), "good");
    assert_eq!(examined.says(&server("imap"), "cannot be heard over IMAP"), "doubtful");

    let doors = format!("{} (IMAP, which the gate uses)", legacy.port("imap"));
    assert_eq!(examined.says(legacy.host(), &doors), "doubtful");
    assert_eq!(
        examined.says(legacy.host(), "The second factor is bypassed by whoever reaches these"),
        "doubtful"
    );

    assert_eq!(examined.says(GATE_NAME, "leads to this machine (127.0.0.1)"), "good");
    assert_eq!(examined.says(GATE_NAME, "stands in a certificate"), "good");
    let record =
        format!("_imaps._tcp.example.test. 3600 IN SRV 0 1 {} {GATE_NAME}.", gate.port("imap", true));
    assert_eq!(examined.says("example.test", &record), "good");
    assert_eq!(examined.says("imap on 127.0.0.1", "answers on this machine with its certificate"), "good");
    assert_eq!(examined.says("mailward.db", "answers, and has all tables"), "good");
    assert_eq!(examined.says("site.key", "only its owner may read"), "good");
    assert_eq!(examined.says("audit", "of room"), "good");

    let text = doctor(&gate, here(), &[]).success();
    for line in [
        "Configuration\n  ✓ ",
        "Other doors of the upstreams\n  ! ",
        "\n      hint: ",
        "nothing is wrong for sure",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn a_server_that_does_not_trust_the_gate_is_told_with_the_key_to_set() {
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let gate = Gate::prepare(GateConfig::in_front_of(&legacy).upstream_tls(&legacy, UpstreamTls::Implicit));
    let examined = Examined::of(&gate, here());
    assert_eq!(examined.says("legacy/smtp", "answers over TLS in "), "good");
    for protocol in ["pop3", "smtp"] {
        let subject = format!("legacy/{protocol}");
        assert_eq!(
            examined.says(&subject, "does not offer XCLIENT, so it does not trust the gate"),
            "doubtful"
        );
    }
    let text = doctor(&gate, here(), &[]).stdout;
    assert!(
        text.contains("login_trusted_networks") && text.contains("smtpd_authorized_xclient_hosts"),
        "{text}"
    );
    assert_eq!(examined.says("the gate", "nobody listens"), "doubtful");
    assert_eq!(examined.says("data/mailward.db", "is not there yet"), "good");
    assert!(!gate.directory().join("data/mailward.db").exists(), "looking makes nothing");
}

#[test]
fn codes_by_mail_are_told_to_be_no_factor_by_standards() {
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let config = GateConfig::in_front_of(&legacy)
        .set(&["policy", "factors"], vec!["totp", "mailbox"])
        .set(&["mail", "relay"], "127.0.0.1:25")
        .set(&["mail", "tls"], "none")
        .set(&["mail", "from"], "gate@example.test");
    let said = ("`mailbox` in `factors`", "which standards do not count as one (NIST SP 800-63B");
    let examined = Examined::of(&Gate::prepare(config), here());
    assert_eq!(examined.says(said.0, said.1), "doubtful");
    let without = Examined::of(&Gate::prepare(GateConfig::in_front_of(&legacy)), here());
    assert!(!without.mentions("NIST"), "{:#?}", without.findings);
}

#[test]
fn what_is_wrong_is_named_and_ends_with_1() {
    let mut legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let config = GateConfig::in_front_of(&legacy)
        .set(&["upstream", "0", "imap", "server_name"], "another.name.test")
        .set(&["upstream", "0", "hostnames"], vec!["imap.example.test"])
        .set(&["server", "hostname"], "gate.elsewhere.test");
    let mut gate = Gate::start(config);
    let set = |path: &str, mode| {
        fs::set_permissions(gate.directory().join(path), fs::Permissions::from_mode(mode)).expect("its mode");
    };
    set("data/site.key", 0o644);
    set("key.pem", 0o604);
    let examined = Examined::of(&gate, here());
    assert_eq!(examined.status, 1);
    assert_eq!(examined.says("legacy/imap", "its certificate is refused: it is for another name"), "wrong");
    assert_eq!(examined.says("site.key", "others may read the key file (mode 644)"), "wrong");
    assert_eq!(examined.says("key.pem", "everybody may read a private key (mode 604)"), "wrong");
    assert_eq!(examined.says("imap.example.test", "stands in no certificate"), "wrong");
    assert_eq!(examined.says("gate.elsewhere.test", "stands in no certificate"), "wrong");
    assert_eq!(examined.says("gate.elsewhere.test", "has no address in DNS"), "wrong");
    gate.stop();
    legacy.stop();
    let examined = Examined::of(&gate, here());
    for protocol in ["imap", "pop3", "smtp"] {
        assert_eq!(examined.says(&format!("legacy/{protocol}"), "it cannot be reached"), "wrong");
    }
}

#[test]
fn a_mistake_in_the_file_is_all_that_is_told() {
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let gate = Gate::prepare(GateConfig::in_front_of(&legacy).set(&["limits", "idle"], "5s"));
    let examined = Examined::of(&gate, here());
    assert_eq!((examined.status, examined.findings.len()), (1, 1));
    assert_eq!(examined.says("mailward.toml", "`5s` would cut off clients that wait for mail"), "wrong");
}

#[test]
fn records_that_lead_around_the_gate_are_told() {
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let gate = Gate::prepare(GateConfig::in_front_of(&legacy));
    let names = Zone::default()
        .address(GATE_NAME, Ipv4Addr::new(192, 0, 2, 7))
        .service("_imaps._tcp.example.test", gate.port("imap", true), GATE_NAME)
        .service("_submissions._tcp.example.test", 465, "old.example.test")
        .serve();
    let examined = Examined::of(&gate, names);
    assert_eq!(examined.says(GATE_NAME, "leads to 192.0.2.7, which this machine does not have"), "doubtful");
    assert_eq!(examined.says("example.test", "SRV records lead to the gate: _imaps._tcp"), "good");
    let astray =
        "_submissions._tcp leads to old.example.test:465: clients that look for it there go around the gate";
    assert_eq!(examined.says("example.test", astray), "doubtful");
    assert_eq!(examined.says("example.test", "_pop3s._tcp.example.test. 3600 IN SRV 0 1 "), "good");
    // Nobody answers: that is told, and nothing else is held up by it.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("a silent server");
    let examined = Examined::of(&gate, silent.local_addr().expect("its address"));
    assert_eq!(examined.says(GATE_NAME, "DNS does not say where it leads"), "doubtful");
    assert_eq!(examined.says("example.test", "DNS does not say whether there are SRV records"), "doubtful");
}

#[test]
fn the_records_by_which_outlook_and_thunderbird_find_the_portal_are_told() {
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let url = |url: &str| {
        let config = GateConfig::in_front_of(&legacy);
        Gate::prepare(config.set(&["portal", "public_url"], url))
    };
    let gate = url(&format!("https://{GATE_NAME}/portal"));
    let examined = Examined::of(&gate, here());
    let record = format!("_autodiscover._tcp.example.test. 3600 IN SRV 0 1 443 {GATE_NAME}.");
    assert_eq!(examined.says("example.test", &record), "good");
    let record = format!("autoconfig.example.test. 3600 IN CNAME {GATE_NAME}.");
    assert_eq!(examined.says("autoconfig.example.test", &record), "good");

    let zone = || Zone::default().address(GATE_NAME, Ipv4Addr::LOCALHOST);
    let elsewhere = zone().address("autoconfig.example.test", Ipv4Addr::new(192, 0, 2, 7)).service(
        "_autodiscover._tcp.example.test",
        443,
        "old.example.test",
    );
    let examined = Examined::of(&gate, elsewhere.serve());
    assert_eq!(
        examined.says("autoconfig.example.test", "leads to 192.0.2.7, and not to the portal"),
        "doubtful"
    );
    assert_eq!(examined.says("example.test", "_autodiscover._tcp leads to old.example.test:443"), "doubtful");
    let right = zone().address("autoconfig.example.test", Ipv4Addr::LOCALHOST).service(
        "_autodiscover._tcp.example.test",
        443,
        GATE_NAME,
    );
    let examined = Examined::of(&gate, right.serve());
    assert_eq!(examined.says("autoconfig.example.test", "stands in no certificate"), "doubtful");
    assert_eq!(examined.says("example.test", "SRV records lead to the gate: _autodiscover._tcp"), "good");

    // A portal at another port has no name for Thunderbird, and one without a name has no record.
    let examined = Examined::of(&url(&format!("https://{GATE_NAME}:8443")), here());
    let record = format!("_autodiscover._tcp.example.test. 3600 IN SRV 0 1 8443 {GATE_NAME}.");
    assert_eq!(examined.says("example.test", &record), "good");
    assert!(!examined.mentions("autoconfig."));
    let examined = Examined::of(&url("https://192.0.2.1"), here());
    assert!(!examined.mentions("autoconfig.") && !examined.mentions("_autodiscover."));
}

#[test]
fn the_portal_and_the_relay_for_mail_to_users_are_looked_at() {
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let config = || GateConfig::in_front_of(&legacy).mailing_through(&legacy);
    let gate = Gate::start(config().portal_at(GATE_NAME));
    let examined = Examined::of(&gate, here());
    let relay = format!("the relay at {}:{}", legacy.host(), legacy.port("smtp"));
    let usable = "answers over STARTTLS and takes logins; the password was not tried";
    assert_eq!(examined.says(&relay, usable), "good");
    assert_eq!(examined.says("the portal on 127.0.0.1", "answers on this machine with its certif"), "good");

    let gate =
        Gate::prepare(config().portal_at("portal.example.test").set(&["mail", "server_name"], "other.test"));
    let examined = Examined::of(&gate, here());
    assert_eq!(examined.status, 1);
    assert_eq!(examined.says(&relay, "certificate not valid for name"), "wrong");
    assert_eq!(examined.says("portal.example.test", "stands in no certificate: browsers warn"), "wrong");
    let nowhere = "has no address in DNS: no browser finds the portal by this name";
    assert_eq!(examined.says("portal.example.test", nowhere), "wrong");
    assert_eq!(examined.says("the gate", "; the portal on 127.0.0.1"), "doubtful");

    let fake = Fake::start(Mail::Smtp);
    fake.behave(Manner { offer: vec!["PIPELINING"], ..Manner::friendly(Mail::Smtp) });
    let plain = toml! {
        relay = (format!("127.0.0.1:{}", fake.port()))
        tls = "none"
        user = "gate"
        from = "gate@example.test"
    };
    let config = config().set(&["mail"], plain);
    let examined = Examined::of(&Gate::prepare(config), here());
    assert_eq!(examined.says("the relay at", "offers no way to log in"), "wrong");
}

#[test]
fn a_running_gate_with_an_older_certificate_than_its_file_is_told() {
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let gate = Gate::start(GateConfig::in_front_of(&legacy));
    let other = Gate::prepare(GateConfig::in_front_of(&legacy));
    for file in ["cert.pem", "key.pem"] {
        copy(&other.directory().join(file), &gate.directory().join(file));
    }
    let examined = Examined::of(&gate, here());
    assert_eq!(
        examined.says("imap on 127.0.0.1", "shows another certificate than its file holds"),
        "doubtful"
    );
}

fn copy(from: &Path, to: &Path) {
    fs::write(to, fs::read(from).expect("the file")).expect("the other file");
}

/// In a network of its own, where a web server may stand on port 80.
#[test]
fn a_webmail_with_active_sync_beside_the_gate_is_told_and_its_clock_is_compared() {
    const INSIDE: &str = "MAILWARD_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_none() {
        let again = std::env::current_exe().expect("this test");
        let name =
            "watching::doctor::a_webmail_with_active_sync_beside_the_gate_is_told_and_its_clock_is_compared";
        let script = format!("ip link set lo up && {INSIDE}=1 {} --exact {name}", again.display());
        run("unshare", &["--net", "--map-root-user", "sh", "-c", &script], "").success();
        return;
    }
    let web = TcpListener::bind("127.0.0.1:80").expect("port 80 of this network");
    thread::spawn(move || {
        for client in web.incoming() {
            let mut client = client.expect("a client");
            let mut asked = [0; 1024];
            let _ = client.read(&mut asked);
            let _ = client.write_all(
                b"HTTP/1.1 200 OK\r\nMS-ASProtocolVersions: 2.5,14.1\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n",
            );
        }
    });
    let legacy = TcpListener::bind("127.0.0.1:143").expect("port 143 of this network");
    let config = GateConfig::in_front_of_ports(&[(Mail::Imap, 143)], UpstreamTls::None);
    let gate = Gate::prepare(config);
    let examined = Examined::of(&gate, here());
    assert_eq!(examined.says("127.0.0.1", "80 (web, with ActiveSync)"), "doubtful");
    assert_eq!(examined.says("127.0.0.1", "143 (IMAP, which the gate uses)"), "doubtful");
    assert_eq!(examined.says("clock", "the web server of 127.0.0.1 says another time"), "doubtful");
    // Whoever listens there says nothing.
    assert_eq!(examined.says("legacy/imap", "it did not answer in time"), "wrong");
    drop(legacy);
}
