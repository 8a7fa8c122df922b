//! A balancer in front of the gate: a real HAProxy or nginx that says in a PROXY header whom it passes on.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::fake::eventually;
use super::gate::Gate;
use super::guest::{Mail, PROTOCOLS};
use super::ports::Port;
use super::script::wait_or_kill;

/// Where it connects to the gate from. The tests' own clients come from elsewhere.
pub(crate) const BALANCER: &str = "127.0.0.77";

const HAPROXY: &[&str] = &["haproxy", "-db", "-f"];
const NGINX: &[&str] = &["nginx", "-e", "stderr", "-c"];

/// HAProxy or nginx, running until dropped.
pub(crate) struct Balancer {
    child: Child,
    ports: Vec<((Mail, bool), Port)>,
    directory: TempDir,
}

impl Balancer {
    /// HAProxy in front of all doors of the gate. `send` is `send-proxy`, `send-proxy-v2` or nothing; it looks ten times a
    /// second whether the gate is there.
    pub(crate) fn start(gate: &Gate, send: &str) -> Self {
        let mut config = "global\n    maxconn 200\ndefaults\n    mode tcp\n    timeout connect 5s\n    \
                          timeout client 1m\n    timeout server 1m\n    timeout check 2s\n"
            .to_owned();
        let mut ports = Vec::new();
        for mail in PROTOCOLS {
            for implicit_tls in [true, false] {
                let (port, target) = (Port::choose(), gate.port(mail.name(), implicit_tls));
                let _ = writeln!(
                    config,
                    "listen {name}-{implicit_tls}\n    bind 127.0.0.1:{number}\n    server gate 127.0.0.1:{target} source \
                     {BALANCER} {send} check inter 100ms",
                    name = mail.name(),
                    number = port.number,
                );
                ports.push(((mail, implicit_tls), port));
            }
        }
        Self::run(HAPROXY, TempDir::new().expect("a temporary directory"), &config, ports)
    }

    /// HAProxy with that section, which listens on `ports`, and nothing more than where it connects from.
    pub(crate) fn haproxy(section: &str, ports: Vec<((Mail, bool), Port)>) -> Self {
        let config = format!("defaults\n    source {BALANCER}\n{section}");
        Self::run(HAPROXY, TempDir::new().expect("a temporary directory"), &config, ports)
    }

    /// nginx with that `stream` block, in the same way.
    pub(crate) fn nginx(stream: &str, ports: Vec<((Mail, bool), Port)>) -> Self {
        let stream = stream.replacen("stream {", &format!("stream {{\nproxy_bind {BALANCER};"), 1);
        let directory = TempDir::new().expect("a temporary directory");
        // One process, so that nothing is left of it when it is killed.
        let config = format!(
            "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\ndaemon off;\nmaster_process off;\n\
             pid {}/pid;\nevents {{}}\n{stream}",
            directory.path().display()
        );
        Self::run(NGINX, directory, &config, ports)
    }

    /// Starts a program whose last argument is the file of its configuration.
    fn run(command: &[&str], directory: TempDir, config: &str, ports: Vec<((Mail, bool), Port)>) -> Self {
        let file = directory.path().join("balancer.conf");
        fs::write(&file, config).expect("its configuration");
        let log = fs::File::create(directory.path().join("balancer.log")).expect("its log");
        // It must not outlive a test that is killed.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .args(command)
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("its log"))
            .stderr(log)
            .spawn()
            .expect("a balancer");
        let balancer = Self { child, ports, directory };
        for (_, port) in &balancer.ports {
            let listens = || TcpStream::connect((Ipv4Addr::LOCALHOST, port.number)).is_ok();
            eventually(&format!("{} listens", command[0]), listens);
        }
        balancer
    }

    /// Its port for that kind of door.
    pub(crate) fn port(&self, mail: Mail, implicit_tls: bool) -> u16 {
        let found = self.ports.iter().find(|(door, _)| *door == (mail, implicit_tls));
        found.expect("a door of that kind").1.number
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("balancer.log")).unwrap_or_default()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status();
        wait_or_kill(&mut self.child, Duration::from_secs(5));
    }
}
