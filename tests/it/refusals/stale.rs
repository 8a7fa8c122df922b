//! The app password is right, the mailbox password sealed to it is not: the client must not ask for another.

use crate::support::table::{NOT_LET_IN, STALE};
use crate::support::{Gate, GateConfig, LegacyOptions, LegacyServer, PROTOCOLS, log_in, on_each_protocol};

#[test]
fn a_changed_mailbox_password_is_the_portals_business_not_the_clients() {
    let mut legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let gate = Gate::start(GateConfig::in_front_of(&legacy).with_portal().failures(1, 1));
    let (user, password) = legacy.user(0);
    let (user, password) = (user.to_owned(), password.to_owned());
    let made = gate.app_password(&user, &password, &[]);
    for mail in PROTOCOLS {
        assert!(mail.is_yes(&log_in(&gate, mail, &user, &made.password)));
    }

    legacy.change_password(0, "a new mailbox password");
    // More often than failures are allowed: this does not count.
    for _ in 0..2 {
        for mail in PROTOCOLS {
            STALE.check_with_portal(mail, &log_in(&gate, mail, &user, &made.password));
        }
    }
    let renewed = gate.app_password(&user, "a new mailbox password", &[]);
    for mail in PROTOCOLS {
        assert!(mail.is_yes(&log_in(&gate, mail, &user, &renewed.password)));
        assert!(
            mail.is_yes(&log_in(&gate, mail, &user, &made.password)),
            "the others were re-sealed with it"
        );
    }
}

/// A guesser who knows the label only must not learn that the account is stale.
#[test]
fn a_guesser_is_not_told_that_the_mailbox_password_has_changed() {
    let mut legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let gate = Gate::start(GateConfig::in_front_of(&legacy).with_portal().uncounted());
    let (user, password) = legacy.user(0);
    let (user, password) = (user.to_owned(), password.to_owned());
    let made = gate.app_password(&user, &password, &[]);
    gate.bind_totp(&user);
    legacy.change_password(0, "a new mailbox password");
    let wrong = made.password[..made.password.len() - 4].to_owned() + "2222";
    on_each_protocol(|mail| {
        STALE.check_with_portal(mail, &log_in(&gate, mail, &user, &made.password));
        NOT_LET_IN.check_with_portal(mail, &log_in(&gate, mail, &user, &wrong));
    });
}
