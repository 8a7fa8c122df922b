//! Those who are behind the gate when something breaks.

use std::fs;
use std::net::Ipv4Addr;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use super::browser::{Browser, Form};
use super::cluster::Cluster;
use crate::support::table::UNAVAILABLE;
use crate::support::{
    AppPassword, Fake, GATE_NAME, Gate, GateConfig, Guest, Mail, Outcome, PROTOCOLS, UpstreamTls, Wire, code,
    log_in, on_each_protocol, plain,
};
use crate::watch::Watch;

/// Has a second factor and app passwords.
pub(crate) const ADA: &str = "ada@example.test";

/// Hers. The servers take any.
pub(crate) const MAILBOX_PASSWORD: &str = "the mailbox password";

/// A gate in front of servers that let everybody in, and Ada, who is logged in on each protocol.
pub(crate) struct People {
    pub(crate) gate: Gate,
    pub(crate) fakes: Vec<Fake>,
    /// An app password that was proven a moment ago.
    pub(crate) known: AppPassword,
    /// One that was never used.
    pub(crate) never_used: AppPassword,
    /// What her authenticator knows.
    pub(crate) secret: String,
    sessions: Vec<(Mail, Wire)>,
}

impl People {
    /// With a configuration that is `changed`, and on disks that are `prepared` before the gate starts.
    pub(crate) fn arrive<D>(
        change: impl FnOnce(GateConfig) -> GateConfig,
        prepare: impl FnOnce(&Gate) -> D,
    ) -> (Self, D) {
        let fakes = PROTOCOLS.map(Fake::start).into_iter().collect::<Vec<_>>();
        let config =
            GateConfig::in_front_of_fakes(&fakes.iter().collect::<Vec<_>>(), UpstreamTls::None).uncounted();
        let mut gate = Gate::prepare(change(config));
        let prepared = prepare(&gate);
        gate.start_again();
        let [known, never_used] = [(); 2].map(|()| gate.app_password(ADA, MAILBOX_PASSWORD, &[]));
        let secret = bind_and_be_heard(&gate, ADA);
        let mut people = Self { gate, fakes, known, never_used, secret, sessions: Vec::new() };
        people.come_in();
        (people, prepared)
    }

    /// The same, with somebody who watches the gate.
    pub(crate) fn arrive_watched<D>(
        change: impl FnOnce(GateConfig) -> GateConfig,
        prepare: impl FnOnce(&Gate) -> D,
    ) -> (Self, Watch, D) {
        let mut watch = None;
        let (people, prepared) = Self::arrive(
            |config| {
                let (config, asked) = Watch::of(change(config));
                watch = Some(asked);
                config
            },
            prepare,
        );
        (people, watch.expect("a listener"), prepared)
    }

    /// With a portal, and with the database of `cluster`.
    pub(crate) fn on(cluster: &Cluster) -> Self {
        Self::arrive(|config| config.database(cluster.url()).portal_at("127.0.0.1"), |_| ()).0
    }

    /// Ada logs in on each protocol, and stays.
    pub(crate) fn come_in(&mut self) {
        let sessions = PROTOCOLS.map(|mail| {
            let mut guest = Guest::at(&self.gate, mail);
            let reply = guest.log_in(ADA, &self.known.password);
            assert!(mail.is_yes(&reply), "{mail:?}: {reply}");
            (mail, guest.wire)
        });
        self.sessions = sessions.into();
    }

    /// Ada signs in at the portal, and has the form before her that makes an app password.
    pub(crate) fn sign_in(&mut self) -> (Browser, Form) {
        let browser = Browser::before(&self.gate);
        assert!(browser.signs_in(&code(&self.secret, 0)), "the code is right");
        let form = browser.form();
        // What that changes ends what was proven before as well.
        bind_and_be_heard(&self.gate, "witness@example.test");
        self.come_in();
        (browser, form)
    }

