// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
func.func @ops(%x: tensor<?x?xbf16>, %m: tensor<?xi8> {fp4.optional}, %seed: tensor<i64>, %offset: tensor<i64>) -> (tensor<?xf32>, tensor<?x?xf32>) {
  %mu, %xr = fp4.center %x : tensor<?x?xbf16> -> tensor<?xf32>, tensor<?x?xf32>
  %s = fp4.block_scale %xr mxfp4 block = 1x32 axis = 0 : tensor<?x?xf32> -> tensor<?x?xf8E8M0FNU>
  return %mu, %xr : tensor<?xf32>, tensor<?x?xf32>
}
