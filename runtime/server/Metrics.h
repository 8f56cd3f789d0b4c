// Metrics.h - counts and times, for Prometheus.
//
// Text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats). What vLLM
// counts, too, has its name behind "pianola:", so that a dashboard needs but another prefix.
#ifndef PIANOLA_RUNTIME_SERVER_METRICS_H
#define PIANOLA_RUNTIME_SERVER_METRICS_H

#include "runtime/server/Scheduler.h"

#include <array>
#include <map>

namespace pianola::server {

/// How many observations were at most each bound.
class Histogram {
public:
  explicit Histogram(std::vector<double> bounds)
      : bounds(std::move(bounds)), counts(this->bounds.size() + 1) {}
  void observe(double value);
  std::string text(const std::string &name, const std::string &help,
                   const std::string &label) const;

private:
  std::vector<double> bounds;
  std::vector<uint64_t> counts; // of each interval; the last one has no end
  double sum = 0;
};

/// From several threads at once.
class Metrics {
public:
  explicit Metrics(std::string model) : model(std::move(model)) {}
  void replied(const std::string &path, unsigned status);
  void ended(const Ending &ending, const std::string &reason);
  /// All that is known, with what the scheduler says.
  std::string text(const SchedulerCounts &counts, size_t connections) const;

private:
  std::string model;
  mutable std::mutex mutex; // of what follows
  std::map<std::pair<std::string, unsigned>, uint64_t> replies;
  std::map<std::string, uint64_t> finished; // by reason
  Histogram firstToken{
      {.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80}};
  Histogram perToken{
      {.001, .0025, .005, .01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5}};
  Histogram whole{{.3, .5, .8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240}};
  Histogram queued{{.001, .01, .1, .3, .5, .8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 60}};
};

} // namespace pianola::server

#endif
