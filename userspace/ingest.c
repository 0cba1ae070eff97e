/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ingest.c - batches to records. A stream is what is known of one arena: the position up to which
 * its bytes were taken, how many records that was, the beginning of a record whose rest has not
 * come yet (carry), and the thread that uses the arena now.
 */
#include "ingest.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "hash_index.h"
#include "ingest_losses.h"
#include "sampling.h"
#include "span_hold.h"
#include "writer_state.h"

#define SITES_MAX 1048576u   /* of one process: a hostile one may invent addresses */
#define STREAMS_MAX 4194304u /* arenas of one process */
/* Records of one process that it can say are lost: a claim must not make the sum over processes
 * overflow, and hide what others have lost. */
#define LOST_MAX (UINT64_C(1) << 48)
#define CARRIES_BYTES_MAX (64u << 20) /* of one process: beginnings of records whose rest has not come */

struct ingest {
	struct writer *writer;
	struct ingest_filter filter;
	bool thins; /* records that are wanted may be left out all the same */
	struct ingest_filtered filtered;
	struct ingest_losses losses;
};

struct stream {
	uint64_t id;	  /* registry << 32 | arena */
	uint64_t key;
	uint64_t pos;	  /* taken up to here */
	uint64_t records; /* up to here */
	uint64_t dropped;
	uint64_t owed;	  /* records lost that there was no memory to count */
	uint64_t gap;	  /* records that were overwritten between the last one and the next one */
	bool late;	  /* the last one came behind the window */
	uint32_t thread;  /* the writer's index */
	uint32_t tid;
	bool unwanted;	  /* of a thread that the filter leaves out */
	struct sampling sampling;
	struct span_hold *hold; /* with a minimum of duration */
	bool broken;	  /* bytes that are no records: nothing is understood before a resync */
	uint32_t ahead;	  /* bytes before pos that come after the record being taken */
	uint32_t carry_bytes, carry_cap;
	uint64_t *carry;
};

enum site_use { SITE_WANTED, SITE_FILTERED, SITE_UNKNOWN };

struct site {
	uint64_t address;
	uint32_t format;
	uint32_t seen; /* for the sampling */
	enum site_use use;
	uint8_t kind;  /* enum qslog_site_kind */
};

struct ingest_process {
	struct ingest *in;
	uint32_t process;
	uint64_t since, until;
	uint64_t lost_by[LOSS_CAUSE_COUNT]; /* of threads that are not known */
	struct ingest_source source;
	char *tag;
	struct stream *streams;
	uint32_t stream_cnt, stream_cap;
	struct hash_index stream_index;
	uint64_t carries_bytes;
	uint64_t lost; /* of all causes, at most LOST_MAX */
	struct site *sites;
	uint32_t site_cnt, site_cap;
	struct hash_index site_index;
	uint32_t last_site;   /* most records follow one of the same site */
	uint32_t last_stream;
};

int ingest_open(struct ingest **out, struct writer *writer, const struct ingest_filter *filter)
{
	struct ingest *in = calloc(1, sizeof(*in));

	if (!in)
		return -ENOMEM;
	in->writer = writer;
	if (filter)
		in->filter = *filter;
	in->thins = in->filter.sample > 1 || in->filter.duration_min_ns;
	*out = in;
	return 0;
}

void ingest_close(struct ingest *in)
{
	if (!in)
		return;
	ingest_losses_fini(&in->losses);
	free(in);
}

int ingest_process_add(struct ingest *in, uint32_t process, const char *tag, uint64_t since,
		       const struct ingest_source *source, struct ingest_process **out)
{
	struct ingest_process *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->tag = strdup(tag);
	if (!p->tag) {
		free(p);
		return -ENOMEM;
	}
	p->in = in;
	p->process = process;
	p->since = since;
	p->until = UINT64_MAX;
	p->source = *source;
	*out = p;
	return 0;
}

void ingest_process_window(struct ingest_process *p, uint64_t since, uint64_t until)
{
	p->since = since;
	p->until = until;
}

uint32_t ingest_process_index(const struct ingest_process *p)
{
	return p->process;
}

