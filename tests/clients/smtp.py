"""Python's smtplib as a submission client: log in, send a small message and one with a 5 MiB attachment.

With --letter that file is sent first. With --imap-port the other two are read back, byte for byte below what the server
puts on top, and removed.
"""

import smtplib
import time
from pathlib import Path

from common import (
    DEADLINE,
    Failure,
    arguments,
    b64,
    check,
    find,
    finish,
    imap_beside,
    message,
    plain,
    remove,
    say,
    tls_context,
)

STEPS = ["login", "letter", "send", "large"]
LARGE = 5 << 20


def connect(options):
    at = {"host": options.host, "port": options.port, "local_hostname": "client.test", "timeout": DEADLINE}
    if options.tls == "implicit":
        session = smtplib.SMTP_SSL(**at, context=tls_context(options))
    else:
        session = smtplib.SMTP(**at)
        if options.tls == "starttls":
            session.ehlo()
            session.starttls(context=tls_context(options))
    session.ehlo()
    return session


def log_in(session, options):
    """The final reply of the server, as (code, text)."""
    if options.mechanism == "plain":
        return session.docmd("AUTH", f"PLAIN {b64(plain(options))}")
    if options.mechanism == "login":
        session.docmd("AUTH", "LOGIN")
        session.docmd(b64(options.user))
        return session.docmd(b64(options.password))
    try:
        return session.login(options.user, options.password)
    except smtplib.SMTPAuthenticationError as error:
        return error.smtp_code, error.smtp_error


def main():
    options = arguments(__doc__, STEPS)
    session = connect(options)
    code, words = log_in(session, options)
    if options.expect_refusal:
        check(code >= 400, f"the login was accepted: {code} {words}")
        for line in words.decode("utf-8", "replace").splitlines():
            say(f"{code} {line}")
        return
    check(code == 235, f"{code} {words}")
    say(f"logged in; {' '.join(sorted(session.esmtp_features))}")
    owner = options.authzid or options.user.partition("*")[0]
    beside = imap_beside(options) if options.imap_port else None
    if "letter" in options.steps and options.letter:
        session.sendmail(owner, [owner], Path(options.letter).read_bytes())
    if "send" in options.steps:
        send(session, beside, owner, 0)
    if "large" in options.steps:
        send(session, beside, owner, LARGE)
    session.quit()


def send(session, beside, owner, size):
    message_id, letter = message(owner, size)
    begun = time.monotonic()
    session.sendmail(owner, [owner], letter)
    say(f"sent {len(letter)} bytes in {time.monotonic() - begun:.1f} s")
    if beside is None:
        return
    beside.select("INBOX")
    number = find(beside, message_id)
    received = beside.fetch(number, "(BODY.PEEK[])")[1][0][1]
    check(received.endswith(letter), "the message came back changed")
    trace = received[: -len(letter)]
    check(trace.startswith(b"Return-Path:") and b"\r\n\r\n" not in trace, f"not only trace headers on top: {trace}")
    remove(beside, number)
    say("read it back, the same byte for byte")


def run():
    try:
        main()
    except smtplib.SMTPException as error:
        raise Failure(error) from error


finish(run)
