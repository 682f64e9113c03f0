//! Keys and their numbers: a hash table of sixteen-byte keys. Short texts and numbers stand in the key itself, longer ones in
//! a spill area.

use crate::data::Value;

use super::column::{Column, Data, Nulls, PADDING, Slots, Texts};

/// A key in sixteen bytes. The top byte is the length of what stands in the others, up to [`INLINE`]; or [`SPILLED`]: then they
/// are the start (8 bytes) and the length (4) in bytes that stand elsewhere; or [`NULL`].
type Key = u128;

const INLINE: u32 = 15;
const SPILLED: u8 = 0xff;
const NULL: Key = 0xfe << 120;

/// The keys of a batch's rows, packed.
pub struct Packed<'a> {
    keys: Vec<Key>,
    /// What spilled keys point into.
    bytes: std::borrow::Cow<'a, [u8]>,
}

impl Packed<'_> {
    /// The keys of `rows` rows; a null is a key like any other.
    pub fn new<'a>(columns: &'a [Column], rows: usize) -> Packed<'a> {
        match columns {
            [column] => Packed::of_one(column, rows),
            _ => Packed::of_many(columns, rows),
        }
    }

    fn of_one(column: &Column, rows: usize) -> Packed<'_> {
        let mut keys = Vec::with_capacity(rows);
        let mut bytes: std::borrow::Cow<[u8]> = (&[][..]).into();
        match &column.data {
            _ if matches!(column.nulls, Nulls::All) => keys.resize(rows, NULL),
            Data::Int(ints) => keys.extend((0..rows).map(|row| fixed(*ints.slots.at(row) as u64))),
            Data::Float(slots) => keys.extend((0..rows).map(|row| fixed(float_bits(*slots.at(row))))),
            Data::Bool(slots) => keys.extend((0..rows).map(|row| fixed(u64::from(*slots.at(row))))),
            Data::Text(texts) => {
                pack_texts(texts, rows, &mut keys);
                bytes = texts.bytes().as_slice().into();
            }
            Data::List(_) => {
                let encoded = Packed::of_many(std::slice::from_ref(column), rows);
                (keys, bytes) = (encoded.keys, encoded.bytes);
            }
        }
        if let Nulls::Some(nulls) = &column.nulls {
            keys.iter_mut().zip(nulls.iter()).filter(|(_, null)| **null).for_each(|(key, _)| *key = NULL);
        }
        Packed { keys, bytes }
    }

    /// Each row's values one after the other as bytes.
    fn of_many(columns: &[Column], rows: usize) -> Packed<'static> {
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
        let mut key = |end: usize| pack(&bytes, std::mem::replace(&mut start, end), end);
        let keys = ends.into_iter().map(&mut key).collect();
        Packed { keys, bytes: bytes.into() }
    }
}

#[inline(always)]
fn fixed(bits: u64) -> Key {
    Key::from(bits) | 8 << 120
}

/// The bits of a float as a key: NaN is one key, and `-0.0` that of `0.0`.
fn float_bits(x: f64) -> u64 {
    if x.is_nan() { f64::NAN.to_bits() } else { (x + 0.0).to_bits() }
}

#[inline(always)]
fn pack(bytes: &[u8], start: usize, end: usize) -> Key {
    let len = (end - start) as u32;
    if len <= INLINE {
        let sixteen = bytes[start..start + 16].try_into().expect("these are sixteen");
        let kept = (1u128 << (8 * len)).wrapping_sub(1);
        (Key::from_le_bytes(sixteen) & kept) | Key::from(len) << 120
    } else {
        start as Key | Key::from(len) << 64 | Key::from(SPILLED) << 120
    }
}

