//! Lists of networks: `["192.0.2.0/24", "2001:db8::1"]`.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::base::NetworkList;

/// A list of networks, one text each.
#[derive(Clone, Default)]
pub(super) struct Networks(pub(super) NetworkList);

impl<'de> Deserialize<'de> for Networks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = Vec::<String>::deserialize(deserializer)?;
        NetworkList::parse_items(items.iter().map(String::as_str)).map(Self).map_err(D::Error::custom)
    }
}

impl Serialize for Networks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0.to_string();
        serializer.collect_seq(text.split(',').filter(|item| !item.is_empty()))
    }
}
