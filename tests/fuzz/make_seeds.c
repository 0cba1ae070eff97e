/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * make_seeds.c - seeds for the fuzz targets: make_seeds OUTPUT GOLDEN. Each golden file goes in as it is,
 * and with its payloads decompressed, where changes reach what is inside.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zstd.h>

#include "file_format.h"
#include "fuzz.h"

#define QSLOG_TAG "seed"
#include "qslog.h"

#define UNPACKED_MAX (4u << 20)

struct bytes {
	uint8_t *data;
	size_t size;
};

static const char *output;

static struct bytes load(const char *path)
{
	struct bytes b = { NULL, 0 };
	FILE *in = fopen(path, "rb");
	struct stat st;

	if (!in)
		return b;
	if (fstat(fileno(in), &st) == 0) {
		b.data = malloc((size_t)st.st_size + 1);
		if (b.data)
			b.size = fread(b.data, 1, (size_t)st.st_size, in);
	}
	fclose(in);
	return b;
}

static FILE *seed(const char *target, const char *name, const char *kind)
{
	char path[512];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", output, target);
	(void)mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/%s/%s%s", output, target, name, kind);
	out = fopen(path, "wb");
	if (!out) {
		perror(path);
		exit(1);
	}
	return out;
}

/* The same file without compression. Checksums are those of before: nobody looks. Offsets of an index
 * are put right. */
static struct bytes unpacked(struct bytes from)
{
	struct bytes to = { malloc(from.size + UNPACKED_MAX), 0 };
	size_t at = 0, moved[4096][2], cnt = 0;
	struct file_block_header h;

	while (from.size - at >= sizeof(h) && cnt < 4096) {
		size_t raw;

		memcpy(&h, from.data + at, sizeof(h));
		if (to.size > UNPACKED_MAX - 65536 || memcmp(h.magic, FILE_BLOCK_MAGIC, 8) != 0 || h.header_bytes > from.size - at ||
		    h.stored_bytes > from.size - at - h.header_bytes || h.raw_bytes > 65536)
			break;
		moved[cnt][0] = at;
		moved[cnt++][1] = to.size;
		memcpy(to.data + to.size, from.data + at, h.header_bytes);
		raw = h.stored_bytes;
		if (h.compression == FILE_COMPRESSION_ZSTD)
			raw = ZSTD_decompress(to.data + to.size + h.header_bytes, 65536,
					      from.data + at + h.header_bytes, h.stored_bytes);
		else
			memcpy(to.data + to.size + h.header_bytes, from.data + at + h.header_bytes, raw);
		if (ZSTD_isError(raw))
			break;
		at += h.header_bytes + h.stored_bytes;
		h.compression = FILE_COMPRESSION_NONE;
		h.stored_bytes = h.raw_bytes = (uint32_t)raw;
		memcpy(to.data + to.size, &h, sizeof(h));
		for (size_t i = 0; h.kind == FILE_BLOCK_INDEX && i < raw / 72 && raw > 40; i++) {
			uint8_t *entry = to.data + to.size + h.header_bytes + 40 + i * 72;
			uint64_t offset;

			memcpy(&offset, entry, 8);
			for (size_t k = 0; k < cnt; k++) {
				if (moved[k][0] != offset)
					continue;
				offset = moved[k][1];
				memcpy(entry, &offset, 8);
				memcpy(&h, to.data + offset, sizeof(h));
				memcpy(entry + 60, &h.stored_bytes, 4);
				memcpy(entry + 64, &h.raw_bytes, 4);
				break;
			}
			memcpy(&h, to.data + to.size, sizeof(h));
		}
		to.size += h.header_bytes + h.stored_bytes;
	}
	memcpy(to.data + to.size, from.data + at, from.size - at);
	if (from.size - at == sizeof(struct file_trailer) && cnt)
		memcpy(to.data + to.size, &(uint64_t){ moved[cnt - 1][1] }, 8);
	to.size += from.size - at;
	to.data = realloc(to.data, to.size + 1);
	return to;
}

static void put(const char *target, const char *name, const char *kind, const void *first,
		size_t first_bytes, struct bytes file)
{
	FILE *out = seed(target, name, kind);

	fwrite(first, 1, first_bytes, out);
	fwrite(file.data, 1, file.size, out);
	fclose(out);
}

