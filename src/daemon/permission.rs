//! Allowing and denying the commands of a workspace.
//!
//! What is allowed is exactly what was read a moment ago and, where the asker says what was shown, exactly that.

use crate::daemon::chain::chain;
use crate::daemon::errands::{Act, Errand, Underway};
use crate::daemon::server::Asked;
use crate::daemon::shell::Shell;
use crate::daemon::store::StoreError;
use crate::daemon::waiting::removed_meanwhile;
use crate::disk::configuration::Loaded;
use crate::limits::FORMER_SHOWN_MAX;
use crate::model::config::commands::CommandText;
use crate::model::config::{Command, Config, Pipeline, Stage};
use crate::model::id::{RequestId, WorkspaceId};
use crate::model::path::RootPath;
use crate::model::report::{AllowAnswer, AllowedCommand, WorkspaceChange};
use crate::wire::call;
use crate::wire::refusal::{ErrorKind, Refusal};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Shell {
    /// Shows what would be allowed, or allows it; the configuration was read a moment ago.
    pub(super) fn allow(
        &mut self,
        id: WorkspaceId,
        request: RequestId,
        wanted: Box<call::WorkspaceAllow>,
    ) {
        if wanted.dry_run {
            let shown = self.allowable(id, Some(&wanted)).map(|(_, answer)| answer);
            self.settle();
            self.answer(request, shown.map(Into::into));
        } else {
            let shown = Some(wanted);
            self.send_on(Errand::Allow { id, request, shown });
        }
    }

    pub(super) fn begin_allow(
        &mut self,
        id: WorkspaceId,
        request: RequestId,
        shown: Option<&call::WorkspaceAllow>,
    ) -> Option<(Underway, Act)> {
        let (loaded, answer) = match self.allowable(id, shown) {
            Ok(allowable) => allowable,
            Err(refusal) => {
                self.answer(request, Err(refusal));
                return None;
            }
        };
        let root = answer.root.clone();
        let act: Act = Box::new(move |books, now| {
            let commands = loaded.commands.clone();
            let allowed = books.trust.allow(&root, loaded.command_set, commands, now);
            allowed.map(|()| true).map_err(|error| unstored(&error))
        });
        let answer = shown.is_some().then(|| Box::new(answer));
        Some((Underway::Allowing(id, request, answer), act))
    }

    /// The commands that a workspace has now, and what is said of them; refused where they are not those that were shown.
    fn allowable(
        &self,
        id: WorkspaceId,
        wanted: Option<&call::WorkspaceAllow>,
    ) -> Result<(Arc<Loaded>, AllowAnswer), Refusal> {
        let Some(site) = self.sites.get(&id) else {
            return Err(removed_meanwhile());
        };
        // The last good one is still held while its files say something else.
        let loaded = site.loaded.clone().filter(|_| site.refused.is_none());
        let Some(loaded) = loaded else {
            let detail = site
                .refused
                .clone()
                .unwrap_or_else(|| "its configuration could not be read".to_owned());
            return Err(Refusal::new(ErrorKind::InvalidConfig, detail)
                .hint("correct the file, then run `orchctl allow` again"));
        };
        let root = site.root.clone();
        let shown = wanted.and_then(|wanted| wanted.digest);
        if shown.is_some_and(|shown| shown != loaded.command_set) {
            return Err(Refusal::new(
                ErrorKind::Untrusted,
                format!("the commands of `{root}` have changed since they were shown"),
            )
            .hint("run `orchctl allow` again and read them anew"));
        }
        let known = self.trust.allowed(&root);
        let answer = AllowAnswer {
            root,
            digest: loaded.command_set,
            allowed: wanted.is_none_or(|wanted| !wanted.dry_run),
            commands: allowed_commands(&loaded.config, &known),
        };
        Ok((loaded, answer))
    }

    /// What a workspace's commands were when their turn came is allowed, or could not be.
    pub(super) fn allowed(
        &mut self,
        id: WorkspaceId,
        request: RequestId,
        answer: Option<Box<AllowAnswer>>,
        result: Result<(), Refusal>,
    ) {
        self.take_trust(id, result.as_ref().err());
        match (result, answer) {
            (Err(refusal), _) => self.answer(request, Err(refusal)),
            (Ok(()), Some(answer)) => self.answer(request, Ok((*answer).into())),
            (Ok(()), None) => self.answer_entry(id, request),
        }
    }

    /// Tells the engine what is allowed of a workspace now. A change that failed may have come as far as the disk, unless
    /// another program held the file.
    fn take_trust(&mut self, id: WorkspaceId, failed: Option<&Refusal>) {
        if failed.is_none_or(|refusal| refusal.kind != ErrorKind::Busy) {
            // The loop may have seen the file change already: what has begun since did not begin with this.
            let trust = self.trust_of(id);
            if self.engine.trust(id).is_none_or(|known| *known != trust) {
                self.configure(id, BTreeMap::new());
            }
        }
        self.settle();
    }

    pub(super) fn begin_deny(&mut self, asked: Asked, root: &RootPath) -> Option<(Underway, Act)> {
        let id = match self.site_at(root) {
            Ok(id) => id,
            Err(refusal) => {
                self.answer_now(asked, |_| Err(refusal));
                return None;
            }
        };
        let root = self.sites.get(&id)?.root.clone();
        let act: Act = Box::new(move |books, now| {
            let denied = books.trust.deny(&root, now);
            denied.map_err(|error| unstored(&error))
        });
        Some((Underway::Denying(asked, id), act))
    }

    /// What was allowed of a workspace is taken back, or could not be.
    pub(super) fn denied(&mut self, asked: Asked, id: WorkspaceId, result: Result<bool, Refusal>) {
        self.take_trust(id, result.as_ref().err());
        let root = self.sites.get(&id).map(|site| site.root.clone());
        let result = result.and_then(|changed| {
            let root = root.ok_or_else(removed_meanwhile)?;
            Ok(WorkspaceChange { root, changed }.into())
        });
        self.answer_now(asked, |_| result);
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

/// Every command of a configuration; known where it was allowed before as it is, and compared where the stage was.
fn allowed_commands(config: &Config, known: &[CommandText]) -> Vec<AllowedCommand> {
    let stages = config.pipelines.iter().flat_map(|pipeline| {
        let stages = pipeline.stages.iter().enumerate();
        stages.filter_map(move |(index, stage)| {
            let now = CommandText::of_stage(pipeline, stage);
            let moves = pipeline.moves(index, known);
            Some((pipeline, stage, stage.command()?, (now, moves)))
        })
    });
    let stages: Vec<_> = stages.collect();
    let present: BTreeSet<&CommandText> = stages.iter().map(|(_, _, _, (now, _))| now).collect();
    let gone = known.iter().filter(|known| !present.contains(known));
    // Several of one name, where stages share an id: in which order they stood is not kept.
    let mut before: BTreeMap<&str, BTreeSet<&CommandText>> = BTreeMap::new();
    for text in gone {
        before.entry(&text.of).or_default().insert(text);
    }
    let mut changed: BTreeMap<&str, usize> = BTreeMap::new();
    let others = stages.iter().map(|(.., (now, _))| now);
    for now in others.filter(|now| !known.contains(now)) {
        *changed.entry(&now.of).or_default() += 1;
    }
    stages
        .iter()
        .flat_map(|(pipeline, stage, command, (now, moves))| {
            let all_known = known;
            let known = known.contains(now);
            let before = before.get(now.of.as_str()).filter(|_| !known);
            let alone = changed.get(now.of.as_str()) == Some(&1);
            let mut told = before.map_or_else(Vec::new, |it| changes(command, it, alone));
            told.extend_from_slice(moves);
            let own = AllowedCommand {
                pipeline_id: pipeline.id.clone(),
                stage: stage.id.clone(),
                command: command.line.text(),
                notes: command.shown_notes(),
                known: known && moves.is_empty(),
                changes: told,
            };
            std::iter::once(own).chain(asked_tools(pipeline, stage, command, all_known))
        })
        .collect()
}

/// What a stage's tools are asked: that is executed, too.
fn asked_tools<'a>(
    pipeline: &'a Pipeline,
    stage: &'a Stage,
    command: &'a Command,
    known: &'a [CommandText],
) -> impl Iterator<Item = AllowedCommand> + 'a {
    let texts = CommandText::of_toolchain(pipeline, stage);
    let asked = command.toolchain.iter().zip(texts);
    asked.map(move |(line, text)| AllowedCommand {
        pipeline_id: pipeline.id.clone(),
        stage: stage.id.clone(),
        command: line.clone(),
        notes: std::iter::once("its toolchain".to_owned())
            .chain(command.shown_notes())
            .collect(),
        known: known.contains(&text),
        changes: Vec::new(),
    })
}

