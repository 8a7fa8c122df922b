//! Records of the trail as the search index keeps them: some of one chain in one row, which is found under what any of
//! them says.
//!
//! What is in a block is decided by its lines alone, so that its keys can be made again when it goes.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{Among, AuditQuery, AuditRow};
use crate::base::{Timestamp, random};

/// More of them cost less to write, and more to read for whoever looks for one.
const RECORDS_MAX: usize = 32;

/// A single longer record is a block, too.
const BYTES_MAX: usize = 64 << 10;

/// What an account's rare attempts are found under.
const RARE: &str = "rare";

/// Between the earliest and the latest record of a block: so much is read behind the end of what is asked for.
const SPAN_MAX: Duration = Duration::from_secs(3600);

/// The lower bits of a number, which tell blocks of one millisecond apart. The upper ones last until the year 2109.
const DRAWN_BITS: u32 = 21;
const MILLIS_MAX: i64 = i64::MAX >> DRAWN_BITS;

/// What the trail records about itself.
const CHAIN_EVENTS: [&str; 2] = ["chain_started", "chain_ended"];

/// Attempts to get in: of mail clients, and of browsers.
const ATTEMPTS: [&str; 4] = [LOGIN, "refused_logins", "sign_in", "second_factor"];
const LOGIN: &str = "login";

/// Lines of one chain, packed as the search index keeps them.
#[derive(Debug, Default)]
pub struct AuditBatch(Vec<Block>);

/// Records that follow each other in a chain and lie in one hour.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    count: usize,
    /// When its earliest and its latest record were made.
    earliest: Timestamp,
    latest: Timestamp,
    /// Sequence numbers of its first and its last record.
    first: i64,
    pub(super) last: i64,
    /// The records, each with a line end behind it.
    pub(super) lines: String,
    /// What it is found under.
    pub(super) keys: BTreeSet<i64>,
}

impl AuditBatch {
    /// Takes one more line, without its end. What is no record is left out: there is nothing to find.
    pub fn add(&mut self, line: &str) {
        let Some(fields) = Fields::read(line) else { return };
        match self.0.last_mut().filter(|block| block.has_room_for(&fields, line)) {
            Some(block) => block.add(&fields, line),
            None => self.0.push(Block::of(&fields, line)),
        }
    }

    /// The blocks, without the records at the front that have been indexed up to number `known`.
    pub(super) fn behind(self, known: Option<i64>) -> Vec<Block> {
        let Some(known) = known.filter(|known| self.0.first().is_some_and(|block| block.first <= *known))
        else {
            return self.0;
        };
        let mut rest = Self::default();
        let lines = self.0.iter().flat_map(|block| block.lines.lines());
        let is_known = |line: &&str| Fields::read(line).is_some_and(|fields| fields.seq <= known);
        lines.skip_while(is_known).for_each(|line| rest.add(line));
        rest.0
    }
}

impl<'l> FromIterator<&'l str> for AuditBatch {
    fn from_iter<L: IntoIterator<Item = &'l str>>(lines: L) -> Self {
        let mut batch = Self::default();
        lines.into_iter().for_each(|line| batch.add(line));
        batch
    }
}

impl Block {
    fn of(fields: &Fields<'_>, line: &str) -> Self {
        let room = RECORDS_MAX * (line.len() + 1);
        let mut block = Self {
            count: 0,
            earliest: fields.at,
            latest: fields.at,
            first: fields.seq,
            last: fields.seq,
            lines: String::with_capacity(room.min(BYTES_MAX).max(line.len() + 1)),
            keys: BTreeSet::new(),
        };
        block.add(fields, line);
        block
    }

    fn has_room_for(&self, fields: &Fields<'_>, line: &str) -> bool {
        self.count < RECORDS_MAX
            && self.lines.len() + line.len() < BYTES_MAX
            && self.latest.max(fields.at).since(self.earliest.min(fields.at)) <= SPAN_MAX
    }

    fn add(&mut self, fields: &Fields<'_>, line: &str) {
        self.count += 1;
        (self.earliest, self.latest) = (self.earliest.min(fields.at), self.latest.max(fields.at));
        self.last = fields.seq;
        self.lines.push_str(line);
        self.lines.push('\n');
        self.keys.extend(fields.keys());
    }

    /// A number for it, which sorts by its latest record. Another block may have it already.
    pub(super) fn draw_number(&self) -> i64 {
        let drawn = u32::from_be_bytes(random::bytes()) >> (u32::BITS - DRAWN_BITS);
        first_number(self.latest) | i64::from(drawn)
    }
}

/// The least number of a block whose latest record was made in this millisecond.
fn first_number(at: Timestamp) -> i64 {
    (at.unix_micros() / 1_000).clamp(0, MILLIS_MAX) << DRAWN_BITS
}

/// The numbers of all blocks in which a record may lie that was made at `from` or later and before `until`.
pub(super) fn numbers(from: Option<Timestamp>, until: Option<Timestamp>) -> Range<i64> {
    let millisecond = Duration::from_millis(1);
    let end = until.map(|until| first_number(until.plus(SPAN_MAX).plus(millisecond)));
    from.map_or(0, first_number)..end.unwrap_or(i64::MAX)
}

