//! `tokenizers::Tokenizer` behind C functions. A tokenizer is immutable once made and may be used from
//! several threads;
//! each call works on the thread that makes it.

use crate::border::{array, guard, leak, reclaim, text_of, OwnedString, Slice};
use serde::Deserialize;
use std::str::FromStr;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, Tokenizer};

/// Ids above this are refused: no vocabulary comes near, and tables are made one entry an id.
const MAX_ID: u32 = 1 << 24;

/// Encoded texts, laid end to end. Text i is tokens [ends[i - 1], ends[i]).
#[repr(C)]
pub struct Tokens {
    ids: *mut i32,
    n_tokens: usize,
    offsets: *mut u32,
    n_offsets: usize,
    ends: *mut usize,
    n_texts: usize,
}

/// What the files beside tokenizer.json say, applied as transformers applies it.
#[derive(Deserialize)]
struct Settings {
    /// Added where they are missing, or where their properties differ.
    added_tokens: Vec<AddedToken>,
    /// Replaces the post-processor: [BOS, text, EOS], each of the two where it is named.
    wrap: Option<Wrap>,
}

#[derive(Deserialize)]
struct Wrap {
    bos: Option<String>,
    eos: Option<String>,
}

fn new_tokenizer(json: &str, settings: &str) -> Result<Tokenizer, String> {
    let settings: Settings = serde_json::from_str(settings).map_err(text_of)?;
    let mut tokenizer = Tokenizer::from_str(json).map_err(text_of)?;
    // transformers sets both anew at every call, from its arguments; by default there is neither.
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(text_of)?;
    tokenizer.add_tokens(settings.added_tokens).map_err(text_of)?;
    if let Some(wrap) = settings.wrap {
        let template = wrap_template(&tokenizer, &wrap)?;
        tokenizer.with_post_processor(Some(template));
    }
    Ok(tokenizer)
}

fn wrap_template(tokenizer: &Tokenizer, wrap: &Wrap) -> Result<TemplateProcessing, String> {
    let mut special = Vec::new();
    for token in [&wrap.bos, &wrap.eos].into_iter().flatten() {
        let id = tokenizer.token_to_id(token).ok_or_else(|| format!("{token:?} is no token"))?;
        special.push((token.clone(), id));
    }
    let parts = [wrap.bos.clone(), Some("$A".to_string()), wrap.eos.clone()];
    let single: Vec<String> = parts.into_iter().flatten().map(|part| part + ":0").collect();
    let mut template = TemplateProcessing::builder();
    template.try_single(single).map_err(text_of)?.special_tokens(special);
    template.build().map_err(text_of)
}

/// Special flag of every id in [0, number of ids).
fn special_flags(tokenizer: &Tokenizer) -> Result<Vec<u8>, String> {
    let vocab = tokenizer.get_vocab(true);
    let last = vocab.values().max().copied().ok_or("the vocabulary is empty")?;
    if last > MAX_ID {
        return Err(format!("token id {last} is above {MAX_ID}"));
    }
    let mut flags = vec![0; last as usize + 1];
    for (id, token) in tokenizer.get_added_tokens_decoder() {
        if token.special && (id as usize) < flags.len() {
            flags[id as usize] = 1;
        }
    }
    Ok(flags)
}

fn encode(
    tokenizer: &Tokenizer,
    texts: &[Slice],
    add_special: bool,
    with_offsets: bool,
) -> Result<Tokens, String> {
    let mut ids = Vec::new();
    let mut offsets = Vec::new();
    let mut ends = Vec::with_capacity(texts.len());
    for slice in texts {
        // Safe: the caller of text_rs_encode lends the texts for the time of the call.
        let text = unsafe { slice.text() }?;
        let encoding = if with_offsets {
            tokenizer.encode(text, add_special)
        } else {
            tokenizer.encode_fast(text, add_special)
        };
        let encoding = encoding.map_err(text_of)?;
        ids.extend(encoding.get_ids().iter().map(|&id| id as i32));
        if with_offsets {
            let pairs = encoding.get_offsets().iter();
            offsets.extend(pairs.flat_map(|&(begin, end)| [begin as u32, end as u32]));
        }
        ends.push(ids.len());
    }
    let (ids, n_tokens) = leak(ids);
    let (offsets, n_offsets) = leak(offsets);
    let (ends, n_texts) = leak(ends);
    Ok(Tokens { ids, n_tokens, offsets, n_offsets, ends, n_texts })
}

#[no_mangle]
pub unsafe extern "C" fn text_rs_tokenizer_new(
    json: Slice,
    settings: Slice,
    out: *mut *mut Tokenizer,
    error: *mut OwnedString,
) -> bool {
    guard(out, error, || {
        Ok(Box::into_raw(Box::new(new_tokenizer(json.text()?, settings.text()?)?)))
    })
}

#[no_mangle]
pub unsafe extern "C" fn text_rs_tokenizer_free(tokenizer: *mut Tokenizer) {
    if !tokenizer.is_null() {
        drop(Box::from_raw(tokenizer));
    }
}

#[no_mangle]
pub unsafe extern "C" fn text_rs_tokenizer_special(
    tokenizer: *const Tokenizer,
    out: *mut OwnedString,
    error: *mut OwnedString,
) -> bool {
    guard(out, error, || {
        let flags = special_flags(&*tokenizer)?;
        // Bytes 0 and 1 are valid UTF-8.
        Ok(OwnedString::new(String::from_utf8(flags).map_err(text_of)?))
    })
}

#[no_mangle]
pub unsafe extern "C" fn text_rs_encode(
    tokenizer: *const Tokenizer,
    texts: *const Slice,
    n_texts: usize,
    add_special: bool,
    with_offsets: bool,
    out: *mut Tokens,
    error: *mut OwnedString,
) -> bool {
    guard(out, error, || {
        encode(&*tokenizer, array(texts, n_texts), add_special, with_offsets)
    })
}

#[no_mangle]
pub unsafe extern "C" fn text_rs_tokens_free(tokens: Tokens) {
    reclaim(tokens.ids, tokens.n_tokens);
    reclaim(tokens.offsets, tokens.n_offsets);
    reclaim(tokens.ends, tokens.n_texts);
}

#[no_mangle]
pub unsafe extern "C" fn text_rs_decode(
    tokenizer: *const Tokenizer,
    ids: *const i32,
    n_ids: usize,
    skip_special: bool,
    out: *mut OwnedString,
    error: *mut OwnedString,
) -> bool {
    guard(out, error, || {
        let ids: Vec<u32> = array(ids, n_ids).iter().map(|&id| id as u32).collect();
        (*tokenizer).decode(&ids, skip_special).map(OwnedString::new).map_err(text_of)
    })
}

#[no_mangle]
pub unsafe extern "C" fn text_rs_token_text(
    tokenizer: *const Tokenizer,
    id: i32,
    out: *mut OwnedString,
    error: *mut OwnedString,
) -> bool {
    guard(out, error, || {
        let token = (*tokenizer).id_to_token(id as u32);
        token.map(OwnedString::new).ok_or_else(|| format!("no token has the id {id}"))
    })
}

/// The token's id, or -1.
#[no_mangle]
pub unsafe extern "C" fn text_rs_token_id(
    tokenizer: *const Tokenizer,
    token: Slice,
    out: *mut i32,
    error: *mut OwnedString,
) -> bool {
    guard(out, error, || {
        Ok((*tokenizer).token_to_id(token.text()?).map_or(-1, |id| id as i32))
    })
}
