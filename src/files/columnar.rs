//! Parquet and arrow (ipc) files, through polars' readers. Their types become ours: dates ISO text, decimals floats,
//! structs columns `a.b`; an unsigned int beyond int is an error.

use std::fs;
use std::io::Read as _;

use polars::prelude::{
    ArrowDataType, ArrowSchema, ChunkAgg, Column as Series, DataFrame, DataType, ExplodeOptions, FileMetadataRef,
    IntoSeries, IpcReader, ParquetReader, PolarsError, SerReader, Series as Values, TimeUnit,
};

use polars_arrow::io::ipc::read::{FileReader, read_file_metadata};

use crate::data::{Type, Value, dtype, values};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::panics;
use crate::plan::{Basis, Field, File, Format, Read};
use crate::run_context::RunContext;
use crate::threads;

use super::{Records, Split, dates, extension, guard_maps, name_as_written, open, skipped, stdin};

/// Reads with polars, which panics over some damaged files: such a panic is an error of the file.
fn guarded<T>(file: &File, read: impl FnOnce() -> Fallible<T>) -> Fallible<T> {
    guard_maps();
    threads::room_for_pools()?;
    panics::caught(read).unwrap_or_else(|_| {
        let message = format!("\"{}\" is damaged: polars failed to read it", file.shown);
        Err(Diagnostic::new(Kind::File, message))
    })
}

/// The columns of a file, from its own schema.
pub fn fields(file: &File, format: &Format) -> Fallible<Vec<Field>> {
    guarded(file, || schema_fields(file, format))
}

fn schema_fields(file: &File, format: &Format) -> Fallible<Vec<Field>> {
    unpacked(file)?;
    let opened = open::plain(file)?;
    let failed = |error: PolarsError| wrong(file, format, &error);
    let schema: ArrowSchema = match format {
        Format::Parquet => (*ParquetReader::new(opened).schema().map_err(failed)?).clone(),
        _ => (*IpcReader::new(opened).schema().map_err(failed)?).clone(),
    };
    let mut fields = Vec::new();
    for (name, field) in schema.iter() {
        match unknown(field.dtype()) {
            None => columns_of(name, &DataType::from_arrow_field(field), &mut fields),
            Some(part) => fields.push(unreadable(name, format!("has the type {part:?}, which is not supported"))),
        }
    }
    if fields.is_empty() {
        return Err(Diagnostic::new(Kind::File, format!("\"{}\" has no columns", file.shown)));
    }
    Ok(fields)
}

/// A column that is there, but cannot be read.
fn unreadable(name: &str, why: String) -> Field {
    Field { name: name.to_string(), ty: Type::Text, basis: Basis::Unreadable(why) }
}

/// Their bytes cannot be read from a packed stream: the directory of both formats stands at the end.
fn unpacked(file: &File) -> Fallible<()> {
    if !stdin::is(file) && extension(&file.path).1.is_some() {
        let message =
            format!("\"{}\" cannot be read: a parquet or arrow file must not be compressed as a whole", file.shown);
        return Err(Diagnostic::new(Kind::File, message).hint("decompress it first"));
    }
    Ok(())
}

fn wrong(file: &File, format: &Format, error: &PolarsError) -> Box<Diagnostic> {
    if *format == Format::Arrow && is_stream(file) {
        let message = format!("\"{}\" is an arrow stream; only arrow files are supported", file.shown);
        return Diagnostic::new(Kind::File, message)
            .hint("to write a file with pyarrow, use `pyarrow.ipc.new_file` or `pyarrow.feather.write_feather`");
    }
    let what = if matches!(format, Format::Parquet) { "parquet" } else { "arrow" };
    let said = error.to_string();
    let first = said.lines().next().unwrap_or_default();
    Diagnostic::new(Kind::File, format!("\"{}\" cannot be read as {what}: {first}", file.shown))
        .hint("check that the file is complete and in that format")
}

