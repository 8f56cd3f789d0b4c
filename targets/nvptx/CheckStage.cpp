//===- CheckStage.cpp - What the nvptx target cannot lower ----------------===//
//
// The dialect allows more than is made by the passes before this target. What the target does not
// do is refused here, so that lowering has no cases that go wrong in silence.
//
//===----------------------------------------------------------------------===//

#include "pianola/sampling.h"
#include "targets/nvptx/Products.h"
#include "targets/nvptx/Stage.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace pianola::nvptx {

namespace {

tile::MatrixType matrixOf(tile::MatrixType type) { return type; }
tile::MatrixType matrixOf(tile::PoolType type) { return type.getMatrix(); }

LogicalResult checkArgument(tile::StageOp stage, BlockArgument argument, const KernelShape &shape) {
  auto refuse = [&](const Twine &what) {
    return LogicalResult(stage.emitOpError("argument ") << argument.getArgNumber() << ": " << what
                                                        << ", got " << argument.getType());
  };
  // A row of a panel: 32 columns, or 64 bytes of what is packed.
  auto columnsOf = [](Type element) -> int64_t {
    return encoding::isPlain(element) ? 32 : 512 / encoding::bitsOf(element);
  };
  auto isWeight = [](Type element) {
    auto codes = dyn_cast<encoding::ScaledType>(element);
    return encoding::isEncoding(element) && !(codes && codes.getOrder());
  };
  return TypeSwitch<Type, LogicalResult>(argument.getType())
      .Case<tile::MatrixType, tile::PoolType>([&](auto found) -> LogicalResult {
        tile::MatrixType type = matrixOf(found);
        if (!isWeight(type.getElement()))
          return refuse("weights must be bf16, f16, f32, codes in the model's order or two of four "
                        "columns");
        if (type.getPanel() != columnsOf(type.getElement()) || type.getRows() != type.getRowPad() ||
            type.getRows() % 8 != 0)
          return refuse(
              "weights must stand in panels of 32 columns, or 64 bytes of what is packed, "
              "and tiles of 8 rows or a multiple");
        int64_t bytes =
            encoding::isPlain(type.getElement())
                ? type.getRows() * encoding::rowBytes(type.getElement(), type.getPanel())
                : type.getRows() * 64;
        if (2048 % bytes != 0 || shape.chunk % 2048 != 0)
          return refuse("a panel's bytes must divide 2048, and these the ring's slots");
        // See Stream.cpp.
        if (isa<tile::PoolType>(found) && type.getTileBytes() >= 16 << 16)
          return refuse("tiles of experts must have less than 1 MiB");
        return success();
      })
      .Case([&](tile::VectorType type) -> LogicalResult {
        return type.getConstant() ? success() : refuse("vectors must be constants");
      })
      .Case([&](tile::TableType type) -> LogicalResult {
        if (!isWeight(type.getElement()) || isa<encoding::TwoOfFourType>(type.getElement()) ||
            type.getColumnPad() % 4 != 0)
          return refuse(
              "a table must be of bf16, f16, f32 or codes in the model's order, and padded "
              "to four columns");
        if (type.getTileRows() != 0 && type.getPanel() != columnsOf(type.getElement()))
          return refuse("a table on the tapes must stand in panels of 32 columns, or 64 bytes of "
                        "what is packed");
        return success();
      })
      .Case([&](tile::ContextType type) -> LogicalResult {
        if (type.getSize() % 16 != 0 || type.getSize() > 1024)
          return refuse("a context must have heads of a multiple of 16 and at most 1024");
        return success();
      })
      .Case([&](tile::BufferType type) -> LogicalResult {
        bool isTaken = type.getElement().isF32() || type.getElement().isInteger(32);
        return isTaken && type.getColumns() % 4 == 0
                   ? success()
                   : refuse("a buffer must be of f32 or i32, its columns a multiple of 4");
      })
      .Default(success());
}

bool isSimple(AffineExpr expr) {
  if (isa<AffineConstantExpr, AffineDimExpr>(expr))
    return true;
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary || !isSimple(binary.getLHS()) || expr.getKind() == AffineExprKind::CeilDiv)
    return false;
  return expr.getKind() == AffineExprKind::Add ? isSimple(binary.getRHS())
                                               : isa<AffineConstantExpr>(binary.getRHS());
}

LogicalResult checkMaps(Operation &op) {
  for (NamedAttribute attribute : op.getAttrs())
    if (auto map = dyn_cast<AffineMapAttr>(attribute.getValue());
        map && !isSimple(map.getValue().getResult(0)))
      return op.emitOpError() << attribute.getName().strref()
                              << " must be sums of the tile's coordinates, times, by or modulo "
                                 "constants, got "
                              << map;
  for (Value value :
       llvm::concat<Value>(llvm::to_vector(op.getOperands()), llvm::to_vector(op.getResults())))
    if (auto type = dyn_cast<RankedTensorType>(value.getType());
        type &&
        (type.getRank() != 2 || type.getDimSize(1) % 4 != 0 || !type.getElementType().isF32()))
      return op.emitOpError("has a value that is not f32 of a multiple of 4 columns: ") << type;
  return success();
}

