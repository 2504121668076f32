// cp.async.bulk.tensor, cp.reduce.async.bulk.tensor and prefetches of tensor maps (PTX ISA 9.7.9.27).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Access.h"
#include "BulkCopy.h"
#include "Cluster.h"
#include "Mbarrier.h"
#include "TensorMap.h"

#include "runtime/device/Driver.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

constexpr uint32_t kMapAlignment = 64;
constexpr uint32_t kSharedAlignment = 128;

/// Instr::variant: where the map's address stands among the addresses depends on the direction.
enum : uint8_t { kLoad, kStore, kReduce, kPrefetch };

/// Instr::flags: the map's address is one of parameters, not a generic one.
constexpr uint32_t kParamAddress = 1;
/// .tile::gather4 and .tile::scatter4: coordinates are a column and four rows of a tensor of two dimensions. Above kMulticast.
constexpr uint32_t kFourRows = 0x200;
constexpr uint32_t kSwizzleRepeat = 1024; // bytes after which the widest pattern starts anew

TensorMap mapOf(Warp &warp, const Instr &in, int lane, uint32_t index) {
  uint64_t address = anyAddress(warp, in, lane, index) + (in.flags & kParamAddress ? kParamWindow : 0), offset = address;
  if (address % kMapAlignment)
    report(warp, in, lane, device::kErrorMisalignedAddress, fmt::format("the tensor map's address {:#x} is not a multiple of 64", address));
  TensorMap map;
  Space space = splitGeneric(offset);
  if (space == Space::Param) {
    if (offset + kTensorMapBytes > warp.launch->params.size())
      report(warp, in, lane, device::kErrorIllegalAddress,
             fmt::format("the tensor map at parameter address {:#x} is out of bounds: the kernel has {} bytes of parameters", offset,
                         warp.launch->params.size()));
    std::memcpy(static_cast<void *>(&map), &warp.launch->params[offset], sizeof(map));
  } else if (space == Space::Global) {
    CopyPiece piece = globalPiece(warp, in, lane, address, 0, kTensorMapBytes);
    std::memcpy(static_cast<void *>(&map), piece.data, sizeof(map));
  } else {
    report(warp, in, lane, device::kErrorIllegalAddress,
           fmt::format("the tensor map's address {:#x} is neither a parameter's (__grid_constant__) nor in global or constant memory", address));
  }
  std::string wrong = checkTensorMap(map);
  if (wrong.empty())
    wrong = settleTensorMap(&map);
  if (!wrong.empty())
    report(warp, in, lane, device::kErrorIllegalInstruction, fmt::format("the tensor map at {:#x}: {}", address, wrong));
  return map;
}

void checkMap(Warp &warp, const Instr &in, uint32_t mask) {
  for (uint32_t rest = mask; rest; rest &= rest - 1)
    mapOf(warp, in, __builtin_ctz(rest), 0);
}

void copyTensor(Warp &warp, const Instr &in, uint32_t mask) {
  for (uint32_t slot : in.list2)
    requireInit(warp, in, slot, mask, "as a coordinate");
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    int lane = __builtin_ctz(rest);
    bool isLoad = in.variant == kLoad;
    TensorMap map = mapOf(warp, in, lane, isLoad ? 1 : 0);
    bool picksRows = in.flags & kFourRows;
    size_t rank = picksRows ? 2 : in.list2.size();
    if (map.rank != rank)
      report(warp, in, lane, device::kErrorIllegalInstruction,
             fmt::format("the tensor map is of {} dimensions, the instruction of {}", map.rank, rank));
    if (picksRows && map.boxDim[1] != 1)
      report(warp, in, lane, device::kErrorIllegalInstruction,
             fmt::format("boxDim[1] of the tensor map is {}: four rows are picked one by one, it must be 1", map.boxDim[1]));
    int32_t coordinates[kMaxRank] = {};
    for (uint32_t i = 0; i < in.list2.size(); ++i)
      coordinates[i] = warp.reg<int32_t>(in.list2[i])[lane];
    if (map.elementBits() == 4 && coordinates[0] % 2)
      report(warp, in, lane, device::kErrorIllegalInstruction,
             fmt::format("coordinate 0 is {}: boxes of 4-bit elements start at an even one", coordinates[0]));
    BulkCopy copy;
    copy.in = &in;
    copy.lane = lane;
    copy.bytes = map.boxBytes() * (picksRows ? 4 : 1);
    copy.fill = map.fill();
    uint64_t shared = 0;
    if (in.variant != kPrefetch)
      shared = sharedAddress(warp, in, lane, isLoad ? 0 : 1, kSharedAlignment, isLoad ? "destination" : "source");
    uint64_t to = shared;
    // Swizzles go by bits of the address in shared memory; a load's pieces count from its destination.
    uint32_t origin = isLoad ? static_cast<uint32_t>(to) % kSwizzleRepeat : 0;
    shared = in.variant == kPrefetch ? 0 : isLoad ? origin : sharedPlace(warp, in, lane, shared, false).offset;
    std::vector<BoxPiece> boxes;
    for (int i = 0; i < (picksRows ? 4 : 1); ++i) {
      int32_t row[kMaxRank] = {coordinates[0], coordinates[1 + i]};
      std::vector<BoxPiece> part = boxPieces(map, picksRows ? row : coordinates, static_cast<uint32_t>(shared) + static_cast<uint32_t>(i) * map.rowBytes());
      boxes.insert(boxes.end(), part.begin(), part.end());
    }
    for (BoxPiece &box : boxes)
      box.shared -= origin;
    for (const BoxPiece &box : boxes)
      copy.pieces.push_back(box.isInside ? globalPiece(warp, in, lane, box.global, box.shared, box.bytes)
                                         : CopyPiece{box.shared, box.bytes, nullptr, nullptr, 0});
    if (in.variant == kPrefetch)
      continue;
    if (isLoad) {
      uint64_t barrier = sharedAddress(warp, in, lane, 2, 8, "mbarrier's address");
      issueToBlocks(warp, in, std::move(copy), to, barrier);
      continue;
    }
    if (in.variant == kReduce) {
      copy.reduces = true;
      copy.op = static_cast<AtomicOp>(in.variant2);
      copy.type = map.reductionType();
      bool isBitwise = copy.op == AtomicOp::And || copy.op == AtomicOp::Or || copy.op == AtomicOp::Xor;
      bool isCount = copy.op == AtomicOp::Inc || copy.op == AtomicOp::Dec;
      if (typeBytes(copy.type) == 1 || (typeBytes(copy.type) == 2 && !isFloat(copy.type)) || (isBitwise && isFloat(copy.type)) ||
          (isCount && copy.type != Type::U32) || (copy.op != AtomicOp::Add && (copy.type == Type::F32 || copy.type == Type::F64)))
        report(warp, in, lane, device::kErrorIllegalInstruction, "no reduction has this operation and the tensor map's type");
    }
    asyncProxyOf(warp).issueStore(warp, std::move(copy));
  }
}

