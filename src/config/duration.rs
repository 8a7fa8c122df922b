//! Lengths of time as people write them: `"500ms"`, `"30s"`, `"10m"`, `"1h"`, `"14d"`, `"2w"`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DurationText(pub(super) Duration);

/// Text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no duration\nhint: write a whole number and a unit, such as `30s`, `10m`, `1h` or `14d`; 36500d at most"
)]
pub struct InvalidDuration(pub String);

/// Units and their milliseconds, longest first.
const UNITS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A hundred years. What counts in nanoseconds would overflow somewhere beyond.
const LONGEST: Duration = Duration::from_secs(36_500 * 86_400);

/// Reads a whole number and its unit; `0` needs none.
///
/// # Errors
/// [`InvalidDuration`]
pub fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    let invalid = || InvalidDuration(text.to_owned());
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(invalid)?;
    let (number, unit) = text.split_at_checked(digits).ok_or_else(invalid)?;
    let (_, factor) = UNITS.into_iter().find(|(name, _)| *name == unit.trim_start()).ok_or_else(invalid)?;
    let number: u64 = number.parse().map_err(|_| invalid())?;
    let time = number.checked_mul(factor).map(Duration::from_millis);
    time.filter(|time| *time <= LONGEST).ok_or_else(invalid)
}

/// Writes a duration in the largest unit that loses nothing.
#[must_use]
pub fn format(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    UNITS
        .into_iter()
        .skip(1) // people count weeks in days
        .find(|(_, factor)| millis > 0 && millis.is_multiple_of(*factor))
        .map_or_else(|| "0s".to_owned(), |(unit, factor)| format!("{}{unit}", millis / factor))
}

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Visitor)
    }
}

struct Visitor;

impl serde::de::Visitor<'_> for Visitor {
    type Value = DurationText;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a duration in quotes, such as `\"30s\"`, `\"10m\"`, `\"1h\"` or `\"14d\"`")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<DurationText, E> {
        parse(text).map(DurationText).map_err(E::custom)
    }
}

/// A duration that would make no sense as zero.
pub(super) fn longer_than_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DurationText, D::Error> {
    let time = DurationText::deserialize(deserializer)?;
    if time.0.is_zero() {
        return Err(serde::de::Error::custom("must be longer than zero\nhint: write `10s` or the like"));
    }
    Ok(time)
}

/// A duration in days, or none at all: what is shorter is a slip, such as `6m` for six months.
pub(super) fn a_day_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DurationText, D::Error> {
    let time = DurationText::deserialize(deserializer)?;
    if !time.0.is_zero() && time.0 < Duration::from_secs(86_400) {
        return Err(serde::de::Error::custom(
            "must be a day at least, or `0`\nhint: write `180d` for six months; `m` are minutes",
        ));
    }
    Ok(time)
}

impl Serialize for DurationText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in
            [("30s", 30), ("10m", 600), ("1h", 3600), ("14d", 1_209_600), ("2w", 1_209_600)]
        {
            assert_eq!(parse(text).unwrap(), Duration::from_secs(seconds), "{text}");
        }
        assert_eq!(parse("500ms").unwrap(), Duration::from_millis(500));
        assert_eq!(parse("0").unwrap(), Duration::ZERO);
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for bad in
            ["", "30", "s", "1.5h", "-1s", "1y", "1h30m", "99999999999999999999s", "18446744073709551w"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_duration_is_written_in_its_largest_whole_unit() {
        for text in ["500ms", "90s", "35m", "1h", "14d", "0s"] {
            assert_eq!(format(parse(text).unwrap()), text);
        }
    }
}
