# popfetch: make build test race torture interop fuzz lint cover bench bench-quick bench-disk microbench demo picture
# install uninstall deb rpm dist image clean
#
# Needs Go 1.26 or later. lint reports and changes no file; bench rewrites its table
# and the summary in README.md.

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
FUZZTIME ?= 30s

PREFIX   ?= /usr/local
BINDIR   ?= $(PREFIX)/bin
MANDIR   ?= $(PREFIX)/share/man
DOCDIR   ?= $(PREFIX)/share/doc/popfetch
UNITDIR  ?= $(PREFIX)/share/systemd/user
SYSTEMUNITDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR   ?= $(PREFIX)/lib/sysusers.d
BASHDIR  ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR   ?= $(PREFIX)/share/zsh/site-functions
FISHDIR  ?= $(PREFIX)/share/fish/vendor_completions.d

# The linker stamps the version, so go build need not ask git for it: in a checkout
# that belongs to another user git refuses to answer, and go build would fail.
export GOFLAGS := $(strip $(shell $(GO) env GOFLAGS 2>/dev/null) -buildvcs=false)

# A packager's GOFLAGS, such as -buildmode=pie and -mod=readonly, hold as well.
GO_LDFLAGS ?= -s -w
BUILD = CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(GO_LDFLAGS) -X main.version=$(VERSION)'

# The versions of Go that make test runs with: "make test GO_VERSIONS='go1.26.0 local'"
# takes the oldest supported one and the installed one.
GO_VERSIONS ?= local

# What make test runs: "make test PACKAGES=./state/..." is quicker.
PACKAGES ?= ./...

# Debian packages of the programs that the tests run against. PEERS= installs none.
PEERS ?= \
	dovecot-pop3d dovecot-lmtpd dovecot-imapd dovecot-sieve python3-aiosmtpd \
	mutt neomutt aerc notmuch maildir-utils mailutils procmail maildrop \
	spamc spamd rspamd \
	getmail6 fetchmail mpop fdm \
	krb5-kdc krb5-user dovecot-gssapi \
	dbus gnome-keyring openssl socat netcat-openbsd \
	mandoc strace xfsprogs rpm buildah zsh fish

# The packages that make test runs again under the race detector: those whose tests
# stay in one process, without the long crash tests. make race runs all of them.
RACE_PACKAGES = $$($(GO) list $(PACKAGES) | grep -Ev '/(bench|demo|state|mda|cli|simulate|soak|torture|servertest|packagetest)$$')

.DELETE_ON_ERROR:
.PHONY: all build test race torture soak interop fuzz lint fmt vet man staticcheck govulncheck cover bench bench-quick bench-disk microbench demo picture install uninstall deb rpm dist image clean peers

all: build

build:
	$(BUILD) -o popfetch .

# make install may run as a user without Go (sudo), so it builds only what is missing.
popfetch:
	$(BUILD) -o popfetch .

# The last line says what ran, and what was left out and why.
test: peers fmt vet man
	@{ \
		command -v mandoc >/dev/null || echo 'LEFT OUT the man pages (mandoc is not installed)'; \
		for version in $(GO_VERSIONS); do \
			export GOTOOLCHAIN=$$version; \
			echo "TESTS WITH $$($(GO) env GOVERSION)"; \
			$(GO) test -v -timeout 30m $(PACKAGES) 2>&1; \
		done; \
		packages="$(RACE_PACKAGES)"; \
		if ! command -v "$$($(GO) env CC)" >/dev/null; then \
			echo 'LEFT OUT the race detector (there is no C compiler)'; \
		elif [ -n "$$packages" ]; then \
			echo 'TESTS WITH the race detector'; \
			CGO_ENABLED=1 $(GO) test -v -race -timeout 30m -skip Crash $$packages 2>&1; \
		fi; \
	} | awk -f contrib/test.awk

race:
	CGO_ENABLED=1 $(GO) test -race -timeout 40m ./...

# The tests of crashes, power cuts and broken servers in full, which take long, and a
# table of their results. As root it cuts the power of file systems too. The packages
# run one after the other, so that their processes do not compete.
TORTURE = POPFETCH_TORTURE=1 $(GO) test -v -count=1 -timeout 30m

torture:
	@log=$$(mktemp) && trap 'rm -f "$$log"' EXIT && trap 'exit 130' INT TERM && { \
		for suite in '-run ^TestCrash ./deliver/maildir' \
			'./fetch ./fetch/plan' \
			'-run Memory|FarAway ./internal/cli' \
			'-run Speed|Flights ./deliver/relay ./deliver/mailbox' \
			'./internal/simulate' \
			'./internal/torture'; do \
			$(TORTURE) $$suite 2>&1 || echo "FAILED: go test $$suite"; \
		done; \
	} | tee "$$log" && awk -f contrib/torture.awk "$$log"

