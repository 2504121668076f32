// What the machine code of a kernel needs: from the ELF file, and from what ptxas prints.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/model/Resources.h"

#include "runtime/jit/Cubin.h"

#include <elf.h>
#include <fmt/format.h>

#include <cstring>
#include <regex>
#include <sstream>
#include <vector>

namespace fourfold {
namespace model {

namespace {

/// A value at an offset; zero outside of the file.
template <class T>
T at(const std::string &bytes, uint64_t offset) {
  T value{};
  if (offset <= bytes.size() && sizeof(T) <= bytes.size() - offset)
    std::memcpy(static_cast<void *>(&value), bytes.data() + offset, sizeof(T));
  return value;
}

std::string textAt(const std::string &bytes, uint64_t offset) {
  if (offset >= bytes.size())
    return "";
  size_t end = bytes.find('\0', offset);
  return bytes.substr(offset, end == bytes.npos ? bytes.npos : end - offset);
}

constexpr unsigned kInstructionBytes = 16; // since sm_70
constexpr uint8_t kFormatSized = 4, kRegisterCount = 0x2f; // EIFMT_SVAL, EIATTR_REGCOUNT

} // namespace

bool readCubin(const std::string &cubin, std::map<std::string, KernelResources> *kernels) {
  auto header = at<Elf64_Ehdr>(cubin, 0);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64)
    return false;
  std::vector<Elf64_Shdr> sections;
  for (unsigned i = 0; i < header.e_shnum; ++i)
    sections.push_back(at<Elf64_Shdr>(cubin, header.e_shoff + uint64_t{i} * header.e_shentsize));
  if (header.e_shstrndx >= sections.size())
    return false;
  uint64_t names = sections[header.e_shstrndx].sh_offset;
  auto name = [&](const Elf64_Shdr &section) { return textAt(cubin, names + section.sh_name); };
  for (const Elf64_Shdr &section : sections) {
    std::string text = name(section);
    if (text.rfind(".text.", 0) == 0)
      (*kernels)[text.substr(6)].machineInstructions = static_cast<unsigned>(section.sh_size / kInstructionBytes);
    if (text.rfind(".nv.shared.", 0) == 0 && section.sh_type == SHT_NOBITS)
      (*kernels)[text.substr(11)].staticShared = static_cast<unsigned>(section.sh_size);
  }
  // .nv.info: attributes with a size; that of registers has the index of a symbol and their number.
  for (const Elf64_Shdr &section : sections) {
    if (name(section) != ".nv.info")
      continue;
    Elf64_Shdr symbols = section.sh_link < sections.size() ? sections[section.sh_link] : Elf64_Shdr{};
    uint64_t strings = symbols.sh_link < sections.size() ? sections[symbols.sh_link].sh_offset : 0;
    for (uint64_t i = 0; i + 4 <= section.sh_size;) {
      uint64_t offset = section.sh_offset + i;
      auto format = at<uint8_t>(cubin, offset), attribute = at<uint8_t>(cubin, offset + 1);
      auto size = at<uint16_t>(cubin, offset + 2);
      i += 4 + (format == kFormatSized ? size : 0);
      if (format != kFormatSized || attribute != kRegisterCount || size < 8)
        continue;
      auto symbol = at<Elf64_Sym>(cubin, symbols.sh_offset + uint64_t{at<uint32_t>(cubin, offset + 4)} * sizeof(Elf64_Sym));
      auto found = kernels->find(textAt(cubin, strings + symbol.st_name));
      if (found != kernels->end())
        found->second.registers = at<uint32_t>(cubin, offset + 8);
    }
  }
  return true;
}

void readVerboseLog(const std::string &log, std::map<std::string, KernelResources> *kernels) {
  static const std::regex entry("Compiling entry function '([^']+)'"),
      spills("(\\d+) bytes spill stores, (\\d+) bytes spill loads"), registers("Used (\\d+) registers"), shared("(\\d+) bytes smem");
  std::istringstream lines(log);
  std::string kernel;
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (std::regex_search(line, match, entry))
      kernel = match[1];
    if (kernel.empty())
      continue;
    KernelResources &of = (*kernels)[kernel];
    // Functions that are called have lines of their own; what they spill, the kernel does.
    if (std::regex_search(line, match, spills)) {
      of.spillsKnown = true;
      of.spillStores += static_cast<unsigned>(std::stoul(match[1]));
      of.spillLoads += static_cast<unsigned>(std::stoul(match[2]));
    }
    if (std::regex_search(line, match, registers))
      of.registers = static_cast<unsigned>(std::stoul(match[1]));
    if (std::regex_search(line, match, shared))
      of.staticShared = static_cast<unsigned>(std::stoul(match[1]));
  }
}

std::string machineTarget(const Gpu &gpu, const std::string &target) {
  if (!target.empty() && target.back() == 'a')
    return target;
  return fmt::format("sm_{}{}{}", gpu.major, gpu.minor, !target.empty() && target.back() == 'f' ? "f" : "");
}

Assembled assembleForModel(const std::string &ptx, const std::string &target) {
  Assembled assembled;
  CachedTexts texts;
  bool verbose = true;
  Status status = assembleVerbosely(ptx, target, &texts);
  if (status.code() == StatusCode::NotFound) {
    verbose = false;
    status = linkCubins(ptx, target, &texts);
  }
  if (!status.ok()) {
    assembled.reason = status.code() == StatusCode::NotFound ? "neither ptxas nor nvJitLink is installed" : status.message();
    return assembled;
  }
  for (const auto &[name, text] : *texts) // nvJitLink's are several modules: cubin.0, cubin.1, ...
    if (name.rfind("cubin", 0) == 0 && !readCubin(text, &assembled.kernels)) {
      assembled.reason = "the assembler wrote no ELF file";
      return assembled;
    }
  if (verbose)
    readVerboseLog(texts->at("log"), &assembled.kernels);
  assembled.by = fmt::format("{} for {}", verbose ? "ptxas" : "nvJitLink", target);
  return assembled;
}

} // namespace model
} // namespace fourfold
