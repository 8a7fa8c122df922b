//! The database is locked, full, read-only, slow, gone or another.

mod moved;
mod postgres;
mod refusing;
mod sqlite;
