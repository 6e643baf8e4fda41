//! Both rules with real git: what changed is seen wherever and however it changed, and what is not known is refused.
//!
//! Each test has a repository of its own.

#![expect(
    clippy::disallowed_methods,
    reason = "a test writes files in a directory of its own"
)]

use super::*;
use crate::git::Git;
use crate::model::path::RootPath;
use std::path::Path;

/// A repository whose first commit holds an `orchd.toml`.
struct Space {
    dir: tempfile::TempDir,
}

const PIPELINE: &str =
    "[[pipeline]]\nid = 'diagnostics'\n[[pipeline.stage]]\nid = 'a'\ncommand = 'x'\n";
const PROJECTS: &str = "[[project]]\ntask = 'root'\n[[project]]\ntask = 'web'\npath = 'apps/web'\n[[project]]\ntask = 'api'\npath = 'apps/api'\n";

impl Space {
    fn bare(toml: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let space = Self { dir };
        space.write("orchd.toml", toml);
        space
    }

    fn new(toml: &str) -> Self {
        let space = Self::bare(toml);
        space.git(&["init", "-q", "-b", "main"]);
        space.commit("first");
        space
    }

    fn path(&self) -> std::path::PathBuf {
        self.dir.path().canonicalize().unwrap()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn git(&self, arguments: &[&str]) {
        let mut all = vec![
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@example.org",
            "-c",
            "commit.gpgsign=false",
        ];
        all.extend(arguments);
        Git::at(&self.path()).ask(&all).unwrap();
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
    }

    fn look_at(&self, below: &str, base: Option<&str>) -> Result<Vec<String>, SpecGuardError> {
        let root = RootPath::new(&self.path().join(below)).unwrap();
        let shelf = Shelf::open(&root, None).unwrap();
        let guarded = look(&shelf, base, Day::parse("2026-11-23").unwrap())?;
        let each = guarded.findings.into_iter();
        Ok(each.map(|it| it.message).collect())
    }

    fn said(&self) -> Vec<String> {
        self.look_at("", None).unwrap()
    }
}

fn uncovered(paths: &str) -> String {
    format!("code changed ({paths}), but neither tasks/specs/ nor tasks/index.json did")
}

#[test]
fn code_is_seen_however_it_changed() {
    let space = Space::new(PIPELINE);
    space.git(&["tag", "v1"]);
    assert_eq!(space.said(), [""; 0]);
    space.write("src/a.rs", "1");
    assert_eq!(space.said(), [uncovered("src/a.rs")], "untracked");
    space.git(&["add", "-A"]);
    assert_eq!(space.said(), [uncovered("src/a.rs")], "staged");
    space.commit("a");
    assert_eq!(space.said(), [uncovered("src/a.rs")], "committed");
    space.git(&["tag", "v2"]);
    space.commit("nothing");
    assert_eq!(space.said(), [""; 0], "the last commit is empty");
    space.write("src/a.rs", "2");
    assert_eq!(space.said(), [uncovered("src/a.rs")], "edited");
    std::fs::remove_file(space.path().join("src/a.rs")).unwrap();
    assert_eq!(space.said(), [uncovered("src/a.rs")], "removed");
    for (at, covers) in ["tasks/specs/one.md", "tasks/index.json"]
        .into_iter()
        .enumerate()
    {
        space.write(covers, "last_review: 2026-11-20\n");
        assert_eq!(space.said(), [""; 0], "{covers} covers it");
        if at == 0 {
            std::fs::remove_file(space.path().join(covers)).unwrap();
        }
    }
    space.commit("spec");
    space.git(&["tag", "v3"]);
    space.write("src/a.rs", "3");
    std::fs::remove_file(space.path().join("tasks/index.json")).unwrap();
    assert_eq!(
        space.said(),
        [uncovered("src/a.rs")],
        "a deleted spec covers nothing"
    );
}

#[test]
fn a_repository_of_one_commit_or_none_is_looked_at() {
    let space = Space::bare(PIPELINE);
    space.git(&["init", "-q", "-b", "main"]);
    space.write("src/a.rs", "1");
    assert_eq!(space.said(), [uncovered("src/a.rs")], "no commit yet");
    space.commit("only");
    assert_eq!(space.said(), [uncovered("src/a.rs")], "one commit");
}

#[test]
fn the_base_is_where_the_branch_left_the_main_one_unless_it_is_named() {
    let space = Space::new(PIPELINE);
    space.git(&["checkout", "-q", "-b", "topic"]);
    space.write("src/a.rs", "1");
    space.commit("a");
    space.write("docs/x.md", "x");
    space.commit("b");
    assert_eq!(space.said(), [uncovered("src/a.rs")]);
    assert_eq!(space.look_at("", Some("HEAD~1")).unwrap(), [""; 0]);
    // What happened elsewhere since is not of this branch.
    space.git(&["checkout", "-q", "main"]);
    space.write("src/b.rs", "1");
    space.commit("elsewhere");
    space.git(&["checkout", "-q", "topic"]);
    assert_eq!(space.said(), [uncovered("src/a.rs")]);
    assert_eq!(
        space.look_at("", Some("main")).unwrap(),
        [uncovered("src/a.rs")]
    );
    let error = space.look_at("", Some("nothing")).unwrap_err();
    assert_eq!(error.to_string(), "`nothing` names no commit here");
    let error = space.look_at("", Some("--output=x")).unwrap_err();
    assert_eq!(error.to_string(), "`--output=x` names no commit here");
}

#[test]
fn packages_and_projects_are_looked_at_and_covered_by_their_own() {
    let space = Space::new(&[PROJECTS, PIPELINE].concat());
    space.git(&["tag", "v1"]);
    space.write("packages/x/src/a.rs", "1");
    space.write("packages/readme.md", "1");
    assert_eq!(space.said(), [uncovered("packages/x/src/a.rs")]);
    space.write("apps/web/src/a.rs", "1");
    space.write("apps/api/src/a.rs", "1");
    assert_eq!(space.said().len(), 3, "one for each project");
    space.write("apps/web/tasks/specs/web.md", "last_review: 2026-11-20\n");
    let mut left = space.said();
    left.sort();
    assert_eq!(
        left,
        [
            uncovered("apps/api/src/a.rs"),
            uncovered("packages/x/src/a.rs")
        ]
    );
    space.write("tasks/index.json", "{}");
    assert_eq!(space.said(), [""; 0], "the workspace's own covers all");
}

#[test]
fn a_workspace_below_the_top_of_its_repository_is_looked_at() {
    let space = Space::bare("");
    space.git(&["init", "-q", "-b", "main"]);
    space.write("in/orchd.toml", PIPELINE);
    space.commit("first");
    space.git(&["tag", "v1"]);
    space.write("in/src/a b.rs", "1");
    space.write("src/outside.rs", "1");
    assert_eq!(
        space.look_at("in", None).unwrap(),
        [uncovered("src/a b.rs")]
    );
}

#[test]
fn what_is_code_and_what_is_a_spec_can_be_said() {
    let settings = "[workspace.spec_guard]\ncode = ['/lib/**', '!*.md']\nspecs = ['/specs/**']\nmax_age = '10d'\n";
    let space = Space::new(&[settings, PIPELINE].concat());
    space.git(&["tag", "v1"]);
    space.write("src/a.rs", "1");
    space.write("lib/read.md", "1");
    assert_eq!(space.said(), [""; 0]);
    for name in ["a", "b", "c", "d", "e"] {
        space.write(&format!("lib/{name}.rs"), "1");
    }
    assert_eq!(
        space.said(),
        ["code changed (lib/a.rs, lib/b.rs, lib/c.rs and 2 more), but specs/ did not"]
    );
    space.write("specs/deep/a.md", "last_review: 2026-11-12\n");
    assert_eq!(
        space.said(),
        ["specs/deep/a.md was last reviewed 11 days ago (at most 10)"]
    );
    space.write(
        "orchd.toml",
        &[&settings.replace("10d", "off"), PIPELINE].concat(),
    );
    assert_eq!(space.said(), [""; 0]);
}

#[test]
fn a_spec_says_when_it_was_last_reviewed_and_that_is_not_long_ago() {
    let space = Space::new(PIPELINE);
    let cases = [
        ("last_review: 2026-10-24\n", ""),
        ("---\r\nlast_review: \"2026-11-23\"\r\n---\r\n", ""),
        ("last_review: 2026-11-24\n", ""),
        (
            "last_review: 2026-10-23",
            "tasks/specs/a.md was last reviewed 31 days ago (at most 30)",
        ),
        (
            "last_review: 2026-11-25\n",
            "tasks/specs/a.md: the review lies in the future, `last_review: 2026-11-25`",
        ),
        (
            "last_review: 2026-02-30\n",
            "tasks/specs/a.md: no such day, `last_review: 2026-02-30`",
        ),
        (
            " last_review: 2026-11-23\n",
            "tasks/specs/a.md has no line `last_review: YYYY-MM-DD`",
        ),
        (
            "last_review: soon\n",
            "tasks/specs/a.md has no line `last_review: YYYY-MM-DD`",
        ),
        ("", "tasks/specs/a.md has no line `last_review: YYYY-MM-DD`"),
    ];
    for (text, expected) in cases {
        space.write("tasks/specs/a.md", text);
        assert_eq!(space.said().concat(), expected, "{text:?}");
    }
    space.commit("spec");
    std::fs::remove_file(space.path().join("tasks/specs/a.md")).unwrap();
    assert_eq!(space.said(), [""; 0], "a spec that was removed is no spec");
}

#[test]
fn without_git_nothing_is_said_to_be_fine() {
    let space = Space::bare(PIPELINE);
    assert!(!Path::new(&space.path()).join(".git").exists());
    let error = space.look_at("", None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "without git nobody can tell what changed"
    );
}
