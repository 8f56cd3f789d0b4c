// DeviceOptions.cpp - what every verb that plays a roll is told about where.
#include "tools/pianola/Verbs.h"

namespace pianola {

void addDeviceOptions(CLI::App &verb, SessionOptions &options) {
  verb.add_option("-t,--threads", options.threads, "Threads (default: the roll's workers)");
  verb.add_option_function<std::string>(
          "--device", [&](const std::string &name) { options.device = *parseDevice(name); },
          "auto (what the roll is for), cuda, or emulator")
      ->check(CLI::IsMember({"auto", "cuda", "emulator"}));
  verb.add_option_function<std::string>(
          "--launch", [&](const std::string &name) { options.launch = *parseLaunch(name); },
          "On a GPU: persistent (one kernel), or graph (stage by stage)")
      ->check(CLI::IsMember({"persistent", "graph"}));
}

} // namespace pianola
