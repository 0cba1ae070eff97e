/* SPDX-License-Identifier: BSD-2-Clause */
/* recover_memory.c - see recover_memory.h: finding and checking. */
#include "recover_memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proc_maps.h"
#include "safe_memory.h"

#define NUMBERS_MAX (1u << 26) /* of threads and formats in a file that one process has written */

int recover_memory_read(int fd, void *data, size_t bytes, uint64_t offset)
{
	uint8_t *p = data;

	while (bytes) {
		ssize_t n = pread(fd, p, bytes, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EBADMSG;
		p += n;
		offset += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return 0;
}

/* --- Opening. */

/* A string of the header: terminated, without characters that a terminal would interpret. */
static int string_read(int fd, char *to, uint32_t bytes, uint64_t offset)
{
	int err = recover_memory_read(fd, to, bytes, offset);
	char *p;

	if (err)
		return err;
	if (!memchr(to, 0, bytes))
		return -EBADMSG;
	for (p = to; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	}
	return 0;
}

static bool header_valid(const struct safe_header *h)
{
	return h->ring_bytes >= QSLOG_ARENA_BYTES_MIN && h->ring_bytes <= QSLOG_ARENA_BYTES_MAX &&
	       !(h->ring_bytes & (h->ring_bytes - 1)) && h->module_bytes <= SAFE_MODULES_BYTES &&
	       h->writes[h->write_cnt % 2].thread_cnt <= NUMBERS_MAX &&
	       h->writes[h->write_cnt % 2].format_cnt <= NUMBERS_MAX && h->hz >= 1000000 && h->hz <= UINT64_C(100000000000) && h->mult &&
	       h->mult <= UINT64_C(1) << 43;
}

static int header_load(struct recover_memory *m)
{
	struct safe_header *h = &m->header;
	uint64_t room;
	int err;

	if (m->size < SAFE_ARENAS_OFF)
		return -EBADMSG;
	err = recover_memory_read(m->fd, h, sizeof(*h), 0);
	if (err)
		return err;
	if (memcmp(h->magic, SAFE_MAGIC, SAFE_MAGIC_BYTES) != 0)
		return -EBADMSG;
	if (h->version != SAFE_VERSION)
		return -EPROTONOSUPPORT;
	if (!header_valid(h))
		return -EBADMSG;
	memcpy(&m->file_key, h->file_cnt ? h->files[h->file_cnt % 2] : h->file_id, sizeof(m->file_key));
	m->has_next = h->file_pending && h->file_pending == h->file_cnt + 1;
	memcpy(&m->next_key, h->files[h->file_pending % 2], sizeof(m->next_key));
	room = (m->size - SAFE_ARENAS_OFF) / (QSLOG_ARENA_HEADER_BYTES + h->ring_bytes);
	m->arena_cnt = h->arena_cnt < room ? h->arena_cnt : (uint32_t)room;
	err = string_read(m->fd, m->output, SAFE_PATH_BYTES, SAFE_PATH_OFF);
	if (!err)
		err = string_read(m->fd, m->name, SAFE_NAME_BYTES, SAFE_NAME_OFF);
	if (!err)
		err = string_read(m->fd, m->exe, SAFE_EXE_BYTES, SAFE_EXE_OFF);
	if (!err)
		err = string_read(m->fd, m->command, SAFE_COMMAND_BYTES, SAFE_COMMAND_OFF);
	return err;
}

bool recover_memory_about(const struct recover_memory *m, uint64_t file_key, bool *next)
{
	*next = m->has_next && m->next_key == file_key;
	return *next || m->file_key == file_key;
}

/* Does this very process have the file mapped? Then it must not even be opened: closing it again
 * would give up the lock. */
static bool own_file(const struct stat *st)
{
	struct proc_maps maps;
	bool own = false;
	size_t i;

	if (proc_maps_read(&maps, getpid()) != 0)
		return true;
	for (i = 0; i < maps.cnt && !own; i++)
		own = maps.maps[i].inode == st->st_ino && maps.maps[i].dev == st->st_dev;
	proc_maps_free(&maps);
	return own;
}

static int file_lock(int fd, pid_t *pid)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_SETLK, &lock) == 0)
		return 0;
	if (errno != EAGAIN && errno != EACCES)
		return -errno;
	if (fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
		*pid = lock.l_pid;
	return -EBUSY;
}

