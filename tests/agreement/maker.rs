//! Makes random cells of which nearly all type-check: each stage is bound as soon as it is made, and what does not bind
//! is thrown away, so the session itself says which columns flow.

use std::path::Path;

use timelab::console::Console;
use timelab::data::{Order, Schema, Type, Value};
use timelab::session::{Bound, Session};

use super::part::{Data, Form, Part, call, literal, name, operation, words};
use super::write_files;
use crate::lab;
use crate::random::Random;

const INTS: [i64; 28] = [
    0,
    1,
    1,
    2,
    2,
    3,
    3,
    4,
    5,
    7,
    9,
    10,
    12,
    -1,
    -1,
    -2,
    -3,
    -7,
    100,
    -100,
    i64::MAX,
    i64::MAX - 1,
    i64::MIN,
    i64::MIN + 1,
    (1 << 53) + 1,
    1 << 31,
    -(1 << 32),
    3_037_000_500,
];

/// Sums of a few of these are exact in any order, or near the last, which is 2^996.
const FLOATS: [f64; 18] = [
    0.0,
    -0.0,
    0.5,
    0.5,
    1.0,
    1.5,
    2.5,
    -0.5,
    -1.5,
    -2.5,
    3.0,
    7.25,
    100.125,
    f64::NAN,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::from_bits(0x7e3 << 52),
];

const TEXTS: [&str; 44] = [
    "",
    "a",
    "a",
    "b",
    "ab",
    "abc",
    "A",
    "Ab",
    "a b",
    " a  b ",
    "a,b",
    "a,b,,c",
    "b-a",
    "1",
    "12",
    " 3 ",
    "-7",
    "1.5",
    "2e3",
    "true",
    "false",
    "null",
    "NaN",
    "inf",
    "9223372036854775807",
    "9223372036854775808",
    "née",
    "nee\u{301}",
    "straße",
    "ΑΣ",
    "İx",
    "ǅ",
    "日本",
    "👩\u{200d}👩\u{200d}👧",
    "🙂a",
    "\u{a0}x\u{2003}y\u{3000}",
    "\u{feff}z",
    "tab\there",
    "two\nlines",
    "quo\"te",
    "back\\slash",
    "$0 {} .*",
    "^c0$",
    "\u{10ffff}",
];

const PATTERNS: [&str; 9] = ["a", "^a", "b$", "[0-9]+", ".", "(?i)AB", "é|ß", "^$", "\\s"];
const NAMES: [&str; 10] = ["a", "b", "c", "d", "n", "x", "it", "x y", "é", "^c.*$"];

/// A cell of lets, functions, and a pipeline at the end.
pub fn cell(seed: u64, folder: &Path) -> Part {
    let mut maker = Maker {
        chance: Random::new(seed),
        session: Session::new("rows", Console::default()),
        folder,
        columns: Vec::new(),
        rows: 0,
        tables: Vec::new(),
        values: Vec::new(),
        functions: Vec::new(),
        parameters: None,
        acc: None,
        statements: Vec::new(),
    };
    for _ in 0..maker.chance.below(8).saturating_sub(4) {
        let statement = maker.statement();
        maker.statements.extend(statement);
    }
    let stages = 1 + maker.chance.below(6);
    let (pipeline, _) = maker.pipeline(2, stages);
    maker.statements.push(pipeline);
    Part::Many { parts: maker.statements, between: "; ", least: 1 }
}

struct Maker<'a> {
    chance: Random,
    session: Session,
    folder: &'a Path,
    /// The columns that flow where the next stage is made, and about how many rows there may be.
    columns: Vec<(String, Type)>,
    rows: usize,
    /// What the session knows: tables with their rows, values, functions with the types of their parameters.
    tables: Vec<(String, usize)>,
    values: Vec<(String, Type)>,
    functions: Vec<(String, Vec<Type>, Type)>,
    /// Inside a function, which sees nothing else.
    parameters: Option<Vec<(String, Type)>>,
    acc: Option<Type>,
    /// The statements so far.
    statements: Vec<Part>,
}

