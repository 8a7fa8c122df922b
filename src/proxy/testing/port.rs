//! A port that is nobody else's.

use std::net::SocketAddr;

use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;

/// A port of loopback that refuses connections, and that the system gives to nobody else while this lives.
pub(in crate::proxy) struct Port {
    pub(in crate::proxy) number: u16,
    /// Bound, and does not listen.
    _taken: Socket,
}

impl Port {
    pub(in crate::proxy) fn take() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        // So that a second one of ours may be bound to it, and listen.
        socket.set_reuse_address(true).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let number = socket.local_addr().unwrap().as_socket().unwrap().port();
        Self { number, _taken: socket }
    }

    /// Refuses no more, until that is dropped.
    pub(in crate::proxy) async fn listen(&self) -> TcpListener {
        TcpListener::bind(("127.0.0.1", self.number)).await.unwrap()
    }
}
