// Invalidation in three steps: count what would go, see what stays, confirm by name.

import { get, remove } from "./api.js";
import { $, count, el, field, input, refusal } from "./dom.js";
import { picker } from "./picker.js";

const target = picker("purge", { row: "A row", list: "A list", all: "The whole kind" }, reset);

let unwell = [];

/** Sets the names of instances that may not hear of an invalidation. */
export function setUnwell(next) {
	unwell = next;
}

export const updatePurge = target.update;

export function mountPurge() {
	$("purge-form").append(target.element, el("button", { type: "submit", class: "primary" }, "Count"));
	$("purge-form").addEventListener("submit", (event) => {
		event.preventDefault();
		const chosen = target.value();
		show("Counting…", async () => question(chosen, await counted(chosen)));
	});
}

function reset() {
	$("purged").replaceChildren();
}

/** Shows the elements that a request leads to, and moves the focus there. */
async function show(meanwhile, elements) {
	$("purged").replaceChildren(el("p", null, meanwhile));
	try {
		$("purged").replaceChildren(...await elements());
	} catch (error) {
		$("purged").replaceChildren(refusal(error));
	}
	$("purged").focus();
}

/** Counts the keys in Redis without a change. */
async function counted({ mode, kind, id, fields }) {
	if (mode === "all") return (await get("keys")).kinds?.[kind] ?? null;
	const { state } = await get("explain", mode === "row" ? { kind, id } : { kind, ...fields });
	return state === "unknown" ? null : { count: state === "absent" ? 0 : 1 };
}

function keysOf(counts) {
	if (!counts) return "an unknown number of keys";
	return `${counts.at_least ? "at least " : ""}${count(counts.count)} ${counts.count === 1 ? "key" : "keys"}`;
}

const said = (level, text) => el("p", { class: "verdict", "data-level": level }, text);

function question(chosen, counts) {
	const { mode, kind } = chosen;
	const go = el("button", {
		type: "button", class: "danger", disabled: true,
		onclick: () => show("Invalidating…", () => run(chosen)),
	}, `Invalidate ${mode === "all" ? `all of ${kind}` : `the ${mode}`}`);
	const name = input({
		id: "purge-confirm",
		oninput: () => {
			go.disabled = name.value !== kind;
		},
		onkeydown: ({ key }) => key === "Enter" && go.click(),
	});
	const notes = [
		mode === "all" && "The database gets the reads of this kind until it is cached again.",
		mode === "row" && "Lists that contain the row stay as they are.",
		unwell.length > 0 && `Instances that are not in step may not hear of it at once: ${unwell.join(", ")}.`,
	];
	return [
		said("warn", `This invalidates ${keysOf(counts)} in Redis, and the copies of every instance.`),
		el("ul", null, notes.filter(Boolean).map((note) => el("li", null, note))),
		field(`Type ${kind} to confirm`, name),
		go,
	];
}

async function run({ mode, kind, id, fields }) {
	const path = encodeURIComponent(kind);
	const answer = await (mode === "row" ? remove(`${path}/${encodeURIComponent(id)}`) : remove(path, fields));
	if (answer.pending) {
		return [said("bad", "Redis did not acknowledge it, so it is pending: this instance reads those keys from the database, and other instances do not know yet.")];
	}
	const counts = { count: answer.invalidated, at_least: answer.at_least };
	return [said("good", `Invalidated: ${keysOf(counts)} in Redis, and the copies of every instance.`)];
}
