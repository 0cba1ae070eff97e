/* SPDX-License-Identifier: BSD-2-Clause */
/* kvd_request.h - one request that has been received becomes an answer. */
#ifndef KVD_REQUEST_H
#define KVD_REQUEST_H

#include "kvd_bytes.h"
#include "kvd_proto.h"
#include "kvd_worker.h"

/* Appends the answer to `out`. 0: the connection goes on; 1: it is closed after the answer; -errno:
 * there is no answer (out of memory), close it. */
int request_handle(struct worker *worker, uint64_t conn_id, const struct proto_frame *frame,
                   struct bytes *out);

#endif
