//! What an app password looks like: how one is drawn, printed, and recognised among presented passwords.
//!
//! Input is hostile. Whatever has not the form of an app password is no [`Candidate`], so that nothing behind
//! this file ever sees a mailbox password.

use crate::base::{Password, Secret, symbols};

/// Symbols of an app password.
pub const SYMBOLS: usize = 16;

/// Symbols of a group, as printed; the first group is the label.
pub const GROUP: usize = 4;

/// A presented password that has the form of an app password: sixteen symbols of the alphabet once blanks
/// and hyphens are dropped and case is folded.
pub struct Candidate {
    label: String,
    folded: Secret,
}

impl Candidate {
    /// `None` for whatever cannot be an app password.
    #[must_use]
    pub fn parse(presented: &Password) -> Option<Self> {
        let text = std::str::from_utf8(presented.expose()).ok()?;
        symbols::fold(text, SYMBOLS).map(|folded| Self::from_symbols(&folded))
    }

    /// Draws a new one, every symbol with equal chance.
    pub(super) fn draw() -> Self {
        Self::from_symbols(&symbols::draw::<SYMBOLS>())
    }

    fn from_symbols(symbols: &[u8]) -> Self {
        let label = symbols.iter().take(GROUP).copied().map(char::from).collect();
        Self { label, folded: Secret::new(symbols.to_vec()) }
    }

    /// The first group, as stored.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// All sixteen symbols, however they were written.
    pub(crate) fn symbols(&self) -> &[u8] {
        self.folded.expose()
    }

    /// Four groups of four, separated by blanks.
    pub(super) fn printed(&self) -> Secret {
        symbols::grouped(self.symbols(), GROUP)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::symbols::ALPHABET;

    fn parse(text: &str) -> Option<Candidate> {
        Candidate::parse(&Password::new(text.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn drawing_uses_every_symbol_in_every_place_about_equally_often() {
        const DRAWS: usize = 8_000;
        let mut seen = [[0_usize; 256]; SYMBOLS];
        for _ in 0..DRAWS {
            for (place, symbol) in Candidate::draw().symbols().iter().enumerate() {
                seen[place][usize::from(*symbol)] += 1;
            }
        }
        // 250 expected, standard deviation 15.6: seven of them away never happens by chance.
        for place in &seen {
            for symbol in ALPHABET {
                let count = place[usize::from(*symbol)];
                assert!((140..360).contains(&count), "`{}` was drawn {count} times", char::from(*symbol));
            }
        }
    }

    #[test]
    fn what_is_printed_is_four_groups_and_parses() {
        let drawn = Candidate::draw();
        let printed = drawn.printed();
        let text = std::str::from_utf8(printed.expose()).unwrap();
        assert_eq!(text.split(' ').map(str::len).collect::<Vec<_>>(), [4, 4, 4, 4]);
        assert_eq!(text.split(' ').next(), Some(drawn.label()));
        assert_eq!(parse(text).unwrap().symbols(), drawn.symbols());
    }

    #[test]
    fn a_mailbox_password_is_no_candidate() {
        for other in [
            "abcdefghijkmnpq",          // fifteen
            "abcdefghijkmnpqrs",        // seventeen
            "abcd efgh ijkm npq0",      // a symbol outside the alphabet
            "abcd.efgh.ijkm.npqr",      // another separator
            "ａｂｃｄefghijkmnpqr",     // fullwidth letters
            "abcdefghij\u{212a}mnpqr",  // Kelvin sign, lower case `k` in Unicode
            "abcdefghijkmnpq\u{200b}r", // an invisible character
            "    ",
        ] {
            assert!(parse(other).is_none(), "{other}");
        }
        assert!(Candidate::parse(&Password::new(b"abcdefghijkmnpq\xff".to_vec()).unwrap()).is_none());
    }

    proptest! {
        #[test]
        fn any_case_and_any_blanks_and_hyphens_mean_the_same(
            symbols in proptest::collection::vec((0..32_usize, any::<bool>(), "[ \\-\u{a0}\u{2009}\u{3000}\t\u{2010}\u{2011}\u{2013}\u{2212}\u{ff0d}]{0,3}"), SYMBOLS),
        ) {
            let plain: String = symbols.iter().map(|(index, ..)| char::from(ALPHABET[*index])).collect();
            let mut dressed = String::from("- ");
            for (index, upper, separator) in &symbols {
                let symbol = char::from(ALPHABET[*index]);
                dressed.push(if *upper { symbol.to_ascii_uppercase() } else { symbol });
                dressed.push_str(separator);
            }
            let candidate = parse(&dressed).unwrap();
            prop_assert_eq!(candidate.symbols(), plain.as_bytes());
            prop_assert_eq!(candidate.label(), &plain[..GROUP]);
        }

        #[test]
        fn parsing_never_fails_otherwise(bytes in proptest::collection::vec(1..=255_u8, 1..64)) {
            if let Ok(password) = Password::new(bytes)
                && let Some(candidate) = Candidate::parse(&password)
            {
                prop_assert!(candidate.symbols().iter().all(|symbol| ALPHABET.contains(symbol)));
            }
        }
    }
}
