//! Moments on the command line.

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime, PrimitiveDateTime, Time};

use crate::base::Timestamp;
use crate::config::parse_duration;

/// Reads `2026-11-21T08:00:00Z`, `2026-11-21` (its midnight, UTC), `2026-11-21 08:00` (UTC), or a duration such
/// as `2h`: so long before `now`.
pub(super) fn parse(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(moment) = OffsetDateTime::parse(text, &Rfc3339) {
        return Ok(Timestamp::new(moment));
    }
    if let Ok(day) = Date::parse(text, format_description!("[year]-[month]-[day]")) {
        return Ok(Timestamp::new(PrimitiveDateTime::new(day, Time::MIDNIGHT).assume_utc()));
    }
    if let Ok(minute) =
        PrimitiveDateTime::parse(text, format_description!("[year]-[month]-[day] [hour]:[minute]"))
    {
        return Ok(Timestamp::new(minute.assume_utc()));
    }
    if let Ok(ago) = parse_duration(text) {
        return Ok(now.minus(ago));
    }
    Err(format!(
        "`{text}` is no time\nhint: write `2026-11-21`, `2026-11-21 08:00` or `2026-11-21T08:00:00Z` (UTC), or how long ago, such as `2h` or `7d`"
    ))
}

/// A moment as lists show it: UTC, to the second.
pub(super) fn show(at: Timestamp) -> String {
    let at = at.date_time();
    let whole = at.replace_microsecond(0).unwrap_or(at);
    Timestamp::new(whole).to_string()
}

/// The same for a moment that may not have come.
pub(super) fn show_or(at: Option<Timestamp>, otherwise: &str) -> String {
    at.map_or_else(|| otherwise.to_owned(), show)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_every_usual_form() {
        let now = Timestamp::parse("2026-11-21T08:00:00.123Z").unwrap();
        for (text, expected) in [
            ("2026-11-20T23:30:00+08:00", "2026-11-20T15:30:00Z"),
            ("2026-11-20", "2026-11-20T00:00:00Z"),
            ("2026-11-20 23:30", "2026-11-20T23:30:00Z"),
            ("2h", "2026-11-21T06:00:00Z"),
        ] {
            assert_eq!(show(parse(text, now).unwrap()), expected, "{text}");
        }
        assert!(parse("yesterday", now).is_err());
    }
}
