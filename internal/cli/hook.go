package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// hookTime is how long the program of on_new_mail may take.
const hookTime = 5 * time.Minute

// runHook runs the program of on_new_mail. Mail has been delivered whatever
// comes of it, so that a failure is said and changes nothing. It is not
// interrupted when popfetch is asked to stop: what it indexes or announces is
// there.
func (p *program) runHook(ctx context.Context, argv []string, delivered int) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), hookTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "POPFETCH_DELIVERED="+strconv.Itoa(delivered))
	// Standard output is for data of popfetch.
	cmd.Stdout, cmd.Stderr = p.err, p.err
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		fmt.Fprintf(p.err, "popfetch: on_new_mail: %s: %v\n", argv[0], err)
	}
}
