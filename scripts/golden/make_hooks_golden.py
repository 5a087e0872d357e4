#!/usr/bin/env python3
"""Makes tests/data/model/transformer_lens.safetensors: what TransformerLens's hooks read in the tiny models.

    python3 -m venv v && v/bin/pip install torch transformers transformer-lens safetensors
    v/bin/python scripts/golden/make_hooks_golden.py

The models are those of make_model_golden.py. Each is run by TransformerBridge, which wraps the model of
transformers and puts its hooks where HookedTransformer has them, on weights that nobody folded. Written are, a
family, `<family>.ids` and the value of each hook of layer 1; the metadata hold the versions.
"""
import importlib.metadata
import tempfile
from pathlib import Path

import tokenizers
import torch
import transformers
from safetensors.torch import save_file
from transformer_lens.model_bridge import TransformerBridge

DATA = Path(__file__).resolve().parents[2] / "tests" / "data" / "model"
FAMILIES = ["gemma2", "gemma3", "gpt2", "gpt_neox", "llama", "mistral", "qwen2", "qwen3"]
LAYER = 1
HOOKS = ["hook_resid_pre", "hook_resid_post", "hook_attn_out", "attn.hook_out", "hook_mlp_out", "mlp.hook_out",
         "mlp.hook_in", "ln2.hook_normalized", "hook_mlp_in"]


def some_tokenizer(folder):
    """TransformerBridge wants one, whatever it is."""
    model = tokenizers.models.WordLevel({"a": 0, "b": 1}, unk_token="b")
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizers.Tokenizer(model), bos_token="a", eos_token="a",
                                         pad_token="a", unk_token="b").save_pretrained(folder)
    return transformers.AutoTokenizer.from_pretrained(folder)


def cached(model, ids):
    """Hooks of the layer, by their names inside it."""
    model.cfg.use_hook_mlp_in = True  # else hook_mlp_in, what the norm before the MLP reads, never fires
    kept = {}

    def keep(value, hook=None):
        kept[name] = value[0].detach().float().clone()

    for name in HOOKS:
        model.run_with_hooks(ids[None], fwd_hooks=[(f"blocks.{LAYER}.{name}", keep)])
    return kept


def hooks(tokenizer):
    tensors = {}
    for family in FAMILIES:
        hf = transformers.AutoModelForCausalLM.from_pretrained(
            DATA / family, dtype=torch.float32, attn_implementation="eager").eval()
        ids = torch.randint(1, hf.config.vocab_size - 1, (12,), generator=torch.Generator().manual_seed(7))
        with torch.inference_mode():
            bridge = TransformerBridge.boot_transformers(str(DATA / family), hf_model=hf, tokenizer=tokenizer)
            values = cached(bridge, ids)
        tensors[f"{family}.ids"] = ids.int()
        for name, value in values.items():
            tensors[f"{family}.blocks.{LAYER}.{name}"] = value.contiguous()
    return tensors


def main():
    with tempfile.TemporaryDirectory() as folder:
        tensors = hooks(some_tokenizer(folder))
    versions = {name: importlib.metadata.version(name) for name in ("transformer-lens", "transformers", "torch")}
    save_file(tensors, DATA / "transformer_lens.safetensors", metadata=versions)


if __name__ == "__main__":
    main()
