"""Makes the seeds in fuzz/corpus/<target>/: small valid files from which the fuzzers start.

    pip install gguf safetensors numpy
    python fuzz/make_seeds.py
"""

import gzip
import io
import json
import pathlib
import zipfile

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


def written(writer: gguf.GGUFWriter, path: pathlib.Path) -> bytes:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    data = path.read_bytes()
    path.unlink()
    return data


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
    return written(writer, path)


def tokenizers() -> dict[str, tuple[dict, dict]]:
    """One small tokenizer of each kind that the models at hand use, and a config beside it."""
    names = {"bos_token": "<s>", "eos_token": {"content": "</s>"}, "add_bos_token": True}
    added = [{"id": 1, "content": "<s>", "single_word": False, "lstrip": False, "rstrip": True,
              "normalized": False, "special": True}]
    split = {"type": "Split", "pattern": {"Regex": r"\p{N}| ?\p{L}+|\s+(?!\S)|\s+"}, "behavior": "Isolated", "invert": False}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    words = {"type": "WordLevel", "unk_token": "?", "vocab": {"?": 0, "<s>": 1, "a": 2, "good": 3}}
    bpe = {"type": "BPE", "vocab": {"?": 0, "<s>": 1, "a": 2, "g": 3, "o": 4, "oo": 5}, "merges": [["o", "o"]]}
    space = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
    byte_pieces = {"type": "BPE", "byte_fallback": True, "fuse_unk": True, "unk_token": "?",
                   "vocab": {"?": 0, "<s>": 1, "<0x0A>": 2, "a": 3, "\u2581a": 4, "\u2581": 5}, "merges": ["\u2581 a"]}
    decoders = [{"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
                {"type": "ByteFallback"}, {"type": "Fuse"}]
    return {
        "words": ({"added_tokens": added, "pre_tokenizer": {"type": "Whitespace"}, "model": words}, names),
        "byte_level": ({"added_tokens": added, "normalizer": {"type": "NFC"}, "decoder": byte_level, "model": bpe,
                        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]}}, {}),
        "sentence_piece": ({"added_tokens": added, "normalizer": space, "model": byte_pieces,
                            "decoder": {"type": "Sequence", "decoders": decoders}}, names),
        "unigram": ({"added_tokens": [], "pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581"},
                     "model": {"type": "Unigram", "unk_id": 0, "vocab": [["?", 0], ["a", -1], ["\u2581go", -2]]}}, {}),
    }


# By the digit of their kind: a schema, a regular expression, choices.
CONSTRAINTS = {
    "schema": b'0{"type": "object", "required": ["v"], "additionalProperties": false, "properties": {"v": {"type": "array", '
    b'"items": {"type": "integer", "minimum": 0, "maximum": 9}, "minItems": 2, "maxItems": 2}, "t": {"anyOf": '
    b'[{"$ref": "#/$defs/t"}, {"enum": ["a", null]}]}}, "$defs": {"t": {"type": "string", "maxLength": 4}}}',
    "prefix_items": b'0{"type": "array", "prefixItems": [{"const": 1}, {"type": "number", "multipleOf": 0.5}], "items": false}',
    "pattern": b'0{"patternProperties": {"^[a-c]+$": {"type": "string", "format": "date"}}, "oneOf": [{"required": ["a"]}, false]}',
    "regex": b"1([0-9]{2,4}-|\\pL+?)*[^a-z\n]$",
    "choice": b'2["yes", "yes please", "n\u00e3o"]',
}
TEMPLATES = {
    "chatml": "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m.content | trim }}{% endfor %}"
    "{% if add_generation_prompt %}{{ bos_token }}{% endif %}",
    "namespace": "{%- set ns = namespace(n=0) %}{% for m in messages[::-1] %}{% set ns.n = ns.n + loop.index0 %}"
    "{% if ns.n > 3 %}{% break %}{% endif %}{% endfor %}{{ ns.n }}",
    "python": "{{ messages[0].content.strip().split(' ')[-1].upper().replace('A', 'b') }}{{ messages | tojson(indent=2) }}",
    "macro": "{% macro f(x, y='d') %}{{ x ~ y }}{% endmacro %}{{ f(1) }}{{ raise_exception('no ' + messages[1].role) }}",
    "generation": "{% for m in messages %}{%- generation -%}{{ m.content | trim }}{% endgeneration %}{% raw %}{% generation %}{% endraw %}{% endfor %}",
    "methods": "{{ 'a-b'.rsplit('-', 1) }}{{ 'x=y'.partition('=') }}{{ ' 7'|int + '1e3'|float }}{{ 'a'.center(9, '*').find('a', -3) }}{{ {'b': [1.5]}|tojson(sort_keys=true, indent=1) }}",
}


