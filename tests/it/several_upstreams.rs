//! Several legacy servers behind one gate: what clients are told before login, and where their names lead.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use toml::{Table, Value, toml};

use crate::support::table::{NOT_LET_IN, TOO_MANY, UNAVAILABLE};
use crate::support::{
    Fake, GATE_NAME, Gate, GateConfig, Guest, LegacyOptions, LegacyServer, Mail, Manner, PROTOCOLS,
    UpstreamTls, Wire, eventually, on_each_protocol, plain,
};

const ANNA: (&str, &str) = ("anna@university.test", "annas-mailbox-password");
const BERT: (&str, &str) = ("bert@company.test", "berts-mailbox-password");

/// The two's, both's, neither's; and what is no name.
const HOSTNAMES: [&str; 6] =
    [GATE_NAME, "mail.university.test", "mail.company.test", "both.test", "new.test", "127.0.0.1"];

/// A server with all that Debian's has, and one with less: each has its own users, domain and SIZE.
struct Two {
    university: LegacyServer,
    company: LegacyServer,
    certificate: Certificate,
}

/// The gate's, for every host name.
struct Certificate(TempDir);

impl Certificate {
    fn new() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let made = rcgen::generate_simple_self_signed(HOSTNAMES.map(str::to_owned)).expect("a certificate");
        for (name, text) in [("cert.pem", made.cert.pem()), ("key.pem", made.signing_key.serialize_pem())] {
            std::fs::write(directory.path().join(name), text).expect("a file");
        }
        Self(directory)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

impl Two {
    fn start() -> Self {
        let with = |user: (&str, &str), size: &str| {
            LegacyOptions::default().user(user.0, user.1).fast_auth().with("--message-size").with(size)
        };
        let less = with(BERT, "10000000")
            .with("--postfix")
            .with("smtpd_discard_ehlo_keywords = chunking, smtputf8")
            .with("--dovecot")
            .with("imap_capability = IMAP4rev1 LITERAL+ ENABLE");
        let (university, company) = std::thread::scope(|scope| {
            let university = scope.spawn(|| LegacyServer::start(with(ANNA, "20000000")));
            (university.join().expect("a server"), LegacyServer::start(less))
        });
        Self { university, company, certificate: Certificate::new() }
    }

    fn config(&self) -> GateConfig {
        let mut university = upstream("university", &self.university);
        let mut company = upstream("company", &self.company);
        university.insert("hostnames".into(), vec!["mail.university.test", "both.test"].into());
        company.insert("hostnames".into(), vec!["Mail.Company.test", "both.test"].into());
        let certificate = toml! {
            cert = (self.certificate.file("cert.pem").display().to_string())
            key = (self.certificate.file("key.pem").display().to_string())
        };
        GateConfig::in_front_of(&self.university)
            .set(&["upstream"], vec![university, company])
            .set(&["tls", "certificate"], vec![certificate])
    }

    fn gate(&self) -> Gate {
        Gate::start(self.config())
    }

    /// Inside TLS, asked for as `hostname`.
    fn visit(&self, port: u16, mail: Mail, implicit: bool, hostname: &'static str) -> Visit {
        Visit::new(&self.certificate.file("cert.pem"), port, mail, implicit, hostname)
    }

