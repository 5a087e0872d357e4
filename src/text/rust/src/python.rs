//! Python's methods of str, list and dict where minijinja has none or another, and Python's way to print and to read
//! numbers. What is not here falls through to minijinja's own `pycompat`; what that lacks is an error with its name.

use minijinja::value::{from_args, Kwargs, Rest, Tuple, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat::unknown_method_callback;

pub fn refused(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, text.into())
}

/// Pays for a text of `n` bytes before it is made.
fn charge(state: &State, n: usize) -> Result<(), Error> {
    state.consume_fuel((n / 64) as u64)
}

/// Whitespace of str.split() and str.strip(): Unicode's, and the four separators of ASCII.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

pub fn trimmed<'a>(text: &'a str, chars: Option<&str>) -> &'a str {
    match chars {
        Some(chars) => text.trim_matches(|c| chars.contains(c)),
        None => text.trim_matches(is_space),
    }
}

/// Python's range of characters `start..end`, either of which may be missing or negative: the bytes it stands for, and
/// the number of characters before it. Nothing where it begins behind the end of the text.
fn slice_of(text: &str, start: Option<i64>, end: Option<i64>) -> Option<(&str, i64)> {
    let n = text.chars().count() as i64;
    let clamped = |at: i64| (if at < 0 { at + n } else { at }).max(0);
    let (start, end) = (clamped(start.unwrap_or(0)), clamped(end.unwrap_or(n)).min(n));
    if start > end {
        return None;
    }
    let byte = |at: i64| text.char_indices().nth(at as usize).map_or(text.len(), |(byte, _)| byte);
    Some((&text[byte(start)..byte(end)], start))
}

fn list_of<'a>(parts: impl IntoIterator<Item = &'a str>) -> Value {
    parts.into_iter().map(Value::from).collect()
}

fn tuple_of(parts: [&str; 3]) -> Value {
    Value::from(Tuple::from(parts.map(Value::from).to_vec()))
}

/// split() without a separator: runs of whitespace part the words; what is left after `most` of them stays as it is.
fn words(text: &str, most: usize) -> Vec<&str> {
    let mut rest = text.trim_start_matches(is_space);
    let mut parts = Vec::new();
    while parts.len() < most && !rest.is_empty() {
        let end = rest.find(is_space).unwrap_or(rest.len());
        parts.push(&rest[..end]);
        rest = rest[end..].trim_start_matches(is_space);
    }
    parts.extend(Some(rest).filter(|rest| !rest.is_empty()));
    parts
}

/// The same from the end.
fn words_from_the_end(text: &str, most: usize) -> Vec<&str> {
    let mut rest = text.trim_end_matches(is_space);
    let mut parts = Vec::new();
    while parts.len() < most && !rest.is_empty() {
        let start = rest.trim_end_matches(|c| !is_space(c)).len();
        parts.push(&rest[start..]);
        rest = rest[..start].trim_end_matches(is_space);
    }
    parts.extend(Some(rest).filter(|rest| !rest.is_empty()));
    parts.reverse();
    parts
}

fn split(text: &str, args: &[Value], from_the_end: bool) -> Result<Value, Error> {
    let (separator, most, names): (Option<Value>, Option<i64>, Kwargs) = from_args(args)?;
    let separator = match separator {
        Some(value) => Some(value),
        None => names.get::<Option<Value>>("sep")?,
    };
    let most = match most {
        Some(most) => Some(most),
        None => names.get("maxsplit")?,
    };
    names.assert_all_used()?;
    let most = usize::try_from(most.unwrap_or(-1)).unwrap_or(usize::MAX);
    let Some(separator) = separator.filter(|value| !value.is_none()) else {
        let parts = if from_the_end { words_from_the_end(text, most) } else { words(text, most) };
        return Ok(list_of(parts));
    };
    let separator = separator.as_str().ok_or_else(|| refused("the separator must be a string"))?;
    if separator.is_empty() {
        return Err(refused("empty separator"));
    }
    let parts = most.saturating_add(1);
    if !from_the_end {
        return Ok(list_of(text.splitn(parts, separator)));
    }
    let mut reversed: Vec<&str> = text.rsplitn(parts, separator).collect();
    reversed.reverse();
    Ok(list_of(reversed))
}

