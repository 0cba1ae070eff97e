/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * follow.c - blocks as they are appended, and the frames of the tail before that. What of a block was
 * delivered out of the tail is passed over when the block comes: as many records, if its rows begin
 * with the same bytes (where a writer has had to give up a block, its number goes to another one).
 *
 * The tail is read before the file, as always: what is sealed in between is in the file then.
 *
 * A file that was completed says whether another one follows. That is looked for by its number in
 * the set, wherever it is by now.
 */
#define XXH_INLINE_ALL
#include "follow.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "block_in.h"
#include "file_set.h"

#define POLL_MS 1000 /* where a change is not told, as on network file systems */
#define POLL_MS_BLIND 50
#define OPEN_TRIES 16 /* while files are renamed all the time */

/* Of a file. */
struct view {
	bool open;
	struct block_in in;
	struct rows_decoder *decoder;
	struct file_identity identity;
	uint64_t at;	   /* the next block is expected here */
	uint64_t sequence; /* and has this number, or a greater one */
	bool index_continued; /* the last index block says that another file follows */
	bool closed;
};

struct follow {
	char *path;
	const char *name; /* in it */
	void (*record)(void *arg, const struct record *record);
	reader_damage_fn *damage;
	void *arg;
	int inotify; /* -1: there is none */
	struct follow_totals totals;
	bool named_only; /* what has the name now is next, whatever it is */
	struct view v;
	struct block_buffer buffer;
	/* Of the block that comes next, this was in the tail and has been delivered: */
	uint32_t told_bytes, told_cnt;
	uint64_t told_hash;
	uint32_t skip; /* while feeding: records that have been delivered already */
	uint32_t fed;
};

static void damage_note(void *arg, const char *path, uint64_t offset, const char *what)
{
	struct follow *f = arg;

	f->totals.damages++;
	if (f->damage)
		f->damage(f->arg, path, offset, what);
}

static void record_take(void *arg, const struct record *record)
{
	struct follow *f = arg;

	f->fed++;
	if (f->skip)
		f->skip--;
	else
		f->record(f->arg, record);
}

/* --- Files. */

static void file_close(struct follow *f)
{
	if (!f->v.open)
		return;
	block_in_close(&f->v.in);
	rows_decoder_close(f->v.decoder);
	f->v.decoder = NULL;
	f->v.open = false;
}

/* The header block: what it says about time is needed. */
static int header_take(struct follow *f)
{
	struct file_block_header h;
	const char *what = block_in_header(&f->v.in, 0, &h);
	int err = 0;

	if (!what)
		what = block_in_payload(&f->v.in, 0, &h, &f->buffer, &err);
	if (what || err)
		return err ? err : -EBADMSG;
	if (h.version > FILE_VERSION || h.must_understand & ~FILE_MUST_UNDERSTAND_KNOWN)
		return -EPROTONOSUPPORT;
	f->v.in.file_key = h.file_key;
	f->v.in.key_known = true;
	f->v.at = (uint64_t)h.header_bytes + h.stored_bytes;
	f->v.sequence = h.sequence + 1;
	return rows_decoder_feed(f->v.decoder, f->buffer.data, f->buffer.bytes, record_take, f);
}

/* 0; -ENOENT: it is not there (any more); -EAGAIN: it has no header yet; -errno. */
static int file_open(struct follow *f, const char *path)
{
	struct stat st;
	int err;

	memset(&f->v.in, 0, sizeof(f->v.in));
	f->v.in.damage = damage_note;
	f->v.in.damage_arg = f;
	f->v.in.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (f->v.in.fd < 0)
		return -errno;
	f->v.open = true;
	err = fstat(f->v.in.fd, &st) != 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -ESPIPE;
	f->v.in.path = strdup(path);
	if (!err && !f->v.in.path)
		err = -ENOMEM;
	if (!err)
		err = rows_decoder_open(&f->v.decoder);
	if (!err)
		err = file_identity_read(f->v.in.fd, &f->v.identity);
	if (err == -EBADMSG && !st.st_size)
		err = -EAGAIN;
	if (!err && fstat(f->v.in.fd, &st) != 0)
		err = -errno;
	f->v.in.size = (uint64_t)st.st_size;
	if (!err)
		err = header_take(f);
	if (err) {
		file_close(f);
		return err;
	}
	f->v.index_continued = f->v.closed = false;
	f->totals.files++;
	return 0;
}