void ingest_process_remove(struct ingest_process *p)
{
	uint32_t i;

	if (!p)
		return;
	for (i = 0; i < p->stream_cnt; i++) {
		free(p->streams[i].carry);
		span_hold_free(p->streams[i].hold);
	}
	free(p->streams);
	free(p->sites);
	hash_index_fini(&p->stream_index);
	hash_index_fini(&p->site_index);
	free(p->tag);
	free(p);
}

/* Room for one more element of an array that doubles. */
static int array_grow(void **array, uint32_t cnt, uint32_t *cap, uint32_t max, size_t element)
{
	uint32_t bigger = *cap ? *cap * 2 : 64;
	void *grown;

	if (cnt < *cap)
		return 0;
	if (cnt >= max)
		return -ENOSPC;
	grown = realloc(*array, (size_t)bigger * element);
	if (!grown)
		return -ENOMEM;
	*array = grown;
	*cap = bigger;
	return 0;
}

/* --- Sites */

static bool tag_matches(const struct ingest_filter *filter, const char *tag)
{
	const char *const *pattern = filter->tags;

	if (!pattern)
		return true;
	for (; *pattern; pattern++)
		if (fnmatch(*pattern, tag, 0) == 0)
			return true;
	return false;
}

static int site_resolve(struct ingest_process *p, uint64_t address, struct site *site)
{
	struct writer_format format;
	int id;

	memset(&format, 0, sizeof(format));
	memset(site, 0, sizeof(*site));
	site->address = address;
	if (p->source.site(p->source.arg, address, &format)) {
		site->use = SITE_UNKNOWN;
		return 0;
	}
	/* Spans that are wanted need their line, whatever its tag. */
	if (format.level < p->in->filter.level_min ||
	    (format.kind != QSLOG_SITE_CONTEXT &&
	     !tag_matches(&p->in->filter, format.tag ? format.tag : p->tag))) {
		site->use = SITE_FILTERED;
		return 0;
	}
	id = writer_format_add(p->in->writer, p->process, &format);
	if (id < 0)
		return id;
	site->format = (uint32_t)id;
	site->kind = format.kind;
	site->use = SITE_WANTED;
	return 0;
}

/* Index of a site that has been asked for, or HASH_INDEX_NONE. */
static uint32_t site_known(const struct ingest_process *p, uint64_t address)
{
	struct hash_index_walk walk;
	uint32_t index = hash_index_first(&p->site_index, address, &walk);

	while (index != HASH_INDEX_NONE && p->sites[index].address != address)
		index = hash_index_next(&p->site_index, &walk);
	return index;
}

static int site_find(struct ingest_process *p, uint64_t address, struct site **out)
{
	uint32_t index;
	int err;

	if (p->site_cnt && p->sites[p->last_site].address == address) {
		*out = &p->sites[p->last_site];
		return 0;
	}
	index = site_known(p, address);
	if (index != HASH_INDEX_NONE)
		goto found;
	err = array_grow((void **)&p->sites, p->site_cnt, &p->site_cap, SITES_MAX, sizeof(*p->sites));
	if (err)
		return err;
	index = p->site_cnt;
	err = site_resolve(p, address, &p->sites[index]);
	if (!err)
		err = hash_index_add(&p->site_index, address, index);
	if (err)
		return err;
	p->site_cnt++;
found:
	p->last_site = index;
	*out = &p->sites[index];
	return 0;
}

void ingest_sites_forget(struct ingest_process *p)
{
	p->site_cnt = p->last_site = 0;
	hash_index_fini(&p->site_index);
}

/* A definition: word 2 is the address of the site, and what follows lies there. */
static int site_define(struct ingest_process *p, const uint64_t *record, uint32_t bytes)
{
	const uint32_t before = QSLOG_RECORD_HEADER_BYTES + 8;
	uint32_t index;

	if (!p->source.define || bytes <= before)
		return 0;
	p->source.define(p->source.arg, record[2], record + before / 8, bytes - before);
	index = site_known(p, record[2]);
	if (index == HASH_INDEX_NONE || p->sites[index].use != SITE_UNKNOWN)
		return 0;
	return site_resolve(p, record[2], &p->sites[index]);
}

