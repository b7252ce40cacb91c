#!/usr/bin/python3
"""SBOMs and provenance. First of a project made here: licences, owners, what is linked,
the same bytes twice, damage and malformed package data. Then of the images in build/images,
read by other people's parsers and compared with the files in the layers."""
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

sys.dont_write_bytecode = True
SRC, BUILD, T, BIN = (os.environ[x] for x in ("SRC", "BUILD", "T", "BIN"))
sys.path[:0] = [SRC + "/tests/cli", SRC + "/tests/cli/sbom"]
from layout import REF, Tap, run  # noqa: E402
from project import ELF, Project, put, read  # noqa: E402

from cyclonedx.model.bom import Bom  # noqa: E402
from cyclonedx.schema import SchemaVersion  # noqa: E402
from cyclonedx.validation.json import JsonStrictValidator  # noqa: E402
from license_expression import get_spdx_licensing  # noqa: E402
from packageurl import PackageURL  # noqa: E402

t = Tap()
tmp = tempfile.mkdtemp()
os.chmod(tmp, 0o755)
sha = lambda b: hashlib.sha256(b).hexdigest()  # noqa: E731

# ---- other people's readers ----
go = dict(os.environ, GOROOT="/usr/lib/go-1.24", GOPATH="/usr/share/gocode", GO111MODULE="off", CGO_ENABLED="0",
          GOFLAGS="-trimpath", GOCACHE=T + "/gocache")
os.makedirs(T, exist_ok=True)
reader = T + "/sbom_read"
status, out, err = run("/usr/lib/go-1.24/bin/go", "build", "-o", reader, SRC + "/tests/cli/sbom/read.go", env=go)
if not t.same(status, 0, "the readers in Go are compiled", err):
    t.done()
known_licences = set(json.loads(read("/usr/lib/python3/dist-packages/cyclonedx/schema/_res/spdx.SNAPSHOT.schema.json"))["enum"])
licensing = get_spdx_licensing()


def go_read(kind, text):
    """What the reader says, or why it refuses."""
    put(tmp + "/doc", text)
    status, out, err = run(reader, kind, tmp + "/doc")
    return json.loads(out) if status == 0 else err


def cyclonedx_complaint(text):
    e = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text.decode())
    if e:
        return repr(e)[:500]
    try:
        Bom.from_json(json.loads(text)).validate()
    except Exception as x:  # whatever the library raises is why it refuses
        return repr(x)[:500]
    return None


def bad_expression(text, refs):
    """None, or what is wrong with an SPDX expression."""
    if text == "NOASSERTION":
        return None
    try:
        parsed = licensing.parse(text)
    except Exception as x:
        return f"{text}: {x!r}"
    for word in re.findall(r"[^\s()]+", text):
        if word in ("AND", "OR", "WITH") or word in refs or word in known_licences:
            continue
        return f"{text}: {word} is unknown"
    return None if parsed is not None else "empty"


def bad_purl(text):
    try:
        again = PackageURL.from_string(text).to_string()
    except ValueError as x:
        return f"{text}: {x}"
    # whether ':' is encoded differs between releases of the specification
    return None if again.replace("%3A", ":") == text else f"{text}: canonical form is {again}"


def blob(layout, digest):
    return f"{layout}/blobs/sha256/{digest[7:]}"


def load(layout):
    """{image: (descriptor, manifest, {artifact type: (row, manifest, document)})}"""
    rows = json.loads(read(layout + "/index.json"))["manifests"]
    images = {m["annotations"][REF]: (m, json.loads(read(blob(layout, m["digest"]))), {}) for m in rows
              if ":" not in m.get("annotations", {}).get(REF, ":")}
    for m in rows:
        if "artifactType" in m:
            a = json.loads(read(blob(layout, m["digest"])))
            for row, _, documents in images.values():
                if row["digest"] == a["subject"]["digest"]:
                    documents[m["artifactType"]] = (m, a, read(blob(layout, a["layers"][0]["digest"])))
    return images


SPDX, CDX, INTOTO = "application/spdx+json", "application/vnd.cyclonedx+json", "application/vnd.in-toto+json"


layers = {}


