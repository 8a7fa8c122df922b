//! Text that strangers made, and moments, as a page shows them.
//!
//! A name may hold what turns the text around it (bidirectional controls), what cannot be seen, or what ends a line. It is
//! shown for what it is and never obeyed; that it is no markup is the templates' affair.

use std::fmt::{self, Write as _};

use super::words::Words;
use crate::base::Timestamp;

/// The longest text shown in a list, in characters: names are shorter, what clients and browsers call themselves is not.
const SHOWN_MAX: usize = 120;

/// Somebody's text, safe to look at.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Shown(String);

impl Shown {
    /// `text` with every control, format and private character as its number, cut to what fits a line.
    pub(super) fn new(text: &str) -> Self {
        let mut shown = String::with_capacity(text.len());
        for (count, c) in text.chars().enumerate() {
            if count == SHOWN_MAX {
                shown.push('…');
                break;
            }
            if is_unseen(c) {
                let _ = write!(shown, "‹U+{:04X}›", u32::from(c));
            } else {
                shown.push(c);
            }
        }
        Self(shown)
    }

    /// The text.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What somebody typed, to stand in a form again: the browser reads it byte for byte as it was, and the page around it is none
/// the worse. What is not seen stands there as a reference (HTML Standard, section 13.1.4), so that it turns nothing around
/// where the page's own text is read, either.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Typed(String);

impl Typed {
    /// `text` as it is.
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Whether there is nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            // References to these mean other characters (section 13.2.5.80).
            '\0' | '\u{80}'..='\u{9f}' => Ok(()),
            '&' | '<' | '>' | '"' | '\'' => write!(f, "&#{};", u32::from(c)),
            c if is_unseen(c) => write!(f, "&#{};", u32::from(c)),
            c => f.write_char(c),
        })
    }
}

/// It escapes itself.
impl askama::filters::HtmlSafe for Typed {}

impl super::words::Argument for Shown {
    fn value(&self) -> fluent_bundle::FluentValue<'static> {
        self.0.value()
    }
}

/// Controls (Cc), what directs text (UAX #9: Bidi_Control), what takes no room, line and paragraph ends, tags, and what
/// has no meaning of its own (surrogates cannot be here; private use).
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{e000}'..='\u{f8ff}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}' | '\u{f0000}'..='\u{10ffff}')
}

/// A moment: how long ago it was, and exactly when.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    /// RFC 3339, for programs; the script shows it in the visitor's own time zone.
    pub(super) exact: String,
    /// For people: *3 hours ago*, or the day.
    pub(super) words: String,
}

impl Moment {
    /// `at`, seen from `now`.
    pub(super) fn new(at: Timestamp, now: Timestamp, words: Words) -> Self {
        let at_second = at.date_time().replace_nanosecond(0).unwrap_or(at.date_time());
        Self { exact: Timestamp::new(at_second).to_string(), words: relative(at, now, words) }
    }
}

fn relative(at: Timestamp, now: Timestamp, words: Words) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    /// Beyond that, people think in dates.
    const RECENT: u64 = 14 * DAY;
    let (ahead, seconds) =
        if at > now { (true, at.since(now).as_secs()) } else { (false, now.since(at).as_secs()) };
    let count = |unit: u64| u32::try_from(seconds / unit).unwrap_or(u32::MAX);
    match (ahead, seconds) {
        // Clocks of nodes differ a little.
        (_, 0..MINUTE) => words.say("when-now"),
        (false, MINUTE..HOUR) => words.with("when-minutes", "count", count(MINUTE)),
        (false, HOUR..DAY) => words.with("when-hours", "count", count(HOUR)),
        (false, DAY..RECENT) => words.with("when-days", "count", count(DAY)),
        (true, MINUTE..HOUR) => words.with("when-in-minutes", "count", count(MINUTE)),
        (true, HOUR..DAY) => words.with("when-in-hours", "count", count(HOUR)),
        (true, DAY..RECENT) => words.with("when-in-days", "count", count(DAY)),
        (_, RECENT..) => day(at, words),
    }
}

/// The day of `at`, UTC.
pub(super) fn day(at: Timestamp, words: Words) -> String {
    let date = at.date_time().date();
    let month = u32::from(u8::from(date.month()));
    let (year, day) = (date.year().to_string(), u32::from(date.day()));
    match words.0 {
        crate::base::Language::Chinese => format!("{year}年{month}月{day}日"),
        crate::base::Language::English => format!("{day} {:.3} {year}", date.month().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Language;

    #[test]
    fn a_name_that_would_turn_the_line_around_is_shown_for_what_it_is() {
        assert_eq!(
            Shown::new("iPhone \u{202e}gpj.exe\u{200b}\n").as_str(),
            "iPhone ‹U+202E›gpj.exe‹U+200B›‹U+000A›"
        );
        assert_eq!(Shown::new("我的 Foxmail <b>&").as_str(), "我的 Foxmail <b>&");
        assert_eq!(Shown::new("👩‍💻").as_str(), "👩‹U+200D›💻");
        assert_eq!(Shown::new(&"长".repeat(500)).as_str().chars().count(), SHOWN_MAX + 1);
    }

    #[test]
    fn what_was_typed_comes_back_as_it_was_and_is_no_markup() {
        let said = |text: &str| Typed::new(text).to_string();
        assert_eq!(said("👩‍💻 长"), "👩&#8205;💻 长");
        assert_eq!(said("\"><b>&'"), "&#34;&#62;&#60;b&#62;&#38;&#39;");
        assert_eq!(said("\u{202e}a\n\0\u{85}"), "&#8238;a&#10;");
        assert_eq!(said(&"长".repeat(500)).chars().count(), 500, "nothing is cut");
    }

    #[test]
    fn moments_are_said_as_people_say_them() {
        let now = Timestamp::parse("2026-11-27T10:00:00Z").unwrap();
        let said =
            |at: &str, language| Moment::new(Timestamp::parse(at).unwrap(), now, Words(language)).words;
        for (at, english, chinese) in [
            ("2026-11-27T09:59:30Z", "just now", "刚刚"),
            ("2026-11-27T09:59:00Z", "1 minute ago", "1 分钟前"),
            ("2026-11-27T07:00:00Z", "3 hours ago", "3 小时前"),
            ("2026-11-25T07:00:00Z", "2 days ago", "2 天前"),
            ("2026-12-04T10:00:00Z", "in 7 days", "7 天后"),
            ("2026-09-02T10:00:00Z", "2 Sep 2026", "2026年9月2日"),
        ] {
            assert_eq!(said(at, Language::English), english);
            assert_eq!(said(at, Language::Chinese), chinese);
        }
    }
}
