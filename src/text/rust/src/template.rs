//! Chat templates, rendered as transformers renders them with jinja2: blocks trimmed, loop controls,
//! Python's string methods, `raise_exception`, and a `tojson` that writes what `json.dumps` writes.

use crate::border::{guard, text_of, OwnedString, Slice};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Value};
use minijinja_contrib::pycompat::unknown_method_callback;
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};
use std::io;

/// Steps that one rendering may take; a real template takes some tens a message and one for each 64
/// bytes, a hostile one stops here within a second.
const FUEL: u64 = 10_000_000;
const RECURSION_LIMIT: usize = 200;
const NAME: &str = "chat_template";

pub struct Template(Environment<'static>);

/// The separators of Python's json module: ", " and ": ".
struct PythonFormatter;

impl Formatter for PythonFormatter {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }
    fn begin_object_key<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }
    fn begin_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }
}

fn write_json(value: &Value, formatter: impl Formatter) -> Result<String, Error> {
    let bad = |e: &dyn std::fmt::Display| Error::new(ErrorKind::InvalidOperation, e.to_string());
    let mut bytes = Vec::new();
    value
        .serialize(&mut Serializer::with_formatter(&mut bytes, formatter))
        .map_err(|e| bad(&e))?;
    String::from_utf8(bytes).map_err(|e| bad(&e))
}

fn tojson(value: &Value, options: Kwargs) -> Result<Value, Error> {
    let indent: Option<usize> = options.get("indent")?;
    // Sorted keys and other separators are in no known template; ASCII is not asked for by default.
    let _: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    let text = match indent {
        Some(width) => {
            let width = " ".repeat(width.min(16));
            write_json(value, PrettyFormatter::with_indent(width.as_bytes()))
        }
        None => write_json(value, PythonFormatter),
    };
    text.map(Value::from)
}

fn raise_exception(message: &Value) -> Result<Value, Error> {
    let message = match message.kind() {
        ValueKind::String => message.as_str().unwrap_or_default().to_string(),
        _ => message.to_string(),
    };
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

fn new_template(source: &str) -> Result<Template, String> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.map_err(explain)?);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(RECURSION_LIMIT);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_unknown_method_callback(unknown_method_callback);
    environment.add_filter("tojson", tojson);
    environment.add_function("raise_exception", raise_exception);
    environment.add_template_owned(NAME, source.to_string()).map_err(explain)?;
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
