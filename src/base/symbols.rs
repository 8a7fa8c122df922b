//! Secrets that people read, copy and type: symbols without look-alikes, in groups.
//!
//! What comes back is hostile, and may be written in any case and with anything between the groups.

use zeroize::Zeroizing;

use super::{Secret, random};

/// The 32 symbols: the lower-case letters and digits less `0` and `o`, `1` and `l`.
///
/// Of what looks alike at most one is left. `i` may stay: it is shown in lower case, where its dot sets it
/// apart, and an `I` that somebody writes down can be nothing else, because neither `1` nor `l` exist.
/// Thirty-two is a power of two, so that five random bits are one symbol and none is likelier than another.
pub const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Draws `N` symbols, each with equal chance.
#[must_use]
pub fn draw<const N: usize>() -> Zeroizing<Vec<u8>> {
    let random = Zeroizing::new(random::bytes::<N>());
    let symbols = random.iter().filter_map(|byte| ALPHABET.get(usize::from(byte % 32)));
    Zeroizing::new(symbols.copied().collect())
}

/// The `count` symbols that `text` spells, once what separates groups is dropped and case is folded; `None` if it spells
/// fewer, more, or anything else.
#[must_use]
pub fn fold(text: &str, count: usize) -> Option<Zeroizing<Vec<u8>>> {
    // Allocated once: a buffer that grows would leave copies behind.
    let mut folded = Zeroizing::new(Vec::with_capacity(count));
    for character in text.chars().filter(|c| !separates(*c)) {
        let symbol = u8::try_from(character.to_ascii_lowercase()).ok()?;
        if !ALPHABET.contains(&symbol) || folded.len() == count {
            return None;
        }
        folded.push(symbol);
    }
    (folded.len() == count).then_some(folded)
}

/// `symbols` in groups of `size`, separated by blanks.
#[must_use]
pub fn grouped(symbols: &[u8], size: usize) -> Secret {
    let mut text = Vec::with_capacity(symbols.len() + symbols.len() / size.max(1));
    for group in symbols.chunks(size.max(1)) {
        if !text.is_empty() {
            text.push(b' ');
        }
        text.extend_from_slice(group);
    }
    Secret::new(text)
}

/// What people and programs put between groups: any blank (no-break and ideographic ones come from copied
/// pages and Chinese keyboards) and any hyphen or dash that word processors turn a hyphen into.
fn separates(character: char) -> bool {
    character.is_whitespace()
        || matches!(
            character,
            '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}'
        )
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_alphabet_has_thirty_two_symbols_and_no_look_alikes() {
        assert_eq!(ALPHABET.iter().collect::<HashSet<_>>().len(), 32);
        assert!(ALPHABET.iter().all(|symbol| symbol.is_ascii_lowercase() || symbol.is_ascii_digit()));
        for alike in ["0o", "1l"] {
            assert!(alike.bytes().all(|symbol| !ALPHABET.contains(&symbol)), "{alike}");
        }
    }

    #[test]
    fn what_is_drawn_can_be_typed_back_in_any_way() {
        let drawn = draw::<10>();
        let printed = String::from_utf8(grouped(&drawn, 5).expose().to_vec()).unwrap();
        assert_eq!(printed.len(), 11);
        for typed in
            [printed.clone(), printed.to_uppercase(), printed.replace(' ', "－"), printed.replace(' ', "")]
        {
            assert_eq!(fold(&typed, 10).as_ref(), Some(&drawn), "{typed}");
        }
        assert_eq!(fold(&printed, 9), None);
        assert_eq!(fold(&printed[1..], 10), None);
        assert_eq!(fold("abcde fgh0j", 10), None, "no symbol");
    }
}
