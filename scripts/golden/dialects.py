"""Makes tests/data/dialects/: tiny SAEs in other tools' own formats, and what they compute.

    python -m venv v && v/bin/pip install torch==2.13.0 numpy safetensors sae-lens eai-sparsify dictionary-learning
    v/bin/python scripts/golden/dialects.py

Each case is a checkpoint written with torch.save, safetensors or numpy, exactly as its tool lays it out.
expected.safetensors holds for each case activations x, all features' values (dense) and the
reconstruction, by the tool's documented semantics in f64; where the tool is installed (sae_lens 6.54.12,
sparsify 1.3.3, dictionary_learning 0.1.0), its own loader reads the files and must agree. cases.json names
the cases. The other direction is check_exports.py.
"""

import json
import math
import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import torch
import torch_files
from safetensors.torch import save_file

OUT = Path(__file__).resolve().parents[2] / "tests/data/dialects"
D, F, N, K = 8, 24, 12, 5
os.environ["SPARSIFY_DISABLE_TRITON"] = "1"  # no GPU is needed
warnings.filterwarnings("ignore")
rng = np.random.default_rng(1)
gains = np.random.default_rng(2)
cases, expected, judges = [], {}, {}


def normal(*shape, scale=1.0):
    return rng.standard_normal(shape) * scale


def weights(d_out=D, unit=False):
    """W [F, D], b [F], Wd [F, d_out], bd [d_out], in f32 and then f64 so that files hold them exactly."""
    dec = normal(F, d_out)
    dec /= np.linalg.norm(dec, axis=1, keepdims=True)
    if not unit:
        dec *= rng.uniform(0.5, 2, (F, 1))
    parts = [normal(F, D, scale=0.6), normal(F, scale=0.3), dec, normal(d_out, scale=0.5)]
    return [p.astype(np.float32).astype(np.float64) for p in parts]


def tensor(a, dtype=torch.float32):
    return torch.tensor(np.asarray(a), dtype=dtype).contiguous()


def top_k(pre, k):
    keep = np.argsort(-pre, axis=1, kind="stable")[:, :k]
    codes = np.zeros_like(pre)
    np.put_along_axis(codes, keep, np.take_along_axis(np.maximum(pre, 0), keep, 1), 1)
    gap = np.sort(pre, 1)[:, ::-1]
    assert (gap[:, k - 1] - gap[:, k]).min() > 2e-5, "a tie: choose another seed"
    return codes


def above(pre, threshold):
    cut = np.maximum(threshold, 0)
    assert np.abs(pre - cut).min() > 5e-6, "on the threshold: choose another seed"
    return np.where(pre > cut, pre, 0)


def case(name, path, x, codes, xhat, judge=None, gain=None, **options):
    """`judge(x) -> (codes, xhat)` by the tool itself; either may be None. `gain`: the tool reads what a norm
    computes before its weight, which `gain` is; the x of the file is the norm's output."""
    expected[f"{name}.x"], expected[f"{name}.codes"] = tensor(x if gain is None else x * gain), tensor(codes)
    if gain is not None:
        expected[f"{name}.gain"] = tensor(gain)
        options["gain"] = True
    if xhat is not None:
        expected[f"{name}.xhat"] = tensor(xhat)
    assert (codes > 0).sum() > 0, name
    if judge is not None:
        by_codes, by_xhat = judge(tensor(x))
        for ours, theirs in ((codes, by_codes), (xhat, by_xhat)):
            if theirs is not None:
                np.testing.assert_allclose(theirs.detach().double().numpy(), ours, rtol=3e-5, atol=3e-5, err_msg=name)
        judges[name] = judge.__name__
    cases.append({"name": name, "path": path, "encoder_only": xhat is None, **options})


def folder(path):
    target = OUT / path
    target.mkdir(parents=True, exist_ok=True)
    return target


def norm_gain():
    """A norm's weight: some of it small, some negative."""
    return (gains.choice([-1, 1], D) * gains.uniform(0.2, 3, D)).astype(np.float32).astype(np.float64)


def inputs(scale=1.5, centre=0.0):
    return (normal(N, D, scale=scale) + centre).astype(np.float32).astype(np.float64)


# The tools, where they are installed.


