//! Which stages may start: in order, or once what they need has succeeded.
//!
//! Both orders are one question: what does each stage wait for? In a sequence each waits for the one before it.

use crate::model::config::{Order, Pipeline};
use crate::model::run::StageStatus;
use std::collections::BTreeSet;

/// For each stage, the places of those that it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    waits_for: Vec<Vec<usize>>,
    order: Order,
}

impl Graph {
    /// Reads the order of a pipeline's stages.
    #[must_use]
    pub fn of(pipeline: &Pipeline) -> Self {
        let place = |id| pipeline.stages.iter().position(|stage| &stage.id == id);
        let waits_for =
            pipeline
                .stages
                .iter()
                .enumerate()
                .map(|(index, stage)| match pipeline.order {
                    Order::Sequence => index.checked_sub(1).into_iter().collect(),
                    Order::Graph => stage.needs.iter().filter_map(place).collect(),
                });
        Self {
            waits_for: waits_for.collect(),
            order: pipeline.order,
        }
    }

    /// The places of the stages whose outputs a stage may use: those that it needs, and those that these need; in a
    /// sequence, all before it.
    #[must_use]
    pub fn before(&self, stage: usize) -> Vec<usize> {
        if self.order == Order::Sequence {
            return (0..stage).collect();
        }
        let mut before = BTreeSet::new();
        let mut next = vec![stage];
        while let Some(place) = next.pop() {
            let needed = self.waits_for.get(place).into_iter().flatten();
            next.extend(needed.filter(|needed| before.insert(**needed)));
        }
        before.into_iter().collect()
    }

    /// The places of the stages that may start now, in declared order.
    ///
    /// A stage that was allowed to fail does not hold up those that wait for it.
    #[must_use]
    pub fn ready(&self, statuses: &[StageStatus]) -> Vec<usize> {
        let done = |place: &usize| {
            matches!(
                statuses.get(*place),
                Some(StageStatus::Succeeded | StageStatus::Skipped)
            )
        };
        let waiting = statuses
            .iter()
            .enumerate()
            .filter(|(_, status)| **status == StageStatus::Pending);
        waiting
            .map(|(index, _)| index)
            .filter(|index| {
                self.waits_for
                    .get(*index)
                    .is_some_and(|others| others.iter().all(done))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use StageStatus::{Failed, Pending, Running, Skipped, Succeeded};

    fn graph(waits_for: &[&[usize]]) -> Graph {
        Graph {
            waits_for: waits_for.iter().map(|others| others.to_vec()).collect(),
            order: Order::Graph,
        }
    }

    #[test]
    fn a_sequence_starts_one_by_one_and_stops_at_a_failure() {
        let sequence = graph(&[&[], &[0], &[1]]);
        assert_eq!(sequence.ready(&[Pending, Pending, Pending]), [0]);
        assert_eq!(
            sequence.ready(&[Running, Pending, Pending]),
            [] as [usize; 0]
        );
        assert_eq!(sequence.ready(&[Skipped, Pending, Pending]), [1]);
        assert_eq!(
            sequence.ready(&[Succeeded, Failed, Pending]),
            [] as [usize; 0]
        );
    }

    #[test]
    fn what_a_stage_needs_is_before_it_however_far() {
        let order = Order::Graph;
        let graph = Graph {
            waits_for: vec![vec![], vec![0], vec![1], vec![0], vec![2, 3], vec![]],
            order,
        };
        assert_eq!(graph.before(4), [0, 1, 2, 3]);
        assert_eq!(graph.before(2), [0, 1]);
        assert_eq!(graph.before(5), [0; 0]);
    }

    #[test]
    fn a_diamond_starts_its_sides_together() {
        let diamond = graph(&[&[], &[0], &[0], &[1, 2]]);
        assert_eq!(
            diamond.ready(&[Succeeded, Pending, Pending, Pending]),
            [1, 2]
        );
        assert_eq!(
            diamond.ready(&[Succeeded, Succeeded, Running, Pending]),
            [] as [usize; 0]
        );
        assert_eq!(
            diamond.ready(&[Succeeded, Succeeded, Succeeded, Pending]),
            [3]
        );
    }
}
