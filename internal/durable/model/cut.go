package model

import (
	"iter"
	"slices"
)

// Cut returns a disk that a power cut may leave. choose returns one of n possibilities, from 0;
// with 0 something is lost. Everything on the returned disk is durable. Inode numbers and
// times stay the same.
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
			*n = node{} // no entry names it
			continue
		}
		if tail := n.data[n.safe:]; len(tail) > 0 {
			n.data = slices.Concat(n.data[:n.safe], remains(tail, choose(losses(tail))))
		}
		n.safe = len(n.data)
	}
	return left
}

// settle makes programs see what is durable, from a directory downwards, and marks in named
// the inodes that have a name.
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

// losses returns how many different ends a power cut may leave of a file whose last octets,
// tail, are not synced, see the package comment.
func losses(tail []byte) int {
	if len(tail) == 1 {
		return 3 // it has no halves
	}
	return 6
}

// remains returns end number which of these; 0 is the loss of all octets.
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

// Cuts yields each disk that a power cut may leave, once. The first one has lost most.
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
