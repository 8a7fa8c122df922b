#!/usr/bin/python3
"""Runs a command confined as a systemd unit confines its own: confine.py UNIT COMMAND...

By the same means: a seccomp filter of the unit's `SystemCallFilter=` (whose groups `systemd-analyze` expands),
`RestrictAddressFamilies=`, `RestrictNamespaces=` and `MemoryDenyWriteExecute=`. What the filter does not let through, which
systemd would answer with an error, ends the command: so nothing of it goes unnoticed.
"""

import ctypes
import errno
import os
import socket
import subprocess
import sys

KILL, ALLOW, ERROR = 0x80000000, 0x7FFF0000, 0x00050000
EQUAL, MASKED_EQUAL = 4, 7
WRITE, EXECUTE, SHM_EXEC = 2, 4, 0o100000
NEW_NAMESPACES = 0x7E020080
FAMILIES = range(46)


class Comparison(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_uint), ("how", ctypes.c_int), ("first", ctypes.c_uint64),
                ("second", ctypes.c_uint64)]  # fmt: skip


class Filter:
    def __init__(self):
        self.library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
        self.library.seccomp_init.restype = ctypes.c_void_p
        self.context = ctypes.c_void_p(self.library.seccomp_init(ctypes.c_uint32(KILL)))

    def add(self, action, name, *comparisons):
        number = self.library.seccomp_syscall_resolve_name(name.encode())
        if number < 0:
            return  # not on this architecture
        array = (Comparison * len(comparisons))(*(Comparison(*one) for one in comparisons))
        done = self.library.seccomp_rule_add_array(self.context, ctypes.c_uint32(action), number, len(comparisons), array)
        if done:
            sys.exit(f"no rule for `{name}`: {os.strerror(-done)}")

    def load(self):
        done = self.library.seccomp_load(self.context)
        if done:
            sys.exit(f"the filter cannot be loaded: {os.strerror(-done)}")


def settings(unit, key):
    with open(unit, encoding="utf-8") as file:
        found = [line.strip().removeprefix(f"{key}=") for line in file if line.startswith(f"{key}=")]
    if not found:
        sys.exit(f"{unit} has no `{key}`")
    return found


def expanded(name):
    """The system calls of a group, or that one."""
    if not name.startswith("@"):
        return {name}
    said = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True)
    lines = [line.strip() for line in said.stdout.splitlines()[1:]]
    return set().union(*(expanded(line) for line in lines if line and not line.startswith("#")))


def allowed(unit):
    calls = expanded("@default")
    for line in settings(unit, "SystemCallFilter"):
        forbids = line.startswith("~")
        named = set().union(*(expanded(name) for name in line.removeprefix("~").split()))
        calls = calls - named if forbids else calls | named
    return calls


def confine(unit):
    # That is for whoever starts this program: it takes the right to mount.
    if settings(unit, "ProcSubset") != ["pid"] or os.path.exists("/proc/sys"):
        sys.exit(f"{unit} shows another /proc than there is")
    calls = allowed(unit)
    families = [getattr(socket, name) for name in settings(unit, "RestrictAddressFamilies")[0].split()]
    if settings(unit, "MemoryDenyWriteExecute") != ["yes"] or settings(unit, "RestrictNamespaces") != ["yes"]:
        sys.exit(f"{unit} confines otherwise than this program knows of")
    confinement = Filter()
    for name in calls - {"socket", "mmap", "mprotect", "pkey_mprotect", "shmat", "clone", "clone3", "unshare", "setns"}:
        confinement.add(ALLOW, name)
    for family in FAMILIES:
        action = ALLOW if family in families else ERROR | errno.EAFNOSUPPORT
        confinement.add(action, "socket", (0, EQUAL, family, 0))
    confinement.add(ALLOW, "mmap", (2, MASKED_EQUAL, EXECUTE, 0))
    confinement.add(ALLOW, "mmap", (2, MASKED_EQUAL, EXECUTE | WRITE, EXECUTE))
    confinement.add(ALLOW, "mprotect", (2, MASKED_EQUAL, EXECUTE, 0))
    confinement.add(ALLOW, "pkey_mprotect", (2, MASKED_EQUAL, EXECUTE, 0))
    confinement.add(ALLOW, "shmat", (2, MASKED_EQUAL, SHM_EXEC, 0))
    confinement.add(ALLOW, "clone", (0, MASKED_EQUAL, NEW_NAMESPACES, 0))
    # Its flags are out of sight; who hears this takes the other.
    confinement.add(ERROR | errno.ENOSYS, "clone3")
    confinement.load()


def main():
    unit, *command = sys.argv[1:]
    confine(unit)
    os.execvp(command[0], command)


main()
