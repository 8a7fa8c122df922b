//! What the proof cache spares: argon2, and opening the seal.

use divan::Bencher;
use mailward::app_password::Candidate;

use crate::site::Ready;

#[divan::bench(sample_count = 20)]
fn prove(bencher: Bencher<'_, '_>) {
    let ready = Ready::new();
    let candidate = Candidate::parse(&ready.printed).unwrap();
    bencher.bench(|| {
        ready.runtime.block_on(ready.app_passwords.prove(&ready.row, &candidate)).unwrap().is_some()
    });
}

#[divan::bench]
fn open(bencher: Bencher<'_, '_>) {
    let ready = Ready::new();
    let candidate = Candidate::parse(&ready.printed).unwrap();
    let proven = ready.runtime.block_on(ready.app_passwords.prove(&ready.row, &candidate)).unwrap().unwrap();
    bencher.bench(|| ready.app_passwords.open(&ready.row, &proven).unwrap());
}
