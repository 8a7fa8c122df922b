//! The command line as the shell sees it: exit codes, messages, JSON shapes.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

mod generated;
mod init;
mod names;
mod read_only;
mod reseal;
mod site;
mod upstream;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use site::{MASTER, Site, imap_server, keys, mode, run, sealed, self_signed};

#[test]
fn a_wrong_call_exits_with_2_and_says_what_was_expected() {
    let site = Site::new(MASTER);
    site.run(&[]).failed(2, "The gate in front of a mail server");
    site.run(&["acount"]).failed(2, "error: unrecognized subcommand 'acount'");
    site.run(&["account", "add"]).failed(2, "error: the following required arguments");
    site.run(&["account", "add", "a b@example.org"])
        .failed(2, "error: `a b@example.org` cannot be an account");
    site.run(&["audit", "search", "--from", "yesterday"]).failed(2, "error: `yesterday` is no time\nhint: ");
    site.run(&["audit", "search", "--event", "logn"]).failed(2, "error: invalid value 'logn'");
    site.run(&["app-password", "create", "a", "--name", " "]).failed(2, "error: ");
    site.run(&["factor", "unbind", "a", "--reason", ""]).failed(2, "error: the reason is empty");
    let told = site
        .run(&["session", "end", "xyz"])
        .failed(2, "error: invalid value 'xyz' for '[ID]': `xyz` is no session's ID");
    assert!(told.contains("hint: `mailward session list` shows them"), "{told}");
}

#[test]
fn what_is_not_built_yet_says_so() {
    let site = Site::new(MASTER);
    for call in [&["audit", "export", "--format", "ecs"][..], &["token", "import", "file"]] {
        site.run(call).failed(2, "error: `mailward ");
        assert!(site.run(call).err.contains("is not built yet"), "{call:?}");
    }
    assert!(!run(&["help"], "").succeeded().contains("token"));
}

#[test]
fn a_mistake_in_the_file_is_named_with_file_line_and_key() {
    let site = Site::new(&MASTER.replace("address = \"[::]", "adress = \"[::]"));
    let path = site.file("mailward.toml").display().to_string();
    for call in [&["config", "check"][..], &["config", "show"], &["account", "list"], &["serve"]] {
        let err = site.run(call).failed(1, "error: ");
        assert_eq!(
            err,
            format!(
                "error: {path}, line 10: unknown key `adress` in `[[listener]]`\nhint: did you mean `address`?\n"
            )
        );
    }
    assert!(!site.file("data").exists(), "nothing is made from a wrong configuration");
    run(&["-c", "/nonexistent/m.toml", "config", "check"], "").failed(
        1,
        "error: cannot read the configuration file `/nonexistent/m.toml`\n  caused by: No such file",
    );
}

#[test]
fn a_right_file_is_checked_and_shown() {
    let site = Site::new(MASTER);
    let check = || site.run(&["config", "check"]);
    check().failed(1, "error: cannot read `");
    fs::create_dir(site.file("certs")).unwrap();
    let (certificate, key) = self_signed("mail.example.org");
    fs::write(site.file("certs/fullchain.pem"), certificate).unwrap();
    fs::write(site.file("certs/privkey.pem"), key).unwrap();
    let told = check().failed(1, "error: upstream `legacy` cannot be used");
    assert!(told.contains("cannot read the secret file"), "{told}");
    fs::write(site.file("master.secret"), "s3cret\n").unwrap();
    let told = check().failed(1, "error: upstream `legacy` cannot be used");
    assert!(told.contains("can be read by everybody"), "{told}");
    fs::set_permissions(site.file("master.secret"), fs::Permissions::from_mode(0o600)).unwrap();
    assert!(check().succeeded().ends_with("is right: 1 listener, 1 certificate, 1 upstream\n"));
    fs::write(site.file("certs/privkey.pem"), self_signed("mail.example.org").1).unwrap();
    check().failed(1, "error: the key `");
    let shown = site.run(&["config", "show"]).succeeded();
    let again = Site::new(&shown);
    assert_eq!(again.run(&["config", "show"]).succeeded(), shown);
}

