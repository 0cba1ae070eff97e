/* SPDX-License-Identifier: BSD-2-Clause */
/* trace_main.c - qslog-trace: parse, prepare, run, report. */
#include <stdio.h>
#include <string.h>

#include "doctor.h"
#include "options.h"
#include "session.h"
#include "trace_report.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_LOST = 3 };

static int failed(const struct why *why, int err)
{
	fprintf(stderr, "qslog-trace: %s\n", why->text[0] ? why->text : strerror(-err));
	return EXIT_FAILED;
}

static void attached_say(const struct options *o, const struct session *s)
{
	const char *degraded = session_degraded(s);

	if (o->quiet)
		return;
	if (degraded)
		fprintf(stderr, "qslog-trace: note: %s (--check says more)\n", degraded);
	fprintf(stderr, "qslog-trace: attached%s%s, writing %s; Ctrl-C ends\n",
		o->command ? " to " : "", o->command ? o->command[0] : "", session_output(s));
}

static void end_say(const struct options *o, enum session_end end)
{
	static const char *const reasons[] = {
		[SESSION_INTERRUPTED] = "interrupted",
		[SESSION_DURATION] = "time is up",
		[SESSION_TARGET_ENDED] = "the process has ended",
		[SESSION_TARGETS_ENDED] = "all processes have ended",
		[SESSION_TARGET_EXECUTED] = "the process has executed another program",
	};

	if (!o->quiet)
		fprintf(stderr, "qslog-trace: %s\n", reasons[end]);
}

int main(int argc, char **argv)
{
	struct session *session = NULL;
	struct writer_totals totals;
	struct why why = {""};
	enum session_end end;
	struct options options;
	int err, code = EXIT_OK;

	err = options_parse(&options, argc, argv);
	if (err)
		return err > 0 ? EXIT_OK : EXIT_USAGE;
	if (options.check) {
		code = doctor_run(options.verbose >= 2) ? EXIT_OK : EXIT_FAILED;
		options_fini(&options);
		return code;
	}
	err = session_open(&session, &options, &why);
	if (!err)
		err = session_confine(session, &why);
	if (err) {
		session_close(session);
		options_fini(&options);
		return failed(&why, err);
	}
	attached_say(&options, session);
	err = session_run(session, &end, &why);
	if (err)
		code = failed(&why, err);
	else
		end_say(&options, end);
	why.text[0] = '\0';
	err = session_finish(session, &totals, &why);
	if (err)
		code = failed(&why, err);
	trace_report(&options, session, &totals);
	if (code == EXIT_OK && options.strict && (totals.lost || totals.off_lost))
		code = EXIT_LOST;
	session_close(session);
	options_fini(&options);
	return code;
}
