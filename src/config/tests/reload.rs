//! What becomes of each key when the file changes under a gate that serves: all that the schema knows are on one of two
//! lists, and the page for administrators says the same.
//!
//! That what changes at once is seen at once, `tests/it/operation` shows with a gate.

use std::collections::BTreeSet;
use std::fs;

use regex::Regex;
use toml::{Table, Value};

use super::schema::walk;
use super::*;

/// Keys that wait for the next start, and another value than the reference has.
const AT_THE_NEXT_START: [(&str, &str); 7] = [
    ("server.data_dir", "'/elsewhere'"),
    ("database.url", "'sqlite:///elsewhere/mailward.db'"),
    ("limits.connections", "1000"),
    ("portal.listen", "'[::]:444'"),
    ("audit.directory", "'/elsewhere'"),
    ("audit.reserve", "'1MiB'"),
    ("metrics.listen", "'127.0.0.1:9465'"),
];

/// Keys that change while the gate serves, and another value; none where no other fits the rest of the reference.
const AT_ONCE: [(&str, &str); 83] = [
    ("server.hostname", "'mx.example.org'"),
    ("server.refusal_text", "'zh'"),
    ("server.drain", "'20s'"),
    ("tls.certificate.cert", "'other.pem'"),
    ("tls.certificate.key", "'other.pem'"),
    ("listener.protocol", "'pop3'"),
    ("listener.address", "'[::]:9993'"),
    ("listener.tls", "'starttls'"),
    ("listener.upstreams", "[]"),
    ("listener.proxy_protocol_from", "['192.0.2.1']"),
    ("upstream.name", ""),
    ("upstream.domains", "['example.org', 'example.net']"),
    ("upstream.default_domain", ""),
    ("upstream.domain_aliases", "['other.example.org']"),
    ("upstream.aliases_file", ""),
    ("upstream.sub_address_delimiter", "'-'"),
    ("upstream.hostnames", "['imap.example.org']"),
    ("upstream.accounts", "'listed'"),
    ("upstream.login", "'local-part'"),
    ("upstream.credential", ""),
    ("upstream.imap.address", "['10.0.0.7:143']"),
    ("upstream.imap.tls", "'implicit'"),
    ("upstream.imap.server_name", "'other.example.org'"),
    ("upstream.imap.ca_file", "'/other.pem'"),
    ("upstream.imap.pin_sha256", ""),
    ("upstream.pop3.address", "['10.0.0.7:995']"),
    ("upstream.pop3.tls", "'starttls'"),
    ("upstream.pop3.server_name", ""),
    ("upstream.pop3.ca_file", ""),
    ("upstream.pop3.pin_sha256", "'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='"),
    ("upstream.smtp.address", "['127.0.0.1:588']"),
    ("upstream.smtp.tls", "'starttls'"),
    ("upstream.smtp.server_name", ""),
    ("upstream.smtp.ca_file", ""),
    ("upstream.smtp.pin_sha256", ""),
    ("upstream.forward_client", "'none'"),
    ("upstream.connect_deadline", "'6s'"),
    ("upstream.login_deadline", "'31s'"),
    ("upstream.refresh", "'11m'"),
    ("upstream.max_connections", "7"),
    ("upstream.same_passwords_as", "['older']"),
    ("upstream.failures_in_all", "{ burst = 61, per = '1m' }"),
    ("upstream.failures_per_account", "{ burst = 11, per = '10m' }"),
    ("upstream.master.user", "'other'"),
    ("upstream.master.password_file", "'/other'"),
    ("upstream.master.style", "'authzid'"),
    ("policy.second_factor", ""),
    ("policy.required_since", "2028-01-01"),
    ("policy.grace_period", "'15d'"),
    ("policy.factors", "['totp']"),
    ("policy.recommended", "['passkey']"),
    ("policy.totp_period", "'60s'"),
    ("policy.totp_digits", "8"),
    ("policy.app_passwords_after_unbind", "'keep'"),
    ("policy.app_passwords_per_account", "21"),
    ("policy.trusted_device", "'8d'"),
    ("policy.enrol_by", "'link'"),
    ("policy.enrol_from", "['192.0.2.0/24']"),
    ("policy.app_passwords_without_factor", "'keep'"),
    ("policy.help_zh", "'问'"),
    ("policy.help_en", "'Ask.'"),
    ("policy.contact", "'tel:1'"),
    ("limits.per_network", "{ burst = 21, per = '10m' }"),
    ("limits.per_account", "{ burst = 11, per = '10m' }"),
    ("limits.preauth_per_network", "201"),
    ("limits.sessions_per_account", "101"),
    ("limits.exempt", "['192.0.2.0/24']"),
    ("limits.auth_deadline", "'61s'"),
    ("limits.tls_deadline", "'11s'"),
    ("limits.failure_delay", "'4s'"),
    ("limits.idle", "'36m'"),
    ("limits.proof_cache", "'2h'"),
    ("portal.public_url", "'https://other.example.org'"),
    ("portal.proxy_protocol_from", "['192.0.2.1']"),
    ("mail.relay", "'other.example.org:587'"),
    ("mail.tls", "'implicit'"),
    ("mail.server_name", "'other.example.org'"),
    ("mail.ca_file", "'/other.pem'"),
    ("mail.user", "'other'"),
    ("mail.password_file", "'/other'"),
    ("mail.from", "'other@example.org'"),
    ("audit.when_full", "'continue'"),
    ("audit.retention", "'400d'"),
];

