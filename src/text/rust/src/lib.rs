//! The Rust half of the text room: Hugging Face tokenizers, chat templates, constrained decoding and
//! parquet (and t-SNE, which the atlas borrows), behind the C functions that `src/text/text_rs.h`
//! documents. Every function catches panics: an error comes back as a string that the caller owns, and
//! nothing unwinds into C.

mod border;
mod constraint;
mod endless;
mod landscape;
mod parquet_rows;
mod python;
mod python_json;
mod schema;
mod template;
mod tokenizer;
