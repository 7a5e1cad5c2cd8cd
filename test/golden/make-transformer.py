"""Tiny random models as Hugging Face folders, and what they compute: `python3 make-transformer.py`.

A second implementation of Llama, Qwen2 and Qwen3 from their published equations, in PyTorch at float64, one
token after the other in plain loops over heads, with nothing of the code under test. It writes
../fixtures/models/NAME/ (config.json, weights) and transformer.json:

  greedy    prompts and the tokens that the argmax gives, no cache; `gap` is the smallest distance between the
            best and the second logit on the way, so that rounding cannot change a token
  logits    of every position of the first prompt and its continuation
  training  loss (mean over counted targets) of a batch; gradients of all parameters by autograd stand in
            NAME.gradients.safetensors beside the folders

Equations: RMSNorm, Zhang and Sennrich 2019; RoPE, Su et al. 2021, rotating halves; grouped queries, Ainslie et
al. 2023; SwiGLU, Shazeer 2020; QK-norm per head before RoPE, Qwen3 report 2025; frequencies of Llama 3.1 in the
wavelength form. Made with PyTorch 1.13 and NumPy 1.24.
"""
import json
import math
import os
import struct

import torch

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDERS = os.path.join(HERE, "..", "fixtures", "models")
F64 = torch.float64
DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
DTYPE_WORDS = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}


def config(model_type, **keys):
    base = {
        "architectures": [{"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM"}[model_type]],
        "model_type": model_type, "hidden_size": 32, "intermediate_size": 56, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 96, "hidden_act": "silu",
        "max_position_embeddings": 128, "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "rope_scaling": None,
        "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2, "initializer_range": 0.02,
        "use_cache": True, "transformers_version": "4.57.0",
    }
    base.update(keys)
    return base


