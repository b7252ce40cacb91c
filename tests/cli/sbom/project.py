"""A project of our own for sbom.t: packages, a mirror of them, definitions, a lock, all in
one folder. Packages are made with dpkg-deb, locked by the first ocibuild, built by the
second."""
import hashlib
import os
import shutil
import subprocess

T, BIN = os.environ["T"], os.environ["BIN"]
DATE = "Sat, 31 Jan 2026 00:00:00 UTC"
# as small as an ELF program can be: only its first bytes are looked at
ELF = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\x3e\x00\x01\x00\x00\x00" + bytes(40)


def put(path, data, mode=0o644):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "wb") as f:
        f.write(data.encode() if isinstance(data, str) else data)
    os.chmod(path, mode)


def read(path):
    with open(path, "rb") as f:
        return f.read()


class Project:
    def __init__(self, tmp):
        self.tmp = tmp
        self.mirror = tmp + "/mirror"
        self.env = dict(os.environ, SIGNBOX_CACHE=tmp + "/cache", DEBIAN_MIRROR="file://" + self.mirror,
                        DEBIAN_SECURITY_MIRROR="file://" + tmp + "/security")

    def package(self, name, version, files, control="", copyright=None, maintainer="A Team <team@lists.example.org>"):
        """files: {path: content, or ("link", target)}; copyright None: a text that is not DEP-5."""
        top = self.tmp + "/p"
        shutil.rmtree(top, ignore_errors=True)
        text = f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nDescription: x\n".encode()
        text += b"Maintainer: " + (maintainer.encode() if isinstance(maintainer, str) else maintainer) + b"\n"
        put(top + "/DEBIAN/control", text + control.encode())
        files = dict(files)
        files.setdefault(f"usr/share/doc/{name}/copyright", copyright or f"All of {name} is free.\n")
        for path, data in files.items():
            if isinstance(data, tuple):
                os.makedirs(os.path.dirname(f"{top}/{path}"), exist_ok=True)
                os.symlink(data[1], f"{top}/{path}")
            else:
                # a name need not be UTF-8
                put(os.fsencode(top) + b"/" + os.fsencode(path), data) if isinstance(data, bytes) else put(f"{top}/{path}", data)
        os.makedirs(self.mirror + "/pool/main", exist_ok=True)
        out = f"{self.mirror}/pool/main/{name}_{version.split(':')[-1]}_amd64.deb"
        subprocess.run(["dpkg-deb", "--root-owner-group", "--nocheck", "-Zgzip", "-b", top, out], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def index(self):
        for top, suite in ((self.mirror, "trixie"), (self.tmp + "/security", "trixie-security")):
            text = b""
            pool = top + "/pool/main"
            for deb in sorted(os.listdir(pool)) if os.path.isdir(pool) else []:
                data = read(f"{pool}/{deb}")
                fields = subprocess.run(["dpkg-deb", "-f", f"{pool}/{deb}"], check=True, stdout=subprocess.PIPE).stdout
                text += fields + (f"Filename: pool/main/{deb}\nSize: {len(data)}\n"
                                  f"SHA256: {hashlib.sha256(data).hexdigest()}\n\n").encode()
            put(f"{top}/dists/{suite}/main/binary-amd64/Packages", text)
            put(f"{top}/dists/{suite}/Release",
                f"Origin: Debian\nCodename: {suite}\nDate: {DATE}\nArchitectures: amd64\nComponents: main\nSHA256:\n"
                f" {hashlib.sha256(text).hexdigest()} {len(text)} main/binary-amd64/Packages\n")

    def lock(self):
        self.index()
        for args in (["lock", "--keyring", "none"], ["fetch"]):
            p = subprocess.run([T + "/ocibuild", *args], cwd=self.tmp, env=self.env, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
            if p.returncode:
                raise SystemExit(f"Bail out! {args}: {p.stdout}")

    def run(self, *args, cwd=None, env=None, umask=-1):
        p = subprocess.run([BIN + "/ocibuild", *args], cwd=cwd or self.tmp, env={**self.env, **(env or {})},
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120,
                           umask=umask)
        return p.returncode, p.stdout.decode(errors="replace"), p.stderr.decode(errors="replace")
