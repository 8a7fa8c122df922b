"""Keeps server processes for exactly as long as they are wanted.

They end on SIGTERM, on SIGINT, when standard input reaches its end (a parent that died closes it), and, through a
watchdog process, when the supervisor itself is killed. (The kernel's parent-death signal would not do: it is lost when
a process changes its user, as Postfix does.) Only processes of sessions started here are ever signalled.
"""

import contextlib
import dataclasses
import json
import os
import pwd
import random
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

# Below the ephemeral range, so that no outgoing connection can take a port between its choice and its use.
PORTS = range(20000, 30000)

START_DEADLINE = 30.0  # seconds; a start takes about one, a machine under load several
STOP_PATIENCE = 8.0  # seconds between SIGTERM and SIGKILL, for a server that names no other


class ServerError(Exception):
    """What went wrong, in words for the person who started the server, with a hint where there is one."""


class Ports:
    """Free loopback ports, reserved among all users of this class for as long as the object lives.

    The reservation is an abstract Unix socket named after the port: it needs no file and vanishes with its holder.
    """

    def __init__(self, host):
        self.host = host
        self.reservations = []

    def choose(self):
        for port in random.sample(PORTS, 400):
            if self._reserve(port) and self._bindable(port):
                return port
        raise ServerError(f"no free port on {self.host} between {PORTS.start} and {PORTS.stop}")

    def _reserve(self, port):
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            lock.bind(f"\0mailward-test-port-{port}")
        except OSError:
            lock.close()
            return False
        self.reservations.append(lock)
        return True

    def _bindable(self, port):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.host, port))
            except OSError:
                return False
            return True


@dataclasses.dataclass
class Server:
    process: subprocess.Popen
    log: Path
    patience: float
    stop_signal: signal.Signals


class Watchdog:
    """A process that ends the sessions it was told of, should its parent die without saying that all is done."""

    DONE = b"done\n"

    def __init__(self):
        reader, self.writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setsid()  # what a terminal sends to its foreground group does not come here
                os.close(self.writer)
                for standard in range(3):
                    os.dup2(os.open(os.devnull, os.O_RDWR), standard)
                self._watch(reader)
            finally:
                os._exit(0)
        os.close(reader)

    def add(self, session):
        os.write(self.writer, b"%d\n" % session)

    def dismiss(self):
        os.write(self.writer, self.DONE)
        os.close(self.writer)
        os.waitpid(self.pid, 0)

    def _watch(self, reader):
        with os.fdopen(reader, "rb") as told:
            lines = told.readlines()
        if self.DONE in lines:
            return
        sessions = {int(line) for line in lines}
        end_processes(lambda: [(pid, 1.0) for pid, session in processes() if session in sessions], signal.SIGTERM)


