#!/usr/bin/python3
# ocibuild check: a clean image passes, and for each rule there are images that break it,
# and nothing else. The images are made here by hand; their programs by the compiler.
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from layout import CREATED, DATE, Layout, Tap, d, entry, l, run, spdx  # noqa: E402

tap = Tap()
tmp = tempfile.mkdtemp()
ocibuild = os.environ["BIN"] + "/ocibuild"
lay = Layout(tmp + "/lay")
LIB = "usr/lib/x86_64-linux-gnu/"

# ---- programs --------------------------------------------------------------
FULL = ("-O2 -fPIE -fstack-protector-strong -D_FORTIFY_SOURCE=3 -static-pie "
        "-Wl,-z,relro,-z,now,-z,noexecstack -s").split()
C = "#include <stdio.h>\n#include <string.h>\nint main(int c, char **v) { char b[64]; strcpy(b, v[c - 1]); return puts(b) < 0; }\n"


def compiled(name, *flags, source=C):
    with open(f"{tmp}/{name}.c", "w") as f:
        f.write(source)
    p = subprocess.run(["gcc", "-w", "-o", f"{tmp}/{name}", f"{tmp}/{name}.c", *flags], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True)
    if p.returncode:
        print(f"Bail out! {name}: {p.stdout}")
        sys.exit(1)
    return slurp(f"{tmp}/{name}")


def slurp(path):
    with open(path, "rb") as f:
        return f.read()


def saying(name, *texts):
    """A hardened program that has these texts in it."""
    text = "".join(f'puts("{t}");' for t in texts)
    return compiled(name, *FULL, source=C.replace("return", text + " return"))


prog = compiled("prog", *FULL)
libc = [entry(LIB + "libc.so.6", slurp("/" + LIB + "libc.so.6"), mode=0o755),
        entry(LIB + "ld-linux-x86-64.so.2", slurp("/" + LIB + "ld-linux-x86-64.so.2"), mode=0o755),
        d("usr/lib64"), l("lib64", "usr/lib64"), l("usr/lib64/ld-linux-x86-64.so.2", "../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")]

# ---- the clean image, and changed ones ---------------------------------------
LABELS = {"signbox.variant": "runtime", "signbox.shell": "", "signbox.package-manager": ""}
LABELS.update({"org.opencontainers.image." + k: "x" for k in ("title", "description", "licenses", "version", "created")})
CONFIG = {"User": "65532:65532", "WorkingDir": "/", "Entrypoint": ["/usr/bin/prog"], "Volumes": {"/data": {}},
          "Env": ["PATH=/usr/local/bin:/usr/bin", "SSL_CERT_FILE=/etc/ssl/cert.pem"], "ExposedPorts": {"4222/tcp": {}},
          "Healthcheck": {"Test": ["CMD", "prog", "health"]}, "Labels": LABELS}
FILES = [d("etc"), d("etc/ssl"), entry("etc/ssl/cert.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n"), d("tmp", mode=0o1777),
         entry("etc/passwd", "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532::/home/nonroot:/sbin/nologin\n"),
         d("home"), d("home/nonroot", uid=65532, gid=65532, mode=0o700), d("data", uid=65532, gid=65532, mode=0o700),
         d("usr"), d("usr/bin"), l("bin", "usr/bin"), entry("usr/bin/prog", prog, mode=0o755),
         entry("etc/x.conf", "# password: none\npassword: $PASSWORD\npassword_file: /run/x\npasswd: files\nhosts: files dns\n"),
         entry("usr/share/mark.txt", "-----BEGIN PRIVATE KEY-----\nmarks alone are no key\n")]
count = 0
tested = set()


def make(files=(), gone=(), config=None, labels=None, owner=None, listed=None, lower=None, created=CREATED, sbom=True):
    """The clean image with these changes; owner: packages of files, listed: what the SBOM is of."""
    global count
    count += 1
    ref = f"i{count}"
    own = {f["path"]: f for f in FILES if f["path"] not in gone}
    own.update({f["path"]: f for f in files})
    cfg = {**CONFIG, **(config or {}), "Labels": {**LABELS, "unique": ref, **(labels or {})}}
    cfg = {k: v for k, v in cfg.items() if v is not None}
    cfg["Labels"] = {k: v for k, v in cfg["Labels"].items() if v is not None}
    owners = {f["path"]: "libc6" for f in libc}
    owners.update(owner or {})
    names = {p: (owners.get(p, ""), f["data"]) for p, f in own.items() if f["kind"] == "file" and "/.wh." not in p}
    names.update(listed or {})
    names = {p: v for p, v in names.items() if v is not None}
    layers = ([lower] if lower else []) + [list(own.values())]
    lay.image(ref, layers, cfg, created=created, spdx=spdx(names) if sbom else None)
    return f"{tmp}/lay:{ref}"


