//! What the pages say, in the languages of `locales/`: one Fluent file each, compiled in.
//!
//! Which language a visitor reads is their own choice (a cookie), or else their browser's. Messages are plain text: what
//! is put into them is escaped with the rest of the page.

use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use unic_langid::LanguageIdentifier;

use crate::base::Language;

/// `Accept-Language` headers longer than this are somebody else's joke.
const ACCEPT_LANGUAGE_MAX: usize = 1024;

/// One language's messages. Cheap to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Words(pub(super) Language);

impl Words {
    /// Every language, in the order in which the switch offers them.
    pub(super) const ALL: [Self; 2] = [Self(Language::Chinese), Self(Language::English)];

    /// The language with this tag.
    pub(super) fn tagged(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|words| words.tag() == tag)
    }

    /// The first of our languages that `accept_language` (RFC 9110 section 12.5.4) would rather have; `otherwise`
    /// where it names none of them.
    pub(super) fn preferred(accept_language: &str, otherwise: Self) -> Self {
        if accept_language.len() > ACCEPT_LANGUAGE_MAX {
            return otherwise;
        }
        let wanted = accept_language.split(',').filter_map(|range| {
            let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
            let weight = match parameters.trim().strip_prefix("q=") {
                Some(weight) => weight.trim().parse::<f32>().ok().filter(|weight| weight.is_finite())?,
                None => 1.0,
            };
            let primary = tag.trim().split('-').next().unwrap_or_default();
            let words = Self::ALL.into_iter().find(|words| words.primary().eq_ignore_ascii_case(primary))?;
            (weight > 0.0).then_some((weight, words))
        });
        // The first of equals.
        let best = wanted.reduce(|best, next| if next.0 > best.0 { next } else { best });
        best.map_or(otherwise, |(_, words)| words)
    }

    /// The BCP 47 tag of the page, and the value of the cookie.
    pub(super) fn tag(self) -> &'static str {
        match self.0 {
            Language::English => "en",
            Language::Chinese => "zh-Hans",
        }
    }

    fn primary(self) -> &'static str {
        match self.0 {
            Language::English => "en",
            Language::Chinese => "zh",
        }
    }

    /// Its own name for itself.
    pub(super) fn own_name(self) -> &'static str {
        match self.0 {
            Language::English => "English",
            Language::Chinese => "简体中文",
        }
    }

    /// The message `key`.
    pub(super) fn say(self, key: &str) -> String {
        self.format(key, None)
    }

    /// The message `key`, with something put into it.
    pub(super) fn with(self, key: &str, name: &'static str, value: impl Argument) -> String {
        let mut arguments = FluentArgs::new();
        arguments.set(name, value.value());
        self.format(key, Some(&arguments))
    }

    /// The message `key`, with two things put into it.
    pub(super) fn with_two(
        self,
        key: &str,
        one: (&'static str, &dyn Argument),
        other: (&'static str, &dyn Argument),
    ) -> String {
        self.with_all(key, &[one, other])
    }

    /// The message `key`, with several things put into it.
    pub(super) fn with_all(self, key: &str, things: &[(&'static str, &dyn Argument)]) -> String {
        let arguments: FluentArgs<'_> = things.iter().map(|(name, value)| (*name, value.value())).collect();
        self.format(key, Some(&arguments))
    }

    /// A key that is missing shows itself: tests find it, and no visitor is turned away for it.
    fn format(self, key: &str, arguments: Option<&FluentArgs<'_>>) -> String {
        let bundle = match self.0 {
            Language::English => &ENGLISH,
            Language::Chinese => &CHINESE,
        };
        let Some(pattern) = bundle.get_message(key).and_then(|message| message.value()) else {
            debug_assert!(false, "no message `{key}`");
            return key.to_owned();
        };
        let mut errors = Vec::new();
        let text = bundle.format_pattern(pattern, arguments, &mut errors).into_owned();
        debug_assert!(errors.is_empty(), "`{key}`: {errors:?}");
        text
    }
}

/// What can be put into a message.
pub(super) trait Argument {
    /// As Fluent has it: numbers choose plural forms.
    fn value(&self) -> FluentValue<'static>;
}

impl Argument for str {
    fn value(&self) -> FluentValue<'static> {
        FluentValue::String(self.to_owned().into())
    }
}

impl Argument for String {
    fn value(&self) -> FluentValue<'static> {
        self.as_str().value()
    }
}

impl Argument for u32 {
    fn value(&self) -> FluentValue<'static> {
        FluentValue::from(*self)
    }
}

impl Argument for usize {
    fn value(&self) -> FluentValue<'static> {
        FluentValue::from(*self)
    }
}

