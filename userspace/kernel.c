/* SPDX-License-Identifier: BSD-2-Clause */
/* kernel.c - loads the BPF object, drives it, and attaches it. Features are probed, not versions. */
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "chunk_batch.h"
#include "elf_notes.h"
#include "kernel_ends.h"
#include "privilege.h"
#include "qslog.skel.h"
#include "uprobe_multi.h"

/* In usdt/qslog_runtime.c, which is linked in for its probe. */
extern struct qslog_registry qslog_priv_registry __attribute__((visibility("hidden")));
void qslog_priv_batch_probe(const void *arena, uint64_t key, uint64_t from, uint64_t to,
			    uint64_t records);

/* Of the ring buffer, at most half of it: kept free for what a dying process leaves. */
#define HARVEST_ROOM_BYTES (8u << 20)

#define FIRST_PID_NAMESPACE "pid:[4026531836]" /* PROC_PID_INIT_INO of the kernel */

#define PROCESSES_MANY 32768 /* at once; with -p and commands the maps are smaller */
#define ARENAS_MANY 65536

struct kernel {
	struct qslog_bpf *skel;
	struct probe_programs programs;
	struct ring_buffer *ring;
	const char *ring_positions; /* a page with that of the consumer, and one with that of the producer */
	struct kernel_options options;
	struct bpf_link *pull, *fork;
	struct kernel_ends ends;
	int64_t consumed, budget; /* bytes of data, of the kernel_consume() under way */
};

static bool libbpf_messages;

static int libbpf_print(enum libbpf_print_level level, const char *format, va_list args)
{
	if (!libbpf_messages || level == LIBBPF_DEBUG)
		return 0;
	return vfprintf(stderr, format, args);
}

/* --- What it takes */

static bool multi_possible(void)
{
	const char *way = getenv("QSLOG_TRACE_ATTACH"); /* for tests: "perf" */

	return !(way && strcmp(way, "perf") == 0) && uprobe_multi_probe() == 0;
}

bool kernel_pids_seen(void)
{
	char link[64];
	ssize_t len = readlink("/proc/self/ns/pid", link, sizeof(link) - 1);

	link[len > 0 ? len : 0] = '\0';
	return strcmp(link, FIRST_PID_NAMESPACE) == 0;
}

int kernel_check(struct why *why)
{
	const char *missing = !privilege_bpf() ? "CAP_BPF" : !privilege_perfmon() ? "CAP_PERFMON" : NULL;

	if (missing)
		return why_set(why, -EPERM,
			       "no permission to load BPF programs and attach probes: capability %s "
			       "is missing%s; run it with sudo", missing,
			       geteuid() == 0 ? " (root, but in a restricted container?)" : "");
	if (!privilege_has(CAP_SYS_ADMIN) && !multi_possible())
		return why_set(why, -EPERM,
			       "no permission to attach probes: capability CAP_SYS_ADMIN is missing, "
			       "and only a kernel from 6.10 on does without it; run it with sudo");
	if (!kernel_pids_seen())
		return why_set(why, -ENOTSUP,
			       "this is not the first PID namespace: process ids here are not those "
			       "that the kernel sees; run it on the host, or in a container with "
			       "--pid=host");
	if (access("/sys/kernel/btf/vmlinux", R_OK))
		return why_set(why, -ENOTSUP,
			       "/sys/kernel/btf/vmlinux cannot be read (%s): the kernel needs "
			       "CONFIG_DEBUG_INFO_BTF=y (and /sys mounted); without it the program can "
			       "still write a file itself: QSLOG_FILE=app.qslog", strerror(errno));
	return 0;
}

/* --- Ring buffer */

static void event_received(struct kernel *k, const struct chunk *chunk)
{
	const struct process_event *event = (const struct process_event *)chunk->data;
	const uint32_t bytes = chunk->data_bytes;

	if (bytes == sizeof(*event) + sizeof(struct process_program))
		k->options.event(k->options.arg, chunk, event,
				 (const struct process_program *)(event + 1));
	else if (bytes == sizeof(*event))
		k->options.event(k->options.arg, chunk, event, NULL);
}

static int chunk_received(void *arg, void *data, size_t bytes)
{
	struct kernel *k = arg;
	const struct chunk *chunk = data;

	if (!chunk_whole(data, bytes))
		return 0;
	k->consumed += chunk->data_bytes;
	if (chunk->entry == CHUNK_PROCESS)
		event_received(k, chunk);
	else
		k->options.chunk(k->options.arg, chunk);
	/* A negative value makes libbpf return, with this record consumed. */
	return k->consumed >= k->budget ? -EAGAIN : 0;
}

