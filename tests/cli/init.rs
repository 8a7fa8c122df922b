//! What `init` leaves behind.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::site::{imap_server, run, self_signed};

/// An IMAP server with STARTTLS that tells its port and ends with its standard input.
const STARTTLS: &str = r#"
import socket, ssl, sys, threading
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
def serve(client):
    client.sendall(b"* OK [CAPABILITY IMAP4rev1 STARTTLS] old mail server\r\n")
    tls = False
    while True:
        tag, command = client.recv(4096).split(maxsplit=1)
        if command.upper().startswith(b"CAPABILITY"):
            client.sendall(b"* CAPABILITY IMAP4rev1" + (b"" if tls else b" STARTTLS") + b"\r\n")
        client.sendall(tag + b" OK\r\n")
        if command.upper().startswith(b"STARTTLS"):
            client, tls = context.wrap_socket(client, server_side=True), True
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
def accept():
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
threading.Thread(target=accept, daemon=True).start()
sys.stdin.read()
"#;

/// What is known of a server whose certificate is not for the address that was given, be it trusted or not.
#[test]
fn a_trusted_certificate_for_another_name_is_known_by_that_name_and_one_that_is_not_trusted_by_its_key() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (certificate, key) = self_signed("old.example.org");
    fs::write(file("cert.pem"), certificate).unwrap();
    fs::write(file("key.pem"), key).unwrap();
    let (other, _) = self_signed("other.example.org");
    fs::write(file("other.pem"), other).unwrap();
    let mut server: Child = Command::new("/usr/bin/python3")
        .args(["-c", STARTTLS, &file("cert.pem"), &file("key.pem")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut port = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let place = format!("127.0.0.1:{}", port.trim());
    let init = |roots: &str, name: &str| {
        let config = folder.path().join(name).join("mailward.toml");
        let made = Command::new(env!("CARGO_BIN_EXE_mailward"))
            .env("SSL_CERT_FILE", file(roots))
            .args([
                "-c",
                config.to_str().unwrap(),
                "init",
                "--yes",
                "--domain",
                "example.org",
                "--imap",
                &place,
            ])
            .output()
            .unwrap();
        let told = String::from_utf8(made.stderr).unwrap();
        assert!(made.status.success(), "{told}");
        (told, written(&config))
    };
    let (told, imap) = init("cert.pem", "trusted");
    assert!(told.contains("STARTTLS with a trusted certificate for `old.example.org`"), "{told}");
    assert!(imap.contains("server_name = \"old.example.org\"") && !imap.contains("pin_sha256"), "{imap}");
    let (told, imap) = init("other.pem", "not-trusted");
    assert!(
        told.contains("not trusted; its key is pinned: logins stop when it comes to another key"),
        "{told}"
    );
    assert!(!imap.contains("server_name") && imap.contains("pin_sha256 = \""), "{imap}");
    drop(server.stdin.take());
    server.wait().unwrap();
}

/// The line about IMAP.
fn written(config: &Path) -> String {
    let text = fs::read_to_string(config).unwrap();
    text.lines().find(|line| line.starts_with("imap = ")).unwrap().to_owned()
}

/// Nobody finds a way in that nobody has made.
#[test]
fn what_is_set_up_has_no_account_and_no_password() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("mailward.toml");
    let config = path.to_str().unwrap();
    let place = format!("127.0.0.1:{}", imap_server("s3cret-mailbox"));
    let made = run(&["-c", config, "init", "--yes", "--domain", "example.org", "--imap", &place], "");
    assert_eq!(made.code, 0, "{}", made.err);
    for said in [&made.out, &made.err] {
        assert!(!said.to_lowercase().contains("password:"), "{said}");
    }
    let text = fs::read_to_string(&path).unwrap();
    let settings = text.lines().filter_map(|line| line.split('#').next());
    let secret =
        settings.filter(|line| ["password", "secret", "user"].iter().any(|word| line.contains(word)));
    assert_eq!(secret.collect::<Vec<_>>(), [""; 0]);
    for list in [&["account", "list", "--json"][..], &["session", "list", "--json"]] {
        let listed = run(&[&["-c", config], list].concat(), "").succeeded();
        assert_eq!(listed.trim(), "[]", "{list:?}");
    }
    let trail = run(&["-c", config, "audit", "search", "--json"], "").succeeded();
    assert!(!trail.contains("account_added") && !trail.contains("app_password_created"), "{trail}");
}
