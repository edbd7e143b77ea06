// The stream of invalidations. It is no live region: it would speak without a pause.

import { stream } from "./api.js";
import { $, clock, count, el, grid, nothing, options, setText } from "./dom.js";

const MAX_SHOWN = 200;
const MAX_PER_SECOND = 50;
const RETRY_MS = 2_000;

let events = [];
let names = new Map();
let running = null;
let drawing = null;
let problem = "";
let [passed, missed, second, inSecond] = [0, 0, 0, 0];

export function setNames(next) {
	names = next;
}

export function mountEvents() {
	for (const id of ["events-kind", "events-why"]) $(id).addEventListener("change", show);
	$("events-pause").addEventListener("click", () => {
		const pauses = running !== null;
		$("events-pause").setAttribute("aria-pressed", String(pauses));
		if (pauses) stop();
		else start();
	});
}

export function stop() {
	running?.abort();
	running = null;
	show();
}

/** Follows the stream, unless it is paused, and connects again if it ends. */
export async function start() {
	if (running || $("events-pause").getAttribute("aria-pressed") === "true") return;
	const own = new AbortController();
	running = own;
	while (running === own) {
		try {
			// The stream begins with the latest ones, which are known already.
			events = [];
			problem = "";
			await stream("events", own.signal, add);
			problem = "the stream has ended";
		} catch (error) {
			problem = error.message;
		}
		if (running !== own) return;
		show();
		await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
	}
}

function add(name, data) {
	const now = Math.floor(Date.now() / 1000);
	if (second !== now) [second, inSecond] = [now, 0];
	inSecond += 1;
	if (name === "missed") missed += data.count;
	// The latest ones, at the beginning, are not of this second.
	else if (inSecond > MAX_PER_SECOND && data.at > Date.now() - 1_000) passed += 1;
	else events = [data, ...events.slice(0, MAX_SHOWN - 1)];
	// Events that arrive together are drawn once.
	drawing ??= setTimeout(show, 100);
}

/** Returns the events with the chosen value, and offers those there are. */
function chosen(id, name) {
	const found = [...new Set(events.map((event) => event[name]).filter(Boolean))].sort();
	options($(id), [["", "all"], ...found.map((value) => [value, value])]);
	$(id).parentElement.hidden = found.length === 0;
	return (event) => [undefined, "", event[name]].includes($(id).value);
}

function show() {
	clearTimeout(drawing);
	drawing = null;
	const shown = events.filter(chosen("events-kind", "kind")).filter(chosen("events-why", "why"));
	$("events").replaceChildren(shown.length
		? grid(["Time", "Key", "Reason", "By"], shown.map(cells), null, 1)
		: nothing("No invalidation yet."));
	setText($("events-note"), [
		`${count(shown.length)} shown`,
		passed && `${count(passed)} passed over (more than ${MAX_PER_SECOND} per second)`,
		missed && `${count(missed)} missed by this page`,
		!running && "paused",
		problem,
	].filter(Boolean).join(", "));
}

function cells({ at, key, kind, why, by, own }) {
	const whole = kind ? `${kind} (whole kind)` : "everything: a message of another version";
	const sender = by && `${names.get(by) ?? by.slice(0, 8)}${own ? " (this)" : ""}`;
	return [at ? clock(at, true) : "–", key ? el("code", null, key) : whole, why ?? "–", sender ?? "–"];
}
