//! Backup mailboxes: a code by mail to an address that is not behind the gate.
//!
//! Mail proves little: who has that mailbox has the codes, and it travels through others' hands. Standards do not count it as
//! a second factor (NIST SP 800-63B section 3.1.3.1), which is why no site offers it unless it says so. A code is good once, in the
//! browser that asked for it, for some minutes and some tries.

use std::fmt::Write as _;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{Confirmed, Factors, Right, SecondFactor};
use crate::base::{AccountId, Address, ClientAddress, MailCodeId, Secret, Timestamp, random};
use crate::config::FactorKind;
use crate::store::{FactorRecord, MailSends, StoreError};

/// Digits of a code. A hundred thousand accounts with every try that they have are guessed into once in weeks.
const DIGITS: usize = 6;

/// How long a code is good.
const GOOD_FOR: std::time::Duration = std::time::Duration::from_secs(5 * 60);

/// How many answers one code may get.
const TRIES: u32 = 5;

/// How many are sent in an hour: for one account in one network (/32, /64), so that whoever knows its mailbox password does
/// not use up its owner's; for one account, to one network, and in all.
const SENT_PER_PAIR: u32 = 5;
const SENT_PER_ACCOUNT: u32 = 15;
const SENT_PER_NETWORK: u32 = 30;
const SENT_IN_ALL: u32 = 1_000;

/// Over how long sends are counted.
const COUNTED_FOR: std::time::Duration = std::time::Duration::from_secs(3600);

/// The longest address that mail is sent to (RFC 5321 section 4.5.3.1.3).
const ADDRESS_MAX: usize = 254;

/// Mail to another mailbox.
pub(super) struct Mailbox;

impl SecondFactor for Mailbox {
    fn confirm(&self, offer: &Secret, answer: &str, now: Timestamp) -> Option<Confirmed> {
        let asked = MailCode::read(offer)?;
        asked.is_answered_by(answer, now).then(|| Confirmed {
            secret: Secret::new(asked.address.as_bytes().to_vec()),
            step: None,
            answered: true,
            detail: Some(masked(asked.address)),
        })
    }

    fn judge(&self, secret: &Secret, asked: Option<&Secret>, answer: &str, now: Timestamp) -> Option<Right> {
        let asked = MailCode::read(asked?)?;
        let same = asked.address.as_bytes() == secret.expose();
        (same && asked.is_answered_by(answer, now)).then_some(Right { step: None })
    }
}

/// A code on its way: what a session keeps of it, and nobody else.
pub struct NewMailCode {
    /// What the session keeps.
    pub kept: Secret,
    /// What is sent.
    pub code: Secret,
    /// To whom.
    pub address: String,
}

/// Why no code is sent.
#[derive(Debug, thiserror::Error)]
pub enum NoMailCode {
    /// As many were sent as may be, for now.
    #[error("too many codes were sent")]
    TooMany,
    /// There is nowhere to send it.
    #[error("no backup mailbox is bound")]
    NotFound,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a session keeps.
struct MailCode<'a> {
    until: i64,
    id: [u8; 16],
    code: &'a [u8],
    address: &'a str,
}

impl<'a> MailCode<'a> {
    fn read(kept: &'a Secret) -> Option<Self> {
        let (until, rest) = kept.expose().split_first_chunk::<8>()?;
        let (id, rest) = rest.split_first_chunk::<16>()?;
        let (code, address) = rest.split_at_checked(DIGITS)?;
        let address = std::str::from_utf8(address).ok()?;
        Some(Self { until: i64::from_be_bytes(*until), id: *id, code, address })
    }

    fn is_answered_by(&self, answer: &str, now: Timestamp) -> bool {
        let typed: Zeroizing<String> =
            Zeroizing::new(answer.chars().filter(|c| !c.is_whitespace()).collect());
        now.unix_micros() < self.until && bool::from(typed.as_bytes().ct_eq(self.code))
    }
}

impl Factors {
    /// A new code for `address`, if one more may be sent for the account and to `client`'s network; it is counted whether or
    /// not it is sent then.
    ///
    /// # Errors
    /// [`NoMailCode`]
    pub async fn new_mail_code(
        &self,
        account: AccountId,
        client: ClientAddress,
        address: &str,
    ) -> Result<NewMailCode, NoMailCode> {
        let now = self.clock.now();
        let id = MailCodeId(random::uuid(now));
        let network = client.network().to_string();
        let sends = MailSends {
            since: now.minus(COUNTED_FOR),
            pair: SENT_PER_PAIR,
            account: SENT_PER_ACCOUNT,
            network: SENT_PER_NETWORK,
            all: SENT_IN_ALL,
        };
        if !self.store.count_mail_code(id, account, &network, now, sends).await? {
            return Err(NoMailCode::TooMany);
        }
        let code = digits();
        let until = now.plus(GOOD_FOR).unix_micros().to_be_bytes();
        let kept = [&until[..], id.0.as_bytes(), code.expose(), address.as_bytes()].concat();
        Ok(NewMailCode { kept: Secret::new(kept), code, address: address.to_owned() })
    }

