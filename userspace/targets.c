/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * targets.c - see targets.h. A process is known by the number that the kernel side gave it: ids are
 * used again, and one that executes another program is another process from then on.
 *
 * What happens to a process comes in its place among the records, so that when its end is seen all
 * that it left has been taken. Then what is missing is counted, and it goes. (Where its end is seen
 * by its pidfd, it stays until the ring buffer was found empty.)
 */
#include "targets.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "counter.h"

#define REPLACED_MS 1000 /* its event is behind the other one, unless there was no room for it */
#define EXE_ROUNDS 16
#define RESCAN_MS 1000 /* how often libraries loaded meanwhile are looked for */
#define RESCANS_AT_ONCE 32
#define ENDS_AT_ONCE 64

struct member {
	struct target *target;
	bool ended, drained; /* drained: what it left in the ring buffer has been taken */
	bool look;	     /* there may be files that are not known */
	bool by_exe;	     /* it was found to run a program of --exe */
	bool failed_said;    /* that it cannot be looked at */
	uint64_t scan_ms;    /* when to look for libraries next */
	struct kernel_process_losses losses; /* once it has ended */
};

/* --exe: the name may come to be another file's. */
struct named_exe {
	const char *path, *name;
	uint64_t folder; /* its inode */
	int watch;	 /* of the folder */
};

struct targets {
	struct targets_options options;
	struct target_options target_options;
	struct kernel *kernel; /* NULL before targets_attach() */
	struct writer *writer;
	struct ingest *ingest;
	struct member *members; /* by number, once they have one */
	unsigned int cnt, cap, ended;
	uint64_t ever;
	uint32_t newest, reaped; /* numbers: of the newest that was heard of, that has gone */
	unsigned int last;	 /* found last */
	struct named_exe *exes;
	unsigned int exe_cnt;
	int epoll, names; /* names: inotify(7) */
	bool executed;		/* so did the one that ended last */
	bool looks;		/* one is to be looked at */
	uint32_t attached_gone; /* of the kernel side, when it was looked at */
	uint64_t events_lost;
	uint32_t counter_kind;	/* enum file_counter_kind; 0: not known yet */
	uint64_t since, until;	/* counters between which the file is */
	/* What has executed another program, whose own event has not come yet; 0: nothing. */
	uint32_t replaced;
	uint64_t replaced_ms;
	uint64_t now_ms;
};

__attribute__((format(printf, 2, 3))) static void say(const struct targets *ts, const char *format,
						      ...)
{
	va_list args;

	if (!ts->options.say)
		return;
	va_start(args, format);
	ts->options.say(ts->options.arg, format, args);
	va_end(args);
}

/* Each process that is looked at takes a few descriptors. */
static void descriptors_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int names_watch(struct targets *ts)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = 0}; /* no process's id */

	return epoll_ctl(ts->epoll, EPOLL_CTL_ADD, ts->names, &event);
}

int targets_open(struct targets **out, const struct targets_options *options, struct why *why)
{
	struct targets *ts = calloc(1, sizeof(*ts));
	int err = -ENOMEM;

	if (!ts)
		return err;
	ts->options = *options;
	ts->until = UINT64_MAX;
	ts->target_options.everywhere = options->follow || options->exes;
	ts->target_options.flags = options->follow ? PROCESS_FOLLOW : 0;
	ts->epoll = epoll_create1(EPOLL_CLOEXEC);
	ts->names = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (ts->epoll < 0 || ts->names < 0 || names_watch(ts))
		err = why_set(why, -errno, "cannot wait for processes: %s", strerror(errno));
	else if (!probed_files_open(&ts->target_options.files) &&
		 !elf_cache_open(&ts->target_options.cache))
		err = 0;
	if (err) {
		targets_close(ts);
		return err;
	}
	*out = ts;
	return 0;
}

void targets_close(struct targets *ts)
{
	unsigned int i;

	if (!ts)
		return;
	for (i = 0; i < ts->cnt; i++)
		target_close(ts->members[i].target);
	probed_files_close(ts->target_options.files);
	elf_cache_close(ts->target_options.cache);
	free(ts->members);
	free(ts->exes);
	if (ts->names >= 0)
		close(ts->names);
	if (ts->epoll >= 0)
		close(ts->epoll);
	free(ts);
}

/* --- Who they are */

