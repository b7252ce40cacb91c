#!/usr/bin/python3
# ocibuild save and load, without an engine: the archive is whole, the same each time, and
# never half there; engines are played by programs that note what they get and can fail.
# What real engines say is in tests/containers/load.t.
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from layout import REF, Layout, Tap, d, entry, sha, tar  # noqa: E402

tap = Tap()
tmp = tempfile.mkdtemp()
os.chdir(tmp)
ocibuild = os.environ["BIN"] + "/ocibuild"
NAMES = "docker.io/signbox/"
NOISE = b"".join(hashlib.sha256(bytes([i >> 8, i & 255])).digest() for i in range(1000))


def run(*args, env=None, **more):
    e = dict(os.environ, **(env or {}))
    return subprocess.run([ocibuild, *args], stdin=subprocess.DEVNULL, capture_output=True, env=e, timeout=60, **more)


def refused(status, words, name, *args, **more):
    r = run(*args, **more)
    err = r.stderr.decode()
    tap.ok(r.returncode == status and words in err and err.count("\n") == 1 and "\n" in err, name, r.returncode, err)


def make(path="build"):
    shutil.rmtree(path, ignore_errors=True)
    lay = Layout(path + "/images")
    base = tar([d("etc"), entry("etc/a", "A" * 5000)])
    more = tar([entry("b", NOISE)])
    for name, layers in (("one", [base]), ("two", [base, more])):
        desc = lay.image(name, layers)
        lay.index.append({**desc, "annotations": {REF: name + ":1.2"}, "platform": {"os": "linux"}})
        lay.attach(desc, {"of": name})
    lay.write()
    return lay


lay = make()

# ---- the archive
tap.same(run("save", "-o", "a.tar").returncode, 0, "save")
t = tarfile.open("a.tar")
names = t.getnames()
tap.same(names[:5], ["oci-layout", "index.json", "manifest.json", "blobs", "blobs/sha256"], "documents come first")
tap.same(len(names), len(set(names)), "a blob is in it once, also when two images have it")
blobs = {n: t.extractfile(n).read() for n in names[5:]}
tap.ok(all(n == "blobs/sha256/" + sha(b) for n, b in blobs.items()), "every blob is what its name says")
index = json.load(t.extractfile("index.json"))
docker = json.load(t.extractfile("manifest.json"))
tap.same([m["annotations"][REF] for m in index["manifests"]],
         [NAMES + x for x in ("one:latest", "one:1.2", "two:latest", "two:1.2")], "names of the index")
tap.same([m["RepoTags"] for m in docker],
         [["signbox/one:latest", "signbox/one:1.2"], ["signbox/two:latest", "signbox/two:1.2"]], "names for docker")
tap.ok("io.containerd" not in json.dumps(index), "no name that podman takes for another registry's")
for m, ref in zip(docker, ("one", "two")):
    desc = next(x for x in index["manifests"] if x["annotations"][REF] == f"{NAMES}{ref}:latest")
    doc = json.loads(blobs["blobs/sha256/" + desc["digest"][7:]])
    tap.same(m["Config"], "blobs/sha256/" + doc["config"]["digest"][7:], f"{ref}: both forms have one configuration")
    tap.same(m["Layers"], ["blobs/sha256/" + x["digest"][7:] for x in doc["layers"]], "… and the same layers")
tap.ok(all(i.mtime == 0 and i.uid == i.gid == 0 and i.uname == "" for i in t.getmembers()), "nothing of the host")
first = open("a.tar", "rb").read()
os.utime("build/images/index.json", (1, 1))
tap.same(run("save", env={"TZ": "Asia/Tokyo", "LANG": "tr_TR.UTF-8"}).stdout, first, "the same bytes on standard output")
tap.same(run("save", "two", "one", "-o", "-").stdout, first, "the order of the names does not matter")
r = run("save", "-o", "b.tar", "--json")
j = json.loads(r.stdout)
tap.same((j["sha256"], [i["name"] for i in j["images"]]), (hashlib.sha256(first).hexdigest(), ["one", "two"]), "--json")
tap.ok(run("save", "one", "-o", "one.tar").returncode == 0
       and [len(m["RepoTags"]) for m in json.load(tarfile.open("one.tar").extractfile("manifest.json"))] == [2],
       "one image, with all its tags")
