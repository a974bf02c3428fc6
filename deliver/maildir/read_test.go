package maildir

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestMessagesAreThoseOfAllFolders(t *testing.T) {
	path := t.TempDir()
	for _, name := range []string{"new/1", "cur/2:2,S", ".Work/cur/3", "Sub/new/4", "tmp/5", "dovecot-uidlist", "new/.hidden", "old/6"} {
		file := filepath.Join(path, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for msg, err := range Messages(path) {
		if err != nil {
			t.Fatal(err)
		}
		if msg.Time.IsZero() {
			t.Error("no time")
		}
		f, err := msg.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(text))
	}
	slices.Sort(got)
	if want := []string{".Work/cur/3", "Sub/new/4", "cur/2:2,S", "new/1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, err := range Messages(filepath.Join(path, "none")) {
		if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a Maildir that is not there: %v", err)
		}
	}
}
