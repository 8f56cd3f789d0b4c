// Cases.cpp - reads the tables and writes their kernels.
#include "test/targets/nvptx/emulator/Cases.h"

#include <cmath>
#include <fstream>
#include <sstream>
#include <string_view>
#include <tuple>

namespace pianola::ptx {
namespace {

/// C expressions of integers and `lane`, by precedence.
class Expression {
public:
  Expression(std::string_view text, int64_t lane) : rest(text), lane(lane) {}
  bool evaluate(int64_t &value) {
    value = binary(0);
    return ok && rest.empty();
  }

private:
  bool take(std::string_view token) {
    if (rest.substr(0, token.size()) != token)
      return false;
    rest.remove_prefix(token.size());
    return true;
  }
  int64_t binary(size_t level) {
    static const std::vector<std::vector<std::string_view>> levels = {{"||"},
                                                                      {"&&"},
                                                                      {"|"},
                                                                      {"^"},
                                                                      {"&"},
                                                                      {"==", "!="},
                                                                      {"<=", ">=", "<", ">"},
                                                                      {"<<", ">>"},
                                                                      {"+", "-"},
                                                                      {"*", "/", "%"}};
    if (level == levels.size())
      return unary();
    int64_t left = binary(level + 1);
    for (;;) {
      std::string_view op;
      for (std::string_view candidate : levels[level]) {
        // `a || b` is not `a | |b`, and `a << b` not `a < < b`.
        bool longer = rest.size() > candidate.size() && candidate.size() == 1 &&
                      rest[1] == candidate[0] &&
                      (rest[0] == '|' || rest[0] == '&' || rest[0] == '<' || rest[0] == '>');
        if (!longer && take(candidate)) {
          op = candidate;
          break;
        }
      }
      if (op.empty())
        return left;
      left = apply(op, left, binary(level + 1));
    }
  }
  int64_t apply(std::string_view op, int64_t a, int64_t b) {
    if ((op == "/" || op == "%") && b == 0)
      return ok = false;
    return op == "||"   ? a || b
           : op == "&&" ? a && b
           : op == "|"  ? a | b
           : op == "^"  ? a ^ b
           : op == "&"  ? a & b
           : op == "==" ? a == b
           : op == "!=" ? a != b
           : op == "<=" ? a <= b
           : op == ">=" ? a >= b
           : op == "<"  ? a < b
           : op == ">"  ? a > b
           : op == "<<" ? int64_t(uint64_t(a) << (b & 63))
           : op == ">>" ? a >> (b & 63)
           : op == "+"  ? a + b
           : op == "-"  ? a - b
           : op == "*"  ? a * b
           : op == "/"  ? a / b
                        : a % b;
  }
  /// The integer n, which must fit, in a format of those bits.
  int64_t encoded(int64_t n, int exponentBits, int fractionBits) {
    if (n == 0)
      return 0;
    uint64_t magnitude = uint64_t(n < 0 ? -n : n);
    int exponent = 63 - __builtin_clzll(magnitude), shift = fractionBits - exponent;
    uint64_t significand = shift >= 0 ? magnitude << shift : magnitude >> -shift;
    ok = ok && (shift >= 0 || significand << -shift == magnitude);
    uint64_t field = uint64_t(exponent + (1 << (exponentBits - 1)) - 2); // and the implicit bit
    return int64_t((field << fractionBits) + significand) | int64_t(n < 0)
                                                                << (exponentBits + fractionBits);
  }
  int64_t unary() {
    if (take("-"))
      return -unary();
    if (take("~"))
      return ~unary();
    if (take("!"))
      return !unary();
    if (take("lane"))
      return lane;
    if (take("g"))
      return lane >> 2;
    if (take("t"))
      return lane & 3;
    for (auto [name, exponentBits, fractionBits] :
         {std::tuple("bf16", 8, 7), std::tuple("f16", 5, 10), std::tuple("f32", 8, 23),
          std::tuple("e4m3", 4, 3), std::tuple("e5m2", 5, 2)})
      if (take(name)) {
        bool two = take("x2(");
        ok = (two || take("(")) && ok;
        int64_t first = encoded(binary(0), exponentBits, fractionBits);
        if (!two)
          return ok = take(")") && ok, first;
        ok = take(",") && ok;
        return first << 16 | encoded(closing(), exponentBits, fractionBits);
      }
    if (take("("))
      return closing();
    size_t length = 0;
    int64_t value = 0;
    try {
      value = int64_t(std::stoull(std::string(rest), &length, 0));
    } catch (...) {
      ok = false;
    }
    rest.remove_prefix(length);
    return value;
  }
  int64_t closing() {
    int64_t value = binary(0);
    ok = take(")") && ok;
    return value;
  }

