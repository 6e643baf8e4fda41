//! The world around the engine: people who save, ask and go away, workspaces that come and go, a daemon that is killed.
//!
//! What the engine asks of it and what arrives of that, in which order, is in `outside`; the judges are in `oracle`.

mod people;
mod rest;

use crate::fixture::{
    Content, HOMES, LEAVING, MACHINE, PROJECTS, Setting, config, index, own_pipeline, task,
};
use crate::oracle::Oracle;
use crate::outside::{Disk, Machine, Outputs, Place, Tree, Weighing, latest};
use crate::script::Op;
use orch::engine::ask::{Ask, Stop, Until, Wanted};
use orch::engine::{Engine, Input, Known, ProjectId, Record, Setup, Trust, Watch};
use orch::model::evidence::Layout;
use orch::model::id::{RequestId, RunId, TaskId, WorkspaceId};
use orch::model::path::RootPath;
use orch::model::run::RunReport;
use orch::model::time::{Now, Tick, Timestamp};
use orch::model::view::{Sign, Subject};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Times that an engine may wake within one wait: four seconds of scribbling wake it a hundred times.
const WAKES_MAX: usize = 1_000;
/// How many saves a switched branch goes back at most.
const REVERT_MAX: usize = 4;
/// Results of looks and records that arrive while stages are held.
const HELD_MAX: usize = 12;
const FILES: u8 = 3;
/// From one save of a scribbler to the next: below the time that settles.
const SCRIBBLE: Duration = Duration::from_millis(15);

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) now: Duration,
    chance: u64,
    pub(crate) files: Vec<Content>,
    /// What somebody saved, oldest first.
    past: Vec<Vec<Content>>,
    /// Per subject: the content of its last view, and the files that were saved since.
    pub(crate) views: BTreeMap<Subject, (Content, BTreeSet<u8>)>,
    pub(crate) places: Vec<Place>,
    pub(crate) records: VecDeque<(RunReport, Record)>,
    pub(crate) stages: BTreeMap<(RunId, usize), (Box<RunReport>, Option<Stop>)>,
    pub(crate) disk: Disk,
    pub(crate) machine: Machine,
    workspaces: u64,
    requests: u64,
    pub(crate) disk_fails: bool,
    /// What stages have left of their outputs, by project and stage.
    pub(crate) outputs: Outputs,
    pub(crate) weighs: VecDeque<Weighing>,
    pub(crate) unweighable: bool,
    pub(crate) generation: u32,
    pub(crate) oracle: Oracle,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let files = vec![Content::from([(0, 1)]); PROJECTS.len()];
        let mut world = Self {
            engine: Engine::new(seed, NonZeroU32::new(2).unwrap()),
            now: Duration::ZERO,
            chance: seed,
            past: files.iter().map(|content| vec![content.clone()]).collect(),
            views: BTreeMap::new(),
            places: vec![Place::default(), Place::default()],
            records: VecDeque::new(),
            stages: BTreeMap::new(),
            disk: Disk::default(),
            machine: Machine::default(),
            workspaces: 0,
            requests: 0,
            disk_fails: false,
            outputs: Outputs::new(),
            weighs: VecDeque::new(),
            unweighable: false,
            generation: 100,
            oracle: Oracle::new(&files),
            files,
        };
        (0..2).for_each(|home| world.open(home));
        world
    }

    pub(crate) fn chance(&mut self, below: usize) -> usize {
        self.chance = self
            .chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.chance >> 33).unwrap() % below
    }

    fn moment(&self) -> Now {
        let ms = i64::try_from(self.now.as_millis()).unwrap();
        Now {
            tick: Tick::new(self.now),
            wall: Timestamp::from_unix_ms(1_700_000_000_000 + ms),
        }
    }

    pub(crate) fn step(&mut self, input: Input) {
        self.oracle.tell(&input, self.now);
        let effects = self.engine.step(self.moment(), input);
        self.oracle.hear(&effects);
        effects
            .into_iter()
            .for_each(|effect| self.carry_out(effect));
        self.oracle.look(&self.engine, &self.places, self.now);
    }

    pub(crate) fn act(&mut self, op: &Op) {
        match op {
            Op::Save {
                project,
                file,
                content,
            } => self.save(*project, *file, u32::from(*content)),
            Op::Scribble { project, file } => self.scribble(*project, *file),
            Op::Wait { ms } => self.wait(Duration::from_millis(u64::from(*ms))),
            Op::Deliver { count } => (0..*count).for_each(|_| self.deliver()),
            Op::Gate {
                project,
                patient,
                deadline_ms,
            } => {
                let wait = deadline_ms.map(|ms| Duration::from_millis(u64::from(ms)));
                self.gate(*project, *patient, wait);
            }
            Op::Run {
                project,
                other,
                force,
                until_named,
                detach,
                strict,
            } => {
                let until = match until_named {
                    true => Until::Named,
                    false => Until::Ended,
                };
                let wanted = match detach {
                    true => Wanted::Detached,
                    false => Wanted::Attended,
                };
                let policy = strict.then(|| "strict".to_owned());
                self.run((*project, *other), *force, (until, wanted), policy);
            }
            Op::Sync => self.ask(Ask::Sync { workspace: None }, None),
            Op::Withdraw { back } => {
                let request = RequestId(self.requests.saturating_sub(u64::from(*back)));
                self.step(Input::Withdrawn { request });
            }
            Op::Cancel => self.cancel(),
            Op::Configure { home, setting } => self.configure(*home, *setting),
            Op::Reread { home } => self.reread(*home),
            Op::Blind { home, missing } => self.blind(*home, *missing),
            Op::Sighted { home } => self.sight(*home),
            Op::Close { home } => self.close(*home),
            Op::Open { home } => self.open(*home),
            Op::Restart => self.restart(),
            Op::DiskFails => self.disk_fails = true,
            Op::Git { home, step } => {
                self.places[*home].git = *step;
                self.tell_git(*home);
            }
            Op::LookFails { home } => self.places[*home].look_fails = true,
            Op::Rewrite { project, file } => self.rewrite(*project, *file),
            Op::Revert { project } => self.revert(*project),
            Op::Resume => self.resume(),
            Op::Vanish => self.vanish(),
            Op::PutBack { project, file } => self.put_back(*project, *file),
            Op::Spoil {
                project,
                which,
                removed,
            } => self.spoil(*project, LEAVING[*which], *removed),
            Op::Unweighable => self.unweighable = true,
            Op::Seize => self.machine.seize(MACHINE),
        }
    }

    pub(crate) fn save(&mut self, project: usize, file: u8, content: u32) {
        self.put(project, file, Some(content));
        self.past[project].push(self.files[project].clone());
    }

    /// A branch is switched: file by file, the content becomes what it was once.
    fn revert(&mut self, project: usize) {
        let past = &self.past[project];
        let Some(last) = past.len().checked_sub(1) else {
            return;
        };
        let then = self.chance(last.min(REVERT_MAX) + 1);
        let then = self.past[project][last - then].clone();
        let now = self.files[project].clone();
        for file in 0..FILES {
            if now.get(&file) != then.get(&file) {
                self.put(project, file, then.get(&file).copied());
            }
        }
    }

    fn put_back(&mut self, project: usize, file: u8) {
        let usual = (Until::Ended, Wanted::Attended);
        self.run((project, true), false, usual, None);
        self.hold_stages(HOMES[project]);
        let before = self.files[project].get(&file).copied();
        self.rewrite(project, file);
        self.hold_stages(HOMES[project]);
        self.wait(SCRIBBLE * 2);
        self.gate(project, true, None);
        self.hold_stages(HOMES[project]);
        self.put(project, file, before);
    }

    /// Everything arrives but the ends of stages.
    pub(crate) fn hold_stages(&mut self, home: usize) {
        for _ in 0..HELD_MAX {
            if !self.places[home].tree.is_empty() {
                self.deliver_tree(home);
            } else if !self.records.is_empty() {
                self.deliver_record();
            } else if !self.weighs.is_empty() {
                self.deliver_weighing();
            }
        }
    }

    fn put(&mut self, project: usize, file: u8, content: Option<u32>) {
        let before = match content {
            Some(content) => self.files[project].insert(file, content),
            None => self.files[project].remove(&file),
        };
        if before != content {
            let ours = self.views.iter_mut();
            let ours = ours.filter(|(subject, _)| subject.task == task(project));
            ours.for_each(|(_, (_, saved))| {
                saved.insert(file);
            });
        }
        self.oracle.saved(project, &self.files[project]);
        if before != content {
            self.oracle.touched(project, file);
        }
        let place = &mut self.places[HOMES[project]];
        if place.sees() {
            place.tree.push_back(Tree::Hint(project, file));
        }
    }

    fn scribble(&mut self, project: usize, file: u8) {
        for _ in 0..12 {
            self.rewrite(project, file);
            while !self.places[HOMES[project]].tree.is_empty() {
                self.deliver_tree(HOMES[project]);
            }
            self.wait(SCRIBBLE);
        }
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        let mut wakes = 0;
        while let Some(wake) = self
            .engine
            .next_wake()
            .map(Tick::since_start)
            .filter(|at| *at <= end)
        {
            wakes += 1;
            assert!(wakes < WAKES_MAX, "the engine wakes for nothing");
            self.now = self.now.max(wake);
            self.wake();
        }
        self.now = end;
        self.wake();
    }

    /// Time has passed; what is in doubt is told of, whether or not the engine has heard of it.
    fn wake(&mut self) {
        let unsure = self.places.iter().filter(|place| place.hints());
        let unsure = unsure.map(|place| place.id).collect();
        self.step(Input::Woke { unsure });
    }

    fn project(&self, project: usize) -> ProjectId {
        ProjectId {
            workspace: self.places[HOMES[project]].id,
            task: task(project),
        }
    }

    fn open(&mut self, home: usize) {
        if !self.places[home].forgotten {
            return;
        }
        self.workspaces += 1;
        self.places[home] = Place {
            id: WorkspaceId(self.workspaces),
            open: true,
            forgotten: false,
            ..Place::default()
        };
        self.introduce(home);
    }

    /// Tells an engine of a workspace that it does not know.
    fn introduce(&mut self, home: usize) {
        let workspace = self.places[home].id;
        self.views
            .retain(|subject, _| HOMES[index(&subject.task)] != home);
        let root = RootPath::new(Path::new(["/w0", "/w1"][home])).unwrap();
        self.step(Input::Opened {
            workspace,
            root,
            layout: Layout::new(".runs"),
        });
        self.configure(home, self.places[home].setting);
        self.sight(home);
    }

    fn close(&mut self, home: usize) {
        if !self.places[home].open {
            return;
        }
        self.places[home].open = false;
        let workspace = self.places[home].id;
        self.step(Input::Closed { workspace });
    }

    fn configure(&mut self, home: usize, setting: Setting) {
        if !self.places[home].open {
            return;
        }
        let workspace = self.places[home].id;
        self.places[home].setting = setting;
        self.oracle.configured(home, setting);
        if setting != Setting::Broken {
            self.places[home].readable = setting;
        }
        let trust = match setting {
            Setting::Broken => {
                let detail = "line 3: unknown key".to_owned();
                return self.step(Input::Misconfigured { workspace, detail });
            }
            Setting::Untrusted => Trust::Untrusted {
                detail: "never allowed".to_owned(),
            },
            Setting::Denied => Trust::Denied {
                detail: "no longer allowed".to_owned(),
            },
            Setting::Usual | Setting::Waiting | Setting::Narrow | Setting::Edited => Trust::Allowed,
        };
        let setup = Setup {
            config: Arc::new(config(home, setting)),
            trust,
            known: self.known(home),
        };
        self.step(Input::Configured { workspace, setup });
        self.tell_git(home);
    }

    fn tell_git(&mut self, home: usize) {
        let place = &self.places[home];
        if !place.open {
            return;
        }
        let signs = place.git.iter().map(|step| Sign {
            place: ".git/rebase-merge".to_owned(),
            stamp: (1, i64::from(*step)),
        });
        let signs: BTreeSet<Sign> = signs.collect();
        let config = config(home, place.readable);
        let tasks = config.projects.iter().map(|project| project.task.clone());
        let by = tasks.map(|task| (task, signs.clone())).collect();
        let workspace = place.id;
        self.step(Input::Held { workspace, by });
    }

    fn known(&self, home: usize) -> BTreeMap<TaskId, Known> {
        let ours = (0..PROJECTS.len()).filter(|project| HOMES[*project] == home);
        let known = ours.map(|project| {
            let pipeline = own_pipeline(project);
            let last = self.disk.newest_of(project, pipeline);
            let last = last.map(latest);
            let proofs = self.disk.proofs(project, pipeline);
            let history = self.disk.history(project);
            let proven = self.disk.proven(project);
            let known = Known {
                last,
                proofs,
                history,
                proven,
            };
            (task(project), known)
        });
        known.collect()
    }

    fn blind(&mut self, home: usize, missing: bool) {
        let place = &mut self.places[home];
        if !place.open {
            return;
        }
        let detail = "events were lost".to_owned();
        let watch = match missing {
            true => Watch::Missing { detail },
            false => Watch::Rescanning { detail },
        };
        place.watch = Some(watch.clone());
        let workspace = place.id;
        // A tree that cannot see tells no hints, and ends the looks that were asked of it; what those had seen and not
        // told yet is told by the next.
        for job in std::mem::take(&mut place.tree) {
            let (Tree::Look(capture, _) | Tree::Seen(capture, _)) = &job else {
                continue;
            };
            place.tree.push_back(Tree::Seen(*capture, None));
            if let Tree::Seen(_, Some(views)) = &job {
                for view in views {
                    let (_, saved) = self.views.entry(view.subject.clone()).or_default();
                    saved.extend(0..FILES);
                }
            }
        }
        self.step(Input::Watched { workspace, watch });
        if missing && self.chance(2) == 0 {
            self.step(Input::Replaced { workspace });
        }
    }

    fn reread(&mut self, home: usize) {
        let place = &mut self.places[home];
        if !place.open || !place.sees() {
            return;
        }
        let detail = "its configuration is being read again".to_owned();
        let watch = Watch::Rescanning { detail };
        place.watch = Some(watch.clone());
        let workspace = place.id;
        self.step(Input::Watched { workspace, watch });
    }

    fn sight(&mut self, home: usize) {
        let place = &mut self.places[home];
        if !place.open {
            return;
        }
        place.watch = Some(Watch::Watching);
        let workspace = place.id;
        let watch = Watch::Watching;
        self.step(Input::Watched { workspace, watch });
    }

    /// The daemon is killed; what was on its way to the disk has got there or not.
    fn restart(&mut self) {
        while self.chance(2) == 0 {
            let Some((report, record)) = self.records.pop_front() else {
                break;
            };
            self.disk.take(report, record);
        }
        self.records.clear();
        self.stages.clear();
        self.weighs.clear();
        self.machine.lose_engine();
        self.engine = Engine::new(self.chance, NonZeroU32::new(2).unwrap());
        self.oracle.restarted(self.disk.reports());
        for home in 0..2 {
            self.places[home].tree.clear();
            match self.places[home].open {
                true => self.introduce(home),
                false => self.places[home].forgotten = true,
            }
        }
    }
}
