// SPDX-License-Identifier: BSD-2-Clause
/* e2e.c - see e2e.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "e2e.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "file_set.h"
#include "reader.h"
#include "recover.h"

#define PATHS_MAX 1024u

static char folder[PATH_MAX - 256];

int e2e_setup(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	snprintf(folder, sizeof(folder), "%s/qslog-e2e.XXXXXX", tmp && *tmp ? tmp : "/tmp");
	return mkdtemp(folder) ? 0 : -1;
}

/* Programs that were killed in in-process mode leave this. */
static int left_remove(void *arg, const struct recover_left *left)
{
	(void)arg;
	if (!left->lives && strncmp(left->output, folder, strlen(folder)) == 0)
		(void)unlink(left->memory);
	return 0;
}

int e2e_teardown(void **state)
{
	const int listed = recover_list(left_remove, NULL);
	DIR *dir = opendir(folder);
	struct dirent *entry;

	(void)state;
	if (!dir)
		return -1;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	return listed ? listed : rmdir(folder);
}

/* Strings stay valid, and the same one is the same again: a loop over thousands of rounds asks for few. */
static const char *path_join(const char *base, const char *name)
{
	static char *paths[PATHS_MAX];
	char path[PATH_MAX];
	unsigned int i;

	snprintf(path, sizeof(path), "%s/%s", base, name);
	for (i = 0; i < PATHS_MAX && paths[i]; i++)
		if (strcmp(paths[i], path) == 0)
			return paths[i];
	assert_true(i < PATHS_MAX);
	paths[i] = strdup(path);
	assert_non_null(paths[i]);
	return paths[i];
}

const char *e2e_path(const char *name)
{
	return path_join(folder, name);
}

const char *e2e_build(const char *name)
{
	const char *build = getenv("BUILD");

	return path_join(build && *build ? build : "build", name);
}

void e2e_tracefs(void)
{
	if (access("/sys/kernel/tracing/events", F_OK) == 0)
		return;
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL))
		perror("mount tracefs");
}

/* --- Processes */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void child_exec(const char *const *argv, const char *const *environment, int in, int out,
		       int err)
{
	size_t i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_DFL);
	for (i = 0; environment && environment[i]; i++)
		putenv((char *)(uintptr_t)environment[i]);
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
		_exit(126);
	execv(argv[0], (char *const *)(uintptr_t)argv);
	fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

void proc_start(struct proc *p, const char *const *argv, const char *const *environment)
{
	int in[2], out[2], err[2];

	memset(p, 0, sizeof(*p));
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	p->pid = fork();
	assert_true(p->pid >= 0);
	if (!p->pid)
		child_exec(argv, environment, in[0], out[1], err[1]);
	close(in[0]);
	close(out[1]);
	close(err[1]);
	p->in = in[1];
	p->out = out[0];
	p->err = err[0];
	p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	assert_true(p->pidfd >= 0);
}

/* What does not fit is read and dropped, so that the process never blocks on us. */
static void stream_read(int *fd, char *text, size_t size)
{
	char more[4096];
	ssize_t n = read(*fd, more, sizeof(more));
	size_t used = strlen(text);

	if (n <= 0) {
		close(*fd);
		*fd = -1;
		return;
	}
	if ((size_t)n > size - 1 - used)
		n = (ssize_t)(size - 1 - used);
	memcpy(text + used, more, (size_t)n);
	text[used + (size_t)n] = '\0';
}

/* TEST_WAIT_MS: in an emulated machine loading BPF programs takes long. */
static int64_t wait_ms(void)
{
	const char *given = getenv("TEST_WAIT_MS");

	return given ? atoll(given) : E2E_WAIT_MS;
}

/* Reads what it prints, until `text` is in *in, or, without text, its end. */
static void proc_pump(struct proc *p, const char *in, const char *text)
{
	const int64_t deadline = now_ms() + wait_ms();

	while (!text || !strstr(in, text)) {
		struct pollfd fds[3] = {
			{p->out, POLLIN, 0}, {p->err, POLLIN, 0}, {text ? -1 : p->pidfd, POLLIN, 0}};
		const int64_t left = deadline - now_ms();
		const int n = left > 0 ? poll(fds, 3, (int)left) : 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || (text && p->out < 0 && p->err < 0)) {
			kill(p->pid, SIGKILL);
			fail_msg("process %d: %s '%s'; output: %s; errors: %s", p->pid,
				 n <= 0 ? "deadline, waiting for" : "ended without",
				 text ? text : "its end", p->text_out, p->text_err);
		}
		if (fds[0].revents)
			stream_read(&p->out, p->text_out, sizeof(p->text_out));
		if (fds[1].revents)
			stream_read(&p->err, p->text_err, sizeof(p->text_err));
		if (fds[2].revents && p->out < 0 && p->err < 0)
			return;
		/* A descendant may keep the streams open. */
		if (fds[2].revents && !fds[0].revents && !fds[1].revents)
			return;
	}
}

void proc_expect_err(struct proc *p, const char *text)
{
	proc_pump(p, p->text_err, text);
}

void proc_expect_out(struct proc *p, const char *text)
{
	proc_pump(p, p->text_out, text);
}

void proc_write(struct proc *p, const char *text)
{
	assert_int_equal(write(p->in, text, strlen(text)), strlen(text));
}

void proc_kill(struct proc *p, int sig)
{
	assert_int_equal(kill(p->pid, sig), 0);
}

int proc_wait(struct proc *p)
{
	proc_pump(p, NULL, NULL);
	assert_int_equal(waitpid(p->pid, &p->status, 0), p->pid);
	close(p->pidfd);
	if (p->in >= 0)
		close(p->in);
	if (p->out >= 0)
		close(p->out);
	if (p->err >= 0)
		close(p->err);
	return WIFEXITED(p->status) ? WEXITSTATUS(p->status) : 128 + WTERMSIG(p->status);
}

