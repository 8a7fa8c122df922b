//! From what a client typed to the one account it means: folding, default domain, alias domains, aliases, routing,
//! and the spelling the upstream wants. Hostile input; a name that could smuggle a master login is refused.
//!
//! Whatever two spellings an upstream would take for one mailbox must fold to one account here or be refused:
//! a second factor is bound to the account, and the other spelling would walk past it. Case, NFC form, a bare
//! local part, the other names and the two forms of a domain fold, and so do listed aliases; what a server may or
//! may not fold further is refused (`spelling.rs`). What neither can see, `accounts = "listed"` keeps out.

use std::collections::HashMap;

use super::aliases::Aliases;
use super::spelling;
use crate::base::{Address, Domain, LoginName, UpstreamName};
use crate::config::{
    self, ConfigError, DomainPattern, LoginRewrite, MasterStyle, SubAddressDelimiter, UpstreamCredential,
};

/// Every upstream's names.
pub struct Directory {
    upstreams: Vec<Names>,
    /// Every domain that the configuration names: the place of its upstream, and the domain it folds to.
    named: HashMap<Domain, (usize, Domain)>,
    /// The upstream of whatever is not named.
    rest: Option<usize>,
    aliases: Aliases,
}

/// What the directory keeps of an upstream.
struct Names {
    name: UpstreamName,
    login: LoginRewrite,
    master_separator: Option<char>,
    sub_address_delimiter: SubAddressDelimiter,
    default_domain: Option<Domain>,
    primary: Option<Domain>,
    /// The Unicode form of the domains that it knows by that.
    unicode: HashMap<String, String>,
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
    /// Its local part holds what makes it a sub-address of another on its upstream.
    #[error("the name holds the upstream's `sub_address_delimiter`")]
    SubAddress,
    /// It is bound to an upstream that the configuration does not have.
    #[error("it is bound to an upstream that is not configured")]
    NoSuchUpstream,
    /// It is bound to an upstream that could not tell it from an account of another domain.
    #[error("the upstream that it is bound to would not hear its domain")]
    DomainNotHeard,
}

impl Directory {
    /// From the configuration, which gives no domain to two upstreams.
    ///
    /// # Errors
    /// What is wrong with a list of aliases: [`ConfigError::Invalid`] with that file's path.
    pub fn new(upstreams: &[config::Upstream]) -> Result<Self, ConfigError> {
        let mut directory = Self::without_aliases(upstreams);
        let mut aliases = Aliases::default();
        for upstream in upstreams {
            let Some(file) = &upstream.aliases else { continue };
            let fold = |name: &LoginName| {
                let (found, address) = directory.fold(name, upstream.default_domain.as_ref())?;
                Ok((address, found.name.clone()))
            };
            aliases
                .add(file, &upstream.name, fold)
                .map_err(|problems| ConfigError::Invalid { path: file.path.clone(), problems })?;
        }
        directory.aliases = aliases;
        Ok(directory)
    }

    fn without_aliases(upstreams: &[config::Upstream]) -> Self {
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
        // Served even where `domains` says no more than `*`; where it says nothing, accounts are only moved to.
        for (place, names) in names.iter().enumerate() {
            if let Some(domain) = &names.default_domain {
                name(domain, place, names.account_domain(domain));
            }
        }
        Self {
            named,
            rest: upstreams.iter().position(|upstream| upstream.domains.contains(&DomainPattern::Any)),
            aliases: Aliases::default(),
            upstreams: names,
        }
    }

    /// Finds the account that `login` means. A bare local part belongs to the first upstream's default
    /// domain that is set.
    ///
    /// # Errors
    /// [`NameRefused`]
    pub fn locate(&self, login: &LoginName) -> Result<Located, NameRefused> {
        self.locate_among(login, |_| true)
    }

