//! Both files together: who wins, which pipeline a project gets, and what is said when there is none.
//!
//! Snapshots are what a person sees, word by word.

use super::*;
use crate::model::config::PipelineSource;
use std::path::Path;

impl Config {
    /// What a workspace at `/w` with this `orchd.toml` and nothing else is configured for.
    pub(crate) fn of_toml(text: &str) -> Result<Self, Problems> {
        let root = RootPath::new(Path::new("/w")).unwrap();
        let around = Surroundings {
            root: &root,
            listing: &Listing::default(),
            task: None,
        };
        let texts = Texts {
            toml: Some(text),
            codex: None,
        };
        Self::assemble(texts, &around)
    }
}

const OWN: &str =
    "[[pipeline]]\nid = 'diagnostics'\n[[pipeline.stage]]\nid = 'own'\ncommand = 'own'\n";
const JSON: &str = r#"{"defaultPipeline": "other", "pipelines": [
    {"id": "diagnostics", "stages": [{"kind": "command", "id": "theirs", "command": "theirs"}]},
    {"id": "other", "stages": [{"kind": "subpipeline", "id": "d", "pipeline": "diagnostics"}]}]}"#;

fn assemble(toml: Option<&str>, codex: Option<&str>, files: &[&str]) -> Result<Config, String> {
    let root = RootPath::new(Path::new("/w")).unwrap();
    let listing = Listing {
        files: files.iter().map(|file| (*file).to_owned()).collect(),
        ..Listing::default()
    };
    let task = TaskId::parse("0042-shop").unwrap();
    let around = Surroundings {
        root: &root,
        listing: &listing,
        task: Some(&task),
    };
    let texts = Texts { toml, codex };
    Config::assemble(texts, &around).map_err(|problems| problems.to_string())
}

fn pipelines(config: &Config) -> Vec<&str> {
    config
        .pipelines
        .iter()
        .map(|pipeline| pipeline.id.as_str())
        .collect()
}

#[test]
fn the_own_file_wins_and_refers_to_the_other() {
    let toml = format!("[[project]]\ntask = 'a'\npipeline = 'other'\n{OWN}");
    let config = assemble(Some(&toml), Some(JSON), &[]).unwrap();
    assert_eq!(pipelines(&config), ["diagnostics", "other"]);
    assert_eq!(config.pipelines[0].stages[0].id.as_str(), "own");
    assert_eq!(
        config.warnings,
        [
            "both `orchd.toml` and `codex.orchestrator.json` define the pipeline `diagnostics`: the first is used"
        ]
    );
}

#[test]
fn a_project_gets_the_nearest_default() {
    let pipeline_of = |toml: &str, codex: Option<&str>| {
        let config = assemble(Some(toml), codex, &["Cargo.toml"]).unwrap();
        config.projects[0].pipeline.to_string()
    };
    let project = "[[project]]\ntask = 'a'\n";
    assert_eq!(
        pipeline_of(&format!("{project}pipeline = 'diagnostics'\n"), Some(JSON)),
        "diagnostics"
    );
    let default = "[workspace]\ndefault_pipeline = 'diagnostics'\n";
    assert_eq!(
        pipeline_of(&format!("{default}{project}"), Some(JSON)),
        "diagnostics"
    );
    assert_eq!(pipeline_of(project, Some(JSON)), "other");
    assert_eq!(pipeline_of(project, None), "diagnostics");
}

#[test]
fn without_files_the_workspace_is_one_project_with_what_is_found() {
    let config = assemble(None, None, &["Cargo.toml"]).unwrap();
    let project = &config.projects[0];
    assert_eq!(
        (project.task.as_str(), project.path.is_root()),
        ("0042-shop", true)
    );
    assert_eq!(pipelines(&config), ["diagnostics"]);
    assert_eq!(config.pipelines[0].source, PipelineSource::Default);
    assert_eq!(config.settings.ignore, ["/target/"]);
    assert_eq!(config.warnings, [""; 0]);
    let declared = assemble(Some("[workspace]\nignore = []\n"), None, &["Cargo.toml"]).unwrap();
    assert_eq!(declared.settings.ignore, [""; 0]);
}

#[test]
fn what_is_found_runs_where_it_was_found() {
    let toml = "[[project]]\ntask = 'a'\npath = 'packages/a'\n";
    let config = assemble(Some(toml), None, &["Cargo.toml"]).unwrap();
    let build = config.pipelines[0].stages[0].command().unwrap();
    assert_eq!(build.cwd, Cwd::Workspace(RelPath::root()));
    assert_eq!(config.warnings.len(), 1, "{:?}", config.warnings);
}

