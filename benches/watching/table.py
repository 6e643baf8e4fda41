"""The figures as Markdown: one column for each tool, and what ours must be."""

import statistics

from . import tools

MIB = 1024 * 1024


def percentile(values, share):
    """Nearest rank."""
    return sorted(values)[max(0, -int(-share * len(values) // 1) - 1)]


def saved(values):
    times = [time for value in values for time in value["ms"]]
    lost = sum(value["lost"] for value in values)
    told = f"{statistics.median(times):.1f} / {percentile(times, 0.99):.1f}" if times else "none answered"
    return told + (f", {lost} lost" if lost else "")


def middle(values, of, form):
    known = [of(value) for value in values if of(value) is not None]
    return form.format(statistics.median(known)) if known else "–"


def runs(values):
    counts = sorted(value["runs"] for value in values)
    return f"{counts[0]}" if counts[0] == counts[-1] else f"{counts[0]} to {counts[-1]}"


def last_run(values):
    if any(value["last_ms"] is None or value["last_ms"] < 0 for value in values):
        return "none after the last write"
    told = middle(values, lambda value: value["last_ms"], "{:,.0f} ms")
    return told if all(value["settled"] for value in values) else f"{told}, and no end in sight"


ROWS = (
    ("save", "save → program starts, p50 / p99, ms", "≤ 23.1 / 25", "save", saved),
    ("save", "… in the large tree", "", "save_large", saved),
    ("ready", "ready, large tree", "≤ 1.5 s, ≤ ½ watchman", "ready", lambda v: middle(v, lambda r: r["s"], "{:.2f} s")),
    ("ready", "… it has said that all is watched", "", "ready", lambda v: middle(v, lambda r: r.get("watched_s"), "{:.2f} s")),
    ("memory", "memory then", "≤ 30 MiB", "memory", lambda v: middle(v, lambda b: b / MIB, "{:.1f} MiB")),
    ("storm", "storm: runs started", "1 (2)", "storm", runs),
    ("storm", "… last run starts after the last write", "≤ 50 ms", "storm", last_run),
    ("storm", "… watcher's CPU per file", "≤ 40 µs", "storm", lambda v: middle(v, lambda s: s["cpu_us_per_file"], "{:.0f} µs")),
    ("storm", "… the writer took, beside it", "", "storm", lambda v: middle(v, lambda s: s["writing_s"], "{:.2f} s")),
    ("idle", "idle: CPU ticks", "0", "idle", lambda v: middle(v, lambda i: i["ticks"], "{:.0f}")),
    ("idle", "… wakeups per second", "≤ 0.2", "idle", lambda v: middle(v, lambda i: i["wakeups_per_s"], "{:.1f}")),
    ("remove", "after `rm -rf`: worst save → program starts", "≤ 100 ms", "remove", lambda v: middle(v, lambda r: max(r["ms"]), "{:.0f} ms")),
)


def tools_table(chosen, results, only):
    heads = [f"{tool.name} {tool.version()}".strip() if not isinstance(tool, tools.Ours) else "ours" for tool in chosen]
    lines = ["| | " + " | ".join(heads) + " | ours must be |", "|---|" + "---:|" * (len(chosen) + 1)]
    for row, title, bound, key, form in ROWS:
        if row in only:
            cells = [form(results[tool.name][key]) if results[tool.name].get(key) else "–" for tool in chosen]
            lines.append(f"| {title} | " + " | ".join(cells) + f" | {bound} |")
    for name, told in results.items():
        lines += [f"\n{name}: {reason}" for reason in told.get("failed", [])]
    return lines


def growth(rows, limit):
    lines = ["| tool | directories | ready | CPU until then | memory | save → program p50 | |", "|---|---:|---:|---:|---:|---:|---|"]
    for row in rows:
        head = f"| {row['tool']} | {row['directories']:,} | "
        if "failed" in row:
            lines.append(head + f"– | – | – | – | {row['failed']} |")
            continue
        state = f"{row['state']}, {row['watches']:,} watches" if "state" in row else ""
        if row["directories"] > limit:
            state += f"; more than `max_user_watches`, {limit:,}"
        if row["ready"]["first_s"] < row["ready"]["s"]:
            state += f"; first answer after {row['ready']['first_s']:.2f} s"
        save = f"{statistics.median(row['save_ms']):.1f} ms" if row["save_ms"] else "none answered"
        lines.append(head + f"{row['ready']['s']:.2f} s | {row['cpu_s']:.2f} s | {row['pss_bytes'] / MIB:.1f} MiB | {save} | {state} |")
    return lines


def workspaces(rows):
    lines = ["| workspaces | all are watched after | CPU | memory | save → program p50 | |", "|---:|---:|---:|---:|---:|---|"]
    for row in rows:
        if "failed" in row:
            lines.append(f"| {row['workspaces']} | – | – | – | – | {row['failed']} |")
            continue
        save = f"{statistics.median(row['save_ms']):.1f} ms" if row["save_ms"] else "none answered"
        lines.append(f"| {row['workspaces']} | {row['ready_s']:.2f} s | {row['cpu_s']:.2f} s | {row['pss_bytes'] / MIB:.1f} MiB | {save} | "
                     f"{', '.join(row['states'])}, {row['watches']:,} watches |")
    return lines


def daemon(told):
    lines = ["| the daemon alone | | must be |", "|---|---:|---|"]
    if "status" in told:
        status, true = told["status"]["status"], told["status"]["true"]
        lines.append(f"| `orchctl status`, whole process, p50 / p95 | {statistics.median(status):.1f} / {percentile(status, 0.95):.1f} ms | ≤ 4 ms |")
        lines.append(f"| … beside it `/bin/true` | {statistics.median(true):.1f} / {percentile(true, 0.95):.1f} ms | |")
    if "requests" in told:
        row = told["requests"]
        lines.append(f"| `status` requests a second on one connection | {row['per_s']:,.0f} | ≥ 10,000 |")
        lines.append(f"| … CPU for each, daemon / this client | {row['daemon_us']:.0f} / {row['client_us']:.0f} µs | |")
    if "events" in told:
        late = [value for values in told["events"].values() for value in values]
        if late:
            lines.append(f"| event read after its `at`, {len(late)} events, p50 / p99 (of which 0 to 1 ms is `at`'s grain) | "
                         f"{statistics.median(late):.2f} / {percentile(late, 0.99):.2f} ms | ≤ 1 ms |")
    return lines
