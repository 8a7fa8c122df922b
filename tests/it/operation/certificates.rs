//! Certificates that change while the gate serves.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use super::{enter, goes_on, reloads};
use crate::support::{
    Fake, GATE_NAME, Gate, GateConfig, Mail, UpstreamTls, Visitor, Wire, eventually, write_certificates,
};

const ANNA: &str = "anna@example.test";

/// A gate, and another certificate of the same name from another authority.
struct Scene {
    _upstream: Fake,
    gate: Gate,
    other: TempDir,
}

impl Scene {
    fn set() -> Self {
        let upstream = Fake::start(Mail::Imap);
        let config = GateConfig::in_front_of_fakes(&[&upstream], UpstreamTls::None);
        let gate = Gate::start(config.portal_at("127.0.0.1"));
        let other = TempDir::new().expect("a directory");
        write_certificates(other.path(), 2099);
        Self { _upstream: upstream, gate, other }
    }

    /// Whether a client that trusts only the authority in that folder gets a handshake, be it of mail or a browser.
    fn presents_what_is_in(&self, folder: &Path) -> bool {
        let shakes_hands = |port| {
            let wire = Wire::open("127.0.0.1", port);
            wire.try_secure(&folder.join("ca.pem"), GATE_NAME).is_ok()
        };
        let mail = shakes_hands(self.gate.port("imap", true));
        eventually("the portal presents the same", || shakes_hands(self.gate.portal_port()) == mail);
        mail
    }

    /// What the gate logs of a change that nobody tells it of.
    fn notices(&self, change: impl FnOnce()) -> String {
        let before = self.gate.log().len();
        change();
        self.gate.reloads_from(before)
    }

    /// Puts a file of the other certificate, or of what is in its place, where the gate's is.
    fn install(&self, name: &str) {
        let next = self.gate.directory().join("next.pem");
        fs::copy(self.other.path().join(name), &next).expect("a copy");
        fs::rename(next, self.gate.directory().join(name)).expect("its place");
    }
}

#[test]
fn a_new_certificate_is_presented_by_itself_or_when_told_and_live_sessions_do_not_notice() {
    let scene = Scene::set();
    let Scene { gate, other, .. } = &scene;
    let mut session = enter(gate, Mail::Imap, ANNA, "password");
    // As ACME clients lay them down: one after the other.
    let before = gate.log().len();
    scene.install("key.pem");
    scene.install("cert.pem");
    assert!(scene.presents_what_is_in(gate.directory()), "not before they have come to rest");
    let log = gate.reloads_from(before);
    assert!(!log.contains("nothing was reloaded"), "the two files are one change: {log}");
    assert!(scene.presents_what_is_in(other.path()) && !scene.presents_what_is_in(gate.directory()));
    goes_on(&mut session, Mail::Imap);

    write_certificates(other.path(), 2099);
    scene.install("key.pem");
    scene.install("cert.pem");
    gate.reload();
    assert!(scene.presents_what_is_in(other.path()), "at once");
    goes_on(&mut session, Mail::Imap);
    assert_eq!(reloads(gate)[0].0, "configuration_reloaded");
}

#[test]
fn a_certificate_that_cannot_be_used_is_not_and_everybody_hears_of_it() {
    let scene = Scene::set();
    let Scene { gate, other, .. } = &scene;
    let mut session = enter(gate, Mail::Imap, ANNA, "password");
    let own = TempDir::new().expect("a directory");
    for name in ["ca.pem", "cert.pem", "key.pem"] {
        fs::copy(gate.directory().join(name), own.path().join(name)).expect("a copy");
    }
    let restore = || {
        for name in ["cert.pem", "key.pem"] {
            fs::copy(own.path().join(name), gate.directory().join(name)).expect("a copy");
        }
    };
    let mut said = Vec::new();
    let mut refuses = |what: &str, expected: &str| {
        let log = gate.reload();
        assert!(log.contains("nothing was reloaded") && log.contains(expected), "{what}: {log}");
        assert!(log.contains("hint:"), "{what}: {log}");
        assert!(scene.presents_what_is_in(own.path()), "{what}: the old one stays");
        said.push(expected.to_owned());
    };
    scene.install("cert.pem");
    refuses("mismatched", "does not belong to the certificate");
    write_certificates(other.path(), 2001);
    scene.install("cert.pem");
    scene.install("key.pem");
    refuses("expired", "expired at 2001-01-01T00:00:00Z");
    restore();
    fs::write(gate.directory().join("cert.pem"), "-----BEGIN CERTIFICATE-----\nhalf of it").expect("a file");
    refuses("half written", "cannot read");
    restore();
    fs::remove_file(gate.directory().join("key.pem")).expect("no key");
    refuses("gone", "cannot read");
    restore();
    goes_on(&mut session, Mail::Imap);
    eventually("each is on record", || {
        reloads(gate).iter().filter(|one| one.0 == "reload_failed").count() >= 4
    });
    for (expected, (_, reason)) in
        said.iter().zip(reloads(gate).iter().filter(|one| one.0 == "reload_failed"))
    {
        assert!(reason.contains(expected) && !reason.contains("hint"), "{reason}");
    }
    let log = gate.reload();
    assert!(!log.contains("nothing was reloaded"), "what is in order again is taken: {log}");
}