LogicalResult checkRow(Operation &op) {
  if (auto sample = dyn_cast<tile::SampleOp>(op)) {
    if (!sample.getLogits().getType().getElement().isF32() ||
        sample.getVocabulary() > PIANOLA_MOST_TOKENS)
      return op.emitOpError("must choose among at most ")
             << PIANOLA_MOST_TOKENS << " tokens by logits of f32";
    if (!sample.getPeaks() || (sample.getRows() != 8 && sample.getRows() != 16))
      return op.emitOpError("must have the peaks of each 8 or 16 logits");
  }
  if (auto route = dyn_cast<tile::RouteOp>(op)) {
    if (route.getResult().getType().getChosen() > kWarp)
      return op.emitOpError("must choose at most ") << kWarp << " experts for a slot";
    if (!route.getLogits().getDefiningOp<tile::LoadOp>())
      return op.emitOpError("must choose by logits that are loaded");
    return success();
  }
  if (isa<tile::LoadOp, tile::StoreOp, tile::GatherOp, tile::AppendOp, tile::NormaliseOp,
          tile::AddOp, tile::ScaleOp, tile::GateOp, tile::JoinOp, tile::RotateOp, tile::CombineOp,
          tile::AttendOp, tile::ScoreOp, tile::ChooseOp, tile::ActivateOp, tile::ConvolveOp,
          tile::DeltaOp, tile::SampleOp, tile::YieldOp>(op))
    return checkMaps(op);
  return op.emitOpError("stands where no inner products are taken, which the nvptx target cannot "
                        "lower");
}

// Of a section, or with `isOfExpert` of what it does for an expert.
LogicalResult checkProducts(Block &block, bool isOfExpert) {
  RankedTensorType first;
  for (Operation &op : block) {
    bool isOfBoth = isa<tile::ContractOp, tile::BiasOp, tile::AddOp, tile::ScaleOp, tile::GateOp,
                        tile::SoftcapOp, tile::ActivateOp, tile::LoadOp>(op);
    bool isOfOne =
        isOfExpert
            ? isa<tile::MembersOp, tile::WeightsOp, tile::WeighOp, tile::ScatterOp, tile::YieldOp>(
                  op)
            : isa<tile::StoreOp, tile::RecordOp, tile::PeakOp, tile::ExpertsOp>(op);
    if (!isOfBoth && !isOfOne)
      return op.emitOpError("needs more than its own element, and follows inner products");
    if (auto experts = dyn_cast<tile::ExpertsOp>(op)) {
      Block &body = experts.getBody().front();
      auto all = block.getOps<tile::ExpertsOp>();
      if (std::next(all.begin()) != all.end() || !block.getOps<tile::PeakOp>().empty())
        return op.emitOpError("stands beside others or peaks, which the nvptx target cannot lower");
      if (!experts.getSum() && (!experts.getChosen() || !llvm::hasSingleElement(block)))
        return op.emitOpError("has no sum, and is not of one expert or not alone in its section");
      auto contracts = body.getOps<tile::ContractOp>();
      if (contracts.empty() || (experts.getSum() && !body.getOps<tile::ScatterOp>().empty()))
        return op.emitOpError("takes no products, or scatters rows of a sum");
      if (experts.getSum() &&
          (*contracts.begin()).getResult().getType() != experts.getSum().getType())
        return op.emitOpError("has a sum of other rows than its products");
      if (auto outer = block.getOps<tile::ContractOp>();
          !outer.empty() && (*outer.begin()).getResult().getType() != experts.getSum().getType())
        return op.emitOpError("has a sum of other rows than the products beside it");
      if (failed(checkProducts(body, true)))
        return failure();
    }
    if (auto contract = dyn_cast<tile::ContractOp>(op);
        contract && isOfExpert && !contract.getMatrix().getDefiningOp<tile::WeightsOp>())
      return op.emitOpError("takes weights that are no expert's");
    if (auto members = dyn_cast<tile::MembersOp>(op))
      for (Operation *user : members->getUsers())
        if (!isa<tile::ContractOp>(user))
          return op.emitOpError("is read by more than inner products");
    if (failed(checkMaps(op)))
      return failure();
    if (auto contract = dyn_cast<tile::ContractOp>(op)) {
      auto type = cast<RankedTensorType>(contract.getResult().getType());
      if (first && type != first)
        return op.emitOpError("gives ") << type << " in a section of " << first;
      first = type;
    }
    if (auto load = dyn_cast<tile::LoadOp>(op);
        load && load.getColumns() && isReadInPlace(load) &&
        (isOfExpert || !llvm::all_of(load->getUsers(),
                                     [](Operation *user) { return isa<tile::ContractOp>(user); })))
      return op.emitOpError("is read as a whole, and depends on the tile");
  }
  return success();
}

} // namespace

LogicalResult checkStage(tile::StageOp stage, const KernelShape &shape) {
  unsigned bindings = 0;
  for (BlockArgument argument : stage.getBody().getArguments()) {
    bindings += !isa<tile::MatrixType>(argument.getType());
    if (failed(checkArgument(stage, argument, shape)))
      return failure();
  }
  if (bindings > PIANOLA_CUDA_BINDINGS)
    return stage.emitOpError("binds ")
           << bindings << " values, more than " << PIANOLA_CUDA_BINDINGS;
  auto sections = stage.getSections();
  if (sections.size() > PIANOLA_CUDA_SECTIONS)
    return stage.emitOpError("has ")
           << sections.size() << " sections, more than " << PIANOLA_CUDA_SECTIONS;
  if (tile::PrologueOp prologue = stage.getPrologue())
    for (Operation &op : prologue.getBody().front())
      if (failed(checkRow(op)))
        return failure();
  for (tile::SectionOp section : sections) {
    Block &block = section.getBody().front();
    if (!block.getOps<tile::RecordOp>().empty() && !block.getOps<tile::PeakOp>().empty())
      return section.emitOpError("records rows, and has peaks");
    if (!block.getOps<tile::ContractOp>().empty() || !block.getOps<tile::ExpertsOp>().empty()) {
      if (failed(checkProducts(block, false)))
        return failure();
      continue;
    }
    for (Operation &op : block)
      if (failed(checkRow(op)))
        return failure();
  }
  return success();
}

} // namespace pianola::nvptx
