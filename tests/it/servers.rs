//! The servers that the other tests stand on are what those tests take them for. No gate is involved.

use crate::support::{
    Answer, Fake, Guest, LegacyOptions, LegacyServer, Manner, PROTOCOLS, Postgres, Wire, b64, client, plain,
    run,
};

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
        let refused =
            client(script, &[&common[..], &["--user", "proxy", "--expect-refusal"]].concat()).success();
        assert!(!refused.is_empty(), "the server's words are shown");
    }
}

/// The dialogue that will be compared through the gate must be the same each time without one.
#[test]
fn a_recorded_dialogue_is_the_same_each_time() {
    let mut legacy = LegacyServer::start(LegacyOptions::default());
    record(&legacy, "imap", true);
    legacy.save_mailboxes();
    let [first, second] = [true, false].map(|implicit_tls| {
        legacy.restore_mailboxes();
        ["imap", "pop3", "smtp"].map(|protocol| record(&legacy, protocol, implicit_tls))
    });
    assert_eq!(first, second);
}

fn record(legacy: &LegacyServer, protocol: &str, implicit_tls: bool) -> String {
    let (service, tls) =
        if implicit_tls { (format!("{protocol}s"), "implicit") } else { (protocol.to_owned(), "starttls") };
    let (port, ca) = (legacy.port(&service).to_string(), legacy.ca_file().display().to_string());
    let (user, password) = legacy.user(0);
    let at = [protocol, "--port", &port, "--tls", tls, "--ca", &ca, "--user", user, "--password", password];
    client("record.py", &at).success()
}

#[test]
fn postfix_tells_who_spoke_xclient() {
    let legacy = LegacyServer::start(LegacyOptions::default().trusting_the_gate());
    let arguments = [
        "--server",
        legacy.host(),
        "--port",
        &legacy.port("smtp").to_string(),
        "--xclient",
        "ADDR=192.0.2.7",
    ];
    run("swaks", &[&arguments[..], &["--quit-after", "XCLIENT"]].concat(), "").success();
    let seen =
        || legacy.postfix_log().lines().any(|line| line.contains("[192.0.2.7]") && line.contains("xclient="));
    assert!((0..100).any(|_| seen() || {
        std::thread::sleep(std::time::Duration::from_millis(50));
        false
    }));
}

#[test]
fn a_server_that_requires_tls_takes_no_password_without() {
    let legacy = LegacyServer::start(LegacyOptions::default().requiring_tls());
    let (user, password) = legacy.user(0);
    for (script, service) in [("imap.py", "imap"), ("pop3.py", "pop3"), ("smtp.py", "smtp")] {
        let port = legacy.port(service).to_string();
        let ca = legacy.ca_file().display().to_string();
        let at =
            ["--host", legacy.host(), "--port", &port, "--ca", &ca, "--user", user, "--password", password];
        let login = ["--mechanism", "plain", "--only", "login"];
        client(script, &[&at[..], &login, &["--tls", "none", "--expect-refusal"]].concat()).success();
        client(script, &[&at[..], &login, &["--tls", "starttls"]].concat()).success();
    }
    assert!(legacy.dovecot_log().contains("Login: user="), "Dovecot logs who came in");
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

#[test]
fn a_guest_is_let_in_by_the_legacy_server_itself_and_told_when_not() {
    let mut legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    legacy.change_password(0, "an other one");
    let (user, password) = legacy.user(0);
    for mail in PROTOCOLS {
        let guest = || {
            let wire = Wire::open(legacy.host(), legacy.port(&format!("{}s", mail.name())));
            Guest::greeted(wire.secure(&legacy.ca_file(), legacy.name()), mail)
        };
        let reply = guest().log_in(user, password);
        assert!(mail.is_yes(&reply), "{reply}");
        let reply = guest().log_in_with_command(user, password);
        assert!(mail.is_yes(&reply), "{reply}");
        let reply = guest().log_in(user, "mailbox-password-0");
        assert!(!mail.is_yes(&reply), "{reply}");
    }
}

#[test]
fn a_fake_upstream_answers_by_script_and_remembers() {
    for mail in PROTOCOLS {
        let fake = Fake::start(mail);
        let guest = || Guest::greeted(Wire::open("127.0.0.1", fake.port()), mail);
        let mut first = guest();
        assert!(mail.is_yes(&first.log_in("a", "b")));
        first.wire.send("x NOOP\r\n");
        first.wire.line();
        assert!(mail.is_yes(&guest().log_in_with_command("a", "b")));
        assert_eq!(fake.heard_after_login(), "x NOOP\r\n");
        assert!(fake.heard().contains(&plain("a", "b")), "{}", fake.heard());
        fake.behave(Manner { login: Answer::Ends("TAG go away"), ..Manner::friendly(mail) });
        let mut last = guest();
        assert!(last.log_in("a", "secret").contains("go away"));
        assert_eq!(last.wire.rest(), "");
        assert!(fake.heard().ends_with(&format!("{}\r\n", b64("\0a\0secret"))));
        assert_eq!(fake.conversations(), 3);
    }
}
