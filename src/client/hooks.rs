//! Git's hooks: the scripts that ask for a verdict, and whose a hook is that is there already.
//!
//! A script of ours has a mark, and is replaced or removed by it; any other is never written to. Where another tool
//! manages hooks there is nothing to be written either: it would be overwritten, or never be run. Then the lines are
//! told that do the same there.

use crate::client::args::hook::GitHook;
use crate::model::path::quoted;
use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// What tells a script of ours, in any version.
const MARK: &str = "# A hook of orchd:";
/// Anybody may run it who may read it.
const MODE: u32 = 0o755;

/// Files at the top of a repository by which lefthook is set up.
const LEFTHOOK: [&str; 4] = ["lefthook", ".lefthook", "lefthook-local", ".lefthook-local"];
const LEFTHOOK_ENDINGS: [&str; 4] = ["yml", "yaml", "toml", "json"];

/// Who manages the hooks of a repository, if not git alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manager {
    /// Lefthook, by this file.
    Lefthook(PathBuf),
    /// Pre-commit, by this file.
    PreCommit(PathBuf),
    /// Husky, in this directory.
    Husky(PathBuf),
    /// Whoever has set `core.hooksPath` to this directory.
    HooksPath(PathBuf),
}

impl Manager {
    /// Looks who does, at the top of a repository; `hooks_path` is what `core.hooksPath` says.
    #[must_use]
    pub fn find(top: &Path, hooks_path: Option<PathBuf>) -> Option<Self> {
        let names = LEFTHOOK.iter().flat_map(|name| {
            let endings = LEFTHOOK_ENDINGS.iter();
            endings.map(move |ending| top.join(format!("{name}.{ending}")))
        });
        let lefthook = names.into_iter().find(|path| path.is_file());
        let (pre_commit, husky) = (top.join(".pre-commit-config.yaml"), top.join(".husky"));
        lefthook
            .map(Self::Lefthook)
            .or_else(|| pre_commit.is_file().then_some(Self::PreCommit(pre_commit)))
            .or_else(|| husky.is_dir().then_some(Self::Husky(husky)))
            .or_else(|| hooks_path.map(Self::HooksPath))
    }

    /// Who it is, and where it is set up.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Lefthook(path) => {
                format!("lefthook manages the hooks here (`{}`)", path.display())
            }
            Self::PreCommit(path) => {
                format!("pre-commit manages the hooks here (`{}`)", path.display())
            }
            Self::Husky(path) => format!("husky manages the hooks here (`{}`)", path.display()),
            Self::HooksPath(path) => {
                format!("`core.hooksPath` is set to `{}`", path.display())
            }
        }
    }
}

/// What a hook asks, and how.
#[derive(Clone, Debug)]
pub struct Asking {
    /// The program of this process, where its path is text.
    pub orchctl: Option<String>,
    /// The workspace below the top of the repository, where git runs its hooks; `.` for the top itself.
    pub workspace: String,
}

impl Asking {
    /// The whole script.
    #[must_use]
    pub fn script(&self, hook: GitHook) -> String {
        let program = self.orchctl.as_deref().unwrap_or("orchctl");
        format!(
            "#!/bin/sh\n{MARK} `orchctl hook uninstall {}` removes it.\norchctl={}\n[ -x \"$orchctl\" ] || orchctl=orchctl\nexec \"$orchctl\" {}\n",
            hook.name(),
            quoted(program),
            self.arguments(hook),
        )
    }

    /// What does the same in a hook of somebody else's, or in what manages them.
    #[must_use]
    pub fn lines(&self, hook: GitHook, manager: Option<&Manager>) -> Vec<String> {
        let name = hook.name();
        let command = format!("orchctl {}", self.arguments(hook));
        let lines = match (manager, hook) {
            (Some(Manager::Lefthook(_)), GitHook::PreCommit) => {
                format!("{name}:\n  jobs:\n    - name: orchd\n      run: {command}")
            }
            (Some(Manager::Lefthook(_)), GitHook::PrePush) => {
                format!(
                    "{name}:\n  jobs:\n    - name: orchd\n      use_stdin: true\n      run: {command}"
                )
            }
            (Some(Manager::PreCommit(_)), hook) => {
                let entry = match hook {
                    GitHook::PreCommit => command,
                    // It has read what git said, and tells the commit by a variable.
                    GitHook::PrePush => format!(
                        "sh -c 'orchctl gate --commit \"$PRE_COMMIT_TO_REF\" --workspace \"$1\"' sh {}",
                        quoted(&self.workspace)
                    ),
                };
                format!(
                    "- repo: local\n  hooks:\n    - id: orchd-{name}\n      name: orchd\n      language: system\n      entry: {entry}\n      always_run: true\n      pass_filenames: false\n      stages: [{name}]"
                )
            }
            (Some(Manager::Husky(_) | Manager::HooksPath(_)) | None, _) => {
                let program = self.orchctl.as_deref().unwrap_or("orchctl");
                format!("{} {} || exit $?", quoted(program), self.arguments(hook))
            }
        };
        lines.lines().map(str::to_owned).collect()
    }

