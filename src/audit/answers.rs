//! Brings what became of records to those who wait for them.
//!
//! A group of records is answered at once. Were each answer sent by itself, the thread that drives those who wait would be
//! woken once for each, by a call of the system from the writer's thread. So a lane (`proxy::Lanes`) has a mailbox: all that a
//! group has for it is put there, it is woken once, and what wakes its connections then is itself.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, oneshot};

use super::AuditError;

/// What became of a record.
pub(super) type Outcome = Result<(), AuditError>;

thread_local! {
    static HERE: RefCell<Option<Arc<Mailbox>>> = const { RefCell::new(None) };
}

/// Answers for one thread.
#[derive(Default)]
struct Mailbox {
    answers: Mutex<Vec<(oneshot::Sender<Outcome>, Outcome)>>,
    arrived: Notify,
}

/// Somebody who waits.
pub(super) struct Waiter {
    told: oneshot::Sender<Outcome>,
    /// His thread's, if it has one.
    mailbox: Option<Arc<Mailbox>>,
}

impl Waiter {
    /// One on this thread, and where he waits.
    pub(super) fn here() -> (Self, oneshot::Receiver<Outcome>) {
        let (told, answer) = oneshot::channel();
        (Self { told, mailbox: HERE.with_borrow(Option::clone) }, answer)
    }
}

/// Answers to a group, which are delivered when this is dropped.
#[derive(Default)]
pub(super) struct Answers(Vec<Arc<Mailbox>>);

impl Answers {
    /// One of them.
    pub(super) fn add(&mut self, waiter: Waiter, outcome: &Outcome) {
        let Waiter { told, mailbox } = waiter;
        let Some(mailbox) = mailbox else {
            // Who no longer listens is recorded all the same.
            let _ = told.send(outcome.clone());
            return;
        };
        mailbox.answers.lock().unwrap_or_else(PoisonError::into_inner).push((told, outcome.clone()));
        if !self.0.iter().any(|known| Arc::ptr_eq(known, &mailbox)) {
            self.0.push(mailbox);
        }
    }
}

impl Drop for Answers {
    /// Wakes each lane once.
    fn drop(&mut self) {
        for mailbox in &self.0 {
            mailbox.arrived.notify_one();
        }
    }
}

/// Takes the answers for whoever waits on this thread, as long as it is polled: for a runtime that has this thread alone.
pub async fn deliver_here() {
    let mailbox = Arc::<Mailbox>::default();
    let _here = Here::begin(Arc::clone(&mailbox));
    loop {
        mailbox.arrived.notified().await;
        let answers = std::mem::take(&mut *mailbox.answers.lock().unwrap_or_else(PoisonError::into_inner));
        for (told, outcome) in answers {
            let _ = told.send(outcome);
        }
    }
}

/// The thread has a mailbox.
struct Here;

impl Here {
    fn begin(mailbox: Arc<Mailbox>) -> Self {
        HERE.set(Some(mailbox));
        Self
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        HERE.set(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lane_is_woken_once_for_all_that_a_group_has_for_it() {
        let (direct, answer) = Waiter::here();
        let delivering = tokio::spawn(deliver_here());
        tokio::task::yield_now().await;
        let (waiters, mut waiting): (Vec<_>, Vec<_>) = (0..3).map(|_| Waiter::here()).unzip();
        let mailbox = waiters[0].mailbox.clone().expect("the thread has one");
        let mut answers = Answers::default();
        answers.add(direct, &Ok(()));
        assert!(answer.await.unwrap().is_ok(), "who waits elsewhere is told at once");
        for waiter in waiters {
            answers.add(waiter, &Err(AuditError::Closed));
        }
        assert_eq!((answers.0.len(), mailbox.answers.lock().unwrap().len()), (1, 3));
        tokio::task::yield_now().await;
        assert!(waiting[0].try_recv().is_err(), "nobody was told yet");
        drop(answers);
        for answer in waiting {
            assert!(matches!(answer.await.unwrap(), Err(AuditError::Closed)));
        }
        delivering.abort();
        let _ = delivering.await;
        assert!(Waiter::here().0.mailbox.is_none(), "nobody comes for it any more");
    }

    #[tokio::test]
    async fn what_nobody_comes_for_any_more_is_no_answer() {
        let delivering = tokio::spawn(deliver_here());
        tokio::task::yield_now().await;
        let (waiter, answer) = Waiter::here();
        delivering.abort();
        let _ = delivering.await;
        let mut answers = Answers::default();
        answers.add(waiter, &Ok(()));
        drop(answers);
        assert!(answer.await.is_err());
    }
}
