// Reads build ids and compiler notes from ELF files.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/jit/FileIdentity.h"

#include <fmt/format.h>

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

namespace fourfold {

namespace {

bool readAt(int file, uint64_t offset, void *to, size_t bytes) {
  return pread(file, to, bytes, static_cast<off_t>(offset)) == static_cast<ssize_t>(bytes);
}

/// The note's contents as hexadecimal digits; "" if it is not what a linker writes.
std::string buildId(int file, const Elf64_Shdr &section) {
  constexpr size_t kMost = 256;
  char bytes[kMost];
  Elf64_Nhdr header;
  if (section.sh_size < sizeof(header) || section.sh_size > kMost || !readAt(file, section.sh_offset, bytes, section.sh_size))
    return "";
  std::memcpy(&header, bytes, sizeof(header));
  size_t start = sizeof(header) + (header.n_namesz + 3u) / 4 * 4;
  // A short one could be a number that somebody counts up by hand.
  if (header.n_type != NT_GNU_BUILD_ID || header.n_descsz < 8 || start + header.n_descsz > section.sh_size)
    return "";
  std::string text;
  for (size_t i = 0; i < header.n_descsz; ++i)
    text += fmt::format("{:02x}", static_cast<unsigned char>(bytes[start + i]));
  return text;
}

void readSections(int file, FileIdentity *identity) {
  Elf64_Ehdr header;
  if (!readAt(file, 0, &header, sizeof(header)) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_shentsize != sizeof(Elf64_Shdr) ||
      header.e_shstrndx >= header.e_shnum)
    return;
  std::vector<Elf64_Shdr> sections(header.e_shnum);
  if (!readAt(file, header.e_shoff, sections.data(), sections.size() * sizeof(Elf64_Shdr)))
    return;
  constexpr uint64_t kMostNames = 1 << 20;
  const Elf64_Shdr &table = sections[header.e_shstrndx];
  std::string names(std::min<uint64_t>(table.sh_size, kMostNames), '\0');
  if (!readAt(file, table.sh_offset, names.data(), names.size()))
    return;
  for (const Elf64_Shdr &section : sections) {
    if (section.sh_name >= names.size())
      continue;
    std::string name = names.c_str() + section.sh_name;
    if (name == ".note.gnu.build-id") {
      if (std::string id = buildId(file, section); !id.empty())
        identity->text = "build-id " + id;
    } else if (name == FOURFOLD_NOTE_SECTION && section.sh_size == sizeof(CompilerNote)) {
      CompilerNote note = {};
      identity->hasNote = readAt(file, section.sh_offset, &note, sizeof(note)) &&
                          std::memcmp(note.magic, "FOURFOLD", sizeof(note.magic)) == 0 &&
                          note.version[sizeof(note.version) - 1] == '\0';
      identity->note = note;
    }
  }
}

} // namespace

FileIdentity identityOf(const std::string &path) {
  static std::mutex mutex;
  static auto *known = new std::map<std::string, FileIdentity>;
  struct stat info;
  int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return {};
  FileIdentity identity;
  if (fstat(file, &info) == 0 && S_ISREG(info.st_mode)) {
    std::string stamp = fmt::format("{} {} bytes, changed {}.{:09}, inode {}", path, info.st_size, info.st_mtim.tv_sec,
                                    info.st_mtim.tv_nsec, info.st_ino);
    std::lock_guard<std::mutex> lock(mutex);
    auto found = known->find(stamp);
    if (found == known->end()) {
      identity.text = stamp;
      readSections(file, &identity);
      found = known->emplace(stamp, identity).first;
    }
    identity = found->second;
  }
  close(file);
  return identity;
}

} // namespace fourfold
