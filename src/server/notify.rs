//! What the service manager is told: sd_notify(3), one datagram for each message. Where nobody listens, nothing is
//! sent; whoever listens is trusted.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::base::clock::system_monotonic_micros;

/// The longest status line: what is told goes into one line of a list.
const STATUS_MAX: usize = 200;

/// The one who started this process and wants to hear of it, if anybody does.
pub(super) struct ServiceManager {
    channel: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// As `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` of the environment say.
    pub(super) fn from_environment() -> Self {
        let address = std::env::var("NOTIFY_SOCKET").ok().filter(|path| !path.is_empty());
        let channel = address.and_then(|address| match connect(&address) {
            Ok(channel) => Some(channel),
            Err(error) => {
                tracing::warn!(%error, address, "the service manager cannot be told how the gate is doing");
                None
            }
        });
        let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let is_meant = number("WATCHDOG_PID").is_none_or(|id| id == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|micros| is_meant && *micros > 0);
        Self { watchdog: watchdog.filter(|_| channel.is_some()).map(Duration::from_micros), channel }
    }

    /// After how long without a [`ServiceManager::alive`] the service manager ends the process.
    pub(super) fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Serves now, be it at first or after a reload.
    pub(super) fn ready(&self, status: &str) {
        self.send(&format!("READY=1\n{}", status_line(status)));
    }

    /// Reads its configuration anew; [`ServiceManager::ready`] follows, however that ends.
    pub(super) fn reloading(&self) {
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={}\n", system_monotonic_micros()));
    }

    /// Stops, which may take as long as `at_most`.
    pub(super) fn stopping(&self, at_most: Duration) {
        let micros = at_most.as_micros();
        self.send(&format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={micros}\n{}", status_line("stopping")));
    }

    /// Is alive.
    pub(super) fn alive(&self) {
        self.send("WATCHDOG=1\n");
    }

    fn send(&self, message: &str) {
        let Some((socket, address)) = &self.channel else { return };
        if let Err(error) = socket.send_to_addr(message.as_bytes(), address) {
            tracing::warn!(%error, "the service manager was not told how the gate is doing");
        }
    }
}

/// A path, or after `@` a name without one.
fn connect(address: &str) -> io::Result<(UnixDatagram, SocketAddr)> {
    let to = match address.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(address)?,
    };
    let socket = UnixDatagram::unbound()?;
    // A manager that does not read must not stop the gate.
    socket.set_nonblocking(true)?;
    Ok((socket, to))
}

fn status_line(status: &str) -> String {
    let line: String = status.lines().next().unwrap_or_default().chars().take(STATUS_MAX).collect();
    format!("STATUS={line}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manager(socket: &str) -> ServiceManager {
        ServiceManager { channel: Some(connect(socket).unwrap()), watchdog: None }
    }

    fn heard(by: &UnixDatagram) -> String {
        let mut buffer = [0; 1024];
        let length = by.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn each_state_is_one_message_at_a_path_or_an_abstract_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let name = format!("mailward-notify-test-{}", std::process::id());
        let abstract_address = SocketAddr::from_abstract_name(&name).unwrap();
        for (address, listener) in [
            (path.to_str().unwrap().to_owned(), UnixDatagram::bind(&path).unwrap()),
            (format!("@{name}"), UnixDatagram::bind_addr(&abstract_address).unwrap()),
        ] {
            let manager = manager(&address);
            manager.ready("serving\nand more");
            assert_eq!(heard(&listener), "READY=1\nSTATUS=serving\n");
            manager.reloading();
            let message = heard(&listener);
            let micros = message.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().trim();
            assert!(micros.parse::<u64>().unwrap() > 0);
            manager.stopping(Duration::from_secs(13));
            assert_eq!(heard(&listener), "STOPPING=1\nEXTEND_TIMEOUT_USEC=13000000\nSTATUS=stopping\n");
            manager.alive();
            assert_eq!(heard(&listener), "WATCHDOG=1\n");
        }
    }

    #[test]
    fn a_manager_that_is_gone_or_does_not_read_holds_up_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        let manager = manager(path.to_str().unwrap());
        for _ in 0..10_000 {
            manager.alive();
        }
        drop(listener);
        manager.alive();
        ServiceManager { channel: None, watchdog: None }.ready("serving");
    }
}
