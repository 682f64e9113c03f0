use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::algorithms::{self, Case, Claims, Class, Family};
use crate::baselines::{Baseline, Point, Variant};
use crate::data::{Column, Order, Sameness, Schema, Table, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span, listed};
use crate::engines::{self, Choice};
use crate::job::{Job, Progress};
use crate::lang::{self, MagicSyntax, Pipeline, SourceNode, Subject, Sweep, Takes, Variants};
use crate::measure::{
    self, Cost, Finding, LOOKS, Meter, Overhead, Spread, Turns, Verdict, Wall, calibrate, calls_for, compare, linger,
};
use crate::plan::{Binding, File, Plan};
use crate::report::{Block, Figures, Report, Unit};
use crate::session::{Apart, Bound, Repeated, Session, kept_plan, lone_block, only_table, value_plan};
use crate::show::{duration_text, grouped, percent, ratio};

use super::against::{self, Against, Beside};
use super::timing::{self, Telling, Time};
use super::{Answer, Magic, Offers, baseline};

pub static COMPARE: Magic = Magic {
    syntax: MagicSyntax {
        name: "compare",
        usage: "%compare [--on ENGINES] [--for TIME] [--clock wall|cpu] [--setup CELL] [--shape SHAPE] [--against NAME] [n in A..B:] [PIPELINE or FAMILY] [: and a block]",
        takes: Takes::Variants,
        options: &[
            ("--on", true),
            ("--for", true),
            ("--clock", true),
            ("--setup", true),
            ("--shape", true),
            ("--against", true),
        ],
    },
    about: "which of several variants is faster, by interleaved samples: the first is the measure of the others. Variants \
            are the indented lines `name: pipeline` below a first line that ends with `:`; a pipeline on that line is \
            computed once, is not timed, and the variants that begin with a stage go on from it. Or the engines of --on on \
            one pipeline; or a family of algorithms (`%algorithms`) at each size of the sweep or at its own sizes, with an \
            input of --shape, and with the block's variants as more of the family. `n in 100..3200:` (doubling; by 100; \
            times 4; or n in [1, 5]:) compares at each n. Results are compared too: where they differ nobody wins. same: the \
            interval of the speed-up lies within ±1 %; faster, slower: it lies outside ±0.5 %; else not resolved. It ends \
            when all is settled, but not before 300ms, or after --for, at most 10s. --against NAME also holds each variant \
            against the one of its name, and of its n, that %baseline kept, by the same clock; one variant is then enough. \
            Those samples were not taken in turns with these, so that no interval is right: faster and slower are told only \
            where the medians differ by over 10 %, as those of the same code in two processes may, and the middle 90 % of \
            both times are apart (with fewer than 25 samples all)",
    examples: &[
        "%compare letters 2k seed 7:\n  fold: fold \"\" acc + it\n  join: join \"\"",
        "%compare --on rows,batch,polars 1..100k | map it * it | sum",
        "%compare n in 100..400:\n  sort: 1..n | sort by it desc | take 3\n  top: 1..n | top 3",
        "%compare n in 100..400: anagrams",
        "%compare n in [100, 200]: anagrams:\n  stages: group by key = sorted(word) | filter len(word) > 1 | map group = word",
    ],
    offers: Offers::Families,
    run,
};

const LONGEST: Duration = Duration::from_secs(10);
/// Samples are taken for so long, even where all is settled earlier: a moment is not like the next one, and medians of it
/// alone would differ from run to run.
const LEAST: Duration = Duration::from_millis(300);
/// A first run that takes longer is not calibrated: it is long enough.
const SLOW: Duration = Duration::from_millis(20);
/// A sample of the slowest variant lasts no longer than this, in nanoseconds, where it has several calls.
const LONG_SAMPLE: f64 = 10e6;

fn run(session: &mut Session, magic: &lang::Magic, job: &Job) -> Fallible<Answer> {
    let Subject::Variants(variants) = &magic.subject else {
        return Err(Diagnostic::at(Kind::Syntax, magic.span, "`%compare` needs something to compare")
            .hint("%compare --on rows,polars 1..1M | sum, or a block of variants: `%help compare`"));
    };
    let before = session.snapshot();
    let answer = compared(session, magic, variants, job);
    session.restore(before);
    answer
}

