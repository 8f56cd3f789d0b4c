// Metrics.cpp - counts and times, for Prometheus.
#include "runtime/server/Metrics.h"

#include <algorithm>
#include <sstream>

namespace pianola::server {

static double seconds(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

void Histogram::observe(double value) {
  ++counts[std::lower_bound(bounds.begin(), bounds.end(), value) - bounds.begin()];
  sum += value;
}

std::string Histogram::text(const std::string &name, const std::string &help,
                            const std::string &label) const {
  std::ostringstream out;
  out << "# HELP " << name << ' ' << help << "\n# TYPE " << name << " histogram\n";
  uint64_t below = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    below += counts[i];
    out << name << "_bucket{" << label << ",le=\"";
    i < bounds.size() ? out << bounds[i] : out << "+Inf";
    out << "\"} " << below << '\n';
  }
  out << name << "_sum{" << label << "} " << sum << '\n'
      << name << "_count{" << label << "} " << below << '\n';
  return out.str();
}

void Metrics::replied(const std::string &path, unsigned status) {
  std::lock_guard<std::mutex> lock(mutex);
  ++replies[{path, status}];
}

void Metrics::ended(const Ending &ending, const std::string &reason) {
  std::lock_guard<std::mutex> lock(mutex);
  ++finished[reason];
  if (ending.generatedTokens == 0)
    return;
  firstToken.observe(seconds(ending.queued, ending.firstToken));
  if (ending.generatedTokens > 1)
    perToken.observe(seconds(ending.firstToken, ending.ended) /
                     static_cast<double>(ending.generatedTokens - 1));
  whole.observe(seconds(ending.queued, ending.ended));
  queued.observe(seconds(ending.queued, ending.started));
}

// A label's value in its quotes.
static std::string quoted(const std::string &value) {
  std::string text = "\"";
  for (char c : value) {
    if (c == '"' || c == '\\')
      text += '\\';
    c == '\n' ? text += "\\n" : text += c;
  }
  return text + '"';
}

std::string Metrics::text(const SchedulerCounts &counts, size_t connections) const {
  std::string label = "model_name=" + quoted(model);
  std::ostringstream out;
  auto one = [&](const char *name, const char *type, const char *help, double value) {
    out << "# HELP pianola:" << name << ' ' << help << "\n# TYPE pianola:" << name << ' ' << type
        << "\npianola:" << name << '{' << label << "} " << value << '\n';
  };
  out.precision(17);
  one("num_requests_running", "gauge", "Texts being generated.", counts.running);
  one("num_requests_waiting", "gauge", "Texts that wait for a sequence.", counts.waiting);
  one("kv_cache_usage_perc", "gauge", "Share of the positions in use; 1 is all.",
      counts.contextShare);
  one("connections", "gauge", "Open connections.", connections);
  one("prompt_tokens_total", "counter", "Tokens of prompts that were fed.", counts.promptTokens);
  one("generation_tokens_total", "counter", "Tokens that were generated.", counts.generatedTokens);
  one("prefix_cache_queries_total", "counter", "Tokens of prompts that were looked up.",
      counts.prefixQueries);
  one("prefix_cache_hits_total", "counter", "Tokens of prompts that were known already.",
      counts.prefixHits);
  one("steps_total", "counter", "Plays that generated tokens.", counts.steps);
  one("step_tokens_total", "counter", "Tokens in those plays.", counts.turns);

  std::lock_guard<std::mutex> lock(mutex);
  out << "# HELP pianola:request_success_total Texts by how they ended.\n"
         "# TYPE pianola:request_success_total counter\n";
  for (const auto &[reason, count] : finished)
    out << "pianola:request_success_total{" << label << ",finished_reason=" << quoted(reason)
        << "} " << count << '\n';
  out << "# HELP pianola:http_requests_total Replies by route and status.\n"
         "# TYPE pianola:http_requests_total counter\n";
  for (const auto &[reply, count] : replies)
    out << "pianola:http_requests_total{path=" << quoted(reply.first) << ",status=\""
        << reply.second << "\"} " << count << '\n';
  out << firstToken.text("pianola:time_to_first_token_seconds",
                         "From a request to its first token.", label)
      << perToken.text("pianola:time_per_output_token_seconds", "Between tokens, on average.",
                       label)
      << whole.text("pianola:e2e_request_latency_seconds", "From a request to its last token.",
                    label)
      << queued.text("pianola:request_queue_time_seconds", "Until a sequence was free.", label);
  return out.str();
}

} // namespace pianola::server
