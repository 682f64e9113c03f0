//! The tasks of a round: map, merge and reduce. The same code does them in this process and in worker processes.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::data::{self, Order, Schema, Type};
use crate::diagnostic::Fallible;
use crate::kernel::phase::{Batches, Breaker, Spilling};
use crate::kernel::{Batch, Column, Data, Part, Partial, Rows, from_bytes, put_batch, to_bytes};
use crate::measure::{self, Clock, ThreadCpu};
use crate::plan::{Agg, AggFunc, Expr, Named, Node, Op, Step};
use crate::run_context::{Counters, RunContext, Spill};
use crate::schedule::stage::{Stage, without_source};
use crate::schedule::task::OpenStage;

use super::bad::{Bad, BadRow, is_of_row, without_bad};
use super::keys::TopKeys;
use super::spills::{Place, Spills, broken};

/// What the tasks of a round do.
pub struct Work {
    map: OpenStage,
    /// None where tasks give rows.
    shuffle: Option<Shuffle>,
    /// What becomes of rows with an error.
    bad: Bad,
}

pub struct Shuffle {
    /// A stage of one step, the breaker: what a map task has of it.
    combiner: OpenStage,
    /// The same for reduce tasks, which with keys also keep the place of the first row of each.
    reducer: OpenStage,
    /// What reduce tasks do with their groups: steps that take rows one by one, each with its place behind its columns.
    after: Option<OpenStage>,
    /// What reduce tasks give: with keys, the last column is the place.
    given: Vec<Type>,
    shape: Shape,
    /// None where what is handed over stays in memory.
    spills: Option<Spills>,
    /// Where reduce tasks write groups that do not fit into memory.
    spill: Option<Spill>,
}

/// How map tasks hand over what they have.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Shape {
    pub partitions: usize,
    pub is_keyed: bool,
    /// Whether a map task makes one pair of all pairs of a key.
    pub combine: bool,
    /// Whether the records of each key are counted: the last aggregate is their number.
    pub counted: bool,
    /// The bytes of pairs that a map task may hold.
    pub most: Option<u64>,
    /// The bytes that a reduce task may use before it writes groups.
    pub reduced_in: Option<u64>,
    /// Where what is handed over is written; else it stays in memory.
    pub folder: Option<PathBuf>,
}

/// What a map task hands over, and what it saw.
pub struct Mapped {
    /// For each partition; more than once where they do not fit into memory.
    pub pairs: Vec<Vec<Handed>>,
    pub seen: Seen,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Seen {
    pub records_in: u64,
    pub records: u64,
    /// What its parts took: map, combine, shuffle.
    pub took: [Took; 3],
    pub bad: Vec<BadRow>,
}

/// Time by the clock, and of the processor by the thread.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Took {
    pub wall: Duration,
    pub cpu: Duration,
}

/// When something has begun, by both.
struct Begun {
    wall: Instant,
    cpu: u64,
}

impl Begun {
    fn now() -> Begun {
        Begun { wall: Instant::now(), cpu: ThreadCpu.now() }
    }

    /// Adds what it took.
    fn add_to(&self, took: &mut Took) {
        took.wall += self.wall.elapsed();
        took.cpu += Duration::from_nanos(ThreadCpu.now().saturating_sub(self.cpu));
    }
}

impl Took {
    fn with(self, part: Took) -> Took {
        Took { wall: self.wall + part.wall, cpu: self.cpu + part.cpu }
    }

    fn without(self, part: Took) -> Took {
        Took { wall: self.wall.saturating_sub(part.wall), cpu: self.cpu.saturating_sub(part.cpu) }
    }
}

