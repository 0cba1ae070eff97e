/* SPDX-License-Identifier: BSD-2-Clause */
/* output.c - standard output through one buffer; see output.h. */
#include "output.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"

int output_flush(struct output *o)
{
	size_t done = 0;
	ssize_t n;

	if (o->buffer.failed)
		return -ENOMEM;
	while (done < o->buffer.len) {
		n = write(o->fd, o->buffer.data + done, o->buffer.len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	o->buffer.len = 0;
	return 0;
}

int output_finish(struct output *o, int err)
{
	if (!err)
		err = output_flush(o);
	buffer_fini(&o->buffer);
	if (!err || err == -EPIPE)
		return CMD_OK;
	cmd_error("cannot write to standard output: %s", strerror(-err));
	return CMD_FAILURE;
}
