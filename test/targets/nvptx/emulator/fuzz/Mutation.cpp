#include "test/targets/nvptx/emulator/fuzz/Mutation.h"

#include <algorithm>
#include <cctype>

namespace pianola::ptx {

namespace {

// What a mutation may put in a place. Random letters would hardly ever be a word of PTX.
const char *const opcodes[] = {
    "abs",   "activemask", "add",       "addc",      "and",      "atom",       "bar",   "barrier",
    "bfe",   "bfi",        "bfind",     "bmsk",      "bra",      "brev",       "brx",   "call",
    "clz",   "cnot",       "copysign",  "cos",       "cp",       "cvt",        "cvta",  "discard",
    "div",   "dp2a",       "dp4a",      "elect",     "ex2",      "exit",       "fence", "fma",
    "fns",   "isspacep",   "ld",        "ldmatrix",  "ldu",      "lg2",        "lop3",  "mad",
    "mad24", "madc",       "match",     "max",       "mbarrier", "membar",     "min",   "mma",
    "mov",   "mul",        "mul24",     "nanosleep", "neg",      "not",        "or",    "pmevent",
    "popc",  "prefetch",   "prefetchu", "prmt",      "rcp",      "red",        "redux", "rem",
    "ret",   "rsqrt",      "sad",       "selp",      "set",      "setmaxnreg", "setp",  "shf",
    "shfl",  "shl",        "shr",       "sin",       "slct",     "sqrt",       "st",    "stmatrix",
    "sub",   "subc",       "szext",     "tanh",      "testp",    "trap",       "vote",  "xor"};
const char *const modifiers[] = {"u8",
                                 "u16",
                                 "u32",
                                 "u64",
                                 "s8",
                                 "s16",
                                 "s32",
                                 "s64",
                                 "b8",
                                 "b16",
                                 "b32",
                                 "b64",
                                 "b128",
                                 "f16",
                                 "f16x2",
                                 "bf16",
                                 "bf16x2",
                                 "tf32",
                                 "f32",
                                 "f64",
                                 "e4m3",
                                 "e5m2",
                                 "e4m3x2",
                                 "e5m2x2",
                                 "pred",
                                 "v2",
                                 "v4",
                                 "v8",
                                 "global",
                                 "shared",
                                 "local",
                                 "const",
                                 "param",
                                 "shared::cta",
                                 "shared::cluster",
                                 "relaxed",
                                 "acquire",
                                 "release",
                                 "acq_rel",
                                 "volatile",
                                 "weak",
                                 "sc",
                                 "cta",
                                 "gpu",
                                 "sys",
                                 "cluster",
                                 "rn",
                                 "rz",
                                 "rm",
                                 "rp",
                                 "rni",
                                 "rzi",
                                 "rmi",
                                 "rpi",
                                 "rna",
                                 "ftz",
                                 "sat",
                                 "satfinite",
                                 "relu",
                                 "approx",
                                 "full",
                                 "lo",
                                 "hi",
                                 "wide",
                                 "cc",
                                 "sync",
                                 "aligned",
                                 "arrive",
                                 "red",
                                 "popc",
                                 "and",
                                 "or",
                                 "xor",
                                 "add",
                                 "min",
                                 "max",
                                 "inc",
                                 "dec",
                                 "exch",
                                 "cas",
                                 "eq",
                                 "ne",
                                 "lt",
                                 "le",
                                 "gt",
                                 "ge",
                                 "ltu",
                                 "neu",
                                 "num",
                                 "nan",
                                 "up",
                                 "down",
                                 "bfly",
                                 "idx",
                                 "any",
                                 "all",
                                 "uni",
                                 "ballot",
                                 "nc",
                                 "ca",
                                 "cg",
                                 "async",
                                 "bulk",
                                 "mbarrier::complete_tx::bytes",
                                 "bulk_group",
                                 "commit_group",
                                 "wait_group",
                                 "wait_all",
                                 "read",
                                 "init",
                                 "inval",
                                 "test_wait",
                                 "try_wait",
                                 "parity",
                                 "expect_tx",
                                 "noinc",
                                 "pending_count",
                                 "proxy",
                                 "trans",
                                 "x1",
                                 "x2",
                                 "x4",
                                 "m8n8",
                                 "m16n8k8",
                                 "m16n8k16",
                                 "m16n8k32",
                                 "row",
                                 "col",
                                 "l",
                                 "r",
                                 "clamp",
                                 "wrap",
                                 "shiftamt",
                                 "mode",
                                 "to",
                                 "noftz",
                                 "warp",
                                 "reduce",
                                 "prefetch",
                                 "L2",
                                 "xorsign",
                                 "abs"};
const char *const directives[] = {
    ".reg",     ".local",         ".shared",        ".param",        ".global",
    ".const",   ".align",         ".entry",         ".func",         ".extern",
    ".visible", ".branchtargets", ".callprototype", ".calltargets",  ".reqntid",
    ".maxntid", ".version",       ".target",        ".address_size", ".pragma",
    ".loc",     ".section",       ".ptr",           ".weak",         "// stage: x\n"};
const char *const operands[] = {"%tid.x",
                                "%ctaid.y",
                                "%laneid",
                                "%warpid",
                                "%envreg1",
                                "%envreg2",
                                "%clock64",
                                "%gridid",
                                "%r1",
                                "%rd1",
                                "%f1",
                                "%p1",
                                "%rs1",
                                "WARP_SZ",
                                "_",
                                "vprintf",
                                "__assertfail",
                                "0f3F800000",
                                "0d3FF0000000000000",
                                "1.5",
                                "!%p1",
                                "{%r1, %r2}",
                                "{%r1, %r2, %r3, %r4}",
                                "[%rd1]",
                                "[%rd1+16]",
                                "[0]",
                                "%r1|%p1",
                                "%p1|%p2"};
const char *const numbers[] = {"0",
                               "1",
                               "2",
                               "3",
                               "7",
                               "8",
                               "15",
                               "16",
                               "17",
                               "31",
                               "32",
                               "33",
                               "63",
                               "64",
                               "127",
                               "128",
                               "255",
                               "256",
                               "1023",
                               "1024",
                               "4095",
                               "65535",
                               "65536",
                               "1048575",
                               "1048576",
                               "2147483647",
                               "2147483648",
                               "4294967295",
                               "4294967296",
                               "9223372036854775807",
                               "18446744073709551615",
                               "-1",
                               "-2147483648",
                               "-9223372036854775808"};
const char marks[] = "{}[]()<>,;:@!|+-*/=~&^?\"\\\n";

template <size_t N> std::string oneOf(const char *const (&list)[N], Draw &draw) {
  return list[draw.next() % N];
}

bool isWordPart(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' || c == '%' ||
         c == '.';
}

struct Span {
  size_t begin, end;
};

/// Words and single marks; white space is between them.
std::vector<Span> wordsOf(const std::string &text) {
  std::vector<Span> out;
  for (size_t i = 0; i < text.size();) {
    size_t begin = i;
    if (std::isspace(static_cast<unsigned char>(text[i]))) {
      ++i;
      continue;
    }
    while (i < text.size() && isWordPart(text[i]))
      ++i;
    i = std::max(i, begin + 1);
    out.push_back({begin, i});
  }
  return out;
}

std::vector<Span> linesOf(const std::string &text) {
  std::vector<Span> out;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = std::min(text.find('\n', begin), text.size() - 1) + 1;
    out.push_back({begin, end});
    begin = end;
  }
  return out;
}

std::string any(Draw &draw) {
  switch (draw.next() % 8) {
  case 0:
    return oneOf(opcodes, draw);
  case 1:
    return "." + oneOf(modifiers, draw);
  case 2:
    return oneOf(directives, draw);
  case 3:
  case 4:
    return oneOf(operands, draw);
  case 5:
    return std::string(1, marks[draw.next() % (sizeof marks - 1)]);
  default:
    return oneOf(numbers, draw);
  }
}

/// The opcode or one modifier of a word is another one, is lost, or is there twice.
std::string withOtherPart(const std::string &word, Draw &draw) {
  std::vector<std::string> parts(1);
  for (char c : word)
    if (c == '.')
      parts.emplace_back();
    else
      parts.back().push_back(c);
  size_t at = draw.next() % parts.size();
  switch (draw.next() % 6) {
  case 0:
    parts.erase(parts.begin() + ptrdiff_t(at));
    break;
  case 1:
    parts.insert(parts.begin() + ptrdiff_t(at), oneOf(modifiers, draw));
    break;
  default:
    parts[at] = at ? oneOf(modifiers, draw) : oneOf(opcodes, draw);
  }
  std::string out;
  for (size_t i = 0; i < parts.size(); ++i)
    out += (i ? "." : "") + parts[i];
  return out;
}

void mutateWord(std::string &text, Draw &draw) {
  std::vector<Span> words = wordsOf(text);
  if (words.empty())
    return;
  Span at = words[draw.next() % words.size()], other = words[draw.next() % words.size()];
  std::string word = text.substr(at.begin, at.end - at.begin),
              otherWord = text.substr(other.begin, other.end - other.begin), fresh;
  bool isNumber = std::isdigit(static_cast<unsigned char>(word[0])),
       isWord = isWordPart(word[0]) && !isNumber;
  switch (draw.next() % 10) {
  case 0:
    break; // is lost
  case 1:
    fresh = word + " " + word;
    break;
  case 2:
    fresh = any(draw);
    break;
  case 3:
    fresh = word + " " + any(draw);
    break;
  case 4:
  case 5: // like by like
    for (unsigned tries = 0; tries < 20 && isWord != isWordPart(otherWord[0]); ++tries) {
      other = words[draw.next() % words.size()];
      otherWord = text.substr(other.begin, other.end - other.begin);
    }
    fresh = otherWord;
    break;
  case 6:
    fresh = isWord ? oneOf(operands, draw) : any(draw);
    break;
  default:
    fresh = isNumber                                ? oneOf(numbers, draw)
            : isWord && word.find('.') != word.npos ? withOtherPart(word, draw)
                                                    : otherWord;
  }
  text.replace(at.begin, at.end - at.begin, fresh);
}

void mutateLine(std::string &text, Draw &draw) {
  std::vector<Span> lines = linesOf(text);
  if (lines.empty())
    return;
  size_t from = draw.next() % lines.size(), count = 1 + draw.next() % 3;
  Span at = lines[from], last = lines[std::min(from + count, lines.size()) - 1];
  std::string piece = text.substr(at.begin, last.end - at.begin);
  size_t to = lines[draw.next() % lines.size()].begin;
  switch (draw.next() % 5) {
  case 0:
    text.erase(at.begin, piece.size());
    break;
  case 1:
    text.insert(to, piece);
    break;
  case 2: // moves
    text.erase(at.begin, piece.size());
    text.insert(std::min(to, text.size()), piece);
    break;
  case 3: { // many times
    std::string many;
    for (size_t times = draw.next() % 200; times && many.size() < 20000; --times)
      many += piece;
    text.insert(to, many);
    break;
  }
  default: { // an instruction that was not there
    std::string fresh = oneOf(opcodes, draw);
    for (size_t i = draw.next() % 5; i; --i)
      fresh += "." + oneOf(modifiers, draw);
    for (size_t i = 0, most = draw.next() % 5; i < most; ++i)
      fresh += (i ? ", " : " ") + oneOf(operands, draw);
    text.insert(to, fresh + ";\n");
  }
  }
}

void mutateBytes(std::string &text, Draw &draw) {
  if (text.empty())
    return;
  size_t at = draw.next() % text.size();
  switch (draw.next() % 4) {
  case 0:
    text[at] = char(draw.next());
    break;
  case 1:
    text.resize(at);
    break;
  case 2:
    text.erase(at, 1 + draw.next() % 40);
    break;
  default:
    text.insert(at, std::string(draw.next() % 2 ? 1 : draw.next() % 2000,
                                marks[draw.next() % (sizeof marks - 1)]));
  }
}

} // namespace

std::string mutated(std::string_view text, Draw &draw, size_t most) {
  std::string out(text);
  for (uint32_t count = 1 + draw.next() % 4; count; --count) {
    uint32_t kind = draw.next() % 16;
    if (kind < 11)
      mutateWord(out, draw);
    else if (kind < 15)
      mutateLine(out, draw);
    else
      mutateBytes(out, draw);
  }
  if (out.size() > most)
    out.resize(most);
  return out;
}

} // namespace pianola::ptx
