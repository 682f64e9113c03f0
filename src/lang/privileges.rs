//! What a cell may do that needs trust: run code, write elsewhere than in the current folder, reach the network.
//! Stages, magics and engines say it of each use.

use std::ops::BitOr;

/// What a use may do beyond computing, reading, and writing ordinary files in the current folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Privileges {
    /// Whether it runs code that is not timelab's own.
    pub runs_code: bool,
    /// Whether it writes out of the current folder, or hidden files in it, where other programs look for commands.
    pub writes_elsewhere: bool,
    pub reaches_network: bool,
}

impl Privileges {
    pub const NONE: Privileges = Privileges { runs_code: false, writes_elsewhere: false, reaches_network: false };
    pub const RUNS_CODE: Privileges = Privileges { runs_code: true, ..Privileges::NONE };
    pub const WRITES_ELSEWHERE: Privileges = Privileges { writes_elsewhere: true, ..Privileges::NONE };
    pub const REACHES_NETWORK: Privileges = Privileges { reaches_network: true, ..Privileges::NONE };

    /// For what does the same whatever it is told: nothing of this.
    pub fn none<T: ?Sized>(_: &T) -> Privileges {
        Privileges::NONE
    }

    pub fn any(self) -> bool {
        self != Privileges::NONE
    }

    /// These privileges, where something holds.
    pub fn only_if(self, holds: bool) -> Privileges {
        if holds { self } else { Privileges::NONE }
    }
}

impl BitOr for Privileges {
    type Output = Privileges;

    fn bitor(self, other: Privileges) -> Privileges {
        Privileges {
            runs_code: self.runs_code || other.runs_code,
            writes_elsewhere: self.writes_elsewhere || other.writes_elsewhere,
            reaches_network: self.reaches_network || other.reaches_network,
        }
    }
}

impl FromIterator<Privileges> for Privileges {
    fn from_iter<I: IntoIterator<Item = Privileges>>(all: I) -> Privileges {
        all.into_iter().fold(Privileges::NONE, BitOr::bitor)
    }
}

/// Whether a path leads out of the current folder, or to a hidden file in it.
pub fn is_outside(path: &str) -> bool {
    path.starts_with(['/', '~']) || path.split('/').any(|part| part.starts_with('.') && part != ".")
}
