//! The pages over a real portal, gate and database; the upstream is a list of passwords.

mod app_passwords;
mod devices;
mod door;
mod enrolment;
mod fifty;
mod guessing;
mod harness;
mod home;
mod law;
mod mailbox;
mod methods;
mod others;
mod pace;
mod passkeys;
mod policy;
mod ways;
