//! The algorithm families: all variants agree, known answers, sources, and what the shell tells of them.

use std::collections::HashSet;
use std::sync::Arc;

use timelab::algorithms::{self, Case, Family};
use timelab::console::Console;
use timelab::data::{Sameness, Table, Value};
use timelab::magics::{complete, evaluate};
use timelab::measure::growth::Class;
use timelab::plan::Binding;
use timelab::report::{Block, Report};
use timelab::session::{Session, kept_plan};

use crate::lab::Lab;

/// The last ones are for the fast variants alone.
const SIZES: [usize; 10] = [0, 1, 2, 3, 4, 7, 20, 51, 300, 1_500];

fn cases(family: &'static dyn Family) -> Vec<(String, Box<dyn Case>, usize)> {
    let most = most(family);
    let mut cases = Vec::new();
    for (shape, _) in family.shapes() {
        for size in SIZES.into_iter().filter(|size| *size <= most) {
            for seed in [0, 1, -7] {
                let case = family.case(size, seed, shape).expect("the size is allowed");
                cases.push((format!("{} {shape} {size} seed {seed}", family.facts().name), case, size));
            }
        }
    }
    cases
}

/// The largest size of a family.
fn most(family: &dyn Family) -> usize {
    family.variants().iter().map(|claims| claims.most).max().expect("a family has variants")
}

fn family(name: &str) -> &'static dyn Family {
    algorithms::find(name).expect("the family is there")
}

/// What all variants of the family find; they agree.
#[track_caller]
fn found(name: &str, size: usize, seed: i64, shape: &str) -> Table {
    let family = family(name);
    let case = family.case(size, seed, shape).expect("there is such a case");
    let variants = family.variants();
    let mut results = variants.iter().filter(|claims| claims.most >= size).map(|claims| case.result(claims.name));
    let first = results.next().expect("some variant takes this size").expect("the size is allowed");
    for result in results {
        assert_eq!(first.same(&result.expect("the size is allowed")), Sameness::Same);
    }
    first
}

/// The first column of what all variants find.
#[track_caller]
fn column(name: &str, size: usize, shape: &str) -> Vec<Value> {
    let table = found(name, size, 0, shape);
    table.values(0, 0, table.height())
}

fn ints(values: &[i64]) -> Vec<Value> {
    values.iter().map(|i| Value::Int(*i)).collect()
}

#[test]
fn all_variants_of_a_family_agree() {
    for family in algorithms::ALL {
        for (what, case, size) in cases(*family) {
            let mut first: Option<Table> = None;
            for claims in family.variants() {
                if size > claims.most || (claims.time == Class::Cubic && size > 300) {
                    continue;
                }
                let result = case.result(claims.name).expect("the size is allowed");
                case.call(claims.name).expect("the size is allowed")();
                match &first {
                    None => first = Some(result),
                    Some(first) => assert_eq!(first.same(&result), Sameness::Same, "{what}: {}", claims.name),
                }
            }
        }
    }
}

#[test]
fn a_seed_gives_the_same_input_always() {
    for family in algorithms::ALL {
        let mut differ = false;
        for (shape, _) in family.shapes() {
            let size = most(*family).min(50);
            let input = |seed| family.case(size, seed, shape).expect("the size is allowed").input();
            assert_eq!(input(3).same(&input(3)), Sameness::Same, "{} {shape}", family.facts().name);
            differ |= input(3).same(&input(4)) != Sameness::Same;
        }
        let by_size_alone = ["fibonacci", "primes"].contains(&family.facts().name);
        assert!(differ || by_size_alone, "{}: the seed changes something", family.facts().name);
    }
}

#[test]
fn the_table_is_complete_and_names_nothing_twice() {
    let mut names = HashSet::new();
    for family in algorithms::ALL {
        let facts = family.facts();
        assert!(names.insert(facts.name), "{} is there twice", facts.name);
        assert!(family.variants().len() > 1 && !family.shapes().is_empty(), "{}", facts.name);
        assert!(facts.sizes.is_sorted() && facts.sizes.iter().all(|size| *size <= most(*family)), "{}", facts.name);
        let variants: HashSet<&str> = family.variants().iter().map(|claims| claims.name).collect();
        assert_eq!(variants.len(), family.variants().len(), "{}", facts.name);
        for claims in family.variants() {
            for (shape, _) in claims.except {
                assert!(family.shapes().iter().any(|(name, _)| name == shape), "{}: {shape}", facts.name);
            }
        }
    }
}

