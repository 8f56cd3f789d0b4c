// KernelText.h - the text of a kernel, and the ways to change it.
#ifndef PIANOLA_TEST_NUMERIC_KERNELTEXT_H
#define PIANOLA_TEST_NUMERIC_KERNELTEXT_H

#include <string>
#include <vector>

namespace pianola {

/// The lines of the persistent kernel. Changes tell how many lines they changed.
struct KernelText {
  std::vector<std::string> lines;

  bool has(size_t line, const std::string &what) const {
    return lines[line].find(what) != std::string::npos;
  }
  size_t find(const std::string &what, size_t from = 0) const {
    while (from < lines.size() && !has(from, what))
      ++from;
    return from;
  }
  /// Where the branch of a line goes.
  size_t jump(size_t from) const {
    const std::string &line = lines[from];
    size_t label = line.find('$');
    return find(line.substr(label, line.find(';') - label) + ":");
  }
  int replace(const std::string &what, const std::string &by) {
    int count = 0;
    for (std::string &line : lines)
      if (size_t at = line.find(what); at != std::string::npos) {
        line.replace(at, what.size(), by);
        ++count;
      }
    return count;
  }
  int leaveOut(const std::string &what) {
    int count = 0;
    for (size_t i = 0; i < lines.size(); ++i)
      if (has(i, what)) {
        lines[i].clear();
        ++count;
      }
    return count;
  }
  /// The first one behind a place.
  int leaveOutBehind(const std::string &place, const std::string &what) {
    size_t at = find(what, find(place));
    if (at >= lines.size())
      return 0;
    lines[at].clear();
    return 1;
  }
  int leaveOutAllBehind(const std::string &place, const std::string &what) {
    int count = 0;
    for (size_t at = find(what, find(place)); at < lines.size(); at = find(what, at), ++count)
      lines[at].clear();
    return count;
  }
  /// Reads of the weights that are multiplied far behind the read: made there instead.
  int readWeightsLate() {
    constexpr size_t kFar = 100; // lines
    int count = 0;
    for (size_t at = 0; at < lines.size(); ++at) {
      if (!has(at, "ld.shared.v4.u32"))
        continue;
      size_t first = lines[at].find("%r");
      std::string name = lines[at].substr(first, lines[at].find(',', first) - first);
      // An instruction's operands stand in the lines behind it, the weights in the second.
      for (size_t use = at + kFar; use < lines.size(); ++use)
        if (has(use - 2, "mma.sync") &&
            (has(use, "{" + name + ",") || has(use, ", " + name + ","))) {
          lines[use - 2] = lines[at] + "\n" + lines[use - 2];
          lines[at].clear();
          ++count;
          break;
        }
    }
    return count;
  }
  /// The last one before a place, or before the second of its name.
  int leaveOutBefore(const std::string &place, int which, const std::string &what) {
    size_t at = find(place);
    for (; which > 0; --which)
      at = find(place, at + 1);
    while (at > 0 && !has(--at, what))
      ;
    lines[at].clear();
    return 1;
  }
  /// Names another last operand.
  int replaceLast(const std::string &what, const std::string &operand) {
    int count = 0;
    for (size_t i = 0; i < lines.size(); ++i)
      if (has(i, what)) {
        lines[i] = lines[i].substr(0, lines[i].rfind(',')) + ", " + operand + ";";
        ++count;
      }
    return count;
  }
};

} // namespace pianola

#endif
