/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_elf_notes.c - the probes of real files against the running program, of files made here byte
 * by byte with every defect that a note can have, and of damaged real files.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "elf_notes.h"
#include "proc_maps.h"
#include "sites_child.h"

/* ---- real files ---- */

struct state {
	char dir[256];
	struct sites_child child;
};

static int setup(void **state)
{
	struct state *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	sites_dir_make(s->dir, sizeof(s->dir));
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct state *s = *state;

	sites_child_kill(&s->child);
	sites_dir_remove(s->dir);
	free(s);
	return 0;
}

static bool is_nop(const unsigned char *code)
{
#ifdef __aarch64__
	return !memcmp(code, "\x1f\x20\x03\xd5", 4);
#else
	return code[0] == 0x90;
#endif
}

/* The probe is where the notes say, in the file and in memory, and so is its semaphore. */
static void probe_check(const struct sites_child *child, int fd, const struct elf_probe *probe,
			uint64_t bias, const char *semaphore)
{
	unsigned char code[4], file_code[4];
	uint64_t addr = probe->semaphore_vaddr + bias;
	struct iovec local, remote;
	uint16_t value = 7;

	assert_int_equal(process_read(child->pid, probe->vaddr + bias, code, sizeof(code)), 0);
	assert_true(is_nop(code));
	assert_int_equal(pread(fd, file_code, sizeof(file_code), (off_t)probe->file_off),
			 sizeof(file_code));
	assert_memory_equal(code, file_code, sizeof(code));

	assert_int_equal(addr, sites_child_address(child, semaphore));
	local = (struct iovec){ &value, sizeof(value) };
	remote = (struct iovec){ (void *)(uintptr_t)addr, sizeof(value) };
	assert_int_equal(process_vm_writev(child->pid, &local, 1, &remote, 1, 0), sizeof(value));
	value = 0;
	assert_int_equal(process_semaphore_read(child->pid, addr, &value), 0);
	assert_int_equal(value, 7);
	value = 7;
	assert_int_equal(pread(fd, &value, sizeof(value), (off_t)probe->semaphore_file_off),
			 sizeof(value));
	assert_int_equal(value, 0);
}

/* The notes of the file that has the address, as a tracer gets at them. */
static int notes_of(const struct sites_child *child, const char *semaphore, struct elf_notes *notes,
		    uint64_t *bias)
{
	uint64_t addr = sites_child_address(child, semaphore);
	const struct proc_map **files, *data;
	struct elf_image *image = NULL;
	struct proc_maps maps;
	size_t cnt;
	int fd = -1;

	assert_int_equal(proc_maps_read(&maps, child->pid), 0);
	data = proc_maps_find(&maps, addr);
	assert_non_null(data);
	assert_int_equal(proc_maps_files(&maps, &files, &cnt), 0);
	for (size_t i = 0; i < cnt; i++) {
		if (files[i]->inode != data->inode || files[i]->dev != data->dev)
			continue;
		assert_int_equal(fd, -1);
		assert_true(files[i]->perms & PROC_MAP_EXEC);
		fd = proc_map_open(child->pid, files[i]);
		assert_true(fd >= 0);
		assert_int_equal(proc_map_load(child->pid, files[i], &image, bias), 0);
		elf_image_close(image);
	}
	assert_true(fd >= 0);
	free(files);
	proc_maps_free(&maps);
	assert_int_equal(elf_notes_read(fd, notes), 0);
	return fd;
}

