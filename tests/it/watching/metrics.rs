//! Metrics, from a gate at work.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use mailward::telemetry::table::METRICS;

use super::http::Watch;
use crate::support::{
    Fake, Gate, GateConfig, Guest, LegacyOptions, LegacyServer, Mail, Manner, UpstreamTls, eventually, log_in,
};

fn watched() -> (LegacyServer, Gate, Watch) {
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let (config, watch) = Watch::of(GateConfig::in_front_of(&legacy));
    let gate = Gate::start(config);
    (legacy, gate, watch)
}

#[test]
fn what_happens_at_the_doors_is_counted() {
    let (legacy, gate, watch) = watched();
    let (user, password) = legacy.user(0);
    let made = gate.app_password(user, password, &[]);
    let mut held = Guest::at(&gate, Mail::Imap);
    assert!(Mail::Imap.is_yes(&held.log_in(user, &made.password)));
    assert!(Mail::Imap.is_yes(&log_in(&gate, Mail::Imap, user, &made.password)));
    assert!(!Mail::Pop3.is_yes(&log_in(&gate, Mail::Pop3, user, "wrong")));

    let expect = |line: &str, wanted: f64| {
        eventually(&format!("`{line}` is {wanted}"), || (watch.number(line) - wanted).abs() < f64::EPSILON);
    };
    expect(r#"mailward_attempts_total{protocol="imap",outcome="admitted"}"#, 2.0);
    expect(r#"mailward_attempts_total{protocol="pop3",outcome="refused"}"#, 1.0);
    expect(r#"mailward_attempts_total{protocol="smtp",outcome="refused"}"#, 0.0);
    expect(r#"mailward_handshakes_total{protocol="imap",result="completed",version="1.3"}"#, 2.0);
    expect(r#"mailward_sessions{protocol="imap"}"#, 1.0);
    expect(r#"mailward_connections{protocol="imap"}"#, 1.0);
    expect(r#"mailward_upstream_logins_total{upstream="legacy",protocol="imap",result="accepted"}"#, 2.0);
    expect(r#"mailward_upstream_logins_total{upstream="legacy",protocol="pop3",result="refused"}"#, 1.0);
    expect(r#"mailward_upstream_login_seconds_count{upstream="legacy",protocol="imap"}"#, 2.0);
    expect("mailward_proof_cache_misses_total", 1.0);
    expect("mailward_proof_cache_hits_total", 1.0);
    expect("mailward_argon2_queue", 0.0);
    expect("mailward_audit_lag_seconds", 0.0);
    expect("mailward_ready", 1.0);
    let address = format!("{}:{}", legacy.host(), legacy.port("imap"));
    expect(&format!(r#"mailward_upstream_up{{upstream="legacy",protocol="imap",address="{address}"}}"#), 1.0);

    // While the session goes on.
    let to_client = r#"mailward_bytes_total{protocol="imap",direction="to_client"}"#;
    let before = watch.number(to_client);
    assert!(held.wire.imap("s", "SELECT INBOX").contains("s OK"));
    assert!(watch.number(to_client) > before + 50.0);
    drop(held);
    expect(r#"mailward_sessions{protocol="imap"}"#, 0.0);
    expect(r#"mailward_connections{protocol="imap"}"#, 0.0);
}

#[test]
fn how_long_a_slow_server_took_with_a_login_is_told() {
    let slow = Fake::start(Mail::Imap);
    // Two milliseconds for each byte of the greeting, the offer and the answer.
    slow.behave(Manner { slow: true, ..Manner::friendly(Mail::Imap) });
    let (config, watch) = Watch::of(GateConfig::in_front_of_fakes(&[&slow], UpstreamTls::None));
    let gate = Gate::start(config);
    let labels = r#"{upstream="legacy",protocol="imap"}"#;
    let begun = Instant::now();
    assert!(Mail::Imap.is_yes(&log_in(&gate, Mail::Imap, "somebody@example.test", "a mailbox password")));
    let all = begun.elapsed().as_secs_f64();
    let number = |what: &str| watch.number(&format!("mailward_upstream_login_seconds_{what}{labels}"));
    eventually("it is counted", || number("count") > 0.5);
    let took = number("sum");
    assert!((0.1..all).contains(&took), "{took} s of {all}");
}

#[test]
fn a_client_that_speaks_no_tls_is_a_failed_handshake() {
    let (_legacy, gate, watch) = watched();
    let mut stream =
        std::net::TcpStream::connect(("127.0.0.1", gate.port("smtp", true))).expect("a connection");
    stream.write_all(b"EHLO client.test\r\n").expect("a word in clear");
    let _ = stream.read(&mut [0; 64]);
    eventually("the handshake is counted", || {
        watch.number(r#"mailward_handshakes_total{protocol="smtp",result="failed",version=""}"#) > 0.5
    });
}

#[test]
fn every_metric_is_on_the_page_with_its_labels_and_nobody_is() {
    let (legacy, gate, watch) = watched();
    let (user, password) = legacy.user(0);
    for name in [user, "somebody.else@example.test", "x\"} 1\nmailward_fake 1"] {
        log_in(&gate, Mail::Imap, name, password);
    }
    let (status, page) = watch.get("/metrics");
    assert_eq!(status, 200);
    let mut seen = Vec::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').expect("a name and a number");
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|ending| name.strip_suffix(ending));
        let metric = METRICS.iter().find(|metric| metric.name == name || Some(metric.name) == base);
        let metric = metric.unwrap_or_else(|| panic!("`{name}` is not in the table"));
        seen.push(metric.name);
        for label in labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty()) {
            let (label, _) = label.split_once('=').expect("a label");
            let known = metric.labels.iter().any(|(known, _)| *known == label);
            assert!(known || label == "le", "{line}");
        }
    }
    for metric in METRICS {
        assert!(seen.contains(&metric.name), "`{}` is not on the page", metric.name);
        assert!(page.contains(&format!("# TYPE {} {}\n", metric.name, metric.kind.as_str())));
    }
    for secret in ["@", "somebody", "fake", "127.0.0.1\"", password] {
        let bare: String = page.lines().filter(|line| !line.starts_with("mailward_upstream_up")).collect();
        assert!(!bare.contains(secret), "`{secret}` in\n{page}");
    }
}

#[test]
fn who_asks_slowly_or_too_much_holds_up_nobody() {
    let (_legacy, _gate, watch) = watched();
    let slow: Vec<_> = (0..15).map(|_| watch.connect()).collect();
    let began = Instant::now();
    assert_eq!(watch.get("/healthz"), (200, "ok\n".to_owned()), "one place is left");
    assert!(began.elapsed() < Duration::from_secs(3));
    for mut stream in slow {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).expect("the listener closes");
        assert!(began.elapsed() < Duration::from_secs(9), "nobody may say nothing for longer");
    }
    let (status, answer) = watch.ask("POST /metrics HTTP/1.1\r\nHost: gate\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((status, answer.as_str()), (405, "only GET\n"));
    let (status, answer) = watch.get("/etc/passwd?canary");
    assert!(status == 404 && !answer.contains("canary"), "{status} {answer}");
    let (status, _) = watch.ask(&format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(20_000)));
    assert_eq!(status, 431);
}
