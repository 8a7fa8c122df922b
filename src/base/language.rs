//! The languages people are spoken to in.

/// The language of refusal texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Language {
    /// English, ASCII.
    #[default]
    English,
    /// Simplified Chinese, UTF-8.
    Chinese,
}
