//! One column of a parquet file, row by row: a string column as it is, a column of lists or structs
//! (messages) as JSON. Row groups are read as they come; nothing holds a whole file.

use crate::border::{guard, leak, reclaim, text_of, OwnedString, Slice};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use parquet::schema::types::Type;
use serde_json::Value;
use std::fs::File;
use std::sync::Arc;

pub struct ParquetRows {
    rows: RowIter<'static>,
    is_text: bool,
}

/// Rows laid end to end: row i is data[ends[i - 1]..ends[i]]; kinds[i] says what it is.
#[repr(C)]
pub struct Rows {
    data: OwnedString,
    ends: *mut usize,
    n_rows: usize,
    kinds: *mut u8,
    n_kinds: usize,
}

const NULL: u8 = 0;
const TEXT: u8 = 1;
const JSON: u8 = 2;

fn open(path: &str, fields: &[&str]) -> Result<ParquetRows, String> {
    let file = File::open(path).map_err(text_of)?;
    let reader = SerializedFileReader::new(file).map_err(text_of)?;
    let schema = reader.metadata().file_metadata().schema();
    let column = fields
        .iter()
        .find_map(|field| schema.get_fields().iter().find(|column| column.name() == *field))
        .ok_or_else(|| {
            let names: Vec<_> = schema.get_fields().iter().map(|column| column.name()).collect();
            format!("expected a column {}, got {}", fields.join(" or "), names.join(", "))
        })?
        .clone();
    let is_text = column.is_primitive();
    let projection = Type::group_type_builder(schema.name())
        .with_fields(vec![Arc::clone(&column)])
        .build()
        .map_err(text_of)?;
    let rows = RowIter::from_file_into(Box::new(reader))
        .project(Some(projection))
        .map_err(text_of)?;
    Ok(ParquetRows { rows, is_text })
}

fn json_of_row(row: Row) -> Value {
    let columns = row.into_columns().into_iter();
    Value::Object(columns.map(|(name, field)| (name, json_of(field))).collect())
}

fn json_of(field: Field) -> Value {
    match field {
        Field::Str(text) => text.into(),
        Field::Bytes(bytes) => String::from_utf8_lossy(bytes.data()).into(),
        Field::Bool(value) => value.into(),
        Field::Int(value) => value.into(),
        Field::Long(value) => value.into(),
        Field::Double(value) => value.into(),
        Field::Group(row) => json_of_row(row),
        Field::ListInternal(list) => list.elements().iter().cloned().map(json_of).collect(),
        _ => Value::Null,
    }
}

impl ParquetRows {
    fn next(&mut self, max_rows: usize) -> Result<Rows, String> {
        let mut data = String::new();
        let mut ends = Vec::with_capacity(max_rows);
        let mut kinds = Vec::with_capacity(max_rows);
        for row in self.rows.by_ref().take(max_rows) {
            let columns = row.map_err(text_of)?.into_columns();
            let field = columns.into_iter().next().map_or(Field::Null, |(_, field)| field);
            kinds.push(match field {
                Field::Null => NULL,
                Field::Str(text) => {
                    data.push_str(&text);
                    TEXT
                }
                // A string column that no logical type marks as one.
                Field::Bytes(bytes) if self.is_text => match std::str::from_utf8(bytes.data()) {
                    Ok(text) => {
                        data.push_str(text);
                        TEXT
                    }
                    Err(_) => NULL,
                },
                _ if self.is_text => return Err("expected a column of strings".to_string()),
                field => {
                    data.push_str(&json_of(field).to_string());
                    JSON
                }
            });
            ends.push(data.len());
        }
        let (ends, n_rows) = leak(ends);
        let (kinds, n_kinds) = leak(kinds);
        Ok(Rows { data: OwnedString::new(data), ends, n_rows, kinds, n_kinds })
    }
}

#[no_mangle]
pub unsafe extern "C" fn text_rs_parquet_open(
    path: Slice,
    field: Slice,
    other_field: Slice,
    out: *mut *mut ParquetRows,
    error: *mut OwnedString,
) -> bool {
    guard(out, error, || {
        let fields = [field.text()?, other_field.text()?];
        Ok(Box::into_raw(Box::new(open(path.text()?, &fields)?)))
    })
}

#[no_mangle]
pub unsafe extern "C" fn text_rs_parquet_free(rows: *mut ParquetRows) {
    if !rows.is_null() {
        drop(Box::from_raw(rows));
    }
}

#[no_mangle]
pub unsafe extern "C" fn text_rs_parquet_next(
    rows: *mut ParquetRows,
    max_rows: usize,
    out: *mut Rows,
    error: *mut OwnedString,
) -> bool {
    guard(out, error, || (*rows).next(max_rows))
}

#[no_mangle]
pub unsafe extern "C" fn text_rs_rows_free(rows: Rows) {
    crate::border::text_rs_string_free(rows.data);
    reclaim(rows.ends, rows.n_rows);
    reclaim(rows.kinds, rows.n_kinds);
}
