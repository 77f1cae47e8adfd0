"""certificates: those of good and bad servers and clients, made by openssl(1).

A Folder has two authorities that know nothing of each other, "ca" and "other", and makes what they sign. Each name is a
file NAME.pem with its key behind it, and the same in two files, NAME.crt and NAME.key.
"""
import subprocess
from datetime import datetime, timedelta, timezone

import harness

DATABASE = """\
[ca]
default_ca = any
[any]
database = {folder}/database
new_certs_dir = {folder}/new
rand_serial = yes
default_md = sha256
policy = anything
unique_subject = no
[anything]
O = optional
CN = optional
[req]
distinguished_name = nothing
[nothing]
"""
KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"


def openssl(*words, input=None):
    run = subprocess.run(["openssl", *map(str, words)], input=input, capture_output=True, timeout=harness.LIMIT)
    assert run.returncode == 0, run.stderr.decode()
    return run.stdout


def day(days):
    """So many days from now, as certificates have it."""
    return (datetime.now(timezone.utc) + timedelta(days)).replace(hour=12, minute=0, second=0, microsecond=0)


class Folder:
    def __init__(self, folder):
        self.folder = folder
        (folder / "new").mkdir()
        (folder / "database").touch()
        self.configuration = folder / "openssl.cnf"
        self.configuration.write_text(DATABASE.format(folder=folder))
        self.sign_self("ca", "/O=Banter/CN=CA", "basicConstraints=critical,CA:TRUE")
        self.sign_self("other", "/O=Other/CN=CA", "basicConstraints=critical,CA:TRUE")

    def path(self, name):
        return self.folder / name

    def _join(self, name, *others):
        """The certificate, those that lead to its authority, the key."""
        parts = [f"{name}.crt", *(f"{other}.crt" for other in others), f"{name}.key"]
        self.path(f"{name}.pem").write_text("".join(self.path(part).read_text() for part in parts))
        for part in (f"{name}.pem", f"{name}.key"):
            self.path(part).chmod(0o600)
        return self.path(f"{name}.pem")

    def sign_self(self, name, subject="/O=Banter/CN=localhost", *extensions):
        added = [word for extension in extensions or (NAMES,) for word in ("-addext", extension)]
        openssl("req", "-x509", *KEY, "-config", self.configuration, "-keyout", self.path(f"{name}.key"), "-out",
                self.path(f"{name}.crt"), "-subj", subject, "-days", 30, *added)
        return self._join(name)

    def sign(self, name, subject="/O=Banter/CN=localhost", *extensions, by="ca", begin=-1, end=30, utf8=False):
        """`begin` and `end` are days from now."""
        request, wanted = self.path(f"{name}.csr"), self.path(f"{name}.ext")
        wanted.write_text("\n".join(extensions or (NAMES,)) + "\n")
        openssl("req", *KEY, "-config", self.configuration, "-keyout", self.path(f"{name}.key"), "-out", request, "-subj",
                subject, *(["-utf8"] if utf8 else []))
        openssl("ca", "-batch", "-notext", "-config", self.configuration, "-in", request, "-cert",
                self.path(f"{by}.crt"), "-keyfile", self.path(f"{by}.key"), "-extfile", wanted, "-out",
                self.path(f"{name}.crt"), "-startdate", f"{day(begin):%Y%m%d%H%M%SZ}", "-enddate",
                f"{day(end):%Y%m%d%H%M%SZ}", *(["-utf8"] if utf8 else []))
        return self._join(name, *([by] if by not in ("ca", "other") else []))

    def pin(self, name):
        """As the man page says."""
        public = openssl("x509", "-in", self.path(f"{name}.crt"), "-noout", "-pubkey")
        der = openssl("pkey", "-pubin", "-outform", "DER", input=public)
        digest = openssl("dgst", "-sha256", "-binary", input=der)
        return "sha256:" + openssl("base64", input=digest).decode().strip()
