//! The relations of a plan as text: SQL in Spark's dialect, a part for each relation. It says what runs there, no more
//! and no less.

use crate::data::{Table, Type, Value};

use super::build::type_text;
use super::messages::*;

/// More rows are not written out.
pub const MOST_ROWS: usize = 1_000;

/// A query whose columns are called `names`.
pub fn query(relation: &Relation, names: &[String]) -> String {
    let mut parts = Parts { made: Vec::new() };
    let last = parts.part(relation);
    let columns: Vec<String> = names.iter().enumerate().map(|(i, name)| format!("c{i} AS {}", quoted(name))).collect();
    let last = format!("SELECT {}\nFROM {last}", columns.join(", "));
    if parts.made.is_empty() {
        return last;
    }
    let parts: Vec<String> = parts
        .made
        .iter()
        .enumerate()
        .map(|(i, part)| format!("s{i} AS (\n  {}\n)", part.replace('\n', "\n  ")))
        .collect();
    format!("WITH {}\n{last}", parts.join(",\n"))
}

/// Rows that are written out, each with its number.
pub fn rows(table: &Table) -> String {
    let types: Vec<&Type> = table.schema().columns.iter().map(|column| &column.ty).collect();
    let columns: Vec<Vec<Value>> = (0..types.len()).map(|i| table.values(i, 0, table.height())).collect();
    let row = |at: usize| {
        let values = columns.iter().map(|column| value_text(&column[at]));
        format!("({})", values.chain([format!("{at}L")]).collect::<Vec<String>>().join(", "))
    };
    let names: Vec<String> = (0..types.len()).map(|i| format!("c{i}")).chain(["o0".to_string()]).collect();
    let casts: Vec<String> =
        types.iter().enumerate().map(|(i, ty)| format!("CAST(c{i} AS {}) AS c{i}", type_text(ty))).collect();
    let casts = casts.join(", ");
    if table.height() == 0 {
        let nulls: Vec<&str> = names.iter().map(|_| "NULL").collect();
        return format!(
            "SELECT {casts}, CAST(o0 AS BIGINT) AS o0 FROM VALUES ({}) AS t({}) WHERE false",
            nulls.join(", "),
            names.join(", ")
        );
    }
    let rows: Vec<String> = (0..table.height()).map(row).collect();
    format!("SELECT {casts}, o0\nFROM VALUES\n  {}\n  AS t({})", rows.join(",\n  "), names.join(", "))
}

fn value_text(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_string(),
        Value::Int(i) => long_text(*i),
        Value::Float(x) => double_text(*x),
        Value::Bool(b) => b.to_string(),
        Value::Text(text) => string(text),
        Value::List(items) => format!("array({})", items.iter().map(value_text).collect::<Vec<String>>().join(", ")),
    }
}

fn long_text(i: i64) -> String {
    // Its digits alone are no int.
    if i == i64::MIN { format!("CAST('{i}' AS BIGINT)") } else { format!("{i}L") }
}

