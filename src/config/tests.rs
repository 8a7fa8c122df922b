//! The whole file: what an administrator is told about mistakes.

mod origin;
mod reference;
mod reload;
mod rules;
mod schema;

use std::path::Path;
use std::time::Duration;

use super::reference::REFERENCE;
use super::*;

const SHORTEST: &str = r#"
[server]
hostname = "mail.example.org"
[[tls.certificate]]
cert = "certs/fullchain.pem"
key = "certs/privkey.pem"
[[listener]]
protocol = "imap"
address = "[::]:993"
tls = "implicit"
[[upstream]]
name = "legacy"
domains = ["example.org"]
imap = { address = ["10.0.0.5:143"], tls = "starttls" }
"#;

fn parse(text: &str) -> Config {
    Config::parse(text, Path::new("/etc/mailward/mailward.toml")).unwrap()
}

/// The problems of [`SHORTEST`] once `from` is replaced by `to`.
fn problems(from: &str, to: &str) -> Vec<Problem> {
    assert!(SHORTEST.contains(from), "{from}");
    match Config::parse(&SHORTEST.replacen(from, to, 1), Path::new("m.toml")) {
        Err(ConfigError::Invalid { problems, .. }) => problems,
        other => panic!("{other:?}"),
    }
}

/// The same, when there is exactly one.
#[track_caller]
fn problem(from: &str, to: &str) -> String {
    let problems = problems(from, to);
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems[0].to_string()
}

/// The problem of [`SHORTEST`] with `more` behind it.
#[track_caller]
fn problem_with(more: &str) -> String {
    problem("tls = \"starttls\" }\n", &format!("tls = \"starttls\" }}\n{more}"))
}

#[test]
fn the_shortest_file_has_every_default() {
    let config = parse(SHORTEST);
    assert_eq!(config.server.data_dir, Path::new("/var/lib/mailward"));
    assert!(
        matches!(&config.database, Database::Sqlite(p) if p == Path::new("/var/lib/mailward/mailward.db"))
    );
    assert_eq!(config.audit.directory, Path::new("/var/lib/mailward/audit"));
    assert_eq!(config.audit.when_full, WhenFull::Refuse);
    assert_eq!(config.audit.reserve, 256 << 20);
    assert_eq!(config.policies.default.second_factor, Requirement::Optional);
    assert_eq!(config.policies.default.app_passwords_per_account, 20);
    assert_eq!(config.limits.per_network, Rate { burst: 20, per: Duration::from_secs(600) });
    let upstream = &config.upstreams[0];
    assert_eq!(upstream.accounts, None);
    assert_eq!(upstream.connect_deadline, Duration::from_secs(5));
    assert_eq!(upstream.login_deadline, Duration::from_secs(30));
    let imap = upstream.imap.as_ref().unwrap();
    assert_eq!(imap.name_of(&imap.addresses[0]), "10.0.0.5");
    assert!(config.portal.is_none());
}

#[test]
fn relative_paths_start_at_the_folder_of_the_file() {
    let config =
        parse(&SHORTEST.replace("[[tls", "data_dir = \"data\"\n[database]\nurl = \"sqlite:x.db\"\n[[tls"));
    assert_eq!(config.certificates[0].cert, Path::new("/etc/mailward/certs/fullchain.pem"));
    assert_eq!(config.server.data_dir, Path::new("/etc/mailward/data"));
    assert!(matches!(&config.database, Database::Sqlite(p) if p == Path::new("/etc/mailward/x.db")));
}

#[test]
fn a_file_without_a_folder_stands_where_the_command_runs() {
    let config = Config::parse(SHORTEST, Path::new("m.toml")).unwrap();
    assert_eq!(config.certificates[0].cert, std::env::current_dir().unwrap().join("certs/fullchain.pem"));
}

