//! Checking a mailbox password, which only its upstream can.

use std::future::Future;
use std::pin::Pin;

use crate::base::{LoginName, Password, UpstreamName};

/// Checks a mailbox password by really logging in upstream; built by the floor that can dial.
pub trait MailboxCheck: Send + Sync {
    /// Logs `user` (the upstream's spelling) in at `upstream` and leaves at once.
    fn check<'a>(
        &'a self,
        upstream: &'a UpstreamName,
        user: &'a LoginName,
        password: &'a Password,
    ) -> Pin<Box<dyn Future<Output = MailboxVerdict> + Send + 'a>>;
}

/// What the upstream said of a mailbox password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailboxVerdict {
    /// It let us in.
    Right,
    /// It said no, definitely.
    Wrong,
    /// It could not be asked, or said neither.
    Unavailable {
        /// Why.
        why: String,
        /// Whether the password went out all the same.
        sent: bool,
        /// Whether others would fare no better: it is not about this mailbox.
        everybody: bool,
    },
}
