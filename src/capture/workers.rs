//! Work on all processors: pieces of a list, taken by whoever is free. What is too little for two is done here.

use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Builder};

use anyhow::Result;

/// More would only wait for each other in the kernel, or for the one that hashes what they make, and each takes memory.
const MOST: usize = 8;

/// How many can work at a time.
pub fn most() -> usize {
    thread::available_parallelism()
        .map_or(1, NonZero::get)
        .min(MOST)
}

/// Does `work` on all pieces of `0..count`, `size` long; returns what came of them, in their order.
pub fn map<T: Send>(
    count: usize,
    size: usize,
    work: impl Fn(Range<usize>) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let mut workers = vec![(); most()];
    with_each(&mut workers, count, size, |(), range| work(range))
}

/// The same where each worker has something of its own.
pub fn with_each<W: Send, T: Send>(
    workers: &mut [W],
    count: usize,
    size: usize,
    work: impl Fn(&mut W, Range<usize>) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let take = |worker: &mut W| -> Result<Vec<(usize, T)>> {
        let mut done = Vec::new();
        loop {
            let piece = next.fetch_add(1, Ordering::Relaxed);
            let start = piece * size;
            if start >= count {
                return Ok(done);
            }
            let range = start..(start + size).min(count);
            done.push((piece, work(worker, range)?));
        }
    };
    let needed = count.div_ceil(size).min(workers.len());
    let Some((first, others)) = workers[..needed].split_first_mut() else {
        return Ok(Vec::new());
    };
    let mut done = thread::scope(|scope| {
        let start = |worker| Builder::new().spawn_scoped(scope, || take(worker));
        // Where no thread is to be had, those that there are do it all.
        let others: Vec<_> = others.iter_mut().flat_map(start).collect();
        let mut done = take(first);
        for other in others {
            let its = other
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            done = done.and_then(|mut done| {
                done.extend(its?);
                Ok(done)
            });
        }
        done
    })?;
    done.sort_unstable_by_key(|(piece, _)| *piece);
    Ok(done.into_iter().map(|(_, outcome)| outcome).collect())
}
