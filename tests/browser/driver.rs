//! A Chromium of its own for one test, driven over WebDriver (W3C).

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::elements::Element;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use tempfile::TempDir;

/// How long anything may take that a person would wait for.
const PATIENCE: Duration = Duration::from_secs(30);

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
}

/// The width of a phone and of a desk.
const SIZES: [(&str, u32, u32); 2] = [("phone", 390, 844), ("desktop", 1280, 900)];

/// One browser, until dropped.
pub(crate) struct Browser {
    client: Client,
    at: String,
    pictures: PathBuf,
    _driver: Driver,
    profile: TempDir,
}

impl Browser {
    /// Opens one for the portal at `url`; pictures go to a folder called `name`.
    pub(crate) async fn open(url: &str, language: Language, name: &str) -> Self {
        let profile = TempDir::new().expect("a temporary directory");
        let (driver, port) = start_driver(profile.path());
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
                "prefs": {
                    "intl.accept_languages": language.tag(),
                    "download.default_directory": profile.path(),
                    "download.prompt_for_download": false,
                },
            },
        });
        let serde_json::Value::Object(options) = options else { unreachable!() };
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
        Self { client, at: url.to_owned(), pictures, _driver: driver, profile }
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
    /// 11.3); its name is returned.
    pub(crate) async fn add_authenticator(&self) -> String {
        let wanted = json!({
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": true,
            "hasUserVerification": true,
            "isUserVerified": true,
            "isUserConsenting": true,
        });
        let name = self.extension("", wanted).await;
        name.as_str().expect("the name of an authenticator").to_owned()
    }

    /// Whether somebody is there who confirms at the authenticator.
    pub(crate) async fn let_authenticator(&self, authenticator: &str, confirm: bool) {
        self.extension(&format!("/{authenticator}/uv"), json!({ "isUserVerified": confirm })).await;
    }

    async fn extension(&self, path: &str, body: serde_json::Value) -> serde_json::Value {
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
        self.find("main").await;
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

    /// Keeps a picture of the page at both widths.
    pub(crate) async fn picture(&self, name: &str) {
        for (size, width, height) in SIZES {
            self.client.set_window_size(width, height).await.expect("a size");
            let picture = self.client.screenshot().await.expect("a picture");
            fs::write(self.pictures.join(format!("{name}-{size}.png")), picture).expect("a picture");
        }
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

/// A command about authenticators.
#[derive(Debug)]
struct Extension {
    path: String,
    body: serde_json::Value,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/webauthn/authenticator{}", self.path))
    }

    fn method_and_body(&self, _: &url::Url) -> (hyper::Method, Option<String>) {
        (hyper::Method::POST, Some(self.body.to_string()))
    }
}

/// Debian's driver, until dropped.
struct Driver {
    process: Child,
    said: BufReader<ChildStdout>,
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        // The browser's processes, which have this pipe from it, end with it: until then they would write to the profile.
        let _ = self.said.read_to_end(&mut Vec::new());
    }
}

/// One on a port that it chose.
/// Driver and browser leave nothing but in `temporary`: whoever is ended does not clean up.
fn start_driver(temporary: &Path) -> (Driver, u16) {
    let mut process = Command::new("setpriv")
        .args(["--pdeathsig", "TERM", "--", "chromedriver", "--port=0"])
        .env("TMPDIR", temporary)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromedriver, of the package chromium-driver");
    let said = BufReader::new(process.stdout.take().expect("a pipe"));
    // It may say more later, and would be ended by a pipe that nobody holds.
    let mut driver = Driver { process, said };
    let mut heard = String::new();
    while driver.said.read_line(&mut heard).is_ok_and(|read| read > 0) {
        let port = heard.lines().last().and_then(|line| line.split("successfully on port ").nth(1));
        if let Some(port) = port {
            let port = port.trim_end_matches('.').parse().expect("a port");
            return (driver, port);
        }
    }
    panic!("chromedriver did not come up:\n{heard}")
}
