# popfetch: make build test race torture fuzz lint cover bench bench-quick bench-disk microbench demo install clean
#
# Needs Go 1.26 or later. No target changes a source file; what lint finds is
# said, not mended.

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
FUZZTIME ?= 30s

PREFIX   ?= /usr/local
BINDIR   ?= $(PREFIX)/bin
MANDIR   ?= $(PREFIX)/share/man
DOCDIR   ?= $(PREFIX)/share/doc/popfetch
UNITDIR  ?= $(PREFIX)/share/systemd/user

# The version is stamped here, so go need not ask git too: git refuses to answer in
# a checkout that belongs to another user, and go would not build then.
export GOFLAGS := $(strip $(shell $(GO) env GOFLAGS 2>/dev/null) -buildvcs=false)

BUILD = CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)'

# Debian packages of the programs that popfetch is tested against. PEERS= installs
# none.
PEERS ?= dovecot-pop3d procmail maildrop mandoc strace xfsprogs

# What make test runs a second time, under the race detector: tests that stay in
# one process, without the long ones about crashes. make race runs everything.
RACE_TESTS = -skip Crash ./deliver ./deliver/maildir ./fetch ./fetch/pop3 ./fetch/pop3/pop3test ./internal/config

.DELETE_ON_ERROR:
.PHONY: all build test race race-quick torture fuzz lint fmt vet man staticcheck cover bench bench-quick bench-disk microbench demo install clean peers

all: build

build:
	$(BUILD) -o popfetch .

# For install, which may run as a user who has no Go: build only if need be.
popfetch:
	$(BUILD) -o popfetch .

test: peers fmt vet man
	$(GO) test -timeout 4m ./...
	@$(MAKE) --no-print-directory race-quick

race:
	CGO_ENABLED=1 $(GO) test -race -timeout 15m ./...

race-quick:
	@if command -v "$$($(GO) env CC)" >/dev/null; then \
		echo '$(GO) test -race $(RACE_TESTS)'; \
		CGO_ENABLED=1 $(GO) test -race -timeout 4m $(RACE_TESTS); \
	else \
		echo 'race: no C compiler, so the tests under the race detector are left out'; \
	fi

# The tests about crashes, power cuts and broken servers in full, which takes long,
# and a table of what came of them. As root it can cut the power of file systems.
# One package after the other, so that their processes do not wait for each other.
TORTURE = POPFETCH_TORTURE=1 $(GO) test -v -count=1 -timeout 30m

torture:
	@log=$$(mktemp) && trap 'rm -f "$$log"' EXIT && trap 'exit 130' INT TERM && { \
		for suite in '-run ^TestCrash ./deliver/maildir' \
			'-run ^Test(Crash|Fault|TheCheckers) ./fetch' \
			'-run ^Test(Memory|RowN16) ./internal/cli' \
			'./internal/torture'; do \
			$(TORTURE) $$suite 2>&1 || echo "FAILED: go test $$suite"; \
		done; \
	} | tee "$$log" && awk -f contrib/torture.awk "$$log"

# Every fuzz target of every package, FUZZTIME each. An input that fails is kept
# in testdata/fuzz of its package.
fuzz:
	@set -e; for package in $$($(GO) list ./...); do \
		targets=$$($(GO) test -list '^Fuzz' $$package); \
		for target in $$(printf '%s\n' "$$targets" | grep '^Fuzz'); do \
			echo "$$package $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

lint: fmt vet man staticcheck

fmt:
	@out=$$(gofmt -l .) && if [ -n "$$out" ]; then echo "not formatted with gofmt:"; echo "$$out"; exit 1; fi

vet:
	$(GO) vet ./...

man:
	@if command -v mandoc >/dev/null; then \
		echo 'mandoc -Tlint -W warning man/*'; mandoc -Tlint -W warning man/popfetch.1 man/popfetch.toml.5 man/popfetch.7; \
	else \
		echo 'man: mandoc is not installed, so the man pages are not checked'; \
	fi

