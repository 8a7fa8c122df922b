//! A crowd of accounts that log in at the same time: nobody ever sees another one's mailbox.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustls::ClientConfig;

use crate::support::{
    GATE_NAME, Gate, GateConfig, Guest, LegacyOptions, LegacyServer, Mail, UpstreamTls, Wire, trusting,
};

const ACCOUNTS: usize = 100;
const LOGINS: usize = 10_000;

/// Clients at the same time.
const CROWD: usize = 40;

/// Has no factor in common with [`LOGINS`]: going round by such steps meets every number once, in no order.
const STRIDE: usize = 7919;

struct Owner {
    address: String,
    /// What its clients use: the mailbox password, or an app password where a factor is bound.
    password: String,
}

#[test]
fn ten_thousand_interleaved_logins_of_a_hundred_accounts_each_see_their_own_mailbox() {
    let options = (0..ACCOUNTS).fold(LegacyOptions::default().fast_auth(), |options, number| {
        options.user(&address(number), &mailbox_password(number))
    });
    let legacy = LegacyServer::start(options);
    let config = GateConfig::in_front_of(&legacy).upstream_tls(&legacy, UpstreamTls::None).uncounted();
    let gate = Gate::start(config.set(&["limits", "sessions_per_account"], CROWD as i64));
    let owners = settle_in(&legacy, &gate);

    let tls = trusting(&gate.ca_file());
    let next = AtomicUsize::new(0);
    let seen = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..CROWD {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= LOGINS {
                        return;
                    }
                    visit(&gate, &tls, &owners, number * STRIDE % LOGINS);
                    seen.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(seen.into_inner(), LOGINS);
}

/// Every mailbox gets what only it has: a folder with its owner's name, and a mail with that subject. Every other
/// account binds a factor.
fn settle_in(legacy: &LegacyServer, gate: &Gate) -> Vec<Owner> {
    let next = AtomicUsize::new(0);
    let mut owners = thread::scope(|scope| {
        let settlers = (0..8).map(|_| {
            scope.spawn(|| {
                let mut settled = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= ACCOUNTS {
                        return settled;
                    }
                    settled.push((number, settle(legacy, gate, number)));
                }
            })
        });
        let settlers = settlers.collect::<Vec<_>>();
        settlers.into_iter().flat_map(|settler| settler.join().expect("a settler")).collect::<Vec<_>>()
    });
    owners.sort_by_key(|(number, _)| *number);
    owners.into_iter().map(|(_, owner)| owner).collect()
}

fn settle(legacy: &LegacyServer, gate: &Gate, number: usize) -> Owner {
    let (address, mailbox_password) = (address(number), mailbox_password(number));
    let mut direct = Guest::greeted(Wire::open(legacy.host(), legacy.port("imap")), Mail::Imap);
    assert!(Mail::Imap.is_yes(&direct.log_in(&address, &mailbox_password)));
    let mail = format!("Subject: of {address};\r\n\r\nHello\r\n");
    direct.wire.send(format!("m APPEND INBOX {{{}+}}\r\n{mail}\r\n", mail.len()));
    let appended = direct.wire.tagged("m");
    assert!(appended.contains("m OK"), "{appended}");
    let created = direct.wire.imap("f", &format!("CREATE own-{number}"));
    assert!(created.contains("f OK"), "{created}");
    if number.is_multiple_of(2) {
        return Owner { address, password: mailbox_password };
    }
    let made = gate.app_password(&address, &mailbox_password, &[]);
    gate.bind_totp(&address);
    Owner { address, password: made.password }
}

/// One login of one account; every tenth client tries its neighbour's password first.
fn visit(gate: &Gate, tls: &Arc<ClientConfig>, owners: &[Owner], number: usize) {
    let account = number % ACCOUNTS;
    let owner = &owners[account];
    let mail = if number.is_multiple_of(4) { Mail::Pop3 } else { Mail::Imap };
    let wire = Wire::open("127.0.0.1", gate.port(mail.name(), true)).secure_as(tls, GATE_NAME);
    let mut guest = Guest::greeted(wire.expect("a handshake"), mail);
    if number.is_multiple_of(10) {
        let neighbour = &owners[(account + 1) % ACCOUNTS];
        let refused = guest.log_in(&owner.address, &neighbour.password);
        assert!(!mail.is_yes(&refused), "{} got in with another one's password: {refused}", owner.address);
    }
    let reply = guest.log_in(&owner.address, &owner.password);
    assert!(mail.is_yes(&reply), "{} was not let in: {reply}", owner.address);
    match mail {
        Mail::Imap => {
            let listed = guest.wire.imap("l", "LIST \"\" own-*");
            let folders = listed.lines().filter(|line| line.starts_with("* LIST")).collect::<Vec<_>>();
            assert!(
                matches!(folders[..], [folder] if folder.trim_end().ends_with(&format!("own-{account}"))),
                "{} sees {listed}",
                owner.address
            );
        }
        Mail::Pop3 | Mail::Smtp => {
            guest.wire.send("TOP 1 0\r\n");
            let seen = guest.wire.lines_until(|line| line == ".\r\n" || line.starts_with("-ERR"));
            assert!(
                seen.contains(&format!("Subject: of {};", owner.address)),
                "{} sees {seen}",
                owner.address
            );
        }
    }
}

fn address(number: usize) -> String {
    format!("crowd{number}@example.test")
}

fn mailbox_password(number: usize) -> String {
    format!("mailbox-{number}-password")
}