    /// Whoever is in notices nothing.
    pub(crate) fn sessions_go_on(&mut self) {
        for (mail, wire) in &mut self.sessions {
            let reply = match mail {
                Mail::Imap => wire.imap("n", "NOOP"),
                Mail::Pop3 | Mail::Smtp => wire.ask("NOOP"),
            };
            assert!(["n OK", "+OK", "250 "].iter().any(|yes| reply.starts_with(yes)), "{mail:?}: {reply}");
        }
    }

    /// Ada gets in on each protocol, once the gate has found out that the server is well.
    pub(crate) fn are_let_in_soon(&self) {
        on_each_protocol(|mail| {
            let mut heard = String::new();
            for _ in 0..100 {
                heard = log_in(&self.gate, mail, ADA, &self.known.password);
                if mail.is_yes(&heard) {
                    return;
                }
                UNAVAILABLE.check(mail, &heard);
                thread::sleep(Duration::from_millis(100));
            }
            panic!("not within ten seconds: {mail:?}: {heard}");
        });
    }

    /// Ada gets in on each protocol.
    pub(crate) fn are_let_in_again(&self) {
        self.are_let_in(&self.known.password);
    }

    /// The same with that app password.
    pub(crate) fn are_let_in(&self, password: &str) {
        on_each_protocol(|mail| {
            let reply = log_in(&self.gate, mail, ADA, password);
            assert!(mail.is_yes(&reply), "{mail:?}: {reply}");
        });
    }

    /// So does somebody who was never here before.
    pub(crate) fn newcomers_are_let_in(&self, name: &str) {
        on_each_protocol(|mail| {
            let reply = log_in(&self.gate, mail, &newcomer(name, mail), MAILBOX_PASSWORD);
            assert!(mail.is_yes(&reply), "{mail:?}: {reply}");
        });
    }

    /// Whoever logs in so hears on each protocol that this does not work just now, and nothing else, in that time.
    pub(crate) fn hear_unavailable(&self, user: &str, password: &str, within: Duration) {
        on_each_protocol(|mail| {
            let begun = Instant::now();
            let user = if user.contains('@') { user.to_owned() } else { newcomer(user, mail) };
            UNAVAILABLE.check(mail, &log_in(&self.gate, mail, &user, password));
            assert!(begun.elapsed() < within, "{mail:?}: {:?} for a temporary failure", begun.elapsed());
        });
    }

    /// Tries to make an app password. What is printed of one that was not made is nothing.
    pub(crate) fn make_one(&self) -> Outcome {
        let command = ["app-password", "create", ADA, "--name", "Another", "--mailbox-password-stdin"];
        let made = self.gate.cli_with_input(&command, &format!("{MAILBOX_PASSWORD}\n"));
        assert_eq!(made.stdout.is_empty(), made.status != 0, "{made:?}");
        made
    }

    /// The labels of all of Ada's app passwords.
    pub(crate) fn labels(&self) -> Vec<String> {
        let list = self.gate.cli(&["app-password", "list", ADA, "--json"]).json();
        let labels = list.as_array().expect("a list").iter().map(|row| row["label"].as_str());
        labels.map(|label| label.expect("a label").to_owned()).collect()
    }

    /// How many attempts came to nothing, by the trail of gates that have stopped: the first few of somebody are
    /// recorded themselves, more are counted.
    pub(crate) fn came_to_nothing(&self) -> usize {
        let search = ["audit", "search", "--outcome", "unavailable", "--json"];
        let found = self.gate.cli(&search).json();
        let found = found.as_array().expect("records").iter();
        let counts = found.map(|record| match record["event"].as_str() {
            Some("refused_logins") => record["count"].as_u64().expect("a count"),
            _ => 1,
        });
        counts.sum::<u64>().try_into().expect("a few")
    }

    /// How many records there are of that kind.
    pub(crate) fn records(&self, arguments: &[&str]) -> usize {
        let found = self.gate.cli(&[&["audit", "search", "--json"], arguments].concat()).json();
        found.as_array().expect("records").len()
    }
}