staticcheck:
	@if command -v staticcheck >/dev/null; then \
		echo 'staticcheck ./...'; staticcheck ./...; \
	else \
		echo 'staticcheck: not installed, left out'; \
	fi

cover:
	$(GO) test -timeout 10m -coverpkg=./... -coverprofile=cover.out ./...
	@$(GO) tool cover -func=cover.out | tail -n 1

# Beside the peers, from one Dovecot, in one run, as root: a table and a plot in bench/,
# and their summary in README.md. It takes about 20 minutes and 15 GiB in /var/tmp. The
# quick one takes about a minute and only prints its table.
BENCH_PEERS = dovecot-pop3d mpop fdm getmail6 fetchmail procmail strace iproute2

bench: build
	@$(MAKE) --no-print-directory peers PEERS='$(BENCH_PEERS)'
	$(GO) run ./bench ./popfetch
	$(GO) run ./bench -readme README.md

bench-quick: build
	@$(MAKE) --no-print-directory peers PEERS='$(BENCH_PEERS)'
	@out=$$(mktemp -d) && trap 'rm -rf "$$out"' EXIT && $(GO) run ./bench -quick -out "$$out" ./popfetch

# Ways to make the same mail durable on this disk: a table in bench/.
DISK ?= /var/tmp

bench-disk:
	$(GO) run ./bench -disk '$(DISK)'

microbench:
	$(GO) test -run '^$$' -bench . -benchmem ./...

demo: build
	$(GO) run ./fetch/pop3/pop3test/demo ./popfetch

install: popfetch
	install -d '$(DESTDIR)$(BINDIR)' '$(DESTDIR)$(MANDIR)/man1' '$(DESTDIR)$(MANDIR)/man5' '$(DESTDIR)$(MANDIR)/man7' '$(DESTDIR)$(DOCDIR)' '$(DESTDIR)$(UNITDIR)'
	install -m 755 popfetch '$(DESTDIR)$(BINDIR)/popfetch'
	install -m 644 man/popfetch.1 '$(DESTDIR)$(MANDIR)/man1/popfetch.1'
	install -m 644 man/popfetch.toml.5 '$(DESTDIR)$(MANDIR)/man5/popfetch.toml.5'
	install -m 644 man/popfetch.7 '$(DESTDIR)$(MANDIR)/man7/popfetch.7'
	install -m 644 config.example.toml README.md CHANGELOG.md LICENSE '$(DESTDIR)$(DOCDIR)'
	@set -e; for unit in popfetch.service popfetch-once.service popfetch.timer; do \
		echo "install contrib/systemd/$$unit"; \
		sed 's|/usr/local/bin/|$(BINDIR)/|' "contrib/systemd/$$unit" >'$(DESTDIR)$(UNITDIR)'/$$unit; \
		chmod 644 '$(DESTDIR)$(UNITDIR)'/$$unit; \
	done

clean:
	rm -f popfetch cover.out

# Installs what is missing of PEERS where that is allowed. Tests that need a
# program which is not there are left out; make test goes on without them.
peers:
	@missing() { \
		for p in $(PEERS); do \
			case $$p in \
			dovecot-pop3d) test -x /usr/lib/dovecot/pop3 || test -x /usr/libexec/dovecot/pop3 ;; \
			getmail6) command -v getmail >/dev/null ;; \
			xfsprogs) command -v mkfs.xfs >/dev/null ;; \
			iproute2) command -v ip >/dev/null ;; \
			*) command -v "$$p" >/dev/null ;; \
			esac || printf '%s ' "$$p"; \
		done; \
	}; \
	want=$$(missing); \
	if [ -z "$$want" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "peers: installing $$want"; \
		apt() { DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o DPkg::Lock::Timeout=60 "$$@" >/dev/null 2>&1; }; \
		apt install -y --no-install-recommends $$want || { apt update; apt install -y --no-install-recommends $$want; } || true; \
	fi; \
	want=$$(missing); \
	if [ -n "$$want" ]; then echo "peers: not installed: $$want- tests against them are left out"; fi
