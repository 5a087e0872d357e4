"""Lets other tools judge what `safesail sae convert` writes.

    v/bin/python scripts/golden/check_exports.py bin/safesail     (v: see dialects.py)

Each case of tests/data/dialects is converted to each format. sae_lens, sparsify and dictionary_learning load
their own; Safe-SAIL's, Qwen-Scope's and Gemma Scope's files are read by torch.load(weights_only=True) and
numpy and used by their formulas. Values and reconstructions must be those of expected.safetensors. Cases that
read before a norm's weight come with a model that has that weight. What SAELens knows of an SAE after loading it
must be where the SAE belongs.
"""

import collections
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import dialects
import numpy as np
import torch
from safetensors.torch import load_file, save_file

K = dialects.K


def from_torch(path):
    return {k: v.double() for k, v in torch.load(path, weights_only=True).items()}


def fire(pre, threshold):
    """The K largest where there are no thresholds."""
    if threshold is not None:
        return torch.where((pre > threshold) & (pre > 0), pre, 0)
    values, indices = pre.topk(K, dim=1)
    return torch.zeros_like(pre).scatter(1, indices, values.relu())


def safe_sail(path, x):
    t = from_torch(path)
    pre = (x - t["pre_encoder_bias._bias_reference"]) @ t["encoder.weight"][0].T + t["encoder.bias"]
    return fire(pre, t.get("encoder.theta")), None


def qwen_scope(path, x):
    t = from_torch(path)
    codes = fire(x @ t["W_enc"].T + t["b_enc"], None)
    return codes, codes @ t["W_dec"].T + t["b_dec"]


def gemma_scope(path, x):
    t = {k: torch.tensor(v).double() for k, v in np.load(path, allow_pickle=False).items()}
    codes = fire(x @ t["W_enc"] + t["b_enc"], t["threshold"])
    return codes, codes @ t["W_dec"] + t["b_dec"]


def openmoss(path, x):
    t = {k: v.double() for k, v in load_file(path / "sae_weights.safetensors").items()}
    config = json.loads((path / "config.json").read_text())
    assert config["norm_activation"] == "inference" and int(config["d_model"] * config["expansion_factor"]) == len(t["b_E"])
    threshold = t.get("activation_function.log_jumprelu_threshold")
    pre = x @ t["W_E"] + t["b_E"]
    codes = fire(pre, None if config["act_fn"] == "topk" else 0 if threshold is None else threshold.exp())
    return codes, codes @ t["W_D"] + t["b_D"]


def tool(judge):
    return lambda path, x: judge(path)(x.float())


HOOKS = {"resid_pre": "hook_resid_pre", "resid_post": "hook_resid_post", "mlp_in": "mlp.hook_in",
         "mlp_out": "hook_mlp_out", "mlp_post": "hook_mlp_out"}


def check_metadata(path, case):
    """SAELens rewrites metadata that it takes for those of an older version, and loses the hook."""
    from sae_lens import SAE

    metadata = SAE.load_from_disk(path, device="cpu").cfg.metadata
    kind, _, layer = case["site"].partition(".")
    want = f"blocks.{layer}.{HOOKS[kind]}" if case["site"] else ""
    assert metadata.hook_name == want, (case["name"], metadata.hook_name, want)
    assert "prepend_bos" in metadata, case["name"]


def model_with(gain, folder):
    """A model of which only its config and the norms before its MLPs are there."""
    folder.mkdir()
    layers = 16
    config = {"model_type": "llama", "hidden_size": len(gain), "intermediate_size": 8, "num_hidden_layers": layers,
              "num_attention_heads": 1, "num_key_value_heads": 1, "vocab_size": 16, "max_position_embeddings": 64,
              "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": False}
    (folder / "config.json").write_text(json.dumps(config))
    save_file({f"model.layers.{n}.post_attention_layernorm.weight": gain.clone() for n in range(layers)},
              folder / "model.safetensors")
    return folder


def dictionary_learning(path, x):
    name = json.loads((path / "config.json").read_text())["trainer"]["dict_class"]
    if name == "MatryoshkaBatchTopKSAE":  # its own loader expects another constructor
        t = from_torch(path / "ae.pt")
        codes = fire((x - t["b_dec"]) @ t["W_enc"] + t["b_enc"], t["threshold"])
        return codes, codes @ t["W_dec"] + t["b_dec"]
    return dialects.dictionary_learning_judge(path / "ae.pt", name)(x.float())


JUDGES = {
    "safe-sail": (".pt", safe_sail), "qwen-scope": (".pt", qwen_scope), "gemma-scope": (".npz", gemma_scope),
    "openmoss": ("", openmoss), "dictionary_learning": ("", dictionary_learning),
    "saelens": ("", tool(dialects.saelens_judge)), "sparsify": ("", tool(dialects.sparsify_judge)),
}


def main():
    program = sys.argv[1]
    expected = load_file(dialects.OUT / "expected.safetensors")
    counts = collections.Counter()
    with tempfile.TemporaryDirectory() as scratch:
        for case in json.loads((dialects.OUT / "cases.json").read_text()):
            for to, (suffix, judge) in JUDGES.items():
                out = Path(scratch) / f"{case['name']}_{to}{suffix}"
                command = [program, "-q", "sae", "convert", "--in", dialects.OUT / case["path"], "--to", to, "--out", out]
                if "k" in case:
                    command += ["--k", str(case["k"])]
                if "input_scale" in case:
                    command += ["--input-scale", repr(case["input_scale"])]
                if "gain" in case:
                    model = Path(scratch) / f"{case['name']}_model"
                    command += ["--model", model if model.exists() else model_with(expected[f"{case['name']}.gain"], model)]
                done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
                if done.returncode != 0:
                    assert done.returncode == 2 and re.search(r"that the format can hold, got ", done.stderr), done.stderr
                    counts[to, "refused"] += 1
                    continue
                x = expected[f"{case['name']}.x"].double()
                codes, xhat = judge(out, x)
                if to == "saelens":
                    check_metadata(out, case)
                for got, key in ((codes, "codes"), (xhat, "xhat")):
                    want = expected.get(f"{case['name']}.{key}")
                    if got is not None and want is not None:
                        np.testing.assert_allclose(got.detach().double(), want, rtol=1e-4, atol=1e-4,
                                                   err_msg=f"{case['name']} as {to}: {key}")
                counts[to, "agreed"] += 1
    for (to, what), n in sorted(counts.items()):
        print(f"{to:20} {what:8} {n}")


if __name__ == "__main__":
    main()
