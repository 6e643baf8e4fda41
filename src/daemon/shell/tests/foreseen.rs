//! A run that is about to begin: its first evidence is put on disk before.
//!
//! What the engine has made ready is written where nobody looks for a run, and nobody hears of it.

use super::arriving::{drive, is_read, read};
use super::*;
use crate::daemon::site::Readiness;
use crate::model::run::RunStatus;

/// The sizes of the files with temp names in the directory of the only spare.
fn staged(root: &RootPath) -> Vec<u64> {
    let spares = root.as_path().join(".runs/.orchd-spare");
    let mut spares = std::fs::read_dir(spares).unwrap();
    let spare = spares.next().unwrap().unwrap().path();
    assert!(spares.next().is_none(), "one is enough");
    let files = std::fs::read_dir(spare.join("run")).unwrap();
    let files = files.map(|file| file.unwrap());
    let named = |file: &std::fs::DirEntry| file.file_name().to_string_lossy().into_owned();
    let files = files.filter(|file| {
        let name = named(file);
        name.contains("json.tmp-") && !name.starts_with("runner")
    });
    files.map(|file| file.metadata().unwrap().len()).collect()
}

#[tokio::test]
async fn what_is_about_to_begin_is_on_disk_before() {
    let dir = tempfile::tempdir().unwrap();
    let (mut shell, id, root) = read(&dir).await;
    std::fs::create_dir_all(root.as_path().join(".runs")).unwrap();
    let site = shell.sites.get_mut(&id).unwrap();
    site.readiness = Readiness::Wanted;
    site.get_ready();
    drive(&mut shell, |_| (), is_read).await;
    assert_eq!(staged(&root), [0, 0, 0]);

    let mut report = crate::model::evidence::tests::report("t", 1, RunStatus::InProgress);
    report.workspace = id;
    let report = Box::new(report);
    shell.carry_out(Effect::Foresee { report });
    drive(&mut shell, |_| (), is_read).await;
    let staged = staged(&root);
    let filled = staged.iter().filter(|size| **size > 300);
    assert_eq!(filled.count(), 3, "two manifests and a sidecar: {staged:?}");
    assert_eq!(shell.engine.runs().count(), 0, "nobody hears of it");
}
