"""The mail of `scripts/demo`, as somebody reads it: mailboxes of the old server itself, decoded messages.

    postbox.py await IMAP-PORT NAME CA SUBJECT    until a message with that subject is in the mailbox
    postbox.py read IMAP-PORT NAME CA SUBJECT     the same, and prints it
    postbox.py watch IMAP-PORT NAME CA            prints every message that arrives from now on, until it is ended
    postbox.py show                               prints the message on standard input
    postbox.py subjects                           prints the subjects that curl tells of as it fetches headers

`address:password` of the mailbox comes on standard input, NAME is the one in the server's certificate.
"""

import email
import email.policy
import imaplib
import os
import re
import ssl
import sys
import time

PATIENCE = 20  # seconds for a message to arrive: the gate looks every five for what it has to send
BOLD, PLAIN = ("\x1b[1m", "\x1b[0m") if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else ("", "")


def main(command, *arguments):
    if command == "await":
        *server, subject = arguments
        await_subject(mailbox(*server), subject)
    elif command == "read":
        *server, subject = arguments
        imap = mailbox(*server)
        show_number(imap, await_subject(imap, subject))
    elif command == "watch":
        watch(mailbox(*arguments))
    elif command == "show":
        show(sys.stdin.buffer.read())
    elif command == "subjects":
        subjects(sys.stdin.buffer.read().decode())
    else:
        sys.exit(__doc__)


def mailbox(port, name, ca):
    """The inbox of whom standard input names, opened."""
    address, _, password = sys.stdin.readline().rstrip("\n").partition(":")
    imap = imaplib.IMAP4("127.0.0.1", int(port), timeout=PATIENCE)
    imap.host = name  # what the certificate must say
    imap.starttls(ssl.create_default_context(cafile=ca))
    imap.login(address, password)
    imap.select(readonly=True)
    return imap


def await_subject(imap, subject):
    """The number of the last message with that subject, once there is one."""
    deadline = time.monotonic() + PATIENCE
    while not (found := imap.search(None, "SUBJECT", f'"{subject}"')[1][0].split()):
        if time.monotonic() > deadline:
            sys.exit(1)
        time.sleep(0.05)
        imap.noop()
    return found[-1].decode()


def watch(imap):
    seen = number_of_messages(imap)
    while True:
        there = number_of_messages(imap)
        for number in range(seen + 1, there + 1):
            show_number(imap, str(number))
        seen = there
        time.sleep(0.5)


def number_of_messages(imap):
    imap.noop()
    return int(imap.untagged_responses["EXISTS"][-1])


def show_number(imap, number):
    fetched = imap.fetch(number, "(BODY.PEEK[])")[1]
    show(fetched[0][1])


def show(message):
    """Whom it is for, what about, and its text; never its HTML."""
    message = email.message_from_bytes(message, policy=email.policy.default)
    print(f"\n    {BOLD}✉ {harmless(message['To'])}: {harmless(message['Subject'])}{PLAIN}\n")
    body = message.get_body(("plain",))
    for line in body.get_content().splitlines() if body else []:
        line = harmless(line)
        # What somebody is waiting for must not be looked for.
        if re.fullmatch(r" +\S+: [0-9]{6}", line):
            line = BOLD + line + PLAIN
        print(f"      {line}".rstrip())
    sys.stdout.flush()


def subjects(told):
    headers = "\n".join(re.sub("^[<*] ", "", line) for line in told.replace("\r", "").splitlines())
    # What is folded goes on in the next line (RFC 5322, section 2.2.3).
    found = re.findall(r"(?m)^Subject: (.*(?:\n[ \t].*)*)", headers)
    for raw in dict.fromkeys(found):
        print(harmless(email.message_from_string(f"Subject: {raw}\n\n", policy=email.policy.default)["Subject"]))


def harmless(text):
    """Without what a terminal would obey."""
    return "".join(c if c.isprintable() else "�" for c in str(text))


main(*sys.argv[1:] or [""])
