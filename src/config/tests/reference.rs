//! The reference, `config/mailward.toml`, against the types and their defaults.

use std::collections::BTreeSet;

use super::super::document::{Raw, keys_of};
use super::super::policy::RawPolicy;
use super::super::reference::Reference;
use super::*;

#[test]
fn the_reference_parses_and_shows_the_defaults() {
    let reference = parse(REFERENCE);
    let defaults = parse(SHORTEST);
    assert_eq!(format!("{:?}", reference.limits), format!("{:?}", defaults.limits));
    assert_eq!(format!("{:?}", reference.server), format!("{:?}", defaults.server));
    assert_eq!(format!("{:?}", reference.database), format!("{:?}", defaults.database));
    assert_eq!(format!("{:?}", reference.audit), format!("{:?}", defaults.audit));
    let (shown, default) = (&reference.upstreams[0], &defaults.upstreams[0]);
    assert_eq!(
        (shown.connect_deadline, shown.login_deadline, shown.refresh, &shown.login),
        (default.connect_deadline, default.login_deadline, default.refresh, &default.login)
    );
    assert_eq!((shown.max_connections, default.max_connections), (0, 0));
    assert_eq!(shown.failures_in_all, default.failures_in_all);
    assert_eq!(shown.failures_per_account, default.failures_per_account);
    assert_eq!(shown.forward_client, default.forward_client);
    assert_eq!(shown.sub_address_delimiter, default.sub_address_delimiter);
    assert!(shown.aliases.is_none() && default.aliases.is_none());
    let (shown, default) = (&reference.policies.default, &defaults.policies.default);
    assert_eq!(
        (&shown.factors, shown.app_passwords_after_unbind, shown.app_passwords_per_account),
        (&default.factors, default.app_passwords_after_unbind, default.app_passwords_per_account)
    );
    let Requirement::Required { since, grace } = shown.second_factor else { panic!("{shown:?}") };
    assert_eq!((since.to_string().as_str(), grace.as_secs()), ("2027-01-01T00:00:00Z", 14 * 86_400));
    assert_eq!(reference.policies.of("example.org").second_factor, Requirement::Optional);
}

#[test]
fn the_words_on_each_rule_say_its_default() {
    let reference = Reference::read();
    let defaults: toml::Table = show::rules_to_toml(&Policy::default()).unwrap().parse().unwrap();
    for (key, value) in defaults {
        let told = reference.describe("policy", &key).unwrap();
        let (_, default) =
            told.split_once("Default: ").unwrap_or_else(|| panic!("`{key}` has no default: {told}"));
        assert!(default.contains(&value.to_string()), "`{key}` is {value}: {told}");
    }
}

#[test]
fn the_shortest_file_of_the_reference_parses() {
    let (_, shortest) = REFERENCE.split_once("# [server]\n").unwrap();
    let text = format!("# [server]\n{shortest}").replace("\n# ", "\n").replace("\n#\n", "\n\n");
    parse(text.strip_prefix("# ").unwrap());
}

#[test]
fn the_reference_has_every_key_of_the_types_and_no_other() {
    let reference: toml::Table = toml::from_str(REFERENCE).unwrap();
    let table = |value: &toml::Value| value.as_table().unwrap().clone();
    let first = |value: &toml::Value| table(&value[0]);
    let keys =
        |tables: &[toml::Table]| tables.iter().flat_map(toml::Table::keys).cloned().collect::<BTreeSet<_>>();
    let upstream = first(&reference["upstream"]);
    let endpoints = ["imap", "pop3", "smtp"].map(|protocol| table(&upstream[protocol]));
    let limits = table(&reference["limits"]);
    let mut policy = table(&reference["policy"]);
    policy.retain(|_, value| !value.is_table());
    let of = |raw: Vec<String>| raw.into_iter().collect::<BTreeSet<_>>();

    assert_eq!(keys(std::slice::from_ref(&reference)), of(SECTIONS.map(String::from).to_vec()));
    assert_eq!(keys(&[table(&reference["server"])]), of(keys_of::<RawServer>()));
    assert_eq!(keys(&[table(&reference["database"])]), of(keys_of::<RawDatabase>()));
    assert_eq!(keys(&[first(&reference["tls"]["certificate"])]), of(keys_of::<RawCertificate>()));
    assert_eq!(keys(&[first(&reference["listener"])]), of(keys_of::<RawListener>()));
    assert_eq!(keys(std::slice::from_ref(&upstream)), of(keys_of::<RawUpstream>()));
    assert_eq!(keys(&endpoints), of(keys_of::<endpoint::RawEndpoint>()));
    assert_eq!(keys(&[table(&upstream["master"])]), of(keys_of::<master::RawMaster>()));
    assert_eq!(keys(&[policy]), of(keys_of::<RawPolicy>()));
    assert_eq!(keys(std::slice::from_ref(&limits)), of(keys_of::<RawLimits>()));
    assert_eq!(keys(&[table(&limits["per_network"])]), of(keys_of::<limits::RawRate>()));
    assert_eq!(keys(&[table(&reference["portal"])]), of(keys_of::<RawPortal>()));
    assert_eq!(keys(&[table(&reference["mail"])]), of(keys_of::<RawMail>()));
    assert_eq!(keys(&[table(&reference["audit"])]), of(keys_of::<RawAudit>()));
    assert_eq!(keys(&[table(&reference["metrics"])]), of(keys_of::<RawMetrics>()));
}

impl Raw for endpoint::RawEndpoint {}
impl Raw for master::RawMaster {}
impl Raw for limits::RawRate {}
