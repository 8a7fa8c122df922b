//! Says of accounts that the configuration no longer leads to that they are out of reach.

use anyhow::Context as _;

use crate::account::Stray;
use crate::site::Site;

/// How many accounts that cannot be reached are named in the log; whoever withdraws a domain may have thousands.
const STRAYS_NAMED: usize = 20;

/// An account that no name leads to is found by nobody who does not look for it: least of all by its owner, whose
/// second factor is bound to it.
pub(super) async fn warn_of_strays(site: &Site) -> anyhow::Result<()> {
    let accounts = site.accounts().list().await.context("cannot read the accounts")?;
    let mut strays = site.directory.strays(&accounts);
    for Stray { address, bound_factors, leads_to } in strays.by_ref().take(STRAYS_NAMED) {
        match leads_to {
            Ok(other) => tracing::warn!(
                account = %address,
                bound_factors,
                "an account cannot be reached any more: `{address}` leads to the account `{other}` now\nhint: bind and make for `{other}` what its user needs, then `mailward account remove {address}`"
            ),
            Err(why) => tracing::warn!(
                account = %address,
                bound_factors,
                "an account cannot be reached any more: {why}\nhint: correct the configuration, or `mailward account remove {address}`"
            ),
        }
    }
    match strays.count() {
        0 => {}
        more => tracing::warn!("{more} more accounts cannot be reached any more"),
    }
    Ok(())
}
