//! The configuration file, parsed into types that cannot be wrong.
//!
//! The administrator writes it; it is trusted, but never silently misread: an unknown key, a value out of
//! range, or a setting whose feature is not built is an error that names file, line, key and what to do.
//!
//! Each section has a file here with two forms of it. The *raw* form is what `serde` reads and writes, key
//! for key; the checked form is what the rest of the crate sees. `document` reads raw forms and gathers
//! mistakes, `config/mailward.toml` describes every key, and the tests hold the two together.

mod count;
mod document;
mod duration;
mod networks;
mod paths;
mod planned;
mod problem;
mod relations;
mod running;
mod schema;
mod size;

pub mod aliases;
pub mod audit;
pub mod database;
pub mod domain;
pub mod endpoint;
pub mod forward_client;
pub mod help;
pub mod limits;
pub mod listener;
pub mod login;
pub mod mail;
pub mod master;
pub mod metrics;
pub mod policy;
pub mod portal;
pub mod reference;
pub mod secret_file;
pub mod server;
pub mod show;
pub mod sub_address;
pub mod tls;
pub mod totp;
pub mod upstream;

use std::ops::Range;
use std::path::{Path, PathBuf};

pub use aliases::{AliasLine, AliasesFile};
pub use audit::{Audit, WhenFull};
pub use database::{Database, postgres_options};
pub use domain::DomainPattern;
pub use duration::{InvalidDuration, format as format_duration, parse as parse_duration};
pub use endpoint::{Endpoint, EndpointTls, HostPort, InvalidHostPort, show_pin};
pub use forward_client::ForwardClient;
pub use help::{Contact, Help};
pub use limits::{Limits, Rate};
pub use listener::{Listener, ListenerTls};
pub use login::LoginRewrite;
pub use mail::{Mail, MailLogin};
pub use master::{Master, MasterStyle};
pub use metrics::Metrics;
pub use policy::{AfterUnbind, EnrolBy, FactorKind, Policies, Policy, Requirement, WithoutFactor};
pub use portal::Portal;
pub use problem::{ConfigError, Problem};
pub use reference::{Entry, Reference};
pub use schema::schema;
pub use server::Server;
pub use sub_address::SubAddressDelimiter;
pub use tls::CertificateFiles;
pub use totp::TotpParameters;
pub use upstream::{AccountAdmission, Upstream, UpstreamCredential};

use audit::RawAudit;
use database::RawDatabase;
use document::{Document, Section};
use limits::RawLimits;
use listener::RawListener;
use mail::RawMail;
use metrics::RawMetrics;
use portal::RawPortal;
use server::RawServer;
use tls::RawCertificate;
use upstream::RawUpstream;

use crate::base::new_file;

/// Where the configuration is unless the command line or `MAILWARD_CONFIG` says otherwise.
pub const DEFAULT_PATH: &str = "/etc/mailward/mailward.toml";

/// The whole configuration, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[database]`
    pub database: Database,
    /// `[[tls.certificate]]`; at least one where a listener exists; the first is the default.
    pub certificates: Vec<CertificateFiles>,
    /// `[[listener]]`; at least one.
    pub listeners: Vec<Listener>,
    /// `[[upstream]]`; at least one, names and domains distinct.
    pub upstreams: Vec<Upstream>,
    /// `[policy]` and `[policy."domain"]`
    pub policies: Policies,
    /// `[limits]`
    pub limits: Limits,
    /// `[portal]`
    pub portal: Option<Portal>,
    /// `[mail]`; none: nothing is sent.
    pub mail: Option<Mail>,
    /// `[audit]`
    pub audit: Audit,
    /// `[metrics]`
    pub metrics: Option<Metrics>,
}

/// The sections that a file may have.
const SECTIONS: [&str; 11] = [
    "server", "database", "tls", "listener", "upstream", "policy", "limits", "portal", "mail", "audit",
    "metrics",
];

