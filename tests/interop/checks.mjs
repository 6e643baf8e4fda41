// The checks A0 to A8 of the formats page, section 16, each a function that throws when it does not hold.
// They say nothing of who wrote the runs: `runs` names them, `expected` says what their writer told about them.
import assert from "node:assert/strict";
import { existsSync, lstatSync, readFileSync, readlinkSync, rmSync, statSync } from "node:fs";
import path from "node:path";

import { document, logLines, schemaErrors, upstream } from "./upstream.mjs";
import { TASK, readJson } from "./workspace.mjs";

const SEED_METRICS_KEYS = [
  "run_id", "task_id", "pipeline_id", "status", "started_at", "completed_at", "duration_seconds", "commands_passed",
  "commands_failed", "guardrails_present", "recorded_at", "artifact_path", "child_runs",
];
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const RUN_ID = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d{3}Z-[0-9a-f]{8}$/;

/** A0: the manifest satisfies the schema of the npm package. */
export function a0Schema(ws, run) {
  assert.deepEqual(schemaErrors(ws.manifest(run)), []);
}

/** A1: `status --format json` knows the run, its status, its manifest and its stages. */
export function a1StatusJson(ws, run, expected) {
  const { code, stdout, stderr } = upstream(ws, ["status", "--run", run, "--format", "json"]);
  assert.equal(code, 0, stderr);
  const status = JSON.parse(stdout);
  const manifest = ws.manifest(run);
  assert.equal(status.run_id, run);
  assert.equal(status.status, expected.status);
  assert.equal(status.manifest, `.runs/${TASK}/cli/${run}/manifest.json`);
  assert.equal(status.artifact_root, `.runs/${TASK}/cli/${run}`);
  assert.equal(status.log_path, `.runs/${TASK}/cli/${run}/runner.ndjson`);
  assert.deepEqual(status.commands, manifest.commands);
  assert.deepEqual(status.commands.map((c) => `${c.id}:${c.status}`), expected.stages);
  assert.deepEqual(status.child_runs, manifest.child_runs);
  assert.equal(status.activity.heartbeat_file_at, readFileSync(path.join(ws.runDir(run), ".heartbeat"), "utf8").trim());
}

/** A2: `status` prints the run as text. */
export function a2StatusText(ws, run, expected) {
  const { code, stdout, stderr } = upstream(ws, ["status", "--run", run]);
  assert.equal(code, 0, stderr);
  const lines = logLines(stdout);
  const detail = ws.manifest(run).status_detail;
  assert.equal(lines[0], `Run: ${run}`);
  assert.equal(lines[1], `Status: ${expected.status}${detail === null ? "" : ` (${detail})`}`);
  assert.match(lines[3], /^Completed: \d{4}-/);
  const stages = ws.manifest(run).commands.map((c) => `  [${c.status}] ${c.title}${c.summary === null ? "" : ` — ${c.summary}`}`);
  assert.deepEqual(lines.slice(lines.indexOf("Commands:") + 1), stages.join("\n").split("\n"));
}

/** A2, while the run goes on: it is shown as alive by its heartbeat. */
export function a2StatusActive(ws, run) {
  const lines = logLines(upstream(ws, ["status", "--run", run]).stdout);
  assert.equal(lines[0], `Run: ${run}`);
  assert.equal(lines[1], "Status: in_progress");
  assert.equal(lines[2], `Started: ${ws.manifest(run).started_at}`);
  assert.equal(lines[3], "Completed: in-progress");
  assert.match(lines.find((l) => l.startsWith("Activity: ")) ?? "", /^Activity: \S+ via \S+ age=\d+s \[active\]$/);
  assert.ok(lines.includes("  [running] Hold"), lines.join("\n"));
}

/** A3: the run is found under another task id too. */
export function a3OtherTask(ws, run, expected) {
  const { code, stdout, stderr } = upstream(ws, ["status", "--run", run, "--format", "json"], { MCP_RUNNER_TASK_ID: "some-other-task" });
  assert.equal(code, 0, stderr);
  const status = JSON.parse(stdout);
  assert.equal(status.status, expected.status);
  assert.equal(status.manifest, `.runs/${TASK}/cli/${run}/manifest.json`);
}

