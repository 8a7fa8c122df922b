//! How one upstream hears where its clients come from, and whether it listens.
//!
//! What it is told is the gate's own knowledge. An upstream that does not take it lets its users in all the same
//! (docs/decisions/0082-an-upstream-that-does-not-listen.md); the log says so now and then.

use tokio::time::Instant;

use crate::base::{Protocol, UpstreamName};
use crate::config::ForwardClient;
use crate::protocol::{ClientOrigin, Forwarding, proxy_header};
use crate::proxy::seldom::Seldom;

/// One protocol of one upstream.
pub(super) struct Forwarder {
    how: ForwardClient,
    /// That it does not listen.
    deaf: Seldom,
}

impl Forwarder {
    /// As the administrator wants it.
    pub(super) fn new(how: ForwardClient) -> Self {
        Self { how, deaf: Seldom::default() }
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

    /// Says now and then that the upstream does not take where clients come from; some take it of some clients only, such
    /// as those with IPv4.
    pub(super) fn note(&self, upstream: &UpstreamName, protocol: Protocol, forwarding: Forwarding) {
        if let Some(reason) = self.complaint(forwarding, Instant::now()) {
            let hint = "let it trust the gate's address, or set `forward_client`; see docs/admin/client-addresses.md";
            tracing::warn!(%upstream, %protocol, reason, hint, "upstream does not take where clients come from");
        }
    }

    /// Why it does not, if that is to be said. Under `auto` an upstream that offers no way is asked for nothing.
    fn complaint(&self, forwarding: Forwarding, now: Instant) -> Option<String> {
        let reason = match forwarding {
            Forwarding::NotTried | Forwarding::Told => return None,
            Forwarding::NotOffered if self.how == ForwardClient::Auto => return None,
            Forwarding::NotOffered => "it does not offer a way to be told".to_owned(),
            Forwarding::Declined(text) => format!("it said `{text}`"),
        };
        self.deaf.is_due(now).then_some(reason)
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
    fn an_upstream_that_does_not_listen_is_told_of_now_and_then() {
        let now = Instant::now();
        let forwarder = Forwarder::new(ForwardClient::Auto);
        let no = || Forwarding::Declined("550 no".to_owned());
        for quiet in [Forwarding::NotTried, Forwarding::NotOffered, Forwarding::Told] {
            assert_eq!(forwarder.complaint(quiet, now), None);
        }
        assert_eq!(forwarder.complaint(no(), now), Some("it said `550 no`".to_owned()));
        assert_eq!(forwarder.complaint(Forwarding::Told, now), None);
        assert_eq!(forwarder.complaint(no(), now), None, "it takes some and declines others");
        // Who asks for one way wants to know that it is not there.
        let asked = Forwarder::new(ForwardClient::Xclient);
        assert!(asked.complaint(Forwarding::NotOffered, now).is_some());
        assert_eq!(asked.complaint(Forwarding::NotOffered, now), None);
    }
}
