package maildir

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"popfetch/deliver"
)

const (
	accountTag = "00000000000000aa"
	storeOne   = "1111111111111111"
	storeTwo   = "2222222222222222"
)

// deliverWithClaim delivers one message.
func deliverWithClaim(t *testing.T, path string, c Claim) {
	t.Helper()
	m := &Maildir{Path: path, Owner: "0123456789abcdef", Host: "here", Claim: c}
	if err := m.Open(); err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s, err := m.Stage(t.Context(), deliver.Meta{}, strings.NewReader("A: b\n\n"))
	if err != nil {
		t.Fatal(err)
	}
	group := []deliver.Staged{s}
	if err := errors.Join(append(m.Prepare(t.Context(), group), m.Publish(t.Context(), group)...)...); err != nil {
		t.Fatal(err)
	}
}

func TestClaim(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Mail")
	const other = "00000000000000bb"
	if got, err := Claims(path); err != nil || got != nil {
		t.Errorf("claims on no Maildir: %v, %v", got, err)
	}
	for _, step := range []struct {
		claim Claim
		want  []Claim // afterwards
	}{
		{Claim{}, nil},
		{Claim{accountTag, storeOne}, []Claim{{accountTag, storeOne}}},
		{Claim{accountTag, storeOne}, []Claim{{accountTag, storeOne}}},
		{Claim{other, storeTwo}, []Claim{{accountTag, storeOne}, {other, storeTwo}}},
		{Claim{accountTag, storeTwo}, []Claim{{accountTag, storeTwo}, {other, storeTwo}}},
	} {
		deliverWithClaim(t, path, step.claim)
		if got, err := Claims(path); err != nil || !slices.Equal(got, step.want) {
			t.Errorf("claims %v, %v, want %v", got, err, step.want)
		}
	}
	if _, err := Claims(filepath.Join(path, claimPrefix+other+"-"+storeTwo)); err == nil {
		t.Error("claims on a file")
	}
}

// A Maildir that nothing was delivered into has no claim.
func TestNoClaimBeforeTheFirstDelivery(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Mail")
	m := &Maildir{Path: path, Owner: "0123456789abcdef", Host: "here", Claim: Claim{accountTag, storeOne}}
	if err := m.Open(); err != nil {
		t.Fatal(err)
	}
	m.Close()
	if got, err := Claims(path); err != nil || len(got) > 0 {
		t.Errorf("claims %v, %v", got, err)
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