def saelens_judge(path):
    try:
        from sae_lens import SAE
    except ImportError:
        return None

    def sae_lens(x):
        sae = SAE.load_from_disk(path, device="cpu")
        return sae.encode(x), (sae.forward(x) if "transcoder" in sae.cfg.architecture() else sae.decode(sae.encode(x)))

    return sae_lens


def sparsify_judge(path):
    try:
        from sparsify import SparseCoder
    except ImportError:
        return None

    def sparsify(x):
        coder = SparseCoder.load_from_disk(path).float()
        out = coder.encode(x)
        dense = torch.zeros(len(x), F).scatter(1, out.top_indices.long(), out.top_acts)
        y = coder.decode(out.top_acts, out.top_indices)
        return dense, y + (x @ coder.W_skip.T if coder.W_skip is not None else 0)

    return sparsify


def dictionary_learning_judge(path, name):
    try:
        from dictionary_learning import dictionary
        from dictionary_learning.trainers import batch_top_k, matryoshka_batch_top_k, top_k as tk
    except ImportError:
        return None
    modules = (dictionary, tk, batch_top_k, matryoshka_batch_top_k)
    cls = next(getattr(m, name) for m in modules if hasattr(m, name))

    def dictionary_learning(x):
        ae = cls.from_pretrained(path)
        if name == "AutoEncoderNew":  # its decode() takes the values before they are multiplied
            xhat, codes = ae(x, output_features=True)
            return codes, xhat
        codes = ae.encode(x)
        return codes, ae.decode(codes)

    return dictionary_learning


# Safe-SAIL and Qwen-Scope.


def safe_sail():
    for kind in ("topk", "jumprelu"):
        w, b, _, centre = weights()
        x = inputs()
        pre = (x - centre) @ w.T + b
        state = {"pre_encoder_bias._bias_reference": tensor(centre[None]), "encoder.weight": tensor(w[None]),
                 "encoder.bias": tensor(b[None])}
        codes = top_k(pre, K)
        if kind == "jumprelu":
            theta = rng.uniform(0.1, 0.8, F).astype(np.float32).astype(np.float64)
            state["encoder.theta"] = tensor(theta[None])
            codes = above(pre, theta)
        path = f"safe_sail/{kind}/ckpt_layer17.pt"
        folder(f"safe_sail/{kind}")
        torch.save(state, OUT / path)
        case(f"safe_sail_{kind}", path, x, codes, None, format="safe-sail", site="mlp_out.17", k=K)


def qwen_scope():
    w, b, dec, bd = weights()
    x = inputs()
    codes = top_k(x @ w.T + b, K)  # b_dec is not subtracted
    folder("SAE-Res-Tiny-L0_5")
    path = "SAE-Res-Tiny-L0_5/layer3.sae.pt"
    state = {"W_enc": tensor(w), "W_dec": tensor(dec.T), "b_enc": tensor(b), "b_dec": tensor(bd)}
    torch.save(state, OUT / path)
    case("qwen_scope", path, x, codes, codes @ dec + bd, format="qwen-scope", site="resid_post.3")


# SAELens.


def saelens(name, tensors, config, x, codes, xhat, judged=True, **options):
    target = folder(f"saelens/{name}")
    save_file(tensors, target / "sae_weights.safetensors")
    (target / "cfg.json").write_text(json.dumps(config))
    case(f"saelens_{name}", f"saelens/{name}", x, codes, xhat, saelens_judge(target) if judged else None,
         format="saelens", **options)


def saelens_config(architecture, **more):
    metadata = {"sae_lens_version": "6.18.0", "model_name": "tiny", "hook_name": "blocks.3.hook_mlp_out",
                "hook_head_index": None, "context_size": 128, "prepend_bos": True}
    return {"architecture": architecture, "d_in": D, "d_sae": F, "dtype": "float32", "device": "cpu",
            "apply_b_dec_to_input": True, "normalize_activations": "none", "reshape_activations": "none",
            "metadata": metadata, **more}


