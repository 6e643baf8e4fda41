//! Scopes: which files each stage of each project reads, compiled from the configuration.
//!
//! A path belongs to the deepest project that contains it. A stage without declared inputs reads all of its project; one
//! with declared inputs reads what they match, also in a project inside. No stage reads what its project declares as
//! outputs: those of the project's own pipeline, and of pipelines that no project runs by itself. What is ignored is in no
//! scope but those of stages that declare it: see [`super::declared`]. Nothing here touches the disk.

use super::declared::{Declared, List};
use super::names;
use super::places::Places;
use super::rules::{PatternError, compile};
use crate::model::config::{Action, Config, Poll};
use crate::model::id::{PipelineId, StageId, TaskId};
use crate::model::path::{RelPath, RootPath};
use crate::model::pattern::Patterns;
use crate::model::view::Subject;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Why a configuration's patterns are refused.
#[derive(Debug, thiserror::Error)]
pub enum ScopeError {
    /// In the workspace's `ignore`.
    #[error("`ignore` of the workspace is not valid")]
    Ignore(#[source] PatternError),
    /// In a stage's `inputs` or `outputs`.
    #[error("{list} of stage `{stage}` in pipeline `{pipeline}` are not valid")]
    Stage {
        /// Its pipeline.
        pipeline: PipelineId,
        /// The stage.
        stage: StageId,
        /// `inputs` or `outputs`.
        list: &'static str,
        /// The pattern.
        source: PatternError,
    },
}

/// A list of patterns, compiled once however many stages declare it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct PatternsId(usize);

/// One stage's way to choose files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// Every file of the project itself.
    Own,
    /// What these match.
    Declared(PatternsId),
}

/// Which filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FilterId(pub(super) usize);

/// A set of files of one project.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Filter {
    project: usize,
    parts: BTreeSet<Part>,
    outputs: BTreeSet<PatternsId>,
}

/// What a filter says of a directory, for what lies in it.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    parts: Vec<bool>,
    outputs: Vec<bool>,
    nested: bool,
}

/// What the stages of one pipeline read in one project.
#[derive(Clone, Debug)]
pub(super) struct SubjectScope {
    pub(super) union: FilterId,
    /// In declared order, those of a subpipeline where it is called first.
    pub(super) stages: Vec<((PipelineId, StageId), FilterId)>,
}

#[derive(Debug)]
struct ProjectScope {
    task: TaskId,
    base: Box<[u8]>,
    pipeline: PipelineId,
    /// The projects directly or further inside, by their paths below this one.
    nested: BTreeSet<Box<[u8]>>,
    outputs: BTreeSet<PatternsId>,
}

/// What a stage reads and makes.
#[derive(Debug)]
struct Needs {
    part: Part,
    outputs: PatternsId,
}

type DeclaredStages = Vec<((PipelineId, StageId), Needs)>;

/// Which files each stage of each project reads.
#[derive(Debug)]
pub struct Scopes {
    projects: Vec<ProjectScope>,
    by_path: BTreeMap<Box<[u8]>, usize>,
    by_task: BTreeMap<TaskId, usize>,
    /// The command stages of each pipeline and of its subpipelines, in declared order.
    stages: BTreeMap<PipelineId, DeclaredStages>,
    patterns: Vec<Arc<List>>,
    filters: Vec<Filter>,
    filter_ids: BTreeMap<Filter, FilterId>,
    subjects: BTreeMap<Subject, SubjectScope>,
    /// What the stages of the subjects above declare.
    pub(super) declared: Arc<Declared>,
    pub(super) setting: Arc<Patterns>,
    pub(super) patterns_of_setting: Vec<String>,
    pub(super) poll: Poll,
    pub(super) excluded: BTreeSet<Box<[u8]>>,
    pub(super) configuration: Vec<RelPath>,
}