def sae(rule: str, **more: str) -> bytes:
    """The smallest sae.safetensors of a rule: four features of width two, a golden token without codes."""
    spec = {"architecture": "topk" if rule == "top_k" else "jumprelu", "rule": rule, "d_in": "2", "d_out": "2",
            "n_features": "4", "k": "2", "scale": "0.5", "apply_b_dec_to_input": "true", "transcoder": "false",
            "skip": "false", "groups": "", "seed": "0", "tokens_trained": "0", "format": "safesail.sae.1", **more}
    texts = ("site", "output_site", "hf_module", "transformer_lens_hook", "model_name", "model_hash", "tokenizer_hash",
             "token_policy", "config_hash", "program_version")
    ones = lambda *shape: np.ones(shape, np.float32)
    tensors = {"W_enc": ones(4, 2), "b_enc": ones(4), "W_dec": ones(4, 2), "b_dec": ones(2), "center": ones(2),
               "golden.x": 0 * ones(1, 2), "golden.offsets": np.array([0, 0]), "golden.indices": np.zeros(0, np.int32),
               "golden.values": ones(0)}
    if rule == "threshold":
        tensors["threshold"] = ones(4)
    if spec["transcoder"] == "true":
        tensors["out_center"] = ones(2)
    if spec["skip"] == "true":
        tensors["W_skip"] = ones(2, 2)
    return save(tensors, {**dict.fromkeys(texts, ""), **spec})


def dialects() -> None:
    """The tests' own small files, whole (first byte 0) and as the part that the fuzzer shall learn (1)."""
    data = CORPUS.parents[1] / "tests/data/dialects"
    for name in ("protocol2", "protocol5", "state_dict", "module"):
        path = data / f"torch/{name}.pt"
        put("fuzz_torch_pickle", name, b"\0" + path.read_bytes())
        put("fuzz_torch_pickle", f"{name}_pickle", b"\1" + zipfile.ZipFile(path).read(f"{name}/data.pkl"))
    for name in ("res", "mlp"):
        put("fuzz_npz", name, b"\0" + next(data.glob(f"gemma-scope-2b-pt-{name}/*/*/*/params.npz")).read_bytes())
    for name, array in {"c": np.eye(2, 3, dtype=np.float32), "fortran": np.asfortranarray(np.eye(2, 3)), "scalar": np.int32(7)}.items():
        file = io.BytesIO()
        np.save(file, array)
        put("fuzz_npz", f"npy_{name}", b"\1" + file.getvalue())
    put("fuzz_sae", "top_k", sae("top_k"))
    put("fuzz_sae", "threshold", sae("threshold", groups="2,4"))
    put("fuzz_sae", "transcoder", sae("threshold", transcoder="true", skip="true", apply_b_dec_to_input="false", out_scale="2"))