    fn at(&self, gate: &Gate, mail: Mail, hostname: &'static str) -> Visit {
        self.visit(gate.port(mail.name(), true), mail, true, hostname)
    }
}

fn upstream(name: &str, server: &LegacyServer) -> Table {
    let endpoint = |mail: Mail| {
        let mut endpoint = Table::new();
        let address = format!("{}:{}", server.host(), server.port(mail.name()));
        endpoint.insert("address".into(), Value::Array(vec![address.into()]));
        endpoint.insert("tls".into(), "starttls".into());
        endpoint.insert("server_name".into(), server.name().into());
        endpoint.insert("ca_file".into(), server.ca_file().display().to_string().into());
        (mail.name().to_owned(), Value::Table(endpoint))
    };
    let mut upstream = Table::from_iter(PROTOCOLS.map(endpoint));
    upstream.insert("name".into(), name.into());
    upstream.insert("domains".into(), vec![format!("{name}.test")].into());
    upstream.insert("default_domain".into(), format!("{name}.test").into());
    upstream.insert("refresh".into(), "1s".into());
    upstream
}

/// A client inside TLS, and what it was told on the way.
struct Visit {
    guest: Guest,
    mail: Mail,
    /// Before TLS, where that came later.
    in_clear: Vec<String>,
    /// Before login.
    told: Vec<String>,
}

impl Visit {
    fn new(ca: &Path, port: u16, mail: Mail, implicit: bool, hostname: &'static str) -> Self {
        let mut wire = Wire::open("127.0.0.1", port);
        let mut in_clear = Vec::new();
        if implicit {
            wire = wire.secure(ca, hostname);
            wire.line();
        } else {
            wire.line();
            in_clear = ask(&mut wire, mail);
            let go = match mail {
                Mail::Imap => wire.imap("s", "STARTTLS"),
                Mail::Pop3 => wire.ask("STLS"),
                Mail::Smtp => wire.command("STARTTLS"),
            };
            assert!(["s OK", "+OK", "220"].iter().any(|yes| go.starts_with(yes)), "{go}");
            wire = wire.secure(ca, hostname);
        }
        let told = ask(&mut wire, mail);
        Self { guest: Guest::past_greeting(wire, mail), mail, in_clear, told }
    }

    fn log_in(&mut self, (user, password): (&str, &str)) -> String {
        self.guest.log_in(user, password)
    }

    #[track_caller]
    fn enters(mut self, user: (&str, &str)) -> Self {
        let reply = self.log_in(user);
        assert!(self.mail.is_yes(&reply), "{} {}: {reply}", self.mail.name(), user.0);
        self
    }

