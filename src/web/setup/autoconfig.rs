//! Autoconfig: from which Thunderbird and others take the servers of a domain (draft-ietf-mailmaint-autoconfig, which
//! writes down what Thunderbird has done since version 3).

use askama::Template;

use crate::base::{Domain, Protocol, UpstreamName};
use crate::portal::{Door, Settings};

/// The document for any address of one domain.
#[derive(Template)]
#[template(path = "setup/autoconfig.xml")]
pub(in crate::web) struct Autoconfig<'a> {
    domain: &'a Domain,
    host: &'a str,
    portal: &'a str,
    doors: Vec<Door>,
}

impl<'a> Autoconfig<'a> {
    /// For `domain`, whose accounts lead to `upstream`.
    pub(in crate::web) fn new(domain: &'a Domain, upstream: &UpstreamName, settings: &'a Settings) -> Self {
        let doors = settings.doors_to_try(upstream);
        Self { domain, host: &settings.hostname, portal: &settings.public_url, doors }
    }

    /// What TLS is called in it.
    fn socket(door: &Door) -> &'static str {
        if door.implicit { "SSL" } else { "STARTTLS" }
    }

    fn incoming(&self) -> impl Iterator<Item = &Door> {
        self.doors.iter().filter(|door| door.protocol != Protocol::Smtp)
    }

    fn outgoing(&self) -> impl Iterator<Item = &Door> {
        self.doors.iter().filter(|door| door.protocol == Protocol::Smtp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_elements_of_the_format_and_the_doors_best_first() {
        let mut settings = crate::portal::testing::settings();
        let door = |protocol, implicit, port| Door { protocol, implicit, port };
        settings.doors = vec![
            door(Protocol::Imap, true, 993),
            door(Protocol::Imap, false, 143),
            door(Protocol::Pop3, true, 995),
            door(Protocol::Smtp, true, 465),
            door(Protocol::Smtp, true, 994),
            door(Protocol::Smtp, false, 587),
            door(Protocol::Smtp, false, 25),
        ];
        let domain = Domain::parse("b\u{fc}cher.example").unwrap();
        let speaks_all = UpstreamName("another".to_owned());
        let text = Autoconfig::new(&domain, &speaks_all, &settings).render().unwrap();
        let document = roxmltree::Document::parse(&text).unwrap();
        let root = document.root_element();
        assert!(root.has_tag_name("clientConfig") && root.attribute("version") == Some("1.1"));
        let provider = root.first_element_child().unwrap();
        assert_eq!(provider.attribute("id"), Some("xn--bcher-kva.example"));
        let children: Vec<_> = provider.children().filter(roxmltree::Node::is_element).collect();
        let order: Vec<_> = children.iter().map(|child| child.tag_name().name()).collect();
        let (incoming, outgoing) = (["incomingServer"; 3].as_slice(), ["outgoingServer"; 2].as_slice());
        let names = ["domain", "displayName", "displayShortName"].as_slice();
        assert_eq!(order, [names, incoming, outgoing, &["documentation"]].concat());
        assert_eq!(children[0].text(), Some("xn--bcher-kva.example"));

        let server = |child: &roxmltree::Node<'_, '_>| {
            let of = |name: &str| {
                let found = child.children().find(|part| part.has_tag_name(name));
                found.unwrap_or_else(|| panic!("no {name}")).text().unwrap().to_owned()
            };
            assert_eq!(of("hostname"), "mail.example.org");
            assert_eq!((&*of("username"), &*of("authentication")), ("%EMAILADDRESS%", "password-cleartext"));
            format!("{} {} {}", child.attribute("type").unwrap(), of("port"), of("socketType"))
        };
        let servers: Vec<_> = children[3..8].iter().map(server).collect();
        assert_eq!(
            servers,
            ["imap 993 SSL", "imap 143 STARTTLS", "pop3 995 SSL", "smtp 465 SSL", "smtp 587 STARTTLS"]
        );
        let url = children[8].attribute("url");
        assert_eq!(url, Some("https://mail.example.org/guides/thunderbird"));
    }
}
