//! `%engines`: which engines there are, whether they can be reached, and what each is.

use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use crate::data::{Column, Order, Schema, Table, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::engines;
use crate::escape::without_token;
use crate::lang::{self, MagicSyntax, Privileges, Takes};
use crate::plan::Binding;
use crate::remote::{host_port, is_loopback, servers};
use crate::report::{Block, Report};
use crate::run_context::RunContext;
use crate::session::{Session, kept_plan, settings};

use super::{Answer, Magic, Offers, ranges};

pub static ENGINES: Magic = Magic {
    syntax: MagicSyntax { name: "engines", usage: "%engines [NAME]", takes: Takes::Words, options: &[] },
    about: "lists the engines: where they run, whether they are installed and can be reached; or explains one\n\n\
            Use\n  \
            `%engines spark` says what an engine is and which parts of it the engines here show. Hadoop, Disco, Flink, \
            Sail, Beam and Ray have an entry too.\n  \
            Only addresses that are set, in the environment or by %set, and those of this machine are tried, for at \
            most half a second.",
    examples: &["%engines", "%engines spark", "%engines hadoop"],
    offers: Offers::Nothing,
    privileges: Privileges::none,
    run,
};

fn run(session: &mut Session, magic: &lang::Magic, _: &RunContext) -> Fallible<Answer> {
    match ranges::words(magic) {
        [] => Ok(status(session)),
        [name] => explained(name),
        [_, surplus, ..] => {
            let error = Diagnostic::at(Kind::Syntax, surplus.span, "`%engines` takes one name");
            Err(error.hint(ENGINES.syntax.usage))
        }
    }
}

/// How long an address is tried.
const PATIENCE: Duration = Duration::from_millis(500);

/// What is tried where no address is set: the servers of this machine.
const USUAL: [(&str, &str); 2] = [("spark", "sc://127.0.0.1:15002"), ("dask", "tcp://127.0.0.1:8786")];

fn status(session: &Session) -> Answer {
    let mut rows: Vec<[Value; 6]> = Vec::new();
    let own = engines::every().filter(|engine| engine.elsewhere().is_none());
    for engine in own {
        let version = format!("timelab {}", env!("CARGO_PKG_VERSION"));
        let row = ["in this process", "yes", "yes"].map(Value::text);
        let [place, installed, reachable] = row;
        rows.push([Value::text(engine.name()), place, installed, reachable, Value::text(&version), Value::Null]);
    }
    let addresses: Vec<(&str, Option<String>, bool)> = engines::REMOTE
        .iter()
        .map(|engine| {
            let set = settings::place(&session.settings, *engine, None).ok().flatten();
            let set = set.and_then(|place| place.address()).map(str::to_string);
            let usual = USUAL.iter().find(|(name, _)| *name == engine.name()).map(|(_, usual)| usual.to_string());
            let is_set = set.is_some();
            (engine.name(), set.or(usual), is_set)
        })
        .collect();
    let answers = reached(&addresses);
    let packages = Packages::of(session);
    for ((name, address, is_set), answers) in addresses.iter().zip(answers) {
        let needs = match *name {
            "spark" => "pysail",
            "dask" => "distributed",
            "beam" => "apache_beam",
            other => other,
        };
        // What %engine has installed has an environment of its own.
        let started = servers::ALL.iter().filter(|service| service.engine == *name && service.is_installed());
        let mut pins = started.flat_map(|service| service.packages);
        let pinned = pins.find_map(|pin| Some(pin.strip_prefix(needs)?.split_once("==")?.1));
        let version = packages.version(needs).or(pinned);
        let installed = match (*name, &version) {
            // The client is part of this program.
            ("spark", None) => "the client",
            ("spark", Some(_)) => "the client, Sail",
            (_, None) => "no",
            (_, Some(_)) => "yes",
        };
        let version = version.map(|version| Value::text(&format!("{needs} {version}"))).unwrap_or(Value::Null);
        let shown = address.as_deref().filter(|_| *is_set || answers).map(without_token);
        rows.push([
            Value::text(name),
            Value::text("elsewhere"),
            Value::text(installed),
            Value::text(if answers { "yes" } else { "no" }),
            version,
            shown.map_or(Value::Null, |shown| Value::text(&shown)),
        ]);
    }
    let heads = ["engine", "runs", "installed", "reachable", "version", "address"];
    let schema = heads.map(|name| Column { name: name.to_string(), ty: Type::Text }).to_vec();
    let columns: Vec<Vec<Value>> = (0..heads.len()).map(|i| rows.iter().map(|row| row[i].clone()).collect()).collect();
    let table = Arc::new(Table::from_columns(Schema::new(schema, Order::Kept), rows.len(), &columns));
    let result = Binding::Result {
        table: Some(Arc::new(kept_plan(table.clone(), Default::default()))),
        fields: Vec::new(),
        tables: Vec::new(),
    };
    let features = Block::counted(features());
    let blocks = vec![Block::counted(table), Block::Text(LEGEND.to_string()), features];
    Answer { report: Report { blocks, ..Report::default() }, result: Some(result), ..Answer::default() }
}

const LEGEND: &str = "features: `shown`: the line under `try` shows it on that engine here; `claim only`: its \
                      documentation says so and nothing here proves it; `no`: not even that. `here` is our own engines";

/// Each feature, who has it, and a line that shows it here.
fn features() -> Arc<Table> {
    let heads = ["feature", "spark", "dask", "beam", "ray", "here", "try"];
    let schema = heads.map(|name| Column { name: name.to_string(), ty: Type::Text }).to_vec();
    let word = |sign: char| match sign {
        's' => "shown",
        'c' => "claim only",
        _ => "no",
    };
    let mut columns: Vec<Vec<Value>> = vec![Vec::new(); heads.len()];
    for (feature, signs, line) in FEATURES {
        columns[0].push(Value::text(feature));
        for (column, sign) in columns[1..6].iter_mut().zip(signs.chars()) {
            column.push(Value::text(word(sign)));
        }
        columns[6].push(if line.is_empty() { Value::Null } else { Value::text(line) });
    }
    Arc::new(Table::from_columns(Schema::new(schema, Order::Kept), FEATURES.len(), &columns))
}

/// For spark, dask, beam, ray and here: s is shown, c is claimed only, - is neither.
const FEATURES: &[(&str, &str, &str)] = &[
    ("batch", "ssccs", "1..1000 | sum | on ENGINE"),
    ("stream", "ccc-s", "1.. | filter it % 7 == 0 | take 5"),
    ("dashboard", "cc-cs", "%dashboard"),
    ("REPL", "ssccs", "1..3 | on ENGINE"),
    ("logging", "ccccs", "%history"),
    ("persist (memory)", "ccccs", "let t = 1..1M | map it * it | persist"),
    ("persist (disk)", "c-ccs", "let t = 1..1M | persist disk"),
    ("sections run apart after persist", "ccccs", "let t = 1..9 | persist; t | sum"),
    ("one input to several outputs", "ccccs", "1..9 | tee small: (filter it < 5), all: (sum)"),
    ("simultaneous actions", "cc-cs", "1..9 | tee a: (sum), b: (max)"),
    ("tagged outputs", "--c-s", "1..9 | tee a: (sum), b: (max); _.a"),
    ("branches", "ccccs", "1..9 | concat (5..12)"),
    ("iteration", "cc-cs", "[3] | iterate 3 { map it * 2 }"),
    ("group by", "ssccs", "1..100 | count by it % 7 | on ENGINE"),
    ("join", "ssccs", "1..9 | join (5..12) on it | count | on ENGINE"),
    ("combiner", "ssccs", "1..1M | agg mean(it) by it % 7 | on ENGINE"),
    ("SQL", "cccc-", ""),
    ("arrays", "cc-cs", "[[1, 2], [3]] | map sum(it)"),
    ("ML", "cccc-", ""),
    ("futures", "-cccs", "let f = spawn 1..1M | sum"),
    ("delayed", "ccccs", "let t = 1..1M | sum"),
    ("hot keys", "c-c-s", "%mapreduce 1..1M | count by it % 2"),
    ("shared variables", "cc-cs", "1..9 | filter counter(\"odd\", it % 2 == 1)"),
    ("actors", "-c-cs", "%race counter"),
    ("file types", "ccccs", "read \"samples/packages.csv\" | count"),
    ("templates", "--c--", ""),
    ("autoscaling", "cccc-", ""),
    ("serverless", "ccc--", ""),
    ("runs on your own machine", "ssccs", "1..10 | sum | on ENGINE"),
    ("local speed", "ssccs", "%compare --on batch,ENGINE 1..1M | sum"),
    ("pure Python", "-scc-", "1..10 | map it * it | on ENGINE"),
    ("integration", "ccccs", "!ls | wc -l"),
    ("documentation", "ccccs", "%help"),
    ("user base", "cccc-", ""),
];

/// Whether somebody listens at each address; all are tried at once.
fn reached(addresses: &[(&str, Option<String>, bool)]) -> Vec<bool> {
    let (tell, told) = channel();
    let mut found = vec![false; addresses.len()];
    let mut asked = 0;
    for (i, (_, address, is_set)) in addresses.iter().enumerate() {
        let Some(at) = address.as_deref().and_then(|address| host_port(address, 0)) else { continue };
        if !is_set && !is_loopback(&at.host) {
            continue;
        }
        let tell = tell.clone();
        let reach = move || {
            let mut addresses = (at.host.as_str(), at.port).to_socket_addrs().into_iter().flatten();
            let answers = addresses.any(|address| TcpStream::connect_timeout(&address, PATIENCE).is_ok());
            // Nobody may wait any more.
            let _ = tell.send((i, answers));
        };
        asked += usize::from(std::thread::Builder::new().name("reach".to_string()).spawn(reach).is_ok());
    }
    let until = Instant::now() + PATIENCE;
    for _ in 0..asked {
        let Ok((i, answers)) = told.recv_timeout(until.saturating_duration_since(Instant::now())) else { break };
        found[i] = answers;
    }
    found
}

/// The packages of the Python that drivers would run on: no program is started to find them.
struct Packages(Vec<String>);

impl Packages {
    fn of(session: &Session) -> Packages {
        let said = session.settings.python.as_deref().map(PathBuf::from);
        let active = || std::env::var_os("VIRTUAL_ENV").map(|folder| PathBuf::from(folder).join("bin/python"));
        let python = said.or_else(active).or_else(on_path);
        let Some(folder) = python.as_deref().and_then(Path::parent).and_then(Path::parent) else {
            return Packages(Vec::new());
        };
        let names = |path: &Path| {
            let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect::<Vec<String>>()
        };
        let library = folder.join("lib");
        let versions = names(&library).into_iter().filter(|name| name.starts_with("python3"));
        Packages(versions.flat_map(|name| names(&library.join(name).join("site-packages"))).collect())
    }

    /// The version of a package, from the folder that pip leaves.
    fn version(&self, package: &str) -> Option<&str> {
        self.0.iter().find_map(|name| name.strip_prefix(package)?.strip_prefix('-')?.strip_suffix(".dist-info"))
    }
}

fn on_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).map(|folder| folder.join("python3")).find(|path| path.exists())?;
    std::fs::canonicalize(found).ok()
}

