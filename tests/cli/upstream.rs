//! `account upstream`

use crate::site::{MASTER, Site};

/// And a second server, to which no domain leads.
fn two(more: &str) -> String {
    let new = format!(
        "[[upstream]]\nname = \"new\"\ndomains = []\nimap = {{ address = [\"127.0.0.1:10\", \"127.0.0.1:11\"], tls = \"none\" }}\n{more}\n[policy]"
    );
    MASTER.replace("[policy]", &new)
}

#[test]
fn an_account_is_bound_to_an_upstream_and_goes_back() {
    let site = Site::new(&two(""));
    site.run(&["account", "add", "anna"]).succeeded();
    let shown = || {
        let shown = site.json(&["account", "show", "anna", "--json"]);
        (shown["upstream"].clone(), shown["bound_upstream"].clone())
    };
    assert_eq!(shown(), ("legacy".into(), serde_json::Value::Null));
    for (arguments, told) in [
        (["anna", "new"], "moved anna@example.org from `legacy` to `new`\n"),
        (["anna@mail.example.org", "new"], "anna@example.org is bound to `new` already\n"),
        (["anna", "legacy"], "moved anna@example.org from `new` to `legacy`\n"),
        (["anna", "--none"], "anna@example.org is at `legacy` because of its domain now\n"),
        (["anna", "--none"], "anna@example.org is bound to no upstream; its domain leads to `legacy`\n"),
        (["anna", "legacy"], "anna@example.org stays at `legacy`, wherever its domain leads\n"),
        (["anna", "new"], "moved anna@example.org from `legacy` to `new`\n"),
    ] {
        assert_eq!(site.run(&[&["account", "upstream"][..], &arguments].concat()).succeeded(), told);
    }
    assert_eq!(shown(), ("new".into(), "new".into()));
    assert!(site.run(&["account", "list"]).succeeded().contains("new (bound)"));
    assert!(site.run(&["account", "show", "anna"]).succeeded().contains("new (bound)"));
    let records = site.json(&["audit", "search", "--event", "account_upstream_changed", "--json"]);
    assert_eq!(records.as_array().unwrap().len(), 5);
    assert!(
        site.run(&["audit", "search", "--account", "anna"])
            .succeeded()
            .contains("bound to `new`, was at `legacy`")
    );
    site.run(&["account", "remove", "anna"]).succeeded();
    site.run(&["account", "add", "anna"]).succeeded();
    assert_eq!(
        shown(),
        ("legacy".into(), serde_json::Value::Null),
        "whoever comes back is where the domain leads"
    );
}

#[test]
fn what_could_not_work_is_refused_and_said() {
    let site = Site::new(&two(""));
    site.run(&["account", "upstream", "anna", "new"])
        .failed(3, "error: there is no account `anna@example.org`");
    site.run(&["account", "add", "anna"]).succeeded();
    site.run(&["account", "upstream", "anna"]).failed(2, "error: the following required arguments");
    site.run(&["account", "upstream", "anna", "new", "--none"]).failed(2, "error: the argument");
    site.run(&["account", "upstream", "anna", "nwe"])
        .failed(3, "error: there is no `[[upstream]]` called `nwe`\nhint: there is legacy, new\n");

    let deaf = Site::new(&two("login = \"local-part\""));
    deaf.run(&["account", "add", "anna"]).succeeded();
    deaf.run(&["account", "upstream", "anna", "new"]).failed(
        2,
        "error: anna@example.org cannot be an account of `new`: the upstream that it is bound to would not hear its domain",
    );
    let hears = Site::new(&two("login = \"local-part\"\ndefault_domain = \"example.org\""));
    hears.run(&["account", "add", "anna"]).succeeded();
    hears.run(&["account", "upstream", "anna", "new"]).succeeded();

    let listed = two("").replace("tls = \"implicit\"", "tls = \"implicit\"\nupstreams = [\"legacy\"]");
    let listed = Site::new(&listed);
    listed.run(&["account", "add", "anna"]).succeeded();
    let told = listed.run(&["account", "upstream", "anna", "new"]).failed(
        2,
        "error: the `[[listener]]` at `[::]:993` leads to `legacy` and not to `new`: anna@example.org would not be let in",
    );
    assert!(told.contains("hint: add `new` to its `upstreams`"), "{told}");

    // Two doors, one protocol: told once.
    let door = "[[listener]]\nprotocol = \"imap\"\naddress = \"[::]:143\"\ntls = \"starttls\"\n[[upstream]]";
    let mute = two("").replace(
        "imap = { address = [\"127.0.0.1:10\", \"127.0.0.1:11\"]",
        "pop3 = { address = [\"127.0.0.1:10\"]",
    );
    let mute = Site::new(&mute.replacen("[[upstream]]", door, 1));
    mute.run(&["account", "add", "anna"]).succeeded();
    let told = mute.run(&["account", "upstream", "anna", "new"]);
    assert_eq!((told.code, told.err.matches("does not speak imap").count()), (0, 1), "{}", told.err);
}
