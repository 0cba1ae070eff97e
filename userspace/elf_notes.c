/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * elf_notes.c - see elf_notes.h. libelf finds the sections; the notes are taken apart here:
 *
 *     u32 name size (8), u32 description size, u32 type (3), "stapsdt\0",
 *     u64 address, u64 address of .stapsdt.base at link time, u64 address of the semaphore or 0,
 *     provider\0 name\0 arguments\0, padding to 4 bytes
 *
 * Where prelink has moved the file, the section .stapsdt.base is no longer at the address that the
 * note says, and the difference applies to both other addresses.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <gelf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "elf_image.h"
#include "elf_notes.h"

#define STAPSDT_NAME "stapsdt"
#define STAPSDT_TYPE 3u
#define STAPSDT_WORDS_BYTES 24u
#define PROVIDER "qslog"
#define NOTES_BYTES_MAX (64u << 20) /* and of the section names: libelf takes them whole */

struct notes_reader {
	const struct elf_image *image;
	struct elf_notes *out;
	size_t room;
	bool has_base;
	uint64_t base; /* where .stapsdt.base is */
};

/* Takes the NUL-terminated string at *at, which has to end before `end`; 0 or -EBADMSG. */
static int string_take(const char **at, const char *end, const char **string, size_t *len)
{
	const char *nul = memchr(*at, 0, (size_t)(end - *at));

	if (!nul)
		return -EBADMSG;
	*string = *at;
	*len = (size_t)(nul - *at);
	*at = nul + 1;
	return 0;
}

