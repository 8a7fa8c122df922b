//! The pages, one file per area: what a template shows, as plain data, and nothing of how it came about.

pub(super) mod app_passwords;
pub(super) mod apple;
pub(super) mod binding;
pub(super) mod confirm;
pub(super) mod error;
pub(super) mod factors;
pub(super) mod guides;
pub(super) mod home;
pub(super) mod settings;
pub(super) mod sign_in;

#[cfg(test)]
mod samples;
