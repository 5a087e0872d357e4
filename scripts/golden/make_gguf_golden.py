"""Makes tests/data/formats/gguf_blocks.safetensors: raw GGUF blocks of every type that we read, and
what the `gguf` package (ggml's reference in numpy) makes of them.

Per type T: `T.blocks` u8 and `T.f32` f32 (dequantised); and `F32.bf16` u16, `F32.f32` rounded.
Scales take every kind of half: zeros, subnormals, the largest, infinities, NaN, both signs.

    pip install gguf safetensors numpy
    python scripts/golden/make_gguf_golden.py
"""

import importlib.metadata
import pathlib

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize, quantize
from safetensors.numpy import save_file

OUT = pathlib.Path(__file__).parents[2] / "tests/data/formats/gguf_blocks.safetensors"
SEED = 20240229

# Where each type keeps its halves (scales and minima), as byte offsets into a block.
HALVES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
}
EXTREME_HALVES = [0x0000, 0x8000, 0x0001, 0x83FF, 0x0400, 0x7BFF, 0xFBFF, 0x3C00, 0x7C00, 0xFC00, 0x7E00]


def blocks_of(name: str, rng: np.random.Generator) -> np.ndarray:
    """Random bytes; the first blocks carry extreme halves, the others ordinary ones."""
    n_elements, n_bytes = GGML_QUANT_SIZES[GGMLQuantizationType[name]]
    n_ordinary = 2 if n_elements == 256 else 12
    n_blocks = len(EXTREME_HALVES) + n_ordinary
    blocks = rng.integers(0, 256, (n_blocks, n_bytes), dtype=np.uint8)
    for i, offset in enumerate(HALVES[name]):
        ordinary = rng.normal(0, 0.05, n_ordinary).astype(np.float16).view(np.uint16)
        # The second half of a block takes the extremes in another order.
        halves = np.concatenate([np.roll(np.array(EXTREME_HALVES, np.uint16), 3 * i), ordinary])
        blocks[:, offset : offset + 2] = halves.astype("<u2").view(np.uint8).reshape(-1, 2)
    return blocks.reshape(1, -1)


def plain_of(name: str, rng: np.random.Generator) -> np.ndarray:
    """Values of a float type, every exponent among them; 301 leaves a short group at the end."""
    if name == "F32":
        bits = rng.integers(0, 1 << 32, 301, dtype=np.uint32)
        bits[:6] = [0, 0x80000000, 1, 0x7F7FFFFF, 0x7F800000, 0xFFC00000]
        return bits.view(np.uint8).reshape(1, -1)
    bits = rng.integers(0, 1 << 16, 301, dtype=np.uint16)
    bits[: len(EXTREME_HALVES)] = EXTREME_HALVES
    return bits.view(np.uint8).reshape(1, -1)


def main() -> None:
    rng = np.random.default_rng(SEED)
    tensors = {}
    with np.errstate(all="ignore"):
        for name in ["F32", "F16", "BF16", *HALVES]:
            blocks = blocks_of(name, rng) if name in HALVES else plain_of(name, rng)
            values = np.ascontiguousarray(dequantize(blocks, GGMLQuantizationType[name])).reshape(1, -1)
            tensors[f"{name}.blocks"] = blocks.reshape(-1)
            tensors[f"{name}.f32"] = values.reshape(-1)
        floats = tensors["F32.f32"].reshape(1, -1)
        tensors["F32.bf16"] = quantize(floats, GGMLQuantizationType.BF16).view(np.uint16).reshape(-1)
    versions = {p: importlib.metadata.version(p) for p in ["gguf", "numpy", "safetensors"]}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, OUT, metadata={"made_by": "scripts/golden/make_gguf_golden.py", **versions})
    print(f"{OUT}: {OUT.stat().st_size} bytes, {versions}")


if __name__ == "__main__":
    main()
