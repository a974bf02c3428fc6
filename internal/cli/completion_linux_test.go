package cli_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"popfetch/internal/ptytest"
)

// zsh completes only what somebody types on a terminal.
func TestZshCompletesCommandsAndAccounts(t *testing.T) {
	zsh, err := exec.LookPath("zsh")
	if err != nil {
		t.Skip("zsh is not installed")
	}
	home := t.TempDir()
	configuration := filepath.Join(home, "config.toml")
	text := "[account.work]\nserver = \"pop.example.org\"\nuser = \"me\"\nmaildir = \"~/Mail\"\n"
	if err := os.WriteFile(configuration, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	user, terminal := ptytest.Open(t, 100)
	shell := exec.Command(zsh, "-f", "-i")
	shell.Dir, shell.Stdin, shell.Stdout, shell.Stderr = home, terminal, terminal, terminal
	shell.Env = []string{"HOME=" + home, "TERM=dumb", "PATH=" + os.Getenv("PATH")}
	// A shell with a terminal that belongs to another session stops.
	shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	terminal.Close() // what reads the screen ends with the shell
	late := time.AfterFunc(time.Minute, func() { shell.Process.Kill() })
	defer func() {
		late.Stop()
		shell.Process.Kill()
		shell.Wait()
	}()
	screen := bufio.NewReader(user)
	shown := ""
	await := func(want string) {
		t.Helper()
		for !strings.Contains(shown, want) {
			b, err := screen.ReadByte()
			if err != nil {
				t.Fatalf("waiting for %q: %v; the terminal shows %q", want, err, shown)
			}
			shown += string(b)
		}
		shown = ""
	}
	// A mark is written in two halves, so that what is typed is not taken for its output.
	user.WriteString("autoload -U compinit && compinit -u -D && source <(popfetch completion zsh) && echo rea''dy\n")
	await("ready")
	user.WriteString("popfetch -c config.toml che\t")
	await("check ")
	user.WriteString("wo\t")
	await("work ")
}
