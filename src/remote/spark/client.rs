//! What carries a plan to a server of Spark Connect and brings the table back. A result counts only with its end mark;
//! a run that is stopped here is interrupted there.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prost::Message;
use tokio::runtime::{Builder, Runtime};
use tonic::client::Grpc;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Request};
use tonic_prost::ProstCodec;

use crate::data::Table;
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::escape::{hidden_tokens, without_token};
use crate::measure;
use crate::plan::Prepared;
use crate::run_context::RunContext;

use super::super::arrow;
use super::super::reach::{HostPort, host_port, is_loopback, patience, reach};
use super::messages::*;
use super::relations;

pub const DEFAULT_PORT: u16 = 15002;

const ENGINE: &str = "spark";

/// How often the stop flag is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// How long a server has to stop what runs.
const PATIENCE: Duration = Duration::from_secs(2);

/// The largest message that is taken.
const MOST_BYTES: usize = 256 << 20;

/// A connection string: `sc://host:port/;token=…;user_id=…`.
struct Address {
    shown: String,
    at: HostPort,
    token: Option<String>,
    user: String,
}

impl Address {
    fn parse(address: &str) -> Fallible<Address> {
        let shown = without_token(address);
        let bad = |what: &str| Diagnostic::new(Kind::Type, format!("{shown} is not an address of {ENGINE}: {what}"));
        let at = host_port(address, DEFAULT_PORT).ok_or_else(|| bad("it has no host"))?;
        let (mut token, mut user, mut uses_tls) = (None, "timelab".to_string(), false);
        let parameters = address.split_once(';').map_or("", |(_, parameters)| parameters);
        for parameter in parameters.split(';').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("token", value)) => token = Some(value.to_string()),
                Some(("user_id", value)) => user = value.to_string(),
                Some(("use_ssl", value)) => uses_tls = value == "true",
                _ => return Err(bad("its parameters are token, user_id and use_ssl")),
            }
        }
        if uses_tls {
            return Err(bad("TLS is not supported yet"));
        }
        if token.is_some() && !is_loopback(&at.host) {
            // Anybody on the way could read it.
            return Err(bad("a token is sent without TLS only to this machine"));
        }
        Ok(Address { shown, at, token, user })
    }
}

/// A session with a server.
struct Client {
    runtime: Runtime,
    grpc: Grpc<Channel>,
    session: String,
    user: UserContext,
    token: Option<String>,
}

/// The sessions that are open, by their addresses.
static OPEN: Mutex<Option<HashMap<String, Client>>> = Mutex::new(None);

/// Runs a plan on a server.
///
/// # Errors
/// What the plan runs into, an objection, a server that cannot be reached or breaks off; [`Kind::Stopped`] says what
/// became of the run there.
pub fn run(plan: &Prepared, context: &RunContext) -> Fallible<Table> {
    // A stopped run may still say so there. What comes from there is looked at as it comes.
    let _unlimited = measure::limited(u64::MAX);
    let said = plan.limits.place.and_then(|place| place.address()).ok_or_else(|| {
        Diagnostic::new(Kind::System, format!("{ENGINE} needs the address of a server"))
            .hint("| on spark \"sc://127.0.0.1:15002\", or %set spark ADDRESS, or $SPARK_REMOTE")
    })?;
    let address = Address::parse(said)?;
    reach(ENGINE, &address.shown, &address.at, &context.stop)?;
    let relation = relations::relation(plan, is_loopback(&address.at.host), context)?;
    let mut lock = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = lock.get_or_insert_default().remove(said);
    drop(lock);
    let mut client = match known {
        Some(client) => client,
        None => Client::connect(&address, context)?,
    };
    let outcome = client.execute(relation, plan, context);
    // A connection that broke is not used again.
    if !matches!(&outcome, Err(error) if error.kind == Kind::System || error.kind == Kind::Stopped) {
        OPEN.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default().insert(said.to_string(), client);
    }
    outcome
}

/// A number for sessions and operations, as the protocol wants them.
fn uuid() -> Fallible<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/uuid");
    let text = text.map_err(|error| Diagnostic::new(Kind::System, format!("there are no random numbers: {error}")))?;
    Ok(text.trim().to_string())
}

fn method(name: &str) -> Uri {
    format!("/spark.connect.SparkConnectService/{name}").parse().expect("it is a path")
}

