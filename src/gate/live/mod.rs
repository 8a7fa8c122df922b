//! Live sessions: who is in, and who must go because what let them in holds no more.
//!
//! ```text
//!   conclude ──enter──▶ registry ◀──why_over── hear ◀── `changes` in the database (any process)
//!                        │    ▲                  └────▶ proof cache: forget
//!                        │    └── expiry
//!                        ├─ ended(cause) ─▶ Passage ─▶ relay stops, trail says why
//!                        └─ listing ──────▶ `live_sessions` in the database ◀── LiveSessions (list, end)
//! ```
//!
//! The registry is this process's own, and what it says counts here; the database carries news between processes.
//! News is trusted as far as the database is: it can end sessions, and let nobody in. A session must never outlive
//! what it rests on because two things happened in an unlucky order (`Registry::changed_since`), and never end
//! because the database is away.

mod feed;
mod hear;
mod hearing;
mod listing;
mod over;
mod registry;
mod service;

pub(super) use hear::Ear;
pub use hearing::HEARD_WITHIN;
pub(super) use hearing::Hearing;
pub(super) use listing::Listing;
pub use over::Cause;
pub(super) use registry::{Moment, Place, Registry, Session};
pub use registry::{SessionFigures, Traffic};
pub use service::{EndError, LiveSessions};