void summary_of(const struct proc *p, struct summary *out)
{
	const char *line = strstr(p->text_err, "records=");
	unsigned long long records, lost;

	if (!line || sscanf(line, "records=%llu lost=%llu ", &records, &lost) != 2)
		fail_msg("no summary line in: %s", p->text_err);
	out->records = records;
	out->lost = lost;
}

/* --- What was issued, and what is in the file */

struct shared *shared_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	struct shared *s;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, sizeof(*s)), 0);
	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(s, MAP_FAILED);
	close(fd);
	return s;
}

void shared_close(struct shared *s)
{
	munmap(s, sizeof(*s));
}

uint64_t shared_total(const struct shared *s)
{
	uint64_t sum = 0;
	int i;

	for (i = 0; i < SHARED_THREADS_MAX; i++)
		sum += __atomic_load_n(&s->threads[i].issued, __ATOMIC_ACQUIRE);
	return sum;
}

static void damage(void *arg, const char *path, uint64_t offset, const char *what)
{
	(void)arg;
	print_error("%s: damaged at byte %llu: %s\n", path, (unsigned long long)offset, what);
}

struct seen {
	uint64_t delivered, lost, next;
};

static unsigned int thread_of(const struct shared *s, unsigned int threads, uint32_t tid)
{
	unsigned int i;

	for (i = 0; i < threads; i++)
		if (s->threads[i].tid == tid)
			return i;
	fail_msg("a record of thread %u, which is none of the workload's", tid);
	return 0;
}

static void record_check(const struct record *r, const struct shared *s, unsigned int threads,
			 enum expect expect, struct seen *seen)
{
	const unsigned int index = thread_of(s, threads, r->thread->tid);
	struct seen *own = &seen[index];

	if (r->kind == RECORD_LOSS) {
		own->lost += r->lost;
		return;
	}
	assert_int_equal(r->kind, RECORD_LOG);
	assert_string_equal(r->format->tag, "load");
	assert_int_equal(r->values[0].u, index);
	if (r->values[1].u < own->next)
		fail_msg("thread %u: %llu came behind %llu: a duplicate, or out of order", index,
			 (unsigned long long)r->values[1].u, (unsigned long long)own->next - 1);
	own->next = r->values[1].u + 1;
	own->delivered++;
	if (expect != EXPECT_SUM && expect != EXPECT_CRASH && expect < EXPECT_STOPPED &&
	    own->next > own->delivered + own->lost)
		fail_msg("thread %u: at sequence %llu there are %llu records and %llu lost before "
			 "it: a gap that was not counted", index,
			 (unsigned long long)r->values[1].u, (unsigned long long)own->delivered - 1,
			 (unsigned long long)own->lost);
}

static void thread_check(const struct shared_thread *t, unsigned int i, const struct seen *seen,
			 enum expect expect)
{
	const uint64_t accounted = seen->delivered + seen->lost;
	const bool ok = expect >= EXPECT_PART ? seen->delivered <= t->issued :
			expect == EXPECT_STOPPED ?
			accounted >= t->at_end && accounted >= seen->next :
			expect == EXPECT_AT_LEAST ? accounted >= t->at_end :
			expect == EXPECT_IN_FLIGHT || expect == EXPECT_CRASH ?
			accounted >= t->issued && accounted <= t->issued + 1 :
			accounted == t->issued;

	if (!ok)
		fail_msg("thread %u: issued %llu (%llu when the end began), in the file %llu, lost "
			 "%llu", i, (unsigned long long)t->issued, (unsigned long long)t->at_end,
			 (unsigned long long)seen->delivered, (unsigned long long)seen->lost);
}

static void file_check(const char *file, pid_t pid, const struct shared *s, unsigned int threads,
		       enum expect expect, struct seen *seen, struct reader_totals *totals)
{
	const struct record *record;
	struct reader *reader;
	int more;

	assert_int_equal(reader_open(&reader, file, damage, NULL), 0);
	while ((more = reader_next(reader, &record)) > 0)
		if (!pid || record->thread->process->pid == (uint32_t)pid)
			record_check(record, s, threads, expect, seen);
	assert_int_equal(more, 0);
	reader_totals_get(reader, totals);
	reader_close(reader);
	assert_true(totals->blocks_damaged <= (expect == EXPECT_TORN));
}

void counts_check_of(const char *file, pid_t pid, const struct shared *s, unsigned int threads,
		     enum expect expect, struct counted *out)
{
	struct seen seen[SHARED_THREADS_MAX];
	uint64_t records = 0, lost = 0;
	struct file_set set;
	unsigned int i;

	memset(seen, 0, sizeof(seen));
	memset(out, 0, sizeof(*out));
	assert_int_equal(file_set_list(&set, file), 0);
	for (i = 0; i < set.cnt; i++) {
		struct reader_totals totals;

		file_check(set.members[i].path, pid, s, threads, expect, seen, &totals);
		records += totals.records;
		lost += totals.lost;
	}
	file_set_fini(&set);
	for (i = 0; i < threads; i++) {
		thread_check(&s->threads[i], i, &seen[i], expect);
		out->delivered += seen[i].delivered;
		out->lost += seen[i].lost;
		out->ends += seen[i].next >= s->threads[i].issued;
	}
	if (pid)
		return;
	assert_int_equal(records, out->delivered);
	assert_int_equal(lost, out->lost);
}

void counts_check(const char *file, const struct shared *s, unsigned int threads,
		  enum expect expect, struct counted *out)
{
	counts_check_of(file, 0, s, threads, expect, out);
}
