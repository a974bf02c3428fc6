//go:build interop

package packagetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"popfetch/fetch/pop3/pop3test"
)

// TestInteropContainerRecipe follows the recipe "Container" with podman: the mail of a server
// arrives in the volume, and a new container with the volume fetches none of it again. It takes
// a machine that lets root start containers, so only make interop runs it.
func TestInteropContainerRecipe(t *testing.T) {
	doc, err := os.ReadFile("../../docs/recipes.md")
	if err != nil {
		t.Fatal(err)
	}
	_, recipe, _ := strings.Cut(string(doc), "\n## Container\n")
	recipe, _, _ = strings.Cut(recipe, "\n## ")
	config := regexp.MustCompile("(?s)```toml\n(.*?)```").FindStringSubmatch(recipe)
	commands := regexp.MustCompile("(?s)```sh\n(.*?)```").FindStringSubmatch(recipe)
	if config == nil || commands == nil {
		t.Fatalf("the recipe has no configuration, or no commands: %s", recipe)
	}

	const password = "the password" // that of the recipe
	maildrop := pop3test.NewMaildrop()
	for i := range 3 {
		maildrop.Add(pop3test.Message{UID: fmt.Sprint("uid", i), Raw: pop3test.Text(fmt.Sprintf("Subject: %d\n\nbody\n", i))})
	}
	server := &pop3test.Server{Users: map[string]*pop3test.User{"me@example.org": {Password: password, Maildrop: maildrop}}}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	c := newContainers(t)
	write(t, filepath.Join(c.dir, "ca.pem"), string(server.CertPEM()))
	write(t, filepath.Join(c.dir, "config.toml"), strings.Replace(config[1], `server = "pop.example.org"`,
		fmt.Sprintf("server = %q\ntls_ca_file = \"/ca.pem\"", server.Addr()), 1))

	run(t, source(t), "make", "image", "VERSION=v1.2.3", "CONTAINER="+c.podman)
	c.sh(t, commands[1])
	c.await(t, 3)
	c.sh(t, "podman rm -f popfetch")
	maildrop.Add(pop3test.Message{UID: "new", Raw: pop3test.Text("Subject: new\n\nbody\n")})
	again := regexp.MustCompile(`(?s)podman run .*?[^\\]\n`).FindString(commands[1])
	c.sh(t, again)
	c.await(t, 4)
	for i := range 3 {
		if n := maildrop.Retrieved(fmt.Sprint("uid", i)); n != 1 {
			t.Errorf("message %d was fetched %d times", i, n)
		}
	}
}

// containers is a podman with images, volumes and containers of its own.
type containers struct {
	dir    string // holds the files of the user
	podman string // a program that stands for podman
}

// newContainers makes one. Its containers share the network of the machine, and need no rights
// that a machine which is a container itself has not.
func newContainers(t *testing.T) *containers {
	t.Helper()
	for _, program := range []string{"podman", "runc"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatal(err)
		}
	}
	if os.Geteuid() != 0 {
		t.Fatal("containers of the machine's own network need root")
	}
	podman, err := exec.LookPath("podman")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "c") // short, as podman demands
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := &containers{dir: dir}
	store := filepath.Join(c.dir, "store")
	c.podman = filepath.Join(c.dir, "bin", "podman")
	write(t, c.podman, fmt.Sprintf(`#!/bin/sh
own='--root=%[1]s/root --runroot=%[1]s/run --tmpdir=%[1]s/tmp --storage-driver=vfs --runtime=runc --events-backend=none --log-level=error'
if [ "$1" = run ]; then
	shift
	exec %[2]s $own run --network=host --ulimit=nofile=1024:1024 --ulimit=nproc=1024:1024 --log-driver=k8s-file -v '%[3]s/ca.pem:/ca.pem:ro' "$@"
fi
exec %[2]s $own "$@"
`, store, podman, c.dir))
	if err := os.Chmod(c.podman, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := exec.Command(c.podman, "logs", "popfetch").CombinedOutput()
			t.Logf("the container says %s", out)
		}
		exec.Command(c.podman, "rm", "-f", "-t=1", "popfetch").Run()
	})
	return c
}

// sh runs a script of the recipe in the directory of the user.
func (c *containers) sh(t *testing.T, script string) {
	t.Helper()
	run(t, c.dir, "env", "PATH="+filepath.Dir(c.podman)+":"+os.Getenv("PATH"), "sh", "-ec", script)
}

// await waits until the Maildir in the volume has so many messages.
func (c *containers) await(t *testing.T, want int) {
	t.Helper()
	limit := time.After(2 * time.Minute)
	for {
		names, _ := filepath.Glob(filepath.Join(c.dir, "store/root/volumes/popfetch/_data/Mail/work/new/*"))
		if len(names) == want {
			return
		}
		select {
		case <-limit:
			t.Fatalf("the volume has %d messages, want %d", len(names), want)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
