//! What strangers try before they are logged in, and some after: each against the real binary.

mod bounds;
mod capture;
mod identity;
mod injection;
mod not_mail;
mod origin;
mod sasl;
mod slow;
mod smuggling;
