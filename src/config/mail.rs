//! `[mail]`: through whom mail goes out to users, and in whose name.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use lettre::message::Mailbox;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::document::Raw;
use super::endpoint::{self, EndpointTls, HostPort};
use super::paths;

/// The relay that takes mail to users.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Where it is.
    pub relay: HostPort,
    /// How the way there is protected.
    pub tls: EndpointTls,
    /// The name that its certificate must carry; its own host where the file says nothing.
    pub server_name: Option<String>,
    /// PEM roots to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// As whom to log in; nobody, where the relay knows the gate by its address.
    pub login: Option<MailLogin>,
    /// In whose name.
    pub from: Mailbox,
}

/// Name and password for the relay.
#[derive(Clone, Debug)]
pub struct MailLogin {
    /// Name.
    pub user: String,
    /// The file that holds the password (first line).
    pub password_file: PathBuf,
}

impl Mail {
    /// The name that the relay's certificate must carry.
    #[must_use]
    pub fn name(&self) -> &str {
        self.server_name.as_deref().unwrap_or(&self.relay.host)
    }
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMail {
    relay: HostPort,
    #[serde(default = "starttls")]
    tls: EndpointTls,
    #[serde(default, deserialize_with = "endpoint::server_name", skip_serializing_if = "Option::is_none")]
    server_name: Option<String>,
    #[serde(default, deserialize_with = "paths::optional_path", skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
    #[serde(default, deserialize_with = "user", skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(default, deserialize_with = "paths::optional_path", skip_serializing_if = "Option::is_none")]
    password_file: Option<PathBuf>,
    #[serde(deserialize_with = "mailbox", serialize_with = "as_text")]
    #[schemars(with = "String")]
    from: Mailbox,
}

fn starttls() -> EndpointTls {
    EndpointTls::Starttls
}

impl Raw for RawMail {}

impl RawMail {
    /// What does not fit together, if anything.
    pub(super) fn check(self, base: &Path) -> Result<Mail, String> {
        if self.tls == EndpointTls::None {
            let verified = [("server_name", self.server_name.is_some()), ("ca_file", self.ca_file.is_some())];
            if let Some((key, _)) = verified.iter().find(|(_, given)| *given) {
                return Err(format!(
                    "`{key}` has nothing to verify with `tls = \"none\"`\nhint: set `tls` to `\"starttls\"` or `\"implicit\"`, or remove `{key}`"
                ));
            }
            if self.user.is_some() && !is_loopback(&self.relay.host) {
                return Err(
                    "`user` with `tls = \"none\"` would send the password to the relay where others can read it\nhint: set `tls` to `\"starttls\"` or `\"implicit\"`"
                        .to_owned(),
                );
            }
        }
        let login = match (self.user, self.password_file) {
            (Some(user), Some(file)) => Some(MailLogin { user, password_file: paths::resolve(base, &file) }),
            (None, None) => None,
            (Some(_), None) => return Err("`user` has no password\nhint: add `password_file`".to_owned()),
            (None, Some(_)) => return Err("`password_file` is nobody's\nhint: add `user`".to_owned()),
        };
        Ok(Mail {
            relay: self.relay,
            tls: self.tls,
            server_name: self.server_name,
            ca_file: self.ca_file.map(|path| base.join(path)),
            login,
            from: self.from,
        })
    }
}

impl From<&Mail> for RawMail {
    fn from(mail: &Mail) -> Self {
        Self {
            relay: mail.relay.clone(),
            tls: mail.tls,
            server_name: mail.server_name.clone(),
            ca_file: mail.ca_file.clone(),
            user: mail.login.as_ref().map(|login| login.user.clone()),
            password_file: mail.login.as_ref().map(|login| login.password_file.clone()),
            from: mail.from.clone(),
        }
    }
}

impl<'de> Deserialize<'de> for HostPort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for HostPort {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn user<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(serde::de::Error::custom("is no user name\nhint: write the name that the relay knows"));
    }
    Ok(Some(text))
}

fn mailbox<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Mailbox, D::Error> {
    let text = String::deserialize(deserializer)?;
    let mailbox = text.parse().ok().filter(|_| !text.chars().any(char::is_control));
    mailbox.ok_or_else(|| {
        serde::de::Error::custom(format!(
            "`{text}` is no sender\nhint: write `postmaster@example.org` or `Mail of Example <postmaster@example.org>`"
        ))
    })
}

fn as_text<S: Serializer>(mailbox: &Mailbox, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(mailbox)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &str) -> Result<Mail, String> {
        let text = format!("relay = 'smtp.example.org:587'\nfrom = '邮箱 <postmaster@example.org>'\n{more}");
        let raw: RawMail = toml::from_str(&text).map_err(|error| error.message().to_owned())?;
        raw.check(Path::new("/etc/mailward"))
    }

    #[test]
    fn a_relay_is_reached_over_starttls_unless_the_file_says_otherwise() {
        let mail = read("user = 'gate'\npassword_file = 'relay.secret'").unwrap();
        assert_eq!((mail.tls, mail.name()), (EndpointTls::Starttls, "smtp.example.org"));
        assert_eq!(mail.login.unwrap().password_file, Path::new("/etc/mailward/relay.secret"));
        assert_eq!(mail.from.to_string(), "邮箱 <postmaster@example.org>");
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        for (bad, why) in [
            ("user = 'gate'", "`user` has no password"),
            ("password_file = 'f'", "`password_file` is nobody's"),
            ("tls = 'none'\nca_file = 'f'", "`ca_file` has nothing to verify"),
            ("tls = 'none'\nuser = 'u'\npassword_file = 'f'", "would send the password"),
            ("user = ''", "is no user name"),
        ] {
            assert!(read(bad).unwrap_err().contains(why), "{bad}");
        }
        assert!(mailbox_of("nobody").is_err() && mailbox_of("a\\r\\nBcc: b@example.org <a@b.c>").is_err());
    }

    fn mailbox_of(from: &str) -> Result<RawMail, toml::de::Error> {
        toml::from_str(&format!("relay = 'localhost:25'\nfrom = \"{from}\""))
    }
}
