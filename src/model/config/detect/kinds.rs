//! The kinds of project that are recognised, and the commands of each.
//!
//! A file that is broken or offers nothing still counts as found, with no commands, so that it can be said. Texts
//! are read only for names (scripts, tables, targets); nothing of them becomes part of a command.

use super::{Kind, Listing};
use serde_json::Value;

/// The kinds that a listing holds, in the order in which they claim stage ids.
pub(super) fn found(listing: &Listing) -> Vec<Kind> {
    let look = [package_json, cargo, pyproject, go, makefile, spec_guard];
    let mut found: Vec<Kind> = look.iter().filter_map(|look| look(listing)).collect();
    // A guard is no reason to run where there is nothing to guard.
    if found.iter().any(|kind| !kind.commands.is_empty()) {
        found.extend(own_spec_guard(listing));
    }
    found
}

fn package_json(listing: &Listing) -> Option<Kind> {
    if !listing.has("package.json") {
        return None;
    }
    let read = listing.text("package.json");
    let text = read.unwrap_or_default().trim_start_matches('\u{feff}');
    let parsed = serde_json::from_str::<Value>(text);
    let (package, fault) = parted(parsed, read, ToString::to_string);
    let manager = package_manager(listing, &package);
    let script = |name: &str| package.get("scripts").and_then(|scripts| scripts.get(name));
    let is_real = |name: &&str| {
        let line = script(name).and_then(Value::as_str).unwrap_or_default();
        // `npm init` writes a test script that always fails.
        !line.trim().is_empty() && !line.contains("no test specified")
    };
    let stages: [(&str, &[&str]); 4] = [
        ("build", &["build"]),
        ("lint", &["lint"]),
        (
            "typecheck",
            &["typecheck", "type-check", "check-types", "tsc"],
        ),
        ("test", &["test"]),
    ];
    let commands = stages.iter().filter_map(|(id, names)| {
        let name = names.iter().find(|name| is_real(name))?;
        Some((*id, format!("{manager} run {name}")))
    });
    Some(Kind {
        file: "package.json",
        tool: manager,
        commands: commands.collect(),
        // A mention is enough: nyc stands among the dependencies, in a script, or under a key of its own.
        outputs: if text.contains("nyc") {
            &["/dist/", "/coverage/", "/.nyc_output/"]
        } else {
            &["/dist/", "/coverage/"]
        },
        ignore: &["node_modules/"],
        fallback: false,
        fault,
    })
}

/// What a text says, and why it says nothing; a file that could not be read is no broken one.
fn parted<T: Default, E>(
    parsed: Result<T, E>,
    read: Option<&str>,
    said: impl FnOnce(&E) -> String,
) -> (T, Option<String>) {
    match parsed {
        Ok(value) => (value, None),
        Err(error) => (T::default(), read.map(|_| said(&error))),
    }
}

/// The lockfile tells who installs; without one, `packageManager` does.
fn package_manager(listing: &Listing, package: &Value) -> &'static str {
    let lockfiles = [
        ("pnpm-lock.yaml", "pnpm"),
        ("yarn.lock", "yarn"),
        ("bun.lock", "bun"),
        ("bun.lockb", "bun"),
        ("package-lock.json", "npm"),
        ("npm-shrinkwrap.json", "npm"),
    ];
    if let Some((_, manager)) = lockfiles.iter().find(|(file, _)| listing.has(file)) {
        return manager;
    }
    let declared = package.get("packageManager").and_then(Value::as_str);
    let declared = declared.and_then(|text| text.split('@').next());
    let managers = ["pnpm", "yarn", "bun"];
    let manager = managers.iter().find(|manager| declared == Some(**manager));
    manager.copied().unwrap_or("npm")
}

fn cargo(listing: &Listing) -> Option<Kind> {
    let commands = [
        ("build", "cargo check --all-targets"),
        ("lint", "cargo clippy --all-targets"),
        ("test", "cargo test"),
    ];
    listing.has("Cargo.toml").then(|| Kind {
        file: "Cargo.toml",
        tool: "cargo",
        commands: owned(&commands),
        outputs: &["/target/"],
        ignore: &["/target/"],
        ..Kind::default()
    })
}

