//! What every Rust cell is linked with: a crate of its own, written beside the cells and compiled once. It depends on
//! nothing but the standard library. It brings results into the form of tables, takes tables in, and answers the runner
//! that loaded the cell (the process that this code runs in).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, VecDeque};
use std::ffi::c_void;
use std::fmt::Debug;
use std::hint::black_box;
use std::io::Write;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

// ---- what the runner offers -----------------------------------------------------------------------------------------

/// The runner's functions; its address is in the environment. The runner has the same declaration.
#[repr(C)]
pub struct Api {
    pub serve: extern "C" fn(subjects: *mut c_void, table: *const Answers),
    pub called: extern "C" fn(),
    pub reply: extern "C" fn(bytes: *const u8, length: usize),
    pub input: extern "C" fn(number: u32, length: *mut usize) -> *const u8,
    pub store: extern "C" fn() -> *mut *mut c_void,
    pub kept: extern "C" fn(told: *const u8, length: usize),
    pub failed: extern "C" fn(message: *const u8, length: usize, line: u32, column: u32),
    pub fatal: extern "C" fn(),
}

/// What the runner may ask of the subjects of a cell.
#[repr(C)]
pub struct Answers {
    pub run: extern "C" fn(subjects: *mut c_void, subject: u32, calls: u64),
    pub call: extern "C" fn(subjects: *mut c_void, subject: u32),
    pub shape: extern "C" fn(subjects: *mut c_void, subject: u32),
    pub apply: extern "C" fn(subjects: *mut c_void, subject: u32, arguments: *const u8, length: usize),
    pub flush: extern "C" fn(),
}

fn api() -> &'static Api {
    static ADDRESS: OnceLock<usize> = OnceLock::new();
    let address = *ADDRESS.get_or_init(|| {
        let address = std::env::var("TIMELAB_API").expect("the runner sets it");
        address.parse().expect("it is an address")
    });
    // SAFETY: the runner, whose process this is, put the address of a static there.
    unsafe { &*(address as *const Api) }
}

unsafe extern "C" {
    fn gettid() -> i32;
}

/// Takes over what a panic tells; once for the process.
pub fn install() {
    std::panic::set_hook(Box::new(|info| {
        let message = info.payload_as_str().unwrap_or("a value that is not a text");
        if message == "panic in a function that cannot unwind" {
            let _ = std::io::stdout().flush();
            (api().fatal)();
        }
        let place = info.location().filter(|place| place.file().ends_with("src/lib.rs"));
        failed(&format!("panic: {message}"), place.map_or((0, 0), |place| (place.line(), place.column())));
        // What happens on the cell's own thread is told with its outcome.
        // SAFETY: a system call without arguments.
        if unsafe { gettid() } as u32 != std::process::id() {
            eprintln!("a thread of the cell panicked: {message}");
        }
    }));
}

/// Ends a cell: what it printed goes out.
pub fn end() {
    let _ = std::io::stdout().flush();
}

/// Ends a cell that a `?` may have left.
pub fn finish(result: Result<(), Box<dyn std::error::Error>>) {
    if let Err(error) = result {
        failed(&format!("a `?` ended the cell: {error}"), (0, 0));
        end();
        (api().fatal)();
    }
    end();
}

/// Notes what is going wrong, and in which line and column of the compiled text.
fn failed(message: &str, (line, column): (u32, u32)) {
    (api().failed)(message.as_ptr(), message.len(), line, column);
}

// ---- variables ------------------------------------------------------------------------------------------------------

type Store = HashMap<String, Box<dyn std::any::Any>>;

fn store() -> &'static mut Store {
    // SAFETY: the runner keeps the place; cells run one after the other, on the thread that asks.
    unsafe {
        let place = (api().store)();
        if (*place).is_null() {
            *place = Box::into_raw(Box::<Store>::default()).cast();
        }
        &mut *(*place).cast::<Store>()
    }
}

