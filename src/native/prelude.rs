/// Why a plan has no result. As wide as an int, so that one or the other comes back in the same register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum RowError {
    Overflow,
    ZeroDivision,
    Domain,
    Depth,
    Shape,
    File,
}

impl From<ScalarError> for RowError {
    #[cold]
    fn from(wrong: ScalarError) -> RowError {
        match wrong {
            ScalarError::Overflow => RowError::Overflow,
            ScalarError::ZeroDivision => RowError::ZeroDivision,
            ScalarError::Domain(_) => RowError::Domain,
        }
    }
}

/// The most calls that may be open at a time.
pub const DEEPEST_CALLS: usize = 10_000;

// Order and equality: NaN equals NaN and is above all, null comes last.

pub trait Ordered {
    fn compare(&self, other: &Self) -> Ordering;
    fn mix_into<H: Hasher>(&self, state: &mut H);
}

macro_rules! ordered {
    ($($ty:ty),+) => {$(
        impl Ordered for $ty {
            #[inline]
            fn compare(&self, other: &Self) -> Ordering {
                self.cmp(other)
            }

            #[inline]
            fn mix_into<H: Hasher>(&self, state: &mut H) {
                self.hash(state);
            }
        }
    )+};
}

ordered!(i64, bool, str, String);

impl Ordered for f64 {
    #[inline]
    fn compare(&self, other: &Self) -> Ordering {
        compare_floats(*self, *other)
    }

    #[inline]
    fn mix_into<H: Hasher>(&self, state: &mut H) {
        let bits = if self.is_nan() { f64::NAN.to_bits() } else { (self + 0.0).to_bits() };
        state.write_u64(bits);
    }
}

impl<T: Ordered + ?Sized> Ordered for &T {
    fn compare(&self, other: &Self) -> Ordering {
        (**self).compare(*other)
    }

    fn mix_into<H: Hasher>(&self, state: &mut H) {
        (**self).mix_into(state);
    }
}

impl<T: Ordered> Ordered for Option<T> {
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Some(a), Some(b)) => a.compare(b),
            (a, b) => a.is_none().cmp(&b.is_none()),
        }
    }

    fn mix_into<H: Hasher>(&self, state: &mut H) {
        match self {
            Some(value) => value.mix_into(state),
            None => state.write_u64(4),
        }
    }
}

impl<T: Ordered> Ordered for [T] {
    fn compare(&self, other: &Self) -> Ordering {
        let first = self.iter().zip(other).map(|(a, b)| a.compare(b)).find(|order| order.is_ne());
        first.unwrap_or_else(|| self.len().cmp(&other.len()))
    }

    fn mix_into<H: Hasher>(&self, state: &mut H) {
        self.iter().for_each(|item| item.mix_into(state));
        state.write_u64(self.len() as u64);
    }
}

impl<T: Ordered> Ordered for Vec<T> {
    fn compare(&self, other: &Self) -> Ordering {
        self.as_slice().compare(other.as_slice())
    }

    fn mix_into<H: Hasher>(&self, state: &mut H) {
        self.as_slice().mix_into(state);
    }
}

pub fn compare<T: Ordered + ?Sized>(a: &T, b: &T) -> Ordering {
    a.compare(b)
}

/// From the largest to the least, nulls last.
pub fn descending<T: Ordered>(a: &Option<T>, b: &Option<T>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => b.compare(a),
        (a, b) => a.compare(b),
    }
}

/// A value with floats as the key of a map.
#[derive(Debug, Clone)]
pub struct Key<T>(pub T);

impl<T: Ordered> PartialEq for Key<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.compare(&other.0).is_eq()
    }
}

impl<T: Ordered> Eq for Key<T> {}

impl<T: Ordered> Hash for Key<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.mix_into(state);
    }
}

#[inline]
pub fn is_equal(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan())
}

#[inline]
pub fn is_unequal(a: f64, b: f64) -> bool {
    !is_equal(a, b)
}

#[inline]
pub fn is_less(a: f64, b: f64) -> bool {
    a < b || (b.is_nan() && !a.is_nan())
}

