//! `max_connections`: as many as the server can take, over all protocols, and not one more.

use super::said;
use crate::support::table::UNAVAILABLE;
use crate::support::{Gate, GateConfig, Guest, LegacyOptions, LegacyServer, Mail, eventually, log_in};

#[test]
fn who_is_one_too_many_is_turned_away_for_the_time_being_whoever_it_is() {
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let config = GateConfig::in_front_of(&legacy).uncounted();
    let gate = Gate::start(config.set(&["upstream", "0", "max_connections"], 2));
    let (user, password) = legacy.user(0);
    let (bound, mailbox) = legacy.user(1);
    let made = gate.app_password(bound, mailbox, &[]);
    gate.bind_totp(bound);
    let enter = |mail| {
        let mut guest = Guest::at(&gate, mail);
        let reply = guest.log_in(user, password);
        assert!(mail.is_yes(&reply), "{reply}");
        guest
    };
    let (mut imap, _pop3) = (enter(Mail::Imap), enter(Mail::Pop3));
    for mail in [Mail::Imap, Mail::Pop3, Mail::Smtp] {
        for (user, password) in [
            (user, password),
            (user, "wrong"),
            (bound, made.password.as_str()),
            (bound, "wrong"),
            ("nobody@example.test", "wrong"),
        ] {
            UNAVAILABLE.check(mail, &log_in(&gate, mail, user, password));
        }
    }
    assert_eq!(said(&gate, "as many connections as it may"), 1, "once");
    assert!(!legacy.dovecot_log().contains("auth failed"), "nobody was asked");
    imap.wire.imap("out", "LOGOUT");
    drop(imap);
    eventually("the place comes back", || {
        Mail::Smtp.is_yes(&log_in(&gate, Mail::Smtp, bound, &made.password))
    });
}
