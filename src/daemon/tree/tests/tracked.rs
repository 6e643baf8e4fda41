//! What git tracks though its rules ignore it, against git itself.
//!
//! Indexes of every format, written by git, over the generated worlds of [`super::gits`]; and files that come and go by
//! hand.

use super::gits::{Bytes, all, at, cases, hidden, ignored, texts, world};
#[cfg(target_os = "linux")]
use super::ignoring::failure;
use super::*;
#[cfg(target_os = "linux")]
use crate::daemon::chain::chain;
use crate::model::view::Explanation;
use proptest::collection::vec;
use proptest::prelude::*;
use std::io::Write as _;
use std::process::Stdio;

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(80), max_shrink_iters: 5_000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_git_tracks_is_never_hidden(
        world in world(),
        rounds in vec((vec(any::<prop::sample::Index>(), 0..8), 2..5_u8, any::<bool>()), 1..4),
        format in prop::sample::select(vec!["sha1", "sha1", "sha256"]),
    ) {
        let user = TempDir::new().unwrap();
        let home = user.path().canonicalize().unwrap();
        let mut it = Fixture::at_home(&plain(), &home, |root| {
            world.build(root, &home);
            if format == "sha256" {
                let config = root.join(".git/config");
                let text = fs::read_to_string(&config).unwrap().replace("version = 0", "version = 1");
                write(&config, &(text + "[extensions]\nobjectFormat = sha256\n"));
            }
        });
        let root = it.root.as_path().to_path_buf();
        let all = all(&root);
        let leaves: Vec<&Bytes> = all.iter().filter(|path| at(&root, path).is_file()).collect();
        let mut named = BTreeSet::new();
        for (number, (picked, version, split)) in rounds.iter().enumerate() {
            let wanted: BTreeSet<Bytes> = picked.iter().map(|at| (*at.get::<&Bytes>(&leaves)).clone()).collect();
            track(&root, (&named, &wanted), (*version, *split), format);
            let mut read = BTreeSet::new();
            let mut note = |path: &[u8]| {
                read.insert(path.to_vec());
            };
            let hash = settings::hash_bytes(&root.join(".git")).unwrap();
            index::read(&root.join(".git/index"), hash, &mut note).unwrap();
            prop_assert_eq!(texts(&read), texts(&wanted));
            named = wanted;
            if number % 2 == 0 {
                it.tree.examine().unwrap();
            } else {
                it.tree.scan().unwrap();
            }
            // Asked without `--no-index`, git takes a name for a pattern of what it tracks.
            let mut theirs = ignored(&root, &home, &all);
            for path in &named {
                theirs.remove(path);
                let mut path = &**path;
                while let Some((above, _)) = names::split(path) {
                    theirs.remove(above);
                    path = above;
                }
            }
            prop_assert_eq!(hidden(&it.tree, &all), texts(&theirs));
        }
    }
}

/// Writes an index that names these files and no others.
fn track(
    root: &Path,
    (before, wanted): (&BTreeSet<Bytes>, &BTreeSet<Bytes>),
    (version, split): (u8, bool),
    format: &str,
) {
    let hash = "1".repeat(if format == "sha256" { 64 } else { 40 });
    let mut lines = Vec::new();
    for path in before.union(wanted) {
        let mode = if wanted.contains(path) { "100644" } else { "0" };
        lines.extend_from_slice(format!("{mode} {hash} 0\t").as_bytes());
        lines.extend_from_slice(path);
        lines.push(0);
    }
    let version = version.to_string();
    let split = match split {
        true => "--split-index",
        false => "--no-split-index",
    };
    let args = [
        "update-index",
        "-z",
        "--index-version",
        &version,
        split,
        "--index-info",
    ];
    let mut git = program(root, "git", &args)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    git.stdin.take().unwrap().write_all(&lines).unwrap();
    let status = git.wait().unwrap();
    assert_eq!(status.code(), Some(0));
}

/// A repository of which some ignored files are tracked.
fn with_tracked(more: impl FnOnce(&Path)) -> Fixture {
    Fixture::with(&plain(), |root| {
        run(root, "git", &["init", "-q", "."]);
        write(&root.join(".gitignore"), "build/\n*.log\nnode_modules/\n");
        for file in [
            "build/deep/kept",
            "build/deep/not",
            "build/not/f",
            "src/a.log",
            "src/f",
            "node_modules/x/y",
        ] {
            write(&root.join(file), "1");
        }
        run(
            root,
            "git",
            &["add", "-f", "build/deep/kept", "src/a.log", "src/f"],
        );
        more(root);
    })
}

