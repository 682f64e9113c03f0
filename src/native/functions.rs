//! The whole function: the person's functions in it, and what may be null in them, which is known only when all is
//! written.

use crate::plan::{Function, Prepared};

use super::code::{Hold, Piece};
use super::exprs::{Scope, Signature, Signatures};
use super::layout::{self, indented};
use super::names::{identifier, unique};
use super::segment::{self, Stored};
use super::signatures::{self, All};
use super::writer::Writer;
use super::{GeneratedCode, Input, row_type};

/// Writes until no more may be null than was written.
pub fn settled(plan: &Prepared) -> GeneratedCode {
    let plans = plan.with_inner();
    let all = signatures::of_plans(&plans);
    let now = || plans.iter().map(|plan| signatures::of(&all, plan).all.borrow().clone()).collect::<Vec<_>>();
    loop {
        let before = now();
        let code = write_code(plan, &plans, &all);
        if now() == before {
            return code;
        }
    }
}

fn write_code(plan: &Prepared, plans: &[&Prepared], all: &All) -> GeneratedCode {
    let mut lines: Vec<String> = Vec::new();
    for plan in plans {
        for (index, function) in plan.functions.iter().enumerate() {
            lines.extend(function_lines(function, index, signatures::of(all, plan)));
        }
    }
    let mut writer = Writer::new(all);
    let columns = writer.whole(plan);
    lines.extend(writer.lines);
    let inputs: Vec<Input> = writer.inputs;
    let text = format!("{}\n{}\n}}\n", head(&inputs, &columns), lines.join("\n"));
    let columns = columns.into_iter().map(|(shape, _)| shape).collect();
    let is_deep = plans.iter().any(|plan| signatures::of(all, plan).deep);
    GeneratedCode { text, inputs, columns, is_deep }
}

/// The first line; what the result borrows is in the inputs or in the code itself.
fn head(inputs: &[Input], columns: &[Stored]) -> String {
    let parameters: Vec<String> =
        inputs.iter().map(|input| format!("{}: &[{}]", input.name, row_type(&input.columns))).collect();
    let (parameters, row) = (parameters.join(", "), segment::row_type(columns));
    match inputs {
        _ if !row.contains('&') => format!("pub fn native({parameters}) -> Result<Vec<{row}>, RowError> {{"),
        [] => format!("pub fn native() -> Result<Vec<{}>, RowError> {{", row.replace('&', "&'static ")),
        _ => {
            let [parameters, row] = [parameters, row].map(|text| text.replace('&', "&'t "));
            format!("pub fn native<'t>({parameters}) -> Result<Vec<{row}>, RowError> {{")
        }
    }
}

/// A person's function, inside the one of the plan.
fn function_lines(function: &Function, index: usize, signatures: &Signatures) -> Vec<String> {
    let Signature { name, parameters, .. } = signatures.all.borrow()[index].clone();
    let mut names: Vec<String> = Vec::new();
    let is_function = |name: &str| signatures.all.borrow().iter().any(|signature| signature.name == name);
    for (parameter, _) in &function.parameters {
        let is_free = |name: &str| !is_function(name) && !names.iter().any(|other| other == name);
        let name = unique(&identifier(parameter), is_free);
        names.push(name);
    }
    let pieces = names.iter().zip(&parameters);
    let scope = Scope {
        columns: Vec::new(),
        parameters: pieces.map(|(name, shape)| Piece::borrowing(name, shape.clone(), Hold::Row)).collect(),
        acc: None,
        signatures,
        depth: "depth + 1",
    };
    let body = scope.piece(&function.body);
    let result = signatures.all.borrow()[index].result.meet(&body.shape);
    signatures.all.borrow_mut()[index].result = result.clone();
    let mut takes: Vec<String> =
        names.iter().zip(&parameters).map(|(name, shape)| format!("{name}: {}", shape.borrowed())).collect();
    let mut lines = Vec::new();
    if signatures.deep {
        takes.push("depth: usize".to_string());
        lines.push(indented(2, "if depth == DEEPEST_CALLS { return Err(RowError::Depth); }"));
    }
    lines
        .insert(0, indented(1, &format!("fn {name}({}) -> Result<{}, RowError> {{", takes.join(", "), result.owned())));
    lines.extend(layout::lines(2, &format!("Ok({})", body.owned_fit(&result).text)));
    lines.push(indented(1, "}"));
    lines.push(String::new());
    lines
}
