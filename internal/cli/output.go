package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// data is standard output. It remembers the first error: who asked for data has to
// hear that some is missing, after the mail was cared for.
type data struct {
	w   io.Writer
	err error
}

func (d *data) Write(p []byte) (int, error) {
	n, err := d.w.Write(p)
	// Who closes a pipe, as head does, has read enough.
	if err != nil && d.err == nil && !errors.Is(err, syscall.EPIPE) {
		d.err = fmt.Errorf("standard output: %w", err)
	}
	return n, err
}

// stamped puts the time before each line. A line comes in one Write.
type stamped struct{ w io.Writer }

func (s stamped) Write(p []byte) (int, error) {
	if _, err := s.w.Write(append([]byte(time.Now().Format("2006-01-02 15:04:05 ")), p...)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// hasClock says whether whoever reads the words of a daemon notes the time
// himself: the journal does (systemd.exec(5)).
func hasClock() bool { return os.Getenv("JOURNAL_STREAM") != "" }
