package packagetest

import (
	"bytes"
	"debug/elf"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"popfetch/fetch/pop3/pop3test"
)

// source returns a copy of the source tree, so that a build changes nothing in it. It is
// no Git checkout, like the tree of a source archive.
func source(t *testing.T) string {
	t.Helper()
	const top = "../.."
	dir := t.TempDir()
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(top, path)
		if err != nil {
			return err
		}
		switch {
		case name == ".git" || name == "dist":
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return os.MkdirAll(filepath.Join(dir, name), 0o755)
		case !d.Type().IsRegular() || name == "popfetch":
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if info, err := d.Info(); err == nil && info.Mode()&0o111 != 0 {
			mode = 0o755
		}
		return os.WriteFile(filepath.Join(dir, name), data, mode)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// run runs a program and returns its output.
func run(t *testing.T, dir string, argv ...string) string {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
	return string(out)
}

// needs skips the test where a program is not installed.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
}

// needsRoot skips the test for other users.
func needsRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

// files returns what is below a directory, directories aside.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, strings.TrimPrefix(path, dir))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func TestUninstallLeavesNothing(t *testing.T) {
	dir, root := source(t), t.TempDir()
	run(t, dir, "make", "install", "DESTDIR="+root)
	if got := files(t, root); len(got) < 10 {
		t.Errorf("installed only %q", got)
	}
	run(t, dir, "make", "uninstall", "DESTDIR="+root)
	if got := files(t, root); len(got) > 0 {
		t.Errorf("still there: %q", got)
	}
}

// The tests of the packages share one build, for nfpm takes long to build.
func TestPackages(t *testing.T) {
	needs(t, "dpkg-deb")
	dir, dist := source(t), t.TempDir()
	run(t, dir, "make", "deb", "rpm", "VERSION=v1.2.3", "DIST="+dist)
	deb := filepath.Join(dist, "popfetch_1.2.3_"+runtime.GOARCH+".deb")
	t.Run("the Debian package installs, runs and purges", func(t *testing.T) {
		needs(t, "dpkg", "systemd-sysusers")
		needsRoot(t)
		testDebian(t, deb)
	})
	t.Run("both packages have the same files", func(t *testing.T) {
		needs(t, "rpm")
		found, err := filepath.Glob(filepath.Join(dist, "popfetch-1.2.3-1.*.rpm"))
		if err != nil || len(found) != 1 {
			t.Fatalf("%q, %v", found, err)
		}
		inDeb := run(t, dir, "dpkg-deb", "--contents", deb)
		for name := range strings.Lines(run(t, dir, "rpm", "-qpl", found[0])) {
			if !strings.Contains(inDeb, strings.TrimSpace(name)) {
				t.Errorf("only in the RPM package: %s", name)
			}
		}
	})
}

func testDebian(t *testing.T, deb string) {
	root := t.TempDir()
	for _, name := range []string{"var/lib/dpkg/status", "etc/passwd", "etc/group"} {
		write(t, filepath.Join(root, name), "")
	}
	dpkg := func(argv ...string) {
		run(t, root, append([]string{"dpkg", "--root=" + root, "--force-script-chrootless", "--force-confdef"}, argv...)...)
	}
	dpkg("--install", deb)
	if passwd, err := os.ReadFile(filepath.Join(root, "etc/passwd")); err != nil || !strings.Contains(string(passwd), "popfetch:") {
		t.Errorf("the package made no user: %s, %v", passwd, err)
	}
	popfetch := filepath.Join(root, "usr/bin/popfetch")
	if got := run(t, root, popfetch, "--version"); !strings.Contains(got, "v1.2.3") {
		t.Errorf("%s", got)
	}
	config := filepath.Join(root, "etc/popfetch/config.toml")
	out, err := exec.Command(popfetch, "--config", config, "config", "check").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "no account") {
		t.Errorf("a fresh configuration: %v, %s", err, out)
	}
	testNewcomer(t, root)
	own := "[account.work]\nserver = \"pop.example.org\"\nuser = \"me\"\ncredential = \"work\"\nmaildir = \"/var/lib/popfetch/work\"\n"
	write(t, config, own)
	run(t, root, popfetch, "--config", config, "config", "show")
	dpkg("--install", deb) // as an upgrade does
	if kept, err := os.ReadFile(config); err != nil || string(kept) != own {
		t.Errorf("an upgrade has changed the configuration: %s, %v", kept, err)
	}
	private, link := filepath.Join(root, "var/lib/private/popfetch"), filepath.Join(root, "var/lib/popfetch")
	write(t, filepath.Join(private, "state.db"), "state")
	write(t, filepath.Join(private, "work/new/1"), "mail")
	if err := os.Symlink("private/popfetch", link); err != nil {
		t.Fatal(err)
	}
	dpkg("--remove", "popfetch")
	if exists(popfetch) || !exists(config) || !exists(filepath.Join(private, "state.db")) {
		t.Error("remove has to leave the configuration and the state, and only these")
	}
	dpkg("--purge", "popfetch")
	if exists(config) || exists(filepath.Join(private, "state.db")) {
		t.Error("purge has left the configuration or the state")
	}
	if !exists(filepath.Join(link, "work/new/1")) {
		t.Error("purge has deleted mail")
	}
	for _, name := range files(t, root) {
		if strings.Contains(name, "popfetch") && !strings.HasPrefix(name, "/var/lib/") {
			t.Errorf("still there: %s", name)
		}
	}
}

