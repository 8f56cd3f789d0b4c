// Graphs: nodes and their order, made by capture or by hand, and played as one piece of work.
#include "targets/nvptx/driver/State.h"

#include <algorithm>

namespace pianola::cuda {

namespace {

CUresult addNode(CUgraphNode *handle, CUgraph graphHandle, const CUgraphNode *after, size_t count,
                 Work work) {
  auto graph = library().graphs.find(graphHandle);
  if (!graph || !handle || (count && !after))
    return CUDA_ERROR_INVALID_VALUE;
  auto node = std::make_shared<GraphNode>();
  for (size_t i = 0; i < count; ++i) {
    auto isThat = [&](const auto &each) { return each.get() == after[i]; };
    if (std::none_of(graph->nodes.begin(), graph->nodes.end(), isThat))
      return CUDA_ERROR_INVALID_VALUE;
    node->after.push_back(after[i]);
  }
  node->work = std::move(work);
  *handle = node.get();
  graph->nodes.push_back(std::move(node));
  return CUDA_SUCCESS;
}

/// Nodes run one after another, in an order that is drawn from those that the graph permits.
CUresult play(Context &context, const CUgraphExec_st &graph) {
  std::vector<size_t> lacking(graph.steps.size()), ready;
  std::vector<std::vector<size_t>> before(graph.steps.size());
  for (size_t i = 0; i < graph.steps.size(); ++i) {
    lacking[i] = graph.steps[i].after.size();
    for (size_t each : graph.steps[i].after)
      before[each].push_back(i);
    if (!lacking[i])
      ready.push_back(i);
  }
  while (!ready.empty()) {
    std::swap(ready[context.draw(uint32_t(ready.size()))], ready.back());
    size_t step = ready.back();
    ready.pop_back();
    if (graph.steps[step].work.run)
      if (CUresult result = graph.steps[step].work.run(context))
        return result;
    for (size_t next : before[step])
      if (!--lacking[next])
        ready.push_back(next);
  }
  return CUDA_SUCCESS;
}

} // namespace

extern "C" {

CUresult cuGraphCreate(CUgraph *graph, unsigned flags) {
  Call call(Needs::Initialised);
  if (call.wrong)
    return call.wrong;
  if (!graph || flags)
    return CUDA_ERROR_INVALID_VALUE;
  *graph = library().graphs.add(std::make_shared<Graph>());
  return CUDA_SUCCESS;
}

CUresult cuGraphDestroy(CUgraph graph) {
  Call call(Needs::Initialised);
  if (call.wrong)
    return call.wrong;
  return library().graphs.remove(graph) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphGetNodes(CUgraph handle, CUgraphNode *nodes, size_t *count) {
  Call call(Needs::Initialised);
  if (call.wrong)
    return call.wrong;
  auto graph = library().graphs.find(handle);
  if (!graph || !count)
    return CUDA_ERROR_INVALID_VALUE;
  if (!nodes) {
    *count = graph->nodes.size();
    return CUDA_SUCCESS;
  }
  for (size_t i = 0; i < *count; ++i)
    nodes[i] = i < graph->nodes.size() ? graph->nodes[i].get() : nullptr;
  *count = std::min(*count, graph->nodes.size());
  return CUDA_SUCCESS;
}

CUresult cuGraphAddEmptyNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *after,
                             size_t count) {
  Call call;
  return call.wrong ? call.wrong : addNode(node, graph, after, count, {});
}

CUresult cuGraphAddKernelNode_v2(CUgraphNode *node, CUgraph graph, const CUgraphNode *after,
                                 size_t count, const CUDA_KERNEL_NODE_PARAMS *parameters) {
  Call call;
  if (call.wrong)
    return call.wrong;
  if (!parameters)
    return CUDA_ERROR_INVALID_VALUE;
  const CUDA_KERNEL_NODE_PARAMS &from = *parameters;
  ptx::Launch launch;
  launch.grid = {from.gridDimX, from.gridDimY, from.gridDimZ};
  launch.block = {from.blockDimX, from.blockDimY, from.blockDimZ};
  launch.dynamicShared = from.sharedMemBytes;
  Work work;
  if (CUresult result = makeLaunch(*call.context, from.func, std::move(launch), from.kernelParams,
                                   from.extra, work))
    return result;
  return addNode(node, graph, after, count, std::move(work));
}

CUresult cuGraphAddMemcpyNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *after,
                              size_t count, const CUDA_MEMCPY3D *copy, CUcontext context) {
  Call call;
  if (call.wrong)
    return call.wrong;
  if (!copy || context != call.context.get())
    return CUDA_ERROR_INVALID_VALUE;
  Work work;
  if (CUresult result = makeCopy(*copy, *call.context, work))
    return result;
  return addNode(node, graph, after, count, std::move(work));
}

CUresult cuGraphAddMemsetNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *after,
                              size_t count, const CUDA_MEMSET_NODE_PARAMS *parameters,
                              CUcontext context) {
  Call call;
  if (call.wrong)
    return call.wrong;
  if (!parameters || context != call.context.get())
    return CUDA_ERROR_INVALID_VALUE;
  if (parameters->height != 1)
    return CUDA_ERROR_NOT_SUPPORTED;
  Work work;
  if (CUresult result = makeFill(*call.context, parameters->dst, parameters->value,
                                 parameters->elementSize, parameters->width, work))
    return result;
  return addNode(node, graph, after, count, std::move(work));
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *made, CUgraph handle, unsigned long long) {
  Call call;
  if (call.wrong)
    return call.wrong;
  auto graph = library().graphs.find(handle);
  if (!graph || !made)
    return CUDA_ERROR_INVALID_VALUE;
  // Nodes come after those that were there before them, so there are no cycles.
  auto executable = std::make_shared<CUgraphExec_st>();
  std::unordered_map<const GraphNode *, size_t> places;
  for (auto &node : graph->nodes) {
    CUgraphExec_st::Step step;
    step.work = node->work;
    for (const GraphNode *each : node->after)
      step.after.push_back(places[each]);
    places[node.get()] = executable->steps.size();
    executable->steps.push_back(std::move(step));
  }
  *made = library().executables.add(std::move(executable));
  return CUDA_SUCCESS;
}

CUresult cuGraphInstantiate_v2(CUgraphExec *made, CUgraph graph, CUgraphNode *wrong, char *log,
                               size_t logBytes) {
  if (wrong)
    *wrong = nullptr;
  if (log && logBytes)
    *log = 0;
  return cuGraphInstantiateWithFlags(made, graph, 0);
}

CUresult cuGraphUpload(CUgraphExec graph, CUstream stream) {
  Call call;
  if (call.wrong)
    return call.wrong;
  return library().executables.find(graph) && call.stream(stream) ? CUDA_SUCCESS
                                                                  : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphLaunch(CUgraphExec handle, CUstream streamHandle) {
  Call call;
  if (call.wrong)
    return call.wrong;
  auto graph = library().executables.find(handle);
  if (!graph)
    return CUDA_ERROR_INVALID_VALUE;
  auto stream = call.stream(streamHandle);
  if (!stream)
    return CUDA_ERROR_INVALID_HANDLE;
  Work work;
  work.plays = std::any_of(graph->steps.begin(), graph->steps.end(),
                           [](const auto &step) { return step.work.plays; });
  work.run = [graph](Context &context) { return play(context, *graph); };
  return submit(*call.context, *stream, std::move(work));
}

CUresult cuGraphExecDestroy(CUgraphExec graph) {
  Call call(Needs::Initialised);
  if (call.wrong)
    return call.wrong;
  return library().executables.remove(graph) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

} // extern "C"

} // namespace pianola::cuda