fn double_text(x: f64) -> String {
    if x.is_finite() {
        format!("{x:e}D")
    } else {
        format!("CAST('{}' AS DOUBLE)", x.to_string().replace("inf", "Infinity"))
    }
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text in quotes, as Spark reads it.
fn string(text: &str) -> String {
    let mut out = "'".to_string();
    for c in text.chars() {
        match c {
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || (c.is_whitespace() && c != ' ') => {
                out.push_str(&format!("\\u{:04X}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

struct Parts {
    made: Vec<String>,
}

impl Parts {
    /// The name of the part that gives these rows.
    fn part(&mut self, relation: &Relation) -> String {
        let text = self.text(relation);
        // The same rows twice are one part.
        let place = self.made.iter().position(|made| *made == text).unwrap_or_else(|| {
            self.made.push(text);
            self.made.len() - 1
        });
        format!("s{place}")
    }

    fn of(&mut self, input: Option<&Relation>) -> String {
        self.part(input.expect("it has an input"))
    }

    fn text(&mut self, relation: &Relation) -> String {
        let list =
            |expressions: &[Expression]| expressions.iter().map(text).collect::<Vec<String>>().join(",\n       ");
        match relation.rel_type.as_ref().expect("it is one of these") {
            RelType::Read(read) => {
                let source = read.data_source.as_ref().expect("it has a source");
                let each = source.paths.iter().map(|path| format!("SELECT value FROM text.`{path}`"));
                each.collect::<Vec<String>>().join("\nUNION ALL\n")
            }
            RelType::Project(project) => {
                let input = self.of(project.input.as_ref());
                format!("SELECT {}\nFROM {input}", list(&project.expressions))
            }
            RelType::Filter(filter) => {
                let input = self.of(filter.input.as_ref());
                let condition = filter.condition.as_ref().map(text).unwrap_or_default();
                format!("SELECT * FROM {input}\nWHERE {condition}")
            }
            RelType::Join(join) => {
                let (left, right) = (self.of(join.left.as_ref()), self.of(join.right.as_ref()));
                let kind = match join.join_type {
                    2 => "FULL",
                    3 => "LEFT",
                    5 => "LEFT ANTI",
                    6 => "LEFT SEMI",
                    _ => "INNER",
                };
                let condition = join.condition.as_ref().map_or("true".to_string(), text);
                format!("SELECT * FROM {left}\n{kind} JOIN {right} ON {condition}")
            }
            RelType::SetOp(union) => {
                let (left, right) = (self.of(union.left.as_ref()), self.of(union.right.as_ref()));
                format!("SELECT * FROM {left}\nUNION ALL\nSELECT * FROM {right}")
            }
            RelType::Sort(sort) => {
                let input = self.of(sort.input.as_ref());
                format!("SELECT * FROM {input}\nORDER BY {}", order(&sort.order))
            }
            RelType::Limit(limit) => match limit.input.as_ref().and_then(|input| input.rel_type.as_ref()) {
                // Sorted and cut at once.
                Some(RelType::Sort(sort)) => {
                    let input = self.of(sort.input.as_ref());
                    format!("SELECT * FROM {input}\nORDER BY {}\nLIMIT {}", order(&sort.order), limit.limit)
                }
                _ => format!("SELECT * FROM {}\nLIMIT {}", self.of(limit.input.as_ref()), limit.limit),
            },
            RelType::Offset(offset) => match offset.input.as_ref().and_then(|input| input.rel_type.as_ref()) {
                Some(RelType::Sort(sort)) => {
                    let input = self.of(sort.input.as_ref());
                    format!("SELECT * FROM {input}\nORDER BY {}\nOFFSET {}", order(&sort.order), offset.offset)
                }
                _ => format!("SELECT * FROM {}\nOFFSET {}", self.of(offset.input.as_ref()), offset.offset),
            },
            RelType::Aggregate(grouped) => {
                let input = self.of(grouped.input.as_ref());
                let all: Vec<Expression> = grouped.grouping.iter().chain(&grouped.aggregates).cloned().collect();
                let keys = grouped.grouping.iter().map(text).collect::<Vec<String>>().join(", ");
                let by = if keys.is_empty() { String::new() } else { format!("\nGROUP BY {keys}") };
                format!("SELECT {}\nFROM {input}{by}", list(&all))
            }
            RelType::LocalRelation(_) => unreachable!("rows are written out where a plan is printed"),
            RelType::Sql(query) => query.query.clone(),
            RelType::Deduplicate(distinct) => format!("SELECT DISTINCT * FROM {}", self.of(distinct.input.as_ref())),
            RelType::Range(range) => format!("SELECT id FROM range({}, {})", range.start.unwrap_or(0), range.end),
        }
    }
}

fn order(keys: &[SortOrder]) -> String {
    let key = |key: &SortOrder| {
        let direction = if key.direction == 2 { "DESC" } else { "ASC" };
        format!("{} {direction} NULLS LAST", key.child.as_ref().map(text).unwrap_or_default())
    };
    keys.iter().map(key).collect::<Vec<String>>().join(", ")
}

fn text(expr: &Expression) -> String {
    match expr.expr_type.as_ref().expect("it is one of these") {
        ExprType::Literal(literal) => match literal.literal_type.as_ref().expect("it is one of these") {
            LiteralType::Null(_) => "NULL".to_string(),
            LiteralType::Boolean(b) => b.to_string(),
            LiteralType::Integer(i) => i.to_string(),
            LiteralType::Long(i) => long_text(*i),
            LiteralType::Double(x) => double_text(*x),
            LiteralType::Text(text) => string(text),
        },
        ExprType::Attribute(attribute) => attribute.name.clone(),
        ExprType::Function(function) => function_text(function),
        ExprType::Alias(alias) => {
            let of = alias.expr.as_ref().map(text).unwrap_or_default();
            match &alias.name[..] {
                [name] => format!("{of} AS {name}"),
                names => format!("{of} AS ({})", names.join(", ")),
            }
        }
        ExprType::Cast(cast) => {
            let of = cast.expr.as_ref().map(text).unwrap_or_default();
            format!("CAST({of} AS {})", cast.type_text.as_deref().unwrap_or_default())
        }
        ExprType::Lambda(lambda) => {
            let names: Vec<String> = lambda.arguments.iter().map(|variable| variable.name.join(".")).collect();
            let body = lambda.function.as_ref().map(text).unwrap_or_default();
            match &names[..] {
                [name] => format!("{name} -> {body}"),
                names => format!("({}) -> {body}", names.join(", ")),
            }
        }
        ExprType::Window(window) => {
            let of = window.window_function.as_ref().map(text).unwrap_or_default();
            let keys: Vec<String> = window.partition_spec.iter().map(text).collect();
            let by = if keys.is_empty() { String::new() } else { format!("PARTITION BY {} ", keys.join(", ")) };
            format!("{of} OVER ({by}ORDER BY {})", order(&window.order_spec))
        }
        ExprType::ExtractValue(extract) => {
            let of = extract.child.as_ref().map(text).unwrap_or_default();
            let field = extract.extraction.as_ref().and_then(|field| field.expr_type.as_ref());
            match field {
                Some(ExprType::Literal(Literal { literal_type: Some(LiteralType::Text(name)) })) => {
                    format!("{of}.{name}")
                }
                _ => of,
            }
        }
        ExprType::Variable(variable) => variable.name.join("."),
    }
}

fn function_text(function: &Function) -> String {
    let args: Vec<String> = function.arguments.iter().map(text).collect();
    match (function.name.as_str(), &args[..]) {
        ("==", [a, b]) => format!("({a} = {b})"),
        ("not", [a]) => format!("(NOT {a})"),
        ("negative", [a]) => format!("(- {a})"),
        ("isnull", [a]) => format!("({a} IS NULL)"),
        (sign @ ("+" | "-" | "*" | "/" | "%" | "<" | "<=" | ">" | ">=" | "and" | "or" | "div"), [a, b]) => {
            format!("({a} {} {b})", sign.to_uppercase())
        }
        ("when", args) => {
            let mut out = "CASE".to_string();
            for arm in args.chunks(2) {
                out.push_str(&match arm {
                    [test, then] => format!(" WHEN {test} THEN {then}"),
                    [last, ..] => format!(" ELSE {last}"),
                    [] => String::new(),
                });
            }
            out + " END"
        }
        (name, args) => {
            let distinct = if function.is_distinct { "DISTINCT " } else { "" };
            format!("{name}({distinct}{})", args.join(", "))
        }
    }
}
