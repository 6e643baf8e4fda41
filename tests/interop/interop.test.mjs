// Interop with the published CLI, checked on runs that our programs wrote (or, with INTEROP_SELF=1, the CLI itself).
// Started by run.sh; README.md says what each check proves and what is asserted beyond the contract's letter.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import test, { after, before } from "node:test";

import * as check from "./checks.mjs";
import { assertBuilt, ctl, ctlJson, startDaemon, untilListed } from "./ours.mjs";
import { assertCovers, goldenPath, planCases, stable } from "./plan.mjs";
import { TEETH } from "./teeth.mjs";
import { document, offline, schemaErrors, upstream, version } from "./upstream.mjs";
import { TASK, makeWorkspace, readJson, untilTerminal } from "./workspace.mjs";
import { EXPECTED, byDaemon, byNoDaemon, byUpstream, byUpstreamReduced } from "./writers.mjs";

const self = process.env.INTEROP_SELF === "1";
const keep = process.env.INTEROP_KEEP === "1";
const bless = process.env.INTEROP_BLESS === "1";

before(() => {
  assert.equal(version, "0.2.1", "the published CLI that is installed");
  if (!self) assertBuilt();
});

const workspaces = [];
function workspace(config) {
  const ws = makeWorkspace(config);
  workspaces.push(ws);
  return ws;
}
after(() => {
  for (const ws of workspaces) {
    if (keep) console.error(`interop: kept ${ws.scratch}`);
    else ws.remove();
  }
});

test("the published CLI runs without a network", { skip: offline ? false : "`unshare -rn` does not work here: NOT OFFLINE" }, () => {});

/** A0 to A7 and the files, on the four runs of one writer. */
async function family(t, ws, runs, withFiles = true) {
  runs = { ...runs };
  const held = ws.manifest(runs.cancelled);
  const expected = { ...EXPECTED, cancelled: { status: "cancelled", stages: held.commands.map((c) => `${c.id}:${c.status}`) } };
  for (const name of ["ok", "bad", "cancelled", "nested"]) {
    const [run, want] = [runs[name], expected[name]];
    await t.test(`A0 schema, ${name}`, () => check.a0Schema(ws, run));
    await t.test(`A1 status --format json, ${name}`, () => check.a1StatusJson(ws, run, want));
    await t.test(`A2 status, ${name}`, () => check.a2StatusText(ws, run, want));
    await t.test(`A3 other task id, ${name}`, () => check.a3OtherTask(ws, run, want));
    if (withFiles) await t.test(`files, ${name}`, () => check.evidenceFiles(ws, run, want));
  }
  await t.test("A0 schema, child runs", () => {
    for (const child of ws.manifest(runs.nested).child_runs) check.a0Schema(ws, child.run_id);
  });
  await t.test("stage texts and child runs", () => check.stageTexts(ws, runs));
  await t.test("the last stage of the cancelled run never ran", () => {
    assert.equal(held.commands[2].status, "pending");
    assert.equal(held.commands[2].started_at, null);
    assert.notEqual(held.completed_at, null);
  });
  await t.test("A4 doctor --usage", () => check.a4Usage(ws));
  await t.test("A5 review, ok", () => check.a5Review(ws, runs.ok));
  await t.test("A5 review, bad", () => check.a5Review(ws, runs.bad));
  await t.test("A6 wrong token", () => check.a6WrongToken(ws, runs.bad));
  await t.test("A7 resume, failed run", () => {
    ws.touch("fixed");
    check.a7Resume(ws, runs.bad);
    assert.equal(readFileSync(path.join(ws.scratch, "one.log"), "utf8"), "ran\n", "the stage that had succeeded did not run again");
  });
  await t.test("A7 resume, cancelled run with its manifest only", () => {
    ws.touch("go");
    check.a7ResumeBare(ws, runs.cancelled);
  });
}

test("upstream's own runs pass", { skip: !self }, async (t) => {
  const ws = workspace();
  const runs = await byUpstream(ws);
  const before = Object.values(runs);
  await family(t, ws, runs);
  await t.test("A8 runs.json keeps history", () => check.a8StartKeepsHistory(ws, before));
});

