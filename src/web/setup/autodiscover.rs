//! Autodiscover as Outlook asks for it in plain XML (MS-OXDSCLI, and *Plan to automatically configure user accounts* of
//! Outlook 2010, which has the elements for IMAP, POP3 and SMTP).
//!
//! What is asked is a stranger's XML: read without DTDs, of few elements, by names alone.

use askama::Template;
use roxmltree::{Document, Node, ParsingOptions};

use crate::base::{Address, Protocol, Timestamp, UpstreamName};
use crate::portal::{Door, Settings};

/// The only schema that is answered in.
const OUTLOOK: &str = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a";

/// A request has four.
const NODES_MAX: u32 = 64;

/// What somebody asks.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::web) struct Question {
    /// For which address.
    pub(in crate::web) address: Address,
}

/// Why there is no answer, by the numbers that Exchange gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) enum Trouble {
    /// The request makes no sense.
    Invalid,
    /// It wants an answer of another kind: for a phone, as from Exchange.
    Schema,
    /// The domain is none of those served.
    Domain,
}

impl Trouble {
    fn code(self) -> u16 {
        match self {
            Self::Domain => 500,
            Self::Invalid => 600,
            Self::Schema => 601,
        }
    }

    fn message(self) -> &'static str {
        match self {
            Self::Domain => "No mail server here serves this domain",
            Self::Invalid => "Invalid request",
            Self::Schema => "No provider for this schema",
        }
    }

    /// The HTTP status with it.
    pub(in crate::web) fn status(self) -> u16 {
        match self {
            Self::Domain => 404,
            Self::Invalid => 400,
            // Exchange answers so.
            Self::Schema => 200,
        }
    }
}

impl Question {
    /// Of what was posted.
    ///
    /// # Errors
    /// [`Trouble`]
    pub(in crate::web) fn read(body: &[u8]) -> Result<Self, Trouble> {
        let text = std::str::from_utf8(body).map_err(|_| Trouble::Invalid)?;
        let options = ParsingOptions { nodes_limit: NODES_MAX, ..ParsingOptions::default() };
        // Some begin with a byte order mark.
        let text = text.trim_start_matches('\u{feff}');
        let document = Document::parse_with_options(text, options).map_err(|_| Trouble::Invalid)?;
        let root = Some(document.root_element()).filter(|root| root.tag_name().name() == "Autodiscover");
        let request = root.and_then(|root| child(root, "Request")).ok_or(Trouble::Invalid)?;
        let text = |name| child(request, name).and_then(|node| node.text()).map(str::trim);
        let address = text("EMailAddress").ok_or(Trouble::Invalid)?;
        if text("AcceptableResponseSchema") != Some(OUTLOOK) {
            return Err(Trouble::Schema);
        }
        Self::about(address)
    }

    /// About `address`.
    ///
    /// # Errors
    /// [`Trouble`]
    pub(in crate::web) fn about(address: &str) -> Result<Self, Trouble> {
        Ok(Self { address: Address::parse(address).map_err(|_| Trouble::Invalid)? })
    }
}

/// The only child of that name, whatever its namespace.
fn child<'d, 'i>(node: Node<'d, 'i>, name: &str) -> Option<Node<'d, 'i>> {
    let mut named = node.children().filter(|child| child.tag_name().name() == name);
    let first = named.next();
    first.filter(|_| named.next().is_none())
}

/// The servers.
#[derive(Template)]
#[template(path = "setup/autodiscover.xml")]
pub(in crate::web) struct Answer<'a> {
    address: &'a Address,
    host: &'a str,
    doors: Vec<Door>,
}

impl<'a> Answer<'a> {
    /// For `question`, whose domain leads to `upstream`.
    pub(in crate::web) fn new(
        question: &'a Question,
        upstream: &UpstreamName,
        settings: &'a Settings,
    ) -> Self {
        let doors = Protocol::ALL.into_iter().filter_map(|protocol| settings.best_door(protocol, upstream));
        Self { address: &question.address, host: &settings.hostname, doors: doors.collect() }
    }
}

/// No servers.
#[derive(Template)]
#[template(path = "setup/autodiscover_trouble.xml")]
pub(in crate::web) struct NoAnswer {
    trouble: Trouble,
    time: String,
}