fn compared(session: &mut Session, magic: &lang::Magic, variants: &Variants, job: &Job) -> Fallible<Answer> {
    let limit = timing::asked_time(magic)?.unwrap_or(LONGEST);
    let clock = timing::asked_clock(magic)?;
    let against = against::asked(session, magic)?;
    let family = family(session, magic, variants)?;
    let ways = match &family {
        Some(family) => family.ways(session, variants)?,
        None => ways(session, magic, variants)?,
    };
    session.settle(job)?;
    timing::set_up(session, magic, job)?;
    let points = match (&variants.sweep, &family) {
        (Some(sweep), _) => Some(session.points(sweep)?),
        (None, Some(family)) => Some(family.sizes()),
        (None, None) => None,
    };
    let input = match (&variants.shared, &family) {
        (_, Some(family)) => Input::Family(family),
        (Some(shared), None) if !variants.block.is_empty() => Input::Shared(shared),
        _ => Input::None,
    };
    if let Some(against) = &against {
        let names: Vec<&str> = ways.iter().map(|way| way.name.as_str()).collect();
        against.check(&names, &each(&points))?;
    }
    // All is typed before the first runs.
    for point in each(&points) {
        give(session, &variants.sweep, point);
        let input = match input {
            Input::Shared(shared) => Some(table_of(session, shared)?),
            Input::Family(family) if ways.iter().any(Way::continues) => Some(family.input(1)?),
            Input::Family(_) | Input::None => None,
        };
        // All Rust is compiled into one library: its code then lies in one place.
        session.compile_together(ways.iter().filter_map(Way::pipeline), job)?;
        for way in &ways {
            way.check(session, input.as_ref())?;
        }
    }
    let telling = Telling::new(&job.progress);
    let job = &Job { progress: Progress::default(), ..job.clone() };
    let start = Instant::now();
    let all = each(&points);
    let asked = Asked { clock, limit: limit / all.len() as u32, against };
    let mut rounds: Vec<Round> = Vec::new();
    for point in all {
        give(session, &variants.sweep, point);
        let place = match (&variants.sweep, point) {
            (Some(sweep), Some(point)) => format!("{} = {point} · ", sweep.name.text),
            (None, Some(point)) => format!("n = {point} · "),
            (_, None) => String::new(),
        };
        let live = |entries: &[Entry], turns: &Turns| telling.tell(|| format!("{place}{}", so_far(entries, turns)));
        match round(session, &ways, &input, point, &asked, job, &live) {
            Ok(round) => rounds.push(round),
            Err(error) if error.kind == Kind::Stopped && !rounds.is_empty() => break,
            Err(error) => return Err(error),
        }
        if job.stop.is_raised() {
            break;
        }
    }
    let mut notes = match (&points, &rounds[..]) {
        (None, [round]) => round.notes(),
        _ => sweep_notes(&points, &rounds),
    };
    let measured = measured(session, magic, variants, &family, &ways, &rounds);
    if let Some(against) = &asked.against {
        against.differences(&measured).into_iter().for_each(|difference| session.warn(against.span, difference));
        notes.extend(against.notes(&measured));
    }
    session.hold_measured(measured);
    if let Some(family) = &family {
        notes.push(family.note());
    }
    if let Input::Shared(shared) = input
        && ways.iter().any(Way::continues)
    {
        notes.push(format!("{} was computed once and not timed", session.words(shared.span)));
    }
    if job.stop.is_raised() {
        let passed = duration_text(start.elapsed().as_secs_f64());
        notes.push(format!("stopped after {passed}: what was measured until then is kept"));
    }
    let figures = match (&variants.sweep, &points, &rounds[..]) {
        (sweep, Some(points), rounds) => {
            let name = sweep.as_ref().map_or("n", |sweep| sweep.name.text.as_str());
            sweep_figures(name, points, rounds, asked.against.as_ref())
        }
        (_, None, rounds) => rounds[0].figures(asked.against.as_ref()),
    };
    let agree = rounds.iter().all(Round::agrees);
    let mut fields = vec![("agree".to_string(), Value::Bool(agree))];
    if let [Round { entries, turns: Some(turns), .. }] = &rounds[..]
        && entries.len() == 2
        && agree
        && turns.times.len() == 2
    {
        fields.push(("speedup".to_string(), Value::Float(turns.finding(1).speedup)));
        fields.push(("pairs".to_string(), Value::Int(turns.finding(1).pairs as i64)));
    }
    let plan = |figures: &Figures| Arc::new(kept_plan(Arc::new(figures.table.clone()), magic.span));
    let table = Some(plan(&figures));
    let mut blocks = vec![Block::Figures(figures)];
    let mut tables = Vec::new();
    if let Some(family) = &family {
        let claims = family.figures(&ways, &rounds);
        tables.push(("variants".to_string(), plan(&claims)));
        blocks.push(Block::Aside(claims));
    }
    blocks.push(Block::Notes(notes));
    let report = Report { blocks, quiet: vec![duration_text(start.elapsed().as_secs_f64())] };
    Ok(Answer { report, result: Some(Binding::Result { table, fields, tables }), ..Answer::default() })
}

/// What was measured, as it can be kept.
fn measured(
    session: &Session,
    magic: &lang::Magic,
    variants: &Variants,
    family: &Option<Asker>,
    ways: &[Way],
    rounds: &[Round],
) -> Baseline {
    let input = match (family, &variants.shared) {
        (Some(family), _) => format!("{} of shape {}", family.family.facts().name, family.shape),
        (None, Some(shared)) => session.words(shared.span).to_string(),
        (None, None) => String::new(),
    };
    let text = |way: &Way| match way.what {
        What::Pipeline { pipeline, .. } if !variants.block.is_empty() => session.words(pipeline.span).to_string(),
        What::Pipeline { .. } | What::Algorithm(_) => String::new(),
    };
    let point = |round: &Round| {
        let variant = |(way, (entry, place)): (&Way, (&Entry, Option<usize>))| {
            let times = Spread::of(&round.turns.as_ref()?.samples(place?))?;
            Some(Variant { name: entry.name.clone(), text: text(way), engine: entry.engine.clone(), times })
        };
        let variants = ways.iter().zip(round.placed()).filter_map(variant).collect();
        Point { n: round.point, clock: round.time.name().to_string(), rows: round.rows, variants }
    };
    let files = rounds.iter().flat_map(|round| round.files.clone()).collect();
    baseline::taken(session, magic, input, files, rounds.iter().map(point).collect())
}

/// Each point of a sweep; one without a number where there is none.
fn each(points: &Option<Vec<i64>>) -> Vec<Option<i64>> {
    points.as_ref().map_or(vec![None], |points| points.iter().copied().map(Some).collect())
}

fn give(session: &mut Session, sweep: &Option<Sweep>, point: Option<i64>) {
    if let (Some(sweep), Some(point)) = (sweep, point) {
        session.give_point(&sweep.name, point);
    }
}

/// What was asked for.
struct Asked {
    clock: Option<Time>,
    limit: Duration,
    against: Option<Against>,
}

