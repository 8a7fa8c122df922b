//! Time-based one-time passwords, RFC 6238: HMAC-SHA-1, six digits, 30 seconds, which is what every
//! authenticator does whatever the URI asks for; other digits and seconds where the site says so.
//!
//! What a factor was bound with is kept with its secret, so that it goes on when the site says something else.

use totp_rs::{Algorithm, Builder};
use zeroize::Zeroizing;

use super::{Confirmed, Right, SecondFactor};
use crate::base::{Address, Secret, Timestamp, random};
use crate::config::TotpParameters;

/// Bytes of a secret: the length of the hash, as RFC 4226 section 4 recommends.
const SECRET_LEN: usize = 20;
/// The first byte of what is kept where the parameters are not the usual ones; digits and, in two bytes, seconds follow, and
/// then the secret. Without it there is the secret alone.
const OWN_PARAMETERS: u8 = 1;
/// Steps before and after the current one that are taken too: phones' clocks differ (RFC 6238 section 5.2
/// recommends one at most).
const SKEW: u16 = 1;

/// Third-party authenticators.
pub(super) struct Totp;

impl SecondFactor for Totp {
    fn confirm(&self, offer: &Secret, answer: &str, now: Timestamp) -> Option<Confirmed> {
        let step = Self::step_of(offer, answer, now)?;
        let secret = Secret::new(offer.expose().to_vec());
        Some(Confirmed { secret, step: Some(step), answered: true, detail: None })
    }

    fn judge(&self, secret: &Secret, _: Option<&Secret>, answer: &str, now: Timestamp) -> Option<Right> {
        Some(Right { step: Some(Self::step_of(secret, answer, now)?) })
    }
}

impl Totp {
    /// The step in which `answer` is good.
    fn step_of(secret: &Secret, answer: &str, now: Timestamp) -> Option<i64> {
        // Authenticators show codes in two groups, and people copy the blank.
        let code: Zeroizing<String> = Zeroizing::new(answer.chars().filter(|c| !c.is_whitespace()).collect());
        let seconds = u64::try_from(now.unix_seconds()).ok()?;
        let step = builder(secret.expose())?.build().ok()?.check(&code, seconds)?;
        i64::try_from(step).ok()
    }
}

/// A TOTP secret on its way to the user's authenticator.
#[derive(Debug)]
pub struct TotpEnrolment {
    /// Base32 key, to type.
    pub secret: Secret,
    /// `otpauth://totp/…`, to scan.
    pub uri: Secret,
    /// What is asked for to confirm it.
    pub parameters: TotpParameters,
    raw: Secret,
}

impl TotpEnrolment {
    /// A random secret, and how an authenticator will show it: as `address` at `issuer`.
    pub(super) fn fresh(issuer: &str, address: &Address, parameters: TotpParameters) -> Self {
        let secret = Zeroizing::new(random::bytes::<SECRET_LEN>());
        #[expect(
            clippy::expect_used,
            reason = "20 bytes, and what the configuration takes, are in range; no colon is left; an address is not empty"
        )]
        Self::of(issuer, address, &kept(&secret[..], parameters)).expect("in range")
    }

    /// Of a secret that was made before; `None` if it cannot be one.
    pub(super) fn of(issuer: &str, address: &Address, raw: &Secret) -> Option<Self> {
        let (parameters, _) = read(raw.expose())?;
        // The colon separates the two in the URI, and neither may hold one.
        let totp = builder(raw.expose())?
            .with_issuer(Some(issuer.replace(':', "_")))
            .with_account_name(address.as_str().replace(':', "_"))
            .build()
            .ok()?;
        let uri = totp.to_url().ok()?;
        Some(Self {
            secret: Secret::new(totp.secret().to_base32().into_bytes()),
            uri: Secret::new(uri.into_bytes()),
            parameters,
            raw: Secret::new(raw.expose().to_vec()),
        })
    }

    /// The bytes behind [`TotpEnrolment::secret`], and the parameters, for whoever keeps the offer.
    #[must_use]
    pub fn raw(&self) -> &Secret {
        &self.raw
    }
}

/// What is kept of a secret with these parameters.
fn kept(secret: &[u8], parameters: TotpParameters) -> Secret {
    if parameters == TotpParameters::USUAL {
        return Secret::new(secret.to_vec());
    }
    let [high, low] = parameters.period.to_be_bytes();
    Secret::new([&[OWN_PARAMETERS, parameters.digits, high, low], secret].concat())
}

/// Its inverse: the parameters and the secret.
fn read(kept: &[u8]) -> Option<(TotpParameters, &[u8])> {
    match kept {
        [OWN_PARAMETERS, digits, high, low, secret @ ..] if secret.len() == SECRET_LEN => {
            let parameters = TotpParameters { period: u16::from_be_bytes([*high, *low]), digits: *digits };
            Some((parameters, secret))
        }
        secret if secret.len() == SECRET_LEN => Some((TotpParameters::USUAL, secret)),
        _ => None,
    }
}

