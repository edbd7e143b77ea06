// Why a read of a key returns what it returns.

import { get } from "./api.js";
import { $, bytes, duration, el, facts, refusal, word } from "./dom.js";
import { picker } from "./picker.js";

const target = picker("explain", { key: "A key", row: "A row", list: "A list" }, () => {});

export const updateExplain = target.update;

export function mountExplain() {
	$("explain-form").append(target.element, el("button", { type: "submit", class: "primary" }, "Explain"));
	$("explain-form").addEventListener("submit", async (event) => {
		event.preventDefault();
		await explain(parameters(target.value()));
	});
}

function parameters({ mode, key, kind, id, fields }) {
	if (mode === "key") return { key };
	return mode === "row" ? { kind, id } : { kind, ...fields };
}

async function explain(query) {
	try {
		$("explained").replaceChildren(...show(await get("explain", query)));
	} catch (error) {
		$("explained").replaceChildren(refusal(error));
	}
	$("explained").focus();
}

const SENTENCES = {
	served: "The next read is answered from Redis.",
	loading: "Another reader is loading it; the next read waits for that.",
	write_in_flight: "A write is in progress; reads go to the database until it ends.",
	absent: "The next read is a miss: Redis has nothing under this key.",
	mark: "The next read is a miss: there is a stamp for cached queries, and no value.",
	foreign: "The next read is a miss: another program has written this key.",
};

const COPIES = {
	served: "served",
	invalidated: "not served: invalidated",
	forgotten: "not served: the kind was invalidated",
	expired: "not served: expired",
	unproved: "not served: an invalidation may have been missed",
};

function copy(local) {
	if (!local) return "none";
	const absence = local.absence ? "an absence, " : "";
	return `${absence}${COPIES[local.verdict] ?? word(local.verdict)}, loaded ${duration(local.age_seconds)} ago`;
}

function sentence({ verdict, state, bypass, reason, possible, next_read: next }) {
	if (state === "not_ours") {
		const known = possible?.length ? ` Kinds here: ${possible.join(", ")}.` : "";
		return ["warn", `No kind that is cached here has this key, so Redis was not asked.${known}`];
	}
	if (next === "local") return ["good", "The next read is answered from this process."];
	if (next === "prefetched") return ["good", "The next read is answered from this process, which fetched it ahead."];
	if (state === "unknown") return ["bad", `Redis does not answer: ${reason ?? "no reason is known"}.`];
	if (verdict === "bypassed") {
		return ["warn", `The next read goes to the database, past Redis: ${word(bypass)}${reason ? `, ${reason}` : ""}.`];
	}
	const miss = verdict ? `The next read is a miss: ${word(verdict)}.` : "Nothing reads this key.";
	return [verdict === "served" ? "good" : "plain", SENTENCES[verdict] ?? miss];
}

function show(answer) {
	const [level, text] = sentence(answer);
	const { header, required } = answer;
	const compared = (name) => {
		const [found, wanted] = [header?.[name], required?.[name]];
		if (found === undefined) return null;
		if (wanted === undefined || found === wanted) return String(found);
		const later = name === "epoch" && found > wanted;
		return later ? `${found} (here ${wanted})` : el("span", { "data-level": "warn" }, `${found}, here ${wanted}`);
	};
	return [
		el("p", { class: "verdict", "data-level": level }, text),
		el("dl", { class: "facts" }, facts([
			["Key", el("code", null, answer.key)],
			["Kind", answer.kind],
			["State in Redis", word(answer.state)],
			["Size", header?.bytes === undefined ? null : header.bytes === null ? "too large" : bytes(header.bytes)],
			["Copy in this process", answer.kind ? copy(answer.local) : null],
			["Proved", answer.local?.proof_age_seconds == null ? null : `${duration(answer.local.proof_age_seconds)} ago`],
			["Lives for", answer.ttl_seconds === null ? null : duration(answer.ttl_seconds)],
			["Version of the row", header?.version],
			["Writers", header?.writers],
			["Type in Redis", header?.type],
			["History", compared("history")],
			["Epoch", compared("epoch")],
			["Shape", compared("shape")],
			["Server", answer.server],
			["Slot", answer.slot],
			["Not used for", answer.unused_seconds === null ? null : duration(answer.unused_seconds)],
		])),
		el("details", null, el("summary", null, "The whole answer"),
			el("pre", null, JSON.stringify(answer, null, 2))),
	];
}
