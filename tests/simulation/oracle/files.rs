//! The judge of what the files of a project say of it, also once nobody looks at it any more.

use orch::engine::{ProjectId, Standing};
use orch::model::run::Verdict;
use std::collections::{BTreeMap, BTreeSet};

/// What was written last, by project.
#[derive(Default)]
pub(super) struct Written(BTreeMap<ProjectId, Standing>);

impl Written {
    pub(super) fn write(&mut self, standing: &Standing) {
        self.0.insert(standing.project.clone(), standing.clone());
    }

    /// Of what is no longer looked at nothing is said to be known.
    pub(super) fn look(&self, there: &BTreeSet<ProjectId>) {
        for standing in self.0.values() {
            let known = standing.fresh || standing.verdict != Verdict::Unknown;
            assert!(
                !known || there.contains(&standing.project),
                "its file says that it is proven, and nobody looks at it: {standing:?}"
            );
        }
    }

    /// Nobody reads anything else in the file than what `status` says.
    pub(super) fn at_rest(&self, standing: &Standing) {
        let written = &self.0[&standing.project];
        assert_eq!(written, standing, "the file says otherwise");
    }
}
