use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::interleave::barrier::cores;
use crate::lang::{self, Argument, MagicSyntax, Pipeline, Privileges, Statement, Takes, Word};
use crate::plan::Binding;
use crate::report::{Across, Axis, Block, Drawn, Field, Figures, Note, Plot, Report, Scale, Series, Unit};
use crate::run_context::RunContext;
use crate::schedule::{JobLog, JobOptions, StepKind};
use crate::session::{Bound, Session};

use super::{Answer, Magic, Offers, figures_plan};

pub static COST: Magic = Magic {
    syntax: MagicSyntax {
        name: "cost",
        usage: "%cost [--machines N] [--hours TIME] [--price P] [--engineer P] [--dev TIME [--against TIME]] \
                [--data SIZE] [--cluster \"6x4x2 1Gb\"] [PIPELINE]",
        takes: Takes::Statement,
        options: &[
            ("--machines", true),
            ("--hours", true),
            ("--data", true),
            ("--cluster", true),
            ("--price", true),
            ("--engineer", true),
            ("--dev", true),
            ("--against", true),
        ],
    },
    about: "computes the bill for rented machines, beside the hours of an engineer\n\n\
            With a pipeline\n  \
            The pipeline runs once, as a job on one thread (see %mapreduce?). What its map and reduce tasks cost is\n  \
            measured; from that a model says how long so many machines need for so much data.\n\n\
            Options\n  \
            --machines N    how many machines are rented: 1 unless specified\n  \
            --hours TIME    how long: 1 hour unless specified. A bare number is hours; 30min, 90s and 2h work too\n  \
            --price P       of a machine for an hour: 0.154 unless specified\n  \
            --engineer P    of an engineer for an hour: 50 unless specified\n  \
            --dev TIME      what an engineer works on the program\n  \
            --against TIME  what an engineer would work on another program that needs no rented machines\n  \
            --data SIZE     with a pipeline: how much data it would read, as 500GB, 1TB or 2PB\n  \
            --cluster TEXT  with a pipeline: machines x cores x hardware threads per core, and the network of a\n  \
            \x20               machine, as \"6x4x2 1Gb\". Without it a machine has as many cores as this one\n\n\
            Columns with a pipeline\n  \
            rate    of one core, or of the network of one machine\n  \
            source  measured: in this run. given: by you. model: computed from these\n  \
            hours   that the machines need for this together; cost: what they cost for so long\n\n\
            The bill\n  \
            A machine is paid from start to end, whether it works or waits. Storage, traffic and the rounding of\n  \
            hours up are not in it. All prices are in one currency: yours.",
    examples: &[
        "%cost --machines 62 --hours 0.5 --price 0.081",
        "%cost --hours 40 --dev 1h --against 5h",
        "%cost --data 1TB --cluster \"6x4x2 1Gb\" read \"samples/kjv.txt\" | words | count by lower(word)",
    ],
    offers: Offers::Nothing,
    privileges: Privileges::none,
    run,
};

/// Of one machine for an hour, as rented computers cost.
const PRICE: f64 = 0.154;
/// Of an engineer for an hour.
const ENGINEER: f64 = 50.0;

/// A number, and whether the user has said it.
struct Input {
    value: f64,
    is_given: bool,
}

impl Input {
    fn source(&self) -> &'static str {
        if self.is_given { "given" } else { "default" }
    }
}

fn run(session: &mut Session, magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    match &magic.subject {
        Argument::Nothing => bill(magic),
        Argument::Statement(statement) => match &**statement {
            Statement::Pipeline(pipeline) => of_pipeline(session, magic, pipeline, context),
            _ => Err(Diagnostic::at(Kind::Syntax, magic.span, "`%cost` needs a pipeline, or options alone")
                .hint(COST.examples[2])),
        },
        Argument::Pipelines(_) | Argument::Words(_) | Argument::Variants(_) | Argument::Body(_) => {
            unreachable!("the parser reads a statement")
        }
    }
}

