//! The texts that are compiled around what cells say.

use ra_ap_syntax::ast::{self, HasGenericParams, HasModuleItem, HasName};
use ra_ap_syntax::{AstNode, Edition, SourceFile};

use super::text::Text;
use super::wire::rust_type;
use super::{Input, InputForm, Subject};
use crate::data::Type;
use crate::diagnostic::Span;

/// Brings the traits into scope by which the form of a result is found.
const FORMS: &str = "#[allow(unused_imports)] use timelab_cell::{AsDebug as _, AsNothing as _, AsTable as _};";

/// A cell whose items and variables stay: its last expression is shown, and its structs become rows of tables.
pub fn cell_text(body: &str, span: Span) -> Text {
    const OPEN: &str = "fn cell() {\n";
    let whole = format!("{OPEN}{body}\n}}");
    let parsed = SourceFile::parse(&whole, Edition::CURRENT).tree();
    let function = parsed.items().find_map(|item| if let ast::Item::Fn(function) = item { Some(function) } else { None });
    let list = function.and_then(|function| function.body()).and_then(|body| body.stmt_list());
    // What stands first is no command of the compiler's library.
    let mut text = Text::default().ours("();\n");
    let mut at = 0;
    let piece = |text: Text, from: usize, to: usize| {
        let place = Span::new(span.cell, span.start as usize + from, span.start as usize + to);
        text.theirs(&body[from..to], place)
    };
    let Some(list) = list else { return piece(text, 0, body.len()) };
    let offset = |position: ra_ap_syntax::TextSize| usize::from(position).saturating_sub(OPEN.len()).min(body.len());
    for statement in list.statements() {
        if let ast::Stmt::Item(ast::Item::Struct(it)) = statement
            && let Some(rows) = rows_of(&it)
        {
            let end = offset(it.syntax().text_range().end());
            text = piece(text, at, end).ours("\n").ours(&rows).ours("\n");
            at = end;
        }
    }
    if let Some(tail) = list.tail_expr() {
        let range = tail.syntax().text_range();
        let (start, end) = (offset(range.start()), offset(range.end()));
        text = piece(text, at, start).ours(&format!("{{ {FORMS} let timelab_value = &("));
        text = piece(text, start, end);
        text = text.ours("\n); timelab_cell::show(timelab_value, (&&&timelab_cell::of(timelab_value)).form()); }\n");
        at = end;
    }
    piece(text, at, body.len()).ours("\ntimelab_cell::end();")
}

/// How a struct is told as a row, where its fields have names and it has no parameters.
fn rows_of(it: &ast::Struct) -> Option<String> {
    let name = it.name()?;
    if it.generic_param_list().is_some() {
        return None;
    }
    let Some(ast::FieldList::RecordFieldList(fields)) = it.field_list() else { return None };
    let (mut columns, mut puts) = (String::new(), String::new());
    for field in fields.fields() {
        let (field, ty) = (field.name()?, field.ty()?);
        let (field, ty) = (field.text().to_string(), ty.syntax().text().to_string());
        let form = format!("(&&&timelab_cell::part::<{ty}>()).part()");
        columns.push_str(&format!("names.push(({field:?}.to_string(), ({form}.ty)())); "));
        puts.push_str(&format!("({form}.put)(&self.{field}, out); "));
    }
    let name = name.text().to_string();
    let using = "#[allow(unused_imports)] use timelab_cell::{DebugPart as _, ItemPart as _, NoPart as _};";
    let row = format!(
        "impl timelab_cell::Row for {name} {{ \
         fn columns(names: &mut Vec<(String, String)>) {{ {using} {columns}}} \
         fn put(&self, out: &mut timelab_cell::Out) {{ {using} {puts}}} }} \
         impl timelab_cell::Output for {name} {{ \
         fn shape() -> String {{ timelab_cell::one_row::<Self>() }} \
         fn put(&self, out: &mut timelab_cell::Out) {{ timelab_cell::put_row(self, out) }} }}"
    );
    Some(row)
}

