// Integer, logic, comparison and selection instructions against the host.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Table.h"

#include <algorithm>

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;

namespace {

using U = uint64_t;
int32_t s32(U v) { return static_cast<int32_t>(v); }
int64_t s64(U v) { return static_cast<int64_t>(v); }
int16_t s16(U v) { return static_cast<int16_t>(v); }
uint32_t u32(U v) { return static_cast<uint32_t>(v); }

const Row kRows[] = {
    {"add.s32 {d}, {a}, {b};", 32, 32, 32, 0, [](U a, U b, U) { return a + b; }},
    {"add.u64 {d}, {a}, {b};", 64, 64, 64, 0, [](U a, U b, U) { return a + b; }},
    {"add.s16 {d}, {a}, {b};", 16, 16, 16, 0, [](U a, U b, U) { return a + b; }},
    {"add.sat.s32 {d}, {a}, {b};", 32, 32, 32, 0,
     [](U a, U b, U) { return static_cast<U>(std::clamp<int64_t>(int64_t{s32(a)} + s32(b), INT32_MIN, INT32_MAX)); }},
    {"sub.s32 {d}, {a}, {b};", 32, 32, 32, 0, [](U a, U b, U) { return a - b; }},
    {"sub.sat.s32 {d}, {a}, {b};", 32, 32, 32, 0,
     [](U a, U b, U) { return static_cast<U>(std::clamp<int64_t>(int64_t{s32(a)} - s32(b), INT32_MIN, INT32_MAX)); }},
    {"mul.lo.s32 {d}, {a}, {b};", 32, 32, 32, 0, [](U a, U b, U) { return a * b; }},
    {"mul.hi.s32 {d}, {a}, {b};", 32, 32, 32, 0, [](U a, U b, U) { return static_cast<U>(int64_t{s32(a)} * s32(b) >> 32); }},
    {"mul.hi.u32 {d}, {a}, {b};", 32, 32, 32, 0, [](U a, U b, U) { return a * b >> 32; }},
    {"mul.hi.u64 {d}, {a}, {b};", 64, 64, 64, 0, [](U a, U b, U) { return static_cast<U>(static_cast<unsigned __int128>(a) * b >> 64); }},
    {"mul.hi.s64 {d}, {a}, {b};", 64, 64, 64, 0, [](U a, U b, U) { return static_cast<U>(static_cast<__int128>(s64(a)) * s64(b) >> 64); }},
    {"mul.wide.s32 {d}, {a}, {b};", 64, 32, 32, 0, [](U a, U b, U) { return static_cast<U>(int64_t{s32(a)} * s32(b)); }},
    {"mul.wide.u16 {d}, {a}, {b};", 32, 16, 16, 0, [](U a, U b, U) { return a * b; }},
    {"mad.lo.s32 {d}, {a}, {b}, {c};", 32, 32, 32, 32, [](U a, U b, U c) { return a * b + c; }},
    {"mad.wide.u32 {d}, {a}, {b}, {c};", 64, 32, 32, 64, [](U a, U b, U c) { return a * b + c; }},
    {"mad.hi.u32 {d}, {a}, {b}, {c};", 32, 32, 32, 32, [](U a, U b, U c) { return (a * b >> 32) + c; }},
    {"mul24.lo.u32 {d}, {a}, {b};", 32, 32, 32, 0, [](U a, U b, U) { return (a & 0xffffff) * (b & 0xffffff); }},
    {"mul24.hi.u32 {d}, {a}, {b};", 32, 32, 32, 0, [](U a, U b, U) { return (a & 0xffffff) * (b & 0xffffff) >> 16; }},
    {"or.b32 {b}, {b}, 1;\ndiv.u32 {d}, {a}, {b};", 32, 32, 32, 0, [](U a, U b, U) { return a / (b | 1); }},
    {"or.b32 {b}, {b}, 1;\ndiv.s32 {d}, {a}, {b};", 32, 32, 32, 0, [](U a, U b, U) { return static_cast<U>(int64_t{s32(a)} / s32(b | 1)); }},
    {"or.b32 {b}, {b}, 1;\nrem.s32 {d}, {a}, {b};", 32, 32, 32, 0, [](U a, U b, U) { return static_cast<U>(int64_t{s32(a)} % s32(b | 1)); }},
    {"or.b64 {b}, {b}, 1;\nrem.u64 {d}, {a}, {b};", 64, 64, 64, 0, [](U a, U b, U) { return a % (b | 1); }},
    {"min.s32 {d}, {a}, {b};", 32, 32, 32, 0, [](U a, U b, U) { return static_cast<U>(std::min(s32(a), s32(b))); }},
    {"max.u32 {d}, {a}, {b};", 32, 32, 32, 0, [](U a, U b, U) { return std::max(a, b); }},
    {"min.s16 {d}, {a}, {b};", 16, 16, 16, 0, [](U a, U b, U) { return static_cast<U>(std::min(s16(a), s16(b))); }},
    {"max.s64 {d}, {a}, {b};", 64, 64, 64, 0, [](U a, U b, U) { return static_cast<U>(std::max(s64(a), s64(b))); }},
    {"abs.s32 {d}, {a};", 32, 32, 0, 0, [](U a, U, U) { return s32(a) < 0 ? 0 - a : a; }},
    {"neg.s64 {d}, {a};", 64, 64, 0, 0, [](U a, U, U) { return 0 - a; }},
    {"sad.u32 {d}, {a}, {b}, {c};", 32, 32, 32, 32, [](U a, U b, U c) { return (a < b ? b - a : a - b) + c; }},
    {"and.b32 {d}, {a}, {b};", 32, 32, 32, 0, [](U a, U b, U) { return a & b; }},
    {"or.b16 {d}, {a}, {b};", 16, 16, 16, 0, [](U a, U b, U) { return a | b; }},
    {"xor.b64 {d}, {a}, {b};", 64, 64, 64, 0, [](U a, U b, U) { return a ^ b; }},
    {"not.b32 {d}, {a};", 32, 32, 0, 0, [](U a, U, U) { return ~a; }},
    {"cnot.b32 {d}, {a};", 32, 32, 0, 0, [](U a, U, U) { return U{a == 0}; }},
    {"shl.b32 {d}, {a}, {b};", 32, 32, 32, 0, [](U a, U b, U) { return b > 31 ? 0 : a << b; }},
    {"shl.b64 {d}, {a}, {b};", 64, 64, 32, 0, [](U a, U b, U) { return b > 63 ? 0 : a << b; }},
    {"shr.u32 {d}, {a}, {b};", 32, 32, 32, 0, [](U a, U b, U) { return b > 31 ? 0 : a >> b; }},
    {"shr.s32 {d}, {a}, {b};", 32, 32, 32, 0, [](U a, U b, U) { return static_cast<U>(s32(a) >> std::min<U>(b, 31)); }},
    {"shr.s64 {d}, {a}, {b};", 64, 64, 32, 0, [](U a, U b, U) { return static_cast<U>(s64(a) >> std::min<U>(b, 63)); }},
    {"shr.s16 {d}, {a}, {b};", 16, 16, 32, 0, [](U a, U b, U) { return static_cast<U>(s16(a) >> std::min<U>(b, 15)); }},
    {"shf.l.wrap.b32 {d}, {a}, {b}, {c};", 32, 32, 32, 32, [](U a, U b, U c) { return ((b << 32 | a) << (c & 31)) >> 32; }},
    {"shf.r.clamp.b32 {d}, {a}, {b}, {c};", 32, 32, 32, 32, [](U a, U b, U c) { return (b << 32 | a) >> std::min<U>(c, 32); }},
    {"bfe.u32 {d}, {a}, 7, 9;", 32, 32, 0, 0, [](U a, U, U) { return a >> 7 & 511; }},
    {"bfe.s32 {d}, {a}, 7, 9;", 32, 32, 0, 0, [](U a, U, U) { return static_cast<U>(s32(a << 16) >> 23); }},
    {"bfe.s32 {d}, {a}, 28, 9;", 32, 32, 0, 0, [](U a, U, U) { return static_cast<U>(s32(a) >> 28); }},
    {"bfe.u64 {d}, {a}, 40, 30;", 64, 64, 0, 0, [](U a, U, U) { return a >> 40; }},
    {"bfi.b32 {d}, {a}, {b}, 5, 11;", 32, 32, 32, 0, [](U a, U b, U) { return (b & ~U{0xffe0}) | (a & 0x7ff) << 5; }},
    {"brev.b32 {d}, {a};", 32, 32, 0, 0,
     [](U a, U, U) {
       U r = 0;
       for (int i = 0; i < 32; ++i)
         r |= (a >> i & 1) << (31 - i);
       return r;
     }},
    {"clz.b32 {d}, {a};", 32, 32, 0, 0, [](U a, U, U) { return a ? U(__builtin_clz(u32(a))) : 32; }},
    {"clz.b64 {d}, {a};", 32, 64, 0, 0, [](U a, U, U) { return a ? U(__builtin_clzll(a)) : 64; }},
    {"popc.b64 {d}, {a};", 32, 64, 0, 0, [](U a, U, U) { return U(__builtin_popcountll(a)); }},
    {"bfind.u32 {d}, {a};", 32, 32, 0, 0, [](U a, U, U) { return a ? 31 - U(__builtin_clz(u32(a))) : ~U{0}; }},
    {"bfind.shiftamt.s32 {d}, {a};", 32, 32, 0, 0,
     [](U a, U, U) {
       uint32_t v = s32(a) < 0 ? ~u32(a) : u32(a);
       return v ? U(__builtin_clz(v)) : ~U{0};
     }},
    {"prmt.b32 {d}, {a}, {b}, {c};", 32, 32, 32, 32,
     [](U a, U b, U c) {
       U both = b << 32 | a, r = 0;
       for (int i = 0; i < 4; ++i) {
         U sel = c >> (4 * i) & 15, byte = both >> (8 * (sel & 7)) & 255;
         r |= (sel & 8 ? (byte & 128 ? 255 : 0) : byte) << (8 * i);
       }
       return r;
     }},
    {"lop3.b32 {d}, {a}, {b}, {c}, 0x1b;", 32, 32, 32, 32,
     [](U a, U b, U c) {
       U r = 0;
       for (int i = 0; i < 32; ++i)
         r |= (U{0x1b} >> ((a >> i & 1) * 4 + (b >> i & 1) * 2 + (c >> i & 1)) & 1) << i;
       return r;
     }},
    {"setp.lt.u32 %p2, {c}, 5;\nlop3.and.b32 {d}|%p1, {a}, {b}, {c}, 0x80, !%p2;\n@%p1 add.u32 {d}, {d}, 1;", 32, 32, 32, 32,
     [](U a, U b, U c) { return (a & b & c) + U{(a & b & c) != 0 && c >= 5}; }},
    {"setp.lt.u32 %p2, {c}, 5;\nlop3.or.b32 {d}|%p1, {a}, {b}, {c}, 0x80, %p2;\n@%p1 add.u32 {d}, {d}, 1;", 32, 32, 32, 32,
     [](U a, U b, U c) { return (a & b & c) + U{(a & b & c) != 0 || c < 5}; }},
    {"dp4a.s32.u32 {d}, {a}, {b}, {c};", 32, 32, 32, 32,
     [](U a, U b, U c) {
       for (int i = 0; i < 4; ++i)
         c += static_cast<U>(static_cast<int8_t>(a >> (8 * i)) * static_cast<int>(static_cast<uint8_t>(b >> (8 * i))));
       return c;
     }},
    {"add.cc.u32 {d}, {a}, {b};\naddc.u32 {d}, {c}, 0;", 32, 32, 32, 32, [](U a, U b, U c) { return c + ((a + b) >> 32); }},
    {"sub.cc.u32 {d}, {a}, {b};\nsubc.u32 {d}, {c}, 0;", 32, 32, 32, 32, [](U a, U b, U c) { return c - (a < b); }},
    // The flag of a subtraction is that of the addition of the complement: what nvcc makes of 128-bit division needs it.
    {"sub.cc.u32 {d}, {a}, {b};\naddc.u32 {d}, {c}, 0;", 32, 32, 32, 32, [](U a, U b, U c) { return c + (a >= b); }},
    {"add.cc.u32 {d}, {a}, {b};\nsubc.u32 {d}, {c}, 0;", 32, 32, 32, 32,
     [](U a, U b, U c) { return c - 1 + (static_cast<uint32_t>(a + b) < static_cast<uint32_t>(a)); }},
    {"mad.lo.cc.u32 {d}, {a}, {b}, {c};\nmadc.hi.u32 {d}, {a}, {b}, 0;", 32, 32, 32, 32, [](U a, U b, U c) { return (a * b + c) >> 32; }},
    {"szext.wrap.s32 {d}, {a}, 5;", 32, 32, 0, 0, [](U a, U, U) { return static_cast<U>(s32(a << 27) >> 27); }},
    {"bmsk.clamp.b32 {d}, 3, 7;", 32, 32, 0, 0, [](U, U, U) { return U{0x7f << 3}; }},
    {"setp.lt.s32 %p1, {a}, {b};\nselp.u32 {d}, 1, 0, %p1;", 32, 32, 32, 0, [](U a, U b, U) { return U{s32(a) < s32(b)}; }},
    {"setp.hs.u32 %p1, {a}, {b};\nselp.u32 {d}, 1, 0, !%p1;", 32, 32, 32, 0, [](U a, U b, U) { return U{!(a >= b)}; }},
    {"setp.gt.s64 %p0, {c}, 0;\nsetp.ne.and.u32 %p1|%p2, {a}, {b}, !%p0;\nselp.u32 {d}, 1, 0, %p1;\n@%p2 add.u32 {d}, {d}, 2;", 32, 32, 32, 64,
     [](U a, U b, U c) { return U{a != b && s64(c) <= 0} + 2 * U{a == b && s64(c) <= 0}; }},
    {"set.le.u32.s32 {d}, {a}, {b};", 32, 32, 32, 0, [](U a, U b, U) { return s32(a) <= s32(b) ? ~U{0} : 0; }},
    {"slct.b32.s32 {d}, {a}, {b}, {c};", 32, 32, 32, 32, [](U a, U b, U c) { return s32(c) >= 0 ? a : b; }},
    {"mov.b64 {d}, {{a}, {b}};", 64, 32, 32, 0, [](U a, U b, U) { return b << 32 | a; }},
    {"mov.b64 {_, {d}}, {a};", 32, 64, 0, 0, [](U a, U, U) { return a >> 32; }},
    {"cvt.s64.s32 {d}, {a};", 64, 32, 0, 0, [](U a, U, U) { return static_cast<U>(int64_t{s32(a)}); }},
    {"cvt.u32.u16 {d}, {a};", 32, 16, 0, 0, [](U a, U, U) { return a; }},
    {"cvt.s32.s8 {d}, {a};", 32, 32, 0, 0, [](U a, U, U) { return static_cast<U>(static_cast<int8_t>(a)); }},
    {"cvt.sat.u8.s32 {d}, {a};", 32, 32, 0, 0, [](U a, U, U) { return static_cast<U>(std::clamp(s32(a), 0, 255)); }},
    {"cvt.sat.s16.s64 {d}, {a};", 16, 64, 0, 0, [](U a, U, U) { return static_cast<U>(std::clamp<int64_t>(s64(a), -32768, 32767)); }},
};

class Integer : public ::testing::TestWithParam<size_t> {};
TEST_P(Integer, EqualsHost) { runRow(kRows[GetParam()]); }
INSTANTIATE_TEST_SUITE_P(Rows, Integer, ::testing::Range(size_t{0}, std::size(kRows)));

} // namespace
