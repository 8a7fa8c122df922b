//! The servers that the other tests stand on are what those tests take them for. No gate is involved.

use crate::support::{LegacyOptions, LegacyServer, Postgres, client, run};

/// Every client script, at the legacy server itself: what fails here is not the gate's fault.
#[test]
fn real_clients_work_with_the_legacy_server_itself() {
    let legacy = LegacyServer::start(LegacyOptions::default());
    let (user, password) = legacy.user(0);
    let ca = legacy.ca_file().display().to_string();
    for (script, implicit, plain) in
        [("imap.py", "imaps", "imap"), ("pop3.py", "pop3s", "pop3"), ("smtp.py", "smtps", "smtp")]
    {
        for (service, tls) in [(implicit, "implicit"), (plain, "starttls"), (plain, "none")] {
            let port = legacy.port(service).to_string();
            let imap = legacy.port("imaps").to_string();
            let mut arguments =
                vec!["--port", &port, "--tls", tls, "--ca", &ca, "--user", user, "--password", password];
            if script != "imap.py" {
                arguments.extend(["--imap-port", &imap]);
            }
            client(script, &arguments).success();
        }
    }
}

#[test]
fn a_master_user_reaches_any_mailbox_in_both_styles() {
    let legacy = LegacyServer::start(LegacyOptions::default().master("proxy", "mäster: secret").fast_auth());
    let (user, _) = legacy.user(1);
    let separated = format!("{user}*proxy");
    let ca = legacy.ca_file().display().to_string();
    for (script, service) in [("imap.py", "imaps"), ("pop3.py", "pop3s"), ("smtp.py", "smtps")] {
        let port = legacy.port(service).to_string();
        let common = ["--port", &port, "--ca", &ca, "--password", "mäster: secret", "--only", "login"];
        client(script, &[&common[..], &["--user", &separated]].concat()).success();
        client(script, &[&common[..], &["--user", "proxy", "--authzid", user]].concat()).success();
        let refused = client(script, &[&common[..], &["--user", "proxy", "--expect-refusal"]].concat()).success();
        assert!(!refused.is_empty(), "the server's words are shown");
    }
}

#[test]
fn a_legacy_server_that_was_stopped_comes_back_as_it_was() {
    let mut legacy = LegacyServer::start(LegacyOptions::default());
    let (user, password) = legacy.user(0);
    let (user, password) = (user.to_owned(), password.to_owned());
    let (port, ca) = (legacy.port("imaps").to_string(), legacy.ca_file().display().to_string());
    let login = ["--port", &port, "--ca", &ca, "--user", &user, "--password", &password, "--only", "login"];
    legacy.stop();
    assert_ne!(client("imap.py", &login).status, 0, "nobody listens any more");
    legacy.start_again();
    client("imap.py", &login).success();
}

#[test]
fn postgres_answers_queries() {
    let postgres = Postgres::start();
    let printed = run("psql", &[postgres.url(), "-qtAc", "SELECT current_database()"], "").success();
    assert_eq!(printed.trim(), "mailward");
}
