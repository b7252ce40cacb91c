#!/usr/bin/python3
# ocibuild diff: what it finds between two images; and, with pairs of images of which one
# has in layers what the other has in one, that layers are applied as the image-spec says.
# At the end archives that want out, or to exhaust something.
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from layout import Layout, Tap, d, entry, l, run, sha, tar  # noqa: E402

tap = Tap()
tmp = tempfile.mkdtemp()
ocibuild = os.environ["BIN"] + "/ocibuild"
lay = Layout(tmp + "/lay")
count = 0


def image(*layers, **more):
    global count
    count += 1
    lay.image(f"i{count}", list(layers), **more)
    return f"{tmp}/lay:i{count}"


def diff(a, b, *args):
    rc, out, err = run(ocibuild, "diff", "--json", *args, a, b)
    try:
        return rc, json.loads(out), err
    except ValueError:
        return rc, None, err


def files(got):
    return {f["path"]: (f["change"], {w["attribute"]: (w["a"], w["b"]) for w in f["what"]}) for f in got["files"]}


# ---- files -----------------------------------------------------------------
one = [d("etc"), entry("etc/a", "1"), entry("etc/b", "1"), l("etc/l", "a"), entry("etc/m", "x"), entry("etc/o", "x"),
       entry("etc/t", "x"), entry("etc/gone", "x"), entry("etc/x", "x", xattr={"user.k": "v"}), entry("etc/dev", kind="char", dev=(1, 3))]
two = [d("etc"), entry("etc/a", "1", mtime=1), entry("etc/b", "2"), l("etc/l", "b"), entry("etc/m", "x", mode=0o600),
       entry("etc/o", "x", uid=7, gid=8), d("etc/t"), entry("etc/new", "xyz"), entry("etc/x", "x"), entry("etc/dev", kind="char", dev=(1, 5))]
rc, got, err = diff(image(one), image(two))
tap.same(rc, 1, "exit status 1 when something differs", err)
tap.same(got["equal"], False, "… and equal is false")
want = {
    "etc/b": ("changed", {"sha256": (sha(b"1"), sha(b"2"))}),
    "etc/l": ("changed", {"link": ("a", "b")}),
    "etc/m": ("changed", {"mode": ("0644", "0600")}),
    "etc/o": ("changed", {"owner": ("0:0", "7:8")}),
    "etc/t": ("changed", {"type": ("file", "directory"), "mode": ("0644", "0755"), "size": (1, None), "sha256": (sha(b"x"), None)}),
    "etc/gone": ("removed", {"type": ("file", None), "mode": ("0644", None), "owner": ("0:0", None), "size": (1, None), "sha256": (sha(b"x"), None)}),
    "etc/new": ("added", {"type": (None, "file"), "mode": (None, "0644"), "owner": (None, "0:0"), "size": (None, 3), "sha256": (None, sha(b"xyz"))}),
    "etc/x": ("changed", {"xattrs": ({"user.k": "76"}, None)}),
    "etc/dev": ("changed", {"device": ("1:3", "1:5")}),
}
for path in sorted({*want, *files(got)}):
    tap.same(files(got).get(path), want.get(path), f"files: {path}")
rc, out, err = run(ocibuild, "diff", image(one), image(two))
tap.ok(rc == 1 and "/etc/m" in out and "mode 0644 to 0600" in out and "/etc/new" in out and "added" in out, "the table says it too", out, err)
rc, got, err = diff(image(one), image(one))
tap.same((rc, got and got["equal"]), (0, True), "the same image: exit status 0", err)
rc, got, err = diff(image(one), image([{**e, "mtime": 5} for e in one]))
tap.same((rc, got and got["equal"]), (0, True), "times are no difference", err)
rc, got, err = diff(image(one), image(one, raw=lambda x: subprocess.run(["gzip", "-1nc"], input=x, stdout=subprocess.PIPE, check=True).stdout))
tap.same((rc, got and got["equal"]), (0, True), "nor is compression", err)
rc, got, err = diff(image(one), image(one, raw=lambda x: x))
tap.same((rc, got and got["equal"]), (0, True), "nor that there is none", err)
rc, out, err = run(ocibuild, "diff", image(one), image([{**e, "mtime": 5} for e in one]))
tap.ok(rc == 0 and "nothing differs but times" in out, "… and the text says so", out, err)

