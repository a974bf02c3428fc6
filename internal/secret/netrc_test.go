package secret

import (
	"strings"
	"testing"
)

func TestNetrcEntryOfHostAndUser(t *testing.T) {
	for name, x := range map[string]struct{ text, want string }{
		"lines":                  {"machine h\n login u\n password p\n", "p"},
		"host in another case":   {"machine H login u password p", "p"},
		"other host first":       {"machine x login u password q machine h login u password p", "p"},
		"other user first":       {"machine h login v password q\nmachine h login u password p", "p"},
		"user is exact":          {"machine h login U password q", ""},
		"no login":               {"machine h password p", "p"},
		"default":                {"default login u password p", "p"},
		"default after machines": {"default password q\nmachine h login u password p", "p"},
		"quotes":                 {`machine h login "u" password "a \"b\\ #c"`, `a "b\ #c`},
		"comments":               {"# machine h login u password q\nmachine h # password r\nlogin u password #p", "#p"},
		"macro":                  {"macdef init\nmachine h login u password q\n\nmachine h login u password p", "p"},
		"account":                {"machine h account password login u password p", "p"},
		"port is not known":      {"machine h port 995 login u password p", "p"},
		"key words as values":    {"machine h login u password machine", "machine"},
		"no password":            {"machine h login u", ""},
		"cut":                    {"machine h login u password", ""},
		"cut before the name":    {"login u password p machine", ""},
		"empty name":             {`machine "" login u password p`, ""},
		"open quote":             {`machine h login u password "p`, "p"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := searchNetrc(x.text, "h", "u"); got != x.want {
				t.Errorf("got %q, want %q", got, x.want)
			}
		})
	}
}

// quoteNetrc writes a text as a word of netrc.
func quoteNetrc(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// FuzzNetrc checks two things. In an arbitrary file every word of an entry comes
// from the file. And an entry with arbitrary texts is found among entries, comments
// and macros that resemble it, and yields its password as it was written.
func FuzzNetrc(f *testing.F) {
	f.Add("h", "u", "p", "machine h login u password p\ndefault login x password \"a\\\"b\"\nmacdef m\nx\n\n# c\n")
	f.Add("pop.example.org", `a "b"\`, "machine h login u password x", "machine \"h\nx\" login \\")
	f.Add("H", "# u", "\n\ndefault password x\n", "macdef init\nmachine H password q")
	f.Fuzz(func(t *testing.T, host, user, password, text string) {
		for _, e := range parseNetrc(text) { // any text at all
			for _, word := range []string{e.machine, e.login, e.password} {
				if !strings.Contains(text, word) && !strings.Contains(text, `\`) {
					t.Errorf("%q is not in the file", word)
				}
			}
		}
		if got := searchNetrc(text, "h", "u"); got != "" && !strings.Contains(text, "password") {
			t.Errorf("%q out of nowhere", got)
		}
		if host == "" || password == "" {
			return
		}
		other := quoteNetrc(user + "x")
		file := "machine other login " + quoteNetrc(user) + " password " + quoteNetrc("1"+password) + "\n" +
			"machine " + quoteNetrc(host) + " login " + other + " password " + quoteNetrc("2"+password) + "\n" +
			"# machine " + strings.ReplaceAll(quoteNetrc(host), "\n", " ") + " password q\n" +
			"macdef init\nmachine h password q\n\n" +
			"default password d\n" +
			"machine " + quoteNetrc(host) + "\n\tlogin " + quoteNetrc(user) + "\n\taccount machine\n\tpassword " + quoteNetrc(password)
		want := password
		if strings.EqualFold(host, "other") { // the first entry is for this host, too
			want = "1" + password
		}
		if got := searchNetrc(file, host, user); user != "" && got != want {
			t.Errorf("got %q, want %q, in:\n%s", got, want, file)
		}
		if got := searchNetrc(file, host+".x", user+"y"); got != "d" {
			t.Errorf("another host and user: got %q, in:\n%s", got, file)
		}
	})
}
