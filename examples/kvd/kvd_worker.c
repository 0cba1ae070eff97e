/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kvd_worker.c - a worker's loop: accept, receive, have requests handled, send.
 *
 * epoll is level-triggered and every event is given one receive, so that a busy connection cannot
 * starve the others. A client that sends but does not read stops being read once OUT_MAX bytes
 * of answers wait for it. Whatever a client sends, a connection holds at most one request of the
 * largest size plus RECV_BYTES, and OUT_MAX plus one answer.
 */
#define QSLOG_TAG "kvd"
#define _GNU_SOURCE
#include "kvd_worker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <qslog.h>

#include "kvd_bytes.h"
#include "kvd_request.h"

#define EVENTS_MAX 64
#define RECV_BYTES 65536u
#define OUT_MAX (1u << 20)
#define ACCEPT_RETRY_MS 100 /* after running out of file descriptors */
#define STOP_DRAIN_MS 1000  /* clients get this long to take their last answers */

struct conn {
	int fd;
	uint64_t id;
	uint32_t events; /* what epoll waits for */
	size_t skip;     /* input that belongs to a refused value */
	bool eof;        /* the client sends no more, but may still be reading */
	bool blocked;    /* OUT_MAX of answers wait: requests are left where they are */
	bool closing;    /* no more requests: close once the answers are sent */
	uint64_t requests;
	struct bytes in, out;
	struct conn *next, **link; /* in the worker's list */
};

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int epoll_set(struct worker *worker, int op, int fd, uint32_t events, void *ptr)
{
	struct epoll_event event = { .events = events, .data.ptr = ptr };

	return epoll_ctl(worker->epoll_fd, op, fd, &event) < 0 ? -errno : 0;
}

static void conn_close(struct worker *worker, struct conn *conn, const char *why)
{
	COUNTED(QSLOGI("connection closed conn={conn} requests={requests} why={why}", conn->id,
	               conn->requests, why));
	*conn->link = conn->next;
	if (conn->next)
		conn->next->link = conn->link;
	close(conn->fd); /* leaves epoll as well */
	atomic_fetch_sub(&worker->server->connections, 1);
	bytes_fini(&conn->in);
	bytes_fini(&conn->out);
	free(conn);
}

/* Takes over `fd`. */
static void conn_open(struct worker *worker, int fd, const struct sockaddr_in *peer)
{
	struct server *server = worker->server;
	static const char full[] = "ERROR too many connections\r\n";
	struct conn *conn = NULL;
	int err, one = 1;

	if (atomic_fetch_add(&server->connections, 1) >= server->connections_max) {
		COUNTED(QSLOGW("connection refused: {max} are open", server->connections_max));
		/* A courtesy: whether it arrives makes no difference. */
		(void)!send(fd, full, sizeof(full) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		goto fail;
	}
	conn = calloc(1, sizeof(*conn));
	if (!conn) {
		COUNTED(QSLOGE("no memory for a connection"));
		goto fail;
	}
	conn->fd = fd;
	conn->id = atomic_fetch_add(&server->connection_id, 1) + 1;
	conn->events = EPOLLIN;
	/* Without it answers may wait for the client's acknowledgement; slow, but not wrong. */
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0)
		COUNTED(QSLOGW("TCP_NODELAY conn={conn} errno={errno}", conn->id, errno));
	err = epoll_set(worker, EPOLL_CTL_ADD, fd, conn->events, conn);
	if (err) {
		COUNTED(QSLOGE("epoll conn={conn} error={error}", conn->id, err));
		goto fail;
	}
	conn->next = worker->conns;
	conn->link = &worker->conns;
	if (conn->next)
		conn->next->link = &conn->next;
	worker->conns = conn;
	COUNTED(QSLOGI("connection accepted conn={conn} fd={fd} port={port}", conn->id, fd,
	               ntohs(peer->sin_port)));
	return;

fail:
	free(conn);
	close(fd);
	atomic_fetch_sub(&server->connections, 1);
}

/* Listening stops while there are no file descriptors, for epoll would report it all the time. */
static void accept_pause(struct worker *worker, bool pause)
{
	int err = epoll_set(worker, EPOLL_CTL_MOD, worker->listen_fd, pause ? 0 : EPOLLIN,
	                    &worker->listen_fd);

	if (err)
		COUNTED(QSLOGE("epoll listening error={error}", err));
	else
		worker->paused_until_ms = pause ? now_ms() + ACCEPT_RETRY_MS : 0;
}

