//! Last uses on their way to the store: collected here, written every few seconds, so that a login costs no
//! write. For display only; the trail has the truth.
//!
//! With the mailbox password each client counts by itself, because the portal tells which of them have no app password yet.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::base::{AccountId, AppPasswordId};
use crate::store::{Store, StoreError, Use};

/// Uses that wait while the store does not answer: the clients of a campus.
const WAITING_MAX: usize = 65_536;

/// How long a client that got in with the mailbox password is remembered.
pub const CLIENTS_KEPT: Duration = Duration::from_secs(30 * 86_400);

type Which = (AccountId, With);

/// What a client got in with.
#[derive(PartialEq, Eq, Hash)]
enum With {
    AppPassword(AppPasswordId),
    MailboxPassword { client: String },
}

/// The latest use of each app password, and by each client of each mailbox password, that is not written yet.
#[derive(Default)]
pub(super) struct Uses {
    waiting: Mutex<HashMap<Which, Use>>,
}

impl Uses {
    /// Notes a use; when too many wait already, new ones are not noted.
    pub(super) fn note(&self, latest: Use) {
        let which = which(&latest);
        let mut waiting = self.locked();
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
                waiting.entry(which(&earlier)).or_insert(earlier);
            }
        }
        written
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<Which, Use>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn which(latest: &Use) -> Which {
    let with = match latest.app_password {
        Some(app_password) => With::AppPassword(app_password),
        None => With::MailboxPassword { client: latest.client().to_owned() },
    };
    (latest.account, with)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::base::{Address, Clock, ManualClock, UpstreamName, random};
    use crate::config::Database;

    /// A store in `directory`, with the account of `a@example.org`.
    async fn store_with_account(directory: &Path) -> (Store, Database, AccountId) {
        let database = Database::Sqlite(directory.join("mailward.db"));
        let store = Store::open(&database).await.unwrap();
        let upstream = UpstreamName("legacy".to_owned());
        let (account, _) =
            store.add_account(&address(), &upstream, ManualClock::default().now()).await.unwrap();
        (store, database, account.id)
    }

    fn address() -> Address {
        Address::parse("a@example.org").unwrap()
    }

    #[tokio::test]
    async fn uses_that_cannot_be_written_wait_unless_a_later_one_came() {
        let directory = tempfile::tempdir().unwrap();
        let (store, database, account) = store_with_account(directory.path()).await;
        let gone = Store::open(&database).await.unwrap();
        gone.close().await;
        let clock = ManualClock::default();
        let latest =
            |at| Use { account, app_password: None, at, address: "192.0.2.1".to_owned(), program: None };
        let uses = Uses::default();
        uses.note(latest(clock.now()));
        assert!(uses.flush(&gone).await.is_err());
        clock.advance(Duration::from_secs(5));
        uses.note(latest(clock.now()));
        assert!(uses.flush(&gone).await.is_err());
        uses.flush(&store).await.unwrap();
        let standing = store.standing(&address()).await.unwrap().unwrap();
        assert_eq!(standing.account.last_login_at, Some(clock.now()));
        assert!(uses.locked().is_empty());
    }

    #[tokio::test]
    async fn of_clients_with_one_mailbox_password_each_is_written_and_of_those_with_one_app_password_the_latest()
     {
        let directory = tempfile::tempdir().unwrap();
        let (store, _, account) = store_with_account(directory.path()).await;
        let now = ManualClock::default().now();
        let uses = Uses::default();
        let one = AppPasswordId(random::uuid(now));
        for (app_password, program) in [
            (None, Some("Foxmail")),
            (None, None),
            (None, Some("Foxmail")),
            (Some(one), None),
            (Some(one), Some("x")),
        ] {
            let (address, program) = ("192.0.2.1".to_owned(), program.map(str::to_owned));
            uses.note(Use { account, app_password, at: now, address, program });
        }
        assert_eq!(uses.locked().len(), 3);
        uses.flush(&store).await.unwrap();
        let seen = store.clients_without_app_password(account, now).await.unwrap();
        assert_eq!(seen, ["192.0.2.1", "Foxmail"]);
    }
}