#[test]
fn nothing_to_run_says_what_to_do() {
    insta::assert_snapshot!(assemble(None, None, &[]).unwrap_err(), @r#"
    there is nothing to run
      help: no file defines a pipeline, and neither package.json scripts (build, lint, typecheck, test), Cargo.toml, pyproject.toml, go.mod, a Makefile with such targets nor scripts/spec-guard.sh was found; write a [[pipeline]] into `orchd.toml`, or let `orchctl init` begin one
    "#);
    let toml = "[[project]]\ntask = 'a'\n[[pipeline]]\nid = 'ci'\n[[pipeline.stage]]\nid = 'x'\ncommand = 'x'\n";
    insta::assert_snapshot!(assemble(Some(toml), None, &[]).unwrap_err(), @r#"
    orchd.toml:2:8: project `a` names no pipeline, and none is called `diagnostics`
       |
     2 | task = 'a'
       |        ^^^
      help: name one: `default_pipeline` in [workspace] or `pipeline` in a [[project]] of `orchd.toml`, or `defaultPipeline` in `codex.orchestrator.json`; known: ci
    "#);
    let found = assemble(Some(toml), None, &["Cargo.toml"]).unwrap();
    assert_eq!(pipelines(&found), ["ci", "diagnostics"]);
    insta::assert_snapshot!(found.warnings.join("\n"), @r#"no file defines the pipeline `diagnostics`: it is made of what is found"#);
}

#[test]
fn published_pipelines_without_a_default_are_run_by_name() {
    let codex = r#"{"pipelines": [{"id": "ci", "stages": [{"kind": "command", "id": "x", "command": "x"}]}]}"#;
    let settings = "[workspace]\nsettle_ms = 5\n";
    for toml in [None, Some(settings)] {
        let config = assemble(toml, Some(codex), &[]).unwrap();
        assert_eq!(pipelines(&config), ["ci"]);
        assert!(config.has_unpiped(), "none of them is the default");
    }
    let found = assemble(None, Some(codex), &["Cargo.toml"]).unwrap();
    assert_eq!(pipelines(&found), ["ci", "diagnostics"]);
    assert!(!found.has_unpiped(), "what is found is run");
    let named = codex.replacen('{', r#"{"defaultPipeline": "no", "#, 1);
    assert!(
        assemble(None, Some(&named), &[]).is_err(),
        "a default that is not there"
    );
    let own = "[[project]]\ntask = 'a'\n";
    assert!(
        assemble(Some(own), Some(codex), &[]).is_err(),
        "orchd.toml can name one"
    );
    assert!(
        assemble(None, Some("{}"), &[]).is_err(),
        "nothing could be run"
    );
}

#[test]
fn mistakes_in_both_files_are_told_in_order() {
    let toml = format!("{OWN}colour = 1\n");
    let codex = r#"{"pipelines": [{"id": "x", "stages": 5}]}"#;
    insta::assert_snapshot!(assemble(Some(&toml), Some(codex), &[]).unwrap_err(), @r#"
    orchd.toml:6:1: unknown key `colour` in [[pipeline.stage]]
       |
     6 | colour = 1
       | ^^^^^^
      help: allowed: id, title, needs, command, inputs, outputs, toolchain, timeout, grace, retries, allow_failure, mutex, cwd, env, summary_hint, pipeline, optional
    codex.orchestrator.json:1:38: `stages` has to be an array, not a number
       |
     1 | {"pipelines": [{"id": "x", "stages": 5}]}
       |                                      ^
    "#);
}

#[test]
fn what_is_odd_is_a_warning() {
    let toml = format!(
        "[[project]]\ntask = 'Demo.1'\nrequired = ['onw', 'spec-guard']\n\
         [[project]]\ntask = 'b'\npath = 'packages/b'\n[[project]]\ntask = 'c'\npath = 'packages'\n{OWN}"
    );
    let config = assemble(Some(&toml), None, &[]).unwrap();
    insta::assert_snapshot!(config.warnings.join("\n"), @r#"
    older tools rewrite the task id `Demo.1`: use only a-z, 0-9, `-` and `_`
    project `Demo.1` requires `onw`, which no stage of `diagnostics` is called: did you mean `own`?
    "#);
    let inner = RelPath::parse("packages/b/src/x.ts").unwrap();
    assert_eq!(config.owner(&inner).unwrap().task.as_str(), "b");
}

#[test]
fn what_is_found_and_broken_is_not_taken_for_all_there_is() {
    let root = RootPath::new(Path::new("/w")).unwrap();
    let said = |files: &[&str]| {
        let listing = Listing {
            files: files.iter().map(|file| (*file).to_owned()).collect(),
            texts: [("package.json".to_owned(), "{\"scripts\":{\"te".to_owned())].into(),
        };
        let around = Surroundings {
            root: &root,
            listing: &listing,
            task: None,
        };
        Config::assemble(Texts::default(), &around).map_err(|problems| problems.to_string())
    };
    for files in [&["package.json"][..], &["package.json", "Cargo.toml"]] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(said(files).unwrap_err(), @r#"
            `package.json` cannot be parsed: EOF while parsing a string at line 1 column 15
              help: what it offers to run is not known; correct it, or write a [[pipeline]] into `orchd.toml`
            "#);
        }
    }
    let own = Texts {
        toml: Some(OWN),
        codex: None,
    };
    let listing = Listing {
        files: ["package.json".to_owned()].into(),
        texts: [("package.json".to_owned(), "{".to_owned())].into(),
    };
    let around = Surroundings {
        root: &root,
        listing: &listing,
        task: None,
    };
    assert!(Config::assemble(own, &around).is_ok(), "nobody asks for it");
}
