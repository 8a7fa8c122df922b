//! From what a client typed to the one account it means: folding, default domain, alias domains, routing,
//! and the spelling the upstream wants. Hostile input; a name that could smuggle a master login is refused.
//!
//! Whatever two spellings an upstream would take for one mailbox must fold to one account here or be refused:
//! a second factor is bound to the account, and the other spelling would walk past it. Case, NFC form, a bare
//! local part and the other names of a domain fold; what a server may or may not fold further is refused
//! (`spelling.rs`).

use std::collections::HashMap;

use super::spelling;
use crate::base::{Address, Domain, LoginName, UpstreamName};
use crate::config::{self, DomainPattern, LoginRewrite, MasterStyle, UpstreamCredential};

/// Every upstream's names.
pub struct Directory {
    upstreams: Vec<Names>,
    /// Every domain that the configuration names: the place of its upstream, and the domain it folds to.
    named: HashMap<Domain, (usize, Domain)>,
    /// The upstream of whatever is not named.
    rest: Option<usize>,
    /// What a bare local part means.
    default_domain: Option<Domain>,
}

/// What the directory keeps of an upstream.
struct Names {
    name: UpstreamName,
    login: LoginRewrite,
    master_separator: Option<char>,
    primary: Option<Domain>,
}

/// Where a name leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The account's address.
    pub address: Address,
    /// Its upstream.
    pub upstream: UpstreamName,
    /// How its mailbox is called there.
    pub upstream_user: LoginName,
}

/// Why a name leads nowhere. A guesser hears the same for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameRefused {
    /// Not an address, or one that could be another spelling of another; or a bare local part, and no default
    /// domain.
    #[error("not an address")]
    NotAnAddress,
    /// No upstream serves its domain.
    #[error("no upstream serves this domain")]
    UnknownDomain,
    /// It holds the separator of master logins.
    #[error("the name holds the master separator")]
    MasterSeparator,
}

impl Directory {
    /// From the configuration, which gives no domain to two upstreams.
    #[must_use]
    pub fn new(upstreams: &[config::Upstream]) -> Self {
        let names: Vec<Names> = upstreams.iter().map(Names::of).collect();
        let mut named = HashMap::new();
        let mut name = |domain: &Domain, place: usize, account_domain: Option<&Domain>| {
            if let Some(account_domain) = account_domain {
                named.entry(domain.clone()).or_insert_with(|| (place, account_domain.clone()));
            }
        };
        for (place, (upstream, names)) in upstreams.iter().zip(&names).enumerate() {
            // The aliases first: one that `domains` lists too would else have accounts of its own.
            for alias in &upstream.domain_aliases {
                name(alias, place, names.primary.as_ref());
            }
            for domain in exact(upstream) {
                name(domain, place, names.account_domain(domain));
            }
        }
        // Served even where `domains` says no more than `*`.
        for (place, (upstream, names)) in upstreams.iter().zip(&names).enumerate() {
            if let Some(domain) = &upstream.default_domain {
                name(domain, place, names.account_domain(domain));
            }
        }
        Self {
            named,
            rest: upstreams.iter().position(|upstream| upstream.domains.contains(&DomainPattern::Any)),
            default_domain: upstreams.iter().find_map(|upstream| upstream.default_domain.clone()),
            upstreams: names,
        }
    }

    /// Finds the account that `login` means. A bare local part belongs to the first upstream's default
    /// domain that is set.
    ///
    /// # Errors
    /// [`NameRefused`]
    pub fn locate(&self, login: &LoginName) -> Result<Located, NameRefused> {
        let typed = login.as_str().trim();
        let (local, domain) = match typed.rsplit_once('@') {
            Some((local, domain)) => (local, Domain::parse(domain).ok()),
            None => (typed, self.default_domain.clone()),
        };
        let domain = domain.ok_or(NameRefused::NotAnAddress)?;
        let (upstream, account_domain) = self.route(&domain).ok_or(NameRefused::UnknownDomain)?;
        let address = Address::from_parts(local, account_domain).map_err(|_| NameRefused::NotAnAddress)?;
        // Both, because folding can make the separator (U+1FEF becomes a grave accent).
        if [typed, address.as_str()].into_iter().any(|name| upstream.could_be_master(name)) {
            return Err(NameRefused::MasterSeparator);
        }
        if !spelling::is_unique(&address) {
            return Err(NameRefused::NotAnAddress);
        }
        let upstream_user = LoginName::from_bytes(upstream.user(&address).as_bytes())
            .map_err(|_| NameRefused::NotAnAddress)?;
        Ok(Located { address, upstream: upstream.name.clone(), upstream_user })
    }

