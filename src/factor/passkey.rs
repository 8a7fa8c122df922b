//! Passkeys and security keys: WebAuthn (W3C Web Authentication, level 3).
//!
//! The rules of a ceremony, the encodings and the signatures are `webauthn-rs-core`'s; here it is for which site, for which
//! account, and what is kept. Which site follows from the configuration alone, never from what a browser says of it. What a
//! browser sends is hostile, the user handle in it too.
//!
//! Of a passkey its public key is kept, sealed like the secrets of other kinds. The counter of signatures, where an
//! authenticator has one, is kept as the factor's step: it only grows.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use url::Url;
use uuid::Uuid;
use webauthn_rs_core::WebauthnCore;
use webauthn_rs_core::proto::{
    AttestationConveyancePreference, AuthenticationState, Credential, CredentialID, PublicKeyCredential,
    RegisterPublicKeyCredential, RegistrationState, ResidentKeyRequirement, UserVerificationPolicy,
};

use super::{Confirmed, FactorError, Factors, Right, SecondFactor, sealed};
use crate::base::{AccountId, FactorId, Secret, Timestamp};
use crate::config::FactorKind;
use crate::store::AccountRecord;

/// How long a browser may let somebody look for his key: what was asked is not answerable for longer anyway.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5 * 60);

/// The site, as authenticators know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelyingParty {
    name: String,
    /// Its domain: passkeys are good for that, and for nothing else.
    id: String,
    /// Where the pages are that may ask.
    origin: Url,
}

impl RelyingParty {
    /// The one called `name` whose pages are at `public_url`. None where that has no name but an address only, or where
    /// browsers would not have it: without TLS, elsewhere than on this machine (Secure Contexts, section 3.1).
    #[must_use]
    pub fn of(name: &str, public_url: &str) -> Option<Self> {
        let url = Url::parse(public_url).ok()?;
        let id = url.domain()?.to_owned();
        let here = id == "localhost" || id.ends_with(".localhost");
        if url.scheme() != "https" && !here {
            return None;
        }
        let origin = Url::parse(&url.origin().ascii_serialization()).ok()?;
        Some(Self { name: name.to_owned(), id, origin })
    }

    fn core(&self) -> WebauthnCore {
        WebauthnCore::new_unsafe_experts_only(
            &self.name,
            &self.id,
            vec![self.origin.clone()],
            PATIENCE,
            Some(false),
            Some(false),
        )
    }
}

/// What a browser is asked, and what the answer is to be judged by.
pub struct Ceremony {
    /// What its script hands to `navigator.credentials`, as JSON.
    pub options: String,
    /// For whoever keeps it until it is answered.
    pub kept: Secret,
}

/// See [`Ceremony::kept`].
#[derive(Serialize, Deserialize)]
struct Kept<S> {
    site: RelyingParty,
    /// Whose key is asked for; none where anybody's is.
    user: Option<Uuid>,
    state: S,
}

impl<S: Serialize + DeserializeOwned> Kept<S> {
    fn with(self, options: &impl Serialize) -> Option<Ceremony> {
        let kept = Secret::new(serde_json::to_vec(&self).ok()?);
        Some(Ceremony { options: serde_json::to_string(options).ok()?, kept })
    }

    fn of(secret: &Secret) -> Option<Self> {
        serde_json::from_slice(secret.expose()).ok()
    }
}

/// Passkeys.
pub(super) struct Passkey;

impl SecondFactor for Passkey {
    fn confirm(&self, offer: &Secret, answer: &str, _: Timestamp) -> Option<Confirmed> {
        let Kept::<RegistrationState> { site, state, .. } = Kept::of(offer)?;
        let given: RegisterPublicKeyCredential = serde_json::from_str(answer).ok()?;
        let credential = site.core().register_credential(&given, &state, None).ok()?;
        let step = counted(credential.counter);
        let secret = Secret::new(serde_json::to_vec(&credential).ok()?);
        Some(Confirmed { secret, step, answered: true, detail: None })
    }

    fn judge(
        &self,
        secret: &Secret,
        challenge: Option<&Secret>,
        answer: &str,
        _: Timestamp,
    ) -> Option<Right> {
        let Kept::<AuthenticationState> { site, user, state } = Kept::of(challenge?)?;
        let given: PublicKeyCredential = serde_json::from_str(answer).ok()?;
        let strangers = |user: Uuid| given.get_user_unique_id().is_some_and(|named| named != user.as_bytes());
        if user.is_some_and(strangers) {
            return None;
        }
        // The database knows how far the counter is, and counts on in one statement.
        let credential = Credential { counter: 0, ..credential(secret)? };
        let right = site.core().authenticate_single_credential(&given, &state, &credential).ok()?;
        Some(Right { step: counted(right.counter()) })
    }
}

/// Authenticators that have no counter say 0 each time (section 6.1.1).
fn counted(counter: u32) -> Option<i64> {
    (counter > 0).then_some(i64::from(counter))
}

