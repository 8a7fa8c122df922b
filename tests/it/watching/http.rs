//! Asking the listener for metrics and health.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::support::{GateConfig, Port};

/// Where a gate answers those who watch.
pub(super) struct Watch {
    port: Port,
}

impl Watch {
    /// On a free port, which is added to `config`.
    pub(super) fn of(config: GateConfig) -> (GateConfig, Self) {
        let port = Port::choose();
        let config = config.set(&["metrics", "listen"], format!("127.0.0.1:{}", port.number));
        (config, Self { port })
    }

    pub(super) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port.number)).expect("its listener");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a deadline");
        stream
    }

    /// The status and what came with it.
    pub(super) fn get(&self, path: &str) -> (u16, String) {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: gate\r\n\r\n"))
    }

    pub(super) fn ask(&self, request: &str) -> (u16, String) {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP: {answer}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, body.to_owned())
    }

    /// The number of one line of the metrics.
    pub(super) fn number(&self, line: &str) -> f64 {
        let (_, page) = self.get("/metrics");
        let found = page.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' ')?.parse().ok());
        found.unwrap_or_else(|| panic!("no `{line}` in\n{page}"))
    }
}