/// What machines cost for so many hours.
fn bill(magic: &lang::Magic) -> Fallible<Answer> {
    for option in ["--data", "--cluster"] {
        if let Some((word, _)) = magic.options.iter().find(|(word, _)| word.text == option) {
            let message = format!("`{option}` needs a pipeline whose rate is measured");
            return Err(Diagnostic::at(Kind::Syntax, word.span, message).hint(COST.examples[2]));
        }
    }
    let input = |option, read: fn(&lang::Magic, &str) -> Fallible<Option<f64>>, usual: f64| {
        let given = read(magic, option)?;
        Ok::<_, Box<Diagnostic>>(Input { value: given.unwrap_or(usual), is_given: given.is_some() })
    };
    let machines = input("--machines", asked_machines, 1.0)?;
    let hours = input("--hours", asked_hours, 1.0)?;
    let price = input("--price", asked_price, PRICE)?;
    let engineer = input("--engineer", asked_price, ENGINEER)?;
    let (dev, against) = (asked_hours(magic, "--dev")?, asked_hours(magic, "--against")?);
    if let (None, Some(Some(word))) = (dev, magic.option("--against")) {
        return Err(Diagnostic::at(Kind::Syntax, word.span, "`--against` needs `--dev` to be compared with")
            .hint(format!("--dev 1h --against {}", word.text)));
    }
    let used = machines.value * hours.value;
    let bill = used * price.value;
    let rented = match machines.value {
        1.0 => format!("1 machine at {} an hour", price.value),
        several => format!("{several} machines at {} an hour", price.value),
    };
    let source = |inputs: &[&Input]| {
        if inputs.iter().any(|input| input.is_given) { "given" } else { "default" }
    };
    let mut rows = vec![row("machines", rented, source(&[&machines, &hours, &price]), used, bill)];
    let worked = |term, hours: f64| {
        let rate = format!("an engineer at {} an hour", engineer.value);
        row(term, rate, engineer.source(), hours, hours * engineer.value)
    };
    let mut total = bill;
    if let Some(hours) = dev {
        rows.push(worked("engineer", hours));
        total += hours * engineer.value;
        let mut together = row("together", "the rows above".to_string(), "model", 0.0, total);
        together[3] = Value::Null;
        rows.push(together);
    }
    rows.extend(against.map(|hours| worked("the other program", hours)));
    let figures = Figures::of_rows(
        &[
            ("term", Type::Text, Unit::Plain.counted()),
            ("rate", Type::Text, Unit::Plain.counted()),
            ("source", Type::Text, Unit::Plain.counted()),
            ("hours", Type::Float, Unit::Plain.counted()),
            ("cost", Type::Float, Unit::Plain.counted()),
        ],
        &rows,
    );
    let mut notes: Vec<Note> = Vec::new();
    if price.value > 0.0 {
        notes.push(
            format!("an hour of an engineer costs as much as {} machine hours", plain(engineer.value / price.value))
                .into(),
        );
    }
    if let Some(other) = against.map(|hours| hours * engineer.value) {
        notes.push(compared(total, other).into());
    }
    notes.push("a model: a machine is paid from start to end; storage, traffic and rounding up are left out".into());
    let table = Some(figures_plan(&figures, Default::default()));
    let fields = vec![
        Field::counted("cost", Value::Float(rounded(total)), Unit::Plain),
        Field::counted("machine_hours", Value::Float(rounded(used)), Unit::Plain),
    ];
    let report = Report { blocks: vec![Block::Figures(figures), Block::Notes(notes)], ..Report::default() };
    Ok(Answer { report, result: Some(Binding::Result { table, fields, tables: Vec::new() }), ..Answer::default() })
}

/// What the tasks of a job cost on one core.
struct Rates {
    /// That it read.
    bytes: f64,
    /// Seconds of map tasks, with combine and shuffle, and of reduce tasks.
    map: f64,
    reduce: f64,
    /// That went from map to reduce tasks, in all rounds.
    shuffled: f64,
}

