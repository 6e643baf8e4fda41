//! What the engine does about an input, in a line of a scene each.

use super::{Bench, word};
use orch::engine::Effect;
use orch::engine::ask::{Reply, Stop};
use orch::engine::news::{Dropped, News};
use orch::engine::weighing::Sought;
use orch::model::id::{RunId, WeighId};
use orch::model::run::Outcome;

impl Bench {
    pub(super) fn told(&mut self, effect: Effect) -> String {
        match effect {
            Effect::Capture {
                capture, subjects, ..
            } => {
                let names: Vec<&str> = subjects.iter().map(|s| s.pipeline.as_str()).collect();
                let text = format!("look at {}", names.join(" and "));
                self.looks.push_back((capture, subjects));
                text
            }
            Effect::Foresee { report } => format!("make ready {}", self.name(&report.run)),
            Effect::Begin { report, resumed } => {
                let again = if resumed { "take up" } else { "begin" };
                let (run, cause) = (self.name(&report.run), word(&report.cause));
                let policy = report.approval_policy.iter();
                let policy: String = policy.map(|policy| format!(" as {policy}")).collect();
                let text = format!("{again} {run} {} {cause}{policy}", report.pipeline);
                self.reports.insert(report.run.clone(), *report);
                text
            }
            Effect::Record { report } => {
                let text = format!("record {}", self.name(&report.run));
                self.reports.insert(report.run.clone(), *report);
                text
            }
            Effect::End { report, .. } => {
                let void = if report.void.is_some() { " void" } else { "" };
                let (status, verdict) = (word(&report.status), word(&report.verdict));
                let text = format!("end {} {status} {verdict}{void}", self.name(&report.run));
                self.reports.insert(report.run.clone(), *report);
                text
            }
            Effect::State { standing, .. } => {
                let fresh = if standing.fresh { " fresh" } else { "" };
                format!(
                    "state {} {}{fresh}",
                    word(&standing.verdict),
                    word(&standing.phase)
                )
            }
            Effect::StartStage {
                run, report, stage, ..
            } => {
                let stage = &report.stages[stage];
                format!("start {} {} #{}", self.name(&run), stage.id, stage.attempts)
            }
            Effect::StopStage { run, stage, stop } => {
                let stop = match stop {
                    Stop::Term => "term",
                    Stop::Kill => "kill",
                };
                let stage = self.reports[&run].stages[stage].id.clone();
                format!("{stop} {} {stage}", self.name(&run))
            }
            Effect::TakeMutex { mutex } => format!("take {mutex}"),
            Effect::LeaveMutex { mutex } => format!("leave {mutex}"),
            Effect::Weigh {
                weigh,
                run,
                stage,
                lists,
                ..
            } => self.weighed_soon(weigh, (run, stage), &lists),
            Effect::Reply { request, reply } => format!("q{request}: {}", self.reply(reply)),
            Effect::Release { request } => format!("q{request}: let go"),
            Effect::Publish { seq, news, .. } => format!("{seq} {}", self.news(news)),
            Effect::Forget { .. } => "forget".to_owned(),
            Effect::Exit => "exit".to_owned(),
        }
    }

    fn weighed_soon(
        &mut self,
        weigh: WeighId,
        (run, stage): (RunId, usize),
        lists: &[Sought],
    ) -> String {
        let lists = lists.iter().map(|list| match list.without.as_slice() {
            [] => list.patterns.join(" "),
            own => format!("{} but {}", list.patterns.join(" "), own.join(" ")),
        });
        let lists: Vec<String> = lists.collect();
        let id = self.reports[&run].stages[stage].id.clone();
        let text = format!("weigh {} {id}: {}", self.name(&run), lists.join(", "));
        self.weighs.push_back((weigh, run, stage));
        text
    }

    fn reply(&mut self, reply: Reply) -> String {
        match reply {
            Reply::Synced => "synced".to_owned(),
            Reply::Verdicts(answers) => {
                let answers = answers.iter().map(|answer| {
                    let reused = if answer.reused { " reused" } else { "" };
                    let detail = answer.detail.iter().map(|detail| format!(" ({detail})"));
                    let run = answer.run.iter().map(|run| format!(" {}", self.name(run)));
                    let rest: String = run.chain(detail).collect();
                    format!("{}{rest}{reused}", word(&answer.verdict))
                });
                answers.collect::<Vec<_>>().join(", ")
            }
            Reply::Run(report) => {
                let (status, verdict) = (word(&report.status), word(&report.verdict));
                format!("{} {status} {verdict}", self.name(&report.run))
            }
            Reply::Cancelled(report) => word(&report.status),
            Reply::Denied(denied) => format!("denied {denied:?}"),
        }
    }

    fn news(&mut self, news: News) -> String {
        match news {
            News::Change { .. } => "change".to_owned(),
            News::Settled { .. } => "settled".to_owned(),
            News::RunQueued {
                pipeline,
                cause,
                run,
                ..
            } => {
                let run = run.map(|run| format!(" {}", self.name(&run)));
                let run = run.unwrap_or_default();
                format!("run.queued {pipeline} {}{run}", word(&cause))
            }
            News::RunDropped { run, why, .. } => {
                let why = match why {
                    Dropped::Cancelled => "cancelled".to_owned(),
                    Dropped::Withdrawn => "withdrawn".to_owned(),
                    Dropped::Refused(denied) => format!("refused {denied:?}"),
                };
                format!("run.dropped {} {why}", self.name(&run))
            }
            News::RunStarted { report } => format!("run.started {}", self.name(&report.run)),
            News::StageStarted(told) => {
                format!("stage.started {} {}", self.name(&told.run), told.stage.id)
            }
            News::StageEnded(told) => {
                let (run, stage) = (self.name(&told.run), &told.stage);
                let from = stage.reused_from.as_ref();
                let from = from.map(|from| format!(" from {}", self.name(from)));
                let from = from.unwrap_or_default();
                let outcome = match stage.outcome {
                    Outcome::Passed | Outcome::Failed => String::new(),
                    other => format!(" {}", word(&other)),
                };
                let status = word(&stage.status);
                format!("stage.ended {run} {} {status}{outcome}{from}", stage.id)
            }
            News::RunEnded { report } => {
                let (status, verdict) = (word(&report.status), word(&report.verdict));
                format!("run.ended {} {status} {verdict}", self.name(&report.run))
            }
            News::Verdict { verdict, .. } => format!("verdict {}", word(&verdict)),
            News::Workspace { .. } => "workspace".to_owned(),
            News::Config { refused, .. } => match refused {
                Some(_) => "config refused".to_owned(),
                None => "config".to_owned(),
            },
        }
    }
}