def layer_files(path):
    """[(path, sha256; None: no regular file; or the path it is another name of)]; dev is in many images."""
    if path not in layers:
        layers[path] = found = []
        with tarfile.open(path, "r:*") as tar:
            for i in tar:
                name = os.path.normpath(i.name).lstrip("/")
                if i.isreg():
                    found.append((name, sha(tar.extractfile(i).read()), None))
                elif not i.isdir():
                    found.append((name, None, os.path.normpath(i.linkname).lstrip("/") if i.islnk() else None))
    return layers[path]


def files_of(layout, manifest):
    """{path: sha256} of the regular files, by tarfile."""
    files = {}
    for layer in manifest["layers"]:
        for name, digest, hard in layer_files(blob(layout, layer["digest"])):
            if digest or hard:
                files[name] = digest or files[hard]
            else:
                files.pop(name, None)
    return files


def check_documents(layout, name, image, package_count):
    """What must be true of the documents of every image; the SPDX reader's result."""
    row, manifest, documents = image
    x = go_read("spdx", documents[SPDX][2])
    if not t.ok(isinstance(x, dict), f"{name}: the SPDX parser reads it", x):
        return None
    t.same(x["Describes"], ["Image"], f"{name}: … it describes the image")
    t.same(x["Packages"]["Image"]["Sha256"], row["digest"][7:], f"{name}: … by its digest")
    truth = files_of(layout, manifest)
    listed = {k[2:]: v["SHA256"] for k, v in x["Files"].items() if k[:2] == "./"}
    wrong = sorted(set(listed.items()) ^ set(truth.items()))
    t.ok(truth and not wrong, f"{name}: … every file with its digest, {len(truth)}", *wrong[:5])
    lost = [f for f, v in x["Files"].items() if v.get("owner", "").count(";") != 1]
    t.same(lost, [], f"{name}: … each is of one package")
    t.ok(sum(p["Purl"].startswith("pkg:deb") for p in x["Packages"].values()) >= package_count, f"{name}: … Debian packages")
    complaints = [bad_expression(p["Declared"], x["Licences"]) for p in x["Packages"].values()]
    complaints += [bad_purl(p["Purl"]) for p in x["Packages"].values()]
    t.same([c for c in complaints if c], [], f"{name}: … licences and purls are well-formed")
    t.same([p["Name"] for p in x["Packages"].values() if not p["Supplier"]], [], f"{name}: … suppliers")
    from_source = {a for a, kind, _ in x["Relations"] if kind == "GENERATED_FROM"}
    t.same({i for i in x["Packages"] if i.startswith("Package-deb-")}, from_source, f"{name}: … each has its source package")

    text = documents[CDX][2]
    t.same(cyclonedx_complaint(text), None, f"{name}: the CycloneDX schema and parser take it")
    c = json.loads(text)
    purls = {p["Purl"] for i, p in x["Packages"].items() if i.startswith("Package-")}
    t.same(purls - {k.get("purl") for k in c["components"]}, set(), f"{name}: … it has the same packages")
    t.same(c["metadata"]["component"]["purl"], x["Packages"]["Image"]["Purl"], f"{name}: … of the same image")
    refs = {k["bom-ref"] for k in c["components"]} | {c["metadata"]["component"]["bom-ref"]}
    t.same({d["ref"] for d in c["dependencies"]}, refs, f"{name}: … and what each depends on")

    p = go_read("intoto", documents[INTOTO][2])
    if t.ok(isinstance(p, dict), f"{name}: the in-toto and SLSA parsers read its provenance", p):
        t.same((p["Subject"], p["PredicateType"]), (row["digest"][7:], "https://slsa.dev/provenance/v1"), f"{name}: … its subject")
        t.same(p["External"]["image"], name, f"{name}: … the image")
        t.same(p["Byproducts"], {f"{name}.spdx.json": sha(documents[SPDX][2]), f"{name}.cdx.json": sha(text)},
               f"{name}: … it names both SBOMs")
        deb = {v["Name"]: v["Sha256"] for i, v in x["Packages"].items() if i.startswith("Package-deb-")}
        t.same({k: v for k, v in deb.items() if p["Dependencies"].get(k) != v}, {}, f"{name}: … and every package by digest")
    return x


