# Reads the output of "make torture" and prints a table of its suites. Each suite ends
# with this line, which may follow the position of the test that printed it:
#
#	TORTURE kill points=N lost=N repeated=N controls=caught|missed|none
#
# N is what the suite has tried: the instants of its faults, or the maildrop-years of
# simulated polls.
#
# A line with BOUND is a figure and its limit; they are printed below the table.
#
# The exit code is 1 if a suite failed or tried nothing, if a message was lost, or repeated
# more often than popfetch promises, or if a negative control was not noticed.

function row(suite, points, lost, repeated, controls) {
	printf "%-16s %9s %6s %9s  %s\n", suite, points, lost, repeated, controls
}

function fail(why) { reasons[++failures] = why }

/(^|[ \t])TORTURE [^ ]+ points=/ {
	sub(/^.*TORTURE /, "")
	suite = $1
	for (i = 2; i <= NF; i++) {
		split($i, pair, "=")
		value[pair[1]] = pair[2]
	}
	table[++suites] = suite " " value["points"] " " value["lost"] " " value["repeated"] " " value["controls"]
	points += value["points"]; lost += value["lost"]; repeated += value["repeated"]
	if (value["points"] == 0) fail(suite ": no point was tried")
	if (value["lost"] > 0) fail(suite ": messages were lost")
	if (value["repeated"] > 0) fail(suite ": messages were repeated")
	if (value["controls"] != "caught" && value["controls"] != "none") fail(suite ": a negative control was missed")
	delete value
	next
}

/(^|[ \t])BOUND / { sub(/^.*BOUND /, ""); bound[++bounds] = $0; next }

/^--- FAIL: / { fail($3) }
/^--- SKIP: / { skipped[++skips] = $3 }
/^FAILED: / { fail(substr($0, 9)) }

END {
	print ""
	row("suite", "points", "lost", "repeated", "negative controls")
	for (i = 1; i <= suites; i++) {
		split(table[i], column, " ")
		row(column[1], column[2], column[3], column[4], column[5])
	}
	row("all", points + 0, lost + 0, repeated + 0, "")
	if (bounds > 0) print "\nbounds"
	for (i = 1; i <= bounds; i++) print "  " bound[i]
	for (i = 1; i <= skips; i++) print "left out: " skipped[i] " (see the reason above)"
	if (suites == 0) fail("no suite ran to its end")
	for (i = 1; i <= failures; i++) print "FAILED: " reasons[i]
	exit failures > 0
}
