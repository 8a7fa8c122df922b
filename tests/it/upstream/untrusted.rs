//! An upstream that has not proven itself never hears a byte of a password.

use std::fs;

use sha2::{Digest as _, Sha256};
use x509_parser::pem::parse_x509_pem;

use crate::support::table::UNAVAILABLE;
use crate::support::{
    Fake, Gate, GateConfig, LegacyOptions, LegacyServer, Mail, Manner, PROTOCOLS, UpstreamTls, b64, log_in,
    plain, run,
};

const USER: &str = "user0@example.test";
const PASSWORD: &str = "a mailbox password of note";

/// Whether anything of the password, or a command that would carry it, was heard.
fn heard_of_it(fake: &Fake) -> bool {
    let heard = fake.heard();
    let secrets = [PASSWORD.to_owned(), plain(USER, PASSWORD), b64(PASSWORD)];
    let commands = ["LOGIN", "AUTH", "USER", "PASS"];
    secrets.iter().any(|secret| heard.contains(secret))
        || heard.lines().any(|line| line.split(' ').any(|word| commands.contains(&word)))
}

fn never_trusted(mail: Mail, tls: UpstreamTls, manners: Vec<(&str, Manner)>) {
    for (what, manner) in manners {
        let fake = Fake::start(mail);
        fake.behave(manner);
        let config = GateConfig::in_front_of_fakes(&[&fake], tls).uncounted();
        let deadlines = [("connect_deadline", "1s"), ("login_deadline", "1s")];
        let gate = Gate::start(
            deadlines.iter().fold(config, |config, (key, time)| config.set(&["upstream", "0", key], *time)),
        );
        UNAVAILABLE.check(mail, &log_in(&gate, mail, USER, PASSWORD));
        assert!(fake.conversations() > 0, "{what}: nobody came");
        assert!(!heard_of_it(&fake), "{what} on {mail:?} heard:\n{}", fake.heard());
    }
}

#[test]
fn where_tls_cannot_be_had_nothing_is_sent() {
    for mail in PROTOCOLS {
        let friendly = Manner::friendly(mail);
        let starttls = |offered: bool, answer| {
            let keyword = if mail == Mail::Pop3 { "STLS" } else { "STARTTLS" };
            let mut offer = friendly.offer.clone();
            offer.extend(offered.then_some(keyword));
            Manner { offer, starttls: answer, ..friendly.clone() }
        };
        let (no, yes, injected) = match mail {
            Mail::Imap => ("TAG NO No", "TAG OK Go on", "TAG OK Go on\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN"),
            Mail::Pop3 => ("-ERR No", "+OK Go on", "+OK Go on\r\n+OK Injected"),
            Mail::Smtp => ("454 4.7.0 No", "220 2.0.0 Go on", "220 2.0.0 Go on\r\n250 Injected"),
        };
        never_trusted(
            mail,
            UpstreamTls::Starttls,
            vec![
                ("one that refuses TLS", starttls(true, no)),
                ("one that does not offer TLS, and refuses it", starttls(false, no)),
                ("one that does not shake hands", starttls(true, yes)),
                ("one that speaks before the handshake", starttls(true, injected)),
            ],
        );
        never_trusted(mail, UpstreamTls::Implicit, vec![("one that speaks no TLS at all", friendly)]);
    }
}

#[test]
fn a_greeting_that_is_none_gets_nothing() {
    for mail in PROTOCOLS {
        let greetings = match mail {
            Mail::Imap => ["* PREAUTH Welcome back", "* BYE Go away", "220 ready ESMTP", "HTTP/1.1 200 OK"],
            Mail::Pop3 => ["-ERR [SYS/TEMP] Down", "* OK ready", "220 ready ESMTP", "HTTP/1.1 200 OK"],
            Mail::Smtp => ["554 5.7.1 No", "421 4.3.2 Down", "* OK ready", "HTTP/1.1 200 OK"],
        };
        for tls in [UpstreamTls::None, UpstreamTls::Starttls] {
            let manners = greetings.map(|greeting| (greeting, Manner { greeting, ..Manner::friendly(mail) }));
            never_trusted(mail, tls, manners.to_vec());
        }
    }
}

#[test]
fn a_certificate_that_nobody_vouches_for_gets_nothing() {
    let legacy = LegacyServer::start(LegacyOptions::default());
    let (user, password) = legacy.user(0);
    let stranger = tempfile::TempDir::new().expect("a directory");
    let strangers_ca = stranger.path().join("ca.pem");
    let certified =
        rcgen::generate_simple_self_signed(vec![legacy.name().to_owned()]).expect("a certificate");
    fs::write(&strangers_ca, certified.cert.pem()).expect("a file");

    let every = |key: &str, value: &str| {
        let config = GateConfig::in_front_of(&legacy).uncounted();
        PROTOCOLS.iter().fold(config, |config, mail| config.set(&["upstream", "0", mail.name(), key], value))
    };
    let configs = [
        ("another authority", every("ca_file", &strangers_ca.display().to_string())),
        ("another name", every("server_name", "mail.elsewhere.test")),
        ("another key", every("pin_sha256", &"ab".repeat(32))),
    ];
    for (what, config) in configs {
        let gate = Gate::start(config);
        for mail in PROTOCOLS {
            UNAVAILABLE.check(mail, &log_in(&gate, mail, user, password));
        }
        let log = legacy.dovecot_log();
        assert!(!log.contains(user), "{what}: Dovecot heard of `{user}`:\n{log}");
    }
}

/// The pin stands for itself: neither the authority nor the name are asked then.
#[test]
fn a_pinned_key_is_trusted_whoever_signed_it() {
    let legacy = LegacyServer::start(LegacyOptions::default());
    let (user, password) = legacy.user(0);
    let at = format!("{}:{}", legacy.host(), legacy.port("imaps"));
    let shown = run("openssl", &["s_client", "-connect", &at], "").stdout;
    let begin = shown.find("-----BEGIN CERTIFICATE").expect("a certificate");
    let (_, pem) = parse_x509_pem(&shown.as_bytes()[begin..]).expect("a certificate");
    let certificate = pem.parse_x509().expect("a certificate");
    let pin = b64(Sha256::digest(certificate.tbs_certificate.subject_pki.raw));

    let mut config = GateConfig::in_front_of(&legacy);
    for mail in PROTOCOLS {
        let endpoint = toml::toml! {
            address = [(format!("{}:{}", legacy.host(), legacy.port(mail.name())))]
            tls = "starttls"
            pin_sha256 = (pin.clone())
        };
        config = config.set(&["upstream", "0", mail.name()], endpoint);
    }
    let gate = Gate::start(config);
    for mail in PROTOCOLS {
        let reply = log_in(&gate, mail, user, password);
        assert!(mail.is_yes(&reply), "{reply}");
    }
}
