//! Waiting for one's turn: the limiter, and what wakes those whose cells are held by attempts in flight.

use std::pin::pin;
use std::sync::Arc;

use tokio::sync::Notify;

use super::cells::Key;
use super::limiter::{Limiter, Reservation, Reserve, Subject};
use crate::base::{ClientAddress, Clock};
use crate::config::Limits;

/// Those who wait are woken by key, so that a crowd before one account does not wake for every login
/// elsewhere. Two keys may share a bell; waking in vain is harmless. One byte of a key chooses.
const BELLS: usize = 256;

/// The limiter with a waiting room.
pub(super) struct Turns {
    limiter: Limiter,
    bells: Box<[Notify; BELLS]>,
    clock: Arc<dyn Clock>,
}

/// How a wait ended.
pub(super) struct Turn {
    /// Held, or used up; never `Wait`.
    pub(super) reserve: Result<Reservation, std::time::Duration>,
    /// Whether time passed: what was known before may be old.
    pub(super) waited: bool,
}

impl Turns {
    /// Nobody waits yet.
    pub(super) fn new(limiter: Limiter, clock: Arc<dyn Clock>) -> Self {
        Self { limiter, bells: Box::new(std::array::from_fn(|_| Notify::new())), clock }
    }

    /// Reserves, as soon as those in flight leave room. Waits without end: the caller sets the deadline.
    pub(super) async fn reserve(&self, subject: Subject<'_>) -> Turn {
        let mut waited = false;
        loop {
            let key = match self.limiter.reserve(subject, self.clock.monotonic()) {
                Reserve::Held(reservation) => return Turn { reserve: Ok(reservation), waited },
                Reserve::UsedUp(time) => return Turn { reserve: Err(time), waited },
                Reserve::Wait(key) => key,
            };
            let mut ring = pin!(self.bell(key).notified());
            ring.as_mut().enable();
            // What was given back between the question and `enable` rang for nobody: ask once more.
            match self.limiter.reserve(subject, self.clock.monotonic()) {
                Reserve::Held(reservation) => return Turn { reserve: Ok(reservation), waited },
                Reserve::UsedUp(time) => return Turn { reserve: Err(time), waited },
                Reserve::Wait(still) if still == key => ring.await,
                Reserve::Wait(_) => {}
            }
            waited = true;
        }
    }

    /// See [`Limiter::adopt`]; who waits may have room now.
    pub(super) fn adopt(&self, limits: &Limits) {
        self.limiter.adopt(limits);
        self.bells.iter().for_each(Notify::notify_waiters);
    }

    /// See [`Limiter::refuses_strangers`].
    pub(super) fn refuses_strangers(&self, client: ClientAddress, account: &str) -> bool {
        self.limiter.refuses_strangers(client, account, self.clock.monotonic())
    }

    /// See [`Limiter::succeed`].
    pub(super) fn succeed(&self, reservation: &Reservation) {
        self.limiter.succeed(reservation, self.clock.monotonic());
        self.ring(reservation);
    }

    /// See [`Limiter::acquaint`].
    pub(super) fn acquaint(&self, client: ClientAddress, account: &str) {
        self.limiter.acquaint(client, account, self.clock.monotonic());
    }

    /// See [`Limiter::release`].
    pub(super) fn release(&self, reservation: &Reservation) {
        self.limiter.release(reservation);
        self.ring(reservation);
    }

    /// See [`Limiter::fail`].
    pub(super) fn fail(&self, reservation: &Reservation) {
        self.limiter.fail(reservation, self.clock.monotonic());
        self.ring(reservation);
    }

    fn ring(&self, reservation: &Reservation) {
        reservation.keys().for_each(|key| self.bell(key).notify_waiters());
    }

    fn bell(&self, key: Key) -> &Notify {
        let [byte, ..] = key.0.to_be_bytes();
        &self.bells[usize::from(byte)]
    }
}
