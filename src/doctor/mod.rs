//! A look at everything that a gate stands on: what is wrong, and how to mend it.
//!
//! It changes nothing, makes no file, sends no credential, and needs no running gate. What it hears from servers is
//! shown cleaned. It says what it cannot know from where it stands, instead of calling that well.

mod certificates;
mod clock;
mod doors;
mod files;
mod listeners;
mod machine;
mod names;
mod relay;
mod storage;
mod upstreams;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use crate::account::Directory;
use crate::base::Clock;
use crate::config::{Config, EndpointTls, FactorKind};

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// As it should be.
    Good,
    /// Not wrong for sure, or not to be known from here: somebody should look.
    Doubtful,
    /// Wrong: something does not work, or is not safe.
    Wrong,
}

/// What belongs together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    /// The file itself.
    Configuration,
    /// Who may read and write what.
    Files,
    /// What clients are shown.
    Certificates,
    /// Database, trail, room on the disk.
    Storage,
    /// The mail servers behind the gate.
    Upstreams,
    /// Their doors beside the gate.
    OtherDoors,
    /// Through whom mail goes out to users.
    Relay,
    /// DNS.
    Names,
    /// The gate's own doors.
    Listeners,
    /// Clock and limits.
    Machine,
}

impl Area {
    /// As a headline.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Configuration => "Configuration",
            Self::Files => "Files",
            Self::Certificates => "Certificates",
            Self::Storage => "Database, trail, disk",
            Self::Upstreams => "Upstreams",
            Self::OtherDoors => "Other doors of the upstreams",
            Self::Relay => "Mail to users",
            Self::Names => "Names",
            Self::Listeners => "Listeners",
            Self::Machine => "Machine",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where it belongs.
    pub area: Area,
    /// How it is.
    pub mark: Mark,
    /// What it is about: a file, a server, a name.
    pub subject: String,
    /// What was found.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// All that was found, area by area.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// In the order in which things were looked at.
    pub findings: Vec<Finding>,
}

impl Report {
    /// How many are so.
    #[must_use]
    pub fn count(&self, mark: Mark) -> usize {
        self.findings.iter().filter(|finding| finding.mark == mark).count()
    }

    fn good(&mut self, area: Area, subject: impl Into<String>, found: impl Into<String>) {
        self.add(area, Mark::Good, subject, found, None);
    }

    fn doubtful(
        &mut self,
        area: Area,
        subject: impl Into<String>,
        found: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.add(area, Mark::Doubtful, subject, found, Some(hint.into()));
    }

    fn wrong(
        &mut self,
        area: Area,
        subject: impl Into<String>,
        found: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.add(area, Mark::Wrong, subject, found, Some(hint.into()));
    }

    /// An error of ours, whose text may end with a hint.
    fn failure(&mut self, area: Area, subject: impl Into<String>, error: &dyn std::error::Error) {
        let (found, hint) = told(error);
        self.add(area, Mark::Wrong, subject, found, hint);
    }

    fn add(
        &mut self,
        area: Area,
        mark: Mark,
        subject: impl Into<String>,
        found: impl Into<String>,
        hint: Option<String>,
    ) {
        let (subject, found) = (subject.into(), found.into());
        self.findings.push(Finding { area, mark, subject, found, hint });
    }
}

/// What an error says with all its causes, and the hint that one of them ends with.
fn told(error: &dyn std::error::Error) -> (String, Option<String>) {
    let causes = std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string);
    let mut texts: Vec<String> = vec![];
    let mut hint = None;
    for text in causes {
        let (text, own_hint) = match text.split_once("\nhint: ") {
            Some((text, hint)) => (text.to_owned(), Some(hint.to_owned())),
            None => (text, None),
        };
        hint = hint.or(own_hint);
        // Some repeat what caused them.
        if texts.last().is_none_or(|last| !last.ends_with(&text)) {
            texts.push(text);
        }
    }
    (texts.join(": "), hint)
}

/// How a connection to a server is protected.
fn leg(tls: EndpointTls) -> &'static str {
    match tls {
        EndpointTls::None => "without TLS",
        EndpointTls::Starttls => "over STARTTLS",
        EndpointTls::Implicit => "over TLS",
    }
}

/// What it is told besides the configuration.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    /// The name server to ask instead of those of `/etc/resolv.conf`.
    pub name_server: Option<SocketAddr>,
}

/// Looks at everything that the configuration at `path` names.
pub async fn examine(path: &Path, manner: &Manner, clock: Arc<dyn Clock>) -> Report {
    let mut report = Report::default();
    let subject = path.display().to_string();
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(error) => {
            // Everything else would be looked at where it is not.
            report.failure(Area::Configuration, subject, &error);
            return report;
        }
    };
    match Directory::new(&config.upstreams) {
        Ok(_) => report.good(Area::Configuration, subject, "can be read"),
        Err(error) => report.failure(Area::Configuration, subject, &error),
    }
    if config.policies.offer(FactorKind::Mailbox) {
        report.doubtful(
            Area::Configuration,
            "`mailbox` in `factors`",
            "codes by mail are offered as a second factor, which standards do not count as one (NIST SP 800-63B section 3.1.3.1)",
            "leave it out if you have to meet such a standard; else see to it that users have another factor, too",
        );
    }
    files::look(path, &config, &mut report);
    certificates::look(&config, &*clock, &mut report);
    storage::look(&config, &mut report).await;
    upstreams::look(&config, &*clock, &mut report).await;
    let dates = doors::look(&config, &mut report).await;
    relay::look(&config, &mut report).await;
    names::look(&config, manner, &mut report).await;
    listeners::look(&config, &mut report).await;
    clock::look(&dates, &*clock, &mut report);
    machine::look(&config, &mut report);
    report
}
