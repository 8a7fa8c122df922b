//! A page looked at: pictures of all of it, for people, and checks of what must hold on every page, for the test.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use serde_json::{Value, json};

use crate::driver::Browser;
use crate::support::run;

/// What is checked, in the words of the page itself.
const CHECKS: &str = include_str!("checks.js");

/// The narrowest that has to do (WCAG 2.2, 1.4.10).
const NARROWEST: u32 = 320;

/// The width of a phone and of a desk, and as high as their windows.
const SIZES: [(&str, u32, u32); 2] = [("phone", 390, 844), ("desktop", 1280, 900)];

/// What the visitor's system prefers, and what its pictures are called.
const SCHEMES: [(&str, &str); 2] = [("dark", "-dark"), ("light", "")];

/// The key, in WebDriver's alphabet (section 17.4.2).
const TAB: char = '\u{e004}';

impl Browser {
    /// Keeps pictures of the whole page, on a phone and a desk, light and dark; what does not hold of it fails the test.
    /// A page that has been there under this name is left alone.
    pub(crate) async fn picture(&self, name: &str) {
        if !self.is_new(name) {
            return;
        }
        let wrong = self.look(Some(name)).await;
        let path = self.path().await;
        assert!(wrong.is_empty(), "`{name}` ({path}):\n{}", wrong.join("\n"));
    }

    /// What does not hold of the page; pictures are kept where they have a name.
    pub(crate) async fn look(&self, name: Option<&str>) -> Vec<String> {
        self.devtools("Emulation.setScrollbarsHidden", json!({ "hidden": true })).await;
        let mut wrong = self.check("structure", json!(self.language().of_pages())).await;
        self.measure(NARROWEST, SIZES[0].2).await;
        wrong.extend(self.check("sideways", Value::Null).await);
        for (size, width, height) in SIZES {
            self.measure(width, height).await;
            for (scheme, suffix) in SCHEMES {
                self.prefer(scheme).await;
                let found = self.check("look", Value::Null).await;
                wrong.extend(found.into_iter().map(|found| format!("{size}, {scheme}: {found}")));
                if let Some(name) = name {
                    self.keep(&format!("{name}-{size}{suffix}"), width).await;
                }
            }
        }
        wrong.extend(self.press_tab_through().await);
        wrong
    }

    /// Shows the page as a printer would get it, until it is [on a screen](Self::on_screen) again.
    pub(crate) async fn on_paper(&self, name: &str) {
        self.devtools("Emulation.setEmulatedMedia", json!({ "media": "print" })).await;
        self.keep(&format!("{name}-printed"), SIZES[1].1).await;
    }

    /// As ever.
    pub(crate) async fn on_screen(&self) {
        self.prefer("light").await;
    }

    /// What a camera reads in the pictures that were kept of this page under that name: the same in all of them. The code is
    /// as dark, and has as much light around it, in the dark as it has to.
    pub(crate) async fn scan(&self, name: &str) -> String {
        let mut read = Vec::new();
        for (size, width, height) in SIZES {
            self.measure(width, height).await;
            for (scheme, suffix) in SCHEMES {
                self.prefer(scheme).await;
                let place = self.script(CHECKS, vec![json!("code-place")]).await;
                let code = self.part(place).await;
                let wrong = self.check("quiet", json!(code)).await;
                assert!(wrong.is_empty(), "`{name}`, {size}, {scheme}: {}", wrong.join("; "));
                read.push(read_code(&self.picture_file(&format!("{name}-{size}{suffix}"))));
            }
        }
        let last = read.pop().expect("pictures");
        assert!(read.iter().all(|one| *one == last), "`{name}`: {last:?} is not {read:?}");
        last
    }

    async fn keep(&self, name: &str, width: u32) {
        let height = self.script(CHECKS, vec![json!("height")]).await;
        let picture = self.part(json!({ "x": 0, "y": 0, "width": width, "height": height })).await;
        let picture = STANDARD.decode(picture).expect("base64");
        fs::write(self.picture_file(name), picture).expect("a picture");
    }

    fn picture_file(&self, name: &str) -> PathBuf {
        self.pictures().join(format!("{name}.png"))
    }

    /// A picture of that part of the page, in base64.
    async fn part(&self, mut clip: Value) -> String {
        clip["scale"] = 1.into();
        let wanted =
            json!({ "format": "png", "captureBeyondViewport": true, "optimizeForSpeed": true, "clip": clip });
        let picture = self.devtools("Page.captureScreenshot", wanted).await;
        picture["data"].as_str().expect("a picture").to_owned()
    }

    async fn measure(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Nothing moves: a colour on its way to another would be neither.
    async fn prefer(&self, scheme: &str) {
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "media": "", "features": features })).await;
    }

    async fn press_tab_through(&self) -> Vec<String> {
        let stops = self.script(CHECKS, vec![json!("begin-tabs")]).await.as_u64().expect("a number");
        let mut keys = KeyActions::new("keyboard".to_owned());
        for _ in 0..stops {
            keys = keys.then(KeyAction::Down { value: TAB }).then(KeyAction::Up { value: TAB });
        }
        self.act(keys).await;
        self.check("end-tabs", Value::Null).await
    }

    async fn check(&self, check: &str, argument: Value) -> Vec<String> {
        let found = self.script(CHECKS, vec![json!(check), argument]).await;
        serde_json::from_value(found).expect("what is wrong, in words")
    }
}

/// The text of the one code in that picture.
fn read_code(picture: &Path) -> String {
    let picture = picture.to_str().expect("a path in UTF-8");
    let only = ["--quiet", "--nodbus", "--raw", "-Sdisable", "-Sqrcode.enable"];
    let read = run("zbarimg", &[&only[..], &[picture]].concat(), "").success();
    let mut texts = read.lines();
    let text = texts.next().expect("a text").to_owned();
    assert_eq!(texts.next(), None, "one code");
    text
}
