/* SPDX-License-Identifier: BSD-2-Clause */
/* hello.c - a program to attach to:  ./hello &  sudo qslog-trace -p $! -o hello.qslog
 * It greets until it has done so as often as its argument says, or for ever. */
#define QSLOG_TAG "hello"
#include <qslog.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static double greet(const char *name, unsigned long round)
{
	QSLOG_SPAN("greet", "round={round}", round);
	double share = 1.0 / (double)(round + 1);

	QSLOGD("share={share:.3f} of {name}", share, name);
	return share;
}

int main(int argc, char **argv)
{
	unsigned long i, rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 0; /* 0: for ever */
	const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
	const unsigned char magic[4] = { 0xde, 0xad, 0xbe, 0xef };

	printf("ready pid=%d\n", (int)getpid());
	fflush(stdout);
	for (i = 0; rounds == 0 || i < rounds; i++) {
		double share = greet("world", i);
		bool even = i % 2 == 0;

		QSLOGI("hello {name}, round {round}, {share:.2f}", "world", i, share);
		QSLOGV("at {address} with {magic}, even: {even}", &i, qslog_bytes(magic, 4), even);
		if (i % 100 == 99)
			QSLOGW("{rounds} rounds already", i + 1);
		nanosleep(&pause, NULL);
	}
	return 0;
}