/// What comes of a partition.
pub struct Reduced {
    /// With keys, the last column is the place of the first row of each group, and the rows are in order of these.
    pub rows: Batch,
    pub seen: ReducedSeen,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ReducedSeen {
    /// The keys with the most records, where these are counted.
    pub top: TopKeys,
    /// Bytes of groups that were written.
    pub spilled: u64,
    /// Groups that were left out.
    pub bad: Vec<BadRow>,
}

/// What goes from one task to another.
#[derive(Clone)]
pub struct Handed {
    pub rows: u64,
    pub bytes: u64,
    /// The bytes that it takes in memory.
    pub held: u64,
    pairs: Where,
    /// Whether it is of a partial; else it has pairs as they are.
    pub is_partial: bool,
}

#[derive(Clone)]
enum Where {
    Memory(Batch),
    File(Place),
}

/// The place of a row in the round: the task in the upper bits, then its place in the task.
const TASK_BITS: u32 = 40;
/// What a map task holds is looked at after so many batches, or when the heap has grown by a quarter of what the task
/// may hold.
const LOOKED_BATCHES: usize = 8;
/// So many pairs wait at most to be divided among the partitions.
const MOST_WAITING: usize = 1 << 17;

impl Work {
    /// The work of a round of this stage and of steps that take its groups one by one. `shape` is told whether there
    /// are keys.
    ///
    /// # Errors
    /// Those of the right sides of joins.
    pub fn new(
        mut stage: Stage,
        after: &[Step],
        shape: impl FnOnce(bool) -> Shape,
        bad: Bad,
        context: &RunContext,
    ) -> Fallible<Work> {
        if !stage.has_partials() {
            return Ok(Work { map: OpenStage::new(stage, context)?, shuffle: None, bad });
        }
        let combines = stage.combines();
        let mut last = stage.tasks.steps.pop().expect("a stage with partials has a breaker at its end");
        let columns = stage.tasks.schema().clone();
        let is_keyed = matches!(&last.op, Op::Aggregate { keys, .. } if !keys.is_empty());
        let mut shape = shape(is_keyed);
        shape.combine &= combines;
        let after = (!after.is_empty()).then(|| {
            let steps = with_places(after, last.schema.columns.len());
            Stage::of_tasks(without_source(&placed_columns(&last.schema), steps, &stage.tasks.functions), false)
        });
        if let (true, Op::Aggregate { aggs, .. }) = (shape.counted, &mut last.op) {
            aggs.push(Agg { name: String::new(), func: AggFunc::Rows, arg: None, ty: Type::Int });
            last.schema = placed_columns(&last.schema);
        }
        let placed = placed(&last, &columns);
        let combiner = Stage::of_step(last, &columns, &stage);
        let reducer = match placed {
            Some((last, columns)) => Stage::of_step(last, &columns, &stage),
            None => combiner.clone(),
        };
        let map = Stage::of_tasks(stage.tasks, stage.pairs);
        Work::of_stages(map, Some(ShuffleStages { combiner, reducer, after, shape }), bad, context)
    }

    /// The same from its stages, as another process is told of them.
    ///
    /// # Errors
    /// As [`Work::new`].
    pub fn of_stages(map: Stage, shuffle: Option<ShuffleStages>, bad: Bad, context: &RunContext) -> Fallible<Work> {
        let shuffle = shuffle.map(|stages| Shuffle::new(stages, context));
        Ok(Work { map: OpenStage::new(map, context)?, shuffle: shuffle.transpose()?, bad })
    }

    pub fn map_stage(&self) -> &OpenStage {
        &self.map
    }

    pub fn shuffle(&self) -> Option<&Shuffle> {
        self.shuffle.as_ref()
    }

    pub fn bad(&self) -> Bad {
        self.bad
    }

    /// A map task of a round without a shuffle: what it saw, and its rows.
    ///
    /// # Errors
    /// What the steps run into.
    pub fn rows(&self, part: &Part) -> Fallible<(Seen, Vec<Batch>)> {
        let rows = |parts: &[Part]| {
            let mut batches = Vec::new();
            let mut seen = Seen::default();
            for part in parts {
                seen.records_in += self.map.run_into(part, &mut |batch| {
                    batches.push(batch);
                    Ok(())
                })?;
            }
            Ok((seen, batches))
        };
        let (mut given, bad) = self.without_bad(part, &rows)?;
        given.0.bad = bad;
        Ok(given)
    }

    /// A map task.
    ///
    /// # Errors
    /// What the steps run into, and files that cannot be written.
    pub fn map(&self, part: &Part, task: usize) -> Fallible<Mapped> {
        let (mut mapped, bad) = self.without_bad(part, &|parts| self.map_parts(parts, task))?;
        mapped.seen.bad = bad;
        Ok(mapped)
    }

