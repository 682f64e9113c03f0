mod claims;
mod deadline;
mod figures;
mod subjects;
mod words;
mod work;

use std::time::{Duration, Instant};

use crate::commands;
use crate::data::Value;
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::harness::Harness;
use crate::lang::{self, Argument, MagicSyntax, Points, Privileges, Step, Sweep, Takes, Variants, Word};
use crate::measure::growth::{self, Answer as Growth, Class, Doubt, Question, Verdict};
use crate::plan::Binding;
use crate::report::{Block, Field, Note, Report, Unit};
use crate::run_context::{Progress, RunContext};
use crate::session::{Draft, Replicas, Session, lone_block, lone_command};

use super::command_options::{self, command_help};
use super::compare::{Asker, Variant, What, family, lone_name, table_of, written};
use super::timing::{self, Telling};
use super::{Answer, CellStatus, Magic, Offers, figures_plan, passed};

pub use claims::{Agrees, agrees, classes};
pub use words::SAYS;

use claims::Case;
use deadline::Deadline;
use subjects::{Inputs, Measured};

pub static BIGO: Magic = Magic {
    syntax: MagicSyntax {
        name: "bigo",
        usage: "%bigo [--time] [--steps] [--space] [--allocs] [--for TIME] [--setup CELL] [--shape SHAPE] \
                [--case best|average|worst] [n in A..B:] \
                [PIPELINE or FAMILY or !COMMAND] [: and a block]",
        takes: Takes::Variants,
        options: &[
            ("--time", false),
            ("--steps", false),
            ("--space", false),
            ("--allocs", false),
            ("--for", true),
            ("--setup", true),
            ("--shape", true),
            ("--case", true),
            ("--prepare", true),
            ("--cleanup", true),
            ("--input", true),
            ("--ok", true),
        ],
    },
    about: concat!(
        "measures how the cost of a subject grows with n, and names its class\n\n\
            Subjects\n  \
            A pipeline, an expression, a block of Rust, a block of variants or an algorithm family (`%algorithms`).\n  \
            A subject must use `n`, or the name of its sweep.\n\n\
            Sizes\n  \
            Without a sweep, n goes from 2 in steps of √2 to 1M; for a family, to the largest size of the variant.\n  \
            `n in A..B:` doubles, with one more size between each two; `by`, `times` and lists are measured as \
            written.\n  \
            Both end early when the time is up: --for, or 5 s for one subject and 2 s for each of several.\n\n\
            Questions\n  \
            --time    the minimum of up to 15 samples per size, in random order\n  \
            --steps   operations, counted\n  \
            --space   the peak of the live heap above its size at the start; for counted Rust also the stack\n  \
            --allocs  the bytes allocated in all\n  \
            All four are measured unless specified. Counts are exact; times are judged statistically.\n\n\
            Steps\n  \
            Pipelines and expressions are counted on the engine `rows`.\n  \
            1    for a row that passes a stage or goes into the result; for an operator or a call in an expression; \
            for an aggregate of a row; for a comparison in a sort; for a probe of a hash table; for an element that \
            `in` or a function of a list looks at; for a row that `sort`, `reverse`, `pairs` or `join` moves\n  \
            1/8  for a byte that is copied into a text or a list, or read in a text\n  \
            Rust is compiled with counters. A moved byte counts 1/8, an allocation 20.\n\n\
            Answers\n  \
            O(1), O(log n), O(√n), O(n), O(n log n), O(n²), O(n² log n), O(n³), O(cⁿ) and O(n!) are told apart; `also` \
            names those that fit nearly as well.\n  \
            no class of the list  another power of n, with its exponent\n  \
            no claim              with the reason: %help growth lists all of them\n  \
            _.class, _.exponent, _.low, _.high, _.c and _.sizes are values: of the steps, or of the time where no \
            steps were counted; null where no class is claimed. _.growth is a table of all answers.\n\n\
            Inputs of a family\n  \
            --case best|average|worst or --shape SHAPE chooses them.\n  \
            --setup CELL runs once, untimed, and the subject sees its names.",
        command_help!(
            "\n  A command is asked for its time, its peak of resident memory, and its instructions in user space, \
             where the system counts them."
        )
    ),
    examples: &[
        "%bigo --steps n in 16..512: 1..n | pairs | filter a + b == 10 | count",
        "%bigo --steps n in 64..4k:\n  fold: letters n | fold \"\" acc + it\n  join: letters n | join \"\"",
        "%bigo --allocs --for 200ms n in 16..2k: strings",
    ],
    offers: Offers::Families,
    privileges: |_| Privileges::NONE,
    run,
};

