// State.h - what stands behind the handles: contexts, streams, events, modules, graphs.
//
// Each context has an emulated device of its own and two threads: one plays kernels, the other does
// everything else, so copies go on while a persistent kernel runs. Whatever a stream is given waits
// in its queue; of the streams whose next task may begin, one is drawn by lot. A program that
// forgot to wait for an event therefore finds its streams in every order.
//
// One lock (Turn) guards all of this. Who plays a kernel holds it, and gives way between
// instructions.
#ifndef PIANOLA_TARGETS_NVPTX_DRIVER_STATE_H
#define PIANOLA_TARGETS_NVPTX_DRIVER_STATE_H

#include "targets/nvptx/driver/DriverApi.h"
#include "targets/nvptx/driver/Turn.h"
#include "targets/nvptx/emulator/Code.h"
#include "targets/nvptx/emulator/Emulator.h"

#include <condition_variable>
#include <deque>
#include <map>
#include <unordered_map>

namespace pianola::cuda {

#define PIANOLA_DECLARE(name, parameters)                                                          \
  extern "C" __attribute__((visibility("default"))) CUresult name parameters;
PIANOLA_DRIVER_API(PIANOLA_DECLARE)
#undef PIANOLA_DECLARE

using Context = CUctx_st;
using Stream = CUstream_st;
using Event = CUevent_st;
using Graph = CUgraph_st;
using GraphNode = CUgraphNode_st;

/// What PIANOLA_EMULATED_DEVICE and PIANOLA_EMULATOR_* say.
struct Settings {
  const DeviceRow *row = nullptr;
  uint64_t seed = 0;
  ptx::Checks checks;
  bool reportOnly = false; ///< findings that stop nothing are printed, and no more
  double patience = 10;    ///< seconds that a kernel may poll the host
};

/// Something that a stream does; its result, once it failed, is the context's.
struct Work {
  std::function<CUresult(Context &)> run;
  bool plays = false; ///< a kernel
};

struct Capture {
  std::shared_ptr<Graph> graph;
  const Stream *origin = nullptr;
  CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
  std::thread::id thread;
  bool invalid = false;
};

struct Task {
  enum class Kind : uint8_t { Run, Record, Wait } kind = Kind::Run;
  uint64_t number = 0; ///< in the order of the program, over all streams of the context
  Work work;
  std::shared_ptr<Event> event;
  uint64_t record = 0; ///< which record of the event
};

struct CUstream_st {
  Context *context = nullptr;
  bool isDefault = false;
  unsigned flags = 0;
  int priority = 0;
  std::deque<Task> tasks; ///< the first one may be running
  bool busy = false, isDestroyed = false;
  std::shared_ptr<Capture> capture;
  std::vector<GraphNode *> tips; ///< of a capture: what the next node comes after

  /// Takes part in the order of the default stream.
  bool isBlocking() const { return !(flags & StreamNonBlocking); }
  /// Whether all tasks before this number are done.
  bool isDone(uint64_t number) const { return tasks.empty() || tasks.front().number >= number; }
};

struct CUevent_st {
  Context *context = nullptr;
  unsigned flags = 0;
  uint64_t recorded = 0, completed = 0;
  double time = 0; ///< emulated seconds
  std::shared_ptr<Capture> capture;
  std::vector<GraphNode *> tips;
};

struct CUmod_st {
  Context *context = nullptr;
  std::shared_ptr<const ptx::Module> module;
  std::map<std::string, CUfunction> functions;
};

struct CUfunc_st {
  CUmodule module = nullptr;
  std::shared_ptr<const ptx::Module> code;
  const ptx::Kernel *kernel = nullptr;
  uint32_t maxDynamicShared = 0;
  int carveout = -1;
};

struct CUgraphNode_st {
  Work work;
  std::vector<GraphNode *> after;
};

struct CUgraph_st {
  std::vector<std::shared_ptr<GraphNode>> nodes;
};

struct CUgraphExec_st {
  struct Step {
    Work work;
    std::vector<size_t> after;
  };
  std::vector<Step> steps;
};

struct CUlinkState_st {
  std::string ptx;
  std::vector<char> cubin;
  std::vector<CUjit_option> options;
  void **values = nullptr; ///< the caller's, where sizes of logs are written back
};

/// Pinned memory.
struct HostMemory {
  uint64_t bytes = 0, address = 0; ///< address: on the device
  unsigned flags = 0;
  std::shared_ptr<void> reservation; ///< of addresses; none: the memory is the program's own
};

struct CUctx_st {
  explicit CUctx_st(const Settings &settings, unsigned flags);

