//! A site to run commands on, and a mail server to put it in front of.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;
use tempfile::TempDir;

/// In front of a server that nobody asks, with a master user.
pub(crate) const MASTER: &str = r#"
[server]
hostname = "mail.example.org"
data_dir = "data"
[[tls.certificate]]
cert = "certs/fullchain.pem"
key = "certs/privkey.pem"
[[listener]]
protocol = "imap"
address = "[::]:993"
tls = "implicit"
[[upstream]]
name = "legacy"
domains = ["example.org"]
default_domain = "example.org"
domain_aliases = ["mail.example.org"]
imap = { address = ["127.0.0.1:9"], tls = "none" }
credential = "master"
[upstream.master]
user = "proxy"
password_file = "master.secret"
style = "separator:*"
[policy]
app_passwords_per_account = 2
"#;

/// A folder with a configuration in it; everything that commands make goes there.
pub(crate) struct Site {
    folder: TempDir,
}

/// How a command ended.
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Site {
    pub(crate) fn new(config: &str) -> Self {
        let site = Self { folder: TempDir::new().unwrap() };
        fs::write(site.file("mailward.toml"), config).unwrap();
        site
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_with_input(arguments, "")
    }

    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Outcome {
        let config = self.file("mailward.toml");
        let mut all = vec!["--config", config.to_str().unwrap()];
        all.extend(arguments);
        run(&all, input)
    }

    /// The JSON that a command printed, which must have gone well.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.run(arguments).succeeded()).unwrap()
    }
}

/// A certificate for `name` that vouches for itself, and its key; PEM.
pub(crate) fn self_signed(name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

pub(crate) fn run(arguments: &[&str], input: &str) -> Outcome {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mailward"))
        .args(arguments)
        .env_remove("MAILWARD_CONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // a command that reads nothing closes its end
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Outcome {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Outcome {
    #[track_caller]
    pub(crate) fn succeeded(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{}", self.out);
        self.out
    }

    /// Failed with that code and with a text on stderr that begins so; nothing went to stdout.
    #[track_caller]
    pub(crate) fn failed(self, code: i32, beginning: &str) -> String {
        assert!(self.code == code && self.err.starts_with(beginning), "{} {}", self.code, self.err);
        assert_eq!(self.out, "");
        self.err
    }
}

/// A server that speaks just enough IMAP without TLS, and knows one password. It ends with the test.
pub(crate) fn imap_server(password: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            std::thread::spawn(move || {
                let mut answers = client.try_clone().unwrap();
                let mut say = |text: String| answers.write_all(format!("{text}\r\n").as_bytes());
                let _ = say("* OK old mail server".to_owned());
                for line in BufReader::new(client).lines() {
                    let Ok(line) = line else { return };
                    let (tag, command) = line.split_once(' ').unwrap_or((&line, ""));
                    let upper = command.to_ascii_uppercase();
                    let said = if upper.starts_with("CAPABILITY") {
                        say("* CAPABILITY IMAP4rev1 IDLE".to_owned()).and_then(|()| say(format!("{tag} OK")))
                    } else if upper.starts_with("LOGIN") && command.contains(password) {
                        say(format!("{tag} OK logged in"))
                    } else if upper.starts_with("LOGIN") {
                        say(format!("{tag} NO [AUTHENTICATIONFAILED] no"))
                    } else if upper.starts_with("LOGOUT") {
                        let _ = say("* BYE".to_owned()).and_then(|()| say(format!("{tag} OK")));
                        return;
                    } else {
                        say(format!("{tag} BAD unknown"))
                    };
                    if said.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

/// The same site in front of that server, with sealed mailbox passwords.
pub(crate) fn sealed(port: u16) -> String {
    let (before, after) = MASTER.split_once("credential = ").unwrap();
    let (_, policy) = after.split_once("[policy]").unwrap();
    format!("{before}[policy]{policy}").replace("127.0.0.1:9", &format!("127.0.0.1:{port}"))
}

pub(crate) fn keys(record: &Value) -> Vec<&str> {
    record.as_object().unwrap().keys().map(String::as_str).collect()
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