def saelens_cases():
    base = lambda w, b, dec, bd: {"W_enc": tensor(w.T), "b_enc": tensor(b), "W_dec": tensor(dec), "b_dec": tensor(bd)}
    site = {"site": "mlp_out.3"}

    w, b, dec, bd = weights()
    x = inputs()
    pre = (x - bd) @ w.T + b
    codes = above(pre, 0)
    saelens("standard", base(w, b, dec, bd), saelens_config("standard"), x, codes, codes @ dec + bd, **site)
    codes = top_k(pre, K)
    saelens("topk", base(w, b, dec, bd), saelens_config("topk", k=K), x, codes, codes @ dec + bd, **site)
    norms = np.linalg.norm(dec, axis=1)
    codes = top_k(pre * norms, K)
    saelens("topk_rescaled", base(w, b, dec, bd), saelens_config("topk", k=K, rescale_acts_by_decoder_norm=True),
            x, codes, (codes / norms) @ dec + bd, **site)

    pre = x @ w.T + b  # apply_b_dec_to_input: false
    theta = rng.uniform(0.1, 0.8, F).astype(np.float32).astype(np.float64)
    codes = above(pre, theta)
    saelens("jumprelu", {**base(w, b, dec, bd), "threshold": tensor(theta)},
            saelens_config("jumprelu", apply_b_dec_to_input=False), x, codes, codes @ dec + bd, **site)
    # What SAELens exports a BatchTopK as: unit decoder rows, one threshold.
    w1, b1, dec1, bd1 = weights(unit=True)
    codes = above((x - bd1) @ w1.T + b1, 0.7)
    saelens("batchtopk_exported", {**base(w1, b1, dec1, bd1), "threshold": tensor(np.full(F, 0.7))},
            saelens_config("jumprelu", dtype="torch.float32"), x, codes, codes @ dec1 + bd1, **site)
    # A training checkpoint of the same kind holds topk_threshold in f64 and compares rescaled values.
    pre = ((x - bd) @ w.T + b) * norms
    codes = above(pre, 0.7)
    saelens("batchtopk_training",
            {**base(w, b, dec, bd), "topk_threshold": torch.tensor(0.7, dtype=torch.float64)},
            saelens_config("batchtopk", k=K, rescale_acts_by_decoder_norm=True), x, codes,
            (codes / norms) @ dec + bd, judged=False, **site)

    r_mag, b_gate, b_mag = (normal(F, scale=s).astype(np.float32).astype(np.float64) for s in (0.3, 0.3, 0.3))
    product = (x - bd) @ w.T
    codes = np.where(product + b_gate > 0, np.maximum(product * np.exp(r_mag) + b_mag, 0), 0)
    gated = base(w, b, dec, bd)
    del gated["b_enc"]
    gated |= {"r_mag": tensor(r_mag), "b_gate": tensor(b_gate), "b_mag": tensor(b_mag)}
    saelens("gated", gated, saelens_config("gated"), x, codes, codes @ dec + bd, **site)

    # Transcoders: the decoder has another width.
    d_out = 6
    w, b, dec, bd = weights(d_out)
    skip = normal(d_out, D).astype(np.float32).astype(np.float64)
    pre = x @ w.T + b
    for name, parts, cut, extra in (
        ("transcoder", {}, 0, 0),
        ("skip_transcoder", {"W_skip": tensor(skip)}, 0, x @ skip.T),
        ("jumprelu_transcoder", {"threshold": tensor(theta)}, theta, 0),
        ("jumprelu_skip_transcoder", {"threshold": tensor(theta), "W_skip": tensor(skip)}, theta, x @ skip.T),
    ):
        config = saelens_config(name, d_out=d_out, apply_b_dec_to_input=False)
        config["metadata"] = {**config["metadata"], "hook_name": "blocks.3.ln2.hook_normalized",
                              "hook_name_out": "blocks.3.hook_mlp_out"}
        codes = above(pre, cut)
        saelens(name, {**base(w, b, dec, bd), **parts}, config, x, codes, codes @ dec + bd + extra, site="mlp_in.3",
                gain=norm_gain())

    # Normalised activations: b_dec is subtracted after them, and the output goes back.
    w, b, dec, bd = weights()
    s = 0.37
    codes = above((x * s - bd) @ w.T + b, 0)
    saelens("normalized", base(w, b, dec, bd),
            saelens_config("standard", normalize_activations="expected_average_only_in"), x, codes,
            (codes @ dec + bd) / s, judged=False, input_scale=s, **site)
    # What SAELens folds that into.
    codes = above((x - bd / s) @ (w.T * s) + b, 0)
    saelens("folded", {"W_enc": tensor(w.T * s), "b_enc": tensor(b), "W_dec": tensor(dec / s), "b_dec": tensor(bd / s)},
            saelens_config("standard"), x, codes, (codes @ dec + bd) / s, **site)

    # Before version 6: flat keys, older names, booleans, and factors from finetuning.
    old = {"d_in": D, "d_sae": F, "dtype": "torch.float32", "device": "cpu", "model_name": "tiny",
           "hook_point": "blocks.3.hook_mlp_out", "activation_fn_str": "topk", "activation_fn_kwargs": {"k": K},
           "apply_b_dec_to_input": True, "normalize_activations": False, "finetuning_scaling_factor": False,
           "prepend_bos": True, "context_size": 128, "dataset_path": "text"}
    codes = top_k((x - bd) @ w.T + b, K)
    saelens("old_topk", base(w, b, dec, bd), old, x, codes, codes @ dec + bd, judged=False, **site)
    factors = rng.uniform(0.8, 1.2, F).astype(np.float32).astype(np.float64)
    codes = above((x - bd) @ w.T + b, 0)
    saelens("old_finetuned", {**base(w, b, dec, bd), "scaling_factor": tensor(factors)},
            {**old, "activation_fn_str": "relu", "activation_fn_kwargs": {}, "finetuning_scaling_factor": True},
            x, codes, (codes * factors) @ dec + bd, judged=False, **site)


