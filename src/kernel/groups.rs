//! Keys and their numbers: a hash table of sixteen-byte keys. Short texts and numbers stand in the key itself, longer
//! ones in a spill area.

use std::sync::Arc;

use polars_arrow::array::View;
use polars_buffer::Buffer;

use crate::data::{Type, Value};

use super::column::{Column, Data};
use super::slots::{Nulls, Slots};
use super::texts::{Buffers, PADDING, from_bits, view};

/// A key in sixteen bytes, as a text's view: its length in the lowest four, then the text itself up to [`INLINE`]
/// bytes. Of a longer one there are the first four bytes, and where it stands. [`NULL`] is the key of null.
type Key = u128;

const INLINE: u32 = 12;
const NULL: Key = 0xffff_ffff;

/// The keys of a batch's rows, packed.
pub struct Packed {
    keys: Buffer<View>,
    /// What the longer ones stand in.
    buffers: Arc<Buffers>,
}

impl Packed {
    /// To which of `parts` parts each key belongs: as in [`Groups::parts`].
    pub fn places(&self, parts: usize) -> Vec<usize> {
        self.keys.iter().map(|key| place(hash(key.as_u128(), self), parts)).collect()
    }

    /// The keys of `rows` rows; a null is a key like any other.
    pub fn new(columns: &[Column], rows: usize) -> Packed {
        match columns {
            [column] => Packed::of_one(column, rows),
            _ => Packed::of_many(columns, rows),
        }
    }

    fn of_one(column: &Column, rows: usize) -> Packed {
        if matches!(column.nulls, Nulls::All) {
            return Packed { keys: vec![from_bits(NULL); rows].into(), buffers: Arc::default() };
        }
        let mut packed = match &column.data {
            Data::Int(ints) => Packed::fixed((0..rows).map(|row| *ints.slots.at(row) as u64)),
            Data::Float(slots) => Packed::fixed((0..rows).map(|row| float_bits(*slots.at(row)))),
            Data::Bool(slots) => Packed::fixed((0..rows).map(|row| u64::from(*slots.at(row)))),
            Data::Text(texts) => {
                let keys = match texts.views() {
                    Slots::One(view) => vec![*view; rows].into(),
                    Slots::Each(views) => views.clone(),
                };
                Packed { keys, buffers: texts.buffers().clone() }
            }
            Data::List(_) => Packed::of_many(std::slice::from_ref(column), rows),
        };
        if let Nulls::Some(nulls) = &column.nulls {
            let key = |(key, null): (&View, &bool)| if *null { from_bits(NULL) } else { *key };
            packed.keys = packed.keys.iter().zip(nulls.iter()).map(key).collect::<Vec<View>>().into();
        }
        packed
    }

    fn fixed(bits: impl Iterator<Item = u64>) -> Packed {
        let keys = bits.map(|bits| from_bits(Key::from(bits) << 64 | 8)).collect::<Vec<View>>();
        Packed { keys: keys.into(), buffers: Arc::default() }
    }