#[test]
fn what_git_tracks_is_shown_though_it_is_ignored() {
    let mut it = with_tracked(|_| {});
    let shown = [".gitignore", "build/deep/kept", "src/a.log", "src/f"];
    assert_eq!(files(&it.tree), set(&shown));
    assert_eq!(it.tree.watches(), 4, "the root, src, build and build/deep");
    let rule = |rule: &str, line| Explanation::Ignored {
        rule: rule.to_owned(),
        source: ".gitignore".to_owned(),
        line: Some(line),
    };
    for (path, ignored, tracked) in [
        ("build/deep/kept", None, Some(rule("build/", 1))),
        ("src/a.log", None, Some(rule("*.log", 2))),
        ("build/deep/not", Some(rule("build/", 1)), None),
        ("build/not/f", Some(rule("build/", 1)), None),
        ("src/f", None, None),
    ] {
        let path = RelPath::parse(path).unwrap();
        let tracked = tracked.map(Overruled::Tracked);
        assert_eq!(it.tree.overruled(&path), tracked, "{path}");
        let explained = it.tree.explain(&path);
        match ignored {
            Some(rule) => assert_eq!(explained, rule, "{path}"),
            None => assert!(matches!(explained, Explanation::Triggers { .. }), "{path}"),
        }
    }
    it.view();
    it.write("build/deep/kept", "2");
    it.write("build/deep/not", "2");
    it.write("build/new/f", "1");
    assert_eq!(paths(&it.touched()), ["build/deep/kept"]);
    run(
        it.root.as_path(),
        "git",
        &["rm", "-q", "-f", "--cached", "build/deep/kept"],
    );
    assert_eq!(paths(&it.touched()), ["build/deep/kept"]);
    assert_eq!(it.tree.watches(), 2);
    it.write("build/deep/kept", "3");
    assert_eq!(it.touched(), Touches::default());
    run(it.root.as_path(), "git", &["add", "-f", "build/not/f"]);
    assert_eq!(paths(&it.touched()), ["build/not/f"]);
    fs::remove_dir_all(it.path("build")).unwrap();
    assert_eq!(paths(&it.touched()), ["build/not/f"]);
    run(it.root.as_path(), "git", &["checkout", "-q", "--", "build"]);
    assert_eq!(paths(&it.touched()), ["build/not/f"]);
    it.write(".gitignore", "src\n");
    it.touched();
    assert_eq!(
        files(&it.tree),
        set(&[
            ".gitignore",
            "build/not/f",
            "node_modules/x/y",
            "src/a.log",
            "src/f"
        ])
    );
}

#[test]
fn rules_of_the_workspace_hide_what_is_tracked_too() {
    let mut config = plain();
    config.settings.ignore = vec!["deep".to_owned()];
    let mut it = Fixture::with(&config, |root| {
        run(root, "git", &["init", "-q", "."]);
        write(&root.join(".gitignore"), "build/\n");
        for file in ["build/deep/f", "build/f", "build/g", "h"] {
            write(&root.join(file), "1");
        }
        write(&root.join(".ignore"), "g\n");
        run(root, "git", &["add", "-f", "."]);
    });
    let shown = [".gitignore", ".ignore", "build/f", "h"];
    assert_eq!(files(&it.tree), set(&shown));
    fs::remove_file(it.path(".ignore")).unwrap();
    assert_eq!(paths(&it.touched()), [".ignore", "build/g"]);
}

/// A worktree at the root of a repository beside it, in which one ignored file is tracked.
fn worktree() -> Fixture {
    Fixture::with(&plain(), |root| {
        let main = root.parent().unwrap().join("main");
        write(&main.join(".gitignore"), "*.log\n");
        write(&main.join("a.log"), "1");
        run(&main, "git", &["init", "-q", "."]);
        run(&main, "git", &["add", "-f", "."]);
        let who = ["-c", "user.name=a", "-c", "user.email=a@b"];
        run(
            &main,
            "git",
            &[&who[..], &["commit", "-q", "-m", "x"]].concat(),
        );
        fs::remove_dir(root).unwrap();
        let place = root.to_str().unwrap();
        run(&main, "git", &["worktree", "add", "-q", place]);
        write(&root.join("b.log"), "1");
        write(&main.join("b.log"), "1");
        run(&main, "git", &["add", "-f", "b.log"]);
    })
}

#[test]
fn a_worktree_has_an_index_of_its_own() {
    let it = worktree();
    assert_eq!(files(&it.tree), set(&[".gitignore", "a.log"]));
}

/// Whether anything was told since the last look, and what a look finds then.
fn told(it: &mut Fixture) -> Option<Vec<String>> {
    it.tree.eye.sync(TIMEOUT).unwrap();
    let is_told = !it.watcher.ready().is_empty();
    is_told.then(|| paths(&it.tree.examine().unwrap()))
}