    /// Works on a part; where rows with an error are to be left out and there are some, on the parts without them.
    fn without_bad<T>(&self, part: &Part, work: &dyn Fn(&[Part]) -> Fallible<T>) -> Fallible<(T, Vec<BadRow>)> {
        let context = self.map.context();
        let error = match Counters::attempt(|| work(std::slice::from_ref(part))) {
            (Err(error), _) if self.bad != Bad::Fail && is_of_row(&error) => error,
            (other, counted) => {
                context.counters.commit(&counted);
                return Ok((other?, Vec::new()));
            }
        };
        let source = &self.map.stage().tasks.source;
        // What is only tried counts nothing.
        let probe = |part: &Part| Counters::attempt(|| self.probe(part)).0;
        let (parts, bad) = without_bad(source, part, &error, context, &probe)?;
        Ok((work(&parts)?, bad))
    }

    /// Does what a task does with a part, and keeps nothing of it.
    fn probe(&self, part: &Part) -> Fallible<()> {
        let taken = self.map.run_into(part, &mut |batch| match &self.shuffle {
            Some(shuffle) => shuffle.probe(&batch),
            None => Ok(()),
        });
        taken.map(|_| ())
    }

    fn map_parts(&self, parts: &[Part], task: usize) -> Fallible<Mapped> {
        let begun = Begun::now();
        let shuffle = self.shuffle.as_ref().expect("map tasks with pairs are those of a round with a shuffle");
        let mut held = Held::new(shuffle, task)?;
        let mut pairs: Vec<Vec<Handed>> = (0..shuffle.shape.partitions).map(|_| Vec::new()).collect();
        let (mut records, mut batches) = (0, 0);
        let (mut mapping, mut taking, mut shuffling) = (Took::default(), Took::default(), Took::default());
        let mut hand_over = |held: &mut Held| -> Fallible<()> {
            let begun = Begun::now();
            let split = held.split()?.into_iter().enumerate();
            // Each partition has something, if it is of no rows.
            let wanted = split.filter(|(partition, batch)| pairs[*partition].is_empty() || batch.rows > 0);
            let (partitions, batches): (Vec<usize>, Vec<Batch>) = wanted.unzip();
            let handed = shuffle.hand_over(batches, shuffle.shape.combine)?;
            partitions.into_iter().zip(handed).for_each(|(partition, handed)| pairs[partition].push(handed));
            begun.add_to(&mut shuffling);
            Ok(())
        };
        let (mut records_in, mut live) = (0, measure::live());
        for part in parts {
            records_in += self.map.run_into(part, &mut |batch| {
                records += batch.rows as u64;
                batches += 1;
                let begun = Begun::now();
                if self.bad != Bad::Fail && !shuffle.shape.combine {
                    // What is wrong with a pair shows only where it is reduced.
                    shuffle.probe(&batch)?;
                }
                held.take(batch)?;
                begun.add_to(&mut taking);
                let Some(most) = shuffle.shape.most else { return Ok(()) };
                if batches % LOOKED_BATCHES != 0 && measure::live().saturating_sub(live) < most / 4 {
                    return Ok(());
                }
                if held.size() > most {
                    hand_over(&mut held)?;
                }
                live = measure::live();
                Ok(())
            })?;
        }
        hand_over(&mut held)?;
        begun.add_to(&mut mapping);
        let mapping = mapping.without(taking).without(shuffling);
        let took = match shuffle.shape.combine {
            true => [mapping, taking, shuffling],
            false => [mapping, Took::default(), taking.with(shuffling)],
        };
        Ok(Mapped { pairs, seen: Seen { records_in, records, took, bad: Vec::new() } })
    }
}

/// What a [`Shuffle`] is made of.
pub struct ShuffleStages {
    pub combiner: Stage,
    pub reducer: Stage,
    pub after: Option<Stage>,
    pub shape: Shape,
}

impl Shuffle {
    fn new(stages: ShuffleStages, context: &RunContext) -> Fallible<Shuffle> {
        let ShuffleStages { combiner, reducer, after, shape } = stages;
        let of_groups = reducer.tasks.schema();
        let mut given: Vec<Type> = of_groups.columns.iter().map(|column| column.ty.clone()).collect();
        if shape.counted {
            given.remove(given.len() - 2);
        }
        if let Some(after) = &after {
            given = after.tasks.schema().columns.iter().map(|column| column.ty.clone()).collect();
        }
        let open = |stage| OpenStage::new(stage, context);
        let (combiner, reducer, after) = (open(combiner)?, open(reducer)?, after.map(open).transpose()?);
        let folder = shape.folder.clone();
        let spill = shape.reduced_in.filter(|_| shape.is_keyed).zip(folder.clone());
        let spill = spill.map(|(bytes, folder)| Spill::of_task(bytes, folder));
        Ok(Shuffle { combiner, reducer, after, given, shape, spills: folder.map(Spills::new), spill })
    }

    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The types of what reduce tasks give, but for the place.
    pub fn given(&self) -> &[Type] {
        &self.given[..self.given.len() - usize::from(self.shape.is_keyed)]
    }

