//! Every command understands a name as a login does: aliases, both forms of a domain, and names that are refused.

use std::fs;

use crate::site::{MASTER, Site};

/// A site that has the list `aliases`, which is not written yet.
fn with_aliases() -> Site {
    Site::new(&MASTER.replace("imap = {", "aliases_file = \"aliases\"\nimap = {"))
}

/// The addresses of all accounts.
fn accounts(site: &Site) -> Vec<String> {
    let list = site.json(&["account", "list", "--json"]);
    let address = |account: &serde_json::Value| account["address"].as_str().unwrap().to_owned();
    list.as_array().unwrap().iter().map(address).collect()
}

#[test]
fn every_command_takes_an_alias_for_its_primary() {
    let site = with_aliases();
    fs::write(site.file("aliases"), "sales@example.org anna@example.org\nAnna.Maria anna\n").unwrap();
    assert_eq!(
        site.run(&["account", "add", "SALES"]).succeeded(),
        "added anna@example.org (upstream legacy)\n"
    );
    site.json(&["app-password", "create", "sales@mail.example.org", "--name", "Phone", "--json"]);
    site.json(&["factor", "totp", "anna.maria@example.org", "--json"]);
    let shown = site.json(&["account", "show", "sales@example.org", "--json"]);
    assert_eq!(shown["address"], "anna@example.org");
    assert_eq!(shown["app_passwords"].as_array().unwrap().len(), 1);
    assert_eq!(site.json(&["factor", "list", "sales", "--json"]).as_array().unwrap().len(), 1);
    assert_eq!(site.json(&["app-password", "list", "sales", "--json"]).as_array().unwrap().len(), 1);
    let added = site.json(&["audit", "search", "--account", "sales", "--event", "account_added", "--json"]);
    assert_eq!(added[0]["account"], "anna@example.org");
    site.run(&["account", "suspend", "sales"]).succeeded();
    assert_eq!(site.json(&["account", "show", "anna", "--json"])["state"], "suspended");
    site.run(&["app-password", "revoke", "sales", "--all"]).succeeded();
    site.run(&["factor", "unbind", "sales", "--reason", "test"]).succeeded();
    assert_eq!(accounts(&site), ["anna@example.org"]);
}

/// What cannot be taken back happens to the account that is named, or to none.
#[test]
fn an_account_is_removed_by_its_own_address_only() {
    let site = with_aliases();
    fs::write(site.file("aliases"), "").unwrap();
    for name in ["anna", "sales"] {
        site.run(&["account", "add", name]).succeeded();
    }
    site.json(&["factor", "totp", "sales", "--json"]);
    fs::write(site.file("aliases"), "sales anna\n").unwrap();
    // the account that was there before the alias cannot be reached any more, and is the one that is removed
    assert_eq!(site.json(&["account", "show", "sales", "--json"])["address"], "anna@example.org");
    let removed = site.run(&["account", "remove", "sales@example.org"]).succeeded();
    assert!(removed.starts_with("removed sales@example.org "), "{removed}");
    assert_eq!(accounts(&site), ["anna@example.org"]);
    for alias in ["sales@example.org", "Sales", "sales@mail.example.org"] {
        site.run(&["account", "remove", alias]).failed(
            2,
            &format!("error: `{alias}` is another name of the account `anna@example.org`\nhint: write `anna"),
        );
    }
    site.run(&["account", "remove", "Anna@mail.example.org"]).succeeded();
    site.run(&["account", "remove", "anna"]).failed(3, "error: there is no account `anna@example.org`");
}

#[test]
fn a_mistake_in_a_list_of_aliases_is_named_with_file_and_line() {
    let site = with_aliases();
    let path = site.file("aliases").display().to_string();
    let main = site.file("mailward.toml").display().to_string();
    let all_say = |expected: &str, calls: &[&[&str]]| {
        for call in calls {
            let told = site.run(call).failed(1, "error: ");
            assert!(told.starts_with(&format!("error: {expected}")), "{call:?}: {told}");
        }
    };
    let reading: [&[&str]; 3] = [&["config", "check"], &["account", "list"], &["serve"]];
    all_say(&format!("{main}, line 17: cannot read `aliases_file` `{path}`: No such file"), &reading);
    fs::write(site.file("aliases"), "# all\n\nsales\n").unwrap();
    all_say(&format!("{path}, line 3: expected two names\nhint: write `alias primary`"), &reading);
    fs::write(site.file("aliases"), "sales anna\nSALES bob\n").unwrap();
    // which `serve` tells too, once it has found its certificate
    all_say(
        &format!(
            "{path}, line 2: `sales@example.org` means `anna@example.org` in line 1, and `bob@example.org` here\nhint: "
        ),
        &reading[..2],
    );
    assert!(!site.file("data").exists(), "nothing is made from a wrong configuration");
}

#[test]
fn a_domain_is_one_in_both_its_forms() {
    let domains = "domains = [\"example.org\", \"bücher.example\"]";
    let site = Site::new(&MASTER.replace("domains = [\"example.org\"]", domains));
    site.run(&["account", "add", "anna@Bücher.example"]).succeeded();
    for name in ["anna@xn--bcher-kva.example", "anna@bu\u{308}cher.example", "ANNA@XN--BCHER-KVA.EXAMPLE."] {
        assert_eq!(
            site.run(&["account", "add", name]).succeeded(),
            "anna@xn--bcher-kva.example is there already\n"
        );
    }
    site.run(&["account", "add", "anna@xn--a.example"])
        .failed(2, "error: `anna@xn--a.example` cannot be an account");
    assert!(site.run(&["config", "show"]).succeeded().contains("\"bücher.example\""));
}

#[test]
fn a_sub_address_is_no_account_unless_the_server_has_none() {
    let site = Site::new(MASTER);
    for call in
        [&["account", "add", "anna+lists"][..], &["app-password", "create", "anna+lists", "--name", "x"]]
    {
        site.run(call).failed(2, "error: `anna+lists` cannot be an account: the name holds the upstream's `sub_address_delimiter`\nhint: ");
    }
    let site = Site::new(&MASTER.replace("imap = {", "sub_address_delimiter = \"\"\nimap = {"));
    site.run(&["account", "add", "anna+lists"]).succeeded();
    // it can still be looked at and removed once it is refused
    fs::write(site.file("mailward.toml"), MASTER).unwrap();
    assert_eq!(accounts(&site), ["anna+lists@example.org"]);
    site.run(&["account", "remove", "anna+lists@example.org"]).succeeded();
}