int kernel_epoll_fd(const struct kernel *k)
{
	return ring_buffer__epoll_fd(k->ring);
}

void kernel_sleeps(struct kernel *k, bool sleeps)
{
	__atomic_store_n(&k->skel->bss->tracer_sleeps, sleeps, __ATOMIC_SEQ_CST);
}

unsigned int kernel_backlog(const struct kernel *k)
{
	uint64_t consumed, produced;

	if (!k->ring_positions)
		return 0;
	consumed = __atomic_load_n((const uint64_t *)k->ring_positions, __ATOMIC_RELAXED);
	produced = __atomic_load_n((const uint64_t *)(k->ring_positions + sysconf(_SC_PAGESIZE)),
				   __ATOMIC_RELAXED);
	return (unsigned int)((produced - consumed) * 100 / k->skel->rodata->config.room_bytes);
}

int64_t kernel_consume(struct kernel *k, int64_t budget)
{
	int n;

	k->consumed = 0;
	k->budget = budget;
	n = ring_buffer__consume(k->ring);
	return n < 0 && n != -EAGAIN ? n : k->consumed;
}

/* --- Open */

/* Who takes qslog:record, if anybody. */
static void record_choose(struct kernel *k)
{
	const bool immediate = k->options.immediate, chosen = k->options.chosen[0].line;
	const bool multi = k->programs.multi;

	k->programs.each_record = immediate || chosen;
	k->programs.record = chosen ? k->skel->progs.on_chosen : k->skel->progs.on_record;
	k->programs.record_multi = chosen ? k->skel->progs.on_chosen_multi :
					    k->skel->progs.on_record_multi;
	bpf_program__set_autoload(k->skel->progs.on_record, immediate);
	bpf_program__set_autoload(k->skel->progs.on_record_multi, immediate && multi);
	bpf_program__set_autoload(k->skel->progs.on_chosen, chosen);
	bpf_program__set_autoload(k->skel->progs.on_chosen_multi, chosen && multi);
}

/* Both ways to attach stay possible: see probe_attach.h. */
static void programs_choose(struct kernel *k)
{
	k->programs.batch = k->skel->progs.on_batch;
	k->programs.level = k->skel->progs.on_level;
	k->programs.batch_multi = k->skel->progs.on_batch_multi;
	k->programs.level_multi = k->skel->progs.on_level_multi;
	k->programs.module = k->skel->progs.on_module;
	k->programs.module_multi = k->skel->progs.on_module_multi;
	k->programs.multi = multi_possible();
	bpf_program__set_autoload(k->programs.batch_multi, k->programs.multi);
	bpf_program__set_autoload(k->programs.level_multi, k->programs.multi);
	bpf_program__set_autoload(k->programs.module_multi, k->programs.multi);
	(void)bpf_program__set_expected_attach_type(
		k->programs.module_multi, (enum bpf_attach_type)UPROBE_MULTI_ATTACH_TYPE);
	record_choose(k);
	(void)bpf_program__set_expected_attach_type(
		k->programs.batch_multi, (enum bpf_attach_type)UPROBE_MULTI_ATTACH_TYPE);
	(void)bpf_program__set_expected_attach_type(
		k->programs.level_multi, (enum bpf_attach_type)UPROBE_MULTI_ATTACH_TYPE);
	(void)bpf_program__set_expected_attach_type(
		k->programs.record_multi, (enum bpf_attach_type)UPROBE_MULTI_ATTACH_TYPE);
}