/// How long one subject is measured, and each of several, where nothing was said.
const ONE: Duration = Duration::from_secs(5);
const EACH: Duration = Duration::from_secs(2);

fn run(session: &mut Session, magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    let Argument::Variants(variants) = &magic.subject else {
        return Err(Diagnostic::at(Kind::Syntax, magic.span, "`%bigo` needs a subject that depends on `n`")
            .hint("for example: %bigo letters n | fold \"\" acc + it"));
    };
    let before = session.snapshot();
    let answer = measured(session, magic, variants, context);
    session.restore(before);
    answer
}

/// What was asked for.
struct Asked {
    questions: Vec<Question>,
    /// For each subject.
    limit: Duration,
}

fn asked(magic: &lang::Magic, subjects: usize) -> Fallible<Asked> {
    let named = |question: &Question| magic.option(&format!("--{}", question.name())).is_some();
    let mut questions: Vec<Question> = Question::ALL.into_iter().filter(named).collect();
    if questions.is_empty() {
        questions = Question::ALL.to_vec();
    }
    let limit = timing::asked_time(magic)?.unwrap_or(if subjects == 1 { ONE } else { EACH });
    Ok(Asked { questions, limit })
}

fn measured(session: &mut Session, magic: &lang::Magic, variants: &Variants, context: &RunContext) -> Fallible<Answer> {
    let start = Instant::now();
    let has_commands = variants.pipelines().any(|pipeline| lone_command(pipeline).is_some());
    if !has_commands {
        command_options::only_for_commands(magic)?;
    }
    session.programs.told = command_options::told(session, magic)?;
    refuse_size_alone(variants)?;
    let family = family(session, magic, variants)?;
    let case = Case::asked(magic, &family)?;
    if let Some(family) = &family {
        // An unknown shape is a mistake of the line, not a failure of each variant.
        family.case_of(1, &family.shape)?;
    }
    let chosen = choose_variants(session, variants, &family)?;
    let asked = asked(magic, chosen.len())?;
    session.settle(context)?;
    timing::set_up(session, magic, context)?;
    let sweep = swept(session, magic, variants, &family)?;
    let sizes = sizes(session, variants, &sweep)?;
    let compiling = Instant::now();
    let unused = check(session, variants, &family, &chosen, &sweep.name, &sizes, context)?;
    let is_rust = chosen.iter().filter_map(Variant::pipeline).any(|pipeline| lone_block(pipeline).is_some());
    let mut compiled = if is_rust { compiling.elapsed() } else { Duration::ZERO };
    let telling = Telling::new(&context.progress);
    let quiet = &RunContext { progress: Progress::default(), ..context.clone() };
    let inputs = Inputs::new(&family, case, variants, sizes, &chosen);
    let deadline = Deadline::new(&context.stop);
    let harness = Harness::new(context);
    let mut all: Vec<Measured> = Vec::new();
    for variant in &chosen {
        let place = if chosen.len() > 1 { format!("{} · ", variant.name) } else { String::new() };
        let live = |told: &dyn Fn() -> String| telling.tell(|| format!("{place}{}", told()));
        let candidate = subjects::Candidate { variant, name: &sweep.name, inputs: &inputs, harness: &harness };
        let least = candidate.least();
        all.push(match candidate.measure(session, &asked, &deadline, quiet, &live) {
            // The others go on.
            Err(error) if chosen.len() > 1 && error.kind != Kind::Stopped => {
                Measured::failed(&variant.name, least, error)
            }
            measured => measured?,
        });
        if context.stop.is_raised() {
            break;
        }
    }
    let found: Vec<Answers> = all.iter().map(|measured| Answers::new(measured, &asked.questions)).collect();
    let mut report = Report { status_line: vec![passed(start.elapsed())], ..Report::default() };
    compiled += all.iter().map(|measured| measured.compiled).sum::<Duration>();
    if !compiled.is_zero() {
        report.status_line.push(Note::from("compiled in ").seconds(compiled.as_secs_f64()).optional());
    }
    let figures = figures::sizes(&sweep.name.text, &all, &asked.questions);
    let answers = figures::answers(&all, &found);
    let mut tables = vec![("growth".to_string(), figures_plan(&answers, magic.span))];
    let table = Some(figures_plan(&figures, magic.span));
    report.blocks.push(Block::Figures(figures));
    report.blocks.extend(figures::plot(&sweep.name.text, &all, &found, &asked.questions));
    let mut notes = words::answers(&all, &found, &asked.questions);
    if family.is_none() && all.iter().any(|measured| measured.is_rust) {
        notes.extend(words::uncounted(&asked.questions));
    }
    notes.extend(words::unused(&unused));
    let has_state = |variant: &Variant| variant.pipeline().and_then(lone_block).is_some_and(words::keeps_state);
    if chosen.iter().any(has_state) {
        notes.push(words::state(&sweep.name.text));
    }
    notes.extend(words::crossings(&sweep.name.text, &all));
    notes.extend(words::shown(&sweep.name.text, &all, context.stop.is_raised()));
    if let Some(family) = &family {
        let (claimed, told) = claims::table(family, case, &chosen, &all, &found);
        notes.extend(told);
        notes.push(claims::note(family, case).into());
        tables.push(("claims".to_string(), figures_plan(&claimed, magic.span)));
        report.blocks.push(Block::Notes(notes));
        report.blocks.push(Block::Aside(claimed));
    } else {
        report.blocks.push(Block::Notes(notes));
    }
    report.blocks.extend(command_notes(session, has_commands));
    let fields = match &found[..] {
        [found] => found.fields(&all[0]),
        _ => Vec::new(),
    };
    let is_lost = |measured: &Measured| measured.rows.is_empty() && measured.is_cut() && !context.stop.is_raised();
    let status = if all.iter().any(is_lost) { CellStatus::Failed } else { CellStatus::Good };
    Ok(Answer { report, result: Some(Binding::Result { table, fields, tables }), status, ..Answer::default() })
}

