"""Writes tests/data/text/*.parquet: small files as data sets come, for corpus_test.cc.

    pip install pyarrow        (26.0.1 made the committed files)
    python scripts/golden/make_parquet_samples.py
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

DATA = Path(__file__).resolve().parents[2] / "tests/data/text"


def main():
    texts = [f"document {i} नमस्ते" for i in range(10)]
    table = pa.table({"id": range(10), "text": texts, "score": [0.5] * 10})
    # Several row groups, and dictionary and plain pages; brotli is refused by name.
    for codec in ("none", "snappy", "gzip", "zstd", "lz4", "brotli"):
        pq.write_table(table, DATA / f"text_{codec}.parquet", compression=codec, row_group_size=4)
    pq.write_table(
        table,
        DATA / "text_v2.parquet",
        compression="zstd",
        data_page_version="2.0",
        use_dictionary=False,
        column_encoding={"text": "DELTA_BYTE_ARRAY"},
        row_group_size=4,
    )
    pq.write_table(
        pa.table({"text": pa.array(["good", None, "", "large"], pa.large_string())}),
        DATA / "text_with_gaps.parquet",
    )
    pq.write_table(
        pa.table({"text": pa.array([b"raw bytes", b"\xff\xfe"], pa.binary())}),
        DATA / "text_binary.parquet",
    )
    # Keys out of the alphabet's order: templates may walk over them.
    message = pa.struct([("role", pa.string()), ("content", pa.string())])
    chats = [
        [{"role": "user", "content": "one"}, {"role": "assistant", "content": "1"}],
        [{"role": "user", "content": "two"}],
    ]
    pq.write_table(
        pa.table({"messages": pa.array(chats, pa.list_(message)), "source": ["a", "b"]}),
        DATA / "messages.parquet",
    )
    for path in sorted(DATA.glob("*.parquet")):
        print(path.name, path.stat().st_size)


if __name__ == "__main__":
    main()
