//! What was measured is known as such, also after it went through expressions, names and tables; what was counted is
//! not.

use timelab::console::Console;
use timelab::magics::{Evaluation, evaluate};
use timelab::report::{Block, Note, Piece, Report};
use timelab::session::Session;
use timelab::show;

struct Cells {
    session: Session,
}

impl Cells {
    /// A session in which these cells ran.
    #[track_caller]
    fn after(cells: &[&str]) -> Cells {
        let mut all = Cells { session: Session::new("rows", Console::default()) };
        cells.iter().for_each(|cell| drop(all.report(cell)));
        all
    }

    fn evaluate(&mut self, cell: &str) -> Evaluation {
        let context = self.session.context();
        evaluate(&mut self.session, cell, &context)
    }

    #[track_caller]
    fn report(&mut self, cell: &str) -> Report {
        let evaluation = self.evaluate(cell);
        assert!(evaluation.error.is_none(), "{cell}: {:?}", evaluation.error);
        evaluation.report
    }

    /// Whether the value or the table that a cell shows is measured.
    #[track_caller]
    fn is_measured(&mut self, cell: &str) -> bool {
        let report = self.report(cell);
        let shown: Vec<bool> = report
            .blocks
            .iter()
            .filter_map(|block| match block {
                Block::Value { measured, .. } => Some(*measured),
                Block::Table { measured, .. } | Block::Whole { measured, .. } => Some(measured.is_anything()),
                _ => None,
            })
            .collect();
        assert!(!shown.is_empty(), "{cell} shows nothing");
        assert!(shown.iter().all(|measured| *measured == shown[0]), "{cell}: {shown:?}");
        shown[0]
    }
}

/// Cells that name measured values, and one that counts.
const BEFORE: &[&str] = &[
    "%timeit -n 10 -r 5 --clock wall 1..100 | sum",
    "let median = _1.median",
    "let rows = 1..7 | persist",
    "1..10 | map it * 2",
    "%compare --for 100ms:\n  a: 1..100 | sum\n  b: 1..100 | map it | sum",
];

#[track_caller]
fn check(cell: &str, measured: bool) {
    let found = Cells::after(BEFORE).is_measured(cell);
    assert_eq!(found, measured, "`{cell}` is {}measured", if found { "" } else { "not " });
}

#[test]
fn expressions_over_measured_fields_are_measured() {
    check("_1.median * 2", true);
    check("_1.median", true);
    check("if _1.iqr > 0.0 then 1 else 2", true);
    check("[1, 2, 3][0] + int(_1.best)", true);
    check("_1.samples", true);
    check("_4.wall", true);
    check("_5.speedup", true);
    check("_5.pairs", true);
}

#[test]
fn what_is_counted_stays_counted() {
    check("1 + 1", false);
    // Its option says how many.
    check("_1.calls * 2", false);
    check("_4.rows", false);
    check("_5.agree", false);
    check("rows | sum", false);
    check("_4 | sum", false);
    // A name beside it is measured, but nothing of it is read.
    check("rows | map it * 2", false);
}

#[test]
fn a_let_keeps_the_mark() {
    check("median + 1.0", true);
    check("let twice = median * 2 ; twice", true);
    check("let a = 1 ; a", false);
    check("fn twice(x) = x * 2 ; twice(median)", true);
    check("fn twice(x) = x * 2 ; twice(3)", false);
}

#[test]
fn a_table_whose_plan_reads_a_measured_value_is_measured_as_a_whole() {
    check("1..10 | map it * median", true);
    check("1..10 | filter it > _1.median | count", true);
    check("1..10 | take int(_1.median) + 1", true);
    check("_1.samples | mean", true);
    check("_5 | drop lines", true);
    // What follows from counts alone is counted.
    check("_5 | map variant, lines", false);
    check("_5 | count by lines", false);
    check("_5 | filter speedup > 1.0 | count", true);
    check("_5 | sort by median | map variant | take 1", true);
    check("let slow = 1..10 | map it * median ; slow | sum", true);
    check("let slow = 1..10 | map it * median ; slow | count", false);
    check(
        "let slow = 1..10 | map it * median | persist ; rows | map it = it | join (slow | map it = int(it)) on it",
        true,
    );
    check("1..10 | concat (1..3 | map it * int(median))", true);
    check("let only = 1..3 | map it * median | sum ; only + 1.0", true);
    check("1..10 | map it * median | tee a: (sum), b: (map it * 2)", true);
}

