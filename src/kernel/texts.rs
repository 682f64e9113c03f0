//! Text columns as views: sixteen bytes a text, which hold a short one whole and say of a longer one where it stands.
//! The layout is arrow's, so that tables come and go without a copy.

use std::sync::Arc;

use polars_arrow::array::View;
use polars_buffer::Buffer;

use super::slots::Slots;

/// Sixteen bytes may be read at the start of every text of a padded buffer.
pub const PADDING: usize = 16;

#[derive(Debug, Clone)]
pub struct Texts {
    /// Each is UTF-8, here or in a buffer.
    views: Slots<View>,
    buffers: Arc<Buffers>,
    stretch: Option<Stretch>,
}

/// What longer texts stand in.
#[derive(Debug, Default)]
pub struct Buffers {
    pub list: Vec<Buffer<u8>>,
    /// They belong to a table: who keeps a text may keep its buffer. Others are used again for what comes next.
    pub lasting: bool,
}

/// Bytes of a buffer that are the texts of a column and white space between them.
#[derive(Debug, Clone, Copy)]
pub struct Stretch {
    pub start: usize,
    pub end: usize,
    /// No byte is over 127.
    pub ascii: bool,
}

impl Texts {
    /// # Safety
    /// Every view is UTF-8 in itself or in one of the buffers.
    pub unsafe fn new(views: Slots<View>, buffers: Arc<Buffers>) -> Texts {
        Texts { views, buffers, stretch: None }
    }

    pub fn one(text: &str) -> Texts {
        let mut made = GeneratedTexts::default();
        made.push(text);
        made.finish().repeated()
    }

    /// The first text in every row.
    pub fn repeated(self) -> Texts {
        Texts { views: Slots::One(*self.views.at(0)), stretch: None, ..self }
    }

    /// The texts are all that stands in these bytes of the first buffer, but for white space.
    pub fn in_stretch(self, stretch: Stretch) -> Texts {
        Texts { stretch: Some(stretch), ..self }
    }

    pub fn views(&self) -> &Slots<View> {
        &self.views
    }

    pub fn buffers(&self) -> &Arc<Buffers> {
        &self.buffers
    }

    /// The bytes of the first buffer that these texts fill, where that is known.
    pub fn stretch(&self) -> Option<(&[u8], Stretch)> {
        Some((self.buffers.list.first()?, self.stretch?))
    }

    #[inline(always)]
    pub fn at(&self, row: usize) -> &str {
        let bytes = self.buffers.bytes(self.views.at(row));
        // SAFETY: `new` was promised UTF-8.
        unsafe { std::str::from_utf8_unchecked(bytes) }
    }

    /// The view of a part of the text in that row.
    #[inline]
    pub fn part(&self, row: usize, part: &str) -> View {
        let (view, whole) = (self.views.at(row), self.at(row));
        let start = part.as_ptr() as usize - whole.as_ptr() as usize;
        View::new_from_bytes(part.as_bytes(), view.buffer_idx, view.offset.wrapping_add(start as u32))
    }

    /// Other texts in the same buffers.
    ///
    /// # Safety
    /// As for [`Texts::new`].
    pub unsafe fn others(&self, views: Vec<View>) -> Texts {
        // SAFETY: the caller promises it.
        unsafe { Texts::new(Slots::each(views), self.buffers.clone()) }
    }

    pub fn gathered(&self, rows: &[u32]) -> Texts {
        Texts { views: self.views.gathered(rows), buffers: self.buffers.clone(), stretch: None }
    }

    pub fn cut(&self, start: usize, rows: usize) -> Texts {
        Texts { views: self.views.part(start, rows), buffers: self.buffers.clone(), stretch: None }
    }
}

impl Buffers {
    pub fn of(buffer: Buffer<u8>) -> Buffers {
        Buffers { list: vec![buffer], lasting: false }
    }

    #[inline(always)]
    pub fn bytes<'a>(&'a self, view: &'a View) -> &'a [u8] {
        match view.is_inline() {
            // SAFETY: it is inline.
            true => unsafe { view.get_inlined_slice_unchecked() },
            false => {
                let start = view.offset as usize;
                &self.list[view.buffer_idx as usize][start..start + view.length as usize]
            }
        }
    }
}

/// The view of `bytes[start..start + len]`, after which there is padding, in buffer `buffer`.
#[inline(always)]
pub fn view(bytes: &[u8], start: usize, len: usize, buffer: u32) -> View {
    let sixteen = bytes[start..start + PADDING].try_into().expect("these are sixteen");
    let sixteen = u128::from_le_bytes(sixteen);
    if len <= View::MAX_INLINE_SIZE as usize {
        let kept = (1u128 << (8 * len)) - 1;
        from_bits((sixteen & kept) << 32 | len as u128)
    } else {
        View { length: len as u32, prefix: sixteen as u32, buffer_idx: buffer, offset: start as u32 }
    }
}

#[inline(always)]
pub fn from_bits(bits: u128) -> View {
    View {
        length: bits as u32,
        prefix: (bits >> 32) as u32,
        buffer_idx: (bits >> 64) as u32,
        offset: (bits >> 96) as u32,
    }
}

