//! The effective configuration as a file: every key with the value in force, paths absolute, secrets masked.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Config;
use super::audit::RawAudit;
use super::database::RawDatabase;
use super::limits::RawLimits;
use super::listener::RawListener;
use super::mail::RawMail;
use super::metrics::RawMetrics;
use super::policy::{Policies, Policy, RawPolicy};
use super::portal::RawPortal;
use super::server::RawServer;
use super::tls::RawCertificate;
use super::upstream::RawUpstream;

#[derive(Serialize)]
struct RawConfig {
    server: RawServer,
    database: RawDatabase,
    tls: RawTls,
    listener: Vec<RawListener>,
    upstream: Vec<RawUpstream>,
    policy: RawPolicies,
    limits: RawLimits,
    #[serde(skip_serializing_if = "Option::is_none")]
    portal: Option<RawPortal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mail: Option<RawMail>,
    audit: RawAudit,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<RawMetrics>,
}

#[derive(Serialize)]
struct RawTls {
    certificate: Vec<RawCertificate>,
}

#[derive(Serialize)]
struct RawPolicies {
    #[serde(flatten)]
    default: RawPolicy,
    #[serde(flatten)]
    domains: BTreeMap<String, RawPolicy>,
}

impl From<&Policies> for RawPolicies {
    fn from(policies: &Policies) -> Self {
        Self {
            default: (&policies.default).into(),
            domains: policies.domains.iter().map(|(name, rules)| (name.to_string(), rules.into())).collect(),
        }
    }
}

/// Reads as the same configuration, but for the password of a PostgreSQL URL.
///
/// # Errors
/// When a path is not UTF-8, which TOML cannot hold.
pub fn to_toml(config: &Config) -> Result<String, toml::ser::Error> {
    let raw = RawConfig {
        server: (&config.server).into(),
        database: (&config.database).into(),
        tls: RawTls { certificate: config.certificates.iter().map(Into::into).collect() },
        listener: config.listeners.iter().map(Into::into).collect(),
        upstream: config.upstreams.iter().map(Into::into).collect(),
        policy: (&config.policies).into(),
        limits: (&config.limits).into(),
        portal: config.portal.as_ref().map(Into::into),
        mail: config.mail.as_ref().map(Into::into),
        audit: (&config.audit).into(),
        metrics: config.metrics.as_ref().map(Into::into),
    };
    toml::to_string(&raw)
}

/// The rules of one domain, as its section would say them.
///
/// # Errors
/// None that a policy from a file could cause.
pub fn rules_to_toml(policy: &Policy) -> Result<String, toml::ser::Error> {
    toml::to_string(&RawPolicy::from(policy))
}
