//! Every page with made-up content, in both languages. With `MAILWARD_PAGES=DIRECTORY` they are written there, to be
//! looked at in a browser.

mod app_passwords;
mod fields;
mod mailbox;

use std::path::Path;
use std::time::Duration;

use askama::Template;

use super::app_passwords::{
    AppPasswordPage, AppPasswordsPage, Choice, CreatedAppPasswordPage, DeviceLink, EXPIRIES, FieldsWrong,
    NewAppPasswordPage, Row, SUGGESTIONS, TryAppPasswordPage,
};
use super::apple::ProfilePage;
use super::binding::{self, BindPasskeyPage, BindTotpPage, ChooseFactorPage};
use super::confirm::ConfirmPage;
use super::error::{ErrorPage, Wrong};
use super::factors::{
    Bound, Client, FactorsPage, FirstBindingPage, RecoveryCodesPage, RenameFactorPage, UnbindPage,
};
use super::guides::{GUIDES, GuidePage, GuidesPage};
use super::home::{Attempt, Device, HomePage, Live, SignedIn};
use super::settings::{Settings, SettingsRow};
use super::sign_in::{AskedFor, CodePage, PasskeyEntryPage, PasswordPage, SignInPage, TrustPage};
use crate::base::Timestamp;
use crate::config::FactorKind;
use crate::factor::Question;
use crate::web::page::{Ask, Page, SiteHelp, Tab};
use crate::web::place::Place;
use crate::web::shown::{Moment, Shown, Typed};
use crate::web::words::Words;
use crate::web::{assets, qr};

const PASSKEY: Question = Question::Factor(FactorKind::Passkey);

/// What a script is given, with what must not end the attribute that it stands in.
const OPTIONS: &str = "{\"challenge\":\"x\",\"user\":\"\\\"><img src=x onerror=alert(1)>\"}";

const TOTP: Question = Question::Factor(FactorKind::Totp);

/// A name that must not do what it says.
const NASTY: &str = "\"><img src=x onerror=alert(1)>\u{202e}";

const LINK: &str = "https://mail.example.org/apple/profile/cGhvbmVzLWFuZC1NYWNzLXNldC10aGVtc2VsdmVzLXVw";

fn page(words: Words) -> Page {
    Page {
        words,
        site: "mail.example.org".to_owned(),
        base: String::new(),
        tab: None,
        to: Some("/".into()),
        onward: None,
        way: None,
        address: None,
        whole: false,
        form_token: "token-of-the-form".to_owned(),
        done: None,
        help: Some(SiteHelp {
            lines: vec!["Lost your phone? Bring your ID to room 101 <b>today</b>.".to_owned()],
            contact: Some(Ask {
                link: "mailto:it@example.org".to_owned(),
                shown: "it@example.org".to_owned(),
            }),
        }),
    }
}

fn signed_in(words: Words) -> Page {
    Page { address: Some(Shown::new("lin.xiaoyue@example.org")), whole: true, ..page(words) }
}

fn settings() -> Settings {
    let row = |role, tls: &str, starttls: &str| SettingsRow {
        role,
        host: "mail.example.org".to_owned(),
        tls: tls.to_owned(),
        starttls: starttls.to_owned(),
    };
    Settings {
        rows: vec![
            row("settings-imap", "993", "143"),
            row("settings-pop3", "995", "110"),
            row("settings-smtp", "465, 994", "587"),
        ],
    }
}

fn moment(words: Words, minutes: u64) -> Moment {
    let now = Timestamp::from_unix_seconds(1_795_773_600);
    let at = Timestamp::from_unix_seconds(1_795_773_600 - 60 * i64::try_from(minutes).unwrap());
    Moment::new(at, now, words)
}

fn factor(words: Words, kind: FactorKind, name: &str) -> Bound {
    let (when, used) = (words.with("when-days", "count", 12_u32), words.with("when-hours", "count", 2_u32));
    let (kind_name, used) =
        (words.say(binding::name(kind)), words.with_two("factor-used", ("when", &when), ("used", &used)));
    let (name, facts) = match name {
        "" => (Shown::new(&kind_name), used),
        name => (Shown::new(name), format!("{kind_name} · {used}")),
    };
    Bound { id: "0193a1c1".to_owned(), kind, name, facts, replaceable: kind != FactorKind::Mailbox }
}