/// What stands on the first line.
enum Input<'a> {
    None,
    Shared(&'a Pipeline),
    Family(&'a Asker),
}

/// A family of algorithms, and for which of its inputs it is asked.
struct Asker {
    family: &'static dyn Family,
    shape: String,
    shape_span: Span,
    seed: i64,
    span: Span,
}

/// The family that stands alone on the first line. A name of the session comes before one.
fn family(session: &mut Session, magic: &lang::Magic, variants: &Variants) -> Fallible<Option<Asker>> {
    let shape = magic.option("--shape").flatten();
    let named = variants.shared.as_ref().and_then(|pipeline| Some((lone_name(pipeline)?, pipeline)));
    let found = named.and_then(|(name, pipeline)| Some((algorithms::find(name)?, name, pipeline)));
    let Some((family, name, pipeline)) = found else {
        return match shape {
            Some(shape) => {
                let message = "`--shape` is for the input of a family of algorithms";
                Err(Diagnostic::at(Kind::Syntax, shape.span, message).hint("%algorithms lists them"))
            }
            None => named.map_or(Ok(None), |(name, _)| known(session, magic, variants, name).map(|()| None)),
        };
    };
    if session.lookup(name).is_some() {
        session.warn(pipeline.span, format!("the name `{name}` hides the family of algorithms"));
        return Ok(None);
    }
    if let Some(on) = magic.option("--on").flatten() {
        let message = format!("`{name}` is a family of algorithms: these run without an engine");
        return Err(Diagnostic::at(Kind::Syntax, on.span, message).hint("leave `--on` out"));
    }
    let usual = family.shapes().first().map_or(String::new(), |(name, _)| name.to_string());
    Ok(Some(Asker {
        family,
        shape: shape.map_or(usual, |shape| shape.text.clone()),
        shape_span: shape.map_or(pipeline.span, |shape| shape.span),
        seed: session.settings.seed,
        span: pipeline.span,
    }))
}

/// Refuses a name that stands alone and that nobody has given; one of the setup is not given yet, and an engine's subject
/// is looked at when it is bound.
fn known(session: &Session, magic: &lang::Magic, variants: &Variants, name: &str) -> Fallible<()> {
    let swept = variants.sweep.as_ref().is_some_and(|sweep| sweep.name.text == name);
    let later = magic.option("--setup").is_some() || magic.option("--on").is_some();
    let Some(shared) = variants.shared.as_ref().filter(|_| !swept && !later && session.lookup(name).is_none()) else {
        return Ok(());
    };
    let message = format!("nothing is called `{name}`, neither a name of the session nor a family of algorithms");
    let families = algorithms::ALL.iter().map(|family| family.facts().name);
    let names = session.names().map(|(name, _)| name.as_str());
    let error = Diagnostic::at(Kind::Name, shared.span, message).near(name, families.chain(names));
    Err(if error.hint.is_some() { error } else { error.hint("%algorithms lists the families") })
}

fn lone_name(pipeline: &Pipeline) -> Option<&str> {
    match &pipeline.source.node {
        SourceNode::Expr(expr) if pipeline.stages.is_empty() && pipeline.on.is_none() => match &expr.node {
            lang::Node::Name(name) => Some(name),
            _ => None,
        },
        _ => None,
    }
}

impl Asker {
    /// Its own variants, then those of the block.
    fn ways<'a>(&self, session: &Session, variants: &'a Variants) -> Fallible<Vec<Way<'a>>> {
        let own = |claims: Claims| {
            let source = self.family.source(claims.name).unwrap_or_default();
            let lines = source.first().map_or(0, |function| function.lines().count());
            Way { name: claims.name.to_string(), what: What::Algorithm(claims), lines }
        };
        let mut all: Vec<Way> = self.family.variants().into_iter().map(own).collect();
        for variant in &variants.block {
            if all.iter().any(|way| way.name == variant.name.text) {
                let message = format!("`{}` has a variant `{}` already", self.family.facts().name, variant.name.text);
                return Err(Diagnostic::at(Kind::Name, variant.name.span, message).hint("another name will do"));
            }
            all.push(written(session, variant)?);
        }
        Ok(all)
    }

    fn sizes(&self) -> Vec<i64> {
        self.family.facts().sizes.iter().map(|size| *size as i64).collect()
    }

    fn case(&self, size: i64) -> Fallible<Arc<dyn Case>> {
        let size = usize::try_from(size).map_err(|_| {
            Diagnostic::at(Kind::Domain, self.span, format!("a size of {size}: there is no such input"))
        })?;
        let case = self.family.case(size, self.seed, &self.shape);
        case.map(Arc::from).map_err(|error| placed(error, self.shape_span))
    }

    /// An input as a plan.
    fn input(&self, size: i64) -> Fallible<Plan> {
        Ok(kept_plan(Arc::new(self.case(size)?.input()), self.span))
    }

    fn note(&self) -> String {
        let counts = self.family.facts().counts;
        format!(
            "n counts {counts}; shape {}, seed {}; claimed_time and claimed_space are claims of theory for this shape: no \
             measurement went into them",
            self.shape, self.seed
        )
    }

    /// What theory claims of each variant, beside what it cost at the largest size that it was run with.
    fn figures(&self, ways: &[Way], rounds: &[Round]) -> Figures {
        let mut rows = Grid::default();
        for (i, way) in ways.iter().enumerate() {
            let claims = if let What::Algorithm(claims) = &way.what { Some(claims) } else { None };
            let time = claims.map(|claims| {
                let here = claims.except.iter().find(|(shape, _)| *shape == self.shape);
                here.map_or(claims.time, |(_, class)| *class)
            });
            let said = |class: Option<Class>| class.map_or(Value::Null, |class| Value::text(&class.to_string()));
            let last = rounds.iter().rev().find_map(|round| {
                let (entry, place) = round.placed().nth(i)?;
                let Outcome::Ran(_, cost) = &entry.outcome else { return None };
                Some((round.point?, round.median(place)?.0, cost.allocated))
            });
            rows.put("variant", Type::Text, Unit::Plain, Value::text(&way.name));
            rows.put("claimed_time", Type::Text, Unit::Plain, said(time));
            rows.put("claimed_space", Type::Text, Unit::Plain, said(claims.map(|claims| claims.space)));
            rows.put("n", Type::Int, Unit::Plain, last.map_or(Value::Null, |last| Value::Int(last.0)));
            rows.put("median", Type::Float, Unit::Seconds, last.map_or(Value::Null, |last| Value::Float(last.1)));
            rows.put("alloc", Type::Int, Unit::Bytes, last.map_or(Value::Null, |last| Value::Int(last.2 as i64)));
            rows.put("lines", Type::Int, Unit::Plain, Value::Int(way.lines as i64));
        }
        rows.figures()
    }
}