/// More rows are not made of fewer.
const MANY: usize = 4000;

impl Maker<'_> {
    /// The table that a pipeline gives, if it binds.
    fn bound(&mut self, part: &Part) -> Option<Schema> {
        let rendered = part.render(self.folder);
        write_files(&rendered);
        match lab::bound(&mut self.session, &rendered.text).ok()?? {
            Bound::Table(plan) => Some(plan.schema().clone()),
            Bound::Value(_, Type::List(of)) => Some(Schema::one("it", *of)),
            Bound::Value(_, ty) => Some(Schema::one("it", ty)),
        }
    }

    /// Whether the session takes a statement.
    fn given(&mut self, part: &Part) -> bool {
        let rendered = part.render(self.folder);
        write_files(&rendered);
        let context = self.session.context();
        lab::run(&mut self.session, &rendered.text, &context).is_ok()
    }

    fn statement(&mut self) -> Option<Part> {
        let number = self.tables.len() + self.values.len() + self.functions.len();
        match self.chance.below(4) {
            0 | 1 => {
                let stages = self.chance.below(3);
                let (pipeline, _) = self.pipeline(1, stages);
                let persist = if self.chance.one_in(3) { " | persist" } else { "" };
                let called = format!("t{number}");
                let part = Part::Row(vec![words(format!("let {called} = ")), pipeline, words(persist)]);
                self.given(&part).then(|| self.tables.push((called, self.rows)))?;
                Some(part)
            }
            2 => {
                self.columns.clear();
                let ty = self.ty(1);
                let called = format!("v{number}");
                let part = Part::Row(vec![words(format!("let {called} = ")), self.value(&ty, 2)]);
                self.given(&part).then(|| self.values.push((called, ty)))?;
                Some(part)
            }
            _ => {
                let called = format!("f{number}");
                if self.chance.one_in(4) {
                    // A recursive one.
                    let text = format!("fn {called}(n) = if n < 1 then 0 else 1 + {called}(n - 1)");
                    let part = words(text);
                    self.given(&part).then(|| self.functions.push((called, vec![Type::Int], Type::Int)))?;
                    return Some(part);
                }
                let types: Vec<Type> = (0..1 + self.chance.below(2)).map(|_| self.ty(0)).collect();
                let result = self.ty(1);
                let names = ["p", "q"];
                self.parameters = Some(names.iter().map(|name| name.to_string()).zip(types.clone()).collect());
                let body = self.value(&result, 3);
                self.parameters = None;
                let head = format!("fn {called}({}) = ", names[..types.len()].join(", "));
                let part = Part::Row(vec![words(head), body]);
                self.given(&part).then(|| self.functions.push((called, types, result)))?;
                Some(part)
            }
        }
    }

    /// A source and stages; `depth` is how deep others may stand inside it.
    fn pipeline(&mut self, depth: usize, stages: usize) -> (Part, Schema) {
        let (mut source, mut schema) = (words("[1]"), Schema::one("it", Type::Int));
        self.columns.clear();
        let made = self.source();
        if let Some(bound) = self.bound(&made) {
            (source, schema) = (made, bound);
        }
        let mut parts: Vec<Part> = Vec::new();
        let whole = |source: &Part, parts: &[Part]| {
            let stages = Part::Many { parts: parts.to_vec(), between: "", least: 0 };
            Part::Row(vec![source.clone(), stages])
        };
        let mut tries = 0;
        while parts.len() < stages && tries < 4 * stages {
            tries += 1;
            let columns = schema.columns.iter();
            self.columns = columns.map(|column| (column.name.clone(), column.ty.closed())).collect();
            let rows = self.rows;
            let again = depth > 0 && self.chance.one_in(22);
            let stage = if again {
                // What is used twice has a name.
                let called = format!("s{}", self.statements.len());
                let named = Part::Row(vec![words(format!("let {called} = ")), whole(&source, &parts)]);
                if !self.given(&named) {
                    continue;
                }
                self.statements.push(named);
                (source, parts) = (words(called.clone()), Vec::new());
                self.beside_itself(&called)
            } else {
                self.stage(depth, &schema)
            };
            let stage = Part::Row(vec![words(" | "), stage]);
            let mut longer = parts.clone();
            longer.push(stage);
            match self.bound(&whole(&source, &longer)) {
                Some(bound) if bound.order != Order::Random || self.chance.one_in(30) => {
                    (schema, parts) = (bound, longer);
                }
                _ => self.rows = rows,
            }
        }
        (whole(&source, &parts), schema)
    }

    fn source(&mut self) -> Part {
        self.rows = self.height();
        match self.chance.below(12) {
            0 => {
                let start = self.chance.below(9) as i64 - 4;
                self.rows = if self.chance.one_in(150) { 250_000 } else { self.rows };
                words(format!("{start}..{}", start + self.rows as i64))
            }
            1 => words(format!("letters {} seed {}", self.rows, self.chance.below(5))),
            2 if self.chance.one_in(3) => {
                // In eighths, so that sums are exact.
                let seed = self.chance.below(5);
                words(format!("random {} seed {seed} | map it = floor(it * 8) / 8", self.rows))
            }
            3 | 4 if !self.tables.is_empty() => {
                let (table, rows) = self.chance.pick(&self.tables).clone();
                self.rows = rows;
                words(table)
            }
            5 => {
                let ty = self.ty(2);
                self.table(vec![("it".to_string(), ty)], Form::Lists)
            }
            6 => {
                let lines = vec![("line".to_string(), Type::Text)];
                self.table(lines, Form::Lines)
            }
            n => {
                let width = if self.chance.one_in(40) { 30 } else { 1 + self.chance.below(4) };
                let file = n >= 10;
                let called = |i: usize| if i < 4 { NAMES[i].to_string() } else { format!("w{i}") };
                let columns = (0..width).map(|i| (called(i), self.ty(if file { 0 } else { 1 }))).collect();
                let form = Form::Csv {
                    separator: *self.chance.pick(&[',', ',', ';', '\t']),
                    header: !self.chance.one_in(4),
                    uneven: self.chance.one_in(30),
                };
                self.table(columns, if file { form } else { Form::Lists })
            }
        }
    }

    fn height(&mut self) -> usize {
        match self.chance.below(12) {
            0 => 0,
            1 => 1,
            2 => 20 + self.chance.below(60),
            _ => 2 + self.chance.below(7),
        }
    }

    fn table(&mut self, columns: Vec<(String, Type)>, form: Form) -> Part {
        // Few different values make duplicate keys.
        let nulls = *self.chance.pick(&[0, 3, 6, 6, 20]);
        let mut pools: Vec<Vec<Value>> = Vec::new();
        for (_, ty) in &columns {
            let count = 1 + self.chance.below(8);
            pools.push((0..count).map(|_| self.constant(ty)).collect());
        }
        let mut rows: Vec<Vec<Value>> = Vec::new();
        for _ in 0..self.rows {
            let mut row = Vec::new();
            for pool in &pools {
                let null = nulls > 0 && self.chance.one_in(nulls);
                row.push(if null { Value::Null } else { self.chance.pick(pool).clone() });
            }
            rows.push(row);
        }
        Part::Table(Data { columns, rows, form })
    }

    fn ty(&mut self, lists: usize) -> Type {
        match self.chance.below(if lists > 0 { 11 } else { 9 }) {
            0..=2 => Type::Int,
            3 | 4 => Type::Float,
            5 => Type::Bool,
            6..=8 => Type::Text,
            _ => Type::list(self.ty(lists - 1)),
        }
    }

    fn constant(&mut self, ty: &Type) -> Value {
        match ty {
            Type::Int => {
                // Mostly small ones: sums and products of the largest overflow.
                let among = if self.chance.one_in(5) { &INTS[..] } else { &INTS[..20] };
                Value::Int(*self.chance.pick(among))
            }
            Type::Float => Value::Float(*self.chance.pick(&FLOATS)),
            Type::Bool => Value::Bool(self.chance.one_in(2)),
            Type::Text | Type::Open | Type::Never => match self.chance.below(40) {
                0 => Value::text(&"long é ".repeat(60)),
                1 => Value::text(&"x".repeat(13)),
                _ => Value::text(self.chance.word(&TEXTS)),
            },
            Type::List(of) => {
                let mut items = Vec::new();
                for _ in 0..self.chance.below(4) {
                    items.push(if self.chance.one_in(7) { Value::Null } else { self.constant(of) });
                }
                Value::List(items.into())
            }
        }
    }

    /// The type of some column, or any.
    fn near_type(&mut self) -> Type {
        if self.columns.is_empty() || self.chance.one_in(4) {
            return self.ty(1);
        }
        self.chance.pick(&self.columns).1.clone()
    }

    fn any(&mut self, depth: usize) -> Part {
        let ty = self.near_type();
        self.value(&ty, depth)
    }

    fn condition(&mut self) -> Part {
        self.value(&Type::Bool, 3)
    }

    fn number(&mut self) -> Part {
        let ty = if self.chance.one_in(3) { Type::Float } else { Type::Int };
        self.value(&ty, 2)
    }

    fn column(&mut self) -> String {
        name(&self.chance.pick(&self.columns).0)
    }

    fn new_name(&mut self) -> String {
        name(self.chance.word(&NAMES))
    }

    /// Between `least` and `most` arguments.
    fn args(&mut self, least: usize, most: usize, mut arg: impl FnMut(&mut Self) -> Part) -> Part {
        let count = least + self.chance.below(most - least + 1);
        Part::Many { parts: (0..count).map(|_| arg(self)).collect(), between: ", ", least }
    }

    fn named(&mut self, maybe: bool) -> Part {
        let depth = 1 + self.chance.below(3);
        let value = self.any(depth);
        if maybe && self.chance.one_in(2) {
            return value;
        }
        Part::Row(vec![words(format!("{} = ", self.new_name())), value])
    }

    fn keys(&mut self) -> Part {
        self.args(1, 2, |maker| match maker.chance.below(3) {
            0 => maker.named(true),
            _ => words(maker.column()),
        })
    }

    fn by(&mut self) -> Part {
        if self.chance.one_in(3) {
            return words("");
        }
        Part::Row(vec![words(" by "), self.keys()])
    }

    fn stage(&mut self, depth: usize, schema: &Schema) -> Part {
        let row = Part::Row;
        match self.chance.below(43) {
            0..=3 => {
                let one = self.chance.one_in(3);
                row(vec![words("map "), self.args(1, if one { 1 } else { 3 }, |maker| maker.named(one))])
            }
            4..=6 => row(vec![words("derive "), self.args(1, 2, |maker| maker.named(false))]),
            7..=10 => row(vec![words("filter "), self.condition()]),
            11 => words("enumerate"),
            12 => row(vec![words("drop "), self.args(1, 2, |maker| words(maker.column()))]),
            13 => words(format!("rename {} as {}", self.column(), self.new_name())),
            14 | 15 => {
                self.rows *= 6;
                if self.rows > MANY {
                    return words("skip 1");
                }
                match self.chance.below(4) {
                    0 => words("words"),
                    1 => words("chars"),
                    _ => {
                        let of = self.ty(1);
                        let list = self.value(&Type::list(of), 3);
                        row(vec![words("flat_map "), list])
                    }
                }
            }
            16 => words(format!("take {}", self.chance.below(6))),
            17 => words(format!("skip {}", self.chance.below(4))),
            18 => words(format!("sample {} seed {}", self.chance.below(6), self.chance.below(4))),
            19..=21 => row(vec![words("sort by "), self.sort_keys()]),
            22 => {
                let n = self.chance.below(5);
                match self.chance.below(3) {
                    0 => words(format!("top {n}")),
                    1 => words(format!("top {n} asc")),
                    _ => row(vec![words(format!("top {n} by ")), self.sort_keys()]),
                }
            }
            23 => words("reverse"),
            24 => words("distinct"),
            25 => row(vec![words("distinct by "), self.args(1, 2, |maker| maker.any(2))]),
            26..=30 => {
                let aggs = self.args(1, 3, |maker| {
                    let called =
                        if maker.chance.one_in(2) { format!("{} = ", maker.new_name()) } else { String::new() };
                    Part::Row(vec![words(called), maker.aggregate()])
                });
                row(vec![words("agg "), aggs, self.by()])
            }
            31 => {
                let stage = self.chance.word(&["count", "sum", "mean", "min", "max", "median"]);
                let value = match self.chance.below(3) {
                    0 => row(vec![words(" "), self.number()]),
                    1 => row(vec![words(" "), words(self.column())]),
                    _ => words(""),
                };
                row(vec![words(stage), value, self.by()])
            }
            32 | 33 => row(vec![words("group by "), self.keys()]),
            // Few: engines that do not go row by row object to them.
            34 if self.chance.one_in(2) => {
                let by = self.chance.word(&["acc + it", "if acc > it then acc else it", "coalesce(acc, it)"]);
                words(format!("reduce {by}"))
            }
            35 if self.rows < 10 && self.chance.one_in(2) => {
                let ty = self.ty(1);
                let start = self.constant(&ty);
                let start = words(format!("({})", literal(&start, &ty).render(Path::new("")).text));
                self.acc = Some(ty.clone());
                let step = self.value(&ty, 2);
                self.acc = None;
                row(vec![words(self.chance.word(&["fold ", "scan "])), start, words(" "), step])
            }
            36 => words(self.chance.word(&["join \"-\"", "join \"\"", "join \"é\""])),
            37 | 38 if depth > 0 => self.join(depth),
            39 if depth > 0 => {
                let rows = self.rows;
                let (other, _) = self.pipeline(0, 1);
                self.rows = rows;
                row(vec![words("zip ("), other, words(")")])
            }
            40 => {
                self.rows = self.rows * self.rows / 2;
                words(if schema.columns.len() == 1 && self.rows <= MANY { "pairs" } else { "reverse" })
            }
            41 => words(self.chance.word(&["persist", "peek 2", "persist"])),
            _ => row(vec![words("map "), self.args(1, 1, |maker| maker.named(true))]),
        }
    }

    /// A `concat` or `zip` with the table itself.
    fn beside_itself(&mut self, called: &str) -> Part {
        if self.chance.one_in(2) {
            self.rows *= 2;
            let filter = Part::Row(vec![words(" | filter "), self.condition()]);
            let filter = Part::Many { parts: vec![filter], between: "", least: 0 };
            return Part::Row(vec![words(format!("concat ({called}")), filter, words(")")]);
        }
        let columns = self.args(1, 2, |maker| maker.named(false));
        Part::Row(vec![words(format!("zip ({called} | map ")), columns, words(")")])
    }

    fn sort_keys(&mut self) -> Part {
        self.args(1, 2, |maker| {
            let key = if maker.chance.one_in(2) { maker.any(2) } else { words(maker.column()) };
            Part::Row(vec![key, words(maker.chance.word(&["", "", " asc", " desc"]))])
        })
    }

    fn aggregate(&mut self) -> Part {
        match self.chance.below(8) {
            0 => words("count()"),
            1 | 2 => {
                let function = self.chance.word(&["sum", "mean", "median", "std"]);
                // Of large values that differ little no two ways to compute the spread agree.
                let value = if function == "std" {
                    let ty = if self.chance.one_in(2) { Type::Float } else { Type::Int };
                    self.leaf(&ty)
                } else {
                    self.number()
                };
                call(function, &Type::Never, vec![value])
            }
            3 => {
                let q = self.chance.word(&["0", "0.25", "0.5", "0.9", "1"]);
                call("quantile", &Type::Never, vec![self.number(), words(q)])
            }
            _ => {
                let function = self.chance.word(&["count", "min", "max", "first", "last", "n_distinct"]);
                call(function, &Type::Never, vec![self.any(2)])
            }
        }
    }

    fn join(&mut self, depth: usize) -> Part {
        let (left, rows) = (self.columns.clone(), self.rows);
        let stages = self.chance.below(3);
        let (right, schema) = self.pipeline(depth - 1, stages);
        let right_columns: Vec<(String, Type)> =
            schema.columns.iter().map(|column| (column.name.clone(), column.ty.closed())).collect();
        let rows = rows * self.rows;
        let mut keys = Vec::new();
        for _ in 0..1 + self.chance.below(2) {
            let ty = self.chance.pick(&left).1.clone();
            let same =
                right_columns.iter().find(|(name, other)| *other == ty && left.contains(&(name.clone(), ty.clone())));
            if let (Some((same, _)), true) = (same, self.chance.one_in(2)) {
                keys.push(words(name(same)));
                continue;
            }
            let key = |maker: &mut Self, columns: &[(String, Type)]| {
                maker.columns = columns.to_vec();
                let depth = 1 + maker.chance.below(2);
                // A loose one needs brackets beside `==`.
                operation(&ty, vec![maker.value(&ty, depth)])
            };
            let (a, b) = (key(self, &left), key(self, &right_columns));
            keys.push(operation(&Type::Never, vec![a, words(" == "), b]));
        }
        self.columns = left;
        self.rows = rows;
        if rows > MANY {
            return words("skip 1");
        }
        let kind = self.chance.word(&["", "", "left ", "semi ", "anti "]);
        let on = Part::Many { parts: keys, between: ", ", least: 1 };
        Part::Row(vec![words(format!("join {kind}(")), right, words(") on "), on])
    }

    /// A column, a parameter, a name or a constant.
    fn leaf(&mut self, ty: &Type) -> Part {
        let mut names: Vec<String> = Vec::new();
        let of_type = |columns: &[(String, Type)], names: &mut Vec<String>| {
            names.extend(columns.iter().filter(|(_, other)| other == ty).map(|(called, _)| name(called)));
        };
        match &self.parameters {
            Some(parameters) => of_type(parameters, &mut names),
            None => {
                of_type(&self.columns, &mut names);
                if let [(_, other)] = &self.columns[..]
                    && other == ty
                {
                    names.push("it".to_string());
                }
                if names.is_empty() || self.chance.one_in(4) {
                    of_type(&self.values, &mut names);
                }
                if self.acc.as_ref() == Some(ty) {
                    names.push("acc".to_string());
                }
            }
        }
        if !names.is_empty() && !self.chance.one_in(4) {
            let text = self.chance.pick(&names).clone();
            if text == "acc" {
                // Once: what doubles with every row grows too large.
                self.acc = None;
            }
            return Part::Value { parts: vec![words(text)], ty: ty.clone(), loose: false };
        }
        if self.parameters.is_none() && !self.tables.is_empty() && self.chance.one_in(20) {
            // A table that stands for its only value, if it has one.
            let (table, _) = self.chance.pick(&self.tables).clone();
            return Part::Value { parts: vec![words(table)], ty: ty.clone(), loose: false };
        }
        let value = if self.chance.one_in(20) { Value::Null } else { self.constant(ty) };
        literal(&value, ty)
    }

    fn value(&mut self, ty: &Type, depth: usize) -> Part {
        let Some(depth) = depth.checked_sub(1).filter(|_| !self.chance.one_in(5)) else { return self.leaf(ty) };
        match self.chance.below(12) {
            0 => {
                let (test, a, b) = (self.value(&Type::Bool, depth), self.value(ty, depth), self.value(ty, depth));
                operation(ty, vec![words("if "), test, words(" then "), a, words(" else "), b])
            }
            1 => {
                let args = (0..2 + self.chance.below(2)).map(|_| self.value(ty, depth)).collect();
                call("coalesce", ty, args)
            }
            2 => {
                let list = self.value(&Type::list(ty.clone()), depth);
                let at = self.index(depth);
                Part::Value {
                    parts: vec![operation(ty, vec![list]), words("["), at, words("]")],
                    ty: ty.clone(),
                    loose: true,
                }
            }
            3 => {
                let lists =
                    call(self.chance.word(&["min", "max"]), ty, vec![self.value(&Type::list(ty.clone()), depth)]);
                let functions: Vec<_> = self.functions.iter().filter(|(_, _, result)| result == ty).cloned().collect();
                if functions.is_empty() || self.parameters.is_some() {
                    return lists;
                }
                let (function, types, _) = self.chance.pick(&functions).clone();
                let args = types.iter().map(|ty| self.value(ty, depth)).collect();
                call(&function, ty, args)
            }
            _ => match ty {
                Type::Int => self.int(depth),
                Type::Float => self.float(depth),
                Type::Bool => self.bool(depth),
                Type::Text | Type::Open | Type::Never => self.text(depth),
                Type::List(of) => self.list(ty, of, depth),
            },
        }
    }

    fn index(&mut self, depth: usize) -> Part {
        if self.chance.one_in(3) {
            return self.value(&Type::Int, depth);
        }
        words(self.chance.word(&["0", "0", "1", "2", "-1", "-2", "9"]))
    }

    fn arithmetic(&mut self, ty: &Type, signs: &[&str], a: Part, b: Part) -> Part {
        let sign = *self.chance.pick(signs);
        operation(ty, vec![a, words(format!(" {sign} ")), b])
    }

    fn int(&mut self, depth: usize) -> Part {
        let int = Type::Int;
        match self.chance.below(12) {
            0..=5 => {
                let (a, b) = (self.value(&int, depth), self.value(&int, depth));
                self.arithmetic(&int, &["+", "-", "*", "//", "%"], a, b)
            }
            6 => operation(&int, vec![words("-"), self.value(&int, depth)]),
            7 => {
                let ty = if self.chance.one_in(2) { Type::Text } else { Type::list(self.ty(1)) };
                call("len", &int, vec![self.value(&ty, depth)])
            }
            8 => {
                let ty = self.chance.pick(&[Type::Float, Type::Float, Type::Bool, Type::Text, Type::Int]).clone();
                call("int", &int, vec![self.value(&ty, depth)])
            }
            9 => call("sum", &int, vec![self.value(&Type::list(int.clone()), depth)]),
            10 => call(self.chance.word(&["abs", "round", "floor", "ceil"]), &int, vec![self.value(&int, depth)]),
            _ => {
                let exponent = if self.chance.one_in(3) { self.value(&int, depth) } else { words("2") };
                call("pow", &int, vec![self.value(&int, depth), exponent])
            }
        }
    }

    fn float(&mut self, depth: usize) -> Part {
        let float = Type::Float;
        let number = |maker: &mut Self| {
            let ty = if maker.chance.one_in(3) { Type::Int } else { Type::Float };
            maker.value(&ty, depth)
        };
        match self.chance.below(11) {
            0..=3 => {
                let (a, b) = (self.value(&float, depth), number(self));
                self.arithmetic(&float, &["+", "-", "*", "/", "//", "%"], a, b)
            }
            4 => {
                let (a, b) = (self.value(&Type::Int, depth), number(self));
                self.arithmetic(&float, &["/"], a, b)
            }
            5 => operation(&float, vec![words("-"), self.value(&float, depth)]),
            6 => {
                let ty = self.chance.pick(&[Type::Int, Type::Text, Type::Float]).clone();
                call("float", &float, vec![self.value(&ty, depth)])
            }
            7 => call("sum", &float, vec![self.value(&Type::list(float.clone()), depth)]),
            8 | 9 => {
                let functions = ["abs", "round", "floor", "ceil", "sqrt", "exp", "ln", "log2", "sin", "cos", "tan"];
                call(self.chance.word(&functions), &float, vec![self.value(&float, depth)])
            }
            _ => call("pow", &float, vec![self.value(&float, depth), number(self)]),
        }
    }

    fn bool(&mut self, depth: usize) -> Part {
        let bool = Type::Bool;
        match self.chance.below(12) {
            0..=3 => {
                let ty = self.near_type();
                let (a, b) = (self.value(&ty, depth), self.value(&ty, depth));
                self.arithmetic(&bool, &["==", "!=", "<", "<=", ">", ">="], a, b)
            }
            4 => {
                let ty = self.near_type();
                let (item, list) = (self.value(&ty, depth), self.value(&Type::list(ty.clone()), depth));
                self.arithmetic(&bool, &["in", "not in"], item, list)
            }
            5..=7 => {
                let sign = self.chance.word(&[" and ", " or "]);
                let parts = (0..2 + self.chance.below(2)).map(|_| self.value(&bool, depth)).collect();
                operation(&bool, vec![Part::Many { parts, between: sign, least: 2 }])
            }
            8 => operation(&bool, vec![words("not "), self.value(&bool, depth)]),
            9 => call("is_null", &bool, vec![self.any(depth)]),
            10 => {
                let function = self.chance.word(&["contains", "starts_with", "ends_with", "matches", "list"]);
                if function == "list" {
                    let ty = self.ty(0);
                    let (list, item) = (self.value(&Type::list(ty.clone()), depth), self.value(&ty, depth));
                    return call("contains", &bool, vec![list, item]);
                }
                let text = self.value(&Type::Text, depth);
                let part = match function {
                    "matches" => words(format!("{:?}", self.chance.word(&PATTERNS))),
                    _ => self.value(&Type::Text, depth),
                };
                call(function, &bool, vec![text, part])
            }
            _ => {
                let ty = self.chance.pick(&[Type::Int, Type::Text, Type::Bool]).clone();
                call("bool", &bool, vec![self.value(&ty, depth)])
            }
        }
    }

    fn text(&mut self, depth: usize) -> Part {
        let text = Type::Text;
        match self.chance.below(11) {
            0 | 1 => {
                let (a, b) = (self.value(&text, depth), self.value(&text, depth));
                self.arithmetic(&text, &["+"], a, b)
            }
            2..=4 => {
                let function = self.chance.word(&["lower", "upper", "trim", "reverse", "sorted"]);
                call(function, &text, vec![self.value(&text, depth)])
            }
            5 => {
                let args = (0..3).map(|_| self.value(&text, depth)).collect();
                call("replace", &text, args)
            }
            6 | 7 => {
                let args = vec![self.value(&text, depth), self.index(depth), self.index(depth)];
                call("slice", &text, args)
            }
            8 => {
                let list = self.value(&Type::list(text.clone()), depth);
                call("join", &text, vec![list, self.value(&text, depth)])
            }
            9 => call("text", &text, vec![self.any(depth)]),
            _ => {
                let (pattern, count) = *self.chance.pick(&[("{}", 1), ("<{}>", 1), ("{} of {}", 2), ("{}{}é", 2)]);
                let mut args = vec![words(format!("{pattern:?}"))];
                args.extend((0..count).map(|_| self.any(depth)));
                call("format", &text, args)
            }
        }
    }

    fn list(&mut self, ty: &Type, of: &Type, depth: usize) -> Part {
        match self.chance.below(if *of == Type::Text || *of == Type::Int { 9 } else { 6 }) {
            0 | 1 => {
                let items = self.args(0, 3, |maker| maker.value(of, depth));
                Part::Value { parts: vec![words("["), items, words("]")], ty: ty.clone(), loose: false }
            }
            2 => {
                let (a, b) = (self.value(ty, depth), self.value(ty, depth));
                self.arithmetic(ty, &["+"], a, b)
            }
            3 => {
                let args = vec![self.value(ty, depth), self.index(depth), self.index(depth)];
                call("slice", ty, args)
            }
            4 | 5 => call(self.chance.word(&["reverse", "sorted"]), ty, vec![self.value(ty, depth)]),
            _ if *of == Type::Int => {
                let mut bound = |n: i64| {
                    let value = self.value(&Type::Int, depth);
                    operation(of, vec![value, words(" % "), literal(&Value::Int(n), of)])
                };
                let bounds = vec![bound(4), bound(9)];
                call("range", ty, bounds)
            }
            6 => {
                let separator = if self.chance.one_in(4) { self.value(of, depth) } else { words("\",\"") };
                call("split", ty, vec![self.value(of, depth), separator])
            }
            _ => call(self.chance.word(&["words", "chars"]), ty, vec![self.value(of, depth)]),
        }
    }
}
