/* SPDX-License-Identifier: BSD-2-Clause */
/* stat_table.h - what qslog stat counts: sites, spans, losses. See stat_table.c. */
#ifndef QSLOG_STAT_TABLE_H
#define QSLOG_STAT_TABLE_H

#include "histogram.h"
#include "stat_times.h"
#include "record.h"

#include "hash_index.h"

struct stat_site {
	uint8_t kind, level; /* enum qslog_site_kind, enum qslog_level */
	uint32_t line;
	char *tag, *file, *function, *format, *name; /* never NULL, copied */
	uint64_t cnt;	/* records; of a span: entered or left, whichever there are more of */
	uint64_t bytes; /* of the records as the program wrote them */
	uint64_t entered;
	struct histogram durations;
	struct stat_times *times; /* NULL: none known */
};

struct stat_loss {
	uint8_t cause;
	uint32_t pid, tid;
	char *thread; /* its name; never NULL, copied */
	uint64_t cnt;
};

struct stat_table {
	struct stat_site *sites;
	unsigned site_cnt, site_cap;
	struct stat_loss *losses;
	unsigned loss_cnt, loss_cap;
	struct hash_index by_content; /* of sites: several files may have the same */
	struct hash_index by_id;      /* of sites: file and id of the format in it */
	struct hash_index loss_index;
	struct stat_threads threads;
	uint64_t offs_lost;
	uint64_t records, lost;
	int64_t first_ns, last_ns; /* valid if records or losses */
	bool any;
};

/* `file` is the index of the file that the record comes from. 0 or -ENOMEM. */
int stat_table_add(struct stat_table *t, const struct record *record, unsigned file);

/* An OFF or OFF_LOST. The names in it, and in records' times, must live as long as the table. */
int stat_table_off(struct stat_table *t, const struct record *record);

/* Most records first; then no more records can be added. */
void stat_table_sort(struct stat_table *t);

/* Records per second of a site, over the time from the first record to the last. */
double stat_table_rate(const struct stat_table *t, uint64_t cnt);

void stat_table_fini(struct stat_table *t);

#endif