#[test]
fn a_change_of_what_is_tracked_is_an_event() {
    let main = with_tracked(|_| {});
    for (mut it, file) in [(main, "build/not/f"), (worktree(), "b.log")] {
        it.touched();
        let root = it.root.as_path().to_path_buf();
        assert_eq!(told(&mut it), None);
        run(&root, "git", &["add", "-f", file]);
        assert_eq!(told(&mut it), Some(vec![file.to_owned()]));
        run(&root, "git", &["rm", "-q", "-f", "--cached", file]);
        assert_eq!(told(&mut it), Some(vec![file.to_owned()]));
        assert_eq!(told(&mut it), None);
    }
}

#[test]
fn a_repository_that_comes_later_is_watched_too() {
    let mut it = Fixture::with(&plain(), |root| {
        write(&root.join(".gitignore"), "*.log\n");
        write(&root.join("a.log"), "1");
    });
    run(it.root.as_path(), "git", &["init", "-q", "."]);
    it.touched();
    run(it.root.as_path(), "git", &["add", "-f", "a.log"]);
    assert_eq!(told(&mut it), Some(vec!["a.log".to_owned()]));
}

#[test]
fn a_repository_that_moves_in_with_its_directory_is_known() {
    let stages = vec![stage("all", None, &[])];
    let projects = vec![project("0101", "deep/in", "diagnostics")];
    let config = config(projects, vec![pipeline("diagnostics", stages)]);
    let mut it = Fixture::with(&config, |root| {
        let other = root.parent().unwrap().join("other/in");
        write(&other.join(".gitignore"), "*.log\n");
        write(&other.join("a.log"), "1");
        write(&other.join("b.log"), "1");
        run(&other, "git", &["init", "-q", "."]);
        run(&other, "git", &["add", "-f", "a.log"]);
    });
    let (other, deep) = (it.above.path().join("other"), it.path("deep"));
    for _ in 0..2 {
        fs::rename(&other, &deep).unwrap();
        let there = ["deep/in/.gitignore", "deep/in/a.log"];
        assert_eq!(paths(&it.touched()), there);
        run(&deep.join("in"), "git", &["add", "-f", "b.log"]);
        assert_eq!(told(&mut it), Some(vec!["deep/in/b.log".to_owned()]));
        run(
            &deep.join("in"),
            "git",
            &["rm", "-q", "-f", "--cached", "b.log"],
        );
        assert_eq!(told(&mut it), Some(vec!["deep/in/b.log".to_owned()]));
        fs::rename(&deep, &other).unwrap();
        assert_eq!(paths(&it.touched()), there);
    }
}

#[test]
fn a_git_directory_may_be_a_link() {
    let mut it = with_tracked(|root| {
        let store = root.parent().unwrap().join("store");
        fs::rename(root.join(".git"), &store).unwrap();
        std::os::unix::fs::symlink(&store, root.join(".git")).unwrap();
    });
    let shown = [".gitignore", "build/deep/kept", "src/a.log", "src/f"];
    assert_eq!(files(&it.tree), set(&shown));
    it.touched();
    run(it.root.as_path(), "git", &["add", "-f", "node_modules/x/y"]);
    assert_eq!(told(&mut it), Some(vec!["node_modules/x/y".to_owned()]));
}

#[test]
fn an_index_that_changed_within_a_tick_of_the_clock_is_read_again() {
    let mut it = with_tracked(|_| {});
    it.touched();
    let root = it.root.as_path().to_path_buf();
    run(&root, "git", &["add", "-f", "build/not/f"]);
    let index = fs::File::options().write(true).open(it.path(".git/index"));
    let ahead = std::time::SystemTime::now() + Duration::from_hours(1);
    index.unwrap().set_modified(ahead).unwrap();
    assert_eq!(paths(&it.touched()), ["build/not/f"]);
    run(&root, "git", &["add", "-f", "node_modules/x/y"]);
    // As a file system says whose clock has not ticked since.
    it.tree.tracked.stamps = it.tree.index_stamps();
    assert_eq!(paths(&it.touched()), ["node_modules/x/y"]);
}

#[test]
fn an_index_that_only_git_sees_another_in_has_nothing_looked_at() {
    let mut it = with_tracked(|_| {});
    it.view();
    let index = it.path(".git/index");
    let before = fs::read(&index).unwrap();
    it.blind("build");
    it.blind("src");
    it.write("build/new", "1");
    it.write("src/new", "1");
    // It is written again, because the file's times are others.
    let file = fs::File::options().write(true).open(it.path("src/f"));
    let then = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    file.unwrap().set_modified(then).unwrap();
    run(it.root.as_path(), "git", &["status", "--short"]);
    assert!(before != fs::read(&index).unwrap());
    assert_eq!(told(&mut it), Some(Vec::new()));
    // What git does there besides is nothing to anybody.
    it.write(".git/index.lock", "1");
    fs::remove_file(it.path(".git/index.lock")).unwrap();
    it.write(".git/HEAD", "ref: refs/heads/other\n");
    assert_eq!(told(&mut it), None);
}