/* Where a number is, or would be. */
static unsigned int place_of(const struct targets *ts, uint32_t number)
{
	unsigned int low = 0, high = ts->cnt;

	while (low < high) {
		const unsigned int middle = low + (high - low) / 2;

		if (target_number(ts->members[middle].target) < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct member *member_find(struct targets *ts, uint32_t number)
{
	if (ts->last >= ts->cnt || target_number(ts->members[ts->last].target) != number)
		ts->last = place_of(ts, number);
	return ts->last < ts->cnt && target_number(ts->members[ts->last].target) == number ?
		       &ts->members[ts->last] : NULL;
}

static struct member *member_of_pid(const struct targets *ts, pid_t pid)
{
	unsigned int i;

	for (i = 0; i < ts->cnt; i++)
		if (!ts->members[i].ended && target_pid(ts->members[i].target) == pid)
			return &ts->members[i];
	return NULL;
}

struct target *targets_first(const struct targets *ts)
{
	unsigned int i;

	for (i = 0; i < ts->cnt; i++)
		if (!ts->members[i].ended)
			return ts->members[i].target;
	return NULL;
}

bool targets_ended(const struct targets *ts)
{
	return ts->ended > 0;
}

unsigned int targets_cnt(const struct targets *ts)
{
	return ts->cnt - ts->ended;
}

uint64_t targets_ever(const struct targets *ts)
{
	return ts->ever;
}

bool targets_readable(const struct targets *ts)
{
	unsigned int i;

	for (i = 0; i < ts->cnt; i++)
		if (!ts->members[i].ended && !target_readable(ts->members[i].target))
			return false;
	return true;
}

bool targets_expect_more(const struct targets *ts)
{
	return ts->options.exes ||
	       (ts->replaced && ts->now_ms - ts->replaced_ms < REPLACED_MS);
}

bool targets_executed(const struct targets *ts)
{
	return ts->executed;
}

static int member_watch(struct targets *ts, const struct target *t)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)target_pid(t)};

	return epoll_ctl(ts->epoll, EPOLL_CTL_ADD, target_pidfd(t), &event) ? -errno : 0;
}

/* In order of numbers; those that have none yet, in order of coming. */
static struct member *member_insert(struct targets *ts, struct target *t)
{
	const uint32_t number = target_number(t);
	unsigned int cap = ts->cap ? ts->cap * 2 : 16, at = number ? place_of(ts, number) : ts->cnt;
	struct member *grown;

	if (ts->cnt == ts->cap) {
		grown = reallocarray(ts->members, cap, sizeof(*grown));
		if (!grown)
			return NULL;
		ts->members = grown;
		ts->cap = cap;
	}
	memmove(&ts->members[at + 1], &ts->members[at], (ts->cnt - at) * sizeof(*ts->members));
	ts->members[at] = (struct member){.target = t, .scan_ms = ts->now_ms + 1};
	ts->cnt++;
	ts->ever++;
	if (number > ts->newest)
		ts->newest = number;
	target_window(t, ts->since, ts->until);
	return &ts->members[at];
}

static int member_add(struct targets *ts, const struct target_options *options, pid_t pid,
		      struct why *why)
{
	struct target *t;
	int err = target_open(&t, options, pid, why);

	if (err)
		return err;
	err = member_watch(ts, t);
	if (!err && !member_insert(ts, t))
		err = -ENOMEM;
	if (err) {
		target_close(t);
		return why_set(why, err, "process %d: %s", (int)pid, strerror(-err));
	}
	return 0;
}

int targets_add(struct targets *ts, pid_t pid, struct why *why)
{
	return member_of_pid(ts, pid) ? 0 : member_add(ts, &ts->target_options, pid, why);
}

static int no_sites(const struct target *t, struct why *why)
{
	struct target_counts counts;

	target_counts_get(t, &counts);
	if (counts.unseen)
		return why_set(why, -ENODATA,
			       "process %d (%s) has no qslog sites in the files that can be looked at; "
			       "%u of its files cannot: %s", (int)target_pid(t), target_facts(t)->name,
			       counts.unseen, strerror(-counts.unseen_error));
	return why_set(why, -ENODATA,
		       "process %d (%s) has no qslog sites: neither the program nor a library of it "
		       "was built with qslog.h and qslog_runtime.c (readelf -n shows the probes of a "
		       "file)", (int)target_pid(t), target_facts(t)->name);
}

static int member_scan(const struct targets *ts, const struct member *m, struct why *why)
{
	const int files = target_scan(m->target, why);

	return files < 0 ? files : !files && !ts->options.follow ? no_sites(m->target, why) : 0;
}