#[test]
fn the_rules_in_force_are_shown_for_all_and_for_one_domain() {
    let more = "factors = [\"totp\"]\n[policy.\"Bücher.example\"]\nsecond_factor = \"required\"\nrequired_since = 2027-01-01\n";
    let config =
        MASTER.replace("domains = [\"example.org\"]", "domains = [\"example.org\", \"bücher.example\"]");
    let site = Site::new(&(config + more));
    let text = site.run(&["policy", "show"]).succeeded();
    let rules: toml::Table = text.parse().unwrap();
    let of_all = &rules["policy"];
    assert_eq!(of_all["app_passwords_per_account"].as_integer(), Some(2));
    assert_eq!(of_all["second_factor"].as_str(), Some("optional"));
    let of_one = &of_all["xn--bcher-kva.example"];
    assert_eq!(of_one["required_since"].to_string(), "2027-01-01");
    assert_eq!(of_one["grace_period"].as_str(), Some("14d"), "defaults are shown, too");
    let whole: toml::Table = site.run(&["config", "show"]).succeeded().parse().unwrap();
    assert_eq!(whole["policy"], rules["policy"]);

    for name in ["bücher.example", "XN--bcher-kva.example."] {
        let text = site.run(&["policy", "show", name]).succeeded();
        let head = "# accounts of xn--bcher-kva.example\n# `[[upstream]]`: accounts = \"listed\"\n";
        assert!(text.starts_with(head), "{text}");
        assert_eq!(&toml::Value::from(text.parse::<toml::Table>().unwrap()), of_one);
    }
    let alias = site.json(&["policy", "show", "mail.example.org", "--json"]);
    assert_eq!((&alias["domain"], &alias["second_factor"]), (&"example.org".into(), &"optional".into()));
    let all = site.json(&["policy", "show", "--json"]);
    assert_eq!((&all[0]["domain"], &all[0]["factors"]), (&Value::Null, &serde_json::json!(["totp"])));
    assert_eq!(
        (&all[1]["required_since"], &all[1]["app_passwords_per_account"]),
        (&"2027-01-01".into(), &2.into())
    );
    assert_eq!(all[1], site.json(&["policy", "show", "bücher.example", "--json"]));
    site.run(&["policy", "show", "example.net"])
        .failed(3, "error: no `[[upstream]]` serves `example.net`\nhint: ");
    site.run(&["policy", "show", "a b"]).failed(2, "error: `a b` is no domain\nhint: ");
    assert!(!site.file("data").exists(), "to read the rules nothing is made");
}

#[test]
fn who_would_be_refused_is_told() {
    let rules = "[policy.\"soon.example\"]\nsecond_factor = \"required\"\nrequired_since = 2999-12-31\ngrace_period = \"1d\"\n\
                 [policy.\"over.example\"]\nsecond_factor = \"required\"\nrequired_since = 2020-01-01\n\
                 app_passwords_without_factor = \"keep\"\n";
    let config = MASTER.replace(
        "domains = [\"example.org\"]",
        "domains = [\"example.org\", \"soon.example\", \"over.example\"]",
    );
    let site = Site::new(&(config + rules));
    let report = || site.run(&["report", "enforcement"]).succeeded();
    assert!(report().starts_with("nobody would be refused"));
    for name in [
        "anna@example.org",
        "anna@over.example",
        "anna@soon.example",
        "bob@over.example",
        "carl@soon.example",
    ] {
        site.run(&["account", "add", name]).succeeded();
    }
    site.run(&["factor", "totp", "bob@over.example"]).succeeded();
    site.run(&["account", "suspend", "carl@soon.example"]).succeeded();
    let found = site.json(&["report", "enforcement", "--json"]);
    assert_eq!(
        keys(&found[0]),
        ["address", "app_passwords_rest", "last_login_at", "refused", "refused_from"]
    );
    let told: Vec<_> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let text = |key: &str| one[key].as_str().map(str::to_owned);
            (
                text("address").unwrap(),
                text("refused").unwrap(),
                text("refused_from"),
                one["app_passwords_rest"].as_bool().unwrap(),
            )
        })
        .collect();
    let expect = |address: &str, refused: &str, from: Option<&str>, rest| {
        (address.to_owned(), refused.to_owned(), from.map(str::to_owned), rest)
    };
    assert_eq!(
        told,
        [
            expect("anna@example.org", "if_required", None, true),
            expect("anna@over.example", "now", None, false),
            expect("anna@soon.example", "later", Some("3000-01-01T00:00:00Z"), true),
        ]
    );
    let text = report();
    assert!(text.contains("anna@over.example  now") && text.contains("from 3000-01-01T00:00:00Z"), "{text}");
    assert!(text.ends_with("\n3 of 4 accounts that may log in have no second factor\n"), "{text}");
}

