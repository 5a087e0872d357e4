"""Writes tests/data/text/<name>_golden.json: what transformers makes of hard_strings.json and of some chats.

    python scripts/golden/make_tokenizer_golden.py

Needs transformers and gguf, the tokenizers in .deps/tokenizers/ and the SmolLM2 file in .deps/models/
(scripts/setup.sh fetches both). The versions that made a golden file stand in it.

Qwen3, Llama 3 and Gemma 3: AutoTokenizer on their published folders. SmolLM2 is at hand as a GGUF file
only, and the GGUF loader of transformers knows no "smollm": it leaves out that digits stand alone. So its
tokenizer is put together here, from the file's vocabulary and merges and the pipeline of the published
tokenizer.json (no normalizer; Digits(individual_digits), then ByteLevel without prefix space; plain BPE).
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import gguf
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests/data/text"

CHATS = [
    [{"role": "user", "content": "Hello!"}],
    [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "  What is \"2 + 2\"? \n"},
        {"role": "assistant", "content": "4\n"},
        {"role": "user", "content": "नमस्ते 世界 <b>&amp;</b> '\\n'"},
    ],
    [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "<think>\nhm\n</think>\n\nhello"},
    ],
    [{"role": "user", "content": "one"}, {"role": "user", "content": "two"}],
    [{"role": "assistant", "content": "I begin"}],
    [{"role": "user", "content": ""}],
]


def smollm2():
    reader = gguf.GGUFReader(ROOT / ".deps/models/smollm2-135m-instruct-q4_1.gguf")
    field = lambda key: reader.fields["tokenizer." + key].contents()
    tokens = field("ggml.tokens")
    merges = [tuple(merge.split(" ")) for merge in field("ggml.merges")]
    vocab = {token: i for i, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    control = [token for token, kind in zip(tokens, field("ggml.token_type")) if kind == 3]
    tokenizer.add_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=tokens[field("ggml.bos_token_id")],
        eos_token=tokens[field("ggml.eos_token_id")],
        unk_token=tokens[field("ggml.unknown_token_id")],
        pad_token=tokens[field("ggml.padding_token_id")],
        chat_template=field("chat_template"),
    )


def hard_strings():
    for item in json.loads((DATA / "hard_strings.json").read_text()):
        yield item if isinstance(item, str) else item["repeat"] * item["times"]


def encoded(tokenizer, text):
    plain = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids = plain["input_ids"]
    at_byte = [0]
    for character in text:
        at_byte.append(at_byte[-1] + len(character.encode()))
    return {
        "ids": ids,
        "with_special": tokenizer(text)["input_ids"],
        "offsets": [at_byte[at] for pair in plain["offset_mapping"] for at in pair],
        "decoded": tokenizer.decode(ids, clean_up_tokenization_spaces=False),
        "without_special": tokenizer.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        ),
    }


def rendered(tokenizer, messages, add_generation_prompt):
    case = {"messages": messages, "add_generation_prompt": add_generation_prompt}
    try:
        case["text"] = tokenizer.apply_chat_template(
            messages, add_generation_prompt=add_generation_prompt, tokenize=False
        )
    except Exception as error:
        case["error"] = str(error)
    return case


def main():
    made_with = {name: version(name) for name in ("transformers", "tokenizers", "jinja2")}
    for name in sys.argv[1:] or ("smollm2", "qwen3", "llama3", "gemma3"):
        tokenizer = (
            smollm2() if name == "smollm2" else AutoTokenizer.from_pretrained(ROOT / ".deps/tokenizers" / name)
        )
        golden = {
            "made_with": made_with,
            "bos": tokenizer.bos_token_id,
            "eos": tokenizer.eos_token_id,
            "vocab_size": len(tokenizer),
            "texts": [encoded(tokenizer, text) for text in hard_strings()],
            "chats": [rendered(tokenizer, chat, prompt) for chat in CHATS for prompt in (False, True)],
        }
        path = DATA / f"{name}_golden.json"
        with path.open("w") as out:
            # A line a case, so that a change is easy to read.
            lines = lambda cases: "[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]"
            head = [f'"{key}": {json.dumps(golden[key])}' for key in ("made_with", "bos", "eos", "vocab_size")]
            out.write("{\n" + ",\n".join(head))
            out.write(f',\n"texts": {lines(golden["texts"])},\n"chats": {lines(golden["chats"])}\n}}\n')
        print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
