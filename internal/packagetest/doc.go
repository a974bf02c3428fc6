// Package packagetest builds what the Makefile installs and packages, and tries it. It
// has tests only.
package packagetest
