# The C interface of libfourfold.so for ctypes: structs and prototypes, as fourfold/c/*.h have them.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""tests/python/abi_tests.py compares this file with the headers."""

import ctypes
from ctypes import POINTER, c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p

ReduceHook = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, c_uint64, c_uint64, c_int)


class _Sized(ctypes.Structure):
    """A struct that begins with its own size."""

    def __init__(self, **values):
        super().__init__(structSize=ctypes.sizeof(type(self)), **values)


class LinearDescriptor(_Sized):
    _fields_ = [("structSize", c_size_t), ("inFeatures", c_int64), ("outFeatures", c_int64), ("recipe", c_char_p), ("hasBias", c_int32),
                ("hasMask", c_int32), ("accumulate", c_int32), ("reduceHook", ReduceHook), ("reduceUser", c_void_p), ("mode", c_char_p)]


class LinearTensors(_Sized):
    _fields_ = [("structSize", c_size_t)] + [(name, c_uint64) for name in (
        "x", "w", "bias", "mask", "y", "d", "dx", "dw", "db", "seed", "offset", "weights", "saved", "gradient", "workspace")]


class LinearSizes(_Sized):
    _fields_ = [("structSize", c_size_t), ("weightsBytes", c_uint64), ("savedBytes", c_uint64), ("gradientBytes", c_uint64),
                ("workspaceBytes", c_uint64), ("activationBytesBF16", c_uint64), ("forwardReadsW", c_int32), ("backwardReadsX", c_int32),
                ("backwardReadsW", c_int32)]


class SpecDescriptor(_Sized):
    _fields_ = [("structSize", c_size_t), ("text", c_char_p), ("fileName", c_char_p), ("function", c_char_p), ("absent", POINTER(c_char_p)),
                ("absentCount", c_size_t), ("mode", c_char_p)]


class Parameter(_Sized):
    _fields_ = [("structSize", c_size_t), ("name", c_char_p), ("elementType", c_int32), ("rank", c_int32), ("extents", POINTER(c_char_p))]


class Shape(ctypes.Structure):
    _fields_ = [("rank", c_int32), ("extents", POINTER(c_int64))]


class Tensor(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("elementType", c_int32), ("rank", c_int32), ("extents", POINTER(c_int64)), ("data", c_void_p)]


class BindingSizes(_Sized):
    _fields_ = [("structSize", c_size_t), ("workspaceBytes", c_uint64), ("weightsBytes", c_uint64), ("savedBytes", c_uint64),
                ("gradientBytes", c_uint64)]


class LaunchBuffers(_Sized):
    _fields_ = [("structSize", c_size_t), ("inputs", POINTER(c_uint64)), ("inputCount", c_size_t), ("outputs", POINTER(c_uint64)),
                ("outputCount", c_size_t), ("workspace", c_uint64), ("stream", c_void_p), ("weights", c_uint64), ("saved", c_uint64),
                ("gradient", c_uint64), ("reduceHook", ReduceHook), ("reduceUser", c_void_p)]


# Handles are void pointers. "code": the call returns a FourfoldCode, and what it returns is checked.
CODE = "code"
_H, _HP = c_void_p, POINTER(c_void_p)
_DESCRIPTOR, _TENSORS = POINTER(LinearDescriptor), POINTER(LinearTensors)
_ARRAY = POINTER(Tensor)