static void accept_all(struct worker *worker)
{
	unsigned i;

	for (i = 0; i < EVENTS_MAX; i++) {
		struct sockaddr_in peer = { 0 };
		socklen_t len = sizeof(peer);
		int fd = accept4(worker->listen_fd, (struct sockaddr *)&peer, &len,
		                 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			conn_open(worker, fd, &peer);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno != EAGAIN && errno != EWOULDBLOCK) {
			COUNTED(QSLOGE("accept errno={errno}", errno));
			accept_pause(worker, true);
		}
		return;
	}
}

static size_t input_max(const struct worker *worker)
{
	return PROTO_LINE_MAX + worker->server->value_bytes_max + 2 + RECV_BYTES;
}

/* 0, or -errno: EAGAIN when there is nothing, ENODATA at the end of the stream. */
static int conn_receive(const struct worker *worker, struct conn *conn)
{
	ssize_t got;
	int err;

	if (bytes_len(&conn->in) + RECV_BYTES > input_max(worker))
		return -EAGAIN; /* only while answers are waiting: conn_handle() empties it */
	err = bytes_reserve(&conn->in, RECV_BYTES);
	if (err)
		return err;
	got = recv(conn->fd, conn->in.data + conn->in.end, RECV_BYTES, 0);
	if (got < 0)
		return -errno;
	if (got == 0)
		return -ENODATA;
	conn->in.end += (size_t)got;
	return 0;
}

/* Handles whole requests until the input ends or too many answers wait. 0 or -errno. */
static int conn_handle(struct worker *worker, struct conn *conn)
{
	while (!conn->closing && bytes_len(&conn->in) > 0 && bytes_len(&conn->out) < OUT_MAX) {
		size_t skip = bytes_len(&conn->in) < conn->skip ? bytes_len(&conn->in) : conn->skip;
		struct proto_frame frame;
		int ret;

		if (skip > 0) {
			bytes_consume(&conn->in, skip);
			conn->skip -= skip;
			continue;
		}
		ret = proto_frame(bytes_front(&conn->in), bytes_len(&conn->in),
		                  worker->server->value_bytes_max, &frame);
		if (ret == 0)
			return 0;
		if (ret < 0) {
			COUNTED(QSLOGW("connection out of step conn={conn} error={error}", conn->id,
			               ret));
			conn->closing = true;
			return bytes_append_str(&conn->out, ret == -EMSGSIZE ?
			                                            "ERROR line too long\r\n" :
			                                            "ERROR bad length\r\n");
		}
		ret = request_handle(worker, conn->id, &frame, &conn->out);
		if (ret < 0)
			return ret;
		conn->requests++;
		conn->closing = ret == 1;
		conn->skip = frame.skip;
		bytes_consume(&conn->in, frame.bytes);
	}
	return 0;
}