  Settings settings;
  unsigned flags;
  bool isPrimary = false, isClosing = false, hasThreads = false;
  ptx::Device device;
  CUresult error = CUDA_SUCCESS; ///< sticky
  bool heardWrongNotes = false;  ///< findings since the last synchronisation
  uint64_t submitted = 0, launches = 0;
  uint64_t lot;     ///< which stream is next
  double clock = 0; ///< emulated seconds
  /// The default stream, the one of CU_STREAM_PER_THREAD, and those that were created.
  std::vector<std::shared_ptr<Stream>> streams;
  std::map<uintptr_t, HostMemory> hostMemory; ///< by the host's address
  std::map<int, size_t> limits;

  uint32_t draw(uint32_t bound);
  /// The pinned memory around an address of the host, or null.
  const HostMemory *pinned(const void *memory, uintptr_t *base = nullptr) const;
};

/// Objects behind handles; a handle that is not in its table is an invalid one.
template <typename T> class Table {
public:
  T *add(std::shared_ptr<T> object) {
    T *handle = object.get();
    all.emplace(handle, std::move(object));
    return handle;
  }
  std::shared_ptr<T> find(const T *handle) const {
    auto found = all.find(handle);
    return found == all.end() ? nullptr : found->second;
  }
  bool remove(const T *handle) { return all.erase(handle); }
  template <typename Predicate> void removeIf(Predicate matches) {
    for (auto i = all.begin(); i != all.end();)
      i = matches(*i->second) ? all.erase(i) : std::next(i);
  }
  const std::unordered_map<const T *, std::shared_ptr<T>> &objects() const { return all; }

private:
  std::unordered_map<const T *, std::shared_ptr<T>> all;
};

struct Library {
  Turn turn;
  std::condition_variable_any changed; ///< a task came, or one is done
  bool isInitialised = false;
  Settings settings;
  Table<Context> contexts;
  Table<Stream> streams;
  Table<Event> events;
  Table<CUmod_st> modules;
  Table<CUfunc_st> functions;
  Table<Graph> graphs;
  Table<CUgraphExec_st> executables;
  Table<CUlinkState_st> links;
  std::shared_ptr<Context> primary;
  unsigned primaryUsers = 0, primaryFlags = 0;
};

/// Never destroyed: threads of contexts may outlive main().
Library &library();

enum class Needs : uint8_t { Nothing, Initialised, Context, HealthyContext };

/// One call from outside: holds the lock, and knows the caller's context.
class Call {
public:
  explicit Call(Needs needs = Needs::HealthyContext);

  /// What the caller gets instead of an answer, where it is not CUDA_SUCCESS.
  CUresult wrong = CUDA_SUCCESS;
  std::shared_ptr<Context> context;

  /// The stream that a handle stands for, or null.
  std::shared_ptr<Stream> stream(CUstream handle) const;
  /// Waits until the predicate holds, while others work.
  template <typename Predicate> void wait(Predicate holds) {
    library().changed.wait(held, std::move(holds));
  }
  /// Waits for all that the context was given so far.
  void waitForAll();
  /// Waits for what the stream was given so far; the default stream stands for all blocking ones.
  void waitFor(const Stream &stream);
  /// What a synchronising call returns: the sticky error, or that wrong notes were heard.
  CUresult verdict();

private:
  std::unique_lock<Turn> held;
};

/// The contexts that the calling thread pushed, the current one last.
std::vector<std::shared_ptr<Context>> &contextStack();

/// Gives work to a stream, or adds it to the graph that the stream is recording.
CUresult submit(Context &context, Stream &stream, Work work);
/// Puts a task into the stream's queue.
void enqueue(Context &context, Stream &stream, Task task);
/// The stream's capture ends in an error, because the call is not one that a graph can hold.
CUresult refuseInCapture(Stream &stream);
void destroyContext(Call &call, const std::shared_ptr<Context> &context);

/// Adds a node that comes after the stream's last ones.
void recordNode(Stream &stream, Work work);
/// A launch that was checked.
CUresult makeLaunch(Context &context, CUfunction function, ptx::Launch launch, void **parameters,
                    void **extra, Work &work);
CUresult makeCopy(const CUDA_MEMCPY3D &copy, Context &context, Work &work);
CUresult makeFill(Context &context, CUdeviceptr target, uint32_t value, uint32_t elementBytes,
                  size_t count, Work &work);
/// Blocks that one SM holds at once.
uint32_t residentBlocks(const DeviceRow &row, const ptx::Kernel &kernel, uint64_t threads,
                        uint64_t dynamicShared);

/// One line on stderr.
void complain(const std::string &line);

} // namespace pianola::cuda

#endif
