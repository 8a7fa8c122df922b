//! `[[upstream]]`: the legacy servers and how the gate logs in there.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use toml::Spanned;

use super::aliases::{AliasesError, AliasesFile};
use super::document::{Document, Raw};
use super::domain::{DomainPattern, DomainText, PatternText};
use super::duration::{self, DurationText};
use super::endpoint::{Endpoint, RawEndpoint};
use super::forward_client::ForwardClient;
use super::limits::{Rate, RawRate};
use super::login::LoginRewrite;
use super::master::{Master, RawMaster};
use super::policy::{Policy, Requirement};
use super::schema;
use super::server::is_hostname;
use super::sub_address::SubAddressDelimiter;
use crate::base::{Domain, Protocol, UpstreamName};

/// A legacy mail server.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Stable name; sealed passwords are bound to it.
    pub name: UpstreamName,
    /// Which domains it serves.
    pub domains: Vec<DomainPattern>,
    /// What a bare local part means.
    pub default_domain: Option<Domain>,
    /// Other names of `default_domain`.
    pub domain_aliases: Vec<Domain>,
    /// Those of its domains that the file names in Unicode: the server hears that spelling of them.
    pub unicode_domains: Vec<Domain>,
    /// Other names of single mailboxes.
    pub aliases: Option<AliasesFile>,
    /// What makes a name a sub-address of another.
    pub sub_address_delimiter: SubAddressDelimiter,
    /// Host names under which its clients connect, in lower case; perhaps none.
    pub hostnames: Vec<String>,
    /// Who may appear; `None` where the file leaves it to the policy (`listed` where binding is required).
    pub accounts: Option<AccountAdmission>,
    /// How the login name is spelled upstream.
    pub login: LoginRewrite,
    /// How the gate logs in for a client that used an app password.
    pub credential: UpstreamCredential,
    /// Where its IMAP is, if it has any; likewise the others.
    pub imap: Option<Endpoint>,
    /// POP3.
    pub pop3: Option<Endpoint>,
    /// SMTP submission.
    pub smtp: Option<Endpoint>,
    /// How it hears where a client comes from.
    pub forward_client: ForwardClient,
    /// Dial, TLS and greeting together.
    pub connect_deadline: Duration,
    /// From the greeting to the answer to the login.
    pub login_deadline: Duration,
    /// How often what it offers is learned again.
    pub refresh: Duration,
    /// Sessions and logins under way that it may have from this process, over all protocols; 0: any number.
    pub max_connections: u32,
    /// Upstreams whose mailbox passwords are good here, too.
    pub same_passwords_as: Vec<UpstreamName>,
    /// Failed logins that it may see, before the gate keeps passwords to itself. 60 in 1 min.
    pub failures_in_all: Rate,
    /// The same for one account. 10 in 10 min.
    pub failures_per_account: Rate,
}

impl Upstream {
    /// Where `protocol` is spoken, if it is.
    #[must_use]
    pub fn endpoint(&self, protocol: Protocol) -> Option<&Endpoint> {
        match protocol {
            Protocol::Imap => self.imap.as_ref(),
            Protocol::Pop3 => self.pop3.as_ref(),
            Protocol::Smtp => self.smtp.as_ref(),
        }
    }
}

/// Which accounts an upstream has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AccountAdmission {
    /// An account appears at its first successful mailbox-password login.
    FirstLogin,
    /// Only accounts added by an administrator (or by making an app password).
    Listed,
}

impl AccountAdmission {
    /// What holds for accounts under `policy` at an upstream whose section says `written`.
    #[must_use]
    pub fn in_force(written: Option<Self>, policy: &Policy) -> Self {
        written.unwrap_or(match policy.second_factor {
            Requirement::Optional => Self::FirstLogin,
            Requirement::Required { .. } => Self::Listed,
        })
    }
}

