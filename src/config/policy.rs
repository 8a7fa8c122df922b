//! `[policy]`: who must bind, and what is allowed.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use time::{Month, PrimitiveDateTime, Time};
use toml::Spanned;
use toml::value::{Date, Datetime};

use super::count::Count;
use super::document::{Document, Raw, Section};
use super::domain;
use super::duration::DurationText;
use super::help::{self, Contact, Help};
use super::networks::Networks;
use super::planned::Planned;
use super::schema;
use super::totp::{self, TotpParameters};
use crate::base::{Domain, NetworkList, Timestamp};

/// The rules of every domain.
#[derive(Clone, Debug)]
pub struct Policies {
    /// `[policy]`
    pub default: Policy,
    /// `[policy."domain"]`: the default with what the section overrides.
    pub domains: BTreeMap<Domain, Policy>,
}

impl Policies {
    /// Whether any of them lets this kind be bound.
    #[must_use]
    pub fn offer(&self, kind: FactorKind) -> bool {
        self.default.offers(kind) || self.domains.values().any(|policy| policy.offers(kind))
    }

    /// The rules for accounts of `domain` (folded).
    #[must_use]
    pub fn of(&self, domain: &str) -> &Policy {
        self.domains
            .iter()
            .find(|(name, _)| name.as_str() == domain)
            .map_or(&self.default, |(_, policy)| policy)
    }
}

/// The rules of one domain.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whether a second factor must be bound.
    pub second_factor: Requirement,
    /// Which kinds may be bound; never empty.
    pub factors: Vec<FactorKind>,
    /// Those of them that are shown first, and marked.
    pub recommended: Vec<FactorKind>,
    /// What an authenticator app is told that is bound from now on.
    pub totp: TotpParameters,
    /// What unbinding the last factor does to app passwords.
    pub app_passwords_after_unbind: AfterUnbind,
    /// At least 1.
    pub app_passwords_per_account: u32,
    /// How long a browser may be trusted; zero: it is never offered.
    pub trusted_device: Duration,
    /// Who may bind a first factor.
    pub enrol_by: EnrolBy,
    /// Where a first factor may be bound without a link; empty: anywhere.
    pub enrol_from: NetworkList,
    /// What app passwords are worth where a factor must be bound and none is.
    pub app_passwords_without_factor: WithoutFactor,
    /// What users are told who do not know how to go on.
    pub help: Help,
}

/// As where the file says nothing.
impl Default for Policy {
    fn default() -> Self {
        RawPolicy::default().check()
    }
}

impl Policy {
    /// The kinds that may be bound, those that are recommended first; and whether they are.
    pub fn offered(&self) -> impl Iterator<Item = (FactorKind, bool)> {
        let is_recommended = |kind: FactorKind| self.recommended.contains(&kind);
        let first = self.recommended.iter().copied().filter(|kind| self.factors.contains(kind));
        let rest = self.factors.iter().copied().filter(move |kind| !is_recommended(*kind));
        first.map(|kind| (kind, true)).chain(rest.map(|kind| (kind, false)))
    }

    /// Whether this kind may be bound.
    #[must_use]
    pub fn offers(&self, kind: FactorKind) -> bool {
        self.factors.contains(&kind)
    }

    /// Whether a factor must be bound by now: grace counts from the day the administrator named, never from an account's
    /// first login.
    #[must_use]
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        match self.second_factor {
            Requirement::Required { since, grace } => now >= since.plus(grace),
            Requirement::Optional => false,
        }
    }

    /// Whether app passwords of an account without a factor rest until one is bound. `must_bind`: the account had one
    /// before it was removed and came back.
    #[must_use]
    pub fn app_passwords_rest(&self, must_bind: bool, now: Timestamp) -> bool {
        match self.app_passwords_without_factor {
            WithoutFactor::Stop => must_bind || self.is_overdue(now),
            WithoutFactor::Keep => false,
        }
    }
}

/// Who may bind a first factor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EnrolBy {
    /// Whoever knows the mailbox password, in the networks of `enrol_from`; elsewhere with an administrator's link.
    #[default]
    Anyone,
    /// Nobody without an administrator's link.
    Link,
}

/// What app passwords are worth where a factor must be bound and none is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WithoutFactor {
    /// Once grace is over they rest until one is bound.
    #[default]
    Stop,
    /// They stay good.
    Keep,
}

