//===- Pictures.cpp - A predicted play, to look at ------------------------===//

#include "lib/driver/Pictures.h"
#include <nlohmann/json.hpp>

using nlohmann::json;

namespace pianola {

std::string_view timelineTemplate(); // timeline.html, made by cmake/Embed.cmake

std::string drawTimeline(const Prediction &prediction) {
  json steps = json::array(), workers = json::array();
  for (auto [step, cost] : llvm::zip(prediction.steps, prediction.timeline.steps))
    steps.push_back({{"label", step.label},
                     {"kind", step.kind},
                     {"tape", cost.tape},
                     {"floor", std::llround(cost.floor)},
                     {"ns", std::llround(cost.ns)}});
  // Spans as plain numbers, in the order of `fields`: a large model has some ten thousand.
  for (auto [worker, spans] : llvm::enumerate(prediction.timeline.workers)) {
    json &lane = workers.emplace_back(json::array());
    for (const schedule::Span &span : spans)
      lane.push_back({span.step, prediction.steps[span.step].tiles[worker],
                      std::llround(span.arrive), std::llround(span.ready), std::llround(span.work),
                      std::llround(span.end), std::llround(span.starved),
                      std::llround(span.filledBefore), std::llround(span.filledAfter)});
  }
  json data = {{"model", prediction.model},
               {"device", prediction.device->product},
               {"slots", prediction.slots},
               {"positions", prediction.positions},
               {"ns", std::llround(prediction.timeline.ns)},
               {"floor", std::llround(prediction.timeline.floor)},
               {"ring", prediction.timeline.ring},
               {"fields",
                {"step", "tiles", "arrive", "ready", "work", "end", "starved", "filledBefore",
                 "filledAfter"}},
               {"steps", steps},
               {"workers", workers}};
  std::string text = data.dump();
  // A script ends at the first "</", whatever it is in.
  for (size_t at = 0; (at = text.find("</", at)) != std::string::npos; at += 3)
    text.replace(at, 2, "<\\/");

  constexpr std::string_view kPlace = "@TIMELINE@";
  std::string page(timelineTemplate());
  page.replace(page.find(kPlace), kPlace.size(), text);
  return page;
}

std::string writeTrace(const Prediction &prediction) {
  json events = json::array();
  auto add = [&](size_t worker, const std::string &name, const char *category, double from,
                 double to) {
    if (to > from)
      events.push_back({{"name", name},
                        {"cat", category},
                        {"ph", "X"},
                        {"ts", from * 1e-3},
                        {"dur", (to - from) * 1e-3},
                        {"pid", 1},
                        {"tid", worker}});
  };
  auto fill = [&](size_t worker, double when, double bytes) {
    events.push_back({{"name", "ring " + std::to_string(worker)},
                      {"ph", "C"},
                      {"ts", when * 1e-3},
                      {"pid", 1},
                      {"args", {{"bytes", std::llround(bytes)}}}});
  };
  events.push_back(
      {{"name", "process_name"},
       {"ph", "M"},
       {"pid", 1},
       {"args", {{"name", prediction.model + ", " + std::string(prediction.device->product)}}}});
  for (auto [worker, spans] : llvm::enumerate(prediction.timeline.workers)) {
    events.push_back({{"name", "thread_name"},
                      {"ph", "M"},
                      {"pid", 1},
                      {"tid", worker},
                      {"args", {{"name", "worker " + std::to_string(worker)}}}});
    for (const schedule::Span &span : spans) {
      const PredictedStep &step = prediction.steps[span.step];
      add(worker, "wait for " + step.label, "wait", span.arrive, span.ready);
      add(worker, step.label + " (prologue)", "prologue", span.ready, span.work);
      add(worker, step.label, step.kind.c_str(), span.work, span.end);
      fill(worker, span.ready, span.filledBefore);
      fill(worker, span.end, span.filledAfter);
    }
  }
  return json{{"traceEvents", events}, {"displayTimeUnit", "ns"}}.dump();
}

} // namespace pianola
