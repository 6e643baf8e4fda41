//! In which order the stages of a pipeline run and which need which, as texts that are kept of what was allowed; and what
//! is different of a stage since then.
//!
//! A pipeline of which no order is kept is not compared: nothing is guessed.

use super::{CommandText, shown};
use crate::model::config::{Order, Pipeline};
use crate::model::id::StageId;

const ORDER_OF: &str = "order of ";
const NEEDS_OF: &str = "needs of ";
/// What stands between two stages of a sequence, and of a graph.
const THEN: &str = ", then ";
const BESIDE: &str = ", ";
const AS_GRAPH: &str = "as `needs` says: ";

impl Pipeline {
    /// The order of its stages, and what each needs.
    pub(super) fn placing(&self) -> impl Iterator<Item = CommandText> {
        let needs = self.stages.iter().filter_map(|stage| {
            let needs: Vec<&str> = stage.needs.iter().map(StageId::as_str).collect();
            let of = needs_of(self, &stage.id);
            (!needs.is_empty()).then(|| CommandText::new(&of, &shown(&needs.join(BESIDE))))
        });
        let ids: Vec<&str> = self.stages.iter().map(|stage| stage.id.as_str()).collect();
        let order = match self.order {
            Order::Sequence => ids.join(THEN),
            Order::Graph => format!("{AS_GRAPH}{}", ids.join(BESIDE)),
        };
        std::iter::once(CommandText::new(&order_of(self), &shown(&order))).chain(needs)
    }

    /// What is different of when the stage at `index` runs since `known` was allowed, a line each for a terminal.
    #[must_use]
    pub fn moves(&self, index: usize, known: &[CommandText]) -> Vec<String> {
        let text = |of: &str| known.iter().find(|text| text.of == of);
        let (Some(before), Some(stage)) = (text(&order_of(self)), self.stages.get(index)) else {
            return Vec::new();
        };
        let mut moves = Vec::new();
        let needs: Vec<&str> = stage.needs.iter().map(StageId::as_str).collect();
        let was = text(&needs_of(self, &stage.id)).map_or("", |text| text.runs.as_str());
        let is = shown(&needs.join(BESIDE));
        if is != was {
            let or_nothing = |text: &str| match text {
                "" => "nothing".to_owned(),
                some => some.to_owned(),
            };
            moves.push(format!(
                "needs {}, needed {}",
                or_nothing(&is),
                or_nothing(was)
            ));
        }
        let before = ids(&before.runs);
        let now: Vec<&str> = self.stages.iter().map(|stage| stage.id.as_str()).collect();
        let id = stage.id.as_str();
        // Between the same stages as before: what came or went beside it says so itself.
        let (was, is) = (ahead(&before, id, &now), ahead(&now, id, &before));
        if before.contains(&id) && was != is {
            let after = |ahead: Option<&str>| {
                ahead.map_or("first".to_owned(), |other| format!("after {other}"))
            };
            moves.push(format!("{}, was {}", shown(&after(is)), shown(&after(was))));
        }
        moves
    }
}

/// Whether two texts of an order differ in nothing but stages that only one of them has.
pub(super) fn is_same_order(old: &CommandText, new: &CommandText) -> bool {
    if !old.of.starts_with(ORDER_OF)
        || old.runs.starts_with(AS_GRAPH) != new.runs.starts_with(AS_GRAPH)
    {
        return false;
    }
    let (before, now) = (ids(&old.runs), ids(&new.runs));
    let kept = before.iter().filter(|id| now.contains(id));
    kept.eq(now.iter().filter(|id| before.contains(id)))
}

/// Whether a text says in which order the stages of a pipeline run.
pub(super) fn is_order(of: &str) -> bool {
    of.starts_with(ORDER_OF)
}

fn order_of(pipeline: &Pipeline) -> String {
    shown(&format!("{ORDER_OF}{}", pipeline.id))
}

fn needs_of(pipeline: &Pipeline, stage: &StageId) -> String {
    shown(&format!("{NEEDS_OF}{}/{stage}", pipeline.id))
}

fn ids(order: &str) -> Vec<&str> {
    match order.strip_prefix(AS_GRAPH) {
        Some(ids) => ids.split(BESIDE).collect(),
        None => order.split(THEN).collect(),
    }
}

/// The last stage ahead of `id` that `others` have, too.
fn ahead<'a>(all: &[&'a str], id: &str, others: &[&str]) -> Option<&'a str> {
    let ahead = all.iter().take_while(|other| **other != id);
    ahead.filter(|other| others.contains(other)).last().copied()
}