/* --- Streams */

static int stream_find(struct ingest_process *p, uint32_t registry, uint32_t arena, bool create,
		       struct stream **out)
{
	uint64_t id = (uint64_t)registry << 32 | arena;
	struct hash_index_walk walk;
	uint32_t index;
	int err;

	if (p->stream_cnt && p->streams[p->last_stream].id == id) {
		*out = &p->streams[p->last_stream];
		return 0;
	}
	for (index = hash_index_first(&p->stream_index, id, &walk); index != HASH_INDEX_NONE;
	     index = hash_index_next(&p->stream_index, &walk)) {
		if (p->streams[index].id == id)
			goto found;
	}
	if (!create)
		return -ENOENT;
	err = array_grow((void **)&p->streams, p->stream_cnt, &p->stream_cap, STREAMS_MAX,
			 sizeof(*p->streams));
	if (err)
		return err;
	index = p->stream_cnt;
	memset(&p->streams[index], 0, sizeof(p->streams[index]));
	p->streams[index].id = id;
	err = hash_index_add(&p->stream_index, id, index);
	if (err)
		return err;
	p->stream_cnt++;
found:
	p->last_stream = index;
	*out = &p->streams[index];
	return 0;
}

static int stream_settle(struct ingest_process *p, struct stream *s)
{
	int err = s->owed ? writer_loss(p->in->writer, s->thread, LOSS_UNWRITTEN, s->owed) : 0;

	if (!err && s->owed)
		ingest_losses_add(&p->in->losses, s->thread, p->source.pid, s->tid, LOSS_UNWRITTEN, s->owed);
	if (!err)
		s->owed = 0;
	return err;
}

static int stream_loss(struct ingest_process *p, struct stream *s, enum loss_cause cause,
		       uint64_t count);

static int record_write(struct ingest_process *p, struct stream *s, uint32_t format,
			const uint64_t *record, uint32_t bytes)
{
	int err = writer_record(p->in->writer, s->thread, format, record, bytes);

	if (err == -EBADMSG)
		return stream_loss(p, s, LOSS_DAMAGED, 1);
	return err == -ENOMEM ? stream_loss(p, s, LOSS_UNWRITTEN, 1) : err;
}

/* --- Sampling, and short spans. What is left out is no loss. */

struct emit {
	struct ingest_process *process;
	struct stream *stream;
};

static int record_emit(void *arg, uint32_t format, const uint64_t *record, uint32_t bytes)
{
	const struct emit *emit = arg;

	return record_write(emit->process, emit->stream, format, record, bytes);
}

/* The minimum in ticks of the records' counter, which is known once there are records. */
static uint64_t duration_min(const struct ingest *in)
{
	struct writer_state state;

	writer_state_get(in->writer, &state);
	return (uint64_t)((__uint128_t)in->filter.duration_min_ns * state.scale.hz / 1000000000u);
}

static int record_thin(struct ingest_process *p, struct stream *s, struct site *site,
		       const uint64_t *record, uint32_t bytes)
{
	struct emit emit = {p, s};
	struct ingest *in = p->in;

	if (in->filter.sample > 1 &&
	    !sampling_takes(&s->sampling, in->filter.sample, (enum qslog_site_kind)site->kind, record,
			    bytes, &site->seen)) {
		in->filtered.sample++;
		return 0;
	}
	if (in->filter.duration_min_ns && !s->hold)
		s->hold = span_hold_new(duration_min(in));
	/* One that leaves a span has the counter of the one that entered it. */
	if (!s->hold || (site->kind == QSLOG_SITE_SPAN && record[0] & QSLOG_RECORD_EXIT &&
			 bytes < (record[0] & QSLOG_RECORD_SPAN_ID ? 4u : 3u) * 8))
		return record_write(p, s, site->format, record, bytes);
	return span_hold_record(s->hold, site->kind == QSLOG_SITE_SPAN, site->format, record, bytes,
				record_emit, &emit, &in->filtered.duration);
}