#[test]
fn a_bad_certificate_that_nobody_told_of_is_refused_as_loudly() {
    let scene = Scene::set();
    let Scene { gate, other, .. } = &scene;
    let mut session = enter(gate, Mail::Imap, ANNA, "password");
    let own = TempDir::new().expect("a directory");
    fs::copy(gate.ca_file(), own.path().join("ca.pem")).expect("a copy");
    let page = || Visitor::before(gate.portal()).ask("/sign-in", &[]).success();
    let refuses = |expected: &str, change: &dyn Fn()| {
        let log = scene.notices(change);
        let said = log.lines().find(|line| line.contains("nothing was reloaded"));
        let said = said.unwrap_or_else(|| panic!("it was taken: {log}"));
        assert!(said.contains("ERROR") && said.contains(expected) && log.contains("hint:"), "{log}");
        assert!(scene.presents_what_is_in(own.path()), "the old one stays");
        assert!(page().contains("<html"));
        eventually("it is on record", || {
            reloads(gate)
                .last()
                .is_some_and(|(event, why)| event == "reload_failed" && why.contains(expected))
        });
    };
    refuses("does not belong to the certificate", &|| scene.install("cert.pem"));
    refuses("cannot read", &|| {
        fs::write(gate.directory().join("cert.pem"), "-----BEGIN CERTIFICATE-----\nhalf of it")
            .expect("a file");
    });
    write_certificates(other.path(), 2001);
    refuses("expired at 2001-01-01T00:00:00Z", &|| {
        scene.install("cert.pem");
        scene.install("key.pem");
    });
    write_certificates(other.path(), 2099);
    let log = scene.notices(|| {
        scene.install("cert.pem");
        scene.install("key.pem");
    });
    assert!(!log.contains("nothing was reloaded"), "{log}");
    assert!(scene.presents_what_is_in(other.path()), "one that is in order is taken");
    goes_on(&mut session, Mail::Imap);
}

/// Its configuration does not change when what it names is put right.
#[test]
fn what_a_refused_configuration_names_is_watched_until_it_can_be_used() {
    let scene = Scene::set();
    let Scene { gate, other, .. } = &scene;
    let place = |name: &str| gate.directory().join("new").join(name);
    fs::create_dir(gate.directory().join("new")).expect("a directory");
    fs::copy(other.path().join("cert.pem"), place("cert.pem")).expect("a copy");
    let own = |name: &str| gate.directory().join(name).display().to_string();
    let log = scene.notices(|| {
        let text = fs::read_to_string(gate.config_file()).expect("its configuration");
        let named = |text: String, name| text.replace(&own(name), &place(name).display().to_string());
        gate.configure(&named(named(text, "cert.pem"), "key.pem"));
    });
    assert!(log.contains("nothing was reloaded") && log.contains("cannot read"), "{log}");
    let log = scene.notices(|| {
        fs::copy(other.path().join("key.pem"), place("key.pem")).expect("a copy");
    });
    assert!(!log.contains("nothing was reloaded"), "{log}");
    assert!(scene.presents_what_is_in(other.path()));
}

/// As certbot lays them down: the files of each certificate stay, and links are turned.
#[test]
fn a_renewal_behind_links_is_taken() {
    let scene = Scene::set();
    let Scene { gate, other, .. } = &scene;
    let archive = gate.directory().join("archive");
    fs::create_dir(&archive).expect("a folder");
    let link = |from: &Path, number: u32| {
        for name in ["cert.pem", "key.pem"] {
            let kept = archive.join(format!("{number}-{name}"));
            fs::copy(from.join(name), &kept).expect("a copy");
            let next = gate.directory().join("next.pem");
            symlink(&kept, &next).expect("a link");
            fs::rename(next, gate.directory().join(name)).expect("its place");
        }
    };
    let log = scene.notices(|| link(gate.directory(), 1));
    assert!(!log.contains("nothing was reloaded"), "{log}");
    assert!(scene.presents_what_is_in(gate.directory()));
    let log = scene.notices(|| link(other.path(), 2));
    assert!(!log.contains("nothing was reloaded"), "{log}");
    assert!(scene.presents_what_is_in(other.path()));
}
