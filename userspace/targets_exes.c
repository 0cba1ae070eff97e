/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * targets_exes.c - the programs of --exe: who runs them already, and whatever file comes to have the
 * name of one.
 */
#include "targets_priv.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXE_ROUNDS 16

int targets_exe(struct targets *ts, const char *path, struct why *why)
{
	const char *slash = strrchr(path, '/');
	struct probed_file *file;
	struct named_exe *grown;
	struct stat st;
	char *folder;
	int err = probed_files_path(ts->target_options.files, path, &file, why);

	if (err)
		return err;
	file->exe = true;
	grown = reallocarray(ts->exes, ts->exe_cnt + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	ts->exes = grown;
	folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	if (!folder)
		return -ENOMEM;
	/* Where this is not possible, the name is looked at only now. */
	ts->exes[ts->exe_cnt++] = (struct named_exe){
		path, slash ? slash + 1 : path, stat(folder, &st) ? 0 : st.st_ino,
		inotify_add_watch(ts->names, folder, IN_MOVED_TO | IN_CREATE | IN_CLOSE_WRITE),
	};
	free(folder);
	return 0;
}

/* The name has another file, or may have. */
static void exe_replaced(struct targets *ts, const struct named_exe *exe)
{
	struct probed_file *file;
	struct why why = {""};
	int err = probed_files_path(ts->target_options.files, exe->path, &file, &why);

	if (err || file->exe) /* it is being written: that is said again */
		return;
	file->exe = true;
	err = probed_file_tell(file, ts->kernel, &why);
	if (!err)
		err = probed_file_attach(file, ts->kernel, &why);
	if (!err)
		err = probed_file_listen(file, ts->kernel, ts->options.level, &why);
	if (err)
		targets_say(ts, "%s was replaced, but: %s", exe->path, why.text);
}

void targets_exes_replaced(struct targets *ts)
{
	unsigned int i;

	for (i = 0; i < ts->exe_cnt; i++)
		exe_replaced(ts, &ts->exes[i]);
}

void targets_names_look(struct targets *ts)
{
	union {
		struct inotify_event event;
		char bytes[4096];
	} read_to;
	const char *at, *end;
	unsigned int i;
	ssize_t n;

	while ((n = read(ts->names, &read_to, sizeof(read_to))) > 0) {
		for (at = read_to.bytes, end = at + n; at < end;) {
			const struct inotify_event *event = (const struct inotify_event *)at;

			for (i = 0; i < ts->exe_cnt; i++)
				if (event->wd == ts->exes[i].watch && event->len &&
				    strcmp(event->name, ts->exes[i].name) == 0)
					exe_replaced(ts, &ts->exes[i]);
			at += sizeof(*event) + event->len;
		}
	}
}

int targets_exes_attach(struct targets *ts, struct why *why)
{
	struct probed_file *file;
	uint32_t i;
	int err = 0;

	for (i = 0; !err && i < ts->exe_cnt; i++) {
		err = kernel_exe_name_add(ts->kernel, ts->exes[i].folder, ts->exes[i].name);
		if (err)
			why_set(why, err, "cannot tell the kernel about %s: %s", ts->exes[i].path,
				strerror(-err));
	}
	for (i = 1; !err && (file = probed_files_number(ts->target_options.files, i)); i++) {
		if (!file->exe)
			continue;
		err = probed_file_tell(file, ts->kernel, why);
		if (!err)
			err = probed_file_attach(file, ts->kernel, why);
	}
	return err;
}

static bool exe_is_wanted(const struct targets *ts, pid_t pid)
{
	const struct probed_file *file;
	struct stat st, own;
	char path[32];
	uint32_t i;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	if (stat(path, &st))
		return false;
	for (i = 1; (file = probed_files_number(ts->target_options.files, i)); i++)
		if (file->exe && fstat(elf_image_fd(file->image), &own) == 0 &&
		    st.st_dev == own.st_dev && st.st_ino == own.st_ino)
			return true;
	return false;
}

/* One that runs it already, and its children from now on. -ESRCH: it does not, any more. */
static int exe_take(struct targets *ts, pid_t pid, struct why *why)
{
	struct target_options options = ts->target_options;
	struct member *m;
	int err;

	options.flags |= PROCESS_EXE;
	err = member_add(ts, &options, pid, why);
	if (err)
		return err;
	m = member_of_pid(ts, pid);
	m->by_exe = true;
	err = target_scan(m->target, why);
	return err < 0 ? err : member_attach(ts, m, why);
}

/* Those that run already. One that ends meanwhile is none. */
static int exes_look(struct targets *ts, unsigned int *found, struct why *why)
{
	struct dirent *entry;
	struct why one;
	DIR *proc = opendir("/proc");
	int err = 0;

	if (!proc)
		return why_set(why, -errno, "/proc: %s", strerror(errno));
	while (!err && (entry = readdir(proc))) {
		const pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (pid <= 0 || pid == getpid() || member_of_pid(ts, pid) || !exe_is_wanted(ts, pid))
			continue;
		one.text[0] = '\0';
		err = exe_take(ts, pid, &one);
		++*found;
		if (err == -ESRCH)
			err = 0;
		else if (err)
			why_set(why, err, "%s", one.text);
	}
	closedir(proc);
	return err;
}

/* What one had forked before it was found may be at a place that had been looked at. */
int targets_exes_find(struct targets *ts, struct why *why)
{
	unsigned int found, rounds = EXE_ROUNDS;
	int err;

	do {
		found = 0;
		err = exes_look(ts, &found, why);
	} while (!err && found && --rounds);
	return err;
}
