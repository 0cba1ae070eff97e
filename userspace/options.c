/* SPDX-License-Identifier: BSD-2-Clause */
/* options.c - parses the command line of qslog-trace and checks what can be checked alone. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "output_options.h"
#include "qslog_abi.h"
#include "site_place.h"

#ifndef QSLOG_VERSION
#define QSLOG_VERSION "unknown"
#endif

#define RING_BYTES_DEFAULT (32u << 20)
#define RING_BYTES_MIN (1u << 20)
#define RING_BYTES_MAX (1u << 30)
#define FLUSH_MS_DEFAULT 100
#define NICE_DEFAULT (-15)
#define FLUSH_MS_MIN 10
#define FLUSH_MS_MAX 60000
#define SPAN_DURATION_NS_MAX 60e9
#define DURATION_S_MAX 31536000.0

static const char usage_text[] =
	"Usage: qslog-trace -p PID[,PID...] [options]\n"
	"       qslog-trace [options] -- COMMAND [ARGUMENTS]\n"
	"       qslog-trace --exe PATH [options]\n"
	"       qslog-trace --check\n"
	"\n"
	"Attaches to running programs that have qslog sites (or starts one) and writes their log\n"
	"records and spans to a compressed file, until Ctrl-C, -d, or the end of all of them\n"
	"(with --exe: until Ctrl-C or -d, since more may come).\n"
	"\n"
	"  -p, --pid PID[,PID...] trace these running processes; may be repeated\n"
	"      --exe PATH         trace all processes that run this program, now and later, from\n"
	"                         their first record on; may be repeated\n"
	"  -f, --follow           trace what the processes start from now on, too: their children,\n"
	"                         and the programs that these (or they themselves) execute\n"
	"  -o, --output FILE      write FILE (default: NAME.PID.qslog)\n"
	"  -d, --duration SECONDS stop after this long (fractions allowed)\n"
	"  -l, --level LEVEL      record LEVEL and above: V D I W E F (default: V, everything)\n"
	"  -t, --tag TAG          record sites of this tag only; may be a pattern such as 'net*';\n"
	"                         may be repeated\n"
	"      --tid TID[,TID...] record these threads only, by the ids that the process sees\n"
	"      --min-duration T   leave out spans that were shorter than T: 20us, 5ms, 1s\n"
	"      --sample N         record one in N: of span lines (by their trace ids, the same in all\n"
	"                         processes), of outermost spans with all in them, of other logs\n"
	"      --live             print the records as text on standard output as they come\n"
	"      --snapshot         write nothing until SIGUSR1, or the end of a process: then the newest\n"
	"                         records that memory still holds; %n in FILE is the dump's number,\n"
	"                         without it each dump replaces the one before\n"
	"      --snapshot-site FILE:LINE  --snapshot, and a dump when the log or span there records;\n"
	"                         FILE as in the source, or the last parts of its path; may be repeated;\n"
	"                         each record then traps into the kernel, half a microsecond\n"
	"      --immediate        each record traps into the kernel by itself and is in the file at once;\n"
	"                         costs the program one to three microseconds each, on all levels\n"
	"      --sched            record when and why the threads were off the CPU: qslog stat and\n"
	"                         qslog cat --times show where the time of spans went\n"
	"      --ring-size BYTES  size of the ring buffer from the kernel, power of two with K or M\n"
	"                         (default: 32M)\n"
	"      --nice N           the tracer's priority (-20 to 19; default: -15, so that on a busy machine\n"
	"                         the program waits rather than that its records are lost)\n"
	"      --flush-ms MS      how soon a quiet program's records are in the file (default: 100)\n"
	"      --rotate-size BYTES    begin another FILE when it has this size (64K or more, with K M G T)\n"
	"      --rotate-time TIME     or is this old (seconds, or with s m h d)\n"
	"      --rotate-count RECORDS or has so many records (with K M G T)\n"
	"      --max-files N      keep the newest N files; without, all are kept\n"
	"      --sync WHEN        none: the kernel decides when what was written is on the disk\n"
	"                         (default); interval: once a second; block: after each block\n"
	"      --compress PROFILE fast, default or max: less CPU or smaller files\n"
	"      --tick UNIT        ns, us or ms: how exact times are (default: ns); coarser ones make\n"
	"                         files smaller\n"
	"      --strict           exit with 3 if records or scheduler events were lost\n"
	"      --drop-privs USER  once attached, become USER and keep no capability that is not needed;\n"
	"                         the file is USER's (docs/privileges.md)\n"
	"      --check            say what this kernel and these capabilities can do, and what to do\n"
	"                         about the rest; traces nothing; exit status 0 if tracing works\n"
	"  -q, --quiet            no messages but errors and the summary\n"
	"  -v, --verbose          say what is done; twice: libbpf's messages too\n"
	"  -h, --help             this text\n"
	"  -V, --version          the version\n"
	"\n"
	"With a --rotate option or --max-files, a FILE that is there is kept: completed files are called\n"
	"NAME.000001.qslog, NAME.000002.qslog, ... SIGHUP begins another file in any case.\n"
	"\n"
	"Reads with: qslog cat FILE. Kernel 5.18 or later with BTF. Needs root; from kernel 6.10 on\n"
	"CAP_BPF and CAP_PERFMON will do, and CAP_SYS_PTRACE for processes of other users.\n"
	"The last line on standard error is: records=N lost=N bytes=N ratio=R.R file=F\n"
	"\n"
	"Exit status: 0 the file is complete; 1 failure; 2 wrong usage; 3 records were lost, and\n"
	"--strict was given. With -- COMMAND, the command's own exit status is not passed on.\n";

enum { OPT_LIVE = 256, OPT_RING_SIZE, OPT_STRICT, OPT_FLUSH_MS, OPT_CHECK,
       OPT_ROTATE_SIZE, OPT_ROTATE_TIME, OPT_ROTATE_COUNT, OPT_MAX_FILES, OPT_SYNC, OPT_DROP_PRIVS,
       OPT_EXE, OPT_TID, OPT_NICE, OPT_SNAPSHOT, OPT_SNAPSHOT_SITE, OPT_IMMEDIATE, OPT_MIN_DURATION, OPT_SAMPLE,
       OPT_COMPRESS, OPT_TICK, OPT_SCHED };

static int usage_error(const char *what, const char *value)
{
	fprintf(stderr, "qslog-trace: %s%s%s\nTry 'qslog-trace --help'.\n", what, value ? ": " : "",
		value ? value : "");
	return -EINVAL;
}

static int level_parse(const char *text, uint8_t *out)
{
	static const char *const names[] = {"verbose", "debug", "info", "warn", "error", "fatal"};
	uint8_t level;

	for (level = 0; level < QSLOG_LEVEL_COUNT; level++) {
		if (strcasecmp(text, names[level]) == 0 ||
		    (!text[1] && strncasecmp(text, names[level], 1) == 0)) {
			*out = level;
			return 0;
		}
	}
	return usage_error("not a level (V D I W E F)", text);
}

static int pid_add(struct options *o, pid_t pid)
{
	pid_t *grown = reallocarray(o->pids, o->pid_cnt + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	o->pids = grown;
	o->pids[o->pid_cnt++] = pid;
	return 0;
}

static int pids_parse(struct options *o, const char *text)
{
	const char *at = text;
	char *end;
	long value;
	int err;

	do {
		errno = 0;
		value = *at >= '0' && *at <= '9' ? strtol(at, &end, 10) : 0;
		if (value <= 0 || errno || value > INT_MAX || (*end && *end != ','))
			return usage_error("not a process id", text);
		err = pid_add(o, (pid_t)value);
		if (err)
			return err;
		at = end + 1;
	} while (*end);
	return 0;
}

static int duration_parse(const char *text, uint64_t *out_ms)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= 0.001 && value <= DURATION_S_MAX))
		return usage_error("not a number of seconds (0.001 to 31536000)", text);
	*out_ms = (uint64_t)(value * 1000 + 0.5);
	return 0;
}

static int bytes_parse(const char *text, uint32_t *out)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (*end == 'K' || *end == 'k') {
		value <<= 10;
		end++;
	} else if (*end == 'M' || *end == 'm') {
		value <<= 20;
		end++;
	}
	if (errno || end == text || *end || value < RING_BYTES_MIN || value > RING_BYTES_MAX ||
	    (value & (value - 1)))
		return usage_error("not a power of two from 1M to 1024M", text);
	*out = (uint32_t)value;
	return 0;
}

static int ms_parse(const char *text, uint32_t *out)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end || value < FLUSH_MS_MIN || value > FLUSH_MS_MAX)
		return usage_error("not a number of milliseconds (10 to 60000)", text);
	*out = (uint32_t)value;
	return 0;
}

static int exe_add(struct options *o, const char *path)
{
	const char **grown = reallocarray(o->exes, o->exe_cnt + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	o->exes = grown;
	o->exes[o->exe_cnt++] = path;
	return *path ? 0 : usage_error("--exe needs the path of a program", NULL);
}

static int tids_add(struct options *o, const char *text)
{
	const char *at = text;
	uint32_t *grown;
	long value;
	char *end;

	for (;; at = end + 1) {
		errno = 0;
		value = strtol(at, &end, 10);
		if (errno || end == at || (*end && *end != ',') || value <= 0 || value > INT_MAX)
			return usage_error("not a list of thread ids", text);
		grown = realloc(o->tids, (o->tid_cnt + 2) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		o->tids = grown;
		o->tids[o->tid_cnt++] = (uint32_t)value;
		o->tids[o->tid_cnt] = 0;
		if (!*end)
			return 0;
	}
}

static int span_duration_parse(const char *text, uint64_t *out_ns)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};
	char *end;
	double value = strtod(text, &end);
	size_t i;

	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].name) == 0 && end != text && value * units[i].ns >= 1 &&
		    value * units[i].ns <= SPAN_DURATION_NS_MAX) {
			*out_ns = (uint64_t)(value * units[i].ns);
			return 0;
		}
	}
	return usage_error("not a duration with its unit, such as 20us, 5ms, 1s (up to 60s)", text);
}

/* N, or 1/N. */
static int sample_parse(const char *text, uint32_t *out)
{
	const char *at = strncmp(text, "1/", 2) == 0 ? text + 2 : text;
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(at, &end, 10);
	if (errno || end == at || *end || *at == '-' || value < 1 || value > 1000000000)
		return usage_error("not a number N, to record one in N (1 to 1000000000)", text);
	*out = (uint32_t)value;
	return 0;
}

