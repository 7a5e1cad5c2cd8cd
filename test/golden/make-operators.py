"""Golden numbers for the operator table, by PyTorch in float64: `python3 make-operators.py > operators.json`.

For every case: inputs x_i, y = f(x), the gradients g_i of sum(y * c) with c_j = cos(0.3 + 0.9 j), and the
second-order gradients h_i of sum over i of sum(g_i * d_i) with d_ij = cos(1.1 + 0.4 j + i). A case that stops
at the first derivative, or has none, says so. Written with PyTorch 1.13; any later version gives the same.
"""
import json
import math

import torch
import torch.nn.functional as F

F64 = torch.float64


def wave(number, shape, scale=1.5, shift=0.0):
    size = math.prod(shape)
    values = [shift + scale * math.sin(0.1 + number + 0.7 * i) for i in range(size)]
    return torch.tensor(values, dtype=torch.float32).to(F64).reshape(shape)


def x(number, *shape):
    """Smooth values of both signs."""
    return wave(number, shape)


def p(number, *shape):
    """Positive values, away from zero."""
    return wave(number, shape, 0.9, 1.4)


def f(values, *shape):
    """Chosen values, for ties and kinks."""
    return torch.tensor(values, dtype=F64).reshape(shape)


def ids(values, *shape):
    return torch.tensor(values, dtype=torch.int64).reshape(shape)


def flags(values, *shape):
    return torch.tensor(values, dtype=torch.bool).reshape(shape)


def rms_norm(a, w, eps=1e-6):
    return a * torch.rsqrt((a * a).mean(-1, keepdim=True) + eps) * w


def layer_norm(a, w, b):
    return F.layer_norm(a, a.shape[-1:], w, b, 1e-5)


def rotate(a, positions, cos_table, sin_table):
    half = a.shape[-1] // 2
    c = cos_table[positions][:, None]
    s = sin_table[positions][:, None]
    first, second = a[..., :half], a[..., half:]
    return torch.cat([first * c - second * s, second * c + first * s], -1)


def causal_conv(a, w):
    width = w.shape[1]
    return F.conv1d(F.pad(a.transpose(1, 2), (width - 1, 0)), w[:, None], groups=w.shape[0]).transpose(1, 2)


def scatter(base, index, updates, axis):
    return base.scatter_add(axis, index, updates)


T2 = (x(0, 3, 4), x(1, 3, 4))
ANGLES = torch.arange(12, dtype=F64).reshape(6, 2) * 0.37
COS, SIN = ANGLES.cos(), ANGLES.sin()
POSITIONS = ids([0, 1, 2, 3, 2, 3, 4, 5], 2, 4)
REPEATED = ids([1, 3, 1, 0, 1, 3], 2, 3)

