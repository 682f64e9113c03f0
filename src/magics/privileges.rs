//! What a cell may do that needs trust, as far as its text tells.

use crate::engines;
use crate::lang::{self, Argument, Cell, Privileges, Statement, holds_rust, parse};

use super::{Tables, find};

/// What a cell may do that needs trust. One that cannot be parsed is judged by its words.
pub fn privileges(text: &str) -> Privileges {
    match parse(0, text, &Tables) {
        Ok(Cell::Command(_)) => Privileges::RUNS_CODE,
        Ok(Cell::Statements(statements)) => of_statements(&statements),
        Ok(Cell::Magic(magic)) => of_magic(text, &magic),
        Ok(Cell::Empty | Cell::Help(_) | Cell::Source(_)) => Privileges::NONE,
        Err(_) => of_words(text),
    }
}

/// What a run on these engines may do, whose names stand with commas between: the value of an option.
pub fn of_engines(names: &str) -> Privileges {
    let known = names.split(',').filter_map(|name| engines::find(name.trim()));
    known.map(|engine| engine.privileges(&[])).collect()
}

fn of_statements(statements: &[Statement]) -> Privileges {
    statements.iter().map(|statement| statement.privileges(&Tables)).collect()
}

/// What the magic says of this use, and what stands in it.
fn of_magic(text: &str, magic: &lang::Magic) -> Privileges {
    let known = find(&magic.name.text).expect("the parser knows only magics of the table");
    let of_argument = match &magic.subject {
        Argument::Nothing | Argument::Words(_) => Privileges::NONE,
        Argument::Statement(statement) => statement.privileges(&Tables),
        Argument::Pipelines(pipelines) => pipelines.iter().map(|pipeline| pipeline.privileges(&Tables)).collect(),
        Argument::Variants(variants) => variants.privileges(&Tables),
        Argument::Body(body) => {
            let of_part = |part: &lang::Word| match lang::statements(text, part.span, &Tables) {
                Ok(statements) => of_statements(&statements),
                Err(_) => of_words(&part.text),
            };
            of_part(&body.line) | of_part(&body.text)
        }
    };
    // The value of an option may be a cell: that of `--setup` is.
    let values = magic.options.iter().filter_map(|(_, value)| value.as_ref());
    let of_options: Privileges = values.map(|value| privileges(&value.text)).collect();
    (known.privileges)(magic) | of_argument | of_options
}

/// The same for a text that cannot be parsed.
fn of_words(text: &str) -> Privileges {
    let is_command = |line: &str| {
        let starts = ["= !", ": !", ":!"].iter().any(|start| line.contains(start));
        line.trim_start().starts_with('!') || starts || line.starts_with('%') && line.contains(" !")
    };
    let holds_code = text.trim_start().starts_with("%%rust") || holds_rust(text) || text.lines().any(is_command);
    let words: Vec<&str> =
        text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).collect();
    let engines = words.windows(2).filter(|pair| pair[0] == "on").map(|pair| of_engines(pair[1]));
    Privileges::RUNS_CODE.only_if(holds_code) | engines.collect()
}