#[test]
fn what_is_shown_reads_as_the_same_configuration() {
    for text in [REFERENCE, SHORTEST] {
        let config = parse(text);
        let shown = show::to_toml(&config).unwrap();
        let again = Config::parse(&shown, Path::new("/elsewhere/m.toml")).unwrap();
        assert_eq!(format!("{config:?}"), format!("{again:?}"), "{shown}");
    }
    let secret = SHORTEST.replace("[[tls", "[database]\nurl = \"postgres://u:s3cret@db/m\"\n[[tls");
    let shown = show::to_toml(&parse(&secret)).unwrap();
    assert!(shown.contains("postgres://u:***@db/m") && !shown.contains("s3cret"), "{shown}");
}

/// To which accounts are only moved; its default domain says whose bare names it knows.
#[test]
fn an_upstream_may_have_no_domains_and_then_leads_nowhere_by_itself() {
    let new = |more: &str| {
        let upstream =
            "[[upstream]]\nname = \"new\"\ndomains = []\nimap = { address = [\"h:1\"], tls = \"none\" }\n";
        format!("{SHORTEST}{upstream}{more}")
    };
    let config = parse(&new("login = \"local-part\"\ndefault_domain = \"example.org\"\n"));
    assert!(config.upstreams[1].domains.is_empty());
    let again = parse(&show::to_toml(&config).unwrap());
    assert_eq!(format!("{config:?}"), format!("{again:?}"));
    let aliased = new("domain_aliases = [\"other.example\"]\n");
    let Err(ConfigError::Invalid { problems, .. }) = Config::parse(&aliased, Path::new("m.toml")) else {
        panic!("taken");
    };
    assert!(problems[0].message.contains("lead to an upstream that has no `domains`"), "{problems:?}");
}

