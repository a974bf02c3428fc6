package maildir

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

const (
	accountTag = "00000000000000aa"
	storeOne   = "1111111111111111"
	storeTwo   = "2222222222222222"
)

func openForClaim(t *testing.T, path string) *Maildir {
	t.Helper()
	m := &Maildir{Path: path, Owner: "0123456789abcdef", Host: "here"}
	if err := m.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func TestClaim(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Mail")
	m := openForClaim(t, path)
	other := "00000000000000bb"
	for _, step := range []struct {
		account, store string
		want           []string // claims of the account afterwards
	}{
		{accountTag, storeOne, []string{storeOne}},
		{accountTag, storeOne, []string{storeOne}},
		{other, storeTwo, []string{storeTwo}},
		{accountTag, storeTwo, []string{storeTwo}},
	} {
		if err := m.Claim(step.account, step.store); err != nil {
			t.Fatal(err)
		}
		if got, err := Claims(path, step.account); err != nil || !slices.Equal(got, step.want) {
			t.Errorf("claims of %s: %q, %v, want %q", step.account, got, err, step.want)
		}
	}
	if got, err := Claims(filepath.Join(path, "none"), accountTag); err != nil || got != nil {
		t.Errorf("claims on no Maildir: %q, %v", got, err)
	}
	if _, err := Claims(filepath.Join(path, "popfetch-"+other+"-"+storeTwo), other); err == nil {
		t.Error("claims on a file")
	}
}

// A claim is not taken for mail, and a Maildir with nothing but claims and its
// tree opens as before.
func TestClaimedMaildirOpens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Mail")
	m := openForClaim(t, path)
	if err := m.Claim(accountTag, storeOne); err != nil {
		t.Fatal(err)
	}
	m.Close()
	openForClaim(t, path)
	for msg, err := range Messages(path) {
		t.Errorf("message %v, %v", msg, err)
	}
}

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
