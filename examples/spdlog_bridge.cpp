/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spdlog_bridge.cpp - what a program logs through spdlog goes to qslog as well: a sink, and a
 * program that shows it.
 *
 *     spdlog_bridge            for qslog-trace to attach to: it logs when a line comes on standard input
 *     spdlog_bridge FILE.qslog writes the file itself
 *
 * Each (level, logger, source location) becomes one site, registered when it is first seen; the
 * logger's name is its tag. The message has been formatted by spdlog already and is the only
 * argument. So the bridge saves the writing, not the formatting: that is what the macros of qslog.h
 * are for.
 */
#include <qslog.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <functional>
#include <iostream>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include <spdlog/sinks/sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

class qslog_sink final : public spdlog::sinks::sink {
public:
	qslog_sink()
	{
		for (int level = 0; level < QSLOG_LEVEL_COUNT; level++)
			nameless_[static_cast<size_t>(level)] =
				make_site(level, nullptr, spdlog::source_loc());
	}

	void log(const spdlog::details::log_msg &msg) override
	{
		const int level = level_of(msg.level);
		const struct qslog_site *nameless = nameless_[static_cast<size_t>(level)];
		struct qslog_value message;

		/* Any site of the level knows whether somebody listens: nothing is looked up for nobody. */
		if (!qslog_site_enabled(nameless))
			return;
		message.type = QSLOG_ARG_STR;
		message.str = qslog_bytes(msg.payload.data(), msg.payload.size());
		/* What finds no room is counted by qslog; a sink has nobody to tell. */
		(void)qslog_log_values(find_site(level, msg, nameless), &message, 1);
	}

	void flush() override { (void)qslog_flush(); }
	/* Date, level and location are fields of their own, and put into text by `qslog cat`. */
	void set_pattern(const std::string &) override {}
	void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

private:
	struct key {
		int level, line;
		const char *file; /* a literal: the address will do */
		std::string logger;

		bool operator==(const key &other) const
		{
			return level == other.level && line == other.line && file == other.file &&
			       logger == other.logger;
		}
	};
	struct key_hash {
		size_t operator()(const key &k) const
		{
			return std::hash<std::string>()(k.logger) * 31 +
			       std::hash<const void *>()(k.file) * 7 +
			       static_cast<size_t>(k.line) * 8 + static_cast<size_t>(k.level);
		}
	};

	static int level_of(spdlog::level::level_enum level)
	{
		switch (level) {
		case spdlog::level::trace: return QSLOG_LEVEL_VERBOSE;
		case spdlog::level::debug: return QSLOG_LEVEL_DEBUG;
		case spdlog::level::info: return QSLOG_LEVEL_INFO;
		case spdlog::level::warn: return QSLOG_LEVEL_WARN;
		case spdlog::level::err: return QSLOG_LEVEL_ERROR;
		default: return QSLOG_LEVEL_FATAL;
		}
	}

	static const struct qslog_site *make_site(int level, const char *logger,
						  const spdlog::source_loc &source)
	{
		static const uint8_t types[] = {QSLOG_ARG_STR};
		struct qslog_site_def def = QSLOG_SITE_DEF_INIT;

		def.level = level;
		def.tag = logger;
		def.format = "{}";
		def.arg_cnt = 1;
		def.types = types;
		if (!source.empty()) {
			def.file = source.filename;
			def.function = source.funcname;
			def.line = static_cast<uint32_t>(source.line);
		}
		return qslog_site_register(&def);
	}

	const struct qslog_site *find_site(int level, const spdlog::details::log_msg &msg,
					   const struct qslog_site *nameless)
	{
		key k{level, msg.source.line, msg.source.filename,
		      std::string(msg.logger_name.data(), msg.logger_name.size())};
		const struct qslog_site *site;

		if (k.logger.empty() && msg.source.empty())
			return nameless;
		{
			std::shared_lock<std::shared_mutex> lock(mutex_);
			const auto found = sites_.find(k);

			if (found != sites_.end())
				return found->second;
		}
		std::unique_lock<std::shared_mutex> lock(mutex_);
		const auto found = sites_.find(k);
		if (found != sites_.end()) /* another thread was here first */
			return found->second;
		site = make_site(level, k.logger.empty() ? nullptr : k.logger.c_str(), msg.source);
		if (!site) /* a name beyond the maximum, or no memory: better without a name than not */
			site = nameless;
		sites_.emplace(std::move(k), site);
		return site;
	}

	std::array<const struct qslog_site *, QSLOG_LEVEL_COUNT> nameless_{};
	std::shared_mutex mutex_;
	std::unordered_map<key, const struct qslog_site *, key_hash> sites_;
};

static void work(spdlog::logger &net, spdlog::logger &store, int number)
{
	for (int i = 0; i < 100; i++) {
		net.debug("worker {} round {}", number, i);
		SPDLOG_LOGGER_INFO(&store, "worker {} stored {:.2f}", number, i / 4.0);
	}
}

int main(int argc, char **argv)
{
	const auto sink = std::make_shared<qslog_sink>();
	spdlog::logger net("net", sink), store("store", sink), nameless("", sink);
	std::vector<std::thread> workers;

	for (spdlog::logger *logger : {&net, &store, &nameless})
		logger->set_level(spdlog::level::trace);
	if (argc > 1) {
		struct qslog_options options = QSLOG_OPTIONS_INIT;

		options.path = argv[1];
		if (const int err = qslog_start(&options)) {
			std::fprintf(stderr, "spdlog_bridge: %s: %s\n", argv[1], std::strerror(-err));
			return 1;
		}
	} else {
		std::string line;

		std::printf("ready pid=%d\n", static_cast<int>(getpid()));
		std::fflush(stdout);
		std::getline(std::cin, line);
	}
	for (int i = 0; i < 4; i++)
		workers.emplace_back(work, std::ref(net), std::ref(store), i);
	for (std::thread &worker : workers)
		worker.join();
	net.trace("closing {}", "connections");
	store.warn("{} of {} in use", 3, 4);
	store.error("not {} again", "{escaped}");
	nameless.critical("the end");
	return argc > 1 && qslog_stop() ? 1 : 0;
}
