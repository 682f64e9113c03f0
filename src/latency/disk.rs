//! A disk: a file of our own, which is dropped from the page cache before it is read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

use crate::escape::file_name;

use super::{Group, Means, Missing, Outcome, Probe, because, boner, failed};

pub static DISK: Group = Group {
    name: "disk",
    about: "reads of a file that is not in memory and of one that is, and a durable write",
    probes: &[
        Probe {
            name: "disk read",
            about: "4 KiB at random from a file that is not in the page cache",
            published: boner(150e-6),
            in_chart: true,
            run: Some(|means| cold(means, 4 << 10)),
        },
        Probe {
            name: "disk read, 1 MiB",
            about: "in one piece from a file that is not in the page cache",
            published: boner(1e-3),
            in_chart: true,
            run: Some(|means| cold(means, MIB)),
        },
        Probe {
            name: "cached read",
            about: "4 KiB from a file that is in the page cache",
            published: None,
            in_chart: true,
            run: Some(cached),
        },
        Probe {
            name: "fsync",
            about: "writing 4 KiB until it is on the disk",
            published: None,
            in_chart: true,
            run: Some(synced),
        },
    ],
};

const MIB: usize = 1 << 20;
/// The size of the file.
const FILE: usize = 64 * MIB;

/// A file without a name.
struct Own {
    file: File,
}

impl Own {
    /// So many bytes that no file system can make smaller, on the disk.
    fn new(means: &Means, bytes: usize) -> Result<Own, Missing> {
        let folder = folder();
        fs::create_dir_all(&folder).map_err(failed)?;
        let path = folder.join(format!("latency-{}-{:016x}", std::process::id(), fastrand::u64(..)));
        let file =
            OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        // Nobody needs its name: whatever ends the process, no file stays.
        fs::remove_file(&path).map_err(failed)?;
        let mut own = Own { file };
        let mut random = fastrand::Rng::with_seed(7);
        let mut block = vec![0u8; MIB.min(bytes)];
        for at in 0..bytes / block.len() {
            random.fill(&mut block);
            own.file.write_all(&block).map_err(failed)?;
            // A few at a time, so that none of it takes long.
            if at % 4 == 3 {
                own.file.sync_data().map_err(failed)?;
                means.check()?;
            }
        }
        own.file.sync_all().map_err(failed)?;
        Ok(own)
    }

    fn advise(&self, advice: libc::c_int) {
        // SAFETY: it only says what will be done with the file.
        unsafe { libc::posix_fadvise(self.file.as_raw_fd(), 0, 0, advice) };
    }

    /// Whether this part is in memory; none where the system does not say.
    fn is_in_memory(&self, at: usize) -> Option<bool> {
        let mut byte = 0u8;
        let part = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
        // SAFETY: it reads one byte into the place that is named, or nothing.
        let read = unsafe { libc::preadv2(self.file.as_raw_fd(), &part, 1, at as libc::off_t, libc::RWF_NOWAIT) };
        match read {
            1 => Some(true),
            _ if io::Error::last_os_error().raw_os_error() == Some(libc::EAGAIN) => Some(false),
            _ => None,
        }
    }
}

/// Beside what else is kept for the user: a temporary folder is often in memory.
fn folder() -> PathBuf {
    let own = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    own.or_else(home).unwrap_or_else(std::env::temp_dir).join("timelab")
}

fn cold(means: &Means, bytes: usize) -> Outcome {
    let own = Own::new(means, FILE)?;
    own.advise(libc::POSIX_FADV_DONTNEED);
    own.advise(libc::POSIX_FADV_RANDOM);
    let mut block = vec![0u8; bytes];
    // Places that lie so far apart that no read brings the next one along.
    let mut places: Vec<usize> = (0..FILE / MIB).map(|at| at * MIB).collect();
    fastrand::Rng::with_seed(7).shuffle(&mut places);
    let mut warm = 0;
    let mut at = 0;
    let found = means.median(|| {
        let Some(place) = places.get(at) else { return because("every part of the file has already been read") };
        at += 1;
        match own.is_in_memory(*place) {
            Some(false) => {}
            Some(true) => warm += 1,
            None => {
                return because(format!(
                    "the file system of {} does not report what it has in memory",
                    file_name(folder())
                ));
            }
        }
        let (time, read) = means.once(|| own.file.read_exact_at(&mut block, *place as u64));
        read.map_err(failed).map(|()| time)
    });
    if 2 * warm > at {
        return because(format!(
            "the file system of {} keeps files in memory, so it has no cold reads",
            file_name(folder())
        ));
    }
    found
}

fn cached(means: &Means) -> Outcome {
    let own = Own::new(means, MIB)?;
    let mut block = [0u8; 4 << 10];
    let mut at = 0;
    means.least(|| {
        let mut read = || {
            at = (at + block.len()) % MIB;
            own.file.read_exact_at(&mut block, at as u64)
        };
        read().map_err(failed)?;
        Ok(means.each(500, || drop(read())))
    })
}

fn synced(means: &Means) -> Outcome {
    let own = Own::new(means, MIB)?;
    let mut block = [7u8; 4 << 10];
    means.median(|| {
        block[0] = block[0].wrapping_add(1);
        let (time, written) = means.once(|| own.file.write_all_at(&block, 0).and_then(|()| own.file.sync_all()));
        written.map_err(failed).map(|()| time)
    })
}