    /// What reduce tasks do with their groups.
    pub fn after(&self) -> Option<&OpenStage> {
        self.after.as_ref()
    }

    pub fn combiner(&self) -> &OpenStage {
        &self.combiner
    }

    pub fn reducer(&self) -> &OpenStage {
        &self.reducer
    }

    /// Makes one of what several tasks have of a partition.
    ///
    /// # Errors
    /// Files that cannot be read or written, and what the breaker runs into.
    pub fn merge(&self, handed: &[Handed]) -> Fallible<Handed> {
        let merged = self.taken(handed, self.reducer.context())?.into_breaker().expect(NOT_WRITTEN);
        let handed = self.hand_over(vec![merged.columns()?], true)?;
        Ok(handed.into_iter().next().expect("one batch was handed over"))
    }

    /// Takes pairs, and keeps nothing of them.
    fn probe(&self, batch: &Batch) -> Fallible<()> {
        let mut partial = self.combiner.no_partial()?.expect("its only step is a breaker");
        self.combiner.fill(&mut partial, batch)
    }

    /// The groups of a partition, or all of its rows.
    ///
    /// # Errors
    /// As [`Shuffle::merge`].
    pub fn groups(&self, handed: &[Handed]) -> Fallible<Batch> {
        let mut all = self.taken(handed, self.reducer.context())?.into_breaker().expect(NOT_WRITTEN);
        all.settle()?;
        all.finish()
    }

    /// What comes of a partition. Groups that do not fit into memory are written, and come part by part. Those that are
    /// an error in the steps that take them are left out where `bad` says so.
    ///
    /// # Errors
    /// As [`Shuffle::merge`]; and one group that does not fit.
    pub fn reduce(&self, handed: &[Handed], bad: Bad) -> Fallible<Reduced> {
        if bad == Bad::Fail || self.after.is_none() {
            return self.reduced(handed, false);
        }
        match Counters::attempt(|| self.reduced(handed, false)) {
            (Err(error), _) if is_of_row(&error) => self.reduced(handed, true),
            (reduced, counted) => {
                self.reducer.context().counters.commit(&counted);
                reduced
            }
        }
    }

    fn reduced(&self, handed: &[Handed], leaves_out: bool) -> Fallible<Reduced> {
        let (top, bad) = (RefCell::new(TopKeys::default()), RefCell::new(Vec::new()));
        let context = RunContext { spill: self.spill.as_ref().map(Spill::anew), ..self.reducer.context().clone() };
        let groups = self.taken(handed, &context)?;
        let was_written = groups.has_written();
        let rows = if self.after.is_none() && !was_written {
            let mut all = groups.into_breaker().expect(NOT_WRITTEN);
            all.settle()?;
            self.counted(all.finish()?, &top)
        } else {
            let groups = Counted { groups: groups.batches(false)?, shuffle: self, top: &top };
            let mut batches: Box<dyn Batches + '_> = match &self.after {
                Some(after) if leaves_out => Box::new(WithoutBad { groups, after, bad: &bad, ready: VecDeque::new() }),
                Some(after) => Box::new(after.over(Box::new(groups))?),
                None => Box::new(groups),
            };
            let mut rows = Rows::new(&self.given);
            while let Some(batch) = batches.next()? {
                rows.push(&batch)?;
            }
            drop(batches);
            if was_written { by_place(&rows.finish()) } else { rows.finish() }
        };
        let spilled = context.spill.map_or(0, |spill| spill.written().0);
        Ok(Reduced { rows, seen: ReducedSeen { top: top.into_inner(), spilled, bad: bad.into_inner() } })
    }

