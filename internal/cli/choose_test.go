package cli

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"popfetch/internal/config"
)

func TestChoose(t *testing.T) {
	cfg := &config.Config{File: "config.toml"}
	for _, name := range []string{"work", "home", "work-2", "off"} {
		cfg.Accounts = append(cfg.Accounts, &config.Account{Name: name, Enabled: name != "off"})
	}
	for given, want := range map[string]string{
		"":             "work home work-2",
		"home":         "home",
		"home work":    "work home",
		"work*":        "work work-2",
		"work* work":   "work work-2",
		"*":            "work home work-2",
		"????":         "work home",
		"[hw]o*":       "work home work-2",
		"off":          "off",
		"off work":     "work off",
		"o*":           `unknown account "o*"; the accounts are "work", "home", "work-2", "off"`,
		"work nowhere": `unknown account "nowhere"; the accounts are`,
		"Work":         `unknown account "Work" (did you mean "work"?); the accounts are`,
		"chekc":        `unknown account "chekc" (did you mean "check"?); `,
		"work [":       `account pattern "[": syntax error in pattern`,
		"no\x1bone":    `unknown account "no\x1bone"`,
	} {
		chosen, err := choose(cfg, strings.Fields(given), []string{"check", "list"})
		var names []string
		for _, a := range chosen {
			names = append(names, a.Name)
		}
		if err == nil {
			if !slices.Equal(names, strings.Fields(want)) {
				t.Errorf("%q: %q, want %q", given, names, want)
			}
			continue
		}
		if use := new(usage); !errors.As(err, &use) || !strings.HasPrefix(err.Error(), want) || chosen != nil {
			t.Errorf("%q: %q, %v, want %q", given, names, err, want)
		}
	}
}

func TestChooseWhereAllAreDisabled(t *testing.T) {
	cfg := &config.Config{File: "config.toml", Accounts: []*config.Account{{Name: "off"}}}
	_, err := choose(cfg, nil, nil)
	if conf := new(config.Error); !errors.As(err, &conf) || err.Error() != "config.toml: every account is disabled" {
		t.Error(err)
	}
}
