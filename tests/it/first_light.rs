//! The shortest story of each credential style: an app password reads mail through the gate.

use crate::support::{Gate, GateConfig, LegacyOptions, LegacyServer, Postgres, UpstreamTls, client};

const MASTER: (&str, &str) = ("proxy", "master secret");

fn legacy_server() -> LegacyServer {
    LegacyServer::start(LegacyOptions::default().master(MASTER.0, MASTER.1).fast_auth())
}

/// An app password logs in on every door; the mailbox password does until a factor is bound.
fn story(legacy: &LegacyServer, config: GateConfig) {
    let gate = Gate::start(config);
    let (user, mailbox_password) = legacy.user(0);
    let made = gate.app_password(user, mailbox_password, &[]);
    let listed = gate.cli(&["app-password", "list", user, "--json"]).json();
    assert_eq!(listed[0]["label"], *made.label, "`{}` is listed", made.id);

    let ca = gate.ca_file().display().to_string();
    let login = |password: &str, more: &[&str]| {
        for (script, protocol) in [("imap.py", "imap"), ("pop3.py", "pop3"), ("smtp.py", "smtp")] {
            for (implicit, tls) in [(true, "implicit"), (false, "starttls")] {
                let port = gate.port(protocol, implicit).to_string();
                let at = ["--port", &port, "--tls", tls, "--ca", &ca, "--only", "login"];
                let as_whom = ["--user", user, "--password", password];
                client(script, &[&at[..], &as_whom, more].concat()).success();
            }
        }
    };
    login(&made.password, &[]);
    login(mailbox_password, &[]);
    assert!(!gate.bind_totp(user).is_empty());
    login(&made.password, &[]);
    login(mailbox_password, &["--expect-refusal"]);
    assert!(gate.directory().join("data").is_dir());
}

#[test]
fn sealed_over_starttls() {
    let legacy = legacy_server();
    story(&legacy, GateConfig::in_front_of(&legacy));
}

#[test]
fn sealed_over_implicit_tls_on_postgres() {
    let (legacy, postgres) = (legacy_server(), Postgres::start());
    let config = GateConfig::in_front_of(&legacy).upstream_tls(&legacy, UpstreamTls::Implicit);
    story(&legacy, config.database(postgres.url()));
}

#[test]
fn master_in_both_styles_without_upstream_tls() {
    let legacy = legacy_server();
    for style in ["separator:*", "authzid"] {
        let config = GateConfig::in_front_of(&legacy).upstream_tls(&legacy, UpstreamTls::None);
        story(&legacy, config.master(MASTER.0, MASTER.1, style).listener("smtp", true));
    }
}

#[test]
fn a_mailbox_password_that_nobody_needs_is_checked_all_the_same() {
    let legacy = legacy_server();
    let config = GateConfig::in_front_of(&legacy).master(MASTER.0, MASTER.1, "separator:*");
    let gate = Gate::prepare(config);
    let (user, _) = legacy.user(0);
    let create = ["app-password", "create", user, "--name", "Phone"];
    let given = [&create[..], &["--mailbox-password-stdin"]].concat();
    let refused = gate.cli_with_input(&given, "not the mailbox password\n");
    assert_eq!(refused.status, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("no app password was made"), "{}", refused.stderr);
    gate.cli(&create).success();
}