static void put_parts(const char *target, const char *name, const char *kind, struct bytes file,
		      struct bytes tail, struct bytes last)
{
	FILE *out = seed(target, name, kind);

	fuzz_part_put(out, file.data, file.size, 0);
	fuzz_part_put(out, tail.data, tail.size, 0);
	fuzz_part_put(out, last.data, last.size, 1);
	fclose(out);
}

static void golden_take(const char *folder, const char *name)
{
	static struct bytes before;
	const struct bytes none = { NULL, 0 };
	uint8_t hint[17] = { 0 };
	char path[512];
	struct bytes file, tail, raw;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = load(path);
	strcat(path, ".tail");
	tail = load(path);
	if (file.size > 200000)
		return;
	raw = unpacked(file);
	hint[0] = 4;
	put("reader", name, "", hint, 0, file);
	put("reader", name, ".raw", hint, 0, raw);
	put("index", name, ".raw", hint, sizeof(hint), raw);
	put_parts("recover", name, "", file, tail, none);
	put_parts("recover", name, ".raw", raw, tail, none);
	put_parts("merge", name, ".raw", before, tail, raw);
	before = raw;
}

/* Hexadecimal with comments becomes bytes. */
static void classic_take(const char *folder, const char *name)
{
	char path[512];
	struct bytes hex;
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	hex = load(path);
	out = seed("classic", name, "");
	for (size_t at = 0; at < hex.size; at++) {
		const char *digits = (const char *)hex.data + at;
		char two[3] = { 0 };

		if (*digits == '#') {
			while (at < hex.size && hex.data[at] != '\n')
				at++;
		} else if (strchr("0123456789abcdef", *digits) && at + 1 < hex.size) {
			memcpy(two, digits, 2);
			fputc((int)strtoul(two, NULL, 16), out);
			at++;
		}
	}
	fclose(out);
}

