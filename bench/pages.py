"""pages.py: how long the portal takes for each page that somebody sees who is signed in; one line of JSON a page.

It signs in to the portal of `bench/peers/pages` as a browser would, and makes an account like a real one: an authenticator,
a passkey, a backup mailbox, twenty app passwords, four browsers, mail clients that are in, and some thousand logins in the
trail. Then it loads every page again and again, one load after the other on one connection that is kept. What is told is
the time from the request to the last byte of the answer, as a client on this machine sees it: more than the server's own.

Not measured, because they wait for argon2 or for the server behind the gate: the forms by which somebody signs in or makes
an app password. Nor are other forms: what they lead to is a page that is, but for recovery codes, which are shown once, in
the answer to the form.
"""

import argparse
import base64
import concurrent.futures
import email
import email.policy
import hashlib
import hmac
import html
import http.client
import imaplib
import json
import queue
import re
import socket
import socketserver
import ssl
import statistics
import struct
import threading
import time
import urllib.parse

APP_PASSWORDS = 20
IN_USE = 3  # of them
AGENTS = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
]
# So often may one session ask, once it has asked a few hundred times (`src/portal/pace.rs`).
PACE = 0.25
# The index of the trail is written every ten seconds, and notices are sent every five: neither is to be measured.
SETTLED_AFTER = 12


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--portal", required=True, metavar="URL", help="its `public_url`; it is asked at 127.0.0.1")
    parser.add_argument("--imap", required=True, type=int, metavar="PORT", help="the gate's, with TLS from the first byte")
    parser.add_argument("--relay", required=True, type=int, metavar="PORT", help="where to listen for the gate's mail")
    parser.add_argument("--certificate", required=True, metavar="FILE")
    parser.add_argument("--user", required=True, metavar="ADDRESS:PASSWORD")
    parser.add_argument("--logins", type=int, default=3000, help="how many are in the trail (default: 3000)")
    parser.add_argument("--loads", type=int, default=40, help="of each page (default: 40)")
    site = Site(parser.parse_args())

    browser = Browser(site, AGENTS[0])
    browser.sign_in(site.user)
    app_passwords = [make_app_password(browser, number) for number in range(1, APP_PASSWORDS + 1)]
    # What a phone opens that is to be set up: the link beside the last one, which is good for five minutes.
    site.measure(Browser(site, AGENTS[3]), first(r'href="[^"]*(/apple/profile/[A-Za-z0-9_-]{43})"', browser.seen), shows="<form")
    sessions = log_in_with(site, app_passwords[:IN_USE])
    # Who has bound nothing yet: it is looked for which clients need app passwords.
    time.sleep(SETTLED_AFTER)
    site.measure(browser, "/second-factors/first")

    codes = bind_totp(browser)
    bind_passkey(browser, site.portal)
    bind_mailbox(browser, site.mails)
    others = [Browser(site, agent) for agent in AGENTS]
    for number, other in enumerate(others):
        other.sign_in(site.user)
        if number == 0:
            ways_to_answer(site, other, "/second-factor")
        other.post("/second-factor", use="recovery", code=codes.pop())
        if number == 0:
            site.measure(other, "/trust")
        other.post("/trust", trust="yes")
        other.expect("/")
    time.sleep(SETTLED_AFTER)
    site.measure(Browser(site, AGENTS[0]), "/sign-in")
    site.measure(Browser(site, AGENTS[0]), "/sign-in/passkey", shows="data-passkey")
    # A trusted browser is let in without a code, and asked for one before it changes anything.
    others[0].sign_in(site.user)
    ways_to_answer(site, others[0], "/verify")
    pages(site, browser)
    for session in sessions:
        session.logout()


def ways_to_answer(site, browser, page):
    for way in ["totp", "passkey", "mailbox", "recovery"]:
        site.measure(browser, f"{page}?use={way}", shows=f'name="use" value="{way}"')


