//! `mailward init`: from nothing to a gate that can be started.
//!
//! Nothing is written before every answer is there and every named server was seen; nothing that exists is
//! overwritten.

mod answers;
mod certificate;
mod template;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use super::failure::complain;
use super::output;
use crate::base::{Clock, Protocol, SystemClock};
use crate::config::server::DEFAULT_DATA_DIR;
use crate::config::{Config, DEFAULT_PATH, EndpointTls};
use crate::proxy::upstream::{Probe, probe};
use crate::site::Site;
use answers::Answers;
use template::{Server, Template};

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
        let answers = Answers::gather(&self)?;
        let mut servers = vec![];
        for (protocol, place) in &answers.servers {
            let seen = probe(*protocol, &place.host, place.port).await?;
            complain(&format!("found {protocol} at {place}: {}", describe(&seen)));
            servers.push(Server { protocol: *protocol, place: place.clone(), seen });
        }

        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
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
        let own_certificate = write_certificate(&certs, &certificate)?;
        let data_dir = config.server.data_dir.clone();
        Site::open(config).await?.close().await;
        write_new(path, text.as_bytes(), 0o640).with_context(|| cannot_make(path))?;
        report(path, &certs, own_certificate.then_some(&certificate), &data_dir, &answers)
    }
}

/// A gate set up elsewhere than at its usual place keeps its data beside its configuration.
fn data_dir(path: &Path) -> &'static str {
    if path == Path::new(DEFAULT_PATH) { DEFAULT_DATA_DIR } else { "data" }
}

/// `false` where there is a certificate already: it is kept.
fn write_certificate(certs: &Path, certificate: &certificate::SelfSigned) -> anyhow::Result<bool> {
    let (cert, key) = (certs.join("fullchain.pem"), certs.join("privkey.pem"));
    if cert.exists() && key.exists() {
        return Ok(false);
    }
    write_new(&key, certificate.key_pem.as_bytes(), 0o600).with_context(|| cannot_make(&key))?;
    write_new(&cert, certificate.pem.as_bytes(), 0o644).with_context(|| cannot_make(&cert))?;
    Ok(true)
}

fn cannot_make(path: &Path) -> String {
    format!("cannot make `{}`", path.display())
}

/// Written aside and linked into place: the name never shows a file that is not whole, nor replaces one.
fn write_new(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".new-{}", std::process::id()));
    let aside = PathBuf::from(aside);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&aside)?;
    let linked =
        file.write_all(content).and_then(|()| file.sync_all()).and_then(|()| fs::hard_link(&aside, path));
    fs::remove_file(&aside)?;
    linked?;
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn report(
    path: &Path,
    certs: &Path,
    own: Option<&certificate::SelfSigned>,
    data_dir: &Path,
    answers: &Answers,
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
    output::print(&format!(
        "{}: the configuration\n{certificate}\n{}: key file and database; back it up\n\n\
         next: {command} serve\n\
         then: {command} app-password create you@{} --name Phone\n\n\
         Mail clients warn of a self-signed certificate: put a trusted one into its place before users come.\n",
        path.display(),
        data_dir.display(),
        answers.domain,
    ))
}

/// What was seen, for whoever runs this.
fn describe(seen: &Probe) -> &'static str {
    match (seen.tls, seen.pin_sha256) {
        (EndpointTls::None, _) => "no TLS! Passwords will cross the wire to it in clear",
        (EndpointTls::Starttls, None) => "STARTTLS with a trusted certificate",
        (EndpointTls::Implicit, None) => "TLS with a trusted certificate",
        (EndpointTls::Starttls, Some(_)) => "STARTTLS with a certificate of its own; its key is pinned",
        (EndpointTls::Implicit, Some(_)) => "TLS with a certificate of its own; its key is pinned",
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