/// Whether a second factor must be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// It may.
    Optional,
    /// It must; until `since + grace` the mailbox password still passes.
    Required {
        /// `required_since`, midnight UTC.
        since: Timestamp,
        /// `grace_period`
        grace: Duration,
    },
}

impl Requirement {
    /// At once and without grace: since before any day that a file names.
    #[must_use]
    pub fn at_once() -> Self {
        Self::Required { since: Timestamp::from_unix_seconds(-1), grace: Duration::ZERO }
    }
}

/// A kind of second factor that is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FactorKind {
    /// RFC 6238 one-time passwords.
    Totp,
    /// Passkeys and security keys (WebAuthn).
    Passkey,
    /// A code by mail to a mailbox that is not behind the gate.
    Mailbox,
}

impl FactorKind {
    /// Every kind that is built.
    pub const ALL: [Self; 3] = [Self::Totp, Self::Passkey, Self::Mailbox];

    /// Those that may be bound unless the file says otherwise.
    pub const DEFAULT: [Self; 2] = [Self::Totp, Self::Passkey];

    /// The name in configuration, database and audit.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Passkey => "passkey",
            Self::Mailbox => "mailbox",
        }
    }

    /// Its inverse; `None` for a kind that is not built.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// What unbinding the last factor does to app passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AfterUnbind {
    /// They are revoked.
    Stop,
    /// They stay good.
    Keep,
}

/// The rules as written; what a domain's section leaves out is as in `[policy]`.
#[derive(Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawPolicy {
    #[serde(skip_serializing_if = "Option::is_none")]
    second_factor: Option<RawRequirement>,
    #[serde(deserialize_with = "day", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Day>")]
    required_since: Option<Datetime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grace_period: Option<DurationText>,
    #[serde(deserialize_with = "factors", skip_serializing_if = "Option::is_none")]
    factors: Option<Vec<FactorKind>>,
    #[serde(deserialize_with = "recommended", skip_serializing_if = "Option::is_none")]
    recommended: Option<Vec<FactorKind>>,
    #[serde(deserialize_with = "totp::period", skip_serializing_if = "Option::is_none")]
    totp_period: Option<DurationText>,
    #[serde(deserialize_with = "totp::digits", skip_serializing_if = "Option::is_none")]
    totp_digits: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_passwords_after_unbind: Option<AfterUnbind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_passwords_per_account: Option<Count>,
    #[serde(deserialize_with = "trust", skip_serializing_if = "Option::is_none")]
    trusted_device: Option<DurationText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enrol_by: Option<EnrolBy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enrol_from: Option<Networks>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_passwords_without_factor: Option<WithoutFactor>,
    #[serde(deserialize_with = "help::text", skip_serializing_if = "Option::is_none")]
    help_zh: Option<String>,
    #[serde(deserialize_with = "help::text", skip_serializing_if = "Option::is_none")]
    help_en: Option<String>,
    #[serde(deserialize_with = "help::contact", skip_serializing_if = "Option::is_none")]
    contact: Option<String>,
}

#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum RawRequirement {
    Optional,
    Required,
}

impl Raw for RawPolicy {
    const PLANNED: &'static [Planned] =
        &[Planned::key("accounts_per_phone"), Planned::key("accounts_per_wechat")];
}

/// How long the mailbox password still passes after `required_since`, unless the file says otherwise: 14 d.
const DEFAULT_GRACE: Duration = Duration::from_secs(14 * 86_400);

/// How long a browser is trusted unless the file says otherwise: 7 d.
const DEFAULT_TRUST: Duration = Duration::from_secs(7 * 86_400);

/// A trust that outlasts everybody's memory of it protects nobody: 366 d.
const TRUST_MAX: Duration = Duration::from_secs(366 * 86_400);

/// More are hard to tell apart, and each is a door.
const DEFAULT_APP_PASSWORDS: u32 = 20;

impl Policies {
    /// Reads `[policy]` and the sections of domains within it; also says where which domain is ruled.
    pub(super) fn read<'t>(
        mut section: Section<'t>,
        document: &mut Document<'t>,
    ) -> Option<(Self, Vec<Spanned<Domain>>)> {
        let overrides = document.take_named_tables(&mut section, "policy");
        let default: Option<RawPolicy> = document.read(&section);
        let mut ruled: Vec<Spanned<Domain>> = vec![];
        let mut domains = BTreeMap::new();
        for (name, section) in overrides {
            let own: Option<RawPolicy> = document.read(&section);
            let domain = match domain::parse(&name) {
                Ok(domain) => domain,
                Err(text) => {
                    document.problem(&section.span, &text);
                    continue;
                }
            };
            if ruled.iter().any(|other| *other.get_ref() == domain) {
                document.problem(&section.span, &format!("`{domain}` has two sections\nhint: join them"));
            }
            if let (Some(own), Some(default)) = (own, &default) {
                let policy = own.or(default).checked(&section, document);
                domains.insert(domain.clone(), policy);
            }
            ruled.push(Spanned::new(section.span, domain));
        }
        let default = default?.checked(&section, document);
        Some((Self { default, domains }, ruled))
    }
}

