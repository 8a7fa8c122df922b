"""The command-line clients curl and swaks: the same doors, other programs' habits.

    tools.py curl-imap|curl-pop3|curl-smtp|swaks --port … --tls … --ca … --user … --password …

What the program printed is printed. With --expect-refusal it must fail to log in, and the server's words are printed.
Secrets reach the programs through a configuration on standard input or the environment, not their command lines.
"""

import subprocess
import sys
import tempfile

from common import Failure, arguments, check, finish, message, say

# What curl returns when a login is refused: CURLE_LOGIN_DENIED, and CURLE_RECV/WEIRD for some servers' words.
CURL_REFUSED = {67, 8}
SWAKS_REFUSED = {28}
TOOLS = ["curl-imap", "curl-pop3", "curl-smtp", "swaks"]


def main():
    tool = sys.argv.pop(1) if len(sys.argv) > 1 and sys.argv[1] in TOOLS else None
    check(tool, f"expected one of {', '.join(TOOLS)}")
    options = arguments(__doc__, ["login"])
    with tempfile.NamedTemporaryFile(suffix=".eml") as letter:
        letter.write(message(options.user)[1])
        letter.flush()
        done = swaks(options, letter.name) if tool == "swaks" else curl(tool, options, letter.name)
    refused = SWAKS_REFUSED if tool == "swaks" else CURL_REFUSED
    if options.expect_refusal:
        check(done.returncode in refused, f"status {done.returncode}:\n{done.stdout}{done.stderr}")
        for line in done.stdout.splitlines() + done.stderr.splitlines():
            if words := server_words(line, ("-ERR", "NO ", "BAD ", "* NO", "* BYE", "4", "5")):
                say(words)
        return
    check(done.returncode == 0, f"status {done.returncode}:\n{done.stdout}{done.stderr}")
    say(done.stdout)


def server_words(line, marks):
    """A refusal among the program's own remarks: curl shows `< A002 NO …`, swaks `<~* 535 …`."""
    head, _, words = line.partition(" ")
    if head not in ("<", "<**", "<~*", "<-", "<~"):
        return None
    tag, _, rest = words.partition(" ")
    for text in (words, rest if tag.isalnum() else ""):
        if text.lstrip().startswith(marks):
            return text.strip()
    return None


def curl(tool, options, letter):
    protocol = tool.partition("-")[2]
    scheme = protocol + ("s" if options.tls == "implicit" else "")
    config = [
        f'url = "{scheme}://{options.host}:{options.port}/"',
        f"user = {quoted(f'{options.user}:{options.password}')}",
        "silent",
        "show-error",
        "verbose",
        "max-time = 60",
    ]
    config += [f"cacert = {quoted(options.ca)}"] if options.ca else []
    config += ["ssl-reqd"] if options.tls == "starttls" else []
    if options.authzid:
        config.append(f"sasl-authzid = {quoted(options.authzid)}")
    if protocol == "smtp":
        owner = options.authzid or options.user
        config += [f"mail-from = {quoted(owner)}", f"mail-rcpt = {quoted(owner)}", f"upload-file = {quoted(letter)}"]
    return run(["curl", "--disable", "--config", "-"], "\n".join(config))


def swaks(options, letter):
    command = ["swaks", "--server", options.host, "--port", str(options.port), "--ehlo", "client.test"]
    command += ["--from", options.user, "--to", options.user, "--data", f"@{letter}", "--timeout", "60"]
    command += {"implicit": ["--tls-on-connect"], "starttls": ["--tls"], "none": []}[options.tls]
    command += ["--tls-verify", "--tls-ca-path", options.ca] if options.ca and options.tls != "none" else []
    command += ["--auth", "LOGIN" if options.mechanism == "login" else "PLAIN"]
    # swaks asks for what it is not told, one line each.
    return run([*command, "--auth-user", options.user, "--auth-password"], options.password + "\n")


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def run(command, given):
    return subprocess.run(command, input=given, capture_output=True, text=True, timeout=90)


finish(main)
