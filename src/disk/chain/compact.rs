//! A chain that has grown long: what it tells of runs that were removed is left out.
//!
//! Lines are never rewritten: the first ones go, and the others stay byte for byte, so that the newest digest is what it
//! was. Before that two things are appended: the newest link of each run that is still told of and whose link would go,
//! once more (`kept`), and with which link the chain begins from then on (`compacted`). A beginning that no link tells of
//! is a line that somebody has taken away.

use super::{CHAIN, Chain, ChainError};
use crate::disk::durable::{Dir, SHARED};
use crate::limits::chain::{CHAIN_BYTES_MAX, CHAIN_COMPACT_BYTES};
use crate::model::digest::Digest;
use crate::model::evidence::{Beginning, Link, Place, Why};
use crate::model::id::{RunId, TaskId};
use crate::model::time::Timestamp;
use std::collections::BTreeMap;
use std::ffi::OsStr;

/// What a chain becomes.
pub(super) struct Plan {
    /// The newest links of runs whose links go.
    kept: Vec<Link>,
    /// Where it begins.
    begins: Beginning,
    /// How many of its bytes go.
    pub(super) gone: usize,
}

pub(super) fn compact(dir: &Dir, task: &TaskId, now: Timestamp) -> Result<(), ChainError> {
    let stamp = dir.stamp(CHAIN.as_ref());
    if stamp.is_none_or(|stamp| stamp.size < CHAIN_COMPACT_BYTES) {
        return Ok(());
    }
    carry_out(dir, task, now)
}

/// Shortens a chain as far as it can be, however long it is.
pub(super) fn carry_out(dir: &Dir, task: &TaskId, now: Timestamp) -> Result<(), ChainError> {
    let mut chain = Chain::lock(dir, task, now)?;
    let text = chain.file.tail(CHAIN_BYTES_MAX)?;
    let Some(plan) = plan(&text) else {
        return Ok(());
    };
    for link in plan.kept {
        let mut again = Link::new(chain.place, task, link.run.as_ref(), Why::Kept, now);
        again.files = link.files;
        chain.put(&again);
    }
    let mut told = Link::new(chain.place, task, None, Why::Compacted, now);
    told.begins = Some(plan.begins);
    chain.put(&told);
    let stays = text.get(plan.gone..).unwrap_or_default();
    let whole = [stays, &chain.lines].concat();
    let mut staged = dir.stage(OsStr::new(CHAIN), &whole, SHARED)?;
    staged.sync()?;
    // Still under the lock of the file that it replaces: who waits for that one finds out.
    drop(staged.place()?);
    dir.sync()?;
    drop(chain);
    Ok(())
}

/// What may go of a chain: the first lines, as many as leave a quarter of it, if what has to be kept of them is no more
/// than that again. Of a chain that is not whole nothing goes.
pub(super) fn plan(text: &[u8]) -> Option<Plan> {
    let mut place: Option<Place> = None;
    let mut newest: BTreeMap<RunId, (usize, usize, Link)> = BTreeMap::new();
    let mut cut = None;
    let mut at = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let link = Link::parse(line).ok()?;
        let begins = Place {
            number: link.number,
            previous: link.previous,
        };
        if place.is_some_and(|place| place != begins) {
            return None;
        }
        place = Place::behind(line);
        if cut.is_none() && at >= text.len() / 4 * 3 {
            cut = Some((at, begins));
        }
        if let Some(run) = link.run.clone() {
            match link.why.tells_files() {
                true => drop(newest.insert(run, (at, line.len(), link))),
                false => drop(newest.remove(&run)),
            }
        }
        at += line.len();
    }
    let (gone, begins) = cut?;
    let previous: Digest = begins.previous?;
    let before = newest.into_values().filter(|(at, ..)| *at < gone);
    let (sizes, kept): (Vec<usize>, Vec<Link>) = before.map(|(_, size, link)| (size, link)).unzip();
    if sizes.iter().sum::<usize>() > text.len() / 4 {
        return None;
    }
    Some(Plan {
        kept,
        begins: Beginning {
            number: begins.number,
            previous,
        },
        gone,
    })
}
