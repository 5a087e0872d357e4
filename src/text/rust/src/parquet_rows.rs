//! One column of a parquet file, row by row: a string column as it is, a column of lists or structs
//! (messages) as JSON. Row groups are read as they come; nothing holds a whole file.

use crate::border::{guard, leak, reclaim, text_of, OwnedString, Slice};
use parquet::basic::Compression;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::Field;
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
    refuse_unknown_compression(reader.metadata(), column.name())?;
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

/// The crate would say so only at the first page, and name no file's field.
fn refuse_unknown_compression(metadata: &ParquetMetaData, column: &str) -> Result<(), String> {
    let mut chunks = metadata.row_groups().iter().flat_map(RowGroupMetaData::columns);
    let unknown = chunks.find(|chunk| {
        let is_ours = chunk.column_path().parts().first().is_some_and(|name| name == column);
        is_ours && matches!(chunk.compression(), Compression::BROTLI(_) | Compression::LZO)
    });
    match unknown {
        Some(chunk) => Err(format!("compression of the column {column}: {} is not supported", chunk.compression())),
        None => Ok(()),
    }
}

/// Writes a cell as JSON; the keys of a struct stay in the order of the schema.
fn write_json(field: Field, out: &mut String) {
    match field {
        Field::Str(text) => write_text(&text, out),
        Field::Bytes(bytes) => write_text(&String::from_utf8_lossy(bytes.data()), out),
        Field::Bool(value) => out.push_str(&value.to_string()),
        Field::Int(value) => out.push_str(&value.to_string()),
        Field::Long(value) => out.push_str(&value.to_string()),
        Field::Double(value) => out.push_str(&Value::from(value).to_string()),
        Field::Group(row) => {
            out.push('{');
            for (i, (name, field)) in row.into_columns().into_iter().enumerate() {
                out.push_str(if i == 0 { "" } else { "," });
                write_text(&name, out);
                out.push(':');
                write_json(field, out);
            }
            out.push('}');
        }
        Field::ListInternal(list) => {
            out.push('[');
            for (i, field) in list.elements().iter().cloned().enumerate() {
                out.push_str(if i == 0 { "" } else { "," });
                write_json(field, out);
            }
            out.push(']');
        }
        _ => out.push_str("null"),
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push_str(&Value::from(text).to_string());
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
                    write_json(field, &mut data);
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
