//! A record that somebody waits for: alone, and among others that share its sync.

use divan::Bencher;
use mailward::audit::Event;

use crate::site::Ready;

#[divan::bench(args = [1, 64])]
fn append(bencher: Bencher<'_, '_>, at_once: usize) {
    let ready = Ready::new();
    bencher.counter(at_once).bench(|| {
        ready.runtime.block_on(async {
            let appends: Vec<_> = (0..at_once)
                .map(|_| {
                    let audit = ready.audit.clone();
                    tokio::spawn(async move { audit.append(Event::Stopped).await })
                })
                .collect();
            for append in appends {
                append.await.unwrap().unwrap();
            }
        });
    });
}
