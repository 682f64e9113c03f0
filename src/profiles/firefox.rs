//! The JSON of the Firefox profiler, as samply writes it: tables of stacks, frames and functions for each thread.

use serde::Deserialize;
use serde_json::Value;

use super::speedscope::wrong;
use super::{Function, Profile, ReadError, Stacks, Unit};

#[derive(Deserialize)]
struct File {
    meta: Meta,
    threads: Vec<Thread>,
    #[serde(default)]
    libs: Vec<Library>,
    shared: Option<Shared>,
}

#[derive(Deserialize)]
struct Meta {
    /// Milliseconds between two samples.
    interval: f64,
    product: Option<String>,
}

#[derive(Deserialize)]
struct Library {
    name: Option<String>,
}

/// Newer versions keep the texts once for all threads.
#[derive(Deserialize)]
struct Shared {
    #[serde(rename = "stringArray", default)]
    strings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Thread {
    #[serde(default)]
    name: String,
    samples: Samples,
    stack_table: StackTable,
    frame_table: FrameTable,
    func_table: FuncTable,
    resource_table: Option<ResourceTable>,
    #[serde(default)]
    string_array: Vec<String>,
}

#[derive(Deserialize)]
struct Samples {
    stack: Vec<Option<usize>>,
    weight: Option<Vec<f64>>,
    #[serde(rename = "weightType")]
    weight_type: Option<String>,
}

#[derive(Deserialize)]
struct StackTable {
    frame: Vec<usize>,
    prefix: Vec<Option<usize>>,
}

#[derive(Deserialize)]
struct FrameTable {
    func: Vec<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FuncTable {
    name: Vec<usize>,
    #[serde(default)]
    resource: Vec<Value>,
    #[serde(default)]
    file_name: Vec<Value>,
    #[serde(default)]
    line_number: Vec<Value>,
}

#[derive(Deserialize)]
struct ResourceTable {
    #[serde(default)]
    lib: Vec<Value>,
    #[serde(default)]
    name: Vec<Value>,
}

/// No stack is longer.
const DEEPEST: usize = 10_000;

pub fn read(bytes: &[u8]) -> Result<Profile, ReadError> {
    let file: File = serde_json::from_slice(bytes).map_err(|error| wrong(bytes, &error))?;
    let mut stacks = Stacks::default();
    let shared: &[String] = file.shared.as_ref().map_or(&[], |shared| &shared.strings);
    let several = file.threads.iter().filter(|thread| !thread.samples.stack.is_empty()).count() > 1;
    let mut in_samples = false;
    let mut left_out = 0;
    for (number, thread) in file.threads.iter().enumerate() {
        let strings = if thread.string_array.is_empty() { shared } else { &thread.string_array };
        let place = |table: &str, at: usize| {
            ReadError::new(format!("thread {} (`{}`) has no {table} {at}", number + 1, thread.name))
        };
        let functions = functions(&file, thread, strings, &mut stacks).map_err(|(table, at)| place(table, at))?;
        let mut below = Vec::new();
        if several && !thread.samples.stack.is_empty() {
            below.push(stacks.function(Function::named(&thread.name)));
        }
        let weights = thread.samples.weight.as_ref();
        let by_time = thread.samples.weight_type.as_deref() == Some("tracing-ms");
        in_samples |= file.meta.interval <= 0.0;
        for (at, stack) in thread.samples.stack.iter().enumerate() {
            let Some(mut stack) = *stack else { continue };
            let mut frames = Vec::new();
            loop {
                let frame = *thread.stack_table.frame.get(stack).ok_or_else(|| place("stack", stack))?;
                let func = *thread.frame_table.func.get(frame).ok_or_else(|| place("frame", frame))?;
                frames.push(*functions.get(func).ok_or_else(|| place("function", func))?);
                if frames.len() > DEEPEST {
                    return Err(ReadError::new(format!("a stack of thread {} is deeper than {DEEPEST}", number + 1)));
                }
                match thread.stack_table.prefix.get(stack).copied().flatten() {
                    Some(prefix) => stack = prefix,
                    None => break,
                }
            }
            let weight = weights.and_then(|weights| weights.get(at)).copied().unwrap_or(1.0);
            if weight < 0.0 {
                left_out += 1;
                continue;
            }
            let weight = if by_time { weight / 1e3 } else { weight * file.meta.interval.max(0.0) / 1e3 };
            stacks.add(below.iter().copied().chain(frames.into_iter().rev()), weight);
        }
    }
    let product = file.meta.product.as_deref().unwrap_or("a sampler");
    let mut profile = stacks.profile("Firefox profiler", Unit::Seconds);
    profile.notes.push(format!("of {product}; a sample counts {} ms", file.meta.interval));
    if left_out > 0 {
        profile.notes.push(format!("{left_out} samples have a weight below zero and are left out"));
    }
    if in_samples {
        return Err(ReadError::new("its interval is not a positive time"));
    }
    Ok(profile)
}

/// The functions of a thread by their numbers; else the table and the number that is not there.
fn functions(
    file: &File,
    thread: &Thread,
    strings: &[String],
    stacks: &mut Stacks,
) -> Result<Vec<usize>, (&'static str, usize)> {
    let number = |value: Option<&Value>| value.and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok());
    let table = &thread.func_table;
    let mut all = Vec::new();
    for (at, name) in table.name.iter().enumerate() {
        let name = strings.get(*name).ok_or(("text", *name))?;
        let resource = number(table.resource.get(at));
        let resources = thread.resource_table.as_ref();
        let library = resources.zip(resource).and_then(|(resources, resource)| {
            let library = number(resources.lib.get(resource)).and_then(|library| file.libs.get(library)?.name.clone());
            library.or_else(|| strings.get(number(resources.name.get(resource))?).cloned())
        });
        let file_name = number(table.file_name.get(at)).and_then(|name| strings.get(name).cloned());
        let line = number(table.line_number.get(at)).and_then(|line| u32::try_from(line).ok());
        // Without symbols, a name is an address in its library.
        let is_address = name.strip_prefix("0x").is_some_and(|digits| digits.chars().all(|c| c.is_ascii_hexdigit()));
        let shown = match &library {
            Some(library) if is_address => format!("{library}+{name}"),
            _ => name.clone(),
        };
        let module = library.unwrap_or_default();
        all.push(stacks.function(Function { module, file: file_name, line, ..Function::named(&shown) }));
    }
    Ok(all)
}