impl Rates {
    fn of(log: &JobLog) -> Rates {
        let seconds = |kind: StepKind| -> f64 {
            log.attempts.iter().filter(|attempt| attempt.kind == kind).map(|attempt| attempt.cpu.as_secs_f64()).sum()
        };
        let bytes = |kind: StepKind, first: bool| -> f64 {
            let steps = log.steps.iter().filter(|step| step.kind == kind && (!first || step.round == 1));
            steps.map(|step| step.bytes_in.unwrap_or(0) as f64).sum()
        };
        Rates {
            bytes: bytes(StepKind::Load, true),
            map: seconds(StepKind::Map),
            reduce: seconds(StepKind::Merge) + seconds(StepKind::Reduce),
            shuffled: bytes(StepKind::Shuffle, false),
        }
    }
}

/// Rented machines.
struct Cluster {
    machines: f64,
    /// Of each machine.
    cores: f64,
    /// Bytes per second in and out of each machine.
    network: Option<f64>,
}

impl Cluster {
    /// Hours for map tasks, the network and reduce tasks, for `scale` times what was measured.
    fn hours(&self, rates: &Rates, scale: f64) -> [f64; 3] {
        let all = self.machines * self.cores * 3600.0;
        // What stays on its machine does not cross the network.
        let crossing = rates.shuffled * scale * (self.machines - 1.0) / self.machines;
        let network = self.network.map_or(0.0, |network| crossing / (network * self.machines) / 3600.0);
        [rates.map * scale / all, network, rates.reduce * scale / all]
    }
}

fn of_pipeline(
    session: &mut Session,
    magic: &lang::Magic,
    pipeline: &Pipeline,
    context: &RunContext,
) -> Fallible<Answer> {
    if let Some((word, _)) = magic.options.iter().find(|(word, _)| word.text == "--hours") {
        let message = "the hours follow from the pipeline: `--hours` cannot be given too";
        return Err(Diagnostic::at(Kind::Syntax, word.span, message).hint("leave it out"));
    }
    let (price, engineer) = (asked_price(magic, "--price")?, asked_price(magic, "--engineer")?);
    let (dev, against) = (asked_hours(magic, "--dev")?, asked_hours(magic, "--against")?);
    let cluster = asked_cluster(magic)?;
    let data = asked(magic, "--data", "an amount of data", "1TB", bytes_of)?;
    let rates = measured(session, pipeline, context)?;
    let price = Input { value: price.unwrap_or(PRICE), is_given: price.is_some() };
    let engineer = Input { value: engineer.unwrap_or(ENGINEER), is_given: engineer.is_some() };
    let scale = data.unwrap_or(rates.bytes) / rates.bytes;
    let hours = cluster.hours(&rates, scale);
    let wall: f64 = hours.iter().sum();
    let cost = |hours: f64| hours * cluster.machines * price.value;
    let per_second = |bytes: f64, seconds: f64| format!("{}/s per core", bytes_text(bytes / seconds.max(1e-12)));
    let mut rows = vec![row("map", per_second(rates.bytes, rates.map), "measured", hours[0], cost(hours[0]))];
    if let Some(network) = cluster.network {
        let rate = format!("{}/s per machine", bytes_text(network));
        rows.push(row("network", rate, "given", hours[1], cost(hours[1])));
    }
    if rates.shuffled > 0.0 {
        let rate = per_second(rates.shuffled, rates.reduce);
        rows.push(row("reduce", rate, "measured", hours[2], cost(hours[2])));
    }
    let machines = match cluster.machines {
        1.0 => format!("1 machine with {} cores at {} an hour", cluster.cores, price.value),
        several => format!("{several} machines with {} cores at {} an hour", cluster.cores, price.value),
    };
    rows.push(row("machines", machines, "model", wall, cost(wall)));
    let mut total = cost(wall);
    let rate = format!("an engineer at {} an hour", engineer.value);
    if let Some(hours) = dev {
        rows.push(row("engineer", rate.clone(), engineer.source(), hours, hours * engineer.value));
        total += hours * engineer.value;
    }
    rows.extend(against.map(|hours| row("the other program", rate, engineer.source(), hours, hours * engineer.value)));
    let figures = Figures::of_rows(
        &[
            ("term", Type::Text, Unit::Plain.counted()),
            ("rate", Type::Text, Unit::Plain.measured()),
            ("source", Type::Text, Unit::Plain.counted()),
            ("hours", Type::Float, Unit::Plain.measured()),
            ("cost", Type::Float, Unit::Plain.measured()),
        ],
        &rows,
    );
    let found = |text: String| Note::default().found(text);
    let mut notes: Vec<Note> = vec![found(format!(
        "measured: {} read, {} from map to reduce tasks; computed for {}",
        bytes_text(rates.bytes),
        bytes_text(rates.shuffled),
        bytes_text(rates.bytes * scale)
    ))];
    if let Some(other) = against.map(|hours| hours * engineer.value) {
        notes.push(found(compared(total, other)));
    }
    for assumption in assumptions(&cluster) {
        notes.push(assumption.into());
    }
    let table = Some(figures_plan(&figures, Default::default()));
    let fields = vec![
        Field::measured("cost", Value::Float(rounded(total)), Unit::Plain),
        Field::measured("hours", Value::Float(rounded(wall)), Unit::Plain),
    ];
    let blocks = vec![Block::Figures(figures), Block::Plot(curves(&cluster, &rates, scale)), Block::Notes(notes)];
    let report = Report { blocks, ..Report::default() };
    Ok(Answer { report, result: Some(Binding::Result { table, fields, tables: Vec::new() }), ..Answer::default() })
}

