//! Accounts that no name leads to any more, because the configuration changed after they appeared: their address
//! became an alias, another spelling or a sub-address of another, or nobody serves its domain.
//!
//! Nothing is decided about them: what they hold neither protects nor opens anything until somebody looks.

use super::{Directory, NameRefused};
use crate::base::{Address, LoginName};
use crate::store::Standing;

/// An account that cannot be reached by its own address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// The address that it has.
    pub address: Address,
    /// How many second factors it has.
    pub bound_factors: u32,
    /// The account to which that address leads instead, or why it leads nowhere.
    pub leads_to: Result<Address, NameRefused>,
}

impl Directory {
    /// Those of `accounts` that no name leads to.
    pub fn strays<'a>(&'a self, accounts: &'a [Standing]) -> impl Iterator<Item = Stray> + 'a {
        accounts.iter().filter_map(|standing| {
            let address = &standing.account.address;
            let login = LoginName::from_bytes(address.as_str().as_bytes());
            let leads_to = match login {
                Ok(login) => self.locate(&login).and_then(|home| match &standing.account.bound_upstream {
                    Some(bound) => self.at(&home, bound).map(|located| located.address),
                    None => Ok(home.address),
                }),
                Err(_) => Err(NameRefused::NotAnAddress),
            };
            (leads_to.as_ref() != Ok(address)).then(|| Stray {
                address: address.clone(),
                bound_factors: standing.bound_factors,
                leads_to,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{AccountId, Timestamp, UpstreamName};
    use crate::config::{AliasLine, AliasesFile, Config, Upstream};
    use crate::store::{AccountRecord, AccountState};

    fn standing(address: &str, bound_factors: u32) -> Standing {
        Standing {
            account: AccountRecord {
                id: AccountId(uuid::Uuid::nil()),
                address: Address::parse(address).unwrap(),
                upstream: UpstreamName("legacy".to_owned()),
                bound_upstream: None,
                state: AccountState::Active,
                must_bind: false,
                created_at: Timestamp::from_unix_seconds(0),
                last_login_at: None,
            },
            bound_factors,
        }
    }

    fn upstream() -> Upstream {
        let text = "[server]\nhostname = 'a.example'\n[[tls.certificate]]\ncert = 'c'\nkey = 'k'\n\
            [[listener]]\nprotocol = 'imap'\naddress = '[::]:993'\ntls = 'implicit'\n\
            [[upstream]]\nname = 'legacy'\ndomains = ['example.org']\ndefault_domain = 'example.org'\n\
            domain_aliases = ['old.example.org']\nimap = { address = ['h:1'], tls = 'none' }\n";
        let mut upstream = Config::parse(text, "m.toml".as_ref()).unwrap().upstreams.remove(0);
        let name = |text: &str| LoginName::from_bytes(text.as_bytes()).unwrap();
        let line = AliasLine { number: 1, alias: name("sales"), primary: name("anna") };
        upstream.aliases = Some(AliasesFile { path: "aliases".into(), lines: vec![line] });
        upstream
    }

    #[test]
    fn an_account_that_no_name_leads_to_is_told_with_what_its_address_means_now() {
        let accounts = [
            ("anna@example.org", 1),
            ("sales@example.org", 2),
            ("bob@old.example.org", 0),
            ("bob+lists@example.org", 0),
            ("eve@example.net", 1),
        ]
        .map(|(address, factors)| standing(address, factors));
        let directory = Directory::new(&[upstream()]).unwrap();
        let strays: Vec<_> =
            directory.strays(&accounts).map(|s| (s.address, s.bound_factors, s.leads_to)).collect();
        let address = |text: &str| Address::parse(text).unwrap();
        assert_eq!(
            strays,
            [
                (address("sales@example.org"), 2, Ok(address("anna@example.org"))),
                (address("bob@old.example.org"), 0, Ok(address("bob@example.org"))),
                (address("bob+lists@example.org"), 0, Err(NameRefused::SubAddress)),
                (address("eve@example.net"), 1, Err(NameRefused::UnknownDomain)),
            ]
        );
    }
}
