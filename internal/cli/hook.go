package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// hookTime is how long the program of on_new_mail may take.
const hookTime = 5 * time.Minute

// hookOutput is how much of the output of that program is shown, in octets.
const hookOutput = 4 << 10

// runHook runs the program of on_new_mail. Mail has been delivered whatever
// comes of it, so that a failure is said and changes nothing; its output is shown
// only then. A signal for popfetch does not reach it: what it indexes or
// announces is there.
func (p *program) runHook(ctx context.Context, argv []string, delivered int) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), hookTime)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "POPFETCH_DELIVERED="+strconv.Itoa(delivered))
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		fmt.Fprintf(p.err, "popfetch: on_new_mail: %s: %v\n", argv[0], err)
		for line := range bytes.Lines(out.Bytes()[:min(out.Len(), hookOutput)]) {
			fmt.Fprintf(p.err, "popfetch: on_new_mail: %s\n", printable(string(bytes.TrimRight(line, "\r\n"))))
		}
	}
}
