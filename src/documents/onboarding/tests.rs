//! Projects taken in, on real directories and on texts.
//!
//! The configuration is always read back by the daemon's own reader: what `project add` writes has to be in force, and to
//! mean for everything that was there what it did.

#![expect(
    clippy::disallowed_methods,
    reason = "a test writes its files where nobody reads them meanwhile"
)]

use super::configuration::ComposeError;
use super::{OnboardError, Onboarded, Slug, Wanted, index, onboard};
use crate::disk::configuration;
use crate::documents::rewrite::Rewrite;
use crate::documents::templates::Fields;
use crate::documents::{projects, task_index};
use crate::model::config::Config;
use crate::model::id::TaskId;
use crate::model::path::{RelPath, RootPath};
use proptest::prelude::*;
use std::fs;
use std::path::Path;

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new(files: &[(&str, &str)]) -> Self {
        let place = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        for (path, text) in files {
            place.write(path, text);
        }
        place
    }

    fn root(&self) -> RootPath {
        RootPath::new(&self.dir.path().canonicalize().unwrap()).unwrap()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.dir.path().join(path)).unwrap()
    }

    fn plan(
        &self,
        path: &str,
        task: &str,
        slug: &str,
    ) -> Result<(Rewrite, Onboarded), OnboardError> {
        let wanted = Wanted {
            path: RelPath::parse(path).unwrap(),
            task: TaskId::parse(task).unwrap(),
            slug: Slug::parse(slug).unwrap(),
            title: None,
            pipeline: None,
            day: "2026-11-22".to_owned(),
            surroundings: None,
        };
        onboard(&self.root(), &wanted)
    }

    fn add(&self, path: &str, task: &str, slug: &str) -> Onboarded {
        let (rewrite, onboarded) = self.plan(path, task, slug).unwrap();
        rewrite.carry_out(&self.root()).unwrap();
        onboarded
    }

    fn config(&self) -> Config {
        configuration::load(&self.root(), None).unwrap().config
    }

    fn pipelines(&self) -> Vec<(String, String)> {
        let projects = self.config().projects.into_iter();
        projects
            .map(|project| (project.task.to_string(), project.pipeline.to_string()))
            .collect()
    }
}

fn pair(one: &str, other: &str) -> (String, String) {
    (one.to_owned(), other.to_owned())
}

const NPM: (&str, &str) = (
    "p/web/package.json",
    r#"{"scripts":{"lint":"x","test":"y"}}"#,
);
const CARGO: (&str, &str) = ("p/core/Cargo.toml", "[package]\nname = \"c\"\n");
const OWN: &str = "[[project]]\ntask = \"all\"\n\n[[pipeline]]\nid = \"diagnostics\"\n\n[[pipeline.stage]]\nid = \"lint\"\ncommand = \"npm ci && npm run lint\"\n";

#[test]
fn a_workspace_without_anything_gets_a_project_with_a_pipeline_of_what_is_found() {
    let place = Place::new(&[NPM, CARGO]);
    place.add("p/web", "0101-web", "web");
    place.add("p/core", "0102", "core");
    assert_eq!(
        place.pipelines(),
        [pair("0101-web", "web"), pair("0102", "core")]
    );
    assert!(place.text("orchd.toml").starts_with("# What runs"));
    let ignore = place.config().settings.ignore;
    assert_eq!(ignore, ["node_modules/", "/p/core/target/"]);
}

#[test]
fn the_project_that_a_workspace_was_by_itself_is_written_down() {
    let place = Place::new(&[NPM, ("Cargo.toml", "[package]\nname = \"c\"\n")]);
    let before = place.config();
    let added = place.add("p/web", "0101-web", "web");
    let after = place.config();
    assert_eq!(after.projects.first(), before.projects.first());
    // A list of tasks is where specs are kept, and the found pipeline guards them from then on.
    let found = after.pipeline(&before.projects[0].pipeline);
    let mut found = found.cloned().unwrap();
    let guard = found.stages.pop().map(|stage| stage.id.to_string());
    assert_eq!(guard.as_deref(), Some("spec-guard"));
    assert_eq!(Some(&found), before.pipelines.first());
    assert!(
        before
            .settings
            .ignore
            .iter()
            .all(|pattern| after.settings.ignore.contains(pattern))
    );
    assert_eq!(added.notes.len(), 2, "{added:?}");
    assert!(place.text(".agent/AGENTS.md").contains(".runs/0101/cli/"));
}

