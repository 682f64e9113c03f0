//! Files cut into splits. Lines may be cut anywhere. A record of csv may hold line breaks in quotes, which only the
//! quotes before it tell: one quick scan finds where records start, and cuts are moved there.

use crate::files::{self, Blocks, Split};
use crate::plan::{CsvOptions, Format, Read};
use crate::run_context::RunContext;

use super::delimiters::{Quoting, next_record};

/// All files of a source, in splits of about the size that the context says. What cannot be cut is one split: packed
/// and columnar files, csv with comments (a quote in one means nothing), json arrays, and what follows a quote inside a
/// field or a carriage return that ends a record.
pub fn splits(read: &Read, context: &RunContext) -> Vec<Split> {
    let size = context.chunk_sizes.split.max(1);
    let places = |file: usize| (size as u64..read.files[file].seen.0).step_by(size).collect::<Vec<u64>>();
    (0..read.files.len()).flat_map(|file| cut(read, file, &places(file), context)).collect()
}

/// A file of a source in splits that begin at these places, which ascend, or at the next records.
pub fn cut(read: &Read, file: usize, places: &[u64], context: &RunContext) -> Vec<Split> {
    if places.is_empty() || files::packing(&read.files[file]).is_some() {
        return vec![Split::whole(file)];
    }
    match &read.format {
        Format::Json { .. } if files::is_array(read, &read.files[file]) => vec![Split::whole(file)],
        Format::Text { .. } | Format::Json { .. } => Split::cut(file, places),
        Format::Csv(options) if options.comment.is_none() => {
            // Who reads a file tells what is wrong with it.
            let starts = files::blocks_to_look_at(&read.files[file], context)
                .map(|blocks| starts(blocks, options, places, context));
            Split::cut(file, &starts.unwrap_or_default())
        }
        Format::Csv(_) | Format::Parquet | Format::Arrow => vec![Split::whole(file)],
    }
}

/// For each place the start of the first record there or after, but never of the header, which the first split has.
fn starts(mut blocks: Blocks, options: &CsvOptions, places: &[u64], context: &RunContext) -> Vec<u64> {
    let mut starts = Vec::new();
    let mut places = places.iter().copied().peekable();
    let mut quoting = Quoting::default();
    let mut offset = 0;
    // The least that may be the start of a record after the header, once that was met.
    let mut least = if options.header { None } else { Some(1) };
    while context.check().is_ok()
        && let Ok(Some(block)) = blocks.read()
    {
        let lines = block.lines();
        let mut at = if offset == 0 && lines.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        if least.is_none() {
            // Lines of nothing may stand before the header.
            let begins = lines[at..].iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
            least = begins.map(|place| offset + (at + place + 1) as u64);
        }
        while let Some(least) = least
            && let Some(place) = places.peek()
        {
            let from = least.max(*place).saturating_sub(offset) as usize;
            match next_record(lines, at, from, options.separator, &mut quoting) {
                Ok(Some(next)) => {
                    at = next;
                    let start = offset + next as u64;
                    starts.push(start);
                    while places.next_if(|place| *place <= start).is_some() {}
                }
                Ok(None) => break,
                Err(_) => return starts,
            }
        }
        if places.peek().is_none() {
            break;
        }
        offset += lines.len() as u64;
    }
    starts
}