r = run("save", "one:1.2")
tap.same(r.stdout, open("one.tar", "rb").read(), "a tag names its image")
r = run("save", "one", "--prefix", "host.example:5000/team", "-o", "p.tar")
p = tarfile.open("p.tar")
tap.same(json.load(p.extractfile("manifest.json"))[0]["RepoTags"][0], "host.example:5000/team/one:latest", "a prefix")
tap.same(json.load(p.extractfile("index.json"))["manifests"][0]["annotations"][REF],
         "host.example:5000/team/one:latest", "… which has a registry already")
for bad in ("", "/x", "x/", "a b", "UP", "a//b", "a/b:c"):
    refused(2, "a prefix is", f"no prefix: {bad!r}", "save", "--prefix", bad, "-o", "x.tar")
run("save", "one", "--attached", "-o", "s.tar")
s = tarfile.open("s.tar")
kinds = [m.get("artifactType") for m in json.load(s.extractfile("index.json"))["manifests"]]
tap.same(kinds, [None, None, "application/spdx+json"], "--attached: what refers to it is there, no more")
tap.same(len(json.load(s.extractfile("manifest.json"))), 1, "… and is no image for docker")


# ---- zstd: a frame of raw blocks
def zstd(data):
    out = b"\x28\xb5\x2f\xfd\xa0" + len(data).to_bytes(4, "little")
    blocks = [data[i:i + 100000] for i in range(0, len(data), 100000)] or [b""]
    for i, b in enumerate(blocks):
        out += ((i == len(blocks) - 1) | len(b) << 3).to_bytes(3, "little") + b
    return out


def zstd_layout(press=zstd):
    z = Layout("z/images")
    desc = z.image("one", [tar([entry("b", b"b" * 300000)])], raw=press)
    m = json.load(open("z/images/blobs/sha256/" + desc["digest"][7:]))
    m["layers"][0]["mediaType"] = "application/vnd.oci.image.layer.v1.tar+zstd"
    z.index = [{**z.document(m, m["mediaType"]), "annotations": {REF: "one"}}]
    z.write()
    return m


m = zstd_layout()
r = run("--build", "z", "save", "-o", "z.tar")
tap.ok(r.returncode == 0 and b"plain tar" in r.stderr, "zstd layers are unpacked, and that is said", r.stderr)
z = tarfile.open("z.tar")
entry_ = json.load(z.extractfile("manifest.json"))[0]
layer = z.extractfile(entry_["Layers"][0]).read()
tap.same(entry_["Layers"][0], "blobs/sha256/" + sha(layer), "… a layer is named by what it is")
doc = json.load(z.extractfile("blobs/sha256/" + json.load(z.extractfile("index.json"))["manifests"][0]["digest"][7:]))
tap.same((doc["layers"][0]["mediaType"], doc["layers"][0]["size"]),
         ("application/vnd.oci.image.layer.v1.tar", len(layer)), "… and the manifest says so")
tap.same(entry_["Config"], "blobs/sha256/" + m["config"]["digest"][7:], "… the image id is the same")
for what, press in (("cut off", lambda x: zstd(x)[:-5]), ("damaged", lambda x: zstd(x)[:9] + b"\xff" * 50),
                    ("another content", lambda x: zstd(b"x" + x[1:]))):
    shutil.rmtree("z")
    zstd_layout(press)
    r = run("--build", "z", "save", "-o", "bad.tar")
    tap.ok(r.returncode == 8 and not os.path.exists("bad.tar"), f"a zstd layer, {what}: refused", r.stderr)

