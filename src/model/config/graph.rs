//! Circles and depth in a graph of names.
//!
//! Small and exact: each node is visited once, a circle is told as the names along it, first and last the same.

use std::collections::BTreeMap;

/// Who refers to whom.
pub(super) type Edges<'n> = BTreeMap<&'n str, Vec<&'n str>>;

/// A name that is being visited has no depth yet.
type Depths<'n> = BTreeMap<&'n str, Option<usize>>;

/// What a graph is like.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Shape<'n> {
    /// Each circle, as the names along it.
    pub(super) circles: Vec<Vec<&'n str>>,
    /// How many steps can be made from a name; meaningless where there is a circle.
    pub(super) depths: BTreeMap<&'n str, usize>,
}

/// Looks at a graph; edges to names without an entry lead nowhere.
pub(super) fn shape<'n>(edges: &Edges<'n>) -> Shape<'n> {
    let (mut depths, mut circles) = (Depths::new(), Vec::new());
    for name in edges.keys() {
        visit(name, edges, &mut depths, &mut Vec::new(), &mut circles);
    }
    let depths = depths
        .into_iter()
        .map(|(name, depth)| (name, depth.unwrap_or(0)))
        .collect();
    Shape { circles, depths }
}

/// The bounds on stages and pipelines bound the recursion.
fn visit<'n>(
    name: &'n str,
    edges: &Edges<'n>,
    depths: &mut Depths<'n>,
    trail: &mut Vec<&'n str>,
    circles: &mut Vec<Vec<&'n str>>,
) -> usize {
    match depths.get(name) {
        Some(Some(depth)) => return *depth,
        Some(None) => {
            let circle = trail.iter().skip_while(|step| **step != name);
            circles.push(circle.copied().chain([name]).collect());
            return 0;
        }
        None => {}
    }
    depths.insert(name, None);
    trail.push(name);
    let mut depth = 0;
    for next in edges.get(name).into_iter().flatten() {
        depth = depth.max(1 + visit(next, edges, depths, trail, circles));
    }
    trail.pop();
    depths.insert(name, Some(depth));
    depth
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges<'n>(pairs: &[(&'n str, &[&'n str])]) -> Edges<'n> {
        pairs
            .iter()
            .map(|(from, to)| (*from, to.to_vec()))
            .collect()
    }

    #[test]
    fn a_circle_is_told_once_by_its_names() {
        let graph = edges(&[("a", &["b"]), ("b", &["c", "d"]), ("c", &["b"]), ("d", &[])]);
        assert_eq!(shape(&graph).circles, [["b", "c", "b"]]);
        assert_eq!(shape(&edges(&[("a", &["a"])])).circles, [["a", "a"]]);
    }

    #[test]
    fn depth_is_the_longest_way() {
        let graph = edges(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &["d"]), ("d", &[])]);
        let shape = shape(&graph);
        assert!(shape.circles.is_empty());
        assert_eq!(shape.depths["a"], 3);
        assert_eq!(shape.depths["d"], 0);
    }
}
