/* SPDX-License-Identifier: BSD-2-Clause */
/* output.c - standard output through one buffer; see output.h. */
#include "output.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"

static int write_all(int fd, const char *data, size_t bytes)
{
	size_t done = 0;
	ssize_t n;

	while (done < bytes) {
		n = write(fd, data + done, bytes - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return 0;
}

int output_flush(struct output *o)
{
	int err = o->buffer.failed ? -ENOMEM : write_all(o->fd, o->buffer.data, o->buffer.len);

	if (!err)
		o->buffer.len = 0;
	return err;
}

int output_write(struct output *o, const char *data, size_t bytes)
{
	int err = 0;

	if (bytes < OUTPUT_BYTES / 4) {
		buffer_bytes(&o->buffer, data, bytes);
		return output_more(o);
	}
	if (o->buffer.len || o->buffer.failed)
		err = output_flush(o);
	return err ? err : write_all(o->fd, data, bytes);
}

int output_finish(struct output *o, int err)
{
	if (!err)
		err = output_flush(o);
	buffer_fini(&o->buffer);
	if (!err || err == -EPIPE)
		return CMD_OK;
	cmd_error("cannot write to %s: %s", o->name ? o->name : "standard output", strerror(-err));
	return CMD_FAILURE;
}