#[test]
fn each_mistake_in_a_value_is_named_with_its_line_and_key() {
    let with = |more: &str| problem_with(more);
    for (told, expected) in [
        (
            problem("\"mail.example.org\"", "\"mail example\""),
            "line 3: `hostname` in `[server]`: `mail example` is no host name\nhint: write the name",
        ),
        (
            problem("\"mail.example.org\"", "5"),
            "line 3: `hostname` in `[server]` is the number `5`; expected a string",
        ),
        (
            problem("\"[::]:993\"", "\"993\""),
            "line 9: `address` in `[[listener]]`: `993` is no address to listen on\nhint: write an IP",
        ),
        (
            problem("\"imap\"", "\"imaps\""),
            "line 8: `imaps` is no value for `protocol` in `[[listener]]`; expected `imap`, `pop3`, `smtp`\nhint: did you mean `imap`?",
        ),
        (
            problem("10.0.0.5:143", "10.0.0.5"),
            "line 14: `imap.address` in `[[upstream]]`: `10.0.0.5` is no host and port\nhint: write",
        ),
        (
            problem("[\"10.0.0.5:143\"]", "[\"a:1\", \"b:1\", \"a:1\"]"),
            "line 14: `imap.address` in `[[upstream]]`: names `a:1` twice\nhint: remove one of them",
        ),
        (
            with("refresh = \"10\""),
            "line 15: `refresh` in `[[upstream]]`: `10` is no duration\nhint: write a whole number and a unit",
        ),
        (
            with("refresh = 10"),
            "line 15: `refresh` in `[[upstream]]` is the number `10`; expected a duration in quotes",
        ),
        (with("max_connections = -1"), "line 15: `max_connections` in `[[upstream]]`"),
        (
            with("same_passwords_as = [\"a b\"]"),
            "line 15: `same_passwords_as` in `[[upstream]]`: `a b` is no name\nhint: write up to 64 letters",
        ),
        (with("refresh = \"0\""), "line 15: `refresh` in `[[upstream]]`: must be longer than zero"),
        (
            with("login = \"{locl}\""),
            "line 15: `login` in `[[upstream]]`: the template `{locl}` must hold `{local}`",
        ),
        (
            with("sub_address_delimiter = \".\""),
            "line 15: `sub_address_delimiter` in `[[upstream]]`: `.` is no delimiter\nhint: write the sign",
        ),
        (
            with("aliases_file = \"/absent/aliases\""),
            "line 15: cannot read `aliases_file` `/absent/aliases`: No such file",
        ),
        (
            problem("\"example.org\"", "\"xn--a.org\""),
            "line 13: `domains` in `[[upstream]]`: `xn--a.org` is no mail domain\nhint: write what",
        ),
        (
            with("hostnames = [\"mail.example.org\", \"imap.example.org:993\"]"),
            "line 15: `hostnames` in `[[upstream]]`: `imap.example.org:993` is no host name\nhint: write the names",
        ),
        (with("login = \"adress\""), "line 15: `login` in `[[upstream]]`: `adress` is no login name"),
        (with("[limits]\nidle = \"30m\""), "line 16: `idle` in `[limits]`: `30m` would cut off clients"),
        (
            with("[limits]\nproof_cache = \"25h\""),
            "line 16: `proof_cache` in `[limits]`: `25h` is longer than",
        ),
        (
            with("[limits]\nexempt = [\"10.0.0.0/33\"]"),
            "line 16: `exempt` in `[limits]`: `10.0.0.0/33` is not a network",
        ),
        (
            with("[limits]\nper_network = { burst = 0, per = \"1m\" }"),
            "line 16: `per_network.burst` in `[limits]`: 0 is out of range; expected a whole number from 1",
        ),
        (
            with("[limits]\nper_network = { burts = 1, per = \"1m\" }"),
            "line 16: unknown key `burts` in `per_network` of `[limits]`\nhint: did you mean `burst`?",
        ),
        (
            with("[limits]\ntls_deadline = \"2m\""),
            "line 15: `tls_deadline` (2m) is not shorter than `auth_deadline` (1m)",
        ),
        (
            with("[policy]\nrequired_since = \"2027-01-01\""),
            "line 16: `required_since` in `[policy]`: expected a date without quotes",
        ),
        (
            with("[policy]\nfactors = [\"sms\"]"),
            "line 16: `factors` in `[policy]`: the second factor `sms` is not built yet\nhint: remove it; built are `totp`, `passkey`",
        ),
        (with("[policy]\nfactors = []"), "line 16: `factors` in `[policy]`: names no second factor"),
        (
            with("[portal]\npublic_url = \"http://mail.example.org\""),
            "line 16: `public_url` in `[portal]`: `http://mail.example.org` does not begin with `https://`",
        ),
        (
            with("[database]\nurl = \"mysql://u:s3cret@h\""),
            "line 16: `url` in `[database]`: is no database URL\nhint:",
        ),
        (
            with("[database]\nurl = \"postgres://u@h/m?passwort=s3cret\""),
            "line 16: `url` in `[database]`: has an unknown parameter behind `?`\nhint: known are `sslmode`,",
        ),
        (
            with("[database]\nurl = \"postgres://u:s3cret/@h/m\""),
            "line 16: `url` in `[database]`: is no PostgreSQL URL\nhint: write",
        ),
        (
            with("[database]\nurl = \"postgres://u@h/m?sslmode=some\""),
            "line 16: `url` in `[database]`: is no PostgreSQL URL\nhint: write",
        ),
        (
            with("[limits]\nper_account = { burst = 1, per = \"36501d\" }"),
            "line 16: `per_account.per` in `[limits]`: `36501d` is no duration\nhint: write a whole number",
        ),
        (with("refresh = \"1m\"\nrefresh = \"2m\""), "line 16: not TOML: duplicate key `refresh`"),
    ] {
        assert!(told.starts_with(expected), "{told}\n  instead of\n{expected}");
        assert!(!told.contains("s3cret"));
    }
}

