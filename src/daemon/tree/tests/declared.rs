//! What stages declare as inputs though it is ignored: who reads it, what triggers whom, and what is watched for it.
//!
//! Every world is also looked at by a second tree that finds it all at once, and both have to say the same.

use super::*;
use crate::model::view::Explanation;

/// A project whose first stage reads all that is not ignored, and whose second reads what it declares.
fn both(inputs: &[&str], outputs: &[&str]) -> Config {
    let stages = vec![
        stage("own", None, &[]),
        stage("named", Some(inputs), outputs),
    ];
    config(
        vec![project("0101", ".", "diagnostics")],
        vec![pipeline("diagnostics", stages)],
    )
}

fn only(inputs: &[&str]) -> Config {
    config(
        vec![project("0101", ".", "diagnostics")],
        vec![pipeline(
            "diagnostics",
            vec![stage("named", Some(inputs), &[])],
        )],
    )
}

fn key(stage: &str) -> (PipelineId, StageId) {
    let pipeline = PipelineId::parse("diagnostics");
    (pipeline.unwrap(), StageId::parse(stage).unwrap())
}

/// A view, after it was found to be what a tree says that finds everything at once.
fn true_view(it: &mut Fixture, config: &Config) -> View {
    let view = it.view();
    let state = TempDir::new().unwrap();
    let watcher = Watcher::start(&state.path().join("c"), Arc::new(Notify::new())).unwrap();
    let eye = watcher.eye(WorkspaceId(7), &it.root);
    let scopes = Scopes::compile(config, &it.root, &Places::default()).unwrap();
    let mut other = Tree::open_for(Home::default(), it.root.clone(), eye, scopes).unwrap();
    other.scan().unwrap();
    let (_, views) = other
        .capture(std::slice::from_ref(&it.subject), TIMEOUT)
        .unwrap();
    assert_eq!(files(&it.tree), files(&other));
    assert_eq!(it.tree.watches(), other.watches());
    assert_eq!(view.input, views[0].input);
    assert_eq!(view.stages, views[0].stages);
    view
}

/// Which of both stages read other content after a change, and what the view says has changed.
fn differing(it: &mut Fixture, config: &Config, before: &mut View) -> ([bool; 2], Vec<String>) {
    let after = true_view(it, config);
    let differ =
        ["own", "named"].map(|stage| before.stages[&key(stage)] != after.stages[&key(stage)]);
    *before = after;
    (differ, shown(&before.changed))
}

#[test]
fn what_a_stage_declares_is_its_own_though_it_is_ignored() {
    let config = both(&[".env", "dist/**", "!dist/*.map", "src"], &[]);
    let mut it = Fixture::with(&config, |root| {
        write(
            &root.join(".gitignore"),
            ".env\ndist/\nnode_modules/\n*.log\n",
        );
        for file in [
            ".env",
            "dist/a/b",
            "dist/x.map",
            "node_modules/m/n",
            "src/a.log",
            "src/f",
            "top.log",
        ] {
            write(&root.join(file), "1");
        }
    });
    let known = [".env", ".gitignore", "dist/a/b", "src/a.log", "src/f"];
    assert_eq!(files(&it.tree), set(&known));
    assert_eq!(it.tree.watches(), 4, "the root, src, dist and dist/a");
    let mut before = true_view(&mut it, &config);
    for (path, differ) in [
        (".env", [false, true]),
        ("dist/a/b", [false, true]),
        ("dist/new/f", [false, true]),
        ("src/a.log", [false, true]),
        ("src/f", [true, true]),
        (".gitignore", [true, false]),
    ] {
        let text = if path == ".gitignore" {
            ".env\ndist/\nnode_modules/\n*.log\n#\n"
        } else {
            "2"
        };
        it.write(path, text);
        assert_eq!(paths(&it.touched()), [path]);
        let found = differing(&mut it, &config, &mut before);
        assert_eq!(found, (differ, vec![path.to_owned()]), "{path}");
    }
    for path in ["dist/x.map", "node_modules/m/n", "top.log", "dist/a.map"] {
        it.write(path, "2");
        assert_eq!(it.touched(), Touches::default(), "{path}");
    }
    fs::remove_dir_all(it.path("dist")).unwrap();
    let gone = ["dist/a/b", "dist/new/f"];
    assert_eq!(paths(&it.touched()), gone);
    assert_eq!(differing(&mut it, &config, &mut before).0, [false, true]);
    it.write("dist/back", "1");
    assert_eq!(paths(&it.touched()), ["dist/back"]);
    fs::rename(it.path("src"), it.path("dist/src")).unwrap();
    let (differ, changed) = differing(&mut it, &config, &mut before);
    assert_eq!(differ, [true, true]);
    let moved = [
        "dist/back",
        "dist/src/a.log",
        "dist/src/f",
        "src/a.log",
        "src/f",
    ];
    assert_eq!(changed, moved);
}

