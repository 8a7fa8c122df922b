//! Only a definite refusal is a refusal: what the client hears for each answer of an upstream to a login.

use crate::support::table::{IN_USE, LOGIN_DELAY, NOT_LET_IN, Row, TOO_MANY, UNAVAILABLE};
use crate::support::{Answer, Fake, Gate, GateConfig, Mail, Manner, UpstreamTls, log_in};

const USER: &str = "user0@example.test";

/// Logs in with what may be the mailbox password, and with an app password, once for each answer.
fn each_answer(mail: Mail, cases: &[(Answer, &Row)]) {
    let fake = Fake::start(mail);
    let config = GateConfig::in_front_of_fakes(&[&fake], UpstreamTls::None).uncounted();
    let gate = Gate::start(config);
    assert!(mail.is_yes(&log_in(&gate, mail, USER, "mailbox password")));
    for (number, (answer, row)) in cases.iter().enumerate() {
        // Where it says nothing, another gate that is soon out of patience; where it does, however late, it is heard.
        let hasty = matches!(answer, Answer::Silence).then(|| {
            let config = GateConfig::in_front_of_fakes(&[&fake], UpstreamTls::None).uncounted();
            Gate::start(config.set(&["upstream", "0", "login_deadline"], "1s"))
        });
        let gate = hasty.as_ref().unwrap_or(&gate);
        fake.behave(Manner { login: *answer, ..Manner::friendly(mail) });
        // Another one each time: what was refused is not asked about again at once.
        let reply = log_in(gate, mail, USER, &format!("mailbox password {number}"));
        row.check(mail, &reply);
        let conversations = fake.conversations();
        assert!(conversations > 1, "{answer:?}");
        row.check(mail, &log_in(gate, mail, USER, &format!("another password {number}")));
        assert_eq!(
            fake.conversations(),
            conversations + 1,
            "{answer:?}: nothing is retried with credentials"
        );
    }
    fake.behave(Manner::friendly(mail));
    assert!(mail.is_yes(&log_in(&gate, mail, USER, "mailbox password")), "as if nothing had been");
}

#[test]
fn imap() {
    let cases = [
        (Answer::Says("TAG NO [AUTHENTICATIONFAILED] Wrong"), &NOT_LET_IN),
        (Answer::Says("TAG NO Wrong"), &NOT_LET_IN),
        (Answer::Says("* NO [ALERT] Mind this\r\nTAG NO [AUTHENTICATIONFAILED] Wrong"), &NOT_LET_IN),
        (Answer::Ends("TAG NO [AUTHENTICATIONFAILED] Wrong"), &NOT_LET_IN),
        (Answer::Says("TAG NO [UNAVAILABLE] Down"), &UNAVAILABLE),
        (Answer::Says("TAG NO [unavailable] Down"), &UNAVAILABLE),
        (Answer::Says("TAG NO [LIMIT] Too many"), &UNAVAILABLE),
        (Answer::Says("TAG NO [INUSE] Busy"), &UNAVAILABLE),
        (Answer::Ends("* BYE Overloaded"), &UNAVAILABLE),
        (Answer::Ends(""), &UNAVAILABLE),
        (Answer::Says("TAG What?"), &UNAVAILABLE),
        (Answer::Silence, &UNAVAILABLE),
    ];
    each_answer(Mail::Imap, &cases);
}

#[test]
fn pop3() {
    let cases = [
        (Answer::Says("-ERR [AUTH] Wrong"), &NOT_LET_IN),
        (Answer::Says("-ERR Wrong"), &NOT_LET_IN),
        (Answer::Says("-ERR"), &NOT_LET_IN),
        (Answer::Ends("-ERR [AUTH] Wrong"), &NOT_LET_IN),
        (Answer::Says("-ERR [IN-USE] Busy"), &UNAVAILABLE),
        (Answer::Says("-ERR [LOGIN-DELAY] Too soon"), &UNAVAILABLE),
        (Answer::Says("-ERR [SYS/TEMP] Down"), &UNAVAILABLE),
        (Answer::Says("-ERR [SYS/PERM] Broken"), &UNAVAILABLE),
        (Answer::Says("-ERR [sys/temp] Down"), &UNAVAILABLE),
        (Answer::Ends(""), &UNAVAILABLE),
        (Answer::Says("What?"), &UNAVAILABLE),
        (Answer::Silence, &UNAVAILABLE),
    ];
    each_answer(Mail::Pop3, &cases);
}

