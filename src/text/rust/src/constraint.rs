//! Constrained decoding (llguidance): which tokens may come next, so that an answer becomes JSON of a schema, a match of a
//! regular expression, or one of a few choices.

use crate::border::{array, guard, text_of, OwnedString, Slice};
use crate::schema::{check, pointer, Refusal, Step};
use llguidance::api::{ParserLimits, StopReason, TopLevelGrammar};
use llguidance::earley::SlicedBiasComputer;
use llguidance::toktrie::{
    ApproximateTokEnv, InferenceCapabilities, SimpleVob, TokEnv, TokRxInfo, TokTrie,
};
use llguidance::{JsonCompileOptions, Matcher, ParserFactory};
use serde_json::Value;
use std::sync::Arc;

/// The tries cannot hold longer tokens; such a one (a thousand blanks) is never allowed.
const MAX_TOKEN_BYTES: usize = 1000;
/// Of a schema, an expression or a list of choices. What is built from it is walked recursively, on a stack that holds the
/// deepest chain of references that fits here.
const MAX_SOURCE_BYTES: usize = 128 << 10;
const STACK_BYTES: usize = 256 << 20;
/// What may stand between the parts of JSON: a blank, or one or two line ends and an indent, as in llama.cpp. Without a
/// limit a small model may write blanks to the end of its days.
const WHITESPACE: &str = r" |\n{1,2}[ \t]{0,20}";

/// Of a long error, at its beginning and at its end.
const SHOWN_CHARS: usize = 150;

/// Tokens as a trie of their bytes, which all constraints of a tokenizer share.
pub struct Vocabulary(ParserFactory);

/// A constraint and how far an answer has come in it.
pub struct Constraint {
    matcher: Matcher,
    mask: SimpleVob,
}

/// Bits of the tokens that may come next, 32 a word; lent until the next call on its constraint.
#[repr(C)]
pub struct Mask {
    words: *const u32,
    n_words: usize,
}

/// Far above what schemas in use need; a hostile one ends here within about a second and some tens of megabytes.
fn limits() -> ParserLimits {
    ParserLimits {
        initial_lexer_fuel: 1_000_000,
        max_grammar_size: 100_000,
        max_items_in_row: 2_000,
        step_lexer_fuel: 200_000,
        step_max_items: 50_000,
        max_lexer_states: 30_000,
        precompute_large_lexemes: false,
        verbose_errors: false,
    }
}

fn new_vocabulary(bytes: &[u8], ends: &[usize], end_tokens: &[i32]) -> Result<Vocabulary, String> {
    let mut words = Vec::with_capacity(ends.len());
    let mut begin = 0;
    for &end in ends {
        let word = bytes.get(begin..end).ok_or("the tokens' ends do not rise")?;
        words.push(if word.len() <= MAX_TOKEN_BYTES { word.to_vec() } else { Vec::new() });
        begin = end;
    }
    let end_tokens: Vec<u32> = end_tokens.iter().map(|&id| id as u32).collect();
    let first = *end_tokens.first().ok_or("the model has no token that ends an answer")?;
    let trie = TokTrie::from(&TokRxInfo::new(words.len() as u32, first), &words);
    // Not canonical: which of several spellings of a text it takes is left to the model.
    let env: TokEnv = Arc::new(ApproximateTokEnv::new(trie.with_eos_tokens(&end_tokens)));
    let slices = SlicedBiasComputer::json_slices();
    let mut factory =
        ParserFactory::new(&env, InferenceCapabilities::default(), &slices).map_err(text_of)?;
    factory.quiet();
    *factory.limits_mut() = limits();
    Ok(Vocabulary(factory))
}

fn schema_grammar(schema: &str) -> Result<TopLevelGrammar, Refusal> {
    let mut schema: Value = serde_json::from_str(schema).map_err(|e| {
        Refusal::at("", format!("expected JSON, got none: {e}"), "correct the JSON")
    })?;
    check(&schema)?;
    let options = JsonCompileOptions {
        whitespace_pattern: Some(WHITESPACE.into()),
        ..JsonCompileOptions::default()
    };
    options.apply_to(&mut schema);
    Ok(TopLevelGrammar::from_json_schema(schema))
}

/// `\` before the end would be lost on the way.
fn regex_grammar(regex: &str) -> Result<TopLevelGrammar, Refusal> {
    if regex.is_empty() {
        let remedy = "give one, or leave the form out";
        return Err(Refusal::at("", "expected an expression, got nothing", remedy));
    }
    if (regex.len() - regex.trim_end_matches('\\').len()) % 2 == 1 {
        let problem = "expected a character after the last '\\', got the end";
        return Err(Refusal::at("", problem, "write '\\\\' for the character itself"));
    }
    Ok(TopLevelGrammar::from_regex(regex))
}

fn choice_grammar(choices: &str) -> Result<TopLevelGrammar, Refusal> {
    let choices: Vec<String> = serde_json::from_str(choices).map_err(|e| {
        Refusal::at("", format!("expected a list of texts: {e}"), "give texts to choose from")
    })?;
    if choices.is_empty() {
        let remedy = "give texts to choose from";
        return Err(Refusal::at("", "expected at least one choice, got none", remedy));
    }
    if let Some(at) = choices.iter().position(String::is_empty) {
        let problem = "expected a text of at least a character, got an empty one";
        return Err(Refusal::at(pointer([Step::Index(at)]), problem, "leave it out"));
    }
    let literals: Vec<String> = choices.iter().map(|choice| escaped(choice)).collect();
    regex_grammar(&literals.join("|"))
}

