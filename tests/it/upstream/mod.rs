//! Upstreams that say no, that say something else, and that are not to be trusted with a password.

mod answers;
mod odd;
mod offer;
mod untrusted;
