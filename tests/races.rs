//! The catalogue of races: racy versions fail, safe ones do not, and the cells that show them.

use std::collections::BTreeMap;

use timelab::interleave::{Model, Verdict, explore};
use timelab::races::{self, Demo, Safety, Versions};

use crate::lab::Lab;

const MOST_STATES: usize = 300_000;

/// Whether a program can fail, or go on for ever, under any memory model.
fn can_fail(text: &'static str) -> bool {
    let program = races::program(text);
    Model::ALL.into_iter().any(|model| {
        let found = explore(program, model, MOST_STATES, &|| false);
        assert_eq!(found.limit, None, "{model:?}: {text}");
        found.livelock.is_some() || found.outcomes.iter().any(|outcome| outcome.verdict != Verdict::Passes)
    })
}

#[test]
fn racy_programs_can_fail_and_safe_ones_cannot() {
    for demo in races::ALL {
        assert!(can_fail(demo.program), "{}: {}", demo.name, demo.program);
        let Versions::Programs(versions) = &demo.versions else { continue };
        for version in *versions {
            assert_eq!(
                can_fail(version.program),
                !version.is_safe,
                "{}: {}\n{}",
                demo.name,
                version.name,
                version.program
            );
        }
        let safe = versions.iter().filter(|version| version.is_safe).count();
        assert!(safe > 0 && safe < versions.len(), "{} has racy and safe versions", demo.name);
    }
}

/// The rows of a csv text by their first field.
fn rows(csv: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut lines = csv.lines().map(fields);
    let head = lines.next().expect("there is a header");
    let row = |line: Vec<String>| (line[0].clone(), head.iter().cloned().zip(line).collect());
    lines.map(row).collect()
}

fn fields(line: &str) -> Vec<String> {
    let (mut all, mut quoted) = (vec![String::new()], false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => all.push(String::new()),
            c => all.last_mut().expect("there is a field").push(c),
        }
    }
    all
}

#[track_caller]
fn table(cell: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let printed = Lab::new("rows").cell(cell);
    assert_eq!(printed.err, "", "{cell}");
    rows(&printed.out)
}

fn native(demo: &Demo, safety: Safety) -> Vec<&'static str> {
    let Versions::Native(native) = &demo.versions else { panic!("{} is written in Rust", demo.name) };
    let fits = native.versions.iter().filter(|version| version.safety == safety);
    fits.map(|version| version.name).collect()
}

#[test]
fn safe_counters_lose_nothing() {
    let counter = races::find("counter").expect("it is there");
    for threads in [1, 2, 3] {
        let found = table(&format!("%race counter --each 20k --threads {threads}"));
        assert_eq!(found.len(), counter.version_names().len());
        for name in native(counter, Safety::Safe) {
            let row = &found[name];
            assert_eq!(row["lost"], "0", "{name}: {row:?}");
            assert_eq!(row["got"], row["expected"], "{name}");
        }
        assert_eq!(found["processes"]["got"], "0");
        assert_eq!(found["mutex"]["speed_up"].is_empty(), threads == 1);
    }
}

#[test]
fn safe_lists_end_as_they_began_and_locked_operations_keep_every_element() {
    let lists = races::find("lists").expect("it is there");
    let found = table("%race lists --each 5k");
    assert_eq!(found.len(), lists.version_names().len());
    for name in native(lists, Safety::Safe) {
        let row = &found[name];
        let expected = [("length_1", "5000"), ("length_2", "5000"), ("in_place", "10000"), ("missing", "0")];
        for (column, value) in expected {
            assert_eq!(row[column], value, "{name}: {row:?}");
        }
    }
    for name in native(lists, Safety::KeepsElements) {
        assert_eq!((found[name]["lost"].as_str(), found[name]["duplicated"].as_str()), ("0", "0"), "{name}");
    }
}

