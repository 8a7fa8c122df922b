//! The SASL exchange against a decoder of its own: what completes is exactly what was encoded.
//!
//! `setup`: 1 LOGIN, else PLAIN; 2 with an initial response. The messages are the lines of the input.

use mailward::base::{LoginName, Password};
use mailward::protocol::Mechanism;
use mailward::protocol::sasl::{Exchange, Progress, base64, plain_message};

use crate::input::Input;

/// How an exchange ended.
#[derive(Debug, PartialEq)]
enum End {
    Asked,
    Complete(Vec<u8>, Vec<u8>),
    Malformed,
    Cancelled,
}

pub(crate) fn check(bytes: &[u8]) {
    let Some(input) = Input::read(bytes) else { return };
    let text = input.all();
    let mechanism = if input.setup & 1 == 0 { Mechanism::Plain } else { Mechanism::Login };
    let mut messages = text.split(|b| *b == b'\n');
    let initial = (input.setup & 2 != 0).then(|| messages.next().unwrap());
    let messages: Vec<_> = messages.collect();
    let end = end(Exchange::begin(mechanism, initial), &messages);
    let said: Vec<_> =
        initial.map(|text| if text == b"=" { b"" } else { text }).into_iter().chain(messages).collect();
    match (model(mechanism, &said), end) {
        (Some(expected), end) => {
            assert_eq!(end, expected);
            if let End::Complete(name, password) = end {
                round_trip(&name, password);
            }
        }
        // Encoded in no way that the model knows; then it must not have been understood.
        (None, end) => assert!(matches!(end, End::Asked | End::Malformed), "{end:?}"),
    }
}

fn end(mut progress: Progress, messages: &[&[u8]]) -> End {
    let mut messages = messages.iter();
    loop {
        progress = match progress {
            Progress::Challenge(_, exchange) => match messages.next() {
                Some(message) => exchange.answer(message),
                None => return End::Asked,
            },
            Progress::Complete(name, password) => {
                return End::Complete(name.as_str().as_bytes().to_vec(), password.expose().to_vec());
            }
            Progress::Malformed => return End::Malformed,
            Progress::Cancelled => return End::Cancelled,
        };
    }
}

/// `None` where base64 is not as it should be.
fn model(mechanism: Mechanism, said: &[&[u8]]) -> Option<End> {
    let Some((first, others)) = said.split_first() else { return Some(End::Asked) };
    if *first == b"*" {
        return Some(End::Cancelled);
    }
    let first = decode(first)?;
    let complete = |name: &[u8], password: &[u8]| match (name_of(name), Password::new(password.to_vec())) {
        (true, Ok(_)) => End::Complete(name.to_vec(), password.to_vec()),
        _ => End::Malformed,
    };
    if mechanism == Mechanism::Plain {
        let fields: Vec<_> = first.split(|b| *b == 0).collect();
        return Some(match fields[..] {
            [authzid, name, password] if authzid.is_empty() || authzid == name => complete(name, password),
            _ => End::Malformed,
        });
    }
    match others.first() {
        _ if !name_of(&first) => Some(End::Malformed),
        None => Some(End::Asked),
        Some(password) if *password == b"*" => Some(End::Cancelled),
        Some(password) => Some(complete(&first, &decode(password)?)),
    }
}

fn name_of(bytes: &[u8]) -> bool {
    let text = std::str::from_utf8(bytes);
    text.is_ok_and(|text| (1..=512).contains(&text.len()) && !text.chars().any(char::is_control))
}

/// RFC 4648 section 4, with the padding or without; `None` where it is anything else.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let end = text.iter().rposition(|b| *b != b'=').map_or(0, |at| at + 1);
    let (symbols, padding) = text.split_at(end);
    if padding.len() > [0, 0, 2, 1][symbols.len() % 4] || symbols.len() % 4 == 1 {
        return None;
    }
    let (mut bits, mut count, mut out) = (0u32, 0, Vec::new());
    for symbol in symbols {
        bits = bits << 6 | u32::try_from(ALPHABET.iter().position(|known| known == symbol)?).ok()?;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    (bits == 0).then_some(out)
}

/// What is sent upstream is read as what was typed.
fn round_trip(name: &[u8], password: Vec<u8>) {
    let user = LoginName::from_bytes(name).unwrap();
    let typed = Password::new(password.clone()).unwrap();
    for authzid in ["", user.as_str()] {
        let message = plain_message(authzid, user.as_str(), &typed);
        let fields = [authzid.as_bytes(), name, &password].join(&0);
        assert_eq!(decode(&message), Some(fields));
    }
    assert_eq!(decode(&base64(&password)), Some(password));
}
