//! Naming and unbinding second factors, and recovery codes.
//!
//! With each factor that comes or goes the account's other portal sessions end, and no browser is trusted any more: the store
//! does that with the same statement. The browser that made the change goes on with another token.

use super::{Broken, Fresh, Portal, Refused, doer};
use crate::base::{FactorId, Secret, Token};
use crate::config::{AfterUnbind, Requirement};
use crate::factor::FactorError;
use crate::notify::Notice;

/// It is unbound.
pub struct Unbinding {
    /// What the browser shows from now on.
    pub token: Token,
    /// App passwords that were revoked with it.
    pub app_passwords_revoked: u64,
}

impl Portal {
    /// Makes ten new recovery codes; older ones are void.
    ///
    /// # Errors
    /// [`Broken`], also where no factor is bound.
    pub async fn make_recovery_codes(&self, fresh: Fresh<'_>) -> Result<Vec<Secret>, Broken> {
        let Fresh(visit) = fresh;
        if !visit.is_bound() {
            return Err(Broken);
        }
        let made = self.on.factors.make_recovery_codes(&visit.account, &self.owner(&visit.from)).await;
        let codes = made.map_err(|error| super::broken(&error))?;
        self.tell(&visit.account, Notice::RecoveryCodesMade { by: doer(&visit.from) }).await;
        Ok(codes)
    }

    /// Gives one another name.
    ///
    /// # Errors
    /// [`Refused`]
    pub async fn rename(&self, fresh: Fresh<'_>, id: FactorId, name: &str) -> Result<(), Refused> {
        let Fresh(visit) = fresh;
        let renamed = self.on.factors.rename(&visit.account, id, name, &self.owner(&visit.from)).await;
        renamed.map_err(|error| match error {
            FactorError::BadName(_) => Refused::BadName,
            FactorError::NotFound => Refused::NotFound,
            error @ (FactorError::Tampered(_)
            | FactorError::WrongCode
            | FactorError::WentBack
            | FactorError::NoCeremony
            | FactorError::NoAccount
            | FactorError::LimitReached
            | FactorError::Store(_)
            | FactorError::Undone(_)
            | FactorError::Unrecorded(_)) => super::broken(&error).into(),
        })
    }

    /// Unbinds one factor.
    ///
    /// # Errors
    /// [`Refused`]
    pub async fn unbind(&self, fresh: Fresh<'_>, id: FactorId) -> Result<Unbinding, Refused> {
        let Fresh(visit) = fresh;
        let factors = self.on.factors.list(visit.account.id).await.map_err(Broken::from)?;
        let factor = factors.iter().find(|factor| factor.id == id).ok_or(Refused::NotFound)?;
        let keep_one = self.is_required(fresh);
        let after = (self.after_unbind(fresh), keep_one);
        let by = self.owner(&visit.from);
        let unbound = self.on.factors.unbind_one(&visit.account, factor.id, after, "by its owner", &by).await;
        let unbound = unbound.map_err(|error| super::broken(&error))?;
        if unbound.factors.is_empty() {
            // It is the last one, or somebody else has unbound it a moment ago.
            return Err(if keep_one && factors.len() == 1 { Refused::Required } else { Refused::NotFound });
        }
        let notice = Notice::FactorUnbound {
            factors: unbound.factors.iter().map(|factor| factor.kind.clone()).collect(),
            app_passwords_revoked: unbound.app_passwords,
            reason: None,
            by: doer(&visit.from),
        };
        self.tell(&visit.account, notice).await;
        let left = visit.bound_factors.saturating_sub(1);
        let token = self.renew(visit, Some(left), |_, _| ()).await?;
        Ok(Unbinding { token, app_passwords_revoked: unbound.app_passwords })
    }

    /// What unbinding the last factor does to app passwords.
    #[must_use]
    pub fn after_unbind(&self, fresh: Fresh<'_>) -> AfterUnbind {
        self.settings().policy(&fresh.0.account).app_passwords_after_unbind
    }

    /// Whether the last factor must stay.
    #[must_use]
    pub fn is_required(&self, fresh: Fresh<'_>) -> bool {
        match self.settings().policy(&fresh.0.account).second_factor {
            Requirement::Optional => false,
            Requirement::Required { .. } => true,
        }
    }
}
