//! The sessions of this process: their places, how to end them, what changed under whom.
//!
//! One lock, held for a few look-ups at a time and never across an await; bytes are counted without it. A session costs
//! some 600 bytes here, strings and maps included.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::Cause;
use crate::base::{
    Access, AccountId, Address, AppPasswordId, ClientAddress, Protocol, SessionId, Timestamp, UpstreamName,
};

/// Accounts whose last change is remembered one by one; beyond that all count as changed.
const CHANGED_MAX: usize = 16_384;

/// What is known of a session from its beginning to its end.
pub(in crate::gate) struct Session {
    pub(in crate::gate) id: SessionId,
    pub(in crate::gate) account: AccountId,
    pub(in crate::gate) address: Address,
    pub(in crate::gate) protocol: Protocol,
    pub(in crate::gate) client: ClientAddress,
    /// What the client says it is.
    pub(in crate::gate) program: Option<String>,
    /// What it rests on; none: the mailbox password.
    pub(in crate::gate) app_password: Option<AppPasswordId>,
    /// How much of the mailbox it may touch.
    pub(in crate::gate) access: Access,
    pub(in crate::gate) upstream: UpstreamName,
    pub(in crate::gate) since: Timestamp,
    pub(in crate::gate) traffic: Arc<Traffic>,
}

/// How many bytes a session has moved; its relay counts, everybody may look.
#[derive(Debug, Default)]
pub struct Traffic {
    from_client: AtomicU64,
    to_client: AtomicU64,
}

impl Traffic {
    /// So many more went to the upstream.
    pub fn moved_from_client(&self, bytes: u64) {
        self.from_client.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many more went to the client.
    pub fn moved_to_client(&self, bytes: u64) {
        self.to_client.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So far: from the client, to the client.
    #[must_use]
    pub fn so_far(&self) -> (u64, u64) {
        (self.from_client.load(Ordering::Relaxed), self.to_client.load(Ordering::Relaxed))
    }
}

/// The sessions of one protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionFigures {
    /// How many there are now.
    pub sessions: u64,
    /// Bytes towards the upstreams so far, of those that have ended, too.
    pub from_client: u64,
    /// Bytes towards the clients.
    pub to_client: u64,
}

/// All of them.
pub(in crate::gate) struct Registry {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Sessions of one account.
    most: u32,
    live: HashMap<AccountId, Vec<Entry>>,
    /// How many these are, and what those before them have moved; in the order of [`Protocol::ALL`].
    figures: [SessionFigures; Protocol::ALL.len()],
    /// Only of those that expire.
    expiries: BTreeSet<(Timestamp, AccountId, SessionId)>,
    /// Begun and not listed yet.
    begun: HashMap<SessionId, AccountId>,
    /// Listed and over.
    over: Vec<SessionId>,
    /// Counts what was heard of changes.
    moment: Moment,
    /// When the last change to an account was heard of.
    changed: HashMap<AccountId, Moment>,
    /// When everything may have changed.
    all_changed: Moment,
}

struct Entry {
    session: Arc<Session>,
    /// Taken when it is told to end.
    end: Option<oneshot::Sender<Cause>>,
    expires_at: Option<Timestamp>,
    /// Bytes, both ways together, when it was last listed.
    listed: u64,
}

/// A point in the course of what was heard of changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::gate) struct Moment(u64);

/// A place among the sessions of an account, given back when dropped.
pub(in crate::gate) struct Place {
    registry: Arc<Registry>,
    session: Arc<Session>,
    ended: oneshot::Receiver<Cause>,
}

impl Registry {
    /// At most `most` sessions for each account.
    pub(in crate::gate) fn new(most: u32) -> Self {
        Self { inner: Mutex::new(Inner { most, ..Inner::default() }) }
    }

    /// From now on at most `most` for each account; who is in stays.
    pub(in crate::gate) fn allow(&self, most: u32) {
        self.locked().most = most;
    }

    /// Lets `session` in, if its account has a place left.
    pub(in crate::gate) fn enter(
        self: &Arc<Self>,
        session: Session,
        expires_at: Option<Timestamp>,
    ) -> Option<Place> {
        let (end, ended) = oneshot::channel();
        let session = Arc::new(session);
        let mut inner = self.locked();
        let most = usize::try_from(inner.most).unwrap_or(usize::MAX);
        // Most accounts have one or two, and a vector that grows by itself begins with four.
        let of_account = inner.live.entry(session.account).or_insert_with(|| Vec::with_capacity(1));
        if of_account.len() >= most {
            return None;
        }
        of_account.push(Entry { session: Arc::clone(&session), end: Some(end), expires_at, listed: 0 });
        if let Some(at) = expires_at {
            inner.expiries.insert((at, session.account, session.id));
        }
        inner.begun.insert(session.id, session.account);
        inner.figures_of(session.protocol).sessions += 1;
        drop(inner);
        Some(Place { registry: Arc::clone(self), session, ended })
    }

