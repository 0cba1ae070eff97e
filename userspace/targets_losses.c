/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * targets_losses.c - what is missing of processes that have ended, or of all when the file does: what
 * the states of their arenas say, and what is in none.
 */
#include "targets_priv.h"

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

void member_losses_count(struct targets *ts, struct member *m, bool ended)
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
		targets_say(ts, "process %d: memory of %u arenas could not be read at the end: at "
			    "least one record of each is missing, nobody knows how many",
			    (int)target_pid(t), losses->unreadable);
}

static void member_settle(struct targets *ts, struct member *m)
{
	member_losses_count(ts, m, true);
	if (target_ingest_process(m->target))
		(void)ingest_settle(target_ingest_process(m->target));
}

static bool drained_any(const struct targets *ts)
{
	unsigned int i;

	for (i = 0; i < ts->cnt; i++)
		if (ts->members[i].drained)
			return true;
	return false;
}

void targets_reap(struct targets *ts)
{
	struct settling settling = {ts, false};
	unsigned int i, kept = 0;

	if (!drained_any(ts))
		return;
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

static bool arena_forget(void *arg, const struct arena_id *id, const struct arena_state *state)
{
	(void)arg;
	(void)id;
	(void)state;
	return true;
}

void targets_forget(struct targets *ts)
{
	unsigned int i;

	for (i = 0; i < ts->cnt; i++)
		target_ingest_end(ts->members[i].target);
	targets_ingest(ts, NULL, NULL);
	ts->until = UINT64_MAX;
	targets_window_set(ts);
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
