//! Where one workspace's files lie: what is looked at and run in, and where its evidence is kept.
//!
//! The two are one place, but for a checkout: there what is looked at is a commit or an index, checked out elsewhere, and
//! the evidence is the workspace's own. Everything else about a workspace (its name, what is allowed, its index) goes by
//! its root.

use crate::daemon::evidence::Places as DeskPlaces;
use crate::daemon::keeping::stat_caches;
use crate::daemon::tree::Places as TreePlaces;
use crate::disk::configuration::ConfigurationError;
use crate::disk::places::EvidencePlaces;
use crate::model::id::TaskId;
use crate::model::judged::Judged;
use crate::model::path::{RelPath, RootPath};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Where one workspace's files lie; absolute.
#[derive(Clone, Debug)]
pub(super) struct Spots {
    pub(super) ground: Ground,
    /// Where runs are recorded.
    pub(super) runs: PathBuf,
    out: PathBuf,
    index: Option<PathBuf>,
    /// Where trees keep what they know of files.
    pub(super) stat_caches: PathBuf,
}

/// What is looked at, and where stages run.
#[derive(Clone, Debug)]
pub(super) struct Ground {
    /// The workspace as it is looked at.
    pub(super) root: RootPath,
    /// Where runs would be recorded if it were the workspace: no content.
    runs: PathBuf,
    /// Where stages leave what they have to say.
    pub(super) out: PathBuf,
    /// What is checked out there, where that is not what lies at the root.
    pub(super) judged: Option<Judged>,
    /// Where the workspace is in that.
    below: PathBuf,
}

impl Ground {
    /// What is wrong with a configuration that was read here, as its user knows the files.
    pub(super) fn as_git_names(&self, error: ConfigurationError) -> ConfigurationError {
        match &self.judged {
            Some(judged) => error.in_revision(judged, &self.below),
            None => error,
        }
    }
}

impl Spots {
    /// The places below `root`, unless the environment names others. What a stage has in its environment is about the
    /// workspace of the stage, and about no other that it asks for in its own process.
    pub(super) fn of(root: &RootPath, state: &Path) -> Self {
        let EvidencePlaces { runs, out } = EvidencePlaces::of(root);
        let ground = Ground {
            root: root.clone(),
            runs: runs.clone(),
            out: out.clone(),
            judged: None,
            below: PathBuf::new(),
        };
        Self {
            ground,
            runs,
            out,
            index: Some(state.join("index")),
            stat_caches: stat_caches(state),
        }
    }

    /// The same workspace, of which `judged` is looked at, checked out at `place`; in it the workspace is at `below`.
    pub(super) fn in_checkout(self, place: RootPath, (judged, below): (Judged, PathBuf)) -> Self {
        // What lies below the workspace has its place below the checkout too; what lies elsewhere is there for both.
        let moved = |path: &Path| match path.strip_prefix(self.ground.root.as_path()) {
            Ok(below) => place.as_path().join(below),
            Err(_) => path.to_path_buf(),
        };
        let ground = Ground {
            runs: moved(&self.runs),
            out: moved(&self.out),
            root: place,
            judged: Some(judged),
            below,
        };
        Self { ground, ..self }
    }

    /// Whether something else is looked at than what lies at the root.
    pub(super) fn is_checkout(&self) -> bool {
        self.ground.judged.is_some()
    }

    pub(super) fn evidence(&self) -> DeskPlaces {
        DeskPlaces {
            runs_dir: self.runs.clone(),
            out_dir: self.out.clone(),
            index_dir: self.index.clone(),
        }
    }

    /// What the tree has to leave out and to look for.
    pub(super) fn tree(&self, depends_on: &[RelPath], tasks: &BTreeSet<TaskId>) -> TreePlaces {
        TreePlaces {
            runs: Some(self.ground.runs.clone()),
            out: Some(self.ground.out.clone()),
            configuration: depends_on.to_vec(),
            tasks: tasks.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::judged::Oid;

    #[test]
    fn a_checkout_has_its_own_ground_and_the_evidence_of_its_workspace() {
        let path = |path: &str| RootPath::new(Path::new(path)).unwrap();
        let own = Spots::of(&path("/w"), Path::new("/state"));
        assert!(!own.is_checkout());
        let judged = Judged::Commit(Oid::parse(&"a".repeat(40)).unwrap());
        let spots = own
            .clone()
            .in_checkout(path("/state/c/sub"), (judged, PathBuf::from("sub")));
        assert!(spots.is_checkout());
        let (own, theirs) = (own.evidence(), spots.evidence());
        assert_eq!(
            (own.runs_dir, own.out_dir),
            (theirs.runs_dir, theirs.out_dir)
        );
        let tree = spots.tree(&[], &BTreeSet::new());
        assert_eq!(tree.runs.as_deref(), Some(Path::new("/state/c/sub/.runs")));
        assert_eq!(tree.out.as_deref(), Some(Path::new("/state/c/sub/out")));
    }
}
