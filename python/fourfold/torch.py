# Linear layers for PyTorch.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""``fourfold.torch.Linear`` stands where ``torch.nn.Linear`` stood; ``replace_linears`` puts it into a model.

CUDA tensors are used where they are, on PyTorch's current stream, without copies (written for that, and not yet run on a GPU). CPU tensors
compute on this machine's processor, or on an emulated device if asked."""

import threading
import weakref
from typing import Callable, Dict, NamedTuple, Optional

import torch

try:
    from torch.optim.optimizer import register_optimizer_step_post_hook as _register
except ImportError:
    _register = None

from . import _torch_engines as engines
from ._errors import InvalidArgumentError
from ._layer import Layer, check_features

__all__ = ["Linear", "load_random_state", "random_state", "replace_linears"]

_FLOATS = (torch.float32, torch.bfloat16, torch.float16)
_outside_compile = getattr(getattr(torch, "compiler", None), "disable", lambda function: function)


# Fused optimizers of PyTorch write weights without counting it as a new version: their steps are counted here. An older PyTorch, which cannot
# say when an optimizer steps, has no cache on GPUs.
_optimizer_steps = 0


def _count_step(*_):
    global _optimizer_steps
    _optimizer_steps += 1


if _register is not None:
    _register(_count_step)


class _Call(NamedTuple):
    """What one forward pass has besides its tensors."""

    engine: "engines.Engine"
    weights: object
    mask: Optional[torch.Tensor]
    seed: torch.Tensor
    offset: torch.Tensor
    result: torch.dtype


class _Product(torch.autograd.Function):
    """y = x w^T + bias for x of tokens x in. The gradient of w goes to main_grad, where the weight has one."""

    @staticmethod
    def forward(ctx, x, weight, bias, call):
        y, ctx.saved = call.engine.forward(call, x, bias)
        ctx.call, ctx.x_dtype = call, x.dtype
        ctx.weight, ctx.bias = weakref.ref(weight), None if bias is None else weakref.ref(bias)
        ctx.dtypes = weight.dtype, None if bias is None else bias.dtype
        return y.to(call.result)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, d):
        want_x, want_w = ctx.needs_input_grad[0], ctx.needs_input_grad[1] or ctx.needs_input_grad[2]
        weight, bias = ctx.weight(), ctx.bias and ctx.bias()
        main = getattr(weight, "main_grad", None) if ctx.needs_input_grad[1] else None
        if main is not None and (main.dtype != torch.float32 or main.shape != weight.shape):
            raise InvalidArgumentError(f"weight.main_grad is {main.dtype} of shape {tuple(main.shape)}, expected torch.float32 of shape "
                                       f"{tuple(weight.shape)}")
        dx, dw, db, added = ctx.call.engine.backward(ctx.call, ctx.saved, d.to(torch.bfloat16), want_x, want_w, main)
        if main is not None:
            if not added:
                main.add_(dw)
            dw = None
            # What Megatron's hooks look at: the gradient is where it belongs, and the returned one is not to be read.
            if hasattr(weight, "grad_added_to_main_grad"):
                weight.grad_added_to_main_grad = True
                dw = torch.empty(weight.shape, dtype=weight.dtype, device=weight.device)
        elif dw is not None:
            dw = dw.to(ctx.dtypes[0]) if ctx.needs_input_grad[1] else None
        bias_main = getattr(bias, "main_grad", None) if ctx.needs_input_grad[2] else None
        if bias_main is not None:
            bias_main.add_(db)
            db = None
        elif db is not None:
            db = db.to(ctx.dtypes[1]) if ctx.needs_input_grad[2] else None
        return None if dx is None else dx.to(ctx.x_dtype), dw, db, None


