//! Each row of the refusal table, on each protocol: exact codes, what counts, and what the upstream never hears.

mod before_login;
mod not_let_in;
mod proven;
mod stale;
mod too_many;
mod unavailable;
