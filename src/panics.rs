//! Panics of libraries as errors, without their text on standard error.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many runs may panic now: all threads do so silently meanwhile, since a library's pool is among them.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// What `run` gives.
///
/// # Errors
/// The text of its panic.
pub fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    static PREPARED: Once = Once::new();
    PREPARED.call_once(|| {
        let loud = take_hook();
        set_hook(Box::new(move |panic| {
            if RUNNING.load(Ordering::Relaxed) == 0 {
                loud(panic);
            }
        }));
    });
    RUNNING.fetch_add(1, Ordering::Relaxed);
    let result = catch_unwind(AssertUnwindSafe(run));
    RUNNING.fetch_sub(1, Ordering::Relaxed);
    result.map_err(|panic| {
        let owned = panic.downcast_ref::<String>().cloned();
        let text = owned.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
        text.unwrap_or_else(|| "no reason given".to_string())
    })
}