int targets_scan(struct targets *ts, struct why *why)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < ts->cnt && !err; i++)
		err = member_scan(ts, &ts->members[i], why);
	return err;
}

static void member_ended(struct targets *ts, struct member *m, bool executed)
{
	if (m->ended)
		return;
	if (target_pidfd(m->target) >= 0)
		(void)epoll_ctl(ts->epoll, EPOLL_CTL_DEL, target_pidfd(m->target), NULL);
	m->ended = true;
	ts->executed = executed;
	ts->ended++;
}

/* It has executed another program between the look at it and its number, without a word of that. */
static bool member_overtaken(const struct targets *ts, const struct member *m)
{
	struct proc_entry entry;

	return !target_current(m->target) &&
	       kernel_process_get(ts->kernel, target_pid(m->target), &entry) &&
	       entry.process == target_number(m->target) && !entry.executes && !entry.harvested;
}

static int member_renew(struct targets *ts, struct member *m, struct why *why)
{
	struct target *t;
	int err = target_open(&t, &ts->target_options, target_pid(m->target), why);

	if (err)
		return err == -ESRCH ? 0 : err; /* its end is seen elsewhere */
	target_number_set(t, target_number(m->target));
	target_close(m->target);
	m->target = t;
	err = member_watch(ts, t);
	if (err)
		return why_set(why, err, "process %d: %s", (int)target_pid(t), strerror(-err));
	err = member_scan(ts, m, why);
	return err ? err : target_attach(t, ts->kernel, why);
}

static int member_attach(struct targets *ts, struct member *m, struct why *why)
{
	int err = target_attach(m->target, ts->kernel, why);
	const bool taken_in = err == -EEXIST; /* it has just executed a program that is wanted */

	if (taken_in)
		err = target_attach(m->target, ts->kernel, why);
	if (err || !member_overtaken(ts, m))
		return err;
	if (taken_in || !m->by_exe)
		return member_renew(ts, m, why);
	kernel_process_remove(ts->kernel, target_pid(m->target), target_number(m->target));
	member_ended(ts, m, false);
	m->drained = true;
	return 0;
}

/* --- Programs */

