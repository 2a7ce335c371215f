//! Columns of a Parquet table: their declared types, and values until a group of rows is full.
//!
//! Owns the way from cells to column chunks. A column's type never changes once a table was
//! released; new ones are added at the end and may be empty.

use parquet::{
    basic::Compression,
    data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type},
    errors::{ParquetError, Result},
    file::{
        properties::{WriterProperties, WriterPropertiesPtr},
        writer::{SerializedColumnWriter, SerializedFileWriter},
    },
    schema::{parser::parse_message_type, types::TypePtr},
};
use std::{io::Write, sync::Arc};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Long,
    Int,
    Text,
    /// Milliseconds since 1970, UTC.
    Time,
    /// Days since 1970.
    Day,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
    pub may_be_empty: bool,
}

pub const fn required(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, may_be_empty: false }
}

pub const fn optional(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, may_be_empty: true }
}

/// One value, of its column's kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Of columns that may be empty.
    None,
    /// Of `Long` and `Time`.
    Long(i64),
    /// Of `Int` and `Day`.
    Int(i32),
    Text(String),
}

impl Cell {
    /// Empty where the text is.
    pub fn text(text: &str) -> Self {
        if text.is_empty() { Cell::None } else { Cell::Text(text.to_owned()) }
    }
}

/// The table's schema in Parquet's own language.
pub fn message_type(name: &str, columns: &[Column]) -> String {
    let mut text = format!("message {name} {{\n");
    for column in columns {
        let presence = if column.may_be_empty { "OPTIONAL" } else { "REQUIRED" };
        let (physical, logical) = match column.kind {
            Kind::Long => ("INT64", ""),
            Kind::Int => ("INT32", ""),
            Kind::Text => ("BINARY", " (UTF8)"),
            Kind::Time => ("INT64", " (TIMESTAMP(MILLIS,true))"),
            Kind::Day => ("INT32", " (DATE)"),
        };
        text += &format!("  {presence} {physical} {}{logical};\n", column.name);
    }
    text + "}\n"
}

pub fn schema(name: &str, columns: &[Column]) -> Result<TypePtr> {
    parse_message_type(&message_type(name, columns)).map(Arc::new)
}

/// The same bytes for the same rows: the writer's name is no version of anything.
pub fn properties() -> WriterPropertiesPtr {
    let builder = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by("tapline".to_owned());
    Arc::new(builder.build())
}

#[derive(Clone, Debug)]
enum Values {
    Long(Vec<i64>),
    Int(Vec<i32>),
    Text(Vec<ByteArray>),
}

/// One column's values, and which of its rows have one.
#[derive(Clone, Debug)]
struct Buffer {
    column: Column,
    values: Values,
    /// 1 for a value, 0 for none; unused where every row has one.
    levels: Vec<i16>,
}

/// Rows that wait to be written as one group.
#[derive(Clone, Debug)]
pub struct Group {
    buffers: Vec<Buffer>,
    rows: usize,
}

impl Group {
    pub fn of(columns: &[Column]) -> Self {
        let buffer = |column: &Column| Buffer {
            column: *column,
            values: match column.kind {
                Kind::Long | Kind::Time => Values::Long(Vec::new()),
                Kind::Int | Kind::Day => Values::Int(Vec::new()),
                Kind::Text => Values::Text(Vec::new()),
            },
            levels: Vec::new(),
        };
        Self { buffers: columns.iter().map(buffer).collect(), rows: 0 }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a row of as many cells as there are columns. Errors: a cell that is not its column's.
    pub fn push(&mut self, row: Vec<Cell>) -> Result<()> {
        if row.len() != self.buffers.len() {
            return Err(ParquetError::General(format!("a row of {} cells", row.len())));
        }
        for (buffer, cell) in self.buffers.iter_mut().zip(row) {
            buffer.push(cell)?;
        }
        self.rows += 1;
        Ok(())
    }

    /// Writes the rows as a group and starts the next.
    pub fn write<W: Write + Send>(&mut self, writer: &mut SerializedFileWriter<W>) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = writer.next_row_group()?;
        for buffer in &mut self.buffers {
            let column = group.next_column()?;
            let mut column =
                column.ok_or_else(|| ParquetError::General("a column is missing".to_owned()))?;
            buffer.write(&mut column)?;
            column.close()?;
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }
}

impl Buffer {
    fn push(&mut self, cell: Cell) -> Result<()> {
        let level = i16::from(cell != Cell::None);
        match (&mut self.values, cell) {
            (Values::Long(values), Cell::Long(value)) => values.push(value),
            (Values::Int(values), Cell::Int(value)) => values.push(value),
            (Values::Text(values), Cell::Text(value)) => values.push(value.into_bytes().into()),
            (_, Cell::None) if self.column.may_be_empty => {}
            (_, cell) => {
                let name = self.column.name;
                return Err(ParquetError::General(format!("{cell:?} is no value of {name}")));
            }
        }
        self.levels.push(level);
        Ok(())
    }

    fn write(&mut self, column: &mut SerializedColumnWriter<'_>) -> Result<()> {
        let levels = self.column.may_be_empty.then_some(self.levels.as_slice());
        match &mut self.values {
            Values::Long(values) => {
                column.typed::<Int64Type>().write_batch(values, levels, None)?;
                values.clear();
            }
            Values::Int(values) => {
                column.typed::<Int32Type>().write_batch(values, levels, None)?;
                values.clear();
            }
            Values::Text(values) => {
                column.typed::<ByteArrayType>().write_batch(values, levels, None)?;
                values.clear();
            }
        }
        self.levels.clear();
        Ok(())
    }
}
