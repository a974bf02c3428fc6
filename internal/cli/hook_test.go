package cli

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A program that hangs must not keep a daemon that was stopped for minutes.
func TestProgramsHaveHalfAMinuteAfterTheStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		late, free := outlast(ctx)
		defer free()
		time.Sleep(time.Hour)
		if late.Err() != nil {
			t.Fatal("it ends before popfetch is stopped")
		}
		cancel()
		stopped := time.Now()
		<-late.Done()
		if took := time.Since(stopped); took != hookGrace || context.Cause(late) != errHookLate {
			t.Errorf("it ends %v after the stop: %v", took, context.Cause(late))
		}
	})
}

func TestProgramThatHangsIsKilledWithItsChildrenAndThatIsSaid(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		f, err := os.Open(fifo)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		if _, err := f.Read(make([]byte, 1)); err != nil { // the program and its child have it open now
			t.Error(err)
		}
		cancel(errHookLate)
		if n, err := f.Read(make([]byte, 1)); err != io.EOF { // both are gone
			t.Errorf("%d octets, %v", n, err)
		}
	}()
	var said strings.Builder
	con := &console{err: &said}
	con.runHook(ctx, "on_new_mail", []string{"sh", "-c", `trap "" TERM INT HUP; echo hello; exec 3>"$0"; sleep 1000 & printf x >&3; wait`, fifo})
	if want := "popfetch: on_new_mail: sh: killed, because popfetch stops and waits 30s at most\npopfetch: on_new_mail: hello\n"; said.String() != want {
		t.Errorf("it says %q, want %q", said.String(), want)
	}
	<-gone
}
