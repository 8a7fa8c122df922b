//! The relay that takes mail to users: where it is, and one conversation with it (RFC 5321, 3207, 4954).
//!
//! What it says is logged as text of a stranger, and decides no more than whether to try again.

use std::path::PathBuf;
use std::time::Duration;

use lettre::address::Envelope;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::base::Password;
use crate::config::secret_file::{self, SecretFileError};
use crate::config::{EndpointTls, HostPort, Mail};

/// How long connecting, the handshake and logging in may take.
const CONNECT_MAX: Duration = Duration::from_secs(30);

/// How long the relay may take over one message. RFC 5321 section 4.5.3.2 would allow more, to servers that take mail from
/// everywhere; [`super::postman`] holds a message for longer than both together.
const SEND_MAX: Duration = Duration::from_secs(60);

/// Where mail goes out, and in whose name.
pub struct Relay {
    address: HostPort,
    tls: Option<(EndpointTls, TlsParameters)>,
    login: Option<(String, Password)>,
    hello: ClientId,
    /// The sender.
    pub(super) from: Mailbox,
}

/// Why the relay cannot be used or did not take a message.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// Its certificates cannot be read.
    #[error("cannot read the certificates in `{path}` for the relay")]
    Roots {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Its password cannot be read.
    #[error(transparent)]
    Password(#[from] SecretFileError),
    /// Its password is not UTF-8, which SASL wants (RFC 4616 section 2).
    #[error("the password for the relay is not UTF-8")]
    NotUtf8,
    /// TLS, the network, or what it said.
    #[error("the relay did not take it")]
    Smtp(#[from] lettre::transport::smtp::Error),
    /// It took too long.
    #[error("the relay did not answer in time")]
    TimedOut,
}

impl RelayError {
    /// Whether this very message will never be taken, said after the relay had taken the connection.
    pub(super) fn is_final(&self) -> bool {
        match self {
            // A client error is one of ours: the relay cannot carry this address (RFC 6531).
            // 530 and 538 (RFC 4954 section 6) are said to whoever has not logged in as the relay wants it.
            Self::Smtp(error) => {
                let wants_login = error.status().is_some_and(|code| matches!(u16::from(code), 530 | 538));
                !wants_login && (error.is_permanent() || error.is_client())
            }
            Self::Roots { .. } | Self::Password(_) | Self::NotUtf8 | Self::TimedOut => false,
        }
    }
}

impl Relay {
    /// What `mail` describes; the gate calls itself `hostname`.
    ///
    /// # Errors
    /// [`RelayError`], where a file cannot be used.
    pub fn open(mail: &Mail, hostname: &str) -> Result<Self, RelayError> {
        let tls = match mail.tls {
            EndpointTls::None => None,
            EndpointTls::Starttls | EndpointTls::Implicit => {
                let mut parameters = TlsParameters::builder(mail.name().to_owned());
                if let Some(path) = &mail.ca_file {
                    let pem = std::fs::read(path)
                        .map_err(|source| RelayError::Roots { path: path.clone(), source })?;
                    parameters = parameters.certificate_store(CertificateStore::None);
                    // All that the file holds.
                    parameters = parameters.add_root_certificate(Certificate::from_pem(&pem)?);
                }
                Some((mail.tls, parameters.build()?))
            }
        };
        let login = match &mail.login {
            None => None,
            Some(login) => Some((login.user.clone(), secret_file::read(&login.password_file)?)),
        };
        Ok(Self {
            address: mail.relay.clone(),
            tls,
            login,
            hello: ClientId::Domain(hostname.to_owned()),
            from: mail.from.clone(),
        })
    }

    /// Begins a conversation. Whatever fails here is no message's fault.
    pub(super) async fn connect(&self) -> Result<Conversation, RelayError> {
        timeout(CONNECT_MAX, self.try_connect()).await.unwrap_or(Err(RelayError::TimedOut))
    }

    /// Whether it answers, and takes logins if the gate would log in; then leaves, and has been told no secret.
    ///
    /// # Errors
    /// [`RelayError`], where it cannot be reached or is not who it should be.
    pub async fn look(&self) -> Result<Answers, RelayError> {
        let answers = async {
            let conversation = self.greet().await?;
            let takes_logins = conversation.takes_logins();
            conversation.end().await;
            Ok(if takes_logins || self.login.is_none() { Answers::Usable } else { Answers::WithoutLogin })
        };
        timeout(CONNECT_MAX, answers).await.unwrap_or(Err(RelayError::TimedOut))
    }

    async fn try_connect(&self) -> Result<Conversation, RelayError> {
        let mut conversation = self.greet().await?;
        if let Some((user, password)) = &self.login {
            let password = std::str::from_utf8(password.expose()).map_err(|_| RelayError::NotUtf8)?;
            let password = Zeroizing::new(password.to_owned());
            let credentials = Credentials::new(user.clone(), password.to_string());
            conversation.smtp.auth(DEFAULT_MECHANISMS, &credentials).await?;
        }
        Ok(conversation)
    }

    /// As far as the login.
    async fn greet(&self) -> Result<Conversation, RelayError> {
        let (implicit, later) = match &self.tls {
            None => (None, None),
            Some((EndpointTls::Implicit, parameters)) => (Some(parameters.clone()), None),
            Some((EndpointTls::Starttls | EndpointTls::None, parameters)) => (None, Some(parameters.clone())),
        };
        let place = (self.address.host.clone(), self.address.port);
        let mut smtp =
            AsyncSmtpConnection::connect_tokio1(place, Some(CONNECT_MAX), &self.hello, implicit, None)
                .await?;
        if let Some(parameters) = later {
            smtp.starttls(parameters, &self.hello).await?;
        }
        Ok(Conversation { smtp })
    }
}

/// What [`Relay::look`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// It answers, and offers what the gate needs.
    Usable,
    /// It offers no way to log in that the gate knows, though the gate has a name and a password for it.
    WithoutLogin,
}

/// A relay that listens.
pub(super) struct Conversation {
    smtp: AsyncSmtpConnection,
}

impl Conversation {
    /// Whether it offers a way to log in that the gate knows.
    fn takes_logins(&self) -> bool {
        self.smtp.server_info().get_auth_mechanism(DEFAULT_MECHANISMS).is_some()
    }

    /// Hands a message over; when this returns without error the relay answers for it.
    pub(super) async fn send(&mut self, message: &Message) -> Result<(), RelayError> {
        let envelope: &Envelope = message.envelope();
        let bytes = message.formatted();
        match timeout(SEND_MAX, self.smtp.send(envelope, &bytes)).await {
            Ok(said) => {
                said?;
                Ok(())
            }
            Err(_) => Err(RelayError::TimedOut),
        }
    }

    /// Says goodbye, without waiting long for an answer.
    pub(super) async fn end(mut self) {
        drop(timeout(Duration::from_secs(2), self.smtp.abort()).await);
    }
}