# sparsify.


def sparsify_cases():
    for name, dtype, transcode, skip, latents in (
        ("f32", torch.float32, False, False, F), ("bf16", torch.bfloat16, False, False, F),
        ("f16", torch.float16, False, False, F), ("no_num_latents", torch.float32, False, False, 0),
        ("transcode", torch.float32, True, False, F), ("transcode_skip", torch.float32, True, True, F),
        ("encoder_only", torch.float32, False, False, F),
    ):
        w, b, dec, bd = weights()
        skip_w = normal(D, D)
        rounded = lambda a: tensor(a).to(dtype).double().numpy()
        w, b, dec, bd, skip_w = (rounded(a) for a in (w, b, dec, bd, skip_w))
        x = inputs()
        codes = top_k((x if transcode else x - bd) @ w.T + b, K)
        path = f"sparsify/{name}/layers.3.mlp"
        state = {"encoder.weight": tensor(w, dtype), "encoder.bias": tensor(b, dtype), "b_dec": tensor(bd, dtype),
                 "W_dec": tensor(dec, dtype)}
        if skip:
            state["W_skip"] = tensor(skip_w, dtype)
        xhat = codes @ dec + bd + (x @ skip_w.T if skip else 0)
        if name == "encoder_only":
            del state["W_dec"]
            xhat = None
        target = folder(path)
        save_file(state, target / "sae.safetensors")
        config = {"activation": "topk", "expansion_factor": F // D, "normalize_decoder": True, "num_latents": latents,
                  "k": K, "multi_topk": False, "skip_connection": skip, "transcode": transcode, "d_in": D}
        if name == "f16":  # old files lack these two
            del config["activation"], config["transcode"]
            config["signed"] = False
        (target / "cfg.json").write_text(json.dumps(config))
        case(f"sparsify_{name}", path, x, codes, xhat, sparsify_judge(target) if xhat is not None else None,
             format="sparsify", site="mlp_in.3" if transcode else "mlp_out.3")


# dictionary_learning.


def dictionary_learning(name, cls, state, x, codes, xhat, config=True, judged=True, nested=None):
    target = folder(f"dictionary_learning/{name}")
    torch.save(nested if nested is not None else state, target / "ae.pt")
    if config:
        trainer = {"trainer_class": "SomeTrainer", "dict_class": cls, "activation_dim": D, "dict_size": F, "k": K,
                   "layer": 3, "lm_name": "tiny", "submodule_name": "resid_post_layer_3"}
        (target / "config.json").write_text(json.dumps({"trainer": trainer, "buffer": {"ctx_len": 128, "io": "out"}}))
    case(f"dictionary_learning_{name}", f"dictionary_learning/{name}", x, codes, xhat,
         dictionary_learning_judge(target / "ae.pt", cls) if judged else None, format="dictionary_learning",
         site="resid_post.3" if config else "")


