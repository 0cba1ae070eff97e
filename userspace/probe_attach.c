/* SPDX-License-Identifier: BSD-2-Clause */
/* probe_attach.c - see probe_attach.h. */
#include "probe_attach.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "privilege.h"
#include "uprobe_multi.h"

#if defined(__x86_64__)
#define BATCH_ARGS "8@%rdi 8@%rsi 8@%rdx 8@%rcx 8@%r8"
#define MODULE_ARGS "8@%rdi 8@%rsi 8@%rdx -4@%ecx"
#define RECORD_ARGS "8@%rdi 8@%rsi -4@%edx -4@%ecx 8@%r8 4@%r9d"
#else
#define BATCH_ARGS "8@x0 8@x1 8@x2 8@x3 8@x4"
#define MODULE_ARGS "8@x0 8@x1 8@x2 -4@x3"
#define RECORD_ARGS "8@x0 8@x1 -4@x2 -4@x3 8@x4 4@x5"
#endif

#define FD_PATH_MAX 32

static const char level_letters[] = "vdiwef";

/* A link by libbpf has one probe each; a multi-uprobe link has all of them. */
struct probe_link {
	int fd; /* of a multi-uprobe link; -1: none */
	unsigned int cnt;
	struct bpf_link *links[QSLOG_LEVEL_COUNT];
	struct probe_link *record; /* goes with the levels */
};

/* --- Places */

static void place_add(struct probe_file *file, struct probe_places *places,
		      const struct elf_probe *probe)
{
	if (places->cnt == PROBE_PLACES_MAX) {
		file->many = true;
		return;
	}
	places->place[places->cnt].file_off = probe->file_off;
	places->place[places->cnt++].semaphore_file_off = probe->semaphore_file_off;
}

void probe_file_init(struct probe_file *file, const struct elf_notes *notes)
{
	size_t i;

	memset(file, 0, sizeof(*file));
	file->args_known = true;
	for (i = 0; i < notes->cnt; i++) {
		const struct elf_probe *probe = &notes->probes[i];
		const char *letter = NULL;

		if (strncmp(probe->name, "level_", 6) == 0 && probe->name[6] && !probe->name[7])
			letter = strchr(level_letters, probe->name[6]);
		if (letter) {
			place_add(file, &file->level[letter - level_letters], probe);
		} else if (strcmp(probe->name, "batch") == 0) {
			place_add(file, &file->batch, probe);
			if (strcmp(probe->args, BATCH_ARGS) != 0)
				file->args_known = false;
		} else if (strcmp(probe->name, "module") == 0) {
			place_add(file, &file->module, probe);
			if (strcmp(probe->args, MODULE_ARGS) != 0)
				file->args_known = false;
		} else if (strcmp(probe->name, "record") == 0) {
			place_add(file, &file->record, probe);
			if (strcmp(probe->args, RECORD_ARGS) != 0)
				file->args_known = false;
		}
	}
}

/* --- The two ways */

static int multi_attach(struct bpf_program *program, const struct probe_target *target,
			const struct probe_places *probes, unsigned int probe_cnt, uint64_t cookie,
			struct probe_link *link)
{
	uint64_t offsets[QSLOG_LEVEL_COUNT * PROBE_PLACES_MAX];
	uint64_t semaphores[QSLOG_LEVEL_COUNT * PROBE_PLACES_MAX];
	uint64_t cookies[QSLOG_LEVEL_COUNT * PROBE_PLACES_MAX];
	char path[FD_PATH_MAX];
	unsigned int i, j;
	uint32_t cnt = 0;

	for (i = 0; i < probe_cnt; i++) {
		for (j = 0; j < probes[i].cnt; j++) {
			offsets[cnt] = probes[i].place[j].file_off;
			semaphores[cnt] = probes[i].place[j].semaphore_file_off;
			cookies[cnt++] = cookie;
		}
	}
	if (!cnt)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", target->fd);
	link->fd = uprobe_multi_attach(bpf_program__fd(program), path, target->tgid, offsets,
				       semaphores, cookies, cnt);
	link->cnt = cnt;
	return link->fd < 0 ? link->fd : 0;
}

static int perf_attach(struct bpf_program *program, const struct probe_target *target,
		       const char *probe, uint64_t cookie, struct probe_link *link)
{
	LIBBPF_OPTS(bpf_usdt_opts, options, .usdt_cookie = cookie);
	char path[FD_PATH_MAX];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", target->fd);
	link->links[link->cnt] = bpf_program__attach_usdt(program,
							  target->alive ? target->alive : -1, path,
							  "qslog", probe, &options);
	if (!link->links[link->cnt])
		return -errno;
	link->cnt++;
	return 0;
}

static bool perf_allowed(void)
{
	return privilege_has(CAP_SYS_ADMIN);
}

/* The kernel finds the process's memory through its main thread, which must not have ended. */
static bool multi_possible(const struct probe_programs *programs, const struct probe_target *target)
{
	return programs->multi && target->alive == target->tgid && !target->probes->many;
}