# ---- a project of our own ----
p = Project(tmp)
FORMAT = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
dep5 = {
    "l-simple": ("License: Expat", "MIT"),
    "l-or": ("License: GPL-2+ or Artistic", "GPL-2.0-or-later OR Artistic-1.0-Perl"),
    "l-and": ("License: ISC and BSD-3-clause", "BSD-3-Clause AND ISC"),
    "l-comma": ("License: GPL-1+ or Artistic, and Expat", "(GPL-1.0-or-later OR Artistic-1.0-Perl) AND MIT"),
    "l-list": ("License: Expat, ISC", "ISC AND MIT"),
    "l-tight": ("License: Expat or ISC and Zlib", "MIT OR ISC AND Zlib"),
    "l-with": ("License: GPL-3+ with Bison exception", "GPL-3.0-or-later WITH Bison-exception-2.2"),
    "l-unknown": ("License: Strange-1+\n Do as\n .\n you like.", "LicenseRef-Debian-Strange-1-plus-" + sha(b"Do as\n\nyou like.")[:8]),
    "l-twice": ("License: Expat\n\nFiles: y\nLicense: expat", "MIT"),
    "l-dangling": ("License: Expat and", None),
    "l-empty": ("License:", None),
    "l-latin": ("License: Odd\n caf\udce9.", None),
}
for name, (text, _) in dep5.items():
    p.package(name, "1", {f"usr/share/l/{name}": "x"}, copyright=os.fsencode(FORMAT + "\nFiles: *\n" + text + "\n"))
p.package("base", "1:2.0-3+b1", {"usr/lib/rel": "A=1\n", "etc/conf": "c\n", "usr/lib/Fő.txt": "utf\n"},
          control="Source: basis (1:2.0-3)\nHomepage: https://example.org/\nDepends: tool (>= 1) | other, nothere\n")
p.package("tool", "2~rc1-1", {"usr/bin/tool": ELF}, control="Source: tools\nBuilt-Using: glib (= 1:2-1)\n"
          "Static-Built-Using: glib (= 1:2-1), golib (= 0.1+x-1)\n", maintainer="Jane Doe <jane@example.org>")
p.package("static-dev", "3-1", {"usr/lib/libstatic.a": "archive"})
put(tmp + "/images/dev.yaml", "summary: compiler\nsuites: [trixie]\nslices:\n"
    "  - {package: static-dev, suite: trixie, files: [usr/lib/libstatic.a]}\n")
put(tmp + "/images/st.yaml", "summary: A base\nsuites: [trixie, trixie-security]\nslices:\n"
    "  - {package: base, files: [usr/lib/rel, etc/conf, 'usr/lib/F*.txt']}\n"
    + "".join(f"  - {{package: {n}, files: [usr/share/l/{n}]}}\n" for n in dep5)
    + "files:\n  - {path: usr/lib/rel, set: {A: b}}\n  - {path: etc/own, text: x}\n"
    "image: {title: st, licenses: MIT, user: '1:1', workdir: /, cmd: [/x],\n"
    "  annotations: {org.opencontainers.image.source: 'https://example.org/x.git'}}\n")
put(tmp + "/images/app.yaml", "summary: An application\nbase: st\nslices:\n"
    "  - {package: tool, files: [usr/bin/tool]}\n"
    "files:\n  - {path: usr/bin/app, copy: build/bin/app}\n  - {path: etc/conf, text: replaced}\n"
    "image: {title: app, entrypoint: [/usr/bin/app]}\n")
put(tmp + "/build/bin/app", ELF + b"app", 0o755)
put(tmp + "/build/bin/app.linked", "static-dev 3-1 /usr/lib/libstatic.a\nstatic-dev 3-1 /usr/lib/other.a\n")
p.lock()


def builds(name, *args, **more):
    status, out, err = p.run("build", *args, **more)
    return t.same((status, err), (0, ""), name, out)


layout = tmp + "/build/images"
builds("a project of our own")
first = load(layout)
t.same(set(first), {"st", "app"}, "… two images")
for name in first:
    x = check_documents(layout, name, first[name], 2)
    if name == "st":
        st = x
    else:
        app = x
t.ok(st["Namespace"] != app["Namespace"] and json.loads(first["st"][2][CDX][2])["serialNumber"]
     != json.loads(first["app"][2][CDX][2])["serialNumber"], "each document has a name of its own", st["Namespace"], app["Namespace"])