def dictionary_learning_cases():
    x = inputs()
    scalar = lambda v, t: torch.tensor(v, dtype=t)
    linear = lambda w, b, dec: {"encoder.weight": tensor(w), "encoder.bias": tensor(b), "decoder.weight": tensor(dec.T)}

    # The loader makes decoder rows unit vectors, and values grow by their norms.
    for name, unit, config in (("autoencoder", False, True), ("autoencoder_unit", True, False)):
        w, b, dec, bd = weights(unit=unit)
        norms = np.linalg.norm(dec, axis=1)
        codes = above((x - bd) @ w.T + b, 0) * norms
        dictionary_learning(name, "AutoEncoder", {"bias": tensor(bd), **linear(w, b, dec)}, x, codes,
                            (codes / norms) @ dec + bd, config)
    w, b, dec, bd = weights()
    norms = np.linalg.norm(dec, axis=1)
    codes = above(x @ w.T + b, 0) * norms
    dictionary_learning("autoencoder_new", "AutoEncoderNew", {**linear(w, b, dec), "decoder.bias": tensor(bd)}, x,
                        codes, (codes / norms) @ dec + bd)

    w, b, dec, bd = weights()
    r_mag, gate, mag = (normal(F, scale=0.3).astype(np.float32).astype(np.float64) for _ in range(3))
    product = (x - bd) @ w.T
    codes = np.where(product + gate > 0, np.maximum(product * np.exp(r_mag) + mag, 0), 0)
    state = {"decoder_bias": tensor(bd), "encoder.weight": tensor(w), "decoder.weight": tensor(dec.T),
             "r_mag": tensor(r_mag), "gate_bias": tensor(gate), "mag_bias": tensor(mag)}
    dictionary_learning("gated", "GatedAutoEncoder", state, x, codes, codes @ dec + bd)

    w, b, dec, bd = weights(unit=True)
    pre = (x - bd) @ w.T + b
    state = {"b_dec": tensor(bd), "k": scalar(K, torch.int), "threshold": scalar(0.6, torch.float32), **linear(w, b, dec)}
    codes = top_k(pre, K)  # TopK's default is its k, BatchTopK's its threshold
    dictionary_learning("topk", "AutoEncoderTopK", state, x, codes, codes @ dec + bd)
    codes = above(pre, np.float32(0.6))
    dictionary_learning("batchtopk", "BatchTopKSAE", state, x, codes, codes @ dec + bd)
    codes = above(pre, 0)
    dictionary_learning("batchtopk_unset", "BatchTopKSAE", {**state, "threshold": scalar(-1.0, torch.float32)}, x,
                        codes, codes @ dec + bd)

    # In the middle of a run: nested, weights on activations divided by norm_factor.
    n = 2.5
    codes = above((x - bd * n) @ w.T + b * n, np.float32(0.6) * n)
    nested = {"step": 100, "ae": state, "optimizer": {"state": {0: {"step": scalar(9.0, torch.float32)}}, "param_groups": []},
              "config": {"dict_class": "BatchTopKSAE", "lm_name": "tiny", "submodule_name": "resid_post_layer_3"},
              "norm_factor": n}
    dictionary_learning("mid_run", "BatchTopKSAE", state, x, codes, codes @ dec + bd * n, False, False, nested)
    cases[-1]["site"] = "resid_post.3"

    theta = rng.uniform(-0.1, 0.8, F).astype(np.float32).astype(np.float64)
    columns = lambda w, b, dec, bd: {"W_enc": tensor(w.T), "b_enc": tensor(b), "W_dec": tensor(dec), "b_dec": tensor(bd)}
    codes = above(x @ w.T + b, theta)
    dictionary_learning("jumprelu", "JumpReluAutoEncoder", {**columns(w, b, dec, bd), "threshold": tensor(theta)}, x,
                        codes, codes @ dec + bd)
    codes = above(pre, np.float32(0.6))
    state = {**columns(w, b, dec, bd), "k": scalar(K, torch.int), "threshold": scalar(0.6, torch.float32),
             "group_sizes": torch.tensor([4, 8, 12])}
    dictionary_learning("matryoshka", "MatryoshkaBatchTopKSAE", state, x, codes, codes @ dec + bd, judged=False)


# OpenMOSS and Llama Scope.


