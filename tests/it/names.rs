//! One mailbox, one account: whatever way a name is spelled, it meets the second factor of its mailbox.
//!
//! Where Dovecot would take another spelling for the same mailbox, it is made to here, so that each refusal of the
//! gate is one that counts.

use std::collections::BTreeMap;
use std::fs;
use std::thread;

use crate::support::table::{BIND_FIRST, NOT_LET_IN};
use crate::support::{
    AppPassword, Gate, GateConfig, Guest, LegacyOptions, LegacyServer, Mail, eventually, log_in,
    on_each_protocol,
};

/// A mailbox with so many messages, by which it is recognised. Names of a pair differ in one letter.
struct Mailbox {
    address: &'static str,
    letter: char,
    password: &'static str,
    messages: u32,
    /// Its other name on the server.
    alias: &'static str,
}

const KIM: Mailbox = Mailbox {
    address: "kim@example.test",
    letter: 'm',
    password: "kims own",
    messages: 1,
    alias: "salem@example.test",
};
const KIT: Mailbox = Mailbox {
    address: "kit@example.test",
    letter: 't',
    password: "kits own",
    messages: 2,
    alias: "salet@example.test",
};
const ANNA: Mailbox = Mailbox {
    address: "anna@xn--bcher-kva.test",
    letter: 'a',
    password: "annas own",
    messages: 3,
    alias: "posta@xn--bcher-kva.test",
};
const ANNE: Mailbox = Mailbox {
    address: "anne@xn--bcher-kva.test",
    letter: 'e',
    password: "annes own",
    messages: 4,
    alias: "poste@xn--bcher-kva.test",
};

/// Who has bound a second factor, and somebody in the same domain who has not.
const PAIRS: [(Mailbox, Mailbox); 2] = [(KIM, KIT), (ANNA, ANNE)];

/// What a spelling of a name leads to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leads {
    ToTheMailbox,
    Nowhere,
}
use Leads::{Nowhere, ToTheMailbox};

/// Whose mailboxes, how they are spelled, and the app password of the first.
type Row<'a> = (&'a (Mailbox, Mailbox), &'a (&'a str, Leads), &'a String);

/// `§` stands for the letter of the mailbox, `¶` for its capital.
const SPELLINGS: [(&str, Leads); 54] = [
    ("ki§@example.test", ToTheMailbox),
    // case, blanks, the root's dot
    ("KI¶@Example.TEST", ToTheMailbox),
    (" ki§@example.test", ToTheMailbox),
    ("ki§@example.test ", ToTheMailbox),
    ("ki§@example.test.", ToTheMailbox),
    ("Ki§@EXAMPLE.test.  ", ToTheMailbox),
    // letters that fold to plain ones: the Kelvin sign; full width and what is not seen, in a domain
    ("\u{212a}i§@example.test", ToTheMailbox),
    ("ki§@\u{ff45}xample.test", ToTheMailbox),
    ("ki§@example\u{3002}test", ToTheMailbox),
    ("ki§@ex\u{ad}ample.test", ToTheMailbox),
    // the default domain, another name of it
    ("ki§", ToTheMailbox),
    (" KI¶ ", ToTheMailbox),
    ("ki§@old.example.test", ToTheMailbox),
    ("Ki§@OLD.example.test.", ToTheMailbox),
    // the list of aliases
    ("sale§@example.test", ToTheMailbox),
    ("SALE¶@Example.Test.", ToTheMailbox),
    ("sale§", ToTheMailbox),
    ("sale§@old.example.test", ToTheMailbox),
    // sub-addresses, and master logins of whoever
    ("ki§+spam@example.test", Nowhere),
    ("ki§+spam", Nowhere),
    ("ki§+@example.test", Nowhere),
    ("sale§+spam@example.test", Nowhere),
    ("ki§*proxy@example.test", Nowhere),
    ("ki§@example.test*proxy", Nowhere),
    ("ki§*ki§@example.test", Nowhere),
    // quoted, commented, routed, encoded, doubled
    ("\"ki§\"@example.test", Nowhere),
    ("\"ki§@example.test\"", Nowhere),
    ("<ki§@example.test>", Nowhere),
    ("ki\\§@example.test", Nowhere),
    ("ki§(me)@example.test", Nowhere),
    ("ki§%example.test", Nowhere),
    ("ki§%40example.test", Nowhere),
    ("example.test!ki§", Nowhere),
    ("ki§/example.test", Nowhere),
    ("example/ki§@example.test", Nowhere),
    ("@example.test:ki§@example.test", Nowhere),
    ("ki§@example.test@example.test", Nowhere),
    ("ki§@[127.0.0.1]", Nowhere),
    ("ki§&-@example.test", Nowhere),
    ("=?utf-8?q?ki§?=@example.test", Nowhere),
    // dots and blanks where none may be
    ("ki§.@example.test", Nowhere),
    (".ki§@example.test", Nowhere),
    ("ki§@example.test..", Nowhere),
    ("ki§@.example.test", Nowhere),
    ("ki§ @example.test", Nowhere),
    ("ki§@ example.test", Nowhere),
    // letters that others fold: full width, invisible, a dotless i, an accent
    ("\u{ff4b}i§@example.test", Nowhere),
    ("k\u{200b}i§@example.test", Nowhere),
    ("ki§\u{ad}@example.test", Nowhere),
    ("k\u{131}§@example.test", Nowhere),
    ("ki§\u{301}@example.test", Nowhere),
    ("ki§\u{ff20}example.test", Nowhere),
    // punycode that encodes nothing, and a domain of nobody
    ("ki§@xn--a.test", Nowhere),
    ("ki§@elsewhere.test", Nowhere),
];