fn escaped(text: &str) -> String {
    let escape = |c: char| match c {
        _ if c.is_ascii_alphanumeric() || !c.is_ascii() => c.to_string(),
        _ => format!("\\x{:02x}", c as u32),
    };
    text.chars().map(escape).collect()
}

/// Its own words in a line, without the state and the stack that it shows beside them. They may quote all of the source.
fn words_of(error: &str) -> String {
    let own = &error[..error.find("\n<").unwrap_or(error.len())];
    if own == StopReason::NoExtensionBias.to_string() {
        return "no text fits it".into();
    }
    let line = own.split_whitespace().collect::<Vec<_>>().join(" ");
    let chars: Vec<char> = line.chars().collect();
    if chars.len() <= 2 * SHOWN_CHARS {
        return line;
    }
    // What is wrong is often said last.
    let begin: String = chars[..SHOWN_CHARS].iter().collect();
    let end: String = chars[chars.len() - SHOWN_CHARS..].iter().collect();
    format!("{begin} ... {end}")
}

fn new_constraint(
    vocabulary: &ParserFactory,
    kind: &str,
    source: &str,
) -> Result<Constraint, Refusal> {
    if source.len() > MAX_SOURCE_BYTES {
        let problem = format!("expected at most {MAX_SOURCE_BYTES} bytes, got {}", source.len());
        return Err(Refusal::at("", problem, "ask for a shorter one"));
    }
    let grammar = match kind {
        "json_schema" => schema_grammar(source)?,
        "regex" => regex_grammar(source)?,
        "choice" => choice_grammar(source)?,
        _ => return Err(format!("there is no constraint {kind}").into()),
    };
    let parser = vocabulary.create_parser(grammar);
    let parser = parser.map_err(|error| words_of(&format!("{error:#}")))?;
    let mut matcher = Matcher::new(Ok(parser));
    // What cannot be begun is better known now.
    let mask = matcher.compute_mask_or_eos().map_err(|e| words_of(&e.to_string()))?;
    Ok(Constraint { matcher, mask })
}

/// Runs `body` on a thread with room for deep recursion; its panic goes on here.
fn on_a_deep_stack<T: Send>(
    body: impl FnOnce() -> Result<T, Refusal> + Send,
) -> Result<T, Refusal> {
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(STACK_BYTES);
        let thread = builder.spawn_scoped(scope, body).map_err(text_of)?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[no_mangle]
pub unsafe extern "C" fn text_rs_vocabulary_new(
    bytes: Slice,
    ends: *const usize,
    n_tokens: usize,
    end_tokens: *const i32,
    n_end_tokens: usize,
    out: *mut *mut Vocabulary,
    error: *mut OwnedString,
) -> bool {
    guard(out, error, || {
        let ends = array(ends, n_tokens);
        let vocabulary = new_vocabulary(bytes.bytes(), ends, array(end_tokens, n_end_tokens))?;
        Ok(Box::into_raw(Box::new(vocabulary)))
    })
}

#[no_mangle]
pub unsafe extern "C" fn text_rs_vocabulary_free(vocabulary: *mut Vocabulary) {
    if !vocabulary.is_null() {
        drop(Box::from_raw(vocabulary));
    }
}

/// An error is three lines, of which the first and the last may be empty: place, problem, remedy.
#[no_mangle]
pub unsafe extern "C" fn text_rs_constraint_new(
    vocabulary: *const Vocabulary,
    kind: Slice,
    source: Slice,
    out: *mut *mut Constraint,
    error: *mut OwnedString,
) -> bool {
    guard(out, error, || {
        let (vocabulary, kind, source) = (&(*vocabulary).0, kind.text()?, source.text()?);
        let constraint = on_a_deep_stack(|| new_constraint(vocabulary, kind, source));
        let constraint = constraint.map_err(Refusal::lines)?;
        Ok(Box::into_raw(Box::new(constraint)))
    })
}

#[no_mangle]
pub unsafe extern "C" fn text_rs_constraint_free(constraint: *mut Constraint) {
    if !constraint.is_null() {
        drop(Box::from_raw(constraint));
    }
}

#[no_mangle]
pub unsafe extern "C" fn text_rs_constraint_mask(
    constraint: *mut Constraint,
    out: *mut Mask,
    error: *mut OwnedString,
) -> bool {
    guard(out, error, || {
        let constraint = &mut *constraint;
        let mask = constraint.matcher.compute_mask_or_eos();
        constraint.mask = mask.map_err(|e| words_of(&e.to_string()))?;
        let words = constraint.mask.as_slice();
        Ok(Mask { words: words.as_ptr(), n_words: words.len() })
    })
}

/// Gives whether the answer is over: nothing but an end token may follow.
#[no_mangle]
pub unsafe extern "C" fn text_rs_constraint_take(
    constraint: *mut Constraint,
    token: i32,
    out: *mut bool,
    error: *mut OwnedString,
) -> bool {
    guard(out, error, || {
        let matcher = &mut (*constraint).matcher;
        matcher.consume_token(token as u32).map_err(|e| words_of(&e.to_string()))?;
        Ok(matcher.is_stopped())
    })
}