/// Line ends of str.splitlines(); "\r\n" is one.
fn splitlines(text: &str, keep_ends: bool) -> Value {
    let is_end = |c: char| matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(is_end).unwrap_or(rest.len());
        let width = match rest[end..].chars().next() {
            Some('\r') if rest[end + 1..].starts_with('\n') => 2,
            Some(c) => c.len_utf8(),
            None => 0,
        };
        lines.push(Value::from(&rest[..if keep_ends { end + width } else { end }]));
        rest = &rest[end + width..];
    }
    lines.into_iter().collect()
}

fn swapcase(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_uppercase() {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
    }
    out
}

fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_word = false;
    for c in text.chars() {
        if in_word {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        in_word = c.is_lowercase() || c.is_uppercase();
    }
    out
}

fn is_title(text: &str) -> bool {
    let (mut in_word, mut any) = (false, false);
    for c in text.chars() {
        if (c.is_uppercase() && in_word) || (c.is_lowercase() && !in_word) {
            return false;
        }
        in_word = c.is_lowercase() || c.is_uppercase();
        any |= in_word;
    }
    any
}

/// isdigit(), isdecimal() and isnumeric() differ beyond ASCII in what only Unicode's tables tell.
fn is_number(text: &str, method: &str) -> Result<bool, Error> {
    if text.is_empty() || text.chars().any(|c| c.is_ascii() && !c.is_ascii_digit()) {
        return Ok(false);
    }
    if text.is_ascii() {
        return Ok(true);
    }
    match (method, text.chars().all(|c| c.is_ascii_digit() || c.is_numeric())) {
        ("isdigit" | "isdecimal", false) => Ok(false),
        _ => Err(refused(format!("{method}() of digits beyond ASCII is not supported"))),
    }
}

fn padded(state: &State, text: &str, args: &[Value], share_left: fn(usize, usize) -> usize) -> Result<Value, Error> {
    let (width, fill): (i64, Option<&str>) = from_args(args)?;
    let width = usize::try_from(width).unwrap_or(0);
    let fill = fill.unwrap_or(" ");
    if fill.chars().count() != 1 {
        return Err(refused("the fill character must be exactly one character long"));
    }
    let missing = width.saturating_sub(text.chars().count());
    charge(state, missing.saturating_mul(fill.len()))?;
    let left = share_left(missing, width);
    Ok(format!("{}{}{}", fill.repeat(left), text, fill.repeat(missing - left)).into())
}

fn zfill(state: &State, text: &str, width: i64) -> Result<Value, Error> {
    let missing = usize::try_from(width).unwrap_or(0).saturating_sub(text.chars().count());
    charge(state, missing)?;
    let (sign, digits) = text.split_at(usize::from(text.starts_with(['+', '-'])));
    Ok(format!("{sign}{}{digits}", "0".repeat(missing)).into())
}

fn expandtabs(state: &State, text: &str, size: usize) -> Result<Value, Error> {
    charge(state, text.matches('\t').count().saturating_mul(size))?;
    let mut out = String::with_capacity(text.len());
    let mut column = 0;
    for c in text.chars() {
        match c {
            '\t' if size > 0 => {
                let n = size - column % size;
                out.push_str(&" ".repeat(n));
                column += n;
            }
            '\t' => (),
            _ => {
                out.push(c);
                column = if matches!(c, '\n' | '\r') { 0 } else { column + 1 };
            }
        }
    }
    Ok(out.into())
}

/// find, rfind, index, rindex and count: (text, start, end).
fn search(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let (what, start, end): (&str, Option<i64>, Option<i64>) = from_args(args)?;
    let within = slice_of(text, start, end);
    if method == "count" {
        // An empty text stands before every character and at the end.
        return Ok(within.map_or(0, |(part, _)| part.matches(what).count()).into());
    }
    let found = within.and_then(|(part, before)| {
        let at = if method.starts_with('r') { part.rfind(what) } else { part.find(what) };
        at.map(|at| before + part[..at].chars().count() as i64)
    });
    match found {
        Some(at) => Ok(at.into()),
        None if method.ends_with("index") => Err(refused("substring not found")),
        None => Ok((-1).into()),
    }
}

