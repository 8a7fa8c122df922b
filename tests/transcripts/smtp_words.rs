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

    fn offers() -> &'static [&'static str] {
        &["", "offer: SIZE 1000\noffer: PIPELINING\noffer: CHUNKING"]
    }

    fn introductions() -> &'static [&'static str] {
        &["", "intro: EHLO x\nintro: told SIZE 1000", "intro: HELO x"]
    }

    fn upstream_says(kind: u8, turn: usize, line: &str, told: &[String]) -> String {
        let keywords: String = told.iter().map(|keyword| format!("250-{keyword}\r\n")).collect();
        match (turn, kind % 3) {
            (0, _) => "220 upstream.example.org\r\n".to_owned(),
            (1, 0) => format!("250-upstream.example.org\r\n{keywords}250 AUTH PLAIN LOGIN\r\n"),
            (1, _) => format!("250-upstream.example.org\r\n{keywords}250 AUTH LOGIN\r\n"),
            (2 | 3, _) if !line.starts_with("AUTH PLAIN ") => "334 \r\n".to_owned(),
            _ => "235 in\r\n".to_owned(),
        }
    }
}