# ---- what cannot be saved
refused(5, "nope is not built: run `ocibuild build nope`", "an image that is not there", "save", "nope", "-o", "x.tar")
refused(5, "no image is built", "no layout", "--build", "nowhere", "save", "-o", "x.tar")
refused(2, "--json needs -o", "JSON and an archive do not fit into one pipe", "save", "--json")
refused(9, "is a folder", "a folder as file", "save", "-o", tmp)
refused(1, "cannot create", "a folder that is not there", "save", "-o", "no/x.tar")
refused(2, "compression", "no such form", "--compression", "brotli", "save", "-o", "x.tar")
pid, fd = os.forkpty()
if pid == 0:
    os.execv(ocibuild, [ocibuild, "save"])
text = b""
try:
    while chunk := os.read(fd, 65536):
        text += chunk
except OSError:
    pass
tap.ok(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 2 and b"not for a terminal" in text and len(text) < 300,
       "a terminal gets no archive", text[:200])

open("keep.tar", "w").write("old")
for what, change in (
        ("a changed layer", lambda b: b[:-1] + bytes([b[-1] ^ 1])), ("a layer that is cut off", lambda b: b[:100]),
        ("a layer that has grown", lambda b: b + b"x"), ("an empty layer", lambda b: b"")):
    lay = make()
    layer = max((f"build/images/blobs/sha256/{n}" for n in os.listdir("build/images/blobs/sha256")), key=os.path.getsize)
    data = open(layer, "rb").read()
    open(layer, "wb").write(change(data))
    refused(8, "was changed: remove it and build again", what, "save", "-o", "keep.tar")
    r = run("save")
    tap.ok(r.returncode == 8 and not r.stdout.endswith(b"\0" * 1024), "… on a pipe the archive has no end")
tap.same(open("keep.tar").read(), "old", "the old file is there")
os.unlink(layer)
refused(5, "is missing", "a layer that is gone", "save", "-o", "keep.tar")
for what, text in (("no JSON", "{"), ("no list", '{"manifests": 7}'), ("no digest", '{"manifests": [{"annotations": {"%s": "x"}}]}' % REF),
                   ("a digest with a path", '{"manifests": [{"digest": "sha256:../../../etc/passwd", "annotations": {"%s": "x"}}]}' % REF)):
    open("build/images/index.json", "w").write(text)
    r = run("save", "-o", "keep.tar")
    tap.ok(r.returncode in (5, 8, 9) and r.stderr.count(b"\n") == 1, f"an index: {what}", r.returncode, r.stderr)
lay = make()
before = set(os.listdir("."))
r = subprocess.run(["bash", "-c", f"ulimit -f 1; trap '' XFSZ; exec {ocibuild} save -o keep.tar"], capture_output=True)
tap.ok(r.returncode == 1 and b"cannot write" in r.stderr, "a full disk", r.stderr)
tap.same((open("keep.tar").read(), set(os.listdir("."))), ("old", before), "… leaves the old file, and no other")

# killed while it writes: the reader of the pipe waits, so the archive cannot be whole
big = Layout("big/images")
big.image("big", [tar([entry("b", os.urandom(4 << 20))])])
os.mkfifo("pipe")
p = subprocess.Popen([ocibuild, "--build", "big", "save", "-o", "pipe"])
with open("pipe", "rb") as f:
    f.read(100000)
    p.send_signal(signal.SIGKILL)
    p.wait()
tap.ok(p.returncode == -9, "into a pipe; killed in the middle")
tap.same(run("save", "-o", "/dev/full").returncode, 1, "a device that is full")
tap.same(run("save", "-o", "keep.tar").returncode, 0, "then it works")
tap.same((open("keep.tar", "rb").read(), os.stat("keep.tar").st_mode & 0o777), (first, 0o644), "… and replaces the old one")