    /// Groups without the records of each, which are counted.
    fn counted(&self, mut groups: Batch, top: &RefCell<TopKeys>) -> Batch {
        if self.shape.counted {
            let counts = groups.columns.remove(groups.columns.len() - 2);
            top.borrow_mut().take(&groups, self.combiner.stage().keys_count(), &counts);
        }
        groups
    }

    /// What the breaker has of a partition.
    fn taken<'s>(&'s self, handed: &[Handed], context: &'s RunContext) -> Fallible<Spilling<'s>> {
        let mut all = self.reducer.merged(context)?.expect("its only step is a breaker");
        for handed in handed {
            let batch = self.receive(handed)?;
            if handed.is_partial {
                all.take_columns(batch, context)?;
                continue;
            }
            for start in (0..batch.rows).step_by(context.chunk_sizes.rows) {
                context.check()?;
                let rows = context.chunk_sizes.rows.min(batch.rows - start);
                self.reducer.fill_spilling(&mut all, &batch.part(start, rows))?;
            }
        }
        Ok(all)
    }

    /// Puts what a task gives to others where these find it.
    fn hand_over(&self, batches: Vec<Batch>, is_partial: bool) -> Fallible<Vec<Handed>> {
        let sizes: Vec<(u64, u64)> = batches.iter().map(|batch| (batch.rows as u64, batch.bytes())).collect();
        let handed = |(rows, held), bytes, pairs| Handed { rows, bytes, held, pairs, is_partial };
        let Some(spills) = &self.spills else {
            let batches = sizes.into_iter().zip(batches);
            return Ok(batches.map(|(sizes, batch)| handed(sizes, sizes.1, Where::Memory(batch))).collect());
        };
        let places = spills.write(batches.into_iter(), &self.reducer.context().stop)?;
        let places = sizes.into_iter().zip(places);
        Ok(places.map(|(sizes, place)| handed(sizes, place.bytes, Where::File(place))).collect())
    }

    fn receive(&self, handed: &Handed) -> Fallible<Batch> {
        match &handed.pairs {
            Where::Memory(batch) => Ok(batch.clone()),
            Where::File(place) => self.spills.as_ref().ok_or_else(broken)?.read(place),
        }
    }
}

impl Handed {
    /// The bytes that it has in a file.
    pub fn spilled(&self) -> u64 {
        match &self.pairs {
            Where::Memory(_) => 0,
            Where::File(place) => place.bytes,
        }
    }
}

/// The same aggregate by keys, which also keeps the place of the first row of each; and the columns that it takes.
fn placed(last: &Step, columns: &Schema) -> Option<(Step, Schema)> {
    let mut last = last.clone();
    let Op::Aggregate { keys, aggs } = &mut last.op else { return None };
    if keys.is_empty() {
        return None;
    }
    let place = Expr::new(Node::Column(columns.columns.len()), Type::Int, last.span);
    aggs.push(Agg { name: String::new(), func: AggFunc::Min, arg: Some(place), ty: Type::Int });
    last.schema = placed_columns(&last.schema);
    Some((last, placed_columns(columns)))
}

/// Columns with one of places, or of other numbers, behind them.
fn placed_columns(columns: &Schema) -> Schema {
    let place = data::Column { name: String::new(), ty: Type::Int };
    Schema::new(columns.columns.iter().cloned().chain([place]).collect(), Order::Kept)
}

/// Steps that take rows of so many columns one by one, where the place of each stands behind its columns.
fn with_places(steps: &[Step], mut width: usize) -> Vec<Step> {
    let mut placed = steps.to_vec();
    for step in &mut placed {
        if let Op::Project(named) | Op::Explode(named) = &mut step.op {
            let place = Expr::new(Node::Column(width), Type::Int, step.span);
            named.push(Named { name: String::new(), expr: place });
        }
        width = step.schema.columns.len();
        step.schema = placed_columns(&step.schema);
    }
    placed
}

