//! Small parts that relations and expressions are made of, and what they are called there.

use crate::data::Type;

use super::messages::*;

pub fn rel(rel_type: RelType) -> Relation {
    Relation { rel_type: Some(rel_type) }
}

pub fn expression(expr_type: ExprType) -> Expression {
    Expression { expr_type: Some(expr_type) }
}

pub fn attribute(name: impl Into<String>) -> Expression {
    expression(ExprType::Attribute(Attribute { name: name.into() }))
}

pub fn column(index: usize) -> Expression {
    attribute(format!("c{index}"))
}

pub fn call(name: &str, arguments: Vec<Expression>) -> Expression {
    expression(ExprType::Function(Function { name: name.to_string(), arguments, is_distinct: false }))
}

/// `if` with any number of tests, each followed by its value; the last is that of all others.
pub fn when(arguments: Vec<Expression>) -> Expression {
    call("when", arguments)
}

pub fn equal(a: Expression, b: Expression) -> Expression {
    call("==", vec![a, b])
}

pub fn not(test: Expression) -> Expression {
    call("not", vec![test])
}

pub fn and(a: Expression, b: Expression) -> Expression {
    call("and", vec![a, b])
}

pub fn is_null(value: Expression) -> Expression {
    call("isnull", vec![value])
}

pub fn literal(value: LiteralType) -> Expression {
    expression(ExprType::Literal(Literal { literal_type: Some(value) }))
}

pub fn text(value: &str) -> Expression {
    literal(LiteralType::Text(value.to_string()))
}

pub fn long(value: i64) -> Expression {
    literal(LiteralType::Long(value))
}

pub fn small(value: i32) -> Expression {
    literal(LiteralType::Integer(value))
}

pub fn double(value: f64) -> Expression {
    literal(LiteralType::Double(value))
}

pub fn boolean(value: bool) -> Expression {
    literal(LiteralType::Boolean(value))
}

pub fn null(ty: &Type) -> Expression {
    cast(literal(LiteralType::Null(DataType { null: Some(Empty {}) })), &type_text(ty))
}

pub fn cast(expr: Expression, to: &str) -> Expression {
    expression(ExprType::Cast(Box::new(Cast { expr: Some(expr), type_text: Some(to.to_string()) })))
}

pub fn alias(expr: Expression, name: impl Into<String>) -> Expression {
    expression(ExprType::Alias(Box::new(Alias { expr: Some(expr), name: vec![name.into()] })))
}

/// The field of a struct.
pub fn field(of: Expression, name: &str) -> Expression {
    let extract = ExtractValue { child: Some(of), extraction: Some(text(name)) };
    expression(ExprType::ExtractValue(Box::new(extract)))
}

/// A higher function with a lambda of one variable, whose name no other one around it has.
pub fn each(function: &str, list: Expression, name: &str, body: Expression) -> Expression {
    let arguments = vec![Variable { name: vec![name.to_string()] }];
    let lambda = Lambda { function: Some(body), arguments };
    call(function, vec![list, expression(ExprType::Lambda(Box::new(lambda)))])
}

pub fn variable(name: &str) -> Expression {
    expression(ExprType::Variable(Variable { name: vec![name.to_string()] }))
}

/// Ends the run there with these words, where it is computed. It stands for a value of `ty`.
pub fn raise(kind: &str, words: &str, ty: &Type) -> Expression {
    cast(call("raise_error", vec![text(&format!("timelab:{kind}:{words}"))]), &type_text(ty))
}

/// A bool that is computed only where it is asked for: both servers may compute all parts of `and`, `or` and of a
/// choice between bools for all rows, and a choice between ints for those that it is made for.
pub fn chosen_bool(mut arguments: Vec<Expression>) -> Expression {
    let last = arguments.len() - 1;
    for (i, argument) in arguments.iter_mut().enumerate() {
        if i % 2 == 1 || i == last {
            *argument = cast(std::mem::take(argument), "INT");
        }
    }
    equal(when(arguments), small(1))
}

pub fn row_number(partition: Vec<Expression>, order: Vec<SortOrder>) -> Expression {
    let window =
        Window { window_function: Some(call("row_number", Vec::new())), partition_spec: partition, order_spec: order };
    expression(ExprType::Window(Box::new(window)))
}

pub fn project(input: Relation, expressions: Vec<Expression>) -> Relation {
    rel(RelType::Project(Box::new(Project { input: Some(input), expressions })))
}

pub fn filter(input: Relation, condition: Expression) -> Relation {
    rel(RelType::Filter(Box::new(Filter { input: Some(input), condition: Some(condition) })))
}

pub fn sort_order(child: Expression, descending: bool) -> SortOrder {
    const NULLS_LAST: i32 = 2;
    SortOrder { child: Some(child), direction: if descending { 2 } else { 1 }, null_ordering: NULLS_LAST }
}

pub fn sorted(input: Relation, order: Vec<SortOrder>) -> Relation {
    rel(RelType::Sort(Box::new(Sort { input: Some(input), order, is_global: Some(true) })))
}

/// A type of columns there.
pub fn type_text(ty: &Type) -> String {
    match ty {
        Type::Int => "BIGINT".to_string(),
        Type::Float => "DOUBLE".to_string(),
        Type::Bool => "BOOLEAN".to_string(),
        Type::Text | Type::Open | Type::Never => "STRING".to_string(),
        Type::List(of) => format!("ARRAY<{}>", type_text(of)),
    }
}
