// Budget.cpp - an encoding for each matrix, so that all of them take no more than so many bytes.
#include "lib/encode/Budget.h"

#include "lib/checkpoint/Refusal.h"
#include "lib/encode/Compensate.h"
#include "lib/encode/EncodingType.h"
#include "lib/reference/Interpreter.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Parallel.h"

#include <cmath>
#include <numeric>

using namespace mlir;
using pianola::reference::Rows;

namespace pianola {

llvm::Expected<uint64_t> parseBytes(llvm::StringRef text) {
  size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  double unit = llvm::StringSwitch<double>(text.drop_front(digits))
                    .Cases("", "B", 1)
                    .Cases("kB", "KB", 1e3)
                    .Case("MB", 1e6)
                    .Case("GB", 1e9)
                    .Case("KiB", 0x1p10)
                    .Case("MiB", 0x1p20)
                    .Case("GiB", 0x1p30)
                    .Default(0);
  double number = 0;
  if (unit == 0 || text.take_front(digits).getAsDouble(number) || number * unit < 1 ||
      number * unit > 0x1p60)
    return refuse("--budget: expected bytes, such as 700MB or 1.5GiB, found " + inQuotes(text));
  return uint64_t(number * unit);
}

std::optional<std::vector<size_t>> spend(uint64_t budget,
                                         llvm::ArrayRef<std::vector<Alternative>> matrices) {
  // By bytes, so that of two ways to as little error the smaller is taken.
  std::vector<std::vector<size_t>> sorted;
  uint64_t useful = 0; // with all of them at their largest
  for (const std::vector<Alternative> &alternatives : matrices) {
    std::vector<size_t> &order = sorted.emplace_back(alternatives.size());
    std::iota(order.begin(), order.end(), 0);
    llvm::sort(order, [&](size_t a, size_t b) {
      return std::pair(alternatives[a].bytes, a) < std::pair(alternatives[b].bytes, b);
    });
    uint64_t least = alternatives[order.front()].bytes;
    if (least > budget)
      return std::nullopt;
    budget -= least;
    useful += alternatives[order.back()].bytes - least;
  }
  budget = std::min(budget, 2 * useful); // twice: units are rounded up
  // What is left is given out in units, rounded up: the least error of the matrices so far for each
  // number of units, and the alternative of the last of them.
  constexpr uint64_t kMostUnits = 1 << 15;
  uint64_t unit = std::max<uint64_t>(1, (budget + kMostUnits - 1) / kMostUnits);
  size_t most = budget / unit;
  std::vector<double> errors(most + 1);
  std::vector<std::vector<uint8_t>> taken;
  auto unitsOf = [&](size_t matrix, size_t number) {
    llvm::ArrayRef<Alternative> alternatives = matrices[matrix];
    uint64_t bytes = alternatives[number].bytes - alternatives[sorted[matrix].front()].bytes;
    return (bytes + unit - 1) / unit;
  };
  for (size_t matrix = 0; matrix < matrices.size(); ++matrix) {
    std::vector<double> with(most + 1, INFINITY);
    std::vector<uint8_t> &number = taken.emplace_back(most + 1);
    for (size_t each : sorted[matrix]) {
      size_t units = unitsOf(matrix, each);
      for (size_t left = units; left <= most; ++left) {
        double error = errors[left - units] + matrices[matrix][each].error;
        if (error < with[left]) {
          with[left] = error;
          number[left] = uint8_t(each);
        }
      }
    }
    errors = std::move(with);
  }
  std::vector<size_t> chosen(matrices.size());
  size_t left = most;
  for (size_t matrix = matrices.size(); matrix-- > 0;) {
    chosen[matrix] = taken[matrix][left];
    left -= unitsOf(matrix, chosen[matrix]);
  }
  return chosen;
}

namespace {

// Sequences that errors are measured on.
constexpr int64_t kSequences = 8;

struct Matrix {
  const TensorInfo *tensor;
  std::vector<WeightEncoding> encodings;
  std::vector<Alternative> alternatives; // of each
};

class Survey {
public:
  Survey(ModuleOp module, const WeightSource &weights) : weights(weights) {
    double terms = 1; // of the residual sum
    module.walk([&](transformer::AddOp) { ++terms; });
    share = 1 / terms;
    llvm::StringSet<> encodable = encodableTensors(module);
    module.walk([&](transformer::WeightOp op) { add(op, encodable.contains(op.getTensor())); });
  }

  /// Adds what the matrix, used so, does to the errors of its encodings; without activations, on
  /// none.
  llvm::Error measure(transformer::WeightOp weight, double share, const Rows *x);

  llvm::MapVector<llvm::StringRef, Matrix> matrices;
  uint64_t fixed = 0; // bytes of all else
  double share;       // of a term

private:
  void add(transformer::WeightOp op, bool isEncodable);
  llvm::Expected<Rows> read(const TensorInfo &tensor) const;

