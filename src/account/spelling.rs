//! Which folded local parts have one spelling only.
//!
//! What case and NFC folding leave alone some servers fold further: SASLprep, which RFC 4616 section 2 asks
//! servers to apply to names, takes compatibility forms for their plain ones and drops invisible characters;
//! comparing in capitals takes `ß` for `ss`, a dotless `ı` for `i` and a final `ς` for `σ`; quoted local parts,
//! comments and source routes mean the same as what is inside them; `firm/anna` is what `anna@firm` is to some. A
//! local part that could mean another one is therefore no name here.

use unicode_normalization::is_nfkc;

use crate::base::name;

/// Whether no server takes `local` (folded) for another spelling of another one.
pub(super) fn is_unique(local: &str) -> bool {
    local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atom_character))
        && is_nfkc(local)
        && !local.chars().any(|character| is_ignorable(character) || character.is_whitespace())
        && name::fold(&local.chars().flat_map(char::to_uppercase).collect::<String>()) == local
}

/// `atext` of RFC 5321 section 4.1.2 with the extension of RFC 6531 section 3.3, less what routes mail, `%` and `!`
/// (RFC 5321 appendix F.2), and less what stands for `@` or behind a Windows domain in login names, `/`.
fn is_atom_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || "#$&'*+-=?^_`{|}~".contains(character) || !character.is_ascii()
}

/// What is not seen: the code points of Unicode's `Default_Ignorable_Code_Point`, and one more that SASLprep drops (RFC
/// 3454 table B.1).
fn is_ignorable(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{1806}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use unicode_normalization::UnicodeNormalization as _;

    use super::*;

    fn unique(local: &str) -> bool {
        is_unique(&name::fold(local))
    }

    #[test]
    fn what_people_are_called_is_a_name() {
        for local in [
            "alice",
            "first.last",
            "o'brien+lists",
            "a-b_c{d}~e=f?h^i`j|k#l$m&n*o",
            "张三",
            "José",
            "ĽUBICA.ŠŤASTNÁ",
            "İrem",
            "Алёна",
            "γιώργο",
            "ﺪ".nfkc().collect::<String>().as_str(),
            "गीता",
            "გიორგი",
        ] {
            assert!(unique(local), "{local}");
        }
    }

    #[test]
    fn what_could_mean_another_local_part_is_none() {
        for local in [
            // quotes, comments, routes, empty atoms
            "\"alice\"",
            "ali\\ce",
            "alice(work)",
            "bob@other.example",
            "bob%other.example",
            "other.example!bob",
            "firm/bob",
            "@relay.example:bob",
            "<alice",
            "alice.",
            ".alice",
            "al..ice",
            "",
            // compatibility forms
            "ａlice",
            "ﬁona",
            "al\u{2170}ce",
            "ali\u{17f}e",
            "alice\u{ff0b}x",
            "alice\u{fe6b}example.org",
            // invisible
            "al\u{200b}ice",
            "al\u{ad}ice",
            "alice\u{fe0f}",
            "\u{202e}alice",
            "\u{feff}alice",
            // letters that capitals do not tell apart
            "strauß",
            "STRAUẞ",
            "al\u{131}ce",
            "γιώργος",
            "ά\u{345}",
            "\u{1c80}алентина",
        ] {
            assert!(!unique(local), "{local}");
        }
    }

    /// RFC 3454 tables B.1 and C.1.2, which RFC 4013 section 2.1 refers to.
    #[test]
    fn no_name_holds_what_saslprep_drops_or_takes_for_a_blank() {
        let dropped =
            [0x00ad, 0x034f, 0x1806, 0x180b, 0x180c, 0x180d, 0x200b, 0x200c, 0x200d, 0x2060, 0xfeff];
        let blanks = [0x00a0, 0x1680, 0x202f, 0x205f, 0x3000];
        for code in dropped.into_iter().chain(0xfe00..=0xfe0f).chain(blanks).chain(0x2000..=0x200b) {
            let character = char::from_u32(code).unwrap();
            for local in
                [format!("al{character}ice"), format!("{character}alice"), format!("alice{character}")]
            {
                assert!(!is_unique(&local), "U+{code:04X}");
            }
        }
    }

    #[test]
    fn no_two_names_are_the_same_in_capitals() {
        let mut capitals = std::collections::HashMap::new();
        // No script beyond has capitals.
        for letter in ('\u{80}'..='\u{1ffff}').chain('a'..='z') {
            let folded = name::fold(&letter.to_string());
            if is_unique(&folded) {
                let upper: String = folded.chars().flat_map(char::to_uppercase).nfc().collect();
                let first = capitals.entry(upper).or_insert_with(|| folded.clone());
                assert_eq!(*first, folded, "U+{:04X}", u32::from(letter));
            }
        }
        assert!(capitals.len() > 50_000);
    }
}
