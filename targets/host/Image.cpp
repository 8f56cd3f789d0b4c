//===- Image.cpp - An ELF object as one flat image ------------------------===//
//
// The code model keeps code and constants within 2 GB of each other, so everything refers to
// everything else by distance. Once sections have their places in one image, all distances are
// known; nothing is left to do when the image is mapped.
//
//===----------------------------------------------------------------------===//

#include "targets/host/HostCode.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/Endian.h"
#include <map>

namespace pianola::host {

using namespace llvm::object;
using llvm::Error;
using llvm::StringRef;

namespace {

class ImageBuilder {
public:
  explicit ImageBuilder(const ELF64LEObjectFile &object) : object(object) {}

  Error layOut();
  Error relocate();
  llvm::Expected<uint64_t> addressOf(const SymbolRef &symbol) const;

  std::vector<uint8_t> image;

private:
  const ELF64LEObjectFile &object;
  std::map<unsigned, uint64_t> places; // of sections, by index
};

Error ImageBuilder::layOut() {
  for (const ELFSectionRef section : object.sections()) {
    if (!(section.getFlags() & llvm::ELF::SHF_ALLOC) || section.getSize() == 0)
      continue;
    llvm::Expected<StringRef> name = section.getName(), contents = section.getContents();
    if (!name)
      return name.takeError();
    if (name->starts_with(".eh_frame"))
      continue; // nothing here unwinds
    if (section.getFlags() & llvm::ELF::SHF_WRITE)
      return llvm::createStringError("generated code has a writable section " + *name);
    if (!contents)
      return contents.takeError();
    uint64_t alignment = std::max<uint64_t>(section.getAlignment().value(), 64);
    image.resize((image.size() + alignment - 1) / alignment * alignment);
    places[section.getIndex()] = image.size();
    image.insert(image.end(), contents->begin(), contents->end());
  }
  return Error::success();
}

llvm::Expected<uint64_t> ImageBuilder::addressOf(const SymbolRef &symbol) const {
  llvm::Expected<section_iterator> section = symbol.getSection();
  llvm::Expected<StringRef> name = symbol.getName();
  llvm::Expected<uint64_t> value = symbol.getValue();
  if (!section)
    return section.takeError();
  if (!name)
    return name.takeError();
  if (!value)
    return value.takeError();
  auto place =
      *section == object.section_end() ? places.end() : places.find((*section)->getIndex());
  if (place == places.end())
    return llvm::createStringError("generated code refers to " + *name +
                                   ", which is not part of it");
  return place->second + *value;
}

Error ImageBuilder::relocate() {
  for (const ELFSectionRef section : object.sections()) {
    llvm::Expected<section_iterator> target = section.getRelocatedSection();
    if (!target)
      return target.takeError();
    if (*target == object.section_end() || !places.count((*target)->getIndex()))
      continue;
    uint64_t base = places[(*target)->getIndex()];
    for (const ELFRelocationRef relocation : section.relocations()) {
      llvm::Expected<uint64_t> symbol = addressOf(*relocation.getSymbol());
      llvm::Expected<int64_t> addend = relocation.getAddend();
      if (!symbol)
        return symbol.takeError();
      if (!addend)
        return addend.takeError();
      uint64_t at = base + relocation.getOffset();
      switch (relocation.getType()) {
      case llvm::ELF::R_X86_64_PC32:
      case llvm::ELF::R_X86_64_PLT32:
        llvm::support::endian::write32le(&image[at], *symbol + *addend - at);
        break;
      default: {
        llvm::SmallString<32> name;
        relocation.getTypeName(name);
        return llvm::createStringError("generated code has a relocation " + name +
                                       ", which would need its address");
      }
      }
    }
  }
  return Error::success();
}

} // namespace

llvm::Expected<HostImage> makeImage(StringRef object, llvm::ArrayRef<std::string> parts) {
  llvm::Expected<std::unique_ptr<ObjectFile>> file =
      ObjectFile::createELFObjectFile(llvm::MemoryBufferRef(object, "stages"));
  if (!file)
    return file.takeError();
  ImageBuilder builder(llvm::cast<ELF64LEObjectFile>(**file));
  if (Error error = builder.layOut())
    return std::move(error);
  if (Error error = builder.relocate())
    return std::move(error);
  std::map<std::string, uint64_t> symbols;
  for (const SymbolRef &symbol : (*file)->symbols()) {
    llvm::Expected<StringRef> name = symbol.getName();
    llvm::Expected<SymbolRef::Type> type = symbol.getType();
    if (!name)
      return name.takeError();
    if (!type)
      return type.takeError();
    if (*type != SymbolRef::ST_Function)
      continue;
    llvm::Expected<uint64_t> address = builder.addressOf(symbol);
    if (!address)
      return address.takeError();
    symbols[name->str()] = *address;
  }
  HostImage image;
  image.code = std::move(builder.image);
  for (const std::string &part : parts)
    image.parts.push_back({part, symbols.at(part)});
  return image;
}

} // namespace pianola::host