#[test]
fn accounts_live_as_they_are_told() {
    let site = Site::new(MASTER);
    assert_eq!(site.json(&["account", "list", "--json"]), Value::Array(vec![]));
    assert_eq!(
        site.run(&["account", "add", "Anna"]).succeeded(),
        "added anna@example.org (upstream legacy)\n"
    );
    let again = site.run(&["account", "add", "anna@MAIL.example.org"]).succeeded();
    assert_eq!(again, "anna@example.org is there already\n");
    site.run(&["account", "add", "x@elsewhere.org"]).failed(1, "error: no `[[upstream]]` serves the domain");

    let list = site.json(&["account", "list", "--json"]);
    assert_eq!(
        keys(&list[0]),
        [
            "address",
            "bound_factors",
            "bound_upstream",
            "created_at",
            "last_login_at",
            "must_bind",
            "state",
            "upstream"
        ]
    );
    site.run(&["account", "suspend", "anna"]).succeeded();
    assert_eq!(site.json(&["account", "show", "anna", "--json"])["state"], "suspended");
    site.run(&["account", "resume", "anna"]).succeeded();
    assert_eq!(site.json(&["account", "list", "--json"])[0]["state"], "active");
    site.run(&["account", "remove", "anna"]).succeeded();
    for call in ["show", "suspend", "resume", "remove"] {
        site.run(&["account", call, "anna"])
            .failed(3, "error: there is no account `anna@example.org`\nhint: ");
    }
}

#[test]
fn app_passwords_are_made_listed_and_revoked() {
    let site = Site::new(MASTER);
    let create = |name| {
        site.json(&[
            "app-password",
            "create",
            "anna",
            "--name",
            name,
            "--networks",
            "192.0.2.7",
            "--expires",
            "90d",
            "--protocols",
            "imap,smtp",
            "--json",
        ])
    };
    let made = create("手机");
    assert_eq!(keys(&made), ["id", "label", "password"]);
    let password = made["password"].as_str().unwrap();
    assert!(
        password.split(' ').count() == 4 && password.split(' ').all(|group| group.len() == 4),
        "{password}"
    );
    assert!(password.starts_with(made["label"].as_str().unwrap()));

    let list = site.json(&["app-password", "list", "anna", "--json"]);
    assert_eq!(
        keys(&list[0]),
        [
            "created_at",
            "expires_at",
            "id",
            "label",
            "last_used_address",
            "last_used_at",
            "last_used_program",
            "name",
            "networks",
            "protocols",
            "read_only",
            "stale_since"
        ]
    );
    assert_eq!((&list[0]["id"], &list[0]["name"]), (&made["id"], &Value::from("手机")));
    assert_eq!(list[0]["protocols"], serde_json::json!(["imap", "smtp"]));
    assert_eq!(list[0]["networks"], serde_json::json!(["192.0.2.7/32"]));

    let second = create("iPad");
    site.run(&["app-password", "create", "anna", "--name", "third"])
        .failed(4, "error: cannot make an app password for anna@example.org\n  caused by: the account has 2");
    site.run(&["app-password", "revoke", "anna", made["id"].as_str().unwrap()]).succeeded();
    site.run(&["app-password", "revoke", "anna", second["label"].as_str().unwrap()]).succeeded();
    site.run(&["app-password", "revoke", "anna", "none"])
        .failed(3, "error: anna@example.org has no app password");
    create("one");
    create("two");
    assert_eq!(
        site.run(&["app-password", "revoke", "--all", "anna"]).succeeded(),
        "revoked all 2 app passwords of anna@example.org\n"
    );
    assert_eq!(site.json(&["app-password", "list", "anna", "--json"]), Value::Array(vec![]));
}