def check(image, *args):
    rc, out, err = run(ocibuild, "check", "--json", *args, image)
    try:
        return rc, json.loads(out)[0], err
    except (ValueError, IndexError):
        return rc, {"findings": [], "waived": []}, err


def breaks(rules, name, path=None, variant="runtime", **change):
    """The image breaks exactly these rules (words), the first of them at path."""
    rules = rules.split()
    tested.update(rules)
    labels = change.pop("labels", {})
    rc, got, err = check(make(labels={"signbox.variant": variant, **labels}, **change), "--variant", variant)
    found = sorted({f["rule"] for f in got["findings"]})
    where = [f["path"] for f in got["findings"] if f["rule"] == rules[0]]
    good = found == sorted(rules) and rc == 1 and (path is None or path in where)
    tap.ok(good, f"{rules[0]}: {name}", f"exit {rc}, {err}", f"found {found}, wanted {rules} at {path}",
           json.dumps(got["findings"], indent=1))


def passes(name, variant="runtime", **change):
    labels = change.pop("labels", {})
    rc, got, err = check(make(labels={"signbox.variant": variant, **labels}, **change), "--variant", variant)
    tap.ok(rc == 0 and not got["findings"], name, rc, err, json.dumps(got["findings"], indent=1))


def seed():
    raw = bytes([18 << 3 | 20 >> 2, 20 << 6 & 0xC0 | 0]) + bytes(range(32))
    crc = 0
    for b in raw:
        crc ^= b << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return base64.b32encode(raw + bytes([crc & 0xFF, crc >> 8])).decode().rstrip("=")


passes("the clean image passes")
passes("… as a compat image too", variant="compat")
passes("… as a test image", variant="testing")
passes("… with the libraries of a package too", files=libc)

# ---- files -----------------------------------------------------------------
breaks("setuid", "a setuid program", "usr/bin/s", files=[entry("usr/bin/s", prog, mode=0o4755)])
breaks("setuid", "a setgid directory", "data", files=[d("data", mode=0o2700, uid=65532, gid=65532)])
breaks("setuid", "… in a dev image too", "usr/bin/s", variant="dev", files=[entry("usr/bin/s", prog, mode=0o6755)])
breaks("capability", "a program with capabilities", "usr/bin/prog",
       files=[entry("usr/bin/prog", prog, mode=0o755, xattr={"security.capability": "\x01\x00\x00\x02"})])
breaks("world-writable", "a file", "etc/o", files=[entry("etc/o", "x", mode=0o666)])
breaks("world-writable", "/tmp without the sticky bit", "tmp", files=[d("tmp", mode=0o777)])
breaks("world-writable", "a sticky directory elsewhere", "srv", files=[d("srv", mode=0o1777)])
breaks("world-writable", "/tmp as a file", "tmp", files=[entry("tmp", "x", mode=0o1777)])
breaks("world-writable", "the root directory", "", files=[d(".", mode=0o777)])
breaks("device", "a device", "dev/null", files=[entry("dev/null", kind="char", dev=(1, 3))])
breaks("device", "a fifo", "run/f", files=[entry("run/f", kind="fifo")])
breaks("owner", "a file of the user", "etc/u", files=[entry("etc/u", "x", uid=65532)])
breaks("owner", "a file of the user's group that it can write", "etc/g", files=[entry("etc/g", "x", gid=65532, mode=0o664)])
breaks("owner", "a program of another user", "usr/bin/prog", files=[entry("usr/bin/prog", prog, mode=0o755, uid=1000)])
breaks("link", "a link to nothing", "etc/l", files=[l("etc/l", "../nowhere")])
breaks("link", "links that go in a circle", "etc/l", files=[l("etc/l", "m"), l("etc/m", "l")])
passes("a link that climbs above the root stays inside", files=[l("etc/l", "../../../../etc/passwd")])
passes("an absolute link in a runtime image", files=[l("etc/l", "/etc/passwd")])
breaks("link", "an absolute link in a debug image", "etc/l", variant="debug", files=[l("etc/l", "/etc/passwd")])
breaks("time", "a file newer than the image", "etc/n", files=[entry("etc/n", "x", mtime=DATE + 1)])
breaks("time", "an image without a date", "", created=None)
breaks("time", "an image of 1970", "", created="1970-01-01T00:00:00Z")

