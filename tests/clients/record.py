"""Plays one fixed dialogue after a login and prints exactly what the server answered, one command after the other.

    record.py imap|pop3|smtp --port … --tls … --ca … --user … --password …

Played twice on the same mailboxes (put back in between: it changes them), once at the mail server and once through the
gate, both must print the same. The IMAP one leaves a message behind, which the POP3 one reads.
What a server makes new each time is replaced, and nothing else: the seconds that Dovecot says each command took, and
the queue name that Postfix gives each message.
"""

import re
import socket
import sys

from common import DEADLINE, Failure, arguments, b64, check, finish, plain, tls_context

LETTER = (
    b"From: user0@example.test\r\nTo: user0@example.test\r\nSubject: recorded\r\n"
    b"Date: Thu, 01 Jan 2026 00:00:00 +0000\r\nMessage-ID: <recorded@client.test>\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
    b"caf\xc3\xa9\r\n..\r\n.dot\r\n" + b"long " * 150 + b"\r\nthe end\r\n"
)
STUFFED = re.sub(rb"(?m)^\.", b"..", LETTER)

VARIABLE = [
    (re.compile(rb"\(\d+\.\d+ \+ [^)]*secs\)"), b"(N secs)"),
    (re.compile(rb"queued as \S+"), b"queued as ID"),
]

# How an answer ends, as a pattern that its last line matches.
TAGGED = rb"(?m)^%s (OK|NO|BAD)[^\r\n]*\r\n\Z"
GOES_ON = rb"(?m)^\+[^\r\n]*\r\n\Z"
ONE_LINE = rb"^[^\r\n]*\r\n\Z"
DOT_LINE = rb"(^-ERR[^\r\n]*\r\n\Z)|(\r\n\.\r\n\Z)"
REPLY = rb"(?m)^\d{3}( [^\r\n]*)?\r\n\Z"


def imap_dialogue():
    """Commands with the pattern that ends the answer to each."""
    number = 0

    def command(text):
        nonlocal number
        number += 1
        tag = b"r%d" % number
        return tag + b" " + text + b"\r\n", TAGGED % tag

    def with_literal(text, literal):
        nonlocal number
        number += 1
        tag = b"r%d" % number
        yield tag + b" " + text + b" {%d}\r\n" % len(literal), GOES_ON
        yield literal + b"\r\n", TAGGED % tag

    yield command(b"CAPABILITY")
    yield command(b"NOOP")
    yield command(b'ID ("name" "record")')
    yield command(b'LIST "" "*"')
    yield command(b"CREATE recorded")
    yield command(b"CREATE recorded")
    for _ in range(2):  # one stays, for the POP3 dialogue to find
        yield from with_literal(b'APPEND INBOX (\\Seen) "01-Jan-2026 00:00:00 +0000"', LETTER)
    yield command(b"SELECT INBOX")
    yield command(b"FETCH * (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)")
    yield command(b"FETCH * BODY[]")
    yield from with_literal(b"SEARCH CHARSET UTF-8 TEXT", "café".encode())
    yield command(b"SEARCH HEADER Message-ID <recorded@client.test>")
    yield command(b"STORE * +FLAGS (\\Deleted \\Flagged)")
    number += 1
    tag = b"r%d" % number
    yield tag + b" IDLE\r\n", GOES_ON
    yield b"DONE\r\n", TAGGED % tag
    yield command(b"UID SEARCH DELETED")
    yield command(b"EXPUNGE")
    yield command(b"NONSENSE")
    yield command(b"FETCH 999999 FLAGS")
    yield command(b"STATUS INBOX (MESSAGES UIDNEXT UNSEEN)")
    # Two commands in one segment (of a kind that is answered in order), and one command in two.
    yield b"p1 FETCH 1 UID\r\np2 FETCH 1 FLAGS\r\n", TAGGED % b"p2"
    yield b"p3 NO", None
    yield b"OP\r\n", TAGGED % b"p3"
    yield command(b"DELETE recorded")
    yield command(b"LOGOUT")


def pop3_dialogue():
    for text in ("CAPA", "STAT", "LIST", "UIDL", "TOP 1 2", "RETR 1", "RETR 9999", "LIST 1", "UIDL 1"):
        several = text.split()[0] in ("CAPA", "TOP", "RETR") or text in ("LIST", "UIDL")
        yield text.encode() + b"\r\n", DOT_LINE if several else ONE_LINE
    for text in ("NOOP", "DELE 1", "DELE 1", "RETR 1", "RSET", "NONSENSE", "USER x", "NOOP", "QUIT"):
        yield text.encode() + b"\r\n", ONE_LINE


