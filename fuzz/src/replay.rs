//! Replays, on any toolchain, what fuzzing found worth keeping.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{TARGETS, run, seeds};

#[test]
fn every_input_of_the_corpus_holds() {
    for (target, _) in TARGETS {
        let files = corpus(target);
        assert!(!files.is_empty(), "no corpus for {target}");
        for file in files {
            let input = fs::read(&file).unwrap();
            holds(target, &input, &file.display().to_string());
        }
    }
}

#[test]
fn every_seed_holds() {
    for (target, _) in TARGETS {
        for (name, input) in seeds::of(target) {
            holds(target, &input, &name);
        }
    }
}

/// Else nothing that is bounded in memory is bounded here.
#[test]
fn what_is_allocated_is_counted() {
    let _alone = alone();
    let before = crate::heap();
    let held = vec![0_u8; 1 << 20];
    // Another test may have let go of a file meanwhile.
    assert!(crate::heap() >= before + held.len() / 2);
}

/// Not a test: `scripts/fuzz` lets it write the seeds, for a fuzzer to begin with.
#[test]
#[ignore = "writes files"]
fn write_seeds() {
    let root = PathBuf::from(std::env::var("MAILWARD_SEEDS").unwrap());
    for (target, _) in TARGETS {
        let directory = root.join(target);
        fs::create_dir_all(&directory).unwrap();
        for (name, input) in seeds::of(target) {
            fs::write(directory.join(name), input).unwrap();
        }
    }
}

fn corpus(target: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(directory)
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default();
    files.sort();
    files
}

/// What another test allocates meanwhile would be weighed, too.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn holds(target: &str, input: &[u8], name: &str) {
    let _alone = alone();
    let result = std::panic::catch_unwind(|| run(target, input));
    assert!(result.is_ok(), "{target} does not hold for {name}; what was wrong stands above");
}
