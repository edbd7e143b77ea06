// All instances of this Redis and namespace, by their last reports.

import { get, isUnknown } from "./api.js";
import { $, count, duration, millis, percent, rate, setText, sum } from "./dom.js";
import { table } from "./table.js";

const FROM_CACHE = ["l1_hit", "l2_hit", "negative_hit"];

const isWell = ({ state }) => state === "in-step";
const reads = ({ kinds }, names) =>
	sum(Object.values(kinds).flatMap((kind) =>
		Object.entries(kind.reads).map(([name, number]) => (!names || names.includes(name) ? number : 0))));
const most = (shards, name) => Math.max(...shards.map((shard) => shard[name] ?? Infinity));

/** Only the last report of a silent instance is known, so its figures are left out. */
const figure = (title, show, sort) => ({
	title,
	number: true,
	sort,
	cell: (row) => (row.state === "silent" ? "–" : show(row)),
});

const instances = table({
	label: "Instances",
	empty: "No instance has announced itself.",
	id: ({ id }) => id,
	columns: [
		{ title: "Instance", first: true, sort: ({ name }) => name, cell: ({ name, own }) => `${name}${own ? " (this)" : ""}` },
		{ title: "Version", cell: ({ version }) => version },
		{ title: "State", wide: true, sort: ({ state }) => state, cell: state },
		figure("Proof", ({ shards }) => millis(most(shards, "proof_ms"))),
		figure("Ping", ({ shards }) => millis(most(shards, "barrier_ms"))),
		figure("Reads/s", (row) => rate(reads(row) / Math.max(row.seconds, 1)), (row) => reads(row)),
		figure("From the cache", (row) => percent(reads(row, FROM_CACHE), reads(row))),
		figure("Breaker", ({ breaker }) => breaker),
		figure("Pending", ({ held, pending }) => count(held + pending)),
		figure("Journal", ({ journal }) => count(journal.rows)),
		{ title: "Last report", number: true, sort: (row) => row.age_ms, cell: (row) => `${duration(row.age_ms / 1000)} ago` },
	],
});

function state(row) {
	const since = row.state === "silent" ? row.age_ms : row.unused_ms;
	const parts = [row.state.replace("-", " "), since && `for ${duration(Math.round(since / 1000))}`, row.why];
	return { text: parts.filter(Boolean).join(", "), level: isWell(row) ? "good" : "bad" };
}

export function mountFleet() {
	$("fleet-table").append(instances.element);
}

/** Reads the fleet. Returns the names of instances by id, and those that are not well. */
export async function readFleet() {
	let rows = [];
	try {
		const answer = await get("fleet");
		rows = answer.instances ?? [];
		const well = rows.filter(isWell).length;
		setText($("fleet-note"), answer.instances ? `${well} of ${rows.length} in step` : "Redis cannot be asked for reports.");
	} catch (error) {
		setText($("fleet-note"), isUnknown(error) ? "This version announces no instances." : error.message);
	}
	instances.update(rows);
	return {
		names: new Map(rows.map(({ id, name }) => [id, name])),
		unwell: rows.filter((each) => !isWell(each)).map(({ name }) => name),
	};
}
