//! Which folded addresses have one spelling only.
//!
//! What case and NFC folding leave alone some servers fold further: SASLprep, which RFC 4616 section 2 asks
//! servers to apply to names, takes compatibility forms for their plain ones and drops invisible characters;
//! quoted local parts, comments and source routes mean the same as what is inside them. An address that could
//! mean another one is therefore no name here.

use unicode_normalization::is_nfkc;

use crate::base::Address;

/// Whether no server takes `address` for another spelling of another address.
pub(super) fn is_unique(address: &Address) -> bool {
    address.local().split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atom_character))
        && address.domain().split('.').all(|label| !label.is_empty() && label.chars().all(is_label_character))
        && is_nfkc(address.as_str())
        && !address.as_str().chars().any(is_ignorable)
}

/// `atext` of RFC 5321 section 4.1.2 with the extension of RFC 6531 section 3.3, less what routes mail: `%`
/// and `!` (RFC 5321 appendix F.2).
fn is_atom_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || "#$&'*+-/=?^_`{|}~".contains(character) || !character.is_ascii()
}

/// Letters, digits and hyphens (RFC 5321 section 4.1.2), the underscore that Windows domains have, and what
/// RFC 6531 section 3.3 adds; not the ideographic full stop, which IDNA takes for a dot (RFC 3490 section 3.1).
fn is_label_character(character: char) -> bool {
    match character {
        '-' | '_' => true,
        '\u{3002}' => false,
        _ => character.is_ascii_alphanumeric() || !character.is_ascii(),
    }
}

/// What is not seen: the code points of Unicode's `Default_Ignorable_Code_Point`.
fn is_ignorable(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
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
    use super::*;

    fn unique(text: &str) -> bool {
        is_unique(&Address::parse(text).unwrap())
    }

    #[test]
    fn what_people_are_called_is_a_name() {
        for name in [
            "alice@example.org",
            "first.last@example.org",
            "o'brien+lists@mail.example.org",
            "a-b_c{d}~e=f/g?h^i`j|k#l$m&n*o@example.org",
            "张三@例子.中国",
            "josé@xn--bcher-kva.example",
            "host@win_domain",
        ] {
            assert!(unique(name), "{name}");
        }
    }

    #[test]
    fn what_could_mean_another_address_is_none() {
        for name in [
            "\"alice\"@example.org",
            "ali\\ce@example.org",
            "alice(work)@example.org",
            "bob@other.example@example.org",
            "bob%other.example@example.org",
            "other.example!bob@example.org",
            "@relay.example:bob@example.org",
            "<alice@example.org",
            "alice.@example.org",
            ".alice@example.org",
            "al..ice@example.org",
            "alice@example.org..",
            "alice@.example.org",
            "alice@example..org",
            "alice@[192.0.2.1]",
            "alice@exam%ple.org",
            "ａlice@example.org",
            "al\u{131}\u{307}ﬁce@example.org",
            "alice@example\u{ff0e}org",
            "alice@example\u{3002}org",
            "al\u{200b}ice@example.org",
            "al\u{ad}ice@example.org",
            "alice\u{fe0f}@example.org",
            "\u{202e}alice@example.org",
            "ali\u{17f}e@example.org",
        ] {
            assert!(!unique(name), "{name}");
        }
    }
}
