"""Prefill and decode by transformers, from the same GGUF file, in bf16 with SDPA attention.

    lm_transformers.py MODEL.gguf
"""
import pathlib
import sys

import torch
import transformers
from worker import seconds_of, serve

path = pathlib.Path(sys.argv[1])
model = transformers.AutoModelForCausalLM.from_pretrained(
    path.parent, gguf_file=path.name, dtype=torch.bfloat16, attn_implementation="sdpa",
    quantization_config=transformers.GgufConfig(dequantize=True),
).eval()
# Weights that stayed packed would make another comparison than the one announced.
assert all(type(m) is torch.nn.Linear and m.weight.dtype == torch.bfloat16
           for name, m in model.named_modules() if name.endswith(("_proj", "lm_head")))


def prefill(count, length, logits):
    ids = torch.randint(model.config.vocab_size, (count, length))
    return seconds_of(lambda: model(ids, use_cache=False, logits_to_keep=0 if logits == "all" else 1))


def decode(steps):
    out = model(torch.full((1, 16), 7), use_cache=True, logits_to_keep=1)

    def body():
        nonlocal out
        for _ in range(steps):
            next_id = out.logits[:, -1:].argmax(-1)
            out = model(next_id, past_key_values=out.past_key_values, use_cache=True)

    return seconds_of(body)


@torch.inference_mode()
def run(verb, *words):
    if verb == "prefill":
        return prefill(int(words[0]), int(words[1]), words[2])
    return decode(int(words[0]))


serve(run)