/** A4: `doctor --usage` counts every run directory once, by status. */
export function a4Usage(ws) {
  const { code, stdout, stderr } = upstream(ws, ["doctor", "--usage", "--window-days", "3650", "--task", TASK, "--format", "json"]);
  assert.equal(code, 0, stderr);
  const { total, succeeded, failed, cancelled, other } = document(stdout).usage.runs;
  const runs = ws.runIds();
  const statuses = runs.map((run) => (existsSync(ws.manifestPath(run)) ? ws.manifest(run).status : "no manifest"));
  const count = (status) => statuses.filter((s) => s === status).length;
  assert.deepEqual(
    { total, succeeded, failed, cancelled, other },
    { total: runs.length, succeeded: count("succeeded"), failed: count("failed"), cancelled: count("cancelled"), other: 0 },
  );
}

/** A5: `review` makes its prompt from the run. */
export function a5Review(ws, run) {
  const prompt = path.join(ws.runDir(run), "review", "prompt.txt");
  rmSync(prompt, { force: true });
  const { code, stdout, stderr } = upstream(ws, ["review", "--manifest", ws.manifestPath(run), "--task", TASK, "--non-interactive"]);
  assert.equal(code, 0, stderr);
  const text = readFileSync(prompt, "utf8");
  assert.match(text, new RegExp(`^Review task: ${TASK}$`, "m"));
  assert.ok(stdout.includes(`Review task: ${TASK}`), "the prompt is printed too");
}

/** A6: a wrong token is refused, and the manifest stays byte for byte what it was. */
export function a6WrongToken(ws, run) {
  const before = readFileSync(ws.manifestPath(run), "utf8");
  const { code, stderr } = upstream(ws, ["resume", "--run", run, "--token", "wrong", "--no-interactive"]);
  assert.equal(code, 1);
  assert.ok(stderr.trimEnd().endsWith("Resume token mismatch."), stderr);
  assert.equal(readFileSync(ws.manifestPath(run), "utf8"), before);
}

/** A7: the CLI resumes the run: it runs what had not succeeded, and nothing else, and leaves valid evidence. */
export function a7Resume(ws, run, tokenSource = "file") {
  const before = ws.manifest(run);
  const lines = ws.metrics(run).length;
  const token = tokenSource === "file" ? readFileSync(path.join(ws.runDir(run), ".resume-token"), "utf8").trim() : before.resume_token;
  const { code, stdout, stderr } = upstream(ws, [
    "resume", "--run", run, "--token", token, "--actor", "a", "--reason", "r", "--format", "json", "--no-interactive",
  ]);
  assert.equal(code, 0, stderr);
  assert.equal(document(stdout).status, "succeeded");
  const after = ws.manifest(run);
  assert.equal(after.status, "succeeded");
  assert.equal(after.started_at, before.started_at);
  assert.ok(after.completed_at > before.completed_at, "completed_at moved");
  for (const [i, old] of before.commands.entries()) {
    if (old.status === "succeeded" || old.status === "skipped") {
      assert.deepEqual(after.commands[i], old, `stage ${old.id} was kept`);
    } else {
      assert.equal(after.commands[i].status, "succeeded");
      assert.ok(after.commands[i].started_at > before.updated_at, `stage ${old.id} ran again`);
    }
  }
  const { actor, reason, outcome } = after.resume_events.at(-1);
  assert.deepEqual({ actor, reason, outcome }, { actor: "a", reason: "r", outcome: "accepted" });
  assert.equal(after.resume_events.length, before.resume_events.length + 1);
  assert.deepEqual(schemaErrors(after), []);
  assert.equal(ws.metrics(run).length, lines + 1);
  assert.equal(ws.metrics(run).at(-1).status, "succeeded");
}

/** A7, where the run directory holds `manifest.json` and empty directories only. */
export function a7ResumeBare(ws, run) {
  assert.ok(statSync(path.join(ws.runDir(run), "commands")).isDirectory(), "without commands/ the CLI's resume dies of ENOENT");
  for (const name of [".heartbeat", ".resume-token", "runner.ndjson", "run-summary.json", "orchd.json"]) {
    rmSync(path.join(ws.runDir(run), name), { force: true });
  }
  a7Resume(ws, run, "manifest");
}

/** A8, upstream's half: after its `start` the history in runs.json still holds `earlier`; returns the new run's id. */
export function a8StartKeepsHistory(ws, earlier) {
  const { code, stdout, stderr } = upstream(ws, ["start", "diagnostics", "--format", "json", "--no-interactive"]);
  assert.equal(code, 0, stderr);
  const started = document(stdout);
  assert.equal(started.status, "succeeded");
  const runs = readJson(ws.abs("out", TASK, "runs.json")).runs.map((r) => r.runId);
  assert.deepEqual(earlier.filter((run) => !runs.includes(run)), [], "runs.json lost these");
  assert.ok(runs.includes(started.run_id));
  assert.equal(readJson(ws.abs("out", TASK, "state.json")).taskId, undefined, "this start did not overwrite state.json, so A8 proves nothing");
  return started.run_id;
}