#[test]
fn a_size_needs_its_unit() {
    let told = problem_with("[audit]\nreserve = \"256MB\"");
    assert!(told.starts_with("line 16: `reserve` in `[audit]`: `256MB` is no size\nhint: "), "{told}");
}

#[test]
fn what_is_not_built_yet_is_never_taken_silently() {
    for (more, expected) in [
        ("[policy]\naccounts_per_phone = 1", "line 16: `accounts_per_phone` in `[policy]` is not built yet"),
        (
            "[policy.\"example.org\"]\naccounts_per_wechat = 1",
            "line 16: `accounts_per_wechat` in `[policy.\"example.org\"]` is not built yet",
        ),
    ] {
        let told = problem_with(more);
        assert!(told.starts_with(expected), "{told}\n  instead of\n{expected}");
    }
    let harmless = "[policy]\nrecommended = [] # nothing is\n";
    parse(&format!("{SHORTEST}{harmless}"));
}

#[test]
fn what_the_sections_say_about_each_other_is_checked() {
    let second =
        "[[upstream]]\nname = \"b\"\ndomains = [\"b.org\"]\npop3 = { address = [\"b:1\"], tls = \"none\" }\n";
    for (told, expected) in [
        (
            problem("[server]\nhostname = \"mail.example.org\"", ""),
            "line 1: key `hostname` is missing in `[server]`",
        ),
        (
            problem("[[tls.certificate]]\ncert = \"certs/fullchain.pem\"\nkey = \"certs/privkey.pem\"\n", ""),
            "line 4: `[[listener]]` needs a certificate",
        ),
        (
            problem("\"imap\"", "\"pop3\""),
            "line 7: this `[[listener]]` speaks `pop3`, but no `[[upstream]]` does",
        ),
        (
            problem("imap = { address", "name2 = { address"),
            "line 14: unknown key `name2` in `[[upstream]]`\nhint: did you mean `name`?",
        ),
        (
            problem("tls = \"starttls\" }", "tls = \"none\", ca_file = \"x\" }"),
            "line 14: `ca_file` has nothing to verify with `tls = \"none\"`",
        ),
        (
            problem_with(&second.replace("b.org", "Example.ORG.")),
            "line 17: the domain `example.org` of `[[upstream]]` `b` belongs to `legacy` already",
        ),
        (
            problem_with(&second.replace("\"b\"", "\"legacy\"")),
            "line 16: another `[[upstream]]` is called `legacy`",
        ),
        (
            problem("[\"example.org\"]", "[\"b\u{fc}cher.example\", \"XN--BCHER-KVA.example\"]"),
            "line 13: the domain `xn--bcher-kva.example` of `[[upstream]]` `legacy` belongs to `legacy` already",
        ),
        (
            problem("[\"example.org\"]", "[\"*\"]\nlogin = \"{local}.{domain}\""),
            "line 14: the template of `login` can make the same name of two addresses\nhint: put a sign",
        ),
        (
            problem("[\"example.org\"]", "[\"example.org\", \"example.net\"]\nlogin = \"{local}{domain}\""),
            "line 14: the template of `login` can make the same name of two addresses",
        ),
        (
            problem_with("default_domain = \"other.org\""),
            "line 15: `default_domain` `other.org` is none of this upstream's `domains`",
        ),
        (
            problem_with("domain_aliases = [\"other.org\"]"),
            "line 15: `domain_aliases` are other names of `default_domain`, which is missing",
        ),
        (
            problem_with("credential = \"master\""),
            "line 11: `credential = \"master\"` needs `[upstream.master]`",
        ),
        (
            problem_with("[upstream.master]\nuser = \"p\"\npassword_file = \"f\"\nstyle = \"authzid\""),
            "line 15: `[upstream.master]` is not used with `credential = \"sealed\"`",
        ),
        (
            problem_with("[[listener]]\nprotocol = \"imap\"\naddress = \"0.0.0.0:993\"\ntls = \"implicit\""),
            "line 15: `address` `0.0.0.0:993` is taken by a `[[listener]]` above",
        ),
        (
            problem("tls = \"implicit\"", "tls = \"implicit\"\nupstreams = [\"legcy\"]"),
            "line 11: `upstreams` of this `[[listener]]` names `legcy`, and no `[[upstream]]` is called so\nhint: did you mean `legacy`?",
        ),
        (
            problem("tls = \"implicit\"", "tls = \"implicit\"\nupstreams = [\"zzz\"]"),
            "line 11: `upstreams` of this `[[listener]]` names `zzz`, and no `[[upstream]]` is called so\nhint: write the `name` of an `[[upstream]]`: `legacy`",
        ),
        (
            problem(
                "tls = \"implicit\"\n",
                &format!("tls = \"implicit\"\nupstreams = [\"legacy\", \"b\"]\n{second}"),
            ),
            "line 11: this `[[listener]]` speaks `imap`, and `[[upstream]]` `b` does not\nhint: add `imap = {",
        ),
        (
            problem_with("[policy.\"exmaple.org\"]\nsecond_factor = \"required\""),
            "line 15: `[policy.\"exmaple.org\"]` rules a domain that no `[[upstream]]` serves",
        ),
        (
            problem_with(
                "default_domain = \"example.org\"\ndomain_aliases = [\"m.org\"]\n[policy.\"m.org\"]\nfactors = [\"totp\"]",
            ),
            "line 17: `[policy.\"m.org\"]` rules an alias domain",
        ),
    ] {
        assert!(told.starts_with(expected), "{told}\n  instead of\n{expected}");
    }
}