/// Refuses `%bigo n`: the size is no work of any size.
fn refuse_size_alone(variants: &Variants) -> Fallible<()> {
    match variants.shared.as_ref().filter(|_| variants.sweep.is_none() && variants.block.is_empty()) {
        Some(pipeline) if lone_name(pipeline) == Some("n") => {
            let message = "`n` is the size, and here is nothing that depends on it";
            Err(Diagnostic::at(Kind::Syntax, pipeline.span, message).hint("%bigo 1..n | sort by it"))
        }
        _ => Ok(()),
    }
}

/// What went wrong beside commands, and from where on their memory is seen.
fn command_notes(session: &Session, has_commands: bool) -> Option<Block> {
    let mut notes: Vec<Note> = session.programs.take_complaints().into_iter().map(Note::from).collect();
    if has_commands {
        notes.push(command_options::least_memory(session.programs.floor()));
    }
    (!notes.is_empty()).then_some(Block::Notes(notes))
}

/// The subjects: those of the family, then those of the block; else what stands on the first line.
fn choose_variants<'a>(
    session: &Session,
    variants: &'a Variants,
    family: &Option<Asker>,
) -> Fallible<Vec<Variant<'a>>> {
    match (family, &variants.block[..], &variants.shared) {
        (Some(family), ..) => family.variants(session, variants),
        (None, [], Some(pipeline)) => {
            let choice = session.engine(pipeline.on.as_ref())?;
            let lines = session.words(pipeline.span).lines().count();
            let name = timing::variant_name(pipeline, choice).to_string();
            Ok(vec![Variant { name, what: What::Pipeline { pipeline, continues: false, choice }, lines }])
        }
        (None, block, _) => block.iter().map(|variant| written(session, variant)).collect(),
    }
}

