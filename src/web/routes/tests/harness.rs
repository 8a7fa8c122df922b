//! A site with pages, and a browser that keeps cookies.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use regex::Regex;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;

use crate::audit::event::Ground;
use crate::base::{ClientAddress, Clock};
use crate::config::Config;
use crate::portal::testing;
use crate::protocol::Refusal;
use crate::store::Store;
use crate::web::{CertificateInForce, Web};

pub(super) use crate::portal::testing::{ALICE, BOB, MAILBOX};

/// Everything behind the pages.
pub(super) struct Site {
    pub(super) web: Web,
    pub(super) store: Store,
    behind: testing::Site,
}

/// A certificate for the portal's name, that nobody knows.
fn certificate() -> CertificateInForce {
    let made = rcgen::generate_simple_self_signed(["mail.example.org".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let certified = CertifiedKey::from_der(vec![made.cert.der().clone()], key, &provider).unwrap();
    CertificateInForce::new(Arc::new(certified))
}

impl Site {
    pub(super) async fn open() -> Self {
        Self::with("").await
    }

    /// With `more` behind the configuration.
    pub(super) async fn with(more: &str) -> Self {
        Self::over(testing::Site::with(more, |_| ()).await)
    }

    /// With pages that begin at `base`.
    pub(super) async fn below(base: &str) -> Self {
        let change = |config: &mut Config| config.portal.as_mut().unwrap().public_url += base;
        Self::over(testing::Site::with("", change).await)
    }

    fn over(behind: testing::Site) -> Self {
        let store = behind.store().clone();
        let clock: Arc<dyn Clock> = behind.clock.clone();
        let web = Web::new(Arc::clone(&behind.portal), clock, certificate());
        Self { web, store, behind }
    }

    pub(super) fn later(&self, seconds: u64) {
        self.behind.clock.advance(Duration::from_secs(seconds));
    }

    /// A reload, with `more` behind the configuration.
    pub(super) fn adopt(&self, more: &str) {
        self.behind.adopt(more);
    }

    /// What an administrator's link holds.
    pub(super) async fn invite(&self, name: &str) -> String {
        self.behind.invite(name).await.text().to_string()
    }

    /// Mail clients with these names come in with the mailbox password, now.
    pub(super) async fn used_mailbox_password(&self, name: &str, programs: &[&str]) {
        self.behind.used_mailbox_password(name, programs).await;
    }

    /// A second later a mail client tries to get in as Alice.
    pub(super) async fn mail_login(&self, program: &str, ended: Result<(), Ground>) {
        self.behind.mail_login(program, ended).await;
    }

    /// A mail client tries to get in, and the upstream says what is true; why it is not, if it is not in.
    pub(super) async fn log_in(
        &self,
        name: &str,
        password: &str,
        program: Option<&str>,
    ) -> Result<(), Refusal> {
        self.behind.log_in(name, password, program).await
    }

    /// A mail client of the account's is in.
    pub(super) async fn mail_client(&self, name: &str) {
        self.behind.mail_client(name).await;
    }

    /// The code that was mailed last.
    pub(super) fn mailed(&self) -> String {
        self.behind.mails.sent.lock().unwrap().last().unwrap().1.clone()
    }

    /// How many codes were mailed.
    pub(super) fn mails(&self) -> usize {
        self.behind.mails.sent.lock().unwrap().len()
    }

    pub(super) fn relay_goes_down(&self) {
        self.behind.mails.down.store(true, Ordering::SeqCst);
    }

    pub(super) fn upstream_goes_down(&self) {
        self.behind.mailboxes.down.store(true, Ordering::SeqCst);
    }

    /// From now on this is the password of that mailbox.
    pub(super) fn change_mailbox_password(&self, name: &str, password: &str) {
        self.behind.mailboxes.passwords.lock().unwrap().insert(name.to_owned(), password.to_owned());
    }

    /// How often the upstream was asked for a mailbox password.
    pub(super) fn upstream_was_asked(&self) -> usize {
        self.behind.mailboxes.asked.load(Ordering::SeqCst)
    }

    /// The code of an authenticator that was given `key`, in a step that was not used yet.
    pub(super) fn next_code(&self, key: &str) -> String {
        self.later(30);
        self.code(key)
    }

    /// The code of this moment.
    pub(super) fn code(&self, key: &str) -> String {
        let uri = format!("otpauth://totp/x:y?secret={key}&issuer=x");
        let seconds = u64::try_from(self.behind.clock.now().unix_seconds()).unwrap();
        totp_rs::Totp::from_url(uri).unwrap().generate(seconds).to_string()
    }

    pub(super) fn browser(&self) -> Browser<'_> {
        let agent = "Mozilla/5.0 (Windows NT 10.0) Chrome/142.0.0.0 Safari/537.36";
        Browser { site: self, cookies: BTreeMap::new(), language: "en", network: [192, 0, 2, 1], agent }
    }

    /// Sends them all at once.
    pub(super) async fn at_once(&self, requests: impl IntoIterator<Item = Request<Body>>) -> Vec<Seen> {
        let sent = requests.into_iter().map(|request| {
            let web = self.web.clone();
            tokio::spawn(async move { Seen::of(web.answer(request).await).await })
        });
        let mut answers = Vec::new();
        for answer in sent.collect::<Vec<_>>() {
            answers.push(answer.await.unwrap());
        }
        answers
    }

    /// A browser in which somebody without a second factor is signed in.
    pub(super) async fn signed_in(&self, name: &str) -> Browser<'_> {
        let mut browser = self.browser();
        let seen = browser.sign_in(name, MAILBOX).await;
        assert_eq!(seen.status, StatusCode::SEE_OTHER, "{}", seen.text);
        browser
    }

    /// The same with an authenticator: its key, and the recovery codes.
    pub(super) async fn bound(&self, name: &str) -> (Browser<'_>, String, Vec<String>) {
        let mut browser = self.signed_in(name).await;
        let seen = browser.get("/second-factors/totp").await;
        let key = seen.first(r#"data-copy="([A-Z2-7]+)""#);
        let code = self.next_code(&key);
        let seen = browser.post("/second-factors/totp", &[("code", &code)], &seen.form_token()).await;
        assert_eq!(seen.status, StatusCode::OK, "{}", seen.text);
        let codes = seen.all(r"<li>([a-z2-9 ]+)</li>");
        assert_eq!(codes.len(), 10, "{}", seen.text);
        (browser, key, codes)
    }
}

/// A browser.
pub(super) struct Browser<'s> {
    site: &'s Site,
    pub(super) cookies: BTreeMap<String, String>,
    pub(super) language: &'static str,
    /// Where it is.
    pub(super) network: [u8; 4],
    /// What it says it is.
    pub(super) agent: &'static str,
}