impl Scopes {
    /// Compiles a configuration.
    ///
    /// # Errors
    /// When a pattern is none.
    pub fn compile(config: &Config, root: &RootPath, places: &Places) -> Result<Self, ScopeError> {
        let mut scopes = Self::bare(root, places);
        scopes.poll = config.settings.poll;
        scopes.setting = Arc::new(compile(&config.settings.ignore).map_err(ScopeError::Ignore)?);
        scopes
            .patterns_of_setting
            .clone_from(&config.settings.ignore);
        let mut tables = BTreeMap::new();
        for pipeline in &config.pipelines {
            let mut stages = Vec::new();
            scopes.declare(config, &pipeline.id, &mut tables, &mut stages)?;
            scopes.stages.insert(pipeline.id.clone(), stages);
        }
        let tasks = config.projects.iter().map(|project| &project.task);
        scopes.excluded.extend(places.snapshots(root, tasks));
        scopes.place(config);
        for project in &config.projects {
            let subject = Subject {
                task: project.task.clone(),
                pipeline: project.pipeline.clone(),
            };
            scopes.subject(&subject);
        }
        Ok(scopes)
    }

    /// No project at all: what a workspace without a valid configuration is watched with.
    #[must_use]
    pub fn bare(root: &RootPath, places: &Places) -> Self {
        Self {
            projects: Vec::new(),
            by_path: BTreeMap::new(),
            by_task: BTreeMap::new(),
            stages: BTreeMap::new(),
            patterns: Vec::new(),
            filters: Vec::new(),
            filter_ids: BTreeMap::new(),
            subjects: BTreeMap::new(),
            declared: Arc::default(),
            setting: Arc::new(Patterns::default()),
            patterns_of_setting: Vec::new(),
            poll: Poll::Auto,
            excluded: places.excluded(root),
            configuration: places.configuration.clone(),
        }
    }

    /// Collects what the command stages of a pipeline and of its subpipelines declare.
    fn declare(
        &mut self,
        config: &Config,
        id: &PipelineId,
        tables: &mut BTreeMap<Vec<String>, PatternsId>,
        into: &mut DeclaredStages,
    ) -> Result<(), ScopeError> {
        let Some(pipeline) = config.pipeline(id) else {
            return Ok(());
        };
        for stage in &pipeline.stages {
            let key = (pipeline.id.clone(), stage.id.clone());
            let command = match &stage.action {
                // A pipeline that is met twice declares the same twice; the configuration has no circles.
                Action::Command(_) if into.iter().any(|(known, _)| *known == key) => continue,
                Action::Command(command) => command,
                Action::Subpipeline(sub) => {
                    self.declare(config, &sub.pipeline, tables, into)?;
                    continue;
                }
            };
            let refuse = |list| {
                let (pipeline, stage) = key.clone();
                move |source| ScopeError::Stage {
                    pipeline,
                    stage,
                    list,
                    source,
                }
            };
            let part = match &command.inputs {
                None => Part::Own,
                Some(inputs) => {
                    Part::Declared(self.intern(inputs, tables).map_err(refuse("inputs"))?)
                }
            };
            let outputs = self
                .intern(&command.outputs, tables)
                .map_err(refuse("outputs"))?;
            into.push((key, Needs { part, outputs }));
        }
        Ok(())
    }

    fn intern(
        &mut self,
        patterns: &[String],
        tables: &mut BTreeMap<Vec<String>, PatternsId>,
    ) -> Result<PatternsId, PatternError> {
        if let Some(id) = tables.get(patterns) {
            return Ok(*id);
        }
        let id = PatternsId(self.patterns.len());
        self.patterns.push(Arc::new(List::compile(patterns)?));
        tables.insert(patterns.to_vec(), id);
        Ok(id)
    }

    fn place(&mut self, config: &Config) {
        let mut claimed = BTreeSet::new();
        for project in &config.projects {
            if let Some(stages) = self.stages.get(&project.pipeline) {
                claimed.extend(stages.iter().map(|((pipeline, _), _)| pipeline.clone()));
            }
        }
        let free = self.stages.iter().filter(|(id, _)| !claimed.contains(*id));
        let free: BTreeSet<PatternsId> = free.flat_map(|(_, stages)| outputs(stages)).collect();
        for (index, project) in config.projects.iter().enumerate() {
            let base = names::of(&project.path);
            let own = self.stages.get(&project.pipeline);
            self.by_path.insert(base.clone(), index);
            self.by_task.insert(project.task.clone(), index);
            let outputs = own
                .into_iter()
                .flat_map(|stages| outputs(stages))
                .chain(free.iter().copied());
            self.projects.push(ProjectScope {
                task: project.task.clone(),
                nested: BTreeSet::new(),
                base,
                pipeline: project.pipeline.clone(),
                outputs: outputs.collect(),
            });
        }
        for base in self.by_path.keys() {
            let above = names::upwards(base).skip(1);
            for holder in above.filter_map(|directory| self.by_path.get(directory)) {
                if let Some(holder) = self.projects.get_mut(*holder) {
                    let below = names::strip(base, &holder.base).unwrap_or_default();
                    holder.nested.insert(below.into());
                }
            }
        }
    }

