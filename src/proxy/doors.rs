//! The doors that are open, and how they change while the gate serves: one whose address stays is never closed, so
//! that nobody who connects at that moment is refused.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::listener::accept_all;
use super::permits::{ConnectionPermit, Permits};

/// The life of one connection.
pub type Served = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How the connections of one door are served.
pub(super) type Serve = dyn Fn(TcpStream, SocketAddr, ConnectionPermit) -> Served + Send + Sync;

/// A door as it shall be.
pub(super) struct Wanted {
    /// As the configuration says it.
    pub(super) address: SocketAddr,
    /// Where there is none, the door is open already.
    pub(super) socket: Option<TcpListener>,
    pub(super) serve: Arc<Serve>,
}

/// Those that are open.
pub(super) struct Doors {
    open: Vec<Door>,
    lanes: Vec<(Handle, Connections)>,
    /// One for each, in each lane.
    loops: JoinSet<()>,
    permits: Permits,
    closing: watch::Receiver<bool>,
}

struct Door {
    address: SocketAddr,
    /// What is behind it now; each connection takes what is there when it comes.
    behind: Arc<RwLock<Arc<Serve>>>,
    /// In each lane.
    accepting: Vec<AbortHandle>,
}

/// The connections of one lane, or one door, that are being served. Clones are the same.
#[derive(Clone, Default)]
pub struct Connections(Arc<Mutex<JoinSet<()>>>);

impl Connections {
    /// Serves one more, in the lane that this is called in.
    pub fn serve(&self, connection: Served) {
        let mut served = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while served.try_join_next().is_some() {}
        served.spawn(connection);
    }

    /// Ends whatever is left of them, each where it stands.
    pub fn cut_off(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}

impl Doors {
    /// None is open yet. All close when `closing` turns true.
    pub(super) fn new(lanes: Vec<Handle>, permits: Permits, closing: watch::Receiver<bool>) -> Self {
        let lanes = lanes.into_iter().map(|lane| (lane, Connections::default())).collect();
        Self { open: Vec::new(), lanes, loops: JoinSet::new(), permits, closing }
    }

