#!/usr/bin/env python3
"""Makes tests/data/model/: tiny random models of every family and what transformers computes with them.

    python3 scripts/golden/make_model_golden.py [family ...]

A folder a family:
  config.json, model.safetensors   the model in Hugging Face's layout, f32
  model.gguf                       the same weights as GGUF
  golden.safetensors               ids and starts of packed sequences; logits; every site of every layer;
                                   a greedy continuation; logits after a vector was added at a site
The files of this commit were made with torch 2.13.0, transformers 5.23.0, safetensors 0.8.0 and
gguf 0.19.0 on a CPU; the versions are also in the metadata of every golden.safetensors.
"""
import json
import math
import sys
from pathlib import Path

import gguf
import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

OUT = Path(__file__).resolve().parents[2] / "tests" / "data" / "model"
VOCAB = 199
LENGTHS = [1, 5, 23, 12]  # the longest exceeds every sliding window below
KINDS = ["resid_pre", "attn_out", "mlp_in", "mlp_out", "mlp_post", "resid_post"]
EDIT_LAYER = 1
WINDOW = 7

LLAMA_ROPE = {
    "rope_type": "llama3", "rope_theta": 500.0, "factor": 4.0, "low_freq_factor": 1.0,
    "high_freq_factor": 4.0, "original_max_position_embeddings": 32,
}
COMMON = dict(vocab_size=VOCAB, max_position_embeddings=128, bos_token_id=0, eos_token_id=VOCAB - 1,
              pad_token_id=None, hidden_size=32, intermediate_size=64, num_hidden_layers=2)

