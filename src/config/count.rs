//! Whole numbers from 1 on.

use std::num::NonZeroU32;

use serde::{Deserialize, Deserializer, Serialize};

/// A number in the file that cannot be zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct Count(NonZeroU32);

impl Count {
    /// `number`, or 1 for 0.
    pub(super) const fn at_least_one(number: u32) -> Self {
        match NonZeroU32::new(number) {
            Some(number) => Self(number),
            None => Self(NonZeroU32::MIN),
        }
    }

    pub(super) const fn number(self) -> u32 {
        self.0.get()
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        u32::try_from(number).ok().and_then(NonZeroU32::new).map(Self).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "{number} is out of range; expected a whole number from 1 to {}",
                u32::MAX
            ))
        })
    }
}
