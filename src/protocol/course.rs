//! Where a relayed session stands when the gate stops: whether it is in the middle of something, and whether a last
//! word would be understood.
//!
//! Both peers are as they are; nothing that passes is held or changed. A wrong answer must not put words into content:
//! what is not understood is left without a word.

/// What the gate may do to a session that is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Somebody awaits an answer, or the rest of a message: it is given time.
    Busy,
    /// It may end, but nobody knows whether the client would understand a word.
    Unclear,
    /// It may end, and what the client hears next begins a line of its own.
    Quiet,
    /// The same, and nobody awaits anything: not even a silence need be waited for.
    Done,
}

/// Follows one session. What it costs is paid for every byte that passes: it must skip what it need not read.
pub trait Course: Send {
    /// The client sent something.
    fn client_sent(&mut self);

    /// The client is sent this.
    fn upstream_sent(&mut self, bytes: &[u8]);

    /// How it stands now.
    fn rest(&self) -> Rest;
}

/// Knows who spoke last, which is all that can be said of a protocol whose servers never speak unasked.
#[derive(Debug, Default)]
pub struct SpokeLast {
    client: bool,
}

impl Course for SpokeLast {
    fn client_sent(&mut self) {
        self.client = true;
    }

    fn upstream_sent(&mut self, _: &[u8]) {
        self.client = false;
    }

    fn rest(&self) -> Rest {
        if self.client { Rest::Busy } else { Rest::Unclear }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::MailProtocol;
    use crate::protocol::pop3::Pop3;

    #[test]
    fn a_pop3_session_is_busy_while_its_client_awaits_an_answer_and_unclear_else() {
        let mut course = Pop3::course().unwrap();
        assert_eq!(course.rest(), Rest::Unclear);
        course.client_sent();
        assert_eq!(course.rest(), Rest::Busy);
        course.upstream_sent(b"+OK\r\n");
        assert_eq!(course.rest(), Rest::Unclear);
    }
}
