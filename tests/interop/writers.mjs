// Three writers of the same four runs: the published CLI itself, `orchctl run --no-daemon`, and our daemon.
// Each returns `{ok, bad, cancelled, nested}`, the run ids.
import assert from "node:assert/strict";
import { once } from "node:events";
import { rmSync, writeFileSync } from "node:fs";
import path from "node:path";

import { a2StatusActive } from "./checks.mjs";
import { allow, ctl, ctlJson, runChild } from "./ours.mjs";
import { document, upstream, upstreamChild } from "./upstream.mjs";
import { TASK, editJson, untilStageRuns, untilTerminal } from "./workspace.mjs";

/** What each of the four runs must have come to. */
export const EXPECTED = {
  ok: { status: "succeeded", stages: ["build:succeeded", "lint:succeeded", "test:succeeded", "spec-guard:succeeded"] },
  bad: { status: "failed", stages: ["one:succeeded", "two:failed", "spec-guard:pending"] },
  nested: { status: "succeeded", stages: ["first:succeeded", "child:succeeded", "extra:skipped"] },
  cancelled: { status: "cancelled", stages: null },
};

/** The published CLI writes the runs; it is cancelled as its own control plane does it, between two stages. */
export async function byUpstream(ws) {
  const start = (pipeline) => document(upstream(ws, ["start", pipeline, "--format", "json", "--no-interactive"]).stdout).run_id;
  const runs = { ok: start("diagnostics"), bad: start("bad"), nested: start("nested") };
  const known = new Set(ws.runIds());
  const child = upstreamChild(ws, ["start", "long", "--format", "json", "--no-interactive"]);
  const ended = once(child, "exit");
  runs.cancelled = await untilStageRuns(ws, "long", "hold", known);
  a2StatusActive(ws, runs.cancelled);
  const control = path.join(ws.runDir(runs.cancelled), "control.json");
  const action = { request_id: "r", requested_by: "t", requested_at: new Date().toISOString(), action: "cancel", reason: "stop" };
  writeFileSync(control, JSON.stringify({ run_id: runs.cancelled, control_seq: 1, latest_action: action, feature_toggles: {} }));
  ws.touch("go");
  await ended;
  rmSync(control);
  rmSync(path.join(ws.scratch, "go"));
  return runs;
}

const FIELDS = [
  "version", "task_id", "task_slug", "run_id", "parent_run_id", "pipeline_id", "pipeline_title", "runner", "approval_policy", "status",
  "status_detail", "started_at", "completed_at", "updated_at", "heartbeat_at", "heartbeat_interval_seconds",
  "heartbeat_stale_after_seconds", "artifact_root", "compat_path", "log_path", "summary", "metrics_recorded", "resume_token",
  "resume_events", "approvals", "commands", "child_runs", "run_summary_path", "plan_target_id", "runtime_mode_requested", "runtime_mode",
  "runtime_provider", "runtime_fallback", "instructions_hash", "instructions_sources",
];

/** The published CLI's runs, brought down to the 28 + 7 fields and the files that ours have. */
export async function byUpstreamReduced(ws) {
  const runs = await byUpstream(ws);
  for (const run of ws.runIds()) {
    editJson(ws.manifestPath(run), (manifest) => {
      for (const key of Object.keys(manifest)) if (!FIELDS.includes(key)) delete manifest[key];
      Object.assign(manifest, { plan_target_id: null, runtime_fallback: null });
    });
    for (const name of ["memory", "events.jsonl", "privacy-decisions.ndjson"]) rmSync(path.join(ws.runDir(run), name), { recursive: true, force: true });
    rmSync(ws.abs(".runs", TASK, run), { recursive: true, force: true });
  }
  return runs;
}

/** `orchctl run --no-daemon`; cancelled as a user does it, with ^C. */
export async function byNoDaemon(ws) {
  await allow(ws);
  const run = (pipeline, code) => ctlJson(ws, ["run", pipeline, "--no-daemon", "--force", "--json"], code).run_id;
  const runs = { ok: run("diagnostics", 0), bad: run("bad", 1), nested: run("nested", 0) };
  const known = new Set(ws.runIds());
  const { child, exited } = runChild(ws, ["run", "long", "--no-daemon", "--force"]);
  runs.cancelled = await untilStageRuns(ws, "long", "hold", known);
  a2StatusActive(ws, runs.cancelled);
  child.kill("SIGINT");
  assert.notEqual(await exited, 0, "an interrupted run is no success");
  await untilTerminal(ws, runs.cancelled);
  return runs;
}

/** The daemon, which must be running; cancelled with `orchctl cancel`. */
export async function byDaemon(ws) {
  const added = ctl(ws, ["add", "--allow", ws.root]);
  assert.equal(added.code, 0, added.stderr);
  assert.equal(ctl(ws, ["wait", "--timeout", "30s"]).code, 0, "the run that `add --allow` brings about is green");
  const run = (pipeline, code) => {
    const told = ctlJson(ws, ["run", pipeline, "--force", "--json"], code);
    assert.equal(told.manifest, `.runs/${TASK}/cli/${told.run_id}/manifest.json`);
    assert.equal(told.artifact_root, `.runs/${TASK}/cli/${told.run_id}`);
    return told.run_id;
  };
  const runs = { ok: run("diagnostics", 0), bad: run("bad", 1), nested: run("nested", 0) };
  const known = new Set(ws.runIds());
  runs.cancelled = ctlJson(ws, ["run", "long", "--force", "--detach", "--json"]).run_id;
  assert.equal(await untilStageRuns(ws, "long", "hold", known), runs.cancelled);
  a2StatusActive(ws, runs.cancelled);
  assert.equal(ctl(ws, ["cancel", runs.cancelled]).code, 0);
  await untilTerminal(ws, runs.cancelled);
  return runs;
}