fn pack_texts(texts: &Texts, rows: usize, keys: &mut Vec<Key>) {
    let bytes = texts.bytes().as_slice();
    match &texts.places {
        Slots::One(place) => keys.resize(rows, pack(bytes, place.start, place.start + place.len as usize)),
        Slots::Each(places) => {
            keys.extend(places.iter().map(|place| pack(bytes, place.start, place.start + place.len as usize)));
        }
    }
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

/// Groups by their keys, numbered in order of their first rows.
#[derive(Default)]
pub struct Groups {
    /// Open addressing: the upper half of the hash, and the group's number plus one; 0 is free. At most half are taken.
    table: Vec<u64>,
    keys: Vec<Key>,
    hashes: Vec<u64>,
    /// What spilled keys point into.
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
        groups.clear();
        groups.reserve(packed.keys.len());
        let mut fresh = Vec::new();
        let hashes = self.hashed(packed);
        for (row, (key, hash)) in packed.keys.iter().zip(hashes).enumerate() {
            let (slot, found) = self.find(*key, hash, &packed.bytes);
            groups.push(if found == NO_GROUP {
                fresh.push(row as u32);
                self.insert(slot, *key, hash, &packed.bytes)
            } else {
                found
            });
        }
        fresh
    }

    /// The group of each row, or [`NO_GROUP`].
    pub fn find_all(&self, packed: &Packed) -> Vec<u32> {
        if self.table.is_empty() {
            return vec![NO_GROUP; packed.keys.len()];
        }
        let hashes = self.hashed(packed);
        packed.keys.iter().zip(hashes).map(|(key, hash)| self.find(*key, hash, &packed.bytes).1).collect()
    }

    fn hashed(&self, packed: &Packed) -> Vec<u64> {
        let hashes: Vec<u64> = packed.keys.iter().map(|key| hash(*key, &packed.bytes)).collect();
        if self.table.len() > FAR_SLOTS {
            let mask = self.table.len() - 1;
            hashes.iter().for_each(|hash| prefetch(&self.table[*hash as usize & mask]));
            for hash in &hashes {
                let group = (self.table[*hash as usize & mask] as u32).wrapping_sub(1) as usize;
                if let Some(key) = self.keys.get(group) {
                    prefetch(key);
                }
            }
        }
        hashes
    }

    /// The slot where the key stands or would stand, and its group.
    #[inline(always)]
    fn find(&self, key: Key, hash: u64, bytes: &[u8]) -> (usize, u32) {
        let mask = self.table.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let entry = self.table[slot];
            if entry == 0 {
                return (slot, NO_GROUP);
            }
            let group = (entry as u32) - 1;
            if (entry ^ hash) >> 32 == 0 && self.is_same(self.keys[group as usize], key, bytes) {
                return (slot, group);
            }
            slot = (slot + 1) & mask;
        }
    }

    #[inline(always)]
    fn is_same(&self, kept: Key, key: Key, bytes: &[u8]) -> bool {
        if tag(key) != SPILLED {
            return kept == key;
        }
        tag(kept) == SPILLED && spilled(kept, &self.spill) == spilled(key, bytes)
    }

    fn insert(&mut self, slot: usize, key: Key, hash: u64, bytes: &[u8]) -> u32 {
        let group = self.keys.len() as u32;
        let kept = if tag(key) == SPILLED {
            let start = self.spill.len();
            let text = spilled(key, bytes);
            self.spill.extend_from_slice(text);
            start as Key | Key::from(text.len() as u32) << 64 | Key::from(SPILLED) << 120
        } else {
            key
        };
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
    pub fn packed(&self) -> Packed<'_> {
        Packed { keys: self.keys.clone(), bytes: self.spill.as_slice().into() }
    }
}

#[inline(always)]
fn tag(key: Key) -> u8 {
    (key >> 120) as u8
}

fn spilled(key: Key, bytes: &[u8]) -> &[u8] {
    let start = key as u64 as usize;
    &bytes[start..start + (key >> 64) as u32 as usize]
}

const SEED: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xd134_2543_de82_ef95];

/// The two halves of a product of 64 bits, joined (as in wyhash; Wang Yi 2019).
#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[inline(always)]
fn hash(key: Key, bytes: &[u8]) -> u64 {
    if tag(key) == SPILLED {
        return hash_bytes(spilled(key, bytes));
    }
    fold(key as u64 ^ SEED[0], (key >> 64) as u64 ^ SEED[1])
}

fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hash = bytes.len() as u64;
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