impl RawPolicy {
    fn or(self, default: &Self) -> Self {
        let offered = |kind: &FactorKind| self.factors.as_ref().is_none_or(|factors| factors.contains(kind));
        // What the domain does not offer, it does not recommend either.
        let inherited = default.recommended.as_ref();
        let inherited = inherited.map(|kinds| kinds.iter().copied().filter(offered).collect());
        Self {
            second_factor: self.second_factor.or(default.second_factor),
            required_since: self.required_since.or(default.required_since),
            grace_period: self.grace_period.or(default.grace_period),
            factors: self.factors.or_else(|| default.factors.clone()),
            recommended: self.recommended.or(inherited),
            totp_period: self.totp_period.or(default.totp_period),
            totp_digits: self.totp_digits.or(default.totp_digits),
            app_passwords_after_unbind: self
                .app_passwords_after_unbind
                .or(default.app_passwords_after_unbind),
            app_passwords_per_account: self.app_passwords_per_account.or(default.app_passwords_per_account),
            trusted_device: self.trusted_device.or(default.trusted_device),
            enrol_by: self.enrol_by.or(default.enrol_by),
            enrol_from: self.enrol_from.or_else(|| default.enrol_from.clone()),
            app_passwords_without_factor: self
                .app_passwords_without_factor
                .or(default.app_passwords_without_factor),
            help_zh: self.help_zh.or_else(|| default.help_zh.clone()),
            help_en: self.help_en.or_else(|| default.help_en.clone()),
            contact: self.contact.or_else(|| default.contact.clone()),
        }
    }

    /// What does not fit together is told where it stands.
    fn checked(self, section: &Section<'_>, document: &mut Document<'_>) -> Policy {
        let grace = self.grace_period.filter(|grace| !grace.0.is_zero());
        let policy = self.check();
        if grace.is_some() && policy.second_factor == Requirement::at_once() {
            document.problem(
                &section.span,
                "`grace_period` without `required_since` is no grace: a second factor is required at once\nhint: add the day from which on it is required, such as `required_since = 2027-01-01`, or remove `grace_period`",
            );
        }
        if let Some(text) = problem_of(&policy) {
            document.problem(&section.span, &text);
        }
        policy
    }

    fn check(self) -> Policy {
        let since = self.required_since.and_then(|day| midnight(day.date?));
        let second_factor = match (self.second_factor, since) {
            (None | Some(RawRequirement::Optional), _) => Requirement::Optional,
            (Some(RawRequirement::Required), None) => Requirement::at_once(),
            (Some(RawRequirement::Required), Some(since)) => Requirement::Required {
                since,
                grace: self.grace_period.map_or(DEFAULT_GRACE, |grace| grace.0),
            },
        };
        Policy {
            second_factor,
            factors: self.factors.unwrap_or_else(|| FactorKind::DEFAULT.to_vec()),
            recommended: self.recommended.unwrap_or_default(),
            totp: TotpParameters::written(self.totp_period, self.totp_digits),
            app_passwords_after_unbind: self.app_passwords_after_unbind.unwrap_or(AfterUnbind::Stop),
            app_passwords_per_account: self
                .app_passwords_per_account
                .map_or(DEFAULT_APP_PASSWORDS, Count::number),
            trusted_device: self.trusted_device.map_or(DEFAULT_TRUST, |trust| trust.0),
            enrol_by: self.enrol_by.unwrap_or_default(),
            enrol_from: self.enrol_from.map_or_else(NetworkList::default, |networks| networks.0),
            app_passwords_without_factor: self.app_passwords_without_factor.unwrap_or_default(),
            help: Help {
                chinese: self.help_zh.filter(|text| !text.is_empty()),
                english: self.help_en.filter(|text| !text.is_empty()),
                contact: self.contact.and_then(|text| Contact::parse(&text).ok()),
            },
        }
    }
}