/// How the gate logs in upstream for a client that used an app password.
#[derive(Clone, Debug)]
pub enum UpstreamCredential {
    /// With the mailbox password, sealed to the app password.
    Sealed,
    /// As a master user.
    Master(Master),
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawUpstream {
    #[serde(deserialize_with = "name")]
    #[schemars(with = "schema::Name")]
    name: Spanned<String>,
    #[schemars(with = "Vec<PatternText>")]
    domains: Spanned<Vec<Spanned<PatternText>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<DomainText>")]
    default_domain: Option<Spanned<DomainText>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<DomainText>")]
    domain_aliases: Vec<Spanned<DomainText>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "hostnames")]
    #[schemars(with = "Vec<schema::HostName>")]
    hostnames: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<PathBuf>")]
    aliases_file: Option<Spanned<PathBuf>>,
    #[serde(default)]
    sub_address_delimiter: SubAddressDelimiter,
    #[serde(skip_serializing_if = "Option::is_none")]
    accounts: Option<AccountAdmission>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<LoginRewrite>")]
    login: Option<Spanned<LoginRewrite>>,
    #[serde(default)]
    credential: RawCredential,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<RawEndpoint>")]
    imap: Option<Spanned<RawEndpoint>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<RawEndpoint>")]
    pop3: Option<Spanned<RawEndpoint>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<RawEndpoint>")]
    smtp: Option<Spanned<RawEndpoint>>,
    #[serde(default)]
    forward_client: ForwardClient,
    #[serde(default = "five_seconds", deserialize_with = "duration::longer_than_zero")]
    connect_deadline: DurationText,
    #[serde(default = "thirty_seconds", deserialize_with = "duration::longer_than_zero")]
    login_deadline: DurationText,
    #[serde(default = "ten_minutes", deserialize_with = "duration::longer_than_zero")]
    refresh: DurationText,
    #[serde(default)]
    max_connections: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "names")]
    same_passwords_as: Vec<String>,
    #[serde(default = "sixty_in_a_minute")]
    failures_in_all: RawRate,
    #[serde(default = "ten_in_ten_minutes")]
    failures_per_account: RawRate,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<RawMaster>")]
    master: Option<Spanned<RawMaster>>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum RawCredential {
    #[default]
    Sealed,
    Master,
}

impl Raw for RawUpstream {}

impl RawUpstream {
    /// Notes in `document` what does not fit together; then there is no upstream.
    pub(super) fn check(
        mut self,
        span: &Range<usize>,
        base: &Path,
        document: &mut Document<'_>,
    ) -> Option<Upstream> {
        if self.imap.is_none() && self.pop3.is_none() && self.smtp.is_none() {
            document.problem(
                span,
                "`[[upstream]]` has none of `imap`, `pop3` and `smtp`\nhint: write `imap = { address = [\"10.0.0.5:143\"], tls = \"starttls\" }` or the like",
            );
        }
        self.check_domains(document);
        self.check_login(document);
        let unicode_domains = self.unicode_domains();
        let aliases = self.aliases_file.take().and_then(|file| aliases(&file, base, document));
        let credential = self.credential(span, document);
        let mut endpoint = |raw: Option<Spanned<RawEndpoint>>| {
            let raw = raw?;
            let span = raw.span();
            raw.into_inner().check(base).map_err(|text| document.problem(&span, &text)).ok()
        };
        let (imap, pop3, smtp) = (endpoint(self.imap), endpoint(self.pop3), endpoint(self.smtp));
        let upstream = Upstream {
            name: UpstreamName(self.name.into_inner()),
            domains: self.domains.get_ref().iter().map(|text| text.get_ref().pattern()).collect(),
            default_domain: self.default_domain.map(|text| text.into_inner().domain),
            domain_aliases: self.domain_aliases.into_iter().map(|text| text.into_inner().domain).collect(),
            unicode_domains,
            aliases,
            sub_address_delimiter: self.sub_address_delimiter,
            hostnames: self.hostnames,
            accounts: self.accounts,
            login: self.login.map(Spanned::into_inner).unwrap_or_default(),
            credential: match credential? {
                None => UpstreamCredential::Sealed,
                Some(raw) => UpstreamCredential::Master(raw.check(base)),
            },
            imap,
            pop3,
            smtp,
            forward_client: self.forward_client,
            connect_deadline: self.connect_deadline.0,
            login_deadline: self.login_deadline.0,
            refresh: self.refresh.0,
            max_connections: self.max_connections,
            same_passwords_as: self.same_passwords_as.into_iter().map(UpstreamName).collect(),
            failures_in_all: self.failures_in_all.rate(),
            failures_per_account: self.failures_per_account.rate(),
        };
        upstream.forward_client.check(&upstream, span, document);
        Some(upstream)
    }

