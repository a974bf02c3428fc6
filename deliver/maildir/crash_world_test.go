package maildir

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"popfetch/deliver"
	"popfetch/fetch"
	"popfetch/fetch/plan"
	"popfetch/internal/durable/model"
)

const (
	crashPath   = "/home/me/Mail"
	archivePath = "/home/me/Archive/cur" // where the reader files mail
)

// trial is one way to fetch mail. It does not change.
type trial struct {
	name    string
	remove  bool // delete from the server what was delivered
	group   int  // messages that share a transaction
	bulk    bool // their files are synced by one syncfs
	fresh   bool // the Maildir does not exist yet
	omitted omission
	mail    *mail
}

// world is everything that survives a crash. A copy shares its disk.
type world struct {
	*trial
	disk    *model.Disk
	server  maildrop
	late    time.Duration // how much later the next run is
	twice   bool          // the recovery crashes too in any case
	history string        // what happened so far, for messages
	watch   func(op string, now *model.Disk)
}

// begin returns the world before the first poll.
func (t *trial) begin() (world, error) {
	w := world{trial: t, disk: model.New(), history: t.name}
	paths := []string{"/state", archivePath, crashPath + "/tmp", crashPath + "/new", crashPath + "/cur"}
	if t.fresh {
		paths = paths[:2]
	}
	var errs []error
	for _, path := range paths {
		errs = append(errs, w.disk.MakeDirs(path))
	}
	// How the real state file is made is tested in package state.
	dir, err := w.disk.OpenDir("/state")
	if err == nil {
		_, err = dir.Create("log")
		errs = append(errs, dir.Sync())
	}
	return w, errors.Join(append(errs, err)...)
}

// note tells the watcher what the server did.
func (w *world) note(op string) {
	if w.watch != nil {
		w.watch(op, w.disk.Clone())
	}
}

// poll is a run of the program: it recovers and fetches.
func (w *world) poll() error {
	store, err := openLog(w.disk)
	if err != nil {
		return err
	}
	store.unsure = w.omitted.logSync
	fsys := lazyFS{w.disk, w.omitted}
	a := &fetch.Account{
		Name: "work", User: "me", Host: "pop.example.org", Protocol: "POP3S", Key: "me@pop.example.org",
		Open: func(context.Context, fetch.Opening) (fetch.Session, error) { return &session{w: w, open: true}, nil },
		Destination: func(context.Context) (deliver.Destination, error) {
			m := &Maildir{
				Path: crashPath, Owner: testOwner, Host: "desk", fs: fsys,
				init: func(path string) error { return makeTree(w.disk, path) },
			}
			if w.bulk {
				m.together = 1
			}
			if err := m.Open(); err != nil {
				return nil, err
			}
			if err := m.Sweep(nil); err != nil {
				return nil, err
			}
			return w.omitted.wrap(grouped{m, w.group}), nil
		},
		Recover: func(ctx context.Context, in deliver.Intent) (deliver.Outcome, error) {
			return recovery{fs: fsys}.run(ctx, in, time.Now().Add(w.late))
		},
		Maildrop: store,
		Policy:   plan.Policy{Delete: w.remove},
	}
	_, err = a.Poll(context.Background())
	return err
}

// makeTree makes the missing directories of a Maildir and syncs nothing, as go-maildir
// does.
func makeTree(disk *model.Disk, path string) error {
	for _, part := range []string{"tmp", "new", "cur"} {
		if _, err := disk.OpenDir(path + "/" + part); err == nil {
			continue
		}
		if err := disk.Mkdir(path + "/" + part); err != nil {
			return err
		}
	}
	return nil
}

// grouped is a Destination with smaller groups.
type grouped struct {
	deliver.Destination
	size int
}

func (g grouped) Group() int { return g.size }

// instant is a moment in a run, after the operation op.
type instant struct {
	op     string
	disk   *model.Disk
	server maildrop
}

// instants runs a poll of a copy of w and returns every moment between two operations.
func (w world) instants() ([]instant, error) {
	w.disk = w.disk.Clone()
	all := []instant{{"start", w.disk.Clone(), w.server}}
	w.watch = func(op string, now *model.Disk) { all = append(all, instant{op, now, w.server}) }
	w.disk.Watch = w.watch
	err := errors.Join(w.poll(), inOrder(all))
	for i := range all {
		all[i].op = messageName.ReplaceAllString(all[i].op, "NAME")
	}
	return all, err
}