#[test]
fn whoever_does_not_declare_it_is_not_triggered() {
    let stages = |inputs| vec![stage("all", inputs, &[])];
    let outer = vec![
        stage("own", None, &[]),
        stage("named", Some(&["api/.env"]), &[]),
    ];
    let config = config(
        vec![
            project("outer", ".", "outer"),
            project("web", "web", "web"),
            project("api", "api", "api"),
        ],
        vec![
            pipeline("outer", outer),
            pipeline("api", stages(None)),
            pipeline("web", stages(Some(&["dist/*.json", ".env"]))),
        ],
    );
    let mut it = Fixture::with(&config, |root| {
        write(&root.join(".gitignore"), ".env\ndist/\n");
    });
    let readers = |touches: &Touches| {
        let tasks = touches.projects.keys();
        tasks.map(ToString::to_string).collect::<Vec<_>>()
    };
    for (path, who) in [
        (".env", vec![]),
        ("api/.env", vec!["outer"]),
        ("api/dist/a.json", vec![]),
        ("web/.env", vec!["web"]),
        ("web/dist/a.json", vec!["web"]),
        ("web/dist/a.js", vec![]),
        ("web/dist/deep/a.json", vec![]),
        ("web/deep/.env", vec!["web"]),
        ("api/f", vec!["api"]),
    ] {
        it.write(path, "1");
        assert_eq!(readers(&it.touched()), who, "{path}");
    }
    fs::remove_file(it.path("web/.env")).unwrap();
    assert_eq!(readers(&it.touched()), ["web"]);
    assert_eq!(
        it.tree.watches(),
        5,
        "the root, api, web, web/deep, web/dist"
    );
}

#[test]
fn only_directories_that_a_pattern_names_are_entered() {
    let inputs = [
        "node_modules/.package-lock.json",
        "src/**",
        "**/*.ts",
        "*.json",
    ];
    let config = only(&inputs);
    let mut it = Fixture::with(&config, |root| {
        write(
            &root.join(".gitignore"),
            "node_modules/\n__pycache__/\ngen.ts\n",
        );
        for file in [
            "node_modules/.package-lock.json",
            "node_modules/a/index.ts",
            "node_modules/a/package.json",
            "node_modules/package.json",
            "src/__pycache__/x",
            "src/gen.ts",
            "lib/gen.ts",
            "lib/__pycache__/x.ts",
        ] {
            write(&root.join(file), "1");
        }
    });
    let known = [
        ".gitignore",
        "lib/gen.ts",
        "node_modules/.package-lock.json",
        "node_modules/package.json",
        "src/gen.ts",
    ];
    assert_eq!(files(&it.tree), set(&known));
    assert_eq!(it.tree.watches(), 4, "the root, lib, src, node_modules");
    it.write("node_modules/b/index.ts", "1");
    it.write("src/deep/__pycache__/y", "1");
    assert_eq!(it.touched(), Touches::default());
    assert_eq!(it.tree.watches(), 5, "src/deep");
    true_view(&mut it, &config);
}

#[test]
fn no_rule_hides_what_is_declared_but_what_is_built_in_and_outputs_do() {
    let mut config = both(
        &["*", ".git/**", ".runs/**", "out/0101/**", "made/**"],
        &["made/**", "!made/kept"],
    );
    config.settings.ignore = vec!["by-setting".to_owned(), "made".to_owned()];
    let mut it = Fixture::with(&config, |root| {
        run(root, "git", &["init", "-q", "."]);
        write(&root.join(".ignore"), "by-ripgrep\n");
        for file in [
            "by-setting",
            "by-ripgrep",
            ".runs/0101/x",
            "out/0101/x",
            "made/f",
            "made/kept",
            ".f.swp",
            "f",
            "f~",
        ] {
            write(&root.join(file), "1");
        }
    });
    let known = [".ignore", "by-ripgrep", "by-setting", "f", "made/kept"];
    assert_eq!(files(&it.tree), set(&known));
    let mut before = true_view(&mut it, &config);
    it.write("made/f", "2");
    it.write("by-setting", "2");
    it.write("made/kept", "2");
    let (differ, changed) = differing(&mut it, &config, &mut before);
    assert_eq!(differ, [false, true]);
    assert_eq!(changed, ["by-setting", "made/kept"]);
}