owner = {k[2:]: v["owner"][:-1] for k, v in app["Files"].items()}
for path, want in (("usr/lib/rel", "base"), ("usr/lib/Fő.txt", "base"), ("etc/own", "signbox"), ("usr/bin/app", "signbox"),
                   ("usr/bin/tool", "tool"), ("usr/share/doc/static-dev/copyright", "static-dev"),
                   ("etc/conf", "signbox"), ("var/lib/dpkg/status.d/tool", "signbox")):
    t.same(owner.get(path), want, f"{path} is of {want}")
t.same(st["Files"]["./etc/conf"]["owner"], "base;", "… and what it replaced was the package's")
by_name = {v["Name"]: v for i, v in st["Packages"].items() if i.startswith("Package-")}
for name, (_, want) in dep5.items():
    got = by_name[name]["Declared"]
    if want:
        t.same(got, want, f"licence {name}")
    else:
        t.ok(st["Licences"].get(got.split(" ")[0]), f"licence {name} is a reference", got)
t.same(st["Licences"][dep5["l-unknown"][1]], "Do as\n\nyou like.", "… with the text of what SPDX does not know")
t.ok("is in the file /usr/share/doc/l-latin/copyright of the image" in st["Licences"][by_name["l-latin"]["Declared"]],
     "a text that is not UTF-8 is told by its place", st["Licences"])
t.ok(re.fullmatch(r"LicenseRef-Debian-copyright-[0-9a-f]{8}", by_name["base"]["Declared"]), "free text is a reference", by_name["base"])
t.same(by_name["base"]["Purl"], "pkg:deb/debian/base@1:2.0-3%2Bb1?arch=amd64&distro=debian-13&upstream=basis%401:2.0-3",
       "purl: epoch, and the source package of another version")
tool = [v for v in app["Packages"].values() if v["Name"] == "tool"][0]
t.same(tool["Purl"], "pkg:deb/debian/tool@2~rc1-1?arch=amd64&distro=debian-13&upstream=tools", "purl: source of the same version")
names = {i: v["Name"] for i, v in app["Packages"].items()}
relations = {(names.get(a, "?"), kind, names.get(b, "file")) for a, kind, b in app["Relations"]}
t.ok({("tool", "GENERATED_FROM", "tools"), ("tool", "STATIC_LINK", "glib"), ("tool", "STATIC_LINK", "golib")} <= relations,
     "source, and what Debian linked in", relations)
linked = [(a, names[b]) for a, kind, b in app["Relations"] if kind == "STATIC_LINK" and a.startswith("File-")]
t.same([b for _, b in linked], ["static-dev"], "the program is linked with a package, once")
ids = {f["SPDXID"][8:]: f["fileName"] for f in json.loads(first["app"][2][SPDX][2])["files"]}
t.same([ids[a] for a, _ in linked], ["./usr/bin/app"], "… and it is the program")
doc = json.loads(first["app"][2][SPDX][2])
t.same({v["name"]: v.get("originator") for v in doc["packages"] if v["name"] in ("tool", "base") and "originator" in v},
       {"tool": "Person: Jane Doe (jane@example.org)", "base": "Organization: A Team (team@lists.example.org)"}, "who maintains it")
t.same((doc["creationInfo"]["created"], doc["creationInfo"]["creators"][0][:15]), ("2026-01-31T00:00:00Z", "Tool: ocibuild-"), "its date is the lock's")
c = json.loads(first["app"][2][CDX][2])
depends = {d["ref"].split("?")[0]: [x.split("?")[0] for x in d["dependsOn"]] for d in c["dependencies"]}
t.same(depends["pkg:deb/debian/base@1:2.0-3%2Bb1"], ["pkg:deb/debian/tool@2~rc1-1"], "CycloneDX: Depends, as far as it is there")
t.same(depends["file:/usr/bin/app"], ["pkg:deb/debian/static-dev@3-1"], "… and what is linked")
for name in first:
    for kind, tail in ((SPDX, "spdx.json"), (CDX, "cdx.json"), (INTOTO, "intoto.json")):
        t.same(sha(read(f"{tmp}/build/sbom/{name}.{tail}")), sha(first[name][2][kind][2]), f"build/sbom/{name}.{tail}")
for form, kind in (("spdx", SPDX), ("cyclonedx", CDX), ("provenance", INTOTO)):
    status, out, err = p.run("sbom", "app", "--format", form)
    t.ok((status, err, out.encode()) == (0, "", first["app"][2][kind][2] + b"\n"), f"sbom --format {form}")
