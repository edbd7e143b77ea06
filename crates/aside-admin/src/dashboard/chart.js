// Charts over time in SVG: lines, or areas that add up to 100 %.
//
// A range input lies over the plot. So arrow keys, a pointer and a screen reader move
// the same cursor, and its values are text.

import { clock, el, grid, setText, svg } from "./dom.js";

const HEIGHT = 148;
const BASE = HEIGHT - 18;
const LEFT = 46;
const RIGHT = 6;
const TOP = 8;
const DASHES = ["", "6 3", "2 3"];
const MAX_ROWS = 30;

/**
 * Makes a chart. `update` takes the times `at`, `series` of `{ name, color, values,
 * text }`, a `format` if a series has no `text`, a `headline` and its `note`.
 */
export function chart(title, hint) {
	const id = title.toLowerCase().replaceAll(" ", "-");
	const plot = svg("svg", { role: "img", height: HEIGHT, "aria-labelledby": `${id}-text` });
	const cursor = el("input", { type: "range", min: 0, class: "cursor", "aria-label": `${title}: point in time` });
	const [headline, note, when] = [el("strong"), el("span"), el("p", { class: "when" })];
	const sentence = el("p", { id: `${id}-text`, class: "unseen" });
	const legend = el("ul", { class: "legend" });
	const table = el("div", { class: "scroll", role: "region", tabindex: 0, "aria-label": `${title}, table` });
	const details = el("details", null, el("summary", null, "As a table"), table);
	const element = el("figure", { class: "panel chart" },
		el("figcaption", null, el("h3", null, title), el("p", { class: "hint" }, hint)),
		el("p", { class: "headline" }, headline, note),
		el("div", { class: "plot" }, plot, cursor),
		sentence, legend, when, details);
	let model = null;
	let follows = true;

	function draw() {
		if (!model || !plot.clientWidth) return;
		const { at, format, series } = model;
		const index = Math.min(Number(cursor.value), at.length - 1);
		const view = scales(model, plot.clientWidth);
		plot.setAttribute("viewBox", `0 0 ${plot.clientWidth} ${HEIGHT}`);
		plot.replaceChildren(...axes(model, view), ...series.map((each, which) => mark(each, which, model, view)));
		if (!follows) plot.append(svg("path", { class: "at", d: `M${view.x(index)} ${TOP}V${BASE}` }));
		const time = index < 0 ? "no data yet" : clock(at[index]);
		const shown = series.map(({ text = format, values }) => text(values[index] ?? null, index));
		setText(when, follows ? "" : `at ${time}`);
		if (legend.children.length !== series.length) legend.replaceChildren(...series.map(entry));
		shown.forEach((text, which) => setText(legend.children[which].lastChild, text));
		const values = series.map(({ name }, which) => `${name} ${shown[which]}`).join(", ");
		cursor.setAttribute("aria-valuetext", `${time}, ${values}`);
		setText(sentence, `${title}: ${model.headline} ${model.note}. At ${time}: ${values}.`);
		if (details.open) table.replaceChildren(rows(model));
	}

	function move(value) {
		cursor.value = value;
		follows = Number(cursor.value) >= Number(cursor.max);
		draw();
	}
	cursor.addEventListener("input", () => move(cursor.value));
	cursor.addEventListener("pointermove", ({ offsetX }) =>
		move(Math.round((offsetX / cursor.clientWidth) * cursor.max)));
	cursor.addEventListener("pointerleave", () => move(cursor.max));
	details.addEventListener("toggle", draw);
	new ResizeObserver(draw).observe(plot);

	function update(next) {
		const last = Math.max(0, next.at.length - 1);
		const back = follows ? 0 : cursor.max - cursor.value;
		model = next;
		cursor.max = last;
		cursor.value = last - back;
		setText(headline, next.headline);
		setText(note, next.note);
		draw();
	}
	return { element, update };
}

const entry = ({ name, color, dashed = 0 }) =>
	el("li", null,
		svg("svg", { width: 22, height: 10, "aria-hidden": "true" },
			svg("path", { d: "M1 5H21", class: `line ${color}`, "stroke-dasharray": DASHES[dashed] })),
		name, el("b"));

const round = (number) => Math.round(number * 10) / 10;

/** Returns the scales, and the upper edges of areas. */
function scales({ at, series, stacked, least = 0 }, width) {
	const tops = [at.map(() => 0)];
	if (stacked) series.forEach(({ values }) => tops.push(values.map((value, index) => tops.at(-1)[index] + value)));
	const highest = Math.max(least, ...series.flatMap(({ values }) => values));
	const power = 10 ** Math.floor(Math.log10(highest || 1));
	const max = stacked ? 100 : [1, 2, 5, 10].map((step) => step * power).find((step) => highest <= step);
	const length = Math.max(1, at.at(-1) - at[0]);
	return {
		width, max, tops,
		x: (index) => round(LEFT + ((at[index] - at[0]) / length) * (width - LEFT - RIGHT)),
		y: (value) => round(BASE - (Math.min(value, max) / max) * (BASE - TOP)),
	};
}

function axes({ at, format }, { width, max, y }) {
	const text = (x, at, anchor, content) => svg("text", { x, y: at, "text-anchor": anchor }, content);
	const lines = [0, max / 2, max].flatMap((value) => [
		svg("path", { class: "grid", d: `M${LEFT} ${y(value)}H${width - RIGHT}` }),
		text(LEFT - 6, y(value) + 4, "end", format(value)),
	]);
	if (at.length > 1) {
		lines.push(text(LEFT, HEIGHT - 4, "start", clock(at[0])), text(width - RIGHT, HEIGHT - 4, "end", clock(at.at(-1))));
	}
	return lines;
}

function mark({ color, values, dashed = 0 }, which, { stacked }, { tops, x, y }) {
	if (!stacked) return svg("path", { class: `line ${color}`, d: path(values, x, y), "stroke-dasharray": DASHES[dashed] });
	const edge = (heights) => heights.map((height, index) => `${x(index)} ${y(height)}`);
	const outline = [...edge(tops[which + 1]), ...edge(tops[which]).reverse()];
	return svg("path", { class: `area ${color}`, d: outline.length ? `M${outline.join("L")}Z` : "" });
}

/** Joins points to a line that is interrupted where there is no value. */
function path(values, x, y) {
	const known = (index) => (values[index] ?? null) !== null;
	return values.map((value, index) => {
		if (!known(index)) return "";
		// A point without neighbours is a dot.
		return `${known(index - 1) ? "L" : "M"}${x(index)} ${y(value)}${known(index + 1) ? "" : "h.1"}`;
	}).join("");
}

/** Lists the latest points, evenly thinned. */
function rows({ at, format, series }) {
	const step = Math.max(1, Math.ceil(at.length / MAX_ROWS));
	const indexes = [...at.keys()].reverse().filter((_, place) => place % step === 0);
	return grid(["Time", ...series.map(({ name }) => name)], indexes.map((index) =>
		[clock(at[index]), ...series.map(({ values, text = format }) => text(values[index] ?? null, index))]));
}
