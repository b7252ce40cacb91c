// The npm libraries for NKeys and JWTs against what our tools wrote, and the other way
// round: npm.js read|write DIR. Prints "ok name" and "not ok name" lines.
"use strict";
const fs = require("fs");
const path = require("path");
const root = path.join(process.env.BUILD, "tools/npm/node_modules");
const jwt = require(path.join(root, "@nats-io/jwt"));
const old = require(path.join(root, "nkeys.js"));
const nkeys = require(path.join(root, "@nats-io/nkeys"));
const [, , what, dir] = process.argv;
const file = (name) => path.join(dir, name);
const text = (name) => fs.readFileSync(file(name), "utf8").trim();
const seed = (name) => new TextEncoder().encode(text(name));
const dec = (b) => new TextDecoder().decode(b);

function check(name, good, why) {
	console.log(`${good ? "ok" : "not ok"} ${name}${good ? "" : ` # ${why}`}`);
}

function attempt(name, f) {
	try {
		const r = f();
		check(name, r === true, JSON.stringify(r));
	} catch (e) {
		check(name, false, e.message);
	}
}

async function read() {
	for (const [lib, n] of [["nkeys.js", old], ["@nats-io/nkeys", nkeys]]) {
		for (const kind of ["user", "account", "operator"]) {
			attempt(`${lib}: a seed of nk gives nk's public key: ${kind}`, () =>
				n.fromSeed(seed(`${kind}.nk`)).getPublicKey() === text(`${kind}.pub`));
			attempt(`${lib}: a signature of nk verifies: ${kind}`, () =>
				n.fromPublic(text(`${kind}.pub`)).verify(fs.readFileSync(file("msg")),
					Buffer.from(text(`${kind}.sig`), "base64url")));
		}
	}
	attempt("@nats-io/nkeys opens what nats auth nkey sealed", () =>
		dec(nkeys.fromCurveSeed(seed("js.curve.nk")).open(
			Buffer.from(text("sealed.b64"), "base64"), text("curve.pub"))) === dec(fs.readFileSync(file("msg"))));
	for (const name of ["operator", "account", "user", "scoped"]) {
		attempt(`@nats-io/jwt reads and verifies our ${name} JWT`, () => {
			const c = jwt.decode(text(`${name}.jwt`));
			const want = JSON.parse(text(`${name}.json`));
			return JSON.stringify(c.nats) === JSON.stringify(JSON.parse(
				Buffer.from(text(`${name}.jwt`).split(".")[1], "base64url")).nats) && c.sub === want.sub;
		});
	}
	const creds = await jwt.parseCreds(fs.readFileSync(file("u.creds")));
	check("@nats-io/jwt reads our creds file", creds.uc.name === "u" && creds.jwt === text("user.jwt"), "");
}

async function write() {
	const o = nkeys.createOperator(), a = nkeys.createAccount(), u = nkeys.createUser();
	const put = (name, data) => fs.writeFileSync(file(name), data, { mode: 0o600 });
	put("js.user.nk", dec(u.getSeed()));
	put("js.user.pub", u.getPublicKey());
	put("js.sig", Buffer.from(u.sign(fs.readFileSync(file("msg")))).toString("base64url"));
	const c = nkeys.createCurve();
	put("js.curve.nk", dec(c.getSeed()));
	put("js.curve.pub", c.getPublicKey());
	put("js.sealed.b64", Buffer.from(c.seal(fs.readFileSync(file("msg")), text("curve.pub"))).toString("base64"));
	put("js.operator.jwt", await jwt.encodeOperator("JS & <co>", o, { tags: ["t"] }));
	put("js.account.jwt", await jwt.encodeAccount("A", a, { limits: { conn: 5, subs: -1 } }, { signer: o }));
	const ujwt = await jwt.encodeUser("U", u, a, { pub: { allow: ["x.>"], deny: [] } });
	put("js.user.jwt", ujwt);
	put("js.creds", jwt.fmtCreds(ujwt, u));
	put("js.act.jwt", await jwt.encodeActivation("act", a, nkeys.createAccount(), "service", { subject: "a.b" }));
}

(what === "read" ? read() : write()).catch((e) => {
	console.log(`not ok ${what} # ${e.stack.split("\n").slice(0, 3).join(" ")}`);
	process.exit(1);
});
