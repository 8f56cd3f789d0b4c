#include "targets/nvptx/Stage.h"
namespace pianola::nvptx {
void StageEmitter::lowerSample(tile::SampleOp op) { (void)op; }
} // namespace pianola::nvptx