fn placed(mut error: Box<Diagnostic>, span: Span) -> Box<Diagnostic> {
    error.span.get_or_insert(span);
    error
}

/// One of the ways that are compared.
struct Way<'a> {
    name: String,
    what: What<'a>,
    /// How much one has to write.
    lines: usize,
}

enum What<'a> {
    /// A variant as written, or an engine on the first line's pipeline.
    Pipeline {
        pipeline: &'a Pipeline,
        /// Whether it goes on from what stands on the first line.
        continues: bool,
        choice: Choice,
    },
    Algorithm(Claims),
}

fn written<'a>(session: &Session, variant: &'a lang::Variant) -> Fallible<Way<'a>> {
    let choice = session.engine(variant.pipeline.on.as_ref())?;
    let lang::Variant { name, pipeline, continues, lines } = variant;
    Ok(Way { name: name.text.clone(), what: What::Pipeline { pipeline, continues: *continues, choice }, lines: *lines })
}

impl Way<'_> {
    fn continues(&self) -> bool {
        matches!(self.what, What::Pipeline { continues: true, .. })
    }

    fn pipeline(&self) -> Option<&Pipeline> {
        if let What::Pipeline { pipeline, .. } = self.what { Some(pipeline) } else { None }
    }

    /// Binds it, which finds every mistake of types.
    fn check(&self, session: &mut Session, input: Option<&Plan>) -> Fallible<()> {
        let What::Pipeline { pipeline, continues, .. } = self.what else { return Ok(()) };
        if lone_block(pipeline).is_some() {
            return Ok(());
        }
        let bound = match input.filter(|_| continues) {
            Some(input) => Bound::Table(session.bind_on(input.clone(), &pipeline.stages)?),
            None => session.bind(pipeline)?,
        };
        match bound {
            Bound::Table(plan) => only_table(&plan),
            Bound::Value(..) => Ok(()),
        }
    }

    /// Prepares it to be run again and again.
    fn ready<'c>(
        &self,
        session: &mut Session,
        input: Option<&Plan>,
        case: Option<&'c Arc<dyn Case>>,
        job: &Job,
    ) -> Fallible<Box<dyn Contender + 'c>> {
        match (&self.what, case) {
            (What::Algorithm(claims), Some(case)) => {
                let call = case.call(claims.name)?;
                Ok(Box::new(Algorithm { call, case: case.clone(), claims: *claims, apart: session.apart() }))
            }
            (What::Algorithm(_), None) => unreachable!("a family has a case at each point"),
            (What::Pipeline { pipeline, continues, choice }, _) => {
                let repeated = match input.filter(|_| *continues) {
                    Some(input) => {
                        let plan = session.bind_on(input.clone(), &pipeline.stages)?;
                        session.repeated_plan(plan, *choice, job)?
                    }
                    None => session.repeated(pipeline, *choice, job)?,
                };
                Ok(Box::new(repeated))
            }
        }
    }
}

/// The variants of the block, or the engines of `--on`.
fn ways<'a>(session: &Session, magic: &lang::Magic, variants: &'a Variants) -> Fallible<Vec<Way<'a>>> {
    let on = magic.option("--on").flatten();
    let alone = magic.option("--against").is_some();
    match (&variants.block[..], on, &variants.shared) {
        ([], None, Some(pipeline)) if alone => {
            let choice = session.engine(pipeline.on.as_ref())?;
            Ok(vec![engine_way(session, pipeline, choice)])
        }
        ([], None, _) => {
            Err(Diagnostic::at(Kind::Syntax, magic.span, "there is only one variant: nothing to compare it with")
                .hint("--on rows,batch,polars compares engines; `%help compare` shows a block of variants"))
        }
        ([], Some(on), Some(pipeline)) => {
            if let Some(chosen) = &pipeline.on {
                return Err(Diagnostic::at(Kind::Syntax, chosen.engine.span, "`--on` says the engines already")
                    .hint("leave `| on` out"));
            }
            Ok(asked_engines(on)?.into_iter().map(|choice| engine_way(session, pipeline, choice)).collect())
        }
        ([_], None, _) if !alone => Err(Diagnostic::at(Kind::Syntax, magic.span, "this block has only one variant")
            .hint("a second line `name: pipeline`, indented like the first")),
        (block, None, _) => block.iter().map(|variant| written(session, variant)).collect(),
        (_, Some(on), _) => {
            Err(Diagnostic::at(Kind::Syntax, on.span, "`--on` compares engines on one pipeline, not on a block")
                .hint("each variant may end with `| on ENGINE`"))
        }
    }
}

/// The first line's pipeline on an engine.
fn engine_way<'a>(session: &Session, pipeline: &'a Pipeline, choice: Choice) -> Way<'a> {
    let lines = session.words(pipeline.span).lines().count();
    let name = choice.engine.name().to_string();
    Way { name, what: What::Pipeline { pipeline, continues: false, choice }, lines }
}

fn asked_engines(on: &lang::Word) -> Fallible<Vec<Choice>> {
    let known: Vec<&str> = engines::ALL.iter().map(|engine| engine.name()).collect();
    let mut choices: Vec<Choice> = Vec::new();
    for name in on.text.split(',') {
        let engine = engines::find(name).ok_or_else(|| {
            let message = format!("unknown engine `{name}`; engines are {}", listed(&known));
            Diagnostic::at(Kind::Name, on.span, message).near(name, known.iter().copied())
        })?;
        if choices.iter().any(|choice| choice.engine.name() == name) {
            return Err(Diagnostic::at(Kind::Name, on.span, format!("the engine `{name}` is named twice")));
        }
        choices.push(Choice::only(engine));
    }
    if choices.len() < 2 {
        return Err(Diagnostic::at(Kind::Syntax, on.span, "`--on` compares two engines or more")
            .hint("--on rows,batch,polars, without spaces"));
    }
    Ok(choices)
}

