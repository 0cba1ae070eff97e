/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kvd_load.c - a load client for kvd that checks every answer.
 *
 * One thread, one epoll, C connections to 127.0.0.1, each with up to D requests on their way. A
 * connection has keys of its own, so it knows what the server must answer: requests of one
 * connection are answered in order, and the value of a key is a function of the key and of how
 * often it has been set. It always ends: by count, by time, or because nothing arrives any more.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "kvd_bytes.h"

#define CONNECTIONS_MAX 1000u
#define PIPELINE_MAX 1024u
#define KEYS_MAX 100000u
#define VALUE_BYTES_MAX (16u << 20)
#define SECONDS_MAX 3600u
#define SECONDS_IF_COUNTED 60u  /* --requests without --seconds: not reached by then is a failure */
#define SILENCE_NS 10000000000u /* no answer for so long: give up */
#define RECV_BYTES 65536u
#define EVENTS_MAX 64

/* SERVER_GONE is what `kill -9` of the server looks like from here. */
enum { EXIT_OK = 0, EXIT_WRONG = 1, EXIT_USAGE = 2, EXIT_SERVER_GONE = 3 };

enum op { OP_GET, OP_SET, OP_DEL, OP_CNT };

struct options {
	uint16_t port;
	uint32_t connections, seconds, pipeline, keys, value_bytes;
	uint64_t requests; /* 0: until the time is over */
	double get_ratio;
	bool may_evict;
};

/* A request on its way, and the answer that it must get. */
struct expected {
	uint64_t sent_ns;
	uint32_t key;
	uint32_t version; /* GET: of the value; GET, DEL: 0 is NOT_FOUND */
	uint8_t op;
};

struct conn {
	int fd;
	uint32_t index;
	uint32_t events;
	struct bytes in, out;
	struct expected *queue; /* ring of options.pipeline */
	uint32_t queue_first, queue_cnt;
	uint32_t *versions; /* by key: 0 when not set or deleted, as the last request leaves it */
	uint32_t *sets;     /* by key: how often it has been set */
};

/* Latencies: 32 steps per power of two, so a percentile is right to 3 %. */
#define HIST_STEPS 32u
#define HIST_CNT (60u * HIST_STEPS)

struct load {
	struct options options;
	uint32_t run_id;
	int epoll_fd;
	struct conn *conns;
	char *value; /* what a value looks like that is being made or compared */
	uint64_t rng;
	uint64_t sent, answered, by_op[OP_CNT], hits, misses;
	uint64_t outstanding;
	uint64_t begin_ns, end_ns, deadline_ns, last_answer_ns;
	uint64_t hist[HIST_CNT], latency_max_ns;
	int result; /* EXIT_... of the first failure */
};

static const char usage[] =
	"usage: kvd-load --port N [options]\n"
	"Puts load on a kvd at 127.0.0.1 and checks every answer.\n"
	"  --port N          of the server\n"
	"  --connections N   1..1000 (default 4)\n"
	"  --seconds N       1..3600 (default 5; with --requests 60)\n"
	"  --requests N      end after so many, all connections together\n"
	"  --get-ratio R     part of the requests that are GETs, 0..1 (default 0.8); of the others\n"
	"                    every 16th is a DEL, the rest are SETs\n"
	"  --value-bytes N   of every value (default 100)\n"
	"  --pipeline N      requests of a connection on their way at once, 1..1024 (default 8)\n"
	"  --keys N          of a connection (default 1000)\n"
	"  --may-evict       a key may be gone after it was set: for more keys and values than fit\n"
	"                    the server's memory\n"
	"  --help\n"
	"Exit status: 0 all answers were right, 1 a wrong answer, none in 10 s, or another failure,\n"
	"2 usage, 3 the server closed the connection before the end.\n";

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* splitmix64 */
static uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

__attribute__((format(printf, 3, 4))) static void failed(struct load *load, int result,
                                                         const char *format, ...)
{
	va_list args;

	if (load->result == EXIT_OK) {
		load->result = result;
		fputs("kvd-load: ", stderr);
		va_start(args, format);
		vfprintf(stderr, format, args);
		va_end(args);
		fputc('\n', stderr);
	}
}

/* --- Latencies. */

static unsigned hist_index(uint64_t ns)
{
	unsigned shift;

	if (ns < HIST_STEPS)
		return (unsigned)ns;
	shift = 63u - (unsigned)__builtin_clzll(ns) - 5u; /* 2^5 is HIST_STEPS */
	return (shift + 1) * HIST_STEPS + (unsigned)(ns >> shift) - HIST_STEPS;
}

