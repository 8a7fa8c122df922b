//! Certificates that change while the gate serves.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::{enter, goes_on, reloads};
use crate::support::{
    Fake, GATE_NAME, Gate, GateConfig, Mail, UpstreamTls, Wire, eventually, write_certificates,
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
        let gate = Gate::start(GateConfig::in_front_of_fakes(&[&upstream], UpstreamTls::None));
        let other = TempDir::new().expect("a directory");
        write_certificates(other.path(), 2099);
        Self { _upstream: upstream, gate, other }
    }

    /// Whether a client that trusts only the authority in that folder gets a handshake.
    fn presents_what_is_in(&self, folder: &Path) -> bool {
        let wire = Wire::open("127.0.0.1", self.gate.port("imap", true));
        wire.try_secure(&folder.join("ca.pem"), GATE_NAME).is_ok()
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