int targets_exe(struct targets *ts, const char *path, struct why *why)
{
	const char *slash = strrchr(path, '/');
	struct probed_file *file;
	struct named_exe *grown;
	struct stat st;
	char *folder;
	int err = probed_files_path(ts->target_options.files, path, &file, why);

	if (err)
		return err;
	file->exe = true;
	grown = reallocarray(ts->exes, ts->exe_cnt + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	ts->exes = grown;
	folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	if (!folder)
		return -ENOMEM;
	/* Where this is not possible, the name is looked at only now. */
	ts->exes[ts->exe_cnt++] = (struct named_exe){
		path, slash ? slash + 1 : path, stat(folder, &st) ? 0 : st.st_ino,
		inotify_add_watch(ts->names, folder, IN_MOVED_TO | IN_CREATE | IN_CLOSE_WRITE),
	};
	free(folder);
	return 0;
}

/* The name has another file, or may have. */
static void exe_replaced(struct targets *ts, const struct named_exe *exe)
{
	struct probed_file *file;
	struct why why = {""};
	int err = probed_files_path(ts->target_options.files, exe->path, &file, &why);

	if (err || file->exe) /* it is being written: that is said again */
		return;
	file->exe = true;
	err = probed_file_tell(file, ts->kernel, &why);
	if (!err)
		err = probed_file_attach(file, ts->kernel, &why);
	if (!err)
		err = probed_file_listen(file, ts->kernel, ts->options.level, &why);
	if (err)
		say(ts, "%s was replaced, but: %s", exe->path, why.text);
}

static void names_look(struct targets *ts)
{
	union {
		struct inotify_event event;
		char bytes[4096];
	} read_to;
	const char *at, *end;
	unsigned int i;
	ssize_t n;

	while ((n = read(ts->names, &read_to, sizeof(read_to))) > 0) {
		for (at = read_to.bytes, end = at + n; at < end;) {
			const struct inotify_event *event = (const struct inotify_event *)at;

			for (i = 0; i < ts->exe_cnt; i++)
				if (event->wd == ts->exes[i].watch && event->len &&
				    strcmp(event->name, ts->exes[i].name) == 0)
					exe_replaced(ts, &ts->exes[i]);
			at += sizeof(*event) + event->len;
		}
	}
}

/* From here on the kernel side takes in who executes them. */
static int exes_attach(struct targets *ts, struct why *why)
{
	struct probed_file *file;
	uint32_t i;
	int err = 0;

	for (i = 0; !err && i < ts->exe_cnt; i++) {
		err = kernel_exe_name_add(ts->kernel, ts->exes[i].folder, ts->exes[i].name);
		if (err)
			why_set(why, err, "cannot tell the kernel about %s: %s", ts->exes[i].path,
				strerror(-err));
	}
	for (i = 1; !err && (file = probed_files_number(ts->target_options.files, i)); i++) {
		if (!file->exe)
			continue;
		err = probed_file_tell(file, ts->kernel, why);
		if (!err)
			err = probed_file_attach(file, ts->kernel, why);
	}
	return err;
}

static bool exe_is_wanted(const struct targets *ts, pid_t pid)
{
	const struct probed_file *file;
	struct stat st, own;
	char path[32];
	uint32_t i;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	if (stat(path, &st))
		return false;
	for (i = 1; (file = probed_files_number(ts->target_options.files, i)); i++)
		if (file->exe && fstat(elf_image_fd(file->image), &own) == 0 &&
		    st.st_dev == own.st_dev && st.st_ino == own.st_ino)
			return true;
	return false;
}

/* One that runs it already, and its children from now on. -ESRCH: it does not, any more. */
static int exe_take(struct targets *ts, pid_t pid, struct why *why)
{
	struct target_options options = ts->target_options;
	struct member *m;
	int err;

	options.flags |= PROCESS_EXE;
	err = member_add(ts, &options, pid, why);
	if (err)
		return err;
	m = member_of_pid(ts, pid);
	m->by_exe = true;
	err = target_scan(m->target, why);
	return err < 0 ? err : member_attach(ts, m, why);
}

/* Those that run already. One that ends meanwhile is none. */
static int exes_look(struct targets *ts, unsigned int *found, struct why *why)
{
	struct dirent *entry;
	struct why one;
	DIR *proc = opendir("/proc");
	int err = 0;

	if (!proc)
		return why_set(why, -errno, "/proc: %s", strerror(errno));
	while (!err && (entry = readdir(proc))) {
		const pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (pid <= 0 || pid == getpid() || member_of_pid(ts, pid) || !exe_is_wanted(ts, pid))
			continue;
		one.text[0] = '\0';
		err = exe_take(ts, pid, &one);
		++*found;
		if (err == -ESRCH)
			err = 0;
		else if (err)
			why_set(why, err, "%s", one.text);
	}
	closedir(proc);
	return err;
}

/* What one had forked before it was found may be at a place that had been looked at. */
static int exes_find(struct targets *ts, struct why *why)
{
	unsigned int found, rounds = EXE_ROUNDS;
	int err;

	do {
		found = 0;
		err = exes_look(ts, &found, why);
	} while (!err && found && --rounds);
	return err;
}

/* --- Time, ingest */

int targets_clock(const struct targets *ts, enum qslog_clock *clock, struct why *why)
{
	enum qslog_clock one;
	unsigned int i;
	pid_t first = 0;
	int err;

	for (i = 0; i < ts->cnt; i++) {
		err = target_clock(ts->members[i].target, &one, why);
		if (err == -EAGAIN)
			continue;
		if (err)
			return err;
		if (first && one != *clock)
			return why_set(why, -ENOTSUP, "process %d takes its times from %s and "
				       "process %d does not, but a file has one clock: trace them "
				       "apart, or start them with QSLOG_CLOCK=tsc or "
				       "QSLOG_CLOCK=monotonic", (int)first,
				       *clock == QSLOG_CLOCK_MONOTONIC ? "CLOCK_MONOTONIC" :
									"the CPU's counter",
				       (int)target_pid(ts->members[i].target));
		first = target_pid(ts->members[i].target);
		*clock = one;
	}
	return first ? 0 : -EAGAIN;
}

void targets_counter_set(struct targets *ts, uint32_t kind)
{
	ts->counter_kind = kind;
}

void targets_ingest(struct targets *ts, struct writer *writer, struct ingest *ingest)
{
	ts->writer = writer;
	ts->ingest = ingest;
}

static void window_set(struct targets *ts)
{
	unsigned int i;

	for (i = 0; i < ts->cnt; i++)
		target_window(ts->members[i].target, ts->since, ts->until);
}

/* --- Attach */

static int member_by_number(const void *a, const void *b)
{
	const uint32_t x = target_number(((const struct member *)a)->target);
	const uint32_t y = target_number(((const struct member *)b)->target);

	return x < y ? -1 : x > y;
}

static int processes_attach(struct targets *ts, struct why *why)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < ts->cnt && !err; i++)
		if (!ts->members[i].ended)
			err = member_attach(ts, &ts->members[i], why);
	if (ts->cnt)
		qsort(ts->members, ts->cnt, sizeof(*ts->members), member_by_number);
	return err;
}