# ---- engines, played
os.mkdir("bin")
ENGINE = """#!/bin/sh
echo "$0 $*" >>%(tmp)s/calls
case "$1 $2" in
"version --format") [ ! -e %(tmp)s/%(name)s.down ] || { echo "%(name)s says: down" >&2; exit 1; }; echo 1 ;;
"load ") [ ! -e %(tmp)s/%(name)s.refuses ] || { echo "Error: no space" >&2; exit 3; }
    cat >%(tmp)s/%(name)s.got; cp %(tmp)s/ids %(tmp)s/%(name)s.ids 2>/dev/null || true ;;
"image inspect") shift 4; for t; do grep "^$t " %(tmp)s/%(name)s.ids 2>/dev/null | cut -d' ' -f2 || exit 1; done ;;
esac
"""
for name in ("docker", "podman"):
    with open("bin/" + name, "w") as f:
        f.write(ENGINE % {"tmp": tmp, "name": name})
    os.chmod("bin/" + name, 0o755)
PATH = {"PATH": f"{tmp}/bin:/usr/bin:/bin"}
ids = {}
for m in docker:
    for tag in m["RepoTags"]:
        ids[tag] = m["Config"].split("/")[-1]


def knows(how="sha256:{}"):
    open("ids", "w").write("".join(f"{t} {how.format(i)}\n" for t, i in ids.items()))
    for n in ("docker", "podman"):
        for x in ("ids", "got"):
            if os.path.exists(f"{n}.{x}"):
                os.unlink(f"{n}.{x}")


knows()
r = run("load", "--json", env=PATH)
tap.same([(x["name"], x["engine"], x["loaded"]) for x in json.loads(r.stdout)],
         [("one", "docker", True), ("two", "docker", True)], "load: docker is asked first", r.stderr)
tap.same(open("docker.got", "rb").read(), first, "… and gets the archive")
r = run("load", "--json", env=PATH)
tap.same([x["loaded"] for x in json.loads(r.stdout)], [False, False], "what it has is not sent again")
knows("{}")
tap.ok(b"loaded into podman" in run("load", "--into", "podman", env=PATH).stdout, "podman leaves sha256: out")
got = tarfile.open("podman.got")
plain = json.load(got.extractfile("manifest.json"))
tap.ok(all(sha(got.extractfile(n).read()) == n.split("/")[-1] and tarfile.open(fileobj=got.extractfile(n), mode="r:")
           for m in plain for n in m["Layers"]), "… and gets layers that need no unpacking")
tap.same([m["Config"] for m in plain], [m["Config"] for m in docker], "… of the same images")
for what, change in (("cut off", lambda b: b[:-9]), ("damaged", lambda b: b[:40] + b"\xff" * 30 + b[70:])):
    make()
    layer = max((f"build/images/blobs/sha256/{n}" for n in os.listdir("build/images/blobs/sha256")), key=os.path.getsize)
    data = open(layer, "rb").read()
    open(layer, "wb").write(change(data))
    knows("{}")
    refused(8, "a layer is", f"… one that is {what} is refused", "load", "--into", "podman", env=PATH)
    tap.ok(not os.path.exists("podman.got"), "… before anything is sent")
make()
knows("0{}")
refused(8, "is not image sha256:", "what the engine made of it is another image", "load", env=PATH)
knows()
open("docker.refuses", "w").close()
refused(1, "docker failed (exit 3): Error: no space", "an engine that refuses", "load", env=PATH)
refused(1, "docker failed (exit 3): Error: no space", "… more than a pipe holds", "--build", "big", "load", env=PATH)
open("docker.down", "w").close()
tap.ok(b"loaded into podman" in run("load", env=PATH).stdout, "when docker does not answer, podman is taken")
refused(7, "docker says: down; start dockerd", "… but not in its place", "load", "--into", "docker", env=PATH)
open("podman.down", "w").close()
refused(7, "no container engine answers: docker failed", "no engine answers", "load", env=PATH)
refused(7, "ocibuild save -o FILE", "no engine is there", "load", env={"PATH": "/nowhere"})
refused(2, "there is no engine 'lxc'", "an engine that nobody knows", "load", "--into", "lxc", env=PATH)
tap.ok("load" not in [c.split()[1] for c in open("calls").read().splitlines()[-2:]], "nothing is loaded then")
os.chdir("/")
shutil.rmtree(tmp)
tap.done()
