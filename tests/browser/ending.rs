//! A test that fails leaves no browser behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::driver::{Browser, Language};
use crate::world::tell;

/// Opens a browser in a thread that ends by `end`; where its profile was.
fn opened(end: impl FnOnce(Browser) + Send + 'static) -> PathBuf {
    let (say, heard) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        tell(async {
            let browser = Browser::open("https://localhost", Language::English, "ending").await;
            say.send(browser.profile().to_owned()).expect("somebody who listens");
            assert_ne!(processes(browser.profile()), 0, "it runs");
            end(browser);
        });
    });
    let _ = thread.join();
    heard.recv().expect("a browser was opened")
}

/// How many processes name that profile.
fn processes(profile: &Path) -> usize {
    let profile = profile.to_str().expect("a path in UTF-8");
    let names = |process: &fs::DirEntry| {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(profile)
    };
    fs::read_dir("/proc").expect("the processes").flatten().filter(names).count()
}

#[test]
fn a_browser_is_gone_when_its_test_has_panicked() {
    let profile = opened(|_browser| panic!("as a test that fails"));
    assert_eq!(processes(&profile), 0);
    assert!(!profile.exists());
}

#[test]
fn a_browser_ends_with_whoever_opened_it_even_if_nobody_could_clean_up() {
    // What is forgotten is not dropped; the end of its thread is told like that of a process that was killed.
    let profile = opened(std::mem::forget);
    let until = Instant::now() + Duration::from_secs(30);
    while processes(&profile) > 0 {
        assert!(Instant::now() < until, "it is still there");
        std::thread::sleep(Duration::from_millis(50));
    }
    fs::remove_dir_all(profile).expect("nobody cleaned up");
}
