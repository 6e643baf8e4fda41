//! Who reads what: projects in projects, declared inputs and outputs, subpipelines.
//!
//! What a stage reads decides what triggers it and what its key is made of.

use super::*;
use crate::daemon::tree::print::Moment;
use crate::daemon::tree::snapshot::Known;
use crate::model::config::Subpipeline;
use crate::model::view::Explanation;

fn two() -> Config {
    let outer = vec![
        stage("own", None, &["dist/**"]),
        stage(
            "named",
            Some(&["packages/web/package.json", "src", "!src/gen"]),
            &[],
        ),
        Stage {
            action: Action::Subpipeline(Subpipeline {
                pipeline: PipelineId::parse("smoke").unwrap(),
                optional: false,
            }),
            ..stage("sub", None, &[])
        },
    ];
    config(
        vec![
            project("outer", ".", "outer"),
            project("web", "packages/web", "web"),
        ],
        vec![
            pipeline("outer", outer),
            pipeline("smoke", vec![stage("probe", Some(&["*.sh"]), &["log"])]),
            pipeline("web", vec![stage("all", None, &[])]),
            pipeline("by-hand", vec![stage("made", None, &["made"])]),
        ],
    )
}

fn readers(touches: &Touches) -> Vec<String> {
    touches.projects.keys().map(ToString::to_string).collect()
}

#[test]
fn a_path_touches_who_reads_it() {
    let mut it = Fixture::with(&two(), |_| {});
    for (path, who) in [
        ("README", vec!["outer"]),
        ("packages/f", vec!["outer"]),
        ("packages/web/f", vec!["web"]),
        ("packages/web/package.json", vec!["outer", "web"]),
        ("dist/bundle", vec![]),
        ("src/x", vec!["outer"]),
        ("log", vec![]),
        ("made", vec![]),
        ("packages/web/dist/f", vec!["web"]),
        ("packages/web/made", vec![]),
    ] {
        it.write(path, "1");
        assert_eq!(readers(&it.touched()), who, "{path}");
    }
}

/// What is changed, undone, or may be anything, concerns the stages that read it, and no other.
#[test]
fn a_view_says_which_stages_a_change_concerns() {
    let mut it = Fixture::with(&two(), |root| write(&root.join("src/x"), "1"));
    let affected = |view: &View| -> Vec<String> {
        let stages = view.affected.union(&view.fleeting.readers);
        stages.map(|(_, stage)| stage.to_string()).collect()
    };
    let all = ["named", "own", "probe"];
    assert_eq!(affected(&it.view()), all, "nobody has looked before");
    assert!(affected(&it.view()).is_empty());
    for (path, concerned) in [
        ("README", vec!["own"]),
        ("src/x", vec!["named", "own"]),
        ("src/gen/x", vec!["own"]),
        ("a.sh", vec!["own", "probe"]),
        ("packages/web/package.json", vec!["named"]),
        ("dist/bundle", vec![]),
    ] {
        it.write(path, "2");
        let view = it.view();
        assert_eq!(affected(&view), concerned, "{path}");
        it.write(path, "3");
        it.touched();
        it.write(path, "2");
        let view = it.view();
        assert_eq!(affected(&view), concerned, "{path} is undone");
        assert_eq!(shown(&view.changed), [] as [&str; 0]);
    }
    for file in 0..=crate::limits::AFFECTED_PATHS_MAX {
        it.write(&format!("src/gen/{file}"), "1");
    }
    assert_eq!(affected(&it.view()), all, "more than are looked at");
}

/// What came or went is told apart: whether it concerns anybody depends on what becomes of it.
#[test]
fn a_view_says_what_came_and_what_went() {
    let mut it = Fixture::with(&two(), |root| write(&root.join("src/x"), "1"));
    it.view();
    let told = |view: &View| {
        let fleeting = &view.fleeting;
        let texts = |paths: &[RelPath]| paths.iter().map(RelPath::to_text).collect::<Vec<_>>();
        let readers = fleeting.readers.iter();
        let readers: Vec<String> = readers.map(|(_, stage)| stage.to_string()).collect();
        let all = [&fleeting.came, &fleeting.went, &fleeting.passed].map(|paths| texts(paths));
        (all, readers)
    };
    let none = Vec::<String>::new;
    let one = |path: &str| vec![path.to_owned()];
    it.write("src/new", "1");
    let came = it.view();
    let readers = vec!["named".to_owned(), "own".to_owned()];
    assert_eq!(told(&came), ([one("src/new"), none(), none()], readers));
    assert_eq!(shown(&came.changed), ["src/new"]);
    assert!(came.affected.is_empty());
    fs::remove_file(it.path("src/new")).unwrap();
    it.write("src/gen/y", "1");
    it.touched();
    fs::remove_file(it.path("src/gen/y")).unwrap();
    let gone = it.view();
    let readers = vec!["named".to_owned(), "own".to_owned()];
    assert_eq!(
        told(&gone),
        ([none(), one("src/new"), one("src/gen/y")], readers)
    );
    assert_eq!(shown(&gone.changed), ["src/new"]);
    assert!(gone.undone.is_empty() && gone.affected.is_empty());
    it.write("src/x", "2");
    let other = it.view();
    assert_eq!(told(&other), ([none(), none(), none()], none()));
    assert_eq!(other.affected.len(), 2);
}

