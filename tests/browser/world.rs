//! A gate with its portal, and one browser in front of it.

use mailward::base::{Clock as _, Secret, SystemClock};

use crate::driver::{Browser, Language};
use crate::support::{Gate, GateConfig, Guest, LegacyOptions, LegacyServer, Mail, client};

/// A mail server, a gate with a portal, a browser.
pub(crate) struct World {
    pub(crate) legacy: LegacyServer,
    pub(crate) gate: Gate,
    pub(crate) browser: Browser,
}

impl World {
    /// Ready; the browser shows nothing yet.
    pub(crate) async fn begin(
        language: Language,
        name: &str,
        change: impl FnOnce(GateConfig) -> GateConfig,
    ) -> Self {
        let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
        Self::before(legacy, language, name, |config, _| change(config)).await
    }

    /// The same in front of that mail server.
    pub(crate) async fn before(
        legacy: LegacyServer,
        language: Language,
        name: &str,
        change: impl FnOnce(GateConfig, &LegacyServer) -> GateConfig,
    ) -> Self {
        // Passkeys are for names, not for addresses.
        let config = GateConfig::in_front_of(&legacy).portal_at("localhost");
        let gate = Gate::start(change(config, &legacy));
        let browser = Browser::open(gate.portal(), language, name).await;
        Self { legacy, gate, browser }
    }

    /// Goes to the first page and fills it in.
    pub(crate) async fn give_mailbox_password(&self) {
        self.browser.go("/sign-in").await;
        self.fill_in_mailbox_password(&self.browser).await;
    }

    /// Fills in the first page, where that browser shows it.
    pub(crate) async fn fill_in_mailbox_password(&self, browser: &Browser) {
        let (user, password) = self.legacy.user(0);
        browser.fill("login", user).await;
        browser.fill("password", password).await;
        browser.submit().await;
    }

    /// Signs that browser in from the first page on, with a recovery code in the second step; whether it is to be trusted.
    pub(crate) async fn enter(&self, browser: &Browser, recovery_code: &str, trust: bool) {
        browser.go("/sign-in").await;
        self.fill_in_mailbox_password(browser).await;
        browser.go("/second-factor?use=recovery").await;
        browser.fill("code", recovery_code).await;
        browser.submit().await;
        assert_eq!(browser.path().await, "/trust");
        browser.press(if trust { "button[value=yes]" } else { "button[value=no]" }).await;
        assert_eq!(browser.path().await, "/");
    }

    /// Binds an authenticator app as the first factor; with the recovery codes that come with it.
    pub(crate) async fn bind_totp(&self) -> (Authenticator, Vec<String>) {
        self.browser.go("/second-factors/totp").await;
        let mut authenticator = Authenticator::with(&self.browser.read("#key").await);
        self.browser.fill("code", &authenticator.code().await).await;
        self.browser.submit().await;
        let codes = self.browser.read_all(".codes li").await;
        assert_eq!(codes.len(), 10, "it is the first factor: {}", self.browser.read("main").await);
        (authenticator, codes)
    }

    /// Whether `password` reads the mailbox over IMAP.
    pub(crate) fn reads_mail(&self, password: &str) -> bool {
        let (user, _) = self.legacy.user(0);
        let (port, ca) =
            (self.gate.port("imap", true).to_string(), self.gate.ca_file().display().to_string());
        let at = ["--port", &port, "--tls", "implicit", "--ca", &ca, "--only", "login"];
        let login = ["--user", user, "--password", password];
        client("imap.py", &[&at[..], &login].concat()).status == 0
    }

    /// A mail client that comes in with `password` and stays.
    pub(crate) fn stays_with(&self, password: &str) -> Guest {
        let mut guest = Guest::at(&self.gate, Mail::Imap);
        let said = guest.log_in(self.legacy.user(0).0, password);
        assert!(Mail::Imap.is_yes(&said), "{said}");
        guest
    }

    /// Opens the page that waits for the first login with `app_password`, which comes; then nothing is pressed any more.
    pub(crate) async fn watch_first_login(&self, page: &str, app_password: &str) {
        let browser = &self.browser;
        browser.go(page).await;
        assert!(browser.has(".pulse").await, "nobody has come yet");
        assert!(self.reads_mail(app_password));
        let works = match browser.language() {
            Language::Chinese => "设置成功",
            Language::English => "It works",
        };
        assert_eq!(browser.read(".tone-good + h1").await, works);
        assert!(page.ends_with(&browser.path().await), "it has gone nowhere");
    }

    /// The code that is mailed to `address` next; `before` holds those that were, and gets it.
    pub(crate) async fn mailed_code(&self, address: &str, before: &mut Vec<String>) -> String {
        for _ in 0..60 {
            let codes = self.legacy.mails(address).into_iter().map(|mail| code_in(&mail));
            if let Some(code) = codes.into_iter().find(|code| !before.contains(code)) {
                before.push(code.clone());
                return code;
            }
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
        panic!("no code came for {address}");
    }

    /// Makes an app password in the browser.
    pub(crate) async fn make_app_password(&self, name: &str) -> String {
        self.browser.go("/app-passwords/new").await;
        self.browser.fill("name", name).await;
        self.browser.picture("new-app-password").await;
        self.take_app_password("created-app-password").await
    }

    /// One for reading alone.
    pub(crate) async fn make_read_only_app_password(&self, name: &str) -> String {
        self.browser.go("/app-passwords/new").await;
        self.browser.fill("name", name).await;
        self.browser.click("details.more summary").await;
        self.browser.click("[name=read-only]").await;
        self.take_app_password("created-read-only-app-password").await
    }

    async fn take_app_password(&self, picture: &str) -> String {
        self.browser.submit().await;
        self.browser.picture(picture).await;
        let groups = self.browser.read_all(".secret span").await;
        assert_eq!(groups.iter().map(|group| group.chars().count()).collect::<Vec<_>>(), [4; 4]);
        groups.join(" ")
    }
}

/// An authenticator app that has scanned or been typed a key.
pub(crate) struct Authenticator {
    key: Secret,
    last: u64,
}

impl Authenticator {
    /// With the key as the page shows it.
    pub(crate) fn with(key: &str) -> Self {
        let key: String = key.split_whitespace().collect();
        Self { key: Secret::new(key.into_bytes()), last: 0 }
    }

    /// A code that was not shown before. Of three one after the other the last may take half a minute: the app's clock is
    /// as much ahead as the gate lets it be.
    pub(crate) async fn code(&mut self) -> String {
        loop {
            let now = u64::try_from(SystemClock::start().now().unix_seconds()).expect("after 1970");
            let step = (now / 30).max(self.last + 1);
            if step <= now / 30 + 1 {
                self.last = step;
                let key = std::str::from_utf8(self.key.expose()).expect("base32");
                let secret = totp_rs::Secret::try_from_base32(key).expect("base32");
                let totp = totp_rs::Builder::new().with_secret(secret).build().expect("a key");
                return totp.generate(step * 30).to_string();
            }
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
    }
}

/// A mail client hears why it is out, or nothing more.
pub(crate) fn is_out(guest: &mut Guest) {
    while let Some(line) = guest.wire.next_line() {
        assert!(line.starts_with('*'), "{line}");
    }
}

/// What both languages of a mail say.
fn code_in(mail: &str) -> String {
    let said = |before: &str| mail.lines().find_map(|line| line.trim().strip_prefix(before));
    let code = said("验证码: ").unwrap_or_else(|| panic!("no code in {mail}"));
    assert_eq!(said("Code: "), Some(code), "{mail}");
    code.to_owned()
}

/// Runs one story to its end.
pub(crate) fn tell(story: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(story);
}