    /// How many there are now, and what all have moved so far.
    pub(in crate::gate) fn figures(&self) -> [(Protocol, SessionFigures); Protocol::ALL.len()] {
        let mut inner = self.locked();
        let mut figures = Protocol::ALL.map(|protocol| (protocol, *inner.figures_of(protocol)));
        for entry in inner.live.values().flatten() {
            let (from_client, to_client) = entry.session.traffic.so_far();
            for (_, figures) in figures.iter_mut().filter(|(protocol, _)| *protocol == entry.session.protocol)
            {
                figures.from_client += from_client;
                figures.to_client += to_client;
            }
        }
        figures
    }

    /// The present moment; see [`Registry::changed_since`].
    pub(in crate::gate) fn moment(&self) -> Moment {
        self.locked().moment
    }

    /// Whether a change to `account` may have been heard of since `moment`: who read the account after `moment` and
    /// entered before asking this, and hears no, will be ended by any change that comes later.
    pub(in crate::gate) fn changed_since(&self, account: AccountId, moment: Moment) -> bool {
        let inner = self.locked();
        inner.all_changed > moment || inner.changed.get(&account).is_some_and(|last| *last > moment)
    }

    /// Notes changes, before anybody is ended for them.
    pub(in crate::gate) fn note_changes(&self, accounts: impl IntoIterator<Item = AccountId>) {
        let mut inner = self.locked();
        inner.moment.0 += 1;
        let moment = inner.moment;
        inner.changed.extend(accounts.into_iter().map(|account| (account, moment)));
        if inner.changed.len() > CHANGED_MAX {
            inner.changed.clear();
            inner.all_changed = moment;
        }
    }

    /// Notes that anything may have changed.
    pub(super) fn note_unheard_changes(&self) {
        let mut inner = self.locked();
        inner.moment.0 += 1;
        inner.all_changed = inner.moment;
        inner.changed.clear();
    }

    /// Accounts that have sessions.
    pub(super) fn accounts(&self) -> Vec<AccountId> {
        self.locked().live.keys().copied().collect()
    }

    /// Every session.
    pub(in crate::gate) fn all(&self) -> Vec<Arc<Session>> {
        let inner = self.locked();
        inner.live.values().flatten().map(|entry| Arc::clone(&entry.session)).collect()
    }

    /// The sessions of an account.
    pub(super) fn of_account(&self, account: AccountId) -> Vec<Arc<Session>> {
        let inner = self.locked();
        inner.live.get(&account).into_iter().flatten().map(|entry| Arc::clone(&entry.session)).collect()
    }

    /// Ends the sessions of `account` that `concerned` picks.
    pub(in crate::gate) fn end(
        &self,
        account: AccountId,
        cause: Cause,
        concerned: impl Fn(&Session) -> bool,
    ) {
        let mut inner = self.locked();
        for entry in inner.live.get_mut(&account).into_iter().flatten() {
            if concerned(&entry.session) {
                entry.tell(cause);
            }
        }
    }

    /// Ends whose app password has expired by now.
    pub(in crate::gate) fn end_expired(&self, now: Timestamp) {
        let mut inner = self.locked();
        while let Some((at, account, id)) = inner.expiries.first().copied()
            && at <= now
        {
            inner.expiries.pop_first();
            if let Some(entry) = inner.entry(account, id) {
                entry.tell(Cause::Expired);
            }
        }
    }

    /// The session's app password ends at another time.
    pub(super) fn expire_at(&self, session: &Session, at: Option<Timestamp>) {
        let mut inner = self.locked();
        let Some(entry) = inner.entry(session.account, session.id) else { return };
        if let Some(earlier) = std::mem::replace(&mut entry.expires_at, at) {
            inner.expiries.remove(&(earlier, session.account, session.id));
        }
        if let Some(at) = at {
            inner.expiries.insert((at, session.account, session.id));
        }
    }

    /// For a list that has nothing yet: every session.
    pub(super) fn take_all(&self) -> Vec<Arc<Session>> {
        let mut inner = self.locked();
        inner.begun.clear();
        inner.over.clear();
        inner.live.values().flatten().map(|entry| Arc::clone(&entry.session)).collect()
    }