static uint64_t hist_value(unsigned index)
{
	unsigned shift = index / HIST_STEPS;

	if (shift == 0)
		return index;
	return (uint64_t)(index % HIST_STEPS + HIST_STEPS + 1) << (shift - 1);
}

static double percentile_us(const struct load *load, double percent)
{
	uint64_t want = (uint64_t)((double)load->answered * percent / 100.0), seen = 0;
	unsigned i;

	for (i = 0; i < HIST_CNT; i++) {
		seen += load->hist[i];
		if (seen > want)
			break;
	}
	if (i == HIST_CNT || hist_value(i) > load->latency_max_ns)
		return (double)load->latency_max_ns / 1000.0;
	return (double)hist_value(i) / 1000.0;
}

/* --- Requests. */

/* The run's random number keeps a second client on the same server apart from this one. */
static int key_make(const struct load *load, const struct conn *conn, uint32_t key, char name[64])
{
	return snprintf(name, 64, "r%08x:c%u:k%u", load->run_id, conn->index, key);
}

/* Any byte can be in it, \r and \n included. */
static void value_make(const struct load *load, const struct conn *conn, uint32_t key,
                       uint32_t version)
{
	uint64_t state = ((uint64_t)conn->index << 48) ^ ((uint64_t)key << 24) ^ version;
	size_t pos, len = load->options.value_bytes;

	for (pos = 0; pos < len; pos += 8) {
		uint64_t word = random_next(&state);

		memcpy(load->value + pos, &word, len - pos < 8 ? len - pos : 8);
	}
}

static enum op op_choose(struct load *load)
{
	double dice = (double)(random_next(&load->rng) >> 11) * 0x1p-53;

	if (dice < load->options.get_ratio)
		return OP_GET;
	return random_next(&load->rng) % 16 == 0 ? OP_DEL : OP_SET;
}

static int request_append(struct load *load, struct conn *conn)
{
	static const char *const words[OP_CNT] = { "GET", "SET", "DEL" };
	uint32_t slot = (conn->queue_first + conn->queue_cnt) % load->options.pipeline;
	struct expected *expected = &conn->queue[slot];
	char name[64], line[128];
	int len, err;

	expected->op = (uint8_t)op_choose(load);
	expected->key = (uint32_t)(random_next(&load->rng) % load->options.keys);
	expected->sent_ns = now_ns();
	key_make(load, conn, expected->key, name);
	if (expected->op == OP_SET) {
		conn->versions[expected->key] = ++conn->sets[expected->key];
		len = snprintf(line, sizeof(line), "SET %s %u\r\n", name,
		               load->options.value_bytes);
	} else {
		len = snprintf(line, sizeof(line), "%s %s\r\n", words[expected->op], name);
	}
	expected->version = conn->versions[expected->key];
	if (expected->op == OP_DEL)
		conn->versions[expected->key] = 0;
	err = bytes_append(&conn->out, line, (size_t)len);
	if (!err && expected->op == OP_SET) {
		value_make(load, conn, expected->key, expected->version);
		err = bytes_append(&conn->out, load->value, load->options.value_bytes);
		err = err ? err : bytes_append(&conn->out, "\r\n", 2);
	}
	if (err)
		return err;
	conn->queue_cnt++;
	load->outstanding++;
	load->sent++;
	return 0;
}

static bool sending(const struct load *load)
{
	return load->result == EXIT_OK && now_ns() < load->deadline_ns &&
	       (load->options.requests == 0 || load->sent < load->options.requests);
}

static int conn_fill(struct load *load, struct conn *conn)
{
	int err = 0;

	while (!err && conn->queue_cnt < load->options.pipeline && sending(load))
		err = request_append(load, conn);
	return err;
}

static int conn_flush(struct load *load, struct conn *conn)
{
	struct epoll_event event = { .data.ptr = conn };

	while (bytes_len(&conn->out) > 0) {
		ssize_t sent = send(conn->fd, bytes_front(&conn->out), bytes_len(&conn->out),
		                    MSG_NOSIGNAL);

		if (sent >= 0)
			bytes_consume(&conn->out, (size_t)sent);
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			break;
		else if (errno != EINTR)
			return -errno;
	}
	event.events = EPOLLIN | (bytes_len(&conn->out) > 0 ? EPOLLOUT : 0);
	if (event.events == conn->events)
		return 0;
	conn->events = event.events;
	return epoll_ctl(load->epoll_fd, EPOLL_CTL_MOD, conn->fd, &event) < 0 ? -errno : 0;
}

