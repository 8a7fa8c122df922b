//! The gate itself: the built binary, as a process, with a configuration of its own.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::config::{Door, GateConfig, PortalPlace};
use super::fake::eventually;
use super::run::{Outcome, run};
use super::script::wait_or_kill;

/// The program itself.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_mailward");

/// A start takes well under a second; a debug build on a busy machine may need several.
const START_DEADLINE: Duration = Duration::from_secs(20);

/// How long draining may take when a test ends with sessions open.
const END_DEADLINE: Duration = Duration::from_secs(20);

/// `mailward serve`, running until dropped; its data, log and configuration go with it.
pub(crate) struct Gate {
    child: Option<Child>,
    doors: Vec<Door>,
    portal: Option<PortalPlace>,
    directory: TempDir,
    /// What its environment has more than that of the tests.
    environment: Vec<(&'static str, String)>,
}

/// An app password as `app-password create --json` prints it.
pub(crate) struct AppPassword {
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) password: String,
}

impl Gate {
    /// Starts it; every listener answers when this returns.
    pub(crate) fn start(config: GateConfig) -> Self {
        let mut gate = Self::prepare(config);
        gate.start_again();
        gate
    }

    /// Starts another one with the same key file, as on a second machine; `config` names the same database.
    pub(crate) fn join(&self, config: GateConfig) -> Self {
        let mut gate = Self::prepare(config);
        let key = |gate: &Self| gate.directory().join("data/site.key");
        fs::copy(key(self), key(&gate)).expect("the key file");
        gate.start_again();
        gate
    }

