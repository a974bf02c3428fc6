package cli_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// rooms lists which packages of the module each package may import, libraries which
// packages may import a library. A new import has to be entered here first.
var (
	rooms = map[string][]string{
		"popfetch":                          {"internal/cli"},
		"popfetch/internal/cli":             {"deliver", "deliver/mailbox", "deliver/maildir", "deliver/mbox", "deliver/mda", "deliver/relay", "fetch", "fetch/plan", "fetch/pop3", "internal/config", "internal/control", "internal/durable", "internal/discovery", "internal/incident", "internal/imap", "internal/kerberos", "internal/login", "internal/metrics", "internal/network", "internal/oauth", "internal/peer", "internal/provider", "internal/secret", "internal/status", "state"},
		"popfetch/internal/config":          {},
		"popfetch/internal/control":         {},
		"popfetch/internal/incident":        {"fetch", "state"},
		"popfetch/internal/metrics":         {"internal/status"},
		"popfetch/internal/peer":            {"internal/config"},
		"popfetch/internal/provider":        {},
		"popfetch/internal/discovery":       {"internal/provider"},
		"popfetch/internal/network":         {},
		"popfetch/internal/secret":          {"internal/config"},
		"popfetch/internal/kerberos":        {"internal/secret"},
		"popfetch/internal/oauth":           {"internal/config", "internal/durable", "internal/secret"},
		"popfetch/internal/oauth/oauthtest": {},
		"popfetch/fetch":                    {"deliver", "fetch/plan", "fetch/pop3", "fetch/settle", "state"},
		"popfetch/fetch/settle":             {"deliver", "fetch/plan", "state"},
		"popfetch/fetch/plan":               {"state"},
		"popfetch/fetch/pop3":               {"internal/mask", "internal/mechanism"},
		"popfetch/fetch/pop3/pop3test":      {"internal/certtest"},
		"popfetch/internal/certtest":        {},
		"popfetch/internal/dovecottest":     {"internal/certtest"},
		"popfetch/internal/ptytest":         {},
		"popfetch/internal/distancetest":    {},
		"popfetch/internal/stalltest":       {},
		"popfetch/internal/packagetest":     {},
		"popfetch/internal/servertest":      {"internal/certtest", "internal/dovecottest"},
		"popfetch/fetch/pop3/pop3test/demo": {"fetch/pop3/pop3test"},
		"popfetch/internal/picture":         {"fetch/pop3/pop3test", "internal/certtest"},
		"popfetch/deliver":                  {},
		"popfetch/deliver/maildir":          {"deliver", "internal/durable"},
		"popfetch/deliver/mbox":             {"deliver", "internal/durable", "internal/spool"},
		"popfetch/deliver/mda":              {"deliver", "internal/durable", "internal/spool"},
		"popfetch/deliver/relay":            {"deliver", "internal/durable", "internal/login", "internal/mask", "internal/spool"},
		"popfetch/deliver/mailbox":          {"deliver", "internal/imap", "internal/login", "internal/spool"},
		"popfetch/internal/login":           {"internal/mask", "internal/mechanism"},
		"popfetch/internal/mechanism":       {},
		"popfetch/internal/mask":            {},
		"popfetch/internal/imap":            {"internal/login", "internal/mask"},
		"popfetch/internal/status":          {},
		"popfetch/internal/spool":           {"deliver", "internal/durable"},
		"popfetch/internal/durable":         {},
		"popfetch/deliver/delivertest":      {"deliver"},
		"popfetch/internal/durable/faultfs": {"internal/durable"},
		"popfetch/internal/durable/model":   {"internal/durable"},
		"popfetch/internal/torture":         {},
		"popfetch/internal/simulate":        {},
		"popfetch/internal/soak":            {},
		"popfetch/bench":                    {"state", "internal/certtest", "internal/dovecottest"},
		"popfetch/state":                    {"internal/durable"},
		"popfetch/state/statetest":          {"state"},
	}
	libraries = map[string][]string{
		"github.com/urfave/cli/v2":                       {"popfetch/internal/cli"},
		"github.com/BurntSushi/toml":                     {"popfetch/internal/config"},
		"github.com/emersion/go-maildir":                 {"popfetch/deliver/maildir"},
		"go.etcd.io/bbolt":                               {"popfetch/state"},
		"github.com/emersion/go-sasl":                    {"popfetch/fetch/pop3", "popfetch/internal/imap", "popfetch/internal/login", "popfetch/internal/mechanism"},
		"golang.org/x/net/proxy":                         {"popfetch/internal/network"},
		"golang.org/x/term":                              {"popfetch/internal/cli", "popfetch/internal/secret"},
		"github.com/creack/pty":                          {"popfetch/internal/picture", "popfetch/internal/ptytest"},
		"net/textproto":                                  {},
		"github.com/zalando/go-keyring":                  {"popfetch/internal/secret"},
		"github.com/xdg-go/scram":                        {"popfetch/fetch/pop3/pop3test", "popfetch/internal/mechanism"},
		"github.com/jcmturner/gokrb5/v8/client":          {"popfetch/internal/kerberos"},
		"golang.org/x/oauth2":                            {"popfetch/internal/oauth"},
		"github.com/prometheus/client_golang/prometheus": {"popfetch/internal/metrics"},
		"golang.org/x/net/netutil":                       {"popfetch/internal/cli"},
		"github.com/coreos/go-systemd/v22/daemon":        {"popfetch/internal/cli"},
		"github.com/coreos/go-systemd/v22/journal":       {"popfetch/internal/cli"},
		"github.com/mattn/go-runewidth":                  {"popfetch/internal/cli"},
	}
	// fixtures are the packages for tests that every test may import.
	fixtures = []string{
		"deliver/delivertest", "fetch/pop3/pop3test", "internal/certtest", "internal/distancetest", "internal/dovecottest", "internal/durable/faultfs", "internal/durable/model",
		"internal/oauth/oauthtest", "internal/ptytest", "internal/servertest", "internal/stalltest", "state/statetest",
	}
	// endToEnd lists what tests import beyond that because they put several rooms
	// together.
	endToEnd = map[string][]string{
		"popfetch/internal/incident": {"deliver", "fetch/pop3", "fetch/settle"},
		"popfetch/fetch":             {"deliver/maildir", "deliver/mda"},
		"popfetch/internal/soak":     {"deliver", "fetch", "fetch/plan", "fetch/pop3", "internal/incident", "state"}, // a year of a daemon
		"popfetch/internal/simulate": {"deliver", "deliver/maildir", "fetch", "fetch/plan", "fetch/pop3", "state"},   // a year of polls
		"popfetch/deliver/maildir":   {"fetch", "fetch/plan", "fetch/pop3", "state"},                                 // every crash of a whole poll
	}
)