def smtp_dialogue(owner):
    owner = owner.encode()
    yield b"NOOP\r\n", REPLY
    yield b"EHLO client.test\r\n", REPLY
    yield b"RCPT TO:<" + owner + b">\r\n", REPLY
    yield b"MAIL FROM:<" + owner + b"> SIZE=99999999999\r\n", REPLY
    yield b"RSET\r\n", REPLY
    yield b"MAIL FROM:<" + owner + b"> BODY=8BITMIME\r\n", REPLY
    yield b"RCPT TO:<nobody.such@example.test>\r\n", REPLY
    yield b"RCPT TO:<" + owner + b">\r\n", REPLY
    yield b"DATA\r\n", rb"^354 [^\r\n]*\r\n\Z"
    yield STUFFED + b".\r\n", REPLY
    yield b"VRFY " + owner + b"\r\n", REPLY
    yield b"RSET\r\n", REPLY
    yield b"NONSENSE\r\n", REPLY
    yield b"MAIL FROM:<" + owner + b">\r\nRSET\r\nNOOP\r\n", rb"(?m)(^\d{3} [^\r\n]*\r\n){3}\Z"
    yield b"HELP\r\n", REPLY
    yield b"QUIT\r\n", REPLY


class Connection:
    def __init__(self, options):
        self.socket = socket.create_connection((options.host, options.port), timeout=DEADLINE)
        self.context = tls_context(options)
        self.host = options.host

    def secure(self):
        self.socket = self.context.wrap_socket(self.socket, server_hostname=self.host)

    def ask(self, request, ending):
        if request:
            self.socket.sendall(request)
        return self.read(ending) if ending else b""

    def read(self, ending):
        ending, answer = re.compile(ending), b""
        while not ending.search(answer):
            more = self.socket.recv(65536)
            if not more:
                raise Failure(f"the connection ended after {answer!r}")
            answer += more
        return answer

    def rest(self):
        answer = b""
        while more := self.socket.recv(65536):
            answer += more
        return answer


def log_in(connection, protocol, options):
    """Up to and including the reply to the login, which is not recorded: it may rightly differ."""
    starttls = options.tls == "starttls"
    if options.tls == "implicit":
        connection.secure()
    secret = b64(plain(options)).encode()
    if protocol == "imap":
        connection.ask(b"", ONE_LINE)
        if starttls:
            connection.ask(b"s STARTTLS\r\n", TAGGED % b"s")
            connection.secure()
        reply = connection.ask(b"l AUTHENTICATE PLAIN " + secret + b"\r\n", TAGGED % b"l")
        check(b"\r\nl OK" in b"\r\n" + reply, reply)
    elif protocol == "pop3":
        connection.ask(b"", ONE_LINE)
        if starttls:
            connection.ask(b"STLS\r\n", ONE_LINE)
            connection.secure()
        reply = connection.ask(b"AUTH PLAIN " + secret + b"\r\n", ONE_LINE)
        check(reply.startswith(b"+OK"), reply)
    else:
        connection.ask(b"", REPLY)
        connection.ask(b"EHLO client.test\r\n", REPLY)
        if starttls:
            connection.ask(b"STARTTLS\r\n", REPLY)
            connection.secure()
            connection.ask(b"EHLO client.test\r\n", REPLY)
        reply = connection.ask(b"AUTH PLAIN " + secret + b"\r\n", REPLY)
        check(reply.startswith(b"235"), reply)


def main():
    protocol = sys.argv.pop(1) if len(sys.argv) > 1 else ""
    check(protocol in ("imap", "pop3", "smtp"), "expected imap, pop3 or smtp")
    options = arguments(__doc__, ["login"])
    connection = Connection(options)
    log_in(connection, protocol, options)
    dialogues = {"imap": imap_dialogue, "pop3": pop3_dialogue}
    owner = options.authzid or options.user.partition("*")[0]
    dialogue = dialogues[protocol]() if protocol in dialogues else smtp_dialogue(owner)
    for request, ending in dialogue:
        answer = connection.ask(request, ending)
        for pattern, instead in VARIABLE:
            answer = pattern.sub(instead, answer)
        sys.stdout.buffer.write(b">>> " + request + b"<<< " + answer)
    sys.stdout.buffer.write(b"then " + (connection.rest() or b"the end") + b"\n")


finish(main)
