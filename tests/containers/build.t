#!/bin/bash
# A user's Dockerfile: compiled in signbox/dev, runs in signbox/static, without a network.
# shellcheck source=tests/containers/lib.sh
. "${BASH_SOURCE%/*}/lib.sh"
mkdir "$W/app"
cat >"$W/app/app.c" <<'END'
#include <nats/nats.h>
#include <netdb.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
	unsigned char pk[crypto_sign_PUBLICKEYBYTES], sk[crypto_sign_SECRETKEYBYTES], sig[crypto_sign_BYTES];
	natsConnection *nc = NULL;
	struct addrinfo *ai;
	natsStatus s;

	if (sodium_init() < 0 || crypto_sign_keypair(pk, sk) ||
	    crypto_sign_detached(sig, NULL, (unsigned char *)"m", 1, sk) ||
	    crypto_sign_verify_detached(sig, (unsigned char *)"m", 1, pk))
		return 1;
	s = natsConnection_ConnectTo(&nc, "nats://127.0.0.1:1");
	printf("nats.c %s: %s; Ed25519 verified; localhost %s\n", nats_GetVersion(),
	       natsStatus_GetText(s), getaddrinfo("localhost", NULL, NULL, &ai) ? "unknown" : "found");
	return s == NATS_NO_SERVER ? 0 : 1;
}
END
cat >"$W/app/Dockerfile" <<'END'
FROM signbox/dev AS build
WORKDIR /build
COPY app.c .
RUN gcc -O2 -static-pie -fPIE -o app app.c -lnats_static -lprotobuf-c -lssl -lcrypto -lsodium -l25519 -lrandombytes -lzstd -lz

FROM signbox/static
COPY --from=build /build/app /usr/bin/app
ENTRYPOINT ["/usr/bin/app"]
END

builds() {
	local e=$1 none=(--network none) tag=$CT-app
	[ "$e" = docker ] && export DOCKER_BUILDKIT=0
	ok "$e build, in two stages" "$e" build "${none[@]}" -t "$tag" "$W/app"
	run "$e" run --rm "${hardened[@]}" --network none "$tag"
	check "$e runs the result: read-only, without capabilities"
	like '… and the static libraries work' "$out" '^nats.c 3\.[0-9.]+: .*Ed25519 verified; localhost found$'
	is "… as the user of static" "$("$e" image inspect -f '{{.Config.User}}' "$tag")" 65532:65532
	is '… on the layers of static' \
		"$("$e" image inspect -f '{{json .RootFS.Layers}}' "$tag" | jq -c '.[:-1]')" \
		"$("$e" image inspect -f '{{json .RootFS.Layers}}' signbox/static | jq -c .)"
	fails '… and no shell has got in' 'no such file|not found' "$e" run --rm --entrypoint /bin/sh "$tag" -c true
	"$e" rmi -f "$tag" >/dev/null
}
if images | grep -qx dev; then
	for_engines builds
else
	ok 'dev is built' false
fi
done_testing