/** The files around the manifest: pointers, token, heartbeat, summary, metrics, errors, snapshot. */
export function evidenceFiles(ws, run, expected) {
  const manifest = ws.manifest(run);
  const root = `.runs/${TASK}/cli/${run}`;
  assert.match(run, RUN_ID);
  assert.match(manifest.resume_token, /^[0-9a-f]{64}$/);
  assert.equal(readFileSync(path.join(ws.runDir(run), ".resume-token"), "utf8"), `${manifest.resume_token}\n`);
  assert.match(readFileSync(path.join(ws.runDir(run), ".heartbeat"), "utf8").replace(/\n$/, ""), ISO);
  for (const key of ["started_at", "completed_at", "updated_at", "heartbeat_at"]) assert.match(manifest[key], ISO, key);
  const pointer = readJson(ws.abs(".runs", TASK, "mcp", run, "manifest.json"));
  assert.equal(pointer.redirect_to, root);
  assert.equal(pointer.manifest, `${root}/manifest.json`);
  const link = ws.abs(".runs", "local-mcp", run, "manifest.json");
  assert.ok(lstatSync(link).isSymbolicLink());
  assert.equal(readlinkSync(link), `../../${TASK}/cli/${run}/manifest.json`);
  assert.equal(manifest.run_summary_path, `${root}/run-summary.json`);
  const summary = readJson(ws.abs(manifest.run_summary_path));
  assert.equal(summary.runId, run);
  assert.equal(summary.build.success, expected.status === "succeeded");
  for (const artifact of summary.build.artifacts) assert.ok(existsSync(ws.abs(artifact.path)), artifact.path);
  metricsLine(ws, run, expected, manifest);
  for (const stage of manifest.commands.filter((c) => c.error_file !== null)) {
    const error = readJson(ws.abs(stage.error_file));
    assert.equal(error.run_id, run);
    assert.equal(error.command_index, stage.index);
    assert.equal(error.reason, stage.status === "skipped" ? "command-allow-failure" : "command-failed");
    assert.equal(error.details.exit_code, stage.exit_code);
  }
  const snapshot = readJson(ws.abs("out", TASK, "runs.json"));
  assert.equal(snapshot.taskId, TASK);
  assert.equal(snapshot.runs.filter((r) => r.runId === run).length, 1);
}

function metricsLine(ws, run, expected, manifest) {
  const lines = ws.metrics(run);
  assert.equal(lines.length, 1);
  assert.deepEqual(Object.keys(lines[0]).slice(0, SEED_METRICS_KEYS.length), SEED_METRICS_KEYS);
  assert.equal(lines[0].status, expected.status);
  assert.equal(lines[0].duration_seconds, (Date.parse(manifest.completed_at) - Date.parse(manifest.started_at)) / 1000);
  assert.equal(lines[0].commands_passed, manifest.commands.filter((c) => c.status === "succeeded").length);
  assert.equal(lines[0].commands_failed, manifest.commands.filter((c) => c.status === "failed").length);
  assert.equal(lines[0].child_runs, manifest.child_runs.length);
}

/** Stage texts that a reader of either program's manifests must find alike. */
export function stageTexts(ws, runs) {
  const texts = (run) => ws.manifest(run).commands.map((c) => c.summary);
  assert.deepEqual(texts(runs.ok), ["built", "Lint is clean", "Command completed with code 0", "spec-guard ok"]);
  assert.deepEqual(texts(runs.bad).slice(1), ["Exited with code 1 — oops", null]);
  assert.equal(ws.manifest(runs.bad).status_detail, "stage:two:failed");
  assert.equal(ws.manifest(runs.ok).summary, "Guardrails: spec-guard succeeded (1 passed).");
  assert.equal(ws.manifest(runs.bad).summary, "Stage 'Two' failed with exit code 1.\nGuardrails: spec-guard partial (1 pending of 1).");
  const nested = ws.manifest(runs.nested);
  assert.deepEqual(nested.child_runs.map((c) => `${c.pipeline_id}:${c.status}`), ["lenient:succeeded", "broken:failed"]);
  assert.deepEqual(nested.commands.slice(1).map((c) => c.sub_run_id), nested.child_runs.map((c) => c.run_id));
  for (const child of nested.child_runs) assert.equal(ws.manifest(child.run_id).parent_run_id, runs.nested);
}

/** A log of which nothing was added: it still has `lines` lines. */
export function sameLength(text, lines) {
  assert.equal(text.trimEnd().split("\n").length, lines);
}
