//! Replays a transcript under every cut of its incoming bytes.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;

use crate::script::{Act, Script, Side};
use crate::side::{Factory, Player, Seen};
use crate::text::show;

/// How incoming runs are cut into reads.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Whole,
    /// The `run`th run in two, the others whole.
    Once {
        run: usize,
        at: usize,
    },
    EveryByte,
    Random {
        seed: u64,
    },
}

/// Unless the environment says otherwise: mutation testing has this run a thousand times.
const RANDOM_CUTS: u64 = 1000;

const FEW_RANDOM_CUTS: u64 = 28;

fn random_cuts() -> u64 {
    std::env::var("MAILWARD_RANDOM_CUTS").map_or(RANDOM_CUTS, |count| count.parse().unwrap())
}

/// Replays all transcripts of a directory below `tests/transcripts/`; panics with all that failed.
pub(crate) fn directory(directory: &str, side: fn() -> (Side, Factory)) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts").join(directory);
    let (side, factory) = side();
    let mut files: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no transcript in {}", path.display());
    let faults: Vec<String> =
        files.iter().filter_map(|file| every_cut(&Script::read(file, side), factory).err()).collect();
    assert!(
        faults.is_empty(),
        "{} of {} transcripts fail\n\n{}",
        faults.len(),
        files.len(),
        faults.join("\n\n")
    );
}

/// Replays `script` under every cut; the first mismatch is the error.
pub(crate) fn every_cut(script: &Script, factory: Factory) -> Result<(), String> {
    let runs = script
        .acts
        .iter()
        .filter_map(|(_, act)| if let Act::Receive { run, glued } = act { Some((run, glued)) } else { None });
    let once = runs.enumerate().flat_map(|(number, (run, glued))| {
        (1..run.len()).filter(|at| !glued.contains(at)).map(move |at| Cut::Once { run: number, at })
    });
    // Thousands of places in each of many long lines would take minutes.
    let few = script.header.one("cuts") == Some("few");
    let (places, seeds) = if few { (0, FEW_RANDOM_CUTS) } else { (usize::MAX, random_cuts()) };
    [Cut::Whole, Cut::EveryByte]
        .into_iter()
        .chain(once.take(places))
        .chain((0..seeds).map(|seed| Cut::Random { seed }))
        .try_for_each(|cut| replay(script, factory(&script.header), cut))
}

/// The pieces of a run, in order.
fn pieces<'a>(run: &'a [u8], glued: &[usize], number: usize, cut: Cut) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = match cut {
        Cut::Once { run, at } if run == number => vec![at],
        Cut::Whole | Cut::Once { .. } => Vec::new(),
        Cut::EveryByte => (1..run.len()).collect(),
        Cut::Random { seed } => {
            // Coarse and fine cuts alike: the seed also chooses how large a piece may be.
            let largest = 1 << (seed % 14);
            let mut state = seed ^ (number as u64) << 32;
            let mut places = Vec::new();
            let mut place = 0;
            loop {
                place += 1 + (split_mix(&mut state) % largest) as usize;
                if place >= run.len() {
                    break places;
                }
                places.push(place);
            }
        }
    };
    at.retain(|place| !glued.contains(place));
    at.push(run.len());
    let mut start = 0;
    at.into_iter().map(|end| &run[std::mem::replace(&mut start, end)..end]).collect()
}

/// SplitMix64: the same sequence for the same seed, everywhere.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A dialogue and what it showed that no line has accounted for yet.
struct Stage {
    player: Box<dyn Player>,
    seen: VecDeque<Seen>,
    facts: Vec<String>,
    /// The driver does not step: an event or a handshake is pending, or the dialogue closed.
    waiting: bool,
    closed: bool,
}

impl Stage {
    fn drain(&mut self) {
        while !self.waiting {
            match self.player.step() {
                Seen::Nothing => return,
                Seen::Sent(bytes) => match self.seen.back_mut() {
                    Some(Seen::Sent(sent)) => sent.extend_from_slice(&bytes),
                    _ => self.seen.push_back(Seen::Sent(bytes)),
                },
                seen => {
                    self.waiting = match &seen {
                        Seen::Event { suspends, .. } => *suspends,
                        _ => true,
                    };
                    self.closed |= matches!(seen, Seen::Close);
                    self.seen.push_back(seen);
                }
            }
        }
    }