/// The place that a row has in a column of places.
pub fn place_at(places: &Column, row: usize) -> i64 {
    match &places.data {
        Data::Int(ints) => *ints.slots.at(row),
        Data::Float(_) | Data::Bool(_) | Data::Text(_) | Data::List(_) => unreachable!("places are ints"),
    }
}

/// Rows in order of the places that are their last column.
fn by_place(rows: &Batch) -> Batch {
    let Some(places) = rows.columns.last() else { return rows.clone() };
    let mut order: Vec<u32> = (0..rows.rows as u32).collect();
    order.sort_by_key(|row| place_at(places, *row as usize));
    rows.gathered(&order)
}

/// Without a budget nothing is written.
const NOT_WRITTEN: &str = "nothing was written";

/// Groups of a partition, whose records are counted as they pass.
struct Counted<'s> {
    groups: Box<dyn Batches + 's>,
    shuffle: &'s Shuffle,
    top: &'s RefCell<TopKeys>,
}

impl Batches for Counted<'_> {
    fn next(&mut self) -> Fallible<Option<Batch>> {
        Ok(self.groups.next()?.map(|groups| self.shuffle.counted(groups, self.top)))
    }
}

/// What steps give that take groups one by one, without the groups that are an error there.
struct WithoutBad<'s> {
    groups: Counted<'s>,
    after: &'s OpenStage,
    bad: &'s RefCell<Vec<BadRow>>,
    ready: VecDeque<Batch>,
}

impl Batches for WithoutBad<'_> {
    fn next(&mut self) -> Fallible<Option<Batch>> {
        while self.ready.is_empty()
            && let Some(groups) = self.groups.next()?
        {
            self.take(groups)?;
        }
        Ok(self.ready.pop_front())
    }
}

impl WithoutBad<'_> {
    /// Where there is an error, both halves are tried, down to the group that it is of.
    fn take(&mut self, groups: Batch) -> Fallible<()> {
        let context = self.after.context();
        context.check()?;
        let (given, counted) = Counters::attempt(|| {
            let mut stream = self.after.over(Box::new(Once(Some(groups.clone()))))?;
            std::iter::from_fn(|| stream.next().transpose()).collect::<Fallible<Vec<Batch>>>()
        });
        match given {
            Ok(batches) => {
                context.counters.commit(&counted);
                self.ready.extend(batches);
                Ok(())
            }
            Err(error) if !is_of_row(&error) => Err(error),
            Err(error) if groups.rows == 1 => {
                self.bad.borrow_mut().push(BadRow::of_group(&groups, error.message));
                Ok(())
            }
            Err(_) => {
                let half = groups.rows / 2;
                self.take(groups.part(0, half))?;
                self.take(groups.part(half, groups.rows - half))
            }
        }
    }
}

/// One batch.
struct Once(Option<Batch>);

impl Batches for Once {
    fn next(&mut self) -> Fallible<Option<Batch>> {
        Ok(self.0.take())
    }
}

/// What a map task holds of its pairs.
struct Held<'s> {
    shuffle: &'s Shuffle,
    /// Without a combiner it stays empty: it knows to which partition a pair belongs.
    partial: Breaker<'s>,
    /// Where they are not combined: pairs that were not divided among the partitions yet, and the partition of each.
    /// To divide many at once costs less than batch after batch.
    waiting: Rows,
    places: Vec<u32>,
    /// The pairs of each partition.
    rows: Vec<Rows>,
    /// The place of the next pair or group.
    place: i64,
}

