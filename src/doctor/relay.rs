//! The relay that takes mail to users: whether it answers as it should.

use std::error::Error;

use super::{Area, Report, leg, told};
use crate::config::Config;
use crate::notify::{Answers, Relay, RelayError};

const AREA: Area = Area::Relay;

pub(super) async fn look(config: &Config, report: &mut Report) {
    let Some(mail) = &config.mail else { return };
    let subject = format!("the relay at {}", mail.relay);
    let answers = match Relay::open(mail, &config.server.hostname) {
        Ok(relay) => relay.look().await,
        Err(error) => Err(error),
    };
    match answers {
        Ok(Answers::Usable) => {
            let login = if mail.login.is_some() {
                " and takes logins; the password was not tried"
            } else {
                "; the gate does not log in there"
            };
            report.good(AREA, subject, format!("answers {}{login}", leg(mail.tls)));
        }
        Ok(Answers::WithoutLogin) => report.wrong(
            AREA,
            subject,
            "offers no way to log in, so that nothing can be sent",
            "is that its port for submission? Else remove `user` and `password_file` from `[mail]`",
        ),
        Err(error) => {
            let (found, hint) = match &error {
                // Its causes say the same in turn, each in more words; what it said itself is a stranger's text.
                RelayError::Smtp(error) => (format!("cannot be used: {}", innermost(error)), None),
                RelayError::Roots { .. }
                | RelayError::Password(_)
                | RelayError::NotUtf8
                | RelayError::TimedOut => told(&error),
            };
            let hint = hint.unwrap_or_else(|| hint_for(&error).to_owned());
            report.wrong(AREA, subject, found, hint);
        }
    }
}

fn innermost(mut error: &(dyn Error + 'static)) -> String {
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}

fn hint_for(error: &RelayError) -> &'static str {
    match error {
        RelayError::Roots { .. } => "correct `ca_file` in `[mail]`",
        RelayError::Password(_) | RelayError::NotUtf8 => {
            "correct the file that `password_file` in `[mail]` names"
        }
        RelayError::Smtp(_) | RelayError::TimedOut => {
            "correct `relay`, `tls`, `server_name` or `ca_file` in `[mail]`; is the relay running, and does every firewall between let the gate through?"
        }
    }
}
