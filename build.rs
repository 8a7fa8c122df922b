//! Builds again when a migration was added: `sqlx::migrate!` sees the files that are there, not those that come.

#[expect(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]
fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
