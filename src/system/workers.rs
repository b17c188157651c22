//! Work on all processors: pieces of a list, taken by whoever is free, from its beginning by one and from its end by the
//! others; nobody begins another once one has failed. What is too little for two is done here.

use std::num::NonZero;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Builder, Scope, ScopedJoinHandle};

use anyhow::{Context, Result};

/// More would only wait for each other in the kernel, or for the one that hashes what they make, and each takes memory.
const MOST: usize = 8;

/// Takes a piece from an end of those that are left.
type End = fn(&mut Range<usize>) -> Option<usize>;

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

/// The same with each of `items` by itself.
pub fn map_each<I: Sync, T: Send>(
    items: &[I],
    size: usize,
    work: impl Fn(&I) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let done = map(items.len(), size, |range| {
        items[range].iter().map(&work).collect::<Result<Vec<_>>>()
    })?;
    Ok(done.into_iter().flatten().collect())
}

/// The same where each worker has something of its own.
pub fn with_each<W: Send, T: Send>(
    workers: &mut [W],
    count: usize,
    size: usize,
    work: impl Fn(&mut W, Range<usize>) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let pieces = count.div_ceil(size);
    let left = Mutex::new(0..pieces);
    let take = |worker: &mut W, end: End| -> Result<Vec<(usize, T)>> {
        let mut done = Vec::new();
        let left = || left.lock().unwrap_or_else(PoisonError::into_inner);
        let next = || end(&mut left());
        while let Some(piece) = next() {
            let start = piece * size;
            let range = start..(start + size).min(count);
            let outcome = work(worker, range);
            if outcome.is_err() {
                *left() = 0..0;
            }
            done.push((piece, outcome?));
        }
        Ok(done)
    };
    let needed = pieces.min(workers.len());
    let Some((first, others)) = workers[..needed].split_first_mut() else {
        return Ok(Vec::new());
    };
    let mut done = thread::scope(|scope| {
        let start = |worker| Builder::new().spawn_scoped(scope, || take(worker, Range::next_back));
        // Where no thread is to be had, those that there are do it all.
        let others: Vec<_> = others.iter_mut().flat_map(start).collect();
        let mut done = take(first, Range::next);
        for other in others {
            let its = join(other);
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

/// A thread with a name, which has the priority of the one that starts it.
pub fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn_scoped(scope, work)
        .context("starting a thread")
}

/// What came of a thread; its panic is ours.
pub fn join<T>(thread: ScopedJoinHandle<T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use anyhow::bail;

    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_pieces() {
        let ranges = map(10, 3, Ok).unwrap();
        assert_eq!(ranges, [0..3, 3..6, 6..9, 9..10]);
        assert!(map(0, 3, Ok).unwrap().is_empty());
    }

    #[test]
    fn nothing_is_begun_after_a_failure() {
        let begun = AtomicUsize::new(0);
        let failed: Result<Vec<()>> = map(1000, 1, |_| {
            begun.fetch_add(1, Ordering::Relaxed);
            bail!("no more")
        });
        assert_eq!(failed.unwrap_err().to_string(), "no more");
        assert!(begun.into_inner() <= most());
    }

    #[test]
    fn one_begins_at_the_beginning_and_the_others_at_the_end() {
        let mut names = ["first", "second"];
        let both = Barrier::new(2);
        let who = with_each(&mut names, 2, 1, |name, _| {
            both.wait();
            Ok(*name)
        });
        assert_eq!(who.unwrap(), names);
    }
}