  const WeightSource &weights;
};

void Survey::add(transformer::WeightOp op, bool isEncodable) {
  const TensorInfo &tensor = *weights.find(op.getTensor());
  if (!isEncodable || tensor.scaling) {
    fixed += tensor.scaling ? storedBytes(tensor) : tensor.elements() * sizeof(float);
    return;
  }
  Matrix &matrix = matrices[tensor.name];
  matrix.tensor = &tensor;
  matrix.encodings.push_back(
      {llvm::StringRef(dtypeName(tensor.dtype)).lower(), std::nullopt, tensor.dtype});
  for (const char *name : {"bf16", "int8/32", "int8", "int4", "int4/64", "int4/128"})
    matrix.encodings.push_back(*llvm::cantFail(parseWeightEncoding(name)));
  for (const WeightEncoding &encoding : matrix.encodings)
    matrix.alternatives.push_back({storedBytes(encodedAs(tensor, encoding)), 0});
  // As it is, perhaps without zeros.
  if (!encoding::isPlain(op.getEncoding()))
    matrix.alternatives.front().bytes =
        op.getShape()[0] * encoding::rowBytes(op.getEncoding(), op.getShape()[1]);
}

Rows decoded(const WeightEncoding &encoding, const TensorInfo &tensor, const Rows &plain) {
  Rows found = plain;
  if (!encoding.scaling) {
    if (encoding.dtype == DType::BF16)
      for (float &value : found.values)
        value = fromBf16(toBf16(value));
    return found;
  }
  TensorInfo encoded = encodedAs(tensor, encoding);
  EncodedRows rows = WeightSource::emptyRows(encoded, plain.rows);
  llvm::parallelFor(0, size_t(plain.rows), [&](size_t row) {
    auto r = int64_t(row);
    quantiseRow(*encoded.scaling, plain.row(r), r, rows);
    decodeRow(*encoded.scaling, rows, r, found.row(r));
  });
  return found;
}

// |W - Q|^2 / |W|^2.
double weightError(const Rows &plain, const Rows &found) {
  double error = 0;
  for (auto [a, b] : llvm::zip_equal(plain.values, found.values))
    error += (double(a) - b) * (double(a) - b);
  double size = reference::dot(plain.values, plain.values);
  return size ? error / size : 0;
}

llvm::Error Survey::measure(transformer::WeightOp weight, double share, const Rows *x) {
  auto it = matrices.find(weight.getTensor());
  if (it == matrices.end())
    return llvm::Error::success();
  Matrix &matrix = it->second;
  const TensorInfo &tensor = *matrix.tensor;
  Rows plain(tensor.shape[0], tensor.shape[1]);
  if (llvm::Error error = weights.readFloats(tensor, 0, plain.values))
    return error;
  // The first is the matrix as it is.
  for (size_t i = 1; i < matrix.encodings.size(); ++i) {
    Rows found = decoded(matrix.encodings[i], tensor, plain);
    matrix.alternatives[i].error +=
        share * (x ? outputError(plain, found, *x) : weightError(plain, found));
  }
  return llvm::Error::success();
}

llvm::Error measureAll(Survey &survey, ModuleOp module, const WeightSource &weights,
                       const CalibrationText *text) {
  std::string message;
  module.walk([&](Operation *op) {
    bool looksUp = isa<transformer::EmbedOp>(op), isHead = isa<transformer::LmHeadOp>(op);
    bool multiplies = isHead || isa<transformer::LinearOp, transformer::RouteOp,
                                    transformer::RoutedLinearOp, transformer::HeadLinearOp>(op);
    if (!message.empty() || !(looksUp || (!text && multiplies)))
      return;
    message = llvm::toString(survey.measure(weightOf(op), isHead ? 1 : survey.share, nullptr));
  });
  if (!message.empty())
    return llvm::createStringError(message);
  if (!text)
    return llvm::Error::success();
  auto ids = llvm::ArrayRef(text->ids).take_front(kSequences * text->sequence);
  return Interpreter(module, weights)
      .walk(ids, text->sequence, [&](Operation *op, Value, const Rows &x) {
        Rows some = someRows(x);
        transformer::WeightOp weight = weightOf(op);
        // Of heads, or of what chosen experts made, rows multiply a part each.
        bool isWhole = weight.getShape().back() == x.columns;
        return survey.measure(weight, isa<transformer::LmHeadOp>(op) ? 1 : survey.share,
                              isWhole ? &some : nullptr);
      });
}

} // namespace

llvm::Expected<llvm::StringMap<WeightEncoding>> encodeWithin(uint64_t budget, ModuleOp module,
                                                             const WeightSource &weights,
                                                             const CalibrationText *text) {
  Survey survey(module, weights);
  std::vector<std::vector<Alternative>> alternatives;
  uint64_t least = survey.fixed;
  for (const auto &[name, matrix] : survey.matrices) {
    uint64_t smallest = UINT64_MAX;
    for (const Alternative &alternative : matrix.alternatives)
      smallest = std::min(smallest, alternative.bytes);
    least += smallest;
  }
  if (least > budget) {
    std::string message;
    llvm::raw_string_ostream(message)
        << "--budget: " << budget << " bytes are too few: with the smallest encodings the weights "
        << "take " << least;
    return llvm::createStringError(message);
  }
  if (llvm::Error error = measureAll(survey, module, weights, text))
    return std::move(error);
  for (const auto &[name, matrix] : survey.matrices)
    alternatives.push_back(matrix.alternatives);
  std::vector<size_t> chosen = *spend(budget - survey.fixed, alternatives);
  llvm::StringMap<WeightEncoding> result;
  for (const auto &[number, entry] : llvm::enumerate(survey.matrices))
    result[entry.first] = entry.second.encodings[chosen[number]];
  return result;
}

} // namespace pianola
