/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_process.c - what the tracer reads about a process before it attaches: a part that is /proc/PID/maps,
 * then an ELF file with its notes, segments and relocations, and the sites in it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "elf_image.h"
#include "elf_notes.h"
#include "fuzz.h"
#include "probe_attach.h"
#include "proc_maps.h"
#include "site_read.h"

#define BIAS 0x555500000000u

static void maps_look(struct fuzz_input text)
{
	const struct proc_map **files = NULL;
	struct proc_maps maps;
	size_t cnt = 0, i;
	int fd = open(fuzz_file("maps", text), O_RDONLY);

	FUZZ_CHECK(fd >= 0);
	if (proc_maps_read_fd(&maps, fd) == 0) {
		for (i = 0; i < maps.cnt; i++) {
			FUZZ_CHECK(maps.maps[i].start < maps.maps[i].end);
			FUZZ_CHECK(proc_maps_find(&maps, maps.maps[i].start) == &maps.maps[i]);
			FUZZ_CHECK(!i || maps.maps[i].start >= maps.maps[i - 1].end);
			FUZZ_CHECK(strlen(maps.maps[i].path) <= text.size);
		}
		FUZZ_CHECK(proc_maps_files(&maps, &files, &cnt) == 0 && cnt <= maps.cnt);
		free(files);
		proc_maps_free(&maps);
	}
	close(fd);
}

static ssize_t image_read(void *ctx, uint64_t addr, void *buf, size_t len)
{
	return elf_image_read(ctx, addr - BIAS, buf, len);
}

static int image_pointer(void *ctx, uint64_t addr, uint64_t *value)
{
	return elf_image_pointer(ctx, addr - BIAS, BIAS, value);
}

static void sites_look(struct elf_image *image)
{
	const struct site_source source = { .read = image_read, .pointer = image_pointer, .ctx = image };
	uint64_t first, end, addr, off, avail, bias;
	struct writer_format *format;
	size_t bytes;
	int i;

	elf_image_extent(image, &first, &end);
	FUZZ_CHECK(first <= end);
	(void)elf_image_bias(image, BIAS + 0x1000, 0x1000, 0x1000, &bias);
	for (i = 0, addr = first; i < 512 && addr < end; i++, addr += 8) {
		if (elf_image_offset(image, addr, &off, &avail) == 0)
			FUZZ_CHECK(avail > 0);
		(void)elf_image_semaphore_offset(image, addr, &off);
	}
	/* where a section of data usually begins, and its end */
	for (i = 0; i < 256; i++) {
		addr = i < 128 ? end - 8 * (uint64_t)i : (first | 0x3000) + 8 * (uint64_t)(i - 128);
		if (site_read(&source, BIAS + addr, &format, &bytes) == 0)
			free(format);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size }, maps = fuzz_part(&input);
	struct probe_file *probes = malloc(sizeof(*probes));
	struct elf_image *image;
	struct elf_notes notes;
	int fd;

	FUZZ_CHECK(probes);
	maps_look(maps);
	fd = open(fuzz_file("elf", input), O_RDONLY);
	FUZZ_CHECK(fd >= 0);
	if (elf_notes_read(fd, &notes) == 0) {
		FUZZ_CHECK(notes.cnt <= ELF_PROBES_MAX);
		for (size_t i = 0; i < notes.cnt; i++)
			FUZZ_CHECK(strnlen(notes.probes[i].name, ELF_PROBE_NAME_MAX) < ELF_PROBE_NAME_MAX);
		probe_file_init(probes, &notes);
		elf_notes_free(&notes);
	}
	if (elf_image_open(&image, fd) == 0) {
		sites_look(image);
		elf_image_close(image);
	}
	close(fd);
	free(probes);
	return 0;
}
