//! What stands between two: it passes bytes on, late or not at all.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::support::ports::Port;

/// What becomes of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// They pass.
    Free,
    /// They pass, so much later.
    Slow(Duration),
    /// They wait, and so does whoever connects.
    Stopped,
}

/// Listens on a port of its own, and connects whoever comes to another port of this machine.
pub(crate) struct Relay {
    port: Port,
    shared: Arc<Shared>,
}

struct Shared {
    to: u16,
    flow: Mutex<Flow>,
    changed: Condvar,
    over: AtomicBool,
}

impl Relay {
    /// To that port on 127.0.0.1.
    pub(crate) fn to(port: u16) -> Self {
        let own = Port::choose();
        let flow = Mutex::new(Flow::Free);
        let shared = Shared { to: port, flow, changed: Condvar::new(), over: AtomicBool::new(false) };
        let shared = Arc::new(shared);
        let listener = TcpListener::bind(("127.0.0.1", own.number)).expect("the relay's port");
        let theirs = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if theirs.over.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&theirs);
                thread::spawn(move || shared.connect(&stream));
            }
        });
        Self { port: own, shared }
    }

    /// Its port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port.number
    }

    /// From now on, for those who are connected too.
    pub(crate) fn set(&self, flow: Flow) {
        *self.shared.flow() = flow;
        self.shared.changed.notify_all();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        self.set(Flow::Free);
        let _ = TcpStream::connect(("127.0.0.1", self.port.number));
    }
}

impl Shared {
    fn flow(&self) -> MutexGuard<'_, Flow> {
        self.flow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as long as bytes have to now.
    fn wait(&self) {
        let flow = self.flow();
        let stopped = |flow: &mut Flow| *flow == Flow::Stopped;
        let flow = *self.changed.wait_while(flow, stopped).unwrap_or_else(PoisonError::into_inner);
        if let Flow::Slow(delay) = flow {
            thread::sleep(delay);
        }
    }

    fn connect(&self, client: &TcpStream) {
        self.wait();
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.to)) else { return };
        thread::scope(|scope| {
            scope.spawn(|| self.copy(client, &server));
            self.copy(&server, client);
        });
    }

    fn copy(&self, mut from: &TcpStream, mut to: &TcpStream) {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            self.wait();
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
        let _ = from.shutdown(Shutdown::Read);
    }
}
