//! The sizes of caches.

/// The bytes of the second cache, which a core has for itself; a usual size where the system does not tell.
pub fn second_cache() -> u64 {
    const USUAL: u64 = 1 << 20;
    // Of glibc; the libc crate has no name for it.
    const LEVEL_2_CACHE_SIZE: libc::c_int = 191;
    // SAFETY: sysconf answers -1 or 0 for a question that it does not know.
    let size = unsafe { libc::sysconf(LEVEL_2_CACHE_SIZE) };
    u64::try_from(size).ok().filter(|size| *size > 0).unwrap_or(USUAL)
}
