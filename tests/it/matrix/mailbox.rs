//! A mailbox as the legacy server has it, seen without the gate.

use super::task::Letter;
use crate::support::{LegacyServer, Wire, eventually};

/// An IMAP session at the legacy server itself.
pub(super) struct Mailbox(Wire);

impl Mailbox {
    pub(super) fn open(legacy: &LegacyServer, user: usize) -> Self {
        let (name, password) = legacy.user(user);
        let mut wire = Wire::open(legacy.host(), legacy.port("imap"));
        wire.line();
        let reply = wire.imap("login", &format!("LOGIN \"{name}\" \"{password}\""));
        assert!(reply.contains("login OK"), "{reply}");
        Self(wire)
    }

    /// Puts a letter into it.
    pub(super) fn put(&mut self, letter: &Letter) {
        let whole = letter.whole();
        let reply = self.0.imap("put", &format!("APPEND INBOX {{{}+}}\r\n{whole}", whole.len()));
        assert!(reply.contains("put OK"), "{reply}");
    }

    /// All messages in it.
    pub(super) fn messages(&mut self) -> Vec<String> {
        let opened = self.0.imap("open", "EXAMINE INBOX");
        if opened.contains("* 0 EXISTS") {
            return Vec::new();
        }
        // A tag that no message begins a line with.
        let answer = self.0.imap("fetch-all", "FETCH 1:* BODY.PEEK[]");
        let mut rest = answer.as_str();
        let mut messages = Vec::new();
        while let Some((_, after)) = rest.split_once("BODY[] {") {
            let (length, after) = after.split_once("}\r\n").expect("a literal");
            let (message, after) = after.split_at(length.parse::<usize>().expect("its length"));
            messages.push(message.to_owned());
            rest = after;
        }
        messages
    }
}

/// Who sent a delivered message, as the legacy server's Postfix logged it.
pub(super) fn sender(legacy: &LegacyServer, message: &str) -> Option<String> {
    let (_, after) = message.split_once("(Postfix) with ESMTPSA id ")?;
    let taken = format!(" {}: client=", after.split_whitespace().next()?);
    // One of its processes writes for all, and may come to it when the letter is there already.
    let mut line = None;
    eventually("Postfix logs who sent a letter", || {
        let log = legacy.postfix_log();
        line = log.lines().find(|line| line.contains(&taken)).map(str::to_owned);
        line.is_some()
    });
    line?.split_once("sasl_username=").map(|(_, name)| name.trim().to_owned())
}