/// `[map, {coordinates}]`.
void addTensor(Decoder &d, const Operand &operand, size_t rank) {
  if (operand.kind != Operand::Address || operand.elements.size() != 2)
    d.fail("expects a tensor: [map, {coordinates}]");
  if (operand.elements[1].elements.size() != rank)
    d.fail(fmt::format("the tensor has {} coordinates, the instruction {}", operand.elements[1].elements.size(), rank));
  Operand map = operand;
  map.elements.resize(1);
  addAddress(d, map, Space::Generic);
  for (const Operand &coordinate : operand.elements[1].elements)
    d.out().list2.push_back(d.source(coordinate, Type::S32));
}

} // namespace

bool decodeTensorMapPrefetch(Decoder &d) {
  d.take("tensormap");
  Space space = d.take("param") ? Space::Param : d.take("const") ? Space::Const : Space::Generic;
  d.expectOperands(1, 1);
  addAddress(d, d.operand(0), space);
  Instr &in = d.out();
  in.handler = checkMap;
  in.flags = space == Space::Param ? kParamAddress : 0;
  in.ownInit = true;
  in.instrClass = InstrClass::GlobalLoad;
  return true;
}

bool decodeTensorCopy(Decoder &d, bool isReduction) {
  Instr &in = d.out();
  d.take("tensor");
  size_t rank = 0;
  for (size_t i = 1; i <= kMaxRank; ++i)
    if (d.take(fmt::format("{}d", i)))
      rank = i;
  if (!rank)
    return false;
  const std::vector<std::string> &mods = d.ast().mods;
  for (const std::string &mod : mods)
    if (mod.compare(0, 6, "im2col") == 0 || mod.compare(0, 9, "cta_group") == 0)
      d.fail(fmt::format("'.{}' of tensor copies is not supported by the emulated device: '.tile' is", mod));
  d.take("tile");
  bool isGather = d.take("tile::gather4"), isScatter = !isGather && d.take("tile::scatter4");
  if (isGather || isScatter) {
    if (rank != 2 || isReduction)
      d.fail("four rows are picked from a tensor of two dimensions, by a copy");
    rank = 5; // coordinates
  }
  if (d.take("prefetch")) {
    if (isReduction || !d.take("L2") || !d.take("global"))
      return false;
    if (takePolicy(d) != 1)
      d.fail("the prefetch takes a tensor");
    addTensor(d, d.operand(0), rank);
    in.variant = kPrefetch;
  } else if (d.take("bulk_group")) {
    if (!d.take("global") || !d.take("shared::cta"))
      return false;
    if (takePolicy(d) != 2)
      d.fail("the copy takes a tensor and an address of shared memory");
    addTensor(d, d.operand(0), rank);
    addAddress(d, d.operand(1), Space::Shared);
    in.variant = isReduction ? kReduce : kStore;
    if (isReduction && !takeReduction(d))
      return false;
  } else {
    in.takesPeers = d.take("shared::cluster");
    if (isReduction || !d.take("mbarrier::complete_tx::bytes") || !d.take("global") || (!in.takesPeers && !d.take("shared::cta")))
      return false;
    bool isMulticast = in.takesPeers && d.take("multicast::cluster");
    if (takePolicy(d) != (isMulticast ? 4 : 3))
      d.fail("the copy takes an address of shared memory, a tensor, an mbarrier, and a mask of blocks where it is a multicast");
    if (isMulticast) {
      d.result().usesClusters = true;
      takeMulticast(d, d.operand(3));
    }
    addAddress(d, d.operand(0), Space::Shared);
    addTensor(d, d.operand(1), rank);
    addAddress(d, d.operand(2), Space::Shared);
    in.variant = kLoad;
  }
  if ((isGather && in.variant == kStore) || (isScatter && in.variant != kStore))
    d.fail(".tile::gather4 loads and prefetches, .tile::scatter4 stores");
  in.flags |= isGather || isScatter ? kFourRows : 0;
  in.handler = copyTensor;
  return true;
}

} // namespace emulator
} // namespace fourfold