/// The same for a domain that is not of ASCII letters, in both forms.
const FORMS: [(&str, Leads); 13] = [
    ("ann§@xn--bcher-kva.test", ToTheMailbox),
    ("ANN¶@XN--BCHER-KVA.Test.", ToTheMailbox),
    ("ann§@b\u{fc}cher.test", ToTheMailbox),
    ("Ann§@B\u{dc}CHER.test.", ToTheMailbox),
    ("ann§@bu\u{308}cher.test", ToTheMailbox),
    ("ann§@b\u{fc}cher\u{3002}test", ToTheMailbox),
    ("post§@b\u{fc}cher.test", ToTheMailbox),
    ("POST¶@xn--bcher-kva.test", ToTheMailbox),
    ("ann§+spam@b\u{fc}cher.test", Nowhere),
    ("ann§@bucher.test", Nowhere),
    ("ann§@xn--bcher-kva-.test", Nowhere),
    ("ann§@b\u{fc}cher.test@b\u{fc}cher.test", Nowhere),
    ("ann§@b\u{fc}\u{202e}cher.test", Nowhere),
];

/// The spelling, said of that mailbox.
fn of(mailbox: &Mailbox, spelling: &str) -> String {
    spelling
        .replace('§', &mailbox.letter.to_string())
        .replace('¶', &mailbox.letter.to_uppercase().to_string())
}

fn legacy(options: LegacyOptions) -> LegacyServer {
    let all = [KIM, KIT, ANNA, ANNE];
    let options =
        all.iter().fold(options.fast_auth().master("proxy", "master secret"), |options, mailbox| {
            let (local, domain) = mailbox.address.split_once('@').expect("an address");
            options
                .user(mailbox.address, mailbox.password)
                .alias(mailbox.alias, mailbox.address)
                .alias(&format!("{local}+spam@{domain}"), mailbox.address)
                .alias(&format!("{local}@b\u{fc}cher.test"), mailbox.address)
        });
    LegacyServer::start(options)
}

fn config(legacy: &LegacyServer) -> GateConfig {
    GateConfig::in_front_of(legacy)
        .uncounted()
        .set(&["upstream", "0", "domains"], vec!["example.test", "xn--bcher-kva.test"])
        .set(&["upstream", "0", "domain_aliases"], vec!["old.example.test"])
}

/// With the list of all aliases beside its configuration.
fn gate(config: GateConfig) -> Gate {
    let mut gate = Gate::prepare(config.set(&["upstream", "0", "aliases_file"], "aliases"));
    let lines = [KIM, KIT, ANNA, ANNE].map(|mailbox| format!("{} {}\n", mailbox.alias, mailbox.address));
    fs::write(gate.directory().join("aliases"), lines.concat()).expect("the list of aliases");
    gate.start_again();
    gate
}

/// Puts as many messages into it as it should have.
fn fill(gate: &Gate, mailbox: &Mailbox) {
    let mut guest = Guest::at(gate, Mail::Imap);
    assert!(Mail::Imap.is_yes(&guest.log_in(mailbox.address, mailbox.password)));
    for _ in 0..mailbox.messages {
        guest.wire.send("a APPEND INBOX {14}\r\n");
        assert!(guest.wire.line().starts_with('+'));
        guest.wire.send("Subject: x\r\n\r\n\r\n");
        assert!(guest.wire.tagged("a").contains("a OK"));
    }
}