#[test]
fn each_stage_has_its_own_digest() {
    let mut it = Fixture::with(&two(), |_| {});
    let key = |pipeline, stage| {
        (
            PipelineId::parse(pipeline).unwrap(),
            StageId::parse(stage).unwrap(),
        )
    };
    let (own, named, probe) = (
        key("outer", "own"),
        key("outer", "named"),
        key("smoke", "probe"),
    );
    it.write("run.sh", "1");
    it.write("src/gen/x", "1");
    it.write("src/y", "1");
    it.write("packages/web/package.json", "{}");
    let mut before = it.view();
    assert_eq!(
        before.stages.keys().collect::<Vec<_>>(),
        [&named, &own, &probe]
    );
    let changes = [
        ("run.sh", [false, true, true]),
        ("src/gen/x", [false, true, false]),
        ("src/y", [true, true, false]),
        ("packages/web/package.json", [true, false, false]),
        ("packages/web/f", [false, false, false]),
        ("dist/f", [false, false, false]),
    ];
    for (path, differ) in changes {
        it.write(path, "2");
        let after = it.view();
        let found = [&named, &own, &probe].map(|key| before.stages[key] != after.stages[key]);
        assert_eq!(found, differ, "{path}");
        assert_eq!(
            before.input != after.input,
            differ.contains(&true),
            "{path}"
        );
        let changed = if differ.contains(&true) {
            vec![path]
        } else {
            vec![]
        };
        assert_eq!(shown(&after.changed), changed);
        before = after;
    }
}

#[test]
fn a_digest_is_relative_to_its_project() {
    let mut it = Fixture::with(&two(), |root| {
        write(&root.join("packages/web/src/f"), "1");
        write(&root.join("other"), "1");
    });
    it.subject = Subject {
        task: TaskId::parse("web").unwrap(),
        pipeline: PipelineId::parse("web").unwrap(),
    };
    assert_eq!(it.view().input, oracle(&it.path("packages/web")));
    fs::remove_dir_all(it.path("packages")).unwrap();
    assert_eq!(it.view().input, InputDigest(Digest::of(b"")));
}

#[test]
fn what_is_not_configured_has_no_view_and_hides_no_other() {
    let mut it = Fixture::new();
    it.write("a", "1");
    let unknown = Subject {
        pipeline: PipelineId::parse("nope").unwrap(),
        ..it.subject.clone()
    };
    let asked = [unknown, it.subject.clone()];
    let (_, views) = it.tree.capture(&asked, TIMEOUT).unwrap();
    let told: Vec<_> = views.iter().map(|view| &view.subject).collect();
    assert_eq!(told, [&it.subject]);
    assert_eq!(views[0].input, oracle(it.root.as_path()));
}

#[test]
fn explain_tells_stages_outputs_and_what_nobody_reads() {
    let mut config = two();
    config.projects.remove(0);
    let it = Fixture::with(&config, |_| {});
    let explain = |path: &str| it.tree.explain(&RelPath::parse(path).unwrap());
    let nobody = RelPath::parse("README").unwrap();
    assert_eq!(
        explain("README"),
        Explanation::Unread {
            owner: None,
            path: nobody
        }
    );
    let Explanation::Triggers { projects } = explain("packages/web/x") else {
        panic!("nothing is triggered");
    };
    let told: Vec<_> = projects
        .iter()
        .map(|(task, stages)| (task.as_str(), stages.len()))
        .collect();
    assert_eq!(told, [("web", 1)]);
    let Explanation::Ignored { rule, .. } = explain("packages/web/made") else {
        panic!("an output triggers");
    };
    assert_eq!(rule, "made");
}

#[test]
fn what_a_look_found_is_read_before_a_view_asks_for_it() {
    let mut it = Fixture::new();
    it.true_view();
    for number in 0..40 {
        it.write(&format!("d/f{number}"), &number.to_string());
    }
    let unread = |it: &Fixture| {
        let dir = it.tree.snapshot.find(b"d").unwrap();
        let entries = it.tree.snapshot.dir(dir).entries().iter();
        entries.filter(|entry| entry.is_unhashed()).count()
    };
    it.tree.eye.sync(TIMEOUT).unwrap();
    it.tree.examine_closed(Tick::default()).unwrap();
    // What has just been written may have been put off to a look after the clock has moved on.
    let is_racy = |it: &Fixture| {
        let dir = it.tree.snapshot.find(b"d").unwrap();
        let mut entries = it.tree.snapshot.dir(dir).entries().iter();
        entries.any(|entry| entry.print.is_racy_at(Moment::now()))
    };
    while is_racy(&it) {
        std::thread::yield_now();
    }
    it.tree.examine_closed(Tick::default()).unwrap();
    assert_eq!(unread(&it), 0);
    let proofs = {
        let dir = it.tree.snapshot.find(b"d").unwrap();
        let entries = it.tree.snapshot.dir(dir).entries().iter();
        entries.filter(|entry| entry.known == Known::Yes).count()
    };
    assert_eq!(proofs, 40, "each is read once, and can be relied on");
    it.write("d/f7", "other");
    let view = it.view();
    assert_eq!(view.input, oracle(it.root.as_path()));
    assert_eq!(shown(&view.changed).len(), 40);
}