    /// For a list that is kept up: what has begun and what is over since this or [`Registry::take_all`] was called.
    pub(super) fn take_news(&self) -> (Vec<Arc<Session>>, Vec<SessionId>) {
        let mut inner = self.locked();
        let begun = std::mem::take(&mut inner.begun);
        let begun = begun
            .into_iter()
            .filter_map(|(id, account)| Some(Arc::clone(&inner.entry(account, id)?.session)));
        let begun = begun.collect();
        (begun, std::mem::take(&mut inner.over))
    }

    /// Those that have moved bytes since this was last called.
    pub(super) fn take_moved(&self) -> Vec<Arc<Session>> {
        let mut inner = self.locked();
        let entries = inner.live.values_mut().flatten();
        let moved = entries.filter_map(|entry| {
            let (from_client, to_client) = entry.session.traffic.so_far();
            let now = from_client.wrapping_add(to_client);
            (std::mem::replace(&mut entry.listed, now) != now).then(|| Arc::clone(&entry.session))
        });
        moved.collect()
    }

    fn leave(&self, session: &Session) {
        let mut inner = self.locked();
        let Some(of_account) = inner.live.get_mut(&session.account) else { return };
        let Some(place) = of_account.iter().position(|entry| entry.session.id == session.id) else { return };
        let entry = of_account.swap_remove(place);
        if of_account.is_empty() {
            inner.live.remove(&session.account);
        }
        let (from_client, to_client) = session.traffic.so_far();
        let figures = inner.figures_of(session.protocol);
        figures.sessions -= 1;
        figures.from_client += from_client;
        figures.to_client += to_client;
        if let Some(at) = entry.expires_at {
            inner.expiries.remove(&(at, session.account, session.id));
        }
        if inner.begun.remove(&session.id).is_none() {
            inner.over.push(session.id);
        }
    }

    fn locked(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn figures_of(&mut self, protocol: Protocol) -> &mut SessionFigures {
        let [imap, pop3, smtp] = &mut self.figures;
        match protocol {
            Protocol::Imap => imap,
            Protocol::Pop3 => pop3,
            Protocol::Smtp => smtp,
        }
    }

    fn entry(&mut self, account: AccountId, id: SessionId) -> Option<&mut Entry> {
        self.live.get_mut(&account)?.iter_mut().find(|entry| entry.session.id == id)
    }
}

impl Entry {
    /// The first cause counts.
    fn tell(&mut self, cause: Cause) {
        if let Some(end) = self.end.take() {
            // It may be leaving by itself at this moment.
            let _ = end.send(cause);
        }
    }
}

impl Place {
    /// Whose it is.
    pub(in crate::gate) fn session(&self) -> &Session {
        &self.session
    }

    /// Waits until the session must end.
    pub(in crate::gate) async fn ended(&mut self) -> Cause {
        match (&mut self.ended).await {
            Ok(cause) => cause,
            // The entry is there as long as the place is, and was told once already.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.registry.leave(&self.session);
    }
}

/// A session of account `n / 10`, over IMAP, from 192.0.2.1.
#[cfg(test)]
pub(super) fn session(n: u128, by_app_password: bool) -> Session {
    use uuid::Uuid;
    Session {
        id: SessionId(Uuid::from_u128(n)),
        account: AccountId(Uuid::from_u128(n / 10)),
        address: Address::parse("a@example.org").unwrap(),
        protocol: Protocol::Imap,
        client: ClientAddress::new([192, 0, 2, 1].into()),
        program: Some("Foxmail 7.2".to_owned()),
        app_password: by_app_password.then_some(AppPasswordId(Uuid::from_u128(7))),
        access: Access::Full,
        upstream: UpstreamName("legacy".to_owned()),
        since: Timestamp::from_unix_seconds(0),
        traffic: Arc::default(),
    }
}

#[cfg(test)]
mod tests {
    use std::mem::size_of;

    use super::*;

    fn registry() -> Arc<Registry> {
        Arc::new(Registry::new(2))
    }