#[inline]
pub fn is_at_most(a: f64, b: f64) -> bool {
    a <= b || b.is_nan()
}

#[inline]
pub fn is_greater(a: f64, b: f64) -> bool {
    is_less(b, a)
}

#[inline]
pub fn is_at_least(a: f64, b: f64) -> bool {
    is_at_most(b, a)
}

/// `and` of a side that is not false and another.
pub fn and(left: Option<bool>, right: Option<bool>) -> Option<bool> {
    match right {
        Some(false) => right,
        _ => left.and(right),
    }
}

/// `or` of a side that is not true and another.
pub fn or(left: Option<bool>, right: Option<bool>) -> Option<bool> {
    match right {
        Some(true) => right,
        _ => left.and(right),
    }
}

// Maps and sets.

pub type Map<K, V> = HashMap<K, V, BuildHasherDefault<Mixer>>;
pub type Set<K> = HashSet<K, BuildHasherDefault<Mixer>>;

/// A fast hash: each eight bytes are multiplied into 128 bits, which are folded (Wang Yi's wyhash).
#[derive(Default, Clone, Copy)]
pub struct Mixer(u64);

impl Mixer {
    #[inline]
    fn fold(a: u64, b: u64) -> u64 {
        let product = u128::from(a) * u128::from(b);
        product as u64 ^ (product >> 64) as u64
    }

    #[inline]
    fn add(&mut self, word: u64) {
        self.0 = Mixer::fold(self.0 ^ word ^ 0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db);
    }
}

impl Hasher for Mixer {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let word = |at: usize| u64::from_le_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|i| bytes[at + i]));
        let half = |at: usize| u64::from(u32::from_le_bytes([0, 1, 2, 3].map(|i| bytes[at + i])));
        let length = bytes.len();
        match length {
            0 => self.add(0),
            1..4 => {
                let ends = u64::from(bytes[0]) << 16 | u64::from(bytes[length / 2]) << 8 | u64::from(bytes[length - 1]);
                self.add(ends);
            }
            4..9 => self.add(half(0) | half(length - 4) << 32),
            9..17 => {
                let (first, last) = (word(0) ^ 0xa076_1d64_78bd_642f, word(length - 8) ^ 0xe703_7ed1_a0b4_28db);
                self.0 = Mixer::fold(self.0 ^ first, last);
            }
            _ => {
                bytes.chunks_exact(8).for_each(|chunk| self.add(u64::from_le_bytes(chunk.try_into().unwrap())));
                self.add(word(length - 8));
            }
        }
        self.0 ^= length as u64;
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.add(word);
    }

    #[inline]
    fn write_i64(&mut self, word: i64) {
        self.add(word as u64);
    }

    #[inline]
    fn write_u8(&mut self, byte: u8) {
        // The mark after a text: texts of two columns do not run together.
        self.0 = self.0.rotate_left(5) ^ u64::from(byte);
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.add(number as u64);
    }

    #[inline]
    fn write_isize(&mut self, number: isize) {
        self.add(number as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

/// Whether a text was not in the set, which has it then.
pub fn is_new(seen: &mut Set<String>, text: &str) -> bool {
    !seen.contains(text) && seen.insert(text.to_string())
}

// What aggregates gather.

/// A sum that is an int.
pub fn whole(sum: i128) -> Result<i64, RowError> {
    i64::try_from(sum).map_err(|_| RowError::Overflow)
}

/// A sum that keeps what rounding loses (Neumaier 1974).
#[derive(Debug, Default, Clone)]
pub struct FloatSum {
    sum: f64,
    lost: f64,
    pub count: u64,
}

impl FloatSum {
    #[inline]
    pub fn add(&mut self, x: f64) {
        let total = self.sum + x;
        let lost = if self.sum.abs() >= x.abs() { (self.sum - total) + x } else { (x - total) + self.sum };
        // An infinity is no rounding error.
        if lost.is_finite() {
            self.lost += lost;
        }
        self.sum = total;
        self.count += 1;
    }

    pub fn total(&self) -> f64 {
        self.sum + self.lost
    }

    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.total() / self.count as f64)
    }
}

#[derive(Debug, Default, Clone)]
pub struct IntMean {
    sum: i128,
    count: u64,
}

