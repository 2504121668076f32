// Functions for epilogues: GELU by the error function, the activation of linear_gelu.mlir, and a gate.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

extern "C" __device__ float gelu(float x) { return 0.5f * x * (1.0f + erff(0.70710678f * x)); }

/// Values that are small against the threshold are dropped; `keep` turns that off.
extern "C" __device__ float gate(float x, float threshold, int keep) {
  return keep || fabsf(x) >= threshold ? x : 0.0f;
}
