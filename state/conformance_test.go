package state_test

import (
	"path/filepath"
	"testing"
	"time"

	"popfetch/state"
	"popfetch/state/statetest"
)

func TestBoltIsAStore(t *testing.T) {
	statetest.Run(t, func(t *testing.T) func() (state.Store, error) {
		f := state.File{Path: filepath.Join(t.TempDir(), "state.db"), Wait: time.Minute}
		return func() (state.Store, error) { return f.Open() }
	})
}
