"""Python's poplib as a POP3 client: log in, CAPA, STAT, LIST, UIDL, TOP, RETR, DELE and RSET.

With --save it fetches what is in the mailbox. With --imap-port a known message is put into the mailbox first, must
come back byte for byte, and is removed.
"""

import poplib

from common import DEADLINE, Failure, arguments, b64, check, finish, imap_beside, message, plain, save, say, tls_context

STEPS = ["login", "fetch", "read"]


def connect(options):
    if options.tls == "implicit":
        return poplib.POP3_SSL(options.host, options.port, context=tls_context(options), timeout=DEADLINE)
    session = poplib.POP3(options.host, options.port, timeout=DEADLINE)
    if options.tls == "starttls":
        session.stls(tls_context(options))
    return session


def log_in(session, options):
    if options.mechanism == "plain":
        session._shortcmd(f"AUTH PLAIN {b64(plain(options))}")
    elif options.mechanism == "login":
        session._shortcmd("AUTH LOGIN")
        session._shortcmd(b64(options.user))
        session._shortcmd(b64(options.password))
    else:
        session.user(options.user)
        session.pass_(options.password)


def main():
    options = arguments(__doc__, STEPS)
    owner = options.authzid or options.user.partition("*")[0]
    sent = None
    if "read" in options.steps and options.imap_port and not options.expect_refusal:
        with imap_beside(options) as beside:
            _, sent = message(owner, 300_000)
            beside.append("INBOX", None, None, sent)
    session = connect(options)
    if options.expect_refusal:
        return refusal(session, options)
    before = session.capa()
    log_in(session, options)
    check("UIDL" in before and "UIDL" in session.capa(), "CAPA names no UIDL")
    say(f"logged in; CAPA {' '.join(before)}")
    if "fetch" in options.steps and options.save:
        others = session.stat()[0] - (sent is not None)
        save(options, [b"\r\n".join(session.retr(number)[1]) + b"\r\n" for number in range(1, others + 1)])
    if "read" in options.steps:
        read(session, sent)
    session.quit()


def refusal(session, options):
    try:
        log_in(session, options)
    except poplib.error_proto as error:
        say(error.args[0].decode("utf-8", "replace"))
        return
    raise Failure("the login was accepted")


def read(session, sent):
    count, size = session.stat()
    check(len(session.list()[1]) == count, "LIST and STAT disagree")
    identifiers = {line.split()[1] for line in session.uidl()[1]}
    check(len(identifiers) == count, "UIDL identifiers are not unique")
    if sent is not None:
        check(b"\r\n".join(session.retr(count)[1]) + b"\r\n" == sent, "the message came back changed")
        top = session.top(count, 0)[1]
        check(top and sent.startswith(b"\r\n".join(top[:-1])), "TOP shows other headers")
        session.dele(count)
        session.rset()
        check(session.stat() == (count, size), "RSET brought nothing back")
        session.dele(count)
        say(f"retrieved {len(sent)} bytes, the same byte for byte")


def run():
    try:
        main()
    except poplib.error_proto as error:
        raise Failure(error.args[0]) from error


finish(run)