    /// Each row's values one after the other as bytes.
    fn of_many(columns: &[Column], rows: usize) -> Packed {
        let mut bytes = Vec::with_capacity(rows * 16);
        let mut ends = Vec::with_capacity(rows);
        for row in 0..rows {
            for column in columns {
                encode(column, row, &mut bytes);
            }
            ends.push(bytes.len());
        }
        bytes.resize(bytes.len() + PADDING, 0);
        let mut start = 0;
        let mut key = |end: usize| {
            let start = std::mem::replace(&mut start, end);
            view(&bytes, start, end - start, 0)
        };
        let keys = ends.into_iter().map(&mut key).collect::<Vec<View>>();
        Packed { keys: keys.into(), buffers: Arc::new(Buffers::of(Buffer::from_vec(bytes))) }
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// To which of `parts` parts each key belongs; the parts of each level are told apart by other bits than those of
    /// the levels before, if parts are at most 32.
    pub fn parts(&self, parts: usize, level: u32) -> Vec<usize> {
        let part = |key: &View| {
            let bits = hash(key.as_u128(), self).rotate_left(5 * level);
            ((u128::from(bits) * parts as u128) >> 64) as usize
        };
        self.keys.iter().map(part).collect()
    }

    /// `rows` of these keys from `start`.
    pub fn part(&self, start: usize, rows: usize) -> Packed {
        Packed { keys: self.keys.clone().sliced(start..start + rows), buffers: self.buffers.clone() }
    }

    /// The bytes of a longer key.
    #[inline(always)]
    fn long(&self, key: Key) -> &[u8] {
        let start = (key >> 96) as u32 as usize;
        &self.buffers.list[(key >> 64) as u32 as usize][start..start + key as u32 as usize]
    }
}

/// The bits of a float as a key: NaN is one key, and `-0.0` that of `0.0`.
fn float_bits(x: f64) -> u64 {
    if x.is_nan() { f64::NAN.to_bits() } else { (x + 0.0).to_bits() }
}

/// Whether the text of a key stands elsewhere.
#[inline(always)]
fn is_long(key: Key) -> bool {
    // The length of null is the largest.
    (key as u32).wrapping_sub(INLINE + 1) < u32::MAX - INLINE - 1
}

/// A value as bytes, of which no two values have the same and none is the start of another's.
fn encode(column: &Column, row: usize, bytes: &mut Vec<u8>) {
    if column.nulls.at(row) {
        return bytes.push(0);
    }
    match &column.data {
        Data::Int(ints) => encode_int(*ints.slots.at(row), bytes),
        Data::Float(slots) => encode_float(*slots.at(row), bytes),
        Data::Bool(slots) => bytes.push(10 + u8::from(*slots.at(row))),
        Data::Text(texts) => encode_text(texts.at(row), bytes),
        Data::List(values) => encode_value(values.at(row), bytes),
    }
}

fn encode_value(value: &Value, bytes: &mut Vec<u8>) {
    match value {
        Value::Null => bytes.push(0),
        Value::Int(i) => encode_int(*i, bytes),
        Value::Float(x) => encode_float(*x, bytes),
        Value::Bool(b) => bytes.push(10 + u8::from(*b)),
        Value::Text(text) => encode_text(text, bytes),
        Value::List(items) => {
            bytes.push(14);
            encode_int(items.len() as i64, bytes);
            items.iter().for_each(|item| encode_value(item, bytes));
        }
    }
}

/// How many bytes (1–9), then these: small ints are short, so that several fit into a key.
fn encode_int(value: i64, bytes: &mut Vec<u8>) {
    let zigzag = ((value << 1) ^ (value >> 63)) as u64;
    let used = 8 - zigzag.leading_zeros() as usize / 8;
    bytes.push(1 + used as u8);
    bytes.extend_from_slice(&zigzag.to_le_bytes()[..used]);
}

fn encode_float(x: f64, bytes: &mut Vec<u8>) {
    bytes.push(12);
    bytes.extend_from_slice(&float_bits(x).to_le_bytes());
}

fn encode_text(text: &str, bytes: &mut Vec<u8>) {
    bytes.push(13);
    encode_int(text.len() as i64, bytes);
    bytes.extend_from_slice(text.as_bytes());
}

/// The value of a key that is one alone, whose bytes are these: the opposite of [`Packed::of_one`].
fn value_of(key: Key, bytes: &[u8], ty: &Type) -> Value {
    let bits = (key >> 64) as u64;
    match ty {
        _ if key == NULL => Value::Null,
        Type::Int => Value::Int(bits as i64),
        Type::Float => Value::Float(f64::from_bits(bits)),
        Type::Bool => Value::Bool(bits != 0),
        Type::Text | Type::Open | Type::Never | Type::List(_) => {
            Value::text(&String::from_utf8_lossy(&bytes[..key as u32 as usize]))
        }
    }
}

/// The next value of such bytes: the opposite of [`encode`].
fn decode(bytes: &mut &[u8]) -> Value {
    fn next<'b>(bytes: &mut &'b [u8], count: usize) -> &'b [u8] {
        let (taken, rest) = bytes.split_at(count);
        *bytes = rest;
        taken
    }
    fn int(tag: u8, bytes: &mut &[u8]) -> i64 {
        let mut eight = [0; 8];
        let used = usize::from(tag - 1);
        eight[..used].copy_from_slice(next(bytes, used));
        let zigzag = u64::from_le_bytes(eight);
        (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64)
    }
    match next(bytes, 1)[0] {
        0 => Value::Null,
        tag @ 1..=9 => Value::Int(int(tag, bytes)),
        10 => Value::Bool(false),
        11 => Value::Bool(true),
        12 => Value::Float(f64::from_le_bytes(next(bytes, 8).try_into().expect("these are eight"))),
        13 => {
            let tag = next(bytes, 1)[0];
            let length = int(tag, bytes) as usize;
            Value::text(&String::from_utf8_lossy(next(bytes, length)))
        }
        _ => {
            let tag = next(bytes, 1)[0];
            let items = int(tag, bytes);
            Value::List((0..items).map(|_| decode(bytes)).collect())
        }
    }
}

/// Groups by their keys, numbered in order of their first rows.
#[derive(Default)]
pub struct Groups {
    /// Open addressing: the upper half of the hash, and the group's number plus one; 0 is free. At most half are taken.
    table: Vec<u64>,
    keys: Vec<Key>,
    hashes: Vec<u64>,
    /// What the longer keys stand in, at the place that their upper half says.
    spill: Vec<u8>,
}

/// The number of no group.
pub const NO_GROUP: u32 = u32::MAX;

