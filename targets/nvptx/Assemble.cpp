//===- Assemble.cpp - From PTX to machine code, by ptxas ------------------===//

#include "targets/nvptx/Assemble.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include <cstdlib>

using namespace llvm;

namespace pianola {

namespace {

// A file for one run of ptxas.
class Scratch {
public:
  Scratch(StringRef suffix) : error(sys::fs::createTemporaryFile("pianola", suffix, path)) {}
  ~Scratch() { sys::fs::remove(path); }
  Scratch(const Scratch &) = delete;
  Scratch &operator=(const Scratch &) = delete;

  Expected<std::string> read() const {
    ErrorOr<std::unique_ptr<MemoryBuffer>> file = MemoryBuffer::getFile(path);
    if (!file)
      return createStringError(path.str() + ": " + file.getError().message());
    return (*file)->getBuffer().str();
  }

  SmallString<128> path;
  std::error_code error;
};

Expected<std::string> findAssembler() {
  if (const char *named = std::getenv("PIANOLA_PTXAS")) {
    if (!sys::fs::can_execute(named))
      return createStringError("PIANOLA_PTXAS=" + Twine(named) + ": cannot be executed");
    return std::string(named);
  }
  std::string found = PIANOLA_PTXAS_FOUND;
  if (found.empty())
    return createStringError("there is no ptxas: CUDA's toolkit was not found when this program "
                             "was built (PIANOLA_PTXAS may name one)");
  if (!sys::fs::can_execute(found))
    return createStringError(found + ": is there no more (PIANOLA_PTXAS may name another)");
  return found;
}

// What an error says: "ptxas /tmp/pianola-1.ptx, line 12; error   : Unknown symbol 'x'".
std::string firstError(StringRef said) {
  for (StringRef line : split(said, '\n'))
    if (line.contains("error") || line.contains("fatal")) {
      size_t where = line.find(", line ");
      return (where == StringRef::npos ? line : line.drop_front(where + 2)).trim().str();
    }
  return said.trim().str();
}

unsigned numberBefore(StringRef text, StringRef unit) {
  StringRef head = text.take_front(text.find(unit)).rtrim();
  unsigned number = 0;
  if (text.contains(unit))
    (void)head.take_back(head.size() - head.find_last_not_of("0123456789") - 1)
        .getAsInteger(10, number);
  return number;
}

// Of what `ptxas -v` says of each kernel.
void printKernels(StringRef said, StringRef chip, raw_ostream &notes) {
  notes << "note: machine code for " << chip << "\n";
  notes << "kernel                                   registers  stack  spill stores  spill loads\n";
  std::string kernel;
  unsigned stack = 0, stores = 0, loads = 0;
  for (StringRef line : split(said, '\n')) {
    if (line.contains("Compiling entry function")) {
      kernel = line.split('\'').second.split('\'').first.str();
      stack = stores = loads = 0;
    } else if (line.contains("bytes stack frame")) {
      stack = numberBefore(line, "bytes stack frame");
      stores = numberBefore(line, "bytes spill stores");
      loads = numberBefore(line, "bytes spill loads");
    } else if (line.contains("Used ") && !kernel.empty()) {
      notes << format("%-40s %9u %6u %13u %12u\n", kernel.c_str(), numberBefore(line, "registers"),
                      stack, stores, loads);
      kernel.clear();
    }
  }
}

} // namespace

Expected<std::vector<uint8_t>> assemble(StringRef ptx, uint32_t capability, raw_ostream &notes) {
  Expected<std::string> assembler = findAssembler();
  if (!assembler)
    return createStringError("--cubin: " + toString(assembler.takeError()));
  // What is Hopper's own is in sm_90a alone.
  std::string chip = "sm_" + std::to_string(capability) + (capability == 90 ? "a" : "");
  Scratch source("ptx"), code("cubin"), log("log");
  for (const Scratch *file : {&source, &code, &log})
    if (file->error)
      return createStringError("--cubin: no temporary file: " + file->error.message());
  {
    std::error_code error;
    raw_fd_ostream to(source.path, error);
    to << ptx;
    to.close();
    if (error || to.has_error())
      return createStringError("--cubin: " + source.path.str() + ": cannot be written");
  }
  std::optional<StringRef> redirects[] = {StringRef(""), StringRef(log.path), StringRef(log.path)};
  std::string failure;
  int status = sys::ExecuteAndWait(*assembler,
                                   {*assembler, "-v", "-arch", chip, source.path, "-o", code.path},
                                   std::nullopt, redirects, 0, 0, &failure);
  Expected<std::string> said = log.read();
  if (!said)
    return said.takeError();
  if (status != 0)
    return createStringError("--cubin: " + *assembler + " makes no machine code for " + chip +
                             ": " + (failure.empty() ? firstError(*said) : failure));
  printKernels(*said, chip, notes);
  Expected<std::string> made = code.read();
  if (!made)
    return made.takeError();
  return std::vector<uint8_t>(made->begin(), made->end());
}

} // namespace pianola
