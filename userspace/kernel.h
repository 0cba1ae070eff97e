/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel.h - the kernel half of the tracer: the BPF object (bpf/qslog.bpf.c), its maps, its ring
 * buffer, and attaching it to probes. Errors are negative errnos; `why` says them in words.
 */
#ifndef QSLOG_KERNEL_H
#define QSLOG_KERNEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "chunk.h"
#include "kernel_ends.h"
#include "probe_attach.h"
#include "why.h"

struct kernel;

struct kernel_options {
	uint32_t ring_bytes; /* power of two, multiple of the page size */
	bool libbpf_messages;
	bool snapshot;	/* batches are not taken: what arenas hold is, by kernel_pull() or at the end */
	/* With `snapshot`: sites that ask for a dump when they record, see kernel_chosen(). */
	struct chosen_site chosen[CHOSEN_MAX];
	bool immediate; /* each record is copied, and the tracer woken, as it is written */
	const char *ends; /* as on older kernels, whatever this one is: see kernel_ends.h; or NULL */
	bool exes;   /* kernel_file_add() will have files with FILE_EXE */
	bool follow; /* processes will be PROCESS_FOLLOW */
	/* Called by kernel_consume() for each chunk, whose data_bytes fit its memory. */
	void (*chunk)(void *arg, const struct chunk *chunk);
	/* Likewise for what happens to processes: chunk->process is which. `program`: NULL but for
	 * PROCESS_EXECUTED. */
	void (*event)(void *arg, const struct chunk *chunk, const struct process_event *event,
		      const struct process_program *program);
	void *arg;
};

/* Are the process ids of this process's PID namespace those that the kernel sees? */
bool kernel_pids_seen(void);
/* Is it allowed, and has the kernel what it takes? 0, -EPERM, -ENOTSUP. Needs no open. */
int kernel_check(struct why *why);

/* Loads the programs, attaches those of the process's end, and proves with a hit of a probe of
 * our own that arguments arrive. */
int kernel_open(struct kernel **out, const struct kernel_options *options, struct why *why);
void kernel_close(struct kernel *k); /* NULL is accepted */

/* How many instructions the verifier went through to load them, branches and loops as often as it
 * did: that is what a start takes. 0: the kernel does not say. */
uint64_t kernel_verified(const struct kernel *k);
/* Which programs are hooked to the ends of processes. */
const struct kernel_ends *kernel_ends_get(const struct kernel *k);
/* Attaches to a probe of our own in one way or the other (see probe_attach.h), and hits it. */
int kernel_attach_try(struct kernel *k, bool multi, struct why *why);

/* Readable when chunks wait. */
int kernel_epoll_fd(const struct kernel *k);
/* About to wait for kernel_epoll_fd(), or done with it: while nobody waits nobody is woken. */
void kernel_sleeps(struct kernel *k, bool sleeps);
/* Hands waiting chunks to the callback until there are none or `budget` bytes of data are reached;
 * returns how many bytes that was. */
int64_t kernel_consume(struct kernel *k, int64_t budget);

/* How full the part of the ring buffer is into which batches go, in percent: what has been consumed,
 * the chunk at hand excepted, is not there any more. */
unsigned int kernel_backlog(const struct kernel *k);

/* From now on batches of the process are taken, and pulled from its registries. `attached`: the
 * thread through which its probes are attached, 0: it does not matter. `process` is its number: 0
 * asks for one; else the entry is changed. -EEXIST: the kernel side had it before, under *process. */
int kernel_process_add(struct kernel *k, pid_t tgid, pid_t attached, uint32_t flags,
		       uint32_t *process, struct why *why);
/* A registry of it, of the file with the number `file`. Nothing is done where it is known. -E2BIG. */
int kernel_process_registry(struct kernel *k, uint32_t process, uint64_t address, uint32_t file);
/* What the kernel side knows of a process; false: nothing. */
bool kernel_process_get(const struct kernel *k, pid_t tgid, struct proc_entry *out);
/* Its arenas stay: see kernel_arenas(). */
void kernel_process_remove(struct kernel *k, pid_t tgid, uint32_t process);

/* The BPF map of the traced processes, by tgid; its values are struct proc_entry. */
int kernel_procs_fd(const struct kernel *k);

/* Processes that map the file have a registry in it, or are to be traced. */
int kernel_file_add(struct kernel *k, dev_t dev, uint64_t inode, const struct file_entry *entry);
/* Whatever program has the name (in the folder with the inode), who executes it is to be traced. */
int kernel_exe_name_add(struct kernel *k, uint64_t folder, const char *name);
/* The program of an event PROCESS_EXECUTED has no probes. */
void kernel_plain_add(struct kernel *k, const struct plain_key *key);

/* Whoever executes a program that is not known is stopped (PROCESS_HELD), for the caller to let go;
 * off before. Some of whom it is said may come after it was switched off. */
void kernel_hold(struct kernel *k, bool on);

/* How many times the arenas of a process were taken since it ends, executes another program or unloads a
 * library, or a chosen site has recorded. */
uint32_t kernel_harvests(const struct kernel *k);

/* Chosen sites that have recorded. CHOSEN_TAKEN: what the process held then waits in the ring buffer. */
void kernel_chosen(const struct kernel *k, struct chosen_hit *out);
/* Before a dump, whatever it is for: sites that record from now on are counted. False: what one asks for
 * is just being taken. */
bool kernel_chosen_hold(struct kernel *k);
/* It has been written. */
void kernel_chosen_arm(struct kernel *k);

/* How many threads through which probes were attached have ended. */
uint32_t kernel_attached_gone(const struct kernel *k);

/* Copies what the traced processes have not pushed; `baseline`: notes where their arenas are. */
int kernel_pull(struct kernel *k, bool baseline);

/* qslog:batch and qslog:module, and qslog:level_X from `level_min` on, of the file with the number
 * `file` in a process; as long as the thread lives through which it is done (see probe_link_stays).
 * The links are the caller's, before the kernel is closed; a runtime without qslog:module: NULL. */
int kernel_attach_batch(struct kernel *k, const struct probe_target *target, uint32_t file,
			struct probe_link **link, struct why *why);
int kernel_attach_module(struct kernel *k, const struct probe_target *target, uint32_t file,
			 struct probe_link **link, struct why *why);
int kernel_attach_levels(struct kernel *k, const struct probe_target *target, uint8_t level_min,
			 struct probe_link **link, struct why *why);

/* Every arena that the kernel side knows; those for which the function says true are forgotten. */
int kernel_arenas(struct kernel *k,
		  bool (*arena)(void *arg, const struct arena_id *id, const struct arena_state *state),
		  void *arg);

/* Records of the process that no arena's state accounts for, since the tracer came. */
struct kernel_process_losses {
	uint64_t no_arena;   /* of threads that could get no arena */
	uint64_t untracked;  /* in arenas that there was no room to keep a state of, at the last look */
	uint32_t unreadable; /* arenas that could not be read at the last look */
};
/* 0; -ENOENT: there is no such process (any more). */
int kernel_process_losses(struct kernel *k, pid_t tgid, uint32_t process,
			  struct kernel_process_losses *out);

/* Sums over all CPUs, indexed by enum trouble. */
void kernel_troubles(const struct kernel *k, uint64_t counts[TROUBLE_COUNT]);
const char *trouble_name(enum trouble trouble);

#endif