# ---- packages, configuration --------------------------------------------------
def status(**versions):
    return "".join(f"Package: {p}\nStatus: {'deinstall ok config-files' if v.endswith('!') else 'install ok installed'}\n"
                   f"Version: {v.rstrip('!')}\nDescription: x\n Version: 9\n\n" for p, v in versions.items())


def slices(**versions):
    return [entry(f"var/lib/dpkg/status.d/{p}", f"Package: {p}\nVersion: {v}\n") for p, v in versions.items()]


def packages(a, b):
    rc, got, err = diff(image(a), image(b))
    return {p["package"]: (p["change"], p["a"], p["b"]) for p in got["packages"]} if got else err


full = [entry("var/lib/dpkg/status", status(a="1.0-1", b="1:2.0", c="1.10", d="3", f="1~rc1", g="2!"))]
tap.same(packages(full, [entry("var/lib/dpkg/status", status(a="1.0-2", b="3.0", c="1.9", e="1", f="1"))]),
         {"a": ("upgraded", "1.0-1", "1.0-2"), "b": ("downgraded", "1:2.0", "3.0"), "c": ("downgraded", "1.10", "1.9"),
          "d": ("removed", "3", None), "e": ("added", None, "1"), "f": ("upgraded", "1~rc1", "1")}, "packages by dpkg's status")
tap.same(packages(slices(a="1", b="2") + [entry("var/lib/dpkg/status.d/a.md5sums", "x  y\n")], slices(a="1", b="2+deb13u1")),
         {"b": ("upgraded", "2", "2+deb13u1")}, "packages by status.d")
rc, got, err = diff(image(slices(a="1")), image(slices(a="1"), [entry("var/lib/dpkg/status.d/.wh.a")]))
tap.same([(p["package"], p["change"]) for p in got["packages"]], [("a", "removed")], "a package that a layer takes away")
a = {"Env": ["A=1", "B=2"], "Entrypoint": ["/x"], "User": "1:1", "Labels": {"k": "v", "m": "n"}, "Volumes": {"/v": {}}}
b = {"Env": ["B=3", "A=1", "C=4"], "Entrypoint": ["/x", "-y"], "User": "1:1", "Labels": {"k": "w"}}
rc, got, err = diff(image(one, config=a), image(one, config=b))
tap.same({c["key"]: (c["a"], c["b"]) for c in got["config"]},
         {"config.Env.B": ("2", "3"), "config.Env.C": (None, "4"), "config.Entrypoint": (["/x"], ["/x", "-y"]),
          "config.Labels.k": ("v", "w"), "config.Labels.m": ("n", None), "config.Volumes./v": (True, None)}, "configuration")

# ---- layers --------------------------------------------------------------------
def is_like(name, layers, flat):
    rc, got, err = diff(image(*layers), image(flat))
    tap.ok(rc == 0 and got["equal"], f"layers: {name}", err, json.dumps(got and got["files"], indent=1))


