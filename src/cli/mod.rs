//! The command line: one file for each command, which asks the services and renders what they say as tables
//! or JSON.
//!
//! Nothing is decided here. Whoever runs a command is trusted as the system trusts them; what is shown may
//! come from hostile clients and is made harmless on its way to the terminal (`output`). Secrets are printed
//! only where that is the command's purpose, never logged.

mod account;
mod app_password;
mod audit;
mod completions;
mod config;
mod context;
mod doctor;
mod factor;
mod failure;
mod init;
mod invite;
mod mailbox;
mod man;
mod output;
mod planned;
mod policy;
mod prompt;
mod records;
mod report;
mod reseal;
mod serve;
mod session;
mod upstream;
mod users;
mod when;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::DEFAULT_PATH;
use account::AccountCommand;
use app_password::AppPasswordCommand;
use audit::AuditCommand;
use completions::Completions;
use config::ConfigCommand;
use context::Context;
use doctor::Doctor;
use factor::FactorCommand;
use init::Init;
use man::Man;
use policy::PolicyCommand;
use report::ReportCommand;
use serve::Serve;
use session::SessionCommand;

/// The gate in front of a mail server: app passwords and second factors for IMAP, POP3 and SMTP
#[derive(Parser)]
#[command(name = "mailward", version)]
struct Cli {
    /// The configuration file
    #[arg(short, long, global = true, value_name = "FILE", env = "MAILWARD_CONFIG", default_value = DEFAULT_PATH)]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Set up a gate: look at the mail server, write configuration, certificate and database
    Init(Init),
    Serve(Serve),
    Doctor(Doctor),
    #[command(subcommand)]
    Config(ConfigCommand),
    #[command(subcommand)]
    Account(AccountCommand),
    #[command(subcommand)]
    Factor(FactorCommand),
    #[command(subcommand)]
    AppPassword(AppPasswordCommand),
    #[command(subcommand)]
    Session(SessionCommand),
    #[command(subcommand)]
    Audit(AuditCommand),
    #[command(subcommand)]
    Policy(PolicyCommand),
    #[command(subcommand)]
    Report(ReportCommand),
    Completions(Completions),
    Man(Man),
}

/// How records are printed.
#[derive(Clone, Copy, Args)]
struct Format {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs what the arguments of this process ask for.
///
/// Exits with 0 when done, 1 when it failed, 2 when it was called wrongly, 3 when what it is about does not
/// exist, 4 when policy refused it.
#[must_use]
pub fn run() -> ExitCode {
    let mut command = planned::announce(Cli::command().subcommand_required(false));
    let matches = command.get_matches_mut();
    if matches.subcommand_name().is_none() {
        failure::complain(&command.render_help().to_string());
        return ExitCode::from(2);
    }
    let asked = planned::refuse(&matches).and_then(|()| Ok(Cli::from_arg_matches(&matches)?));
    match asked.and_then(Cli::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error),
    }
}

impl Cli {
    fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Init(init) => here(init.run(&self.config)),
            Command::Serve(serve) => serve.run(&self.config),
            Command::Doctor(doctor) => here(doctor.run(&self.config)),
            Command::Config(command) => command.run(&self.config),
            Command::Account(command) => on_site(&self.config, async |site| command.run(site).await),
            Command::Factor(command) => on_site(&self.config, async |site| command.run(site).await),
            Command::AppPassword(command) => on_site(&self.config, async |site| command.run(site).await),
            Command::Session(command) => on_site(&self.config, async |site| command.run(site).await),
            Command::Audit(command) => on_site(&self.config, async |site| command.run(site).await),
            Command::Policy(command) => command.run(&self.config),
            Command::Report(command) => on_site(&self.config, async |site| command.run(site).await),
            Command::Completions(completions) => completions.run(),
            Command::Man(man) => man.run(),
        }
    }
}

/// Opens the site, works on it, and closes it whatever came of that.
fn on_site(
    config: &std::path::Path,
    work: impl AsyncFnOnce(&Context) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    here(async {
        let context = Context::open(config).await?;
        let result = work(&context).await;
        context.close().await;
        result
    })
}

/// Commands do one thing after the other: one thread is enough.
fn here<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
