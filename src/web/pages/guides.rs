//! How to set up each kind of mail client.

use askama::Template;

use super::settings::Settings;
use crate::web::page::Page;
use crate::web::words::Words;

/// A kind of client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) struct Guide {
    /// Its name in addresses, and in the keys of its messages.
    pub(in crate::web) slug: &'static str,
    /// How many steps it takes where the client finds its settings by itself; none where it does not.
    quick: usize,
    /// How many steps it has by hand.
    steps: usize,
    /// Whether it has a note.
    note: bool,
    /// Whether it is found on phones.
    phone: bool,
    /// What to call an app password for it.
    name: Option<&'static str>,
}

const fn guide(slug: &'static str, steps: usize, phone: bool, name: Option<&'static str>) -> Guide {
    Guide { slug, quick: 0, steps, note: false, phone, name }
}

/// Every guide, in the order of the list.
pub(in crate::web) const GUIDES: [Guide; 7] = [
    guide("foxmail", 6, false, Some("Foxmail")),
    Guide { quick: 4, note: true, ..guide("iphone", 6, true, Some("iPhone")) },
    guide("huawei", 5, true, Some("华为邮箱")),
    guide("android", 5, true, Some("Android")),
    Guide { quick: 3, note: true, ..guide("outlook", 5, false, Some("Outlook")) },
    Guide { quick: 3, ..guide("thunderbird", 5, false, Some("Thunderbird")) },
    guide("other", 5, false, None),
];

impl Guide {
    /// The guide with this name.
    pub(in crate::web) fn named(slug: &str) -> Option<Self> {
        GUIDES.into_iter().find(|guide| guide.slug == slug)
    }

    fn title(self, words: Words) -> String {
        words.say(&format!("guide-{}-title", self.slug))
    }
}

/// One line of the list.
pub(in crate::web) struct Tile {
    slug: &'static str,
    title: String,
    phone: bool,
}

/// The list.
#[derive(Template)]
#[template(path = "guides.html")]
pub(in crate::web) struct GuidesPage {
    page: Page,
    guides: Vec<Tile>,
    settings: Settings,
}

impl GuidesPage {
    /// Every guide.
    pub(in crate::web) fn new(page: Page, settings: Settings) -> Self {
        let tile =
            |guide: Guide| Tile { slug: guide.slug, title: guide.title(page.words), phone: guide.phone };
        let guides = GUIDES.into_iter().map(tile).collect();
        Self { page, guides, settings }
    }
}

/// One guide.
#[derive(Template)]
#[template(path = "guide.html")]
pub(in crate::web) struct GuidePage {
    page: Page,
    title: String,
    quick: Vec<String>,
    steps: Vec<String>,
    note: Option<String>,
    name: Option<&'static str>,
    settings: Settings,
}

impl GuidePage {
    /// `guide`, in the language of `page`.
    pub(in crate::web) fn new(page: Page, guide: Guide, settings: Settings) -> Self {
        let of = |what: &str| page.say(&format!("guide-{}-{what}", guide.slug));
        // A profile sets up both, or there is none.
        let quick = if guide.slug == "iphone" && !settings.receives_and_sends() { 0 } else { guide.quick };
        let quick = (1..=quick).map(|step| of(&format!("quick-{step}"))).collect();
        let steps = (1..=guide.steps).map(|step| of(&step.to_string())).collect();
        let note = guide.note.then(|| of("note"));
        Self { title: guide.title(page.words), quick, steps, note, name: guide.name, settings, page }
    }
}
