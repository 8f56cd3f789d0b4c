// Graphs: captured from streams, or made by hand.
#include "test/targets/nvptx/driver/Stage.h"

namespace pianola::cuda {

namespace {

class Graphs : public Stage {
protected:
  void SetUp() override {
    Stage::SetUp();
    stream = makeStream();
    add = function("add_one");
    x = put(std::vector<uint32_t>(64, 0));
  }
  CUresult addOne(CUstream to) { return launch(add, 1, 64, 0, to, x, 64u); }
  CUresult startCapture() {
    return api().cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL);
  }
  CUgraphExec instantiate(CUgraph graph) {
    CUgraphExec made = nullptr;
    EXPECT_SUCCESS(api().cuGraphInstantiateWithFlags(&made, graph, 0));
    return made;
  }

  CUstream stream = nullptr;
  CUfunction add = nullptr;
  CUdeviceptr x = 0;
};

TEST_F(Graphs, CapturedOncePlayedOften) {
  auto *result = pin<uint32_t>(64);
  ASSERT_SUCCESS(startCapture());
  CUstreamCaptureStatus status;
  EXPECT_SUCCESS(api().cuStreamIsCapturing(stream, &status));
  EXPECT_EQ(status, CU_STREAM_CAPTURE_STATUS_ACTIVE);
  EXPECT_SUCCESS(addOne(stream));
  EXPECT_SUCCESS(addOne(stream));
  EXPECT_SUCCESS(api().cuMemcpyDtoHAsync_v2(result, x, 256, stream));
  CUgraph graph = nullptr;
  ASSERT_SUCCESS(api().cuStreamEndCapture(stream, &graph));
  EXPECT_SUCCESS(api().cuStreamIsCapturing(stream, &status));
  EXPECT_EQ(status, CU_STREAM_CAPTURE_STATUS_NONE);
  size_t nodes = 0;
  EXPECT_SUCCESS(api().cuGraphGetNodes(graph, nullptr, &nodes));
  EXPECT_EQ(nodes, 3u);
  EXPECT_EQ(result[0], 0u); // nothing ran yet
  CUgraphExec made = instantiate(graph);
  EXPECT_SUCCESS(api().cuGraphDestroy(graph));
  EXPECT_ERROR(INVALID_VALUE, api().cuGraphDestroy(graph));
  EXPECT_SUCCESS(api().cuGraphUpload(made, stream));
  for (uint32_t i = 1; i <= 3; ++i) {
    EXPECT_SUCCESS(api().cuGraphLaunch(made, stream));
    EXPECT_SUCCESS(api().cuStreamSynchronize(stream));
    EXPECT_EQ(result[63], 2 * i);
  }
  EXPECT_SUCCESS(api().cuGraphExecDestroy(made));
  EXPECT_ERROR(INVALID_VALUE, api().cuGraphLaunch(made, stream));
}

TEST_F(Graphs, ForkAndJoin) {
  CUstream other = makeStream();
  CUevent fork = nullptr, join = nullptr;
  ASSERT_SUCCESS(api().cuEventCreate(&fork, EventDisableTiming));
  ASSERT_SUCCESS(api().cuEventCreate(&join, EventDisableTiming));
  auto *result = pin<uint32_t>(64);
  ASSERT_SUCCESS(startCapture());
  EXPECT_SUCCESS(api().cuMemsetD32Async(x, 30, 64, stream));
  EXPECT_SUCCESS(api().cuEventRecord(fork, stream));
  EXPECT_ERROR(CAPTURED_EVENT, api().cuEventSynchronize(fork));
  EXPECT_SUCCESS(api().cuStreamWaitEvent(other, fork, 0));
  EXPECT_SUCCESS(addOne(other));
  EXPECT_SUCCESS(api().cuEventRecord(join, other));
  EXPECT_SUCCESS(api().cuStreamWaitEvent(stream, join, 0));
  EXPECT_SUCCESS(api().cuMemcpyDtoHAsync_v2(result, x, 256, stream));
  CUgraph graph = nullptr;
  EXPECT_ERROR(STREAM_CAPTURE_UNMATCHED, api().cuStreamEndCapture(other, &graph));
  ASSERT_SUCCESS(api().cuStreamEndCapture(stream, &graph));
  CUgraphExec made = instantiate(graph);
  for (int i = 0; i < 8; ++i) {
    EXPECT_SUCCESS(api().cuGraphLaunch(made, nullptr));
    EXPECT_SUCCESS(api().cuCtxSynchronize());
    EXPECT_EQ(result[5], 31u);
  }
}

TEST_F(Graphs, CaptureErrors) {
  CUgraph graph = nullptr;
  EXPECT_ERROR(ILLEGAL_STATE, api().cuStreamEndCapture(stream, &graph));
  EXPECT_ERROR(STREAM_CAPTURE_UNSUPPORTED,
               api().cuStreamBeginCapture_v2(nullptr, CU_STREAM_CAPTURE_MODE_GLOBAL));
  // A capture cannot wait.
  ASSERT_SUCCESS(startCapture());
  EXPECT_ERROR(ILLEGAL_STATE, startCapture());
  EXPECT_ERROR(STREAM_CAPTURE_UNSUPPORTED, api().cuStreamSynchronize(stream));
  EXPECT_ERROR(STREAM_CAPTURE_INVALIDATED, addOne(stream));
  EXPECT_ERROR(STREAM_CAPTURE_INVALIDATED, api().cuStreamEndCapture(stream, &graph));
  EXPECT_EQ(graph, nullptr);
  // Nor depend on what is outside of it.
  CUstream other = makeStream();
  CUevent event = nullptr;
  ASSERT_SUCCESS(api().cuEventCreate(&event, 0));
  EXPECT_SUCCESS(api().cuEventRecord(event, other));
  ASSERT_SUCCESS(startCapture());
  EXPECT_ERROR(STREAM_CAPTURE_ISOLATION, api().cuStreamWaitEvent(stream, event, 0));
  EXPECT_ERROR(STREAM_CAPTURE_INVALIDATED, api().cuStreamEndCapture(stream, &graph));
  // Nor leave a branch open.
  ASSERT_SUCCESS(startCapture());
  EXPECT_SUCCESS(api().cuEventRecord(event, stream));
  EXPECT_SUCCESS(api().cuStreamWaitEvent(other, event, 0));
  EXPECT_SUCCESS(addOne(other));
  EXPECT_ERROR(STREAM_CAPTURE_UNJOINED, api().cuStreamEndCapture(stream, &graph));
  // The default stream would wait for a blocking stream that only records.
  CUstream blocking = makeStream(0);
  ASSERT_SUCCESS(api().cuStreamBeginCapture_v2(blocking, CU_STREAM_CAPTURE_MODE_GLOBAL));
  EXPECT_ERROR(STREAM_CAPTURE_IMPLICIT, addOne(nullptr));
  EXPECT_ERROR(STREAM_CAPTURE_INVALIDATED, api().cuStreamEndCapture(blocking, &graph));
  EXPECT_SUCCESS(addOne(stream));
  EXPECT_SUCCESS(api().cuCtxSynchronize());
  EXPECT_EQ(get<uint32_t>(x, 1)[0], 1u);
}

TEST_F(Graphs, ByHand) {
  CUgraph graph = nullptr;
  ASSERT_SUCCESS(api().cuGraphCreate(&graph, 0));
  auto *source = pin<uint32_t>(64);
  source[3] = 70;
  CUDA_MEMCPY3D copy = {};
  copy.srcMemoryType = CU_MEMORYTYPE_HOST, copy.srcHost = source;
  copy.dstMemoryType = CU_MEMORYTYPE_DEVICE, copy.dstDevice = x;
  copy.WidthInBytes = 256, copy.Height = 1, copy.Depth = 1;
  CUgraphNode copied = nullptr, added = nullptr, filled = nullptr;
  ASSERT_SUCCESS(api().cuGraphAddMemcpyNode(&copied, graph, nullptr, 0, &copy, context));
  CUDA_MEMSET_NODE_PARAMS fill = {};
  fill.dst = x, fill.elementSize = 4, fill.value = 8, fill.width = 1, fill.height = 1;
  ASSERT_SUCCESS(api().cuGraphAddMemsetNode(&filled, graph, &copied, 1, &fill, context));
  uint32_t n = 64;
  void *parameters[] = {&x, &n};
  CUDA_KERNEL_NODE_PARAMS kernel = {};
  kernel.func = add, kernel.gridDimX = kernel.gridDimY = kernel.gridDimZ = 1;
  kernel.blockDimX = 64, kernel.blockDimY = kernel.blockDimZ = 1;
  kernel.kernelParams = parameters;
  ASSERT_SUCCESS(api().cuGraphAddKernelNode_v2(&added, graph, &filled, 1, &kernel));
  kernel.blockDimX = 2048;
  EXPECT_ERROR(INVALID_VALUE, api().cuGraphAddKernelNode_v2(&added, graph, &filled, 1, &kernel));
  CUgraphExec made = nullptr;
  ASSERT_SUCCESS(api().cuGraphInstantiate_v2(&made, graph, nullptr, nullptr, 0));
  n = 0; // parameters were copied
  EXPECT_SUCCESS(api().cuGraphLaunch(made, stream));
  EXPECT_SUCCESS(api().cuStreamSynchronize(stream));
  auto values = get<uint32_t>(x, 64);
  EXPECT_EQ(values[0], 9u);
  EXPECT_EQ(values[3], 71u);
}

TEST_F(Graphs, AWrongNoteEndsTheGraph) {
  ASSERT_SUCCESS(startCapture());
  EXPECT_SUCCESS(launch(add, 1, 128, 0, stream, x, 128u)); // 64 are there
  EXPECT_SUCCESS(addOne(stream));
  CUgraph graph = nullptr;
  ASSERT_SUCCESS(api().cuStreamEndCapture(stream, &graph));
  CUgraphExec made = instantiate(graph);
  testing::internal::CaptureStderr();
  EXPECT_SUCCESS(api().cuGraphLaunch(made, stream));
  EXPECT_ERROR(ILLEGAL_ADDRESS, api().cuStreamSynchronize(stream));
  EXPECT_NE(testing::internal::GetCapturedStderr().find("out-of-bounds"), std::string::npos);
}

} // namespace

} // namespace pianola::cuda
