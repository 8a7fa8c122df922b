//! What this process remembers of passwords that were presented: that one was refused a moment ago, that one was
//! paid for already, that one was right lately.
//!
//! ```text
//!   refused a moment ago   account            60 s     answered again without asking anybody
//!   paid for               account + network  24 h     not charged again: a device that nobody told of a change
//!   right lately           account            30 days  the mailbox password that the upstream took
//! ```
//!
//! Only tags are kept, under a random key of this process (see `tags`), and never stored. Nothing is let in by one; the
//! worst that two passwords with one tag do is a refusal that lasts a minute, or a guess that is not counted. That the right
//! app password is refused so is out of the question: tags of what is judged by its row are long.
//!
//! A tag of a refusal also depends on how the password was judged: by the upstream, by which row in which state, or
//! not at all because a factor is bound. So when anything that this gate knows of changes (a factor is unbound, an
//! account resumed, an app password made anew) it is judged again at once; only what changes upstream behind the
//! gate's back is noticed up to a minute late.
//!
//! What was paid for is remembered for account and network together, and not for the account alone: by looking at
//! what is charged, a guesser elsewhere could else find out that he has the password which a forgotten device of a
//! bound account still sends, which nobody shall be told.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::cells::Key;
use super::tags::{self, Tag, Tags};
use crate::base::key::HashKey;
use crate::base::{AppPasswordId, ClientAddress, Monotonic, Password, Secret, UpstreamName};

/// How long a refusal is given again: a client that opens five folders at once, or polls by the second.
const REFUSED_FOR: Duration = Duration::from_secs(60);

/// How long a wrong password is paid for: a device that was forgotten in a drawer counts once a day.
const PAID_FOR: Duration = Duration::from_secs(24 * 3600);

/// How long a success speaks for a password: as long as people are away on holiday.
const RIGHT_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// Accounts, or accounts in networks: each of the three memories takes 16 MB when it is full.
const KEYS_MAX: usize = 65_536;

/// Passwords of each: the devices of one person do not send more different ones.
const OF_A_KEY_MAX: usize = 4;

