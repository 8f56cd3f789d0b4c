// Pictures.cpp - a play, predicted or recorded, to look at.
#include "runtime/timeline/Pictures.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>

using nlohmann::json;

namespace pianola {

std::string_view timelineTemplate(); // timeline.html, made by cmake/Embed.cmake

std::string drawTimeline(const DrawnPlay &play) {
  json steps = json::array(), workers = json::array();
  for (const DrawnStep &step : play.steps)
    steps.push_back({{"label", step.label},
                     {"kind", step.kind},
                     {"tape", step.tape},
                     {"floor", std::llround(step.floor)},
                     {"ns", std::llround(step.ns)}});
  // Spans as plain numbers, in the order of `fields`: a large model has some ten thousand.
  for (const std::vector<DrawnSpan> &spans : play.workers) {
    json &lane = workers.emplace_back(json::array());
    for (const DrawnSpan &span : spans)
      lane.push_back({span.step, span.tiles, std::llround(span.arrive), std::llround(span.ready),
                      std::llround(span.work), std::llround(span.end), std::llround(span.starved),
                      std::llround(span.filledBefore), std::llround(span.filledAfter)});
  }
  json data = {{"model", play.model},
               {"device", play.device},
               {"recorded", play.recorded},
               {"slots", play.slots},
               {"positions", play.positions},
               {"ns", std::llround(play.ns)},
               {"floor", std::llround(play.floor)},
               {"ring", play.ring},
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

std::string writeTrace(const DrawnPlay &play) {
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
    if (play.ring != 0)
      events.push_back({{"name", "ring " + std::to_string(worker)},
                        {"ph", "C"},
                        {"ts", when * 1e-3},
                        {"pid", 1},
                        {"args", {{"bytes", std::llround(bytes)}}}});
  };
  events.push_back({{"name", "process_name"},
                    {"ph", "M"},
                    {"pid", 1},
                    {"args", {{"name", play.model + ", " + play.device}}}});
  for (size_t worker = 0; worker < play.workers.size(); ++worker) {
    events.push_back({{"name", "thread_name"},
                      {"ph", "M"},
                      {"pid", 1},
                      {"tid", worker},
                      {"args", {{"name", "worker " + std::to_string(worker)}}}});
    for (const DrawnSpan &span : play.workers[worker]) {
      const DrawnStep &step = play.steps[span.step];
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