    /// Whether what was asked may be answered once more; counts the try. What is not mail may always be.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn count_try(&self, kind: FactorKind, asked: Option<&Secret>) -> Result<bool, StoreError> {
        match kind {
            FactorKind::Totp | FactorKind::Passkey => Ok(true),
            FactorKind::Mailbox => match asked.and_then(MailCode::read) {
                Some(code) => {
                    self.store.try_mail_code(MailCodeId(uuid::Uuid::from_bytes(code.id)), TRIES).await
                }
                None => Ok(false),
            },
        }
    }

    /// The address of the backup mailbox that codes go to: the one that was used last, or bound last.
    ///
    /// # Errors
    /// [`NoMailCode`]
    pub async fn backup_mailbox(&self, account: AccountId) -> Result<String, NoMailCode> {
        let bound = self.store.factors(account).await?;
        let of_kind = |factor: &&FactorRecord| factor.kind == FactorKind::Mailbox.as_str();
        let factor = bound.iter().filter(of_kind).max_by_key(|factor| (factor.last_used_at, factor.bound_at));
        let secret = factor.and_then(|factor| super::sealed::open(&self.key, factor));
        let address = secret.and_then(|secret| String::from_utf8(secret.expose().to_vec()).ok());
        address.ok_or(NoMailCode::NotFound)
    }

    /// Forgets codes whose sending counts no more.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn prune_mail_codes(&self) -> Result<u64, StoreError> {
        self.store.prune_mail_codes(self.clock.now().minus(COUNTED_FOR)).await
    }
}

/// To whom a code that a session keeps was sent, masked, if it is good still.
#[must_use]
pub fn sent_to(kept: &Secret, now: Timestamp) -> Option<String> {
    let code = MailCode::read(kept)?;
    (now.unix_micros() < code.until).then(|| masked(code.address))
}

/// An address that mail can go to, as it was typed; `None` for whatever is none. Relays that carry more than ASCII are rare
/// (RFC 6531).
#[must_use]
pub fn mail_address(typed: &str) -> Option<String> {
    let address = Address::parse(typed).ok()?;
    let plain = typed.trim();
    let bad = |c: char| !c.is_ascii_graphic() || "\"<>()[],;:\\".contains(c);
    let fits = plain.len() <= ADDRESS_MAX && !plain.chars().any(bad) && plain.matches('@').count() == 1;
    let domain = address.domain().to_owned();
    let (local, _) = plain.rsplit_once('@')?;
    let dots = local.starts_with('.') || local.ends_with('.') || local.contains("..");
    (fits && !dots && local.len() <= 64 && domain.contains('.')).then(|| format!("{local}@{domain}"))
}

/// `caos****@163.com`: enough for its owner to know it, too little for others to write to it.
#[must_use]
pub fn masked(address: &str) -> String {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let shown = (local.chars().count() / 2).min(4);
    let begin: String = local.chars().take(shown).collect();
    format!("{begin}****@{domain}")
}

/// Every one with equal chance.
fn digits() -> Secret {
    let mut text = Zeroizing::new(String::with_capacity(DIGITS));
    while text.len() < DIGITS {
        let [byte] = random::bytes::<1>();
        // 250 is the largest multiple of ten that a byte can hold.
        if byte < 250 {
            let _ = write!(text, "{}", byte % 10);
        }
    }
    Secret::new(text.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_masked_as_people_know_it() {
        for (address, shown) in [
            ("caoshuai@163.com", "caos****@163.com"),
            ("ab@x.cn", "a****@x.cn"),
            ("a@x.cn", "****@x.cn"),
            ("somebody.with.a.long.name@example.org", "some****@example.org"),
        ] {
            assert_eq!(masked(address), shown);
        }
    }

    #[test]
    fn what_mail_cannot_go_to_is_no_address() {
        assert_eq!(mail_address(" Cao.S+x@163.COM ").as_deref(), Some("Cao.S+x@163.com"));
        for bad in [
            "",
            "a",
            "@163.com",
            "a@",
            "a@b@163.com",
            "a b@163.com",
            "a@localhost",
            "\"a b\"@163.com",
            "a\r\nb@163.com",
            "曹@163.com",
            ".a@163.com",
            "a.@163.com",
            "a..b@163.com",
            "a<b@163.com",
            "a,b@163.com",
        ] {
            assert_eq!(mail_address(bad), None, "{bad}");
        }
        assert_eq!(mail_address(&format!("{}@163.com", "a".repeat(65))), None);
    }

    #[test]
    fn codes_have_six_digits_and_every_digit_is_about_as_frequent() {
        let mut seen = [0_u32; 10];
        for _ in 0..4_000 {
            let code = digits();
            assert_eq!(code.expose().len(), DIGITS);
            for digit in code.expose() {
                seen[usize::from(digit - b'0')] += 1;
            }
        }
        // 2,400 expected, standard deviation 46.
        assert!(seen.iter().all(|count| (2_080..2_720).contains(count)), "{seen:?}");
    }
}
