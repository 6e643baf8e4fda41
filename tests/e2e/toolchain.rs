//! What stages run with is a part of what is proven: another tool is other content, and the same one again is known.

use crate::support::{Workspace, World, pipeline};
use serde_json::{Value, json};
use std::path::Path;

/// Installs a program that prints its version, as an installation does it: by another file.
fn install(at: &Path, version: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let fresh = at.with_extension("new");
    std::fs::write(
        &fresh,
        format!("#!/usr/bin/awk -f\nBEGIN {{ print \"{version}\" }}\n"),
    )
    .unwrap();
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(fresh, at).unwrap();
}

fn gate(workspace: &Workspace<'_>) -> Value {
    let told = workspace.done(&["gate", "--json"]).json();
    json!([told["verdict"], told["projects"][0]["run_id"]])
}

fn stage(tool: &Path, more: &str) -> String {
    let line = format!(
        "command = 'true'\ntoolchain = [\"{} version\"]\n{more}",
        tool.display()
    );
    pipeline(&[("check", &line)])
}

#[test]
fn another_tool_is_other_content_and_the_same_one_again_is_proven() {
    let mut world = World::new();
    let tool = world.path("tool");
    install(&tool, "1.0");
    let first = {
        let toml = format!("[workspace]\non_start = false\n{}", stage(&tool, ""));
        let workspace = world.watched("w", &toml);
        let first = gate(&workspace);
        assert_eq!(first[0], "pass");
        assert_eq!(gate(&workspace), first);
        install(&tool, "1.0");
        assert_eq!(gate(&workspace), first, "it says the same");
        install(&tool, "1.1");
        let second = gate(&workspace);
        assert_ne!(second, first, "nothing is proven with it");
        assert_eq!(gate(&workspace), second);
        first
    };
    world.kill();
    install(&tool, "1.2");
    world.start();
    let told = world.directory("w").done(&["why", "--json"]).json();
    let why = &told["projects"][0]["stages"][0]["why"];
    assert_eq!(*why, json!(["toolchain"]), "{told}");
    world.kill();
    install(&tool, "1.0");
    world.start();
    let workspace = world.directory("w");
    assert_eq!(gate(&workspace), first, "a restart forgets nothing");
}

#[test]
fn no_tool_is_asked_before_somebody_has_allowed_it() {
    let world = World::new();
    let asked = world.path("asked");
    let tool = world.path("tool");
    install(&tool, "1.0");
    let workspace = world.watched("w", &stage(&tool, ""));
    gate(&workspace);
    let line = format!(
        "toolchain = [\"touch {}\"]\ncommand = 'true'",
        asked.display()
    );
    workspace.write("orchd.toml", pipeline(&[("check", &line)]));
    let refused = workspace.ctl(&["gate"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("touch"), "{refused:?}");
    assert!(!asked.exists());
    let shown = workspace.done(&["allow", workspace.root()]).out;
    assert!(
        shown.contains("touch") && shown.contains("its toolchain"),
        "{shown}"
    );
    assert_eq!(gate(&workspace)[0], "pass");
    assert!(asked.exists());
}
