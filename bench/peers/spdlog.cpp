// SPDX-License-Identifier: BSD-2-Clause
// spdlog.cpp - spdlog into a file with its usual pattern: asynchronous (PEER_ASYNC; the queue has
// room for a burst, and blocks when it is full, so that nothing is lost), or basic_file_mt.
#include <cerrno>
#include <chrono>
#include <memory>
#include <thread>

#include <spdlog/async.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>

#include "peer.h"
#include "spdlog_calls.h"

namespace {

constexpr std::size_t queue_slots = 131072;

std::shared_ptr<spdlog::logger> logger;
spdlog::logger *log_to; // as an application keeps it

int start(const char *output, pid_t *)
{
	try {
#ifdef PEER_ASYNC
		spdlog::init_thread_pool(queue_slots, 1);
		logger = spdlog::basic_logger_mt<spdlog::async_factory>("bench", output, true);
#else
		logger = spdlog::basic_logger_mt("bench", output, true);
#endif
	} catch (const spdlog::spdlog_ex &) {
		return -EIO;
	}
	log_to = logger.get();
	return 0;
}

void drain()
{
#ifdef PEER_ASYNC
	while (spdlog::thread_pool()->queue_size())
		std::this_thread::sleep_for(std::chrono::milliseconds(1));
#endif
	logger->flush();
}

int stop()
{
	logger.reset();
	spdlog::shutdown(); // everything is written, and the thread has ended
	return 0;
}

} // namespace

extern "C" void peer_spdlog_a(void)
{
	log_to->info("nothing to say");
}

extern "C" void peer_spdlog_b(uint64_t v)
{
	log_to->info("value {}", v);
}

extern "C" void peer_spdlog_c(int i, double d, const char *s)
{
	log_to->info("int {} double {} string {}", i, d, s);
}

extern "C" const struct peer peer = { PEER_CONSUMER_SELF, start, drain, stop, nullptr };