A, B = entry("d/a", "1"), entry("d/b", "2")
is_like("a whiteout", [[d("d"), A, B], [entry("d/.wh.a")]], [d("d"), B])
is_like("a whiteout of a directory", [[d("d"), A, d("e"), entry("e/x")], [entry(".wh.d")]], [d("e"), entry("e/x")])
is_like("… and the directory again", [[d("d"), A], [entry(".wh.d")], [d("d"), B]], [d("d"), B])
is_like("a whiteout is for lower layers only", [[d("d"), A], [entry("d/.wh.a"), entry("d/a", "new")]], [d("d"), entry("d/a", "new")])
is_like("… in any order", [[d("d"), A], [entry("d/a", "new"), entry("d/.wh.a")]], [d("d"), entry("d/a", "new")])
is_like("a whiteout of nothing", [[d("d"), A], [entry("d/.wh.zzz")]], [d("d"), A])
is_like("an opaque directory", [[d("d"), A, d("d/s"), entry("d/s/x")], [d("d"), entry("d/.wh..wh..opq"), B]], [d("d"), B])
is_like("… in any order", [[d("d"), A], [d("d"), B, entry("d/.wh..wh..opq")]], [d("d"), B])
is_like("a directory's new mode, with all in it", [[d("d"), A], [d("d", mode=0o700)]], [d("d", mode=0o700), A])
is_like("a file over a directory", [[d("d"), A], [entry("d", "x")]], [entry("d", "x")])
is_like("a directory over a link", [[d("e"), l("d", "e")], [d("d"), A]], [d("e"), d("d"), A])
is_like("a file below a link to a directory", [[d("usr"), d("usr/bin"), l("bin", "usr/bin")], [entry("bin/x", "1")]],
        [d("usr"), d("usr/bin"), l("bin", "usr/bin"), entry("usr/bin/x", "1")])
is_like("… of an absolute link that climbs", [[d("usr"), l("bin", "/../../usr")], [entry("bin/x", "1")]],
        [d("usr"), l("bin", "/../../usr"), entry("usr/x", "1")])
is_like("… of an absolute link in a directory", [[d("usr"), d("a"), l("a/bin", "/usr")], [entry("a/bin/x", "1")]],
        [d("usr"), d("a"), l("a/bin", "/usr"), entry("usr/x", "1")])
is_like("a hard link", [[d("d"), A, entry("d/h", kind="hard", link="d/a")]], [d("d"), A, entry("d/h", "1")])
is_like("… whose other name goes", [[d("d"), A, entry("d/h", kind="hard", link="d/a")], [entry("d/.wh.a")]], [d("d"), entry("d/h", "1")])
is_like("… to a lower layer", [[d("d"), A], [entry("d/h", kind="hard", link="./d/a")]], [d("d"), A, entry("d/h", "1")])
is_like("directories that no entry makes", [[entry("x/y/z", "1")]], [d("x"), d("x/y"), entry("x/y/z", "1")])
is_like("names with ./ and slashes", [[d("./d/"), entry("./d//a", "1")]], [d("d"), A])
is_like("the root's own mode", [[d("./", mode=0o700), d("d")]], [d(".", mode=0o700), d("d")])
is_like("one name twice: the last one counts", [[d("d"), entry("d/a", "0"), A]], [d("d"), A])


def zstd(x):
    """A frame of raw blocks (RFC 8878)."""
    out, step = b"\x28\xb5\x2f\xfd\xa0" + len(x).to_bytes(4, "little"), 100000
    for at in range(0, len(x), step):
        part = x[at:at + step]
        out += (len(part) << 3 | (at + step >= len(x))).to_bytes(3, "little") + part
    return out


rc, got, err = diff(image([d("d"), entry("d/a", "y" * 250000)], raw=zstd), image([d("d"), entry("d/a", "y" * 250000)]))
tap.ok(rc == 0 and got["equal"], "layers: zstd", err)

# ---- names of images --------------------------------------------------------------
index = Layout(tmp + "/build/images")
index.image("im", [one])
index.image("im:1.0", [two])
where = ["--build", tmp + "/build"]
tap.same(diff("im", "im:1.0", *where)[0], 1, "NAME and NAME:TAG of the build's layout")
tap.same(diff("im", f"{tmp}/build/images:im", *where)[0], 0, "… and DIR:NAME")
single = Layout(tmp + "/single")
desc = single.image("x", [one])
tap.same(diff(tmp + "/single", "im", *where)[0], 0, "DIR, when there is one image in it")
tap.same(diff(f"{tmp}/single:{desc['digest']}", "im", *where)[0], 0, "DIR:DIGEST")


# ---- bad input -----------------------------------------------------------------------
def refused(status, text, name, *args):
    rc, out, err = run(ocibuild, "diff", *where, *args)
    tap.ok(rc == status and text in err and err.count("\n") == 1 and not out, name, f"exit {rc}", out, err)


