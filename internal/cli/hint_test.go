package cli

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestHintExplainsErrorsOfFiles(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string // part of the hint, "" = no hint
	}{
		{fmt.Errorf("state: %w", &fs.PathError{Op: "write", Path: "state.db", Err: syscall.ENOSPC}), "disk full"},
		{&os.LinkError{Op: "rename", Old: "a", New: "b", Err: syscall.EROFS}, "read-only"},
		{&fs.PathError{Op: "open", Path: "config.toml", Err: syscall.ENOENT}, ""},
		// EACCES of a connection is not about the owner of a directory.
		{&net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.EACCES)}, ""},
	} {
		got := hint(test.err)
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%v: hint %q, want %q", test.err, got, test.want)
		}
	}
}
