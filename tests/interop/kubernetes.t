#!/usr/bin/python3
"""compose/kubernetes against the published schemas of Kubernetes (as the package
kubernetes-validate has them: strict, unknown fields are refused), against the rules of the
pod security standard "restricted" and ours, and against the images and settings they name."""
import copy
import glob
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile

import jsonschema
import referencing
import yaml

sys.dont_write_bytecode = True
SRC, BIN, BUILD = os.environ["SRC"], os.environ["BIN"], os.environ["BUILD"]
sys.path.insert(0, SRC + "/tests/cli")
from layout import REF, Tap  # noqa: E402

VERSIONS = ("1.30.0", "1.37.0")
t = Tap()
wheels = glob.glob(BUILD + "/tools/pypi/kubernetes_validate-*.whl")
if not wheels:
    print("1..0 # SKIP not run: no schemas of Kubernetes in build/tools (tests/interop/tools.sh needs pip)")
    sys.exit(0)
wheel = zipfile.ZipFile(wheels[0])
names = set(wheel.namelist())


class Schemas:
    """Those of one version, strict."""

    def __init__(self, version):
        self.at = f"kubernetes_validate/kubernetes-json-schema/v{version}-local-strict/"
        self.registry = referencing.Registry(retrieve=self.retrieve)

    def retrieve(self, uri):
        name = uri.rsplit("/", 1)[-1]
        return referencing.Resource.from_contents(json.loads(wheel.read(self.at + name)))

    def complaints(self, doc):
        group, _, version = doc.get("apiVersion", "").rpartition("/")
        name = "-".join(x for x in (doc.get("kind", "").lower(), group.split(".")[0], version) if x) + ".json"
        if self.at + name not in names:
            return [f"no such kind: {name}"]
        schema = json.loads(wheel.read(self.at + name))
        v = jsonschema.Draft202012Validator(schema, registry=self.registry)
        return ["/".join(map(str, e.path)) + ": " + e.message[:200] for e in v.iter_errors(doc)]


def pod_of(doc):
    return doc.get("spec", {}).get("template", {}).get("spec")


def wrongs(pod):
    """What the standard "restricted" and ours have against a pod."""
    bad = []
    sec = pod.get("securityContext", {})
    bad += [] if sec.get("runAsNonRoot") is True else ["runAsNonRoot"]
    bad += [] if sec.get("runAsUser") == 65532 and sec.get("runAsGroup") == 65532 else ["runAsUser"]
    bad += [] if sec.get("seccompProfile") == {"type": "RuntimeDefault"} else ["seccompProfile"]
    bad += [] if pod.get("automountServiceAccountToken") is False else ["token"]
    bad += [k for k in ("hostNetwork", "hostPID", "hostIPC", "initContainers", "shareProcessNamespace") if pod.get(k)]
    kinds = {"configMap", "secret", "emptyDir", "persistentVolumeClaim"}
    bad += [v["name"] for v in pod.get("volumes", []) if not kinds & set(v)]
    for c in pod["containers"]:
        sec = c.get("securityContext", {})
        bad += [] if sec.get("allowPrivilegeEscalation") is False else ["allowPrivilegeEscalation"]
        bad += [] if sec.get("readOnlyRootFilesystem") is True else ["readOnlyRootFilesystem"]
        bad += [] if sec.get("capabilities") == {"drop": ["ALL"]} else ["capabilities"]
        bad += ["privileged"] if sec.get("privileged") else []
        bad += [] if "memory" in c.get("resources", {}).get("limits", {}) else ["limits"]
        mounted = {m["name"] for m in c.get("volumeMounts", [])}
        bad += sorted(mounted ^ {v["name"] for v in pod.get("volumes", [])})
        bad += [m["mountPath"] for m in c.get("volumeMounts", [])
                if m["mountPath"] in ("/run/secrets", "/etc/signbox") and not m.get("readOnly")]
    return bad


def change(doc, path, f):
    """A copy with f done to the object at path."""
    out = copy.deepcopy(doc)
    at = out
    for p in path:
        at = at[p]
    f(at)
    return out


docs = []
for path in sorted(glob.glob(SRC + "/compose/kubernetes/*.yaml")):
    for d in yaml.safe_load_all(open(path)):
        docs.append((os.path.basename(path), d))
t.ok(len(docs) > 10, f"{len(docs)} documents", docs)
by = {(d["kind"], d["metadata"]["name"]): d for _, d in docs}
t.same(len(by), len(docs), "none is there twice")