/// The sweep, or one of `n` where none was written. What does not depend on its name does not grow with it.
fn swept(session: &mut Session, magic: &lang::Magic, variants: &Variants, family: &Option<Asker>) -> Fallible<Sweep> {
    let sweep = variants.sweep.clone().unwrap_or_else(|| Sweep {
        name: Word { text: "n".to_string(), span: magic.span },
        points: Points::List(Vec::new()),
        span: magic.span,
    });
    if family.is_some() {
        return Ok(sweep);
    }
    let name = sweep.name.text.as_str();
    let shared = variants.shared.as_ref().map(|pipeline| pipeline.span);
    let commands: Vec<&Word> = variants.pipelines().filter_map(lone_command).collect();
    let uses = |span| match commands.iter().find(|command| command.span == span) {
        Some(command) => commands::braces(&command.text, |_| Some(String::new())).used.iter().any(|used| used == name),
        None => words::names(session.words(span), name),
    };
    let own = variants.block.iter().map(|variant| (variant.pipeline.span, variant.continues));
    let subjects: Vec<_> =
        if variants.block.is_empty() { shared.map(|span| (span, false)).into_iter().collect() } else { own.collect() };
    for (span, continues) in subjects {
        if uses(span) || continues && shared.is_some_and(uses) {
            continue;
        }
        let message = format!("the subject does not use `{name}`, so it is the same at every size");
        let error = Diagnostic::at(Kind::Name, span, message);
        return Err(match commands.iter().any(|command| command.span == span) {
            true => error.hint(format!("{{{name}}} in a command inserts it")),
            false => error.hint(words::with_name(session.words(span), name)),
        });
    }
    if variants.sweep.is_none() && session.lookup(name).is_some() {
        session.warn(magic.span, format!("the sweep's `{name}` hides the `{name}` of the session"));
    }
    Ok(sweep)
}

/// The sizes that were asked for, in order; none where the subject has its own.
fn sizes(session: &mut Session, variants: &Variants, sweep: &Sweep) -> Fallible<Option<Vec<i64>>> {
    if variants.sweep.is_none() {
        return Ok(None);
    }
    let mut points = session.points(sweep)?;
    if let Points::Range { step, .. } = &sweep.points
        && matches!(**step, Step::Double)
    {
        points = growth::denser(&points);
    }
    points.sort_unstable();
    points.dedup();
    Ok(Some(points))
}

/// Types all subjects once, at the least size, and compiles their Rust. Gives the expressions that nothing uses.
fn check(
    session: &mut Session,
    variants: &Variants,
    family: &Option<Asker>,
    chosen: &[Variant],
    name: &Word,
    sizes: &Option<Vec<i64>>,
    context: &RunContext,
) -> Fallible<Vec<String>> {
    session.give_point(name, sizes.as_ref().map_or(growth::LEAST, |sizes| sizes[0]));
    let input = match (family, &variants.shared) {
        _ if !chosen.iter().any(Variant::continues) => None,
        (Some(family), _) => Some(family.input(1)?),
        (None, Some(shared)) => Some(table_of(session, shared)?),
        (None, None) => None,
    };
    let (mut blocks, mut unused) = (Vec::new(), Vec::new());
    for variant in chosen {
        let draft = variant.draft(session, input.as_ref())?;
        for span in draft.iter().flat_map(Draft::unused) {
            unused.push(session.words(span).to_string());
        }
        if variant.pipeline().is_some_and(|pipeline| lone_block(pipeline).is_some()) {
            blocks.extend(draft);
        }
    }
    // One library each, which is found again at each size.
    for block in blocks {
        session.subjects(vec![block], Replicas::NONE, false, context)?.remove(0)?;
    }
    Ok(unused)
}

/// What was found out about one subject.
struct Answers {
    answers: Vec<(Question, Growth)>,
}