    /// Which of `addresses` have no door yet. An address that stands there twice needs two.
    pub(super) fn lacking(&self, addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<bool> {
        let mut open: Vec<_> = self.open.iter().map(|door| door.address).collect();
        let lacks = |address: SocketAddr| match open.iter().position(|one| *one == address) {
            Some(place) => {
                open.swap_remove(place);
                false
            }
            None => true,
        };
        addresses.into_iter().map(lacks).collect()
    }

    /// From now on these and no others. Returns the addresses that were closed.
    pub(super) fn adopt(&mut self, wanted: Vec<Wanted>) -> Vec<SocketAddr> {
        let mut before = std::mem::take(&mut self.open);
        for Wanted { address, socket, serve } in wanted {
            let door = match (socket, before.iter().position(|door| door.address == address)) {
                (Some(socket), _) => self.open_door(address, socket, serve),
                (None, Some(place)) => {
                    let door = before.swap_remove(place);
                    *door.behind.write().unwrap_or_else(PoisonError::into_inner) = serve;
                    door
                }
                (None, None) => continue, // `lacking` said that it is there
            };
            self.open.push(door);
        }
        let close = |door: Door| {
            door.accepting.iter().for_each(AbortHandle::abort);
            door.address
        };
        before.into_iter().map(close).collect()
    }

    fn open_door(&mut self, address: SocketAddr, socket: TcpListener, serve: Arc<Serve>) -> Door {
        let behind = Arc::new(RwLock::new(serve));
        let accepting = match self.accept_in_all_lanes(socket, &behind) {
            Ok(accepting) => accepting,
            Err(error) => {
                tracing::error!(%address, %error, "nobody can be accepted there");
                Vec::new()
            }
        };
        Door { address, behind, accepting }
    }

    fn accept_in_all_lanes(
        &mut self,
        socket: TcpListener,
        behind: &Arc<RwLock<Arc<Serve>>>,
    ) -> io::Result<Vec<AbortHandle>> {
        // No lane has it yet: each has a descriptor of its own for it.
        let socket = socket.into_std()?;
        let sockets = self.lanes.iter().map(|(lane, served)| Ok((lane, served, socket.try_clone()?)));
        let sockets: Vec<_> = sockets.collect::<io::Result<_>>()?;
        let accept = |(lane, served, socket): (&_, &Connections, _)| {
            let behind = Arc::clone(behind);
            let served = served.clone();
            let (permits, closing) = (self.permits.clone(), self.closing.clone());
            let accept = async move {
                let serve = move |tcp, peer, place| {
                    let serve = Arc::clone(&behind.read().unwrap_or_else(PoisonError::into_inner));
                    served.serve(serve(tcp, peer, place));
                };
                match TcpListener::from_std(socket) {
                    Ok(socket) => accept_all(socket, permits, closing, serve).await,
                    Err(error) => tracing::error!(%error, "a lane cannot accept connections"),
                }
            };
            self.loops.spawn_on(accept, lane)
        };
        Ok(sockets.into_iter().map(accept).collect())
    }

    /// Whether every lane accepts at every door.
    pub(super) fn are_attended(&self) -> bool {
        let attended = |door: &Door| {
            !door.accepting.is_empty() && door.accepting.iter().all(|accepting| !accepting.is_finished())
        };
        self.open.iter().all(attended)
    }

    /// Ends whatever is left of the connections, each where it stands.
    pub(super) fn cut_off(&self) {
        self.lanes.iter().for_each(|(_, served)| served.cut_off());
    }

    /// Returns when the last one is closed.
    pub(super) async fn closed(&mut self) {
        while self.loops.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::proxy::listener::bind;
    use crate::proxy::testing::eventually;

    /// A door that says this word to whoever comes.
    fn wanted(address: SocketAddr, socket: Option<TcpListener>, word: &'static str) -> Wanted {
        let serve: Arc<Serve> = Arc::new(move |mut tcp: TcpStream, _, _| {
            Box::pin(async move {
                let _ = tcp.write_all(word.as_bytes()).await;
            })
        });
        Wanted { address, socket, serve }
    }

    #[tokio::test]
    async fn what_is_left_of_connections_can_be_cut_off_and_those_of_a_closed_door_go_on_till_then() {
        let (close, closing) = watch::channel(false);
        let mut doors = Doors::new(vec![Handle::current()], Permits::new(100, 100), closing);
        let held = Arc::new(());
        let guard = Arc::clone(&held);
        let serve: Arc<Serve> = Arc::new(move |tcp: TcpStream, _, _| {
            let guard = Arc::clone(&guard);
            Box::pin(async move {
                std::future::pending::<()>().await;
                drop((tcp, guard));
            })
        });
        let socket = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        doors.adopt(vec![Wanted { address, socket: Some(socket), serve }]);
        let _clients =
            (TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap());
        eventually(|| Arc::strong_count(&held) == 4).await;
        assert_eq!(doors.adopt(Vec::new()), [address]);
        close.send(true).unwrap();
        doors.closed().await;
        // The door has let go of its guard, the connections have not.
        eventually(|| Arc::strong_count(&held) == 3).await;
        doors.cut_off();
        eventually(|| Arc::strong_count(&held) == 1).await;
    }

    async fn hears(at: SocketAddr) -> Option<String> {
        let mut client = TcpStream::connect(at).await.ok()?;
        let mut word = String::new();
        client.read_to_string(&mut word).await.ok()?;
        Some(word)
    }

    #[tokio::test]
    async fn a_door_that_stays_serves_something_else_without_being_closed() {
        let (close, closing) = watch::channel(false);
        let mut doors = Doors::new(vec![Handle::current()], Permits::new(100, 100), closing);
        let sockets = [(); 3].map(|()| bind("127.0.0.1:0".parse().unwrap()).unwrap());
        let [a, b, c] = [0, 1, 2].map(|at: usize| sockets[at].local_addr().unwrap());
        let [at_a, at_b, at_c] = sockets.map(Some);
        assert_eq!(doors.lacking([a, b]), [true, true]);
        assert!(doors.adopt(vec![wanted(a, at_a, "one"), wanted(b, at_b, "one")]).is_empty());
        assert_eq!((hears(a).await.as_deref(), hears(b).await.as_deref()), (Some("one"), Some("one")));
        assert_eq!(doors.lacking([b, c, b]), [false, true, true], "an address twice is two doors");
        assert_eq!(doors.adopt(vec![wanted(b, None, "two"), wanted(c, at_c, "two")]), [a]);
        assert_eq!((hears(b).await.as_deref(), hears(c).await.as_deref()), (Some("two"), Some("two")));
        let mut is_closed = false;
        for _ in 0..100 {
            is_closed |= hears(a).await.is_none();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(is_closed && doors.are_attended());
        doors.open[0].accepting[0].abort();
        eventually(|| !doors.are_attended()).await;
        close.send(true).unwrap();
        doors.closed().await;
    }
}
