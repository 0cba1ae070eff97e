/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * timestamp.c - wall clock nanoseconds to text and back.
 *
 * localtime_r() costs more than all the rest of a line. Within a minute of UTC only the seconds
 * of local time change (where its offset is whole minutes, which is checked), so the text up to
 * the seconds is kept per thread and made anew when the minute changes.
 */
#include "timestamp.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "buffer.h"
#include "digits.h"

#define NS_PER_S 1000000000ll

/* floor(a / b), for b > 0 */
static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* The nanoseconds after the last full second, before the epoch as well. */
static uint64_t ns_of_second(int64_t time_ns)
{
	int64_t ns = time_ns % NS_PER_S;

	return (uint64_t)(ns < 0 ? ns + NS_PER_S : ns);
}

static char *put2(char *p, int v)
{
	memcpy(p, digits_pairs + v * 2, 2);
	return p + 2;
}

/* 2025-04-09 16:09:58; int64_t nanoseconds reach from 1677 to 2262 */
static void put_local(char *p, const struct tm *tm)
{
	p = put2(p, (tm->tm_year + 1900) / 100);
	p = put2(p, (tm->tm_year + 1900) % 100);
	*p++ = '-';
	p = put2(p, tm->tm_mon + 1);
	*p++ = '-';
	p = put2(p, tm->tm_mday);
	*p++ = ' ';
	p = put2(p, tm->tm_hour);
	*p++ = ':';
	p = put2(p, tm->tm_min);
	*p++ = ':';
	put2(p, tm->tm_sec);
}

void timestamp_local(char *p, int64_t time_ns)
{
	static _Thread_local struct {
		bool valid;
		int64_t minute;
		char text[19];
	} cache;
	int64_t second = floor_div(time_ns, NS_PER_S);
	int64_t minute = floor_div(second, 60);
	int in_minute = (int)(second - minute * 60);

	if (!cache.valid || cache.minute != minute) {
		time_t t = (time_t)second;
		struct tm tm;

		if (!localtime_r(&t, &tm)) /* the year does not fit an int: not with 64-bit ns */
			memset(&tm, 0, sizeof(tm));
		put_local(cache.text, &tm);
		cache.minute = minute;
		/* else (offsets of before 1972, leap second tables) every second anew */
		cache.valid = tm.tm_sec == in_minute;
	}
	memcpy(p, cache.text, sizeof(cache.text));
	if (cache.valid)
		put2(p + 17, in_minute);
	p[19] = '.';
	digits_fixed(p + 20, ns_of_second(time_ns) / 1000000, 3);
}

/* Days since the epoch to a civil date (Howard Hinnant, "chrono-compatible low-level date
 * algorithms": years start in March, so that the leap day is the last). */
static void civil_from_days(int64_t days, int *year, int *month, int *day)
{
	int64_t z = days + 719468, era = floor_div(z, 146097);
	int doe = (int)(z - era * 146097);
	int yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int mp = (5 * doy + 2) / 153;

	*day = doy - (153 * mp + 2) / 5 + 1;
	*month = mp < 10 ? mp + 3 : mp - 9;
	*year = (int)(yoe + era * 400) + (*month <= 2);
}

void timestamp_utc(struct buffer *out, int64_t time_ns)
{
	int64_t second = floor_div(time_ns, NS_PER_S), day_number = floor_div(second, 86400);
	int in_day = (int)(second - day_number * 86400);
	int year, month, day;
	char *p = buffer_reserve(out, 30);

	if (!p)
		return;
	civil_from_days(day_number, &year, &month, &day);
	p = put2(p, year / 100);
	p = put2(p, year % 100);
	*p++ = '-';
	p = put2(p, month);
	*p++ = '-';
	p = put2(p, day);
	*p++ = 'T';
	p = put2(p, in_day / 3600);
	*p++ = ':';
	p = put2(p, in_day / 60 % 60);
	*p++ = ':';
	p = put2(p, in_day % 60);
	*p++ = '.';
	p = digits_fixed(p, ns_of_second(time_ns), 9);
	*p++ = 'Z';
	buffer_commit(out, p);
}

/* Exactly `digits` decimal digits. */
static bool take_number(const char **s, int digits, int *value)
{
	const char *p = *s;

	*value = 0;
	for (int i = 0; i < digits; i++, p++) {
		if (*p < '0' || *p > '9')
			return false;
		*value = *value * 10 + (*p - '0');
	}
	*s = p;
	return true;
}

static bool take_char(const char **s, char c)
{
	if (**s != c)
		return false;
	(*s)++;
	return true;
}

/* ".156": nanoseconds, and how many one unit of the last digit has; up to 9 digits. */
static bool take_fraction(const char **s, int64_t *ns, int64_t *unit)
{
	const char *p = *s;

	*ns = 0;
	*unit = NS_PER_S;
	if (*p != '.')
		return true;
	for (p++; *p >= '0' && *p <= '9'; p++) {
		if (*unit == 1)
			return false;
		*unit /= 10;
		*ns += (*p - '0') * *unit;
	}
	*s = p;
	return *unit != NS_PER_S;
}