fn bound(words: Words) -> Vec<Bound> {
    vec![factor(words, FactorKind::Totp, ""), factor(words, FactorKind::Passkey, NASTY)]
}

fn home(words: Words, full: bool, closed: Option<&'static str>) -> HomePage {
    let page = signed_in(words).at(Some(Tab::Security), Some(Place::Home));
    let from = |from: &str| words.with("from", "from", from);
    let current = SignedIn {
        session: Some("b1".to_owned()),
        browser: Shown::new("Chrome 142 · Windows"),
        detail: format!("{} · {}", from("203.0.113.77"), words.say("when-now")),
        current: true,
    };
    if !full {
        return HomePage {
            page,
            factors: vec![],
            closed,
            recovery_left: None,
            app_passwords: vec![],
            live: vec![],
            devices: vec![],
            browsers: vec![current],
            attempts: vec![],
        };
    }
    let attempt = |good, what: String, client: &str, minutes| Attempt {
        good,
        what,
        detail: words.with_two("from-with", ("from", &"203.0.113.77"), ("client", &client)),
        at: moment(words, minutes),
    };
    HomePage {
        page,
        factors: bound(words),
        closed,
        recovery_left: Some(3),
        app_passwords: app_passwords::rows(words),
        live: vec![
            Live {
                id: "s1".to_owned(),
                client: Shown::new("iPhone Mail 18.2"),
                detail: format!("IMAP · {}", from("203.0.113.77")),
                since: moment(words, 42),
            },
            Live {
                id: "s2".to_owned(),
                client: Shown::new(NASTY),
                detail: format!("IMAP · {}", from("2001:db8:4:1::2a")),
                since: moment(words, 400),
            },
        ],
        devices: vec![Device {
            id: "d1".to_owned(),
            browser: Shown::new("Safari · iPhone"),
            detail: words.with("device-until", "day", "2026-12-02"),
            current: false,
        }],
        browsers: vec![
            current,
            SignedIn {
                session: Some("b2".to_owned()),
                browser: Shown::new("Safari · iPhone"),
                detail: format!("{} · {}", from("198.51.100.9"), words.with("when-hours", "count", 5_u32)),
                current: false,
            },
            SignedIn {
                session: None,
                browser: Shown::new("Edge 141 · Windows"),
                detail: format!("{} · {}", from("203.0.113.4"), words.with("when-days", "count", 9_u32)),
                current: false,
            },
        ],
        attempts: vec![
            attempt(true, words.with("attempt-admitted", "protocol", "IMAP"), "iPhone Mail 18.2", 12),
            attempt(
                false,
                words.with_two(
                    "attempt-refused-why",
                    ("protocol", &"POP3"),
                    ("why", &words.say("ground-app-password-needed")),
                ),
                "Outlook 16",
                190,
            ),
            attempt(false, words.with("attempt-refused", "protocol", "SMTP"), "Foxmail 7.2.25", 3_000),
        ],
    }
}

fn code(
    page: Page,
    asked_for: AskedFor,
    ask: Question,
    others: Vec<Question>,
    problem: Option<&str>,
) -> CodePage {
    let problem = problem.map(|key| page.say(key));
    let options = (ask == PASSKEY).then(|| OPTIONS.to_owned());
    let sent_to = None;
    CodePage { page, asked_for, action: "/second-factor".to_owned(), ask, options, others, sent_to, problem }
}

fn totp(words: Words, replaces: Option<String>, problem: Option<String>) -> BindTotpPage {
    let uri = "otpauth://totp/mail.example.org:lin.xiaoyue%40example.org?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=mail.example.org";
    BindTotpPage {
        page: signed_in(words).at(Some(Tab::Factors), Some(Place::Bind(FactorKind::Totp))),
        replaces,
        qr: qr::svg(uri),
        key_groups: ["JBSW", "Y3DP", "EHPK", "3PXP", "JBSW", "Y3DP", "EHPK", "3PXP"]
            .map(str::to_owned)
            .into(),
        uri: uri.to_owned(),
        digits: 6,
        seconds: 30,
        problem,
    }
}

