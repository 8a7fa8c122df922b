//! `mailward doctor`

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::{Format, output};
use crate::base::SystemClock;
use crate::doctor::{Finding, Manner, Mark, Report, examine};

/// Look at everything that the gate stands on; say what is wrong and how to mend it
///
/// Looks at the configuration, files, certificates, database, the mail servers and their other doors, the relay for
/// mail to users, DNS, the gate's own doors, the portal's among them, clock and limits. It changes nothing and sends no password. Exits with 1 if something is wrong (✗).
#[derive(Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    format: Format,
    /// The name server to ask, instead of those of /etc/resolv.conf
    #[arg(long, value_name = "ADDRESS:PORT", env = "MAILWARD_NAME_SERVER", hide = true)]
    name_server: Option<SocketAddr>,
}

impl Doctor {
    pub(super) async fn run(&self, path: &Path) -> anyhow::Result<()> {
        let manner = Manner { name_server: self.name_server };
        let report = examine(path, &manner, Arc::new(SystemClock::start())).await;
        let (wrong, doubtful) = (report.count(Mark::Wrong), report.count(Mark::Doubtful));
        if self.format.json {
            output::json(&json!({ "findings": report.findings, "wrong": wrong, "doubtful": doubtful }))?;
        } else {
            output::print(&rendered(&report))?;
        }
        match wrong {
            0 => Ok(()),
            1 => anyhow::bail!("one thing is wrong"),
            many => anyhow::bail!("{many} things are wrong"),
        }
    }
}

fn rendered(report: &Report) -> String {
    let mut text = String::new();
    let mut area = None;
    for Finding { area: of, mark, subject, found, hint } in &report.findings {
        if area != Some(*of) {
            text += if area.is_some() { "\n" } else { "" };
            text += of.title();
            text.push('\n');
            area = Some(*of);
        }
        let mut lines = found.lines().map(output::visible);
        let first = lines.next().unwrap_or_default();
        text += &format!("  {} {}: {first}\n", sign(*mark), output::visible(subject));
        for line in lines {
            text += &format!("      {line}\n");
        }
        if let Some(hint) = hint {
            text += &format!("      hint: {}\n", output::visible(hint));
        }
    }
    let (wrong, doubtful) = (report.count(Mark::Wrong), report.count(Mark::Doubtful));
    text + &match (wrong, doubtful) {
        (0, 0) => "\nnothing is wrong\n".to_owned(),
        (0, _) => format!("\nnothing is wrong for sure; {doubtful} to look at (!)\n"),
        (_, 0) => format!("\n{wrong} wrong (✗)\n"),
        (_, _) => format!("\n{wrong} wrong (✗), {doubtful} to look at (!)\n"),
    }
}

fn sign(mark: Mark) -> char {
    match mark {
        Mark::Good => '✓',
        Mark::Doubtful => '!',
        Mark::Wrong => '✗',
    }
}