static void program_check(void **state, const char *flags, bool unlinked)
{
	struct state *s = *state;
	const struct elf_probe *probe;
	struct elf_notes notes;
	char path[512];
	uint64_t bias;
	int fd;

	assert_true(sites_compile("prog.c", s->dir, "prog", flags));
	assert_true(sites_compile("lib.c", s->dir, "lib.so", "-fPIC -shared"));
	sites_child_start(&s->child, s->dir, "prog");
	sites_child_tell(&s->child, "+", s->dir, "lib.so");
	if (unlinked) {
		snprintf(path, sizeof(path), "%s/prog", s->dir);
		assert_int_equal(unlink(path), 0);
		snprintf(path, sizeof(path), "%s/lib.so", s->dir);
		assert_int_equal(unlink(path), 0);
		/* a file of that name is there again, and is not the one */
		assert_true(sites_compile("lib.c", s->dir, "prog", "-fPIC -shared"));
	}

	fd = notes_of(&s->child, "prog_semaphore", &notes, &bias);
	assert_int_equal(notes.cnt, 3); /* not the one of the other provider */
	probe = elf_notes_find(&notes, "prog_probe", NULL);
	assert_non_null(probe);
	assert_string_equal(probe->args, "4@$1");
	probe_check(&s->child, fd, probe, bias, "prog_semaphore");
	probe = elf_notes_find(&notes, "prog_probe", probe);
	assert_non_null(probe);
	assert_string_equal(probe->args, "4@$2");
	assert_null(elf_notes_find(&notes, "prog_probe", probe));
	probe = elf_notes_find(&notes, "bare_probe", NULL);
	assert_non_null(probe);
	assert_string_equal(probe->args, "");
	assert_int_equal(probe->semaphore_vaddr, 0);
	assert_int_equal(probe->semaphore_file_off, 0);
	elf_notes_free(&notes);
	close(fd);

	fd = notes_of(&s->child, "lib_semaphore", &notes, &bias);
	assert_int_equal(notes.cnt, 1);
	assert_string_equal(notes.probes[0].name, "lib_probe");
	assert_string_equal(notes.probes[0].args, "4@$7");
	probe_check(&s->child, fd, &notes.probes[0], bias, "lib_semaphore");
	elf_notes_free(&notes);
	close(fd);
}

static void test_pie(void **state)
{
	program_check(state, "-fPIE -pie", false);
}

static void test_non_pie(void **state)
{
	program_check(state, "-fno-PIE -no-pie", false);
}

static void test_stripped(void **state)
{
	program_check(state, "-fPIE -pie -s", false);
}

static void test_deleted(void **state)
{
	program_check(state, "-fPIE -pie", true);
}

/* Opens DIR/NAME with what is in it now. */
static unsigned char *file_bytes(const char *dir, const char *name, size_t *len)
{
	unsigned char *bytes;
	char path[512];
	FILE *file;
	long end;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "rb");
	assert_non_null(file);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	end = ftell(file);
	assert_true(end > 0);
	rewind(file);
	bytes = malloc((size_t)end);
	assert_non_null(bytes);
	assert_int_equal(fread(bytes, 1, (size_t)end, file), end);
	fclose(file);
	*len = (size_t)end;
	return bytes;
}

