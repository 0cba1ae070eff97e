# SPDX-License-Identifier: BSD-2-Clause
#
# verify.awk - were all records that kvd issued written down?
#
#   qslog cat FILE | awk -f verify.awk -v until=U [-v since=S] [-v shapes=OUT]
#
# U is what `kvd --issued-show` says after the server has ended: "tid records thread" per line. S
# is the same from a moment after the tracer was attached; without S the file must have everything
# since the server was started. How it is compared, for each thread by itself:
#
# - The span of every request says how many records its thread had issued before it (rec=N). The
#   comparison begins at the first such span with N >= the thread's count in S: that record and all
#   later ones were issued while the tracer listened.
# - At every later request span, as many records must have been decoded as N has grown. So a
#   record that is missing is noticed at the next request, and one that is there twice as well.
# - At the end as many must have been decoded as U has grown; or one more, for a record is counted
#   after it was issued, and the server may have been killed in between.
# - Records that the tracer itself reports as lost are no hole, but they are lost.
#
# OUT gets the shapes of the requests that were seen: which records a request consists of, and
# where in the source they are. Exit status 0: nothing is missing; 1: something is.

BEGIN {
	if (until == "" || !read_counts(until, total)) {
		print "verify: no counts in \"" until "\"" > "/dev/stderr"
		exit bad = 1
	}
	if (since != "" && !read_counts(since, start)) {
		print "verify: no counts in \"" since "\"" > "/dev/stderr"
		exit bad = 1
	}
	if (since == "")
		for (tid in total)
			first[tid] = 0
}

function read_counts(file, counts,    line, word, cnt) {
	while ((getline line < file) > 0)
		if (split(line, word, " ") >= 3) {
			counts[word[1]] = word[2] + 0
			name[word[1]] = word[3]
			cnt++
		}
	close(file)
	return cnt > 0
}

{ tid = $4 }

# A loss line: "... W qslog [-:0 -] 12 records lost: ring buffer full"
$7 == "[-:0" && $10 == "records" && $11 == "lost:" {
	lost_all += $9
	if (tid in first)
		lost[tid] += $9
	shape[tid] = "?"
	next
}

$9 == "->" && $10 == "request" {
	rec = substr($11, 5) + 0
	if (!(tid in first)) {
		if (!(tid in total)) {
			print "a request of thread " tid ", which is none of the server's"
			bad = 1
		} else if (rec >= start[tid])
			first[tid] = rec
	} else if ((gap = rec - first[tid] - seen[tid] - lost[tid] - gaps[tid]) != 0) {
		if (++holes <= 10)
			printf "  %s: %d records %s before \"%s\"\n", name[tid], \
				gap < 0 ? -gap : gap, gap < 0 ? "too many" : "missing", \
				substr($0, index($0, "->"))
		gaps[tid] += gap
		bad = 1
	}
	shape[tid] = ""
}

{
	decoded++
	all[tid]++
	if (tid in first)
		seen[tid]++
	if (shapes != "") {
		what = $9 == "->" || $9 == "<-" ? $9 " " $10 : $5 " " $9
		if (!(tid in shape)) # the file begins in the middle of a request
			shape[tid] = "?"
		shape[tid] = shape[tid] "; " what " " $7 " " $8
		if ($9 == "<-" && $10 == "request") {
			known[shape[tid]]++
			shape[tid] = "?"
		}
	}
}

END {
	if (until == "" || bad && !decoded)
		exit 1
	for (tid in total) {
		if (tid in first) {
			issued = total[tid] - first[tid]
			have = seen[tid] + 0
			missing = issued - have - lost[tid]
		} else {
			# It began no request since S: what it issued since must be among its records.
			issued = total[tid] - start[tid]
			have = all[tid] < issued ? all[tid] + 0 : issued
			missing = issued - have
		}
		if (missing > 0 || missing < -1 || (missing == -1 && since == ""))
			bad = 1
		note = missing > 0 ? "  MISSING " missing : ""
		if (missing < 0)
			note = missing == -1 && since != "" ? "  (1 more was in flight)" : \
				"  TOO MANY " (-missing)
		if (issued == 0 && have == 0)
			continue
		printf "  %-14s issued %9d  decoded %9d  reported lost %d%s\n", name[tid], \
			issued, have, lost[tid], note | "sort"
		sum += have
	}
	close("sort")
	if (holes > 10)
		print "  and at " (holes - 10) " more places"
	# Not every request is slow, makes room or is cut off at the end of the file.
	for (s in known)
		if (s !~ /^\?| W slow| I evict| D grown/)
			print substr(s, 3) > shapes
	if (bad)
		result = "NOT all of them are there"
	else if (lost_all > 0)
		result = "as issued, but for " lost_all " that are reported as lost"
	else
		result = "none is missing, none is there twice"
	printf "  %d records compared one by one: %s\n", sum, result
	exit bad || lost_all > 0
}
