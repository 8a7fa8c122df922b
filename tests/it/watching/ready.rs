//! Health and readiness.

use serde_json::Value;

use super::http::Watch;
use crate::support::{Gate, GateConfig, Guest, LegacyOptions, LegacyServer, Mail, eventually};

fn ready(watch: &Watch) -> (u16, Value) {
    let (status, body) = watch.get("/readyz");
    (status, serde_json::from_str(&body).unwrap_or_else(|_| panic!("no JSON: {body}")))
}

#[test]
fn a_gate_is_ready_though_its_upstream_is_down_and_says_so() {
    let mut legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let (config, watch) = Watch::of(GateConfig::in_front_of(&legacy));
    let gate = Gate::start(config);
    assert_eq!(ready(&watch), (200, serde_json::json!({ "ready": true, "reasons": [] })));
    let (user, password) = legacy.user(0);
    let (user, password) = (user.to_owned(), password.to_owned());
    legacy.stop();
    let reply = Guest::at(&gate, Mail::Imap).log_in(&user, &password);
    assert!(reply.contains("[UNAVAILABLE]"), "{reply}");
    let down = || ready(&watch).1["upstreams_down"].to_string();
    eventually("a second look has found it down", || down().contains("legacy/imap at 127.0.0.1:"));
    let (status, said) = ready(&watch);
    assert_eq!((status, &said["ready"]), (200, &Value::Bool(true)));
    let address = format!("{}:{}", legacy.host(), legacy.port("imap"));
    let up = format!(r#"mailward_upstream_up{{upstream="legacy",protocol="imap",address="{address}"}}"#);
    assert!(watch.number(&up) < 0.5, "the metrics say so, too");
    legacy.start_again();
    eventually("it is found up again", || watch.number(&up) > 0.5);
    assert!(!down().contains("imap"), "nothing is said of who is well");
}

#[test]
fn a_gate_that_drains_is_alive_and_not_ready() {
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let (config, watch) = Watch::of(GateConfig::in_front_of(&legacy));
    let gate = Gate::start(config);
    let (user, password) = legacy.user(0);
    let mut guest = Guest::at(&gate, Mail::Smtp);
    assert!(Mail::Smtp.is_yes(&guest.log_in(user, password)));
    // A message that is on its way keeps the gate for a moment.
    for command in [format!("MAIL FROM:<{user}>"), format!("RCPT TO:<{user}>"), "DATA".to_owned()] {
        guest.wire.command(&command);
    }
    guest.wire.send("Subject: half\r\n");
    gate.signal("TERM");
    eventually("it drains", || ready(&watch).0 == 503);
    let (_, said) = ready(&watch);
    assert_eq!(said["reasons"], serde_json::json!(["draining"]));
    assert_eq!(watch.get("/healthz").0, 200);
}
