//! Schemas whose answers could not end: a type that has to hold another of its kind.
//!
//! Which types of value fit each part of a schema is a fixed point over its references. The least one is of the values that
//! are finite, the greatest one also of those that would go on for ever. Where a part has only the latter, an answer that
//! comes to it cannot end any more.

use crate::schema::{pointer, shown, Refusal, Step};
use serde_json::{Map, Value};
use std::collections::{HashMap, VecDeque};

/// Refuses a schema by which an answer may come to a place from where it cannot end.
pub fn refuse_endless(schema: &Value) -> Result<(), Refusal> {
    let parts = Parts::of(schema);
    let finite = parts.fixed_point(0);
    let any = parts.fixed_point(ALL);
    let is_endless = |at: usize| finite[at] == 0 && any[at] != 0;
    let Some(first) = (0..parts.all.len()).find(|&at| is_endless(at)) else {
        return Ok(());
    };
    // Better than what cannot end is what it has to hold that cannot.
    let held = (first..parts.all.len()).filter(|&at| is_endless(at)).find_map(|at| {
        let fields = parts.all[at].schema.as_object()?;
        let mut held = Vec::new();
        if any[at] & OBJECT != 0 {
            held.extend(required_values(fields));
        }
        if any[at] & ARRAY != 0 {
            held.extend(least_items(fields));
        }
        held.into_iter().filter_map(|schema| parts.find(schema)).find(|&at| is_endless(at))
    });
    Err(Refusal::at(
        parts.place(held.unwrap_or(first)),
        "expected a value that can end, got one that has to hold another like itself, and so on",
        "let it be null as well, or do not require it",
    ))
}

/// Types of value, a bit each.
type Types = u8;
const OBJECT: Types = 1;
const ARRAY: Types = 2;
const ALL: Types = 63;

fn type_named(name: &str) -> Types {
    match name {
        "object" => OBJECT,
        "array" => ARRAY,
        "string" => 4,
        "number" | "integer" => 8,
        "boolean" => 16,
        "null" => 32,
        _ => 0,
    }
}

fn type_of(value: &Value) -> Types {
    type_named(match value {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "boolean",
        Value::Null => "null",
    })
}

/// A part of the schema that is a schema itself, and how it was come to first: by a reference, or by steps from another.
struct Part<'a> {
    schema: &'a Value,
    parent: usize,
    steps: [Option<Step<'a>>; 2],
    reference: Option<&'a str>,
}

struct Parts<'a> {
    root: &'a Value,
    /// All that can be reached from the root, which is the first.
    all: Vec<Part<'a>>,
    index: HashMap<*const Value, usize>,
    /// Of each part, those that depend on it.
    dependents: Vec<Vec<usize>>,
}

