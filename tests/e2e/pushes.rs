//! `gate --commit -`: of everything that is pushed the verdict is told, whatever else is pushed with it.

use crate::revisions::{counter, repository};
use crate::support::{Done, Running, Workspace, World, lines};
use serde_json::json;

/// A gate that hears this on stdin.
fn pushed(workspace: &Workspace<'_>, said: impl AsRef<[u8]>, more: &[&str]) -> Done {
    workspace.write("../pushed", said);
    let mut gate = workspace.orchctl(&["gate", "--commit", "-"]);
    gate.args(more);
    gate.stdin(std::fs::File::open(workspace.world.path("pushed")).unwrap());
    Running::of(gate).end()
}

/// What a name stands for in the repository.
fn oid(workspace: &Workspace<'_>, name: &str) -> String {
    let done = workspace.running(&format!("git rev-parse '{name}'")).end();
    done.out.trim().to_owned()
}

fn line(name: &str, oid: &str) -> String {
    format!("{name} {oid} refs/heads/x {}\n", "0".repeat(40))
}

/// A repository with a green commit `main`, a red one, one whose commands nobody allowed, one whose configuration is none.
fn several<'a>(world: &'a World) -> Workspace<'a> {
    let workspace = repository(world, "w");
    for (branch, edit) in [
        ("red", "echo bad > a.txt"),
        ("strange", "sed -i 's/good/better/' orchd.toml"),
        ("broken", "echo '[[' > orchd.toml"),
    ] {
        workspace.sh(&format!(
            "git checkout -q -b {branch} main; {edit}; git commit -qam {branch}"
        ));
    }
    workspace.sh("git checkout -q main");
    workspace
}

#[test]
fn what_cannot_be_judged_loses_no_verdict_of_what_can() {
    let world = World::empty();
    let workspace = several(&world);
    let [main, red, strange, broken] =
        ["main", "red", "strange", "broken"].map(|name| oid(&workspace, name));
    let nobody = "1".repeat(40);
    // In whatever order: what has failed counts before what is refused, and that before what is green.
    for (all, code) in [
        (vec![&red, &strange], 1),
        (vec![&strange, &red], 1),
        (vec![&main, &strange], 2),
        (vec![&broken, &nobody, &main], 2),
        (vec![&nobody, &red], 1),
        (vec![&main, &red, &main], 1),
    ] {
        let said: String = all.iter().map(|oid| line("x", oid)).collect();
        let words = pushed(&workspace, &said, &[]);
        assert_eq!(words.code, Some(code), "{words:?}");
        let json = pushed(&workspace, &said, &["--json"]);
        assert_eq!(json.code, Some(code), "{json:?}");
        for oid in all {
            let short = &oid[..7];
            if oid == &main || oid == &red {
                let verdict = if oid == &main { "pass" } else { "fail" };
                assert!(
                    words.out.contains(&format!(", commit {short}")),
                    "{words:?}"
                );
                let projects = json.json()["projects"].as_array().unwrap().clone();
                let own: Vec<_> = projects.iter().filter(|p| p["commit"] == **oid).collect();
                assert_eq!((own.len(), &own[0]["verdict"]), (1, &json!(verdict)));
            } else {
                assert!(words.err.contains(short), "{words:?}");
                let detail = json.json()["detail"].as_str().unwrap().to_owned();
                assert!(detail.contains(short), "{json:?}");
            }
        }
    }
    // A project that was asked for by name is told with the reason.
    let said = format!("{}{}", line("x", &strange), line("y", &main));
    let json = pushed(&workspace, &said, &["--json", "--task", "t"]).json();
    assert_eq!(json["verdict"], "unknown", "{json}");
    let first = json["projects"].as_array().unwrap().iter();
    let of_strange: Vec<_> = first.filter(|p| p["commit"] == *strange).collect();
    assert_eq!(of_strange[0]["verdict"], "unknown", "{json}");
    // Where nothing could be judged at all it is refused, as a single one is.
    let said = format!("{}{}", line("x", &strange), line("y", &nobody));
    let json = pushed(&workspace, &said, &["--json"]);
    assert_eq!(json.code, Some(2), "{json:?}");
    assert_eq!(json.json()["error"]["kind"], "untrusted", "{json:?}");
}

#[test]
fn what_is_pushed_and_is_no_commit_keeps_nothing_back_and_lets_nothing_through() {
    let world = World::empty();
    let workspace = several(&world);
    workspace.sh(
        "git tag -m x blob HEAD:a.txt; git tag tree HEAD^{tree}; git tag -m x good main; git tag -m x better good; git tag -m x bad red; \
        git init -q --bare ../there; git remote add there ../there",
    );
    workspace.done(&["hook", "install", "pre-push"]);
    workspace.sh("git push -q there blob tree good better main 'HEAD:refs/heads/new'");
    assert_eq!(lines(&counter(&world)), 1);
    // What was typed for it may have blanks.
    workspace
        .sh("git push -q there 'HEAD@{0 seconds ago}:refs/heads/typed' ':/fir:refs/heads/found'");
    for all in ["blob bad", "bad good", "tree main red", ":new red"] {
        let done = workspace.running(&format!("git push there {all}")).end();
        assert_eq!(done.code, Some(1), "{all}: {done:?}");
        assert!(
            done.out.contains("fail") || done.err.contains("fail"),
            "{all}: {done:?}"
        );
    }
    workspace.sh("git push -q there :new :refs/tags/blob");
    let nothing = pushed(
        &workspace,
        line("refs/tags/blob", &oid(&workspace, "blob")),
        &[],
    );
    assert_eq!(nothing.code, Some(0), "{nothing:?}");
    assert!(
        nothing
            .err
            .contains("refs/tags/blob is no commit but a blob"),
        "{nothing:?}"
    );
    // By its name it was meant to be judged.
    let named = workspace.ctl(&["gate", "--commit", "blob"]);
    assert_eq!(named.code, Some(2), "{named:?}");
    assert!(
        named.err.contains("names no commit but a blob"),
        "{named:?}"
    );
    for garbage in [
        &b"what is this\n"[..],
        b"\xff\xff \xff",
        b"\n",
        b"x HEAD refs/heads/x HEAD\n",
    ] {
        let refused = pushed(&workspace, garbage, &[]);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(
            refused.err.contains("no line of git's pre-push hook"),
            "{refused:?}"
        );
    }
}