/// Takes the variable of an earlier cell.
pub fn take<T: 'static>(name: &str) -> T {
    let value = taken(name).unwrap_or_else(|| panic!("the variable `{name}` is not there any more"));
    *value.downcast().unwrap_or_else(|value| {
        put_by(name, value);
        panic!("the variable `{name}` has an old type, because its type was defined again")
    })
}

/// Looks for a name here, not in the cell: there the compiler inlines what hashes only where nothing else calls it.
#[inline(never)]
fn taken(name: &str) -> Option<Box<dyn std::any::Any>> {
    store().remove(name)
}

/// Puts a value under a name, here and not in the cell for the same reason.
#[inline(never)]
fn put_by(name: &str, value: Box<dyn std::any::Any>) {
    store().insert(name.to_string(), value);
}

/// Keeps a variable for later cells, where its type has a name.
pub fn keep<T: 'static>(name: &str, value: T) {
    let ty = std::any::type_name::<T>();
    if !ty.contains("{{") && !ty.contains("run_user_code") {
        put_by(name, Box::new(value));
        let told = format!("{name} {ty}");
        (api().kept)(told.as_ptr(), told.len());
    }
}

// ---- results --------------------------------------------------------------------------------------------------------

/// What comes out of a subject: what it says of itself, and its bytes.
pub struct Form<T> {
    /// `value TYPE`, `rows ordered|any NAME TYPE …`, `text` or `nothing`.
    pub shape: fn() -> String,
    pub put: fn(&T, &mut Out),
}

/// The bytes of a result, and what cannot be said in them.
#[derive(Default)]
pub struct Out {
    pub bytes: Vec<u8>,
    pub wrong: Option<String>,
}