#[test]
fn what_is_hidden_or_shown_by_now_is_told_to_who_reads_it() {
    let config = both(&["dist/**", ".env"], &[]);
    let mut it = Fixture::with(&config, |root| {
        write(&root.join("dist/a"), "1");
        write(&root.join("dist/sub/b"), "1");
        write(&root.join(".env"), "1");
        write(&root.join(".ignore"), "");
    });
    let mut before = true_view(&mut it, &config);
    let all = [".env", ".ignore", "dist/a", "dist/sub/b"];
    let rest = [".ignore", "dist/sub/b"];
    for (rules, told) in [
        ("dist\n.env\n", all.to_vec()),
        ("", all.to_vec()),
        ("sub\n", rest.to_vec()),
        ("dist/sub/b\n", rest.to_vec()),
        ("", rest.to_vec()),
    ] {
        it.write(".ignore", rules);
        assert_eq!(paths(&it.touched()), told, "{rules:?}");
        let (differ, changed) = differing(&mut it, &config, &mut before);
        assert!(differ[0], "{rules:?}");
        assert_eq!(changed, told, "{rules:?}");
    }
    // Taken back before anybody looked: nothing has come of it.
    it.write(".ignore", "dist\n");
    it.touched();
    it.write(".ignore", "");
    let view = true_view(&mut it, &config);
    assert_eq!((shown(&view.changed), view.stages), (vec![], before.stages));
}

#[test]
fn what_is_tracked_is_content_for_all_and_what_is_declared_beside_it_for_some() {
    let config = both(&["build/declared"], &[]);
    let mut it = Fixture::with(&config, |root| {
        run(root, "git", &["init", "-q", "."]);
        write(&root.join(".gitignore"), "build/\n");
        for file in [
            "build/tracked",
            "build/declared",
            "build/neither",
            "build/x/y",
        ] {
            write(&root.join(file), "1");
        }
        run(root, "git", &["add", "-f", "build/tracked"]);
    });
    let known = [".gitignore", "build/declared", "build/tracked"];
    assert_eq!(files(&it.tree), set(&known));
    assert_eq!(it.tree.watches(), 2);
    let mut before = true_view(&mut it, &config);
    it.write("build/declared", "2");
    assert_eq!(differing(&mut it, &config, &mut before).0, [false, true]);
    it.write("build/tracked", "2");
    assert_eq!(differing(&mut it, &config, &mut before).0, [true, false]);
    let root = it.root.as_path().to_path_buf();
    run(&root, "git", &["add", "-f", "build/declared"]);
    let found = differing(&mut it, &config, &mut before);
    assert_eq!(found, ([true, false], vec!["build/declared".to_owned()]));
    run(
        &root,
        "git",
        &[
            "rm",
            "-q",
            "--cached",
            "-f",
            "build/tracked",
            "build/declared",
        ],
    );
    let (differ, changed) = differing(&mut it, &config, &mut before);
    assert_eq!(differ, [true, false]);
    assert_eq!(changed, ["build/declared", "build/tracked"]);
    assert_eq!(files(&it.tree), set(&[".gitignore", "build/declared"]));
    // What a repository tracks that is hidden itself counts for nobody.
    let inner = it.path("build");
    run(&inner, "git", &["init", "-q", "."]);
    run(&inner, "git", &["add", "-f", "neither", "declared"]);
    it.tree.scan().unwrap();
    assert_eq!(differing(&mut it, &config, &mut before).0, [false, false]);
    assert_eq!(files(&it.tree), set(&[".gitignore", "build/declared"]));
}

#[test]
fn what_was_declared_and_is_tracked_by_now_is_content_for_all() {
    let config = both(&[".env", "dist/**"], &[]);
    let mut it = Fixture::with(&config, |root| {
        run(root, "git", &["init", "-q", "."]);
        write(&root.join(".gitignore"), ".env\ndist/\n");
        for file in [".env", "dist/deep/f", "dist/g"] {
            write(&root.join(file), "1");
        }
    });
    let (root, mut before) = (it.path(""), true_view(&mut it, &config));
    for path in [".env", "dist/deep/f"] {
        for act in [&["add", "-f"][..], &["rm", "-q", "--cached", "-f"]] {
            run(&root, "git", &[act, &[path]].concat());
            let (differ, changed) = differing(&mut it, &config, &mut before);
            assert_eq!(differ, [true, false], "{act:?} {path}");
            assert!(
                changed.contains(&path.to_owned()),
                "{act:?} {path}: {changed:?}"
            );
        }
    }
    assert_eq!(
        files(&it.tree),
        set(&[".env", ".gitignore", "dist/deep/f", "dist/g"])
    );
}