#[test]
fn results_of_measured_tables_are_measured() {
    let mut cells = Cells::after(BEFORE);
    cells.report("1..10 | filter it > median");
    assert!(cells.is_measured("%last"));
    assert!(cells.is_measured("_ | count"));
    assert!(cells.is_measured("_6.rows"), "how many rows there are depends on the median");
    assert!(cells.is_measured("%whos"));
    assert!(!Cells::after(&["let n = 1"]).is_measured("%whos"));
}

/// The figures of a note, each with its mark.
fn figures(note: &Note) -> Vec<bool> {
    let mark = |piece: &Piece| if let Piece::Figure(field) = piece { Some(field.measured) } else { None };
    note.pieces.iter().filter_map(mark).collect()
}

#[test]
fn notes_and_the_status_line_know_their_figures() {
    let mut cells = Cells::after(&[]);
    let status = cells.report("1..10 | filter it > 5").status_line;
    let told: Vec<(String, Vec<bool>)> = status.iter().map(|note| (show::note(note), figures(note))).collect();
    let [rows, read, engine, wall] = &told[..] else { panic!("{told:?}") };
    assert_eq!(*rows, ("4 rows".to_string(), vec![false]));
    assert_eq!(*read, ("9 read".to_string(), vec![false]));
    assert_eq!(*engine, ("rows".to_string(), vec![]));
    assert_eq!(wall.1, [true], "{wall:?}");
    let report = cells.report("%compare --for 100ms:\n  a: 1..100 | sum\n  b: 1..100 | map it | sum");
    let notes = report.blocks.iter().find_map(|block| if let Block::Notes(notes) = block { Some(notes) } else { None });
    let notes = notes.expect("it has notes");
    let agreed = notes.iter().find(|note| show::note(note) == "✓ same result: 2/2 equal").expect("they agree");
    assert!(figures(agreed).is_empty() && !agreed.is_optional);
    let samples = notes.iter().find(|note| show::note(note).contains("interleaved")).expect("how many samples");
    assert_eq!(figures(samples), [true]);
    for meaning in report.blocks.iter().filter_map(|block| match block {
        Block::Figures(figures) => Some(figures),
        _ => None,
    }) {
        let columns = meaning.table.schema().columns.iter().zip(&meaning.meanings);
        let counted: Vec<&str> =
            columns.filter(|(_, meaning)| !meaning.measured).map(|(column, _)| column.name.as_str()).collect();
        assert_eq!(counted, ["variant", "lines"]);
    }
}

#[test]
fn reports_stay_with_their_cells_while_there_is_room() {
    let mut cells = Cells::after(&["1..4", "let a = 1", "%help sum"]);
    let shown: Vec<usize> = cells
        .session
        .entered()
        .iter()
        .map(|cell| cell.report.as_ref().map_or(0, |report| report.blocks.len()))
        .collect();
    assert_eq!(shown, [1, 0, 1]);
    // The table of the result and that of the report are one.
    let first = &cells.session.entered()[0];
    let [Block::Table { table, .. }] = &first.report.as_ref().expect("it is kept").blocks[..] else {
        panic!("a table")
    };
    assert!(first.bytes >= table.bytes() as u64 && first.bytes < 2 * table.bytes() as u64 + 200, "{}", first.bytes);
    // Tables of 160 MB: two of them do not fit.
    cells.report("1..20M | map it");
    cells.report("1..20M | map it + 1");
    let kept: Vec<bool> = cells.session.entered().iter().map(|cell| cell.report.is_some()).collect();
    assert_eq!(kept, [true, true, true, false, true], "the older large one had to go");
    let told = show::report(&cells.report("%history 1-4 -o"), &crate::lab::PLAIN);
    assert!(told.out.contains("[1]› 1..4\nit\n1\n2\n3\n"), "{}", told.out);
    assert!(
        told.err.contains("its output was dropped: it takes 153 MiB, and results are kept up to 256 MiB"),
        "{}",
        told.err
    );
    // What is shown again is there once.
    assert!(cells.session.entered()[4].report.is_some());
    cells.report("%last");
    assert!(cells.session.entered()[4].report.is_some());
}