/* HH:MM[:SS[.fraction]]; *unit is the length of the last part in ns. */
static bool take_clock(const char **s, struct tm *tm, int64_t *ns, int64_t *unit)
{
	*ns = 0;
	*unit = 60 * NS_PER_S;
	if (!take_number(s, 2, &tm->tm_hour) || !take_char(s, ':') ||
	    !take_number(s, 2, &tm->tm_min) || tm->tm_hour > 23 || tm->tm_min > 59)
		return false;
	if (!take_char(s, ':'))
		return true;
	return take_number(s, 2, &tm->tm_sec) && tm->tm_sec <= 59 && take_fraction(s, ns, unit);
}

/* Z, +02:00 or nothing (local time); false: malformed. */
static bool take_zone(const char **s, bool *local, int *offset_s)
{
	int hour, minute, sign = **s == '-' ? -1 : 1;

	*local = **s == '\0';
	*offset_s = 0;
	if (*local || take_char(s, 'Z') || take_char(s, 'z'))
		return true;
	if (!take_char(s, '+') && !take_char(s, '-'))
		return false;
	if (!take_number(s, 2, &hour) || hour > 23)
		return false;
	take_char(s, ':');
	if (!take_number(s, 2, &minute) || minute > 59)
		return false;
	*offset_s = sign * (hour * 3600 + minute * 60);
	return true;
}

static bool to_range(int64_t second, int64_t ns, int64_t unit, int64_t *first, int64_t *last)
{
	return !__builtin_mul_overflow(second, NS_PER_S, first) &&
	       !__builtin_add_overflow(*first, ns, first) &&
	       !__builtin_add_overflow(*first, unit - 1, last);
}

static int parse_relative(const char *s, int64_t now_ns, int64_t *first, int64_t *last)
{
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = {
		{ "ns", 1 },		  { "us", 1000 },	      { "ms", 1000000 },
		{ "s", NS_PER_S },	  { "m", 60 * NS_PER_S },     { "h", 3600 * NS_PER_S },
		{ "d", 86400 * NS_PER_S }, { "min", 60 * NS_PER_S },
	};
	const char *p = s;
	int64_t value = 0, back;

	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, *p - '0', &value))
			return -EINVAL;
	}
	if (p == s)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(p, units[i].name))
			continue;
		if (__builtin_mul_overflow(value, units[i].ns, &back) ||
		    __builtin_sub_overflow(now_ns, back, first))
			return -EINVAL;
		*last = *first;
		return 0;
	}
	return -EINVAL;
}

static int parse_epoch(const char *s, int64_t *first, int64_t *last)
{
	int64_t second = 0, ns, unit;
	const char *p = s;

	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(second, 10, &second) ||
		    __builtin_add_overflow(second, *p - '0', &second))
			return -EINVAL;
	}
	if (p == s || !take_fraction(&p, &ns, &unit) || *p)
		return -EINVAL;
	return to_range(second, ns, unit, first, last) ? 0 : -EINVAL;
}

/* mktime() and timegm() normalise 31 April to 1 May; here it is an error. */
static bool tm_to_second(const struct tm *tm, bool local, int64_t *second)
{
	struct tm copy = *tm;

	copy.tm_isdst = -1;
	*second = local ? mktime(&copy) : timegm(&copy);
	return copy.tm_mday == tm->tm_mday && copy.tm_mon == tm->tm_mon &&
	       copy.tm_year == tm->tm_year;
}

static bool parse_today(const char *s, int64_t now_ns, struct tm *tm, int64_t *ns, int64_t *unit)
{
	time_t now = (time_t)floor_div(now_ns, NS_PER_S);

	if (!localtime_r(&now, tm))
		return false;
	tm->tm_sec = 0;
	return take_clock(&s, tm, ns, unit) && !*s;
}

int timestamp_parse(const char *text, int64_t now_ns, int64_t *first, int64_t *last)
{
	const char *s = text;
	struct tm tm = { 0 };
	int64_t second, ns = 0, unit = 86400 * NS_PER_S;
	bool local = true;
	int offset_s = 0;

	if (*s == '-')
		return parse_relative(s + 1, now_ns, first, last);
	if (*s == '@')
		return parse_epoch(s + 1, first, last);
	if (strlen(s) > 2 && s[2] == ':') {
		if (!parse_today(s, now_ns, &tm, &ns, &unit))
			return -EINVAL;
	} else {
		if (!take_number(&s, 4, &tm.tm_year) || !take_char(&s, '-') ||
		    !take_number(&s, 2, &tm.tm_mon) || !take_char(&s, '-') ||
		    !take_number(&s, 2, &tm.tm_mday))
			return -EINVAL;
		tm.tm_year -= 1900;
		tm.tm_mon--;
		if (*s && (!(take_char(&s, ' ') || take_char(&s, 'T') || take_char(&s, 't')) ||
			   !take_clock(&s, &tm, &ns, &unit) || !take_zone(&s, &local, &offset_s) ||
			   *s))
			return -EINVAL;
	}
	if (!tm_to_second(&tm, local, &second))
		return -EINVAL;
	return to_range(second - offset_s, ns, unit, first, last) ? 0 : -EINVAL;
}