static int processes_listen(struct targets *ts, struct why *why)
{
	struct probed_file *file;
	unsigned int i;
	int err = 0;

	for (i = 1; !err && (file = probed_files_number(ts->target_options.files, i)); i++)
		if (file->exe)
			err = probed_file_listen(file, ts->kernel, ts->options.level, why);
	for (i = 0; i < ts->cnt && !err; i++)
		if (!ts->members[i].ended)
			err = target_listen(ts->members[i].target, ts->kernel, ts->options.level, why);
	return err;
}

int targets_attach(struct targets *ts, struct kernel *k, struct why *why)
{
	int err;

	ts->kernel = k;
	descriptors_raise();
	err = ts->options.exes ? exes_attach(ts, why) : 0;
	if (!err && ts->options.exes)
		err = exes_find(ts, why);
	if (!err)
		err = processes_attach(ts, why);
	if (err)
		return err;
	err = kernel_pull(k, true);
	if (err)
		return why_set(why, err, "cannot read the arenas of the process: %s",
			       strerror(-err));
	if (ts->options.snapshot) /* what they have now is told from later by its time */
		targets_forget(ts);
	err = processes_listen(ts, why);
	ts->since = ts->counter_kind ? counter_read(ts->counter_kind) : 0;
	window_set(ts);
	return err;
}

/* Libraries that were loaded since: their sites listen from now on. 0; -errno: it could not be looked at
 * or attached to. */
static int rescan(struct targets *ts, struct member *m)
{
	struct target_counts before, after;
	struct target *t = m->target;
	struct why why = {""};
	int err;

	m->look = false;
	m->scan_ms = ts->now_ms + RESCAN_MS;
	target_counts_get(t, &before);
	err = target_scan(t, &why);
	if (err < 0 && err != -ESRCH && !m->failed_said) {
		m->failed_said = true;
		say(ts, "%s", why.text);
	}
	if (err < 0)
		return err; /* it ends: that is seen elsewhere too */
	target_counts_get(t, &after);
	if (after.files == before.files)
		return 0;
	err = target_attach(t, ts->kernel, &why);
	if (!err)
		err = target_listen(t, ts->kernel, ts->options.level, &why);
	if (err && err != -ESRCH)
		say(ts, "process %d: a library was loaded, but: %s", (int)target_pid(t), why.text);
	return err;
}

/* --- Those that come */

static struct member *member_born(struct targets *ts, const struct target_birth *birth)
{
	struct member *m = NULL;
	struct target *t;
	int err = target_born(&t, &ts->target_options, birth);

	if (!err) {
		m = member_insert(ts, t);
		if (!m)
			target_close(t);
	}
	if (!m)
		say(ts, "process %d cannot be traced: out of memory", (int)birth->pid);
	return m;
}

/* Its beginning was not said, or is not known. Its records are counted in any case. */
static struct member *member_stranger(struct targets *ts, const struct chunk *chunk)
{
	const struct process_event nothing = {.comm = "?"};
	const struct target_birth birth = {
		.pid = (pid_t)chunk->tgid, .number = chunk->process, .event = &nothing,
	};
	struct proc_entry entry;
	struct target *t;

	if (kernel_process_get(ts->kernel, birth.pid, &entry) && entry.process == birth.number &&
	    target_open(&t, &ts->target_options, birth.pid, NULL) == 0) {
		struct member *m;

		target_number_set(t, birth.number);
		(void)target_scan(t, NULL);
		m = member_insert(ts, t);
		if (m)
			return m;
		target_close(t);
	}
	return member_born(ts, &birth);
}

static bool member_ingest(struct targets *ts, struct member *m)
{
	return target_ingest_process(m->target) ||
	       (ts->ingest && target_ingest(m->target, ts->writer, ts->ingest) == 0);
}

struct target *targets_numbered(struct targets *ts, uint32_t number)
{
	struct member *m = member_find(ts, number);

	return m && member_ingest(ts, m) ? m->target : NULL;
}

struct target *targets_of(struct targets *ts, const struct chunk *chunk)
{
	struct member *m = member_find(ts, chunk->process);

