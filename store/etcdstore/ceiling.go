package etcdstore

// ceiling is a limit of the server that it tells nobody, found by bisection
// between what it has taken and what it has refused. The zero value with max
// set is ready for use.
type ceiling struct {
	max     int // never more than this, whatever the server takes
	taken   int // the most that was taken
	refused int // the least that was refused; zero if nothing was
}

// limit is the most that should be sent next.
func (c *ceiling) limit() int {
	if c.refused == 0 {
		return c.max
	}
	return min(c.max, (c.taken+c.refused)/2)
}

// took records that the server took n.
func (c *ceiling) took(n int) {
	c.taken = max(c.taken, n)
	if c.refused != 0 && n >= c.refused {
		c.refused = 0 // it takes more than it used to
	}
}

// denied records that the server refused n for its size.
func (c *ceiling) denied(n int) {
	if c.refused == 0 || n < c.refused {
		c.refused = n
	}
	c.taken = min(c.taken, c.refused-1)
}