#[test]
fn nothing_that_is_kept_holds_an_app_password() {
    let site = Site::new(MASTER);
    let made = site.json(&["app-password", "create", "anna", "--name", "Phone", "--json"]);
    let printed = made["password"].as_str().unwrap();
    let secret_half: String = printed.chars().filter(|c| *c != ' ').skip(4).collect();
    let mut looked_at = 0;
    let mut folders = vec![site.file("data")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
                continue;
            }
            let content = String::from_utf8_lossy(&fs::read(&entry).unwrap()).into_owned();
            assert!(!content.contains(printed) && !content.contains(&secret_half), "{}", entry.display());
            assert_eq!(mode(&entry) & 0o077, 0, "{}", entry.display());
            looked_at += 1;
        }
    }
    assert!(looked_at >= 3, "database, key file and trail");
    assert_eq!(mode(&site.file("data")), 0o700);
}

#[test]
fn a_second_factor_is_bound_and_unbound() {
    let site = Site::new(MASTER);
    site.run(&["factor", "totp", "anna"]).failed(3, "error: there is no account");
    site.run(&["account", "add", "anna"]).succeeded();
    let enrolled = site.json(&["factor", "totp", "anna", "--json"]);
    assert_eq!(keys(&enrolled), ["secret", "uri"]);
    assert!(
        enrolled["uri"].as_str().unwrap().starts_with("otpauth://totp/mail.example.org:anna%40example.org?")
    );

    let list = site.json(&["factor", "list", "anna", "--json"]);
    assert_eq!(keys(&list[0]), ["bound_at", "detail", "id", "kind", "last_used_at", "name"]);
    let whole = site.json(&["account", "show", "anna", "--json"]);
    assert_eq!((&whole["bound_factors"], &whole["factors"]), (&Value::from(1), &list));

    site.run(&["factor", "unbind", "anna", "passkey", "--reason", "key lost"])
        .failed(3, "error: anna@example.org has no such second factor");
    site.run(&["factor", "unbind", "anna", "sms", "--reason", "x"]).failed(2, "error: invalid value 'sms'");
    site.run(&["app-password", "create", "anna", "--name", "Phone"]).succeeded();
    let unbound = site.json(&["factor", "unbind", "anna", "--reason", "phone lost", "--json"]);
    assert_eq!(
        (&unbound["factors"][0]["kind"], &unbound["app_passwords_revoked"]),
        (&"totp".into(), &1.into())
    );
    site.run(&["factor", "unbind", "anna", "totp", "--reason", "again"])
        .failed(3, "error: anna@example.org has no such second factor");
}

