//! What may happen to the engine, as a script that proptest makes and shrinks.

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
    /// Time passes.
    Wait { ms: u16 },
    /// So many results of what is under way arrive.
    Deliver { count: u8 },
    /// Somebody asks for the verdict.
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
        until_begun: bool,
    },
    /// Somebody asks whether all has been seen.
    Sync,
    /// Somebody goes away.
    Withdraw,
    /// Somebody ends what runs.
    Cancel,
    /// The configuration breaks, or is mended.
    Configuration { valid: bool, trusted: bool },
    /// Events are lost, or the root goes; later it is back.
    Blind { missing: bool },
    /// The view is whole again.
    Sighted,
    /// The disk refuses the next evidence.
    DiskFails,
    /// The next look fails.
    LookFails,
    /// A stage rewrites a file that it reads while it runs.
    Rewrite { project: usize, file: u8 },
    /// A run that has ended is taken up again.
    Resume,
}

/// Any of them, the usual ones more often.
pub(crate) fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0_usize..2, 0_u8..3, 0_u8..6)
            .prop_map(|(project, file, content)| Op::Save { project, file, content }),
        8 => (0_u16..80).prop_map(|ms| Op::Wait { ms }),
        1 => (0_u16..4000).prop_map(|ms| Op::Wait { ms }),
        8 => (1_u8..6).prop_map(|count| Op::Deliver { count }),
        3 => (0_usize..3, any::<bool>(), proptest::option::of(0_u16..500))
            .prop_map(|(project, patient, deadline_ms)| Op::Gate { project, patient, deadline_ms }),
        3 => (0_usize..2, any::<bool>(), any::<bool>(), any::<bool>())
            .prop_map(|(project, other, force, until_begun)| {
                Op::Run { project, other, force, until_begun }
            }),
        1 => Just(Op::Sync),
        1 => Just(Op::Withdraw),
        1 => Just(Op::Cancel),
        1 => (any::<bool>(), any::<bool>())
            .prop_map(|(valid, trusted)| Op::Configuration { valid, trusted }),
        1 => any::<bool>().prop_map(|missing| Op::Blind { missing }),
        2 => Just(Op::Sighted),
        1 => Just(Op::DiskFails),
        1 => Just(Op::LookFails),
        2 => (0_usize..2, 0_u8..3).prop_map(|(project, file)| Op::Rewrite { project, file }),
        1 => Just(Op::Resume),
    ]
}
