//! Reads `orchd.toml`, the workspace's own configuration.
//!
//! The spanned document is walked by hand, so that every mistake is told with its line and column, all of them at once.
//! Whether names refer to something that exists is not asked here: the other file may define it (`check`).

mod agreed;
mod stage;
mod table;
mod unclosed;

use self::stage::Unsaid;
use self::table::Table;
use crate::limits;
use crate::model::config::draft::{Draft, DraftPipeline, DraftProject, Faults};
use crate::model::config::fault::Fault;
use crate::model::config::source::{Origin, Spotted};
use crate::model::config::{
    Flaky, Flip, OnBusy, OnStart, Order, Pipeline, PipelineSource, Poll, Retention, Settings,
};
use crate::model::id::{PipelineId, StageId, TaskId};
use crate::model::path::RelPath;
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;
use toml::de::DeTable;

const FILE_KEYS: &[&str] = &["workspace", "project", "pipeline", "template"];
const WORKSPACE_KEYS: &[&str] = &[
    "settle_ms",
    "settle_max_ms",
    "ignore",
    "jobs",
    "poll",
    "poll_interval_ms",
    "audit",
    "on_start",
    "flaky",
    "flip",
    "retain",
    "default_pipeline",
    "spec_guard",
];
const RETAIN_KEYS: &[&str] = &["runs", "days"];
const PROJECT_KEYS: &[&str] = &[
    "task", "path", "pipeline", "on_busy", "required", "sla", "waiver",
];
const PIPELINE_KEYS: &[&str] = &[
    "id",
    "title",
    "description",
    "fail_fast",
    "guardrails_required",
    "stage",
];

/// What the stages of a pipeline are called in messages, and that each has to say what it does.
const PIPELINE_STAGE: (&str, Unsaid) = ("[[pipeline.stage]]", Unsaid::Mistake);

/// Reads the text of an `orchd.toml`.
#[must_use]
pub fn parse(text: &str) -> (Draft, Faults) {
    let mut faults = Faults::new(Origin::Toml);
    let (document, errors) = DeTable::parse_recoverable(text);
    // The parser takes all that follows for its items.
    let open = unclosed::unclosed_array(text).filter(|_| !errors.is_empty());
    if let Some(at) = open {
        let said = "unclosed array, expected `]`".to_owned();
        faults.add(at..at + 1, Fault::Syntax { said });
        return (Draft::default(), faults);
    }
    for error in &errors {
        let said = error.message().trim().replace('\n', ", ");
        let span = error.span().unwrap_or(0..0);
        faults.add(span, Fault::Syntax { said });
    }
    // What the parser made of a broken document is guesswork: faults in it would mislead.
    if !faults.is_empty() {
        return (Draft::default(), faults);
    }
    let file = Table::new("the file", document.get_ref(), document.span());
    let draft = read_file(&file, &mut faults);
    (draft, faults)
}

fn read_file(file: &Table<'_>, faults: &mut Faults) -> Draft {
    file.allow(FILE_KEYS, faults);
    let workspace = file.table("workspace", "[workspace]", faults);
    let mut draft = Draft {
        settings: Some(workspace.as_ref().map_or_else(Settings::default, |table| {
            table.allow(WORKSPACE_KEYS, faults);
            read_settings(table, faults)
        })),
        ..Draft::default()
    };
    draft.ignore_declared = workspace.as_ref().is_some_and(|table| table.has("ignore"));
    draft.default_pipeline =
        workspace.and_then(|table| pipeline_name(&table, "default_pipeline", faults));
    for table in file.tables("project", "[[project]]", limits::PROJECTS_MAX, faults) {
        table.allow(PROJECT_KEYS, faults);
        draft.projects.extend(read_project(&table, faults));
    }
    for table in file.tables("pipeline", "[[pipeline]]", limits::PIPELINES_MAX, faults) {
        table.allow(PIPELINE_KEYS, faults);
        draft
            .pipelines
            .extend(read_pipeline(&table, PIPELINE_STAGE, faults));
    }
    draft.templates = agreed::templates(file, faults);
    let count = draft
        .pipelines
        .iter()
        .chain(&draft.templates)
        .map(|pipeline| pipeline.stages.len())
        .sum();
    let (what, max) = ("stages in all pipelines", limits::STAGES_TOTAL_MAX);
    if count > max {
        faults.add(
            file.span_of("pipeline"),
            Fault::TooMany { what, count, max },
        );
    }
    draft
}

