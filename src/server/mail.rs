//! What the configuration says about mail to users.

use anyhow::Context as _;

use crate::config::Config;
use crate::notify::{Relay, Sender};

/// Through whom and in whose name; none where nothing is sent.
///
/// # Errors
/// Which file of `[mail]` cannot be used.
pub(super) fn of(config: &Config) -> anyhow::Result<Option<(Relay, Sender)>> {
    let Some(mail) = &config.mail else { return Ok(None) };
    let hostname = config.server.hostname.clone();
    let relay = Relay::open(mail, &hostname).context("`[mail]` cannot be used")?;
    let portal = config.portal.as_ref().map(|portal| portal.public_url.clone());
    Ok(Some((relay, Sender { hostname, portal })))
}
