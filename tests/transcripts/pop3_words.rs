//! How POP3 transcripts write what they are about: `offer: TOP`, `intro: utf8`, `intro: lang zh`.

use mailward::protocol::Language;
use mailward::protocol::pop3::{Introduction, Offer, Pop3, Welcome};

use crate::side::Written;

impl Written for Pop3 {
    fn offer(lines: &[String]) -> Offer {
        Offer::new(lines.iter().map(String::as_str))
    }

    fn show_offer(offer: &Offer) -> String {
        offer.lines().collect::<Vec<_>>().join(", ")
    }

    fn introduction(lines: &[String]) -> Introduction {
        let says = |word: &str| lines.iter().any(|line| line == word);
        let language = match (says("lang en"), says("lang zh")) {
            (true, _) => Some(Language::English),
            (_, true) => Some(Language::Chinese),
            _ => None,
        };
        Introduction { utf8: says("utf8"), language }
    }

    fn show_introduction(introduction: &Introduction) -> String {
        let language = match introduction.language {
            Some(Language::English) => "lang en",
            Some(Language::Chinese) => "lang zh",
            None => "",
        };
        [if introduction.utf8 { "utf8" } else { "" }, language].join(" ").trim().to_owned()
    }

    fn welcome(text: &str) -> Welcome {
        Welcome(text.to_owned())
    }

    fn show_welcome(welcome: &Welcome) -> String {
        welcome.0.clone()
    }

    fn offers() -> &'static [&'static str] {
        &["", "offer: UTF8 USER\noffer: LANG\noffer: TOP"]
    }

    fn introductions() -> &'static [&'static str] {
        &["", "intro: utf8", "intro: utf8\nintro: lang zh"]
    }

    fn upstream_says(kind: u8, _: usize, line: &str, _: &[String]) -> String {
        match line {
            "CAPA" if kind.is_multiple_of(2) => "+OK\r\nSASL PLAIN\r\nLANG\r\nUTF8\r\n.\r\n",
            "CAPA" => "-ERR what?\r\n",
            "AUTH PLAIN" => "+ \r\n",
            _ => "+OK\r\n",
        }
        .to_owned()
    }
}
