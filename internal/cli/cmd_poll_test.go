package cli

import (
	"testing"

	"popfetch/internal/config"
)

func TestOnlyARunThatKeepsOtherAccountsWaitingIsBrief(t *testing.T) {
	on, off := &config.Account{Enabled: true}, &config.Account{}
	for _, x := range []struct {
		accounts []*config.Account
		terminal bool
		want     bool
	}{
		{[]*config.Account{on, on}, false, true}, {[]*config.Account{on, on}, true, false},
		{[]*config.Account{on, off}, false, false}, {[]*config.Account{on}, false, false},
	} {
		h := &house{selection: &selection{config: &config.Config{Accounts: x.accounts}}}
		if got := h.brief(&console{terminal: x.terminal}); got != x.want {
			t.Errorf("%d accounts, terminal %v: %v", len(x.accounts), x.terminal, got)
		}
	}
}
