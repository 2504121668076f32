// Float matrix products by BLAS, cut into pieces that do not depend on the number of threads.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_EXAMPLES_TRAIN_GPT_GEMM_H
#define FOURFOLD_EXAMPLES_TRAIN_GPT_GEMM_H

#include <cstdint>

namespace traingpt {

enum class Transpose { No, Yes };

/// A row-major matrix inside a larger one: `pitch` floats from a row to the next.
struct ConstMatrix {
  const float *data;
  int64_t pitch;
  Transpose transpose = Transpose::No;
};

/// c[rows x columns] = a b + keep * c in the calling thread; depth is the contracted size. `a` is rows x depth after its
/// transposition, `b` depth x columns.
void gemmSerial(int64_t rows, int64_t columns, int64_t depth, ConstMatrix a, ConstMatrix b, float keep, float *c,
                int64_t cPitch);

/// The same with the rows of c shared among threads.
void gemm(int64_t rows, int64_t columns, int64_t depth, ConstMatrix a, ConstMatrix b, float keep, float *c,
          int64_t cPitch);

/// Makes BLAS itself run in the calling thread. To be called once, before the first product.
void initializeBlas();

} // namespace traingpt

#endif // FOURFOLD_EXAMPLES_TRAIN_GPT_GEMM_H
