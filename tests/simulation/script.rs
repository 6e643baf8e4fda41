//! What may happen to the engine, as a script that proptest makes and shrinks.

use crate::fixture::Setting;
use proptest::prelude::*;

/// One thing that happens.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// Somebody saves a file of a project with this content; the same content again is a touch.
    Save {
        project: usize,
        file: u8,
        content: u8,
    },
    /// Somebody saves a file again and again, without a pause that is long enough to settle.
    Scribble { project: usize, file: u8 },
    /// Time passes.
    Wait { ms: u16 },
    /// So many results of what is under way arrive.
    Deliver { count: u8 },
    /// Somebody asks for the verdict; past the last project: of all of them.
    Gate {
        project: usize,
        patient: bool,
        deadline_ms: Option<u16>,
    },
    /// Somebody asks for a run.
    Run {
        project: usize,
        other: bool,
        force: bool,
        until_named: bool,
        detach: bool,
        strict: bool,
    },
    /// Somebody asks whether all has been seen.
    Sync,
    /// Somebody goes away: of those who asked last, the so-many-th.
    Withdraw { back: u8 },
    /// Somebody ends what runs, or waits for its turn.
    Cancel,
    /// The configuration of a workspace is another one.
    Configure { home: usize, setting: Setting },
    /// Its files are found to be others, and are not read yet; what looks have seen arrives all the same.
    Reread { home: usize },
    /// Events are lost, or the root goes; later it is back.
    Blind { home: usize, missing: bool },
    /// The view is whole again.
    Sighted { home: usize },
    /// The workspace is removed.
    Close { home: usize },
    /// It is added again.
    Open { home: usize },
    /// The daemon is killed and started again on what is on disk.
    Restart,
    /// The disk refuses the next evidence.
    DiskFails,
    /// The next look fails.
    LookFails { home: usize },
    /// Git begins, goes on or ends in the repository of a workspace.
    Git { home: usize, step: Option<u8> },
    /// A file is made another than it ever was, perhaps while a stage reads it.
    Rewrite { project: usize, file: u8 },
    /// The files are what they were once.
    Revert { project: usize },
    /// A run that has ended is taken up again.
    Resume,
    /// The evidence of a run that has ended is removed.
    Vanish,
    /// Somebody removes what a stage has left of its outputs, or makes something else of it.
    Spoil {
        project: usize,
        which: usize,
        removed: bool,
    },
    /// What a stage has left cannot be weighed the next time.
    Unweighable,
    /// Another process takes the mutex of the machine, if it is free.
    Seize,
    /// Another pipeline runs; somebody saves, somebody asks for the verdict, and the files are what they were.
    PutBack { project: usize, file: u8 },
}

fn setting() -> impl Strategy<Value = Setting> {
    prop_oneof![
        3 => Just(Setting::Usual),
        1 => Just(Setting::Waiting),
        1 => Just(Setting::Narrow),
        1 => Just(Setting::Edited),
        1 => Just(Setting::Untrusted),
        1 => Just(Setting::Denied),
        1 => Just(Setting::Broken),
    ]
}

/// Any of them, the usual ones more often.
pub(crate) fn op() -> impl Strategy<Value = Op> {
    let home = || 0_usize..2;
    let project = || 0_usize..3;
    prop_oneof![
        10 => (project(), 0_u8..3, 0_u8..10)
            .prop_map(|(project, file, content)| Op::Save { project, file, content }),
        1 => (project(), 0_u8..3).prop_map(|(project, file)| Op::Scribble { project, file }),
        10 => (0_u16..80).prop_map(|ms| Op::Wait { ms }),
        1 => (0_u16..4000).prop_map(|ms| Op::Wait { ms }),
        16 => (1_u8..8).prop_map(|count| Op::Deliver { count }),
        4 => (0_usize..4, any::<bool>(), proptest::option::of(0_u16..500))
            .prop_map(|(project, patient, deadline_ms)| Op::Gate { project, patient, deadline_ms }),
        5 => (project(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>())
            .prop_map(|(project, other, force, until_named, detach, strict)| {
                Op::Run { project, other, force, until_named, detach, strict }
            }),
        1 => Just(Op::Sync),
        3 => (0_u8..4).prop_map(|back| Op::Withdraw { back }),
        2 => Just(Op::Cancel),
        3 => (home(), setting()).prop_map(|(home, setting)| Op::Configure { home, setting }),
        2 => home().prop_map(|home| Op::Reread { home }),
        2 => (home(), any::<bool>()).prop_map(|(home, missing)| Op::Blind { home, missing }),
        3 => home().prop_map(|home| Op::Sighted { home }),
        1 => home().prop_map(|home| Op::Close { home }),
        2 => home().prop_map(|home| Op::Open { home }),
        1 => Just(Op::Restart),
        1 => Just(Op::DiskFails),
        1 => home().prop_map(|home| Op::LookFails { home }),
        3 => (home(), proptest::option::of(0_u8..3)).prop_map(|(home, step)| Op::Git { home, step }),
        3 => (project(), 0_u8..3).prop_map(|(project, file)| Op::Rewrite { project, file }),
        4 => project().prop_map(|project| Op::Revert { project }),
        1 => Just(Op::Resume),
        3 => Just(Op::Vanish),
        2 => (project(), 0_u8..3).prop_map(|(project, file)| Op::PutBack { project, file }),
        3 => (project(), 0_usize..3, any::<bool>())
            .prop_map(|(project, which, removed)| Op::Spoil { project, which, removed }),
        1 => Just(Op::Unweighable),
        3 => Just(Op::Seize),
    ]
}