static int nice_parse(const char *text, int *out)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno || end == text || *end || value < -20 || value > 19)
		return usage_error("not a nice value from -20 to 19", text);
	*out = (int)value;
	return 0;
}

static int tag_add(struct options *o, const char *tag)
{
	const char **grown = realloc(o->tags, (o->tag_cnt + 2) * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	o->tags = grown;
	o->tags[o->tag_cnt++] = tag;
	o->tags[o->tag_cnt] = NULL;
	return 0;
}

static int chosen_add(struct options *o, const char *text)
{
	struct chosen_site *chosen = &o->chosen[o->chosen_cnt];
	struct site_place place;

	if (o->chosen_cnt == CHOSEN_MAX)
		return usage_error("too many of --snapshot-site (at most 8)", text);
	if (site_place_parse(text, CHOSEN_FILE_BYTES - 1, &place))
		return usage_error("not a place in the source (FILE:LINE, such as net/peer.c:42)", text);
	memcpy(chosen->file, text, place.file_bytes);
	chosen->file_bytes = (uint32_t)place.file_bytes;
	chosen->line = place.line;
	o->chosen_cnt++;
	o->snapshot = true;
	return 0;
}

/* What becomes of the output. */
static int output_take(struct options *o, int option, const char *value)
{
	switch (option) {
	case OPT_ROTATE_SIZE:
		return output_size_parse(value, &o->rotation.bytes) ?
		       usage_error("not a size of 64K or more", value) : 0;
	case OPT_ROTATE_TIME:
		return output_time_parse(value, &o->rotation.seconds) ?
		       usage_error("not a time (1 second to 365 days: 90, 15m, 1h, 7d)", value) : 0;
	case OPT_ROTATE_COUNT:
		return output_count_parse(value, &o->rotation.records) ?
		       usage_error("not a number of records", value) : 0;
	case OPT_MAX_FILES:
		return output_files_parse(value, &o->rotation.max_files) ?
		       usage_error("not a number of files (1 to 1000000)", value) : 0;
	case OPT_COMPRESS:
		return output_compress_parse(value, &o->compress) ?
		       usage_error("not one of fast, default, max", value) : 0;
	case OPT_TICK:
		return output_tick_parse(value, &o->tick_ns) ?
		       usage_error("not one of ns, us, ms", value) : 0;
	default:
		return output_sync_parse(value, &o->sync) ?
		       usage_error("not one of none, interval, block", value) : 0;
	}
}

static int option_take(struct options *o, int option, const char *value)
{
	switch (option) {
	case 'p':
		return pids_parse(o, value);
	case 'o':
		o->output = value;
		return *value ? 0 : usage_error("-o needs a file name", NULL);
	case 'd':
		return duration_parse(value, &o->duration_ms);
	case 'l':
		return level_parse(value, &o->level);
	case 't':
		return tag_add(o, value);
	case OPT_EXE:
		return exe_add(o, value);
	case 'f':
		o->follow = true;
		return 0;
	case OPT_NICE:
		return nice_parse(value, &o->nice);
	case OPT_SNAPSHOT:
		o->snapshot = true;
		return 0;
	case OPT_SNAPSHOT_SITE:
		return chosen_add(o, value);
	case OPT_IMMEDIATE:
		o->immediate = true;
		return 0;
	case OPT_TID:
		return tids_add(o, value);
	case OPT_MIN_DURATION:
		return span_duration_parse(value, &o->duration_min_ns);
	case OPT_SAMPLE:
		return sample_parse(value, &o->sample);
	case OPT_LIVE:
		o->live = true;
		return 0;
	case OPT_RING_SIZE:
		return bytes_parse(value, &o->ring_bytes);
	case OPT_FLUSH_MS:
		return ms_parse(value, &o->flush_ms);
	case OPT_ROTATE_SIZE:
	case OPT_ROTATE_TIME:
	case OPT_ROTATE_COUNT:
	case OPT_MAX_FILES:
	case OPT_SYNC:
	case OPT_COMPRESS:
	case OPT_TICK:
		return output_take(o, option, value);
	case OPT_DROP_PRIVS:
		o->drop_user = value;
		return 0;
	case OPT_SCHED:
		o->sched = true;
		return 0;
	case OPT_CHECK:
		o->check = true;
		return 0;
	case OPT_STRICT:
		o->strict = true;
		return 0;
	case 'q':
		o->quiet = true;
		return 0;
	case 'v':
		o->verbose++;
		return 0;
	case 'h':
		fputs(usage_text, stdout);
		return 1;
	case 'V':
		puts("qslog-trace " QSLOG_VERSION);
		return 1;
	default:
		fputs("Try 'qslog-trace --help'.\n", stderr);
		return -EINVAL;
	}
}

int options_parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{"pid", required_argument, NULL, 'p'},
		{"output", required_argument, NULL, 'o'},
		{"duration", required_argument, NULL, 'd'},
		{"level", required_argument, NULL, 'l'},
		{"tag", required_argument, NULL, 't'},
		{"exe", required_argument, NULL, OPT_EXE},
		{"follow", no_argument, NULL, 'f'},
		{"nice", required_argument, NULL, OPT_NICE},
		{"snapshot", no_argument, NULL, OPT_SNAPSHOT},
		{"snapshot-site", required_argument, NULL, OPT_SNAPSHOT_SITE},
		{"immediate", no_argument, NULL, OPT_IMMEDIATE},
		{"tid", required_argument, NULL, OPT_TID},
		{"min-duration", required_argument, NULL, OPT_MIN_DURATION},
		{"sample", required_argument, NULL, OPT_SAMPLE},
		{"live", no_argument, NULL, OPT_LIVE},
		{"ring-size", required_argument, NULL, OPT_RING_SIZE},
		{"flush-ms", required_argument, NULL, OPT_FLUSH_MS},
		{"rotate-size", required_argument, NULL, OPT_ROTATE_SIZE},
		{"rotate-time", required_argument, NULL, OPT_ROTATE_TIME},
		{"rotate-count", required_argument, NULL, OPT_ROTATE_COUNT},
		{"max-files", required_argument, NULL, OPT_MAX_FILES},
		{"sync", required_argument, NULL, OPT_SYNC},
		{"compress", required_argument, NULL, OPT_COMPRESS},
		{"tick", required_argument, NULL, OPT_TICK},
		{"strict", no_argument, NULL, OPT_STRICT},
		{"sched", no_argument, NULL, OPT_SCHED},
		{"check", no_argument, NULL, OPT_CHECK},
		{"drop-privs", required_argument, NULL, OPT_DROP_PRIVS},
		{"quiet", no_argument, NULL, 'q'},
		{"verbose", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	int option, err;

	memset(o, 0, sizeof(*o));
	o->ring_bytes = RING_BYTES_DEFAULT;
	o->flush_ms = FLUSH_MS_DEFAULT;
	o->nice = NICE_DEFAULT;
	while ((option = getopt_long(argc, argv, "+p:o:d:l:t:fqvhV", longs, NULL)) != -1) {
		err = option_take(o, option, optarg);
		if (err)
			return err;
	}
	if (optind < argc) {
		/* The + lets the command have options of its own; "--" may be left out. */
		o->command = &argv[optind];
	}
	if (o->pid_cnt && o->command)
		return usage_error("either -p or a command, not both", o->command[0]);
	if (o->exe_cnt && o->command)
		return usage_error("either --exe or a command, not both; -f traces all that a command "
				   "starts", o->command[0]);
	if (o->follow && o->drop_user)
		return usage_error("-f has to attach to programs that come later: not with --drop-privs",
				   NULL);
	if (o->follow && !o->pid_cnt && !o->command && !o->exe_cnt)
		return usage_error("-f needs a process to begin with: -p, --exe or a command", NULL);
	if (!o->pid_cnt && !o->command && !o->exe_cnt && !o->check)
		return usage_error("what is to be traced? Give -p PID, --exe PATH or -- COMMAND", NULL);
	if (o->snapshot && (o->live || o->immediate || o->follow || o->exe_cnt || o->sched ||
			    o->duration_min_ns || o->rotation.bytes || o->rotation.seconds ||
			    o->rotation.records || o->rotation.max_files))
		return usage_error("--snapshot goes with none of --live, --immediate, -f, --exe, --sched, "
				   "--min-duration, --rotate-* and --max-files", NULL);
	return 0;
}

void options_fini(struct options *o)
{
	free(o->pids);
	free(o->exes);
	free(o->tags);
	o->pids = NULL;
	o->exes = NULL;
	o->tags = NULL;
	free(o->tids);
	o->tids = NULL;
}