/// Whether it begins like a message of arrow's streaming format, which has no directory at its end.
fn is_stream(file: &File) -> bool {
    let mut start = [0; 4];
    open::plain(file).is_ok_and(|mut file| file.read_exact(&mut start).is_ok()) && start == [0xff; 4]
}

/// The type in it that polars does not know: it makes a panic of one.
fn unknown(dtype: &ArrowDataType) -> Option<&ArrowDataType> {
    match dtype {
        ArrowDataType::Decimal256(..)
        | ArrowDataType::FixedSizeBinary(_)
        | ArrowDataType::Interval(_)
        | ArrowDataType::Union(_)
        | ArrowDataType::Extension(_)
        | ArrowDataType::Unknown => Some(dtype),
        ArrowDataType::List(field)
        | ArrowDataType::LargeList(field)
        | ArrowDataType::FixedSizeList(field, _)
        | ArrowDataType::Map(field, _) => unknown(field.dtype()),
        ArrowDataType::Struct(fields) => fields.iter().find_map(|field| unknown(field.dtype())),
        ArrowDataType::Dictionary(_, value, _) => unknown(value),
        _ => None,
    }
}

/// The columns that a field of that type gives.
fn columns_of(name: &str, dtype: &DataType, fields: &mut Vec<Field>) {
    if let DataType::Struct(inner) = dtype {
        for field in inner {
            columns_of(&format!("{name}.{}", field.name()), field.dtype(), fields);
        }
        return;
    }
    fields.push(match ours(dtype) {
        Ok(ty) => Field { name: name.to_string(), ty, basis: Basis::Inferred },
        Err(why) => unreadable(name, why),
    });
}

fn ours(dtype: &DataType) -> Result<Type, String> {
    Ok(match dtype {
        DataType::Boolean => Type::Bool,
        DataType::String | DataType::Binary | DataType::Categorical(..) | DataType::Enum(..) | DataType::Null => {
            Type::Text
        }
        DataType::Date | DataType::Datetime(..) | DataType::Time => Type::Text,
        DataType::List(of) | DataType::Array(of, _) => Type::list(ours(of)?),
        DataType::Decimal(..) => Type::Float,
        other if other.is_integer() => Type::Int,
        other if other.is_float() => Type::Float,
        other => return Err(format!("has the type {other}, which is not supported")),
    })
}

/// The wanted columns of one file.
pub fn frame(read: &Read, file: &File, context: &RunContext) -> Fallible<DataFrame> {
    guarded(file, || {
        check_readable(read, file)?;
        let frame = whole(read, file, open::plain(file)?)?;
        context.progress.add_bytes(file.seen.0);
        wanted(&frame, read, file)
    })
}

/// The wanted columns of one file, one row group or record batch after the other.
pub struct Groups<'a> {
    read: &'a Read,
    file: &'a File,
    rest: Rest,
}

/// What was not read yet.
enum Rest {
    Parquet {
        opened: fs::File,
        metadata: FileMetadataRef,
        roots: Vec<String>,
        /// For each group whether it is read.
        needed: Vec<bool>,
        group: usize,
        row: usize,
        /// Of each group that is left.
        bytes: u64,
    },
    Arrow {
        reader: Box<FileReader<fs::File>>,
        batches: usize,
    },
    /// A file without rows has columns all the same.
    NoRows(fs::File),
    Nothing,
}

