"""Golden file of a pass with tokens masked out of attention, by transformers.

The published Safe-SAIL demo reads the whole text again with its special tokens taken out of the
attention mask; position numbers are not shifted. Here with the tiny Qwen2 of make_model_golden.py.

    python scripts/golden/make_masked_golden.py tests/data/model/qwen2
"""
import pathlib
import sys

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM


def main(folder: pathlib.Path) -> None:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    ids = torch.randint(0, model.config.vocab_size, (1, 24))
    mask = torch.ones_like(ids)
    mask[0, [0, 5, 6, 15, 23]] = 0
    layer = model.config.num_hidden_layers - 1
    down = {}
    hook = model.model.layers[layer].mlp.down_proj.register_forward_hook(
        lambda _module, _input, output: down.update(value=output[0].detach()))
    with torch.no_grad():
        positions = torch.arange(ids.shape[1])[None]
        logits = model(input_ids=ids, attention_mask=mask, position_ids=positions).logits[0]
    hook.remove()
    kept = mask[0].bool()
    save_file({
        "ids": ids[0][kept].to(torch.int32).contiguous(),
        "positions": positions[0][kept].to(torch.int32).contiguous(),
        f"mlp_out.{layer}": down["value"][kept].contiguous(),
        "logits": logits[kept].contiguous(),
    }, folder / "masked.safetensors")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
