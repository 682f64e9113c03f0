//! What went wrong, as data: the kind, the words, where, and a hint that can be typed. It knows nothing of looks.

use serde::{Deserialize, Serialize};

/// A place in the text of one cell, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Span {
    /// Which cell's text: the session keeps them all, since a plan may hold parts of earlier cells.
    pub cell: u32,
    pub start: u32,
    pub end: u32,
}

impl Span {
    pub fn new(cell: u32, start: usize, end: usize) -> Span {
        Span { cell, start: start as u32, end: end as u32 }
    }

    /// From the start of `self` to the end of `other`, which stands in the same cell.
    pub fn to(self, other: Span) -> Span {
        Span { cell: self.cell, start: self.start, end: other.end.max(self.start) }
    }

    /// The place just after this one.
    pub fn after(self) -> Span {
        Span { cell: self.cell, start: self.end, end: self.end }
    }
}

/// The kind of a mistake: two engines that fail on one plan must fail with the same kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// The text is not in the language.
    Syntax,
    /// A name that nothing has.
    Name,
    /// A value of the wrong type or a wrong number of things.
    Type,
    /// A file that cannot be read, or whose content is not what was said.
    File,
    /// An int that would not fit into 64 bits.
    Overflow,
    /// `//` or `%` by the int zero.
    ZeroDivision,
    /// A value that a function is not defined for, such as `int("x")`.
    Domain,
    /// More than the allowed depth of calls.
    Depth,
    /// Tables whose shapes do not fit: `zip` of different lengths, a one-value table with two rows.
    Shape,
    /// What Rust code ran into: a panic, an exit, a signal.
    Rust,
    /// The person stopped it.
    Stopped,
    /// What `%check` claims does not hold.
    Claim,
    /// The engine cannot run this plan and says why.
    Objection,
    /// The run needs more memory than it may have. The same run needs as much again.
    Memory,
    /// The machine did not give what was asked: threads, a file, a terminal.
    System,
    /// Something that works but may surprise.
    Warning,
}

/// One message to the person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Diagnostic {
    pub kind: Kind,
    pub message: String,
    pub span: Option<Span>,
    /// What can be done about it; often a thing to type.
    pub hint: Option<String>,
    /// The first row (from 0, of the table that flows into the failing stage) where it happened.
    pub row: Option<u64>,
}

/// A result whose error is a message to the person.
pub type Fallible<T> = Result<T, Box<Diagnostic>>;

impl Diagnostic {
    pub fn new(kind: Kind, message: impl Into<String>) -> Box<Diagnostic> {
        Box::new(Diagnostic { kind, message: message.into(), span: None, hint: None, row: None })
    }

    pub fn at(kind: Kind, span: Span, message: impl Into<String>) -> Box<Diagnostic> {
        Box::new(Diagnostic { kind, message: message.into(), span: Some(span), hint: None, row: None })
    }

    /// The same at this place, unless it has one.
    pub fn or_at(mut self: Box<Self>, span: Span) -> Box<Diagnostic> {
        self.span.get_or_insert(span);
        self
    }

    pub fn hint(mut self: Box<Self>, hint: impl Into<String>) -> Box<Diagnostic> {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the near name as a hint where there is one: "did you mean `words`?"
    pub fn near<'a>(self: Box<Self>, word: &str, names: impl IntoIterator<Item = &'a str>) -> Box<Diagnostic> {
        match nearest(word, names) {
            Some(name) => self.hint(format!("did you mean `{name}`?")),
            None => self,
        }
    }
}

/// The name most like `word`, if one is near enough to be meant.
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    // Hardly anybody errs in the first letter of a word; a letter alone may be any other.
    let alone = word.chars().count() == 1;
    let first = |name: &str| name.trim_start_matches(['%', '-']).chars().next().map(|c| c.to_lowercase().to_string());
    names
        .into_iter()
        .filter(|name| *name != word && (alone || first(name) == first(word)))
        .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 1 + word.chars().count().min(name.chars().count()) / 6)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// "a, b and c", each in backquotes.
pub fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    match quoted.split_last() {
        None => "nothing".to_string(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}