impl From<&Policy> for RawPolicy {
    fn from(policy: &Policy) -> Self {
        let (second_factor, required_since, grace_period) = match policy.second_factor {
            Requirement::Optional => (RawRequirement::Optional, None, None),
            at_once if at_once == Requirement::at_once() => (RawRequirement::Required, None, None),
            Requirement::Required { since, grace } => {
                (RawRequirement::Required, Some(day_of(since)), Some(DurationText(grace)))
            }
        };
        Self {
            second_factor: Some(second_factor),
            required_since,
            grace_period,
            factors: Some(policy.factors.clone()),
            recommended: Some(policy.recommended.clone()),
            totp_period: Some(DurationText(Duration::from_secs(policy.totp.period.into()))),
            totp_digits: Some(policy.totp.digits),
            app_passwords_after_unbind: Some(policy.app_passwords_after_unbind),
            app_passwords_per_account: Some(Count::at_least_one(policy.app_passwords_per_account)),
            trusted_device: Some(DurationText(policy.trusted_device)),
            enrol_by: Some(policy.enrol_by),
            enrol_from: Some(Networks(policy.enrol_from.clone())),
            app_passwords_without_factor: Some(policy.app_passwords_without_factor),
            // Also where there is none: a domain's may stand in for the default's.
            help_zh: Some(policy.help.chinese.clone().unwrap_or_default()),
            help_en: Some(policy.help.english.clone().unwrap_or_default()),
            contact: Some(
                policy.help.contact.as_ref().map(|contact| contact.as_str().to_owned()).unwrap_or_default(),
            ),
        }
    }
}

/// How long a browser may be trusted.
fn trust<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DurationText>, D::Error> {
    let trust = DurationText::deserialize(deserializer)?;
    if trust.0 > TRUST_MAX {
        return Err(D::Error::custom(
            "is longer than 366d\nhint: write `7d` or the like; `0` offers it to nobody",
        ));
    }
    Ok(Some(trust))
}

/// A date without a time of day, written without quotes.
fn day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Datetime>, D::Error> {
    let expected =
        "expected a date without quotes\nhint: write `2027-01-01` or the like; it begins at midnight UTC";
    let moment = Datetime::deserialize(deserializer).map_err(|_| D::Error::custom(expected))?;
    match moment {
        Datetime { date: Some(date), time: None, offset: None } if midnight(date).is_some() => {
            Ok(Some(moment))
        }
        _ => Err(D::Error::custom(expected)),
    }
}

fn midnight(date: Date) -> Option<Timestamp> {
    let month = Month::try_from(date.month).ok()?;
    let date = time::Date::from_calendar_date(i32::from(date.year), month, date.day).ok()?;
    Some(Timestamp::new(PrimitiveDateTime::new(date, Time::MIDNIGHT).assume_utc()))
}

fn day_of(at: Timestamp) -> Datetime {
    let date = at.date_time().date();
    let year = u16::try_from(date.year()).unwrap_or_default();
    Date { year, month: date.month().into(), day: date.day() }.into()
}

/// What does not fit together, if anything.
fn problem_of(policy: &Policy) -> Option<String> {
    let unoffered = policy.recommended.iter().find(|kind| !policy.factors.contains(kind))?;
    Some(format!(
        "`recommended` names `{}`, which `factors` does not offer\nhint: add it to `factors`, or recommend another",
        unoffered.as_str()
    ))
}

fn recommended<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<FactorKind>>, D::Error> {
    kinds(deserializer).map(Some)
}

fn factors<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<FactorKind>>, D::Error> {
    let kinds = kinds(deserializer)?;
    if kinds.is_empty() {
        return Err(D::Error::custom(format!(
            "names no second factor\nhint: name at least one of {}",
            built()
        )));
    }
    Ok(Some(kinds))
}

fn built() -> String {
    FactorKind::ALL.map(|kind| format!("`{}`", kind.as_str())).join(", ")
}

fn kinds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<FactorKind>, D::Error> {
    let mut kinds = vec![];
    for name in Vec::<String>::deserialize(deserializer)? {
        match FactorKind::parse(&name) {
            Some(kind) if kinds.contains(&kind) => {}
            Some(kind) => kinds.push(kind),
            None => {
                return Err(D::Error::custom(format!(
                    "the second factor `{name}` is not built yet\nhint: remove it; built are {}",
                    built()
                )));
            }
        }
    }
    Ok(kinds)
}