def pages(site, browser):
    """Every page of somebody who is in and has just verified."""
    factor = first(r"/second-factors/([0-9a-f-]{36})/", browser.get("/second-factors"))
    app_password = first(r"/app-passwords/([0-9a-f-]{36})", browser.get("/app-passwords"))
    site.measure(browser, "/", shows=f"Client {APP_PASSWORDS}")
    for path in ["", "/new", "/totp", "/passkey", "/mailbox"]:
        site.measure(browser, f"/second-factors{path}")
    for path in ["rename", "change", "unbind"]:
        site.measure(browser, f"/second-factors/{factor}/{path}")
    site.measure(browser, "/app-passwords", shows=f"Client {APP_PASSWORDS}")
    for path in ["new", app_password, f"{app_password}/try", "delete-all"]:
        site.measure(browser, f"/app-passwords/{path}")
    site.measure(browser, "/lock")
    site.measure(browser, "/guides")
    for guide in dict.fromkeys(re.findall(r'href="(/guides/[a-z-]+)"', browser.get("/guides"))):
        site.measure(browser, guide)


def first(pattern, text):
    found = re.search(pattern, text)
    if not found:
        raise SystemExit(f"there is no {pattern} in what the portal said:\n{text}")
    return html.unescape(found[1])


# ------------------------------------------------------------------------------------------------ an account like a real one


def make_app_password(browser, number):
    once = first(r'name="once" value="([^"]*)"', browser.get("/app-passwords/new"))
    made = browser.post("/app-passwords/new", name=f"Client {number}", once=once, protocol=["imap", "pop3", "smtp"])
    groups = re.findall(r"<span>([a-z0-9]{4})</span>", first(r'(?s)<p class="secret"[^>]*>(.*?)</p>', made))
    return "".join(groups)


def log_in_with(site, app_passwords):
    """So many mail clients came and went; the last of each app password stays."""
    address, _ = site.user

    def log_in(app_password):
        imap = imaplib.IMAP4_SSL("127.0.0.1", site.options.imap, ssl_context=site.tls)
        imap.login(address, app_password)
        return imap

    with concurrent.futures.ThreadPoolExecutor(4) as workers:
        turns = (app_passwords[number % len(app_passwords)] for number in range(site.options.logins))
        list(workers.map(lambda app_password: log_in(app_password).logout(), turns))
    return [log_in(app_password) for app_password in app_passwords]


