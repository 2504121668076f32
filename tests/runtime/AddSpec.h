// A spec by hand: y = x + w, element by element, f32, with the manifest and the PTX that a compiler would write.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_TESTS_RUNTIME_ADDSPEC_H
#define FOURFOLD_TESTS_RUNTIME_ADDSPEC_H

#include "plan/Plan.h"

namespace fourfold {
namespace tests {

/// x is d0 x d1, w is d1 x d0 so that both dimensions are used twice; two variants, chosen by d0; the kernel also adds
/// a workspace that a memset clears.
inline plan::Plan addPlan(const std::string &target = "sm_120a") {
  using namespace plan;
  Expr d0 = Expr::dim(0), d1 = Expr::dim(1);
  Plan plan;
  plan.spec = "add";
  plan.target = target;
  plan.ptxVersion = "8.7";
  plan.dims = {{"x dimension 0"}, {"x dimension 1"}};
  auto buffer = [&](const char *name, Buffer::Kind kind, std::vector<Expr> shape) {
    Buffer result{name, kind, d0 * d1 * 4, 256, {}};
    result.contents.value = kind == Buffer::Kind::Workspace ? "" : name;
    result.contents.shape = std::move(shape);
    plan.buffers.push_back(result);
  };
  buffer("x", Buffer::Kind::Input, {d0, d1});
  buffer("w", Buffer::Kind::Input, {d1, d0});
  buffer("y", Buffer::Kind::Output, {d0, d1});
  buffer("scratch", Buffer::Kind::Workspace, {});
  plan.inputs = {{"x", fourfold::plan::ElementType::F32, {d0, d1}, 0},
                 {"w", fourfold::plan::ElementType::F32, {d1, d0}, 1}};
  plan.outputs = {{"y", fourfold::plan::ElementType::F32, {d0, d1}, 2}};
  Launch clear;
  clear.kind = Launch::Kind::Memset;
  clear.label = "clear scratch";
  clear.buffer = 3;
  clear.bytes = d0 * d1 * 4;
  Launch add;
  add.label = "add";
  Variant small, large;
  small.when = lessEqual(d0, 4);
  small.kernel = "add_small";
  small.grid = {plan::ceilDiv(d0 * d1, 32), 1, 1};
  small.block = {32, 1, 1};
  large.kernel = "add_large";
  large.grid = {plan::ceilDiv(d0 * d1, 64), 1, 1};
  large.block = {64, 1, 1};
  large.sharedBytes = 64 * 1024;
  add.variants = {small, large};
  for (int index : {0, 1, 2, 3}) {
    Argument argument;
    argument.buffer = index;
    add.args.push_back(argument);
  }
  Argument count;
  count.kind = Argument::Kind::I32;
  count.value = d0 * d1;
  add.args.push_back(count);
  plan.launches = {clear, add};
  return plan;
}

inline std::string addKernel(const std::string &name) {
  return ".visible .entry " + name + R"((.param .u64 px, .param .u64 pw, .param .u64 py, .param .u64 ps, .param .u32 pn)
{
  .reg .pred %p<2>;
  .reg .b32 %r<6>;
  .reg .f32 %f<5>;
  .reg .b64 %rd<10>;
  ld.param.u64 %rd1, [px];
  ld.param.u64 %rd2, [pw];
  ld.param.u64 %rd3, [py];
  ld.param.u64 %rd4, [ps];
  ld.param.u32 %r1, [pn];
  mov.u32 %r2, %ctaid.x;
  mov.u32 %r3, %ntid.x;
  mov.u32 %r4, %tid.x;
  mad.lo.s32 %r5, %r2, %r3, %r4;
  setp.ge.s32 %p1, %r5, %r1;
  @%p1 bra DONE;
  mul.wide.s32 %rd5, %r5, 4;
  add.s64 %rd6, %rd1, %rd5;
  add.s64 %rd7, %rd2, %rd5;
  add.s64 %rd8, %rd3, %rd5;
  add.s64 %rd9, %rd4, %rd5;
  ld.global.f32 %f1, [%rd6];
  ld.global.f32 %f2, [%rd7];
  ld.global.f32 %f3, [%rd9];
  add.rn.f32 %f4, %f1, %f2;
  add.rn.f32 %f4, %f4, %f3;
  st.global.f32 [%rd8], %f4;
DONE:
  ret;
}
)";
}

inline std::string addPtx(const std::string &target = "sm_120a") {
  return ".version 8.7\n.target " + target + "\n.address_size 64\n" + addKernel("add_small") + addKernel("add_large");
}

} // namespace tests
} // namespace fourfold

#endif // FOURFOLD_TESTS_RUNTIME_ADDSPEC_H