    fn arguments(&self, hook: GitHook) -> String {
        let what = match hook {
            GitHook::PreCommit => "--index",
            GitHook::PrePush => "--commit -",
        };
        format!("gate {what} --workspace {}", quoted(&self.workspace))
    }
}

/// Whose hook is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// There is none.
    Nobody,
    /// It is ours, with this text.
    Us(String),
    /// Somebody wrote it.
    Somebody,
}

impl Owner {
    /// Looks whose it is; what cannot be read is somebody's.
    ///
    /// # Errors
    /// When it cannot be found out.
    pub fn of(path: &Path) -> io::Result<Self> {
        match std::fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::Nobody),
            Err(error) => return Err(error),
            Ok(meta) if !meta.is_file() => return Ok(Self::Somebody),
            Ok(_) => {}
        }
        let text = std::fs::read(path)?;
        let text = String::from_utf8(text).ok();
        let ours = |text: &String| {
            text.lines()
                .nth(1)
                .is_some_and(|line| line.starts_with(MARK))
        };
        Ok(text.filter(ours).map_or(Self::Somebody, Self::Us))
    }
}

/// Whether what is at a path can be run.
#[must_use]
pub fn is_runnable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o100 != 0)
}

/// Writes a hook whole: git finds the one of before, or this one.
///
/// # Errors
/// When the disk says no.
pub fn write(path: &Path, script: &str) -> io::Result<()> {
    let directory = path.parent().unwrap_or(path);
    std::fs::create_dir_all(directory)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(script.as_bytes())?;
    file.as_file()
        .set_permissions(Permissions::from_mode(MODE))?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking() -> Asking {
        Asking {
            orchctl: Some("/opt/a b/orchctl".to_owned()),
            workspace: "web".to_owned(),
        }
    }

    #[test]
    fn a_script_is_known_as_ours_and_anything_else_is_somebodys() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hooks/pre-push");
        assert_eq!(Owner::of(&path).unwrap(), Owner::Nobody);
        let script = asking().script(GitHook::PrePush);
        insta::assert_snapshot!(script, @r#"
        #!/bin/sh
        # A hook of orchd: `orchctl hook uninstall pre-push` removes it.
        orchctl='/opt/a b/orchctl'
        [ -x "$orchctl" ] || orchctl=orchctl
        exec "$orchctl" gate --commit - --workspace web
        "#);
        write(&path, &script).unwrap();
        assert!(is_runnable(&path));
        assert_eq!(Owner::of(&path).unwrap(), Owner::Us(script));
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(Owner::of(&link).unwrap(), Owner::Somebody);
        write(&path, &format!("#!/bin/sh\ntrue\n{MARK}\n")).unwrap();
        assert_eq!(Owner::of(&path).unwrap(), Owner::Somebody);
    }

    #[test]
    fn whoever_manages_hooks_is_known_by_his_files() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path();
        assert_eq!(Manager::find(top, None), None);
        let hooks = PathBuf::from("/hooks");
        let set = Manager::find(top, Some(hooks.clone()));
        assert_eq!(set, Some(Manager::HooksPath(hooks.clone())));
        std::fs::create_dir(top.join(".husky")).unwrap();
        let husky = Manager::find(top, Some(hooks));
        assert_eq!(husky, Some(Manager::Husky(top.join(".husky"))));
        let file = top.join(".pre-commit-config.yaml");
        std::fs::File::create(&file).unwrap();
        assert_eq!(Manager::find(top, None), Some(Manager::PreCommit(file)));
        let file = top.join(".lefthook.toml");
        std::fs::File::create(&file).unwrap();
        assert_eq!(Manager::find(top, None), Some(Manager::Lefthook(file)));
    }

    #[test]
    fn the_lines_to_add_do_the_same_where_they_stand() {
        let asking = asking();
        let here = |hook, manager: Option<Manager>| asking.lines(hook, manager.as_ref()).join("\n");
        assert_eq!(
            here(GitHook::PreCommit, None),
            "'/opt/a b/orchctl' gate --index --workspace web || exit $?"
        );
        let lefthook = Some(Manager::Lefthook(PathBuf::new()));
        let lines = here(GitHook::PrePush, lefthook);
        assert!(lines.contains("use_stdin: true"), "{lines}");
        let lines = here(GitHook::PrePush, Some(Manager::PreCommit(PathBuf::new())));
        assert!(lines.contains("$PRE_COMMIT_TO_REF"), "{lines}");
    }
}