/* A member of a set. -ESTALE: another file has its name by now. */
static int member_open(struct follow *f, const struct file_set_member *member)
{
	int err = file_open(f, member->path);

	if (!err && memcmp(f->v.identity.file_id, member->identity.file_id,
			   sizeof(f->v.identity.file_id)) != 0) {
		file_close(f);
		f->totals.files--;
		err = -ESTALE;
	}
	return err;
}

/* The first file: the oldest of the set. */
static int first_open(struct follow *f)
{
	struct file_set set;
	int err, tries = 0;

	do {
		err = file_set_list(&set, f->path);
		if (!err)
			err = member_open(f, &set.members[0]);
		file_set_fini(&set);
	} while ((err == -ESTALE || err == -ENOENT) && ++tries < OPEN_TRIES &&
		 access(f->path, F_OK) == 0);
	/* its writer may be about to write the header */
	return err == -EBADMSG && access(f->path, F_OK) == 0 ? file_open(f, f->path) :
	       err == -ESTALE				      ? -ENOENT :
								err;
}

static bool follows(const struct file_identity *id, const struct file_identity *before)
{
	return id->in_set && memcmp(id->set_id, before->set_id, sizeof(id->set_id)) == 0 &&
	       id->number > before->number;
}

/* The one with the next number, without a look at all the others. -ENOENT: it is not there. */
static int neighbour_open(struct follow *f, const struct file_identity *before)
{
	const size_t folder_bytes = (size_t)(f->name - f->path);
	char path[PATH_MAX + NAME_MAX + 2];
	int err, i;

	if (folder_bytes >= PATH_MAX)
		return -ENOENT;
	memcpy(path, f->path, folder_bytes);
	err = file_set_name(path + folder_bytes, NAME_MAX + 1, f->name, before->number + 1);
	for (i = 0; i < 2 && !err; i++) {
		if (file_open(f, i ? f->path : path))
			continue;
		if (follows(&f->v.identity, before) && f->v.identity.number == before->number + 1)
			return 0;
		file_close(f);
		f->totals.files--;
	}
	return -ENOENT;
}

/* The one of the set with the least number behind that. */
static int least_open(struct follow *f, const struct file_identity *before)
{
	const struct file_set_member *next = NULL;
	struct file_set set;
	unsigned int i;
	int err = file_set_list(&set, f->path);

	for (i = 0; !err && i < set.cnt; i++) {
		const struct file_set_member *m = &set.members[i];

		if (follows(&m->identity, before) &&
		    (!next || m->identity.number < next->identity.number))
			next = m;
	}
	if (!err)
		err = next ? member_open(f, next) : -ENOENT;
	if (err == -ENOENT && next) /* removed meanwhile */
		err = -ESTALE;
	if (err == -EBADMSG && !next) /* it has no header yet */
		err = -ENOENT;
	file_set_fini(&set);
	return err;
}

/* The file that comes after the present one. 0; -ENOENT: it is not there yet; -errno. */
static int next_open(struct follow *f)
{
	struct view before = f->v;
	int err, tries = 0;
	char text[96];

	f->v.open = false;
	do {
		err = neighbour_open(f, &before.identity);
		if (err)
			err = least_open(f, &before.identity);
	} while (err == -ESTALE && ++tries < OPEN_TRIES);
	if (err) {
		f->v = before;
		return err == -ESTALE ? -ENOENT : err;
	}
	if (before.identity.number && f->v.identity.number > before.identity.number + 1) {
		snprintf(text, sizeof(text), "%llu files that follow were removed before they were read",
			 (unsigned long long)(f->v.identity.number - before.identity.number - 1));
		damage_note(f, before.in.path, before.in.size, text);
	}
	block_in_close(&before.in);
	rows_decoder_close(before.decoder);
	return 0;
}

/* --- What is in a file. */

static bool told_fits(const struct follow *f, const uint8_t *rows, uint32_t bytes)
{
	return f->told_bytes <= bytes && XXH3_64bits(rows, f->told_bytes) == f->told_hash;
}

static void told_forget(struct follow *f)
{
	f->told_bytes = f->told_cnt = 0;
	f->told_hash = XXH3_64bits("", 0);
}

static int rows_feed(struct follow *f, const uint8_t *rows, uint32_t bytes, uint64_t offset,
		     uint32_t skip)
{
	int err;

	f->skip = skip;
	f->fed = 0;
	err = rows_decoder_feed(f->v.decoder, rows, bytes, record_take, f);
	f->skip = 0;
	if (err != -EBADMSG)
		return err;
	damage_note(f, f->v.in.path, offset, "the rows of a block cannot be decoded");
	return 0;
}

