//! Sends what waits, again and again, on every node: of many, one takes a notice.
//!
//! A relay that cannot be reached is no message's fault: then nothing is taken at all. What it does not take for now is put off
//! with growing pauses; what it refuses, or what is too old, is given up, with a record. A node that dies between the relay's
//! *yes* and the end of the row leaves a notice that is sent twice, under the same Message-ID.

use std::error::Error;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::relay::Conversation;
use super::{Relay, RelayError, Sender, before, give_up, message, read, with_parts};
use crate::audit::Audit;
use crate::base::key::Purpose;
use crate::base::{Clock, SiteKey};
use crate::store::{NoticeRecord, Store, StoreError};

/// How often there is a round.
pub const ROUND_EVERY: Duration = Duration::from_secs(5);

/// How many are looked for in a round.
const IN_A_ROUND: u32 = 50;

/// For how long one is its taker's: longer than sending may take.
const TAKEN_FOR: Duration = Duration::from_secs(180);

/// The first pause; each is twice the one before.
const PAUSE: Duration = Duration::from_secs(60);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(3600);

/// When nobody needs to be told any more.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(3 * 24 * 3600);

/// How many may wait in all.
const WAITING_MAX: u32 = 10_000;

/// Sends notices.
pub struct Postman {
    store: Store,
    key: Arc<SiteKey>,
    clock: Arc<dyn Clock>,
    audit: Audit,
    by: RwLock<Option<Arc<Means>>>,
}

/// Of one reading of the configuration.
struct Means {
    relay: Relay,
    sender: Sender,
}

/// What became of one.
enum End {
    Sent,
    Later(String),
    Never(String),
    /// The relay is gone: the rest has to wait.
    Broken(String),
}

impl Postman {
    /// Sends what waits in `store`; `None` in `by`: nothing.
    #[must_use]
    pub fn new(
        store: Store,
        key: Arc<SiteKey>,
        clock: Arc<dyn Clock>,
        audit: Audit,
        by: Option<(Relay, Sender)>,
    ) -> Self {
        let postman = Self { store, key, clock, audit, by: RwLock::new(None) };
        postman.adopt(by);
        postman
    }

    /// From now on in this way.
    pub fn adopt(&self, by: Option<(Relay, Sender)>) {
        let means = by.map(|(relay, sender)| Arc::new(Means { relay, sender }));
        *self.by.write().unwrap_or_else(PoisonError::into_inner) = means;
    }

    /// Sends what is due, as far as the relay takes it. Returns how many were sent.
    pub async fn round(&self) -> usize {
        let means = self.by.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(means) = means else { return 0 };
        let sent = match self.try_round(&means).await {
            Ok(sent) => sent,
            Err(error) => {
                tracing::warn!(error = &error as &dyn Error, "notices wait for the database");
                0
            }
        };
        if sent > 0 {
            tracing::info!(sent, "users were told by mail");
        }
        sent
    }

    async fn try_round(&self, means: &Means) -> Result<usize, StoreError> {
        let now = self.clock.now();
        let (old, many) = self.store.give_up_notices(before(now, GIVEN_UP_AFTER), WAITING_MAX).await?;
        for row in old {
            give_up(&self.audit, &row, "nobody took it for three days").await;
        }
        for row in many {
            give_up(&self.audit, &row, "more notices wait than may").await;
        }
        let due = self.store.due_notices(now, IN_A_ROUND).await?;
        if due.is_empty() {
            return Ok(0);
        }
        let mut open = None;
        let mut sent = 0;
        for id in due {
            // Before anything is taken: a relay that is away is no message's fault.
            let mut conversation = match open.take() {
                Some(conversation) => conversation,
                None => match means.relay.connect().await {
                    Ok(conversation) => conversation,
                    Err(error) => {
                        tracing::warn!(
                            error = &error as &dyn Error,
                            "the relay cannot be reached: notices wait"
                        );
                        break;
                    }
                },
            };
            let now = self.clock.now();
            let Some(row) = self.store.take_notice(id, now, now.plus(TAKEN_FOR)).await? else {
                open = Some(conversation);
                continue;
            };
            // What was not taken has ended the conversation, too.
            match self.send(means, &mut conversation, &row).await {
                End::Sent => {
                    self.store.forget_notice(id).await?;
                    sent += 1;
                    open = Some(conversation);
                }
                End::Never(why) => {
                    self.store.forget_notice(id).await?;
                    give_up(&self.audit, &row, &why).await;
                }
                End::Later(why) => self.put_off(&row, &why).await?,
                End::Broken(why) => {
                    self.put_off(&row, &why).await?;
                    break;
                }
            }
        }
        if let Some(conversation) = open {
            conversation.end().await;
        }
        Ok(sent)
    }

    async fn send(&self, means: &Means, conversation: &mut Conversation, row: &NoticeRecord) -> End {
        if !with_parts(row, |parts| self.key.verify(Purpose::Notice, parts, &row.mac)) {
            return End::Never("somebody else changed it in the database".to_owned());
        }
        let Some(told) = read(row) else { return End::Never("it cannot be read".to_owned()) };
        let letter = means.sender.letter(&row.address, &told);
        let id = format!("{}@{}", row.id, means.sender.hostname);
        let message = match message(&letter, &means.relay.from, &row.address, &id, row.made_at) {
            Ok(message) => message,
            Err(error) => return End::Never(chain(&error)),
        };
        match conversation.send(&message).await {
            Ok(()) => End::Sent,
            Err(error) if error.is_final() => End::Never(chain(&error)),
            Err(RelayError::Smtp(said)) if said.is_transient() => End::Later(chain(&said)),
            Err(error) => End::Broken(chain(&error)),
        }
    }

    async fn put_off(&self, row: &NoticeRecord, why: &str) -> Result<(), StoreError> {
        let pause = pause(row.attempts);
        tracing::warn!(account = row.address, seconds = pause.as_secs(), "a notice is sent later: {why}");
        self.store.put_off_notice(row, self.clock.now().plus(pause)).await
    }
}

/// After so many attempts.
pub(super) fn pause(attempts: i64) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or_default().min(16);
    PAUSE.saturating_mul(1 << doublings).min(PAUSE_MAX)
}

/// On one line, without what could steer a terminal.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    super::letter::visible(&text)
}
