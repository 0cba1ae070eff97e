/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * elf_image.c - see elf_image.h. The program headers are taken when the image is opened; all
 * translations are made with these. (Relocations: elf_relocs.c.)
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "elf_image_priv.h"

int elf_image_read_exact(int fd, void *buf, size_t len, uint64_t off)
{
	char *to = buf;

	if (off > INT64_MAX - len)
		return -EBADMSG;
	while (len) {
		ssize_t n = pread(fd, to, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EBADMSG; /* shorter than its headers say */
		to += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* Only the plain way of counting: no program needs extended numbering. */
static int header_check(int fd, Elf64_Ehdr *ehdr)
{
	int err;

	memset(ehdr, 0, sizeof(*ehdr));
	err = elf_image_read_exact(fd, ehdr->e_ident, sizeof(ehdr->e_ident), 0);
	if (err == -EBADMSG || (!err && memcmp(ehdr->e_ident, ELFMAG, SELFMAG)))
		return -ENOEXEC;
	if (err)
		return err;
	if (ehdr->e_ident[EI_CLASS] != ELFCLASS64 || ehdr->e_ident[EI_DATA] != ELFDATA2LSB)
		return -ENOTSUP;
	err = elf_image_read_exact(fd, ehdr, sizeof(*ehdr), 0);
	if (err)
		return err;
	if ((ehdr->e_machine != EM_X86_64 && ehdr->e_machine != EM_AARCH64) ||
	    (ehdr->e_type != ET_EXEC && ehdr->e_type != ET_DYN))
		return -ENOTSUP;
	if (ehdr->e_phnum == PN_XNUM || (ehdr->e_shoff && !ehdr->e_shnum) ||
	    ehdr->e_shstrndx == SHN_XINDEX)
		return -E2BIG;
	return 0;
}

static int loads_read(struct elf_image *image, const Elf64_Ehdr *ehdr)
{
	if (ehdr->e_phentsize != sizeof(Elf64_Phdr))
		return -EBADMSG;
	image->loads = calloc(ELF_IMAGE_LOADS_MAX, sizeof(*image->loads));
	if (!image->loads)
		return -ENOMEM;
	for (size_t i = 0; i < ehdr->e_phnum; i++) {
		Elf64_Phdr phdr;
		int err;

		if (ehdr->e_phoff > INT64_MAX)
			return -EBADMSG;
		err = elf_image_read_exact(image->fd, &phdr, sizeof(phdr),
					   ehdr->e_phoff + i * sizeof(phdr));
		if (err)
			return err;
		if (phdr.p_type != PT_LOAD && phdr.p_type != PT_DYNAMIC)
			continue;
		if (phdr.p_filesz > phdr.p_memsz || phdr.p_vaddr > UINT64_MAX - phdr.p_memsz ||
		    phdr.p_offset > INT64_MAX || phdr.p_filesz > INT64_MAX - phdr.p_offset)
			return -EBADMSG;
		if (phdr.p_type == PT_DYNAMIC) {
			image->dynamic_off = phdr.p_offset;
			image->dynamic_bytes = phdr.p_filesz;
			continue;
		}
		if (image->load_cnt == ELF_IMAGE_LOADS_MAX)
			return -E2BIG;
		image->loads[image->load_cnt++] = (struct elf_load){
			.vaddr = phdr.p_vaddr,
			.offset = phdr.p_offset,
			.filesz = phdr.p_filesz,
			.memsz = phdr.p_memsz,
			.flags = phdr.p_flags,
		};
	}
	return image->load_cnt ? 0 : -EBADMSG;
}

int elf_image_open(struct elf_image **out, int fd)
{
	struct elf_image *image;
	Elf64_Ehdr ehdr;
	int err;

	*out = NULL;
	image = calloc(1, sizeof(*image));
	if (!image)
		return -ENOMEM;
	image->refs = 1;
	image->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (image->fd < 0) {
		err = -errno;
		goto cleanup;
	}
	err = header_check(image->fd, &ehdr);
	if (err)
		goto cleanup;
	image->machine = ehdr.e_machine;
	err = loads_read(image, &ehdr);
	if (err)
		goto cleanup;
	*out = image;
	image = NULL;
cleanup:
	elf_image_close(image);
	return err;
}

struct elf_image *elf_image_ref(struct elf_image *image)
{
	image->refs++;
	return image;
}

unsigned int elf_image_refs(const struct elf_image *image)
{
	return image->refs;
}

void elf_image_close(struct elf_image *image)
{
	if (!image || --image->refs)
		return;
	if (image->fd >= 0)
		close(image->fd);
	free(image->loads);
	free(image->relocs.table);
	free(image);
}

int elf_image_fd(const struct elf_image *image)
{
	return image->fd;
}

void elf_image_extent(const struct elf_image *image, uint64_t *first, uint64_t *end)
{
	*first = UINT64_MAX;
	*end = 0;
	for (uint32_t i = 0; i < image->load_cnt; i++) {
		const struct elf_load *load = &image->loads[i];

		if (load->vaddr < *first)
			*first = load->vaddr;
		if (load->vaddr + load->memsz > *end)
			*end = load->vaddr + load->memsz;
	}
	*first &= ~(uint64_t)(PAGE_BYTES - 1);
}

int elf_image_code(const struct elf_image *image, uint64_t *vaddr)
{
	int err = -ENOENT;

	for (uint32_t i = 0; i < image->load_cnt; i++) {
		const struct elf_load *load = &image->loads[i];

		if (!(load->flags & PF_X) || (!err && load->vaddr >= *vaddr))
			continue;
		*vaddr = load->vaddr;
		err = 0;
	}
	return err;
}

int elf_image_offset(const struct elf_image *image, uint64_t vaddr, uint64_t *off, uint64_t *avail)
{
	for (uint32_t i = 0; i < image->load_cnt; i++) {
		const struct elf_load *load = &image->loads[i];

		if (vaddr < load->vaddr || vaddr - load->vaddr >= load->filesz)
			continue;
		*off = load->offset + (vaddr - load->vaddr);
		if (avail)
			*avail = load->filesz - (vaddr - load->vaddr);
		return 0;
	}
	return -EFAULT;
}

int elf_image_semaphore_offset(const struct elf_image *image, uint64_t vaddr, uint64_t *off)
{
	for (uint32_t i = 0; i < image->load_cnt; i++) {
		const struct elf_load *load = &image->loads[i];
		uint64_t in_load = vaddr - load->vaddr, file_end, slack;

		if (!(load->flags & PF_W) || vaddr < load->vaddr || in_load >= load->memsz ||
		    load->memsz - in_load < sizeof(uint16_t))
			continue;
		file_end = load->offset + load->filesz;
		slack = -file_end & (PAGE_BYTES - 1);
		if (load->filesz == 0 || in_load >= load->filesz + slack)
			continue;
		*off = load->offset + in_load;
		return 0;
	}
	return -EFAULT;
}

ssize_t elf_image_read(const struct elf_image *image, uint64_t vaddr, void *buf, size_t len)
{
	uint64_t off, avail;
	int err;

	if (!len || len > INT32_MAX)
		return -EINVAL;
	err = elf_image_offset(image, vaddr, &off, &avail);
	if (err)
		return err;
	if (len > avail)
		len = (size_t)avail;
	err = elf_image_read_exact(image->fd, buf, len, off);
	return err ? err : (ssize_t)len;
}

int elf_image_bias(const struct elf_image *image, uint64_t start, uint64_t offset, uint64_t len,
		   uint64_t *bias)
{
	uint64_t best = 0;

	if (offset > INT64_MAX || len > INT64_MAX - offset)
		return -EINVAL;
	/* neighbours share the page at their border: the segment is the one with most of the mapping */
	for (uint32_t i = 0; i < image->load_cnt; i++) {
		const struct elf_load *load = &image->loads[i];
		uint64_t from = load->offset > offset ? load->offset : offset;
		uint64_t load_end = load->offset + load->filesz;
		uint64_t to = load_end < offset + len ? load_end : offset + len;

		if (!(load->flags & PF_X) || from >= to || to - from <= best)
			continue;
		best = to - from;
		*bias = start - (load->vaddr + (offset - load->offset));
	}
	/* a loader moves whole pages only */
	return best && !(*bias & (PAGE_BYTES - 1)) ? 0 : -ENOENT;
}

const char *elf_image_strerror(int err)
{
	switch (err) {
	case -ENOEXEC:
		return "not an ELF file";
	case -ENOTSUP:
		return "only programs and libraries for 64-bit x86-64 and aarch64 (little-endian) "
		       "are supported";
	case -EBADMSG:
		return "damaged ELF file";
	case -E2BIG:
		return "the ELF file exceeds a limit (segments, relocations, notes)";
	default:
		return strerror(err < 0 ? -err : err);
	}
}
