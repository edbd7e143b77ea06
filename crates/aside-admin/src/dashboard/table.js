// Tables that sort, and that change in place: a row keeps its focus and its details
// while figures move.

import { el, nothing, setChild, setText } from "./dom.js";

let tables = 0;

/** Sets a cell to a text, an element, or `{ text, level }`. */
function setCell(cell, content) {
	if (content instanceof Node) {
		setChild(cell, content);
		return;
	}
	const { text, level } = content?.text ? content : { text: content };
	cell.dataset.level = level ?? "";
	setText(cell, text ?? "–");
}

/**
 * Makes a table. A column has `title`, `cell(row)`, and `sort(row)` if it can be sorted
 * by; `number` aligns it, a `wide` one wraps, and the `first` one sorts at the start. `detail(row, element)`
 * fills the element below an opened row.
 */
export function table({ label, columns, id, detail, empty }) {
	const name = `table-${(tables += 1)}`;
	let by = columns.findIndex((column) => column.first);
	let down = Boolean(columns[by].number);
	let rows = [];
	const known = new Map();

	const heads = columns.map(({ title, sort, number }, at) =>
		el("th", { scope: "col", class: number && "number" },
			sort ? el("button", { type: "button", onclick: () => sortBy(at) }, title) : title));
	const body = el("tbody");
	const none = nothing(empty);
	const scroll = el("div", { class: "scroll", role: "region", tabindex: 0, "aria-label": `${label}, table` },
		el("table", null, el("thead", null, el("tr", null, heads)), body));

	function sortBy(at) {
		down = by === at ? !down : Boolean(columns[at].number);
		by = at;
		arrange();
	}

	function make(key) {
		const own = `${name}-${known.size}`;
		const parts = {
			cells: columns.map(({ number, wide }, at) =>
				el(at ? "td" : "th", { scope: at ? null : "row", class: (number && "number") || (wide && "wide") })),
		};
		parts.lines = [el("tr", { "data-id": key }, parts.cells)];
		if (detail) {
			parts.inner = el("div");
			parts.toggle = el("button", {
				type: "button", class: "toggle", "aria-expanded": "false", "aria-controls": own,
				onclick: () => {
					const opens = parts.lines[1].hidden;
					parts.lines[1].hidden = !opens;
					parts.toggle.setAttribute("aria-expanded", String(opens));
					if (opens) detail(parts.row, parts.inner);
				},
			});
			parts.cells[0].append(parts.toggle);
			parts.lines.push(el("tr", { id: own, class: "below", hidden: true },
				el("td", { colspan: columns.length }, parts.inner)));
		}
		return parts;
	}

	function arrange() {
		const { sort } = columns[by];
		const sorted = rows.toSorted((a, b) => compare(sort(a), sort(b)) * (down ? -1 : 1));
		heads.forEach((head, at) => {
			if (at === by) head.setAttribute("aria-sort", down ? "descending" : "ascending");
			else head.removeAttribute("aria-sort");
		});
		sorted.flatMap((row) => known.get(id(row)).lines).forEach((line, at) => {
			// Moving an element takes its focus away, so it stays if it can.
			if (body.children[at] !== line) body.insertBefore(line, body.children[at] ?? null);
		});
	}

	function update(next) {
		rows = next;
		const present = new Set(rows.map(id));
		for (const [key, { lines }] of known) {
			if (present.has(key)) continue;
			lines.forEach((line) => line.remove());
			known.delete(key);
		}
		for (const row of rows) {
			if (!known.has(id(row))) known.set(id(row), make(id(row)));
			const parts = known.get(id(row));
			parts.row = row;
			columns.forEach(({ cell }, at) =>
				setCell((at === 0 && parts.toggle) || parts.cells[at], cell(row)));
			if (parts.lines[1]?.hidden === false) detail(row, parts.inner);
		}
		none.hidden = rows.length > 0;
		scroll.hidden = rows.length === 0;
		arrange();
	}

	return { element: el("div", null, scroll, none), update };
}

const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b) : (a ?? -1) - (b ?? -1));
