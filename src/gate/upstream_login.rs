//! How the gate logs in upstream for a client, per upstream.
//!
//! The name always is the admitted account's, as the directory spells it; nothing that a client typed gets here.

use std::time::Duration;

use crate::account::Located;
use crate::base::{Domain, InvalidName, LoginName, Password, UpstreamName};
use crate::config::{self, AccountAdmission, DomainPattern, MasterStyle, Rate, UpstreamCredential};
use crate::protocol::UpstreamLogin;

/// What the gate must know of an upstream.
pub struct UpstreamRules {
    /// Its name.
    pub(super) name: UpstreamName,
    /// The domains that the configuration names for it.
    domains: Vec<Domain>,
    /// Who may appear; `None`: as the policy says.
    pub(super) accounts: Option<AccountAdmission>,
    /// How long an answer to a login is awaited.
    pub(super) login_deadline: Duration,
    /// Failed logins that it may see, in all and for one account.
    pub(super) failures_in_all: Rate,
    pub(super) failures_per_account: Rate,
    /// Upstreams whose mailbox passwords are good here, too.
    same_passwords_as: Vec<UpstreamName>,
    /// How the gate logs in for a client that used an app password.
    pub(super) style: Style,
}

/// How the gate logs in for a client that used an app password.
pub(super) enum Style {
    /// With the mailbox password that is sealed to it.
    Sealed,
    /// As a master user, for the account.
    Master(Master),
}

/// A master user.
pub(super) struct Master {
    user: LoginName,
    style: MasterStyle,
    password: Password,
}

/// Why an upstream cannot be used as configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableUpstream {
    /// It logs in as a master user, and nobody gave its password.
    #[error("upstream `{0}` has no master password")]
    NoMasterPassword(UpstreamName),
    /// The master user's name is none.
    #[error("the master user of upstream `{0}` cannot be used as a name: {1}")]
    MasterUser(UpstreamName, InvalidName),
}

impl UpstreamRules {
    /// From the configuration; `master_password` is what `password_file` holds, where there is one.
    ///
    /// # Errors
    /// [`UnusableUpstream`]
    pub fn new(
        upstream: &config::Upstream,
        master_password: Option<Password>,
    ) -> Result<Self, UnusableUpstream> {
        let style = match &upstream.credential {
            UpstreamCredential::Sealed => Style::Sealed,
            UpstreamCredential::Master(master) => Style::Master(Master {
                user: LoginName::from_bytes(master.user.as_bytes())
                    .map_err(|why| UnusableUpstream::MasterUser(upstream.name.clone(), why))?,
                style: master.style,
                password: master_password
                    .ok_or_else(|| UnusableUpstream::NoMasterPassword(upstream.name.clone()))?,
            }),
        };
        let exact = upstream.domains.iter().filter_map(|pattern| match pattern {
            DomainPattern::Exact(domain) => Some(domain),
            DomainPattern::Any => None,
        });
        Ok(Self {
            name: upstream.name.clone(),
            domains: exact.chain(&upstream.default_domain).cloned().collect(),
            accounts: upstream.accounts,
            login_deadline: upstream.login_deadline,
            failures_in_all: upstream.failures_in_all,
            failures_per_account: upstream.failures_per_account,
            same_passwords_as: upstream.same_passwords_as.clone(),
            style,
        })
    }

    /// Whether a mailbox password that was sealed for `upstream` may be sent here.
    pub(super) fn takes_passwords_of(&self, upstream: &UpstreamName) -> bool {
        self.name == *upstream || self.same_passwords_as.contains(upstream)
    }

    /// Whether the configuration names `domain` (folded), instead of serving whatever comes.
    pub(super) fn names(&self, domain: &str) -> bool {
        self.domains.iter().any(|named| named.as_str() == domain)
    }
}

impl Master {
    /// The login for an account. Both ways are only as safe as the directory, which refuses names that hold the
    /// separator.
    ///
    /// # Errors
    /// [`InvalidName::TooLong`] when account and master together are.
    pub(super) fn login(&self, located: &Located) -> Result<UpstreamLogin, InvalidName> {
        let account = &located.upstream_user;
        let (user, authorize_as) = match self.style {
            MasterStyle::Separator(separator) => {
                let both = format!("{}{separator}{}", account.as_str(), self.user.as_str());
                (LoginName::from_bytes(both.as_bytes())?, None)
            }
            // RFC 4616 section 2: the authorisation identity is whom the master acts for.
            MasterStyle::Authzid => (self.user.clone(), Some(account.clone())),
        };
        Ok(UpstreamLogin { user, authorize_as, password: self.password.duplicate() })
    }
}

/// The login with the account's own mailbox password.
pub(super) fn own_login(located: &Located, mailbox: Password) -> UpstreamLogin {
    UpstreamLogin { user: located.upstream_user.clone(), authorize_as: None, password: mailbox }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Address;

    fn located() -> Located {
        Located {
            address: Address::parse("a@example.org").unwrap(),
            upstream: UpstreamName("legacy".to_owned()),
            upstream_user: LoginName::from_bytes(b"a").unwrap(),
        }
    }

    fn master(style: MasterStyle) -> Master {
        Master {
            user: LoginName::from_bytes(b"proxy").unwrap(),
            style,
            password: Password::new(b"master-secret".to_vec()).unwrap(),
        }
    }

    #[test]
    fn a_master_login_names_the_account_in_either_style() {
        let login = master(MasterStyle::Separator('*')).login(&located()).unwrap();
        assert_eq!((login.user.as_str(), login.authorize_as), ("a*proxy", None));
        let login = master(MasterStyle::Authzid).login(&located()).unwrap();
        assert_eq!(login.user.as_str(), "proxy");
        assert_eq!(login.authorize_as.unwrap().as_str(), "a");
        assert_eq!(login.password.expose(), b"master-secret");
    }
}
