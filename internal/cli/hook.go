package cli

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// hookTimeout is how long the program of on_new_mail may run.
const hookTimeout = 5 * time.Minute

// maxHookOutput is how many octets of the output of that program are kept, and
// printed if it fails.
const maxHookOutput = 4 << 10

// runHook runs the program of on_new_mail with the number of new messages in
// POPFETCH_DELIVERED. The mail has been delivered already, so a failure is
// printed, with the output of the program, and has no other effect. A signal
// for popfetch does not reach the program: the mail that it indexes or announces
// is there.
func (con *console) runHook(ctx context.Context, argv []string, delivered int) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), hookTimeout)
	defer cancel()
	var out firstOctets
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "POPFETCH_DELIVERED="+strconv.Itoa(delivered))
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		con.say("on_new_mail: %s: %v", argv[0], err)
		for line := range bytes.Lines(out.text) {
			con.say("on_new_mail: %s", printable(string(bytes.TrimRight(line, "\r\n"))))
		}
	}
}

// firstOctets keeps the first maxHookOutput octets of what is written to it and
// drops the rest.
type firstOctets struct{ text []byte }

func (f *firstOctets) Write(p []byte) (int, error) {
	f.text = append(f.text, p[:min(len(p), maxHookOutput-len(f.text))]...)
	return len(p), nil
}
