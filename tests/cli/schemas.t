#!/usr/bin/python3
"""Every document of build/images against the JSON schemas of the OCI image specification:
layout, index, manifests, configurations, artifact manifests and all descriptors. What a
descriptor names is there, with that digest and size."""
import copy
import hashlib
import json
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.environ["SRC"] + "/tests/cli")
from layout import REF, Tap  # noqa: E402

import jsonschema  # noqa: E402
import referencing  # noqa: E402
from referencing.jsonschema import DRAFT4  # noqa: E402

SCHEMAS = "/usr/share/gocode/src/github.com/opencontainers/image-spec/schema"
BASE = "https://schema.invalid/"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
t = Tap()
layout = os.environ["BUILD"] + "/images"
if not os.path.exists(layout + "/index.json"):
    print("1..0 # SKIP images are not built: run `make images`")
    sys.exit(0)


def without_ids(x):
    """The ids in the schemas are names, no addresses: references are by file."""
    if isinstance(x, dict):
        return {k: without_ids(v) for k, v in x.items() if k != "id"}
    return [without_ids(v) for v in x] if isinstance(x, list) else x


def retrieve(uri):
    with open(f"{SCHEMAS}/{os.path.basename(uri)}") as f:
        return referencing.Resource.from_contents(without_ids(json.load(f)), default_specification=DRAFT4)


registry = referencing.Registry(retrieve=retrieve)
validators = {
    name: jsonschema.Draft4Validator({"$ref": f"{BASE}{name}.json"}, registry=registry)
    for name in ("image-layout-schema", "image-index-schema", "image-manifest-schema", "config-schema",
                 "content-descriptor")
}


def complaints(schema, doc):
    return [f"{'/'.join(map(str, e.path))}: {e.message[:200]}" for e in validators[schema].iter_errors(doc)]


def read(path):
    with open(path, "rb") as f:
        return f.read()


def descriptors(x):
    """All descriptors below a document."""
    if isinstance(x, dict):
        if "digest" in x and "mediaType" in x:
            yield x
        for v in x.values():
            yield from descriptors(v)
    elif isinstance(x, list):
        for v in x:
            yield from descriptors(v)


seen = {}


def check_blob(d):
    """None, or what is wrong with what a descriptor names."""
    if d["digest"] not in seen:
        path = f"{layout}/blobs/sha256/{d['digest'][7:]}"
        if not os.path.isfile(path):
            return "not there"
        md = hashlib.sha256()
        with open(path, "rb") as f:
            while chunk := f.read(1 << 20):
                md.update(chunk)
        seen[d["digest"]] = ("sha256:" + md.hexdigest(), os.path.getsize(path))
    got = seen[d["digest"]]
    return None if got == (d["digest"], d["size"]) else f"is {got}"


def check(schema, doc, name):
    bad = complaints(schema, doc)
    for d in descriptors(doc):
        bad += [f"{d['digest']}: {x}" for x in complaints("content-descriptor", d)]
        why = check_blob(d)
        if why:
            bad.append(f"{d['digest']}: {why}")
    t.ok(not bad, name, *bad[:10])


check("image-layout-schema", json.loads(read(layout + "/oci-layout")), "oci-layout")
index = json.loads(read(layout + "/index.json"))
check("image-index-schema", index, "index.json")

images, artifacts = {}, {}
for m in index["manifests"]:
    doc = json.loads(read(f"{layout}/blobs/sha256/{m['digest'][7:]}"))
    name = m.get("annotations", {}).get(REF)
    if name is None:
        artifacts[m["digest"]] = (m, doc)
    elif ":" not in name:
        images[name] = (m, doc)
