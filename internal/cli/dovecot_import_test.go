//go:build linux

package cli_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// peerProgram is another fetcher with its configuration. In its texts HOME, HOST, PORT,
// USER, PASSWORD, TARGET (a Maildir) and KEEP stand for themselves.
type peerProgram struct {
	program, pkg string
	argv         []string
	files        map[string]string // below the home directory
	keep, delete string            // what KEEP stands for
	others       []string          // further programs and their packages, by turns
}

func peerPrograms() []peerProgram {
	return []peerProgram{
		{
			program: "mpop", pkg: "mpop", argv: []string{"mpop", "work"}, keep: "on", delete: "off",
			files: map[string]string{".mpoprc": "# mail\ndefaults\nauth user\ntls off\nkeep KEEP\nkillsize 9m\naccount work.template\nhost HOST\nport PORT\n" +
				"account work: work.template\nuser \"USER\"\npassword PASSWORD\ndelivery maildir \"~/Mail/work\"\n"},
		},
		{
			program: "fetchmail", pkg: "fetchmail", argv: []string{"fetchmail", "--nodetach"}, keep: "keep", delete: "no keep", others: []string{"procmail", "procmail"},
			files: map[string]string{
				".fetchmailrc": "# mail\nset no syslog\ndefaults proto pop3, uidl\npoll example via HOST with service PORT auth password\n" +
					"  user \"USER\" there with password 'PASSWORD' is me here, and wants mda \"procmail HOME/procmailrc\" sslproto '' KEEP\n",
				"procmailrc": "LOGFILE=HOME/procmail.log\nDEFAULT=TARGET/\n",
			},
		},
		{
			program: "getmail", pkg: "getmail6", argv: []string{"getmail"}, keep: "false", delete: "true",
			files: map[string]string{"config/getmail/work": "[retriever]\ntype = SimplePOP3Retriever\nserver = HOST\nport = PORT\nusername: USER\npassword = PASSWORD\ntimeout = 10\n" +
				"[destination]\ntype = Maildir\npath = ~/Mail/work/\n[options]\nread_all = false\ndelete = KEEP\n"},
		},
		{
			program: "fdm", pkg: "fdm", argv: []string{"fdm", "-f", "HOME/.fdm.conf", "fetch"}, keep: "keep", delete: "",
			files: map[string]string{".fdm.conf": "# mail\n$user = \"USER\"\n$dir = 'HOME'\nset timeout 30\nset lock-file \"HOME/fdm.lock\"\naction \"inbox\" maildir \"TARGET\"\n" +
				"account \"work\" pop3 server \"HOST\" port PORT user $user pass \"PASSWORD\"\n\tnew-only cache \"${dir}/fdm.cache\" no-apop KEEP\nmatch all action \"inbox\"\n"},
		},
	}
}

// fetch has the fetcher fetch from d into the Maildir of the account work, below the home
// directory of h.
func (p peerProgram) fetch(t *testing.T, d *dovecot, h *home, keep string) {
	t.Helper()
	needs(t, p.program, p.pkg)
	for i := 0; i < len(p.others); i += 2 {
		needs(t, p.others[i], p.others[i+1])
	}
	host, port, err := net.SplitHostPort(d.POP3)
	must(t, err)
	fill := strings.NewReplacer("HOME", h.dir, "HOST", host, "PORT", port, "USER", alice, "PASSWORD", password, "TARGET", h.maildir("work"), "KEEP", keep).Replace
	var argv []string
	for _, arg := range p.argv {
		argv = append(argv, fill(arg))
	}
	giveTo := func(uid, gid int) {
		must(t, filepath.WalkDir(h.dir, func(path string, _ fs.DirEntry, err error) error {
			return errors.Join(err, os.Lchown(path, uid, gid))
		}))
	}
	attempt := func() ([]byte, error) {
		must(t, os.RemoveAll(h.dir))
		must(t, os.MkdirAll(h.dir, 0o700))
		newMaildir(t, h, "Mail/work")
		for name, text := range p.files {
			path := filepath.Join(h.dir, name)
			must(t, os.MkdirAll(filepath.Dir(path), 0o700))
			must(t, os.WriteFile(path, []byte(fill(text)), 0o600))
		}
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Dir, cmd.Env = h.dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + h.dir, "XDG_CONFIG_HOME=" + filepath.Join(h.dir, "config"), "LC_ALL=C.UTF-8"}
		if os.Getuid() == 0 { // getmail does not deliver as root
			giveTo(d.UID, d.GID)
			defer giveTo(os.Getuid(), os.Getgid())
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(d.UID), Gid: uint32(d.GID)}}
		}
		return cmd.CombinedOutput()
	}
	// Now and then getmail misses the end of a child that ends fast, and gives up.
	out, err := attempt()
	for n := 1; err != nil && keep == p.keep && n < 10; n++ {
		out, err = attempt()
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", p.program, err, out)
	}
}

// testImport has each other fetcher fetch mail, moves to popfetch, and lets new mail come:
// popfetch fetches all that is new and nothing else, and keeps or deletes as the other did.
func testImport(t *testing.T, bin executable) {
	const old, fresh = 20, 5
	for _, p := range peerPrograms() {
		for _, keep := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s keep=%v", p.program, keep), func(t *testing.T) {
				t.Parallel()
				d := startDovecot(t, false)
				d.fill(t, alice, old)
				h := newHome(t, bin)
				h.dir = filepath.Join(d.Dir, "home") // other users can reach it, unlike a t.TempDir
				text := p.delete
				if keep {
					text = p.keep
				}
				p.fetch(t, d, h, text)
				dir := h.maildir("work")
				if n := inMaildir(t, dir, nil).count(); n != old {
					t.Fatalf("%s has delivered %d messages of %d", p.program, n, old)
				}
				out, err := h.command("import", p.program).CombinedOutput()
				if err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				if want := fmt.Sprintf("%d messages known as delivered\n", old); keep && !strings.Contains(string(out), want) {
					t.Errorf("popfetch does not say %q but\n%s", want, out)
				}
				written := filepath.Join(h.dir, "config", "popfetch", "config.toml")
				fi, err := os.Stat(written)
				must(t, err)
				if fi.Mode() != 0o600 {
					t.Errorf("the configuration has mode %v", fi.Mode())
				}
				h.once(t, 0)
				if n := inMaildir(t, dir, nil).count(); n != old {
					t.Errorf("popfetch has fetched %d old messages", n-old)
				}
				for i := range fresh {
					must(t, d.Deliver(alice, fmt.Sprintf("%d.M1P1.server", 1900000000+i), compose(alice, old+i)))
				}
				h.once(t, 0)
				h.once(t, 0)
				if n := inMaildir(t, dir, nil).count(); n != old+fresh {
					t.Errorf("there are %d messages after %d new ones came, want %d", n, fresh, old+fresh)
				}
				want := 0
				if keep {
					want = old + fresh
				}
				if n := d.holds(t, alice).count(); n != want {
					t.Errorf("the server holds %d messages, want %d", n, want)
				}
				before, err := os.ReadFile(written)
				must(t, err)
				again := h.command("import", p.program)
				out, err = again.CombinedOutput()
				if err == nil || again.ProcessState.ExitCode() != 78 {
					t.Errorf("a second import: %v\n%s", err, out)
				}
				after, err := os.ReadFile(written)
				must(t, err)
				if string(after) != string(before) {
					t.Error("the second import has changed the configuration")
				}
			})
		}
	}
}
