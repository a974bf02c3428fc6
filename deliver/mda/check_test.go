package mda

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"popfetch/deliver"
)

func TestCheckFindsAMissingProgram(t *testing.T) {
	dir := t.TempDir()
	plain, program := filepath.Join(dir, "plain"), filepath.Join(dir, "program")
	if err := errors.Join(os.WriteFile(plain, nil, 0o600), os.WriteFile(program, nil, 0o700)); err != nil {
		t.Fatal(err)
	}
	for name, ok := range map[string]bool{program: true, "sh": true, plain: false, filepath.Join(dir, "missing"): false, "no-such-program": false, dir: false} {
		err := (&MDA{Argv: []string{name}}).Check()
		if (err == nil) != ok {
			t.Errorf("%s: %v", name, err)
		}
		if e := new(deliver.Error); err != nil && (!errors.As(err, &e) || e.Scope != deliver.Place || name != dir && e.Hint == "") {
			t.Errorf("%s: %#v", name, err)
		}
	}
}