// pkg is what go list tells about a package.
type pkg struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

func listPackages(t *testing.T) (all []pkg) {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "popfetch/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var p pkg
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func TestImportsRunOneWay(t *testing.T) {
	for _, p := range listPackages(t) {
		allowed, known := rooms[p.ImportPath]
		if !known {
			t.Errorf("package %s is not in the table of rooms", p.ImportPath)
			continue
		}
		for _, i := range p.Imports {
			if inner, ok := strings.CutPrefix(i, "popfetch/"); ok && !slices.Contains(allowed, inner) {
				t.Errorf("%s must not import %s", p.ImportPath, i)
			}
			if owners, ok := libraries[i]; ok && !slices.Contains(owners, p.ImportPath) {
				t.Errorf("%s must not import %s", p.ImportPath, i)
			}
		}
	}
}

// Tests import what their package may, and fixtures; only end-to-end tests more.
func TestImportsOfTestsRunOneWay(t *testing.T) {
	used := make(map[string]bool)
	for _, p := range listPackages(t) {
		own := strings.TrimPrefix(p.ImportPath, "popfetch/")
		for _, i := range slices.Concat(p.TestImports, p.XTestImports) {
			inner, ok := strings.CutPrefix(i, "popfetch/")
			if !ok || inner == own || slices.Contains(rooms[p.ImportPath], inner) || slices.Contains(fixtures, inner) {
				continue
			}
			if !slices.Contains(endToEnd[p.ImportPath], inner) {
				t.Errorf("a test of %s must not import %s", p.ImportPath, i)
			}
			used[p.ImportPath+" "+inner] = true
		}
	}
	for room, extra := range endToEnd {
		for _, inner := range extra {
			if !used[room+" "+inner] {
				t.Errorf("no test of %s imports %s: take it from the table", room, inner)
			}
		}
	}
}
