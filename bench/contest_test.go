//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"popfetch/internal/dovecottest"
)

// A run counts only if everything was delivered and the server holds what it should.
func TestRunThatLeavesMailBehindDoesNotCount(t *testing.T) {
	d := &dovecot{Server: &dovecottest.Server{Mail: t.TempDir()}}
	for user, n := range map[string]int{"kept": 3, "emptied": 0, "cut": 2} {
		cur := filepath.Join(d.Mail, user, "cur")
		must(t, os.MkdirAll(cur, 0o700))
		for i := range n {
			must(t, os.WriteFile(filepath.Join(cur, fmt.Sprint(i)), nil, 0o600))
		}
	}
	for _, x := range []struct {
		what      string
		s         scenario
		user      string
		delivered int
		fine      bool
	}{
		{"fresh", scenario{box: small(3), users: 1}, "kept", 3, true},
		{"fresh, one missing", scenario{box: small(3), users: 1}, "kept", 2, false},
		{"fresh, and the server has lost one", scenario{box: small(3), users: 1}, "cut", 3, false},
		{"deleted", scenario{box: small(3), users: 1, dele: true}, "emptied", 3, true},
		{"not deleted", scenario{box: small(3), users: 1, dele: true}, "kept", 3, false},
		{"nothing new", scenario{box: small(3), users: 1, known: true}, "kept", 0, true},
		{"fetched again", scenario{box: small(3), users: 1, known: true}, "kept", 3, false},
	} {
		st := &stage{contest: &contest{server: d}, s: x.s, users: []string{x.user}}
		if err := st.check(st.users, outcome{delivered: x.delivered}); (err == nil) != x.fine {
			t.Errorf("%s: %v", x.what, err)
		}
	}
}