/// Texts that are being made, one after the other. Longer ones stand in buffers of up to a GiB, so that there may be
/// more than 32 bits can count.
#[derive(Default)]
pub struct GeneratedTexts {
    views: Vec<View>,
    full: Vec<Buffer<u8>>,
    bytes: Vec<u8>,
    /// Where a text is written before it is known how long it is.
    scratch: String,
}

const FULL_BYTES: usize = 1 << 30;

impl GeneratedTexts {
    pub fn with_capacity(texts: usize) -> GeneratedTexts {
        GeneratedTexts { views: Vec::with_capacity(texts), ..GeneratedTexts::default() }
    }

    pub fn count(&self) -> usize {
        self.views.len()
    }

    #[inline]
    pub fn push(&mut self, text: &str) {
        let view = if text.len() <= View::MAX_INLINE_SIZE as usize {
            View::new_inline(text.as_bytes())
        } else {
            self.long(text.as_bytes())
        };
        self.views.push(view);
    }

    /// Adds a view that holds its text.
    #[inline(always)]
    pub fn push_short(&mut self, view: View) {
        debug_assert!(view.is_inline());
        self.views.push(view);
    }

    /// Adds a text of bytes that are UTF-8.
    #[inline(always)]
    fn long(&mut self, text: &[u8]) -> View {
        if self.bytes.len() > FULL_BYTES {
            self.full.push(Buffer::from_vec(std::mem::take(&mut self.bytes)));
        }
        let offset = self.bytes.len() as u32;
        self.bytes.extend_from_slice(text);
        View::new_from_bytes(text, self.full.len() as u32, offset)
    }

    /// Adds what `write` writes.
    pub fn write(&mut self, write: impl FnOnce(&mut String)) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        write(&mut scratch);
        self.push(&scratch);
        self.scratch = scratch;
    }

    pub fn finish(mut self) -> Texts {
        if !self.bytes.is_empty() {
            self.bytes.resize(self.bytes.len() + PADDING, 0);
            self.full.push(Buffer::from_vec(self.bytes));
        }
        let buffers = Buffers { list: self.full, lasting: false };
        // SAFETY: only whole texts were pushed.
        unsafe { Texts::new(Slots::each(self.views), Arc::new(buffers)) }
    }
}

/// Texts of many batches: short ones whole, those of tables by their buffers, and copies of all others.
#[derive(Default)]
pub struct Kept {
    views: Vec<View>,
    buffers: Vec<Buffer<u8>>,
    /// The buffer that is being filled, once there is one; its place in the list is taken.
    open: Option<(u32, Vec<u8>)>,
    /// Buffers of a table whose place in the list is known.
    known: Option<(Arc<Buffers>, u32)>,
}

impl Kept {
    pub fn push(&mut self, texts: &Texts, rows: usize) {
        self.views.reserve(rows);
        let lasting = texts.buffers.lasting.then(|| self.place(&texts.buffers));
        let add = |kept: &mut Kept, view: &View| {
            let mut view = *view;
            if !view.is_inline() {
                match lasting {
                    Some(first) => view.buffer_idx += first,
                    None => view = kept.copy_in(texts.buffers.bytes(&view)),
                }
            }
            kept.views.push(view);
        };
        match &texts.views {
            Slots::One(view) => (0..rows).for_each(|_| add(self, view)),
            Slots::Each(views) => views.iter().for_each(|view| add(self, view)),
        }
    }

    pub fn reserve(&mut self, rows: usize) {
        self.views.reserve(rows);
    }

    /// The bytes that they take; those of a table's buffers may be shared.
    pub fn size(&self) -> usize {
        let open = self.open.as_ref().map_or(0, |(_, bytes)| bytes.len());
        size_of_val(&self.views[..]) + self.buffers.iter().map(|buffer| buffer.len()).sum::<usize>() + open
    }

    pub fn push_empty(&mut self, rows: usize) {
        self.views.resize(self.views.len() + rows, View::default());
    }

    /// Where the buffers of a table stand in the list.
    fn place(&mut self, buffers: &Arc<Buffers>) -> u32 {
        match &self.known {
            Some((known, place)) if Arc::ptr_eq(known, buffers) => *place,
            _ => {
                let place = self.buffers.len() as u32;
                self.buffers.extend(buffers.list.iter().cloned());
                self.known = Some((buffers.clone(), place));
                place
            }
        }
    }

    fn copy_in(&mut self, text: &[u8]) -> View {
        if self.open.as_ref().is_some_and(|(_, bytes)| bytes.len() > FULL_BYTES) {
            self.close();
        }
        let buffers = &mut self.buffers;
        let (place, bytes) = self.open.get_or_insert_with(|| {
            buffers.push(Buffer::default());
            (buffers.len() as u32 - 1, Vec::new())
        });
        let offset = bytes.len() as u32;
        bytes.extend_from_slice(text);
        View::new_from_bytes(text, *place, offset)
    }

    fn close(&mut self) {
        if let Some((place, mut bytes)) = self.open.take() {
            bytes.resize(bytes.len() + PADDING, 0);
            self.buffers[place as usize] = Buffer::from_vec(bytes);
        }
    }

    pub fn finish(mut self) -> Texts {
        self.close();
        // They are this table's own now.
        let buffers = Buffers { list: self.buffers, lasting: true };
        // SAFETY: the views were moved together with their buffers.
        unsafe { Texts::new(Slots::each(self.views), Arc::new(buffers)) }
    }
}