/// What is different from what was allowed of a stage; where several stages share its id, what it may have been.
fn changes(command: &Command, before: &BTreeSet<&CommandText>, alone: bool) -> Vec<String> {
    match before.first().filter(|_| alone && before.len() == 1) {
        Some(before) => command.changes(before),
        None => {
            let shown = before.iter().take(FORMER_SHOWN_MAX);
            let shown = shown.map(|text| format!("may have been: {}", text.runs));
            let more = before.len().checked_sub(FORMER_SHOWN_MAX + 1);
            let more = more.map(|beyond| format!("or one of {} others", beyond + 1));
            shown.chain(more).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::StageId;

    fn config(lines: &[&str]) -> Config {
        let head = "[[pipeline]]\nid = 'diagnostics'\n".to_owned();
        let stages = (0..)
            .zip(lines)
            .map(|(at, line)| format!("[[pipeline.stage]]\nid = 's{at}'\ncommand = '{line}'\n"));
        let text = head + &stages.collect::<String>();
        let mut config = Config::of_toml(&text).unwrap();
        let stages = config.pipelines.iter_mut().flat_map(|it| &mut it.stages);
        let one = StageId::parse("s").unwrap();
        stages.for_each(|stage| stage.id = one.clone());
        config
    }

    fn told(before: &[&str], now: &[&str]) -> Vec<Vec<String>> {
        let commands = allowed_commands(&config(now), &config(before).commands());
        commands.into_iter().map(|it| it.changes).collect()
    }

    #[test]
    fn of_stages_that_share_an_id_only_the_one_that_is_left_is_compared() {
        let one = told(&["a", "z"], &["a", "y"]);
        assert_eq!(one, [vec![], vec!["was: z"]]);
        let both = vec!["may have been: a", "may have been: z"];
        assert_eq!(told(&["z", "a"], &["y", "b"]), [both.clone(), both]);
        let added = vec!["may have been: a"];
        assert_eq!(told(&["a"], &["b", "c"]), [added.clone(), added]);
        let many: Vec<String> = (10..40).map(|n| format!("a{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let beyond = many.len() - FORMER_SHOWN_MAX;
        let last = told(&many, &["b", "c"]).pop().unwrap().pop().unwrap();
        assert_eq!(last, format!("or one of {beyond} others"));
    }
}
