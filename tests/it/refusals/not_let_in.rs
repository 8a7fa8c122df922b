//! Row 1: whoever proved nothing hears the same, whatever the reason, and learns nothing from it.

use std::time::{Duration, Instant};

use crate::support::table::NOT_LET_IN;
use crate::support::{
    AppPassword, Gate, GateConfig, Guest, LegacyOptions, LegacyServer, Mail, PROTOCOLS, eventually, log_in,
    on_each_protocol,
};

/// Long enough to tell a refusal that waits from one that does not.
const FAILURE_DELAY: Duration = Duration::from_millis(600);

/// Another app password with the same label: the first group finds the row, the rest is wrong.
fn same_label(app_password: &AppPassword) -> String {
    let (head, last) = app_password.password.split_at(app_password.password.len() - 1);
    format!("{head}{}", if last == "2" { "3" } else { "2" })
}

#[test]
fn nobody_learns_why_he_is_not_let_in() {
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let config = GateConfig::in_front_of(&legacy).with_portal().uncounted();
    let gate = Gate::start(config.set(&["limits", "failure_delay"], "600ms"));
    let (bound, mailbox_password) = legacy.user(0);
    let (unbound, _) = legacy.user(1);
    let (other, others_password) = legacy.user(2);
    let made = gate.app_password(bound, mailbox_password, &[]);
    let others = gate.app_password(other, others_password, &[]);
    let revoked = gate.app_password(bound, mailbox_password, &[]);
    gate.cli(&["app-password", "revoke", bound, &revoked.id]).success();
    gate.bind_totp(bound);

    let wrong = same_label(&made);
    let attempts = [
        ("an account that nobody has", "nobody@example.test", "some password"),
        ("a domain that no upstream serves", "user0@elsewhere.test", "some password"),
        ("a wrong password, nothing bound", unbound, "not the mailbox password"),
        ("the mailbox password, a factor bound", bound, mailbox_password),
        ("any password, a factor bound", bound, "not the mailbox password"),
        ("a wrong app password, a factor bound", bound, wrong.as_str()),
        ("an app password without its last symbol", bound, &made.password[..made.password.len() - 1]),
        ("a revoked app password", bound, revoked.password.as_str()),
        ("somebody else's app password", bound, others.password.as_str()),
        ("an app password, nothing bound", unbound, made.password.as_str()),
        ("a wrong app password, nothing bound", other, &same_label(&others)),
        ("the name in another spelling", "USER0@Example.Test", mailbox_password),
        ("a bare name", "user0", mailbox_password),
    ];
    on_each_protocol(|mail| {
        let replies = attempts.map(|(what, user, password)| {
            let begun = Instant::now();
            let reply = log_in(&gate, mail, user, password);
            NOT_LET_IN.check_with_portal(mail, &reply);
            assert!(begun.elapsed() >= FAILURE_DELAY, "{what} is refused after {:?}", begun.elapsed());
            (what, reply)
        });
        let expected = &replies[0].1;
        for (what, reply) in &replies {
            assert_eq!(reply, expected, "{what} sounds different on {mail:?}");
        }
        let with_command = Guest::at(&gate, mail).log_in_with_command(bound, mailbox_password);
        assert_eq!(&with_command, expected, "the mechanism makes no difference");
        assert!(mail.is_yes(&log_in(&gate, mail, bound, &made.password)), "the app password gets in");
    });
}

/// The upstream counts failures too, and locks mailboxes: it must not hear those that the gate can judge itself.
#[test]
fn what_is_tried_on_a_bound_account_never_reaches_the_upstream() {
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let gate = Gate::start(GateConfig::in_front_of(&legacy).uncounted());
    let (bound, mailbox_password) = legacy.user(0);
    let (unbound, _) = legacy.user(1);
    let made = gate.app_password(bound, mailbox_password, &[]);
    gate.bind_totp(bound);
    let before = legacy.dovecot_log().len();

    let wrong = same_label(&made);
    for mail in PROTOCOLS {
        for password in [mailbox_password, "something else", wrong.as_str(), "aaaa bbbb cccc dddd"] {
            NOT_LET_IN.check(mail, &log_in(&gate, mail, bound, password));
        }
    }
    // What does go upstream is seen there, after all that came before it.
    NOT_LET_IN.check(Mail::Imap, &log_in(&gate, Mail::Imap, unbound, "something else"));
    let news = || legacy.dovecot_log().split_off(before);
    eventually("Dovecot logs a failure", || news().lines().any(|line| line.contains(unbound)));
    let seen = news();
    assert!(!seen.contains(bound), "Dovecot heard of `{bound}`:\n{seen}");
}
