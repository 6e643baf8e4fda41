//! Git's hooks: the scripts that ask for a verdict, and whose a hook is that is there already.
//!
//! A script of ours has a mark and a seal, and is replaced or removed by them; any other is never written to, nor is one
//! of ours that somebody has edited since. Where another tool manages hooks there is nothing to be written either: it
//! would be overwritten, or never be run. Then the lines are told that do the same there.

use crate::client::args::hook::GitHook;
use crate::model::digest::Digest;
use crate::model::path::quoted;
use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// What tells a script of ours, in any version.
const MARK: &str = "# A hook of orchd:";
/// What the line begins with that seals the rest of it, in any version.
const SEAL: &str = "# Whoever edits it makes it his own:";
/// Digits of the digest of the rest.
const SEAL_DIGITS: usize = 16;
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
    /// Whoever has set `core.hooksPath` to this, which is none: git runs no hook at all.
    Off(PathBuf),
}

impl Manager {
    /// Looks who does, at the top of a repository; `hooks_path` is what `core.hooksPath` says.
    #[must_use]
    pub fn find(top: &Path, hooks_path: Option<PathBuf>) -> Option<Self> {
        let names = LEFTHOOK.iter().flat_map(|name| {
            let endings = LEFTHOOK_ENDINGS.iter();
            endings.map(move |ending| top.join(format!("{name}.{ending}")))
        });
        if let Some(path) = hooks_path.as_ref().filter(|path| is_off(path)) {
            return Some(Self::Off(path.clone()));
        }
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
            Self::Off(path) => format!(
                "`core.hooksPath` is set to `{}`, which is no directory: git runs no hook here",
                path.display()
            ),
        }
    }
}

/// Whether there can be no hook at a path that `core.hooksPath` names; one that is not there yet can be made.
#[must_use]
pub fn is_off(path: &Path) -> bool {
    match std::fs::metadata(path) {
        Ok(meta) => !meta.is_dir(),
        Err(error) => path.as_os_str().is_empty() || error.kind() == io::ErrorKind::NotADirectory,
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
        sealed(&format!(
            "#!/bin/sh\n{MARK} `orchctl hook uninstall {}` removes it.\norchctl={}\n[ -x \"$orchctl\" ] || orchctl=orchctl\nexec \"$orchctl\" {}\n",
            hook.name(),
            quoted(program),
            self.arguments(hook),
        ))
    }

    /// What does the same in a hook of somebody else's, or in what manages them.
    #[must_use]
    pub fn lines(&self, hook: GitHook, manager: Option<&Manager>) -> Vec<String> {
        let name = hook.name();
        let command = yaml(format!("orchctl {}", self.arguments(hook)));
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
                    GitHook::PrePush => yaml(format!(
                        "sh -c 'orchctl gate --commit \"$PRE_COMMIT_TO_REF\" --workspace=\"$1\"' sh {}",
                        quoted(&self.workspace)
                    )),
                };
                format!(
                    "- repo: local\n  hooks:\n    - id: orchd-{name}\n      name: orchd\n      language: system\n      entry: {entry}\n      always_run: true\n      pass_filenames: false\n      stages: [{name}]"
                )
            }
            // None is run.
            (Some(Manager::Off(_)), _) => String::new(),
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
        // One word: what it names may begin with a dash.
        format!("gate {what} --workspace={}", quoted(&self.workspace))
    }
}

/// A word of YAML that says exactly this.
fn yaml(text: String) -> String {
    let is_plain = !text.contains(": ") && !text.contains(" #") && !text.contains(char::is_control);
    match serde_json::to_string(&text) {
        // What JSON quotes, YAML reads.
        Ok(quoted) if !is_plain => quoted,
        Ok(_) | Err(_) => text,
    }
}

/// The script with its seal, in a line behind the mark.
fn sealed(script: &str) -> String {
    let digest = Digest::of(script.as_bytes()).to_string();
    let digits: String = digest.chars().take(SEAL_DIGITS).collect();
    let head = script
        .match_indices('\n')
        .nth(1)
        .map_or(0, |(at, _)| at + 1);
    let (head, rest) = script.split_at(head);
    format!("{head}{SEAL} {digits}\n{rest}")
}

