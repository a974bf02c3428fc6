package fetch

import "time"

// leap is how far the wall clock has to get ahead for clock to follow it.
const leap = 10 * time.Second

// clock is the time of a schedule. It keeps pace with the steady clock of the kernel,
// which stands still while the machine sleeps, and jumps forward when the wall clock has
// done so, by a resume or because it was set. It never goes back. Its times are compared
// with one another only.
type clock struct {
	wall   func() time.Time // nil = time.Now
	steady time.Time        // at the latest reading
	shown  time.Time        // by the wall clock at the latest reading
	ahead  time.Duration    // of the steady clock
}

func (c *clock) now() time.Time {
	steady, shown := time.Now(), c.onTheWall()
	if jump := shown.Sub(c.shown) - steady.Sub(c.steady); jump > leap && !c.steady.IsZero() {
		c.ahead += jump
	}
	c.steady, c.shown = steady, shown
	return steady.Add(c.ahead)
}

// onTheWall reads the wall clock.
func (c *clock) onTheWall() time.Time {
	if c.wall != nil {
		return c.wall().Round(0)
	}
	return time.Now().Round(0) // without the steady clock's reading
}

// date returns when t was or will be, as the wall clock shows time now; zero stays zero.
func (c *clock) date(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return c.onTheWall().Add(t.Sub(c.now()))
}
