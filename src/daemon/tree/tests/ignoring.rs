//! What is ignored, against git itself.
//!
//! On generated trees and patterns; where git and the tree differ, git is right.

use super::*;
use crate::daemon::tree::rules::{Present, Rules};
#[cfg(target_os = "linux")]
use crate::daemon::tree::sheet::Form;
use crate::model::view::Explanation;

#[test]
fn ignored_directories_take_no_watch_whenever_they_appear() {
    let mut it = Fixture::with(&plain(), |root| {
        write(&root.join(".gitignore"), "node_modules/\n*.log\n");
        write(&root.join("node_modules/x/y"), "1");
        write(&root.join("src/f"), "1");
    });
    assert_eq!((it.tree.watches(), it.tree.files()), (2, 2));
    it.write("src/node_modules/x", "1");
    it.write("src/a.log", "1");
    it.write("node_modules/x/y", "2");
    assert_eq!(it.touched(), Touches::default());
    assert_eq!(it.tree.watches(), 2);
    it.write("src/new/node_modules/deep/x", "1");
    it.write("src/new/f", "1");
    assert_eq!(paths(&it.touched()), ["src/new/f"]);
    assert_eq!(it.tree.watches(), 3);
}

#[test]
fn an_edit_of_an_ignore_file_shows_and_hides() {
    let mut it = Fixture::with(&plain(), |root| {
        write(&root.join("sub/build/f"), "1");
        write(&root.join("sub/g"), "1");
    });
    it.true_view();
    it.write("sub/.gitignore", "build\n");
    assert_eq!(paths(&it.touched()), ["sub/.gitignore", "sub/build/f"]);
    assert_eq!(it.tree.watches(), 2);
    it.write("sub/build/f", "2");
    assert_eq!(it.touched(), Touches::default());
    it.write("sub/.gitignore", "g\n");
    let told = ["sub/.gitignore", "sub/build/f", "sub/g"];
    assert_eq!(paths(&it.touched()), told);
    it.write("sub/build/f", "3");
    assert_eq!(paths(&it.touched()), ["sub/build/f"]);
    fs::remove_file(it.path("sub/.gitignore")).unwrap();
    assert_eq!(paths(&it.touched()), ["sub/.gitignore", "sub/g"]);
    it.true_view();
    it.write(".ignore", "sub\n");
    it.touched();
    assert_eq!(files(&it.tree), set(&[".ignore"]));
}

#[test]
fn exclude_and_rules_above_the_root_count() {
    let above = TempDir::new().unwrap();
    let top = above.path().canonicalize().unwrap();
    run(&top, "git", &["init", "-q", "."]);
    write(&top.join(".gitignore"), "*.o\n/pkg/web/dist\n");
    let path = top.join("pkg/web");
    for file in ["f", "x.o", "dist/f", "secret"] {
        write(&path.join(file), "1");
    }
    let watcher = Watcher::start(&above.path().join(".git/c"), Arc::new(Notify::new())).unwrap();
    let root = RootPath::new(&path).unwrap();
    let eye = watcher.eye(WorkspaceId(1), &root);
    let scopes = Scopes::compile(&plain(), &root, &Places::default()).unwrap();
    let mut tree = Tree::open(root, eye, scopes).unwrap();
    tree.scan().unwrap();
    assert_eq!(files(&tree), set(&["f", "secret"]));
    write(&top.join(".git/info/exclude"), "secret\n");
    tree.examine().unwrap();
    assert_eq!(files(&tree), set(&["f"]));
    write(&top.join(".gitignore"), "/pkg/web/f\n");
    tree.examine().unwrap();
    assert_eq!(files(&tree), set(&["dist/f", "x.o"]));
}

#[test]
fn an_edit_of_exclude_is_an_event() {
    let mut it = Fixture::with(&plain(), |root| {
        run(root, "git", &["init", "-q", "."]);
        write(&root.join("f"), "1");
    });
    it.true_view();
    it.write(".git/info/exclude", "f\n");
    it.tree.eye.sync(TIMEOUT).unwrap();
    assert_eq!(it.watcher.ready(), [WorkspaceId(1)]);
    assert_eq!(paths(&it.tree.examine().unwrap()), ["f"]);
}