t.ok(len(images) >= 5, "images", sorted(images))
used = {layout + "/oci-layout", layout + "/index.json"}
for name, (m, doc) in sorted(images.items()):
    check("image-manifest-schema", doc, f"{name}: manifest")
    t.same(doc["mediaType"], MANIFEST, f"{name}: media type")
    config = json.loads(read(f"{layout}/blobs/sha256/{doc['config']['digest'][7:]}"))
    check("config-schema", config, f"{name}: configuration")
    t.same(len(config["rootfs"]["diff_ids"]), len(doc["layers"]), f"{name}: a diff_id for each layer")

# OCI 1.1: guidelines for artifact usage
kinds = {"application/spdx+json", "application/vnd.cyclonedx+json", "application/vnd.in-toto+json"}
of = {}
for digest, (m, doc) in sorted(artifacts.items()):
    what = f"{m.get('artifactType')} {digest[7:19]}"
    check("image-manifest-schema", doc, f"{what}: manifest")
    t.same((doc.get("artifactType"), doc["config"]["mediaType"], doc["config"]["data"]),
           (m.get("artifactType"), "application/vnd.oci.empty.v1+json", "e30="), f"{what}: an artifact without configuration")
    t.same([x["mediaType"] for x in doc["layers"]], [doc["artifactType"]], f"{what}: one document")
    t.same(m.get("annotations"), doc.get("annotations"), f"{what}: the index has its annotations")
    of.setdefault(doc["subject"]["digest"], {})[doc["artifactType"]] = doc["subject"]
for name, (m, doc) in sorted(images.items()):
    t.same(set(of.get(m["digest"], {})), kinds, f"{name}: SBOMs and provenance are attached")
    t.same([{k: x[k] for k in ("mediaType", "digest", "size")} for x in of.get(m["digest"], {}).values()],
           [{k: m[k] for k in ("mediaType", "digest", "size")}] * 3, f"{name}: their subject is its manifest")
t.same(set(of), {m["digest"] for m, _ in images.values()}, "every subject is an image")
named = set(seen) | {m["digest"] for m in index["manifests"]}
t.same({"sha256:" + x for x in os.listdir(layout + "/blobs/sha256")} - named, set(), "no blob that nothing names")

# ---- the schemas find what is wrong ----
some = next(iter(images.values()))[1]
config = json.loads(read(f"{layout}/blobs/sha256/{some['config']['digest'][7:]}"))
art = next(iter(artifacts.values()))[1]


def broken(schema, doc, name, change):
    doc = copy.deepcopy(doc)
    change(doc)
    t.ok(complaints(schema, doc), f"self-check: {name} is found")


broken("image-layout-schema", {}, "a layout without version", lambda d: None)
broken("image-index-schema", index, "an index of version 1", lambda d: d.update(schemaVersion=1))
broken("image-index-schema", index, "a row without size", lambda d: d["manifests"][0].pop("size"))
broken("image-index-schema", index, "a malformed digest", lambda d: d["manifests"][-1].update(digest="sha256"))
broken("image-index-schema", index, "an annotation that is no string",
       lambda d: d["manifests"][0]["annotations"].update(x=1))
broken("image-manifest-schema", some, "a manifest without configuration", lambda d: d.pop("config"))
broken("image-manifest-schema", some, "a size that is no number", lambda d: d["layers"][0].update(size="1"))
broken("image-manifest-schema", art, "a subject without digest", lambda d: d["subject"].pop("digest"))
broken("image-manifest-schema", art, "a malformed artifact type", lambda d: d.update(artifactType="no type"))
broken("config-schema", config, "a configuration without architecture", lambda d: d.pop("architecture"))
broken("config-schema", config, "an environment that is no list", lambda d: d["config"].update(Env={"A": "b"}))
broken("config-schema", config, "layers that are none", lambda d: d.update(rootfs={"type": "x", "diff_ids": []}))
t.ok(check_blob({"digest": some["config"]["digest"], "size": 1}), "self-check: a wrong size is found")
t.ok(check_blob({"digest": "sha256:" + "0" * 64, "size": 1}), "self-check: a missing blob is found")
t.done()
