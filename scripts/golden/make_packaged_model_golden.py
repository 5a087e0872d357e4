#!/usr/bin/env python3
"""Makes tests/data/model/<name>.top.safetensors: what transformers computes with a packaged GGUF model.

    python3 scripts/golden/make_packaged_model_golden.py .deps/models/smollm2-135m-instruct-q4_1.gguf
    python3 scripts/golden/make_packaged_model_golden.py .deps/models/gemma3-270m-q4_k_m.gguf

transformers dequantises the file to f32. Kept are, for 64 token ids, the 20 highest logits of each
position and their tokens, and the norm of every logit row. Needs the package accelerate as well. The
files of this commit were made with torch 2.13.0, transformers 5.23.0 and gguf 0.19.0.
"""
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

OUT = Path(__file__).resolve().parents[2] / "tests" / "data" / "model"


def main(path):
    model = AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32, attn_implementation="eager").eval()
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, 40000, (64,), generator=generator)
    ids[0] = model.config.bos_token_id
    with torch.inference_mode():
        logits = model(ids[None], use_cache=False).logits[0]
    top = logits.topk(20, dim=-1)
    save_file({"ids": ids.to(torch.int32), "top.logits": top.values.contiguous(),
               "top.ids": top.indices.to(torch.int32).contiguous(), "norm": logits.norm(dim=-1)},
              OUT / f"{path.stem}.top.safetensors",
              metadata={"torch": torch.__version__, "transformers": transformers.__version__})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
