"""Dovecot: IMAP, POP3, delivery by LMTP, and the password check that Postfix asks, in a private directory."""

import base64
import os
import pwd
import shutil
import subprocess

from .supervise import ServerError

# Mail belongs to nobody: Dovecot refuses to serve mail as root, and no account is made for a throwaway server.
MAIL_OWNER = "nobody"

CONFIG = """\
protocols = imap pop3 lmtp
listen = {host}
base_dir = {dir}/run
state_dir = {dir}/state
instance_name = {dir}
log_path = {log}
auth_verbose = yes

ssl = yes
ssl_cert = <{tls}/cert.pem
ssl_key = <{tls}/key.pem
disable_plaintext_auth = {tls_only}
login_trusted_networks = {trusted}
haproxy_trusted_networks = {balancers}

auth_mechanisms = plain login
{names}auth_default_realm = {default_realm}
auth_failure_delay = {failure_delay}
{master_passdb}
passdb {{
  driver = passwd-file
  args = username_format=%u {dir}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {dir}/users
}}

mail_location = maildir:~/Maildir
mail_max_userip_connections = 0
first_valid_uid = 1
first_valid_gid = 1
mailbox_idle_check_interval = 5 secs
default_vsz_limit = 0
default_client_limit = 2000
# Long sessions are the point of many a test: no process is too many.
default_process_limit = 1000

namespace inbox {{
  inbox = yes
  mailbox Drafts {{
    special_use = \\Drafts
    auto = subscribe
  }}
  mailbox Sent {{
    special_use = \\Sent
    auto = subscribe
  }}
  mailbox Trash {{
    special_use = \\Trash
    auto = subscribe
  }}
}}

# One login process each, for all connections: quick, and light on a small machine.
service imap-login {{
  inet_listener imap {{
    port = {imap}
    haproxy = {haproxy}
  }}
  inet_listener imaps {{
    port = {imaps}
    haproxy = {haproxy}
    ssl = yes
  }}
  service_count = 0
  process_min_avail = 1
  process_limit = 1
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
    haproxy = {haproxy}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    haproxy = {haproxy}
    ssl = yes
  }}
  service_count = 0
  process_min_avail = 1
  process_limit = 1
}}
service lmtp {{
  process_limit = 10
  unix_listener {queue}/private/dovecot-lmtp {{
    user = postfix
    mode = 0600
  }}
}}
service auth {{
  client_limit = 8000
  unix_listener {queue}/private/dovecot-auth {{
    user = postfix
    mode = 0600
  }}
}}
{penalty}"""

# Every character may stand in a name; upper and lower case are the same mailbox.
ANY_NAMES = """\
auth_username_chars =
auth_username_format = %Lu
"""

MASTER_PASSDB = """\
auth_master_user_separator = *
passdb {{
  driver = passwd-file
  args = username_format=%u {dir}/masters
  master = yes
}}
"""

# The documented way to switch off the growing delay for addresses that fail often.
NO_PENALTY = """\
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
"""


def check_version():
    """Fails unless the installed Dovecot reads the configuration above."""
    found = subprocess.run(["dovecot", "--version"], capture_output=True, text=True).stdout.split()
    if not found or not found[0].startswith("2.3."):
        raise ServerError(
            f"this needs Dovecot 2.3 (Debian 12), and found {found[0] if found else 'none'}\n"
            "hint: 2.4 has another configuration syntax; scripts/servers/throwaway/dovecot.py is the place to add it"
        )


def write(directory, options, host, ports, tls, queue):
    """Writes Dovecot's configuration and its users below `directory`. Returns the command that runs it."""
    for name in ("run", "state"):
        shutil.rmtree(directory / name, ignore_errors=True)
        (directory / name).mkdir(parents=True)
    mail = directory.parent / "mail"
    mail.mkdir(exist_ok=True)
    owner = pwd.getpwnam(MAIL_OWNER)
    os.chown(mail, owner.pw_uid, owner.pw_gid)

    secrets = {"users": passwd_file(options.users, mail, owner) + other_names(options)}
    if options.masters:
        secrets["masters"] = passwd_file(options.masters, mail, owner)
        if options.default_realm:  # it is added to a master's bare name too
            full = [(f"{name}@{options.default_realm}", password) for name, password in options.masters]
            secrets["masters"] += passwd_file(full, mail, owner)
    for name, text in secrets.items():
        path = directory / name
        path.write_text(text, encoding="utf-8")
        shutil.chown(path, "root", "dovecot")
        path.chmod(0o640)

    config = directory / "dovecot.conf"
    config.write_text(
        CONFIG.format(
            dir=directory,
            log=directory.parent / "dovecot.log",
            host=host,
            tls=tls,
            queue=queue,
            tls_only="yes" if options.require_tls else "no",
            trusted="127.0.0.1" if options.xclient else "",
            haproxy="yes" if options.proxy_header else "no",
            balancers="127.0.0.1" if options.proxy_header else "",
            names="" if options.default_names else ANY_NAMES,
            default_realm=options.default_realm or "",
            failure_delay="0" if options.fast_auth else "2 secs",
            penalty=NO_PENALTY if options.fast_auth or options.no_penalty else "",
            master_passdb=MASTER_PASSDB.format(dir=directory) if options.masters else "",
            **ports,
        )
        + "".join(f"{line}\n" for line in options.dovecot)
    )
    return [shutil.which("dovecot") or "/usr/sbin/dovecot", "-F", "-c", str(config)]


def other_names(options):
    """Names that log in with somebody else's password to the same mailbox."""
    passwords = dict(options.users)
    lines = []
    for alias, name in options.aliases:
        secret = base64.b64encode(passwords[name].encode()).decode()
        lines.append(f"{alias.lower()}:{{PLAIN.b64}}{secret}::::::user={name.lower()}\n")
    return "".join(lines)


def passwd_file(accounts, mail, owner):
    """`name:{PLAIN.b64}…` lines: in base64 a password may hold every character, the colon too."""
    lines = []
    for name, password in accounts:
        secret = base64.b64encode(password.encode()).decode()
        folder = mail / name.lower().replace("/", "%2F")
        lines.append(f"{name.lower()}:{{PLAIN.b64}}{secret}:{owner.pw_uid}:{owner.pw_gid}::{folder}::\n")
    return "".join(lines)
