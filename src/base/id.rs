//! Identifiers, one type each, so that none can stand in for another.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, sqlx::Type, serde::Serialize, serde::Deserialize)]
        #[sqlx(transparent)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

uuid_id! {
    /// An account: one mail address behind the gate. UUID version 7.
    AccountId
}
uuid_id! {
    /// One app password of an account. UUID version 7.
    AppPasswordId
}
uuid_id! {
    /// One binding of a second factor to an account. UUID version 7.
    FactorId
}
uuid_id! {
    /// One client connection, from accept to close. UUID version 7; `session.id` in logs and audit.
    SessionId
}

uuid_id! {
    /// One browser that somebody is signed in to the portal with. UUID version 7.
    PortalSessionId
}
uuid_id! {
    /// One browser that an account trusts. UUID version 7.
    DeviceId
}

uuid_id! {
    /// One code that was sent by mail. UUID version 7.
    MailCodeId
}
uuid_id! {
    /// One notice to a user. UUID version 7.
    NoticeId
}

/// The `name` of an `[[upstream]]`: stable, chosen by the administrator, bound into sealed passwords.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, sqlx::Type, serde::Serialize, serde::Deserialize,
)]
#[sqlx(transparent)]
#[serde(transparent)]
pub struct UpstreamName(pub String);

impl fmt::Display for UpstreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