static int block_take(struct follow *f, const struct file_block_header *h)
{
	const struct block_ref ref = { .offset = f->v.at, .sequence = h->sequence };
	const char *what;
	bool wanted;
	char text[64];
	int err = 0;

	if (h->sequence > f->v.sequence) {
		snprintf(text, sizeof(text), "%llu blocks are missing before this one",
			 (unsigned long long)(h->sequence - f->v.sequence));
		damage_note(f, f->v.in.path, f->v.at, text);
		told_forget(f);
	}
	if (FILE_BLOCK_HAS_RECORDS(h->kind)) {
		what = block_in_load(&f->v.in, &ref, &f->buffer, NULL, NULL, &wanted, &err);
		if (what)
			damage_note(f, f->v.in.path, f->v.at, what);
		else if (!err)
			err = rows_feed(f, f->buffer.data, f->buffer.bytes, f->v.at,
					told_fits(f, f->buffer.data, f->buffer.bytes) ? f->told_cnt : 0);
		told_forget(f);
	} else if (h->kind == FILE_BLOCK_INDEX) {
		f->v.index_continued = h->may_ignore & FILE_HINT_CONTINUED;
	} else if (h->record_cnt || h->lost) {
		damage_note(f, f->v.in.path, f->v.at,
			    "a block has records of a kind that this program cannot read");
	}
	f->v.sequence = h->sequence + 1;
	f->v.at += (uint64_t)h->header_bytes + h->stored_bytes;
	return err;
}

/* Something else than a block: the next one is looked for, if there is one. */
static bool resync(struct follow *f)
{
	struct file_block_header h;
	uint64_t at;

	for (at = f->v.at + 1; at + sizeof(h) <= f->v.in.size; at++) {
		if (!block_in_header(&f->v.in, at, &h) && h.sequence >= f->v.sequence) {
			damage_note(f, f->v.in.path, f->v.at, "no block begins here");
			f->v.at = at;
			return true;
		}
	}
	return false;
}

/* Blocks that are whole by now. A trailer may be cut off again, where a recovery goes on. */
static int blocks_take(struct follow *f)
{
	struct file_block_header h;
	struct file_trailer t;
	struct stat st;
	int err = 0;

	if (fstat(f->v.in.fd, &st) != 0)
		return -errno;
	f->v.in.size = (uint64_t)st.st_size;
	f->v.closed = false;
	while (!err && f->v.at < f->v.in.size) {
		if (!block_in_header(&f->v.in, f->v.at, &h) && h.sequence >= f->v.sequence) {
			if (h.stored_bytes > f->v.in.size - f->v.at - h.header_bytes)
				return 0; /* being written */
			err = block_take(f, &h);
		} else if (index_in_trailer(&f->v.in, f->v.at, &t)) {
			f->v.closed = f->v.at + sizeof(t) == f->v.in.size;
			return 0;
		} else if (f->v.in.size - f->v.at < FILE_HEADER_BYTES_MAX || !resync(f)) {
			return 0; /* a header that is being written */
		}
	}
	return err;
}

/* `tail` was read before the blocks. */
static int tail_take(struct follow *f, const struct tail_in *tail)
{
	const bool begun = f->told_bytes != 0;
	int err;

	if (!tail->valid || tail->file_key != f->v.in.file_key || tail->sequence < f->v.sequence ||
	    !tail->bytes)
		return 0;
	if (tail->bytes <= f->told_bytes) /* nothing new; or it was being written anew */
		return 0;
	if (!told_fits(f, tail->rows, tail->bytes))
		told_forget(f);
	/* From a frame on, if the decoder has seen what is before it. */
	if (begun && f->told_bytes) {
		err = rows_feed(f, tail->rows + f->told_bytes, tail->bytes - f->told_bytes, 0, 0);
		f->told_cnt += f->fed;
	} else {
		err = rows_feed(f, tail->rows, tail->bytes, 0, 0);
		f->told_cnt = f->fed;
	}
	f->told_bytes = tail->bytes;
	f->told_hash = XXH3_64bits(tail->rows, tail->bytes);
	return err;
}

/* Has another file the name, though this one was not completed? Then its writer, or somebody, has begun
 * anew, and nothing comes here any more. */
