//! A throwaway legacy server: a real Dovecot and a real Postfix (`scripts/servers/mail`).

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::ports::Port;
use super::run::run;
use super::script::Script;

/// The services of a legacy server, as the script calls them; those that end in `s` speak TLS from the first byte.
pub(crate) const SERVICES: [&str; 6] = ["imap", "imaps", "pop3", "pop3s", "smtp", "smtps"];

/// Says a message as a reader sees it: some headers, decoded, and the plain text.
const READ: &str = "
import email, email.policy, sys
message = email.message_from_file(open(sys.argv[1]), policy=email.policy.default)
for name in ['From', 'To', 'Subject', 'Auto-Submitted']:
    print(f'{name}: {message[name]}')
print(message.get_body(('plain',)).get_content())
assert '<html' in message.get_body(('html',)).get_content()
assert not message.defects
";

/// What the legacy server should be like; the default is one as Debian ships it, with four users.
#[derive(Clone, Default)]
pub(crate) struct LegacyOptions {
    arguments: Vec<String>,
}

impl LegacyOptions {
    /// A mailbox. Naming one leaves the default four out.
    pub(crate) fn user(self, address: &str, password: &str) -> Self {
        self.with("--user").with(&format!("{address}:{password}"))
    }

    /// Somebody who may log in as anybody, as `address*name` or with an authorisation identity.
    pub(crate) fn master(self, name: &str, password: &str) -> Self {
        self.with("--master").with(&format!("{name}:{password}"))
    }

    /// Another name that logs in to the mailbox of that user.
    pub(crate) fn alias(self, alias: &str, address: &str) -> Self {
        self.with("--alias").with(&format!("{alias}={address}"))
    }

    /// Takes only the names that Dovecot takes by default, instead of any.
    pub(crate) fn default_names(self) -> Self {
        self.with("--default-names")
    }

    /// Wrong passwords are refused at once: no delay of 2 s, no growing penalty.
    pub(crate) fn fast_auth(self) -> Self {
        self.with("--fast-auth")
    }

    /// Clients from 127.0.0.1 may say whom they speak for: `XCLIENT`, `XFORWARD`, IMAP `ID`.
    pub(crate) fn trusting_the_gate(self) -> Self {
        self.with("--xclient")
    }

    /// Expects a PROXY header in front of everything from 127.0.0.1.
    pub(crate) fn expecting_a_proxy_header(self) -> Self {
        self.with("--proxy-header")
    }

    /// No login before TLS.
    pub(crate) fn requiring_tls(self) -> Self {
        self.with("--require-tls")
    }

    /// Any other argument of `scripts/servers/mail`.
    pub(crate) fn with(mut self, argument: &str) -> Self {
        self.arguments.push(argument.into());
        self
    }
}

