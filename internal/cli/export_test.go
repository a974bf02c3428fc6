package cli

import (
	"net/http"
	"os"

	"popfetch/internal/discovery"
)

// Run is Main with doubles of DNS and the web for init.
func Run(args []string, stdout, stderr *os.File, version string, resolver discovery.Resolver, web http.RoundTripper) int {
	return run(args, stdout, stderr, version, resolver, web)
}