#[cfg(target_os = "linux")]
#[test]
fn an_index_that_cannot_be_read_for_the_moment_is_not_taken_for_empty() {
    let mut it = with_tracked(|_| {});
    it.view();
    let (index, kept) = (it.path(".git/index"), it.path(".git/kept"));
    fs::rename(&index, &kept).unwrap();
    // A file of which the kernel says that reading it fails.
    std::os::unix::fs::symlink("/proc/self/mem", &index).unwrap();
    it.write("src/f", "2");
    for _ in 0..2 {
        it.tree.eye.sync(TIMEOUT).unwrap();
        let failed = it.tree.examine().unwrap_err();
        assert_eq!(chain(&failed), failure(&index));
    }
    let root = it.root.clone();
    let eye = it.watcher.eye(WorkspaceId(2), &root);
    let scopes = Scopes::compile(&plain(), &root, &Places::default()).unwrap();
    let mut other = Tree::open_for(Home::default(), root, eye, scopes).unwrap();
    assert_eq!(chain(&other.scan().unwrap_err()), failure(&index));
    fs::rename(&kept, &index).unwrap();
    run(it.root.as_path(), "git", &["add", "-f", "build/not/f"]);
    assert_eq!(paths(&it.touched()), ["build/not/f", "src/f"]);
    other.scan().unwrap();
    assert_eq!(files(&other), files(&it.tree));
}

#[cfg(target_os = "linux")]
#[test]
fn a_repository_that_cannot_be_found_for_the_moment_is_not_taken_for_none() {
    let mut it = worktree();
    let main = it.above.path().canonicalize().unwrap().join("main/.git");
    write(&main.join("info/exclude"), "*.tmp\n");
    it.write("a.tmp", "1");
    it.touched();
    let (shown, before) = (set(&[".gitignore", "a.log"]), it.view().input);
    assert_eq!(files(&it.tree), shown);
    let root = it.root.clone();
    let kept = it.above.path().join("kept");
    for names in [it.path(".git"), main.join("worktrees/root/commondir")] {
        fs::rename(&names, &kept).unwrap();
        std::os::unix::fs::symlink("/proc/self/mem", &names).unwrap();
        for _ in 0..2 {
            it.tree.eye.sync(TIMEOUT).unwrap();
            let failed = it.tree.examine().unwrap_err();
            assert_eq!(chain(&failed), failure(&names));
        }
        let eye = it.watcher.eye(WorkspaceId(2), &root);
        let scopes = Scopes::compile(&plain(), &root, &Places::default()).unwrap();
        let mut other = Tree::open_for(Home::default(), root.clone(), eye, scopes).unwrap();
        assert_eq!(chain(&other.scan().unwrap_err()), failure(&names));
        fs::rename(&kept, &names).unwrap();
        assert_eq!(it.view().input, before, "{}", names.display());
        assert_eq!(files(&it.tree), shown);
        other.scan().unwrap();
        assert_eq!(files(&other), shown);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_names_no_git_directory_is_no_repository() {
    let inside = |text: &[u8]| {
        let it = Fixture::with(&plain(), |root| {
            let outer = root.parent().unwrap();
            write(&outer.join(".gitignore"), "*.log\n");
            write(&root.join("a.log"), "1");
            write(&root.join("b.log"), "1");
            run(outer, "git", &["init", "-q", "."]);
            run(outer, "git", &["add", "-f", "root/a.log"]);
            let other = at(outer, b"other\xff");
            fs::create_dir(&other).unwrap();
            run(&other, "git", &["init", "-q", "."]);
            fs::write(root.join(".git"), text).unwrap();
        });
        let git = program(it.root.as_path(), "git", &["rev-parse", "--git-dir"]).output();
        let is_repository = git.unwrap().status.success();
        (is_repository, it)
    };
    let named = b"gitdir: ../other\xff/.git\r\n";
    let mut broken = None;
    for text in [
        &b""[..],
        b"none",
        b"gitdir:",
        b"gitdir: ",
        b"gitdir:../other\xff/.git",
    ] {
        let (is_repository, it) = inside(text);
        assert!(!is_repository, "{text:?}");
        // The one around it takes the directory for its own.
        assert_eq!(files(&it.tree), set(&["a.log"]), "{text:?}");
        broken = Some(it);
    }
    let (is_repository, it) = inside(named);
    assert!(is_repository);
    assert_eq!(files(&it.tree), set(&["a.log", "b.log"]));
    let mut it = broken.unwrap();
    fs::write(it.path(".git"), named).unwrap();
    assert_eq!(paths(&it.touched()), ["b.log"]);
}