impl IntMean {
    #[inline]
    pub fn add(&mut self, i: i64) {
        self.sum += i128::from(i);
        self.count += 1;
    }

    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }
}

#[inline]
pub fn keep_least<T: Ordered>(least: &mut Option<T>, value: T) {
    if least.as_ref().is_none_or(|least| value.compare(least).is_lt()) {
        *least = Some(value);
    }
}

#[inline]
pub fn keep_largest<T: Ordered>(largest: &mut Option<T>, value: T) {
    if largest.as_ref().is_none_or(|largest| value.compare(largest).is_gt()) {
        *largest = Some(value);
    }
}

#[inline]
pub fn keep_least_text(least: &mut Option<String>, value: &str) {
    if least.as_deref().is_none_or(|least| value < least) {
        *least = Some(value.to_string());
    }
}

#[inline]
pub fn keep_largest_text(largest: &mut Option<String>, value: &str) {
    if largest.as_deref().is_none_or(|largest| value > largest) {
        *largest = Some(value.to_string());
    }
}

/// Texts with one between.
#[derive(Debug, Default, Clone)]
pub struct Glued {
    pub text: String,
    any: bool,
}

impl Glued {
    pub fn add(&mut self, part: &str, between: &str) {
        if self.any {
            self.text.push_str(between);
        }
        self.any = true;
        self.text.push_str(part);
    }
}

// Whole tables.

/// The first `limit` rows by their ranks, and by `order` where these are equal.
pub struct First<T, R, F> {
    rows: Vec<T>,
    limit: usize,
    rank: R,
    order: F,
    /// The rank of the last row that can still be among the first, which stands at `limit - 1`.
    last: Option<u64>,
}

impl<T, R: Fn(&T) -> u64, F: Fn(&T, &T) -> Ordering> First<T, R, F> {
    pub fn new(limit: usize, rank: R, order: F) -> First<T, R, F> {
        First { rows: Vec::new(), limit, rank, order, last: None }
    }

    #[inline]
    pub fn add(&mut self, row: T) {
        let rank = (self.rank)(&row);
        if self.last.is_none_or(|last| rank <= last) && self.limit > 0 {
            self.keep(row);
        }
    }

    fn keep(&mut self, row: T) {
        self.rows.push(row);
        if self.rows.len() >= self.limit.saturating_mul(2).max(64) {
            self.rows.select_nth_unstable_by(self.limit - 1, &self.order);
            self.rows.truncate(self.limit);
            self.last = self.rows.last().map(&self.rank);
        }
    }

    pub fn sorted(mut self) -> Vec<T> {
        self.rows.sort_unstable_by(&self.order);
        self.rows.truncate(self.limit);
        self.rows
    }
}

/// The rows whose numbers have the `count` least hashes.
pub fn sample<T>(rows: Vec<T>, count: usize, seed: i64) -> Vec<T> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|row| (mix(seed, *row as u64), *row));
    let mut chosen = vec![false; rows.len()];
    order.into_iter().take(count).for_each(|row| chosen[row] = true);
    rows.into_iter().zip(chosen).filter(|(_, chosen)| *chosen).map(|(row, _)| row).collect()
}

/// Numbers in the order of values: where two are equal, only the values tell. Nulls and lists have none.
pub trait Ranked {
    fn rank(&self) -> u64;
}

impl Ranked for i64 {
    fn rank(&self) -> u64 {
        *self as u64 ^ 1 << 63
    }
}

impl Ranked for f64 {
    fn rank(&self) -> u64 {
        let bits = if self.is_nan() { f64::NAN.to_bits() } else { (self + 0.0).to_bits() };
        if bits >> 63 == 0 { bits ^ 1 << 63 } else { !bits }
    }
}

impl Ranked for bool {
    fn rank(&self) -> u64 {
        u64::from(*self)
    }
}

impl Ranked for &str {
    fn rank(&self) -> u64 {
        let mut first = [0; 8];
        let length = self.len().min(8);
        first[..length].copy_from_slice(&self.as_bytes()[..length]);
        u64::from_be_bytes(first)
    }
}

