//! Last uses on their way to the store: collected here, written every few seconds, so that a login costs no
//! write. For display only; the trail has the truth.
//!
//! With the mailbox password each client counts by itself, because the portal tells which of them have no app password yet.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::base::{AccountId, AppPasswordId, Monotonic};
use crate::store::{Store, StoreError, Use};

/// Accounts whose uses wait or were written a moment ago: those of a campus.
const ACCOUNTS_MAX: usize = 65_536;

/// App passwords and clients of one account: more of either than it has, or than is kept of them.
const OF_AN_ACCOUNT_MAX: usize = 100;

/// Uses that are written in one transaction: others wait for the rows of these accounts meanwhile.
const AT_ONCE: usize = 500;

/// What was written lately waits so long until it is written again: a client that logs in all the time costs a write now
/// and then, and the first login of a new one shows within seconds.
const AGAIN_AFTER: Duration = Duration::from_secs(30);

/// How long a client that got in with the mailbox password is remembered.
pub const CLIENTS_KEPT: Duration = Duration::from_secs(30 * 86_400);

/// What a client got in with.
#[derive(PartialEq, Eq, Hash)]
enum With {
    AppPassword(AppPasswordId),
    MailboxPassword { client: String },
}

/// The latest use of each app password, and by each client of each mailbox password, that is not written yet, or was a
/// moment ago.
#[derive(Default)]
pub(super) struct Uses {
    accounts: Mutex<HashMap<AccountId, HashMap<With, Slot>>>,
}

#[derive(Default)]
struct Slot {
    waiting: Option<Use>,
    written_at: Option<Monotonic>,
}

impl Slot {
    fn is_due(&self, now: Monotonic) -> bool {
        self.written_at.is_none_or(|at| now.since(at) >= AGAIN_AFTER)
    }
}

impl Uses {
    /// Notes a use; when too many wait already, new ones are not noted.
    pub(super) fn note(&self, latest: Use) {
        let with = with(&latest);
        let mut accounts = self.locked();
        if accounts.len() >= ACCOUNTS_MAX && !accounts.contains_key(&latest.account) {
            return;
        }
        let slots = accounts.entry(latest.account).or_default();
        if slots.len() < OF_AN_ACCOUNT_MAX || slots.contains_key(&with) {
            slots.entry(with).or_default().waiting = Some(latest);
        }
    }

    /// Writes what waits and is due; what cannot be written waits on, unless it was used again meanwhile.
    pub(super) async fn flush_due(&self, store: &Store, now: Monotonic) -> Result<(), StoreError> {
        self.flush(store, now, |slot| slot.is_due(now)).await
    }

    /// The same for all that waits.
    pub(super) async fn flush_all(&self, store: &Store, now: Monotonic) -> Result<(), StoreError> {
        self.flush(store, now, |_| true).await
    }

    async fn flush(
        &self,
        store: &Store,
        now: Monotonic,
        goes: impl Fn(&Slot) -> bool,
    ) -> Result<(), StoreError> {
        let uses: Vec<Use> = {
            let mut accounts = self.locked();
            for slots in accounts.values_mut() {
                slots.retain(|_, slot| slot.waiting.is_some() || !slot.is_due(now));
            }
            accounts.retain(|_, slots| !slots.is_empty());
            let going = accounts.values_mut().flat_map(HashMap::values_mut).filter(|slot| goes(slot));
            going.filter_map(|slot| slot.waiting.take()).collect()
        };
        let mut written = Ok(());
        for part in uses.chunks(AT_ONCE) {
            // After a failure the rest is not tried: it would take as long.
            if written.is_ok() {
                written = store.record_uses(part).await;
            }
            let mut accounts = self.locked();
            for latest in part {
                let slot = accounts.entry(latest.account).or_default().entry(with(latest)).or_default();
                if written.is_ok() {
                    slot.written_at = Some(now);
                } else {
                    slot.waiting.get_or_insert_with(|| latest.clone());
                }
            }
        }
        written
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<AccountId, HashMap<With, Slot>>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn with(latest: &Use) -> With {
    match latest.app_password {
        Some(app_password) => With::AppPassword(app_password),
        None => With::MailboxPassword { client: latest.client().to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::base::{Address, Clock, ManualClock, Scratch, UpstreamName, random};
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

    impl Uses {
        fn waiting(&self) -> usize {
            let accounts = self.locked();
            accounts.values().flat_map(HashMap::values).filter(|slot| slot.waiting.is_some()).count()
        }
    }

    fn address() -> Address {
        Address::parse("a@example.org").unwrap()
    }

    #[tokio::test]
    async fn uses_that_cannot_be_written_wait_unless_a_later_one_came() {
        let directory = Scratch::new();
        let (store, database, account) = store_with_account(directory.path()).await;
        let gone = Store::open(&database).await.unwrap();
        gone.close().await;
        let clock = ManualClock::default();
        let latest =
            |at| Use { account, app_password: None, at, address: "192.0.2.1".to_owned(), program: None };
        let uses = Uses::default();
        uses.note(latest(clock.now()));
        assert!(uses.flush_due(&gone, clock.monotonic()).await.is_err());
        clock.advance(Duration::from_secs(5));
        uses.note(latest(clock.now()));
        assert!(uses.flush_due(&gone, clock.monotonic()).await.is_err());
        uses.flush_due(&store, clock.monotonic()).await.unwrap();
        let standing = store.standing(&address()).await.unwrap().unwrap();
        assert_eq!(standing.account.last_login_at, Some(clock.now()));
        assert_eq!(uses.waiting(), 0);
    }

    #[tokio::test]
    async fn what_was_written_a_moment_ago_is_written_again_when_half_a_minute_is_over_or_the_gate_stops() {
        let directory = Scratch::new();
        let (store, _, account) = store_with_account(directory.path()).await;
        let clock = ManualClock::default();
        let uses = Uses::default();
        let written = async || store.standing(&address()).await.unwrap().unwrap().account.last_login_at;
        let mut expected = None;
        for (step, all, is_written) in
            [(0, false, true), (5, false, false), (24, false, false), (1, false, true), (1, true, true)]
        {
            clock.advance(Duration::from_secs(step));
            let at = clock.now();
            uses.note(Use {
                account,
                app_password: None,
                at,
                address: "192.0.2.1".to_owned(),
                program: None,
            });
            let now = clock.monotonic();
            if all { uses.flush_all(&store, now).await } else { uses.flush_due(&store, now).await }.unwrap();
            expected = if is_written { Some(at) } else { expected };
            assert_eq!(written().await, expected, "{step} s later");
        }
        // Neither is what one who calls himself all sorts of things has more of than is kept.
        for n in 0..1_000 {
            let program = Some(format!("client {n}"));
            uses.note(Use { account, app_password: None, at: clock.now(), address: String::new(), program });
        }
        assert_eq!(uses.waiting(), OF_AN_ACCOUNT_MAX - 1, "one was written a moment ago");
        // What nobody uses any more is not remembered for ever.
        for left in [1, 0] {
            clock.advance(AGAIN_AFTER);
            uses.flush_due(&store, clock.monotonic()).await.unwrap();
            assert_eq!(uses.locked().len(), left);
        }
    }

    #[tokio::test]
    async fn of_clients_with_one_mailbox_password_each_is_written_and_of_those_with_one_app_password_the_latest()
     {
        let directory = Scratch::new();
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
        assert_eq!(uses.waiting(), 3);
        uses.flush_due(&store, Monotonic::default()).await.unwrap();
        let seen = store.clients_without_app_password(account, now).await.unwrap();
        assert_eq!(seen, ["192.0.2.1", "Foxmail"]);
    }
}
