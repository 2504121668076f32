; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
target triple = "nvptx64-nvidia-cuda"
declare {float,float,float,float} @llvm.nvvm.mma.block.scale.m16n8k64.row.col.mxf4nvf4.scale.4x.f32.e2m1.e2m1.f32.ue4m3(i32,i32,i32,i32,i32,i32,float,float,float,float,i32,i16,i16,i32,i16,i16)
declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
define ptx_kernel void @mma4x(ptr addrspace(1) %a, ptr addrspace(1) %b, ptr addrspace(1) %c, ptr addrspace(1) %sa, ptr addrspace(1) %sb, ptr addrspace(1) %d) {
  %t = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %pa = getelementptr [4 x i32], ptr addrspace(1) %a, i32 %t
  %va = load <4 x i32>, ptr addrspace(1) %pa
  %a0 = extractelement <4 x i32> %va, i32 0
  %a1 = extractelement <4 x i32> %va, i32 1
  %a2 = extractelement <4 x i32> %va, i32 2
  %a3 = extractelement <4 x i32> %va, i32 3
  %pb = getelementptr [2 x i32], ptr addrspace(1) %b, i32 %t
  %vb = load <2 x i32>, ptr addrspace(1) %pb
  %b0 = extractelement <2 x i32> %vb, i32 0
  %b1 = extractelement <2 x i32> %vb, i32 1
  %pc = getelementptr [4 x float], ptr addrspace(1) %c, i32 %t
  %vc = load <4 x float>, ptr addrspace(1) %pc
  %c0 = extractelement <4 x float> %vc, i32 0
  %c1 = extractelement <4 x float> %vc, i32 1
  %c2 = extractelement <4 x float> %vc, i32 2
  %c3 = extractelement <4 x float> %vc, i32 3
  %psa = getelementptr i32, ptr addrspace(1) %sa, i32 %t
  %vsa = load i32, ptr addrspace(1) %psa
  %psb = getelementptr i32, ptr addrspace(1) %sb, i32 %t
  %vsb = load i32, ptr addrspace(1) %psb
  %r = call {float,float,float,float} @llvm.nvvm.mma.block.scale.m16n8k64.row.col.mxf4nvf4.scale.4x.f32.e2m1.e2m1.f32.ue4m3(i32 %a0,i32 %a1,i32 %a2,i32 %a3,i32 %b0,i32 %b1,float %c0,float %c1,float %c2,float %c3,i32 %vsa,i16 0,i16 1,i32 %vsb,i16 0,i16 2)
  %d0 = extractvalue {float,float,float,float} %r, 0
  %d1 = extractvalue {float,float,float,float} %r, 1
  %d2 = extractvalue {float,float,float,float} %r, 2
  %d3 = extractvalue {float,float,float,float} %r, 3
  %w0 = insertelement <4 x float> poison, float %d0, i32 0
  %w1 = insertelement <4 x float> %w0, float %d1, i32 1
  %w2 = insertelement <4 x float> %w1, float %d2, i32 2
  %w3 = insertelement <4 x float> %w2, float %d3, i32 3
  %pd = getelementptr [4 x float], ptr addrspace(1) %d, i32 %t
  store <4 x float> %w3, ptr addrspace(1) %pd
  ret void
}