def openmoss_cases():
    x = inputs(centre=0.3)
    base = {"sae_type": "sae", "d_model": D, "expansion_factor": F / D, "use_decoder_bias": True, "top_k": K,
            "use_glu_encoder": False, "hook_point_in": "blocks.3.hook_mlp_out", "hook_point_out": "blocks.3.hook_mlp_out"}
    theta = rng.uniform(0.1, 0.8, F).astype(np.float32).astype(np.float64)
    log_theta = tensor(np.log(theta))
    theta = np.exp(log_theta.double().numpy())
    norm_in, norm_out = 5.0, 3.0
    for name, act, by_norm, normalise, out_hook, container in (
        ("relu", "relu", True, "inference", None, "st"), ("topk", "topk", False, "inference", None, "st"),
        ("topk_by_norm", "topk", True, "dataset-wise", None, "pt"),
        ("jumprelu", "jumprelu", True, "dataset-wise", None, "st"),
        ("jumprelu_plain", "jumprelu", False, "dataset-wise", None, "st"),
        ("transcoder", "jumprelu", True, "dataset-wise", "blocks.3.hook_resid_post", "st"),
        ("folded_with_defect", "jumprelu", True, "inference", None, "st"),
    ):
        w, b, dec, bd = weights()
        norms = np.linalg.norm(dec, axis=1)
        scaled = normalise == "dataset-wise" or name == "folded_with_defect"
        s_in = math.sqrt(D) / norm_in if scaled else 1.0
        s_out = math.sqrt(D) / norm_out if scaled and out_hook else s_in
        judged = norms if by_norm else np.ones(F)
        pre = (x * s_in) @ w.T + b
        codes = {"relu": lambda: above(pre, 0), "topk": lambda: top_k(pre * judged, K),
                 "jumprelu": lambda: above(pre * judged, theta) / judged}[act]()
        # Ours of a TopK by norm are ||W_D|| times theirs, which codes here are already.
        xhat = ((codes / judged if act == "topk" else codes) @ dec + bd) / s_out
        state = {"W_E": tensor(w.T), "b_E": tensor(b), "W_D": tensor(dec), "b_D": tensor(bd)}
        if act == "jumprelu":
            state["activation_function.log_jumprelu_threshold"] = log_theta
        if normalise == "dataset-wise":
            state["dataset_average_activation_norm.blocks.3.hook_mlp_out"] = torch.tensor(norm_in)
            if out_hook:
                state[f"dataset_average_activation_norm.{out_hook}"] = torch.tensor(norm_out)
        options = {}
        if name == "folded_with_defect":
            # Their fold: b_E / s, b_D / s; W_E, W_D and, wrongly, the threshold as they were.
            state["b_E"], state["b_D"] = tensor(b / s_in), tensor(bd / s_in)
            state["dataset_average_activation_norm.blocks.3.hook_mlp_out"] = torch.tensor(float("nan"))
            codes = codes / s_in
            xhat = codes @ dec + bd / s_in
            options["input_scale"] = s_in
        config = {**base, "act_fn": act, "norm_activation": normalise, "sparsity_include_decoder_norm": by_norm}
        if out_hook:
            config["hook_point_out"] = out_hook
        target = folder(f"openmoss/{name}")
        if container == "st":
            save_file(state, target / "sae_weights.safetensors")
        else:
            torch.save({"sae": state, "version": "2.0.0"}, target / "sae_weights.pt")
        (target / "config.json").write_text(json.dumps(config))
        case(f"openmoss_{name}", f"openmoss/{name}", x, codes, xhat, format="openmoss", site="mlp_out.3", **options)


def llama_scope():
    w, b, dec, bd = weights()
    x = inputs()
    norm, threshold = 4.0, 0.4
    s = math.sqrt(D) / norm
    # The threshold is compared once s and the decoder norms are in the weights: in raw units.
    norms = np.linalg.norm(dec, axis=1)
    codes = above(((x * s) @ w.T + b) / s * norms, threshold)
    target = folder("llama_scope")
    (target / "checkpoints").mkdir(exist_ok=True)
    state = {"encoder.weight": tensor(w), "encoder.bias": tensor(b), "decoder.weight": tensor(dec.T), "decoder.bias": tensor(bd)}
    save_file(state, target / "checkpoints/final.safetensors")
    (target / "hyperparams.json").write_text(json.dumps(
        {"d_model": D, "d_sae": F, "hook_point_in": "blocks.3.hook_resid_post", "jump_relu_threshold": threshold,
         "act_fn": "jumprelu", "norm_activation": "dataset-wise", "sparsity_include_decoder_norm": True,
         "use_decoder_bias": True, "dataset_average_activation_norm": {"in": norm, "out": norm}}))
    xhat = ((codes / norms * s) @ dec + bd) / s
    case("llama_scope", "llama_scope", x, codes, xhat, format="llama-scope", site="resid_post.3")