    /// What the stages of a pipeline read in a project; `None` where either does not exist.
    pub(super) fn subject(&mut self, subject: &Subject) -> Option<SubjectScope> {
        if let Some(scope) = self.subjects.get(subject) {
            return Some(scope.clone());
        }
        let index = *self.by_task.get(&subject.task)?;
        let project = self.projects.get(index)?;
        let declared = self.stages.get(&subject.pipeline)?;
        let outputs: BTreeSet<PatternsId> = project
            .outputs
            .iter()
            .copied()
            .chain(outputs(declared))
            .collect();
        let filter = |parts| Filter {
            project: index,
            parts,
            outputs: outputs.clone(),
        };
        let union = filter(declared.iter().map(|(_, stage)| stage.part).collect());
        let stages: Vec<_> = declared
            .iter()
            .map(|(key, stage)| (key.clone(), filter(BTreeSet::from([stage.part]))))
            .collect();
        let scope = SubjectScope {
            union: self.filter_id(union),
            stages: stages
                .into_iter()
                .map(|(key, filter)| (key, self.filter_id(filter)))
                .collect(),
        };
        self.subjects.insert(subject.clone(), scope.clone());
        self.note_declared(scope.union);
        Some(scope)
    }

    /// Takes note of what the stages of a subject declare.
    fn note_declared(&mut self, union: FilterId) {
        let Some(filter) = self.filters.get(union.0) else {
            return;
        };
        let base = self.base(filter);
        let list = |id: &PatternsId| self.patterns.get(id.0).cloned();
        let declared = filter.parts.iter().filter_map(|part| match part {
            Part::Own => None,
            Part::Declared(id) => list(id),
        });
        let outputs: Vec<Arc<List>> = filter.outputs.iter().filter_map(list).collect();
        let mut all = Arc::clone(&self.declared);
        for inputs in declared {
            if !all.holds(base, &inputs, &outputs) {
                Arc::make_mut(&mut all).add(base, inputs, outputs.clone());
            }
        }
        self.declared = all;
    }

    fn filter_id(&mut self, filter: Filter) -> FilterId {
        let next = FilterId(self.filters.len());
        let id = *self.filter_ids.entry(filter.clone()).or_insert(next);
        if id == next {
            self.filters.push(filter);
        }
        id
    }

    pub(super) fn filter(&self, id: FilterId) -> Option<&Filter> {
        self.filters.get(id.0)
    }

    /// Where the project of a filter lies.
    pub(super) fn base(&self, filter: &Filter) -> &[u8] {
        self.projects
            .get(filter.project)
            .map_or(b"", |project| &project.base)
    }

    /// Each project, with what a change of it triggers.
    pub(super) fn triggers(&self) -> impl Iterator<Item = (&TaskId, &SubjectScope)> {
        self.projects.iter().filter_map(|project| {
            let subject = Subject {
                task: project.task.clone(),
                pipeline: project.pipeline.clone(),
            };
            Some((&project.task, self.subjects.get(&subject)?))
        })
    }

    /// Each project, and its directory below the root.
    pub(super) fn places(&self) -> impl Iterator<Item = (&TaskId, &[u8])> {
        let projects = self.projects.iter();
        projects.map(|project| (&project.task, &*project.base))
    }

    /// The projects that contain a path, the deepest first.
    fn holders(&self, path: &[u8]) -> impl Iterator<Item = &ProjectScope> {
        names::upwards(path)
            .filter_map(|directory| self.by_path.get(directory))
            .filter_map(|index| self.projects.get(*index))
    }

    /// The project that a path belongs to.
    pub(super) fn owner(&self, path: &[u8]) -> Option<&TaskId> {
        self.holders(path).next().map(|project| &project.task)
    }

