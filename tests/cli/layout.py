"""OCI layouts made by hand, for tests of what reads them. An image is a list of layers, a
layer a list of entries; nothing here comes from the builder that is tested."""
import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile

REF = "org.opencontainers.image.ref.name"
DATE = 1700000000
CREATED = "2023-11-14T22:13:20Z"
TYPES = {"file": tarfile.REGTYPE, "dir": tarfile.DIRTYPE, "link": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE,
         "fifo": tarfile.FIFOTYPE, "char": tarfile.CHRTYPE, "block": tarfile.BLKTYPE}


def entry(path, data=b"", kind="file", mode=None, uid=0, gid=0, link="", mtime=DATE, xattr=None, dev=(0, 0)):
    """One tar entry; mode: by kind."""
    if mode is None:
        mode = 0o777 if kind == "link" else 0o755 if kind == "dir" else 0o644
    return dict(path=path, data=data.encode() if isinstance(data, str) else data, kind=kind, mode=mode, uid=uid,
                gid=gid, link=link, mtime=mtime, xattr=xattr or {}, dev=dev)


def d(path, **more):
    return entry(path, kind="dir", **more)


def l(path, to, **more):
    return entry(path, kind="link", link=to, **more)


def tar(entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as t:
        for e in entries:
            i = tarfile.TarInfo(e["path"])
            i.type, i.mode, i.uid, i.gid, i.mtime = TYPES[e["kind"]], e["mode"], e["uid"], e["gid"], e["mtime"]
            i.linkname = e["link"]
            i.devmajor, i.devminor = e["dev"]
            i.size = len(e["data"]) if e["kind"] == "file" else 0
            i.pax_headers = {"SCHILY.xattr." + k: v for k, v in e["xattr"].items()}
            t.addfile(i, io.BytesIO(e["data"]))
    return out.getvalue()


def sha(b):
    return hashlib.sha256(b).hexdigest()


class Layout:
    def __init__(self, path):
        self.path = path
        self.index = []
        os.makedirs(path + "/blobs/sha256", exist_ok=True)
        with open(path + "/oci-layout", "w") as f:
            f.write('{"imageLayoutVersion":"1.0.0"}')

    def blob(self, data, kind):
        name = sha(data)
        with open(f"{self.path}/blobs/sha256/{name}", "wb") as f:
            f.write(data)
        return {"mediaType": kind, "digest": "sha256:" + name, "size": len(data)}

    def document(self, j, kind):
        return self.blob(json.dumps(j).encode(), kind)

    def image(self, ref, layers, config=None, created=CREATED, diff_ids=None, spdx=None, raw=None):
        """layers: lists of entries, or bytes of a tar. raw: how a tar becomes a blob."""
        tars = [x if isinstance(x, bytes) else tar(x) for x in layers]
        ids = diff_ids or ["sha256:" + sha(x) for x in tars]
        press = raw or (lambda x: gzip.compress(x, 6, mtime=0))
        doc = {"architecture": "amd64", "os": "linux", "config": config or {},
               "rootfs": {"type": "layers", "diff_ids": ids}}
        if created:
            doc["created"] = created
        m = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
             "config": self.document(doc, "application/vnd.oci.image.config.v1+json"),
             "layers": [self.blob(press(x), "application/vnd.oci.image.layer.v1.tar+gzip") for x in tars]}
        desc = self.document(m, m["mediaType"])
        self.index.append({**desc, "annotations": {REF: ref}})
        if spdx is not None:
            self.attach(desc, spdx)
        self.write()
        return desc

    def attach(self, subject, spdx):
        kind = "application/spdx+json"
        m = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "artifactType": kind,
             "config": self.document({}, "application/vnd.oci.empty.v1+json"),
             "layers": [self.document(spdx, kind)], "subject": subject}
        self.index.append({**self.document(m, m["mediaType"]), "artifactType": kind})

    def write(self):
        with open(self.path + "/index.json", "w") as f:
            json.dump({"schemaVersion": 2, "manifests": self.index}, f)


def spdx(files):
    """files: {path: (package or "", content)}."""
    packages, listed, relations = {}, [], []
    for n, (path, (package, data)) in enumerate(sorted(files.items())):
        packages.setdefault(package, f"SPDXRef-P{len(packages)}")
        listed.append({"SPDXID": f"SPDXRef-F{n}", "fileName": "./" + path,
                       "checksums": [{"algorithm": "SHA256", "checksumValue": sha(data)}]})
        relations.append({"spdxElementId": packages[package], "relationshipType": "CONTAINS",
                          "relatedSpdxElement": f"SPDXRef-F{n}"})
    return {"spdxVersion": "SPDX-2.3", "files": listed, "relationships": relations,
            "packages": [{"SPDXID": i, "name": p or "project",
                          "externalRefs": [{"referenceLocator": f"pkg:deb/debian/{p}@1" if p else "pkg:generic/x@1"}]}
                         for p, i in packages.items()]}


class Tap:
    def __init__(self):
        self.n = self.bad = 0

    def ok(self, good, name, *why):
        self.n += 1
        self.bad += not good
        print(f"{'ok' if good else 'not ok'} {self.n} - {name}")
        if not good:
            for w in why:
                for line in str(w).splitlines()[:40]:
                    print("#   " + line)
        sys.stdout.flush()
        return good

    def same(self, got, want, name, *why):
        return self.ok(got == want, name, f"got:  {got}", f"want: {want}", *why)

    def done(self):
        print(f"1..{self.n}")
        sys.exit(1 if self.bad else 0)


def run(*argv, **more):
    p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120,
                       text=True, errors="replace", **more)
    return p.returncode, p.stdout, p.stderr