    fn check_domains(&self, document: &mut Document<'_>) {
        let domains = self.domains.get_ref();
        if domains.is_empty()
            && let Some(alias) = self.domain_aliases.first()
        {
            document.problem(
                &alias.span(),
                "`domain_aliases` lead to an upstream that has no `domains`\nhint: write them where the domain is served; accounts that are bound to this one keep their names",
            );
        }
        if let Some(default) = &self.default_domain {
            let wanted = &default.get_ref().domain;
            // Without domains it says whose bare names the server knows.
            if !domains.is_empty() && !self.serves(wanted) {
                document.problem(
                    &default.span(),
                    &format!(
                        "`default_domain` `{wanted}` is none of this upstream's `domains`\nhint: add it there"
                    ),
                );
            }
        } else if let Some(alias) = self.domain_aliases.first() {
            document.problem(
                &alias.span(),
                "`domain_aliases` are other names of `default_domain`, which is missing\nhint: add `default_domain`",
            );
        }
    }

    /// Two addresses that the server hears as one name would be two accounts with one mailbox.
    fn check_login(&self, document: &mut Document<'_>) {
        let Some(login) = &self.login else { return };
        let several = match self.domains.get_ref().as_slice() {
            [one] => matches!(one.get_ref(), PatternText::Any),
            // Accounts of any domain may be bound to it; of bare names `Directory::at` takes care.
            [] => login.get_ref().carries_domain(),
            [_, _, ..] => true,
        };
        if several && !login.get_ref().keeps_domains_apart() {
            document.problem(
                &login.span(),
                "the template of `login` can make the same name of two addresses\nhint: put a sign between `{local}` and `{domain}` that no domain holds, such as `@` or `%`, or name a single domain in `domains`",
            );
        }
    }

    /// What `domains` says counts, then what `default_domain` says.
    fn unicode_domains(&self) -> Vec<Domain> {
        let exact = || {
            self.domains.get_ref().iter().filter_map(|text| match text.get_ref() {
                PatternText::Exact(text) => Some(text),
                PatternText::Any => None,
            })
        };
        let default = self.default_domain.as_ref().map(Spanned::get_ref);
        let default = default.filter(|default| exact().all(|named| named.domain != default.domain));
        exact().chain(default).filter(|text| text.in_unicode).map(|text| text.domain.clone()).collect()
    }

    /// The master section if it is wanted; `None` where the two keys contradict each other.
    fn credential(&mut self, span: &Range<usize>, document: &mut Document<'_>) -> Option<Option<RawMaster>> {
        match (self.credential, self.master.take()) {
            (RawCredential::Sealed, None) => Some(None),
            (RawCredential::Master, Some(master)) => Some(Some(master.into_inner())),
            (RawCredential::Sealed, Some(master)) => {
                document.problem(
                    &master.span(),
                    "`[upstream.master]` is not used with `credential = \"sealed\"`\nhint: set `credential = \"master\"` or remove the section",
                );
                None
            }
            (RawCredential::Master, None) => {
                document.problem(
                    span,
                    "`credential = \"master\"` needs `[upstream.master]`\nhint: add the section with `user`, `password_file` and `style`",
                );
                None
            }
        }
    }

    /// Every name that leads here, with its place: no two upstreams may share one.
    pub(super) fn claims(&self) -> (Spanned<String>, Vec<Spanned<String>>) {
        let text = |text: &PatternText| match text {
            PatternText::Exact(text) => text.domain.to_string(),
            PatternText::Any => "*".to_owned(),
        };
        let domains = self.domains.get_ref().iter().map(|d| Spanned::new(d.span(), text(d.get_ref())));
        let aliases =
            self.domain_aliases.iter().map(|d| Spanned::new(d.span(), d.get_ref().domain.to_string()));
        (self.name.clone(), domains.chain(aliases).collect())
    }

    /// What it is called.
    pub(super) fn name(&self) -> &str {
        self.name.get_ref()
    }

    /// Whether it has an endpoint for `protocol`.
    pub(super) fn speaks(&self, protocol: Protocol) -> bool {
        match protocol {
            Protocol::Imap => self.imap.is_some(),
            Protocol::Pop3 => self.pop3.is_some(),
            Protocol::Smtp => self.smtp.is_some(),
        }
    }

    /// Whether `domain` is another name of the default domain.
    pub(super) fn is_alias(&self, domain: &Domain) -> bool {
        self.domain_aliases.iter().any(|alias| alias.get_ref().domain == *domain)
    }

    /// Whether accounts of `domain` are here.
    pub(super) fn serves(&self, domain: &Domain) -> bool {
        self.domains.get_ref().iter().any(|text| match text.get_ref() {
            PatternText::Exact(exact) => exact.domain == *domain,
            PatternText::Any => true,
        })
    }
}

