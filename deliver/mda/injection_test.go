package mda

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"popfetch/deliver"
)

// A placeholder in the script of a shell is refused: its value could be a command. As an
// argument of the script it is allowed.
func TestPlaceholderInAShellScriptIsRefused(t *testing.T) {
	for _, argv := range [][]string{
		{"sh", "-c", "procmail -f {sender}"},
		{"/bin/sh", "-c", "echo '{uid}' | cat"},
		{"bash", "-ec", `deliver "{recipient}"`},
		{"sh", "-e", "-c", "deliver {user}"},
		{"sh", "-c", "-e", "deliver {user}"},
		{"bash", "-o", "pipefail", "-c", "deliver {user}"},
		{"env", "A=b", "sh", "-c", "deliver {user}"},
		{"nice", "-n", "10", "/usr/bin/zsh", "-c", "deliver {account}"},
	} {
		if err := Check(argv); err == nil || !strings.Contains(err.Error(), "script of a shell") {
			t.Errorf("%q: %v", argv, err)
		}
		err := send(t.Context(), &MDA{Argv: argv, Spool: t.TempDir()}, deliver.Meta{}, "text")
		if err == nil || !strings.Contains(err.Error(), "script of a shell") {
			t.Errorf("%q was run: %v", argv, err)
		}
	}
	for _, argv := range [][]string{
		{"sh", "-c", `deliver "$1"`, "sh", "{sender}"},
		{"sh", "/usr/local/bin/deliver", "{sender}"},
		{"sh", "-e", "deliver", "-c", "{sender}"},
		{"maildrop", "-c", "{sender}"},
		{"sh", "-c", `f() { :; }; f ${HOME}`},
	} {
		if err := Check(argv); err != nil {
			t.Errorf("%q: %v", argv, err)
		}
	}
}

// A value of a message or server is never run and never becomes an option, whether a shell
// gets it as an argument or in the environment.
func TestValuesThatLookLikeCommandsAreNotRun(t *testing.T) {
	for _, value := range []string{
		"$(touch $0)", "`touch x`", "; touch x", "| touch x", "& touch x", "\\", "'", `"; touch x; "`, "-rf", "--help", "\n touch x", "*", "~", "%s", "{uid}",
		"x\"; touch x; \"", "x\x00y", strings.Repeat("$(touch x)", 100),
	} {
		m, dir := shell(t, `cat >/dev/null; for a; do :; done; echo "$POPFETCH_UID" "$POPFETCH_SENDER" "$POPFETCH_RECIPIENT" "$@" >"$1/said"`)
		m.Argv = append(m.Argv, "{uid}", "{sender}", "{recipient}", "x{sender}")
		header := strings.Map(func(r rune) rune {
			if r == '\n' || r == 0 {
				return ' '
			}
			return r
		}, value)
		text := "Return-Path: <" + header + ">\nDelivered-To: " + header + "\nFrom: " + header + "\nSubject: " + header + "\n\nbody\n"
		err := send(t.Context(), m, deliver.Meta{Account: "work", User: "me", UID: value}, text)
		said, _ := os.ReadFile(filepath.Join(dir, "said"))
		if err != nil || len(said) == 0 {
			t.Errorf("%q: %v", value, err)
		}
		if got := names(t, dir); len(got) != 1 {
			t.Errorf("%q: there is %q", value, got)
		}
	}
}

// A line end in a value never begins a line of the environment.
func TestLineEndsInValuesAreRefusedOrEscaped(t *testing.T) {
	for _, value := range []string{"a\nb", "a\rb", "a\r\nBcc: x", "a\x00b"} {
		for _, meta := range []deliver.Meta{{User: value}, {Account: value}, {Host: value}, {ID: value}} {
			m, dir := shell(t, `cat >/dev/null; touch $1/ran`)
			if err := send(t.Context(), m, meta, "text"); err == nil || len(names(t, dir)) > 0 {
				t.Errorf("%+v: %v", meta, err)
			}
		}
		m, dir := shell(t, `cat >/dev/null; env >$1/env`)
		if err := send(t.Context(), m, deliver.Meta{UID: value}, "Return-Path: <"+value+">\n\nbody"); err != nil {
			t.Error(err)
		}
		env, _ := os.ReadFile(filepath.Join(dir, "env"))
		for line := range strings.Lines(string(env)) {
			if line == "b\n" || strings.HasPrefix(line, "Bcc") {
				t.Errorf("%q has made the line %q", value, line)
			}
		}
	}
}
