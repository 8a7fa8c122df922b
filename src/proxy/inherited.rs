//! Listening sockets that were there before this process: of a service manager (systemd's socket activation) or any
//! other parent that holds them while one gate follows another, so that nobody who connects meanwhile is refused.
//!
//! The parent is trusted; what it hands over is checked all the same, because a socket that nobody serves keeps
//! clients waiting without an answer.

use std::io;
use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;
use socket2::SockRef;

use super::listener::{BindError, adopt, bind};

/// The sockets that came with the process and were not taken yet.
#[derive(Default)]
pub struct Inherited(Vec<(SocketAddr, TcpListener)>);

/// Sockets that came with the process and cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InheritedError {
    /// One is something else than a listening TCP socket.
    #[error(
        "socket {0} of those that came with the process does not listen for TCP connections\nhint: the `.socket` unit may hold `ListenStream=` lines with ports and addresses only, and no `Accept=yes`"
    )]
    NotListening(usize),
    /// One is of an address that neither a listener nor the portal has.
    #[error(
        "a socket came with the process for `{0}`, and neither a `[[listener]]` nor the portal has that address\nhint: the lines `ListenStream=` of the `.socket` unit and the addresses of listeners and portal must be the same; `ListenStream=993` is `[::]:993`"
    )]
    Unwanted(SocketAddr),
    /// One cannot be asked or set up.
    #[error("a socket that came with the process cannot be used")]
    Io(#[from] io::Error),
}

impl Inherited {
    /// Takes what `LISTEN_FDS` announces to this very process (`LISTEN_PID`), see sd_listen_fds(3). To be called
    /// once, before there are threads: the variables are taken out of the environment.
    ///
    /// # Errors
    /// [`InheritedError::NotListening`], [`InheritedError::Io`]
    pub fn from_environment() -> Result<Self, InheritedError> {
        let mut sockets = ListenFd::from_env();
        let mut inherited = Vec::new();
        for place in 0..sockets.len() {
            let socket = sockets.take_tcp_listener(place).ok().flatten();
            let socket = socket.ok_or(InheritedError::NotListening(place))?;
            if !SockRef::from(&socket).is_listener()? {
                return Err(InheritedError::NotListening(place));
            }
            socket.set_nonblocking(true)?;
            inherited.push((socket.local_addr()?, socket));
        }
        Ok(Self(inherited))
    }

    /// The socket of `address`: the one that came, or one of this process's own.
    ///
    /// # Errors
    /// [`BindError`]
    pub fn take_or_bind(&mut self, address: SocketAddr) -> Result<tokio::net::TcpListener, BindError> {
        match self.take(address) {
            Some(socket) => adopt(address, socket),
            None => bind(address),
        }
    }

    /// The socket of `address`, if one came.
    fn take(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let place = self.0.iter().position(|(of, _)| *of == address)?;
        Some(self.0.swap_remove(place).1)
    }

    /// Once every listener, and the portal, has its socket.
    pub(super) fn all_taken(self) -> Result<(), InheritedError> {
        self.0.first().map_or(Ok(()), |(address, _)| Err(InheritedError::Unwanted(*address)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_goes_to_the_listener_of_its_address_and_none_is_left_unserved() {
        let sockets = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let addresses = [0, 1].map(|at: usize| sockets[at].local_addr().unwrap());
        let mut inherited = Inherited(addresses.into_iter().zip(sockets).collect());
        assert!(inherited.take("127.0.0.1:9".parse().unwrap()).is_none());
        assert_eq!(inherited.take(addresses[1]).unwrap().local_addr().unwrap(), addresses[1]);
        assert!(inherited.take(addresses[1]).is_none());
        let error = inherited.all_taken().unwrap_err().to_string();
        assert!(error.contains(&addresses[0].to_string()) && error.contains("hint:"), "{error}");
        Inherited::default().all_taken().unwrap();
    }
}