fn first(page: Page, required: bool, closed: Option<&'static str>, clients: bool) -> FirstBindingPage {
    let clients =
        if clients { ["Foxmail 7.2.25", "iPhone Mail 18.2", NASTY].map(Client::new).into() } else { vec![] };
    FirstBindingPage { page, required, closed, rest: required, clients, made: 1 }
}

/// Every page, named.
fn all(words: Words) -> Vec<(String, String)> {
    let mut pages: Vec<(String, Box<dyn DynPage>)> = Vec::new();
    let mut add = |name: &str, page: Box<dyn DynPage>| pages.push((name.to_owned(), page));
    let entering = |words| Page { address: Some(Shown::new("lin.xiaoyue@example.org")), ..page(words) };
    let tab = |tab, place| signed_in(words).at(Some(tab), Some(place));
    let others = || vec![PASSKEY, Question::RecoveryCode];

    let sign_in = |login: &str, problem: Option<&str>| SignInPage {
        page: page(words),
        to: None,
        login: Typed::new(login),
        passkey: Some("/sign-in/passkey".to_owned()),
        problem: problem.map(|key| words.say(key)),
    };
    add("sign-in", Box::new(sign_in("", None)));
    add("sign-in-wrong", Box::new(sign_in(NASTY, Some("sign-in-wrong"))));
    add("code", Box::new(code(entering(words), AskedFor::Entering, TOTP, others(), None)));
    add(
        "code-wrong",
        Box::new(code(entering(words), AskedFor::Entering, TOTP, others(), Some("code-wrong"))),
    );
    add(
        "code-recovery",
        Box::new(code(entering(words), AskedFor::Entering, Question::RecoveryCode, vec![TOTP], None)),
    );
    add("code-passkey", Box::new(code(entering(words), AskedFor::Entering, PASSKEY, vec![TOTP], None)));
    let wrong = Some("code-passkey-wrong");
    add("verify-passkey", Box::new(code(signed_in(words), AskedFor::Changing, PASSKEY, vec![], wrong)));
    let entry = |problem: Option<&str>| PasskeyEntryPage {
        page: page(words),
        action: "/sign-in/passkey".to_owned(),
        otherwise: "/sign-in".to_owned(),
        options: OPTIONS.to_owned(),
        problem: problem.map(|key| words.say(key)),
    };
    add("passkey-entry", Box::new(entry(None)));
    add("passkey-entry-wrong", Box::new(entry(Some("passkey-entry-wrong"))));
    add("verify", Box::new(code(signed_in(words), AskedFor::Changing, TOTP, others(), None)));
    let password = |problem: Option<&str>| PasswordPage {
        page: signed_in(words).at(None, Some(Place::Verify)),
        action: "/verify".to_owned(),
        problem: problem.map(|key| words.say(key)),
    };
    add("verify-password", Box::new(password(None)));
    add("verify-password-wrong", Box::new(password(Some("new-wrong-password"))));
    add(
        "trust",
        Box::new(TrustPage {
            page: entering(words),
            action: "/trust".to_owned(),
            lasts: Duration::from_secs(7 * 86_400),
            browser: Shown::new("Chrome 142 · Windows"),
        }),
    );
    add("home", Box::new(home(words, true, None)));
    add("home-empty", Box::new(home(words, false, None)));
    add("home-closed", Box::new(home(words, false, Some("first-needs-link"))));
    let factors = |factors, recovery_left, closed| FactorsPage {
        page: tab(Tab::Factors, Place::Factors),
        factors,
        closed,
        recovery_left,
        once: "once".to_owned(),
    };
    add("factors", Box::new(factors(bound(words), Some(7), None)));
    add("factors-none", Box::new(factors(vec![], None, None)));
    add("factors-closed", Box::new(factors(vec![], None, Some("first-elsewhere"))));
    let choose = |problem: Option<&str>| ChooseFactorPage {
        page: tab(Tab::Factors, Place::Choose),
        first: problem.is_none(),
        kinds: FactorKind::ALL.map(|kind| (kind, kind == FactorKind::Totp)).into(),
        problem: problem.map(|key| words.say(key)),
    };
    add("choose", Box::new(choose(None)));
    add("choose-full", Box::new(choose(Some("factor-too-many"))));
    let rename = |problem: Option<&str>| RenameFactorPage {
        page: tab(Tab::Factors, Place::Factors),
        factor: factor(words, FactorKind::Totp, NASTY),
        typed: Typed::new(NASTY),
        problem: problem.map(|key| words.say(key)),
    };
    add("factor-rename", Box::new(rename(None)));
    add("factor-rename-bad", Box::new(rename(Some("rename-bad"))));
    add("first", Box::new(first(tab(Tab::Factors, Place::FirstBinding), false, None, true)));
    add("first-required", Box::new(first(entering(words), true, None, true)));
    for closed in ["first-elsewhere", "first-needs-link", "first-link-void"] {
        add(closed, Box::new(first(entering(words), true, Some(closed), true)));
    }
    for (name, page) in mailbox::all(words) {
        add(name, page);
    }
    let passkey = |replaces: Option<String>, problem: Option<&str>| BindPasskeyPage {
        page: tab(Tab::Factors, Place::Bind(FactorKind::Passkey)),
        replaces,
        options: OPTIONS.to_owned(),
        name: Typed::new(NASTY),
        problem: problem.map(|key| words.say(key)),
    };
    add("passkey", Box::new(passkey(None, None)));
    add("passkey-change", Box::new(passkey(Some("0193a1c1".to_owned()), Some("passkey-wrong"))));
    add("totp", Box::new(totp(words, None, None)));
    add("totp-change", Box::new(totp(words, Some("0193a1c1".to_owned()), Some(words.say("totp-wrong")))));
    let codes: Vec<_> = (0..10).map(|n| format!("k{n}mp7 x{n}q9w")).collect();
    add(
        "recovery",
        Box::new(RecoveryCodesPage {
            page: signed_in(words).at(Some(Tab::Factors), None),
            bound: true,
            codes,
        }),
    );
    let unbind = |refused| UnbindPage {
        page: tab(Tab::Factors, Place::Factors),
        factor: factor(words, FactorKind::Totp, if refused { "" } else { NASTY }),
        refused,
        last: true,
        keeps_app_passwords: false,
        app_passwords: 3,
    };
    add("unbind", Box::new(unbind(false)));
    add("unbind-refused", Box::new(unbind(true)));
    let list =
        |rows, closed| AppPasswordsPage { page: tab(Tab::AppPasswords, Place::AppPasswords), rows, closed };
    for closed in [None, Some("first-link-void")] {
        let name = |name: &str| format!("{name}{}", closed.map_or("", |_| "-closed"));
        add(&name("app-passwords-some"), Box::new(list(app_passwords::rows(words), closed)));
        add(&name("app-passwords-none"), Box::new(list(vec![], closed)));
    }
    let mut list = list(app_passwords::rows(words), None);
    list.page.done = Some(words.say("done-deleted"));
    add("app-passwords", Box::new(list));
    let one = app_passwords::row(words, "办公室的 Foxmail", Some(("2001:db8:4:1::2a", "Foxmail 7.2.25")));
    let page_of_one = AppPasswordPage {
        page: signed_in(words).at(Some(Tab::AppPasswords), None),
        one,
        typed_name: Typed::new("办公室的 Foxmail"),
        problem: None,
    };
    add("app-password", Box::new(page_of_one));
    add("new", Box::new(app_passwords::new_app_password(words, None)));
    add("new-wrong", Box::new(app_passwords::new_app_password(words, Some("new-bad-name"))));
    let created = |read_only: bool| CreatedAppPasswordPage {
        page: signed_in(words).at(Some(Tab::AppPasswords), None),
        id: "0193a1c2".to_owned(),
        name: Shown::new("iPhone"),
        groups: ["h7kq", "m3xw", "9rtd", "pz5n"].map(str::to_owned).into(),
        login: Shown::new("lin.xiaoyue@example.org"),
        settings: settings(),
        link: (!read_only).then(|| DeviceLink { url: LINK.to_owned(), qr: qr::svg(LINK) }),
        read_only,
        rests: false,
    };
    add("created", Box::new(created(false)));
    add("created-read-only", Box::new(created(true)));
    add("apple", Box::new(ProfilePage { page: page(words).at(None, None), whose: Some(Shown::new(NASTY)) }));
    add("apple-gone", Box::new(ProfilePage { page: page(words).at(None, None), whose: None }));
    add("try", Box::new(app_passwords::trying(words, false, true)));
    add("try-seen", Box::new(app_passwords::trying(words, true, true)));
    add("try-nothing", Box::new(app_passwords::trying(words, false, false)));
    add("delete-all", Box::new(ConfirmPage::delete_all(tab(Tab::AppPasswords, Place::DeleteAll), 3)));
    add("lock", Box::new(ConfirmPage::lock(tab(Tab::Security, Place::Lock))));
    add("guides", Box::new(GuidesPage::new(tab(Tab::Guides, Place::Guides), settings())));
    for guide in GUIDES {
        let page = if guide.slug == "other" { page(words) } else { tab(Tab::Guides, Place::Guides) };
        add(&format!("guide-{}", guide.slug), Box::new(GuidePage::new(page, guide, settings())));
    }
    for wrong in Wrong::ALL {
        add(&format!("error-{}", wrong.status()), Box::new(ErrorPage::new(page(words), wrong)));
    }
    pages.into_iter().map(|(name, page)| (name, page.rendered())).collect()
}

