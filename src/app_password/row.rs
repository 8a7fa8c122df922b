//! What a row of `app_passwords` says, and the MAC that shows whether anybody changed it.
//!
//! The database is trusted for availability only. Whoever can write it could swap in a public key of their
//! own and wait for the next mailbox password to be sealed to it, or move a row to another account: so nothing
//! of a row is used before its MAC under the site's key file is checked.

use crate::base::key::Purpose;
use crate::base::{Access, SiteKey, Timestamp};
use crate::store::AppPasswordRecord;

use super::vault::Binding;
use super::{Scope, Tampered};

/// The MAC over everything that matters in `row`.
pub(super) fn mac(key: &SiteKey, row: &AppPasswordRecord) -> [u8; 32] {
    with_parts(row, |parts| key.mac(Purpose::AppPasswordRow, parts))
}

/// Whether `row` is what was written.
///
/// # Errors
/// [`Tampered::Mac`] if it is not.
pub(super) fn check(key: &SiteKey, row: &AppPasswordRecord) -> Result<(), Tampered> {
    if with_parts(row, |parts| key.verify(Purpose::AppPasswordRow, parts, &row.mac)) {
        Ok(())
    } else {
        Err(Tampered::Mac)
    }
}

/// What the seal in `row` is bound to.
pub(super) fn binding(row: &AppPasswordRecord) -> Binding<'_> {
    Binding {
        account: row.account,
        app_password: row.id,
        upstream: &row.upstream,
        version: row.sealed_version,
    }
}

/// The scope that `row`, already checked, carries.
///
/// # Errors
/// [`Tampered::Unreadable`]
pub(super) fn scope(row: &AppPasswordRecord) -> Result<Scope, Tampered> {
    Ok(Scope {
        protocols: row.protocols.parse().map_err(|_| Tampered::Unreadable)?,
        networks: row.networks.parse().map_err(|_| Tampered::Unreadable)?,
        access: row.access.parse().map_err(|_| Tampered::Unreadable)?,
        expires_at: row.expires_at,
    })
}

/// The parts under the MAC, in the order that is part of the format: account, id, label, name, kdf, proof,
/// public key, sealed, sealed version, upstream, protocols, networks, expiry, creation; and access, where that is
/// not `full`, which it was in all rows that were written before there was another. [`SiteKey::mac`] puts the length
/// before each, so that a list with one part more is another; what may be missing is empty then, and has a byte in
/// front where it is not. The last use is for display only and changes at each login, so it is left out; what is
/// known of the seal's freshness opens nothing.
fn with_parts<T>(row: &AppPasswordRecord, then: impl FnOnce(&[&[u8]]) -> T) -> T {
    let sealed = optional(row.sealed.as_deref());
    let expires_at = optional(row.expires_at.map(nanoseconds).as_ref().map(|bytes| &bytes[..]));
    let created_at = nanoseconds(row.created_at);
    let sealed_version = row.sealed_version.to_be_bytes();
    let parts: [&[u8]; 15] = [
        row.account.0.as_bytes(),
        row.id.0.as_bytes(),
        row.label.as_bytes(),
        row.name.as_bytes(),
        row.kdf.as_bytes(),
        &row.proof,
        &row.public_key,
        &sealed,
        &sealed_version,
        row.upstream.0.as_bytes(),
        row.protocols.as_bytes(),
        row.networks.as_bytes(),
        &expires_at,
        &created_at,
        row.access.as_bytes(),
    ];
    match parts.split_last() {
        Some((_, of_before)) if row.access == Access::Full.as_str() => then(of_before),
        _ => then(&parts),
    }
}

fn optional(bytes: Option<&[u8]>) -> Vec<u8> {
    bytes.map_or_else(Vec::new, |bytes| [&[1], bytes].concat())
}