test("upstream's runs in the 28 + 7 fields pass", { skip: !self }, async (t) => {
  const ws = workspace();
  await family(t, ws, await byUpstreamReduced(ws));
});

test("each check can fail", { skip: !self }, async (t) => {
  const ws = workspace();
  const runs = await byUpstreamReduced(ws);
  for (const { name, tamper, attempt } of TEETH) {
    await t.test(name, () => {
      const copy = ws.copy();
      workspaces.push(copy);
      attempt(copy, runs);
      const other = ws.copy();
      workspaces.push(other);
      tamper(other, runs);
      assert.throws(() => attempt(other, runs), assert.AssertionError);
    });
  }
});

test("orchctl run --no-daemon", { skip: self }, async (t) => {
  const ws = workspace();
  await family(t, ws, await byNoDaemon(ws));
});

test("orchd", { skip: self }, async (t) => {
  const ws = workspace();
  const daemon = await startDaemon(ws);
  t.after(() => daemon.stop());
  const runs = await byDaemon(ws);
  await t.test("A0 to A2 and the files, a run that executes nothing", () => {
    const { run_id: run } = ctlJson(ws, ["run", "diagnostics", "--json"]);
    const { stages } = readJson(path.join(ws.runDir(run), "orchd.json"));
    assert.ok(stages.length > 0 && stages.every((stage) => stage.reused_from !== null), "every stage was taken over");
    check.a0Schema(ws, run);
    check.a1StatusJson(ws, run, EXPECTED.ok);
    check.a2StatusText(ws, run, EXPECTED.ok);
    check.evidenceFiles(ws, run, EXPECTED.ok);
  });
  const all = ws.runIds();
  await t.test("our snapshot before anyone else wrote", () => {
    const state = readJson(ws.abs("out", TASK, "state.json"));
    assert.equal(state.taskId, TASK);
    assert.equal(state.orchd.schema, 1);
    assert.deepEqual(state.runs, readJson(ws.abs("out", TASK, "runs.json")).runs);
  });
  await family(t, ws, runs);
  await t.test("B1 a run that upstream resumed is listed with its new status", async () => {
    const { found } = await untilListed(ws, runs.bad, (r) => r.status === "succeeded");
    assert.equal(found.pipeline_id, "bad");
  });
  const theirs = await reverse(t, ws, all);
  await t.test("A8 state.json is whole again after our next run", async () => {
    const ours = ctlJson(ws, ["run", "diagnostics", "--force", "--json"]).run_id;
    await untilTerminal(ws, ours);
    for (const name of ["state.json", "runs.json"]) {
      const ids = readJson(ws.abs("out", TASK, name)).runs.map((r) => r.runId);
      assert.deepEqual([...all, theirs, ours].filter((run) => !ids.includes(run)), [], `${name} lacks these`);
      assert.equal(new Set(ids).size, ids.length, `${name} holds a run twice`);
    }
    const state = readJson(ws.abs("out", TASK, "state.json"));
    assert.equal(state.taskId, TASK);
    assert.equal(state.orchd.last_run.run_id, ours);
    assert.deepEqual(Object.keys(state.safety).length > 0 && Object.keys(state.alerts).length > 0, true, "upstream's keys are kept");
    assert.equal(readJson(ws.abs("out", TASK, "runs.json")).orchd, undefined);
  });
});