static int link_new(struct probe_link **out)
{
	struct probe_link *link = calloc(1, sizeof(*link));

	if (!link)
		return -ENOMEM;
	link->fd = -1;
	*out = link;
	return 0;
}

void probe_link_close(struct probe_link *link)
{
	unsigned int i;

	if (!link)
		return;
	probe_link_close(link->record);
	if (link->fd >= 0)
		close(link->fd);
	for (i = 0; i < QSLOG_LEVEL_COUNT; i++)
		bpf_link__destroy(link->links[i]);
	free(link);
}

unsigned int probe_link_cnt(const struct probe_link *link)
{
	return link ? link->cnt : 0;
}

bool probe_link_stays(const struct probe_link *link)
{
	return link->fd >= 0;
}

/* --- Batches and levels */

static int refused(const struct probe_programs *programs, const struct probe_target *target,
		   const char *probe, int err, struct why *why)
{
	const char *advice = "";

	if (!perf_allowed())
		advice = target->alive != target->tgid ?
			 " (its main thread has ended: that needs CAP_SYS_ADMIN)" :
			 !programs->multi ? " (on this kernel that needs CAP_SYS_ADMIN)" :
			 target->probes->many || !target->probes->args_known ?
			 " (its probes are not as qslog.h makes them: that needs CAP_SYS_ADMIN)" : "";
	if (!target->tgid)
		return why_set(why, err, "cannot attach to probe qslog:%s in all processes that have "
			       "it: %s%s", probe, strerror(-err), advice);
	return why_set(why, err, "cannot attach to probe qslog:%s in process %d: %s%s", probe,
		       (int)target->tgid, strerror(-err), advice);
}

/* One probe, of the runtime. */
static int runtime_attach(const struct probe_programs *programs, const struct probe_target *target,
			  const char *probe, uint64_t cookie, struct probe_link **out,
			  struct why *why)
{
	const bool batch = strcmp(probe, "batch") == 0;
	const struct probe_places *places = batch ? &target->probes->batch :
						    &target->probes->module;
	struct probe_link *link;
	int err = link_new(&link);

	if (err)
		return err;
	err = -EPERM;
	if (multi_possible(programs, target) && target->probes->args_known)
		err = multi_attach(batch ? programs->batch_multi : programs->module_multi, target,
				   places, 1, cookie, link);
	if (err && perf_allowed())
		err = perf_attach(batch ? programs->batch : programs->module, target, probe, cookie,
				  link);
	if (err) {
		probe_link_close(link);
		return refused(programs, target, probe, err, why);
	}
	*out = link;
	return 0;
}

int probe_attach_batch(const struct probe_programs *programs, const struct probe_target *target,
		       uint64_t cookie, struct probe_link **out, struct why *why)
{
	return runtime_attach(programs, target, "batch", cookie, out, why);
}

int probe_attach_module(const struct probe_programs *programs, const struct probe_target *target,
			uint64_t cookie, struct probe_link **out, struct why *why)
{
	return target->probes->module.cnt ?
		       runtime_attach(programs, target, "module", cookie, out, why) : 0;
}

static int record_attach(const struct probe_programs *programs, const struct probe_target *target,
			 struct probe_link **out)
{
	struct probe_link *link;
	int err = link_new(&link);

	if (err)
		return err;
	err = -EPERM;
	if (multi_possible(programs, target) && target->probes->args_known)
		err = multi_attach(programs->record_multi, target, &target->probes->record, 1, 0, link);
	if (err && perf_allowed())
		err = perf_attach(programs->record, target, "record", 0, link);
	if (err)
		probe_link_close(link);
	else
		*out = link;
	return err;
}

static int levels_perf_attach(const struct probe_programs *programs,
			      const struct probe_target *target, uint8_t level_min, char probe[8],
			      struct probe_link *link)
{
	unsigned int level;
	int err = 0;

	link->cnt = 0;
	for (level = level_min; !err && level < QSLOG_LEVEL_COUNT; level++) {
		probe[6] = level_letters[level];
		if (target->probes->level[level].cnt)
			err = perf_attach(programs->level, target, probe, 0, link);
	}
	return err;
}

int probe_attach_levels(const struct probe_programs *programs, const struct probe_target *target,
			uint8_t level_min, struct probe_link **out, struct why *why)
{
	char probe[] = {'l', 'e', 'v', 'e', 'l', '_', level_letters[level_min], '\0'};
	struct probe_link *link;
	int err = link_new(&link);

	if (err)
		return err;
	err = -EPERM;
	if (multi_possible(programs, target))
		err = multi_attach(programs->level_multi, target, target->probes->level + level_min,
				   QSLOG_LEVEL_COUNT - level_min, 0, link);
	if (err && perf_allowed())
		err = levels_perf_attach(programs, target, level_min, probe, link);
	if (!err && programs->each_record && target->probes->record.cnt)
		err = record_attach(programs, target, &link->record);
	if (err) {
		probe_link_close(link);
		return refused(programs, target, probe, err, why);
	}
	*out = link;
	return 0;
}