#[test]
fn an_edit_of_exclude_is_an_event_though_its_directory_was_made_or_moved_later() {
    let mut it = Fixture::with(&plain(), |root| {
        run(root, "git", &["init", "-q", "--template=", "."]);
        write(&root.join("f"), "1");
        write(&root.join("g"), "1");
    });
    it.view();
    let is_told = |it: &mut Fixture| {
        it.tree.eye.sync(TIMEOUT).unwrap();
        let is_told = !it.watcher.ready().is_empty();
        is_told.then(|| paths(&it.tree.examine().unwrap()))
    };
    fs::create_dir(it.path(".git/info")).unwrap();
    assert_eq!(is_told(&mut it), Some(Vec::new()));
    it.write(".git/info/exclude", "f\n");
    assert_eq!(is_told(&mut it), Some(vec!["f".to_owned()]));
    let (info, away) = (it.path(".git/info"), it.above.path().join("away"));
    fs::rename(&info, &away).unwrap();
    fs::rename(&away, &info).unwrap();
    assert_eq!(is_told(&mut it), Some(Vec::new()));
    it.write(".git/info/exclude", "g\n");
    let both = vec!["f".to_owned(), "g".to_owned()];
    assert_eq!(is_told(&mut it), Some(both));
}

#[test]
fn a_git_file_that_names_another_directory_brings_its_rules() {
    let mut it = Fixture::with(&plain(), |root| {
        for (git, hidden) in [("../one", "f\n"), ("../two", "g\n")] {
            run(root, "git", &["init", "-q", "."]);
            fs::rename(root.join(".git"), root.join(git)).unwrap();
            write(&root.join(git).join("info/exclude"), hidden);
        }
        write(&root.join(".git"), "gitdir: ../one\n");
        write(&root.join("f"), "1");
        write(&root.join("g"), "1");
    });
    assert_eq!(files(&it.tree), set(&["g"]));
    it.write(".git", "gitdir: ../two\n");
    it.touched();
    assert_eq!(files(&it.tree), set(&["f"]));
}

#[test]
fn the_setting_has_the_last_word_and_explain_names_the_rule() {
    let mut config = plain();
    config.settings.ignore = vec!["*.snap.new".to_owned(), "!keep.log".to_owned()];
    let mut it = Fixture::with(&config, |root| {
        write(&root.join(".gitignore"), "# logs\n*.log\n{a}\n");
        for file in ["keep.log", "other.log", "x.snap.new", "src/{a}", "src/a"] {
            write(&root.join(file), "1");
        }
    });
    assert_eq!(files(&it.tree), set(&[".gitignore", "keep.log", "src/a"]));
    it.touched();
    let explain = |it: &Fixture, path: &str| it.tree.explain(&RelPath::parse(path).unwrap());
    let ignored = |rule: &str, source: &str, line| Explanation::Ignored {
        rule: rule.to_owned(),
        source: source.to_owned(),
        line,
    };
    assert_eq!(
        explain(&it, "other.log"),
        ignored("*.log", ".gitignore", Some(2))
    );
    assert_eq!(
        explain(&it, "new/deep/x.log"),
        ignored("*.log", ".gitignore", Some(2))
    );
    assert_eq!(
        explain(&it, "src/{a}"),
        ignored("{a}", ".gitignore", Some(3))
    );
    let setting = "`ignore` of the workspace's configuration";
    assert_eq!(
        explain(&it, "x.snap.new"),
        ignored("*.snap.new", setting, None)
    );
    let evidence = ignored("out/0101", "built in: evidence", None);
    assert_eq!(explain(&it, "out/0101/state.json"), evidence);
    let Explanation::Triggers { projects } = explain(&it, "keep.log") else {
        panic!("keep.log triggers nothing");
    };
    assert_eq!(projects.len(), 1);
}

#[test]
fn a_pattern_that_is_none_is_named() {
    let mut config = plain();
    config.settings.ignore = vec!["ok".to_owned(), "z[b-a]".to_owned()];
    let root = RootPath::new(Path::new("/w")).unwrap();
    let refused = Scopes::compile(&config, &root, &Places::default()).unwrap_err();
    let cause = std::error::Error::source(&refused).unwrap().to_string();
    assert_eq!(cause, "`z[b-a]` is no gitignore pattern");
}