FAMILIES = {
    "llama": transformers.LlamaConfig(
        **COMMON, num_attention_heads=4, num_key_value_heads=1, head_dim=16, rms_norm_eps=1e-5,
        rope_parameters=LLAMA_ROPE, tie_word_embeddings=False),
    "mistral": transformers.MistralConfig(
        **COMMON, num_attention_heads=4, num_key_value_heads=2, head_dim=10, sliding_window=WINDOW,
        tie_word_embeddings=False, rope_parameters={"rope_type": "default", "rope_theta": 10000.0}),
    "qwen2": transformers.Qwen2Config(
        **COMMON, num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6}),
    "qwen3": transformers.Qwen3Config(
        **COMMON, num_attention_heads=6, num_key_value_heads=3, head_dim=12, tie_word_embeddings=True,
        rope_parameters={"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}),
    "gemma2": transformers.Gemma2Config(
        **COMMON, num_attention_heads=4, num_key_value_heads=2, head_dim=8, query_pre_attn_scalar=20,
        sliding_window=WINDOW, attn_logit_softcapping=5.0, final_logit_softcapping=8.0,
        rope_parameters={"rope_type": "default", "rope_theta": 1e4}),
    "gemma3": transformers.Gemma3TextConfig(
        **COMMON | {"num_hidden_layers": 6},  # the sixth is the first that sees everything
        num_attention_heads=4, num_key_value_heads=1, head_dim=12, query_pre_attn_scalar=12, sliding_window=WINDOW,
        rope_parameters={"full_attention": {"rope_type": "linear", "rope_theta": 1e6, "factor": 8.0},
                         "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}),
    "gpt_neox": transformers.GPTNeoXConfig(
        **COMMON, num_attention_heads=2, hidden_act="gelu",
        rope_parameters={"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.25}),
    "gpt2": transformers.GPT2Config(
        vocab_size=VOCAB, n_positions=64, n_embd=30, n_layer=2, n_head=3, bos_token_id=0,
        eos_token_id=VOCAB - 1),
}


def randomise(model, generator):
    """Every parameter, large enough that nothing is near uniform or near zero."""
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.dim() == 2:
            embeds = any(part in name for part in ("embed", "wte", "wpe", "lm_head"))
            fan_in = parameter.shape[0] if "c_" in name and "gpt2" in model.config.model_type else parameter.shape[1]
            gain = 2.0 if any(part in name for part in ("q_proj", "k_proj", "c_attn", "query_key")) else 1.2
            noise = noise * (0.7 if embeds else gain / math.sqrt(fan_in))
        elif "norm" in name or "ln_" in name:
            centre = 0.0 if "gemma" in model.config.model_type or name.endswith("bias") else 1.0
            noise = centre + 0.3 * noise
        else:
            noise = 0.3 * noise
        parameter.data.copy_(noise)


def round_to_q8(model):
    """Makes matrices exactly representable as Q8_0 where their rows allow it."""
    for parameter in model.parameters():
        if parameter.dim() == 2 and parameter.shape[1] % 32 == 0:
            rows = parameter.data.numpy()
            packed = gguf.quants.quantize(rows, gguf.GGMLQuantizationType.Q8_0)
            parameter.data.copy_(torch.from_numpy(gguf.quants.dequantize(packed, gguf.GGMLQuantizationType.Q8_0)))


def layers_of(model):
    base = model.base_model
    return base.h if hasattr(base, "h") else base.layers


def site_module(layer, kind):
    """(module, whether the site is its input)"""
    attention = getattr(layer, "self_attn", None) or getattr(layer, "attn", None) or layer.attention
    projection = next(getattr(attention, n) for n in ("o_proj", "c_proj", "dense") if hasattr(attention, n))
    post = getattr(layer, "post_feedforward_layernorm", None) or layer.mlp
    return {"resid_pre": (layer, True), "attn_out": (projection, False), "mlp_in": (layer.mlp, True),
            "mlp_out": (layer.mlp, False), "mlp_post": (post, False), "resid_post": (layer, False)}[kind]


def hook_site(layer, kind, change):
    """Registers change(value) -> value or None at the site."""
    module, is_input = site_module(layer, kind)

    def before(_, args, kwargs):
        if args:
            value = change(args[0])
            return None if value is None else ((value, *args[1:]), kwargs)
        value = change(kwargs["hidden_states"])
        return None if value is None else (args, {**kwargs, "hidden_states": value})

    def after(_, __, output):
        value = change(output[0] if isinstance(output, tuple) else output)
        if value is None:
            return None
        return (value, *output[1:]) if isinstance(output, tuple) else value

    if is_input:
        return module.register_forward_pre_hook(before, with_kwargs=True)
    return module.register_forward_hook(after)


@torch.inference_mode()
def run(model, sequences, change=None, at=None):
    """Logits and sites of sequences run one by one, laid end to end."""
    parts = {}
    for ids in sequences:
        handles = []
        for n, layer in enumerate(layers_of(model)):
            for kind in KINDS:
                # The edit first, so that an edited site is read after it.
                if change is not None and at == (kind, n):
                    handles.append(hook_site(layer, kind, change))
                def keep(value, key=f"{kind}.{n}"):
                    parts.setdefault(key, []).append(value[0].clone())
                handles.append(hook_site(layer, kind, keep))
        logits = model(ids[None], use_cache=False).logits[0]
        parts.setdefault("logits", []).append(logits)
        for handle in handles:
            handle.remove()
    return {key: torch.cat(value).float().contiguous() for key, value in parts.items()}


@torch.inference_mode()
def greedy(model, prompt, n):
    ids = list(prompt)
    for _ in range(n):
        logits = model(torch.tensor([ids]), use_cache=False).logits[0, -1]
        top = logits.topk(2).values
        assert top[0] - top[1] > 1e-3 * logits.std(), "a near tie: choose another seed"
        ids.append(int(logits.argmax()))
    return ids


# ---------------------------------------------------------------- GGUF, as llama.cpp's converter writes it

def permute(rows, n_heads):
    """Hugging Face's order of a head's rows (halves) -> GGUF's order for Llama (pairs)."""
    return rows.reshape(n_heads, 2, rows.shape[0] // n_heads // 2, -1).swapaxes(1, 2).reshape(rows.shape)


def gguf_tensors(family, config, state):
    """(name, array) of every tensor."""
    def out(name, tensor):
        return name, tensor.numpy()

    if family == "gpt2":
        names = {"ln_1": "attn_norm", "ln_2": "ffn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output",
                 "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down"}
        yield out("token_embd.weight", state["transformer.wte.weight"])
        yield out("position_embd.weight", state["transformer.wpe.weight"])
        for end in ("weight", "bias"):
            yield out(f"output_norm.{end}", state[f"transformer.ln_f.{end}"])
            for n in range(config.n_layer):
                for theirs, ours in names.items():
                    tensor = state[f"transformer.h.{n}.{theirs}.{end}"]
                    yield out(f"blk.{n}.{ours}.{end}", tensor.t().contiguous() if "c_" in theirs else tensor)
        return
    if family == "gpt_neox":
        names = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
                 "attention.query_key_value": "attn_qkv", "attention.dense": "attn_output",
                 "mlp.dense_h_to_4h": "ffn_up", "mlp.dense_4h_to_h": "ffn_down"}
        yield out("token_embd.weight", state["gpt_neox.embed_in.weight"])
        yield out("output.weight", state.get("embed_out.weight", state.get("lm_head.weight")))
        for end in ("weight", "bias"):
            yield out(f"output_norm.{end}", state[f"gpt_neox.final_layer_norm.{end}"])
            for n in range(config.num_hidden_layers):
                for theirs, ours in names.items():
                    tensor = state[f"gpt_neox.layers.{n}.{theirs}.{end}"]
                    if ours == "attn_qkv":
                        heads = tensor.reshape(config.num_attention_heads, 3, -1, *tensor.shape[1:])
                        tensor = heads.transpose(0, 1).reshape(tensor.shape).contiguous()
                    yield out(f"blk.{n}.{ours}.{end}", tensor)
        return
    names = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
             "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
             "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
             "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
             "mlp.down_proj": "ffn_down"}
    gemma = family.startswith("gemma")
    if gemma:
        names |= {"post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm",
                  "post_feedforward_layernorm": "post_ffw_norm"}
    for name, tensor in state.items():
        module, end = name.removeprefix("model.").rsplit(".", 1)
        if name == "lm_head.weight":
            if not config.tie_word_embeddings:
                yield out("output.weight", tensor)
            continue
        if gemma and "norm" in module:
            tensor = tensor + 1
        if module == "embed_tokens":
            yield out("token_embd.weight", tensor)
        elif module == "norm":
            yield out("output_norm.weight", tensor)
        else:
            _, n, inner = module.split(".", 2)
            array = tensor.numpy()
            if family in ("llama", "mistral") and inner in ("self_attn.q_proj", "self_attn.k_proj"):
                heads = config.num_attention_heads if "q_proj" in inner else config.num_key_value_heads
                array = permute(array, heads)
            yield f"blk.{n}.{names[inner]}.{end}", array
    if family == "llama" and config.rope_parameters["rope_type"] == "llama3":
        half = torch.arange(0, config.head_dim, 2).float() / config.head_dim
        plain = 1.0 / (LLAMA_ROPE["rope_theta"] ** half)
        scaled, _ = transformers.modeling_rope_utils.ROPE_INIT_FUNCTIONS["llama3"](config)
        yield out("rope_freqs.weight", plain / scaled)


def write_gguf(family, config, state, path):
    arch = {"mistral": "llama", "gpt_neox": "gptneox"}.get(family, family)
    writer = gguf.GGUFWriter(path, arch)
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(getattr(config, "intermediate_size", None) or 4 * config.hidden_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_uint32("tokenizer.ggml.eos_token_id", config.eos_token_id)
    if family in ("gpt2", "gpt_neox"):
        writer.add_layer_norm_eps(config.layer_norm_epsilon if family == "gpt2" else config.layer_norm_eps)
        if family == "gpt_neox":
            writer.add_rope_dimension_count(int(head_dim * config.rope_parameters["partial_rotary_factor"]))
            writer.add_parallel_residual(config.use_parallel_residual)
    else:
        writer.add_head_count_kv(config.num_key_value_heads)
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_key_length(head_dim)
        writer.add_value_length(head_dim)
        writer.add_rope_dimension_count(head_dim)
        rope = config.rope_parameters.get("full_attention", config.rope_parameters)
        writer.add_rope_freq_base(rope["rope_theta"])
        if rope["rope_type"] == "linear":
            writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
            writer.add_rope_scaling_factor(rope["factor"])
        if family in ("mistral", "gemma2", "gemma3"):
            writer.add_sliding_window(config.sliding_window)
        if (period := getattr(config, "_sliding_window_pattern", 6)) != 6:
            writer.add_uint32("gemma3.attention.sliding_window_pattern", period)
        if family == "gemma2":
            writer.add_float32("gemma2.attention.scale", config.query_pre_attn_scalar ** -0.5)
            writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
            writer.add_final_logit_softcapping(config.final_logit_softcapping)
    q8 = gguf.GGMLQuantizationType.Q8_0
    for name, array in gguf_tensors(family, config, state):
        array = np.ascontiguousarray(array)
        if array.ndim == 2 and array.shape[1] % 32 == 0 and family in ("llama", "qwen2"):
            writer.add_tensor(name, gguf.quants.quantize(array, q8), raw_dtype=q8)
        else:
            writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def make(family, config):
    folder = OUT / family
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(sum(family.encode()))
    config._attn_implementation = "eager"
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    randomise(model, generator)
    round_to_q8(model)
    model.tie_weights()
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)

    sequences = [torch.randint(0, VOCAB, (n,), generator=generator) for n in LENGTHS]
    golden = run(model, sequences)
    vector = torch.randn(config.hidden_size, generator=generator)
    golden["edit.vector"] = vector
    for kind in KINDS:
        edited = run(model, sequences[1:3], lambda v: v + vector, (kind, EDIT_LAYER))
        golden[f"edit.{kind}.logits"] = edited["logits"]
    prompt = sequences[3].tolist()
    golden["greedy"] = torch.tensor(greedy(model, prompt, 24), dtype=torch.int32)
    golden["greedy_prompt_length"] = torch.tensor([len(prompt)], dtype=torch.int32)
    golden["ids"] = torch.cat(sequences).to(torch.int32)
    golden["starts"] = torch.tensor(np.cumsum([0] + LENGTHS), dtype=torch.int32)
    save_file(golden, folder / "golden.safetensors", metadata={
        "torch": torch.__version__, "transformers": transformers.__version__, "gguf": "0.19.0"})

    state = {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
    write_gguf(family, config, state, folder / "model.gguf")
    print(family, {k: tuple(v.shape) for k, v in golden.items() if k in ("logits", "resid_post.1")},
          "logits std %.2f" % golden["logits"].std())


if __name__ == "__main__":
    for name in sys.argv[1:] or FAMILIES:
        make(name, FAMILIES[name])