/// startswith and endswith: (text or a tuple of texts, start, end).
fn has_affix(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let (affix, start, end): (&Value, Option<i64>, Option<i64>) = from_args(args)?;
    let fits = |affix: &Value| {
        let affix = affix.as_str().ok_or_else(|| refused(format!("{method}() takes a string or a tuple of strings")))?;
        Ok(slice_of(text, start, end)
            .is_some_and(|(part, _)| if method == "startswith" { part.starts_with(affix) } else { part.ends_with(affix) }))
    };
    if !affix.is_tuple() {
        return fits(affix).map(Value::from);
    }
    for one in affix.try_iter()? {
        if fits(&one)? {
            return Ok(true.into());
        }
    }
    Ok(false.into())
}

fn join(state: &State, separator: &str, args: &[Value]) -> Result<Value, Error> {
    let (items,): (&Value,) = from_args(args)?;
    let mut out = String::new();
    for (i, item) in items.try_iter()?.enumerate() {
        let part = item.as_str().ok_or_else(|| refused(format!("sequence item {i}: expected a string, got {}", item.kind())))?;
        if i > 0 {
            charge(state, separator.len())?;
            out.push_str(separator);
        }
        out.push_str(part);
    }
    Ok(out.into())
}

fn partition(text: &str, args: &[Value], from_the_end: bool) -> Result<Value, Error> {
    let (separator,): (&str,) = from_args(args)?;
    if separator.is_empty() {
        return Err(refused("empty separator"));
    }
    let parts = if from_the_end { text.rsplit_once(separator) } else { text.split_once(separator) };
    Ok(match parts {
        Some((before, after)) => tuple_of([before, separator, after]),
        None if from_the_end => tuple_of(["", "", text]),
        None => tuple_of([text, "", ""]),
    })
}

fn string_method(state: &mut State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let Some(text) = value.as_str() else {
        return unknown_method_callback(state, value, method, args);
    };
    match method {
        "split" => split(text, args, false),
        "rsplit" => split(text, args, true),
        "partition" => partition(text, args, false),
        "rpartition" => partition(text, args, true),
        "splitlines" => {
            let (keep_ends, names): (Option<bool>, Kwargs) = from_args(args)?;
            let keep_ends = keep_ends.or(names.get("keepends")?);
            names.assert_all_used()?;
            Ok(splitlines(text, keep_ends.unwrap_or(false)))
        }
        "strip" | "lstrip" | "rstrip" => {
            let (chars,): (Option<&str>,) = from_args(args)?;
            let stripped = |c: char| chars.map_or_else(|| is_space(c), |chars| chars.contains(c));
            Ok(match method {
                "lstrip" => text.trim_start_matches(stripped),
                "rstrip" => text.trim_end_matches(stripped),
                _ => text.trim_matches(stripped),
            }
            .into())
        }
        "removeprefix" | "removesuffix" => {
            let (affix,): (&str,) = from_args(args)?;
            let cut = if method == "removeprefix" { text.strip_prefix(affix) } else { text.strip_suffix(affix) };
            Ok(cut.unwrap_or(text).into())
        }
        "find" | "rfind" | "index" | "rindex" | "count" => search(text, method, args),
        "startswith" | "endswith" => has_affix(text, method, args),
        "join" => join(state, text, args),
        "ljust" => padded(state, text, args, |_, _| 0),
        "rjust" => padded(state, text, args, |missing, _| missing),
        // CPython's own rounding.
        "center" => padded(state, text, args, |missing, width| missing / 2 + (missing & width & 1)),
        "zfill" => {
            let (width,): (i64,) = from_args(args)?;
            zfill(state, text, width)
        }
        "expandtabs" => {
            let (size,): (Option<i64>,) = from_args(args)?;
            expandtabs(state, text, usize::try_from(size.unwrap_or(8)).unwrap_or(0))
        }
        "isdigit" | "isdecimal" | "isnumeric" => {
            let () = from_args(args)?;
            is_number(text, method).map(Value::from)
        }
        "isspace" => {
            let () = from_args(args)?;
            Ok((!text.is_empty() && text.chars().all(is_space)).into())
        }
        "istitle" => {
            let () = from_args(args)?;
            Ok(is_title(text).into())
        }
        "title" => {
            let () = from_args(args)?;
            Ok(title(text).into())
        }
        "swapcase" => {
            let () = from_args(args)?;
            Ok(swapcase(text).into())
        }
        "casefold" => {
            let () = from_args(args)?;
            let folded = text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
            Ok(folded.collect::<String>().into())
        }
        _ => unknown_method_callback(state, value, method, args),
    }
}

