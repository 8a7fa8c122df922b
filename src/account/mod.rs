//! The life of an account, the names it goes by, and what its mailbox password is checked with.
//!
//! One mailbox is one account, however its name is spelled ([`directory`]); else a second factor is bypassed
//! by another spelling. Every change of an account is recorded before it is reported ([`life`]).

mod aliases;
pub mod directory;
mod enforcement;
pub mod life;
pub mod mailbox;
mod spelling;
mod stray;

pub use directory::{Directory, Located, NameRefused};
pub use enforcement::{Refused, Unready, unready};
pub use life::{AccountError, Accounts, Bound};
pub use mailbox::{MailboxCheck, MailboxVerdict};
pub use stray::Stray;