// testNewcomer has a user set popfetch up who has installed the package: the file in /etc, which
// has no account, is none of their business.
func testNewcomer(t *testing.T, root string) {
	server := &pop3test.Server{Users: map[string]*pop3test.User{"me": {Password: "secret", Maildrop: pop3test.NewMaildrop()}}}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	write(t, filepath.Join(root, "home/ca.pem"), string(server.CertPEM()))
	write(t, filepath.Join(root, "home/password"), "secret\n")
	if err := os.Chmod(filepath.Join(root, "home/password"), 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "home/.mpoprc"), "account work\nhost pop.example.org\nuser me\ndelivery maildir ~/Mail\n")
	for _, args := range [][]string{
		{"init", "me@example.org", "--user=me", "--server=" + server.Addr(), "--tls-ca-file=~/ca.pem", "--password-file=~/password", "--no-input"},
		{"import", "mpop"},
	} {
		out := run(t, root, append([]string{"env", "-i", "HOME=/home", "PATH=" + os.Getenv("PATH"), "chroot", root, "/usr/bin/popfetch"}, args...)...)
		config := filepath.Join(root, "home/.config/popfetch/config.toml")
		if !exists(config) {
			t.Errorf("popfetch %s: %s", args, out)
		}
		if strings.Contains(out, "--config") {
			t.Errorf("the next step names a file that needs no name: %s", out)
		}
		if err := os.RemoveAll(filepath.Join(root, "home/.config")); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(filepath.Join(root, "home")); err != nil { // dpkg must leave nothing elsewhere
		t.Fatal(err)
	}
}

// Two machines that build one commit get one archive.
func TestArchiveIsTheSameWhereverItIsBuilt(t *testing.T) {
	var archives [2][]byte
	for i := range archives {
		dir := source(t)
		run(t, dir, "make", "dist", "VERSION=v1.2.3", "PLATFORMS=linux/"+runtime.GOARCH, "SOURCE_DATE_EPOCH=1700000000")
		run(t, filepath.Join(dir, "dist"), "sha256sum", "--check", "SHA256SUMS")
		var err error
		if archives[i], err = os.ReadFile(filepath.Join(dir, "dist/popfetch-v1.2.3-linux-"+runtime.GOARCH+".tar.gz")); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Errorf("archives of %d and %d octets differ", len(archives[0]), len(archives[1]))
	}
}

// A flag that makes the compiler do everything again, such as -buildmode=pie, would take
// minutes.
func TestPackagersBuildFlagsHold(t *testing.T) {
	dir := source(t)
	t.Setenv("GOFLAGS", "-tags=packager -mod=readonly")
	run(t, dir, "make", "build", "VERSION=v1.2.3", "GO_LDFLAGS=")
	binary := filepath.Join(dir, "popfetch")
	if got := run(t, dir, binary, "--version"); !strings.Contains(got, "v1.2.3") {
		t.Errorf("%s", got)
	}
	if got := run(t, dir, "go", "version", "-m", binary); !strings.Contains(got, "-tags=packager") {
		t.Errorf("GOFLAGS does not hold: %s", got)
	}
	file, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if file.Section(".symtab") == nil {
		t.Error("GO_LDFLAGS= does not keep the symbols")
	}
}