  std::string_view rest;
  int64_t lane;
  bool ok = true;
};

/// name=value or name~ulps=value.
bool readValue(const std::string &word, CaseValue &value) {
  size_t equals = word.find('=');
  if (equals == std::string::npos)
    return false;
  value.name = word.substr(0, equals);
  std::string content = word.substr(equals + 1);
  if (size_t tilde = value.name.find('~'); tilde != std::string::npos) {
    value.ulps = std::strtoull(value.name.c_str() + tilde + 1, nullptr, 0);
    value.name.resize(tilde);
  }
  if (value.name.empty() || content.empty())
    return false;
  if (content.substr(0, 3) == "nan") {
    value.anyNaN = true;
    value.bits = std::atoi(content.c_str() + 3);
    return value.bits == 16 || value.bits == 32 || value.bits == 64;
  }
  if (content == "0" || content == "1") {
    value.bits = 1;
    value.lanes.fill(content == "1");
    return true;
  }
  bool predicate = content[0] == '?';
  if (predicate)
    content.erase(0, 1);
  if (content[0] == '{') {
    if (content.back() != '}')
      return false;
    value.bits = predicate ? 1 : 32;
    std::string_view inner = std::string_view(content).substr(1, content.size() - 2);
    for (int lane = 0; lane != warpLanes; ++lane) {
      int64_t result;
      if (!Expression(inner, lane).evaluate(result))
        return false;
      value.lanes[lane] = predicate ? result != 0 : uint32_t(result);
    }
    return true;
  }
  if (content.substr(0, 2) != "0x" ||
      content.find_first_not_of("0123456789abcdef", 2) != std::string::npos)
    return false;
  switch (content.size() - 2) {
  case 2:
  case 4:
    value.bits = 16;
    break;
  case 8:
    value.bits = 32;
    break;
  case 16:
    value.bits = 64;
    break;
  default:
    return false;
  }
  value.lanes.fill(std::strtoull(content.c_str(), nullptr, 16));
  return true;
}

bool readCase(const std::string &line, Case &out) {
  // " : -> " is a case without operands: the middle space belongs to both.
  size_t colon = line.find(" : "), arrow = line.find(" -> ");
  if (colon == std::string::npos || arrow == std::string::npos || arrow < colon)
    return false;
  out.instructions = line.substr(0, colon);
  if (out.instructions.find_last_not_of(' ') == std::string::npos)
    return false;
  if (out.instructions[out.instructions.find_last_not_of(' ')] != ';')
    out.instructions += ';';
  auto readValues = [](const std::string &text, std::vector<CaseValue> &values) {
    std::istringstream words(text);
    for (std::string word; words >> word;) {
      values.emplace_back();
      if (!readValue(word, values.back()))
        return false;
    }
    return true;
  };
  return readValues(line.substr(colon + 2, arrow - colon - 2), out.operands) &&
         readValues(line.substr(arrow + 4), out.results) && !out.results.empty();
}

std::string registerType(const CaseValue &value) {
  return value.bits == 1 ? ".pred" : ".b" + std::to_string(value.bits);
}

} // namespace

CaseFile readCases(const std::string &path) {
  CaseFile file;
  file.path = path;
  file.groups.emplace_back();
  std::ifstream stream(path);
  if (!stream)
    file.errors.emplace_back(0, "cannot be opened");
  int number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    std::string content = line.substr(0, line.find('#'));
    content.erase(content.find_last_not_of(" \t\r") + 1);
    if (content.empty())
      continue;
    bool version = content.substr(0, 9) == ".version ", target = content.substr(0, 8) == ".target ";
    if (version || target) {
      if (!file.groups.back().cases.empty()) {
        CaseGroup next;
        next.version = file.groups.back().version, next.target = file.groups.back().target;
        file.groups.push_back(next);
      }
      (version ? file.groups.back().version : file.groups.back().target) =
          content.substr(version ? 9 : 8);
      continue;
    }
    // The results end where the line does; a trailing space lets an empty list of operands be read.
    Case next;
    next.line = number;
    next.text = line;
    if (readCase(content + " ", next))
      file.groups.back().cases.push_back(std::move(next));
    else
      file.errors.emplace_back(number, line);
  }
  return file;
}