#[test]
fn known_answers() {
    for (n, number) in [(0, 0), (1, 1), (2, 1), (10, 55), (32, 2_178_309), (92, 7_540_113_804_746_346_429)] {
        assert_eq!(column("fibonacci", n, "number"), ints(&[number]));
    }
    let primes = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97];
    assert_eq!(column("primes", 100, "number"), ints(&primes));
    assert_eq!(column("primes", 97, "number"), ints(&primes[..24]));
    assert_eq!(column("primes", 10_000, "number").len(), 1229);
    for (n, count) in [(0, 1), (1, 1), (3, 6), (6, 720)] {
        assert_eq!(column("permutations", n, "shuffled").len(), count);
    }
    assert_eq!(column("edit_distance", 9, "equal"), ints(&[0]));
    assert_eq!(column("subset_sums", 14, "absent"), ints(&[0]));
    assert_eq!(column("duplicates", 200, "none"), ints(&[]));
    assert_eq!(column("anagrams", 200, "none"), ints(&[]));
    assert_eq!(column("anagrams", 200, "one_group").len(), 1);
    assert!(column("anagrams", 200, "mixed").len() > 20);
    assert_eq!(column("membership", 200, "present"), vec![Value::Bool(true); 100]);
    assert_eq!(column("membership", 200, "absent"), vec![Value::Bool(false); 100]);
    assert_eq!(column("searching", 200, "absent"), vec![Value::Null; 100]);
    assert!(column("searching", 200, "outlier").iter().all(|place| !place.is_null()));
    assert_eq!(column("tournament", 50, "favourite"), [Value::text("Favourites")]);
    assert_eq!(column("rows_or_columns", 1_000, "none"), ints(&[0]));
}

#[test]
fn the_classic_sudoku_has_its_known_solution() {
    let solution = [
        "534678912",
        "672195348",
        "198342567",
        "859761423",
        "426853791",
        "713924856",
        "961537284",
        "287419635",
        "345286179",
    ];
    assert_eq!(column("sudoku", 51, "classic"), solution.map(Value::text));
}

#[test]
fn a_sudoku_has_as_many_blanks_as_were_asked_for() {
    for (shape, _) in family("sudoku").shapes() {
        for seed in 0..20 {
            let input = family("sudoku").case(51, seed, shape).expect("the size is allowed").input();
            let rows = input.values(0, 0, 9);
            let blanks: usize = rows.iter().map(|row| row.to_string().matches('.').count()).sum();
            assert_eq!(blanks, 51, "{shape} seed {seed}");
        }
    }
}

/// What a pipeline of these stages makes of a table.
#[track_caller]
fn piped(input: Table, stages: &str) -> Table {
    let mut session = Session::new("rows", Console::default());
    let table = Some(Arc::new(kept_plan(Arc::new(input), Default::default())));
    session.end_cell(
        "",
        false,
        Some(Binding::Result { table, fields: Vec::new(), tables: Vec::new() }),
        None,
        Report::default(),
    );
    let context = session.context();
    let evaluation = evaluate(&mut session, &format!("_ | {stages}"), &context);
    match &evaluation.report.blocks[..] {
        [Block::Table { table, .. }] => (**table).clone(),
        _ => panic!("{stages}: {evaluation:?}"),
    }
}

#[test]
fn what_is_said_in_the_language_is_the_same() {
    for family in algorithms::ALL {
        let Some(stages) = family.facts().stages else { continue };
        for (shape, _) in family.shapes() {
            for size in [0, 1, 2, 60] {
                let case = family.case(size, 6, shape).expect("the size is allowed");
                let result = case.result(family.variants()[0].name).expect("the size is allowed");
                let piped = piped(case.input(), stages);
                assert_eq!(result.same(&piped), Sameness::Same, "{} {shape} {size}", family.facts().name);
            }
        }
    }
}

/// What is found can be worked out from the input in another way.
#[test]
fn results_are_what_the_input_says() {
    let sorted = |table: &Table| {
        let mut values = table.values(0, 0, table.height());
        values.sort_by(|a, b| a.compare(b));
        values
    };
    for (shape, _) in family("sorting").shapes() {
        let input = family("sorting").case(500, 9, shape).expect("the size is allowed").input();
        let result = found("sorting", 500, 9, shape);
        assert_eq!(result.values(0, 0, 500), sorted(&input));
    }
    let input = family("strings").case(40, 2, "words").expect("the size is allowed").input();
    let parts: String = input.values(0, 0, 40).iter().map(|part| part.to_string().replace('"', "")).collect();
    assert_eq!(found("strings", 40, 2, "words").values(0, 0, 1), [Value::text(&parts)]);
    let identity = family("matrices").case(12, 5, "identity").expect("the size is allowed").input();
    assert_eq!(found("matrices", 12, 5, "identity").values(0, 0, 144), identity.values(0, 0, 144));
}