#[test]
fn a_template_without_a_sign_between_is_right_for_a_single_domain() {
    parse(&format!("{SHORTEST}login = \"{{local}}.{{domain}}\"\n"));
}

/// Two accounts, `anna@example.org` and `anna@b.org`, would have the one mailbox `anna`.
#[test]
fn a_server_in_two_sections_hears_addresses_as_different_names() {
    let with = |login: &str, others: &str, place: &str| {
        format!(
            "{SHORTEST}login = \"{login}\"\n[[upstream]]\nname = \"b\"\ndomains = [\"b.org\"]\nlogin = \"{others}\"\n\
             imap = {{ address = [\"{place}\"], tls = \"none\" }}\n"
        )
    };
    for (login, others) in [
        ("local-part", "local-part"),
        ("address", "local-part"),
        ("{local}", "{local}"),
        ("address", "{local}/{domain}"),
    ] {
        let told = Config::parse(&with(login, others, "10.0.0.5:143"), Path::new("m.toml")).unwrap_err();
        let expected =
            "m.toml, line 16: `[[upstream]]` `legacy` and `b` are the same server (`10.0.0.5:143`), and";
        assert!(told.to_string().starts_with(expected), "{told}");
        parse(&with(login, others, "10.0.0.6:143"));
    }
    for login in ["address", "{local}/{domain}"] {
        parse(&with(login, login, "10.0.0.5:143"));
    }
}

#[test]
fn aliases_are_read_with_the_file_that_names_them() {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("m.toml");
    let text = format!("{SHORTEST}aliases_file = \"aliases\"\n");
    let aliases = folder.path().join("aliases");
    std::fs::write(&aliases, "# of the sales department\nsales@example.org anna@example.org\n").unwrap();
    let config = Config::parse(&text, &main).unwrap();
    let read = config.upstreams[0].aliases.as_ref().unwrap();
    assert_eq!((&read.path, read.lines.len(), read.lines[0].number), (&aliases, 1, 2));
    let shown = show::to_toml(&config).unwrap();
    assert!(shown.contains(&format!("aliases_file = \"{}\"", aliases.display())), "{shown}");

    std::fs::write(&aliases, "\nsales@example.org\n").unwrap();
    let told = Config::parse(&text, &main).unwrap_err().to_string();
    let expected = format!("{}, line 2: expected two names\nhint: ", aliases.display());
    assert!(told.starts_with(&expected), "{told}");
    // the mistakes of the main file come first
    let told = Config::parse(&text.replace("[::]", "::"), &main).unwrap_err().to_string();
    assert!(told.starts_with(&format!("{}, line 9: ", main.display())), "{told}");
}

