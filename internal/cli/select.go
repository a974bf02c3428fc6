package cli

import (
	"fmt"
	"path"
	"strings"

	"popfetch/internal/config"
)

// choose returns the accounts that the arguments name, in the order of the
// configuration: names, or patterns as of path.Match. Without arguments all
// enabled ones; a disabled one has to be named in full.
func choose(cfg *config.Config, args []string) ([]*config.Account, error) {
	accounts := cfg.Accounts
	meant := make(map[*config.Account]bool)
	for _, arg := range args {
		found := false
		for _, a := range accounts {
			match, err := path.Match(arg, a.Name)
			if err != nil {
				return nil, &usage{fmt.Sprintf("account pattern %q: %v", arg, err)}
			}
			if match && (a.Enabled || arg == a.Name) {
				meant[a], found = true, true
			}
		}
		if !found {
			return nil, &usage{fmt.Sprintf("there is no account %q; the accounts are %s", arg, names(accounts))}
		}
	}
	var chosen []*config.Account
	for _, a := range accounts {
		if meant[a] || len(args) == 0 && a.Enabled {
			chosen = append(chosen, a)
		}
	}
	if len(chosen) == 0 {
		return nil, &config.Error{File: cfg.File, Msg: "every account is disabled"}
	}
	return chosen, nil
}

func names(accounts []*config.Account) string {
	var quoted []string
	for _, a := range accounts {
		quoted = append(quoted, fmt.Sprintf("%q", a.Name))
	}
	return strings.Join(quoted, ", ")
}
