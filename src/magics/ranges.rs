//! Cells by their numbers: `3`, `2-5`, `4-`, `-2` for the last two.

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{Argument, Word};
use crate::session::{Entered, Session};

/// How ranges are written, for hints.
pub const USAGE: &str = "cells are 3, 2-5, 4- or -2 (the last two)";

/// The words of a magic.
pub fn words(magic: &crate::lang::Magic) -> &[Word] {
    if let Argument::Words(words) = &magic.subject { words } else { &[] }
}

/// The cells that the ranges name, with their numbers, in the order of the ranges.
pub fn picked<'s>(session: &'s Session, ranges: &[Word]) -> Fallible<Vec<(usize, &'s Entered)>> {
    let all = session.entered();
    let mut cells = Vec::new();
    for word in ranges {
        let Some((first, last)) = bounds(&word.text, all.len()) else {
            let message = format!("`{}` is not a range of cells", word.text);
            return Err(Diagnostic::at(Kind::Syntax, word.span, message).hint(USAGE));
        };
        if all.is_empty() && word.text.starts_with('-') {
            // The last few of none.
            continue;
        }
        if first < 1 || last > all.len() || first > last {
            let message = match all.len() {
                0 => "there are no cells yet".to_string(),
                n => format!("`{}`: the cells are 1 to {n}", word.text),
            };
            return Err(Diagnostic::at(Kind::Name, word.span, message).hint(USAGE));
        }
        cells.extend((first..=last).map(|number| (number, &all[number - 1])));
    }
    Ok(cells)
}

/// The first and the last cell of a range, where `count` cells are there.
fn bounds(text: &str, count: usize) -> Option<(usize, usize)> {
    match text.split_once('-') {
        None => text.parse().ok().map(|number| (number, number)),
        Some(("", last)) => last.parse::<usize>().ok().map(|n| ((count + 1).saturating_sub(n).max(1), count)),
        Some((first, "")) => first.parse().ok().map(|first| (first, count)),
        Some((first, last)) => Some((first.parse().ok()?, last.parse().ok()?)),
    }
}