    /// Writes its configuration and starts nothing yet: for commands that work without a running gate.
    pub(crate) fn prepare(mut config: GateConfig) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let portal = config.portal.take();
        let doors = config.write(directory.path());
        Self { child: None, doors, portal, directory, environment: Vec::new() }
    }

    /// Logs that much from its next start on.
    pub(crate) fn log_at(&mut self, level: &'static str) {
        self.set_environment("MAILWARD_LOG", level);
    }

    /// Has that variable in its environment from its next start on.
    pub(crate) fn set_environment(&mut self, name: &'static str, value: &str) {
        self.environment.push((name, value.to_owned()));
    }

    /// Logs in that format from its next start on.
    pub(crate) fn log_as(&mut self, format: &'static str) {
        self.set_environment("MAILWARD_LOG_FORMAT", format);
    }

    /// Starts it on the data that is there, as after a stop.
    pub(crate) fn start_again(&mut self) {
        self.start_as(Command::new(BINARY));
        self.wait_until_it_answers();
    }

    /// Starts it with sockets that listen already, as a service manager does that holds them. Nobody waits for it.
    pub(crate) fn start_with_sockets(&mut self, sockets: &[TcpListener]) {
        // Kept from closing when the shell becomes the gate; far from the numbers at which it looks for them.
        let kept = sockets.iter().map(|socket| {
            let kept = rustix::io::fcntl_dupfd_cloexec(socket, 100).expect("another descriptor");
            rustix::io::fcntl_setfd(&kept, rustix::io::FdFlags::empty()).expect("its flags");
            kept
        });
        let kept = kept.collect::<Vec<_>>();
        let moves = (3..).zip(&kept).map(|(to, from)| format!("exec {to}<&{0} {0}<&-;", from.as_raw_fd()));
        let moves = moves.collect::<String>();
        let count = sockets.len();
        let script = format!("{moves} export LISTEN_FDS={count} LISTEN_PID=$$; exec {BINARY} \"$@\"");
        let mut shell = Command::new("bash");
        shell.args(["-c", &script, "bash"]);
        self.start_as(shell);
    }

    /// Starts it as the last words of that command. Nobody waits for it.
    pub(crate) fn start_as(&mut self, mut command: Command) {
        self.stop();
        let log =
            File::options().create(true).append(true).open(self.log_file()).expect("the gate's log file");
        let errors = log.try_clone().expect("the gate's log file");
        let child = command
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .arg("--config")
            .arg(self.config_file())
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn();
        self.child = Some(child.expect("the gate's process"));
    }

    /// Waits until every listener answers.
    pub(crate) fn wait_until_it_answers(&mut self) {
        let begun = Instant::now();
        let mut silent = self.doors.iter().collect::<Vec<_>>();
        while !silent.is_empty() {
            silent.retain(|door| !door.answers());
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            let problem = match ended {
                Some(status) => format!("the gate ended by itself ({status})"),
                None if begun.elapsed() > START_DEADLINE => "the gate does not answer".to_owned(),
                None => {
                    std::thread::sleep(Duration::from_millis(5));
                    continue;
                }
            };
            panic!("{problem}; its log:\n{}", self.log());
        }
    }

    /// What its process holds in memory of its own, in KiB (proportional set size).
    pub(crate) fn memory_kib(&self) -> f64 {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid())).expect("its memory");
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).expect("its PSS");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("a running gate").id()
    }

    /// Asks it to end as an administrator would (SIGTERM) and waits. Returns its exit code, if it had one in time.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.signal("TERM");
        self.end()
    }

    /// Waits until it has ended, having been asked to. Returns its exit code, if it had one in time.
    pub(crate) fn end(&mut self) -> Option<i32> {
        self.child.take().and_then(|mut child| wait_or_kill(&mut child, END_DEADLINE))
    }

    /// Waits until it has ended by itself. Returns its exit code, if it had one in time.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        self.child.take().and_then(|mut child| wait_or_kill(&mut child, END_DEADLINE))
    }

    /// Whether its process is there.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Puts `to` in the place of `from` in its configuration file, as an editor does that writes another file and renames
    /// it.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let before = fs::read_to_string(self.config_file()).expect("its configuration");
        assert!(before.contains(from), "no `{from}` in:\n{before}");
        self.configure(&before.replace(from, to));
    }

    /// Writes another configuration file, in the same way.
    pub(crate) fn configure(&self, text: &str) {
        let next = self.directory.path().join("mailward.toml.next");
        fs::write(&next, text).expect("its next configuration");
        fs::rename(next, self.config_file()).expect("its configuration");
    }

    /// Reloads, and returns what it logged from then on, once it said what came of it.
    pub(crate) fn reload(&self) -> String {
        let before = self.log().len();
        self.signal("HUP");
        self.reloads_from(before)
    }

    /// What it logged behind `before` bytes, once it said what came of a reload.
    pub(crate) fn reloads_from(&self, before: usize) -> String {
        let mut log = String::new();
        eventually("it says what came of a reload", || {
            log = self.log()[before..].to_owned();
            log.contains("reloaded")
        });
        log
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.signal("KILL");
        if let Some(mut child) = self.child.take() {
            child.wait().expect("its end");
        }
    }

    /// Sends it a signal by name: `HUP` to reload.
    pub(crate) fn signal(&self, name: &str) {
        if let Some(child) = &self.child {
            run("kill", &[&format!("-{name}"), &child.id().to_string()], "").success();
        }
    }

    /// The port of the first listener of that kind.
    pub(crate) fn port(&self, protocol: &str, implicit_tls: bool) -> u16 {
        let fits = |door: &&Door| door.protocol == protocol && door.implicit_tls == implicit_tls;
        self.doors.iter().find(fits).expect("a listener of that kind").port.number
    }

    /// The port of the first listener of that kind that leads to `upstream` alone.
    pub(crate) fn port_to(&self, upstream: &str, protocol: &str, implicit_tls: bool) -> u16 {
        let fits = |door: &&Door| {
            door.protocol == protocol && door.implicit_tls == implicit_tls && door.upstreams == [upstream]
        };
        self.doors.iter().find(fits).expect("a listener of that kind").port.number
    }

    /// The URL of its portal, where it has one.
    pub(crate) fn portal(&self) -> &str {
        &self.portal.as_ref().expect("a portal").url
    }

    /// The port there.
    pub(crate) fn portal_port(&self) -> u16 {
        let port = self.portal().rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        port.expect("a port in the portal's URL")
    }

    /// Runs one of the gate's commands with its configuration, giving it `input` on standard input.
    pub(crate) fn cli_with_input<A: AsRef<OsStr>>(&self, arguments: &[A], input: &str) -> Outcome {
        let config = self.config_file();
        let mut all = vec![OsStr::new("--config"), config.as_os_str()];
        all.extend(arguments.iter().map(AsRef::as_ref));
        run(BINARY, &all, input)
    }

    /// Runs one of the gate's commands with its configuration.
    pub(crate) fn cli<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Outcome {
        self.cli_with_input(arguments, "")
    }

    /// Makes an app password for `account`, proving the mailbox password; `more` are further arguments.
    pub(crate) fn app_password(&self, account: &str, mailbox_password: &str, more: &[&str]) -> AppPassword {
        let command =
            ["app-password", "create", account, "--name", "Test", "--mailbox-password-stdin", "--json"];
        let printed =
            self.cli_with_input(&[&command, more].concat(), &format!("{mailbox_password}\n")).json();
        let text = |key: &str| printed[key].as_str().map_or_else(|| printed[key].to_string(), str::to_owned);
        AppPassword { id: text("id"), label: text("label"), password: text("password") }
    }

    /// Binds a TOTP factor to `account`: from now on its mailbox password opens nothing. Returns the factor's secret.
    pub(crate) fn bind_totp(&self, account: &str) -> String {
        let printed = self.cli(&["factor", "totp", account, "--json"]).json();
        printed["secret"].as_str().expect("the factor's secret").to_owned()
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    /// Where its configuration (`mailward.toml`), log (`mailward.log`) and data (`data/`) are.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The authority that signed the certificate that it presents.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// Its configuration.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.directory.path().join("mailward.toml")
    }

    fn log_file(&self) -> PathBuf {
        self.directory.path().join("mailward.log")
    }
}

impl Drop for Gate {
    #[expect(clippy::print_stderr, reason = "a failed test shows what the gate had to say")]
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Not `signal`: a panic while a test fails already would hide its reason.
            let _ = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status();
            wait_or_kill(child, END_DEADLINE);
        }
        if std::thread::panicking() {
            eprintln!("---- the gate's log\n{}----", self.log());
        }
    }
}

impl Door {
    /// Whether somebody is behind it: a greeting where it speaks first in clear, a connection where TLS comes first.
    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port.number)) else {
            return false;
        };
        if self.implicit_tls {
            return true;
        }
        let mut first = [0; 1];
        stream.set_read_timeout(Some(START_DEADLINE)).is_ok() && stream.read_exact(&mut first).is_ok()
    }
}
