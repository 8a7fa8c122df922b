"""What the client scripts share: their arguments, their TLS, the message that they read back.

Each script is one real client that does what a person's mail program does, step by step, and ends with status 0 only
if every step had the result that its user would expect. With --expect-refusal the login itself must fail, and the
server's own words are printed, line by line.
"""

import argparse
import base64
import email.message
import email.policy
import imaplib
import random
import ssl
import sys
import time
import uuid
from pathlib import Path

DEADLINE = 40  # seconds that any single answer may take


def arguments(description, steps):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tls", choices=["implicit", "starttls", "none"], default="implicit")
    parser.add_argument("--ca", help="the authority, or the certificate itself, that the server's name is checked by")
    parser.add_argument("--user", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--authzid", help="log in as this account with the user's password (SASL PLAIN)")
    parser.add_argument("--mechanism", choices=["library", "plain", "login"], default="library",
                        help="library: as Python's library does when left alone")
    parser.add_argument("--expect-refusal", action="store_true", help="the login must fail; print what was said")
    parser.add_argument("--only", choices=steps, action="append", help="these steps only (default: all)")
    parser.add_argument("--save", metavar="DIR", help="where a step that fetches messages puts each")
    parser.add_argument("--letter", metavar="FILE", help="a message that a step that sends sends")
    parser.add_argument("--imap-port", type=int, help="implicit TLS; where a step puts or finds messages")
    options = parser.parse_args()
    options.steps = options.only or steps
    if not options.user.isascii() or not options.password.isascii() or options.authzid:
        # Python's own login() sends only ASCII, and knows no authorisation identity.
        options.mechanism = "plain" if options.mechanism == "library" else options.mechanism
    return options


def tls_context(options):
    return ssl.create_default_context(cafile=options.ca)


def plain(options):
    """The SASL PLAIN message (RFC 4616), before base64."""
    return "\0".join([options.authzid or "", options.user, options.password]).encode()


def b64(data):
    return base64.b64encode(data if isinstance(data, bytes) else data.encode()).decode()


def imap_beside(options):
    """An IMAP session of the same account, to see what the other protocol did."""
    session = imaplib.IMAP4_SSL(options.host, options.imap_port, ssl_context=tls_context(options), timeout=DEADLINE)
    session.authenticate("PLAIN", lambda _: plain(options))
    return session


def message(to, size=0):
    """A message with a subject of its own, awkward lines, and an attachment of `size` bytes, in CRLF form."""
    letter = email.message.EmailMessage(policy=email.policy.SMTP.clone(max_line_length=76))
    letter["From"] = to
    letter["To"] = to
    letter["Subject"] = f"A letter {uuid.uuid4()}"
    letter["Date"] = "Thu, 01 Jan 2026 00:00:00 +0000"
    letter["Message-ID"] = f"<{uuid.uuid4()}@client.test>"
    letter.set_content("A line.\n.\n..\n.A line that begins with a dot.\nFrom the beginning.\n\n\nThe end.\n")
    if size:
        noise = random.Random(str(letter["Message-ID"])).randbytes(size)
        letter.add_attachment(noise, maintype="application", subtype="octet-stream", filename="noise.bin")
    return letter["Message-ID"], letter.as_bytes()


def find(session, message_id, patience=DEADLINE):
    """The number of the message with that id in the open mailbox, waiting until it is there."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        _, found = session.search(None, "HEADER", "Message-ID", f'"{message_id}"')
        if found[0]:
            return found[0].split()[-1].decode()
        time.sleep(0.1)
    raise Failure(f"no message {message_id} after {patience} s")


def save(options, messages):
    """Each message in a file of its own."""
    for number, content in enumerate(messages, 1):
        Path(options.save, f"{number}").write_bytes(content)
    say(f"saved {len(messages)} messages")


def remove(session, number):
    """Takes a message out of the open mailbox."""
    session.store(number, "+FLAGS", r"(\Deleted)")
    check(session.expunge()[0] == "OK", "EXPUNGE")


class Failure(Exception):
    """A step that did not have its result."""


def check(condition, what):
    if not condition:
        raise Failure(what)


def say(text):
    print(text, flush=True)


def finish(main):
    """Calls `main()`; a failure is one line on standard error and status 1."""
    try:
        main()
    except (Failure, OSError, ssl.SSLError, imaplib.IMAP4.error) as error:
        print(f"failed: {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)
