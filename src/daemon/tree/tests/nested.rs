//! Repositories below a project, such as clones and submodules: what they track is its content, too.
//!
//! Made by git itself; they are there from the beginning, come later, move in and out.

use super::*;

/// A repository in a directory, that tracks one of two files which are ignored.
fn clone_at(top: &Path) {
    write(&top.join("a.log"), "1");
    write(&top.join("b.log"), "1");
    run(top, "git", &["init", "-q", "."]);
    run(top, "git", &["add", "-f", "a.log"]);
}

/// Whether anything was told since the last look, and what a look finds then.
fn told(it: &mut Fixture) -> Option<Vec<String>> {
    it.tree.eye.sync(TIMEOUT).unwrap();
    let is_told = !it.watcher.ready().is_empty();
    is_told.then(|| paths(&it.tree.examine().unwrap()))
}

/// `git add -f` and `git rm --cached` in a repository of the workspace are changes by themselves.
fn is_seen(it: &mut Fixture, below: &str) {
    it.touched();
    let file = vec![format!("{below}/b.log")];
    run(&it.path(below), "git", &["add", "-f", "b.log"]);
    assert_eq!(told(it), Some(file.clone()));
    run(&it.path(below), "git", &["rm", "-qf", "--cached", "b.log"]);
    assert_eq!(told(it), Some(file));
    assert_eq!(told(it), None);
}

fn outer(more: impl FnOnce(&Path)) -> Fixture {
    Fixture::with(&plain(), |root| {
        run(root, "git", &["init", "-q", "."]);
        write(&root.join(".gitignore"), "*.log\nvendor/\n");
        more(root);
    })
}

#[test]
fn what_a_repository_below_a_project_tracks_is_shown_though_it_is_ignored() {
    let mut it = outer(|root| {
        clone_at(&root.join("deep/lib"));
        // A submodule has its git directory elsewhere.
        let part = root.join("part");
        clone_at(&part);
        run(
            &part,
            "git",
            &["init", "-q", "--separate-git-dir", "../.git/part"],
        );
        // And what is ignored as a whole is nobody's content.
        clone_at(&root.join("vendor/lib"));
    });
    let shown = [".gitignore", "deep/lib/a.log", "part/a.log"];
    assert_eq!(files(&it.tree), set(&shown));
    is_seen(&mut it, "deep/lib");
    is_seen(&mut it, "part");
    it.write("part/a.log", "2");
    assert_eq!(paths(&it.touched()), ["part/a.log"]);
}

#[test]
fn a_repository_below_a_project_may_come_and_go() {
    let mut it = outer(|root| {
        write(&root.join("lib/f"), "1");
        write(&root.join("lib/b.log"), "1");
        clone_at(&root.parent().unwrap().join("other"));
    });
    it.touched();
    run(&it.path("lib"), "git", &["init", "-q", "."]);
    it.touched();
    is_seen(&mut it, "lib");
    run(&it.path("lib"), "git", &["add", "-f", "b.log"]);
    assert_eq!(paths(&it.touched()), ["lib/b.log"]);
    fs::rename(it.path("lib/.git"), it.path("lib/kept")).unwrap();
    assert!(paths(&it.touched()).contains(&"lib/b.log".to_owned()));
    assert!(!files(&it.tree).contains("lib/b.log"));
    fs::rename(it.path("lib/kept"), it.path("lib/.git")).unwrap();
    assert!(paths(&it.touched()).contains(&"lib/b.log".to_owned()));
    let other = it.above.path().join("other");
    for name in ["x", "y"] {
        fs::rename(&other, it.path(name)).unwrap();
        assert_eq!(paths(&it.touched()), [format!("{name}/a.log")]);
        is_seen(&mut it, name);
        fs::rename(it.path(name), &other).unwrap();
        assert_eq!(paths(&it.touched()), [format!("{name}/a.log")]);
    }
}

#[test]
fn of_a_repository_that_is_hidden_only_what_is_declared_counts() {
    let config = config(
        vec![
            project("0101", ".", "all"),
            project("in", "vendor/in", "ts"),
        ],
        vec![
            pipeline("all", vec![stage("all", None, &[])]),
            pipeline("ts", vec![stage("ts", Some(&["*.ts"]), &[])]),
        ],
    );
    let it = Fixture::with(&config, |root| {
        run(root, "git", &["init", "-q", "."]);
        write(&root.join(".gitignore"), "vendor/\n");
        let inner = root.join("vendor/in");
        for file in ["a.ts", "b.c", "deep/c.ts"] {
            write(&inner.join(file), "1");
        }
        run(&inner, "git", &["init", "-q", "."]);
        run(&inner, "git", &["add", "."]);
    });
    let known = [".gitignore", "vendor/in/a.ts", "vendor/in/deep/c.ts"];
    assert_eq!(files(&it.tree), set(&known));
    let vendor = it.tree.snapshot.find(b"vendor/in").unwrap();
    assert!(it.tree.snapshot.dir(vendor).is_aside(b"a.ts"));
}
