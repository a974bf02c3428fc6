package peer

import (
	"net"
	"path"
	"slices"
	"strings"

	"popfetch/internal/config"
)

// fetchmailTunnel returns the argument list for a plugin, which fetchmail splits at blanks
// and runs without a shell. %h and %p are words of their own there. Whoever calls it has set
// server and tls.
func fetchmailTunnel(plugin string, a *config.Account) []string {
	host, port, err := net.SplitHostPort(a.Server)
	if err != nil {
		host, port = strings.Trim(a.Server, "[]"), "110"
		if a.TLS == config.TLSImplicit || beginsTLS(plugin) {
			port = "995"
		}
	}
	argv := append([]string(nil), strings.Fields(plugin)...)
	for i, word := range argv {
		switch word {
		case "%h":
			argv[i] = host
		case "%p":
			argv[i] = port
		}
	}
	return argv
}

// beginsTLS reports whether the program of a plugin speaks TLS itself, so that what it
// prints is clear text.
func beginsTLS(plugin string) bool {
	words := strings.Fields(strings.ToLower(plugin))
	if len(words) == 0 {
		return false
	}
	if slices.Contains([]string{"openssl", "gnutls-cli", "stunnel", "stunnel4"}, path.Base(words[0])) {
		return true
	}
	return slices.ContainsFunc(words, func(w string) bool {
		return strings.HasPrefix(w, "openssl:") || strings.HasPrefix(w, "ssl:") || w == "--ssl" // socat, ncat
	})
}