impl<T: Argument + ?Sized> Argument for &T {
    fn value(&self) -> FluentValue<'static> {
        (**self).value()
    }
}

const ENGLISH_TEXT: &str = include_str!("locales/en.ftl");
const CHINESE_TEXT: &str = include_str!("locales/zh-Hans.ftl");

static ENGLISH: LazyLock<FluentBundle<FluentResource>> = LazyLock::new(|| bundle("en", ENGLISH_TEXT));
static CHINESE: LazyLock<FluentBundle<FluentResource>> = LazyLock::new(|| bundle("zh-Hans", CHINESE_TEXT));

/// What is wrong in a file shows in a test; here it costs the messages concerned, not the portal.
fn bundle(tag: &str, text: &str) -> FluentBundle<FluentResource> {
    // Chooses plural forms.
    let language: LanguageIdentifier = tag.parse().unwrap_or_default();
    let mut bundle = FluentBundle::new_concurrent(vec![language]);
    // The marks would be copied with host names and passwords. Names that change direction are shown as escapes.
    bundle.set_use_isolating(false);
    let resource = FluentResource::try_new(text.to_owned()).unwrap_or_else(|(resource, _)| resource);
    bundle.add_resource_overriding(resource);
    bundle
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use regex::Regex;

    use super::*;

    /// Every message of a file, with the names of what is put into it.
    fn messages(text: &str) -> BTreeMap<String, BTreeSet<String>> {
        FluentResource::try_new(text.to_owned()).map_err(|(_, errors)| errors).unwrap();
        let (head, argument) =
            (Regex::new(r"^([a-z][a-z0-9-]*) =").unwrap(), Regex::new(r"\$([a-z]+)").unwrap());
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut current = String::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some(key) = head.captures(line) {
                current = key[1].to_owned();
                assert!(found.insert(current.clone(), BTreeSet::new()).is_none(), "`{current}` twice");
            }
            let names = argument.captures_iter(line).map(|name| name[1].to_owned());
            if !current.is_empty() {
                found.get_mut(&current).unwrap().extend(names);
            }
        }
        found
    }

    #[test]
    fn both_languages_say_the_same_things() {
        let (english, chinese) = (messages(ENGLISH_TEXT), messages(CHINESE_TEXT));
        for (key, arguments) in &english {
            assert_eq!(Some(arguments), chinese.get(key), "`{key}` in zh-Hans.ftl");
        }
        for key in chinese.keys() {
            assert!(english.contains_key(key), "`{key}` is not in en.ftl");
        }
    }

    #[test]
    fn every_message_is_said_somewhere_and_every_key_that_is_said_exists() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (mut pending, mut code) = (vec![root.join("src/web"), root.join("templates")], String::new());
        while let Some(directory) = pending.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    pending.push(path);
                } else if path
                    .extension()
                    .is_some_and(|ending| ["rs", "html", "xml"].iter().any(|known| ending == *known))
                {
                    code += &std::fs::read_to_string(path).unwrap();
                }
            }
        }
        let keys = messages(ENGLISH_TEXT);
        let said = Regex::new(r#"[ .!](?:say|with|with_two|with_all)\([ \n]*"([a-z0-9-]+)""#).unwrap();
        for key in said.captures_iter(&code).map(|key| key[1].to_owned()) {
            assert!(keys.contains_key(&key), "`{key}` is said and does not exist");
        }
        // Steps of the guides are counted, not named.
        let counted = Regex::new(r"^guide-[a-z]+-(?:(?:quick-)?[0-9]+|title|note)$").unwrap();
        for key in keys.keys().filter(|key| !counted.is_match(key)) {
            assert!(code.contains(&format!("\"{key}\"")), "`{key}` is never said");
        }
    }

    #[test]
    fn a_browser_is_answered_in_the_language_that_it_would_rather_have() {
        let [chinese, english] = Words::ALL;
        for (asked, expected) in [
            ("zh-CN,zh;q=0.9,en;q=0.8", chinese),
            ("en-GB,en;q=0.9,zh-CN;q=0.8", english),
            ("fr, zh-TW;q=0.4, en;q=0.3", chinese),
            ("EN;q=0.2,zh;q=0", english),
            ("en;q=nan,zh;q=0.1", chinese),
            ("fr", english),
            ("", english),
        ] {
            assert_eq!(Words::preferred(asked, english), expected, "{asked}");
        }
        assert_eq!(Words::preferred(&"zh,".repeat(1000), english), english);
        assert_eq!(Words::tagged("zh-Hans"), Some(chinese));
        assert_eq!(Words::tagged("<"), None);
    }
}
