//! What each kind of project turns into.
//!
//! Ids and commands are compared as a whole: `allow` pins them, so that a change here asks every user again.

use super::*;

fn look(files: &[&str], texts: &[(&str, &str)]) -> Vec<(String, String)> {
    let listing = Listing {
        files: files.iter().map(|file| (*file).to_owned()).collect(),
        texts: texts
            .iter()
            .map(|(file, text)| ((*file).to_owned(), (*text).to_owned()))
            .collect(),
    };
    let stages = detect(&listing).pipeline.stages;
    let pair = |stage: &Stage| (stage.id.to_string(), stage.title.clone());
    stages.iter().map(pair).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(id, command): &(&str, &str)| ((*id).to_owned(), (*command).to_owned());
    expected.iter().map(own).collect()
}

#[test]
fn npm_scripts_run_with_the_lockfile_s_manager() {
    let package = r#"{"scripts": {"test": "jest", "lint": "eslint .", "build": "tsc", "type-check": "tsc", "deploy": "x"}}"#;
    let texts = [("package.json", package)];
    assert_eq!(
        look(&["package.json", "scripts/spec-guard.sh"], &texts),
        pairs(&[
            ("build", "npm run build"),
            ("lint", "npm run lint"),
            ("typecheck", "npm run type-check"),
            ("test", "npm run test"),
            ("spec-guard", "bash scripts/spec-guard.sh --dry-run"),
        ])
    );
    for (lockfile, first) in [
        ("pnpm-lock.yaml", "pnpm run build"),
        ("yarn.lock", "yarn run build"),
        ("bun.lockb", "bun run build"),
        ("package-lock.json", "npm run build"),
    ] {
        assert_eq!(look(&["package.json", lockfile], &texts)[0].1, first);
    }
    let declared = [(
        "package.json",
        r#"{"packageManager": "yarn@4.1.0", "scripts": {"lint": "x"}}"#,
    )];
    assert_eq!(look(&["package.json"], &declared)[0].1, "yarn run lint");
}

#[test]
fn specs_are_guarded_where_there_are_any_and_something_to_guard() {
    let texts = [("Makefile", "test:\n\ttrue\n")];
    let own = ("spec-guard", "orchctl spec-guard --dry-run");
    let test = ("test", "make test");
    assert_eq!(look(&["Makefile"], &texts), pairs(&[test]));
    for kept in ["tasks/specs", "tasks/index.json"] {
        assert_eq!(look(&["Makefile", kept], &texts), pairs(&[test, own]));
        assert_eq!(look(&[kept], &[]), pairs(&[]), "nothing to guard");
    }
    let script = ("spec-guard", "bash scripts/spec-guard.sh --dry-run");
    let files = ["Makefile", "tasks/specs", "scripts/spec-guard.sh"];
    assert_eq!(look(&files, &texts), pairs(&[test, script]));
}