impl<'s> Held<'s> {
    fn new(shuffle: &'s Shuffle, task: usize) -> Fallible<Held<'s>> {
        let partial = shuffle.combiner.no_partial()?.expect("its only step is a breaker");
        let place = (task as i64) << TASK_BITS;
        let (waiting, places) = (Held::no_rows(shuffle), Vec::new());
        Ok(Held { shuffle, partial, waiting, places, rows: Vec::new(), place })
    }

    fn no_rows(shuffle: &Shuffle) -> Rows {
        Rows::of(&shuffle.reducer.stage().tasks.source.schema)
    }

    fn take(&mut self, mut batch: Batch) -> Fallible<()> {
        let Shape { combine, partitions, is_keyed, .. } = self.shuffle.shape;
        if combine {
            return self.shuffle.combiner.fill(&mut self.partial, &batch);
        }
        let places = self.shuffle.combiner.places(&self.partial, &batch, partitions)?;
        self.places.extend(places.into_iter().map(|place| place as u32));
        if is_keyed {
            batch.columns.push(Column::ints((self.place..).take(batch.rows).collect(), None));
            self.place += batch.rows as i64;
        }
        self.waiting.push(&batch)?;
        if self.waiting.count() < MOST_WAITING {
            return Ok(());
        }
        let parts = self.divided();
        if self.rows.is_empty() {
            self.rows = parts.iter().map(|_| Held::no_rows(self.shuffle)).collect();
        }
        self.rows.iter_mut().zip(&parts).try_for_each(|(rows, part)| rows.push(part))
    }

    /// The pairs that wait, by partition.
    fn divided(&mut self) -> Vec<Batch> {
        let all = std::mem::replace(&mut self.waiting, Held::no_rows(self.shuffle)).finish();
        let places = std::mem::take(&mut self.places);
        if self.shuffle.shape.partitions == 1 {
            return vec![all];
        }
        let mut of_part: Vec<Vec<u32>> = vec![Vec::new(); self.shuffle.shape.partitions];
        places.into_iter().enumerate().for_each(|(row, part)| of_part[part as usize].push(row as u32));
        of_part.iter().map(|rows| all.gathered(rows)).collect()
    }

    fn size(&self) -> u64 {
        let rows = self.rows.iter().chain([&self.waiting]).map(|rows| rows.size() as u64).sum::<u64>();
        self.partial.size() as u64 + size_of_val(&self.places[..]) as u64 + rows
    }

    /// For each partition what it has so far; then it has nothing.
    fn split(&mut self) -> Fallible<Vec<Batch>> {
        let Shape { combine, partitions, is_keyed, .. } = self.shuffle.shape;
        if !combine {
            let parts = self.divided();
            let mut rows = std::mem::take(&mut self.rows);
            if rows.is_empty() {
                return Ok(parts);
            }
            rows.iter_mut().zip(&parts).try_for_each(|(rows, part)| rows.push(part))?;
            return Ok(rows.into_iter().map(Rows::finish).collect());
        }
        let empty = self.shuffle.combiner.no_partial()?.expect("its only step is a breaker");
        let mut partial = std::mem::replace(&mut self.partial, empty);
        if !is_keyed {
            partial.settle()?;
            return partial.split(partitions);
        }
        let (parts, count) = partial.split_numbered(partitions, self.place)?;
        self.place += count as i64;
        Ok(parts)
    }
}

/// What is handed over, as a message says it; the batches stand one after the other in the bytes beside it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sent {
    rows: u64,
    bytes: u64,
    held: u64,
    is_partial: bool,
    pairs: SentPairs,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum SentPairs {
    /// So many of the bytes.
    Beside(usize),
    File(Place),
}

impl Sent {
    pub fn of(handed: &Handed, out: &mut Vec<u8>) -> Sent {
        let pairs = match &handed.pairs {
            Where::File(place) => SentPairs::File(place.clone()),
            Where::Memory(batch) => {
                let before = out.len();
                put_batch(batch, out);
                SentPairs::Beside(out.len() - before)
            }
        };
        let Handed { rows, bytes, held, is_partial, .. } = *handed;
        Sent { rows, bytes, held, is_partial, pairs }
    }