    fn told(place: &mut Place) -> Option<Cause> {
        place.ended.try_recv().ok()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    #[test]
    fn a_place_comes_back_when_it_is_dropped() {
        let registry = registry();
        let held = [10, 11].map(|n| registry.enter(session(n, false), Some(at(5))).unwrap());
        assert!(registry.enter(session(12, false), None).is_none());
        assert!(registry.enter(session(20, false), None).is_some(), "each account has its own");
        drop(held);
        let inner = registry.locked();
        assert!(inner.live.is_empty() && inner.expiries.is_empty(), "nothing is held for those who left");
        assert!(
            inner.begun.is_empty() && inner.over.is_empty(),
            "who was never listed needs no striking out"
        );
        drop(inner);
        assert!(registry.enter(session(10, false), None).is_some());
    }

    #[test]
    fn what_sessions_have_moved_stays_counted_when_they_leave() {
        let registry = registry();
        let held = [10, 20].map(|n| registry.enter(session(n, false), None).unwrap());
        held[0].session().traffic.moved_from_client(5);
        held[1].session().traffic.moved_to_client(7);
        let imap = |sessions| SessionFigures { sessions, from_client: 5, to_client: 7 };
        assert_eq!(registry.figures()[0], (Protocol::Imap, imap(2)));
        assert_eq!(registry.figures()[1], (Protocol::Pop3, SessionFigures::default()));
        drop(held);
        assert_eq!(registry.figures()[0], (Protocol::Imap, imap(0)));
    }

    #[test]
    fn who_is_concerned_ends_and_the_first_cause_counts() {
        let registry = registry();
        let mut mailbox = registry.enter(session(10, false), None).unwrap();
        let mut app_password = registry.enter(session(11, true), None).unwrap();
        let mut other = registry.enter(session(20, false), None).unwrap();
        let account = mailbox.session().account;
        registry.end(account, Cause::FactorBound, |session| Cause::FactorBound.concerns(session));
        registry.end(account, Cause::Suspended, |_| true);
        assert_eq!(told(&mut mailbox), Some(Cause::FactorBound));
        assert_eq!(told(&mut app_password), Some(Cause::Suspended));
        assert_eq!(told(&mut other), None);
    }

    #[test]
    fn an_expiry_ends_its_own_session_at_its_time_which_may_move() {
        let registry = registry();
        let mut early = registry.enter(session(10, true), Some(at(10))).unwrap();
        let mut late = registry.enter(session(11, true), Some(at(20))).unwrap();
        let mut never = registry.enter(session(20, true), None).unwrap();
        registry.end_expired(at(9));
        assert_eq!(told(&mut early), None);
        registry.end_expired(at(10));
        assert_eq!(told(&mut early), Some(Cause::Expired));
        registry.expire_at(late.session(), Some(at(30)));
        registry.end_expired(at(29));
        assert_eq!(told(&mut late), None);
        registry.expire_at(never.session(), Some(at(25)));
        registry.end_expired(at(30));
        assert_eq!((told(&mut late), told(&mut never)), (Some(Cause::Expired), Some(Cause::Expired)));
        drop(late);
        assert!(registry.locked().expiries.is_empty());
    }

    #[test]
    fn a_change_is_remembered_for_who_reads_before_it_and_enters_after() {
        let registry = registry();
        let (ours, other) = (session(10, true).account, session(20, true).account);
        let before = registry.moment();
        assert!(!registry.changed_since(ours, before));
        registry.note_changes([ours]);
        assert!(registry.changed_since(ours, before) && !registry.changed_since(other, before));
        let after = registry.moment();
        assert!(!registry.changed_since(ours, after));
        registry.note_unheard_changes();
        assert!(registry.changed_since(ours, after) && registry.changed_since(other, after));
        let before = registry.moment();
        registry.note_changes((0..=CHANGED_MAX as u128).map(|n| session(n * 10, true).account));
        assert!(registry.changed_since(ours, before), "too many to remember one by one");
        assert!(registry.locked().changed.is_empty());
        assert!(!registry.changed_since(ours, registry.moment()));
    }

    #[test]
    fn a_list_hears_of_each_session_once() {
        let registry = registry();
        let ids =
            |sessions: Vec<Arc<Session>>| sessions.iter().map(|one| one.id.0.as_u128()).collect::<Vec<_>>();
        let (first, second) =
            (registry.enter(session(10, true), None).unwrap(), registry.enter(session(20, true), None));
        assert_eq!(registry.take_all().len(), 2);
        let (begun, over) = registry.take_news();
        assert!(begun.is_empty() && over.is_empty());
        let third = registry.enter(session(30, true), None).unwrap();
        drop(second);
        let (begun, over) = registry.take_news();
        assert_eq!((ids(begun), over.len()), (vec![30], 1));
        first.session().traffic.moved_to_client(5);
        assert_eq!(ids(registry.take_moved()), [10]);
        assert!(registry.take_moved().is_empty());
        first.session().traffic.moved_from_client(5);
        assert_eq!(ids(registry.take_moved()), [10]);
        drop(third);
    }

    #[test]
    fn an_entry_is_small() {
        // Beside these: the heap behind address, program and upstream name, and the channel's 64 bytes or so.
        let size = size_of::<Session>() + size_of::<Entry>() + size_of::<Traffic>() + size_of::<Place>();
        assert!(size <= 256, "{size} bytes");
    }
}
