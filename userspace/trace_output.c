/* SPDX-License-Identifier: BSD-2-Clause */
/* trace_output.c - see trace_output.h. What is there already and was not closed has lost its writer: it
 * is recovered first, and keeps its records under another name. */
#include "trace_output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recover.h"

static void say(struct trace_output *t, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void say(struct trace_output *t, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	t->say(t->arg, format, args);
	va_end(args);
}

static void event_say(void *arg, enum writer_event event, int err, uint64_t records, const char *name)
{
	struct trace_output *t = arg;
	const unsigned long long n = records;

	switch (event) {
	case WRITER_FAILING:
		say(t, "%s: %s; records wait in memory as long as there is room for them, what cannot be kept "
		    "is counted as lost; the program is not affected", t->path, strerror(-err));
		break;
	case WRITER_WORKING:
		if (n)
			say(t, "%s: is written again; %llu records could not be kept", t->path, n);
		else
			say(t, "%s: is written again; nothing was lost", t->path);
		break;
	case WRITER_ROTATED:
		if (!t->quiet)
			say(t, "%s goes on in a new file, the one before is %s", t->path,
			    *name ? name : "where it was moved to");
		break;
	case WRITER_ROTATE_FAILED:
		say(t, "%s: cannot be rotated, and goes on: %s", t->path, strerror(-err));
		break;
	case WRITER_DELETED:
		say(t, "%s was deleted, %llu records with it; %s%s", t->path, n,
		    err ? "a new one cannot be made: " : "a new one is begun",
		    err ? strerror(-err) : "");
		break;
	case WRITER_TRUNCATED:
		say(t, "%s was truncated, %llu records are gone; it goes on behind what is left", t->path, n);
		break;
	}
}

static bool rotates(const struct writer_rotation *r)
{
	return r->bytes || r->seconds || r->records || r->max_files;
}

int trace_output_open(struct writer **out, struct trace_output *t, const struct options *options,
		      uint32_t counter_kind, struct why *why)
{
	const char *uid = getenv("SUDO_UID"), *gid = getenv("SUDO_GID");
	struct writer_options o = {
		.path = t->path, .tail = true, .counter_kind = counter_kind,
		.sync = options->sync, .rotation = options->rotation,
		.compress = options->compress, .tick_ns = options->tick_ns, .sched = options->sched,
		.event = event_say, .event_arg = t,
		.backlog = t->backlog, .backlog_arg = t->arg, .seal_thread = true,
	};
	int err;

	if (t->owner) {
		o.own_by_user = true;
		o.owner_uid = t->owner->uid;
		o.owner_gid = t->owner->gid;
	} else if (geteuid() == 0 && uid && gid) {
		o.own_by_user = true;
		o.owner_uid = (uid_t)strtoul(uid, NULL, 10);
		o.owner_gid = (gid_t)strtoul(gid, NULL, 10);
	}
	if (t->dump) {
		memset(&o.rotation, 0, sizeof(o.rotation));
		o.tail = false;
		o.seal_thread = false;
		o.backlog = NULL; /* nothing comes meanwhile */
		o.scale = t->scale;
		o.pairs = t->pairs;
		o.pair_cnt = t->pair_cnt;
	}
	err = t->dump ? 0 : recover_predecessor(t->path, rotates(&options->rotation));
	if (!err)
		err = writer_open(out, &o);
	if (err == -EBUSY)
		return why_set(why, err, "the output %s is being written by another process", t->path);
	return err ? why_set(why, err, "cannot create the output %s: %s", t->path, strerror(-err)) : 0;
}
