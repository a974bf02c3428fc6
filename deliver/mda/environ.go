package mda

import (
	"os"
	"slices"
	"strconv"
	"strings"
)

const defaultPath = "PATH=/usr/local/bin:/usr/bin:/bin"

// environ returns the environment of the program: the variables of isInherited and the values
// of the message. Nothing else is passed on, since an environment may hold secrets.
func (m *MDA) environ(v values) []string {
	env := make([]string, 0, 24)
	for _, entry := range m.Env {
		if name, _, ok := strings.Cut(entry, "="); ok && isInherited(name) {
			env = append(env, entry)
		}
	}
	if lookup(env, "PATH") == "" {
		env = append(env, defaultPath)
	}
	return append(env,
		"POPFETCH_ACCOUNT="+v.account,
		"POPFETCH_USER="+v.user,
		"POPFETCH_SENDER="+v.sender,
		"POPFETCH_RECIPIENT="+v.recipient,
		"POPFETCH_UID="+v.uid,
		"POPFETCH_SIZE="+strconv.FormatInt(v.size, 10),
		"POPFETCH_HOST="+v.host,
		"POPFETCH_ATTEMPT="+strconv.Itoa(v.attempt),
		"POPFETCH_ID="+v.id,
	)
}

// isInherited reports whether programs get the variable name of popfetch's environment.
func isInherited(name string) bool {
	return slices.Contains([]string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR"}, name) ||
		strings.HasPrefix(name, "LC_") || strings.HasPrefix(name, "XDG_")
}

// lookup returns the last value of name in env, or "".
func lookup(env []string, name string) string {
	for _, entry := range slices.Backward(env) {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// workDir returns the directory where the program runs: $HOME, or / if that is none.
func workDir(env []string) string {
	home := lookup(env, "HOME")
	if info, err := os.Stat(home); err == nil && info.IsDir() {
		return home
	}
	return "/"
}