/// Nanoseconds since 1970, big-endian; timestamps are whole microseconds, so that they read back the same
/// from either database.
fn nanoseconds(at: Timestamp) -> [u8; 16] {
    at.date_time().unix_timestamp_nanos().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::base::{AccountId, AppPasswordId, UpstreamName};

    fn key() -> SiteKey {
        SiteKey::from_bytes([7; 32])
    }

    fn row() -> AppPasswordRecord {
        let mut row = AppPasswordRecord {
            id: AppPasswordId(Uuid::from_u128(2)),
            account: AccountId(Uuid::from_u128(1)),
            label: "abcd".into(),
            name: "Foxmail".into(),
            kdf: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA".into(),
            proof: vec![1; 32],
            public_key: vec![2; 32],
            sealed: Some(vec![3; 80]),
            sealed_version: 4,
            upstream: UpstreamName("legacy".into()),
            protocols: "imap,smtp".into(),
            networks: "192.0.2.0/24".into(),
            access: "full".into(),
            expires_at: Some(Timestamp::from_unix_seconds(2_000_000_000)),
            created_at: Timestamp::from_unix_seconds(1_767_225_600),
            last_used_at: None,
            last_used_address: None,
            last_used_program: None,
            mac: vec![],
            sealed_at: None,
            stale_since: None,
            probes: 0,
            next_probe_at: None,
        };
        row.mac = mac(&key(), &row).to_vec();
        row
    }

    #[test]
    fn changing_any_field_that_matters_shows() {
        type Change = fn(&mut AppPasswordRecord);
        let changes: [(&str, Change); 24] = [
            ("id", |row| row.id.0 = Uuid::from_u128(9)),
            ("account", |row| row.account.0 = Uuid::from_u128(9)),
            ("label", |row| row.label = "abce".into()),
            ("name", |row| row.name = "iPhone".into()),
            ("kdf", |row| row.kdf = row.kdf.replace("t=2", "t=3")),
            ("proof", |row| row.proof[31] ^= 1),
            ("public key", |row| row.public_key[0] ^= 1),
            ("sealed", |row| row.sealed.as_mut().unwrap()[79] ^= 1),
            ("sealed emptied", |row| row.sealed = Some(vec![])),
            ("sealed removed", |row| row.sealed = None),
            ("sealed version", |row| row.sealed_version = 3),
            ("upstream", |row| row.upstream.0 = "other".into()),
            ("protocols", |row| row.protocols = "imap,pop3,smtp".into()),
            ("networks", |row| row.networks = String::new()),
            ("access", |row| row.access = "read-only".into()),
            ("access of a later version", |row| row.access = "none".into()),
            ("access emptied", |row| row.access = String::new()),
            ("expiry", |row| row.expires_at = row.expires_at.map(|at| at.plus(Duration::from_micros(1)))),
            ("expiry removed", |row| row.expires_at = None),
            ("creation", |row| row.created_at = row.created_at.plus(Duration::from_micros(1))),
            ("mac", |row| row.mac[0] ^= 1),
            ("mac cut", |row| row.mac.truncate(16)),
            ("mac removed", |row| row.mac.clear()),
            ("a byte moved from one field to the next", |row| {
                row.label = "abc".into();
                row.name = "dFoxmail".into();
            }),
        ];
        assert_eq!(check(&key(), &row()), Ok(()));
        for (what, change) in changes {
            let mut changed = row();
            change(&mut changed);
            assert_ne!(changed, row(), "{what}: nothing was changed");
            assert_eq!(check(&key(), &changed), Err(Tampered::Mac), "{what}");
        }
        assert_eq!(check(&SiteKey::from_bytes([8; 32]), &row()), Err(Tampered::Mac), "another site's key");
    }

    #[test]
    fn a_use_does_not_change_the_mac() {
        let mut used = row();
        used.last_used_at = Some(Timestamp::from_unix_seconds(1_800_000_000));
        used.last_used_address = Some("192.0.2.1".into());
        used.last_used_program = Some("Foxmail".into());
        assert_eq!(check(&key(), &used), Ok(()));
    }

    #[test]
    fn a_row_without_a_seal_differs_from_one_with_an_empty_seal() {
        let with = |sealed| mac(&key(), &AppPasswordRecord { sealed, ..row() });
        assert_ne!(with(None), with(Some(vec![])));
    }

    #[test]
    fn what_may_only_read_does_not_become_more() {
        let mut row = AppPasswordRecord { access: "read-only".into(), ..row() };
        row.mac = mac(&key(), &row).to_vec();
        assert_eq!(check(&key(), &row), Ok(()));
        assert_eq!(scope(&row).map(|scope| scope.access), Ok(Access::ReadOnly));
        for access in ["full", "", "Read-Only", "read-only "] {
            let changed = AppPasswordRecord { access: access.into(), ..row.clone() };
            assert_eq!(check(&key(), &changed), Err(Tampered::Mac), "{access:?}");
        }
        // Of a later version, written with this key: whatever it means, it is not taken for something else.
        row.access = "none".into();
        row.mac = mac(&key(), &row).to_vec();
        assert_eq!((check(&key(), &row), scope(&row)), (Ok(()), Err(Tampered::Unreadable)));
    }

    #[test]
    fn the_format_of_the_mac_stays_as_it_is() {
        // Computed from the list of parts by another program. Rows that are out there must stay good.
        let expected = "79493ca1df3ebc6a05f6efac72f38d6197384f7b4c4dd8151cc257f93b8c4647";
        assert_eq!(row().mac.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), expected);
    }
}