impl From<&Upstream> for RawUpstream {
    fn from(upstream: &Upstream) -> Self {
        let text = |domain: &Domain| DomainText {
            domain: domain.clone(),
            in_unicode: upstream.unicode_domains.contains(domain),
        };
        let domain = |domain: &Domain| nowhere(text(domain));
        let pattern = |pattern: &DomainPattern| match pattern {
            DomainPattern::Exact(domain) => nowhere(PatternText::Exact(text(domain))),
            DomainPattern::Any => nowhere(PatternText::Any),
        };
        let endpoint = |endpoint: &Option<Endpoint>| endpoint.as_ref().map(|e| nowhere(RawEndpoint::from(e)));
        let (credential, master) = match &upstream.credential {
            UpstreamCredential::Sealed => (RawCredential::Sealed, None),
            UpstreamCredential::Master(master) => (RawCredential::Master, Some(nowhere(master.into()))),
        };
        Self {
            name: nowhere(upstream.name.0.clone()),
            domains: nowhere(upstream.domains.iter().map(pattern).collect()),
            default_domain: upstream.default_domain.as_ref().map(domain),
            domain_aliases: upstream.domain_aliases.iter().map(domain).collect(),
            aliases_file: upstream.aliases.as_ref().map(|file| nowhere(file.path.clone())),
            sub_address_delimiter: upstream.sub_address_delimiter.clone(),
            hostnames: upstream.hostnames.clone(),
            accounts: upstream.accounts,
            login: Some(nowhere(upstream.login.clone())),
            credential,
            imap: endpoint(&upstream.imap),
            pop3: endpoint(&upstream.pop3),
            smtp: endpoint(&upstream.smtp),
            forward_client: upstream.forward_client,
            connect_deadline: DurationText(upstream.connect_deadline),
            login_deadline: DurationText(upstream.login_deadline),
            refresh: DurationText(upstream.refresh),
            max_connections: upstream.max_connections,
            same_passwords_as: upstream.same_passwords_as.iter().map(|name| name.0.clone()).collect(),
            failures_in_all: upstream.failures_in_all.into(),
            failures_per_account: upstream.failures_per_account.into(),
            master,
        }
    }
}

/// Reads the file that `aliases_file` names; an empty name asks for none.
fn aliases(file: &Spanned<PathBuf>, base: &Path, document: &mut Document<'_>) -> Option<AliasesFile> {
    if file.get_ref().as_os_str().is_empty() {
        return None;
    }
    let path = base.join(file.get_ref());
    match AliasesFile::read(&path) {
        Ok(aliases) => return Some(aliases),
        Err(AliasesError::File(text)) => document.problem(&file.span(), &text),
        Err(AliasesError::Lines(problems)) => document.problems_in(&path, problems),
    }
    None
}

fn nowhere<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Spanned<String>, D::Error> {
    let name = Spanned::<String>::deserialize(deserializer)?;
    check_name(name.get_ref())?;
    Ok(name)
}

/// They may be of upstreams that are gone.
fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    names.iter().try_for_each(|name| check_name(name))?;
    Ok(names)
}

/// Short, and free of what would need quoting in a log or a command.
fn check_name<E: Error>(text: &str) -> Result<(), E> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if (1..=64).contains(&text.len()) && text.bytes().all(plain) {
        return Ok(());
    }
    Err(E::custom(format!(
        "`{text}` is no name\nhint: write up to 64 letters, digits, `-`, `_` or `.`; never change it later, sealed passwords are bound to it"
    )))
}

/// As clients send them in the TLS handshake: without a port or a final dot (RFC 6066 section 3).
fn hostnames<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    match names.iter().find(|name| !is_hostname(name)) {
        None => Ok(names.iter().map(|name| name.to_ascii_lowercase()).collect()),
        Some(name) => Err(D::Error::custom(format!(
            "`{name}` is no host name\nhint: write the names that clients of this server are set up with, such as `imap.example.org`"
        ))),
    }
}

fn five_seconds() -> DurationText {
    DurationText(Duration::from_secs(5))
}

fn thirty_seconds() -> DurationText {
    DurationText(Duration::from_secs(30))
}

fn ten_minutes() -> DurationText {
    DurationText(Duration::from_secs(600))
}

fn sixty_in_a_minute() -> RawRate {
    RawRate::new(60, Duration::from_secs(60))
}

fn ten_in_ten_minutes() -> RawRate {
    RawRate::new(10, Duration::from_secs(600))
}
