//! The database is locked, full, read-only, slow or gone.

mod postgres;
mod sqlite;