/** What orchctl says of runs that upstream wrote into a watched workspace; returns the id of the started one. */
async function reverse(t, ws, all) {
  let theirs = null;
  await t.test("A8 upstream start keeps our history in runs.json", () => {
    theirs = check.a8StartKeepsHistory(ws, all);
  });
  await t.test("A8 orchctl runs serves the full history", async () => {
    const { found, runs } = await untilListed(ws, theirs, (r) => r.status === "succeeded");
    assert.deepEqual(all.filter((run) => !runs.some((r) => r.run_id === run)), []);
    const manifest = ws.manifest(theirs);
    assert.equal(found.task_id, TASK);
    assert.equal(found.pipeline_id, "diagnostics");
    assert.equal(found.started_at, manifest.started_at);
    assert.equal(found.completed_at, manifest.completed_at);
    assert.equal(found.duration_ms, Date.parse(manifest.completed_at) - Date.parse(manifest.started_at));
    assert.equal(found.manifest, `.runs/${TASK}/cli/${theirs}/manifest.json`);
    const started = runs.map((r) => r.started_at);
    assert.deepEqual(started, [...started].sort().reverse(), "newest first");
  });
  await t.test("B2 orchctl show reads a manifest with upstream's extra keys", () => {
    const shown = ctlJson(ws, ["show", theirs, "--json"]);
    const flat = { ...shown.manifest, ...shown.run, ...shown };
    assert.equal(flat.run_id, theirs);
    assert.equal(flat.status, "succeeded");
    const text = ctl(ws, ["show", theirs]);
    assert.equal(text.code, 0, text.stderr);
    assert.ok(text.stdout.includes(theirs) && text.stdout.includes("lint"), text.stdout);
  });
  await t.test("B3 orchctl resume of a run that upstream wrote keeps its extra keys", async () => {
    const failed = document(upstream(ws, ["start", "broken", "--format", "json", "--no-interactive"]).stdout).run_id;
    await untilListed(ws, failed, (r) => r.status === "failed");
    const before = ws.manifest(failed);
    const told = ctlJson(ws, ["resume", "--run", failed, "--token", before.resume_token, "--actor", "a", "--reason", "r", "--json"], 1);
    assert.equal(told.run_id, failed);
    const after = await untilTerminal(ws, failed);
    assert.equal(after.status, "failed");
    assert.deepEqual(schemaErrors(after), []);
    const lost = Object.keys(before).filter((key) => !(key in after) && key !== "guardrail_status");
    assert.deepEqual(lost, []);
    assert.equal(after.workspace_path, before.workspace_path);
    assert.deepEqual(after.memory, before.memory);
    const { actor, reason, outcome } = after.resume_events.at(-1);
    assert.deepEqual({ actor, reason, outcome }, { actor: "a", reason: "r", outcome: "accepted" });
  });
  await t.test("B4 orchctl refuses a wrong token as upstream does", () => {
    const refused = ctl(ws, ["resume", "--run", theirs, "--token", "wrong"]);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /token/i);
  });
  return theirs;
}

test("plan", async (t) => {
  for (const { name, config, pipeline } of planCases()) {
    await t.test(name, () => {
      const ws = workspace(config);
      const asked = pipeline === null ? [] : [pipeline];
      const golden = goldenPath(name);
      const theirs = upstream(ws, ["plan", ...asked, "--format", "json"]);
      const said = theirs.code === 0 ? stable(document(theirs.stdout)) : { error: theirs.stderr.trim().split("\n").at(-1) };
      if (bless) {
        mkdirSync(path.dirname(golden), { recursive: true });
        writeFileSync(golden, `${JSON.stringify(said, null, 2)}\n`);
      }
      assert.deepEqual(said, readJson(golden), "upstream says what the golden file holds");
      assert.deepEqual(ws.runIds(), [], "plan runs nothing");
      if (self) return;
      const args = ["plan", ...asked, "--no-daemon", "--json"];
      if (said.error === undefined) assertCovers(ctlJson(ws, args), said);
      else assert.equal(ctl(ws, args).code, 2);
      assert.deepEqual(ws.runIds(), [], "our plan runs nothing");
    });
  }
  await t.test("an unknown pipeline is named", () => {
    const ws = workspace();
    const theirs = upstream(ws, ["plan", "nope", "--format", "json"]);
    assert.equal(theirs.code, 1);
    assert.match(theirs.stderr, /Pipeline 'nope' not found\./);
    if (self) return;
    const ours = ctl(ws, ["plan", "nope", "--no-daemon", "--json"]);
    assert.equal(ours.code, 2);
    assert.match(ours.stderr, /nope/);
  });
  await t.test("an unknown stage set is named", () => {
    const ws = workspace({ pipelines: [{ id: "x", title: "X", stages: [{ kind: "stage-set", ref: "lost" }] }] });
    const theirs = upstream(ws, ["plan", "x", "--format", "json"]);
    assert.equal(theirs.code, 1);
    assert.match(theirs.stderr, /references unknown stage set "lost"/);
    if (self) return;
    const ours = ctl(ws, ["plan", "x", "--no-daemon", "--json"]);
    assert.equal(ours.code, 2);
    assert.match(ours.stderr, /lost/);
  });
});
