//! What `init` leaves behind.

use std::fs;

use tempfile::TempDir;

use crate::site::{imap_server, run};

/// Nobody finds a way in that nobody has made.
#[test]
fn what_is_set_up_has_no_account_and_no_password() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("mailward.toml");
    let config = path.to_str().unwrap();
    let place = format!("127.0.0.1:{}", imap_server("s3cret-mailbox"));
    let made = run(&["-c", config, "init", "--yes", "--domain", "example.org", "--imap", &place], "");
    assert_eq!(made.code, 0, "{}", made.err);
    for said in [&made.out, &made.err] {
        assert!(!said.to_lowercase().contains("password:"), "{said}");
    }
    let text = fs::read_to_string(&path).unwrap();
    let settings = text.lines().filter_map(|line| line.split('#').next());
    let secret =
        settings.filter(|line| ["password", "secret", "user"].iter().any(|word| line.contains(word)));
    assert_eq!(secret.collect::<Vec<_>>(), [""; 0]);
    for list in [&["account", "list", "--json"][..], &["session", "list", "--json"]] {
        let listed = run(&[&["-c", config], list].concat(), "").succeeded();
        assert_eq!(listed.trim(), "[]", "{list:?}");
    }
    let trail = run(&["-c", config, "audit", "search", "--json"], "").succeeded();
    assert!(!trail.contains("account_added") && !trail.contains("app_password_created"), "{trail}");
}
