/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trace_context.c - one trace over two threads and two services. The front hands every request to
 * a thread of its own, and calls the "store", which is a function here, but gets nothing of its
 * caller than a traceparent header, as another process would.
 *
 *     QSLOG_FILE=trace.qslog ./trace_context 3
 *     qslog cat --json trace.qslog
 */
#define QSLOG_TAG "front"
#include <qslog.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* The other service: what it knows of the trace is in the header. */
static int store_get(const char *traceparent, unsigned int key)
{
	struct qslog_context context;

	if (qslog_traceparent_parse(traceparent, &context)) {
		QSLOGW_TAG("store", "traceparent {header} is malformed, a new trace begins", traceparent);
		context = (struct qslog_context){ .span = 0 };
	}
	QSLOG_LOCAL_PARENT(&context);
	QSLOG_SPAN("store.get", "key={key}", key);
	QSLOGD_TAG("store", "looking for {key}", key);
	return (int)key * 2;
}

struct request {
	struct qslog_context context; /* of the span that waits for the answer */
	unsigned int key;
	int answer;
};

static void *worker(void *arg)
{
	char traceparent[QSLOG_TRACEPARENT_BYTES];
	struct request *request = arg;
	struct qslog_context context;

	QSLOG_LOCAL_PARENT(&request->context);
	QSLOG_SPAN("work", "key={key}", request->key);
	if (qslog_context_get(&context) == 0) { /* never fails in a line */
		qslog_traceparent_format(&context, traceparent);
		request->answer = store_get(traceparent, request->key);
	}
	return NULL;
}

static int serve(unsigned int key)
{
	struct request request = { .key = key, .answer = -1 };
	pthread_t thread;

	QSLOG_LOCAL_PARENT(NULL); /* nobody called: a new trace */
	QSLOG_SPAN("request", "key={key}", key);
	if (qslog_context_get(&request.context) || pthread_create(&thread, NULL, worker, &request)) {
		QSLOGE("no thread for request {key}", key);
		return -1;
	}
	pthread_join(thread, NULL);
	QSLOGI("request {key} is answered: {answer}", key, request.answer);
	return request.answer;
}

int main(int argc, char **argv)
{
	unsigned int i, cnt = argc > 1 ? (unsigned int)strtoul(argv[1], NULL, 10) : 3;

	for (i = 0; i < cnt; i++)
		if (serve(i) != (int)i * 2)
			return 1;
	printf("%u requests\n", cnt);
	return 0;
}
