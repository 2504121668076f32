#!/usr/bin/env python3
# Kernels of PTX by hand from Python: results against NumPy, every kind of argument, findings beside the kernel that is right.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

import unittest

import reference
from reference import SOURCE, numpy

import fourfold

# out[i] = in[i] * factor, and total += out[i], for i < count.
SCALE = """
.version 8.0
.target sm_80
.address_size 64
.visible .entry scale(.param .u64 in, .param .u64 out, .param .u64 total, .param .f32 factor, .param .u32 count)
{
  .reg .pred %p;
  .reg .b32 %i, %n, %b, %t, %c;
  .reg .f32 %x, %f;
  .reg .b64 %in, %out, %sum, %at;
  ld.param.u64 %in, [in];
  ld.param.u64 %out, [out];
  ld.param.u64 %sum, [total];
  ld.param.f32 %f, [factor];
  ld.param.u32 %c, [count];
  mov.u32 %b, %ctaid.x;
  mov.u32 %n, %ntid.x;
  mov.u32 %t, %tid.x;
  mad.lo.s32 %i, %b, %n, %t;
  setp.ge.u32 %p, %i, %c;
  @%p ret;
  mul.wide.u32 %at, %i, 4;
  add.s64 %in, %in, %at;
  add.s64 %out, %out, %at;
  ld.global.f32 %x, [%in];
  mul.rn.f32 %x, %x, %f;
  st.global.f32 [%out], %x;
  red.global.add.f32 [%sum], %x;
  ret;
}
"""

# Writes a bf16 1.5 and a flag that a struct {u32, u32} has second.
STORE = """
.version 8.0
.target sm_80
.address_size 64
.visible .entry store(.param .align 4 .b8 given[8], .param .u64 half, .param .u64 flag)
{
  .reg .b16 %h;
  .reg .b32 %v;
  .reg .b64 %at;
  ld.param.u64 %at, [half];
  mov.b16 %h, 0x3fc0;
  st.global.b16 [%at], %h;
  ld.param.u64 %at, [flag];
  ld.param.u32 %v, [given+4];
  st.global.u8 [%at], %v;
  ret;
}
"""


class Emulate(unittest.TestCase):
    def run_scale(self, count=40, **options):
        x = numpy.arange(40, dtype=numpy.float32)
        return x, fourfold.emulate(SCALE, [x, fourfold.Out(40), fourfold.InOut(numpy.float32([0.5])), numpy.float32(3), numpy.uint32(count)],
                                   grid=2, **options)

    def test_scalars_and_buffers(self):
        x, done = self.run_scale(profile=True)
        numpy.testing.assert_array_equal(done.results[0], 3 * x)
        numpy.testing.assert_array_equal(done.results[1], numpy.float32([3 * x.sum() + 0.5]))
        self.assertTrue(done.profile)
        self.assertEqual(done.printed, "")

    def test_other_types(self):
        flag = numpy.array([True, False])
        done = fourfold.emulate(STORE, [bytes([1, 0, 0, 0, 0, 0, 0, 0]), fourfold.Out(1, "bf16"), fourfold.InOut(flag)], block=1)
        self.assertEqual((done.results[0].dtype, fourfold.float32(done.results[0])[0]), (fourfold.bf16(0.0).dtype, 1.5))
        self.assertEqual((done.results[1].dtype, list(done.results[1])), (numpy.dtype(bool), [False, False]))
        self.assertTrue(flag[0])
        done = fourfold.emulate(STORE, [bytes(8), fourfold.Out(2, numpy.uint16, zeros=True), fourfold.InOut(fourfold.bf16([1, 2]))], block=1)
        self.assertEqual(list(done.results[0]), [0x3FC0, 0])
        self.assertEqual(fourfold.float32(done.results[1])[1], 2)

    def test_files_and_tensor_maps(self):
        x = numpy.arange(64 * 96, dtype=numpy.float32).reshape(64, 96)
        path = SOURCE / "tests/tool/ptx/scale_tiles.ptx"
        maps = [fourfold.TensorMap(buffer, (16, 32), {"swizzle": "128B"}) for buffer in (x, fourfold.Out((64, 96)))]
        done = fourfold.emulate(path, maps, grid=(3, 4), block=128)
        numpy.testing.assert_array_equal(done.results[0], 2 * x)
        with self.assertRaisesRegex(fourfold.DeviceError, "fence.proxy.async is missing"):
            fourfold.emulate(SOURCE / "tests/tool/ptx/scale_tiles_unfenced.ptx", maps, grid=(3, 4), block=128)

    def test_findings_and_mistakes(self):
        with self.assertRaisesRegex(fourfold.DeviceError, "kernel 'scale', line 25: .*ld.global.f32"):
            self.run_scale(count=64)
        wrong = fourfold.InvalidArgumentError
        cases = [
            (wrong, "argument 0 is 5: expected an array", lambda: fourfold.emulate(SCALE, [5])),
            (wrong, "argument 0 has dtype complex128", lambda: fourfold.emulate(SCALE, [numpy.zeros(3, dtype=complex)])),
            (wrong, "parameter", lambda: fourfold.emulate(SCALE, [numpy.float32(1)])),
            (wrong, "an Out of dtype complex128", lambda: fourfold.emulate(SCALE, [fourfold.Out(3, complex)])),
            (wrong, "'other'", lambda: self.run_scale(kernel="other")),
            (FileNotFoundError, "'nothing.ptx' does not exist", lambda: fourfold.emulate("nothing.ptx")),
        ]
        for kind, words, call in cases:
            with self.subTest(words), self.assertRaisesRegex(kind, words):
                call()


if __name__ == "__main__":
    reference.main()