# ---- secrets ----------------------------------------------------------------
KEY = "-----BEGIN PRIVATE KEY-----\n" + base64.b64encode(bytes(range(48))).decode() + "\n-----END PRIVATE KEY-----\n"
breaks("secret", "a private key", "etc/k", files=[entry("etc/k", KEY)])
breaks("secret", "… of SSH, in the middle of another file", "etc/k",
       files=[entry("etc/k", "x\n" * 99 + KEY.replace("PRIVATE", "OPENSSH PRIVATE"))])
breaks("secret", "… as JSON has it", "etc/k", files=[entry("etc/k", json.dumps({"key": KEY}))])
breaks("secret", "… with headers", "etc/k",
       files=[entry("etc/k", KEY.replace("KEY-----\n", "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES\n\n", 1))])
for kind, opts in (("EC", ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]), ("RSA", ["RSA", "-pkeyopt", "rsa_keygen_bits:1024"]),
                   ("ED25519", ["ED25519"])):
    der = subprocess.run(["openssl", "genpkey", "-outform", "DER", "-algorithm", *opts], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, check=True).stdout
    public = subprocess.run(["openssl", "pkey", "-inform", "DER", "-pubout", "-outform", "DER"], input=der, stdout=subprocess.PIPE,
                            check=True).stdout
    plain = subprocess.run(["openssl", "pkey", "-inform", "DER", "-outform", "DER", "-traditional"], input=der,
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    breaks("secret", f"a private key in DER: {kind}", "etc/k", files=[entry("etc/k", der)])
    if plain:
        breaks("secret", f"… in its traditional form: {kind}", "etc/k", files=[entry("etc/k", plain)])
    passes(f"a public key in DER: {kind}", files=[entry("etc/k", public)])
breaks("secret", "a private JWK", "etc/k", files=[entry("etc/k", '{"kty": "OKP", "crv": "Ed25519", "d": "AAAA", "x": "BBBB"}')])
passes("a public JWK", files=[entry("etc/k", '{"kty": "OKP", "crv": "Ed25519", "x": "BBBB"}')])
breaks("secret", "a seed of an NKey in a file of another kind", "usr/share/s", files=[entry("usr/share/s", "\0" * 333 + seed() + "\n")])
wrong = seed()[:-1] + ("A" if seed()[-1] != "A" else "B")
passes("58 letters that are no seed", files=[entry("usr/share/s", wrong)])
for path in (".git-credentials", "root/.ssh/id_rsa", "etc/app/x.creds", "home/u/.docker/config.json", "x.p12"):
    breaks("secret", f"by name: {path}", path, files=[entry(path, "x")])
breaks("secret", "a password hash", "etc/shadow", files=[entry("etc/shadow", "root:*:1::\nu:$y$j9T$abc:1::\n", mode=0o600)])
passes("a shadow file that locks all", files=[entry("etc/shadow", "root:*:1::\nu:!:1::\n", mode=0o600)])
breaks("secret", "a password in a configuration", "etc/app.conf", files=[entry("etc/app.conf", 'user: a\n  password: "T0pS3cr3t"\n')])
breaks("secret", "a token", "srv/t", files=[entry("srv/t", "x AKIA" + "Q7" * 8 + " y")])
breaks("secret", "a password in a variable", "", config={"Env": CONFIG["Env"] + ["DB_PASSWORD=hunter2"]})
breaks("secret", "a seed in a variable", "", config={"Env": CONFIG["Env"] + ["X=" + seed()]})
breaks("secret", "what an upper layer hides", "etc/k", lower=[entry("etc/k", KEY)], files=[entry("etc/.wh.k")])
rc, out, err = run(ocibuild, "check", make(files=[entry("etc/k", KEY + seed())]))
tap.ok(rc == 1 and KEY.splitlines()[1] not in out + err and seed() not in out + err, "secrets are not printed", out, err)

# ---- SBOM --------------------------------------------------------------------
breaks("sbom", "a file that it lacks", "etc/n", files=[entry("etc/n", "x")], listed={"etc/n": None})
breaks("sbom", "a file that it has otherwise", "etc/x.conf", listed={"etc/x.conf": ("", b"other")})
breaks("sbom", "a file that only it has", "etc/lost", listed={"etc/lost": ("", b"x")})
breaks("sbom", "none", "", sbom=False)

# ---- shells, interpreters, package managers ------------------------------------
breaks("shell", "dash under another name", "usr/bin/tool", owner={"usr/bin/tool": "dash"},
       files=libc + [entry("usr/bin/tool", slurp("/usr/bin/dash"), mode=0o755)], labels={"signbox.shell": "dash"})
breaks("shell", "… that is no executable", "usr/share/tool", owner={"usr/share/tool": "dash"},
       files=libc + [entry("usr/share/tool", slurp("/usr/bin/dash"))], labels={"signbox.shell": "dash"})
bash = [entry("usr/bin/t", slurp("/usr/bin/bash"), mode=0o755),
        entry(LIB + "libtinfo.so.6", slurp(os.path.realpath("/" + LIB + "libtinfo.so.6")), mode=0o755)]
breaks("shell", "bash under another name", "usr/bin/t", owner={"usr/bin/t": "bash", LIB + "libtinfo.so.6": "libtinfo6"},
       files=libc + bash, labels={"signbox.shell": "bash"})
busy = saying("busy", "BusyBox v1.37.0", "applet not found")
breaks("shell", "busybox by its applet table", "usr/bin/b", files=[entry("usr/bin/b", busy, mode=0o755)],
       labels={"signbox.shell": "busybox"})
breaks("shell", "… in a test image", "usr/bin/b", variant="testing", files=[entry("usr/bin/b", busy, mode=0o755)],
       labels={"signbox.shell": "busybox"})
breaks("shell", "by name", "usr/bin/zsh", files=[entry("usr/bin/zsh", prog, mode=0o755)], labels={"signbox.shell": "zsh"})
breaks("shell", "a link by name", "usr/bin/sh", files=[l("usr/bin/sh", "prog")], labels={"signbox.shell": "bash"})
passes("a file that is called so and is no program", files=[entry("usr/share/zsh", "x")])
passes("a shell in a compat image", variant="compat", files=[entry("usr/bin/b", busy, mode=0o755)], labels={"signbox.shell": "busybox"})
needs = [os.path.realpath(x) for x in ("/" + LIB + "libm.so.6", "/" + LIB + "libcrypt.so.1")]
perl = [entry("usr/bin/calc", slurp("/usr/bin/perl"), mode=0o755), entry(LIB + "libm.so.6", slurp(needs[0]), mode=0o755),
        entry(LIB + "libcrypt.so.1", slurp(needs[1]), mode=0o755)]
breaks("interpreter bind-now", "perl under another name", "usr/bin/calc", files=libc + perl,
       owner={p["path"]: "perl" for p in perl})
python = compiled("py.so", "-shared", "-fPIC", "-s", "-nostdlib", "-Wl,-soname,libpython3.13.so.1.0,-z,now")
breaks("interpreter", "a library of one", LIB + "x.so", files=[entry(LIB + "x.so", python)], owner={LIB + "x.so": "x"})
breaks("interpreter", "by name, in a compat image", "usr/bin/python3", variant="compat",
       files=[entry("usr/bin/python3", prog, mode=0o755)])
breaks("script", "a script", "usr/bin/run", files=[entry("usr/bin/run", "#!/bin/sh\n", mode=0o755)])
breaks("package-manager", "by name", "usr/bin/apt-get", files=[entry("usr/bin/apt-get", prog, mode=0o755)],
       labels={"signbox.package-manager": "apt"})
breaks("package-manager", "dpkg under another name", "usr/bin/x", labels={"signbox.package-manager": "dpkg"},
       files=[entry("usr/bin/x", saying("dp", "DPKG_ADMINDIR", "DPKG_ROOT"), mode=0o755)])

# ---- ELF -----------------------------------------------------------------------
def elf(rules, name, data, owner=None, where="usr/bin/e", more=(), **change):
    breaks(rules, name, where, files=[entry(where, data, mode=0o755), *more], owner={where: owner} if owner else {}, **change)


elf("elf", "one that is cut off", prog[:300])
elf("elf", "one whose program headers lie", prog[:32] + b"\xff" * 8 + prog[40:])
elf("elf", "one of 32 bits", prog[:4] + b"\x01" + prog[5:])
dynamic = compiled("dynamic", "-O2", "-fPIE", "-pie", "-fstack-protector-strong", "-D_FORTIFY_SOURCE=3", "-Wl,-z,now", "-s")
passes("a dynamic program with its libraries", files=[*libc, entry("usr/bin/e", dynamic, mode=0o755)])
elf("library", "its libraries and its loader are not there", dynamic)
elf("library", "one of them is not there", dynamic, more=libc[1:])
elf("library", "a dynamic program in a debug image", dynamic, more=libc, variant="debug")
elf("exec-stack", "an executable stack", compiled("stack", *FULL, "-Wl,-z,execstack"))
elf("exec-stack", "… by a missing mark", prog.replace(b"\x51\xe5\x74\x64\x06", b"\x51\xe5\x74\x61\x06", 1))
elf("textrel", "text relocations", compiled("textrel", *FULL, "-Wl,-z,notext", source=C + 'asm(".text\\n.quad main\\n");'))
rpath = compiled("rpath.so", "-shared", "-fPIC", "-s", "-nostdlib", "-Wl,-rpath,/opt/x,-z,now", source="int x;")
elf("rpath", "RUNPATH in a packaged library", rpath, owner="x", where=LIB + "x.so")
elf("rpath", "RPATH", compiled("rpath2.so", "-shared", "-fPIC", "-s", "-nostdlib", "-Wl,--disable-new-dtags,-rpath,$ORIGIN,-z,now",
                               source="int x;"), owner="x", where=LIB + "x.so")
elf("rwx", "a segment that is writable and executable", prog.replace(b"\x01\0\0\0\x06\0\0\0", b"\x01\0\0\0\x07\0\0\0", 1))
elf("pie", "a fixed address", compiled("fixed", *[f for f in FULL if f != "-static-pie"], "-static", "-no-pie"))
elf("pie", "… of a packaged program", compiled("fixed", *[f for f in FULL if f != "-static-pie"], "-static", "-no-pie"), owner="x")
elf("relro", "no RELRO", compiled("norelro", *[f.replace("relro", "norelro") for f in FULL]))
lazy = compiled("lazy", "-O2", "-fPIE", "-pie", "-fplt", "-fstack-protector-strong", "-D_FORTIFY_SOURCE=3", "-Wl,-z,lazy", "-s")
elf("bind-now", "functions that are bound late", lazy, more=libc)
START = '#include <stddef.h>\nvoid _start(void) { asm volatile("mov $60, %eax; xor %edi, %edi; syscall"); }\n'
bare = compiled("bare", *[f for f in FULL if "protector" not in f], "-nostdlib", source=START)
elf("protector", "a program of the project that nothing protects", bare)
passes("… of a package may be so", files=[entry("usr/bin/e", bare, mode=0o755)], owner={"usr/bin/e": "x"})
elf("stripped", "symbols", compiled("symbols", *[f for f in FULL if f != "-s"]))

# ---- configuration ---------------------------------------------------------------
for user in (None, "", "nonroot", "0:0", "65532", "65532:0", "65532:nonroot", "99999999999:1"):
    rc, got, err = check(make(config={"User": user}))
    tested.add("user")
    tap.ok(rc == 1 and "user" in [f["rule"] for f in got["findings"]], f"user: {user}", err, got)
breaks("port", "a privileged one", "", config={"ExposedPorts": {"80/tcp": {}}})
breaks("port", "a malformed one", "", config={"ExposedPorts": {"x": {}}})
passes("an entrypoint that PATH finds", config={"Entrypoint": None, "Cmd": ["prog"]})
passes("an entrypoint through links", config={"Entrypoint": ["/bin/p"]}, files=[l("usr/bin/p", "/bin/prog")])
passes("nothing is started, and nothing could be", gone=["usr/bin/prog"], config={"Entrypoint": None, "Healthcheck": None})
breaks("entrypoint", "it is not there", "", config={"Entrypoint": ["/usr/bin/none"]})
breaks("entrypoint", "PATH does not find it", "", config={"Entrypoint": ["none"]})
breaks("entrypoint", "the user may not run it", "usr/bin/p", config={"Entrypoint": ["/usr/bin/p"]},
       files=[entry("usr/bin/p", prog, mode=0o700)])
breaks("entrypoint", "the user may not reach it", "opt/p", config={"Entrypoint": ["/opt/p"]},
       files=[d("opt", mode=0o700), entry("opt/p", prog, mode=0o755)])
breaks("entrypoint", "it is no program", "usr/bin/p", config={"Entrypoint": ["/usr/bin/p"]}, files=[entry("usr/bin/p", "x", mode=0o755)])
breaks("entrypoint", "it is a directory", "usr", config={"Entrypoint": ["/usr"]})
library = compiled("lib.so", "-shared", "-fPIC", "-s", "-nostdlib", "-Wl,-z,now", source="int x;")
breaks("entrypoint", "it is a library", LIB + "x.so", config={"Entrypoint": ["/" + LIB + "x.so"]},
       files=[entry(LIB + "x.so", library, mode=0o755)], owner={LIB + "x.so": "x"})
run_sh = [entry("usr/bin/run", "#!/usr/bin/prog\n", mode=0o755)]
breaks("entrypoint script", "it is a script", "usr/bin/run", config={"Entrypoint": ["run"]}, files=run_sh)
passes("… which a compat image may have", variant="compat", config={"Entrypoint": ["run"]}, files=run_sh)
breaks("entrypoint", "its interpreter is not there", "usr/bin/run", variant="compat", config={"Entrypoint": ["run"]},
       files=[entry("usr/bin/run", "#!/bin/sh\n", mode=0o755)])
breaks("entrypoint shell", "it is a shell", "usr/bin/b", config={"Entrypoint": ["b", "-c", "x"]},
       files=[entry("usr/bin/b", busy, mode=0o755)], labels={"signbox.shell": "busybox"})
breaks("entrypoint", "there is none for a program", "", config={"Entrypoint": None})
breaks("healthcheck", "one for a shell", "", config={"Healthcheck": {"Test": ["CMD-SHELL", "prog health"]}})
breaks("healthcheck", "its program is not there", "", config={"Healthcheck": {"Test": ["CMD", "/none"]}})
breaks("workdir", "it is not there", "", config={"WorkingDir": "/none"})
breaks("workdir", "it locks others out", "home/nonroot", config={"WorkingDir": "/home/nonroot"})
breaks("volume", "it is not there", "", config={"Volumes": {"/none": {}}}, gone=["data"])
breaks("volume", "the user cannot write to it", "vol", config={"Volumes": {"/vol": {}}}, files=[d("vol")], gone=["data"])
breaks("env", "no PATH", "", config={"Env": ["A=b"], "Healthcheck": None})
breaks("env", "a file that is not there", "", config={"Env": ["PATH=/usr/bin", "SSL_CERT_FILE=/none"]})
breaks("env", "LD_PRELOAD", "", config={"Env": CONFIG["Env"] + ["LD_PRELOAD=/x.so"]})
breaks("label", "it hides a shell", "", variant="compat", files=[entry("usr/bin/b", busy, mode=0o755)])
breaks("label", "it names a shell that is not there", "", variant="compat", labels={"signbox.shell": "bash"})
breaks("label", "it hides a package manager", "", variant="dev", files=[entry("usr/bin/apt", prog, mode=0o755)])
breaks("label", "no title", "", labels={"org.opencontainers.image.title": None})
breaks("label", "no word of shells", "", labels={"signbox.shell": None})
passes("an image of others, which claims nothing", labels={k: None for k in LABELS if k.startswith("signbox.")} | {"signbox.variant": None})
rc, got, err = check(make(labels={"signbox.variant": "dev"}))
tap.same(([f["rule"] for f in got["findings"]], got.get("variant")), (["label"], "runtime"),
         "a label does not choose the rules of an image that no definition knows", err)

# ---- waivers ------------------------------------------------------------------------
os.makedirs(tmp + "/images")
shutil.copytree(tmp + "/lay", tmp + "/build/images")
names = Layout(tmp + "/build/images")
SETUID = dict(files=[entry("usr/bin/s", prog, mode=0o4755)])


def defined(*waivers, change=SETUID, variant="runtime"):
    """(exit status, [rule at path], [waived]) of an image with a definition."""
    global lay
    with open(tmp + "/images/im.yaml", "w") as f:
        f.write("summary: x\nsuites: [trixie]\nimage:\n  title: im\n  labels: {signbox.variant: %s}\n" % variant)
        if waivers:
            f.write("waivers:\n" + "".join("  - {rule: %s, path: '%s', reason: %s}\n" % w for w in waivers))
    keep, lay = lay, names
    ref = make(**change).rsplit(":", 1)[1]
    lay = keep
    names.index = [x for x in names.index if x.get("annotations", {}).get("org.opencontainers.image.ref.name") in (None, ref)]
    for x in names.index:
        if "annotations" in x:
            x["annotations"]["org.opencontainers.image.ref.name"] = "im"
    names.write()
    rc, out, err = run(ocibuild, "check", "--json", "--images", tmp + "/images", "--build", tmp + "/build")
    try:
        got = json.loads(out)[0]
    except ValueError:
        return rc, err, []
    return rc, [f["rule"] + " " + f["path"] for f in got["findings"]], [f["rule"] + " " + f["path"] + " " + f["waived"] for f in got["waived"]]


WHY = "only a test needs it"
tested.add("waiver")
tap.same(defined(), (1, ["setuid usr/bin/s"], []), "a finding of an image with a definition")
tap.same(defined(("setuid", "usr/bin/s", WHY)), (0, [], ["setuid usr/bin/s " + WHY]), "… that it waives")
tap.same(defined(("setuid", "usr/bin/*", WHY)), (0, [], ["setuid usr/bin/s " + WHY]), "… by a pattern")
tap.same(defined(("setuid", "usr/sbin/*", WHY)), (1, ["setuid usr/bin/s", "waiver usr/sbin/*"], []),
         "waiver: one that nothing needs, and the finding stands")
tap.same(defined(("pie", "usr/bin/s", WHY)), (1, ["setuid usr/bin/s", "waiver usr/bin/s"], []), "waiver: of another rule")
tap.same(defined(("setuib", "usr/bin/s", WHY)), (1, ["setuid usr/bin/s", "waiver usr/bin/s"], []),
         "waiver: of a rule that does not exist")
tap.same(defined(("exec-stack", "usr/bin/e", WHY), change=dict(files=[entry("usr/bin/e", slurp(tmp + "/stack"), mode=0o755)])),
         (1, ["exec-stack usr/bin/e", "waiver usr/bin/e"], []), "waiver: of a rule that allows none")
rc, out, err = run(ocibuild, "check", "--waived", "--images", tmp + "/images", "--build", tmp + "/build", "im")
tap.ok(rc == 1 and "exec-stack" in out and "its stack is executable" in out and "noexecstack" in out,
       "the table has rule, why and what to do", out, err)

# ---- errors ---------------------------------------------------------------------------


def fails(status, text, name, *args):
    rc, out, err = run(ocibuild, "check", *args)
    tap.ok(rc == status and text in err and err.count("\n") == 1 and not out, name, f"exit {rc}", out, err)


where = ["--images", tmp + "/images", "--build", tmp + "/build"]
fails(5, "there is no image 'none'", "an image that nobody knows", *where, "none")
fails(5, "is no OCI layout", "a folder that is no layout", tmp + "/nothing:x")
fails(2, "--variant is", "a variant that does not exist", "--variant", "x", make())

# ---- the images of this repository ---------------------------------------------------------
real = os.environ["BUILD"] + "/images/index.json"
if os.path.exists(real):
    with open(real) as f:
        refs = [m.get("annotations", {}).get("org.opencontainers.image.ref.name", ":") for m in json.load(f)["manifests"]]
    rc, out, err = run(ocibuild, "check", *[r for r in refs if ":" not in r], cwd=os.environ["SRC"])
    tap.ok(rc == 0, f"images of this repository: {' '.join(r for r in refs if ':' not in r)}", err, out)
else:
    print("# not run: check of the images of this repository: `make images` builds them")

rc, out, err = run(ocibuild, "check", "--rules", "--json")
rules = {r["rule"] for r in json.loads(out)}
tap.same(sorted(rules - tested), [], "every rule has an image that breaks it")
tap.same(sorted(tested - rules), [], "… and is in the table that --rules prints")
shutil.rmtree(tmp)
tap.done()
