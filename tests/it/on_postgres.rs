//! The same gate on PostgreSQL: the whole story, what somebody who can write the database achieves, and two gates that are
//! asked the same at once.

use std::fs;
use std::sync::Barrier;
use std::thread;

use mailward::base::{Clock as _, SystemClock};

use crate::support::table::{EXPIRED, NOT_LET_IN, OUT_OF_SCOPE, SUSPENDED};
use crate::support::{
    GATE_NAME, Gate, GateConfig, LegacyOptions, LegacyServer, Mail, PROTOCOLS, Postgres, Visitor, Wire,
    client, log_in, run,
};

#[test]
fn the_whole_story() {
    let (legacy, postgres) = (LegacyServer::start(LegacyOptions::default().fast_auth()), Postgres::start());
    let config = GateConfig::in_front_of(&legacy).with_portal().uncounted();
    let mut gate = Gate::start(config.database(postgres.url()));
    let (user, password) = legacy.user(0);
    for mail in PROTOCOLS {
        assert!(mail.is_yes(&log_in(&gate, mail, user, password)), "the account appears");
    }
    let made = gate.app_password(user, password, &[]);
    let imap_only = gate.app_password(user, password, &["--protocols", "imap", "--expires", "1d"]);
    let short_lived = gate.app_password(user, password, &["--expires", "1s"]);
    gate.bind_totp(user);

    let ca = gate.ca_file().display().to_string();
    let imaps = gate.port("imap", true).to_string();
    for (script, protocol) in [("imap.py", "imap"), ("pop3.py", "pop3"), ("smtp.py", "smtp")] {
        let port = gate.port(protocol, false).to_string();
        let at = ["--port", &port, "--tls", "starttls", "--ca", &ca, "--user", user];
        let beside: &[&str] = if protocol == "imap" { &[] } else { &["--imap-port", &imaps] };
        client(script, &[&at[..], &["--password", &made.password], beside].concat()).success();
    }
    for mail in PROTOCOLS {
        NOT_LET_IN.check_with_portal(mail, &log_in(&gate, mail, user, password));
        EXPIRED.check_with_portal(mail, &log_in(&gate, mail, user, &short_lived.password));
    }
    assert!(Mail::Imap.is_yes(&log_in(&gate, Mail::Imap, user, &imap_only.password)));
    OUT_OF_SCOPE.check_with_portal(Mail::Smtp, &log_in(&gate, Mail::Smtp, user, &imap_only.password));

    gate.cli(&["app-password", "revoke", user, &imap_only.label]).success();
    NOT_LET_IN.check(Mail::Imap, &log_in(&gate, Mail::Imap, user, &imap_only.password));
    gate.cli(&["account", "suspend", user]).success();
    SUSPENDED.check_with_portal(Mail::Pop3, &log_in(&gate, Mail::Pop3, user, &made.password));
    gate.cli(&["account", "resume", user]).success();
    gate.cli(&["factor", "unbind", user, "--reason", "lost the phone"]).success();
    assert!(Mail::Imap.is_yes(&log_in(&gate, Mail::Imap, user, password)), "nothing is bound any more");
    NOT_LET_IN.check(Mail::Imap, &log_in(&gate, Mail::Imap, user, &made.password));

    gate.kill();
    gate.start_again();
    assert!(Mail::Smtp.is_yes(&log_in(&gate, Mail::Smtp, user, password)));
    gate.cli(&["audit", "verify"]).success();
    let found =
        gate.cli(&["audit", "search", "--account", user, "--event", "factor_unbound", "--json"]).json();
    assert_eq!(found[0]["reason"], "lost the phone", "{found}");
}

/// Rows that were swapped in the database open nothing, for nobody.
#[test]
fn whoever_can_write_the_database_gets_no_mailbox() {
    let (legacy, postgres) = (LegacyServer::start(LegacyOptions::default().fast_auth()), Postgres::start());
    let gate = Gate::start(GateConfig::in_front_of(&legacy).uncounted().database(postgres.url()));
    let sql = |statement: &str| run("psql", &[postgres.url(), "-qtAc", statement], "").success();
    let ((victim, password), (attacker, attackers)) = (legacy.user(0), legacy.user(1));
    let victims = gate.app_password(victim, password, &[]);
    let known = gate.app_password(attacker, attackers, &[]);
    for account in [victim, attacker] {
        gate.bind_totp(account);
    }
    assert!(Mail::Imap.is_yes(&log_in(&gate, Mail::Imap, attacker, &known.password)));
    sql("CREATE TABLE saved AS SELECT * FROM app_passwords");
    let from_the_attackers = |columns: &[&str]| {
        let set = columns.iter().map(|column| format!("{column} = theirs.{column}")).collect::<Vec<_>>();
        format!(
            "UPDATE app_passwords AS mine SET {} FROM saved AS theirs WHERE mine.id = '{}' AND theirs.id = '{}'",
            set.join(", "),
            victims.id,
            known.id,
        )
    };
    let owned = format!(
        "UPDATE app_passwords SET account = (SELECT account FROM saved WHERE id = '{}') \
                         WHERE id = '{}'",
        victims.id, known.id
    );
    let attacks = [
        (
            "everything that proves",
            from_the_attackers(&["label", "kdf", "proof", "public_key", "sealed", "mac"]),
        ),
        ("the proof", from_the_attackers(&["label", "kdf", "proof"])),
        ("the key and what is sealed to it", from_the_attackers(&["public_key", "sealed"])),
        ("the row itself", owned),
        (
            "its scope and end",
            format!(
                "UPDATE app_passwords SET networks = '', expires_at = NULL, protocols = \
                                       'imap,pop3,smtp', label = '{}'",
                known.label
            ),
        ),
    ];
    let before = legacy.dovecot_log().matches(victim).count();
    for (what, attack) in attacks {
        sql(&attack);
        for mail in PROTOCOLS {
            let reply = log_in(&gate, mail, victim, &known.password);
            assert!(!mail.is_yes(&reply), "with {what} changed: {reply}");
        }
        sql("DELETE FROM app_passwords");
        sql("INSERT INTO app_passwords SELECT * FROM saved");
    }
    let heard = legacy.dovecot_log();
    assert_eq!(heard.matches(victim).count(), before, "the upstream heard of it:\n{heard}");
    assert!(Mail::Imap.is_yes(&log_in(&gate, Mail::Imap, victim, &victims.password)), "all as it was");
}