// inOrder sorts the syncs that Prepare did in parallel by the order in which the files were
// made, so that each run of the test tries the same crashes.
func inOrder(all []instant) error {
	for i := 1; i < len(all); i++ {
		first := i
		for i < len(all) && all[i].syncs() != "" {
			i++
		}
		slices.SortFunc(all[first:i], func(a, b instant) int { return all[first-1].inode(a) - all[first-1].inode(b) })
		for j := first; j < i; j++ {
			all[j].disk = all[j-1].disk.Clone()
			f, err := all[j].disk.Append(crashPath + "/tmp/" + all[j].syncs())
			if err != nil {
				return err
			}
			if err := f.Sync(); err != nil {
				return err
			}
		}
	}
	return nil
}

// syncs returns the name of the message that the operation synced, or "".
func (in instant) syncs() string {
	name, ok := strings.CutPrefix(in.op, "sync ")
	if !ok || !messageName.MatchString(name) {
		return ""
	}
	return name
}

// inode returns the number of the file in tmp/ that the operation of the instant of synced, 0
// if there is none.
func (in instant) inode(of instant) int {
	for _, f := range in.disk.Files(crashPath + "/tmp") {
		if f.Name == of.syncs() {
			return f.Number
		}
	}
	return 0
}

// read acts as a mail reader: it moves the messages in new/ to cur/, or, with file, every
// second one to another folder. It returns false if there is none. It skips a message that a
// power cut has left in tmp/ too, since that looks the same as one that waits there.
func (w *world) read(file bool) (bool, error) {
	waiting := w.disk.Files(crashPath + "/tmp")
	shown := w.disk.Files(crashPath + "/new")
	slices.SortFunc(shown, func(a, b model.Inode) int { return a.Number - b.Number })
	moved := false
	for i, f := range shown {
		if slices.ContainsFunc(waiting, func(g model.Inode) bool { return g.Number == f.Number }) {
			continue
		}
		to := crashPath + "/cur"
		if file && i%2 == 0 {
			to = archivePath
		}
		if err := w.disk.Move(crashPath+"/new/"+f.Name, to+"/"+f.Name+":2,RS"); err != nil {
			return false, err
		}
		moved = true
	}
	return moved, nil
}

// view is what can be seen in a world.
type view struct {
	copies  [crashMessages]int  // that a reader sees
	waiting [crashMessages]bool // whole in tmp/, with an open intent
	seen    [crashMessages]bool // recorded as delivered
	partial int                 // files that a reader sees and that are not a whole message
	left    int                 // files in tmp/
	intents int                 // open intents
	key     uint64              // equal for worlds that differ only in names and times
}

// look returns the view of w.
func (w *world) look() (view, error) {
	store, err := openLog(w.disk)
	if err != nil {
		return view{}, err
	}
	v := view{intents: len(store.intents)}
	named := make(map[string]string) // name in tmp/ -> unique-id of the intent
	for id, in := range store.intents {
		n, err := parse(deliver.Intent(in))
		if err != nil {
			return view{}, err
		}
		named[n.Name] = id
	}
	key := fmt.Appendf(nil, "%s|%v|%v|%v|", w.name, w.late, w.disk.Durable(), w.server.gone)
	for i := range crashMessages {
		v.seen[i] = store.records[crashUID(i)].Seen()
		_, open := store.intents[crashUID(i)]
		key = fmt.Append(key, v.seen[i], open)
	}
	rank := w.ranks()
	for _, dir := range []string{crashPath + "/tmp", crashPath + "/new", crashPath + "/cur", archivePath} {
		files := w.disk.Files(dir)
		slices.SortFunc(files, func(a, b model.Inode) int { return a.Number - b.Number })
		_, err := w.disk.OpenDir(dir)
		key = fmt.Append(key, dir, err == nil)
		for _, f := range files {
			base, _, _ := strings.Cut(f.Name, ",S=")
			v.count(w.mail, f, dir == crashPath+"/tmp", named[base] != "")
			sum := sha256.Sum256(f.Data)
			key = append(append(key, byte(rank[f.Number])), named[base]...)
			key = append(key, sum[:8]...)
		}
	}
	sum := sha256.Sum256(key)
	v.key = binary.BigEndian.Uint64(sum[:])
	return v, nil
}

// count adds one file to the view.
func (v *view) count(m *mail, f model.Inode, tmp, intended bool) {
	i := slices.Index(m.stored[:], string(f.Data))
	switch {
	case tmp:
		v.left++
		if i >= 0 && intended {
			v.waiting[i] = true
		}
	case i < 0:
		v.partial++
	default:
		v.copies[i]++
	}
}

// ranks returns the rank of each file by the order in which they were made, from 0.
func (w *world) ranks() map[int]int {
	var numbers []int
	for _, dir := range []string{crashPath + "/tmp", crashPath + "/new", crashPath + "/cur", archivePath} {
		for _, f := range w.disk.Files(dir) {
			numbers = append(numbers, f.Number)
		}
	}
	slices.Sort(numbers)
	rank := make(map[int]int)
	for _, number := range slices.Compact(numbers) {
		rank[number] = len(rank)
	}
	return rank
}