/* A process that dies in in-process mode, and leaves a file, its tail and its memory. */
static void memory_make(void)
{
	char folder[512], path[560], found[1024] = "";
	const struct bytes none = { NULL, 0 };
	struct bytes file, tail, memory;
	struct dirent *entry;
	FILE *out;
	pid_t pid;
	DIR *dir;

	snprintf(folder, sizeof(folder), "%s/memory", output);
	(void)mkdir(folder, 0755);
	snprintf(path, sizeof(path), "%s/left.qslog", folder);
	pid = fork();
	if (!pid) {
		struct qslog_options o = QSLOG_OPTIONS_INIT;

		o.path = path;
		o.arena_bytes = 256u << 10;
		o.flush_ms = 60000;
		if (qslog_start(&o))
			_exit(1);
		for (int i = 0; i < 40; i++) {
			QSLOG_SPAN("seed", "i={}", i);
			QSLOGI("value {} {} {}", i, i * 0.1, "text");
			if (i == 20)
				qslog_flush();
		}
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	dir = opendir(folder);
	while (dir && (entry = readdir(dir))) {
		if (!strncmp(entry->d_name, "qslog-", 6))
			snprintf(found, sizeof(found), "%s/%s", folder, entry->d_name);
	}
	if (dir)
		closedir(dir);
	file = load(path);
	strcat(path, ".tail");
	tail = load(path);
	memory = load(found);
	if (!memory.size) {
		fprintf(stderr, "make_seeds: no memory was left in %s\n", folder);
		exit(1);
	}
	out = seed("recover", "memory", "");
	fuzz_part_put(out, file.data, file.size, 0);
	fuzz_part_put(out, tail.data, tail.size, 0);
	/* runs that are not zero; size and first offset before them: see fuzz_recover.c */
	for (size_t at = 0, first = 1; at < memory.size;) {
		uint32_t size = (uint32_t)memory.size, offset, run = 0;

		while (at < memory.size && !memory.data[at])
			at++;
		offset = (uint32_t)at;
		for (uint32_t zeros = 0; at < memory.size && zeros < 16; at++) {
			zeros = memory.data[at] ? 0 : zeros + 1;
			run++;
		}
		if (first)
			fwrite(&size, 4, 1, out);
		fwrite(&offset, first ? 4 : 3, 1, out);
		first = 0;
		fuzz_part_put(out, memory.data + offset, run, 0);
	}
	fclose(out);
	put_parts("recover", "memory", ".none", file, tail, none);
	unlink(found);
}

/* Operations of fuzz_writer.c: sites, then batches of their records. */
static void writer_make(void)
{
	static const uint8_t types[] = { QSLOG_ARG_UINT64, QSLOG_ARG_STR, QSLOG_ARG_DOUBLE };
	FILE *out = seed("writer", "records", "");
	unsigned i, k;

	fputc(1, out); /* with a tail */
	for (i = 0; i < 8; i++) {
		uint64_t line = i;

		fputc(9, out);
		fputc((int)(i % 3), out); /* kind: log, span, line */
		fputc((int)(i % 6), out);
		fputc(i % 3 == 0 ? 3 : 0, out);
		for (k = 0; k < 3 && i % 3 == 0; k++)
			fputc(types[k], out);
		fwrite(&line, 8, 1, out);
		fwrite("a {} {} {}", 1, 9, out);
	}
	for (i = 0; i < 200; i++) {
		uint64_t log[7] = { 7ull << 48 | (i % 2 ? 0 : 3), i * 1000, i, 5ull << 32 | 5,
				    0x6f6c6c6568, 0x3fb999999999999a, 0 };
		uint64_t enter[2] = { 2ull << 48 | 1, i * 1000 + 10 };
		uint64_t leave[3] = { 1ull << 63 | 3ull << 48 | 1, i * 1000 + 20, i * 1000 };
		uint64_t line[6] = { 6ull << 48 | 2, i * 1000 + 1, i, ~(uint64_t)i, 9,
				     1ull << QSLOG_LINE_DEPTH_SHIFT | 1 };

		log[0] = 6ull << 48 | (log[0] & 0xffff);
		fputc(0, out);
		fputc((int)(i % 3), out); /* arena */
		fputc(0, out);
		fputc(6 + 2 + 3 + 6, out);
		fputc(0, out);
		fwrite(line, 8, 6, out);
		fwrite(enter, 8, 2, out);
		fwrite(log, 8, 6, out);
		fwrite(leave, 8, 3, out);
		if (i % 20 == 0)
			fputc(5, out);
	}
	fclose(out);
}

static void message_make(void)
{
	static const char *const formats[] = {
		"plain", "{} {}", "{name:>8} {other:x}", "{0:#010x} {1}", "{:{}.{}f}", "{{}} {:?}", "{:+.3e}",
		"{:*^30} {:<5c}", "}{", "{:", "{:p} {:08.3f} {:s}",
	};

	for (unsigned i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		char name[16];
		FILE *out;

		snprintf(name, sizeof(name), "format%u", i);
		out = seed("message", name, "");
		fputc(3, out);
		fputc((int)(i % 10 < 6 ? i % 10 : 3), out); /* a type of fixed size */
		fwrite("\x2a\0\0\0\0\0\0\0", 1, i % 10 <= QSLOG_ARG_UINT8 ? 1 : 8, out);
		fputc(QSLOG_ARG_STR, out);
		fwrite("\5\0hello", 1, 7, out);
		fputc(QSLOG_ARG_INT64, out);
		fwrite("\3\0\0\0\0\0\0\0", 1, 8, out);
		fwrite(formats[i], 1, strlen(formats[i]), out);
		fclose(out);
	}
}

int main(int argc, char **argv)
{
	struct dirent **entries = NULL;
	int cnt;

	if (argc != 3)
		return 2;
	output = argv[1];
	cnt = scandir(argv[2], &entries, NULL, alphasort);
	for (int i = 0; i < cnt; i++) {
		const char *dot = strrchr(entries[i]->d_name, '.');

		if (dot && !strcmp(dot, ".qslog"))
			golden_take(argv[2], entries[i]->d_name);
		else if (dot && !strcmp(dot, ".hex"))
			classic_take(argv[2], entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	memory_make();
	writer_make();
	message_make();
	return 0;
}
