// Float matrix products by BLAS.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Gemm.h"

#include "Parallel.h"

#include <cblas-openblas.h>

namespace traingpt {

void initializeBlas() { openblas_set_num_threads(1); }

void gemmSerial(int64_t rows, int64_t columns, int64_t depth, ConstMatrix a, ConstMatrix b, float keep, float *c,
                int64_t cPitch) {
  auto order = [](Transpose t) { return t == Transpose::Yes ? CblasTrans : CblasNoTrans; };
  cblas_sgemm(CblasRowMajor, order(a.transpose), order(b.transpose), static_cast<int>(rows), static_cast<int>(columns),
              static_cast<int>(depth), 1.0f, a.data, static_cast<int>(a.pitch), b.data, static_cast<int>(b.pitch), keep,
              c, static_cast<int>(cPitch));
}

void gemm(int64_t rows, int64_t columns, int64_t depth, ConstMatrix a, ConstMatrix b, float keep, float *c,
          int64_t cPitch) {
  // Eight pieces keep a few cores busy; below 64 rows packing the other operand again for each piece costs more than it gains.
  int64_t chunk = std::max<int64_t>(64, (rows / 8 + 15) / 16 * 16);
  parallelChunks(rows, chunk, [&](int64_t begin, int64_t end) {
    ConstMatrix piece = a;
    piece.data += begin * (a.transpose == Transpose::Yes ? 1 : a.pitch);
    gemmSerial(end - begin, columns, depth, piece, b, keep, c + begin * cPitch, cPitch);
  });
}

} // namespace traingpt
