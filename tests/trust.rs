//! What every magic, stage and engine says of its uses: which need trust, and which do not.

use timelab::engines;
use timelab::lang::{ArgumentSyntax, Privileges, Takes, parse};
use timelab::magics::{self, Tables, privileges};
use timelab::stages;

const RUST: &str = "rust { 1 }";

#[track_caller]
fn check(cell: &str, expected: Privileges) {
    assert_eq!(privileges(cell), expected, "{cell}");
}

#[test]
fn examples_need_no_trust_unless_they_hold_rust() {
    let of_stages = stages::ALL.iter().flat_map(|stage| stage.examples).map(|(cell, _)| *cell);
    let of_magics = magics::ALL.iter().flat_map(|magic| magic.examples).copied();
    for cell in of_stages.chain(of_magics) {
        // One pipeline alone runs on all engines, so on native.
        let everywhere = cell.starts_with("%same") && !cell.contains("), (");
        let holds_rust =
            everywhere || ["rust {", "rust with"].iter().any(|word| cell.contains(word)) || cell.starts_with("%%rust");
        let leaves = ["/tmp/", "%cd "].iter().any(|word| cell.contains(word));
        let holds_command =
            cell.starts_with('%') && cell.match_indices(" !").any(|(at, _)| !cell[at..].starts_with(" !="));
        let expected =
            Privileges::RUNS_CODE.only_if(holds_rust || holds_command) | Privileges::WRITES_ELSEWHERE.only_if(leaves);
        check(cell, expected);
    }
}

#[test]
fn the_same_on_all_engines_compiles_code() {
    check("%same 1..3 | sum", Privileges::RUNS_CODE);
    check("%same 1..3, 1..4", Privileges::NONE);
}

/// Whatever a magic is about: Rust in its statement, its body or its options needs trust, and else nothing does.
#[test]
fn every_magic_sees_what_stands_in_it() {
    for magic in magics::ALL {
        let name = magic.syntax.name;
        let [bodies, statements, pipelines, variants] = match magic.syntax.takes {
            Takes::Statement => [false, true, false, false],
            Takes::StatementOrBody => [true, true, false, false],
            Takes::Body | Takes::WordsOrBody => [true, false, false, false],
            Takes::Pipelines => [false, false, true, false],
            Takes::Variants => [false, false, false, true],
            Takes::WordsOrStatement(_) => [false, true, false, false],
            Takes::Words => [false; 4],
        };
        let mut forms = Vec::new();
        forms.extend(statements.then(|| "%NAME HERE".to_string()));
        forms.extend(statements.then(|| "%NAME 1..3 | concat (HERE)".to_string()));
        forms.extend(statements.then(|| "%NAME let x = HERE".to_string()));
        forms.extend(bodies.then(|| "%%NAME\nHERE\n%%".to_string()));
        forms.extend(pipelines.then(|| "%NAME 1..3, HERE".to_string()));
        forms.extend(variants.then(|| "%NAME n in [1, 2]: HERE".to_string()));
        forms.extend(variants.then(|| "%NAME:\n  a: 1..3\n  b: HERE".to_string()));
        if magic.syntax.options.contains(&("--setup", true)) {
            forms.push("%NAME --setup (let x = HERE) 1..3".to_string());
        }
        for form in forms {
            let cell = |here: &str| form.replace("NAME", name).replace("HERE", here);
            check(&cell(RUST), Privileges::RUNS_CODE);
            let native = cell("1..3 | on native");
            // Not everywhere may an engine be chosen.
            if parse(0, &native, &Tables).is_ok() {
                check(&native, Privileges::RUNS_CODE);
            }
            if name != "rust" {
                check(&cell("[1, 2]"), Privileges::NONE);
            }
        }
    }
}