/* --- Answers. */

/* Bytes of the answer that was expected; 0: not all of it is here yet; -EBADMSG: another one. */
static ssize_t answer_check(struct load *load, const struct conn *conn,
                            const struct expected *expected)
{
	size_t have = bytes_len(&conn->in), len;
	const char *data = bytes_front(&conn->in);
	/* The first letters of the answers differ. */
	bool gone = expected->version == 0 || (load->options.may_evict && data[0] == 'N');
	char head[64];

	if (expected->op == OP_SET)
		len = (size_t)snprintf(head, sizeof(head), "STORED\r\n");
	else if (gone)
		len = (size_t)snprintf(head, sizeof(head), "NOT_FOUND\r\n");
	else if (expected->op == OP_DEL)
		len = (size_t)snprintf(head, sizeof(head), "DELETED\r\n");
	else
		len = (size_t)snprintf(head, sizeof(head), "VALUE %u\r\n",
		                       load->options.value_bytes);
	if (memcmp(data, head, have < len ? have : len) != 0)
		return -EBADMSG;
	if (have < len)
		return 0;
	if (expected->op != OP_GET || gone)
		return (ssize_t)len;

	if (have < len + load->options.value_bytes + 2)
		return 0;
	value_make(load, conn, expected->key, expected->version);
	if (memcmp(data + len, load->value, load->options.value_bytes) != 0 ||
	    memcmp(data + len + load->options.value_bytes, "\r\n", 2) != 0)
		return -EBADMSG;
	return (ssize_t)(len + load->options.value_bytes + 2);
}

static void answer_wrong(struct load *load, const struct conn *conn,
                         const struct expected *expected)
{
	size_t i, have = bytes_len(&conn->in);
	char name[64], shown[64];

	for (i = 0; i < have && i < sizeof(shown) - 1; i++) {
		char c = bytes_front(&conn->in)[i];

		if (c == '\r' || c == '\n')
			break;
		shown[i] = c >= ' ' && c < 0x7f ? c : '?';
	}
	shown[i] = 0;
	key_make(load, conn, expected->key, name);
	failed(load, EXIT_WRONG, "wrong answer to %s of %s (version %u): \"%s\"",
	       expected->op == OP_GET ? "GET" :
	       expected->op == OP_SET ? "SET" :
	                                "DEL",
	       name, expected->version, shown);
}

static int conn_answers(struct load *load, struct conn *conn)
{
	while (bytes_len(&conn->in) > 0) {
		struct expected *expected = &conn->queue[conn->queue_first];
		uint64_t took_ns;
		ssize_t len;
		bool hit;

		if (conn->queue_cnt == 0) {
			failed(load, EXIT_WRONG, "an answer that nobody asked for");
			return -EBADMSG;
		}
		hit = bytes_front(&conn->in)[0] == 'V';
		len = answer_check(load, conn, expected);
		if (len < 0)
			answer_wrong(load, conn, expected);
		if (len <= 0)
			return (int)len;
		bytes_consume(&conn->in, (size_t)len);
		load->last_answer_ns = now_ns();
		took_ns = load->last_answer_ns - expected->sent_ns;
		load->hist[hist_index(took_ns)]++;
		if (took_ns > load->latency_max_ns)
			load->latency_max_ns = took_ns;
		load->answered++;
		load->by_op[expected->op]++;
		if (expected->op == OP_GET)
			(*(hit ? &load->hits : &load->misses))++;
		conn->queue_first = (conn->queue_first + 1) % load->options.pipeline;
		conn->queue_cnt--;
		load->outstanding--;
	}
	return 0;
}

