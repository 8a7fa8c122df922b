//! Which rows of `changes` are news: pure. Every row is news once, although PostgreSQL may show a row with a lower
//! number after one with a higher, and the oldest rows go away.
//!
//! ```text
//!   … pruned | anchor …………………… recent …………………… │
//!              └ read again each time, and no news ┘ whatever is here for the first time
//! ```
//!
//! The anchor is the latest row that was there long enough for everything before it to be visible. It is read
//! again each time: if it is gone, so may be rows after it that nobody read, and everything must be judged anew. Before
//! there is one, any row that was seen will do.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::Monotonic;
use crate::store::{Change, Store};

/// The rows that were read so far, as far as that matters.
pub(super) struct Feed {
    /// See [`Store::changes_settle_in`].
    settle_in: Duration,
    begun: bool,
    anchor: Option<i64>,
    /// When each was first seen: the anchor, and all after it.
    recent: BTreeMap<i64, Monotonic>,
}

/// What a look at the rows gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// These happened.
    Changes(Vec<Change>),
    /// Anything may have happened: what the rows say is over, and what holds now must be read.
    Unheard,
    /// Some rows were not seen and are gone: read again, from the beginning.
    Lost,
}

impl Feed {
    /// Of nothing yet. `settle_in`: how long after a row others before it may come to be seen.
    pub(super) fn new(settle_in: Duration) -> Self {
        Self { settle_in, begun: false, anchor: None, recent: BTreeMap::new() }
    }

    /// From which row on to read.
    pub(super) fn from(&self) -> i64 {
        self.anchor.unwrap_or(0)
    }

    /// Takes all rows from [`Feed::from`] on, in order.
    pub(super) fn take(&mut self, rows: Vec<Change>, now: Monotonic) -> News {
        if self.has_missed_some(&rows) {
            *self = Self::new(self.settle_in);
            return News::Lost;
        }
        let mut news = rows;
        news.retain(|row| !self.recent.contains_key(&row.seq));
        self.recent.extend(news.iter().map(|row| (row.seq, now)));
        let settled = self.recent.iter().rev().find(|(_, seen)| now.since(**seen) >= self.settle_in);
        if let Some(anchor) = settled.map(|(seq, _)| *seq) {
            self.anchor = Some(anchor);
            self.recent = self.recent.split_off(&anchor);
        }
        if std::mem::replace(&mut self.begun, true) { News::Changes(news) } else { News::Unheard }
    }