    /// What the server behind the gate offers now.
    fn offered(&mut self) -> Vec<String> {
        ask(&mut self.guest.wire, self.mail)
    }
}

/// What is offered to this client now: capabilities, lines of CAPA, or keywords.
fn ask(wire: &mut Wire, mail: Mail) -> Vec<String> {
    match mail {
        Mail::Imap => {
            let reply = wire.imap("c", "CAPABILITY");
            let list = reply.lines().find_map(|line| line.strip_prefix("* CAPABILITY "));
            list.expect("capabilities").split(' ').map(str::to_owned).collect()
        }
        Mail::Pop3 => {
            wire.send("CAPA\r\n");
            let reply = wire.lines_until(|line| line == ".\r\n");
            reply.lines().skip(1).filter(|line| *line != ".").map(str::to_owned).collect()
        }
        Mail::Smtp => {
            let reply = wire.command("EHLO client.test");
            reply.lines().skip(1).filter_map(|line| line.get(4..)).map(str::to_owned).collect()
        }
    }
}

#[track_caller]
fn tells(told: &[String], words: &[&str], none_of: &[&str]) {
    for word in words {
        assert!(told.iter().any(|line| line == word), "no `{word}`: {told:?}");
    }
    for word in none_of {
        assert!(!told.iter().any(|line| line == word), "`{word}`: {told:?}");
    }
}

/// What is told of the company, and of both; and what only the university has.
#[track_caller]
fn tells_of_company(mail: Mail, told: &[String]) {
    match mail {
        Mail::Imap => tells(told, &["IMAP4rev1", "LITERAL+", "ENABLE", "ID"], &["IDLE"]),
        Mail::Pop3 => tells(told, &["TOP", "UIDL", "PIPELINING"], &[]),
        Mail::Smtp => tells(told, &["SIZE 10000000", "PIPELINING", "DSN"], &["CHUNKING", "SMTPUTF8"]),
    }
}

#[track_caller]
fn tells_of_university(mail: Mail, told: &[String]) {
    match mail {
        Mail::Imap => tells(told, &["IMAP4rev1", "LITERAL+", "ENABLE", "ID", "IDLE"], &[]),
        Mail::Pop3 => tells(told, &["TOP", "UIDL", "PIPELINING"], &[]),
        Mail::Smtp => tells(told, &["SIZE 20000000", "PIPELINING", "DSN", "CHUNKING", "SMTPUTF8"], &[]),
    }
}

#[test]
fn clients_are_told_what_both_servers_have_and_each_account_reaches_its_own() {
    let two = Two::start();
    let gate = two.gate();
    for mail in PROTOCOLS {
        for implicit in [true, false] {
            let visit = || two.visit(gate.port(mail.name(), implicit), mail, implicit, GATE_NAME);
            let mut anna = visit();
            tells_of_company(mail, &anna.told);
            if !implicit {
                tells_of_company(mail, &anna.in_clear);
            }
            anna = anna.enters(ANNA);
            let mut bert = visit().enters(BERT);
            match mail {
                Mail::Imap => {
                    tells(&anna.offered(), &["IDLE", "SORT"], &[]);
                    tells(&bert.offered(), &["ENABLE"], &["IDLE", "SORT"]);
                }
                Mail::Pop3 => {
                    assert!(anna.guest.wire.ask("STAT").starts_with("+OK"));
                    assert!(bert.guest.wire.ask("STAT").starts_with("+OK"));
                }
                Mail::Smtp => {
                    tells(&anna.offered(), &["SIZE 20000000", "CHUNKING"], &[]);
                    tells(&bert.offered(), &["SIZE 10000000"], &["CHUNKING"]);
                }
            }
            let stranger = visit().log_in((ANNA.0, BERT.1));
            assert!(!mail.is_yes(&stranger), "{stranger}");
        }
    }
    let (university, company) = (two.university.dovecot_log(), two.company.dovecot_log());
    for service in ["imap-login", "pop3-login"] {
        let entered = |log: &str, user: (&str, &str)| {
            log.lines().any(|l| l.contains(service) && l.contains("Login: ") && l.contains(user.0))
        };
        assert!(entered(&university, ANNA) && entered(&company, BERT), "{university}{company}");
    }
    assert!(!university.contains(BERT.0) && !company.contains(ANNA.0), "{university}{company}");

    let app_password = gate.app_password(BERT.0, BERT.1, &[]);
    gate.bind_totp(BERT.0);
    for mail in PROTOCOLS {
        two.at(&gate, mail, GATE_NAME).enters((BERT.0, &app_password.password));
    }
}

#[test]
fn behind_a_listener_with_a_list_nobody_else_has_an_account() {
    let two = Two::start();
    let mut config = two.config().set(&["limits", "failure_delay"], "600ms");
    for mail in PROTOCOLS {
        for implicit in [true, false] {
            config = config.listener_to(&["company"], mail.name(), implicit);
            config = config.listener_to(&["university"], mail.name(), implicit);
        }
    }
    let gate = Gate::start(config);
    on_each_protocol(|mail| {
        for implicit in [true, false] {
            let to = |upstream| {
                two.visit(gate.port_to(upstream, mail.name(), implicit), mail, implicit, GATE_NAME)
            };
            let (university, company) = (to("university"), to("company"));
            tells_of_university(mail, &university.told);
            tells_of_company(mail, &company.told);
            if !implicit {
                tells_of_university(mail, &university.in_clear);
            }
            university.enters(ANNA);
            company.enters(BERT);
            to("university").enters(("anna", ANNA.1));
            to("company").enters(("bert", BERT.1));
        }
        let refused = |user| {
            let mut visit = two.visit(gate.port_to("company", mail.name(), true), mail, true, GATE_NAME);
            let began = Instant::now();
            (visit.log_in(user), began.elapsed())
        };
        let (unknown, took) = refused(("anna@nowhere.test", ANNA.1));
        // Another password on each protocol, of which the right one is one: what was refused a moment ago is not judged.
        let tried = if mail == Mail::Imap { ANNA.1.to_owned() } else { format!("not {}", mail.name()) };
        for user in [(ANNA.0, tried.as_str()), ("nobody@university.test", "x")] {
            let (reply, after) = refused(user);
            assert_eq!(reply, unknown, "{}", user.0);
            let later = after.saturating_sub(took).max(took.saturating_sub(after));
            assert!(took >= Duration::from_millis(600) && later < Duration::from_millis(400), "{later:?}");
        }
    });
    let trail =
        gate.cli(&["audit", "search", "--account", ANNA.0, "--outcome", "refused", "--json"]).success();
    assert_eq!(trail.matches("this listener does not lead to its upstream").count(), 3, "{trail}");
    assert!(!two.university.dovecot_log().contains("nobody@"), "{}", two.university.dovecot_log());
}

#[test]
fn what_is_tried_behind_the_wrong_listener_counts() {
    let two = Two::start();
    let gate = Gate::start(two.config().failures(3, 10).listener_to(&["company"], "imap", true));
    let port = gate.port_to("company", "imap", true);
    let mut visit = two.visit(port, Mail::Imap, true, GATE_NAME);
    for n in 0..3 {
        NOT_LET_IN.check(Mail::Imap, &visit.log_in((&format!("user{n}@university.test"), "x")));
    }
    TOO_MANY.check(Mail::Imap, &visit.log_in(("user3@university.test", "x")));
    assert!(!two.university.dovecot_log().contains("user0@"), "and nobody was asked");
}

#[test]
fn a_host_name_narrows_what_its_client_is_told_and_not_who_gets_in() {
    let two = Two::start();
    let gate = two.gate();
    for mail in PROTOCOLS {
        for implicit in [true, false] {
            let port = gate.port(mail.name(), implicit);
            for (hostname, narrowed) in [
                ("mail.university.test", true),
                (GATE_NAME, false),
                ("both.test", false),
                ("new.test", false),
            ] {
                let visit = two.visit(port, mail, implicit, hostname);
                if narrowed {
                    tells_of_university(mail, &visit.told);
                } else {
                    tells_of_company(mail, &visit.told);
                }
                if !implicit {
                    tells_of_company(mail, &visit.in_clear);
                }
                visit.enters(ANNA);
            }
            // The company has less: nobody misses anything.
            let anna = two.visit(port, mail, implicit, "mail.company.test");
            tells_of_company(mail, &anna.told);
            anna.enters(ANNA);
            // Bert, under the university's name, was told in SMTP of what is not there.
            let mut bert = two.visit(port, mail, implicit, "mail.university.test");
            if mail == Mail::Smtp {
                UNAVAILABLE.check(mail, &bert.log_in(BERT));
                UNAVAILABLE.check(mail, &bert.log_in((BERT.0, "wrong")));
                UNAVAILABLE.check(mail, &bert.log_in(("nobody@company.test", "wrong")));
            } else {
                bert.enters(BERT);
            }
            two.visit(port, mail, implicit, "mail.company.test").enters(BERT);
        }
    }
    assert!(!two.company.dovecot_log().contains("nobody@"), "it never heard of them");
    let trail = gate.cli(&["audit", "search", "--account", BERT.0, "--outcome", "unavailable", "--json"]);
    assert!(trail.success().contains("under another's hostname"));
}

/// An address is no name: it is not sent (RFC 6066 section 3).
#[test]
fn a_client_that_names_no_host_is_told_what_all_have() {
    let two = Two::start();
    let gate = two.gate();
    for mail in PROTOCOLS {
        let visit = two.at(&gate, mail, "127.0.0.1");
        tells_of_company(mail, &visit.told);
        visit.enters(BERT);
    }
}

#[test]
fn a_server_that_is_down_at_the_start_counts_for_the_least_and_later_for_what_it_had() {
    let mut two = Two::start();
    two.university.stop();
    let gate = two.gate();
    let told = |mail| two_told(&two, &gate, mail);
    tells(&told(Mail::Imap), &["IMAP4rev1", "SASL-IR", "ID", "AUTH=PLAIN"], &["LITERAL+", "ENABLE"]);
    tells(&told(Mail::Pop3), &["USER", "RESP-CODES", "AUTH-RESP-CODE"], &["TOP", "UIDL", "PIPELINING"]);
    tells(&told(Mail::Smtp), &["ENHANCEDSTATUSCODES", "AUTH PLAIN LOGIN"], &["SIZE 10000000", "PIPELINING"]);
    for mail in PROTOCOLS {
        let mut bert = two.at(&gate, mail, "mail.company.test");
        tells_of_company(mail, &bert.told);
        bert = bert.enters(BERT);
        drop(bert);
        UNAVAILABLE.check(mail, &two.at(&gate, mail, GATE_NAME).log_in(ANNA));
    }

    two.university.start_again();
    let told = |mail| two_told(&two, &gate, mail);
    eventually("what both have is told", || {
        told(Mail::Imap).iter().any(|word| word == "LITERAL+")
            && told(Mail::Pop3).iter().any(|word| word == "UIDL")
            && told(Mail::Smtp).iter().any(|word| word == "SIZE 10000000")
    });
    for mail in PROTOCOLS {
        tells_of_company(mail, &told(mail));
        two.at(&gate, mail, GATE_NAME).enters(ANNA);
    }

    let before = PROTOCOLS.map(told);
    two.university.stop();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(PROTOCOLS.map(|mail| two_told(&two, &gate, mail)), before);
    for mail in PROTOCOLS {
        two.at(&gate, mail, GATE_NAME).enters(BERT);
        tells_of_university(mail, &two.at(&gate, mail, "mail.university.test").told);
    }
}

fn two_told(two: &Two, gate: &Gate, mail: Mail) -> Vec<String> {
    two.at(gate, mail, GATE_NAME).told
}

/// What two servers offer, what of it clients are told, and the same once the second offers something else.
struct Change {
    mail: Mail,
    one: Vec<&'static str>,
    two: Vec<&'static str>,
    told: Vec<&'static str>,
    two_then: Vec<&'static str>,
    told_then: Vec<&'static str>,
}

#[test]
fn what_a_server_offers_anew_or_no_more_is_told_soon() {
    let changes = [
        Change {
            mail: Mail::Imap,
            one: vec!["IMAP4rev1", "IDLE", "SORT", "AUTH=PLAIN"],
            two: vec!["SORT", "IMAP4rev1", "AUTH=PLAIN"],
            told: vec!["IMAP4rev1", "SORT"],
            two_then: vec!["SORT", "IMAP4rev1", "AUTH=PLAIN", "IDLE"],
            told_then: vec!["IDLE", "IMAP4rev1", "SORT"],
        },
        Change {
            mail: Mail::Pop3,
            one: vec!["UIDL", "TOP", "EXPIRE 30", "SASL PLAIN"],
            two: vec!["TOP", "EXPIRE 9", "SASL PLAIN"],
            told: vec!["EXPIRE 9 USER", "TOP"],
            two_then: vec!["TOP", "EXPIRE 30", "SASL PLAIN", "UIDL"],
            told_then: vec!["EXPIRE 30", "TOP", "UIDL"],
        },
        Change {
            mail: Mail::Smtp,
            one: vec!["SIZE 900", "DSN", "AUTH PLAIN"],
            two: vec!["DSN", "SIZE 500", "AUTH PLAIN"],
            told: vec!["DSN", "HELP", "SIZE 500"],
            two_then: vec!["SIZE 700", "AUTH PLAIN"],
            told_then: vec!["HELP", "SIZE 700"],
        },
    ];
    for Change { mail, one, two, told, two_then, told_then } in changes {
        let offers = |offer| Manner { offer, ..Manner::friendly(mail) };
        let fakes = [one, two.clone()].map(|offer| {
            let fake = Fake::start(mail);
            fake.behave(offers(offer));
            fake
        });
        let upstreams = ["one", "two"].iter().zip(&fakes).map(|(name, fake)| {
            let endpoint = toml! {
                address = [(format!("127.0.0.1:{}", fake.port()))]
                tls = "none"
            };
            let mut upstream = toml! {
                name = (*name)
                domains = [(format!("{name}.test"))]
                refresh = "1s"
            };
            upstream.insert(mail.name().into(), endpoint.into());
            upstream
        });
        let upstreams = upstreams.collect::<Vec<_>>();
        let config = GateConfig::in_front_of_fakes(&[&fakes[0]], UpstreamTls::None);
        let gate = Gate::start(config.set(&["upstream"], upstreams));
        let visit = || Visit::new(&gate.ca_file(), gate.port(mail.name(), true), mail, true, GATE_NAME);
        let heard = || {
            let gates_own = |word: &String| {
                ["SASL", "USER", "RESP", "AUTH", "ID", "ENHANCED"].iter().any(|own| word.starts_with(own))
                    && word != "IDLE"
            };
            let mut words = visit().told;
            words.retain(|word| !gates_own(word));
            words.sort_unstable();
            words
        };
        eventually("what both offer is told", || heard() == told);
        fakes[1].behave(offers(two_then));
        eventually("what is new is told", || heard() == told_then);
        fakes[1].behave(offers(two));
        eventually("what is no more is not", || heard() == told);

        let reply = visit().log_in(("user@two.test", "password"));
        assert!(mail.is_yes(&reply), "{reply}");
        let named = |fake: &Fake| fake.heard().contains(&plain("user@two.test", "password"));
        assert!(!named(&fakes[0]) && named(&fakes[1]), "{}", fakes[1].heard());
    }
}
