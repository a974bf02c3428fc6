package cli

import (
	"testing"

	"popfetch/internal/discovery"
)

func TestInitClaimsNoTLSForAServerInClearText(t *testing.T) {
	for flag, want := range map[string]string{"": "localhost:110 (STLS)", "none": "localhost:110 (no TLS)"} {
		s := &setup{flags: initFlags{tls: flag}}
		if got := s.reached(discovery.Server{Host: "localhost", Port: 110, StartTLS: true}); got != want {
			t.Errorf("--tls %q: %s, not %s", flag, got, want)
		}
	}
}
