//! How SMTP transcripts write what they are about: `offer: SIZE 100`; a client that greeted is
//! `intro: EHLO name` with an `intro: told KEYWORD` for each keyword it was told, or `intro: HELO name`.

use std::sync::Arc;

use mailward::protocol::smtp::{ClientName, Introduction, Offer, Smtp, Welcome};

use crate::side::Written;
use crate::text;

impl Written for Smtp {
    fn offer(lines: &[String]) -> Offer {
        Offer::new(lines.iter().map(String::as_str))
    }

    fn show_offer(offer: &Offer) -> String {
        offer.lines().collect::<Vec<_>>().join(", ")
    }

    fn introduction(lines: &[String]) -> Introduction {
        let words = |start: &str| lines.iter().find_map(|line| line.strip_prefix(start));
        let told = lines.iter().filter_map(|line| line.strip_prefix("told "));
        match (words("EHLO "), words("HELO ")) {
            (Some(name), _) => Introduction {
                name: ClientName::parse(&text::bytes(name)).unwrap(),
                told: Some(Arc::new(Offer::new(told))),
            },
            (None, name) => Introduction {
                name: ClientName::parse(&text::bytes(name.unwrap_or("client.example.org"))).unwrap(),
                told: None,
            },
        }
    }

    fn show_introduction(introduction: &Introduction) -> String {
        match &introduction.told {
            Some(told) => {
                format!("EHLO {} told {}", introduction.name, Self::show_offer(told)).trim().to_owned()
            }
            None => format!("HELO {}", introduction.name),
        }
    }

    fn welcome(_: &str) -> Welcome {
        Welcome::default()
    }

    fn show_welcome(welcome: &Welcome) -> String {
        Self::show_offer(&welcome.offer)
    }
}
