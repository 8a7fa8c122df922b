//! The configuration that `init` writes: short, with a word on each part.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Found, doors};
use crate::base::{Domain, Protocol};
use crate::config::EndpointTls;

/// What goes into it.
pub(super) struct Template<'a> {
    pub(super) hostname: &'a str,
    pub(super) domain: &'a Domain,
    pub(super) data_dir: &'a str,
    pub(super) servers: &'a [(Protocol, Found)],
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
             # Self-signed to begin with. Put a certificate that clients trust here; it is read again on SIGHUP.\n\
             [[tls.certificate]]\n\
             cert = \"certs/fullchain.pem\"\n\
             key = \"certs/privkey.pem\"\n\
             \n\
             # Where mail clients come in; \"[::]\" is every address, IPv4 too.\n"
        );
        for (protocol, _) in self.servers {
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
             domain_aliases = []\n"
        );
        for (protocol, found) in self.servers {
            text += &endpoint(*protocol, found);
        }
        text += "\n# Who has bound a second factor needs app passwords; set \"required\" once everybody should.\n\
                 [policy]\n\
                 second_factor = \"optional\"\n";
        text
    }
}

fn endpoint(protocol: Protocol, found: &Found) -> String {
    let tls = match found.tls {
        EndpointTls::None => "none",
        EndpointTls::Starttls => "starttls",
        EndpointTls::Implicit => "implicit",
    };
    let pin = found
        .pin_sha256
        .map_or_else(String::new, |hash| format!(", pin_sha256 = \"{}\"", STANDARD.encode(hash)));
    let remark = match (found.tls, found.pin_sha256) {
        (EndpointTls::None, _) => {
            "# It offers no TLS: passwords cross the wire to it in clear. Use loopback or a trusted wire.\n"
        }
        (_, Some(_)) => {
            "# Its certificate is not publicly trusted: this pins the key that it showed. Compare it with the server's.\n"
        }
        (_, None) => "",
    };
    format!("{remark}{protocol} = {{ address = [\"{}\"], tls = \"{tls}\"{pin} }}\n", found.place)
}
