use std::fmt::Write;

use crate::data::{Order, Type, Value};

use super::Class::{Linear, Quadratic};
use super::{Facts, Shape, Typed, column, variant};

pub static STRINGS: Typed<[String], String> = Typed {
    facts: Facts {
        name: "strings",
        about: "builds one text out of many parts",
        counts: "parts",
        sizes: &[11, 100, 1_000, 10_000, 100_000],
        stages: Some(r#"join """#),
        text: include_str!("strings.rs"),
    },
    shapes: &[
        Shape {
            name: "letters",
            about: "each part is one letter",
            make: |n, rng| (0..n).map(|_| rng.letter().to_string()).collect(),
        },
        Shape {
            name: "words",
            about: "each part has one to five letters",
            make: |n, rng| {
                let mut part = || (0..=rng.below(5)).map(|_| rng.letter()).collect();
                (0..n).map(|_| part()).collect()
            },
        },
    ],
    variants: &[
        variant("fold", "a new text for each part: all before it is copied again", Quadratic, Linear, 100_000, fold),
        variant("format", "the same through the formatter", Quadratic, Linear, 100_000, format),
        variant("push", "adds in place; the room doubles when it is full", Linear, Linear, 10_000_000, push),
        variant("reserve", "adds in place, with room for all from the start", Linear, Linear, 10_000_000, reserve),
        variant("written", "adds in place through the formatter", Linear, Linear, 10_000_000, written),
        variant("join", "the library's own", Linear, Linear, 10_000_000, join),
    ],
    input: |parts| column("it", Type::Text, Order::Kept, parts.iter().map(|part| Value::text(part)).collect()),
    output: |_, text| column("it", Type::Text, Order::Kept, vec![Value::text(&text)]),
};

fn fold(parts: &[String]) -> String {
    parts.iter().fold(String::new(), |text, part| [text.as_str(), part.as_str()].concat())
}

fn format(parts: &[String]) -> String {
    let mut text = String::new();
    for part in parts {
        text = format!("{text}{part}");
    }
    text
}

fn push(parts: &[String]) -> String {
    let mut text = String::new();
    for part in parts {
        text.push_str(part);
    }
    text
}

fn reserve(parts: &[String]) -> String {
    let mut text = String::with_capacity(parts.iter().map(String::len).sum());
    for part in parts {
        text.push_str(part);
    }
    text
}

fn written(parts: &[String]) -> String {
    let mut text = String::new();
    for part in parts {
        write!(text, "{part}").expect("a text in memory can be written");
    }
    text
}

fn join(parts: &[String]) -> String {
    parts.join("")
}
