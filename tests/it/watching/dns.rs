//! A name server on loopback that knows a few records.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;

const A: u16 = 1;
const SRV: u16 = 33;

/// What it knows, by name in lower case.
#[derive(Default)]
pub(super) struct Zone {
    addresses: HashMap<String, Ipv4Addr>,
    services: HashMap<String, (u16, String)>,
}

impl Zone {
    pub(super) fn address(mut self, name: &str, address: Ipv4Addr) -> Self {
        self.addresses.insert(name.to_owned(), address);
        self
    }

    pub(super) fn service(mut self, name: &str, port: u16, host: &str) -> Self {
        self.services.insert(name.to_owned(), (port, host.to_owned()));
        self
    }

    /// Answers as long as the test runs.
    pub(super) fn serve(self) -> SocketAddr {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        let address = socket.local_addr().expect("its address");
        thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((length, asker)) = socket.recv_from(&mut query) {
                let _ = socket.send_to(&self.answer(&query[..length]), asker);
            }
        });
        address
    }

    /// RFC 1035 section 4; the question is repeated, and the answer points back to its name.
    fn answer(&self, query: &[u8]) -> Vec<u8> {
        let (mut labels, mut at) = (Vec::new(), 12);
        while query[at] != 0 {
            let end = at + 1 + usize::from(query[at]);
            labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
            at = end;
        }
        let (name, kind) = (labels.join("."), u16::from_be_bytes([query[at + 1], query[at + 2]]));
        let data = match kind {
            A => self.addresses.get(&name).map(|address| address.octets().to_vec()),
            SRV => self.services.get(&name).map(|(port, host)| {
                let mut data = [0_u16, 1, *port].map(u16::to_be_bytes).concat();
                for label in host.split('.') {
                    data.push(u8::try_from(label.len()).expect("a short label"));
                    data.extend(label.bytes());
                }
                data.push(0);
                data
            }),
            _ => None,
        };
        let known = self.addresses.contains_key(&name) || data.is_some();
        let mut answer = query[..2].to_vec();
        answer.extend([0x85, if known { 0x80 } else { 0x83 }, 0, 1, 0, u8::from(data.is_some()), 0, 0, 0, 0]);
        answer.extend(&query[12..at + 5]);
        if let Some(data) = data {
            answer.extend([0xc0, 12]);
            answer.extend(kind.to_be_bytes());
            answer.extend([0, 1, 0, 0, 0, 60]);
            answer.extend(u16::try_from(data.len()).expect("short data").to_be_bytes());
            answer.extend(data);
        }
        answer
    }
}
