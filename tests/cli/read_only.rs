//! App passwords that may only read.

use serde_json::{Value, json};

use crate::site::{MASTER, Site};

/// Makes one, with these arguments more.
fn create<'a>(site: &Site, name: &'a str, more: &[&'a str]) -> Value {
    site.json(&[&["app-password", "create", "anna", "--name", name, "--json"], more].concat())
}

#[test]
fn one_that_may_only_read_is_made_and_shown_as_such_wherever_it_is_shown() {
    let site = Site::new(&MASTER.replace("app_passwords_per_account = 2", "app_passwords_per_account = 9"));
    create(&site, "Phone", &[]);
    create(&site, "Scanner", &["--read-only"]);
    create(&site, "Archive", &["--read-only", "--protocols", "smtp,pop3", "--networks", "192.0.2.0/24"]);

    let listed = site.json(&["app-password", "list", "anna", "--json"]);
    let listed: Vec<_> = listed.as_array().unwrap().iter().collect();
    let told = |one: &Value| (one["name"].clone(), one["read_only"].clone(), one["protocols"].clone());
    let expected = [
        (json!("Phone"), json!(false), json!(["imap", "pop3", "smtp"])),
        (json!("Scanner"), json!(true), json!(["imap", "pop3"])),
        (json!("Archive"), json!(true), json!(["pop3"])),
    ];
    assert_eq!(listed.into_iter().map(told).collect::<Vec<_>>(), expected, "none of them sends");
    let table = site.run(&["app-password", "list", "anna"]).succeeded();
    for (name, may) in [
        ("Phone", " imap,pop3,smtp  "),
        ("Scanner", " imap,pop3 read only  "),
        ("Archive", " pop3 read only from 192.0.2.0/24  "),
    ] {
        let line = table.lines().find(|line| line.contains(name)).unwrap();
        assert!(line.contains(may), "{table}");
    }
    let shown = site.json(&["account", "show", "anna", "--json"]);
    assert_eq!(shown["app_passwords"][1]["read_only"], true);

    let trail = site.json(&["audit", "search", "--event", "app_password_created", "--json"]);
    let read_only: Vec<_> = trail.as_array().unwrap().iter().map(|one| one.get("read_only")).collect();
    assert_eq!(read_only.iter().filter(|one| **one == Some(&Value::Bool(true))).count(), 2, "{trail}");
    assert_eq!(read_only.iter().filter(|one| one.is_none()).count(), 1, "{trail}");
    let said = site.run(&["audit", "search", "--event", "app_password_created"]).succeeded();
    assert_eq!(said.matches(", may only read, ").count(), 2, "{said}");
}

#[test]
fn it_is_said_when_it_is_made_and_what_could_read_nothing_is_not_made() {
    let site = Site::new(MASTER);
    let create = ["app-password", "create", "anna", "--name", "Phone"];
    let only_sends = [&create[..], &["--read-only", "--protocols", "smtp"]].concat();
    let err = site.run(&only_sends).failed(2, "error: cannot make an app password for anna@example.org\n");
    assert!(err.contains("may only read needs `imap` or `pop3`"), "{err}");
    assert_eq!(site.json(&["app-password", "list", "anna", "--json"]), Value::Array(vec![]));
    let said = site.run(&[&create[..], &["--read-only"]].concat()).succeeded();
    assert!(said.contains("It may only read: nothing is changed, deleted or sent with it.\n"), "{said}");
    let said = site.run(&create).succeeded();
    assert!(!said.contains("only read"), "{said}");
}
