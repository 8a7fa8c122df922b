//! What a browser holds and shows again: 32 random bytes, of which only a hash is kept.
//!
//! It is a key, too: what is encrypted under it opens for nobody who has the database and the site's key file alone.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{Secret, random};

const TOKEN_LEN: usize = 32;

/// A token of a browser.
#[derive(Debug, PartialEq, Eq)]
pub struct Token(Secret);

impl Token {
    /// A new one.
    #[must_use]
    pub fn fresh() -> Self {
        let bytes = Zeroizing::new(random::bytes::<TOKEN_LEN>());
        Self(Secret::new(bytes.to_vec()))
    }

    /// From what a browser shows; hostile. `None` for whatever cannot be a token.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
        (bytes.len() == TOKEN_LEN).then(|| Self(Secret::new(bytes.to_vec())))
    }

    /// For the browser: 43 characters, safe in a cookie and in a URL (RFC 4648 section 5).
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.0.expose()))
    }

    /// What is kept of it.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::new().chain_update(b"mailward 1 token").chain_update(self.0.expose()).finalize().into()
    }

    /// A key for one purpose that only who holds the token can derive (HKDF-SHA-256, RFC 5869).
    #[must_use]
    pub fn derive(&self, purpose: &'static str) -> Secret {
        let mut key = vec![0; 32];
        #[expect(
            clippy::expect_used,
            reason = "HKDF-SHA-256 gives up to 8,160 bytes (RFC 5869 section 2.3)"
        )]
        Hkdf::<Sha256>::new(None, self.0.expose())
            .expand(purpose.as_bytes(), &mut key)
            .expect("32 bytes fit");
        Secret::new(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_as_it_went_and_nothing_else_is_one() {
        let token = Token::fresh();
        let text = token.text();
        assert_eq!(text.len(), 43);
        assert_eq!(Token::parse(&text).as_ref(), Some(&token));
        assert_ne!(token.hash(), Token::fresh().hash());
        assert_ne!(token.derive("a"), token.derive("b"));
        for bad in ["", "x", &text[1..], &format!("{}=", &*text), &format!("{}A", &*text), &"!".repeat(43)] {
            assert_eq!(Token::parse(bad), None, "{bad}");
        }
        assert!(!format!("{token:?}").contains(&text[..8]));
    }
}