	if (!m && chunk->process > ts->reaped)
		m = member_stranger(ts, chunk);
	return m && member_ingest(ts, m) ? m->target : NULL;
}

/* A program that is not known: before it goes on, if it is held. */
static void program_look(struct targets *ts, struct member *m, const struct process_event *event,
			 dev_t dev)
{
	struct target_counts counts;
	struct proc_entry entry;
	unsigned int i;

	/* It may have come to have the name of one that is known. */
	for (i = 0; event->flags & PROCESS_EXE && i < ts->exe_cnt; i++)
		exe_replaced(ts, &ts->exes[i]);
	if (!(event->flags & PROCESS_HELD) &&
	    probed_files_plain(ts->target_options.files, dev, event->key.file.inode, event->key.bytes))
		return;
	if (rescan(ts, m) < 0)
		return;
	m->scan_ms = ts->now_ms + 1; /* its libraries are yet to come */
	target_counts_get(m->target, &counts);
	/* Of one that could not be looked at, as a whole and as the program that it was, nothing is
	 * known: the next that executes it is held again. */
	if (!counts.files && !counts.unseen && target_lives(m->target) &&
	    kernel_process_get(ts->kernel, target_pid(m->target), &entry) &&
	    entry.process == target_number(m->target) && !entry.executes && !entry.harvested)
		kernel_plain_add(ts->kernel, &event->key);
}

static void process_let_go(struct targets *ts, pid_t pid, const struct target *t)
{
	/* It is still stopped, so it is the one that has this id. */
	const int own = t ? target_pidfd(t) : -1,
		  fd = own >= 0 ? own : (int)syscall(SYS_pidfd_open, pid, 0);
	const int err = fd < 0 ? errno :
			syscall(SYS_pidfd_send_signal, fd, SIGCONT, NULL, 0) ? errno : 0;

	if (fd >= 0 && fd != own)
		close(fd);
	if (err && err != ESRCH)
		say(ts, "process %d was stopped to be looked at, and cannot be let go: %s; kill -CONT "
		    "%d helps", (int)pid, strerror(err), (int)pid);
}

static void begun(struct targets *ts, const struct chunk *chunk, const struct process_event *event,
		  const struct process_program *program)
{
	const dev_t dev = makedev((unsigned int)(event->key.file.dev >> 20),
				  (unsigned int)(event->key.file.dev & 0xfffff));
	struct member *parent = event->what == PROCESS_FORKED ? member_find(ts, event->parent) : NULL;
	const struct target_birth birth = {
		.pid = (pid_t)chunk->tgid,
		.number = chunk->process,
		.event = event,
		.parent = parent ? parent->target : NULL,
		.program = program,
		.file = event->what == PROCESS_EXECUTED ?
				probed_files_number(ts->target_options.files, event->file) : NULL,
	};
	struct member *m = member_find(ts, chunk->process);

	if (event->what == PROCESS_EXECUTED && event->parent == ts->replaced)
		ts->replaced = 0;
	if (m && birth.file) /* it was looked at, perhaps before it had its program */
		(void)target_program(m->target, birth.file, event->start);
	if (!m)
		m = member_born(ts, &birth);
	if (m && !birth.file && !birth.parent)
		program_look(ts, m, event, dev);
	if (event->flags & PROCESS_HELD)
		process_let_go(ts, birth.pid, m ? m->target : NULL);
}

void targets_let_go(struct targets *ts, const struct chunk *chunk, const struct process_event *event)
{
	if (event->what == PROCESS_EXECUTED && event->flags & PROCESS_HELD)
		process_let_go(ts, (pid_t)chunk->tgid, NULL);
}

void targets_event(struct targets *ts, const struct chunk *chunk, const struct process_event *event,
		   const struct process_program *program)
{
	struct member *m = member_find(ts, chunk->process);
	struct probed_file *file;

	switch (event->what) {
	case PROCESS_FORKED:
	case PROCESS_EXECUTED:
		begun(ts, chunk, event, program);
		break;
	case PROCESS_ENDED:
	case PROCESS_REPLACED:
		if (!m)
			break;
		member_ended(ts, m, event->what == PROCESS_REPLACED);
		if (event->what == PROCESS_REPLACED && ts->options.follow) {
			ts->replaced = chunk->process;
			ts->replaced_ms = ts->now_ms;
		}
		m->drained = true;
		m->losses.no_arena = event->no_arena;
		m->losses.untracked = event->untracked;
		m->losses.unreadable = event->unreadable;
		break;
	case PROCESS_MAPPED:
		file = probed_files_find(ts->target_options.files,
					 makedev((unsigned int)(event->key.file.dev >> 20),
						 (unsigned int)(event->key.file.dev & 0xfffff)),
					 event->key.file.inode);
		if (m && file)
			target_mapped(m->target, file, event->start);
		else if (m)
			m->look = ts->looks = true;
		break;
	}
}