/* Records are missing from here on, or none come: what is held back goes. */
static int stream_thin_end(struct ingest_process *p, struct stream *s)
{
	struct emit emit = {p, s};

	memset(&s->sampling, 0, sizeof(s->sampling));
	return s->hold ? span_hold_until(s->hold, UINT64_MAX, record_emit, &emit) : 0;
}

int ingest_until(struct ingest_process *p, uint64_t now)
{
	struct emit emit = {p, NULL};
	int first = 0, err;
	uint32_t i;

	for (i = 0; p->in->filter.duration_min_ns && i < p->stream_cnt; i++) {
		emit.stream = &p->streams[i];
		err = emit.stream->hold ? span_hold_until(emit.stream->hold, now, record_emit, &emit) :
					  0;
		first = first ? first : err;
	}
	return first;
}

void ingest_filtered_get(const struct ingest *in, struct ingest_filtered *out)
{
	*out = in->filtered;
}

static bool tid_wanted(const struct ingest_filter *filter, uint32_t tid)
{
	const uint32_t *wanted = filter->tids;

	while (wanted && *wanted && *wanted != tid)
		wanted++;
	return !wanted || *wanted;
}

static int stream_thread(struct ingest_process *p, struct stream *s, uint32_t tid, uint64_t key)
{
	char name[32] = "";
	int thread;

	if (!key) /* of nobody: what a stream says before it has a thread */
		return -EBADMSG;
	if (s->key == key)
		return 0;
	thread = stream_settle(p, s);
	if (!thread)
		thread = stream_thin_end(p, s);
	if (thread < 0)
		return thread;
	s->tid = tid;
	s->unwanted = !tid_wanted(&p->in->filter, tid);
	if (s->unwanted) {
		s->key = key;
		return 0;
	}
	p->source.thread_name(p->source.arg, tid, name);
	thread = writer_thread_add(p->in->writer, p->process, tid, key, name);
	if (thread < 0)
		return thread;
	s->thread = (uint32_t)thread;
	s->key = key;
	return 0;
}

static uint64_t loss_bounded(const struct ingest_process *p, uint64_t count)
{
	return count < LOST_MAX - p->lost ? count : LOST_MAX - p->lost;
}

static int stream_loss(struct ingest_process *p, struct stream *s, enum loss_cause cause,
		       uint64_t count)
{
	int err;

	if (s->unwanted)
		return 0;
	count = loss_bounded(p, count);
	p->lost += count;
	err = count ? writer_loss(p->in->writer, s->thread, cause, count) : 0;
	if (err == -ENOMEM) {
		s->owed += count;
		err = 0;
	} else if (count) {
		ingest_losses_add(&p->in->losses, s->thread, p->source.pid, s->tid, cause, count);
	}
	return err;
}

/* What is missing in front of a record of the window, or behind one. */
static int stream_gap(struct ingest_process *p, struct stream *s)
{
	const uint64_t lost = s->late ? 0 : s->gap;
	int err = lost ? stream_thin_end(p, s) : 0, loss_err;

	s->gap = 0;
	loss_err = stream_loss(p, s, LOSS_RING_FULL, lost);
	return err ? err : loss_err;
}

static int stream_dropped(struct ingest_process *p, struct stream *s, uint64_t dropped)
{
	uint64_t more = dropped - s->dropped;

	if (dropped <= s->dropped)
		return 0;
	s->dropped = dropped;
	return stream_loss(p, s, LOSS_ARENA_FULL, more);
}

/* --- Records */

static uint32_t record_bytes(const uint64_t *record)
{
	return (uint32_t)(record[0] >> QSLOG_RECORD_SIZE_SHIFT & QSLOG_RECORD_SIZE_MASK) * 8;
}

static bool record_bytes_valid(uint32_t bytes)
{
	return bytes >= QSLOG_RECORD_HEADER_BYTES && bytes <= QSLOG_RECORD_BYTES_MAX;
}

