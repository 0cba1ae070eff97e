/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * elf_notes.h - the USDT probes of provider "qslog" in an ELF file: what the tracer attaches to.
 *
 * They are described by notes of section .note.stapsdt, in the layout of SystemTap's <sys/sdt.h>
 * (https://sourceware.org/systemtap/wiki/UserSpaceProbeImplementation). The caller gives an open
 * file, for example from proc_map_open(), so that deleted and replaced binaries work.
 */
#ifndef QSLOG_ELF_NOTES_H
#define QSLOG_ELF_NOTES_H

#include <stddef.h>
#include <stdint.h>

#define ELF_PROBE_NAME_MAX 32
#define ELF_PROBE_ARGS_MAX 512
#define ELF_PROBES_MAX 65536

struct elf_probe {
	char name[ELF_PROBE_NAME_MAX];
	uint64_t vaddr;		     /* of the nop, adjusted for prelink by .stapsdt.base */
	uint64_t file_off;	     /* of the nop: what a uprobe takes */
	uint64_t semaphore_vaddr;    /* 0: the probe has none */
	uint64_t semaphore_file_off; /* what a uprobe takes as reference counter; 0: none */
	char args[ELF_PROBE_ARGS_MAX]; /* as in the note, for example "8@%rdi 4@$38" */
};

struct elf_notes {
	struct elf_probe *probes; /* in the order of the file; NULL when there are none */
	size_t cnt;
};

/*
 * All qslog probes of the file; `fd` stays the caller's. A file without any is no error (cnt 0).
 * On success `out` owns memory until elf_notes_free(); after an error it is empty. Errors are those
 * of elf_image.h; -EBADMSG as well where a note does not fit its section, a string its place, or an
 * address the file's segments, and -E2BIG beyond ELF_PROBES_MAX. elf_image_strerror() words them.
 */
int elf_notes_read(int fd, struct elf_notes *out);

void elf_notes_free(struct elf_notes *notes); /* what it points to; NULL is accepted */

/* The next probe of that name after `after` (NULL: the first), or NULL: a name may occur often,
 * once per place that has the probe. */
const struct elf_probe *elf_notes_find(const struct elf_notes *notes, const char *name,
				       const struct elf_probe *after);

#endif