/// Whether the work goes on without us for a moment: stopped by the user, or too slow.
enum Waited<T> {
    Done(T),
    Stopped,
    Late,
}

/// Waits, and looks at the stop flag meanwhile.
async fn wait<T>(work: impl Future<Output = T>, until: Option<Instant>, context: &RunContext) -> Waited<T> {
    let mut work = std::pin::pin!(work);
    loop {
        if let Ok(done) = tokio::time::timeout(LOOK, work.as_mut()).await {
            return Waited::Done(done);
        }
        if context.stop.is_raised() {
            return Waited::Stopped;
        }
        if until.is_some_and(|until| Instant::now() >= until) {
            return Waited::Late;
        }
    }
}

impl Client {
    fn connect(address: &Address, context: &RunContext) -> Fallible<Client> {
        let failed = |what: String| {
            Diagnostic::new(Kind::System, format!("{ENGINE} cannot be reached at {}: {what}", address.shown))
        };
        let runtime = Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.map_err(|error| failed(error.to_string()))?;
        let HostPort { host, port } = &address.at;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let endpoint =
            Endpoint::from_shared(format!("http://{host}:{port}")).map_err(|error| failed(error.to_string()))?;
        let until = Instant::now() + patience(&address.at.host);
        let connected = runtime.block_on(wait(endpoint.connect(), Some(until), context));
        let channel = match connected {
            Waited::Done(Ok(channel)) => channel,
            Waited::Done(Err(error)) => return Err(failed(error.to_string())),
            Waited::Stopped => return Err(Diagnostic::new(Kind::Stopped, "stopped")),
            Waited::Late => return Err(failed("no answer in time".to_string())),
        };
        let grpc = Grpc::new(channel).max_decoding_message_size(MOST_BYTES).max_encoding_message_size(MOST_BYTES);
        let user = UserContext { user_id: address.user.clone(), user_name: address.user.clone() };
        let mut client = Client { runtime, grpc, session: uuid()?, user, token: address.token.clone() };
        // A text that is not a number must be an error there, not null.
        let settings = [("spark.sql.ansi.enabled", "true"), ("spark.sql.session.timeZone", "UTC")];
        let pairs = settings.map(|(key, value)| KeyValue { key: key.to_string(), value: Some(value.to_string()) });
        let request = ConfigRequest {
            session_id: client.session.clone(),
            user_context: Some(client.user.clone()),
            operation: Some(ConfigOperation { set: Some(ConfigSet { pairs: pairs.to_vec() }) }),
            client_type: Some("timelab".to_string()),
        };
        let patience = Duration::from_secs(30);
        client.unary::<ConfigRequest, ConfigResponse>("Config", request, patience, context)?;
        Ok(client)
    }

    fn request<T>(token: Option<&str>, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let bearer = token.and_then(|token| MetadataValue::try_from(format!("Bearer {token}")).ok());
        if let Some(mut bearer) = bearer {
            bearer.set_sensitive(true);
            request.metadata_mut().insert("authorization", bearer);
        }
        request
    }

