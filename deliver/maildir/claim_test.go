package maildir

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"popfetch/deliver"
	"popfetch/internal/durable/model"
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

// The claim warns of a lost state file. When MakeClaim returns, it has taken the place of
// the one before, whatever a power cut does; and none of its steps leaves no claim.
func TestClaimSurvivesAPowerCut(t *testing.T) {
	const path = "/Mail"
	disk := model.New()
	if err := disk.MakeDirs(path); err != nil {
		t.Fatal(err)
	}
	claimed := false
	disk.Watch = func(op string, now *model.Disk) {
		for cut := range now.Cuts() {
			if claimed && len(claimsOn(cut, path)) == 0 {
				t.Errorf("a power cut after %q leaves no claim", op)
			}
		}
	}
	for _, store := range []string{storeOne, storeTwo} {
		m := &Maildir{
			Path: path, Owner: testOwner, Host: "here", Claim: Claim{accountTag, store},
			fs: disk, init: func(path string) error { return makeTree(disk, path) },
		}
		if err := m.Open(); err != nil {
			t.Fatal(err)
		}
		if err := m.MakeClaim(); err != nil {
			t.Fatal(err)
		}
		m.Close()
		claimed = true
		want := []string{claimPrefix + accountTag + "-" + store}
		for cut := range disk.Clone().Cuts() {
			if got := claimsOn(cut, path); !slices.Equal(got, want) {
				t.Errorf("a power cut after MakeClaim leaves %q, want %q", got, want)
			}
		}
	}
}

// claimsOn returns the names of the claims in the directory path.
func claimsOn(disk *model.Disk, path string) []string {
	var names []string
	for _, f := range disk.Files(path) {
		if strings.HasPrefix(f.Name, claimPrefix) {
			names = append(names, f.Name)
		}
	}
	return names
}