/* --- Ends */

int targets_fd(const struct targets *ts)
{
	return ts->epoll;
}

void targets_ended_look(struct targets *ts)
{
	struct epoll_event events[ENDS_AT_ONCE];
	int i, n = epoll_wait(ts->epoll, events, ENDS_AT_ONCE, 0);

	for (i = 0; i < n; i++) {
		struct member *m;

		if (!events[i].data.u32) {
			names_look(ts);
			continue;
		}
		m = member_of_pid(ts, (pid_t)events[i].data.u32);
		if (m && !target_lives(m->target))
			member_ended(ts, m, false);
	}
}

/* Some news found no room: what there is now has to be looked at. */
static void events_lost_look(struct targets *ts)
{
	uint64_t troubles[TROUBLE_COUNT];
	struct proc_entry entry;
	unsigned int i;

	kernel_troubles(ts->kernel, troubles);
	if (troubles[TROUBLE_EVENT_LOST] == ts->events_lost)
		return;
	ts->events_lost = troubles[TROUBLE_EVENT_LOST];
	for (i = 0; i < ts->cnt; i++) {
		struct member *m = &ts->members[i];

		m->look = ts->looks = true;
		if (!m->ended &&
		    (!kernel_process_get(ts->kernel, target_pid(m->target), &entry) ||
		     entry.process != target_number(m->target) || entry.harvested))
			member_ended(ts, m, false);
	}
}

void targets_follow(struct targets *ts, bool drained)
{
	const uint32_t gone = kernel_attached_gone(ts->kernel);
	struct why why = {""};
	unsigned int i;

	for (i = 0; drained && ts->ended && i < ts->cnt; i++)
		ts->members[i].drained = ts->members[i].ended;
	for (i = 0; gone != ts->attached_gone && i < ts->cnt; i++) {
		struct member *m = &ts->members[i];

		if (!m->ended &&
		    target_follow(m->target, ts->kernel, ts->options.level, &why) && why.text[0])
			say(ts, "process %d: the main thread has ended: %s",
			    (int)target_pid(m->target), why.text);
	}
	ts->attached_gone = gone;
	for (i = 0; ts->looks && i < ts->cnt; i++)
		if (ts->members[i].look && !ts->members[i].ended)
			rescan(ts, &ts->members[i]);
	ts->looks = false;
}

/* Nothing has come of an arena that was there before: what it held then is not the tracer's. */
static void arena_begin(struct target *t, uint32_t runtime, const struct arena_id *id,
			const struct arena_state *state)
{
	const struct ingest_batch batch = {
		.registry = runtime,
		.arena = id->arena,
		.tid = state->tid,
		.key = state->key,
		.from = state->base,
		.resync = true,
		.baseline = true,
		.from_records = state->base_records,
		.base_records = state->base_records,
		.dropped = state->dropped,
	};

	(void)ingest_batch(target_ingest_process(t), &batch);
}

struct settling {
	struct targets *ts;
	bool all; /* not only those that have ended */
};

static bool arena_settle(void *arg, const struct arena_id *id, const struct arena_state *state)
{
	const struct settling *settling = arg;
	struct targets *ts = settling->ts;
	struct member *m = member_find(ts, id->process);
	uint32_t runtime;

	if (!m)
		return id->process <= ts->reaped;
	if (!settling->all && !m->drained)
		return false;
	if (ts->options.snapshot && !state->sent) /* nothing of it could be taken: not in the dump */
		return true;
	if (!member_ingest(ts, m))
		return false;
	runtime = target_runtime(m->target, id->registry, id->instance);
	if (state->flags & CHUNK_BASELINE && state->sent == state->base)
		arena_begin(m->target, runtime, id, state);
	(void)ingest_arena_end(target_ingest_process(m->target), runtime, id->arena, state->tid,
			       state->key, state->head, state->records, state->dropped,
			       state->failed == 1 + TROUBLE_READ_FAILED ? LOSS_UNREADABLE :
									  LOSS_RING_FULL);
	return true;
}