fn explained(name: &lang::Word) -> Fallible<Answer> {
    let known = ENTRIES.iter().find(|(known, _)| *known == name.text);
    if let Some((_, text)) = known {
        return Ok(Answer::text(text.trim().to_string()));
    }
    if let Some(engine) = engines::find(&name.text) {
        return Ok(Answer::text(format!("{}: {}\n\n  › 1..10 | sum | on {0}", engine.name(), engine.about())));
    }
    let names: Vec<&str> = ENTRIES.iter().map(|(name, _)| *name).chain(engines::every().map(|e| e.name())).collect();
    let message = format!("unknown engine `{}`", name.text);
    let error = Diagnostic::at(Kind::Name, name.span, message).near(&name.text, names.iter().copied());
    Err(if error.hint.is_some() { error } else { error.hint("%engines lists them") })
}

/// What each is: its idea, where it comes from, what here shows it.
const ENTRIES: &[(&str, &str)] = &[
    (
        "spark",
        "spark: map/reduce in memory, with an optimiser of queries

idea    A query is a tree of relations. An optimiser (Catalyst) rewrites it and cuts it into stages at each
        shuffle; a stage runs as one task for each partition. What is cached stays in memory; a lost
        partition is computed again from its lineage.
origin  AMPLab, University of California, Berkeley, 2009; Apache since 2013. Written in Scala.
here    `mapreduce` and `threads` show its stages, tasks and shuffles; `%mapreduce --via memory` its idea
        against Hadoop's.
try     1..10 | sum | on spark \"sc://127.0.0.1:15002\"",
    ),
    (
        "sail",
        "sail: the protocol of Spark, served by Rust

idea    A server of Spark Connect without Spark: the same client and the same relations, run by Apache
        DataFusion on Arrow columns.
origin  LakeSail, 2024.
here    `batch` and `polars` show what columns and vectorised loops gain.
try     %engine start sail, then 1..10 | sum | on spark",
    ),
    (
        "dask",
        "dask: graphs of tasks in Python

idea    A program is a graph of tasks, functions of Python with their inputs. A scheduler hands tasks to
        workers as their inputs are ready, near to where these are. Arrays and data frames are graphs that
        Dask writes for you.
origin  Matthew Rocklin at Anaconda, 2014.
here    `threads` and `workers` run such graphs; `%explain` shows their stages and tasks.
try     1..10 | sum | on dask",
    ),
    (
        "beam",
        "beam: one program for batches and streams, run by others

idea    A pipeline of transforms on collections that may have no end; windows and triggers say when a result
        is given. It has no cluster of its own: runners hand it to Flink, Spark or Google Dataflow.
origin  Google's FlumeJava and MillWheel, 2010 to 2013; Apache since 2016.
here    A stage with `group by` or `agg` is what Beam calls GroupByKey and Combine; `%explain` shows where
        the parts are merged.
try     1..10 | sum | on beam",
    ),
    (
        "ray",
        "ray: tasks and actors in Python

idea    Any function can run elsewhere (a task), any object can live elsewhere (an actor), and what they
        give is a future in shared memory. Libraries on top are for data, training and serving of models.
origin  RISELab, University of California, Berkeley, 2017.
here    `workers` are processes that get tasks; %race has an actor among its safe versions.
try     1..10 | sum | on ray",
    ),
    (
        "hadoop",
        "hadoop: map/reduce on disks

idea    Map tasks run where blocks of the file are, sort their pairs and write them to disk; reduce tasks
        fetch their share over the network and merge it. Each step is a job, and writes its result to the
        file system.
origin  Doug Cutting and Mike Cafarella, 2006, after two papers of Google on its file system and MapReduce.
here    `%mapreduce --via disk` runs every step through files, as Hadoop does.",
    ),
    (
        "disco",
        "disco: map/reduce in Python on Erlang

idea    The job and its tasks are functions of Python; a master in Erlang schedules them and watches the
        workers. Its file system tags blobs instead of naming paths.
origin  Nokia Research, 2008; no longer developed.
here    The stage `mapreduce` takes a map, a combine and a reduce, as a job of Disco does.",
    ),
    (
        "flink",
        "flink: streams first, batches as streams that end

idea    Operators with state run for ever and pass rows on as they come; checkpoints of all states let a
        failed job go on exactly where it was.
origin  Stratosphere, Technical University of Berlin, 2010; Apache since 2014.
here    Sources without an end, such as `1.. | filter it % 7 == 0 | take 5`, pass rows on as they come.",
    ),
];