#[test]
fn the_form_in_which_a_domain_is_written_is_the_one_that_its_server_hears() {
    let with = |domains: &str| {
        let config = parse(&SHORTEST.replace("[\"example.org\"]", domains));
        let shown = show::to_toml(&config).unwrap();
        assert_eq!(format!("{config:?}"), format!("{:?}", parse(&shown)), "{shown}");
        let unicode = config.upstreams[0].unicode_domains.iter().map(ToString::to_string);
        (unicode.collect::<Vec<_>>().join(" "), shown)
    };
    let (unicode, shown) = with("[\"B\u{fc}cher.Example\", \"example.org\", \"xn--fsqu00a.xn--fiqs8s\"]");
    assert_eq!(unicode, "xn--bcher-kva.example");
    assert!(
        shown.contains("\"b\u{fc}cher.example\", \"example.org\", \"xn--fsqu00a.xn--fiqs8s\""),
        "{shown}"
    );
    // what `domains` says counts before what `default_domain` says
    let default = "default_domain = \"b\u{fc}cher.example\"";
    assert_eq!(with(&format!("[\"xn--bcher-kva.example\"]\n{default}")).0, "");
    assert_eq!(with(&format!("[\"*\"]\n{default}")).0, "xn--bcher-kva.example");
    let rules = format!("{SHORTEST}[policy.\"xn--bcher-kva.example\"]\nsecond_factor = \"required\"\n");
    let config = parse(&rules.replace("\"example.org\"", "\"b\u{fc}cher.example\""));
    assert_ne!(config.policies.of("xn--bcher-kva.example").second_factor, Requirement::Optional);
}

#[test]
fn mistakes_of_several_sections_are_told_together() {
    let text =
        SHORTEST.replace("hostname", "hostnam").replace("protocol", "protocl").replace("name =", "nam =");
    match Config::parse(&text, Path::new("m.toml")) {
        Err(ConfigError::Invalid { problems, .. }) => assert_eq!(problems.len(), 3, "{problems:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_domain_overrides_only_what_its_section_names() {
    let config = parse(&format!(
        "{SHORTEST}[policy]\nsecond_factor = \"required\"\nrequired_since = 2027-01-01\ngrace_period = \"3d\"\n\
         app_passwords_per_account = 5\n\
         [policy.\"Example.org\"]\napp_passwords_after_unbind = \"keep\"\n"
    ));
    let rules = config.policies.of("example.org");
    assert_eq!(rules.app_passwords_after_unbind, AfterUnbind::Keep);
    assert_eq!(rules.app_passwords_per_account, 5);
    assert!(
        matches!(rules.second_factor, Requirement::Required { grace, .. } if grace.as_secs() == 3 * 86_400)
    );
    assert_eq!(config.policies.of("other.org").app_passwords_after_unbind, AfterUnbind::Stop);
}

#[test]
fn a_listener_leads_to_what_it_lists_and_host_names_have_no_case() {
    let config = parse(
        &SHORTEST
            .replace("\"implicit\"", "\"implicit\"\nupstreams = [\"legacy\"]")
            .replace("domains =", "hostnames = [\"IMAP.Example.org\"]\ndomains ="),
    );
    assert_eq!(config.listeners[0].upstreams, [config.upstreams[0].name.clone()]);
    assert_eq!(config.upstreams[0].hostnames, ["imap.example.org"]);
    let config = parse(SHORTEST);
    assert!(config.listeners[0].upstreams.is_empty() && config.upstreams[0].hostnames.is_empty());
}
