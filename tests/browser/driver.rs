//! A Chromium of its own for one test, driven over WebDriver (W3C).

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fantoccini::actions::KeyActions;
use fantoccini::elements::Element;
use fantoccini::wd::{WebDriverCompatibleCommand, WindowHandle};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::chromedriver::{Driver, start_driver};

/// How long anything may take that a person would wait for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the driver is told of authenticators (Web Authentication, section 11.5).
const AUTHENTICATORS: &str = "webauthn/authenticator";

/// The language of a browser, and so of the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    English,
    Chinese,
}

impl Language {
    fn tag(self) -> &'static str {
        match self {
            Self::English => "en-US",
            Self::Chinese => "zh-CN",
        }
    }

    /// How the pages call it.
    pub(crate) fn of_pages(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-Hans",
        }
    }
}

/// One browser, until dropped.
pub(crate) struct Browser {
    client: Client,
    at: String,
    language: Language,
    pictures: PathBuf,
    taken: RefCell<HashSet<String>>,
    _driver: Driver,
    profile: TempDir,
}

impl Browser {
    /// Opens one for the portal at `url`; pictures go to a folder called `name`.
    pub(crate) async fn open(url: &str, language: Language, name: &str) -> Self {
        Self::allowing(json!({}), url, language, name).await
    }

    /// The same, whose owner lets no page run scripts.
    pub(crate) async fn without_scripts(url: &str, language: Language, name: &str) -> Self {
        let never = 2;
        let settings = json!({ "profile.managed_default_content_settings.javascript": never });
        Self::allowing(settings, url, language, name).await
    }

    async fn allowing(mut settings: Value, url: &str, language: Language, name: &str) -> Self {
        let profile = TempDir::new().expect("a temporary directory");
        let (driver, port) = start_driver(profile.path());
        settings["intl.accept_languages"] = language.tag().into();
        settings["download.default_directory"] = json!(profile.path().join("downloads"));
        settings["download.prompt_for_download"] = false.into();
        let options = json!({
            "browserName": "chrome",
            // The gate's certificate is its own.
            "acceptInsecureCerts": true,
            "goog:chromeOptions": {
                "args": [
                    "--headless=new",
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-dev-shm-usage",
                    "--disable-background-networking",
                    "--no-first-run",
                    // It ends when its driver lets go of the pipe, however the driver ended.
                    "--remote-debugging-pipe",
                    "--force-device-scale-factor=1",
                    format!("--user-data-dir={}", profile.path().display()),
                    format!("--lang={}", language.tag()),
                ],
                "prefs": settings,
            },
        });
        let Value::Object(options) = options else { unreachable!() };
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(options);
        let client = builder.connect(&format!("http://127.0.0.1:{port}")).await.expect("a browser");
        let pictures = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .parent()
            .expect("the folder of the build")
            .join("browser")
            .join(name)
            .join(language.tag());
        fs::create_dir_all(&pictures).expect("a folder for pictures");
        Self {
            client,
            at: url.to_owned(),
            language,
            pictures,
            taken: RefCell::default(),
            _driver: driver,
            profile,
        }
    }

