/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * seal_thread.h - a thread that packs what blocks have (columns_encode.h) while its owner goes on with
 * others; one block at a time. It knows nothing of files: the owner writes what comes out. It has no
 * capabilities, and no signals.
 */
#ifndef QSLOG_SEAL_THREAD_H
#define QSLOG_SEAL_THREAD_H

#include <stdbool.h>
#include <stdint.h>

struct columns_block;
struct columns_encoder;
struct seal_thread;

/* May this process run on more processors than one? */
bool seal_thread_worth(void);
/* From the moment on that it runs, set*id() in this process fails where capabilities are needed for it.
 * `encoder` stays the caller's, who uses it only while nothing is being packed. 0 or -errno. */
int seal_thread_open(struct seal_thread **out, struct columns_encoder *encoder);
/* The block stays as it is until seal_thread_end(). */
void seal_thread_begin(struct seal_thread *t, const struct columns_block *block, uint32_t rows_bytes);
/* Would seal_thread_end() wait? */
bool seal_thread_busy(struct seal_thread *t);
/* Waits; what columns_encode() said. *payload is valid until the encoder is used again. */
int seal_thread_end(struct seal_thread *t, const uint8_t **payload, uint32_t *payload_bytes);
void seal_thread_close(struct seal_thread *t); /* waits; NULL is accepted */

#endif
