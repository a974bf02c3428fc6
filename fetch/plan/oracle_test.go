package plan_test

import (
	"math/rand/v2"
	"testing"
)

func TestPlanEqualsTheNaiveOne(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	for range 200 {
		octets := make([]byte, random.Uint64()%100)
		random.Read(octets)
		checkPlan(t, octets)
	}
}

func FuzzPlan(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0xff, 1, 2, 3, 5, 30, 1, 13, 100, 2, 4, 200, 0x7f})
	f.Fuzz(func(t *testing.T, octets []byte) { checkPlan(t, octets) })
}