/// Runs a pipeline once on one thread.
fn measured(session: &mut Session, pipeline: &Pipeline, context: &RunContext) -> Fallible<Rates> {
    let plan = match (session.bind(pipeline)?, &pipeline.on) {
        (Bound::Table(plan), None) if !plan.is_final() => plan,
        _ => {
            let message = "this magic needs a pipeline that returns one table, without `on`";
            return Err(Diagnostic::at(Kind::Type, pipeline.span, message).hint(COST.examples[2]));
        }
    };
    // On one thread: tasks side by side share caches, and would say less of one core.
    let context = &RunContext { workers: 1, ..context.clone() };
    let (_, log) = session.run_job(plan, &JobOptions::default(), None, context)?;
    let rates = Rates::of(&log);
    if rates.bytes > 0.0 && rates.map > 0.0 {
        return Ok(rates);
    }
    let message = "this magic needs a pipeline that reads files, so that its rate in bytes is known";
    Err(Diagnostic::at(Kind::Type, pipeline.span, message).hint(COST.examples[2]))
}

/// The bytes per second that one core handles of a pipeline, which runs once.
///
/// # Errors
/// Also where it reads no files.
pub(super) fn core_rate(session: &mut Session, pipeline: &Pipeline, context: &RunContext) -> Fallible<f64> {
    let rates = measured(session, pipeline, context)?;
    Ok(rates.bytes / (rates.map + rates.reduce))
}

/// What the model takes for granted.
fn assumptions(cluster: &Cluster) -> Vec<&'static str> {
    let mut all = vec![
        "a model: every core is as fast as one here and always has work; the disks keep up; nothing fails",
        "the pairs that go from map to reduce tasks grow with the data, though a combiner makes fewer of them",
    ];
    all.push(match cluster.network {
        Some(_) => "the network works after the map tasks; hardware threads of a core count as one core",
        None => "no network: --cluster \"6x4x2 1Gb\" adds one",
    });
    all
}