    /// The same where somebody can only mean some of the upstreams: a bare local part then belongs to the first of
    /// their default domains. Any other name leads where it always does.
    ///
    /// # Errors
    /// [`NameRefused`]
    pub fn locate_among(
        &self,
        login: &LoginName,
        meant: impl Fn(&UpstreamName) -> bool,
    ) -> Result<Located, NameRefused> {
        let (upstream, address) = self.fold(login, self.default_domain_among(meant))?;
        let address = self.aliases.resolve(address);
        let upstream_user = LoginName::from_bytes(upstream.user(&address).as_bytes())
            .map_err(|_| NameRefused::NotAnAddress)?;
        Ok(Located { address, upstream: upstream.name.clone(), upstream_user })
    }

    /// The account that `home` leads to, at another upstream: `upstream` knows it by the same address, in its own
    /// spelling. Whatever that upstream would take for the name of another mailbox is refused.
    ///
    /// # Errors
    /// [`NameRefused`]
    pub fn at(&self, home: &Located, upstream: &UpstreamName) -> Result<Located, NameRefused> {
        let names = self.upstreams.iter().find(|names| names.name == *upstream);
        let names = names.ok_or(NameRefused::NoSuchUpstream)?;
        let address = &home.address;
        if names.could_be_master(address.as_str()) {
            return Err(NameRefused::MasterSeparator);
        }
        if names.sub_address_delimiter.is_in(address.local()) {
            return Err(NameRefused::SubAddress);
        }
        let known_as = Domain::parse(address.domain()).ok();
        if known_as.is_none_or(|domain| names.account_domain(&domain) != Some(&domain)) {
            return Err(NameRefused::DomainNotHeard);
        }
        let upstream_user =
            LoginName::from_bytes(names.user(address).as_bytes()).map_err(|_| NameRefused::NotAnAddress)?;
        Ok(Located { address: address.clone(), upstream: upstream.clone(), upstream_user })
    }

    /// The address that `login` spells, be it an account's own or an alias.
    ///
    /// # Errors
    /// [`NameRefused`]
    pub fn spelled(&self, login: &LoginName) -> Result<Address, NameRefused> {
        Ok(self.fold(login, self.default_domain_among(|_| true))?.1)
    }

    /// The upstream that accounts of `domain` lead to, if there is one.
    #[must_use]
    pub fn upstream_of(&self, domain: &Domain) -> Option<&UpstreamName> {
        self.route(domain).map(|(upstream, _)| &upstream.name)
    }

    /// The domain that accounts of `domain`, which may be another name of it, have here; none where no upstream serves it.
    #[must_use]
    pub fn domain_of_accounts(&self, domain: &Domain) -> Option<Domain> {
        self.route(domain).map(|(_, account_domain)| account_domain)
    }

    /// What a bare local part means to whoever means some of the upstreams.
    fn default_domain_among(&self, meant: impl Fn(&UpstreamName) -> bool) -> Option<&Domain> {
        let mut meant = self.upstreams.iter().filter(|upstream| meant(&upstream.name));
        meant.find_map(|upstream| upstream.default_domain.as_ref())
    }

    fn fold(
        &self,
        login: &LoginName,
        default_domain: Option<&Domain>,
    ) -> Result<(&Names, Address), NameRefused> {
        let typed = login.as_str().trim();
        let (local, domain) = match typed.rsplit_once('@') {
            Some((local, domain)) => (local, Domain::parse(domain).ok()),
            None => (typed, default_domain.cloned()),
        };
        let domain = domain.ok_or(NameRefused::NotAnAddress)?;
        let (upstream, account_domain) = self.route(&domain).ok_or(NameRefused::UnknownDomain)?;
        let address = Address::from_parts(local, &account_domain).map_err(|_| NameRefused::NotAnAddress)?;
        // Both, because folding can make the separator (U+1FEF becomes a grave accent).
        if [typed, address.as_str()].into_iter().any(|name| upstream.could_be_master(name)) {
            return Err(NameRefused::MasterSeparator);
        }
        if !spelling::is_unique(address.local()) {
            return Err(NameRefused::NotAnAddress);
        }
        if upstream.sub_address_delimiter.is_in(address.local()) {
            return Err(NameRefused::SubAddress);
        }
        Ok((upstream, address))
    }