PROTOTYPES = {
    # device.h
    "fourfoldLastMessage": (c_char_p, []),
    "fourfoldVersion": (c_char_p, []),
    "fourfoldTextData": (c_char_p, [_H]),
    "fourfoldTextDestroy": (None, [_H]),
    "fourfoldDeviceOpen": (CODE, [c_char_p, _HP]),
    "fourfoldDeviceClose": (None, [_H]),
    "fourfoldDeviceName": (c_char_p, [_H]),
    "fourfoldDeviceDescription": (c_char_p, [_H]),
    "fourfoldDeviceTarget": (c_char_p, [_H]),
    "fourfoldDeviceList": (CODE, [_HP]),
    "fourfoldAllocate": (CODE, [_H, c_uint64, POINTER(c_uint64)]),
    "fourfoldFree": (CODE, [_H, c_uint64]),
    "fourfoldCopyIn": (CODE, [_H, c_uint64, c_void_p, c_uint64, c_void_p]),
    "fourfoldCopyOut": (CODE, [_H, c_void_p, c_uint64, c_uint64, c_void_p]),
    "fourfoldClear": (CODE, [_H, c_uint64, c_uint64, c_void_p]),
    "fourfoldSynchronize": (CODE, [_H, c_void_p]),
    # linear.h
    "fourfoldRecipeList": (CODE, [_HP]),
    "fourfoldLinearCreate": (CODE, [_H, _DESCRIPTOR, _HP]),
    "fourfoldLinearCreateFromPack": (CODE, [_H, c_char_p, c_char_p, _DESCRIPTOR, _HP]),
    "fourfoldLinearDestroy": (None, [_H]),
    "fourfoldLinearPrepare": (CODE, [_H, c_int64, _HP]),
    "fourfoldLinearPlanRelease": (None, [_H]),
    "fourfoldLinearPlanSizes": (CODE, [_H, POINTER(LinearSizes)]),
    "fourfoldLinearWeightsBytes": (c_uint64, [_H]),
    "fourfoldLinearQuantizeWeights": (CODE, [_H, c_void_p, _TENSORS]),
    "fourfoldLinearForward": (CODE, [_H, _H, c_void_p, _TENSORS]),
    "fourfoldLinearPrepareGradient": (CODE, [_H, _H, c_void_p, _TENSORS]),
    "fourfoldLinearDgrad": (CODE, [_H, _H, c_void_p, _TENSORS]),
    "fourfoldLinearWgrad": (CODE, [_H, _H, c_void_p, _TENSORS, c_int32]),
    "fourfoldLinearBackward": (CODE, [_H, _H, c_void_p, _TENSORS, c_int32]),
    "fourfoldLinearAdvanceOffset": (CODE, [_H, c_void_p, c_uint64, c_uint64]),
    # spec.h
    "fourfoldSpecCompile": (CODE, [_H, POINTER(SpecDescriptor), _HP, _HP]),
    "fourfoldSpecLoad": (CODE, [_H, c_char_p, c_char_p, _HP]),
    "fourfoldSpecDestroy": (None, [_H]),
    "fourfoldSpecEmit": (CODE, [POINTER(SpecDescriptor), c_char_p, c_char_p, _HP]),
    "fourfoldSpecInputCount": (c_size_t, [_H]),
    "fourfoldSpecOutputCount": (c_size_t, [_H]),
    "fourfoldSpecInput": (CODE, [_H, c_size_t, POINTER(Parameter)]),
    "fourfoldSpecOutput": (CODE, [_H, c_size_t, POINTER(Parameter)]),
    "fourfoldSpecPhaseCount": (c_size_t, [_H]),
    "fourfoldSpecPhaseName": (c_char_p, [_H, c_size_t]),
    "fourfoldSpecPhaseUsesInput": (c_int32, [_H, c_size_t, c_size_t]),
    "fourfoldSpecPhaseUsesOutput": (c_int32, [_H, c_size_t, c_size_t]),
    "fourfoldSpecBind": (CODE, [_H, POINTER(Shape), c_size_t, _HP]),
    "fourfoldBindingRelease": (None, [_H]),
    "fourfoldBindingSizes": (CODE, [_H, POINTER(BindingSizes)]),
    "fourfoldBindingInputBytes": (c_uint64, [_H, c_size_t]),
    "fourfoldBindingOutputBytes": (c_uint64, [_H, c_size_t]),
    "fourfoldBindingOutputShape": (CODE, [_H, c_size_t, POINTER(Shape)]),
    "fourfoldSpecLaunch": (CODE, [_H, _H, POINTER(LaunchBuffers)]),
    "fourfoldSpecLaunchPhase": (CODE, [_H, _H, c_size_t, POINTER(LaunchBuffers)]),
    "fourfoldSpecRun": (CODE, [_H, _ARRAY, c_size_t, _HP]),
    "fourfoldSpecEvaluate": (CODE, [POINTER(SpecDescriptor), _ARRAY, c_size_t, _HP]),
    "fourfoldTensorsCount": (c_size_t, [_H]),
    "fourfoldTensorsGet": (CODE, [_H, c_size_t, _ARRAY]),
    "fourfoldTensorsDestroy": (None, [_H]),
    # host.h
    "fourfoldHostPrepare": (CODE, [POINTER(SpecDescriptor), _HP]),
    "fourfoldHostPrepareLinear": (CODE, [_DESCRIPTOR, _HP]),
    "fourfoldHostDestroy": (None, [_H]),
    "fourfoldHostInputCount": (c_size_t, [_H]),
    "fourfoldHostInputName": (c_char_p, [_H, c_size_t]),
    "fourfoldHostResultCount": (c_size_t, [_H]),
    "fourfoldHostResultName": (c_char_p, [_H, c_size_t]),
    "fourfoldHostPhaseCount": (c_size_t, [_H]),
    "fourfoldHostPhaseName": (c_char_p, [_H, c_size_t]),
    "fourfoldHostRun": (CODE, [_H, _ARRAY, c_size_t, _HP]),
    "fourfoldHostStateCreate": (CODE, [_H, _H, _HP]),
    "fourfoldHostStateDestroy": (None, [_H]),
    "fourfoldHostStateRun": (CODE, [_H, c_uint32, _ARRAY, c_size_t, _ARRAY, c_size_t]),
    "fourfoldHostStateBytes": (c_uint64, [_H]),
}
