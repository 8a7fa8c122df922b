//! Thunderbird sets itself up with what the portal tells it: its own reader of that format judges the file.

use serde_json::json;
use tempfile::TempDir;

use super::mailbox::{Mailbox, sender};
use super::task::{BODY, Letter, messages_in};
use super::thunderbird;
use crate::support::{Gate, GateConfig, LegacyOptions, LegacyServer, Visitor, eventually};

#[test]
fn thunderbird_reads_and_sends_with_nothing_but_an_address_and_an_app_password() {
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let gate = Gate::start(GateConfig::in_front_of(&legacy).portal_at("127.0.0.1"));
    let (user, mailbox_password) = legacy.user(0);
    let app_password = gate.app_password(user, mailbox_password, &[]).password;
    gate.bind_totp(user);
    let kept = Letter { subject: "Kept".to_owned(), from: user.to_owned() };
    let letter = Letter { subject: "Set up by itself".to_owned(), from: user.to_owned() };
    let mut mailbox = Mailbox::open(&legacy, 0);
    mailbox.put(&kept);

    let asks = format!("/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress={user}");
    let xml = Visitor::before(gate.portal()).ask(&asks, &[]).success();
    let home = TempDir::new().expect("a temporary directory");
    let fetched = home.path().join("mail");
    std::fs::create_dir(&fetched).expect("a directory");
    let task = json!({
        "task": 0,
        "protocol": "autoconfig",
        "xml": xml,
        "user": user,
        "password": app_password,
        "subject": letter.subject,
        "body": BODY.replace('\n', "\r\n"),
        "save": fetched.display().to_string(),
    });
    let (results, words) = thunderbird::run(&gate.ca_file(), &[task]);
    let [result] = &results[..] else { panic!("no result; {words}") };
    assert!(result["problem"].is_null(), "{result}\n{words}");
    let fetched = messages_in(&fetched);
    assert!(matches!(&fetched[..], [message] if kept.is(message)), "{fetched:?}");
    let mut messages = Vec::new();
    eventually("what it sent is in the mailbox", || {
        messages = mailbox.messages();
        messages.len() == 2
    });
    let arrived = messages.iter().find(|message| letter.is(message)).expect("its letter");
    assert_eq!(sender(&legacy, arrived).as_deref(), Some(user));
}
