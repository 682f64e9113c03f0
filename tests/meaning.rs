//! `Table::same`, order and warnings.

use timelab::data::{Order, Sameness, Schema, Table, Type, Value};

use crate::lab::{Lab, engine_names};

fn table(order: Order, values: &[Value]) -> Table {
    let ty = values.iter().fold(Type::Open, |ty, value| ty.meet(&value.ty()).unwrap_or(Type::Open)).closed();
    let schema = Schema { order, ..Schema::one("it", ty) };
    Table::from_columns(schema, values.len(), &[values.to_vec()])
}

fn ints(order: Order, values: &[i64]) -> Table {
    table(order, &values.iter().map(|i| Value::Int(*i)).collect::<Vec<_>>())
}

fn floats(values: &[f64]) -> Table {
    table(Order::Kept, &values.iter().map(|x| Value::Float(*x)).collect::<Vec<_>>())
}

#[test]
fn ordered_tables_are_compared_row_by_row() {
    let a = ints(Order::Kept, &[1, 2]);
    assert_eq!(a.same(&ints(Order::Kept, &[1, 2])), Sameness::Same);
    let different = Sameness::Different("row 0 is (1) here and (2) there".to_string());
    assert_eq!(a.same(&ints(Order::Kept, &[2, 1])), different);
}

#[test]
fn tables_without_order_are_multisets() {
    let a = ints(Order::Lost, &[1, 2, 2]);
    assert_eq!(a.same(&ints(Order::Lost, &[2, 1, 2])), Sameness::Same);
    assert!(matches!(a.same(&ints(Order::Lost, &[1, 1, 2])), Sameness::Different(_)));
}

#[test]
fn chance_cannot_be_told() {
    let a = ints(Order::Random, &[1]);
    assert!(matches!(a.same(&ints(Order::Kept, &[1])), Sameness::CannotTell(_)));
}

#[test]
fn names_and_types_count() {
    assert!(matches!(ints(Order::Kept, &[1]).same(&floats(&[1.0])), Sameness::Different(_)));
    let renamed = Table::from_columns(Schema::one("x", Type::Int), 1, &[vec![Value::Int(1)]]);
    assert!(matches!(ints(Order::Kept, &[1]).same(&renamed), Sameness::Different(_)));
}

#[test]
fn floats_agree_within_a_billionth() {
    assert_eq!(floats(&[1.0]).same(&floats(&[1.0 + 1e-10])), Sameness::Same);
    assert!(matches!(floats(&[1.0]).same(&floats(&[1.0 + 1e-8])), Sameness::Different(_)));
    assert_eq!(floats(&[f64::NAN, 0.0]).same(&floats(&[f64::NAN, -0.0])), Sameness::Same);
    assert!(matches!(floats(&[f64::NAN]).same(&floats(&[1.0])), Sameness::Different(_)));
    assert!(matches!(floats(&[f64::INFINITY]).same(&floats(&[f64::MAX])), Sameness::Different(_)));
}

#[test]
fn heights_count() {
    assert!(matches!(ints(Order::Lost, &[1]).same(&ints(Order::Lost, &[1, 1])), Sameness::Different(_)));
}

#[test]
fn the_same_seed_gives_the_same_data_on_every_engine() {
    for cell in ["letters 200 seed 7 | join \"\"", "random 5 seed 3", "1..1000 | sample 4 seed 9", "letters 40"] {
        let expected = Lab::new("rows").cell(cell);
        for engine in engine_names() {
            assert_eq!(Lab::new(engine).cell(cell), expected, "{engine}: {cell}");
        }
    }
    let mut lab = Lab::new("rows");
    let before = lab.cell("letters 40");
    lab.cell("%set seed 5");
    assert_ne!(lab.cell("letters 40"), before);
}

#[test]
fn a_failed_cell_leaves_the_session_as_it_was() {
    let mut lab = Lab::new("rows");
    lab.cell("let a = 1");
    assert!(lab.cell("let a = 2; let b = 3; 1 // 0").err.contains("division by zero"));
    assert_eq!(lab.cell("a").out, "1\n");
    assert!(lab.cell("b").err.contains("unknown name `b`"));
}

#[test]
fn a_later_redefinition_changes_nothing_that_was_built_before() {
    let mut lab = Lab::new("rows");
    for cell in [
        "fn f(x) = x + 1",
        "fn g(x) = f(x) * 10",
        "fn f(x) = 0",
        "let n = 2",
        "let t = 1..4 | filter it <= n",
        "let n = 3",
    ] {
        assert_eq!(lab.cell(cell).err, "", "{cell}");
    }
    assert_eq!(lab.cell("g(1)").out, "20\n");
    assert_eq!(lab.cell("t | count").out, "count\n2\n");
}

#[test]
fn a_file_whose_columns_have_changed_is_noticed() {
    let path = std::env::temp_dir().join(format!("timelab-changed-{}.csv", std::process::id()));
    for engine in engine_names() {
        std::fs::write(&path, "a,b\n1,2\n").expect("the temporary folder can be written");
        let mut lab = Lab::new(engine);
        lab.cell(&format!("let t = read {path:?}"));
        assert_eq!(lab.cell("t").out, "a,b\n1,2\n");
        std::fs::write(&path, "a,b\n1,2\n3,4\n").expect("the temporary folder can be written");
        assert_eq!(lab.cell("t").out, "a,b\n1,2\n3,4\n", "{engine}: a file may grow");
        std::fs::write(&path, "a,c\n1,2\n").expect("the temporary folder can be written");
        assert!(lab.cell("t").err.contains("have changed"), "{engine}");
    }
    std::fs::remove_file(&path).expect("it was written");
}

/// A kept table is found wherever a name uses it: it is computed once.
#[test]
fn what_a_name_keeps_stays_wherever_it_is_used() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let path = folder.path().join("t.csv");
    for engine in engine_names() {
        for uses in [
            "1..3 | map it + s",
            "1..3 | reduce acc + it + s",
            "1..3 | join (1..3) on it == it + s | count",
            "1..3 | join (1..30 | filter it > s) on it",
            "1..3 | concat (1..3 | sort by it + s)",
            "1..3 | zip (1..3 | map y = it * s)",
            "1..9 | fold 0 acc + it + s",
        ] {
            let mut lab = Lab::new(engine);
            std::fs::write(&path, "it\n10\n").expect("the folder can be written");
            lab.cell(&format!("let s = read {path:?} | sum | persist"));
            assert_eq!(lab.cell(&format!("let x = {uses}")).err, "", "{uses}");
            lab.cell("let s = 0");
            let first = lab.cell("x");
            std::fs::write(&path, "it\n10\n1\n").expect("the folder can be written");
            assert_eq!(lab.cell("x"), first, "{engine}: {uses}");
        }
    }
}
