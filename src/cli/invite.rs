//! `mailward factor invite`: a link with which somebody binds a first factor.

use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;

use super::context::Context;
use super::failure::Failure;
use super::{Format, output, when};
use crate::base::Timestamp;
use crate::config::parse_duration;
use crate::factor::LinkError;

/// A link that is over before it is read helps nobody.
const SHORTEST: Duration = Duration::from_secs(60);

/// A link that lies about for longer is found by somebody else: 30 d.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

/// Reads `--expires`.
pub(super) fn expiry(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(time) if (SHORTEST..=LONGEST).contains(&time) => Ok(time),
        Ok(_) => Err(format!("`{text}` is out of range\nhint: write from `1m` to `30d`")),
        Err(_) => Err(format!("`{text}` is no duration\nhint: write from `1m` to `30d`, such as `24h`")),
    }
}

/// The link, for programs.
#[derive(Serialize)]
struct Made<'a> {
    url: &'a str,
    expires_at: Timestamp,
}

/// Makes a link and prints it.
pub(super) async fn run(
    context: &Context,
    name: &str,
    expires: Duration,
    format: Format,
) -> anyhow::Result<()> {
    let Some(portal) = &context.site.config.portal else {
        return Err(Failure::usage(
            "there is no portal that a link could lead to\nhint: add `[portal]` with `public_url` to the configuration",
        ));
    };
    let account = context.account(name).await?;
    let trail = context.trail().await?;
    let made = context.site.factors().invite(&account, expires, &trail.author()).await;
    trail.close().await;
    let (token, expires_at) = made.map_err(|error| match error {
        LinkError::Bound => Failure::refused(format!(
            "{} has a second factor already, and a link is for the first one\nhint: `mailward factor list {0}`; if it is lost, `mailward factor unbind {0} --reason \"…\"` first",
            account.address
        )),
        error @ (LinkError::NoAccount | LinkError::Store(_) | LinkError::Unrecorded(_)) => error.into(),
    })?;
    let url = format!("{}/enrol/{}", portal.public_url, token.text().as_str());
    let shown = if format.json {
        output::json_text(&Made { url: &url, expires_at })?
    } else {
        format!(
            "{url}\n\nGood once, until {}, for {} alone: its owner opens it, signs in with the mailbox password and binds a\nsecond factor. Hand it to nobody else. An earlier link of this account is void.\n",
            when::show(expires_at),
            account.address
        )
    };
    output::reveal(&shown).context("the link could not be shown\nhint: make another; this one is void then")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_lasts_between_a_minute_and_a_month() {
        for (text, good) in
            [("1m", true), ("24h", true), ("30d", true), ("59s", false), ("31d", false), ("x", false)]
        {
            assert_eq!(expiry(text).is_ok(), good, "{text}");
        }
        for (text, told) in
            [("31d", "`31d` is out of range"), ("30s", "`30s` is out of range"), ("x", "`x` is no duration")]
        {
            let why = expiry(text).unwrap_err();
            assert!(why.starts_with(told) && why.contains("hint: write from `1m` to `30d`"), "{why}");
        }
    }
}
