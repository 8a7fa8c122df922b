//! `mailward account upstream`

use super::context::Context;
use super::failure::{self, Failure};
use super::{mailbox, output};
use crate::account::{Located, NameRefused};
use crate::base::{Protocol, UpstreamName};
use crate::config::{Listener, Upstream};

/// Binds the account to `upstream`, or to none.
pub(super) async fn bind(context: &Context, name: &str, upstream: Option<&str>) -> anyhow::Result<()> {
    let address = context.account(name).await?.address;
    let home = context.locate(address.as_str())?;
    let upstream = upstream.map(|name| UpstreamName(name.to_owned()));
    let there = match &upstream {
        Some(upstream) => {
            let there = at(context, &home, upstream)?;
            reachable(context, &home, &there)?;
            there
        }
        None => home.clone(),
    };
    let trail = context.trail().await?;
    let bound = context.site.accounts().bind_to_upstream(&home, upstream.as_ref(), &trail.author()).await;
    trail.close_in_force().await;
    let bound = bound?;
    output::line(&match (bound.changed, &upstream) {
        (false, Some(_)) => format!("{address} is bound to `{}` already", bound.to),
        (false, None) => format!("{address} is bound to no upstream; its domain leads to `{}`", bound.to),
        (true, Some(_)) if bound.from == bound.to => {
            format!("{address} stays at `{}`, wherever its domain leads", bound.to)
        }
        (true, Some(_)) => format!("moved {address} from `{}` to `{}`", bound.from, bound.to),
        (true, None) if bound.from == bound.to => {
            format!("{address} is at `{}` because of its domain now", bound.to)
        }
        (true, None) => {
            format!("moved {address} from `{}` back to `{}`, where its domain leads", bound.from, bound.to)
        }
    })?;
    warn_of_stale(context, &there).await
}

/// The account as `upstream` would know it.
fn at(context: &Context, home: &Located, upstream: &UpstreamName) -> anyhow::Result<Located> {
    context.site.directory.at(home, upstream).map_err(|why| {
        let names: Vec<&str> = context.site.config.upstreams.iter().map(|one| one.name.0.as_str()).collect();
        let hint = match why {
            NameRefused::NoSuchUpstream => {
                return Failure::not_found(format!(
                    "there is no `[[upstream]]` called `{upstream}`\nhint: there is {}", names.join(", ")
                ));
            }
            NameRefused::DomainNotHeard => {
                "its `login` leaves the domain out: write that domain into its `default_domain`, or use `login = \"address\"`"
            }
            NameRefused::SubAddress => "change `sub_address_delimiter` there, if that server has no sub-addresses",
            NameRefused::MasterSeparator | NameRefused::NotAnAddress | NameRefused::UnknownDomain => {
                "that server would take the name for another's"
            }
        };
        Failure::usage(format!("{} cannot be an account of `{upstream}`: {why}\nhint: {hint}", home.address))
    })
}

/// Whoever moves must find the new upstream behind the door that the old one was behind: its client would hear that name or
/// password is wrong.
fn reachable(context: &Context, home: &Located, there: &Located) -> anyhow::Result<()> {
    let config = &context.site.config;
    let leads = |listener: &Listener, name: &UpstreamName| {
        listener.upstreams.is_empty() || listener.upstreams.contains(name)
    };
    let find = |name: &UpstreamName| config.upstreams.iter().find(|one| one.name == *name);
    let speaks = |name: &UpstreamName, protocol: Protocol| {
        find(name).and_then(|upstream: &Upstream| upstream.endpoint(protocol)).is_some()
    };
    for listener in config.listeners.iter().filter(|one| leads(one, &home.upstream)) {
        let address = listener.address;
        if !leads(listener, &there.upstream) {
            return Err(Failure::usage(format!(
                "the `[[listener]]` at `{address}` leads to `{}` and not to `{}`: {} would not be let in there\nhint: add `{}` to its `upstreams`",
                home.upstream, there.upstream, home.address, there.upstream
            )));
        }
    }
    let has_door =
        |protocol| config.listeners.iter().any(|one| one.protocol == protocol && leads(one, &home.upstream));
    for protocol in Protocol::ALL.into_iter().filter(|protocol| has_door(*protocol)) {
        if speaks(&home.upstream, protocol) && !speaks(&there.upstream, protocol) {
            failure::complain(&format!(
                "warning: `{}` does not speak {protocol}, which {} could use at `{}`",
                there.upstream, home.address, home.upstream
            ));
        }
    }
    Ok(())
}

/// A mailbox password that is sealed for one server is not sent to another.
async fn warn_of_stale(context: &Context, there: &Located) -> anyhow::Result<()> {
    if !mailbox::is_sealed(context, there) {
        return Ok(());
    }
    let config = context.site.config.upstreams.iter().find(|one| one.name == there.upstream);
    let good = |sealed_for: &UpstreamName| {
        *sealed_for == there.upstream
            || config.is_some_and(|config| config.same_passwords_as.contains(sealed_for))
    };
    let account = context.site.accounts().show(&there.address).await?.account;
    let rows = context.site.app_passwords().list(account.id).await?;
    let stale = rows.iter().filter(|row| !good(&row.upstream)).count();
    if stale > 0 {
        let these =
            if stale == 1 { "1 app password is".to_owned() } else { format!("{stale} app passwords are") };
        output::line(&format!(
            "{these} sealed for another upstream, and of no use until the mailbox password was proven at `{}`: mailward app-password reseal {}\nWhere both servers take the same mailbox passwords, say so with `same_passwords_as` of `{}`.",
            there.upstream, there.address, there.upstream
        ))?;
    }
    Ok(())
}