fn builder(kept: &[u8]) -> Option<Builder> {
    let (TotpParameters { period, digits }, secret) = read(kept)?;
    let builder = Builder::new().with_algorithm(Algorithm::SHA1).with_digits(digits);
    Some(builder.with_step_duration(period.into()).with_skew(SKEW).with_secret(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step_of(code: &str, seconds: i64) -> Option<i64> {
        let secret = Secret::new(b"12345678901234567890".to_vec());
        Totp::step_of(&secret, code, Timestamp::from_unix_seconds(seconds))
    }

    #[test]
    fn the_vectors_of_rfc_6238_appendix_b_are_right_in_their_step() {
        // The RFC prints eight digits; six-digit codes are their last six.
        for (seconds, code) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            assert_eq!(step_of(&code[2..], seconds), Some(seconds / 30), "at {seconds}");
        }
    }

    #[test]
    fn a_code_is_good_in_its_step_and_the_steps_beside_it() {
        // 89005924 belongs to step 41,152,263: 1,234,567,890 to 1,234,567,919.
        let (first, last, step) = (1_234_567_890, 1_234_567_919, 41_152_263);
        for seconds in [first - 30, first - 1, first, last, last + 1, last + 30] {
            assert_eq!(step_of("005924", seconds), Some(step), "at {seconds}");
        }
        for seconds in [first - 31, last + 31] {
            assert_eq!(step_of("005924", seconds), None, "at {seconds}");
        }
    }

    #[test]
    fn a_factor_goes_by_the_parameters_that_it_was_bound_with() {
        // The vectors of RFC 6238 appendix B have eight digits.
        let eight = kept(b"12345678901234567890", TotpParameters { period: 30, digits: 8 });
        let at = |seconds| Timestamp::from_unix_seconds(seconds);
        assert_eq!(Totp::step_of(&eight, "8900 5924", at(1_234_567_890)), Some(41_152_263));
        assert_eq!(Totp::step_of(&eight, "005924", at(1_234_567_890)), None);
        // With steps of a minute the counter of the vector at 59 s is reached at 60 s.
        let minute = kept(b"12345678901234567890", TotpParameters { period: 60, digits: 8 });
        for (seconds, step) in [(0, Some(1)), (60, Some(1)), (179, Some(1)), (180, None)] {
            assert_eq!(Totp::step_of(&minute, "94287082", at(seconds)), step, "at {seconds}");
        }
        let address = Address::parse("a@mail.example").unwrap();
        let own = TotpEnrolment::fresh("x", &address, TotpParameters { period: 60, digits: 8 });
        let uri = text(&own.uri);
        assert!(uri.contains("&digits=8") && uri.contains("&period=60"), "{uri}");
        let again = TotpEnrolment::of("x", &address, own.raw()).unwrap();
        assert_eq!((text(&again.uri), again.parameters), (uri, own.parameters));
        for bad in [&b"12345"[..], &[1; 25], &[2; 24]] {
            assert!(TotpEnrolment::of("x", &address, &Secret::new(bad.to_vec())).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn only_six_digits_are_a_code() {
        assert_eq!(step_of(" 005 924 ", 1_234_567_890), Some(41_152_263), "blanks are people's");
        for bad in ["", "05924", "0005924", "89005924", "+05924", "-05924", "00592a", "００５９２４"] {
            assert_eq!(step_of(bad, 1_234_567_890), None, "{bad}");
        }
        assert_eq!(step_of("005924", -1), None, "a clock before 1970 takes nothing");
    }

    #[test]
    fn the_uri_names_issuer_and_account_and_carries_the_typed_key() {
        let address = Address::parse("a+b&c例子@mail.example").unwrap();
        let enrolment = TotpEnrolment::fresh("Mail: R&D/中文", &address, TotpParameters::USUAL);
        let (uri, key) = (text(&enrolment.uri), text(&enrolment.secret));
        assert_eq!(
            uri,
            format!(
                "otpauth://totp/Mail_%20R%26D%2F%E4%B8%AD%E6%96%87:a%2Bb%26c%E4%BE%8B%E5%AD%90%40mail.example\
                 ?secret={key}&issuer=Mail_%20R%26D%2F%E4%B8%AD%E6%96%87"
            )
        );
        assert_eq!(key.len(), 32, "160 bits in base32");
        let read = totp_rs::Totp::from_url(uri).unwrap();
        assert_eq!(read.secret().as_bytes(), enrolment.raw().expose());
        assert_eq!(read.account_name(), address.as_str());
        assert_ne!(text(&TotpEnrolment::fresh("x", &address, TotpParameters::USUAL).secret), key);
    }

    fn text(secret: &Secret) -> &str {
        std::str::from_utf8(secret.expose()).unwrap()
    }
}