static int programs_load(struct kernel *k, const char *ends, struct why *why)
{
	int err;

	k->skel = qslog_bpf__open();
	if (!k->skel)
		return why_set(why, -errno, "cannot open the BPF object: %s", strerror(errno));
	k->skel->rodata->config.selftest_tgid = (uint32_t)getpid();
	k->skel->rodata->config.snapshot = k->options.snapshot;
	memcpy(k->skel->rodata->config.chosen, k->options.chosen, sizeof(k->options.chosen));
	k->skel->rodata->config.room_bytes =
		k->options.ring_bytes - (k->options.ring_bytes / 2 < HARVEST_ROOM_BYTES ?
					 k->options.ring_bytes / 2 : HARVEST_ROOM_BYTES);
	k->skel->rodata->config.wakeup_bytes = k->options.ring_bytes / 8;
	err = kernel_ends_choose(&k->ends, k->skel, ends, why);
	if (err)
		return err;
	k->skel->rodata->config.exes = k->options.exes;
	k->skel->rodata->config.follow = k->options.follow;
	bpf_program__set_autoload(k->skel->progs.on_fork, k->options.follow || k->options.exes);
	programs_choose(k);
	if (k->options.exes || k->options.follow) {
		(void)bpf_map__set_max_entries(k->skel->maps.procs, PROCESSES_MANY);
		(void)bpf_map__set_max_entries(k->skel->maps.registries, PROCESSES_MANY);
		(void)bpf_map__set_max_entries(k->skel->maps.arenas, ARENAS_MANY);
	}
	if (!k->options.immediate) /* of no use */
		(void)bpf_map__set_max_entries(k->skel->maps.thread_arenas, 64);
	err = bpf_map__set_max_entries(k->skel->maps.chunks, k->options.ring_bytes);
	if (err)
		return why_set(why, err, "ring buffer of %u bytes: %s", k->options.ring_bytes,
			       strerror(-err));
	err = qslog_bpf__load(k->skel);
	if (err && k->ends.way == ENDS_FUNCTIONS) { /* these may not be traceable */
		qslog_bpf__destroy(k->skel);
		return programs_load(k, "signal-only", why);
	}
	if (err)
		return why_set(why, err,
			       "the kernel refused the BPF programs: %s (kernel 5.18 or later is "
			       "needed; -vv shows what it says)", strerror(-err));
	return 0;
}

static int probes_own(struct probe_file *probes, int *fd)
{
	struct elf_notes notes;
	int err;

	*fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (*fd < 0)
		return -errno;
	err = elf_notes_read(*fd, &notes);
	if (err) {
		close(*fd);
		return err;
	}
	probe_file_init(probes, &notes);
	elf_notes_free(&notes);
	return 0;
}

static int hit_own(struct kernel *k, const struct probe_programs *programs,
		   const struct probe_target *target, struct why *why)
{
	struct probe_link *link = NULL;
	int err = probe_attach_batch(programs, target, SELFTEST_COOKIE, &link, why);
	bool counted;

	if (err)
		return err;
	__atomic_store_n(&k->skel->bss->selftest_hits, 0, __ATOMIC_RELAXED);
	qslog_priv_batch_probe(NULL, SELFTEST_KEY, 1, 2, 3);
	counted = __atomic_load_n(&qslog_priv_registry.batch_semaphore, __ATOMIC_RELAXED) != 0;
	probe_link_close(link);
	if (!counted)
		return why_set(why, -EIO, "self-test failed: the semaphore of a probe stayed 0 while it "
			       "was attached to");
	if (__atomic_load_n(&k->skel->bss->selftest_hits, __ATOMIC_RELAXED) != 1)
		return why_set(why, -EIO,
			       "self-test failed: a hit of a probe did not arrive as it should; "
			       "uprobes do not work on this kernel, or libbpf is not the one that "
			       "this program was built with");
	return 0;
}

int kernel_attach_try(struct kernel *k, bool multi, struct why *why)
{
	struct probe_programs programs = k->programs;
	struct probe_file probes;
	struct probe_target target = {.tgid = getpid(), .alive = getpid(), .probes = &probes};
	int err = multi && !programs.multi ? -ENOTSUP : probes_own(&probes, &target.fd);

	if (err)
		return why_set(why, err, err == -ENOTSUP ? "this kernel does not have it" :
			       "cannot read the probes of /proc/self/exe: %s", strerror(-err));
	programs.multi = multi;
	err = hit_own(k, &programs, &target, why);
	close(target.fd);
	return err;
}

/* A BPF object that another libbpf loads reads all arguments as 0, an attach can go astray
 * silently: so hit a probe of our own once, and see. */
static int selftest(struct kernel *k, struct why *why)
{
	if (k->programs.multi && kernel_attach_try(k, true, NULL) == 0)
		return 0;
	k->programs.multi = false;
	return kernel_attach_try(k, false, why);
}