#[test]
fn the_source_of_each_variant_is_found_whole() {
    for family in algorithms::ALL {
        for claims in family.variants() {
            let what = format!("{}: {}", family.facts().name, claims.name);
            let source = family.source(claims.name).unwrap_or_else(|| panic!("{what} has no source"));
            let code = source[0].lines().find(|line| !line.starts_with("//")).unwrap_or_default();
            assert!(code.starts_with(&format!("fn {}(", claims.name)), "{what}: {source:?}");
            for item in &source {
                assert_eq!(item.matches('{').count(), item.matches('}').count(), "{what}:\n{item}");
                assert!(
                    item.ends_with(['}', ';']) && !item.contains("Facts") && !item.contains("Random"),
                    "{what}:\n{item}"
                );
            }
        }
        assert_eq!(family.source("no_such_variant"), None);
    }
    let heads = |name, variant| {
        let source = family(name).source(variant).expect("it is there");
        let head = |item: &&str| item.lines().next().unwrap_or_default().to_string();
        source.iter().map(head).collect::<Vec<_>>()
    };
    assert_eq!(
        heads("sorting", "quick"),
        ["fn quick(numbers: &[i64]) -> Vec<i64> {", "fn sort_parts(numbers: &mut [i64]) {"]
    );
    let sorted = heads("tournament", "sorted");
    assert!(sorted.contains(&"fn winner(game: &Match) -> &str {".to_string()), "{sorted:?}");
    assert!(heads("edit_distance", "two_rows")[0].starts_with("/// Wagner and Fischer"));
}

#[test]
fn what_is_not_there_or_too_large_is_an_error_in_words() {
    let error = |name: &str, size, shape: &str, variant: &str| {
        let case = family(name).case(size, 0, shape);
        let error = case.and_then(|case| case.result(variant)).expect_err("it is refused");
        format!("{}; {}", error.message, error.hint.unwrap_or_default())
    };
    assert_eq!(error("sorting", 9, "randm", "heap"), "`sorting` has no shape `randm`; did you mean `random`?");
    assert_eq!(error("sorting", 9, "random", "hep"), "`sorting` has no variant `hep`; did you mean `heap`?");
    assert_eq!(error("primes", 9, "odd", "sieve"), "`primes` has no shape `odd`; there are number");
    assert_eq!(
        error("fibonacci", 50, "number", "naive"),
        "`naive` is not run with more than 40 steps; a smaller size tells as much"
    );
    assert_eq!(
        error("sudoku", usize::MAX, "classic", "propagation"),
        "`sudoku` is not run with more than 51 blanks; a smaller size tells as much"
    );
}

#[test]
fn the_shell_lists_the_families_and_shows_their_sources() {
    let mut lab = Lab::new("rows");
    let all = lab.cell("%algorithms").out;
    for family in algorithms::ALL {
        let name = family.facts().name;
        let one = lab.cell(&format!("%algorithms {name}"));
        assert_eq!(one.err, "");
        assert_eq!(lab.cell(&format!("{name}?")).out, one.out);
        let sources = lab.cell(&format!("{name}??")).out;
        assert!(all.contains(family.facts().about));
        for claims in family.variants() {
            assert!(all.contains(&format!("{} {}", claims.name, claims.time)), "{all}");
            assert!(one.out.contains(claims.about), "{}", one.out);
            assert!(sources.contains(claims.about) && sources.contains(&format!("fn {}(", claims.name)), "{sources}");
        }
        for (shape, about) in family.shapes() {
            assert!(all.contains(shape) && one.out.contains(about), "{}", one.out);
        }
    }
    assert_eq!(lab.cell("%help algorithms").out, all);
    assert!(lab.cell("%algorithms?").out.contains("(magic)"));
    assert!(lab.cell("%algorithms sortin").err.contains("did you mean `sorting`?"));
    assert!(lab.cell("%algorithms sorting heap").err.contains("takes only one family"));
    let mut session = Session::new("rows", Console::default());
    let (start, candidates) = complete(&mut session, "%algorithms sor", 15);
    assert_eq!((start, candidates.len(), candidates[0].text.as_str()), (12, 1, "sorting"));
    lab.cell("%algorithms sorting");
    assert_eq!(lab.cell("_ | filter variant == \"heap\" | map claimed_time").out, "claimed_time\nO(n log n)\n");
}

#[test]
fn completion_offers_the_variants_behind_only() {
    let mut session = Session::new("rows", Console::default());
    let mut offered = |text: &str| {
        let (_, candidates) = complete(&mut session, text, text.len());
        candidates.into_iter().map(|candidate| candidate.text).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(offered("%compare sorting only me"), "merge");
    assert_eq!(offered("%compare n in [10]: sorting only quick, ra"), "radix");
    assert!(!offered("%compare sorting only quick m").contains("merge"), "a comma is missing");
}
