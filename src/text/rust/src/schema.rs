//! What of a JSON schema is refused before llguidance sees it, and where: what would be held otherwise than it says, and
//! (endless.rs) what no finite answer fits.

use crate::endless::refuse_endless;
use serde_json::{Map, Value};

/// Why the source of a constraint cannot be held.
#[derive(Debug, Default)]
pub struct Refusal {
    /// In the source, "#/properties/age"; empty for all of it.
    pub place: String,
    /// "expected X, got Y"
    pub problem: String,
    /// What to do next; empty where nothing better is known than to leave the form out.
    pub remedy: String,
}

impl From<String> for Refusal {
    fn from(problem: String) -> Refusal {
        Refusal { problem, ..Refusal::default() }
    }
}

impl Refusal {
    pub fn at(place: impl Into<String>, problem: impl Into<String>, remedy: &str) -> Refusal {
        Refusal { place: place.into(), problem: problem.into(), remedy: remedy.into() }
    }

    /// Place, problem and remedy, a line each.
    pub fn lines(self) -> String {
        [self.place, self.problem, self.remedy].map(|text| text.replace('\n', " ")).join("\n")
    }
}

/// A step down into a value.
#[derive(Clone, Copy)]
pub enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// Of a long place, at its beginning and at its end.
const SHOWN_CHARS: usize = 100;

/// A JSON pointer as a fragment, on one line and not too long to read.
pub fn pointer<'a>(steps: impl IntoIterator<Item = Step<'a>>) -> String {
    let mut text = String::from("#");
    for step in steps {
        text.push('/');
        match step {
            Step::Index(index) => text += &index.to_string(),
            Step::Key(key) => text += &key.replace('~', "~0").replace('/', "~1"),
        }
    }
    shown(&text)
}

pub fn shown(text: &str) -> String {
    let line: Vec<char> = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    if line.len() <= 2 * SHOWN_CHARS {
        return line.into_iter().collect();
    }
    let begin: String = line[..SHOWN_CHARS].iter().collect();
    let end: String = line[line.len() - SHOWN_CHARS..].iter().collect();
    format!("{begin}...{end}")
}

/// The refusal of a schema that would be held otherwise than it says, or that no finite answer fits.
pub fn check(schema: &Value) -> Result<(), Refusal> {
    let fields = schema.as_object().ok_or_else(|| {
        Refusal::at("#", "expected an object, got another value", "give a JSON schema")
    })?;
    if fields.contains_key("x-guidance") {
        let place = pointer([Step::Key("x-guidance")]);
        return Err(Refusal::at(place, "expected a keyword of JSON Schema", "leave it out"));
    }
    refuse_inexact(schema, &mut Vec::new())?;
    refuse_endless(schema)
}

/// From it on neighbouring integers are the same number: one that is asked for exactly would be written as another.
const MAX_INTEGER: f64 = 9_007_199_254_740_992.0; // 2^53

/// What would be held otherwise than it says. `steps` lead to `value`.
fn refuse_inexact<'a>(value: &'a Value, steps: &mut Vec<Step<'a>>) -> Result<(), Refusal> {
    match value {
        Value::Number(number) if number.as_f64().map_or(true, |n| n.abs() >= MAX_INTEGER) => {
            Err(Refusal::at(
                pointer(steps.iter().copied()),
                format!("expected a number within 2^53, got {number}"),
                "use a smaller one: beyond it not every integer can be told from the next",
            ))
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                steps.push(Step::Index(i));
                refuse_inexact(item, steps)?;
                steps.pop();
            }
            Ok(())
        }
        Value::Object(fields) => {
            refuse_unnamed_keys(fields, steps)?;
            for (key, item) in fields {
                steps.push(Step::Key(key));
                refuse_inexact(item, steps)?;
                steps.pop();
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// A key that is not named may be written twice, and counts once when it is read.
fn refuse_unnamed_keys(fields: &Map<String, Value>, steps: &[Step]) -> Result<(), Refusal> {
    let named = fields.get("required").and_then(Value::as_array).map_or(0, Vec::len) as u64;
    let least = fields.get("minProperties").and_then(Value::as_u64).unwrap_or(0);
    let most = named.max(1);
    if least <= most {
        return Ok(());
    }
    Err(Refusal::at(
        pointer(steps.iter().copied().chain([Step::Key("minProperties")])),
        format!("expected at most {most}, as {named} keys are in 'required', got {least}"),
        "name more keys in 'required', or lower it",
    ))
}
