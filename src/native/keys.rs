//! Keys of maps and sets.

use super::code::{Hold, Piece};
use super::segment::{Segment, Stored, bundle, stored_type};
use super::shape::Kind;

/// A key as it is put into a map or a set.
pub struct Keys {
    /// Its type.
    pub ty: String,
    /// The value to be put in.
    pub text: String,
    /// The only key, a text that goes after this row: looked up as it is, copied only where it is new.
    pub borrowed: Option<String>,
    pub parts: Vec<Stored>,
}

/// The key of these pieces; `others` are looked at after it. With `lasting` it borrows what lasts.
pub fn keys(segment: &Segment, pieces: &[Piece], others: &[Piece], lasting: bool) -> Keys {
    let (texts, parts) = segment.stored(pieces, others, lasting);
    let borrowed = match pieces {
        [only]
            if !only.shape.nulls
                && is_text(&only.shape.kind)
                && only.hold == Hold::Row
                && texts[0] == only.owned().text =>
        {
            Some(only.view())
        }
        _ => None,
    };
    let types = parts.iter().map(part_type);
    let texts = texts
        .iter()
        .zip(&parts)
        .map(|(text, part)| if part.0.has_floats() { format!("Key({text})") } else { text.clone() });
    Keys { ty: bundle(types), text: bundle(texts), borrowed, parts }
}

fn is_text(kind: &Kind) -> bool {
    matches!(kind, Kind::Text | Kind::Open)
}

/// The type of one part of a key: floats have no `Eq` of their own.
pub fn part_type(part: &Stored) -> String {
    let ty = stored_type(part);
    if part.0.has_floats() { format!("Key<{ty}>") } else { ty }
}

/// The pattern that takes a key apart.
pub fn pattern(parts: &[Stored], names: &[String]) -> String {
    bundle(
        parts
            .iter()
            .zip(names)
            .map(|(part, name)| if part.0.has_floats() { format!("Key({name})") } else { name.clone() }),
    )
}