trait DynPage {
    fn rendered(&self) -> String;
}

impl<T: Template> DynPage for T {
    fn rendered(&self) -> String {
        self.render().unwrap()
    }
}

#[test]
fn every_page_renders_in_both_languages_and_obeys_nobodys_name() {
    let written = std::env::var_os("MAILWARD_PAGES");
    for words in Words::ALL {
        for (name, html) in all(words) {
            assert!(html.starts_with(&format!("<!doctype html>\n<html lang=\"{}\"", words.tag())), "{name}");
            assert!(
                !html.contains("<img") && !html.contains('\u{202e}') && !html.contains("onerror=alert(1)>"),
                "{name}"
            );
            for (count, word) in [(1, "<h1"), (1, "<main"), (1, "</html>")] {
                assert_eq!(html.matches(word).count(), count, "{name}: {word}");
            }
            // The policy of the pages forbids what stands in them: it would just not work.
            for word in [" style=", "<style", " onclick=", "javascript:", "http://"] {
                assert!(!html.contains(word), "{name}: {word}");
            }
            if let Some(directory) = &written {
                write(Path::new(directory), words, &name, &html);
            }
        }
    }
}

#[test]
fn every_form_of_somebody_who_is_signed_in_carries_their_token() {
    for (name, html) in all(Words::ALL[1]) {
        for form in html.split("<form ").skip(1) {
            let form = form.split("</form>").next().unwrap();
            let without = form.contains("action=\"/language\"")
                || form.contains("action=\"/sign-in")
                // Nobody is signed in on a device that is being set up.
                || form.starts_with("method=\"post\" class=\"stack once\"");
            assert!(without || form.contains("name=\"form\" value=\"token-of-the-form\""), "{name}: {form}");
        }
    }
}

