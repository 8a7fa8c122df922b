//! A device is set up through the portal: what it fetches opens the mailbox, and neither its link nor what is in it stays
//! anywhere.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::search::Canaries;
use crate::support::visitor::first;
use crate::support::{Gate, GateConfig, LegacyOptions, LegacyServer, Mail, Visitor, log_in, run};

/// Makes an app password: its text, and the path of the link beside it.
fn make_app_password(browser: &Visitor) -> (String, String) {
    let form = browser.ask("/app-passwords/new", &[]).success();
    let [token, once] = ["form", "once"].map(|name| Visitor::hidden(&form, name));
    let wanted = [("name", "iPhone"), ("protocol", "imap"), ("protocol", "smtp")];
    let fields = [&wanted[..], &[("form", &*token), ("once", &*once)]].concat();
    let made = browser.post("/app-passwords/new", &fields).success();
    let link = format!(r#"href="{}(/apple/profile/[A-Za-z0-9_-]{{43}})""#, regex::escape(browser.portal()));
    (first(&made, r#"data-copy="([a-z2-9 ]{19})""#), first(&made, &link))
}

/// What is in a signed profile that the authority of `ca` stands for.
fn verified(profile: &Path, ca: &Path) -> String {
    let (profile, ca) = (profile.display().to_string(), ca.display().to_string());
    let verify =
        ["cms", "-verify", "-inform", "DER", "-purpose", "sslserver", "-in", &profile, "-CAfile", &ca];
    run("openssl", &verify, "").success()
}

#[test]
fn a_device_is_set_up_by_a_link_and_nothing_of_either_stays() {
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let mut gate = Gate::prepare(GateConfig::in_front_of(&legacy).portal_at("127.0.0.1"));
    gate.log_at("trace");
    gate.start_again();
    let (user, mailbox_password) = legacy.user(0);
    let browser = Visitor::before(gate.portal());
    let signed_in = [("login", user), ("password", mailbox_password)];
    browser.post("/sign-in", &signed_in).success();
    let (fetched, waiting) = (make_app_password(&browser), make_app_password(&browser));

    let mut canaries = Canaries::default();
    for (name, (password, link)) in [("fetched", &fetched), ("waiting", &waiting)] {
        let token = link.rsplit('/').next().expect("a link");
        canaries.add(&format!("the link of what is {name}"), token);
        canaries.add(&format!("the key of what is {name}"), URL_SAFE_NO_PAD.decode(token).expect("a token"));
        // The label may be known; what follows it may not.
        canaries.add(&format!("the app password that is {name}"), &password[5..]);
        canaries.add(&format!("the app password that is {name}"), password.replace(' ', "").split_off(4));
    }
    canaries.add("the mailbox password", mailbox_password);
    let phone = Visitor::before(gate.portal());
    phone.ask(&fetched.1, &[]).success();
    let file = phone.directory().join("mail.mobileconfig");
    phone.ask(&fetched.1, &["--request", "POST", "--output", &file.display().to_string()]).success();
    let profile = verified(&file, &gate.ca_file());
    let password = first(&profile, "<key>IncomingPassword</key><string>([a-z2-9]{16})</string>");
    assert_eq!(password, fetched.0.replace(' ', ""));
    let port = first(&profile, "<key>IncomingMailServerPortNumber</key><integer>([0-9]+)</integer>");
    assert_eq!(port, gate.port("imap", true).to_string());
    assert!(Mail::Imap.is_yes(&log_in(&gate, Mail::Imap, user, &password)));
    assert_eq!(phone.ask(&fetched.1, &["--request", "POST"]).status, 22, "once");
    assert_eq!(phone.ask(&fetched.1, &[]).status, 22);
    phone.ask(&waiting.1, &[]).success();
    let shown = gate.cli(&["audit", "search", "--json"]).success();
    assert!(shown.contains("profile_made") && shown.contains("profile_fetched"), "{shown}");
    assert_eq!(canaries.find_in(shown.as_bytes()), [""; 0], "{shown}");

    assert!(gate.log().contains("TRACE"), "the log tells all it can");
    gate.kill();
    assert_eq!(canaries.find(gate.directory(), &[]), [""; 0]);
    gate.start_again();
    gate.stop();
    assert_eq!(canaries.find(gate.directory(), &[]), [""; 0]);
}
