package model

import (
	"iter"
	"slices"
)

// Cut returns a disk that a power cut may leave. choose picks one of n possibilities, from 0;
// the first one is always that something is lost. All that is on the returned
// disk is certain. Inode numbers and times stay.
func (d *Disk) Cut(choose func(n int) int) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	left := &Disk{nodes: slices.Clone(d.nodes), number: d.number}
	var lost []int
	for _, c := range d.pending {
		needsLost := slices.ContainsFunc(c.needs, func(need int) bool { return slices.Contains(lost, need) })
		if needsLost || choose(2) == 0 {
			lost = append(lost, c.number)
			continue
		}
		for _, e := range c.effects {
			n := &left.nodes[e.dir]
			n.sure = e.apply(n.sure)
		}
	}
	named := make([]bool, len(left.nodes))
	left.settle(rootInode, named)
	for i := range left.nodes {
		n := &left.nodes[i]
		if !named[i] {
			*n = node{} // nobody can reach it
			continue
		}
		if tail := n.data[n.safe:]; len(tail) > 0 {
			n.data = slices.Concat(n.data[:n.safe], remains(tail, choose(losses(tail))))
		}
		n.safe = len(n.data)
	}
	return left
}

// settle lets programs see what is certain, from a directory downwards, and marks what has
// a name.
func (d *Disk) settle(inode int, named []bool) {
	named[inode] = true
	n := &d.nodes[inode]
	n.now = n.sure
	for _, e := range n.sure {
		if !named[e.inode] {
			d.settle(e.inode, named)
		}
	}
}

// losses is how many different ends a power cut may leave of a file whose last octets were
// written and not synced, see the package comment.
func losses(tail []byte) int {
	if len(tail) == 1 {
		return 3 // it has no halves
	}
	return 6
}

// remains returns one of them, the loss of all octets first.
func remains(tail []byte, which int) []byte {
	half := len(tail) / 2
	zeros := make([]byte, len(tail))
	switch which {
	case 0:
		return nil
	case 1:
		return zeros
	case 2:
		return tail
	case 3:
		return tail[:half]
	case 4:
		return slices.Concat(tail[:half], zeros[half:])
	default:
		return slices.Concat(zeros[:half], tail[half:])
	}
}

// Cuts returns every disk that a power cut may leave, each once, beginning with the one that
// has lost most.
func (d *Disk) Cuts() iter.Seq[*Disk] {
	return func(yield func(*Disk) bool) {
		var path []int // the choice at each fork
		for {
			var forks []int // how many possibilities each had
			left := d.Cut(func(n int) int {
				forks = append(forks, n)
				if len(forks) > len(path) {
					path = append(path, 0)
				}
				return path[len(forks)-1]
			})
			if !yield(left) {
				return
			}
			for len(path) > 0 && path[len(path)-1] == forks[len(path)-1]-1 {
				path = path[:len(path)-1]
			}
			if len(path) == 0 {
				return
			}
			path[len(path)-1]++
		}
	}
}
