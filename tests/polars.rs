//! The engine `polars` against the reference, where polars by itself means something else.

use std::sync::Arc;

use timelab::console::Console;
use timelab::data::{Sameness, Table};
use timelab::diagnostic::Kind;
use timelab::engines;
use timelab::session::{CellValue, Session};

use crate::lab;

/// The table of a cell's last statement, or the kind of its error.
fn run(engine: &'static str, text: &str) -> Result<Arc<Table>, Kind> {
    assert!(engines::find(engine).is_some(), "no engine {engine}");
    let mut session = Session::new(engine, Console::default());
    let context = session.context();
    match lab::run(&mut session, text, &context).map_err(|error| error.kind)? {
        CellValue::Table(ran) => Ok(ran.table),
        other => panic!("{text} gives no table: {other:?}"),
    }
}

/// Each line is a cell.
#[track_caller]
fn check(cells: &str) {
    let mut wrong = String::new();
    for cell in cells.lines().map(str::trim).filter(|cell| !cell.is_empty()) {
        let different = match (run("rows", cell), run("polars", cell)) {
            (Ok(rows), Ok(polars)) => match rows.same(&polars) {
                Sameness::Same | Sameness::CannotTell(_) => continue,
                Sameness::Different(what) => what,
            },
            (Err(rows), Err(polars)) if rows == polars => continue,
            (rows, polars) => {
                format!("{:?} and {:?}", rows.map(|table| table.height()), polars.map(|table| table.height()))
            }
        };
        wrong.push_str(&format!("{cell}\n    {different}\n"));
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn ints_never_wrap() {
    check(
        "
        [9223372036854775807, null, 1] | map it + 1
        [9223372036854775807] | map it + 1 - 1
        [-9223372036854775808] | map -it
        [-9223372036854775808] | map abs(it)
        [-9223372036854775808] | map it // -1
        [-9223372036854775808] | map it % -1
        [9223372036854775807, 9223372036854775807, -9223372036854775807] | sum
        [9223372036854775807, 9223372036854775807] | sum
        [9223372036854775807, 9223372036854775807] | mean
        [3, null] | map pow(it, 40)
        [3, null] | map pow(it, -1)
        1..300000 | map it * it * it * it | sum
        1..300000 | map it * 1000000000 * it | sum
        1..300000 | map it * 30000000000000 * it | max
        9223372036854775800.. | take 10
        [1e300] | map int(it)
        [1, 2] | take 0 | map 9223372036854775807 + 1
        ",
    );
}

#[test]
fn division() {
    check(
        "
        [7, -7, null] | map a = it // 2, b = it // -2, c = it % 2, d = it % -2, e = it / 2
        [1, 0] | map 10 // it
        [1, 0] | map 10 % it
        [1, 0] | map 10 / it
        [1] | take 0 | map 10 // 0
        [1.5, -0.0, 0.0 / 0.0, 49] | map a = it / 49, b = it // 0.1, c = it % 0.1, d = it % -2, e = 1 / (it + 0)
        [1, 0] | map a = it, b = 10 // it | filter a != 0
        [1, 0] | sort by 10 // it | count
        [1, 0] | filter it != 0 | filter 10 // it > 1
        1..300000 | filter it != 299999 | filter 1000 // (it - 299999) < 0 | count
        1..300000 | map 1000 // (it - 299999) | sum
        ",
    );
}

#[test]
fn only_what_is_needed_is_evaluated() {
    check(
        r#"
        [1, 0, null] | map if it != 0 then 10 // it else 0
        [1, 0, null] | map it == 0 or 10 // it > 2
        [1, 0, null] | map it != 0 and 10 // it > 2
        [1, 0, null] | map 10 // it > 2 or it == 0
        [1, 0, null] | map coalesce(if it == 0 then 1 else null, 10 // it)
        [1, 0, null] | map coalesce(it, 5 // 0)
        [0, 1, 5] | map if it == 0 then 1 else if it == 1 then 2 else 6 // (it - 1)
        [0, 1, 5] | map if it < 0 then -1 else if it != 0 then if 10 // it > 3 then 1 else 2 else 3
        [0, 1, null] | map [if it == 0 then 0 else 10 // it, 1]
        [0, 1] | map if false then 10 // 0 else it
        ["1", "x", null] | map if it == "1" then int(it) else -1
        ["1", "x", null] | map int(it)
        fn inv(n) = 10 // n ; [5, 0] | map if it != 0 then inv(it) else 0
        fn inv(n) = 10 // n ; [5, 0] | map inv(it)
        fn deep(n) = if n == 0 then 0 else deep(n - 1) + 1 ; [5, 20000] | map deep(it)
        "#,
    );
}

#[test]
fn nulls_and_nan() {
    check(
        "
        [0.0, -0.0, 0.0 / 0.0, -(0.0 / 0.0), 1, null, null] | count by it
        [0.0, -0.0, 0.0 / 0.0, -(0.0 / 0.0), 1, null, null] | agg n_distinct(it), min(it), max(it), median(it)
        [0.0, -0.0, 0.0 / 0.0, 1 / 0, -1 / 0, null] | map a = it == 0.0 / 0.0, b = it > 1, c = it in [0.0, 0.0 / 0.0]
        [0.0, -0.0, 0.0 / 0.0, 1, null] | enumerate | sort by it desc, row
        [0.0, -0.0, 0.0 / 0.0, null] | map a = it | join ([0.0, -0.0, 0.0 / 0.0, null] | map a = it) on a
        [1, null] | map a = it | join left ([1, null] | map a = it, b = 1) on a
        [1, null] | map a = it | join anti ([1, null] | map a = it) on a
        [true, false, null] | map a = it and null, b = it or null, c = not it, d = it == null
        [1, null] | filter it > 0
        [1, null] | map a = it in [1, null], b = it not in [], c = it == null
        [null, null] | agg sum(it), mean(it), min(it), count(it), count()
        [1] | take 0 | agg sum(it), mean(it), min(it), std(it), median(it), first(it), count()
        [0.1, 0.1, 0.1] | agg std(it)
        [1e308, 1e308] | agg std(it)
        [1 / 0, 1, 2] | agg median(it), quantile(it, 0.75), std(it)
        [[1, 2], [], null, [null]] | flat_map it
        [[1.0, 0.0 / 0.0], [-0.0], [0.0], null, [1.0, 0.0 / 0.0], null] | count by it
        [[1, 2], [1], [], null, [0, 5]] | sort by it desc
        [null] | map text(it) | reverse
        ",
    );
}

#[test]
fn order_is_kept() {
    check(
        r#"
        1..400000 | filter it % 3 == 0 | enumerate | skip 1000 | take 5000
        1..400000 | flat_map range(0, it % 4) | enumerate | filter row % 7 == 1
        1..300000 | concat (1..300000) | enumerate | filter row % 999 == 0
        1..300000 | zip (1..300000 | map b = it * 2) | filter it % 3 == 0 | enumerate
        1..300000 | zip (1..300001 | map b = it * 2)
        1..300000 | agg a = first(it), b = last(it) by k = it % 7
        1..300000 | enumerate | distinct by it % 1000 | sort by it
        1..300000 | sample 50 seed 3
        1..1500 | pairs | enumerate | filter row % 10007 == 0
        1..1500 | pairs | filter a * b % 7 == 1 | count
        letters 300000 seed 3 | enumerate | filter it == "q" | take 50
        1.. | skip 5 | take 5
        "#,
    );
}

#[test]
fn texts_count_characters() {
    check(
        r#"
        ["née", "", null, "ΑΣ", "İx", " a  b "] | map a = len(it), b = upper(it), c = lower(it)
        ["née", "", null, "ΑΣ", "İx", " a  b "] | map a = trim(it), b = reverse(it)
        ["née", "", null, "ab"] | map a = slice(it, 1, 1), b = slice(it, -2, 5), c = slice(it, 9, 9)
        ["née", "", null, "ab"] | map slice(it, -9, 8)
        ["a b", "", null, " "] | map a = words(it), b = chars(it), c = split(it, " "), d = sorted(it)
        ["a.b", "", null] | map a = replace(it, ".", "$0"), b = replace(it, "", "-")
        ["a.b", "", null] | map a = contains(it, "."), b = it + "!"
        ["a", null, "b"] | join "-"
        [null, null] | map text(it) | join "-"
        [1.5, 1e300, 0.0 / 0.0] | map a = text(it), b = format("{}|{}", it, 1)
        ["a", null] | map `^it$` = it, `c0` = len(it) | filter c0 > 0
        "#,
    );
}
