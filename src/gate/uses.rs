//! Last uses on their way to the store: collected here, written every few seconds, so that a login costs no
//! write. For display only; the trail has the truth.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::base::{AccountId, AppPasswordId};
use crate::store::{Store, StoreError, Use};

/// Uses that wait while the store does not answer: the clients of a campus.
const WAITING_MAX: usize = 65_536;

type Which = (AccountId, Option<AppPasswordId>);

/// The latest use of each account and app password that is not written yet.
#[derive(Default)]
pub(super) struct Uses {
    waiting: Mutex<HashMap<Which, Use>>,
}

impl Uses {
    /// Notes a use; when too many wait already, new ones are not noted.
    pub(super) fn note(&self, latest: Use) {
        let mut waiting = self.locked();
        let which = (latest.account, latest.app_password);
        if waiting.len() < WAITING_MAX || waiting.contains_key(&which) {
            waiting.insert(which, latest);
        }
    }

    /// Writes what waits; what cannot be written waits on, unless it was used again meanwhile.
    pub(super) async fn flush(&self, store: &Store) -> Result<(), StoreError> {
        let taken = std::mem::take(&mut *self.locked());
        if taken.is_empty() {
            return Ok(());
        }
        let uses: Vec<Use> = taken.into_values().collect();
        let written = store.record_uses(&uses).await;
        if written.is_err() {
            let mut waiting = self.locked();
            for earlier in uses {
                waiting.entry((earlier.account, earlier.app_password)).or_insert(earlier);
            }
        }
        written
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<Which, Use>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Address, Clock, ManualClock, UpstreamName};
    use crate::config::Database;

    #[tokio::test]
    async fn uses_that_cannot_be_written_wait_unless_a_later_one_came() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::Sqlite(directory.path().join("mailward.db"));
        let (store, gone) = (Store::open(&database).await.unwrap(), Store::open(&database).await.unwrap());
        gone.close().await;
        let clock = ManualClock::default();
        let address = Address::parse("a@example.org").unwrap();
        let upstream = UpstreamName("legacy".to_owned());
        let (account, _) = store.add_account(&address, &upstream, clock.now()).await.unwrap();
        let latest = |at| Use {
            account: account.id,
            app_password: None,
            at,
            address: "192.0.2.1".to_owned(),
            program: None,
        };
        let uses = Uses::default();
        uses.note(latest(clock.now()));
        assert!(uses.flush(&gone).await.is_err());
        clock.advance(std::time::Duration::from_secs(5));
        uses.note(latest(clock.now()));
        assert!(uses.flush(&gone).await.is_err());
        uses.flush(&store).await.unwrap();
        let standing = store.standing(&address).await.unwrap().unwrap();
        assert_eq!(standing.account.last_login_at, Some(clock.now()));
        assert!(uses.locked().is_empty());
    }
}
