//! `logs`: what stages wrote, byte for byte, read in pages.
//!
//! What a stage wrote to stdout goes to stdout and what it wrote to stderr goes to stderr. With `--raw` or `--json` the
//! log's own lines go to stdout as they are on disk.

use crate::client::args::history::Logs;
use crate::client::connect::Connection;
use crate::client::exit::Exit;
use crate::client::failure::Failure;
use crate::client::interrupt::Interrupts;
use crate::client::render::mark::short;
use crate::client::render::text::clean;
use crate::client::session::Session;
use crate::limits::{LOG_PAUSE, SUBPIPELINE_DEPTH_MAX};
use crate::model::id::{RunId, StageId};
use crate::model::log::{LogEvent, Stream, decode};
use crate::model::report::runs::{LogsAnswer, RunDetail, RunList, StageRecord};
use crate::model::run::{RunStatus, StageStatus};
use crate::wire::call::{Call, LogsWanted, RunNamed, RunsWanted};

pub(super) fn logs(session: &mut Session<'_>, args: Logs) -> Result<Exit, Failure> {
    let mut connection = session.connect()?;
    let run_id = match args.run {
        Some(run) => run,
        None => newest(session, &mut connection)?.to_string(),
    };
    let call = Call::RunGet(RunNamed {
        run_id,
        workspace: session.named()?,
    });
    let mut run: RunDetail = session.ask(&mut connection, &call)?;
    let mut stage = stage(&run, args.stage)?;
    // A stage that is a pipeline has no log: what it did is in the logs of its child run.
    for _ in 0..SUBPIPELINE_DEPTH_MAX {
        let Some(child) = child_of(&run, stage.as_ref()) else {
            break;
        };
        let call = Call::RunGet(RunNamed {
            run_id: child.to_string(),
            workspace: session.named()?,
        });
        run = session.ask(&mut connection, &call)?;
        stage = self::stage(&run, None)?;
    }
    if run.record.status == RunStatus::Queued {
        let text = not_begun(&run, args.follow);
        session.output.words(&text)?;
    }
    let mut reader = Reader {
        connection: &mut connection,
        run: run.record.run_id,
        stage,
        raw: args.raw || session.output.json(),
    };
    if args.follow {
        reader.follow(session)?;
    } else {
        reader.read(session, 0)?;
    }
    Ok(Exit::Done)
}

fn newest(session: &mut Session<'_>, connection: &mut Connection) -> Result<RunId, Failure> {
    let workspace = session.scope(connection, &[])?;
    let call = Call::RunList(RunsWanted {
        workspace,
        task: None,
        limit: Some(1),
        flaky: false,
    });
    let list: RunList = session.ask(connection, &call)?;
    let newest = list.runs.into_iter().next().ok_or(Failure::NoRun)?;
    Ok(newest.record.run_id)
}

/// The stage that was named, else the first that failed; none is the run's own log, which has all of them.
fn stage(run: &RunDetail, named: Option<StageId>) -> Result<Option<StageId>, Failure> {
    let Some(stage) = named else {
        let failed = |stage: &StageRecord| matches!(stage.status, StageStatus::Failed);
        let mut stages = run.stages.iter().enumerate();
        let first = stages.find(|(_, stage)| failed(stage));
        return Ok(first.map(|found| run.name_of(found)));
    };
    match run.named(&stage) {
        Some(found) => Ok(Some(run.name_of(found))),
        None => Err(Failure::NoLog {
            run: run.record.run_id.clone(),
            stage: stage.to_string(),
        }),
    }
}

/// The child run that this stage of a run is; none of a command, or of one that has not begun.
fn child_of(run: &RunDetail, stage: Option<&StageId>) -> Option<RunId> {
    let (_, stage) = run.named(stage?)?;
    stage.sub_run_id.clone()
}

/// Says that there is nothing to read yet, and what comes before.
fn not_begun(run: &RunDetail, followed: bool) -> String {
    let id = short(&run.record.run_id);
    let why = run.status_detail.as_deref().map(clean);
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    let then = if followed {
        String::new()
    } else {
        format!("Follow it once it begins with: orchctl logs -f {id}\n")
    };
    format!("Run {id} has not begun{why}\n{then}")
}

struct Reader<'a> {
    connection: &'a mut Connection,
    run: RunId,
    stage: Option<StageId>,
    raw: bool,
}

impl Reader<'_> {
    /// Prints what there is from `offset` on; says where that ends, and whether more can come.
    fn read(&mut self, session: &mut Session<'_>, mut offset: u64) -> Result<(u64, bool), Failure> {
        loop {
            let call = Call::LogsRead(LogsWanted {
                run_id: self.run.to_string(),
                workspace: None,
                stage: self.stage.clone(),
                offset,
                max: None,
            });
            let page: LogsAnswer = session.ask(self.connection, &call)?;
            for line in &page.lines {
                self.print(session, line)?;
            }
            let is_done = page.next_offset <= offset || page.next_offset >= page.size;
            offset = page.next_offset;
            if is_done {
                return Ok((offset, !page.ended));
            }
        }
    }

    /// Prints until the run has ended, or ^C.
    fn follow(&mut self, session: &mut Session<'_>) -> Result<(), Failure> {
        let interrupts = Interrupts::catch_for_readers().map_err(Failure::Wait)?;
        let mut offset = 0;
        loop {
            let (end, goes_on) = self.read(session, offset)?;
            offset = end;
            if !goes_on {
                return Ok(());
            }
            if interrupts.sleep(LOG_PAUSE).map_err(Failure::Wait)? {
                return Ok(session.output.end_line()?);
            }
        }
    }

    fn print(&self, session: &mut Session<'_>, line: &str) -> Result<(), Failure> {
        if self.raw {
            return Ok(session.output.bytes(format!("{line}\n").as_bytes())?);
        }
        let run = self.run.clone();
        let decoded = decode(line).map_err(|source| Failure::Log { run, source })?;
        match decoded.event {
            LogEvent::Output { stream, bytes } => match stream {
                Stream::Stdout => session.output.bytes(&bytes)?,
                Stream::Stderr => session.output.err_bytes(&bytes)?,
            },
            LogEvent::Truncated { dropped_bytes } => {
                let text =
                    format!("\n[orchd: {dropped_bytes} bytes of output were dropped here]\n");
                session.output.words(&text)?;
            }
            LogEvent::End(end) => {
                if let Some(error) = end.error {
                    session.output.words(&format!("[orchd: {error}]\n"))?;
                }
            }
            LogEvent::Start { .. } | LogEvent::Other => {}
        }
        Ok(())
    }
}