static int record_take(struct ingest_process *p, struct stream *s, const uint64_t *record,
		       uint32_t bytes)
{
	struct site *site;
	int err;

	if (!(record[0] & QSLOG_RECORD_SITE_MASK))
		return site_define(p, record, bytes);
	s->records++;
	if (record[1] < p->since) {
		s->gap = 0; /* neither was it the tracer's */
		return 0;
	}
	if (s->gap) {
		err = stream_gap(p, s);
		if (err)
			return err;
	}
	s->late = record[1] > p->until;
	if (s->late)
		return 0;
	if (s->unwanted) {
		p->in->filtered.tid++;
		return 0;
	}
	err = site_find(p, record[0] & QSLOG_RECORD_SITE_MASK, &site);
	if (err)
		return stream_loss(p, s, LOSS_UNKNOWN_SITE, 1);
	switch (site->use) {
	case SITE_FILTERED:
		p->in->filtered.site++;
		return 0;
	case SITE_UNKNOWN:
		return stream_loss(p, s, LOSS_UNKNOWN_SITE, 1);
	case SITE_WANTED:
		break;
	}
	if (__builtin_expect(p->in->thins, 0))
		return record_thin(p, s, site, record, bytes);
	return record_write(p, s, site->format, record, bytes);
}

/* What is missing is counted once a resync or the end says how many records it was. */
static void stream_break(struct stream *s)
{
	s->broken = true;
	s->carry_bytes = 0;
}

/* Records that lie whole in [data, data + bytes); returns how many bytes that was. */
static uint32_t records_take(struct ingest_process *p, struct stream *s, const uint64_t *data,
			     uint32_t bytes, int *err)
{
	uint32_t at = 0;

	while (bytes - at >= 8) {
		const uint64_t *record = data + at / 8;
		uint32_t size = record_bytes(record);

		if (!record_bytes_valid(size)) {
			stream_break(s);
			return bytes;
		}
		if (size > bytes - at)
			break;
		s->ahead = bytes - at - size;
		*err = record_take(p, s, record, size);
		at += size;
	}
	return at;
}

/* The first word, which is there at the first call, says how much room the record takes. */
static int carry_append(struct ingest_process *p, struct stream *s, const void *data, uint32_t bytes)
{
	uint32_t size = record_bytes(s->carry_bytes ? s->carry : data);

	if (size > s->carry_cap) {
		void *grown;

		if (p->carries_bytes + (size - s->carry_cap) > CARRIES_BYTES_MAX)
			return -ENOSPC;
		grown = realloc(s->carry, size);
		if (!grown)
			return -ENOMEM;
		p->carries_bytes += size - s->carry_cap;
		s->carry = grown;
		s->carry_cap = size;
	}
	memcpy((char *)s->carry + s->carry_bytes, data, bytes);
	s->carry_bytes += bytes;
	return 0;
}

/* Completes the record whose beginning is in the carry; returns how many bytes of data it took. */
static uint32_t carry_complete(struct ingest_process *p, struct stream *s, const void *data,
			       uint32_t bytes, int *err)
{
	/* At least the first word is there, and it was found valid. */
	uint32_t size = record_bytes(s->carry), missing = size - s->carry_bytes;
	uint32_t take = missing < bytes ? missing : bytes;

	*err = carry_append(p, s, data, take);
	if (!*err && take == missing) {
		s->carry_bytes = 0;
		*err = record_take(p, s, s->carry, size);
	}
	return take;
}

/* Moves the stream to where the batch begins; *skip: bytes of the batch that came before. */
static void stream_align(struct stream *s, const struct ingest_batch *b, uint32_t *skip)
{
	*skip = 0;
	if (b->from < s->pos) {
		*skip = s->pos - b->from < b->bytes ? (uint32_t)(s->pos - b->from) : b->bytes;
		return;
	}
	if (b->resync) {
		if (b->baseline) {
			s->dropped = b->dropped;
			if (b->base_records > s->records)
				s->records = b->base_records;
		}
		if (b->from_records > s->records)
			s->gap += b->from_records - s->records;
		s->records = b->from_records;
		s->pos = b->from;
		s->carry_bytes = 0;
		s->broken = false;
		return;
	}
	if (b->from > s->pos) {
		/* Not the way a transport behaves; the records are counted at the end. */
		stream_break(s);
		s->pos = b->from;
	}
}