#[test]
fn another_configuration_shows_and_hides() {
    let mut config = both(&["src"], &[]);
    let mut it = Fixture::with(&config, |root| {
        write(&root.join(".gitignore"), "dist/\n");
        write(&root.join("dist/f"), "1");
        write(&root.join("src/f"), "1");
    });
    let plain = [".gitignore", "src/f"];
    assert_eq!(files(&it.tree), set(&plain));
    let configure = |it: &mut Fixture, config: &Config| {
        let scopes = Scopes::compile(config, &it.root, &Places::default()).unwrap();
        it.tree.configure(scopes).unwrap();
        files(&it.tree)
    };
    config = both(&["src", "dist/f"], &[]);
    assert_eq!(
        configure(&mut it, &config),
        set(&[".gitignore", "dist/f", "src/f"])
    );
    it.write("dist/f", "2");
    assert_eq!(paths(&it.touched()), ["dist/f"]);
    config = both(&["src", "dist/f"], &["dist/**"]);
    assert_eq!(configure(&mut it, &config), set(&plain));
    config = both(&["src"], &[]);
    assert_eq!(configure(&mut it, &config), set(&plain));
    assert_eq!(it.tree.watches(), 2);
    it.write("dist/f", "3");
    assert_eq!(it.touched(), Touches::default());
    true_view(&mut it, &config);
}

#[test]
fn a_pipeline_that_is_asked_for_by_name_sees_what_it_declares() {
    let mut config = plain();
    config.pipelines.push(pipeline(
        "deploy",
        vec![stage("send", Some(&["dist/**"]), &[])],
    ));
    let mut it = Fixture::with(&config, |root| {
        write(&root.join(".gitignore"), "dist/\n");
        write(&root.join("dist/f"), "1");
    });
    let own = it.view();
    it.subject.pipeline = PipelineId::parse("deploy").unwrap();
    let first = it.view();
    assert_ne!(first.input, InputDigest(Digest::of(b"")));
    it.write("dist/f", "2");
    let second = it.view();
    assert_ne!(second.input, first.input);
    assert_eq!(shown(&second.changed), ["dist/f"]);
    it.subject.pipeline = own.subject.pipeline.clone();
    assert_eq!(it.view().input, own.input);
}

#[test]
fn what_is_declared_is_seen_however_changes_are_found() {
    let mut config = both(&["dist/**", ".env"], &[]);
    for poll in [Poll::Always, Poll::Auto] {
        config.settings.poll = poll;
        let mut it = Fixture::with(&config, |root| {
            write(&root.join(".gitignore"), "dist/\n.env\n");
            write(&root.join("dist/f"), "1");
        });
        let mut before = true_view(&mut it, &config);
        it.write("dist/deep/f", "1");
        it.write(".env", "1");
        if poll == Poll::Auto {
            it.tree.scan().unwrap();
        }
        let (differ, changed) = differing(&mut it, &config, &mut before);
        assert_eq!(
            (differ, &*changed),
            (
                [false, true],
                &[".env".to_owned(), "dist/deep/f".to_owned()][..]
            )
        );
    }
    // What no event tells is found by an audit.
    let mut it = Fixture::with(&config, |root| {
        write(&root.join(".gitignore"), "dist/\n");
        write(&root.join("dist/f"), "1");
    });
    true_view(&mut it, &config);
    it.blind("dist");
    it.write("dist/f", "2");
    it.tree.begin_audit();
    let audited = it.tree.audit();
    assert_eq!(audited.missed, [RelPath::parse("dist/f").unwrap()]);
    assert_eq!(paths(&audited.touches.unwrap().unwrap()), ["dist/f"]);
}

#[test]
fn explain_says_who_reads_what_is_ignored() {
    let config = both(&["dist/**", ".env"], &[]);
    let it = Fixture::with(&config, |root| {
        write(&root.join(".gitignore"), "dist/\n.env\n*.log\n");
        write(&root.join("dist/f"), "1");
    });
    let rule = |rule: &str, line| Explanation::Ignored {
        rule: rule.to_owned(),
        source: ".gitignore".to_owned(),
        line: Some(line),
    };
    let named = Explanation::Triggers {
        projects: vec![(TaskId::parse("0101").unwrap(), vec![key("named")])],
    };
    for (path, by) in [
        ("dist/f", rule("dist/", 1)),
        ("dist/not/there/yet", rule("dist/", 1)),
        ("dist/a.log", rule("dist/", 1)),
        (".env", rule(".env", 2)),
        ("sub/.env", rule(".env", 2)),
    ] {
        let path = RelPath::parse(path).unwrap();
        assert_eq!(it.tree.explain(&path), named, "{path}");
        assert_eq!(
            it.tree.overruled(&path),
            Some(Overruled::Declared(by)),
            "{path}"
        );
    }
    for (path, by) in [
        ("a.log", rule("*.log", 3)),
        ("sub/dist/f", rule("dist/", 1)),
    ] {
        let path = RelPath::parse(path).unwrap();
        assert_eq!(it.tree.explain(&path), by, "{path}");
        assert_eq!(it.tree.overruled(&path), None, "{path}");
    }
}
