//! `.ignore` files, against the walker of the crate that made their form.
//!
//! The generated worlds of [`super::gits`], with each `.gitignore` under the other name and no repository.

use super::gits::{Bytes, all, at, cases, hidden, texts, world};
use super::*;
use proptest::prelude::*;

/// What ripgrep's walker does not come to.
fn passed_over(root: &Path, all: &BTreeSet<Bytes>) -> BTreeSet<String> {
    let mut walk = ignore::WalkBuilder::new(root);
    walk.standard_filters(false).ignore(true);
    let met = walk.build().map(|entry| {
        let path = entry.unwrap().into_path();
        let below = path.strip_prefix(root).unwrap();
        below.as_os_str().as_bytes().to_vec()
    });
    let met: BTreeSet<Bytes> = met.collect();
    texts(&all.difference(&met).cloned().collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(120), max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_ignore_files_hide_is_what_ripgrep_passes_over(world in world()) {
        let user = TempDir::new().unwrap();
        let it = Fixture::with(&plain(), |root| {
            world.build(root, user.path());
            fs::remove_dir_all(root.join(".git")).unwrap();
            for sheet in all(root).iter().filter(|path| path.ends_with(b".gitignore")) {
                let sheet = at(root, sheet);
                fs::rename(&sheet, sheet.with_file_name(".ignore")).unwrap();
            }
        });
        let root = it.root.as_path();
        let all = all(root);
        prop_assert_eq!(hidden(&it.tree, &all), passed_over(root, &all));
    }
}