# Gemma Scope.


def gemma_scope():
    for name, kind, d_out, save in (("res", "resid_post", D, np.savez), ("mlp", "mlp_post", D, np.savez_compressed),
                                    ("transcoders", "mlp_in", 6, np.savez)):
        w, b, dec, bd = weights(d_out)
        x = inputs()
        theta = rng.uniform(0.1, 0.8, F).astype(np.float32).astype(np.float64)
        codes = above(x @ w.T + b, theta)  # b_dec is not subtracted
        path = f"gemma-scope-2b-pt-{name}/layer_12/width_24/average_l0_8"
        target = folder(path)
        single = lambda a: np.asarray(a, np.float32)
        save(target / "params.npz", W_enc=single(w.T), W_dec=single(dec), b_enc=single(b), b_dec=single(bd),
             threshold=single(theta))
        case(f"gemma_scope_{name}", path, x, codes, codes @ dec + bd, format="gemma-scope", site=f"{kind}.12",
             gain=norm_gain() if name == "transcoders" else None)  # trained with the norm's weight in the MLP's


def gemma_scope_2():
    """The second release: config.json and params.safetensors; transcoders of the norm's output as it is."""
    single = lambda a: tensor(a).contiguous()
    for kind, point, point_out, skip, site in (
        ("resid_post", "model.layers.5.output", "model.layers.5.output", False, "resid_post.5"),
        ("mlp_out", "model.layers.5.post_feedforward_layernorm.output", None, False, "mlp_post.5"),
        ("transcoder", "model.layers.5.pre_feedforward_layernorm.output",
         "model.layers.5.post_feedforward_layernorm.output", True, "mlp_in.5"),
    ):
        w, b, dec, bd = weights()
        x = inputs()
        theta = rng.uniform(0.1, 0.8, F).astype(np.float32).astype(np.float64)
        affine = normal(D, D).astype(np.float32).astype(np.float64)  # [in, out]
        codes = above(x @ w.T + b, theta)
        path = f"gemma-scope-2-270m-pt/{kind}/layer_5_width_24_l0_medium"
        state = {"w_enc": single(w.T), "w_dec": single(dec), "b_enc": single(b), "b_dec": single(bd),
                 "threshold": single(theta)}
        config = {"hf_hook_point_in": point, "hf_hook_point_out": point_out, "width": F, "architecture": "jump_relu",
                  "model_name": "google/gemma-3-270m", "l0": 8, "affine_connection": skip,
                  "type": "transcoder" if skip else "sae"}
        if skip:
            state["affine_skip_connection"] = single(affine)
        save_file(state, folder(path) / "params.safetensors")
        (OUT / path / "config.json").write_text(json.dumps(config))
        case(f"gemma_scope_2_{kind}", path, x, codes, codes @ dec + bd + (x @ affine if skip else 0),
             format="gemma-scope", site=site)


def dictionary_learning_by_config():
    """AutoEncoderTopK whose k stands in config.json alone; and as torch.compile names its parts."""
    x = inputs()
    for name, prefix, has_k in (("topk_no_k", "", False), ("topk_compiled", "_orig_mod.", True)):
        w, b, dec, bd = weights(unit=True)
        codes = top_k((x - bd) @ w.T + b, K)
        state = {"b_dec": tensor(bd), "encoder.weight": tensor(w), "encoder.bias": tensor(b),
                 "decoder.weight": tensor(dec.T)}
        if has_k:
            state["k"] = torch.tensor(K, dtype=torch.int)
        dictionary_learning(name, "AutoEncoderTopK", {prefix + k: v for k, v in state.items()}, x, codes,
                            codes @ dec + bd, judged=False)


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    torch.manual_seed(0)
    for make in (safe_sail, qwen_scope, saelens_cases, sparsify_cases, dictionary_learning_cases, openmoss_cases,
                 llama_scope, gemma_scope, gemma_scope_2, dictionary_learning_by_config):
        make()
    torch_files.make(OUT / "torch")
    save_file(expected, OUT / "expected.safetensors")
    lines = ",\n".join("  " + json.dumps({**c, "judge": judges.get(c["name"], "formula")}) for c in cases)
    (OUT / "cases.json").write_text(f"[\n{lines}\n]\n")
    print(f"{len(cases)} cases, {len(judges)} judged by the tool itself")


if __name__ == "__main__":
    main()
