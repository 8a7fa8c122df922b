//! Every metric: its name, its labels, what it says. The page of metrics is generated from here, and the dashboard is
//! checked against it.
//!
//! Names are part of the outward contract: dashboards and alerts of others count on them.

/// What kind of number it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only goes up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts in steps.
    Histogram,
}

impl Kind {
    /// As Prometheus calls it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric.
#[derive(Debug)]
pub struct Metric {
    /// As it stands on the page.
    pub name: &'static str,
    /// What kind.
    pub kind: Kind,
    /// Its labels, and the values that each may have; none is chosen by who connects.
    pub labels: &'static [(&'static str, &'static str)],
    /// One sentence.
    pub help: &'static str,
}

const PROTOCOL: (&str, &str) = ("protocol", "`imap`, `pop3`, `smtp`");
const OUTCOME: (&str, &str) =
    ("outcome", "`admitted`, `refused`, `limited` (turned away unseen), `unavailable` (a temporary failure)");
const UPSTREAM: (&str, &str) = ("upstream", "a `name` of the configuration");

macro_rules! metrics {
    ($($ident:ident $kind:ident $name:literal [$($label:expr),*] $help:literal)*) => {
        $(pub(super) const $ident: Metric =
            Metric { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };)*
        /// All of them, in the order of the page.
        pub const METRICS: &[Metric] = &[$($ident),*];
    };
}

metrics! {
    ATTEMPTS Counter "mailward_attempts_total"
        [PROTOCOL, OUTCOME]
        "Attempts to log in, by what became of them."
    SIGN_INS Counter "mailward_portal_sign_ins_total" [OUTCOME]
        "Tries to sign in to the portal with a mailbox password, by what became of them."
    SECOND_FACTORS Counter "mailward_portal_second_factors_total" [OUTCOME]
        "Answers for a second factor in the portal, by what became of them."
    PAGES Counter "mailward_portal_answers_total"
        [("result", "`given`, `foreign` (a form of another site or session), `senseless`, `limited` (asked for too often), `failed`")]
        "Requests that the portal answered."
    NOTICES Counter "mailward_notices_total" [("result", "`sent`, `put_off`, `given_up`")]
        "What users are told by mail, by what became of it."
    HANDSHAKES Counter "mailward_handshakes_total"
        [PROTOCOL, ("result", "`completed`, `failed`, `timed_out`"), ("version", "`1.2`, `1.3`, or empty where there was no agreement")]
        "TLS handshakes with clients."
    CONNECTIONS Gauge "mailward_connections" [PROTOCOL]
        "Clients that are connected, logged in or not."
    SESSIONS Gauge "mailward_sessions" [PROTOCOL]
        "Clients that are logged in."
    BYTES Counter "mailward_bytes_total"
        [PROTOCOL, ("direction", "`from_client`, `to_client`")]
        "Bytes relayed between logged-in clients and their upstreams."
    UPSTREAM_UP Gauge "mailward_upstream_up"
        [UPSTREAM, PROTOCOL, ("address", "`host:port` of the configuration")]
        "Whether the server answers, as far as is known: 1 or 0. One that failed once is still up."
    UPSTREAM_CONNECTIONS Gauge "mailward_upstream_connections" [UPSTREAM]
        "Connections of the gate to the upstream: sessions, and logins under way."
    UPSTREAM_LOGINS Counter "mailward_upstream_logins_total"
        [UPSTREAM, PROTOCOL, ("result", "`accepted`, `refused`, `unavailable`")]
        "Logins at the upstream, by its answer."
    UPSTREAM_SECONDS Histogram "mailward_upstream_login_seconds" [UPSTREAM, PROTOCOL]
        "How long logins at the upstream took, from dialling to its answer."
    ARGON2_WAITING Gauge "mailward_argon2_queue" []
        "App passwords that wait to be proven."
    ARGON2_TURNED_AWAY Counter "mailward_argon2_turned_away_total" []
        "App passwords that were not proven because too many waited; their owners were told to come again."
    PROOFS_FOUND Counter "mailward_proof_cache_hits_total" []
        "Logins with an app password whose proof was still in memory."
    PROOFS_MISSED Counter "mailward_proof_cache_misses_total" []
        "Logins with an app password that had to be proven."
    AUDIT_RECORDS Counter "mailward_audit_records_total" []
        "Records written to the trail."
    AUDIT_SYNCS Counter "mailward_audit_syncs_total" []
        "Times that the disk was asked to keep them: records of one moment share one."
    AUDIT_FAILURES Counter "mailward_audit_failures_total" []
        "Records that could not be written."
    AUDIT_LAG Gauge "mailward_audit_lag_seconds" []
        "How long the oldest record has been waiting that the database does not know of yet."
    READY Gauge "mailward_ready" []
        "Whether `/readyz` says yes: 1 or 0."
    BUILD Gauge "mailward_build_info" [("version", "of the program")]
        "Always 1."
    MEMORY Gauge "process_resident_memory_bytes" []
        "Memory that the process has."
    CPU Counter "process_cpu_seconds_total" []
        "Processor time that the process has used."
    DESCRIPTORS Gauge "process_open_fds" []
        "Open descriptors: connections take two each once they are logged in."
    DESCRIPTORS_MAX Gauge "process_max_fds" []
        "How many it may open."
    STARTED Gauge "process_start_time_seconds" []
        "When it was started, in seconds since 1970."
}
