package mbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"popfetch/deliver"
	"popfetch/internal/durable/model"
)

// world is a disk with an mbox, and what the state file says about three messages.
type world struct {
	disk    *model.Disk
	intents map[int]deliver.Intent // that are open
	done    map[int]bool           // recorded as delivered
}

const crashPath = "/home/work.mbox"

// before are the messages that the mbox has before the delivery.
const before = "From a@example.org Fri Nov  6 06:08:09 2026\nSubject: old\n\ntext\n\n"

// crashText returns message i. The first two look the same to a mail reader; the third has NULs.
func crashText(i int) string {
	if i == 2 {
		return "Subject: 2\r\n\r\nFrom here on \x00\x00" + strings.Repeat("longer than a mark\r\n", 20)
	}
	return "Subject: same\r\n\r\ntext\r\n"
}

const crashMessages = 3

func (w *world) clone() *world {
	c := &world{disk: w.disk.Clone(), intents: map[int]deliver.Intent{}, done: map[int]bool{}}
	for i, in := range w.intents {
		c.intents[i] = in
	}
	for i := range w.done {
		c.done[i] = true
	}
	return c
}

// run recovers open intents and delivers what is not done, as a poll does.
func (w *world) run() error {
	ctx := context.Background()
	for i, in := range w.intents {
		outcome, err := recovery{fs: w.disk, timeout: time.Second}.run(ctx, in)
		if err != nil {
			return err
		}
		delete(w.intents, i)
		if outcome != deliver.Again {
			w.done[i] = true
		}
	}
	m := &Mbox{Path: crashPath, Owner: testOwner, Timeout: time.Second, fs: w.disk}
	defer m.Close()
	var numbers []int
	var group []deliver.Staged
	for i := range crashMessages {
		if w.done[i] {
			continue
		}
		s, err := m.Stage(ctx, deliver.Meta{ID: fmt.Sprint(i)}, strings.NewReader(crashText(i)))
		if err != nil {
			return err
		}
		numbers, group = append(numbers, i), append(group, s)
	}
	if len(group) == 0 {
		return nil
	}
	if err := errors.Join(m.Prepare(ctx, group)...); err != nil {
		return err
	}
	for k, i := range numbers {
		w.intents[i] = group[k].Intent()
	}
	if err := errors.Join(m.Publish(ctx, group)...); err != nil {
		return err
	}
	for _, i := range numbers {
		delete(w.intents, i)
		w.done[i] = true
	}
	return nil
}

// check returns an error unless the mbox holds exactly what was there before, and each
// message once.
func (w *world) check(had ...string) error {
	text, err := w.disk.ReadFile(crashPath)
	if err != nil {
		return err
	}
	got, err := unpack(string(text))
	if err != nil {
		return err
	}
	want := slices.Clone(had)
	for i := range crashMessages {
		want = append(want, stored(crashText(i)))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return fmt.Errorf("the mbox has %q", got)
	}
	return nil
}

// instants runs a delivery and returns the world after each change of the disk.
func instants(t *testing.T, w *world) []*world {
	t.Helper()
	w = w.clone()
	all := []*world{w.clone()}
	w.disk.Watch = func(op string, now *model.Disk) {
		c := (&world{disk: now, intents: w.intents, done: w.done}).clone()
		c.disk = now
		all = append(all, c)
	}
	if err := w.run(); err != nil {
		t.Fatal(err)
	}
	return append(all, w.clone())
}

func newWorld(t *testing.T, text string) *world {
	t.Helper()
	w := &world{disk: model.New(), intents: map[int]deliver.Intent{}, done: map[int]bool{}}
	if err := w.disk.MakeDirs("/home"); err != nil {
		t.Fatal(err)
	}
	if text == "" {
		return w
	}
	dir, err := w.disk.OpenDir("/home")
	if err != nil {
		t.Fatal(err)
	}
	file, err := dir.Create("work.mbox")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(file.Sync(), dir.Sync()); err != nil {
		t.Fatal(err)
	}
	return w
}