/// An account for each protocol, so that they do not get in each other's way.
fn newcomer(name: &str, mail: Mail) -> String {
    format!("{name}-{}@example.test", mail.name())
}

/// Binds a second factor to somebody who is logged in without one. That this ends shows that the gate has heard of it and of
/// whatever was changed before, and has forgotten what was proven before. Returns the factor's secret.
fn bind_and_be_heard(gate: &Gate, user: &str) -> String {
    let mut without = Guest::at(gate, Mail::Imap);
    let reply = without.log_in(user, MAILBOX_PASSWORD);
    assert!(Mail::Imap.is_yes(&reply), "{reply}");
    let secret = gate.bind_totp(user);
    without.wire.rest();
    secret
}

/// Kills the gate so long after the first was told yes of those who log in all the time, and returns all who were.
pub(crate) fn told_yes_before_it_is_killed(gate: &Gate, name: &str, after: Duration) -> Vec<String> {
    let told = Mutex::new(Vec::new());
    let stat = format!("/proc/{}/stat", gate.pid());
    let is_dead = || fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
    thread::scope(|scope| {
        scope.spawn(|| told_unavailable_or_in(gate, name, &told, is_dead));
        // Without a panic, for they go on until it is dead.
        let begun = Instant::now();
        while told.lock().expect("no panic").is_empty() && begun.elapsed() < Duration::from_secs(60) {
            thread::sleep(Duration::from_millis(10));
        }
        thread::sleep(after);
        gate.signal("KILL");
    });
    let told = told.into_inner().expect("no panic");
    assert!(!told.is_empty(), "nobody got in before the end");
    told
}

/// Logs in again and again, each time as somebody else, until `until`; `told` is who was told yes. Whoever was not was
/// told that it does not work just now, or nothing at all.
pub(crate) fn told_unavailable_or_in(
    gate: &Gate,
    name: &str,
    told: &Mutex<Vec<String>>,
    until: impl Fn() -> bool + Sync,
) {
    thread::scope(|scope| {
        for mail in PROTOCOLS {
            let until = &until;
            scope.spawn(move || {
                for number in 0.. {
                    if until() {
                        return;
                    }
                    let user = newcomer(&format!("{name}{number}"), mail);
                    match try_to_log_in(gate, mail, &user) {
                        Some(reply) if mail.is_yes(&reply) => told.lock().expect("no panic").push(user),
                        Some(reply) => assert!(!says_wrong(mail, &reply), "{user} heard {reply}"),
                        None => {}
                    }
                }
            });
        }
    });
}

/// What a gate says that may end at any moment.
fn try_to_log_in(gate: &Gate, mail: Mail, user: &str) -> Option<String> {
    let wire = Wire::try_open_from(Ipv4Addr::LOCALHOST, "127.0.0.1", gate.port(mail.name(), true)).ok()?;
    let mut wire = wire.try_secure(&gate.ca_file(), GATE_NAME).ok()?;
    wire.next_line()?;
    let verb = match mail {
        Mail::Imap => "TAG AUTHENTICATE",
        Mail::Pop3 => "AUTH",
        Mail::Smtp => {
            wire.try_send("EHLO client.test\r\n").ok()?;
            while wire.next_line()?.starts_with("250-") {}
            "AUTH"
        }
    };
    wire.try_send(format!("{verb} PLAIN {}\r\n", plain(user, MAILBOX_PASSWORD))).ok()?;
    wire.next_line()
}

/// The words for a wrong password.
fn says_wrong(mail: Mail, reply: &str) -> bool {
    match mail {
        Mail::Imap => reply.contains("[AUTHENTICATIONFAILED]"),
        Mail::Pop3 => reply.contains("[AUTH]"),
        Mail::Smtp => reply.starts_with("535"),
    }
}
