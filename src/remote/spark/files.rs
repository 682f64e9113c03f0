//! Files that a server on this machine reads itself: text, and csv whose lines are cut at the separator. What is not
//! certain to mean the same there is read here and sent.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};

use crate::data::{Table, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::files;
use crate::plan::{Basis, CsvOptions, Field, Format, Read};
use crate::run_context::RunContext;

use super::super::translate::{MOST_SENT, Refusal, TOO_LARGE, Translated};
use super::build::*;
use super::expressions::{float_of_plain_text, int_of_plain_text};
use super::messages::*;

/// How a server reads the files of a source.
pub struct Direct {
    paths: Vec<String>,
    /// The line that each file begins with, which is no row.
    header: Option<String>,
}

/// Whether a server on this machine could read them itself, if their text is as plain as it looks.
pub fn may_be_direct(read: &Read) -> bool {
    let is_plain = match &read.format {
        Format::Text { lossy } => !lossy,
        Format::Csv(options) => !options.lossy && !options.ragged && options.comment.is_none(),
        Format::Json { .. } | Format::Parquet | Format::Arrow => false,
    };
    is_plain && paths(read).is_some()
}

fn paths(read: &Read) -> Option<Vec<String>> {
    let path = |file: &crate::plan::File| {
        if files::is_standard_input(file) || files::packing(file).is_some() {
            return None;
        }
        let path = std::path::absolute(&file.path).ok()?;
        let path = path.to_str()?;
        // A pattern would be one there too.
        let is_plain = !path.contains(['*', '?', '[', ']', '{', '}', '\\', '%', ',', ':', '#']);
        is_plain.then(|| format!("file://{path}"))
    };
    read.files.iter().map(path).collect()
}

/// Looks through the files, which must be there: what makes them other rows there than here is found, and they are
/// read here instead.
///
/// # Errors
/// A file cannot be read, or is not UTF-8 text.
pub fn direct(read: &Read, context: &RunContext) -> Fallible<Option<Direct>> {
    let Some(paths) = paths(read).filter(|_| may_be_direct(read)) else { return Ok(None) };
    let mut header: Option<String> = None;
    for file in &read.files {
        let failed = |what: String| Diagnostic::new(Kind::File, format!("\"{}\" {what}", file.shown));
        let unread = |error: std::io::Error| failed(format!("cannot be read: {error}"));
        let seen = fs::metadata(&file.path).map_err(unread)?;
        if seen.len() != file.seen.0 || seen.modified().ok() != file.seen.1 {
            return Ok(None);
        }
        let mut lines = BufReader::with_capacity(1 << 20, File::open(&file.path).map_err(unread)?);
        let mut line = Vec::new();
        let mut number = 0u64;
        loop {
            line.clear();
            if lines.read_until(b'\n', &mut line).map_err(unread)? == 0 {
                break;
            }
            number += 1;
            if number.is_multiple_of(4096) {
                context.check()?;
            }
            let Ok(text) = std::str::from_utf8(&line) else { return Err(failed("is not UTF-8 text".to_string())) };
            let text = text.strip_suffix('\n').unwrap_or(text);
            let text = text.strip_suffix('\r').unwrap_or(text);
            let Format::Csv(options) = &read.format else { continue };
            if !is_plain(text, &line, options, read.fields.len(), number) {
                return Ok(None);
            }
            if !options.header {
                continue;
            }
            match (&header, number) {
                (None, 1) => header = Some(text.to_string()),
                // Another header, or a row that would be taken for one.
                (Some(header), _) if (header == text) != (number == 1) => return Ok(None),
                _ => {}
            }
        }
    }
    Ok(Some(Direct { paths, header }))
}

/// Whether a line is one record, cut at each separator.
fn is_plain(text: &str, line: &[u8], options: &CsvOptions, width: usize, number: u64) -> bool {
    let separator = char::from(options.separator);
    // A carriage return alone ends a record; where it stands last, no line feed follows it.
    let is_cut_once = !text.contains(['"', '\r', '\0']) && !(line.ends_with(b"\r"));
    let is_blank = text.is_empty() && width > 1;
    let has_mark = number == 1 && text.starts_with('\u{feff}');
    is_cut_once && !is_blank && !has_mark && text.matches(separator).count() + 1 == width
}

/// The rows of a source that are read here.
///
/// # Errors
/// Those of the reader; there are more bytes than are sent.
pub fn table(read: &Read, schema: &crate::data::Schema, span: Span, context: &RunContext) -> Fallible<Table> {
    let too_large =
        || Diagnostic::at(Kind::Objection, span, format!("the engine `spark` cannot run this: {TOO_LARGE}"));
    if read.bytes() > MOST_SENT as u64 {
        return Err(too_large());
    }
    let mut records = files::open(read, context).map_err(|error| error.or_at(span))?;
    let mut columns: Vec<Vec<Value>> = vec![Vec::new(); schema.columns.len()];
    let (mut row, mut height, mut bytes) = (Vec::new(), 0usize, 0);
    while records.next(&mut row).map_err(|error| error.or_at(span))? {
        for (column, value) in columns.iter_mut().zip(row.drain(..)) {
            bytes += super::super::translate::value_bytes(&value);
            column.push(value);
        }
        height += 1;
        if height.is_multiple_of(1024) {
            context.check()?;
            if bytes > MOST_SENT {
                return Err(too_large());
            }
        }
    }
    context.read_notes.add_status(format!("\"{}\" was read here and sent", read.shown));
    Ok(Table::from_columns(schema.clone(), height, &columns))
}

/// Whether the rows of a source can be sent.
pub fn may_be_sent(read: &Read, span: Span) -> Translated<()> {
    if read.files.iter().any(files::is_standard_input) {
        return Err(Refusal { reason: "standard input is only in the process of the shell", span });
    }
    if read.bytes() > MOST_SENT as u64 { Err(Refusal { reason: TOO_LARGE, span }) } else { Ok(()) }
}

/// The relation of files that the server reads: columns `c0`, … of the wanted fields.
pub fn relation(read: &Read, direct: &Direct) -> Relation {
    let options = [("lineSep".to_string(), "\n".to_string())].into_iter().collect();
    let source = DataSource { format: Some("text".to_string()), schema: None, options, paths: direct.paths.clone() };
    let lines = rel(RelType::Read(super::messages::Read { data_source: Some(source) }));
    let value = || attribute("value");
    let length = call("-", vec![call("length", vec![value()]), small(1)]);
    let shorter = call("substring", vec![value(), small(1), length]);
    let line = when(vec![call("endswith", vec![value(), text("\r")]), shorter, value()]);
    let Format::Csv(options) = &read.format else {
        return project(lines, vec![alias(line, "c0")]);
    };
    let mut lines = project(lines, vec![alias(line, "l")]);
    if let Some(header) = &direct.header {
        lines = filter(lines, not(equal(attribute("l"), text(header))));
    }
    let is_one = read.fields.len() == 1;
    let fields = if is_one { attribute("l") } else { split_at(attribute("l"), char::from(options.separator)) };
    // A server may compute what follows for the header too.
    let fields = match &direct.header {
        Some(header) => {
            let ty = if is_one { Type::Text } else { Type::list(Type::Text) };
            when(vec![equal(attribute("l"), text(header)), null(&ty), fields])
        }
        None => fields,
    };
    let lines = project(lines, vec![alias(fields, "f")]);
    let field =
        |place: usize| if is_one { attribute("f") } else { call("get", vec![attribute("f"), small(place as i32)]) };
    let wanted = read.wanted.iter().enumerate();
    let columns: Vec<Expression> =
        wanted.map(|(i, place)| alias(typed(field(*place), &read.fields[*place], options), format!("c{i}"))).collect();
    // Where only the number of rows is wanted.
    let columns = if columns.is_empty() { vec![alias(long(0), "o")] } else { columns };
    project(lines, columns)
}

fn split_at(line: Expression, separator: char) -> Expression {
    let pattern = if separator.is_ascii_punctuation() { format!("\\{separator}") } else { separator.to_string() };
    call("split", vec![line, text(&pattern)])
}

/// A field as its column has it, by the rules of `files::field`.
fn typed(found: Expression, field: &Field, options: &CsvOptions) -> Expression {
    let is = |value: &str| equal(found.clone(), text(value));
    let ty = &field.ty;
    let empty = || null(ty);
    let mut arms = vec![is_null(found.clone()), empty(), is(""), empty()];
    for listed in options.nulls.iter().flatten() {
        arms.extend([is(listed), empty()]);
    }
    if field.basis == Basis::Unused {
        return null(ty);
    }
    if matches!(ty, Type::Text | Type::List(_) | Type::Never) {
        arms.push(found);
        return when(arms);
    }
    if options.nulls.is_none() {
        for usual in CsvOptions::NULL_TEXTS {
            arms.extend([is(usual), empty()]);
        }
    }
    let misfit = |ty: &Type| raise("file", "a field does not fit its column", ty);
    let fits = |pattern: &str| call("rlike", vec![found.clone(), text(pattern)]);
    match ty {
        Type::Int => {
            let pattern = if field.is_stated() { "^[+-]?[0-9]+\\z" } else { "^-?(0|[1-9][0-9]*)\\z" };
            arms.extend([fits(pattern), int_of_plain_text(found.clone(), misfit(ty)), misfit(ty)]);
            when(arms)
        }
        Type::Float => {
            let whole = if field.is_stated() { "[+-]?[0-9]+" } else { "-?(0|[1-9][0-9]*)" };
            let sign = if field.is_stated() { "[+-]?" } else { "-?" };
            if !field.is_stated() {
                // An int beyond 64 bits is not a float by itself.
                arms.extend([fits("^-?[0-9]{19,}\\z"), raise("objection", "a column has ints of 19 digits", ty)]);
            }
            let power = "([eE][+-]?[0-9]+)?\\z";
            arms.extend([
                fits(&format!("^({whole}(\\.[0-9]*)?|{sign}\\.[0-9]+){power}")),
                float_of_plain_text(found.clone(), misfit(ty)),
                fits("^[+-]?[nN][aA][nN]\\z"),
                double(f64::NAN),
                fits("^\\+?[iI][nN][fF]([iI][nN][iI][tT][yY])?\\z"),
                double(f64::INFINITY),
                fits("^-[iI][nN][fF]([iI][nN][iI][tT][yY])?\\z"),
                double(f64::NEG_INFINITY),
                misfit(ty),
            ]);
            when(arms)
        }
        Type::Bool => {
            arms.extend([is("true"), boolean(true), is("false"), boolean(false), misfit(ty)]);
            chosen_bool(arms)
        }
        _ => {
            arms.push(misfit(ty));
            when(arms)
        }
    }
}
