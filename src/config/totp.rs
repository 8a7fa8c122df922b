//! `totp_period` and `totp_digits` of `[policy]`: what authenticator apps are told that are bound from now on. Those that are
//! bound already keep what they were told.

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::duration::DurationText;

/// How an authenticator app makes its codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TotpParameters {
    /// Seconds of a step.
    pub period: u16,
    /// Digits of a code.
    pub digits: u8,
}

impl TotpParameters {
    /// What every authenticator does whatever it is told (RFC 6238 section 5.2, RFC 4226 section 5.3).
    pub const USUAL: Self = Self { period: 30, digits: 6 };

    /// Seconds that a step may have. Shorter ones are over before they are typed; longer ones are good for whoever
    /// looked over a shoulder.
    pub const PERIODS: std::ops::RangeInclusive<u16> = 15..=120;

    /// Digits that a code may have (RFC 4226 section 5.3).
    pub const DIGITS: std::ops::RangeInclusive<u8> = 6..=8;

    /// What the file says; where it says nothing, what is usual.
    pub(super) fn written(period: Option<DurationText>, digits: Option<u8>) -> Self {
        Self {
            period: period.map_or(Self::USUAL.period, whole_seconds),
            digits: digits.unwrap_or(Self::USUAL.digits),
        }
    }
}

fn whole_seconds(time: DurationText) -> u16 {
    u16::try_from(time.0.as_secs()).unwrap_or(u16::MAX)
}

/// The length of a step.
pub(super) fn period<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DurationText>, D::Error> {
    let time = DurationText::deserialize(deserializer)?;
    if time.0.subsec_nanos() != 0 || !TotpParameters::PERIODS.contains(&whole_seconds(time)) {
        return Err(D::Error::custom(
            "is out of range; expected whole seconds from `15s` to `120s`\nhint: write `30s`, which is what every authenticator app can do",
        ));
    }
    Ok(Some(time))
}

/// How long a code is.
pub(super) fn digits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    let digits = i64::deserialize(deserializer)?;
    let digits = u8::try_from(digits).ok().filter(|digits| TotpParameters::DIGITS.contains(digits));
    digits.map(Some).ok_or_else(|| {
        D::Error::custom(
            "is out of range; expected 6, 7 or 8\nhint: write 6, which is what every authenticator app can do",
        )
    })
}