impl Browser<'_> {
    pub(super) async fn get(&mut self, path: &str) -> Seen {
        let request = Request::get(path).body(Body::empty()).unwrap();
        self.ask(request).await
    }

    /// Sends a form with the token that a page of this session gave.
    pub(super) async fn post(&mut self, path: &str, fields: &[(&str, &str)], token: &str) -> Seen {
        let request = self.form(path, fields, token);
        self.ask(request).await
    }

    /// What that would send, for whoever sends it often.
    pub(super) fn form(&self, path: &str, fields: &[(&str, &str)], token: &str) -> Request<Body> {
        let mut fields = fields.to_vec();
        fields.push(("form", token));
        self.dressed(bare(path, &fields, Some("same-origin")))
    }

    pub(super) async fn post_bare(
        &mut self,
        path: &str,
        fields: &[(&str, &str)],
        from: Option<&str>,
    ) -> Seen {
        self.ask(bare(path, fields, from)).await
    }

    pub(super) async fn sign_in(&mut self, name: &str, password: &str) -> Seen {
        self.sign_in_at("/sign-in", name, password).await
    }

    pub(super) async fn sign_in_at(&mut self, path: &str, name: &str, password: &str) -> Seen {
        self.post_bare(path, &[("login", name), ("password", password)], Some("same-origin")).await
    }

    /// A page of this session, for the token in it.
    pub(super) async fn token(&mut self) -> String {
        self.get("/guides").await.form_token()
    }

    pub(super) async fn ask(&mut self, request: Request<Body>) -> Seen {
        let answer = self.site.web.answer(self.dressed(request)).await;
        let seen = Seen::of(answer).await;
        self.keep(&seen);
        seen
    }

    /// With everything that it says of itself.
    fn dressed(&self, mut request: Request<Body>) -> Request<Body> {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let headers = request.headers_mut();
        headers.insert("cookie", cookies.join("; ").parse().unwrap());
        headers.insert("accept-language", self.language.parse().unwrap());
        headers.insert("user-agent", self.agent.parse().unwrap());
        request.extensions_mut().insert(ClientAddress::new(self.network.into()));
        request
    }

    /// Keeps the cookies that come with an answer.
    pub(super) fn keep(&mut self, seen: &Seen) {
        for line in seen.headers.get_all("set-cookie") {
            let line = line.to_str().unwrap();
            assert!(line.contains("; Path=/; Secure; HttpOnly; SameSite=Lax"), "{line}");
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if line.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

/// A form as any program sends it.
fn bare(path: &str, fields: &[(&str, &str)], from: Option<&str>) -> Request<Body> {
    let body: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    let mut request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
    if let Some(from) = from {
        request = request.header("sec-fetch-site", from);
    }
    request.body(Body::from(body.join("&"))).unwrap()
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// An answer.
pub(super) struct Seen {
    pub(super) status: StatusCode,
    pub(super) headers: axum::http::HeaderMap,
    pub(super) text: String,
    pub(super) body: Vec<u8>,
}

impl Seen {
    async fn of(answer: Response<Body>) -> Self {
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        let text = String::from_utf8_lossy(&body).into_owned();
        Self { status: parts.status, headers: parts.headers, text, body }
    }

    /// Where it leads, if it leads somewhere.
    pub(super) fn leads_to(&self) -> Option<&str> {
        let to = self.headers.get("location")?.to_str().unwrap();
        assert_eq!(self.status, StatusCode::SEE_OTHER);
        Some(to)
    }

    pub(super) fn form_token(&self) -> String {
        self.first(r#"name="form" value="([^"]*)""#)
    }

    pub(super) fn first(&self, pattern: &str) -> String {
        let found = self.all(pattern).into_iter().next();
        found.unwrap_or_else(|| panic!("no {pattern} in {} {}", self.status, self.text))
    }

    pub(super) fn all(&self, pattern: &str) -> Vec<String> {
        let pattern = Regex::new(pattern).unwrap();
        pattern.captures_iter(&self.text).map(|found| found[1].to_owned()).collect()
    }
}
