//! How one upstream hears where its clients come from, and whether it listens.
//!
//! What it is told is the gate's own knowledge. An upstream that does not take it lets its users in all the same
//! (docs/decisions/0082-an-upstream-that-does-not-listen.md); the log says so once.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::base::{Protocol, UpstreamName};
use crate::config::ForwardClient;
use crate::protocol::{ClientOrigin, Forwarding, proxy_header};

/// One protocol of one upstream.
pub(super) struct Forwarder {
    how: ForwardClient,
    /// The last word about it was that it does not listen.
    deaf: AtomicBool,
}

/// What is worth saying of an upstream that hears where a client comes from.
#[derive(Debug, PartialEq, Eq)]
enum News {
    /// It no longer does, for this reason.
    Deaf(String),
    /// It does again.
    Hears,
}

impl Forwarder {
    /// As the administrator wants it.
    pub(super) fn new(how: ForwardClient) -> Self {
        Self { how, deaf: AtomicBool::new(false) }
    }

    /// What a dialogue in `protocol` is to tell of `client`, if telling is its part.
    pub(super) fn in_dialogue(
        &self,
        protocol: Protocol,
        client: Option<ClientOrigin>,
    ) -> Option<ClientOrigin> {
        let told = match (self.how, protocol) {
            (ForwardClient::Auto, _)
            | (ForwardClient::Id, Protocol::Imap)
            | (ForwardClient::Xclient, Protocol::Pop3 | Protocol::Smtp) => true,
            (
                ForwardClient::Id | ForwardClient::Xclient | ForwardClient::ProxyV2 | ForwardClient::None,
                _,
            ) => false,
        };
        client.filter(|_| told)
    }

    /// What stands in front of everything else, TLS too. Where the gate speaks for no client, it says that as well.
    pub(super) fn header(&self, client: Option<ClientOrigin>) -> Option<Vec<u8>> {
        let ends = client.map(|client| client.ends);
        (self.how == ForwardClient::ProxyV2).then(|| proxy_header::v2(ends))
    }

    /// For an upstream that cannot be talked to.
    pub(super) fn hint(&self) -> Option<&'static str> {
        (self.how == ForwardClient::ProxyV2).then_some(
            "`forward_client = \"proxy-v2\"` needs a server that expects a PROXY header from the gate",
        )
    }

    /// Says once when the upstream stops and begins to take where clients come from.
    pub(super) fn note(&self, upstream: &UpstreamName, protocol: Protocol, forwarding: Forwarding) {
        match self.news(forwarding) {
            Some(News::Deaf(reason)) => {
                let hint = "let it trust the gate's address, or set `forward_client`; see docs/admin/client-addresses.md";
                tracing::warn!(%upstream, %protocol, reason, hint, "upstream does not take where clients come from");
            }
            Some(News::Hears) => {
                tracing::info!(%upstream, %protocol, "upstream takes where clients come from again");
            }
            None => {}
        }
    }

    /// Under `auto` an upstream that offers no way is asked for nothing.
    fn news(&self, forwarding: Forwarding) -> Option<News> {
        let reason = match forwarding {
            Forwarding::NotTried => return None,
            Forwarding::NotOffered if self.how == ForwardClient::Auto => return None,
            Forwarding::NotOffered => "it does not offer a way to be told".to_owned(),
            Forwarding::Declined(text) => format!("it said `{text}`"),
            Forwarding::Told => return self.deaf.swap(false, Ordering::Relaxed).then_some(News::Hears),
        };
        (!self.deaf.swap(true, Ordering::Relaxed)).then_some(News::Deaf(reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Ends;

    fn client() -> Option<ClientOrigin> {
        let ends = Ends::new("192.0.2.7:51234".parse().unwrap(), "192.0.2.1:993".parse().unwrap());
        Some(ClientOrigin { ends, session: 1 })
    }

    #[test]
    fn each_way_is_taken_where_its_protocol_has_it() {
        let told = |how| {
            let forwarder = Forwarder::new(how);
            Protocol::ALL.map(|protocol| forwarder.in_dialogue(protocol, client()).is_some())
        };
        assert_eq!(Protocol::ALL, [Protocol::Imap, Protocol::Pop3, Protocol::Smtp]);
        assert_eq!(told(ForwardClient::Auto), [true; 3]);
        assert_eq!(told(ForwardClient::Id), [true, false, false]);
        assert_eq!(told(ForwardClient::Xclient), [false, true, true]);
        assert_eq!(told(ForwardClient::ProxyV2), [false; 3]);
        assert_eq!(told(ForwardClient::None), [false; 3]);
        assert_eq!(Forwarder::new(ForwardClient::Auto).in_dialogue(Protocol::Imap, None), None);
    }

    #[test]
    fn only_where_asked_for_a_header_stands_in_front() {
        let header = |how, client| Forwarder::new(how).header(client);
        assert_eq!(
            header(ForwardClient::ProxyV2, client()),
            Some(proxy_header::v2(client().map(|c| c.ends)))
        );
        assert_eq!(header(ForwardClient::ProxyV2, None), Some(proxy_header::v2(None)));
        for how in [ForwardClient::Auto, ForwardClient::Id, ForwardClient::Xclient, ForwardClient::None] {
            assert_eq!(header(how, client()), None, "{how:?}");
        }
    }

    #[test]
    fn an_upstream_that_does_not_listen_is_told_of_once() {
        let forwarder = Forwarder::new(ForwardClient::Auto);
        let no = || Forwarding::Declined("550 no".to_owned());
        for quiet in [Forwarding::NotTried, Forwarding::NotOffered, Forwarding::Told] {
            assert_eq!(forwarder.news(quiet), None);
        }
        assert_eq!(forwarder.news(no()), Some(News::Deaf("it said `550 no`".to_owned())));
        assert_eq!(forwarder.news(no()), None);
        assert_eq!(forwarder.news(Forwarding::Told), Some(News::Hears));
        assert_eq!(forwarder.news(Forwarding::Told), None);
        // Who asks for one way wants to know that it is not there.
        let asked = Forwarder::new(ForwardClient::Xclient);
        assert!(matches!(asked.news(Forwarding::NotOffered), Some(News::Deaf(_))));
        assert_eq!(asked.news(Forwarding::NotOffered), None);
    }
}