class Linear(torch.nn.Module):
    """As torch.nn.Linear, its three products with operands in four bits as a recipe says.

    in_features, out_features, bias, device, dtype: as torch.nn.Linear; parameters have its shapes, names and initial values. dtype may be
    float32, bfloat16 or float16; weights and activations are rounded to bf16 before anything else.
    recipe: a name (``fourfold.recipes()``), or the folder of a recipe, with a slash in it.
    backend: for CPU tensors: "host", this machine's processor with the bits of the reference evaluator, or a device such as
    "emulated:sm_120a". CUDA tensors always compute on their own GPU.
    mode: "fast" or "faithful": how GPUs without FP4 tensor cores sum products.
    seed: of the random bits of stochastic rounding; by default drawn from PyTorch's generator, without advancing it.

    ``forward(x, mask=None)``: x is ... x in_features, mask bool of x's shape without its last extent, False for padding, in recipes that
    have means. The result has x's dtype, under autocast autocast's. See docs/python.md for gradients, seeds, caching and copies.

    InvalidArgumentError: a wrong shape, dtype or mask. NotFoundError: no such recipe or device, when the first tensor comes."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True, device=None, dtype=None, *, recipe: str = "averis",
                 backend: str = "host", mode: Optional[str] = None, seed: Optional[int] = None):
        super().__init__()
        check_features(in_features, out_features)
        plain = torch.nn.Linear(in_features, out_features, bias, device=device, dtype=dtype)
        self._init(plain, recipe, backend, mode, seed)

    def _init(self, plain, recipe, backend, mode, seed):
        if plain.weight.dtype not in _FLOATS:
            raise InvalidArgumentError(f"a weight of {plain.weight.dtype}: expected float32, bfloat16 or float16")
        self.in_features, self.out_features = plain.in_features, plain.out_features
        self.recipe, self.backend, self.mode = recipe, backend, mode
        self.weight = plain.weight
        self.register_parameter("bias", plain.bias)
        where = plain.weight.device
        # Not in the state_dict, which stays that of torch.nn.Linear: random_state() has them.
        self.register_buffer("seed", torch.tensor(_draw_seed() if seed is None else seed, dtype=torch.int64, device=where), persistent=False)
        self.register_buffer("offset", torch.zeros((), dtype=torch.int64, device=where), persistent=False)
        self._forget()

    @classmethod
    def from_linear(cls, linear: torch.nn.Linear, *, recipe: str = "averis", backend: str = "host", mode: Optional[str] = None,
                    seed: Optional[int] = None) -> "Linear":
        """One that shares the parameters of a torch.nn.Linear."""
        made = cls.__new__(cls)
        torch.nn.Module.__init__(made)
        made._init(linear, recipe, backend, mode, seed)
        made.train(linear.training)
        return made

    def _forget(self):
        self._cache, self._lock = {}, threading.Lock()

    def weights_changed(self):
        """Has the next forward pass quantize the weight again. Only needed on GPUs, and there only after changes that nobody counts: writes
        through ``weight.data`` or by kernels of other libraries, and an optimizer that is replayed as a CUDA graph. Optimizers of torch.optim
        and their subclasses, ``load_state_dict`` and ``copy_`` under no_grad are seen."""
        with self._lock:
            self._cache.clear()

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}, recipe={self.recipe!r}"

    # Copies compute by themselves: what is loaded and quantized is made anew where they are used.
    def __getstate__(self):
        state = self.__dict__.copy()
        del state["_cache"], state["_lock"]
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        self._forget()

    @_outside_compile
    def forward(self, x: torch.Tensor, mask: Optional[torch.Tensor] = None) -> torch.Tensor:
        result = self._check(x, mask)
        shape = x.shape[:-1]
        flat = x.reshape(-1, self.in_features)
        if flat.shape[0] == 0:
            return torch.nn.functional.linear(x, self.weight.to(x.dtype), None if self.bias is None else self.bias.to(x.dtype)).to(result)
        engine = engines.engine_for(x, self.backend, Layer(self.in_features, self.out_features, self.recipe, self.bias is not None,
                                                           mask is not None, False, self.mode))
        differentiable = torch.is_grad_enabled() and any(
            tensor is not None and tensor.requires_grad for tensor in (x, self.weight, self.bias))
        with self._lock:
            # A copy in stream order: the next pass may advance it before this one's backward pass.
            offset = self.offset.clone()
            if differentiable:
                self.offset.add_(1)
        weights = self._quantized(engine, offset)
        call = _Call(engine, weights, None if mask is None else mask.reshape(-1), self.seed, offset, result)
        return _Product.apply(flat, self.weight, self.bias, call).reshape(*shape, self.out_features)

    def _check(self, x, mask):
        """The dtype of the result, if everything fits."""
        if x.dim() < 1 or x.shape[-1] != self.in_features:
            raise InvalidArgumentError(f"x has shape {tuple(x.shape)}, expected (..., {self.in_features})")
        if x.dtype not in _FLOATS:
            raise InvalidArgumentError(f"x has dtype {x.dtype}, expected float32, bfloat16 or float16")
        for name, tensor in (("weight", self.weight), ("bias", self.bias), ("seed", self.seed), ("offset", self.offset)):
            if tensor is not None and tensor.device != x.device:
                raise InvalidArgumentError(f"x is on {x.device}, {name} on {tensor.device}: move the module or x")
        if type(self.weight) not in (torch.Tensor, torch.nn.Parameter):
            raise InvalidArgumentError(f"the weight is a {type(self.weight).__name__}; this layer computes on plain tensors")
        if mask is not None and (mask.shape != x.shape[:-1] or mask.dtype not in (torch.bool, torch.int8) or mask.device != x.device):
            raise InvalidArgumentError(f"mask is {mask.dtype} of shape {tuple(mask.shape)} on {mask.device}, expected torch.bool of shape "
                                       f"{tuple(x.shape[:-1])} on {x.device}")
        return engines.autocast_dtype(x.device.type) or x.dtype

    def _quantized(self, engine, offset):
        """The quantized weight: of this version of the weight, made once."""
        weight = self.weight
        try:
            version = (weight._version, weight.data_ptr(), _optimizer_steps if engine.counts_steps else 0)
        except RuntimeError:  # tensors of inference mode have no version
            version = None
        if version is None or engine.counts_steps and _register is None or engine.capturing():
            # A graph is replayed after the weight has changed: its quantization belongs into the graph.
            return engine.quantize(weight.detach(), self.seed, offset)
        with self._lock:
            found = self._cache.get(engine)
            if found is None or found[0] != version or not engine.same(found[1], weight.detach()):
                # Passes under way keep what they began with: nothing is overwritten.
                found = self._cache[engine] = (version, engine.quantize(weight.detach(), self.seed, offset))
        engine.use(found[1])
        return found[1]


def _draw_seed() -> int:
    # Initial values of a model must not depend on which of its layers are in four bits: the generator's state is put back.
    state = torch.get_rng_state()
    seed = int(torch.randint(0, 2**62, (), dtype=torch.int64))
    torch.set_rng_state(state)
    return seed


def replace_linears(model: torch.nn.Module, recipe: str = "averis", *, backend: str = "host", mode: Optional[str] = None,
                    only: Callable[[str, torch.nn.Linear], bool] = lambda name, linear: True, seed: Optional[int] = None) -> Dict[str, Linear]:
    """Puts a Linear that shares its parameters in the place of each torch.nn.Linear (not of subclasses) of a model for which
    ``only(name, linear)`` is true: keep embeddings' heads and the like in high precision. Returns the new layers by name. Each gets a seed of
    its own, counted from ``seed``. Parameters stay the same objects, so that optimizers can be made before or after."""
    first = _draw_seed() if seed is None else seed
    found = {name: module for name, module in model.named_modules() if type(module) is torch.nn.Linear and name and only(name, module)}
    made = {}
    for number, (name, linear) in enumerate(found.items()):
        parent, _, own = name.rpartition(".")
        made[name] = Linear.from_linear(linear, recipe=recipe, backend=backend, mode=mode, seed=(first + number) % 2**63)
        setattr(model.get_submodule(parent), own, made[name])
    return made


def random_state(model: torch.nn.Module) -> Dict[str, "tuple[int, int]"]:
    """Seeds and offsets of a model's layers by name: with the state_dict, what a checkpoint needs to go on with the same bits."""
    return {name: (int(module.seed), int(module.offset)) for name, module in model.named_modules() if isinstance(module, Linear)}


def load_random_state(model: torch.nn.Module, state: Dict[str, "tuple[int, int]"]):
    """Puts back what ``random_state`` gave. InvalidArgumentError: the model's layers have other names."""
    layers = {name: module for name, module in model.named_modules() if isinstance(module, Linear)}
    if set(layers) != set(state):
        raise InvalidArgumentError(f"the random state is of the layers {', '.join(sorted(state))}, the model has {', '.join(sorted(layers))}")
    for name, (seed, offset) in state.items():
        layers[name].seed.fill_(seed)
        layers[name].offset.fill_(offset)