#[test]
fn every_field_has_a_label_and_every_reference_its_target() {
    let attribute = |tag: &str, name: &str| {
        let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
        rest.split('"').next().map(str::to_owned)
    };
    for (name, html) in all(Words::ALL[0]) {
        let fields = ["input ", "select ", "textarea "];
        for tag in html.split('<').filter(|tag| fields.iter().any(|field| tag.starts_with(field))) {
            let kind = attribute(tag, "type").unwrap_or_default();
            if kind != "hidden" && kind != "checkbox" {
                let id = attribute(tag, "id").unwrap();
                assert!(html.contains(&format!("for=\"{id}\"")), "{name}: {tag}");
            }
        }
        for tag in html.split('<') {
            for reference in ["aria-labelledby", "aria-describedby", "list"] {
                for id in attribute(tag, reference).iter().flat_map(|ids| ids.split(' ')) {
                    assert_eq!(html.matches(&format!(" id=\"{id}\"")).count(), 1, "{name}: {id}");
                }
            }
        }
    }
}

fn write(directory: &Path, words: Words, name: &str, html: &str) {
    let assets_directory = directory.join("assets");
    std::fs::create_dir_all(&assets_directory).unwrap();
    for asset in assets::ALL {
        std::fs::write(assets_directory.join(asset.name), asset.content).unwrap();
    }
    let html = html.replace("=\"/assets/", "=\"assets/");
    std::fs::write(directory.join(format!("{name}.{}.html", words.tag())), html).unwrap();
}