/// A racy version is only racy if something is lost now and then: with two cores in one of many tries.
#[test]
fn racy_versions_lose_something() {
    if timelab::interleave::barrier::cores().len() < 2 {
        return;
    }
    for (cell, versions) in [
        (
            "%race counter --each 100k --only racy,racy,functional,gil,bytecode,gil,calls,one(),processes,sharedmemory",
            vec!["racy", "racy, functional", "gil, bytecode", "gil, calls, one()", "processes, shared memory"],
        ),
        (
            "%race lists --each 50k --only racy,racy,functional,atomiclengths",
            vec!["racy", "racy, functional", "atomic lengths"],
        ),
    ] {
        let mut left: Vec<&str> = versions;
        for _ in 0..30 {
            let found = table(cell);
            left.retain(|name| found[*name]["lost"] == "0");
            if left.is_empty() {
                break;
            }
        }
        assert!(left.is_empty(), "{left:?} never lost anything: {cell}");
    }
}

/// One thread at a time is enough for a race, where the lock can change hands inside an update; where it cannot, it is
/// none.
#[test]
fn a_global_lock_saves_what_it_does_not_interrupt() {
    let found = table("%race counter --each 200k --gil calls");
    assert_eq!(found.keys().map(String::as_str).collect::<Vec<_>>(), ["gil, calls", "gil, calls, one()"]);
    assert_eq!(found["gil, calls"]["lost"], "0");
    assert!(table("%race counter --each 200k --gil bytecode").contains_key("gil, bytecode"));
    assert!(table("%race lists --each 1k --gil calls").contains_key("gil"));
}

#[test]
fn every_version_has_a_source_and_every_demo_a_description() {
    for demo in races::ALL {
        let mut lab = Lab::new("rows");
        let source = lab.cell(&format!("{}??", demo.name)).out;
        let about = lab.cell(&format!("{}?", demo.name)).out;
        assert!(about.contains(demo.wrong) && about.contains(demo.lesson), "{about}");
        // Without other things of that name.
        let alone = lab.cell(&format!("%race {}?", demo.name)).out;
        assert!(about.starts_with(alone.trim_end()), "{alone}");
        assert_eq!(lab.cell(&format!("%race {}??", demo.name)).out, source);
        assert_eq!(lab.cell(&format!("%help race {}", demo.name)).out, about);
        for name in demo.version_names() {
            assert!(about.contains(name), "{name} in {about}");
            let at = source.find(&format!("{name}: ")).unwrap_or_else(|| panic!("{name} in {source}"));
            let body = &source[at..];
            assert!(body.contains("%%race") || body.contains("\nfn "), "{name}: {body}");
        }
        if let Versions::Native(_) = demo.versions {
            assert_eq!(source.matches("\nfn ").count(), demo.version_names().len(), "{source}");
        }
    }
    let all = table("%races");
    assert_eq!(all.len(), races::ALL.len());
}

#[test]
fn programs_of_the_catalogue_run_as_one_table() {
    let found = table("%race ticket --live off");
    let row = |name: &str| found[name].clone();
    assert_eq!(row("check, then act")["sc"], "can fail");
    assert_eq!(
        (row("lock around both")["sc"].as_str(), row("lock around both")["schedules"].as_str()),
        ("never fails", "2")
    );
    let found = table("%race publish --live off");
    let under = |name: &str| [&found[name]["sc"], &found[name]["tso"], &found[name]["pso"]].map(String::clone);
    assert_eq!(under("relaxed"), ["never fails", "never fails", "can fail"]);
    assert_eq!(under("release, acquire"), ["never fails", "never fails", "never fails"]);
    let found = table("%race buffer --live off --only relaxed,fence");
    assert_eq!(found.len(), 2);
    assert_eq!(found["relaxed"]["tso"], "can fail");
    let found = table("%race livelock --live off --model sc");
    // Schedules of SC are schedules of every model, so what is not explored can go wrong all the same.
    assert_eq!((found["polite"]["sc"].as_str(), found["polite"]["tso"].as_str()), ("livelock", "livelock"));
    assert_eq!((found["priority"]["sc"].as_str(), found["priority"]["tso"].as_str()), ("never fails", "not explored"));
    // Safe versions never fail on real threads either.
    for demo in races::ALL.iter().filter(|demo| matches!(demo.versions, Versions::Programs(_))) {
        for (name, row) in table(&format!("%race {}", demo.name)) {
            assert!(row["safe"] == "no" || row["failed"] == "0", "{name}: {row:?}");
            assert_ne!(row["rounds"], "0", "{name}");
        }
    }
}