#[test]
fn magics_say_what_their_words_do() {
    let network = Privileges::RUNS_CODE | Privileges::REACHES_NETWORK;
    for (cell, expected) in [
        ("%%rust\n1", Privileges::RUNS_CODE),
        ("%rust dep rand", network),
        ("%rust", Privileges::NONE),
        ("%rust reset", Privileges::NONE),
        ("%run cells.txt", Privileges::NONE),
        ("%run --trust cells.txt", Privileges::RUNS_CODE),
        ("%save cells.txt", Privileges::NONE),
        ("%save ../cells.txt", Privileges::WRITES_ELSEWHERE),
        ("%save .bashrc", Privileges::WRITES_ELSEWHERE),
        ("%save ~/cells.txt --force", Privileges::WRITES_ELSEWHERE),
        ("%cd", Privileges::NONE),
        ("%cd samples", Privileges::WRITES_ELSEWHERE),
        ("%set", Privileges::NONE),
        ("%set engine rows", Privileges::NONE),
        ("%set engine native", Privileges::RUNS_CODE),
        ("%compare --on rows,batch 1..10 | sum", Privileges::NONE),
        ("%compare --on rows,native 1..10 | sum", Privileges::RUNS_CODE),
        ("!ls", Privileges::RUNS_CODE),
        ("%time !ls", Privileges::RUNS_CODE),
        ("%timeit --runs 3 !ls", Privileges::RUNS_CODE),
        ("%compare:\n  a: 1..3\n  b: !ls\n    -l", Privileges::RUNS_CODE),
        ("%compare n in 1..3: !ls {n}", Privileges::RUNS_CODE),
        ("%bigo !ls {n}", Privileges::RUNS_CODE),
        ("%compare: a: !ls", Privileges::RUNS_CODE),
        ("%compare --export x.csv --on rows,batch 1..3 | sum", Privileges::NONE),
        ("%compare --export ../x.csv --on rows,batch 1..3 | sum", Privileges::WRITES_ELSEWHERE),
        ("let x = !ls", Privileges::RUNS_CODE),
        ("let f = spawn 1..3 | sum | on threads; wait f", Privileges::NONE),
        ("let f = spawn rust { [1] } | sum", Privileges::RUNS_CODE),
        ("let f = spawn 1..3 | write \"../x.csv\"", Privileges::WRITES_ELSEWHERE),
        ("let f = spawn 1..3 | sum | on native", Privileges::RUNS_CODE),
        ("fn f(x: int) -> int = rust { x }", Privileges::RUNS_CODE),
        ("fn f(x) = x + 1", Privileges::NONE),
        ("%timeit?", Privileges::NONE),
        ("# a comment", Privileges::NONE),
    ] {
        check(cell, expected);
    }
}

/// Wherever a stage holds tables or branches, what stands in them counts.
#[test]
fn every_stage_sees_what_stands_in_it() {
    let write = "write \"../x.csv\"";
    for stage in stages::ALL {
        let name = stage.syntax.name;
        let forms: &[(&str, Privileges)] = match stage.syntax.shape {
            ArgumentSyntax::Tables if name == "pairs" => &[],
            ArgumentSyntax::Tables => &[("1..3 | NAME (rust { [1] })", Privileges::RUNS_CODE)],
            ArgumentSyntax::Join => &[
                ("1..3 | NAME (rust { [1] }) on it", Privileges::RUNS_CODE),
                // It cannot be parsed, so that its words count.
                ("1..3 | NAME (1..3 | on native) on it", Privileges::RUNS_CODE),
            ],
            ArgumentSyntax::Tee => &[
                ("1..3 | NAME a: (sum), b: (WRITE)", Privileges::WRITES_ELSEWHERE),
                ("1..3 | NAME a: (concat (rust { [1] })), b: (sum)", Privileges::RUNS_CODE),
            ],
            ArgumentSyntax::Write => &[
                ("1..3 | NAME \"x.csv\"", Privileges::NONE),
                ("1..3 | NAME \"folder/x.csv\"", Privileges::NONE),
                ("1..3 | WRITE", Privileges::WRITES_ELSEWHERE),
                ("1..3 | NAME \"/x.csv\"", Privileges::WRITES_ELSEWHERE),
                ("1..3 | NAME \"~/x.csv\"", Privileges::WRITES_ELSEWHERE),
                ("1..3 | NAME \".bashrc\"", Privileges::WRITES_ELSEWHERE),
                ("rust { 1 } | WRITE", Privileges { runs_code: true, ..Privileges::WRITES_ELSEWHERE }),
            ],
            ArgumentSyntax::Args { .. }
            | ArgumentSyntax::Renames
            | ArgumentSyntax::Fold
            | ArgumentSyntax::Peek
            | ArgumentSyntax::Words(_)
            | ArgumentSyntax::MapReduce => &[],
            ArgumentSyntax::Iterate => &[
                ("1..3 | NAME 2 { map it }", Privileges::NONE),
                ("1..3 | NAME 2 { concat (rust { [1] }) }", Privileges::RUNS_CODE),
                ("1..3 | NAME until it > 1 { WRITE }", Privileges::WRITES_ELSEWHERE),
            ],
        };
        for (form, expected) in forms {
            check(&form.replace("WRITE", write).replace("NAME", name), *expected);
        }
    }
}

#[test]
fn every_engine_says_whether_it_runs_code() {
    for engine in engines::ALL {
        let expected = Privileges::RUNS_CODE.only_if(engine.is_compiled());
        check(&format!("1..3 | sum | on {}", engine.name()), expected);
        check(&format!("%time 1..3 | sum | on {}", engine.name()), expected);
    }
}

/// What cannot be parsed is judged by its words.
#[test]
fn an_unparsable_cell_is_judged_by_its_words() {
    for cell in ["1 + ; rust { 1 }", "1 + (\n!ls", "let = !ls", "%%rust\n(", "%nothing rust { 1 }"] {
        check(cell, Privileges::RUNS_CODE);
    }
    check("1 + ", Privileges::NONE);
}
