"""Postfix: authenticated submission in a private directory; what is for the server's own users goes to Dovecot."""

import os
import pwd
import shutil
import subprocess
import time

MAIN = """\
compatibility_level = 3.6
queue_directory = {queue}
data_directory = {data}
maillog_file = {log}
maillog_file_prefixes = {top}

myhostname = {name}
mydomain = legacy.test
myorigin = {name}
inet_interfaces = loopback-only
inet_protocols = ipv4
# Nobody is trusted for an address; nothing is asked of the DNS; nothing is delivered to this machine.
mynetworks =
smtpd_peername_lookup = no
disable_dns_lookups = yes
smtp_host_lookup = native
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
biff = no
local_transport = error:5.1.1 there is no local mail here

# The server's own users through Dovecot; what an authenticated client sends to the rest of the world disappears.
virtual_mailbox_domains = {domains}
virtual_mailbox_maps = texthash:{config}/users
virtual_transport = lmtp:unix:private/dovecot-lmtp
default_transport = discard
relay_transport = discard
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions =

smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/dovecot-auth
smtpd_sasl_security_options = noanonymous
smtpd_tls_security_level = may
smtpd_tls_cert_file = {tls}/cert.pem
smtpd_tls_key_file = {tls}/key.pem
smtpd_tls_auth_only = {tls_only}
smtpd_tls_loglevel = 1
smtpd_authorized_xclient_hosts = {trusted}
smtpd_authorized_xforward_hosts = {trusted}
smtpd_upstream_proxy_protocol = {proxy_protocol}
{error_sleep}
# No two letters have one name in the log.
enable_long_queue_ids = yes
# What is sent is stored byte for byte, below its trace headers.
local_header_rewrite_clients =
disable_mime_output_conversion = yes
lmtp_line_length_limit = 0
smtp_line_length_limit = 0
message_size_limit = {message_size}
virtual_mailbox_limit = 0
mailbox_size_limit = 0
queue_minfree = 0

smtpd_client_connection_count_limit = 0
default_process_limit = 50
"""

MASTER = """\
{host}:{smtp} inet n - n - - smtpd -o syslog_name=postfix/submission
{host}:{smtps} inet n - n - - smtpd -o syslog_name=postfix/smtps -o smtpd_tls_wrappermode=yes
cleanup  unix n - n - 0 cleanup
qmgr     unix n - n 300 1 qmgr
tlsmgr   unix - - n 1000? 1 tlsmgr
rewrite  unix - - n - - trivial-rewrite
bounce   unix - - n - 0 bounce
defer    unix - - n - 0 bounce
trace    unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error    unix - - n - - error
retry    unix - - n - - error
discard  unix - - n - - discard
lmtp     unix - - n - - lmtp
anvil    unix - - n - 1 anvil
scache   unix - - n - 1 scache
postlog  unix-dgram n - n - 1 postlogd
"""

# Directory of the queue -> (owner, group, mode), as `postfix set-permissions` would have them.
QUEUE = {
    "pid": ("root", "root", 0o755),
    "public": ("postfix", "postdrop", 0o710),
    "maildrop": ("postfix", "postdrop", 0o730),
    **dict.fromkeys(
        ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace"),
        ("postfix", "root", 0o700),
    ),
}


def make_queue(directory):
    """Makes an empty queue, which Dovecot's sockets must find. Returns its path."""
    queue = directory / "queue"
    queue.mkdir(parents=True, exist_ok=True)
    for name, (owner, group, mode) in QUEUE.items():
        path = queue / name
        path.mkdir(exist_ok=True)
        shutil.chown(path, owner, group)
        path.chmod(mode)
    return queue


def write(directory, options, host, ports, tls, queue, name):
    """Writes Postfix's configuration below `directory`. Returns the command that runs it."""
    config, data = directory / "config", directory / "data"
    for path in (config, data):
        path.mkdir(exist_ok=True)
    owner = pwd.getpwnam("postfix")
    os.chown(data, owner.pw_uid, owner.pw_gid)
    data.chmod(0o700)

    addresses = [user.lower() for user, _ in options.users if "@" in user]
    domains = sorted({address.rpartition("@")[2] for address in addresses} | {"example.test"})
    (config / "users").write_text("".join(f"{address} ok\n" for address in addresses), encoding="utf-8")
    (config / "main.cf").write_text(
        MAIN.format(
            top=directory.parent,
            log=directory.parent / "postfix.log",
            config=config,
            data=data,
            queue=queue,
            tls=tls,
            host=host,
            name=name,
            domains=" ".join(domains),
            tls_only="yes" if options.require_tls else "no",
            trusted="127.0.0.1" if options.xclient else "",
            proxy_protocol="haproxy" if options.proxy_header else "",
            error_sleep="smtpd_error_sleep_time = 0\n" if options.fast_auth else "",
            message_size=options.message_size,
        )
        + "".join(f"{line}\n" for line in options.postfix)
    )
    (config / "master.cf").write_text(MASTER.format(host=host, **ports))
    # Every Postfix process waits until a file it reads is some seconds old, in case somebody is still writing it.
    for path in config.iterdir():
        os.utime(path, (time.time() - 60,) * 2)
    return [f"{daemon_directory()}/master", "-c", str(config), "-d"]


def daemon_directory():
    asked = subprocess.run(["postconf", "-dh", "daemon_directory"], capture_output=True, text=True)
    return asked.stdout.strip() or "/usr/lib/postfix/sbin"