/* 0 also when the socket takes no more for now; -errno. */
static int conn_send(struct conn *conn)
{
	while (bytes_len(&conn->out) > 0) {
		ssize_t sent = send(conn->fd, bytes_front(&conn->out), bytes_len(&conn->out),
		                    MSG_NOSIGNAL);

		if (sent >= 0)
			bytes_consume(&conn->out, (size_t)sent);
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			return 0;
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}

/* Sends and handles in turns, until no whole request is left or OUT_MAX of answers wait. 0 or
 * -errno. */
static int conn_progress(struct worker *worker, struct conn *conn)
{
	size_t before;
	int err;

	do {
		before = bytes_len(&conn->in);
		err = conn_send(conn);
		if (!err)
			err = conn_handle(worker, conn);
	} while (!err && bytes_len(&conn->in) < before);
	conn->blocked = bytes_len(&conn->out) >= OUT_MAX;
	return err;
}

static void conn_event(struct worker *worker, struct conn *conn)
{
	uint32_t events;
	bool wait_in;
	int err = 0;

	if (!conn->closing && !conn->eof && (conn->events & EPOLLIN)) {
		err = conn_receive(worker, conn);
		conn->eof = err == -ENODATA;
		if (conn->eof || err == -EAGAIN || err == -EWOULDBLOCK || err == -EINTR)
			err = 0;
	}
	if (!err)
		err = conn_progress(worker, conn);
	/* Without a whole request in it, the rest of the input will never be one. */
	if (conn->eof && !conn->blocked)
		conn->closing = true;
	if (err) {
		COUNTED(QSLOGW("connection broken conn={conn} error={error}", conn->id, err));
		conn_close(worker, conn, "error");
		return;
	}
	if (conn->closing && bytes_len(&conn->out) == 0) {
		conn_close(worker, conn, "done");
		return;
	}
	wait_in = !conn->closing && !conn->eof && !conn->blocked;
	events = (wait_in ? EPOLLIN : 0) | (bytes_len(&conn->out) > 0 ? EPOLLOUT : 0);
	if (events == conn->events)
		return;
	err = epoll_set(worker, EPOLL_CTL_MOD, conn->fd, events, conn);
	if (err) {
		COUNTED(QSLOGE("epoll conn={conn} error={error}", conn->id, err));
		conn_close(worker, conn, "error");
		return;
	}
	conn->events = events;
}

/* One round of events; 1 when the worker shall stop, 0 or -errno. */
static int worker_poll(struct worker *worker, int timeout_ms)
{
	struct epoll_event events[EVENTS_MAX];
	int i, cnt, stop = 0;

	cnt = epoll_wait(worker->epoll_fd, events, EVENTS_MAX, timeout_ms);
	if (cnt < 0)
		return errno == EINTR ? 0 : -errno;
	for (i = 0; i < cnt; i++) {
		if (events[i].data.ptr == &worker->stop_fd)
			stop = 1;
		else if (events[i].data.ptr == &worker->listen_fd)
			accept_all(worker);
		else
			conn_event(worker, events[i].data.ptr);
	}
	return stop;
}

/* What has been received is answered; what clients do not take in time is dropped. */
static void worker_drain(struct worker *worker)
{
	int64_t deadline = now_ms() + STOP_DRAIN_MS, left;
	struct conn *conn, *next;

	close(worker->listen_fd);
	worker->listen_fd = -1;
	(void)epoll_set(worker, EPOLL_CTL_DEL, worker->stop_fd, 0, NULL);
	for (conn = worker->conns; conn; conn = next) {
		next = conn->next;
		conn_event(worker, conn);
	}
	for (conn = worker->conns; conn; conn = next) {
		next = conn->next;
		conn->closing = true;
		if (bytes_len(&conn->out) == 0)
			conn_close(worker, conn, "server stops");
	}
	while (worker->conns && (left = deadline - now_ms()) > 0)
		if (worker_poll(worker, (int)left) < 0)
			break;
	while (worker->conns)
		conn_close(worker, worker->conns, "server stops, answers not taken");
}

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	char name[16];
	int ret;

	snprintf(name, sizeof(name), "kvd-worker-%u", worker->index % WORKERS_MAX);
	ret = issued_thread_begin(worker->server->issued, worker->index + 1, name);
	if (ret)
		COUNTED(QSLOGW("thread name {name} not set error={error}", name, ret));
	COUNTED(QSLOGI("worker started index={index}", worker->index));
	do {
		ret = worker_poll(worker, worker->paused_until_ms ? ACCEPT_RETRY_MS : -1);
		if (worker->paused_until_ms && now_ms() >= worker->paused_until_ms)
			accept_pause(worker, false);
	} while (ret == 0);
	if (ret < 0)
		COUNTED(QSLOGF("worker ends index={index} error={error}", worker->index, ret));
	worker_drain(worker);
	COUNTED(QSLOGI("worker ended index={index} requests={requests}", worker->index,
	               atomic_load(&worker->stats.requests)));
	return ret < 0 ? worker : NULL;
}

int worker_open(struct server *server, uint32_t index, uint16_t *port)
{
	struct worker *worker = &server->workers[index];
	struct sockaddr_in addr = { .sin_family = AF_INET,
		                    .sin_port = htons(*port),
		                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);
	int err, one = 1;

	worker->server = server;
	worker->index = index;
	worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	worker->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	worker->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (worker->epoll_fd < 0 || worker->stop_fd < 0 || worker->listen_fd < 0 ||
	    setsockopt(worker->listen_fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0 ||
	    bind(worker->listen_fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    getsockname(worker->listen_fd, (struct sockaddr *)&addr, &len) < 0 ||
	    listen(worker->listen_fd, SOMAXCONN) < 0)
		return -errno;
	*port = ntohs(addr.sin_port);
	err = epoll_set(worker, EPOLL_CTL_ADD, worker->stop_fd, EPOLLIN, &worker->stop_fd);
	if (!err)
		err = epoll_set(worker, EPOLL_CTL_ADD, worker->listen_fd, EPOLLIN,
		                &worker->listen_fd);
	return err;
}

int worker_start(struct worker *worker)
{
	return -pthread_create(&worker->thread, NULL, worker_main, worker);
}

void worker_stop(struct worker *worker)
{
	uint64_t one = 1;

	(void)!write(worker->stop_fd, &one,
	             sizeof(one)); /* fails only if it is signalled already */
}

int worker_join(struct worker *worker)
{
	void *failed = NULL;
	int err = -pthread_join(worker->thread, &failed);

	return err ? err : failed ? -EIO : 0;
}

void worker_close(struct worker *worker)
{
	if (worker->epoll_fd >= 0)
		close(worker->epoll_fd);
	if (worker->stop_fd >= 0)
		close(worker->stop_fd);
	if (worker->listen_fd >= 0)
		close(worker->listen_fd);
}
