//! Amounts of bytes as people write them: `"64KiB"`, `"256MiB"`, `"1GiB"`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An amount of bytes in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SizeText(pub(super) u64);

/// Text that is no amount of bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no size\nhint: write a whole number and a unit, such as `64KiB`, `256MiB` or `1GiB`; 1024TiB at most"
)]
pub(super) struct InvalidSize(String);

/// Units and their bytes, largest first.
const UNITS: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// More than any disk holds, and far from where offsets overflow.
const LARGEST: u64 = 1 << 50;

/// Reads a whole number and its unit; `0` needs none.
///
/// # Errors
/// [`InvalidSize`]
pub(super) fn parse(text: &str) -> Result<u64, InvalidSize> {
    let invalid = || InvalidSize(text.to_owned());
    if text == "0" {
        return Ok(0);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(invalid)?;
    let (number, unit) = text.split_at_checked(digits).ok_or_else(invalid)?;
    let (_, factor) = UNITS.into_iter().find(|(name, _)| *name == unit.trim_start()).ok_or_else(invalid)?;
    let number: u64 = number.parse().map_err(|_| invalid())?;
    number.checked_mul(factor).filter(|bytes| *bytes <= LARGEST).ok_or_else(invalid)
}

/// Writes an amount in the largest unit that loses nothing.
#[must_use]
pub(super) fn format(bytes: u64) -> String {
    let unit = UNITS.into_iter().find(|(_, factor)| bytes > 0 && bytes.is_multiple_of(*factor));
    unit.map_or_else(|| "0".to_owned(), |(name, factor)| format!("{}{name}", bytes / factor))
}

impl<'de> Deserialize<'de> for SizeText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Visitor)
    }
}

struct Visitor;

impl serde::de::Visitor<'_> for Visitor {
    type Value = SizeText;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a size in quotes, such as `\"64KiB\"`, `\"256MiB\"` or `\"1GiB\"`")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<SizeText, E> {
        parse(text).map(SizeText).map_err(E::custom)
    }
}

impl Serialize for SizeText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written_alike() {
        for (text, bytes) in
            [("64KiB", 65_536), ("256MiB", 256 << 20), ("1GiB", 1 << 30), ("7B", 7), ("0", 0)]
        {
            assert_eq!(parse(text), Ok(bytes));
            assert_eq!(format(bytes), text);
        }
        assert_eq!(format(1536), "1536B");
        for wrong in ["", "MiB", "1", "1 MB", "1.5GiB", "-1B", "2000TiB", "99999999999999999999B", "1mib"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