# ---- the schemas ----
for version in VERSIONS:
    s = Schemas(version)
    for name, d in docs:
        t.same(s.complaints(d), [], f"Kubernetes {version}: {name}, {d['kind']} {d['metadata']['name']}")
s = Schemas(VERSIONS[-1])
hsm, job = by["Deployment", "hsm"], by["Job", "hsm-provision"]
pod = ("spec", "template", "spec")
mutants = {
    "a misspelt field": change(hsm, pod + ("securityContext",), lambda o: o.update(runAsNonroot=True)),
    "one of a container": change(hsm, pod + ("containers", 0, "securityContext"), lambda o: o.update(readonlyRootFilesystem=True)),
    "one of a probe": change(hsm, pod + ("containers", 0, "readinessProbe"), lambda o: o.update(period=1)),
    "a text for a number": change(hsm, ("spec",), lambda o: o.update(replicas="one")),
    "no selector": change(hsm, ("spec",), lambda o: o.pop("selector")),
    "a field of another kind": change(job, ("spec",), lambda o: o.update(replicas=1)),
    "no name of a container": change(job, pod + ("containers", 0), lambda o: o.pop("name")),
    "a port that is an object": change(by["Service", "nats"], ("spec", "ports", 0), lambda o: o.update(port={})),
    "a rule of networks with a wrong key": change(by["NetworkPolicy", "nats"], ("spec",), lambda o: o.update(outgress=[])),
    "a claim without its form": change(by["PersistentVolumeClaim", "hsm-data"], ("spec",), lambda o: o.update(accessModes="x")),
    "a kind that there is not": change(hsm, (), lambda o: o.update(kind="Deploiment")),
    "a version that is gone": change(hsm, (), lambda o: o.update(apiVersion="extensions/v1beta1")),
}
for what, m in mutants.items():
    t.ok(s.complaints(m), f"self-check: {what}")

# ---- pods ----
pods = {d["metadata"]["name"]: pod_of(d) for d in by.values() if pod_of(d)}
t.same(sorted(pods), ["hsm", "hsm-provision", "nats"], "three pods")
for name, p in pods.items():
    t.same(wrongs(p), [], f"{name} asks for no more than it needs")
loose = {
    "runAsNonRoot": (("securityContext",), lambda o: o.pop("runAsNonRoot")),
    "runAsUser": (("securityContext",), lambda o: o.update(runAsUser=0)),
    "seccompProfile": (("securityContext",), lambda o: o.update(seccompProfile={"type": "Unconfined"})),
    "token": ((), lambda o: o.pop("automountServiceAccountToken")),
    "hostNetwork": ((), lambda o: o.update(hostNetwork=True)),
    "capabilities": (("containers", 0, "securityContext", "capabilities"), lambda o: o.update(add=["NET_ADMIN"])),
    "allowPrivilegeEscalation": (("containers", 0, "securityContext"), lambda o: o.pop("allowPrivilegeEscalation")),
    "readOnlyRootFilesystem": (("containers", 0, "securityContext"), lambda o: o.update(readOnlyRootFilesystem=False)),
}
for what, (path, f) in loose.items():
    t.same(wrongs(change(pods["hsm"], path, f)), [what], f"self-check: {what}")
t.same((hsm["spec"]["replicas"], hsm["spec"]["strategy"]), (1, {"type": "Recreate"}), "one service, the old one goes first")
t.same([p.get("containers")[0].get("livenessProbe") for p in pods.values()], [None] * 3, "nothing restarts because a broker is away")

# ---- who may talk to whom ----
labels = {d["metadata"]["name"]: d["spec"]["template"]["metadata"]["labels"] for d in by.values() if pod_of(d)}
policies = {n: d["spec"] for (k, n), d in by.items() if k == "NetworkPolicy"}


def chosen(selector, of):
    return all(of.get(k) == v for k, v in selector.get("matchLabels", {}).items())


def allowed(a, b, port):
    """Whether the pod a may connect to b."""
    def side(who, other, kind, rules, peer):
        mine = [p for p in policies.values() if kind in p["policyTypes"] and chosen(p["podSelector"], labels[who])]
        return any(any(x.get("port") == port for x in r["ports"]) and
                   any("namespaceSelector" not in x and chosen(x["podSelector"], labels[other]) for x in r[peer])
                   for p in mine for r in p.get(rules) or []) if mine else True
    return side(a, b, "Egress", "egress", "to") and side(b, a, "Ingress", "ingress", "from")


