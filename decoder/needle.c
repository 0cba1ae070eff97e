/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * needle.c - goes through an expression from left to right and collects characters that stand for
 * themselves. What is in parentheses, brackets, or repeated none or more times is not required;
 * an alternative at the outermost level requires nothing. When in doubt a run of characters ends.
 */
#include "needle.h"

#include <string.h>

struct run {
	char text[NEEDLE_MAX + 1];
	size_t len;
	bool cut; /* there was more of it */
};

static void run_add(struct run *r, char c)
{
	if (r->len < NEEDLE_MAX)
		r->text[r->len++] = c;
	else
		r->cut = true;
}

static void run_end(struct needle *n, struct run *r)
{
	if (r->len > n->len) {
		memcpy(n->text, r->text, r->len);
		n->len = r->len;
	}
	r->len = 0;
	r->cut = false;
}

/* The last character may be missing, and what follows is not behind it for sure. */
static void run_shorten(struct needle *n, struct run *r)
{
	if (r->cut)
		r->cut = false;
	else if (r->len)
		r->len--;
	run_end(n, r);
}

/* Behind a bracket expression, or NULL. */
static const char *bracket_skip(const char *p)
{
	p++;
	if (*p == '^')
		p++;
	if (*p == ']')
		p++;
	for (; *p && *p != ']'; p++) {
		if (*p == '[' && (p[1] == ':' || p[1] == '.' || p[1] == '=')) {
			const char close[] = { p[1], ']', '\0' };

			p = strstr(p + 2, close);
			if (!p)
				return NULL;
			p++;
		}
	}
	return *p ? p + 1 : NULL;
}

/* Behind the group, or NULL. */
static const char *group_skip(const char *p)
{
	unsigned depth = 0;

	while (*p) {
		if (*p == '[') {
			p = bracket_skip(p);
			if (!p)
				return NULL;
			continue;
		}
		if (*p == '\\' && p[1])
			p++;
		else if (*p == '(')
			depth++;
		else if (*p == ')' && !--depth)
			return p + 1;
		p++;
	}
	return NULL;
}

/* False: nothing is required, or the expression is not understood. */
static bool walk(struct needle *n, const char *p)
{
	struct run r = { .len = 0 };

	n->whole = true;
	while (*p) {
		const unsigned char c = (unsigned char)*p;

		if (c == '|' || c == ')')
			return false;
		if (c == '(' || c == '[') {
			n->whole = false;
			run_end(n, &r);
			p = c == '(' ? group_skip(p) : bracket_skip(p);
			if (!p)
				return false;
		} else if (c == '*' || c == '?' || c == '{') {
			n->whole = false;
			run_shorten(n, &r);
			p = c == '{' ? strchr(p, '}') : p;
			if (!p)
				return false;
			p++;
		} else if (c == '+' || c == '.' || c == '^' || c == '$') {
			n->whole = false;
			run_end(n, &r);
			p++;
		} else if (c == '\\') {
			if (!p[1])
				return false;
			if (strchr(".[]{}()*+?|^$\\/-\"", p[1])) {
				run_add(&r, p[1]);
			} else {
				n->whole = false;
				run_end(n, &r);
			}
			p += 2;
		} else {
			/* half of a character may be repeated: it is left out */
			if (c >= 0x80 && strpbrk(p, "*?{"))
				return false;
			run_add(&r, (char)c);
			p++;
		}
	}
	if (r.cut)
		n->whole = false;
	run_end(n, &r);
	return true;
}

void needle_find(struct needle *n, const char *pattern, bool fold)
{
	size_t i;

	memset(n, 0, sizeof(*n));
	if (!walk(n, pattern))
		n->len = 0;
	n->fold = fold;
	for (i = 0; i < n->len; i++) {
		if (fold && (unsigned char)n->text[i] >= 0x80)
			n->len = 0; /* other letters have cases, too */
		else if (fold)
			n->text[i] = needle_fold(n->text[i]);
	}
	n->text[n->len] = '\0';
	if (!n->len)
		n->whole = false;
}

const char *needle_search(const struct needle *n, const char *s, size_t len)
{
	const char *end;
	size_t i;

	if (!n->fold)
		return memmem(s, len, n->text, n->len);
	if (len < n->len)
		return NULL;
	for (end = s + len - n->len; s <= end; s++) {
		for (i = 0; i < n->len && needle_fold(s[i]) == n->text[i]; i++)
			;
		if (i == n->len)
			return s;
	}
	return NULL;
}
