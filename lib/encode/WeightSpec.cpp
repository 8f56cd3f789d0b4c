// WeightSpec.cpp - which weights are encoded how, as --weights says it.
#include "lib/encode/WeightSpec.h"

#include "lib/checkpoint/Refusal.h"

namespace pianola {
namespace {

llvm::Error refuseEncoding(llvm::StringRef found) {
  return refuse("--weights: expected keep, f32, bf16, f16, int8, int8/row, int8/32, int8/64, "
                "int8/128, int4, int4/32, int4/64, int4/128, each of int4 also with a z behind, "
                "fp8, fp8/row, fp8/128, mxfp4 or 2:4, found " +
                inQuotes(found));
}

// What the embedding and the head become where an encoding for all matrices would cost them most;
// null: the same.
const char *forEnds(const std::optional<WeightEncoding> &encoding) {
  if (!encoding)
    return nullptr;
  if (encoding->pruned)
    return "keep";
  bool isLowBit = encoding->scaling &&
                  (encoding->scaling->code == Code::I4 || encoding->scaling->code == Code::F4E2M1);
  return isLowBit ? "int8" : nullptr;
}

} // namespace

llvm::Expected<std::optional<WeightEncoding>> parseWeightEncoding(llvm::StringRef text) {
  auto [kind, detail] = text.split('/');
  bool hasDetail = text.contains('/');
  auto plain = [&](DType dtype) -> llvm::Expected<std::optional<WeightEncoding>> {
    if (hasDetail)
      return refuseEncoding(text);
    return WeightEncoding{text.str(), std::nullopt, dtype};
  };
  if (text == "keep")
    return std::optional<WeightEncoding>();
  if (kind == "f32")
    return plain(DType::F32);
  if (kind == "bf16")
    return plain(DType::BF16);
  if (kind == "f16")
    return plain(DType::F16);
  if (text == "2:4")
    return WeightEncoding{text.str(), std::nullopt, DType::BF16, /*pruned=*/true};
  Scaling scaling{Code::I8, 0, ScaleType::F16};
  if (kind == "mxfp4" && !hasDetail) {
    scaling = {Code::F4E2M1, 32, ScaleType::E8M0};
    return WeightEncoding{text.str(), scaling};
  }
  if (kind == "int4z" && !hasDetail) {
    scaling.zeros = true;
    kind = "int4";
  }
  bool isInt4 = kind == "int4", isFp8 = kind == "fp8";
  if (!isInt4 && !isFp8 && kind != "int8")
    return refuseEncoding(text);
  if (isInt4)
    scaling.code = Code::I4;
  if (isFp8)
    scaling.code = Code::F8E4M3;
  llvm::StringRef group = detail;
  if (isInt4 && group.consume_back("z"))
    scaling.zeros = true;
  if (!hasDetail)
    group = isInt4 ? "32" : isFp8 ? "row" : "128";
  if (group == "row" && !isInt4) {
    scaling.scale = ScaleType::F32;
  } else if (group == "128" || (!isFp8 && (group == "32" || group == "64"))) {
    scaling.group = std::stoll(group.str());
    if (isFp8)
      scaling.scale = ScaleType::F32;
  } else {
    return refuseEncoding(text);
  }
  return WeightEncoding{text.str(), scaling};
}

llvm::Expected<WeightSpec> WeightSpec::parse(llvm::StringRef text) {
  WeightSpec spec;
  llvm::SmallVector<llvm::StringRef> parts;
  text.split(parts, ',');
  for (llvm::StringRef part : parts) {
    auto [pattern, name] =
        part.contains('=') ? part.split('=') : std::pair(llvm::StringRef(), part);
    llvm::Expected<std::optional<WeightEncoding>> encoding = parseWeightEncoding(name.trim());
    if (!encoding)
      return encoding.takeError();
    Entry entry{std::nullopt, std::move(*encoding)};
    if (part.contains('=')) {
      llvm::Expected<llvm::GlobPattern> glob = llvm::GlobPattern::create(pattern.trim());
      if (!glob)
        return refuse("--weights: pattern " + inQuotes(pattern) + ": " +
                      llvm::toString(glob.takeError()));
      entry.pattern = std::move(*glob);
    } else if (const char *encoding = forEnds(entry.encoding)) {
      spec.entries.push_back(
          {std::nullopt, llvm::cantFail(parseWeightEncoding(encoding)), /*ofEnds=*/true});
    }
    spec.entries.push_back(std::move(entry));
  }
  return spec;
}

const WeightEncoding *WeightSpec::find(llvm::StringRef tensor, bool isEnd) const {
  for (const Entry &entry : entries)
    if ((!entry.pattern || entry.pattern->match(tensor)) && (isEnd || !entry.ofEnds))
      return entry.encoding ? &*entry.encoding : nullptr;
  return nullptr;
}

} // namespace pianola
