/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * elf_relocs.c - what the loader makes of the pointers in a file: elf_image_pointer().
 *
 * The tables are found as the loader finds them, through PT_DYNAMIC (section headers are optional):
 * DT_RELA, DT_RELR and DT_SYMTAB. At the first question they are read in chunks into one table
 * sorted by address, bounded by ELF_IMAGE_RELOCS_MAX. A symbol is read when it is asked for.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>

#include "elf_image_priv.h"

#define CHUNK 1024u /* entries */
#define DYNAMIC_CNT_MAX 4096u

#ifndef DT_RELRSZ
#define DT_RELRSZ 35
#define DT_RELR 36
#define DT_RELRENT 37
#endif

enum reloc_kind {
	RELOC_RELATIVE, /* bias + addend */
	RELOC_IN_PLACE, /* bias + value in place (RELR) */
	RELOC_SYMBOL,	/* bias + symbol + addend */
	RELOC_OTHER	/* nothing that a pointer to data has */
};

struct elf_reloc {
	uint64_t vaddr;
	int64_t addend;
	uint32_t symbol;
	uint32_t kind; /* enum reloc_kind */
};

struct dynamic {
	uint64_t rela, rela_bytes, rela_entry;
	uint64_t relr, relr_bytes, relr_entry;
	uint64_t symtab, symbol_entry;
};

static enum reloc_kind reloc_kind_of(uint16_t machine, uint32_t type)
{
	if (type == (machine == EM_X86_64 ? R_X86_64_RELATIVE : R_AARCH64_RELATIVE))
		return RELOC_RELATIVE;
	if (type == (machine == EM_X86_64 ? R_X86_64_64 : R_AARCH64_ABS64))
		return RELOC_SYMBOL;
	return RELOC_OTHER;
}

static int reloc_compare(const void *a, const void *b)
{
	const struct elf_reloc *x = a, *y = b;

	return x->vaddr < y->vaddr ? -1 : x->vaddr > y->vaddr;
}

