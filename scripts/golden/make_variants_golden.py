#!/usr/bin/env python3
"""Makes tests/data/model/variants/: tiny models of what a family may be besides its usual self, and the logits that
transformers computes with them; and what transformers calls the modules at our sites.

    python3 scripts/golden/make_variants_golden.py

A folder a variant, with some of
  config.json, model.safetensors   Hugging Face's layout, f32
  model.gguf                       the same weights as GGUF
  golden.safetensors               ids and starts of packed sequences, and their logits
and tests/data/model/<family>/modules.json: site -> module, found by comparing what each module puts out.
Made with the versions that make_model_golden.py names.
"""
import json

import gguf
import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from make_model_golden import (FAMILIES, KINDS, OUT, gguf_tensors, layers_of, randomise, run, site_module, write_gguf)

VOCAB = 61
LENGTHS = [1, 4, 13]
SMALL = dict(vocab_size=VOCAB, max_position_embeddings=64, bos_token_id=0, eos_token_id=VOCAB - 1, pad_token_id=None,
             hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4)
PLAIN_ROPE = {"rope_type": "default", "rope_theta": 1e4}

VARIANTS = {
    "llama_bias": transformers.LlamaConfig(**SMALL, num_key_value_heads=2, attention_bias=True, mlp_bias=True,
                                           rope_parameters=PLAIN_ROPE),
    "llama_own_head": transformers.LlamaConfig(**SMALL, num_key_value_heads=2, rope_parameters=PLAIN_ROPE),
    "gpt_neox_serial": transformers.GPTNeoXConfig(**SMALL, hidden_act="gelu", use_parallel_residual=False,
                                                  rope_parameters=PLAIN_ROPE | {"partial_rotary_factor": 0.5}),
    "gemma2_untied": transformers.Gemma2Config(**SMALL, num_key_value_heads=2, head_dim=4, query_pre_attn_scalar=4,
                                               sliding_window=5, rope_parameters=PLAIN_ROPE, tie_word_embeddings=False),
    "gemma3_pattern": transformers.Gemma3TextConfig(
        **SMALL | {"num_hidden_layers": 4}, num_key_value_heads=2, head_dim=4, query_pre_attn_scalar=4, sliding_window=5,
        sliding_window_pattern=3),
    # Llama with pairs of neighbours that turn, in half of each head: what a GGUF file of Llama with fewer rotary
    # dimensions than a head has means.
    "llama_partial": transformers.GlmConfig(
        **SMALL | {"pad_token_id": 0}, num_key_value_heads=2, head_dim=8, attention_bias=False,
        rope_parameters=PLAIN_ROPE | {"partial_rotary_factor": 0.5}),
}


def write_golden(folder, model, sequences):
    logits = run_logits(model, sequences)
    save_file({"logits": logits, "ids": torch.cat(sequences).to(torch.int32),
               "starts": torch.tensor(np.cumsum([0] + LENGTHS), dtype=torch.int32)},
              folder / "golden.safetensors", metadata={"torch": torch.__version__, "transformers": transformers.__version__})
    print(folder.name, tuple(logits.shape), "logits std %.2f" % logits.std())


@torch.inference_mode()
def run_logits(model, sequences):
    return torch.cat([model(ids[None], use_cache=False).logits[0] for ids in sequences]).float().contiguous()


def drop_biases(state):
    """Biases of layer 1 that a GGUF file may leave out, for they are zero here."""
    dropped = [f"model.layers.1.{module}.bias" for module in
               ("self_attn.k_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj")]
    for name in dropped:
        state[name].zero_()
    return dropped


def write_partial(config, state, path):
    """GLM's weights as a GGUF file of Llama: its pairs are neighbours already."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim // 2)
    names = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
             "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
             "mlp.down_proj": "ffn_down"}
    writer.add_tensor("token_embd.weight", state["model.embed_tokens.weight"].numpy())
    writer.add_tensor("output_norm.weight", state["model.norm.weight"].numpy())
    writer.add_tensor("output.weight", state["lm_head.weight"].numpy())
    for n in range(config.num_hidden_layers):
        for theirs, ours in names.items():
            writer.add_tensor(f"blk.{n}.{ours}.weight", state[f"model.layers.{n}.{theirs}.weight"].numpy())
        gate, up = state[f"model.layers.{n}.mlp.gate_up_proj.weight"].chunk(2)
        writer.add_tensor(f"blk.{n}.ffn_gate.weight", gate.contiguous().numpy())
        writer.add_tensor(f"blk.{n}.ffn_up.weight", up.contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def make(name, config):
    folder = OUT / "variants" / name
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(sum(name.encode()))
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    randomise(model, generator)
    model.tie_weights()
    state = {key: tensor.detach().contiguous() for key, tensor in model.state_dict().items()}
    dropped = drop_biases(state) if name == "llama_bias" else []
    sequences = [torch.randint(0, VOCAB, (n,), generator=generator) for n in LENGTHS]
    if name == "llama_partial":
        write_partial(config, state, folder / "model.gguf")
        return write_golden(folder, model, sequences)

    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    if name == "llama_own_head":  # as transformers reads it: the flag says tied, the file has another head
        settings = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(settings | {"tie_word_embeddings": True}, indent=2) + "\n")
        assert "lm_head.weight" in load_file(folder / "model.safetensors")
        model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
        assert not torch.equal(model.lm_head.weight, model.model.embed_tokens.weight)
        return write_golden(folder, model, sequences)
    family = name.split("_")[0] if name != "gpt_neox_serial" else "gpt_neox"
    kept = {key: tensor for key, tensor in state.items() if key not in dropped}
    write_gguf(family, config, kept, folder / "model.gguf")
    write_golden(folder, model, sequences)


@torch.inference_mode()
def write_modules(family):
    """Which module puts out the value of each site of layer 1; the deepest that does."""
    folder = OUT / family
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
    ids = torch.arange(7)
    golden = run(model, [ids])
    outputs, handles = {}, []
    for name, module in model.named_modules():
        def keep(_, __, output, name=name):
            outputs[name] = (output[0] if isinstance(output, tuple) else output)
        handles.append(module.register_forward_hook(keep))
    model(ids[None], use_cache=False)
    for handle in handles:
        handle.remove()
    block = next(name for name, module in model.named_modules() if module is layers_of(model)[1])
    modules = {"resid_pre.1": f"{block} (input)"}
    for kind in KINDS[1:]:
        value = golden[f"{kind}.1"]
        same = [name for name, output in outputs.items() if torch.is_tensor(output) and name.startswith(block)
                and output.shape[-1:] == value.shape[-1:] and torch.equal(output.reshape(value.shape), value)]
        inner = [name for name in same if not any(other.startswith(name + ".") for other in same)]
        # A dropout passes its input on.
        inner = [name for name in inner if "dropout" not in name]
        assert len(inner) == 1, (family, kind, same)
        modules[f"{kind}.1"] = inner[0]
    (folder / "modules.json").write_text(json.dumps(modules, indent=1) + "\n")
    print(family, modules)


if __name__ == "__main__":
    for variant, settings in VARIANTS.items():
        make(variant, settings)
    for family in FAMILIES:
        write_modules(family)
