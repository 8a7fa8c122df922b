//! Looking around, for `doctor`: what servers say of themselves, and which doors are open.
//!
//! Whoever answers is a stranger. Nothing secret is ever sent, what is heard is bounded and cleaned, and
//! nothing here is used to log in.

mod doors;
mod words;

pub use doors::{Web, is_open, is_this_machine, presented_certificate, resolve, web};
pub use words::{Words, words};