    /// The projects whose pipeline reads a path; `aside` where only those read it that declare it.
    pub(super) fn readers(&self, path: &[u8], aside: bool) -> Vec<&TaskId> {
        let mut readers = Vec::new();
        for project in self.holders(path) {
            let subject = Subject {
                task: project.task.clone(),
                pipeline: project.pipeline.clone(),
            };
            let scope = self.subjects.get(&subject);
            if scope.is_some_and(|scope| self.reads(scope.union, path, aside)) {
                readers.push(&project.task);
            }
        }
        readers
    }

    /// Whether the project of a directory reads all files of it, but for outputs.
    pub(super) fn reads_all(&self, directory: &[u8]) -> bool {
        let Some(project) = self.holders(directory).next() else {
            return false;
        };
        let subject = Subject {
            task: project.task.clone(),
            pipeline: project.pipeline.clone(),
        };
        let union = self.subjects.get(&subject).map(|scope| scope.union);
        let filter = union.and_then(|union| self.filter(union));
        filter.is_some_and(|filter| filter.parts.contains(&Part::Own))
    }

    /// Whether a file at this path is in a filter; `aside` as above.
    pub(super) fn reads(&self, id: FilterId, path: &[u8], aside: bool) -> bool {
        let Some(filter) = self.filter(id) else {
            return false;
        };
        let Some(below) = names::strip(path, self.base(filter)) else {
            return false;
        };
        let mut standing = self.outset(filter);
        let mut at = Vec::new();
        let mut components = names::components(below).peekable();
        while let Some(name) = components.next() {
            names::push(&mut at, name);
            if components.peek().is_none() {
                return self.takes(filter, &standing, &at, aside);
            }
            standing = self.enter(filter, &standing, &at);
        }
        false
    }

    /// The pattern that makes a path an output of the project that it belongs to.
    pub(super) fn output_pattern(&self, path: &[u8]) -> Option<String> {
        let project = self.holders(path).next()?;
        let below = names::strip(path, &project.base)?;
        project.outputs.iter().find_map(|id| {
            let list = self.patterns.get(id.0)?;
            let pattern = list.patterns.matched_upwards(below, false)?;
            (!pattern.is_negated()).then(|| pattern.written())
        })
    }

    /// What a filter says of its project's directory.
    pub(super) fn outset(&self, filter: &Filter) -> Standing {
        Standing {
            parts: vec![false; filter.parts.len()],
            outputs: vec![false; filter.outputs.len()],
            nested: false,
        }
    }

    /// What a filter says of a directory, given what it says of the one above; `path` is relative to the project.
    pub(super) fn enter(&self, filter: &Filter, above: &Standing, path: &[u8]) -> Standing {
        let project = self.projects.get(filter.project);
        let nested = project.is_some_and(|project| project.nested.contains(path));
        self.stand(filter, above, path, (true, above.nested || nested))
    }

    /// Whether a filter takes a file, given what it says of its directory; `aside` as above.
    pub(super) fn takes(
        &self,
        filter: &Filter,
        above: &Standing,
        path: &[u8],
        aside: bool,
    ) -> bool {
        // To who reads all of his own it is as if it lay in another project.
        let stand = self.stand(filter, above, path, (false, above.nested || aside));
        !stand.outputs.contains(&true) && stand.parts.contains(&true)
    }

    fn stand(
        &self,
        filter: &Filter,
        above: &Standing,
        path: &[u8],
        (is_directory, nested): (bool, bool),
    ) -> Standing {
        let says = |id: &PatternsId, inherited: bool| {
            let list = self.patterns.get(id.0);
            let decides = list.and_then(|list| list.patterns.matched(path, is_directory));
            decides.map_or(inherited, |pattern| !pattern.is_negated())
        };
        let part = |(part, inherited): (&Part, &bool)| match part {
            Part::Own => !nested,
            Part::Declared(id) => says(id, *inherited),
        };
        let outputs = filter.outputs.iter().zip(&above.outputs);
        Standing {
            parts: filter.parts.iter().zip(&above.parts).map(part).collect(),
            outputs: outputs
                .map(|(id, inherited)| says(id, *inherited))
                .collect(),
            nested,
        }
    }
}

fn outputs(stages: &[((PipelineId, StageId), Needs)]) -> impl Iterator<Item = PatternsId> {
    stages.iter().map(|(_, stage)| stage.outputs)
}
