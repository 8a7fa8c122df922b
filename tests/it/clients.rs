//! Real mail clients do all that they do every day through the gate, whatever it logs in upstream with.

use crate::support::{Gate, GateConfig, LegacyOptions, LegacyServer, client};

const MASTER: (&str, &str) = ("proxy", "mäster: secret");

fn legacy_server() -> LegacyServer {
    LegacyServer::start(LegacyOptions::default().master(MASTER.0, MASTER.1).fast_auth())
}

/// Scripts and tools with an app password of a bound account, at each kind of door.
fn every_client_does_everything(legacy: &LegacyServer, config: GateConfig) {
    let gate = Gate::start(config);
    let (user, mailbox_password) = legacy.user(0);
    let made = gate.app_password(user, mailbox_password, &[]);
    gate.bind_totp(user);

    let ca = gate.ca_file().display().to_string();
    let imaps = gate.port("imap", true).to_string();
    for (implicit, tls) in [(true, "implicit"), (false, "starttls")] {
        let run = |script: &str, tool: &[&str], protocol: &str, password: &str, more: &[&str]| {
            let port = gate.port(protocol, implicit).to_string();
            let at = ["--port", &port, "--tls", tls, "--ca", &ca, "--user", user, "--password", password];
            client(script, &[tool, &at, more].concat()).success()
        };
        for (script, protocol) in [("imap.py", "imap"), ("pop3.py", "pop3"), ("smtp.py", "smtp")] {
            let beside: &[&str] = if protocol == "imap" { &[] } else { &["--imap-port", &imaps] };
            run(script, &[], protocol, &made.password, beside);
            for mechanism in ["plain", "login"] {
                let only_login = ["--only", "login", "--mechanism", mechanism];
                run(script, &[], protocol, &made.password, &only_login);
            }
        }
        for (tool, protocol) in
            [("curl-imap", "imap"), ("curl-pop3", "pop3"), ("curl-smtp", "smtp"), ("swaks", "smtp")]
        {
            run("tools.py", &[tool], protocol, &made.password, &[]);
            let refused = run("tools.py", &[tool], protocol, mailbox_password, &["--expect-refusal"]);
            assert!(refused.contains("use an app password"), "{tool} shows what to do: {refused}");
        }
    }
}

#[test]
fn with_the_mailbox_password_sealed_to_the_app_password() {
    let legacy = legacy_server();
    every_client_does_everything(&legacy, GateConfig::in_front_of(&legacy));
}

#[test]
fn as_a_master_user_behind_a_separator() {
    let legacy = legacy_server();
    let config = GateConfig::in_front_of(&legacy).master(MASTER.0, MASTER.1, "separator:*");
    every_client_does_everything(&legacy, config);
}

#[test]
fn as_a_master_user_with_an_authorisation_identity() {
    let legacy = legacy_server();
    let config = GateConfig::in_front_of(&legacy).master(MASTER.0, MASTER.1, "authzid");
    every_client_does_everything(&legacy, config);
}

/// What clients of unbound accounts send is the mailbox password, which may hold anything that its server takes.
#[test]
fn with_the_mailbox_password_whatever_it_is_made_of() {
    let options = LegacyOptions::default()
        .user("alice@example.test", "a \"b\\c\" {9} 'd' %e")
        .user("bøb@example.test", "pässwörd: 密码 ");
    let legacy = LegacyServer::start(options.fast_auth());
    let gate = Gate::start(GateConfig::in_front_of(&legacy));
    let ca = gate.ca_file().display().to_string();
    for (user, password) in [legacy.user(0), legacy.user(1)] {
        for (script, protocol) in [("imap.py", "imap"), ("pop3.py", "pop3"), ("smtp.py", "smtp")] {
            for mechanism in ["library", "plain", "login"] {
                let port = gate.port(protocol, true).to_string();
                let at = ["--port", &port, "--ca", &ca, "--only", "login", "--mechanism", mechanism];
                client(script, &[&at[..], &["--user", user, "--password", password]].concat()).success();
            }
        }
    }
}
