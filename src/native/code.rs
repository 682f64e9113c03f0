//! A piece of Rust that has a value.

use super::shape::{Kind, ValueLayout};

/// An expression in Rust.
#[derive(Debug, Clone)]
pub struct Piece {
    pub text: String,
    pub strength: Strength,
    pub shape: ValueLayout,
    pub hold: Hold,
    /// The variable that owns the value which this borrows.
    pub owner: Option<Owner>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Owner {
    pub name: String,
    /// How many loops stand around its declaration: further inside, it may not be moved away.
    pub loops: usize,
}

/// How strongly an expression binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// `if`, `match`, blocks, `as`.
    Loose,
    Or,
    And,
    Comparison,
    Sum,
    Product,
    Unary,
    /// Names, calls, literals.
    Tight,
}

/// How long a text or a list is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// A value of its own.
    Own,
    /// Borrowed from what is there until the row is done.
    Row,
    /// Borrowed from what is there until the function returns.
    Lasting,
    /// Borrowed from a table that goes in, or written in the code: there after the function has returned.
    Program,
}

impl Hold {
    /// Whether it is there as long as the function runs.
    pub fn lasts(self) -> bool {
        self >= Hold::Lasting
    }
}

impl Piece {
    /// A value of its own that binds tightly.
    pub fn tight(text: impl Into<String>, shape: ValueLayout) -> Piece {
        Piece { text: text.into(), strength: Strength::Tight, shape, hold: Hold::Own, owner: None }
    }

    pub fn loose(text: impl Into<String>, shape: ValueLayout) -> Piece {
        Piece { strength: Strength::Loose, ..Piece::tight(text, shape) }
    }

    /// A variable that owns its value: read by borrowing.
    pub fn owning(name: &str, shape: ValueLayout, loops: usize) -> Piece {
        if shape.is_copy() {
            return Piece::tight(name, shape);
        }
        let text = format!("{name}.{}()", view_method(&shape));
        let owner = Some(Owner { name: name.to_string(), loops });
        Piece { hold: Hold::Row, owner, ..Piece::tight(text, shape) }
    }

    /// A variable that borrows its value.
    pub fn borrowing(name: &str, shape: ValueLayout, hold: Hold) -> Piece {
        Piece::tight(name, shape).holding(hold)
    }

    /// A variable that refers to an owned value in a table.
    pub fn referring(name: &str, shape: ValueLayout, hold: Hold) -> Piece {
        Piece { owner: None, ..Piece::owning(name, shape, 0) }.holding(hold)
    }

    pub fn holding(self, hold: Hold) -> Piece {
        Piece { hold: if self.shape.is_copy() { Hold::Own } else { hold }, ..self }
    }

    /// In brackets where it binds weaker than `outer`.
    pub fn at(&self, outer: Strength) -> String {
        if self.strength < outer { format!("({})", self.text) } else { self.text.clone() }
    }

    /// As what a method is called on: a literal needs its type there.
    pub fn receiver(&self) -> String {
        let digits = self.text.trim_start_matches('-');
        let is_literal = digits.starts_with(|c: char| c.is_ascii_digit()) && !self.text.contains("_i64");
        let typed = match (is_literal && self.is_simple(), &self.shape.kind) {
            (true, Kind::Float) => Piece { text: format!("{}_f64", self.text), ..self.clone() },
            (true, Kind::Int) => Piece { text: format!("{}_i64", self.text), ..self.clone() },
            // What owns a text or a list has their methods.
            _ if !self.shape.nulls => Piece { text: self.without_borrow().to_string(), ..self.clone() },
            _ => self.clone(),
        };
        typed.at(Strength::Tight)
    }

    /// A value of its own.
    pub fn owned(&self) -> Piece {
        if self.hold == Hold::Own || self.shape.is_copy() {
            return self.clone();
        }
        if let Some(owner) = &self.owner {
            return Piece::tight(format!("{}.clone()", owner.name), self.shape.clone());
        }
        let text = match (&self.shape.kind, self.shape.nulls) {
            (Kind::List(_), false) => format!("{}.to_vec()", self.receiver()),
            (Kind::List(_), true) => format!("{}.map(<[_]>::to_vec)", self.receiver()),
            (_, false) => format!("{}.to_string()", self.receiver()),
            (_, true) => format!("{}.map(str::to_string)", self.receiver()),
        };
        Piece::tight(text, self.shape.clone())
    }

    /// As a borrowed text or list, for one expression.
    pub fn view(&self) -> String {
        if self.hold != Hold::Own || self.shape.is_copy() {
            return self.text.clone();
        }
        format!("{}.{}()", self.receiver(), view_method(&self.shape))
    }