impl<'a> Parts<'a> {
    fn of(root: &'a Value) -> Parts<'a> {
        let mut parts =
            Parts { root, all: Vec::new(), index: HashMap::new(), dependents: Vec::new() };
        parts.add(Part { schema: root, parent: 0, steps: [None, None], reference: None });
        let mut next = 0;
        while next < parts.all.len() {
            parts.add_below(next);
            next += 1;
        }
        parts
    }

    fn add(&mut self, part: Part<'a>) {
        let (schema, parent, next) = (part.schema, part.parent, self.all.len());
        let at = *self.index.entry(schema as *const Value).or_insert(next);
        if at == next {
            self.all.push(part);
            self.dependents.push(Vec::new());
        }
        self.dependents[at].push(parent);
    }

    fn add_below(&mut self, parent: usize) {
        let Some(fields) = self.all[parent].schema.as_object() else {
            return;
        };
        let root = self.root;
        for (key, value) in fields {
            let mut add = |schema, second, reference| {
                self.add(Part { schema, parent, steps: [Some(Step::Key(key)), second], reference });
            };
            match (key.as_str(), value) {
                ("properties" | "patternProperties", Value::Object(map)) => {
                    map.iter().for_each(|(name, item)| add(item, Some(Step::Key(name)), None));
                }
                ("items" | "prefixItems" | "allOf" | "anyOf" | "oneOf", Value::Array(list)) => {
                    let items = list.iter().enumerate();
                    items.for_each(|(i, item)| add(item, Some(Step::Index(i)), None));
                }
                ("items" | "additionalItems" | "additionalProperties", _) => add(value, None, None),
                ("$ref", Value::String(reference)) => {
                    if let Some(schema) = referred(root, reference) {
                        add(schema, None, Some(reference));
                    }
                }
                _ => {}
            }
        }
    }

    fn find(&self, schema: &Value) -> Option<usize> {
        self.index.get(&(schema as *const Value)).copied()
    }

    /// From 0 the least fixed point, from ALL the greatest.
    fn fixed_point(&self, start: Types) -> Vec<Types> {
        let mut types = vec![start; self.all.len()];
        let mut waits = vec![true; self.all.len()];
        // The last ones first: others depend on them.
        let mut waiting: VecDeque<usize> = (0..self.all.len()).rev().collect();
        while let Some(at) = waiting.pop_front() {
            waits[at] = false;
            let fitting = self.fitting(self.all[at].schema, &types);
            if fitting == types[at] {
                continue;
            }
            types[at] = fitting;
            for &dependent in &self.dependents[at] {
                if !std::mem::replace(&mut waits[dependent], true) {
                    waiting.push_back(dependent);
                }
            }
        }
        types
    }

    /// Of the values of `schema`, given those of the parts below it. All that is not told apart here is taken to fit.
    fn fitting(&self, schema: &Value, types: &[Types]) -> Types {
        let Some(fields) = schema.as_object() else {
            return if schema == &Value::Bool(false) { 0 } else { ALL };
        };
        let of = |schema: &Value| self.find(schema).map_or(ALL, |at| types[at]);
        let can_be = |schema: &Value| of(schema) != 0;
        let list = |key| fields.get(key).and_then(Value::as_array);
        let mut fitting = match fields.get("type") {
            Some(Value::String(name)) => type_named(name),
            Some(Value::Array(names)) => {
                names.iter().filter_map(Value::as_str).fold(0, |all, name| all | type_named(name))
            }
            _ => ALL,
        };
        if let Some(only) = fields.get("const") {
            fitting &= type_of(only);
        }
        if let Some(values) = list("enum") {
            fitting &= values.iter().fold(0, |all, value| all | type_of(value));
        }
        if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
            fitting &= referred(self.root, reference).map_or(ALL, of);
        }
        for schema in list("allOf").into_iter().flatten() {
            fitting &= of(schema);
        }
        for schemas in [list("anyOf"), list("oneOf")].into_iter().flatten() {
            fitting &= schemas.iter().fold(0, |all, schema| all | of(schema));
        }
        if !required_values(fields).all(can_be) || !any_value(fields, can_be) {
            fitting &= !OBJECT;
        }
        if !least_items(fields).all(can_be) {
            fitting &= !ARRAY;
        }
        fitting
    }

    /// As a JSON pointer, from the last reference on the way to it.
    fn place(&self, mut at: usize) -> String {
        let mut steps = Vec::new();
        let mut from = "#";
        while at != 0 {
            let part = &self.all[at];
            if let Some(reference) = part.reference {
                from = reference;
                break;
            }
            steps.extend(part.steps.iter().rev().flatten());
            at = part.parent;
        }
        shown(&(from.to_owned() + &pointer(steps.into_iter().rev())[1..]))
    }
}

/// As llguidance looks it up: the names between the slashes stand for themselves.
fn referred<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    if reference == "#" || reference == "#/" {
        return Some(root);
    }
    reference.strip_prefix("#/")?.split('/').try_fold(root, |at, name| match at {
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        _ => at.get(name),
    })
}

/// What an object has to hold. Which pattern a key matches is not looked into.
fn required_values(fields: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    let named = fields.get("properties").and_then(Value::as_object);
    let has_patterns = fields.contains_key("patternProperties");
    let other = fields.get("additionalProperties").filter(|_| !has_patterns);
    let required = fields.get("required").and_then(Value::as_array).into_iter().flatten();
    required
        .filter_map(Value::as_str)
        .filter_map(move |key| named.and_then(|map| map.get(key)).or(other))
}

/// Whether an object that may not be empty can hold anything.
fn any_value(fields: &Map<String, Value>, can_be: impl Fn(&Value) -> bool) -> bool {
    let least = fields.get("minProperties").and_then(Value::as_u64).unwrap_or(0);
    let maps = [fields.get("properties"), fields.get("patternProperties")];
    let mut named = maps.into_iter().flatten().filter_map(Value::as_object).flat_map(Map::values);
    least == 0 || fields.get("additionalProperties").map_or(true, &can_be) || named.any(can_be)
}

/// What an array has to hold.
fn least_items(fields: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    let least = fields.get("minItems").and_then(Value::as_u64).unwrap_or(0);
    let least = usize::try_from(least).unwrap_or(usize::MAX);
    let (first, rest) = match fields.get("items") {
        Some(Value::Array(items)) => (Some(items), fields.get("additionalItems")),
        items => (fields.get("prefixItems").and_then(Value::as_array), items),
    };
    let n_first = first.map_or(0, Vec::len);
    first.into_iter().flatten().take(least).chain(rest.filter(|_| least > n_first))
}