/// When the records of all blocks with lower numbers than this have been made: before this moment.
pub(super) fn all_before(number: i64) -> Timestamp {
    let millis = (number >> DRAWN_BITS).saturating_add(1);
    Timestamp::from_unix_seconds(0).plus(Duration::from_millis(millis.unsigned_abs()))
}

/// The key under which the fewest records are that fit; none where only time tells them apart.
pub(super) fn narrowest_key(query: &AuditQuery) -> Option<i64> {
    let AuditQuery { account, ip, event, among, .. } = query;
    let of_account = if *among == Among::RareAttempts { RARE } else { "account" };
    let account = account.as_ref().map(|account| key(of_account, account));
    let ip = || ip.as_ref().map(|ip| key("ip", ip));
    let event = || event.as_ref().map(|event| key("event", event));
    account.or_else(ip).or_else(event)
}

/// All keys of the records in `lines`.
pub(super) fn keys_of(lines: &str) -> BTreeSet<i64> {
    lines.lines().filter_map(Fields::read).flat_map(|fields| fields.keys()).collect()
}

/// Whether it is an attempt, and none as clients make them all day.
fn is_rare(event: &str, outcome: Option<&str>) -> bool {
    ATTEMPTS.contains(&event) && !(event == LOGIN && outcome == Some("admitted"))
}

/// Short, so that the index stays small. Two values may have the same: what is found is looked at again.
fn key(field: &str, value: &str) -> i64 {
    let hash = Sha256::new().chain_update(field).chain_update([0]).chain_update(value).finalize();
    let mut key = [0; 8];
    key.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    i64::from_be_bytes(key)
}

/// The records in `lines` that `query` asks for.
pub(super) fn matches(query: &AuditQuery, chain: &str, lines: &str) -> impl Iterator<Item = AuditRow> {
    lines.lines().filter_map(move |line| {
        let fields = Fields::read(line)?;
        fields.fit(query).then(|| fields.into_row(chain, line))
    })
}

/// What is searched for in a record, as it stands in its line.
#[derive(Deserialize)]
struct Fields<'l> {
    seq: i64,
    at: Timestamp,
    #[serde(borrow)]
    event: Cow<'l, str>,
    #[serde(borrow, default)]
    account: Option<Cow<'l, str>>,
    #[serde(borrow, default)]
    ip: Option<Cow<'l, str>>,
    #[serde(borrow, default)]
    outcome: Option<Cow<'l, str>>,
}

impl<'l> Fields<'l> {
    fn read(line: &'l str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }

    /// What it is found under.
    fn keys(&self) -> impl Iterator<Item = i64> + use<> {
        let of = |field, value: Option<&str>| value.map(|value| key(field, &clean(value.into())));
        let account = self.account.as_deref();
        let rare = account.filter(|_| is_rare(&self.event, self.outcome.as_deref()));
        let keys = [
            of("account", account),
            of(RARE, rare),
            of("ip", self.ip.as_deref()),
            of("event", Some(&self.event)),
        ];
        keys.into_iter().flatten()
    }

    fn fit(&self, query: &AuditQuery) -> bool {
        let is = |asked: &Option<String>, said: Option<&Cow<'_, str>>| {
            asked.as_ref().is_none_or(|asked| said.is_some_and(|said| clean(said.as_ref().into()) == *asked))
        };
        query.from.is_none_or(|from| from <= self.at)
            && query.until.is_none_or(|until| self.at < until)
            && is(&query.account, self.account.as_ref())
            && is(&query.ip, self.ip.as_ref())
            && is(&query.event, Some(&self.event))
            && is(&query.outcome, self.outcome.as_ref())
            && !(query.without_chains && CHAIN_EVENTS.contains(&self.event.as_ref()))
            && match query.among {
                Among::All => true,
                Among::RareAttempts => is_rare(&self.event, self.outcome.as_deref()),
            }
    }

    fn into_row(self, chain: &str, line: &str) -> AuditRow {
        let owned = |text: Option<Cow<'_, str>>| text.map(|text| clean(text).into_owned());
        AuditRow {
            chain: chain.to_owned(),
            sequence: self.seq,
            at: self.at,
            event: clean(self.event).into_owned(),
            account: owned(self.account),
            ip: owned(self.ip),
            outcome: owned(self.outcome),
            json: line.to_owned(),
        }
    }
}

impl AuditRow {
    /// Sorts by time, and what happened at one time by chain.
    pub(super) fn place_in_time(&self) -> (Timestamp, &str, i64) {
        (self.at, &self.chain, self.sequence)
    }
}