// Killed after each change of the disk, and after each the power cut in every way that the
// model knows, and once more during the run that recovers.
func TestCrashLeavesEachMessageOnceAndNoPart(t *testing.T) {
	for _, text := range []string{"", before, strings.TrimSuffix(before, "\n")} {
		var had []string
		if text != "" {
			had = []string{"Subject: old\n\ntext\n"}
		}
		trials := 0
		try := func(w *world, how string) {
			trials++
			again := w.clone()
			if err := again.run(); err != nil {
				t.Fatalf("%s: %v", how, err)
			}
			if err := again.check(had...); err != nil {
				t.Fatalf("%s: %v", how, err)
			}
		}
		for i, w := range instants(t, newWorld(t, text)) {
			try(w, fmt.Sprintf("killed at %d", i))
			for cut := range w.disk.Cuts() {
				left := w.clone()
				left.disk = cut
				try(left, fmt.Sprintf("power cut at %d", i))
				for j, second := range instants(t, left) {
					try(second, fmt.Sprintf("power cut at %d, killed at %d", i, j))
				}
			}
		}
		t.Logf("%d crashes", trials)
	}
}

// The part of a message that a crash has left is followed by what another program has
// appended: that stays.
func TestWhatAnotherProgramAppendsIsNeverCutOff(t *testing.T) {
	const foreign = "From b@example.org Fri Nov  6 06:08:09 2026\nSubject: new\n\n"
	for i, w := range instants(t, newWorld(t, before)) {
		file, err := w.disk.Append(crashPath)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write([]byte(foreign)); err != nil {
			t.Fatal(err)
		}
		if err := w.run(); err != nil {
			t.Fatal(err)
		}
		text, err := w.disk.ReadFile(crashPath)
		if err != nil || strings.Count(string(text), foreign) != 1 || !strings.HasPrefix(string(text), before) {
			t.Errorf("after instant %d: %v, the mbox is %q", i, err, text)
		}
	}
}

// A mail reader has rewritten the mbox between the crash and the next run: it has put a Status
// field into each message and removed the old one.
func TestRewrittenMboxStillShowsWhatHadArrived(t *testing.T) {
	for i, w := range instants(t, newWorld(t, before)) {
		text, err := w.disk.ReadFile(crashPath)
		if err != nil {
			t.Fatal(err)
		}
		whole := len(w.intents) > 0 && strings.Count(string(text), "longer") == 20 && strings.HasSuffix(string(text), "\n\n")
		if !whole {
			continue
		}
		changed := strings.ReplaceAll(strings.TrimPrefix(string(text), before), "\n\n", "\nStatus: RO\nX-Status: \n\n")
		changed = strings.ReplaceAll(changed, "text\nStatus: RO\nX-Status: \n\n", "text\n\n")
		changed = strings.TrimSuffix(changed, "Status: RO\nX-Status: \n\n") + "\n"
		left := newWorld(t, changed)
		left.intents = w.clone().intents
		if err := relocate(left); err != nil {
			t.Fatal(err)
		}
		if err := left.run(); err != nil {
			t.Fatal(err)
		}
		now, err := left.disk.ReadFile(crashPath)
		if err != nil || string(now) != changed {
			t.Errorf("after instant %d: %v, the mbox has become\n%s\nfrom\n%s", i, err, now, changed)
		}
	}
}

// relocate lets the intents name the directory of another disk.
func relocate(w *world) error {
	dir, err := w.disk.OpenDir("/home")
	if err != nil {
		return err
	}
	id, err := dir.ID()
	for i, in := range w.intents {
		n, parseErr := parse(in)
		n.Device, n.Inode, n.Born = id.Device, id.Inode, id.Born
		w.intents[i], err = n.intent(), errors.Join(err, parseErr)
	}
	return err
}