got = sorted(f"{a}>{b}" for a in labels for b in labels if a != b and allowed(a, b, 4222))
t.same(got, ["hsm-provision>nats", "hsm>nats"], "the network: both reach NATS, and nobody reaches the service")
t.ok(not allowed("hsm", "nats", 8222), "… by that port alone")
t.same(policies["nats-clients"]["ingress"], [], "… nothing comes in")

# ---- names that must fit ----
index = BUILD + "/images/index.json"
if os.path.exists(index):
    refs = {m["annotations"][REF] for m in json.load(open(index))["manifests"] if REF in m.get("annotations", {})}
    images = {c["image"] for p in pods.values() for c in p["containers"]}
    t.same(sorted(i for i in images if i.removeprefix("signbox/") not in refs), [], "images with these tags are built")
    t.ok(all(":" in i and "latest" not in i and "testing" not in i for i in images), "… of a version", images)
readme = open(SRC + "/compose/kubernetes/README.md").read()
for name, p in pods.items():
    for c in p["containers"]:
        for what, key, n in [("configmap", "ConfigMap", v["configMap"]["name"]) for v in p["volumes"] if "configMap" in v] + \
                [("secret", "Secret", v["secret"]["secretName"]) for v in p["volumes"] if "secret" in v] + \
                [("configmap", "ConfigMap", e["valueFrom"]["configMapKeyRef"]["name"]) for e in c.get("env", []) if "valueFrom" in e]:
            made = re.search(rf"create {'secret generic' if what == 'secret' else what} {n}\b", readme)
            t.ok(made if what == "secret" else (key, n) in by or made, f"{name}: {what} {n} is here or README.md makes it")
        for v in p["volumes"]:
            for i in v.get("secret", {}).get("items", []):
                t.ok(f"--from-file={i['key']}" in readme, f"{name}: the secret's {i['key']} is made")
for (kind, name), d in by.items():
    if kind == "Secret":
        t.ok(not d.get("data") and not d.get("stringData"), f"secret {name}: nothing is in it")
t.ok(not re.search(r"\bS[UAOX][A-Z2-7]{56}\b|-----BEGIN", "".join(open(f).read() for f in glob.glob(SRC + "/compose/kubernetes/*"))),
     "no seed and no key is in these files")

# ---- the configuration in them ----
with tempfile.TemporaryDirectory() as d:
    open(d + "/hsm.yaml", "w").write(by["ConfigMap", "hsm-config"]["data"]["hsm.yaml"])
    r = subprocess.run([BIN + "/hsmd", "-c", d + "/hsm.yaml", "check-config", "--no-secrets", "--json"], capture_output=True, text=True)
    # its files are not here; that the keys are right is what can be seen
    t.ok("hsm.yaml:" not in r.stderr, "hsmd takes its configuration", r.stderr)
    open(d + "/hsm.yaml", "a").write("datum: /x\n")
    r = subprocess.run([BIN + "/hsmd", "-c", d + "/hsm.yaml", "check-config", "--no-secrets"], capture_output=True, text=True)
    t.ok(r.returncode == 2 and "hsm.yaml:" in r.stderr, "self-check: a wrong key", r.stderr)
    open(d + "/setup.yaml", "w").write(by["ConfigMap", "hsm-setup"]["data"]["setup.yaml"])
    who = subprocess.run([BIN + "/signbox", "nk", "-gen", "curve", "-pubout"], capture_output=True, text=True).stdout.split()[-1]
    env = {"PATH": "/usr/bin", "HOME": d, "HSM_IDENTITY": who, "NATS_URL": "nats://127.0.0.1:1"}
    r = subprocess.run([BIN + "/signbox", "hsm", "apply", d + "/setup.yaml"], capture_output=True, text=True, env=env)
    t.ok(r.returncode != 0 and "no HSM identity" not in r.stderr and "setup.yaml:" not in r.stderr, "hsm apply takes its file", r.returncode, r.stderr)
    open(d + "/setup.yaml", "a").write("keyz: []\n")
    r = subprocess.run([BIN + "/signbox", "hsm", "apply", d + "/setup.yaml"], capture_output=True, text=True, env=env)
    t.ok(r.returncode == 2 and "setup.yaml:" in r.stderr, "self-check: a wrong key", r.returncode, r.stderr)
t.done()