#[test]
fn rules_that_are_only_written_again_have_nothing_looked_at() {
    let user = TempDir::new().unwrap();
    let home = user.path().canonicalize().unwrap();
    let mut it = Fixture::at_home(&plain(), &home, |root| {
        run(root, "git", &["init", "-q", "."]);
        write(&home.join(".gitconfig"), "[core]\n\texcludesFile = ~/all\n");
        for sheet in [home.join("all"), root.join(".git/info/exclude")] {
            write(&sheet, "*.o\n");
        }
        for sheet in [".gitignore", ".ignore", "sub/.gitignore"] {
            write(&root.join(sheet), "*.log\n");
        }
        write(&root.join("sub/deep/f"), "1");
    });
    it.view();
    it.blind("sub/deep");
    it.write("sub/deep/f", "22");
    let exclude = it.path(".git/info/exclude");
    for sheet in [home.join(".gitconfig"), home.join("all"), exclude.clone()] {
        let text = fs::read_to_string(&sheet).unwrap();
        write(&sheet, &text);
        assert_eq!(it.touched(), Touches::default(), "{}", sheet.display());
    }
    for sheet in [".gitignore", ".ignore", "sub/.gitignore"] {
        it.write(sheet, "*.log\n");
        assert_eq!(it.touched(), Touches::default(), "{sheet}");
    }
    // What differs has everything looked at.
    write(&exclude, "*.a\n");
    assert_eq!(paths(&it.touched()), ["sub/deep/f"]);
}

#[cfg(target_os = "linux")]
#[test]
fn rules_that_cannot_be_read_for_the_moment_are_not_taken_for_none() {
    let dir = TempDir::new().unwrap();
    let read = |path: &Path| sheet::Sheet::read(path, Form::Git).map(|sheet| sheet.is_some());
    assert!(!read(&dir.path().join("none")).unwrap());
    assert!(!read(&dir.path().join("x".repeat(300))).unwrap());
    write(&dir.path().join("some"), "*.o\n");
    assert!(read(&dir.path().join("some")).unwrap());
    // A file of which the kernel says that reading it fails.
    read(Path::new("/proc/self/mem")).unwrap_err();
}

/// What a look says that could not read this for the moment.
#[cfg(target_os = "linux")]
pub(super) fn failure(path: &Path) -> String {
    let path = path.display();
    format!("failed to read `{path}`: Input/output error (os error 5)")
}

#[cfg(target_os = "linux")]
#[test]
fn rules_around_that_cannot_be_read_for_the_moment_fail_the_look() {
    let user = TempDir::new().unwrap();
    let home = user.path().canonicalize().unwrap();
    let mut it = Fixture::at_home(&plain(), &home, |root| {
        run(root, "git", &["init", "-q", "."]);
        write(&home.join(".gitconfig"), "[core]\n\texcludesFile = ~/all\n");
        write(&home.join("all"), "*.o\n");
        write(&root.join("f"), "1");
        write(&root.join("x.o"), "1");
    });
    it.view();
    for sheet in [home.join("all"), home.join(".gitconfig")] {
        let kept = home.join("kept");
        fs::rename(&sheet, &kept).unwrap();
        std::os::unix::fs::symlink("/proc/self/mem", &sheet).unwrap();
        it.write("f", &sheet.display().to_string());
        for _ in 0..2 {
            it.tree.eye.sync(TIMEOUT).unwrap();
            let failed = it.tree.examine().unwrap_err();
            assert_eq!(crate::daemon::chain::chain(&failed), failure(&sheet));
        }
        fs::rename(&kept, &sheet).unwrap();
        assert_eq!(paths(&it.touched()), ["f"]);
        assert_eq!(files(&it.tree), set(&["f"]));
    }
}

#[test]
fn rules_are_the_same_by_what_they_say() {
    let dir = tempfile::tempdir().unwrap();
    let present = Present {
        gitignore: true,
        ignore: false,
        git: false,
    };
    let read = |text: &str| {
        fs::write(dir.path().join(".gitignore"), text).unwrap();
        Rules::read(dir.path(), present).unwrap()
    };
    let first = read("a.x\n");
    let (again, other) = (read("a.x\n"), read("b.x\n"));
    assert!(Rules::same(first.as_deref(), again.as_deref()));
    assert!(!Rules::same(first.as_deref(), other.as_deref()));
}