status, out, err = p.run("sbom", "app")
t.ok(re.search(r"^static-dev +3-1 +linked +1 ", out, re.M) and re.search(r"^tool +2~rc1-1 +files +2 ", out, re.M), "sbom: the table", out, err)
status, out, err = p.run("sbom", "app", "--json")
rows = {r["package"]: r for r in json.loads(out)}
t.same((rows["static-dev"]["why"], rows["tool"]["files"], rows["base"]["licence"]), ("linked", 2, by_name["base"]["Declared"]), "… as JSON")
t.same(p.run("sbom", "app", "--format", "text")[0], 2, "an unknown format")
t.same(p.run("sbom", "gone")[0], 2, "an unknown image")
t.same(p.run("sbom")[0], 2, "no image")

# ---- the same bytes, and the commit ----
def index(where):
    return sha(read(where + "/images/index.json"))


one = index(tmp + "/build")
other = tmp + "/a/longer/folder"
shutil.copytree(tmp + "/images", other + "/images")
shutil.copytree(tmp + "/build/bin", other + "/build/bin")
builds("in another folder, with another umask, TZ and HOME", cwd=other, umask=0o077, env={"TZ": "Asia/Tokyo", "LANG": "C", "HOME": other})
t.same(index(other + "/build"), one, "… every document is the same")
t.ok({f: read(f"{other}/build/sbom/{f}") for f in os.listdir(other + "/build/sbom")}
     == {f: read(f"{tmp}/build/sbom/{f}") for f in os.listdir(tmp + "/build/sbom")}, "… and the files for people")
commit = "0123456789abcdef" * 2 + "01234567"
before = {m["annotations"][REF]: m["digest"] for m in json.loads(read(layout + "/index.json"))["manifests"]
          if REF in m.get("annotations", {})}
builds("with a commit", "--revision", commit)
second = load(layout)
t.ok({n: (v[0], v[2][SPDX], v[2][CDX]) for n, v in second.items()} == {n: (v[0], v[2][SPDX], v[2][CDX]) for n, v in first.items()},
     "… images and SBOMs are the same")
said = go_read("intoto", second["app"][2][INTOTO][2])
t.same((said["Commit"], said["Source"]), (commit, "git+https://example.org/x.git@" + commit), "… the provenance names it")
t.same(second["app"][2][INTOTO][0]["annotations"]["org.opencontainers.image.revision"], commit, "… and its annotation")


def tags():
    return {m["annotations"][REF]: m["digest"] for m in json.loads(read(layout + "/index.json"))["manifests"]
            if REF in m.get("annotations", {})}


short = "app:" + commit[:12]
t.ok(short not in before and tags().get(short) == tags()["app"] == before["app"], "… and a tag of the image, which is the same", tags())
t.ok(commit[:12] in next(i["tags"] for i in json.loads(p.run("ls", "--json")[1]) if i["name"] == "app"), "… that ls tells")
t.ok(all(commit[:12] in json.loads(p.run(*c, "app", "--json")[1])["tags"] for c in (("show", "--expanded"), ("inspect",))), "… and show, inspect")
t.same(p.run("save", short, "-o", tmp + "/short.tar")[0], 0, "… and save takes")
os.unlink(tmp + "/short.tar")
builds("without one again")
t.ok(load(layout) == second, "… what is true of an image that was not built again stays")
builds("with it in the other folder", "--revision", commit, cwd=other)
t.same(index(other + "/build"), index(tmp + "/build"), "… two clones of one commit are equal")
for bad in ("main", commit[:39], commit.upper(), commit + "0", "'"):
    t.same(p.run("build", "--revision", bad)[0], 2, f"--revision {bad}")
put(tmp + "/images/st.yaml", read(tmp + "/images/st.yaml") + b"# a comment\n")
builds("after a comment in a definition")
third = load(layout)
t.same(third["app"][0], second["app"][0], "… the image is the same")
t.ok(third["app"][2][INTOTO][2] != second["app"][2][INTOTO][2], "… the provenance names the definition's digest")

