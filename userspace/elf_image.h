/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * elf_image.h - an ELF file as the loader sees it: which address comes from which place of the
 * file, and what a relocated pointer holds. Only 64-bit little-endian x86-64 and aarch64 programs
 * and shared libraries.
 *
 * The file is hostile: it is read with pread(2), never mapped, so that a file that shrinks is an
 * error and not a SIGBUS, and every count and length is checked. "vaddr" is an address as the file
 * has it; an address in a process is vaddr + bias.
 *
 * Errors: -ENOEXEC not an ELF file, -ENOTSUP an ELF file of another kind, -EBADMSG damaged,
 * -E2BIG beyond the limits below, -EFAULT no such place in the file, -ENOMEM, errors of pread.
 */
#ifndef QSLOG_ELF_IMAGE_H
#define QSLOG_ELF_IMAGE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ELF_IMAGE_LOADS_MAX 256
#define ELF_IMAGE_RELOCS_MAX (4u << 20)

struct elf_image;

/* `fd` is duplicated: the caller keeps its own. The image has one reference, the caller's. */
int elf_image_open(struct elf_image **out, int fd);

/* Another reference to the same image; every one is given back with elf_image_close(). */
struct elf_image *elf_image_ref(struct elf_image *image);
void elf_image_close(struct elf_image *image); /* NULL is accepted */
unsigned int elf_image_refs(const struct elf_image *image);

/* The image's own descriptor, valid as long as the image. */
int elf_image_fd(const struct elf_image *image);

/* The lowest address of a segment (rounded down to 4 KiB) and the first one after all segments. */
void elf_image_extent(const struct elf_image *image, uint64_t *first, uint64_t *end);

/* The lowest address that is executable: what a process has as the beginning of its program's code
 * is that plus the bias. 0; -ENOENT: there is none. */
int elf_image_code(const struct elf_image *image, uint64_t *vaddr);

/*
 * Place in the file of `vaddr`, and how many bytes follow it there in the same segment (`avail`
 * may be NULL). An address in the part of a segment that is not in the file (.bss) is -EFAULT.
 */
int elf_image_offset(const struct elf_image *image, uint64_t vaddr, uint64_t *off, uint64_t *avail);

/*
 * As elf_image_offset() for a USDT semaphore: the kernel finds it through the pages that are mapped
 * from the file, hence .bss will do as far as it shares the last one of these.
 */
int elf_image_semaphore_offset(const struct elf_image *image, uint64_t vaddr, uint64_t *off);

/* Up to `len` bytes from `vaddr` as they are in the file, before relocation. Returns how many (at
 * least 1; fewer than `len` at the end of a segment) or a negative errno. */
ssize_t elf_image_read(const struct elf_image *image, uint64_t vaddr, void *buf, size_t len);

/*
 * What the pointer at `vaddr` holds in a process that has the image at `bias`: through its
 * relocation (relative, RELR-packed or not, or absolute with a symbol of this file), else the value
 * in place, as in a non-PIE program. -ENOENT: the relocation takes a symbol of another file.
 */
int elf_image_pointer(struct elf_image *image, uint64_t vaddr, uint64_t bias, uint64_t *value);

/* The bias in a process that maps [offset, offset + len) of the file executable at `start`.
 * -ENOENT: this is not how a loader maps an executable segment of this file. */
int elf_image_bias(const struct elf_image *image, uint64_t start, uint64_t offset, uint64_t len,
		   uint64_t *bias);

/* What an error of these functions means, for a message; never NULL. */
const char *elf_image_strerror(int err);

#endif
