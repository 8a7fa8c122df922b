//! The gate: from an attempt to a decision.
//!
//! ```text
//!   Attempt ──judge──▶ Refuse(Refused) | Admit(Grant)
//!                                          │ the proxy logs in upstream with it
//!                                          ▼
//!                              conclude(Grant, UpstreamSaid) ──▶ Refuse(Refused) | Passage ──▶ relay
//! ```
//!
//! A [`Grant`] is the only thing that logs in upstream for a client, and a [`Passage`] the only key to a
//! relay; only this module makes them. Each attempt leaves exactly one audit record, written before the
//! answer is given, or is counted in one with others that came to nothing (`tally`).
//!
//! What clients send is hostile. Nothing here may tell anybody anything about an account before the presented
//! password is proven, let in while something that would forbid it cannot be read, or hold a secret longer than
//! the attempt that brought it, save encrypted under itself (`proof_cache`).

mod adopt;
mod attempt;
mod authenticator;
mod budget;
mod cells;
mod conclude;
mod grant;
mod judge;
mod known;
mod known_pairs;
mod limiter;
mod live;
mod outage;
mod passage;
mod password_memory;
mod places;
mod policy;
mod proof_cache;
mod reach;
mod rules;
mod second_factor;
mod sign_in;
mod stale;
mod tags;
mod tally;
mod timing;
mod turns;
mod upstream_login;
mod uses;
mod verdict;
mod watch;
mod whereabouts;

#[cfg(test)]
mod tests;

pub use attempt::Finishing;
pub use authenticator::{Authenticator, Dependencies};
pub use grant::{Concerns, Conclusion, Decision, Grant, Origin, Refused, UpstreamSaid};
pub use live::{Cause, EndError, HEARD_WITHIN, LiveSessions, SessionFigures, Traffic};
pub use passage::{Passage, SessionSummary};
pub use reach::{Flag, Led, Reach, Way};
pub use rules::{Reading, Rules};
pub use second_factor::{Answering, TooManyAnswers};
pub use sign_in::{Browser, SignIn, SignedIn};
pub use upstream_login::{UnusableUpstream, UpstreamRules};
pub use uses::CLIENTS_KEPT;