/// What the first line's pipeline means, as a table.
fn table_of(session: &mut Session, pipeline: &Pipeline) -> Fallible<Plan> {
    match session.bind(pipeline)? {
        Bound::Table(plan) => {
            only_table(&plan)?;
            Ok(plan)
        }
        Bound::Value(value, ty) => Ok(value_plan(value, ty, pipeline.span)),
    }
}

/// A comparison at one point.
struct Round {
    point: Option<i64>,
    /// Rows that come out of sources, where known, and files that are read.
    rows: Option<u64>,
    files: Vec<File>,
    entries: Vec<Entry>,
    /// The samples of those that did not fail, in order.
    turns: Option<Turns>,
    time: Time,
    parallel: bool,
}

struct Entry {
    name: String,
    lines: usize,
    /// Empty without one.
    engine: String,
    /// Why it does not run on the engine that was meant.
    instead: Option<String>,
    outcome: Outcome,
}

enum Outcome {
    /// Why it has no result.
    Failed(String),
    /// It is not run at this size: its largest one.
    TooLarge(usize),
    /// How its result stands to the first one, and what one run cost.
    Ran(Sameness, Cost),
}

/// What can be compared: a pipeline, an expression, or an algorithm of a family.
trait Contender {
    /// Runs and throws its result away: this is timed.
    fn run(&self, job: &Job) -> Fallible<()>;

    /// Its result, in the form in which results are compared, and what it cost.
    fn table(&self, job: &Job) -> Fallible<(Table, Cost)>;

    /// What one run costs.
    fn cost(&self, job: &Job) -> Fallible<Cost> {
        let meter = Meter::start();
        self.run(job).map(|()| meter.stop())
    }

    /// The same as what is timed.
    fn subject<'a>(&'a self, job: &'a Job) -> Box<dyn measure::Subject<Box<Diagnostic>> + 'a> {
        Box::new(|| self.run(job))
    }

    /// Whether it uses several threads.
    fn is_parallel(&self) -> bool;

    /// What it runs again and again, where that is no algorithm.
    fn repeated(&self) -> Option<&Repeated>;
}

impl Contender for Repeated {
    fn run(&self, job: &Job) -> Fallible<()> {
        Repeated::run(self, job)
    }

    fn table(&self, job: &Job) -> Fallible<(Table, Cost)> {
        Repeated::table(self, job)
    }

    fn cost(&self, job: &Job) -> Fallible<Cost> {
        Repeated::cost(self, job)
    }

    fn subject<'a>(&'a self, job: &'a Job) -> Box<dyn measure::Subject<Box<Diagnostic>> + 'a> {
        Repeated::subject(self, job)
    }

    fn is_parallel(&self) -> bool {
        self.engine().is_some_and(|engine| engine.is_parallel())
    }

    fn repeated(&self) -> Option<&Repeated> {
        Some(self)
    }
}

/// A variant of a family on one input.
struct Algorithm<'c> {
    call: Box<dyn Fn() + 'c>,
    case: Arc<dyn Case>,
    claims: Claims,
    apart: Option<Apart>,
}

impl Contender for Algorithm<'_> {
    fn run(&self, job: &Job) -> Fallible<()> {
        job.stop.check()?;
        match &self.apart {
            Some(apart) if apart.is_long() => {
                let (case, name) = (self.case.clone(), self.claims.name);
                apart.run(name, job, move |_| {
                    case.call(name)?();
                    Ok(())
                })
            }
            _ => {
                (self.call)();
                Ok(())
            }
        }
    }

    fn table(&self, job: &Job) -> Fallible<(Table, Cost)> {
        let (case, name) = (self.case.clone(), self.claims.name);
        let meter = Meter::start();
        let table = match &self.apart {
            Some(apart) => apart.run(name, job, move |_| case.result(name)),
            None => case.result(name),
        };
        Ok((table?, meter.stop()))
    }

    fn is_parallel(&self) -> bool {
        self.claims.threaded
    }

    fn repeated(&self) -> Option<&Repeated> {
        None
    }
}