impl Ranked for String {
    fn rank(&self) -> u64 {
        self.as_str().rank()
    }
}

/// Sorts rows by their ranks, and by `order` where these are equal: numbers are compared faster than rows, and moved.
pub fn sort<T>(rows: Vec<T>, rank: impl Fn(&T) -> u64, order: impl Fn(&T, &T) -> Ordering) -> Vec<T> {
    let mut places: Vec<(u64, usize)> = rows.iter().map(rank).zip(0..).collect();
    places.sort_unstable_by_key(|(rank, _)| *rank);
    for equal in places.chunk_by_mut(|a, b| a.0 == b.0).filter(|equal| equal.len() > 1) {
        equal.sort_unstable_by(|a, b| order(&rows[a.1], &rows[b.1]));
    }
    let mut rows: Vec<Option<T>> = rows.into_iter().map(Some).collect();
    places.into_iter().map(|(_, place)| rows[place].take().expect("each place comes once")).collect()
}

/// The right rows of a join: the first one of a key stands beside it, the others are a chain, in their order.
pub struct Matches<K, T> {
    firsts: Map<K, FirstRow<T>>,
    /// Each with the number of the next one.
    others: Vec<(T, usize)>,
}

/// The first row of a key, and the numbers of its second and last ones. Numbers begin with 1; 0 is none.
struct FirstRow<T> {
    row: T,
    second: usize,
    last: usize,
}

impl<K: Hash + Eq, T> Matches<K, T> {
    pub fn new() -> Matches<K, T> {
        Matches { firsts: Map::default(), others: Vec::new() }
    }

    pub fn add(&mut self, key: K, row: T) {
        match self.firsts.entry(key) {
            Entry::Vacant(free) => {
                free.insert(FirstRow { row, second: 0, last: 0 });
            }
            Entry::Occupied(found) => {
                let found = found.into_mut();
                self.others.push((row, 0));
                let number = self.others.len();
                match found.last {
                    0 => found.second = number,
                    last => self.others[last - 1].1 = number,
                }
                found.last = number;
            }
        }
    }

    #[inline]
    pub fn of<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Chain<'_, T>
    where
        K: Borrow<Q>,
    {
        let found = self.firsts.get(key);
        Chain { row: found.map(|found| &found.row), next: found.map_or(0, |found| found.second), others: &self.others }
    }
}

/// The right rows of one left row.
pub struct Chain<'m, T> {
    row: Option<&'m T>,
    next: usize,
    others: &'m [(T, usize)],
}

impl<'m, T> Iterator for Chain<'m, T> {
    type Item = &'m T;

    #[inline]
    fn next(&mut self) -> Option<&'m T> {
        let row = self.row.take()?;
        if self.next > 0 {
            let (row, next) = &self.others[self.next - 1];
            self.row = Some(row);
            self.next = *next;
        }
        Some(row)
    }
}

/// The right rows of one left row; where there are none, none once.
pub fn or_none<'m, T: 'm>(matches: impl Iterator<Item = &'m T>) -> impl Iterator<Item = Option<&'m T>> {
    let mut matches = matches.map(Some);
    let first = matches.next().unwrap_or(None);
    std::iter::once(first).chain(matches)
}

/// The ints from `start` on; the largest is an overflow.
pub fn endless(start: i64) -> impl Iterator<Item = Result<i64, RowError>> {
    (start..i64::MAX).map(Ok).chain([Err(RowError::Overflow)])
}

/// What stands where no value ever comes: an element of `[]`.
pub fn no_value<T>() -> T {
    unreachable!("`[]` has no elements")
}

// Lists.

pub fn element<T>(list: &[T], index: i64) -> Option<&T> {
    place(list.len(), index).map(|at| &list[at])
}

pub fn slice_list<T>(list: &[T], start: i64, count: i64) -> &[T] {
    &list[slice_range(list.len(), start, count)]
}

pub fn reversed<T: Clone>(list: &[T]) -> Vec<T> {
    list.iter().rev().cloned().collect()
}

pub fn sorted_list<T: Clone + Ordered>(list: &[T]) -> Vec<T> {
    let mut list = list.to_vec();
    list.sort_by(T::compare);
    list
}

pub fn join<'t>(parts: impl Iterator<Item = &'t String>, between: &str) -> String {
    let mut glued = Glued::default();
    parts.for_each(|part| glued.add(part, between));
    glued.text
}

