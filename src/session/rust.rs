//! Blocks of Rust in cells: compiled while they are bound, run when their results are asked for.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::commands;
use crate::data::{Table, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::engines::{self, Choice, EngineOutput, Host, OpenPlan};
use crate::lang::{Code, Pipeline, RustBlock, RustFunction, SourceNode, StageCode};
use crate::measure;
use crate::native::{self, GeneratedCode};
use crate::plan::{
    Binding, BoundOp, Elsewhere, ExternalFunction, ExternalPlace, Function, Kept, Node, Plan, Prepared, Scope, Shared,
    Source, Step,
};
use crate::run_context::RunContext;
use crate::rust::{self, BlockSource, Cost, Input, InputForm, Library, Opener, ResultKind, Signature, Text, Worker};

use super::Session;
use super::spent::RUST_PROCESS;

/// What opens workers in which blocks of one library can be called.
pub(super) struct Opened {
    pub opener: Opener,
    /// What goes into the library.
    pub inputs: Vec<Vec<u8>>,
    /// For each block, whether what goes into it could be found.
    pub filled: Vec<Fallible<()>>,
}

/// What the session knows of blocks that were bound.
#[derive(Default)]
pub struct Blocks {
    /// By what they say and what goes in.
    compiled: RefCell<HashMap<String, Compiled>>,
    /// Those that are compared with each other, by what all of them say.
    compared: RefCell<HashMap<String, Rc<RefCell<Library>>>>,
    /// By the number that plans carry.
    bound: RefCell<Vec<Rc<Block>>>,
    functions: RefCell<Vec<(Arc<RustCode>, Block)>>,
    /// Closures of stages that were compiled, by their texts and types.
    stage_codes: RefCell<HashMap<String, Arc<Elsewhere>>>,
    /// Whether cells are only looked at: then nothing is compiled and nothing runs.
    looking: Cell<bool>,
}

/// A function in Rust; the process that calls it is opened before a run that needs it.
struct RustCode {
    span: Span,
    source: Option<String>,
    place: Mutex<ExternalPlace>,
    worker: Mutex<Option<Worker>>,
    /// Whether it was called since it was last asked what it has cost.
    was_called: AtomicBool,
}

impl fmt::Debug for RustCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RustCode").field("span", &self.span).finish_non_exhaustive()
    }
}

impl ExternalFunction for RustCode {
    fn call(&self, arguments: &[Vec<Value>], rows: usize) -> Fallible<Vec<Value>> {
        let mut worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(worker) = &mut *worker else {
            return Err(Diagnostic::at(Kind::System, self.span, "the process of this function is not open"));
        };
        self.was_called.store(true, Ordering::Relaxed);
        worker.apply(0, arguments, rows).map_err(|error| error.or_at(self.span))
    }

    fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    fn place(&self) -> ExternalPlace {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A library, and which subject of it is meant.
type Compiled = (Rc<RefCell<Library>>, usize);

/// A block that is compiled, with what goes into it.
pub struct Block {
    library: Rc<RefCell<Library>>,
    /// Which subject of the library it is.
    pub subject: usize,
    inputs: Vec<(String, Filling)>,
    pub shape: ResultKind,
    span: Span,
}

#[derive(Clone, PartialEq)]
pub(super) enum Filling {
    Value(Value),
    Table(Box<Plan>),
    /// With its nulls.
    Rows(Kept),
}

impl Block {
    /// How many copies of it there are.
    pub(super) fn copies(&self) -> usize {
        self.library.borrow().copies
    }

    /// Empty ones, as many as its library has.
    fn no_inputs(&self) -> Vec<Vec<u8>> {
        vec![Vec::new(); self.library.borrow().places.iter().flatten().max().map_or(0, |last| last + 1)]
    }
}

/// The block that a pipeline is, if it is nothing else.
pub fn lone_block(pipeline: &Pipeline) -> Option<&RustBlock> {
    match &pipeline.source.node {
        SourceNode::Rust(block) if pipeline.stages.is_empty() && pipeline.on.is_none() => Some(block),
        _ => None,
    }
}

impl Session {
    /// Compiles blocks; where one is new, all of them into one library.
    pub fn compile_blocks(
        &self,
        scope: &dyn Scope,
        blocks: &[&RustBlock],
        context: &RunContext,
    ) -> Fallible<Vec<Rc<Block>>> {
        let parts = blocks.iter().map(|block| block_part(scope, block)).collect::<Fallible<Vec<_>>>()?;
        self.compile(parts, context)
    }

    /// Compiles subjects; where one is new, all of them into one library.
    fn compile(&self, parts: Vec<Part>, context: &RunContext) -> Fallible<Vec<Rc<Block>>> {
        let key = |subject: &BlockSource| format!("{:?} {}", subject.inputs, subject.body.as_str());
        let fresh = |key: &String| {
            let compiled = self.blocks.compiled.borrow();
            compiled.get(key).filter(|(library, _)| self.rust.is_fresh(&library.borrow())).cloned()
        };
        if parts.iter().any(|(subject, ..)| fresh(&key(subject)).is_none()) {
            self.must_run()?;
            let mut new: Vec<BlockSource> = Vec::new();
            for (subject, ..) in &parts {
                if !new.iter().any(|other| key(other) == key(subject)) {
                    new.push(subject.clone());
                }
            }
            let library = Rc::new(RefCell::new(self.rust.library(&new, own_places(&new), 1, context)?));
            let mut compiled = self.blocks.compiled.borrow_mut();
            for (at, subject) in new.iter().enumerate() {
                compiled.insert(key(subject), (library.clone(), at));
            }
        }
        let found = parts.into_iter().map(|(subject, inputs, span)| {
            let (library, at) = fresh(&key(&subject)).expect("it was just compiled");
            let shape = library.borrow().shapes[at].clone();
            Rc::new(Block { library, subject: at, inputs, shape, span })
        });
        Ok(found.collect())
    }

    /// Compiles subjects that are compared with each other into one library of their own, with so many copies of each.
    /// Two that say the same are two all the same.
    pub(super) fn compile_compared(
        &self,
        parts: Vec<Part>,
        copies: usize,
        context: &RunContext,
    ) -> Fallible<Vec<Rc<Block>>> {
        let mut different: Vec<&(String, Filling)> = Vec::new();
        let mut places = Vec::new();
        for (_, fillings, _) in &parts {
            let mut place = |filling| {
                different.iter().position(|other| *other == filling).unwrap_or_else(|| {
                    different.push(filling);
                    different.len() - 1
                })
            };
            places.push(fillings.iter().map(&mut place).collect::<Vec<usize>>());
        }
        let said = |(subject, ..): &Part| format!("{:?} {}", subject.inputs, subject.body.as_str());
        let key = format!("{copies} {places:?} {:?}", parts.iter().map(said).collect::<Vec<_>>());
        let known = self.blocks.compared.borrow().get(&key).cloned();
        let library = match known.filter(|library| self.rust.is_fresh(&library.borrow())) {
            Some(library) => library,
            None => {
                self.must_run()?;
                let subjects: Vec<BlockSource> = parts.iter().map(|(subject, ..)| subject.clone()).collect();
                let library = self.rust.library(&subjects, places, copies, context)?;
                let library = Rc::new(RefCell::new(library));
                self.blocks.compared.borrow_mut().insert(key, library.clone());
                library
            }
        };
        let block = |(subject, (_, inputs, span)): (usize, Part)| {
            let shape = library.borrow().shapes[subject].clone();
            Rc::new(Block { library: library.clone(), subject, inputs, shape, span })
        };
        Ok(parts.into_iter().enumerate().map(block).collect())
    }

    /// A worker in which a block can be called.
    pub fn open_block(&self, block: &Block, choice: Choice, context: &RunContext) -> Fallible<Worker> {
        self.open_blocks(&[block], choice, context)
    }

    /// A worker in which blocks of one library can be called.
    pub fn open_blocks(&self, blocks: &[&Block], choice: Choice, context: &RunContext) -> Fallible<Worker> {
        let mut inputs = blocks[0].no_inputs();
        blocks.iter().try_for_each(|block| self.fill_inputs(block, &mut inputs, choice, context))?;
        self.rust.open(&mut blocks[0].library.borrow_mut(), &inputs, context)
    }

    /// What opens workers in which blocks of one library can be called.
    pub(super) fn opener(&self, blocks: &[Rc<Block>], choice: Choice, context: &RunContext) -> Fallible<Opened> {
        let mut inputs = blocks[0].no_inputs();
        let filled = blocks.iter().map(|block| self.fill_inputs(block, &mut inputs, choice, context)).collect();
        let opener = self.rust.opener(&mut blocks[0].library.borrow_mut(), context)?;
        Ok(Opened { opener, inputs, filled })
    }

    /// Puts what goes into a block among the inputs of its library.
    fn fill_inputs(&self, block: &Block, inputs: &mut [Vec<u8>], choice: Choice, context: &RunContext) -> Fallible<()> {
        // The library is not borrowed meanwhile: what goes in may be computed by Rust as well.
        let places = block.library.borrow().places[block.subject].clone();
        for (place, (name, filling)) in places.into_iter().zip(&block.inputs) {
            // Of inputs that are shared one is enough; no bytes at all are those of none.
            if inputs[place].is_empty() {
                inputs[place] = self.input(name, filling, block.span, choice, context)?;
            }
        }
        Ok(())
    }

    pub(super) fn input(
        &self,
        name: &str,
        filling: &Filling,
        span: Span,
        choice: Choice,
        context: &RunContext,
    ) -> Fallible<Vec<u8>> {
        match filling {
            Filling::Value(value) => {
                let mut bytes = Vec::new();
                rust::put_value(value, &mut bytes);
                Ok(bytes)
            }
            Filling::Rows(table) => Ok(rust::rows_bytes(table.table())),
            Filling::Table(plan) => {
                let table = self.run((**plan).clone(), choice, context)?.table;
                rust::table_bytes(&table, name).map_err(|error| error.or_at(span))
            }
        }
    }

    /// Runs a block once.
    pub fn run_block(&self, block: &Block, context: &RunContext) -> Fallible<(rust::BlockValue, Cost)> {
        let choice = self.engine(None)?;
        let mut worker = self.open_block(block, choice, context)?;
        let given = worker.call(block.subject).map_err(|error| error.or_at(block.span))?;
        self.add_spent(&[(RUST_PROCESS, worker.spent()?)]);
        Ok(given)
    }

    /// What a block stands for at the start of a pipeline: a value, which is computed now, or a table.
    pub(super) fn bound_block(&self, scope: &dyn Scope, written: &RustBlock, span: Span) -> Fallible<super::Bound> {
        let context = self.context();
        let block = self.compile_blocks(scope, &[written], &context)?.remove(0);
        if let ResultKind::Rows(schema) = &block.shape {
            let schema = schema.clone();
            let mut bound = self.blocks.bound.borrow_mut();
            bound.push(block);
            let op = BoundOp::Rust(bound.len() as u64 - 1);
            return Ok(super::Bound::Table(Plan::of(vec![Step { op, schema, span }])));
        }
        self.must_run()?;
        match self.run_block(&block, &context)?.0 {
            rust::BlockValue::Value(value, ty) => Ok(super::Bound::Value(value, ty)),
            rust::BlockValue::Text(text) => Ok(super::Bound::Value(Value::text(&text), Type::Text)),
            rust::BlockValue::Nothing | rust::BlockValue::Table(_) => {
                Err(Diagnostic::at(Kind::Type, span, "this Rust block returns no value to continue with")
                    .hint("end it with an expression: rust { let x = 1; x + 1 }"))
            }
        }
    }

    /// The table of a compiled plan.
    ///
    /// # Errors
    /// What the plan runs into; its row is not known.
    pub(super) fn call_plan(
        worker: &mut Worker,
        number: usize,
        block: &Block,
        plan: &Prepared,
    ) -> Fallible<(Table, Cost)> {
        let (given, cost) = worker.call(number).map_err(|error| fault(error, plan))?;
        let rust::BlockValue::Table(table) = given else {
            return Err(Diagnostic::at(Kind::System, block.span, "the compiled plan returned no table"));
        };
        Ok((table.named(plan.schema()), cost))
    }

    /// Compiles a function whose body is Rust.
    pub(super) fn rust_function(
        &self,
        scope: &dyn Scope,
        written: &RustFunction,
        context: &RunContext,
    ) -> Fallible<Arc<Elsewhere>> {
        let takes = written.parameters.iter().map(|(word, ty)| (word.text.clone(), ty.clone())).collect();
        let signature = Signature { name: written.name.text.clone(), takes, gives: written.gives.clone() };
        let (subject, inputs) = subject(scope, &written.body)?;
        let subject = BlockSource { function: Some(signature), ..subject };
        let code = self.compiled_function(subject, inputs, &written.body, context)?;
        let takes = written.parameters.iter().map(|(_, ty)| ty.clone()).collect();
        Ok(Arc::new(Elsewhere { takes, gives: written.gives.clone(), code: Shared(code) }))
    }

    /// Compiles a subject that is a function, whose body the block has.
    fn compiled_function(
        &self,
        subject: BlockSource,
        inputs: Vec<(String, Filling)>,
        written: &RustBlock,
        context: &RunContext,
    ) -> Fallible<Arc<RustCode>> {
        let signature = subject.function.clone().expect("the subject is a function");
        let alone = inputs.is_empty() && self.stands_alone(&written.body.text, &signature);
        let source = alone.then(|| format!("({})", rust::function(&signature, "", &subject.body).as_str()));
        self.must_run()?;
        let places = own_places(std::slice::from_ref(&subject));
        let library = self.rust.library(&[subject], places, 1, context)?;
        let shape = library.shapes[0].clone();
        let place = library.place(&signature.name);
        let library = Rc::new(RefCell::new(library));
        let block = Block { library, subject: 0, inputs, shape, span: written.body.span };
        let code = Arc::new(RustCode {
            span: block.span,
            source,
            place: Mutex::new(place),
            worker: Mutex::new(None),
            was_called: AtomicBool::new(false),
        });
        self.blocks.functions.borrow_mut().push((code.clone(), block));
        Ok(code)
    }

    /// Code of a stage as a function of columns.
    ///
    /// # Errors
    /// Those of the compiler.
    pub(super) fn stage_code(
        &self,
        scope: &dyn Scope,
        written: &StageCode,
        takes: &[Type],
        gives: &Type,
    ) -> Fallible<Arc<Elsewhere>> {
        let block = match &written.code {
            Code::Rust(block) => block,
            Code::Command(word) => {
                let part = [commands::Part::Map, commands::Part::Combine, commands::Part::Reduce];
                let part = part.into_iter().find(|part| part.name() == written.part.text);
                let part = part.expect("the parser knows these parts alone");
                let code = Arc::new(commands::Streaming::new(part, &word.text, word.span));
                return Ok(Arc::new(Elsewhere { takes: takes.to_vec(), gives: gives.clone(), code: Shared(code) }));
            }
        };
        let key = format!("{} {takes:?} {gives:?} {}", written.part.text, block.body.text);
        if block.with.is_empty()
            && let Some(known) = self.blocks.stage_codes.borrow().get(&key)
        {
            return Ok(known.clone());
        }
        let named = takes.iter().enumerate().map(|(at, ty)| (format!("timelab_{at}"), ty.clone())).collect();
        let signature = Signature { name: format!("{}_code", written.part.text), takes: named, gives: gives.clone() };
        let (subject, inputs) = subject(scope, block)?;
        let body = rust::stage_code(&written.part.text, &signature, &subject.body);
        let subject = BlockSource { body, function: Some(signature), ..subject };
        let code = self.compiled_function(subject, inputs, block, &self.context())?;
        let code = Arc::new(Elsewhere { takes: takes.to_vec(), gives: gives.clone(), code: Shared(code) });
        if block.with.is_empty() {
            self.blocks.stage_codes.borrow_mut().insert(key, code.clone());
        }
        Ok(code)
    }

    /// Opens a process for each function in Rust that is about to be called.
    pub(super) fn open_functions(&self, functions: &[Function], context: &RunContext) -> Fallible<()> {
        for function in functions {
            let mut called = Vec::new();
            function.body.walk(&mut |part| {
                if let Node::ExternalFunction(code, _) = &part.node {
                    code.0.prepare(&context.stop);
                    called.push(Arc::as_ptr(&code.0).cast::<()>());
                }
            });
            for (code, block) in &*self.blocks.functions.borrow() {
                if !called.contains(&Arc::as_ptr(code).cast::<()>()) {
                    continue;
                }
                let mut worker = code.worker.lock().unwrap_or_else(PoisonError::into_inner);
                let fresh = self.rust.is_fresh(&block.library.borrow());
                if !fresh || worker.as_ref().is_none_or(|worker| !worker.is_alive()) {
                    *worker = None;
                    *worker = Some(self.open_block(block, self.engine(None)?, context)?);
                    // It may have been compiled once more.
                    let mut place = code.place.lock().unwrap_or_else(PoisonError::into_inner);
                    *place = block.library.borrow().place(&place.name);
                }
            }
        }
        Ok(())
    }

    /// What the processes of functions in Rust have cost, of those that were called, since this was last asked.
    pub(super) fn spent_by_functions(&self) -> Vec<measure::Cost> {
        let functions = self.blocks.functions.borrow();
        let spent = functions.iter().filter_map(|(code, _)| {
            let mut worker = code.worker.lock().unwrap_or_else(PoisonError::into_inner);
            let cost = worker.as_mut().filter(|worker| worker.is_alive())?.spent().ok()?;
            code.was_called.swap(false, Ordering::Relaxed).then_some(cost)
        });
        spent.collect()
    }

    /// Puts the tables of blocks and stores in their places, and opens the functions that are called.
    pub(super) fn fill_blocks(&self, plan: &mut Plan, context: &RunContext) -> Fallible<()> {
        self.open_functions(&plan.functions, context)?;
        for step in &mut plan.steps {
            if let BoundOp::Rust(number) = step.op {
                let block = self.blocks.bound.borrow()[number as usize].clone();
                let (given, _) = self.run_block(&block, context)?;
                let rust::BlockValue::Table(table) = given else {
                    return Err(Diagnostic::at(Kind::Type, block.span, "this Rust block no longer returns a table"));
                };
                step.op = BoundOp::Source(Source::Kept(Kept::new(Arc::new(table))));
            }
            Session::fill_store(step)?;
            self.fill_job(step, context)?;
            for inner in step.op.plans_mut() {
                self.fill_blocks(inner, context)?;
            }
        }
        Ok(())
    }

    /// Whether a cell is only looked at.
    pub(super) fn is_looking(&self) -> bool {
        self.blocks.looking.get()
    }

    /// What a cell would be, from the names that it would see: no Rust is compiled for it, and none runs.
    pub fn looking<T>(&mut self, look: impl FnOnce(&mut Session) -> T) -> T {
        let bound = self.blocks.bound.borrow().len();
        self.blocks.looking.set(true);
        let seen = look(self);
        self.blocks.looking.set(false);
        self.blocks.bound.borrow_mut().truncate(bound);
        seen
    }

    /// Whether Rust means the same in a compiled pipeline, which sees no variables and has items of its own.
    fn stands_alone(&self, text: &str, signature: &Signature) -> bool {
        let prelude = native::prelude();
        let is_ours = |item: &&String| {
            ["fn", "struct", "enum", "trait"].iter().any(|kind| prelude.contains(&format!("pub {kind} {item}")))
        };
        let (variables, items) = self.rust.known();
        let is_parameter = |name: &String| signature.takes.iter().any(|(parameter, _)| parameter == name);
        let variables = variables.iter().map(|(name, _)| name).filter(|name| !is_parameter(name));
        let mut others = variables.chain(items.iter().filter(is_ours));
        let in_name = |c: char| c == '_' || c.is_alphanumeric();
        let words: std::collections::HashSet<&str> = text.split(|c| !in_name(c)).collect();
        !others.any(|name| words.contains(name.as_str()))
    }

    fn must_run(&self) -> Fallible<()> {
        match self.blocks.looking.get() {
            true => Err(Diagnostic::new(Kind::Rust, "Rust is not compiled before its cell is entered")),
            false => Ok(()),
        }
    }

    /// Forgets what was compiled.
    pub fn reset_rust(&self, context: &RunContext) -> Fallible<()> {
        self.blocks.compiled.borrow_mut().clear();
        self.blocks.compared.borrow_mut().clear();
        self.rust.reset(context)
    }
}

impl Host for Session {
    fn open_rust(&self, plan: &Prepared, code: &GeneratedCode, context: &RunContext) -> Fallible<Box<dyn OpenPlan>> {
        let block = self.compile(vec![plan_part(plan, code)], context)?.remove(0);
        let worker = self.open_block(&block, Choice::only(engines::DEFAULT), context)?;
        Ok(Box::new(CompiledPlan { worker, block, plan: plan.clone() }))
    }
}

/// A plan in Rust, and the process that runs it.
struct CompiledPlan {
    worker: Worker,
    block: Rc<Block>,
    plan: Prepared,
}

impl OpenPlan for CompiledPlan {
    fn run(&mut self) -> Fallible<EngineOutput> {
        let CompiledPlan { worker, block, plan } = self;
        let (table, cost) = Session::call_plan(worker, block.subject, block, plan)?;
        let spent = vec![(RUST_PROCESS, worker.spent()?)];
        Ok(EngineOutput { table, steps: None, compile: Some(cost.compile), cost: spent })
    }
}

/// A subject, what goes into it, and its place.
pub(super) type Part = (BlockSource, Vec<(String, Filling)>, Span);

/// A block as a subject.
pub(super) fn block_part(scope: &dyn Scope, block: &RustBlock) -> Fallible<Part> {
    let (subject, inputs) = subject(scope, block)?;
    Ok((subject, inputs, block.body.span))
}

/// The places of inputs that are not shared.
fn own_places(subjects: &[BlockSource]) -> Vec<Vec<usize>> {
    let mut next = 0..;
    subjects.iter().map(|subject| next.by_ref().take(subject.inputs.len()).collect()).collect()
}

/// A plan in Rust as a subject.
pub(super) fn plan_part(plan: &Prepared, code: &GeneratedCode) -> Part {
    let names: Vec<&str> = code.inputs.iter().map(|input| input.name.as_str()).collect();
    let call = format!("native({})", names.join(", "));
    let call = if code.is_deep { on_deep_stack(&call) } else { call };
    let body = Text::default().ours(&format!("use timelab_cell::native::*;\n{}\n{call}", code.text));
    let form =
        |input: &native::Input| InputForm::Tuples(input.columns.iter().map(native::ValueLayout::given).collect());
    let inputs = code.inputs.iter().map(|input| Input { name: input.name.clone(), form: form(input) }).collect();
    let filling = |input: &native::Input| (input.name.clone(), Filling::Rows(input.table.clone()));
    let fillings = code.inputs.iter().map(filling).collect();
    let span = plan.source.span;
    (BlockSource { body, inputs, function: None }, fillings, span)
}

/// A call on a stack on which all calls fit that may be open.
fn on_deep_stack(call: &str) -> String {
    format!(
        "std::thread::scope(|scope| {{ let deep = std::thread::Builder::new().stack_size({}); \
         deep.spawn_scoped(scope, || {call}).expect(\"a thread starts\").join().expect(\"it ends\") }})",
        native::DEEP_STACK
    )
}

/// The fault of a compiled plan as the kind of error that it is on every engine.
fn fault(error: Box<Diagnostic>, plan: &Prepared) -> Box<Diagnostic> {
    let kind = match error.message.as_str() {
        "Err(Overflow)" => Kind::Overflow,
        "Err(ZeroDivision)" => Kind::ZeroDivision,
        "Err(Domain)" => Kind::Domain,
        "Err(Depth)" => Kind::Depth,
        "Err(Shape)" => Kind::Shape,
        "Err(File)" => Kind::File,
        _ => return error,
    };
    Diagnostic::at(kind, plan.span(), "the compiled plan ran into an error")
}

/// A block as a subject, and what goes into it.
fn subject(scope: &dyn Scope, block: &RustBlock) -> Fallible<(BlockSource, Vec<(String, Filling)>)> {
    rust::fetches_nothing(&block.body.text, block.body.span)?;
    let body = rust::block(&block.body.text, block.body.span);
    let (mut inputs, mut fillings) = (Vec::new(), Vec::new());
    for word in &block.with {
        let table = |plan: Arc<Plan>| {
            let mut schema = plan.schema().clone();
            schema.columns.iter_mut().for_each(|column| column.ty = column.ty.closed());
            (InputForm::Table(schema), Filling::Table(Box::new((*plan).clone())))
        };
        let (form, filling) = match scope.name(&word.text) {
            Some(Binding::Value(Value::Null, ..)) => {
                return Err(Diagnostic::at(
                    Kind::Type,
                    word.span,
                    format!("`{}` is null and cannot be passed to Rust", word.text),
                ));
            }
            Some(Binding::Value(value, ty, measured)) => {
                if measured {
                    scope.reads_measured();
                }
                (InputForm::Value(ty.closed()), Filling::Value(value))
            }
            Some(Binding::Table(plan) | Binding::Result { table: Some(plan), .. }) => {
                if plan.measured.is_anything() {
                    scope.reads_measured();
                }
                table(plan)
            }
            Some(Binding::Result { table: None, .. }) => {
                return Err(Diagnostic::at(Kind::Type, word.span, format!("`{}` has no table", word.text)));
            }
            None => {
                let names = scope.names();
                return Err(Diagnostic::at(Kind::Name, word.span, format!("unknown name `{}`", word.text))
                    .near(&word.text, names.iter().map(String::as_str)));
            }
        };
        inputs.push(Input { name: word.text.clone(), form });
        fillings.push((word.text.clone(), filling));
    }
    Ok((BlockSource { body, inputs, function: None }, fillings))
}

impl Session {
    /// The table of a result of Rust; a value is one row.
    pub fn rust_table(given: rust::BlockValue) -> Table {
        match given {
            rust::BlockValue::Table(table) => table,
            rust::BlockValue::Value(value, ty) => super::value_table(value, ty),
            rust::BlockValue::Text(text) => super::value_table(Value::text(&text), Type::Text),
            rust::BlockValue::Nothing => super::value_table(Value::Null, Type::Text),
        }
    }
}
