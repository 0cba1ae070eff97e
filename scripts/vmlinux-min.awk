# SPDX-License-Identifier: BSD-2-Clause
#
# vmlinux-min.awk - picks types out of `bpftool btf dump ... format c` (standard input), as the
# file `list` says; see vmlinux-min.sh and vmlinux/types.list.
#
# Pass 1 (the input) keeps each top-level struct's lines, each typedef's text and each enum value.
# Pass 2 (END) goes through the list and prints.

function fail(what)
{
	print "vmlinux-min: " what > "/dev/stderr"
	failed = 1
	exit 1
}

# The name that a line of a struct's body declares: "char comm[16];" -> comm; "" if it has none.
function declared(line)
{
	sub(/^[ \t]+/, "", line)
	sub(/[ \t]*:[ \t]*[0-9]+;$/, ";", line)
	if (line !~ /;$/ || line ~ /^}/)
		return ""
	sub(/;$/, "", line)
	while (line ~ /\[[0-9]*\]$/)
		sub(/\[[0-9]*\]$/, "", line)
	if (line ~ /^[^(]*\(\*/) { # pointer to a function
		sub(/^[^(]*\(\*/, "", line)
		sub(/\).*$/, "", line)
		return line
	}
	sub(/\(.*$/, "", line) # type of a function
	sub(/^.*[ *]/, "", line)
	return line
}

# Everything that a declaration needs and that has not been printed yet.
function require(line,    words, cnt, i, w)
{
	sub(/^[ \t]+/, "", line)
	gsub(/[;,()*]/, " & ", line)
	cnt = split(line, words, /[ \t]+/)
	for (i = 1; i <= cnt; i++) {
		w = words[i]
		if (w == "struct" || w == "union" || w == "enum") {
			w = words[++i]
			if (words[i + 1] == "*") {
				if (!(w in defined) && !(w in forward)) {
					forward[w] = 1
					print "struct " w ";\n"
				}
			} else if (!(w in defined)) {
				fail("struct " w " is used by value: list it before: " line)
			}
		} else if (w in typedef_text) {
			print_typedef(w)
		}
	}
}

function print_typedef(name)
{
	if (name in printed_typedef)
		return
	if (!(name in typedef_text))
		fail("no typedef " name " in this kernel")
	printed_typedef[name] = 1
	if (typedef_text[name] !~ /^typedef struct {/)
		require(typedef_base[name])
	print typedef_text[name] "\n"
}

function print_values(head, words, first, cnt,    i)
{
	print head
	for (i = first; i <= cnt; i++) {
		if (!(words[i] in value_line))
			fail("no enum value " words[i] " in this kernel")
		print value_line[words[i]]
	}
	print "};\n"
}

function print_struct(name, words, first, cnt,    i, n, lines, j, line, body, found)
{
	if (!(name in body_of))
		fail("no struct " name " in this kernel")
	n = split(body_of[name], lines, "\n")
	body = ""
	forward[name] = 1
	for (i = first; i <= cnt; i++) {
		found = 0
		for (j = 1; j <= n && !found; j++) {
			if (declared(lines[j]) != words[i])
				continue
			line = lines[j]
			sub(/^[ \t]+/, "", line)
			require(line)
			body = body "\t" line "\n"
			found = 1
		}
		if (!found)
			fail("struct " name " has no field " words[i] " in this kernel")
	}
	print "struct " name " {\n" body "};\n"
	defined[name] = 1
}

/^struct [A-Za-z_0-9]+ \{$/ {
	current = $2
	body_of[current] = ""
	next
}
/^typedef struct \{$/ {
	in_typedef = 1
	text = $0
	next
}
in_typedef {
	text = text "\n" $0
	if ($0 ~ /^}/) {
		name = $2
		sub(/;$/, "", name)
		typedef_text[name] = text
		typedef_base[name] = ""
		in_typedef = 0
	}
	next
}
/^typedef .*;$/ {
	name = declared($0)
	typedef_text[name] = $0
	base = $0
	sub(/^typedef /, "", base)
	at = index(base, name)
	if (base ~ /^[^(]*\(/) # of a function: its name is before the arguments
		at = index(base, "(*" name ")") ? index(base, "(*" name ")") + 2 : index(base, name "(")
	else
		at = length(base) - length(name)
	typedef_base[name] = substr(base, 1, at - 1) " " substr(base, at + length(name))
	next
}
/^enum( [A-Za-z_0-9]+)? \{$/ {
	in_enum = 1
	next
}
/^}/ {
	current = ""
	in_enum = 0
	next
}
current != "" {
	body_of[current] = body_of[current] $0 "\n"
}
in_enum {
	value_line[$1] = $0
}

END {
	if (failed)
		exit 1
	print "/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */"
	print "/*"
	print " * vmlinux.h - the kernel's types, as far as the BPF programs use them. Made by"
	print " * scripts/vmlinux-min.sh from vmlinux/types.list: change that, not this file."
	print " */"
	print "#ifndef __VMLINUX_H__ /* by this name libbpf's headers know it */"
	print "#define __VMLINUX_H__\n"
	print "#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)\n"
	while ((status = (getline entry < list)) > 0) {
		if (entry ~ /^[ \t]*(#|$)/)
			continue
		cnt = split(entry, words, /[ \t]+/)
		if (words[1] == "typedef") {
			print_typedef(words[2])
		} else if (words[1] == "enum") {
			print_values("enum " words[2] " {", words, 3, cnt)
		} else if (words[1] == "values") {
			print_values("enum {", words, 2, cnt)
		} else if (words[1] == "struct" && cnt == 2) {
			if (!(words[2] in body_of))
				fail("no struct " words[2] " in this kernel")
			forward[words[2]] = 1
			print "struct " words[2] ";\n"
		} else if (words[1] == "struct") {
			print_struct(words[2], words, 3, cnt)
		} else if (words[1] == "include") {
			print "#include \"" words[2] "\"\n"
		} else {
			fail("types.list: not understood: " entry)
		}
	}
	if (status < 0)
		fail("cannot read " list)
	print "#pragma clang attribute pop\n"
	print "#endif"
}