fn credential(secret: &Secret) -> Option<Credential> {
    serde_json::from_slice(secret.expose()).ok()
}

/// Whose account the answer to a [`Factors::ask_anybody`] claims to be for. Nothing is proven by it.
#[must_use]
pub fn claimed_account(answer: &str) -> Option<AccountId> {
    let given: PublicKeyCredential = serde_json::from_str(answer).ok()?;
    Some(AccountId(Uuid::from_slice(given.get_user_unique_id()?).ok()?))
}

impl Factors {
    /// Asks for a new passkey, on an authenticator that has none of the account's yet but perhaps the one that the new one
    /// `replaces`.
    ///
    /// # Errors
    /// [`FactorError`]
    pub async fn offer_passkey(
        &self,
        site: &RelyingParty,
        account: &AccountRecord,
        replaces: Option<FactorId>,
    ) -> Result<Ceremony, FactorError> {
        let bound = self.passkeys(account.id).await?;
        let others = bound.into_iter().filter(|(id, _)| Some(*id) != replaces);
        let ids: Vec<CredentialID> = others.map(|(_, credential)| credential.cred_id).collect();
        offer(site, account, ids).ok_or(FactorError::NoCeremony)
    }

    /// Asks for one of the account's passkeys.
    ///
    /// # Errors
    /// [`FactorError`]
    pub async fn ask_passkey(
        &self,
        site: &RelyingParty,
        account: AccountId,
    ) -> Result<Ceremony, FactorError> {
        let bound = self.passkeys(account).await?.into_iter().map(|(_, credential)| credential).collect();
        let policy = UserVerificationPolicy::Preferred;
        ask(site, Some(account.0), bound, policy).ok_or(FactorError::NoCeremony)
    }

    /// Asks for any passkey whose authenticator verifies that it is its owner who uses it.
    ///
    /// # Errors
    /// [`FactorError`]
    pub fn ask_anybody(&self, site: &RelyingParty) -> Result<Ceremony, FactorError> {
        let policy = UserVerificationPolicy::Required;
        ask(site, None, Vec::new(), policy).ok_or(FactorError::NoCeremony)
    }

    async fn passkeys(&self, account: AccountId) -> Result<Vec<(FactorId, Credential)>, FactorError> {
        let bound = self.store.factors(account).await?;
        let passkeys = bound.into_iter().filter(|factor| factor.kind == FactorKind::Passkey.as_str());
        let opened = passkeys.filter_map(|factor| {
            let secret = sealed::open(&self.key, &factor)?;
            Some((factor.id, credential(&secret)?))
        });
        Ok(opened.collect())
    }
}

fn offer(site: &RelyingParty, account: &AccountRecord, bound: Vec<CredentialID>) -> Option<Ceremony> {
    let (core, address) = (site.core(), account.address.as_str());
    let wanted = core
        .new_challenge_register_builder(account.id.0.as_bytes(), address, address)
        .ok()?
        .attestation(AttestationConveyancePreference::None)
        .user_verification_policy(UserVerificationPolicy::Preferred)
        .require_resident_key(false)
        .exclude_credentials(Some(bound));
    let (mut options, state) = core.generate_challenge_register(wanted).ok()?;
    if let Some(wanted) = options.public_key.authenticator_selection.as_mut() {
        // One that is kept on the authenticator can name its account by itself; old security keys have no room for it.
        wanted.resident_key = Some(ResidentKeyRequirement::Preferred);
    }
    Kept { site: site.clone(), user: Some(account.id.0), state }.with(&options.public_key)
}

fn ask(
    site: &RelyingParty,
    user: Option<Uuid>,
    bound: Vec<Credential>,
    policy: UserVerificationPolicy,
) -> Option<Ceremony> {
    let core = site.core();
    let wanted = core.new_challenge_authenticate_builder(bound, Some(policy)).ok()?;
    // A key that was only on one device may be synchronised one day.
    let wanted = wanted.allow_backup_eligible_upgrade(true);
    let (options, mut state) = core.generate_challenge_authenticate(wanted).ok()?;
    // Answers are judged by what is bound when they come.
    state.set_allowed_credentials(Vec::new());
    Kept { site: site.clone(), user, state }.with(&options.public_key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passkeys_are_for_sites_that_have_a_name_and_tls() {
        let id = |url: &str| RelyingParty::of("x", url).map(|site| (site.id, site.origin.to_string()));
        let is = |id: &str, origin: &str| Some((id.to_owned(), origin.to_owned()));
        assert_eq!(id("https://mail.example.org"), is("mail.example.org", "https://mail.example.org/"));
        assert_eq!(
            id("https://mail.example.org:8443/a"),
            is("mail.example.org", "https://mail.example.org:8443/")
        );
        assert_eq!(id("http://localhost:8080"), is("localhost", "http://localhost:8080/"));
        for none in ["http://mail.example.org", "https://192.0.2.1", "https://[2001:db8::1]:8443", "mail"] {
            assert_eq!(id(none), None, "{none}");
        }
    }
}
