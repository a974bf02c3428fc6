package model

import "slices"

// effect is what a change does to one directory entry.
type effect struct {
	dir   int
	name  string
	inode int  // that the entry names, or named before it was removed
	gone  bool // it is removed
}

// change is a set of effects that reach the disk together or not at all.
type change struct {
	number  int
	effects []effect
	needs   []int // numbers of the changes that reach the disk before this one
}

// enter makes a change visible to programs and adds it to the pending ones. It returns its
// number.
func (d *Disk) enter(effects ...effect) int { return d.enterAfter(nil, effects...) }

// enterAfter is enter for a change that needs those with the numbers needs.
func (d *Disk) enterAfter(needs []int, effects ...effect) int {
	d.number++
	for _, earlier := range d.pending {
		if clash(earlier.effects, effects) && !slices.Contains(needs, earlier.number) {
			needs = append(needs, earlier.number)
		}
	}
	d.pending = append(d.pending, change{d.number, effects, needs})
	for _, e := range effects {
		n := &d.nodes[e.dir]
		n.now = e.apply(n.now)
	}
	return d.number
}

// clash reports whether the later effects need the earlier ones: those of the same entry and,
// for a change of two effects (Move), those of the same file.
func clash(earlier, later []effect) bool {
	return slices.ContainsFunc(earlier, func(a effect) bool {
		return slices.ContainsFunc(later, func(b effect) bool {
			return a.dir == b.dir && a.name == b.name || len(later) > 1 && a.inode == b.inode
		})
	})
}

// apply returns a copy of entries with the effect.
func (e effect) apply(entries []entry) []entry {
	changed := make([]entry, 0, len(entries)+1)
	for _, old := range entries {
		if old.name != e.name {
			changed = append(changed, old)
		}
	}
	if !e.gone {
		changed = append(changed, entry{e.name, e.inode})
	}
	return changed
}

// rename is durable.Dir.Rename: two changes, of which the second needs the first, so that a
// power cut may leave both names but never none.
func (d *Disk) rename(from int, name string, to int, newname string) {
	inode := lookup(d.nodes[from].now, name)
	put := d.enter(effect{dir: to, name: newname, inode: inode})
	d.enterAfter([]int{put}, effect{dir: from, name: name, inode: inode, gone: true})
}

// syncDir makes the entries of a directory durable, and all that these changes need.
func (d *Disk) syncDir(inode int) {
	sure := make(map[int]bool)
	for _, c := range slices.Backward(d.pending) {
		if sure[c.number] || slices.ContainsFunc(c.effects, func(e effect) bool { return e.dir == inode }) {
			sure[c.number] = true
			for _, need := range c.needs {
				sure[need] = true
			}
		}
	}
	var pending []change
	for _, c := range d.pending {
		if !sure[c.number] {
			pending = append(pending, c)
			continue
		}
		for _, e := range c.effects {
			n := &d.nodes[e.dir]
			n.sure = e.apply(n.sure)
		}
	}
	d.pending = pending
	d.report("sync " + d.nodes[inode].name)
}
