//! How IMAP is written in transcripts: an offer is a list of capabilities, an introduction `"key" "value"` or
//! `NIL` a line, and a welcome `capabilities; text; untagged line; …`.

use mailward::protocol::imap::{Capabilities, Imap, Introduction, Offer, Welcome};

use crate::side::Written;

impl Written for Imap {
    fn offer(lines: &[String]) -> Offer {
        Offer::parse(&lines.join(" "))
    }

    fn show_offer(offer: &Offer) -> String {
        offer.as_listed()
    }

    fn introduction(lines: &[String]) -> Introduction {
        if lines.is_empty() {
            return Introduction::default();
        }
        let pairs = lines.iter().filter(|line| *line != "NIL").map(|line| {
            let (key, value) = line.trim_matches('"').split_once("\" \"").unwrap();
            (key.as_bytes(), Some(value.as_bytes()))
        });
        Introduction::new(pairs)
    }

    fn show_introduction(introduction: &Introduction) -> String {
        let command = introduction.command("x").unwrap_or_default();
        String::from_utf8(command).unwrap().trim_start_matches("x ID ").trim_end().to_owned()
    }

    fn welcome(text: &str) -> Welcome {
        let mut parts = text.split("; ");
        let capabilities = Capabilities::parse(parts.next().unwrap().as_bytes());
        let text = parts.next().unwrap_or_default().to_owned();
        let untagged = parts.flat_map(crate::text::line).collect();
        Welcome { before: Capabilities::default(), capabilities, untagged, text }
    }

    fn show_welcome(welcome: &Welcome) -> String {
        let untagged = String::from_utf8(welcome.untagged.clone()).unwrap();
        let parts = [welcome.capabilities.as_listed(), welcome.text.clone()];
        parts.into_iter().chain(untagged.lines().map(str::to_owned)).collect::<Vec<_>>().join("; ")
    }
}
