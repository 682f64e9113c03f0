//! The keys with the most records: those of a partition, and of all.

use serde::{Deserialize, Serialize};

use crate::data::Value;
use crate::kernel::{Batch, Column, Data};

use super::log::KeyRecord;

/// So many keys are listed.
const TOP_KEYS: usize = 10;
/// A partition is split, and a key is hot, that has more than so many times what each partition would have if all had
/// the same.
pub const HOT: u64 = 2;
/// A key of fewer records is not hot: no task takes long for its sake.
const LEAST_HOT: u64 = 1000;
/// So many candidates are held before they are ranked.
const MOST_HELD: usize = 1 << 16;

/// The keys of some groups that have the most records, and how many records all have.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct TopKeys {
    pub records: u64,
    keys: Vec<(Value, u64)>,
}

impl TopKeys {
    /// Takes groups, of which the first `width` columns are the key; `counts` has the records of each.
    pub fn take(&mut self, groups: &Batch, width: usize, counts: &Column) {
        let Data::Int(counts) = &counts.data else { return };
        let mut found: Vec<(u64, usize)> = Vec::new();
        let keep_top = |found: &mut Vec<(u64, usize)>| {
            found.sort_unstable_by_key(|(records, row)| (std::cmp::Reverse(*records), *row));
            found.truncate(TOP_KEYS);
        };
        for row in 0..groups.rows {
            let records = u64::try_from(*counts.slots.at(row)).unwrap_or(0);
            self.records += records;
            found.push((records, row));
            // Never all of them: there may be as many as the memory holds.
            if found.len() == MOST_HELD {
                keep_top(&mut found);
            }
        }
        keep_top(&mut found);
        let key = |row: usize| match &groups.columns[..width] {
            [one] => one.value(row),
            several => {
                let values: Vec<String> = several.iter().map(|column| column.value(row).to_string()).collect();
                Value::text(&values.join(", "))
            }
        };
        self.keys.extend(found.into_iter().map(|(records, row)| (key(row), records)));
        self.keys.sort_by_key(|(_, records)| std::cmp::Reverse(*records));
        self.keys.truncate(TOP_KEYS);
    }
}

/// Of the top keys of partitions those with the most of all records, and their share of these.
pub fn ranked<'t>(tops: impl IntoIterator<Item = (usize, &'t TopKeys)>, all: u64, partitions: usize) -> Vec<KeyRecord> {
    let fair = all as f64 / partitions.max(1) as f64;
    let is_hot = |records: u64| partitions > 1 && records >= LEAST_HOT && records as f64 > HOT as f64 * fair;
    let mut keys: Vec<KeyRecord> = Vec::new();
    for (partition, top) in tops {
        keys.extend(top.keys.iter().map(|(key, records)| KeyRecord {
            key: key.clone(),
            records: *records,
            share: *records as f64 / (all as f64).max(1.0),
            partition,
            is_hot: is_hot(*records),
        }));
    }
    keys.sort_by_key(|key| (std::cmp::Reverse(key.records), key.partition));
    keys.truncate(TOP_KEYS);
    keys
}