    /// The upstream of `domain`, and the domain that its accounts there have.
    fn route<'a>(&'a self, domain: &'a Domain) -> Option<(&'a Names, &'a Domain)> {
        if let Some((place, account_domain)) = self.named.get(domain) {
            return Some((self.upstreams.get(*place)?, account_domain));
        }
        let upstream = self.upstreams.get(self.rest?)?;
        Some((upstream, upstream.account_domain(domain)?))
    }
}

fn exact(upstream: &config::Upstream) -> impl Iterator<Item = &Domain> {
    upstream.domains.iter().filter_map(|pattern| match pattern {
        DomainPattern::Exact(domain) => Some(domain),
        DomainPattern::Any => None,
    })
}

impl Names {
    fn of(upstream: &config::Upstream) -> Self {
        let master_separator = match &upstream.credential {
            UpstreamCredential::Sealed => None,
            UpstreamCredential::Master(master) => match master.style {
                MasterStyle::Separator(separator) => Some(separator),
                MasterStyle::Authzid => None,
            },
        };
        Self {
            name: upstream.name.clone(),
            login: upstream.login.clone(),
            master_separator,
            primary: upstream.default_domain.as_ref().or_else(|| exact(upstream).next()).cloned(),
        }
    }

    /// The domain under which accounts of `domain` are known. Where the login name does not carry the domain,
    /// the upstream cannot tell its domains apart: they are other names of one; `None` if that one is unknown.
    fn account_domain<'a>(&'a self, domain: &'a Domain) -> Option<&'a Domain> {
        let carried = match &self.login {
            LoginRewrite::Address => true,
            LoginRewrite::LocalPart => false,
            LoginRewrite::Template(template) => template.contains(DOMAIN),
        };
        if carried { Some(domain) } else { self.primary.as_ref() }
    }

    fn could_be_master(&self, name: &str) -> bool {
        self.master_separator.is_some_and(|separator| name.contains(separator))
    }

    /// How the upstream calls `address`.
    fn user(&self, address: &Address) -> String {
        match &self.login {
            LoginRewrite::Address => address.as_str().to_owned(),
            LoginRewrite::LocalPart => address.local().to_owned(),
            LoginRewrite::Template(template) => fill(template, address),
        }
    }
}

const LOCAL: &str = "{local}";
const DOMAIN: &str = "{domain}";