MODELS = {
    # Llama: tied, two queries a key head, float32.
    "llama-tied": dict(dtype="F32", shards=1, train=False, config=config("llama", tie_word_embeddings=True, rms_norm_eps=1e-5)),
    # Llama 3.1: scaled frequencies, biases everywhere, heads wider than hidden / heads, bfloat16.
    "llama3-biases": dict(dtype="BF16", shards=1, train=True, config=config(
        "llama", head_dim=12, attention_bias=True, mlp_bias=True, rope_theta=500000.0, num_key_value_heads=1,
        rope_scaling={"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                      "original_max_position_embeddings": 32})),
    # Qwen2: biases on q, k and v only; as many key heads as heads; half precision.
    "qwen2": dict(dtype="F16", shards=1, train=False, config=config("qwen2", num_key_value_heads=4, rope_theta=1000000.0)),
    # Qwen3: QK-norm, tied, heads wider than hidden / heads, float32.
    "qwen3-tied": dict(dtype="F32", shards=1, train=True, config=config(
        "qwen3", head_dim=16, tie_word_embeddings=True, rope_theta=1000000.0)),
    # Qwen3: untied, three layers, one key head, two bfloat16 shards with an index.
    "qwen3-sharded": dict(dtype="BF16", shards=2, train=False, config=config(
        "qwen3", head_dim=8, num_hidden_layers=3, num_key_value_heads=1, num_attention_heads=3)),
}


def head_dim(c):
    return c.get("head_dim") or c["hidden_size"] // c["num_attention_heads"]


def shapes(c):
    D, F, V = c["hidden_size"], c["intermediate_size"], c["vocab_size"]
    H, K, C = c["num_attention_heads"], c["num_key_value_heads"], head_dim(c)
    qkv_bias = c["model_type"] == "qwen2" or c.get("attention_bias", False)
    out = {"model.embed_tokens.weight": (V, D)}
    for layer in range(c["num_hidden_layers"]):
        p = f"model.layers.{layer}."
        out[p + "input_layernorm.weight"] = (D,)
        out[p + "post_attention_layernorm.weight"] = (D,)
        for name, rows, cols, bias in [
            ("self_attn.q_proj", H * C, D, qkv_bias), ("self_attn.k_proj", K * C, D, qkv_bias),
            ("self_attn.v_proj", K * C, D, qkv_bias), ("self_attn.o_proj", D, H * C, c.get("attention_bias", False)),
            ("mlp.gate_proj", F, D, c.get("mlp_bias", False)), ("mlp.up_proj", F, D, c.get("mlp_bias", False)),
            ("mlp.down_proj", D, F, c.get("mlp_bias", False)),
        ]:
            out[p + name + ".weight"] = (rows, cols)
            if bias:
                out[p + name + ".bias"] = (rows,)
        if c["model_type"] == "qwen3":
            out[p + "self_attn.q_norm.weight"] = (C,)
            out[p + "self_attn.k_norm.weight"] = (C,)
    out["model.norm.weight"] = (D,)
    if not c["tie_word_embeddings"]:
        out["lm_head.weight"] = (V, D)
    return out


def frequencies(c):
    C, scaling = head_dim(c), c["rope_scaling"]
    result = []
    for i in range(C // 2):
        f = c["rope_theta"] ** (-2.0 * i / C)
        if scaling is not None:
            wavelength = 2 * math.pi / f
            original, factor = scaling["original_max_position_embeddings"], scaling["factor"]
            low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
            if wavelength > original / low:
                f = f / factor
            elif wavelength > original / high:
                smooth = (original / wavelength - low) / (high - low)
                f = (1 - smooth) * f / factor + smooth * f
        result.append(f)
    return result


def rms_norm(x, weight, eps):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + eps) * weight


def rotate(x, positions, freqs):
    """x [T, C]: dimension i and i + C/2 turn by position * frequency i."""
    half = x.shape[-1] // 2
    angle = positions[:, None] * torch.tensor(freqs, dtype=F64)[None, :]
    cos, sin = torch.cos(angle), torch.sin(angle)
    a, b = x[:, :half], x[:, half:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


def forward(w, c, tokens):
    """Logits [T, V] of one sequence."""
    H, K, C, eps = c["num_attention_heads"], c["num_key_value_heads"], head_dim(c), c["rms_norm_eps"]
    T = len(tokens)
    positions = torch.arange(T, dtype=F64)
    freqs = frequencies(c)
    future = torch.triu(torch.ones(T, T, dtype=torch.bool), 1)

    def linear(x, name):
        y = x @ w[name + ".weight"].T
        return y + w[name + ".bias"] if name + ".bias" in w else y

    x = w["model.embed_tokens.weight"][torch.tensor(tokens)]
    for layer in range(c["num_hidden_layers"]):
        p = f"model.layers.{layer}."
        n = rms_norm(x, w[p + "input_layernorm.weight"], eps)
        q, k, v = (linear(n, p + f"self_attn.{name}_proj") for name in "qkv")
        heads = []
        for h in range(H):
            g = h * K // H
            qh, kh, vh = q[:, h * C:(h + 1) * C], k[:, g * C:(g + 1) * C], v[:, g * C:(g + 1) * C]
            if c["model_type"] == "qwen3":
                qh = rms_norm(qh, w[p + "self_attn.q_norm.weight"], eps)
                kh = rms_norm(kh, w[p + "self_attn.k_norm.weight"], eps)
            scores = rotate(qh, positions, freqs) @ rotate(kh, positions, freqs).T / math.sqrt(C)
            heads.append(torch.softmax(scores.masked_fill(future, float("-inf")), dim=-1) @ vh)
        x = x + linear(torch.cat(heads, dim=-1), p + "self_attn.o_proj")
        n = rms_norm(x, w[p + "post_attention_layernorm.weight"], eps)
        gate = linear(n, p + "mlp.gate_proj")
        x = x + linear(gate * torch.sigmoid(gate) * linear(n, p + "mlp.up_proj"), p + "mlp.down_proj")
    x = rms_norm(x, w["model.norm.weight"], eps)
    return x @ w["model.embed_tokens.weight" if c["tie_word_embeddings"] else "lm_head.weight"].T


def random_weights(c, dtype, seed):
    generator = torch.Generator().manual_seed(seed)
    result = {}
    for name, shape in shapes(c).items():
        noise = torch.randn(shape, generator=generator, dtype=torch.float32)
        if name.endswith("norm.weight"):
            value = 1 + 0.2 * noise
        elif name.endswith(".bias"):
            value = 0.3 * noise
        elif name == "model.embed_tokens.weight":
            value = noise
        else:
            value = noise * (1.6 / math.sqrt(shape[1]))
        result[name] = value.to(DTYPES[dtype])
    return result


def greedy(w, c, prompt, count):
    tokens, gap = list(prompt), float("inf")
    with torch.no_grad():
        for _ in range(count):
            top = torch.topk(forward(w, c, tokens)[-1], 2)
            gap = min(gap, float(top.values[0] - top.values[1]))
            tokens.append(int(top.indices[0]))
    return tokens[len(prompt):], gap


def write_safetensors(path, tensors):
    """tensors: name -> torch tensor; the format's 8-byte length, JSON header, then data."""
    words = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, tensor in tensors.items():
        flat = tensor.detach().contiguous()
        raw = (flat if flat.dtype == torch.float32 else flat.view(torch.int16)).numpy().tobytes()
        header[name] = {"dtype": words[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def write_json(path, value):
    with open(path, "w") as file:
        json.dump(value, file, indent=2)
        file.write("\n")


def write_folder(name, c, dtype, shards, stored):
    folder = os.path.join(FOLDERS, name)
    os.makedirs(folder, exist_ok=True)
    write_json(os.path.join(folder, "config.json"), {**c, "torch_dtype": DTYPE_WORDS[dtype]})
    write_json(os.path.join(folder, "generation_config.json"), {"bos_token_id": 1, "eos_token_id": [2, 5], "do_sample": False})
    if shards == 1:
        write_safetensors(os.path.join(folder, "model.safetensors"), stored)
        return
    names, weight_map, total = list(stored), {}, 0
    for shard in range(shards):
        file = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        part = {n: stored[n] for n in names[shard::shards]}
        write_safetensors(os.path.join(folder, file), part)
        for n, tensor in part.items():
            weight_map[n] = file
            total += tensor.numel() * tensor.element_size()
    write_json(os.path.join(folder, "model.safetensors.index.json"), {"metadata": {"total_size": total}, "weight_map": weight_map})


def prompt_of(length, number, vocab):
    return [int(3 + (7 + 13 * number + 29 * i + i * i * 5) % (vocab - 3)) for i in range(length)]


def training(c, stored):
    """Mean loss over counted targets of rows [2, 12], and every gradient."""
    w = {n: t.to(F64).requires_grad_() for n, t in stored.items()}
    rows, mask = [prompt_of(13, 40 + r, c["vocab_size"]) for r in range(2)], [[1] * 12, [0] * 5 + [1] * 7]
    total = 0.0
    for row, counted in zip(rows, mask):
        log_p = torch.log_softmax(forward(w, c, row[:-1]), dim=-1)
        for t, counts in enumerate(counted):
            if counts:
                total = total - log_p[t, row[t + 1]]
    loss = total / sum(map(sum, mask))
    loss.backward()
    return float(loss), rows, mask, {n: t.grad.to(torch.float32) for n, t in w.items()}


result = {}
for name, model in MODELS.items():
    c, dtype = model["config"], model["dtype"]
    prompts = [prompt_of(length, n, c["vocab_size"]) for n, length in enumerate([9, 1, 2, 21, 40])]
    for seed in range(1000):
        stored = random_weights(c, dtype, seed)
        w = {n: t.to(F64) for n, t in stored.items()}
        runs = []
        for prompt in prompts:
            tokens, gap = greedy(w, c, prompt, 24)
            runs.append({"prompt": prompt, "tokens": tokens, "gap": round(gap, 4)})
            if gap < 0.02 or len(set(tokens)) < 6:
                break
        if len(runs) == len(prompts) and min(r["gap"] for r in runs) >= 0.02 and min(len(set(r["tokens"])) for r in runs) >= 6:
            break
    else:
        raise SystemExit(f"{name}: no seed keeps the best two logits apart")
    write_folder(name, c, dtype, model["shards"], stored)
    with torch.no_grad():
        full = forward(w, c, runs[0]["prompt"] + runs[0]["tokens"])
    entry = {"dtype": dtype, "seed": seed, "greedy": runs,
             "logits": [[round(float(x), 5) for x in row] for row in full]}
    if model["train"]:
        loss, rows, mask, gradients = training(c, stored)
        write_safetensors(os.path.join(FOLDERS, f"{name}.gradients.safetensors"), gradients)
        entry["training"] = {"rows": rows, "mask": mask, "loss": loss}
    result[name] = entry
    print(name, "seed", seed, "gap", min(r["gap"] for r in runs), [len(set(r["tokens"])) for r in runs])
with open(os.path.join(HERE, "transformer.json"), "w") as file:
    json.dump(result, file, separators=(",", ":"))
    file.write("\n")
