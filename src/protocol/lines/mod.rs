//! What POP3 and SMTP share: a conversation in lines, of which one side speaks when the other has.
//!
//! Both peers are hostile. What keeps them at bay whatever the protocol's words are stands here: lines are bounded,
//! bad commands are counted, what came in the clear is never used inside TLS, and whether a password left is
//! known. The words, and what they mean, are the protocols' own scripts; those hold no bytes and no replies.

mod client;
mod server;

pub use client::{Client, ClientScript, Reaction};
pub use server::{Answer, Server, ServerScript};
