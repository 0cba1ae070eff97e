/* SPDX-License-Identifier: BSD-2-Clause */
/* file_set.c - see file_set.h. */
#include "file_set.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXTENSION ".qslog"
#define LIST_TRIES 8

/* Length of `name` up to where the number goes. */
static size_t stem_bytes(const char *name)
{
	const size_t len = strlen(name), extension = sizeof(EXTENSION) - 1;

	return len > extension && strcmp(name + len - extension, EXTENSION) == 0 ? len - extension :
										  len;
}

int file_set_name(char *out, size_t size, const char *name, uint64_t number)
{
	const size_t stem = stem_bytes(name);
	int len = snprintf(out, size, "%.*s.%0*llu%s", (int)stem, name, FILE_SET_DIGITS,
			   (unsigned long long)number, name + stem);

	return len < 0 || (size_t)len >= size || (size_t)len > NAME_MAX ? -ENAMETOOLONG : 0;
}

bool file_set_name_number(const char *name, const char *candidate, uint64_t *number)
{
	const size_t stem = stem_bytes(name);
	const char *p = candidate + stem + 1;
	uint64_t value = 0;
	unsigned int digits;

	if (strncmp(name, candidate, stem) != 0 || candidate[stem] != '.')
		return false;
	for (digits = 0; p[digits] >= '0' && p[digits] <= '9'; digits++) {
		if (digits == 18)
			return false;
		value = value * 10 + (uint64_t)(p[digits] - '0');
	}
	*number = value;
	return digits >= FILE_SET_DIGITS && (digits == FILE_SET_DIGITS || p[0] != '0') && value &&
	       strcmp(p + digits, name + stem) == 0;
}

/* --- A folder. */

struct numbered {
	uint64_t number;
	char *name;
};

struct numbered_list {
	struct numbered *list;
	size_t cnt, cap;
};

static int numbered_compare(const void *a, const void *b)
{
	const struct numbered *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

static void numbered_fini(struct numbered_list *l)
{
	while (l->cnt)
		free(l->list[--l->cnt].name);
	free(l->list);
	l->list = NULL;
}

static int numbered_add(struct numbered_list *l, const char *name, uint64_t number)
{
	if (l->cnt == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		struct numbered *list = realloc(l->list, cap * sizeof(*list));

		if (!list)
			return -ENOMEM;
		l->list = list;
		l->cap = cap;
	}
	l->list[l->cnt].number = number;
	l->list[l->cnt].name = strdup(name);
	if (!l->list[l->cnt].name)
		return -ENOMEM;
	l->cnt++;
	return 0;
}

/* The names with numbers, in their order. numbered_fini() follows in any case. */
static int numbered_read(struct numbered_list *l, int folder, const char *name)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;
	struct dirent *entry;
	uint64_t number;
	DIR *dir;

	memset(l, 0, sizeof(*l));
	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		err = -errno;
		close(fd);
		return err;
	}
	while (!err) {
		errno = 0;
		entry = readdir(dir);
		if (!entry) {
			err = -errno;
			break;
		}
		if (file_set_name_number(name, entry->d_name, &number))
			err = numbered_add(l, entry->d_name, number);
	}
	closedir(dir);
	if (!err && l->cnt)
		qsort(l->list, l->cnt, sizeof(*l->list), numbered_compare);
	return err;
}

static int identity_at(int folder, const char *name, struct file_identity *identity)
{
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY), err;

	if (fd < 0)
		return -errno;
	err = file_identity_read(fd, identity);
	close(fd);
	return err;
}

static bool member_of(const struct file_identity *identity, const uint8_t set_id[FILE_SET_ID_BYTES])
{
	return identity->in_set && memcmp(identity->set_id, set_id, FILE_SET_ID_BYTES) == 0;
}

int file_set_newest(int folder, const char *name, uint64_t *number, struct file_identity *newest)
{
	struct numbered_list l;
	size_t i;
	int err = numbered_read(&l, folder, name);

	*number = l.cnt ? l.list[l.cnt - 1].number : 0;
	if (newest)
		memset(newest, 0, sizeof(*newest));
	for (i = l.cnt; newest && !newest->number && i-- > 0;) {
		if (identity_at(folder, l.list[i].name, newest))
			memset(newest, 0, sizeof(*newest));
	}
	numbered_fini(&l);
	return err;
}

int file_set_trim(int folder, const char *name, const uint8_t set_id[FILE_SET_ID_BYTES],
		  unsigned int keep)
{
	struct file_identity identity;
	struct numbered_list l;
	size_t i, over;
	int err, removed = 0;

	err = numbered_read(&l, folder, name);
	over = l.cnt > keep ? l.cnt - keep : 0;
	/* Those of others count neither as old nor as new. */
	for (i = l.cnt; i-- > 0 && over && !err;) {
		if (identity_at(folder, l.list[i].name, &identity) || !member_of(&identity, set_id)) {
			free(l.list[i].name);
			memmove(&l.list[i], &l.list[i + 1], (--l.cnt - i) * sizeof(*l.list));
			over--;
		}
	}
	for (i = 0; i < over && !err; i++) {
		if (unlinkat(folder, l.list[i].name, 0) == 0)
			removed++;
		else if (errno != ENOENT)
			err = -errno;
	}
	numbered_fini(&l);
	return err ? err : removed;
}

/* --- A set. */

