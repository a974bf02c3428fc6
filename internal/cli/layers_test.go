package cli_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// rooms says which packages of the house each package may import, and which
// libraries live in one room only. A new arrow has to be drawn here first.
var (
	rooms = map[string][]string{
		"popfetch":                          {"internal/cli"},
		"popfetch/internal/cli":             {"deliver", "deliver/maildir", "deliver/mda", "fetch", "fetch/plan", "fetch/pop3", "internal/config", "internal/durable", "internal/secret", "state"},
		"popfetch/internal/config":          {},
		"popfetch/internal/secret":          {"internal/config"},
		"popfetch/fetch":                    {"deliver", "fetch/plan", "fetch/pop3", "fetch/settle", "state"},
		"popfetch/fetch/settle":             {"deliver", "fetch/plan", "state"},
		"popfetch/fetch/plan":               {"state"},
		"popfetch/fetch/pop3":               {},
		"popfetch/fetch/pop3/pop3test":      {"internal/certtest"},
		"popfetch/internal/certtest":        {},
		"popfetch/internal/dovecottest":     {"internal/certtest"},
		"popfetch/internal/ptytest":         {},
		"popfetch/internal/servertest":      {"internal/certtest", "internal/dovecottest"},
		"popfetch/fetch/pop3/pop3test/demo": {"fetch/pop3/pop3test"},
		"popfetch/deliver":                  {},
		"popfetch/deliver/maildir":          {"deliver", "internal/durable"},
		"popfetch/deliver/mda":              {"deliver", "internal/durable"},
		"popfetch/internal/durable":         {},
		"popfetch/deliver/delivertest":      {"deliver"},
		"popfetch/internal/durable/model":   {"internal/durable"},
		"popfetch/internal/torture":         {},
		"popfetch/bench":                    {"state", "internal/certtest", "internal/dovecottest"},
		"popfetch/state":                    {"internal/durable"},
		"popfetch/state/statetest":          {"state"},
	}
	libraries = map[string][]string{
		"github.com/urfave/cli/v2":           {"popfetch/internal/cli"},
		"github.com/BurntSushi/toml":         {"popfetch/internal/config"},
		"github.com/emersion/go-maildir":     {"popfetch/deliver/maildir"},
		"go.etcd.io/bbolt":                   {"popfetch/state"},
		"github.com/emersion/go-sasl":        {"popfetch/fetch/pop3"},
		"github.com/vbauerster/mpb/v8":       {"popfetch/internal/cli"},
		"golang.org/x/net/proxy":             {"popfetch/internal/cli"},
		"golang.org/x/term":                  {"popfetch/internal/cli", "popfetch/internal/secret"},
		"github.com/creack/pty":              {"popfetch/internal/ptytest"},
		"net/textproto":                      {},
		"github.com/vbauerster/mpb/v8/decor": {"popfetch/internal/cli"},
	}
)

func TestImportsRunOneWay(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "popfetch/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		room, imports := words[0], words[1:]
		allowed, known := rooms[room]
		if !known {
			t.Errorf("package %s has no place in the table of rooms", room)
			continue
		}
		for _, i := range imports {
			if inner, ok := strings.CutPrefix(i, "popfetch/"); ok && !slices.Contains(allowed, inner) {
				t.Errorf("%s must not import %s", room, i)
			}
			if owners, ok := libraries[i]; ok && !slices.Contains(owners, room) {
				t.Errorf("%s must not import %s", room, i)
			}
		}
	}
}
