//! Drives a dialogue as the gate's driver would, over input that comes in flights of pieces.
//!
//! A peer that waits for an answer before it goes on sends the next flight when the one before was used up. So what
//! follows a handshake can be told from what was sent in the clear behind the command that asked for it.

use crate::side::{Player, Seen};

/// What is sent before something is awaited, in the pieces in which it arrives.
pub(crate) type Flight<'a> = Vec<&'a [u8]>;

/// One thing that happened, in order.
pub(crate) enum Happened {
    /// The dialogue did this.
    Did(Seen),
    /// It waits for more.
    Waits,
    /// It was told that the peer closed its sending side.
    EndOfInput,
}

/// What a relay would go on with.
pub(crate) struct Left {
    /// What the dialogue held.
    pub(crate) held: Vec<u8>,
    /// All that did not arrive yet.
    pub(crate) coming: Vec<u8>,
}

/// Drives `player` to its end, and gives what is left if that was a login. The answers to its attempts are taken in
/// turn, and again from the first.
pub(crate) fn drive(
    mut player: Box<dyn Player>,
    flights: &[Flight<'_>],
    answers: &[&str],
    mut happened: impl FnMut(Happened, &mut dyn Player),
) -> Option<Left> {
    let mut flights = flights.iter();
    let mut pieces: std::slice::Iter<'_, &[u8]> = [].iter();
    let mut answers = answers.iter().cycle();
    let mut ended = false;
    loop {
        let seen = player.step();
        match &seen {
            Seen::Nothing => match pieces.next() {
                Some(piece) => {
                    happened(Happened::Waits, &mut *player);
                    player.receive(piece);
                    continue;
                }
                None => match flights.next() {
                    Some(flight) => {
                        pieces = flight.iter();
                        continue;
                    }
                    None if ended => return None,
                    None => {
                        ended = true;
                        player.end_of_input();
                        happened(Happened::EndOfInput, &mut *player);
                        continue;
                    }
                },
            },
            // As if it had all come in one piece: bytes from before the handshake end everything.
            Seen::StartTls if pieces.len() > 0 => {
                pieces.by_ref().for_each(|piece| player.receive(piece));
                player.secured();
                continue;
            }
            _ => {}
        }
        let answer = match &seen {
            Seen::Event { text, .. } if text.starts_with("attempt") => answers.next().copied(),
            _ => None,
        };
        let (closes, logged_in) = match &seen {
            Seen::Close => (true, false),
            Seen::Event { text, suspends, .. } if answer.is_none() => {
                (*suspends, text.starts_with("logged-in"))
            }
            _ => (false, false),
        };
        let starts_tls = matches!(seen, Seen::StartTls);
        happened(Happened::Did(seen), &mut *player);
        if starts_tls {
            player.secured();
        }
        if let Some(answer) = answer {
            player.answer(answer);
        }
        if answer.is_some_and(|answer| answer.starts_with("admit")) {
            while let seen @ Seen::Sent(_) = player.step() {
                happened(Happened::Did(seen), &mut *player);
            }
        } else if !logged_in {
            if closes {
                return None;
            }
            continue;
        }
        let mut coming: Vec<u8> = pieces.copied().flatten().copied().collect();
        coming.extend(flights.flatten().copied().flatten());
        return Some(Left { held: player.unread(), coming });
    }
}