static int member_add(struct file_set *set, const char *path, size_t folder_bytes, const char *name,
		      uint64_t number, const struct file_identity *identity)
{
	struct file_set_member *members, *member;

	members = realloc(set->members, (set->cnt + 1) * sizeof(*members));
	if (!members)
		return -ENOMEM;
	set->members = members;
	member = &members[set->cnt];
	if (asprintf(&member->path, "%.*s%s", (int)folder_bytes, path, name) < 0)
		return -ENOMEM;
	member->number = number;
	member->identity = *identity;
	set->cnt++;
	return 0;
}

/* Without the file at `path`. `set_id` NULL: that of the newest. */
static int members_read(struct file_set *set, const char *path, size_t folder_bytes, int folder,
			const uint8_t *set_id, const uint8_t *not_file_id)
{
	const char *name = path + folder_bytes;
	struct file_identity newest, identity;
	struct numbered_list l;
	size_t i;
	int err;

	if (!set_id) {
		uint64_t number;

		err = file_set_newest(folder, name, &number, &newest);
		if (err)
			return err;
		if (!newest.number)
			return 0;
		set_id = newest.set_id;
	}
	err = numbered_read(&l, folder, name);
	for (i = 0; i < l.cnt && !err; i++) {
		/* one that is being rotated has two names for a moment */
		if (!identity_at(folder, l.list[i].name, &identity) && member_of(&identity, set_id) &&
		    !(not_file_id && memcmp(identity.file_id, not_file_id, 16) == 0))
			err = member_add(set, path, folder_bytes, l.list[i].name, l.list[i].number,
					 &identity);
	}
	numbered_fini(&l);
	return err;
}

static int list_once(struct file_set *set, const char *path, int folder, size_t folder_bytes,
		     bool *again)
{
	const char *name = path + folder_bytes;
	struct file_identity live, after;
	bool there, empty = false;
	struct stat st;
	int err;

	*again = false;
	err = identity_at(folder, name, &live);
	there = !err;
	/* a writer that begins, or died when it did, has left it empty: there is nothing in it */
	if (err == -EBADMSG && fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !st.st_size)
		empty = true;
	else if (err && err != -ENOENT)
		return err;
	if (there && !live.in_set)
		return member_add(set, path, folder_bytes, name, UINT64_MAX, &live);
	err = members_read(set, path, folder_bytes, folder, there ? live.set_id : NULL,
			   there ? live.file_id : NULL);
	if (!err && there)
		err = member_add(set, path, folder_bytes, name, UINT64_MAX, &live);
	if (err)
		return err;
	/* Was it rotated meanwhile? */
	err = identity_at(folder, name, &after);
	*again = there ? !err && memcmp(after.file_id, live.file_id, sizeof(live.file_id)) != 0 : !err;
	return set->cnt || *again ? 0 : empty ? -EBADMSG : -ENOENT;
}

int file_set_list(struct file_set *set, const char *path)
{
	const char *slash = strrchr(path, '/');
	const size_t folder_bytes = slash ? (size_t)(slash - path) + 1 : 0;
	char folder_path[PATH_MAX];
	int folder, tries, err = 0;
	bool again = true;

	memset(set, 0, sizeof(*set));
	if (folder_bytes >= sizeof(folder_path))
		return -ENAMETOOLONG;
	memcpy(folder_path, path, folder_bytes);
	strcpy(folder_path + folder_bytes, folder_bytes ? "" : ".");
	folder = open(folder_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return -errno;
	for (tries = 0; tries < LIST_TRIES && again && !err; tries++) {
		file_set_fini(set);
		err = list_once(set, path, folder, folder_bytes, &again);
	}
	close(folder);
	if (err)
		file_set_fini(set);
	return err;
}

void file_set_fini(struct file_set *set)
{
	while (set->cnt)
		free(set->members[--set->cnt].path);
	free(set->members);
	set->members = NULL;
}

/* --- Command lines. */

struct paths {
	char **list;
	struct stat *stats; /* st_ino 0: it cannot be looked at */
	unsigned int cnt;
};

static int path_add(struct paths *p, const char *path)
{
	struct stat *stats, st;
	unsigned int i;
	char **list;

	if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
		st.st_ino = 0;
	for (i = 0; i < p->cnt && st.st_ino; i++) {
		if (p->stats[i].st_ino == st.st_ino && p->stats[i].st_dev == st.st_dev)
			return 0;
	}
	list = realloc(p->list, (p->cnt + 2) * sizeof(*list));
	if (!list)
		return -ENOMEM;
	p->list = list;
	list[p->cnt] = NULL;
	stats = realloc(p->stats, (p->cnt + 1) * sizeof(*stats));
	if (!stats)
		return -ENOMEM;
	p->stats = stats;
	stats[p->cnt] = st;
	list[p->cnt] = strdup(path);
	if (!list[p->cnt])
		return -ENOMEM;
	list[++p->cnt] = NULL;
	return 0;
}

char **file_set_paths(char *const *paths, unsigned int cnt, unsigned int *out_cnt)
{
	struct paths p = { 0 };
	struct file_set set;
	unsigned int i, k;
	int err = 0;

	for (i = 0; i < cnt && !err; i++) {
		if (file_set_list(&set, paths[i]) || set.cnt == 1) {
			err = path_add(&p, set.cnt == 1 ? set.members[0].path : paths[i]);
		} else {
			for (k = 0; k < set.cnt && !err; k++)
				err = path_add(&p, set.members[k].path);
		}
		file_set_fini(&set);
	}
	free(p.stats);
	*out_cnt = p.cnt;
	if (!err)
		return p.list ? p.list : calloc(1, sizeof(*p.list));
	file_set_paths_free(p.list);
	return NULL;
}

void file_set_paths_free(char **paths)
{
	char **p;

	for (p = paths; p && *p; p++)
		free(*p);
	free(paths);
}
