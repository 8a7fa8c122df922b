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
