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
use super::networks::Networks;
use super::planned::{Off, Planned};
use super::schema;
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
    /// What unbinding the last factor does to app passwords.
    pub app_passwords_after_unbind: AfterUnbind,
    /// At least 1.
    pub app_passwords_per_account: u32,
    /// How long a browser may be trusted; zero: it is never offered.
    pub trusted_device: Duration,
    /// Where a first factor may be bound; empty: anywhere.
    pub enrol_from: NetworkList,
}

/// Whether a second factor must be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// It may.
    Optional,
    /// It must; until `since + grace` the mailbox password still passes.
    Required {
        /// `required_since`, midnight UTC; the beginning of time where the file says nothing.
        since: Timestamp,
        /// `grace_period`
        grace: Duration,
    },
}

/// A kind of second factor that is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FactorKind {
    /// RFC 6238 one-time passwords.
    Totp,
    /// Passkeys and security keys (WebAuthn).
    Passkey,
}

impl FactorKind {
    /// Every kind that is built.
    pub const ALL: [Self; 2] = [Self::Totp, Self::Passkey];

    /// Those that may be bound unless the file says otherwise.
    pub const DEFAULT: [Self; 2] = [Self::Totp, Self::Passkey];

    /// The name in configuration, database and audit.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Passkey => "passkey",
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
    #[serde(skip_serializing_if = "Option::is_none")]
    app_passwords_after_unbind: Option<AfterUnbind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_passwords_per_account: Option<Count>,
    #[serde(deserialize_with = "trust", skip_serializing_if = "Option::is_none")]
    trusted_device: Option<DurationText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enrol_from: Option<Networks>,
}

#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum RawRequirement {
    Optional,
    Required,
}

impl Raw for RawPolicy {
    const PLANNED: &'static [Planned] = &[
        Planned { key: "recommended", off: Off::Empty },
        Planned::key("accounts_per_phone"),
        Planned::key("accounts_per_wechat"),
    ];
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
                domains.insert(domain.clone(), own.or(default).check());
            }
            ruled.push(Spanned::new(section.span, domain));
        }
        Some((Self { default: default?.check(), domains }, ruled))
    }
}

impl RawPolicy {
    fn or(self, default: &Self) -> Self {
        Self {
            second_factor: self.second_factor.or(default.second_factor),
            required_since: self.required_since.or(default.required_since),
            grace_period: self.grace_period.or(default.grace_period),
            factors: self.factors.or_else(|| default.factors.clone()),
            app_passwords_after_unbind: self
                .app_passwords_after_unbind
                .or(default.app_passwords_after_unbind),
            app_passwords_per_account: self.app_passwords_per_account.or(default.app_passwords_per_account),
            trusted_device: self.trusted_device.or(default.trusted_device),
            enrol_from: self.enrol_from.or_else(|| default.enrol_from.clone()),
        }
    }

    fn check(self) -> Policy {
        let second_factor = match self.second_factor {
            None | Some(RawRequirement::Optional) => Requirement::Optional,
            Some(RawRequirement::Required) => Requirement::Required {
                since: self
                    .required_since
                    .and_then(|day| midnight(day.date?))
                    .unwrap_or_else(|| Timestamp::from_unix_seconds(0)),
                grace: self.grace_period.map_or(DEFAULT_GRACE, |grace| grace.0),
            },
        };
        Policy {
            second_factor,
            factors: self.factors.unwrap_or_else(|| FactorKind::DEFAULT.to_vec()),
            app_passwords_after_unbind: self.app_passwords_after_unbind.unwrap_or(AfterUnbind::Stop),
            app_passwords_per_account: self
                .app_passwords_per_account
                .map_or(DEFAULT_APP_PASSWORDS, Count::number),
            trusted_device: self.trusted_device.map_or(DEFAULT_TRUST, |trust| trust.0),
            enrol_from: self.enrol_from.map_or_else(NetworkList::default, |networks| networks.0),
        }
    }
}

impl From<&Policy> for RawPolicy {
    fn from(policy: &Policy) -> Self {
        let (second_factor, required_since, grace_period) = match policy.second_factor {
            Requirement::Optional => (RawRequirement::Optional, None, None),
            Requirement::Required { since, grace } => {
                (RawRequirement::Required, Some(day_of(since)), Some(DurationText(grace)))
            }
        };
        Self {
            second_factor: Some(second_factor),
            required_since,
            grace_period,
            factors: Some(policy.factors.clone()),
            app_passwords_after_unbind: Some(policy.app_passwords_after_unbind),
            app_passwords_per_account: Some(Count::at_least_one(policy.app_passwords_per_account)),
            trusted_device: Some(DurationText(policy.trusted_device)),
            enrol_from: Some(Networks(policy.enrol_from.clone())),
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

fn factors<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<FactorKind>>, D::Error> {
    let built = || FactorKind::ALL.map(|kind| format!("`{}`", kind.as_str())).join(", ");
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
    if kinds.is_empty() {
        return Err(D::Error::custom(format!(
            "names no second factor\nhint: name at least one of {}",
            built()
        )));
    }
    Ok(Some(kinds))
}