/// A table over this many slots does not stay in the nearest caches: then slots are asked for ahead.
const FAR_SLOTS: usize = 1 << 15;

impl Groups {
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// The group of each row, and the rows that made a new one.
    pub fn take(&mut self, packed: &Packed, groups: &mut Vec<u32>) -> Vec<u32> {
        self.make_room(packed.keys.len());
        let mut fresh = Vec::new();
        self.find_in(packed, groups);
        if !groups.contains(&NO_GROUP) {
            return fresh;
        }
        // The first batches have new groups; most have none.
        for (row, group) in groups.iter_mut().enumerate().filter(|(_, group)| **group == NO_GROUP) {
            let key = packed.keys[row].as_u128();
            let hash = hash(key, packed);
            let (slot, found) = self.find(key, hash, packed);
            *group = found;
            if found == NO_GROUP {
                fresh.push(row as u32);
                *group = self.insert(slot, key, hash, packed);
            }
        }
        fresh
    }

    /// The group of each row, or [`NO_GROUP`].
    pub fn find_all(&self, packed: &Packed) -> Vec<u32> {
        let mut groups = Vec::new();
        self.find_in(packed, &mut groups);
        groups
    }

    /// Puts the group of each row, or [`NO_GROUP`], into `groups`.
    fn find_in(&self, packed: &Packed, groups: &mut Vec<u32>) {
        groups.clear();
        groups.resize(packed.keys.len(), NO_GROUP);
        if self.table.is_empty() {
            return;
        }
        let (table, keys) = (&self.table[..], &self.keys[..]);
        let rows = groups.iter_mut().zip(packed.keys.iter().map(|key| key.as_u128()));
        if table.len() > FAR_SLOTS {
            rows.zip(self.hash_keys(packed)).for_each(|((group, key), hash)| *group = self.find(key, hash, packed).1);
            return;
        }
        for (group, key) in rows {
            *group = match is_long(key) {
                true => self.find_long(key, hash_bytes(packed.long(key)), packed).1,
                false => find(table, keys, hash_short(key), |kept| kept == key).1,
            };
        }
    }

    /// The slot where the key stands or would stand, and its group.
    #[inline(always)]
    fn find(&self, key: Key, hash: u64, packed: &Packed) -> (usize, u32) {
        match is_long(key) {
            true => self.find_long(key, hash, packed),
            false => find(&self.table, &self.keys, hash, |kept| kept == key),
        }
    }

    /// Not among the loops for short keys: these want all registers.
    #[inline(never)]
    fn find_long(&self, key: Key, hash: u64, packed: &Packed) -> (usize, u32) {
        // Length and first bytes, then all.
        let same = |kept: Key| kept as u64 == key as u64 && long(kept, &self.spill) == packed.long(key);
        find(&self.table, &self.keys, hash, same)
    }

    /// The hashes of all keys; what they will be looked for in is on its way to the caches.
    fn hash_keys(&self, packed: &Packed) -> Vec<u64> {
        let hashes: Vec<u64> = packed.keys.iter().map(|key| hash(key.as_u128(), packed)).collect();
        let mask = self.table.len() - 1;
        hashes.iter().for_each(|hash| prefetch(&self.table[*hash as usize & mask]));
        for hash in &hashes {
            let group = (self.table[*hash as usize & mask] as u32).wrapping_sub(1) as usize;
            if let Some(key) = self.keys.get(group) {
                prefetch(key);
            }
        }
        hashes
    }

    fn insert(&mut self, slot: usize, key: Key, hash: u64, packed: &Packed) -> u32 {
        let group = self.keys.len() as u32;
        let mut kept = key;
        if is_long(key) {
            kept = Key::from(key as u64) | (self.spill.len() as Key) << 64;
            self.spill.extend_from_slice(packed.long(key));
        }
        self.keys.push(kept);
        self.hashes.push(hash);
        self.table[slot] = (hash >> 32 << 32) | u64::from(group + 1);
        group
    }

    /// Room for that many new groups.
    fn make_room(&mut self, more: usize) {
        let wanted = (self.keys.len() + more) * 2;
        if wanted <= self.table.len() {
            return;
        }
        let slots = wanted.next_power_of_two();
        self.table = vec![0; slots];
        for (group, hash) in self.hashes.iter().enumerate() {
            let mut slot = *hash as usize & (slots - 1);
            while self.table[slot] != 0 {
                slot = (slot + 1) & (slots - 1);
            }
            self.table[slot] = (hash >> 32 << 32) | (group as u64 + 1);
        }
    }

