// The fields that name a row, a list, a whole kind or a key.

import { el, field, input, options } from "./dom.js";

const SHOWN = { key: ["key"], row: ["kind", "id"], list: ["kind", "index", "values"], all: ["kind"] };

/**
 * Makes the fields. `modes` maps values to labels; the first is chosen at the start.
 * `changed` is called at every change.
 */
export function picker(prefix, modes, changed) {
	const radios = Object.entries(modes).map(([value, label], at) =>
		el("label", { class: "check" },
			el("input", { type: "radio", name: `${prefix}-mode`, value, checked: at === 0 }), label));
	const key = input({ id: `${prefix}-key`, placeholder: "hero:3fa8" });
	const kind = el("select", { id: `${prefix}-kind` });
	const id = input({ id: `${prefix}-id` });
	const index = el("select", { id: `${prefix}-index` });
	const values = el("div", { class: "fields" });
	const rows = {
		key: field("Key, as in Redis", key),
		kind: field("Kind", kind),
		id: field("Id", id),
		index: field("List by", index),
		values,
	};
	const element = el("div", { class: "picker" },
		el("fieldset", { class: "choice" }, el("legend", null, "What"), radios),
		el("div", { class: "fields" }, Object.values(rows)));
	const inputs = () => [...values.querySelectorAll("input")];
	const mode = () => element.querySelector(":checked").value;
	let kinds = {};

	function arrange() {
		for (const [name, row] of Object.entries(rows)) row.hidden = !SHOWN[mode()].includes(name);
		const known = kinds[kind.value]?.indexes ?? [];
		options(index, known.map(({ segment }) => [segment, segment]));
		const fields = known.find(({ segment }) => segment === index.value)?.fields ?? [];
		if (fields.join() === inputs().map(({ name }) => name).join()) return;
		values.replaceChildren(...fields.map((name) => field(name, input({ name }))));
	}

	element.addEventListener("input", () => {
		arrange();
		changed();
	});
	arrange();

	const value = () => ({
		mode: mode(),
		key: key.value,
		kind: kind.value,
		id: id.value,
		fields: mode() === "list" ? Object.fromEntries(inputs().map((each) => [each.name, each.value])) : {},
	});

	/** Offers the kinds of the statistics. */
	function update(stats) {
		kinds = stats.kinds;
		options(kind, Object.keys(kinds).map((name) => [name, name]));
		arrange();
	}

	return { element, value, update };
}