#[test]
fn a_race_can_be_played_forth_and_back() {
    let mut lab = Lab::new("rows");
    let told = lab.cell("%race play counter --moves up,down,b,?,2,up,down");
    assert_eq!(told.err, "");
    let expected = "\
── step 0 · SC ──
x = 0
up    next: read x
down  next: read x
moves: 1 up · 2 down
up: read x → 0
── step 1 · SC ──
x = 0
up    next: write x ← 1  [x = x + 1]
down  next: read x
moves: 1 up · 2 down
down: read x → 0
── step 2 · SC ──
x = 0
up    next: write x ← 1  [x = x + 1]
down  next: write x ← -1  [x = x - 1]
moves: 1 up · 2 down
back
── step 1 · SC ──
x = 0
up    next: write x ← 1  [x = x + 1]
down  next: read x
moves: 1 up · 2 down
a number or a name moves · b (back) goes back · ? shows this · q (quit) leaves
down: read x → 0
── step 2 · SC ──
x = 0
up    next: write x ← 1  [x = x + 1]
down  next: write x ← -1  [x = x - 1]
moves: 1 up · 2 down
up: write x ← 1 · done
── step 3 · SC ──
x = 1
up    done
down  next: write x ← -1  [x = x - 1]
moves: 2 down
down: write x ← -1 · done
── step 4 · SC ──
x = -1
up    done
down  done
the end: x=-1 ✗ check x == 0 fails
";
    assert_eq!(told.out, expected);
    // The lines below it are moves, as they come from a pipe, up to `q`.
    let moves = "%race play counter\nup\ndown\nb\n?\n2\nup\ndown\nq\n1..3 | count";
    let cells = timelab::lang::split(moves);
    assert_eq!(cells.len(), 2, "{cells:?}");
    assert_eq!(lab.cell(&cells[0]).out, expected);
    assert_eq!(timelab::lang::split("%race play --moves up\n1..3 | count").len(), 2);
    // The last program of the user, with its store buffers.
    lab.cell("%%race --live off x = 0, y = 0\n a: x = 1; let r = y\n b: y = 1; let s = x");
    let told = lab.cell("%race play --model tso --moves a,b,a,a:x,q").out;
    assert!(told.contains("buffer: x ← 1"), "{told}");
    assert!(told.contains("memory: a: x ← 1"), "{told}");
    // Locks, sleepers and what cannot move.
    let told = lab.cell("%race play wakeup --moves taker,maker,maker,maker,maker,taker,taker");
    assert!(told.out.contains("lock m: free"), "{}", told.out);
    assert!(told.out.ends_with("the end: deadlock: taker waits for a notify of m\n"), "{}", told.out);
    let err = lab.cell("%race play deadlock --moves a,a,back,a,b").err;
    assert!(err.contains("`b` cannot move now, only a"), "{err}");
    // A bad move loses none of those before it, and the caret is below it alone.
    let told = lab.cell("%race play counter --moves up,down,upp,up");
    assert!(told.out.contains("step 2") && !told.out.contains("step 3"), "{}", told.out);
    let caret = "`upp` is not a move: up, down\n\
                 │ %race play counter --moves up,down,upp,up\n\
                 │                                    ^^^\n";
    assert!(told.err.contains(caret), "{}", told.err);
    let told = lab.cell("%race play counter --moves \"up, upp\"");
    assert!(
        told.err.contains("│ %race play counter --moves \"up, upp\"\n│                                 ^^^\n"),
        "{}",
        told.err
    );
}

/// A thread that notifies moves by its name as long as it can wake only one.
#[test]
fn a_notifying_thread_moves_by_its_name() {
    let mut lab = Lab::new("rows");
    lab.cell("%%race --live off\n a: lock m { wait m }\n b: lock m { notify m }");
    for third in ["b", "2", "b→a", "b->a"] {
        let told = lab.cell(&format!("%race play --moves a,a,b,{third}"));
        assert_eq!(told.err, "", "{third}");
        assert!(told.out.contains("moves: 2 b\nb: notify m → wakes a"), "{third}: {}", told.out);
    }
    lab.cell("%%race --live off\n a: lock m { wait m }\n b: lock m { notify m }\n c: lock m { wait m }");
    let told = lab.cell("%race play --moves a,a,c,c,b,b->c,a");
    assert!(told.out.contains("moves: 4 b→a · 5 b→c\nb: notify m → wakes c"), "{}", told.out);
    assert!(told.err.contains("`a` cannot move now"), "{}", told.err);
    let err = lab.cell("%race play --moves a,a,c,c,b,b").err;
    assert!(err.contains("`b` can wake one of several threads: b→a or b→c"), "{err}");
    assert!(lab.cell("%race play --moves a,a,c,c,b,4").out.contains("wakes a"));
}

