//! `tojson` as transformers defines it for templates: json.dumps with ensure_ascii=False by default.

use crate::python::refused;
use minijinja::value::Kwargs;
use minijinja::{Error, Value};
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use std::io;

const MAX_INDENT: usize = 16;

/// The separators of Python's json module, on one line or indented.
struct PythonFormatter {
    item: String,
    key: String,
    indent: Option<String>,
    depth: usize,
    is_empty: bool,
}

impl PythonFormatter {
    fn new_line<W: ?Sized + io::Write>(&self, out: &mut W) -> io::Result<()> {
        match &self.indent {
            Some(indent) => out.write_all(("\n".to_string() + &indent.repeat(self.depth)).as_bytes()),
            None => Ok(()),
        }
    }
    fn open<W: ?Sized + io::Write>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth += 1;
        self.is_empty = true;
        out.write_all(bracket)
    }
    fn close<W: ?Sized + io::Write>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth -= 1;
        if !self.is_empty {
            self.new_line(out)?;
        }
        self.is_empty = false;
        out.write_all(bracket)
    }
    fn begin<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if !first {
            out.write_all(self.item.as_bytes())?;
        }
        self.is_empty = false;
        self.new_line(out)
    }
}

impl Formatter for PythonFormatter {
    fn begin_array<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"[")
    }
    fn end_array<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"]")
    }
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.begin(out, first)
    }
    fn end_array_value<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.is_empty = false;
        Ok(())
    }
    fn begin_object<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"{")
    }
    fn end_object<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"}")
    }
    fn begin_object_key<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.begin(out, first)
    }
    fn begin_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(self.key.as_bytes())
    }
    fn end_object_value<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.is_empty = false;
        Ok(())
    }
}

fn sorted(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Array(items) => items.into_iter().map(sorted).collect(),
        serde_json::Value::Object(entries) => {
            let mut entries: Vec<_> = entries.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            serde_json::Value::Object(entries.into_iter().collect())
        }
        other => other,
    }
}

/// What is not ASCII stands in strings only, and becomes \uXXXX in UTF-16.
fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

fn indent_of(value: Option<Value>) -> Result<Option<String>, Error> {
    let Some(value) = value.filter(|value| !value.is_none()) else {
        return Ok(None);
    };
    if let Some(text) = value.as_str() {
        return Ok(Some(text.chars().take(MAX_INDENT).collect()));
    }
    Ok(Some(" ".repeat(usize::try_from(value)?.min(MAX_INDENT))))
}

pub fn tojson(value: &Value, names: Kwargs) -> Result<Value, Error> {
    let indent = indent_of(names.get("indent")?)?;
    let separators: Option<(String, String)> = names.get::<Option<Value>>("separators")?.map_or(Ok(None), |pair| {
        let parts: Vec<Value> = pair.try_iter()?.collect();
        match parts.as_slice() {
            [item, key] => Ok(Some((item.to_string(), key.to_string()))),
            _ => Err(refused("separators: expected two")),
        }
    })?;
    let ensure_ascii = names.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false);
    let sort_keys = names.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    names.assert_all_used()?;

    let (item, key) = separators.unwrap_or_else(|| {
        let item = if indent.is_some() { "," } else { ", " };
        (item.to_string(), ": ".to_string())
    });
    let formatter = PythonFormatter { item, key, indent, depth: 0, is_empty: true };
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, formatter);
    let written = if sort_keys {
        serde_json::to_value(value).and_then(|value| sorted(value).serialize(&mut serializer))
    } else {
        value.serialize(&mut serializer)
    };
    written.map_err(|e| refused(e.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|e| refused(e.to_string()))?;
    Ok(Value::from(if ensure_ascii { ascii(&text) } else { text }))
}