/// By what a password is judged: another answer comes from another judge, or from a row that was made or sealed anew.
#[derive(Clone, Copy)]
pub(super) enum Judge<'a> {
    /// The row of an app password whose label it carries, as long as it has this MAC.
    Row(AppPasswordId, &'a [u8]),
    /// An upstream.
    Upstream(&'a UpstreamName),
    /// None, for this reason.
    Nobody(&'a str),
}

/// What one attempt presented.
#[derive(Clone, Copy, Debug)]
pub(super) struct Presented {
    account: Key,
    pair: Key,
    tag: Tag,
    /// The same password, and how it is judged.
    judged: Option<Tag>,
}

impl Presented {
    /// What tells the password from others of its account.
    pub(super) fn tag(self) -> Tag {
        self.tag
    }

    /// The same together with how it is judged.
    #[cfg(test)]
    pub(super) fn judged_tag(self) -> Option<Tag> {
        self.judged
    }
}

/// The memory of this process.
pub(super) struct PasswordMemory {
    key: HashKey,
    inner: Mutex<Inner>,
}

struct Inner {
    refused: Tags,
    paid: Tags,
    right: Tags,
}

impl PasswordMemory {
    /// Remembers nothing yet. `key` is this process's own.
    pub(super) fn new(key: &Secret) -> Self {
        let inner = Inner {
            refused: Tags::new(REFUSED_FOR, OF_A_KEY_MAX, KEYS_MAX),
            paid: Tags::new(PAID_FOR, OF_A_KEY_MAX, KEYS_MAX),
            right: Tags::new(RIGHT_FOR, OF_A_KEY_MAX, KEYS_MAX),
        };
        Self { key: HashKey::new(key), inner: Mutex::new(inner) }
    }

    /// What is presented for `account`: the folded address, or whatever was typed where it leads nowhere.
    pub(super) fn presented(&self, client: ClientAddress, account: &str, password: &Password) -> Presented {
        let network = client.network().to_string();
        Presented {
            account: Key::of(&self.key, &[b"account", account.as_bytes()]),
            pair: Key::of(&self.key, &[b"pair", network.as_bytes(), account.as_bytes()]),
            tag: tags::short(self.key.hash(&[b"password", account.as_bytes(), password.expose()])),
            judged: None,
        }
    }

    /// The same, as `judge` would judge it.
    pub(super) fn judged(
        &self,
        presented: Presented,
        account: &str,
        password: &Password,
        judge: Judge<'_>,
    ) -> Presented {
        let of = |kind: &[u8], by: &[u8], more: &[u8]| {
            self.key.hash(&[b"judged", account.as_bytes(), password.expose(), kind, by, more])
        };
        let tag = match judge {
            Judge::Row(id, mac) => tags::long(of(b"row", id.0.as_bytes(), mac)),
            Judge::Upstream(name) => tags::short(of(b"upstream", name.0.as_bytes(), b"")),
            Judge::Nobody(why) => tags::short(of(b"nobody", why.as_bytes(), b"")),
        };
        Presented { judged: Some(tag), ..presented }
    }

    /// Whether it was refused a moment ago, and would be judged in the same way now.
    pub(super) fn was_refused(&self, presented: Presented, now: Monotonic) -> bool {
        presented.judged.is_some_and(|tag| self.locked().refused.has(presented.account, tag, now))
    }

    /// It was definitely refused, just now.
    pub(super) fn refused(&self, presented: Presented, now: Monotonic) {
        if let Some(tag) = presented.judged {
            self.locked().refused.note(presented.account, tag, now);
        }
    }

    /// Whether it was paid for already.
    pub(super) fn is_paid(&self, presented: Presented, now: Monotonic) -> bool {
        self.locked().paid.has(presented.pair, presented.tag, now)
    }

    /// Whether it is to be paid for now, for the first time. Repeating it does not make it last longer.
    pub(super) fn pay(&self, presented: Presented, now: Monotonic) -> bool {
        let mut inner = self.locked();
        let due = !inner.paid.has(presented.pair, presented.tag, now);
        if due {
            inner.paid.note(presented.pair, presented.tag, now);
        }
        due
    }

    /// Whether the upstream took it lately, and has not refused it since.
    pub(super) fn was_right(&self, presented: Presented, now: Monotonic) -> bool {
        self.locked().right.has(presented.account, presented.tag, now)
    }

    /// The upstream took it: whatever was remembered against it is forgotten.
    pub(super) fn right(&self, presented: Presented, now: Monotonic) {
        let mut inner = self.locked();
        inner.right.note(presented.account, presented.tag, now);
        inner.paid.forget(presented.pair, presented.tag);
        if let Some(tag) = presented.judged {
            inner.refused.forget(presented.account, tag);
        }
    }

    /// The upstream refused it.
    pub(super) fn not_right(&self, presented: Presented) {
        self.locked().right.forget(presented.account, presented.tag);
    }

    fn locked(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> PasswordMemory {
        PasswordMemory::new(&Secret::new(vec![7; 32]))
    }

    fn at(seconds: u64) -> Monotonic {
        Monotonic(Duration::from_secs(seconds))
    }

    fn presented(memory: &PasswordMemory, host: u8, account: &str, password: &str, judge: &str) -> Presented {
        let client = ClientAddress::new([192, 0, 2, host].into());
        let password = Password::new(password.as_bytes().to_vec()).unwrap();
        let upstream = UpstreamName(judge.to_owned());
        let judge = if judge == "bound" { Judge::Nobody(judge) } else { Judge::Upstream(&upstream) };
        memory.judged(memory.presented(client, account, &password), account, &password, judge)
    }

    #[test]
    fn a_refusal_is_remembered_for_a_minute_for_this_password_judged_in_this_way() {
        let memory = memory();
        let wrong = presented(&memory, 1, "a@x.org", "wrong", "upstream");
        memory.refused(wrong, at(0));
        assert!(memory.was_refused(wrong, at(59)) && !memory.was_refused(wrong, at(60)));
        let elsewhere = presented(&memory, 2, "a@x.org", "wrong", "upstream");
        assert!(memory.was_refused(elsewhere, at(1)), "from any network");
        for (account, password, way) in [
            ("a@x.org", "wrong", "bound"),
            ("a@x.org", "other", "upstream"),
            ("b@x.org", "wrong", "upstream"),
        ] {
            assert!(!memory.was_refused(presented(&memory, 1, account, password, way), at(1)), "{way:?}");
        }
    }

    #[test]
    fn a_wrong_password_is_paid_for_once_a_day_in_each_network_however_often_it_comes() {
        let memory = memory();
        let wrong = presented(&memory, 1, "a@x.org", "wrong", "upstream");
        assert!(memory.pay(wrong, at(0)));
        for minute in 1..1440 {
            assert!(!memory.pay(wrong, at(minute * 60)));
        }
        assert!(memory.pay(wrong, at(86_400)));
        let bound_meanwhile = presented(&memory, 1, "a@x.org", "wrong", "bound");
        assert!(!memory.pay(bound_meanwhile, at(86_401)));
        assert!(memory.pay(presented(&memory, 2, "a@x.org", "wrong", "upstream"), at(86_401)));
        assert!(memory.pay(presented(&memory, 1, "a@x.org", "other", "upstream"), at(86_401)));
    }

    #[test]
    fn a_success_speaks_for_its_password_until_the_upstream_refuses_it() {
        let memory = memory();
        let password = presented(&memory, 1, "a@x.org", "right", "upstream");
        memory.refused(password, at(0));
        memory.pay(password, at(0));
        memory.right(password, at(1));
        assert!(!memory.was_refused(password, at(1)) && !memory.is_paid(password, at(1)));
        let elsewhere = presented(&memory, 2, "a@x.org", "right", "upstream");
        assert!(memory.was_right(elsewhere, at(30 * 86_400)));
        assert!(!memory.was_right(presented(&memory, 1, "a@x.org", "wrong", "upstream"), at(1)));
        memory.not_right(elsewhere);
        assert!(!memory.was_right(password, at(1)));
    }

    /// With short tags some of them would be, under this key.
    #[test]
    fn no_app_password_is_refused_for_another_wrong_one() {
        let (memory, account) = (memory(), "a@x.org");
        let row = Judge::Row(AppPasswordId(uuid::Uuid::from_u128(1)), &[1; 32]);
        let judged = |number: u32| {
            let password = Password::new(format!("abcd{number:012}").into_bytes()).unwrap();
            let client = ClientAddress::new([192, 0, 2, 1].into());
            memory.judged(memory.presented(client, account, &password), account, &password, row)
        };
        let wrong = [0, 1, 2, 3].map(judged);
        for wrong in wrong {
            memory.refused(wrong, at(0));
        }
        assert!(wrong.iter().all(|wrong| memory.was_refused(*wrong, at(1))));
        assert!((4..60_000).all(|number| !memory.was_refused(judged(number), at(1))));
    }
}