func TestSystemServiceIsConfined(t *testing.T) {
	needs(t, "systemd-analyze")
	out := run(t, "../../contrib/systemd/system", "systemd-analyze", "security", "--offline=yes", "--threshold=20", "./popfetch.service")
	for line := range strings.Lines(out) {
		if strings.Contains(line, "exposure level") {
			t.Log(strings.TrimSpace(line))
		}
	}
}

// metricsDir is the usual directory of the textfile collector, which the manual and README name.
const metricsDir = "/var/lib/prometheus/node-exporter"

func TestDropInLetsTheSystemServiceWriteItsMetrics(t *testing.T) {
	text, err := os.ReadFile("../../contrib/prometheus/metrics.conf")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"README.md", "man/popfetch.toml.5", "docs/recipes.md", "contrib/prometheus/metrics.conf"} {
		if says, err := os.ReadFile(filepath.Join("../..", file)); err != nil || !strings.Contains(string(says), metricsDir+"/popfetch.prom") {
			t.Errorf("%s does not name the file in %s, %v", file, metricsDir, err)
		}
	}
	prepare := ""
	for line := range strings.Lines(string(text)) {
		if argv, ok := strings.CutPrefix(line, "ExecStartPre=+"); ok {
			prepare = strings.TrimSpace(argv)
		}
	}
	if !strings.Contains(string(text), "\nReadWritePaths="+metricsDir+"\n") || !strings.HasSuffix(prepare, " "+metricsDir) {
		t.Errorf("the drop-in is about another directory:\n%s", text)
	}
	t.Run("systemd understands it", func(t *testing.T) {
		needs(t, "systemd-analyze")
		unit, err := os.ReadFile("../../contrib/systemd/system/popfetch.service")
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		write(t, filepath.Join(dir, "popfetch.service"), strings.ReplaceAll(string(unit), "/usr/local/bin/popfetch", "/bin/true"))
		write(t, filepath.Join(dir, "popfetch.service.d/metrics.conf"), string(text))
		out, _ := exec.Command("systemd-analyze", "verify", "--man=no", filepath.Join(dir, "popfetch.service")).CombinedOutput()
		if strings.Contains(string(out), "metrics.conf") { // it may say something about other units of this machine
			t.Errorf("it says\n%s", out)
		}
	})
	t.Run("the user popfetch can make files there", func(t *testing.T) {
		needs(t, "setpriv", "chmod")
		needsRoot(t)
		const user, group = "61234", "61235"
		dir := t.TempDir()
		if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(dir, 0o755), os.Chown(dir, 0, 61235)); err != nil {
			t.Fatal(err)
		}
		makeFile := exec.Command("setpriv", "--reuid="+user, "--regid="+user, "--groups="+group, "touch", filepath.Join(dir, "popfetch.prom"))
		if out, err := makeFile.CombinedOutput(); err == nil {
			t.Errorf("it can without the drop-in: %s", out)
		}
		run(t, dir, strings.Fields(strings.Replace(prepare, metricsDir, dir, 1))...)
		run(t, dir, makeFile.Args...)
	})
}

func TestContainerImageRuns(t *testing.T) {
	needs(t, "buildah")
	needsRoot(t)
	if !exists("/etc/ssl/certs/ca-certificates.crt") {
		t.Skip("there are no certificates for the image")
	}
	dir, store := source(t), t.TempDir()
	buildah := []string{"buildah", "--storage-driver=vfs", "--root=" + filepath.Join(store, "root"), "--runroot=" + filepath.Join(store, "run")}
	run(t, dir, "make", "image", "VERSION=v1.2.3", "IMAGE=popfetch-test", "CONTAINER="+strings.Join(buildah, " "))
	in := func(argv ...string) string { return run(t, dir, append(buildah, argv...)...) }
	in("from", "--name", "c", "popfetch-test")
	if got := in("run", "--isolation", "chroot", "c", "--", "/usr/bin/popfetch", "--version"); !strings.Contains(got, "v1.2.3") {
		t.Errorf("%s", got)
	}
	if got := in("inspect", "--format", "{{.OCIv1.Config.User}}", "c"); strings.TrimSpace(got) != "65532:65532" {
		t.Errorf("the image runs as %s", got)
	}
}
