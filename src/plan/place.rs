//! Where a plan runs that does not run here. It is said beside the plan: an address may hold a token, which must not be
//! in anything that is shown.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::escape::without_token;

/// One of the places that were named since the program began.
#[derive(Clone, Copy)]
pub struct Place(&'static Words);

/// What was said of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// None: where the engine starts by itself.
    pub address: Option<String>,
    /// The program that runs drivers.
    pub python: Option<String>,
    /// Options of the engine itself.
    pub options: Vec<(String, String)>,
}

/// Few are ever named, so that none is forgotten: a place can be copied.
static NAMED: Mutex<Vec<&'static Words>> = Mutex::new(Vec::new());

impl Place {
    pub fn of(words: Words) -> Place {
        let mut named = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = named.iter().copied().find(|known| **known == words) {
            return Place(known);
        }
        let words: &'static Words = Box::leak(Box::new(words));
        named.push(words);
        Place(words)
    }

    pub fn words(self) -> &'static Words {
        self.0
    }

    pub fn address(self) -> Option<&'static str> {
        self.0.address.as_deref()
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Place) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for Place {}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({})", self.address().map_or(String::new(), without_token))
    }
}
