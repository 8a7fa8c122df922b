//! What clients of unbound accounts send is the mailbox password, which may hold anything that its server takes.

use crate::support::{Gate, GateConfig, LegacyOptions, LegacyServer, client};

#[test]
fn with_the_mailbox_password_whatever_it_is_made_of() {
    let options = LegacyOptions::default()
        .user("alice@example.test", "a \"b\\c\" {9} 'd' %e")
        .user("bøb@example.test", "pässwörd: 密码 ");
    let legacy = LegacyServer::start(options.fast_auth());
    let gate = Gate::start(GateConfig::in_front_of(&legacy));
    let ca = gate.ca_file().display().to_string();
    for (user, password) in [legacy.user(0), legacy.user(1)] {
        for (script, protocol) in [("imap.py", "imap"), ("pop3.py", "pop3"), ("smtp.py", "smtp")] {
            for mechanism in ["library", "plain", "login"] {
                let port = gate.port(protocol, true).to_string();
                let at = ["--port", &port, "--ca", &ca, "--only", "login", "--mechanism", mechanism];
                client(script, &[&at[..], &["--user", user, "--password", password]].concat()).success();
            }
        }
    }
}