impl Config {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`ConfigError`], with every mistake that could be told from the others' consequences.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    /// Reads `text`, which stands in the file `path`: relative paths in it start from its folder. Files that belong
    /// to the configuration itself (`aliases_file`) are read too.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`]
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let (mut document, root) = Document::parse(text);
        if !document.is_clean() {
            return Err(document.into_error(path)); // what is no TOML has no sections to judge
        }
        match Self::assemble(&mut document, root, &folder_of(path)) {
            Some(config) if document.is_clean() => Ok(config),
            _ => Err(document.into_error(path)),
        }
    }

    /// First every section for itself, then what they say about each other: the second would only repeat
    /// the mistakes of the first.
    fn assemble<'t>(document: &mut Document<'t>, mut root: Section<'t>, base: &Path) -> Option<Self> {
        let [has_portal, has_mail, has_metrics] =
            ["portal", "mail", "metrics"].map(|key| root.table.contains_key(key));
        let server: Option<RawServer> = document.section(&mut root, "server");
        let database: Option<RawDatabase> = document.section(&mut root, "database");
        let certificates = certificates(document, &mut root);
        let listeners = document.sections::<RawListener>(&mut root, "listener", "[[listener]]");
        let upstreams = document.sections::<RawUpstream>(&mut root, "upstream", "[[upstream]]");
        let policies = document.take_table(&mut root, "policy").and_then(|s| Policies::read(s, document));
        let limits: Option<(_, RawLimits)> = document.spanned_section(&mut root, "limits");
        let portal: Option<(_, RawPortal)> =
            if has_portal { document.spanned_section(&mut root, "portal") } else { None };
        let mail: Option<(_, RawMail)> =
            if has_mail { document.spanned_section(&mut root, "mail") } else { None };
        let audit: Option<RawAudit> = document.section(&mut root, "audit");
        let metrics: Option<RawMetrics> =
            if has_metrics { document.section(&mut root, "metrics") } else { None };
        document.refuse_rest(&root, &SECTIONS, &[]);
        if !document.is_clean() {
            return None;
        }

        let server = server?.check(base);
        let (policies, ruled) = policies?;
        relations::check_ways(document, &listeners, &upstreams);
        let listeners = relations::check_listeners(document, listeners, !certificates.is_empty());
        relations::check_claims(document, &upstreams);
        relations::check_ruled(document, &ruled, &upstreams);
        let upstreams: Vec<(Range<usize>, Upstream)> = upstreams
            .into_iter()
            .filter_map(|(span, raw)| Some((span.clone(), raw.check(&span, base, document)?)))
            .collect();
        if document.is_clean() {
            relations::check_endpoints(document, &listeners, &upstreams);
            relations::check_shared_servers(document, &upstreams);
        }
        let (span, limits) = limits?;
        let limits = limits.check().map_err(|text| document.problem(&span, &text)).ok();
        let portal = portal
            .and_then(|(span, portal)| portal.check().map_err(|text| document.problem(&span, &text)).ok());
        let mail = mail
            .and_then(|(span, mail)| mail.check(base).map_err(|text| document.problem(&span, &text)).ok());
        if mail.is_none() && policies.offer(FactorKind::Mailbox) && document.is_clean() {
            document.problem(
                &(0..0),
                "`factors` in `[policy]` offers `mailbox`, and there is no `[mail]` to send codes by\nhint: add `[mail]`, or take `mailbox` out of `factors`",
            );
        }
        Some(Self {
            database: database?.check(base, &server.data_dir),
            audit: audit?.check(base, &server.data_dir),
            server,
            certificates: certificates.into_iter().map(|raw| raw.check(base)).collect(),
            listeners: listeners.into_iter().map(|(_, listener)| listener).collect(),
            upstreams: upstreams.into_iter().map(|(_, upstream)| upstream).collect(),
            policies,
            limits: limits?,
            portal,
            mail,
            metrics: metrics.map(Metrics::from),
        })
    }
}

/// `[tls]` holds nothing but certificates so far.
fn certificates<'t>(document: &mut Document<'t>, root: &mut Section<'t>) -> Vec<RawCertificate> {
    let Some(mut tls) = document.take_table(root, "tls") else { return vec![] };
    let certificates = document.sections(&mut tls, "certificate", "[[tls.certificate]]");
    document.refuse_rest(&tls, &["certificate"], &[]);
    certificates.into_iter().map(|(_, raw)| raw).collect()
}

/// Where relative paths start; absolute, so that it stays right wherever the process moves.
fn folder_of(path: &Path) -> PathBuf {
    let folder = new_file::directory_of(path);
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
}

#[cfg(test)]
mod tests;
