//! Sources as lazy frames of columns `c0`, `c1`, ….

use std::fs::File;
use std::io::Read as _;

use polars::prelude::*;

use crate::data::{self, Order, Schema, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::files::{self, Split};
use crate::kernel::{self, Reading, Rows};
use crate::plan::{self, Format, Iterated, Read, Source};
use crate::run_context::RunContext;
use crate::sources::Generate;

use super::bounds::{self, Bounds};
use super::exprs::{column, name};
use super::flow::Flow;
use super::kernels;

/// Inputs from here on are streamed.
const MANY_ROWS: u64 = 200_000;
const MANY_BYTES: u64 = 8 << 20;

/// The flow of a source of columns `types`, of which at most the first `taken` rows are needed. Without a context no
/// file is read: the flow is only to be looked at.
pub fn flow(source: &Source, types: &[Type], taken: Option<u64>, context: Option<&RunContext>) -> Fallible<Flow> {
    let anything = |frame: LazyFrame, rows: Option<u64>, large: bool| Flow {
        frame,
        columns: types.iter().map(|ty| (ty.clone(), bounds::ANY)).collect(),
        rows,
        large,
    };
    Ok(match source {
        Source::Range { start, end } => {
            let end = end.expect("a range without an end was bounded or objected to").max(*start);
            let rows = (i128::from(end) - i128::from(*start)) as u64;
            let (frame, large) = range(*start, rows);
            let bounds = if rows == 0 { Bounds::one(*start) } else { Bounds::new(*start, end - 1) };
            Flow { frame, columns: vec![(Type::Int, bounds)], rows: Some(rows), large }
        }
        Source::Values(values) => {
            let frame = frame_of(values.len(), vec![data::series("c0", &types[0], values)]);
            let ints = values.iter().filter_map(|value| if let Value::Int(i) = value { Some(*i) } else { None });
            let bounds = ints.map(Bounds::one).reduce(Bounds::with).unwrap_or(Bounds::one(0));
            Flow { frame, columns: vec![(types[0].clone(), bounds)], rows: Some(values.len() as u64), large: false }
        }
        Source::Generated { what, count, seed } => {
            let (frame, large) = range(0, *count);
            let rows = kernels::elementwise(what.name, &[column(0)], data::dtype(&what.value.ty()), {
                let (made_by, seed) = (what.value, *seed);
                move |series| rows_of(made_by, seed, series[0].i64()?)
            });
            anything(frame.select([rows.alias("c0")]), Some(*count), large)
        }
        Source::Read(read) => match context {
            Some(context) => {
                // A row of a file that is not packed has at least its line break, but for the last.
                let most = read.bytes() + read.files.len() as u64;
                let rows = if is_plain(read) { Some(most.min(taken.unwrap_or(u64::MAX))) } else { taken };
                anything(file(read, taken, context)?, rows, read.bytes() >= MANY_BYTES)
            }
            None if scans(read) => anything(lines(read)?, None, false),
            None => {
                let empty = types.iter().enumerate().map(|(i, ty)| data::series(&name("c", i), ty, &[]));
                anything(frame_of(0, empty.collect()), None, false)
            }
        },
        Source::Kept(kept) => {
            let mut frame = kept.table().frame().clone();
            let names: Vec<PlSmallStr> = (0..frame.width()).map(|i| name("c", i)).collect();
            frame.set_column_names(&names).expect("as many names as columns, each another");
            let rows = frame.height() as u64;
            anything(frame.lazy(), Some(rows), rows >= MANY_ROWS)
        }
        Source::Iterated(_) if context.is_some() => return Err(Iterated::not_run()),
        Source::Iterated(_) => {
            let empty = types.iter().enumerate().map(|(i, ty)| data::series(&name("c", i), ty, &[]));
            anything(frame_of(0, empty.collect()), None, false)
        }
    })
}

/// The rows of these numbers.
fn rows_of(made_by: Generate, seed: i64, rows: &Int64Chunked) -> PolarsResult<Series> {
    Ok(match made_by {
        Generate::Char { one, .. } => {
            rows.apply_into_string_amortized(|row, out| out.push(one(seed, row as u64))).into_series()
        }
        Generate::Float { one, .. } => {
            let floats: Float64Chunked =
                rows.apply_nonnull_values_generic(DataType::Float64, |row| one(seed, row as u64));
            floats.into_series()
        }
        Generate::Int { one, .. } => rows.apply_values(|row| one(seed, row as u64)).into_series(),
    })
}

fn frame_of(height: usize, columns: Vec<Series>) -> LazyFrame {
    let columns = columns.into_iter().map(Series::into_column).collect();
    DataFrame::new(height, columns).expect("the columns have one height and their own names").lazy()
}

/// The ints from `start` on, and whether they are to be streamed.
fn range(start: i64, rows: u64) -> (LazyFrame, bool) {
    if rows < MANY_ROWS {
        let ints: Vec<i64> = (0..rows as i64).map(|row| start + row).collect();
        return (frame_of(ints.len(), vec![Series::new("c0".into(), ints)]), false);
    }
    // Rows with a number come in pieces; polars' own `int_range` is made at once even when it streams.
    let one = repeat(lit(false), lit(rows)).alias("c0");
    let numbered = LazyFrame::default().select([one]).with_row_index("row", None);
    (numbered.select([(col("row").cast(DataType::Int64) + lit(Scalar::from(start))).alias("c0")]), true)
}

fn file(read: &Read, taken: Option<u64>, context: &RunContext) -> Fallible<LazyFrame> {
    if scans(read) {
        // Opened once by our reader for its messages and its look at what has changed.
        files::open(read, context)?;
        return lines(read);
    }
    let mut frame = match read.format {
        Format::Parquet | Format::Arrow => files::frame(read, taken, context)?,
        Format::Csv(_) | Format::Json { .. } | Format::Text { .. } => columns(read, taken, context)?,
    };
    let names: Vec<PlSmallStr> = (0..frame.width()).map(|i| name("c", i)).collect();
    frame.set_column_names(&names).expect("as many names as columns, each another");
    Ok(frame.lazy())
}

/// The wanted columns as our readers read them; with a limit at least as many rows as it says, if there are.
fn columns(read: &Read, limit: Option<u64>, context: &RunContext) -> Fallible<DataFrame> {
    let wanted = read.wanted.iter().map(|index| read.fields[*index].column());
    let schema = Schema::new(wanted.collect(), Order::Kept);
    let splits = (0..read.files.len()).map(Split::whole).collect();
    let mut reading = Reading::new(read, splits, context)?;
    let mut rows = Rows::of(&schema);
    while limit.is_none_or(|limit| (rows.count() as u64) < limit)
        && let Some(batch) = reading.next(context.chunk_sizes.rows)?
    {
        rows.push(&batch)?;
        context.check()?;
    }
    let table = kernel::table(rows.finish(), &schema).map_err(|what| {
        Diagnostic::new(Kind::System, format!("internal error: the readers returned an unexpected table: {what}"))
    })?;
    Ok(table.frame().clone())
}

/// Text or csv that is not packed, and not standard input.
fn is_plain(read: &Read) -> bool {
    let is_other = |file: &plan::File| files::is_standard_input(file) || files::extension(&file.path).1.is_some();
    matches!(read.format, Format::Text { .. } | Format::Csv(_)) && !read.files.iter().any(is_other)
}

/// Whether polars reads the lines by itself, with the same errors.
fn scans(read: &Read) -> bool {
    read.format == (Format::Text { lossy: false }) && is_plain(read) && !read.files.iter().any(is_refused)
}

/// Who reads a file: what the time of this engine is the time of.
pub fn described(source: &Source) -> Option<String> {
    let Source::Read(read) = source else { return None };
    let what = match &read.format {
        Format::Text { .. } if scans(read) => return Some("polars reads the lines of the file itself".to_string()),
        Format::Parquet | Format::Arrow => {
            let format = if read.format == Format::Parquet { "parquet" } else { "arrow" };
            return Some(format!(
                "polars' {format} reader reads the columns in use first; timelab then converts dates and decimals"
            ));
        }
        Format::Text { .. } => "text",
        Format::Csv(_) => "csv",
        Format::Json { .. } => "json",
    };
    Some(format!(
        "timelab's {what} reader reads the file first, on one thread, because polars' own finds other errors: the \
         time of this engine includes it"
    ))
}

/// The same for a source.
pub fn scanned(source: &Source) -> bool {
    matches!(source, Source::Read(read) if scans(read))
}

/// Lines that are read though nothing uses them: polars would only count them, also those that are not UTF-8.
pub fn checked(lines: LazyFrame) -> LazyFrame {
    let all = |series: &[Series]| Ok(BooleanChunked::full(PlSmallStr::EMPTY, true, series[0].len()).into_series());
    lines.filter(kernels::elementwise("is_text", &[column(0)], DataType::Boolean, all))
}

fn lines(read: &Read) -> Fallible<LazyFrame> {
    let opened = read.files.iter().map(|file| {
        File::open(&file.path)
            .map_err(|error| Diagnostic::new(Kind::File, format!("\"{}\" cannot be opened: {error}", file.shown)))
    });
    let sources = ScanSources::Files(opened.collect::<Fallible<Vec<File>>>()?.into());
    let args = UnifiedScanArgs { hive_options: HiveOptions::new_disabled(), glob: false, ..UnifiedScanArgs::default() };
    let scan = DslBuilder::scan_lines(sources, args, PlSmallStr::from_static("c0"));
    let scan = scan.map_err(|error| Diagnostic::new(Kind::File, format!("\"{}\": {error}", read.shown)))?;
    Ok(LazyFrame::from(scan.build()))
}

/// Whether polars would take the file for a compressed one by its first bytes; our reader takes it as it is. Where
/// polars wants only the last lines, it looks at four bytes without asking whether there are so many.
fn is_refused(file: &plan::File) -> bool {
    let mut start = [0; 4];
    let length = File::open(&file.path).and_then(|mut file| file.read(&mut start)).unwrap_or(0);
    length < start.len()
        || matches!(
            start[..length],
            [0x1f, 0x8b, ..] | [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] | [0x28, 0xb5, 0x2f, 0xfd]
        )
}