#[test]
fn pipelines_of_the_published_orchestrator_stay_and_what_ran_by_name_only_does() {
    let codex = r#"{"pipelines":[{"id":"a","title":"A","stages":[{"kind":"command","id":"x","title":"x","command":"true"}]}]}"#;
    let place = Place::new(&[NPM, ("codex.orchestrator.json", codex)]);
    let before = place.config();
    place.add("p/web", "0101-web", "web");
    assert_eq!(place.pipelines(), [pair("0101-web", "web")]);
    let after = place.config();
    assert_eq!(
        after.pipeline(&before.pipelines[0].id),
        before.pipelines.first()
    );

    let with_default = codex.replacen('{', r#"{"defaultPipeline":"a","#, 1);
    let place = Place::new(&[NPM, ("codex.orchestrator.json", &with_default)]);
    place.add("p/web", "0101-web", "web");
    assert_eq!(
        place.pipelines(),
        [pair("0101", "a"), pair("0101-web", "web")]
    );
}

#[test]
fn a_pipeline_that_runs_the_tools_of_the_project_is_shared_and_another_is_not() {
    let place = Place::new(&[NPM, CARGO, ("orchd.toml", OWN)]);
    place.add("p/web", "0101-web", "web");
    place.add("p/core", "0102", "core");
    assert_eq!(
        place.pipelines(),
        [
            pair("all", "diagnostics"),
            pair("0101-web", "diagnostics"),
            pair("0102", "core")
        ]
    );
}

#[test]
fn what_is_another_projects_is_refused_and_nothing_is_planned() {
    let place = Place::new(&[
        NPM,
        CARGO,
        ("orchd.toml", OWN),
        ("p/web/in/Makefile", "test:\n"),
    ]);
    place.add("p/web", "0101-web", "web");
    let refused = |path: &str, task: &str| match place.plan(path, task, "x") {
        Err(OnboardError::Compose(error)) => error,
        other => panic!("{other:?}"),
    };
    assert!(matches!(
        refused("p/core", "0101-web"),
        ComposeError::TaskTaken { .. }
    ));
    assert!(matches!(
        refused("p/web", "0103"),
        ComposeError::PathTaken { .. }
    ));
    assert!(matches!(
        refused("p/web/in", "0103"),
        ComposeError::Nested { .. }
    ));
    let other = place.plan("p/web", "0101-web", "shop");
    assert!(
        matches!(other, Err(OnboardError::OtherSlug { .. })),
        "{other:?}"
    );
    let bare = Place::new(&[("p/x/README.md", "x")]);
    let nothing = bare.plan("p/x", "0101", "x");
    assert!(
        matches!(
            nothing,
            Err(OnboardError::Compose(ComposeError::NothingToRun { .. }))
        ),
        "{nothing:?}"
    );
}

#[test]
fn nothing_that_is_there_is_overwritten() {
    let mine = [
        (
            "tasks/0101-web.md",
            "# Mine\n\n- [x] Done; Evidence: `.runs/0101-web/cli/r/manifest.json`\n",
        ),
        ("docs/PRD-0101-web.md", "mine\n"),
        (
            ".agent/task/0101-web.md",
            "- [x] Done; Evidence: `.runs/0101-web/cli/r/manifest.json`\n",
        ),
    ];
    let place = Place::new(&[&[NPM][..], &mine].concat());
    place.add("p/web", "0101-web", "web");
    for (path, text) in mine {
        assert_eq!(place.text(path), text);
    }
    let row = "- [x] Done; Evidence: `.runs/0101-web/cli/r/manifest.json`\n<!-- docs-sync:end";
    assert!(place.text("docs/TASKS.md").contains(row));
}

#[test]
fn templates_of_the_workspace_are_used_and_filled() {
    let template =
        "# <task-id>: <title>\n\n## List\n\n- [ ] See [it](../docs/x.md)\n- [ ] <what>\n";
    let place = Place::new(&[
        NPM,
        (".agent/task/templates/tasks.md", template),
        ("docs/x.md", "x\n"),
    ]);
    place.add("p/web", "0101", "web");
    assert_eq!(
        place.text("tasks/0101-web.md"),
        "# 0101: web\n\n## List\n\n- [ ] See [it](../docs/x.md)\n- [ ] <what>\n"
    );
    let mirror = place.text(".agent/task/0101-web.md");
    assert!(
        mirror.contains("- [ ] See [it](../../docs/x.md)\n- [ ] <what>\n"),
        "{mirror}"
    );
}

#[test]
fn rows_come_to_the_sections_that_there_are_and_to_procedures_that_speak_of_projects() {
    let place = Place::new(&[
        NPM,
        ("orchd.toml", OWN),
        (
            ".agent/AGENTS.md",
            "# A\r\n\r\n## Projects\r\n\r\n- mine\r\n\r\n## More\r\nx\r\n",
        ),
        (".agent/SOPs/deploy.md", "See `.runs/all/cli/`.\n"),
        (".agent/SOPs/other.md", "Nothing of runs.\n"),
    ]);
    place.add("p/web", "0101-web", "web");
    let agents = place.text(".agent/AGENTS.md");
    let begin = "# A\r\n\r\n## Projects\r\n\r\n- mine\r\n- `0101-web` (`p/web`): ";
    assert!(agents.starts_with(begin), "{agents:?}");
    assert!(
        agents.ends_with(".md)\r\n\r\n## More\r\nx\r\n"),
        "{agents:?}"
    );
    let named = place.text(".agent/SOPs/deploy.md");
    assert!(
        named.starts_with("See `.runs/all/cli/`.\n\n## Projects\n\n- `0101-web`"),
        "{named}"
    );
    assert_eq!(place.text(".agent/SOPs/other.md"), "Nothing of runs.\n");
    assert!(!place.dir.path().join(".agent/SOPs/evidence.md").exists());
}

#[test]
fn a_slug_is_safe_in_names_and_no_part_of_the_stem_twice() {
    for bad in ["", ".", "-a", "a/b", "a b", "a-", "ä", &"a".repeat(49)] {
        assert!(Slug::parse(bad).is_err(), "{bad}");
    }
    let stem = |task: &str, slug: &str| {
        let task = TaskId::parse(task).unwrap();
        Slug::parse(slug).unwrap().stem(&task)
    };
    assert_eq!(stem("0101-web", "web"), "0101-web");
    assert_eq!(stem("0101", "web"), "0101-web");
    assert_eq!(stem("0101-cobweb", "web"), "0101-cobweb-web");
}

fn listed(text: Option<&str>) -> String {
    let task = TaskId::parse("0101-web").unwrap();
    let fields = Fields {
        task: &task,
        slug: "web",
        title: "W",
        day: "2026-11-22",
        path: "p/web",
        stem: "0101-web",
    };
    index::with(text, &fields, "tasks/0101-web.md").unwrap()
}

#[test]
fn an_entry_comes_to_the_list_and_all_else_stays() {
    let pretty = "{\n  \"z\": 1.50,\n  \"items\": [\n    {\n      \"id\": \"a\"\n    }\n  ],\n  \"specs\": [ ]\n}\n";
    let grown = listed(Some(pretty));
    let (head, tail) = (
        "{\n  \"z\": 1.50,\n  \"items\": [\n    {\n      \"id\": \"a\"\n    },\n    {\n      \"id\": \"0101-web\",",
        "\n    }\n  ],\n  \"specs\": [ ]\n}\n",
    );
    assert!(grown.starts_with(head) && grown.ends_with(tail), "{grown}");
    let tabbed = listed(Some(&pretty.replace("  ", "\t").replace('\n', "\r\n")));
    assert!(tabbed.contains("\t\t},\r\n\t\t{\r\n"), "{tabbed:?}");
    for text in [
        r#"{"items":[{"id":"a"}],"specs":[]}"#,
        r#"{"items":[],"specs":[]}"#,
        "{\"specs\": []}",
        "{}",
        "{ \"items\": [ ] }",
    ] {
        let grown = listed(Some(text));
        let entries = task_index::parse(grown.as_bytes()).unwrap();
        assert_eq!(entries.last().unwrap().id.as_str(), "0101-web", "{grown}");
        let old: serde_json::Value = serde_json::from_str(text).unwrap();
        let mut new: serde_json::Value = serde_json::from_str(&grown).unwrap();
        let items = new["items"].as_array_mut().unwrap();
        items.pop();
        assert_eq!(items.len(), old["items"].as_array().map_or(0, Vec::len));
    }
    assert!(listed(None).ends_with("\"specs\": []\n}\n"));
}

/// The lines of `old` that are no longer there in their order.
fn lost<'a>(old: &'a str, new: &str) -> Vec<&'a str> {
    let mut left = new.lines();
    let mut lost = Vec::new();
    for line in old.lines() {
        let rest = left.clone();
        if left.by_ref().all(|found| found != line) {
            lost.push(line);
            left = rest;
        }
    }
    lost
}