impl<'a> Groups<'a> {
    /// Those row groups of a file that start in the split. Those that the bounds of the source leave out are skipped
    /// where `skips` is set.
    pub fn new(read: &'a Read, split: &Split, skips: bool) -> Fallible<Groups<'a>> {
        let file = &read.files[split.file];
        let rest = guarded(file, || {
            check_readable(read, file)?;
            let failed = |error: PolarsError| wrong(file, &read.format, &error);
            let mut opened = open::plain(file)?;
            if read.format == Format::Parquet {
                let mut reader = ParquetReader::new(opened.try_clone().map_err(|error| failed(error.into()))?);
                let schema = reader.schema().map_err(failed)?;
                let roots = roots(&schema, read);
                let metadata = reader.get_metadata().map_err(failed)?.clone();
                let groups = metadata.row_groups.len();
                let mut needed = if skips { skipped::needed(read, &metadata, &schema) } else { vec![true; groups] };
                let is_in_split = in_split(&metadata, split);
                needed.iter_mut().zip(&is_in_split).for_each(|(needed, is_in)| *needed &= *is_in);
                let (first, row) = first_needed(&metadata, &needed);
                let mine = is_in_split.iter().filter(|is_in| **is_in).count() as u64;
                let bytes = split.bytes(file.seen.0) / mine.max(1);
                return Ok(match groups {
                    0 => Rest::NoRows(opened),
                    _ => Rest::Parquet { opened, metadata, roots, needed, group: first, row, bytes },
                });
            }
            let metadata = read_file_metadata(&mut opened).map_err(failed)?;
            let batches = metadata.blocks.len();
            if batches == 0 {
                return Ok(Rest::NoRows(opened));
            }
            let roots = roots(&metadata.schema, read);
            let names = metadata.schema.iter_names().enumerate();
            let is_root = |name: &str| roots.iter().any(|root| root == name);
            let columns = names.filter(|(_, name)| is_root(name)).map(|(i, _)| i).collect();
            Ok(Rest::Arrow { reader: Box::new(FileReader::new(opened, metadata, Some(columns), None)), batches })
        })?;
        Ok(Groups { read, file, rest })
    }

    /// The next rows; none at the end.
    pub fn next(&mut self, context: &RunContext) -> Fallible<Option<DataFrame>> {
        context.check()?;
        let (read, file) = (self.read, self.file);
        let failed = |error: PolarsError| wrong(file, &read.format, &error);
        guarded(file, || {
            let length = file.seen.0;
            let (frame, bytes) = match std::mem::replace(&mut self.rest, Rest::Nothing) {
                Rest::Nothing => return Ok(None),
                Rest::NoRows(opened) => (whole(read, file, opened)?, length),
                Rest::Parquet { opened, metadata, roots, needed, group, row, bytes } => {
                    // Of the first group no row is read where none is wanted: its columns are looked at all the same.
                    let all = metadata.row_groups[group].num_rows();
                    let rows = if needed[group] { all } else { 0 };
                    let mut reader = ParquetReader::new(opened.try_clone().map_err(|error| failed(error.into()))?);
                    reader.set_metadata(metadata.clone());
                    let reader = reader.with_columns(Some(roots.clone())).with_slice(Some((row, rows)));
                    let frame = reader.finish().map_err(failed)?;
                    let (mut next, mut start) = (group + 1, row + all);
                    while needed.get(next) == Some(&false) {
                        start += metadata.row_groups[next].num_rows();
                        next += 1;
                    }
                    if next < needed.len() {
                        self.rest = Rest::Parquet { opened, metadata, roots, needed, group: next, row: start, bytes };
                    }
                    (frame, bytes)
                }
                Rest::Arrow { mut reader, batches } => {
                    let Some(batch) = reader.next() else { return Ok(None) };
                    let frame = DataFrame::from(batch.map_err(failed)?);
                    self.rest = Rest::Arrow { reader, batches };
                    (frame, length / batches as u64)
                }
            };
            context.progress.add_bytes(bytes);
            wanted(&frame, read, file).map(Some)
        })
    }
}

/// For each row group whether it starts in a split.
fn in_split(metadata: &FileMetadataRef, split: &Split) -> Vec<bool> {
    starts(metadata).into_iter().map(|start| (split.start..split.end).contains(&start)).collect()
}

/// Where each row group starts.
fn starts(metadata: &FileMetadataRef) -> Vec<u64> {
    let mut start = 0;
    let groups = metadata.row_groups.iter().map(|group| {
        let columns = group.parquet_columns().iter().map(|column| column.byte_range().start);
        // Their rows stay in their order, wherever a file has put the groups.
        start = columns.min().unwrap_or(start).max(start);
        start
    });
    groups.collect()
}

/// Where the row groups of a parquet file start; none where it cannot be read: who reads it tells why.
pub fn group_starts(file: &File) -> Option<Vec<u64>> {
    let found = guarded(file, || {
        let failed = |error: PolarsError| wrong(file, &Format::Parquet, &error);
        Ok(starts(ParquetReader::new(open::plain(file)?).get_metadata().map_err(failed)?))
    });
    found.ok()
}

/// The first group that is read and the number of its first row; of no group, the first one of all.
fn first_needed(metadata: &FileMetadataRef, needed: &[bool]) -> (usize, usize) {
    let first = needed.iter().position(|needed| *needed).unwrap_or(0);
    (first, metadata.row_groups[..first].iter().map(|group| group.num_rows()).sum())
}

/// An error where a wanted column cannot be read.
fn check_readable(read: &Read, file: &File) -> Fallible<()> {
    for field in read.wanted.iter().map(|index| &read.fields[*index]) {
        if let Basis::Unreadable(why) = &field.basis {
            let message = format!("\"{}\": column `{}` {why}", file.shown, field.name);
            return Err(Diagnostic::new(Kind::File, message).hint("`columns a, b` reads only these columns"));
        }
    }
    Ok(())
}

/// All rows of the columns that the wanted ones stand in.
fn whole(read: &Read, file: &File, opened: fs::File) -> Fallible<DataFrame> {
    let failed = |error: PolarsError| wrong(file, &read.format, &error);
    match read.format {
        Format::Parquet => {
            let mut reader = ParquetReader::new(opened);
            let roots = roots(&*reader.schema().map_err(failed)?, read);
            reader.with_columns(Some(roots)).finish().map_err(failed)
        }
        _ => {
            let mut reader = IpcReader::new(opened);
            let roots = roots(&*reader.schema().map_err(failed)?, read);
            reader.with_columns(Some(roots)).finish().map_err(failed)
        }
    }
}

/// The wanted columns among those that were read, in our types.
fn wanted(frame: &DataFrame, read: &Read, file: &File) -> Fallible<DataFrame> {
    let failed = |error: PolarsError| wrong(file, &read.format, &error);
    let mut flat: Vec<Values> = Vec::new();
    for column in frame.columns() {
        flatten(column.as_materialized_series().clone(), &mut flat).map_err(failed)?;
    }
    let mut wanted = Vec::new();
    for index in &read.wanted {
        let field = &read.fields[*index];
        let Some(found) = flat.iter().find(|series| series.name().as_str() == field.name) else {
            let message = format!("\"{}\" has no column `{}`, but the first file has it", file.shown, field.name);
            return Err(Diagnostic::new(Kind::File, message));
        };
        let ty = ours(found.dtype()).ok().filter(|ty| ty.meet(&field.ty).as_ref() == Some(&field.ty));
        if ty.is_none() {
            let message = format!(
                "\"{}\": column `{}` is {}, but the first file has {}",
                file.shown,
                field.name,
                found.dtype(),
                field.ty
            );
            return Err(Diagnostic::new(Kind::File, message));
        }
        if read.format == Format::Parquet && holds_last_instant(found) {
            let message =
                format!("\"{}\": column `{}` has a time outside the years 1677 to 2262", file.shown, field.name);
            return Err(Diagnostic::new(Kind::File, message)
                .hint(format!("| drop {} leaves it out", name_as_written(&field.name))));
        }
        let converted = converted(found, &field.ty).map_err(|error| {
            let what = error.to_string();
            let first = what.lines().next().unwrap_or_default().to_string();
            Diagnostic::new(Kind::File, format!("\"{}\": column `{}`: {first}", file.shown, field.name))
        })?;
        wanted.push(Series::from(converted));
    }
    DataFrame::new(frame.height(), wanted).map_err(failed)
}

/// The columns of the file that the wanted ones stand in: that of a struct is read with its whole struct.
fn roots(schema: &ArrowSchema, read: &Read) -> Vec<String> {
    let holds =
        |root: &str, name: &str| name.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let is_wanted = |root: &&str| read.wanted.iter().any(|index| holds(root, &read.fields[*index].name));
    schema.iter_names().map(|name| name.as_str()).filter(is_wanted).map(str::to_string).collect()
}

/// Whether a column of times in nanoseconds holds the last one that there is: polars' reader makes it of every time of
/// a column of type INT96 that is out of reach, early or late.
fn holds_last_instant(series: &Values) -> bool {
    match series.dtype() {
        DataType::Datetime(TimeUnit::Nanoseconds, _) => {
            series.to_physical_repr().i64().is_ok_and(|instants| instants.max() == Some(i64::MAX))
        }
        DataType::List(_) => {
            let options = ExplodeOptions { empty_as_null: true, keep_nulls: true };
            series.explode(options).is_ok_and(|items| holds_last_instant(&items))
        }
        _ => false,
    }
}

fn flatten(series: Values, flat: &mut Vec<Values>) -> Result<(), PolarsError> {
    let DataType::Struct(_) = series.dtype() else {
        flat.push(series);
        return Ok(());
    };
    let name = series.name().clone();
    for mut field in series.struct_()?.fields_as_series() {
        let inner = format!("{name}.{}", field.name());
        field.rename(inner.into());
        flatten(field, flat)?;
    }
    Ok(())
}

/// A column in the polars type that holds a `ty`.
fn converted(series: &Values, ty: &Type) -> Result<Values, PolarsError> {
    match series.dtype() {
        DataType::Datetime(..) | DataType::Date | DataType::Time => dates::as_text(series),
        DataType::Array(of, _) => converted(&series.cast(&DataType::List(of.clone()))?, ty),
        DataType::List(_) => {
            let Type::List(of) = ty else { return series.strict_cast(&dtype(ty)) };
            Ok(series.list()?.apply_to_inner(&|items| converted(&items, of))?.into_series())
        }
        _ => series.strict_cast(&dtype(ty)),
    }
}

/// A file row by row.
pub struct Rows<'a> {
    groups: Groups<'a>,
    context: RunContext,
    frame: DataFrame,
    types: Vec<Type>,
    at: usize,
    /// Columns of the rows that come next, from the end.
    chunk: Vec<Vec<Value>>,
}

