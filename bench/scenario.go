//go:build linux

package main

import "time"

// scenario is one task for all contenders.
type scenario struct {
	name     string
	box      box           // of each user
	users    int           // accounts
	parallel int           // accounts polled at the same time
	rtt      time.Duration // 0 = over the server's loopback interface
	tls      bool
	known    bool   // every message was fetched before
	dele     bool   // delete what was fetched
	alone    bool   // without the peers, which would take very long
	needs    []need // what popfetch has to achieve
}

const ms = time.Millisecond

// quickScenarios take about two minutes in all.
func quickScenarios() []scenario {
	return []scenario{
		fresh("fresh 1,000, RTT 0", 1000, 0),
		fresh("fresh 300, RTT 100 ms", 300, 100, atMost(1.2).ofDrain()),
		deleted(fresh("fresh 100, then deleted, RTT 100 ms", 100, 100, roundTrips(6))),
		polled("nothing new, 1,000 known, RTT 100 ms", 1000, 100, 40, roundTrips(3), atLeast(2).ofBestPeer()),
		overTLS(polled("nothing new, 1,000 known, RTT 100 ms, TLS", 1000, 100, 40, roundTrips(2), atLeast(1.5).ofBestPeer())),
	}
}

func fullScenarios() []scenario {
	disk := []need{atMost(1.3).ofFloor(), atLeast(1).ofPeer("mpop")}
	all := []scenario{
		fresh("fresh 5,000, RTT 0", 5000, 0, disk...),
		overTLS(fresh("fresh 5,000, RTT 0, TLS", 5000, 0, disk...)),
		deleted(fresh("fresh 5,000, then deleted, RTT 0", 5000, 0, disk...)),
		deleted(fresh("fresh 1,000, then deleted, RTT 0", 1000, 0)),
		fresh("fresh 1,000, RTT 0", 1000, 0),
		fresh("fresh 1,000, RTT 20 ms", 1000, 20),
		fresh("fresh 1,000, RTT 100 ms", 1000, 100, atMost(1.2).ofDrain()),
		{name: "one message of 200 MiB, RTT 0", box: huge(), users: 1, parallel: 1, needs: []need{memory(40)}},
		polled("nothing new, 1,000 known, RTT 0", 1000, 0, 40),
		polled("nothing new, 1,000 known, RTT 100 ms", 1000, 100, 40, roundTrips(3), atLeast(2).ofBestPeer()),
		overTLS(polled("nothing new, 1,000 known, RTT 100 ms, TLS", 1000, 100, 40, roundTrips(2), atLeast(1.5).ofBestPeer())),
		polled("nothing new, 100,000 known, RTT 0", 100_000, 0, 40, atMost(1.1).ofDrain(), atLeast(1).ofPeer("mpop")),
		polled("nothing new, 100,000 known, RTT 100 ms", 100_000, 100, 40, atMost(1.1).ofDrain()),
		polled("nothing new, 1,000,000 known, RTT 0", 1_000_000, 0, 64),
		polled("nothing new, 1,000,000 known, RTT 100 ms", 1_000_000, 100, 64),
	}
	many := polled("200 accounts, nothing new, RTT 20 ms", 10, 20, 40,
		atMost(1.5).ofDrain(), atLeast(1).ofPeer("fdm"), atLeast(30).ofBestSequential())
	many.users, many.parallel = 200, 200
	crowd := polled("2,000 accounts, nothing new, RTT 20 ms", 10, 20, 150)
	crowd.users, crowd.parallel, crowd.alone = 2000, 200, true
	return append(all, many, crowd)
}

// fresh is a scenario with mail that was never fetched before.
func fresh(name string, count, rtt int, needs ...need) scenario {
	return scenario{
		name: name, box: mixed(count), users: 1, parallel: 1, rtt: time.Duration(rtt) * ms,
		needs: append(needs, syncs(1.15), memory(40)),
	}
}

// polled is a scenario with nothing new. Peak memory must stay below this many MiB.
func polled(name string, count, rtt int, mib float64, needs ...need) scenario {
	return scenario{
		name: name, box: small(count), users: 1, parallel: 1, rtt: time.Duration(rtt) * ms, known: true,
		needs: append(needs, syncs(0), memory(mib)),
	}
}

func overTLS(s scenario) scenario { s.tls = true; return s }
func deleted(s scenario) scenario { s.dele = true; return s }

// expected is how many messages a run has to deliver.
func (s scenario) expected() int {
	if s.known {
		return 0
	}
	return s.users * s.box.count
}

// left is how many messages a run has to leave on the server for each user.
func (s scenario) left() int {
	if s.dele {
		return 0
	}
	return s.box.count
}
