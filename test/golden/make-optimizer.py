"""Golden numbers for AdamW, by PyTorch in float64: `python3 make-optimizer.py > optimizer.json`.

Ten steps of torch.optim.AdamW with torch.nn.utils.clip_grad_norm_ before each, on given gradients (the loss is
sum(parameter * gradient), so autograd hands them on unchanged). Matrices decay, vectors do not. Gradients are
large at some steps and small at others, so that clipping acts on a part of them. Written with PyTorch 1.13.
"""
import json
import math

import torch

BETA1, BETA2, EPSILON, DECAY, CLIP = 0.9, 0.95, 1e-8, 0.1, 1.0
STEPS = 10
SHAPES = {
    "model.embed_tokens.weight": [5, 3],
    "model.layers.0.mlp.up_proj.weight": [4, 3],
    "model.layers.0.self_attn.q_proj.bias": [4],
    "model.norm.weight": [3],
}
# Warm-up over 3 steps, constant, then down: written out, so that it does not depend on a schedule's code.
RATES = [0.01 * share for share in (1 / 3, 2 / 3, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25)]


def values(number, step, shape, scale):
    size = math.prod(shape)
    data = [scale * math.sin(1 + 3 * number + 1.3 * step + 0.9 * i) for i in range(size)]
    return torch.tensor(data, dtype=torch.float32).to(torch.float64).reshape(shape)


def main():
    initial = {name: values(n, 0, shape, 0.5) for n, (name, shape) in enumerate(SHAPES.items())}
    parameters = {name: value.clone().requires_grad_() for name, value in initial.items()}
    matrices = [p for p in parameters.values() if p.dim() == 2]
    vectors = [p for p in parameters.values() if p.dim() == 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": DECAY}, {"params": vectors, "weight_decay": 0.0}],
        lr=RATES[0], betas=(BETA1, BETA2), eps=EPSILON,
    )
    steps = []
    for step in range(1, STEPS + 1):
        for group in optimizer.param_groups:
            group["lr"] = RATES[step - 1]
        scale = 0.02 if step % 3 == 0 else 0.4
        gradients = {name: values(n, step, shape, scale) for n, (name, shape) in enumerate(SHAPES.items())}
        optimizer.zero_grad()
        loss = sum((parameters[name] * gradients[name]).sum() for name in SHAPES)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(list(parameters.values()), CLIP)
        optimizer.step()
        steps.append({
            "learningRate": RATES[step - 1],
            "gradients": {name: g.flatten().tolist() for name, g in gradients.items()},
            "loss": loss.item(),
            "gradientNorm": norm.item(),
            "parameters": {name: p.detach().flatten().tolist() for name, p in parameters.items()},
        })
    states = {name: optimizer.state[p] for name, p in parameters.items()}
    print(json.dumps({
        "torch": torch.__version__,
        "settings": {"beta1": BETA1, "beta2": BETA2, "epsilon": EPSILON, "weightDecay": DECAY, "clipNorm": CLIP},
        "shapes": SHAPES,
        "initial": {name: p.flatten().tolist() for name, p in initial.items()},
        "steps": steps,
        "first": {name: s["exp_avg"].flatten().tolist() for name, s in states.items()},
        "second": {name: s["exp_avg_sq"].flatten().tolist() for name, s in states.items()},
    }))


main()
