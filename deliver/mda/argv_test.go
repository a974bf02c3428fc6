package mda

import (
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	for _, test := range []struct {
		argv []string
		want string // of the error, "" = nothing is wrong
	}{
		{[]string{"maildrop", "-d", "{user}"}, ""},
		{[]string{"mda", "{account}{sender}{recipient}{uid}{size}", "{ x }", "{}", "{A}", "a{1}"}, ""},
		{nil, "no program"},
		{[]string{""}, "no program"},
		{[]string{"{user}"}, "may not be a placeholder"},
		{[]string{"mda", "-x{subject}"}, "unknown placeholder {subject}"},
		{[]string{"mda", "a\x00"}, "NUL"},
	} {
		err := Check(test.argv)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%q: %v, want %q", test.argv, err, test.want)
		}
	}
}

// Whatever octets a server sends as a unique-id, a program gets printable ASCII that is
// neither an option nor a path.
func FuzzUniqueID(f *testing.F) {
	f.Add("uid")
	f.Add("-x/\x00%")
	f.Fuzz(func(t *testing.T, uid string) {
		escaped := escapeUID(uid)
		if strings.HasPrefix(escaped, "-") || strings.Contains(escaped, "/") ||
			strings.ContainsFunc(escaped, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			t.Errorf("unique-id %q becomes %q", uid, escaped)
		}
	})
}
