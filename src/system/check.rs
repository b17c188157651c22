//! What long work asks again and again: whether to go on.

use anyhow::Result;

use super::signals;

/// An error ends the work.
pub type Check<'a> = dyn Fn() -> Result<()> + Sync + 'a;

/// The check of what only a signal may end.
///
/// # Errors
/// A signal has asked us to stop.
pub fn unless_stopped() -> Result<()> {
    Ok(signals::check()?)
}
