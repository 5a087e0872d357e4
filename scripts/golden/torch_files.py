"""Files that torch itself writes, of every layout, dtype and protocol, for the tests of the pickle reader;
made by dialects.py into tests/data/dialects/torch."""

import torch


def make(target):
    target.mkdir(parents=True, exist_ok=True)
    grid = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    everything = {"transposed": grid.T, "slice": grid[1:, 1:3], "step": grid.flatten()[1::3], "shared": grid,
                  "parameter": torch.nn.Parameter(torch.ones(2)), "scalar": torch.tensor(7.5), "empty": torch.zeros(0, 3)}
    for name, dtype in (("f64", torch.float64), ("f16", torch.float16), ("bf16", torch.bfloat16), ("i64", torch.int64),
                        ("i32", torch.int32), ("i16", torch.int16), ("i8", torch.int8), ("u8", torch.uint8),
                        ("bool", torch.bool)):
        everything[name] = torch.tensor([0, 1, 2]).to(dtype)
    everything |= {"int": 5, "big": 2**40, "negative": -3, "float": 0.25, "none": None, "true": True, "text": "aé",
                   "list": [1, "x", [2.0]], "tuple": (1, 2), "dict": {"a": {"b": 1}, 3: 4}}
    for protocol in (2, 3, 4, 5):
        torch.save(everything, target / f"protocol{protocol}.pt", pickle_protocol=protocol)
    torch.save(torch.nn.Linear(2, 3).state_dict(), target / "state_dict.pt")
    torch.save({"w": grid}, target / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.save(torch.nn.Linear(2, 3), target / "module.pt")