#[test]
fn what_a_coverage_tool_leaves_triggers_nothing() {
    let usual = &["/dist/", "/coverage/"][..];
    let nyc = &["/dist/", "/coverage/", "/.nyc_output/"][..];
    for (text, outputs) in [
        (r#"{"scripts": {"test": "mocha"}}"#, usual),
        (r#"{"scripts": {"test": "c8 mocha"}}"#, usual),
        (r#"{"scripts": {"test": "nyc mocha"}}"#, nyc),
        (
            r#"{"scripts": {"test": "tap"}, "devDependencies": {"nyc": "^17"}}"#,
            nyc,
        ),
    ] {
        let listing = Listing {
            files: ["package.json".to_owned()].into(),
            texts: [("package.json".to_owned(), text.to_owned())].into(),
        };
        let stages = detect(&listing).pipeline.stages;
        assert_eq!(stages[0].command().unwrap().outputs, outputs, "{text}");
    }
}

#[test]
fn a_script_that_only_fails_and_a_broken_file_are_nothing_to_run() {
    let stub =
        r#"{"scripts": {"test": "echo \"Error: no test specified\" && exit 1", "lint": " "}}"#;
    for text in [stub, "{", "[]", "{\"scripts\": 5}", ""] {
        assert_eq!(
            look(&["package.json"], &[("package.json", text)]),
            pairs(&[]),
            "{text}"
        );
    }
}

#[test]
fn a_second_kind_gets_its_name_added() {
    let texts = [
        ("package.json", r#"{"scripts": {"test": "x"}}"#),
        ("Makefile", "test: a\nbuild:\n"),
    ];
    assert_eq!(
        look(&["package.json", "Cargo.toml", "Makefile"], &texts),
        pairs(&[
            ("build", "cargo check --all-targets"),
            ("lint", "cargo clippy --all-targets"),
            ("test", "npm run test"),
            ("test-cargo", "cargo test"),
        ])
    );
}

#[test]
fn python_runs_what_is_configured() {
    let text = "[tool.ruff]\n[tool.mypy]\n[dependency-groups]\ndev = ['pytest']\n";
    assert_eq!(
        look(&["pyproject.toml", "uv.lock"], &[("pyproject.toml", text)]),
        pairs(&[
            ("lint", "uv run ruff check ."),
            ("typecheck", "uv run mypy ."),
            ("test", "uv run pytest"),
        ])
    );
    assert_eq!(
        look(
            &["pyproject.toml", "tests"],
            &[("pyproject.toml", "not toml")]
        ),
        pairs(&[("test", "python3 -m unittest discover")])
    );
    assert_eq!(look(&["pyproject.toml"], &[]), pairs(&[]));
}

#[test]
fn go_and_make_are_known() {
    assert_eq!(
        look(&["go.mod"], &[]),
        pairs(&[
            ("build", "go build ./..."),
            ("lint", "go vet ./..."),
            ("test", "go test ./..."),
        ])
    );
    let text = ".PHONY: all\nbuild := x\nall lint : deps\n\ttest: no\n# test:\ncheck::\n\t@true\n";
    assert_eq!(
        look(&["Makefile"], &[("Makefile", text)]),
        pairs(&[("lint", "make lint"), ("test", "make check")])
    );
}

#[test]
fn what_was_found_is_told_even_without_stages() {
    let listing = Listing {
        files: ["package.json", "Cargo.toml"].map(str::to_owned).into(),
        ..Listing::default()
    };
    let detected = detect(&listing);
    let told: Vec<(&str, &str, usize)> = detected
        .findings
        .iter()
        .map(|finding| (finding.file, finding.tool.as_str(), finding.stages.len()))
        .collect();
    assert_eq!(
        told,
        [("package.json", "npm", 0), ("Cargo.toml", "cargo", 3)]
    );
    assert_eq!(detected.ignore, ["node_modules/", "/target/"]);
    assert_eq!(detect(&Listing::default()).pipeline.stages, []);
}

#[test]
fn a_file_that_cannot_be_parsed_is_told_with_the_place() {
    let of = |file: &str, text: &str| {
        let listing = Listing {
            files: [file.to_owned(), "Makefile".to_owned()].into(),
            texts: [(file.to_owned(), text.to_owned())].into(),
        };
        let detected = detect(&listing);
        detected
            .broken()
            .map(|(file, said)| format!("{file}: {said}"))
    };
    let said = |file, text| of(file, text).unwrap_or_default();
    assert_eq!(
        said("package.json", "{\"scripts\":{\"te"),
        "package.json: EOF while parsing a string at line 1 column 15"
    );
    assert!(said("package.json", "").contains("line 1"));
    let toml = said("pyproject.toml", "[project]\nname = 'x\n");
    assert!(
        toml.starts_with("pyproject.toml: ") && toml.ends_with("in line 2"),
        "{toml}"
    );
    assert_eq!(of("package.json", "\u{feff}{}"), None);
    assert_eq!(of("pyproject.toml", ""), None);
}

#[test]
fn a_makefile_says_what_others_offer_already() {
    let listing = Listing {
        files: ["package.json".to_owned(), "Makefile".to_owned()].into(),
        texts: [
            (
                "package.json".to_owned(),
                r#"{"scripts": {"test": "jest"}}"#.to_owned(),
            ),
            ("Makefile".to_owned(), "test:\n\tnpm test\n".to_owned()),
        ]
        .into(),
    };
    let findings = detect(&listing).findings;
    let told: Vec<_> = findings
        .iter()
        .map(|it| (it.file, it.left.as_slice()))
        .collect();
    assert_eq!(
        told,
        [("package.json", &[][..]), ("Makefile", &["test"][..])]
    );
}