/// The callback of the environment for methods that a value does not have itself.
pub fn method(state: &mut State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    match (value.kind(), method) {
        (ValueKind::String, _) => string_method(state, value, method, args),
        // Values do not change: a copy is the value.
        (ValueKind::Seq | ValueKind::Map, "copy") => {
            let () = from_args(args)?;
            Ok(value.clone())
        }
        (ValueKind::Seq, "index") => {
            let (what,): (&Value,) = from_args(args)?;
            let at = value.try_iter()?.position(|item| item == *what);
            at.map(Value::from).ok_or_else(|| refused(format!("{what} is not in the list")))
        }
        _ => unknown_method_callback(state, value, method, args),
    }
}

/// repr() of a float: the shortest digits that read back, with an exponent below 1e-4 and from 1e16 on.
pub fn float_text(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() || value == 0.0 || (1e-4..1e16).contains(&value.abs()) {
        return Value::from(value).to_string();
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, size) = exponent.strip_prefix('-').map_or(('+', exponent), |size| ('-', size));
    format!("{digits}e{sign}{size:0>2}")
}

fn as_float(value: &Value) -> Option<f64> {
    let is_float = value.kind() == ValueKind::Number && !value.is_integer();
    is_float.then(|| f64::try_from(value.clone()).ok()).flatten()
}

/// str() where it differs from minijinja's.
pub fn text_of_float(value: &Value) -> Option<String> {
    as_float(value).map(float_text)
}

/// int(text, base): blanks around it, one underscore between digits.
fn integer_in(text: &str, base: u32) -> Option<i128> {
    let text = trimmed(text, None);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let prefix = match base {
        2 => "0b",
        8 => "0o",
        16 => "0x",
        _ => "",
    };
    let digits = match digits.get(..prefix.len()) {
        Some(head) if !prefix.is_empty() && head.eq_ignore_ascii_case(prefix) => &digits[prefix.len()..],
        _ => digits,
    };
    let digits = without_underscores(digits)?;
    if !(2..=36).contains(&base) || !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let value = i128::from_str_radix(&digits, base).ok()?;
    Some(if negative { -value } else { value })
}

fn without_underscores(digits: &str) -> Option<String> {
    let stray = digits.starts_with('_') || digits.ends_with('_') || digits.contains("__");
    (!stray).then(|| digits.replace('_', ""))
}

fn float_in(text: &str) -> Option<f64> {
    without_underscores(trimmed(text, None))?.parse().ok()
}

/// A filter's argument that may be given by place or by name.
fn argument(place: Option<Value>, names: &Kwargs, name: &str) -> Result<Option<Value>, Error> {
    match place {
        Some(value) => Ok(Some(value)),
        None => names.get(name),
    }
}

/// Jinja's `int`: what cannot be read gives the default.
pub fn int(value: &Value, args: Rest<Value>, names: Kwargs) -> Result<Value, Error> {
    let default = argument(args.first().cloned(), &names, "default")?.unwrap_or(0.into());
    let base = argument(args.get(1).cloned(), &names, "base")?.map_or(Ok(10), u32::try_from)?;
    names.assert_all_used()?;
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    if value.is_integer() {
        return Ok(value.clone());
    }
    let whole = |x: f64| (x.is_finite() && x.abs() < 1e38).then(|| Value::from(x.trunc() as i128));
    let read = match (value.kind(), value.as_str()) {
        (ValueKind::Bool, _) => Some(Value::from(i64::from(value.is_true()))),
        (ValueKind::Number, _) => as_float(value).and_then(whole),
        (_, Some(text)) => integer_in(text, base).map(Value::from).or_else(|| float_in(text).and_then(whole)),
        _ => None,
    };
    Ok(read.unwrap_or(default))
}

/// Jinja's `float`.
pub fn float(value: &Value, args: Rest<Value>, names: Kwargs) -> Result<Value, Error> {
    let default = argument(args.first().cloned(), &names, "default")?.unwrap_or(0.0.into());
    names.assert_all_used()?;
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    let read = match (value.kind(), value.as_str()) {
        (ValueKind::Bool, _) => Some(if value.is_true() { 1.0 } else { 0.0 }),
        (ValueKind::Number, _) => f64::try_from(value.clone()).ok(),
        (_, Some(text)) => float_in(text),
        _ => None,
    };
    Ok(read.map_or(default, Value::from))
}

/// Jinja's test `sequence`: what has a length and can be indexed, so texts and dicts too.
pub fn is_sequence(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::String | ValueKind::Map)
}