#[test]
fn smtp() {
    let cases = [
        (Answer::Says("535 5.7.8 Wrong"), &NOT_LET_IN),
        (Answer::Says("535 Wrong"), &NOT_LET_IN),
        (Answer::Says("535-5.7.8 Wrong\r\n535 5.7.8 indeed"), &NOT_LET_IN),
        (Answer::Ends("535 5.7.8 Wrong"), &NOT_LET_IN),
        (Answer::Says("454 4.7.0 Down"), &UNAVAILABLE),
        (Answer::Ends("421 4.3.2 Overloaded"), &UNAVAILABLE),
        (Answer::Says("451 4.3.0 Try later"), &UNAVAILABLE),
        (Answer::Ends(""), &UNAVAILABLE),
        (Answer::Says("What?"), &UNAVAILABLE),
        (Answer::Silence, &UNAVAILABLE),
    ];
    each_answer(Mail::Smtp, &cases);
}

/// Some upstreams say so before they look at the password: a guesser hears nothing of it.
#[test]
fn in_use_and_login_delay_are_passed_on_to_whoever_is_known_to_be_right() {
    for (mail, says, row) in [
        (Mail::Imap, "TAG NO [INUSE] Busy", &IN_USE),
        (Mail::Pop3, "-ERR [IN-USE] Busy", &IN_USE),
        (Mail::Pop3, "-ERR [LOGIN-DELAY] Too soon", &LOGIN_DELAY),
    ] {
        let fake = Fake::start(mail);
        let gate = Gate::start(GateConfig::in_front_of_fakes(&[&fake], UpstreamTls::None).failures(1, 1));
        let bound = "bound@example.test";
        let made = gate.app_password(bound, "mailbox password", &[]);
        gate.bind_totp(bound);
        assert!(mail.is_yes(&log_in(&gate, mail, USER, "mailbox password")));
        fake.behave(Manner { login: Answer::Says(says), ..Manner::friendly(mail) });
        for _ in 0..2 {
            row.check(mail, &log_in(&gate, mail, USER, "mailbox password"));
            row.check(mail, &log_in(&gate, mail, bound, &made.password));
        }
        UNAVAILABLE.check(mail, &log_in(&gate, mail, "other@example.test", "a guess"));
        TOO_MANY.check(mail, &log_in(&gate, mail, "other@example.test", "another guess"));
    }
}

/// An app password stays what it is: what the upstream says about it is at worst that its seal is stale.
#[test]
fn an_app_password_that_the_upstream_does_not_answer_is_not_stale() {
    for (mail, temporary) in [
        (Mail::Imap, Answer::Says("TAG NO [UNAVAILABLE] Down")),
        (Mail::Pop3, Answer::Says("-ERR [SYS/TEMP] Down")),
        (Mail::Smtp, Answer::Says("454 4.7.0 Down")),
    ] {
        let fake = Fake::start(mail);
        let gate = Gate::start(GateConfig::in_front_of_fakes(&[&fake], UpstreamTls::None).failures(1, 1));
        let made = gate.app_password(USER, "mailbox password", &[]);
        gate.bind_totp(USER);
        fake.behave(Manner { login: temporary, ..Manner::friendly(mail) });
        for _ in 0..3 {
            UNAVAILABLE.check(mail, &log_in(&gate, mail, USER, &made.password));
        }
        fake.behave(Manner::friendly(mail));
        assert!(mail.is_yes(&log_in(&gate, mail, USER, &made.password)));
    }
}