int kernel_open(struct kernel **out, const struct kernel_options *options, struct why *why)
{
	LIBBPF_OPTS(ring_buffer_opts, ring_options);
	struct kernel *k = calloc(1, sizeof(*k));
	void *positions;
	int err;

	if (!k)
		return -ENOMEM;
	k->options = *options;
	libbpf_messages = options->libbpf_messages;
	libbpf_set_print(libbpf_print);
	err = programs_load(k, k->options.ends, why);
	if (!err)
		err = kernel_ends_attach(&k->ends, k->skel, why);
	if (!err)
		err = selftest(k, why);
	if (err)
		goto fail;
	if (bpf_program__autoload(k->skel->progs.on_fork)) {
		k->fork = bpf_program__attach(k->skel->progs.on_fork);
		err = -errno;
		if (!k->fork) {
			why_set(why, err, "cannot attach to the beginning of processes: %s",
				strerror(-err));
			goto fail;
		}
	}
	k->pull = bpf_program__attach_iter(k->skel->progs.pull_task, NULL);
	if (!k->pull) {
		err = -errno;
		why_set(why, err, "cannot attach the task iterator: %s", strerror(-err));
		goto fail;
	}
	k->ring = ring_buffer__new(bpf_map__fd(k->skel->maps.chunks), chunk_received, k,
				   &ring_options);
	if (!k->ring) {
		err = -errno;
		why_set(why, err, "cannot map the ring buffer: %s", strerror(-err));
		goto fail;
	}
	positions = mmap(NULL, 2 * (size_t)sysconf(_SC_PAGESIZE), PROT_READ, MAP_SHARED,
			 bpf_map__fd(k->skel->maps.chunks), 0);
	k->ring_positions = positions == MAP_FAILED ? NULL : positions; /* without, nothing is hasty */
	*out = k;
	return 0;
fail:
	kernel_close(k);
	return err;
}

void kernel_close(struct kernel *k)
{
	if (!k)
		return;
	ring_buffer__free(k->ring);
	if (k->ring_positions)
		munmap((void *)(uintptr_t)k->ring_positions, 2 * (size_t)sysconf(_SC_PAGESIZE));
	bpf_link__destroy(k->pull);
	bpf_link__destroy(k->fork);
	kernel_ends_close(&k->ends);
	qslog_bpf__destroy(k->skel);
	free(k);
}

uint64_t kernel_verified(const struct kernel *k)
{
	struct bpf_program *program;
	uint64_t sum = 0;

	bpf_object__for_each_program(program, k->skel->obj) {
		struct bpf_prog_info info = {0};
		uint32_t bytes = sizeof(info);

		if (bpf_program__autoload(program) &&
		    bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &bytes) == 0)
			sum += info.verified_insns;
	}
	return sum;
}

const struct kernel_ends *kernel_ends_get(const struct kernel *k)
{
	return &k->ends;
}

/* --- Processes */

uint32_t kernel_harvests(const struct kernel *k)
{
	return __atomic_load_n(&k->skel->bss->harvests, __ATOMIC_ACQUIRE);
}

void kernel_chosen(const struct kernel *k, struct chosen_hit *out)
{
	const struct chosen_hit *hit = &k->skel->bss->chosen_hit;

	out->state = __atomic_load_n(&hit->state, __ATOMIC_ACQUIRE);
	out->site = hit->site;
	out->tgid = hit->tgid;
	out->process = hit->process;
	out->seen = __atomic_load_n(&hit->seen, __ATOMIC_RELAXED);
	out->missed = __atomic_load_n(&hit->missed, __ATOMIC_RELAXED);
}

bool kernel_chosen_hold(struct kernel *k)
{
	uint32_t state = CHOSEN_ARMED;

	return __atomic_compare_exchange_n(&k->skel->bss->chosen_hit.state, &state, CHOSEN_HELD, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) ||
	       state != CHOSEN_TAKING;
}

void kernel_chosen_arm(struct kernel *k)
{
	__atomic_store_n(&k->skel->bss->chosen_hit.state, CHOSEN_ARMED, __ATOMIC_SEQ_CST);
}

uint32_t kernel_attached_gone(const struct kernel *k)
{
	return __atomic_load_n(&k->skel->bss->attached_gone, __ATOMIC_ACQUIRE);
}