const CHUNK_ROWS: usize = 4096;

impl<'a> Rows<'a> {
    pub fn new(read: &'a Read, file: usize, context: &RunContext) -> Fallible<Rows<'a>> {
        let types = read.wanted.iter().map(|index| read.fields[*index].ty.clone()).collect();
        // Who reads row by row is held against the others, and numbers rows as they stand in the file.
        let mut groups = Groups::new(read, &Split::whole(file), false)?;
        // What is wrong with the columns is told before the first row.
        let frame = groups.next(context)?.unwrap_or_default();
        Ok(Rows { groups, context: context.clone(), frame, types, at: 0, chunk: Vec::new() })
    }
}

impl Records for Rows<'_> {
    fn next(&mut self, row: &mut Vec<Value>) -> Fallible<bool> {
        while self.at == self.frame.height() {
            let Some(frame) = self.groups.next(&self.context)? else { return Ok(false) };
            self.frame = frame;
            self.at = 0;
        }
        if self.at.is_multiple_of(CHUNK_ROWS) {
            let columns = self.frame.columns().iter().zip(&self.types);
            let part = |(column, ty): (&Series, &Type)| {
                let mut part = values(column.slice(self.at as i64, CHUNK_ROWS).as_materialized_series(), ty);
                part.reverse();
                part
            };
            self.chunk = columns.map(part).collect();
        }
        self.at += 1;
        row.clear();
        row.extend(self.chunk.iter_mut().map(|column| column.pop().expect("a chunk has all its rows")));
        Ok(true)
    }
}