#[test]
fn every_key_of_the_schema_is_on_one_of_the_lists() {
    let (mut keys, mut groups) = (BTreeSet::new(), BTreeSet::new());
    walk(&schema(), "", &mut |path, _| {
        if let Some((group, _)) = path.rsplit_once('.') {
            groups.insert(group.to_owned());
        }
        keys.insert(path.to_owned());
    });
    // A rate is one value.
    let is_rate = |key: &str| keys.contains(&format!("{key}.burst"));
    let is_key = |key: &&String| match key.rsplit_once('.') {
        Some((group, _)) if is_rate(group) => false,
        _ => !groups.contains(*key) || is_rate(key),
    };
    let keys: Vec<_> = keys.iter().filter(is_key).map(String::as_str).collect();
    let mut listed: Vec<_> = AT_THE_NEXT_START.iter().chain(&AT_ONCE).map(|(key, _)| *key).collect();
    listed.sort_unstable();
    assert_eq!(listed, keys, "say what becomes of it when the file changes, and show that with a gate");
}

#[test]
fn the_keys_that_wait_are_named_and_put_back_and_no_others() {
    let running = parse(REFERENCE);
    let shown = |config: &Config| format!("{config:?}");
    for (key, value) in AT_THE_NEXT_START {
        let mut changed = with(key, value);
        assert_ne!(shown(&changed), shown(&running), "{key} has another value");
        assert_eq!(changed.keep_what_needs_a_restart(&running), [key]);
        assert_eq!(shown(&changed), shown(&running), "{key} is as it was");
    }
    for (key, value) in AT_ONCE.into_iter().filter(|(_, value)| !value.is_empty()) {
        let mut changed = with(key, value);
        assert!(changed.keep_what_needs_a_restart(&running).is_empty(), "{key} waits for nothing");
        assert_ne!(shown(&changed), shown(&running), "{key} is not put back");
    }
}

#[test]
fn administrators_read_of_each_key_what_becomes_of_it() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/admin/operation.md");
    let page = fs::read_to_string(page).unwrap();
    let named = Regex::new("`([^`]+)`").unwrap();
    let (mut waiting, mut others) = (vec![], vec![]);
    let rows = page.lines().skip_while(|line| !line.starts_with("| you change |")).skip(2);
    for row in rows.take_while(|line| line.starts_with('|')) {
        let (keys, becomes) = row.trim_matches(['|', ' ']).split_once(" | ").unwrap();
        let list = if becomes.starts_with("**at the next start**") { &mut waiting } else { &mut others };
        list.extend(named.captures_iter(keys).map(|found| found[1].trim_matches(['[', ']']).to_owned()));
    }
    waiting.sort();
    let mut expected = AT_THE_NEXT_START.map(|(key, _)| key);
    expected.sort_unstable();
    assert_eq!(waiting, expected);
    for (key, _) in AT_ONCE {
        let tells = |name: &String| key == name || key.starts_with(&format!("{name}."));
        assert!(others.iter().any(tells), "`{key}` stands in no row of the table");
    }
}

/// The reference, with another value of that key; in lists, of the first one's.
fn with(key: &str, value: &str) -> Config {
    let mut file: Table = REFERENCE.parse().unwrap();
    let (path, last) = key.rsplit_once('.').unwrap();
    let mut table = &mut file;
    for name in path.split('.') {
        table = match table.get_mut(name) {
            Some(Value::Table(inner)) => inner,
            Some(Value::Array(tables)) => tables[0].as_table_mut().unwrap(),
            other => panic!("{key}: {other:?}"),
        };
    }
    let value: Table = format!("value = {value}").parse().unwrap();
    table.insert(last.to_owned(), value["value"].clone());
    let text = toml::to_string(&file).unwrap();
    Config::parse(&text, Path::new("/etc/mailward/mailward.toml"))
        .unwrap_or_else(|error| panic!("{key}: {error}"))
}
