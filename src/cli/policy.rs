//! `mailward policy show`

use std::path::Path;

use clap::Subcommand;
use serde_json::{Map, Value};

use super::failure::Failure;
use super::{Format, output};
use crate::account::Directory;
use crate::base::Domain;
use crate::config::{AccountAdmission, Config, Policy, show};

/// The rules: who must bind a second factor, and what is allowed
#[derive(Subcommand)]
pub(super) enum PolicyCommand {
    /// Print the rules in force, defaults included, as the configuration file would say them
    Show {
        /// Only those for accounts of this domain; else all that there are
        domain: Option<String>,
        #[command(flatten)]
        format: Format,
    },
}

impl PolicyCommand {
    pub(super) fn run(&self, path: &Path) -> anyhow::Result<()> {
        let Self::Show { domain, format } = self;
        let config = Config::load(path)?;
        match domain {
            Some(domain) => show_one(&config, domain, *format),
            None => show_all(&config, *format),
        }
    }
}

/// The rules of one domain, whatever other name of it was asked for.
fn show_one(config: &Config, name: &str, format: Format) -> anyhow::Result<()> {
    let asked = Domain::parse(name).map_err(|_| {
        Failure::usage(format!(
            "`{name}` is no domain\nhint: write what stands behind the `@`, such as `example.org`"
        ))
    })?;
    let directory = Directory::new(&config.upstreams)?;
    let domain = directory.domain_of_accounts(&asked).ok_or_else(|| {
        Failure::not_found(format!(
            "no `[[upstream]]` serves `{asked}`\nhint: correct the domain, or add it to `domains`"
        ))
    })?;
    let policy = config.policies.of(domain.as_str());
    if format.json {
        return output::json(&as_json(Some(&domain), policy)?);
    }
    let name = directory.upstream_of(&domain);
    let upstream = config.upstreams.iter().find(|one| Some(&one.name) == name);
    let accounts = AccountAdmission::in_force(upstream.and_then(|one| one.accounts), policy);
    output::print(&format!(
        "# accounts of {domain}\n# `[[upstream]]`: accounts = {}\n{}",
        toml::Value::try_from(accounts)?,
        show::rules_to_toml(policy)?
    ))
}

/// `[policy]`, and each section for a domain.
fn show_all(config: &Config, format: Format) -> anyhow::Result<()> {
    let policies = &config.policies;
    let all = || {
        std::iter::once((None, &policies.default)).chain(policies.domains.iter().map(|(d, p)| (Some(d), p)))
    };
    if format.json {
        let all = all().map(|(domain, policy)| as_json(domain, policy));
        return output::json(&all.collect::<anyhow::Result<Vec<_>>>()?);
    }
    let mut text = String::new();
    for (domain, policy) in all() {
        text += &match domain {
            None => "[policy]\n".to_owned(),
            Some(domain) => format!("\n[policy.\"{domain}\"]\n"),
        };
        text += &show::rules_to_toml(policy)?;
    }
    output::print(&text)
}

/// For programs: the keys of the file, and whose rules they are; `null` for accounts of every domain without rules of its own.
fn as_json(domain: Option<&Domain>, policy: &Policy) -> anyhow::Result<Value> {
    let mut value = Map::from_iter([("domain".to_owned(), domain.map(ToString::to_string).into())]);
    for (key, rule) in show::rules_to_toml(policy)?.parse::<toml::Table>()? {
        value.insert(key, json_of(rule)?);
    }
    Ok(value.into())
}

/// JSON has no days: they are text.
fn json_of(rule: toml::Value) -> serde_json::Result<Value> {
    if let toml::Value::Datetime(day) = &rule {
        Ok(day.to_string().into())
    } else {
        serde_json::to_value(rule)
    }
}