static int conn_receive(struct conn *conn)
{
	int err = bytes_reserve(&conn->in, RECV_BYTES);
	ssize_t got;

	if (err)
		return err;
	got = recv(conn->fd, conn->in.data + conn->in.end, RECV_BYTES, 0);
	if (got == 0)
		return -ECONNRESET;
	if (got < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -errno;
	conn->in.end += (size_t)got;
	return 0;
}

static void conn_event(struct load *load, struct conn *conn)
{
	int err = conn_receive(conn);

	/* Answers that arrived before the connection broke have been taken in earlier rounds. */
	if (!err)
		err = conn_answers(load, conn);
	if (!err)
		err = conn_fill(load, conn);
	if (!err)
		err = conn_flush(load, conn);
	if (err == -ECONNRESET || err == -EPIPE)
		failed(load, EXIT_SERVER_GONE, "the server closed the connection");
	else if (err)
		failed(load, EXIT_WRONG, "connection %u: %s", conn->index, strerror(-err));
}

/* --- The run. */

static int conn_open(struct load *load, struct conn *conn, uint32_t index)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
		                    .sin_port = htons(load->options.port),
		                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = conn };
	int one = 1;

	conn->index = index;
	conn->events = EPOLLIN;
	conn->queue = calloc(load->options.pipeline, sizeof(*conn->queue));
	conn->versions = calloc(load->options.keys, sizeof(*conn->versions));
	conn->sets = calloc(load->options.keys, sizeof(*conn->sets));
	if (!conn->queue || !conn->versions || !conn->sets)
		return -ENOMEM;
	/* Blocking until it is connected; loopback answers at once, one way or the other. */
	conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (conn->fd < 0 || connect(conn->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0)
		return -errno;
	if (fcntl(conn->fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, conn->fd, &event) < 0 ? -errno : 0;
}

static void conn_close(struct conn *conn)
{
	if (conn->fd >= 0)
		close(conn->fd);
	bytes_fini(&conn->in);
	bytes_fini(&conn->out);
	free(conn->queue);
	free(conn->versions);
	free(conn->sets);
}

static int load_open(struct load *load)
{
	uint32_t i;
	int err;

	load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (load->epoll_fd < 0)
		return -errno;
	load->conns = calloc(load->options.connections, sizeof(*load->conns));
	load->value = malloc(load->options.value_bytes + 8);
	if (!load->conns || !load->value)
		return -ENOMEM;
	for (i = 0; i < load->options.connections; i++)
		load->conns[i].fd = -1;
	if (getrandom(&load->rng, sizeof(load->rng), 0) != (ssize_t)sizeof(load->rng))
		return -EIO;
	load->run_id = (uint32_t)random_next(&load->rng);
	for (i = 0; i < load->options.connections; i++) {
		err = conn_open(load, &load->conns[i], i);
		if (err)
			return err;
	}
	return 0;
}

static void load_close(struct load *load)
{
	uint32_t i;

	for (i = 0; load->conns && i < load->options.connections; i++)
		conn_close(&load->conns[i]);
	free(load->conns);
	free(load->value);
	if (load->epoll_fd >= 0)
		close(load->epoll_fd);
}

static void load_run(struct load *load)
{
	struct epoll_event events[EVENTS_MAX];
	uint32_t c;
	int i, cnt;

	load->begin_ns = load->last_answer_ns = now_ns();
	load->deadline_ns = load->begin_ns + load->options.seconds * UINT64_C(1000000000);
	for (c = 0; c < load->options.connections; c++)
		conn_event(load, &load->conns[c]);
	while (load->result == EXIT_OK && (load->outstanding > 0 || sending(load))) {
		cnt = epoll_wait(load->epoll_fd, events, EVENTS_MAX, 100);
		if (cnt < 0 && errno != EINTR)
			failed(load, EXIT_WRONG, "epoll_wait: %s", strerror(errno));
		for (i = 0; i < cnt && load->result == EXIT_OK; i++)
			conn_event(load, events[i].data.ptr);
		if (now_ns() - load->last_answer_ns > SILENCE_NS)
			failed(load, EXIT_WRONG, "no answer for 10 seconds, %" PRIu64 " are due",
			       load->outstanding);
	}
	load->end_ns = now_ns();
	if (load->result == EXIT_OK && load->sent < load->options.requests)
		failed(load, EXIT_WRONG, "only %" PRIu64 " of %" PRIu64 " requests in %u seconds",
		       load->sent, load->options.requests, load->options.seconds);
}

static void load_report(const struct load *load)
{
	double seconds = (double)(load->end_ns - load->begin_ns) / 1e9;

	printf("load: requests=%" PRIu64 " seconds=%.3f rate=%.0f get=%" PRIu64 " set=%" PRIu64
	       " del=%" PRIu64 " hits=%" PRIu64 " misses=%" PRIu64 "\n",
	       load->answered, seconds, (double)load->answered / seconds, load->by_op[OP_GET],
	       load->by_op[OP_SET], load->by_op[OP_DEL], load->hits, load->misses);
	printf("latency: p50_us=%.1f p90_us=%.1f p99_us=%.1f p99.9_us=%.1f max_us=%.1f\n",
	       percentile_us(load, 50), percentile_us(load, 90), percentile_us(load, 99),
	       percentile_us(load, 99.9), (double)load->latency_max_ns / 1000.0);
	printf("answers: %s\n", load->result == EXIT_OK ? "all right" :
	                        load->result == EXIT_SERVER_GONE ?
	                                                  "all right until the server went away" :
	                                                  "NOT right");
}

static int number_parse(const char *name, const char *text, double max, double *out)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= 0 && value <= max)) {
		fprintf(stderr, "kvd-load: --%s %s: not a number from 0 to %.0f\n", name, text,
		        max);
		return -EINVAL;
	}
	*out = value;
	return 0;
}

