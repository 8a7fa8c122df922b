//! The gate's configuration file, as the tests vary it.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use toml::value::Datetime;
use toml::{Table, Value, toml};

use super::fake::Fake;
use super::guest::{Mail, PROTOCOLS};
use super::legacy::LegacyServer;
use super::ports::Port;
use super::table::PORTAL;

/// The name that clients know the gate by.
pub(crate) const GATE_NAME: &str = "mail.example.test";

/// How the gate reaches the legacy server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum UpstreamTls {
    None,
    Starttls,
    Implicit,
}

impl UpstreamTls {
    /// As the configuration calls it.
    fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Starttls => "starttls",
            Self::Implicit => "implicit",
        }
    }
}

/// One of the gate's doors.
pub(crate) struct Door {
    pub(crate) protocol: &'static str,
    pub(crate) implicit_tls: bool,
    pub(crate) port: Port,
    /// The upstreams that it leads to, if not to all.
    pub(crate) upstreams: Vec<&'static str>,
}

/// Where the gate's portal is; its port is nobody else's while this lives.
pub(super) struct PortalPlace {
    pub(super) url: String,
    _port: Port,
}

/// A configuration that works as it stands, and methods to make it another.
///
/// It starts as: one upstream for `example.test`, reached by STARTTLS with its certificate verified, credential
/// style `sealed`, SQLite, an implicit-TLS and a STARTTLS listener for each protocol, every limit at its default
/// save `failure_delay`, which is short so that tests of refusals do not take three seconds each.
pub(crate) struct GateConfig {
    table: Table,
    doors: Vec<Door>,
    pub(super) portal: Option<PortalPlace>,
    master_password: Option<String>,
    relay_password: Option<String>,
    /// Who must say with a PROXY header whom they pass on, at every door.
    balancers: Vec<&'static str>,
}

impl GateConfig {
    /// In front of that legacy server.
    pub(crate) fn in_front_of(legacy: &LegacyServer) -> Self {
        Self::for_protocols(&PROTOCOLS).upstream_tls(legacy, UpstreamTls::Starttls)
    }

    /// In front of servers that answer by script, which are reached without TLS, or asked for STARTTLS.
    pub(crate) fn in_front_of_fakes(fakes: &[&Fake], tls: UpstreamTls) -> Self {
        let ports = fakes.iter().map(|fake| (fake.mail(), fake.port())).collect::<Vec<_>>();
        Self::in_front_of_ports(&ports, tls)
    }

    /// In front of whatever listens there on 127.0.0.1.
    pub(crate) fn in_front_of_ports(ports: &[(Mail, u16)], tls: UpstreamTls) -> Self {
        let mails = ports.iter().map(|(mail, _)| *mail).collect::<Vec<_>>();
        ports.iter().fold(Self::for_protocols(&mails), |config, (mail, port)| {
            let endpoint = toml! {
                address = [(format!("127.0.0.1:{port}"))]
                tls = (tls.word())
            };
            config.set(&["upstream", "0", mail.name()], endpoint)
        })
    }

    fn for_protocols(mails: &[Mail]) -> Self {
        let table = toml! {
            [server]
            hostname = "mail.example.test"

            [[upstream]]
            name = "legacy"
            domains = ["example.test"]
            default_domain = "example.test"
            login = "address"
            credential = "sealed"

            [limits]
            failure_delay = "100ms"
        };
        let mut doors = Vec::new();
        for mail in mails {
            for implicit_tls in [true, false] {
                let (port, upstreams) = (Port::choose(), Vec::new());
                doors.push(Door { protocol: mail.name(), implicit_tls, port, upstreams });
            }
        }
        Self {
            table,
            doors,
            portal: None,
            master_password: None,
            relay_password: None,
            balancers: Vec::new(),
        }
    }

    /// Sets any key: `set(&["limits", "idle"], "5s")`, `set(&["upstream", "0", "login"], "local-part")`,
    /// `set(&["policy", "example.test", "second_factor"], "required")`. Tables appear as needed.
    pub(crate) fn set(mut self, path: &[&str], value: impl Into<Value>) -> Self {
        let (last, parents) = path.split_last().expect("a key");
        let mut table = &mut self.table;
        let mut parents = parents.iter();
        while let Some(name) = parents.next() {
            let entry = table.entry(*name).or_insert_with(|| Value::Table(Table::new()));
            let entry = if let Value::Array(tables) = entry {
                let index = parents.next().and_then(|index| index.parse::<usize>().ok()).expect("an index");
                tables.get_mut(index).expect("an element of that index")
            } else {
                entry
            };
            table = entry.as_table_mut().expect("a table on the way to the key");
        }
        table.insert((*last).to_owned(), value.into());
        self
    }

