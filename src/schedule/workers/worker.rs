//! The other side: this program as a worker process, which does one task after the other. It ends when the shell drops
//! it or is gone, however that came: then its standard input ends, and its socket.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::FromRawFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::commands::Streaming;
use crate::data::{Schema, Table, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::kernel;
use crate::measure::{self, Clock, Meter, ThreadCpu};
use crate::meters::Meters;
use crate::plan::{Beside, ExternalFunction, ExternalPlace, Prepared, Shared};
use crate::run_context::{Counters, Counts128, Largest, MEMORY_HINT, Progress, ReadNotes, RunContext, Stop};
use crate::schedule::Stage;
use crate::schedule::job::{Given, ShuffleStages, Work};
use crate::service::Program;

use super::frame::{receive, send};
use super::message::{Answer, Done, Order, Ready, Spent, StageOrder};

pub static PROGRAM: Program = Program { name: "worker", run: |_| work() };

/// The stage that is worked on, and the flag that ends it.
type Current = Arc<Mutex<(u64, Stop)>>;

fn work() -> io::Result<()> {
    measure::prepare_for_limit();
    let socket = own_socket()?;
    let (orders, given) = channel();
    let (answers, called) = channel();
    let current = Current::default();
    let (from, stops) = (socket.try_clone()?, current.clone());
    // Orders are taken while a task runs: one may be to stop.
    std::thread::Builder::new().name("orders".to_string()).spawn(move || {
        loop {
            match receive::<Order>(&from) {
                Ok((Order::Stop { stage }, _)) => {
                    let current = stops.lock().unwrap_or_else(PoisonError::into_inner);
                    if current.0 == stage {
                        current.1.raise();
                    }
                }
                Ok((Order::Called { error }, bytes)) => {
                    // Who does not wait for it any more needs no answer.
                    let _ = answers.send(error.map_or(Ok(bytes), Err));
                }
                Ok(order) => {
                    if orders.send(order).is_err() {
                        return;
                    }
                }
                // SAFETY: the shell is gone; this process ends at once, whatever it does.
                Err(_) => unsafe { libc::_exit(0) },
            }
        }
    })?;
    send(&socket, &Ready, &[])?;
    let shell = Arc::new(Shell { socket: socket.try_clone()?, called: Mutex::new(called) });
    serve(&socket, &given, &current, &shell)
}

/// The shell, as one who can call functions that are in its process alone.
#[derive(Debug)]
struct Shell {
    socket: UnixStream,
    called: Mutex<Receiver<Fallible<Vec<u8>>>>,
}

#[derive(Debug)]
struct InShell {
    place: ExternalPlace,
    shell: Arc<Shell>,
}

impl ExternalFunction for InShell {
    fn call(&self, arguments: &[Vec<Value>], rows: usize) -> Fallible<Vec<Value>> {
        let gone = || Diagnostic::new(Kind::System, "the shell does not answer its worker");
        let bytes = serde_json::to_vec(arguments).map_err(|_| gone())?;
        let called = self.shell.called.lock().unwrap_or_else(PoisonError::into_inner);
        send(&self.shell.socket, &Answer::Call { function: self.place.clone(), rows }, &bytes).map_err(|_| gone())?;
        let bytes = called.recv().map_err(|_| gone())??;
        serde_json::from_slice(&bytes).map_err(|_| gone())
    }

    fn source(&self) -> Option<&str> {
        None
    }

    fn place(&self) -> ExternalPlace {
        self.place.clone()
    }
}

/// The socket that stands in the place of standard output. What is printed goes nowhere: it is no message.
///
/// # Errors
/// Those of the system.
pub fn own_socket() -> io::Result<UnixStream> {
    let nowhere = File::options().write(true).open("/dev/null")?;
    // SAFETY: plain system calls; the new descriptor is nobody else's.
    unsafe {
        let socket = libc::fcntl(libc::STDOUT_FILENO, libc::F_DUPFD_CLOEXEC, 3);
        if socket < 0 || libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&nowhere), libc::STDOUT_FILENO) < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(UnixStream::from_raw_fd(socket))
    }
}

/// A stage that tasks can be done of.
struct Opened {
    work: Fallible<Work>,
    context: RunContext,
    meter: Meter,
}

