# Reads what "go test -v" prints, shows a line for each package and the whole output
# of a package that fails, and ends with a sentence: what ran, what was left out and
# why. The Makefile adds lines of its own:
#
#	TESTS WITH go1.26.8         the runs that follow use this version of Go
#	LEFT OUT the race detector (there is no C compiler)
#
# The exit code is 1 if a package failed or none ran.

function count(n, noun) { return n + 0 " " noun (n == 1 ? "" : "s") }

/^TESTS WITH / { sub(/^TESTS WITH /, ""); print $0 ":"; fflush(); runs[++nruns] = $0; next }
/^LEFT OUT / { sub(/^LEFT OUT /, ""); left[++nleft] = $0; if (/^the man pages/) noman = 1; next }

# A test prints its reason before this line, indented, behind the place in its file.
/^ *--- SKIP: / {
	reason = said
	sub(/^ +[^ ]+\.go:[0-9]+: /, "", reason)
	if (!(reason in skipped)) reasons[++nreasons] = reason
	skipped[reason]++
	next
}
/^ *--- PASS: / { if ($0 !~ /^ /) passed[nruns]++; next }
/^=== / { next }
/^PASS$/ { next }
/^(ok|\?) / || /^\t.*coverage: / { print; fflush(); if (/^ok/) packages[nruns]++; held = ""; next }
/^FAIL/ { if (held != "") printf "%s", held; print; fflush(); held = ""; if ($0 != "FAIL") failed[++nfailed] = $2; next }
{ said = $0; held = held $0 "\n" }

END {
	if (held != "") printf "%s", held
	print ""
	for (i = 1; i <= nreasons; i++) {
		left[++nleft] = count(skipped[reasons[i]], "test") " (" reasons[i] ")"
	}
	printf "make test checked %s, and ran", noman ? "gofmt and go vet" : "gofmt, go vet and the man pages"
	for (i = 1; i <= nruns; i++)
		printf "%s %s of %s with %s", (i > 1 ? (i == nruns ? " and" : ",") : ""), count(passed[i], "test"), count(packages[i], "package"), runs[i]
	printf "; left out: "
	for (i = 1; i <= nleft; i++) printf "%s%s", (i > 1 ? "; " : ""), left[i]
	if (nleft == 0) printf "nothing"
	print ". make lint runs staticcheck and govulncheck, make torture the crash tests in full."
	for (i = 1; i <= nfailed; i++) print "FAILED: " failed[i]
	exit nfailed > 0 || packages[1] == 0
}