int kernel_process_add(struct kernel *k, pid_t tgid, pid_t attached, uint32_t flags,
		       uint32_t *process, struct why *why)
{
	const struct process_registries none = {0};
	struct proc_entry entry = {.process = *process, .flags = flags, .attached = (uint32_t)attached};
	uint32_t key = (uint32_t)tgid;
	int err;

	if (entry.process) { /* only `attached` changes */
		struct proc_entry known;

		err = bpf_map__lookup_elem(k->skel->maps.procs, &key, sizeof(key), &known,
					   sizeof(known), 0);
		if (!err) {
			known.attached = (uint32_t)attached;
			err = bpf_map__update_elem(k->skel->maps.procs, &key, sizeof(key), &known,
						   sizeof(known), BPF_EXIST);
		}
		return err;
	}
	entry.process = __atomic_add_fetch(&k->skel->bss->process_number, 1, __ATOMIC_RELAXED);
	err = bpf_map__update_elem(k->skel->maps.registries, &entry.process, sizeof(entry.process),
				   &none, sizeof(none), BPF_ANY);
	if (!err)
		err = bpf_map__update_elem(k->skel->maps.procs, &key, sizeof(key), &entry,
					   sizeof(entry), BPF_NOEXIST);
	if (err)
		(void)bpf_map__delete_elem(k->skel->maps.registries, &entry.process,
					   sizeof(entry.process), 0);
	if (err == -EEXIST && kernel_process_get(k, tgid, &entry)) {
		*process = entry.process;
		return -EEXIST;
	}
	if (err)
		return why_set(why, err, "cannot tell the kernel about process %d: %s%s", (int)tgid,
			       strerror(-err), err == -E2BIG ? " (too many processes at once)" : "");
	*process = entry.process;
	return 0;
}

int kernel_process_registry(struct kernel *k, uint32_t process, uint64_t address, uint32_t file)
{
	struct process_registries known;
	int i, err;

	err = bpf_map__lookup_elem(k->skel->maps.registries, &process, sizeof(process), &known,
				   sizeof(known), 0);
	if (err)
		return err;
	for (i = 0; i < PROCESS_REGISTRIES_MAX; i++)
		if (known.slot[i].address == address)
			return 0;
	for (i = 0; i < PROCESS_REGISTRIES_MAX && known.slot[i].address; i++)
		;
	if (i == PROCESS_REGISTRIES_MAX)
		return -E2BIG;
	known.slot[i].address = address;
	known.slot[i].file = file;
	return bpf_map__update_elem(k->skel->maps.registries, &process, sizeof(process), &known,
				    sizeof(known), BPF_EXIST);
}

bool kernel_process_get(const struct kernel *k, pid_t tgid, struct proc_entry *out)
{
	uint32_t key = (uint32_t)tgid;

	return bpf_map__lookup_elem(k->skel->maps.procs, &key, sizeof(key), out, sizeof(*out), 0) == 0;
}

void kernel_process_remove(struct kernel *k, pid_t tgid, uint32_t process)
{
	uint32_t key = (uint32_t)tgid;
	struct proc_entry entry;

	/* Another process may have this id by now: then its entry has taken the place. */
	if (kernel_process_get(k, tgid, &entry) && entry.process == process)
		(void)bpf_map__delete_elem(k->skel->maps.procs, &key, sizeof(key), 0);
	(void)bpf_map__delete_elem(k->skel->maps.registries, &process, sizeof(process), 0);
}

static struct file_key file_key(dev_t dev, uint64_t inode)
{
	const struct file_key key = {.inode = inode, .dev = (uint64_t)major(dev) << 20 | minor(dev)};

	return key;
}

int kernel_procs_fd(const struct kernel *k)
{
	return bpf_map__fd(k->skel->maps.procs);
}

int kernel_file_add(struct kernel *k, dev_t dev, uint64_t inode, const struct file_entry *entry)
{
	const struct file_key key = file_key(dev, inode);

	return bpf_map__update_elem(k->skel->maps.files, &key, sizeof(key), entry, sizeof(*entry),
				    BPF_ANY);
}

int kernel_exe_name_add(struct kernel *k, uint64_t folder, const char *name)
{
	struct exe_name key = {.folder = folder};
	const uint32_t nothing = 0;

	memcpy(key.name, name, strnlen(name, sizeof(key.name) - 1));
	return bpf_map__update_elem(k->skel->maps.exe_names, &key, sizeof(key), &nothing,
				    sizeof(nothing), BPF_ANY);
}

void kernel_plain_add(struct kernel *k, const struct plain_key *key)
{
	const uint32_t nothing = 0;

	(void)bpf_map__update_elem(k->skel->maps.plain_files, key, sizeof(*key), &nothing,
				   sizeof(nothing), BPF_ANY);
}

