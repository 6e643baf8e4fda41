//! The chain of a task as a desk writes it: each run that has ended is told as it is, whatever happened meanwhile.

use super::*;
use crate::disk::chain;
use crate::model::evidence::{Link, Place, Why};

fn links(space: &Space) -> Vec<Link> {
    let runs = Dir::open(&space.path(".runs")).unwrap();
    let task = TaskId::parse("demo").unwrap();
    let (mut links, mut place) = (Vec::new(), Place::FIRST);
    chain::read(&runs, &task, |line| {
        let link = Link::parse(line).unwrap();
        assert_eq!((link.number, link.previous), (place.number, place.previous));
        place = Place::behind(line).unwrap();
        links.push(link);
    })
    .unwrap();
    links
}

/// The chain is whole, and its newest link of each run that has ended names the files that are there.
pub(super) fn check(space: &Space, when: &str) {
    let links = links(space);
    let runs = Dir::open(&space.path(".runs")).unwrap();
    let cli = runs.descend(Path::new("demo/cli")).unwrap().unwrap();
    for name in cli.list().unwrap() {
        let run = cli.descend(Path::new(&name)).unwrap().unwrap();
        let path = space
            .path(".runs/demo/cli")
            .join(&name)
            .join("manifest.json");
        let manifest: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        if manifest["completed_at"].is_null() {
            continue;
        }
        let name = name.to_str().unwrap();
        let mut of_run = links.iter().rev();
        let link = of_run.find(|link| link.run.as_ref().is_some_and(|run| run.as_str() == name));
        let link = link.unwrap_or_else(|| panic!("{when}: {name} has no link"));
        assert_eq!(
            link.files,
            chain::linked_files(&run).unwrap(),
            "{when}: {name}"
        );
    }
}

#[test]
fn each_end_is_linked_and_a_second_one_says_that_the_run_was_resumed() {
    let space = Space::new();
    let mut desk = space.desk("d1");
    run_to_end(&mut desk, 1, RunStatus::Succeeded);
    run_to_end(&mut desk, 2, RunStatus::Failed);
    check(&space, "two ends");
    let whys: Vec<Why> = links(&space).iter().map(|link| link.why).collect();
    assert_eq!(whys, [Why::Ended, Why::Ended]);
}

#[test]
fn an_end_that_was_cut_off_before_its_link_is_linked_by_the_next_start() {
    let space = Space::new();
    let mut desk = space.desk("d1");
    let first = run_to_end(&mut desk, 1, RunStatus::Succeeded);
    let second = run_to_end(&mut desk, 2, RunStatus::Succeeded);
    drop(desk);
    // As a kill leaves it: all is written but for the link, and the note of the owner is there still.
    let text = std::fs::read(space.path(".runs/demo/chain.jsonl")).unwrap();
    let end = text.iter().position(|byte| *byte == b'\n').unwrap();
    space.write(".runs/demo/chain.jsonl", &text[..=end]);
    let note = format!("{}/.orchd-owner.json", base(&second));
    space.write(&note, b"");
    let before = space.json(&format!("{}/manifest.json", base(&second)));
    let mut desk = space.desk("d2");
    let tasks = [first.task];
    desk.recover(&tasks, at(5000)).unwrap();
    check(&space, "after a start");
    assert!(!space.path(&note).exists());
    let links_then = links(&space);
    assert_eq!(links_then.len(), 2);
    assert_eq!(
        space.json(&format!("{}/manifest.json", base(&second))),
        before
    );

    // What has its link already gets no other, so that a change since is not covered up.
    space.write(&note, b"");
    space.write(&format!("{}/runner.ndjson", base(&second)), b"changed");
    space.desk("d3").recover(&tasks, at(6000)).unwrap();
    assert_eq!(links(&space), links_then);
}

#[test]
fn a_chain_that_somebody_keeps_leaves_the_run_unrecorded_and_the_next_try_records_it() {
    let space = Space::new();
    let mut desk = space.desk("d1");
    run_to_end(&mut desk, 1, RunStatus::Succeeded);
    let kept = std::fs::File::open(space.path(".runs/demo/chain.jsonl")).unwrap();
    kept.lock().unwrap();
    let begun = report("demo", 2, RunStatus::InProgress);
    let ended = report("demo", 2, RunStatus::Succeeded);
    desk.begin(&begun, at(0)).unwrap();
    let error = desk
        .end(&ended, Some(&task_state(&ended)), at(2))
        .unwrap_err();
    assert!(matches!(error, EvidenceError::Chain(_)), "{error}");
    drop(kept);
    desk.end(&ended, Some(&task_state(&ended)), at(3)).unwrap();
    check(&space, "after another try");
}

#[test]
fn a_manifest_that_was_torn_and_made_again_is_told_as_such() {
    let space = Space::new();
    let mut desk = space.desk("d1");
    let run = run_to_end(&mut desk, 1, RunStatus::Succeeded);
    space.write(&format!("{}/manifest.json", base(&run)), b"{\"version\": 1");
    space
        .desk("d2")
        .recover(&[run.task], at(90_000_000))
        .unwrap();
    let whys: Vec<Why> = links(&space).iter().map(|link| link.why).collect();
    assert_eq!(whys, [Why::Ended, Why::Rebuilt]);
}