fn round(
    session: &mut Session,
    ways: &[Way],
    input: &Input,
    point: Option<i64>,
    asked: &Asked,
    job: &Job,
    live: &dyn Fn(&[Entry], &Turns),
) -> Fallible<Round> {
    let size = point.unwrap_or_default();
    let case = if let Input::Family(family) = input { Some(family.case(size)?) } else { None };
    let clock = asked.clock.or_else(|| asked.against.as_ref()?.clock(point));
    let (mut rows, mut files) = (None, Vec::new());
    let input = match (input, &case) {
        (Input::Shared(shared), _) => {
            let plan = table_of(session, shared)?;
            files.extend(plan.files());
            let choice = session.engine(None)?;
            let table = session.run(plan, choice, job)?.table;
            rows = Some(table.height() as u64);
            Some(kept_plan(table, shared.span))
        }
        (Input::Family(family), Some(case)) if ways.iter().any(Way::continues) => {
            Some(kept_plan(Arc::new(case.input()), family.span))
        }
        _ => None,
    };
    let mut entries = Vec::new();
    // With the nanoseconds of a run, roughly.
    let mut contenders: Vec<(Box<dyn Contender + '_>, f64)> = Vec::new();
    let mut first: Option<Table> = None;
    for way in ways {
        if let What::Algorithm(Claims { most, .. }) = way.what
            && size > most as i64
        {
            entries.push(Entry::new(way, None, Outcome::TooLarge(most)));
            continue;
        }
        let ran = way.ready(session, input.as_ref(), case.as_ref(), job).and_then(|work| {
            let (table, cost, call) = first_run(&*work, job)?;
            Ok((work, table, cost, call))
        });
        match ran {
            Ok((work, table, cost, call)) => {
                let same = same(session, first.get_or_insert_with(|| table.clone()), table, job)?;
                if let Some(repeated) = work.repeated() {
                    rows = rows.or(repeated.rows_read);
                    files.extend(repeated.files.iter().cloned());
                }
                entries.push(Entry::new(way, work.repeated(), Outcome::Ran(same, cost)));
                contenders.push((work, call));
            }
            Err(error) if error.kind == Kind::Stopped => return Err(error),
            Err(error) => entries.push(Entry::new(way, None, Outcome::Failed(error.message.clone()))),
        }
    }
    drop(first);
    let parallel = contenders.iter().any(|(work, _)| work.is_parallel());
    let slowest = contenders.iter().map(|(_, call)| *call).fold(0.0, f64::max);
    let time = Time::chosen(clock, slowest, parallel);
    let turns = turns(&contenders, time, slowest, asked.limit, job, &|turns| live(&entries, turns))?;
    Ok(Round { point, rows, files, entries, turns, time, parallel })
}

/// How a result stands to the first one; where somebody types, long tables are compared so that it can be stopped.
fn same(session: &Session, first: &Table, table: Table, job: &Job) -> Fallible<Sameness> {
    match session.apart().filter(|_| table.height() > 100_000) {
        Some(apart) => {
            let first = first.clone();
            apart.run("the comparison of results", job, move |_| Ok(first.same(&table)))
        }
        None => Ok(first.same(&table)),
    }
}

impl Entry {
    fn new(way: &Way, repeated: Option<&Repeated>, outcome: Outcome) -> Entry {
        let engine = repeated.map(|repeated| repeated.runs_on().to_string()).unwrap_or_default();
        let why = repeated.and_then(|repeated| repeated.instead);
        let instead = why.map(|why| format!("ran on {engine}: {why}"));
        Entry { name: way.name.clone(), lines: way.lines, engine, instead, outcome }
    }
}

/// The result of a way, what a run costs, and how long it takes.
fn first_run(work: &dyn Contender, job: &Job) -> Fallible<(Table, Cost, f64)> {
    let (table, cost) = work.table(job)?;
    if cost.wall >= SLOW {
        let call = cost.wall.as_nanos() as f64;
        return Ok((table, cost, call));
    }
    // The first run also pays for what is made only once.
    let cost = work.cost(job)?;
    let call = calibrate(&Wall, &mut *work.subject(job), SLOW.as_nanos() as u64)?.call;
    Ok((table, cost, call))
}

/// Samples in turns, at most for the time of the `limit`; none where nobody is left.
fn turns(
    contenders: &[(Box<dyn Contender + '_>, f64)],
    time: Time,
    slowest: f64,
    limit: Duration,
    job: &Job,
    live: &dyn Fn(&Turns),
) -> Fallible<Option<Turns>> {
    if contenders.is_empty() {
        return Ok(None);
    }
    let fastest = contenders.iter().map(|(_, call)| *call).fold(f64::INFINITY, f64::min);
    let calls = calls_for(fastest).min(((LONG_SAMPLE / slowest) as u64).max(1));
    let overhead = Overhead::measure(time.clock());
    let mut works: Vec<_> = contenders.iter().map(|(work, _)| work.subject(job)).collect();
    let mut subjects: Vec<&mut dyn measure::Subject<Box<Diagnostic>>> =
        works.iter_mut().map(|work| &mut **work as &mut dyn measure::Subject<Box<Diagnostic>>).collect();
    let start = Instant::now();
    let go_on = |turns: &Turns| {
        live(turns);
        let passed = start.elapsed();
        let next = passed / turns.pairs() as u32;
        !job.stop.is_raised() && passed + next <= limit
    };
    let chance = &mut fastrand::Rng::new();
    let (mut turns, mut failed) = compare(time.clock(), &overhead, &mut subjects, calls, chance, go_on);
    let short = LEAST.min(limit);
    if failed.is_none() && !job.stop.is_raised() && start.elapsed() < short {
        failed = linger(time.clock(), &overhead, &mut subjects, chance, &mut turns, |turns| {
            live(turns);
            !job.stop.is_raised() && start.elapsed() < short
        });
    }
    match failed {
        Some(error) if !job.stop.is_raised() || turns.pairs() == 0 => Err(error),
        _ => Ok(Some(turns)),
    }
}

impl Round {
    /// Whether all that ran gave the same.
    fn agrees(&self) -> bool {
        self.entries.iter().all(|entry| match &entry.outcome {
            Outcome::Failed(_) | Outcome::TooLarge(_) | Outcome::Ran(Sameness::Same, _) => true,
            Outcome::Ran(Sameness::Different(_) | Sameness::CannotTell(_), _) => false,
        })
    }

    /// Each entry with its place among the samples.
    fn placed(&self) -> impl Iterator<Item = (&Entry, Option<usize>)> {
        let mut next = 0;
        self.entries.iter().map(move |entry| match entry.outcome {
            Outcome::Failed(_) | Outcome::TooLarge(_) => (entry, None),
            Outcome::Ran(..) => {
                next += 1;
                (entry, Some(next - 1))
            }
        })
    }

    /// What is known about the entry at a place among the samples; nothing about the first, and nothing without the same
    /// results.
    fn finding(&self, place: Option<usize>) -> Option<Finding> {
        let place = place.filter(|place| *place > 0 && self.agrees())?;
        self.turns.as_ref().map(|turns| turns.finding(place))
    }

    fn median(&self, place: Option<usize>) -> Option<(f64, f64)> {
        let samples = self.turns.as_ref()?.samples(place?);
        // One run has no error bar.
        let spread = if samples.each().len() > 1 { samples.iqr() / 1e9 } else { f64::NAN };
        Some((samples.median() / 1e9, spread))
    }

    /// How the entry at a place stands beside what was kept of it.
    fn beside(&self, against: &Against, entry: &Entry, place: Option<usize>) -> Option<Beside> {
        let now = Spread::of(&self.turns.as_ref()?.samples(place?))?;
        against.beside(self.point, &entry.name, &now)
    }

    /// A row for each variant.
    fn figures(&self, against: Option<&Against>) -> Figures {
        let mut rows = Grid::default();
        for (entry, place) in self.placed() {
            let finding = self.finding(place);
            let times = self.median(place);
            let cost = if let Outcome::Ran(_, cost) = &entry.outcome { Some(cost) } else { None };
            let float = |x: Option<f64>| x.filter(|x| !x.is_nan()).map_or(Value::Null, Value::Float);
            let (low, high) = (finding.map(|found| found.low), finding.map(|found| found.high));
            rows.put("variant", Type::Text, Unit::Plain, Value::text(&entry.name));
            rows.put("median", Type::Float, Unit::Seconds, float(times.map(|times| times.0)));
            rows.put("iqr", Type::Float, Unit::Seconds, float(times.map(|times| times.1)));
            let speedup = finding.map(|found| found.speedup);
            rows.put("speedup", Type::Float, Unit::Ratio, float(speedup.or(first_of(place, self.agrees()))));
            rows.put("low", Type::Float, Unit::Low, float(low));
            rows.put("high", Type::Float, Unit::High, float(high));
            rows.put("verdict", Type::Text, Unit::Plain, Value::text(&self.verdict(entry, place)));
            if let Some(against) = against {
                let beside = self.beside(against, entry, place);
                let (then, speedup) =
                    (beside.as_ref().map(|beside| beside.then), beside.as_ref().map(|beside| beside.speedup));
                let said = beside.map_or(Value::Null, |beside| Value::text(beside.said()));
                rows.put("kept", Type::Float, Unit::Seconds, float(then));
                rows.put("since", Type::Float, Unit::Times, float(speedup));
                rows.put("against", Type::Text, Unit::Plain, said);
            }
            if self.parallel {
                rows.put("cpu", Type::Float, Unit::Seconds, float(cost.map(|cost| cost.cpu().as_secs_f64())));
            }
            let allocated = cost.map_or(Value::Null, |cost| Value::Int(cost.allocated as i64));
            rows.put("alloc", Type::Int, Unit::Bytes, allocated);
            rows.put("lines", Type::Int, Unit::Plain, Value::Int(entry.lines as i64));
        }
        rows.figures()
    }

    fn verdict(&self, entry: &Entry, place: Option<usize>) -> String {
        match &entry.outcome {
            Outcome::Failed(_) => "failed".to_string(),
            Outcome::TooLarge(_) => "too large".to_string(),
            Outcome::Ran(Sameness::Different(_), _) => "different result".to_string(),
            Outcome::Ran(Sameness::CannotTell(_), _) => "cannot tell".to_string(),
            Outcome::Ran(Sameness::Same, _) => match self.finding(place) {
                Some(found) => said(&found),
                None if self.agrees() => "·".to_string(),
                None => "no winner".to_string(),
            },
        }
    }

    /// What is to be known about the figures, a line each.
    fn notes(&self) -> Vec<String> {
        let mut notes = self.results();
        let instead = |entry: &Entry| entry.instead.as_ref().map(|why| format!("{} {why}", entry.name));
        notes.extend(self.entries.iter().filter_map(instead));
        for (entry, place) in self.placed() {
            let Some(found) = self.finding(place) else { continue };
            let first = self.entries.iter().find(|entry| matches!(entry.outcome, Outcome::Ran(..)));
            let first = first.map_or("", |first| first.name.as_str());
            notes.push(told(&entry.name, first, &found));
        }
        if let Some(turns) = &self.turns {
            let counted = |count: u64, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
            let (samples, calls) = (counted(turns.pairs() as u64, "sample"), counted(turns.calls, "call"));
            notes.push(format!("{samples} of each, interleaved, {calls} a sample, {}", self.time.said()));
        }
        notes
    }

    /// Whether the results are the same, the first difference, and what failed.
    fn results(&self) -> Vec<String> {
        let mut ran = 0;
        let mut differences = Vec::new();
        let mut failures = Vec::new();
        let mut first = "";
        for entry in &self.entries {
            let name = &entry.name;
            match &entry.outcome {
                Outcome::Failed(why) => failures.push(format!("✗ {name} failed: {why}")),
                Outcome::TooLarge(most) => failures.push(format!("{name} is run up to {} only", grouped(*most as u64))),
                Outcome::Ran(same, _) => {
                    ran += 1;
                    first = if first.is_empty() { name } else { first };
                    match same {
                        Sameness::Same => {}
                        Sameness::Different(how) => differences.push(format!(
                            "✗ {first} and {name} differ, so nobody wins: {first} here, {name} there: {how}"
                        )),
                        Sameness::CannotTell(why) => differences.push(format!(
                            "? cannot tell whether {first} and {name} are the same, so nobody wins: {why}"
                        )),
                    }
                }
            }
        }
        if differences.is_empty() && ran > 1 {
            differences.push(format!("✓ same result: {ran}/{} equal", self.entries.len()));
        }
        [differences, failures].concat()
    }
}

/// The table as it is by now, a line for each that did not fail.
fn so_far(entries: &[Entry], turns: &Turns) -> String {
    let ran: Vec<&Entry> = entries.iter().filter(|entry| matches!(entry.outcome, Outcome::Ran(..))).collect();
    let width = ran.iter().map(|entry| entry.name.chars().count()).max().unwrap_or(0);
    let mut lines = vec![format!("{} pairs", turns.pairs())];
    for (place, entry) in ran.iter().enumerate() {
        let median = duration_text(turns.samples(place).median() / 1e9);
        let found = turns.finding(place);
        let speedup = match place {
            0 => String::new(),
            _ if found.low.is_nan() => format!("{}×", ratio(found.speedup)),
            _ => format!("{}× [{} {}]", ratio(found.speedup), ratio(found.low), ratio(found.high)),
        };
        lines.push(format!("  {:width$}  {median:>8}  {speedup}", entry.name));
    }
    lines.join("\n")
}

/// The speed-up of the first is 1.
fn first_of(place: Option<usize>, agrees: bool) -> Option<f64> {
    (agrees && place == Some(0)).then_some(1.0)
}

fn said(found: &Finding) -> String {
    let weak = if found.is_weak() { " (ranges)" } else { "" };
    match found.verdict {
        Verdict::Faster => format!("faster{weak}"),
        Verdict::Slower => format!("slower{weak}"),
        Verdict::Same => "same".to_string(),
        Verdict::NotResolved => "not resolved".to_string(),
    }
}

/// One finding as a sentence.
fn told(name: &str, first: &str, found: &Finding) -> String {
    let pairs = found.pairs;
    let weak = found.is_weak();
    let sentence = match found.verdict {
        Verdict::Faster if weak => {
            format!("{name} is faster than {first}, weakly: all times of one are below all of the other")
        }
        Verdict::Slower if weak => {
            format!("{name} is slower than {first}, weakly: all times of one are above all of the other")
        }
        Verdict::Faster => format!("✓ {name} is faster than {first}: the interval lies outside ±0.5 %"),
        Verdict::Slower => format!("✓ {name} is slower than {first}: the interval lies outside ±0.5 %"),
        Verdict::Same => format!("✓ {name} and {first} are the same within 1 %"),
        Verdict::NotResolved if pairs < 2 => format!("{name} and {first}: one pair has no error bar"),
        Verdict::NotResolved if pairs < LOOKS[LOOKS.len() - 1] => {
            format!("{name} and {first} are not resolved in this time: --for TIME takes longer")
        }
        Verdict::NotResolved => format!("{name} and {first} are not resolved: the interval holds too much"),
    };
    match weak {
        true if pairs < 2 => sentence,
        true => format!("{sentence} ({pairs} pairs: least and greatest, which cover {})", percent(found.coverage)),
        false => format!("{sentence} ({pairs} pairs)"),
    }
}

/// Whether the results are the same at all points, and what happened where they are not.
fn sweep_notes(points: &Option<Vec<i64>>, rounds: &[Round]) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    let good = |round: &Round| {
        let failed = round.entries.iter().any(|entry| matches!(entry.outcome, Outcome::Failed(_)));
        round.agrees() && !failed && round.turns.is_some()
    };
    let equal = rounds.iter().filter(|round| good(round)).count();
    let all = points.as_ref().map_or(1, Vec::len);
    if equal == rounds.len() {
        notes.push(format!("✓ same results at {equal} of {all} points"));
    }
    for (round, point) in rounds.iter().zip(points.iter().flatten()).filter(|(round, _)| !good(round)) {
        notes.extend(round.results().into_iter().map(|line| format!("at {point}: {line}")));
    }
    if let Some(pairs) = rounds.iter().filter_map(|round| round.turns.as_ref()).map(Turns::pairs).min() {
        notes.push(format!("interleaved samples of each at each point: at least {pairs}"));
    }
    notes
}

/// A row for each point, a column for each variant, and the verdicts.
fn sweep_figures(name: &str, points: &[i64], rounds: &[Round], against: Option<&Against>) -> Figures {
    let mut rows = Grid::default();
    let float = |x: Option<f64>| x.filter(|x| !x.is_nan()).map_or(Value::Null, Value::Float);
    for (point, round) in points.iter().zip(rounds) {
        rows.put(name, Type::Int, Unit::Plain, Value::Int(*point));
        for (entry, place) in round.placed() {
            let median = float(round.median(place).map(|times| times.0));
            rows.put(&entry.name, Type::Float, Unit::Seconds, median);
        }
        let mut verdicts = Vec::new();
        for (i, (entry, place)) in round.placed().enumerate() {
            let finding = round.finding(place);
            let first = matches!(entry.outcome, Outcome::Ran(Sameness::Same, _)) && place == Some(0);
            if !first {
                verdicts.push((entry.name.as_str(), round.verdict(entry, place)));
            }
            if i > 0 {
                let (low, high) = (finding.map(|found| found.low), finding.map(|found| found.high));
                let column = |what: &str| format!("{} {what}", entry.name);
                rows.put(&column("speedup"), Type::Float, Unit::Ratio, float(finding.map(|found| found.speedup)));
                rows.put(&column("low"), Type::Float, Unit::Low, float(low));
                rows.put(&column("high"), Type::Float, Unit::High, float(high));
            }
        }
        rows.put("verdict", Type::Text, Unit::Plain, Value::text(&grouped_by_verdict(verdicts)));
        if let Some(against) = against {
            let mut said = Vec::new();
            for (entry, place) in round.placed() {
                let beside = round.beside(against, entry, place);
                let speedup = beside.as_ref().map(|beside| beside.speedup);
                rows.put(&format!("{} since", entry.name), Type::Float, Unit::Times, float(speedup));
                let verdict = beside.filter(Beside::is_apart);
                said.extend(verdict.map(|beside| (entry.name.as_str(), beside.said().to_string())));
            }
            let said = if said.is_empty() { Value::Null } else { Value::text(&grouped_by_verdict(said)) };
            rows.put("against", Type::Text, Unit::Plain, said);
        }
    }
    rows.figures()
}

/// `faster: a, b; same: c`
fn grouped_by_verdict(verdicts: Vec<(&str, String)>) -> String {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for (name, verdict) in verdicts {
        match groups.iter_mut().find(|(known, _)| *known == verdict) {
            Some((_, names)) => names.push(name),
            None => groups.push((verdict, vec![name])),
        }
    }
    let said = groups.into_iter().map(|(verdict, names)| format!("{verdict}: {}", names.join(", ")));
    said.collect::<Vec<_>>().join("; ")
}

/// A table that grows by its cells, row after row.
#[derive(Default)]
struct Grid {
    columns: Vec<Column>,
    units: Vec<Unit>,
    values: Vec<Vec<Value>>,
}

impl Grid {
    /// Puts a cell into the column of this name, which is added where there is none.
    fn put(&mut self, name: &str, ty: Type, unit: Unit, value: Value) {
        match self.columns.iter().position(|column| column.name == name) {
            Some(at) => self.values[at].push(value),
            None => {
                self.columns.push(Column { name: name.to_string(), ty });
                self.units.push(unit);
                self.values.push(vec![value]);
            }
        }
    }

    fn figures(self) -> Figures {
        let height = self.values.first().map_or(0, Vec::len);
        let schema = Schema::new(self.columns, Order::Kept);
        Figures { table: Table::from_columns(schema, height, &self.values), units: self.units }
    }
}
