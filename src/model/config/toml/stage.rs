//! Reads one `[[pipeline.stage]]` of `orchd.toml`: a command or a subpipeline.
//!
//! Every key is read even after a mistake in another, and a key that belongs to the other kind of stage is a mistake.

use super::table::{self, Table};
use crate::limits;
use crate::model::config::draft::{Faults, StageSpots};
use crate::model::config::fault::Fault;
use crate::model::config::value;
use crate::model::config::{Action, Command, CommandLine, Cwd, PlanHints, Stage, Subpipeline};
use crate::model::id::{PipelineId, StageId};
use crate::model::path::RelPath;
use std::collections::BTreeMap;
use toml::de::DeValue;

pub(super) const KEYS: &[&str] = &[
    "id",
    "title",
    "needs",
    "command",
    "inputs",
    "outputs",
    "toolchain",
    "timeout",
    "grace",
    "retries",
    "allow_failure",
    "mutex",
    "cwd",
    "env",
    "summary_hint",
    "pipeline",
    "optional",
];
const COMMAND_ONLY: &[&str] = &[
    "inputs",
    "outputs",
    "toolchain",
    "timeout",
    "grace",
    "retries",
    "allow_failure",
    "mutex",
    "cwd",
    "env",
    "summary_hint",
];
const SUBPIPELINE_ONLY: &[&str] = &["optional"];

/// Whether a stage that says nothing of what it does is a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsaid {
    /// It is: somebody would have to run it.
    Mistake,
    /// It leaves its command open: nobody runs a template.
    Open,
}

/// Whether a stage says nothing of what it does.
pub(super) fn is_unsaid(table: &Table<'_>) -> bool {
    !table.has("command") && !table.has("pipeline")
}

/// Reads a stage; of one that cannot be read, its id.
pub(super) fn read(
    table: &Table<'_>,
    unsaid: Unsaid,
    faults: &mut Faults,
) -> Result<(Stage, StageSpots), Option<StageId>> {
    table.allow(KEYS, faults);
    let id = table
        .required("id", faults)
        .and_then(|text| text.id(StageId::parse, faults));
    let title = table
        .text("title", faults)
        .map(|text| text.value.to_owned());
    let needs: Vec<_> = table
        .texts("needs", faults)
        .unwrap_or_default()
        .iter()
        .take(limits::STAGES_MAX)
        .filter_map(|text| text.id(StageId::parse, faults))
        .collect();
    let (count, max) = (table.count("needs"), limits::STAGES_MAX);
    if count > max {
        let what = "needs";
        faults.add(table.span_of("needs"), Fault::TooMany { what, count, max });
    }
    let action = read_action(table, unsaid, faults);
    let (id, action) = match (id, action) {
        (Some(id), Some(action)) => (id, action),
        (id, _) => return Err(id.map(|id| id.value)),
    };
    let title = title.unwrap_or_else(|| match &action {
        Action::Command(command) => command.line.text(),
        Action::Subpipeline(_) => id.value.to_string(),
    });
    let spots = StageSpots {
        id: id.spot,
        needs: needs.iter().map(|need| need.spot).collect(),
        pipeline: faults.spot(table.span_of("pipeline")),
    };
    let stage = Stage {
        id: id.value,
        title,
        needs: needs.into_iter().map(|need| need.value).collect(),
        action,
        plan: plan_hints(table),
    };
    Ok((stage, spots))
}

fn read_action(table: &Table<'_>, unsaid: Unsaid, faults: &mut Faults) -> Option<Action> {
    match (table.has("command"), table.has("pipeline")) {
        (true, false) => {
            refuse(table, SUBPIPELINE_ONLY, "command", faults);
            let line = read_line(table, faults);
            read_command(table, line, faults).map(Action::Command)
        }
        (false, true) => {
            refuse(table, COMMAND_ONLY, "pipeline", faults);
            read_subpipeline(table, faults).map(Action::Subpipeline)
        }
        (false, false) if unsaid == Unsaid::Open => {
            refuse(table, SUBPIPELINE_ONLY, "command", faults);
            let line = Some(CommandLine::Shell(String::new()));
            read_command(table, line, faults).map(Action::Command)
        }
        (false, false) => {
            faults.add(table.span(), Fault::NoAction);
            None
        }
        (true, true) => {
            faults.add(table.span_of_key("pipeline"), Fault::TwoActions);
            None
        }
    }
}

fn refuse(table: &Table<'_>, keys: &[&'static str], kind: &'static str, faults: &mut Faults) {
    for key in keys.iter().filter(|key| table.has(key)) {
        let span = table.span_of_key(key);
        faults.add(span, Fault::NotOfThisKind { key, kind });
    }
}

