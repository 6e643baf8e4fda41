//! Reads what a workspace has agreed on and nobody runs: templates, waivers, and what the spec guard looks at.
//!
//! None of it is a part of the command set: it says what is compared, not what is executed.

use super::stage::Unsaid;
use super::table::{self, Table};
use super::{PIPELINE_KEYS, read_pipeline};
use crate::limits;
use crate::limits::documents::{SPEC_AGE_MAX, WAIVER_TEXT_BYTES_MAX, WAIVERS_MAX};
use crate::model::config::draft::{DraftPipeline, Faults};
use crate::model::config::fault::Fault;
use crate::model::config::{SpecGuard, Waiver};
use crate::model::id::StageId;
use crate::model::time::Day;
use toml::de::DeValue;

pub(super) const SPEC_GUARD_KEYS: &[&str] = &["code", "specs", "max_age"];
pub(super) const WAIVER_KEYS: &[&str] = &["stage", "reason", "by", "until"];

/// The `[[template]]`s of a file.
pub(super) fn templates(file: &Table<'_>, faults: &mut Faults) -> Vec<DraftPipeline> {
    let mut templates = Vec::new();
    for table in file.tables("template", "[[template]]", limits::PIPELINES_MAX, faults) {
        table.allow(PIPELINE_KEYS, faults);
        if !table.has("stage") {
            let (key, table_name) = ("stage", "[[template]]");
            let fault = Fault::MissingKey {
                key,
                table: table_name,
            };
            faults.add(table.span(), fault);
        } else if table.is_empty_list("stage") {
            faults.add(table.span_of("stage"), Fault::Empty { key: "stage" });
        }
        let stages = ("[[template.stage]]", Unsaid::Open);
        templates.extend(read_pipeline(&table, stages, faults));
    }
    templates
}

/// The `[[project.waiver]]`s of a project.
pub(super) fn waivers(project: &Table<'_>, faults: &mut Faults) -> Vec<Waiver> {
    let tables = project.tables("waiver", "[[project.waiver]]", WAIVERS_MAX, faults);
    let each = tables.iter().filter_map(|table| {
        table.allow(WAIVER_KEYS, faults);
        let stage = table.required("stage", faults);
        let stage = stage.and_then(|text| text.id(StageId::parse, faults));
        let reason = words(table, "reason", faults);
        let by = words(table, "by", faults);
        let until = until(table, faults);
        Some(Waiver {
            stage: stage?.value,
            reason: reason?,
            by: by?,
            until: until?,
        })
    });
    each.collect()
}

/// A text that somebody has to have written.
fn words(table: &Table<'_>, key: &'static str, faults: &mut Faults) -> Option<String> {
    let text = table.required(key, faults)?;
    let (bytes, max) = (text.value.len(), WAIVER_TEXT_BYTES_MAX);
    if text.value.trim().is_empty() {
        faults.add(text.span, Fault::Empty { key });
        return None;
    }
    if bytes > max {
        faults.add(text.span, Fault::TooLong { key, bytes, max });
        return None;
    }
    Some(text.value.to_owned())
}

/// A day: as a string, or as TOML itself writes one.
fn until(table: &Table<'_>, faults: &mut Faults) -> Option<Day> {
    let key = "until";
    let Some(value) = table.value(key) else {
        table.required(key, faults);
        return None;
    };
    let written = match value.get_ref() {
        DeValue::String(text) => text.to_string(),
        DeValue::Datetime(written) => written.to_string(),
        DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => {
            return table::mistyped(key, "a day such as \"2026-12-31\"", value, faults);
        }
    };
    let day = Day::parse(&written).map_err(|source| Fault::Day { key, source });
    faults.take(value.span(), day)
}

/// What `[workspace.spec_guard]` says; what it does not say is as the family's own script has it.
pub(super) fn spec_guard(workspace: &Table<'_>, faults: &mut Faults) -> SpecGuard {
    let default = SpecGuard::default();
    let Some(table) = workspace.table("spec_guard", "[workspace.spec_guard]", faults) else {
        return default;
    };
    table.allow(SPEC_GUARD_KEYS, faults);
    let code = table.patterns("code", faults);
    let specs = table.patterns("specs", faults);
    let max_age = table.duration_or_off("max_age", SPEC_AGE_MAX, faults);
    SpecGuard {
        code: code.unwrap_or(default.code),
        specs: specs.unwrap_or(default.specs),
        max_age: max_age.unwrap_or(default.max_age),
    }
}
