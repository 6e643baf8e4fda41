//! Evidence that is asked whether it still says what it said.
//!
//! Whoever asks is told of every doubt, and of none that is only about the asker.

use super::*;

fn inspect(space: &Space, run: &RunReport, verdict: Verdict, stamps: Option<Stamps>) -> Inspected {
    let root = RootPath::new(&space.path("")).unwrap();
    let exhibit = Exhibit {
        task: run.task.clone(),
        run: run.run.clone(),
        verdict,
        stamps,
    };
    Exhibits::new(&root, &places(&root, None), vec![exhibit]).inspect()
}

#[test]
fn a_manifest_is_read_once_and_again_only_when_it_was_written() {
    let space = Space::new();
    let run = run_to_end(&mut space.desk("d1"), 1, RunStatus::Succeeded);
    let first = inspect(&space, &run, Verdict::Pass, None);
    assert_eq!((first.gone.len(), first.read.len()), (0, 1));
    let stamp = first.read[0].2;
    let second = inspect(&space, &run, Verdict::Pass, Some(stamp));
    assert_eq!(second, Inspected::default());
    let path = format!("{}/manifest.json", base(&run));
    let mut manifest = space.json(&path);
    manifest["approvals"] = serde_json::json!([{"actor": "somebody"}]);
    space.write(&path, manifest.to_string().as_bytes());
    let third = inspect(&space, &run, Verdict::Pass, Some(stamp));
    assert!(third.gone.is_empty() && third.read[0].2 != stamp);
}

#[test]
fn what_is_gone_or_says_something_else_proves_nothing() {
    let space = Space::new();
    let run = run_to_end(&mut space.desk("d1"), 1, RunStatus::Succeeded);
    let stamp = inspect(&space, &run, Verdict::Pass, None).read[0].2;
    let gone = |verdict, stamp| {
        let gone = inspect(&space, &run, verdict, stamp).gone;
        gone.contains(&run.run)
    };
    assert!(gone(Verdict::Fail, None), "it succeeded");
    assert!(!gone(Verdict::Unstable, None));
    let path = space.path(&format!("{}/manifest.json", base(&run)));
    let aside = space.path("aside");
    std::fs::rename(&path, &aside).unwrap();
    assert!(gone(Verdict::Pass, Some(stamp)));
    symlink(&aside, &path).unwrap();
    assert!(gone(Verdict::Pass, Some(stamp)), "a link is not followed");
    std::fs::remove_file(&path).unwrap();
    std::fs::rename(&aside, &path).unwrap();
    assert!(!gone(Verdict::Pass, Some(stamp)));
    // A workspace that is away takes its evidence with it, and brings it back.
    let (root, away) = (space.dir.path().join("w"), space.dir.path().join("away"));
    std::fs::rename(&root, &away).unwrap();
    assert!(!gone(Verdict::Pass, Some(stamp)));
    std::fs::rename(&away, &root).unwrap();
    std::fs::remove_dir_all(space.path(".runs")).unwrap();
    assert!(gone(Verdict::Pass, Some(stamp)));
}