fn read_settings(table: &Table<'_>, faults: &mut Faults) -> Settings {
    let mut settings = Settings::default();
    let settle_most = table::whole_ms(limits::SETTLE_CONFIGURED_MAX);
    if let Some(ms) = table.integer("settle_ms", 0, settle_most, faults) {
        settings.settle = Duration::from_millis(ms);
    }
    if let Some(ms) = table.integer("settle_max_ms", 1, settle_most, faults) {
        settings.settle_max = Duration::from_millis(ms);
    }
    if settings.settle > settings.settle_max {
        let key = if table.has("settle_ms") {
            "settle_ms"
        } else {
            "settle_max_ms"
        };
        let fault = Fault::SettleOrder {
            settle_ms: settings.settle.as_millis(),
            settle_max_ms: settings.settle_max.as_millis(),
        };
        faults.add(table.span_of(key), fault);
    }
    settings.ignore = table.patterns("ignore", faults).unwrap_or_default();
    settings.jobs = table
        .small("jobs", 1, limits::JOBS_MAX, faults)
        .and_then(NonZeroU32::new);
    let polls = [
        ("auto", Poll::Auto),
        ("always", Poll::Always),
        ("never", Poll::Never),
    ];
    settings.poll = table
        .choice("poll", &polls, faults)
        .unwrap_or(settings.poll);
    let poll_least = table::whole_ms(limits::POLL_INTERVAL_MIN);
    let poll_most = table::whole_ms(limits::POLL_INTERVAL_MAX);
    if let Some(ms) = table.integer("poll_interval_ms", poll_least, poll_most, faults) {
        settings.poll_interval = Duration::from_millis(ms);
    }
    if let Some(audit) = table.duration_or_off("audit", limits::AUDIT_MAX, faults) {
        settings.audit = audit;
    }
    settings.on_start = match table.boolean("on_start", faults) {
        Some(false) => OnStart::Wait,
        Some(true) | None => OnStart::Run,
    };
    let flaky = [("pass", Flaky::Pass), ("fail", Flaky::Fail)];
    settings.flaky = table
        .choice("flaky", &flaky, faults)
        .unwrap_or(settings.flaky);
    let flip = [("auto", Flip::Auto), ("manual", Flip::Manual)];
    settings.flip = table.choice("flip", &flip, faults).unwrap_or(settings.flip);
    if let Some(retain) = table.table("retain", "`retain`", faults) {
        retain.allow(RETAIN_KEYS, faults);
        settings.retain = read_retention(&retain, settings.retain, faults);
    }
    settings.spec_guard = agreed::spec_guard(table, faults);
    settings
}

fn read_retention(table: &Table<'_>, default: Retention, faults: &mut Faults) -> Retention {
    Retention {
        runs: table
            .small("runs", 1, limits::RETAIN_RUNS_MAX, faults)
            .unwrap_or(default.runs),
        days: table
            .small("days", 1, limits::RETAIN_DAYS_MAX, faults)
            .unwrap_or(default.days),
    }
}

fn read_project(table: &Table<'_>, faults: &mut Faults) -> Option<DraftProject> {
    let task = table
        .required("task", faults)
        .and_then(|text| text.id(TaskId::parse, faults));
    let path = table.text("path", faults).map(|text| {
        let path = text.path("path", faults);
        path.map(|path| Spotted::new(path, faults.spot(text.span)))
    });
    let path =
        path.unwrap_or_else(|| Some(Spotted::new(RelPath::root(), faults.spot(table.span()))));
    let pipeline = pipeline_name(table, "pipeline", faults);
    let busy = [("queue", OnBusy::Queue), ("restart", OnBusy::Restart)];
    let on_busy = table
        .choice("on_busy", &busy, faults)
        .unwrap_or(OnBusy::Queue);
    let required = table.texts("required", faults).unwrap_or_default();
    let required = required
        .into_iter()
        .filter_map(|text| text.id(StageId::parse, faults))
        .map(|id| id.value)
        .collect();
    let sla = table.duration("sla", limits::SLA_MAX, faults);
    let waivers = agreed::waivers(table, faults);
    Some(DraftProject {
        task: task?,
        path: path?,
        pipeline,
        on_busy,
        required,
        sla,
        waivers,
    })
}

fn read_pipeline(
    table: &Table<'_>,
    (stage_table, unsaid): (&'static str, Unsaid),
    faults: &mut Faults,
) -> Option<DraftPipeline> {
    let id = table
        .required("id", faults)
        .and_then(|text| text.id(PipelineId::parse, faults));
    let title = table
        .text("title", faults)
        .map(|text| text.value.to_owned());
    let description = table
        .text("description", faults)
        .map(|text| text.value.to_owned());
    let guardrails_required = table.boolean("guardrails_required", faults);
    let fail_fast = table.boolean("fail_fast", faults).unwrap_or(false);
    let (mut stages, mut spots) = (Vec::new(), Vec::new());
    let (mut broken, mut open) = (BTreeSet::new(), BTreeSet::new());
    let mut order = Order::Sequence;
    for stage in table.tables("stage", stage_table, limits::STAGES_MAX, faults) {
        if stage.has("needs") {
            order = Order::Graph;
        }
        let is_open = stage::is_unsaid(&stage);
        match stage::read(&stage, unsaid, faults) {
            Ok((stage, spot)) => {
                open.extend(is_open.then(|| stage.id.clone()));
                stages.push(stage);
                spots.push(spot);
            }
            Err(id) => broken.extend(id),
        }
    }
    let id = id?;
    Some(DraftPipeline {
        spot: id.spot,
        stages: spots,
        open,
        broken,
        has_stages: table.has("stage") && !table.is_empty_list("stage"),
        pipeline: Pipeline {
            title: title.unwrap_or_else(|| id.value.to_string()),
            id: id.value,
            description,
            source: PipelineSource::User,
            stages,
            order,
            fail_fast,
            guardrails_required,
        },
    })
}

fn pipeline_name(
    table: &Table<'_>,
    key: &'static str,
    faults: &mut Faults,
) -> Option<Spotted<PipelineId>> {
    table
        .text(key, faults)
        .and_then(|text| text.id(PipelineId::parse, faults))
}

#[cfg(test)]
mod mistakes;
#[cfg(test)]
mod tests;