/// A part of a file: which kind, whether a blank line stands before it, and what its comments say.
type Part = (usize, bool, String);

fn written(parts: &[Part]) -> String {
    let mut text = String::new();
    for (at, (kind, gap, comment)) in parts.iter().enumerate() {
        let gap = if *gap { "\n" } else { "" };
        let part = match kind {
            0 => format!(
                "{comment}\n{gap}[[project]]   {comment}\n  task = \"t-{at}\"\npath = \"d{at}\" {comment}\n\
                 pipeline = 'base'\n{comment}\n"
            ),
            1 => format!(
                "{gap}{comment}\n[[pipeline]]\nid = 'i-{at}'\n[[pipeline.stage]]\nid=\"s\"\n{comment}\n\
                 command = \"\"\"\ntrue\"\"\"\n"
            ),
            2 => format!("{gap}{comment}\n"),
            _ => format!(
                "[[pipeline]] {comment}\nid = \"j-{at}\"\nstage = [ {{ id = \"s\", command = [ \"x\" ] }}, {comment}\n]\n"
            ),
        };
        text.push_str(&part);
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn comments_and_order_stay_and_twice_is_once(
        parts in proptest::collection::vec((0..4_usize, any::<bool>(), "# [a-z\\[\\] \"=]{0,12}"), 0..6),
        base in 0..7_usize,
        has_head in any::<bool>(),
        dos in any::<bool>(),
    ) {
        let head = "# head\n\n[workspace] # w\nsettle_ms = 5\n# in\nignore = [\"a\", # b\n]\n";
        let head = if has_head { head } else { "" };
        let (before, after) = parts.split_at(base.min(parts.len()));
        let base = "[[pipeline]]\nid = 'base'\n[[pipeline.stage]]\nid = 's'\ncommand = 'true'\n# last\n";
        let after = written(after).replace("-", "-z").replace("= \"d", "= \"e");
        let mut text = format!("{head}{}{base}{after}", written(before));
        if dos {
            text = text.replace('\n', "\r\n");
        }
        let place = Place::new(&[NPM]);
        place.write("orchd.toml", &text);
        let before = configuration::load(&place.root(), None).ok();
        let (rewrite, _) = place.plan("p/web", "0101-new", "new").unwrap();
        rewrite.carry_out(&place.root()).unwrap();
        let after = place.text("orchd.toml");
        // The list of what is ignored may become longer in its line.
        let gone: Vec<_> = lost(&text, &after).into_iter().filter(|line| !line.contains("ignore")).collect();
        prop_assert_eq!(gone, Vec::<&str>::new(), "{}\n---\n{}", text, after);
        let config = place.config();
        let before = before.map(|loaded| loaded.config.projects).unwrap_or_default();
        for project in before.iter().filter(|project| text.contains(project.task.as_str())) {
            prop_assert!(config.projects.contains(project));
        }
        let (again, onboarded) = place.plan("p/web", "0101-new", "new").unwrap();
        prop_assert!(again.is_empty(), "{:?}", onboarded);
        prop_assert_eq!(onboarded.files, Vec::<String>::new());
    }
}

#[test]
fn the_result_has_no_finding_about_projects() {
    let place = Place::new(&[NPM, CARGO]);
    place.add("p/web", "0101-web", "web");
    place.add("p/core", "0102", "core");
    let known = projects::read(&place.root(), None).unwrap();
    assert_eq!(projects::judge(&known), []);
    assert!(Path::new(&place.dir.path().join("docs/PRD-0102-core.md")).is_file());
}
