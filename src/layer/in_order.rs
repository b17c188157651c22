//! Compression in several threads: pieces come one after the other, are compressed at the same time, and what has become
//! of them is written in their order.

use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};

use crate::system::workers::{join, spawn};

type Compressed = Result<Vec<u8>>;

/// A piece, and where the compressed one is awaited.
struct Job<P> {
    piece: P,
    done: SyncSender<Compressed>,
}

/// How many work, and how many pieces may wait for them.
pub struct Workers {
    pub threads: usize,
    pub ahead: usize,
}

/// Compresses all pieces into `output`. Each thread has a compressor of its own, which `new` makes.
pub fn compress<O: Write + Send, P: Send, C: FnMut(&P) -> Compressed + Send>(
    pieces: impl Iterator<Item = P>,
    output: O,
    Workers { threads, ahead }: Workers,
    new: impl Fn() -> Result<C>,
) -> Result<O> {
    let (jobs, to_do) = sync_channel(ahead);
    let (order, results) = sync_channel(ahead + threads);
    let to_do = Arc::new(Mutex::new(to_do));
    thread::scope(|scope| {
        for _ in 0..threads {
            let (to_do, compressor) = (Arc::clone(&to_do), new()?);
            spawn(scope, "compressor", move || work(&to_do, compressor))?;
        }
        // From here on only those who work hold it, and without them nothing is to be done.
        drop(to_do);
        let sender = spawn(scope, "send", move || send(results, output))?;
        deal(pieces, &jobs, &order);
        drop((jobs, order));
        join(sender)
    })
}

/// Gives the pieces out until there are no more, or nobody takes them.
fn deal<P>(
    pieces: impl Iterator<Item = P>,
    jobs: &SyncSender<Job<P>>,
    order: &SyncSender<Receiver<Compressed>>,
) {
    for piece in pieces {
        let (done, result) = sync_channel(1);
        if order.send(result).is_err() || jobs.send(Job { piece, done }).is_err() {
            break;
        }
    }
}

fn work<P>(to_do: &Mutex<Receiver<Job<P>>>, mut compressor: impl FnMut(&P) -> Compressed) {
    let next = || to_do.lock().unwrap_or_else(PoisonError::into_inner).recv();
    while let Ok(Job { piece, done }) = next() {
        // Nobody waits for it once sending has failed.
        let _ = done.send(compressor(&piece));
    }
}

fn send<O: Write>(results: Receiver<Receiver<Compressed>>, mut output: O) -> Result<O> {
    for result in results {
        let compressed = result.recv().context("a compressing thread has ended")??;
        output.write_all(&compressed)?;
    }
    Ok(output)
}
