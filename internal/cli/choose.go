package cli

import (
	"fmt"
	"path"
	"strings"

	"popfetch/fetch"
	"popfetch/internal/config"
)

// choose returns the accounts that the arguments name, in the order of the
// configuration. An argument is a name, or a pattern as in path.Match. Without
// arguments all enabled accounts are chosen; a disabled one must be named in
// full. commands are names that a misspelt argument may have meant.
func choose(cfg *config.Config, args, commands []string) ([]*config.Account, error) {
	named := make(map[*config.Account]bool)
	for _, arg := range args {
		found := false
		for _, a := range cfg.Accounts {
			match, err := path.Match(arg, a.Name)
			if err != nil {
				return nil, &usage{fmt.Sprintf("account pattern %q: %v", arg, err)}
			}
			if match && (a.Enabled || arg == a.Name) {
				named[a], found = true, true
			}
		}
		if !found {
			return nil, unknownAccount(arg, cfg.Accounts, commands)
		}
	}
	var chosen []*config.Account
	for _, a := range cfg.Accounts {
		if named[a] || len(args) == 0 && a.Enabled {
			chosen = append(chosen, a)
		}
	}
	if len(chosen) == 0 {
		return nil, &fetch.ConfigError{Err: &config.Error{File: cfg.File, Msg: "every account is disabled"}}
	}
	return chosen, nil
}

// unknownAccount is the error for an argument that no account matches.
func unknownAccount(arg string, accounts []*config.Account, commands []string) error {
	var names, quoted []string
	for _, a := range accounts {
		names = append(names, a.Name)
		quoted = append(quoted, fmt.Sprintf("%q", a.Name))
	}
	suggestion := ""
	if !strings.ContainsAny(arg, `*?[\`) { // not a pattern
		suggestion = didYouMean(arg, append(names, commands...))
	}
	return &usage{fmt.Sprintf("unknown account %q%s; the accounts are %s", arg, suggestion, strings.Join(quoted, ", "))}
}
