# Signbox. `make help` lists the targets. On the host only ocibuild is compiled; all
# that ships is compiled in build/rootfs/dev, and all tests run in build/rootfs/test.
VERSION := $(shell cat VERSION)
JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 60
V ?= 0
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-7s %s\n' $(1) '$(2)';)
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:

WARN := -Wall -Wextra -Wformat=2 -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes \
	-Wcast-qual -Wnull-dereference -Wimplicit-fallthrough -Wconversion -Wno-sign-conversion \
	-Werror
BASE := -std=gnu11 -D_GNU_SOURCE -DSIGNBOX_VERSION='"$(VERSION)"' -Isrc

# the ocibuild that locks and fetches: libcurl cannot be linked static, so it never ships
ONLINE := src/ocibuild/fetch.c src/ocibuild/online.c
# (and its folders, which make images, are compiled in dev only, with the zlib of dev)
ONLINE_SRC := $(filter-out src/ui/prompt.c,$(wildcard src/ocibuild/*.c src/json/*.c src/ui/*.c)) \
	src/crypto/sha256.c $(addprefix src/base/,buf.c enc.c err.c file.c log.c text.c)
ONLINE_DEP := $(ONLINE_SRC) VERSION $(wildcard src/ocibuild/*.h src/json/*.h src/ui/*.h src/base/*)
online = $(BASE) -O2 -Wall -Wextra -Werror -D_FORTIFY_SOURCE=2 -fstack-protector-strong \
	-DOCIBUILD_ONLINE $(ONLINE_SRC) -lcurl -larchive -lyaml -ljansson -lcrypto

ifndef IN
# ---- on the host -------------------------------------------------------------------
OCI := build/host/ocibuild
HOST_PACKAGES := bubblewrap ca-certificates debian-archive-keyring gcc libarchive-dev \
	libc6-dev libcurl4-openssl-dev libjansson-dev libssl-dev libyaml-dev make mmdebstrap uidmap
inner = make -j$(JOBS) $(if $(findstring k,$(firstword -$(MAKEFLAGS))),-k) V=$(V)
dev = $(OCI) enter dev -- $(inner) IN=dev
test = $(OCI) enter test -- $(inner) IN=test FUZZ_SECONDS=$(FUZZ_SECONDS) $(if $(AGAIN),AGAIN=1)

.PHONY: all images load demo up down logs smoke shell test test-containers lint bench fuzz lock clean help rootfs dev-rootfs
all: dev-rootfs		## Build all that ships into build/bin (the default)
	$(Q)$(dev) all

images: all		## Every image, as an OCI layout in build/images
	$(Q)build/bin/ocibuild build -j $(JOBS) $(addprefix --revision=,$(shell [ -z "$$(git status --porcelain 2>&1)" ] && git rev-parse -q --verify HEAD))

load: images		## Every image into docker or podman, under the tags of the guides
	$(Q)build/bin/ocibuild load

up: images		## A cluster: three NATS nodes, the HSM, a box (compose/README.md)
	$(Q)compose/cluster up
down:			## Stop the cluster; its volumes stay
	$(Q)compose/cluster down
logs:			## What the cluster has logged
	$(Q)compose/cluster logs
smoke:			## A signature through the cluster, verified by openssl
	$(Q)compose/cluster smoke
shell: dev-rootfs	## A shell in the root file system that all is compiled in
	$(Q)$(OCI) enter dev -e IN=dev -- bash

demo: rootfs all	## From nothing to signatures over NATS that openssl verifies
	$(Q)$(test) demo
test: rootfs images	## Every test that needs no container engine (SAN=1: unit tests under ASan, UBSan)
	$(Q)$(if $(SAN),,tests/interop/tools.sh; )$(test) $(if $(SAN),FLAVOUR=san san,test)
test-containers: rootfs images	## Tests on docker and podman, which it installs, starts and stops
	$(Q)$(test) build/test/e2e/steady && tests/containers/run
lint: rootfs all	## Layers, sizes, banned functions, format, shell, man pages, hardening
	$(Q)$(test) lint
bench: rootfs all	## Targets and figures
	$(Q)$(test) bench
fuzz: rootfs		## Each fuzz harness for FUZZ_SECONDS (60)
	$(Q)$(test) FLAVOUR=fuzz fuzz

lock: $(OCI)		## Lock the newest packages of every image
	$(Q)$(OCI) lock
clean:			## Remove build/ (the download cache stays)
	$(Q)rm -rf --one-file-system build

help:			## This list
	@awk -F '\t+## ' '/^[a-z-]+:.*## / { sub(":.*", "", $$1); printf "  make %-15s %s\n", $$1, $$2 }' Makefile
dev-rootfs: $(OCI)
	$(Q)$(OCI) fetch && $(OCI) rootfs dev
rootfs: dev-rootfs
	$(Q)$(OCI) rootfs test

build/host/packages: Makefile
	$(Q)mkdir -p build/host; missing=; for p in $(HOST_PACKAGES); do \
		dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; \
	done; if [ -n "$$missing" ]; then as=; [ "$$(id -u)" = 0 ] || as=sudo; \
		echo "installing with apt:$$missing"; $$as apt-get -qq update; \
		$$as env DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -y $$missing >/dev/null; \
	fi && touch $@

$(OCI): $(ONLINE_DEP) build/host/packages
	$(call say,HOST,$@) $(CC) -o $@.new $(online) && mv $@.new $@

else
# ---- inside a rootfs ---------------------------------------------------------------
FLAVOUR ?= ship
CC := gcc
FOLDERS := base crypto ui json http nkey proto conn client hsm/launcher hsm/front hsm/keyd hsm/store hsm/testing \
	$(patsubst src/%/,%,$(wildcard src/box/*/ src/ocibuild/*/)) box ocibuild
HARDEN := -O2 -g -fPIE -fstack-protector-strong -fstack-clash-protection -fcf-protection -fno-asynchronous-unwind-tables \
	-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -ftrivial-auto-var-init=zero -ffunction-sections -fdata-sections
SANITIZE := -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all -DSANITIZE
ifeq ($(FLAVOUR),ship)
O := build/obj
CFLAGS := $(HARDEN) -ffile-prefix-map=$(CURDIR)=. $(WARN)
LDFLAGS := -static-pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,pack-relative-relocs,--gc-sections,--build-id=none \
	-Wl,-u,ossl_comp_zlib_cleanup,-T,src/no_unwind.ld
else ifeq ($(FLAVOUR),san)
O := build/san
CFLAGS := $(SANITIZE) -fsanitize=address,undefined $(WARN) -Wno-null-dereference -Wno-format-truncation
LDFLAGS := -fsanitize=address,undefined
else
O := build/fuzz
CC := clang
CFLAGS := $(SANITIZE) -fsanitize=fuzzer-no-link,address,undefined -Wall
endif
srcs = $(wildcard src/$(1)/*.c $(if $(filter hsm/keyd,$(1)),src/hsm/keyd/alg/*.c))
objs = $(patsubst src/%.c,$(O)/%.o,$(filter-out $(ONLINE),$(call srcs,$(1))))
lib = $(O)/lib/$(subst /,-,$(1)).a
NATS := -lnats_static -lprotobuf-c -lssl
CRYPTO := -lcrypto -lsodium -l25519 -lrandombytes
# executable: its own folder (linked whole), the folders under it, the libraries
EXES := hsmd hsm-front hsm-keyd hsm-store hsm-testing signbox nk ocibuild
hsmd.dir := hsm/launcher
hsmd.use := ui json nkey proto crypto base
hsmd.ld := -lyaml -ljansson -lseccomp $(CRYPTO)
hsm-front.dir := hsm/front
hsm-front.use := conn proto nkey json crypto base
hsm-front.ld := $(NATS) -lyaml -ljansson -lseccomp $(CRYPTO)
hsm-keyd.dir := hsm/keyd
hsm-keyd.use := proto crypto base
hsm-keyd.ld := -lseccomp $(CRYPTO)
hsm-store.dir := hsm/store
hsm-store.use := proto crypto base
hsm-store.ld := -llmdb -lseccomp $(CRYPTO)
signbox.dir := box
signbox.use := $(filter box/%,$(FOLDERS)) client conn proto nkey json http ui crypto base
signbox.ld := -levent_openssl -levent_extra -levent_core $(NATS) -lyaml -ljansson -lseccomp $(CRYPTO) -lcrypt -lm
ocibuild.dir := ocibuild
ocibuild.use := $(filter ocibuild/%,$(FOLDERS)) json ui crypto base
ocibuild.ld = $(shell pkgconf --static --libs libarchive) -lyaml -ljansson -lcrypto -lzstd -lz
$(eval nk.dir := box/nk)$(eval nk.use := ui nkey json crypto base)$(eval nk.ld := -ljansson -lsodium)$(eval hsm-testing.dir := hsm/testing)$(eval hsm-testing.use := $(nk.use))$(eval hsm-testing.ld := -ljansson $(CRYPTO))
BIN := $(addprefix build/bin/,$(EXES))

.PHONY: all test lint bench demo fuzz san
all: build/bin/SHA256SUMS build/lib/libsignbox-client.a $(foreach l,$(FOLDERS),$(call lib,$(l)))

$(O)/%.o: src/%.c Makefile VERSION
	@mkdir -p $(@D)
	$(call say,CC,$<) $(CC) $(BASE) $(CFLAGS) -MMD -MP -c -o $@ $<

# an archive has everything but main(), so that tests can link any of them
define lib_rule
$(call lib,$(1)): $(filter-out $(O)/$(1)/main.o,$(call objs,$(1)))
	$(Q)mkdir -p $$(@D); rm -f $$@; ar rcsD $$@ $$^
endef
$(foreach l,$(FOLDERS),$(eval $(call lib_rule,$(l))))
build/lib/libsignbox-client.a: src/client/library.sh src/client/signbox.h $(foreach l,client conn proto nkey json crypto base,$(call lib,$(l)))
	$(call say,LIB,$(@F)) src/client/library.sh $(VERSION) src/client/signbox.h $@ $(filter %.a,$^)

# with debug information in build/obj/bin, stripped in build/bin
define exe_rule
$(O)/bin/$(1): $(call objs,$($(1).dir)) $(foreach l,$($(1).use),$(call lib,$(l)))
	@mkdir -p $$(@D)
	$(call say,LD,$(1)) $$(CC) $$(LDFLAGS) -Wl,-Map=$$@.map -o $$@ -Wl,--start-group $$^ -Wl,--end-group $$($(1).ld) >$$@.log 2>&1 || { cat $$@.log >&2; exit 1; }
endef
$(foreach x,$(EXES),$(eval $(call exe_rule,$(x))))
build/bin/%: $(O)/bin/%
	$(Q)mkdir -p $(@D) && strip -o $@ $<

# what of Debian's libraries the linker put into it (src/ocibuild/oci/linked.h)
build/bin/%.linked: $(O)/bin/% build/bin/ocibuild
	$(Q)build/bin/ocibuild linked $<.map >$@
build/bin/SHA256SUMS: $(BIN) $(BIN:=.linked)
	$(Q)cd build/bin && sha256sum $(notdir $(BIN)) > SHA256SUMS

# tests: each file is a program
T := $(if $(filter ship,$(FLAVOUR)),build/test,$(O)/test)
PROGRAMS := $(patsubst tests/%.c,$(T)/%,$(wildcard tests/unit/test_*.c \
	$(if $(filter ship,$(FLAVOUR)),tests/e2e/*.c tests/bench/*.c))) $(T)/ocibuild
HARNESSES := $(patsubst tests/fuzz/%.c,$(O)/%,$(wildcard tests/fuzz/fuzz_*.c))
ALL_A := $(foreach l,$(FOLDERS),$(call lib,$(l)))
ALL_LD := -levent_openssl -levent_extra -levent_core -lnats_static -lprotobuf-c -lssl -lcrypto -lsodium -l25519 -lrandombytes -llmdb \
	-ljansson -lyaml -lseccomp -larchive -lzstd -lz -lpthread -lm

# what the end-to-end programs share
$(T)/lib.a: $(patsubst tests/%.c,$(T)/%.o,$(wildcard tests/e2e/lib/*.c))
	$(Q)mkdir -p $(@D); rm -f $@; ar rcsD $@ $^

$(T)/%.o: tests/%.c Makefile
	@mkdir -p $(@D)
	$(call say,TEST,$*) $(CC) $(BASE) -Itests $(CFLAGS) -MMD -MP -c -o $@ $<

$(T)/%: tests/%.c $(T)/lib.a $(ALL_A) Makefile
	@mkdir -p $(@D)
	$(call say,TEST,$*) $(CC) $(BASE) -Itests $(filter-out -Werror -Wmissing-prototypes,$(CFLAGS)) \
		-MMD -MP -MF $@.d -o $@ $< $(if $(filter e2e/stub_hsm e2e/steady,$*),$(LDFLAGS) -Xlinker --no-warnings) \
		-Wl,--start-group $(T)/lib.a $(ALL_A) -Wl,--end-group $(ALL_LD) $(if $(filter unit/%,$*),-lcmocka)

$(T)/ocibuild: $(ONLINE_DEP)
	@mkdir -p $(@D)
	$(call say,TEST,ocibuild) $(CC) $(if $(filter san,$(FLAVOUR)),$(CFLAGS)) -o $@ $(online)

$(O)/fuzz_%: tests/fuzz/fuzz_%.c $(ALL_A) Makefile
	$(call say,FUZZ,$*) $(CC) $(BASE) -Itests $(CFLAGS) -fsanitize=fuzzer -MMD -MP -MF $@.d -o $@ $< \
		-Wl,--start-group $(ALL_A) -Wl,--end-group $(ALL_LD)

test lint bench demo: $(PROGRAMS)
	$(Q)tests/run $@
san: $(PROGRAMS)
	$(Q)T=$(T) tests/run unit
fuzz: $(HARNESSES)
	$(Q)tests/run fuzz $(FUZZ_SECONDS) $^

-include $(shell find $(O) $(T) -name '*.d' 2>/dev/null)
endif