/// Somebody at the portal of a gate who has given the mailbox password, and what the next form has to bring back.
fn before_the_second_step(gate: &Gate, (user, password): (&str, &str)) -> (Visitor, String) {
    let visitor = Visitor::before(gate.portal());
    visitor.post("/sign-in", &[("login", user), ("password", password)]).success();
    let token = Visitor::hidden(&visitor.ask("/second-factor", &[]).success(), "form");
    (visitor, token)
}

/// A connection to the portal of `visitor`, and a form of this visitor's to be sent over it.
fn ready(gate: &Gate, visitor: &Visitor, body: &str) -> (Wire, String) {
    let jar = fs::read_to_string(visitor.directory().join("cookies")).expect("its cookies");
    let session = jar.lines().find(|line| line.contains("\t__Host-mailward\t")).expect("its session");
    let (name, value) = session.rsplit_once('\t').expect("a cookie");
    let name = name.rsplit('\t').next().expect("a name");
    let (length, portal) = (body.len(), visitor.portal());
    let form = format!(
        "POST /second-factor HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nOrigin: {portal}\r\n\
         Cookie: {name}={value}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    let port = portal.rsplit(':').next().and_then(|port| port.parse().ok()).expect("its port");
    (Wire::open("127.0.0.1", port).secure(&gate.ca_file(), GATE_NAME), form)
}

#[test]
fn of_fifty_forms_at_two_portals_with_one_code_of_an_authenticator_one_leads_on() {
    let (legacy, postgres) = (LegacyServer::start(LegacyOptions::default().fast_auth()), Postgres::start());
    let config = || {
        let config = GateConfig::in_front_of(&legacy).portal_at("127.0.0.1").database(postgres.url());
        config.uncounted().failures(1_000, 1_000)
    };
    let first = Gate::start(config());
    let second = first.join(config());
    let owner = legacy.user(0);
    first.cli(&["account", "add", owner.0]).success();
    let key = first.bind_totp(owner.0);
    let gates = [&first, &second];
    let visitors: Vec<_> = thread::scope(|scope| {
        let ready: Vec<_> = (0..50)
            .map(|number| scope.spawn(move || before_the_second_step(gates[number % 2], owner)))
            .collect();
        ready.into_iter().map(|visitor| visitor.join().expect("a visitor")).collect()
    });

    let seconds = u64::try_from(SystemClock::start().now().unix_seconds()).expect("after 1970");
    let uri = format!("otpauth://totp/x:y?secret={key}&issuer=x");
    let code = totp_rs::Totp::from_url(uri).expect("an authenticator").generate(seconds).to_string();
    let all_are_there = Barrier::new(50);
    let answers: Vec<_> = thread::scope(|scope| {
        let sent: Vec<_> = visitors
            .iter()
            .enumerate()
            .map(|(number, (visitor, token))| {
                let (code, all_are_there) = (&code, &all_are_there);
                scope.spawn(move || {
                    let body = format!("use=totp&code={code}&form={token}");
                    let (mut wire, form) = ready(gates[number % 2], visitor, &body);
                    all_are_there.wait();
                    wire.send(form);
                    let answer = wire.rest();
                    let head = answer.split("\r\n\r\n").next().unwrap_or_default().to_ascii_lowercase();
                    (head.contains("\r\nlocation: /trust"), head)
                })
            })
            .collect();
        sent.into_iter().map(|answer| answer.join().expect("an answer")).collect()
    });
    let (on, no): (Vec<_>, Vec<_>) = answers.iter().partition(|(leads_on, _)| *leads_on);
    assert_eq!(on.len(), 1, "{on:?}");
    for (_, head) in no {
        assert!(head.starts_with("http/1.1 422 "), "{head}");
    }
}