static int memory_file(const void *bytes, size_t len)
{
	int fd = memfd_create("elf", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	return fd;
}

/* Everything that may be asked of a file, whatever it holds: no crash, no endless work. */
static int file_use(int fd)
{
	struct elf_image *image;
	struct elf_notes notes;
	int err;

	err = elf_notes_read(fd, &notes);
	if (err) {
		assert_true(err < 0);
		assert_null(notes.probes);
		assert_true(strlen(elf_image_strerror(err)) > 0);
	}
	elf_notes_free(&notes);
	if (!elf_image_open(&image, fd)) {
		uint64_t first, end, value, bias;
		char buf[64];

		elf_image_extent(image, &first, &end);
		for (uint64_t at = 0; at < 64; at++) {
			uint64_t vaddr = first + (end - first) / 64 * at / 8 * 8;

			if (!elf_image_pointer(image, vaddr, 0x1000, &value))
				assert_true(elf_image_read(image, vaddr, buf, sizeof(buf)) > 0);
			elf_image_bias(image, 0x10000, at * 4096, 4096, &bias);
		}
		elf_image_close(image);
	}
	return err;
}

static void test_truncated(void **state)
{
	struct state *s = *state;
	unsigned char *bytes;
	size_t len;

	assert_true(sites_compile("lib.c", s->dir, "lib.so", "-fPIC -shared -s"));
	bytes = file_bytes(s->dir, "lib.so", &len);
	for (size_t cut = 0; cut < len; cut += cut < 256 || len - cut < 256 ? 1 : 37) {
		int fd = memory_file(bytes, cut);

		/* the section headers come last */
		assert_int_equal(file_use(fd), cut < SELFMAG ? -ENOEXEC :
					       cut < EI_NIDENT ? -ENOEXEC :
								 -EBADMSG);
		close(fd);
	}
	free(bytes);
}

static void test_mutated(void **state)
{
	struct state *s = *state;
	uint64_t random = 88172645463325252ull;
	unsigned int errors = 0;
	unsigned char *bytes;
	size_t len;
	int fd;

	assert_true(sites_compile("lib.c", s->dir, "lib.so", "-fPIC -shared"));
	bytes = file_bytes(s->dir, "lib.so", &len);
	fd = memory_file(bytes, len);
	assert_true(len > 4096);
	assert_int_equal(file_use(fd), 0);
	for (int i = 0; i < 6000; i++) {
		unsigned char was[4], now[4];
		uint64_t at;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		/* the header and segments come first, the sections last */
		at = (random >> 8) % 3072;
		at = at < 1024 ? at : len - 4 - (at - 1024);
		memcpy(was, bytes + at, sizeof(was));
		memcpy(now, was, sizeof(now));
		if (random & 1)
			now[0] = (unsigned char)(random >> 56);
		else
			memset(now, random & 2 ? 0xff : 0, sizeof(now));
		assert_int_equal(pwrite(fd, now, sizeof(now), (off_t)at), sizeof(now));
		errors += file_use(fd) != 0;
		assert_int_equal(pwrite(fd, was, sizeof(was), (off_t)at), sizeof(was));
	}
	assert_int_equal(file_use(fd), 0);
	assert_true(errors > 100); /* the mutations did hit what matters */
	close(fd);
	free(bytes);
}

/* ---- files made here ---- */

enum { TEXT_OFF = 0x1000, DATA_OFF = 0x2000, NOTES_OFF = 0x3000, NAMES_OFF = 0x7000 };
enum { BYTES = 0x8000 };
enum { TEXT = 0x401000, DATA = 0x402000 };

struct made {
	unsigned char bytes[BYTES];
	Elf64_Ehdr *ehdr;
	Elf64_Phdr *phdrs; /* text, data */
	Elf64_Shdr *shdrs; /* none, notes, base, names */
};

static void make(struct made *m)
{
	static const char names[] = "\0.note.stapsdt\0.stapsdt.base\0.shstrtab";

	memset(m, 0, sizeof(*m));
	m->ehdr = (Elf64_Ehdr *)m->bytes;
	memcpy(m->ehdr->e_ident, ELFMAG, SELFMAG);
	m->ehdr->e_ident[EI_CLASS] = ELFCLASS64;
	m->ehdr->e_ident[EI_DATA] = ELFDATA2LSB;
	m->ehdr->e_ident[EI_VERSION] = EV_CURRENT;
	m->ehdr->e_type = ET_EXEC;
	m->ehdr->e_machine = EM_X86_64;
	m->ehdr->e_version = EV_CURRENT;
	m->ehdr->e_ehsize = sizeof(Elf64_Ehdr);
	m->ehdr->e_phoff = 0x100;
	m->ehdr->e_phentsize = sizeof(Elf64_Phdr);
	m->ehdr->e_phnum = 2;
	m->ehdr->e_shoff = 0x400;
	m->ehdr->e_shentsize = sizeof(Elf64_Shdr);
	m->ehdr->e_shnum = 4;
	m->ehdr->e_shstrndx = 3;
	m->phdrs = (Elf64_Phdr *)(m->bytes + 0x100);
	m->phdrs[0] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = TEXT_OFF,
				    .p_vaddr = TEXT, .p_filesz = 0x1000, .p_memsz = 0x1000,
				    .p_align = 0x1000 };
	m->phdrs[1] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = PF_R | PF_W, .p_offset = DATA_OFF,
				    .p_vaddr = DATA, .p_filesz = 0x800, .p_memsz = 0x1800,
				    .p_align = 0x1000 };
	m->shdrs = (Elf64_Shdr *)(m->bytes + 0x400);
	m->shdrs[1] = (Elf64_Shdr){ .sh_name = 1, .sh_type = SHT_NOTE, .sh_offset = NOTES_OFF,
				    .sh_addralign = 4 };
	m->shdrs[2] = (Elf64_Shdr){ .sh_name = 15, .sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC,
				    .sh_addr = TEXT + 0x800, .sh_offset = TEXT_OFF + 0x800,
				    .sh_size = 1, .sh_addralign = 1 };
	m->shdrs[3] = (Elf64_Shdr){ .sh_name = 29, .sh_type = SHT_STRTAB, .sh_offset = NAMES_OFF,
				    .sh_size = sizeof(names), .sh_addralign = 1 };
	memcpy(m->bytes + NAMES_OFF, names, sizeof(names));
}

