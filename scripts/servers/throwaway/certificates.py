"""A private certificate authority and one server certificate, by the openssl command."""

import subprocess

from .supervise import ServerError

NAMES = "DNS:{name},DNS:localhost,IP:127.0.0.1,IP:127.0.0.2"


def make(directory, name):
    """Makes `ca.pem`, `cert.pem` and `key.pem` in `directory`, unless they are there from an earlier run."""
    directory.mkdir(exist_ok=True)
    if (directory / "cert.pem").exists():
        return
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256"]
    _openssl(
        directory,
        *("req", "-x509", *new_key, "-keyout", "ca-key.pem", "-out", "ca.pem", "-days", "30"),
        *("-subj", "/CN=Throwaway legacy CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign"),
    )
    _openssl(
        directory,
        *("req", "-x509", *new_key, "-CA", "ca.pem", "-CAkey", "ca-key.pem"),
        *("-keyout", "key.pem", "-out", "cert.pem", "-days", "30", "-subj", f"/CN={name}"),
        *("-addext", f"subjectAltName={NAMES.format(name=name)}"),
        *("-addext", "basicConstraints=critical,CA:FALSE"),
        *("-addext", "extendedKeyUsage=serverAuth"),
    )


def _openssl(directory, *arguments):
    done = subprocess.run(["openssl", *arguments], cwd=directory, capture_output=True, text=True)
    if done.returncode:
        raise ServerError(f"openssl could not make a certificate: {done.stderr.strip()}")
