//! The certificates that clients are shown.

use std::fmt::Write as _;

use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::names::is_name;
use super::{Area, Mark, Report};
use crate::base::Clock;
use crate::config::{CertificateFiles, Config};
use crate::proxy::tls::{Certificates, known_to_the_public, read_certificates};

const AREA: Area = Area::Certificates;

/// A certificate that ends sooner should have been renewed by now: public ones are renewed 30 days before.
const SOON_DAYS: i64 = 20;

/// What stands in a certificate.
pub(super) struct Facts {
    /// Lower case.
    names: Vec<String>,
    self_signed: bool,
    /// Seconds since 1970.
    begins: i64,
    ends: i64,
}

impl Facts {
    /// None for what is no certificate.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let alternative = certificate.subject_alternative_name().ok().flatten();
        let names = alternative.iter().flat_map(|extension| &extension.value.general_names);
        let names = names.filter_map(|name| {
            if let GeneralName::DNSName(name) = name { Some(name.to_ascii_lowercase()) } else { None }
        });
        Some(Self {
            names: names.collect(),
            self_signed: certificate.subject() == certificate.issuer(),
            begins: certificate.validity().not_before.timestamp(),
            ends: certificate.validity().not_after.timestamp(),
        })
    }

    /// Its dates, and whether they are good at `now`.
    pub(super) fn dates(&self, now: i64) -> (Mark, String) {
        let days = (self.ends - now).div_euclid(86_400);
        if now < self.begins {
            (Mark::Wrong, "is not valid yet".to_owned())
        } else if days < 0 {
            (Mark::Wrong, format!("has expired {} days ago", -days))
        } else if days < SOON_DAYS {
            (Mark::Doubtful, format!("expires in {days} days"))
        } else {
            (Mark::Good, format!("is good for {days} more days"))
        }
    }

    /// Whether it is good for `name`, in lower case.
    pub(super) fn carries(&self, name: &str) -> bool {
        // A wildcard stands for exactly one label, RFC 9525 section 6.3.
        let wildcard = name.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        self.names.iter().any(|carried| carried == name || Some(carried) == wildcard.as_ref())
    }
}

/// Whether any certificate is good for `name`, in lower case, whatever its dates.
pub(super) fn any_carries(config: &Config, name: &str) -> bool {
    let leaf = |files: &CertificateFiles| {
        let chain = read_certificates(&files.cert).ok()?;
        Facts::read(chain.first()?)
    };
    config.certificates.iter().filter_map(leaf).any(|facts| facts.carries(name))
}

pub(super) fn look(config: &Config, clock: &dyn Clock, report: &mut Report) {
    if let Err(error) = Certificates::load(&config.certificates) {
        report.failure(AREA, "[[tls.certificate]]", &error);
        return;
    }
    let now = clock.now().unix_seconds();
    let mut all = vec![];
    for files in &config.certificates {
        all.extend(look_at(files, now, report));
    }
    for (name, who) in names(config) {
        if all.iter().any(|facts| facts.carries(&name)) {
            report.good(AREA, name, "stands in a certificate");
        } else {
            let found = format!("stands in no certificate: {who}");
            report.wrong(AREA, name, found, "get a certificate with this name for `[[tls.certificate]]`");
        }
    }
}

/// The names under which the gate is reached, each once and in lower case, with what its users meet if no certificate
/// has it.
fn names(config: &Config) -> Vec<(String, &'static str)> {
    const CLIENTS: &str = "clients that connect under this name warn, or do not connect";
    let sni = config.upstreams.iter().flat_map(|upstream| &upstream.hostnames);
    let for_clients = std::iter::once(&config.server.hostname).chain(sni).map(|name| (name, CLIENTS));
    let all = for_clients.map(|(name, who)| (name.to_ascii_lowercase(), who)).chain(portal_name(config));
    let mut names: Vec<(String, &str)> = vec![];
    for (name, who) in all {
        if !names.iter().any(|(known, _)| *known == name) {
            names.push((name, who));
        }
    }
    names
}

/// That of the portal, where this gate serves it over TLS.
fn portal_name(config: &Config) -> Option<(String, &'static str)> {
    let portal = config.portal.as_ref()?;
    let is_served = portal.listen.is_some() && portal.is_secure() && is_name(portal.host());
    is_served.then(|| (portal.host().to_ascii_lowercase(), "browsers warn whoever comes to the portal"))
}

fn look_at(files: &CertificateFiles, now: i64, report: &mut Report) -> Option<Facts> {
    let subject = files.cert.display().to_string();
    let chain = match read_certificates(&files.cert) {
        Ok(chain) => chain,
        Err(error) => {
            report.failure(AREA, subject, &error);
            return None;
        }
    };
    let facts = Facts::read(chain.first()?)?;
    let (mark, mut found) = facts.dates(now);
    let _ = write!(found, "; names: {}", facts.names.join(", "));
    let hint =
        (mark != Mark::Good).then(|| "renew it; a program that renews it by itself is best".to_owned());
    report.add(AREA, mark, subject.as_str(), found, hint);

    let name = facts.names.first().map(|name| name.replacen("*.", "any.", 1)).unwrap_or_default();
    match known_to_the_public(&chain, &name, u64::try_from(now).unwrap_or_default()) {
        Ok(()) => report.good(AREA, subject, "its chain leads to an authority that this machine trusts"),
        // Told already.
        Err(_) if mark == Mark::Wrong => {}
        Err(_) if facts.self_signed => report.doubtful(
            AREA,
            subject,
            "it is self-signed: every client warns its user, and some refuse",
            "get one from a public authority, or give users the one that signed it",
        ),
        Err(why) => report.doubtful(
            AREA,
            subject,
            format!("this machine would not trust it: {why}"),
            "the file must hold the intermediates behind the certificate, as `fullchain.pem` does; an authority of your own must be known to all clients",
        ),
    }
    Some(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_nobody_vouches_for_is_told_so() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["mail.example.org".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(file("alone.pem"), certificate.pem()).unwrap();
        let files = CertificateFiles { cert: file("alone.pem"), key: file("alone.key") };
        let mut report = Report::default();
        look_at(&files, 1_767_225_600, &mut report).unwrap();
        let of_it: Vec<_> = report.findings.iter().filter(|one| one.mark == Mark::Doubtful).collect();
        assert_eq!(of_it.len(), 1, "{report:?}");
        assert!(of_it[0].found.starts_with("it is self-signed: every client warns"), "{report:?}");
        assert!(of_it[0].hint.as_ref().unwrap().contains("a public authority"), "{report:?}");
    }

    #[test]
    fn dates_and_names_are_judged() {
        let day = 86_400;
        let facts = Facts {
            names: vec!["mail.example.org".into(), "*.example.net".into()],
            self_signed: false,
            begins: day,
            ends: 100 * day,
        };
        assert_eq!(facts.dates(0), (Mark::Wrong, "is not valid yet".into()));
        assert_eq!(facts.dates(10 * day), (Mark::Good, "is good for 90 more days".into()));
        assert_eq!(facts.dates(90 * day), (Mark::Doubtful, "expires in 10 days".into()));
        assert_eq!(facts.dates(102 * day), (Mark::Wrong, "has expired 2 days ago".into()));
        for (name, carried) in [
            ("mail.example.org", true),
            ("imap.example.net", true),
            ("a.b.example.net", false),
            ("example.net", false),
        ] {
            assert_eq!(facts.carries(name), carried, "{name}");
        }
    }
}