    /// Serves a portal, which browsers call by `host`: [`Gate::portal`](super::Gate::portal) says where.
    pub(crate) fn portal_at(mut self, host: &str) -> Self {
        let port = Port::choose();
        let (listen, url) = (format!("127.0.0.1:{}", port.number), format!("https://{host}:{}", port.number));
        self.portal = Some(PortalPlace { url: url.clone(), _port: port });
        self.set(&["portal", "listen"], listen).set(&["portal", "public_url"], url)
    }

    /// Reaches the legacy server in another way, on the port that fits.
    pub(crate) fn upstream_tls(mut self, legacy: &LegacyServer, tls: UpstreamTls) -> Self {
        for protocol in ["imap", "pop3", "smtp"] {
            let service = match tls {
                UpstreamTls::None | UpstreamTls::Starttls => protocol.to_owned(),
                UpstreamTls::Implicit => format!("{protocol}s"),
            };
            let mut endpoint = Table::new();
            let address = format!("{}:{}", legacy.host(), legacy.port(&service));
            endpoint.insert("address".into(), Value::Array(vec![address.into()]));
            endpoint.insert("tls".into(), tls.word().into());
            if tls != UpstreamTls::None {
                endpoint.insert("server_name".into(), legacy.name().into());
                endpoint.insert("ca_file".into(), legacy.ca_file().display().to_string().into());
            }
            self = self.set(&["upstream", "0", protocol], endpoint);
        }
        self
    }

    /// Logs in upstream as that master user; `style` is `separator:*` or `authzid`.
    pub(crate) fn master(mut self, user: &str, password: &str, style: &str) -> Self {
        self.master_password = Some(password.to_owned());
        self.set(&["upstream", "0", "credential"], "master")
            .set(&["upstream", "0", "master", "user"], user)
            .set(&["upstream", "0", "master", "style"], style)
    }

    /// Sends mail of its own through that legacy server, where it logs in as the second user and writes in that one's name.
    pub(crate) fn mailing_through(mut self, legacy: &LegacyServer) -> Self {
        let (user, password) = legacy.user(1);
        self.relay_password = Some(password.to_owned());
        let mail = toml! {
            relay = (format!("{}:{}", legacy.host(), legacy.port("smtp")))
            server_name = (legacy.name())
            ca_file = (legacy.ca_file().display().to_string())
            user = (user)
            from = (format!("邮件系统 <{user}>"))
        };
        self.set(&["mail"], mail)
    }

    /// Names a portal in refusals.
    pub(crate) fn with_portal(self) -> Self {
        self.set(&["portal", "public_url"], PORTAL)
    }

    /// Requires a second factor from that day on, after a grace period; whoever the upstream knows gets an account.
    pub(crate) fn required_since(self, day: &str, grace: &str) -> Self {
        self.set(&["policy", "second_factor"], "required")
            .set(&["policy", "required_since"], day.parse::<Datetime>().expect("a day"))
            .set(&["policy", "grace_period"], grace)
            .set(&["upstream", "0", "accounts"], "first-login")
    }

    /// So many failures, then none for a long time: of one network, and of one account.
    pub(crate) fn failures(self, of_a_network: u32, of_an_account: u32) -> Self {
        let rate = |burst: u32| {
            toml! { burst = (i64::from(burst))
            per = "1h" }
        };
        self.set(&["limits", "per_network"], rate(of_a_network))
            .set(&["limits", "per_account"], rate(of_an_account))
    }

    /// Counts no failure: for tests that are about something else and fail often.
    pub(crate) fn uncounted(self) -> Self {
        self.set(&["limits", "exempt"], vec!["127.0.0.0/8"]).upstream_may_see(1_000_000, 1_000_000)
    }

    /// So many failures may be sent upstream in a minute: in all, and of one account.
    pub(crate) fn upstream_may_see(self, in_all: u32, of_an_account: u32) -> Self {
        let rate = |burst: u32| {
            toml! { burst = (i64::from(burst))
            per = "1m" }
        };
        self.set(&["upstream", "0", "failures_in_all"], rate(in_all))
            .set(&["upstream", "0", "failures_per_account"], rate(of_an_account))
    }

    /// Keeps its records in that database instead of an SQLite file.
    pub(crate) fn database(self, url: &str) -> Self {
        self.set(&["database", "url"], url)
    }

