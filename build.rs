//! Builds again when a migration was added: `sqlx::migrate!` sees the files that are there, not those that come.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