# name: (function, inputs[, orders of derivatives: 2 unless said])
CASES = {
    "neg": (lambda a: -a, [x(0, 3, 4)]),
    "exp": (torch.exp, [x(0, 3, 4)]),
    "log": (torch.log, [p(0, 3, 4)]),
    "sqrt": (torch.sqrt, [p(0, 3, 4)]),
    "reciprocal": (torch.reciprocal, [p(0, 3, 4)]),
    "reciprocal.negative": (torch.reciprocal, [-p(2, 5)]),
    "abs": (torch.abs, [x(0, 3, 4)], 1),
    "abs.zero": (torch.abs, [f([-2, 0, 3], 3)], 1),
    "sign": (torch.sign, [f([-2, -0.25, 0, 0.5, 3], 5)], 0),
    "floor": (torch.floor, [f([-2, -0.25, 0, 0.5, 3.99], 5)], 0),
    "sin": (torch.sin, [x(0, 3, 4)]),
    "cos": (torch.cos, [x(0, 3, 4)]),
    "tanh": (torch.tanh, [x(0, 3, 4)]),
    "tanh.saturated": (torch.tanh, [f([-30, -4, 4, 30], 4)]),
    "sigmoid": (torch.sigmoid, [x(0, 3, 4)]),
    "sigmoid.saturated": (torch.sigmoid, [f([-60, -5, 5, 60], 4)]),
    "relu": (torch.relu, [x(0, 3, 4)], 1),
    "relu.zero": (torch.relu, [f([-2, 0, 3], 3)], 1),
    "erf": (torch.erf, [x(0, 3, 4)]),
    "softplus": (F.softplus, [x(0, 3, 4)]),
    "softplus.far": (lambda a: torch.logaddexp(a, torch.zeros_like(a)), [f([-40, -12, 12, 90], 4)]),
    "silu": (F.silu, [x(0, 3, 4)]),
    "silu.far": (F.silu, [f([-40, -6, 6, 40], 4)]),
    "gelu": (F.gelu, [x(0, 3, 4)]),
    "cast.half": (lambda a: a.to(torch.float16).to(F64), [f([0.5, -1.25, 3, 1000], 4)], 0),
    "cast.integer": (lambda a: a.to(torch.int32), [f([0.5, -1.25, 3, 1000.75], 4)], 0),
    "cast.fromInteger": (lambda a: a.to(F64), [ids([4, -3, 0, 7], 4)], 0),
    "cast.fromBool": (lambda a: a.to(F64), [flags([1, 0, 0, 1], 4)], 0),
    "stopGradient": (lambda a: a * a.detach(), [x(0, 3, 4)], 1),
    "input.output": (lambda a: a + 0, [x(0, 3)], 1),
    "constant": (lambda a: a * f([1, 2, 3], 3), [x(0, 2, 3)], 1),
    "constant.large": (lambda a: a + 0.25 * torch.ones(40, 30, dtype=F64)[:2, :3], [x(0, 2, 3)], 1),
    "add": (torch.add, list(T2)),
    "add.row": (lambda a, b: (a + b) * a, [x(0, 3, 4), x(1, 4)]),
    "add.column": (lambda a, b: (a + b) * b, [x(0, 3, 4), x(1, 3, 1)]),
    "add.scalar": (lambda a, b: (a + b) * b, [x(0, 3, 4), x(1)]),
    "add.outer": (lambda a, b: (a + b) * a, [x(0, 3, 1), x(1, 2, 1, 4)]),
    "sub": (lambda a, b: (a - b) * b, list(T2)),
    "sub.outer": (lambda a, b: (a - b) * a, [x(0, 3, 1), x(1, 2, 1, 4)]),
    "mul": (torch.mul, list(T2)),
    "mul.row": (torch.mul, [x(0, 2, 3, 4), x(1, 4)]),
    "mul.middle": (torch.mul, [x(0, 2, 1, 4), x(1, 3, 1)]),
    "mul.self": (lambda a: a * a, [x(0, 3, 4)]),
    "div": (torch.div, [x(0, 3, 4), p(1, 3, 4)]),
    "div.row": (torch.div, [x(0, 3, 4), p(1, 4)]),
    "div.column": (torch.div, [x(0, 1, 4), -p(1, 3, 1)]),
    "pow": (torch.pow, [p(0, 3, 4), x(1, 3, 4)]),
    "pow.row": (torch.pow, [p(0, 3, 4), x(1, 4)]),
    "pow.constant": (lambda a: a ** 3, [x(0, 3, 4)]),
    "maximum": (torch.maximum, list(T2), 1),
    "maximum.row": (torch.maximum, [x(0, 3, 4), x(1, 4)], 1),
    "maximum.tie": (torch.maximum, [f([1, 2, 3], 3), f([1, 3, 2], 3)], 1),
    "minimum": (torch.minimum, list(T2), 1),
    "minimum.column": (torch.minimum, [x(0, 3, 4), x(1, 3, 1)], 1),
    "minimum.tie": (torch.minimum, [f([1, 2, 3], 3), f([1, 3, 2], 3)], 1),
    "where": (lambda c, a, b: torch.where(c, a * b, b), [flags([1, 0, 0, 1] * 3, 3, 4), *T2]),
    "where.broadcast": (
        lambda c, a, b: torch.where(c, a, b) ** 2,
        [flags([1, 0, 1], 3, 1), x(0, 4), x(1, 2, 1, 1)],
    ),
    "equal": (torch.eq, [ids([1, 2, 3], 3), ids([1, 5, 3], 3)], 0),
    "equal.float": (torch.eq, [f([1, 2, 3], 3), f([1], 1)], 0),
    "less": (torch.lt, [f([1, 2, 3], 3), f([2], 1)], 0),
    "greater": (torch.gt, [f([1, 2, 3], 3), f([2], 1)], 0),
    "lessEqual": (torch.le, [f([1, 2, 3], 3), f([2], 1)], 0),
    "greaterEqual": (torch.ge, [f([1, 2, 3], 3), f([2], 1)], 0),
    "and": (torch.logical_and, [flags([1, 1, 0, 0], 4), flags([1, 0, 1, 0], 4)], 0),
    "or": (torch.logical_or, [flags([1, 1, 0, 0], 4), flags([1, 0, 1, 0], 4)], 0),
    "not": (torch.logical_not, [flags([1, 0], 2)], 0),
    "reshape": (lambda a: a.reshape(2, 6) ** 2, [x(0, 3, 4)]),
    "reshape.inferred": (lambda a: a.reshape(2, -1, 2) ** 2, [x(0, 3, 4)]),
    "reshape.scalar": (lambda a: a.reshape(()) ** 2, [x(0, 1, 1)]),
    "transpose": (lambda a: a.transpose(0, 1) ** 2, [x(0, 3, 4)]),
    "transpose.order": (lambda a: a.permute(2, 0, 1) ** 2, [x(0, 2, 3, 4)]),
    "transpose.four": (lambda a: a.permute(0, 2, 1, 3) ** 2, [x(0, 2, 2, 3, 2)]),
    "broadcastTo": (lambda a: a.expand(2, 3, 4) ** 2, [x(0, 3, 1)]),
    "broadcastTo.scalar": (lambda a: a.expand(2, 3) ** 2, [x(0)]),
    "slice": (lambda a: a[:, 1:3] ** 2, [x(0, 3, 4)]),
    "slice.negative": (lambda a: a[-2:] ** 2, [x(0, 3, 4)]),
    "slice.overlapping": (lambda a: a[:, :3] * a[:, 1:], [x(0, 3, 4)]),
    "pad": (lambda a: F.pad(a, (0, 0, 2, 1)) ** 2, [x(0, 3, 4)]),
    "pad.last": (lambda a: F.pad(a, (1, 0)) ** 2, [x(0, 3, 4)]),
    "flip": (lambda a: a.flip(1) * a, [x(0, 3, 4)]),
    "flip.first": (lambda a: a.flip(0) * a, [x(0, 3, 4)]),
    "concat": (lambda a, b: torch.cat([a, b], 0) ** 2, [x(0, 2, 3), x(1, 1, 3)]),
    "concat.three": (lambda a, b: torch.cat([a, b, a * b], -1) ** 2, [x(0, 2, 3), x(1, 2, 3)]),
    "split": (lambda a: a[:, :1] * a[:, 1:], [x(0, 3, 4)]),
    "stack": (lambda a, b: torch.stack([a, b], 1) ** 2, [x(0, 2, 3), x(1, 2, 3)]),
    "stack.last": (lambda a, b: torch.stack([a, b], -1) ** 2, [x(0, 2, 3), x(1, 2, 3)]),
    "sum": (lambda a: (a * a).sum(), [x(0, 3, 4)]),
    "sum.axis": (lambda a: a.sum(1) ** 2, [x(0, 2, 3, 4)]),
    "sum.keepDims": (lambda a: a.sum(-1, keepdim=True) ** 2, [x(0, 2, 3, 4)]),
    "sum.axes": (lambda a: a.sum((0, 2)) ** 2, [x(0, 2, 3, 4)]),
    "sum.axesKept": (lambda a: a.sum((0, 2), keepdim=True) ** 2, [x(0, 2, 3, 4)]),
    "sum.none": (lambda a: a ** 2, [x(0, 2, 3)]),
    "mean": (lambda a: a.mean((1, 2)) ** 2, [x(0, 2, 3, 4)]),
    "max": (lambda a: a.max() ** 2, [x(0, 3, 4)]),
    "max.axis": (lambda a: a.amax(1) ** 2, [x(0, 2, 3, 4)]),
    "max.axesKept": (lambda a: a.amax((0, 2), keepdim=True) ** 2, [x(0, 2, 3, 4)]),
    "max.tie": (lambda a: a.amax(1), [f([3, 1, 3, 0, 2, 2], 2, 3)], 1),
    "min": (lambda a: a.min() ** 2, [x(0, 3, 4)]),
    "min.axis": (lambda a: a.amin(-1) ** 2, [x(0, 2, 3, 4)]),
    "min.tie": (lambda a: a.amin(1), [f([1, 3, 1, 2, 2, 4], 2, 3)], 1),
    "argmax": (lambda a: a.argmax(-1), [x(0, 3, 4)], 0),
    "argmax.first": (lambda a: a.argmax(0), [f([1, 5, 5, 1, 5, 2], 3, 2)], 0),
    "cumsum": (lambda a: a.cumsum(1) ** 2, [x(0, 3, 4)]),
    "cumsum.reverse": (lambda a: a.flip(0).cumsum(0).flip(0) ** 2, [x(0, 3, 4)]),
    "matmul": (torch.matmul, [x(0, 2, 3), x(1, 3, 4)]),
    "matmul.a": (lambda a, b: a.mT @ b, [x(0, 3, 2), x(1, 3, 4)]),
    "matmul.b": (lambda a, b: a @ b.mT, [x(0, 2, 3), x(1, 4, 3)]),
    "matmul.ab": (lambda a, b: a.mT @ b.mT, [x(0, 3, 2), x(1, 4, 3)]),
    "matmul.batch": (torch.matmul, [x(0, 2, 2, 3), x(1, 2, 3, 4)]),
    "matmul.batch.a": (lambda a, b: a.mT @ b, [x(0, 2, 3, 2), x(1, 2, 3, 4)]),
    "matmul.batch.b": (lambda a, b: a @ b.mT, [x(0, 2, 2, 3), x(1, 2, 4, 3)]),
    "matmul.batch.ab": (lambda a, b: a.mT @ b.mT, [x(0, 2, 3, 2), x(1, 2, 4, 3)]),
    "matmul.four": (lambda a, b: a @ b.mT, [x(0, 2, 2, 2, 3), x(1, 2, 2, 2, 3)]),
    "matmul.shared": (torch.matmul, [x(0, 2, 2, 3), x(1, 3, 4)]),
    "matmul.shared.b": (lambda a, b: a @ b.mT, [x(0, 2, 2, 3), x(1, 4, 3)]),
    "matmul.shared.a": (lambda a, b: a.mT @ b, [x(0, 2, 3, 2), x(1, 3, 4)]),
    "matmul.shared.ab": (lambda a, b: a.mT @ b.mT, [x(0, 2, 3, 2), x(1, 4, 3)]),
    "matmul.left": (torch.matmul, [x(0, 2, 3), x(1, 2, 3, 4)]),
    "matmul.left.ab": (lambda a, b: a.mT @ b.mT, [x(0, 3, 2), x(1, 2, 4, 3)]),
    "matmul.broadcast": (torch.matmul, [x(0, 2, 1, 2, 3), x(1, 3, 3, 2)]),
    "matmul.broadcast.b": (lambda a, b: a @ b.mT, [x(0, 2, 1, 2, 3), x(1, 3, 2, 3)]),
    "matmul.broadcast.a": (lambda a, b: a.mT @ b, [x(0, 1, 3, 2), x(1, 2, 3, 2)]),
    "take": (lambda a, i: a[i] ** 2, [x(0, 5, 2), REPEATED]),
    "take.vector": (lambda a, i: a[i] ** 2, [x(0, 5), ids([4, 4, 0], 3)]),
    "take.axis": (lambda a, i: a[:, i] ** 2, [x(0, 2, 5, 2), REPEATED]),
    "take.one": (lambda a, i: a[i] ** 2, [x(0, 5, 2), ids([3])]),
    "takeAlong": (lambda a, i: a.gather(1, i) ** 2, [x(0, 2, 4), REPEATED]),
    "takeAlong.first": (lambda a, i: a.gather(0, i) ** 2, [x(0, 4, 2), ids([3, 0, 0, 2, 3, 1], 3, 2)]),
    "scatterAdd": (
        lambda b, i, u: scatter(b, i, u, 0) ** 2,
        [x(0, 4, 2), ids([1, 1, 1, 3, 1, 1], 3, 2), x(1, 3, 2)],
    ),
    "scatterAdd.last": (lambda b, i, u: scatter(b, i, u, 1) ** 2, [x(0, 2, 4), REPEATED, x(1, 2, 3)]),
    "topK": (lambda a: a.topk(2).values ** 2, [x(0, 3, 4)]),
    "topK.indices": (lambda a: a.topk(3).indices, [x(0, 3, 4)], 0),
    "softmax": (lambda a: a.softmax(-1), [x(0, 3, 4)]),
    "softmax.first": (lambda a: a.softmax(0), [x(0, 3, 4)]),
    "softmax.middle": (lambda a: a.softmax(1), [x(0, 2, 3, 2)]),
    "softmax.far": (lambda a: a.softmax(-1), [f([1000, 999, -1000, 0, 0, 0], 2, 3)], 1),
    "logSoftmax": (lambda a: a.log_softmax(-1), [x(0, 3, 4)]),
    "logSoftmax.first": (lambda a: a.log_softmax(0), [x(0, 3, 4)]),
    "logSoftmax.far": (lambda a: a.log_softmax(-1), [f([1000, 999, -1000, 0, 0, 0], 2, 3)], 1),
    "crossEntropy": (lambda a, t: F.cross_entropy(a, t, reduction="none"), [x(0, 3, 4), ids([2, 0, 2], 3)]),
    "rmsNorm": (rms_norm, [x(0, 3, 4), x(1, 4)]),
    "rmsNorm.three": (rms_norm, [x(0, 2, 3, 4), x(1, 4)]),
    "rmsNorm.epsilon": (lambda a, w: rms_norm(a, w, 0.1), [x(0, 3, 4), x(1, 4)]),
    "rotary": (lambda a: rotate(a, POSITIONS, COS, SIN) ** 2, [x(0, 2, 2, 4, 4)]),
    "rotateHalves": (
        lambda a, c, s: torch.cat([a[..., :2] * c - a[..., 2:] * s, a[..., 2:] * c + a[..., :2] * s], -1),
        [x(0, 3, 4), x(1, 3, 2), x(2, 3, 2)],
    ),
    "remat": (lambda a, w: torch.sin(a @ w) ** 2, [x(0, 3, 2), x(1, 2, 2)]),
    "remat.captured": (lambda a, w: torch.exp(torch.sin(a * w) * w), [x(0, 3, 4), x(1, 4)]),
    "square": (lambda a: a * a, [x(0, 3)]),
    "rsqrt": (torch.rsqrt, [p(0, 3)]),
    "logSigmoid": (F.logsigmoid, [x(0, 5)]),
    "logSumExp": (lambda a: a.logsumexp(-1), [x(0, 3, 4)]),
    "logSumExp.first": (lambda a: a.logsumexp(0, keepdim=True), [x(0, 3, 4)]),
    "layerNorm": (layer_norm, [x(0, 3, 4), x(1, 4), x(2, 4)]),
    "weightedMean": (lambda a, w: (a * a * w).sum() / w.sum(), [x(0, 3, 4), p(1, 3, 4)]),
    "oneHot": (lambda i: F.one_hot(i, 4).to(F64), [ids([2, 0, 3, 2], 2, 2)], 0),
    "tril": (lambda a: (a * a).tril(-1), [x(0, 2, 3, 3)]),
    "triu": (lambda a: (a * a).triu(1), [x(0, 3, 4)]),
    "linear": (F.linear, [x(0, 2, 3, 4), x(1, 2, 4), x(2, 2)]),
    "causalConv": (causal_conv, [x(0, 2, 5, 2), x(1, 2, 3)]),
    "einsum": (lambda a, b: torch.einsum("bthd,bshd->bhts", a, b), [x(0, 1, 2, 2, 3), x(1, 1, 3, 2, 3)]),
    "einsum.transposed": (lambda a, b: torch.einsum("ij,kj->ki", a, b), [x(0, 2, 3), x(1, 4, 3)]),
}


