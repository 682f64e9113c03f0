//! Tables that `persist` keeps: as they are, compressed, or in a file without a name.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use crate::data::{Schema, Table};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::kernel::{self, Batch, Cut, Rows};
use crate::plan::Storage;
use crate::run_context::RunContext;

/// A table that was computed once.
pub struct Persisted {
    pub storage: Storage,
    pub rows: u64,
    /// That it takes, in memory or on the disk.
    pub bytes: u64,
    held: Held,
    schema: Schema,
}

enum Held {
    Table(Arc<Table>),
    /// Its rows in pieces, as bytes.
    Memory(Vec<Vec<u8>>),
    /// The same in a file, which is gone when this is dropped; how long each piece is.
    Disk(File, Vec<usize>),
}

/// A piece has so many rows.
const ROWS: usize = 1 << 16;

impl Persisted {
    /// Keeps a table; a file is in `folder`.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn new(table: Arc<Table>, storage: Storage, folder: &Path, context: &RunContext) -> Fallible<Persisted> {
        let (rows, schema) = (table.height() as u64, table.schema().clone());
        if storage == Storage::default() {
            return Ok(Persisted { storage, rows, bytes: table.bytes() as u64, held: Held::Table(table), schema });
        }
        let file =
            if storage.on_disk { Some(tempfile::tempfile_in(folder).map_err(|e| failed(folder, &e))?) } else { None };
        let (mut pieces, mut lengths, mut bytes) = (Vec::new(), Vec::new(), 0);
        let types = schema.columns.iter().map(|column| column.ty.clone());
        let mut cut = Cut::new(table.frame(), types);
        while let Some(batch) = cut.next(ROWS) {
            context.check()?;
            let piece = packed(kernel::to_bytes(&batch), storage)?;
            bytes += piece.len() as u64;
            match &file {
                Some(file) => {
                    file.write_all_at(&piece, bytes - piece.len() as u64).map_err(|error| failed(folder, &error))?;
                    lengths.push(piece.len());
                }
                None => pieces.push(piece),
            }
        }
        let held = match file {
            Some(file) => Held::Disk(file, lengths),
            None => Held::Memory(pieces),
        };
        Ok(Persisted { storage, rows, bytes, held, schema })
    }

    /// The table, read again where it is not there as it is.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn table(&self, context: &RunContext) -> Fallible<Arc<Table>> {
        let mut rows = Rows::of(&self.schema);
        let mut take = |piece: &[u8]| {
            context.check()?;
            rows.push(&unpacked(piece, self.storage)?)
        };
        match &self.held {
            Held::Table(table) => return Ok(table.clone()),
            Held::Memory(pieces) => pieces.iter().try_for_each(|piece| take(piece))?,
            Held::Disk(file, lengths) => {
                let mut at = 0;
                for length in lengths {
                    let mut piece = vec![0; *length];
                    file.read_exact_at(&mut piece, at).map_err(|error| unreadable(&error.to_string()))?;
                    take(&piece)?;
                    at += *length as u64;
                }
            }
        }
        if self.rows == 0 {
            return Ok(Arc::new(Table::stacked(&self.schema, [])));
        }
        kernel::table(rows.finish(), &self.schema).map(Arc::new).map_err(|what| unreadable(&what))
    }
}

fn packed(bytes: Vec<u8>, storage: Storage) -> Fallible<Vec<u8>> {
    if !storage.compressed {
        return Ok(bytes);
    }
    zstd::bulk::compress(&bytes, 0).map_err(|error| unreadable(&error.to_string()))
}

fn unpacked(piece: &[u8], storage: Storage) -> Fallible<Batch> {
    let bytes = if storage.compressed {
        zstd::stream::decode_all(piece).map_err(|error| unreadable(&error.to_string()))?
    } else {
        piece.to_vec()
    };
    kernel::from_bytes(&bytes).ok_or_else(|| unreadable("it is not what was written"))
}

fn unreadable(why: &str) -> Box<Diagnostic> {
    Diagnostic::new(Kind::System, format!("a table that `persist` keeps cannot be read again: {why}"))
}

fn failed(folder: &Path, error: &io::Error) -> Box<Diagnostic> {
    let message = format!("`persist disk` cannot write in {}: {error}", folder.display());
    Diagnostic::new(Kind::File, message).hint("%set scratch FOLDER chooses another folder")
}