int ingest_batch(struct ingest_process *p, const struct ingest_batch *b)
{
	const uint64_t *data = b->data;
	uint32_t bytes = b->bytes, took;
	struct stream *s;
	int err, first = 0;

	if ((b->from | b->bytes) & 7)
		return -EBADMSG;
	err = stream_find(p, b->registry, b->arena, true, &s);
	if (err)
		return err;
	err = stream_thread(p, s, b->tid, b->key);
	if (err)
		return err;
	stream_align(s, b, &took);
	data += took / 8;
	bytes -= took;
	s->pos += bytes;
	s->ahead = bytes;
	if (bytes && !s->broken && s->carry_bytes) {
		took = carry_complete(p, s, data, bytes, &err);
		data += took / 8;
		bytes -= took;
		first = first ? first : err;
	}
	if (bytes && !s->broken) {
		took = records_take(p, s, data, bytes, &err);
		first = first ? first : err;
		if (bytes > took) {
			err = carry_append(p, s, data + took / 8, bytes - took);
			if (err)
				stream_break(s);
			first = first ? first : err;
		}
	}
	s->ahead = 0;
	err = stream_dropped(p, s, b->dropped);
	(void)stream_settle(p, s); /* else the next time, or ingest_settle() */
	return first ? first : err;
}

int ingest_settle(struct ingest_process *p)
{
	uint32_t i;
	int err = 0;

	for (i = 0; i < p->stream_cnt && !err; i++) {
		err = stream_thin_end(p, &p->streams[i]);
		if (!err)
			err = stream_settle(p, &p->streams[i]);
	}
	return err;
}

int ingest_position_get(struct ingest_process *p, uint32_t registry, uint32_t arena,
			struct ingest_position *out)
{
	struct stream *s;
	int err = stream_find(p, registry, arena, false, &s);

	if (err)
		return err;
	out->pos = s->pos - s->ahead - s->carry_bytes;
	out->dropped = s->dropped;
	out->thread = s->thread;
	return 0;
}

int ingest_arena_end(struct ingest_process *p, uint32_t registry, uint32_t arena, uint32_t tid,
		     uint64_t key, uint64_t head, uint64_t records, uint64_t dropped,
		     enum loss_cause cause)
{
	struct stream *s;
	int err, dropped_err;

	err = stream_find(p, registry, arena, true, &s);
	if (err)
		return err;
	if (!s->key) { /* no batch of it has come */
		err = stream_thread(p, s, tid, key);
		if (err)
			return err;
	}
	err = stream_gap(p, s);
	if (!err)
		err = stream_thin_end(p, s);
	if ((head > s->pos || s->broken) && records > s->records) {
		if (!s->late || s->broken)
			err = stream_loss(p, s, s->broken ? LOSS_DAMAGED : cause, records - s->records);
		s->records = records;
		s->pos = head;
		s->broken = false;
		s->carry_bytes = 0;
	}
	dropped_err = stream_dropped(p, s, dropped);
	return err ? err : dropped_err;
}

int ingest_process_loss(struct ingest_process *p, enum loss_cause cause, uint64_t lost)
{
	uint64_t *before = &p->lost_by[cause], more;
	int thread, err;

	if (lost <= *before)
		return 0;
	more = loss_bounded(p, lost - *before);
	if (!more)
		return 0;
	thread = writer_thread_add(p->in->writer, p->process, 0, UINT64_MAX, "");
	if (thread < 0)
		return thread;
	err = writer_loss(p->in->writer, (uint32_t)thread, cause, more);
	if (err)
		return err;
	p->lost += more;
	ingest_losses_add(&p->in->losses, (uint32_t)thread, p->source.pid, 0, cause, more);
	*before = lost;
	return 0;
}

const struct ingest_losses *ingest_losses_get(const struct ingest *in)
{
	return &in->losses;
}
