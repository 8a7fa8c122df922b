//! The self-service portal's pages: bind a second factor, make app passwords, see and withdraw what opens the mailbox.
//!
//! Every byte that arrives here is a stranger's until its session says otherwise. This floor turns requests into calls of
//! [`portal`](crate::portal), and answers into pages; it decides nothing, opens nothing of the store, and repeats nothing
//! that was sent without escaping it.
//!
//! ```text
//!   listener ── TLS, bounds ──▶ answer ──▶ routes ──▶ desk: who is it, how far in ──▶ portal
//!                                 ▲          ├──────▶ pages ──▶ templates, words
//!                                 │          └──────▶ setup: what mail clients read
//!                                 └─ headers, where forms come from, pages for what went wrong
//! ```

mod answer;
mod asked;
mod assets;
mod cookies;
mod desk;
mod forms;
mod headers;
mod in_force;
mod listener;
mod page;
mod pages;
mod place;
mod qr;
mod routes;
mod setup;
mod shown;
mod user_agent;
mod words;

pub use answer::Web;
pub use in_force::{CertificateInForce, EntranceInForce, InForce};
pub use listener::{Entrance, WebListener, browsers};