    /// One question and its answer.
    fn unary<Q, A>(&mut self, name: &str, message: Q, patience: Duration, context: &RunContext) -> Fallible<A>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let request = Client::request(self.token.as_deref(), message);
        let path = method(name).into_parts().path_and_query.expect("it has a path");
        let grpc = &mut self.grpc;
        let ask = async {
            grpc.ready().await.map_err(|error| tonic::Status::unavailable(error.to_string()))?;
            grpc.unary(request, path, ProstCodec::<Q, A>::default()).await
        };
        match self.runtime.block_on(wait(ask, Some(Instant::now() + patience), context)) {
            Waited::Done(Ok(answer)) => Ok(answer.into_inner()),
            Waited::Done(Err(status)) => Err(failure(&status)),
            Waited::Stopped => Err(Diagnostic::new(Kind::Stopped, "stopped")),
            Waited::Late => Err(Diagnostic::new(Kind::System, format!("{ENGINE} does not answer"))),
        }
    }

    fn execute(&mut self, root: Relation, plan: &Prepared, context: &RunContext) -> Fallible<Table> {
        let operation = uuid()?;
        let tag = format!("timelab-{operation}");
        let message = ExecutePlanRequest {
            session_id: self.session.clone(),
            user_context: Some(self.user.clone()),
            plan: Some(Plan { root: Some(root) }),
            client_type: Some("timelab".to_string()),
            // Without it there is no end mark.
            request_options: vec![RequestOption { reattach_options: Some(ReattachOptions { reattachable: true }) }],
            operation_id: Some(operation.clone()),
            tags: vec![tag.clone()],
        };
        let request = Client::request(self.token.as_deref(), message);
        let path = method("ExecutePlan").into_parts().path_and_query.expect("it has a path");
        let mut streams: Vec<Vec<u8>> = Vec::new();
        let (mut rows, mut bytes, mut is_complete) = (0i64, 0u64, false);
        let (runtime, grpc) = (&self.runtime, &mut self.grpc);
        let codec = ProstCodec::<ExecutePlanRequest, ExecutePlanResponse>::default();
        let outcome: Fallible<()> = runtime.block_on(async {
            let ask = async {
                grpc.ready().await.map_err(|error| tonic::Status::unavailable(error.to_string()))?;
                grpc.server_streaming(request, path, codec).await
            };
            let stopped = || Diagnostic::new(Kind::Stopped, "stopped");
            let mut answers = match wait(ask, None, context).await {
                Waited::Done(answers) => answers.map_err(|status| failure(&status))?.into_inner(),
                Waited::Stopped | Waited::Late => return Err(stopped()),
            };
            loop {
                context.check()?;
                let answer = match wait(answers.message(), None, context).await {
                    Waited::Done(answer) => answer.map_err(|status| failure(&status))?,
                    Waited::Stopped | Waited::Late => return Err(stopped()),
                };
                let Some(answer) = answer else { return Ok(()) };
                match answer.response {
                    Some(Response::ArrowBatch(batch)) => {
                        bytes += batch.data.len() as u64;
                        // A batch may come in pieces, which are one stream.
                        match streams.last_mut() {
                            Some(stream) if batch.chunk_index.is_some_and(|index| index > 0) => {
                                stream.extend_from_slice(&batch.data);
                            }
                            _ => {
                                rows += batch.row_count;
                                streams.push(batch.data);
                            }
                        }
                        context.progress.tell(format!("{ENGINE}: {rows} rows, {} KiB", bytes >> 10));
                    }
                    Some(Response::Progress(progress)) => context.progress.tell(told(&progress)),
                    Some(Response::ResultComplete(_)) => is_complete = true,
                    None => {}
                }
            }
        });
        if let Err(error) = outcome {
            let is_left = error.kind == Kind::Stopped || context.stop.is_raised() || is_of_memory(&error);
            return Err(if is_left { self.interrupt(tag, error) } else { error });
        }
        if !is_complete {
            let message = format!("{ENGINE} ended its answer without the mark of a whole result");
            return Err(
                Diagnostic::new(Kind::System, message).hint("the query may have been cancelled there: run it again")
            );
        }
        let release = ReleaseExecuteRequest {
            session_id: self.session.clone(),
            user_context: Some(self.user.clone()),
            operation_id: operation,
            release_all: Some(Empty {}),
        };
        // What it keeps for a second answer it forgets by itself in the end.
        let _ = self.unary::<_, ReleaseExecuteResponse>("ReleaseExecute", release, PATIENCE, context);
        let table = arrow::table(ENGINE, &streams, plan.schema())?;
        if table.height() as i64 != rows {
            let message = format!("{ENGINE} announced {rows} rows and sent {}", table.height());
            return Err(Diagnostic::new(Kind::System, message));
        }
        Ok(table)
    }

    /// Stops what runs there; the error says whether it did.
    fn interrupt(&mut self, tag: String, error: Box<Diagnostic>) -> Box<Diagnostic> {
        const BY_TAG: i32 = 2;
        let message = InterruptRequest {
            session_id: self.session.clone(),
            user_context: Some(self.user.clone()),
            client_type: Some("timelab".to_string()),
            interrupt_type: BY_TAG,
            operation_tag: Some(tag),
        };
        let request = Client::request(self.token.as_deref(), message);
        let path = method("Interrupt").into_parts().path_and_query.expect("it has a path");
        let grpc = &mut self.grpc;
        let codec = ProstCodec::<InterruptRequest, InterruptResponse>::default();
        let ask = async {
            grpc.ready().await.map_err(|error| tonic::Status::unavailable(error.to_string()))?;
            grpc.unary(request, path, codec).await
        };
        let asked = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, ask).await });
        let there = match asked {
            Ok(Ok(answer)) if !answer.get_ref().interrupted_ids.is_empty() => "it was interrupted there".to_string(),
            Ok(Ok(_)) => "the server says that it no longer ran there".to_string(),
            Ok(Err(status)) => format!("the server could not interrupt it: {}", first_line(status.message())),
            Err(_) => "the server did not answer, it may still run there".to_string(),
        };
        let mut error = error;
        error.message = format!("{}; {ENGINE}: {there}", error.message);
        error
    }
}