    /// Whether rows may be gone that were not seen. The oldest go first: as long as one is there that was seen, all that
    /// came after it are.
    fn has_missed_some(&self, rows: &[Change]) -> bool {
        match self.anchor {
            Some(anchor) => rows.first().is_none_or(|first| first.seq != anchor),
            None if !self.recent.is_empty() => !rows.iter().any(|row| self.recent.contains_key(&row.seq)),
            // There were none at all.
            None => self.begun && rows.last().is_some_and(|last| last.seq > Store::CHANGES_KEPT),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::base::AccountId;

    /// A table, and a reader of it.
    struct Reader {
        feed: Feed,
        rows: Vec<i64>,
    }

    impl Reader {
        /// Of a database in which rows settle in half a minute.
        fn new() -> Self {
            Self { feed: Feed::new(Duration::from_secs(30)), rows: Vec::new() }
        }

        fn begun() -> Self {
            let mut reader = Self::new();
            assert_eq!(reader.look(0), News::Unheard);
            reader
        }

        fn look(&mut self, seconds: u64) -> News {
            self.rows.sort_unstable();
            let rows =
                self.rows.iter().filter(|seq| **seq >= self.feed.from()).map(|seq| row(*seq)).collect();
            self.feed.take(rows, Monotonic(Duration::from_secs(seconds)))
        }
    }

    fn row(seq: i64) -> Change {
        Change { seq, account: AccountId(Uuid::nil()), session: None, reason: None }
    }

    fn news(rows: &[i64]) -> News {
        News::Changes(rows.iter().map(|seq| row(*seq)).collect())
    }

    #[test]
    fn what_happened_before_the_first_look_is_no_news() {
        let mut reader = Reader { rows: vec![3, 4], ..Reader::new() };
        assert_eq!(reader.look(0), News::Unheard);
        assert_eq!(reader.look(1), news(&[]));
        reader.rows.push(5);
        assert_eq!(reader.look(2), news(&[5]));
        assert_eq!(reader.look(3), news(&[]));
    }

    #[test]
    fn a_row_that_becomes_visible_late_is_news_once() {
        let mut reader = Reader::begun();
        reader.rows.extend([1, 4]);
        assert_eq!(reader.look(1), news(&[1, 4]));
        reader.rows.push(3);
        assert_eq!(reader.look(12), news(&[3]));
        reader.rows.push(2);
        assert_eq!(reader.look(29), news(&[2]));
        assert_eq!(reader.look(31), news(&[]));
        assert_eq!(reader.feed.from(), 4, "settled: nothing before it is awaited any more");
        assert_eq!(reader.feed.recent.len(), 1);
        reader.rows.push(6);
        assert_eq!(reader.look(32), news(&[6]));
        reader.rows.push(5);
        assert_eq!(reader.look(40), news(&[5]));
    }

    #[test]
    fn where_rows_are_seen_in_order_none_is_read_again_but_the_last() {
        let mut reader = Reader { feed: Feed::new(Duration::ZERO), rows: (1..=1000).collect() };
        assert_eq!(reader.look(0), News::Unheard);
        assert_eq!(reader.feed.from(), 1000);
        reader.rows.extend([1001, 1002]);
        assert_eq!(reader.look(0), news(&[1001, 1002]));
        assert_eq!((reader.feed.from(), reader.feed.recent.len()), (1002, 1));
        assert_eq!(reader.look(0), news(&[]));
        reader.rows = vec![5000];
        assert_eq!(reader.look(1), News::Lost);
    }

    #[test]
    fn rows_that_went_away_unseen_are_noticed() {
        let mut reader = Reader::begun();
        reader.rows.extend(1..=10);
        reader.look(1);
        reader.look(31);
        assert_eq!(reader.feed.from(), 10);
        reader.rows = (5..=12).collect();
        assert_eq!(reader.look(32), news(&[11, 12]), "those it has read may go");
        reader.rows = (15..=30).collect();
        assert_eq!(reader.look(99), News::Lost);
        assert_eq!(reader.look(99), News::Unheard);
        reader.rows.push(31);
        assert_eq!(reader.look(100), news(&[31]));
    }

    #[test]
    fn so_are_those_that_went_away_before_any_was_settled() {
        let mut reader = Reader::begun();
        reader.rows.extend(1..=10);
        assert_eq!(reader.look(1), news(&(1..=10).collect::<Vec<_>>()));
        reader.rows = (9..=12).collect();
        assert_eq!(reader.look(5), news(&[11, 12]), "nothing was missed");
        reader.rows = (15..=30).collect();
        assert_eq!(reader.look(10), News::Lost);
        assert_eq!(reader.look(10), News::Unheard);
        assert_eq!(reader.look(11), news(&[]));
    }

    #[test]
    fn so_are_those_that_went_away_when_there_had_been_none() {
        let mut reader = Reader::begun();
        reader.rows = (2..=Store::CHANGES_KEPT).collect();
        assert_eq!(reader.look(1), news(&reader.rows.clone()), "some numbers are never seen");
        let mut reader = Reader::begun();
        // Some of them may never have been written.
        reader.rows = vec![9, 20, Store::CHANGES_KEPT + 5];
        assert_eq!(reader.look(1), News::Lost);
        assert_eq!(reader.look(1), News::Unheard);
    }

    #[test]
    fn numbers_that_begin_again_are_noticed() {
        let mut reader = Reader::begun();
        reader.rows.extend(1..=10);
        reader.look(1);
        reader.look(31);
        reader.rows = vec![1, 2];
        assert_eq!(reader.look(32), News::Lost);
        assert_eq!(reader.look(32), News::Unheard);
    }
}