#[test]
fn a_link_for_the_first_factor_is_made_once_and_for_who_has_none() {
    let site = Site::new(MASTER);
    site.run(&["account", "add", "anna"]).succeeded();
    let no_portal = site.run(&["factor", "invite", "anna"]);
    no_portal.failed(2, "error: there is no portal that a link could lead to");
    let portal = format!("{MASTER}[portal]\npublic_url = \"https://mail.example.org/portal\"\n");
    fs::write(site.file("mailward.toml"), portal).unwrap();
    site.run(&["factor", "invite", "nobody"]).failed(3, "error: there is no account");
    site.run(&["factor", "invite", "anna", "--expires", "31d"]).failed(2, "error: invalid value '31d'");
    let made = site.json(&["factor", "invite", "anna", "--expires", "2h", "--json"]);
    let url = made["url"].as_str().unwrap();
    let token = url.strip_prefix("https://mail.example.org/portal/enrol/").unwrap();
    assert_eq!(token.len(), 43, "{url}");
    assert!(made["expires_at"].as_str().unwrap().ends_with('Z'));
    let shown = site.run(&["factor", "invite", "anna"]).succeeded();
    assert!(shown.contains("https://mail.example.org/portal/enrol/") && !shown.contains(token), "{shown}");
    let trail = site.run(&["audit", "search", "--event", "enrolment_link_made"]).succeeded();
    assert!(!trail.contains(token) && trail.matches("until ").count() == 2, "{trail}");
    site.json(&["factor", "totp", "anna", "--json"]);
    site.run(&["factor", "invite", "anna"]).failed(4, "error: anna@example.org has a second factor already");
}

#[test]
fn a_factor_is_confirmed_with_its_code_before_it_counts() {
    let site = Site::new(MASTER);
    site.run(&["account", "add", "anna"]).succeeded();
    let refused = site.run_with_input(&["factor", "totp", "anna", "--confirm"], "000000\nabc\n1\n");
    assert_eq!(refused.code, 1, "{}", refused.err);
    assert!(refused.err.contains("error: the code is wrong"), "{}", refused.err);
    assert_eq!(site.json(&["factor", "list", "anna", "--json"]), Value::Array(vec![]));
}

