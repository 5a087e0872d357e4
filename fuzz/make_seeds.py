"""Makes the seeds in fuzz/corpus/<target>/: small valid files from which the fuzzers start.

    pip install gguf safetensors numpy
    python fuzz/make_seeds.py
"""

import gzip
import json
import pathlib

import gguf
import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from safetensors.numpy import save

CORPUS = pathlib.Path(__file__).parent / "corpus"
TYPES = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"]


def put(target: str, name: str, data: bytes) -> None:
    path = CORPUS / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def gguf_with(types: list[str], path: pathlib.Path) -> bytes:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(2)
    writer.add_float32("a.float", 0.5)
    writer.add_bool("a.bool", True)
    writer.add_array("a.tokens", ["<s>", "a", "\u0905"])
    writer.add_array("a.scores", [0.0, -1.5])
    for name in types:
        kind = GGMLQuantizationType[name]
        n_elements, n_bytes = GGML_QUANT_SIZES[kind]
        rows = np.arange(2 * n_bytes, dtype=np.uint8).reshape(2, n_bytes)
        writer.add_tensor(f"t.{name}", rows, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    data = path.read_bytes()
    path.unlink()
    return data


def main() -> None:
    put("fuzz_safetensors", "two", save({"a": np.eye(2, dtype=np.float32), "b": np.arange(3)}, {"k": "v"}))
    put("fuzz_safetensors", "empty", save({"a": np.zeros((0, 4), np.float16)}))

    scratch = CORPUS / "scratch.gguf"
    CORPUS.mkdir(exist_ok=True)
    for name in TYPES:
        put("fuzz_gguf", name.lower(), gguf_with([name], scratch))

    put("fuzz_json", "config", json.dumps({"hidden_size": 576, "rope": {"factor": 8.0, "t": None}, "l": [1, -2]}).encode())
    put("fuzz_json", "text", json.dumps({"text": "a\n\u0905\U0001f600", "x": [True, [[], {}], 1e-5]}).encode())

    lines = b"one\r\n\ntwo \xe0\xa4\x85\nlast"
    put("fuzz_byte_stream", "plain", b"\xef\xbb\xbf" + lines)
    put("fuzz_byte_stream", "gzip", gzip.compress(lines, mtime=0) + gzip.compress(b"more\n", mtime=0))
    # A zstd frame of one last, raw block: window of 1 KiB, block header = size * 8 + 1.
    block = (len(lines) * 8 + 1).to_bytes(3, "little") + lines
    put("fuzz_byte_stream", "zstd", b"\x28\xb5\x2f\xfd\x00\x00" + block)


if __name__ == "__main__":
    main()
