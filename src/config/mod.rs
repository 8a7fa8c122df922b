//! The configuration file, parsed into types that cannot be wrong.
//!
//! The administrator writes it; it is trusted, but never silently misread: an unknown key, a value out of
//! range, or a setting whose feature is not built is an error that names file, line, key and what to do.

pub mod audit;
pub mod database;
pub mod limits;
pub mod listener;
pub mod policy;
pub mod portal;
pub mod server;
pub mod tls;
pub mod upstream;

pub use audit::{Audit, WhenFull};
pub use database::Database;
pub use limits::{Limits, Rate};
pub use listener::{Listener, ListenerTls};
pub use policy::{AfterUnbind, FactorKind, Policies, Policy, Requirement};
pub use portal::Portal;
pub use server::Server;
pub use tls::CertificateFiles;
pub use upstream::{
    AccountAdmission, DomainPattern, Endpoint, EndpointTls, LoginRewrite, Master, MasterStyle, Upstream,
    UpstreamCredential,
};

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
    /// `[audit]`
    pub audit: Audit,
}