/* 1: go on; else 0 or -EINVAL, and that is all. */
static int options_parse(struct options *o, int argc, char **argv)
{
	enum { PORT, CONNECTIONS, SECONDS, REQUESTS, RATIO, VALUE, PIPELINE, KEYS, HELP, EVICT };
	static const struct option longs[] = { { "port", 1, NULL, PORT },
		                               { "connections", 1, NULL, CONNECTIONS },
		                               { "seconds", 1, NULL, SECONDS },
		                               { "requests", 1, NULL, REQUESTS },
		                               { "get-ratio", 1, NULL, RATIO },
		                               { "value-bytes", 1, NULL, VALUE },
		                               { "pipeline", 1, NULL, PIPELINE },
		                               { "keys", 1, NULL, KEYS },
		                               { "help", 0, NULL, HELP },
		                               { "may-evict", 0, NULL, EVICT },
		                               { 0 } };
	static const double max[HELP] = { UINT16_MAX, CONNECTIONS_MAX, SECONDS_MAX,  1e12,
		                          1,          VALUE_BYTES_MAX, PIPELINE_MAX, KEYS_MAX };
	double number[HELP] = {
		[CONNECTIONS] = 4, [RATIO] = 0.8, [VALUE] = 100, [PIPELINE] = 8, [KEYS] = 1000
	};
	int c, i;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) >= 0) {
		if (c == HELP) {
			fputs(usage, stdout);
			return 0;
		}
		if (c == EVICT) {
			o->may_evict = true;
			continue;
		}
		if (c > HELP) {
			fputs("kvd-load: try --help\n", stderr);
			return -EINVAL;
		}
		if (number_parse(longs[c].name, optarg, max[c], &number[c]))
			return -EINVAL;
	}
	if (number[SECONDS] == 0)
		number[SECONDS] = number[REQUESTS] > 0 ? SECONDS_IF_COUNTED : 5;
	for (i = 0; i < HELP; i++) {
		bool zero_ok = i == REQUESTS || i == RATIO || i == VALUE;

		if ((i != RATIO && number[i] != (double)(uint64_t)number[i]) ||
		    (!zero_ok && number[i] < 1)) {
			fprintf(stderr, "kvd-load: --%s: a whole number from %d is needed\n",
			        longs[i].name, zero_ok ? 0 : 1);
			return -EINVAL;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "kvd-load: %s: not an option; try --help\n", argv[optind]);
		return -EINVAL;
	}
	o->port = (uint16_t)number[PORT];
	o->connections = (uint32_t)number[CONNECTIONS];
	o->seconds = (uint32_t)number[SECONDS];
	o->requests = (uint64_t)number[REQUESTS];
	o->get_ratio = number[RATIO];
	o->value_bytes = (uint32_t)number[VALUE];
	o->pipeline = (uint32_t)number[PIPELINE];
	o->keys = (uint32_t)number[KEYS];
	return 1;
}

int main(int argc, char **argv)
{
	static struct load load = { .epoll_fd = -1 };
	int err;

	err = options_parse(&load.options, argc, argv);
	if (err <= 0)
		return err ? EXIT_USAGE : EXIT_OK;
	err = load_open(&load);
	if (err) {
		failed(&load, EXIT_WRONG, "127.0.0.1:%u: %s", load.options.port, strerror(-err));
	} else {
		load_run(&load);
		load_report(&load);
	}
	load_close(&load);
	return load.result;
}