/// Dovecot and Postfix, running until dropped; their mail, logs and configuration go with them.
pub(crate) struct LegacyServer {
    script: Option<Script>,
    options: LegacyOptions,
    directory: TempDir,
    host: String,
    /// Kept while it is stopped and starts, so that nobody else takes them.
    ports: [(&'static str, Port); SERVICES.len()],
    users: Vec<(String, String)>,
}

impl LegacyServer {
    /// Starts one; it answers on all six ports when this returns.
    pub(crate) fn start(options: LegacyOptions) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let ports = SERVICES.map(|service| (service, Port::choose()));
        let script = Self::run(&options, directory.path(), &ports);
        let users = script.facts["users"].as_array().expect("its users").iter();
        let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
        let users = users.map(|user| (text(&user["name"]), text(&user["password"]))).collect();
        let host = script.text("host").to_owned();
        Self { script: Some(script), options, directory, host, ports, users }
    }

    /// Stops the servers: from now on their ports refuse connections. Mailboxes stay.
    pub(crate) fn stop(&mut self) {
        self.script = None;
    }

    /// Starts them again on their old ports, with their old mailboxes and certificates.
    pub(crate) fn start_again(&mut self) {
        self.stop();
        self.script = Some(Self::run(&self.options, self.directory.path(), &self.ports));
    }

    fn run(options: &LegacyOptions, directory: &Path, ports: &[(&'static str, Port)]) -> Script {
        let mut arguments = vec!["--dir".to_owned(), directory.display().to_string()];
        arguments.extend(options.arguments.iter().cloned());
        for (service, port) in ports {
            arguments.extend(["--port".to_owned(), format!("{service}={}", port.number)]);
        }
        Script::start("mail", &arguments)
    }

    /// The address that it listens on.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The port of one of [`SERVICES`].
    pub(crate) fn port(&self, service: &str) -> u16 {
        let found = self.ports.iter().find(|(name, _)| *name == service);
        found.unwrap_or_else(|| panic!("no service `{service}`")).1.number
    }

    /// The name in its certificate.
    pub(crate) fn name(&self) -> &'static str {
        "mail.legacy.test"
    }

    /// The authority that signed its certificate.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.directory.path().join("tls/ca.pem")
    }

    /// The address and mailbox password of user number `index`.
    pub(crate) fn user(&self, index: usize) -> (&str, &str) {
        let (name, password) = &self.users[index];
        (name, password)
    }

    /// Gives user number `index` another mailbox password, as its owner would behind the gate's back.
    pub(crate) fn change_password(&mut self, index: usize, password: &str) {
        self.stop();
        password.clone_into(&mut self.users[index].1);
        let users = self.users.iter().map(|(name, password)| format!("{name}:{password}"));
        let mut arguments = users.flat_map(|user| ["--user".to_owned(), user]).collect::<Vec<_>>();
        let mut others = std::mem::take(&mut self.options.arguments).into_iter();
        while let Some(argument) = others.next() {
            if argument == "--user" {
                others.next();
            } else {
                arguments.push(argument);
            }
        }
        self.options.arguments = arguments;
        self.start_again();
    }

    /// What the gate sent to the mailbox `address`, read, in no order.
    pub(crate) fn mails(&self, address: &str) -> Vec<String> {
        let local = address.split_once('@').expect("an address").0;
        let mut files = Vec::new();
        find_mails(self.directory(), &mut files);
        let of_mailbox = |file: &&PathBuf| {
            file.components().any(|part| part.as_os_str() == local || part.as_os_str() == address)
        };
        let read = |file: &PathBuf| run("python3", &["-c", READ, &file.display().to_string()], "").success();
        files.iter().filter(of_mailbox).map(read).collect()
    }

    /// Where its files are.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Gives it another key and certificate, by an authority of the same name that nobody knows.
    pub(crate) fn renew_certificate(&mut self) {
        self.stop();
        self.as_root("rm -rf tls");
        self.start_again();
    }

    /// Puts a copy of all mailboxes aside. Log in once before, so that they have their UIDVALIDITY.
    pub(crate) fn save_mailboxes(&mut self) {
        self.at_rest("rm -rf mail.saved && cp -a mail mail.saved");
    }

    /// Puts the mailboxes back as they were saved, message by message and number by number.
    pub(crate) fn restore_mailboxes(&mut self) {
        self.at_rest("rm -rf mail && cp -a mail.saved mail");
    }

    /// Runs a command in the servers' directory when all that was sent is delivered and nobody writes any more.
    fn at_rest(&mut self, command: &str) {
        const UNDELIVERED: &str =
            "find postfix/queue/incoming postfix/queue/active postfix/queue/deferred -type f";
        self.as_root(&format!(
            "for i in $(seq 500); do [ -n \"$({UNDELIVERED})\" ] || exit 0; sleep 0.02; done; exit 1"
        ));
        self.stop();
        self.as_root(command);
        self.start_again();
    }

    /// Mailboxes and queue belong to other users.
    fn as_root(&self, command: &str) {
        let script = format!("cd '{}' && {command}", self.directory.path().display());
        let root = fs::metadata("/proc/self").is_ok_and(|ourselves| ourselves.uid() == 0);
        let outcome =
            if root { run("sh", &["-c", &script], "") } else { run("sudo", &["sh", "-c", &script], "") };
        outcome.success();
    }

    /// What Dovecot logged so far.
    pub(crate) fn dovecot_log(&self) -> String {
        self.log("dovecot.log")
    }

    /// What Postfix logged so far. Its `disconnect` lines count each session's commands: who
    /// spoke XCLIENT has an `xclient=` there, and the address that it named.
    pub(crate) fn postfix_log(&self) -> String {
        self.log("postfix.log")
    }

    fn log(&self, name: &str) -> String {
        let bytes = fs::read(self.directory.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn find_mails(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            find_mails(&path, files);
        } else if path
            .parent()
            .is_some_and(|folder| folder.ends_with("Maildir/new") || folder.ends_with("Maildir/cur"))
        {
            files.push(path);
        }
    }
}
