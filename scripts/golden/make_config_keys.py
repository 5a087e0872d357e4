#!/usr/bin/env python3
"""Makes tests/data/model/config_keys.json: every key that transformers' classes of our families have, with the value
that holds where a config.json names only the sizes.

    python3 scripts/golden/make_config_keys.py

{model_type: {"given": what config.json says, "full": what the class makes of it}}, with transformers 5.23.0.
"""
import json
from pathlib import Path

import transformers

OUT = Path(__file__).resolve().parents[2] / "tests" / "data" / "model" / "config_keys.json"
# Divisible by every default of a head size or a number of heads.
SIZES = dict(vocab_size=64, hidden_size=256, intermediate_size=512, num_hidden_layers=30, num_attention_heads=32)
CLASSES = {
    "llama": transformers.LlamaConfig, "mistral": transformers.MistralConfig, "qwen2": transformers.Qwen2Config,
    "qwen3": transformers.Qwen3Config, "gemma2": transformers.Gemma2Config, "gemma3_text": transformers.Gemma3TextConfig,
    "gpt_neox": transformers.GPTNeoXConfig, "gpt2": transformers.GPT2Config,
}

keys = {}
for family, config in CLASSES.items():
    given = SIZES
    if family == "gpt2":
        given = dict(vocab_size=64, n_embd=256, n_layer=30, n_head=32)
    full = config(**given).to_dict()
    keys[family] = {"given": {"model_type": family, **given}, "full": full}
OUT.write_text(json.dumps(keys, indent=1, sort_keys=True) + "\n")
