use std::collections::LinkedList;

use super::Class::{Constant, Linear};
use super::Keys::{Absent, New, Places, Present};
use super::{Kind, RANGE, Typed, each, op};

pub static CHUNKED: Kind = Kind {
    name: "chunked",
    about: "a deque of chunks of 64 elements that point to each other (Python's deque)",
    pick: "queues that never move an element: no addition costs more than the others",
    parts: &[&CHUNKS],
    text: include_str!("chunked.rs"),
};

const CHUNK: usize = 64;

/// Its elements are those from `first` to before `end`.
#[derive(Clone)]
struct Chunk {
    elements: [i64; CHUNK],
    first: usize,
    end: usize,
}

impl Chunk {
    fn at(place: usize) -> Chunk {
        Chunk { elements: [0; CHUNK], first: place, end: place }
    }

    fn elements(&self) -> &[i64] {
        &self.elements[self.first..self.end]
    }
}

#[derive(Clone, Default)]
struct Chunked {
    chunks: LinkedList<Box<Chunk>>,
    len: usize,
}

impl Chunked {
    fn push_back(&mut self, element: i64) {
        if self.chunks.back().is_none_or(|chunk| chunk.end == CHUNK) {
            self.chunks.push_back(Box::new(Chunk::at(0)));
        }
        if let Some(chunk) = self.chunks.back_mut() {
            chunk.elements[chunk.end] = element;
            chunk.end += 1;
            self.len += 1;
        }
    }

    fn push_front(&mut self, element: i64) {
        if self.chunks.front().is_none_or(|chunk| chunk.first == 0) {
            self.chunks.push_front(Box::new(Chunk::at(CHUNK)));
        }
        if let Some(chunk) = self.chunks.front_mut() {
            chunk.first -= 1;
            chunk.elements[chunk.first] = element;
            self.len += 1;
        }
    }

    fn pop_back(&mut self) -> Option<i64> {
        let chunk = self.chunks.back_mut()?;
        chunk.end -= 1;
        let element = chunk.elements[chunk.end];
        if chunk.first == chunk.end {
            self.chunks.pop_back();
        }
        self.len -= 1;
        Some(element)
    }

    fn pop_front(&mut self) -> Option<i64> {
        let chunk = self.chunks.front_mut()?;
        let element = chunk.elements[chunk.first];
        chunk.first += 1;
        if chunk.first == chunk.end {
            self.chunks.pop_front();
        }
        self.len -= 1;
        Some(element)
    }

    /// It walks from chunk to chunk.
    fn get(&self, mut place: usize) -> Option<i64> {
        for chunk in &self.chunks {
            let elements = chunk.elements();
            match elements.get(place) {
                Some(element) => return Some(*element),
                None => place -= elements.len(),
            }
        }
        None
    }

    fn iter(&self) -> impl Iterator<Item = &i64> {
        self.chunks.iter().flat_map(|chunk| chunk.elements())
    }

    /// Takes so many elements from the front to the back.
    fn rotate(&mut self, count: usize) {
        for _ in 0..count {
            if let Some(element) = self.pop_front() {
                self.push_back(element);
            }
        }
    }

    /// The other way.
    fn rotate_back(&mut self, count: usize) {
        for _ in 0..count {
            if let Some(element) = self.pop_back() {
                self.push_front(element);
            }
        }
    }

    /// The elements from a place on: chunks before it are passed as a whole.
    fn from(&self, mut place: usize) -> impl Iterator<Item = &i64> {
        let mut chunks = self.chunks.iter();
        let mut rest: &[i64] = &[];
        for chunk in chunks.by_ref() {
            rest = chunk.elements();
            if place < rest.len() {
                break;
            }
            place -= rest.len();
        }
        rest[place.min(rest.len())..].iter().chain(chunks.flat_map(|chunk| chunk.elements()))
    }
}

static CHUNKS: Typed<Chunked> = Typed {
    new: Chunked::default,
    fill: |deque, keys| keys.iter().for_each(|key| deque.push_back(*key)),
    copy: Chunked::clone,
    operations: &[
        op("push_back", Constant, New, |deque: &mut Chunked, keys| {
            each(keys, |key| {
                deque.push_back(key);
                0
            })
        })
        .changes()
        .why("a chunk is allocated for every 64"),
        op("push_front", Constant, New, |deque: &mut Chunked, keys| {
            each(keys, |key| {
                deque.push_front(key);
                0
            })
        })
        .changes()
        .why("a chunk is allocated for every 64"),
        op("insert_middle", Linear, New, |deque: &mut Chunked, keys| {
            each(keys, |key| {
                let half = deque.len / 2;
                deque.rotate(half);
                deque.push_front(key);
                deque.rotate_back(half);
                0
            })
        })
        .changes()
        .why("it is rotated by half its length and back, as in Python"),
        op("pop_front", Constant, New, |deque: &mut Chunked, keys| each(keys, |_| deque.pop_front().unwrap_or(0)))
            .changes(),
        op("pop_back", Constant, New, |deque: &mut Chunked, keys| each(keys, |_| deque.pop_back().unwrap_or(0)))
            .changes(),
        op("get", Linear, Places, |deque: &mut Chunked, keys| {
            each(keys, |place| deque.get(place as usize).unwrap_or(0))
        })
        .why("it walks there, 64 elements per step"),
        op("contains_value", Linear, Present, |deque: &mut Chunked, keys| {
            each(keys, |key| i64::from(deque.iter().any(|element| *element == key)))
        }),
        op("contains_value", Linear, Absent, |deque: &mut Chunked, keys| {
            each(keys, |key| i64::from(deque.iter().any(|element| *element == key)))
        })
        .absent(),
        op("iterate", Linear, New, |deque: &mut Chunked, keys| {
            each(keys, |_| deque.iter().fold(0i64, |sum, element| sum.wrapping_add(*element)))
        }),
        op("range", Linear, Places, |deque: &mut Chunked, keys| {
            each(keys, |place| deque.from(place as usize).take(RANGE).sum::<i64>())
        })
        .why("it walks to the first, 64 elements per step"),
        op("remove", Linear, Places, |deque: &mut Chunked, keys| {
            each(keys, |place| {
                let place = place as usize % deque.len.max(1);
                deque.rotate(place);
                let element = deque.pop_front().unwrap_or(0);
                deque.rotate_back(place);
                element
            })
        })
        .changes()
        .why("it is rotated to the position and back, as in Python"),
    ],
};