/// JSON can say NUL, which is shown as what it is not by terminals and was never kept by PostgreSQL.
fn clean(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(sequence: i64, seconds: i64, padding: usize) -> AuditRow {
        let at = Timestamp::from_unix_seconds(seconds);
        let line = serde_json::json!({
            "seq": sequence, "at": at, "event": "login", "account": format!("user{sequence}@example.org"),
            "ip": "192.0.2.1", "reason": "x".repeat(padding),
        });
        read(&line.to_string()).unwrap()
    }

    fn read(line: &str) -> Option<AuditRow> {
        Fields::read(line).map(|fields| fields.into_row("one", line))
    }

    fn batch(rows: &[AuditRow]) -> AuditBatch {
        rows.iter().map(|row| row.json.as_str()).collect()
    }

    fn pack(rows: &[AuditRow]) -> Vec<Block> {
        batch(rows).behind(None)
    }

    /// How many records are in each.
    fn sizes(blocks: &[Block]) -> Vec<usize> {
        blocks.iter().map(|block| block.lines.lines().count()).collect()
    }

    #[test]
    fn a_block_has_so_many_records_bytes_and_minutes_and_no_more() {
        let many: Vec<_> = (1..=70).map(|n| row(n, n, 0)).collect();
        assert_eq!(sizes(&pack(&many)), [32, 32, 6]);
        let long: Vec<_> = (1..=3).map(|n| row(n, n, BYTES_MAX / 2)).collect();
        assert_eq!(sizes(&pack(&long)), [1, 1, 1]);
        let seldom = [row(1, 0, 0), row(2, 3_600, 0), row(3, 3_601, 0), row(4, 1, 0), row(5, 1, 0)];
        assert_eq!(sizes(&pack(&seldom)), [2, 3], "a clock that was set back is no reason");
        let back = [row(1, 9_000, 0), row(2, 5_399, 0), row(3, 8_999, 0)];
        assert_eq!(sizes(&pack(&back)), [1, 2], "unless it was by more");
        assert_eq!(pack(&[]), []);
    }

    #[test]
    fn what_has_been_indexed_is_left_out_at_the_front_and_nowhere_else() {
        let rows: Vec<_> = (1..=40).chain([2]).map(|n| row(n, n, 0)).collect();
        let behind = |known| {
            let blocks = batch(&rows).behind(known);
            (sizes(&blocks), blocks.first().map(|block| block.first))
        };
        assert_eq!(behind(None), (vec![32, 9], Some(1)));
        assert_eq!(behind(Some(0)), (vec![32, 9], Some(1)));
        assert_eq!(behind(Some(33)), (vec![8], Some(34)));
        assert_eq!(behind(Some(40)), (vec![], None));
    }

    #[test]
    fn a_block_is_found_under_all_that_it_names_and_its_lines_say_the_same() {
        let rows = [row(1, 5, 0), row(2, 4, 0)];
        let blocks = pack(&rows);
        let [block] = &blocks[..] else { panic!("{blocks:?}") };
        assert_eq!((block.latest, block.last), (Timestamp::from_unix_seconds(5), 2));
        assert_eq!(block.keys.len(), 6, "two accounts, each let in by none of these, one address, one event");
        assert_eq!(block.keys, keys_of(&block.lines));
        let asked = [
            AuditQuery { account: rows[1].account.clone(), ..AuditQuery::default() },
            AuditQuery {
                account: rows[1].account.clone(),
                among: Among::RareAttempts,
                ..AuditQuery::default()
            },
            AuditQuery { ip: rows[0].ip.clone(), ..AuditQuery::default() },
            AuditQuery { event: Some("login".to_owned()), ..AuditQuery::default() },
        ];
        for query in asked {
            assert!(block.keys.contains(&narrowest_key(&query).unwrap()), "{query:?}");
        }
        let nobody = AuditQuery { account: Some("192.0.2.1".to_owned()), ..AuditQuery::default() };
        assert!(!block.keys.contains(&narrowest_key(&nobody).unwrap()), "an address is no account");
        assert_eq!(
            narrowest_key(&AuditQuery { outcome: Some("refused".to_owned()), ..AuditQuery::default() }),
            None
        );
    }

    #[test]
    fn numbers_sort_by_time_and_say_it() {
        let block = |seconds| pack(&[row(1, seconds, 0)]).remove(0).draw_number();
        let (early, late) = (block(1_000_000), block(1_000_001));
        assert!(early < late);
        let moment = Timestamp::from_unix_seconds;
        assert!(all_before(late) > moment(1_000_001) && all_before(late) < moment(1_000_002));
        assert!(numbers(Some(moment(1_000_000)), None).contains(&early));
        assert!(!numbers(Some(moment(1_000_001)), None).contains(&early));
        assert!(numbers(None, Some(moment(1_000_000 - 3_600))).contains(&early), "it may reach back an hour");
        assert!(!numbers(None, Some(moment(1_000_000 - 3_601))).contains(&early));
        let far = numbers(Some(moment(-5)), Some(moment(253_402_300_799)));
        assert!(far.contains(&0) && far.contains(&late));
    }

    #[test]
    fn what_is_no_record_is_nothing_to_find() {
        for line in ["", "{}", "{\"seq\":1,\"at\":\"2026-01-01T00:00:00Z\"}", "[1]", "{\"seq\":1"] {
            assert_eq!(read(line), None, "{line}");
        }
        let line = r#"{"seq":1,"at":"2026-01-01T00:00:00Z","event":"login","account":"a\u0000\"b"}"#;
        assert_eq!(read(line).unwrap().account.as_deref(), Some("a\u{fffd}\"b"));
    }
}