pub fn sum_ints<'t>(ints: impl Iterator<Item = &'t i64>) -> Result<i64, RowError> {
    whole(ints.map(|i| i128::from(*i)).sum())
}

pub fn least_of<'t, T: Clone + Ordered + 't>(items: impl Iterator<Item = &'t T>) -> Option<T> {
    items.min_by(|a, b| a.compare(b)).cloned()
}

pub fn largest_of<'t, T: Clone + Ordered + 't>(items: impl Iterator<Item = &'t T>) -> Option<T> {
    items.max_by(|a, b| a.compare(b)).cloned()
}

/// As `text(x)` writes it.
pub trait Show {
    fn show(&self) -> String;
}

impl Show for i64 {
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Show for bool {
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Show for f64 {
    fn show(&self) -> String {
        float_text(*self)
    }
}

impl Show for String {
    fn show(&self) -> String {
        format!("{self:?}")
    }
}

impl<T: Show> Show for Option<T> {
    fn show(&self) -> String {
        self.as_ref().map_or("null".to_string(), T::show)
    }
}

impl<T: Show> Show for Vec<T> {
    fn show(&self) -> String {
        shown(self)
    }
}

pub fn shown<T: Show>(list: &[T]) -> String {
    let items: Vec<String> = list.iter().map(T::show).collect();
    format!("[{}]", items.join(", "))
}

// Texts and files.

pub fn chars(text: &str) -> impl Iterator<Item = &str> {
    text.char_indices().map(|(at, c)| &text[at..at + c.len_utf8()])
}

pub fn upper(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_uppercase() } else { text.to_uppercase() }
}

/// In small letters, in a place that is used again.
#[inline]
pub fn lower_into<'t>(text: &str, place: &'t mut String) -> &'t str {
    place.clear();
    if text.is_ascii() {
        place.push_str(text);
        place.make_ascii_lowercase();
    } else {
        place.push_str(&text.to_lowercase());
    }
    place
}

/// Maximal runs of characters that are no white space (Unicode White_Space).
#[inline]
pub fn words(text: &str) -> Words<'_> {
    let mut words = Words { text, at: 0, inside: 0, carry: 0 };
    words.inside = words.look();
    words
}

/// 64 bytes at a time become bits: those of words that are still to come.
pub struct Words<'t> {
    text: &'t str,
    at: usize,
    inside: u64,
    /// Bytes of the next 64 that belong to a white-space character of these.
    carry: u64,
}

impl Words<'_> {
    /// The bytes of the 64 at `at` that are no white space; what lies beyond the end is.
    #[inline]
    fn look(&mut self) -> u64 {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let chunk = rest.first_chunk::<64>().copied().unwrap_or_else(|| {
            let mut chunk = [b' '; 64];
            chunk[..rest.len()].copy_from_slice(rest);
            chunk
        });
        let blanks = bits(&chunk, |byte| (byte == b' ') | (byte.wrapping_sub(9) < 5));
        let wide = bits(&chunk, |byte| byte > 127);
        !(if wide | self.carry == 0 { blanks } else { blanks | self.wide_blanks(wide) })
    }

    /// The white space of two and three bytes.
    #[cold]
    fn wide_blanks(&mut self, mut wide: u64) -> u64 {
        let mut blanks = std::mem::take(&mut self.carry);
        while wide != 0 {
            let bit = wide.trailing_zeros();
            wide &= wide - 1;
            let width = wide_blank(&self.text.as_bytes()[self.at + bit as usize..]);
            let all = ((1u128 << width) - 1) << bit;
            blanks |= all as u64;
            self.carry |= (all >> 64) as u64;
        }
        blanks
    }
}