/// What is behind the login, or the refusal.
fn enter(guest: &mut Guest, mail: Mail, reply: &str) -> Option<u32> {
    if !mail.is_yes(reply) {
        NOT_LET_IN.check(mail, reply);
        return None;
    }
    let wire = &mut guest.wire;
    let messages = match mail {
        Mail::Imap => wire
            .imap("s", "STATUS INBOX (MESSAGES)")
            .split_once("MESSAGES ")
            .map(|(_, rest)| rest.split_once(')').expect("a number in brackets").0.to_owned()),
        Mail::Pop3 => wire.ask("STAT").split(' ').nth(1).map(str::to_owned),
        Mail::Smtp => {
            // Postfix writes down who it is when it takes the first recipient.
            for command in ["MAIL FROM:<>", "RCPT TO:<kim@example.test>"] {
                let reply = wire.command(command);
                assert!(reply.starts_with("250"), "{command}: {reply}");
            }
            return Some(0);
        }
    };
    Some(messages.and_then(|number| number.parse().ok()).expect("a number of messages"))
}

/// Every spelling on every protocol, with every password that could open a door.
fn each_spelling_meets_the_second_factor(legacy: &LegacyServer, with_command: bool) {
    let gate = gate(config(legacy));
    for (bound, free) in &PAIRS {
        fill(&gate, bound);
        fill(&gate, free);
    }
    let app_passwords = PAIRS.map(|(bound, _)| {
        let made = gate.app_password(bound.address, bound.password, &[]);
        gate.bind_totp(bound.address);
        made.password
    });
    let tables: [&[(&str, Leads)]; 2] = [&SPELLINGS, &FORMS];
    let rows: Vec<_> = PAIRS
        .iter()
        .zip(tables)
        .zip(&app_passwords)
        .flat_map(|((pair, table), app_password)| table.iter().map(move |row| (pair, row, app_password)))
        .collect();
    on_each_protocol(|mail| {
        let check = |((bound, free), (spelling, leads), app_password): &Row<'_>| {
            let try_in = |mailbox: &Mailbox, password: &str| {
                let name = of(mailbox, spelling);
                let mut guest = Guest::at(&gate, mail);
                // Commands carry bytes, but blanks and what is not ASCII each in their own way.
                let reply = if with_command && name.is_ascii() && !name.contains([' ', '"']) {
                    guest.log_in_with_command(&name, password)
                } else {
                    guest.log_in(&name, password)
                };
                enter(&mut guest, mail, &reply)
            };
            let expect = |mailbox: &Mailbox| match (leads, mail) {
                (Nowhere, _) => None,
                (ToTheMailbox, Mail::Imap | Mail::Pop3) => Some(mailbox.messages),
                (ToTheMailbox, Mail::Smtp) => Some(0),
            };
            let shown = format!("`{}` on {mail:?}", spelling.escape_debug());
            assert_eq!(try_in(bound, bound.password), None, "{shown}: the second factor is bypassed");
            assert_eq!(try_in(bound, app_password), expect(bound), "{shown}: the app password");
            assert_eq!(try_in(free, free.password), expect(free), "{shown}: where nothing is bound");
        };
        // Most of the time is spent waiting for refusals.
        thread::scope(|scope| {
            for rows in rows.chunks(rows.len().div_ceil(32)) {
                scope.spawn(|| rows.iter().for_each(check));
            }
        });
    });
    let let_in = |table: &[(&str, Leads)]| table.iter().filter(|(_, leads)| *leads == ToTheMailbox).count();
    let expected: BTreeMap<String, usize> = PAIRS
        .iter()
        .zip(tables)
        .flat_map(|((bound, free), table)| [bound, free].map(|who| (who.address.to_owned(), let_in(table))))
        .collect();
    let told = || {
        let mut told = BTreeMap::<String, usize>::new();
        for line in legacy.postfix_log().lines() {
            let mail = line.split_once(": client=").and_then(|(_, rest)| rest.split_once("sasl_username="));
            if let Some((_, user)) = mail {
                *told.entry(user.to_owned()).or_default() += 1;
            }
        }
        told
    };
    eventually("Postfix has written down all of them", || {
        told().values().sum::<usize>() >= expected.values().sum()
    });
    assert_eq!(told(), expected, "who sent mail");
}

