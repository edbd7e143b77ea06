// The table of kinds, and the details of one.

import { get } from "./api.js";
import { $, bytes, count, duration, el, facts, grid, millis, nothing, percent, rate, setChild, sum, svg, word } from "./dom.js";
import { table } from "./table.js";

const PARTS = {
	local: ["l1_hits"],
	shared: ["l2_hits"],
	absent: ["negative_hits"],
	stale: ["stale_hits"],
	database: ["misses", "bypasses"],
};
const NAMES = Object.keys(PARTS);

let keys = null;
let prefetch = null;

const part = (minute, name) => sum(PARTS[name].map((counter) => minute?.[counter] ?? 0));
const reads = (minute) => sum(NAMES.map((name) => part(minute, name)));

/** Returns the most frequent reasons as text. */
function reasons(counts, most) {
	const all = sum(Object.values(counts ?? {}));
	const sorted = Object.entries(counts ?? {}).sort(([, a], [, b]) => b - a);
	return sorted.slice(0, most).map(([name, number]) => `${word(name)} ${percent(number, all)}`).join(", ");
}

function mix({ last_minute: minute }) {
	const all = reads(minute);
	let x = 0;
	const bars = NAMES.map((name) => {
		const width = all ? (part(minute, name) / all) * 100 : 0;
		x += width;
		return svg("rect", { x: x - width, width: Math.max(0, width - 0.6), height: 10, class: `area ${name}` });
	});
	const text = NAMES.map((name) => `${name} ${percent(part(minute, name), all)}`).join(", ");
	return svg("svg", {
		role: "img", "aria-label": all ? text : "no reads", class: "mix",
		viewBox: "0 0 100 10", preserveAspectRatio: "none",
	}, bars);
}

const share = (title, name) => ({
	title,
	number: true,
	sort: ({ last_minute: minute }) => part(minute, name) / (reads(minute) || 1),
	cell: ({ last_minute: minute }) => percent(part(minute, name), reads(minute)),
});

const kinds = table({
	label: "Kinds",
	empty: "No kind is cached here yet.",
	id: ({ kind }) => kind,
	detail: showDetail,
	columns: [
		{ title: "Kind", cell: ({ kind }) => kind, sort: ({ kind }) => kind },
		{
			title: "Reads/s", number: true, first: true,
			sort: ({ last_minute: minute }) => minute?.reads_per_second,
			cell: ({ last_minute: minute }) => rate(minute?.reads_per_second),
		},
		{ title: "Answered by", cell: mix },
		share("Local", "local"),
		share("Shared", "shared"),
		share("Absent", "absent"),
		share("Database", "database"),
		{ title: "Why missed", wide: true, cell: why },
		{
			title: "Saved", number: true,
			sort: ({ last_minute: minute }) => minute?.saved_seconds,
			cell: ({ last_minute: minute }) => saved(minute),
		},
		{
			title: "In this process", number: true, sort: (kind) => kind.l1_bytes,
			cell: (kind) => `${count(kind.l1_entries)} · ${bytes(kind.l1_bytes)}`,
		},
		{ title: "In Redis", number: true, cell: ({ kind }) => inRedis(keys?.kinds?.[kind]) },
		{ title: "TTL", number: true, sort: (kind) => kind.ttl_seconds, cell: (kind) => duration(kind.ttl_seconds) },
	],
});

function why({ last_minute: minute }) {
	const bypassed = reasons(minute?.bypass_reasons, 1);
	const text = [reasons(minute?.miss_reasons, 2), bypassed && `not cached: ${bypassed}`];
	const level = minute?.miss_reasons.other_shape ? "warn" : "";
	return { text: text.filter(Boolean).join("; ") || "–", level };
}

const saved = (minute) =>
	minute?.saved_seconds ? `${duration((minute.saved_seconds * 60) / Math.max(minute.seconds, 1))}/min` : "–";

const inRedis = (counted) => (counted ? `${counted.at_least ? "≥ " : ""}${count(counted.count)}` : "–");

export function mountKinds(tell) {
	$("kinds").append(kinds.element);
	$("count-keys").addEventListener("click", async () => {
		$("count-keys").disabled = true;
		keys = await tell(() => get("keys"));
		$("count-keys").disabled = false;
	});
}

export function showKinds(stats) {
	kinds.update(Object.entries(stats.kinds).map(([kind, figures]) => ({ kind, ...figures })));
}

function showDetail(row, element) {
	const minute = row.last_minute;
	const part = (title, content) => el("div", null, el("h3", null, title), content);
	setChild(element, el("div", { class: "details" },
		part("Misses", whyTable(row.miss_reasons, minute?.miss_reasons)),
		part("Bypasses", whyTable(row.bypass_reasons, minute?.bypass_reasons)),
		part("Indexes", indexes(row)),
		part("Since the start", el("dl", { class: "lines" }, facts([
			["Invalidated keys", count(row.invalidations)],
			["Evicted here", count(row.l1_evictions)],
			["Hit rate", percent(row.hit_rate ?? 0, 1)],
			["Mean load", millis(row.source_mean_ms)],
			["List of all lives for", duration(row.list_all_ttl_seconds)],
		]))),
		part("Prefetched rows", prefetched(prefetch?.kinds[row.kind]))));
}

function whyTable(total, minute) {
	const names = Object.keys(total).sort((a, b) => total[b] - total[a]);
	if (names.length === 0) return nothing("None.");
	return grid(["Reason", "Last minute", "Total"],
		names.map((name) => [word(name), count(minute?.[name] ?? 0), count(total[name])]));
}

function indexes({ indexes: known }) {
	if (known.length === 0) return nothing("None.");
	return el("ul", null, known.map(({ segment, fields, unique }) =>
		el("li", null, el("code", null, segment), ` of ${fields.join(", ")}${unique ? ", unique" : ""}`)));
}

export async function readPrefetch() {
	prefetch = await get("prefetch").catch(() => null);
}

function prefetched(kind) {
	if (!kind) return nothing("None.");
	return el("dl", { class: "lines" }, facts([
		["State", prefetch.state],
		...Object.entries(kind.rows).map(([fate, rows]) => [word(fate), count(rows)]),
		["Of these read", kind.precision === null ? "–" : percent(kind.precision, 1)],
	]));
}