    /// The keys of all groups.
    pub fn packed(self) -> Packed {
        let spill = Buffer::from_vec(self.spill);
        let (mut list, mut first) = (Vec::new(), 0);
        let mut moved = |key: &Key| {
            if !is_long(*key) {
                return from_bits(*key);
            }
            // The longer ones stand in the spill area in the order of their groups; a view has 32 bits for a place.
            let (start, length) = ((*key >> 64) as u64 as usize, *key as u32 as usize);
            if start + length - first > u32::MAX as usize {
                list.push(spill.clone().sliced(first..start));
                first = start;
            }
            from_bits(Key::from(*key as u64) | (list.len() as Key) << 64 | ((start - first) as Key) << 96)
        };
        let keys = self.keys.iter().map(&mut moved).collect::<Vec<View>>();
        let length = spill.len();
        list.push(spill.sliced(first..length));
        Packed { keys: keys.into(), buffers: Arc::new(Buffers { list, lasting: false }) }
    }

    /// To which of `parts` parts each group belongs: the same for a key in every process.
    pub fn parts(&self, parts: usize) -> Vec<usize> {
        self.hashes.iter().map(|hash| place(*hash, parts)).collect()
    }

    /// The keys as columns of these types.
    pub fn columns(&self, types: &[Type]) -> Vec<Column> {
        let mut columns: Vec<Vec<Value>> = vec![Vec::with_capacity(self.len()); types.len()];
        for key in &self.keys {
            let here = key.to_le_bytes();
            let bytes = if is_long(*key) { long(*key, &self.spill) } else { &here[4..] };
            match types {
                [ty] if !matches!(ty, Type::List(_)) => columns[0].push(value_of(*key, bytes, ty)),
                _ => {
                    let mut rest = bytes;
                    columns.iter_mut().for_each(|column| column.push(decode(&mut rest)));
                }
            }
        }
        columns.into_iter().zip(types).map(|(values, ty)| Column::from_values(values, ty)).collect()
    }

    /// The bytes that it holds.
    pub fn size(&self) -> usize {
        8 * self.table.len() + size_of::<Key>() * self.keys.len() + 8 * self.hashes.len() + self.spill.len()
    }
}

/// The part of a hash, of so many.
fn place(hash: u64, parts: usize) -> usize {
    ((u128::from(hash) * parts as u128) >> 64) as usize
}

#[inline(always)]
fn find(table: &[u64], keys: &[Key], hash: u64, is_same: impl Fn(Key) -> bool) -> (usize, u32) {
    let mask = table.len() - 1;
    let mut slot = hash as usize & mask;
    loop {
        let entry = table[slot];
        if entry == 0 {
            return (slot, NO_GROUP);
        }
        let group = (entry as u32) - 1;
        if (entry ^ hash) >> 32 == 0 && is_same(keys[group as usize]) {
            return (slot, group);
        }
        slot = (slot + 1) & mask;
    }
}

/// The bytes of a longer key that is kept.
fn long(kept: Key, spill: &[u8]) -> &[u8] {
    let start = (kept >> 64) as u64 as usize;
    &spill[start..start + kept as u32 as usize]
}

const SEED: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xd134_2543_de82_ef95];

/// The two halves of a product of 64 bits, joined (as in wyhash; Wang Yi 2019).
#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[inline(always)]
fn hash(key: Key, packed: &Packed) -> u64 {
    if is_long(key) {
        return hash_bytes(packed.long(key));
    }
    hash_short(key)
}

#[inline(always)]
fn hash_short(key: Key) -> u64 {
    fold(key as u64 ^ SEED[0], (key >> 64) as u64 ^ SEED[1])
}

#[inline(never)]
fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hash = bytes.len() as u64;
    if bytes.len() < 16 {
        let mut sixteen = [0; 16];
        sixteen[..bytes.len()].copy_from_slice(bytes);
        let key = Key::from_le_bytes(sixteen);
        return fold(key as u64 ^ SEED[0] ^ hash, (key >> 64) as u64 ^ SEED[1]);
    }
    let mut chunks = bytes.chunks_exact(16);
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("these are eight"));
    for chunk in &mut chunks {
        hash = fold(word(&chunk[..8]) ^ SEED[0] ^ hash, word(&chunk[8..]) ^ SEED[1]);
    }
    // The last sixteen bytes, some of them for the second time: the text has at least that many.
    let last = &bytes[bytes.len() - 16..];
    fold(word(&last[..8]) ^ SEED[0] ^ hash, word(&last[8..]) ^ SEED[1])
}

#[inline(always)]
fn prefetch<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: any address may be asked for.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(std::ptr::from_ref(place).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

/// The rows of a batch where the key has a null.
pub fn any_null(columns: &[Column], rows: usize) -> Option<Vec<bool>> {
    let nulls = columns.iter().fold(Nulls::None, |nulls, column| nulls.or(&column.nulls));
    match nulls {
        Nulls::None => None,
        Nulls::All => Some(vec![true; rows]),
        Nulls::Some(flags) => Some(flags.to_vec()),
    }
}
