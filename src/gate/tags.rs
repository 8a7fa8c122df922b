//! A few tags for each of many keys, for a while. Pure: time is an argument.
//!
//! A tag is the beginning of a keyed hash. Of what people choose it has 16 bits, so that it says nearly nothing to
//! whoever reads this process's memory: one password in 65,536 has the same. What is decided by such a tag must bear that.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::cells::Key;
use crate::base::Monotonic;

/// The beginning of a keyed hash: its first 16 bits, or all 64.
pub(super) type Tag = u64;

/// The first 16 bits of a hash.
pub(super) fn short(hash: [u8; 32]) -> Tag {
    let [high, low, ..] = hash;
    Tag::from(u16::from_be_bytes([high, low]))
}

/// As many as there are. Only of what was drawn at random: who reads it can try what people choose.
pub(super) fn long(hash: [u8; 32]) -> Tag {
    let [a, b, c, d, e, f, g, h, ..] = hash;
    Tag::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Tags by key.
pub(super) struct Tags {
    seen: HashMap<Key, Vec<(Tag, Monotonic)>>,
    /// Keys by the time of their last tag.
    by_time: BTreeSet<(Monotonic, Key)>,
    kept_for: Duration,
    of_a_key: usize,
    capacity: usize,
}

impl Tags {
    /// Keeps tags for `kept_for`: `of_a_key` at most, and of at most `capacity` keys. Each key takes some 150 bytes,
    /// and 24 for each of its tags.
    pub(super) fn new(kept_for: Duration, of_a_key: usize, capacity: usize) -> Self {
        Self { seen: HashMap::new(), by_time: BTreeSet::new(), kept_for, of_a_key, capacity }
    }

    /// Whether `tag` was noted lately.
    pub(super) fn has(&self, key: Key, tag: Tag, now: Monotonic) -> bool {
        let tags = self.seen.get(&key).map(Vec::as_slice).unwrap_or_default();
        tags.iter().any(|(noted, at)| *noted == tag && now.since(*at) < self.kept_for)
    }

    /// Notes `tag`, anew if it was already, and says how many the key has now. The tag of this key, and the key of
    /// all, that was noted longest ago makes room.
    pub(super) fn note(&mut self, key: Key, tag: Tag, now: Monotonic) -> usize {
        let mut tags = self.take(key);
        tags.retain(|(noted, at)| *noted != tag && now.since(*at) < self.kept_for);
        if tags.len() >= self.of_a_key {
            tags.remove(0);
        }
        tags.push((tag, now));
        let count = tags.len();
        self.put(key, tags);
        if self.seen.len() > self.capacity
            && let Some((_, oldest)) = self.by_time.pop_first()
        {
            self.seen.remove(&oldest);
        }
        count
    }

    /// Forgets `tag`.
    pub(super) fn forget(&mut self, key: Key, tag: Tag) {
        let mut tags = self.take(key);
        tags.retain(|(noted, _)| *noted != tag);
        self.put(key, tags);
    }

    fn take(&mut self, key: Key) -> Vec<(Tag, Monotonic)> {
        let tags = self.seen.remove(&key).unwrap_or_default();
        if let Some((_, last)) = tags.last() {
            self.by_time.remove(&(*last, key));
        }
        tags
    }

    fn put(&mut self, key: Key, tags: Vec<(Tag, Monotonic)>) {
        if let Some((_, last)) = tags.last() {
            self.by_time.insert((*last, key));
            self.seen.insert(key, tags);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Monotonic {
        Monotonic(Duration::from_secs(seconds))
    }

    fn tags(capacity: usize) -> Tags {
        Tags::new(Duration::from_secs(60), 4, capacity)
    }

    #[test]
    fn a_tag_is_kept_for_its_time_since_it_was_last_noted() {
        let mut tags = tags(10);
        tags.note(Key(1), 7, at(0));
        assert!(tags.has(Key(1), 7, at(59)) && !tags.has(Key(1), 7, at(60)));
        assert!(!tags.has(Key(1), 8, at(0)) && !tags.has(Key(2), 7, at(0)));
        tags.note(Key(1), 7, at(50));
        assert!(tags.has(Key(1), 7, at(109)));
        tags.forget(Key(1), 7);
        assert!(!tags.has(Key(1), 7, at(50)));
        assert!(tags.seen.is_empty() && tags.by_time.is_empty());
    }

    #[test]
    fn a_key_has_few_tags_and_there_are_few_keys() {
        let mut tags = tags(3);
        for tag in 0..10 {
            let count = tags.note(Key(1), tag, at(tag));
            assert_eq!(count, usize::try_from(tag + 1).unwrap().min(4));
        }
        assert_eq!((0..10).filter(|tag| tags.has(Key(1), *tag, at(10))).collect::<Vec<_>>(), [6, 7, 8, 9]);
        for key in 2..100 {
            tags.note(Key(key), 1, at(20));
        }
        assert_eq!((tags.seen.len(), tags.by_time.len()), (3, 3));
        assert!(!tags.has(Key(1), 9, at(20)));
    }
}
