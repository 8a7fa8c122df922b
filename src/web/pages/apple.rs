//! The page behind a device's link.

use askama::Template;

use crate::web::page::Page;
use crate::web::shown::Shown;

/// Asks whether this device is to be set up, or says that the link leads nowhere any more. Its form goes to its own address,
/// which stands nowhere in it.
#[derive(Template)]
#[template(path = "apple_profile.html")]
pub(in crate::web) struct ProfilePage {
    /// The frame.
    pub(in crate::web) page: Page,
    /// Whose mailbox it would be.
    pub(in crate::web) whose: Option<Shown>,
}
