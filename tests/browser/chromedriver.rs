//! Debian's driver of Chromium, as a process.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

/// Debian's driver, until dropped.
pub(crate) struct Driver {
    process: Child,
    said: BufReader<ChildStdout>,
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        // The browser's processes, which have this pipe from it, end with it: until then they would write to the profile.
        let _ = self.said.read_to_end(&mut Vec::new());
    }
}

/// One on a port that it chose.
///
/// Driver and browser leave nothing but in `temporary`: whoever is ended does not clean up.
pub(crate) fn start_driver(temporary: &Path) -> (Driver, u16) {
    let mut process = Command::new("setpriv")
        .args(["--pdeathsig", "TERM", "--", "chromedriver", "--port=0"])
        .env("TMPDIR", temporary)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromedriver, of the package chromium-driver");
    let said = BufReader::new(process.stdout.take().expect("a pipe"));
    // It may say more later, and would be ended by a pipe that nobody holds.
    let mut driver = Driver { process, said };
    let mut heard = String::new();
    while driver.said.read_line(&mut heard).is_ok_and(|read| read > 0) {
        let port = heard.lines().last().and_then(|line| line.split("successfully on port ").nth(1));
        if let Some(port) = port {
            let port = port.trim_end_matches('.').parse().expect("a port");
            return (driver, port);
        }
    }
    panic!("chromedriver did not come up:\n{heard}")
}