static int reloc_add(struct elf_relocs *relocs, const struct elf_reloc *reloc)
{
	if (relocs->cnt == ELF_IMAGE_RELOCS_MAX)
		return -E2BIG;
	if (relocs->cnt == relocs->room) {
		size_t room = relocs->room ? relocs->room * 2 : CHUNK;
		struct elf_reloc *grown = reallocarray(relocs->table, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		relocs->table = grown;
		relocs->room = room;
	}
	relocs->table[relocs->cnt++] = *reloc;
	return 0;
}

static int dynamic_read(const struct elf_image *image, struct dynamic *dynamic)
{
	uint64_t cnt = image->dynamic_bytes / sizeof(Elf64_Dyn);

	for (uint64_t i = 0; i < cnt; i++) {
		Elf64_Dyn entry;
		int err;

		if (i == DYNAMIC_CNT_MAX)
			return -E2BIG;
		err = elf_image_read_exact(image->fd, &entry, sizeof(entry),
					   image->dynamic_off + i * sizeof(entry));
		if (err)
			return err;
		switch (entry.d_tag) {
		case DT_NULL:
			return 0;
		case DT_RELA:
			dynamic->rela = entry.d_un.d_ptr;
			break;
		case DT_RELASZ:
			dynamic->rela_bytes = entry.d_un.d_val;
			break;
		case DT_RELAENT:
			dynamic->rela_entry = entry.d_un.d_val;
			break;
		case DT_RELR:
			dynamic->relr = entry.d_un.d_ptr;
			break;
		case DT_RELRSZ:
			dynamic->relr_bytes = entry.d_un.d_val;
			break;
		case DT_RELRENT:
			dynamic->relr_entry = entry.d_un.d_val;
			break;
		case DT_SYMTAB:
			dynamic->symtab = entry.d_un.d_ptr;
			break;
		case DT_SYMENT:
			dynamic->symbol_entry = entry.d_un.d_val;
			break;
		default:
			break;
		}
	}
	return 0;
}

/* Whether [vaddr, vaddr + bytes) is a table of entries of that size in the file, and where. */
static int table_find(const struct elf_image *image, uint64_t vaddr, uint64_t bytes, uint64_t entry,
		      size_t size, uint64_t *off)
{
	uint64_t avail;

	if (entry != size || bytes % size || elf_image_offset(image, vaddr, off, &avail) ||
	    bytes > avail)
		return -EBADMSG;
	return bytes / size > ELF_IMAGE_RELOCS_MAX ? -E2BIG : 0;
}

static int rela_read(struct elf_image *image, const struct dynamic *dynamic)
{
	Elf64_Rela chunk[CHUNK];
	uint64_t off, cnt = dynamic->rela_bytes / sizeof(chunk[0]), part;
	int err;

	err = table_find(image, dynamic->rela, dynamic->rela_bytes, dynamic->rela_entry,
			 sizeof(chunk[0]), &off);
	for (uint64_t done = 0; !err && done < cnt; done += part) {
		part = cnt - done < CHUNK ? cnt - done : CHUNK;
		err = elf_image_read_exact(image->fd, chunk, part * sizeof(chunk[0]),
					   off + done * sizeof(chunk[0]));
		for (uint64_t i = 0; !err && i < part; i++) {
			const struct elf_reloc reloc = {
				.vaddr = chunk[i].r_offset,
				.addend = chunk[i].r_addend,
				.symbol = (uint32_t)ELF64_R_SYM(chunk[i].r_info),
				.kind = reloc_kind_of(image->machine,
						      (uint32_t)ELF64_R_TYPE(chunk[i].r_info)),
			};

			err = reloc_add(&image->relocs, &reloc);
		}
	}
	return err;
}

/* An even word is the address of a pointer, an odd one says by its other bits which of the 63
 * pointers after the last ones are meant as well. */
static int relr_word_take(struct elf_relocs *relocs, uint64_t word, uint64_t *next)
{
	struct elf_reloc reloc = { .vaddr = word, .kind = RELOC_IN_PLACE };
	int err = 0;

	if (!(word & 1)) {
		*next = word + 8;
		return reloc_add(relocs, &reloc);
	}
	for (uint64_t i = 0, bits = word >> 1; !err && bits; i++, bits >>= 1) {
		reloc.vaddr = *next + i * 8;
		if (bits & 1)
			err = reloc_add(relocs, &reloc);
	}
	*next += 63 * 8;
	return err;
}

static int relr_read(struct elf_image *image, const struct dynamic *dynamic)
{
	uint64_t chunk[CHUNK];
	uint64_t off, next = 0, cnt = dynamic->relr_bytes / sizeof(chunk[0]), part;
	int err;

	err = table_find(image, dynamic->relr, dynamic->relr_bytes, dynamic->relr_entry,
			 sizeof(chunk[0]), &off);
	for (uint64_t done = 0; !err && done < cnt; done += part) {
		part = cnt - done < CHUNK ? cnt - done : CHUNK;
		err = elf_image_read_exact(image->fd, chunk, part * sizeof(chunk[0]),
					   off + done * sizeof(chunk[0]));
		for (uint64_t i = 0; !err && i < part; i++)
			err = relr_word_take(&image->relocs, chunk[i], &next);
	}
	return err;
}

static int relocs_read(struct elf_image *image)
{
	struct elf_relocs *relocs = &image->relocs;
	struct dynamic dynamic = { 0 };
	int err;

	err = dynamic_read(image, &dynamic);
	if (!err && dynamic.rela_bytes)
		err = rela_read(image, &dynamic);
	if (!err && dynamic.relr_bytes)
		err = relr_read(image, &dynamic);
	if (!err && dynamic.symtab && dynamic.symbol_entry != sizeof(Elf64_Sym))
		err = -EBADMSG;
	if (err)
		return err;
	relocs->symtab = dynamic.symtab;
	if (relocs->cnt)
		qsort(relocs->table, relocs->cnt, sizeof(*relocs->table), reloc_compare);
	return 0;
}

static int symbol_value(const struct elf_image *image, uint32_t index, uint64_t bias,
			uint64_t *value)
{
	uint64_t off, avail;
	Elf64_Sym sym;
	int err;

	if (!index)
		return -EBADMSG;
	if (elf_image_offset(image, image->relocs.symtab + index * sizeof(sym), &off, &avail) ||
	    avail < sizeof(sym))
		return -EBADMSG;
	err = elf_image_read_exact(image->fd, &sym, sizeof(sym), off);
	if (err)
		return err;
	if (sym.st_shndx == SHN_UNDEF)
		return -ENOENT;
	*value = sym.st_shndx == SHN_ABS ? sym.st_value : sym.st_value + bias;
	return 0;
}

int elf_image_pointer(struct elf_image *image, uint64_t vaddr, uint64_t bias, uint64_t *value)
{
	struct elf_relocs *relocs = &image->relocs;
	struct elf_reloc key = { .vaddr = vaddr };
	const struct elf_reloc *reloc = NULL;
	uint64_t off, avail, base;
	int err;

	if (!relocs->read) {
		relocs->err = relocs_read(image);
		relocs->read = true;
	}
	if (relocs->err)
		return relocs->err;
	err = elf_image_offset(image, vaddr, &off, &avail);
	if (err)
		return err;
	if (avail < sizeof(*value))
		return -EFAULT;
	if (relocs->cnt)
		reloc = bsearch(&key, relocs->table, relocs->cnt, sizeof(key), reloc_compare);
	if (!reloc)
		return elf_image_read_exact(image->fd, value, sizeof(*value), off);
	switch ((enum reloc_kind)reloc->kind) {
	case RELOC_RELATIVE:
		*value = bias + (uint64_t)reloc->addend;
		return 0;
	case RELOC_IN_PLACE:
		err = elf_image_read_exact(image->fd, value, sizeof(*value), off);
		if (!err)
			*value += bias;
		return err;
	case RELOC_SYMBOL:
		err = symbol_value(image, reloc->symbol, bias, &base);
		if (!err)
			*value = base + (uint64_t)reloc->addend;
		return err;
	case RELOC_OTHER:
		break;
	}
	return -EBADMSG;
}
