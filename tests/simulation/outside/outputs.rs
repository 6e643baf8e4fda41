//! What stages leave of their outputs, what is weighed of it, and what their runs have proven on disk.

use super::Disk;
use crate::fixture::{Content, LEAVING, PROJECTS, given_to, part, task};
use crate::world::World;
use orch::engine::Input;
use orch::engine::proven::{Basis, Proven, StageProof};
use orch::engine::weighing::Sought;
use orch::model::digest::{Digest, OutputsDigest};
use orch::model::id::{RunId, StageId, WeighId};
use orch::model::path::RelPath;
use orch::model::run::Exit;
use std::collections::BTreeMap;

/// What lies there, by project and stage; nothing where it was removed.
pub(crate) type Outputs = BTreeMap<(usize, &'static str), Option<String>>;

/// Something that was asked to be weighed.
pub(crate) struct Weighing {
    pub(crate) weigh: WeighId,
    pub(crate) stage: (RunId, usize),
    pub(crate) base: RelPath,
    pub(crate) lists: Vec<Sought>,
}

impl Disk {
    /// What the stages of a project's runs have proven, those of child runs too.
    pub(crate) fn proven(&self, project: usize) -> Proven {
        let mut proven = Proven::default();
        let ours = self.reports().iter();
        for report in ours.filter(|report| report.task == task(project)) {
            for (place, stage) in report.stages.iter().enumerate() {
                let own = stage.proven && stage.reused_from.is_none();
                let Some((key, content)) = stage.key.zip(stage.content_key).filter(|_| own) else {
                    continue;
                };
                let proof = StageProof {
                    run: report.run.clone(),
                    place,
                    stage: stage.id.clone(),
                    content,
                    outputs: stage.outputs,
                    basis: Basis::default(),
                };
                proven.note(key, proof);
            }
        }
        proven
    }
}

impl World {
    fn left(&self, project: usize, stage: &'static str) -> Option<String> {
        self.outputs.get(&(project, stage)).cloned().flatten()
    }

    /// An attempt of a stage has used what others have left, and leaves its own.
    pub(super) fn execute(
        &mut self,
        project: usize,
        key: &(RunId, usize),
        stage: &StageId,
        content: &Content,
        exit: &Exit,
    ) {
        let given = given_to(stage).iter();
        let given = given.map(|of| self.left(project, of)).collect();
        let own = LEAVING.into_iter().find(|of| *of == stage.as_str());
        if let Some(own) = own {
            let whole = matches!(exit, Exit::Code(_));
            self.generation += 1;
            let left = match whole {
                true => format!("{own} of {:?}", part(stage, content)),
                false => format!("a part of {own}: {}", self.generation),
            };
            self.outputs.insert((project, own), Some(left));
        }
        let passed = *exit == Exit::Code(0);
        self.oracle
            .executed((project, key), (stage, content), given, passed);
    }

    /// What was asked to be weighed first is; now and then nobody can say what is there.
    pub(crate) fn deliver_weighing(&mut self) {
        let Some(asked) = self.weighs.pop_front() else {
            return;
        };
        let fails = std::mem::take(&mut self.unweighable);
        let base = asked.base.to_string();
        let project = PROJECTS.iter().position(|name| *name == base).unwrap();
        let (run, stage) = asked.stage.clone();
        let report = self.engine.run(&run);
        let own = report.map(|report| report.stages[stage].id.clone());
        let mut outputs = Vec::new();
        for list in asked.lists {
            let of = LEAVING
                .into_iter()
                .find(|of| list.patterns == [*of])
                .unwrap();
            let left = Some(self.left(project, of)).filter(|_| !fails);
            if own.as_ref().is_some_and(|own| own.as_str() == of) {
                self.oracle
                    .weighed((project, of), &asked.stage, left.clone());
            }
            let digest = |left: Option<String>| Digest::of(format!("{left:?}").as_bytes());
            outputs.push(left.map(|left| OutputsDigest(digest(left))));
        }
        self.step(Input::Weighed {
            weigh: asked.weigh,
            run,
            stage,
            outputs,
        });
    }
}