static int probe_add(struct notes_reader *reader, const struct elf_probe *probe)
{
	struct elf_notes *out = reader->out;

	if (out->cnt == ELF_PROBES_MAX)
		return -E2BIG;
	if (out->cnt == reader->room) {
		size_t room = reader->room ? reader->room * 2 : 8;
		struct elf_probe *grown = reallocarray(out->probes, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		out->probes = grown;
		reader->room = room;
	}
	out->probes[out->cnt++] = *probe;
	return 0;
}

static int probe_read(struct notes_reader *reader, const char *desc, size_t desc_bytes)
{
	const char *at = desc + STAPSDT_WORDS_BYTES, *end = desc + desc_bytes;
	const char *provider, *name, *args;
	size_t provider_len, name_len, args_len;
	struct elf_probe probe = { 0 };
	uint64_t words[3];
	int err;

	if (desc_bytes < STAPSDT_WORDS_BYTES)
		return -EBADMSG;
	memcpy(words, desc, sizeof(words));
	err = string_take(&at, end, &provider, &provider_len);
	if (!err)
		err = string_take(&at, end, &name, &name_len);
	if (!err)
		err = string_take(&at, end, &args, &args_len);
	if (err)
		return err;
	if (strcmp(provider, PROVIDER))
		return 0;
	if (!name_len || name_len >= sizeof(probe.name) || args_len >= sizeof(probe.args))
		return -EBADMSG;
	memcpy(probe.name, name, name_len);
	memcpy(probe.args, args, args_len);
	probe.vaddr = words[0];
	probe.semaphore_vaddr = words[2];
	if (reader->has_base && words[1]) {
		probe.vaddr += reader->base - words[1];
		if (probe.semaphore_vaddr)
			probe.semaphore_vaddr += reader->base - words[1];
	}
	if (elf_image_offset(reader->image, probe.vaddr, &probe.file_off, NULL))
		return -EBADMSG;
	if (probe.semaphore_vaddr &&
	    elf_image_semaphore_offset(reader->image, probe.semaphore_vaddr,
				       &probe.semaphore_file_off))
		return -EBADMSG;
	return probe_add(reader, &probe);
}

static uint64_t pad4(uint32_t bytes)
{
	return ((uint64_t)bytes + 3) & ~(uint64_t)3;
}

static int notes_section_read(struct notes_reader *reader, const char *data, size_t bytes)
{
	while (bytes) {
		uint32_t head[3]; /* name size, description size, type */
		uint64_t name_bytes, note_bytes;
		int err = 0;

		if (bytes < sizeof(head))
			return -EBADMSG;
		memcpy(head, data, sizeof(head));
		name_bytes = pad4(head[0]);
		if (sizeof(head) + name_bytes + head[1] > bytes)
			return -EBADMSG;
		if (head[0] == sizeof(STAPSDT_NAME) && head[2] == STAPSDT_TYPE &&
		    !memcmp(data + sizeof(head), STAPSDT_NAME, sizeof(STAPSDT_NAME)))
			err = probe_read(reader, data + sizeof(head) + name_bytes, head[1]);
		if (err)
			return err;
		note_bytes = sizeof(head) + name_bytes + pad4(head[1]);
		if (note_bytes > bytes) /* the last one need not be padded */
			note_bytes = bytes;
		data += note_bytes;
		bytes -= note_bytes;
	}
	return 0;
}

/* Calls `take` for every section of that name. */
static int sections_each(Elf *elf, const char *wanted, struct notes_reader *reader,
			 int (*take)(struct notes_reader *reader, Elf_Scn *scn,
				     const GElf_Shdr *shdr))
{
	Elf_Scn *scn = NULL;
	GElf_Shdr names_shdr;
	size_t names;

	if (elf_getshdrstrndx(elf, &names) || !gelf_getshdr(elf_getscn(elf, names), &names_shdr))
		return -EBADMSG;
	if (names_shdr.sh_size > NOTES_BYTES_MAX)
		return -E2BIG;
	while ((scn = elf_nextscn(elf, scn))) {
		const char *name;
		GElf_Shdr shdr;
		int err;

		if (!gelf_getshdr(scn, &shdr))
			return -EBADMSG;
		name = elf_strptr(elf, names, shdr.sh_name);
		if (!name)
			return -EBADMSG;
		if (strcmp(name, wanted))
			continue;
		err = take(reader, scn, &shdr);
		if (err)
			return err;
	}
	return 0;
}

static int base_take(struct notes_reader *reader, Elf_Scn *scn, const GElf_Shdr *shdr)
{
	(void)scn;
	reader->has_base = true;
	reader->base = shdr->sh_addr;
	return 0;
}

static int notes_take(struct notes_reader *reader, Elf_Scn *scn, const GElf_Shdr *shdr)
{
	Elf_Data *data;

	/* a file of separate debug information has the header and no content */
	if (shdr->sh_type == SHT_NOBITS)
		return 0;
	if (shdr->sh_type != SHT_NOTE || (shdr->sh_flags & SHF_COMPRESSED))
		return -EBADMSG;
	if (shdr->sh_size > NOTES_BYTES_MAX)
		return -E2BIG;
	data = elf_rawdata(scn, NULL);
	if (!data || data->d_size != shdr->sh_size || (data->d_size && !data->d_buf))
		return -EBADMSG;
	return notes_section_read(reader, data->d_buf, data->d_size);
}

int elf_notes_read(int fd, struct elf_notes *out)
{
	struct notes_reader reader = { .out = out };
	struct elf_image *image = NULL;
	Elf *elf = NULL;
	GElf_Ehdr ehdr;
	size_t sections;
	int err;

	memset(out, 0, sizeof(*out));
	if (elf_version(EV_CURRENT) == EV_NONE)
		return -ENOTSUP;
	err = elf_image_open(&image, fd);
	if (err)
		return err;
	reader.image = image;
	err = -EBADMSG;
	elf = elf_begin(elf_image_fd(image), ELF_C_READ, NULL);
	/* libelf shows no sections where the table is beyond the end of a cut file */
	if (!elf || !gelf_getehdr(elf, &ehdr) || elf_getshdrnum(elf, &sections) ||
	    sections != ehdr.e_shnum)
		goto cleanup;
	err = 0;
	if (!sections)
		goto cleanup;
	err = sections_each(elf, ".stapsdt.base", &reader, base_take);
	if (!err)
		err = sections_each(elf, ".note.stapsdt", &reader, notes_take);
cleanup:
	elf_end(elf);
	elf_image_close(image);
	if (err)
		elf_notes_free(out);
	return err;
}

void elf_notes_free(struct elf_notes *notes)
{
	if (!notes)
		return;
	free(notes->probes);
	memset(notes, 0, sizeof(*notes));
}

const struct elf_probe *elf_notes_find(const struct elf_notes *notes, const char *name,
				       const struct elf_probe *after)
{
	size_t i = after ? (size_t)(after - notes->probes) + 1 : 0;

	for (; i < notes->cnt; i++) {
		if (!strcmp(notes->probes[i].name, name))
			return &notes->probes[i];
	}
	return NULL;
}