    /// Opens one more door.
    pub(crate) fn listener(self, protocol: &'static str, implicit_tls: bool) -> Self {
        self.listener_to(&[], protocol, implicit_tls)
    }

    /// The same, leading to those upstreams only.
    pub(crate) fn listener_to(
        mut self,
        upstreams: &[&'static str],
        protocol: &'static str,
        implicit_tls: bool,
    ) -> Self {
        self.doors.push(Door { protocol, implicit_tls, port: Port::choose(), upstreams: upstreams.to_vec() });
        self
    }

    /// Believes these networks about whom they pass on.
    pub(crate) fn behind(mut self, balancers: &[&'static str]) -> Self {
        self.balancers = balancers.to_vec();
        self
    }

    /// Writes the file, and the certificate and secrets that it names, into `directory`, where the gate will keep its
    /// data too. Returns the doors that it opens.
    pub(crate) fn write(mut self, directory: &Path) -> Vec<Door> {
        let place = |name: &str| directory.join(name).display().to_string();
        write_certificates(directory, 2099);
        let secrets = [
            (self.master_password.take(), "master.secret", &["upstream", "0", "master", "password_file"][..]),
            (self.relay_password.take(), "relay.secret", &["mail", "password_file"]),
        ];
        for (password, name, key) in secrets {
            let Some(password) = password else { continue };
            write_private(&directory.join(name), &password);
            self = self.set(key, place(name));
        }
        let certificate = toml! {
            cert = (place("cert.pem"))
            key = (place("key.pem"))
        };
        let mut config = self
            .preset(&["server", "data_dir"], place("data"))
            .preset(&["database", "url"], format!("sqlite://{}", place("data/mailward.db")))
            .preset(&["audit", "directory"], place("data/audit"))
            .preset(&["audit", "reserve"], "1MiB")
            .preset(&["tls", "certificate"], vec![Value::Table(certificate)]);
        let listeners = config.doors.iter().map(|door| door.listener(&config.balancers)).collect::<Vec<_>>();
        config.table.insert("listener".into(), Value::Array(listeners));

        fs::create_dir_all(directory.join("data")).expect("the data directory");
        let text = toml::to_string(&config.table).expect("a configuration in TOML");
        fs::write(directory.join("mailward.toml"), text).expect("the configuration file");
        config.doors
    }

    /// Sets a key in a section of its own unless the test has set it.
    fn preset(self, path: &[&str; 2], value: impl Into<Value>) -> Self {
        let [section, key] = path;
        let set_already = self.table.get(*section).is_some_and(|section| section.get(key).is_some());
        if set_already { self } else { self.set(path, value) }
    }
}

impl Door {
    fn listener(&self, balancers: &[&'static str]) -> Value {
        let mut listener = Table::new();
        listener.insert("protocol".into(), self.protocol.into());
        listener.insert("address".into(), format!("127.0.0.1:{}", self.port.number).into());
        listener.insert("tls".into(), if self.implicit_tls { "implicit" } else { "starttls" }.into());
        if !self.upstreams.is_empty() {
            listener.insert("upstreams".into(), self.upstreams.clone().into());
        }
        if !balancers.is_empty() {
            listener.insert("proxy_protocol_from".into(), balancers.to_vec().into());
        }
        Value::Table(listener)
    }
}

/// An authority, which some clients insist on, and a certificate of the gate's names that it signed, valid up to the
/// beginning of that year: `ca.pem`, `cert.pem` and `key.pem`.
pub(crate) fn write_certificates(directory: &Path, until: i32) {
    let key = || KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "The tests' authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority_key = key();
    let authority_certificate = authority.self_signed(&authority_key).expect("an authority");
    let names = [GATE_NAME, "localhost", "127.0.0.1"].map(str::to_owned);
    let mut gate = CertificateParams::new(names).expect("the gate's names");
    gate.distinguished_name.push(DnType::CommonName, GATE_NAME);
    gate.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    gate.use_authority_key_identifier_extension = true;
    gate.not_after = rcgen::date_time_ymd(until, 1, 1);
    let gate_key = key();
    let signed = gate.signed_by(&gate_key, &Issuer::new(authority, authority_key)).expect("a certificate");
    write_private(&directory.join("ca.pem"), &authority_certificate.pem());
    write_private(&directory.join("cert.pem"), &signed.pem());
    write_private(&directory.join("key.pem"), &gate_key.serialize_pem());
}

fn write_private(path: &Path, content: &str) {
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(content.as_bytes())).expect("a private file");
}