/// Expressions that can be run again and again, with what of the session goes into them.
pub fn subjects_text(subjects: &[Subject]) -> Text {
    let mut text = Text::default().ours("();\n{\n").ours(FORMS).ours("\n");
    let mut number = 0;
    let mut closures = Vec::new();
    for (at, subject) in subjects.iter().enumerate() {
        let mut given = String::new();
        for input in &subject.inputs {
            text = text.ours(&read(input, number));
            given.push_str(&seen(input, number));
            number += 1;
        }
        text = text.ours(&format!("let timelab_{at} = || {{ {given}\n")).all(&subject.body).ours("\n};\n");
        text = text.ours(&format!("let timelab_form_{at} = (&&&timelab_cell::given(&timelab_{at})).form();\n"));
        closures.push(format!("timelab_cell::subject(timelab_{at}, timelab_form_{at})"));
    }
    text.ours(&format!("timelab_cell::serve(vec![{}]);\n}}\n();", closures.join(", ")))
}

/// Reads an input into a variable of ours.
fn read(input: &Input, number: usize) -> String {
    let variable = format!("timelab_input_{number}");
    match &input.form {
        InputForm::Value(ty) => {
            format!("let {variable} = timelab_cell::input({number}).value::<{}>();\n", rust_type(ty))
        }
        InputForm::Table(schema) => match &schema.columns[..] {
            [only] => {
                let ty = rust_type(&only.ty);
                format!("let {variable} = timelab_cell::input({number}).rows(|row| row.get::<{ty}>());\n")
            }
            columns => {
                let row = row_name(&input.name);
                let names = field_names(columns.iter().map(|column| column.name.as_str()));
                let each = || names.iter().zip(columns);
                let fields: Vec<String> = each().map(|(name, column)| format!("{name}: {}", rust_type(&column.ty))).collect();
                let gets: Vec<String> = names.iter().map(|name| format!("{name}: row.get()")).collect();
                format!(
                    "#[allow(dead_code)] #[derive(Debug, Clone)] struct {row} {{ {} }}\n\
                     let {variable} = timelab_cell::input({number}).rows(|row| {row} {{ {} }});\n",
                    fields.join(", "),
                    gets.join(", ")
                )
            }
        },
    }
}

/// Gives an input its name inside the expression.
fn seen(input: &Input, number: usize) -> String {
    let name = &input.name;
    match &input.form {
        InputForm::Value(Type::Int | Type::Float | Type::Bool) => format!("let {name} = timelab_input_{number};"),
        InputForm::Value(Type::List(_)) | InputForm::Table(_) => format!("let {name} = &timelab_input_{number}[..];"),
        InputForm::Value(_) => format!("let {name} = timelab_input_{number}.as_str();"),
    }
}

fn row_name(name: &str) -> String {
    let words = name.split('_').filter(|word| !word.is_empty());
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    };
    format!("{}Row", words.map(capital).collect::<String>())
}

/// Names of fields that Rust takes, each once.
fn field_names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    const WORDS: &str = " as async await box break const continue crate do dyn else enum extern final fn for if impl in let loop \
                         macro match mod move mut pub ref return self static struct super trait true false try type typeof \
                         unsafe use where while yield gen abstract become override priv unsized virtual ";
    let mut taken: Vec<String> = Vec::new();
    for name in names {
        let mut field: String = name.chars().map(|c| if c == '_' || c.is_alphanumeric() { c } else { '_' }).collect();
        if field.is_empty() || field == "_" || field.starts_with(|c: char| !(c == '_' || c.is_alphabetic())) {
            field.insert(0, '_');
        }
        if WORDS.contains(&format!(" {field} ")) {
            field.push('_');
        }
        while taken.contains(&field) {
            field.push('_');
        }
        taken.push(field);
    }
    taken
}