/// Replaces the placeholders in one pass, so that a local part that reads like one stays as it is.
fn fill(template: &str, address: &Address) -> String {
    let mut filled = String::new();
    let mut rest = template;
    while let Some(character) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix(LOCAL) {
            filled.push_str(address.local());
            rest = after;
        } else if let Some(after) = rest.strip_prefix(DOMAIN) {
            filled.push_str(address.domain());
            rest = after;
        } else {
            filled.push(character);
            rest = rest.strip_prefix(character).unwrap_or_default();
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use rstest::rstest;

    use super::*;
    use crate::config::{Master, Upstream};

    fn domain(text: &str) -> Domain {
        Domain::parse(text).unwrap()
    }

    fn upstream(name: &str, domains: &[&str]) -> Upstream {
        let pattern = |text: &&str| match *text {
            "*" => DomainPattern::Any,
            exact => DomainPattern::Exact(domain(exact)),
        };
        Upstream {
            name: UpstreamName(name.into()),
            domains: domains.iter().map(pattern).collect(),
            default_domain: None,
            domain_aliases: Vec::new(),
            accounts: None,
            login: LoginRewrite::Address,
            credential: UpstreamCredential::Sealed,
            imap: None,
            pop3: None,
            smtp: None,
            connect_deadline: Duration::from_secs(5),
            login_deadline: Duration::from_secs(30),
            refresh: Duration::from_secs(600),
            failures_in_all: config::Rate { burst: 1000, per: Duration::from_secs(60) },
            failures_per_account: config::Rate { burst: 1000, per: Duration::from_secs(60) },
        }
    }

    fn master(style: MasterStyle) -> UpstreamCredential {
        UpstreamCredential::Master(Master { user: "proxy".into(), password_file: PathBuf::new(), style })
    }

    /// A university with an old name, a company whose server knows no domains, and the rest.
    fn directory() -> Directory {
        Directory::new(&[
            Upstream {
                default_domain: Some(domain("example.org")),
                domain_aliases: vec![domain("old.example.org"), domain("both.example.org")],
                credential: master(MasterStyle::Separator('*')),
                ..upstream("university", &["example.org", "students.example.org", "both.example.org"])
            },
            Upstream {
                login: LoginRewrite::LocalPart,
                credential: master(MasterStyle::Authzid),
                ..upstream("company", &["firm.example", "firm.test"])
            },
            Upstream { login: LoginRewrite::Template("{local}%{domain}".into()), ..upstream("rest", &["*"]) },
        ])
    }

    fn locate(directory: &Directory, login: &str) -> Result<(String, String, String), NameRefused> {
        let located = directory.locate(&LoginName::from_bytes(login.as_bytes()).unwrap())?;
        Ok((located.address.to_string(), located.upstream.0, located.upstream_user.as_str().to_owned()))
    }

    #[rstest]
    // case, NFC, blanks, the root's dot, the bare local part and the other names of a domain fold
    #[case("alice@example.org", "alice@example.org", "university", "alice@example.org")]
    #[case("ALICE@Example.ORG", "alice@example.org", "university", "alice@example.org")]
    #[case(" alice@example.org ", "alice@example.org", "university", "alice@example.org")]
    #[case("alice@example.org.", "alice@example.org", "university", "alice@example.org")]
    #[case("alice", "alice@example.org", "university", "alice@example.org")]
    #[case(" Alice ", "alice@example.org", "university", "alice@example.org")]
    #[case("alice@old.example.org", "alice@example.org", "university", "alice@example.org")]
    #[case("alice@OLD.example.org.", "alice@example.org", "university", "alice@example.org")]
    #[case("alice@both.example.org", "alice@example.org", "university", "alice@example.org")]
    #[case("Jose\u{301}", "jos\u{e9}@example.org", "university", "jos\u{e9}@example.org")]
    #[case("\u{212a}im", "kim@example.org", "university", "kim@example.org")] // Kelvin sign
    // domains of one upstream that its login names tell apart stay apart
    #[case("al@students.example.org", "al@students.example.org", "university", "al@students.example.org")]
    // and fold where they don't
    #[case("Bob@firm.example", "bob@firm.example", "company", "bob")]
    #[case("bob@firm.test", "bob@firm.example", "company", "bob")]
    // the rest, and placeholders in a name
    #[case("carol@elsewhere.example", "carol@elsewhere.example", "rest", "carol%elsewhere.example")]
    #[case("{domain}@elsewhere.example", "{domain}@elsewhere.example", "rest", "{domain}%elsewhere.example")]
    // an asterisk means nothing to an upstream without master logins by separator
    #[case("b*b@firm.example", "b*b@firm.example", "company", "b*b")]
    fn a_name_leads_to_one_account(
        #[case] typed: &str,
        #[case] address: &str,
        #[case] upstream: &str,
        #[case] user: &str,
    ) {
        let expected = (address.to_owned(), upstream.to_owned(), user.to_owned());
        assert_eq!(locate(&directory(), typed), Ok(expected));
    }

    #[rstest]
    #[case("alice*proxy@example.org", NameRefused::MasterSeparator)]
    #[case("alice*proxy", NameRefused::MasterSeparator)]
    #[case("alice*@old.example.org", NameRefused::MasterSeparator)]
    #[case("*@example.org", NameRefused::MasterSeparator)]
    #[case("alice@example.org*proxy@example.org", NameRefused::MasterSeparator)]
    #[case("alice@", NameRefused::NotAnAddress)]
    #[case("alice@.", NameRefused::NotAnAddress)]
    #[case("@example.org", NameRefused::NotAnAddress)]
    #[case("@", NameRefused::NotAnAddress)]
    #[case(" ", NameRefused::NotAnAddress)]
    #[case("al ice", NameRefused::NotAnAddress)]
    #[case("alice@exam ple.org", NameRefused::NotAnAddress)]
    #[case("alice@example.org..", NameRefused::NotAnAddress)]
    #[case("alice.@example.org", NameRefused::NotAnAddress)]
    #[case("alice.", NameRefused::NotAnAddress)]
    #[case("bob@firm.test@example.org", NameRefused::NotAnAddress)]
    #[case("\"alice\"@example.org", NameRefused::NotAnAddress)]
    #[case("carol%elsewhere.example", NameRefused::NotAnAddress)]
    #[case("\u{ff41}lice@example.org", NameRefused::NotAnAddress)] // fullwidth: SASLprep makes it `alice`
    #[case("al\u{ad}ice@example.org", NameRefused::NotAnAddress)] // SASLprep drops the soft hyphen
    #[case("alice@[192.0.2.1]", NameRefused::NotAnAddress)]
    #[case("alice@\u{ff45}xample.org", NameRefused::NotAnAddress)] // a fullwidth domain is not folded either,
    #[case("alice@example\u{3002}org", NameRefused::NotAnAddress)] // it is one of the rest, and refused there
    fn a_name_that_could_be_another_one_is_refused(#[case] typed: &str, #[case] why: NameRefused) {
        assert_eq!(locate(&directory(), typed), Err(why));
    }

    #[test]
    fn a_separator_that_only_folding_makes_is_refused_too() {
        let directory = Directory::new(&[Upstream {
            credential: master(MasterStyle::Separator('`')),
            ..upstream("legacy", &["example.org"])
        }]);
        for name in ["alice`proxy@example.org", "alice\u{1fef}proxy@example.org"] {
            assert_eq!(locate(&directory, name), Err(NameRefused::MasterSeparator), "{name}");
        }
    }

    #[test]
    fn without_a_default_domain_a_bare_name_is_refused_and_without_a_rest_other_domains_are() {
        let directory = Directory::new(&[upstream("legacy", &["example.org"])]);
        assert_eq!(locate(&directory, "alice"), Err(NameRefused::NotAnAddress));
        assert_eq!(locate(&directory, "alice@example.net"), Err(NameRefused::UnknownDomain));
        assert_eq!(locate(&directory, "alice@sub.example.org"), Err(NameRefused::UnknownDomain));
    }

    #[test]
    fn a_bare_name_belongs_to_the_first_default_domain() {
        let with_default = |name, default: &str| Upstream {
            default_domain: Some(domain(default)),
            ..upstream(name, &[default])
        };
        let directory = Directory::new(&[
            upstream("none", &["example.com"]),
            with_default("first", "example.org"),
            with_default("second", "example.net"),
        ]);
        assert_eq!(locate(&directory, "alice").unwrap().1, "first");
    }

    #[test]
    fn a_default_domain_is_served_by_its_upstream_unless_another_one_names_it() {
        let catch_all =
            Upstream { default_domain: Some(domain("example.org")), ..upstream("catch-all", &["*"]) };
        let directory = Directory::new(&[upstream("other", &["example.net"]), catch_all.clone()]);
        assert_eq!(locate(&directory, "alice").unwrap().1, "catch-all");
        let directory = Directory::new(&[catch_all, upstream("named", &["example.org"])]);
        assert_eq!(locate(&directory, "alice").unwrap().1, "named");
    }

    #[test]
    fn aliases_without_a_default_domain_fold_to_the_first_domain() {
        let directory = Directory::new(&[Upstream {
            domain_aliases: vec![domain("example.net")],
            ..upstream("legacy", &["example.org", "example.com"])
        }]);
        assert_eq!(locate(&directory, "alice@example.net").unwrap().0, "alice@example.org");
    }

    #[test]
    fn where_only_the_local_part_counts_every_domain_is_the_same_one() {
        let local_part = |default_domain| Upstream {
            login: LoginRewrite::LocalPart,
            default_domain,
            ..upstream("legacy", &["*"])
        };
        let directory = Directory::new(&[local_part(Some(domain("example.org")))]);
        for name in ["alice", "alice@example.org", "alice@anything.example"] {
            assert_eq!(locate(&directory, name).unwrap().0, "alice@example.org", "{name}");
        }
        let directory = Directory::new(&[local_part(None)]);
        assert_eq!(locate(&directory, "alice@example.org"), Err(NameRefused::UnknownDomain));
    }

    #[test]
    fn a_name_too_long_for_the_upstream_is_refused() {
        let directory = Directory::new(&[Upstream {
            login: LoginRewrite::Template(format!("{{local}}@{{domain}}{}", "x".repeat(500))),
            ..upstream("legacy", &["example.org"])
        }]);
        assert_eq!(locate(&directory, "alice@example.org"), Err(NameRefused::NotAnAddress));
    }
}