# ---- damage ----
for kind in (SPDX, CDX, INTOTO):
    document = third["app"][2][kind]
    path = blob(layout, document[1]["layers"][0]["digest"])
    form = {SPDX: "spdx", CDX: "cyclonedx", INTOTO: "provenance"}[kind]
    at = document[2].index(b"app") + 1
    put(path, document[2][:at] + b"P" + document[2][at + 1:])
    status, out, err = p.run("sbom", "app", "--format", form)
    t.same((status, out), (8, ""), f"{form}: one byte changed is refused")
    t.ok(re.fullmatch(r"ocibuild: app: \S+ was changed: remove it and build again\n", err), "… in one line", err)
    os.unlink(path)
    builds(f"{form}: lost")
    t.ok(load(layout)["app"] == third["app"], "… is made again, the same")
layer = blob(layout, third["app"][1]["layers"][0]["digest"])
good = read(layer)
put(layer, gzip.compress(b"x"))
status, out, err = p.run("sbom", "app")
t.ok(status in (8, 9) and err.startswith("ocibuild: app: ") and err.count("\n") == 1 and not out, "a layer that was changed", err)
put(layer, good)
# the readers see what a changed document says
text = third["app"][2][SPDX][2]
sum1 = re.search(rb'"algorithm":"SHA1","checksumValue":"([0-9a-f]{40})"', text)
flip = lambda b, at: b[:at] + (b"0" if b[at:at + 1] != b"0" else b"1") + b[at + 1:]  # noqa: E731
t.ok("verification code" in str(go_read("spdx", flip(text, sum1.start(1)))), "a changed SHA-1 is found by the SPDX reader")
t.ok(isinstance(go_read("spdx", text.replace(b'"relatedSpdxElement":"SPDXRef-File-', b'"relatedSpdxElement":"SPDXRef-Gone-', 1)), str),
     "a relationship to nothing is found by the SPDX reader")
t.ok(isinstance(go_read("spdx", text.replace(b'"SPDX-2.3"', b'"SPDX-9.9"', 1)), str), "an unknown version is found by the SPDX reader")
t.ok(cyclonedx_complaint(third["app"][2][CDX][2].replace(b'"alg":"SHA-256"', b'"alg":"SHA-257"', 1)), "an unknown hash is found by the CycloneDX reader")
t.ok(cyclonedx_complaint(third["app"][2][CDX][2].replace(b'"type":"library"', b'"kind":"library"', 1)), "an unknown member is found by the CycloneDX reader")
t.ok(isinstance(go_read("intoto", third["app"][2][INTOTO][2].replace(b'"buildType"', b'"buildtype"', 1)), str),
     "an unknown member is found by the SLSA reader")
t.ok(isinstance(go_read("intoto", third["app"][2][INTOTO][2].replace(b'"_type":"https://in-toto.io/Statement/v1"', b'"_type":"x"', 1)), str),
     "an unknown statement is found by the in-toto reader")
t.ok(bad_expression("GPL-2.0-or-later AND Nonsense-1", {}), "an unknown licence is found")
t.ok(bad_purl("pkg:deb/debian/a@1+b?arch=amd64"), "a purl that is not canonical is found")

# ---- package data that is malformed ----
keep = index(tmp + "/build")
for name, more, pattern in (
    ("using", dict(control="Static-Built-Using: a\n"), r"malformed Built-Using of bad"),
    ("source", dict(control="Source: a/b\n"), r"malformed field Source"),
    ("latin", dict(maintainer=b"Caf\xe9 <x@example.org>"), None),
    ("nobody", dict(control="Homepage:\n"), None),
    ("name", dict(files={"usr/lib/bad": "x", "usr/lib/bad\udcff": b"x"}), r"the name 'usr/lib/bad\S*' of bad is not UTF-8"),
):
    p.package("bad", "1", **{"files": {"usr/lib/bad": "x"}, **more})
    put(tmp + "/images/bad.yaml", "summary: x\nsuites: [trixie]\nslices:\n  - {package: bad, suite: trixie, files: ['usr/lib/bad*']}\n"
        "image: {title: bad, user: '1:1', workdir: /, cmd: [/x]}\n")
    p.lock()
    status, out, err = p.run("build", "bad")
    if pattern:
        t.ok(status == 9 and re.fullmatch(rf"ocibuild: [^\n]*{pattern}[^\n]*\n", err), f"{name}: is refused", status, err)
        t.same(index(tmp + "/build"), keep, "… and the layout is the old one")
    else:
        t.same((status, err), (0, ""), f"{name}: is built")
        image = load(layout)["bad"]
        t.ok(isinstance(go_read("spdx", image[2][SPDX][2]), dict) and not cyclonedx_complaint(image[2][CDX][2]), "… and read")
        os.unlink(tmp + "/images/bad.yaml")
        p.lock()
        t.ok(os.path.exists(tmp + "/build/sbom/bad.spdx.json"), "… its SBOM is in build/sbom")
        builds("without it")
        t.same([f for f in os.listdir(tmp + "/build/sbom") if f.startswith("bad")], [], "… and is gone with it")
        keep = index(tmp + "/build")
