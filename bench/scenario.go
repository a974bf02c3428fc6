//go:build linux

package main

import "time"

// scenario is one thing to fetch, for all contenders.
type scenario struct {
	name  string
	box   box           // of each user
	users int           // accounts
	rtt   time.Duration // 0 = straight to the server
	tls   bool
	known bool // all was fetched before
	dele  bool // delete what was fetched
}

const ms = time.Millisecond

// quickScenarios take about a minute together.
func quickScenarios() []scenario {
	return []scenario{
		{name: "fresh 1,000, RTT 0", box: mixed(1000), users: 1},
		{name: "fresh 300, RTT 100 ms", box: mixed(300), users: 1, rtt: 100 * ms},
		{name: "nothing new, 1,000 known, RTT 100 ms", box: small(1000), users: 1, rtt: 100 * ms, known: true},
	}
}

func fullScenarios() []scenario {
	return []scenario{
		{name: "fresh 5,000, RTT 0", box: mixed(5000), users: 1},
		{name: "fresh 5,000, RTT 0, TLS", box: mixed(5000), users: 1, tls: true},
		{name: "fresh 1,000, RTT 20 ms", box: mixed(1000), users: 1, rtt: 20 * ms},
		{name: "fresh 1,000, RTT 100 ms", box: mixed(1000), users: 1, rtt: 100 * ms},
		{name: "fresh 1,000, then deleted, RTT 0", box: mixed(1000), users: 1, dele: true},
		{name: "nothing new, 1,000 known, RTT 0", box: small(1000), users: 1, known: true},
		{name: "nothing new, 1,000 known, RTT 100 ms", box: small(1000), users: 1, rtt: 100 * ms, known: true},
		{name: "nothing new, 100,000 known, RTT 0", box: small(100_000), users: 1, known: true},
		{name: "nothing new, 100,000 known, RTT 100 ms", box: small(100_000), users: 1, rtt: 100 * ms, known: true},
		{name: "one message of 200 MiB, RTT 0", box: huge(), users: 1},
		{name: "200 accounts, nothing new, RTT 20 ms", box: small(10), users: 200, rtt: 20 * ms, known: true},
	}
}

// expected is how many messages a run has to deliver.
func (s scenario) expected() int {
	if s.known {
		return 0
	}
	return s.users * s.box.count
}

// left is how many messages each user has on the server after a run.
func (s scenario) left() int {
	if s.dele {
		return 0
	}
	return s.box.count
}
