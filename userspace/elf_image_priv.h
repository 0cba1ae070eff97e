/* SPDX-License-Identifier: BSD-2-Clause */
/* elf_image_priv.h - what elf_image.c and elf_relocs.c share. */
#ifndef QSLOG_ELF_IMAGE_PRIV_H
#define QSLOG_ELF_IMAGE_PRIV_H

#include <elf.h>
#include <stdbool.h>

#include "elf_image.h"

#define PAGE_BYTES 4096u /* the smallest page there is on both architectures */

struct elf_load {
	uint64_t vaddr, offset, filesz, memsz;
	uint32_t flags;
};

struct elf_reloc;

struct elf_relocs {
	bool read; /* at the first elf_image_pointer() */
	int err;
	struct elf_reloc *table; /* sorted by address */
	size_t cnt, room;
	uint64_t symtab; /* address of the symbols */
};

struct elf_image {
	int fd;
	unsigned int refs;
	uint16_t machine;
	struct elf_load *loads;
	uint32_t load_cnt;
	uint64_t dynamic_off, dynamic_bytes; /* PT_DYNAMIC in the file; 0: none */
	struct elf_relocs relocs;
};

/* All of [off, off + len), else -EBADMSG: the file is shorter than its headers say. */
int elf_image_read_exact(int fd, void *buf, size_t len, uint64_t off);

#endif