fn pyproject(listing: &Listing) -> Option<Kind> {
    if !listing.has("pyproject.toml") {
        return None;
    }
    let read = listing.text("pyproject.toml");
    let text = read.unwrap_or_default();
    let (project, fault) = parted(text.parse::<toml::Table>(), read, |error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map_or(1, |before| before.split('\n').count());
        format!("{} in line {line}", error.message())
    });
    let tools = project.get("tool").and_then(toml::Value::as_table);
    let has_tool = |name: &str| tools.is_some_and(|tools| tools.contains_key(name));
    let managers = [
        ("uv.lock", "uv"),
        ("poetry.lock", "poetry"),
        ("pdm.lock", "pdm"),
    ];
    let manager = managers.iter().find(|(file, _)| listing.has(file));
    let (tool, prefix) = match manager {
        Some((_, manager)) => (*manager, format!("{manager} run ")),
        None => ("python", String::new()),
    };
    let mut commands = Vec::new();
    if has_tool("ruff") || listing.has("ruff.toml") {
        commands.push(("lint", format!("{prefix}ruff check .")));
    }
    if has_tool("mypy") || listing.has("mypy.ini") {
        commands.push(("typecheck", format!("{prefix}mypy .")));
    } else if has_tool("pyright") || listing.has("pyrightconfig.json") {
        commands.push(("typecheck", format!("{prefix}pyright")));
    }
    // A mention is enough: pytest stands in many places, from `dependency-groups` to `optional-dependencies`.
    let has_pytest = text.contains("pytest") || listing.has("pytest.ini");
    if has_pytest {
        commands.push(("test", format!("{prefix}pytest")));
    } else if listing.has("tests") {
        let program = if prefix.is_empty() {
            "python3"
        } else {
            "python"
        };
        commands.push(("test", format!("{prefix}{program} -m unittest discover")));
    }
    Some(Kind {
        file: "pyproject.toml",
        tool,
        commands,
        outputs: &[
            "__pycache__/",
            ".pytest_cache/",
            ".mypy_cache/",
            ".ruff_cache/",
        ],
        ignore: &["__pycache__/", ".venv/"],
        fallback: false,
        fault,
    })
}

fn go(listing: &Listing) -> Option<Kind> {
    let commands = [
        ("build", "go build ./..."),
        ("lint", "go vet ./..."),
        ("test", "go test ./..."),
    ];
    listing.has("go.mod").then(|| Kind {
        file: "go.mod",
        tool: "go",
        commands: owned(&commands),
        ..Kind::default()
    })
}

fn makefile(listing: &Listing) -> Option<Kind> {
    // GNU make takes `makefile` first.
    let file = ["makefile", "Makefile"];
    let file = *file.iter().find(|file| listing.has(file))?;
    let text = listing.text(file).unwrap_or_default();
    let has = |target: &&&str| text.lines().any(|line| is_rule_of(line, target));
    let stages: [(&str, &[&str]); 4] = [
        ("build", &["build"]),
        ("lint", &["lint"]),
        ("typecheck", &["typecheck"]),
        ("test", &["test", "check"]),
    ];
    let commands = stages.iter().filter_map(|(id, targets)| {
        let target = targets.iter().find(has)?;
        Some((*id, format!("make {target}")))
    });
    Some(Kind {
        file,
        tool: "make",
        commands: commands.collect(),
        fallback: true,
        ..Kind::default()
    })
}

/// Whether a line of a Makefile is a rule whose targets include `target`; `a := b` is no rule.
fn is_rule_of(line: &str, target: &str) -> bool {
    if line.starts_with(['\t', '#', ' ']) {
        return false;
    }
    let Some((targets, rest)) = line.split_once(':') else {
        return false;
    };
    let is_assignment = rest.trim_start_matches(':').starts_with('=');
    !is_assignment && targets.split_whitespace().any(|name| name == target)
}

fn spec_guard(listing: &Listing) -> Option<Kind> {
    let file = "scripts/spec-guard.sh";
    let commands = [("spec-guard", "bash scripts/spec-guard.sh --dry-run")];
    listing.has(file).then(|| Kind {
        file,
        tool: "bash",
        commands: owned(&commands),
        ..Kind::default()
    })
}

/// Our own guard, where a project keeps specs or tasks as the family does and has no script of its own. Where it keeps none,
/// every change would be one without a spec.
fn own_spec_guard(listing: &Listing) -> Option<Kind> {
    if listing.has("scripts/spec-guard.sh") {
        return None;
    }
    let file = ["tasks/specs", "tasks/index.json"];
    let file = *file.iter().find(|file| listing.has(file))?;
    Some(Kind {
        file,
        tool: "orchctl",
        commands: owned(&[("spec-guard", "orchctl spec-guard --dry-run")]),
        ..Kind::default()
    })
}

fn owned(commands: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    let own = |(id, command): &(&'static str, &str)| (*id, (*command).to_owned());
    commands.iter().map(own).collect()
}
