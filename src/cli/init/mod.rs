//! `mailward init`: from nothing to a gate that can be started.
//!
//! Nothing is written before every answer is there and every named server was seen; nothing that exists is
//! overwritten.

mod answers;
mod certificate;
mod template;

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::Path;

use anyhow::Context as _;
use clap::Args;

use super::failure::{Failure, complain};
use super::output;
use super::users::{self, User};
use crate::base::{Clock, Protocol, SystemClock, new_file};
use crate::config::server::DEFAULT_DATA_DIR;
use crate::config::{Config, DEFAULT_PATH, EndpointTls};
use crate::proxy::upstream::{KnownBy, Probe, probe};
use crate::site::Site;
use answers::Answers;
use template::{Server, Template};

/// As whom `systemd/mailward.service` runs the gate.
const SERVICE_USER: &str = "mailward";

/// What is not given is asked for, if there is a terminal.
#[derive(Args)]
pub(super) struct Init {
    /// The name that mail clients know the gate by, such as `mail.example.org`
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// The mail domain behind the gate, such as `example.org`
    #[arg(long)]
    domain: Option<String>,
    /// Where the mail server speaks IMAP
    #[arg(long, value_name = "HOST:PORT")]
    imap: Option<String>,
    /// Where the mail server speaks POP3
    #[arg(long, value_name = "HOST:PORT")]
    pop3: Option<String>,
    /// Where the mail server takes mail from users
    #[arg(long, value_name = "HOST:PORT")]
    smtp: Option<String>,
    /// The system user who runs the gate and may read what is made; `mailward` if there is one, and root asks
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Ask nothing: take defaults for what is not given
    #[arg(short, long)]
    yes: bool,
}

impl Init {
    pub(super) async fn run(self, path: &Path) -> anyhow::Result<()> {
        if path.exists() {
            anyhow::bail!(
                "`{}` exists already, and is left as it is\nhint: change it, or name another with `--config FILE`",
                path.display()
            );
        }
        let service = service_user(self.user.as_deref())?;
        let answers = Answers::gather(&self)?;
        let mut servers = vec![];
        for (protocol, place) in &answers.servers {
            let seen = probe(*protocol, &place.host, place.port)
                .await
                .map_err(|error| anyhow::anyhow!("{error}\nhint: correct `--{protocol}`, or see that the server runs and lets this machine in"))?;
            complain(&format!("found {protocol} at {place}: {}", describe(&seen)));
            servers.push(Server { protocol: *protocol, place: place.clone(), seen });
        }

        let folder = new_file::directory_of(path);
        let template = Template {
            hostname: &answers.hostname,
            domain: &answers.domain,
            data_dir: data_dir(path),
            servers: &servers,
        };
        let text = template.render();
        let config =
            Config::parse(&text, path).context("the configuration that would be written is wrong")?;
        let certificate = certificate::self_signed(&answers.hostname, SystemClock::start().now())?;
        let certs = folder.join("certs");
        DirBuilder::new().recursive(true).create(folder).with_context(|| cannot_make(folder))?;
        DirBuilder::new().recursive(true).mode(0o750).create(&certs).with_context(|| cannot_make(&certs))?;
        let group = service.as_ref().map(|user| user.gid);
        chown(&certs, None, group).with_context(|| cannot_make(&certs))?;
        let own_certificate = write_certificate(&certs, &certificate, group)?;
        let data_dir = config.server.data_dir.clone();
        make_data_dir(&data_dir, service.as_ref()).with_context(|| cannot_make(&data_dir))?;
        Site::open(config).await?.close().await;
        write_new(path, text.as_bytes(), 0o640, group).with_context(|| cannot_make(path))?;
        report(path, &certs, own_certificate.then_some(&certificate), &data_dir, &answers, service.as_ref())
    }
}

/// A gate set up elsewhere than at its usual place keeps its data beside its configuration.
fn data_dir(path: &Path) -> &'static str {
    if path == Path::new(DEFAULT_PATH) { DEFAULT_DATA_DIR } else { "data" }
}