def llm_answers() -> None:
    def token(text: str, *alternatives: tuple[str, float]) -> dict:
        return {"token": text, "top_logprobs": [{"token": t, "logprob": p} for t, p in alternatives]}

    begin, end = '<think>x</think>{"answers": [{"id": 1, "v": [', '}, {"id": 2, "v": [0,1]}]}'
    tokens = [token(begin), token("1]", ("1]", -0.1), ("0]", -2.5)), token(end)]
    choice = {"message": {"role": "assistant", "content": begin + "1]" + end}, "finish_reason": "stop",
              "logprobs": {"content": tokens}}
    usage = {"prompt_tokens": 9, "completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 2}}
    put("fuzz_llm_answer", "answer", json.dumps({"choices": [choice], "usage": usage}).encode())
    put("fuzz_llm_answer", "values", (begin + "1]" + end).encode())
    put("fuzz_llm_answer", "error", b'{"error": {"message": "no", "code": "bad"}}')
    request = {"model": "m", "max_tokens": 7, "temperature": 0.5, "top_p": 0.9, "seed": 3, "stop": ["a", "b"],
               "stream": False, "logprobs": True, "top_logprobs": 4, "response_format": {"type": "text"}, "n": 1,
               "answer_form": {"text": "[_]", "slot": "_", "choices": ["0", "1"]},
               "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]}
    put("fuzz_completion_request", "full", json.dumps(request).encode())
    form = {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": {"type": "object"}}}
    put("fuzz_completion_request", "form", json.dumps({"messages": request["messages"], "response_format": form}).encode())
    put("fuzz_completion_request", "choice",
        json.dumps({"messages": request["messages"], "structured_outputs": {"choice": ["a", "b"], "regex": None}}).encode())
    put("fuzz_trace_request", "trace", json.dumps({
        "text": "rain", "domains": ["terror"], "min_score": 0.2, "top_n": 3, "saes": ["a"], "unlisted": True,
        "mask_special": False, "interventions": []}).encode())
    put("fuzz_trace_request", "chat", json.dumps({
        "messages": [{"role": "user", "content": "hi"}], "max_tokens": 7, "temperature": 0.5, "top_k": 5, "top_p": 0.9,
        "seed": 3}).encode())
    put("fuzz_trace_request", "compare", json.dumps({
        "prompts": [{"label": "x", "text": "a"}, {"messages": [{"role": "user", "content": "b"}],
                                                  "add_generation_prompt": True}], "max_tokens": 2}).encode())
    put("fuzz_feature_request", "full", b"text=bomb*&domains=terror,violence&sae=mlp_out.15/topk-k32&layer=15&min_score=-0.5&"
        b"max_density=1e-4&explained=true&sufficient=0&ids=3,17,42&language=zh&order=density&ascending=1&offset=20&limit=500")
    put("fuzz_feature_request", "not_utf8", b"text=\xff\x00&limit=0")


def gguf_file(architecture: str, metadata: dict, rows: int = 2) -> bytes:
    """A file of metadata and an embedding."""
    path = CORPUS / "scratch.gguf"
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in metadata.items():
        add = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32, str: writer.add_string,
               list: writer.add_array}[type(value)]
        add(key, value)
    writer.add_tensor("token_embd.weight", np.zeros((rows, 8), np.float32))
    if architecture == "llama":
        writer.add_tensor("rope_freqs.weight", np.ones(2, np.float32))
    return written(writer, path)


def plans() -> None:
    """config.json (first byte 0) of each family, as the golden models have them, and the metadata of GGUF files (1)."""
    data = CORPUS.parents[1] / "tests/data/model"
    for family in ("llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3", "gpt_neox", "gpt2"):
        put("fuzz_plan", family, b"\0" + json.dumps(json.loads((data / family / "config.json").read_text())).encode())
    text = json.loads((data / "gemma3/config.json").read_text())
    put("fuzz_plan", "multimodal", b"\0" + json.dumps({"model_type": "gemma3", "text_config": text}).encode())
    old = {"model_type": "llama", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 4,
           "intermediate_size": 8, "eos_token_id": [1, 2], "rope_theta": 5e5,
           "rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4,
                            "original_max_position_embeddings": 64}}
    put("fuzz_plan", "old_style", b"\0" + json.dumps(old).encode())
    sizes = {"block_count": 2, "context_length": 64, "embedding_length": 8, "feed_forward_length": 16,
             "attention.head_count": 2, "attention.head_count_kv": 1, "attention.key_length": 4,
             "rope.freq_base": 1e4, "rope.scaling.type": "linear", "rope.scaling.factor": 2.0}
    rms, layer = {"attention.layer_norm_rms_epsilon": 1e-5}, {"attention.layer_norm_epsilon": 1e-5}
    window = {"attention.sliding_window": 7, "attention.sliding_window_pattern": 2, "rope.freq_base_swa": 1e4}
    for architecture, more in {"llama": rms | window, "qwen2": rms, "qwen3": rms, "gemma2": rms | window,
                               "gemma3": rms | window, "gpt2": layer,
                               "gptneox": layer | {"use_parallel_residual": True, "attention.head_count_kv": 2}}.items():
        keys = {f"{architecture}.{key}": value for key, value in (sizes | more).items()}
        put("fuzz_plan", f"gguf_{architecture}",
            b"\1" + gguf_file(architecture, keys | {"tokenizer.ggml.eos_token_id": 1}))


def gguf_tokenizers() -> None:
    bpe = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "qwen2", "tokenizer.ggml.merges": ["a b"],
           "tokenizer.ggml.tokens": ["a", "b", "ab", "<s>"], "tokenizer.ggml.token_type": [1, 1, 1, 3],
           "tokenizer.ggml.bos_token_id": 3, "tokenizer.ggml.add_bos_token": True,
           "tokenizer.chat_template": "{{ messages[0].content }}"}
    pieces = {"tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": ["<unk>", "<s>", "<0x0A>", "\u2581a", "\u2581", "a"],
              "tokenizer.ggml.scores": [0.0, 0.0, 0.0, -1.0, -2.0, -3.0], "tokenizer.ggml.token_type": [2, 3, 6, 1, 1, 1],
              "tokenizer.ggml.add_space_prefix": True, "tokenizer.ggml.unknown_token_id": 0}
    put("fuzz_gguf_tokenizer", "bpe", gguf_file("qwen2", bpe))
    put("fuzz_gguf_tokenizer", "pieces", gguf_file("qwen3", pieces))


def shard_indices() -> None:
    shard = "model-00001-of-00001.safetensors"
    put("fuzz_shard_index", "one", json.dumps({"metadata": {"total_size": 16}, "weight_map": {"a": shard}}).encode())
    put("fuzz_shard_index", "outside", json.dumps({"weight_map": {"a": "../x.safetensors", "b": shard}}).encode())


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

    for name, (tokenizer, config) in tokenizers().items():
        put("fuzz_tokenizer", name, json.dumps(tokenizer).encode() + b"\n\n" + json.dumps(config).encode())
    for name, template in TEMPLATES.items():
        put("fuzz_chat_template", name, template.encode())
    for name, source in CONSTRAINTS.items():
        put("fuzz_constraint", name, source)
    dialects()
    plans()
    gguf_tokenizers()
    shard_indices()
    llm_answers()
    for path in sorted((CORPUS.parents[1] / "tests/data/text").glob("*.parquet")):
        put("fuzz_corpus", path.name, b"\0" + path.read_bytes())
    put("fuzz_corpus", "jsonl", b"\x01" + b'{"text": "a"}\n[]\n{"messages": [{"role": "user", "content": "b"}]}')
    put("fuzz_corpus", "array", b"\x01" + b'[{"text": "a]"}, {"x": [NaN], "text": "b"},\n 7]\n')
    put("fuzz_corpus", "text", b"\x02" + lines)


if __name__ == "__main__":
    main()
