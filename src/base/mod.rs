//! What every floor stands on: secrets, identifiers, names, networks, time, randomness.
//!
//! Nothing here does I/O, except that [`clock`] and [`random`] are the only places where the ambient
//! clock and the ambient generator are read, [`key`] and [`new_file`] keep files, and [`owner`] gives files to whom
//! they are for.

pub mod access;
#[cfg(feature = "gate")]
pub mod aead;
#[cfg(feature = "gate")]
pub mod clock;
pub mod domain;
#[cfg(feature = "gate")]
mod exhausted;
#[cfg(feature = "gate")]
mod given_name;
#[cfg(feature = "gate")]
pub mod id;
#[cfg(feature = "gate")]
pub mod key;
pub mod language;
pub mod name;
#[cfg(feature = "gate")]
pub mod network;
#[cfg(feature = "gate")]
pub mod new_file;
#[cfg(feature = "gate")]
pub mod owner;
pub mod protocol;
#[cfg(feature = "gate")]
pub mod random;
#[cfg(all(test, feature = "gate"))]
pub(crate) mod scratch;
pub mod secret;
#[cfg(feature = "gate")]
pub mod symbols;
#[cfg(feature = "gate")]
pub mod token;

pub use access::Access;
#[cfg(feature = "gate")]
pub use clock::{Clock, ManualClock, Monotonic, SystemClock, Timestamp};
pub use domain::Domain;
#[cfg(feature = "gate")]
pub use exhausted::is_exhausted;
#[cfg(feature = "gate")]
pub use given_name::{BadName, GIVEN_NAME_MAX, given_name};
#[cfg(feature = "gate")]
pub use id::{
    AccountId, AppPasswordId, DeviceId, FactorId, MailCodeId, NoticeId, PortalSessionId, SessionId,
    UpstreamName,
};
#[cfg(feature = "gate")]
pub use key::SiteKey;
pub use language::Language;
pub use name::{Address, InvalidName, LoginName};
#[cfg(feature = "gate")]
pub use network::{ClientAddress, Network, NetworkList};
pub use protocol::{Protocol, ProtocolSet};
#[cfg(all(test, feature = "gate"))]
pub(crate) use scratch::Scratch;
pub use secret::{InvalidPassword, Password, Secret};
#[cfg(feature = "gate")]
pub use token::Token;