fn read_subpipeline(table: &Table<'_>, faults: &mut Faults) -> Option<Subpipeline> {
    let optional = table.boolean("optional", faults).unwrap_or(false);
    let pipeline = table
        .text("pipeline", faults)
        .and_then(|text| text.id(PipelineId::parse, faults))?
        .value;
    Some(Subpipeline { pipeline, optional })
}

fn read_command(
    table: &Table<'_>,
    line: Option<CommandLine>,
    faults: &mut Faults,
) -> Option<Command> {
    let cwd = match table.text("cwd", faults) {
        Some(text) => text.path("cwd", faults),
        None => Some(RelPath::root()),
    };
    let mutex = table.text("mutex", faults).and_then(|text| {
        let checked = value::mutex(text.value);
        faults
            .take(text.span, checked)
            .map(|()| text.value.to_owned())
    });
    // Everything is read before anything is given up: each mistake is told.
    let env = read_env(table, faults);
    let inputs = table.patterns("inputs", faults);
    if table.is_empty_list("inputs") {
        faults.add(table.span_of("inputs"), Fault::NoInputs);
    }
    let outputs = table.patterns("outputs", faults).unwrap_or_default();
    let toolchain = read_toolchain(table, faults);
    let timeout = table.duration("timeout", limits::TIMEOUT_MAX, faults);
    let grace = table.duration("grace", limits::GRACE_MAX, faults);
    let retries = table.small("retries", 0, limits::RETRIES_MAX, faults);
    let allow_failure = table.boolean("allow_failure", faults);
    let summary_hint = table.text("summary_hint", faults);
    Some(Command {
        line: line?,
        cwd: Cwd::Project(cwd?),
        env,
        inputs,
        outputs,
        toolchain,
        timeout,
        grace: grace.unwrap_or(limits::GRACE_DEFAULT),
        retries: retries.unwrap_or(0),
        allow_failure: allow_failure.unwrap_or(false),
        mutex,
        summary_hint: summary_hint.map(|text| text.value.to_owned()),
    })
}

fn read_toolchain(table: &Table<'_>, faults: &mut Faults) -> Vec<String> {
    let lines = table.texts("toolchain", faults).unwrap_or_default();
    let (count, max) = (table.count("toolchain"), limits::TOOLCHAIN_LINES_MAX);
    if count > max {
        let what = "toolchain";
        faults.add(
            table.span_of("toolchain"),
            Fault::TooMany { what, count, max },
        );
    }
    let good = lines.into_iter().take(max).filter_map(|text| {
        let checked = value::shell_line("toolchain", text.value);
        faults.take(text.span, checked)?;
        Some(text.value.to_owned())
    });
    good.collect()
}

fn read_line(table: &Table<'_>, faults: &mut Faults) -> Option<CommandLine> {
    let value = table.value("command")?;
    match value.get_ref() {
        DeValue::String(line) => {
            faults.take(value.span(), value::shell_line("command", line))?;
            Some(CommandLine::Shell(line.to_string()))
        }
        DeValue::Array(items) => {
            let argument = |item| {
                let text = table::text("command", item, faults)?;
                faults.take(text.span, value::argument("command", text.value))?;
                Some(text.value.to_owned())
            };
            let argv: Option<Vec<String>> = items.iter().map(argument).collect();
            let argv = argv?;
            // An empty program name cannot be executed either.
            if argv.first().is_none_or(String::is_empty) {
                faults.add(value.span(), Fault::Empty { key: "command" });
                return None;
            }
            Some(CommandLine::Argv(argv))
        }
        DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Table(_) => {
            let expected = "a string for `sh -c` or an array of strings";
            table::mistyped("command", expected, value, faults)
        }
    }
}

fn read_env(table: &Table<'_>, faults: &mut Faults) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    let Some(variables) = table.table("env", "`env`", faults) else {
        return env;
    };
    for (name, value) in variables.entries() {
        let named = faults.take(name.span, value::variable_name(name.value));
        let Some(text) = table::text(name.value, value, faults) else {
            continue;
        };
        let checked = faults.take(text.span, value::argument("env", text.value));
        if named.and(checked).is_some() {
            env.insert(name.value.to_owned(), text.value.to_owned());
        }
    }
    env
}

/// `plan` repeats the directory and the order of the variables as they are written.
fn plan_hints(table: &Table<'_>) -> PlanHints {
    let written = |key| table.value(key).map(toml::Spanned::get_ref);
    let cwd = match written("cwd") {
        Some(DeValue::String(cwd)) => Some(cwd.to_string()),
        _ => None,
    };
    let env = match written("env") {
        Some(DeValue::Table(variables)) => {
            let mut names: Vec<_> = variables.keys().collect();
            names.sort_by_key(|name| name.span().start);
            Some(
                names
                    .iter()
                    .map(|name| name.get_ref().to_string())
                    .collect(),
            )
        }
        _ => None,
    };
    PlanHints {
        cwd,
        env,
        ..PlanHints::default()
    }
}
