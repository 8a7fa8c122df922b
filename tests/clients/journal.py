"""Stands in for the journal: starts the gate, and prints what it was told as JSON.

journal.py MAILWARD CONFIG connected|inherited

To be run in a mount namespace of its own. `connected`: standard error of the gate is the stream that systemd names;
`inherited`: it is another one.
"""

import json
import os
import socket
import struct
import subprocess
import sys
import time

binary, config, how = sys.argv[1:]
subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
os.makedirs("/run/systemd/journal")
journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
journal.bind("/run/systemd/journal/socket")
journal.settimeout(0.2)

stream, other = socket.socketpair()
stated = os.fstat(stream.fileno())
environment = {**os.environ, "JOURNAL_STREAM": f"{stated.st_dev}:{stated.st_ino}"}
gate = subprocess.Popen(
    [binary, "--config", config, "serve"],
    stdin=subprocess.DEVNULL,
    stdout=subprocess.DEVNULL,
    stderr=stream if how == "connected" else subprocess.DEVNULL,
    env=environment,
)


def entry(datagram):
    """Fields are NAME=value lines; a value with a line end has its length before it."""
    fields = {}
    while datagram:
        line, _, rest = datagram.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (length,) = struct.unpack("<Q", rest[:8])
            value, rest = rest[8 : 8 + length], rest[9 + length :]
        fields[name.decode()] = value.decode()
        datagram = rest
    return fields


entries = []
end = time.monotonic() + (20 if how == "connected" else 3)
while time.monotonic() < end and gate.poll() is None:
    try:
        entries.append(entry(journal.recv(65536)))
    except socket.timeout:
        continue
    if entries[-1].get("MESSAGE") == "serving":
        break
gate.terminate()
gate.wait(20)
print(json.dumps(entries))