CaseKernel writeKernel(const CaseGroup &group, size_t first, size_t last) {
  CaseKernel kernel;
  std::ostringstream text;
  uint32_t lines = 0;
  auto emit = [&](const std::string &line) {
    text << line << "\n";
    ++lines;
  };
  emit(".version " + group.version);
  emit(".target " + group.target);
  emit(".address_size 64");
  emit(".visible .entry cases(.param .u64 in, .param .u64 out)");
  emit("{");
  emit(".reg .b64 %in, %out, %at;");
  emit(".reg .b32 %flag, %lane;");
  emit("ld.param.u64 %in, [in];");
  emit("ld.param.u64 %out, [out];");
  emit("cvta.to.global.u64 %in, %in;");
  emit("cvta.to.global.u64 %out, %out;");
  emit("mov.u32 %lane, %tid.x;");
  emit("mul.wide.u32 %at, %lane, 8;");
  emit("add.u64 %in, %in, %at;");
  emit("add.u64 %out, %out, %at;");
  size_t slot = 0, result = 0;
  for (size_t i = first; i != last; ++i) {
    const Case &c = group.cases[i];
    kernel.lines.push_back(lines + 1);
    emit("{ // " + std::to_string(c.line));
    for (const std::vector<CaseValue> *values : {&c.operands, &c.results})
      for (const CaseValue &value : *values) {
        bool also = values == &c.results; // an operand that is written too has its register already
        for (const CaseValue &operand : c.operands)
          also = also && operand.name != value.name;
        if (values == &c.operands || also)
          emit(".reg " + registerType(value) + " %" + value.name + ";");
      }
    for (const CaseValue &value : c.operands) {
      std::string place = "[%in+" + std::to_string(256 * slot++) + "];";
      if (value.bits == 1) {
        emit("ld.global.b32 %flag, " + place);
        emit("setp.ne.u32 %" + value.name + ", %flag, 0;");
      } else {
        emit("ld.global" + registerType(value) + " %" + value.name + ", " + place);
      }
      kernel.operands.insert(kernel.operands.end(), value.lanes.begin(), value.lanes.end());
    }
    emit(c.instructions);
    for (const CaseValue &value : c.results) {
      std::string place = "[%out+" + std::to_string(256 * result++) + "], ";
      if (value.bits == 1) {
        emit("selp.u32 %flag, 1, 0, %" + value.name + ";");
        emit("st.global.b32 " + place + "%flag;");
      } else {
        emit("st.global" + registerType(value) + " " + place + "%" + value.name + ";");
      }
    }
    emit("}");
  }
  emit("ret;");
  emit("}");
  kernel.ptx = text.str();
  kernel.results = result * warpLanes;
  return kernel;
}

std::string compareResult(const CaseValue &want, const uint64_t *lanes) {
  uint64_t mask = want.bits == 64 ? ~uint64_t(0) : (uint64_t(1) << want.bits) - 1;
  for (int lane = 0; lane != warpLanes; ++lane) {
    uint64_t got = lanes[lane] & mask, expected = want.lanes[lane] & mask;
    bool right = got == expected;
    if (want.anyNaN) {
      uint64_t infinity = want.bits == 16   ? 0x7c00 // of bf16 NaN lies above, too
                          : want.bits == 32 ? 0x7f800000
                                            : 0x7ff0000000000000;
      right = (got & (mask >> 1)) > infinity;
    } else if (want.ulps != 0 && !right) {
      // Numbers of one sign order like their bits.
      uint64_t sign = (mask >> 1) + 1;
      uint64_t a = got & ~sign, b = expected & ~sign;
      uint64_t distance = (got & sign) != (expected & sign) ? a + b : a < b ? b - a : a - b;
      right = distance <= want.ulps;
    }
    if (!right) {
      std::ostringstream message;
      message << "lane " << lane << ": " << want.name << " is 0x" << std::hex << got;
      if (!want.anyNaN)
        message << ", not 0x" << expected;
      return message.str();
    }
  }
  return "";
}

} // namespace pianola::ptx
