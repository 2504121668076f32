// Merging at the level of text: headers, extern declarations, bodies.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "cuda/PtxMerge.h"

#include <map>
#include <regex>
#include <sstream>
#include <vector>

namespace fourfold {
namespace cuda {

namespace {

struct Header {
  int major = 0, minor = 0;
  std::string target, addressSize;
};

/// A module as a header and the text after it. Only whole lines `.version`, `.target` and `.address_size` are the header; comments
/// before them go.
struct Module {
  Header header;
  std::string body;
};

std::string trimmed(const std::string &line) {
  size_t first = line.find_first_not_of(" \t\r"), last = line.find_last_not_of(" \t\r");
  return first == std::string::npos ? "" : line.substr(first, last - first + 1);
}

bool split(const std::string &ptx, Module *module) {
  std::istringstream lines(ptx);
  std::string line;
  bool inHeader = true;
  while (std::getline(lines, line)) {
    std::string text = trimmed(line);
    if (inHeader) {
      if (text.empty() || text.compare(0, 2, "//") == 0)
        continue;
      std::smatch match;
      if (std::regex_match(text, match, std::regex(R"(\.version\s+(\d+)\.(\d+).*)"))) {
        module->header.major = std::stoi(match[1]);
        module->header.minor = std::stoi(match[2]);
        continue;
      }
      if (std::regex_match(text, match, std::regex(R"(\.target\s+(.*))"))) {
        module->header.target = trimmed(match[1]);
        continue;
      }
      if (std::regex_match(text, match, std::regex(R"(\.address_size\s+(\d+).*)"))) {
        module->header.addressSize = match[1];
        continue;
      }
      inHeader = false;
    }
    module->body += line + "\n";
  }
  return module->header.major > 0 && !module->header.target.empty();
}

/// The parameter types of "(.param .b32 a, .param .align 4 .b8 b[8])", without names: what a call's ABI depends on.
std::string typesOf(const std::string &parameters) {
  std::string types;
  std::istringstream list(parameters);
  std::string one;
  while (std::getline(list, one, ',')) {
    std::smatch match;
    if (std::regex_search(one, match, std::regex(R"(\.param\s+((?:\.align\s+\d+\s+)?\.\w+)\s+\w+\s*(\[\d+\])?)")))
      types += (types.empty() ? "" : ", ") + match[1].str() + match[2].str();
  }
  return types;
}

/// One `.func` with its result and parameters, `;` or `{` after them.
struct Prototype {
  size_t begin = 0, end = 0; // of the whole declaration up to `;` or `{`
  std::string name, signature;
};

std::vector<Prototype> prototypes(const std::string &text, bool external) {
  // PTX has no nested parentheses in a prototype.
  static const std::regex pattern(
      R"((\.extern|\.visible)\s+\.func\s*(\(([^)]*)\))?\s*([A-Za-z_$%][\w$]*)\s*(\(([^)]*)\))?\s*(\.noreturn\s*)?([;{]))");
  std::vector<Prototype> found;
  for (std::sregex_iterator at(text.begin(), text.end(), pattern), end; at != end; ++at) {
    const std::smatch &match = *at;
    if ((match[1] == ".extern") != external || (match[8] == ";") != external)
      continue;
    found.push_back({static_cast<size_t>(match.position()), static_cast<size_t>(match.position() + match.length()),
                     match[4], "(" + typesOf(match[6]) + ") -> (" + typesOf(match[3]) + ")"});
  }
  return found;
}

} // namespace

bool mergePtx(const std::string &kernels, const std::string &library, std::string *merged, std::string *error) {
  Module ours, theirs;
  if (!split(kernels, &ours) || !split(library, &theirs)) {
    *error = "a module without .version and .target cannot be merged";
    return false;
  }
  if (ours.header.target != theirs.header.target || ours.header.addressSize != theirs.header.addressSize) {
    *error = "the kernels are for " + ours.header.target + " (" + ours.header.addressSize + " bit), the functions for " +
             theirs.header.target + " (" + theirs.header.addressSize + " bit)";
    return false;
  }
  std::map<std::string, std::string> defined;
  for (const Prototype &function : prototypes(theirs.body, /*external=*/false))
    defined[function.name] = function.signature;
  std::string rest;
  size_t from = 0;
  for (const Prototype &declared : prototypes(ours.body, /*external=*/true)) {
    auto found = defined.find(declared.name);
    if (found == defined.end()) {
      *error = "the kernels call '" + declared.name + "', which is not defined";
      return false;
    }
    if (found->second != declared.signature) {
      *error = "the kernels call '" + declared.name + "' as " + declared.signature + ", but it is " + found->second;
      return false;
    }
    rest += ours.body.substr(from, declared.begin - from);
    from = declared.end;
  }
  rest += ours.body.substr(from);

  bool newer = std::make_pair(theirs.header.major, theirs.header.minor) >
               std::make_pair(ours.header.major, ours.header.minor);
  const Header &version = newer ? theirs.header : ours.header;
  *merged = "//\n// Kernels of Fourfold, with functions compiled from CUDA C++ by NVRTC\n//\n\n.version " +
            std::to_string(version.major) + "." + std::to_string(version.minor) + "\n.target " + ours.header.target +
            "\n.address_size " + ours.header.addressSize + "\n\n" + theirs.body + "\n" + rest;
  return true;
}

} // namespace cuda
} // namespace fourfold