os.unlink(tmp + "/images/bad.yaml")
p.lock()
put(tmp + "/build/bin/app.linked", "elsewhere 1 /usr/lib/x.a\n")
status, out, err = p.run("build", "app")
t.ok(status == 1 and re.fullmatch(r"ocibuild: [^\n]*linked with elsewhere 1[^\n]*\n", err), "linked with what is not locked", status, err)
t.same(index(tmp + "/build"), keep, "… and the layout is the old one")
shutil.rmtree(tmp + "/build/images")
put(tmp + "/build/bin/app.linked", "static-dev 3-1 /usr/lib/libstatic.a\n")
builds("all of it again")
t.same({n: v[0] for n, v in load(layout).items()}, {n: v[0] for n, v in third.items()}, "… the images are those of before")

# ---- the images ----
layout = BUILD + "/images"
if t.ok(os.path.exists(layout + "/index.json"), "images are built (`make images`)"):
    images = load(layout)
    t.ok(len(images) >= 5, "images", sorted(images))
    for name in sorted(images):
        x = check_documents(layout, name, images[name], 1)
        t.same(run(BIN + "/ocibuild", "sbom", name, "--json", cwd=SRC)[0], 0, f"{name}: ocibuild sbom")
        if x and name == "hsm":
            names = {i: v["Name"] for i, v in x["Packages"].items()}
            found = {f["SPDXID"][8:]: f["fileName"] for f in json.loads(images[name][2][SPDX][2])["files"]}
            links = {(found[a], names[b]) for a, kind, b in x["Relations"] if kind == "STATIC_LINK" and a in found}
            t.ok({("./usr/bin/hsm-keyd", "libsodium-dev"), ("./usr/bin/hsm-store", "liblmdb-dev"), ("./usr/bin/hsm-front", "libnats-dev"),
                  ("./usr/bin/hsmd", "libyaml-dev")} <= links, "hsm: each program with what is linked into it", links)
            t.ok(("./usr/bin/hsm-keyd", "libnats-dev") not in links and ("./usr/bin/hsm-keyd", "liblmdb-dev") not in links,
                 "hsm: … and keyd has neither NATS nor a database in it", links)
        if x and name == "nats":
            names = {i: v["Name"] for i, v in x["Packages"].items()}
            t.ok({("nats-server", "STATIC_LINK", "golang-github-nats-io-jwt")} <= {(names.get(a), k, names.get(b)) for a, k, b in x["Relations"]},
                 "nats: the Go modules in Debian's nats-server")

    # other people's tools take the layout with what is attached
    for name in sorted(images):
        status, out, err = run("skopeo", "inspect", f"oci:{layout}:{name}")
        t.ok(status == 0 and json.loads(out)["Digest"] == images[name][0]["digest"], f"{name}: skopeo inspects it", err)
        status, out, err = run("umoci", "stat", "--image", f"{layout}:{name}", "--json")
        t.ok(status == 0 and len(json.loads(out)["history"]) >= 1, f"{name}: umoci reads it", err)
    status, out, err = run("skopeo", "--insecure-policy", "copy", f"oci:{layout}:static", f"oci:{tmp}/copy:static")
    t.same(status, 0, "skopeo copies an image out of it", err)
    status, out, err = run("umoci", "raw", "unpack", "--rootless", "--image", f"{layout}:static", tmp + "/unpacked")
    t.ok(status == 0 and os.path.exists(tmp + "/unpacked/usr/lib/os-release"), "umoci unpacks one", err)
shutil.rmtree(tmp, ignore_errors=True)
t.done()