/// Hours by the number of machines, and by the cores of one machine that has as many as these together.
fn curves(cluster: &Cluster, rates: &Rates, scale: f64) -> Plot {
    let most = (4.0 * cluster.machines).max(16.0);
    let counts = || std::iter::successors(Some(1.0), |n| Some(n * 2.0)).take_while(|n| *n <= most);
    let line = |label: &str, make: &dyn Fn(f64) -> Cluster| Series {
        label: label.to_string(),
        drawn: Drawn::Line,
        points: counts().map(|n| (n, make(n).hours(rates, scale).iter().sum())).collect(),
    };
    let machine = |machines, cores, network| Cluster { machines, cores, network };
    let axis =
        |label: &str, measured| Axis { label: label.to_string(), unit: Unit::Plain, scale: Scale::Log, measured };
    Plot {
        title: "hours by machines (model)".to_string(),
        x: Across::Numbers(axis("machines, or as many times the cores", false)),
        y: axis("hours", true),
        series: vec![
            line("scale-out: more machines", &|n| machine(n, cluster.cores, cluster.network)),
            line("scale-up: one larger machine", &|n| machine(1.0, n * cluster.cores, None)),
        ],
        in_table: false,
    }
}

fn asked_cluster(magic: &lang::Magic) -> Fallible<Cluster> {
    let machines = asked_machines(magic, "--machines")?;
    let here = cores().len() as f64;
    let Some(Word { text, span }) = magic.option("--cluster").flatten() else {
        return Ok(Cluster { machines: machines.unwrap_or(1.0), cores: here, network: None });
    };
    let wrong = || {
        let message = format!("`--cluster` must be machines x cores x threads and a network, got `{text}`");
        Diagnostic::at(Kind::Type, *span, message).hint("--cluster \"6x4x2 1Gb\"")
    };
    if machines.is_some() {
        let message = "`--machines` and `--cluster` both say how many machines there are";
        return Err(Diagnostic::at(Kind::Syntax, *span, message).hint("remove one of them"));
    }
    let (size, network) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
    let numbers: Option<Vec<u32>> = size.split('x').map(|part| part.parse().ok().filter(|n| *n > 0)).collect();
    let [machines, cores, _] = numbers.ok_or_else(wrong)?.try_into().map_err(|_| wrong())?;
    let network = match network.trim() {
        "" => None,
        text => Some(bits_of(text).ok_or_else(wrong)?),
    };
    Ok(Cluster { machines: f64::from(machines), cores: f64::from(cores), network })
}

/// Bytes per second: `1Gb` is of bits, `1GB` of bytes.
fn bits_of(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 4] = [("Mb", 125e3), ("Gb", 125e6), ("Tb", 125e9), ("kb", 125.0)];
    let text = text.trim_end_matches("/s").trim_end_matches("it");
    let bits = UNITS.into_iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, bytes)));
    let bytes = match bits {
        Some((number, bytes)) => number.trim_end().parse::<f64>().ok()? * bytes,
        None => bytes_of(text)?,
    };
    (bytes.is_finite() && bytes > 0.0).then_some(bytes)
}

/// An amount of data with its unit.
pub(super) fn bytes_of(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 9] = [
        ("KiB", 1024.0),
        ("MiB", 1048576.0),
        ("GiB", 1073741824.0),
        ("TiB", 1099511627776.0),
        ("KB", 1e3),
        ("MB", 1e6),
        ("GB", 1e9),
        ("TB", 1e12),
        ("PB", 1e15),
    ];
    let (number, bytes) = UNITS.into_iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, bytes)))?;
    Some(number.trim_end().parse::<f64>().ok()? * bytes).filter(|bytes| *bytes > 0.0)
}

/// As `bytes_of` reads it.
pub(super) fn bytes_text(bytes: f64) -> String {
    const UNITS: [&str; 6] = ["B", "KB", "MB", "GB", "TB", "PB"];
    let step = if bytes >= 1.0 { (bytes.log10() / 3.0) as usize } else { 0 }.min(UNITS.len() - 1);
    let number = bytes / 1000f64.powi(step as i32);
    if number >= 100.0 { format!("{number:.0} {}", UNITS[step]) } else { format!("{number:.2} {}", UNITS[step]) }
}

