//! Rows that are told only to whoever presented the right password: bind first, out of scope, expired, suspended.

use std::time::Duration;

use crate::support::table::{BIND_FIRST, EXPIRED, NOT_LET_IN, OUT_OF_SCOPE, SUSPENDED};
use crate::support::{
    Gate, GateConfig, LegacyOptions, LegacyServer, Mail, PROTOCOLS, log_in, on_each_protocol,
};

/// A single failure would shut the account: so whatever is repeated here did not count.
fn one_failure(legacy: &LegacyServer) -> GateConfig {
    GateConfig::in_front_of(legacy).with_portal().failures(1, 1)
}

fn legacy_server() -> LegacyServer {
    LegacyServer::start(LegacyOptions::default().fast_auth())
}

#[test]
fn when_grace_is_over_both_passwords_lead_to_the_portal_until_a_factor_is_bound() {
    let legacy = legacy_server();
    let gate = Gate::start(one_failure(&legacy).required_since("2020-01-01", "14d"));
    let (user, password) = legacy.user(0);
    for _ in 0..3 {
        for mail in PROTOCOLS {
            BIND_FIRST.check_with_portal(mail, &log_in(&gate, mail, user, password));
        }
    }
    let made = gate.app_password(user, password, &[]);
    for _ in 0..3 {
        for mail in PROTOCOLS {
            BIND_FIRST.check_with_portal(mail, &log_in(&gate, mail, user, &made.password));
        }
    }
    gate.bind_totp(user);
    for mail in PROTOCOLS {
        assert!(mail.is_yes(&log_in(&gate, mail, user, &made.password)));
    }
}

#[test]
fn a_guesser_is_not_told_that_a_factor_is_required() {
    let legacy = legacy_server();
    let config = GateConfig::in_front_of(&legacy).with_portal().uncounted();
    let gate = Gate::start(config.required_since("2020-01-01", "0"));
    on_each_protocol(|mail| {
        let known = log_in(&gate, mail, legacy.user(0).0, "not the password");
        NOT_LET_IN.check_with_portal(mail, &known);
        assert_eq!(log_in(&gate, mail, "nobody@example.test", "not the password"), known);
    });
}

#[test]
fn within_grace_the_mailbox_password_gets_in() {
    let legacy = legacy_server();
    let config = GateConfig::in_front_of(&legacy).uncounted();
    let gate = Gate::start(config.required_since("2020-01-01", "36500d"));
    let (user, password) = legacy.user(0);
    for mail in PROTOCOLS {
        assert!(mail.is_yes(&log_in(&gate, mail, user, password)));
    }
    gate.bind_totp(user);
    for mail in PROTOCOLS {
        NOT_LET_IN.check(mail, &log_in(&gate, mail, user, password));
    }
}

#[test]
fn where_a_factor_is_required_only_listed_accounts_are_let_in_unless_the_site_says_otherwise() {
    let legacy = legacy_server();
    let config = GateConfig::in_front_of(&legacy).with_portal().uncounted();
    let gate = Gate::start(config.set(&["policy", "second_factor"], "required"));
    let ((listed, password), (unlisted, others)) = (legacy.user(0), legacy.user(1));
    gate.cli(&["account", "add", listed]).success();
    for mail in PROTOCOLS {
        BIND_FIRST.check_with_portal(mail, &log_in(&gate, mail, listed, password));
        NOT_LET_IN.check_with_portal(mail, &log_in(&gate, mail, unlisted, others));
    }
}

#[test]
fn an_app_password_is_good_for_its_own_protocols_only() {
    let legacy = legacy_server();
    let gate = Gate::start(one_failure(&legacy));
    let (user, password) = legacy.user(0);
    for its_own in PROTOCOLS {
        let made = gate.app_password(user, password, &["--protocols", its_own.name()]);
        for mail in PROTOCOLS {
            let reply = log_in(&gate, mail, user, &made.password);
            if mail == its_own {
                assert!(mail.is_yes(&reply), "{reply}");
            } else {
                OUT_OF_SCOPE.check_with_portal(mail, &reply);
            }
        }
    }
}

#[test]
fn an_app_password_is_good_in_its_own_networks_only() {
    let legacy = legacy_server();
    let gate = Gate::start(one_failure(&legacy));
    let (user, password) = legacy.user(0);
    let here = gate.app_password(user, password, &["--networks", "192.0.2.0/24,127.0.0.0/8"]);
    let elsewhere = gate.app_password(user, password, &["--networks", "192.0.2.0/24,2001:db8::/32"]);
    for mail in PROTOCOLS {
        OUT_OF_SCOPE.check_with_portal(mail, &log_in(&gate, mail, user, &elsewhere.password));
        assert!(mail.is_yes(&log_in(&gate, mail, user, &here.password)));
    }
}

#[test]
fn an_app_password_ends_when_it_expires() {
    let legacy = legacy_server();
    let gate = Gate::start(one_failure(&legacy));
    let (user, password) = legacy.user(0);
    let made = gate.app_password(user, password, &["--expires", "8s"]);
    // So that its proof is remembered: the end must reach that as well.
    assert!(Mail::Imap.is_yes(&log_in(&gate, Mail::Imap, user, &made.password)), "not expired yet");
    std::thread::sleep(Duration::from_secs(8));
    for mail in PROTOCOLS {
        EXPIRED.check_with_portal(mail, &log_in(&gate, mail, user, &made.password));
    }
}

#[test]
fn a_suspended_account_stays_out_until_it_is_resumed() {
    let legacy = legacy_server();
    let gate = Gate::start(one_failure(&legacy));
    let ((user, password), (unbound, mailbox_password)) = (legacy.user(0), legacy.user(1));
    let made = gate.app_password(user, password, &[]);
    gate.bind_totp(user);
    assert!(Mail::Imap.is_yes(&log_in(&gate, Mail::Imap, user, &made.password)));
    assert!(Mail::Imap.is_yes(&log_in(&gate, Mail::Imap, unbound, mailbox_password)));
    for account in [user, unbound] {
        gate.cli(&["account", "suspend", account]).success();
    }
    // A second is what the memory of a proof may lag behind.
    std::thread::sleep(Duration::from_secs(1));
    for mail in PROTOCOLS {
        SUSPENDED.check_with_portal(mail, &log_in(&gate, mail, user, &made.password));
        SUSPENDED.check_with_portal(mail, &log_in(&gate, mail, unbound, mailbox_password));
    }
    for account in [user, unbound] {
        gate.cli(&["account", "resume", account]).success();
    }
    std::thread::sleep(Duration::from_secs(1));
    for mail in PROTOCOLS {
        assert!(mail.is_yes(&log_in(&gate, mail, user, &made.password)));
        assert!(mail.is_yes(&log_in(&gate, mail, unbound, mailbox_password)));
    }
}

#[test]
fn a_guesser_is_not_told_that_an_account_is_suspended() {
    let legacy = legacy_server();
    let gate = Gate::start(GateConfig::in_front_of(&legacy).with_portal().uncounted());
    let (user, _) = legacy.user(0);
    gate.cli(&["account", "add", user]).success();
    gate.cli(&["account", "suspend", user]).success();
    on_each_protocol(|mail| {
        let reply = log_in(&gate, mail, user, "not the password");
        NOT_LET_IN.check_with_portal(mail, &reply);
        assert_eq!(reply, log_in(&gate, mail, "nobody@example.test", "not the password"));
    });
}