static void put(struct made *m, const void *data, size_t len)
{
	assert_true(m->shdrs[1].sh_size + len <= NAMES_OFF - NOTES_OFF);
	memcpy(m->bytes + NOTES_OFF + m->shdrs[1].sh_size, data, len);
	m->shdrs[1].sh_size += len;
}

static void put_pad(struct made *m)
{
	put(m, "\0\0\0", (4 - m->shdrs[1].sh_size % 4) % 4);
}

/* A note; `desc_bytes` includes the three addresses. */
static void put_note(struct made *m, const char *owner, uint32_t type, uint64_t addr, uint64_t base,
		     uint64_t semaphore, const char *strings, size_t strings_bytes)
{
	uint32_t head[3] = { (uint32_t)strlen(owner) + 1, (uint32_t)(24 + strings_bytes), type };
	uint64_t words[3] = { addr, base, semaphore };

	put(m, head, sizeof(head));
	put(m, owner, strlen(owner) + 1);
	put_pad(m);
	put(m, words, sizeof(words));
	put(m, strings, strings_bytes);
	put_pad(m);
}

#define STRINGS(s) s, sizeof(s) /* with the last NUL */

static int read_made(struct made *m, struct elf_notes *notes)
{
	int fd = memory_file(m->bytes, sizeof(m->bytes)), err;

	err = elf_notes_read(fd, notes);
	close(fd);
	if (err) {
		assert_null(notes->probes);
		assert_int_equal(notes->cnt, 0);
	}
	return err;
}

static int made_error(struct made *m)
{
	struct elf_notes notes;
	int err = read_made(m, &notes);

	elf_notes_free(&notes);
	return err;
}

static void put_good(struct made *m)
{
	put_note(m, "stapsdt", 3, TEXT + 0x10, TEXT + 0x800, DATA + 0x20,
		 STRINGS("qslog\0batch\0" "8@%rdi -4@$5"));
}

static void test_made(void **state)
{
	struct elf_notes notes;
	struct made m;

	(void)state;
	make(&m);
	assert_int_equal(read_made(&m, &notes), 0); /* an empty section */
	assert_int_equal(notes.cnt, 0);
	put_note(&m, "stapsdt", 3, TEXT, 0, 0, STRINGS("libc\0longjmp\0" "x"));
	put_note(&m, "GNU", 3, 1, 2, 3, STRINGS("qslog\0x\0"));
	put_note(&m, "stapsdt", 4, 1, 2, 3, STRINGS("qslog\0x\0"));
	put_note(&m, "stapsdu", 3, 1, 2, 3, STRINGS("qslog\0x\0"));
	put_good(&m);
	assert_int_equal(read_made(&m, &notes), 0);
	assert_int_equal(notes.cnt, 1);
	assert_string_equal(notes.probes[0].name, "batch");
	assert_string_equal(notes.probes[0].args, "8@%rdi -4@$5");
	assert_int_equal(notes.probes[0].vaddr, TEXT + 0x10);
	assert_int_equal(notes.probes[0].file_off, TEXT_OFF + 0x10);
	assert_int_equal(notes.probes[0].semaphore_vaddr, DATA + 0x20);
	assert_int_equal(notes.probes[0].semaphore_file_off, DATA_OFF + 0x20);
	elf_notes_free(&notes);
	elf_notes_free(&notes);
	elf_notes_free(NULL);
}

static void test_prelink(void **state)
{
	struct elf_notes notes;
	struct made m;

	(void)state;
	make(&m);
	/* linked at another address, and moved 0x300000 upwards since */
	put_note(&m, "stapsdt", 3, TEXT + 0x10 - 0x300000, TEXT + 0x800 - 0x300000,
		 DATA + 0x20 - 0x300000, STRINGS("qslog\0batch\0"));
	put_note(&m, "stapsdt", 3, TEXT + 0x18 - 0x300000, TEXT + 0x800 - 0x300000, 0,
		 STRINGS("qslog\0record\0"));
	assert_int_equal(read_made(&m, &notes), 0);
	assert_int_equal(notes.cnt, 2);
	assert_int_equal(notes.probes[0].vaddr, TEXT + 0x10);
	assert_int_equal(notes.probes[0].semaphore_vaddr, DATA + 0x20);
	assert_int_equal(notes.probes[1].vaddr, TEXT + 0x18);
	assert_int_equal(notes.probes[1].semaphore_vaddr, 0);
	elf_notes_free(&notes);
}

