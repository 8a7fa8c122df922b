//! While the upstream is down nobody is told that a password is wrong, and only real guesses count.

use crate::support::table::{NOT_LET_IN, TOO_MANY, UNAVAILABLE};
use crate::support::{
    Answer, Fake, Gate, GateConfig, LegacyOptions, LegacyServer, Mail, Manner, PROTOCOLS, UpstreamTls,
    eventually, log_in, on_each_protocol,
};

#[test]
fn a_stopped_upstream_is_nobodys_failure() {
    let mut legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let gate = Gate::start(GateConfig::in_front_of(&legacy).with_portal().failures(1, 1));
    let (bound, password) = legacy.user(0);
    let (unbound, others) = legacy.user(1);
    let (bound, password) = (bound.to_owned(), password.to_owned());
    let (unbound, others) = (unbound.to_owned(), others.to_owned());
    let made = gate.app_password(&bound, &password, &[]);
    gate.bind_totp(&bound);

    legacy.stop();
    for _ in 0..2 {
        for mail in PROTOCOLS {
            let attempts = [
                (bound.as_str(), made.password.as_str()),
                (&unbound, &others),
                (&unbound, "not the password"),
                (&bound, &password),
                (&bound, "not the password"),
                ("nobody@example.test", "some password"),
            ];
            for (user, password) in attempts {
                UNAVAILABLE.check_with_portal(mail, &log_in(&gate, mail, user, password));
            }
        }
    }
    legacy.start_again();
    for mail in PROTOCOLS {
        eventually("the gate notices", || {
            let reply = log_in(&gate, mail, &bound, &made.password);
            if !mail.is_yes(&reply) {
                UNAVAILABLE.check_with_portal(mail, &reply);
            }
            mail.is_yes(&reply)
        });
        assert!(mail.is_yes(&log_in(&gate, mail, &unbound, &others)), "nor did what was never sent");
    }
    NOT_LET_IN.check(Mail::Imap, &log_in(&gate, Mail::Imap, "nobody@example.test", "some password"));
}

/// An upstream that is slow to say no must not give guesses for free.
#[test]
fn a_password_that_was_sent_and_not_answered_counts_unless_it_was_proven() {
    on_each_protocol(|mail| {
        let fake = Fake::start(mail);
        let config = GateConfig::in_front_of_fakes(&[&fake], UpstreamTls::None).failures(100, 1);
        // Also that of the logins that are answered.
        let gate = Gate::start(config.set(&["upstream", "0", "login_deadline"], "4s"));
        let made = gate.app_password("b@example.test", "mailbox password", &[]);

        fake.behave(Manner { login: Answer::Silence, ..Manner::friendly(mail) });
        UNAVAILABLE.check(mail, &log_in(&gate, mail, "a@example.test", "a guess"));
        TOO_MANY.check(mail, &log_in(&gate, mail, "a@example.test", "another guess"));
        for _ in 0..2 {
            UNAVAILABLE.check(mail, &log_in(&gate, mail, "b@example.test", &made.password));
        }
        fake.behave(Manner::friendly(mail));
        assert!(mail.is_yes(&log_in(&gate, mail, "b@example.test", &made.password)));
    });
}
