"""Python's imaplib as an IMAP client: log in, list, append, fetch, idle until a new message is announced.

With --save it fetches what is in the inbox first. It leaves the inbox as it was.
"""

import imaplib
import time

from common import DEADLINE, Failure, arguments, check, find, finish, message, plain, remove, save, say, tls_context

STEPS = ["login", "fetch", "list", "append", "idle"]


class Recording:
    """Keeps every line that the server sends, for the server's own words."""

    def _get_line(self):
        line = super()._get_line()
        self.__dict__.setdefault("lines", []).append(line.decode("utf-8", "replace"))
        return line


class Imap(Recording, imaplib.IMAP4):
    pass


class ImapOverTls(Recording, imaplib.IMAP4_SSL):
    pass


def connect(options):
    if options.tls == "implicit":
        return ImapOverTls(options.host, options.port, ssl_context=tls_context(options), timeout=DEADLINE)
    session = Imap(options.host, options.port, timeout=DEADLINE)
    if options.tls == "starttls":
        if not options.expect_refusal:
            check("LOGINDISABLED" in session.capabilities or "AUTH=PLAIN" in session.capabilities, "no way to log in")
        session.starttls(tls_context(options))
    return session


def log_in(session, options):
    if options.mechanism == "plain":
        session.authenticate("PLAIN", lambda _: plain(options))
    elif options.mechanism == "login":
        answers = iter([options.user.encode(), options.password.encode()])
        session.authenticate("LOGIN", lambda _: next(answers))
    else:
        session.login(options.user, options.password)


def logged_in(options):
    session = connect(options)
    log_in(session, options)
    return session


def main():
    options = arguments(__doc__, STEPS)
    if options.expect_refusal:
        return refusal(options)
    session = logged_in(options)
    say(f"logged in; {' '.join(session.capability()[1][0].decode().split())}")
    owner = options.authzid or options.user.partition("*")[0]
    if "list" in options.steps:
        _, folders = session.list()
        check(any(b"INBOX" in folder for folder in folders), f"INBOX is not among {folders}")
        say(f"listed {len(folders)} folders")
    _, (count,) = session.select("INBOX")
    if "fetch" in options.steps and options.save:
        numbers = range(1, int(count) + 1)
        save(options, [session.fetch(str(number), "(BODY.PEEK[])")[1][0][1] for number in numbers])
    if "append" in options.steps:
        append_and_fetch(session, owner)
    if "idle" in options.steps:
        idle(session, options, owner)
    check(session.logout()[0] == "BYE", "no BYE at the end")


def refusal(options):
    session = connect(options)
    before = len(session.lines)
    try:
        log_in(session, options)
    except imaplib.IMAP4.error:
        tag = session.tagpre.decode()
        for line in session.lines[before:]:
            if not line.startswith("+"):
                say(line.partition(" ")[2] if line.startswith(tag) else line)
        return
    raise Failure("the login was accepted")


def append_and_fetch(session, owner):
    message_id, sent = message(owner, 300_000)
    done, words = session.append("INBOX", r"(\Seen)", None, sent)
    check(done == "OK", f"APPEND: {words}")
    number = find(session, message_id)
    _, fetched = session.fetch(number, "(FLAGS BODY.PEEK[])")
    check(fetched[0][1] == sent, "the message came back changed")
    _, headers = session.fetch(number, "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    check(b"A letter" in headers[0][1], f"the subject: {headers}")
    remove(session, number)
    say(f"appended and fetched {len(sent)} bytes, the same byte for byte")


def idle(session, options, owner):
    """IDLE (RFC 2177), which imaplib does not know yet; the new message comes from a second connection."""
    tag = session._new_tag()
    session.send(tag + b" IDLE\r\n")
    check(session._get_line().startswith(b"+"), "IDLE was not accepted")
    with logged_in(options) as other:
        message_id, letter = message(owner)
        begun = time.monotonic()
        other.append("INBOX", None, None, letter)
        while b"EXISTS" not in session._get_line():
            pass
        waited = time.monotonic() - begun
    check(waited < 10, f"the new message was announced after {waited:.1f} s only")
    session.send(b"DONE\r\n")
    while not session._get_line().startswith(tag):
        pass
    remove(session, find(session, message_id))
    say("a new message was announced while idle")


finish(main)
