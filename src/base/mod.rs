//! What every floor stands on: secrets, identifiers, names, networks, time, randomness.
//!
//! Nothing here does I/O, except that [`clock`] and [`random`] are the only places where the ambient
//! clock and the ambient generator are read, [`key`] and [`new_file`] keep files, and [`owner`] gives files to whom
//! they are for.

pub mod clock;
pub mod domain;
pub mod id;
pub mod key;
pub mod language;
pub mod name;
pub mod network;
pub mod new_file;
pub mod owner;
pub mod protocol;
pub mod random;
pub mod secret;

pub use clock::{Clock, ManualClock, Monotonic, SystemClock, Timestamp};
pub use domain::Domain;
pub use id::{AccountId, AppPasswordId, FactorId, SessionId, UpstreamName};
pub use key::SiteKey;
pub use language::Language;
pub use name::{Address, InvalidName, LoginName};
pub use network::{ClientAddress, Network, NetworkList};
pub use protocol::{Protocol, ProtocolSet};
pub use secret::{InvalidPassword, Password, Secret};