# A year of a daemon in compressed time, with a table of what must not grow, and the memory
# of 10,000 idle accounts.
soak:
	POPFETCH_SOAK=1 $(GO) test -count=1 -v -timeout 30m ./internal/soak
	POPFETCH_SOAK=1 $(GO) test -count=1 -v -timeout 30m -run TestMemoryOfIdleAccounts ./internal/cli

# Real POP3 servers: a fetch from each, and a table of the results. It needs root, and
# keeps the unpacked Debian packages below ~/.cache. make test runs the servers that
# start fast. Then moving from a real Thunderbird, the recipe for containers, and Postfix
# with more mail than in make test, and before rspamd.
interop:
	@$(MAKE) --no-print-directory peers PEERS='podman runc rspamd'
	cd internal/servertest && POPFETCH_INTEROP=1 $(GO) test -tags interop -count=1 -timeout 15m -run Interop
	cd internal/packagetest && $(GO) test -tags interop -count=1 -timeout 10m -run Interop
	cd internal/cli && POPFETCH_INTEROP=1 $(GO) test -count=1 -timeout 15m -run 'Postfix|Milter'

# Every fuzz target of every package, FUZZTIME each. go test keeps an input that fails
# in testdata/fuzz of its package.
fuzz:
	@set -e; for package in $$($(GO) list ./...); do \
		targets=$$($(GO) test -list '^Fuzz' $$package); \
		for target in $$(printf '%s\n' "$$targets" | grep '^Fuzz'); do \
			echo "$$package $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

lint: fmt vet man staticcheck govulncheck

fmt:
	@out=$$(gofmt -l .) && if [ -n "$$out" ]; then echo "not formatted with gofmt:"; echo "$$out"; exit 1; fi

vet:
	$(GO) vet ./...
	$(GO) vet -tags interop ./internal/packagetest ./internal/servertest

man:
	@if command -v mandoc >/dev/null; then \
		echo 'mandoc -Tlint -W warning man/*'; mandoc -Tlint -W warning man/popfetch.1 man/popfetch.toml.5 man/popfetch.7 man/popfetch-oauth.7; \
	else \
		echo 'man: mandoc is not installed, so the man pages are not checked'; \
	fi

# go.mod names the versions of staticcheck and govulncheck.
staticcheck:
	$(GO) tool staticcheck ./...

# govulncheck reads the vulnerability database from GOVULNDB, by default
# https://vuln.go.dev; a proxy for modules does not have it.
govulncheck:
	@echo '$(GO) tool govulncheck ./...'; \
	if ! out=$$($(GO) tool govulncheck ./... 2>&1); then \
		case $$out in \
		*'fetching vulnerabilities'*) echo 'govulncheck: left out, the vulnerability database is not within reach' ;; \
		*) printf '%s\n' "$$out"; exit 1 ;; \
		esac; \
	fi

cover:
	$(GO) test -timeout 30m -coverpkg=./... -coverprofile=cover.out ./...
	@$(GO) tool cover -func=cover.out | tail -n 1

# popfetch and its peers fetch from one Dovecot, in one run, as root: a table in
# bench/, and its summary in README.md. It takes about 20 minutes and 15 GiB in
# /var/tmp. bench-quick takes about two minutes and only prints its table.
BENCH_PEERS = dovecot-pop3d mpop fdm getmail6 fetchmail procmail strace iproute2

bench: build
	@$(MAKE) --no-print-directory peers PEERS='$(BENCH_PEERS)'
	$(GO) run ./bench ./popfetch
	$(GO) run ./bench -readme README.md

bench-quick: build
	@$(MAKE) --no-print-directory peers PEERS='$(BENCH_PEERS)'
	@out=$$(mktemp -d) && trap 'rm -rf "$$out"' EXIT && $(GO) run ./bench -quick -out "$$out" ./popfetch

# Compares ways to make the same mail durable on the disk of DISK: a table in bench/.
DISK ?= /var/tmp

bench-disk:
	$(GO) run ./bench -disk '$(DISK)'

microbench:
	$(GO) test -run '^$$' -bench . -benchmem ./...

demo: build
	$(GO) run ./fetch/pop3/pop3test/demo ./popfetch

# The terminal picture of README.md, from a real run.
picture: build
	$(GO) run ./internal/picture ./popfetch docs/session.svg

