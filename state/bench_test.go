package state

import (
	"fmt"
	"iter"
	"testing"
)

func BenchmarkCommit(b *testing.B) {
	for _, group := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(group), func(b *testing.B) {
			m := mustOpen(b, newPath(b)).Maildrop("me@host")
			for n := 0; b.Loop(); n += group {
				mustCommit(b, m, Change{Put: entries(n, n+group)})
			}
		})
	}
}

// BenchmarkCommitters commits for many accounts at once.
func BenchmarkCommitters(b *testing.B) {
	for _, n := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := mustOpen(b, newPath(b))
			work, done := make(chan int), make(chan error)
			for u := range n {
				m := s.Maildrop(fmt.Sprintf("user%d@host", u))
				go func() {
					for i := range work {
						done <- m.Commit(Change{Put: entries(i, i+1)})
					}
				}()
			}
			b.ResetTimer()
			go func() {
				defer close(work)
				for i := range b.N {
					work <- i
				}
			}()
			for range b.N {
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchmarkStore(b testing.TB, ids int) (path string) {
	b.Helper()
	path = newPath(b)
	s := mustOpen(b, path)
	for n := 0; n < ids; n += 10_000 {
		mustCommit(b, s.Maildrop("me@host"), Change{Put: entries(n, n+10_000)})
	}
	mustClose(b, s)
	return path
}

func BenchmarkScan100k(b *testing.B) {
	s := mustOpen(b, benchmarkStore(b, 100_000))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		if err := s.Maildrop("me@host").Scan(func(seq iter.Seq2[[]byte, Record]) error {
			for range seq {
				n++
			}
			return nil
		}); err != nil || n != 100_000 {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkOpen100k(b *testing.B) {
	path := benchmarkStore(b, 100_000)
	b.ReportAllocs()
	for b.Loop() {
		s, err := fileAt(path).Open()
		if err != nil {
			b.Fatal(err)
		}
		mustClose(b, s)
	}
}