#[test]
fn each_spelling_meets_the_second_factor_where_the_server_takes_any_name() {
    each_spelling_meets_the_second_factor(&legacy(LegacyOptions::default()), true);
}

#[test]
fn each_spelling_meets_the_second_factor_where_the_server_takes_names_by_its_defaults() {
    each_spelling_meets_the_second_factor(&legacy(LegacyOptions::default().default_names()), false);
}

/// Why all this is needed, and what keeps names out that nobody told the gate of.
#[test]
fn an_alias_that_nobody_told_of_bypasses_the_second_factor_unless_accounts_are_listed() {
    let legacy = legacy(LegacyOptions::default());
    let unknown = |accounts: &str| {
        let untold = config(&legacy).set(&["upstream", "0", "sub_address_delimiter"], "");
        let gate = Gate::start(untold.set(&["upstream", "0", "accounts"], accounts));
        let made = gate.app_password(KIM.address, KIM.password, &[]);
        gate.bind_totp(KIM.address);
        (gate, made)
    };
    let (open, _) = unknown("first-login");
    let (listed, AppPassword { password, .. }) = unknown("listed");
    on_each_protocol(|mail| {
        for other in [KIM.alias, "kim+spam@example.test"] {
            assert!(mail.is_yes(&log_in(&open, mail, other, KIM.password)), "{other} is kim to the server");
            NOT_LET_IN.check(mail, &log_in(&listed, mail, other, KIM.password));
            NOT_LET_IN.check(mail, &log_in(&listed, mail, other, &password));
        }
        assert!(mail.is_yes(&log_in(&listed, mail, KIM.address, &password)));
    });
}

/// Under `*` nobody names the domain: both its forms are one all the same, and the server hears the ASCII one.
#[test]
fn both_forms_of_a_domain_are_one_where_nobody_names_it() {
    let legacy = legacy(LegacyOptions::default());
    let anything = config(&legacy).set(&["upstream", "0", "domains"], vec!["*"]);
    let gate = Gate::start(anything);
    let made = gate.app_password("anna@b\u{fc}cher.test", ANNA.password, &[]);
    gate.bind_totp(ANNA.address);
    on_each_protocol(|mail| {
        for name in [ANNA.address, "anna@b\u{fc}cher.test", "anna@B\u{dc}CHER.test."] {
            NOT_LET_IN.check(mail, &log_in(&gate, mail, name, ANNA.password));
            assert!(mail.is_yes(&log_in(&gate, mail, name, &made.password)), "{name}");
        }
        for name in [ANNE.address, "anne@b\u{fc}cher.test"] {
            assert!(mail.is_yes(&log_in(&gate, mail, name, ANNE.password)), "{name}");
        }
    });
    let accounts = gate.cli(&["account", "list", "--json"]).json();
    let addresses: Vec<_> =
        accounts.as_array().expect("a list").iter().map(|account| account["address"].as_str()).collect();
    assert_eq!(addresses, [Some(ANNA.address), Some(ANNE.address)]);
    assert!(!legacy.dovecot_log().contains('\u{fc}'), "the server heard the Unicode form");
}

/// A server that knows a domain in its Unicode form only hears that one.
#[test]
fn a_server_hears_the_form_of_a_domain_that_its_configuration_has() {
    let user = "anna@b\u{fc}cher.test";
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth().user(user, ANNA.password));
    let gate = Gate::start(
        config(&legacy).set(&["upstream", "0", "domains"], vec!["example.test", "b\u{fc}cher.test"]),
    );
    on_each_protocol(|mail| {
        for name in [ANNA.address, user] {
            assert!(mail.is_yes(&log_in(&gate, mail, name, ANNA.password)), "{name}");
        }
    });
}

/// An account that was there before its address became an alias.
#[test]
fn an_account_that_no_name_leads_to_any_more_is_told_at_the_start() {
    let legacy = legacy(LegacyOptions::default());
    let mut gate = gate(config(&legacy));
    let list = gate.directory().join("aliases");
    let aliases = fs::read(&list).expect("the list of aliases");
    fs::write(&list, "").expect("an empty list");
    gate.start_again();
    let made = gate.app_password(KIM.alias, KIM.password, &[]);
    gate.bind_totp(KIM.alias);
    assert!(!gate.log().contains("cannot be reached"), "{}", gate.log());

    fs::write(&list, aliases).expect("the list of aliases");
    gate.start_again();
    let log = gate.log();
    let told = log.lines().find(|line| line.contains("cannot be reached any more")).unwrap_or_default();
    assert!(told.contains("WARN") && told.contains(KIM.alias) && told.contains(KIM.address), "{log}");
    on_each_protocol(|mail| {
        NOT_LET_IN.check(mail, &log_in(&gate, mail, KIM.alias, &made.password));
        assert!(mail.is_yes(&log_in(&gate, mail, KIM.alias, KIM.password)), "it is kim's, who bound nothing");
    });
    gate.cli(&["account", "remove", KIM.alias]).success();
    gate.start_again();
    assert_eq!(gate.log().matches("cannot be reached any more").count(), 1, "{}", gate.log());
}