/// A number stands for the same move from the beginning to the end.
#[test]
fn moves_keep_their_numbers() {
    let mut lab = Lab::new("rows");
    lab.cell("%%race --live off x = 0, y = 0\n a: x = 1\n b: y = 1; x = 2\n c: let r = x");
    let told = lab.cell("%race play --model pso --moves 2,2,1,5,4,3").out;
    assert!(told.contains("moves: 3 c · 4 a:x · 5 b:x · 6 b:y"), "{told}");
    assert!(told.contains("memory: b: x ← 2\n") && told.contains("memory: a: x ← 1\n"), "{told}");
    assert!(told.contains("c: read x → 1"), "{told}");
}

/// A game begins where something can go wrong.
#[test]
fn a_game_begins_under_the_first_model_that_can_fail() {
    for (demo, model) in [("counter", "SC"), ("ticket", "SC"), ("buffer", "TSO"), ("publish", "PSO")] {
        let told = Lab::new("rows").cell(&format!("%race play {demo} --moves q")).out;
        assert!(told.contains(&format!("── step 0 · {model} ──")), "{told}");
        assert_eq!(told.contains("the first model where something can go wrong"), model != "SC", "{told}");
    }
    let told = Lab::new("rows").cell("%race play buffer --model sc --moves q").out;
    assert!(told.starts_with("── step 0 · SC ──"), "{told}");
}

/// What was not explored is possible all the same where SC has it.
#[test]
fn outcomes_of_sc_are_possible_under_every_model() {
    let found = table("%%race --live off --model sc x = 0\n a: x = x + 1\n b: x = x + 1");
    assert_eq!([&found["x=1"]["tso"], &found["x=2"]["pso"]], ["possible", "possible"]);
    let text = "%%race --live off --states 60 x = 0, y = 0\n a: x = 1; let r = y\n b: y = 1; let s = x";
    for row in table(text).values().filter(|row| row.contains_key("tso")) {
        assert!(row["sc"] != "possible" || row["tso"] == "possible", "{row:?}");
    }
    let printed = Lab::new("rows").notes("%%race --live off x = 0\n a: repeat 40 { x = 1 }\n b: let r = x");
    assert!(printed.contains("a thread had 32 stores that had not reached memory"), "{printed}");
}

#[test]
fn a_demo_that_is_stopped_says_how_much_it_did() {
    for (cell, last) in [
        ("%race counter --each 100k --only mutex,actor", "counter: actor"),
        ("%race lists --each 100k --only lockpermove,actor", "lists: actor"),
        ("%race buffer --rounds 100k --only relaxed,fence", "buffer: fence"),
    ] {
        let notes = Lab::new("rows").notes_stopped_at(cell, last);
        assert!(notes.contains("stopped: 1 of 2 versions"), "{cell}: {notes}");
    }
}

#[test]
fn the_first_example_prints_its_schedules() {
    let mut lab = Lab::new("rows");
    let cell = "%%race --live off x = 0\n  up:   x = x + 1\n  down: x = x - 1\n  check x == 0";
    let printed = lab.cell(cell);
    let expected = "\
outcome,check,schedules,share,sc,tso,pso,seen,seen_share
x=-1,✗ x == 0,2,0.3333333333333333,possible,possible,possible,,
x=0,✓,2,0.3333333333333333,possible,possible,possible,,
x=1,✗ x == 0,2,0.3333333333333333,possible,possible,possible,,
";
    let summary = "\
SC: 6 schedules · 13 states · can fail
TSO: 20 schedules · 22 states · can fail
PSO: 20 schedules · 22 states · can fail
data race on x: up and down
";
    assert_eq!((printed.out.as_str(), printed.err.as_str()), (expected, ""));
    let notes = Lab::new("rows").notes(cell);
    assert!(notes.starts_with(summary), "{notes}");
    assert_eq!(lab.cell("_.schedules").out, "6\n");
    let schedule = lab.cell("_1.schedule").out;
    assert_eq!(
        schedule,
        "step,up,down\n1,\"\",read x → 0\n2,read x → 0,\"\"\n3,write x ← 1 · done,\"\"\n4,\"\",write x ← -1 · done\n"
    );
}

