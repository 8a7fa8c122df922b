//! A letter as a MIME message (RFC 5322, 2045 to 2047, 6532): plain text, and the same as HTML.
//!
//! Headers are made by `lettre`, which encodes whatever is not ASCII; nothing that others wrote comes into one.

use std::time::{Duration, UNIX_EPOCH};

use lettre::Address;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart};

use super::Letter;
use crate::base::Timestamp;

/// Why there is no message.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// The recipient's address cannot stand in a message.
    #[error("mail cannot be addressed to it")]
    Address(#[from] lettre::address::AddressError),
    /// It cannot be put together.
    #[error("the message cannot be put together")]
    Message(#[from] lettre::error::Error),
}

/// The message that brings `letter`, written at `at`, from `from` to the mailbox `to`. Who sees the same `id` twice may drop
/// the second.
///
/// # Errors
/// [`MessageError`]
pub fn message(
    letter: &Letter,
    from: &Mailbox,
    to: &str,
    id: &str,
    at: Timestamp,
) -> Result<Message, MessageError> {
    let to = Mailbox::new(None, to.parse::<Address>()?);
    let date = UNIX_EPOCH + Duration::from_secs(u64::try_from(at.unix_seconds()).unwrap_or_default());
    let message = Message::builder()
        .from(from.clone())
        .to(to)
        .subject(letter.subject.clone())
        .date(date)
        .message_id(Some(format!("<{id}>")))
        // RFC 3834 section 5: whoever is away does not answer.
        .raw_header(fixed("Auto-Submitted", "auto-generated"))
        .raw_header(fixed("X-Auto-Response-Suppress", "All"));
    Ok(message.multipart(MultiPart::alternative_plain_html(letter.text.clone(), letter.html.clone()))?)
}

fn fixed(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}