fn serve(
    socket: &UnixStream,
    orders: &Receiver<(Order, Vec<u8>)>,
    current: &Current,
    shell: &Arc<Shell>,
) -> io::Result<()> {
    let mut tables: HashMap<u64, Arc<Table>> = HashMap::new();
    let mut opened: Option<Opened> = None;
    for (order, bytes) in orders {
        match order {
            Order::Table { id, schema } => {
                // Without its table, the plan that reads it is refused, with that number.
                if let Some(table) = table(&bytes, &schema) {
                    tables.insert(id, Arc::new(table));
                }
            }
            Order::Stage(order) => {
                drop(opened.take());
                tables.retain(|id, _| order.tables.contains(id));
                opened = Some(open(*order, &tables, current, shell));
            }
            Order::Task { part } => {
                let (done, output) = task(opened.as_ref(), |work| {
                    let stage = work.map_stage();
                    Ok((None, stage.run(0, &part)?.to_bytes(stage.stage())?))
                });
                send(socket, &Answer::Done(done), &output)?;
            }
            Order::JobTask(asked) => {
                let (done, output) =
                    task(opened.as_ref(), |work| work.done(asked, &bytes).map(|(given, output)| (Some(given), output)));
                send(socket, &Answer::Done(done), &output)?;
            }
            Order::Finish => {
                let cost = opened.take().map(|opened| opened.meter.stop()).unwrap_or_default();
                send(socket, &Spent { cost }, &[])?;
            }
            Order::Stop { .. } | Order::Called { .. } => {}
        }
    }
    Ok(())
}

fn table(bytes: &[u8], schema: &Schema) -> Option<Table> {
    let batch = kernel::from_bytes(bytes)?;
    if batch.rows == 0 { Some(Table::stacked(schema, [])) } else { kernel::table(batch, schema).ok() }
}

fn open(order: StageOrder, tables: &HashMap<u64, Arc<Table>>, current: &Current, shell: &Arc<Shell>) -> Opened {
    let stop = Stop::default();
    *current.lock().unwrap_or_else(PoisonError::into_inner) = (order.id, stop.clone());
    let context = RunContext {
        chunk_sizes: order.chunk_sizes,
        memory: measure::live().saturating_add(order.memory),
        workers: 1,
        stop,
        progress: Progress::default(),
        read_notes: ReadNotes::default(),
        counters: Counters::default(),
        // No task has a `peek`: the shell does these steps.
        log: Arc::new(|_| {}),
        confined: true,
        is_job: false,
        monitor: None,
        meters: Meters::default(),
        largest: Largest::default(),
        memory_hint: MEMORY_HINT,
        // What does not fit is merged and written by the shell.
        spill: None,
        scratch: std::env::temp_dir(),
    };
    // Commands run wherever they are started.
    let function = |place: ExternalPlace| {
        let code: Arc<dyn ExternalFunction> = match Streaming::at(&place, &context.stop) {
            Some(command) => Arc::new(command),
            None => Arc::new(InShell { place: place.clone(), shell: shell.clone() }),
        };
        (place, Shared(code))
    };
    let functions = order.functions.into_iter().map(function).collect();
    let beside = Beside { tables: tables.clone(), functions };
    let meter = Meter::start();
    let work = context.within_limit(|| {
        let stage =
            |plan: &str, pairs| Ok::<_, Box<Diagnostic>>(Stage::of_tasks(Prepared::from_json(plan, &beside)?, pairs));
        let shuffle = order.shuffle.map(|shuffle| {
            Ok::<_, Box<Diagnostic>>(ShuffleStages {
                combiner: stage(&shuffle.combiner, false)?,
                reducer: stage(&shuffle.reducer, false)?,
                after: shuffle.after.map(|after| stage(&after, false)).transpose()?,
                shape: shuffle.shape,
            })
        });
        Work::of_stages(stage(&order.plan, order.pairs)?, shuffle.transpose()?, order.bad, &context)
    });
    Opened { work, context, meter }
}

/// Does a task: what is told of it, and the bytes of its output.
fn task(opened: Option<&Opened>, work_on: impl FnOnce(&Work) -> Fallible<(Option<Given>, Vec<u8>)>) -> (Done, Vec<u8>) {
    let Some(Opened { work, context, .. }) = opened else {
        return (failed(Diagnostic::new(Kind::System, "a worker has no stage")), Vec::new());
    };
    let work = match work {
        Ok(work) => work,
        Err(error) => return (failed(error.clone()), Vec::new()),
    };
    let (rows, bytes) = (context.progress.rows(), context.progress.bytes().0);
    let cpu = ThreadCpu.now();
    let (output, counters) = Counters::attempt(|| context.within_limit(|| work_on(work)));
    let cpu = Duration::from_nanos(ThreadCpu.now().saturating_sub(cpu));
    let (given, output, error) = match output {
        Ok((given, output)) => (given, output, None),
        Err(error) => (None, Vec::new(), Some(error)),
    };
    let done = Done {
        error,
        given,
        cpu,
        rows: context.progress.rows() - rows,
        bytes: context.progress.bytes().0 - bytes,
        null_texts: context.read_notes.null_texts().into_iter().collect(),
        counters,
    };
    (done, output)
}

fn failed(error: Box<Diagnostic>) -> Done {
    let (cpu, counters) = (Duration::ZERO, Counts128::new());
    Done { error: Some(error), given: None, cpu, rows: 0, bytes: 0, null_texts: Vec::new(), counters }
}