/// Who runs the gate, if that is not who runs this: then what is made must be theirs to read.
fn service_user(named: Option<&str>) -> anyhow::Result<Option<User>> {
    let is_root = users::own_uid() == Some(0);
    match named {
        Some(_) if !is_root => Err(Failure::usage(
            "only root can make files for another user\nhint: leave out `--user`, or use `sudo`",
        )),
        Some(name) => match User::named(name) {
            None => Err(Failure::usage(format!(
                "there is no system user `{name}`\nhint: `useradd --system --shell /usr/sbin/nologin {name}` adds one"
            ))),
            found => Ok(found),
        },
        None => Ok(User::named(SERVICE_USER).filter(|_| is_root)),
    }
}

/// Whatever is made in it later belongs to whom it belongs.
fn make_data_dir(data_dir: &Path, service: Option<&User>) -> io::Result<()> {
    if data_dir.exists() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir)?;
    service.map_or(Ok(()), |user| chown(data_dir, Some(user.uid), Some(user.gid)))
}

/// `false` where there is a certificate already: it is kept.
fn write_certificate(
    certs: &Path,
    certificate: &certificate::SelfSigned,
    group: Option<u32>,
) -> anyhow::Result<bool> {
    let (cert, key) = (certs.join("fullchain.pem"), certs.join("privkey.pem"));
    if cert.exists() && key.exists() {
        return Ok(false);
    }
    let key_mode = if group.is_some() { 0o640 } else { 0o600 };
    write_new(&key, certificate.key_pem.as_bytes(), key_mode, group).with_context(|| cannot_make(&key))?;
    write_new(&cert, certificate.pem.as_bytes(), 0o644, group).with_context(|| cannot_make(&cert))?;
    Ok(true)
}

fn cannot_make(path: &Path) -> String {
    format!("cannot make `{}`", path.display())
}

fn write_new(path: &Path, content: &[u8], mode: u32, group: Option<u32>) -> io::Result<()> {
    new_file::create(path, content, mode, |made| chown(made, None, group))
}

fn report(
    path: &Path,
    certs: &Path,
    own: Option<&certificate::SelfSigned>,
    data_dir: &Path,
    answers: &Answers,
    service: Option<&User>,
) -> anyhow::Result<()> {
    let certificate = match own {
        Some(made) => format!(
            "{}: a self-signed certificate for {}, good until {}",
            certs.display(),
            answers.hostname,
            made.good_until
        ),
        None => format!("{}: kept the certificate that is there", certs.display()),
    };
    let command = if path == Path::new(DEFAULT_PATH) {
        "mailward".to_owned()
    } else {
        format!("mailward -c {}", path.display())
    };
    let readable = service.map_or_else(String::new, |user| {
        format!("The system user `{}` can read them, and owns the last.\n", user.name)
    });
    output::print(&format!(
        "{}: the configuration\n{certificate}\n{}: key file and database; back it up\n{readable}\n\
         next: {command} serve\n\
         then: {command} app-password create you@{} --name Phone\n\n\
         Mail clients warn of a self-signed certificate: put a trusted one into its place before users come.\n",
        path.display(),
        data_dir.display(),
        answers.domain,
    ))
}

/// What was seen, for whoever runs this.
fn describe(seen: &Probe) -> String {
    let tls = match seen.tls {
        EndpointTls::None => return "no TLS! Passwords will cross the wire to it in clear".to_owned(),
        EndpointTls::Starttls => "STARTTLS",
        EndpointTls::Implicit => "TLS",
    };
    match &seen.known_by {
        None | Some(KnownBy::Host) => format!("{tls} with a trusted certificate"),
        Some(KnownBy::Name(name)) => {
            format!("{tls} with a trusted certificate for `{name}`, which is its `server_name`")
        }
        Some(KnownBy::Key(_)) => {
            format!(
                "{tls} with a certificate that is not trusted; its key is pinned: logins stop when it comes to another key"
            )
        }
    }
}

/// The doors that fit what the mail server speaks.
fn doors(protocol: Protocol) -> &'static [(u16, &'static str)] {
    match protocol {
        Protocol::Imap => &[(993, "implicit"), (143, "starttls")],
        Protocol::Pop3 => &[(995, "implicit"), (110, "starttls")],
        Protocol::Smtp => &[(465, "implicit"), (994, "implicit"), (587, "starttls")],
    }
}