impl NoAnswer {
    /// Because of `trouble`, now.
    pub(in crate::web) fn new(trouble: Trouble, now: Timestamp) -> Self {
        let now = now.to_string();
        let time = now.split_once('T').map_or("", |(_, time)| time).trim_end_matches('Z');
        Self { trouble, time: time.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asked(request: &str) -> String {
        format!("<Autodiscover xmlns=\"x\"><Request>{request}</Request></Autodiscover>")
    }

    fn read(text: &str) -> Result<String, Trouble> {
        Question::read(text.as_bytes()).map(|question| question.address.to_string())
    }

    fn good(address: &str) -> String {
        let schema = format!("<AcceptableResponseSchema>{OUTLOOK}</AcceptableResponseSchema>");
        format!("<EMailAddress>{address}</EMailAddress>{schema}")
    }

    #[test]
    fn a_question_is_read_strictly() {
        let address = "alice@example.org".to_owned();
        assert_eq!(read(&asked(&good(" Alice@Example.ORG\n"))), Ok(address.clone()));
        assert_eq!(read(&format!("\u{feff}{}", asked(&good("alice&#64;example.org")))), Ok(address.clone()));
        assert_eq!(read(&asked(&format!("<LegacyDN/>{}", good(&address)))), Ok(address.clone()));
        for invalid in [
            String::new(),
            "alice@example.org".to_owned(),
            good(&address),
            asked(""),
            asked(&good("")),
            asked(&good("alice")),
            asked(&good("al ice@example.org")),
            asked(&format!("{}{}", good(&address), good("bob@example.org"))),
            asked(&good(&address)).replace("Autodiscover", "Autodiscovery"),
            format!("{}{}", asked(&good(&address)), asked(&good(&address))),
            format!("<!DOCTYPE a [<!ENTITY e \"alice\">]>{}", asked(&good("&e;@example.org"))),
            asked(&"<a/>".repeat(100)),
            "<a>".repeat(20_000),
        ] {
            assert_eq!(read(&invalid), Err(Trouble::Invalid), "{}", &invalid[..invalid.len().min(200)]);
        }
        let mobile = OUTLOOK.replace("outlook", "mobilesync");
        assert_eq!(read(&asked(&good(&address).replace(OUTLOOK, &mobile))), Err(Trouble::Schema));
        assert_eq!(read(&asked("<EMailAddress>a@example.org</EMailAddress>")), Err(Trouble::Schema));
    }

    proptest! {
        #[test]
        fn no_question_breaks_it(body: Vec<u8>, text in "[<>/a!\\[&;\"= Autodiscover]{0,200}") {
            let _ = Question::read(&body);
            let _ = Question::read(text.as_bytes());
        }
    }

    /// By the names of *The Autodiscover XML schema* in Microsoft's *Plan to automatically configure user accounts in
    /// Outlook 2010* (learn.microsoft.com, cc511507).
    #[test]
    fn the_answer_has_the_elements_that_outlook_reads() {
        let mut settings = crate::portal::testing::settings();
        let door = |protocol, implicit, port| Door { protocol, implicit, port };
        settings.doors = vec![
            door(Protocol::Imap, true, 993),
            door(Protocol::Imap, false, 143),
            door(Protocol::Smtp, false, 587),
        ];
        let question = Question::about("r&d<x>@example.org").unwrap();
        let text = Answer::new(&question, &UpstreamName("legacy".to_owned()), &settings).render().unwrap();
        let document = Document::parse(&text).unwrap();
        let named = |name: &str| {
            document.descendants().filter(move |node| node.tag_name().name() == name).collect::<Vec<_>>()
        };
        let outer = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006";
        assert_eq!(document.root_element().tag_name(), (outer, "Autodiscover").into());
        assert_eq!(named("Response")[0].tag_name().namespace(), Some(OUTLOOK));
        assert_eq!(
            (named("AccountType")[0].text(), named("Action")[0].text()),
            (Some("email"), Some("settings"))
        );
        let servers: Vec<Vec<_>> = named("Protocol")
            .iter()
            .map(|node| node.children().filter(Node::is_element).map(|part| part.text().unwrap()).collect())
            .collect();
        let server = |kind, port, encryption| {
            vec![kind, "mail.example.org", port, "r&d<x>@example.org", "off", "off", "on", encryption, "on"]
        };
        assert_eq!(servers, [server("IMAP", "993", "SSL"), server("SMTP", "587", "TLS")]);
    }
}