/// How many bytes the white space of several bytes has that `bytes` begin with; 0 where they do not.
#[inline]
fn wide_blank(bytes: &[u8]) -> u32 {
    match bytes {
        [0xc2, 0x85 | 0xa0, ..] => 2,
        [0xe1, 0x9a, 0x80, ..]
        | [0xe2, 0x80, 0x80..=0x8a | 0xa8 | 0xa9 | 0xaf, ..]
        | [0xe2, 0x81, 0x9f, ..]
        | [0xe3, 0x80, 0x80, ..] => 3,
        _ => 0,
    }
}

/// The bytes for which a test holds, as bits. Eight flags at a time become a byte of bits with one product.
#[inline(always)]
fn bits(chunk: &[u8; 64], holds: impl Fn(u8) -> bool) -> u64 {
    let mut flags = [0u8; 64];
    for (flag, byte) in flags.iter_mut().zip(chunk) {
        *flag = u8::from(holds(*byte));
    }
    let mut bits = 0;
    for (i, eight) in flags.as_chunks::<8>().0.iter().enumerate() {
        bits |= (u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * i);
    }
    bits
}

impl<'t> Iterator for Words<'t> {
    type Item = &'t str;

    #[inline]
    fn next(&mut self) -> Option<&'t str> {
        while self.inside == 0 {
            self.at += 64;
            if self.at >= self.text.len() {
                return None;
            }
            self.inside = self.look();
        }
        let first = self.inside.trailing_zeros();
        let start = self.at + first as usize;
        let mut outside = !self.inside & (u64::MAX << first);
        while outside == 0 {
            self.at += 64;
            self.inside = self.look();
            outside = !self.inside;
        }
        let last = outside.trailing_zeros();
        self.inside &= u64::MAX << last;
        let end = (self.at + last as usize).min(self.text.len());
        Some(&self.text[start..end])
    }
}

/// The lines of a file, read into one buffer.
pub struct Lines {
    file: File,
    buffer: Vec<u8>,
    /// Where the next line begins, and where the whole lines end: what stands between is UTF-8.
    at: usize,
    whole: usize,
    /// Where what was read ends.
    held: usize,
}

impl Lines {
    pub fn open(path: &str) -> Result<Lines, RowError> {
        let file = File::open(path).map_err(|_| RowError::File)?;
        Ok(Lines { file, buffer: vec![0; 128 << 10], at: 0, whole: 0, held: 0 })
    }

    /// Reads whole lines; false at the end.
    fn fill(&mut self) -> Result<bool, RowError> {
        self.buffer.copy_within(self.whole..self.held, 0);
        self.held -= self.whole;
        (self.at, self.whole) = (0, 0);
        while self.whole == 0 {
            if self.held == self.buffer.len() {
                self.buffer.resize(2 * self.held, 0);
            }
            let read = match self.file.read(&mut self.buffer[self.held..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                read => read.map_err(|_| RowError::File)?,
            };
            let new = &self.buffer[self.held..self.held + read];
            self.whole = match new.iter().rposition(|byte| *byte == b'\n') {
                _ if read == 0 => self.held,
                Some(last) => self.held + last + 1,
                None => 0,
            };
            self.held += read;
            if read == 0 {
                break;
            }
        }
        std::str::from_utf8(&self.buffer[..self.whole]).map_err(|_| RowError::File)?;
        Ok(self.whole > 0)
    }

    /// Some whole lines with their line breaks.
    pub fn block(&mut self) -> Result<Option<&str>, RowError> {
        if !self.fill()? {
            return Ok(None);
        }
        self.at = self.whole;
        // It was checked when it was read.
        Ok(Some(unsafe { std::str::from_utf8_unchecked(&self.buffer[..self.whole]) }))
    }

    /// The next line, without its line break.
    #[inline]
    pub fn next(&mut self) -> Result<Option<&str>, RowError> {
        if self.at == self.whole && !self.fill()? {
            return Ok(None);
        }
        // It was checked when it was read.
        let rest = unsafe { std::str::from_utf8_unchecked(&self.buffer[self.at..self.whole]) };
        let line = match rest.find('\n') {
            Some(end) => &rest[..end],
            None => rest,
        };
        self.at += (line.len() + 1).min(rest.len());
        Ok(Some(line.strip_suffix('\r').unwrap_or(line)))
    }
}