    /// As an argument of a function that borrows texts and lists.
    pub fn argument(&self) -> String {
        if !self.shape.nulls && self.without_borrow() != self.text {
            let and = if self.owner.is_some() { "&" } else { "" };
            return format!("{and}{}", self.without_borrow());
        }
        if self.hold != Hold::Own || self.shape.is_copy() || self.shape.nulls {
            return self.view();
        }
        format!("&{}", self.at(Strength::Unary))
    }

    /// Whether it is a variable or a literal: nothing can go wrong, and it costs nothing to say it twice.
    pub fn is_simple(&self) -> bool {
        let word = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-:<>&".contains(c));
        let is_text = self.text.starts_with('"') && !self.text.contains(['?', '(']);
        word(self.without_borrow()) || self.owner.is_some() || is_text
    }

    /// Its text without the borrowing at its end.
    fn without_borrow(&self) -> &str {
        let ends = [".as_str()", ".as_slice()", ".as_deref()"];
        ends.iter().find_map(|end| self.text.strip_suffix(end)).unwrap_or(&self.text)
    }

    /// The variable that it is or borrows.
    pub fn variable(&self) -> Option<&str> {
        let is_word = |text: &&str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        Some(self.without_borrow()).filter(is_word).filter(|text| !text.starts_with(|c: char| c.is_ascii_digit()))
    }

    /// The same value as one of `to`, which holds it; of its own unless nothing changes.
    pub fn fit(&self, to: &ValueLayout) -> Piece {
        if self.shape.owned() == to.owned() {
            return Piece { shape: to.clone(), ..self.clone() };
        }
        let from = &self.shape;
        if from.nulls && to.nulls {
            if from.kind == Kind::Open {
                return self.discarded(format!("None::<{}>", to.never_null().owned()), to);
            }
            let inner = Piece::tight("item", from.never_null()).fit(&to.never_null());
            return Piece::tight(format!("{}.map(|item| {})", self.owned().receiver(), inner.text), to.clone());
        }
        if to.nulls {
            let inner = self.fit(&to.never_null());
            return Piece::tight(format!("Some({})", inner.text), to.clone()).holding(inner.hold);
        }
        match (&from.kind, &to.kind) {
            (Kind::Int, Kind::Float) if self.text.chars().all(|c| c.is_ascii_digit()) => {
                Piece::tight(format!("{}.0", self.text), to.clone())
            }
            (Kind::Int, Kind::Float) => Piece::loose(format!("{} as f64", self.at(Strength::Unary)), to.clone()),
            (Kind::List(_), Kind::List(_)) if from.item() == ValueLayout::plain(Kind::Open) => {
                self.discarded(format!("Vec::<{}>::new()", to.item().owned()), to)
            }
            (Kind::List(item), Kind::List(of)) => {
                let inner = match (&item.kind, item.nulls, of.nulls) {
                    (Kind::Open, true, true) => format!("None::<{}>", of.never_null().owned()),
                    _ => Piece::tight("item", (**item).clone()).fit(of).text,
                };
                let text = format!("{}.into_iter().map(|item| {inner}).collect::<Vec<_>>()", self.owned().receiver());
                Piece::tight(text, to.clone())
            }
            (Kind::Open, _) => self.discarded(format!("no_value::<{}>()", to.owned()), to),
            _ => Piece { shape: to.clone(), ..self.clone() },
        }
    }

    /// The same as [`Piece::fit`], of its own.
    pub fn owned_fit(&self, to: &ValueLayout) -> Piece {
        self.owned().fit(to).owned()
    }

    /// `value` in its place; it is still computed where something can go wrong in it.
    pub fn discarded(&self, value: String, shape: &ValueLayout) -> Piece {
        if self.is_simple() {
            return Piece::tight(value, shape.clone());
        }
        Piece::loose(format!("{{ let _ = {}; {value} }}", self.text), shape.clone())
    }

    /// As a condition: null does not hold.
    pub fn condition(&self) -> Piece {
        if !self.shape.nulls {
            return self.clone();
        }
        let text = format!("{} == Some(true)", self.at(Strength::Sum));
        Piece { strength: Strength::Comparison, ..Piece::tight(text, ValueLayout::plain(Kind::Bool)) }
    }
}

fn view_method(shape: &ValueLayout) -> &'static str {
    match (&shape.kind, shape.nulls) {
        (_, true) => "as_deref",
        (Kind::List(_), false) => "as_slice",
        _ => "as_str",
    }
}
