//! The configuration that `init` writes: short, with a word on each part.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::doors;
use crate::base::{Domain, Protocol};
use crate::config::{EndpointTls, HostPort};
use crate::proxy::upstream::{KnownBy, Probe};

/// What goes into it.
pub(super) struct Template<'a> {
    pub(super) hostname: &'a str,
    pub(super) domain: &'a Domain,
    pub(super) data_dir: &'a str,
    pub(super) servers: &'a [Server],
}

/// Where the mail server speaks a protocol, and how.
pub(super) struct Server {
    pub(super) protocol: Protocol,
    pub(super) place: HostPort,
    pub(super) seen: Probe,
}

impl Template<'_> {
    /// The file. Every value in it is made of letters, digits and signs that need no quoting in TOML.
    pub(super) fn render(&self) -> String {
        let Self { hostname, domain, data_dir, .. } = self;
        let mut text = format!(
            "# Written by `mailward init`. Every other setting, with its default, is described in the reference,\n\
             # config/mailward.toml. `mailward config check` says whether this file is right.\n\
             \n\
             [server]\n\
             hostname = \"{hostname}\"    # the name that mail clients are set up with\n\
             data_dir = \"{data_dir}\"    # key file, database and audit trail: back it up\n\
             \n\
             # Self-signed to begin with. Put a certificate here that clients trust.\n\
             [[tls.certificate]]\n\
             cert = \"certs/fullchain.pem\"\n\
             key = \"certs/privkey.pem\"\n\
             \n\
             # Where mail clients come in; \"[::]\" is every address, IPv4 too.\n"
        );
        for Server { protocol, .. } in self.servers {
            for (port, tls) in doors(*protocol) {
                let _ = writeln!(
                    text,
                    "[[listener]]\nprotocol = \"{protocol}\"\naddress = \"[::]:{port}\"\ntls = \"{tls}\"\n"
                );
            }
        }
        let _ = write!(
            text,
            "# The mail server behind the gate.\n\
             [[upstream]]\n\
             name = \"legacy\"    # never change it: sealed passwords are bound to it\n\
             domains = [\"{domain}\"]\n\
             default_domain = \"{domain}\"    # what a bare user name means\n\
             # Other names of the domain, if mail to them reaches the same mailboxes; leave none out.\n\
             domain_aliases = []\n\
             # Other names of single mailboxes go to aliases_file; where you cannot know them all, let in listed accounts only.\n\
             # aliases_file = \"aliases\"\n\
             # accounts = \"listed\"\n"
        );
        for server in self.servers {
            text += &endpoint(server);
        }
        text += "\n# Who has bound a second factor needs app passwords; set \"required\" once everybody should.\n\
                 [policy]\n\
                 second_factor = \"optional\"\n";
        text
    }
}

fn endpoint(Server { protocol, place, seen }: &Server) -> String {
    let tls = match seen.tls {
        EndpointTls::None => "none",
        EndpointTls::Starttls => "starttls",
        EndpointTls::Implicit => "implicit",
    };
    let (remark, who) = match &seen.known_by {
        None => (
            "# It offers no TLS: passwords cross the wire to it in clear. Loopback or a trusted wire only.\n",
            String::new(),
        ),
        Some(KnownBy::Host) => ("", String::new()),
        Some(KnownBy::Name(name)) => (
            "# Its certificate is trusted for this name: is it the server's?\n",
            format!(", server_name = \"{name}\""),
        ),
        Some(KnownBy::Key(hash)) => (
            "# Its certificate is not trusted, so its key is pinned: compare it on the server itself. Logins stop when it comes to another.\n",
            format!(", pin_sha256 = \"{}\"", STANDARD.encode(hash)),
        ),
    };
    format!("{remark}{protocol} = {{ address = [\"{place}\"], tls = \"{tls}\"{who} }}\n")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, ListenerTls};

    #[test]
    fn what_is_written_reads_as_what_was_seen() {
        let server = |protocol, place: &str, tls, known_by| Server {
            protocol,
            place: place.parse().unwrap(),
            seen: Probe { tls, known_by },
        };
        let named = Some(KnownBy::Name("mail.example.org".to_owned()));
        let servers = [
            server(Protocol::Imap, "10.0.0.5:143", EndpointTls::Starttls, Some(KnownBy::Key([7; 32]))),
            server(Protocol::Pop3, "10.0.0.5:995", EndpointTls::Implicit, named),
            server(Protocol::Smtp, "[2001:db8::5]:25", EndpointTls::None, None),
        ];
        let domain = Domain::parse("example.org").unwrap();
        let template =
            Template { hostname: "mail.example.org", domain: &domain, data_dir: "data", servers: &servers };
        let config = Config::parse(&template.render(), Path::new("/etc/mailward/mailward.toml")).unwrap();
        let ports: Vec<_> = config
            .listeners
            .iter()
            .map(|door| (door.protocol, door.address.port(), door.tls == ListenerTls::Implicit))
            .collect();
        assert_eq!(
            ports,
            [
                (Protocol::Imap, 993, true),
                (Protocol::Imap, 143, false),
                (Protocol::Pop3, 995, true),
                (Protocol::Pop3, 110, false),
                (Protocol::Smtp, 465, true),
                (Protocol::Smtp, 994, true),
                (Protocol::Smtp, 587, false)
            ]
        );
        let upstream = &config.upstreams[0];
        assert_eq!(upstream.imap.as_ref().unwrap().pin_sha256, [[7; 32]]);
        assert_eq!(upstream.smtp.as_ref().unwrap().tls, EndpointTls::None);
        let pop3 = upstream.pop3.as_ref().unwrap();
        assert_eq!((pop3.server_name.as_deref(), pop3.pin_sha256.len()), (Some("mail.example.org"), 0));
        assert_eq!(config.certificates[0].key, Path::new("/etc/mailward/certs/privkey.pem"));
    }
}
