// The line that says whether all is well, and the four charts.

import { chart } from "./chart.js";
import { $, bytes, duration, el, facts, millis, percent, rate, setText, sum } from "./dom.js";

/** Returns the level and the sentence of the state. It has no figure that moves. */
function verdict({ health, service }) {
	const server = health.server ? ` at ${health.server.address}/${health.server.database}` : "";
	const why = health.reason ?? `the breaker is ${service.breaker}`;
	const known = {
		healthy: ["good", `Redis${server} is used, and every invalidation is received.`],
		full: ["warn", `${why}.`],
		disabled: ["warn", "Caching is off in this instance. Every read goes to the database."],
	};
	return known[health.status] ?? ["bad", `Redis${server} is not used: ${why}. Reads go to the database.`];
}

export function showState(stats) {
	const [level, sentence] = verdict(stats);
	const { health, service } = stats;
	$("status").dataset.level = level;
	setText($("status"), sentence);
	setText($("identity"), `instance ${service.instance.slice(0, 8)} · aside ${service.version}`);
	const proof = health.proof_age_seconds;
	const used = health.shards.filter((shard) => !shard.reason);
	$("facts").replaceChildren(...facts([
		["Last proof", proof !== null && `${millis(proof * 1000)} of ${millis(service.staleness_bound_ms)}`],
		["Not used for", health.unused_seconds !== null && duration(health.unused_seconds)],
		["Redis", health.server_version],
		["Round trip", health.latency_ms !== null && millis(health.latency_ms)],
		["Memory of Redis", health.used_memory_bytes > 0 && bytes(health.used_memory_bytes)],
		["Breaker", health.breaker],
		["Connections", health.connections],
		["Pending keys", health.held_keys],
		["Primaries", health.shards.length > 0 && `${used.length} of ${health.shards.length} used`],
	]));
}

/** Shows other causes for a look; `unwell` are instances of the fleet. */
export function showWarnings({ health, kinds, service }, unwell) {
	const lines = health.shards.filter((shard) => shard.reason)
		.map((shard) => ["bad", `${shard.server}: ${shard.reason}.`]);
	if (unwell.length) lines.push(["bad", `Not in step: ${unwell.join(", ")}. `, "#fleet"]);
	for (const [kind, { last_minute: minute }] of Object.entries(kinds)) {
		if (minute?.miss_reasons.other_shape > minute?.misses / 2) {
			lines.push(["warn", `Two shapes of ${kind} are deployed: each reads the other's values as misses.`]);
		}
	}
	if (service.releases_lost) {
		lines.push(["warn", `Redis has lost ${service.releases_lost} quarantines of writes since the start.`]);
	}
	const text = JSON.stringify(lines);
	if ($("warnings").dataset.lines === text) return;
	$("warnings").dataset.lines = text;
	$("warnings").replaceChildren(...lines.map(([level, line, href]) =>
		el("li", { "data-level": level }, line, href && el("a", { href }, "See the fleet"))));
}

const charts = {
	answered: chart("Answered by", "Share of reads"),
	times: chart("Time below this process", "Reads past local memory"),
	invalidated: chart("Invalidations", "Keys per second, by this instance"),
	staleness: chart("Staleness", "Age of proofs, delay of messages"),
};

export function mountCharts() {
	$("charts").append(...Object.values(charts).map(({ element }) => element));
}

export function showHistory(history, stats) {
	const kinds = Object.values(history.kinds);
	const total = (...names) => history.at.map((_, index) =>
		sum(kinds.flatMap((kind) => names.map((name) => kind[name][index]))));
	answered(history, total);
	times(history);
	invalidated(history, total("invalidations"));
	staleness(history, stats.service.staleness_bound_ms);
}

function answered({ at }, total) {
	const counts = {
		local: total("l1_hits"),
		shared: total("l2_hits"),
		absent: total("negative_hits"),
		stale: total("stale_hits"),
		database: total("misses", "bypasses"),
	};
	const names = Object.keys(counts).filter((name) => name !== "stale" || sum(counts.stale) > 0);
	const reads = total("l1_hits", "l2_hits", "negative_hits", "stale_hits", "misses", "bypasses");
	const all = sum(reads);
	charts.answered.update({
		at,
		stacked: true,
		format: (value) => `${value} %`,
		series: names.map((name) => ({
			name,
			color: name,
			values: counts[name].map((part, index) => (reads[index] ? (part / reads[index]) * 100 : 0)),
			text: (_, index) => percent(counts[name][index], reads[index]),
		})),
		headline: percent(all - sum(counts.database), all),
		note: "from the cache",
	});
}

const last = (values) => values.findLast((value) => value !== null) ?? null;

function times({ at, times_ms: { miss, l2_hit: shared } }) {
	charts.times.update({
		at,
		format: millis,
		series: [
			{ name: "miss p99", color: "database", values: miss.p99 },
			{ name: "miss p50", color: "database", values: miss.p50, dashed: 1 },
			{ name: "shared p99", color: "shared", values: shared.p99 },
			{ name: "shared p50", color: "shared", values: shared.p50, dashed: 1 },
		],
		headline: millis(last(shared.p99) ?? last(miss.p99)),
		note: `${last(shared.p99) === null ? "miss" : "shared"} p99`,
	});
}

function invalidated({ at, seconds }, counts) {
	const text = (value) => `${rate(value)} /s`;
	const mean = text(sum(counts) / Math.max(sum(seconds), 1));
	const values = counts.map((count, index) => count / Math.max(seconds[index], 0.001));
	charts.invalidated.update({
		at,
		format: rate,
		least: 1,
		series: [{ name: "keys", color: "local", values, text }],
		headline: mean,
		note: "on average",
	});
}

function staleness({ at, proof_age_ms: proof, lag_ms: lag }, bound) {
	charts.staleness.update({
		at,
		format: millis,
		least: bound * 1.1,
		series: [
			{ name: "proof age", color: "local", values: proof },
			{ name: "lag p99", color: "shared", values: lag.p99, dashed: 2 },
			{ name: "bound", color: "bad", values: at.map(() => bound), dashed: 1 },
		],
		headline: millis(proof.at(-1)),
		note: `of ${millis(bound)} allowed`,
	});
}