def numbers(tensor):
    if tensor.dtype.is_floating_point:
        return [float(f"{v:.9g}") for v in tensor.detach().reshape(-1).tolist()]
    return [int(v) for v in tensor.reshape(-1).tolist()]


def entry(tensor):
    kind = "float32" if tensor.dtype.is_floating_point else "bool" if tensor.dtype == torch.bool else "int"
    return {"dtype": kind, "shape": list(tensor.shape), "data": numbers(tensor)}


def ramp(offset, step, tensor):
    return torch.cos(offset + step * torch.arange(tensor.numel(), dtype=F64)).reshape(tensor.shape)


def gradients(total, inputs):
    if not total.requires_grad:
        return [torch.zeros_like(a) for a in inputs]
    found = torch.autograd.grad(total, inputs, create_graph=True, allow_unused=True)
    return [torch.zeros_like(a) if g is None else g for a, g in zip(inputs, found)]


def run(function, inputs, orders=2):
    inputs = [a.clone().requires_grad_() if a.dtype == F64 and orders else a for a in inputs]
    y = function(*inputs)
    result = {"inputs": [entry(a) for a in inputs], "value": entry(y)}
    trained = [a for a in inputs if a.dtype == F64]
    if orders >= 1:
        first = gradients((y * ramp(0.3, 0.9, y)).sum(), trained)
        result["first"] = [numbers(g) for g in first]
    if orders >= 2:
        total = sum((g * ramp(1.1 + i, 0.4, g)).sum() for i, g in enumerate(first))
        result["second"] = [numbers(g) for g in gradients(total, trained)]
    return result


print("{\n" + ",\n".join(f'"{name}": {json.dumps(run(*case), separators=(",", ":"))}' for name, case in CASES.items()) + "\n}")
