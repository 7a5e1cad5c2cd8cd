"""The peer of train-step.ts: the same transformer in eager PyTorch. Reads lines, answers each with the
seconds of a round of training steps as a JSON list."""

import json
import os
import sys
import time

import torch
import torch.nn.functional as F

size = json.loads(sys.argv[1])
torch.set_num_threads(os.cpu_count() or 1)
D, L, H = size["hiddenSize"], size["numLayers"], size["numHeads"]
MLP, V, T, B = size["intermediateSize"], size["vocabSize"], size["length"], size["batchSize"]
C = D // H
torch.manual_seed(1)


def matrix(rows, columns):
    return torch.nn.Parameter(torch.randn(rows, columns) * 0.02)


def gain(width):
    return torch.nn.Parameter(torch.ones(width))


embedding, final_norm = matrix(V, D), gain(D)
layers = [
    dict(n1=gain(D), n2=gain(D), qn=gain(C), kn=gain(C), q=matrix(D, D), k=matrix(D, D), v=matrix(D, D),
         o=matrix(D, D), gate=matrix(MLP, D), up=matrix(MLP, D), down=matrix(D, MLP))
    for _ in range(L)
]
parameters = [embedding, final_norm] + [p for layer in layers for p in layer.values()]
optimizer = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)

angles = torch.arange(T)[:, None] * (10000.0 ** (-torch.arange(0, C, 2) / C))[None, :]
cosine, sine = torch.cat([angles.cos()] * 2, -1), torch.cat([angles.sin()] * 2, -1)
mask = torch.full((T, T), float("-inf")).triu(1)


def norm(x, weight):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * weight


def rotate(x):
    half = C // 2
    return x * cosine + torch.cat([-x[..., half:], x[..., :half]], -1) * sine


def loss_of(ids, targets):
    x = embedding[ids]
    for p in layers:
        n = norm(x, p["n1"])
        heads = lambda w: (n @ w.t()).view(B, T, H, C)
        q = rotate(norm(heads(p["q"]), p["qn"]).transpose(1, 2))
        k = rotate(norm(heads(p["k"]), p["kn"]).transpose(1, 2))
        v = heads(p["v"]).transpose(1, 2)
        weights = torch.softmax(q @ k.transpose(-1, -2) / C**0.5 + mask, -1)
        x = x + (weights @ v).transpose(1, 2).reshape(B, T, D) @ p["o"].t()
        n = norm(x, p["n2"])
        x = x + (F.silu(n @ p["gate"].t()) * (n @ p["up"].t())) @ p["down"].t()
    return F.cross_entropy((norm(x, final_norm) @ embedding.t()).view(-1, V), targets.view(-1))


ids = torch.tensor([(i * i * 7 + i * 13) % V for i in range(B * T + 1)])
inputs, targets = ids[:-1].view(B, T), ids[1:].view(B, T)
for _ in sys.stdin:
    seconds = []
    for _ in range(size["stepsPerRound"]):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(inputs, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        seconds.append(time.perf_counter() - start)
    print(json.dumps(seconds), flush=True)