impl Out {
    fn word(&mut self, word: u64) {
        self.bytes.extend_from_slice(&word.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.word(text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
    }
}

/// A value of one column. A byte before each value tells whether it is there.
pub trait Item {
    fn ty() -> String;
    fn put(&self, out: &mut Out);
}

/// The columns of one row.
pub trait Row {
    fn columns(names: &mut Vec<(String, String)>);
    fn put(&self, out: &mut Out);
}

macro_rules! items {
    ($([$($generics:tt)*] $type:ty: $ty:expr, $self:ident, $out:ident => $put:expr;)*) => {$(
        impl<$($generics)*> Item for $type {
            fn ty() -> String { $ty }
            fn put(&$self, $out: &mut Out) { $put }
        }
        impl<$($generics)*> Row for $type {
            fn columns(names: &mut Vec<(String, String)>) { names.push(("it".to_string(), <Self as Item>::ty())) }
            fn put(&self, out: &mut Out) { Item::put(self, out) }
        }
    )*};
}

macro_rules! ints {
    ($($type:ty)*) => {items! {$(
        [] $type: "int".to_string(), self, out => match i64::try_from(*self) {
            Ok(int) => { out.bytes.push(1); out.word(int as u64) }
            Err(_) => out.wrong = Some(format!("{self} is beyond int")),
        };
    )*}};
}

ints!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);

fn put_text(text: &str, out: &mut Out) {
    out.bytes.push(1);
    out.text(text);
}

fn put_list<'a, T: Item + 'a>(length: usize, items: impl Iterator<Item = &'a T>, out: &mut Out) {
    out.bytes.push(1);
    out.word(length as u64);
    items.for_each(|item| item.put(out));
}

fn list<T: Item>() -> String {
    format!("list<{}>", T::ty())
}

items! {
    [] f64: "float".to_string(), self, out => { out.bytes.push(1); out.word(self.to_bits()) };
    [] f32: "float".to_string(), self, out => { out.bytes.push(1); out.word(f64::from(*self).to_bits()) };
    [] bool: "bool".to_string(), self, out => out.bytes.extend([1, u8::from(*self)]);
    [] char: "text".to_string(), self, out => put_text(self.encode_utf8(&mut [0; 4]), out);
    [] String: "text".to_string(), self, out => put_text(self, out);
    ['a] &'a str: "text".to_string(), self, out => put_text(self, out);
    [] Box<str>: "text".to_string(), self, out => put_text(self, out);
    ['a] Cow<'a, str>: "text".to_string(), self, out => put_text(self, out);
    [T: Item] Option<T>: T::ty(), self, out => match self {
        Some(item) => item.put(out),
        None => out.bytes.push(0),
    };
    [T: Item] Vec<T>: list::<T>(), self, out => put_list(self.len(), self.iter(), out);
    ['a, T: Item] &'a [T]: list::<T>(), self, out => put_list(self.len(), self.iter(), out);
    [T: Item, const N: usize] [T; N]: list::<T>(), self, out => put_list(N, self.iter(), out);
    [T: Item] VecDeque<T>: list::<T>(), self, out => put_list(self.len(), self.iter(), out);
    [T: Item] BTreeSet<T>: list::<T>(), self, out => put_list(self.len(), self.iter(), out);
    [T: Item] Box<T>: T::ty(), self, out => Item::put(&**self, out);
    [T: Item] Rc<T>: T::ty(), self, out => Item::put(&**self, out);
    [T: Item] Arc<T>: T::ty(), self, out => Item::put(&**self, out);
    ['a, T: Item] &'a T: T::ty(), self, out => Item::put(*self, out);
}

macro_rules! tuples {
    ($(($($letter:ident $name:literal $index:tt),+))*) => {$(
        impl<$($letter: Item),+> Row for ($($letter,)+) {
            fn columns(names: &mut Vec<(String, String)>) {
                $(names.push(($name.to_string(), $letter::ty()));)+
            }
            fn put(&self, out: &mut Out) { $(self.$index.put(out);)+ }
        }
        impl<$($letter: Item),+> Output for ($($letter,)+) {
            fn shape() -> String { rows::<Self>("ordered") }
            fn put(&self, out: &mut Out) { put_rows(1, std::iter::once(self), out) }
        }
    )*};
}

tuples! {
    (A "a" 0)
    (A "a" 0, B "b" 1)
    (A "a" 0, B "b" 1, C "c" 2)
    (A "a" 0, B "b" 1, C "c" 2, D "d" 3)
    (A "a" 0, B "b" 1, C "c" 2, D "d" 3, E "e" 4)
    (A "a" 0, B "b" 1, C "c" 2, D "d" 3, E "e" 4, F "f" 5)
    (A "a" 0, B "b" 1, C "c" 2, D "d" 3, E "e" 4, F "f" 5, G "g" 6)
    (A "a" 0, B "b" 1, C "c" 2, D "d" 3, E "e" 4, F "f" 5, G "g" 6, H "h" 7)
    (A "a" 0, B "b" 1, C "c" 2, D "d" 3, E "e" 4, F "f" 5, G "g" 6, H "h" 7, I "i" 8)
    (A "a" 0, B "b" 1, C "c" 2, D "d" 3, E "e" 4, F "f" 5, G "g" 6, H "h" 7, I "i" 8, J "j" 9)
    (A "a" 0, B "b" 1, C "c" 2, D "d" 3, E "e" 4, F "f" 5, G "g" 6, H "h" 7, I "i" 8, J "j" 9, K "k" 10)
    (A "a" 0, B "b" 1, C "c" 2, D "d" 3, E "e" 4, F "f" 5, G "g" 6, H "h" 7, I "i" 8, J "j" 9, K "k" 10, L "l" 11)
}

/// A whole result: a value, or a table.
pub trait Output {
    fn shape() -> String;
    fn put(&self, out: &mut Out);
}

fn rows<R: Row>(order: &str) -> String {
    let mut columns = Vec::new();
    R::columns(&mut columns);
    let columns: Vec<String> = columns.into_iter().map(|(name, ty)| format!("{name}\t{ty}")).collect();
    format!("rows {order}\t{}", columns.join("\t"))
}

fn put_rows<'a, R: Row + 'a>(count: usize, rows: impl Iterator<Item = &'a R>, out: &mut Out) {
    out.word(count as u64);
    rows.for_each(|row| row.put(out));
}

macro_rules! values {
    ($([$($generics:tt)*] $type:ty;)*) => {$(
        impl<$($generics)*> Output for $type {
            fn shape() -> String { format!("value {}", <Self as Item>::ty()) }
            fn put(&self, out: &mut Out) { Item::put(self, out) }
        }
    )*};
}

values! {
    [] i8; [] i16; [] i32; [] i64; [] i128; [] isize; [] u8; [] u16; [] u32; [] u64; [] u128; [] usize;
    [] f64; [] f32; [] bool; [] char; [] String; ['a] &'a str; [] Box<str>; ['a] Cow<'a, str>; [T: Item] Option<T>;
}

macro_rules! tables {
    ($([$($generics:tt)*] $type:ty, $row:ty, $order:literal;)*) => {$(
        impl<$($generics)*> Output for $type {
            fn shape() -> String { rows::<$row>($order) }
            fn put(&self, out: &mut Out) { put_rows(self.len(), self.iter(), out) }
        }
    )*};
}

tables! {
    [R: Row] Vec<R>, R, "ordered";
    ['a, R: Row] &'a [R], R, "ordered";
    [R: Row, const N: usize] [R; N], R, "ordered";
    [R: Row] VecDeque<R>, R, "ordered";
    [R: Row] BTreeSet<R>, R, "ordered";
    [R: Row] BinaryHeap<R>, R, "any";
    [R: Row, S] HashSet<R, S>, R, "any";
}

struct Entry<K, V>(PhantomData<(K, V)>);

impl<K: Item, V: Item> Row for Entry<K, V> {
    fn columns(names: &mut Vec<(String, String)>) {
        names.push(("key".to_string(), K::ty()));
        names.push(("value".to_string(), V::ty()));
    }

    fn put(&self, _: &mut Out) {}
}

fn put_entries<'a, K: Item + 'a, V: Item + 'a>(count: usize, all: impl Iterator<Item = (&'a K, &'a V)>, out: &mut Out) {
    out.word(count as u64);
    all.for_each(|(key, value)| {
        key.put(out);
        value.put(out);
    });
}

impl<K: Item, V: Item, S> Output for HashMap<K, V, S> {
    fn shape() -> String {
        rows::<Entry<K, V>>("any")
    }

    fn put(&self, out: &mut Out) {
        put_entries(self.len(), self.iter(), out);
    }
}

impl<K: Item, V: Item> Output for BTreeMap<K, V> {
    fn shape() -> String {
        rows::<Entry<K, V>>("ordered")
    }

    fn put(&self, out: &mut Out) {
        put_entries(self.len(), self.iter(), out);
    }
}

impl Output for () {
    fn shape() -> String {
        "nothing".to_string()
    }

    fn put(&self, _: &mut Out) {}
}

/// The type of what never ends.
pub type Never = <fn() -> ! as HasReturn>::Return;

pub trait HasReturn {
    type Return;
}

impl<T> HasReturn for fn() -> T {
    type Return = T;
}

impl<'a, T: Output> Output for &'a T {
    fn shape() -> String {
        T::shape()
    }

    fn put(&self, out: &mut Out) {
        T::put(self, out);
    }
}

impl<T: Output, E: Debug> Output for Result<T, E> {
    fn shape() -> String {
        T::shape()
    }

    fn put(&self, out: &mut Out) {
        match self {
            Ok(value) => value.put(out),
            Err(error) => out.wrong = Some(format!("Err({error:?})")),
        }
    }
}

// The best form of a type is found by how many references a method call must look through.

pub struct Probe<T>(PhantomData<T>);

/// The type that a closure gives.
pub fn given<T, F: FnMut() -> T>(_: &F) -> Probe<T> {
    Probe(PhantomData)
}

/// The type of a value.
pub fn of<T>(_: &T) -> Probe<T> {
    Probe(PhantomData)
}

/// Code that never comes to a result.
pub trait AsNever {
    fn form(&self) -> Form<Never>;
}

impl AsNever for &&&Probe<Never> {
    fn form(&self) -> Form<Never> {
        Form { shape: || "nothing".to_string(), put: |_, _| {} }
    }
}

pub trait AsTable<T> {
    fn form(&self) -> Form<T>;
}

impl<T: Output> AsTable<T> for &&Probe<T> {
    fn form(&self) -> Form<T> {
        Form { shape: T::shape, put: T::put }
    }
}

pub trait AsDebug<T> {
    fn form(&self) -> Form<T>;
}

impl<T: Debug> AsDebug<T> for &Probe<T> {
    fn form(&self) -> Form<T> {
        Form { shape: || "text".to_string(), put: |value, out| put_text(&format!("{value:#?}"), out) }
    }
}

pub trait AsNothing<T> {
    fn form(&self) -> Form<T>;
}

impl<T> AsNothing<T> for Probe<T> {
    fn form(&self) -> Form<T> {
        let shape = || format!("opaque {}", std::any::type_name::<T>());
        Form { shape, put: |_, _| {} }
    }
}

/// One part of a row: a field of a struct.
pub struct Part<T> {
    pub ty: fn() -> String,
    pub put: fn(&T, &mut Out),
}

/// The type of a field.
pub fn part<T>() -> Probe<T> {
    Probe(PhantomData)
}

pub trait ItemPart<T> {
    fn part(&self) -> Part<T>;
}

impl<T: Item> ItemPart<T> for &&Probe<T> {
    fn part(&self) -> Part<T> {
        Part { ty: T::ty, put: T::put }
    }
}

pub trait DebugPart<T> {
    fn part(&self) -> Part<T>;
}

impl<T: Debug> DebugPart<T> for &Probe<T> {
    fn part(&self) -> Part<T> {
        Part { ty: || "text".to_string(), put: |value, out| put_text(&format!("{value:?}"), out) }
    }
}

pub trait NoPart<T> {
    fn part(&self) -> Part<T>;
}

impl<T> NoPart<T> for Probe<T> {
    fn part(&self) -> Part<T> {
        Part { ty: || "text".to_string(), put: |_, out| out.bytes.push(0) }
    }
}

/// A struct that stands alone is a table of one row.
pub fn one_row<R: Row>() -> String {
    rows::<R>("ordered")
}

pub fn put_row<R: Row>(row: &R, out: &mut Out) {
    put_rows(1, std::iter::once(row), out);
}

// ---- subjects -------------------------------------------------------------------------------------------------------

/// Something that can be run any number of times.
pub trait Callable {
    fn run(&mut self, calls: u64);
    fn call(&mut self) -> Out;
    fn shape(&self) -> String;

    /// Calls a function for each row of arguments.
    fn apply(&mut self, _: &mut Input) -> Out {
        Out::default()
    }
}

struct Function<F> {
    ty: String,
    function: F,
}

impl<F: FnMut(&mut Input, &mut Out)> Callable for Function<F> {
    fn run(&mut self, _: u64) {}

    fn call(&mut self) -> Out {
        Out::default()
    }

    fn shape(&self) -> String {
        format!("value {}", self.ty)
    }

    fn apply(&mut self, input: &mut Input) -> Out {
        let mut out = Out::default();
        for _ in 0..input.word() {
            (self.function)(input, &mut out);
        }
        out
    }
}

/// A function that takes its arguments from an input.
pub fn function<'a, T: Item>(mut function: impl FnMut(&mut Input) -> T + 'a) -> Box<dyn Callable + 'a> {
    Box::new(Function { ty: T::ty(), function: move |input: &mut Input, out: &mut Out| function(input).put(out) })
}

struct ValueFunction<const COPY: usize, T, F> {
    function: F,
    form: Form<T>,
}

impl<const COPY: usize, T, F: FnMut() -> T> Callable for ValueFunction<COPY, T, F> {
    #[inline(never)]
    fn run(&mut self, calls: u64) {
        shift::<COPY>();
        for _ in 0..calls {
            black_box((self.function)());
        }
    }

    fn call(&mut self) -> Out {
        let mut out = Out::default();
        let value = (self.function)();
        (api().called)();
        (self.form.put)(&value, &mut out);
        out
    }

    fn shape(&self) -> String {
        (self.form.shape)()
    }
}

/// Moves what follows by some bytes, another number for each copy, which are jumped over.
#[inline(always)]
fn shift<const COPY: usize>() {
    // SAFETY: an instruction that jumps over others changes nothing.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    unsafe {
        #[cfg(target_arch = "x86_64")]
        std::arch::asm!(
            "jmp 2f", ".skip {bytes}, 0x90", "2:",
            bytes = const COPY * 16 % 256,
            options(nomem, nostack, preserves_flags)
        );
        #[cfg(target_arch = "aarch64")]
        std::arch::asm!(
            "b 2f", ".skip {bytes}", "2:",
            bytes = const COPY * 16 % 256,
            options(nomem, nostack, preserves_flags)
        );
    }
}

/// Makes a copy of some code differ from the others, or the compiler would merge all of them into one. No instruction
/// comes of it.
#[inline(always)]
pub fn mark<const NUMBER: usize>() {
    // SAFETY: there is no instruction.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    unsafe {
        std::arch::asm!("/* copy {number} */", number = const NUMBER, options(nostack, preserves_flags));
    }
}

/// A subject of a closure and of how its result is told.
pub fn subject<'a, const COPY: usize, T: 'a>(
    function: impl FnMut() -> T + 'a,
    form: Form<T>,
) -> Box<dyn Callable + 'a> {
    Box::new(ValueFunction::<COPY, T, _> { function, form })
}

/// A subject that does nothing.
pub fn nothing() -> Box<dyn Callable> {
    subject::<0, ()>(|| (), Form { shape: <() as Output>::shape, put: <() as Output>::put })
}

type Subjects<'a> = Vec<Box<dyn Callable + 'a>>;

extern "C" fn run(subjects: *mut c_void, subject: u32, calls: u64) {
    // SAFETY: `serve` passes a pointer to its own subjects, and these functions are called while it waits.
    let subjects = unsafe { &mut *subjects.cast::<Subjects<'_>>() };
    subjects[subject as usize].run(calls);
}

extern "C" fn call(subjects: *mut c_void, subject: u32) {
    // SAFETY: as in `run`.
    let subjects = unsafe { &mut *subjects.cast::<Subjects<'_>>() };
    let out = subjects[subject as usize].call();
    end();
    match out.wrong {
        None => reply(b'+', &out.bytes),
        Some(message) => reply(b'-', message.as_bytes()),
    }
}

extern "C" fn shape(subjects: *mut c_void, subject: u32) {
    // SAFETY: as in `run`.
    let subjects = unsafe { &mut *subjects.cast::<Subjects<'_>>() };
    reply(b'+', subjects[subject as usize].shape().as_bytes());
}

extern "C" fn apply(subjects: *mut c_void, subject: u32, arguments: *const u8, length: usize) {
    // SAFETY: as in `run`; the runner passes bytes that live until this returns, and nothing keeps them.
    let subjects = unsafe { &mut *subjects.cast::<Subjects<'_>>() };
    let mut input = Input::of(unsafe { std::slice::from_raw_parts(arguments, length) });
    let out = subjects[subject as usize].apply(&mut input);
    match out.wrong {
        None => reply(b'+', &out.bytes),
        Some(message) => reply(b'-', message.as_bytes()),
    }
}

extern "C" fn flush() {
    end();
}

fn reply(first: u8, bytes: &[u8]) {
    let mut whole = Vec::with_capacity(bytes.len() + 1);
    whole.push(first);
    whole.extend_from_slice(bytes);
    (api().reply)(whole.as_ptr(), whole.len());
}

/// Answers for these subjects until the one who asked has enough.
pub fn serve(mut subjects: Vec<Box<dyn Callable + '_>>) {
    api();
    let answers = Answers { run, call, shape, apply, flush };
    (api().serve)((&raw mut subjects).cast(), &raw const answers);
    end();
}

struct Shown<'a, T> {
    value: &'a T,
    form: Form<T>,
}

impl<T> Callable for Shown<'_, T> {
    fn run(&mut self, _: u64) {}

    fn call(&mut self) -> Out {
        let mut out = Out::default();
        (self.form.put)(self.value, &mut out);
        out
    }

    fn shape(&self) -> String {
        (self.form.shape)()
    }
}

/// Tells the value of a cell's last expression.
pub fn show<T>(value: &T, form: Form<T>) {
    serve(vec![Box::new(Shown { value, form })]);
}

// ---- inputs ---------------------------------------------------------------------------------------------------------

/// The bytes of a table or a value of the session.
pub struct Input {
    rest: &'static [u8],
    /// Texts that were read, at places that their bytes tell.
    texts: Vec<&'static str>,
}

/// How many texts are remembered, and how long they may be.
const TEXTS: usize = 4096;
const LONGEST: usize = 32;

/// Input `number` of the cell; without bytes while only shapes are asked for.
pub fn input(number: u32) -> Input {
    let mut length = 0;
    let start = (api().input)(number, &raw mut length);
    // SAFETY: the runner keeps these bytes as long as the process lives.
    Input::of(if length == 0 { &[] } else { unsafe { std::slice::from_raw_parts(start, length) } })
}

impl Input {
    fn of(rest: &'static [u8]) -> Input {
        Input { rest, texts: Vec::new() }
    }

    /// A short text, or the same one where it was read before: rows of few texts then find them in the processor's
    /// cache.
    fn shared(&mut self, text: &'static str) -> &'static str {
        if text.len() > LONGEST {
            return text;
        }
        self.texts.resize(TEXTS, "");
        let mixed = text.bytes().fold(0, |mixed, byte| (mixed ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let place = &mut self.texts[(mixed >> 32) as usize % TEXTS];
        if *place != text {
            *place = text;
        }
        place
    }

    fn bytes(&mut self, count: usize) -> &'static [u8] {
        let (taken, rest) = self.rest.split_at(count);
        self.rest = rest;
        taken
    }

    fn word(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes(8).try_into().expect("these are eight"))
    }

    pub fn get<T: Get>(&mut self) -> T {
        T::get(self)
    }

    /// All rows.
    pub fn rows<T>(&mut self, mut row: impl FnMut(&mut Input) -> T) -> Vec<T> {
        if self.rest.is_empty() {
            return Vec::new();
        }
        let count = self.word() as usize;
        (0..count).map(|_| row(self)).collect()
    }

    /// A single value; nothing of it matters while only shapes are asked for.
    pub fn value<T: Get + Default>(&mut self) -> T {
        if self.rest.is_empty() { T::default() } else { T::get(self) }
    }
}

/// A value that comes in.
pub trait Get {
    fn get(input: &mut Input) -> Self;
}

/// Passes the byte that tells whether a value is there.
fn present(input: &mut Input) {
    assert!(input.bytes(1) == [1], "nulls are refused before they come here");
}

impl Get for i64 {
    fn get(input: &mut Input) -> i64 {
        present(input);
        input.word() as i64
    }
}

impl Get for f64 {
    fn get(input: &mut Input) -> f64 {
        present(input);
        f64::from_bits(input.word())
    }
}

impl Get for bool {
    fn get(input: &mut Input) -> bool {
        present(input);
        input.bytes(1) == [1]
    }
}

impl Get for String {
    fn get(input: &mut Input) -> String {
        present(input);
        let length = input.word() as usize;
        String::from_utf8_lossy(input.bytes(length)).into_owned()
    }
}

/// What an input of tuples has: its bytes live as long as the process.
impl Get for &'static str {
    fn get(input: &mut Input) -> &'static str {
        present(input);
        let length = input.word() as usize;
        let text = std::str::from_utf8(input.bytes(length)).expect("the session writes UTF-8");
        input.shared(text)
    }
}

impl<T: Get> Get for Vec<T> {
    fn get(input: &mut Input) -> Vec<T> {
        present(input);
        let length = input.word() as usize;
        (0..length).map(|_| T::get(input)).collect()
    }
}

impl<T: Get> Get for Option<T> {
    fn get(input: &mut Input) -> Option<T> {
        match input.rest.first() {
            Some(0) => {
                input.bytes(1);
                None
            }
            _ => Some(T::get(input)),
        }
    }
}