static bool replaced(const struct follow *f)
{
	struct stat here, named;

	if (fstat(f->v.in.fd, &here) != 0 || stat(f->path, &named) != 0)
		return false;
	return !here.st_nlink || here.st_ino != named.st_ino || here.st_dev != named.st_dev;
}

static int file_step(struct follow *f)
{
	struct tail_in tail;
	int err;

	err = tail_in_read(&tail, f->path);
	if (!err)
		err = blocks_take(f);
	if (!err)
		err = tail_take(f, &tail);
	tail_in_fini(&tail);
	return err;
}

int follow_step(struct follow *f)
{
	bool was_replaced;
	int err;

	for (;;) {
		if (!f->v.open) {
			err = f->named_only ? file_open(f, f->path) : first_open(f);
			if (err == -ENOENT || err == -EAGAIN)
				return FOLLOW_MORE;
			if (err)
				return err;
		}
		f->named_only = false;
		was_replaced = replaced(f); /* before the last look at it */
		err = file_step(f);
		if (err)
			return err;
		if (f->v.closed) {
			const bool last = !f->v.index_continued;

			err = next_open(f);
			if (err == -ENOENT && last)
				return FOLLOW_END;
		} else if (was_replaced && f->v.identity.number && next_open(f) == 0) {
			err = 0; /* an older one that was not closed */
		} else if (was_replaced) {
			/* what was only in the tail may come again, in the first block of the new file */
			file_close(f);
			f->named_only = true;
			continue;
		} else {
			return FOLLOW_MORE;
		}
		if (err)
			return err == -ENOENT || err == -EAGAIN ? FOLLOW_MORE : err;
	}
}

/* --- Waiting. */

static int watch(struct follow *f)
{
	const char *slash = strrchr(f->path, '/');
	char folder[PATH_MAX];

	if (slash && (size_t)(slash - f->path) >= sizeof(folder))
		return -ENAMETOOLONG;
	if (slash == f->path)
		strcpy(folder, "/");
	else
		snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - f->path) : 1,
			 slash ? f->path : ".");
	if (access(folder, F_OK) != 0)
		return -errno;
	f->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (f->inotify >= 0 &&
	    inotify_add_watch(f->inotify, folder, IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE) < 0) {
		close(f->inotify);
		f->inotify = -1;
	}
	return 0;
}

/* Takes what has been told; is something of it about this output? */
static bool events_take(struct follow *f)
{
	char data[8192] __attribute__((aligned(8)));
	const size_t len = strlen(f->name);
	bool ours = false;
	ssize_t n;

	while ((n = read(f->inotify, data, sizeof(data))) > 0) {
		char *p = data;

		while (p < data + n) {
			const struct inotify_event *event = (const struct inotify_event *)(void *)p;

			ours |= event->mask & IN_Q_OVERFLOW ||
				(event->len && strncmp(event->name, f->name, len) == 0);
			p += sizeof(*event) + event->len;
		}
	}
	return ours;
}

int follow_wait(struct follow *f, int timeout_ms)
{
	struct pollfd p = { .fd = f->inotify, .events = POLLIN };
	const int longest = f->inotify < 0 ? POLL_MS_BLIND : POLL_MS;
	int n;

	if (timeout_ms < 0 || timeout_ms > longest)
		timeout_ms = longest;
	do {
		n = poll(&p, 1, timeout_ms);
		if (n < 0)
			return -errno;
	} while (n > 0 && !events_take(f));
	return 0;
}

/* --- */

int follow_open(struct follow **out, const char *path,
		void (*record)(void *arg, const struct record *record), reader_damage_fn *damage,
		void *arg)
{
	struct follow *f = calloc(1, sizeof(*f));
	const char *slash;
	int err;

	*out = NULL;
	if (!f)
		return -ENOMEM;
	f->inotify = -1;
	f->record = record;
	f->damage = damage;
	f->arg = arg;
	told_forget(f);
	f->path = strdup(path);
	err = f->path ? watch(f) : -ENOMEM;
	if (err) {
		follow_close(f);
		return err;
	}
	slash = strrchr(f->path, '/');
	f->name = slash ? slash + 1 : f->path;
	*out = f;
	return 0;
}

void follow_totals_get(const struct follow *f, struct follow_totals *out)
{
	*out = f->totals;
}

void follow_close(struct follow *f)
{
	if (!f)
		return;
	file_close(f);
	block_buffer_fini(&f->buffer);
	if (f->inotify >= 0)
		close(f->inotify);
	free(f->path);
	free(f);
}