/// Who gets in with the mailbox password, and whether an account appears.
#[derive(Clone, Copy)]
enum Unlisted {
    /// As somebody who is listed, and the account appears.
    AsListed,
    /// As somebody who is listed, but there is nothing to get in to, and no account appears.
    AsListedWithoutAccount,
    /// Row 1, and no account appears.
    NotLetIn,
}

#[test]
fn whoever_is_not_listed_gets_in_where_the_site_says_so_or_requires_nothing() {
    const ALL: &[&str] = &["policy"];
    const ONE_DOMAIN: &[&str] = &["policy", "example.test"];
    const NEVER_OVER: &str = "36500d";
    const OVER: &str = "0";
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let (listed, listed_password) = legacy.user(0);
    let (unlisted, unlisted_password) = legacy.user(1);
    // what the file says of accounts, in which section a factor is required and after what grace, who is unlisted
    let cases = [
        (None, None, Unlisted::AsListed),
        (Some("first-login"), None, Unlisted::AsListed),
        (Some("listed"), None, Unlisted::NotLetIn),
        (None, Some((ALL, NEVER_OVER)), Unlisted::NotLetIn),
        (Some("first-login"), Some((ALL, NEVER_OVER)), Unlisted::AsListed),
        (Some("listed"), Some((ALL, NEVER_OVER)), Unlisted::NotLetIn),
        (None, Some((ALL, OVER)), Unlisted::NotLetIn),
        (Some("first-login"), Some((ALL, OVER)), Unlisted::AsListedWithoutAccount),
        (Some("listed"), Some((ALL, OVER)), Unlisted::NotLetIn),
        (None, Some((ONE_DOMAIN, OVER)), Unlisted::NotLetIn),
    ];
    for (accounts, required, expected) in cases {
        let mut config = GateConfig::in_front_of(&legacy).uncounted();
        if let Some((section, grace)) = required {
            let since = "2020-01-01".parse::<toml::value::Datetime>().expect("a day");
            config = config
                .set(&[section, &["second_factor"]].concat(), "required")
                .set(&[section, &["required_since"]].concat(), since)
                .set(&[section, &["grace_period"]].concat(), grace);
        }
        if let Some(accounts) = accounts {
            config = config.set(&["upstream", "0", "accounts"], accounts);
        }
        let gate = Gate::start(config);
        gate.cli(&["account", "add", listed]).success();
        let what = format!("accounts {accounts:?}, required {required:?}");
        let check_listed = |mail: Mail, reply: &str| match required {
            Some((_, OVER)) => {
                BIND_FIRST.check(mail, reply);
            }
            _ => assert!(mail.is_yes(reply), "{what}: {reply}"),
        };
        on_each_protocol(|mail| {
            check_listed(mail, &log_in(&gate, mail, listed, listed_password));
            let reply = log_in(&gate, mail, unlisted, unlisted_password);
            match expected {
                Unlisted::AsListed | Unlisted::AsListedWithoutAccount => check_listed(mail, &reply),
                Unlisted::NotLetIn => {
                    NOT_LET_IN.check(mail, &reply);
                }
            }
            NOT_LET_IN.check(mail, &log_in(&gate, mail, unlisted, "not the password"));
        });
        let number = gate.cli(&["account", "list", "--json"]).json().as_array().map_or(0, Vec::len);
        let appears = matches!(expected, Unlisted::AsListed);
        assert_eq!(number, 1 + usize::from(appears), "{what}");
    }
    // an app password lists its account
    let gate = Gate::start(GateConfig::in_front_of(&legacy).set(&["upstream", "0", "accounts"], "listed"));
    let made = gate.app_password(unlisted, unlisted_password, &[]);
    on_each_protocol(|mail| assert!(mail.is_yes(&log_in(&gate, mail, unlisted, &made.password))));
}
