//! Configurations on a real disk: what is read, and what is said of what cannot be.
//!
//! Every message is a snapshot, because a person reads it; the workspace's directory in it is `<root>`.

use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use tempfile::TempDir;

const OWN: &str =
    "[[pipeline]]\nid = 'diagnostics'\n[[pipeline.stage]]\nid = 'own'\ncommand = 'true'\n";

fn workspace(files: &[(&str, &[u8])]) -> (TempDir, RootPath) {
    let dir = TempDir::new().unwrap();
    for (name, bytes) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        crate::disk::durable::write(&path, bytes, 0o644).unwrap();
    }
    let root = RootPath::new(dir.path()).unwrap();
    (dir, root)
}

/// Makes a FIFO, which blocks whoever opens it without care.
#[expect(
    clippy::disallowed_methods,
    reason = "the system's own tool makes FIFOs everywhere"
)]
pub(crate) fn fifo(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}

fn said(root: &RootPath) -> String {
    let said = load(root, None).unwrap_err();
    let text = match std::error::Error::source(&said) {
        Some(source) => format!("{said}: {source}"),
        None => said.to_string(),
    };
    text.replace(&root.to_string(), "<root>")
}

#[test]
fn both_files_make_one_configuration() {
    let json = br#"{"pipelines": [{"id": "other", "stages": []}]}"#;
    let files: [(&str, &[u8]); 2] = [
        ("orchd.toml", OWN.as_bytes()),
        ("codex.orchestrator.json", json),
    ];
    let (_dir, root) = workspace(&files);
    let task = TaskId::parse("0042").unwrap();
    let loaded = load(&root, Some(&task)).unwrap();
    assert_eq!(loaded.config.pipelines.len(), 2);
    assert_eq!(loaded.config.projects[0].task, task);
    assert_eq!(loaded.command_set, loaded.config.command_set());
    assert_eq!(loaded.commands[0].of, "diagnostics/own");
    let depends: Vec<String> = loaded.depends_on.iter().map(RelPath::to_string).collect();
    assert_eq!(depends, ["orchd.toml", "codex.orchestrator.json"]);
}

#[test]
fn without_files_what_is_found_counts_and_is_looked_at_again() {
    let package = br#"{"scripts": {"lint": "eslint ."}}"#;
    let files: [(&str, &[u8]); 3] = [
        ("package.json", package),
        ("yarn.lock", b""),
        ("scripts/spec-guard.sh", b"true"),
    ];
    let (_dir, root) = workspace(&files);
    let loaded = load(&root, None).unwrap();
    let commands: Vec<&str> = loaded
        .commands
        .iter()
        .map(|text| text.runs.as_str())
        .collect();
    assert_eq!(
        commands,
        [
            "yarn run lint",
            "bash scripts/spec-guard.sh --dry-run",
            "lint, then spec-guard",
            "pipeline diagnostics"
        ]
    );
    let names: Vec<String> = loaded.depends_on.iter().map(RelPath::to_string).collect();
    assert!(names.contains(&"package.json".to_owned()), "{names:?}");
}

#[test]
fn an_unreadable_package_json_is_no_mistake_of_the_user() {
    let (_dir, root) = workspace(&[("package.json", b"\xff\xfe"), ("Cargo.toml", b"")]);
    let loaded = load(&root, None).unwrap();
    assert_eq!(loaded.config.pipelines[0].stages.len(), 3);
}

#[test]
fn what_cannot_be_read_is_told() {
    let (_dir, root) = workspace(&[("orchd.toml", b"# ok\nx = '\xff'\n")]);
    insta::assert_snapshot!(said(&root), @r#"`<root>/orchd.toml` is not UTF-8 from line 2, column 6 on: save it as UTF-8"#);
    let (_dir, root) = workspace(&[("codex.orchestrator.json/file", b"")]);
    insta::assert_snapshot!(said(&root), @r#"`<root>/codex.orchestrator.json` is a directory: it has to be a file"#);
    let large = vec![b'#'; usize::try_from(CONFIG_BYTES_MAX).unwrap() + 1];
    let (_dir, root) = workspace(&[("orchd.toml", &large)]);
    insta::assert_snapshot!(said(&root), @r#"`<root>/orchd.toml` has more than 4194304 bytes: that is no configuration"#);
    let (dir, root) = workspace(&[]);
    std::os::unix::fs::symlink("nowhere", dir.path().join("orchd.toml")).unwrap();
    insta::assert_snapshot!(said(&root), @r#"`<root>/orchd.toml` is a link to nothing: it has to be a file"#);
    let (dir, root) = workspace(&[]);
    fifo(&dir.path().join("orchd.toml"));
    insta::assert_snapshot!(said(&root), @r#"`<root>/orchd.toml` is a device, pipe or socket: it has to be a file"#);
}

#[test]
fn a_missing_workspace_and_a_file_in_its_place_are_told() {
    let (dir, root) = workspace(&[("file", b"")]);
    let file = RootPath::new(&dir.path().join("file")).unwrap();
    insta::assert_snapshot!(said(&file), @r#"failed to open the workspace `<root>`: Not a directory (os error 20)"#);
    drop(dir);
    insta::assert_snapshot!(said(&root), @r#"failed to open the workspace `<root>`: No such file or directory (os error 2)"#);
}

#[test]
fn a_file_without_permission_is_told() {
    // Root may read everything; `.ci/run` has this tested by somebody else, too.
    if rustix::process::geteuid().is_root() {
        // Nothing is forbidden to root.
        return;
    }
    let (dir, root) = workspace(&[("orchd.toml", OWN.as_bytes())]);
    let path = dir.path().join("orchd.toml");
    fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
    assert!(said(&root).contains("Permission denied"), "{}", said(&root));
}

#[test]
fn a_bad_configuration_names_the_workspace_and_every_mistake() {
    let (_dir, root) = workspace(&[("orchd.toml", b"colour = 1\nproject = 2\n")]);
    insta::assert_snapshot!(said(&root), @r#"
    the configuration of `<root>` is not valid
    orchd.toml:1:1: unknown key `colour` in the file
       |
     1 | colour = 1
       | ^^^^^^
      help: allowed: workspace, project, pipeline, template
    orchd.toml:2:11: `project` has to be an array of tables, `[[…]]`, not a whole number
       |
     2 | project = 2
       |           ^
    "#);
}

#[test]
fn a_link_to_a_configuration_is_followed() {
    let (dir, root) = workspace(&[("config/orchd.toml", OWN.as_bytes())]);
    std::os::unix::fs::symlink("config/orchd.toml", dir.path().join("orchd.toml")).unwrap();
    let loaded = load(&root, None).unwrap();
    assert_eq!(loaded.config.pipelines[0].stages[0].id.as_str(), "own");
}
