#!/usr/bin/python3
# Archives of images where a layout is expected (check, diff, inspect): in the three forms
# that engines write, damaged, and hostile. The bundle of `ocibuild save --bundle`, too.
import contextlib
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from layout import REF, Layout, Tap, d, entry, l, sha, tar  # noqa: E402

tap = Tap()
tmp = tempfile.mkdtemp()
os.chdir(tmp)
os.mkdir("t")
ocibuild = os.environ["BIN"] + "/ocibuild"
CONFIG = {"User": "65532:65532", "Env": ["PATH=/usr/bin"], "Labels": {
    "org.opencontainers.image." + n: "x" for n in ("title", "description", "licenses", "version", "created")}}
FILES = [d("usr"), d("usr/bin"), entry("usr/data", "what is in it")]


def run(*args):
    return subprocess.run([ocibuild, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                          env=dict(os.environ, TMPDIR=tmp + "/t"))


def refused(status, words, name, *args):
    r = run(*args)
    tap.ok(r.returncode == status and words in r.stderr and r.stderr.count("\n") == 1, name, r.returncode, r.stderr)
    tap.same(os.listdir("t"), [], "… and nothing is left in TMPDIR")


def check(path, *args):
    r = run("check", "--json", *args, path)
    return (r.returncode, *([json.loads(r.stdout)[0]] if r.stdout else [r.stderr]))


def rules(got):
    return [f["rule"] for f in got["findings"]] if isinstance(got, dict) else got


def config(layers):
    return json.dumps({"architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z", "config": CONFIG,
                       "rootfs": {"type": "layers", "diff_ids": ["sha256:" + sha(x) for x in layers]}}).encode()


def archive(path, members, press=None):
    """members: name to bytes, or to a string: a symbolic link; or a list of entries"""
    if isinstance(members, dict):
        members = [l(n, b) if isinstance(b, str) else entry(n, b) for n, b in members.items()]
    data = tar(members)
    with open(path, "wb") as f:
        f.write(press(data) if press else data)


def manifest(**more):
    return json.dumps([{"Config": "c.json", "RepoTags": ["app:1"], "Layers": ["a/layer.tar"], **more}]).encode()


one, two = tar(FILES), tar([entry("usr/more", "of it")])

# ---- the forms
# docker 20.10: folders with layer.tar, links for layers that it had already
archive("docker.tar", {"a/layer.tar": one, "b/layer.tar": two, "c/layer.tar": "../b/layer.tar",
                       "c.json": config([one, two, two]),
                       "manifest.json": manifest(Layers=["a/layer.tar", "b/layer.tar", "c/layer.tar"])})
# podman: files beside each other
archive("podman.tar", {"1.tar": one, "2.tar": two, "c.json": config([one, two, two]),
                       "manifest.json": manifest(Layers=["1.tar", "2.tar", "2.tar"], RepoTags=["localhost/app:1"])})
archive("podman.tar.gz", {"1.tar": one, "c.json": config([one]), "manifest.json": manifest(Layers=["1.tar"])},
        lambda b: gzip.compress(b, mtime=0))
lay = Layout("lay")
lay.index.append({**lay.image("app", [one, two, two], CONFIG), "annotations": {REF: "docker.io/x/app:latest"}})
lay.write()


def pack(path, layout):
    with tarfile.open(path, "w") as t:
        t.add(layout, ".")


pack("oci.tar", "lay")
for form in ("docker.tar", "podman.tar", "oci.tar"):
    rc, got = check(form, "--derived")
    tap.same((rc, rules(got)), (0, []), form + " keeps the policy")
    tap.same(got["left_out"], ["sbom"], "… without the rule that it cannot keep")
    tap.same(got["files"], 5, "… with the files of all layers")
tap.same(check("podman.tar.gz", "--derived")[0], 0, "a compressed archive")
tap.same(rules(check("docker.tar")[1]), ["sbom"], "without --derived that rule is not left out")
r = run("check", "--derived", "docker.tar")
tap.ok("docker.tar: the rule 'sbom' was left out" in r.stdout, "… and otherwise it is said", r.stdout)
tap.same(run("diff", "docker.tar", "podman.tar").returncode, 0, "docker's and podman's are equal")
tap.same(check("docker.tar:app:1", "--derived")[0], 0, "an image by its name")
tap.same(check("podman.tar:app:1", "--derived")[0], 0, "… without the engine's own registry")
tap.same(check("oci.tar:x/app", "--derived")[0], 0, "… without Docker's and the tag latest")
refused(5, "there is no image 'app:2' in", "a name that is not in it", "check", "docker.tar:app:2")
tap.same(os.listdir("t"), [], "nothing is left in TMPDIR")

# ---- findings and waivers
bad = tar([*FILES, entry("usr/bin/sh", "#!/bin/false\n", mode=0o755), entry("usr/open", "x", mode=0o666)])
archive("bad.tar", {"a/layer.tar": bad, "c.json": config([bad]), "manifest.json": manifest()})
rc, got = check("bad.tar", "--derived")
tap.same((rc, sorted(set(rules(got)))), (1, ["script", "shell", "world-writable"]), "findings in an archive")
found = sorted(set((f["rule"], f["path"]) for f in got["findings"]))


def waivers(rows):
    with open("w.yaml", "w") as f:
        f.write("waivers:\n" + "".join(f"  - {{rule: {r}, path: {p}, reason: {why}}}\n" for r, p, why in rows))
    return check("bad.tar", "--derived", "--waivers", "w.yaml")


rc, got = waivers([(r, p, "as the test wants it") for r, p in found])
tap.same((rc, len(got["waived"])), (0, len(found)), "waivers of a file")
rc, got = waivers([*[(r, p, "as the test wants it") for r, p in found], ("setuid", "usr/x", "nothing needs this one")])
tap.same((rc, rules(got)), (1, ["waiver"]), "… of which each must be needed")
waivers([("shell", "usr/bin/sh", "short")])
refused(2, "w.yaml:2", "… and has a reason", "check", "bad.tar", "--waivers", "w.yaml")
with open("w.yaml", "w") as f:
    f.write("waiver: []\n")
refused(2, "waiver", "… and no other key", "check", "bad.tar", "--waivers", "w.yaml")
refused(1, "none.yaml", "a file that is not there", "check", "bad.tar", "--waivers", "none.yaml")

# ---- what a definition waives holds for what others build on its image
os.mkdir("images")
with open("images/base.yaml", "w") as f:
    f.write("summary: a base\nfiles: [{path: usr/open, mode: '0666', text: x}]\n"
            "image: {title: base, version: project, licenses: MIT, labels: {signbox.variant: runtime}}\n"
            "waivers: [{rule: world-writable, path: usr/open, reason: the base wants it so}]\n")
base = tar([*FILES, entry("usr/open", "x", mode=0o666)])
lay = Layout("on/images")
lay.image("base", [base], CONFIG)
for name, layers, want in (("on", [base, two], (0, "base", [])), ("beside", [two, base], (1, None, ["world-writable"])),
                           ("replaced", [base, tar([entry("usr/open", "y", mode=0o666)])], (1, "base", ["world-writable"])),
                           ("worse", [base, tar([entry("usr/too", "x", mode=0o666)])], (1, "base", ["world-writable"]))):
    archive(name + ".tar", {"0": layers[0], "1": layers[1], "c.json": config(layers), "manifest.json": manifest(Layers=["0", "1"])})
    rc, got = check(name + ".tar", "--derived", "--build", "on")
    tap.same((rc, got["base"], rules(got)), want, "a base whose waivers hold: " + name)
tap.same(check("on.tar", "--build", "on")[0], 1, "… not without --derived")
r = run("check", "--derived", "--build", "on", "on.tar")
tap.ok("on.tar: it stands on base, whose waivers hold for it" in r.stdout, "… and it is said", r.stdout, r.stderr)
refused(2, "its waivers are there", "an image of a definition takes no other waivers", "check", "base", "--build", "on", "--derived")

# ---- inspect
r = run("inspect", "docker.tar")
tap.ok("docker.tar: 1 image, 4 blobs, each what its name says" in r.stdout, "inspect", r.stdout, r.stderr)
got = json.loads(run("inspect", "--json", "podman.tar").stdout)["images"]
tap.same([(i["names"], i["id"], i["layers"]) for i in got], [(["localhost/app:1"], "sha256:" + sha(config([one, two, two])), 3)],
         "… as JSON")

# ---- damaged
data = open("oci.tar", "rb").read()
for n, what in ((3000, "in its first blob"), (len(data) // 2, "in the middle"), (len(data) - 10300, "at its end")):
    open("cut.tar", "wb").write(data[:n])
    r = run("inspect", "cut.tar")
    tap.ok(r.returncode in (8, 9) and "cut.tar" in r.stderr and r.stderr.count("\n") == 1, "cut off " + what, r.returncode, r.stderr)
blob = max(os.listdir("lay/blobs/sha256"), key=lambda n: os.path.getsize("lay/blobs/sha256/" + n))
for name in os.listdir("lay/blobs/sha256"):
    body = open("lay/blobs/sha256/" + name, "rb").read()
    k = data.index(body) + len(body) // 2
    open("flip.tar", "wb").write(data[:k] + bytes([data[k] ^ 1]) + data[k + 1:])
    refused(8, f"flip.tar is damaged: sha256:{name[:12]}", "one bit of a blob", "inspect", "flip.tar")
    tap.ok(check("flip.tar", "--derived")[0] in (8, 9), "… and check refuses it")
os.remove("lay/blobs/sha256/" + blob)
pack("lost.tar", "lay")
refused(8, "is missing", "a blob that is missing", "inspect", "lost.tar")
open("text", "w").write("no archive\n" * 100)
open("empty", "w").close()
for f in ("text", "empty"):
    r = run("inspect", f)
    tap.ok(r.returncode == 9 and f in r.stderr, "no archive: " + f, r.returncode, r.stderr)
archive("other.tar", {"a": b"b"})
refused(9, "other.tar is no archive of images", "a tar of something else", "inspect", "other.tar")
archive("many.tar", {"c.json": b"{}", "l.tar": b"x", "manifest.json": json.dumps(
    [{"Config": "c.json", "Layers": ["l.tar"] * 513, "RepoTags": []}]).encode()})
refused(9, "manifest.json is malformed", "more layers than an image has", "inspect", "many.tar")

# ---- hostile
os.mkdir("outside")
open("outside/file", "w").write("mine")
hostile = {
    "a name with ..": [entry("../outside/new", "x"), entry("manifest.json", manifest())],
    "a file twice": [entry("manifest.json", manifest()), entry("manifest.json", manifest())],
    "a link out of it": [l("a/layer.tar", "../../outside/file"), entry("c.json", config([one])), entry("manifest.json", manifest())],
    "an absolute link": [l("a/layer.tar", tmp + "/outside/file"), entry("c.json", config([one])), entry("manifest.json", manifest())],
    "a hard link out of it": [entry("a/layer.tar", kind="hard", link="../outside/file"), entry("c.json", config([one])),
                              entry("manifest.json", manifest())],
    "a layer outside": [entry("c.json", config([one])), entry("manifest.json", manifest(Layers=["../outside/file"]))],
    "a layer that is a folder": [d("a"), entry("c.json", config([one])), entry("manifest.json", manifest(Layers=["a"]))],
    "a layer that is no text": [entry("c.json", config([one])), entry("manifest.json", manifest(Layers=[7]))],
    "no configuration": [entry("a/layer.tar", one), entry("manifest.json", manifest())],
    "a manifest that is an object": [entry("manifest.json", '{"a": 1}')],
    "an empty manifest": [entry("manifest.json", "[]")],
    "a manifest of rubbish": [entry("manifest.json", "[[[[")],
    "a pipe": [entry("manifest.json", kind="fifo")],
    "an index of rubbish": [entry("index.json", '{"manifests": [{"digest": "sha256:../../../x"}]}')],
}
for what, members in hostile.items():
    archive("h.tar", members)
    for command in (["inspect"], ["check", "--derived"]):
        r = run(*command, "h.tar")
        tap.ok(r.returncode in (1, 5, 8, 9) and r.stderr.count("\n") == 1 and not r.stdout,
               f"{command[0]}: {what}", r.returncode, r.stdout, r.stderr)
# a folder that is a link: its file is the archive's own
archive("h.tar", [l("a", tmp + "/outside"), entry("a/file", one), entry("c.json", config([one])),
                  entry("manifest.json", manifest(Layers=["a/file"]))])
tap.same(check("h.tar", "--derived")[0], 0, "a link to a folder is not followed")
tap.same((os.listdir("outside"), open("outside/file").read()), (["file"], "mine"), "nothing was written outside")
tap.same(os.listdir("t"), [], "nothing is left in TMPDIR")

# ---- ended by a signal: it has more to say than the full pipe takes, so that the folder is there
loud = tar([*FILES, *[entry(f"usr/open{i}", "x", mode=0o666) for i in range(500)]])
archive("loud.tar", {"a/layer.tar": loud, "c.json": config([loud]),
                     "manifest.json": manifest(RepoTags=[f"app:{i}" for i in range(500)])})


def until(what):
    end = time.monotonic() + 60
    while not what() and time.monotonic() < end:
        time.sleep(0.01)
    return what()


def end_by(sig, *args):
    r, w = os.pipe()
    os.set_blocking(w, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(w, b"x")
    os.set_blocking(w, True)
    p = subprocess.Popen([ocibuild, *args], stdin=subprocess.DEVNULL, stdout=w, stderr=subprocess.DEVNULL,
                         env=dict(os.environ, TMPDIR=tmp + "/t"), preexec_fn=lambda: sig == signal.SIGKILL or signal.signal(sig, signal.SIG_DFL))
    os.close(w)
    # blocked in write(1, …): all that it wants to say is said after the unpacking
    there = until(lambda: open(f"/proc/{p.pid}/syscall").read().startswith("1 0x1 ")) and os.listdir("t") != []
    p.send_signal(sig)
    p.wait(60)
    # nobody else has the pipe: it ends with what is in it
    os.set_blocking(r, True)
    with open(r, "rb") as f:
        f.read()
    gone = until(lambda: os.listdir("t") == [])
    tap.same((there, p.returncode, gone), (True, -sig, True),
             f"{args[0]} ended by {sig.name}: with its status, and the folder goes")


for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL):
    end_by(sig, "check", "--derived", "loud.tar:app:1")
end_by(signal.SIGTERM, "inspect", "--json", "loud.tar")
end_by(signal.SIGINT, "diff", "docker.tar", "loud.tar:app:1")

# ---- the bundle
lay = Layout("build/images")
desc = lay.image("app", [one, two], CONFIG)
lay.index.append({**desc, "annotations": {REF: "app:1.2"}})
lay.attach(desc, {"of": "app"})
lay.write()
r = run("save", "--bundle", "-o", "b/bundle.tar")
tap.ok(r.returncode == 1 and not os.path.exists("b"), "save --bundle into a folder that is not there", r.stderr)
os.mkdir("b")
r = run("save", "--bundle", "-o", "b/bundle.tar")
tap.same((r.returncode, sorted(os.listdir("b"))), (0, ["bundle.tar", "bundle.tar.sha256"]), "save --bundle", r.stderr)
r = subprocess.run(["sha256sum", "-c", "bundle.tar.sha256"], cwd="b", capture_output=True, text=True)
tap.same((r.returncode, r.stdout), (0, "bundle.tar: OK\n"), "… with the checksum beside it")
got = json.loads(run("inspect", "--json", "b/bundle.tar").stdout)["images"]
tap.same([(i["names"], len(i["attached"]) > 0) for i in got], [(["docker.io/signbox/app:latest", "docker.io/signbox/app:1.2"], True)],
         "… with names and what is attached")
before = open("b/bundle.tar", "rb").read()
run("save", "--bundle", "-o", "b/bundle.tar")
tap.ok(before == open("b/bundle.tar", "rb").read(), "… the same again")
refused(2, "--bundle writes two files", "not to standard output", "save", "--bundle")
os.chdir("/")
shutil.rmtree(tmp)
tap.done()
