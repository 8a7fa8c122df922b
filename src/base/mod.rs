//! What every floor stands on: secrets, identifiers, names, networks, time, randomness.
//!
//! Nothing here does I/O, except that [`clock`] and [`random`] are the only places where the ambient
//! clock and the ambient generator are read, [`key`] and [`new_file`] keep files, and [`owner`] gives files to whom
//! they are for.

#[cfg(feature = "server")]
pub mod aead;
#[cfg(feature = "server")]
pub mod clock;
pub mod domain;
#[cfg(feature = "server")]
mod exhausted;
#[cfg(feature = "server")]
mod given_name;
#[cfg(feature = "server")]
pub mod id;
#[cfg(feature = "server")]
pub mod key;
pub mod language;
pub mod name;
#[cfg(feature = "server")]
pub mod network;
#[cfg(feature = "server")]
pub mod new_file;
#[cfg(feature = "server")]
pub mod owner;
pub mod protocol;
#[cfg(feature = "server")]
pub mod random;
pub mod secret;
#[cfg(feature = "server")]
pub mod symbols;
#[cfg(feature = "server")]
pub mod token;

#[cfg(feature = "server")]
pub use clock::{Clock, ManualClock, Monotonic, SystemClock, Timestamp};
pub use domain::Domain;
#[cfg(feature = "server")]
pub use exhausted::is_exhausted;
#[cfg(feature = "server")]
pub use given_name::{BadName, GIVEN_NAME_MAX, given_name};
#[cfg(feature = "server")]
pub use id::{
    AccountId, AppPasswordId, DeviceId, FactorId, MailCodeId, NoticeId, PortalSessionId, SessionId,
    UpstreamName,
};
#[cfg(feature = "server")]
pub use key::SiteKey;
pub use language::Language;
pub use name::{Address, InvalidName, LoginName};
#[cfg(feature = "server")]
pub use network::{ClientAddress, Network, NetworkList};
pub use protocol::{Protocol, ProtocolSet};
pub use secret::{InvalidPassword, Password, Secret};
#[cfg(feature = "server")]
pub use token::Token;
