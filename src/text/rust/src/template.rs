//! Chat templates, rendered as transformers renders them with jinja2: blocks trimmed, loop controls, `generation` blocks,
//! Python's methods, `raise_exception`, and a `tojson` that writes what `json.dumps` writes.

use crate::border::{guard, text_of, OwnedString, Slice};
use crate::python;
use crate::python_json::tojson;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Rest, ValueKind};
use minijinja::{escape_formatter, Environment, Error, ErrorKind, Value};
use minijinja_contrib::globals;
use std::borrow::Cow;

/// Steps that one rendering may take; a real template takes some tens a message and one for each 64
/// bytes, a hostile one stops here within a second.
const FUEL: u64 = 10_000_000;
const RECURSION_LIMIT: usize = 200;
const NAME: &str = "chat_template";

pub struct Template(Environment<'static>);

fn raise_exception(message: &Value) -> Result<Value, Error> {
    let message = match message.kind() {
        ValueKind::String => message.as_str().unwrap_or_default().to_string(),
        _ => message.to_string(),
    };
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

/// `{% generation %}` marks what the assistant says, for training; what it holds is rendered in a scope of its own. So it
/// becomes `{% with %}`: minijinja has no tags but its own.
fn without_generation_tags(source: &str) -> Cow<'_, str> {
    if !source.contains("generation") {
        return source.into();
    }
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(open) = rest.find(['{']) {
        let (before, tag) = rest.split_at(open);
        out.push_str(before);
        let end = match tag.as_bytes().get(1) {
            Some(b'#') => tag.find("#}").map_or(tag.len(), |at| at + 2),
            Some(b'{') => end_of_code(tag, "}}"),
            Some(b'%') => end_of_code(tag, "%}"),
            _ => 1,
        };
        let (tag, behind) = tag.split_at(end);
        rest = behind;
        match word_of(tag) {
            "generation" => out.push_str(&tag.replacen("generation", "with", 1)),
            "endgeneration" => out.push_str(&tag.replacen("endgeneration", "endwith", 1)),
            word => {
                out.push_str(tag);
                if word == "raw" {
                    let end = end_of_raw(rest);
                    out.push_str(&rest[..end]);
                    rest = &rest[end..];
                }
            }
        }
    }
    out.push_str(rest);
    out.into()
}

/// The end of `{% ... %}` or `{{ ... }}`, whatever stands in its strings.
fn end_of_code(tag: &str, close: &str) -> usize {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in tag.char_indices().skip(2) {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => (),
            None if c == '"' || c == '\'' => quote = Some(c),
            None if tag[at..].starts_with(close) => return at + close.len(),
            None => (),
        }
    }
    tag.len()
}

/// Where the `{% endraw %}` begins.
fn end_of_raw(text: &str) -> usize {
    let mut tags = text.match_indices("{%").map(|(at, _)| at);
    tags.find(|&at| word_of(&text[at..end_of(text, at)]) == "endraw").unwrap_or(text.len())
}

fn end_of(text: &str, tag: usize) -> usize {
    text[tag..].find("%}").map_or(text.len(), |at| tag + at + 2)
}

/// "generation" of "{%- generation -%}"; nothing where the tag holds more than a word.
fn word_of(tag: &str) -> &str {
    let inner = tag.strip_prefix("{%").and_then(|tag| tag.strip_suffix("%}")).unwrap_or("");
    inner.trim_start_matches(['-', '+']).trim_end_matches(['-', '+']).trim()
}

fn new_template(source: &str) -> Result<Template, String> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.map_err(explain)?);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(RECURSION_LIMIT);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_unknown_method_callback(python::method);
    environment.set_formatter(|out, state, value| match python::text_of_float(value) {
        Some(text) => out.write_str(&text).map_err(Error::from),
        None => escape_formatter(out, state, value),
    });
    environment.add_filter("tojson", tojson);
    environment.add_filter("int", python::int);
    environment.add_filter("float", python::float);
    environment.add_filter("trim", |text: Cow<'_, str>, chars: Option<Cow<'_, str>>| {
        python::trimmed(&text, chars.as_deref()).to_string()
    });
    environment.add_filter("string", |value: &Value| {
        Value::from(python::text_of_float(value).unwrap_or_else(|| value.to_string()))
    });
    environment.add_test("sequence", python::is_sequence);
    environment.add_function("cycler", |items: Rest<Value>| globals::cycler(items.0));
    environment.add_function("joiner", globals::joiner);
    environment.add_function("raise_exception", raise_exception);
    // Jinja2 has them; a chat template may ask whether they are there, and never calls them.
    for name in ["lipsum", "self"] {
        environment.add_function(name, move |_: Rest<Value>| -> Result<Value, Error> {
            Err(python::refused(format!("{name} is not supported")))
        });
    }
    let source = without_generation_tags(source).into_owned();
    environment.add_template_owned(NAME, source).map_err(explain)?;
    Ok(Template(environment))
}

/// The error's own words and the line of the template they belong to.
fn explain(error: Error) -> String {
    let text = error.detail().map_or_else(|| error.kind().to_string(), str::to_string);
    match error.line() {
        Some(line) => format!("{text} (line {line} of the template)"),
        None => text,
    }
}

#[no_mangle]
pub unsafe extern "C" fn text_rs_template_new(
    source: Slice,
    out: *mut *mut Template,
    error: *mut OwnedString,
) -> bool {
    guard(out, error, || Ok(Box::into_raw(Box::new(new_template(source.text()?)?))))
}

#[no_mangle]
pub unsafe extern "C" fn text_rs_template_free(template: *mut Template) {
    if !template.is_null() {
        drop(Box::from_raw(template));
    }
}

#[no_mangle]
pub unsafe extern "C" fn text_rs_template_render(
    template: *const Template,
    context_json: Slice,
    out: *mut OwnedString,
    error: *mut OwnedString,
) -> bool {
    guard(out, error, || {
        let context: Value = serde_json::from_slice(context_json.bytes()).map_err(text_of)?;
        let template = (*template).0.get_template(NAME).map_err(explain)?;
        template.render(context).map(OwnedString::new).map_err(explain)
    })
}
