//! What `init` has to know: from flags, else from whoever sits at the terminal, else from defaults.

use crate::base::{Domain, Protocol};
use crate::config::HostPort;
use crate::config::server::is_hostname;

use super::super::failure::Failure;
use super::super::prompt;
use super::Init;

/// All that is asked.
pub(super) struct Answers {
    /// What clients call the gate.
    pub(super) hostname: String,
    /// The mail domain behind it.
    pub(super) domain: Domain,
    /// Where the mail server speaks what; at least one.
    pub(super) servers: Vec<(Protocol, HostPort)>,
}

impl Answers {
    /// Takes the flags, and asks for what they leave open unless nobody can be asked.
    pub(super) fn gather(flags: &Init) -> anyhow::Result<Self> {
        let ask = !flags.yes && prompt::is_possible();
        let domain = match (&flags.domain, ask) {
            (Some(given), _) => domain(given).map_err(Failure::usage)?,
            (None, true) => {
                until_right(|| Ok(domain(&prompt::line("Mail domain (what stands behind the @)", None)?)))?
            }
            (None, false) => return Err(missing(flags)),
        };
        let proposed = format!("mail.{domain}");
        let hostname = match (&flags.hostname, ask) {
            (Some(given), _) => hostname(given).map_err(Failure::usage)?,
            (None, true) => until_right(|| {
                Ok(hostname(&prompt::line("Name that mail clients know this gate by", Some(&proposed))?))
            })?,
            (None, false) if flags.yes => hostname(&proposed).map_err(Failure::usage)?,
            (None, false) => return Err(missing(flags)),
        };
        let mut servers = vec![];
        let none_given = flags.imap.is_none() && flags.pop3.is_none() && flags.smtp.is_none();
        for protocol in Protocol::ALL {
            let place = match (given(flags, protocol), ask && none_given) {
                (Some(given), _) => Some(place(given).map_err(Failure::usage)?),
                (None, true) => until_right(|| ask_place(protocol))?,
                (None, false) => None,
            };
            servers.extend(place.map(|place| (protocol, place)));
        }
        if servers.is_empty() {
            return Err(missing(flags));
        }
        Ok(Self { hostname, domain, servers })
    }
}

fn given(flags: &Init, protocol: Protocol) -> Option<&str> {
    match protocol {
        Protocol::Imap => flags.imap.as_deref(),
        Protocol::Pop3 => flags.pop3.as_deref(),
        Protocol::Smtp => flags.smtp.as_deref(),
    }
}

/// Names every flag that is still wanted, so that one more call suffices.
fn missing(flags: &Init) -> anyhow::Error {
    let mut wanted = vec![];
    if flags.domain.is_none() {
        wanted.push("`--domain`");
    }
    if flags.hostname.is_none() && !flags.yes {
        wanted.push("`--hostname` (or `--yes` for `mail.` and the domain)");
    }
    if Protocol::ALL.into_iter().all(|protocol| given(flags, protocol).is_none()) {
        wanted.push("at least one of `--imap`, `--pop3`, `--smtp`");
    }
    let reason = if flags.yes { "`--yes` asks nothing" } else { "there is no terminal to ask" };
    Failure::usage(format!(
        "{reason}, and answers are missing\nhint: add {}; for example `--domain example.org --imap 10.0.0.5:143 --smtp 10.0.0.5:587`",
        wanted.join(" and ")
    ))
}

/// What a person mistypes, they may type again.
fn until_right<T>(ask: impl Fn() -> anyhow::Result<Result<T, String>>) -> anyhow::Result<T> {
    loop {
        match ask()? {
            Ok(answer) => return Ok(answer),
            Err(text) => super::complain(&text),
        }
    }
}

fn ask_place(protocol: Protocol) -> anyhow::Result<Result<Option<HostPort>, String>> {
    let (name, usual) = match protocol {
        Protocol::Imap => ("IMAP", "143 or 993"),
        Protocol::Pop3 => ("POP3", "110 or 995"),
        Protocol::Smtp => ("SMTP submission", "587 or 465"),
    };
    let question = format!("{name} of the mail server, HOST:PORT (port {usual}; `none` if it has none)");
    let answer = prompt::line(&question, Some("none"))?;
    Ok(if answer == "none" { Ok(None) } else { place(&answer).map(Some) })
}

fn place(text: &str) -> Result<HostPort, String> {
    text.parse::<HostPort>().map_err(|error| error.to_string())
}

fn domain(text: &str) -> Result<Domain, String> {
    let wrong = || {
        format!("`{text}` is no mail domain\nhint: write what stands behind the `@`, such as `example.org`")
    };
    Domain::parse(text).ok().filter(|domain| is_hostname(domain.as_str())).ok_or_else(wrong)
}

fn hostname(text: &str) -> Result<String, String> {
    if is_hostname(text) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(format!(
        "`{text}` is no host name\nhint: write the name that clients are set up with, such as `mail.example.org`"
    ))
}