    fn go_on(&mut self) {
        self.waiting = self.closed;
        self.drain();
    }
}

fn replay(script: &Script, player: Box<dyn Player>, cut: Cut) -> Result<(), String> {
    let mut stage = Stage { player, seen: VecDeque::new(), facts: Vec::new(), waiting: false, closed: false };
    stage.drain();
    let mut run_number = 0;
    // Once logged in, every byte left over must be accounted for; before, leftovers are nobody's.
    let mut unread: Option<&[u8]> = None;
    for (line, act) in &script.acts {
        let fault = |expected: String, got: String| {
            Err(format!("{}:{line}: under {cut:?}\n  expected {expected}\n  got      {got}", script.name))
        };
        let nothing_left = |stage: &Stage| match stage.seen.front() {
            None => Ok(()),
            Some(seen) => fault("nothing before this line".to_owned(), describe(seen)),
        };
        let next = |stage: &mut Stage| stage.seen.pop_front().unwrap_or(Seen::Nothing);
        match act {
            Act::Receive { run, glued } => {
                nothing_left(&stage)?;
                for piece in pieces(run, glued, run_number, cut) {
                    // A driver that was told to close reads no more.
                    if !stage.closed {
                        stage.player.receive(piece);
                        stage.drain();
                    }
                }
                run_number += 1;
            }
            Act::EndOfInput => {
                nothing_left(&stage)?;
                stage.player.end_of_input();
                stage.drain();
            }
            Act::Answer(text) => {
                nothing_left(&stage)?;
                stage.player.answer(text);
                unread = text.starts_with("admit").then_some(b"");
                stage.go_on();
            }
            Act::Send(expected) => match next(&mut stage) {
                Seen::Sent(mut sent) if sent.starts_with(expected) => {
                    let rest = sent.split_off(expected.len());
                    if !rest.is_empty() {
                        stage.seen.push_front(Seen::Sent(rest));
                    }
                }
                other => return fault(show(expected), describe(&other)),
            },
            Act::StartTls => match next(&mut stage) {
                Seen::StartTls => {
                    nothing_left(&stage)?;
                    stage.player.secured();
                    stage.go_on();
                }
                other => return fault("[starttls]".to_owned(), describe(&other)),
            },
            Act::Event(expected) => match next(&mut stage) {
                Seen::Event { text, facts, .. } if text == *expected => {
                    unread = text.starts_with("logged-in").then_some(b"");
                    stage.facts = facts;
                }
                other => return fault(format!("[{expected}]"), describe(&other)),
            },
            Act::Fact(expected) => {
                if !stage.facts.contains(expected) {
                    return fault(format!("[{expected}]"), format!("{:?}", stage.facts));
                }
            }
            Act::Close => match next(&mut stage) {
                Seen::Close if matches!(stage.player.step(), Seen::Close) => {}
                other => return fault("[close], and again when asked again".to_owned(), describe(&other)),
            },
            Act::Unread(expected) => unread = Some(expected),
        }
    }
    let fault = |expected: &str, got: String| {
        Err(format!("{}: at its end, under {cut:?}\n  expected {expected}\n  got      {got}", script.name))
    };
    if let Some(seen) = stage.seen.front() {
        return fault("nothing more", describe(seen));
    }
    let left = stage.player.unread();
    match unread {
        Some(unread) if left != unread => fault(&format!("[unread {}]", show(unread)), show(&left)),
        _ => Ok(()),
    }
}

fn describe(seen: &Seen) -> String {
    match seen {
        Seen::Nothing => "nothing".to_owned(),
        // Up to the end of the first line, which is what a transcript line is compared with.
        Seen::Sent(bytes) => show(bytes.split_inclusive(|b| *b == b'\n').next().unwrap_or(bytes)),
        Seen::StartTls => "[starttls]".to_owned(),
        Seen::Event { text, .. } => format!("[{text}]"),
        Seen::Close => "[close]".to_owned(),
    }
}