    /// Takes what it has from the start of the bytes.
    fn received(self, from: &mut &[u8]) -> Fallible<Handed> {
        let Sent { rows, bytes, held, is_partial, pairs } = self;
        let pairs = match pairs {
            SentPairs::File(place) => Where::File(place),
            SentPairs::Beside(length) => {
                let (here, rest) = from.split_at_checked(length).ok_or_else(broken)?;
                *from = rest;
                Where::Memory(from_bytes(here).ok_or_else(broken)?)
            }
        };
        Ok(Handed { rows, bytes, held, pairs, is_partial })
    }
}

/// A task as another process is told of it.
#[derive(Debug, Serialize, Deserialize)]
pub enum Task {
    Rows { part: Part },
    Map { part: Part, task: usize },
    Merge { handed: Vec<Sent> },
    Reduce { handed: Vec<Sent> },
}

/// What it gave, beside bytes.
#[derive(Debug, Serialize, Deserialize)]
pub enum Given {
    /// One batch for all.
    Rows(Seen),
    Mapped {
        pairs: Vec<Vec<Sent>>,
        seen: Seen,
    },
    Merged(Sent),
    /// One batch.
    Reduced(ReducedSeen),
}

impl Work {
    /// Does a task that another process asks for.
    ///
    /// # Errors
    /// Those of the task.
    pub fn done(&self, task: Task, mut bytes: &[u8]) -> Fallible<(Given, Vec<u8>)> {
        let shuffle = || self.shuffle.as_ref().ok_or_else(broken);
        let mut received = |handed: Vec<Sent>| -> Fallible<Vec<Handed>> {
            handed.into_iter().map(|sent| sent.received(&mut bytes)).collect()
        };
        match task {
            Task::Rows { part } => {
                let (seen, batches) = self.rows(&part)?;
                let mut rows = Rows::of(self.map.stage().tasks.schema());
                batches.iter().try_for_each(|batch| rows.push(batch))?;
                Ok((Given::Rows(seen), to_bytes(&rows.finish())))
            }
            Task::Map { part, task } => Ok(self.map(&part, task)?.sent()),
            Task::Merge { handed } => {
                let merged = shuffle()?.merge(&received(handed)?)?;
                let mut out = Vec::new();
                Ok((Given::Merged(Sent::of(&merged, &mut out)), out))
            }
            Task::Reduce { handed } => {
                let Reduced { rows, seen } = shuffle()?.reduce(&received(handed)?, self.bad)?;
                Ok((Given::Reduced(seen), to_bytes(&rows)))
            }
        }
    }
}

impl Mapped {
    /// As a message.
    pub fn sent(&self) -> (Given, Vec<u8>) {
        let mut bytes = Vec::new();
        let sent = |handed: &Vec<Handed>, bytes: &mut Vec<u8>| handed.iter().map(|one| Sent::of(one, bytes)).collect();
        let pairs = self.pairs.iter().map(|handed| sent(handed, &mut bytes)).collect();
        (Given::Mapped { pairs, seen: self.seen.clone() }, bytes)
    }
}

impl Given {
    /// # Errors
    /// It is what another kind of task gives, or is broken.
    pub fn into_mapped(self, mut bytes: &[u8]) -> Fallible<Mapped> {
        let Given::Mapped { pairs, seen } = self else { return Err(broken()) };
        let mut received =
            |sent: Vec<Sent>| sent.into_iter().map(|sent| sent.received(&mut bytes)).collect::<Fallible<Vec<Handed>>>();
        let pairs = pairs.into_iter().map(&mut received).collect::<Fallible<_>>()?;
        Ok(Mapped { pairs, seen })
    }

    /// # Errors
    /// As [`Given::into_mapped`].
    pub fn into_rows(self, bytes: &[u8]) -> Fallible<(Seen, Vec<Batch>)> {
        let Given::Rows(seen) = self else { return Err(broken()) };
        Ok((seen, vec![from_bytes(bytes).ok_or_else(broken)?]))
    }

    /// # Errors
    /// As [`Given::into_mapped`].
    pub fn into_merged(self, mut bytes: &[u8]) -> Fallible<Handed> {
        let Given::Merged(sent) = self else { return Err(broken()) };
        sent.received(&mut bytes)
    }

    /// # Errors
    /// As [`Given::into_mapped`].
    pub fn into_reduced(self, bytes: &[u8]) -> Fallible<Reduced> {
        let Given::Reduced(seen) = self else { return Err(broken()) };
        Ok(Reduced { rows: from_bytes(bytes).ok_or_else(broken)?, seen })
    }
}
