"""nats_operator: an operator of NATS, with one account and users, whose servers know the operator alone: JWTs signed by
nkeys, as `nsc` makes them, and the .creds files that users have.
"""
import base64
import json
import time

from certificates import openssl

OPERATOR, ACCOUNT, USER, SEED = 14 << 3, 0, 20 << 3, 18 << 3  # the first five bits of an nkey: its first letter
DER_KEY = 32  # in OpenSSL's DER the key comes last

CREDENTIALS = """\
-----BEGIN NATS USER JWT-----
{jwt}
------END NATS USER JWT------

-----BEGIN USER NKEY SEED-----
{seed}
------END USER NKEY SEED------
"""

# Of an account, or a user: nothing is limited.
UNLIMITED = {"subs": -1, "data": -1, "payload": -1}
ACCOUNT_LIMITS = {**UNLIMITED, "imports": -1, "exports": -1, "wildcards": True, "conn": -1, "leaf": -1}


class Key:
    """A new nkey: `public` and `seed` are its text."""

    def __init__(self, folder, name, prefix):
        self._file = folder / f"{name}.key"
        openssl("genpkey", "-algorithm", "ed25519", "-out", self._file)
        self.public = encode(bytes([prefix]) + self._der("-pubout"))
        self.seed = encode(bytes([SEED | prefix >> 5, (prefix & 31) << 3]) + self._der())

    def issue(self, subject, kind, claims, **standard):
        """A JWT of this key about another: an operator, an account or a user."""
        payload = {"jti": subject, "iat": int(time.time()), "iss": self.public, "sub": subject, "name": kind,
                   **standard, "nats": {**claims, "type": kind, "version": 2}}
        text = f"{part({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{part(payload)}"
        return f"{text}.{url_safe(self._sign(text))}"

    def _der(self, *options):
        return openssl("pkey", "-in", self._file, "-outform", "DER", *options)[-DER_KEY:]

    def _sign(self, text):
        message = self._file.with_suffix(".message")  # its size must be known: no pipe
        message.write_text(text)
        return openssl("pkeyutl", "-sign", "-rawin", "-inkey", self._file, "-in", message)


class Operator:
    """`configuration` is what its servers have."""

    def __init__(self, folder):
        self._folder = folder
        key = Key(folder, "operator", OPERATOR)
        self._account = self.new_account("account")
        account = key.issue(self._account.public, "account", {"limits": ACCOUNT_LIMITS})
        self.configuration = (f"operator: {key.issue(key.public, 'operator', {})}\nresolver: MEMORY\n"
                              f"resolver_preload: {{ {self._account.public}: {account} }}")

    def new_account(self, name):
        """The key of one that the servers do not know."""
        return Key(self._folder, name, ACCOUNT)

    def credentials(self, account=None, seed=None, **standard):
        """The text of a new user's credentials: of another account, with another seed, or with more claims (exp)."""
        user = Key(self._folder, "user", USER)
        jwt = (account or self._account).issue(user.public, "user", {**UNLIMITED, "pub": {}, "sub": {}}, **standard)
        return CREDENTIALS.format(jwt=jwt, seed=seed or user.seed)


def encode(key):
    """Base32, with a checksum, of which the first byte is the low one."""
    return base64.b32encode(key + checksum(key).to_bytes(2, "little")).decode().rstrip("=")


def checksum(data):
    """CRC-16/XMODEM."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xffff
    return crc


def url_safe(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def part(value):
    return url_safe(json.dumps(value).encode())