impl Answers {
    fn new(measured: &Measured, questions: &[Question]) -> Answers {
        let answers = questions.iter().filter_map(|question| Some((*question, measured.answer(*question)?)));
        let mut found = Answers { answers: answers.collect() };
        let steps = found.answer(Question::Steps).map(|steps| steps.verdict).or_else(|| {
            (!measured.beside.is_empty()).then(|| growth::answer(Question::Steps, &measured.beside).verdict)
        });
        found.withdraw_exponential_time();
        found.withdraw_hidden_time(steps);
        // What the shell's own families do is counted, and tested against what theory claims.
        if measured.is_rust && !measured.is_family {
            found.withdraw_uncounted_steps();
        }
        found
    }

    /// Steps that grow, however little, are work that takes time: a time that seems constant only does not show it yet.
    fn withdraw_hidden_time(&mut self, steps: Option<Verdict>) {
        let grows = |verdict| match verdict {
            Verdict::Class(class) => class > Class::Constant,
            Verdict::Power | Verdict::NoClaim(Doubt::HiddenGrowth(_) | Doubt::LateGrowth(_)) => true,
            Verdict::NoClaim(_) => false,
        };
        if !steps.is_some_and(grows) {
            return;
        }
        for (question, answer) in &mut self.answers {
            if *question == Question::Time && answer.verdict == Verdict::Class(Class::Constant) {
                answer.verdict = Verdict::NoClaim(growth::hidden(&answer.used));
            }
        }
    }

    /// Compiled code of the standard library has no counters: where the time grows by far faster, the steps that were
    /// counted do not say how the subject grows.
    fn withdraw_uncounted_steps(&mut self) {
        let of = |question| self.answer(question)?.claimed_exponent();
        let Some((time, steps)) = of(Question::Time).zip(of(Question::Steps)) else { return };
        if time.middle() - steps.middle() <= words::APART || time.low <= steps.high {
            return;
        }
        for (question, answer) in &mut self.answers {
            if *question == Question::Steps {
                answer.verdict = Verdict::NoClaim(Doubt::Uncounted);
            }
        }
    }

    /// In a short sweep a power with a constant bends like an exponential. Where the steps, which have no noise, are a
    /// power of n, such a class of the time is not claimed.
    fn withdraw_exponential_time(&mut self) {
        let is_exponential = |verdict| matches!(verdict, Verdict::Class(Class::Exponential | Class::Factorial));
        let steps = self.answer(Question::Steps).map(|answer| answer.verdict);
        if !steps.is_some_and(|steps| !is_exponential(steps) && !matches!(steps, Verdict::NoClaim(_))) {
            return;
        }
        for (question, answer) in &mut self.answers {
            if *question == Question::Time && is_exponential(answer.verdict) {
                answer.verdict = Verdict::NoClaim(Doubt::Ambiguous);
            }
        }
    }

    fn answer(&self, question: Question) -> Option<&Growth> {
        self.answers.iter().find(|(asked, _)| *asked == question).map(|(_, answer)| answer)
    }

    /// The one that says the class of the subject: counts before times.
    fn main(&self) -> Option<&(Question, Growth)> {
        let of = |question: Question| self.answers.iter().find(move |(asked, _)| *asked == question);
        of(Question::Steps).or(of(Question::Time)).or(self.answers.first())
    }

    fn fields(&self, measured: &Measured) -> Vec<Field> {
        let answer = self.main().filter(|_| !measured.is_cut()).map(|(_, answer)| answer);
        let float = |value: Option<f64>| value.map_or(Value::Null, Value::Float);
        let class = answer.and_then(|answer| match answer.verdict {
            Verdict::Class(class) => Some(Value::text(&class.to_string())),
            Verdict::Power | Verdict::NoClaim(_) => None,
        });
        let exponent = answer.and_then(Growth::claimed_exponent);
        // Where no class is claimed, the c of the nearest curve is not one either.
        let base = answer.filter(|_| class.is_some()).and_then(|answer| answer.curve.as_ref()?.base);
        let field = |name, value| Field::measured(name, value, Unit::Plain);
        vec![
            field("class", class.unwrap_or(Value::Null)),
            field("exponent", float(exponent.map(|exponent| exponent.middle()))),
            field("low", float(exponent.map(|exponent| exponent.low))),
            field("high", float(exponent.map(|exponent| exponent.high))),
            field("c", float(base)),
            field("sizes", Value::Int(measured.rows.len() as i64)),
        ]
    }
}