good = image([d("d")])
refused(5, "there is no image 'none'", "no such image", "im", "none")
refused(5, "is no OCI layout", "no such layout", "im", tmp + "/nothing:x")
refused(2, "has several images", "DIR with several images", "im", f"{tmp}/lay")
refused(2, "", "one operand", "im")
refused(9, "malformed file name", "a name with ..", good, image([entry("../../etc/x", "1")]))
refused(9, "hard link", "a hard link to what is not there", good, image([entry("h", kind="hard", link="../../etc/passwd")]))
refused(9, "hard link", "a hard link to a directory", good, image([d("d"), entry("h", kind="hard", link="d")]))
refused(9, "no directory", "a file below a file", good, image([entry("a", "1"), entry("a/b", "1")]))
refused(9, "no directory", "links in a circle", good, image([l("a", "b"), l("b", "a"), entry("a/x", "1")]))
refused(9, "", "the root as a file", good, image([entry("./", "1")]))
refused(9, "", "directories without end", good, image([d("/".join(["d"] * 400))]))
refused(9, "", "… through links", good, image([d("/".join(["d"] * 150)), l("l", "/".join(["d"] * 150)), d("l/" + "/".join(["e"] * 150))]))
whole = tar([d("d"), entry("d/a", "x" * 5000)])
refused(9, "", "a tar that is cut off", good, image(whole[:4000]))
refused(9, "", "no tar at all", good, image(b"this is no tar" * 99))
refused(9, "", "a compressed stream that is cut off", good, image(whole, raw=lambda x: gzip.compress(os.urandom(5000) + x)[:4000]))
huge = bytearray(tar([entry("a", "x")]))
huge[124:136] = b"\x80" + (1 << 50).to_bytes(11, "big")
huge[148:156] = b"        "
huge[148:156] = b"%06o\0 " % sum(huge[:512])
refused(9, "", "a file of a petabyte", good, image(bytes(huge)))
refused(8, "unpacked it is", "a layer that is not what the configuration says", good, image([d("d")], diff_ids=["sha256:" + "0" * 64]))
hurt = image([d("d"), entry("d/a", os.urandom(3000))])
rc, got, err = diff(hurt, hurt)
tap.same(rc, 0, "an image is whole", err)
with open(f"{tmp}/lay/index.json") as f:
    ref = [m for m in json.load(f)["manifests"] if hurt.endswith(":" + m["annotations"]["org.opencontainers.image.ref.name"])][0]


def blob(digest):
    return f"{tmp}/lay/blobs/sha256/{digest[7:]}"


with open(blob(ref["digest"])) as f:
    manifest = json.load(f)
layer = blob(manifest["layers"][0]["digest"])
kept = open(layer, "rb").read()
with open(layer, "wb") as f:
    f.write(kept[:-5] + bytes([kept[-5] ^ 1]) + kept[-4:])
refused(8, "it was changed", "a blob that was changed", good, hurt)
with open(layer, "wb") as f:
    f.write(kept + b"\0" * 64)
refused(8, "it was changed", "a blob with something at its end", good, hurt)
os.remove(layer)
refused(1, "cannot open the blob", "a blob that is not there", good, hurt)
os.symlink("/etc/passwd", layer)
refused(1, "cannot open the blob", "a blob that is a link", good, hurt)
with open(blob(ref["digest"]), "a") as f:
    f.write(" ")
refused(8, "was changed", "a manifest that was changed", good, hurt)
bad = Layout(tmp + "/bad")
bad.index = [{"digest": "sha256:../../../../../../etc/passwd", "size": 1, "annotations": {"org.opencontainers.image.ref.name": "x"}}]
bad.write()
refused(9, "without a sha256 digest", "a digest that is a path", good, tmp + "/bad:x")
with open(tmp + "/bad/index.json", "w") as f:
    f.write('{"manifests": [')
refused(9, "index.json", "an index that is no JSON", good, tmp + "/bad:x")
shutil.rmtree(tmp)
tap.done()