fn is_of_memory(error: &Diagnostic) -> bool {
    error.message.contains("needs more memory")
}

fn told(progress: &ExecutionProgress) -> String {
    let (all, done) =
        progress.stages.iter().fold((0, 0), |(all, done), stage| (all + stage.tasks, done + stage.completed_tasks));
    format!("{ENGINE}: {done} of {all} tasks in {} stages", progress.stages.len())
}

fn first_line(text: &str) -> String {
    const MOST: usize = 400;
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    hidden_tokens(&line.chars().take(MOST).collect::<String>())
}

/// The words between `timelab:` and the end of a line, where a message has them.
fn ours(message: &str) -> Option<(&str, &str)> {
    let (_, rest) = message.split_once("timelab:")?;
    let (kind, words) = rest.split_once(':')?;
    // Spark adds the state of SQL.
    let words = words.lines().next().unwrap_or_default();
    let words = words.split_once(" SQLSTATE").map_or(words, |(words, _)| words);
    Some((kind, words.trim_end_matches(['\'', '"', '.', ' '])))
}

/// A status of the server as an error that names the engine.
fn failure(status: &tonic::Status) -> Box<Diagnostic> {
    let message = status.message();
    if let Some((kind, words)) = ours(message) {
        return match kind {
            "objection" => Diagnostic::new(Kind::Objection, format!("the engine `{ENGINE}` cannot run this: {words}")),
            "zero" => Diagnostic::new(Kind::ZeroDivision, words.to_string()),
            "shape" => Diagnostic::new(Kind::Shape, words.to_string()),
            "file" => Diagnostic::new(Kind::File, words.to_string()),
            _ => Diagnostic::new(Kind::Domain, words.to_string()),
        };
    }
    let class = error_class(status);
    let is = |names: &[&str]| names.iter().any(|name| class.contains(name) || message.contains(name));
    if is(&["ARITHMETIC_OVERFLOW", "CAST_OVERFLOW", "NUMERIC_VALUE_OUT_OF_RANGE", "out of range Int64"]) {
        return Diagnostic::new(Kind::Overflow, format!("int overflow: {}", first_line(message)));
    }
    if is(&["DIVIDE_BY_ZERO", "REMAINDER_BY_ZERO"]) {
        return Diagnostic::new(Kind::ZeroDivision, format!("division by zero: {}", first_line(message)));
    }
    // The server's own words that it cannot run such a plan, whatever its rows are.
    if class.ends_with("AnalysisException") || is(&["Uncomparable values", "not implemented"]) {
        let message = format!("the engine `{ENGINE}` cannot run this: the server says: {}", first_line(message));
        return Diagnostic::new(Kind::Objection, message);
    }
    match status.code() {
        Code::Unauthenticated | Code::PermissionDenied => {
            Diagnostic::new(Kind::System, format!("{ENGINE} refuses the token: {}", first_line(message)))
        }
        Code::Unavailable => {
            Diagnostic::new(Kind::System, format!("{ENGINE}: the connection was lost: {}", first_line(message)))
        }
        _ => {
            let class = if class.is_empty() { String::new() } else { format!("{class}: ") };
            Diagnostic::new(Kind::System, format!("{ENGINE} failed: {class}{}", first_line(message)))
        }
    }
}

/// The name that Spark gives an error.
fn error_class(status: &tonic::Status) -> String {
    let details = Status::decode(status.details()).map(|status| status.details).unwrap_or_default();
    let infos = details.iter().filter(|detail| detail.type_url.ends_with("google.rpc.ErrorInfo"));
    let mut found = infos.filter_map(|detail| ErrorInfo::decode(&*detail.value).ok());
    found.next().map(|info| info.metadata.get("errorClass").cloned().unwrap_or(info.reason)).unwrap_or_default()
}