#[test]
fn the_trail_is_searched_and_verified() {
    let site = Site::new(MASTER);
    site.run(&["account", "add", "anna"]).succeeded();
    site.run(&["account", "add", "bert"]).succeeded();
    site.run(&["account", "suspend", "anna"]).succeeded();

    let found = site.json(&["audit", "search", "--account", "Anna", "--json"]);
    let events: Vec<_> =
        found.as_array().unwrap().iter().map(|record| record["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["account_added", "account_suspended"]);
    assert_eq!(found[0]["by"]["kind"], "command_line");
    let table = site.run(&["audit", "search", "--from", "1h", "--event", "account_added"]).succeeded();
    assert_eq!(table.lines().count(), 3, "{table}");
    assert_eq!(site.run(&["audit", "search", "--until", "2020-01-01"]).succeeded(), "no records\n");
    assert!(site.run(&["audit", "verify"]).succeeded().ends_with("whole and unchanged\n"));

    let chain = fs::read_dir(site.file("data/audit"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| fs::read_to_string(path).unwrap().contains("bert"))
        .unwrap();
    let text = fs::read_to_string(&chain).unwrap();
    fs::write(&chain, text.replace("bert", "carl")).unwrap();
    let verified = site.run(&["audit", "verify"]);
    assert_eq!(verified.code, 1);
    assert!(verified.out.contains("was changed"), "{}", verified.out);
    assert!(
        verified.err.starts_with("error: the trail is not as it was written: 1 problem above\nhint: "),
        "{}",
        verified.err
    );
}

#[test]
fn output_that_nobody_reads_is_a_failure_only_where_it_cannot_be_had_again() {
    let site = Site::new(MASTER);
    site.run(&["account", "add", "anna"]).succeeded();
    let unread = |arguments: &[&str]| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mailward"))
            .arg("--config")
            .arg(site.file("mailward.toml"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(unread(&["account", "list"]), (0, String::new()));
    let (code, err) = unread(&["app-password", "create", "anna", "--name", "Phone"]);
    assert!(
        code == 1 && err.contains("hint: take it back with `mailward app-password revoke anna@"),
        "{code} {err}"
    );
    let (code, err) = unread(&["factor", "totp", "anna"]);
    assert!(
        code == 1 && err.contains("hint: take it back with `mailward factor unbind anna@"),
        "{code} {err}"
    );
}

#[test]
fn a_table_of_few_records_holds_no_book_keeping() {
    let site = Site::new(MASTER);
    site.run(&["account", "add", "anna"]).succeeded();
    let found = site.run(&["audit", "search", "--limit", "1"]).succeeded();
    assert!(found.contains("account_added"), "{found}");
}

#[test]
fn a_key_file_that_was_lost_or_is_another_is_noticed_before_it_does_harm() {
    let site = Site::new(MASTER);
    site.run(&["account", "add", "anna"]).succeeded();
    let (key, away) = (site.file("data/site.key"), site.file("away"));
    fs::rename(&key, &away).unwrap();
    let missing = format!("error: the key file `{}` is missing", key.display());
    site.run(&["audit", "verify"]).failed(1, &missing);
    assert!(!key.exists(), "a new one would be in the way of the right one");

    fs::write(&key, [7; 32]).unwrap();
    fs::set_permissions(&key, fs::metadata(&away).unwrap().permissions()).unwrap();
    let another = format!("error: the key file `{}` is not the one", key.display());
    site.run(&["factor", "totp", "anna"]).failed(1, &another);
    fs::rename(&away, &key).unwrap();
    site.run(&["audit", "verify"]).succeeded();
}

#[test]
fn a_database_that_is_not_there_is_named_without_its_password() {
    let url = "postgres://mailward:s3cret@127.0.0.1:1/mail";
    let config = MASTER.replace("[[tls", &format!("[database]\nurl = \"{url}\"\n[[tls"));
    let told = Site::new(&config).run(&["account", "list"]);
    told.failed(
        1,
        "error: cannot open the database `postgres://mailward:***@127.0.0.1:1/mail`\n  caused by:",
    );
}

#[test]
fn init_without_answers_or_a_terminal_names_every_flag() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("mailward.toml");
    let path = path.to_str().unwrap();
    let err = run(&["-c", path, "init"], "")
        .failed(2, "error: there is no terminal to ask, and answers are missing\n");
    for flag in ["--domain", "--hostname", "--imap", "--pop3", "--smtp", "--yes"] {
        assert!(err.contains(flag), "{err}");
    }
    run(&["-c", path, "init", "--domain", "a b", "--yes"], "")
        .failed(2, "error: `a b` is no mail domain\nhint: ");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let site = Site::new(MASTER);
    site.run(&["init", "--domain", "example.org", "--imap", "127.0.0.1:143", "--yes"]).failed(1, "error: `");
    assert_eq!(fs::read_to_string(site.file("mailward.toml")).unwrap(), MASTER);
}

#[test]
fn a_sealed_app_password_needs_the_right_mailbox_password() {
    let site = Site::new(&sealed(imap_server("s3cret-mailbox")));
    let create = ["app-password", "create", "anna", "--name", "Phone", "--mailbox-password-stdin", "--json"];
    site.run(&["app-password", "create", "anna", "--name", "Phone"])
        .failed(2, "error: the mailbox password is needed, and there is no terminal to ask for it\nhint: ");
    site.run_with_input(&create, "").failed(2, "error: the first line of stdin is no password: ");
    let err = site
        .run_with_input(&create, "wr0ng-mailbox\n")
        .failed(1, "error: `legacy` refused the mailbox password");
    assert!(!err.contains("wr0ng"), "{err}");
    assert_eq!(site.json(&["account", "list", "--json"]), Value::Array(vec![]), "nothing was made");

    let made = site.run_with_input(&create, "s3cret-mailbox\r\n").succeeded();
    assert!(serde_json::from_str::<Value>(&made).unwrap()["password"].is_string());
    assert_eq!(site.json(&["account", "list", "--json"])[0]["address"], "anna@example.org");
    for file in ["data/mailward.db", "data/mailward.db-wal"] {
        let content = fs::read(site.file(file)).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&content).contains("s3cret-mailbox"), "{file}");
    }
}

#[test]
fn an_upstream_that_cannot_be_asked_is_told_apart_from_a_wrong_password() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let site = Site::new(&sealed(gone));
    let create = ["app-password", "create", "anna", "--name", "Phone", "--mailbox-password-stdin"];
    site.run_with_input(&create, "whatever\n").failed(
        1,
        "error: cannot ask `legacy` whether the mailbox password is right; no app password was made\n  caused by: ",
    );
}

#[test]
fn init_makes_a_site_that_works() {
    let port = imap_server("s3cret-mailbox");
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("etc/mailward.toml");
    let config = path.to_str().unwrap();
    let place = format!("127.0.0.1:{port}");
    let made = run(&["-c", config, "init", "--yes", "--domain", "example.org", "--imap", &place], "");
    assert_eq!(made.code, 0, "{}", made.err);
    assert!(made.err.starts_with(&format!("found imap at {place}: no TLS!")), "{}", made.err);
    assert!(made.out.contains(&format!("next: mailward -c {config} serve\n")), "{}", made.out);

    assert!(
        run(&["-c", config, "config", "check"], "")
            .succeeded()
            .contains("2 listeners, 1 certificate, 1 upstream")
    );
    let etc = folder.path().join("etc");
    assert_eq!(mode(&etc.join("certs/privkey.pem")), 0o600);
    assert_eq!(mode(&etc.join("data")), 0o700);
    assert!(etc.join("data/mailward.db").exists() && etc.join("data/site.key").exists());
    let create =
        ["-c", config, "app-password", "create", "anna", "--name", "Phone", "--mailbox-password-stdin"];
    run(&create, "s3cret-mailbox\n").succeeded();
    run(&["-c", config, "init", "--yes"], "").failed(1, "error: `");
}

#[test]
fn what_root_sets_up_is_for_the_service_to_use() {
    let folder = TempDir::new().unwrap();
    if chown(folder.path(), Some(65534), Some(65534)).is_err() {
        return; // only root can make files for another user
    }
    let place = format!("127.0.0.1:{}", imap_server("s3cret-mailbox"));
    let path = folder.path().join("mailward.toml");
    let init = |user: &str| {
        let config = path.to_str().unwrap();
        run(&["-c", config, "init", "--yes", "--domain", "example.org", "--imap", &place, "--user", user], "")
    };
    init("nobdy").failed(2, "error: there is no system user `nobdy`\nhint: `useradd --system");
    let made = init("nobody");
    assert!(made.out.contains("The system user `nobody` can read them"), "{} {}", made.out, made.err);

    run(&["-c", path.to_str().unwrap(), "account", "add", "anna"], "").succeeded();
    let owner = |name: &str| {
        let metadata = fs::metadata(folder.path().join(name)).unwrap();
        (metadata.uid(), metadata.gid(), metadata.mode() & 0o777)
    };
    for (name, access) in [
        ("mailward.toml", (0, 65534, 0o640)),
        ("certs", (0, 65534, 0o750)),
        ("certs/fullchain.pem", (0, 65534, 0o644)),
        ("certs/privkey.pem", (0, 65534, 0o640)),
        ("data", (65534, 65534, 0o700)),
        ("data/site.key", (65534, 65534, 0o600)),
        ("data/mailward.db", (65534, 65534, 0o600)),
        ("data/audit", (65534, 65534, 0o700)),
    ] {
        assert_eq!(owner(name), access, "{name}");
    }
}

#[test]
fn init_writes_nothing_when_the_mail_server_is_not_there() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("mailward.toml");
    let call = [
        "-c",
        path.to_str().unwrap(),
        "init",
        "--yes",
        "--domain",
        "example.org",
        "--imap",
        &gone.to_string(),
    ];
    run(&call, "").failed(1, &format!("error: `{gone}` did not answer as an imap server"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