    /// Goes to a page of the portal.
    pub(crate) async fn go(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.at)).await.expect("a page");
    }

    /// The portal that it stands before.
    pub(crate) fn portal(&self) -> &str {
        &self.at
    }

    /// Gives it an authenticator in software, which verifies its owner and keeps passkeys (Web Authentication, section
    /// 11.3), as that of a telephone or a computer does; its name is returned.
    pub(crate) async fn add_authenticator(&self) -> String {
        self.add("ctap2", "internal", true).await
    }

    /// Plugs in a security key, as the first ones were: it neither keeps passkeys nor verifies who touches it.
    pub(crate) async fn plug_in_security_key(&self) -> String {
        self.add("ctap1/u2f", "usb", false).await
    }

    async fn add(&self, protocol: &str, transport: &str, able: bool) -> String {
        let wanted = json!({
            "protocol": protocol,
            "transport": transport,
            "hasResidentKey": able,
            "hasUserVerification": able,
            "isUserVerified": able,
            "isUserConsenting": true,
        });
        let name = self.extension(AUTHENTICATORS, wanted).await;
        name.as_str().expect("the name of an authenticator").to_owned()
    }

    /// Whether somebody touches the authenticator when it waits for that.
    pub(crate) async fn touch(&self, authenticator: &str, touched: bool) {
        let wanted = json!({ "authenticatorId": authenticator, "enabled": touched });
        self.devtools("WebAuthn.setAutomaticPresenceSimulation", wanted).await;
    }

    /// Whether somebody is there who confirms at the authenticator.
    pub(crate) async fn let_authenticator(&self, authenticator: &str, confirm: bool) {
        self.extension(&format!("{AUTHENTICATORS}/{authenticator}/uv"), json!({ "isUserVerified": confirm }))
            .await;
    }

    async fn extension(&self, path: &str, body: Value) -> Value {
        let command = Extension { path: path.to_owned(), body };
        self.client.issue_cmd(command).await.expect("a command of the driver")
    }

    /// Waits until what matches can be seen.
    pub(crate) async fn until_shown(&self, css: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.find(css).await.is_displayed().await.expect("an element") {
            assert!(Instant::now() < until, "`{css}` stays hidden");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Goes on in another tab; the one before is returned.
    pub(crate) async fn open_tab(&self) -> WindowHandle {
        let before = self.client.window().await.expect("a tab");
        let opened = self.client.new_window(true).await.expect("another tab");
        self.client.switch_to_window(opened.handle).await.expect("another tab");
        before
    }

    /// Closes this tab and goes on in that one.
    pub(crate) async fn close_tab(&self, before: WindowHandle) {
        self.client.close_window().await.expect("a tab");
        self.client.switch_to_window(before).await.expect("a tab");
    }

    /// Waits until it is there by itself.
    pub(crate) async fn until_at(&self, path: &str) {
        let until = Instant::now() + PATIENCE;
        while self.path().await != path {
            assert!(Instant::now() < until, "it stays at {} instead of {path}", self.path().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Where it is: the path within the portal.
    pub(crate) async fn path(&self) -> String {
        let url = self.client.current_url().await.expect("a URL");
        assert!(url.as_str().starts_with(&self.at), "{url} is not the portal's");
        url.path().to_owned()
    }

    /// The whole of what its address bar shows.
    pub(crate) async fn address(&self) -> String {
        self.client.current_url().await.expect("a URL").into()
    }

    /// Types into the field of this name, whatever stood there before.
    pub(crate) async fn fill(&self, name: &str, text: &str) {
        let field = self.find(&format!("[name='{name}']:not([type=hidden])")).await;
        field.clear().await.expect("a field");
        field.send_keys(text).await.expect("a field");
    }

    /// Presses what matches, and waits for the page that it leads to.
    pub(crate) async fn press(&self, css: &str) {
        let before = self.find("html").await;
        self.find(css).await.click().await.unwrap_or_else(|error| panic!("cannot press `{css}`: {error}"));
        let until = Instant::now() + PATIENCE;
        // The old page's root is stale once the new one is there.
        while before.tag_name().await.is_ok() {
            assert!(Instant::now() < until, "`{css}` led nowhere");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // Of a page that is still arriving, there may be no more than its beginning.
        while self.script("return document.readyState;", Vec::new()).await != "complete" {
            assert!(Instant::now() < until, "what `{css}` leads to does not arrive");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.find("main").await;
    }

    /// Signs out.
    pub(crate) async fn sign_out(&self) {
        self.press("form[action$='/sign-out'] button").await;
    }

    /// Presses what matches, which leads to no page.
    pub(crate) async fn click(&self, css: &str) {
        self.find(css).await.click().await.unwrap_or_else(|error| panic!("cannot press `{css}`: {error}"));
    }

    /// Sends the main form of the page.
    pub(crate) async fn submit(&self) {
        self.press("main form button:not([type=button])").await;
    }

    /// What people read in what matches first.
    pub(crate) async fn read(&self, css: &str) -> String {
        self.find(css).await.text().await.expect("a text")
    }

    /// The same for everything that matches.
    pub(crate) async fn read_all(&self, css: &str) -> Vec<String> {
        let mut texts = Vec::new();
        for element in self.client.find_all(Locator::Css(css)).await.expect("elements") {
            texts.push(element.text().await.expect("a text"));
        }
        texts
    }

    /// Whether anything matches.
    pub(crate) async fn has(&self, css: &str) -> bool {
        !self.client.find_all(Locator::Css(css)).await.expect("elements").is_empty()
    }

    /// An attribute of what matches first.
    pub(crate) async fn attribute(&self, css: &str, name: &str) -> String {
        let element = self.find(css).await;
        element.attr(name).await.expect("an attribute").unwrap_or_default()
    }

    /// What a property of what matches first holds: of a field, what stands in it.
    pub(crate) async fn property(&self, css: &str, name: &str) -> String {
        self.find(css).await.prop(name).await.expect("a property").unwrap_or_default()
    }

    /// Waits for the file of this name that it downloads.
    pub(crate) async fn downloaded(&self, name: &str) -> String {
        let file = self.downloads().join(name);
        let until = Instant::now() + PATIENCE;
        loop {
            match fs::read_to_string(&file) {
                Ok(text) if !text.is_empty() => return text,
                Ok(_) | Err(_) => assert!(Instant::now() < until, "no `{name}` arrives"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn downloads(&self) -> PathBuf {
        self.profile.path().join("downloads")
    }

    /// The language that it asks pages for.
    pub(crate) fn language(&self) -> Language {
        self.language
    }

    /// Where its pictures are kept.
    pub(crate) fn pictures(&self) -> &Path {
        &self.pictures
    }

    /// Whether there is no picture of that name yet; from now on there is.
    pub(crate) fn is_new(&self, name: &str) -> bool {
        self.taken.borrow_mut().insert(name.to_owned())
    }

    /// Runs `script` in the page.
    pub(crate) async fn script(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.client.execute(script, arguments).await.expect("a script")
    }

    /// Presses keys.
    pub(crate) async fn act(&self, keys: KeyActions) {
        self.client.perform_actions(keys).await.expect("keys");
    }

    /// A command of Chromium's own protocol.
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.extension("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await
    }

    /// What was copied last. Its owner lets pages of the portal look, which they never ask for by themselves.
    pub(crate) async fn clipboard(&self) -> String {
        let wanted = json!({ "origin": self.at, "permissions": ["clipboardReadWrite"] });
        self.devtools("Browser.grantPermissions", wanted).await;
        let text = self.script("return navigator.clipboard.readText();", Vec::new()).await;
        text.as_str().expect("a text").to_owned()
    }

    /// Says that it is another one, from now on.
    pub(crate) async fn pose_as(&self, name: &str) {
        self.devtools("Network.setUserAgentOverride", json!({ "userAgent": name })).await;
    }

    /// Where it keeps what it knows; its processes name that.
    pub(crate) fn profile(&self) -> &Path {
        self.profile.path()
    }

    /// Ends it in order.
    pub(crate) async fn close(self) {
        self.client.clone().close().await.expect("the end of a browser");
    }

    async fn find(&self, css: &str) -> Element {
        match self.client.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await {
            Ok(element) => element,
            Err(error) => {
                let page = self.client.source().await.unwrap_or_default();
                panic!("there is no `{css}` ({error}) on this page:\n{page}")
            }
        }
    }
}

/// A command beyond those that every driver knows.
#[derive(Debug)]
struct Extension {
    path: String,
    body: Value,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/{}", self.path))
    }

    fn method_and_body(&self, _: &url::Url) -> (hyper::Method, Option<String>) {
        (hyper::Method::POST, Some(self.body.to_string()))
    }
}