class Supervisor:
    """Starts servers, waits until they answer, and ends them and all their children."""

    def __init__(self):
        self.servers = {}  # name -> Server
        self.watchdog = Watchdog()
        self.wake_reader, wake_writer = socket.socketpair()
        wake_writer.setblocking(False)
        self._wake_writer = wake_writer  # kept alive: the interpreter only knows its number
        signal.set_wakeup_fd(wake_writer.fileno(), warn_on_full_buffer=False)
        self.asked_to_stop = False
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop_soon)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def _stop_soon(self, *_):
        self.asked_to_stop = True

    def start(self, name, command, log, patience=STOP_PATIENCE, stop_signal=signal.SIGTERM, user=None):
        """Starts `command` as the leader of a session of its own; what it prints goes to the file `log`.

        At the end it gets `stop_signal`, and SIGKILL after `patience` seconds. `user` is whom it runs as.
        """
        become = [] if user is None else as_user(user)
        with open(log, "ab") as output:
            process = subprocess.Popen(
                [*become, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.watchdog.add(process.pid)
        self.servers[name] = Server(process, Path(log), patience, stop_signal)

    def wait_until(self, answers, what):
        """Calls `answers()` until it is true. Fails when a server ends meanwhile, or when it takes too long."""
        deadline = time.monotonic() + START_DEADLINE
        while not answers():
            self.check_alive()
            if self.asked_to_stop or self._parent_is_gone():
                raise SystemExit(1)
            if time.monotonic() > deadline:
                raise ServerError(f"{what} did not answer within {START_DEADLINE:.0f} s{self._last_words()}")
            time.sleep(0.02)

    def check_alive(self):
        for name, server in self.servers.items():
            if server.process.poll() is not None:
                status = server.process.returncode
                raise ServerError(f"{name} ended by itself (status {status}){last_lines(server.log)}")

    def announce(self, facts):
        """Prints the one line that tells the parent where everything is."""
        pids = [server.process.pid for server in self.servers.values()]
        print(json.dumps({**facts, "pids": pids}), flush=True)

    def wait_for_the_end(self):
        """Returns when somebody asks for the end; fails when a server ends by itself."""
        while not self.asked_to_stop:
            readable, _, _ = select.select([self.wake_reader, sys.stdin.fileno()], [], [])
            if self.wake_reader in readable:
                self.wake_reader.recv(4096)
                if not self.asked_to_stop:
                    self.check_alive()
            elif not os.read(sys.stdin.fileno(), 4096):
                return

    def stop(self):
        """Ends every server and all that it started; returns only when no process of theirs is left."""
        for server in self.servers.values():
            if server.process.poll() is None:
                server.process.send_signal(server.stop_signal)
        end_processes(self._living)
        self.watchdog.dismiss()

    def _living(self):
        """Every process of the servers' sessions, with the patience it has earned."""
        sessions = {}
        for server in self.servers.values():
            server.process.poll()  # reaps
            sessions[server.process.pid] = server.patience
        return [(pid, sessions[session]) for pid, session in processes() if session in sessions]

    def _last_words(self):
        return "".join(last_lines(server.log) for server in self.servers.values())

    def _parent_is_gone(self):
        readable, _, _ = select.select([sys.stdin.fileno()], [], [], 0)
        return bool(readable) and not os.read(sys.stdin.fileno(), 4096)


def as_user(name):
    """What to put before a command so that it runs as that user, in that user's groups."""
    return ["setpriv", f"--reuid={name}", f"--regid={pwd.getpwnam(name).pw_gid}", "--init-groups", "--"]


def end_processes(living, first=None):
    """Waits until `living()` is empty; what lives longer than the seconds beside it is killed."""
    begun = time.monotonic()
    for pid, _ in living() if first else []:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, first)
    while left := living():
        for pid, patience in left:
            if time.monotonic() > begun + patience:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def processes():
    """Every living process, as (pid, session)."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                # pid (name) state ppid pgrp session …; the name may hold blanks and brackets
                state, _, _, session = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()[:4]
                if state not in "ZX":
                    yield int(entry), int(session)


def last_lines(log, count=15):
    """The end of a log file, indented, to put behind an error message."""
    if not log.exists():
        return ""
    lines = log.read_text(errors="replace").splitlines()[-count:]
    return f"\n  the end of {log}:" + "".join(f"\n    {line}" for line in lines) if lines else ""


def still_listening(host, ports):
    """Those of `ports` that something still accepts connections on."""
    left = []
    for port in ports:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex((host, port)) == 0:
                left.append(port)
    return left


def run(main):
    """Calls `main()`, and turns what goes wrong into one clear message and status 1."""
    try:
        main()
    except ServerError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def private_directory(path, longest=70):
    """Makes the directory and lets the servers' own users walk through it. Returns its absolute path."""
    directory = Path(path).resolve()
    if len(str(directory)) > longest:
        raise ServerError(
            f"`{directory}` is too long a name: the paths of Unix sockets in it would not fit\n"
            f"hint: use a directory of at most {longest} bytes"
        )
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o711)
    for parent in directory.parents:
        if not parent.stat().st_mode & 0o001:
            raise ServerError(
                f"the servers' own users cannot walk through `{parent}`\n"
                f"hint: use a directory below /tmp, or `chmod o+x {parent}`"
            )
    return directory