/// On real threads each outcome that is possible is one of the table, and the shares add up.
#[test]
fn live_rounds_are_counted() {
    let found = table("%%race --rounds 2k x = 0\n  up:   x = x + 1\n  down: x = x - 1\n  check x == 0");
    let seen: Vec<u64> =
        ["x=-1", "x=0", "x=1"].iter().map(|name| found[*name]["seen"].parse().expect("an int")).collect();
    assert!(seen.iter().sum::<u64>() >= 2_000, "{seen:?}");
}

#[test]
fn mistakes_have_good_messages() {
    for (cell, message) in [
        ("%race cuonter", "unknown race `cuonter`\n│ %race cuonter\n│       ^^^^^^^ did you mean `counter`?"),
        ("%race", "`%race` needs the name of a race, or `play`"),
        ("%race play", "there is no race program yet"),
        ("%race play nothing", "unknown race `nothing`"),
        ("%race counter lists", "unexpected `lists`"),
        ("%race lists --threads 3", "`lists` needs two threads, one for each direction, got 3"),
        ("%race lists --each 1G", "`--each` is at most 50 000 000 for `lists`, got 1 000 000 000"),
        ("%race counter --threads 100", "`--threads` is at most 64, got 100"),
        ("%race counter --only muttex", "`counter` has no version `muttex`"),
        ("%races foo", "`%races` takes no arguments, got `foo`\n│ %races foo\n│        ^^^ %races"),
        ("%races counter", "%race counter runs it, counter? describes it"),
        ("%race counter --gil byte", "`--gil` must be bytecode or calls, got `byte`"),
        ("%race counter --rounds 3", "`--rounds` only applies to programs"),
        ("%race ticket --each 3", "`--each` only applies to `%race counter` and `%race lists`"),
        ("%race counter --moves up", "`--moves` only applies to `%race play`"),
        ("%%race --model arm x = 0\n a: x = 1", "unknown memory model `arm`"),
        ("%%race --live maybe x = 0\n a: x = 1", "`--live` must be on or off, got `maybe`"),
        ("%%race --states 0 x = 0\n a: x = 1", "`--states`"),
        ("%%race --each 3 x = 0\n a: x = 1", "`--each` only applies to the demos, such as `%race counter`"),
        ("%%race x = 0\n a: y = 1", "`y` is not declared\n│  a: y = 1\n│     ^ did you mean `x`?"),
        (
            "%%race x = 0\n a: x = 1 // 0",
            "division by zero in a, in every schedule\n│  a: x = 1 // 0\n│         ^^^^^^",
        ),
        (
            "%%race x = 0\n a: while x == 0 { let r = 1 }\n b: while true { }",
            "no step in 100000 operations, as in an endless loop, in b, in every schedule",
        ),
    ] {
        // The spaces of large numbers are narrow.
        let err = Lab::new("rows").cell(cell).err.replace('\u{202f}', " ");
        assert!(err.contains(message), "{cell}\n{err}");
    }
    // What goes wrong in some schedules only is an outcome, and a warning shows where.
    let printed = Lab::new("rows").cell("%%race --live off x = 1, y = 0\n a: y = 10 // x\n b: x = 0");
    assert_eq!(printed.err, "warning: division by zero in a in some schedules\n│  a: y = 10 // x\n│         ^^^^^^^\n");
    assert!(printed.out.contains("division by zero in a,✗,1,"), "{}", printed.out);
    let printed = Lab::new("rows")
        .notes("%%race --live off --states 500 x = 0\n a: repeat 9 { x += 1 }\n b: repeat 9 { x += 1 }\n check x > 1");
    assert!(
        printed.contains(
            "SC: explored in part · 500 states · --states raises the limit · no failure in the explored part"
        )
    );
}

#[test]
fn a_checkpoint_gives_a_plot() {
    let printed = Lab::new("rows").cell("%race counter --each 10k --checkpoint 1k --only mutex");
    assert_eq!(printed.err, "");
    assert!(printed.out.contains("operations of each thread") || printed.out.lines().count() > 10, "{}", printed.out);
}
