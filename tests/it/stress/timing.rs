//! A guesser with a stopwatch: ten thousand refusals do not tell which accounts exist, or which have a second factor.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use crate::support::{
    Answer, Fake, GATE_NAME, Gate, GateConfig, Guest, Mail, Manner, UpstreamTls, Wire, trusting,
};

const SAMPLES: usize = 10_000;

/// As many as a client may fail on one connection.
const EACH: usize = 3;

/// Guessers at the same time.
const CROWD: usize = 150;

/// Standard deviations between two samples of one distribution: by chance more in three of a million pairs.
const SEPARABLE: f64 = 4.7;

const KINDS: [&str; 3] = ["unknown", "unbound", "bound"];

#[test]
fn ten_thousand_refusals_do_not_tell_accounts_apart() {
    // Answers at once whatever happens: a real server that is slow under the crowd would make everybody wait for it.
    let upstream = Fake::start(Mail::Imap);
    let config = GateConfig::in_front_of_fakes(&[&upstream], UpstreamTls::None).uncounted();
    // Who is leaving still counts: the crowd is one and a half of itself at times, and nobody is to be sent away for it.
    let config = config.set(&["limits", "preauth_per_network"], 1000);
    let gate = Gate::start(config.set(&["limits", "failure_delay"], "400ms"));
    let [unbound, bound] = ["unbound@example.test", "bound@example.test"];
    for account in [unbound, bound] {
        gate.cli(&["account", "add", account]).success();
    }
    gate.bind_totp(bound);
    upstream.behave(Manner { login: Answer::Says("TAG NO wrong"), ..Manner::friendly(Mail::Imap) });
    let names = ["nobody@example.test", unbound, bound];

    let tls = trusting(&gate.ca_file());
    let next = AtomicUsize::new(0);
    let times = Mutex::new([const { Vec::new() }; 3]);
    thread::scope(|scope| {
        for _ in 0..CROWD {
            scope.spawn(|| {
                loop {
                    let first = next.fetch_add(EACH, Ordering::Relaxed);
                    if first >= SAMPLES {
                        return;
                    }
                    let wire = Wire::open("127.0.0.1", gate.port("imap", true)).secure_as(&tls, GATE_NAME);
                    let mut guest = Guest::greeted(wire.expect("a handshake"), Mail::Imap);
                    for number in first..first + EACH {
                        // In no order: what one leaves behind must not always meet the same next one.
                        let kind = (number.wrapping_mul(2_654_435_761) >> 16) % KINDS.len();
                        let begun = Instant::now();
                        let reply = guest.log_in(names[kind], &format!("guess {number}"));
                        let took = begun.elapsed().as_secs_f64();
                        assert!(reply.contains("TAG NO [AUTHENTICATIONFAILED]"), "{reply}");
                        times.lock().expect("the times")[kind].push(took);
                    }
                }
            });
        }
    });
    let times = times.into_inner().expect("the times");
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        let z = separation(&times[one], &times[other]);
        println!("{} and {}: {z:+.2} standard deviations apart", KINDS[one], KINDS[other]);
        assert!(z.abs() < SEPARABLE, "{} and {} can be told apart: {z:+.2}", KINDS[one], KINDS[other]);
    }
}

/// Mann and Whitney's rank sum, as a number of standard deviations from what samples of one distribution give.
fn separation(one: &[f64], other: &[f64]) -> f64 {
    let mut all =
        one.iter().map(|time| (*time, 1.0)).chain(other.iter().map(|time| (*time, 0.0))).collect::<Vec<_>>();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let ranks = all.iter().zip(1_u32..).map(|((_, ours), rank)| ours * f64::from(rank)).sum::<f64>();
    let (n, m) = (one.len() as f64, other.len() as f64);
    let expected = n * (n + m + 1.0) / 2.0;
    (ranks - expected) / (n * m * (n + m + 1.0) / 12.0).sqrt()
}

#[test]
fn the_stopwatch_sees_a_small_difference() {
    // A control: what is compared above would be seen if it were there.
    let noise = |number: u32| f64::from(number.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 24);
    let one = (0..3333).map(noise).collect::<Vec<_>>();
    let same = (10_000..13_333).map(noise).collect::<Vec<_>>();
    let slower = same.iter().map(|time| time + 0.05).collect::<Vec<_>>();
    assert!(separation(&one, &same).abs() < SEPARABLE);
    assert!(separation(&one, &slower).abs() > SEPARABLE);
}