int recover_memory_open(struct recover_memory *m, const char *path, uid_t owner, pid_t *pid)
{
	struct stat st;
	int err, lock_err = 0;

	memset(m, 0, sizeof(*m));
	m->fd = -1;
	*pid = 0;
	if (stat(path, &st) != 0)
		return -errno;
	if (own_file(&st)) {
		*pid = getpid();
		return -EBUSY;
	}
	m->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (m->fd < 0)
		return -errno;
	err = fstat(m->fd, &st) != 0 ? -errno : 0;
	if (!err && !S_ISREG(st.st_mode))
		err = -EBADMSG;
	/* in a folder where everybody may create files, anybody could have made this one up */
	if (!err && st.st_uid != owner && st.st_uid != geteuid() && st.st_uid != 0)
		err = -EPERM;
	if (!err) {
		lock_err = file_lock(m->fd, pid);
		m->owner = st.st_uid;
		m->group = st.st_gid;
		err = fstat(m->fd, &st) != 0 ? -errno : 0;
		m->size = (uint64_t)st.st_size;
	}
	if (!err)
		err = header_load(m);
	if (lock_err)
		err = lock_err;
	if (!err) {
		m->path = strdup(path);
		err = m->path ? 0 : -ENOMEM;
	}
	if (err)
		recover_memory_close(m, false);
	return err;
}

void recover_memory_close(struct recover_memory *m, bool remove)
{
	if (m->fd < 0)
		return;
	if (remove)
		(void)unlink(m->path); /* it can be recovered once more, without effect */
	close(m->fd);
	free(m->path);
	m->fd = -1;
	m->path = NULL;
}

static int folder_each(const char *folder, int (*each)(void *arg, const char *path), void *arg)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	char path[PATH_MAX];
	int ret = 0;

	if (!dir)
		return 0;
	while (!ret && (entry = readdir(dir))) {
		unsigned int uid, pid;
		unsigned long long random;
		int end = 0, len;

		if (sscanf(entry->d_name, "qslog-%u-%u-%16llx%n", &uid, &pid, &random, &end) != 3 ||
		    entry->d_name[end])
			continue;
		len = snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (len > 0 && (size_t)len < sizeof(path))
			ret = each(arg, path);
	}
	closedir(dir);
	return ret;
}

int recover_memory_each(const char *output, int (*each)(void *arg, const char *path), void *arg)
{
	int ret = folder_each(SAFE_DIR, each, arg);
	char *folder, *slash;

	if (ret || !output)
		return ret;
	folder = strdup(output);
	if (!folder)
		return -ENOMEM;
	slash = strrchr(folder, '/');
	if (slash)
		*slash = '\0';
	ret = folder_each(!slash ? "." : slash == folder ? "/" : folder, each, arg);
	free(folder);
	return ret;
}

void recover_memory_state(const struct recover_memory *m, struct writer_state *state)
{
	const struct safe_header *h = &m->header;
	const struct safe_write *write = &h->writes[h->write_cnt % 2];
	const struct safe_clock *clock = &h->clocks[h->clock_cnt % 2];

	memset(state, 0, sizeof(*state));
	memcpy(state->file_id, h->file_id, sizeof(state->file_id));
	if (h->write_cnt) {
		state->thread_cnt = write->thread_cnt;
		state->format_cnt = write->format_cnt;
	}
	state->scale.counter0 = h->counter0;
	state->scale.mult = h->mult;
	state->scale.hz = h->hz;
	state->scale.kind = h->counter_kind;
	state->pair.ticks = clock->ticks;
	state->pair.realtime_ns = clock->realtime_ns;
	state->pair.window_ns = clock->window_ns;
}