void kernel_hold(struct kernel *k, bool on)
{
	__atomic_store_n(&k->skel->bss->holds, on, __ATOMIC_SEQ_CST);
}

int kernel_arenas(struct kernel *k,
		  bool (*arena)(void *arg, const struct arena_id *id, const struct arena_state *state),
		  void *arg)
{
	struct arena_state state;
	struct arena_id id, next;
	int err = bpf_map__get_next_key(k->skel->maps.arenas, NULL, &next, sizeof(next));

	while (!err) {
		id = next; /* one that is deleted has no next one */
		err = bpf_map__get_next_key(k->skel->maps.arenas, &id, &next, sizeof(next));
		if (bpf_map__lookup_elem(k->skel->maps.arenas, &id, sizeof(id), &state,
					 sizeof(state), 0) == 0 && arena(arg, &id, &state))
			(void)bpf_map__delete_elem(k->skel->maps.arenas, &id, sizeof(id), 0);
	}
	return err == -ENOENT ? 0 : err;
}

int kernel_process_losses(struct kernel *k, pid_t tgid, uint32_t process,
			  struct kernel_process_losses *out)
{
	struct proc_entry entry;

	if (!kernel_process_get(k, tgid, &entry) || entry.process != process)
		return -ENOENT;
	out->no_arena = entry.no_arena - entry.no_arena_base;
	out->untracked = entry.untracked;
	out->unreadable = entry.unreadable;
	return 0;
}

int kernel_pull(struct kernel *k, bool baseline)
{
	char nothing[64];
	ssize_t n;
	int fd, err = 0;

	k->skel->bss->pull_number++;
	k->skel->bss->pull_baseline = baseline;
	fd = bpf_iter_create(bpf_link__fd(k->pull));
	if (fd < 0)
		return -errno;
	do {
		n = read(fd, nothing, sizeof(nothing));
	} while (n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN)));
	if (n < 0)
		err = -errno;
	close(fd);
	k->skel->bss->pull_baseline = 0;
	return err;
}

/* --- Attach */

int kernel_attach_batch(struct kernel *k, const struct probe_target *target, uint32_t file,
			struct probe_link **link, struct why *why)
{
	return k->options.snapshot ? 0 : probe_attach_batch(&k->programs, target, file, link, why);
}

int kernel_attach_module(struct kernel *k, const struct probe_target *target, uint32_t file,
			 struct probe_link **link, struct why *why)
{
	return probe_attach_module(&k->programs, target, file, link, why);
}

int kernel_attach_levels(struct kernel *k, const struct probe_target *target, uint8_t level_min,
			 struct probe_link **link, struct why *why)
{
	return probe_attach_levels(&k->programs, target, level_min, link, why);
}

/* --- Troubles */

void kernel_troubles(const struct kernel *k, uint64_t counts[TROUBLE_COUNT])
{
	int cpus = libbpf_num_possible_cpus(), cpu;
	uint64_t *values;
	uint32_t what;

	memset(counts, 0, TROUBLE_COUNT * sizeof(*counts));
	values = cpus > 0 ? calloc((size_t)cpus, sizeof(*values)) : NULL;
	if (!values)
		return;
	for (what = 0; what < TROUBLE_COUNT; what++) {
		if (bpf_map__lookup_elem(k->skel->maps.troubles, &what, sizeof(what), values,
					 (size_t)cpus * sizeof(*values), 0))
			continue;
		for (cpu = 0; cpu < cpus; cpu++)
			counts[what] += values[cpu];
	}
	free(values);
}

const char *trouble_name(enum trouble trouble)
{
	static const char *const names[TROUBLE_COUNT] = {
		[TROUBLE_RING_FULL] = "ring buffer full, tried again later",
		[TROUBLE_READ_FAILED] = "memory of the process not readable",
		[TROUBLE_BAD_ARENA] = "not an arena",
		[TROUBLE_STATE_FULL] = "too many arenas",
		[TROUBLE_OVERWRITTEN] = "overwritten while it was copied",
		[TROUBLE_BUSY] = "arena busy, left to the other entry",
		[TROUBLE_PROCESS_FULL] = "too many processes, or copies of the runtime in one",
		[TROUBLE_EVENT_LOST] = "ring buffer full for news of a process",
	};

	return (unsigned int)trouble < TROUBLE_COUNT ? names[trouble] : "?";
}