/* Records that are in no arena's state; `ended`: nobody will look at the arenas again. */
static void losses_count(struct targets *ts, struct member *m, bool ended)
{
	struct target *t = m->target;
	const struct kernel_process_losses *losses = &m->losses;
	struct ingest_process *process;

	(void)kernel_process_losses(ts->kernel, target_pid(t), target_number(t), &m->losses);
	if (!losses->no_arena && (!ended || (!losses->untracked && !losses->unreadable)))
		return;
	if (!member_ingest(ts, m))
		return;
	process = target_ingest_process(t);
	(void)ingest_process_loss(process, LOSS_NO_ARENA, losses->no_arena);
	if (!ended)
		return;
	(void)ingest_process_loss(process, LOSS_UNREADABLE, losses->untracked + losses->unreadable);
	if (losses->unreadable)
		say(ts, "process %d: memory of %u arenas could not be read at the end: at least one "
		    "record of each is missing, nobody knows how many", (int)target_pid(t),
		    losses->unreadable);
}

static void member_settle(struct targets *ts, struct member *m)
{
	losses_count(ts, m, true);
	if (target_ingest_process(m->target))
		(void)ingest_settle(target_ingest_process(m->target));
}

static void reap(struct targets *ts)
{
	struct settling settling = {ts, false};
	unsigned int i, kept = 0;

	(void)kernel_arenas(ts->kernel, arena_settle, &settling);
	for (i = 0; i < ts->cnt; i++) {
		struct member *m = &ts->members[i];

		if (!m->drained) {
			ts->members[kept++] = *m;
			continue;
		}
		ts->ended--;
		member_settle(ts, m);
		kernel_process_remove(ts->kernel, target_pid(m->target), target_number(m->target));
		if (target_number(m->target) > ts->reaped)
			ts->reaped = target_number(m->target);
		target_close(m->target);
	}
	ts->cnt = kept;
}

static bool drained_any(const struct targets *ts)
{
	unsigned int i;

	for (i = 0; i < ts->cnt; i++)
		if (ts->members[i].drained)
			return true;
	return false;
}

void targets_tick(struct targets *ts, uint64_t now_ms)
{
	unsigned int i, scans = 0;

	ts->now_ms = now_ms;
	events_lost_look(ts);
	for (i = 0; i < ts->cnt; i++) {
		struct member *m = &ts->members[i];

		if (m->ended)
			continue;
		if (target_pidfd(m->target) >= 0)
			target_sites_fetch(m->target);
		losses_count(ts, m, false);
		if (ts->counter_kind && target_ingest_process(m->target))
			(void)ingest_until(target_ingest_process(m->target),
					   counter_read(ts->counter_kind));
		if (now_ms >= m->scan_ms && scans++ < RESCANS_AT_ONCE)
			rescan(ts, m);
	}
	if (ts->ended && (targets_cnt(ts) || targets_expect_more(ts)) && drained_any(ts))
		reap(ts); /* the last ones go with the session */
}

/* --- Finish */

void targets_mute(struct targets *ts)
{
	unsigned int i;

	if (ts->counter_kind)
		ts->until = counter_read(ts->counter_kind);
	window_set(ts);
	probed_files_mute(ts->target_options.files);
	for (i = 0; i < ts->cnt; i++)
		target_mute(ts->members[i].target);
}

static bool arena_forget(void *arg, const struct arena_id *id, const struct arena_state *state)
{
	(void)arg;
	(void)id;
	(void)state;
	return true;
}

void targets_window_end(struct targets *ts)
{
	if (ts->counter_kind)
		ts->until = counter_read(ts->counter_kind);
	window_set(ts);
}

void targets_forget(struct targets *ts)
{
	unsigned int i;

	for (i = 0; i < ts->cnt; i++)
		target_ingest_end(ts->members[i].target);
	targets_ingest(ts, NULL, NULL);
	ts->until = UINT64_MAX;
	window_set(ts);
	(void)kernel_arenas(ts->kernel, arena_forget, NULL);
}

void targets_settle(struct targets *ts)
{
	struct settling settling = {ts, true};
	unsigned int i;

	if (!ts->kernel)
		return;
	for (i = 0; i < ts->cnt; i++)
		if (!ts->members[i].ended && target_pidfd(ts->members[i].target) >= 0)
			target_sites_fetch(ts->members[i].target);
	(void)kernel_arenas(ts->kernel, arena_settle, &settling);
	for (i = 0; i < ts->cnt; i++)
		member_settle(ts, &ts->members[i]);
}