    /// The upstream of `domain`, and the domain that its accounts there have.
    fn route<'a>(&'a self, domain: &Domain) -> Option<(&'a Names, Domain)> {
        if let Some((place, account_domain)) = self.named.get(domain) {
            return Some((self.upstreams.get(*place)?, account_domain.clone()));
        }
        let upstream = self.upstreams.get(self.rest?)?;
        Some((upstream, upstream.account_domain(domain)?.clone()))
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
            sub_address_delimiter: upstream.sub_address_delimiter.clone(),
            unicode: upstream
                .unicode_domains
                .iter()
                .map(|d| (d.to_string(), d.unicode().into_owned()))
                .collect(),
            default_domain: upstream.default_domain.clone().filter(|_| !upstream.domains.is_empty()),
            primary: upstream.default_domain.as_ref().or_else(|| exact(upstream).next()).cloned(),
        }
    }

    /// The domain under which accounts of `domain` are known. Where the login name does not carry the domain,
    /// the upstream cannot tell its domains apart: they are other names of one; `None` if that one is unknown.
    fn account_domain<'a>(&'a self, domain: &'a Domain) -> Option<&'a Domain> {
        if self.login.carries_domain() { Some(domain) } else { self.primary.as_ref() }
    }

    fn could_be_master(&self, name: &str) -> bool {
        self.master_separator.is_some_and(|separator| name.contains(separator))
    }

    /// How the upstream calls `address`.
    fn user(&self, address: &Address) -> String {
        let domain = address.domain();
        self.login.apply(address.local(), self.unicode.get(domain).map_or(domain, String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use rstest::rstest;

    use super::*;
    use crate::config::{AliasLine, AliasesFile, Master, Upstream};

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
            unicode_domains: Vec::new(),
            aliases: None,
            sub_address_delimiter: SubAddressDelimiter::default(),
            hostnames: Vec::new(),
            accounts: None,
            login: LoginRewrite::Address,
            credential: UpstreamCredential::Sealed,
            imap: None,
            pop3: None,
            smtp: None,
            forward_client: Default::default(),
            connect_deadline: Duration::from_secs(5),
            login_deadline: Duration::from_secs(30),
            refresh: Duration::from_secs(600),
            max_connections: 0,
            same_passwords_as: Vec::new(),
            failures_in_all: config::Rate { burst: 1000, per: Duration::from_secs(60) },
            failures_per_account: config::Rate { burst: 1000, per: Duration::from_secs(60) },
        }
    }

    fn master(style: MasterStyle) -> UpstreamCredential {
        UpstreamCredential::Master(Master { user: "proxy".into(), password_file: PathBuf::new(), style })
    }

    fn directory_of(upstreams: &[Upstream]) -> Directory {
        Directory::new(upstreams).unwrap()
    }

    /// A university with an old name, a company whose server knows no domains, and the rest.
    fn directory() -> Directory {
        directory_of(&[
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
        assert_eq!(
            directory.at(&located, &located.upstream).as_ref(),
            Ok(&located),
            "at home it is what it is"
        );
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
    #[case("alice@\u{ff45}xample.org", "alice@example.org", "university", "alice@example.org")] // fullwidth
    #[case("alice@example\u{3002}org", "alice@example.org", "university", "alice@example.org")] // an ideographic full stop
    // domains of one upstream that its login names tell apart stay apart
    #[case("al@students.example.org", "al@students.example.org", "university", "al@students.example.org")]
    // and fold where they don't
    #[case("Bob@firm.example", "bob@firm.example", "company", "bob")]
    #[case("bob@firm.test", "bob@firm.example", "company", "bob")]
    // the rest, and placeholders in a name
    #[case("carol@elsewhere.example", "carol@elsewhere.example", "rest", "carol%elsewhere.example")]
    #[case("{domain}@elsewhere.example", "{domain}@elsewhere.example", "rest", "{domain}%elsewhere.example")]
    // a domain that nobody named is one domain in both its forms
    #[case(
        "carol@xn--bcher-kva.example",
        "carol@xn--bcher-kva.example",
        "rest",
        "carol%xn--bcher-kva.example"
    )]
    #[case("carol@B\u{fc}cher.example", "carol@xn--bcher-kva.example", "rest", "carol%xn--bcher-kva.example")]
    #[case(
        "carol@bu\u{308}cher.example.",
        "carol@xn--bcher-kva.example",
        "rest",
        "carol%xn--bcher-kva.example"
    )]
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
    #[case("alice@xn--a.example.org", NameRefused::NotAnAddress)]
    #[case("alice@xn--example-.org", NameRefused::NotAnAddress)]
    #[case("alice.@example.org", NameRefused::NotAnAddress)]
    #[case("alice.", NameRefused::NotAnAddress)]
    #[case("bob@firm.test@example.org", NameRefused::NotAnAddress)]
    #[case("\"alice\"@example.org", NameRefused::NotAnAddress)]
    #[case("carol%elsewhere.example", NameRefused::NotAnAddress)]
    #[case("\u{ff41}lice@example.org", NameRefused::NotAnAddress)] // fullwidth: SASLprep makes it `alice`
    #[case("al\u{ad}ice@example.org", NameRefused::NotAnAddress)] // SASLprep drops the soft hyphen
    #[case("alice@[192.0.2.1]", NameRefused::NotAnAddress)]
    #[case("al\u{131}ce@example.org", NameRefused::NotAnAddress)] // a dotless i: in capitals it is `ALICE`
    #[case("alice\u{ff20}example.org", NameRefused::NotAnAddress)] // a fullwidth `@`
    #[case("alice@a\u{ff20}example.org", NameRefused::NotAnAddress)]
    #[case("alice+lists@example.org", NameRefused::SubAddress)]
    #[case("alice+lists", NameRefused::SubAddress)]
    #[case("ALICE+@OLD.example.org.", NameRefused::SubAddress)]
    #[case("+@firm.test", NameRefused::SubAddress)]
    #[case("carol+x@elsewhere.example", NameRefused::SubAddress)]
    fn a_name_that_could_be_another_one_is_refused(#[case] typed: &str, #[case] why: NameRefused) {
        assert_eq!(locate(&directory(), typed), Err(why));
    }

    #[test]
    fn a_domain_is_served_where_its_accounts_lead_somewhere() {
        let named = directory_of(&[Upstream {
            domain_aliases: vec![domain("old.example.org")],
            ..upstream("legacy", &["example.org"])
        }]);
        let of =
            |directory: &Directory, name| directory.upstream_of(&domain(name)).map(|name| name.0.clone());
        for (name, upstream) in
            [("example.org", Some("legacy")), ("old.example.org", Some("legacy")), ("sub.example.org", None)]
        {
            assert_eq!(of(&named, name).as_deref(), upstream, "{name}");
        }
        assert_eq!(of(&directory(), "anything.example").as_deref(), Some("rest"));
        let nameless = Upstream { login: LoginRewrite::LocalPart, ..upstream("nameless", &["*"]) };
        assert_eq!(of(&directory_of(&[nameless]), "anything.example"), None, "whose would they be?");
    }

    #[test]
    fn a_separator_that_only_folding_makes_is_refused_too() {
        let directory = directory_of(&[Upstream {
            credential: master(MasterStyle::Separator('`')),
            ..upstream("legacy", &["example.org"])
        }]);
        for name in ["alice`proxy@example.org", "alice\u{1fef}proxy@example.org"] {
            assert_eq!(locate(&directory, name), Err(NameRefused::MasterSeparator), "{name}");
        }
    }

    #[test]
    fn without_a_default_domain_a_bare_name_is_refused_and_without_a_rest_other_domains_are() {
        let directory = directory_of(&[upstream("legacy", &["example.org"])]);
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
        let directory = directory_of(&[
            upstream("none", &["example.com"]),
            with_default("first", "example.org"),
            with_default("second", "example.net"),
        ]);
        assert_eq!(locate(&directory, "alice").unwrap().1, "first");
        let among = |names: &[&str], login: &str| {
            let login = LoginName::from_bytes(login.as_bytes()).unwrap();
            let found = directory.locate_among(&login, |upstream| names.contains(&&*upstream.0));
            found.map(|located| located.upstream.0)
        };
        assert_eq!(among(&["none", "second"], "alice").unwrap(), "second", "where nobody can mean the first");
        assert_eq!(among(&["second", "first"], "alice").unwrap(), "first");
        assert_eq!(among(&["none"], "alice"), Err(NameRefused::NotAnAddress));
        assert_eq!(among(&["none"], "alice@example.net").unwrap(), "second");
    }

    #[test]
    fn a_default_domain_is_served_by_its_upstream_unless_another_one_names_it() {
        let catch_all =
            Upstream { default_domain: Some(domain("example.org")), ..upstream("catch-all", &["*"]) };
        let directory = directory_of(&[upstream("other", &["example.net"]), catch_all.clone()]);
        assert_eq!(locate(&directory, "alice").unwrap().1, "catch-all");
        let directory = directory_of(&[catch_all, upstream("named", &["example.org"])]);
        assert_eq!(locate(&directory, "alice").unwrap().1, "named");
    }

    #[test]
    fn aliases_without_a_default_domain_fold_to_the_first_domain() {
        let directory = directory_of(&[Upstream {
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
        let directory = directory_of(&[local_part(Some(domain("example.org")))]);
        for name in ["alice", "alice@example.org", "alice@anything.example"] {
            assert_eq!(locate(&directory, name).unwrap().0, "alice@example.org", "{name}");
        }
        let directory = directory_of(&[local_part(None)]);
        assert_eq!(locate(&directory, "alice@example.org"), Err(NameRefused::UnknownDomain));
    }

    #[test]
    fn a_name_too_long_for_the_upstream_is_refused() {
        let directory = directory_of(&[Upstream {
            login: LoginRewrite::Template(format!("{{local}}@{{domain}}{}", "x".repeat(500))),
            ..upstream("legacy", &["example.org"])
        }]);
        assert_eq!(locate(&directory, "alice@example.org"), Err(NameRefused::NotAnAddress));
    }

    #[test]
    fn a_server_hears_the_form_of_a_domain_that_the_configuration_has() {
        let at = |form: &str, unicode: bool| {
            let domain = domain(form);
            let unicode_domains = if unicode { vec![domain.clone()] } else { vec![] };
            directory_of(&[Upstream {
                login: LoginRewrite::Template("{local}/{domain}".into()),
                default_domain: Some(domain),
                unicode_domains,
                ..upstream("legacy", &[form, "example.org"])
            }])
        };
        for typed in ["anna", "anna@例子.中国", "anna@xn--fsqu00a.xn--fiqs8s", "ANNA@例子。XN--FIQS8S"]
        {
            for (form, unicode, user) in [
                ("例子.中国", true, "anna/例子.中国"),
                ("xn--fsqu00a.xn--fiqs8s", false, "anna/xn--fsqu00a.xn--fiqs8s"),
            ] {
                let expected = ("anna@xn--fsqu00a.xn--fiqs8s".into(), "legacy".into(), user.into());
                assert_eq!(locate(&at(form, unicode), typed), Ok(expected), "{typed} {form}");
            }
        }
    }

    #[test]
    fn what_makes_a_sub_address_is_for_each_upstream_to_say() {
        let delimited = |name, domain, sign: &str| {
            let sub_address_delimiter = toml::Value::from(sign).try_into().unwrap();
            Upstream { sub_address_delimiter, ..upstream(name, &[domain]) }
        };
        let directory = directory_of(&[
            delimited("postfix", "example.org", "+-"),
            delimited("qmail", "example.net", "-"),
            delimited("none", "example.com", ""),
        ]);
        for (name, refused) in [
            ("a+b@example.org", true),
            ("a-b@example.org", true),
            ("a+b@example.net", false),
            ("a-b@example.net", true),
            ("a+b@example.com", false),
            ("a-b@example.com", false),
            ("ab@example.org", false),
        ] {
            let found = locate(&directory, name);
            assert_eq!(found == Err(NameRefused::SubAddress), refused, "{name}: {found:?}");
            assert_eq!(found.is_ok(), !refused, "{name}: {found:?}");
        }
    }

    fn aliases(lines: &[&str]) -> Option<AliasesFile> {
        let name = |text: &str| LoginName::from_bytes(text.as_bytes()).unwrap();
        let line = |(text, number): (&&str, usize)| {
            let (alias, primary) = text.split_once(' ').unwrap();
            AliasLine { number, alias: name(alias), primary: name(primary) }
        };
        Some(AliasesFile { path: "aliases".into(), lines: lines.iter().zip(1..).map(line).collect() })
    }

    /// The university with that list, and a company with a default domain of its own.
    fn with_aliases(lines: &[&str]) -> Result<Directory, ConfigError> {
        Directory::new(&[
            Upstream {
                default_domain: Some(domain("example.org")),
                domain_aliases: vec![domain("old.example.org")],
                credential: master(MasterStyle::Separator('*')),
                aliases: aliases(lines),
                ..upstream("university", &["example.org", "b\u{fc}cher.example"])
            },
            Upstream {
                login: LoginRewrite::LocalPart,
                default_domain: Some(domain("firm.example")),
                aliases: aliases(&["info boss", "chef@firm.test Boss@firm.example"]),
                ..upstream("company", &["firm.example", "firm.test"])
            },
        ])
    }

    #[rstest]
    #[case("anna.maria@example.org", "anna@example.org", "anna@example.org")]
    #[case(" ANNA.Maria@Old.example.org. ", "anna@example.org", "anna@example.org")]
    #[case("Anna.Maria", "anna@example.org", "anna@example.org")]
    #[case("sales", "anna@example.org", "anna@example.org")]
    #[case("jose\u{301}@example.org", "jos@xn--bcher-kva.example", "jos@xn--bcher-kva.example")]
    #[case("anna@example.org", "anna@example.org", "anna@example.org")]
    // a bare name in a list is of that upstream's default domain
    #[case("info@firm.example", "boss@firm.example", "boss")]
    #[case("Chef@FIRM.example", "boss@firm.example", "boss")]
    #[case("info", "info@example.org", "info@example.org")]
    fn every_spelling_of_an_alias_leads_to_its_primary(
        #[case] typed: &str,
        #[case] address: &str,
        #[case] user: &str,
    ) {
        let list = [
            "Anna.Maria@example.org anna",
            "SALES ANNA@old.example.org",
            "JOS\u{c9}@example.org jos@b\u{fc}cher.example",
        ];
        let directory = with_aliases(&list).unwrap();
        let located = locate(&directory, typed).unwrap();
        assert_eq!((located.0.as_str(), located.2.as_str()), (address, user));
    }

    #[test]
    fn an_alias_is_refused_as_the_same_name_without_a_list_is() {
        let directory = with_aliases(&["sales anna"]).unwrap();
        assert_eq!(locate(&directory, "sales+x@example.org"), Err(NameRefused::SubAddress));
        assert_eq!(locate(&directory, "sales*proxy@example.org"), Err(NameRefused::MasterSeparator));
        assert_eq!(locate(&directory, "\"sales\"@example.org"), Err(NameRefused::NotAnAddress));
    }

    #[rstest]
    #[case(&["a b", "c d", "A@old.example.org b"], 3, "`a@example.org` is in line 1 already")]
    #[case(&["a b", "a c"], 2, "`a@example.org` means `b@example.org` in line 1, and `c@example.org` here")]
    #[case(&["a b", "b c"], 1, "`b@example.org` is itself an alias, of `c@example.org` (line 2)")]
    #[case(&["b c", "a b"], 2, "`b@example.org` is itself an alias, of `c@example.org` (line 1)")]
    #[case(&["a A@old.example.org"], 1, "both names are `a@example.org` already")]
    #[case(&["a@xn--bcher-kva.example a@B\u{dc}CHER.example"], 1, "both names are `a@xn--bcher-kva.example` already")]
    #[case(&["a@firm.example b"], 1, "`a@firm.example` is of `company`, and this is the list of `university`")]
    #[case(&["a b@firm.test"], 1, "`b@firm.test` is of `company`, and this is the list of `university`")]
    #[case(&["a b@elsewhere.example"], 1, "`b@elsewhere.example` is of a domain that no upstream serves")]
    #[case(&["a: b"], 1, "`a:` cannot be an account")]
    #[case(&["@example.org b"], 1, "`@example.org` cannot be an account")]
    #[case(&["a+lists b"], 1, "`a+lists` is a sub-address, and is refused without being listed")]
    #[case(&["a b*c"], 1, "`b*c` holds the separator of `[upstream.master]`")]
    fn a_list_that_makes_no_sense_is_refused(
        #[case] lines: &[&str],
        #[case] line: usize,
        #[case] message: &str,
    ) {
        match with_aliases(lines) {
            Err(ConfigError::Invalid { path, problems }) => {
                assert_eq!(path, PathBuf::from("aliases"));
                assert_eq!(problems.len(), 1, "{problems:?}");
                assert_eq!(problems[0].line, line);
                assert!(problems[0].message.starts_with(message), "{}", problems[0].message);
                assert!(problems[0].hint.is_some());
            }
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("{lines:?}"),
        }
    }

    #[test]
    fn aliases_of_each_other_are_told_twice_and_other_mistakes_with_them() {
        let Err(error) = with_aliases(&["a b", "b a", "c+ d", "e e"]) else { panic!() };
        let told = error.to_string();
        for line in 1..=4 {
            assert!(told.contains(&format!("\n  line {line}: ")), "{told}");
        }
    }

    #[test]
    fn a_moved_account_is_called_as_its_new_upstream_calls_it_and_never_as_another_mailbox() {
        let target = |name: &str, login| Upstream { login, ..upstream(name, &[]) };
        let directory = directory_of(&[
            upstream("legacy", &["example.org", "firm.example"]),
            Upstream {
                credential: master(MasterStyle::Separator('*')),
                ..target("new", LoginRewrite::Address)
            },
            Upstream {
                default_domain: Some(domain("example.org")),
                sub_address_delimiter: toml::Value::from("-").try_into().unwrap(),
                ..target("bare", LoginRewrite::LocalPart)
            },
            target("deaf", LoginRewrite::LocalPart),
        ]);
        let at = |login: &str, to: &str| {
            let home = directory.locate(&LoginName::from_bytes(login.as_bytes()).unwrap()).unwrap();
            assert_eq!(home.upstream.0, "legacy");
            let found = directory.at(&home, &UpstreamName(to.to_owned()));
            found.map(|located| (located.address.to_string(), located.upstream_user.as_str().to_owned()))
        };
        let found = |address: &str, user: &str| Ok((address.to_owned(), user.to_owned()));
        assert_eq!(at("Ann@example.org", "new"), found("ann@example.org", "ann@example.org"));
        assert_eq!(at("ann@example.org", "bare"), found("ann@example.org", "ann"));
        assert_eq!(
            at("ann@firm.example", "bare"),
            Err(NameRefused::DomainNotHeard),
            "that is another's name"
        );
        assert_eq!(at("ann@example.org", "deaf"), Err(NameRefused::DomainNotHeard));
        assert_eq!(at("ann*boss@example.org", "new"), Err(NameRefused::MasterSeparator));
        assert_eq!(at("ann-lists@example.org", "bare"), Err(NameRefused::SubAddress));
        assert_eq!(at("ann@example.org", "gone"), Err(NameRefused::NoSuchUpstream));
    }
}