def bind_totp(browser):
    """Returns the recovery codes."""
    key = first(r'data-copy="([A-Z2-7]+)"', browser.get("/second-factors/totp"))
    digest = hmac.digest(base64.b32decode(key + "=" * (-len(key) % 8)), struct.pack(">Q", int(time.time()) // 30), "sha1")
    (number,) = struct.unpack_from(">I", digest, digest[-1] & 15)  # RFC 4226, section 5.3
    said = browser.post("/second-factors/totp", code=f"{number % 2**31 % 10**6:06}")
    return re.findall(r"<li>([a-z2-9 ]+)</li>", said)


def bind_passkey(browser, portal):
    """A passkey whose owner could never use it: that of a key which everybody knows, vouched for by nobody."""
    options = json.loads(first(r'data-options="([^"]*)"', browser.get("/second-factors/passkey")))
    x = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    y = "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
    name = b"a passkey that opens nothing"
    # Web Authentication, section 6.1: present, verified, with a key; a COSE key (RFC 9053, section 7.1.1).
    data = hashlib.sha256(options["rp"]["id"].encode()).digest() + b"\x45" + bytes(4 + 16) + struct.pack(">H", len(name)) + name
    data += bytes.fromhex(f"a5010203262001215820{x}225820{y}")
    attestation = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58" + bytes([len(data)]) + data
    client = {"type": "webauthn.create", "challenge": options["challenge"], "origin": portal, "crossOrigin": False}
    response = {"attestationObject": base64url(attestation), "clientDataJSON": base64url(json.dumps(client).encode())}
    answer = {"id": base64url(name), "rawId": base64url(name), "type": "public-key", "response": response}
    browser.post("/second-factors/passkey", name="Laptop", answer=json.dumps(answer))
    browser.expect("/second-factors", "Laptop")


def base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def bind_mailbox(browser, mails):
    browser.get("/second-factors/mailbox")
    sent_to = "elsewhere@example.net"
    browser.post("/second-factors/mailbox", address=sent_to)
    while (message := mails.get(timeout=20))["To"] != sent_to:
        pass  # a notice
    code = first(r"Code: ([0-9]{6})", message.get_body(("plain",)).get_content())
    browser.post("/second-factors/mailbox", code=code)
    browser.expect("/second-factors", "@example.net")


# ------------------------------------------------------------------------------------------------------------ the site


class Site:
    def __init__(self, options):
        self.options = options
        self.portal = options.portal
        self.user = options.user.split(":", 1)
        self.tls = ssl.create_default_context(cafile=options.certificate)
        self.mails = queue.SimpleQueue()
        relay = Relay(("127.0.0.1", options.relay), Mail)
        relay.mails = self.mails
        threading.Thread(target=relay.serve_forever, daemon=True).start()

    def measure(self, browser, path, shows="<h1"):
        times = []
        connection = self.connect()
        while len(times) < self.options.loads:
            began = time.perf_counter()
            try:
                status, text = browser.ask(connection, "GET", path)
            except (http.client.HTTPException, OSError) as error:
                raise SystemExit(f"{path}: after {len(times)} loads, {error!r}: a connection is kept for a minute") from None
            took = 1e3 * (time.perf_counter() - began)
            if status == 429:
                time.sleep(PACE)  # more than a person asks for
                continue
            times.append(took)
            if status != 200 or shows not in text:
                raise SystemExit(f"{path} was answered with {status}:\n{text}")
        connection.close()
        p95 = statistics.quantiles(times, n=20, method="inclusive")[-1]
        label = re.sub("[0-9a-f-]{36}|[A-Za-z0-9_-]{43}", "…", path)
        told = {"mode": "pages", "label": label, "loads": len(times), "bytes": len(text.encode())}
        print(json.dumps({**told, "p50_ms": statistics.median(times), "p95_ms": p95}), flush=True)

    def connect(self):
        """One that is not opened again behind our back: the portal must keep it."""
        url = urllib.parse.urlsplit(self.portal)
        connection = http.client.HTTPConnection(url.hostname, url.port)
        connection.auto_open = 0
        plain = socket.create_connection(("127.0.0.1", url.port), timeout=60)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sock = self.tls.wrap_socket(plain, server_hostname=url.hostname)
        return connection


class Browser:
    """Keeps cookies, follows where it is sent, and sends forms with the token of the page that it saw last."""

    def __init__(self, site, agent):
        self.site, self.agent, self.cookies = site, agent, {}
        self.at = self.seen = ""

    def sign_in(self, user):
        self.post("/sign-in", login=user[0], password=user[1])

    def get(self, path):
        return self.visit("GET", path)

    def post(self, path, **fields):
        token = re.search(r'name="form" value="([^"]*)"', self.seen)
        if token:
            fields["form"] = token[1]
        return self.visit("POST", path, urllib.parse.urlencode(fields, doseq=True))

    def visit(self, method, path, body=None):
        connection = self.site.connect()
        status, text = self.ask_patiently(connection, method, path, body)
        while status == 303:
            status, text = self.ask_patiently(connection, "GET", self.at)
        connection.close()
        if status != 200:
            raise SystemExit(f"{method} {path} was answered with {status}:\n{text}")
        self.seen = text
        return text

    def expect(self, place, shows=""):
        if self.at.split("?")[0] != place or shows not in self.seen:
            raise SystemExit(f"this should be {place} and is {self.at}:\n{self.seen}")

    def ask_patiently(self, connection, method, path, body=None):
        while (said := self.ask(connection, method, path, body))[0] == 429:
            time.sleep(PACE)
        return said

    def ask(self, connection, method, path, body=None):
        headers = {"User-Agent": self.agent, "Accept-Language": "en", "Sec-Fetch-Site": "same-origin"}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        for line in answer.headers.get_all("Set-Cookie", []):
            name, _, value = line.split(";")[0].partition("=")
            self.cookies[name] = value
            if "Max-Age=0" in line:
                del self.cookies[name]
        self.at = answer.headers.get("Location", path)
        return answer.status, text


class Relay(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


class Mail(socketserver.StreamRequestHandler):
    """Takes every mail (RFC 5321)."""

    def handle(self):
        self.wfile.write(b"220 here\r\n")
        for line in self.rfile:
            if line.upper().startswith(b"QUIT"):
                return
            if line.upper().startswith(b"DATA"):
                self.wfile.write(b"354 go on\r\n")
                message = b"".join(iter(self.rfile.readline, b".\r\n"))
                self.server.mails.put(email.message_from_bytes(message, policy=email.policy.default))
            self.wfile.write(b"250 yes\r\n")


main()