/// Whether a script is as it was sealed.
fn is_as_sealed(script: &str) -> bool {
    let unsealed: String = script
        .split_inclusive('\n')
        .enumerate()
        .filter(|(at, _)| *at != 2)
        .map(|(_, line)| line)
        .collect();
    sealed(&unsealed) == script
}

/// Whose hook is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// There is none.
    Nobody,
    /// It is ours, with this text.
    Us(String),
    /// We wrote it, and somebody has edited it since: it is his.
    Edited,
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
            Err(error) if is_nothing(&error) => return Ok(Self::Nobody),
            Err(error) => return Err(error),
            Ok(meta) if !meta.is_file() => return Ok(Self::Somebody),
            Ok(_) => {}
        }
        let text = std::fs::read(path)?;
        let text = String::from_utf8(text).ok();
        let is_marked = |text: &str| text.lines().any(|line| line.starts_with(MARK));
        Ok(match text {
            Some(text) if is_as_sealed(&text) && is_marked(&text) => Self::Us(text),
            Some(text) if is_marked(&text) => Self::Edited,
            Some(_) | None => Self::Somebody,
        })
    }
}

/// Whether an error says that nothing is at a path.
fn is_nothing(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
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
        # Whoever edits it makes it his own: 09c480dc21fb0132
        orchctl='/opt/a b/orchctl'
        [ -x "$orchctl" ] || orchctl=orchctl
        exec "$orchctl" gate --commit - --workspace=web
        "#);
        write(&path, &script).unwrap();
        assert!(is_runnable(&path));
        assert_eq!(Owner::of(&path).unwrap(), Owner::Us(script));
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(Owner::of(&link).unwrap(), Owner::Somebody);
        write(&path, "#!/bin/sh\ntrue\n").unwrap();
        assert_eq!(Owner::of(&path).unwrap(), Owner::Somebody);
        let below = path.join("pre-push");
        assert_eq!(Owner::of(&below).unwrap(), Owner::Nobody);
    }

    #[test]
    fn whatever_is_edited_in_a_script_of_ours_makes_it_somebodys() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pre-push");
        let script = asking().script(GitHook::PrePush);
        let lines = script.lines().count();
        for at in 0..=lines {
            let mut more: Vec<&str> = script.lines().collect();
            more.insert(at, "echo mine");
            write(&path, &format!("{}\n", more.join("\n"))).unwrap();
            assert_eq!(Owner::of(&path).unwrap(), Owner::Edited, "{at}");
            let mut less: Vec<&str> = script.lines().collect();
            // Without the mark nobody knows that it was ours.
            if at == 1 || at == lines {
                continue;
            }
            less.remove(at);
            write(&path, &format!("{}\n", less.join("\n"))).unwrap();
            assert_eq!(Owner::of(&path).unwrap(), Owner::Edited, "{at}");
        }
        for (from, to) in [
            ("/opt/a b", "/opt/ab"),
            ("exec ", "time "),
            ("gate", "gate --json"),
        ] {
            write(&path, &script.replacen(from, to, 1)).unwrap();
            assert_eq!(Owner::of(&path).unwrap(), Owner::Edited, "{from}");
        }
        write(&path, script.trim_end()).unwrap();
        assert_eq!(Owner::of(&path).unwrap(), Owner::Edited);
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
        for none in ["/dev/null", "/dev/null/hooks", ""] {
            let none = PathBuf::from(none);
            assert_eq!(
                Manager::find(top, Some(none.clone())),
                Some(Manager::Off(none))
            );
        }
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
            "'/opt/a b/orchctl' gate --index --workspace=web || exit $?"
        );
        let odd = Asking {
            workspace: "-a: b".to_owned(),
            ..asking.clone()
        };
        let lefthook = Manager::Lefthook(PathBuf::new());
        let lines = odd.lines(GitHook::PreCommit, Some(&lefthook)).join("\n");
        assert!(
            lines.ends_with("run: \"orchctl gate --index --workspace='-a: b'\""),
            "{lines}"
        );
        let lefthook = Some(Manager::Lefthook(PathBuf::new()));
        let lines = here(GitHook::PrePush, lefthook);
        assert!(lines.contains("use_stdin: true"), "{lines}");
        let lines = here(GitHook::PrePush, Some(Manager::PreCommit(PathBuf::new())));
        assert!(lines.contains("$PRE_COMMIT_TO_REF"), "{lines}");
    }
}