/* Where a semaphore may be: writable, in a page that is mapped from the file. */
static void test_semaphore_place(void **state)
{
	static const struct {
		uint64_t addr;
		int err;
	} cases[] = {
		{ DATA, 0 },
		{ DATA + 0x7fe, 0 },
		{ DATA + 0xffe, 0 }, /* .bss, in the last page from the file */
		{ DATA + 0x1000, -EBADMSG },
		{ DATA + 0x17fe, -EBADMSG },
		{ DATA + 0x1800, -EBADMSG },
		{ TEXT, -EBADMSG },
		{ UINT64_MAX, -EBADMSG },
	};
	struct made m;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		make(&m);
		put_note(&m, "stapsdt", 3, TEXT, 0, cases[i].addr, STRINGS("qslog\0batch\0"));
		assert_int_equal(made_error(&m), cases[i].err);
	}
}

static void test_malformed(void **state)
{
	char name[ELF_PROBE_NAME_MAX + 8], text[ELF_PROBE_ARGS_MAX + 16];
	uint32_t head[3] = { 8, 24, 3 };
	struct made m;

	(void)state;
	/* cut anywhere within the last note */
	make(&m);
	put_good(&m);
	assert_int_equal(made_error(&m), 0);
	for (uint64_t cut = m.shdrs[1].sh_size - 4; cut > 0; cut--) {
		m.shdrs[1].sh_size = cut;
		assert_int_equal(made_error(&m), -EBADMSG);
	}
	/* sizes that do not fit, also by overflow */
	for (int i = 0; i < 2; i++) {
		static const uint32_t sizes[] = { 0x1000, 0x7fffffff, 0xfffffff0, 0xfffffffd,
						  0xffffffff };

		for (size_t j = 0; j < sizeof(sizes) / sizeof(sizes[0]); j++) {
			make(&m);
			put_good(&m);
			memcpy(m.bytes + NOTES_OFF + i * 4, &sizes[j], 4);
			assert_int_equal(made_error(&m), -EBADMSG);
		}
	}
	/* too short for its addresses */
	for (head[1] = 0; head[1] < 24; head[1]++) {
		make(&m);
		put(&m, head, sizeof(head));
		put(&m, "stapsdt", 8);
		put(&m, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", head[1]);
		put_pad(&m);
		assert_int_equal(made_error(&m), -EBADMSG);
	}
	/* strings without an end, missing, empty */
	make(&m);
	put_note(&m, "stapsdt", 3, TEXT, 0, 0, "qslog\0batch\0abc", 15);
	assert_int_equal(made_error(&m), -EBADMSG);
	make(&m);
	put_note(&m, "stapsdt", 3, TEXT, 0, 0, "qslog\0batch", 12);
	assert_int_equal(made_error(&m), -EBADMSG);
	make(&m);
	put_note(&m, "stapsdt", 3, TEXT, 0, 0, "", 0);
	assert_int_equal(made_error(&m), -EBADMSG);
	make(&m);
	put_note(&m, "stapsdt", 3, TEXT, 0, 0, STRINGS("qslog\0\0"));
	assert_int_equal(made_error(&m), -EBADMSG);
	/* the longest strings, and one more */
	for (size_t more = 0; more < 2; more++) {
		size_t len = (size_t)snprintf(name, sizeof(name), "qslog%c%0*d%c", 0,
					      (int)(ELF_PROBE_NAME_MAX - 1 + more), 0, 0);

		make(&m);
		put_note(&m, "stapsdt", 3, TEXT, 0, 0, name, len + 1);
		assert_int_equal(made_error(&m), more ? -EBADMSG : 0);
		len = (size_t)snprintf(text, sizeof(text), "qslog%cx%c%0*d", 0, 0,
				       (int)(ELF_PROBE_ARGS_MAX - 1 + more), 0);
		make(&m);
		put_note(&m, "stapsdt", 3, TEXT, 0, 0, text, len + 1);
		assert_int_equal(made_error(&m), more ? -EBADMSG : 0);
	}
	/* an address outside the file */
	make(&m);
	put_note(&m, "stapsdt", 3, TEXT + 0x1800, 0, 0, STRINGS("qslog\0batch\0"));
	assert_int_equal(made_error(&m), -EBADMSG);
	make(&m);
	put_note(&m, "stapsdt", 3, UINT64_MAX, 0, 0, STRINGS("qslog\0batch\0"));
	assert_int_equal(made_error(&m), -EBADMSG);
	/* a good note before a bad one does not save the file */
	make(&m);
	put_good(&m);
	put(&m, "\1\0\0\0\1\0\0\0", 8);
	assert_int_equal(made_error(&m), -EBADMSG);
}

static void test_malformed_headers(void **state)
{
	struct elf_notes notes;
	struct made m;
	int fd;

	(void)state;
#define WITH(change, expected)                                                                     \
	do {                                                                                       \
		make(&m);                                                                          \
		put_good(&m);                                                                      \
		assert_int_equal(made_error(&m), 0);                                               \
		change;                                                                            \
		assert_int_equal(made_error(&m), expected);                                        \
	} while (0)
	WITH(m.ehdr->e_ident[0] = 0, -ENOEXEC);
	WITH(m.ehdr->e_ident[EI_CLASS] = ELFCLASS32, -ENOTSUP);
	WITH(m.ehdr->e_ident[EI_DATA] = ELFDATA2MSB, -ENOTSUP);
	WITH(m.ehdr->e_machine = EM_RISCV, -ENOTSUP);
	WITH(m.ehdr->e_machine = EM_AARCH64, 0);
	WITH(m.ehdr->e_type = ET_REL, -ENOTSUP);
	WITH(m.ehdr->e_type = ET_DYN, 0);
	WITH(m.ehdr->e_phnum = PN_XNUM, -E2BIG);
	WITH(m.ehdr->e_shnum = 0, -E2BIG);
	WITH(m.ehdr->e_phnum = 0, -EBADMSG);
	WITH(m.ehdr->e_phoff = BYTES, -EBADMSG);
	WITH(m.ehdr->e_shoff = BYTES, -EBADMSG);
	WITH(m.ehdr->e_shoff = UINT64_MAX - 8, -EBADMSG);
	WITH(m.ehdr->e_shstrndx = 4, -EBADMSG);
	WITH(m.phdrs[0].p_filesz = 0x1001, -EBADMSG);
	WITH(m.phdrs[0].p_vaddr = UINT64_MAX - 0x800, -EBADMSG);
	WITH(m.phdrs[0].p_offset = UINT64_MAX, -EBADMSG);
	WITH(m.shdrs[1].sh_offset = BYTES, -EBADMSG);
	WITH(m.shdrs[1].sh_size = UINT64_MAX, -E2BIG);
	WITH(m.shdrs[1].sh_size = BYTES, -EBADMSG);
	WITH(m.shdrs[1].sh_type = SHT_PROGBITS, -EBADMSG);
	WITH(m.shdrs[1].sh_name = 0x10000, -EBADMSG);
	WITH(m.shdrs[1].sh_flags = SHF_COMPRESSED, -EBADMSG);
	WITH(m.shdrs[3].sh_size = UINT64_MAX, -E2BIG);
#undef WITH
	/* separate debug information: the section is there, its content is not */
	make(&m);
	put_good(&m);
	m.shdrs[1].sh_type = SHT_NOBITS;
	assert_int_equal(read_made(&m, &notes), 0);
	assert_int_equal(notes.cnt, 0);

	fd = memory_file("", 0);
	assert_int_equal(elf_notes_read(fd, &notes), -ENOEXEC);
	close(fd);
	fd = memory_file("#!/bin/sh\n", 10);
	assert_int_equal(elf_notes_read(fd, &notes), -ENOEXEC);
	close(fd);
	fd = open("/", O_RDONLY | O_DIRECTORY);
	assert_true(fd >= 0);
	assert_int_equal(elf_notes_read(fd, &notes), -EISDIR);
	close(fd);
	assert_int_equal(elf_notes_read(-1, &notes), -EBADF);
}

static int made_bias(struct made *m, uint64_t start, uint64_t offset, uint64_t len, uint64_t *bias)
{
	int fd = memory_file(m->bytes, sizeof(m->bytes)), err;
	struct elf_image *image;

	assert_int_equal(elf_image_open(&image, fd), 0);
	close(fd);
	*bias = 1;
	err = elf_image_bias(image, start, offset, len, bias);
	elf_image_close(image);
	return err;
}

static void test_bias(void **state)
{
	uint64_t bias;
	struct made m;

	(void)state;
	make(&m);
	assert_int_equal(made_bias(&m, TEXT, TEXT_OFF, 0x1000, &bias), 0);
	assert_int_equal(bias, 0);
	assert_int_equal(made_bias(&m, 0x7f0000000000, TEXT_OFF, 0x1000, &bias), 0);
	assert_int_equal(bias, 0x7f0000000000 - TEXT);
	/* below the address in the file */
	assert_int_equal(made_bias(&m, 0x1000, TEXT_OFF, 0x1000, &bias), 0);
	assert_int_equal(TEXT + bias, 0x1000);
	/* data, nothing, not in whole pages, out of all bounds */
	assert_int_equal(made_bias(&m, DATA, DATA_OFF, 0x1000, &bias), -ENOENT);
	assert_int_equal(made_bias(&m, TEXT, 0x10000, 0x1000, &bias), -ENOENT);
	assert_int_equal(made_bias(&m, TEXT + 8, TEXT_OFF, 0x1000, &bias), -ENOENT);
	assert_int_equal(made_bias(&m, TEXT, UINT64_MAX, 0x1000, &bias), -EINVAL);
	assert_int_equal(made_bias(&m, TEXT, 0x1000, UINT64_MAX, &bias), -EINVAL);

	/* two executable segments that share a page of the file, which both mappings have */
	m.phdrs[0].p_filesz = m.phdrs[0].p_memsz = 0x810;
	m.phdrs[1] = m.phdrs[0];
	m.phdrs[1].p_offset = TEXT_OFF + 0x810;
	m.phdrs[1].p_vaddr = TEXT + 0x2810;
	m.phdrs[1].p_filesz = m.phdrs[1].p_memsz = 0x1000;
	assert_int_equal(made_bias(&m, 0x500000 + TEXT, TEXT_OFF, 0x1000, &bias), 0);
	assert_int_equal(bias, 0x500000);
	assert_int_equal(made_bias(&m, 0x500000 + TEXT + 0x2000, TEXT_OFF, 0x2000, &bias), 0);
	assert_int_equal(bias, 0x500000);
	m.phdrs[1].p_flags = PF_R | PF_W;
	assert_int_equal(made_bias(&m, 0x500000 + TEXT, TEXT_OFF, 0x2000, &bias), 0);
	assert_int_equal(bias, 0x500000);
}

static void test_too_many(void **state)
{
	struct made m;
	struct elf_notes notes;
	uint64_t note_bytes;
	unsigned char *big;
	int fd;

	(void)state;
	make(&m);
	put_good(&m);
	note_bytes = m.shdrs[1].sh_size;
	for (uint64_t more = 0; more < 2; more++) {
		uint64_t bytes = note_bytes * (ELF_PROBES_MAX + more);

		m.shdrs[1].sh_offset = BYTES;
		m.shdrs[1].sh_size = bytes;
		big = malloc(BYTES + bytes);
		assert_non_null(big);
		memcpy(big, m.bytes, BYTES);
		for (uint64_t at = 0; at < bytes; at += note_bytes)
			memcpy(big + BYTES + at, m.bytes + NOTES_OFF, note_bytes);
		fd = memory_file(big, BYTES + bytes);
		assert_int_equal(elf_notes_read(fd, &notes), more ? -E2BIG : 0);
		assert_int_equal(notes.cnt, more ? 0 : ELF_PROBES_MAX);
		elf_notes_free(&notes);
		close(fd);
		free(big);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_pie),
		TEST(test_non_pie),
		TEST(test_stripped),
		TEST(test_deleted),
		TEST(test_truncated),
		TEST(test_mutated),
		cmocka_unit_test(test_made),
		cmocka_unit_test(test_prelink),
		cmocka_unit_test(test_semaphore_place),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_malformed_headers),
		cmocka_unit_test(test_bias),
		cmocka_unit_test(test_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