# What make install installs, by directory.
MAN1  = popfetch.1
MAN5  = popfetch.toml.5
MAN7  = popfetch.7 popfetch-oauth.7
DOCS  = config.example.toml README.md CHANGELOG.md LICENSE
PAGES = recipes.md session.svg
ALERTS = alerts.yml dashboard.json scrape.yml metrics.conf
UNITS = popfetch.service popfetch-once.service popfetch.timer

install: popfetch
	install -D -m 755 popfetch '$(DESTDIR)$(BINDIR)/popfetch'
	install -d '$(DESTDIR)$(MANDIR)/man1' '$(DESTDIR)$(MANDIR)/man5' '$(DESTDIR)$(MANDIR)/man7' \
		'$(DESTDIR)$(DOCDIR)' '$(DESTDIR)$(UNITDIR)' '$(DESTDIR)$(SYSTEMUNITDIR)'
	install -m 644 $(MAN1:%=man/%) '$(DESTDIR)$(MANDIR)/man1'
	install -m 644 $(MAN5:%=man/%) '$(DESTDIR)$(MANDIR)/man5'
	install -m 644 $(MAN7:%=man/%) '$(DESTDIR)$(MANDIR)/man7'
	install -m 644 $(DOCS) '$(DESTDIR)$(DOCDIR)'
	install -d '$(DESTDIR)$(DOCDIR)/docs' && install -m 644 $(PAGES:%=docs/%) '$(DESTDIR)$(DOCDIR)/docs'
	install -d '$(DESTDIR)$(DOCDIR)/prometheus' && install -m 644 $(ALERTS:%=contrib/prometheus/%) '$(DESTDIR)$(DOCDIR)/prometheus'
	@set -e; unit() { \
		echo "install contrib/systemd/$$1"; \
		sed 's|/usr/local/bin/|$(BINDIR)/|' "contrib/systemd/$$1" >"$$2/$$(basename $$1)"; \
		chmod 644 "$$2/$$(basename $$1)"; \
	}; \
	for name in $(UNITS); do unit $$name '$(DESTDIR)$(UNITDIR)'; done; \
	unit system/popfetch.service '$(DESTDIR)$(SYSTEMUNITDIR)'
	install -D -m 644 internal/cli/completion/popfetch.bash '$(DESTDIR)$(BASHDIR)/popfetch'
	install -D -m 644 internal/cli/completion/popfetch.zsh '$(DESTDIR)$(ZSHDIR)/_popfetch'
	install -D -m 644 internal/cli/completion/popfetch.fish '$(DESTDIR)$(FISHDIR)/popfetch.fish'
	install -D -m 644 contrib/packaging/sysusers.conf '$(DESTDIR)$(SYSUSERSDIR)/popfetch.conf'

# Needs the PREFIX and DESTDIR of make install. Configurations, states and mail stay.
uninstall:
	rm -f '$(DESTDIR)$(BINDIR)/popfetch' '$(DESTDIR)$(SYSTEMUNITDIR)/popfetch.service' '$(DESTDIR)$(SYSUSERSDIR)/popfetch.conf'
	rm -f '$(DESTDIR)$(BASHDIR)/popfetch' '$(DESTDIR)$(ZSHDIR)/_popfetch' '$(DESTDIR)$(FISHDIR)/popfetch.fish'
	rm -f $(MAN1:%='$(DESTDIR)$(MANDIR)/man1/%') $(MAN5:%='$(DESTDIR)$(MANDIR)/man5/%') $(MAN7:%='$(DESTDIR)$(MANDIR)/man7/%')
	rm -f $(UNITS:%='$(DESTDIR)$(UNITDIR)/%') $(DOCS:%='$(DESTDIR)$(DOCDIR)/%') $(PAGES:%='$(DESTDIR)$(DOCDIR)/docs/%') $(ALERTS:%='$(DESTDIR)$(DOCDIR)/prometheus/%')
	rmdir '$(DESTDIR)$(DOCDIR)/docs' '$(DESTDIR)$(DOCDIR)/prometheus' '$(DESTDIR)$(DOCDIR)'

# Where packages and archives are written.
DIST ?= dist

# The time of the last commit, so that a second build is equal to the first.
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)

PACKAGE_VERSION = $(shell contrib/packaging/version.sh '$(VERSION)' '$(SOURCE_DATE_EPOCH)')

MAINTAINER ?= $(shell git log -1 --format='%an <%ae>' 2>/dev/null || echo 'The popfetch authors <root@localhost>')

NFPM = $(GO) run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.0

