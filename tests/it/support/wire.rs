//! A client's end of a connection, byte for byte: for what no real mail client does.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use socket2::{Domain, Socket, Type};

/// No single answer takes longer, not even the one to a login at an upstream that is silent for as long as it may be.
const DEADLINE: Duration = Duration::from_secs(45);

/// One connection, in clear or inside TLS.
pub(crate) struct Wire {
    stream: Stream,
    /// Received and not taken yet.
    received: Vec<u8>,
}

enum Stream {
    Clear(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Wire {
    /// Connects from 127.0.0.1.
    pub(crate) fn open(host: &str, port: u16) -> Self {
        Self::open_from(Ipv4Addr::LOCALHOST, host, port)
    }

    /// Connects from another loopback address: to the server a client of another network.
    pub(crate) fn open_from(source: Ipv4Addr, host: &str, port: u16) -> Self {
        Self::try_open_from(source, host, port)
            .unwrap_or_else(|error| panic!("nobody at {host}, port {port}: {error}"))
    }

    /// The same, where nobody may be there.
    pub(crate) fn try_open_from(source: Ipv4Addr, host: &str, port: u16) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((source, 0)).into())?;
        let target = SocketAddr::from((host.parse::<Ipv4Addr>().expect("an address"), port));
        socket.connect(&target.into())?;
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: Stream::Clear(stream), received: Vec::new() })
    }

    /// Shakes hands as a TLS client that trusts the certificates in `ca` and expects `name`.
    pub(crate) fn secure(self, ca: &Path, name: &'static str) -> Self {
        self.try_secure(ca, name).unwrap_or_else(|error| panic!("no TLS: {error}"))
    }

    /// The same, where it may well fail.
    pub(crate) fn try_secure(self, ca: &Path, name: &'static str) -> io::Result<Self> {
        self.secure_as(&trusting(ca), name)
    }

    /// Shakes hands as a TLS client that was there before, maybe.
    pub(crate) fn secure_as(self, client: &Arc<ClientConfig>, name: &'static str) -> io::Result<Self> {
        let name = ServerName::try_from(name).expect("a name");
        let mut connection = ClientConnection::new(Arc::clone(client), name).map_err(io::Error::other)?;
        let Stream::Clear(mut stream) = self.stream else { panic!("inside TLS already") };
        assert_eq!(show(&self.received), "", "unread before the handshake");
        connection.complete_io(&mut stream)?;
        Ok(Self { stream: Stream::Tls(Box::new(StreamOwned::new(connection, stream))), received: Vec::new() })
    }

    /// Sends these bytes at once: one segment, and inside TLS one record.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).unwrap_or_else(|error| panic!("cannot send: {error}"));
    }

    /// The same to a peer that may have gone.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())?;
        self.stream.flush()
    }

    /// Sends as much as the other side takes without being read from or waited for.
    pub(crate) fn try_send_what_fits(&mut self, bytes: &[u8]) {
        let patience = Some(Duration::from_millis(200));
        let socket = match &self.stream {
            Stream::Clear(socket) => socket,
            Stream::Tls(tls) => &tls.sock,
        };
        socket.set_write_timeout(patience).expect("a deadline");
        let _ = self.try_send(bytes);
    }

    /// Closes the sending side; inside TLS with a close_notify.
    pub(crate) fn finish(&mut self) {
        let socket = match &mut self.stream {
            Stream::Clear(socket) => socket,
            Stream::Tls(tls) => {
                tls.conn.send_close_notify();
                let _ = tls.flush();
                &mut tls.sock
            }
        };
        socket.shutdown(Shutdown::Write).expect("an open connection");
    }

    /// The next line, with its CRLF.
    pub(crate) fn line(&mut self) -> String {
        self.next_line().unwrap_or_else(|| panic!("it ended after `{}`", show(&self.received)))
    }

    /// The next line, or `None` at the end.
    pub(crate) fn next_line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.received.windows(2).position(|two| two == b"\r\n") {
                return Some(show(&self.received.drain(..end + 2).collect::<Vec<_>>()));
            }
            if !self.receive() {
                return None;
            }
        }
    }

    /// Lines up to the first for which `last` holds, or up to the end of the connection.
    pub(crate) fn lines_until(&mut self, last: impl Fn(&str) -> bool) -> String {
        let mut lines = String::new();
        while let Some(line) = self.next_line() {
            lines += &line;
            if last(&line) {
                break;
            }
        }
        lines
    }

    /// The answer to the IMAP command with that tag, untagged lines included.
    pub(crate) fn tagged(&mut self, tag: &str) -> String {
        let start = format!("{tag} ");
        self.lines_until(|line| line.starts_with(&start))
    }

    /// One SMTP reply, all its lines.
    pub(crate) fn reply(&mut self) -> String {
        self.lines_until(|line| line.as_bytes().get(3) != Some(&b'-'))
    }

    /// Sends a line and takes one line.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n"));
        self.line()
    }

    /// Sends an SMTP command and takes its reply.
    pub(crate) fn command(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n"));
        self.reply()
    }

    /// Sends an IMAP command, tagged `tag`, and takes the answer to it.
    pub(crate) fn imap(&mut self, tag: &str, command: &str) -> String {
        self.send(format!("{tag} {command}\r\n"));
        self.tagged(tag)
    }

    /// All that still comes before the peer closes. A peer that never does fails the test.
    pub(crate) fn rest(&mut self) -> String {
        while self.receive() {}
        show(&std::mem::take(&mut self.received))
    }

    /// The same, and whether the end came in order: inside TLS with a close_notify.
    pub(crate) fn end(&mut self) -> (String, bool) {
        let rest = self.rest();
        // After a close_notify it is the end each time; a connection that was cut is an error.
        (rest, matches!(self.stream.read(&mut [0]), Ok(0)))
    }

    /// Takes what arrives next; `false` at the end, however it came.
    fn receive(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(count) => {
                self.received.extend_from_slice(&buffer[..count]);
                true
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                panic!("no answer within {DEADLINE:?}, only `{}`", show(&self.received))
            }
            // A reset, or an end without close_notify.
            Err(_) => false,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Clear(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wire({})", show(&self.received))
    }
}

/// A TLS client that trusts the certificates in `ca`.
pub(crate) fn trusting(ca: &Path) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).expect("a PEM file") {
        roots.add(certificate.expect("a certificate")).expect("a trust anchor");
    }
    Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
