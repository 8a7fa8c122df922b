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