fn row(term: &str, rate: String, source: &str, hours: f64, cost: f64) -> Vec<Value> {
    let floats = [hours, cost].map(|value| Value::Float(rounded(value)));
    [term, &rate, source].map(Value::text).into_iter().chain(floats).collect()
}

/// What hangs on what was measured.
pub const SAYS: &[&str] = &[
    "~{bytes}/s per <core|machine>",
    "~1 machine with {number} cores at {number} an hour",
    "~{number} machines with {number} cores at {number} an hour",
    "~an engineer at {number} an hour",
    "~measured: {bytes} read, {bytes} from map to reduce tasks; computed for {bytes}",
    "~both programs cost the same",
    "~this program costs {number} less than the other one",
    "~the other program costs {number} less than this one",
    "∀hours@map = 0 or hours@machines = hours@map + hours@network + hours@reduce",
    "∀term = 'engineer' or term = 'the other program' or cost * hours@machines = hours * cost@machines",
    "∀cost@'the other program' - cost@machines - cost@engineer = figure ← this program costs {figure} less than the \
     other one",
    "∀cost@machines + cost@engineer - cost@'the other program' = figure ← the other program costs {figure} less than \
     this one",
];

/// What is cheaper, and by how much.
fn compared(here: f64, there: f64) -> String {
    let (less, more, saved) = match here.total_cmp(&there) {
        std::cmp::Ordering::Less => ("this program", "the other one", there - here),
        std::cmp::Ordering::Greater => ("the other program", "this one", here - there),
        std::cmp::Ordering::Equal => return "both programs cost the same".to_string(),
    };
    format!("{less} costs {} less than {more}", plain(saved))
}

/// To the hundredth; what is smaller keeps three digits.
fn rounded(value: f64) -> f64 {
    let places = if value == 0.0 || value.abs() >= 0.1 { 2 } else { 2 - value.abs().log10().floor() as i32 };
    let scale = 10f64.powi(places.min(300));
    if (value * scale).is_finite() { (value * scale).round() / scale } else { value }
}

fn plain(value: f64) -> String {
    match rounded(value) {
        large if large.abs() >= 100.0 => format!("{}", large.round()),
        small => format!("{small}"),
    }
}

fn asked_machines(magic: &lang::Magic, option: &str) -> Fallible<Option<f64>> {
    Ok(super::timing::asked_count(magic, option)?.map(|machines| machines as f64))
}

/// A time in hours: a bare number, or one with a unit.
pub(super) fn asked_hours(magic: &lang::Magic, option: &str) -> Fallible<Option<f64>> {
    const UNITS: [(&str, f64); 4] = [("min", 60.0), ("h", 1.0), ("d", 1.0 / 24.0), ("s", 3600.0)];
    asked(magic, option, "a time in hours", "0.5, 30min, 2h", |text| {
        let unit = UNITS.into_iter().find_map(|(unit, per_hour)| Some((text.strip_suffix(unit)?, per_hour)));
        let (number, per_hour) = unit.unwrap_or((text, 1.0));
        Some(number.trim_end().parse::<f64>().ok()? / per_hour)
    })
}

fn asked_price(magic: &lang::Magic, option: &str) -> Fallible<Option<f64>> {
    asked(magic, option, "a price", "0.081", |text| text.parse().ok())
}

/// The value of an option that is a number, not negative, and finite.
pub(super) fn asked(
    magic: &lang::Magic,
    option: &str,
    what: &str,
    examples: &str,
    read: impl Fn(&str) -> Option<f64>,
) -> Fallible<Option<f64>> {
    let Some(Word { text, span }) = magic.option(option).flatten() else { return Ok(None) };
    match read(text.trim()).filter(|number| number.is_finite() && *number >= 0.0) {
        Some(number) => Ok(Some(number)),
        None => {
            let message = format!("`{option}` must be {what}, got `{text}`");
            Err(Diagnostic::at(Kind::Type, *span, message).hint(format!("for example: {option} {examples}")))
        }
    }
}