# A package for Debian and one for RPM systems. Neither dpkg nor rpm has to be there.
deb rpm: build
	rm -rf '$(DIST)/$@' && $(MAKE) --no-print-directory install DESTDIR='$(DIST)/$@' PREFIX=/usr \
		UNITDIR=/usr/lib/systemd/user SYSTEMUNITDIR=/usr/lib/systemd/system SYSUSERSDIR=/usr/lib/sysusers.d
	cp LICENSE '$(DIST)/$@/usr/share/doc/popfetch/copyright'
	find '$(DIST)/$@/usr/share/man' -type f -exec gzip -9n {} +
	PACKAGE_ROOT='$(DIST)/$@' PACKAGE_VERSION='$(PACKAGE_VERSION)' PACKAGE_ARCH="$$($(GO) env GOARCH)" \
		PACKAGE_MAINTAINER='$(MAINTAINER)' \
		$(NFPM) package --config contrib/packaging/nfpm.yaml --packager $@ --target '$(DIST)'
	rm -rf '$(DIST)/$@'

# Archives of the static binary for other systems, and their checksums. The same commit
# gives the same octets.
PLATFORMS ?= linux/amd64 linux/arm64 linux/arm/7 linux/riscv64 darwin/amd64 darwin/arm64 freebsd/amd64 freebsd/arm64

dist:
	install -d '$(DIST)'
	@set -e; for platform in $(PLATFORMS); do \
		name=popfetch-$(VERSION)-$$(echo $$platform | sed 's|arm/|armv|; s|/|-|'); echo "$$name"; \
		rm -rf '$(DIST)'/$$name && install -d '$(DIST)'/$$name; \
		GOOS=$$(echo $$platform | cut -d/ -f1) GOARCH=$$(echo $$platform | cut -d/ -f2) GOARM=$$(echo $$platform | cut -sd/ -f3) \
			$(BUILD) -o '$(DIST)'/$$name/popfetch .; \
		cp -r $(DOCS) man contrib/systemd contrib/prometheus internal/cli/completion '$(DIST)'/$$name; \
		install -d '$(DIST)'/$$name/docs && cp $(PAGES:%=docs/%) '$(DIST)'/$$name/docs; \
		tar -C '$(DIST)' --sort=name --format=ustar --owner=0 --group=0 --numeric-owner --mode=go=rX,u+rw \
			--mtime=@$(SOURCE_DATE_EPOCH) -cf - $$name | gzip -9n >'$(DIST)'/$$name.tar.gz; \
		rm -rf '$(DIST)'/$$name; \
	done
	cd '$(DIST)' && sha256sum popfetch-*.tar.gz >SHA256SUMS

# A container image of the static binary, built with podman, docker or buildah.
CONTAINER ?= podman
IMAGE     ?= popfetch
CERTIFICATES ?= /etc/ssl/certs/ca-certificates.crt

image:
	rm -rf '$(DIST)/image' && install -d '$(DIST)/image/state'
	GOOS=linux $(BUILD) -o '$(DIST)/image/popfetch' .
	cp '$(CERTIFICATES)' '$(DIST)/image/ca-certificates.crt'
	$(CONTAINER) build -f contrib/container/Containerfile -t '$(IMAGE)' '$(DIST)/image'

clean:
	rm -rf popfetch cover.out '$(DIST)'

# Installs the missing ones of PEERS, if the user is root and apt-get is there. A test
# that needs a missing program is skipped.
peers:
	@missing() { \
		for p in $(PEERS); do \
			case $$p in \
			dovecot-pop3d) test -x /usr/lib/dovecot/pop3 || test -x /usr/libexec/dovecot/pop3 ;; \
			dovecot-imapd) test -x /usr/lib/dovecot/imap || test -x /usr/libexec/dovecot/imap ;; \
			dovecot-lmtpd) test -x /usr/lib/dovecot/lmtp || test -x /usr/libexec/dovecot/lmtp ;; \
			maildir-utils) command -v mu >/dev/null ;; \
			mailutils) command -v mail.mailutils >/dev/null ;; \
			dovecot-sieve) test -e /usr/lib/dovecot/modules/lib90_sieve_plugin.so ;; \
			python3-aiosmtpd) /usr/bin/python3 -c 'import aiosmtpd' 2>/dev/null ;; \
			getmail6) command -v getmail >/dev/null ;; \
			xfsprogs) command -v mkfs.xfs >/dev/null ;; \
			iproute2) command -v ip >/dev/null ;; \
			krb5-kdc) command -v krb5kdc >/dev/null ;; \
			krb5-user) command -v kinit >/dev/null ;; \
			dovecot-gssapi) test -e /usr/lib/dovecot/modules/auth/libmech_gssapi.so ;; \
			dbus) command -v dbus-run-session >/dev/null ;; \
			netcat-openbsd) command -v nc >/dev/null ;; \
			gnome-keyring) command -v gnome-keyring-daemon >/dev/null ;; \
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
