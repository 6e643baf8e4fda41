//! Allowing and denying the commands of a workspace.
//!
//! What is allowed is exactly what was read a moment ago and, where the asker says what was shown, exactly that.

use crate::daemon::chain::chain;
use crate::daemon::server::Asked;
use crate::daemon::shell::Shell;
use crate::daemon::store::StoreError;
use crate::daemon::waiting::removed_meanwhile;
use crate::model::config::Config;
use crate::model::config::commands::CommandText;
use crate::model::id::{RequestId, WorkspaceId};
use crate::model::path::RootPath;
use crate::model::report::{AllowAnswer, AllowedCommand, WorkspaceChange};
use crate::wire::call;
use crate::wire::refusal::{ErrorKind, Refusal};
use std::collections::BTreeMap;

impl Shell {
    /// Allows the commands that a workspace has now.
    pub(super) fn allow_present(&mut self, id: WorkspaceId) -> Result<(), Refusal> {
        let Some(site) = self.sites.get(&id) else {
            return Ok(());
        };
        // The last good one is still held while its files say something else.
        let loaded = site.loaded.clone().filter(|_| site.refused.is_none());
        let Some(loaded) = loaded else {
            let detail = site
                .refused
                .clone()
                .unwrap_or_else(|| "its configuration could not be read".to_owned());
            return Err(Refusal::new(ErrorKind::InvalidConfig, detail)
                .hint("correct the file, then run `orchctl allow`"));
        };
        let root = site.root.clone();
        let commands = loaded.commands.clone();
        self.trust
            .allow(&root, loaded.command_set, commands, self.clock.wall())
            .map_err(|error| unstored(&error))?;
        self.configure(id, BTreeMap::new());
        Ok(())
    }

    /// Shows what would be allowed, or allows it; the configuration was read a moment ago.
    pub(super) fn allow(
        &mut self,
        id: WorkspaceId,
        request: RequestId,
        wanted: &call::WorkspaceAllow,
    ) {
        let result = self.allow_as_shown(id, wanted);
        self.settle();
        self.answer(request, result.map(Into::into));
    }

    fn allow_as_shown(
        &mut self,
        id: WorkspaceId,
        wanted: &call::WorkspaceAllow,
    ) -> Result<AllowAnswer, Refusal> {
        let Some(site) = self.sites.get(&id) else {
            return Err(removed_meanwhile());
        };
        if let Some(detail) = &site.refused {
            return Err(Refusal::new(ErrorKind::InvalidConfig, detail.clone())
                .hint("correct the file, then run `orchctl allow` again"));
        }
        let Some(loaded) = site.loaded.clone() else {
            return Err(Refusal::new(
                ErrorKind::InvalidConfig,
                "its configuration could not be read",
            ));
        };
        let root = site.root.clone();
        if wanted
            .digest
            .is_some_and(|shown| shown != loaded.command_set)
        {
            return Err(Refusal::new(
                ErrorKind::Untrusted,
                format!("the commands of `{root}` have changed since they were shown"),
            )
            .hint("run `orchctl allow` again and read them anew"));
        }
        let known = self.trust.allowed(&root);
        if !wanted.dry_run {
            self.allow_present(id)?;
        }
        Ok(AllowAnswer {
            root,
            digest: loaded.command_set,
            allowed: !wanted.dry_run,
            commands: allowed_commands(&loaded.config, &known),
        })
    }

    pub(super) fn deny(&mut self, asked: Asked, root: &RootPath) {
        let id = match self.site_at(root) {
            Ok(id) => id,
            Err(refusal) => return self.answer_now(asked, |_| Err(refusal)),
        };
        let root = self
            .sites
            .get(&id)
            .map_or_else(|| root.clone(), |site| site.root.clone());
        match self.trust.deny(&root, self.clock.wall()) {
            Ok(changed) => {
                self.configure(id, BTreeMap::new());
                self.settle();
                self.answer_now(asked, |_| Ok(WorkspaceChange { root, changed }.into()));
            }
            Err(error) => {
                let refusal = unstored(&error);
                self.answer_now(asked, |_| Err(refusal));
            }
        }
    }
}

/// Why a change of the daemon's own state is not on disk.
pub(super) fn unstored(error: &StoreError) -> Refusal {
    let kind = match error {
        StoreError::Held { .. } => ErrorKind::Busy,
        StoreError::Durable(_)
        | StoreError::Read { .. }
        | StoreError::Newer { .. }
        | StoreError::Foreign { .. }
        | StoreError::Full { .. }
        | StoreError::Encode { .. } => ErrorKind::Internal,
    };
    Refusal::new(kind, chain(error))
}

/// Every command of a configuration; known where it was allowed before as it is.
fn allowed_commands(config: &Config, known: &[CommandText]) -> Vec<AllowedCommand> {
    let stages = config.pipelines.iter().flat_map(|pipeline| {
        let stages = pipeline.stages.iter();
        stages.filter_map(move |stage| Some((pipeline, stage, stage.command()?)))
    });
    stages
        .map(|(pipeline, stage, command)| {
            let now = CommandText::of_stage(pipeline, stage);
            AllowedCommand {
                pipeline_id: pipeline.id.clone(),
                stage: stage.id.clone(),
                command: command.line.text(),
                known: known.contains(&now),
            }
        })
        .collect()
}
