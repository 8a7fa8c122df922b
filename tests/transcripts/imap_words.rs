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
        let command = introduction.command("x", None).unwrap_or_default();
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
        let untagged = String::from_utf8_lossy(&welcome.untagged);
        let parts = [welcome.capabilities.as_listed(), welcome.text.clone()];
        parts.into_iter().chain(untagged.lines().map(str::to_owned)).collect::<Vec<_>>().join("; ")
    }

    fn offers() -> &'static [&'static str] {
        &["", "offer: IMAP4rev1 LITERAL+ ID UNAUTHENTICATE COMPRESS=DEFLATE AUTH=PLAIN"]
    }

    fn introductions() -> &'static [&'static str] {
        &["", "intro: NIL", "intro: \"name\" \"x\""]
    }

    fn upstream_says(kind: u8, turn: usize, line: &str, _: &[String]) -> String {
        let offered = ["AUTH=PLAIN SASL-IR ID", "AUTH=PLAIN", "AUTH=LOGIN ID", "ID"];
        let offered = offered.into_iter().cycle().nth(kind.into()).unwrap();
        if turn == 0 {
            return format!("* OK [CAPABILITY IMAP4rev1 {offered}] ready\r\n");
        }
        // Whatever is behind it is a piece of the login; after the last it is one `+` too many, and the end.
        if turn == 1 && line.starts_with("g3 ") { "g3 OK\r\n" } else { "+ \r\n" }.to_owned()
    }
}
