package statetest_test

import (
	"fmt"
	"testing"

	"popfetch/state"
	"popfetch/state/statetest"
)

// A Store that has nothing to do with files passes too: the suite asks for the
// contract, and for nothing that only one implementation has.
func TestMemory(t *testing.T) {
	stores := 0
	statetest.Run(t, func(t *testing.T) func() (state.Store, error) {
		stores++
		m := &statetest.Memory{Name: fmt.Sprintf("%016x", stores)}
		return func() (state.Store, error) { return m.Open(), nil }
	})
}
